#!/usr/bin/python3
"""What is tested alone elsewhere, together: dumps and watchers behind TLS, logins, stops, limits and dropped privileges."""

import os
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from server import SANITIZER_ENV, TIMEOUT_S, Client, Server, Skip, free_port, run, run_tests

HELP = run(["-h"]).stdout.decode()
DENIED = b"CLIENT_ERROR unauthenticated\r\n"
ITEMS = 20000
SMALL_BUFFER = 4096


class Files:
    """A folder with a certificate and a file of users, readable for all."""

    def __init__(self):
        if not shutil.which("openssl") or "ssl_chain_cert" not in HELP:
            raise Skip("no openssl command, or no TLS")
        self.folder = tempfile.mkdtemp(prefix="larder-together-")
        os.chmod(self.folder, 0o755)
        self.crt, self.key, self.users = (os.path.join(self.folder, name) for name in ("crt", "key", "users"))
        self.issue()
        self.write_users("ann:secret\n")

    def issue(self):
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
             "-keyout", self.key, "-out", self.crt, "-subj", "/CN=localhost"],
            check=True, capture_output=True, timeout=TIMEOUT_S,
        )

    def write_users(self, text):
        with open(self.users, "w") as file:
            file.write(text)

    def tls(self, extra=""):
        return ["-Z", "-o", f"ssl_chain_cert={self.crt},ssl_key={self.key}{extra}"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.folder, ignore_errors=True)


class SlowClient(Client):
    """A client whose kernel takes little ahead, until it is told to catch up."""

    def __init__(self, server, context=None):
        self.socket = socket.socket(socket.AF_INET)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
        self.socket.settimeout(TIMEOUT_S)
        self.socket.connect((server.host, server.port))
        if context:
            self.socket = context.wrap_socket(self.socket)
        self._ahead = bytearray()

    def catch_up(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)


def any_certificate():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def tls_client(server):
    client = server.client()
    client.socket = any_certificate().wrap_socket(client.socket)
    return client


def certificate(server):
    with tls_client(server) as client:
        return client.socket.getpeercert(True)


def login(user, password, key=b"any"):
    token = f"{user} {password}".encode()
    return b"set %s 0 0 %d\r\n%s\r\n" % (key, len(token), token)


def fill(client, items=ITEMS, value=b"v" * 20):
    for at in range(0, items, 5000):
        client.send(b"".join(b"set k%08d 0 0 %d noreply\r\n%s\r\n" % (i, len(value), value)
                             for i in range(at, min(at + 5000, items))))
    client.expect_quiet()


def wait_until(ready, what):
    deadline = time.monotonic() + TIMEOUT_S
    while not ready():
        assert time.monotonic() < deadline, f"waited for {what}"
        time.sleep(0.01)  # between two looks


def dump_is_whole(client, items=ITEMS):
    client.send(b"lru_crawler metadump all\r\n")
    client.expect(b"OK\r\n")
    lines = client.recv_until(b"END\r\n")
    assert lines.count(b"\n") == items + 1, lines.count(b"\n")


def may_dump(client):
    """Whether a dump may begin; it is read to its end then."""
    client.send(b"lru_crawler mgdump all\r\n")
    if client.recv_line() != b"OK\r\n":
        return False
    client.recv_until(b"EN\r\n")
    return True


# -- TLS and logins ------------------------------------------------------------------------------------


def test_watching_behind_tls_needs_the_login():
    with Files() as files, Server(["-Y", files.users, *files.tls()]) as server:
        with tls_client(server) as watcher, tls_client(server) as writer:
            watcher.exchange(b"watch mutations\r\n", DENIED)
            watcher.exchange(b"lru_crawler metadump all\r\n", DENIED)
            watcher.exchange(b"stats\r\n", DENIED)
            writer.exchange(login("ann", "secret"), b"STORED\r\n")
            assert writer.stats()["log_watchers"] == "0"
            watcher.exchange(login("ann", "secret"), b"STORED\r\n")
            watcher.exchange(b"watch mutations\r\n", b"OK\r\n")
            writer.exchange(login("ann", "secret", b"k"), b"STORED\r\n")  # now a set like any other
            line = watcher.recv_line()
            assert b"type=item_get" in line or b"type=item_store key=k" in line, line
            watcher.send(b"get k\r\n" + login("ann", "wrong"))  # nobody listens
            values = writer.stats()
            assert (values["auth_cmds"], values["auth_errors"]) == ("2", "0"), values


