"""larder_serve() with clients: TLS beside plain and unix sockets, certificates loaded again, several at once, stops
while clients are busy, and what is told when it cannot serve.  The host is this program."""

import contextlib
import errno
import os
import shutil
import socket
import ssl
import sys
import tempfile
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from library import Cache, Refused, Serving, check, larder, name_of, numbers  # noqa: E402
from server import TIMEOUT_S, Client, Skip, free_port, run_tests  # noqa: E402
from test_tls import TlsClient, authority, refused, tls  # noqa: E402

globals().update(numbers)

BUSY_CLIENTS = 8
STOPS = 6


@contextlib.contextmanager
def folder():
    path = tempfile.mkdtemp(prefix="larder-serving-")
    try:
        yield path
    finally:
        shutil.rmtree(path)


def certificate(name="server"):
    """The options of a serve with that certificate."""
    return {"tls_cert": authority().path(name + ".crt"), "tls_key": authority().path(name + ".key")}


def refusal(cache, **members):
    """What larder_serve() says when it should not serve."""
    try:
        Serving(cache, **members).stop()
    except Refused as error:
        return error
    raise AssertionError(f"serves with {members}")


# -- TLS -------------------------------------------------------------------------------------------------------


def test_plain_tls_and_unix_clients_see_one_cache():
    plain = free_port()
    with folder() as directory, Cache() as cache:
        path = os.path.join(directory, "socket")
        with Serving(cache, listen=f"127.0.0.1,notls:127.0.0.1:{plain}", unix_path=path, **certificate()) as server:
            assert server.port not in (0, plain)
            cache.set(b"host", b"says so")
            with tls(server) as secret, Client(("127.0.0.1", plain)) as open_one, Client(path) as local:
                assert secret.socket.version() == "TLSv1.3" and secret.serial == authority().serial("server")
                for number, client in enumerate((secret, open_one, local)):
                    client.exchange(b"get host\r\n", b"VALUE host 0 7\r\nsays so\r\nEND\r\n")
                    client.exchange(b"set k%d 0 0 2\r\nhi\r\n" % number, b"STORED\r\n")
                for client in (secret, open_one, local):
                    client.exchange(b"mg k0 v\r\nmg k1 v\r\nmg k2 v\r\n", b"VA 2\r\nhi\r\n" * 3)
                long = bytes(range(256)) * 1000
                cache.set(b"long", long)
                reply = b"VALUE long 0 256000\r\n" + long + b"\r\nEND\r\n"
                for client in (secret, open_one, local):
                    client.exchange(b"get long\r\n", reply)
            # A client that speaks plainly where TLS is served is not served, and disturbs nobody.
            with Client(("127.0.0.1", server.port)) as client:
                client.send(b"get host\r\n")
                assert b"VALUE" not in client.socket.recv(100)
            with tls(server) as client:
                client.exchange(b"mn\r\n", b"MN\r\n")
        assert [cache.get(b"k%d" % number) for number in range(3)] == [b"hi"] * 3


def test_clients_show_a_certificate():
    with Cache() as cache, Serving(cache, tls_ca=authority().crt, **certificate()) as server:
        assert refused(server, authority().context())
        with tls(server, authority().context(client="client")) as client:
            client.exchange(b"mn\r\n", b"MN\r\n")


def test_certificates_are_loaded_again():
    ca = authority()
    with folder() as directory, Cache() as cache:
        paths = {"tls_cert": os.path.join(directory, "crt"), "tls_key": os.path.join(directory, "key")}

        def install(name):
            shutil.copy(ca.path(name + ".crt"), paths["tls_cert"])
            shutil.copy(ca.path(name + ".key"), paths["tls_key"])

        install("server")
        with Serving(cache, **paths) as server, tls(server) as first:
            assert first.serial == ca.serial("server")
            install("other")
            server.reload_certificates()
            with tls(server) as second:
                assert second.serial == ca.serial("other")
                first.exchange(b"set a 0 0 1\r\n1\r\n", b"STORED\r\n")
                second.exchange(b"get a\r\n", b"VALUE a 0 1\r\n1\r\nEND\r\n")

            # A bad file: what is in use stays, and the host is told of which file and why.
            with open(paths["tls_key"], "w") as file:
                file.write("no key\n")
            try:
                server.reload_certificates()
                raise AssertionError("loads what is no key")
            except Refused as error:
                assert error.result == LARDER_SYSTEM and error.errno != 0, (name_of(error.result), error.errno)
                assert paths["tls_key"] in error.text and "tls_key:" in error.text and "ssl_" not in error.text, error.text
            with tls(server) as client:
                assert client.serial == ca.serial("other")

            install("server")  # and a client asks for it
            first.exchange(b"refresh_certs\r\n", b"OK\r\n")
            with tls(server) as client:
                assert client.serial == ca.serial("server")
        with Serving(cache) as server:
            try:
                server.reload_certificates()
                raise AssertionError("loads certificates without TLS")
            except Refused as error:
                assert error.result == LARDER_BAD_OPTION and "tls_cert" in error.text, error


