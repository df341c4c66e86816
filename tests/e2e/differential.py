#!/usr/bin/env python3
"""Sends the same random commands to memcached and to larder, and compares the replies byte for byte.

    LARDER=build/release/larder tests/e2e/differential.py [--commands N] [--seed N] [--unix] ...

Differences that are meant have a rule with a name (differential_parts/rules.py); the run prints how often each
explained one.  Any other is printed with the shortest list of commands on its key that shows it, and fails.
The last line is `N passed, N failed`; the exit status is 77 where memcached is not installed.

Both servers start with the same arguments and get the same bytes, except for CAS ids: these differ, so a cas
command names "the id seen last for this key", and of the ids in replies it is checked that each stands for one
state of one item, and that it changes with one server when it does with the other.

--protocol says which is spoken; each is a module like differential_parts/text.py.  With all of them, which is the
default, each gets its share of the commands.
"""

import argparse
import collections
import os
import random
import select
import socket
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(HERE, "..", "support"))
from server import EXIT_SKIPPED, TIMEOUT_S, Server, Skip, larder_binary, memcached_binary  # noqa: E402

from differential_parts import binary, meta, rules, text, udp  # noqa: E402

FAILURES_MAX = 20  # then the run stops; --failures
MINIMISED_MAX = 10  # differences that are replayed to find the shortest list
HISTORY = 20000  # commands that are remembered for that
KEYS_SHOWN_MAX = 2  # of a command that names several
REPLAY_MAX = 48  # of these, on one key
PIECES_MAX = 64  # into which one pipeline is cut
# Each protocol: what makes and cuts it, the rules, its share of the commands.
PROTOCOLS = {"text": (text, rules, 0.45), "meta": (meta, meta, 0.3), "binary": (binary, binary, 0.2)}
PROTOCOLS["udp"] = (udp, rules, 0.05)  # text in datagrams; with a Differ of its own
PAUSE_S = 0.0003  # between the pieces of some pipelines, so that the servers do see them one by one
LONE_WAIT_S = 0.1 * (TIMEOUT_S / 10)  # for a server to close, after a piece of a lone command
LONE_PATIENCE = (0.2, 1.0, 5.0)  # times that wait, until no difference is left
GROUP_END_CHANCE = 0.02
# The original's background threads hold references to items now and then, and incr and decr of an item that is
# referenced answer alike but leave a value of another length.
SERVER_ARGS = "-m 1024 -t 2 -o no_lru_maintainer,no_lru_crawler"


class Silent(Exception):
    """A server did not answer in time, or closed."""


class Peer:
    """A server and one connection to it."""

    def __init__(self, name, address):
        self.name = name
        self.address = address
        self.socket = None
        self.last_ids = {}  # key -> CAS id seen last
        self.states = {}  # CAS id -> (key, flags, value)
        self.connect()

    def connect(self):
        self.close()
        self.socket = socket.socket(socket.AF_UNIX if isinstance(self.address, str) else socket.AF_INET)
        self.socket.settimeout(TIMEOUT_S)
        self.socket.connect(self.address)
        if not isinstance(self.address, str):
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)

    def close(self):
        if self.socket is not None:
            self.socket.close()
            self.socket = None


