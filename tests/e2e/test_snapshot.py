"""larder snapshot and -o load: all items in a file, written while the server serves, and read at the next start.

The files are read here by a reader of their own, made from what server/engine/snapshot.h says of the format.
"""

import ctypes
import os
import resource
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from server import SANITIZER_ENV, Server, Skip, TIMEOUT_S, larder_binary, run, run_tests, wait_until  # noqa: E402

LARGE_ITEMS = 1500  # of 30 KB: a snapshot of them takes long enough to be met
TRIES_MAX = 20  # to meet a snapshot while it is written
NO_FILE = "No such file or directory"


class Folder:
    """A folder for snapshots that goes when the test ends."""

    def __enter__(self):
        self.path = tempfile.mkdtemp(prefix="larder-snapshot-")
        os.chmod(self.path, 0o700)
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.path, ignore_errors=True)

    def file(self, name="items"):
        return os.path.join(self.path, name)

    def names(self):
        return sorted(os.listdir(self.path))


# -- the format --------------------------------------------------------------------------------------------------


def checksum_function():
    """XXH3 of 64 bits with a seed, or None where its library is missing."""
    try:
        xxhash = ctypes.CDLL("libxxhash.so.0")
        function = xxhash.XXH3_64bits_withSeed
    except (OSError, AttributeError):
        return None
    function.restype = ctypes.c_uint64
    function.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint64]
    return lambda data, seed: function(data, len(data), seed)


def read_snapshot(path):
    """The items of a file, by key; each a dict.  Asserts all that the format promises."""
    with open(path, "rb") as file:
        data = file.read()
    checksum = checksum_function()
    magic, version, zero, begun, cas_begun, seed = struct.unpack_from("<8sIIqQQ", data)
    assert magic == b"\x8clarder\n" and version == 1 and zero == 0, data[:16]
    assert checksum is None or checksum(data[:32], 0) == seed
    at, stream, records = 40, [], 0
    while True:
        kind, length, count, zero = struct.unpack_from("<4sIII", data, at)
        assert length <= 1 << 20 and zero == 0
        (stored,) = struct.unpack_from("<Q", data, at + 16 + length)
        assert checksum is None or checksum(data[at : at + 16 + length], seed) == stored, f"block at {at}"
        payload = data[at + 16 : at + 16 + length]
        seed = stored
        at += 16 + length + 8
        if kind == b"DONE":
            break
        assert kind == b"ITEM", kind
        stream.append(payload)
        records += count
    assert at == len(data), "bytes behind the end"
    stream = b"".join(stream)
    assert struct.unpack_from("<QQ", payload) == (records, len(stream))
    ended, cas_ended = struct.unpack_from("<qQ", payload, 16)
    assert begun <= ended and cas_begun <= cas_ended
    items, at = {}, 0
    while at < len(stream):
        cas, expires, used, flags, value_len, key_len, marks, uses, zero = struct.unpack_from("<QqqIIBBBB", stream, at)
        key = stream[at + 36 : at + 36 + key_len]
        value = stream[at + 36 + key_len : at + 36 + key_len + value_len]
        at += 36 + key_len + value_len
        assert zero == 0 and uses <= 3 and key not in items and len(value) == value_len
        items[key] = {"cas": cas, "expires": expires, "used": used, "flags": flags, "marks": marks, "value": value}
    assert len(items) == records
    return items


# -- what users do -----------------------------------------------------------------------------------------------


def set_many(client, prefix, count, value):
    for start in range(0, count, 500):
        keys = range(start, min(start + 500, count))
        client.send(b"".join(b"set %s:%d 0 0 %d noreply\r\n%s\r\n" % (prefix, i, len(value), value) for i in keys))
    client.exchange(b"mn\r\n", b"MN\r\n")


def snapshot(client, path):
    client.exchange(b"larder snapshot %s\r\n" % path.encode(), b"OK\r\n")


def is_writing(client):
    return client.stats("larder")["snapshot_writing"] == "1"


def value_of(client, key):
    client.send(b"get %s\r\n" % key)
    line = client.recv_line()
    if line == b"END\r\n":
        return None
    length = int(line.split()[3])
    value = client.recv_exact(length)
    client.expect(b"\r\nEND\r\n")
    return value


