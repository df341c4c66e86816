#!/usr/bin/env python3
"""Restart without losing the cache: -e, SIGUSR1, `shutdown graceful`, and every way in which that can go wrong."""

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from server import SANITIZER_ENV, TIMEOUT_S, Server, Skip, larder_binary, memcached_binary, run, run_tests, wait_until

REFUSED = 134
ROOT = ["-u", "root"] if os.geteuid() == 0 else []


class Place:
    """A folder for a memory file; deleted in the end."""

    def __init__(self, folder="/dev/shm" if os.access("/dev/shm", os.W_OK) else None):
        self.folder = tempfile.mkdtemp(prefix="larder-test-restart-", dir=folder)
        self.file = os.path.join(self.folder, "items")
        self.meta = self.file + ".meta"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.folder)

    def server(self, *args, env=None):
        return Server(["-e", self.file, *args], env=env)

    def refuses(self, text, *args):
        """A start ends as it should, and leaves the files as they are."""
        before = self.contents()
        done = run([*ROOT, "-l", "127.0.0.1", "-p", "0", "-s", os.path.join(self.folder, "socket"), "-e", self.file, *args])
        assert done.returncode == REFUSED, (done.returncode, done.stderr)
        assert text in done.stderr.decode(), done.stderr
        assert self.contents() == before

    def contents(self):
        found = {}
        for name in sorted(os.listdir(self.folder)):
            with open(os.path.join(self.folder, name), "rb") as file:
                found[name] = file.read()
        return found


def end(server, how=signal.SIGUSR1):
    server.signal(how)
    assert server.wait_for_exit() == 0, server.log()


def store(client, key, value, flags=0, ttl=0):
    client.exchange(b"set %s %d %d %d\r\n%s\r\n" % (key, flags, ttl, len(value), value), b"STORED\r\n")


def gets(client, key):
    """Flags, value and CAS id; None for a miss."""
    client.send(b"gets %s\r\n" % key)
    line = client.recv_line()
    if line == b"END\r\n":
        return None
    _, found, flags, length, cas = line.split()
    assert found == key
    value = client.recv_exact(int(length))
    assert client.recv_exact(7) == b"\r\nEND\r\n"
    return int(flags), value, int(cas)


def meta(client, key, flags):
    client.send(b"mg %s %s\r\n" % (key, flags))
    return client.recv_line().split()


def test_everything_comes_back():
    rng = random.Random(6)
    items = {b"key%d" % i: (rng.randbytes(rng.choice([0, 1, 50, 500, 5000])), i * 7, 0 if i % 3 else 500) for i in range(3000)}
    items.update({b"long%d" % i: (rng.randbytes(900_000 + i), i, 0) for i in range(8)})
    with Place() as place:
        with place.server("-m", "100") as server, server.client() as client:
            for key, (value, flags, ttl) in items.items():
                store(client, key, value, flags, ttl)
            for i in range(0, 3000, 10):
                client.exchange(b"delete key%d\r\n" % i, b"DELETED\r\n")
                del items[b"key%d" % i]
            client.exchange(b"ms AAEC 5 b F9\r\nbytes\r\n", b"HD\r\n")  # a binary key: 00 01 02
            store(client, b"stale", b"old")
            client.exchange(b"md stale I T900\r\n", b"HD\r\n")
            client.exchange(b"ms won 1 T900\r\nx\r\n", b"HD\r\n")
            client.exchange(b"mg fill v N300 k\r\n", b"VA 0 kfill W\r\n\r\n")
            store(client, b"number", b"41")
            client.exchange(b"touch number 700\r\n", b"TOUCHED\r\n")
            before = {key: gets(client, key) for key in items}
            hit = meta(client, b"key1", b"h t c")
            assert hit[:2] == [b"HD", b"h1"], hit
            settings = client.stats("settings")
            assert settings["memory_file"] == place.file, settings
            count = client.stats()["curr_items"]
            end(server)
            assert f"-e: {place.file}: {count} items are kept for the next start" in server.log()
            assert os.path.exists(place.meta)
        with place.server("-m", "100") as server, server.client() as client:
            assert f"-e: {place.file}: {count} items are there again" in server.log()
            assert not os.path.exists(place.meta)
            stats = client.stats()
            assert stats["curr_items"] == count and stats["cmd_get"] == "0", stats
            for key, found in before.items():
                assert gets(client, key) == found, key
            assert gets(client, b"key0") is None
            assert meta(client, b"key1", b"h c") == [b"HD", b"h1", hit[3]]
            assert 480 <= int(meta(client, b"key3", b"t")[1][1:]) <= 500
            assert meta(client, b"key1", b"t") == [b"HD", b"t-1"]
            assert 680 <= int(meta(client, b"number", b"t")[1][1:]) <= 700
            client.exchange(b"incr number 1\r\n", b"42\r\n")
            client.exchange(b"mg AAEC b f v k\r\n", b"VA 5 f9 kAAEC b\r\nbytes\r\n")
            client.exchange(b"mg stale v\r\n", b"VA 3 X W\r\nold\r\n")
            client.exchange(b"mg stale v\r\n", b"VA 3 Z X\r\nold\r\n")
            client.exchange(b"mg fill v\r\n", b"VA 0 Z\r\n\r\n")
            # ids go on behind the last one
            last = max(cas for _, _, cas in before.values())
            store(client, b"new", b"x")
            assert gets(client, b"new")[2] > last
            client.exchange(b"cas key1 0 0 1 %d\r\nx\r\n" % before[b"key1"][2], b"STORED\r\n")


