r"""The meta protocol for the differential test, mixed with classic commands on the same keys.

Offers the driver what text.py does, and its own rules: EXPECTED, explain().

A reply that may be missing carries an opaque of its own, by which it is known.  Lifetimes are so long, and so far
apart, that the time left tells which one it was, however long the run takes.  What 1.6.18 does not know, or what leaves
another state behind there, is asked on fresh keys, and the whole answer of larder stands beside it.
"""

import base64
import re

from differential_parts import rules, text
from differential_parts.text import LINE, LONE, NONE, REST, VALUES, Broken, Command
from differential_parts.text import (  # noqa: F401  (the driver's)
    FLUSH, LONE_END, LONE_PER_COMMANDS, SENTINEL, SENTINEL_REPLY, carry_ids, delete_of, lone_pieces, of_key, shorten,
    swallows_sentinel,
)

META = 100  # one reply: a line, and behind VA a value
META_QUIET = 101  # the same, or none

LIFETIMES = (10000, 20000, 40000, 80000, 2592000)  # seconds
RECACHE = (b"0", b"5000", b"15000", b"30000", b"60000", b"1000000", b"-1")
TIME_FLAG = re.compile(rb" t(\d+)")
IDLE_FLAG = re.compile(rb" l\d+")
ID_FLAG = re.compile(rb" c(\d+)")
KEY_FLAG = re.compile(rb" k(\S+) b(?= |\r)")
ME_REPLY = re.compile(rb"^ME (\S+) exp=\S+ la=\d+ cas=\d+ (fetch=\w+) cls=\d+ size=\d+\r\n$")
BINARY_KEYS = 40
LONG_SHARE = 0.004
CLASSIC_SHARE = 0.25

NEVER_ID = b"C%d" % ((1 << 64) - 1)
BAD_LINE = b"CLIENT_ERROR bad command line format\r\n"
BAD_TOKEN = b"CLIENT_ERROR bad token in command line format\r\n"
BAD_KEY = b"CLIENT_ERROR error decoding key\r\n"
BAD_FLAG = b"CLIENT_ERROR invalid flag\r\n"
TWICE = b"CLIENT_ERROR duplicate flag\r\n"
TOO_MANY = b"CLIENT_ERROR options flags are too long\r\n"
BAD_OPAQUE = b"CLIENT_ERROR opaque token too long\r\n"
BAD_MS_MODE = b"CLIENT_ERROR invalid mode for ms M token\r\n"
MA_OR_MD = b"CLIENT_ERROR invalid or duplicate flag\r\n"
NO_NUMBER = b"CLIENT_ERROR cannot increment or decrement non-numeric value\r\n"
TOO_LARGE = b"SERVER_ERROR object too large for cache\r\n"


class MetaCommand(Command):
    """`answer`: what larder says, where `rule` is why memcached may not."""

    __slots__ = ("rule", "answer", "tag")

    def __init__(self, *args, rule=None, answer=None, tag=None, **named):
        super().__init__(*args, **named)
        self.rule = rule
        self.answer = answer
        self.tag = tag


# -- cutting ------------------------------------------------------------------------------------------


def keys_read(command):
    if command.frame in (META, META_QUIET):
        return (command.key,) if command.kind == "mg" else ()
    return text.keys_read(command)


def needs_group(command, read):
    return text.needs_group(command, read) or (command.kind == "ma" and command.key in read)


def split(commands, stream):
    """As text.split()."""
    replies = []
    at = 0
    for command in commands:
        start = at
        if command.frame not in (META, META_QUIET):
            end = len(stream) if command.frame in (REST, LONE) else _classic_end(command, stream, at)
            if end is None:
                raise Broken("a reply is missing, or is none", replies, stream[start:])
        else:
            end = stream.find(b"\r\n", at) + 2
            head = stream[at:end]
            if command.frame == META_QUIET and command.tag not in head[:-2].split(b" "):
                replies.append(b"")
                continue
            if end < 2:
                raise Broken("a reply is missing", replies, stream[start:])
            if head.startswith(b"VA "):
                size = head[3:-2].split(b" ")[0]
                if not size.isdigit():
                    raise Broken("a VA line that is none", replies, stream[start:])
                end += int(size) + 2
        at = end
        replies.append(stream[start:at])
    if at < len(stream):
        raise Broken("more replies than commands", replies, stream[at:])
    return replies