def test_a_login_is_not_logged():
    """Neither its key nor what was in it: it changes nothing."""
    with Files() as files, Server(["-Y", files.users]) as server:
        with server.client() as watcher, server.client() as other:
            watcher.exchange(login("ann", "secret"), b"STORED\r\n")
            watcher.exchange(b"watch mutations fetchers deletions\r\n", b"OK\r\n")
            other.exchange(login("ann", "secret", b"first"), b"STORED\r\n")
            other.exchange(b"set second 0 0 1\r\nx\r\n", b"STORED\r\n")
            seen = watcher.recv_until(b"status=stored")
            assert b"first" not in seen and b"secret" not in seen and b"key=second" in seen, seen


def test_a_dump_behind_tls_to_a_client_that_stops_reading():
    with Files() as files, Server(["-m", "128", *files.tls()]) as server:
        with tls_client(server) as other:
            fill(other, 100000)
            with SlowClient(server, any_certificate()) as slow:
                slow.send(b"lru_crawler metadump all\r\n")
                slow.expect(b"OK\r\n")
                slow.recv_line()
                with tls_client(server) as second:
                    second.exchange(b"lru_crawler metadump all\r\n", b"BUSY currently processing crawler request\r\n")
                for _ in range(100):
                    other.exchange(b"get k00000001\r\n", b"VALUE k00000001 0 20\r\n" + b"v" * 20 + b"\r\nEND\r\n")
                assert other.stats()["curr_items"] == "100000"
                slow.catch_up()
                rest = slow.recv_until(b"END\r\n")
                assert rest.count(b"key=") == 99999, rest.count(b"key=")
                slow.exchange(b"mn\r\n", b"MN\r\n")
            with SlowClient(server, any_certificate()) as slow:
                slow.send(b"lru_crawler metadump all\r\n")
                slow.expect(b"OK\r\n")
            wait_until(lambda: may_dump(other), "the dump of the client that left")


# -- stops ---------------------------------------------------------------------------------------------


def test_a_graceful_stop_in_the_middle_of_dumps_and_watchers():
    for reads in (True, False):
        with Server(["-A", "-m", "128"]) as server:
            with server.client() as other, SlowClient(server) as dumper, server.client() as watcher:
                fill(other, 100000)
                watcher.exchange(b"watch connevents mutations\r\n", b"OK\r\n")
                dumper.send(b"lru_crawler metadump all\r\n")
                dumper.expect(b"OK\r\n")
                if reads:
                    dumper.catch_up()
                    reader = threading.Thread(target=dumper.recv_to_end)
                    reader.start()
                other.send(b"shutdown graceful\r\n")
                assert server.wait_for_exit() == 0
                if reads:
                    reader.join(TIMEOUT_S)
                    assert not reader.is_alive()
                watcher.recv_to_end()


def test_each_stop_ends_watchers_behind_tls():
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
        with Files() as files, Server(files.tls()) as server, tls_client(server) as watcher:
            watcher.exchange(b"watch\r\n", b"OK\r\n")
            server.signal(number)
            assert server.wait_for_exit() == 0


# -- dropped privileges --------------------------------------------------------------------------------


def need_seccomp():
    if "drop_privileges" not in HELP:
        raise Skip("a build without seccomp")


def test_everything_at_once_without_privileges():
    """TLS, logins, watchers, dumps, new certificates and users: nothing that a filter denies is needed."""
    need_seccomp()
    with Files() as files:
        args = ["-A", "-v", "-Y", files.users, *files.tls(",drop_privileges,track_sizes")]
        with Server(args, env=SANITIZER_ENV) as server:
            old = certificate(server)
            with tls_client(server) as client, tls_client(server) as watcher:
                for one in (client, watcher):
                    one.exchange(login("ann", "secret"), b"STORED\r\n")
                watcher.exchange(b"watch mutations\r\n", b"OK\r\n")
                fill(client)
                watcher.recv_until(b"type=item_store")
                dump_is_whole(client)
                files.issue()
                files.write_users("bob:other\n")
                server.signal(signal.SIGHUP)
                wait_until(lambda: certificate(server) != old, "the new certificate")

                def bob_is_known():
                    with tls_client(server) as bob:
                        bob.send(login("bob", "other"))
                        return bob.recv_line() == b"STORED\r\n"

                wait_until(bob_is_known, "the new users")
                with tls_client(server) as ann:
                    ann.exchange(login("ann", "secret"), b"CLIENT_ERROR authentication failure\r\n")
                renewed = certificate(server)
                files.issue()
                client.exchange(b"refresh_certs\r\n", b"OK\r\n")
                assert certificate(server) != renewed
                assert client.stats("sizes")
                client.send(b"shutdown graceful\r\n")
                assert server.wait_for_exit() == 0