def test_reloads_while_clients_come():
    """Every handshake is with one of the two certificates, none fails."""
    ca = authority()
    serials, failed = set(), []
    with folder() as directory, Cache() as cache:
        paths = [os.path.join(directory, name) for name in ("one", "two")]
        for path, name in zip(paths, ("server", "other")):
            shutil.copy(ca.path(name + ".pem"), path)
        current = os.path.join(directory, "pem")
        os.symlink(paths[0], current)
        with Serving(cache, tls_cert=current) as server:
            stop = threading.Event()

            def connect():
                while not stop.is_set():
                    try:
                        with tls(server) as client:
                            client.exchange(b"mn\r\n", b"MN\r\n")
                            serials.add(client.socket.getpeercert(binary_form=True))
                    except Exception as error:
                        failed.append(error)

            threads = [threading.Thread(target=connect) for _ in range(2)]
            for thread in threads:
                thread.start()
            for turn in range(60):
                other = os.path.join(directory, "link")
                os.symlink(paths[turn % 2], other)
                os.rename(other, current)
                server.reload_certificates()
            stop.set()
            for thread in threads:
                thread.join(TIMEOUT_S)
    assert not failed, failed[:3]
    assert 1 <= len(serials) <= 2


# -- several at once -------------------------------------------------------------------------------------------


def test_two_caches_and_two_serves_of_one():
    ca = authority()
    with Cache() as one, Cache(cas_disabled=1) as two:
        with (Serving(one, **certificate("server")) as first, Serving(one, **certificate("other")) as second,
              Serving(one, threads=1) as plain, Serving(two, **certificate("other")) as apart):
            with tls(first) as a, tls(second) as b, Client(("127.0.0.1", plain.port)) as c, tls(apart) as d:
                assert (a.serial, b.serial, d.serial) == (ca.serial("server"), ca.serial("other"), ca.serial("other"))
                a.exchange(b"set k 0 0 1\r\n1\r\n", b"STORED\r\n")
                for client in (b, c):
                    client.exchange(b"get k\r\n", b"VALUE k 0 1\r\n1\r\nEND\r\n")
                d.exchange(b"get k\r\n", b"END\r\n")
                d.exchange(b"set k 0 0 1\r\n2\r\n", b"STORED\r\n")
                assert (one.get(b"k"), two.get(b"k")) == (b"1", b"2")
                # One of them stops: the others serve on.
                first.stop()
                a.expect_close()
                for client, value in ((b, b"1"), (c, b"1"), (d, b"2")):
                    client.exchange(b"get k\r\n", b"VALUE k 0 1\r\n" + value + b"\r\nEND\r\n")
                check(larder.close(one.handle), LARDER_BUSY)
        assert one.get(b"k") == b"1"


# -- stopping --------------------------------------------------------------------------------------------------


class Pipeline:
    """A client that sends as fast as it can, so that stops come in the middle of everything."""

    def __init__(self, server, secure):
        self.ended = None
        self.first = threading.Event()
        self.thread = threading.Thread(target=self.run, args=(("127.0.0.1", server.port), secure))
        self.thread.start()

    def run(self, address, secure):
        batch = b"".join(b"set b%d 0 0 %d\r\n%s\r\nget b%d\r\n" % (i, 3000 * i, b"x" * 3000 * i, i) for i in range(8))
        try:
            with (TlsClient(address, authority().context()) if secure else Client(address)) as client:
                while True:
                    client.send(batch)
                    if not client.socket.recv(1 << 16):
                        self.ended = "end"
                        return
                    self.first.set()
        except socket.timeout:
            self.ended = "timeout"
        except (OSError, AssertionError):
            self.ended = "reset"
        finally:
            self.first.set()