def _classic_end(command, stream, at):
    if command.frame == NONE:
        return at
    if command.frame == VALUES:
        while stream.startswith(b"VALUE ", at):
            end = stream.find(b"\r\n", at)
            words = stream[at:end].split(b" ")
            if end < 0 or len(words) < 4 or not words[3].isdigit():
                return None
            at = end + 2 + int(words[3]) + 2
    end = stream.find(b"\r\n", at)
    return end + 2 if end >= 0 else None


def _lifetime(match):
    left = int(match[1])
    return b" t<%d>" % next((life for life in LIFETIMES if left <= life), left)


def normalise(command, reply):
    """Takes out CAS ids, and what depends on the second in which a command is run."""
    if command.frame not in (META, META_QUIET):
        # Of an item's state the key alone: meta commands change and show more of it than the classic ones.
        shown, ids = text.normalise(command, reply)
        return shown, [(key, cas, key) for key, cas, _ in ids]
    if reply.startswith(b"ME "):
        return ME_REPLY.sub(rb"ME \1 \2\r\n", reply), ()
    end = reply.find(b"\r\n")
    head = IDLE_FLAG.sub(b" l<idle>", TIME_FLAG.sub(_lifetime, reply[:end]))
    found = ID_FLAG.search(head)
    if found is None or int(found[1]) == 0:
        return head + reply[end:], ()
    return ID_FLAG.sub(b" c<id>", head) + reply[end:], [(command.key, int(found[1]), command.key)]


# -- making -------------------------------------------------------------------------------------------


def _letters_only(data):
    return not set(data) & set(b"Mm")


