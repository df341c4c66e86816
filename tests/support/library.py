"""liblarder by ctypes, for tests whose host is written in Python: no C compiler takes part.

larder      the functions of larder.h by their names without `larder_`; header: its structs, numbers, callbacks
Cache       a cache from `with` to the end of it
Serving     larder_serve() of a cache, likewise
check       demands a result, LARDER_OK unless another one is named
numbers     the LARDER_ names with their numbers: globals().update(numbers)
"""

import ctypes
import os

from larder_header import Header, Library

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
LIBLARDER = os.environ.get("LIBLARDER") or os.path.join(TOP, "build", "liblarder.so")
LIBRARIES = [LIBLARDER, LIBLARDER.replace("liblarder.so", "liblarder-serve.so")]

header = Header()
larder = Library(LIBRARIES, header)
numbers = {name: number for name, number in header.numbers.items() if name.startswith("LARDER_")}
globals().update(numbers)
MEBIBYTE = 1 << 20


def name_of(result):
    return header.enums["larder_result"][result]


def check(result, wanted=0):
    assert result == wanted, f"{name_of(result)}, not {name_of(wanted)}"


def address(data):
    """The address of bytes, which the caller keeps."""
    return ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p)


class Cache:
    """A cache from `with` to the end of it, with get and set in Python's types."""

    def __init__(self, **members):
        self.members = {"memory_limit": 8 * MEBIBYTE, **members}
        self.handle = ctypes.POINTER(header.structs["larder"])()

    def __enter__(self):
        options = larder.new("options")
        check(larder.options_init(options, LARDER_OPTIONS_VERSION))
        for name, value in self.members.items():
            setattr(options, name, value)
        check(larder.open(options, self.handle))
        return self

    def __exit__(self, error, *_):
        result = larder.close(self.handle)
        if error is None:
            check(result)
            assert not self.handle

    def set(self, key, value, ttl_s=0):
        check(larder.set(self.handle, key, len(key), value, len(value), ttl_s))

    def get(self, key, cap=1024):
        """The value, or the name of the result when there is none."""
        buf, length = ctypes.create_string_buffer(cap), ctypes.c_size_t()
        result = larder.get(self.handle, key, len(key), buf, cap, length)
        return buf.raw[: length.value] if result == LARDER_OK else name_of(result)

    def cas_of(self, key):
        buf, length, cas = ctypes.create_string_buffer(64), ctypes.c_size_t(), ctypes.c_uint64()
        check(larder.get_cas(self.handle, key, len(key), buf, 64, length, cas))
        return cas.value

    def stats(self):
        stats = larder.new("stats", version=LARDER_STATS_VERSION)
        check(larder.stats(self.handle, stats))
        return stats

    def fetch(self, key, cap=64, **members):
        """larder_fetch() with these members: its result, the value, the struct."""
        buf = ctypes.create_string_buffer(cap)
        fetch = larder.new("fetch", version=LARDER_FETCH_VERSION, key=address(key), key_len=len(key),
                           buf=ctypes.cast(buf, ctypes.c_void_p), buf_cap=cap, **members)
        result = larder.fetch(self.handle, fetch)
        return result, buf.raw[: fetch.value_len], fetch

    def store(self, key, value, **members):
        store = larder.new("store", version=LARDER_STORE_VERSION, key=address(key), key_len=len(key),
                           value=address(value), value_len=len(value), **members)
        return larder.store(self.handle, store), store

    def stat(self, name):
        value = ctypes.c_uint64()
        check(larder.stat(self.handle, name.encode(), value))
        return value.value


class Refused(Exception):
    """A call has not done what it was asked for: .result, .errno, and the text for the operator as .text."""

    def __init__(self, result, number, text):
        super().__init__(f"{name_of(result)}: {text}")
        self.result, self.errno, self.text = result, number, text


class ErrorText:
    """Room for the text of a call; after it, raises Refused unless the result is LARDER_OK."""

    def __init__(self):
        self.buf = ctypes.create_string_buffer(LARDER_ERROR_CAP)

    def demand(self, result):
        if result != LARDER_OK:
            raise Refused(result, ctypes.get_errno(), self.buf.value.decode())


class Serving:
    """larder_serve() with these options from `with` to the end of it: .port, .log; stop() ends it before."""

    def __init__(self, cache, graceful=0, **members):
        self.graceful = graceful
        self.log = []
        self.keep = header.callbacks["larder_log_fn"](lambda _, line: self.log.append(line.decode()))
        self.options = larder.new("serve_options")
        check(larder.serve_options_init(self.options, LARDER_SERVE_OPTIONS_VERSION))
        for name, value in {"threads": 2, "log": self.keep, **members}.items():
            setattr(self.options, name, value.encode() if isinstance(value, str) else value)
        self.handle = ctypes.POINTER(header.structs["larder_server"])()
        error = ErrorText()
        error.demand(larder.serve(cache.handle, self.options, self.handle, error.buf, LARDER_ERROR_CAP))
        self.host, self.port = "127.0.0.1", larder.server_port(self.handle)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        larder.server_stop(self.handle, self.graceful)
        assert not self.handle

    def reload_certificates(self):
        error = ErrorText()
        error.demand(larder.server_reload_certificates(self.handle, error.buf, LARDER_ERROR_CAP))
