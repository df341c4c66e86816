#!/usr/bin/python3
"""The service manager's side of the server: sockets handed over, readiness, reload, stop, watchdog."""

import fcntl
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from server import SANITIZER_ENV, TIMEOUT_S, Client, Skip, free_port, larder_binary, run, run_tests

ROOT = ["-u", "root"] if os.geteuid() == 0 else []
FIRST_FD = 3


def listening(backlog=16):
    tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    tcp.bind(("127.0.0.1", 0))
    tcp.listen(backlog)
    return tcp


class Service:
    """A server started as a service manager starts one."""

    def __init__(self, args=(), sockets=(), notify="path", names=None, env=None, listen_pid=None, listen_fds=None,
                 expect_exit=0):
        self.args = [larder_binary(), *ROOT, *args]
        self.sockets = list(sockets)
        self.names = names
        self.env = env or {}
        self.listen_pid = listen_pid
        self.listen_fds = listen_fds
        self.expect_exit = expect_exit
        self.dir = tempfile.TemporaryDirectory(prefix="larder-service-")
        self.manager = None
        self.process = None
        if notify:
            path = os.path.join(self.dir.name, "notify")
            self.notify = "@" + path if notify == "abstract" else path
            self.manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self.manager.settimeout(TIMEOUT_S)
            self.manager.bind("\0" + path if notify == "abstract" else path)

    def start(self):
        # The shell becomes the server, so LISTEN_PID is the server's own id.
        script = ""
        env = {**os.environ, **self.env}
        if self.sockets or self.listen_fds is not None:
            script = f"LISTEN_PID={self.listen_pid or '$$'}; export LISTEN_PID; "
            count = len(self.sockets) if self.listen_fds is None else self.listen_fds
            env["LISTEN_FDS"] = str(count)
            if self.names is not None:
                env["LISTEN_FDNAMES"] = self.names
        if self.manager:
            env["NOTIFY_SOCKET"] = self.notify
        # Out of the way of the numbers that they are to have.
        kept = [fcntl.fcntl(each.fileno(), fcntl.F_DUPFD, 50) for each in self.sockets]
        for i, fd in enumerate(kept):
            script += f"exec {FIRST_FD + i}<&{fd} {fd}<&-; "
        script += 'exec "$@"'
        self.log = os.path.join(self.dir.name, "log")
        with open(self.log, "wb") as log:
            # bash: descriptors of two digits
            self.process = subprocess.Popen(["bash", "-c", script, "bash", *self.args], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, env=env, pass_fds=kept)
        for fd in kept:
            os.close(fd)
        return self

    def text(self):
        with open(self.log, "rb") as file:
            return file.read().decode(errors="replace")

    def told(self):
        """The next datagram, as a dict."""
        try:
            data = self.manager.recv(4096)
        except socket.timeout:
            raise AssertionError(f"nothing was told; log: {self.text()!r}") from None
        return dict(line.split("=", 1) for line in data.decode().split("\n"))

    def wait_ready(self):
        told = self.told()
        assert told["READY"] == "1", told
        return told

    def exit_code(self):
        return self.process.wait(TIMEOUT_S)

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, *_):
        try:
            if self.process.poll() is None:
                self.process.terminate()
            code = self.exit_code()
            if kind is not None:
                sys.stderr.write(self.text())
            else:
                assert code == self.expect_exit, (code, self.text())
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            if self.manager:
                self.manager.close()
            self.dir.cleanup()


def refused(text, code=71, **how):
    with Service(notify=None, expect_exit=code, **how) as service:
        assert service.exit_code() == code, service.text()
        assert text in service.text(), service.text()


def listening_inodes(pid):
    """Inodes of the sockets that a process has open."""
    found = set()
    for name in os.listdir(f"/proc/{pid}/fd"):
        match = re.match(r"socket:\[(\d+)\]$", os.readlink(f"/proc/{pid}/fd/{name}"))
        if match:
            found.add(int(match.group(1)))
    return found


def tcp_ports(pid):
    """Ports of 127.0.0.1 and others on which a process listens."""
    inodes, ports = listening_inodes(pid), set()
    for table in ("tcp", "tcp6"):
        with open(f"/proc/{pid}/net/{table}", encoding="ascii") as file:
            for line in list(file)[1:]:
                fields = line.split()
                if fields[3] == "0A" and int(fields[9]) in inodes:
                    ports.add(int(fields[1].rsplit(":", 1)[1], 16))
    return ports


# -- readiness -----------------------------------------------------------------------------------------


def test_ready_is_told_when_clients_are_served():
    for kind in ("path", "abstract"):
        port = free_port()
        with Service(["-l", "127.0.0.1", "-p", str(port), "-t", "2", "-m", "100"], notify=kind) as service:
            told = service.wait_ready()
            assert told == {"READY": "1", "STATUS": "Serving: 2 workers, 100 megabytes"}, told
            # No try again: it serves already.
            with Client(("127.0.0.1", port)) as client:
                client.exchange(b"mn\r\n", b"MN\r\n")
            with open(f"/proc/{service.process.pid}/environ", "rb") as file:
                assert b"NOTIFY_SOCKET" in file.read()  # as started: what the process removes is its own copy