def test_the_shutdown_command_keeps_the_items():
    with Place() as place:
        with place.server("-A") as server, server.client() as client:
            store(client, b"key", b"value")
            client.send(b"shutdown graceful\r\n")
            assert server.wait_for_exit() == 0
        with place.server("-A") as server, server.client() as client:
            assert gets(client, b"key")[1] == b"value"
            client.send(b"shutdown\r\n")
            assert server.wait_for_exit() == 0
        with place.server() as server, server.client() as client:
            assert gets(client, b"key") is None
            assert "no metadata save file, starting with a clean cache" in server.log()


def test_without_a_graceful_stop_it_starts_clean():
    for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT):
        with Place() as place:
            with place.server() as server, server.client() as client:
                store(client, b"key", b"value")
                server.expect_exit = None
                server.signal(number)
                server.wait_for_exit()
            with place.server() as server, server.client() as client:
                assert "it was not stopped by SIGUSR1" in server.log(), server.log()
                assert gets(client, b"key") is None
                store(client, b"key", b"value")
                end(server)
            with place.server() as server, server.client() as client:
                assert gets(client, b"key")[1] == b"value"


def test_other_limits_and_options():
    with Place() as place:
        with place.server("-m", "64") as server, server.client() as client:
            for i in range(400):
                store(client, b"key%d" % i, b"%d" % i * 40000)
            end(server)
        for args, survivors in (["-m", "256", "-t", "2"], 400), (["-m", "24", "-I", "2m"], None):
            with place.server(*args) as server, server.client() as client:
                found = [i for i in range(400) if (got := gets(client, b"key%d" % i)) and got[1] == b"%d" % i * 40000]
                assert f"{len(found)} items are there again" in server.log(), server.log()
                assert len(found) == survivors if survivors else 50 < len(found) < 400, len(found)
                larder = client.stats("larder")
                assert int(larder["memory_used"]) <= int(larder["memory_limit"]), larder
                assert larder["memory_file_refusals"] == "0"
                end(server)
        for args, text in (
            (["-C"], "-C (--disable-cas) has changed: starting with a clean cache"),
            (["-f", "1.25"], "(-f, -n, -o slab_sizes) have changed: starting with a clean cache"),
            (["-m", "2"], "-m) has smaller pages than the file: starting with a clean cache"),
        ):
            with place.server() as server, server.client() as client:
                store(client, b"key", b"value")
                end(server)
            with place.server(*args) as server, server.client() as client:
                assert text in server.log(), server.log()
                assert gets(client, b"key") is None
                store(client, b"key", b"value")


