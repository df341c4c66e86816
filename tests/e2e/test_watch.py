#!/usr/bin/python3
"""`watch` on the real server: every class, over TCP, unix sockets and TLS; slow watchers, many of them, and storms."""

import os
import re
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from server import TIMEOUT_S, Client, Server, free_port, run_tests, wait_until

WATCHERS_MAX = 20
STORM = 1000000  # requests
INSTRUMENTED = float(os.environ.get("TEST_TIMEOUT_SCALE", "1")) > 1  # sanitizers have heaps of their own
STAMP = rb"ts=(\d+)\.(\d{6}) gid=(\d+) "


def watch(client, classes=""):
    client.exchange(f"watch {classes}".strip().encode() + b"\n", b"OK\r\n")
    return client


def alone(client):
    """Waits until connections of the test's start are gone."""
    wait_until(lambda: client.stats()["curr_connections"] == "1", "other connections' end")
    return client


def expect_lines(watcher, *patterns):
    """The next lines, each after its time and number, match these; gives the matches."""
    matches = []
    for pattern in patterns:
        line = watcher.recv_line()
        match = re.fullmatch(STAMP + pattern.encode() + rb"\n", line)
        assert match, f"{line!r} is no {pattern}"
        matches.append(match)
    return matches


def skip_to(watcher, pattern):
    """The next line that matches; others are passed over."""
    while True:
        match = re.fullmatch(STAMP + pattern.encode() + rb"\n", watcher.recv_line())
        if match:
            return match


def fd_of(server, client):
    """The descriptor of a client's connection, as `stats conns` tells it."""
    port = client.socket.getsockname()[1]
    found = []

    def ask():
        for name, value in asking.stats("conns").items():
            if name.endswith(":addr") and value.endswith(f":{port}"):
                found.append(int(name.partition(":")[0]))
        return found

    with server.client() as asking:
        wait_until(ask, f"a connection from port {port}")
    return found[0]


def binary(op, key=b"", value=b"", extras=b""):
    head = struct.pack(">BBHBBHIIQ", 0x80, op, len(key), len(extras), 0, 0, len(key) + len(value) + len(extras), 0, 0)
    return head + extras + key + value


# -- classes -------------------------------------------------------------------------------------------


def test_fetchers_is_what_is_watched_without_a_class():
    with Server() as server, server.client() as watcher, server.client() as client:
        watch(watcher)
        fd = fd_of(server, client)
        client.exchange(b"get a\r\n", b"END\r\n")
        client.exchange(b"set a 0 0 5\r\nhello\r\n", b"STORED\r\n")
        client.exchange(b"get a b\r\n", b"VALUE a 0 5\r\nhello\r\nEND\r\n")
        client.exchange(b"delete a\r\n", b"DELETED\r\n")
        before = time.time()
        matches = expect_lines(
            watcher,
            f"type=item_get key=a status=not_found clsid=0 cfd={fd} size=0",
            f"type=item_get key=a status=not_found clsid=0 cfd={fd} size=0",
            rf"type=item_get key=a status=found clsid=[1-9]\d* cfd={fd} size=5",
            f"type=item_get key=b status=not_found clsid=0 cfd={fd} size=0",
            rf"type=item_get key=a status=found clsid=[1-9]\d* cfd={fd} size=5",
        )
        assert abs(int(matches[0][1]) - before) < TIMEOUT_S
        numbers = [int(match[3]) for match in matches]
        assert numbers == sorted(set(numbers)), numbers
        times = [int(match[1] + match[2]) for match in matches]
        assert times == sorted(times), times


