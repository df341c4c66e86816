#!/usr/bin/python3
"""pymemcache against the real server: all classic operations, through one client, a pool, and unix sockets."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from server import TIMEOUT_S, Server, run_tests

try:
    from pymemcache.client.base import Client, PooledClient
    from pymemcache.client.hash import HashClient
    from pymemcache.exceptions import MemcacheClientError, MemcacheIllegalInputError
except ImportError:
    print("python3-pymemcache is not installed")
    sys.exit(77)


def connect(server, kind=Client, **options):
    return kind(server.address, timeout=TIMEOUT_S, connect_timeout=TIMEOUT_S, **options)


def check_all_operations(client):
    assert client.set("a", b"1", noreply=False) is True
    assert client.get("a") == b"1"
    assert client.get("missing") is None
    assert client.get("missing", default=b"d") == b"d"
    assert client.add("a", b"2", noreply=False) is False
    assert client.add("b", b"2", noreply=False) is True
    assert client.replace("b", b"3", noreply=False) is True
    assert client.replace("nothing", b"3", noreply=False) is False
    assert client.append("b", b"4", noreply=False) is True
    assert client.prepend("b", b"2", noreply=False) is True
    assert client.get("b") == b"234"
    value, cas = client.gets("b")
    assert value == b"234"
    assert client.cas("b", b"new", cas, noreply=False) is True
    assert client.cas("b", b"late", cas, noreply=False) is False
    assert client.cas("nothing", b"x", cas, noreply=False) is None
    assert client.incr("a", 41) == 42
    assert client.decr("a", 2) == 40
    assert client.decr("a", 100) == 0
    assert client.incr("nothing", 1) is None
    assert client.touch("a", 100, noreply=False) is True
    assert client.touch("nothing", 100, noreply=False) is False
    assert client.delete("a", noreply=False) is True
    assert client.delete("a", noreply=False) is False
    many = {f"many{i}": b"v%d" % i for i in range(500)}
    assert client.set_many(many, noreply=False) == []
    assert client.get_many(list(many) + ["missing"]) == many
    assert len(client.gets_many(["many1", "many2"])) == 2
    client.delete_many(["many1", "many2"], noreply=False)
    assert client.get_many(["many1", "many2", "many3"]) == {"many3": b"v3"}
    for i in range(200):
        client.set(f"quiet{i}", b"%d" % i, noreply=True)
    assert client.get("quiet199") == b"199"


def test_all_operations():
    with Server() as server:
        client = connect(server)
        check_all_operations(client)
        assert client.version() == b"1.6.45"
        stats = client.stats()
        assert stats[b"curr_items"] > 0 and stats[b"threads"] == 4, stats
        assert client.stats("settings")[b"maxbytes"] == 64 << 20
        assert client.cache_memlimit(128) is True
        assert client.flush_all(noreply=False) is True
        assert client.get("b") is None
        client.quit()


def test_pooled_client():
    with Server() as server:
        client = connect(server, PooledClient, max_pool_size=8)
        check_all_operations(client)
        client.close()


def test_hash_client_over_two_servers():
    with Server() as one, Server() as other:
        client = HashClient([one.address, other.address], timeout=TIMEOUT_S, connect_timeout=TIMEOUT_S)
        many = {f"k{i}": b"%d" % i for i in range(300)}
        assert client.set_many(many, noreply=False) == []
        assert client.get_many(list(many)) == many
        client.close()


def test_unix_socket():
    with Server(unix=True) as server:
        client = connect(server)
        check_all_operations(client)
        client.close()


def test_values_of_all_sizes():
    with Server(["-m", "100"]) as server:
        client = connect(server)
        for size in (0, 1, 2, 100, 1023, 4096, 16383, 16384, 16385, 65535, 65536, 65537, 200000, 1000000):
            value = os.urandom(size)
            assert client.set("v", value, noreply=False) is True, size
            assert client.get("v") == value, size
        client.close()


def test_expiry_and_flags():
    with Server() as server:
        client = connect(server, serializer=lambda key, value: (value, 77), deserializer=lambda key, value, flags: (value, flags))
        client.set("a", b"x", expire=100, noreply=False)
        assert client.get("a") == (b"x", 77)
        client.set("gone", b"x", expire=-1, noreply=False)
        assert client.get("gone") is None
        client.close()


def test_errors_reach_the_caller():
    with Server() as server:
        client = connect(server)
        client.set("text", b"abc", noreply=False)
        try:
            client.incr("text", 1)
            raise AssertionError("incr of a text")
        except MemcacheClientError as error:
            assert b"cannot increment or decrement non-numeric value" in bytes(str(error), "utf-8"), error
        try:
            client.get("k" * 251)
            raise AssertionError("a key too long")
        except MemcacheIllegalInputError:
            pass
        client.close()


if __name__ == "__main__":
    run_tests(globals())
