#!/usr/bin/python3
"""The same argument lists to memcached and to the server under test: exit code and first line must agree.

Ours may say more behind memcached's words.  Where the two differ on purpose, the row says why.
"""

import os
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from server import START_TRIES_MAX, TIMEOUT_S, free_port, larder_binary, memcached_binary, run_tests

ROOT = ["-u", "root"] if os.geteuid() == 0 else []
RUNS = "runs"

# Argument lists that both must answer alike.  PORT stands for a free port, DIR for an empty folder.
ALIKE = """
-p 70000
-p 65536
-p abc
-p 0
-p -1
-p
--port
--port=abc
-s /nonexistent/dir/s
-a
-l 127.0.0.1:abc
-l 127.0.0.1:
-l no.such.host.invalid
-l 192.0.2.1
-l [::1
-l 127.0.0.1:0,127.0.0.2:0
-l 127.0.0.1:0;127.0.0.2:0
-l proto[ascii]:127.0.0.1:0
-l proto[binary]:127.0.0.1:0
-l proto[negotiating]:127.0.0.1:0
-l tag[a]:127.0.0.1:0
-l tag[]:127.0.0.1:0
-l tag[123456789]:127.0.0.1:0
-u no-such-user
-u
-m 0
-m 1
-m 2
-m ~64
--memory-limit=64
--memory-limit
-M
-c 0
-c -1
-c abc
-c 2147483647
-k
-r
-v
-vv
-vvv
--verbose
--verbose=3
-A
-P /nonexistent/x
-f 1
-f 1.0
-f abc
-f 0.5
-f 1.01
-f 100
-n 0
-n abc
-n 1
-n 48
-n 524288
-D ab
-D
-t 0
-t -1
-t abc
-t 65
-R 0
-R abc
-R
-C
-b 0
-b -1
-b 3
-B foo
-B auto
-B ascii
-B binary
-B
-I 1000
-I 1023
-I 0
-I abc
-I 1k
-I 2k
-I 1024 -o slab_chunk_max=1
-I 40m
-I 3000000
-I 2m
-I 16m
-I 33m
-I 1m -m 1
-F
-X
-W
-N 0
-N -1
-N abc
-N 8
-N 4
-N 2
-N
-Q
--nosuch
--verb
--slab
--daemon=1
stray
-m 64 stray -c 100
--
-- -Q
-o
-o nosuch
-o nosuch=3
-o =
-o =3
-o modern,no_modern
-o modern,
-o maxconns_fast
-o no_maxconns_fast
-o maxconns_fast=3
-o hashpower
-o hashpower=5
-o hashpower=11
-o hashpower=16
-o hashpower=33
-o hashpower=64
-o hashpower=65
-o no_hashexpand
-o slab_reassign
-o no_slab_reassign
-o slab_automove
-o slab_automove=0
-o slab_automove=2
-o slab_automove=3
-o slab_automove=-1
-o no_slab_automove
-o slab_automove_ratio
-o slab_automove_ratio=0
-o slab_automove_ratio=1.1
-o slab_automove_ratio=abc
-o slab_automove_ratio=0.5
-o slab_automove_window
-o slab_automove_window=2
-o slab_automove_window=3
-o slab_automove_window=1800
-o slab_automove_freeratio
-o slab_automove_freeratio=0.01
-o slab_automove_freeratio=abc
-o tail_repair_time
-o tail_repair_time=9
-o tail_repair_time=10
-o hash_algorithm
-o hash_algorithm=foo
-o hash_algorithm=jenkins
-o hash_algorithm=murmur3
-o hash_algorithm=xxh3
-o lru_crawler
-o no_lru_crawler
-o lru_crawler_sleep
-o lru_crawler_sleep=0
-o lru_crawler_sleep=1000000
-o lru_crawler_sleep=1000001
-o lru_crawler_tocrawl
-o lru_crawler_tocrawl=abc
-o lru_crawler_tocrawl=4294967295
-o lru_maintainer
-o no_lru_maintainer
-o hot_lru_pct
-o hot_lru_pct=0
-o hot_lru_pct=1
-o hot_lru_pct=80
-o hot_lru_pct=abc
-o hot_lru_pct=1,warm_lru_pct=79
-o hot_lru_pct=50,warm_lru_pct=31
-o warm_lru_pct
-o warm_lru_pct=0
-o warm_lru_pct=80
-o hot_max_factor
-o hot_max_factor=0
-o hot_max_factor=abc
-o hot_max_factor=7
-o warm_max_factor
-o warm_max_factor=0
-o warm_max_factor=0.1
-o temporary_ttl
-o temporary_ttl=0
-o temporary_ttl=61
-o no_lru_maintainer,temporary_ttl=60
-o temporary_ttl=60,no_lru_maintainer
-o idle_timeout
-o idle_timeout=5
-o watcher_logbuf_size
-o watcher_logbuf_size=abc
-o watcher_logbuf_size=1
-o worker_logbuf_size
-o worker_logbuf_size=abc
-o slab_sizes=100-200-300
-o slab_sizes=100-90
-o slab_sizes=100-101
-o slab_sizes=100-20000000
-o slab_chunk_max=1
-o slab_chunk_max=512
-o slab_chunk_max=1024
-o track_sizes
-o read_buf_mem_limit
-o read_buf_mem_limit=abc
-o read_buf_mem_limit=0
-o read_buf_mem_limit=1
-o resp_obj_mem_limit=3
-o no_chunked_items
-o no_modern
-o inline_ascii_resp
-o no_inline_ascii_resp
-o no_drop_privileges
-o sock_cookie_id=5
-m 64m
--napi-ids=4
-o ,
-o proxy_config=/x
-o idle_timeout=1 -o idle_timeout=2
"""