def test_mutations_and_deletions_of_all_protocols():
    with Server() as server, server.client() as watcher, server.client() as client, server.client() as packets:
        watch(watcher, "mutations deletions")
        fd = fd_of(server, client)
        key = bytes(range(0x21, 0x7F)) + b"\x80\xff"
        encoded = "".join(chr(b) if chr(b).isalnum() and b < 128 or chr(b) in "-._~" else f"%{b:02X}" for b in key)
        client.exchange(b"set " + key + b" 0 100 1\r\nx\r\n", b"STORED\r\n")
        expect_lines(watcher, rf"type=item_store key={re.escape(encoded)} status=stored cmd=set ttl=100 clsid=\d+ cfd={fd} size=1")
        client.exchange(b"ms m 3 T0\r\nabc\r\n", b"HD\r\n")
        client.exchange(b"ms m 3 ME\r\nabc\r\n", b"NS\r\n")
        client.exchange(b"md m q\r\nmd m\r\n", b"NF\r\n")
        packets.send(binary(1, b"b", b"value", struct.pack(">II", 0, 0)) + binary(4, b"b"))
        fd_packets = fd_of(server, packets)
        expect_lines(
            watcher,
            rf"type=item_store key=m status=stored cmd=set ttl=0 clsid=\d+ cfd={fd} size=3",
            rf"type=item_store key=m status=not_stored cmd=add ttl=0 clsid=\d+ cfd={fd} size=3",
            r"type=deleted key=m cmd=md clsid=\d+ size=3",
            rf"type=item_store key=b status=stored cmd=set ttl=0 clsid=\d+ cfd={fd_packets} size=5",
            r"type=deleted key=b cmd=delete clsid=\d+ size=5",
        )
        # Longer than one receive, and too long for the cache.
        client.exchange(b"set long 0 0 500000\r\n" + b"x" * 500000 + b"\r\n", b"STORED\r\n")
        client.exchange(b"set long 0 0 2000000\r\n" + b"x" * 2000000 + b"\r\n", b"SERVER_ERROR object too large for cache\r\n")
        expect_lines(
            watcher,
            rf"type=item_store key=long status=stored cmd=set ttl=0 clsid=\d+ cfd={fd} size=500000",
            rf"type=item_store key=long status=too_large cmd=set ttl=0 clsid=0 cfd={fd} size=2000000",
        )


def test_expired_and_flushed_items():
    with Server() as server, server.client() as watcher, server.client() as client:
        watch(watcher)
        client.send(b"set a 0 -1 1\r\nx\r\nget a\r\nset b 0 0 1\r\nx\r\nflush_all\r\nget b\r\n")
        client.expect(b"STORED\r\nEND\r\nSTORED\r\nOK\r\nEND\r\n")
        skip_to(watcher, r"type=item_get key=a status=(expired|not_found) clsid=0 cfd=\d+ size=0")
        skip_to(watcher, r"type=item_get key=b status=(flushed|not_found) clsid=0 cfd=\d+ size=0")


def fill(client, count, size, prefix, exptime=0):
    value = b"x" * size
    for start in range(0, count, 500):
        keys = range(start, min(count, start + 500))
        client.send(b"".join(b"set %s%d 0 %d %d noreply\r\n%s\r\n" % (prefix, i, exptime, size, value) for i in keys))
        client.expect_quiet()


def test_evictions_and_slab_moves():
    buffers = "worker_logbuf_size=8192,watcher_logbuf_size=32768"  # so that nothing is dropped
    with Server(["-m", "2", "-o", buffers]) as server, server.client() as watcher, server.client() as client:
        fill(client, 20000, 200, b"a")
        watch(watcher, "evictions sysevents")
        fill(client, 20000, 200, b"b", exptime=500)
        skip_to(watcher, r"type=eviction key=a\d+ fetch=no ttl=-1 la=\d+ clsid=\d+ size=200")
        skip_to(watcher, r"type=eviction key=b\d+ fetch=no ttl=(500|4\d\d) la=\d+ clsid=\d+ size=200")
        for i in range(40):  # all of them are read: some that were must go
            fill(client, 500, 200, b"read_%d_" % i)
            client.send(b"get " + b" ".join(b"read_%d_%d" % (i, j) for j in range(500)) + b"\r\n")
            client.recv_until(b"END\r\n")
        skip_to(watcher, r"type=eviction key=read_\d+_\d+ fetch=yes ttl=-1 la=\d+ clsid=\d+ size=200")
        fill(client, 200, 5000, b"c")
        start = skip_to(watcher, r"type=slab_move src=(\d+) dst=(\d+) state=start")
        skip_to(watcher, rf"type=slab_move src={start[4].decode()} dst={start[5].decode()} state=done")
        assert int(client.stats()["evictions"]) > 0