def meta(client, line):
    client.send(line + b"\r\n")
    return client.recv_line().rstrip(b"\r\n")


LONG = bytes(range(256)) * 4000  # of nearly 1 MiB, with every byte


def fill_with_all_kinds(client):
    client.exchange(b"set plain 0 0 5\r\nvalue\r\n", b"STORED\r\n")
    client.exchange(b"set empty 0 0 0\r\n\r\n", b"STORED\r\n")
    client.exchange(b"set flags 4294967295 0 1\r\nx\r\n", b"STORED\r\n")
    client.exchange(b"set hour 0 3600 1\r\nx\r\n", b"STORED\r\n")
    client.exchange(b"set long 7 0 %d\r\n%s\r\n" % (len(LONG), LONG), b"STORED\r\n")
    client.exchange(b"set %s 0 0 1\r\nx\r\n" % (b"k" * 250), b"STORED\r\n")
    client.exchange(b"set number 0 0 2\r\n41\r\n", b"STORED\r\n")
    assert meta(client, b"ms AAECAwo= 1 b\r\nx") == b"HD"  # bytes 0 1 2 3 and LF
    assert meta(client, b"ms stale 1\r\nx") == b"HD"
    assert meta(client, b"md stale I T600") == b"HD"
    assert meta(client, b"ms own 1 E1234567\r\nx") == b"HD"
    client.exchange(b"get plain\r\n", b"VALUE plain 0 5\r\nvalue\r\nEND\r\n")


def test_every_kind_of_item_is_there_after_a_restart():
    with Folder() as folder:
        with Server(["-A"]) as server, server.client() as client:
            fill_with_all_kinds(client)
            before = meta(client, b"mg plain c")
            now = time.time()
            snapshot(client, folder.file())
            mode = os.stat(folder.file()).st_mode & 0o7777
            assert mode == 0o600 and folder.names() == ["items"], (oct(mode), folder.names())
            figures = client.stats("larder")
            assert figures["snapshot_result"] == "ok" and figures["snapshots_ok"] == "1", figures
            assert figures["snapshot_items"] == "10", figures
            assert figures["snapshot_bytes"] == str(os.path.getsize(folder.file())), figures
            assert figures["snapshot_file"] == folder.file(), figures
            assert int(figures["snapshot_us"]) > 0 and abs(int(figures["snapshot_ended_at"]) - now) < 60, figures
        items = read_snapshot(folder.file())
        assert len(items) == 10, items.keys()
        assert items[b"long"]["value"] == LONG and items[b"long"]["flags"] == 7
        assert items[b"flags"]["flags"] == 4294967295 and items[b"empty"]["value"] == b""
        assert abs(items[b"hour"]["expires"] - now - 3600) < 10 and items[b"plain"]["expires"] == 0
        assert items[b"own"]["cas"] == 1234567
        assert items[b"\0\1\2\3\n"]["marks"] == 4 and items[b"stale"]["marks"] & 1 == 1
        assert items[b"plain"]["marks"] == 8 and items[b"empty"]["marks"] == 0
        with Server(["-o", "load=" + folder.file()]) as server, server.client() as client:
            assert value_of(client, b"long") == LONG and value_of(client, b"empty") == b""
            client.exchange(b"get flags\r\n", b"VALUE flags 4294967295 1\r\nx\r\nEND\r\n")
            assert meta(client, b"mg plain c") == before
            assert int(meta(client, b"mg plain c").split(b"c")[1]) < int(meta(client, b"ms new 0 c\r\n").split(b"c")[1])
            assert 3500 < int(meta(client, b"mg hour t").split(b"t")[1]) <= 3600
            assert meta(client, b"mg own c") == b"HD c1234567"
            assert meta(client, b"mg AAECAwo= b k") == b"HD kAAECAwo= b"
            assert meta(client, b"mg stale s") == b"HD s1 X W"
            assert meta(client, b"mg stale s") == b"HD s1 Z X"
            client.exchange(b"incr number 1\r\n", b"42\r\n")
            assert value_of(client, b"k" * 250) == b"x"
            stats, figures = client.stats(), client.stats("larder")
            assert stats["cmd_set"] == "1" and stats["curr_items"] == "11", stats
            assert figures["load_items"] == "10" and figures["load_file"] == folder.file(), figures
            assert f"{folder.file()}: 10 items in " in server.log(), server.log()


