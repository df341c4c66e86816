r"""The binary protocol for the differential test.

Offers the driver what text.py does, and its own rules: EXPECTED, explain().

Each request has an opaque of its own, by which its replies are known, so that quiet ones need no sentinel: a reply
that is missing is an empty one.  The sentinel is a NOOP whose opaque has the letters that no key and value has.
Requests that may end the connection are sent alone.
"""

import struct

from differential_parts import text
from differential_parts.text import LONE, REST, Broken, Command
from differential_parts.text import shorten  # noqa: F401  (the driver's)

PACKETS = 200  # all packets with the request's opaque, in a row; or none

HEAD = struct.Struct(">BBHBBHI4sQ")
HEAD_LEN = 24
REQUEST, RESPONSE = 0x80, 0x81
NO_CREATE = 0xFFFFFFFF

SENTINEL = HEAD.pack(REQUEST, 0x0A, 0, 0, 0, 0, 0, b"MmMm", 0)
SENTINEL_REPLY = HEAD.pack(RESPONSE, 0x0A, 0, 0, 0, 0, 0, b"MmMm", 0)
FLUSH = HEAD.pack(REQUEST, 0x08, 0, 0, 0, 0, 0, b"\0\0\0\0", 0)
LONE_PER_COMMANDS = 150
LONE_END = b""
SHOWN_ID = b"\0id\0id\0\0"  # in place of a CAS id that is not 0

OPCODES = {
    "get": 0x00, "set": 0x01, "add": 0x02, "replace": 0x03, "delete": 0x04, "incr": 0x05, "decr": 0x06,
    "flush": 0x08, "getq": 0x09, "noop": 0x0A, "version": 0x0B, "getk": 0x0C, "getkq": 0x0D, "append": 0x0E,
    "prepend": 0x0F, "stat": 0x10, "setq": 0x11, "addq": 0x12, "replaceq": 0x13, "deleteq": 0x14, "incrq": 0x15,
    "decrq": 0x16, "flushq": 0x18, "appendq": 0x19, "prependq": 0x1A, "verbosity": 0x1B, "touch": 0x1C, "gat": 0x1D,
    "gatq": 0x1E, "sasl_list": 0x20, "sasl_auth": 0x21, "sasl_step": 0x22, "gatk": 0x23, "gatkq": 0x24,
}
KINDS = {opcode: kind for kind, opcode in OPCODES.items()}
READS = frozenset(["get", "getq", "getk", "getkq", "gat", "gatq", "gatk", "gatkq"])
ARITH = frozenset(["incr", "incrq", "decr", "decrq"])
UNKNOWN = (0x1B, 0x1F, 0x20, 0x25, 0x26, 0x30, 0x34, 0x3C, 0x3D, 0x40, 0x7F, 0x80, 0x81, 0xFE, 0xFF)
NO_KEY = b"nokey"
DETAILED = ("get", "getq", "getk", "getkq", "set", "setq", "add", "replaceq", "append", "delete", "deleteq", "touch", "gat",
            "gatkq", "incr", "decrq")
SENT_MAX = 3000  # bytes of the body of a lone request
EXTRAS = {opcode: 8 for opcode in (1, 2, 3, 0x11, 0x12, 0x13)}
EXTRAS.update({opcode: 20 for opcode in (5, 6, 0x15, 0x16)})
EXTRAS.update({opcode: 4 for opcode in (0x1C, 0x1D, 0x1E, 0x23, 0x24)})
KEYLESS = (0x07, 0x08, 0x0A, 0x0B, 0x17, 0x18, 0x20)
VALUED = (0x01, 0x02, 0x03, 0x0E, 0x0F, 0x11, 0x12, 0x13, 0x19, 0x1A, 0x21, 0x22)
ELSEWHERE = (0x08, 0x0B, 0x10, 0x18)  # flush, version, stat: compared with more care, where they are right
BODY_MAX = 1 << 30
ERRORS = {0x03: b"Too large.", 0x04: b"Invalid arguments", 0x81: b"Unknown command"}

CLOSED, OPEN, SILENT = b"<closed>", b"<open>", b"<silent>"


