"""The differences that are meant: larder answers as memcached 1.6.45 does, with the improvements of the contract's
section 0; Debian's memcached is 1.6.18.

A rule explains one difference: `old` and `new` are the whole answers of memcached and larder to one command
line (or to a few, on a key of their own).  Rules say exactly what larder has to answer; what memcached said is looked at
only as far as it makes the rule sharper.  A rule is never asked when the answers are equal.
"""

ERROR = b"ERROR\r\n"
BAD_LINE = b"CLIENT_ERROR bad command line format\r\n"
BAD_DELTA = b"CLIENT_ERROR invalid numeric delta argument\r\n"
BAD_EXPTIME = b"CLIENT_ERROR invalid exptime argument\r\n"
BAD_CHUNK = b"CLIENT_ERROR bad data chunk\r\n"

STORED = b"STORED\r\n"
KEPT = b"VALUE %s 0 2\r\n10\r\nEND\r\n"  # what a fresh key holds when the command changed nothing

STORAGE = (b"set", b"add", b"replace", b"append", b"prepend", b"cas")


def _lines(command):
    parts = command.raw.replace(b"\r\n", b"\n").split(b"\n")
    return parts[:-1] or parts


def _first(command):
    """The malformed line of a command of `own` or `fresh`: its words."""
    lines = _lines(command)
    at = 2 if command.key is not None and command.key.startswith(b"fresh") else 0
    return lines[at].split(b" ")


def _noreply(words):
    return [word for word in words if word][-1:] == [b"noreply"]


def short_line(command, old, new):
    return command.kind == "bad:short" and len(command.raw) < 4 and old == ERROR and new == BAD_LINE


def short_rest_of_data(command, old, new):
    """What a wrong data block leaves over is read as lines, and the short ones are answered as such."""
    if command.kind not in ("bad:data-long", "bad:data-short", "bad:data-line-end"):
        return False
    line, data = command.raw.split(b"\r\n", 1)
    words = line.split(b" ")
    rest = data[int(words[4]) + 2 :].split(b"\n")[:-1]
    answers = [BAD_LINE if len(part) + 1 < 4 else ERROR for part in rest]
    return new == (b"" if _noreply(words) else BAD_CHUNK) + b"".join(answers)


def missing_arguments(command, old, new):
    if command.kind != "bad:missing":
        return False
    words = [word for word in _first(command) if word]
    if words[:1] == [b"cas"] and len(words) >= 6:
        return False
    # A storage command's data block, which nobody could know the length of, is a command of its own.
    return new == BAD_LINE + ERROR * (len(_lines(command)) - 1)


def cas_without_id(command, old, new):
    words = [word for word in _first(command) if word]
    if command.kind != "bad:missing" or words[:1] != [b"cas"] or len(words) < 5:
        return False
    # With five words too few arguments, and the data is a command; with "noreply" for an id a bad id.
    if len(words) == 5:
        return new in (BAD_LINE, BAD_LINE + ERROR)
    return new in (b"", BAD_LINE, BAD_LINE + ERROR)


def bad_storage_line_swallows_data(command, old, new):
    if command.kind not in ("bad:bad-flags", "bad:bad-exptime", "bad:long-key-store", "bad:bad-cas"):
        return False
    if _noreply(_first(command)):
        return old == ERROR and new == b""
    return old == BAD_LINE + ERROR and new == BAD_LINE


def bytes_error_despite_noreply(command, old, new):
    return command.kind == "bad:bad-bytes" and _noreply(_first(command)) and old == ERROR and new == BAD_LINE + ERROR


def digits_only(command, old, new):
    """No '+', no CR in a number of a storage line; a bad delta, exptime or id is refused as any other."""
    key = command.key
    if key is None or not key.startswith(b"fresh"):
        return False
    words = _first(command)
    kept = KEPT % key
    kind = command.kind[4:]
    if kind in ("plus-bytes", "bytes-wrap") or (kind == "cr-in-number" and words[0] == b"set"):
        return new == STORED + BAD_LINE + ERROR + kept
    if kind == "plus-cas":
        return new == STORED + BAD_LINE + kept
    if kind in ("plus-delta", "cr-in-number") and words[0] in (b"incr", b"decr"):
        return new == STORED + (b"" if _noreply(words) else BAD_DELTA) + kept
    if kind in ("plus-touch", "cr-in-number") and words[0] in (b"touch", b"gat", b"gats"):
        return new == STORED + BAD_EXPTIME + kept
    return False