def test_damaged_and_foreign_files_are_refused():
    with Place() as place:
        with place.server("-m", "4") as server, server.client() as client:
            for i in range(100):
                store(client, b"key%d" % i, b"x" * 1000)
            store(client, b"long", b"y" * 500_000)
            end(server)
        good = place.contents()

        def lay(name, change):
            for other, contents in good.items():
                with open(os.path.join(place.folder, other), "wb") as file:
                    file.write(change(contents) if other == name else contents)

        at = good["items"].index(b"x" * 100)
        for name, change, text in (
            ("items.meta", lambda _: b"", ".meta is empty or has lost its end"),
            ("items.meta", lambda c: c[:-1], ".meta is empty or has lost its end"),
            ("items.meta", lambda c: b"T" + c[1:], ".meta was not written by larder"),
            ("items.meta", lambda c: c[:8] + b"\0" + c[9:], "written by another version of larder (format 0, not 1)"),
            ("items.meta", lambda c: c[:50] + b"?" + c[51:], ".meta is damaged"),
            ("items.meta", lambda c: c + b"?", ".meta is damaged"),
            ("items", lambda c: c[:70_000], "has lost its end"),
            ("items", lambda c: c[:at] + b"?" + c[at + 1 :], "is damaged (page "),
            ("items", lambda c: c[:8] + b"?" + c[9:], "belongs to another state of the file"),
            ("items", lambda c: b"?" + c[1:], "is no memory file of larder"),
        ):
            lay(name, change)
            place.refuses(text)
        lay("items", lambda c: c)
        os.remove(place.file)
        place.refuses("the file that it belongs to is not")
        lay("items", lambda c: c)
        with place.server("-m", "4") as server, server.client() as client:  # all of that has done it no harm
            assert gets(client, b"key50")[1] == b"x" * 1000
            assert gets(client, b"long")[1] == b"y" * 500_000


def test_a_file_of_memcached_is_refused():
    with Place() as place:
        with Server(["-e", place.file], binary=memcached_binary()) as server, server.client() as client:
            store(client, b"key", b"value")
            end(server)
        place.refuses("is no memory file of larder: it stays as it is; name another file, or remove it")


def test_two_servers_want_one_file():
    with Place() as place:
        with place.server() as server, server.client() as client:
            store(client, b"key", b"value")
            done = run([*ROOT, "-l", "127.0.0.1", "-p", "0", "-s", os.path.join(place.folder, "socket"), "-e", place.file])
            assert done.returncode == REFUSED and b"is in use by another process" in done.stderr, done
            assert gets(client, b"key")[1] == b"value"
            end(server)
        assert os.path.exists(place.meta)


def test_a_start_that_comes_to_nothing_keeps_the_items():
    with Place() as place:
        with place.server() as server, server.client() as client:
            store(client, b"key", b"value")
            end(server)
        rules = os.path.join(place.folder, "rules")
        with open(rules, "w") as file:
            file.write("nonsense")
        args = [*ROOT, "-l", "127.0.0.1", "-p", "0", "-s", os.path.join(place.folder, "socket"), "-e", place.file]
        done = run([*args, "-o", f"mysql_hook={rules}"])
        assert done.returncode == 64 and b"1 items are kept for the next start" in done.stderr, done
        with place.server() as server, server.client() as client:
            assert gets(client, b"key")[1] == b"value"


def test_the_folder_must_be_writable():
    with Place() as place:
        place.file = os.path.join(place.folder, "none", "items")
        done = run([*ROOT, "-l", "127.0.0.1", "-p", "0", "-s", os.path.join(place.folder, "socket"), "-e", place.file])
        assert done.returncode == REFUSED and b"No such file or directory" in done.stderr, done


def test_with_filters_of_system_calls():
    with Place() as place:
        words = ("-o", "drop_privileges", "-m", "64")
        if run(["-h"]).stdout.find(b"drop_privileges") < 0:
            raise Skip("larder is built without libseccomp")
        for round_number in range(2):
            with place.server(*words, env=SANITIZER_ENV) as server, server.client() as client:
                for i in range(300):  # the file grows, and pages move and go
                    store(client, b"r%d:key%d" % (round_number, i), b"z" * (100_000 if i % 2 else 300))
                client.exchange(b"cache_memlimit 32\r\n", b"OK\r\n")
                wait_until(lambda: int(client.stats("larder")["memory_used"]) <= 32 << 20, "the lower limit")
                assert client.stats("larder")["memory_file_refusals"] == "0"
                assert gets(client, b"r%d:key299" % round_number) is not None
                end(server)
            assert os.stat(place.file).st_blocks * 512 < 36 << 20


