"""The shared libraries from Python's ctypes: what a binding in another language sees.  No C compiler takes part."""

import collections
import ctypes
import errno
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from library import LIBRARIES, MEBIBYTE, Cache, address, check, header, larder, name_of, numbers  # noqa: E402
from server import TIMEOUT_S, Client, Skip, free_port, run_tests, wait_until  # noqa: E402

globals().update(numbers)


# -- the header ------------------------------------------------------------------------------------------------


def test_every_function_is_exported_and_nothing_else():
    if not shutil.which("nm"):
        raise Skip("nm is not installed")
    of_the_linker = {"_init", "_fini", "_edata", "_end", "__bss_start"}
    exported = []
    for library in LIBRARIES:
        listed = subprocess.run(["nm", "--dynamic", "--defined-only", "--format=posix", library], capture_output=True,
                                text=True, check=True, timeout=TIMEOUT_S).stdout
        exported += [line.split()[0] for line in listed.splitlines() if line.split()[0] not in of_the_linker]
    assert sorted(exported) == sorted(header.functions), set(exported) ^ set(header.functions)


def test_results_are_numbers_with_texts():
    assert [header.numbers[name] for name, _ in header.results] == list(range(len(header.results)))
    for name, text in header.results:
        assert larder.result_text(header.numbers[name]) == text.encode(), name
    assert larder.result_text(1000) == b"unknown result"
    for values in header.enums.values():
        assert [header.numbers[value] for value in values] == list(range(len(values))), values


def test_nothing_is_to_be_had_by_a_macro_alone():
    of_the_header = {"LARDER_H", "LARDER_API", "LARDER_API_VOID", "LARDER_RESULTS(X)", "LARDER_RESULT_ENUM(name, text)"}
    for name in set(header.macros) - of_the_header:
        assert name.endswith("_INIT"), f"{name} is no number, and no function does the same"
        assert name.lower() in header.functions, f"there is no {name.lower()}()"


def test_options_by_function_are_those_of_the_macro():
    checked = 0
    for name, text in header.macros.items():
        if not name.endswith("_INIT"):
            continue
        struct = name[: -len("_INIT")].lower()
        values = header.structs[struct]()
        ctypes.memset(ctypes.byref(values), 0xFF, ctypes.sizeof(values))
        init, version = getattr(larder, f"{struct[len('larder_'):]}_init"), header.numbers[f"{struct.upper()}_VERSION"]
        check(init(values, version + 1), LARDER_BAD_OPTION)
        check(init(values, version))
        words = [word.strip() for word in re.sub(r"\b(\d+)u\b", r"\1", text.strip("{} \t")).split(",")]
        assert len(words) == len(values._fields_), (name, words)
        names = {**header.numbers, "NULL": None}
        for (field, _), word in zip(values._fields_, words):
            wanted = eval(re.sub(r"^0(\d+)$", r"0o\1", word), {}, names)  # numbers, products, names of numbers
            seen = getattr(values, field)
            wanted = wanted.encode() if isinstance(wanted, str) else wanted
            assert (seen or None) == (wanted or None), (name, field, seen, wanted)
        checked += 1
    assert checked >= 1


def test_the_version_is_that_of_the_package():
    assert re.fullmatch(rb"\d+\.\d+(\.\d+)?", larder.version()), larder.version()


# -- opening ---------------------------------------------------------------------------------------------------


def test_bad_options_are_answered():
    options = larder.new("options")
    check(larder.options_init(options, LARDER_OPTIONS_VERSION))
    handle = ctypes.POINTER(header.structs["larder"])()
    options.memory_limit = 1
    check(larder.open(options, handle), LARDER_BAD_OPTION)
    assert not handle
    check(larder.open(None, handle))
    check(larder.close(handle))
    check(larder.close(handle))


def test_a_caller_of_version_1_goes_on():
    options, handle = larder.new("options"), ctypes.POINTER(header.structs["larder"])()
    ctypes.memset(ctypes.byref(options), 0xFF, ctypes.sizeof(options))
    check(larder.options_init(options, 1))
    assert (options.version, options.memory_limit, options.gone_arg) == (1, 64 * MEBIBYTE, None)
    # What version 1 did not have is neither written nor read.
    assert options.large_pages == -1 and options.chunk_sizes_len == 0xFFFFFFFF
    options.memory_limit = 3 * MEBIBYTE
    check(larder.open(options, handle))
    value = ctypes.c_uint64()
    check(larder.stat(handle, b"limit_maxbytes", value))
    assert value.value == 3 * MEBIBYTE
    check(larder.close(handle))
    options.version = 2
    check(larder.open(options, handle), LARDER_BAD_OPTION)


