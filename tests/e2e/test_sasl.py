#!/usr/bin/python3
"""-S: clients log in by SASL, with passwords of Cyrus' own database and of a file."""

import base64
import os
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from server import TIMEOUT_S, Server, Skip, memcached_binary, run, run_tests

if b"\n-S" not in run(["-h"]).stdout:
    print("a build without SASL")
    sys.exit(77)

USER, PASSWORD = "ann", "correct horse"
LIST, AUTH, STEP, GET, NOOP, VERSION, STAT = 0x20, 0x21, 0x22, 0x00, 0x0A, 0x0B, 0x10
OK, NOT_FOUND, INVALID, AUTH_ERROR, AUTH_CONTINUE = 0, 1, 4, 0x20, 0x21


class Config:
    """A folder with memcached.conf and, unless it is told otherwise, a database of its own."""

    def __init__(self, mechs="plain cram-md5 digest-md5 scram-sha-1", user=USER, password=PASSWORD):
        self.folder = tempfile.TemporaryDirectory(prefix="larder-sasl-")
        self.path = self.folder.name
        self.database = os.path.join(self.path, "sasldb2")
        with open(os.path.join(self.path, "memcached.conf"), "w") as file:
            file.write(
                f"mech_list: {mechs}\npwcheck_method: auxprop\nauxprop_plugin: sasldb\nsasldb_path: {self.database}\n"
            )
        tool = shutil.which("saslpasswd2") or shutil.which("saslpasswd2", path="/usr/sbin:/usr/local/sbin")
        if not tool:
            raise Skip("saslpasswd2 is not installed (sasl2-bin)")
        subprocess.run(
            [tool, "-p", "-c", "-a", "memcached", "-f", self.database, user],
            input=password.encode(), check=True, capture_output=True, timeout=TIMEOUT_S,
        )

    def env(self):
        return {"SASL_CONF_PATH": self.path}

    def server(self, args=(), **more):
        return Server(["-S", *args], env=self.env(), **more)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.folder.cleanup()


class Passwords:
    """A file for MEMCACHED_SASL_PWDB."""

    def __init__(self, text):
        self.folder = tempfile.TemporaryDirectory(prefix="larder-sasl-")
        self.path = os.path.join(self.folder.name, "passwords")
        self.write(text)

    def write(self, text):
        with open(self.path + ".new", "w") as file:
            file.write(text)
        os.replace(self.path + ".new", self.path)

    def env(self):
        return {"MEMCACHED_SASL_PWDB": self.path, "SASL_CONF_PATH": ""}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.folder.cleanup()


def packet(opcode, key=b"", value=b""):
    return struct.pack(">BBHBBHIIQ", 0x80, opcode, len(key), 0, 0, 0, len(key) + len(value), 7, 0) + key + value


def plain(user=USER, password=PASSWORD):
    return packet(AUTH, b"PLAIN", b"\0%s\0%s" % (user.encode(), password.encode()))


def answer(client):
    """Status and body of the next reply."""
    head = client.recv_exact(24)
    assert head[0] == 0x81, head
    return struct.unpack(">H", head[6:8])[0], client.recv_exact(struct.unpack(">I", head[8:12])[0])


def ask(client, request):
    client.send(request)
    return answer(client)


def stats(client, what=b""):
    client.send(packet(STAT, what))
    values = {}
    while True:
        head = client.recv_exact(24)
        key_len, body_len = struct.unpack(">H", head[2:4])[0], struct.unpack(">I", head[8:12])[0]
        body = client.recv_exact(body_len)
        if not body:
            return values
        values[body[:key_len].decode()] = body[key_len:].decode()


def test_before_and_after():
    with Config("plain cram-md5") as config, config.server() as server, server.client() as client:
        assert ask(client, packet(LIST)) == (OK, b"PLAIN CRAM-MD5")
        assert ask(client, packet(VERSION))[0] == OK
        assert ask(client, plain(password="wrong")) == (AUTH_ERROR, b"Auth failure.")
        assert ask(client, plain(user="eve")) == (AUTH_ERROR, b"Auth failure.")
        assert ask(client, plain()) == (OK, b"Authenticated")
        assert ask(client, packet(GET, b"k")) == (NOT_FOUND, b"Not found")
        values = stats(client)
        assert (values["auth_cmds"], values["auth_errors"]) == ("3", "2"), values
        settings = stats(client, b"settings")
        assert settings["auth_enabled_sasl"] == "yes" and settings["auth_enabled_ascii"] == "no"
        assert settings["binding_protocol"] == "binary"


