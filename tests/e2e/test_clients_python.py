#!/usr/bin/python3
"""Clients in Python: pylibmc in both protocols, python-memcache, pymemcache, bmemcached."""

import functools
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from foreign import Case, restart, run_clients
from server import TIMEOUT_S, Server, Skip

BYTES = bytes(range(256)) + b"\r\nEND\r\nVALUE x 0 1\r\n\0"
MANY = {f"many{i}": f"value {i}" for i in range(1000)}
LARGE = os.urandom(1000000)
TOO_LARGE = os.urandom(2 << 20)
COMPRESSIBLE = "squeeze me " * 5000
LONGEST_KEY = "k" * 250


def eventually(call, want):
    """Whether `call` gives `want` before long; a client may need some tries to see that its server is back."""
    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline:
        try:
            if call() == want:
                return True
        except Exception as error:  # each client has errors of its own for a lost connection
            del error
        time.sleep(0.02)  # between two looks
    return False


def is_refused(call):
    """Whether `call` gives nothing true, or raises: clients differ there, some by the protocol."""
    try:
        return not call()
    except Exception as error:
        del error
        return True


def check_storage(client, checks):
    """set, get, add, replace, delete: what all of these clients spell alike."""
    checks.true("set", client.set("a", "1"))
    checks.equal("get", client.get("a"), "1")
    checks.equal("get of a missing key", client.get("missing"), None)
    checks.true("add of an existing key", is_refused(lambda: client.add("a", "2")))
    checks.true("add", client.add("b", "2"))
    checks.true("replace", client.replace("b", "3"))
    checks.true("replace of a missing key", is_refused(lambda: client.replace("missing", "3")))
    checks.equal("the replaced value", client.get("b"), "3")
    checks.true("delete", client.delete("a"))
    checks.equal("get of a deleted key", client.get("a"), None)


def check_values(client, checks):
    """Bytes of every kind, sizes around the edges, types that travel in the flags."""
    for name, value in (("bytes", BYTES), ("empty", b""), ("text", "häß ✓"), ("integer", 12345), ("true", True)):
        checks.true(f"set of {name}", client.set(name, value))
        checks.equal(f"get of {name}", client.get(name), value)
    structure = {"list": [1, 2.5, None], "bytes": BYTES}
    checks.true("set of a structure", client.set("structure", structure))
    checks.equal("get of a structure", client.get("structure"), structure)
    for size in (1, 1023, 4096, 16384, 65535, 65536, 200000):
        checks.true(f"set of {size} bytes", client.set("sized", LARGE[:size]))
        checks.equal(f"get of {size} bytes", client.get("sized"), LARGE[:size])
    checks.true("set of a large value", client.set("large", LARGE))
    checks.equal("get of a large value", client.get("large"), LARGE)
    checks.true("set with the longest key", client.set(LONGEST_KEY, "long"))
    checks.equal("get of the longest key", client.get(LONGEST_KEY), "long")


def check_too_large(client, checks, **options):
    """What is refused takes the older value with it, and the connection stays in order."""
    checks.true("too large a value", is_refused(lambda: client.set("large", TOO_LARGE, **options)))
    checks.true("the client trusts the server again", eventually(lambda: client.get("integer"), 12345))
    checks.equal("a refused value leaves nothing", client.get("large"), None)


def check_compressed(client, checks, **options):
    checks.true("set compressed", client.set("compressed", COMPRESSIBLE, **options))
    checks.equal("get compressed", client.get("compressed"), COMPRESSIBLE)


def check_longer(client, checks):
    client.set("text", "mid")
    checks.true("append", client.append("text", "dle"))
    checks.true("prepend", client.prepend("text", "in the "))
    checks.equal("the longer text", client.get("text"), "in the middle")
    checks.true("append to a missing key", is_refused(lambda: client.append("missing", "x")))


def check_numbers(client, checks):
    client.set("n", 10)
    checks.equal("incr", client.incr("n", 32), 42)
    checks.equal("decr", client.decr("n", 2), 40)
    checks.equal("decr stops at 0", client.decr("n", 100), 0)
    checks.true("touch", client.touch("n", 100))
    checks.true("touch of a missing key", is_refused(lambda: client.touch("missing", 100)))


