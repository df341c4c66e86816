#!/usr/bin/python3
"""The tools of libmemcached against the real server: the capability test, copying, reading, loads."""

import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from server import TIMEOUT_S, Server, Skip, run_tests

if not shutil.which("memccapable"):
    print("libmemcached-tools is not installed")
    sys.exit(77)

LOAD_TIMEOUT_S = TIMEOUT_S * 6


def tool(name, *args, timeout=TIMEOUT_S * 3, expect=0, stdin=b""):
    path = shutil.which(name)
    if not path:
        raise Skip(f"{name} is not installed")
    done = subprocess.run([path, *args], capture_output=True, timeout=timeout, check=False, input=stdin)
    assert expect is None or done.returncode == expect, (name, args, done)
    return done.stdout


def servers(server):
    return f"--servers={server.host}:{server.port}"


MEMCCAPABLE_CASES = 54  # text and binary


def test_memccapable():
    with Server() as server:
        out = tool("memccapable", "-h", server.host, "-p", str(server.port))
        assert b"FAIL" not in out and out.count(b"[pass]") == MEMCCAPABLE_CASES, out
        print(f"memccapable: {out.count(b'[pass]')} passed")


def test_tools_in_binary():
    with tempfile.TemporaryDirectory() as folder, Server() as server:
        path = os.path.join(folder, "large")
        with open(path, "wb") as file:
            file.write(b"0123456789" * 90000)
        tool("memccp", "--binary", servers(server), path)
        assert tool("memccat", "--binary", servers(server), "large") == b"0123456789" * 90000 + b"\n"
        tool("memctouch", "--binary", servers(server), "--expire=1000", "large")
        tool("memcexist", "--binary", servers(server), "large")
        tool("memcrm", "--binary", servers(server), "large")
        tool("memcexist", "--binary", servers(server), "large", expect=1)
        tool(
            "memcslap", "--binary", servers(server), "--concurrency=4", "--execute-number=1000", "--initial-load=1000",
            "--test=mget", timeout=LOAD_TIMEOUT_S,
        )


def test_copy_cat_touch_exist_remove():
    with tempfile.TemporaryDirectory() as folder, Server() as server:
        path = os.path.join(folder, "hello")
        with open(path, "wb") as file:
            file.write(b"hello, world")
        tool("memccp", servers(server), path)
        assert tool("memccat", servers(server), "hello") == b"hello, world\n"
        tool("memcexist", servers(server), "hello")
        tool("memcexist", servers(server), "nothing", expect=1)
        tool("memctouch", servers(server), "--expire=1000", "hello")
        tool("memcrm", servers(server), "hello")
        tool("memcexist", servers(server), "hello", expect=1)
        large = os.path.join(folder, "large")
        with open(large, "wb") as file:
            file.write(b"0123456789" * 90000)
        tool("memccp", servers(server), large)
        assert tool("memccat", servers(server), "large") == b"0123456789" * 90000 + b"\n"


def test_ping_stat_flush():
    with Server() as server, server.client() as client:
        tool("memcping", servers(server))
        out = tool("memcstat", servers(server))
        assert f"pid: {server.pid}".encode() in out, out
        client.exchange(b"set a 0 0 1\r\nx\r\n", b"STORED\r\n")
        tool("memcflush", servers(server))
        client.exchange(b"get a\r\n", b"END\r\n")


def test_memcslap_get_set_and_multiget():
    with Server() as server, server.client() as client:
        for what in ("get", "set", "mget"):
            tool(
                "memcslap", servers(server), "--concurrency=4", "--execute-number=2000", "--initial-load=2000",
                f"--test={what}", timeout=LOAD_TIMEOUT_S,
            )
        stats = client.stats()
        assert int(stats["cmd_set"]) >= 2000 and int(stats["get_hits"]) > 0, stats


def test_memcslap_over_a_small_memory():
    with Server(["-m", "2"]) as server, server.client() as client:
        tool(
            "memcslap", servers(server), "--concurrency=8", "--execute-number=2000", "--initial-load=10000",
            "--test=set", timeout=LOAD_TIMEOUT_S,
        )
        stats = client.stats()
        assert int(stats["evictions"]) > 0, stats
        assert int(stats["bytes"]) <= 2 << 20, stats


def test_memcaslap_verifies_what_it_reads():
    with Server(["-m", "128"]) as server, server.client() as client:
        out = tool(
            "memcaslap", "-s", f"{server.host}:{server.port}", "-T", "2", "-c", "16", "-t", "2s", "-v", "0.5",
            timeout=LOAD_TIMEOUT_S, expect=None,
        )
        assert b"written_bytes" in out, out
        for line in out.splitlines():
            if line.startswith((b"verify_failed:", b"verify_misses:", b"unmatch")):
                assert line.split()[-1] == b"0", out
        assert int(client.stats()["cmd_get"]) > 0


if __name__ == "__main__":
    run_tests(globals())
