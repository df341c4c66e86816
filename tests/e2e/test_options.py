#!/usr/bin/python3
"""What options do to a running server, and what -h and `stats settings` say of them."""

import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from server import SANITIZER_ENV, TIMEOUT_S, Client, Server, Skip, free_port, memcached_binary, run, run_tests

ROOT = ["-u", "root"] if os.geteuid() == 0 else []


class OwnAddresses(Server):
    """A server whose options name its addresses."""

    def __init__(self, address, options, **more):
        super().__init__(options=options, **more)
        self.own = address

    @property
    def address(self):
        return self.own


def help_text(binary=None):
    return run(["-h"], binary=binary).stdout.decode()


def listed_options(text):
    """The long names of the options that a -h lists, and whether each takes a value."""
    return dict(re.findall(r"^-[a-zA-Z]?,? *--([a-z_-]+)(=|)", text, re.M))


def listed_suboptions(text):
    return re.findall(r"^ +- ([a-z_]+):", text, re.M)


def settings_of(args, **more):
    with Server(args, **more) as server, server.client() as client:
        return client.stats("settings")


def wait_until(ready, what):
    deadline = time.monotonic() + TIMEOUT_S
    while not ready():
        assert time.monotonic() < deadline, f"waited for {what}"
        time.sleep(0.005)  # between two looks


def status_kb(pid, name):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        found = re.search(rf"^{name}:\s+(\d+) kB", file.read(), re.M)
    return int(found[1]) if found else 0


# -- -h ----------------------------------------------------------------------------------------------

# Of memcached's -h; what ours need not list.
NOT_HERE = {
    "napi_ids": "spelled --napi-ids as all others; taken",
    "enable-sasl": "may not be built",
    "auth-file": "likewise",
    "enable-ssl": "likewise",
}
VALUES = {
    "hashpower": "=16",
    "tail_repair_time": "=20",
    "hash_algorithm": "=xxh3",
    "slab_sizes": "=100-200",
    "evict_for": "=bytes",
    "mysql_hook": "=/x",
    "metrics": "=/x",
    "slab_chunk_max": "=512",
    "hot_lru_pct": "=20",
    "warm_lru_pct": "=30",
    "hot_max_factor": "=1",
    "warm_max_factor": "=1",
    "slab_automove_ratio": "=0.5",
    "slab_automove_window": "=5",
    "slab_automove_freeratio": "=0.01",
    "ssl_chain_cert": "=/x",
    "ssl_key": "=/x",
    "ssl_keyformat": "=PEM",
    "ssl_ciphers": "=X",
    "ssl_ca_cert": "=/x",
    "load": "=/x",
    "load_if_there": "=/x",
    "snapshot_dir": "=/x",
}
NUMBERS = (
    "lru_crawler_sleep lru_crawler_tocrawl read_buf_mem_limit temporary_ttl idle_timeout watcher_logbuf_size"
    " worker_logbuf_size sock_cookie_id ssl_verify_mode ssl_wbuf_size ssl_min_version resp_obj_mem_limit"
).split()


def test_every_suboption_that_help_lists_is_taken():
    names = listed_suboptions(help_text())
    assert len(names) > 35 and len(names) == len(set(names)), names
    for name in names:
        value = VALUES.get(name, "=1" if name in NUMBERS else "")
        # -V ends before anything is served, and after what stands before it was taken.
        done = run(["-o", name + value, "-V"])
        assert done.returncode == 0, (name, done)


def test_every_option_that_help_lists_is_taken():
    options = listed_options(help_text())
    assert len(options) > 30, options
    values = {"port": "0", "udp-port": "0", "protocol": "ascii", "max-item-size": "2m", "slab-growth-factor": "1.5", "listen": "127.0.0.1", "extended": "modern"}
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as config:
        values["config"] = config.name
        for name, takes_value in options.items():
            if name in NOT_HERE:
                continue
            value = [values.get(name, "4")] if takes_value else []
            done = run([f"--{name}", *value, "-V"])
            assert done.returncode == 0, (name, done)