# Argument lists that ours answers otherwise: our exit code, our words, and why.
GARBAGE = "memcached takes what is no number as some number"
CRASH = "memcached falls over"
TEXT = "the same answer, in clearer words"
OTHERWISE = [
    ("-p -2", 64, "ERROR: Invalid port number -2.", "memcached leaves it to the resolver to refuse it"),
    ("-a abc", 1, "-a abc:", GARBAGE),
    ("-a 999", 1, "-a 999:", GARBAGE),
    ("-a 7777", 1, "-a 7777:", GARBAGE),
    ("-l 127.0.0.1:70000", 71, 'Invalid port number: "70000"', "memcached listens on 4464"),
    ("-l [::1]x", 71, "Invalid IPV6 address:", GARBAGE),
    ("-l notls:127.0.0.1:0", RUNS, "", "without -Z all is plain: what it asks for is so"),
    ("-l proto[foo]:127.0.0.1:0", 71, "Invalid protocol name:", "memcached takes any name"),
    ("-l proto[foo:127.0.0.1:0", 71, "Invalid protocol spec:", TEXT),
    ("-l proto[proxy]:127.0.0.1:0", 71, "Server not built with proxy:", TEXT),
    ("-l tag_x_:127.0.0.1:0", RUNS, "", "new in 1.6.45"),
    ("-l tag_123456789_:127.0.0.1:0", 71, "Listener tags must be between 1 and 8 characters:", "new in 1.6.45"),
    ("-l ,", 71, "failed to listen on one of interface(s) ,", "memcached serves nobody"),
    ("-l ~127.0.0.1:0", RUNS, "", "leading blanks are skipped"),
    ("-m abc", 64, "-m abc:", TEXT),
    ("-m -5", 64, "-m -5:", GARBAGE),
    ("-m 12x", 64, "-m 12x:", GARBAGE),
    ("-c 4294967296", 1, "Maximum connections must be at most", TEXT),
    ("-c 3", 1, "Maxconns setting is too low, use -c to increase.", "memcached has no descriptor left to look the user up"),
    ("-f inf", 1, "Factor must be greater than 1", GARBAGE),
    ("-f 1.5x", 1, "Factor must be greater than 1", GARBAGE),
    ("-n -1", 1, "Chunk size must be greater than 0", GARBAGE),
    ("-n 1000000", 1, "Chunk size must be at most", "larger than any class"),
    ("-D ~", 1, "-D:", "a delimiter is needed"),
    ("-R -1", 1, "Number of requests per event must be greater than 0", GARBAGE),
    ("-R 4294967296", 1, "Number of requests per event must be at most", TEXT),
    ("-b abc", 1, "-b abc:", GARBAGE),
    ("-I 2g", 64, "Cannot set item size limit higher than a gigabyte.", "our suffix"),
    ("-I 1.5m", 64, "Item max size cannot be less than 1024 bytes.", GARBAGE),
    ("-e /nonexistent/x", 134, "-e: failed to open file for mmap: /nonexistent/x:", "no core file"),
    ("--napi_ids=4", RUNS, "", "both spellings are taken"),
    ("--delimiter=:", RUNS, "", "a long name as all others have"),
    ("--config /nonexistent/x", 1, "--config /nonexistent/x: cannot be read", "ours alone"),
    ("-o ~idle_timeout=3", RUNS, "", "leading blanks are skipped"),
    ("-o hashpower=", 1, "Missing numeric argument for hashpower", TEXT),
    ("-o hashpower=12", RUNS, "", "no lock table to fit"),
    ("-o hashpower=0", RUNS, "", "the default"),
    ("-o hashpower=abc", 1, "-o hashpower=abc:", TEXT),
    ("-o hashpower=-1", 1, "-o hashpower=-1:", TEXT),
    ("-o slab_automove=abc", 1, "slab_automove must be between 0 and 2", GARBAGE),
    ("-o slab_automove_window=1801", 1, "slab_automove_window must be > 2", "1.6.45 has the upper bound"),
    ("-o slab_automove_freeratio=-1", 1, "could not parse argument to slab_automove_freeratio", GARBAGE),
    ("-o lru_crawler_sleep=abc", 1, "LRU crawler sleep must be between 0 and 1 second", GARBAGE),
    ("-o lru_crawler_tocrawl=4294967296", 1, "lru_crawler_tocrawl takes a numeric 32bit value", GARBAGE),
    ("-o temporary_ttl=abc", 1, "-o temporary_ttl=abc:", GARBAGE),
    ("-o idle_timeout=abc", 1, "idle_timeout takes a number of seconds", GARBAGE),
    ("-o idle_timeout=-1", 1, "idle_timeout takes a number of seconds", GARBAGE),
    ("-o worker_logbuf_size=1", RUNS, "", "memcached takes it for slab_sizes"),
    ("-o slab_sizes", 1, "Missing slab_sizes argument", CRASH),
    ("-o slab_sizes=100-200-abc", 64, "slab size abc is out of valid range", TEXT),
    ("-o slab_sizes=1-200", 64, "slab size 1-200 is out of valid range", TEXT),
    ("-o slab_chunk_max", 1, "Missing slab_chunk_max argument", CRASH),
    ("-o slab_chunk_max=abc", 1, "could not parse argument to slab_chunk_max", CRASH),
    ("-o slab_chunk_max=0", 64, "slab_chunk_max=0:", CRASH),
    ("-o slab_chunk_max=3", 64, "-I (item_size_max: 1048576) must be evenly divisible by slab_chunk_max", TEXT),
    ("-o slab_chunk_max=1025", 64, "slab_chunk_max=1025:", TEXT),
    ("-I 3m -o slab_chunk_max=3", 64, "slab_chunk_max (bytes: 3072) must divide evenly into 1048576", TEXT),
    ("-o read_buf_mem_limit=4096", 1, "could not parse argument to read_buf_mem_limit", "4 GiB is the most"),
    ("-o sock_cookie_id", 1, "Missing numeric argument for sock_cookie_id", CRASH),
    ("-o sock_cookie_id=abc", 1, "sock_cookie_id takes a 32bit number", GARBAGE),
    ("-o ext_path=/x", 1, 'Illegal suboption "ext_path=/x"', "not built"),
]


