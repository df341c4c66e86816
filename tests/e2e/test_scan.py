"""larder scan and larder flush_prefix on a server that is in use.

A walk from cursor to cursor returns every key that stays, while others store and delete; a flushed prefix is gone at
once and its memory comes back.
"""

import os
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from server import Server, run_tests, wait_until  # noqa: E402

KEYS = 30000


def fill(client, prefix, count):
    for start in range(0, count, 1000):
        lines = [b"set %s:%d 0 0 5 noreply\r\nvalue\r\n" % (prefix, i) for i in range(start, min(start + 1000, count))]
        client.send(b"".join(lines))
    client.exchange(b"mn\r\n", b"MN\r\n")


def scan(client, prefix=b"*", count=100):
    """All keys of a walk, and the number of commands that it took."""
    cursor, keys, commands = b"0", [], 0
    while commands == 0 or cursor != b"0":
        client.send(b"larder scan %s %s %d\r\n" % (cursor, prefix, count))
        lines = b""
        while not lines.endswith(b"\r\n") or not lines.split(b"\r\n")[-2].startswith(b"END "):
            lines += client.recv_until(b"\r\n")
        *found, end = lines.split(b"\r\n")[:-1]
        keys += [line.split(b" ")[1] for line in found]
        cursor = end.split(b" ")[1]
        commands += 1
    return keys, commands


def test_a_walk_returns_every_key_that_stays():
    with Server(["-m", "128", "-t", "2"]) as server, server.client() as client:
        fill(client, b"stays", KEYS)
        stop = threading.Event()

        def others():
            with server.client() as writer:
                number = 0
                while not stop.is_set():
                    lines = [b"set comes:%d 0 0 1 noreply\r\nx\r\ndelete comes:%d noreply\r\n" % (number + i, number + i - 50) for i in range(50)]
                    writer.send(b"".join(lines))
                    writer.exchange(b"mn\r\n", b"MN\r\n")
                    number += 50

        thread = threading.Thread(target=others)
        thread.start()
        try:
            keys, commands = scan(client, b"stays:", 500)
        finally:
            stop.set()
            thread.join()
        assert sorted(keys) == sorted(b"stays:%d" % i for i in range(KEYS)), (len(keys), len(set(keys)))
        assert commands >= KEYS // 1000, commands


def test_counts_bound_the_reply():
    with Server(["-m", "64"]) as server, server.client() as client:
        fill(client, b"k", 5000)
        for count in (1, 10, 1000):
            client.send(b"larder scan 0 * %d\r\n" % count)
            lines = b""
            while b"END " not in lines:
                lines += client.recv_until(b"\r\n")
            found = lines.count(b"mg ")
            assert count <= found < count + 40, (count, found)


def test_a_flushed_prefix_is_gone_and_its_memory_comes_back():
    with Server(["-m", "64", "-t", "2"]) as server, server.client() as client:
        fill(client, b"user", KEYS)
        fill(client, b"other", 1000)
        client.exchange(b"larder flush_prefix user:\r\n", b"OK\r\n")
        client.exchange(b"get user:0 user:1 user:29999\r\n", b"END\r\n")
        client.exchange(b"get other:0\r\n", b"VALUE other:0 0 5\r\nvalue\r\nEND\r\n")
        wait_until(lambda: client.stats()["curr_items"] == "1000", "the sweep to free the items of the prefix")
        keys, _ = scan(client)
        assert len(keys) == 1000 and all(key.startswith(b"other:") for key in keys)


def test_more_flushes_than_can_be_unswept_wait_for_the_sweep():
    prefixes, alls = 600, 40  # 256 and 14 have room
    with Server(["-m", "64", "-t", "1"]) as server, server.client() as client, server.client() as other:
        fill(client, b"user", KEYS)
        client.send(b"".join(b"larder flush_prefix user:%d\r\n" % i for i in range(100, 100 + prefixes)) + b"mn\r\n")
        client.expect(b"OK\r\n" * prefixes + b"MN\r\n")
        other.exchange(b"get user:10 user:11\r\n", b"VALUE user:10 0 5\r\nvalue\r\nVALUE user:11 0 5\r\nvalue\r\nEND\r\n")
        other.exchange(b"get user:100 user:699\r\n", b"END\r\n")
        other.exchange(b"get user:70\r\n", b"VALUE user:70 0 5\r\nvalue\r\nEND\r\n")
        client.send(b"flush_all\r\n" * alls + b"mn\r\n")
        client.expect(b"OK\r\n" * alls + b"MN\r\n")
        other.exchange(b"get user:10\r\n", b"END\r\n")
        assert client.stats()["cmd_flush"] == str(prefixes + alls)


if __name__ == "__main__":
    run_tests(globals())
