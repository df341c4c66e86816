#!/usr/bin/python3
"""Connections of the real server: limits, idle ones, slow readers, greedy ones, what stats conns says of them."""

import os
import re
import resource
import signal
import socket
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from server import TIMEOUT_S, Client, Server, Skip, run_tests

IDLE_CLIENTS = 10000
IDLE_BYTES_MAX = 400 * 1.1  # per connection, with a tenth for the measurement
INSTRUMENTED = float(os.environ.get("TEST_TIMEOUT_SCALE", "1")) > 1  # sanitizers have heaps of their own


def wait_until(ready, what):
    deadline = time.monotonic() + TIMEOUT_S
    while not ready():
        assert time.monotonic() < deadline, f"waited for {what}"
        time.sleep(0.01)  # between two looks


def rss(pid):
    with open(f"/proc/{pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def state_of(pid):
    """The letter that ps shows."""
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
        return file.read().rpartition(")")[2].split()[0]


def open_sockets(server, count):
    opened = []
    for _ in range(count):
        opened.append(server.client())
    return opened


def close_all(clients):
    for client in clients:
        client.close()


def settle(client, count):
    """Until only `count` connections are left: those of the test's start may still be closing."""
    wait_until(lambda: int(client.stats()["curr_connections"]) == count, f"{count} connections")


def test_fast_limit_answers_and_closes():
    with Server(["-c", "20"]) as server, server.client() as first:
        settle(first, 1)
        clients = open_sockets(server, 19)
        for client in clients:
            client.exchange(b"mn\r\n", b"MN\r\n")
        for _ in range(5):
            with server.client() as refused:
                refused.expect(b"ERROR Too many open connections\r\n")
                refused.expect_close()
        stats = first.stats()
        assert stats["rejected_connections"] == "5", stats["rejected_connections"]
        assert stats["curr_connections"] == "20" and stats["max_connections"] == "20", stats
        assert stats["listen_disabled_num"] == "0" and stats["accepting_conns"] == "1", stats
        clients.pop().close()
        settle(first, 19)
        with server.client() as client:
            client.exchange(b"mn\r\n", b"MN\r\n")
        close_all(clients)


def test_slow_limit_lets_clients_wait():
    with Server(["-c", "20", "-o", "no_maxconns_fast"]) as server, server.client() as first:
        settle(first, 1)
        clients = open_sockets(server, 19)
        for client in clients:
            client.exchange(b"mn\r\n", b"MN\r\n")
        with server.client() as waiting:
            waiting.send(b"version\r\n")
            wait_until(lambda: first.stats()["accepting_conns"] == "0", "a pause")
            stats = first.stats()
            assert stats["curr_connections"] == "20" and int(stats["listen_disabled_num"]) >= 1, stats
            assert "rejected_connections" not in stats, stats
            clients.pop().close()
            waiting.expect(b"VERSION 1.6.45\r\n")
        close_all(clients)
        wait_until(lambda: first.stats()["accepting_conns"] == "1", "the pause's end")
        assert int(first.stats()["time_in_listen_disabled_us"]) > 0


def test_running_out_of_descriptors_neither_spins_nor_blocks():
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    with Server(["-c", "1000", "-t", "1"]) as server, server.client() as first:
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (40, before[1]))
        clients = open_sockets(server, 40)
        wait_until(lambda: int(first.stats()["listen_disabled_num"]) >= 1, "no more descriptors")
        ticks = os.sysconf("SC_CLK_TCK")

        def cpu_s():
            with open(f"/proc/{server.pid}/stat", encoding="ascii") as file:
                fields = file.read().rsplit(") ", 1)[1].split()
            return (int(fields[11]) + int(fields[12])) / ticks

        start_cpu, start = cpu_s(), time.monotonic()
        while time.monotonic() - start < 1:
            first.exchange(b"mn\r\n", b"MN\r\n")
            time.sleep(0.05)  # the time in which a spinning thread would show
        if not INSTRUMENTED:
            assert cpu_s() - start_cpu < 0.5, cpu_s() - start_cpu
        for client in clients[:30]:
            client.close()
        for client in clients[30:]:
            client.exchange(b"mn\r\n", b"MN\r\n")
        close_all(clients)


def test_idle_connections_are_closed():
    # Two seconds and not one: on a machine that stands still for a while the busy client must not be idle.
    with Server(["-o", "idle_timeout=2"]) as server, server.client() as idle, server.client() as half:
        idle.exchange(b"mn\r\n", b"MN\r\n")
        half.send(b"set a 0 0 10\r\nabc")
        with server.client() as busy:
            until = time.monotonic() + TIMEOUT_S
            while int(busy.stats()["idle_kicks"]) < 2:
                assert time.monotonic() < until, "idle connections stay"
                time.sleep(0.1)  # less than makes it idle
            idle.expect_close()
            half.expect_close()
            busy.exchange(b"mn\r\n", b"MN\r\n")


