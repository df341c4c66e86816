#!/usr/bin/python3
"""Starting and stopping the real server: exit codes, signals, files, users, addresses."""

import os
import pwd
import re
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from server import TIMEOUT_S, Client, Server, Skip, free_port, larder_binary, run, run_tests

ROOT = ["-u", "root"] if os.geteuid() == 0 else []
HERE = ROOT + ["-l", "127.0.0.1"]


def wait_until(ready, what):
    deadline = time.monotonic() + TIMEOUT_S
    while not ready():
        assert time.monotonic() < deadline, f"waited for {what}"
        time.sleep(0.01)  # between two looks


def expect_refusal(args, code, text):
    done = run(args)
    assert done.returncode == code, (args, done.returncode, done.stderr)
    assert text in done.stderr, (args, done.stderr)


# Server.start() waits for a connection to its address; these tests name their own.
class OwnAddresses(Server):
    def __init__(self, address, options, **more):
        super().__init__(options=options, **more)
        self.own = address

    @property
    def address(self):
        return self.own


def test_help_version_and_license_exit_0():
    done = run(["-h"])
    assert done.returncode == 0 and done.stdout.startswith(b"memcached 1.6.45\nlarder "), done
    assert b"proxy_config" not in done.stdout and b"ext_path" not in done.stdout
    assert run(["-V"]).stdout == b"memcached 1.6.45\n"
    done = run(["-i"])
    assert done.returncode == 0 and b"Redistribution and use" in done.stdout, done


def test_wrong_options_exit_as_memcached_does():
    port = str(free_port())
    expect_refusal(HERE + ["-p", "70000"], 64, b"ERROR: Invalid port number 70000.")
    expect_refusal(HERE + ["-c", "0"], 1, b"Maximum connections must be greater than 0")
    expect_refusal(HERE + ["-t", "0"], 1, b"Number of threads must be greater than 0")
    expect_refusal(HERE + ["-Q"], 1, b'Illegal argument "?"')
    expect_refusal(HERE + ["-o", "nosuch"], 1, b'Illegal suboption "nosuch"')
    expect_refusal(HERE + ["-S", "-B", "ascii"], 64, b"SASL")
    expect_refusal(ROOT + ["-l", "127.0.0.1:abc"], 71, b'Invalid port number: "abc"')
    expect_refusal(ROOT + ["-p", port, "-l", "no.such.host.invalid"], 71, b"failed to listen on one of interface(s)")
    expect_refusal(ROOT + ["-p", port, "-l", "192.0.2.1"], 71, b"bind(): Cannot assign requested address")
    expect_refusal(ROOT + ["-s", "/nonexistent/dir/sock"], 71, b"failed to listen on UNIX socket: /nonexistent/dir/sock")


def test_a_port_in_use_is_told():
    with Server() as server:
        args = HERE + ["-p", str(server.port)]
        expect_refusal(args, 71, b"failed to listen on one of interface(s) 127.0.0.1")
        expect_refusal(args + ["-d"], 71, b"Address already in use")


def test_root_needs_a_user():
    if os.geteuid() != 0:
        raise Skip("not root")
    expect_refusal(["-l", "127.0.0.1", "-p", "0"], 64, b"must add '-u root' to start as root")
    expect_refusal(["-l", "127.0.0.1", "-u", "no-such-user"], 67, b"can't find the user no-such-user to switch to")


def test_root_becomes_the_user():
    if os.geteuid() != 0:
        raise Skip("not root")
    try:
        uid = pwd.getpwnam("nobody").pw_uid
    except KeyError:
        raise Skip("no user nobody") from None
    port = free_port()
    with OwnAddresses(("127.0.0.1", port), ["-u", "nobody", "-l", "127.0.0.1", "-p", str(port)]) as server:
        with open(f"/proc/{server.pid}/status", encoding="ascii") as file:
            status = file.read()
        assert re.search(rf"^Uid:\t{uid}\t{uid}\t{uid}\t{uid}$", status, re.M), status
        assert re.search(r"^Groups:\t ?$", status, re.M), status


def test_terminate_and_interrupt_exit_0():
    for number in (signal.SIGTERM, signal.SIGINT):
        with Server(["-v"]) as server, server.client() as client:
            client.exchange(b"version\r\n", b"VERSION 1.6.45\r\n")
            server.signal(number)
            assert server.wait_for_exit() == 0
            client.expect_close()
            assert "Exiting normally" in server.log(), server.log()
    with Server() as server:
        with server.client() as client:
            client.expect_quiet()
        server.signal(signal.SIGTERM)
        assert server.wait_for_exit() == 0
        assert "Exiting normally" not in server.log(), server.log()


