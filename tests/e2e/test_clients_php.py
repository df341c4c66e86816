#!/usr/bin/python3
"""Clients in PHP: php-memcached on libmemcached, and php-memcache, each in both protocols."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from foreign import Case, program, run_clients

CASES = [
    Case(f"php-{extension}", protocol, program("php", f"{extension}.php"))
    for extension in ("memcached", "memcache")
    for protocol in ("text", "binary")
]

if __name__ == "__main__":
    run_clients(CASES)