def test_options_of_version_2():
    """Large and small items, each asked for as often: what are evictions for?"""
    hits = {}
    for evict_for in (LARDER_EVICT_FOR_OBJECTS, LARDER_EVICT_FOR_BYTES):
        chance, hits[evict_for] = random.Random(7), collections.Counter()
        with Cache(memory_limit=2 * MEBIBYTE, evict_for=evict_for) as cache:
            for _ in range(40000):
                kind, keys, size = chance.choice(((b"large", 2000, 1800), (b"small", 20000, 100)))
                key = b"%s-%d" % (kind, chance.randrange(keys))
                if cache.get(key, cap=2048) == "LARDER_MISS":
                    cache.set(key, b"x" * size)
                else:
                    hits[evict_for][kind] += 1
    objects, of_bytes = hits[LARDER_EVICT_FOR_OBJECTS], hits[LARDER_EVICT_FOR_BYTES]
    assert of_bytes[b"large"] > objects[b"large"] and of_bytes[b"small"] < objects[b"small"] / 2, hits
    sizes = (ctypes.c_uint32 * 2)(1000, 2000)
    with Cache(memory_limit=MEBIBYTE, chunk_sizes=sizes, chunk_sizes_len=2) as cache:
        for i in range(5000):
            cache.set(b"key-%d" % i, b"x")
        assert cache.stats().items < 1100, "items of a few bytes take 1000 each"


# -- reading and storing ---------------------------------------------------------------------------------------


def test_values_go_in_and_out():
    with Cache() as cache:
        assert cache.get(b"a") == "LARDER_MISS"
        cache.set(b"a", b"\0binary\0")
        assert cache.get(b"a") == b"\0binary\0"
        assert cache.get(b"a", cap=3) == "LARDER_TOO_LARGE"
        check(larder.get(cache.handle, b"a", 251, None, 0, None), LARDER_BAD_KEY)
        check(larder.delete(cache.handle, b"a", 1))
        check(larder.delete(cache.handle, b"a", 1), LARDER_MISS)


def test_stores_that_depend_on_what_is_there():
    with Cache() as cache:
        handle = cache.handle
        check(larder.replace(handle, b"a", 1, b"x", 1, 0), LARDER_MISS)
        check(larder.append(handle, b"a", 1, b"x", 1), LARDER_MISS)
        check(larder.add(handle, b"a", 1, b"2", 1, 0))
        check(larder.add(handle, b"a", 1, b"3", 1, 0), LARDER_EXISTS)
        check(larder.append(handle, b"a", 1, b"3", 1))
        check(larder.prepend(handle, b"a", 1, b"1", 1))
        assert cache.get(b"a") == b"123"
        check(larder.replace(handle, b"a", 1, b"new", 3, 0))
        cas = cache.cas_of(b"a")
        check(larder.cas(handle, b"a", 1, b"late", 4, 0, cas - 1), LARDER_EXISTS)
        check(larder.cas(handle, b"a", 1, b"newer", 5, 0, cas))
        check(larder.delete_cas(handle, b"a", 1, cas), LARDER_EXISTS)
        check(larder.delete_cas(handle, b"a", 1, cache.cas_of(b"a")))
        assert cache.get(b"a") == "LARDER_MISS"


def test_numbers():
    with Cache() as cache:
        handle, value = cache.handle, ctypes.c_uint64()
        check(larder.incr(handle, b"n", 1, 1, value), LARDER_MISS)
        check(larder.incr_or_add(handle, b"n", 1, 1, 40, 0, value))
        assert value.value == 40
        check(larder.incr(handle, b"n", 1, 2, value))
        assert value.value == 42
        check(larder.decr(handle, b"n", 1, 50, value))
        assert value.value == 0
        check(larder.decr_or_add(handle, b"other", 5, 1, 7, 0, None))
        assert cache.get(b"other") == b"7"
        cache.set(b"text", b"x")
        check(larder.incr(handle, b"text", 4, 1, None), LARDER_NOT_NUMBER)


