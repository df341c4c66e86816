#!/usr/bin/python3
"""UDP: datagrams in, datagrams out, against the real server."""

import os
import random
import re
import socket
import struct
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from server import TIMEOUT_S, Client, Server, Skip, free_port, run, run_tests

FRAME = struct.Struct(">HHHH")
PAYLOAD_MAX = 1392
DATAGRAMS = 10000
INSTRUMENTED = float(os.environ.get("TEST_TIMEOUT_SCALE", "1")) > 1  # sanitizers have heaps of their own
FUZZ_S = 4
# A text and a binary request that are answered, behind others: their answers end what is waited for.
END, END_REPLY = b"mn\r\n", b"MN\r\n"


class Udp:
    """One client's socket; ids count up, so that a late datagram of another request is seen."""

    def __init__(self, address, family=socket.AF_INET, bind=None):
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self.socket.settimeout(TIMEOUT_S)
        if bind is not None:
            self.socket.bind(bind)
        self.socket.connect(address)  # the answer must come from where the question went
        self.id = random.randrange(1 << 16)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, payload, total=1, sequence=0, reserved=0):
        self.id = (self.id + 1) & 0xFFFF
        self.socket.send(FRAME.pack(self.id, sequence, total, reserved) + payload)

    def receive(self):
        """One reply, joined from its datagrams."""
        parts = []
        while True:
            datagram = self.socket.recv(1 << 16)
            assert len(datagram) <= 1400, len(datagram)
            request_id, sequence, total, reserved = FRAME.unpack_from(datagram)
            assert (request_id, reserved) == (self.id, 0), (request_id, self.id, reserved)
            assert sequence == len(parts) < total, (sequence, total, len(parts), datagram[:80])
            parts.append(datagram[FRAME.size :])
            assert 0 < len(parts[-1]) <= PAYLOAD_MAX
            if len(parts) == total:
                return b"".join(parts)
            assert len(parts[-1]) == PAYLOAD_MAX

    def replies(self, payload, end=END, end_reply=END_REPLY):
        """The replies to a datagram, which gets one more command that is always answered."""
        self.send(payload + end)
        found = []
        while not found or found[-1] != end_reply:
            found.append(self.receive())
        return found[:-1]

    def expect(self, payload, *expected):
        found = self.replies(payload)
        assert found == list(expected), (payload[:200], [reply[:200] for reply in found])

    def expect_nothing(self, payload, **frame):
        """Nothing is answered: the next datagram of this client is run after it, and is answered first."""
        self.send(payload, **frame)
        self.expect(b"")


def binary(op, key=b"", extras=b"", value=b"", opaque=0x01020304):
    body = extras + key + value
    return struct.pack(">BBHBBHIIQ", 0x80, op, len(key), len(extras), 0, 0, len(body), opaque, 0) + body


NOOP = binary(0x0A)
NOOP_REPLY = b"\x81" + NOOP[1:]


def status_of(reply):
    return struct.unpack_from(">H", reply, 6)[0]


def started(*args, threads=2):
    return Server(["-t", str(threads), *args], udp=True)


def resident_kb(pid):
    with open(f"/proc/{pid}/status") as status:
        return int(re.search(r"VmRSS:\s+(\d+)", status.read())[1])


def test_each_command_has_its_own_reply():
    with started() as server, Udp(server.address) as udp:
        udp.expect(b"set a 0 0 1\r\nx\r\n", b"STORED\r\n")
        udp.expect(b"get a\r\nget b\r\nbogus\r\n", b"VALUE a 0 1\r\nx\r\nEND\r\n", b"END\r\n", b"ERROR\r\n")
        udp.expect(b"get b a b\r\nmg a v\r\n", b"VALUE a 0 1\r\nx\r\nEND\r\n", b"VA 1\r\nx\r\n")
        udp.expect(b"set a 0 0 1\r\nxyz\r\nget a\r\n", b"CLIENT_ERROR bad data chunk\r\n",
                   b"CLIENT_ERROR bad command line format\r\n", b"VALUE a 0 1\r\nx\r\nEND\r\n")
        udp.expect(b"set n 0 0 1 noreply\r\ny\r\nmg nosuch v q\r\ndelete nosuch noreply\r\n")
        udp.expect(b"get n\n", b"VALUE n 0 1\r\ny\r\nEND\r\n")


