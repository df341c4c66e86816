"""Runs the real server (or a peer such as memcached) for end-to-end tests, and talks to it in exact bytes.

A test in tests/e2e/ begins with:

    import os, sys
    sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
    from server import Server, Skip, memcached_binary, run, run_tests

    def test_get_of_a_missing_key_is_a_miss():
        with Server(["-m", "64"]) as server, server.client() as client:
            client.exchange(b"get a\r\n", b"END\r\n")

    if __name__ == "__main__":
        run_tests(globals())

Server      starts the binary named by the environment variable LARDER (or `binary=`) on a free port of
            127.0.0.1, or with unix=True on a socket in a directory of its own; waits until it accepts;
            stops it by its process id at the end of the `with`, and then demands exit code 0.  Attributes:
            host, port, path (unix only), pid, process.  Under root it adds "-u root".
Client      a socket: send, expect (exact bytes), exchange, recv_exact, recv_some, recv_line, recv_until, expect_close,
            expect_quiet, stats.
run         runs the binary to its end: for the answers to wrong options.
run_tests   calls every function named test_*, prints what failed, and the line `N passed, N failed`.
Skip        raised in a test: what it needs is not on this machine.

Nothing here waits without an end: every wait is bounded by TIMEOUT_S, which TEST_TIMEOUT_SCALE stretches for
sanitizer builds.
"""

import errno
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback

TIMEOUT_S = 10.0 * float(os.environ.get("TEST_TIMEOUT_SCALE", "1"))
START_TRIES_MAX = 5
EXIT_SKIPPED = 77
# The environment of a server with -o drop_privileges: LeakSanitizer traces its own process, which the filters forbid.
SANITIZER_ENV = {"ASAN_OPTIONS": "detect_leaks=0"}
EXIT_CANNOT_BIND = 71


class Skip(Exception):
    """What the test needs is not here.  The text says what."""


def larder_binary():
    """The server under test."""
    path = os.environ.get("LARDER")
    if not path:
        raise RuntimeError("set LARDER to the path of the server binary")
    return os.path.abspath(path)


def memcached_binary():
    """The peer to compare with.  Raises Skip where it is not installed."""
    path = os.environ.get("MEMCACHED") or shutil.which("memcached")
    if not path:
        raise Skip("memcached is not installed")
    return path


def run(args, binary=None, stdin=b"", env=None, timeout=None):
    """Runs the binary with these arguments to its end; gives returncode, stdout and stderr (bytes)."""
    return subprocess.run(
        [binary or larder_binary(), *args],
        input=stdin,
        capture_output=True,
        env={**os.environ, **(env or {})},
        timeout=timeout or TIMEOUT_S,
        check=False,
    )


def free_port():
    """A port of 127.0.0.1 that neither TCP nor UDP uses at this moment."""
    for _ in range(100):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp:
            tcp.bind(("127.0.0.1", 0))
            port = tcp.getsockname()[1]
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
                try:
                    udp.bind(("127.0.0.1", port))
                except OSError:
                    continue
                return port
    raise RuntimeError("no free port")


