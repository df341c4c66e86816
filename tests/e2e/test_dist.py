#!/usr/bin/python3
"""What comes with the server: completion of its options, the start of its image, its manual page."""

import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from server import TIMEOUT_S, Skip, run, run_tests

DIST = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "server", "dist")
# Of builds with all libraries: a smaller one's -h has fewer, and completes them all the same.
LIBRARIES = {"-S", "-Z", "--enable-sasl", "--enable-ssl"}
NOT_IN_HELP = {"drop_privileges", "no_drop_privileges", "relaxed_privileges"}


def read(name):
    with open(os.path.join(DIST, name), encoding="utf-8") as file:
        return file.read()


def help_text():
    return run(["-h"]).stdout.decode()


def options_of_help():
    """Letters, long names (with = where they take a value) and suboptions of -h."""
    letters, names, extended = set(), set(), set()
    for line in help_text().split("\n"):
        match = re.match(r"(-.|   ), ?(--[a-z-]+)(=?)|    (--[a-z-]+)(=?)", line)
        if match and match.group(2):
            letters.add(match.group(1))
            names.add(match.group(2) + match.group(3))
        elif match:
            names.add(match.group(4) + match.group(5))
        match = re.match(r"   - ([a-z0-9_]+):", line)
        if match:
            extended.add(match.group(1))
    return letters, names, extended


def complete(*words):
    """What bash offers for the last of the words."""
    if not shutil.which("bash"):
        raise Skip("no bash")
    script = 'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _larder; printf "%s\\n" "${COMPREPLY[@]}"'
    done = subprocess.run(["bash", "-c", script, "bash", os.path.join(DIST, "larder.bash-completion"), *words],
                          capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert done.returncode == 0 and done.stderr == "", (words, done)
    return [line for line in done.stdout.split("\n") if line]


def test_every_option_is_completed_and_no_other():
    letters, names, extended = options_of_help()
    assert "-p" in letters and "--config=" in names and "idle_timeout" in extended, (letters, names, extended)
    assert set(complete("larder", "-")) - LIBRARIES - {"-vv"} == letters - LIBRARIES
    assert set(complete("larder", "--")) - LIBRARIES == names - LIBRARIES
    offered = {name.partition("=")[0] for name in complete("larder", "-o", "")}
    missing = extended - offered
    assert not missing, missing
    # Switches have a no_ that -h does not always spell out.
    unknown = {name for name in offered - extended - NOT_IN_HELP
               if not name.startswith("ssl_") and not name.startswith("no_")}
    assert not unknown, unknown


def test_every_completed_suboption_is_known():
    for name in complete("larder", "-o", "") + ["nosuch"]:
        # Ends in any case: the port is wrong, if the value is not.
        done = run(["-o", name, "-p", "70000"])
        known = b"Illegal suboption" not in done.stderr
        assert known == (name != "nosuch") or "ssl_" in name or name in NOT_IN_HELP, (
            name, done)


def test_values_and_beginnings_are_completed():
    assert complete("larder", "-B", "b") == ["binary"]
    assert complete("larder", "--protocol", "=", "as") == ["ascii"]
    assert complete("larder", "--protocol", "=") == ["auto", "ascii", "binary"]
    assert complete("larder", "--memory-l") == ["--memory-limit="]
    assert complete("larder", "-o", "modern,idle") == ["modern,idle_timeout="]
    assert complete("larder", "-o", "idle_timeout", "=", "1") == []
    assert complete("larder", "-p", "") == []
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "users"), "wb"):
            pass
        for option in ("-Y", "--hook-check"):
            assert complete("larder", option, os.path.join(folder, "us")) == [os.path.join(folder, "users")]


def test_the_manual_page_has_every_option():
    letters, names, extended = options_of_help()
    page = read("larder.1").replace("\\-", "-")
    missing = [name for name in letters | {name.rstrip("=") for name in names} | extended if name not in page]
    assert not missing, missing


def test_no_option_has_two_entries_in_the_manual_page():
    entries = re.findall(r"^\.TP\n\.B[IR]? (\\-\w|\\-\\-[\w\\-]+)", read("larder.1"), re.M)
    twice = {entry for entry in entries if entries.count(entry) > 1}
    assert len(entries) > 20 and not twice, twice


def test_the_image_starts_the_server_with_options_or_a_program():
    entrypoint = os.path.join(DIST, "docker", "docker-entrypoint.sh")
    with tempfile.TemporaryDirectory() as folder:
        for name in ("larder", "other"):
            path = os.path.join(folder, name)
            with open(path, "w", encoding="ascii") as file:
                file.write(f'#!/bin/sh\nprintf "{name}:%s\\n" "$@"\n')
            os.chmod(path, 0o755)
        for words, expected in (
            (["-m", "64"], "larder:-m\nlarder:64\n"),
            (["--memory-limit=64 k"], "larder:--memory-limit=64 k\n"),
            (["larder", "-m"], "larder:-m\n"),
            (["other", "a b"], "other:a b\n"),
        ):
            done = subprocess.run([entrypoint, *words], capture_output=True, text=True, timeout=TIMEOUT_S, check=False,
                                  env={"PATH": folder + ":/usr/bin:/bin"})
            assert (done.returncode, done.stdout) == (0, expected), (words, done)


if __name__ == "__main__":
    run_tests(globals())
