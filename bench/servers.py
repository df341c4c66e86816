"""Starts the servers that are measured, larder and a peer, on free ports of 127.0.0.1; stops them by process id.

Nothing waits without an end: START_S for a server to accept, STOP_S for it to go.
"""

import glob
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
START_S = 60.0  # under valgrind a start takes seconds
STOP_S = 20.0
START_TRIES_MAX = 5  # another program may take the port first


def larder_binary():
    """The server of this tree, or the one that the environment variable LARDER names; ends the program without."""
    path = os.path.abspath(os.environ.get("LARDER") or os.path.join(ROOT, "build", "larder"))
    if not os.access(path, os.X_OK):
        sys.exit(f"{path} is not there: run make first, or set LARDER to the path of a server")
    return path


def memcached_binary():
    """The peer, in PATH or named by the environment variable MEMCACHED; None where it is not."""
    return shutil.which(os.environ.get("MEMCACHED") or "memcached")


def version(binary):
    """The first line that `-V` prints."""
    output = subprocess.run([binary, "-V"], capture_output=True, text=True, check=False, timeout=STOP_S).stdout
    return output.splitlines()[0].strip() if output.strip() else "unknown version"


def has_tls(binary):
    """Whether the binary was built with TLS: its help lists -Z only then."""
    output = subprocess.run([binary, "-h"], capture_output=True, text=True, check=False, timeout=STOP_S).stdout
    return re.search(r"^-Z\b", output, re.MULTILINE) is not None


def make_certificate(directory):
    """A certificate that nobody trusts, and its key; None where openssl is not there."""
    if not shutil.which("openssl"):
        return None
    paths = os.path.join(directory, "certificate.pem"), os.path.join(directory, "key.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                    "-out", paths[0], "-keyout", paths[1]], check=True, capture_output=True, timeout=STOP_S)
    return paths


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """One server process, from `with` to the end of it.

    prefix   a command that runs the server, such as valgrind with its options
    """

    def __init__(self, binary, options=(), prefix=()):
        self.binary = binary
        self.options = list(options)
        self.prefix = list(prefix)
        self.process = None
        self.port = None

    @property
    def pid(self):
        return self.process.pid

    def connect(self):
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=START_S)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def cpu_seconds(self):
        """Processor time of all threads so far, user and system, in seconds: ticks, mostly of 10 ms."""
        with open(f"/proc/{self.pid}/stat", encoding="ascii", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def cpu_us(self):
        """The same in microseconds, exact: what the kernel's scheduler has counted for each thread that lives."""
        total_ns = 0
        for path in glob.glob(f"/proc/{self.pid}/task/*/schedstat"):
            with open(path, encoding="ascii") as file:
                total_ns += int(file.read().split()[0])
        return total_ns / 1000

    def rss(self):
        """Bytes of resident memory."""
        with open(f"/proc/{self.pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def _accepts(self):
        try:
            self.connect().close()
        except ConnectionRefusedError:
            return False
        return True

    def _start_once(self, log):
        self.port = free_port()
        user = ["-u", "root"] if os.geteuid() == 0 else []
        command = [*self.prefix, self.binary, *user, "-l", "127.0.0.1", "-p", str(self.port), "-U", "0", *self.options]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + START_S
        while self.process.poll() is None:
            if self._accepts():
                return True
            if time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"{' '.join(command)} did not accept within {START_S:.0f} s")
            time.sleep(0.02)
        return False

    def __enter__(self):
        with tempfile.TemporaryFile() as log:
            for _ in range(START_TRIES_MAX):
                log.seek(0)
                log.truncate()
                if self._start_once(log):
                    return self
            log.seek(0)
            said = log.read().decode(errors="replace").strip()
        raise RuntimeError(f"{self.binary} ended with {self.process.returncode}: {said}")

    def stop(self):
        """Asks it to stop, and ends it when it does not."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(STOP_S)

    def __exit__(self, *_):
        self.stop()
