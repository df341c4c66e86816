#!/usr/bin/python3
"""Clients that log in by SASL: all that they do elsewhere, and a password that is wrong."""

import functools
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "support")]
from foreign import Case, find_program, program, run_clients
from server import TIMEOUT_S, Skip, run
from test_clients_python import check_bmemcached, check_pylibmc

USER, PASSWORD = "ann", "correct horse"
LOGIN = {"username": USER, "password": PASSWORD}
PROGRAM_ENV = {"SASL_USER": USER, "SASL_PASSWORD": PASSWORD}


def configure(folder):
    """The server's configuration of SASL, with a database of its own; gives the environment that names it."""
    database = os.path.join(folder, "sasldb")
    with open(os.path.join(folder, "memcached.conf"), "w", encoding="ascii") as file:
        file.write(f"mech_list: plain\npwcheck_method: auxprop\nauxprop_plugin: sasldb\nsasldb_path: {database}\n")
    subprocess.run(
        [find_program("saslpasswd2"), "-p", "-c", "-a", "memcached", "-f", database, USER],
        input=PASSWORD.encode(),
        check=True,
        timeout=TIMEOUT_S,
    )
    return {"SASL_CONF_PATH": folder}


def cases(env):
    for client, check in (
        ("pylibmc", functools.partial(check_pylibmc, **LOGIN)),
        ("python-binary-memcached", functools.partial(check_bmemcached, **LOGIN)),
        ("php-memcached", program("php", "memcached.php", env=PROGRAM_ENV)),
        ("dalli", program("ruby", "dalli.rb", env=PROGRAM_ENV)),
        ("memjs", program("node", "memjs.js", env=PROGRAM_ENV)),
    ):
        yield Case(client, "binary, SASL", check, ["-S"], env)


def main():
    if b"\n-S" not in run(["-h"]).stdout:
        print("a build without SASL")
        sys.exit(77)
    with tempfile.TemporaryDirectory(prefix="larder-sasl-") as folder:
        try:
            env = configure(folder)
        except Skip as reason:
            print(reason)
            sys.exit(77)
        run_clients(list(cases(env)))


if __name__ == "__main__":
    main()