class Generator(text.Generator):
    """Makes the command stream of one seed."""

    def __init__(self, rng, now, chance=True):
        super().__init__(rng, now, chance)
        self.tags = 0
        binary = (bytes(rng.choices(range(1, 256), k=rng.randrange(1, 60))) for _ in range(10000))
        usable = (key for key in binary if _letters_only(key + base64.b64encode(key)) and not set(key) & set(b" \r\n"))
        self.binary_keys = [next(usable) for _ in range(BINARY_KEYS)]
        self.rows = []
        self.meta_makers = (self.mg, self.ms, self.ma, self.md, self.me, self.row, self.random_flags)
        self.meta_weights = (40, 26, 14, 8, 1, 5, 4)
        self.classic = (self.get, self.gets, self.gat, self.set, self.cas, self.append, self.delete, self.arith,
                        self.touch)

    def next(self, progress):
        rng = self.rng
        if rng.random() < CLASSIC_SHARE:
            return rng.choice(self.classic)()
        return rng.choices(self.meta_makers, self.meta_weights)[0]()

    # parts

    def exptime(self):
        return b"%d" % self.rng.choice((0, 0, 0, -1) + LIFETIMES)

    def lifetime(self):
        return b"%d" % self.rng.choice((0, *LIFETIMES))

    def some(self, *flags, share=0.3):
        picked = [flag for flag in flags if self.rng.random() < share]
        self.rng.shuffle(picked)
        return picked

    def target(self):
        """(key, its word, flags that it needs)"""
        if self.rng.random() < 0.08:
            key = self.rng.choice(self.binary_keys)
            return key, base64.b64encode(key), [b"b"]
        key = self.key()
        return key, key, []

    def finish(self, kind, key, head, flags, binary, data=b"", quiet_lines=False):
        """Puts the flags behind the head, in any order.  `quiet_lines`: with q an error may come that has no opaque."""
        rng = self.rng
        if binary and b"k" in flags and b"c" in flags:
            flags.remove(b"c")  # the rule for such keys does not look at ids
        frame = META
        tag = None
        if b"q" in flags:
            self.tags += 1
            tag = b"Oq%d" % self.tags  # no other opaque is the same
            flags = [flag for flag in flags if not flag.startswith(b"O")] + [tag]
            frame = REST if quiet_lines else META_QUIET
        flags = flags + binary
        rng.shuffle(flags)
        cas = next((flag for flag in flags if flag in (b"Clast", b"Cnext")), None)
        line = b" ".join([head] + flags)
        if cas is None:
            return MetaCommand(kind, key, line + b"\r\n" + data, frame, tag=tag)
        before, after = line.split(b" " + cas, 1)
        return MetaCommand(kind, key, before + b" C", frame, tail=after + b"\r\n" + data, cas=cas[1:].decode(), tag=tag)

    def id_flag(self, share):
        pick = self.rng.random()
        # No small number: it may be the id of an early item of one of the two.
        return [] if pick > share else [self.rng.choice((b"Clast", b"Clast", b"Clast", b"Cnext", b"C0", NEVER_ID))]

    # commands

    def mg(self):
        key, word, binary = self.target()
        flags = self.some(b"s", b"t", b"c", b"f", b"h", b"l", b"k", b"O%d" % self.rng.randrange(1000))
        if self.rng.random() < 0.7:
            flags.append(b"v")
        flags += self.some(b"q", b"u", share=0.15)
        flags += self.some(b"N" + self.lifetime(), b"R" + self.rng.choice(RECACHE), b"T" + self.lifetime(), share=0.12)
        flags += self.some(b"P", b"Lx", share=0.02)
        return self.finish("mg", key, b"mg " + word, flags, binary)

    def ms(self):
        rng = self.rng
        key, word, binary = self.target()
        value = self.value()
        if not value.strip():
            value = b"x" * len(value)  # as in text.py: nobody knows what number blanks are
        if rng.random() < LONG_SHARE:
            size = rng.randrange(20000, 300000)
            value = self.huge[:size]
        if key in self.number_keys:
            value = b"%d" % rng.randrange(1 << rng.randrange(1, 62)) if rng.random() < 0.6 else value[:100]
        flags = self.some(b"k", b"O%d" % rng.randrange(1000), share=0.2)
        flags += self.some(b"q", b"I", b"T" + self.exptime(), b"F%d" % rng.randrange(1 << 32), share=0.15)
        mode = rng.choice((b"", b"", b"", b"MS", b"ME", b"MA", b"MP", b"MR"))
        # What is counted with stays short, and else begins with a letter, as in text.py.
        # Nor do numbers grow by digits: 1.6.18 misreads some from 2^63 up, see rules.number_from_2_63(); ROWS has small ones.
        if key in self.number_keys:
            value = (b"x" if mode in (b"MA", b"MP") else b"") + value[:99]
        elif mode in (b"MA", b"MP"):
            value = b"x" + value
        elif value:
            value = b"x" + value[1:]
        if mode:
            flags.append(mode)
        flags += self.id_flag(0.3 if mode in (b"", b"MS", b"MR") else 0.1)
        if rng.random() < 0.3:
            flags.append(b"c")
        return self.finish("ms", key, b"ms %s %d" % (word, len(value)), flags, binary, value + b"\r\n")

    def ma(self):
        """Without T, which 1.6.18 forgets when the number becomes longer; ROWS has it."""
        rng = self.rng
        key, word, binary = self.target()
        if not binary and rng.random() < 0.8:
            key = word = rng.choice(self.number_keys)
        flags = self.some(b"k", b"O%d" % rng.randrange(1000), b"c", share=0.2)
        flags += self.some(b"t", b"v", share=0.4)
        if rng.random() < 0.1 and b"v" not in flags:
            flags.append(b"q")
        flags += self.some(b"N" + self.lifetime(), b"J%d" % rng.randrange(1000),
                           b"D%d" % rng.randrange(1 << rng.randrange(1, 60)),
                           b"M" + rng.choice((b"I", b"+", b"D", b"-")), share=0.25)
        flags += self.id_flag(0.1)
        return self.finish("ma", key, b"ma " + word, flags, binary, quiet_lines=True)

    def md(self):
        key, word, binary = self.target()
        flags = self.some(b"k", b"O%d" % self.rng.randrange(1000), share=0.3)
        flags += self.some(b"q", share=0.15) + self.some(b"I", b"T" + self.lifetime(), share=0.4) + self.id_flag(0.3)
        return self.finish("md", key, b"md " + word, flags, binary)

    def me(self):
        return MetaCommand("me", None, b"me nokey%d\r\n" % self.rng.randrange(9), META)

    # lines with errors, and what 1.6.18 does not know

    def row(self):
        if not self.rows:
            self.rows = self.rng.sample(ROWS, len(ROWS))
        rule, lines, answer = self.rows.pop()
        key = self.fresh_key()
        return MetaCommand("bad:" + (rule or "meta"), key, lines.replace(b"@", key), REST, rule=rule,
                           answer=answer.replace(b"@", key))

    def random_flags(self):
        """Any letters and tokens: which of several errors is told.  Nothing that 1.6.18 would take for another flag."""
        rng = self.rng
        word = rng.choice((b"mg", b"ms", b"ma", b"md"))
        letters = b"bcfhklqstuvNRTCDJIPLaegijnoprwyzABGHKQSUVWXYZ"
        flags = []
        for _ in range(rng.choice((1, 2, 3, 5, 17, 18, 19, 25))):
            letter = bytes([rng.choice(letters)])
            token = rng.choice((b"", b"", b"", b"5", b"0", b"-1", b"abc", b"1x", b"99999999999"))
            flags.append(letter + token)
        flags.append(rng.choice((b"zz", b"a", b"v v", b"Tx", b"C-1")))  # never a line without an error
        key = self.fresh_key()
        size = b" 4" if word == b"ms" else b""
        data = b"zzzz\r\n" if word == b"ms" else b""
        raw = word + b" " + key + size + b" " + b" ".join(flags) + b"\r\n" + data
        return MetaCommand("bad:random-flags", key, raw, REST)


