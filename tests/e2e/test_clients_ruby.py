#!/usr/bin/python3
"""Clients in Ruby: dalli, in binary and, where its version can, in the meta protocol."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from foreign import Case, program, run_clients

CASES = [
    Case("dalli", "binary", program("ruby", "dalli.rb")),
    Case("dalli", "meta", program("ruby", "dalli.rb")),
]

if __name__ == "__main__":
    run_clients(CASES)
