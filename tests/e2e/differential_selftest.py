#!/usr/bin/env python3
"""The differential test itself: two memcacheds must not differ, and each falsified answer must be noticed."""

import contextlib
import io
import os
import random
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(HERE, "..", "support"))
from server import EXIT_SKIPPED, Server, Skip, memcached_binary, run_tests  # noqa: E402

import differential  # noqa: E402
from differential_parts import binary, meta, rules, text  # noqa: E402
from differential_parts.proxy import Proxy, close_after, replace_all, replace_once  # noqa: E402

COMMANDS = 4000


def compare(request=None, reply=None, args="", seed=7, rules_on=False, commands=COMMANDS, protocol="text"):
    """Runs memcached against memcached behind a proxy; gives the Differ and what was printed."""
    argv = ["--no-chance", "--commands", str(commands), "--seed", str(seed), "--failures", "2"] + ([] if rules_on else ["--no-rules"])
    options = differential.parse_options(argv)
    server_args = (options.server_args + " " + args).split()
    printed = io.StringIO()
    how = {"args": server_args, "binary": memcached_binary(), "expect_exit": None}
    with Server(**how) as old, Server(**how) as new:
        with Proxy(new.address, request, reply) as proxy, contextlib.redirect_stdout(printed):
            differ = differential.run(options, old.address, proxy.address, "falsified", protocol)
        old.kill()  # an orderly end takes it a second
        new.kill()
    return differ, printed.getvalue()


def noticed(**kwargs):
    differ, printed = compare(**kwargs)
    assert differ.failed > 0, "went unnoticed:\n" + printed
    assert re.search(r"\n\d+ passed, [1-9]\d* failed\n$", printed), printed[-300:]
    return printed


def test_equal_servers_do_not_differ():
    for seed in (7, 8):
        differ, printed = compare(seed=seed)
        assert differ.failed == 0, printed
        assert differ.passed >= COMMANDS


def test_equal_servers_do_not_differ_without_cas_ids():
    differ, printed = compare(args="-C")
    assert differ.failed == 0, printed


def test_rules_explain_nothing_between_equal_servers():
    differ, printed = compare(rules_on=True)
    assert differ.failed == 0, printed
    assert sum(differ.expected.values()) == 0, printed


def test_a_made_up_cas_id_is_none_that_a_server_hands_out():
    generator = binary.Generator(random.Random(7), 1000000000)
    made_up = 0
    for at in range(COMMANDS):
        command = generator.next(at / COMMANDS)
        if command.frame == binary.PACKETS and command.cas is None:
            cas = int.from_bytes(command.raw[16:24], "big")
            assert cas == 0 or cas in binary.NEVER_IDS, command.show()
            made_up += cas != 0
    assert made_up > 0
    generator = meta.Generator(random.Random(7), 1000000000)
    made_up = 0
    for at in range(COMMANDS):
        line = generator.next(at / COMMANDS).raw.partition(b"\r\n")[0]
        if not re.match(rb"m[sda] (?!fresh)", line):  # nothing is stored under a fresh key
            continue
        numbers = re.findall(rb"(?<= )C([1-9]\d*)(?= |$)", line)
        assert all(int(number) > 1 << 62 for number in numbers), line
        made_up += len(numbers)
    assert made_up > 0


def test_a_wrong_word_is_noticed():
    noticed(reply=replace_once(b"\r\nSTORED\r\n", b"\r\nNOT_STORED\r\n"))
    noticed(reply=replace_once(b"DELETED\r\n", b"NOT_FOUND\r\n"))
    noticed(reply=replace_once(b"EXISTS\r\n", b"NOT_FOUND\r\n"))
    noticed(reply=replace_once(b"TOUCHED\r\n", b"STORED\r\n"))
    noticed(reply=replace_once(b"SERVER_ERROR object too large for cache", b"SERVER_ERROR out of memory"), commands=100000)


