#!/usr/bin/python3
"""The load generator: every mode for a moment against the server, its figures, and that it notices what is wrong."""

import json
import os
import pty
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from server import TIMEOUT_S, Server, Skip, free_port, larder_binary, run, run_tests

LOAD = os.path.join(os.path.dirname(larder_binary()), "larder-load")
BAD, FAILED, USAGE, CANNOT = 1, 2, 64, 71
PROTOCOLS = ("text", "meta", "binary")
SECONDS = "0.3"


def load(args, stdin=b"", code=0):
    """Runs it; gives its JSON as a dict."""
    done = run(["-j", "-", *args], binary=LOAD, stdin=stdin, timeout=6 * TIMEOUT_S)
    assert done.returncode == code, (args, done.returncode, done.stdout, done.stderr)
    return json.loads(done.stdout)


def load_on(server, args, stdin=b"", code=0):
    address = server.path if server.unix else f"{server.host}:{server.port}"
    return load(["-s", address, *args], stdin, code)


def refused(args, code, *words):
    """It refuses these options with one line, in which the words are."""
    done = run(args, binary=LOAD)
    text = done.stderr.decode()
    assert done.returncode == code and done.stdout == b"", (args, done)
    assert all(word in text for word in words), (args, text)


def expect_clean(found):
    for name in (
        "wrong_values", "foreign_values", "broken_replies", "lost_connections", "unanswered", "errors", "refused",
        "unfilled_keys",
    ):
        assert found[name] == 0, (name, found)
    assert found["failed"] is False and found["first_fault"] == "" and found["first_error"] == "", found


def expect_latencies(found, name):
    figures = found[name]
    order = [figures[key] for key in ("p50_us", "p90_us", "p99_us", "p999_us", "max_us")]
    assert figures["requests"] > 0 and order == sorted(order) and order[0] > 0, (name, figures)


# -- closed loop ---------------------------------------------------------------------------------------


def test_mixes_in_every_protocol():
    for protocol in PROTOCOLS:
        with Server() as server:
            found = load_on(server, ["-P", protocol, "-d", SECONDS, "--fill", "-n", "1000", "-r", "1:3", "-p", "4"])
            expect_clean(found)
            expect_latencies(found, "get")
            expect_latencies(found, "set")
            assert found["hit_ratio"] == 1.0 and found["protocol"] == protocol, found
            share = found["set"]["requests"] / found["requests"]
            assert found["requests"] < 2000 or 0.2 < share < 0.3, found
            assert found["hits"] == found["get"]["requests"], found
            with server.client() as client:
                stats = client.stats()
            assert int(stats["get_hits"]) == found["hits"], (stats, found)
            assert int(stats["cmd_set"]) == found["set"]["requests"] + 1000, (stats, found)


def test_multigets_tell_hits_from_misses_in_every_protocol():
    for protocol in PROTOCOLS:
        with Server() as server:
            load_on(server, ["-d", "0.1", "--fill", "-n", "1000", "-r", "0:1"])
            # A key beyond the first 1000 was never set.
            found = load_on(
                server, ["-P", protocol, "-d", SECONDS, "-n", "2000", "-r", "0:1", "-k", "30", "-p", "2", "-D", "sequential"]
            )
            expect_clean(found)
            assert found["hits"] + found["misses"] == 30 * found["get"]["requests"], found
            with server.client() as client:
                stats = client.stats()
            assert int(stats["get_misses"]) == found["misses"], (stats, found)
            assert found["misses"] > 0, found


def test_sizes_of_all_kinds_come_back_right():
    with Server(["-m", "512"]) as server:
        for protocol in PROTOCOLS:
            for size in ("0", "1-40", "1000000", "0x1,16x1,70000x1", "ln:500:1", "etc"):
                found = load_on(
                    server, ["-P", protocol, "-d", "0.1", "-n", "50", "--fill", "-v", size, "-K", "10-250", "-p", "3"]
                )
                expect_clean(found)
                assert found["hit_ratio"] == 1.0, (protocol, size, found)