class Packet(Command):
    """`tag`: its opaque.  `answer`: what larder has to say to a lone one, if that follows from its lengths.  Where cas
    is not None the id stands between raw and tail."""

    __slots__ = ("tag", "answer")

    def __init__(self, *args, tag=b"", answer=None, **named):
        super().__init__(*args, **named)
        self.tag = tag
        self.answer = answer

    def render(self, last_ids):
        if self.cas is None:
            return self.raw
        known = last_ids.get(self.key, 999999999998)
        return self.raw + struct.pack(">Q", known if self.cas == "last" else known + 1) + self.tail


def request(opcode, tag, key=b"", extras=b"", value=b"", cas=0, body_len=None, key_len=None, extras_len=None,
            magic=REQUEST, data_type=0, vbucket=0):
    """The bytes of a request; the lengths that it tells are the right ones unless given."""
    return HEAD.pack(
        magic, opcode, len(key) if key_len is None else key_len, len(extras) if extras_len is None else extras_len,
        data_type, vbucket, len(extras) + len(key) + len(value) if body_len is None else body_len, tag, cas,
    ) + extras + key + value


# -- cutting ------------------------------------------------------------------------------------------


def of_key(command, key):  # noqa: ARG001
    return command


def delete_of(key):
    return request(OPCODES["delete"], b"\0\0\0\0", key)


def carry_ids(commands):  # noqa: ARG001
    return True


def keys_read(command):
    """A touch, too, holds the item in the original until its answer is out."""
    return (command.key,) if command.kind in READS or command.kind == "touch" else ()


def needs_group(command, read):
    """As in text.py: incr and decr of a value that is still to be sent do not write in place."""
    return command.kind in ARITH and command.key in read


def lone_pieces(command):
    return [command.raw]


def swallows_sentinel(command):
    return command.kind == "lone:lengths"


def split(commands, stream):
    """As text.split()."""
    replies = []
    at = 0
    size = len(stream)
    for command in commands:
        start = at
        if command.frame == REST:
            at = size
        else:
            tag = command.tag
            while stream[at + 12 : at + 16] == tag:
                end = at + HEAD_LEN + int.from_bytes(stream[at + 8 : at + 12], "big")
                if end > size:
                    raise Broken("a packet longer than what came", replies, stream[start:])
                at = end
        replies.append(stream[start:at])
    if at < size:
        raise Broken("a packet with the opaque of no request in its turn", replies, stream[at:])
    return replies


def packets(stream, magic=RESPONSE):
    """(header without its CAS id, the id, body) of each; what is no packet is a last header."""
    found = []
    at = 0
    while at < len(stream):
        end = at + HEAD_LEN + int.from_bytes(stream[at + 8 : at + 12], "big")
        if stream[at] != magic or end > len(stream):
            found.append((stream[at:], 0, b""))
            break
        found.append((stream[at : at + 16], int.from_bytes(stream[at + 16 : at + 24], "big"), stream[at + 24 : end]))
        at = end
    return found


def normalise(command, reply):
    """Takes out CAS ids, and statistics."""
    if not reply or reply[0] != RESPONSE:
        return reply, ()
    if command.frame == PACKETS and command.kind != "stat":
        cas = reply[16:24]
        if cas == b"\0\0\0\0\0\0\0\0":
            return _versionless(command, reply), ()
        state = None
        if command.kind in READS:  # after a change the id stands for a state that the next read shows
            state = reply[24:28] + reply[28 + int.from_bytes(reply[2:4], "big") :]
        return reply[:16] + SHOWN_ID + reply[24:], ((command.key, int.from_bytes(cas, "big"), hash(state) if state else None),)
    if command.kind == "stat":
        return _statistics(command, reply), ()
    if command.kind == "detail":
        return _own_prefix(command, reply), ()
    end = next((end for end in (CLOSED, OPEN, SILENT) if reply.endswith(end)), b"") if command.frame == LONE else b""
    found = packets(reply[: len(reply) - len(end)])
    return b"".join(head + (SHOWN_ID if cas else b"\0" * 8) + body for head, cas, body in found) + end, ()


def _versionless(command, reply):
    numbers = reply[24:].split(b".")
    if command.kind == "version" and len(numbers) == 3 and all(number.isdigit() for number in numbers):
        return reply[:8] + b"....n.n.n"
    return reply


