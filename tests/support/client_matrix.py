#!/usr/bin/python3
"""Prints a table: every client that others wrote, and how many of its checks pass on larder and on memcached.

usage: LARDER=build/larder client_matrix.py

The rows are those of tests/e2e/test_clients_*.py (see foreign.py), and the counts of the older tests of the same
kind.  A check that fails on both is the client's fault or the test's.  Ends with 1 when larder fails one.
"""

import glob
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from server import Skip, larder_binary, memcached_binary

E2E = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e")
# script -> the row that it makes, for those that print none: client, what tells its version, protocol
PLAIN = {
    "test_libmemcached.py": ("libmemcached's tools", ["memccat", "--version"], "text, binary"),
    "test_pymemcache.py": (
        "pymemcache, more",
        [sys.executable, "-c", "from importlib.metadata import version; print(version('pymemcache'))"],
        "text",
    ),
}
MEMCCAPABLE = re.compile(r"memccapable: (\d+) passed")
CLOSING = re.compile(r"^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$", re.MULTILINE)
SCRIPT_TIMEOUT_S = 180
HEAD = ("client", "version", "protocol", "checks", "larder", "memcached")


def run_script(script, binary):
    done = subprocess.run(
        [sys.executable, os.path.join(E2E, script)],
        env={**os.environ, "LARDER": binary},
        capture_output=True,
        timeout=SCRIPT_TIMEOUT_S,
        check=False,
    )
    return done.stdout.decode(errors="replace")


def tool_version(command):
    try:
        done = subprocess.run(command, capture_output=True, timeout=10, check=False)
    except OSError:
        return "-"
    found = re.search(rb"\d+(\.\d+)+", done.stdout + done.stderr)
    return found.group(0).decode() if found else "?"


def rows_of(script, binary):
    """(client, protocol) -> (version, passed, failed), and what did not pass, as text."""
    out = run_script(script, binary)
    rows = {}
    for line in out.splitlines():
        if line.startswith("client "):
            client, version, protocol, passed, failed, _ = line[len("client ") :].split(" | ")
            rows[client, protocol] = (version, int(passed), int(failed))
    if script in PLAIN:
        client, command, protocol = PLAIN[script]
        counts = CLOSING.findall(out)
        passed, failed = (int(counts[-1][0]), int(counts[-1][1])) if counts else (0, 0)
        rows[client, protocol] = (tool_version(command), passed, failed)
        for found in MEMCCAPABLE.findall(out):
            rows["memccapable", protocol] = (tool_version(command), int(found), 0)
    texts = [line for line in out.splitlines() if re.search(r"\bFAILED\b", line)]
    return rows, texts


def table_of(larder, memcached):
    """Larder's rows with memcached's beside, as tuples of texts."""
    for key, (version, passed, failed) in larder.items():
        if passed + failed == 0:
            yield (key[0], version, key[1], "-", "not run", "")
            continue
        _, control_passed, control_failed = memcached.get(key, ("", 0, 0))
        control = f"{control_passed} of {control_passed + control_failed}" if control_passed + control_failed else ""
        yield (key[0], version, key[1], str(passed + failed), str(passed), control)


def main():
    binary = larder_binary()
    try:
        control = memcached_binary()
    except Skip:
        control = None
    scripts = [os.path.basename(path) for path in sorted(glob.glob(os.path.join(E2E, "test_clients_*.py")))]
    table, texts = [HEAD], []
    for script in [*PLAIN, *scripts]:
        larder, failures = rows_of(script, binary)
        texts += [f"larder: {text}" for text in failures]
        memcached, failures = rows_of(script, control) if control else ({}, [])
        texts += [f"memcached: {text}" for text in failures]
        table += table_of(larder, memcached)
    widths = [max(len(row[i]) for row in table) for i in range(len(HEAD))]
    for row in table:
        print("  ".join(text.ljust(width) for text, width in zip(row, widths)).rstrip())
    print("\n".join(texts))
    sys.exit(1 if any(text.startswith("larder:") for text in texts) else 0)


if __name__ == "__main__":
    main()