def test_user_signal_1_stops_gracefully():
    with Server() as server, server.client() as client:
        client.exchange(b"set a 0 0 1\r\nx\r\n", b"STORED\r\n")
        client.send(b"get a\r\n" * 1000)
        server.signal(signal.SIGUSR1)
        assert server.wait_for_exit() == 0
        got = client.recv_to_end()
        assert got == b"VALUE a 0 1\r\nx\r\nEND\r\n" * 1000, (len(got), got[-40:])
        log = server.log()
        assert "Gracefully stopping" in log and "all background threads stopped" in log, log


def test_graceful_stop_does_not_wait_for_a_client_that_does_not_read():
    with Server() as server, server.client() as client:
        client.send(b"set a 0 0 1000000\r\n" + b"x" * 1000000 + b"\r\n")
        client.expect(b"STORED\r\n")
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.send(b"get a\r\n" * 100)
        server.signal(signal.SIGUSR1)
        assert server.wait_for_exit() == 0


def test_hangup_and_broken_pipe_do_not_kill():
    with Server() as server, server.client() as client:
        server.signal(signal.SIGHUP)
        server.signal(signal.SIGPIPE)
        server.wait_for_log("SIGHUP")
        client.exchange(b"mn\r\n", b"MN\r\n")


def resident_code_kib(pid, library):
    """What of a library's code is in the process's memory."""
    kib, counts = 0, False
    with open(f"/proc/{pid}/smaps", encoding="ascii") as parts:
        for line in parts:
            if re.match(r"[0-9a-f]+-", line):
                counts = library in line and " r-xp " in line
            elif counts and line.startswith("Rss:"):
                kib += int(line.split()[1])
    return kib


def test_code_of_the_start_does_not_stay_in_memory():
    with Server() as server, server.client() as client:
        client.exchange(b"set a 0 0 1\r\nx\r\n", b"STORED\r\n")
        if "libcrypto.so" not in open(f"/proc/{server.pid}/maps", encoding="ascii").read():
            raise Skip("built without TLS")
        # A start relocates and initialises it, which maps some 1000 KiB.
        assert resident_code_kib(server.pid, "libcrypto.so") <= 256
        client.exchange(b"get a\r\n", b"VALUE a 0 1\r\nx\r\nEND\r\n")


def test_shutdown_command():
    with Server() as server, server.client() as client:
        client.exchange(b"shutdown\r\n", b"SERVER_ERROR: shutdown not enabled\r\n")
    with Server(["-A", "-v"]) as server, server.client() as client:
        client.exchange(b"shutdown now\r\n", b"CLIENT_ERROR invalid shutdown mode\r\n")
        client.send(b"shutdown\r\n")
        client.expect_close()
        assert server.wait_for_exit() == 0
        assert "Exiting normally" in server.log(), server.log()
    with Server(["-A"]) as server, server.client() as client:
        client.send(b"shutdown graceful\r\n")
        assert server.wait_for_exit() == 0
        assert "Gracefully stopping" in server.log(), server.log()


def test_pid_file_lives_as_long_as_the_server():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "pid")
        with Server(["-P", path]) as server:
            wait_until(lambda: os.path.exists(path), "the pid file")
            with open(path, encoding="ascii") as file:
                assert file.read() == f"{server.pid}\n"
            assert not os.path.exists(path + ".tmp")
        assert not os.path.exists(path)
        with open(path, "w", encoding="ascii") as file:
            file.write(f"{os.getpid()}\n")
        with Server(["-P", path]) as server:
            server.wait_for_log(f"WARNING: The pid file contained the following (running) pid: {os.getpid()}")
    with Server(["-P", "/nonexistent/dir/pid"]) as server, server.client() as client:
        server.wait_for_log("Could not open the pid file /nonexistent/dir/pid.tmp for writing")
        client.exchange(b"mn\r\n", b"MN\r\n")


def test_daemon_serves_when_its_parent_ends():
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        path, port = os.path.join(folder, "pid"), free_port()
        done = run(HERE + ["-p", str(port), "-d", "-P", path])
        assert done.returncode == 0, done
        with open(path, encoding="ascii") as file:
            pid = int(file.read())
        try:
            with Client(("127.0.0.1", port)) as client:
                client.exchange(b"mn\r\n", b"MN\r\n")
            assert os.getsid(pid) == pid
            assert os.readlink(f"/proc/{pid}/cwd") == "/"
            for number in range(3):
                assert os.readlink(f"/proc/{pid}/fd/{number}") == "/dev/null"
            os.kill(pid, signal.SIGHUP)
            with Client(("127.0.0.1", port)) as client:
                client.exchange(b"mn\r\n", b"MN\r\n")
        finally:
            os.kill(pid, signal.SIGTERM)
        wait_until(lambda: not os.path.exists(path), "the daemon's end")


