#!/usr/bin/python3
"""Clients in Perl: Cache::Memcached, Cache::Memcached::Fast, Memcached::libmemcached in both protocols."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from foreign import Case, program, run_clients

CASES = [
    Case("Cache::Memcached", "text", program("perl", "cache_memcached.pl")),
    Case("Cache::Memcached::Fast", "text", program("perl", "cache_memcached_fast.pl")),
    Case("Memcached::libmemcached", "text", program("perl", "memcached_libmemcached.pl")),
    Case("Memcached::libmemcached", "binary", program("perl", "memcached_libmemcached.pl")),
]

if __name__ == "__main__":
    run_clients(CASES)