def answer(binary, words):
    """Starts it; gives the exit code, or RUNS, and the first line of what it said."""
    for _ in range(START_TRIES_MAX):
        with tempfile.TemporaryDirectory(prefix="larder-test-") as folder:
            ready = os.path.join(folder, "ports")
            port = str(free_port())
            args = [word.replace("~", " ").replace("PORT", port).replace("DIR", folder) for word in words.split()]
            process = subprocess.Popen(
                [binary, *ROOT, "-l", "127.0.0.1", "-p", port, *args],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env={**os.environ, "MEMCACHED_PORT_FILENAME": ready},
            )
            deadline = time.monotonic() + TIMEOUT_S
            while process.poll() is None and not os.path.exists(ready):
                assert time.monotonic() < deadline, f"{binary} {words}: neither serves nor ends"
                time.sleep(0.002)  # between two looks
            code = process.poll()
            if code is None:
                process.kill()
                code = RUNS
            text = process.communicate(timeout=TIMEOUT_S)[0].decode(errors="replace")
        if code != 71 or "Address already in use" not in text:
            break
    first = text.strip().split("\n")[0]
    # What getopt prints begins with the program's name.
    return code, first.replace(f"{binary}: ", "", 1)


def test_answers_as_memcached_does():
    memcached = memcached_binary()
    wrong = []
    for words in ALIKE.strip().split("\n"):
        theirs = answer(memcached, words)
        ours = answer(larder_binary(), words)
        alike = theirs[0] == ours[0] and (theirs[0] == RUNS or ours[1].startswith(theirs[1].rstrip(" .").split('"failed')[0]))
        if not alike:
            wrong.append((words, theirs, ours))
    assert not wrong, "\n".join(map(str, wrong))


def test_answers_otherwise_where_we_mean_to():
    memcached = memcached_binary()
    wrong = []
    for words, code, text, why in OTHERWISE:
        ours = answer(larder_binary(), words)
        if ours[0] != code or not ours[1].startswith(text):
            wrong.append((words, ours, (code, text)))
        # A row that does not differ (any more) belongs to the others.
        theirs = answer(memcached, words)
        if theirs[0] == ours[0] and (ours[0] == RUNS or ours[1].startswith(theirs[1].rstrip(" .") or "\n")):
            wrong.append((words, "does not differ", theirs, why))
    assert not wrong, "\n".join(map(str, wrong))


def test_relays_what_getopt_says():
    for words, text in (
        ("-Q", "invalid option -- 'Q'"),
        ("--nosuch", "unrecognized option '--nosuch'"),
        ("--slab", "option '--slab' is ambiguous; possibilities: '--slab-growth-factor' '--slab-min-size'"),
        ("-p", "option requires an argument -- 'p'"),
        ("--port", "option '--port' requires an argument"),
        ("--daemon=1", "option '--daemon' doesn't allow an argument"),
    ):
        assert answer(larder_binary(), words) == (1, text), words


if __name__ == "__main__":
    run_tests(globals())
