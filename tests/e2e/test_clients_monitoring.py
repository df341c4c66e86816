#!/usr/bin/python3
"""Tools that look at a server: memcached-tool, and what memcached_exporter, damemtop and phpMemcachedAdmin ask."""

import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from foreign import Case, run_clients
from server import TIMEOUT_S, Server, Skip

SMALL_ITEMS = 30
LARGE_LEN = 20000
NUMBER = re.compile(r"-?\d+(\.\d+)?")


# Where the package memcached of Debian, and others, puts its scripts.
SCRIPT_PLACES = ["/usr/share/memcached/scripts", "/usr/bin", "/usr/local/bin"]


def find_script(name):
    for place in SCRIPT_PLACES:
        if os.path.exists(os.path.join(place, name)):
            return os.path.join(place, name)
    raise Skip(f"{name} is not installed")


def fill(server):
    """Items of two very different sizes, some with an expiry, one key with a byte that dumps encode."""
    with server.client() as client:
        for i in range(SMALL_ITEMS):
            client.exchange(b"set key%d 5 %d 10\r\n0123456789\r\n" % (i, i % 2 * 1000), b"STORED\r\n")
        client.exchange(b"set large 7 0 %d\r\n%s\r\n" % (LARGE_LEN, b"x" * LARGE_LEN), b"STORED\r\n")
        client.exchange(b"set a%b 0 0 1\r\nx\r\n", b"STORED\r\n")
        client.exchange(b"get key0\r\n", b"VALUE key0 5 10\r\n0123456789\r\nEND\r\n")


# -- memcached-tool ------------------------------------------------------------------------------------


def check_memcached_tool(server, checks, _):
    script = find_script("memcached-tool")
    fill(server)

    def lines_of(*mode):
        command = ["perl", script, f"{server.host}:{server.port}", *mode]
        done = subprocess.run(command, capture_output=True, timeout=TIMEOUT_S, check=False, stdin=subprocess.DEVNULL)
        checks.equal(f"{mode}: exit code", done.returncode, 0)
        return done.stdout.decode("latin-1").splitlines()

    check_display(lines_of("display"), checks)
    check_pairs(lines_of, server, checks)
    with server.client() as client:
        client.send(b"lru_crawler metadump all\r\n")
        if client.recv_line() == b"ERROR\r\n":
            checks.skip("dump, keys", "lru_crawler metadump is not known here")
            return "of memcached"
    check_keys(lines_of, checks)
    check_dump(lines_of, checks)
    return "of memcached"


def check_display(lines, checks):
    head = "#  Item_Size  Max_age   Pages   Count   Full?  Evicted Evict_Time OOM"
    checks.equal("display: head", lines[0].split(), head.split())
    rows = [line.split() for line in lines[1:]]
    checks.true("display: a row for each size", len(rows) >= 2)
    checks.equal("display: columns", {len(row) for row in rows}, {9})
    checks.equal("display: all items", sum(int(row[4]) for row in rows), SMALL_ITEMS + 2)
    checks.true("display: sizes", all(re.fullmatch(r"\d+(\.\d+)?[BK]", row[1]) for row in rows))
    checks.true("display: ages", all(re.fullmatch(r"\d+s", row[2]) for row in rows))
    checks.true("display: pages", all(int(row[3]) >= 1 for row in rows))
    checks.equal("display: nothing evicted", {tuple(row[6:]) for row in rows}, {("0", "0", "0")})


def check_pairs(lines_of, server, checks):
    stats = dict(line.split() for line in lines_of("stats")[1:])
    checks.equal("stats: pid", int(stats["pid"]), server.pid)
    checks.equal("stats: curr_items", stats["curr_items"], str(SMALL_ITEMS + 2))
    settings = dict(line.split() for line in lines_of("settings")[1:])
    checks.equal("settings: maxbytes", settings["maxbytes"], str(128 << 20))
    checks.equal("settings: num_threads", settings["num_threads"], "2")
    checks.equal("sizes: off", [line.split() for line in lines_of("sizes")[1:]], [["sizes_status", "disabled"]])
    with Server(["-o", "track_sizes"]) as tracking:
        fill(tracking)
        command = ["perl", find_script("memcached-tool"), f"{tracking.host}:{tracking.port}", "sizes"]
        text = subprocess.run(command, capture_output=True, timeout=TIMEOUT_S, check=True).stdout.decode()
    sizes = {int(size): int(count) for size, count in (line.split() for line in text.splitlines()[1:])}
    checks.equal("sizes: all items", sum(sizes.values()), SMALL_ITEMS + 2)
    checks.true("sizes: in steps of 32", all(size % 32 == 0 for size in sizes))
    checks.true("sizes: the large item", max(sizes) >= LARGE_LEN)


