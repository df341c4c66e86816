#!/usr/bin/python3
"""Many clients, all commands, on the real server with a memory too small for them: every value is verified.

A value tells its key, its writer and its length, and the rest of it follows from these: whatever is read must be a
whole value that somebody has written under that key.  On top of that:
- keys that one client alone writes (`own`): a read gives the value written last, or nothing (evicted or expired);
- counters that all clients increment (in a server of their own, where nothing is evicted): no increment is lost;
- appended keys: each piece is whole.

STRESS_SECONDS (10) says how long; LARDER which server.  Clients are processes, several connections each.
"""

import hashlib
import multiprocessing
import os
import random
import socket
import sys
import time
import traceback

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from server import Client, Server, run_tests

SECONDS = float(os.environ.get("STRESS_SECONDS", "10"))
CLIENTS = 4  # processes
CONNECTIONS = 8  # of each process
ROUNDS_MIN = 1000  # commands on each connection, whatever the time
EXTRA_S = 60  # but no longer than that beyond it
SHARED_KEYS = 2000
OWN_KEYS = 300
COUNTERS = 20
SIZES = (0, 1, 10, 40, 100, 300, 1000, 4000, 16000, 17000, 60000, 66000, 200000)
WEIGHTS = (1, 2, 8, 8, 8, 8, 6, 4, 2, 2, 1, 1, 0.3)


