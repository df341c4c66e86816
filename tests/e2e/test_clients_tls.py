#!/usr/bin/python3
"""pymemcache over TLS: all that it does elsewhere, with a look at the server's certificate."""

import functools
import os
import ssl
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "support")]
from foreign import Case, find_program, run_clients
from server import TIMEOUT_S, Skip, run
from test_clients_python import check_pymemcache


def make_certificate(folder):
    """Paths of a certificate for 127.0.0.1 that signs itself, and of its key."""
    certificate, key = os.path.join(folder, "certificate.pem"), os.path.join(folder, "key.pem")
    subprocess.run(
        [
            find_program("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
            "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost",
            "-keyout", key, "-out", certificate,
        ],
        check=True, capture_output=True, timeout=TIMEOUT_S,
    )
    return certificate, key


def main():
    if b"\n-Z" not in run(["-h"]).stdout:
        print("a build without TLS")
        sys.exit(77)
    with tempfile.TemporaryDirectory() as folder:
        try:
            certificate, key = make_certificate(folder)
        except Skip as reason:
            print(reason)
            sys.exit(77)
        options = ["-Z", "-o", f"ssl_chain_cert={certificate},ssl_key={key}"]
        check_text = functools.partial(check_pymemcache, tls_context=ssl.create_default_context(cafile=certificate))
        # dalli 3.0 speaks TLS, but fails by itself at its first get of several keys.
        run_clients([Case("pymemcache", "text, TLS", check_text, options)])


if __name__ == "__main__":
    main()