def test_times_to_live():
    with Cache() as cache:
        cache.set(b"a", b"1", 100)
        check(larder.touch(cache.handle, b"a", 1, 1000))
        result, _, fetch = cache.fetch(b"a")
        check(result)
        assert 998 <= fetch.ttl_s <= 1000, fetch.ttl_s
        buf, length = ctypes.create_string_buffer(8), ctypes.c_size_t()
        check(larder.get_and_touch(cache.handle, b"a", 1, 0, buf, 8, length))
        assert buf.raw[: length.value] == b"1" and cache.fetch(b"a")[2].ttl_s == -1
        check(larder.touch(cache.handle, b"none", 4, 1), LARDER_MISS)


def test_a_batch_answers_each_key():
    with Cache() as cache:
        keys = [b"key-%d" % i for i in range(40)] + [b""]
        for key in keys[0:40:2]:
            check(cache.store(key, b"of " + key, flags=len(key))[0])
        buffers = [ctypes.create_string_buffer(32) for _ in keys]
        gets = (header.structs["larder_get"] * len(keys))()
        for get, key, buf in zip(gets, keys, buffers):
            get.key, get.key_len, get.buf, get.buf_cap = address(key), len(key), ctypes.cast(buf, ctypes.c_void_p), 32
        larder.get_batch(cache.handle, gets, len(keys))
        for i, (get, key, buf) in enumerate(zip(gets, keys, buffers)):
            check(get.result, LARDER_BAD_KEY if not key else LARDER_MISS if i % 2 else LARDER_OK)
            if get.result == LARDER_OK:
                assert buf.raw[: get.value_len] == b"of " + key and get.flags == len(key) and get.cas > 0


def test_one_of_many_makes_a_value():
    with Cache() as cache:
        result, _, first = cache.fetch(b"a", vivify=1, vivify_ttl_s=10)
        check(result, LARDER_MISS)
        assert first.won and first.cas
        _, value, second = cache.fetch(b"a", vivify=1, vivify_ttl_s=10)
        assert not second.won and second.taken and value == b""
        check(cache.store(b"a", b"made", cas=first.cas, flags=7)[0])
        result, value, third = cache.fetch(b"a")
        check(result)
        assert value == b"made" and third.flags == 7 and not third.taken
        check(cache.store(b"a", b"late", cas=first.cas)[0], LARDER_EXISTS)
        result, store = cache.store(b"a", b" more", mode=LARDER_STORE_APPEND)
        check(result)
        assert store.value_len_new == 9 and store.cas_new == cache.cas_of(b"a")
        check(larder.mark_stale(cache.handle, b"a", 1, 30))
        result, value, fourth = cache.fetch(b"a")
        check(result)
        assert value == b"made more" and fourth.stale and fourth.won


def test_views_outlive_what_they_show():
    with Cache() as cache:
        value = bytes(range(256)) * 400
        cache.set(b"long", value)
        cache.set(b"short", b"in one piece")
        long, short = larder.new("view"), larder.new("view")
        check(larder.get_view(cache.handle, b"long", 4, long))
        check(larder.get_view(cache.handle, b"short", 5, short))
        assert ctypes.string_at(short.value, short.value_len) == b"in one piece"
        check(larder.delete(cache.handle, b"long", 4))
        pieces, seen = (header.structs["larder_piece"] * 4)(), b""
        while True:
            count = larder.view_pieces(cache.handle, long, len(seen), pieces, 4)
            if count == 0:
                break
            seen += b"".join(ctypes.string_at(piece.at, piece.len) for piece in pieces[:count])
        assert seen == value
        assert cache.stats().views == 1
        check(larder.close(cache.handle), LARDER_BUSY)
        larder.release(cache.handle, long)
        larder.release(cache.handle, short)
        assert cache.stats().views == 0


# -- looking at it, running ------------------------------------------------------------------------------------


def test_a_scan_tells_every_item_once():
    with Cache() as cache:
        for i in range(500):
            cache.set(b"key-%d" % i, b"x" * i)
        items, length, cursor = (header.structs["larder_item"] * LARDER_SCAN_ITEMS)(), ctypes.c_size_t(), ctypes.c_uint64(0)
        check(larder.scan(cache.handle, cursor, items, 1, length), LARDER_BAD_OPTION)
        seen = []
        for _ in range(10000):
            check(larder.scan(cache.handle, cursor, items, LARDER_SCAN_ITEMS, length))
            seen += [(bytes(item.key[: item.key_len]), item.value_len) for item in items[: length.value]]
            if cursor.value == 0:
                break
        assert sorted(seen) == sorted((b"key-%d" % i, i) for i in range(500))