def check_many(client, checks):
    checks.true("set_multi", client.set_multi(MANY) in ([], True))
    checks.equal("get_multi", client.get_multi([*MANY, "missing1", "missing2"]), MANY)
    checks.equal("get_multi of missing keys", client.get_multi([f"missing{i}" for i in range(500)]), {})
    checks.true("delete_multi", client.delete_multi(["many1", "many2"]))
    checks.equal("get_multi after it", client.get_multi(["many1", "many2", "many3"]), {"many3": "value 3"})


def check_restart(server, client, checks, version):
    """The connection breaks, and the client finds the new server."""
    checks.true("set before the restart", client.set("kept", "1"))
    restart(server)
    checks.true("set after the restart", eventually(lambda: bool(client.set("fresh", "2")), True))
    checks.equal("get after the restart", client.get("fresh"), "2")
    checks.equal("the new server is empty", client.get("kept"), None)
    return version


def check_expiry(checks, get):
    """`get` finds the value that was stored to live for a second; in the end it is gone."""
    checks.true("a value with an expiry goes", eventually(get, None))


def check_pylibmc(server, checks, protocol, **login):
    try:
        import pylibmc
    except ImportError as error:
        raise Skip("python3-pylibmc is not installed") from error
    address = f"{server.host}:{server.port}"
    behaviors = {"cas": True, "remove_failed": 0, "retry_timeout": 1}
    is_binary = protocol.startswith("binary")
    client = pylibmc.Client([address], binary=is_binary, behaviors=behaviors, **login)
    client.set("short_lived", "x", time=1)
    client.set("absolute", "x", time=int(time.time()) + 100)
    checks.equal("an absolute time to come", client.get("absolute"), "x")
    client.set("past", "x", time=int(time.time()) - 100)
    checks.equal("a time that is over", client.get("past"), None)
    check_storage(client, checks)
    check_values(client, checks)
    check_many(client, checks)

    check_too_large(client, checks)
    check_longer(client, checks)

    client.set("c", "old")
    value, cas = client.gets("c")
    checks.equal("gets", value, "old")
    checks.true("cas", client.cas("c", "new", cas))
    checks.true("cas with an old number", is_refused(lambda: client.cas("c", "late", cas)))
    checks.equal("the value after cas", client.get("c"), "new")
    checks.raises("cas of a missing key", pylibmc.NotFound, lambda: client.cas("missing", "x", cas))

    check_numbers(client, checks)
    checks.raises("incr of a missing key", pylibmc.NotFound, lambda: client.incr("missing"))
    checks.raises("incr of a text", pylibmc.Error, lambda: client.incr("c"))
    if hasattr(client, "incr_multi"):
        client.set_multi({"n1": 1, "n2": 2})
        client.incr_multi(["n1", "n2"], delta=5)
        checks.equal("incr_multi", client.get_multi(["n1", "n2"]), {"n1": 6, "n2": 7})

    check_compressed(client, checks, min_compress_len=100)
    checks.equal("set_multi compressed", client.set_multi({"z1": COMPRESSIBLE}, min_compress_len=100), [])
    checks.equal("get_multi compressed", client.get_multi(["z1"]), {"z1": COMPRESSIBLE})

    check_pylibmc_connections(client, checks, functools.partial(pylibmc.Client, [address], binary=is_binary, **login))
    if login:
        stranger = pylibmc.Client([address], binary=True, username=login["username"], password="wrong")
        checks.raises("a wrong password", pylibmc.Error, lambda: stranger.set("stranger", "x"))
        checks.equal("nothing was stored", client.get("stranger"), None)
    stats = client.get_stats()[0][1]
    checks.equal("stats: pid", int(stats["pid"]), server.pid)
    checks.true("stats: curr_items", int(stats["curr_items"]) > 1000)
    check_expiry(checks, lambda: client.get("short_lived"))
    checks.true("flush_all", client.flush_all())
    checks.equal("get after it", client.get_multi(list(MANY)), {})
    return check_restart(server, client, checks, pylibmc.__version__)


