#!/usr/bin/python3
"""-Y: clients log in before anything else; who may, a file says, which SIGHUP loads again."""

import os
import signal
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from server import TIMEOUT_S, Server, Skip, memcached_binary, run, run_tests

RELOADS = 50
DENIED = b"CLIENT_ERROR unauthenticated\r\n"
WRONG = b"CLIENT_ERROR authentication failure\r\n"
MALFORMED = "] has a malformed entry. Should be 'user:password'"


class Users:
    """A file of users in a folder of its own."""

    def __init__(self, text):
        self.folder = tempfile.TemporaryDirectory(prefix="larder-users-")
        self.path = os.path.join(self.folder.name, "users")
        self.write(text)

    def write(self, text):
        """As an editor does: the new file takes the old one's place at once."""
        data = text.encode() if isinstance(text, str) else text
        with open(self.path + ".new", "wb") as file:
            file.write(data)
        os.replace(self.path + ".new", self.path)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.folder.cleanup()


def login(user, password):
    token = f"{user} {password}".encode()
    return b"set any 0 0 %d\r\n%s\r\n" % (len(token), token)


def log_in(client, user="ann", password="secret"):
    client.exchange(login(user, password), b"STORED\r\n")
    return client


def reload(server):
    """SIGHUP, and the line that it logs."""
    before = server.log().count("SIGHUP")
    server.signal(signal.SIGHUP)
    deadline = time.monotonic() + TIMEOUT_S
    while server.log().count("SIGHUP") == before or not server.log().endswith("\n"):
        assert time.monotonic() < deadline, server.log()
        time.sleep(0.002)  # between two looks
    return server.log().splitlines()[-1]


def test_after_a_login_all_is_as_without():
    with Users("ann:secret\n") as users, Server(["-Y", users.path]) as server, server.client() as client:
        client.exchange(b"get k\r\n", DENIED)
        log_in(client)
        client.exchange(b"set k 5 0 3\r\nabc\r\nget k\r\n", b"STORED\r\nVALUE k 5 3\r\nabc\r\nEND\r\n")
        client.exchange(b"mg k v\r\nms k 1\r\nx\r\n", b"VA 3\r\nabc\r\nHD\r\n")
        with server.client() as other:
            other.exchange(b"get k\r\n", DENIED)
        settings = client.stats("settings")
        assert settings["auth_enabled_ascii"] == users.path and settings["auth_enabled_sasl"] == "no"
        assert settings["binding_protocol"] == "ascii"
    with Server() as server, server.client() as client:
        assert client.stats("settings")["auth_enabled_ascii"] == "no"


def test_more_users_than_eight():
    text = "".join(f"user{i}:pass{i}\n" for i in range(500))
    with Users(text[:-1]) as users, Server(["-Y", users.path]) as server:
        for i in (0, 7, 8, 9, 250, 499):
            with server.client() as client:
                client.exchange(login(f"user{i}", f"pass{i + 1}"), WRONG)
                log_in(client, f"user{i}", f"pass{i}")
        with server.client() as client:
            client.exchange(login("user500", "pass500"), WRONG)


def test_counters():
    with Users("ann:secret\n") as users, Server(["-Y", users.path]) as server, server.client() as client:
        client.exchange(b"get k\r\n", DENIED)
        client.exchange(login("ann", "wrong"), WRONG)
        client.exchange(login("bob", "secret"), WRONG)
        stats = log_in(client).stats()
        assert (stats["auth_cmds"], stats["auth_errors"]) == ("3", "2"), stats


def test_split_at_each_byte():
    request = b"get k\r\n" + login("ann", "wrong") + login("ann", "secret") + b"get k\r\n"
    with Users("ann:secret\n") as users, Server(["-Y", users.path, "-t", "2"]) as server:
        for at in range(1, len(request)):
            with server.client() as client, server.client() as other:
                client.send(request[:at])
                other.exchange(b"get k\r\n", DENIED)  # now the server has had the first part, most likely
                client.exchange(request[at:], DENIED + WRONG + b"STORED\r\nEND\r\n")


def test_pipeline_of_many():
    with Users("ann:secret\n") as users, Server(["-Y", users.path]) as server, server.client() as client:
        count = 5000
        replies = []
        reader = threading.Thread(
            target=lambda: replies.append(client.recv_exact(count * len(DENIED + WRONG) + 13))
        )
        reader.start()
        client.send((b"get k\r\n" + login("ann", "wrong")) * count + login("ann", "secret") + b"get k\r\n")
        reader.join(TIMEOUT_S)
        assert replies == [(DENIED + WRONG) * count + b"STORED\r\nEND\r\n"]