def test_stops_while_clients_are_busy():
    for turn in range(STOPS):
        secure = certificate() if turn % 2 else {}
        with Cache() as cache:
            with Serving(cache, graceful=turn // 2 % 2, **secure) as server:
                clients = [Pipeline(server, bool(secure)) for _ in range(BUSY_CLIENTS)]
                for client in clients:
                    assert client.first.wait(TIMEOUT_S)
                server.stop()
                for client in clients:
                    client.thread.join(TIMEOUT_S)
                assert [client.ended for client in clients if client.ended not in ("end", "reset")] == [], turn
            cache.set(b"after", b"1")
            assert cache.get(b"after") == b"1" and cache.stats().items > 1


def test_a_graceful_stop_answers_what_was_received():
    for secure in ({}, certificate()):
        with Cache() as cache, Serving(cache, graceful=1, threads=1, **secure) as server:
            with tls(server) if secure else Client(("127.0.0.1", server.port)) as client:
                client.exchange(b"mn\r\n", b"MN\r\n")
                client.send(b"".join(b"set k%d 0 0 1\r\n1\r\n" % i for i in range(200)) + b"mn\r\n")
                # The first answer is here: all of them came as one record, or one segment.
                client.expect(b"STORED\r\n")
                server.stop()
                client.expect(b"STORED\r\n" * 199 + b"MN\r\n")
                client.expect_close()
            assert cache.stats().items == 200


# -- what is told ----------------------------------------------------------------------------------------------


def test_a_taken_port_is_named_with_its_address():
    with Cache() as cache, Serving(cache) as server:
        error = refusal(cache, port=server.port)
        assert error.result == LARDER_SYSTEM and error.errno == errno.EADDRINUSE, (error, error.errno)
        assert "127.0.0.1" in error.text and str(server.port) in error.text and "in use" in error.text, error
        error = refusal(cache, listen=f"127.0.0.1:{server.port}")
        assert error.errno == errno.EADDRINUSE and f"127.0.0.1:{server.port}" in error.text, error
        error = refusal(cache, port=server.port, listen=None)
        assert error.errno == errno.EADDRINUSE and str(server.port) in error.text, error
        error = refusal(cache, listen="192.0.2.1")
        assert error.result == LARDER_SYSTEM and "192.0.2.1" in error.text and error.errno == errno.EADDRNOTAVAIL, error
        error = refusal(cache, listen="127.0.0.1:70000")
        assert error.result == LARDER_BAD_OPTION and "70000" in error.text and "65535" in error.text, error
        with Client(("127.0.0.1", server.port)) as client:
            client.exchange(b"mn\r\n", b"MN\r\n")


def test_a_bad_path_is_named():
    with folder() as directory, Cache() as cache:
        taken = os.path.join(directory, "a file")
        with open(taken, "w") as file:
            file.write("stays")
        long = os.path.join(directory, "x" * 120)
        for path, number in ((os.path.join(directory, "none", "socket"), errno.ENOENT), (taken, errno.EADDRINUSE),
                             (long, errno.ENAMETOOLONG)):
            error = refusal(cache, port=-1, unix_path=path)
            assert error.result == LARDER_SYSTEM and path in error.text and error.errno == number, (error, error.errno)
        assert "107 bytes" in error.text, error
        with open(taken) as file:
            assert file.read() == "stays"
        error = refusal(cache, port=-1, unix_path="")
        assert error.result == LARDER_BAD_OPTION and "unix_path" in error.text, error
        assert os.listdir(directory) == ["a file"]


def test_a_bad_certificate_is_named():
    ca = authority()
    with Cache() as cache:
        nowhere = ca.path("nowhere")
        for members, named in (
            ({"tls_cert": nowhere}, nowhere),
            ({"tls_cert": ca.path("server.key")}, ca.path("server.key")),
            ({"tls_cert": ca.path("server.crt"), "tls_key": nowhere}, nowhere),
            ({"tls_cert": ca.path("server.crt"), "tls_key": ca.path("other.key")}, ca.path("other.key")),
            ({"tls_cert": ca.path("server.crt"), "tls_key": ca.to_encrypted("server")}, ca.path("server.locked")),
            ({**certificate(), "tls_ca": nowhere}, nowhere),
        ):
            error = refusal(cache, **members)
            assert error.result == LARDER_SYSTEM and error.errno != 0, (members, error.errno)
            assert named in error.text and "tls_cert:" in error.text and "ssl_" not in error.text, error.text
            assert error.errno == errno.ENOENT or named != nowhere, (members, error.errno)


def main():
    try:
        authority()
    except Skip as reason:  # built without TLS, or there is no openssl: the rest is tests/embed/serving.c's, too
        print(f"skipped: {reason}")
        sys.exit(77)
    run_tests(globals())


if __name__ == "__main__":
    main()