def check_pylibmc_connections(client, checks, connect):
    """Connections that do not wait for answers, over a unix socket, and out of a pool."""
    from pylibmc import Client, ThreadMappedPool

    quiet = connect(behaviors={"_noreply": True})
    for i in range(500):
        quiet.set(f"quiet{i}", str(i))
    checks.true("500 quiet sets", eventually(lambda: client.get("quiet499"), "499"))
    checks.equal("all of them", len(client.get_multi([f"quiet{i}" for i in range(500)])), 500)
    buffered = connect(behaviors={"no_block": True, "tcp_nodelay": True})
    checks.equal("many without blocking", buffered.set_multi(MANY), [])
    checks.equal("read without blocking", buffered.get_multi(list(MANY)), MANY)
    with Server(unix=True) as local:
        by_path = Client([local.path], binary=connect.keywords["binary"])
        checks.equal("many over a unix socket", by_path.set_multi(MANY), [])
        checks.equal("read over a unix socket", by_path.get_multi(list(MANY)), MANY)
    with ThreadMappedPool(client).reserve() as pooled:
        checks.equal("a clone from the pool", pooled.get("many9"), "value 9")


def check_python_memcache(server, checks, _):
    try:
        import memcache
    except ImportError as error:
        raise Skip("python3-memcache is not installed") from error
    options = {"cache_cas": True, "dead_retry": 0, "server_max_value_length": 4 << 20, "socket_timeout": TIMEOUT_S}
    client = memcache.Client([f"{server.host}:{server.port}"], **options)
    client.set("short_lived", "x", time=1)
    check_storage(client, checks)
    check_values(client, checks)
    check_many(client, checks)
    check_too_large(client, checks)

    check_longer(client, checks)
    client.set("c", "old")
    checks.equal("gets", client.gets("c"), "old")
    client.set("c", "newer")
    checks.true("cas with an old number", is_refused(lambda: client.cas("c", "late")))
    checks.equal("gets again", client.gets("c"), "newer")
    checks.true("cas", client.cas("c", "newest"))
    checks.equal("the value after cas", client.get("c"), "newest")

    check_numbers(client, checks)
    checks.equal("incr of a missing key", client.incr("missing"), None)
    for i in range(500):
        client.set(f"quiet{i}", str(i), noreply=True)
    client.delete("quiet1", noreply=True)
    client.incr("n", 5, noreply=True)
    found = (client.get("n"), client.get("quiet499"), client.get("quiet1"))
    checks.equal("after quiet commands", found, (5, "499", None))
    check_compressed(client, checks, min_compress_len=100)
    ((_, stats),) = client.get_stats()
    checks.equal("stats: pid", stats["pid"], str(server.pid))
    checks.true("stats: settings", "maxbytes" in client.get_stats("settings")[0][1])
    checks.true("stats slabs", "active_slabs" in client.get_stats("slabs")[0][1])
    check_expiry(checks, lambda: client.get("short_lived"))
    client.flush_all()
    checks.equal("get after flush_all", client.get_multi(list(MANY)), {})
    return check_restart(server, client, checks, memcache.__version__)