def test_binary_clients_get_no_binary_answer():
    version = b"\x80\x0b" + bytes(22)
    with Users("ann:secret\n") as users, Server(["-Y", users.path]) as server, server.client() as client:
        client.exchange(version + b"\r\n", DENIED)


def test_reload():
    with Users("ann:secret\nbob:old\n") as users, Server(["-Y", users.path]) as server:
        with server.client() as first:
            log_in(first, "bob", "old")
            users.write("ann:secret\nbob:new\ncarl:x\n")
            assert "is loaded again, 3 entries" in reload(server)
            with server.client() as client:
                client.exchange(login("bob", "old"), WRONG)
                log_in(client, "bob", "new")
            with server.client() as client:
                log_in(client, "carl", "x")
            first.exchange(b"get k\r\n", b"END\r\n")  # who is in stays in


def test_a_bad_file_changes_nothing():
    with Users("ann:secret\n") as users, Server(["-Y", users.path]) as server:
        users.write("bob:x\nbroken line with hunter2\n")
        line = reload(server)
        assert users.path in line and "line 2" in line and "hunter2" not in line, line
        os.unlink(users.path)
        assert "No such file or directory" in reload(server)
        with server.client() as client:
            client.exchange(login("bob", "x"), WRONG)
            log_in(client)
        users.write("bob:x\n")
        assert "1 entries" in reload(server)
        with server.client() as client:
            client.exchange(login("ann", "secret"), WRONG)
            log_in(client, "bob", "x")


def test_reload_under_load():
    """Whoever stands in the old file and in the new one is never refused, and nobody else gets in."""
    with Users("ann:secret\n") as users, Server(["-Y", users.path, "-t", "4"]) as server:
        stop = threading.Event()
        wrong, logins = [], [0] * 4

        def work(index):
            try:
                while not stop.is_set():
                    with server.client() as client:
                        client.exchange(
                            login("eve", "secret") + login("ann", "secret") + b"set k 0 0 1\r\nv\r\nget k\r\n",
                            WRONG + b"STORED\r\nSTORED\r\nVALUE k 0 1\r\nv\r\nEND\r\n",
                        )
                    logins[index] += 1
            except Exception as error:
                wrong.append(error)

        threads = [threading.Thread(target=work, args=(i,)) for i in range(len(logins))]
        for thread in threads:
            thread.start()
        for i in range(RELOADS):
            users.write(f"x{i}:y\nann:secret\n" if i % 3 else "ann:secret\nbroken\n")
            before = sum(logins)
            line = reload(server)
            assert ("is loaded again" in line) == bool(i % 3), line
            deadline = time.monotonic() + TIMEOUT_S
            while sum(logins) < before + 2 and not wrong:
                assert time.monotonic() < deadline
                time.sleep(0.001)  # between two looks
        stop.set()
        for thread in threads:
            thread.join(TIMEOUT_S)
        assert not wrong, wrong


def test_daemon_finds_its_file_again():
    """A daemon's working folder is /: the file was named from another one."""
    with Users("ann:secret\n") as users:
        before = os.getcwd()
        os.chdir(users.folder.name)
        try:
            with Server(["-Y", "users"]) as server:
                os.chdir("/")
                users.write("bob:x\n")
                assert "1 entries" in reload(server)
        finally:
            os.chdir(before)


def test_start_up_errors():
    cases = [
        (b"nobody\n", MALFORMED + ": line 1"),
        (b"a:b\n\nc:d\n", MALFORMED + ": line 2"),
        (b"\n", MALFORMED + ": line 1"),
        (b"a:b\nc:" + b"x" * 254 + b"\n", MALFORMED + " of 255 bytes at most: line 2"),
        (b"a:bbbbb\n" * (1 << 19) + b"a", "has more than 4194304 bytes"),
    ]
    for text, why in cases:
        with Users(text) as users:
            done = run(["-Y", users.path, "-u", "root", "-l", "127.0.0.1", "-p", "-1"])
            assert done.returncode == 1, done
            assert f"Authfile [{users.path}" in done.stderr.decode() and why in done.stderr.decode(), done
    done = run(["-Y", "/nonexistent/users", "-u", "root", "-p", "-1"])
    assert done.returncode == 1, done
    assert done.stderr == (
        b"Could not open authfile [/nonexistent/users] for reading, error No such file or directory\n"
    ), done
    done = run(["-Y", "/", "-u", "root", "-p", "-1"])
    assert done.returncode == 1 and b"Is a directory" in done.stderr, done