def test_anything_else_closes():
    with Config() as config, config.server() as server:
        for opcode in (GET, NOOP, STAT, 0x07, 0x18, 0x55):
            with server.client() as client:
                client.send(packet(opcode, b"k" if opcode == GET else b"") + plain())
                assert answer(client) == (AUTH_ERROR, b"Auth failure."), opcode
                client.expect_close()
        with server.client() as client:
            client.send(b"get k\r\n")
            client.expect_close()


def test_split_at_each_byte():
    request = plain(password="wrong") + plain() + packet(GET, b"k")
    with Config() as config, config.server() as server:
        for at in range(1, len(request)):
            with server.client() as client, server.client() as other:
                client.send(request[:at])
                assert ask(other, packet(VERSION))[0] == OK
                client.send(request[at:])
                assert [answer(client)[0] for _ in range(3)] == [AUTH_ERROR, OK, NOT_FOUND], at


def test_cram_md5():
    import hashlib
    import hmac

    with Config() as config, config.server() as server, server.client() as client:
        status, challenge = ask(client, packet(AUTH, b"CRAM-MD5"))
        assert status == AUTH_CONTINUE and challenge.startswith(b"<"), challenge
        digest = hmac.new(PASSWORD.encode(), challenge, hashlib.md5).hexdigest()
        reply = f"{USER} {digest}".encode()
        assert ask(client, packet(STEP, b"CRAM-MD5", reply)) == (OK, b"Authenticated")
        assert ask(client, packet(GET, b"k"))[0] == NOT_FOUND
        assert ask(client, packet(STEP, b"CRAM-MD5", reply)) == (AUTH_ERROR, b"Auth failure.")  # not again
        assert ask(client, packet(GET, b"k")) == (AUTH_ERROR, b"Auth failure.")


def test_scram_sha_1():
    """Three steps, and an answer of the server that the client may check."""
    import hashlib
    import hmac

    with Config() as config, config.server() as server, server.client() as client:
        if b"SCRAM-SHA-1" not in ask(client, packet(LIST))[1]:
            raise Skip("Cyrus has no SCRAM-SHA-1 here")
        bare = f"n={USER},r=fyko+d2lbbFgONRv9qkxdawL".encode()
        status, challenge = ask(client, packet(AUTH, b"SCRAM-SHA-1", b"n,," + bare))
        assert status == AUTH_CONTINUE, (status, challenge)
        parts = dict(part.split(b"=", 1) for part in challenge.split(b","))
        salted = hashlib.pbkdf2_hmac("sha1", PASSWORD.encode(), base64.b64decode(parts[b"s"]), int(parts[b"i"]))
        key = hmac.new(salted, b"Client Key", hashlib.sha1).digest()
        final = b"c=biws,r=" + parts[b"r"]
        signed = b",".join([bare, challenge, final])
        signature = hmac.new(hashlib.sha1(key).digest(), signed, hashlib.sha1).digest()
        proof = base64.b64encode(bytes(a ^ b for a, b in zip(key, signature)))
        status, body = ask(client, packet(STEP, b"SCRAM-SHA-1", final + b",p=" + proof))
        if status == AUTH_CONTINUE:
            status, body = ask(client, packet(STEP, b"SCRAM-SHA-1"))
        assert (status, body) == (OK, b"Authenticated")
        assert ask(client, packet(GET, b"k"))[0] == NOT_FOUND


def test_as_memcached():
    """The same bytes to the original; challenges differ each time."""
    exchanges = [
        packet(LIST), packet(VERSION), plain(password="x"), plain(user="x"), packet(STEP, b"PLAIN", b"x"),
        packet(AUTH, b"NOSUCH", b"x"), packet(AUTH, b"A" * 33, b"x"), packet(AUTH, b"A" * 32, b"x"),
        packet(AUTH, b"PLAIN", b"garbage"), packet(AUTH, b"PLAIN", b""), packet(STEP, b"PLAIN", b"\0a\0b"),
        packet(AUTH, b"CRAM-MD5"), packet(STEP, b"CRAM-MD5", b"ann 00"), plain(), packet(GET, b"k"),
    ]
    with Config() as config:
        answers = []
        for binary in (memcached_binary(), None):
            try:
                server = config.server(binary=binary).start()
            except AssertionError as error:
                raise Skip("this memcached has no SASL") from error
            try:
                with server.client() as client:
                    answers.append([ask(client, request) for request in exchanges])
            finally:
                server.stop()
        for request, *both in zip(exchanges, *answers):
            assert both[0][0] == both[1][0], (request, both)
            if both[0][0] != AUTH_CONTINUE and request[1] != VERSION:
                assert both[0] == both[1], (request, both)


