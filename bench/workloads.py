"""The hot commands as bytes, in all three protocols: what bench/count counts and bench/train trains with.

A workload is a name and two functions: one gives the bytes of a round trip, one the reply to expect.  Nothing depends
on time or chance: the keys come from a generator with a fixed seed, a round trip is one send, and the next one
waits until its last reply is read.  So a server does the same work in each run.
"""

import random
import struct

KEYS = 512
VALUE = bytes(97 + i % 26 for i in range(100))
NUMBER = b"1000"
BATCH = 16  # commands of a pipeline, keys of a multiget; below the 20 that servers run before another connection's turn

BINARY_HEADER = struct.Struct(">BBHBBHIIQ")
GET, SET, NOOP = 0x00, 0x01, 0x0A


class Workload:
    """`count` operations per round trip; make(keys) gives (bytes to send, reply)."""

    def __init__(self, name, count, make, keyspace=b"key"):
        self.name = name
        self.count = count
        self.make = make
        self.keyspace = keyspace

    def key(self, index):
        return b"%s-%012d" % (self.keyspace, index)


def each(request, reply):
    """A pipeline: for each key one command and its reply, from templates with %s for the key."""

    def make(keys):
        return (
            b"".join(request.replace(b"%s", key) for key in keys),
            b"".join(reply.replace(b"%s", key) for key in keys),
        )

    return make


def text_multiget(keys):
    values = b"".join(b"VALUE %s 0 %d\r\n%s\r\n" % (key, len(VALUE), VALUE) for key in keys)
    return b"get " + b" ".join(keys) + b"\r\n", values + b"END\r\n"


def binary_request(opcode, key, extras=b"", value=b""):
    body = len(extras) + len(key) + len(value)
    return BINARY_HEADER.pack(0x80, opcode, len(key), len(extras), 0, 0, body, 0, 0) + extras + key + value


def binary_reply(opcode, extras=b"", value=b""):
    return BINARY_HEADER.pack(0x81, opcode, 0, len(extras), 0, 0, len(extras) + len(value), 0, 0) + extras + value


def binary_get(keys):
    return b"".join(binary_request(GET, key) for key in keys), binary_reply(GET, bytes(4), VALUE) * len(keys)


def binary_set(keys):
    return b"".join(binary_request(SET, key, bytes(8), VALUE) for key in keys), binary_reply(SET) * len(keys)


def binary_noop(keys):
    return binary_request(NOOP, b"") * len(keys), binary_reply(NOOP) * len(keys)


def without_cas(reply):
    """Replies of the binary protocol with the CAS ids, which differ, set to 0."""
    seen, at = bytearray(reply), 0
    while at + BINARY_HEADER.size <= len(seen):
        body = BINARY_HEADER.unpack_from(seen, at)[6]
        seen[at + 16 : at + 24] = bytes(8)
        at += BINARY_HEADER.size + body
    return bytes(seen)


TEXT_VALUE = b"VALUE %%s 0 %d\r\n%s\r\n" % (len(VALUE), VALUE)
TEXT_GET = each(b"get %s\r\n", TEXT_VALUE + b"END\r\n")
TEXT_SET = each(b"set %%s 0 0 %d\r\n%s\r\n" % (len(VALUE), VALUE), b"STORED\r\n")
META_VALUE = b"VA %d\r\n%s\r\n" % (len(VALUE), VALUE)
META_GET = each(b"mg %s v\r\n", META_VALUE)
META_SET = each(b"ms %%s %d\r\n%s\r\n" % (len(VALUE), VALUE), b"HD\r\n")

FILL = Workload("fill", BATCH, TEXT_SET)
FILL_NUMBERS = Workload("fill numbers", BATCH, each(b"set %%s 0 0 %d\r\n%s\r\n" % (len(NUMBER), NUMBER), b"STORED\r\n"), b"num")

# What is counted.  An operation is one key.
COUNTED = [
    Workload("get", 1, TEXT_GET),
    Workload("get, pipeline 16", BATCH, TEXT_GET),
    Workload("get of 16 keys", BATCH, text_multiget),
    Workload("set", 1, TEXT_SET),
    Workload("set, pipeline 16", BATCH, TEXT_SET),
    Workload("mg, pipeline 16", BATCH, META_GET),
    Workload("binary get", 1, binary_get),
    Workload("binary get, pipeline 16", BATCH, binary_get),
]

# What a profile is trained with besides, so that what caches are asked less often is not taken for dead code.
TRAINED = COUNTED + [
    Workload("get of a missing key", BATCH, each(b"get %s\r\n", b"END\r\n"), b"none"),
    Workload("touch", BATCH, each(b"touch %s 0\r\n", b"TOUCHED\r\n")),
    Workload("incr", BATCH, each(b"incr %s 0\r\n", NUMBER + b"\r\n"), b"num"),
    Workload("add", BATCH, each(b"add %s 0 0 1\r\nx\r\n", b"NOT_STORED\r\n")),
    Workload("set and delete", BATCH, each(b"set %s 0 0 1\r\nx\r\ndelete %s\r\n", b"STORED\r\nDELETED\r\n"), b"gone"),
    Workload("mg", 1, META_GET),
    Workload("mg of a missing key", BATCH, each(b"mg %s v\r\n", b"EN\r\n"), b"none"),
    Workload("mg with flags", BATCH, each(b"mg %s k f t v q\r\n", b"VA %d k%%s f0 t-1\r\n%s\r\n" % (len(VALUE), VALUE))),
    Workload("ms", BATCH, META_SET),
    Workload("md of a missing key", BATCH, each(b"md %s\r\n", b"NF\r\n"), b"none"),
    Workload("ma", BATCH, each(b"ma %s v D0\r\n", b"VA %d\r\n%s\r\n" % (len(NUMBER), NUMBER)), b"num"),
    Workload("binary set", BATCH, binary_set),
    Workload("binary noop", BATCH, binary_noop),
]


def _receive(connection, length):
    parts = []
    while length > 0:
        part = connection.recv(length)
        if not part:
            raise ConnectionError("the server has closed the connection")
        parts.append(part)
        length -= len(part)
    return b"".join(parts)


def _round_trip(connection, name, request, reply):
    connection.sendall(request)
    seen = _receive(connection, len(reply))
    if reply[:1] == b"\x81":
        seen = without_cas(seen)
    if seen != reply:
        raise AssertionError(f"{name}: sent {request[:80]!r}, expected {reply[:80]!r}, received {seen[:80]!r}")


def drive(connection, workload, operations):
    """Does about so many operations over one connection, with keys by chance from a fixed seed; gives how many."""
    chance = random.Random(7)
    rounds = max(1, operations // workload.count)
    for _ in range(rounds):
        keys = [workload.key(chance.randrange(KEYS)) for _ in range(workload.count)]
        _round_trip(connection, workload.name, *workload.make(keys))
    return rounds * workload.count


def fill(connection):
    """Stores every key that the workloads ask for."""
    for workload in (FILL, FILL_NUMBERS):
        for first in range(0, KEYS, BATCH):
            keys = [workload.key(index) for index in range(first, first + BATCH)]
            _round_trip(connection, workload.name, *workload.make(keys))
