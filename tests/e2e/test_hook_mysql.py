#!/usr/bin/env python3
"""The checks of test_hook.py with MySQL, where tests/support/mysql_unpack.sh has got one."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import database
from test_hook import run_family

if __name__ == "__main__":
    run_family("mysql", database.mysql)