def test_sweeps_are_sysevents():
    with Server() as server, server.client() as watcher, server.client() as client:
        watch(watcher, "sysevents")
        fill(client, 1000, 10, b"k", exptime=1)
        line = skip_to(
            watcher,
            r"type=lru_crawler crawler=\d+ lru=all low_mark=0 next_reclaims=0 since_run=0 next_run=0 "
            r"elapsed=\d+ examined=(\d+) reclaimed=(\d+)",
        )
        assert int(line[4]) >= int(line[5]) > 0


# -- connections ---------------------------------------------------------------------------------------


def test_connections_over_tcp():
    with Server() as server, server.client() as watcher:
        watch(alone(watcher), "connevents")
        client = server.client()
        port = client.socket.getsockname()[1]
        tail = rf"rip=127\.0\.0\.1 rport={port} transport=tcp"
        (opened,) = expect_lines(watcher, rf"type=conn_new {tail} cfd=(\d+)")
        fd = opened[4].decode()
        client.send(b"quit\r\n")
        expect_lines(watcher, rf"type=conn_close {tail} reason=normal cfd={fd}")
        for end in ("close", "half a command", "reset", "http"):
            client = server.client()
            tail = rf"rip=127\.0\.0\.1 rport={client.socket.getsockname()[1]} transport=tcp"
            (opened,) = expect_lines(watcher, rf"type=conn_new {tail} cfd=(\d+)")
            fd = opened[4].decode()
            reason = "normal"
            if end == "half a command":
                client.send(b"set a 0 0 10\r\nabc")
            elif end == "reset":
                client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            elif end == "http":
                client.exchange(b"GET / HTTP/1.1\r\n\r\n", b"")
                reason = "error"
            client.close()
            if end == "reset":
                expect_lines(watcher, rf"type=connerr fd={fd} msg=Connection reset by peer")
                reason = "error"
            expect_lines(watcher, rf"type=conn_close {tail} reason={reason} cfd={fd}")


def test_connections_over_unix():
    with Server(unix=True) as server, server.client() as watcher:
        watch(alone(watcher), "connevents")
        server.client().close()
        expect_lines(
            watcher,
            r"type=conn_new rip=unix rport=0 transport=local cfd=\d+",
            r"type=conn_close rip=unix rport=0 transport=local reason=normal cfd=\d+",
        )


def test_idle_timeout_closes_others_than_watchers():
    with Server(["-o", "idle_timeout=1"]) as server, server.client() as watcher:
        watch(alone(watcher), "connevents")
        for _ in range(3):  # each takes longer than the timeout
            with server.client() as client:
                client.expect_close()
                expect_lines(watcher, r"type=conn_new .*", r"type=conn_close .* reason=idle_timeout cfd=\d+")


def test_shutdown_is_a_reason():
    with Server(["-A"]) as server:
        with server.client() as watcher, server.client() as client:
            # Their opening is not in the log, nor is the end of the one that waited for the start.
            wait_until(lambda: client.stats()["curr_connections"] == "2", "other connections' end")
            watch(watcher, "connevents")
            client.exchange(b"shutdown\r\n", b"")
            for line in watcher.recv_to_end().splitlines():
                assert re.fullmatch(STAMP + rb"type=conn_close .* reason=shutdown cfd=\d+", line), line
        server.wait_for_exit()


# -- watchers ------------------------------------------------------------------------------------------


def test_refusals():
    with Server() as server:
        for request, answer in (
            (b"watch bogus\r\n", b"ERROR\r\n"),
            (b"watch fetchers bogus\r\n", b"ERROR\r\n"),
            (b"version\r\nwatch\r\n", b"VERSION 1.6.45\r\nERROR cannot pipeline other commands before watch\r\n"),
        ):
            with server.client() as client:
                client.exchange(request, answer)
                client.expect_quiet()
    with Server(["-W"]) as server, server.client() as client:
        client.exchange(b"watch\r\n", b"CLIENT_ERROR watch commands not allowed\r\n")
        client.expect_quiet()
        assert client.stats()["log_watchers"] == "0"


def test_every_class_has_a_name():
    with Server() as server, server.client() as asking:
        names = "evictions fetchers mutations sysevents connevents deletions rawcmds proxyreqs proxyevents proxyuser"
        for name in names.split():
            with server.client() as client:
                watch(client, name)
        wait_until(lambda: asking.stats()["log_watchers"] == "0", "the watchers' end")


