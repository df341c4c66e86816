#!/usr/bin/env python3
"""-o metrics: the page, its bounds, and what a scraper may do wrong."""

import contextlib
import http.client
import os
import re
import socket
import sys
import tempfile
import time
import urllib.error
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from server import SANITIZER_ENV, Client, Server, Skip, free_port, run, run_tests, wait_until

CONNS_MAX, BACKLOG, IDLE_S, CONN_S = 16, 32, 3, 6  # of net/metrics_server.[ch]
NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
SAMPLE = re.compile(rf"({NAME})(\{{.*\}})? (-?[0-9]+(\.[0-9]+)?)")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"')


def parse(text):
    """{(name, ((label, value), ...)): number} of a page; every byte of it is accounted for."""
    assert text.endswith("\n") and "\n\n" not in text and "\r" not in text
    samples, types, current = {}, {}, None
    lines = text.split("\n")[:-1]
    while lines:
        line = lines.pop(0)
        if line.startswith("#"):
            found = re.fullmatch(rf"# HELP ({NAME}) (\S.*\S)", line)
            assert found, line
            current = found[1]
            found = re.fullmatch(rf"# TYPE {current} (counter|gauge)", lines.pop(0))
            assert found and current not in types, (line, current)
            types[current] = found[1]
            assert lines and lines[0].startswith(current), line
            continue
        found = SAMPLE.fullmatch(line)
        assert found and found[1] == current, line
        labels = tuple(LABEL.findall(found[2] or ""))
        assert ",".join(f'{name}="{value}"' for name, value in labels) == (found[2] or "{}")[1:-1], line
        assert (current, labels) not in samples, line
        samples[current, labels] = float(found[3])
    return samples, types


