"""Runs clients that others wrote against the real server, counts what was checked, and prints one row for each.

A test in tests/e2e/ lists its clients, each with a protocol and with what runs it:

    run_clients([
        Case("pylibmc", "binary", check_pylibmc),              # a function of (server, checks, protocol)
        Case("dalli", "binary", program("ruby", "dalli.rb")),  # a program in tests/e2e/clients/
    ])

Every case gets a server of its own, with the case's options and environment, so several run at once.  A function tells `checks` what it found, and gives
the client's version.  A program is called with HOST, PORT and PROTOCOL (its first word), where it logs in
with SASL_USER and SASL_PASSWORD in its environment, and prints lines:

    version TEXT                          the client's version
    FAILED NAME: WHAT                     a check that failed
    skipped NAME: WHY                     a check that this client or version cannot make
    unavailable WHY                       the client is not installed; nothing else follows
    restart                               it waits for the line `ready`: a new, empty server at the same address
    N passed, N failed, N skipped         the end

The rows are `client NAME | VERSION | PROTOCOL | PASSED | FAILED | SKIPPED`, tests/support/client_matrix.py makes
a table of them; the last line is the usual one.
"""

import concurrent.futures
import os
import re
import shutil
import subprocess
import sys
import threading
import traceback
from collections import namedtuple

from server import TIMEOUT_S, Server, Skip

PROGRAMS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e", "clients")
PROGRAM_TIMEOUT_S = TIMEOUT_S * 4
AT_ONCE_MAX = 4
CLOSING = re.compile(r"(\d+) passed, (\d+) failed, (\d+) skipped")

# What is the same for all programs: enough memory for values that must stay, and more than one thread.
SERVER_OPTIONS = ["-m", "128", "-t", "2"]

Case = namedtuple("Case", "client protocol run options env", defaults=((), None))


class Checks:
    """Counts checks, and keeps a text for each that failed or could not be made."""

    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self.texts = []

    def true(self, name, got):
        """`got` is true."""
        self.equal(name, bool(got), True)

    def equal(self, name, got, want):
        """`got` is `want`."""
        if got == want:
            self.passed += 1
        else:
            self.fail(name, f"got {got!r:.300}, want {want!r:.300}")

    def raises(self, name, kinds, call):
        """`call` raises one of `kinds`."""
        try:
            got = call()
        except kinds:
            self.passed += 1
        else:
            self.fail(name, f"got {got!r:.300}, want an exception")

    def fail(self, name, what):
        self.failed += 1
        self.texts.append(f"FAILED {name}: {what}")

    def skip(self, name, why):
        self.skipped += 1
        self.texts.append(f"skipped {name}: {why}")


def find_program(name):
    """The path of an installed program; the folders of root are looked through too.  Raises Skip."""
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if not path:
        raise Skip(f"{name} is not installed")
    return path


def restart(server):
    """A new, empty server at the same address."""
    server.stop_listening()
    server.start_again()


def program(interpreter, script, *options, env=None):
    """What runs a program of tests/e2e/clients/: a function of (server, checks, protocol)."""

    def run(server, checks, protocol):
        command = [find_program(interpreter), *options, os.path.join(PROGRAMS, script)]
        words = [server.host, str(server.port), protocol.split(",")[0]]
        return Conversation(server, checks).hold([*command, *words], env)

    return run


class Conversation:
    """One run of a program, whose lines are answered and counted."""

    def __init__(self, server, checks):
        self.server = server
        self.checks = checks
        self.version = "?"
        self.unavailable = None
        self.is_closed = False

    def hold(self, command, env):
        with subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env={**os.environ, **(env or {})},
        ) as process:
            killer = threading.Timer(PROGRAM_TIMEOUT_S, process.kill)
            killer.start()
            try:
                for line in process.stdout:
                    self.take(line.rstrip("\n"), process)
            finally:
                killer.cancel()
                process.kill()
        if self.unavailable is not None:
            raise Skip(self.unavailable)
        if not self.is_closed or process.returncode not in (0, 1):
            self.checks.fail("the program", f"ended with {process.returncode}, before its end")
        return self.version

    def take(self, line, process):
        counts = CLOSING.fullmatch(line)
        if counts:
            self.is_closed = True
            passed, failed, skipped = (int(count) for count in counts.groups())
            self.checks.passed += passed
            self.checks.failed += failed
            self.checks.skipped += skipped
        elif line == "restart":
            restart(self.server)
            process.stdin.write("ready\n")
            process.stdin.flush()
        elif line.startswith("version "):
            self.version = line[len("version ") :]
        elif line.startswith("unavailable "):
            self.unavailable = line[len("unavailable ") :]
        elif line:
            self.checks.texts.append(line)


def run_case(case):
    """Runs one case with a server of its own."""
    checks = Checks()
    version = "-"
    try:
        with Server([*SERVER_OPTIONS, *case.options], env=case.env) as server:
            version = case.run(server, checks, case.protocol)
    except Skip as reason:
        checks.skip(case.client, reason)
    except Exception:
        checks.fail(case.client, traceback.format_exc())
    return checks, version


def run_clients(cases):
    """Runs the cases, some at once, prints a row for each and the sum, and ends the program."""
    passed = failed = skipped = 0
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE_MAX) as pool:
        for case, (checks, version) in zip(cases, pool.map(run_case, cases)):
            for text in checks.texts:
                print(f"{case.client} {case.protocol}: {text}")
            counts = (checks.passed, checks.failed, checks.skipped)
            print("client " + " | ".join([case.client, version, case.protocol, *map(str, counts)]), flush=True)
            passed, failed, skipped = passed + checks.passed, failed + checks.failed, skipped + checks.skipped
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    sys.exit(1 if failed else 0)
