r"""The classic text protocol for the differential test: makes commands, cuts reply streams into replies.

A protocol offers the driver:

    Generator(rng, now, chance)  .next(progress): one Command; .lone(count): Commands to be sent alone
    SENTINEL, SENTINEL_REPLY     a command with an answer that occurs nowhere else in a reply stream
    split(commands, stream)      the replies of commands that were sent between two sentinels
    normalise(command, reply)    what is compared, and a list of (key, cas id, state that it stands for or None)
    carry_ids(commands)          whether equal reply streams of these are to be looked at for ids nevertheless
    of_key, keys_read, needs_group, delete_of, FLUSH   see below
    LONE_PER_COMMANDS, LONE_END, lone_pieces, swallows_sentinel   of commands to be sent alone

Replies can only be counted off when each command's framing is known, which malformed ones defeat: each of
those is followed by a sentinel, and its reply is all that comes before the sentinel's.  So that the
sentinel's answer "MN\r\n" stands nowhere else, neither keys nor values hold an "M" or an "m".
"""

import re
import string

NONE, LINE, VALUES, VERSION, REST, LONE = range(6)

SENTINEL = b"mn\r\n"
SENTINEL_REPLY = b"MN\r\n"
FLUSH = b"flush_all\r\n"  # brings both servers to the same state
LONE_PER_COMMANDS = 900
LONE_END = b"\r\n"  # what ends a lone command that does not end by itself

KEYS = 240
NUMBER_VALUE_MAX = 8000  # bytes of a value that is counted with
NUMBER_KEYS = 30
BIG_KEYS = 4
BIG_MAX = 1048000  # bytes; the contract's largest value that must fit by default
TOO_BIG = 1048576  # bytes; a value that must not
# The original looks for a minus sign behind a stored number from 2^63 up, beyond the value's end, in whatever lies in
# the memory there: such numbers are kept to fresh keys.
BIG_NUMBERS = (
    (b"9223372036854775807", b"incr", b"1"), (b"9223372036854775808", b"incr", b"1"),
    (b"18446744073709551614", b"incr", b"1"), (b"18446744073709551615", b"incr", b"1"),
    (b"18446744073709551615", b"incr", b"18446744073709551615"), (b"18446744073709551615", b"decr", b"1"),
    (b"18446744073709551615", b"decr", b"18446744073709551614"), (b"9223372036854775808", b"decr", b"1"),
    (b"10", b"incr", b"18446744073709551605"), (b"10", b"incr", b"18446744073709551606"),
    (b"10", b"decr", b"18446744073709551615"), (b"99", b"incr", b"9223372036854775808"),
    (b"   18446744073709551615", b"incr", b"1"), (b"18446744073709551615   ", b"decr", b"5"),
)
CHANCE = frozenset(["big-number"])
VALUE_WITH_ID = re.compile(rb"(VALUE \S+ \d+ \d+) \d+\r\n")
LETTERS = (string.ascii_lowercase + string.digits).replace("m", "").encode()


class Broken(Exception):
    """A reply stream that is not what these commands can be answered with."""


class Command:
    """One command.  `raw` are its bytes; where cas is not None: raw + the CAS id + tail."""

    __slots__ = ("kind", "key", "raw", "tail", "cas", "frame", "noreply", "seq")

    def __init__(self, kind, key, raw, frame, tail=b"", cas=None, noreply=False):
        self.kind = kind
        self.key = key
        self.raw = raw
        self.tail = tail
        self.cas = cas  # "last", "next": the id seen last for `key`, and one more
        self.frame = frame
        self.noreply = noreply
        self.seq = 0

    def render(self, last_ids):
        if self.cas is None:
            return self.raw
        known = last_ids.get(self.key)
        if known is None:
            return self.raw + b"999999999999" + self.tail
        return self.raw + b"%d" % (known if self.cas == "last" else known + 1) + self.tail

    def show(self):
        text = self.raw if self.cas is None else self.raw + b"<" + self.cas.encode() + b" id>" + self.tail
        return shorten(text)


def shorten(data, limit=180):
    if len(data) <= limit:
        return repr(data)
    return f"{data[:limit - 60]!r} .. {len(data)} bytes .. {data[-40:]!r}"


# -- where a sentinel has to stand ---------------------------------------------------------------------


def keys_read(command):
    """The keys whose values may be on their way out."""
    return command.raw.split() if command.frame == VALUES else ()


def of_key(command, key):
    """What a command that names several keys does to this one."""
    if command.frame != VALUES:
        return command
    words = command.raw.split()
    head = words[: 2 if words[0].startswith(b"gat") else 1]
    return Command(command.kind, key, b" ".join(head + [key]) + b"\r\n", VALUES)


