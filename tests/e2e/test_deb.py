#!/usr/bin/python3
"""The Debian packages that `make deb` has built: installed into a root of their own, where the server runs and
programs are compiled against the library.  `make check-deb` builds them, and calls this."""

import atexit
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from server import Server, Skip, free_port, run, run_tests

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
PACKAGES = ("larder", "liblarder1", "liblarder-serve1", "liblarder-dev")
COMMAND_SECONDS = 60


def command(*words, env=None):
    """Runs a program to its end; gives its output, and fails when it fails."""
    done = subprocess.run(words, capture_output=True, text=True, timeout=COMMAND_SECONDS,
                          env={**os.environ, **(env or {})}, check=False)
    assert done.returncode == 0, (words, done.returncode, done.stdout, done.stderr)
    return done.stdout


def package(name):
    found = glob.glob(os.path.join(os.environ.get("DEB", os.path.join(TOP, "build/deb")), f"{name}_*.deb"))
    if len(found) != 1:
        raise Skip(f"no package {name}, or several: make deb builds them")
    return found[0]


ROOT = tempfile.mkdtemp(prefix="larder-deb-")
atexit.register(shutil.rmtree, ROOT, True)


def unpacked():
    """A folder with the files of all packages."""
    root = os.path.join(ROOT, "unpacked")
    if not os.path.exists(root):
        for name in PACKAGES:
            command("dpkg-deb", "-x", package(name), root)
    return root


def libraries():
    return os.path.dirname(glob.glob(os.path.join(unpacked(), "usr/lib/*/liblarder.so.1"))[0])


def pkg_config(*words):
    # Folders of the system are left out of -I and -L unless these are set: here they are not the system's.
    env = {"PKG_CONFIG_LIBDIR": os.path.join(libraries(), "pkgconfig"), "PKG_CONFIG_SYSROOT_DIR": unpacked(),
           "PKG_CONFIG_ALLOW_SYSTEM_CFLAGS": "1", "PKG_CONFIG_ALLOW_SYSTEM_LIBS": "1"}
    return command("pkg-config", *words, "larder", env=env).split()


def readme_example():
    """The C program of README.md."""
    path = os.path.join(ROOT, "app.c")
    with open(os.path.join(TOP, "README.md"), encoding="utf-8") as file:
        text = re.search(r"^```c\n(.*?)^```", file.read(), re.M | re.S).group(1)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def needed(path):
    """Names of the shared libraries that a file asks for by itself."""
    return set(re.findall(r"\(NEEDED\).*\[(.*)\]", command("readelf", "-d", path)))


class PackagedServer(Server):
    """Listens where the package's file says, but for the port."""

    def _listen_options(self):
        self.port = free_port()
        user = ["-u", "root"] if os.geteuid() == 0 else []
        return [*user, "--config", os.path.join(unpacked(), "etc/larder.conf"), "-p", str(self.port)]


def test_the_server_runs_with_the_file_of_the_package():
    binary = os.path.join(unpacked(), "usr/bin/larder")
    assert run(["-V"], binary=binary).stdout == b"memcached 1.6.45\n"
    with PackagedServer(binary=binary) as server, server.client() as client:
        client.exchange(b"set a 0 0 5\r\nhello\r\n", b"STORED\r\n")
        client.exchange(b"get a\r\n", b"VALUE a 0 5\r\nhello\r\nEND\r\n")
        values = client.stats("settings")
        assert values["inter"] == "127.0.0.1" and values["maxbytes"] == str(64 << 20), values


def test_a_program_is_compiled_against_the_library():
    source, app = readme_example(), os.path.join(ROOT, "app")
    command("cc", "-o", app, source, *pkg_config("--cflags", "--libs"))
    assert "liblarder.so.1" in needed(app), needed(app)
    assert command(app, env={"LD_LIBRARY_PATH": libraries()}) == "hello\n"
    # With the archive, once more without any shared library at all.
    flags = [flag for flag in pkg_config("--static", "--cflags", "--libs") if flag != "-llarder"]
    command("cc", "-o", app, source, os.path.join(libraries(), "liblarder.a"), *flags)
    assert "liblarder.so.1" not in needed(app)
    assert command(app) == "hello\n"
    command("cc", "-static", "-o", app, source, *pkg_config("--static", "--cflags", "--libs"))
    assert needed(app) == set() and command(app) == "hello\n"