def test_no_more_than_twenty_watchers():
    with Server() as server, server.client() as client:
        watchers = [watch(server.client()) for _ in range(WATCHERS_MAX)]
        client.exchange(b"watch\r\n", b"WATCHER_TOO_MANY log watcher limit reached\r\n")
        client.exchange(b"get key\r\n", b"END\r\n")
        for watcher in watchers:
            expect_lines(watcher, r"type=item_get key=key status=not_found clsid=0 cfd=\d+ size=0")
        assert client.stats()["log_watchers"] == str(WATCHERS_MAX)
        closed = time.monotonic()
        for watcher in watchers:
            watcher.close()
        wait_until(lambda: client.stats()["log_watchers"] == "0", "the watchers' end")
        assert INSTRUMENTED or time.monotonic() - closed < 1
        watch(client)


def test_watchers_get_their_classes_alone():
    with Server() as server, server.client() as fetches, server.client() as stores, server.client() as client:
        watch(fetches, "fetchers")
        watch(stores, "mutations")
        for i in range(100):
            client.exchange(b"set k%d 0 0 1\r\nx\r\n" % i, b"STORED\r\n")
        for i in range(100):
            expect_lines(fetches, rf"type=item_get key=k{i} status=not_found clsid=0 cfd=\d+ size=0")
            expect_lines(stores, rf"type=item_store key=k{i} status=stored cmd=set ttl=0 clsid=\d+ cfd=\d+ size=1")
        stats = client.stats()
        assert stats["log_watchers"] == "2" and stats["log_watcher_sent"] == "200", stats
        assert stats["log_worker_written"] == "200" and stats["log_worker_dropped"] == "0", stats
        states = [value for name, value in client.stats("conns").items() if name.endswith(":state")]
        assert states.count("conn_watch") == 2, states


def test_nobody_listens_to_a_watcher():
    with Server() as server, server.client() as watcher, server.client() as client:
        watcher.exchange(b"watch\r\nversion\r\n", b"OK\r\n")
        watcher.send(b"version\r\nget a\r\nquit\r\n")
        watcher.send(b"x" * 300000)
        client.exchange(b"get a\r\n", b"END\r\n")
        expect_lines(watcher, r"type=item_get key=a .*")


def make_certificate(folder):
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-keyout", folder + "/key", "-out", folder + "/crt"],
        check=True, capture_output=True, timeout=TIMEOUT_S,
    )  # fmt: skip


def test_watching_over_tls():
    with tempfile.TemporaryDirectory() as folder:
        make_certificate(folder)
        plain, port = free_port(), free_port()
        options = ["-u", "root"] if os.geteuid() == 0 else []
        options += ["-l", f"notls:127.0.0.1:{plain},127.0.0.1:{port}"]
        options += ["-Z", "-o", f"ssl_chain_cert={folder}/crt,ssl_key={folder}/key"]
        server = Server(options=options)
        server.port = plain
        with server, server.client() as client, server.client() as other:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.load_verify_locations(folder + "/crt")
            watcher = Client((server.host, port))
            watcher.socket = context.wrap_socket(watcher.socket, server_hostname="localhost")
            watch(watcher, "fetchers connevents")
            for start in range(0, 3000, 500):  # as many as a worker's ring surely holds
                client.exchange(b"".join(b"get k%d\r\n" % i for i in range(start, start + 500)), b"END\r\n" * 500)
                for i in range(start, start + 500):
                    expect_lines(watcher, rf"type=item_get key=k{i} status=not_found clsid=0 cfd=\d+ size=0")
            with Client((server.host, port)) as wrong:
                wrong.send(b"get a\r\n" * 10)
                skip_to(watcher, r"type=conntlserr fd=\d+ msg=.+")
                skip_to(watcher, r"type=conn_close rip=127.0.0.1 rport=\d+ transport=tcp reason=error cfd=\d+")
            watcher.close()
            wait_until(lambda: other.stats()["log_watchers"] == "0", "the watcher's end")


# -- slow watchers -------------------------------------------------------------------------------------


def slow_watcher(server, classes):
    """It has little room on its side."""
    watcher = Client.__new__(Client)
    watcher.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    watcher.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    watcher.socket.settimeout(TIMEOUT_S)
    watcher.socket.connect(server.address)
    watcher._ahead = bytearray()
    return watch(watcher, classes)