def test_a_won_item_stays_won():
    with Folder() as folder:
        with Server(["-A"]) as server, server.client() as client:
            assert meta(client, b"mg key N30 v") == b"VA 0 W"
            client.expect(b"\r\n")
            snapshot(client, folder.file())
        with Server(["-o", "load=" + folder.file()]) as server, server.client() as client:
            assert meta(client, b"mg key N30 t").endswith(b"Z")


def test_times_go_on_while_the_server_is_down():
    with Folder() as folder:
        with Server(["-A"]) as server, server.client() as client:
            client.exchange(b"set soon 0 2 1\r\nx\r\n", b"STORED\r\n")
            client.exchange(b"set later 0 1000 1\r\nx\r\n", b"STORED\r\n")
            snapshot(client, folder.file())
        expires = read_snapshot(folder.file())[b"soon"]["expires"]
        wait_until(lambda: time.time() > expires, "the item to expire")
        with Server(["-o", "load=" + folder.file()]) as server, server.client() as client:
            assert value_of(client, b"soon") is None and value_of(client, b"later") == b"x"
            assert client.stats("larder")["load_expired"] == "1"


def test_other_servers_read_it():
    with Folder() as folder:
        with Server(["-A", "-m", "64", "-t", "1"]) as server, server.client() as client:
            set_many(client, b"key", 3000, b"x" * 500)
            client.exchange(b"set long 0 0 %d\r\n%s\r\n" % (len(LONG), LONG), b"STORED\r\n")
            snapshot(client, folder.file())
        load = ["-o", "load=" + folder.file()]
        for args in (["-C"], ["-t", "7"], ["-f", "1.5", "-n", "100"], ["-o", "slab_sizes=200-700-5000"], ["-M"]):
            with Server(load + args) as server, server.client() as client:
                assert client.stats()["curr_items"] == "3001", args
                assert value_of(client, b"long") == LONG, args
                assert value_of(client, b"key:2999") == b"x" * 500, args
        with Server(load + ["-I", "8k", "-o", "slab_chunk_max=4"]) as server, server.client() as client:
            assert client.stats()["curr_items"] == "3000"
            assert client.stats("larder")["load_too_large"] == "1"
        with Server(load + ["-m", "2"]) as server, server.client() as client:
            assert 500 < int(client.stats()["curr_items"]) < 3001
            assert int(client.stats()["evictions"]) > 0
        with Server(load + ["-m", "2", "-M"]) as server, server.client() as client:
            figures = client.stats("larder")
            assert int(figures["load_items"]) + int(figures["load_no_room"]) == 3001, figures
            assert int(figures["load_no_room"]) > 100, figures


def test_a_server_without_a_say_for_it_refuses():
    with Folder() as folder:
        line = b"larder snapshot %s\r\n" % folder.file().encode()
        with Server() as server, server.client() as client:
            client.exchange(line, b"SERVER_ERROR: snapshot not enabled\r\n")
            client.expect_quiet()
        users = folder.file("users")
        with open(users, "w") as file:
            file.write("me:secret\n")
        with Server(["-Y", users]) as server, server.client() as client:
            client.exchange(line, b"CLIENT_ERROR unauthenticated\r\n")
            client.exchange(b"set auth 0 0 9\r\nme secret\r\n", b"STORED\r\n")
            client.exchange(line, b"OK\r\n")
            client.exchange(b"larder snapshot\r\n", b"CLIENT_ERROR usage: larder snapshot <file>\r\n")
            client.exchange(b"larder snapshot a b\r\n", b"CLIENT_ERROR usage: larder snapshot <file>\r\n")
            for path in (b"items", b"./items", b"/tmp/", b"/", b"/a\x01b", b"/" + b"a" * 1000):
                client.exchange(
                    b"larder snapshot %s\r\n" % path, b"CLIENT_ERROR a snapshot needs the absolute path of a file\r\n"
                )
            client.expect_quiet()
        assert folder.names() == ["items", "users"]