def _statistics(command, reply):
    """Which statistics there are, and of what, is up to the server: their form is not."""
    parts = packets(reply)
    if len(parts) < 2:
        return reply
    end = HEAD.pack(RESPONSE, 0x10, 0, 0, 0, 0, 0, command.tag, 0)[:16]
    if parts[-1] != (end, 0, b""):
        return reply
    for head, cas, body in parts[:-1]:
        name_len = int.from_bytes(head[2:4], "big")
        if head[4:8] != b"\0\0\0\0" or cas != 0 or not 0 < name_len <= len(body):
            return reply
    return b"<statistics>"


def _own_prefix(command, reply):
    """Of a dump the lines of the command's own key: all other lines depend on when else detail was on."""
    found = []
    for head, cas, body in packets(reply):
        if body.startswith(b"detailed"):
            head = head[:8] + b"...." + head[12:]
            lines = body[len("detailed") :].split(b"\r\n")
            body = b"\n".join(sorted(line for line in lines if command.key in line) + lines[-2:])
        found.append(head + (SHOWN_ID if cas else b"\0" * 8) + body)
    return b"".join(found)


# -- making -------------------------------------------------------------------------------------------


class Generator(text.Generator):
    """Makes the request stream of one seed."""

    def __init__(self, rng, now, chance=True):
        super().__init__(rng, now, chance)
        self.tags = 0
        self.rows = []
        self.chance = chance
        self.makers, weights = zip(
            *((self.read, 30), (self.store, 24), (self.number_store, 4), (self.arith, 14), (self.delete, 6),
            (self.join, 8), (self.touch, 4), (self.big, 0.15), (self.admin, 2), (self.stat, 0.2), (self.detail, 0.05), (self.flush, 0.02),
            (self.unknown, 2), (self.row, 3))
        )
        self.sums = [sum(weights[: at + 1]) for at in range(len(weights))]

    def _make_keys(self):
        """Any bytes."""
        rng = self.rng
        odd = bytes(c for c in range(256) if c not in b"Mm")
        keys = [b"k%d" % i for i in range(text.KEYS - 80)]
        keys += [bytes(rng.choices(text.LETTERS, k=size)) for size in (31, 32, 63, 64, 100, 127, 128, 200, 249, 250)]
        keys += [b"\0", b" ", b"\r\n", b"\x80", b"p:a", b"p:b", b"q:a"]
        while len(keys) < text.KEYS:
            key = b"o" + bytes(rng.choices(odd, k=rng.randrange(2, 40)))
            if key not in keys:
                keys.append(key)
        return keys

    def tag(self):
        self.tags += 1
        return struct.pack(">I", self.tags)

    def exptime(self):
        """A lifetime that no run outlasts, or that is over at once."""
        rng = self.rng
        if rng.random() < 0.7:
            return 0
        return rng.choice((1000, 86400, 2592000, self.now + 100000, 2147483647, 2592001, 1000000000))

    def flags(self):
        return self.rng.choice((0, 0, 0, 1, 5, 65536, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF))

    def packet(self, kind, key, extras=b"", value=b"", ids=0.0):
        """`ids`: how often with a CAS id."""
        rng = self.rng
        tag = self.tag()
        cas = rng.choice(("last", "last", "last", "next", 1, 0xFFFFFFFFFFFFFFFF)) if rng.random() < ids else 0
        odd = {"data_type": rng.randrange(256), "vbucket": rng.randrange(65536)} if rng.random() < 0.02 else {}
        if isinstance(cas, int):
            raw = request(OPCODES[kind], tag, key, extras, value, cas=cas, **odd)
            return Packet(kind, key, raw, PACKETS, tag=tag)
        raw = request(OPCODES[kind], tag, key, extras, value, **odd)
        return Packet(kind, key, raw[:16], PACKETS, tail=raw[24:], cas=cas, tag=tag)

    # requests that are right

    def read(self):
        kind = self.rng.choice(("get", "getq", "getk", "getkq"))
        return self.packet(kind, self.key(), ids=0.02)

    def touch(self):
        kind = self.rng.choice(("touch", "gat", "gatq", "gatk", "gatkq"))
        return self.packet(kind, self.key(), struct.pack(">I", self.exptime()), ids=0.02)

    def _store(self, word, key, value):
        if value and not value.strip():
            value = b"x" * len(value)
        extras = struct.pack(">II", self.flags(), self.exptime())
        quiet = "q" if self.rng.random() < 0.4 else ""
        return self.packet(word.decode() + quiet, key, extras, value, ids=0.2)

    def store(self):
        return self._replace(self.rng.choice((b"set", b"set", b"set", b"add", b"replace")))

    number_store = text.Generator.number_set

    def join(self):
        kind = self.rng.choice(("append", "prepend", "appendq", "prependq"))
        key, value = self.key(), self.value()
        return self.packet(kind, key, b"", value[:200] if key in self.number_keys else b"x" + value, ids=0.15)

    def delete(self):
        return self.packet(self.rng.choice(("delete", "deleteq")), self.key(), ids=0.2)

    def arith(self):
        rng = self.rng
        key = rng.choice(self.number_keys) if rng.random() < 0.9 else self.key()
        delta = rng.choice((0, 1, 1, 2, 9, 10, 95, 1000, 1 << 32, rng.randrange(1 << 40)))
        initial = rng.choice((0, 1, 5, 9, 1000, rng.randrange(1 << 62)))
        exptime = rng.choice((0, 0, NO_CREATE, self.exptime()))
        kind = rng.choice(("incr", "decr", "incrq", "decrq"))
        return self.packet(kind, key, struct.pack(">QQI", delta, initial, exptime), ids=0.1)

    def big(self):
        rng = self.rng
        key = rng.choice(self.big_keys)
        if rng.random() < 0.4:
            kind = rng.choice(("get", "getkq", "gat", "gatk"))
            return self.packet(kind, key, b"\0" * EXTRAS.get(OPCODES[kind], 0))
        size = rng.randrange(*rng.choice(((20480, 600000), (600000, text.BIG_MAX), (text.TOO_BIG, 1100000))))
        start = rng.randrange(len(self.huge) - size)
        return self._store(rng.choice((b"set", b"set", b"add", b"replace")), key, self.huge[start : start + size])

    def admin(self):
        return self.packet(self.rng.choice(("noop", "noop", "noop", "version")), b"")

    def stat(self):
        group = self.rng.choice((b"", b"settings", b"items", b"slabs", b"sizes", b"reset", b"conns", b"nothing",
                                 b"detail", b"detail o", b"setting", b"x" * 250, b"\0"))
        return self.packet("stat", group)

    def detail(self):
        """Counts for a prefix of its own.  No prefix that another one begins with: the original takes one for the other."""
        key = self.fresh_key()
        parts = [request(OPCODES["stat"], self.tag(), b"detail on")]
        for _ in range(self.rng.randrange(1, 9)):
            kind = self.rng.choice(DETAILED)
            name = self.rng.choice((key + b":a", key + b":b", key + b":", key))
            parts.append(request(OPCODES[kind], self.tag(), name, b"\0" * EXTRAS.get(OPCODES[kind], 0),
                                 b"x" if OPCODES[kind] in VALUED else b""))
        parts += [request(OPCODES["stat"], self.tag(), b"detail " + word) for word in (b"dump", b"off", b"of", b"Off")]
        return Packet("detail", key, b"".join(parts), REST)

    def flush(self):
        """Far flushes in the first half of a run, immediate ones in the second, as in text.py."""
        extras = self.rng.choice((b"", b"\0\0\0\0") if self.flushing else (
            struct.pack(">I", 100000), struct.pack(">I", 2592000), struct.pack(">I", self.now + 100000)))
        return self.packet(self.rng.choice(("flush", "flushq")), b"", extras)

    def unknown(self):
        tag = self.tag()
        opcode = self.rng.choice(UNKNOWN)
        return Packet("unknown", None, request(opcode, tag), PACKETS, tag=tag)

    # what one of the two may answer otherwise

    def row(self):
        """Requests on a key of their own."""
        if not self.rows:
            self.rows = self.rng.sample(ROWS, len(ROWS))
        name, maker = self.rows.pop()
        key = self.fresh_key()
        return Packet("bad:" + name, key, maker(self, key), REST)

    def lone(self, count):
        return [self.lone_magic() if self.rng.random() < 0.1 else self.lone_lengths() for _ in range(count)]

    def lone_magic(self):
        rng = self.rng
        magic = rng.choice((0x81, 0x00, 0x7F, 0xFF, ord("g"), ord("\r"), rng.randrange(0x80)))
        raw = request(0x0A, self.tag()) + request(rng.choice((0, 1, 9, 0x0A)), self.tag(), b"k1", magic=magic)
        return Packet("lone:magic", None, raw, LONE)

    def lone_lengths(self):
        """Any lengths: right or wrong, with or without the bytes that they promise."""
        rng = self.rng
        opcode = rng.choice((rng.randrange(0x25), rng.randrange(0x25), rng.choice(UNKNOWN)))
        right = EXTRAS.get(opcode, 0)
        extras_len = rng.choice((right, right, right, 0, 1, 4, 7, 8, 9, 20, 21, 255))
        key_len = rng.choice((0, 1, 2, 2, 2, 2, 250, 250, 251, 1000, 65535))
        value_len = rng.choice((0, 0, 0, 1, 5, 300))
        body_len = extras_len + key_len + value_len
        pick = rng.random()
        if pick < 0.1:
            body_len = max(0, body_len - rng.randrange(1, 300))
        elif pick < 0.2:
            body_len = rng.choice((1 << 30, (1 << 30) + 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1 << 24, 2000000))
        before = [self.tag() for _ in range(rng.randrange(3))]
        tag = self.tag()
        raw = b"".join(request(OPCODES["getk"], earlier, NO_KEY) for earlier in before) + request(
            opcode, tag, b"", b"", self.plain[: min(body_len, SENT_MAX)], body_len=body_len, key_len=key_len,
            extras_len=extras_len)
        answer = b"".join(_reply(OPCODES["getk"], earlier, 1, NO_KEY, NO_KEY) for earlier in before)
        told, end = judge(opcode, key_len, extras_len, body_len)
        if end is None and opcode in ELSEWHERE:
            return self.lone_lengths()
        if told is not None:
            answer += _reply(opcode, tag, told, ERRORS[told])
        return Packet("lone:lengths", None, raw, LONE, tag=tag, answer=answer + end if end else None)