def test_help_lists_what_memcached_lists():
    theirs = help_text(memcached_binary())
    ours = help_text()
    missing = set(listed_options(theirs)) - set(listed_options(ours)) - set(NOT_HERE)
    assert not missing, missing
    shorts = set(re.findall(r"^-([a-zA-Z])\b", theirs, re.M)) - set(re.findall(r"^-([a-zA-Z])\b", ours, re.M))
    assert shorts <= {"S", "Y", "Z", "e"}, shorts  # see NOT_HERE
    missing = {name for name in listed_suboptions(theirs) if not name.startswith("ext_")} - set(listed_suboptions(ours))
    if "ssl_chain_cert" not in ours:
        missing = {name for name in missing if not name.startswith("ssl_")}
    assert not missing, missing
    assert "proxy_config" not in ours and "ext_path" not in ours


def test_every_suboption_stands_in_the_manual():
    here = os.path.dirname(os.path.abspath(__file__))
    with open(os.path.join(here, "..", "..", "server", "dist", "larder.1"), encoding="utf-8") as file:
        manual = file.read().replace("\\-", "-")
    text = help_text()
    for name in listed_suboptions(text):
        assert re.search(rf"\b{name}\b", manual), name
    for name in listed_options(text):
        assert f"--{name}" in manual, name


# -- stats settings ----------------------------------------------------------------------------------


def settings_in_order(server):
    with server.client() as client:
        client.send(b"stats settings\r\n")
        lines = client.recv_until(b"END\r\n").decode().split("\r\n")
    return [line.split(" ", 2)[1] for line in lines if line.startswith("STAT ")]


def test_settings_have_memcacheds_names_in_its_order():
    with Server(binary=memcached_binary()) as server:
        theirs = settings_in_order(server)
    with Server() as server:
        ours = settings_in_order(server)
    theirs = [name for name in theirs if not name.startswith("ext_")]
    if "ssl_enabled" not in ours:
        theirs = [name for name in theirs if not name.startswith("ssl_")]
    # The peer may be older, and built with other libraries.
    newer = ("client_flags_size", "drop_privileges", "evict_for")  # the last is larder's alone
    assert [name for name in ours if name not in newer] == [name for name in theirs if name not in newer]
    assert ours[-2:] == ["client_flags_size", "evict_for"]


SETTINGS = [
    ([], {"num_napi_ids": "(null)", "slab_automove_freeratio": "0.010", "hashpower_init": "0", "umask": "700"}),
    (["-N", "3"], {"num_napi_ids": "3"}),
    (["-B", "ascii", "-R", "7", "-b", "9"], {"binding_protocol": "ascii", "reqs_per_event": "7", "tcp_backlog": "9"}),
    (["-f", "1.5", "-n", "96"], {"growth_factor": "1.50", "chunk_size": "96"}),
    (["-C", "-M", "-F", "-X", "-A"], {"cas_enabled": "no", "evictions": "off", "flush_enabled": "no", "dump_enabled": "no"}),
    (["-D", "/"], {"stat_key_prefix": "/", "detail_enabled": "yes"}),
    (["-I", "2m", "-m", "100"], {"item_size_max": "2097152", "maxbytes": "104857600"}),
    (["-vv"], {"verbosity": "2"}),
    (["-o", "hashpower=20,no_hashexpand"], {"hashpower_init": "20"}),
    (["-o", "slab_automove=2,slab_automove_ratio=0.5"], {"slab_automove": "2", "slab_automove_ratio": "0.50"}),
    (["-o", "slab_automove_window=33,slab_automove_freeratio=0.05"], {"slab_automove_freeratio": "0.050"}),
    (["-o", "slab_chunk_max=16,track_sizes"], {"slab_chunk_max": "16384", "track_sizes": "yes"}),
    (["-o", "hot_lru_pct=5,warm_lru_pct=6"], {"hot_lru_pct": "5", "warm_lru_pct": "6"}),
    (["-o", "temporary_ttl=9"], {"temp_lru": "yes", "temporary_ttl": "9"}),
    (["-o", "read_buf_mem_limit=3,idle_timeout=99"], {"read_buf_mem_limit": "3145728", "idle_timeout": "99"}),
    (["-o", "tail_repair_time=30,hash_algorithm=jenkins"], {"tail_repair_time": "30", "hash_algorithm": "jenkins"}),
    (["-o", "watcher_logbuf_size=7", "-o", "worker_logbuf_size=8"], {"watcher_logbuf_size": "7168", "worker_logbuf_size": "8192"}),
    (["-o", "no_lru_maintainer,no_lru_crawler"], {"lru_maintainer_thread": "no", "lru_segmented": "no", "lru_crawler": "no"}),
    (["-o", "evict_for=bytes"], {"evict_for": "bytes"}),
    (["-o", "evict_for=bytes,evict_for=objects"], {"evict_for": "objects"}),
    (["-o", "no_modern"], {"maxconns_fast": "no", "slab_reassign": "no", "slab_automove": "0", "slab_chunk_max": "1048576"}),
]