def test_client_that_does_not_read_is_not_read_either():
    with Server(["-t", "2"]) as server, server.client() as other:
        value = b"v" * 1000
        other.exchange(b"set a 0 0 1000\r\n" + value + b"\r\n", b"STORED\r\n")
        reply = b"VALUE a 0 1000\r\n" + value + b"\r\nEND\r\n"
        before = rss(server.pid)
        with server.client() as client:
            # 100,000 gets: 0.7 MB of requests, 102 MB of replies that nobody takes.
            requests, sent = b"get a\r\n" * 100000, 0
            client.socket.setblocking(False)
            quiet_since = time.monotonic()
            while sent < len(requests) and time.monotonic() - quiet_since < 1:
                try:
                    sent += client.socket.send(requests[sent : sent + 65536])
                    quiet_since = time.monotonic()
                except BlockingIOError:
                    time.sleep(0.01)  # the server may still be reading
            other.exchange(b"get a\r\n", reply)
            grown = rss(server.pid) - before
            print(f"back-pressure: {sent} of {len(requests)} bytes taken, resident memory grew by {grown} bytes")
            if not INSTRUMENTED:
                assert grown < 4 << 20, grown
            wait_until(lambda: "conn_mwrite" in other.stats("conns").values(), "a connection that waits to write")
            # All replies come when it reads at last.
            client.socket.settimeout(TIMEOUT_S)
            done = threading.Thread(target=lambda: client.send(requests[sent:]))
            done.start()
            for _ in range(100):
                got = client.recv_exact(len(reply) * 1000)
                assert got == reply * 1000
            done.join(TIMEOUT_S)
            assert not done.is_alive()


def test_greedy_client_lets_others_have_their_turn():
    with Server(["-t", "1", "-R", "5"]) as server, server.client() as other:
        other.exchange(b"set a 0 0 1\r\nx\r\n", b"STORED\r\n")
        stop = threading.Event()
        greedy = [server.client() for _ in range(2)]

        def press(client):
            while not stop.is_set():
                client.send(b"get a\r\n" * 5000)
                client.recv_exact(len(b"VALUE a 0 1\r\nx\r\nEND\r\n") * 5000)

        threads = [threading.Thread(target=press, args=(client,)) for client in greedy]
        for thread in threads:
            thread.start()
        worst = 0.0
        for _ in range(200):
            begun = time.monotonic()
            other.exchange(b"get a\r\n", b"VALUE a 0 1\r\nx\r\nEND\r\n")
            worst = max(worst, time.monotonic() - begun)
        yields = int(other.stats()["conn_yields"])
        stop.set()
        for thread in threads:
            thread.join(TIMEOUT_S)
        close_all(greedy)
        print(f"fairness: worst of 200 gets beside two greedy clients {worst * 1000:.1f} ms, {yields} yields")
        assert worst < TIMEOUT_S / 10, worst
        assert yields > 0


def test_few_requests_of_a_greedy_client_come_before_anothers():
    """By counting: both clients' requests lie in the server's sockets when it goes on, so that the clock has no say."""
    requests = 10000
    for turn in (5, 20):
        with Server(["-t", "1", "-R", str(turn)]) as server, server.client() as greedy, server.client() as other:
            other.exchange(b"mn\r\n", b"MN\r\n")
            greedy.exchange(b"mn\r\n", b"MN\r\n")
            server.signal(signal.SIGSTOP)
            wait_until(lambda pid=server.pid: state_of(pid) == "T", "the server to stop")
            greedy.send(b"get a\r\n" * requests)
            other.send(b"stats\r\n")  # which tells how many gets were answered before it
            server.signal(signal.SIGCONT)
            before = int(dict(line.split(b" ")[1:3] for line in other.recv_until(b"END\r\n").splitlines()[:-1])[b"cmd_get"])
            greedy.recv_exact(len(b"END\r\n") * requests)
            assert other.stats()["cmd_get"] == str(requests)
            print(f"fairness: {before} of a greedy client's {requests} gets came first, with -R {turn}")
            assert before <= 4 * turn, before


def test_stats_conns_lists_all_workers_and_listeners():
    with Server(["-t", "4"]) as server, server.client() as asking:
        settle(asking, 1)
        others = open_sockets(server, 8)
        for client in others:
            client.exchange(b"mn\r\n", b"MN\r\n")
        others[0].send(b"set a 0 0 100\r\nabc")
        listening = f"tcp:127.0.0.1:{server.port}"
        names = {f"tcp:127.0.0.1:{client.socket.getsockname()[1]}" for client in others + [asking]}

        def read():
            table = {}
            for name, value in asking.stats("conns").items():
                fd, _, what = name.partition(":")
                table.setdefault(int(fd), {})[what] = value
            return table

        wait_until(lambda: any(row["state"] == "conn_nread" for row in read().values()), "a half set")
        table = read()
        rows = list(table.values())
        assert list(table) == sorted(table)
        listeners = [row for row in rows if row["state"] == "conn_listening"]
        assert [row["addr"] for row in listeners] == [listening] and "listen_addr" not in listeners[0], listeners
        clients = [row for row in rows if row["state"] != "conn_listening"]
        assert {row["addr"] for row in clients} == names, rows
        assert all(row["listen_addr"] == listening for row in clients)
        assert all(re.fullmatch(r"\d+", row["secs_since_last_cmd"]) for row in rows)
        own = f"tcp:127.0.0.1:{asking.socket.getsockname()[1]}"
        assert [row["state"] for row in clients if row["addr"] == own] == ["conn_parse_cmd"], clients
        close_all(others)