def test_udp_without_privileges():
    need_seccomp()
    with Server(["-o", "drop_privileges"], udp=True, env=SANITIZER_ENV) as server:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, server.client() as client:
            udp.settimeout(TIMEOUT_S)
            udp.connect((server.host, server.port))
            for number, (request, reply) in enumerate((
                (b"set k 0 0 3\r\nabc\r\n", b"STORED\r\n"),
                (b"get k\r\n", b"VALUE k 0 3\r\nabc\r\nEND\r\n"),
                (struct.pack(">BBHBBHIIQ", 0x80, 0x0A, 0, 0, 0, 0, 0, 7, 0), struct.pack(">BBHBBHIIQ", 0x81, 0x0A, 0, 0, 0, 0, 0, 7, 0)),
            )):
                udp.send(struct.pack(">HHHH", number, 0, 1, 0) + request)
                assert udp.recv(2000) == struct.pack(">HHHH", number, 0, 1, 0) + reply
            client.exchange(b"get k\r\n", b"VALUE k 0 3\r\nabc\r\nEND\r\n")


def sasl_plain(user, password):
    body = b"PLAIN" + f"\0{user}\0{password}".encode()
    return struct.pack(">BBHBBHIIQ", 0x80, 0x21, 5, 0, 0, 0, len(body), 7, 0) + body


def test_sasl_reads_its_database_without_privileges():
    """libsasl2 opens the file at a client's login: in a worker, behind its filter."""
    need_seccomp()
    tool = shutil.which("saslpasswd2") or shutil.which("saslpasswd2", path="/usr/sbin:/usr/local/sbin")
    if "-S," not in HELP or not tool:
        raise Skip("no SASL, or no saslpasswd2")
    with tempfile.TemporaryDirectory(prefix="larder-together-") as folder:
        database = os.path.join(folder, "sasldb2")

        def add(user, password):
            subprocess.run([tool, "-p", "-c", "-a", "memcached", "-f", database, user], input=password.encode(),
                           check=True, capture_output=True, timeout=TIMEOUT_S)

        with open(os.path.join(folder, "memcached.conf"), "w") as file:
            file.write(f"mech_list: plain\npwcheck_method: auxprop\nauxprop_plugin: sasldb\nsasldb_path: {database}\n")
        add("ann", "secret")
        env = {"SASL_CONF_PATH": folder, **SANITIZER_ENV}
        with Server(["-S", "-o", "drop_privileges"], env=env) as server:
            for user, password, status in (("ann", "secret", 0), ("ann", "wrong", 0x20), ("eve", "x", 0x20), ("ann", "secret", 0)):
                with server.client() as client:
                    client.send(sasl_plain(user, password))
                    head = client.recv_exact(24)
                    assert struct.unpack(">H", head[6:8])[0] == status, (user, password, head)


# -- limits --------------------------------------------------------------------------------------------


def test_idle_timeout_spares_watchers_and_dumps_that_go_on():
    """A dump that its client does not read is idle: it ends, and makes room for another."""
    with Server(["-m", "128", "-o", "idle_timeout=2"]) as server:
        with server.client() as other, server.client() as watcher, SlowClient(server) as stuck:
            fill(other, 100000)
            watcher.exchange(b"watch connevents\r\n", b"OK\r\n")
            stuck.send(b"lru_crawler metadump all\r\n")
            stuck.expect(b"OK\r\n")
            watcher.recv_until(b"reason=idle_timeout")
            with server.client() as next_one:
                wait_until(lambda: may_dump(next_one), "the dump of the one that went")
                assert int(next_one.stats()["idle_kicks"]) >= 1
                assert next_one.stats()["log_watchers"] == "1"


def test_one_request_per_turn():
    with Server(["-R", "1", "-t", "1", "-A"]) as server, server.client() as client, server.client() as watcher:
        fill(client, 3000)
        watcher.exchange(b"watch mutations\r\n", b"OK\r\n")
        noop = struct.pack(">BBHBBHIIQ", 0x80, 0x0A, 0, 0, 0, 0, 0, 7, 0)
        with server.client() as binary:
            binary.exchange(noop * 500, (b"\x81" + noop[1:]) * 500)
        client.exchange(b"get k00000000\r\nmg k00000000 v\r\nmn\r\n" * 200,
                        (b"VALUE k00000000 0 20\r\n" + b"v" * 20 + b"\r\nEND\r\nVA 20\r\n" + b"v" * 20 + b"\r\nMN\r\n") * 200)
        client.exchange(b"ms m 2\r\nhi\r\n", b"HD\r\n")
        watcher.recv_until(b"key=m ")
        client.send(b"lru_crawler mgdump all\r\nget k00000001\r\nmn\r\n")
        client.expect(b"OK\r\n")
        lines = client.recv_until(b"EN\r\n")
        assert lines.count(b"mg ") == 3001, lines.count(b"mg ")
        client.expect(b"VALUE k00000001 0 20\r\n" + b"v" * 20 + b"\r\nEND\r\nMN\r\n")
        assert int(client.stats()["conn_yields"]) > 500