def _reply(opcode, tag, status, body, key=b""):
    return HEAD.pack(RESPONSE, opcode, len(key), 0, 0, status, len(body), tag, 0) + body


def judge(opcode, key_len, extras_len, body_len):
    """What the contract, 1.9 and 0.c, demands for these lengths: the status to be told, and what becomes of the
    connection.  (None, None) where that depends on more than the lengths."""
    if key_len + extras_len > body_len:
        return 0x81, CLOSED
    if body_len > BODY_MAX or key_len > 250:
        return 0x04, CLOSED
    if opcode not in KINDS and opcode not in (0x07, 0x17) or opcode == 0x1B:
        return 0x81, OPEN if body_len <= SENT_MAX else SILENT
    value_len = body_len - key_len - extras_len
    if extras_len != EXTRAS.get(opcode, 0) and not (opcode in (0x08, 0x18) and extras_len == 4):
        return 0x04, CLOSED
    if (key_len > 0 if opcode in KEYLESS else key_len == 0 and opcode != 0x10):
        return 0x04, CLOSED
    if value_len > 0 and opcode not in VALUED:
        return 0x04, CLOSED
    if opcode in (0x21, 0x22):
        return 0x81, OPEN if body_len <= SENT_MAX else SILENT
    if value_len >= text.TOO_BIG:
        return 0x03, SILENT
    return None, None