def storage_junk(command, old, new):
    """However many words there are, one that is no number is one."""
    return command.kind == "bad:storage-junk" and old == ERROR and new == BAD_LINE


def expiry_overflow(command, old, new):
    """Beyond 2^63 the expiry is clamped; or refused, the data swallowed."""
    if command.kind != "bad:exptime-overflow":
        return False
    key = command.key
    kept = KEPT % key
    word = _first(command)[0]
    if word in (b"touch", b"gat"):
        return new == STORED + (b"TOUCHED\r\n" if word == b"touch" else kept) + kept
    if new == STORED + BAD_LINE + kept:
        return True
    value = {b"add": b"10", b"append": b"10zzzz", b"prepend": b"zzzz10"}.get(word, b"zzzz")
    answer = b"NOT_STORED\r\n" if word == b"add" else STORED
    return new == STORED + answer + b"VALUE %s 0 %d\r\n%s\r\nEND\r\n" % (key, len(value), value)


def storage_extra_words_ignored(command, old, new):
    """Words after <bytes> are ignored; noreply counts where it is the last."""
    key = command.key
    if command.kind not in ("bad:storage-extra", "bad:too-many-tokens"):
        return False
    words = _first(command)
    if words[0] not in STORAGE:
        return False
    answer = {b"add": b"NOT_STORED\r\n"}.get(words[0], STORED)
    value = {b"add": b"10", b"append": b"10zzzz", b"prepend": b"zzzz10"}.get(words[0], b"zzzz")
    got = b"VALUE %s 0 %d\r\n%s\r\nEND\r\n" % (key, len(value), value)
    return new == STORED + (b"" if _noreply(words) else answer) + got


def delete_extra_words(command, old, new):
    words = _first(command)
    if command.kind != "bad:delete-extra" and (command.kind != "bad:cr-in-number" or words[0] != b"delete"):
        return False
    return new == STORED + (b"" if _noreply(words) else BAD_LINE) + KEPT % command.key or (
        new.startswith(STORED + b"CLIENT_ERROR bad command line format.  Usage: ")
        and new.endswith(KEPT % command.key)
        and new.count(b"\r\n") == 5
        and not _noreply(words)
    )


def admin_extra_words(command, old, new):
    """incr, decr, touch, verbosity and cache_memlimit look at the words they need; noreply counts where it is the last."""
    words = [word for word in _first(command) if word]
    if command.kind in ("bad:verbosity", "bad:memlimit"):
        return len(words) > 2 and words[1].isdigit() and old == ERROR and new == (b"" if _noreply(words) else b"OK\r\n")
    if command.kind not in ("bad:arith-extra", "bad:touch-extra", "bad:too-many-tokens"):
        return False
    answer, value = {
        b"incr": (b"11\r\n", b"11"),
        b"decr": (b"9\r\n", b"9 "),
        b"touch": (b"TOUCHED\r\n", b"10"),
    }.get(words[0], (None, None))
    if answer is None or old != STORED + ERROR + KEPT % command.key:
        return False
    got = b"VALUE %s 0 %d\r\n%s\r\nEND\r\n" % (command.key, len(value), value)
    return new == STORED + (b"" if _noreply(words) else answer) + got


def leading_space(command, old, new):
    if command.kind != "bad:leading-space":
        return False
    lines = len(_lines(command)) - 3  # without the set before, and the get after
    return new == STORED + ERROR * lines + KEPT % command.key


def time_is_64_bit(command, old, new):
    """An expiry beyond 2^31 is a time far away, one below -2^31 is over."""
    if command.kind == "bad:time-past":
        return new == STORED + (STORED if _first(command)[0] == b"set" else b"TOUCHED\r\n") + b"END\r\n"
    if command.kind != "bad:time64":
        return False
    key = command.key
    kept = KEPT % key
    word = _first(command)[0]
    if word == b"set":
        return new == STORED + STORED + kept.replace(b"\r\n10\r\n", b"\r\n20\r\n")
    if word == b"add":
        return new == STORED + STORED + (b"VALUE %sx 0 2\r\n20\r\nEND\r\n" % key) + kept
    if word == b"touch":
        return new == STORED + b"TOUCHED\r\n" + kept
    return new == STORED + kept + kept