class Client:
    """One connection.  Every call ends within `timeout` seconds, or raises."""

    def __init__(self, address, timeout=None):
        """address: (host, port), or the path of a unix socket."""
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.settimeout(timeout or TIMEOUT_S)
        self._ahead = bytearray()  # grows without being copied at each receive
        try:
            self.socket.connect(address)
        except OSError:
            self.socket.close()
            raise
        if family == socket.AF_INET:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def shutdown_write(self):
        """Tells the server that nothing more will come."""
        self.socket.shutdown(socket.SHUT_WR)

    def send(self, data):
        self.socket.sendall(data)

    def _more(self):
        """Receives once; False at the end of the stream."""
        try:
            part = self.socket.recv(1 << 16)
        except ConnectionResetError:
            part = b""
        self._ahead += part
        return bool(part)

    def _take(self, count):
        data = bytes(self._ahead[:count])
        del self._ahead[:count]
        return data

    def recv_exact(self, count):
        """`count` bytes; an AssertionError shows what came when the stream ends or is silent before that."""
        parts, have = [self._take(count)], 0
        have = len(parts[0])
        while have < count:
            try:
                if not self._more():
                    raise AssertionError(f"closed after {b''.join(parts)!r}, {count - have} bytes early")
            except socket.timeout:
                raise AssertionError(
                    f"silent after {b''.join(parts)!r}, {count - have} bytes early"
                ) from None
            parts.append(self._take(count - have))
            have += len(parts[-1])
        return b"".join(parts)

    def recv_some(self):
        """What has come, at least one byte."""
        return self.recv_exact(max(1, len(self._ahead)))

    def recv_until(self, end):
        """Everything up to and with the bytes `end`."""
        searched = 0
        while True:
            at = self._ahead.find(end, searched)
            if at >= 0:
                return self._take(at + len(end))
            searched = max(0, len(self._ahead) - len(end) + 1)
            try:
                if not self._more():
                    raise AssertionError(f"closed before {end!r}, after {bytes(self._ahead)!r}")
            except socket.timeout:
                raise AssertionError(f"silent before {end!r}, after {bytes(self._ahead)!r}") from None

    def recv_line(self):
        """One line, with its line end."""
        return self.recv_until(b"\n")

    def recv_to_end(self):
        """Everything until the server closes."""
        try:
            while self._more():
                pass
        except socket.timeout:
            raise AssertionError(f"still open after {bytes(self._ahead)!r}") from None
        return self._take(len(self._ahead))

    def expect(self, expected):
        """The next bytes are exactly these.  A different byte is seen as soon as it is there."""
        have = b""
        while len(have) < len(expected):
            if not self._ahead:
                try:
                    if not self._more():
                        raise AssertionError(f"expected {expected!r}, closed after {have!r}")
                except socket.timeout:
                    raise AssertionError(f"expected {expected!r}, silent after {have!r}") from None
            have += self._take(len(expected) - len(have))
            if not expected.startswith(have):
                raise AssertionError(f"expected {expected!r}, got {have + bytes(self._ahead)!r}")

    def exchange(self, request, expected):
        """Sends, then expects exactly these bytes."""
        self.send(request)
        self.expect(expected)

    def expect_close(self):
        """The server closes, and says nothing more."""
        rest = self.recv_to_end()
        assert rest == b"", f"expected the end, got {rest!r}"

    def expect_quiet(self):
        """Nothing is on its way: a meta no-op is answered at once.  For text connections between commands."""
        self.exchange(b"mn\r\n", b"MN\r\n")

    def stats(self, what=""):
        """`stats` or `stats WHAT` as a dict of texts."""
        self.send(b"stats" + (b" " + what.encode() if what else b"") + b"\r\n")
        values = {}
        while True:
            line = self.recv_line().rstrip(b"\r\n").decode()
            if line == "END":
                return values
            word, _, rest = line.partition(" ")
            assert word == "STAT", f"no statistics line: {line!r}"
            name, _, value = rest.partition(" ")
            values[name] = value