# Requests on a fresh key, which both must answer alike, or as a rule says.


def _asked(gen, key, *steps):
    """Sets "10", then the steps, then gets."""
    parts = [request(OPCODES["set"], gen.tag(), key, b"\0" * 8, b"10")]
    for kind, extras, value in steps:
        parts.append(request(OPCODES.get(kind, kind), gen.tag(), key, extras, value))
    parts.append(request(OPCODES["get"], gen.tag(), key))
    return b"".join(parts)


def _times(seconds):
    extras = struct.pack(">I", seconds)
    return (
        ("time64", lambda gen, key: _asked(gen, key, ("set", b"\0\0\0\5" + extras, b"20"))),
        ("time64", lambda gen, key: _asked(gen, key, ("touch", extras, b""))),
        ("time64", lambda gen, key: _asked(gen, key, ("gat", extras, b""))),
        ("time64", lambda gen, key: _asked(gen, key, ("delete", b"", b""), ("incr", struct.pack(">QQ", 1, 7) + extras, b""))),
    )


def _numbers(value, kind, delta):
    return ("big-number", lambda gen, key: _asked(
        gen, key, ("set", b"\0" * 8, value), (kind, struct.pack(">QQI", delta, 0, 0), b"")))


ROWS = (
    *(("sasl", lambda gen, key, kind=kind: _asked(gen, key, (kind, b"", b"\0user\0secret")))
      for kind in ("sasl_auth", "sasl_step")),
    *(row for seconds in (0x80000000, 0xFFFFFFFE, 0xFFFFFFFF, 0x90000000) for row in _times(seconds)),
    *(_numbers(value, word.decode(), int(delta)) for value, word, delta in text.BIG_NUMBERS),
    ("too-large", lambda gen, key: _asked(gen, key, ("set", b"\0" * 8, gen.huge[: text.TOO_BIG]))),
    ("too-large", lambda gen, key: _asked(gen, key, ("addq", b"\0" * 8, gen.huge[: text.TOO_BIG]))),
    ("too-large", lambda gen, key: _asked(gen, key, ("replace", b"\0" * 8, gen.huge[: text.TOO_BIG]))),
    ("too-large", lambda gen, key: _asked(gen, key, ("append", b"", gen.huge[: text.TOO_BIG]))),
    ("too-large-sum", lambda gen, key: _asked(gen, key, ("set", b"\0" * 8, gen.huge[:600000]),
                                              ("appendq", b"", gen.huge[:600000]), ("set", b"\0" * 8, b"10"))),
)