def test_binary_requests_have_their_own_replies():
    with started() as server, Udp(server.address) as udp:
        found = udp.replies(binary(1, b"k", bytes(8), b"val") + binary(0, b"k") + binary(0x0C, b"no"), NOOP, NOOP_REPLY)
        assert [status_of(reply) for reply in found] == [0, 0, 1], found
        assert found[1].endswith(b"\0\0\0\0val") and found[2].endswith(b"no"), found
        quiet = binary(9, b"k") + binary(9, b"no") + binary(0x11, b"q", bytes(8), b"v") + binary(0x0D, b"q")
        found = udp.replies(quiet, NOOP, NOOP_REPLY)
        assert [reply[1] for reply in found] == [9, 0x0D], found
        found = udp.replies(binary(0x10) + binary(0x50), NOOP, NOOP_REPLY)
        assert len(found) == 2 and len(found[0]) > PAYLOAD_MAX and status_of(found[1]) == 0x81, found
        # Whose lengths are wrong ends the conversation, and quit does.
        for last in (binary(0, b"k", b"xxxx"), binary(7)):
            udp.send(last + NOOP)
            assert udp.receive()[1] in (0, 7)
            udp.expect(b"")  # text, in the next datagram
        udp.expect_nothing(binary(0x17) + NOOP)


def test_incomplete_commands_are_not_answered_and_leave_nothing():
    pieces = (b"get a", b"set a 0 0 3\r\n", b"set a 0 0 3\r\nab", b"set a 0 0 3\r\nabc", b"set a 0 0 3\r\nabc\r",
              b"set a 0 0 99999999\r\nab", b"set a x 0 9\r\nab", b"ms a 3\r\nab", b"ms a 30000\r\nab", b"x" * 5000,
              b"get " + b"k" * 3000, b"set a 0 0 60000\r\n" + b"x" * 59999, b"quit\r\nmn\r\n", b"watch\r\nmn\r\n",
              b"lru_crawler metadump all\r\nmn\r\n", b"lru_crawler mgdump all\r\nmn\r\n", b"\x80\x01\0",
              binary(1, b"a", bytes(8), b"val")[:-1], binary(0, b"a")[:-1])
    with started() as server, Udp(server.address) as udp:
        for piece in pieces:
            try:
                udp.expect_nothing(piece)
            except AssertionError:
                raise AssertionError(f"{piece[:100]!r} was answered") from None
            udp.send(b"version\r\n" + piece)
            assert udp.receive().startswith(b"VERSION "), piece
            udp.expect(b"get a\r\nmg a\r\n", b"END\r\n", b"EN\r\n")
        with server.client() as tcp:
            assert tcp.stats()["curr_items"] == "0"


def test_what_is_no_request_is_dropped_and_counted():
    with started() as server, Udp(server.address) as udp, server.client() as tcp:
        for total in (0, 2, 0x0100, 0xFFFF):
            udp.expect_nothing(b"set a 0 0 1\r\nx\r\n", total=total)
        udp.expect_nothing(b"")
        udp.expect_nothing(b"ERROR\r\n")  # or two servers could answer each other for ever
        for short in (b"", b"\0", b"\0\1\0\0\0\1\0"):
            udp.socket.send(short)
            udp.expect(b"")
        udp.expect(b"get a\r\n", b"END\r\n")
        assert tcp.stats("larder")["udp_requests_dropped"] == "9"
        udp.send(b"mn\r\n", sequence=7, reserved=99)  # not looked at
        assert udp.receive() == b"MN\r\n"