def test_a_full_file_system_costs_items_and_nothing_else():
    probe = subprocess.run(
        ["unshare", "-rm", "sh", "-c", "mount -t tmpfs -o size=1m none /mnt"], capture_output=True, timeout=TIMEOUT_S, check=False
    )
    if probe.returncode != 0:
        raise Skip("no file system of our own can be mounted here")
    with Place() as place:
        inner = os.path.join(place.folder, "small")
        os.mkdir(inner)
        script = os.path.join(place.folder, "larder")
        with open(script, "w") as file:
            file.write(
                "#!/bin/sh\nexec unshare -rm sh -c '"
                f'mount -t tmpfs -o size=12m none {inner} && exec {larder_binary()} "$@"\' larder "$@"\n'
            )
        os.chmod(script, 0o700)
        with Server(["-m", "64", "-e", os.path.join(inner, "items")], binary=script) as server, server.client() as client:
            for i in range(3000):  # 30 MB of items where 12 MB are
                store(client, b"key%d" % i, b"%d" % i * (10000 // len(b"%d" % i)))
            assert int(client.stats("larder")["memory_file_refusals"]) > 0
            assert int(client.stats()["evictions"]) > 1000
            found = 0
            for i in range(3000):
                got = gets(client, b"key%d" % i)
                if got is not None:
                    assert got[1] == b"%d" % i * (10000 // len(b"%d" % i))
                    found += 1
            assert 500 < found < 1300, found
            store(client, b"long", b"y" * 900_000)
            assert gets(client, b"long")[1] == b"y" * 900_000


def test_what_was_acknowledged_under_load_is_there():
    writers = 4

    with Place() as place:
        with place.server("-m", "200") as server:
            acknowledged = [0] * writers
            started = [threading.Event() for _ in range(writers)]

            def write(number):
                with socket.create_connection(server.address, timeout=TIMEOUT_S) as link:
                    stream = link.makefile("rb")
                    try:
                        for i in range(1_000_000):
                            value = b"%d:%d" % (number, i) * (1 + i % 50)
                            link.sendall(b"set w%d:%d 0 0 %d\r\n%s\r\n" % (number, i, len(value), value))
                            if stream.readline() != b"STORED\r\n":
                                return
                            acknowledged[number] = i + 1
                            if i == 300:
                                started[number].set()
                    except OSError:
                        return

            threads = [threading.Thread(target=write, args=(number,)) for number in range(writers)]
            for thread in threads:
                thread.start()
            for event in started:
                assert event.wait(TIMEOUT_S)
            end(server)
            for thread in threads:
                thread.join(TIMEOUT_S)
        with place.server("-m", "200") as server, server.client() as client:
            assert min(acknowledged) > 300
            for number in range(writers):
                for i in range(acknowledged[number]):
                    assert gets(client, b"w%d:%d" % (number, i))[1] == b"%d:%d" % (number, i) * (1 + i % 50), (number, i)


def test_flushes_are_remembered():
    with Place() as place:
        with place.server() as server, server.client() as client:
            store(client, b"a:1", b"x")
            store(client, b"b:1", b"x")
            store(client, b"c:1", b"x")
            client.exchange(b"larder flush_prefix a:\r\n", b"OK\r\n")
            client.exchange(b"flush_all 3\r\n", b"OK\r\n")
            end(server)
        with place.server() as server, server.client() as client:
            assert gets(client, b"a:1") is None
            wait_until(lambda: gets(client, b"b:1") is None, "the flush that was to come")
            assert gets(client, b"c:1") is None


def test_a_snapshot_is_read_only_where_nothing_newer_is():
    with Place() as place:
        path = os.path.join(place.folder, "snapshot")
        load = ("-A", "-o", f"load_if_there={path}")
        with place.server(*load) as server, server.client() as client:
            store(client, b"key", b"old")
            store(client, b"gone", b"x")
            client.exchange(b"larder snapshot %s\r\n" % path.encode(), b"OK\r\n")
            store(client, b"key", b"new")
            client.exchange(b"delete gone\r\n", b"DELETED\r\n")
            end(server)
        with place.server(*load) as server, server.client() as client:
            assert "is not read: -e has brought" in server.log(), server.log()
            assert gets(client, b"key")[1] == b"new" and gets(client, b"gone") is None
            end(server, signal.SIGTERM)  # as a crash: nothing is kept
        with place.server(*load) as server, server.client() as client:
            assert gets(client, b"key")[1] == b"old" and gets(client, b"gone")[1] == b"x"


if __name__ == "__main__":
    run_tests(globals())