def test_distributions_of_keys_over_a_unix_socket_and_two_threads():
    with Server(unix=True) as server:
        for distribution in ("uniform", "zipf:0.99", "gauss", "sequential"):
            found = load_on(
                server, ["-d", "0.2", "-n", "3000", "--fill", "-D", distribution, "-t", "2", "-c", "5", "--key-prefix", distribution]
            )
            expect_clean(found)
            assert found["hit_ratio"] == 1.0 and found["threads"] == 2, found


def test_many_connections_one_after_the_other():
    with Server(["-c", "2000"]) as server:
        found = load_on(server, ["-d", SECONDS, "-c", "1000", "--ramp", "0.2", "--warm-up", "0.1", "-t", "2"])
        expect_clean(found)
        with server.client() as client:
            assert int(client.stats()["total_connections"]) > 1000


def test_ttl_is_what_was_asked_for():
    with Server() as server:
        for protocol in PROTOCOLS:
            load_on(server, ["-P", protocol, "-d", "0.05", "-n", "1", "-K", "5", "--fill", "-T", "1000", "-r", "0:1"])
            with server.client() as client:
                client.send(b"mg key-0 t\r\n")
                left = int(client.recv_line()[4:])
                assert 900 < left <= 1000, left


def test_tls():
    if b"ssl_chain_cert" not in run(["-h"]).stdout:
        raise Skip("the server was built without TLS")
    with tempfile.TemporaryDirectory(prefix="larder-load-") as folder:
        crt, key = os.path.join(folder, "crt"), os.path.join(folder, "key")
        try:
            subprocess.run(
                ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout",
                 key, "-out", crt, "-subj", "/CN=localhost"],
                check=True, capture_output=True, timeout=TIMEOUT_S,
            )
        except FileNotFoundError:
            raise Skip("the command openssl is not installed") from None
        port = free_port()
        options = ["-u", "root"] if os.geteuid() == 0 else []
        options += ["-l", f"notls:127.0.0.1:{free_port()}", "-l", f"127.0.0.1:{port}", "-Z"]
        server = Server(["-o", f"ssl_chain_cert={crt},ssl_key={key}"], options=options)
        server.port = port
        with server:
            for protocol in PROTOCOLS:
                found = load_on(server, ["-P", protocol, "-d", SECONDS, "--fill", "-n", "100", "-v", "1-30000", "--tls"])
                expect_clean(found)
                assert found["hit_ratio"] == 1.0, found
            expect_clean(load_on(server, ["-d", "0.1", "--tls", "--tls-ca", crt]))
            refused(["-s", f"127.0.0.1:{port}", "--tls", "--tls-ca", "/no/such"], BAD, "/no/such")


# -- open loop -----------------------------------------------------------------------------------------


def test_open_loop_sends_at_the_rate():
    with Server() as server:
        for how in ("even", "poisson"):
            found = load_on(server, ["-d", "1", "-R", "1000", "--arrivals", how, "-t", "2", "-n", "100", "--fill"])
            expect_clean(found)
            assert 850 <= found["requests"] + found["unsent"] <= 1150, found
            expect_latencies(found, "get")


class Fake:
    """A server that answers each line by what `answer` makes of it; None closes the connection."""

    def __init__(self, answer):
        self.answer = answer
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.socket.getsockname()[1]

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.socket.close()

    def _accept(self):
        while True:
            try:
                peer, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer):
        store = {}
        with peer, peer.makefile("rb") as lines:
            for line in lines:
                words = line.split()
                if words[0] == b"set":
                    store[words[1]] = lines.read(int(words[4]) + 2)[:-2]
                reply = self.answer(words, store)
                try:
                    if reply is None:
                        return
                    peer.sendall(reply)
                except OSError:
                    return


