#!/usr/bin/python3
"""Clients in Java: spymemcached in both protocols, where a compiler is installed."""

import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from foreign import PROGRAM_TIMEOUT_S, PROGRAMS, Case, Conversation, find_program, run_clients
from server import Skip

JAR = "/usr/share/java/spymemcached.jar"
CLASS = "Spymemcached"


def compiled(folder):
    """The path of classes."""
    if not os.path.exists(JAR):
        raise Skip("libspymemcached-java is not installed")
    command = [find_program("javac"), "-cp", JAR, "-d", folder, os.path.join(PROGRAMS, f"{CLASS}.java")]
    subprocess.run(command, check=True, timeout=PROGRAM_TIMEOUT_S)
    return f"{JAR}:{folder}"


def package_version():
    """Debian's jar does not know its version."""
    try:
        done = subprocess.run(["dpkg-query", "-Wf${Version}", "libspymemcached-java"], capture_output=True, check=False)
    except OSError:
        return "?"
    return done.stdout.decode().split("+")[0] or "?"


def main():
    with tempfile.TemporaryDirectory() as folder:
        try:
            path, missing = compiled(folder), None
        except Skip as reason:
            path, missing = None, reason

        def check(server, checks, protocol):
            if missing:
                raise Skip(str(missing))
            flags = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto"]
            command = [find_program("java"), *flags, "-cp", path, CLASS, server.host, str(server.port), protocol]
            Conversation(server, checks).hold(command, None)
            return package_version()

        run_clients([Case("spymemcached", "text", check), Case("spymemcached", "binary", check)])


if __name__ == "__main__":
    main()