class Stream:
    """What one peer is sent, and has answered, in one pipeline."""

    def __init__(self, peer, data, cuts, expected, mark):
        self.peer = peer
        self.data = memoryview(data)
        self.cuts = [cut for cut in cuts if cut < len(data)] + [len(data)]
        self.cut = 0
        self.sent = 0
        self.reply = bytearray()
        self.expected = expected  # answers to sentinels
        self.mark = mark  # one such answer
        self.counted = 0
        self.scanned = 0
        self.error = None

    def done(self):
        return self.error is not None or (self.counted >= self.expected and self.sent == len(self.data))

    def wants_send(self):
        return self.error is None and self.sent < len(self.data)

    def send(self):
        end = self.cuts[self.cut]
        try:
            self.sent += self.peer.socket.send(self.data[self.sent : end])
        except BlockingIOError:
            return
        except OSError as error:
            # What it said before it closed is still to be read.
            self.sent = len(self.data)
            self.cuts = [self.sent]
            self.cut = 0
            if not isinstance(error, (BrokenPipeError, ConnectionResetError)):
                raise
            return
        if self.sent == end:
            self.cut = min(self.cut + 1, len(self.cuts) - 1)

    def receive(self):
        try:
            part = self.peer.socket.recv(1 << 20)
        except BlockingIOError:
            return
        except ConnectionResetError:
            part = b""
        if not part:
            self.error = "closed the connection"
            return
        self.reply += part
        self.counted += self.reply.count(self.mark, self.scanned)
        self.scanned = max(self.scanned, len(self.reply) - len(self.mark) + 1)


def converse(streams, pause=0.0):
    """Sends and receives on all streams at once until each is done; a Stream's error tells what went wrong."""
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        waiting = [stream for stream in streams if not stream.done()]
        if not waiting:
            return
        senders = {stream.peer.socket: stream for stream in waiting if stream.wants_send()}
        readers = {stream.peer.socket: stream for stream in waiting}
        readable, writable, _ = select.select(list(readers), list(senders), [], 1.0)
        for sock in writable:
            senders[sock].send()
        for sock in readable:
            readers[sock].receive()
        if readable:
            deadline = time.monotonic() + TIMEOUT_S
        elif time.monotonic() > deadline:
            for stream in waiting:
                stream.error = f"is silent since {TIMEOUT_S} s"
            return
        if pause and writable:
            time.sleep(pause)


def shown(reply):
    return text.shorten(bytes(reply), 600)