def storm(server, count, clients=2):
    """Gets from several connections; seconds that it took."""

    def run(share):
        with server.client() as client:
            request = b"get some_key_of_a_storm\r\n" * 500
            answer = b"END\r\n" * 500
            for _ in range(share // 500):
                client.exchange(request, answer)

    threads = [threading.Thread(target=run, args=(count // clients,)) for _ in range(clients)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.monotonic() - began


def test_a_slow_watcher_is_told_what_it_missed():
    with Server(["-o", "watcher_logbuf_size=32"]) as server, server.client() as client:
        watcher = slow_watcher(server, "fetchers")

        def skipped():
            for _ in range(200):
                client.exchange(b"get k\r\n" * 50, b"END\r\n" * 50)
            return int(client.stats()["log_watcher_skipped"]) > 0

        wait_until(skipped, "a watcher that is overrun")
        wait_until(lambda: settled(client), "the log to be given out")
        stats = client.stats()
        lines = told = 0
        last = None
        while lines + told < int(stats["log_watcher_sent"]) + int(stats["log_watcher_skipped"]):
            line = watcher.recv_line()
            match = re.fullmatch(rb"skipped=(\d+)\n", line)
            if match:
                told += int(match[1])
                last = None if last is None else last + int(match[1])
                continue
            match = re.fullmatch(STAMP + rb"type=item_get key=k .*\n", line)
            assert match, line
            assert last is None or int(match[3]) == last + 1, (last, line)
            last = int(match[3])
            lines += 1
        assert told == int(stats["log_watcher_skipped"]) > 0, (told, stats)
        client.exchange(b"get after\r\n", b"END\r\n")
        expect_lines(watcher, r"type=item_get key=after .*")


def settled(client):
    """Whether all that was written has been sent or skipped (with one watcher)."""
    stats = client.stats()
    return int(stats["log_worker_written"]) == int(stats["log_watcher_sent"]) + int(stats["log_watcher_skipped"])


def rss(pid):
    with open(f"/proc/{pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")


def test_a_storm_goes_on_with_a_watcher_that_never_reads():
    with Server(["-t", "2"]) as server, server.client() as client:
        count = STORM // 10 if INSTRUMENTED else STORM
        unwatched = storm(server, count)
        before = rss(server.pid)
        watcher = slow_watcher(server, "fetchers")
        watched = storm(server, count)
        stats = client.stats()
        assert int(stats["get_misses"]) == 2 * count, stats["get_misses"]
        assert int(stats["log_watcher_skipped"]) + int(stats["log_worker_dropped"]) > 0, stats
        assert int(stats["log_worker_written"]) + int(stats["log_worker_dropped"]) == count, stats
        # 64 KB per worker and one more, 256 KB of lines, what is under way to the socket, and some slack.
        assert INSTRUMENTED or rss(server.pid) - before < 2 << 20, rss(server.pid) - before
        assert watched < unwatched * 20 + 5, (unwatched, watched)
        with server.client() as other:
            other.exchange(b"get still\r\n", b"END\r\n")
        watcher.close()
        wait_until(lambda: client.stats()["log_watchers"] == "0", "the watcher's end")
        stats = client.stats()
        again = storm(server, count)
        print(f"{count} gets: {unwatched:.2f} s, watched {watched:.2f} s, afterwards {again:.2f} s")
        assert client.stats()["log_worker_written"] == stats["log_worker_written"], "written for nobody"


def test_watchers_that_come_and_go_in_a_storm():
    with Server(["-t", "2"]) as server, server.client() as client:
        done = threading.Event()

        def come_and_go():
            while not done.is_set():
                with server.client() as watcher:
                    watch(watcher, "fetchers connevents")
                    watcher.recv_line()

        threads = [threading.Thread(target=come_and_go) for _ in range(3)]
        for thread in threads:
            thread.start()
        storm(server, STORM // 50 if INSTRUMENTED else STORM // 5)
        done.set()
        while any(thread.is_alive() for thread in threads):
            client.exchange(b"get end\r\n", b"END\r\n")  # a line for those who still wait
        wait_until(lambda: client.stats()["log_watchers"] == "0", "the watchers' end")


if __name__ == "__main__":
    run_tests(globals())