def value(key, data):
    return b"VALUE %s 0 %d\r\n%s\r\nEND\r\n" % (key, len(data), data)


def honest(words, store):
    if words[0] == b"set":
        return b"STORED\r\n"
    return value(words[1], store[words[1]]) if words[1] in store else b"END\r\n"


def test_latency_counts_from_when_a_request_was_due():
    """A server that is silent once for a while is late for all that was due meanwhile, not for one request."""
    pause_s, silent, go_on = 0.4, threading.Event(), threading.Event()

    def answer(words, store):
        if not silent.is_set():
            silent.set()
            go_on.wait(pause_s)  # nobody sets it: this is the server's delay
        return honest(words, store)

    with Fake(answer) as fake:
        found = load(["-s", fake.address, "-c", "1", "-d", "1", "-R", "200", "--arrivals", "even", "-r", "0:1"])
        # 80 of 200 were due in the pause; half of them waited half of it or longer.
        assert found["get"]["p90_us"] > pause_s / 4 * 1e6, found
        assert found["get"]["max_us"] > pause_s * 0.9 * 1e6, found


def test_what_was_not_sent_in_time_is_told():
    with Fake(honest) as fake:
        found = load(["-s", fake.address, "-c", "1", "-d", SECONDS, "-R", "10000000", "-r", "0:1"])
        assert found["unsent"] > found["requests"], found


# -- what must be noticed ------------------------------------------------------------------------------


def fault(answer, *args):
    with Fake(answer) as fake:
        found = load(["-s", fake.address, "-d", SECONDS, "-n", "10", "-c", "1", "--timeout", "0.5", *args], code=FAILED)
        assert found["failed"] is True and found["first_fault"] != "", found
        return found


def test_the_fake_server_is_right_unless_told_otherwise():
    with Fake(honest) as fake:
        found = load(["-s", fake.address, "-d", SECONDS, "-n", "10", "-c", "1", "--fill"])
        expect_clean(found)
        assert found["hit_ratio"] == 1.0, found


def test_a_wrong_byte_fails_the_run():
    def answer(words, store):
        for key, data in store.items():
            store[key] = data[:-1] + b"\0"
        return honest(words, store)

    found = fault(answer, "--fill")
    assert found["wrong_values"] > 0 and found["foreign_values"] == 0, found
    assert found["first_fault"].startswith("a wrong value under the key key-"), found


def test_a_value_of_another_key_fails_the_run():
    def answer(words, store):
        if words[0] == b"get" and len(store) == 10:
            return value(words[1], store[b"key-000000000003"])
        return honest(words, store)

    found = fault(answer, "--fill")
    assert found["foreign_values"] > 0 and found["wrong_values"] == 0, found


def test_a_key_that_was_not_asked_for_fails_the_run():
    found = fault(lambda words, store: value(b"key-other", b"x") if words[0] == b"get" else b"STORED\r\n")
    assert found["foreign_values"] == 1 and found["broken_replies"] == 1 and "key-other" in found["first_fault"], found


def test_a_shorter_value_fails_the_run():
    def answer(words, store):
        if words[0] == b"get" and words[1] in store:
            return value(words[1], store[words[1]][:-1])
        return honest(words, store)

    assert fault(answer, "--fill")["wrong_values"] > 0


def test_a_reply_that_is_none_fails_the_run():
    assert fault(lambda words, store: b"HELLO\r\n")["broken_replies"] == 1
    assert fault(lambda words, store: b"STORED\r\n", "-r", "0:1")["broken_replies"] == 1
    assert fault(lambda words, store: b"END\r\nEND\r\n", "-r", "0:1")["broken_replies"] == 1


def test_a_lost_connection_fails_the_run():
    found = fault(lambda words, store: None)
    assert found["lost_connections"] == 1 and found["unanswered"] == 1, found


def test_silence_fails_the_run():
    found = fault(lambda words, store: b"")
    assert found["unanswered"] == 1, found