KEY_LINE = re.compile(r"key=(\S+) exp=(-?\d+) la=\d+ cas=\d+ fetch=(yes|no) cls=\d+ size=\d+( flags=\d+)? ?")


def check_keys(lines_of, checks):
    found = {line: KEY_LINE.fullmatch(line) for line in lines_of("keys") if line.startswith("key=")}
    checks.true("keys: the lines' form", all(found.values()))
    names = {match.group(1): match for match in found.values() if match}
    want = {f"key{i}" for i in range(SMALL_ITEMS)} | {"large", "a%25b"}
    checks.equal("keys: every key, encoded", set(names), want)
    checks.equal("keys: no expiry", names["large"].group(2), "-1")
    checks.true("keys: an expiry", int(names["key1"].group(2)) > 1_600_000_000)
    checks.equal("keys: fetched", (names["key0"].group(3), names["key1"].group(3)), ("yes", "no"))
    limited = [line for line in lines_of("keys", "5") if line.startswith("key=")]
    checks.true("keys: a limit", 4 <= len(limited) <= 5)  # one of the lines counted may be the first, an OK


def check_dump(lines_of, checks):
    lines = [line for line in lines_of("dump") if line]
    stored = {}
    for head, value in zip(lines[::2], lines[1::2]):
        command, key, flags, expiry, length = head.split()
        checks.equal(f"dump: {key}", (command, int(length)), ("add", len(value)))
        stored[key] = (flags, expiry != "0", value)
    want = {f"key{i}": ("5", i % 2 == 1, "0123456789") for i in range(SMALL_ITEMS)}
    want.update({"large": ("7", False, "x" * LARGE_LEN), "a%b": ("0", False, "x")})
    checks.equal("dump: everything", stored, want)


# -- memcached_exporter --------------------------------------------------------------------------------

EXPORTER_STATS = """uptime time rusage_user rusage_system bytes_read bytes_written curr_connections max_connections
total_connections rejected_connections conn_yields listen_disabled_num accepting_conns bytes limit_maxbytes curr_items
total_items evictions reclaimed store_too_large store_no_memory cmd_get cmd_set cmd_touch cmd_flush get_hits get_misses
get_expired delete_hits delete_misses incr_hits incr_misses decr_hits decr_misses cas_hits cas_misses cas_badval
touch_hits touch_misses lru_crawler_starts crawler_reclaimed crawler_items_checked moves_to_cold moves_to_warm
moves_within_lru direct_reclaims round_robin_fallback unexpected_napi_ids""".split()
EXPORTER_SETTINGS = """maxconns lru_crawler_sleep lru_crawler_tocrawl hot_lru_pct warm_lru_pct hot_max_factor
warm_max_factor""".split()
EXPORTER_SWITCHES = ["lru_crawler", "lru_maintainer_thread"]
EXPORTER_ITEMS = """number number_hot number_warm number_cold age age_hot age_warm mem_requested evicted evicted_nonzero
evicted_time outofmemory tailrepairs reclaimed expired_unfetched evicted_unfetched crawler_reclaimed
crawler_items_checked lrutail_reflocked moves_to_cold moves_to_warm moves_within_lru direct_reclaims hits_to_hot
hits_to_warm hits_to_cold hits_to_temp""".split()
EXPORTER_SLABS = """chunk_size chunks_per_page total_pages total_chunks used_chunks free_chunks free_chunks_end
get_hits cmd_set delete_hits incr_hits decr_hits cas_hits cas_badval touch_hits""".split()


def classes_of(values, pattern):
    """Class number -> what is told of it."""
    classes = {}
    for name, value in values.items():
        match = re.fullmatch(pattern, name)
        if match:
            classes.setdefault(match.group(1), {})[match.group(2)] = value
    return classes


def check_numbers(checks, what, names, *groups):
    """Every group of values has a number for each of the names."""
    for name in names:
        texts = [values.get(name) for values in groups]
        checks.true(f"{what} {name}: {texts} are numbers", all(text and NUMBER.fullmatch(text) for text in texts))