def test_what_is_no_snapshot_is_not_replaced():
    with Folder() as folder, Server(["-A"]) as server, server.client() as client:
        with open(folder.file(), "w") as file:
            file.write("precious\n")
        os.symlink(folder.file(), folder.file("link"))
        os.mkdir(folder.file("folder"))
        for name, why in (
            ("items", b"is there, is not a snapshot of larder, and is not replaced"),
            ("folder", b"is there, is not a snapshot of larder, and is not replaced"),
            ("link", b"cannot be replaced: Too many levels of symbolic links"),
        ):
            path = folder.file(name).encode()
            client.exchange(b"larder snapshot %s\r\n" % path, b"SERVER_ERROR %s: %s\r\n" % (path, why))
        path = folder.file("none/items").encode()
        client.exchange(
            b"larder snapshot %s\r\n" % path, b"SERVER_ERROR %s: its folder cannot be opened: %s\r\n" % (path, NO_FILE.encode())
        )
        figures = client.stats("larder")
        assert figures["snapshots_failed"] == "4" and NO_FILE in figures["snapshot_result"], figures
        assert folder.names() == ["folder", "items", "link"]


BAD_NAME = b"CLIENT_ERROR a snapshot needs the name of a file in the folder of -o snapshot_dir\r\n"


def test_a_folder_of_its_own_is_not_left():
    with Folder() as outside, Folder() as folder:
        for name in ("link", "sub/link"):
            os.makedirs(os.path.dirname(folder.file(name)), exist_ok=True)
            os.symlink(outside.path, folder.file(name))
        os.symlink(outside.file(), folder.file("file"))
        for slashes in ("", "//"):
            with Server(["-A", "-o", "snapshot_dir=" + folder.path + slashes]) as server, server.client() as client:
                client.exchange(b"set a 0 0 1\r\nx\r\n", b"STORED\r\n")
                for name in (
                    *(outside.file(), "/items", "//items", "/", "../items", "..", ".", "./items", "sub/items", "sub/", "link/items"),
                    *("sub/link/items", folder.path, folder.path + "/", folder.file("../items"), folder.file("sub/items")),
                    *(folder.path + "//items", folder.path + "items", "a\x01b", "a\x7fb", "a" * 1000, "/" + "a" * 1000),
                ):
                    client.exchange(b"larder snapshot %s\r\n" % name.encode(), BAD_NAME)
                path = folder.file("file").encode()
                client.exchange(
                    b"larder snapshot file\r\n", b"SERVER_ERROR %s: cannot be replaced: Too many levels of symbolic links\r\n" % path
                )
                assert outside.names() == []
                snapshot(client, "items")
                assert client.stats("larder")["snapshot_file"] == folder.file()
                snapshot(client, folder.file("as_path"))
                snapshot(client, "..items")
                assert read_snapshot(folder.file()).keys() == {b"a"}
        assert folder.names() == ["..items", "as_path", "file", "items", "link", "sub"] and outside.names() == []
        with Server(["-o", f"snapshot_dir={folder.path},load={folder.file()}"]) as server, server.client() as client:
            assert value_of(client, b"a") == b"x"


def test_a_folder_that_will_not_do_ends_the_start():
    with Folder() as folder:
        with open(folder.file(), "w") as file:
            file.write("x")
        for name, code, why in (
            (folder.file("none"), 1, NO_FILE),
            (folder.file(), 1, "Not a directory"),
            ("items", 64, "an absolute path of up to 744 bytes is right"),
            ("/" + "a" * 744, 64, "an absolute path of up to 744 bytes is right"),
        ):
            root = ["-u", "root"] if os.geteuid() == 0 else []
            ended = run([*root, "-l", "127.0.0.1", "-p", "-1", "-o", "snapshot_dir=" + name])
            assert ended.returncode == code, ended
            text = ended.stderr.decode()
            assert text.startswith("-o snapshot_dir=" + name[:300]) and text.endswith(f": {why}\n"), text
        if os.geteuid() == 0:
            ended = run(["-u", "nobody", "-l", "127.0.0.1", "-p", "-1", "-o", "snapshot_dir=" + folder.path])
            assert ended.returncode == 1 and b"the server's user cannot write there" in ended.stderr, ended


