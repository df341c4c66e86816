#!/usr/bin/python3
"""Command lines of the scripts and units that start memcached where it is installed: they start ours unchanged."""

import os
import pwd
import re
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from server import Client, Server, Skip, free_port, larder_binary, run, run_tests

WRAPPER = "/usr/share/memcached/scripts/systemd-memcached-wrapper"


class Started(Server):
    """Started with exactly these words."""

    def __init__(self, port, words, **more):
        super().__init__(options=words, **more)
        self.port = port


def user():
    """Somebody that root can become, or nobody at all."""
    if os.geteuid() != 0:
        return pwd.getpwuid(os.getuid()).pw_name
    for name in ("memcache", "memcached", "nobody"):
        try:
            pwd.getpwnam(name)
            return name
        except KeyError:
            pass
    raise Skip("no user to become")


def expect_served(server, **settings):
    with server.client() as client:
        client.exchange(b"set a 0 0 1\r\nx\r\n", b"STORED\r\n")
        client.exchange(b"get a\r\n", b"VALUE a 0 1\r\nx\r\nEND\r\n")
        shown = client.stats("settings")
        for name, value in settings.items():
            assert shown[name] == value, (name, shown[name], value)


def test_upstreams_systemd_unit():
    # ExecStart=/usr/bin/memcached -p ${PORT} -u ${USER} -m ${CACHESIZE} -c ${MAXCONN} $OPTIONS
    port = free_port()
    for options in ([], ["-l", "127.0.0.1,::1"], ["-vv"]):
        words = ["-p", str(port), "-u", user(), "-m", "64", "-c", "1024", *options]
        with Started(port, words) as server:
            expect_served(server, maxbytes="67108864", maxconns="1024", tcpport=str(port))


def test_dockers_command_lines():
    # CMD memcached, and what its documentation shows: memcached -m 64, --memory-limit=64
    port = free_port()
    for words in (["-m", "64"], ["--memory-limit=64", "--conn-limit=1024", "--threads=2"], ["-m", "64", "-v"]):
        with Started(port, ["-u", user(), "-p", str(port), *words]) as server:
            expect_served(server, maxbytes="67108864")


def test_redhats_sysconfig():
    # OPTIONS="-l 127.0.0.1,::1" and older files' quoting of one word with a leading blank
    port = free_port()
    words = ["-p", str(port), "-u", user(), "-m", "64", "-c", "1024", "-l", " 127.0.0.1"]
    with Started(port, words) as server:
        expect_served(server, inter="127.0.0.1")


def test_init_script_with_daemon_and_pid_file():
    # start-stop-daemon ... memcached -d -p 11211 -u USER -m 64 -c 1024 -P PIDFILE -l 127.0.0.1
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        pid_file = os.path.join(folder, "memcached.pid")
        words = ["-d", "-p", str(port), "-u", user(), "-m", "64", "-c", "1024", "-P", pid_file, "-l", "127.0.0.1"]
        done = run(words)
        assert done.returncode == 0, done
        with open(pid_file, encoding="ascii") as file:
            pid = int(file.read())
        try:
            with Client(("127.0.0.1", port)) as client:
                client.exchange(b"mn\r\n", b"MN\r\n")
        finally:
            os.kill(pid, signal.SIGTERM)


def debian_config(port, pid_file):
    """The file that the package installs, with another port, user and pid file, and all that it comments out."""
    return f"""# memcached default config file
# 2003 - Jay Bonci <jaybonci@debian.org>
# This configuration file is read by the start-memcached script provided as
# part of the Debian GNU/Linux distribution.

# Run memcached as a daemon. This command is implied, and is not needed for the
# daemon to run.
-d

# Log memcached's output to /var/log/memcached
logfile /var/log/memcached.log

# Be verbose
-v

# Start with a cap of 64 megs of memory.
-m 64

# Default connection port is 11211
-p {port}

-u {user()}

-l 127.0.0.1

# Limit the number of simultaneous incoming connections. The daemon default is 1024
-c 1000

# Return error when memory is exhausted (rather than removing items)
-M

# Use a pidfile
-P {pid_file}
"""


def test_debians_file_with_config():
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        path, pid_file = os.path.join(folder, "memcached.conf"), os.path.join(folder, "memcached.pid")
        with open(path, "w", encoding="ascii") as file:
            file.write(debian_config(port, pid_file))
        with Started(port, ["--config", path]) as server:
            expect_served(server, maxbytes="67108864", maxconns="1000", evictions="off", inter="127.0.0.1", verbosity="1")
            with open(pid_file, encoding="ascii") as file:
                assert int(file.read()) == server.pid  # no daemon: -d of the file is left out


def test_debians_wrapper():
    """The words that its wrapper makes of the same file, asked from it by a copy that names our binary."""
    if not os.path.exists(WRAPPER) or os.geteuid() != 0:
        raise Skip("Debian's memcached is not installed, or we are not root")
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        path, pid_file = os.path.join(folder, "memcached.conf"), os.path.join(folder, "memcached.pid")
        with open(path, "w", encoding="ascii") as file:
            file.write(debian_config(port, pid_file))
        with open(WRAPPER, encoding="utf-8") as file:
            script, changes = re.subn(r'"/usr/bin/memcached"', f'"{larder_binary()}"', file.read())
        assert changes == 1
        wrapper = os.path.join(folder, "wrapper")
        with open(wrapper, "w", encoding="utf-8") as file:
            file.write(script)
        with Started(port, [wrapper, path], binary="/usr/bin/perl") as server:
            expect_served(server, maxbytes="67108864", maxconns="1000", evictions="off", inter="127.0.0.1")


def test_installed_file_of_the_package_is_read():
    path = "/usr/share/memcached/memcached.conf.default"
    if not os.path.exists(path):
        raise Skip("Debian's memcached is not installed")
    done = run(["--config", path, "-V"])
    assert done.returncode == 0, done
    port = free_port()
    words = ["--config", path, "-p", str(port), "-u", user(), "-P", "/dev/null/none"]
    with Started(port, words) as server:
        expect_served(server, maxbytes="67108864")


def test_own_unit_names_options_that_are_taken():
    here = os.path.dirname(os.path.abspath(__file__))
    with open(os.path.join(here, "..", "..", "server", "dist", "larder.service"), encoding="ascii") as file:
        command = re.search(r"^ExecStart=\S+ (.*)$", file.read(), re.M)[1]
    words = [word for word in command.replace("\\", "").split() if not word.startswith("$")]
    assert subprocess.run([larder_binary(), *words, "-V"], check=False, capture_output=True).returncode == 0, words


if __name__ == "__main__":
    run_tests(globals())
