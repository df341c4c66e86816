#!/usr/bin/python3
"""Clients for node: memjs (binary) and memcached (text), which `make deps` installs below build/ where npm is."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from foreign import Case, program, run_clients

CASES = [
    Case("memjs", "binary", program("node", "memjs.js")),
    Case("npm memcached", "text", program("node", "memcached.js")),
]

if __name__ == "__main__":
    run_clients(CASES)