def test_reload_and_stop_are_told():
    with Service(["-l", "127.0.0.1", "-p", str(free_port())]) as service:
        service.wait_ready()
        before_us = time.monotonic_ns() // 1000
        service.process.send_signal(signal.SIGHUP)
        told = service.told()
        assert told["RELOADING"] == "1", told
        assert before_us <= int(told["MONOTONIC_USEC"]) <= time.monotonic_ns() // 1000, told
        service.wait_ready()
        service.process.terminate()
        assert service.told()["STOPPING"] == "1"
        assert service.exit_code() == 0


def test_a_graceful_stop_and_the_shutdown_command_are_told():
    for how in ("signal", "command"):
        port = free_port()
        with Service(["-A", "-l", "127.0.0.1", "-p", str(port)]) as service:
            service.wait_ready()
            if how == "signal":
                service.process.send_signal(signal.SIGUSR1)
            else:
                with Client(("127.0.0.1", port)) as client:
                    client.send(b"shutdown graceful\r\n")
            assert service.told()["STOPPING"] == "1"
            assert service.exit_code() == 0


def test_a_server_that_cannot_start_is_not_ready():
    with listening() as other:
        port = str(other.getsockname()[1])
        with Service(["-l", "127.0.0.1", "-p", port], expect_exit=71) as service:
            assert service.exit_code() == 71
            service.manager.setblocking(False)
            try:
                raise AssertionError(service.manager.recv(4096))
            except BlockingIOError:
                pass


def test_a_daemon_tells_its_process_id():
    pid_file = os.path.join(tempfile.mkdtemp(prefix="larder-service-"), "pid")
    with Service(["-d", "-P", pid_file, "-l", "127.0.0.1", "-p", str(free_port())]) as service:
        pid = int(service.wait_ready()["MAINPID"])
        try:
            assert service.exit_code() == 0 and pid != service.process.pid
            with open(pid_file, encoding="ascii") as file:
                assert int(file.read()) == pid
        finally:
            os.kill(pid, signal.SIGTERM)
        assert service.told()["STOPPING"] == "1"
        deadline = time.monotonic() + TIMEOUT_S
        while os.path.exists(pid_file):
            assert time.monotonic() < deadline
            time.sleep(0.01)  # between two looks
    os.rmdir(os.path.dirname(pid_file))


def test_the_filters_of_drop_privileges_let_it_tell():
    if b"no_drop_privileges: (default)" not in run(["-h"]).stdout:
        raise Skip("built without libseccomp")
    with Service(["-o", "drop_privileges", "-l", "127.0.0.1", "-p", str(free_port())], env=SANITIZER_ENV) as service:
        service.wait_ready()
        service.process.send_signal(signal.SIGHUP)
        assert service.told()["RELOADING"] == "1"
        service.wait_ready()
        service.process.terminate()
        assert service.told()["STOPPING"] == "1"


def test_the_watchdog_gets_a_sign_of_life_each_second():
    args = ["-l", "127.0.0.1", "-p", str(free_port())]
    with Service(args, env={"WATCHDOG_USEC": "5000000"}) as service:
        service.wait_ready()
        assert service.told() == {"WATCHDOG": "1"}
        assert service.told() == {"WATCHDOG": "1"}
    # Another's watchdog is none of ours; a short one is warned of.
    with Service(args, env={"WATCHDOG_USEC": "5000000", "WATCHDOG_PID": "1"}) as service:
        service.wait_ready()
        service.manager.settimeout(1.5)
        try:
            raise AssertionError(service.manager.recv(4096))
        except socket.timeout:
            pass
    with Service(args, env={"WATCHDOG_USEC": "1000"}) as service:
        service.wait_ready()
        assert "WATCHDOG_USEC=1000" in service.text(), service.text()


def test_a_manager_that_cannot_be_reached_stops_nothing():
    for path in ("/nonexistent/notify", "relative", "vsock:2:1", "@", "/" + "x" * 200):
        port = free_port()
        with listening() as tcp:
            port = tcp.getsockname()[1]
            with Service([], [tcp], notify=None, env={"NOTIFY_SOCKET": path}) as service:
                with Client(("127.0.0.1", port)) as client:
                    client.exchange(b"mn\r\n", b"MN\r\n")
                assert "NOTIFY_SOCKET=" in service.text(), service.text()


# -- sockets that are handed over ----------------------------------------------------------------------