def test_errors_are_counted_and_told():
    with Fake(lambda words, store: b"SERVER_ERROR \"so\" it is\r\n") as fake:
        found = load(["-s", fake.address, "-d", SECONDS, "-c", "1"])
        assert found["errors"] == found["requests"] > 0, found
        assert found["first_error"] == "SERVER_ERROR ?so? it is", found


def test_a_fill_without_the_time_for_it_fails_the_run():
    with Server() as server:
        found = load_on(server, ["-d", "0.1", "-n", "100000000", "--fill=0.1", "-v", "1"], code=FAILED)
        assert 0 < found["unfilled_keys"] < 100000000, found


# -- look-aside and traces -----------------------------------------------------------------------------


def test_look_aside_sets_what_was_missed():
    with Server() as server:
        for protocol in PROTOCOLS:
            for keys in ("1", "20"):
                found = load_on(
                    server, ["-P", protocol, "-d", SECONDS, "-n", "500", "--look-aside", "-c", "1", "-k", keys,
                             "--key-prefix", protocol + keys]
                )
                expect_clean(found)
                # In a pipeline of one, a key is missed again only within the get that missed it first.
                assert found["misses"] - 1 <= found["set"]["requests"] <= found["misses"], found
                assert keys != "1" or found["misses"] == min(500, found["misses"]), found
                assert found["hits"] > 0, found


TRACE = b"""# a trace
a 20 100
b 20 1000 60
a
c - - - set
c
b 20 1000
d 30 5 0 get
d 30 5 0 delete
d 30 5
a - 100
"""


def test_a_trace_is_replayed_in_order():
    for protocol in PROTOCOLS:
        for rate in ([], ["-R", "1000"]):
            with Server() as server:
                found = load_on(server, ["-P", protocol, "-f", "-", "-c", "1", "-v", "50", *rate], stdin=TRACE)
                expect_clean(found)
                assert found["trace_requests"] == 10, found
                assert found["get"]["requests"] == 8 and found["delete"]["requests"] == 1, found
                assert found["hits"] == 4 and found["misses"] == 4, found
                assert found["set"]["requests"] == 5, found
                assert found["hit_bytes"] == 100 + 50 + 1000 + 100, found
                assert found["miss_bytes"] == 100 + 1000 + 5 + 5, found
                with server.client() as client:
                    stats = client.stats()
                    assert int(stats["get_hits"]) == 4 and int(stats["cmd_set"]) == 5, stats
                    client.send(b"mg " + b"b".ljust(20, b"#") + b" t\r\n")
                    assert 0 < int(client.recv_line()[4:]) <= 60


def test_a_trace_has_one_hit_ratio_whatever_the_pipeline():
    """As long as nothing is evicted: each object misses once, though the requests for it follow closely."""
    lines = b"".join(b"%d - %d\n" % (i * i % 97, 10 + i * i % 97) for i in range(3000))
    objects = len({i * i % 97 for i in range(3000)})
    with tempfile.NamedTemporaryFile(prefix="larder-trace-") as file:
        file.write(lines)
        file.flush()
        for protocol in PROTOCOLS:
            for shape in (["-c", "1", "-p", "1"], ["-c", "1", "-p", "64"], ["-c", "7", "-p", "3", "-t", "2"]):
                with Server() as server:
                    found = load_on(server, ["-P", protocol, "-f", file.name, *shape])
                    expect_clean(found)
                    assert found["misses"] == objects and found["hits"] == 3000 - objects, (shape, found)


def test_a_trace_does_not_outlast_the_time():
    with Server() as server:
        found = load_on(server, ["-f", "-", "-d", "0.2", "-R", "100"], stdin=b"a\nb\nc\n" * 1000)
        assert found["requests"] < 200 and found["seconds"] < 5, found


# -- options -------------------------------------------------------------------------------------------