def test_passwords_of_a_file():
    with Passwords(f"{USER}:{PASSWORD}\nbob:b\n") as passwords:
        with Server(["-S"], env=passwords.env()) as server:
            with server.client() as client:
                assert ask(client, packet(LIST)) == (OK, b"PLAIN")
                assert ask(client, plain(password="x"))[0] == AUTH_ERROR
                assert ask(client, plain(user="bob", password="b")) == (OK, b"Authenticated")
            passwords.write("carl:c\n")
            server.signal(signal.SIGHUP)
            server.wait_for_log("is loaded again, 1 entries")
            with server.client() as client:
                assert ask(client, plain())[0] == AUTH_ERROR
                assert ask(client, plain(user="carl", password="c"))[0] == OK


def test_a_file_and_a_database():
    """What either knows opens to plain passwords; the database alone knows challenges."""
    with Config("plain cram-md5") as config, Passwords("bob:b\n") as passwords:
        env = {**config.env(), "MEMCACHED_SASL_PWDB": passwords.path}
        with Server(["-S"], env=env) as server, server.client() as client:
            assert ask(client, packet(LIST)) == (OK, b"PLAIN CRAM-MD5")
            assert ask(client, plain(user="bob", password=PASSWORD))[0] == AUTH_ERROR
            assert ask(client, packet(AUTH, b"CRAM-MD5"))[0] == AUTH_CONTINUE
            assert ask(client, plain(user="bob", password="b"))[0] == OK
        with Server(["-S"], env=env) as server, server.client() as client:
            assert ask(client, plain())[0] == OK


def test_sasl_conf_path_may_name_the_file():
    with Config("plain") as config:
        env = {"SASL_CONF_PATH": os.path.join(config.path, "memcached.conf")}
        with Server(["-S"], env=env) as server, server.client() as client:
            assert ask(client, packet(LIST)) == (OK, b"PLAIN")
            assert ask(client, plain())[0] == OK


def test_nobody_is_let_in_without_a_name():
    with Config("plain anonymous") as config, config.server() as server, server.client() as client:
        assert ask(client, packet(LIST)) == (OK, b"PLAIN")
        assert ask(client, packet(AUTH, b"ANONYMOUS", b"x")) == (AUTH_ERROR, b"Auth failure.")


def test_start_up_errors():
    if not any(os.path.exists(f"/etc/{name}/memcached.conf") for name in ("sasl", "sasl2")):
        done = run(["-S", "-u", "root", "-p", "-1"], env={"SASL_CONF_PATH": "", "MEMCACHED_SASL_PWDB": ""})
        assert done.returncode == 1 and b"Error initializing sasl." in done.stderr, done
        assert b"MEMCACHED_SASL_PWDB" in done.stderr and b"SASL_CONF_PATH" in done.stderr, done
    done = run(["-S", "-u", "root", "-p", "-1"], env={"MEMCACHED_SASL_PWDB": "/nonexistent"})
    assert done.returncode == 1 and b"Could not open authfile [/nonexistent]" in done.stderr, done
    with Passwords("oops\n") as passwords:
        done = run(["-S", "-u", "root", "-p", "-1"], env=passwords.env())
        assert done.returncode == 1 and b"malformed entry" in done.stderr and b"line 1" in done.stderr, done
        assert b"oops" not in done.stderr, done
    ascii_error = b"ERROR: You cannot allow the ASCII protocol while using SASL."
    for args in (["-S", "-B", "ascii"], ["-B", "auto", "-S"], ["-S", "-Y", "/x"]):
        done = run(args)
        assert done.returncode == 64 and done.stderr.startswith(ascii_error), done
    done = run(["-S", "-U", "11999"])
    assert done.returncode == 64 and done.stderr, done


def test_passwords_are_not_logged():
    secret = "hunter2"
    with Config(password=secret) as config, config.server(["-vvv"]) as server:
        with server.client() as client:
            assert ask(client, plain(password=secret + "x"))[0] == AUTH_ERROR
            assert ask(client, plain(password=secret))[0] == OK
            assert not any(secret in value for value in stats(client, b"settings").values())
        assert "SASL (severity" in server.log() and secret not in server.log(), server.log()