def nul_is_a_byte(command, old, new):
    """The original ends the line at a NUL; here it is an ordinary byte of a key, and of no number."""
    if command.kind != "bad:nul":
        return False
    key = command.key
    kept = KEPT % key
    words = _first(command)
    line = b" ".join(words)
    if line.startswith(b"set " + key + b"\0x"):
        middle = STORED
    elif words[0] == b"set":
        middle = BAD_LINE + ERROR
    elif words[0] == b"get":
        middle = b"END\r\n"
    elif words[0] == b"incr":
        middle = BAD_DELTA
    elif words[0] == b"delete":
        middle = b"NOT_FOUND\r\n"
    elif words[0] == b"touch" or line.startswith(b"gat 0\0"):
        middle = BAD_EXPTIME
    elif words[0] == b"gat":
        middle = b"END\r\n"
    elif line == b"\0":
        middle = BAD_LINE  # three bytes with its line end
    else:
        middle = ERROR
    return new == STORED + middle + kept


def memlimit_is_64_bit(command, old, new):
    if command.kind != "bad:memlimit-wrap":
        return False
    failed = b"MEMLIMIT_ADJUST_FAILED input value is megabytes not bytes\r\n"
    return new == failed + (b"OK\r\n" if b"1024" in command.raw else b"")


def line_above_16k(command, old, new):
    """The original takes such a line if one read of 16 KiB holds it; how long our buffer is nobody can know."""
    if command.kind != "lone:line-above-16k":
        return False
    return old == b"<closed>" and new == b"END\r\n<open>"


def number_from_2_63(command, old, new):
    """The original takes a stray '-' in the memory behind a stored number from 2^63 up for its sign."""
    if command.kind != "bad:big-number" or b"CLIENT_ERROR cannot increment or decrement" not in old:
        return False
    lines = _lines(command)
    text = lines[3]
    word, key, delta = lines[4].split(b" ")
    number = int(text) + int(delta) & (1 << 64) - 1 if word == b"incr" else max(0, int(text) - int(delta))
    value = b"%d" % number
    value += b" " * (len(text) - len(value))  # in place
    return new == STORED + STORED + b"%d\r\nVALUE %s 0 %d\r\n%s\r\nEND\r\n" % (number, key, len(value), value)


# name, where the contract demands it, predicate(command, old, new)
EXPECTED = (
    ("short line", "1.1: a line shorter than 4 bytes; 4", short_line),
    ("short rest of a wrong data block", "1.1: a line shorter than 4 bytes; bad data chunk", short_rest_of_data),
    ("missing arguments", "4: missing args", missing_arguments),
    ("cas without id", "4: missing args", cas_without_id),
    ("bad storage line swallows its data", "1.1: error routing; 4", bad_storage_line_swallows_data),
    ("bad bytes are told despite noreply", "1.1: noreply suppresses, except", bytes_error_despite_noreply),
    ("numbers are digits only", "1.1: numbers; 4: `set k 0 0 +2`", digits_only),
    ("junk in a storage line", "1.2: extra unknown tokens are ignored", storage_junk),
    ("expiry beyond 64 bit", "0.g", expiry_overflow),
    ("extra words of a storage line", "1.2: extra unknown tokens are ignored", storage_extra_words_ignored),
    ("extra words of delete", "0.j", delete_extra_words),
    ("extra words of other commands", "4: flush_all with 3 args, delete k 99 extra", admin_extra_words),
    ("leading space", "1.1: tokens; 4", leading_space),
    ("expiry is 64 bit", "0.g", time_is_64_bit),
    ("NUL is an ordinary byte", "1.1: tokens", nul_is_a_byte),
    ("cache_memlimit is 64 bit", "1.5: cache_memlimit, > 1e9", memlimit_is_64_bit),
    ("number from 2^63 up", "1.4: `incr`; a defect of the original", number_from_2_63),
    ("line above 16 KiB in one piece", "1.1: line limits", line_above_16k),
)


def explain(command, old, new):
    """The name of the rule that explains it, or None."""
    if not command.kind.startswith(("bad:", "lone:")):
        return None
    for name, _, predicate in EXPECTED:
        if predicate(command, old, new):
            return name
    return None