def test_a_missing_answer_is_noticed():
    noticed(reply=replace_once(b"\r\nSTORED\r\n", b"\r\n", 5000))
    noticed(reply=replace_once(b"\r\nEND\r\n", b"\r\n", 5000))
    noticed(reply=replace_once(b"CLIENT_ERROR bad data chunk\r\n", b""))


def test_one_answer_too_many_is_noticed():
    noticed(reply=replace_once(b"\r\nEND\r\n", b"\r\nEND\r\nEND\r\n", 9000))
    noticed(reply=replace_once(b"\r\nNOT_FOUND\r\n", b"\r\nNOT_FOUND\r\nERROR\r\n"))


def test_a_wrong_byte_in_a_value_is_noticed():
    noticed(reply=replace_once(rb"(VALUE k\d+ \d+ [1-9]\d*\r\n)[^\r]", rb"\1\r", 2000))
    noticed(reply=replace_once(rb"(VALUE n\d+ \d+ \d+\r\n\d+) ", rb"\g<1>0", 2000))


def test_a_wrong_flag_is_noticed():
    noticed(reply=replace_once(b" 65535 ", b" 65534 ", 2000))


def test_a_wrong_error_text_is_noticed():
    noticed(reply=replace_once(b"CLIENT_ERROR invalid numeric delta argument", b"CLIENT_ERROR invalid delta argument"))
    noticed(reply=replace_once(b"CLIENT_ERROR bad command line format\r\n", b"CLIENT_ERROR bad command line format \r\n"))


def test_rules_do_not_hide_wrong_errors():
    noticed(reply=replace_all(b"CLIENT_ERROR bad data chunk", b"CLIENT_ERROR bad command line format"), rules_on=True)
    noticed(reply=replace_all(b"CLIENT_ERROR invalid exptime argument\r\n", b"ERROR\r\n"), rules_on=True)


def test_a_request_that_did_not_arrive_is_noticed():
    noticed(request=replace_all(b"\nset k1 0 ", b"\nset k1 1 "))
    noticed(request=replace_all(b"\r\nappend ", b"\r\nprepend "))
    noticed(request=replace_all(b"\r\ndecr ", b"\r\nincr "))


def test_one_cas_id_for_two_states_is_noticed():
    def all_the_same(data):
        return re.sub(rb"(VALUE \S+ \d+ \d+) \d+\r\n", rb"\1 4711\r\n", data)

    assert "stood for" in noticed(reply=all_the_same)


def test_a_cas_id_that_changes_without_a_change_is_noticed():
    count = [10**9]

    def always_new(data):
        def fresh(match):
            count[0] += 1
            return match.group(1) + b" %d\r\n" % count[0]

        return re.sub(rb"(VALUE \S+ \d+ \d+) \d+\r\n", fresh, data)

    assert "changed with" in noticed(reply=always_new)


def test_a_closed_connection_is_noticed():
    assert "closed the connection" in noticed(reply=close_after(100000))


def test_a_difference_is_shown_with_what_leads_to_it():
    # Falsified for as long as the connection lives: a replay finds it again, and that two commands are enough.
    printed = noticed(reply=replace_all(b"VALUE k3 ", b"VALUE k4 "))
    assert re.search(r"shown by:\n(    [^\n]*\n){1,2}(  key|\n)", printed), printed


def command_of(kind, raw, key=None):
    return text.Command("bad:" + kind, key, raw, text.REST)