def test_long_replies_are_numbered():
    with started("-R", "3") as server, server.client() as tcp, Udp(server.address) as udp:
        for size in (1, 1360, 1368, 1369, 1370, 2761, 16384, 65000, 65600, 300000, 1048000):
            value = random.randbytes(size)
            tcp.exchange(b"set v 5 0 %d\r\n%s\r\n" % (size, value), b"STORED\r\n")
            udp.expect(b"get v\r\nversion\r\n", b"VALUE v 5 %d\r\n%s\r\nEND\r\n" % (size, value), b"VERSION 1.6.45\r\n")
            udp.expect(b"mg v v\r\n", b"VA %d\r\n%s\r\n" % (size, value))
        blocks = []
        for number in range(400):
            value = random.randbytes(75).hex().encode()
            tcp.exchange(b"set key%d 0 0 150\r\n%s\r\n" % (number, value), b"STORED\r\n")
            blocks.append(b"VALUE key%d 0 150\r\n%s\r\n" % (number, value))
        keys = b" ".join(b"key%d" % number for number in range(400))
        udp.expect(b"get %s\r\n" % keys, b"".join(blocks) + b"END\r\n")  # 67 KB in one reply
        found = udp.replies(b"get %s %s %s\r\n" % (keys, keys, keys))  # more than the send buffer: in parts
        assert b"".join(found) == b"".join(blocks) * 3 + b"END\r\n" and len(found) <= 4, len(found)
        udp.expect(b"get a\r\n" * 50, *[b"END\r\n"] * 50)  # more than -R
        assert int(tcp.stats()["conn_yields"]) >= 16


def test_a_set_as_long_as_a_datagram_is_stored():
    with started() as server, Udp(server.address) as udp:
        value = random.randbytes(65000)
        udp.expect(b"set v 0 0 65000\r\n%s\r\nget v\r\n" % value, b"STORED\r\n",
                   b"VALUE v 0 65000\r\n%s\r\nEND\r\n" % value)