def test_unix_socket_has_its_mask_and_goes_at_the_end():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "sock")
        stale = socket.socket(socket.AF_UNIX)
        stale.bind(path)
        stale.close()
        for extra, mode in (([], 0o700), (["-a", "0755"], 0o755)):
            with OwnAddresses(path, ROOT + ["-s", path] + extra):
                wait_until(lambda: stat.S_IMODE(os.stat(path).st_mode) == mode, f"mode {mode:o}")
                with Client(path) as client:
                    client.exchange(b"mn\r\n", b"MN\r\n")
                    assert client.stats("settings")["domain_socket"] == path
            assert not os.path.exists(path)
        with open(path, "w", encoding="ascii") as file:
            file.write("precious")
        expect_refusal(ROOT + ["-s", path], 71, b"bind(): Address already in use")
        with open(path, encoding="ascii") as file:
            assert file.read() == "precious"


def test_unix_socket_and_tcp_at_once():
    with tempfile.TemporaryDirectory() as folder:
        path, port = os.path.join(folder, "sock"), free_port()
        options = ROOT + ["-s", path, "-l", "127.0.0.1", "-p", str(port)]
        with OwnAddresses(path, options) as server, server.client() as local, Client(("127.0.0.1", port)) as tcp:
            local.exchange(b"set a 0 0 1\r\nx\r\n", b"STORED\r\n")
            tcp.exchange(b"get a\r\n", b"VALUE a 0 1\r\nx\r\nEND\r\n")


def test_several_addresses():
    a, b, c = free_port(), free_port(), free_port()
    spec = f"127.0.0.1:{a},notls:127.0.0.2:{b};tag[x]:proto[ascii]:127.0.0.1:{c}"
    with OwnAddresses(("127.0.0.1", a), ROOT + ["-l", spec]) as server, server.client() as first:
        first.exchange(b"set a 0 0 1\r\nx\r\n", b"STORED\r\n")
        for address in (("127.0.0.2", b), ("127.0.0.1", c)):
            with Client(address) as client:
                client.exchange(b"get a\r\n", b"VALUE a 0 1\r\nx\r\nEND\r\n")
        assert first.stats("settings")["inter"].startswith(f"127.0.0.1:{a}"), first.stats("settings")["inter"]
    with OwnAddresses(("127.0.0.1", b), ROOT + ["-l", "127.0.0.1", "-l", f"127.0.0.2:{a}", "-p", str(b)]) as server:
        with Client(("127.0.0.2", a)) as client:
            client.exchange(b"mn\r\n", b"MN\r\n")


def test_any_free_port_is_written_to_the_port_file():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "ports")
        process = subprocess.Popen(
            [larder_binary(), *HERE, "-p", "-1"], env={**os.environ, "MEMCACHED_PORT_FILENAME": path}
        )
        try:
            wait_until(lambda: os.path.exists(path), "the port file")
            with open(path, encoding="ascii") as file:
                match = re.fullmatch(r"TCP INET: (\d+)\n", file.read())
            assert match and not os.path.exists(path + ".lck")
            with Client(("127.0.0.1", int(match[1]))) as client:
                client.exchange(b"mn\r\n", b"MN\r\n")
        finally:
            process.terminate()
            assert process.wait(TIMEOUT_S) == 0


def test_limit_of_descriptors_is_raised_only_when_too_low():
    def soft_limit(pid):
        with open(f"/proc/{pid}/limits", encoding="ascii") as file:
            return int(re.search(r"Max open files +(\d+)", file.read())[1])

    import resource

    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (700, before[1]))
        with Server(["-c", "500"]) as server:
            assert soft_limit(server.pid) == 700, soft_limit(server.pid)
        with Server(["-c", "1024"]) as server:
            assert 1024 <= soft_limit(server.pid) < 1200, soft_limit(server.pid)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    if os.geteuid() == 0:
        expect_refusal(HERE + ["-p", "0", "-c", "2147483647"], 71, b"failed to set rlimit for open files.")


if __name__ == "__main__":
    run_tests(globals())