# -- what is meant to differ ------------------------------------------------------------------------------

# Rule or None where there is no difference, lines on a fresh key, larder's answer.
_O31 = b"0123456789012345678901234567890"
_SET = b"ms @ 2 F5 T40000\r\nab\r\n"
_BIG = b"z" * 1100000
ROWS = (
    # too few words
    ("missing arguments", b"mg\r\nmg \r\nms\r\nmd \r\nma\r\n", BAD_LINE * 5),
    (None, b"ms @\r\nms @ x\r\nms @ -1\r\nms @ S2\r\nms @ 2147483647\r\nms @ 2147483648\r\nms @ 1.0\r\n", BAD_LINE * 7),
    # errors of flags
    (None, b"mg @ z\r\nmg @ vv v\r\nmg @ v v\r\nmg @ \x80\r\nmg @ Tx\r\nmg @ T\r\nmg @ Cx\r\nmg @ N-x\r\n",
     BAD_FLAG + TWICE * 3 + BAD_TOKEN * 4),
    (None, b"mg a* b\r\nmg a b c\r\n", BAD_KEY * 2),
    (None, b"mg @ O" + _O31 + b"\r\nmg @ O" + _O31 + b"x\r\nms @ 2 O" + _O31 + b"x\r\nab\r\n",
     b"EN O" + _O31 + b"\r\n" + BAD_OPAQUE * 2),
    (None, b"ms @ 2 Fx\r\nab\r\nms @ 2 MX\r\nab\r\nms @ 2 Tx\r\nab\r\nmg @\r\n", BAD_LINE + BAD_MS_MODE + BAD_TOKEN + b"EN\r\n"),
    (None, b"ma @ Mx\r\nma @ Dx\r\nma @ Jx\r\nma @ D-1\r\nma @ v v\r\nma @ z\r\n",
     b"CLIENT_ERROR invalid mode for ma M token\r\n" + MA_OR_MD * 5),
    (None, b"mg @" + b" s" * 30 + b"\r\n", TOO_MANY),
    ("letter of a flag", b"mg @ !\r\nmg @ 5\r\nmg @ ~\r\n", BAD_LINE * 3),
    ("letter of a flag", b"ms @ 2 !\r\nab\r\n", BAD_LINE),
    ("errors of md", b"md @ z\r\nmd @ Tx\r\nmd @ k k\r\nmd a* b\r\n", BAD_FLAG + BAD_TOKEN + TWICE + BAD_KEY),
    ("length of the M token", b"ms @ 2 M\r\nab\r\n", BAD_MS_MODE),
    ("length of the M token", b"ms @ 2 Mset\r\nab\r\n", BAD_MS_MODE),
    ("length of the M token", b"ms @ 2 MSet\r\nab\r\nms @ 1 MAppend\r\nc\r\nmg @ v\r\n", b"HD\r\nHD\r\nVA 3\r\nabc\r\n"),
    ("client flags above 32 bit", b"ms @ 2 F4294967296\r\nab\r\nmg @\r\n", BAD_LINE + b"EN\r\n"),
    ("opaque of ma", b"ms @ 1\r\n5\r\nma @ O" + _O31 + b"x\r\nmg @ v\r\n", b"HD\r\n" + BAD_OPAQUE + b"VA 1\r\n5\r\n"),
    # data blocks
    (None, b"ms @ 2\r\nabcdef\r\n", b"CLIENT_ERROR bad data chunk\r\nERROR\r\n"),
    (None, b"ms @ 2 q\r\nab\nxxxxx\r\n", b"CLIENT_ERROR bad data chunk\r\nERROR\r\n"),
    # quiet
    ("ma with q and v", b"ms @ 1\r\n5\r\nma @ q v\r\nmg @ v\r\n", b"HD\r\nVA 1\r\n6\r\n"),
    ("ma with q and v", b"ma @ N0 J7 q v\r\nmg @ v\r\n", b"VA 1\r\n7\r\n"),
    (None, b"ma @ q v\r\nms @ 1\r\nx\r\nma @ q v\r\n", b"NF\r\nHD\r\n" + NO_NUMBER),
    # numbers
    (None, b"ms @ 1\r\n5\r\nms @ 1 MA\r\n7\r\nms @ 1 MP\r\n1\r\nma @ v\r\n", b"HD\r\nHD\r\nHD\r\nVA 3\r\n158\r\n"),
    # time
    ("time left of what is over", b"ma @ N30 v\r\nma @ T-1 v t\r\nmg @\r\n", b"VA 1\r\n0\r\nVA 1 t-1\r\n1\r\nEN\r\n"),
    ("time left of what is over", b"ms @ 1\r\nx\r\nmg @ T-1 t\r\nmg @\r\n", b"HD\r\nHD t-1\r\nEN\r\n"),
    (None, b"mg @ t N40000\r\n", b"HD t-1 W\r\n"),
    (None, b"ms @ 1\r\nx\r\nmg @ R40000 T20000\r\nmg @ T80000 R40000\r\nmg @ T20000 R40000\r\nmg @ R1\r\n",
     b"HD\r\nHD\r\nHD\r\nHD W\r\nHD Z\r\n"),
    (None, b"ms @ 1 T-1\r\nx\r\nmg @ v\r\nms @ 1 ME\r\ny\r\nmg @ v\r\n", b"HD\r\nEN\r\nHD\r\nVA 1\r\ny\r\n"),
    (None, b"ma @ N40000 T20000 t\r\nma @ t T10000\r\nma @ T80000 t\r\nmg @ t R1\r\n",
     b"HD t20000\r\nHD t20000\r\nHD t80000\r\nHD t80000\r\n"),
    # what 1.6.18 does not know
    ("own ids", b"ms @ 2 E99\r\nab\r\nmg @ c\r\nms @ 2 C99 E100\r\ncd\r\nmg @ c v\r\nmd @ C99\r\nmd @ C100 E5 I\r\nmg @ c v\r\n",
     b"HD\r\nHD c99\r\nHD\r\nVA 2 c100\r\ncd\r\nEX\r\nHD\r\nVA 2 c5 X W\r\ncd\r\n"),
    ("own ids", b"mg @ N0 E7 c\r\nma @ N0 E9 c\r\ndelete @\r\nma @ N0 E9 c\r\nma @ C9 E11 c v\r\n",
     b"HD c7 W\r\n" + NO_NUMBER + b"DELETED\r\nHD c9\r\nVA 1 c11\r\n1\r\n"),
    ("tombstones", _SET + b"md @ x\r\nmg @ s f t v\r\n", b"HD\r\nHD\r\nVA 0 s0 f0 t-1\r\n\r\n"),
    ("tombstones", _SET + b"md @ x I\r\nmg @ s f v\r\nmg @ s v\r\nms @ 1\r\nz\r\nmg @ v\r\n",
     b"HD\r\nHD\r\nVA 0 s0 f0 X W\r\n\r\nVA 0 s0 Z X\r\n\r\nHD\r\nVA 1\r\nz\r\n"),
    ("fetch by id", b"ms @ 2\r\nab\r\nmg @ v " + NEVER_ID + b"\r\nms @ 2 E77\r\ncd\r\nmg @ v C77\r\nmg @ v C78\r\n",
     b"HD\r\nVA 2\r\nab\r\nHD\r\nHD\r\nVA 2\r\ncd\r\n"),
    ("append that creates", b"ms @ 2 MA\r\nab\r\nms @ 2 MA N0 T5 F3\r\nab\r\nms @ 2 MP N0 s\r\ncd\r\nmg @ v t f\r\n",
     b"NS\r\nHD\r\nHD s4\r\nVA 4 t-1 f3\r\ncdab\r\n"),
    ("size of ms", b"ms @ 2 s\r\nab\r\nms @ 2 MA s O1\r\ncd\r\nms @ 9 ME s\r\n123456789\r\n",
     b"HD s2\r\nHD s4 O1\r\nNS s9\r\n"),
    ("a value that is too large", b"ms @ 2\r\nab\r\nms @ 1100000 ME\r\n" + _BIG + b"\r\nmg @ v\r\n",
     b"HD\r\n" + TOO_LARGE + b"VA 2\r\nab\r\n"),
    (None, b"ms @ 2\r\nab\r\nms @ 1100000 q\r\n" + _BIG + b"\r\nmg @ v\r\n", b"HD\r\n" + TOO_LARGE + b"EN\r\n"),
)

