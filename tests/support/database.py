"""Runs a real MariaDB or MySQL server for end-to-end tests of the hook, and speaks SQL to it.

    with mariadb() as db, db.connect() as sql:
        sql("CREATE DATABASE shop")
        rows = sql("SELECT 1, NULL")      [("1", None)]

mariadb, mysql   a Database that has been started, or Skip with the reason
Database         own datadir, a free port of 127.0.0.1 and a unix socket, log_bin, ROW format, GTIDs; stop, kill,
                 restart, freeze, thaw; clone: a second server with the same data.  Its root has no password
Sql              one connection; bounded by TIMEOUT_S; SqlError has the server's number
"""

import hashlib
import os
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time

from server import TIMEOUT_S, Skip, free_port

HERE = os.path.dirname(os.path.abspath(__file__))
START_S = 120.0 * float(os.environ.get("TEST_TIMEOUT_SCALE", "1"))


class SqlError(Exception):
    """The server's refusal, with its number."""

    def __init__(self, number, text):
        super().__init__(f"{number}: {text}")
        self.number = number


class Sql:
    """A connection in the text protocol: just what the tests need, as no client for Python is in every system."""

    def __init__(self, path, user="root", password="", timeout=None):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(timeout or TIMEOUT_S)
        self.ahead = b""
        self.sequence = 0
        try:
            self.socket.connect(path)
            self._log_in(user, password)
        except BaseException:
            self.socket.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def _take(self, count):
        while len(self.ahead) < count:
            part = self.socket.recv(1 << 16)
            if not part:
                raise ConnectionError("the database has closed")
            self.ahead += part
        data, self.ahead = self.ahead[:count], self.ahead[count:]
        return data

    def _packet(self):
        data = b""
        while True:
            head = self._take(4)
            size = int.from_bytes(head[:3], "little")
            self.sequence = head[3] + 1
            data += self._take(size)
            if size < 0xFFFFFF:
                break
        if data[:1] == b"\xff":
            text = data[3:].decode(errors="replace")
            raise SqlError(struct.unpack("<H", data[1:3])[0], text[6:] if text[:1] == "#" else text)
        return data

    def _send(self, data):
        self.socket.sendall(len(data).to_bytes(3, "little") + bytes([self.sequence & 255]) + data)

    @staticmethod
    def _scramble(plugin, password, salt):
        if not password:
            return b""
        if plugin == b"mysql_native_password":
            one = hashlib.sha1(password).digest()
            two = hashlib.sha1(salt + hashlib.sha1(one).digest()).digest()
        else:
            one = hashlib.sha256(password).digest()
            two = hashlib.sha256(hashlib.sha256(one).digest() + salt).digest()
        return bytes(a ^ b for a, b in zip(one, two))

    def _log_in(self, user, password):
        greeting = self._packet()
        end = greeting.index(b"\0", 1)
        salt = greeting[end + 5 : end + 13]
        at = end + 14 + 2 + 1 + 2 + 2 + 1 + 10
        salt += greeting[at : at + 12]
        plugin = greeting[at + 13 :].rstrip(b"\0") or b"mysql_native_password"
        password = password.encode()
        answer = self._scramble(plugin, password, salt)
        # long password, protocol 4.1, transactions, secure connection, multi statements and results, plugins
        flags = 1 | 0x200 | 0x2000 | 0x8000 | 0x10000 | 0x20000 | 0x80000
        self._send(
            struct.pack("<IIB23x", flags, 1 << 24, 45)
            + user.encode()
            + b"\0"
            + bytes([len(answer)])
            + answer
            + plugin
            + b"\0"
        )
        while True:
            data = self._packet()
            if data[:1] == b"\0":
                return
            if data[:1] == b"\xfe":
                plugin, _, salt = data[1:].partition(b"\0")
                self._send(self._scramble(plugin, password, salt[:20]))

    @staticmethod
    def _length(data, at):
        first = data[at]
        if first < 251:
            return first, at + 1
        if first == 251:
            return None, at + 1
        size = {252: 2, 253: 3, 254: 8}[first]
        return int.from_bytes(data[at + 1 : at + 1 + size], "little"), at + 1 + size

    def _result(self):
        """Rows of one result, and whether another one follows."""
        data = self._packet()
        if data[:1] == b"\0":
            _, at = self._length(data, 1)
            _, at = self._length(data, at)
            return [], bool(struct.unpack_from("<H", data, at)[0] & 8)
        count, _ = self._length(data, 0)
        for _ in range(count + 1):
            self._packet()
        rows = []
        while True:
            data = self._packet()
            if data[:1] == b"\xfe" and len(data) < 9:
                return rows, bool(struct.unpack_from("<H", data, 3)[0] & 8)
            row, at = [], 0
            while at < len(data):
                size, at = self._length(data, at)
                if size is None:
                    row.append(None)
                else:
                    row.append(data[at : at + size].decode(errors="replace"))
                    at += size
            rows.append(tuple(row))

    def __call__(self, text):
        """Runs statements; gives the rows of the last result."""
        self.sequence = 0
        self._send(b"\x03" + text.encode())
        while True:
            rows, more = self._result()
            if not more:
                return rows

    def one(self, text):
        """The first value of the first row."""
        return self(text)[0][0]