class Server:
    """A running server.  See the top of this file."""

    def __init__(self, args=(), binary=None, unix=False, udp=False, env=None, expect_exit=0, options=None):
        """
        args         more options for the command line
        binary       path; the server under test by default
        unix, udp    listen on a unix socket; also on UDP, at the same port number
        env          more environment variables
        expect_exit  the exit code that leaving the `with` demands; None for any
        options      in place of the listening options and -u root that are worked out here
        """
        self.binary = binary or larder_binary()
        self.args = list(args)
        self.unix = unix
        self.udp = udp
        self.env = {**os.environ, **(env or {})}
        self.expect_exit = expect_exit
        self.options = options
        self.host = "127.0.0.1"
        self.port = 0
        self.path = None
        self.process = None
        self.returncode = None
        self._dir = None
        self._log = None
        self._port_again = None

    @property
    def pid(self):
        return self.process.pid

    @property
    def address(self):
        return self.path if self.unix else (self.host, self.port)

    def client(self, timeout=None):
        return Client(self.address, timeout)

    def log(self):
        """What the server has written to stdout and stderr so far, as text."""
        with open(self._log, "rb") as file:
            return file.read().decode(errors="replace")

    def wait_for_log(self, text):
        """Waits until the server has written `text`."""
        self._wait(lambda: text in self.log(), f"the text {text!r}")

    def wait_for_exit(self):
        """Waits until the server has ended by itself; gives the exit code, negative for a signal."""
        self.returncode = self.process.wait(TIMEOUT_S)
        return self.returncode

    def _wait(self, ready, what):
        deadline = time.monotonic() + TIMEOUT_S
        while not ready():
            if time.monotonic() > deadline:
                raise AssertionError(f"waited {TIMEOUT_S} s for {what}; log: {self.log()!r}")
            time.sleep(0.005)  # between two looks; no test depends on its length

    def _listen_options(self):
        if self.options is not None:
            return list(self.options)
        options = ["-u", "root"] if os.geteuid() == 0 else []
        if self.unix:
            self.path = os.path.join(self._dir, "socket")
            return options + ["-s", self.path]
        self.port = self._port_again or free_port()
        return options + ["-l", self.host, "-p", str(self.port), "-U", str(self.port if self.udp else 0)]

    def _accepts(self):
        if self.process.poll() is not None:
            return True
        try:
            Client(self.address).close()
            return True
        except OSError as error:
            if error.errno not in (errno.ECONNREFUSED, errno.ENOENT):
                raise
            return False

    def start(self):
        self._dir = tempfile.mkdtemp(prefix="larder-test-")
        self._log = os.path.join(self._dir, "log")
        for _ in range(START_TRIES_MAX):
            command = [self.binary, *self._listen_options(), *self.args]
            with open(self._log, "wb") as log:
                self.process = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.env
                )
            self.returncode = None
            try:
                self._wait(self._accepts, f"{' '.join(command)} to accept")
            except BaseException:
                self.kill()
                self._clean_up()
                raise
            self.returncode = self.process.poll()
            if self.returncode is None:
                return self
            if self.returncode != EXIT_CANNOT_BIND or self.options is not None:
                break
        log = self.log()
        self._clean_up()
        raise AssertionError(f"{' '.join(command)} ended with {self.returncode}: {log}")

    def signal(self, number):
        """Sends a signal to the server's process.  A client should have been served before: ThreadSanitizer of gcc 12
        may lose a signal that comes while a thread enters its first blocking call."""
        self.process.send_signal(number)

    def kill(self):
        """Ends it at once, without a chance to clean up."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(TIMEOUT_S)

    def stop(self):
        """Asks it to stop (SIGTERM) unless it has ended already; gives the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.wait_for_exit()
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"did not stop within {TIMEOUT_S} s; log: {self.log()!r}") from None

    def stop_listening(self):
        """Ends it at once and keeps its port in mind, for start_again()."""
        self.kill()
        self._clean_up()
        self._port_again = self.port

    def start_again(self):
        """An empty server at the address of the one that stop_listening() has ended."""
        self.start()

    def _clean_up(self):
        shutil.rmtree(self._dir, ignore_errors=True)

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, *_):
        try:
            if kind is not None:
                if self.process.poll() is not None:
                    sys.stderr.write(f"the server has ended with {self.process.poll()}\n")
                self.kill()
                sys.stderr.write(self.log())
                return
            returncode = self.stop()
            if self.expect_exit is not None and returncode != self.expect_exit:
                raise AssertionError(f"ended with {returncode}, not {self.expect_exit}; log: {self.log()}")
        finally:
            self._clean_up()


def wait_until(ready, what):
    """Waits for a condition of which nothing tells."""
    deadline = time.monotonic() + TIMEOUT_S
    while not ready():
        assert time.monotonic() < deadline, f"waited for {what}"
        time.sleep(0.01)  # between two looks


def run_tests(names):
    """Calls every test_* function of `names` (globals()), prints the counts, and ends the program."""
    passed = failed = skipped = 0
    for name, test in list(names.items()):
        if not name.startswith("test_") or not callable(test):
            continue
        try:
            test()
        except Skip as reason:
            skipped += 1
            print(f"skipped {name}: {reason}", flush=True)
        except Exception:
            failed += 1
            print(f"FAILED {name}\n{traceback.format_exc()}", flush=True)
        else:
            passed += 1
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    sys.exit(1 if failed else 0)