def test_commands_behind_it_are_answered_behind_it():
    with Folder() as folder, Server(["-A"]) as server, server.client() as client:
        line = b"larder snapshot %s\r\n" % folder.file().encode()
        client.exchange(b"mn\r\n" + line + b"get a\r\nmn\r\n" + line + b"mn\r\n", b"MN\r\nOK\r\nEND\r\nMN\r\nOK\r\nMN\r\n")
        os.unlink(folder.file())
        client.exchange(line[:-2] + b" noreply\r\nmn\r\n", b"MN\r\n")
        wait_until(lambda: folder.names() == ["items"] and not is_writing(client), "the snapshot of the noreply")


def test_who_was_refused_takes_nobodys_place():
    with Folder() as folder, Server(["-A", "-t", "1"]) as server:
        refused = [server.client() for _ in range(300)]  # more than may wait at once
        for client in refused:
            client.exchange(b"larder snapshot items\r\n", b"CLIENT_ERROR a snapshot needs the absolute path of a file\r\n")
        with server.client() as client:
            snapshot(client, folder.file())
        for client in refused:
            client.close()


def test_no_datagram_asks_for_one():
    with Folder() as folder, Server(["-A"], udp=True) as server, server.client() as client:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.connect(server.address)
            udp.settimeout(TIMEOUT_S)
            head = struct.pack(">HHHH", 1, 0, 1, 0)
            udp.send(head + b"larder snapshot %s\r\n" % folder.file().encode())
            udp.send(head + b"version\r\n")
            assert udp.recv(1500)[8:].startswith(b"VERSION")
        assert not is_writing(client) and folder.names() == []


# -- while it is written -----------------------------------------------------------------------------------------


def meet(client, path, other):
    """Begins snapshots by `client` until `other` meets one that is being written; its reply is still to come."""
    for _ in range(TRIES_MAX):
        client.send(b"larder snapshot %s\r\n" % path.encode())
        for _ in range(1000):
            figures = other.stats("larder")
            if figures["snapshot_writing"] == "1" and int(figures["snapshot_bytes"]) > 0:
                return
            if figures["snapshot_writing"] == "0" and int(figures["snapshot_items"]) > 0:
                break
        client.expect(b"OK\r\n")
    raise AssertionError("no snapshot was met while it was written")


def meet_once(client, other, path):
    """As meet(), but with one try: one that ends well would replace the file."""
    client.send(b"larder snapshot %s\r\n" % path.encode())
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        figures = other.stats("larder")
        if figures["snapshot_writing"] == "1" and int(figures["snapshot_bytes"]) > 0:
            return
        if figures["snapshot_writing"] == "0" and int(figures["snapshots_ok"]) > 1:
            raise Skip("the snapshot was whole before it could be met")
        assert time.monotonic() < deadline


def large_server(args=()):
    return Server(["-A", "-m", "256", "-t", "2", *args])


def fill_large(client):
    set_many(client, b"large", LARGE_ITEMS, b"x" * 30000)


def test_one_at_a_time():
    with Folder() as folder, large_server() as server, server.client() as client, server.client() as other:
        fill_large(client)
        meet(client, folder.file(), other)
        other.exchange(b"larder snapshot %s\r\n" % folder.file("b").encode(), b"BUSY currently writing a snapshot\r\n")
        client.expect(b"OK\r\n")
        other.exchange(b"larder snapshot %s\r\n" % folder.file("b").encode(), b"OK\r\n")
        assert folder.names() == ["b", "items"]


def test_a_client_that_leaves_does_not_end_it():
    with Folder() as folder, large_server() as server, server.client() as other:
        with server.client() as client:
            fill_large(client)
            meet(client, folder.file(), other)
        wait_until(lambda: not is_writing(other), "the snapshot to end")
        assert other.stats("larder")["snapshot_result"] == "ok"
        assert len(read_snapshot(folder.file())) == LARGE_ITEMS