def _as_told(command, new):
    """CAS ids in both are 0."""
    return command.kind == "lone:lengths" and command.answer is not None and new == command.answer


def unknown_with_body(command, old, new):
    """The original swallows too much of it."""
    return _as_told(command, new) and (new.endswith(OPEN) or new.endswith(SILENT)) and b"Unknown command<" in new


def violation(command, old, new):
    """The original waits for extras and key before it complains, and does not look at the body's length of some."""
    return _as_told(command, new) and new.endswith(CLOSED)


def number_from_2_63(command, old, new):
    """As in rules.py.  What larder says follows from the requests."""
    if command.kind != "bad:big-number" or b"Non-numeric" not in old:
        return False
    requests, replies = packets(command.raw, REQUEST), packets(new)
    text_len, (head, _, arith) = len(requests[1][2]) - 8 - len(command.key), requests[2]
    number = requests[1][2][-text_len:]
    delta = int.from_bytes(arith[:8], "big")
    number = int(number) + delta & (1 << 64) - 1 if head[1] == OPCODES["incr"] else max(0, int(number) - delta)
    value = b"%d" % number
    return (len(replies) == 4 and replies[2][0][6:8] == b"\0\0" and replies[2][2] == struct.pack(">Q", number)
            and replies[3][2][4:] == value + b" " * (text_len - len(value)))


def too_large_at_once(command, old, new):
    """The original keeps the answer back until the value has come."""
    return _as_told(command, new) and new.endswith(b"Too large." + SILENT)


# name, where the contract demands it, predicate(command, old, new)
EXPECTED = (
    ("unknown opcode swallows its body", "0.c", unknown_with_body),
    ("wrong lengths are answered, and close", "1.9: protocol violations", violation),
    ("too large is told at once", "1.9: too large", too_large_at_once),
    ("number from 2^63 up", "1.4: `incr`; a defect of the original", number_from_2_63),
)


def explain(command, old, new):
    """The name of the rule that explains it, or None."""
    for name, _, predicate in EXPECTED:
        if predicate(command, old, new):
            return name
    return None
