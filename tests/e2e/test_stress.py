#!/usr/bin/python3
"""Runs tests/stress/server_stress.py beside the other end-to-end tests."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "stress"))
from server_stress import run_tests, test_every_value_under_eviction, test_no_increment_is_lost

if __name__ == "__main__":
    run_tests(
        {
            "test_every_value_under_eviction": test_every_value_under_eviction,
            "test_no_increment_is_lost": test_no_increment_is_lost,
        }
    )
