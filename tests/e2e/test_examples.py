"""The programs of server/dist/examples, built against the shared libraries: they do what they say."""

import os
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from server import TIMEOUT_S, Client, Skip, run_tests  # noqa: E402

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
EXAMPLES = os.environ.get("EXAMPLES") or os.path.join(TOP, "build", "release", "examples")


def example(name):
    return os.path.join(EXAMPLES, name)


def output_of(name, *arguments):
    """What it prints when all is well."""
    done = subprocess.run([example(name), *arguments], capture_output=True, text=True, check=False, timeout=6 * TIMEOUT_S)
    assert done.returncode == 0 and not done.stderr, done
    return done.stdout


def test_lookaside_asks_the_database_less():
    if not os.path.exists(example("lookaside")):
        raise Skip("lookaside is not built: install libsqlite3-dev")
    lines = output_of("lookaside").splitlines()
    assert len(lines) == 4, lines
    found = [re.fullmatch(r"(with|without) cache: (\d+) requests, (\d+) queries, ([\d.]+) % hits, (\d+) pages not stored, \d+ ms",
                          line).groups() for line in lines[:2]]
    (first, requests, queries, hits, _), (second, cached_requests, cached_queries, cached_hits, not_stored) = found
    assert (first, requests, queries, hits) == ("without", "20000", "20000", "0.0"), found
    # At most one query for each of 2000 products, and some of threads that did not wait for the winner.
    assert (second, cached_requests, not_stored) == ("with", "20000", "0"), found
    assert 1000 < int(cached_queries) < 4000, found
    assert abs(float(cached_hits) - (1 - int(cached_queries) / 20000) * 100) < 0.06, found
    assert re.fullmatch(r"before: product 7: 107 coins, [\d.]+ stars of 20 reviews", lines[2]), lines
    assert lines[3] == lines[2].replace("before: ", "after:  ").replace("107 coins", "99 coins"), lines


def test_lookaside_leaves_no_file():
    if not os.path.exists(example("lookaside")):
        raise Skip("lookaside is not built: install libsqlite3-dev")
    before = {name for name in os.listdir("/tmp") if name.startswith("lookaside-")}
    output_of("lookaside")
    assert {name for name in os.listdir("/tmp") if name.startswith("lookaside-")} <= before


def test_serve_shares_its_cache():
    with subprocess.Popen([example("serve")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True) as process:
        try:
            port = int(re.match(r"serving 127\.0\.0\.1:(\d+);", process.stdout.readline()).group(1))
            with Client(("127.0.0.1", port)) as client:
                client.exchange(b"set greeting 0 0 5\r\nhello\r\n", b"STORED\r\n")
                client.exchange(b"set long 0 0 3000\r\n" + b"x" * 3000 + b"\r\n", b"STORED\r\n")
                process.stdin.write("greeting\nnone\nlong\n")
                process.stdin.flush()
                assert process.stdout.readline() == "greeting = hello\n"
                assert process.stdout.readline() == "none: no such key\n"
                assert process.stdout.readline() == f"long = {'x' * 3000}\n"
                client.exchange(b"get lines\r\n", b"VALUE lines 0 1\r\n3\r\nEND\r\n")
                client.send(b"flush_all\r\n")
                assert client.recv_line().startswith(b"CLIENT_ERROR"), "clients are not to empty the host's cache"
                process.stdin.close()
                client.expect_close()
            assert process.stdout.read() == "3 items, 4 hits, 1 misses\n"  # the long value was looked at twice
            assert process.wait(TIMEOUT_S) == 0
        finally:
            process.kill()


def test_serve_says_what_is_wrong():
    with subprocess.Popen([example("serve")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          text=True) as process:
        try:
            port = re.match(r"serving 127\.0\.0\.1:(\d+);", process.stdout.readline()).group(1)
            taken = subprocess.run([example("serve"), port], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                   check=False, timeout=TIMEOUT_S)
            assert taken.returncode == 1 and "Address already in use" in taken.stderr, taken
        finally:
            process.kill()
    assert subprocess.run([example("serve"), "no port"], capture_output=True, check=False, timeout=TIMEOUT_S).returncode == 2


def test_warm_restart_finds_its_answers_again():
    summary = "1229 primes below 10000; {} of 200 answers were there\nsaved: 200 items\n"
    with tempfile.TemporaryDirectory(prefix="larder-examples-") as directory:
        path = os.path.join(directory, "answers")
        assert output_of("warm_restart", path) == "cold: there is no file yet\n" + summary.format(0)
        assert output_of("warm_restart", path) == "warm: 200 items\n" + summary.format(200)
        with open(path, "ab") as file:
            file.write(b"x")
        output = output_of("warm_restart", path)
        assert re.match(r"cold: no saved cache, or a damaged one: .*answers", output), output
        assert output.endswith(summary.format(0)), output
        assert output_of("warm_restart", path) == "warm: 200 items\n" + summary.format(200)
        done = subprocess.run([example("warm_restart"), os.path.join(directory, "none", "answers")], capture_output=True,
                              text=True, check=False, timeout=TIMEOUT_S)
        assert done.returncode == 1 and "warm_restart: the system refused" in done.stderr, done


if __name__ == "__main__":
    run_tests(globals())
