#!/usr/bin/python3
"""Dumps of the real server, while others read and write; crawls, page moves on request, and memcached-tool.

Environment: DUMP_ITEMS   items in the large dump (300000); 10000000 takes some minutes and -m 2048
"""

import base64
import os
import re
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from server import TIMEOUT_S, Client, Server, Skip, run_tests

ITEMS = int(os.environ.get("DUMP_ITEMS", "300000"))
SCALE = float(os.environ.get("TEST_TIMEOUT_SCALE", "1"))
DUMP_TIMEOUT_S = TIMEOUT_S + ITEMS / 20000 * SCALE
PROBES_PER_S = 1000 if SCALE == 1 else 100  # less than a server with sanitizers answers beside a dump
TRIES = 3  # of a measurement: the machine may have had something else to do
TOOL = "/usr/share/memcached/scripts/memcached-tool"


def wait_until(ready, what):
    deadline = time.monotonic() + TIMEOUT_S
    while not ready():
        assert time.monotonic() < deadline, f"waited for {what}"
        time.sleep(0.01)  # between two looks


def fill(client, prefix, start, end, value=b"v", exptime=0):
    """Stores prefix00000000 and so on."""
    line = b"set %s%%08d 0 %d %d noreply\r\n%s\r\n" % (prefix, exptime, len(value), value.replace(b"%", b"%%"))
    for at in range(start, end, 10000):
        client.send(b"".join(line % i for i in range(at, min(at + 10000, end))))
    client.expect_quiet()


def read_dump(client, command=b"lru_crawler metadump all", end=b"END\r\n"):
    """The lines of a dump, in pieces of whole lines; the OK and the END are taken off."""
    client.send(command + b"\r\n")
    client.expect(b"OK\r\n")
    rest = b""
    while True:
        rest += client.recv_some()
        cut = rest.rfind(b"\n") + 1
        lines, rest = rest[:cut], rest[cut:]
        if lines.endswith(end) and (len(lines) == len(end) or lines[-len(end) - 1 : -len(end)] == b"\n"):
            yield lines[: -len(end)]
            assert rest == b"", rest
            return
        yield lines


def dumped_keys(client, command=b"lru_crawler metadump all"):
    keys = []
    for lines in read_dump(client, command):
        keys += re.findall(rb"^key=(\S+) exp=-?\d+ la=\d+ cas=\d+ fetch=(?:yes|no) cls=\d+ size=\d+ flags=\d+ $",
                           lines, re.M)
        assert lines.count(b"\n") == len(re.findall(rb"^key=", lines, re.M)), lines[:200]
    return keys


# -- others, in processes of their own --------------------------------------------------------------------


def begin(host, port):
    """Connects, and tells the parent so."""
    os.set_blocking(0, False)
    client = Client((host, int(port)), timeout=60)
    client.expect_quiet()
    print("ready", flush=True)
    return client


