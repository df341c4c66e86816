#!/usr/bin/python3
"""`stats hotkeys` on the real server: the keys that an uneven load asks for most come out on top."""

import bisect
import itertools
import os
import random
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from server import Server, run_tests, wait_until

KEYS = 1000
BATCH = 16  # requests that are sent at once
CONNECTIONS = 8
SAMPLES = 1200  # what is counted, about; one run of a session in 128 is
ROUNDS_MAX = 4000
LARGE = b"odd+one/%\xc3\xa4"  # its key is told encoded


def key(rank):
    return b"key-%04d" % rank


class Zipf:
    """Ranks by chance, rank r with a weight of 1 / (r + 1)."""

    def __init__(self, seed):
        self.chance = random.Random(seed)
        self.sums = list(itertools.accumulate(1 / (rank + 1) for rank in range(KEYS)))

    def share(self, rank):
        return 1 / (rank + 1) / self.sums[-1]

    def draw(self):
        return bisect.bisect_left(self.sums, self.chance.random() * self.sums[-1])


def classic(keys):
    return b"".join(b"get %s\r\n" % name for name in keys), b"END\r\n" * len(keys)


def multiget(keys):
    return b"get %s\r\n" % b" ".join(keys), b"END\r\n"


def meta(keys):
    return b"".join(b"mg %s v\r\n" % name for name in keys), b"EN\r\n" * len(keys)


def binary(keys):
    """getq of each, whose misses are silent, and a noop."""
    head = b"\x80\x09%s\0\0\0\0\0\0%s" + b"\0" * 12
    quiet = b"".join(head % (len(name).to_bytes(2, "big"), len(name).to_bytes(4, "big")[2:]) + name for name in keys)
    return quiet + b"\x80\x0a" + b"\0" * 22, b"\x81\x0a" + b"\0" * 22


def load(clients, make, zipf, stats):
    """Asks for misses of uneven keys until enough is counted."""
    for turn in range(ROUNDS_MAX):
        for client in clients:
            client.exchange(*make([key(zipf.draw()) for _ in range(BATCH)]))
        if turn % 100 == 99:
            told = stats.stats("hotkeys")
            if int(told["sampled"]) >= SAMPLES:
                return told
    raise AssertionError(f"counted {told['sampled']} of {ROUNDS_MAX * CONNECTIONS * BATCH} requests")


def top(told, measure):
    """The keys by rank, with rate and error."""
    found = []
    while f"{measure}:{len(found) + 1}:key" in told:
        prefix = f"{measure}:{len(found) + 1}"
        found.append((told[f"{prefix}:key"], float(told[f"{prefix}:per_s"]), float(told[f"{prefix}:error"])))
    return found


def check_zipf(make):
    zipf = Zipf(7)
    with Server(["-t", "4"]) as server:
        clients = [server.client() for _ in range(CONNECTIONS)]
        stats = server.client()
        first = stats.stats("hotkeys")
        assert first["sampled"] == "0" and top(first, "requests") == [], first
        told = load(clients, make, zipf, stats)
        found = top(told, "requests")
        names = [name for name, _, _ in found]
        assert len(found) == 32, told
        assert found == sorted(found, key=lambda entry: -entry[1]), found
        # The hottest is asked for twice as often as the next; the tenth a hundredth of all.
        assert names[0] == key(0).decode(), names
        assert {key(rank).decode() for rank in range(5)} <= set(names[:10]), names
        total = float(told["requests_per_s"])
        for rank in range(3):
            _, rate, error = next(entry for entry in found if entry[0] == key(rank).decode())
            wanted = zipf.share(rank) * total
            assert abs(rate - wanted) <= 4 * error + 1, (rank, rate, error, wanted)
            assert error < rate, (rank, rate, error)
        assert top(told, "bytes") == [], told  # there were no values
        for client in [*clients, stats]:
            client.close()


def test_hot_keys_of_gets():
    check_zipf(classic)


def test_hot_keys_of_gets_of_many_keys():
    check_zipf(multiget)


def test_hot_keys_of_meta_gets():
    check_zipf(meta)


def test_hot_keys_of_binary_gets():
    check_zipf(binary)


def test_a_large_value_leads_by_bytes_though_it_is_seldom_asked_for():
    size = 50000
    with Server(["-t", "2"]) as server, server.client() as client, server.client() as stats:
        client.exchange(b"set %s 0 0 %d\r\n%s\r\n" % (LARGE, size, b"x" * size), b"STORED\r\n")
        client.exchange(b"set small 0 0 10\r\n0123456789\r\n", b"STORED\r\n")
        stats.stats("hotkeys")

        def asked():
            for _ in range(100):
                client.send(b"get small\r\n" * 9 + b"get %s\r\n" % LARGE)
                client.recv_exact(9 * len(b"VALUE small 0 10\r\n0123456789\r\nEND\r\n"))
                client.recv_exact(len(b"VALUE %s 0 %d\r\n" % (LARGE, size)) + size + len(b"\r\nEND\r\n"))
            return int(stats.stats("hotkeys")["sampled"]) >= 100

        wait_until(asked, "a hundred samples")
        told = stats.stats("hotkeys")
        assert [name for name, _, _ in top(told, "requests")] == ["small", "odd%2Bone%2F%25%C3%A4"], told
        large, small = top(told, "bytes")
        assert large[0] == "odd%2Bone%2F%25%C3%A4" and small[0] == "small", told
        assert small[1] < large[1] / 100, told


def test_nothing_is_counted_before_somebody_asks():
    with Server(["-t", "1"]) as server, server.client() as client:
        for _ in range(300):
            client.exchange(b"get a\r\n", b"END\r\n")
        told = client.stats("hotkeys")
        assert told["seconds"] == "0.0" and told["sampled"] == "0" and told["one_in"] == "128", told


def test_dump_disabled_shows_no_keys():
    with Server(["-X"]) as server, server.client() as client:
        client.exchange(b"stats hotkeys\r\n", b"CLIENT_ERROR stats hotkeys not allowed\r\n")


if __name__ == "__main__":
    run_tests(globals())