def check_exporter(server, checks, _):
    fill(server)
    with server.client() as client:
        stats, settings = client.stats(), client.stats("settings")
        items = classes_of(client.stats("items"), r"items:(\d+):(\w+)")
        slab_stats = client.stats("slabs")
    check_numbers(checks, "stats", EXPORTER_STATS, stats)
    checks.true("stats version", re.fullmatch(r"1\.\d+\.\d+", stats["version"]))
    check_numbers(checks, "settings", EXPORTER_SETTINGS, settings)
    for name in EXPORTER_SWITCHES:
        checks.true(f"settings {name} is yes or no", settings.get(name) in ("yes", "no"))
    checks.true("items of at least two classes", len(items) >= 2)
    check_numbers(checks, "stats items", EXPORTER_ITEMS, *items.values())
    slabs = classes_of(slab_stats, r"(\d+):(\w+)")
    check_numbers(checks, "stats slabs", EXPORTER_SLABS, *slabs.values())
    check_numbers(checks, "stats slabs", ["active_slabs", "total_malloced"], slab_stats)
    checks.equal("active_slabs counts the classes", int(slab_stats["active_slabs"]), len(slabs))
    checks.equal("items: their sum", sum(int(each["number"]) for each in items.values()), int(stats["curr_items"]))
    checks.true("every class with items is a class with pages", set(items) <= set(slabs))
    names = ("used_chunks", "free_chunks", "total_chunks")
    chunks = [[int(values[name]) for name in names] for values in slabs.values()]
    checks.true(f"chunks {chunks}: used and free are all", all(used + free == total for used, free, total in chunks))
    return "its stats"


# -- damemtop, phpMemcachedAdmin -----------------------------------------------------------------------


def check_damemtop(server, checks, _):
    """It ends its lines with LF alone, puts a space behind `stats`, and sends all three at once."""
    fill(server)
    with server.client() as client:
        client.send(b"stats \nstats items\nstats slabs\n")
        general, items, slabs = (client.recv_until(b"END\r\n").decode() for _ in range(3))
    for name in ("version", "get_hits", "get_misses", "bytes", "limit_maxbytes", "evictions", "bytes_written"):
        checks.true(f"stats: {name}", re.search(rf"^STAT {name} \S+\r$", general, re.MULTILINE))
    checks.true("stats items", re.search(r"^STAT items:\d+:number \d+\r$", items, re.MULTILINE))
    checks.true("stats slabs", re.search(r"^STAT \d+:chunk_size \d+\r$", slabs, re.MULTILINE))
    return "its requests"


def check_php_memcached_admin(server, checks, _):
    """One connection for each command, which `quit` ends."""
    fill(server)

    def ask(command):
        with server.client() as client:
            client.send(command + b"\r\nquit\r\n")
            return client.recv_to_end().decode()

    for command, pattern in (
        (b"stats", r"STAT version 1\.\d+\.\d+\r\n"),
        (b"stats settings", r"STAT maxbytes \d+\r\n"),
        (b"stats items", r"STAT items:\d+:number \d+\r\n"),
        (b"stats slabs", r"STAT active_slabs \d+\r\n"),
        (b"get key1", r"\AVALUE key1 5 10\r\n0123456789\r\nEND\r\n\Z"),
        (b"set new 0 0 2\r\n10", r"\ASTORED\r\n\Z"),
        (b"incr new 5", r"\A15\r\n\Z"),
        (b"decr new 6", r"\A9\r\n\Z"),
        (b"delete new", r"\ADELETED\r\n\Z"),
    ):
        checks.true(command.decode().split("\r\n")[0], re.search(pattern, ask(command)))
    number = re.search(r"STAT items:(\d+):number", ask(b"stats items")).group(1)
    dump = ask(b"stats cachedump %s 100" % number.encode())
    if dump == "ERROR\r\n":
        checks.skip("stats cachedump", "it is not known here")
    else:
        checks.true("stats cachedump", re.fullmatch(r"(ITEM \S+ \[\d+ b; \d+ s\]\r\n)*END\r\n", dump))
    checks.equal("flush_all", ask(b"flush_all"), "OK\r\n")
    checks.equal("flush_all with a delay", ask(b"flush_all 100"), "OK\r\n")
    return "its requests"


CASES = [
    Case("memcached-tool", "text", check_memcached_tool),
    Case("memcached_exporter", "text", check_exporter),
    Case("damemtop", "text", check_damemtop),
    Case("phpMemcachedAdmin", "text", check_php_memcached_admin),
]

if __name__ == "__main__":
    run_clients(CASES)