def test_the_library_asks_for_the_c_library_alone():
    path = os.path.join(libraries(), "liblarder.so.1")
    assert re.search(r"\(SONAME\).*\[liblarder\.so\.1\]", command("readelf", "-d", path))
    assert all(re.match(r"lib(c|m|pthread|rt)\.so|ld-linux", name) for name in needed(path)), needed(path)
    depends = command("dpkg-deb", "-f", package("liblarder1"), "Depends")
    assert re.fullmatch(r"libc6 \(>= [\d.]+\)\n", depends), depends


def test_the_library_that_serves_asks_for_more():
    path = os.path.join(libraries(), "liblarder-serve.so.1")
    assert re.search(r"\(SONAME\).*\[liblarder-serve\.so\.1\]", command("readelf", "-d", path))
    assert any(name.startswith("libevent") for name in needed(path)), needed(path)
    assert not any(re.match("libjemalloc|libseccomp", name) for name in needed(path)), needed(path)
    depends = command("dpkg-deb", "-f", package("liblarder-serve1"), "Depends")
    assert re.search(r"\bliblarder1 \(= ", depends) and "libevent" in depends, depends


def test_files_are_where_debian_has_them():
    root = unpacked()
    for name in ("etc/larder.conf", "lib/systemd/system/larder.service", "lib/systemd/system/larder@.service",
                 "lib/systemd/system/larder.socket", "usr/lib/sysusers.d/larder.conf", "usr/include/larder.h",
                 "usr/share/man/man1/larder.1.gz", "usr/share/man/man3/larder.3.gz",
                 "usr/share/bash-completion/completions/larder", "usr/share/doc/liblarder-dev/examples/lookaside.c",
                 "usr/share/doc/liblarder-dev/examples/README.md"):
        assert os.path.isfile(os.path.join(root, name)), name
    with open(os.path.join(root, "lib/systemd/system/larder@.service"), encoding="ascii") as file:
        text = file.read()
    assert "ExecStart=/usr/bin/larder --config ${LARDER_CONFIG} -p %i $LARDER_OPTIONS\n" in text, text
    assert not re.search(r"@[a-z_]+@", text), text
    folder = os.path.join(ROOT, "control")
    command("dpkg-deb", "-e", package("larder"), folder)
    with open(os.path.join(folder, "conffiles"), encoding="ascii") as file:
        assert file.read().split() == ["/etc/larder.conf"]


def test_they_are_installed_and_removed():
    if os.geteuid() != 0 or not shutil.which("deb-systemd-helper") or not shutil.which("systemd-sysusers"):
        raise Skip("needs root, deb-systemd-helper and systemd-sysusers")
    if os.path.isdir("/run/systemd/system"):
        raise Skip("the packages' scripts would talk to the service manager of this machine")
    root = os.path.join(ROOT, "installed")
    for folder in ("var/lib/dpkg/updates", "var/lib/dpkg/info", "etc"):
        os.makedirs(os.path.join(root, folder))
    for name in ("status", "available"):
        with open(os.path.join(root, "var/lib/dpkg", name), "wb"):
            pass
    # Dependencies are not in this root; scripts run with DPKG_ROOT, outside of it.
    dpkg = ["dpkg", f"--root={root}", "--force-depends", "--force-script-chrootless", "--log=/dev/null"]
    command(*dpkg, "-i", *[package(name) for name in PACKAGES])
    with open(os.path.join(root, "etc/passwd"), encoding="ascii") as file:
        assert re.search(r"^larder:x:\d+:\d+:larder cache:/:/usr/sbin/nologin$", file.read(), re.M)
    wants = os.path.join(root, "etc/systemd/system")
    assert os.path.islink(os.path.join(wants, "multi-user.target.wants/larder.service"))
    assert not os.path.islink(os.path.join(wants, "sockets.target.wants/larder.socket"))
    assert run(["-V"], binary=os.path.join(root, "usr/bin/larder")).returncode == 0
    command(*dpkg, "--remove", *PACKAGES)
    assert not os.path.exists(os.path.join(root, "usr/bin/larder"))
    assert os.path.exists(os.path.join(root, "etc/larder.conf"))
    command(*dpkg, "--purge", "larder")
    assert not os.path.exists(os.path.join(root, "etc/larder.conf"))
    assert not os.path.islink(os.path.join(wants, "multi-user.target.wants/larder.service"))


if __name__ == "__main__":
    run_tests(globals())