def test_rules_take_what_the_contract_says_and_nothing_else():
    bad = rules.BAD_LINE
    error = rules.ERROR
    stored = rules.STORED
    kept = rules.KEPT % b"fresh1"
    before = b"set fresh1 0 0 2\r\n10\r\n"
    after = b"get fresh1\r\n"

    def fresh(kind, line):
        return command_of(kind, before + line + after, b"fresh1")

    rows = (
        ("short line", command_of("short", b"a\r\n"), error, bad),
        (None, command_of("short", b"abc\r\n"), error, bad),
        ("missing arguments", command_of("missing", b"get\r\n"), error, bad),
        (None, command_of("missing", b"get\r\n"), error, bad + error),
        ("bad storage line swallows its data", command_of("bad-flags", b"set k x 0 4\r\nzzzz\r\n"), bad + error, bad),
        ("bad storage line swallows its data", command_of("bad-flags", b"set k x 0 4 noreply\r\nzzzz\r\n"), error, b""),
        (None, command_of("bad-flags", b"set k x 0 4\r\nzzzz\r\n"), bad + error, b""),
        (None, command_of("bad-flags", b"set k x 0 4\r\nzzzz\r\n"), bad + error, b"STORED\r\n"),
        ("bad bytes are told despite noreply", command_of("bad-bytes", b"set k 0 0 x noreply\r\nzzzz\r\n"), error,
         bad + error),
        ("numbers are digits only", fresh("plus-bytes", b"set fresh1 0 0 +4\r\nzzzz\r\n"), b"", stored + bad + error + kept),
        (None, fresh("plus-bytes", b"set fresh1 0 0 +4\r\nzzzz\r\n"), b"", stored + bad + kept),
        ("leading space", fresh("leading-space", b" set fresh1 0 0 4\r\nzzzz\r\n"), b"", stored + error + error + kept),
        (None, fresh("leading-space", b" set fresh1 0 0 4\r\nzzzz\r\n"), b"", stored + error + kept),
        ("expiry is 64 bit", fresh("time64", b"touch fresh1 4294967295\r\n"), b"", stored + b"TOUCHED\r\n" + kept),
        (None, fresh("time64", b"touch fresh1 4294967295\r\n"), b"", stored + b"TOUCHED\r\nEND\r\n"),
        ("extra words of delete", fresh("delete-extra", b"delete fresh1 99\r\n"), b"", stored + bad + kept),
        (None, fresh("delete-extra", b"delete fresh1 99\r\n"), b"", stored + b"DELETED\r\nEND\r\n"),
        ("NUL is an ordinary byte", fresh("nul", b"get fresh1\0x\r\n"), b"", stored + b"END\r\n" + kept),
        (None, fresh("nul", b"get fresh1\0x\r\n"), b"", stored + kept + kept),
    )
    for expected, command, old, new in rows:
        assert rules.explain(command, old, new) == expected, (expected, command.raw, new)


# -- the binary protocol


def test_binary_equal_servers_do_not_differ():
    for seed in (7, 8):
        differ, printed = compare(seed=seed, protocol="binary")
        assert differ.failed == 0, printed
        assert differ.passed >= COMMANDS
    differ, printed = compare(rules_on=True, protocol="binary")
    assert sum(differ.expected.values()) == 0, printed


def test_binary_a_wrong_answer_is_noticed():
    rows = (
        (rb"(\x81\x00\x00\x00\x04\x00\x00)\x00", lambda found: found[1] + b"\1"),  # status
        (rb"(\x81\x01\x00{10}).{4}", lambda found: found[1] + b"\0\0\0\0"),  # opaque
        (rb"(\x81\x00\x00\x00\x04\x00\x00\x00.{16}\x00\x01\x00)\x00", lambda found: found[1] + b"\1"),  # client flags
        (rb"\x81\x04\x00{10}.{12}", b""),  # one too few
        (rb"(\x81\x04\x00{10}.{12})", rb"\1\1"),  # one too many
        (b"Data exists for key", b"Data exists for kez"),
        (rb"(\x81\x0c\x00.\x04\x00\x00\x00.{16}\x00{4}k\d)\d", rb"\1x"),  # key
    )
    for old, new in rows:
        noticed(reply=replace_once(old, new, 3000), protocol="binary")


def test_binary_a_request_that_did_not_arrive_is_noticed():
    # A quiet set becomes an add, a decr an incr.
    noticed(request=replace_all(b"\x80\x11\x00\x02\x08", b"\x80\x12\x00\x02\x08"), protocol="binary")
    noticed(request=replace_all(b"\x80\x16\x00\x02\x14", b"\x80\x15\x00\x02\x14"), protocol="binary")