def test_sockets_of_all_kinds_are_served():
    with tempfile.TemporaryDirectory(prefix="larder-service-") as folder:
        path = os.path.join(folder, "socket")
        with listening() as tcp, socket.socket(socket.AF_UNIX) as local, socket.socket(
            socket.AF_INET, socket.SOCK_DGRAM
        ) as udp:
            local.bind(path)
            local.listen(4)
            udp.bind(("127.0.0.1", 0))
            # Who comes before the server waits for it.
            with Client(tcp.getsockname()) as early:
                early.send(b"set a 0 0 1\r\nx\r\n")
                with Service(["-vv"], [tcp, local, udp], names="cache:local:") as service:
                    service.wait_ready()
                    early.expect(b"STORED\r\n")
                    with Client(path) as client:
                        client.exchange(b"get a\r\n", b"VALUE a 0 1\r\nx\r\nEND\r\n")
                    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
                        peer.settimeout(TIMEOUT_S)
                        for number in range(20):
                            peer.sendto(bytes([0, number, 0, 0, 0, 1, 0, 0]) + b"get a\r\n", udp.getsockname())
                            assert peer.recv(2000) == bytes([0, number, 0, 0, 0, 1, 0, 0]) + (
                                b"VALUE a 0 1\r\nx\r\nEND\r\n")
                    # Those and no other: neither the default port nor another.
                    assert tcp_ports(service.process.pid) == {tcp.getsockname()[1]}
                    with Client(tcp.getsockname()) as client:
                        assert f"unix:{path}" in client.stats("conns").values()
                    for fd in (3, 4, 5):
                        with open(f"/proc/{service.process.pid}/fdinfo/{fd}", encoding="ascii") as file:
                            flags = int(re.search(r"^flags:\s*(\d+)", file.read(), re.M).group(1), 8)
                        assert flags & os.O_NONBLOCK and flags & os.O_CLOEXEC, oct(flags)
            assert os.path.exists(path), "the socket's file is not the server's to remove"


def test_a_second_server_takes_over_the_socket():
    with listening() as tcp:
        for _ in range(2):
            with Service([], [tcp]) as service:
                service.wait_ready()
                with Client(tcp.getsockname()) as client:
                    client.exchange(b"get a\r\n", b"END\r\n")


def test_they_stand_in_for_the_addresses_of_the_file_and_not_for_those_of_the_command_line():
    with tempfile.TemporaryDirectory(prefix="larder-service-") as folder, listening() as tcp:
        mine = tcp.getsockname()[1]
        config = os.path.join(folder, "larder.conf")
        unix = os.path.join(folder, "socket")
        with open(config, "w", encoding="ascii") as file:
            file.write(f"-l 127.0.0.1\n-p {mine}\n-U {mine}\n-m 32\n")
        with Service(["--config", config], [tcp]) as service:
            assert service.wait_ready()["STATUS"] == "Serving: 4 workers, 32 megabytes"
            assert tcp_ports(service.process.pid) == {mine}
            with Client(tcp.getsockname()) as client:
                values = client.stats("settings")
                assert values["tcpport"] == "0" and values["udpport"] == "0", values
        other = free_port()
        with Service(["--config", config, "-p", str(other)], [tcp]) as service:
            service.wait_ready()
            assert tcp_ports(service.process.pid) == {mine, other}
        with Service(["--config", config, "-s", unix], [tcp]) as service:
            service.wait_ready()
            assert tcp_ports(service.process.pid) == {mine}
            with Client(unix) as client:
                client.exchange(b"mn\r\n", b"MN\r\n")
        with open(config, "a", encoding="ascii") as file:
            file.write(f"-s {unix}\n")
        with Service(["--config", config], [tcp]) as service:
            service.wait_ready()
            assert not os.path.exists(unix) and tcp_ports(service.process.pid) == {mine}


def test_a_daemon_keeps_them():
    with listening() as tcp:
        with Service(["-d"], [tcp]) as service:
            pid = int(service.wait_ready()["MAINPID"])
            try:
                assert service.exit_code() == 0
                with Client(tcp.getsockname()) as client:
                    client.exchange(b"mn\r\n", b"MN\r\n")
            finally:
                os.kill(pid, signal.SIGTERM)
            assert service.told()["STOPPING"] == "1"


def test_sockets_of_another_process_are_left_alone():
    port = free_port()
    with listening() as tcp:
        with Service(["-vv", "-l", "127.0.0.1", "-p", str(port)], [tcp], listen_pid=1) as service:
            service.wait_ready()
            assert re.findall(r"server listening on (\S+)", service.text()) == [f"tcp:127.0.0.1:{port}"]


def test_what_is_no_socket_to_serve_on_is_refused():
    with listening() as tcp, socket.create_connection(tcp.getsockname()) as connection:
        refused("does not listen", sockets=[connection], names="connection")
        refused("LISTEN_FDS: descriptor 3 (connection)", sockets=[connection], names="connection")
        refused("LISTEN_FDS: descriptor 4 (no name)", sockets=[tcp, connection])
        refused("Bad file descriptor", sockets=[tcp], listen_fds=2)
        refused("LISTEN_FDS=65", sockets=[tcp], listen_fds=65)
        refused("LISTEN_FDS=x", sockets=[tcp], listen_fds="x")
        refused("LISTEN_PID=me", sockets=[tcp], listen_pid="me")
    with open("/dev/null", "rb") as file:
        refused("Socket operation on non-socket", sockets=[file])
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as local:
        refused("a datagram socket of UDP", sockets=[local])
    with tempfile.NamedTemporaryFile() as users, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        users.write(b"ann:secret\n")
        users.flush()
        udp.bind(("127.0.0.1", 0))
        refused("nobody can log in", args=["-Y", users.name], sockets=[udp])


if __name__ == "__main__":
    run_tests(globals())