def test_a_kill_in_the_middle_leaves_the_older_file_whole():
    with Folder() as folder:
        with large_server() as server, server.client() as client, server.client() as other:
            set_many(client, b"old", 10, b"v")
            snapshot(client, folder.file())
            fill_large(client)
            meet_once(client, other, folder.file())
            server.kill()
            server.expect_exit = None
        names = folder.names()
        assert len(names) == 2 and names[0] == "items" and names[1].startswith("items.tmp-"), names
        assert len(read_snapshot(folder.file())) == 10
        with Server(["-A", "-o", "load=" + folder.file()]) as server, server.client() as client:
            assert client.stats()["curr_items"] == "10"
            snapshot(client, folder.file())
        assert folder.names() == ["items"]  # what the dead one has left is gone


def test_a_stop_in_the_middle_abandons_it():
    for number in (signal.SIGTERM, signal.SIGUSR1):
        with Folder() as folder:
            with large_server() as server, server.client() as client, server.client() as other:
                fill_large(client)
                meet(client, folder.file(), other)
                server.signal(number)
                assert server.wait_for_exit() == 0
                reply = client.recv_to_end()
                assert reply in (b"", b"SERVER_ERROR %s: stopped\r\n" % folder.file().encode(), b"OK\r\n"), reply
            assert not [name for name in folder.names() if "tmp" in name], folder.names()


def test_items_that_stay_are_in_it_while_others_change():
    with Folder() as folder, large_server() as server, server.client() as client:
        set_many(client, b"stays", 10000, b"s" * 100)
        set_many(client, b"changes", 2000, b"%012d" % 0 * 10)
        stop = threading.Event()
        failed = []

        def others(first):
            try:
                with server.client() as writer:
                    for version in range(1, 1000000):
                        if stop.is_set():
                            return
                        value = b"%012d" % version * 10
                        lines = [
                            b"set changes:%d 0 0 120 noreply\r\n%s\r\nset comes:%d 0 0 1 noreply\r\nx\r\ndelete comes:%d noreply\r\n"
                            % (i, value, i, i - 50)
                            for i in range(first, 2000, 2)
                        ]
                        writer.send(b"".join(lines))
                        writer.exchange(b"mn\r\n", b"MN\r\n")
            except Exception as error:  # told by the test's own thread
                failed.append(error)

        threads = [threading.Thread(target=others, args=(i,)) for i in range(2)]
        for thread in threads:
            thread.start()
        try:
            for i in range(3):
                snapshot(client, folder.file(str(i)))
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        assert not failed, failed
        versions = set()
        for name in folder.names():
            items = read_snapshot(folder.file(name))
            assert all(items[b"stays:%d" % i]["value"] == b"s" * 100 for i in range(10000))
            for i in range(2000):
                value = items[b"changes:%d" % i]["value"]
                assert len(value) == 120 and value == value[:12] * 10, value
                versions.add(value[:12])
        assert len(versions) > 1, "nothing has changed meanwhile"


# -- disks that are full -----------------------------------------------------------------------------------------


def test_a_file_that_may_not_grow_is_given_up():
    with Folder() as folder, large_server() as server, server.client() as client:
        set_many(client, b"old", 10, b"v")
        snapshot(client, folder.file())
        fill_large(client)
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (4 << 20, resource.RLIM_INFINITY))
        path = folder.file().encode()
        client.exchange(b"larder snapshot %s\r\n" % path, b"SERVER_ERROR %s: cannot be written: File too large\r\n" % path)
        assert folder.names() == ["items"] and len(read_snapshot(folder.file())) == 10
        client.expect_quiet()


def test_a_full_disk_leaves_the_older_file_whole():
    with Folder() as folder:
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder.path], capture_output=True, check=False)
        if mounted.returncode != 0:
            raise Skip("a small file system cannot be mounted: " + mounted.stderr.decode().strip())
        try:
            with large_server() as server, server.client() as client:
                set_many(client, b"old", 10, b"v")
                snapshot(client, folder.file())
                fill_large(client)
                path = folder.file().encode()
                client.exchange(
                    b"larder snapshot %s\r\n" % path, b"SERVER_ERROR %s: cannot be written: No space left on device\r\n" % path
                )
                assert folder.names() == ["items"] and len(read_snapshot(folder.file())) == 10
                client.exchange(b"flush_all\r\n", b"OK\r\n")
                snapshot(client, folder.file())
                assert read_snapshot(folder.file()) == {}
        finally:
            subprocess.run(["umount", folder.path], check=False)


