"""Parts of tests/e2e/differential.py."""