def test_binary_one_cas_id_for_two_states_is_noticed():
    def all_the_same(data):
        return re.sub(rb"(\x81\x00\x00\x00\x04\x00\x00\x00.{8}).{8}", lambda found: found[1] + b"\0" * 7 + b"\7", data, flags=re.DOTALL)

    assert "stood for" in noticed(reply=all_the_same, protocol="binary")


def test_binary_statistics_are_compared_in_form():
    names = rb"\x81\x10\x00.(.{20}(pid|maxbytes|active_slabs|sizes_status))"
    noticed(reply=replace_once(names, lambda found: b"\x81\x10\0\0" + found[1]), commands=20000, protocol="binary")


def test_binary_a_closed_connection_is_noticed():
    assert "closed the connection" in noticed(reply=close_after(50000), protocol="binary")


def test_binary_lengths_are_judged_as_the_contract_says():
    rows = (
        # opcode, key, extras, body; status and end
        (0x00, 5, 0, 5, None, None),
        (0x00, 0, 0, 0, 4, binary.CLOSED),
        (0x00, 5, 0, 6, 4, binary.CLOSED),
        (0x00, 5, 1, 6, 4, binary.CLOSED),
        (0x00, 5, 0, 4, 0x81, binary.CLOSED),
        (0x00, 251, 0, 251, 4, binary.CLOSED),
        (0x01, 5, 8, 13, None, None),
        (0x01, 5, 7, 13, 4, binary.CLOSED),
        (0x01, 5, 8, (1 << 30) + 1, 4, binary.CLOSED),
        (0x01, 5, 8, 1 << 30, 3, binary.SILENT),
        (0x08, 0, 4, 4, None, None),
        (0x08, 0, 0, 0, None, None),
        (0x10, 0, 0, 0, None, None),
        (0x1B, 0, 4, 4, 0x81, binary.OPEN),
        (0x40, 251, 0, 251, 4, binary.CLOSED),
        (0x40, 250, 9, 2000, 0x81, binary.OPEN),
        (0x40, 250, 9, 2000000, 0x81, binary.SILENT),
        (0x21, 5, 0, 20, 0x81, binary.OPEN),
        (0x20, 1, 0, 1, 4, binary.CLOSED),
    )
    for opcode, key_len, extras_len, body_len, status, end in rows:
        assert binary.judge(opcode, key_len, extras_len, body_len) == (status, end), (hex(opcode), key_len, body_len)


def test_binary_rules_take_what_the_contract_says_and_nothing_else():
    unknown = binary._reply(0x40, b"abcd", 0x81, b"Unknown command")
    invalid = binary._reply(0x00, b"abcd", 0x04, b"Invalid arguments")
    rows = (
        ("unknown opcode swallows its body", unknown + binary.OPEN, unknown + binary.OPEN),
        (None, unknown + binary.OPEN, unknown + binary.CLOSED),
        (None, unknown + binary.OPEN, binary.OPEN),
        ("wrong lengths are answered, and close", invalid + binary.CLOSED, invalid + binary.CLOSED),
        (None, invalid + binary.CLOSED, invalid + binary.OPEN),
        (None, invalid + binary.CLOSED, binary.CLOSED),
        (None, None, invalid + binary.CLOSED),
    )
    for expected, answer, new in rows:
        command = binary.Packet("lone:lengths", None, b"", text.LONE, tag=b"abcd", answer=answer)
        assert binary.explain(command, b"", new) == expected, (expected, new)
        command.kind = "set"
        assert binary.explain(command, b"", new) is None


if __name__ == "__main__":
    try:
        memcached_binary()
    except Skip as reason:
        print(f"skipped: {reason}")
        sys.exit(EXIT_SKIPPED)
    run_tests(globals())