def check_bmemcached(server, checks, _, **login):
    try:
        import bmemcached
    except ImportError as error:
        raise Skip("python3-binary-memcached is not installed") from error
    address = f"{server.host}:{server.port}"
    client = bmemcached.Client([address], socket_timeout=TIMEOUT_S, **login)
    client.enable_retry_delay(False)
    client.set("short_lived", "x", time=1)
    check_storage(client, checks)
    check_values(client, checks)
    check_many(client, checks)
    client.set("large", "older")
    check_too_large(client, checks, compress_level=0)

    client.set("c", "old")
    value, cas = client.gets("c")
    checks.equal("gets", value, "old")
    checks.true("cas", client.cas("c", "new", cas))
    checks.true("cas with an old number", is_refused(lambda: client.cas("c", "late", cas)))
    checks.equal("the value after cas", client.get("c"), "new")
    checks.true("delete with an old number", is_refused(lambda: client.delete("c", cas=cas)))
    checks.equal("get with a default", client.get("missing", "default"), "default")
    _, cas = client.gets("c")
    checks.true("delete with the number", client.delete("c", cas=cas))

    checks.equal("incr with an initial value", client.incr("n", 1, default=10), 10)
    checks.equal("incr", client.incr("n", 32), 42)
    checks.equal("decr", client.decr("n", 2), 40)
    checks.equal("decr stops at 0", client.decr("n", 100), 0)
    check_compressed(client, checks, compress_level=9)
    if login:
        stranger = bmemcached.Client([address], username=login["username"], password="wrong", socket_timeout=TIMEOUT_S)
        checks.true("a wrong password", is_refused(lambda: stranger.set("stranger", "x")))
        checks.equal("nothing was stored", client.get("stranger"), None)
    (stats,) = client.stats().values()
    checks.equal("stats: pid", int(stats["pid"]), server.pid)
    checks.true("stats: settings", "maxbytes" in list(client.stats("settings").values())[0])
    check_expiry(checks, lambda: client.get("short_lived"))
    checks.true("flush_all", client.flush_all())
    checks.equal("get after it", client.get_multi(list(MANY)), {})
    return check_restart(server, client, checks, package_version("python-binary-memcached"))


def package_version(name):
    from importlib import metadata

    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "?"


def check_pymemcache(server, checks, _, tls_context=None):
    try:
        from pymemcache import serde
        from pymemcache.client.retrying import RetryingClient
        from pymemcache.client.base import Client
        from pymemcache.exceptions import MemcacheError, MemcacheServerError
    except ImportError as error:
        raise Skip("python3-pymemcache is not installed") from error
    options = {"timeout": TIMEOUT_S, "connect_timeout": TIMEOUT_S, "tls_context": tls_context}
    client = Client(server.address, serde=serde.pickle_serde, default_noreply=False, **options)
    client.set("short_lived", "x", expire=1)
    check_storage(client, checks)
    check_values(client, checks)
    checks.equal("set_many", client.set_many(MANY), [])
    checks.equal("get_many", client.get_many([*MANY, "missing1"]), MANY)
    checks.raises("too large a value", MemcacheServerError, lambda: client.set("large", TOO_LARGE))
    checks.true("the client trusts the server again", eventually(lambda: client.get("integer"), 12345))
    checks.equal("a refused value leaves nothing", client.get("large"), None)
    client.set("c", "old")
    value, cas = client.gets("c")
    checks.equal("gets", value, "old")
    checks.equal("cas", client.cas("c", "new", cas), True)
    checks.equal("cas with an old number", client.cas("c", "late", cas), False)
    checks.equal("cas of a missing key", client.cas("missing", "x", cas), None)
    client.set("n", "18446744073709551610")
    checks.equal("incr goes round at 64 bits", client.incr("n", 7), 1)
    checks.equal("touch", client.touch("n", 100), True)
    for i in range(500):
        client.set(f"quiet{i}", str(i), noreply=True)
    checks.equal("500 quiet sets", len(client.get_many([f"quiet{i}" for i in range(500)])), 500)
    checks.equal("stats: pid", client.stats()[b"pid"], server.pid)
    checks.true("verbosity", client._misc_cmd([b"verbosity 0\r\n"], "verbosity", False))
    check_expiry(checks, lambda: client.get("short_lived"))
    checks.equal("flush_all", client.flush_all(), True)
    checks.equal("get after it", client.get_many(list(MANY)), {})
    retrying = RetryingClient(client, attempts=3, retry_for=[MemcacheError, OSError])
    return check_restart(server, retrying, checks, package_version("pymemcache"))


CASES = [
    Case("pylibmc", "text", check_pylibmc),
    Case("pylibmc", "binary", check_pylibmc),
    Case("python-memcache", "text", check_python_memcache),
    Case("pymemcache", "text", check_pymemcache),
    Case("python-binary-memcached", "binary", check_bmemcached),
]

if __name__ == "__main__":
    run_clients(CASES)