# -- starts ------------------------------------------------------------------------------------------------------


def start_fails(args):
    """The text of a start that ends with exit code 1."""
    root = ["-u", "root"] if os.geteuid() == 0 else []
    ended = run([*root, "-l", "127.0.0.1", "-p", "-1", *args])
    assert ended.returncode == 1, ended
    return ended.stderr.decode()


def test_a_file_that_is_not_there_is_an_error_or_not():
    with Folder() as folder:
        assert start_fails(["-o", "load=" + folder.file()]) == f"-o load: {folder.file()}: cannot be opened: {NO_FILE}\n"
        assert "not an absolute path of a file" in start_fails(["-o", "load=items"])
        with Server(["-A", "-o", "load_if_there=" + folder.file()]) as server, server.client() as client:
            client.exchange(b"set a 0 0 1\r\nx\r\n", b"STORED\r\n")
            snapshot(client, folder.file())
        with Server(["-o", "load_if_there=" + folder.file()]) as server, server.client() as client:
            assert value_of(client, b"a") == b"x"
        with open(folder.file(), "wb") as file:
            file.write(b"something else")
        for option in ("load", "load_if_there"):
            text = start_fails(["-o", f"{option}={folder.file()}"])
            assert text == f"-o load: {folder.file()}: is not a snapshot of larder\n", text


def is_loading(process, path):
    """Whether a process has read some of a file, and not yet all of it."""
    folder = f"/proc/{process.pid}"
    for fd in os.listdir(folder + "/fd"):
        try:
            if os.readlink(f"{folder}/fd/{fd}") == path:
                with open(f"{folder}/fdinfo/{fd}") as info:
                    return 0 < int(info.readline().split()[1]) < os.path.getsize(path)
        except FileNotFoundError:
            pass  # closed meanwhile
    return False


def stop_while_loading(args, path, number):
    """Starts a server, and signals it while it loads; False: it was through before."""
    root = ["-u", "root"] if os.geteuid() == 0 else []
    command = [larder_binary(), *root, "-m", "256", *args]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        try:
            deadline = time.monotonic() + TIMEOUT_S
            while not is_loading(process, path):
                if select.select([process.stdout], [], [], 0)[0]:
                    return False  # it tells what it has loaded
                assert time.monotonic() < deadline, "waited for it to load"
            process.send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, process.pid, os.WSTOPPED)
            met = is_loading(process, path)
            process.send_signal(number)
            process.send_signal(signal.SIGCONT)
            output, _ = process.communicate(timeout=TIMEOUT_S)
            assert process.returncode == 0, (process.returncode, output)
            assert not met or output == b"", output
            return met
        finally:
            process.kill()


def test_a_stop_while_it_is_read_is_an_orderly_one():
    with Folder() as folder:
        with large_server() as server, server.client() as client:
            set_many(client, b"small", 200000, b"x")
            snapshot(client, folder.file())
        with open(folder.file(), "rb") as file:
            before = file.read()
        listen, memory, pid_file = folder.file("socket"), folder.file("memory"), folder.file("pid")
        args = ["-s", listen, "-P", pid_file, "-o", "load=" + folder.file()]
        for more, number in (([], signal.SIGTERM), ([], signal.SIGINT), (["-e", memory], signal.SIGUSR1)):
            for _ in range(TRIES_MAX):
                if stop_while_loading(args + more, folder.file(), number):
                    break
            else:
                raise AssertionError("no start was met while it loaded")
            with open(folder.file(), "rb") as file:
                assert file.read() == before
            # Neither a description of half of the items, nor what the stop of a server would leave behind.
            assert [name for name in folder.names() if name != "memory"] == ["items"], folder.names()
        with Server(["-m", "256", "-e", memory, "-o", "load=" + folder.file()]) as server, server.client() as client:
            assert client.stats()["curr_items"] == "200000"