class Differ:
    """One run."""

    def __init__(self, old, new, options, protocol="text", commands=None):
        self.name = protocol
        self.protocol, self.rules, _ = PROTOCOLS[protocol]
        self.commands = options.commands if commands is None else commands
        self.old = old
        self.new = new
        self.peers = (old, new)
        self.options = options
        self.rng = random.Random(options.seed)
        self.generator = self.protocol.Generator(self.rng, int(time.time()), options.chance)
        self.history = collections.deque(maxlen=HISTORY)
        self.expected = collections.Counter()
        self.kinds = collections.Counter()
        self.failed_kinds = collections.Counter()
        self.passed = 0
        self.failed = 0
        self.minimised = 0
        self.seq = 0
        self.tainted = set()  # keys that differ since a command of this pipeline, until its end
        self.followers = 0  # differences that only follow from these

    # -- the run

    def run(self):
        commands = self.commands
        lone = self.generator.lone(max(1, commands // self.protocol.LONE_PER_COMMANDS))
        lone_at = sorted(self.rng.randrange(commands) for _ in lone)
        while self.seq < commands and self.failed < self.options.failures:
            while lone_at and lone_at[0] <= self.seq:
                lone_at.pop(0)
                self.run_lone(lone.pop())
            self.run_pipeline(self.make_pipeline(min(commands - self.seq, self.depth())))

    def depth(self):
        pick = self.rng.random()
        if pick < 0.3:
            return self.rng.randrange(1, 5)
        if pick < 0.6:
            return self.rng.randrange(5, 60)
        return self.rng.randrange(60, 1200)

    def make_pipeline(self, depth):
        """Groups of commands; a sentinel follows each group."""
        groups, group, read = [], [], set()
        for _ in range(depth):
            command = self.generator.next(self.seq / self.commands)
            self.seq += 1
            command.seq = self.seq
            if group and self.protocol.needs_group(command, read):
                groups.append(group)
                group, read = [], set()
            group.append(command)
            read.update(self.protocol.keys_read(command))
            if command.frame == text.REST or self.rng.random() < GROUP_END_CHANCE:
                groups.append(group)
                group, read = [], set()
        if group:
            groups.append(group)
        return groups

    def cuts(self, size):
        """Where a pipeline is cut into sends, and the pause between them."""
        pick = self.rng.random()
        if pick < 0.4 or size < 2:
            return [], 0.0
        if pick < 0.9:
            return sorted({self.rng.randrange(1, size) for _ in range(self.rng.randrange(1, 8))}), 0.0
        if pick < 0.95:
            at, cuts = 0, []
            while len(cuts) < PIECES_MAX:
                at += self.rng.randrange(1, 17)
                cuts.append(at)
            return cuts, PAUSE_S
        return sorted({self.rng.randrange(1, size) for _ in range(self.rng.randrange(1, 8))}), PAUSE_S

    def run_pipeline(self, groups):
        streams = []
        state = self.rng.getstate()
        pause = 0.0
        for peer in self.peers:
            parts = []
            for group in groups:
                parts.extend([command.render(peer.last_ids) for command in group])
                parts.append(self.protocol.SENTINEL)
            data = b"".join(parts)
            self.rng.setstate(state)  # the same cuts for both, though the lengths of ids may differ
            cuts, pause = self.cuts(len(data))
            streams.append(Stream(peer, data, cuts, len(groups), self.protocol.SENTINEL_REPLY))
        converse(streams, pause)
        for group in groups:
            self.history.extend(group)
        old, new = streams
        self.tainted.clear()
        if old.error or new.error:
            self.lost(groups, old, new)
            return
        old_parts = bytes(old.reply).split(self.protocol.SENTINEL_REPLY)
        new_parts = bytes(new.reply).split(self.protocol.SENTINEL_REPLY)
        for at, group in enumerate(groups):
            if self.failed >= self.options.failures:
                return
            a, b = old_parts[at], new_parts[at]
            if a == b and not self.protocol.carry_ids(group):
                self.passed += len(group)
            else:
                self.compare_group(group, a, b)
        # Nothing may follow the last sentinel's answer; where it did, the rest was told above.
        if len(old_parts) != len(groups) + 1 or len(new_parts) != len(groups) + 1 or old_parts[-1] or new_parts[-1]:
            self.report(groups[-1][-1], "replies behind the last command's", old_parts[-1], new_parts[-1])
            self.reconnect()

    def compare_group(self, group, old, new):
        replies = []
        problems = []
        for stream in (old, new):
            try:
                replies.append(self.protocol.split(group, stream))
                problems.append(None)
            except text.Broken as broken:
                replies.append(broken.args[1])
                problems.append(broken)
        whole = min(len(replies[0]), len(replies[1]))
        for at in range(whole):
            self.compare(group[at], replies[0][at], replies[1][at])
        if problems[0] or problems[1]:
            command = group[min(whole, len(group) - 1)]
            rest = [
                problem.args[2] if problem else b"".join(mine[whole:])
                for problem, mine in zip(problems, replies)
            ]
            whose = ", ".join(
                f"{peer.name}: {problem.args[0]}" for peer, problem in zip(self.peers, problems) if problem
            )
            self.report(command, f"a reply that does not fit the command ({whose})", rest[0], rest[1])

    def compare(self, command, old, new):
        old_text, old_ids = self.protocol.normalise(command, old)
        new_text, new_ids = self.protocol.normalise(command, new)
        if old_text != new_text:
            if self.options.rules:
                name = self.rules.explain(command, old, new)
                if name is not None:
                    self.expected[name] += 1
                    self.passed += 1
                    return
            self.report(command, "different replies", old, new, old_text, new_text)
            return
        problem = self.compare_ids(old_ids, new_ids)
        if problem is not None:
            self.report(command, problem, old, new)
            return
        self.passed += 1

    def compare_ids(self, old_ids, new_ids):
        """CAS ids: each stands for one state of one item, and changes for both servers or for none."""
        problem = None
        for (key, old_id, old_state), (_, new_id, new_state) in zip(old_ids, new_ids):
            changed = []
            for peer, cas, state in ((self.old, old_id, old_state), (self.new, new_id, new_state)):
                known = peer.last_ids.get(key)
                changed.append(known != cas)
                peer.last_ids[key] = cas
                if cas != 0 and state is not None and peer.states.setdefault(cas, (key, state)) != (key, state):
                    problem = f"{peer.name}: CAS id {cas} stood for {peer.states[cas][0]!r} in another state"
            if changed[0] != changed[1]:
                who = self.old.name if changed[0] else self.new.name
                problem = f"CAS id of {key!r} changed with {who} only"
        return problem

    # -- commands that may end the connection

    def run_lone(self, command):
        """Where a line is cut is up to the servers' reads: only what differs each time is a difference."""
        replies = ()
        for patience in LONE_PATIENCE:
            replies = self.lone_replies(command, LONE_WAIT_S * patience)
            if replies[0] == replies[1] or (self.options.rules and self.rules.explain(command, *replies)):
                break
        self.compare(command, *replies)

    def lone_replies(self, command, wait_s):
        pieces = self.protocol.lone_pieces(command)
        results = {peer: bytearray() for peer in self.peers}
        closed = set()
        for piece in pieces:
            self.lone_send(piece, closed)
            self.lone_wait(results, closed, wait_s if piece is not pieces[-1] else 0.0)
        if not pieces[-1].endswith(self.protocol.LONE_END):
            self.lone_wait(results, closed, wait_s)
            self.lone_send(self.protocol.LONE_END, closed)
        self.lone_send(self.protocol.SENTINEL, closed)
        self.lone_wait(results, closed, wait_s if self.protocol.swallows_sentinel(command) else TIMEOUT_S)
        replies = []
        for peer in self.peers:
            reply = bytes(results[peer])
            if peer in closed:
                reply += b"<closed>"
            elif reply.endswith(self.protocol.SENTINEL_REPLY):
                reply = reply[: -len(self.protocol.SENTINEL_REPLY)] + b"<open>"
            else:
                reply += b"<silent>"
            replies.append(reply)
        if closed or b"<silent>" in replies[0] + replies[1]:
            self.reconnect()
        return replies

    def lone_send(self, data, closed):
        for peer in self.peers:
            if peer in closed:
                continue
            peer.socket.settimeout(TIMEOUT_S)
            try:
                peer.socket.sendall(data)
            except (BrokenPipeError, ConnectionResetError):
                pass  # seen when reading
            peer.socket.setblocking(False)

    def lone_wait(self, results, closed, seconds):
        """Reads until both have closed or answered the sentinel, or the time is over."""
        deadline = time.monotonic() + seconds
        while True:
            open_peers = {
                peer.socket: peer
                for peer in self.peers
                if peer not in closed and not results[peer].endswith(self.protocol.SENTINEL_REPLY)
            }
            left = deadline - time.monotonic()
            if not open_peers or left <= 0:
                return
            readable, _, _ = select.select(list(open_peers), [], [], left)
            for sock in readable:
                peer = open_peers[sock]
                try:
                    part = sock.recv(1 << 20)
                except ConnectionResetError:
                    part = b""
                if part:
                    results[peer] += part
                else:
                    closed.add(peer)

    # -- differences

    def reconnect(self):
        for peer in self.peers:
            peer.connect()

    def lost(self, groups, old, new):
        """A server went silent or away in the middle of a pipeline."""
        stream = new if new.error else old
        group = groups[min(stream.counted, len(groups) - 1)]
        reply = bytes(stream.reply).split(self.protocol.SENTINEL_REPLY)[-1]
        print(f"\nFAILED {stream.peer.name} {stream.error}, among these commands:")
        for command in group[-12:]:
            print(f"    {command.show()}")
        print(f"  said last: {shown(reply)}")
        self.failed += 1
        self.failed_kinds["lost connection"] += 1
        self.reconnect()
        self.both_run([self.protocol.FLUSH])
        for peer in self.peers:
            peer.last_ids.clear()

    def report(self, command, problem, old, new, old_text=None, new_text=None):
        """Prints a difference; the texts are what is shown, without ids."""
        keys = self.differing_keys(command, old, new)
        if keys and self.tainted.issuperset(keys):
            self.followers += 1
            return
        self.tainted.update(keys)
        self.failed += 1
        self.failed_kinds[command.kind] += 1
        print(f"\nFAILED command {command.seq} ({command.kind}): {problem}")
        print(f"  {command.show()}")
        old, new = old_text or old, new_text or new
        at = next((i for i, (a, b) in enumerate(zip(old, new)) if a != b), min(len(old), len(new)))
        at = max(0, at - 100) if at > 300 else 0
        skipped = f"{at} equal bytes, then " if at else ""
        print(f"  {self.old.name}: {skipped}{shown(old[at:])}")
        print(f"  {self.new.name}: {skipped}{shown(new[at:])}")
        for key in keys[:KEYS_SHOWN_MAX]:
            self.show_history(command, key)
        if keys:
            # From here on both hold the same again.
            self.both_run([self.protocol.delete_of(key) for key in keys])
        sys.stdout.flush()

    def differing_keys(self, command, old, new):
        if command.key is not None:
            return [command.key]
        blocks = []
        for reply in (old, new):
            found = {}
            at = 0
            while reply.startswith(b"VALUE ", at):
                end = reply.find(b"\r\n", at)
                words = reply[at:end].split(b" ")
                if end < 0 or len(words) < 4 or not words[3].isdigit():
                    break
                after = end + 2 + int(words[3]) + 2
                found[words[1]] = (words[2], reply[end:after])
                at = after
            blocks.append(found)
        keys = [key for key in {**blocks[0], **blocks[1]} if blocks[0].get(key) != blocks[1].get(key)]
        return keys

    def show_history(self, command, key):
        """The commands on this key that lead to the difference, as few as show it."""
        before = [
            self.protocol.of_key(earlier, key)
            for earlier in self.history
            if earlier.seq < command.seq
            and earlier.frame != text.LONE
            and (earlier.key == key or (earlier.key is None and key in earlier.raw.split()))
        ]
        chain = before[-REPLAY_MAX:] + [self.protocol.of_key(command, key)]
        if command.frame != text.LONE and self.minimised < MINIMISED_MAX:
            self.minimised += 1
            chain, shows = self.minimise(chain, key)
            title = "shown by" if shows else "does not show again when replayed; the last commands on it were"
        else:
            title = "the last commands on it"
        print(f"  key {text.shorten(key)}, {title}:")
        for earlier in chain[-16:] if title == "shown by" else chain[-8:]:
            print(f"    {earlier.show()}")

    def minimise(self, chain, key):
        if not self.replay_differs(chain, key):
            return chain, False
        # The last commands matter most: try to do without all earlier ones first.
        for keep in (1, 2, 4, 8, 16):
            if keep < len(chain) and self.replay_differs(chain[-keep:], key):
                chain = chain[-keep:]
                break
        at = 0
        while at < len(chain) - 1:
            shorter = chain[:at] + chain[at + 1 :]
            if self.replay_differs(shorter, key):
                chain = shorter
            else:
                at += 1
        return chain, True

    def replay_differs(self, chain, key):
        """Whether the last of these commands is answered differently, on connections of their own."""
        lasts = []
        for peer in self.peers:
            try:
                other = Peer(peer.name, peer.address)
            except OSError:
                return False
            try:
                ids = {}
                self.ask(other, self.protocol.delete_of(key))
                for command in chain:
                    reply = self.ask(other, command.render(ids))
                    reply, seen = self.protocol.normalise(command, reply)
                    for seen_key, cas, _ in seen:
                        ids[seen_key] = cas
                lasts.append(reply)
            except Silent as silent:
                lasts.append(str(silent).encode())
            finally:
                other.close()
        command = chain[-1]
        return lasts[0] != lasts[1] and not (self.options.rules and self.rules.explain(command, *lasts))

    def ask(self, peer, data):
        mark = self.protocol.SENTINEL_REPLY
        stream = Stream(peer, data + self.protocol.SENTINEL, [], 1, mark)
        converse([stream])
        if stream.error:
            raise Silent(f"{stream.error} after {shown(stream.reply)}")
        return bytes(stream.reply)[: -len(mark)]

    def both_run(self, lines):
        """Sends the same to both over connections of their own, so that they agree again; what they answer does not matter."""
        for peer in self.peers:
            try:
                other = Peer(peer.name, peer.address)
            except OSError:
                continue
            try:
                self.ask(other, b"".join(lines))
            except Silent:
                pass  # the next command on the main connection will tell
            finally:
                other.close()

    def summary(self, seconds):
        if self.options.rules:
            print(f"\n{self.name}: expected differences (times, rule, section of protocol.md):")
            for name, source, _ in self.rules.EXPECTED:
                print(f"  {self.expected[name]:7}  {name}  [{source}]")
        if self.failed:
            print("\nunexplained, by kind of command:")
            for kind, count in self.failed_kinds.most_common():
                print(f"  {count:7}  {kind}")
            if self.followers:
                print(f"  {self.followers:7}  more that follow from these")
            if self.failed >= self.options.failures:
                print(f"  stopped after {self.options.failures}")
        print(f"\n{self.name}: {self.seq} commands, seed {self.options.seed}, {self.seq / max(seconds, 1e-9):.0f} per second")
        print(f"{self.passed} passed, {self.failed} failed")


def parse_options(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--commands", type=int, default=20000)
    parser.add_argument("--protocol", choices=[*PROTOCOLS, "all"], default="all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--memcached", help="its path; from PATH by default")
    parser.add_argument("--against", help="a binary in place of $LARDER, such as a second memcached")
    parser.add_argument("--failures", type=int, default=FAILURES_MAX, help="stop after so many")
    parser.add_argument("--unix", action="store_true", help="unix sockets in place of TCP")
    parser.add_argument("--no-rules", dest="rules", action="store_false", help="explain no difference away")
    parser.add_argument("--no-chance", dest="chance", action="store_false",
                        help="leave out what the original answers by chance; for comparing it with itself")
    parser.add_argument("--server-args", default=SERVER_ARGS, help="for both servers")
    return parser.parse_args(argv)


def run(options, old_address, new_address, new_name="larder", protocol="text", commands=None):
    """Compares two running servers; gives the Differ."""
    old = new = None
    try:
        old = Peer("memcached", old_address)
        new = Peer(new_name, new_address)
        differ = getattr(PROTOCOLS[protocol][0], "Differ", Differ)(old, new, options, protocol, commands)
        start = time.monotonic()
        differ.run()
        differ.summary(time.monotonic() - start)
        return differ
    finally:
        for peer in (old, new):
            if peer is not None:
                peer.close()


def main():
    options = parse_options()
    try:
        memcached = options.memcached or memcached_binary()
    except Skip as reason:
        print(f"skipped: {reason}")
        return EXIT_SKIPPED
    larder = options.against or larder_binary()
    args = options.server_args.split()
    shares = {options.protocol: options.commands}
    if options.protocol == "all":
        shares = {name: int(options.commands * share) for name, (_, _, share) in PROTOCOLS.items()}
    passed = failed = 0
    for name, commands in shares.items():
        in_datagrams = name == "udp"
        if in_datagrams and options.unix:
            continue
        with Server(args, binary=memcached, unix=options.unix, udp=in_datagrams) as old:
            with Server(args, binary=larder, unix=options.unix, udp=in_datagrams) as new:
                differ = run(options, old.address, new.address, protocol=name, commands=commands)
        passed += differ.passed
        failed += differ.failed
    print()
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
