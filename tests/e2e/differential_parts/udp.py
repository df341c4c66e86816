"""UDP for the differential test: the commands of text.py, some in each datagram.

A driver of its own, as replies are framed: Differ does here what differential.py's does for connections.  Of both
servers each datagram's frame is checked; of larder, that each command's reply is one set of datagrams.  memcached
1.6.18 gives each item of a get a set of its own, and empty datagrams "0 of 0" for keys that miss: what the sets join to
is compared.  What 1.6.18 carries over from one datagram to the next is left to tests/e2e/test_udp.py.
"""

import collections
import random
import socket
import struct
import time

from differential_parts import rules, text

FRAME = struct.Struct(">HHHH")
REQUEST_MAX = 60000  # bytes of commands in a datagram
COMMANDS_MAX = 40
REPLY_ONE_SET_MAX = 100000  # bytes; larder may send a longer reply in several
TIMEOUT_S = 10
FRAMES = (text.LINE, text.VALUES, text.NONE)
WITH_IDS = ("gets", "gats", "cas")  # their ids differ


class Bad(Exception):
    """Datagrams that are no reply."""


class Peer:
    def __init__(self, name, address):
        self.name = name
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 << 20)
        self.socket.settimeout(TIMEOUT_S)
        self.socket.connect(address)
        self.id = 0

    def ask(self, commands):
        """The sets that answer a datagram, less the sentinel's."""
        self.id = (self.id + 1) & 0xFFFF
        self.socket.send(FRAME.pack(self.id, 0, 1, 0) + commands + text.SENTINEL)
        sets = []
        while not sets or sets[-1] != text.SENTINEL_REPLY:
            part = self._set()
            if part:
                sets.append(part)
        return sets[:-1]

    def _set(self):
        parts = []
        while True:
            try:
                datagram = self.socket.recv(1 << 16)
            except OSError as error:
                raise Bad(f"{error} after {parts!r}"[:400]) from None
            request_id, sequence, total, reserved = FRAME.unpack_from(datagram)
            if request_id != self.id:
                continue  # of a datagram that went wrong before
            if total == 0 and len(datagram) == FRAME.size:
                return b""
            last = sequence + 1 == total
            if reserved != 0 or sequence != len(parts) or sequence >= total or len(datagram) > 1400:
                raise Bad(f"a wrong frame: {datagram[:60]!r}")
            if not last and len(datagram) != 1400:
                raise Bad(f"a datagram that is not full: {datagram[:60]!r}")
            parts.append(datagram[FRAME.size :])
            if last:
                return b"".join(parts)


class Differ:
    """One run; offers what differential.py's does."""

    def __init__(self, old, new, options, protocol="udp", commands=None):
        self.name = protocol
        self.options = options
        self.commands = options.commands if commands is None else commands
        self.peers = (Peer(old.name, old.address), Peer(new.name, new.address))
        self.rng = random.Random(options.seed)
        self.generator = text.Generator(self.rng, int(time.time()), options.chance)
        self.expected = collections.Counter()
        self.passed = self.failed = self.seq = 0

    def run(self):
        try:
            pending = self.next()
            while self.seq <= self.commands and self.failed < self.options.failures:
                group, pending = self.gather(pending)
                self.exchange(group)
        finally:
            for peer in self.peers:
                peer.socket.close()

    def next(self):
        while True:
            command = self.generator.next(min(1.0, self.seq / self.commands))
            if command.frame in FRAMES and command.cas is None and command.kind not in WITH_IDS:
                if len(command.raw) <= REQUEST_MAX:
                    self.seq += 1
                    return command

    def gather(self, command):
        """The commands of one datagram, and the first of the next."""
        group, size, read = [], 0, set()
        depth = self.rng.randrange(1, COMMANDS_MAX) if self.rng.random() < 0.7 else 1
        while not group or (
            len(group) < depth and size + len(command.raw) <= REQUEST_MAX and not text.needs_group(command, read)
        ):
            group.append(command)
            size += len(command.raw)
            read.update(text.keys_read(command))
            command = self.next()
        return group, command

    def exchange(self, group):
        data = b"".join(command.raw for command in group)
        answers, problems = [], []
        for peer in self.peers:
            try:
                sets = peer.ask(data)
                answers.append((sets, text.split(group, b"".join(sets))))
            except Bad as bad:
                problems.append(f"{peer.name}: {bad}")
            except text.Broken as broken:
                problems.append(f"{peer.name}: {broken.args[0]}: {broken.args[2][:300]!r}")
        if problems:
            # The malformed ones are answered differently, and are found one by one.
            if len(group) > 1:
                for command in group:
                    self.exchange([command])
                return
            if self.options.rules and len(answers) == 0 and group[0].kind.startswith("bad"):
                self.passed += 1  # neither is a text reply: compared over TCP
                return
            self.report(group[0], "; ".join(problems), b"", b"")
            return
        for command, old, new in zip(group, answers[0][1], answers[1][1]):
            self.compare(command, old, new)
        if not any(command.kind.startswith("bad") for command in group):
            replies = [reply for reply in answers[1][1] if reply]
            if len(answers[1][0]) != len(replies) and max(map(len, replies), default=0) <= REPLY_ONE_SET_MAX:
                self.report(group[0], f"{len(replies)} replies in {len(answers[1][0])} sets", b"", b"")

    def compare(self, command, old, new):
        if text.normalise(command, old)[0] == text.normalise(command, new)[0]:
            self.passed += 1
            return
        rule = rules.explain(command, old, new) if self.options.rules else None
        if rule is not None:
            self.expected[rule] += 1
            self.passed += 1
            return
        self.report(command, "different replies", old, new)

    def report(self, command, problem, old, new):
        self.failed += 1
        print(f"\nFAILED command {self.seq} over UDP ({command.kind}): {problem}\n  {command.show()}")
        print(f"  {self.peers[0].name}: {text.shorten(old, 600)}\n  {self.peers[1].name}: {text.shorten(new, 600)}")

    def summary(self, seconds):
        print(f"\n{self.name}: explained by a rule:", ", ".join(f"{n} x {name}" for name, n in self.expected.items()) or "none")
        print(f"{self.name}: {self.seq} commands, seed {self.options.seed}, {self.seq / max(seconds, 1e-9):.0f} per second")
        print(f"{self.passed} passed, {self.failed} failed")