def delete_of(key):
    return b"delete %s\r\n" % key


def lone_pieces(command):
    """What is sent of a lone command at once, and after a pause."""
    return command.raw.split(b"\0\0")


def swallows_sentinel(command):  # noqa: ARG001
    """Whether a lone command may take what follows for a part of itself, so that silence is an answer."""
    return False


def carry_ids(commands):
    return any(command.kind in ("gets", "gats") for command in commands)


def needs_group(command, read):
    """Whether earlier replies must be out before this command, for the original to answer it as it should.

    incr and decr of a value that is still to be sent do not write in place, which shows in its length.  A get of a
    key that is too long takes replies of earlier commands back with its own.
    """
    return command.kind == "bad:long-key" or (command.kind in ("incr", "decr") and command.key in read)


# -- cutting ------------------------------------------------------------------------------------------


def split(commands, stream):
    """The reply of each command.  Raises Broken, with the replies that could be cut off in args[1]."""
    replies = []
    at = 0
    size = len(stream)
    for command in commands:
        frame = command.frame
        start = at
        if frame == NONE:
            replies.append(b"")
            continue
        if frame in (REST, LONE):
            replies.append(stream[at:])
            at = size
            continue
        if frame == VALUES:
            while stream.startswith(b"VALUE ", at):
                end = stream.find(b"\r\n", at)
                words = stream[at:end].split(b" ")
                if end < 0 or len(words) < 4 or not words[3].isdigit():
                    raise Broken("a VALUE line that is none", replies, stream[start:])
                at = end + 2 + int(words[3]) + 2
        end = stream.find(b"\r\n", at)
        if end < 0:
            raise Broken("a reply is missing", replies, stream[start:])
        at = end + 2
        replies.append(stream[start:at])
    if at < size:
        raise Broken("more replies than commands", replies, stream[at:])
    return replies


def normalise(command, reply):
    """Takes out what two right servers may differ in: CAS ids, the version."""
    if command.frame == VERSION:
        words = reply.strip().split(b" ")
        numbers = words[-1].split(b".")
        if len(words) == 2 and words[0] == b"VERSION" and len(numbers) == 3 and all(n.isdigit() for n in numbers):
            return b"VERSION n.n.n\r\n", ()
        return reply, ()
    if command.frame == REST:
        return VALUE_WITH_ID.sub(rb"\1 <id>\r\n", reply), ()
    if command.kind not in ("gets", "gats") or not reply.startswith(b"VALUE "):
        return reply, ()
    parts, ids = [], []
    at = 0
    while reply.startswith(b"VALUE ", at):
        end = reply.find(b"\r\n", at)
        words = reply[at:end].split(b" ")
        if len(words) != 5 or not words[4].isdigit():
            return reply, ()
        after = end + 2 + int(words[3]) + 2
        block = reply[end:after]
        ids.append((words[1], int(words[4]), (words[2], hash(block))))
        parts.append(b" ".join(words[:4]) + b" <id>" + block)
        at = after
    parts.append(reply[at:])
    return b"".join(parts), ids


# -- making -------------------------------------------------------------------------------------------