def probe_main(host, port, keys):
    """Asks for one key after the other at fixed times until told to stop; prints waits in ms: n median p99 max."""
    client = begin(host, port)
    waits = []
    start = time.perf_counter()
    due = 0
    while due % 50 != 0 or due == 0 or not stdin_has_ended():
        at = start + due / PROBES_PER_S
        pause = at - time.perf_counter()
        if pause > 0:
            time.sleep(pause)
        client.send(b"get k%08d\r\n" % (due * 7919 % int(keys)))
        client.recv_until(b"END\r\n")
        waits.append(time.perf_counter() - at)
        due += 1
    waits.sort()
    n = len(waits)
    print(n, *("%.3f" % (1000 * waits[i]) for i in (n // 2, n * 99 // 100, n - 1)))


def stdin_has_ended():
    """The parent closes our input to stop us."""
    try:
        return os.read(0, 1) == b""
    except BlockingIOError:
        return False


def writer_main(host, port, first):
    """Stores new keys, changes and deletes them, until told to stop."""
    client = begin(host, port)
    number = int(first)
    while not stdin_has_ended():
        parts = []
        for _ in range(50):
            parts.append(b"set w%d 0 0 5 noreply\r\nabcde\r\n" % number)
            if number % 3 == 0:
                parts.append(b"delete w%d noreply\r\n" % (number - number % 100))
            number += 1
        client.send(b"".join(parts) + b"mn\r\n")
        client.expect(b"MN\r\n")
    print(number - int(first))


class Other:
    """This file, run with a word that says what it is to be."""

    def __init__(self, what, server, *args):
        self.process = subprocess.Popen(
            [sys.executable, os.path.abspath(__file__), what, server.host, str(server.port), *map(str, args)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.process.stdout.readline() == b"ready\n"

    def stop(self):
        out, _ = self.process.communicate(timeout=TIMEOUT_S * 6)
        assert self.process.returncode == 0, self.process.returncode
        return out.split()


def probe_for(server, seconds):
    probe = Other("--probe", server, ITEMS)
    time.sleep(seconds)  # the measurement's length
    return probe.stop()


# -- tests --------------------------------------------------------------------------------------------------


def measure_dump(server):
    """A whole dump with a probe and a writer beside it: what the probe says, and the seconds that it took."""
    probe = Other("--probe", server, ITEMS)
    writer = Other("--writer", server, int(time.time()) * 1000)
    times = bytearray(ITEMS)
    begin = time.perf_counter()
    with server.client(timeout=DUMP_TIMEOUT_S) as client:
        for lines in read_dump(client):
            for number in map(int, re.findall(rb"^key=k(\d{8}) exp=-1 ", lines, re.M)):
                times[number] += 1
    seconds = time.perf_counter() - begin
    written = writer.stop()
    waits = probe.stop()
    missing = times.count(0)
    twice = ITEMS - missing - times.count(1)
    assert missing == 0, f"{missing} of {ITEMS} keys are missing"
    assert twice == 0, f"{twice} of {ITEMS} keys came more than once"
    return waits, seconds, int(written[0])


def test_a_dump_is_whole_and_stops_nobody():
    memory = max(64, ITEMS * 200 // 1000000 + 32)
    # One thread: whoever else has a request waits behind the dump, if anything of it is long.
    with Server(["-m", str(memory), "-t", "1"]) as server:
        with server.client(timeout=60) as client:
            fill(client, b"k", 0, ITEMS)
            before = client.stats()
            assert before["curr_items"] == str(ITEMS), before["curr_items"]
        alone = probe_for(server, 2)
        for attempt in range(TRIES):
            waits, seconds, written = measure_dump(server)
            print(f"dump of {ITEMS} items in {seconds:.2f} s, {written} stores beside it; "
                  f"waits in ms (median, p99, longest): without {b' '.join(alone[1:]).decode()}, "
                  f"with {b' '.join(waits[1:]).decode()}", flush=True)
            # With many items, an unbroken dump would make at least one wait for all of it.
            if float(waits[3]) / 1000 < max(seconds / 2, 0.3 * SCALE) and float(waits[1]) < 10 * SCALE:
                break
        else:
            raise AssertionError("others waited for the dump")
        with server.client() as client:
            after = client.stats()
            assert after["evictions"] == "0"
            assert after["lru_crawler_running"] == "0"
            assert int(after["lru_crawler_starts"]) >= attempt + 1


def test_a_client_that_leaves_makes_room_for_the_next():
    with Server(["-t", "2"]) as server, server.client() as second:
        fill(second, b"k", 0, 100000)
        first = server.client()
        first.send(b"lru_crawler metadump all\r\n")
        first.expect(b"OK\r\n")
        assert second.stats()["lru_crawler_running"] == "1"
        second.exchange(b"lru_crawler metadump all\r\n", b"BUSY currently processing crawler request\r\n")
        second.exchange(b"lru_crawler mgdump all\r\n", b"BUSY currently processing crawler request\r\n")
        second.exchange(b"lru_crawler crawl all\r\n", b"BUSY currently processing crawler request\r\n")
        first.close()
        wait_until(lambda: second.stats()["lru_crawler_running"] == "0", "the dump to end with its client")
        assert len(dumped_keys(second)) == 100000


def rss_kib(server):
    with open(f"/proc/{server.pid}/status", encoding="ascii") as file:
        return int(re.search(r"VmRSS:\s+(\d+)", file.read()).group(1))


def test_a_slow_client_stops_only_itself():
    with Server(["-t", "1"]) as server, server.client() as other:
        fill(other, b"k", 0, 200000)
        before = rss_kib(server)
        slow = server.client()
        slow.send(b"lru_crawler metadump all\r\nget k00000001\r\n")
        for i in range(2000):
            other.exchange(b"get k%08d\r\n" % i, b"VALUE k%08d 0 1\r\nv\r\nEND\r\n" % i)
        assert rss_kib(server) - before < 4096 * SCALE, (before, rss_kib(server))
        slow.expect(b"OK\r\n")
        received = slow.recv_until(b"\nEND\r\n")
        assert received.count(b"\n") == 200001, received.count(b"\n")
        slow.expect(b"VALUE k00000001 0 1\r\nv\r\nEND\r\n")  # what was sent behind
        slow.close()


def test_a_server_stops_in_the_middle_of_a_dump():
    for number in (signal.SIGTERM, signal.SIGUSR1):
        with Server(["-t", "1"]) as server, server.client() as client:
            fill(client, b"k", 0, 200000)
            client.send(b"lru_crawler metadump all\r\n")
            client.expect(b"OK\r\n")
            server.signal(number)
            assert server.wait_for_exit() == 0


def test_the_same_over_a_unix_socket():
    with Server(unix=True) as server, server.client() as client:
        fill(client, b"k", 0, 20000)
        assert sorted(dumped_keys(client)) == [b"k%08d" % i for i in range(20000)]


def test_the_same_over_tls():
    if not shutil.which("openssl"):
        raise Skip("the command openssl is not installed")
    with tempfile.TemporaryDirectory() as folder:
        crt, key = os.path.join(folder, "crt"), os.path.join(folder, "key")
        made = subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                               "-nodes", "-keyout", key, "-out", crt, "-subj", "/CN=larder test", "-days", "2"],
                              capture_output=True, timeout=TIMEOUT_S, check=False)
        assert made.returncode == 0, made.stderr
        try:
            server = Server(["-Z", "-o", f"ssl_chain_cert={crt},ssl_key={key}"]).start()
        except AssertionError as error:
            if "TLS" in str(error):
                raise Skip("this build has no TLS") from None
            raise
        try:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            client = server.client()
            client.socket = context.wrap_socket(client.socket)
            fill(client, b"k", 0, 20000)
            assert sorted(dumped_keys(client)) == [b"k%08d" % i for i in range(20000)]
            client.close()
        finally:
            server.stop()
            server._clean_up()


def test_lines_lead_back_to_their_items():
    keys = [b"plain", b"with/slash", b"\xc3\xa4\xc3\xb6", b"%41", b"#" * 250]
    binary = [b"a b\r\n", b"\0\1\2", bytes(range(200, 250))]
    with Server() as server, server.client() as client:
        for key in keys:
            client.exchange(b"set %s 0 0 1\r\nx\r\n" % key, b"STORED\r\n")
        for key in binary:
            client.exchange(b"ms %s 1 b\r\ny\r\n" % base64.b64encode(key), b"HD\r\n")
        told = [re.sub(rb"%(..)", lambda m: bytes([int(m.group(1), 16)]), key) for key in dumped_keys(client)]
        assert sorted(told) == sorted(keys + binary), told
        lines = b"".join(read_dump(client, b"lru_crawler mgdump all", b"EN\r\n")).split(b"\r\n")[:-1]
        assert len(lines) == len(keys) + len(binary), lines
        for line in lines:
            assert line.startswith(b"mg "), line
            client.exchange(line + b" v\r\n", b"VA 1\r\n" + (b"y" if line.endswith(b" b") else b"x") + b"\r\n")


def test_class_lists_split_a_dump():
    with Server() as server, server.client() as client:
        fill(client, b"short", 0, 500)
        fill(client, b"long", 0, 300, b"x" * 2000)
        fill(client, b"huge", 0, 3, b"x" * 300000)
        classes = {}
        for lines in read_dump(client, b"lru_crawler metadump hash"):
            for key, number in re.findall(rb"^key=([a-z]+)\d+ .* cls=(\d+) ", lines, re.M):
                classes.setdefault(number, set()).add(key)
        by_name = {b"".join(names): number for number, names in classes.items()}
        assert sorted(by_name) == [b"huge", b"long", b"short"], classes
        for name, count in ((b"short", 500), (b"long", 300), (b"huge", 3)):
            keys = dumped_keys(client, b"lru_crawler metadump " + by_name[name])
            assert len(keys) == count and all(key.startswith(name) for key in keys), (name, len(keys))
        both = dumped_keys(client, b"lru_crawler metadump %s,%s" % (by_name[b"short"], by_name[b"huge"]))
        assert len(both) == 503, len(both)


def run_tool(server, *args):
    done = subprocess.run(["perl", TOOL, f"{server.host}:{server.port}", *args], capture_output=True,
                          timeout=TIMEOUT_S * 3, check=False)
    assert done.returncode == 0, done
    return done.stdout


def test_memcached_tool_finds_all_keys():
    if not os.path.exists(TOOL) or not shutil.which("perl"):
        raise Skip("memcached-tool is not installed")
    with Server() as server, server.client() as client:
        for i in range(1000):
            client.exchange(b"set k/%d %d 0 3\r\nabc\r\n" % (i, i), b"STORED\r\n")
        out = run_tool(server, "keys")
        assert len(set(re.findall(rb"^key=k%2F(\d+) exp=-1 ", out, re.M))) == 1000, out[:300]
        out = run_tool(server, "dump")
        assert len(set(re.findall(rb"^add k/(\d+) \1 0 3\r\nabc\r$", out, re.M))) == 1000, out[:300]
        # With a limit it hangs up in the middle.
        wait_until(lambda: client.stats()["lru_crawler_running"] == "0", "the last dump to end")
        out = run_tool(server, "dump", "10")
        assert 9 <= out.count(b"add k/") <= 10, out
        wait_until(lambda: client.stats()["lru_crawler_running"] == "0", "the dump to end with its client")


def test_a_crawl_frees_what_has_expired():
    with Server(["-o", "no_lru_crawler"]) as server, server.client() as client:
        fill(client, b"mortal", 0, 20000, exptime=1)
        fill(client, b"k", 0, 100)
        wait_until(lambda: b"END\r\n" == ask_line(client, b"get mortal%08d\r\n" % 7), "the items to expire")
        # Lazily: the one that was asked for is gone, the rest stays in memory.
        assert int(client.stats()["curr_items"]) > 19000, client.stats()["curr_items"]
        client.exchange(b"lru_crawler crawl all\r\n", b"CLIENT_ERROR lru crawler disabled\r\n")
        client.exchange(b"lru_crawler sleep 1000000\r\nlru_crawler enable\r\nlru_crawler sleep 0\r\n", b"OK\r\n" * 3)
        answer = ask_line(client, b"lru_crawler crawl all\r\n")
        assert answer in (b"OK\r\n", b"BUSY currently processing crawler request\r\n"), answer
        wait_until(lambda: client.stats()["curr_items"] == "100", "the crawl")
        stats = client.stats()
        wait_until(lambda: client.stats()["lru_crawler_running"] == "0", "its end")
        assert int(stats["crawler_reclaimed"]) > 19000, stats["crawler_reclaimed"]
        assert int(stats["crawler_items_checked"]) >= 20000, stats["crawler_items_checked"]
        assert int(stats["lru_crawler_starts"]) >= 1
        # And off again.
        client.exchange(b"lru_crawler disable\r\n", b"OK\r\n")
        fill(client, b"mortal", 0, 1000, exptime=1)
        wait_until(lambda: b"END\r\n" == ask_line(client, b"get mortal%08d\r\n" % 7), "the items to expire")
        assert int(client.stats()["curr_items"]) > 1000


def ask_line(client, request):
    client.send(request)
    line = client.recv_line()
    if line.startswith(b"VALUE"):
        client.recv_until(b"END\r\n")
    return line


def total_pages(client, class_id):
    return int(client.stats("slabs").get(f"{class_id}:total_pages", "0"))


def test_a_page_moves_on_request():
    with Server(["-m", "64", "-o", "slab_automove=0"]) as server, server.client() as client:
        fill(client, b"k", 0, 10000, b"x" * 500)
        for i in range(0, 10000, 5):
            client.send(b"delete k%08d noreply\r\n" % i)
        client.send(b"me k%08d\r\n" % 1)
        source = int(re.search(rb" cls=(\d+) ", client.recv_line()).group(1))
        before = total_pages(client, source)
        moved = int(client.stats()["slabs_moved"])
        client.exchange(b"slabs reassign %d %d\r\n" % (source, source + 5), b"OK\r\n")
        wait_until(lambda: client.stats()["slab_reassign_running"] == "0", "the move")
        assert total_pages(client, source + 5) == 1
        assert total_pages(client, source) <= before - 1
        client.exchange(b"slabs reassign -1 0\r\n", b"OK\r\n")
        wait_until(lambda: client.stats()["slab_reassign_running"] == "0", "the move")
        stats = client.stats()
        assert int(stats["slabs_moved"]) >= moved + 2, stats["slabs_moved"]
        assert stats["evictions"] == "0"
        assert stats["curr_items"] == "8000", stats["curr_items"]
        keys = dumped_keys(client)
        assert len(set(keys)) == len(keys) == 8000


if __name__ == "__main__":
    if len(sys.argv) > 1:
        {"--probe": probe_main, "--writer": writer_main}[sys.argv[1]](*sys.argv[2:])
    else:
        run_tests(globals())