_TEXTS = (BAD_LINE, BAD_TOKEN, BAD_KEY, BAD_FLAG, TWICE, TOO_MANY)


def _row(name):
    return lambda command, old, new: getattr(command, "rule", None) == name and new == command.answer


def flag_errors(command, old, new):
    """md has texts of its own; of random flags it matters that both refuse the line."""
    return (command.kind == "bad:random-flags" and command.raw.startswith(b"md ") and new in _TEXTS
            and old in (MA_OR_MD, b"CLIENT_ERROR options flags too long\r\n"))


def too_many_words(command, old, new):
    """1.6.18 counts one word less for mg, and has another text, and swallows no data, for the others."""
    return (command.kind == "bad:random-flags" and len(command.raw.split()) >= 19
            and old in (TOO_MANY, b"CLIENT_ERROR options flags too long\r\n",
                        b"CLIENT_ERROR options flags too long\r\nERROR\r\n")
            and new in _TEXTS + (MA_OR_MD,))


def quiet_creation(command, old, new):
    """1.6.18 tells the number that ma has created although q asks it not to."""
    return (command.kind == "ma" and b" q" in command.raw + command.tail and b" N" in command.raw + command.tail
            and old.startswith(b"HD") and new == b"")


def binary_key(command, old, new):
    """1.6.18 forgets that the key of a number or of an item that mg made was given in base64; larder tells it so."""
    if command.frame not in (META, META_QUIET) or b" k" not in new:
        return False
    texts = []
    for reply in (old, new):
        reply = normalise(command, reply)[0]
        end = reply.find(b"\r\n")
        head = KEY_FLAG.sub(lambda found: b" k" + base64.b64decode(found[1]), reply[: end + 2])
        texts.append(head + reply[end + 2 :])
    return texts[0] == texts[1]