def test_settings_show_what_was_given():
    for args, expected in SETTINGS:
        shown = settings_of(args)
        for name, value in expected.items():
            assert shown[name] == value, (args, name, shown[name], value)


def test_slab_sizes_are_the_classes():
    with Server(["-o", "slab_sizes=96-304-1000"]) as server, server.client() as client:
        for size in (10, 200, 900, 5000):
            client.exchange(b"set k%d 0 0 %d\r\n%s\r\n" % (size, size, b"x" * size), b"STORED\r\n")
            client.exchange(b"get k%d\r\n" % size, b"VALUE k%d 0 %d\r\n%s\r\nEND\r\n" % (size, size, b"x" * size))
        slabs = client.stats("slabs")
        sizes = [int(value) for name, value in slabs.items() if name.endswith(":chunk_size")]
        assert sizes[:3] == [96, 304, 1000] and len(sizes) == 4, sizes


# -- listeners ---------------------------------------------------------------------------------------


def test_each_listener_has_its_protocol():
    ascii_port, binary_port, any_port = free_port(), free_port(), free_port()
    spec = f"proto[ascii]:127.0.0.1:{ascii_port},tag[x]:proto[binary]:127.0.0.1:{binary_port}"
    options = ROOT + ["-B", "ascii", "-l", spec, "-l", f"proto[negotiating]:127.0.0.1:{any_port}"]
    noop = struct.pack(">BBHBBHIIQ", 0x80, 0x0A, 0, 0, 0, 0, 0, 7, 0)
    answer = struct.pack(">BBHBBHIIQ", 0x81, 0x0A, 0, 0, 0, 0, 0, 7, 0)
    with OwnAddresses(("127.0.0.1", ascii_port), options):
        with Client(("127.0.0.1", binary_port)) as client:
            client.exchange(noop, answer)
        with Client(("127.0.0.1", binary_port)) as client:
            client.send(b"mn\r\n")
            client.expect_close()
        with Client(("127.0.0.1", any_port)) as client:
            client.exchange(noop, answer)
        with Client(("127.0.0.1", any_port)) as client:
            client.exchange(b"mn\r\n", b"MN\r\n")
        with Client(("127.0.0.1", ascii_port)) as client:
            client.exchange(b"\x80mn\r\n", b"ERROR\r\n")


def test_napi_ids_fall_back_to_round_robin_on_the_loopback():
    with Server(["-N", "2", "-t", "2"]) as server, server.client() as client:
        before = int(client.stats()["round_robin_fallback"])
        others = [server.client() for _ in range(4)]
        for other in others:
            other.exchange(b"mn\r\n", b"MN\r\n")
        stats = client.stats()
        assert int(stats["round_robin_fallback"]) == before + 4, stats["round_robin_fallback"]
        assert stats["unexpected_napi_ids"] == "0"
        for other in others:
            other.close()
    with Server() as server, server.client() as client:
        assert client.stats()["round_robin_fallback"] == "0"


def test_read_buffers_stay_within_their_limit():
    # One worker: a megabyte of half commands fits, and what comes after it is refused.
    with Server(["-t", "1", "-o", "read_buf_mem_limit=1"]) as server, server.client() as asking:
        half = b"get " + b"x" * 200 + b" " + b"y" * 60000
        clients = [server.client() for _ in range(30)]
        for client in clients:
            client.send(half)
        wait_until(lambda: int(asking.stats()["bytes_read"]) >= 30 * len(half), "the half commands")
        stats = asking.stats()
        assert int(stats["read_buf_bytes"]) <= (1 << 20) + 65536, stats["read_buf_bytes"]
        refused = int(stats["read_buf_oom"])
        assert 10 <= refused <= 16, refused
        told = 0
        for client in clients:
            client.send(b"\r\n")
            told += client.recv_line().startswith(b"SERVER_ERROR out of memory reading request")
            client.close()
        assert told == refused, (told, refused)
        # All of it comes back.
        wait_until(lambda: int(asking.stats()["curr_connections"]) == 1, "the connections' end")
        assert int(asking.stats()["read_buf_bytes"]) <= 65536 * 2, asking.stats()["read_buf_bytes"]