def test_all_datagrams_of_many_clients_are_answered_once():
    with started(threads=4) as server:
        clients = [Udp(server.address) for _ in range(16)]
        try:
            for number in range(DATAGRAMS // len(clients)):
                for index, udp in enumerate(clients):
                    udp.send(b"incr n%d 1\r\n" % index if number else b"set n%d 0 0 1\r\n0\r\n" % index)
                for udp in clients:
                    expected = b"%d\r\n" % number if number else b"STORED\r\n"
                    reply = udp.receive()
                    assert reply == expected, (reply, expected)
            # Without waiting for answers: what one client sends is run in order.
            for number in range(8):  # few enough for a socket's buffer
                for udp in clients:
                    udp.socket.send(FRAME.pack(number, 0, 1, 0) + b"set o 0 0 2\r\n%02d\r\nmg nosuch v\r\n" % number)
            for udp in clients:
                for number in range(8):
                    for expected in (b"STORED\r\n", b"EN\r\n"):
                        reply = udp.socket.recv(2000)
                        assert reply == FRAME.pack(number, 0, 1, 0) + expected, (number, reply)
        finally:
            for udp in clients:
                udp.socket.close()


def test_the_protocol_option_is_kept():
    with started("-B", "ascii") as server, Udp(server.address) as udp:
        udp.expect_nothing(binary(0, b"k"))  # no line: it has no LF
    with started("-B", "binary") as server, Udp(server.address) as udp:
        udp.send(b"version\r\n")
        assert udp.replies(b"", NOOP, NOOP_REPLY) == []


def test_shutdown_works_as_over_tcp():
    with started() as server, Udp(server.address) as udp:
        udp.expect(b"shutdown\r\n", b"SERVER_ERROR: shutdown not enabled\r\n")
    with started("-A") as server, Udp(server.address) as udp:
        udp.send(b"shutdown\r\n")
        assert server.wait_for_exit() == 0


def byte_counts(reply):
    return tuple(int(re.search(rb"STAT %s (\d+)" % name, reply)[1]) for name in (b"bytes_read", b"bytes_written"))


def test_statistics_show_udp():
    with started(threads=3) as server, Udp(server.address) as udp, server.client() as tcp:
        tcp.send(b"stats\r\n")
        reply = tcp.recv_until(b"END\r\n")
        udp.expect(b"get a\r\n", b"END\r\n")
        # As over TCP, and a frame per datagram; what a `stats` wrote counts from then on.  The datagram may have come
        # before its worker has counted it.
        before, read, written = byte_counts(reply), 7 + 4 + 8, 5 + 4 + 16
        for _ in range(100):
            read, written = read + 7, written + len(reply)
            tcp.send(b"stats\r\n")
            reply = tcp.recv_until(b"END\r\n")
            after = byte_counts(reply)
            if after[1] - before[1] == written:
                break
        assert (after[0] - before[0], after[1] - before[1]) == (read, written), (before, after)
        after = tcp.stats()
        assert int(after["curr_connections"]) in (4, 5), after  # the connection that waited for the start may close late
        settings = tcp.stats("settings")
        assert settings["udpport"] == str(server.port) and settings["num_threads_per_udp"] == "3", settings
        lines = tcp.stats("conns")
        sockets = [name.split(":")[0] for name, value in lines.items() if name.endswith(":UDP") and value == "UDP"]
        assert len(sockets) == 3, lines
        for fd in sockets:
            assert lines[f"{fd}:addr"] == f"udp:127.0.0.1:{server.port}", lines
            assert lines[f"{fd}:state"] == "conn_read" and f"{fd}:listen_addr" not in lines, lines
            assert int(lines[f"{fd}:secs_since_last_cmd"]) >= 0
    with started("-c", "5", threads=4) as server:  # sockets of UDP take no client's place
        clients = [server.client() for _ in range(2)]
        for client in clients:
            client.exchange(b"mn\r\n", b"MN\r\n")
            client.close()


class OwnAddresses(Server):
    """Server.start() waits for a connection; these tests name the addresses, and read the ports from a file."""

    def __init__(self, options):
        self.ports_file = os.path.join(tempfile.mkdtemp(prefix="larder-udp-"), "ports")
        user = ["-u", "root"] if os.geteuid() == 0 else []
        super().__init__(options=user + options, env={"MEMCACHED_PORT_FILENAME": self.ports_file})

    def _accepts(self):
        return self.process.poll() is not None or os.path.exists(self.ports_file)

    def ports(self):
        with open(self.ports_file) as file:
            return [line.split(": ") for line in file.read().splitlines()]

    def port_of(self, what):
        return next(int(port) for name, port in self.ports() if name == what)


def test_ports():
    port = free_port()
    with OwnAddresses(["-l", "127.0.0.1", "-U", str(port)]) as server:  # alone, it is TCP's, too
        assert server.ports() == [["TCP INET", str(port)], ["UDP INET", str(port)]], server.ports()
    with OwnAddresses(["-l", "127.0.0.1", "-p", "0", "-U", str(port)]) as server:
        assert server.ports() == [["UDP INET", str(port)]], server.ports()
        with Udp(("127.0.0.1", port)) as udp:
            udp.expect(b"")
            # The port is taken, though its sockets share it among themselves.
            user = ["-u", "root"] if os.geteuid() == 0 else []
            done = run(user + ["-l", "127.0.0.1", "-p", "0", "-U", str(port)])
            assert done.returncode == 71 and b"bind()" in done.stderr, done
            udp.expect(b"")
    with OwnAddresses(["-l", "127.0.0.1", "-U", "-1"]) as server:
        with Udp(("127.0.0.1", server.port_of("UDP INET"))) as udp:
            udp.expect(b"")
        Client(("127.0.0.1", server.port_of("TCP INET"))).close()
    with OwnAddresses(["-l", f"proto[ascii]:127.0.0.1:{port},127.0.0.2", "-p", "-1", "-U", "-1"]) as server:
        udp_ports = [int(number) for name, number in server.ports() if name == "UDP INET"]
        assert len(udp_ports) == 2 and udp_ports[0] == port, server.ports()
        for host, number in zip(("127.0.0.1", "127.0.0.2"), udp_ports):
            with Udp((host, number)) as udp:
                udp.expect(b"")
    with Server(["-U", str(port)], unix=True) as server:  # none beside a unix socket
        server.wait_for_log("no UDP port is opened with a unix socket")
        with server.client() as client:
            assert client.stats("settings")["udpport"] == "0"


def test_replies_come_from_the_address_that_was_asked():
    with OwnAddresses(["-p", "-1", "-U", "-1"]) as server:
        port = server.port_of("UDP INET")
        for host in ("127.0.0.1", "127.0.0.2", "127.1.2.3"):
            with Udp((host, port)) as udp:  # connected: another source would not be received
                udp.expect(b"")
        try:
            port = server.port_of("UDP INET6")
        except StopIteration:
            raise Skip("no IPv6 here") from None
        with Udp(("::1", port), socket.AF_INET6) as udp:
            udp.expect(b"version\r\n", b"VERSION 1.6.45\r\n")


def test_a_client_that_reads_nothing_costs_nothing():
    """Commands for 2 GB of replies; another client, and a connection, are served meanwhile."""
    with started("-m", "256") as server, server.client() as tcp:
        tcp.exchange(b"set v 0 0 1000000\r\n%s\r\n" % bytes(1000000), b"STORED\r\n")
        before = resident_kb(server.pid)
        with Udp(server.address) as deaf:
            deaf.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.send(b"get v\r\n" * 2000)
            for _ in range(20):
                start = time.monotonic()
                tcp.exchange(b"mn\r\n", b"MN\r\n")
                assert time.monotonic() - start < TIMEOUT_S / 4
        with Udp(server.address) as later:  # absent by now: its port is closed
            later.send(b"get v\r\n" * 10)
        deadline = time.monotonic() + TIMEOUT_S
        while True:  # by another worker, or when the long one is over
            with Udp(server.address) as udp:
                udp.socket.settimeout(1)
                try:
                    udp.expect(b"")
                    break
                except socket.timeout:
                    assert time.monotonic() < deadline
        assert INSTRUMENTED or resident_kb(server.pid) - before < 8 << 10


def test_random_datagrams_do_no_harm():
    rng = random.Random(20)
    words = [b"get a\r\n", b"set a 0 0 3\r\nabc\r\n", b"set a 0 0 ", b"gat 0 a\r\n", b"mg a v k\r\n", b"ms a 2\r\nxx\r\n",
             b"incr a 1\r\n", b"stats\r\n", b"stats conns\r\n", b"quit\r\n", b"\r\n", b"\n", b" ", b"noreply", b"watch\r\n",
             binary(0, b"a"), binary(1, b"a", bytes(8), b"xyz"), binary(9, b"a"), binary(0x10), binary(7), NOOP]
    with started(threads=4) as server:
        clients = [Udp(server.address) for _ in range(8)]
        for udp in clients:
            udp.socket.setblocking(False)
        until = time.monotonic() + FUZZ_S
        sent, half_kb = 0, 0
        while time.monotonic() < until:
            parts = [rng.choice(words) for _ in range(rng.randrange(1, 30))]
            data = bytearray(b"".join(parts) if rng.random() < 0.8 else rng.randbytes(rng.randrange(1, 60000)))
            for _ in range(rng.randrange(3)):
                data[rng.randrange(len(data))] = rng.randrange(256)
            frame = FRAME.pack(rng.randrange(65536), 0, 1 if rng.random() < 0.9 else rng.randrange(65536), 0)
            udp = rng.choice(clients)
            try:
                udp.socket.send((frame + data)[: rng.choice((65000, 65000, rng.randrange(70)))])
                while len(udp.socket.recv(1 << 16)) <= 1400:
                    pass
                raise AssertionError("a datagram of more than 1400 bytes")
            except BlockingIOError:
                pass
            sent += 1
            if half_kb == 0 and time.monotonic() > until - FUZZ_S / 2:
                half_kb = resident_kb(server.pid)
        for udp in clients:
            udp.socket.close()
        assert sent > 1000, sent
        with server.client() as tcp, Udp(server.address) as udp:
            tcp.exchange(b"mn\r\n", b"MN\r\n")
            udp.expect(b"version\r\n", b"VERSION 1.6.45\r\n")
        assert INSTRUMENTED or resident_kb(server.pid) - half_kb < 4 << 10, (half_kb, resident_kb(server.pid))


def test_a_graceful_stop_answers_what_was_received():
    with started() as server, Udp(server.address) as udp:
        udp.expect(b"")
        server.signal(10)
        assert server.wait_for_exit() == 0


def test_wrong_ports_are_refused():
    for port in ("65536", "70000", "-2"):
        done = run(["-U", port])
        assert done.returncode == 64 and b"ERROR: Invalid port number " + port.encode() in done.stderr, done


if __name__ == "__main__":
    run_tests(globals())
