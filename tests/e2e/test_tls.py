#!/usr/bin/python3
"""TLS of the real server: handshakes, client certificates, resumption, reload, long values, rude clients, memory."""

import os
import re
import resource
import select
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
import warnings

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from server import TIMEOUT_S, Client, Server, Skip, free_port, larder_binary, run, run_tests, wait_until

ROOT = ["-u", "root"] if os.geteuid() == 0 else []
HERE = ROOT + ["-l", "127.0.0.1"]
INSTRUMENTED = float(os.environ.get("TEST_TIMEOUT_SCALE", "1")) > 1  # sanitizers have heaps of their own
IDLE_CLIENTS = 500
IDLE_BYTES_MAX = 19 * 1024  # per connection: 14 KB are structures of OpenSSL 3; none of its buffers of 16 KiB
HELD_BYTES_MAX = 64 * 34 * 1024  # per worker: those that busy streams hold, net/tls.h

V1_0, V1_1, V1_2, V1_3 = (
    ssl.TLSVersion.TLSv1,
    ssl.TLSVersion.TLSv1_1,
    ssl.TLSVersion.TLSv1_2,
    ssl.TLSVersion.TLSv1_3,
)


# -- certificates --------------------------------------------------------------------------------------


class Authority:
    """A certificate authority in a folder of its own, and what it has signed."""

    def __init__(self):
        if not shutil.which("openssl"):
            raise Skip("the command openssl is not installed")
        if b"ssl_chain_cert" not in run(["-h"]).stdout:
            raise Skip("the server was built without TLS")
        self.folder = tempfile.mkdtemp(prefix="larder-tls-")
        self.crt, self.key = self.path("ca.crt"), self.path("ca.key")
        self._openssl("req", "-x509", *self._new_key("ca.key"), "-out", self.crt, "-subj", "/CN=larder test CA")

    def path(self, name):
        return os.path.join(self.folder, name)

    def _openssl(self, *args):
        done = subprocess.run(["openssl", *args], capture_output=True, timeout=TIMEOUT_S, check=False)
        assert done.returncode == 0, (args, done.stderr)
        return done.stdout

    def _new_key(self, name):
        return [
            *("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
            *("-nodes", "-keyout", self.path(name)),
        ]

    def issue(self, name, common_name="localhost"):
        """NAME.crt, NAME.key and NAME.pem, which holds both."""
        request = self.path(name + ".csr")
        self._openssl("req", *self._new_key(name + ".key"), "-out", request, "-subj", f"/CN={common_name}")
        self._openssl(
            *("x509", "-req", "-in", request, "-CA", self.crt, "-CAkey", self.key),
            *("-set_serial", str(time.time_ns()), "-days", "30", "-out", self.path(name + ".crt")),
        )
        with open(self.path(name + ".pem"), "wb") as both:
            for part in (".crt", ".key"):
                with open(self.path(name + part), "rb") as file:
                    both.write(file.read())
        return self

    def to_der(self, name):
        path = self.path(name + ".der")
        self._openssl("ec", "-in", self.path(name + ".key"), "-outform", "DER", "-out", path)
        return path

    def to_encrypted(self, name):
        path = self.path(name + ".locked")
        self._openssl("ec", "-in", self.path(name + ".key"), "-aes128", "-passout", "pass:x", "-out", path)
        return path

    def serial(self, name):
        out = self._openssl("x509", "-in", self.path(name + ".crt"), "-noout", "-serial")
        return int(out.strip().partition(b"=")[2], 16)

    def options(self, name="server", extra=""):
        return [
            "-Z",
            "-o",
            f"ssl_chain_cert={self.path(name + '.crt')},ssl_key={self.path(name + '.key')}"
            + (f",{extra}" if extra else ""),
        ]

    def context(self, client=None, lowest=None, highest=None, ciphers=None):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.load_verify_locations(self.crt)
        if client:
            context.load_cert_chain(self.path(client + ".crt"), self.path(client + ".key"))
        if ciphers:
            context.set_ciphers(ciphers)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # old versions are asked for on purpose
            if lowest:
                context.minimum_version = lowest
            if highest:
                context.maximum_version = highest
        return context


_authority = None


def authority():
    """One for all tests; with a server's and a client's certificate."""
    global _authority
    if _authority is None:
        _authority = Authority().issue("server").issue("other").issue("client", "some client")
    return _authority


class TlsClient(Client):
    """A connection that speaks TLS."""

    def __init__(self, address, context, session=None, timeout=None):
        super().__init__(address, timeout)
        try:
            self.socket = context.wrap_socket(self.socket, server_hostname="localhost", session=session)
        except BaseException:
            self.socket.close()
            raise

    @property
    def serial(self):
        """The number of the server's certificate."""
        der = self.socket.getpeercert(binary_form=True)
        pem = ssl.DER_cert_to_PEM_cert(der)
        out = subprocess.run(
            ["openssl", "x509", "-noout", "-serial"], input=pem.encode(), capture_output=True, timeout=TIMEOUT_S, check=True
        ).stdout
        return int(out.strip().partition(b"=")[2], 16)


def tls(server, context=None, session=None, port=None):
    return TlsClient((server.host, port or server.port), context or authority().context(), session)


def refused(server, context, port=None):
    """Whether the server does not serve this client: in TLS 1.3 it learns of that after its own handshake."""
    try:
        with tls(server, context, port=port) as client:
            client.exchange(b"mn\r\n", b"MN\r\n")
    except (ssl.SSLError, ConnectionError, AssertionError):
        return True
    return False


class MixedServer(Server):
    """A server with one plain listener besides that with TLS: .plain is its port."""

    def __init__(self, prefix="", args=(), others=()):
        """others: more prefixes, each with a listener of its own; their ports are in .more"""
        self.plain = free_port()
        self.more = [free_port() for _ in others]
        port = free_port()
        listen = [f"notls:127.0.0.1:{self.plain}", f"{prefix}127.0.0.1:{port}"]
        listen += [f"{other}127.0.0.1:{number}" for other, number in zip(others, self.more)]
        super().__init__(args, options=ROOT + ["-l", ",".join(listen)])
        self.port = port

    def plain_client(self):
        return Client((self.host, self.plain))


def expect_refusal(args, code, *texts):
    done = run(HERE + ["-p", "0"] + args)
    assert done.returncode == code, (args, done)
    for text in texts:
        assert text.encode() in done.stderr, (args, text, done.stderr)


# -- handshakes ----------------------------------------------------------------------------------------


def test_serves_over_tls():
    with Server(authority().options()) as server, tls(server) as client:
        assert client.socket.version() == "TLSv1.3", client.socket.version()
        client.exchange(b"set a 0 0 1\r\nx\r\nget a\r\n", b"STORED\r\nVALUE a 0 1\r\nx\r\nEND\r\n")
        client.exchange(b"get none\r\n", b"END\r\n")
        client.send(b"quit\r\n")
        client.expect_close()


def test_key_in_the_chain_file_and_key_as_der():
    ca = authority()
    der = ca.to_der("server")
    for extra in (
        f"ssl_chain_cert={ca.path('server.pem')}",
        f"ssl_chain_cert={ca.path('server.crt')},ssl_key={der},ssl_keyformat=DER",
        f"ssl_chain_cert={ca.path('server.crt')},ssl_key={der},ssl_keyformat=2",
        f"ssl_chain_cert={ca.path('server.crt')},ssl_key={ca.path('server.key')},ssl_keyformat=PEM",
    ):
        with Server(["-Z", "-o", extra]) as server, tls(server) as client:
            client.exchange(b"mn\r\n", b"MN\r\n")


def test_versions():
    ca = authority()
    rows = [  # ssl_min_version, those that are let in, those that are not
        ("", [V1_2, V1_3], [V1_1]),
        ("ssl_min_version=2", [V1_2, V1_3], [V1_1]),
        ("ssl_min_version=3", [V1_3], [V1_2]),
        ("ssl_min_version=1", [V1_1, V1_2, V1_3], [V1_0]),
        ("ssl_min_version=0", [V1_0, V1_1, V1_2, V1_3], []),
    ]
    for extra, taken, not_taken in rows:
        with Server(ca.options(extra=extra)) as server:
            for version in taken:
                context = ca.context(lowest=version, highest=version, ciphers="ALL:@SECLEVEL=0")
                with tls(server, context) as client:
                    client.exchange(b"mn\r\n", b"MN\r\n")
                    assert client.socket.version() == version.name.replace("_", ".").replace("TLSv1.0", "TLSv1"), (
                        version,
                        client.socket.version(),
                    )
            for version in not_taken:
                assert refused(server, ca.context(lowest=version, highest=version, ciphers="ALL:@SECLEVEL=0")), (
                    extra,
                    version,
                )


def test_ciphers():
    ca = authority()
    wanted = "ECDHE-ECDSA-AES128-GCM-SHA256"
    with Server(ca.options(extra=f"ssl_ciphers={wanted}")) as server:
        with tls(server, ca.context(highest=V1_2)) as client:
            assert client.socket.cipher()[0] == wanted, client.socket.cipher()
        assert refused(server, ca.context(highest=V1_2, ciphers="ECDHE-ECDSA-CHACHA20-POLY1305"))
        with tls(server) as client:
            assert client.socket.version() == "TLSv1.3"
    with Server(ca.options(extra="ssl_ciphers=TLS_CHACHA20_POLY1305_SHA256")) as server:
        with tls(server) as client:
            assert client.socket.cipher()[0] == "TLS_CHACHA20_POLY1305_SHA256", client.socket.cipher()
        assert refused(server, ca.context(highest=V1_2))


def test_client_certificates_in_all_modes():
    ca = authority()
    stranger = Authority().issue("stranger")
    bare, known = ca.context(), ca.context("client")
    unknown = ca.context()
    unknown.load_cert_chain(stranger.path("stranger.crt"), stranger.path("stranger.key"))
    try:
        for mode, takes_bare, takes_unknown in ((0, True, True), (1, True, False), (2, False, False), (3, False, False)):
            extra = f"ssl_verify_mode={mode},ssl_ca_cert={ca.crt}"
            with MixedServer("", ca.options(extra=extra), others=["btls:", "mtls:"]) as server:
                basic, mutual = server.more
                assert not refused(server, known), mode
                assert refused(server, bare) != takes_bare, mode
                assert refused(server, unknown) != takes_unknown, mode
                for context in (known, bare, unknown):
                    assert not refused(server, context, basic), mode
                    assert refused(server, context, mutual) == (context is not known), mode
                with server.plain_client() as client:
                    client.exchange(b"mn\r\n", b"MN\r\n")
                    stats = client.stats()
                    assert int(stats["ssl_handshake_errors"]) >= (not takes_bare) + (not takes_unknown) + 2, stats
                    assert stats["ssl_proto_errors"] == "0", stats
    finally:
        shutil.rmtree(stranger.folder)


def test_verification_without_an_authority_is_warned_of():
    ca = authority()
    with Server(ca.options(extra="ssl_verify_mode=2")) as server:
        server.wait_for_log("no client's certificate can be verified without -o ssl_ca_cert")
        assert refused(server, ca.context("client"))
    with MixedServer("mtls:", ca.options()) as server:
        server.wait_for_log("no client's certificate can be verified without -o ssl_ca_cert")
        with server.plain_client() as client:
            client.expect_quiet()


# -- resumption ----------------------------------------------------------------------------------------


def resumed(server, context, port=None):
    """Whether a second connection goes on with the session of a first."""
    with tls(server, context, port=port) as first:
        first.exchange(b"mn\r\n", b"MN\r\n")  # a ticket of TLS 1.3 comes behind the handshake
        session = first.socket.session
    with tls(server, context, session, port) as second:
        second.exchange(b"mn\r\n", b"MN\r\n")
        return second.socket.session_reused


def test_sessions_are_resumed_with_the_cache_alone():
    ca = authority()
    for version in (V1_2, V1_3):
        with MixedServer("", ca.options(extra="ssl_session_cache")) as server, server.plain_client() as plain:
            assert plain.stats()["ssl_new_sessions"] == "0"
            assert resumed(server, ca.context(highest=version)), version
            assert plain.stats()["ssl_new_sessions"] == "1", plain.stats()
        with MixedServer("", ca.options()) as server, server.plain_client() as plain:
            assert not resumed(server, ca.context(highest=version)), version
            assert "ssl_new_sessions" not in plain.stats()


def test_sessions_by_id_are_resumed():
    ca = authority()
    context = ca.context(highest=V1_2)
    context.options |= ssl.OP_NO_TICKET
    with Server(ca.options(extra="ssl_session_cache")) as server:
        assert resumed(server, context)


def test_a_session_without_certificate_opens_no_listener_that_wants_one():
    ca = authority()
    for version in (V1_2, V1_3):
        context = ca.context(highest=version)
        options = ca.options(extra=f"ssl_session_cache,ssl_ca_cert={ca.crt}")
        with MixedServer("btls:", options, others=["mtls:"]) as server:
            with tls(server, context) as first:
                first.exchange(b"mn\r\n", b"MN\r\n")
                session = first.socket.session
            try:
                with tls(server, context, session, server.more[0]) as second:
                    second.exchange(b"mn\r\n", b"MN\r\n")
            except (ssl.SSLError, ConnectionError, AssertionError):
                pass
            else:
                raise AssertionError(f"{version}: let in by a session of btls")
            assert resumed(server, ca.context("client", highest=version), server.more[0])


# -- reload --------------------------------------------------------------------------------------------


def copy_as(ca, source, target):
    for part in (".crt", ".key"):
        shutil.copyfile(ca.path(source + part), ca.path(target + part))


def reload_by_signal(server, _):
    before = server.log().count("SIGHUP")
    server.signal(signal.SIGHUP)
    wait_until(lambda: server.log().count("SIGHUP") > before, "a reload")
    return server.log().rstrip().rpartition("\n")[2]


def reload_by_command(_, client):
    client.send(b"refresh_certs\r\n")
    answer = client.recv_line()
    if answer == b"ERROR\r\n":
        raise Skip("the session does not know refresh_certs")
    return answer.decode()


def check_reload(reload, done):
    ca = authority()
    copy_as(ca, "server", "current")
    with MixedServer("", ca.options("current")) as server, server.plain_client() as plain:
        assert reload(server, plain).startswith(done)
        with tls(server) as old:
            assert old.serial == ca.serial("server")
            copy_as(ca, "other", "current")
            with tls(server) as client:
                assert client.serial == ca.serial("server")
            assert reload(server, plain).startswith(done)
            with tls(server) as client:
                assert client.serial == ca.serial("other") != ca.serial("server")
            old.exchange(b"set a 0 0 1\r\nx\r\nget a\r\n", b"STORED\r\nVALUE a 0 1\r\nx\r\nEND\r\n")

            os.unlink(ca.path("current.crt"))
            path = ca.path("current.crt")
            answer = reload(server, plain)
            assert f"Error loading the certificate chain: {path} : " in answer, answer
            assert "No such file" in answer, answer
            shutil.copyfile(ca.path("server.crt"), ca.path("current.crt"))  # of another key
            answer = reload(server, plain)
            assert f"Error loading the key: {ca.path('current.key')} : " in answer, answer
            with tls(server) as client:
                assert client.serial == ca.serial("other")
            old.exchange(b"mn\r\n", b"MN\r\n")
        assert int(plain.stats()["time_since_server_cert_refresh"]) <= 2 * TIMEOUT_S


def test_reload_by_signal_keeps_old_connections():
    check_reload(reload_by_signal, "SIGHUP: certificates are loaded again")


def test_reload_by_command_keeps_old_connections():
    with Server() as server, server.client() as client:
        assert reload_by_command(server, client) == "Error TLS not enabled\r\n"
    check_reload(reload_by_command, "OK")


def test_reload_under_load():
    ca = authority()
    copy_as(ca, "server", "current")
    failures, stop = [], threading.Event()
    with MixedServer("", ca.options("current", "ssl_session_cache")) as server:

        def connect():
            try:
                while not stop.is_set():
                    with tls(server) as client:
                        client.exchange(b"get a\r\nmn\r\n", b"END\r\nMN\r\n")
            except BaseException as error:  # told by the main thread
                failures.append(error)

        threads = [threading.Thread(target=connect) for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            for i in range(20):
                copy_as(ca, ("server", "other")[i % 2], "current")
                answer = reload_by_signal(server, None)
                assert answer.startswith("SIGHUP: certificates are loaded again"), answer
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        assert not failures, failures


def test_relative_paths_of_a_daemon_are_loaded_again():
    ca = authority()
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        pid_file = os.path.join(folder, "pid")
        done = subprocess.run(
            [larder_binary(), *HERE, "-p", str(port), "-d", "-P", pid_file]
            + ["-Z", "-o", "ssl_chain_cert=server.crt,ssl_key=server.key,ssl_ca_cert=ca.crt"],
            cwd=ca.folder,
            timeout=TIMEOUT_S,
            check=False,
        )
        assert done.returncode == 0, done
        with open(pid_file, encoding="ascii") as file:
            pid = int(file.read())
        try:
            with TlsClient(("127.0.0.1", port), ca.context()) as client:
                client.exchange(b"mn\r\n", b"MN\r\n")
                os.kill(pid, signal.SIGHUP)
                client.exchange(b"mn\r\n", b"MN\r\n")
                client.send(b"refresh_certs\r\n")
                answer = client.recv_line()
                assert answer in (b"OK\r\n", b"ERROR\r\n"), answer
        finally:
            os.kill(pid, signal.SIGTERM)
        wait_until(lambda: not os.path.exists(pid_file), "the daemon's end")


# -- bytes ---------------------------------------------------------------------------------------------


def test_long_values_both_ways():
    ca = authority()
    value = os.urandom(1000000)
    for extra in ("", "ssl_wbuf_size=1", "ssl_wbuf_size=256"):
        for version in (V1_2, V1_3):
            with Server(["-m", "64"] + ca.options(extra=extra)) as server:
                with tls(server, ca.context(highest=version)) as client:
                    for _ in range(3):
                        client.exchange(b"set a 0 0 %d\r\n%b\r\n" % (len(value), value), b"STORED\r\n")
                        client.exchange(b"get a\r\n", b"VALUE a 0 %d\r\n%b\r\nEND\r\n" % (len(value), value))
                    small = b"VALUE b 7 3\r\nxyz\r\n"
                    client.exchange(b"set b 7 0 3\r\nxyz\r\n", b"STORED\r\n")
                    client.send(b"get b a b a b\r\n")
                    large = b"VALUE a 0 %d\r\n%b\r\n" % (len(value), value)
                    client.expect(small + large + small + large + small + b"END\r\n")


def test_values_of_many_sizes():
    sizes = sorted({1, 2, 100, 4095, 4096, 65535, 65536, 200000} | {n + d for n in (16384, 32768) for d in range(-40, 3, 7)})
    with Server(["-m", "64"] + authority().options()) as server, tls(server) as client:
        for size in sizes:
            value = os.urandom(size)
            client.exchange(b"set a 0 0 %d\r\n%b\r\n" % (size, value), b"STORED\r\n")
            client.exchange(b"get a\r\n", b"VALUE a 0 %d\r\n%b\r\nEND\r\n" % (size, value))


def interleave(sock, sent, wanted):
    """Sends and receives in turns, as far as each goes without waiting.  One thread: a TLS object takes no two at once."""
    got = bytearray()
    end = time.monotonic() + 30
    sock.setblocking(False)
    while len(got) < len(wanted):
        assert time.monotonic() < end, f"{len(got)} of {len(wanted)} bytes"
        idle = True
        for step in ("send", "receive"):
            try:
                if step == "receive":
                    part = sock.recv(65536)
                    assert part, f"closed after {len(got)} bytes"
                    got += part
                elif sent:
                    sent = sent[sock.send(sent[:700]) :]
                else:
                    continue
                idle = False
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                pass
        if idle:
            select.select([sock], [sock] if sent else [], [], 1)
    sock.settimeout(TIMEOUT_S)
    assert got == wanted


def test_pipelines():
    with Server(authority().options()) as server, tls(server) as client:
        client.exchange(b"set a 0 0 5\r\nhello\r\n", b"STORED\r\n")
        count = 5000
        interleave(client.socket, b"get a\r\n" * count, b"VALUE a 0 5\r\nhello\r\nEND\r\n" * count)
        client.send(b"get a\r\n" * count)
        client.expect(b"VALUE a 0 5\r\nhello\r\nEND\r\n" * count)
        client.expect_quiet()


def test_commands_in_records_of_one_byte():
    with Server(authority().options()) as server, tls(server) as client:
        for byte in b"set a 0 0 3\r\nabc\r\nget a\r\n":
            client.send(bytes([byte]))
        client.expect(b"STORED\r\nVALUE a 0 3\r\nabc\r\nEND\r\n")


def test_a_client_that_does_not_read_holds_nobody_up():
    ca = authority()
    value = os.urandom(500000)
    with Server(["-t", "1", "-m", "64"] + ca.options()) as server, tls(server) as slow, tls(server) as quick:
        quick.exchange(b"set a 0 0 %d\r\n%b\r\n" % (len(value), value), b"STORED\r\n")
        count = 40
        slow.send(b"get a\r\n" * count)
        for _ in range(100):
            quick.exchange(b"mn\r\n", b"MN\r\n")
        for _ in range(count):
            slow.expect(b"VALUE a 0 %d\r\n%b\r\nEND\r\n" % (len(value), value))
        slow.expect_quiet()


def test_many_clients_at_once():
    ca = authority()
    failures = []
    with Server(["-t", "2"] + ca.options()) as server:

        def talk(number):
            try:
                with tls(server) as client:
                    for i in range(50):
                        value = bytes([number]) * (1 + 997 * i % 40000)
                        client.exchange(b"set k%d 0 0 %d\r\n%b\r\n" % (number, len(value), value), b"STORED\r\n")
                        client.exchange(
                            b"get k%d\r\n" % number, b"VALUE k%d 0 %d\r\n%b\r\nEND\r\n" % (number, len(value), value)
                        )
            except BaseException as error:  # told by the main thread
                failures.append(error)

        threads = [threading.Thread(target=talk, args=(number,)) for number in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failures, failures


def test_stop_ends_streams_in_order():
    ca = authority()
    for number in (signal.SIGTERM, signal.SIGUSR1):
        with Server(ca.options()) as server, tls(server) as client:
            client.exchange(b"mn\r\n", b"MN\r\n")
            server.signal(number)
            assert server.wait_for_exit() == 0
            client.expect_close()  # by TLS's own notice: a mere end of the socket raises an error here


# -- rude clients --------------------------------------------------------------------------------------


def handshake_errors(plain):
    return int(plain.stats()["ssl_handshake_errors"])


def test_plain_client_on_a_tls_port_is_closed():
    with MixedServer("", authority().options() + ["-v"]) as server, server.plain_client() as plain:
        wait_until(lambda: int(plain.stats()["curr_connections"]) == 1, "the start's connection to end")
        before = handshake_errors(plain)
        for text in (b"version\r\n", b"get a\r\n", b"GET / HTTP/1.0\r\n\r\n", b"\x80\x0b" + bytes(22)):
            with Client((server.host, server.port)) as client:
                client.send(text)
                client.recv_to_end()  # an alert at most
        wait_until(lambda: handshake_errors(plain) == before + 4, "four errors")
        assert "TLS: error:" in server.log(), server.log()
        with tls(server) as client:
            client.exchange(b"mn\r\n", b"MN\r\n")
        assert plain.stats()["ssl_proto_errors"] == "0"


def test_tls_client_on_a_plain_port_is_no_harm():
    with MixedServer("", authority().options()) as server:
        try:
            with tls(server, port=server.plain):
                raise AssertionError("a plain port did a handshake")
        except (ssl.SSLError, OSError):
            pass
        with server.plain_client() as client:
            client.exchange(b"mn\r\n", b"MN\r\n")


def test_garbage():
    with MixedServer("", ["-t", "1"] + authority().options()) as server, server.plain_client() as plain:
        wait_until(lambda: int(plain.stats()["curr_connections"]) == 1, "the start's connection to end")
        before = handshake_errors(plain)
        records = [  # heads of records: kind, version, length
            bytes(512),
            b"\xff" * 512,
            os.urandom(4096),
            struct.pack(">BHH", 22, 0x0301, 0xFFFF) + bytes(70000),
            struct.pack(">BHH", 22, 0x0301, 16384) + os.urandom(16384),
            struct.pack(">BHH", 23, 0x0303, 100) + bytes(100),
            struct.pack(">BHHBB", 21, 0x0303, 2, 2, 80),
            b"\x16\x03\x01\x00\x05\x01\xff\xff\xff" + b"x",
        ]
        for record in records:
            with Client((server.host, server.port)) as client:
                try:
                    client.send(record)
                    client.shutdown_write()
                except OSError:
                    pass  # closed while more was on its way
                client.recv_to_end()
        wait_until(lambda: handshake_errors(plain) == before + len(records), "an error of each")
        with tls(server) as client:
            client.exchange(b"mn\r\n", b"MN\r\n")


def raw_stream(server, context):
    """A handshake done by hand: the socket, the encrypted side's input and output, and the stream."""
    sock = socket.create_connection((server.host, server.port), timeout=TIMEOUT_S)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    stream = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    while True:
        try:
            stream.do_handshake()
            break
        except ssl.SSLWantReadError:
            sock.sendall(outgoing.read())
            incoming.write(sock.recv(1 << 16))
    sock.sendall(outgoing.read())
    return sock, incoming, outgoing, stream


def test_a_broken_record_ends_the_stream():
    ca = authority()
    for version in (V1_2, V1_3):
        with MixedServer("", ca.options()) as server, server.plain_client() as plain:
            sock, _, outgoing, stream = raw_stream(server, ca.context(highest=version))
            with sock:
                stream.write(b"set a 0 0 1\r\nx\r\n")
                record = bytearray(outgoing.read())
                record[-1] ^= 1
                sock.sendall(record)
                try:
                    while sock.recv(1 << 16):
                        pass
                except ConnectionResetError:
                    pass
            wait_until(lambda: plain.stats()["ssl_proto_errors"] == "1", "an error of the protocol")
            plain.exchange(b"get a\r\n", b"END\r\n")


def test_records_byte_by_byte():
    with Server(authority().options()) as server:
        sock, incoming, outgoing, stream = raw_stream(server, authority().context())
        with sock:
            for text, answer in ((b"set a 0 0 1\r\nx\r\n", b"STORED\r\n"), (b"get a\r\n", b"VALUE a 0 1\r\nx\r\nEND\r\n")):
                stream.write(text)
                for byte in outgoing.read():
                    sock.sendall(bytes([byte]))
                got = b""
                while len(got) < len(answer):
                    try:
                        got += stream.read(1 << 16)
                    except ssl.SSLWantReadError:
                        incoming.write(sock.recv(1 << 16))
                assert got == answer, got


def test_renegotiation_is_refused():
    """By a client of TLS 1.2 that asks for it with openssl's own command."""
    ca = authority()
    with Server(ca.options()) as server:
        done = subprocess.run(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{server.port}", "-CAfile", ca.crt, "-tls1_2"],
            input=b"R\nversion\r\n",
            capture_output=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        assert b"RENEGOTIATING" in done.stdout + done.stderr, done
        assert b"no renegotiation" in done.stderr and b"VERSION" not in done.stdout, done
        with tls(server) as client:
            client.exchange(b"mn\r\n", b"MN\r\n")


def test_slow_handshakes_hold_nobody_up():
    ca = authority()
    with Server(["-t", "1"] + ca.options()) as server:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        stream = ca.context().wrap_bio(incoming, outgoing, server_hostname="localhost")
        try:
            stream.do_handshake()
        except ssl.SSLWantReadError:
            pass
        hello = outgoing.read()
        halves = []
        for _ in range(50):  # these never go on
            half = Client((server.host, server.port))
            half.send(hello[: len(hello) // 2])
            halves.append(half)
        sock = socket.create_connection((server.host, server.port), timeout=TIMEOUT_S)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with sock, tls(server) as quick:
            while True:
                for at in range(0, len(hello)):
                    sock.sendall(hello[at : at + 1])
                    if at % 16 == 0:
                        quick.exchange(b"mn\r\n", b"MN\r\n")
                done = False
                while True:
                    try:
                        stream.do_handshake()
                        done = True
                        break
                    except ssl.SSLWantReadError:
                        if outgoing.pending:
                            break
                        incoming.write(sock.recv(1 << 16))
                hello = outgoing.read()
                if done:
                    break
            stream.write(b"mn\r\n")
            for byte in hello + outgoing.read():
                sock.sendall(bytes([byte]))
            answer = b""
            while answer != b"MN\r\n":
                try:
                    answer += stream.read(100)
                except ssl.SSLWantReadError:
                    incoming.write(sock.recv(1 << 16))
        for half in halves:
            half.close()


def test_idle_handshakes_are_kicked():
    with Server(["-o", "idle_timeout=1"] + authority().options()) as server:
        with Client((server.host, server.port)) as half, tls(server) as idle:
            half.send(b"\x16\x03\x01")
            half.expect_close()
            idle.expect_close()


def test_no_room_is_told_by_a_close():
    with MixedServer("", ["-c", "4"] + authority().options()) as server:
        clients = [server.plain_client()]
        wait_until(lambda: int(clients[0].stats()["curr_connections"]) == 1, "the start's connection to end")
        clients += [server.plain_client() for _ in range(3)]
        for client in clients:
            client.exchange(b"mn\r\n", b"MN\r\n")
        with Client((server.host, server.port)) as client:
            client.expect_close()  # without a text, which would be no TLS
        with Client((server.host, server.plain)) as client:
            client.expect(b"ERROR Too many open connections\r\n")
        for client in clients:
            client.close()


# -- listeners and options -----------------------------------------------------------------------------


def test_unix_socket_is_plain():
    with Server(authority().options(), unix=True) as server, server.client() as client:
        client.exchange(b"mn\r\n", b"MN\r\n")


def test_stats_and_settings():
    ca = authority()
    with Server() as server, server.client() as client:
        names = [name for name in client.stats() if "ssl" in name or "cert" in name]
        assert not names, names
        assert client.stats("settings")["ssl_enabled"] == "no"
        assert client.stats("settings")["ssl_min_version"] == "tlsv1.2"
    shown = {
        "ssl_enabled": "yes",
        "ssl_chain_cert": ca.path("server.crt"),
        "ssl_key": ca.path("server.key"),
        "ssl_verify_mode": "3",
        "ssl_keyformat": "1",
        "ssl_ciphers": "HIGH:!aNULL",
        "ssl_ca_cert": ca.crt,
        "ssl_wbuf_size": "4096",
        "ssl_session_cache": "yes",
        "ssl_kernel_tls": "yes",
        "ssl_min_version": "tlsv1.3",
    }
    extra = (
        f"ssl_verify_mode=2,ssl_ciphers=HIGH:!aNULL,ssl_ca_cert={ca.crt},ssl_wbuf_size=4,"
        "ssl_session_cache,ssl_kernel_tls,ssl_min_version=3"
    )
    with MixedServer("", ca.options(extra=extra)) as server, server.plain_client() as plain:
        settings = plain.stats("settings")
        names = list(settings)
        assert {name: settings[name] for name in shown} == shown, settings
        start = names.index("ssl_enabled")
        assert names[start : start + len(shown) + 1] == [*shown, "num_napi_ids"], names
        names = list(plain.stats())
        start = names.index("log_watchers")
        assert names[start + 1 : start + 6] == [
            "ssl_new_sessions",
            "ssl_handshake_errors",
            "ssl_proto_errors",
            "time_since_server_cert_refresh",
            "unexpected_napi_ids",
        ], names
    with MixedServer("", ca.options()) as server, server.plain_client() as plain:
        settings = plain.stats("settings")
        assert settings["ssl_ciphers"] == settings["ssl_ca_cert"] == "NULL", settings
        assert settings["ssl_verify_mode"] == "0" and settings["ssl_wbuf_size"] == "16384", settings


def test_wrong_files_name_themselves():
    ca = authority()
    crt, key = ca.path("server.crt"), ca.path("server.key")
    garbage = ca.path("garbage")
    with open(garbage, "wb") as file:
        file.write(b"neither certificate nor key\n")
    rows = [
        (f"ssl_chain_cert=/nope/x,ssl_key={key}", "Error loading the certificate chain: /nope/x : ", "PEM file"),
        (f"ssl_chain_cert={garbage},ssl_key={key}", f"Error loading the certificate chain: {garbage} : ", "PEM file"),
        (f"ssl_chain_cert={crt},ssl_key=/nope/x", "Error loading the key: /nope/x : ", "ssl_keyformat"),
        (f"ssl_chain_cert={crt}", f"Error loading the key: {crt} : ", "ssl_key takes"),
        (f"ssl_chain_cert={crt},ssl_key={garbage}", f"Error loading the key: {garbage} : ", "ssl_keyformat"),
        (f"ssl_chain_cert={crt},ssl_key={key},ssl_keyformat=DER", f"Error loading the key: {key} : ", "DER"),
        (f"ssl_chain_cert={crt},ssl_key={ca.path('other.key')}", "Error loading the key: ", "mismatch"),
        (f"ssl_chain_cert={crt},ssl_key={ca.to_encrypted('server')}", "Error loading the key: ", "pass phrase"),
        (f"ssl_chain_cert={crt},ssl_key={key},ssl_ca_cert=/nope/x", "Error loading the CA certificate: /nope/x : ", "PEM"),
        (f"ssl_chain_cert={crt},ssl_key={key},ssl_ca_cert={garbage}", "Error loading the CA certificate: ", garbage),
        (f"ssl_chain_cert={crt},ssl_key={key},ssl_ciphers=FOO", "Error setting the provided cipher(s): FOO", "colons"),
        (f"ssl_chain_cert={crt},ssl_key={key},ssl_ciphers=TLS_FOO", "Error setting the provided cipher(s): ", "TLS_FOO"),
    ]
    for extra, error, hint in rows:
        expect_refusal(["-Z", "-o", extra], 64, error, hint)
    expect_refusal(["-Z"], 64, "Error loading the certificate chain: -Z needs -o ssl_chain_cert=")


def test_key_is_read_before_the_user_changes():
    if os.geteuid() != 0:
        raise Skip("needs root, to become nobody")
    ca = authority()
    os.chmod(ca.path("server.key"), 0o600)
    port = free_port()
    options = ["-u", "nobody", "-l", "127.0.0.1", "-p", str(port)]
    server = Server(ca.options(), options=options)
    server.port = port
    with server, tls(server) as client:
        client.exchange(b"mn\r\n", b"MN\r\n")


# -- the kernel's TLS, memory --------------------------------------------------------------------------


def test_kernel_tls():
    """Where the kernel has none the option changes nothing, which is looked at everywhere."""
    ca = authority()
    value = os.urandom(300000)
    for version in (V1_2, V1_3):
        with Server(ca.options(extra="ssl_kernel_tls")) as server, tls(server, ca.context(highest=version)) as client:
            for _ in range(5):
                client.exchange(b"set a 0 0 %d\r\n%b\r\n" % (len(value), value), b"STORED\r\n")
                client.exchange(b"get a\r\n", b"VALUE a 0 %d\r\n%b\r\nEND\r\n" % (len(value), value))


def rss(pid):
    with open(f"/proc/{pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def test_idle_streams_are_small():
    if INSTRUMENTED:
        raise Skip("memory under sanitizers says nothing")
    ca = authority()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < IDLE_CLIENTS + 100:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, IDLE_CLIENTS + 100), hard))
    context = ca.context()
    with Server(["-c", str(IDLE_CLIENTS + 50), "-t", "2"] + ca.options()) as server:
        clients = []
        for _ in range(20):
            clients.append(tls(server, context))
        for client in clients:
            client.exchange(b"set a 0 0 20000\r\n" + bytes(20000) + b"\r\n", b"STORED\r\n")
        before = rss(server.pid)
        for _ in range(IDLE_CLIENTS):
            client = tls(server, context)
            client.send(b"get a\r\n")
            client.recv_until(b"END\r\n")
            clients.append(client)
        each = (rss(server.pid) - before - 2 * HELD_BYTES_MAX) / IDLE_CLIENTS
        print(f"an idle stream takes {each:.0f} bytes without the buffers that a worker's last ones hold")
        for client in clients:
            client.close()
        assert each <= IDLE_BYTES_MAX, each


if __name__ == "__main__":
    try:
        run_tests(globals())
    finally:
        if _authority is not None:
            shutil.rmtree(_authority.folder)