# -- drop_privileges ---------------------------------------------------------------------------------


def need_seccomp():
    if "drop_privileges" not in listed_suboptions(help_text()):
        raise Skip("the server was built without seccomp")


def filters(pid):
    """The number of filters on each thread of a process."""
    found = []
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/status", encoding="ascii") as file:
            status = file.read()
        mode = int(re.search(r"^Seccomp:\t(\d)", status, re.M)[1])
        count = re.search(r"^Seccomp_filters:\t(\d+)", status, re.M)
        found.append(int(count[1]) if count else (2 if mode == 2 else 0))
    return sorted(found)


def test_dropped_privileges_filter_every_thread():
    need_seccomp()
    with Server(["-t", "3", "-o", "drop_privileges"], env=SANITIZER_ENV) as server:
        # Each worker begins with its own, which may be a moment after the first connection is accepted.
        wait_until(lambda: filters(server.pid).count(3) >= 3, "the filters of the workers")
        assert filters(server.pid)[0] >= 2, filters(server.pid)
    with Server(["-t", "3", "-o", "drop_privileges,relaxed_privileges"], env=SANITIZER_ENV) as server:
        assert set(filters(server.pid)) == {2}, filters(server.pid)
    with Server() as server:
        assert set(filters(server.pid)) == {0}, filters(server.pid)
    assert settings_of(["-o", "drop_privileges"], env=SANITIZER_ENV)["drop_privileges"] == "yes"
    assert settings_of(["-o", "drop_privileges,no_drop_privileges"])["drop_privileges"] == "no"


def test_everything_works_without_privileges():
    need_seccomp()
    options = ["-m", "16", "-A", "-v", "-o", "drop_privileges,idle_timeout=60"]
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        pid_file = os.path.join(folder, "pid")
        with Server([*options, "-P", pid_file], env=SANITIZER_ENV) as server:
            clients = [server.client() for _ in range(8)]
            for number, client in enumerate(clients):
                for size in (10, 5000, 300000):
                    value = bytes([65 + number]) * size
                    for i in range(12):
                        client.send(b"set k%d.%d.%d 0 0 %d\r\n%s\r\n" % (number, size, i, size, value))
                        client.expect(b"STORED\r\n")
                client.send(b"get k%d.300000.11\r\n" % number)
                client.recv_until(b"END\r\n")
                client.stats()
                client.stats("items")
                client.stats("slabs")
                client.stats("conns")
                client.exchange(b"verbosity 1\r\n", b"OK\r\n")
                client.exchange(b"cache_memlimit 24\r\n", b"OK\r\n")
                client.exchange(b"refresh_certs\r\n", b"Error TLS not enabled\r\n")
            clients[0].exchange(b"flush_all\r\n", b"OK\r\n")
            for client in clients:
                client.close()
            assert os.path.exists(pid_file)
            with server.client() as client:
                client.send(b"shutdown graceful\r\n")
                assert server.wait_for_exit() == 0
        assert not os.path.exists(pid_file)


def test_certificates_are_loaded_again_without_privileges():
    need_seccomp()
    if not shutil.which("openssl") or "ssl_chain_cert" not in help_text():
        raise Skip("no openssl command, or no TLS")
    import ssl

    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        crt, key = os.path.join(folder, "crt"), os.path.join(folder, "key")

        def issue():
            command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
            command += ["-keyout", key, "-out", crt, "-subj", "/CN=localhost"]
            subprocess.run(command, check=True, capture_output=True, timeout=TIMEOUT_S)

        issue()
        port = free_port()
        options = [*ROOT, "-l", f"127.0.0.1:{port}", "-Z", "-o", f"ssl_chain_cert={crt},ssl_key={key},drop_privileges"]
        with OwnAddresses(("127.0.0.1", port), options, env=SANITIZER_ENV):

            def certificate():
                context = ssl.create_default_context()
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
                plain = socket.create_connection(("127.0.0.1", port), TIMEOUT_S)
                with context.wrap_socket(plain) as tls:
                    tls.sendall(b"refresh_certs\r\n")
                    assert tls.recv(100) == b"OK\r\n"
                    return tls.getpeercert(True)

            first = certificate()
            issue()
            certificate()  # has the server load the new one
            assert certificate() != first