def test_statistics_by_struct_by_visit_and_by_name():
    with Cache() as cache:
        cache.set(b"a", b"1")
        assert (cache.get(b"a"), cache.get(b"b")) == (b"1", "LARDER_MISS")
        stats = cache.stats()
        assert (stats.items, stats.get_hits, stats.get_misses, stats.stores) == (1, 1, 1, 1)
        seen = {}
        visit = header.callbacks["larder_stat_fn"](lambda _, name, value: seen.update({name: value}))
        check(larder.stats_visit(cache.handle, visit, None))
        assert (seen[b"curr_items"], seen[b"get_hits"], seen[b"limit_maxbytes"]) == (1, 1, 8 * MEBIBYTE), seen
        value = ctypes.c_uint64()
        for name, number in seen.items():
            check(larder.stat(cache.handle, name, value))
            assert value.value == number, name
        check(larder.stat(cache.handle, b"no such figure", value), LARDER_MISS)
        check(larder.stats(cache.handle, larder.new("stats", version=99)), LARDER_BAD_OPTION)


def test_a_callback_is_told_what_was_evicted():
    gone = []

    def note(arg, item):
        gone.append((arg, ctypes.string_at(item.contents.key, item.contents.key_len), item.contents.reason))

    callback = header.callbacks["larder_gone_fn"](note)
    with Cache(memory_limit=MEBIBYTE, gone=callback, gone_arg=77) as cache:
        for i in range(3000):
            cache.set(b"key-%d" % i, b"x" * 1000)
        assert len(gone) > 1000 and {(arg, reason) for arg, _, reason in gone} == {(77, LARDER_GONE_EVICTED)}
        assert len({key for _, key, _ in gone}) == len(gone)
        assert all(cache.get(key) == "LARDER_MISS" for _, key, _ in gone[:100])
        assert cache.stats().evictions == len(gone)


def test_flushes_and_limits():
    with Cache() as cache:
        for key in (b"a:1", b"a:2", b"b:1"):
            cache.set(key, b"x")
        check(larder.flush_prefix(cache.handle, b"a:", 2))
        assert [cache.get(key) for key in (b"a:1", b"a:2", b"b:1")] == ["LARDER_MISS", "LARDER_MISS", b"x"]
        larder.flush(cache.handle)
        assert cache.get(b"b:1") == "LARDER_MISS"
        assert larder.maintain(cache.handle) in (0, 1)
        check(larder.set_memory_limit(cache.handle, 16 * MEBIBYTE))
        assert cache.stats().memory_limit == 16 * MEBIBYTE
        check(larder.set_memory_limit(cache.handle, 1), LARDER_BAD_OPTION)