def test_bad_combinations():
    for args, why in [
        (["-B", "binary"], b"ERROR: You cannot allow the BINARY protocol while using ascii authentication tokens."),
        (["-B", "auto"], b"ERROR: You cannot allow the BINARY protocol while using ascii authentication tokens."),
    ]:
        for order in (["-Y", "/x", *args], [*args, "-Y", "/x"]):
            done = run(order)
            assert done.returncode == 64 and done.stderr.startswith(why), done
    done = run(["-Y", "/x", "-U", "11999"])
    assert done.returncode == 64 and done.stderr, done


def test_files_that_are_taken():
    for text, user, password in [
        (b"ann:secret", "ann", "secret"),
        (b"bob:x\r\nann:secret\r\n", "ann", "secret"),
        (b"ann:a:b\n", "ann", "a:b"),
        (b"ann:two words\n", "ann", "two words"),
        (b"ann:" + b"x" * 251 + b"\n", "ann", "x" * 251),
        (b":\nann:\n:x\nann:secret\n", "ann", "secret"),
    ]:
        with Users(text) as users, Server(["-Y", users.path]) as server, server.client() as client:
            log_in(client, user, password)
    with Users(b"") as users, Server(["-Y", users.path]) as server, server.client() as client:
        client.exchange(login("a", "b"), WRONG)


def test_passwords_are_not_logged():
    with Users("ann:hunter2\n") as users, Server(["-Y", users.path, "-vvv"]) as server:
        with server.client() as client:
            client.exchange(login("ann", "hunter3"), WRONG)
            log_in(client, "ann", "hunter2")
            client.send(b"stats settings\r\nstats conns\r\nstats\r\n")
            shown = b"".join(client.recv_until(b"END\r\n") for _ in range(3))
            assert b"hunter" not in shown
        reload(server)
        assert "hunter" not in server.log(), server.log()


def test_as_memcached():
    """The same bytes to the original, where both answer one line at a time."""
    exchanges = [
        b"get k\r\n", b"version\r\n", b"mg k v\r\n", login("ann", "wrong"), b"set x 0 0 3\r\nann\r\n",
        b"set x 0 0 0\r\n\r\n", b"set x 0 0 10\r\nann secretxx", b"set x 0 0 4\r\nann \r\n", b"add x 0 0 10\r\n",
        b"set x 0 0 abc\r\n", b"set x 0 0\r\n", login("ann", "secret"), b"get k\r\n",
    ]
    with Users("ann:secret\n") as users:
        answers = []
        for binary in (memcached_binary(), None):
            with Server(["-Y", users.path], binary=binary) as server, server.client() as client:
                answers.append([])
                for request in exchanges:
                    client.send(request)
                    answers[-1].append(client.recv_line())
        assert answers[0] == answers[1], answers


def test_tls():
    """Behind TLS as without."""
    import shutil
    import ssl
    import subprocess

    if not shutil.which("openssl"):
        raise Skip("openssl is not installed")
    with Users("ann:secret\n") as users:
        cert, key = users.path + ".crt", users.path + ".key"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, "-days", "2",
             "-subj", "/CN=larder"],
            check=True, capture_output=True,
        )
        done = run(["-h"])
        if b"-Z" not in done.stdout:
            raise Skip("a build without TLS")
        args = ["-Y", users.path, "-Z", "-o", f"ssl_chain_cert={cert},ssl_key={key}"]
        with Server(args) as server, server.client() as client:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            client.socket = context.wrap_socket(client.socket)
            client.exchange(b"get k\r\n" + login("ann", "secret") + b"get k\r\n", DENIED + b"STORED\r\nEND\r\n")


def test_pymemcache_logs_in():
    """A client without logins does one with its own set."""
    try:
        from pymemcache.client.base import Client
    except ImportError as error:
        raise Skip("pymemcache is not installed") from error
    with Users("ann:secret\n") as users, Server(["-Y", users.path]) as server:
        client = Client((server.host, server.port), default_noreply=False, timeout=TIMEOUT_S)
        assert client.set("any", b"ann secret")
        assert client.set("k", b"v") and client.get("k") == b"v"
        client.close()


if __name__ == "__main__":
    run_tests(globals())