# -- memory and the process ------------------------------------------------------------------------


def test_locked_memory_is_locked_or_warned_of():
    with Server(["-k", "-m", "16"]) as server, server.client() as client:
        client.exchange(b"set a 0 0 1\r\nx\r\n", b"STORED\r\n")
        with open(f"/proc/{server.pid}/maps", encoding="utf-8") as file:
            if re.search(r"lib[at]san", file.read()):
                raise Skip("a sanitizer has mlockall() do nothing")
        assert status_kb(server.pid, "VmLck") > 0 or "warning: -k invalid, mlockall() failed" in server.log(), server.log()
    with Server(["-m", "16"]) as server:
        assert status_kb(server.pid, "VmLck") == 0


def test_large_pages_take_all_memory_at_the_start():
    try:
        with open("/sys/kernel/mm/transparent_hugepage/enabled", encoding="ascii") as file:
            mode = file.read()
    except FileNotFoundError:
        mode = "[never]"
    if "[never]" in mode:
        port = ["-l", "127.0.0.1", "-p", "0"]
        done = run([*ROOT, *port, "-L"])
        assert done.returncode == 1 and b"-L: this system has no large pages to give" in done.stderr, done
        raise Skip("no transparent huge pages here: -L was refused as it should be")
    with Server(["-L", "-m", "48"]) as server:
        assert status_kb(server.pid, "VmRSS") > 40 * 1024, status_kb(server.pid, "VmRSS")
        with server.client() as client:
            client.exchange(b"set a 0 0 1\r\nx\r\n", b"STORED\r\n")


def test_core_files_may_be_as_large_as_they_get():
    import resource

    before = resource.getrlimit(resource.RLIMIT_CORE)
    if before[1] == 0:
        raise Skip("core files are forbidden here")
    resource.setrlimit(resource.RLIMIT_CORE, (0, before[1]))
    try:
        with Server(["-r"]) as server:
            assert resource.prlimit(server.pid, resource.RLIMIT_CORE)[0] != 0
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, before)


def test_backlog_is_the_kernels():
    with Server(["-b", "7"]) as server:
        if not shutil.which("ss"):
            raise Skip("no ss command to look with")
        done = subprocess.run(["ss", "-Hltn", f"sport = :{server.port}"], capture_output=True, check=True, timeout=TIMEOUT_S)
        assert done.stdout.split()[2] == b"7", done.stdout


def test_socket_mark_is_set_or_told_of():
    with Server(["-o", "sock_cookie_id=5"]) as server:
        ss = shutil.which("ss")
        if os.geteuid() != 0:
            server.wait_for_log("-o sock_cookie_id=5: cannot mark the socket")
        elif ss:
            done = subprocess.run([ss, "-Hltnem", f"sport = :{server.port}"], capture_output=True, check=True, timeout=TIMEOUT_S)
            assert b"fwmark:0x5" in done.stdout or "cannot mark the socket" in server.log(), done.stdout


# -- --config ----------------------------------------------------------------------------------------


def test_config_file_is_served_by_and_the_command_line_wins():
    port = free_port()
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as config:
        config.write("# larder\n-d\nlogfile /var/log/x\n-m 100\n-l 127.0.0.1 # local\n-p 1\n-o idle_timeout=7\n")
        config.flush()
        os.chmod(config.name, 0o644)
        options = [*ROOT, f"--config={config.name}", "-p", str(port), "-o", "track_sizes"]
        with OwnAddresses(("127.0.0.1", port), options) as server, server.client() as client:
            shown = client.stats("settings")
            assert shown["maxbytes"] == str(100 << 20) and shown["tcpport"] == str(port), shown
            assert shown["inter"] == "127.0.0.1" and shown["idle_timeout"] == "7" and shown["track_sizes"] == "yes"
        config.write("-Q\n")
        config.flush()
        done = run([*ROOT, "--config", config.name])
        assert done.returncode == 1 and f"{config.name}:8: ".encode() in done.stderr, done
    done = run([*ROOT, "--config", "/nonexistent/x"])
    assert done.returncode == 1 and b"/nonexistent/x: cannot be read" in done.stderr, done


if __name__ == "__main__":
    run_tests(globals())