# name, where the contract demands it, predicate(command, old, new)
EXPECTED = tuple(rule for rule in rules.EXPECTED if rule[2] is rules.line_above_16k) + (
    ("missing arguments", "4: missing args", _row("missing arguments")),
    ("letter of a flag", "4: mg with bad character flag", _row("letter of a flag")),
    ("errors of md", "4: md errors", _row("errors of md")),
    ("errors of md, random flags", "4: md errors", flag_errors),
    ("too many words", "1.7: 20 tokens, the text", too_many_words),
    ("ma that creates, with q", "4: ma N+q+v; 1.7: q hides HD and VA", quiet_creation),
    ("length of the M token", "4: ms M token longer than 1 / empty", _row("length of the M token")),
    ("client flags above 32 bit", "4: F > 2^32 wraps", _row("client flags above 32 bit")),
    ("opaque of ma", "1.7: O longer than 31 chars", _row("opaque of ma")),
    ("ma with q and v", "4: ma N+q+v; 1.7: q hides HD and VA", _row("ma with q and v")),
    ("time left of what is over", "1.7: t<sec left>; a defect of the original", _row("time left of what is over")),
    ("key given in base64", "1.7: key kept in binary comes back base64", binary_key),
    ("own ids", "4: E flag, 1.6.27", _row("own ids")),
    ("tombstones", "4: md x, 1.6.27", _row("tombstones")),
    ("fetch by id", "4: mg C, 1.6.40", _row("fetch by id")),
    ("append that creates", "4: ms N, 1.6.20", _row("append that creates")),
    ("size of ms", "4: s flag, 1.6.20", _row("size of ms")),
    ("a value that is too large", "1.2: only set removes the old value; ms removed it in all modes",
     _row("a value that is too large")),
)


def explain(command, old, new):
    """The name of the rule that explains it, or None."""
    if command.frame == LONE:
        return rules.explain(command, old, new)
    for name, _, predicate in EXPECTED:
        if predicate(command, old, new):
            return name
    return None