class Generator:
    """Makes the command stream of one seed."""

    def __init__(self, rng, now, chance=True):
        self.rng = rng
        self.now = now
        self.fresh = 0
        self.flushing = False  # immediate flushes only, from now on; see flush_all()
        self.junk = bytes(rng.choices([c for c in range(256) if c not in b"Mm"], k=1 << 18))
        self.plain = bytes(rng.choices(LETTERS, k=1 << 18))
        lines = bytearray(self.plain)
        for at in range(0, len(lines) - 2, 29):
            lines[at : at + 2] = b"\r\n"
        self.lines = bytes(lines)
        self.huge = self.plain * 5
        self.keys = self._make_keys()
        self.number_keys = [b"n%d" % i for i in range(NUMBER_KEYS)]
        self.big_keys = [b"big%d" % i for i in range(BIG_KEYS)]
        self.malformed = [(name, maker) for name, maker in _malformed_makers() if chance or name not in CHANCE]
        self.deck = []
        self.makers, weights = zip(
            *(
                (self.get, 16), (self.gets, 10), (self.gat, 4), (self.gats, 3),
                (self.set, 16), (self.add, 5), (self.replace, 5), (self.append, 4), (self.prepend, 4),
                (self.cas, 8), (self.delete, 6), (self.arith, 12), (self.touch, 4),
                (self.number_set, 4), (self.big, 0.15), (self.admin, 1), (self.flush_all, 0.02),
                (self.spaced, 2), (self.bad, 10),
            )
        )
        self.sums = []
        total = 0.0
        for weight in weights:
            total += weight
            self.sums.append(total)

    def next(self, progress):
        """The next command; `progress` runs from 0 to 1 over the whole run."""
        if progress >= 0.5:
            self.flushing = True
        maker = self.rng.choices(self.makers, cum_weights=self.sums)[0]
        return maker()

    # parts of commands

    def _make_keys(self):
        rng = self.rng
        keys = [b"k%d" % i for i in range(KEYS - 60)]
        for size in (1, 2, 3, 31, 32, 63, 64, 100, 127, 128, 200, 248, 249, 250):
            keys.append(bytes(rng.choices(LETTERS, k=size)))
        odd = bytes(c for c in range(1, 256) if c not in b" \r\nMm")
        keys = list(dict.fromkeys(keys))  # a short one by chance may be one of the first
        while len(keys) < KEYS:
            key = b"o" + bytes(rng.choices(odd, k=rng.randrange(2, 40)))
            if key not in keys:
                keys.append(key)
        return keys

    def key(self):
        """Any key; some far more often than others."""
        rng = self.rng
        if rng.random() < 0.12:
            return rng.choice(self.number_keys)
        if rng.random() < 0.4:
            return self.keys[rng.randrange(12)]
        return rng.choice(self.keys)

    def fresh_key(self):
        """A key for one command alone: what becomes of it may differ between the servers."""
        self.fresh += 1
        return b"fresh%d" % self.fresh

    def long_key(self):
        return bytes(self.rng.choices(LETTERS, k=self.rng.randrange(251, 261)))

    def value(self):
        rng = self.rng
        pick = rng.random()
        if pick < 0.04:
            size = 0
        elif pick < 0.50:
            size = rng.randrange(1, 40)
        elif pick < 0.85:
            size = rng.randrange(40, 300)
        elif pick < 0.97:
            size = rng.randrange(300, 3000)
        else:
            size = rng.randrange(3000, 20481)
        source = rng.choice((self.plain, self.junk, self.lines))
        start = rng.randrange(len(source) - size)
        return source[start : start + size]

    def flags(self):
        rng = self.rng
        if rng.random() < 0.6:
            return b"0"
        return rng.choice((b"1", b"5", b"32", b"65535", b"65536", b"2147483647", b"2147483648", b"4294967295",
                           b"007", b"+5"))

    def exptime(self):
        """A lifetime that no run outlasts, or that is over at once."""
        rng = self.rng
        if rng.random() < 0.7:
            return b"0"
        return rng.choice((b"1000", b"86400", b"2592000", b"%d" % (self.now + 100000), b"2147483647", b"00",
                           b"-1", b"-5", b"-2147483648", b"2592001", b"1000000000"))

    def noreply(self):
        return self.rng.random() < 0.12

    # well-formed commands

    def _keys_line(self, word):
        rng = self.rng
        count = 1 if rng.random() < 0.6 else rng.choice((2, 3, 5, 8, 16, 30, 60))
        return word + b" " + b" ".join(self.key() for _ in range(count)) + b"\r\n"

    def get(self):
        return Command("get", None, self._keys_line(b"get"), VALUES)

    def gets(self):
        if self.rng.random() < 0.5:
            key = self.key()
            return Command("gets", key, b"gets " + key + b"\r\n", VALUES)
        return Command("gets", None, self._keys_line(b"gets"), VALUES)

    def gat(self):
        return Command("gat", None, self._keys_line(b"gat " + self.exptime()), VALUES)

    def gats(self):
        return Command("gats", None, self._keys_line(b"gats " + self.exptime()), VALUES)

    def _store(self, word, key, value):
        if value and not value.strip():
            # Blanks alone: to count with them, the original reads on into whatever is left of an older item.
            value = b"x" * len(value)
        noreply = self.noreply()
        head = b"%s %s %s %s %d%s\r\n" % (
            word, key, self.flags(), self.exptime(), len(value), b" noreply" if noreply else b"",
        )
        return Command(word.decode(), key, head + value + b"\r\n", NONE if noreply else LINE, noreply=noreply)

    # The original reads a number at the head of a value of any length, larder only of one that fits a chunk: so
    # what is counted with stays short, and other values, which may become long, begin with a letter.

    def _replace(self, word):
        key, value = self.key(), self.value()
        if key in self.number_keys:
            value = value[:NUMBER_VALUE_MAX]
        elif value:
            value = b"x" + value[1:]
        return self._store(word, key, value)

    def set(self):
        return self._replace(b"set")

    def add(self):
        return self._replace(b"add")

    def replace(self):
        return self._replace(b"replace")

    def _join(self, word):
        key, value = self.key(), self.value()
        return self._store(word, key, value[:200] if key in self.number_keys else b"x" + value)

    def append(self):
        return self._join(b"append")

    def prepend(self):
        return self._join(b"prepend")

    def number_set(self):
        rng = self.rng
        value = rng.choice((
            b"0", b"5", b"9", b"10", b"99", b"100", b"1000", b"  5", b"5  ", b"007", b"-1", b"abc", b"1.5", b"",
            b"18446744073709551616", b"99999999999999999999", b"-9223372036854775808",
            b"%d" % rng.randrange(1 << 62), b"%d" % rng.randrange(1000), b"0" * 25, b"1" + b" " * 24, b"5x", b"x5",
            # No value of blanks alone: the original reads on behind it, into whatever is left of an older item.
            b"+5", b"5 x", b"\t5", b"5\t", b"0x10", b"5\r\n",
        ))
        return self._store(rng.choice((b"set", b"set", b"set", b"add", b"replace")),
                           rng.choice(self.number_keys), value)

    def cas(self):
        rng = self.rng
        key = self.keys[rng.randrange(12)] if rng.random() < 0.7 else self.key()
        value = self.value()
        noreply = self.noreply()
        head = b"cas %s %s %s %d " % (key, self.flags(), self.exptime(), len(value))
        tail = (b" noreply" if noreply else b"") + b"\r\n" + value + b"\r\n"
        frame = NONE if noreply else LINE
        pick = rng.random()
        if pick < 0.8:
            return Command("cas", key, head, frame, tail, "last", noreply)
        if pick < 0.9:
            return Command("cas", key, head, frame, tail, "next", noreply)
        number = rng.choice((b"0", b"999999999999", b"18446744073709551615"))
        return Command("cas", key, head + number + tail, frame, noreply=noreply)

    def delete(self):
        key = self.key()
        form = self.rng.choice((b"", b"", b"", b" 0", b" noreply", b" 0 noreply"))
        noreply = form.endswith(b"noreply")
        return Command("delete", key, b"delete " + key + form + b"\r\n", NONE if noreply else LINE, noreply=noreply)

    def arith(self):
        rng = self.rng
        key = rng.choice(self.number_keys) if rng.random() < 0.9 else self.key()
        word = rng.choice((b"incr", b"decr"))
        delta = rng.choice((b"0", b"1", b"1", b"1", b"2", b"9", b"10", b"95", b"1000", b"007",
                            b"4294967296", b"%d" % rng.randrange(1 << 40)))
        noreply = self.noreply()
        raw = word + b" " + key + b" " + delta + (b" noreply" if noreply else b"") + b"\r\n"
        return Command(word.decode(), key, raw, NONE if noreply else LINE, noreply=noreply)

    def touch(self):
        key = self.key()
        noreply = self.noreply()
        raw = b"touch " + key + b" " + self.exptime() + (b" noreply" if noreply else b"") + b"\r\n"
        return Command("touch", key, raw, NONE if noreply else LINE, noreply=noreply)

    def big(self):
        """Long values.  Lengths around the limit are left out: the servers' headers differ in size."""
        rng = self.rng
        key = rng.choice(self.big_keys)
        if rng.random() < 0.4:
            word = rng.choice((b"get", b"gets"))
            return Command(word.decode(), key, word + b" " + key + b"\r\n", VALUES)
        pick = rng.random()
        if pick < 0.6:
            size = rng.randrange(20480, 600000)
        elif pick < 0.8:
            size = rng.randrange(600000, BIG_MAX + 1)
        else:
            size = rng.randrange(TOO_BIG, 1100000)
        start = rng.randrange(len(self.huge) - size)
        return self._store(rng.choice((b"set", b"set", b"set", b"add", b"replace")), key,
                           self.huge[start : start + size])

    def admin(self):
        raw, frame = self.rng.choice((
            (b"verbosity 0\r\n", LINE), (b"verbosity 0 noreply\r\n", NONE), (b"version\r\n", VERSION),
            (b"version junk\r\n", VERSION), (b"cache_memlimit 1024\r\n", LINE),
            (b"cache_memlimit 512 noreply\r\n", NONE), (b"cache_memlimit 7\r\n", LINE),
            (b"cache_memlimit 1000000001\r\n", LINE), (b"cache_memlimit abc\r\n", LINE),
            (b"cache_memlimit 1024 extra\r\n", LINE), (b"flush_all abc\r\n", LINE),
        ))
        return Command("admin", None, raw, frame, noreply=frame == NONE)

    def flush_all(self):
        """Far flushes in the first half of a run, immediate ones in the second.

        Not mixed: a far flush after an immediate one brings flushed items back to life in the original.
        """
        if self.flushing:
            forms = (b"", b" 0", b" -1", b" noreply", b" 0 noreply", b" ")
        else:
            forms = (b" 100000", b" 2592000", b" 100000 noreply", b" %d" % (self.now + 100000))
        form = self.rng.choice(forms)
        noreply = form.endswith(b"noreply")
        return Command("flush_all", None, b"flush_all" + form + b"\r\n", NONE if noreply else LINE, noreply=noreply)

    def spaced(self):
        """Well-formed, with more spaces than needed, or without the CR."""
        rng = self.rng
        key = self.key()
        value = self.value()[:200]
        kind, raw, frame = rng.choice((
            ("get", b"get   %s  \r\n" % key, VALUES),
            ("get", b"get %s\n" % key, VALUES),
            ("gets", b"gets  %s %s \n" % (key, key), VALUES),
            ("set", b"set  %s   0  0 %d  \r\n%s\r\n" % (key, len(value), value), LINE),
            ("set", b"set %s 0 0 %d\n%s\r\n" % (key, len(value), value), LINE),
            ("set", b"set %s 0 0 %03d\r\n%s\r\n" % (key, len(value), value), LINE),
            ("set", b"set %s 0 0 %d extra\r\n%s\r\n" % (key, len(value), value), LINE),
            ("set", b"set %s 0 0 %d  noreply \r\n%s\r\n" % (key, len(value), value), NONE),
            ("delete", b"delete  %s \r\n" % key, LINE),
            ("delete", b"delete %s\n" % key, LINE),
            ("touch", b"touch  %s  0 \r\n" % key, LINE),
            ("incr", b"incr  %s  1 \n" % key, LINE),
            ("get", b"get " + b" ".join(self.key() for _ in range(400)) + b"\r\n", VALUES),
        ))
        return Command(kind, key, raw, frame, noreply=frame == NONE)

    # malformed lines

    def bad(self):
        """A malformed line, or several commands on a key of their own; a sentinel follows."""
        if self.rng.random() < 0.05:
            return self.random_line()
        if not self.deck:  # each once before any comes again
            self.deck = self.rng.sample(self.malformed, len(self.malformed))
        name, maker = self.deck.pop()
        key, raw = maker(self)
        return Command("bad:" + name, key, raw, REST)

    def random_line(self):
        """Bytes without meaning.  No NUL, which the original takes for the line's end; no word that means something."""
        size = self.rng.choice((1, 2, 3, 4, 5, 10, 50, 500, 1900))
        alphabet = bytes(c for c in range(1, 256) if c not in b"\nMm")
        raw = bytes(self.rng.choices(alphabet, k=size))
        return Command("bad:random", None, b"~~" + raw + b"\r\n", REST)

    def lone(self, count):
        r"""Up to `count` commands that may end the connection: sent alone, in the pieces of `raw` (cut at \0\0)."""
        rng = self.rng
        filler = bytes(rng.choices(LETTERS, k=9000))
        size = rng.randrange(2300, 8000)
        cases = (
            ("quit", (b"set k1 0 0 2\r\nzz\r\nquit\r\nget k1\r\n",)),
            ("quit-extra", (b"quit %s\r\n" % filler[:5],)),
            ("quit-noreply", (b"quit noreply\r\n",)),
            ("http", (b"GET / HTTP/1.1\r\n",)),
            ("http-short", (b"bogus HTTP/\r\n",)),
            ("http-key", (b"get HTTP/1.1\r\n",)),
            ("long-unended", (filler[:size],)),
            ("long-delete-unended", (b"delete " + filler[:size],)),
            ("long-in-pieces", (filler[:1500], filler[1500:3500])),
            ("line-of-2048", (filler[:2048], b"\r\n")),
            ("line-of-2049", (filler[:2049], b"\r\n")),
            ("long-get-unended", (b"get " + b"k1 " * (size // 3), b"k2\r\n")),
            ("long-gets-unended", (b"gets " + b"nokey " * (size // 6), b"nokey\r\n")),
            ("long-get-key-unended", (b"get " + filler[:size], b"\r\n")),
            ("long-gat-unended", (b"gat 0 " + b"nokey " * (size // 6), b"nokey\r\n")),
            ("long-get-twice", (b"get " + b"nokey " * (size // 6), b"nokey " * 700, b"nokey\r\n")),
            ("long-line", (b"delete " + filler[:size] + b"\r\n",)),
            ("long-gat", (b"gat 0 " + b"nokey " * (size // 6) + b"\r\n",)),
            ("long-unknown", (filler[:size] + b"\r\n",)),
            ("line-above-16k", (b"gat 0 " + b"nokey " * 3500 + b"\r\n",)),
            ("multiget-128k", (b"get " + b" ".join(b"nk%d" % i for i in range(18700)) + b"\r\n",)),
        )
        return [Command("lone:" + name, None, b"\0\0".join(pieces), LONE)
                for name, pieces in rng.sample(cases, min(count, len(cases)))]


def _malformed_makers():
    """(name, maker): maker(generator) gives (key or None, bytes).

    Commands that a rule expects to leave different states behind work on fresh keys.  Data blocks are short,
    and no command: a server that does not swallow them answers ERROR.
    """
    made = []

    def own(name, *texts):
        """On any key: both servers must leave it alone, or do the same to it."""
        for text in texts:
            made.append((name, lambda gen, text=text: _fill(text, gen.key())))

    def fresh(name, *texts):
        """On a key that is set before and read after."""
        for text in texts:
            whole = b"set @ 0 0 2\r\n10\r\n" + text + b"get @\r\n"
            made.append((name, lambda gen, whole=whole: _fill(whole, gen.fresh_key())))

    def _fill(text, key):
        return (key if b"@" in text else None), text.replace(b"@", key)

    data = b"\r\nzzzz\r\n"

    own("short", b"\r\n", b"\n", b" \r\n", b"  \r\n", b"a\r\n", b"ab\r\n", b"abc\r\n", b"a\n", b"ab\n", b"abc\n",
        b"\r\r\n", b"\t\r\n", b"\r\r\r\n", b"\x01\r\n", b"\x01\x02\r\n")
    own("missing", b"get\r\n", b"gets\r\n", b"get \r\n", b"gets  \r\n", b"gat\r\n", b"gats\r\n", b"gat \r\n",
        b"gat 0\r\n", b"gats 0\r\n", b"gat abc\r\n", b"gat @\r\n", b"set\r\n", b"set @\r\n", b"set @ 0\r\n",
        b"set @ 0 0\r\n", b"set @ 0 noreply\r\n", b"set @ 0 0 noreply\r\n", b"add @\r\n", b"replace @ 0\r\n",
        b"append @ 0 0\r\n", b"prepend\r\n", b"cas\r\n", b"cas @\r\n", b"cas @ 0 0\r\n", b"cas @ 0 0 4" + data,
        b"delete\r\n", b"delete \r\n", b"incr\r\n", b"decr\r\n", b"incr @\r\n", b"decr @ \r\n", b"touch\r\n",
        b"touch @\r\n", b"touch  \r\n", b"verbosity\r\n", b"verbosity \r\n", b"cache_memlimit\r\n",
        b"get\n", b"incr @\n", b"cas @ 0 0 4 noreply" + data)
    own("noreply-as-argument", b"incr @ noreply\r\n", b"touch @ noreply\r\n", b"get noreply\r\n",
        b"get @ noreply\r\n", b"verbosity noreply\r\n", b"cache_memlimit noreply\r\n", b"delete noreply\r\n",
        b"noreply\r\n", b"gat 0 @ noreply\r\n")
    for word in (b"set", b"add", b"replace", b"append", b"prepend"):
        for bad in (b"abc", b"-1", b"1x", b"0x10", b"1.5", b"18446744073709551616", b"99999999999999999999"):
            own("bad-flags", word + b" @ " + bad + b" 0 4" + data, word + b" @ " + bad + b" 0 4 noreply" + data)
        for bad in (b"abc", b"1x", b"--1", b"0x10", b"1.5"):
            own("bad-exptime", word + b" @ 0 " + bad + b" 4" + data, word + b" @ 0 " + bad + b" 4 noreply" + data)
        for bad in (b"abc", b"-1", b"1x", b"2.0", b"2147483646", b"2147483647", b"2147483648", b"4294967295",
                    b"99999999999999999999", b"0x4", b"noreply"):
            own("bad-bytes", word + b" @ 0 0 " + bad + data, word + b" @ 0 0 " + bad + b" noreply" + data)
        fresh("exptime-overflow", word + b" @ 0 9223372036854775808 4" + data, word + b" @ 0 99999999999999999999 4" + data)
        fresh("bytes-wrap", word + b" @ 0 0 4294967296" + data, word + b" @ 0 0 4294967300" + data,
              word + b" @ 0 0 4294967300 noreply" + data)
        fresh("plus-bytes", word + b" @ 0 0 +4" + data, word + b" @ 0 0 +4 noreply" + data)
        fresh("storage-extra", word + b" @ 0 0 4 noreply extra" + data, word + b" @ 0 0 4 extra noreply" + data,
              word + b" @ 0 0 4 a b c d e" + data)
        made.append(("long-key-store", lambda gen, word=word: (None, word + b" " + gen.long_key() + b" 0 0 4" + data)))
        made.append(("long-key-store",
                     lambda gen, word=word: (None, word + b" " + gen.long_key() + b" 0 0 4 noreply" + data)))
        own("data-long", word + b" @ 0 0 2\r\nzzz\r\n\r\n", word + b" @ 0 0 2\r\nzzzz\r\n",
            word + b" @ 0 0 2\r\nzzzzzzzzz\r\n", word + b" @ 0 0 2 noreply\r\nzzzzzzzzz\r\n",
            word + b" @ 0 0 0\r\nzzzzzz\r\n")
        own("data-short", word + b" @ 0 0 9\r\nzz\r\nzzzzzzzz\r\n", word + b" @ 0 0 5 noreply\r\nzz\r\nzzzzzzzz\r\n")
        own("data-line-end", word + b" @ 0 0 2\r\nzz\nzzzz\r\n", word + b" @ 0 0 2\r\nzz\rzzzz\r\n",
            word + b" @ 0 0 2\r\nzz\n\rzzz\r\n", word + b" @ 0 0 2 noreply\r\nzz\nzzzz\r\n")
    for bad in (b"abc", b"-1", b"1x", b"18446744073709551616", b"99999999999999999999999", b"0x1"):
        own("bad-cas", b"cas @ 0 0 4 " + bad + data, b"cas @ 0 0 4 " + bad + b" noreply" + data)
    fresh("plus-cas", b"cas @ 0 0 4 +5" + data)
    own("storage-junk", b"set" + b" x" * 40 + b"\r\n", b"cas" + b" x" * 40 + b"\r\n")
    own("cas-extra", b"cas @ 0 0 4 0 extra" + data)
    made.append(("long-key-store", lambda gen: (None, b"cas " + gen.long_key() + b" 0 0 4 5" + data)))
    for key_line in (b"get #\r\n", b"gets #\r\n", b"get @ #\r\n", b"get @ # @\r\n", b"gat 0 #\r\n", b"gat 0 # @\r\n",
                     b"delete #\r\n", b"delete # noreply\r\n", b"incr # 1\r\n", b"incr # 1 noreply\r\n",
                     b"touch # 0\r\n", b"touch # 0 noreply\r\n", b"decr # abc\r\n", b"gats 0 @ @ @ #\r\n",
                     b"get " + b"nokey " * 40 + b"#\r\n", b"touch # abc\r\n"):
        made.append(("long-key", lambda gen, line=key_line: (
            None, line.replace(b"@", gen.key()).replace(b"#", gen.long_key()))))
    for size in (249, 250):
        made.append(("key-of-%d" % size, lambda gen, size=size: _fill(
            b"set @ 0 0 2\r\nzz\r\nget @\r\nincr @ 1\r\ntouch @ 0\r\ndelete @\r\n", b"z" * size)))
    own("gat-exptime", b"gat abc @\r\n", b"gats 1x @\r\n", b"gat 0x10 @\r\n", b"gat --1 @\r\n",
        b"gat 1.5 @ @\r\n")
    fresh("exptime-overflow", b"gat 9223372036854775808 @\r\n", b"touch @ 9223372036854775808\r\n")
    own("touch-exptime", b"touch @ abc\r\n", b"touch @ 1x\r\n", b"touch @ abc noreply\r\n", b"touch @ 1.5\r\n",
        b"touch nokey abc\r\n")
    fresh("touch-extra", b"touch @ 0 extra\r\n", b"touch @ 0 extra extra\r\n", b"touch @ 0 noreply extra\r\n")
    fresh("plus-touch", b"touch @ +5000\r\n", b"gat +5000 @\r\n", b"gats +5000 @ @\r\n")
    own("delta", b"incr @ abc\r\n", b"incr @ -1\r\n", b"decr @ 1x\r\n", b"incr @ 18446744073709551616\r\n",
        b"decr @ 99999999999999999999999\r\n", b"incr @ 0x10\r\n", b"incr @ 1.5\r\n", b"incr @ abc noreply\r\n",
        b"incr nokey abc\r\n", b"decr nokey -1\r\n")
    for value, word, delta in BIG_NUMBERS:
        fresh("big-number", b"set @ 0 0 %d\r\n%s\r\n%s @ %s\r\n" % (len(value), value, word, delta))
    fresh("arith-extra", b"incr @ 1 extra extra\r\n", b"incr @ 1 noreply extra\r\n", b"decr @ 1 extra\r\n")
    fresh("plus-delta", b"incr @ +1\r\n", b"decr @ +1\r\n", b"incr @ +1 noreply\r\n")
    fresh("delete-extra", b"delete @ 99\r\n", b"delete @ extra\r\n", b"delete @ 0 extra\r\n", b"delete @ noreply extra\r\n",
          b"delete @ noreply 0\r\n", b"delete @ 99 noreply\r\n", b"delete @ extra noreply\r\n",
          b"delete @ 0 0 noreply\r\n", b"delete @ 0 0 0 0\r\n", b"delete @ 00\r\n")
    for late in (b"2147483648", b"4294967295", b"4294967296", b"99999999999", b"9223372036854775807"):
        fresh("time64", b"set @ 0 " + late + b" 2\r\n20\r\n", b"touch @ " + late + b"\r\n", b"gat " + late + b" @\r\n",
              b"add @x 0 " + late + b" 2\r\n20\r\nget @x\r\n")
    fresh("time-past", b"set @ 0 -99999999999 2\r\n20\r\n", b"touch @ -99999999999\r\n", b"touch @ -2147483649\r\n",
          b"set @ 0 -9223372036854775808 2\r\n20\r\n")
    own("verbosity", b"verbosity abc\r\n", b"verbosity -1\r\n", b"verbosity 1x\r\n", b"verbosity abc noreply\r\n",
        b"verbosity 0 0\r\n", b"verbosity 0 0 0\r\n", b"verbosity 0 0 0 noreply\r\n",
        b"verbosity 99999999999\r\nverbosity 0\r\n", b"verbosity 4294967296\r\nverbosity 0\r\n")
    own("flush-bad", b"flush_all abc\r\n", b"flush_all 1x\r\n", b"flush_all abc noreply\r\n", b"flush_all -x\r\n",
        b"flush_all 1.5\r\n")
    own("memlimit", b"cache_memlimit \r\n", b"cache_memlimit 0\r\n", b"cache_memlimit 7\r\n",
        b"cache_memlimit -1\r\n", b"cache_memlimit 1x\r\n", b"cache_memlimit 512m\r\n",
        b"cache_memlimit abc noreply\r\n", b"cache_memlimit 7 noreply\r\n", b"cache_memlimit 512 512 noreply\r\n",
        b"cache_memlimit 1000000001\r\n", b"cache_memlimit 99999999999\r\n", b"cache_memlimit 512 extra\r\n")
    own("memlimit-wrap", b"cache_memlimit 4294967296\r\n", b"cache_memlimit 4294967552\r\ncache_memlimit 1024\r\n")
    own("unknown", b"bogus\r\n", b"GET @\r\n", b"Set @ 0 0 4" + data, b"bogus noreply\r\n", b"bogus @ 0 0 noreply\r\n",
        b"getx @\r\n", b"ge @\r\n", b"gett @\r\n", b"versionx\r\n", b"gets\t@\r\n", b"get\t@\r\n", b"quitx\r\n",
        b"flush_allx\r\n", b"increment @ 1\r\n", b"deletee @\r\n", b"del @\r\n", b"touchy @ 0\r\n", b"ca @ 0\r\n",
        b"\xff\xfe\xfd\xfc\r\n", b"\x1b[2J\r\n", b"casx @ 0 0 4 5" + data, b"bogus" + b" x" * 40 + b"\r\n",
        b"bogus" + b" x" * 40 + b" noreply\r\n", b"set\t@\t0\t0\t4" + data, 
        b"....\r\n", b"get@\r\n", b"\x7f\x7f\x7f\x7f @\r\n")
    fresh("too-many-tokens", b"set @ 0 0 4" + b" x" * 30 + data, b"incr @ 1" + b" x" * 30 + b"\r\n",
          b"touch @ 0" + b" x" * 30 + b"\r\n")
    fresh("leading-space", b" get @\r\n", b"  gets @\r\n", b" set @ 0 0 4" + data, b"   delete @\r\n",
          b" incr @ 1\r\n", b" touch @ 0 noreply\r\n", b" gat 0 @\r\n", b" bogus\r\n", b" \tget @\r\n",
          b" verbosity 0\r\n", b" cas @ 0 0 4 5" + data, b" delete @ noreply\r\n", b" set @ 0 0 4 noreply" + data)
    fresh("control", b"get @\r\r\n", b"get \r\r\n", b"get @\rx\r\n", b"get @\x01\x02\r\n", b"delete @\x7f\r\n",
          b"get \t@\r\n", b"touch @\x08 0\r\n", b"set @\x01 0 0 2\r\nzz\r\nget @\x01\r\n", b"incr @\r 1\r\n")
    fresh("cr-in-number", b"set @ 0 0 4\r" + data, b"incr @ 1\r\r\n", b"touch @ 0\r\r\n", b"set @ 0 0 4 noreply\r" + data,
          b"delete @ 0\r\r\n")
    fresh("nul", b"get @\0x\r\n", b"set @\0x 0 0 4" + data, b"incr @ 1\0\r\n", b"incr @ 1\x001\r\n", b"get \0\r\n",
          b"\0get @\r\n", b"set @ 0 0 4\0" + data, b"delete @\0\r\n", b"\0\r\n", b"bogus\0noreply\r\n", b"touch @ 0\0\r\n",
          b"gat 0 @\0\r\n", b"gat 0\0 @\r\n")
    return made