class Database:
    """See the top of this file."""

    def __init__(self, family, program, install, options=(), template=None):
        """program: how to start the server; install: makes a datadir; template: a datadir to begin with."""
        self.family = family
        self.program = program
        self.install = install
        self.options = list(options)
        self.process = None
        self.folder = tempfile.mkdtemp(prefix="larder-db-")
        os.chmod(self.folder, 0o755)
        self.data = os.path.join(self.folder, "data")
        self.socket = os.path.join(self.folder, "s")
        self.port = free_port()
        self.server_id = 1 + self.port
        if template:
            shutil.copytree(template, self.data)
        else:
            self.install(self.data)

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self._clean_up()
            raise
        return self

    def __exit__(self, *_):
        self.kill()
        self._clean_up()

    def _clean_up(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def log(self):
        with open(os.path.join(self.folder, "log"), errors="replace") as file:
            return file.read()

    def start(self):
        user = ["--user=root"] if os.geteuid() == 0 else []
        command = [
            *self.program,
            f"--datadir={self.data}",
            f"--socket={self.socket}",
            f"--port={self.port}",
            "--bind-address=127.0.0.1",
            f"--server-id={self.server_id}",
            f"--log-bin={self.data}/bin",
            "--binlog-format=ROW",
            "--skip-name-resolve",
            "--innodb-buffer-pool-size=64M",
            "--innodb-flush-log-at-trx-commit=2",
            "--sync-binlog=0",
            f"--pid-file={self.folder}/pid",
            f"--tmpdir={self.folder}",  # names there can clash with another server's
            *user,
            *self.options,
        ]
        with open(os.path.join(self.folder, "log"), "ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder
            )
        deadline = time.monotonic() + START_S
        while True:
            try:
                self.connect().close()
                return
            except (OSError, SqlError) as error:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise AssertionError(f"{command[0]} does not start: {error}\n{self.log()[-3000:]}") from None
                time.sleep(0.02)  # between two looks

    def connect(self, user="root", password="", timeout=None):
        return Sql(self.socket, user, password, timeout)

    def stop(self):
        """An orderly end."""
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(START_S)

    def kill(self):
        """The end without a chance to clean up."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(TIMEOUT_S)

    def restart(self):
        self.stop()
        self.start()

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def clone(self):
        """A second server with the data and log of this one, which must be stopped."""
        other = Database(self.family, self.program, None, self.options, template=self.data)
        for name in ("auto.cnf",):
            path = os.path.join(other.data, name)
            if os.path.exists(path):
                os.remove(path)
        for name in os.listdir(other.data):  # the index of the log names its files with their folder
            if name.endswith(".index"):
                path = os.path.join(other.data, name)
                with open(path) as file:
                    text = file.read()
                with open(path, "w") as file:
                    file.write(text.replace(self.data, other.data))
        return other


def _run(command, what):
    done = subprocess.run(command, capture_output=True, text=True, timeout=START_S, check=False)
    if done.returncode != 0:
        raise AssertionError(f"{what}: {done.stdout[-2000:]}{done.stderr[-2000:]}")


def mariadb(*options):
    """A MariaDB server, not started yet."""
    program = shutil.which("mariadbd") or shutil.which("mariadbd", path="/usr/sbin")
    install = shutil.which("mariadb-install-db")
    if not program or not install:
        raise Skip("mariadbd is not installed (Debian: mariadb-server)")
    user = ["--user=root"] if os.geteuid() == 0 else []

    def install_data(folder):
        _run(
            [install, "--no-defaults", f"--datadir={folder}", "--auth-root-authentication-method=normal",
             f"--tmpdir={os.path.dirname(folder)}", "--skip-test-db", *user],
            "mariadb-install-db",
        )  # fmt: skip

    return Database("mariadb", [program, "--no-defaults", "--binlog-row-metadata=FULL"], install_data, options)


def mysql(*options):
    """A MySQL server, not started yet: of the folder that MYSQL_FOLDER names or mysql_unpack.sh has filled."""
    folder = os.environ.get("MYSQL_FOLDER") or os.path.join(os.path.dirname(os.path.dirname(HERE)), "build", "mysql")
    run = os.path.join(folder, "run")
    if not os.access(run, os.X_OK):
        raise Skip(f"no MySQL server in {folder}: tests/support/mysql_unpack.sh {folder} gets one")
    user = ["--user=root"] if os.geteuid() == 0 else []
    program = [
        run, "sbin/mysqld", "--no-defaults", f"--basedir={folder}/usr", f"--lc-messages-dir={folder}/usr/share/mysql",
        "--mysqlx=OFF", "--secure-file-priv=", f"--plugin-dir={folder}/usr/lib/mysql/plugin",
    ]  # fmt: skip

    def install_data(data):
        _run([*program, f"--datadir={data}", "--initialize-insecure", "--skip-log-bin", *user], "mysqld --initialize")

    return Database(
        "mysql",
        [*program, "--binlog-row-metadata=FULL", "--gtid-mode=ON", "--enforce-gtid-consistency=ON"],
        install_data,
        options,
    )