def test_a_damaged_file_is_refused_and_left_alone():
    with Folder() as folder:
        with Server(["-A"]) as server, server.client() as client:
            set_many(client, b"key", 2000, b"x" * 1000)
            snapshot(client, folder.file())
        with open(folder.file(), "rb") as file:
            good = file.read()
        (second,) = (40 + 16 + length + 8 for length in struct.unpack_from("<I", good, 44))

        def refused(data):
            with open(folder.file(), "wb") as file:
                file.write(data)
            text = start_fails(["-o", "load=" + folder.file()])
            with open(folder.file(), "rb") as file:
                assert file.read() == data
            start = f"-o load: {folder.file()}: "
            assert text.startswith(start), text
            return text[len(start) :]

        bad = bytearray(good)
        bad[1000] ^= 1
        assert refused(bytes(bad)) == "is damaged: wrong checksum in the block at byte 40\n"
        bad[second + 1000] ^= 1
        assert refused(bytes(bad)) == f"is damaged: wrong checksum in the block at byte 40, {second}\n"
        assert refused(good[:-1]) == f"is damaged: cut off at byte {len(good) - 1}\n"
        assert refused(good[:second]) == f"is damaged: cut off at byte {second}\n"
        assert refused(good + b"x") == f"is damaged: more bytes behind the end, at byte {len(good)}\n"
        newer = good[:8] + struct.pack("<I", 2) + good[12:]
        assert "version 2 of the format; this larder reads version 1" in refused(newer)


def test_options_that_do_not_go_together():
    root = ["-u", "root"] if os.geteuid() == 0 else []
    for args, text in (
        (["-o", "load=/a,load_if_there=/b"], b"one of them is right"),
        (["-o", "load"], b"Missing load argument"),
        (["-o", "load=/a,mysql_hook=/b"], b"-o load cannot be had with -o mysql_hook"),
    ):
        ended = run([*root, "-l", "127.0.0.1", "-p", "-1", *args])
        assert ended.returncode != 0 and text in ended.stderr, ended


def test_dropped_privileges_leave_it():
    root = ["-u", "root"] if os.geteuid() == 0 else []
    with Folder() as folder:
        if run([*root, "-o", "drop_privileges", "-V"]).returncode != 0 or b"no seccomp" in run(["-h"]).stdout:
            raise Skip("this build has no seccomp")
        with Server(["-A", "-o", "drop_privileges"], env=SANITIZER_ENV) as server, server.client() as client:
            client.exchange(b"set a 0 0 1\r\nx\r\n", b"STORED\r\n")
            snapshot(client, folder.file())
            snapshot(client, folder.file())
        with Server(["-o", "drop_privileges,load=" + folder.file()], env=SANITIZER_ENV) as server, server.client() as client:
            assert value_of(client, b"a") == b"x"


def test_a_daemon_reads_and_writes_it():
    with Folder() as folder:
        pid_file = folder.file("pid")
        with Server(["-A"]) as server, server.client() as client:
            client.exchange(b"set a 0 0 1\r\nx\r\n", b"STORED\r\n")
            snapshot(client, folder.file())
        args = ["-u", "root"] if os.geteuid() == 0 else []
        path = folder.file("socket")
        started = run([*args, "-d", "-P", pid_file, "-A", "-s", path, "-o", "load=" + folder.file()], binary=larder_binary())
        assert started.returncode == 0, started
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(TIMEOUT_S)
            client.connect(path)
            client.sendall(b"get a\r\nlarder snapshot %s\r\nshutdown\r\n" % folder.file("again").encode())
            reply = b""
            while True:
                part = client.recv(4096)
                if not part:
                    break
                reply += part
        assert reply == b"VALUE a 0 1\r\nx\r\nEND\r\nOK\r\n", reply
        assert read_snapshot(folder.file("again"))[b"a"]["value"] == b"x"
        wait_until(lambda: not os.path.exists(pid_file), "the daemon to end")


def test_requests_that_are_refused_leave_no_place_taken():
    # A worker has 256 places for connections that wait.
    with Server(["-A", "-t", "1"]) as server:
        clients = [server.client() for _ in range(300)]
        for client in clients:
            client.exchange(b"larder snapshot here\r\n", b"CLIENT_ERROR a snapshot needs the absolute path of a file\r\n")
        for client in clients:
            client.close()


if __name__ == "__main__":
    run_tests(globals())