def make_value(key, writer, number, size):
    """`key|writer|number|size|` and filling that follows from it."""
    head = b"%s|%d|%d|%d|" % (key, writer, number, size)
    seed = hashlib.blake2b(head, digest_size=32).digest()
    return head + (seed * (size // 32 + 1))[:size]


def check_value(key, value):
    parts = value.split(b"|", 4)
    assert len(parts) == 5 and parts[0] == key, f"under {key!r}: {value[:80]!r}"
    whole = make_value(key, int(parts[1]), int(parts[2]), int(parts[3]))
    assert value == whole, f"under {key!r}: {len(value)} bytes, not {len(whole)}, beginning {value[:80]!r}"
    return int(parts[1]), int(parts[2])


class Conn:
    """One connection and what it has written to keys of its own."""

    def __init__(self, address, writer, seed):
        self.client = Client(address)
        self.writer = writer
        self.random = random.Random(seed)
        self.number = 0
        self.own = {}
        self.increments = [0] * COUNTERS
        self.operations = 0
        self.evicted = 0

    def size(self):
        return self.random.choices(SIZES, WEIGHTS)[0]

    def next_value(self, key):
        self.number += 1
        return make_value(key, self.writer, self.number, self.size())

    def shared_key(self):
        # Some keys are hot.
        return b"shared%d" % int(self.random.random() ** 3 * SHARED_KEYS)

    def own_key(self):
        return b"own%d.%d" % (self.writer, self.random.randrange(OWN_KEYS))

    def read_values(self):
        """The values of one get, up to END."""
        found = []
        while True:
            line = self.client.recv_line()
            if line == b"END\r\n":
                return found
            words = line.split()
            assert words[0] == b"VALUE" and len(words) in (4, 5), line
            data = self.client.recv_exact(int(words[3]) + 2)
            assert data.endswith(b"\r\n"), (line, data[-20:])
            found.append((words[1], int(words[2]), data[:-2], int(words[4]) if len(words) == 5 else 0))

    def check_read(self, key, flags, value):
        writer, number = check_value(key, value)
        assert flags == number % 1000, (key, flags, number)
        if key.startswith(b"own"):
            assert writer == self.writer and self.own.get(key) == number, (key, number, self.own.get(key))

    def set(self, key, noreply=False):
        value = self.next_value(key)
        words = b"set %s %d 0 %d" % (key, self.number % 1000, len(value))
        self.client.send(words + (b" noreply\r\n" if noreply else b"\r\n") + value + b"\r\n")
        if not noreply:
            self.client.expect(b"STORED\r\n")
        if key.startswith(b"own"):
            self.own[key] = self.number

    def do_set_shared(self):
        self.set(self.shared_key(), noreply=self.random.random() < 0.3)

    def do_set_own(self):
        self.set(self.own_key(), noreply=self.random.random() < 0.3)

    def do_get(self):
        keys = [self.shared_key() if self.random.random() < 0.6 else self.own_key() for _ in range(self.random.choice((1, 1, 3, 40)))]
        command = self.random.choice((b"get", b"gets", b"gat 0", b"gats 0"))
        self.client.send(command + b" " + b" ".join(keys) + b"\r\n")
        found = self.read_values()
        seen = {key for key, _, _, _ in found}
        assert seen <= set(keys), (seen, keys)
        for key, flags, value, _ in found:
            self.check_read(key, flags, value)
        for key in keys:
            if key not in seen and self.own.pop(key, None) is not None:
                self.evicted += 1

    def do_pipeline(self):
        keys = [self.own_key() for _ in range(self.random.randrange(2, 60))]
        self.client.send(b"".join(b"get %s\r\n" % key for key in keys))
        for key in keys:
            found = self.read_values()
            assert len(found) <= 1 and all(row[0] == key for row in found), (key, found)
            if found:
                self.check_read(key, found[0][1], found[0][2])
            else:
                self.own.pop(key, None)

    def do_delete(self):
        key = self.own_key()
        self.client.send(b"delete %s\r\n" % key)
        line = self.client.recv_line()
        assert line in (b"DELETED\r\n", b"NOT_FOUND\r\n"), line
        self.own.pop(key, None)
        self.client.exchange(b"get %s\r\n" % key, b"END\r\n")

    def do_add(self):
        key = self.own_key()
        old = self.own.get(key)
        value = self.next_value(key)
        self.client.send(b"add %s %d 0 %d\r\n%s\r\n" % (key, self.number % 1000, len(value), value))
        line = self.client.recv_line()
        if line == b"STORED\r\n":
            self.own[key] = self.number
        else:
            assert line == b"NOT_STORED\r\n" and old is not None, (line, old)

    def do_replace(self):
        key = self.own_key()
        old = self.own.get(key)
        value = self.next_value(key)
        self.client.send(b"replace %s %d 0 %d\r\n%s\r\n" % (key, self.number % 1000, len(value), value))
        line = self.client.recv_line()
        if line == b"STORED\r\n":
            assert old is not None, key
            self.own[key] = self.number
        else:
            assert line == b"NOT_STORED\r\n", line
            self.own.pop(key, None)

    def do_cas(self):
        key = self.shared_key()
        self.client.send(b"gets %s\r\n" % key)
        found = self.read_values()
        if not found:
            return
        self.check_read(key, found[0][1], found[0][2])
        value = self.next_value(key)
        self.client.send(b"cas %s %d 0 %d %d\r\n%s\r\n" % (key, self.number % 1000, len(value), found[0][3], value))
        line = self.client.recv_line()
        assert line in (b"STORED\r\n", b"EXISTS\r\n", b"NOT_FOUND\r\n"), line

    def do_append(self):
        key = b"appended%d" % self.random.randrange(20)
        piece = b"<%d.%d>" % (self.writer, self.number)
        self.number += 1
        command = self.random.choice((b"append", b"prepend"))
        self.client.send(b"%s %s 0 0 %d\r\n%s\r\n" % (command, key, len(piece), piece))
        line = self.client.recv_line()
        assert line in (b"STORED\r\n", b"NOT_STORED\r\n"), line
        if line == b"NOT_STORED\r\n":
            self.client.send(b"add %s 0 0 %d\r\n%s\r\n" % (key, len(piece), piece))
            assert self.client.recv_line() in (b"STORED\r\n", b"NOT_STORED\r\n")
        self.client.send(b"get %s\r\n" % key)
        for _, _, value, _ in self.read_values():
            assert value.startswith(b"<") and value.endswith(b">"), value[:80]
            for part in value[1:-1].split(b"><"):
                assert all(word.isdigit() for word in part.split(b".")) and part.count(b".") == 1, value[:80]
            if len(value) > 20000:
                self.client.send(b"delete %s\r\n" % key)
                assert self.client.recv_line() in (b"DELETED\r\n", b"NOT_FOUND\r\n")

    def do_touch(self):
        key = self.own_key()
        self.client.send(b"touch %s 100000\r\n" % key)
        line = self.client.recv_line()
        assert line in (b"TOUCHED\r\n", b"NOT_FOUND\r\n"), line
        assert line == b"NOT_FOUND\r\n" or key in self.own, key

    def do_expired(self):
        key = self.own_key()
        value = self.next_value(key)
        self.client.exchange(b"set %s 0 -1 %d\r\n%s\r\nget %s\r\n" % (key, len(value), value, key), b"STORED\r\nEND\r\n")
        self.own.pop(key, None)

    def do_errors(self):
        self.client.exchange(b"get %s\r\n" % (b"k" * 251), b"CLIENT_ERROR bad command line format\r\n")
        self.client.exchange(b"set x 0 0 2\r\nabcdefgh\r\nmn\r\n", b"CLIENT_ERROR bad data chunk\r\nERROR\r\nMN\r\n")

    def do_half(self):
        """A value that comes in pieces, with a pause."""
        key = self.own_key()
        value = self.next_value(key)
        request = b"set %s %d 0 %d\r\n%s\r\n" % (key, self.number % 1000, len(value), value)
        cut = self.random.randrange(1, len(request))
        self.client.send(request[:cut])
        time.sleep(0.001)  # so that the server sees two pieces
        self.client.send(request[cut:])
        self.client.expect(b"STORED\r\n")
        self.own[key] = self.number

    def do_reconnect(self):
        """Leaves in the middle of a set: nothing of it is ever seen."""
        broken = Client(self.client.socket.getpeername())
        broken.send(b"set %s 0 0 100000\r\nunfinished" % self.shared_key())
        if self.random.random() < 0.5:
            broken.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        broken.close()

    def do_stats(self):
        self.client.stats(self.random.choice(("", "settings", "items", "slabs", "conns")))

    def do_counter(self):
        index = self.random.randrange(COUNTERS)
        self.client.send(b"incr counter%d 1\r\n" % index)
        line = self.client.recv_line()
        assert line.strip().isdigit(), line
        self.increments[index] += 1


MIX = (
    [Conn.do_set_shared] * 10 + [Conn.do_set_own] * 10 + [Conn.do_get] * 30 + [Conn.do_pipeline] * 4
    + [Conn.do_delete] * 2 + [Conn.do_add] * 2 + [Conn.do_replace] * 2 + [Conn.do_cas] * 4 + [Conn.do_append] * 4
    + [Conn.do_touch] * 2 + [Conn.do_expired] + [Conn.do_errors] + [Conn.do_half] + [Conn.do_reconnect] + [Conn.do_stats]
)


def run_client(address, number, seconds, counters, results):
    """One process."""
    seed = random.SystemRandom().randrange(1 << 30)
    try:
        conns = [Conn(address, number * 100 + i, seed + i) for i in range(CONNECTIONS)]
        mix = [Conn.do_counter] if counters else MIX
        pick = random.Random(seed)
        until = time.monotonic() + seconds
        rounds = 0
        # On a busy machine the time alone may not be enough to fill the memory.
        while time.monotonic() < until or (rounds < ROUNDS_MIN and time.monotonic() < until + EXTRA_S):
            rounds += 1
            for conn in conns:
                pick.choice(mix)(conn)
                conn.operations += 1
        totals = [sum(column) for column in zip(*(conn.increments for conn in conns))]
        results.put((None, sum(conn.operations for conn in conns), sum(conn.evicted for conn in conns), totals))
    except BaseException:
        results.put((f"seed {seed}\n{traceback.format_exc()}", 0, 0, []))


def run_clients(server, seconds, counters):
    results = multiprocessing.Queue()
    processes = [
        multiprocessing.Process(target=run_client, args=(server.address, i, seconds, counters, results))
        for i in range(CLIENTS)
    ]
    for process in processes:
        process.start()
    rows = [results.get(timeout=seconds * 4 + EXTRA_S + 60) for _ in processes]
    for process in processes:
        process.join(30)
    failures = [row[0] for row in rows if row[0]]
    assert not failures, "\n".join(failures)
    return rows


def test_every_value_under_eviction():
    with Server(["-m", "8", "-t", "4"]) as server, server.client() as client:
        rows = run_clients(server, SECONDS * 0.7, counters=False)
        stats = client.stats()
        assert int(stats["evictions"]) > 0, stats
        print(
            f"stress: {sum(row[1] for row in rows)} operations, {stats['evictions']} evictions, "
            f"{sum(row[2] for row in rows)} own keys found evicted, {stats['conn_yields']} yields"
        )


def test_no_increment_is_lost():
    with Server(["-t", "4"]) as server, server.client() as client:
        for i in range(COUNTERS):
            client.exchange(b"set counter%d 0 0 1\r\n0\r\n" % i, b"STORED\r\n")
        rows = run_clients(server, SECONDS * 0.3, counters=True)
        for i in range(COUNTERS):
            wanted = sum(row[3][i] for row in rows)
            client.send(b"get counter%d\r\n" % i)
            words = client.recv_line().split()
            assert words[0] == b"VALUE", words
            value = int(client.recv_exact(int(words[3]) + 2))
            assert value == wanted, (i, value, wanted)
            client.expect(b"END\r\n")
        print(f"counters: {sum(row[1] for row in rows)} increments")


if __name__ == "__main__":
    run_tests(globals())