def test_threads_share_a_cache():
    wrong = []

    def work(cache, number):
        for i in range(500):
            key, value = b"key-%d" % (i % 50), b"value of %d" % (i % 50)
            cache.set(key, value)
            if cache.get(key) != value:
                wrong.append((number, key))

    with Cache() as cache:
        threads = [threading.Thread(target=work, args=(cache, number)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(TIMEOUT_S)
    assert not wrong, wrong[:5]


def test_a_cache_is_saved_and_loaded():
    count, error = ctypes.c_uint64(), ctypes.create_string_buffer(LARDER_ERROR_CAP)
    with tempfile.TemporaryDirectory(prefix="larder-ctypes-") as directory:
        path = os.path.join(directory, "cache").encode()
        with Cache() as cache:
            check(larder.load(cache.handle, path, count, error, LARDER_ERROR_CAP), LARDER_SYSTEM)
            assert ctypes.get_errno() == errno.ENOENT and error.value, (ctypes.get_errno(), error.value)
            for i in range(300):
                cache.set(b"key-%d" % i, b"value-%d" % i)
            check(larder.save(cache.handle, path, count, None, 0))
            assert count.value == 300
        with Cache() as cache:
            check(larder.load(cache.handle, path, count, None, 0))
            assert count.value == 300 and cache.get(b"key-7") == b"value-7"
        with open(path, "r+b") as file:
            file.write(b"\xff" * 64)
        with Cache() as cache:
            check(larder.load(cache.handle, path, None, error, LARDER_ERROR_CAP), LARDER_BAD_FILE)
            assert error.value, "no text for the operator"


# -- serving, following a database -----------------------------------------------------------------------------


def test_clients_are_served():
    lines = []
    log = header.callbacks["larder_log_fn"](lambda _, line: lines.append(line))
    options, server = larder.new("serve_options"), ctypes.POINTER(header.structs["larder_server"])()
    error = ctypes.create_string_buffer(LARDER_ERROR_CAP)
    with tempfile.TemporaryDirectory(prefix="larder-ctypes-") as directory, Cache() as cache:
        check(larder.serve_options_init(options, LARDER_SERVE_OPTIONS_VERSION))
        options.threads, options.log = 2, log
        check(larder.serve(cache.handle, options, server, error, LARDER_ERROR_CAP))
        port = larder.server_port(server)
        cache.set(b"host", b"says so")
        with Client(("127.0.0.1", port)) as client:
            client.exchange(b"get host\r\n", b"VALUE host 0 7\r\nsays so\r\nEND\r\n")
            client.exchange(b"set client 5 0 2\r\nhi\r\n", b"STORED\r\n")
        result, value, fetch = cache.fetch(b"client")
        check(result)
        assert value == b"hi" and fetch.flags == 5

        # A second one for the same cache, on a unix socket; the port of the first is taken.
        second = ctypes.POINTER(header.structs["larder_server"])()
        options.port = port
        check(larder.serve(cache.handle, options, second, error, LARDER_ERROR_CAP), LARDER_SYSTEM)
        assert error.value, "no text for the operator"
        options.port, options.unix_path = -1, os.path.join(directory, "socket").encode()
        check(larder.serve(cache.handle, options, second, error, LARDER_ERROR_CAP))
        assert larder.server_port(second) == 0
        with Client(options.unix_path.decode()) as client:
            client.exchange(b"get client\r\n", b"VALUE client 5 2\r\nhi\r\nEND\r\n")
        check(larder.server_reload_certificates(second, error, LARDER_ERROR_CAP), LARDER_BAD_OPTION)
        assert b"tls_cert" in error.value
        check(larder.close(cache.handle), LARDER_BUSY)
        larder.server_stop(second, 0)
        larder.server_stop(server, 1)
        assert not server and not second


def test_a_database_that_is_not_there_is_followed():
    hook, error = ctypes.POINTER(header.structs["larder_hook"])(), ctypes.create_string_buffer(LARDER_ERROR_CAP)
    with tempfile.TemporaryDirectory(prefix="larder-ctypes-") as directory, Cache() as cache:
        path = os.path.join(directory, "rules")
        with open(path, "w", encoding="ascii") as file:
            file.write("what is this\n")
        no_log = header.callbacks["larder_log_fn"]()
        result = larder.hook_mysql(cache.handle, path.encode(), no_log, None, hook, error, LARDER_ERROR_CAP)
        if result == LARDER_NOT_BUILT:
            raise Skip("the library is built without the hook")
        check(result, LARDER_BAD_OPTION)
        assert error.value, "no text for the operator"
        with open(path, "w", encoding="ascii") as file:
            file.write(f'source = {{ hosts = ("127.0.0.1:{free_port()}"); user = "nobody"; }};\n'
                       'tables = ( { name = "a.b"; rules = ( { on = "any"; delete = "a:{id}"; } ); } );\n')
        check(larder.hook_mysql(cache.handle, path.encode(), no_log, None, hook, error, LARDER_ERROR_CAP))
        assert larder.hook_state(hook) in (b"connecting", b"disconnected"), larder.hook_state(hook)
        seen = {}
        visit = header.callbacks["larder_hook_stat_fn"](lambda _, name, value: seen.update({name: value}))
        larder.hook_stats_visit(hook, visit, None)
        assert seen[b"hook_state"] in (b"connecting", b"disconnected") and seen[b"hook_rows"] == b"0", seen
        larder.hook_pause(hook)
        wait_until(lambda: larder.hook_state(hook) == b"paused", "a pause")
        larder.hook_resume(hook)
        check(larder.hook_wait(hook, b"0-1-1", 0), LARDER_TIMEOUT)
        check(larder.hook_wait(hook, b"no gtid", 0), LARDER_BAD_OPTION)
        larder.hook_stop(hook)
        assert not hook


def test_z_every_function_was_called():
    missing = set(header.functions) - larder.called
    assert not missing, sorted(missing)


if __name__ == "__main__":
    run_tests(globals())