def test_many_at_once():
    """Threads of the server side by side in Cyrus; half of the clients leave in the middle."""
    with Config() as config, config.server(["-t", "4"]) as server:
        wrong = []
        until = time.monotonic() + 1.5

        def work(index):
            try:
                while time.monotonic() < until:
                    with server.client() as client:
                        if index % 2:
                            assert ask(client, packet(AUTH, b"CRAM-MD5"))[0] == AUTH_CONTINUE
                        else:
                            assert ask(client, plain(password="x"))[0] == AUTH_ERROR
                            assert ask(client, plain())[0] == OK
                            assert ask(client, packet(GET, b"k"))[0] == NOT_FOUND
            except BaseException as error:
                wrong.append(error)

        threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(TIMEOUT_S + 5)
        assert not wrong, wrong[0]


# -- clients of others ------------------------------------------------------------------------------------


def use(client):
    assert client.set("a", "1")
    assert client.get("a") == "1"


def test_pylibmc():
    try:
        import pylibmc
    except ImportError as error:
        raise Skip("pylibmc is not installed (python3-pylibmc)") from error
    if not pylibmc.support_sasl:
        raise Skip("this pylibmc has no SASL")
    for mechs in ("plain", "cram-md5"):  # libmemcached takes the best that both know
        with Config(mechs) as config, config.server() as server:
            address = [f"{server.host}:{server.port}"]
            use(pylibmc.Client(address, binary=True, username=USER, password=PASSWORD))
            try:
                pylibmc.Client(address, binary=True, username=USER, password="wrong").set("a", "2")
            except pylibmc.Error:
                pass
            else:
                raise AssertionError("a wrong password was taken: " + mechs)
            try:
                pylibmc.Client(address, binary=True).set("a", "2")
            except pylibmc.Error:
                pass
            else:
                raise AssertionError("no password was taken: " + mechs)


def test_binary_memcached():
    try:
        import bmemcached
    except ImportError as error:
        raise Skip("bmemcached is not installed (python3-binary-memcached)") from error
    with Config("plain") as config, config.server() as server:
        address = (f"{server.host}:{server.port}",)
        use(bmemcached.Client(address, USER, PASSWORD))
        try:
            stored = bmemcached.Client(address, USER, "wrong").set("a", "2")
        except Exception as error:
            assert "credentials" in str(error).lower() or "auth" in str(error).lower(), error
        else:
            assert not stored
        use(bmemcached.Client(address, USER, PASSWORD))


PHP = """
$m = new Memcached();
$m->setOption(Memcached::OPT_BINARY_PROTOCOL, true);
$m->setSaslAuthData($argv[3], $argv[4]);
$m->addServer($argv[1], (int)$argv[2]);
$stored = $m->set("a", "1");
echo $stored ? "stored" : "refused", " ", $m->get("a") === "1" ? "read" : "missed";
"""


def test_php_memcached():
    php = shutil.which("php")
    if not php:
        raise Skip("php is not installed (php-cli, php-memcached)")
    check = "echo extension_loaded('memcached') && method_exists('Memcached', 'setSaslAuthData') ? 'yes' : 'no';"
    if subprocess.run([php, "-r", check], capture_output=True, timeout=TIMEOUT_S, check=False).stdout != b"yes":
        raise Skip("php has no memcached extension with SASL (php-memcached)")
    with Config() as config, config.server() as server:
        for password, want in ((PASSWORD, b"stored read"), ("wrong", b"refused missed")):
            done = subprocess.run(
                [php, "-r", PHP, server.host, str(server.port), USER, password],
                capture_output=True, timeout=TIMEOUT_S * 2, check=False,
            )
            assert done.stdout == want, done


MEMJS = """
const [address, username, password] = process.argv.slice(1);
const client = require("memjs").Client.create(address, {username, password, retries: 0, logger: {log() {}}});
client.set("a", "1", {}, (error, stored) => client.get("a", (error, value) => {
    console.log(stored ? "stored" : "refused", value && value.toString() === "1" ? "read" : "missed");
    process.exit(0);
}));
"""


def test_memjs():
    node = shutil.which("node")
    if not node:
        raise Skip("node is not installed")
    if subprocess.run([node, "-e", "require('memjs')"], capture_output=True, timeout=TIMEOUT_S, check=False).returncode:
        raise Skip("memjs is not installed (npm install memjs, NODE_PATH)")
    with Config("plain") as config, config.server() as server:
        for password, want in ((PASSWORD, b"stored read\n"), ("wrong", b"refused missed\n")):
            done = subprocess.run(
                [node, "-e", MEMJS, f"{server.host}:{server.port}", USER, password],
                capture_output=True, timeout=TIMEOUT_S * 2, check=False,
            )
            assert done.stdout == want, done


if __name__ == "__main__":
    run_tests(globals())