class Scraped:
    """A server with a page."""

    def __init__(self, server, port):
        self.server, self.port = server, port

    def get(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=10) as answer:
            assert answer.status == 200
            assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
            return answer.read().decode()

    def samples(self):
        return parse(self.get())[0]

    def number(self, name, **labels):
        return self.samples()[name, tuple(labels.items())]

    def ask(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()

    def connect(self):
        return Client(("127.0.0.1", self.port))


@contextlib.contextmanager
def scraped(*args, env=None):
    port = free_port()
    with Server(["-o", f"metrics=127.0.0.1:{port}", *args], env=env) as server:
        yield Scraped(server, port)


# Source: contract 5.4; without the outside storage and the proxy, which larder has not.
EXPORTER = """
up uptime_seconds time_seconds version process_user_cpu_seconds_total process_system_cpu_seconds_total
read_bytes_total written_bytes_total current_connections max_connections connections_total
connections_rejected_total connections_yielded_total connections_listener_disabled_total
accepting_connections current_bytes limit_bytes commands_total current_items items_total
items_evicted_total items_reclaimed_total item_too_large_total item_no_memory_total
direct_reclaims_total malloced_bytes unexpected_napi_ids_total round_robin_fallback_total
lru_crawler_enabled lru_crawler_sleep lru_crawler_to_crawl lru_crawler_maintainer_thread
lru_crawler_hot_percent lru_crawler_warm_percent lru_crawler_hot_max_factor lru_crawler_warm_max_factor
lru_crawler_starts_total lru_crawler_reclaimed_total lru_crawler_items_checked_total
lru_crawler_moves_to_cold_total lru_crawler_moves_to_warm_total lru_crawler_moves_within_lru_total
slab_current_items slab_items_age_seconds slab_items_crawler_reclaimed_total slab_items_evicted_total
slab_items_evicted_nonzero_total slab_items_evicted_time_seconds slab_items_evicted_unfetched_total
slab_items_expired_unfetched_total slab_items_outofmemory_total slab_items_reclaimed_total
slab_items_tailrepairs_total slab_items_moves_to_cold slab_items_moves_to_warm slab_items_moves_within_lru
slab_hot_items slab_warm_items slab_cold_items slab_hot_age_seconds slab_warm_age_seconds
slab_lru_hits_total slab_chunk_size_bytes slab_chunks_per_page slab_current_pages slab_current_chunks
slab_chunks_used slab_chunks_free slab_chunks_free_end slab_mem_requested_bytes slab_commands_total
""".split()


def test_the_page_has_what_dashboards_ask_for():
    with scraped("-t", "2") as it, it.server.client() as client:
        client.exchange(b"set a 0 0 1\r\nx\r\n", b"STORED\r\n")
        samples, types = parse(it.get())
        ours = {name.removeprefix("memcached_") for name in types if name.startswith("memcached_")}
        assert ours == set(EXPORTER), ours ^ set(EXPORTER)
        for name, kind in types.items():
            assert not name.endswith("_total") or kind == "counter", name
            assert name.startswith(("memcached_", "larder_")), name
        assert samples["memcached_version", (("version", client.stats()["version"]),)] == 1
        pairs = {dict(labels)["command"] + "/" + dict(labels)["status"]
                 for name, labels in samples if name == "memcached_commands_total"}
        assert pairs == {f"{command}/{status}" for command in "get delete incr decr cas touch".split()
                         for status in ("hit", "miss")} | {"cas/badval", "flush/hit", "set/hit"}
        slab = [labels for name, labels in samples if name == "memcached_slab_commands_total"]
        assert [name for name, _ in slab[0]] == ["slab", "command", "status"] and len(slab) == 8
        assert ("larder_memory_used_bytes", ()) in samples and types["larder_ghost_hits_total"] == "counter"


def test_the_page_says_what_stats_says():
    same = {
        "max_connections": "max_connections", "limit_maxbytes": "limit_bytes", "curr_items": "current_items",
        "total_items": "items_total", "bytes": "current_bytes", "evictions": "items_evicted_total",
        "store_too_large": "item_too_large_total", "threads": None,
        "curr_connections": "current_connections", "accepting_conns": "accepting_connections",
        "total_connections": "connections_total",
    }  # fmt: skip
    with scraped("-t", "2", "-m", "8", "-I", "1m") as it, it.server.client() as client:
        for i in range(4000):
            client.send(b"set key%d 0 0 3000 noreply\r\n%s\r\n" % (i, b"x" * 3000))
        client.exchange(b"set big 0 0 2000000\r\n" + b"x" * 2000000 + b"\r\n",
                        b"SERVER_ERROR object too large for cache\r\n")
        stats, items, slabs = client.stats(), client.stats("items"), client.stats("slabs")
        samples = it.samples()
        assert int(stats["evictions"]) > 0
        for stat, name in same.items():
            if name is not None:
                assert samples["memcached_" + name, ()] == float(stats[stat]), stat
        assert samples["memcached_malloced_bytes", ()] == float(slabs["total_malloced"])
        ours = {name for name, _ in samples if name.startswith("larder_")}
        told = client.stats("larder").keys() - {"snapshot_result", "snapshot_file"}  # texts that change are no labels
        assert len(ours) == len(told), "server/admin/metrics_names.c lacks one"
        for stat, value in items.items():
            _, slab, name = stat.split(":")
            if name == "number":
                assert samples["memcached_slab_current_items", (("slab", slab),)] == float(value)
        for stat, value in slabs.items():
            slab, _, name = stat.partition(":")
            if name == "chunk_size":
                assert samples["memcached_slab_chunk_size_bytes", (("slab", slab),)] == float(value)


def test_counters_move_and_stats_reset_sets_them_back():
    with scraped() as it, it.server.client() as client:
        def command(name, status):
            return it.number("memcached_commands_total", command=name, status=status)

        assert command("set", "hit") == 0 and command("get", "hit") == 0
        client.exchange(b"set a 0 0 1\r\n1\r\n", b"STORED\r\n")
        client.exchange(b"get a b\r\n", b"VALUE a 0 1\r\n1\r\nEND\r\n")
        client.exchange(b"cas a 0 0 1 999\r\n2\r\n", b"EXISTS\r\n")
        client.exchange(b"cas c 0 0 1 999\r\n2\r\n", b"NOT_FOUND\r\n")
        client.exchange(b"incr a 1\r\n", b"2\r\n")
        client.exchange(b"delete a\r\n", b"DELETED\r\n")
        client.exchange(b"flush_all\r\n", b"OK\r\n")
        assert command("set", "hit") == 1 and command("get", "hit") == 1 and command("get", "miss") == 1
        assert command("cas", "badval") == 1 and command("cas", "miss") == 1 and command("incr", "hit") == 1
        assert command("delete", "hit") == 1 and command("flush", "hit") == 1
        before = it.number("memcached_read_bytes_total")
        client.exchange(b"get a\r\n", b"END\r\n")
        assert it.number("memcached_read_bytes_total") == before + 7
        client.exchange(b"stats reset\r\n", b"RESET\r\n")
        assert command("set", "hit") == 0 and command("get", "miss") == 0


def test_other_methods_and_paths_are_refused():
    with scraped() as it:
        status, headers, body = it.ask("HEAD", "/metrics")
        assert status == 200 and body == b"" and int(headers["Content-Length"]) > 1000
        for path in ("/", "/metrics/", "/metricsx", "/metrics/../x", "//metrics", "/%6detrics"):
            assert it.ask("GET", path)[0] == 404, path
        assert it.ask("GET", "/metrics?format=x")[0] == 200  # Prometheus may be told to add parameters
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"):
            status, headers, _ = it.ask(method, "/metrics")
            assert status == 405 and headers["Allow"] == "GET, HEAD", (method, status)
        assert it.ask("POST", "/")[0] == 404
        assert it.ask("BREW", "/metrics")[0] == 501
        assert it.ask("POST", "/metrics", b"x" * 1024)[0] == 405
        assert "hook_" not in it.get()


def test_what_is_no_request_is_answered_or_closed():
    with scraped() as it:
        for text in (b"\r\n\r\n", b"GET\r\n\r\n", b"GET /metrics HTTP/9.9.9\r\n\r\n", b"get a\r\n" * 10, b"\x80\x00" * 20,
                     b"GET /metrics HTTP/1.1\r\nno colon\r\n\r\n", b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n",
                     b"GET /metrics HTTP/1.1\r\n" + b"X: " + b"y" * 9000 + b"\r\n\r\n",
                     b"GET /metrics HTTP/1.1\r\n" + b"X: y\r\n" * 3000 + b"\r\n",
                     b"POST /metrics HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n",
                     b"POST /metrics HTTP/1.1\r\nContent-Length: 2000\r\n\r\n" + b"x" * 2000,
                     b"POST /metrics HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n" + b"x" * 5000):  # fmt: skip
            with it.connect() as client:
                with contextlib.suppress(OSError):  # it may be closed already
                    client.send(text)
                    client.shutdown_write()
                answer = client.recv_to_end()
                assert not answer or re.match(rb"HTTP/1\.[01] (400|404|405|413|501) ", answer), (text[:40], answer)
        with it.connect() as client:
            client.send(b"GET /metrics HTTP/1.0\r\n\r\n")
            assert client.recv_to_end().startswith(b"HTTP/1.0 200 OK\r\n")
        with it.connect() as client:  # one request per connection, also of one who sends more at once
            client.send(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n" * 3)
            assert client.recv_to_end().count(b"HTTP/1.1 200 OK") == 1
        parse(it.get())


def open_descriptors(server):
    return len(os.listdir(f"/proc/{server.pid}/fd"))


def test_connections_are_bounded_and_cost_the_cache_nothing():
    with scraped() as it, it.server.client() as client:
        wait_until(lambda: client.stats()["curr_connections"] == "1", "the end of others")
        before = open_descriptors(it.server)
        lazy = [it.connect() for _ in range(CONNS_MAX + BACKLOG // 2)]
        try:
            wait_until(lambda: open_descriptors(it.server) == before + CONNS_MAX, "connections")
            client.exchange(b"set a 0 0 1\r\n1\r\n", b"STORED\r\n")
            assert open_descriptors(it.server) == before + CONNS_MAX, open_descriptors(it.server) - before
            lazy.pop(0).close()  # its place is the next one's
            lazy[CONNS_MAX - 1].send(b"GET /metrics HTTP/1.1\r\n\r\n")
            assert lazy[CONNS_MAX - 1].recv_to_end().startswith(b"HTTP/1.1 200 OK\r\n")
        finally:
            for one in lazy:
                one.close()
        for _ in range(100):
            it.get()
        wait_until(lambda: open_descriptors(it.server) <= before, "descriptors to come back")


def test_who_is_silent_or_slow_is_closed():
    with scraped() as it:
        began = time.monotonic()
        with it.connect() as silent, it.connect() as half, it.connect() as slow, it.connect() as deaf:
            half.send(b"GET /metrics HTTP/1.1\r\n")
            deaf.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            deaf.send(b"GET /metrics HTTP/1.1\r\n\r\n")
            slow.send(b"GET /metrics HTTP/1.1\r\nX: ")
            slow.socket.settimeout(0.2)
            ended = None
            while ended is None:
                assert time.monotonic() < began + 10 * CONN_S, "a slow client is still there"
                try:
                    slow.send(b"y")
                    if slow.socket.recv(1000) == b"":
                        ended = time.monotonic()
                except socket.timeout:
                    pass
                except OSError:
                    ended = time.monotonic()
            assert ended - began > IDLE_S, ended - began  # bytes came all the time
            silent.expect_close()
            assert half.recv_to_end()[:12] in (b"", b"HTTP/1.1 400"), "half a request"
        parse(it.get())


def test_a_unix_socket_is_another_place():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "metrics")
        with Server(["-o", f"metrics={path}"]):
            with Client(path) as client:
                client.send(b"GET /metrics HTTP/1.1\r\n\r\n")
                head, _, body = client.recv_to_end().partition(b"\r\n\r\n")
                assert head.startswith(b"HTTP/1.1 200 OK\r\n")
                parse(body.decode())
        assert not os.path.exists(path)


def test_it_works_with_filtered_system_calls():
    if b"drop_privileges:" not in run(["-h"]).stdout:
        raise Skip("larder is built without seccomp")
    with scraped("-o", "drop_privileges", env=SANITIZER_ENV) as it:
        for _ in range(3):
            assert parse(it.get())[0]["memcached_up", ()] == 1
        assert it.ask("GET", "/")[0] == 404


def test_a_configuration_names_it_and_a_graceful_stop_ends_it():
    port = free_port()
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as config:
        config.write(f"-o metrics={port}\n")
        config.flush()
        with Server(["--config", config.name]) as server:
            it = Scraped(server, port)
            assert it.number("memcached_up") == 1
            with it.connect():  # one that is open holds nobody up
                server.signal(10)
                assert server.wait_for_exit() == 0
        config.write("-o metrics=localhost\n")
        config.flush()
        done = run(["--config", config.name, "-u", "root"])
        assert done.returncode == 1 and f"{config.name}:2: -o metrics=localhost: a port".encode() in done.stderr, done


def test_what_cannot_be_bound_is_said():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run(["-l", "127.0.0.1", "-p", "-1", "-u", "root", "-o", f"metrics=127.0.0.1:{port}"])
        assert done.returncode == 71, done
        assert f"-o metrics=127.0.0.1:{port}: bind(): Address already in use".encode() in done.stderr, done
    done = run(["-o", "metrics"])
    assert done.returncode == 1 and b"Missing metrics argument" in done.stderr, done


if __name__ == "__main__":
    run_tests(globals())