def test_stats_conns_lists_every_connection_however_many_there_are():
    # Lines are gathered in slices of 64 and in an array that doubles: 191 of a worker and a listener filled it just so.
    clients_count = 382
    with Server(["-t", "2", "-c", "1024"]) as server, server.client() as asking:
        settle(asking, 1)
        others = open_sockets(server, clients_count - 1)
        settle(asking, clients_count)
        for client in others:
            client.exchange(b"mn\r\n", b"MN\r\n")
        asking.send(b"stats conns\r\n")
        reply = asking.recv_until(b"END\r\n").decode()
        listed = re.findall(r"^STAT \d+:listen_addr ", reply, re.MULTILINE)
        assert len(listed) == clients_count, f"{len(listed)} of {clients_count}"
        close_all(others)


def test_stats_conns_while_connections_come_and_go():
    with Server(["-t", "4"]) as server:
        stop = threading.Event()
        problems = []

        def churn():
            while not stop.is_set():
                with server.client() as client:
                    client.exchange(b"mn\r\n", b"MN\r\n")

        def ask():
            try:
                with server.client() as client:
                    for _ in range(100):
                        client.stats("conns")
            except Exception as problem:  # told by the test's own thread
                problems.append(problem)

        churners = [threading.Thread(target=churn) for _ in range(4)]
        askers = [threading.Thread(target=ask) for _ in range(4)]
        for thread in churners + askers:
            thread.start()
        for thread in askers:
            thread.join(TIMEOUT_S * 3)
        stop.set()
        for thread in churners:
            thread.join(TIMEOUT_S)
        assert not problems and not any(thread.is_alive() for thread in churners + askers), problems


def test_idle_connections_cost_little_memory():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = IDLE_CLIENTS + 200
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise Skip(f"the limit of descriptors is {hard}, {wanted} are needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    with Server(["-c", str(IDLE_CLIENTS + 100), "-b", "10000"]) as server, server.client() as asking:
        asking.exchange(b"set a 0 0 1\r\nx\r\n", b"STORED\r\n")
        first = open_sockets(server, 8)  # each worker has its buffers when the measurement begins
        for client in first:
            client.exchange(b"get a\r\n", b"VALUE a 0 1\r\nx\r\nEND\r\n")
        before = rss(server.pid)
        clients = open_sockets(server, IDLE_CLIENTS)
        wait_until(lambda: int(asking.stats()["curr_connections"]) >= IDLE_CLIENTS + 9, "all connections")
        opened = (rss(server.pid) - before) / IDLE_CLIENTS
        for client in clients:
            client.send(b"get a\r\n" * 10)
        for client in clients:
            client.recv_exact(len(b"VALUE a 0 1\r\nx\r\nEND\r\n") * 10)
        used = (rss(server.pid) - before) / IDLE_CLIENTS
        # Far more than a turn's commands from all of them at once: what waits may not pile up in the server.
        for client in clients:
            client.send(b"get a\r\n" * 300)
        for client in clients:
            client.recv_exact(len(b"VALUE a 0 1\r\nx\r\nEND\r\n") * 300)
        burst = (rss(server.pid) - before) / IDLE_CLIENTS
        print(f"memory of an idle connection: {opened:.0f} bytes, after 10 gets {used:.0f}, after 300 gets {burst:.0f}")
        if not INSTRUMENTED:
            assert opened <= IDLE_BYTES_MAX, opened
            assert used <= 600, used
            assert burst <= 1500, burst
        close_all(clients + first)
        settle(asking, 1)


def test_half_closed_client_gets_its_replies():
    with Server() as server, server.client() as client:
        client.send(b"set a 0 0 1\r\nx\r\n" + b"get a\r\n" * 1000)
        client.shutdown_write()
        assert client.recv_to_end() == b"STORED\r\n" + b"VALUE a 0 1\r\nx\r\nEND\r\n" * 1000


def test_broken_connections_leave_nothing_behind():
    with Server() as server, server.client() as asking:
        settle(asking, 1)
        for _ in range(50):
            with server.client() as client:
                client.send(b"set big 0 0 1000000\r\n" + b"x" * 1000)
                client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # reset on close
        settle(asking, 1)
        asking.exchange(b"get big\r\n", b"END\r\n")


if __name__ == "__main__":
    run_tests(globals())