def test_help_names_every_option():
    done = run(["--help"], binary=LOAD)
    assert done.returncode == 0 and done.stderr == b"", done
    for option in (b"--server", b"--rate", b"--trace", b"--fill", b"--look-aside", b"--json", b"--no-verify", b"--tls-ca"):
        assert option in done.stdout, option


def test_wrong_options_are_refused_with_what_would_be_right():
    refused(["-P", "udp"], BAD, "-P", "binary", "udp")
    refused(["-c", "0"], BAD, "-c", "1 to 65536")
    refused(["-c", "12x"], BAD, "-c", "12x")
    refused(["-d", "-1"], BAD, "-d", "86400")
    refused(["-R", "nan"], BAD, "-R")
    refused(["-r", "1"], BAD, "-r", "SETS:GETS")
    refused(["-D", "zipf"], BAD, "-D", "zipf:EXPONENT")
    refused(["-K", "8"], BAD, "-K", "9")
    refused(["-K", "251"], BAD, "250")
    refused(["-v", "1000001"], BAD, "-v", "--value-max")
    refused(["--key-prefix", "a b"], BAD, "--key-prefix")
    refused(["-f", "/no/such"], BAD, "/no/such")
    refused(["-s", "nowhere"], BAD, "HOST:PORT")
    refused(["--nonsense"], BAD, "nonsense")
    refused(["stray"], BAD, "stray")
    refused(["-t", "4", "-c", "2"], USAGE, "-t 4", "-c 2")
    refused(["-f", "/dev/null", "-k", "2"], USAGE, "-f")
    refused(["--arrivals", "even"], USAGE, "-R")
    refused(["--tls-ca", "x"], USAGE, "--tls")
    refused(["-c", "65536", "-p", "1024"], USAGE, "-p")


def test_no_server_is_told():
    refused(["-s", f"127.0.0.1:{free_port()}"], CANNOT, "cannot connect", "refused")
    refused(["-s", "/no/such/socket"], CANNOT, "cannot connect", "No such file")


def test_the_table_and_a_json_file():
    with Server() as server, tempfile.TemporaryDirectory(prefix="larder-load-") as folder:
        name = os.path.join(folder, "out.json")
        done = run(["-s", f"{server.host}:{server.port}", "-d", "0.1", "-j", name], binary=LOAD)
        assert done.returncode == 0 and b"p99.9" in done.stdout and b"hit ratio" in done.stdout, done
        with open(name, encoding="ascii") as file:
            expect_clean(json.load(file))
        done = run(["-s", f"{server.host}:{server.port}", "-d", "0.1", "-j", folder], binary=LOAD)
        assert done.returncode == CANNOT and b"-j" in done.stderr, done


def start_on_terminal(server, args):
    """Starts it with a terminal as its stderr; gives the process and the terminal's other end."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [LOAD, "-s", f"{server.host}:{server.port}", *args], stdout=subprocess.PIPE, stderr=theirs, stdin=subprocess.DEVNULL
    )
    os.close(theirs)
    return process, ours


def read_until(terminal, text):
    """What the terminal shows, up to and with `text`."""
    seen = b""
    while text not in seen:
        assert select.select([terminal], [], [], TIMEOUT_S)[0], seen
        seen += os.read(terminal, 4096)
    return seen


def test_a_terminal_shows_progress_and_a_signal_ends_the_run_with_its_report():
    with Server() as server:
        process, terminal = start_on_terminal(server, ["-d", "600", "-n", "100", "--fill", "-R", "1000", "-j", "-"])
        try:
            assert b"16 connections" in read_until(terminal, b"hits 100.00 %")
            process.send_signal(signal.SIGINT)
            out, _ = process.communicate(timeout=2 * TIMEOUT_S)
        finally:
            process.kill()
            process.wait()
            os.close(terminal)
        assert process.returncode == 0, (process.returncode, out)
        found = json.loads(out)
        expect_clean(found)
        assert 0.5 < found["seconds"] < 300, found


if __name__ == "__main__":
    run_tests(globals())