def test_a_limit_of_read_buffers_spares_dumps_and_watchers():
    """What a dump or a watcher has not sent yet is bounded by itself, and is no half command."""
    with Server(["-m", "128", "-t", "1", "-o", "read_buf_mem_limit=1"]) as server:
        with server.client() as other, server.client() as watcher, SlowClient(server) as dumper:
            fill(other, 100000)
            watcher.exchange(b"watch fetchers\r\n", b"OK\r\n")
            dumper.send(b"lru_crawler metadump all\r\n")
            dumper.expect(b"OK\r\n")
            other.send(b"get k00000001\r\n" * 2000)
            for _ in range(2000):
                other.expect(b"VALUE k00000001 0 20\r\n" + b"v" * 20 + b"\r\nEND\r\n")
            dumper.catch_up()
            rest = dumper.recv_until(b"END\r\n")
            assert rest.count(b"key=") == 100000, rest.count(b"key=")
            watcher.recv_until(b"type=item_get key=k00000001 ")
            assert other.stats()["read_buf_oom"] == "0"


def test_without_cas_ids():
    with Server(["-C"]) as server, server.client() as client, server.client() as binary:
        client.exchange(b"set a 5 0 1\r\nx\r\ngets a\r\ncas a 0 0 1 0\r\ny\r\ncas no 0 0 1 1\r\ny\r\n",
                        b"STORED\r\nVALUE a 5 1 0\r\nx\r\nEND\r\nEXISTS\r\nNOT_FOUND\r\n")
        client.exchange(b"mg a c v\r\nms a 1 c\r\nz\r\nma n N0 J5 c v\r\n", b"VA 1 c0\r\nx\r\nHD c0\r\nVA 1 c0\r\n5\r\n")
        client.send(b"lru_crawler metadump all\r\n")
        lines = client.recv_until(b"END\r\n")
        assert lines.count(b" cas=0 ") == 2, lines
        binary.send(struct.pack(">BBHBBHIIQ", 0x80, 0x00, 1, 0, 0, 0, 1, 7, 0) + b"a")
        head = binary.recv_exact(24)
        assert head[16:] == b"\0" * 8 and head[6:8] == b"\0\0", head
        binary.recv_exact(5)
        binary.send(struct.pack(">BBHBBHIIQ", 0x80, 0x01, 1, 8, 0, 0, 10, 7, 9) + b"\0" * 8 + b"ab")
        assert struct.unpack(">H", binary.recv_exact(24)[6:8])[0] == 2  # a CAS id never fits


# -- statistics ----------------------------------------------------------------------------------------


def test_statistics_while_all_goes_on():
    """Names stay the same, and numbers that only grow do so, beside writers, dumps, watchers and UDP."""
    with Server(["-t", "2", "-m", "64"], udp=True) as server:
        over = threading.Event()
        problems = []

        def often(work):
            def loop():
                try:
                    with server.client() as client:
                        while not over.is_set():
                            work(client)
                except Exception as problem:  # told by the main thread
                    problems.append(repr(problem))

            thread = threading.Thread(target=loop)
            thread.start()
            return thread

        def datagrams(_):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
                udp.settimeout(TIMEOUT_S)
                udp.connect((server.host, server.port))
                udp.send(b"\0\1\0\0\0\1\0\0get k00000001\r\n")
                udp.recv(2000)

        def watching(_):
            with server.client() as watcher:
                watcher.exchange(b"watch fetchers mutations connevents\r\n", b"OK\r\n")
                watcher.recv_line()

        def dumping(client):
            client.send(b"lru_crawler metadump all\r\n")
            if client.recv_line() == b"OK\r\n":
                client.recv_until(b"END\r\n")

        threads = [often(work) for work in (lambda client: fill(client, 5000), datagrams, watching, dumping)]
        try:
            with server.client() as client:
                first = before = client.stats()
                for _ in range(60):
                    for what in ("items", "slabs", "conns", "settings", "larder", "sizes"):
                        client.stats(what)
                    now = client.stats()
                    assert list(now) == list(first), set(now) ^ set(first)
                    for name in ("cmd_get", "cmd_set", "total_connections", "total_items", "bytes_read", "bytes_written"):
                        assert int(now[name]) >= int(before[name]), (name, before[name], now[name])
                    before = now
        finally:
            over.set()
            for thread in threads:
                thread.join(TIMEOUT_S)
        assert not problems, problems


if __name__ == "__main__":
    run_tests(globals())
