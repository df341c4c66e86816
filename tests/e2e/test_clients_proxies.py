#!/usr/bin/python3
"""Proxies in front of three servers: nutcracker (twemproxy), haproxy with a check that speaks, nginx's memc module."""

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from foreign import SERVER_OPTIONS, Case, find_program, run_clients
from server import TIMEOUT_S, Client, Server, Skip, free_port

KEYS = [f"key{i}" for i in range(300)]


def wait_until(ready, what):
    deadline = time.monotonic() + TIMEOUT_S
    while not ready():
        assert time.monotonic() < deadline, f"waited {TIMEOUT_S} s for {what}"
        time.sleep(0.01)  # between two looks


def accepts(address):
    try:
        Client(address).close()
        return True
    except OSError:
        return False


@contextlib.contextmanager
def running(command, ready, env=None):
    """A proxy in the foreground, until the `with` ends."""
    with tempfile.TemporaryFile() as log:
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env) as process:
            try:
                wait_until(lambda: process.poll() is not None or ready(), command[0])
                if process.poll() is not None:
                    log.seek(0)
                    raise AssertionError(f"{command} ended with {process.returncode}: {log.read().decode()}")
                yield process
            finally:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(TIMEOUT_S)
                except subprocess.TimeoutExpired:
                    process.kill()


def version_of(command, pattern):
    done = subprocess.run(command, capture_output=True, timeout=TIMEOUT_S, check=False)
    found = re.search(pattern, (done.stdout + done.stderr).decode())
    return found.group(1) if found else "?"


def write(folder, name, text):
    path = os.path.join(folder, name)
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
    return path


@contextlib.contextmanager
def three(first):
    """The server of the case, and two more."""
    with Server(SERVER_OPTIONS) as second, Server(SERVER_OPTIONS) as third:
        yield [first, second, third]


def count_items(server):
    with server.client() as client:
        return int(client.stats()["curr_items"])


# -- through any of them -------------------------------------------------------------------------------


def ask(client, request, reply_end=b"\r\n"):
    client.send(request)
    return client.recv_until(reply_end)


def store_all(client, value="value of {}"):
    """Sets all keys, pipelined; gives the answers."""
    values = [value.format(key).encode() for key in KEYS]
    client.send(b"".join(b"set %s 7 0 %d\r\n%s\r\n" % (k.encode(), len(v), v) for k, v in zip(KEYS, values)))
    return [client.recv_line() for _ in KEYS]


def read_all(client):
    """One `get` of all keys; gives key -> value."""
    lines = ask(client, b"get " + " ".join(KEYS).encode() + b"\r\n", b"END\r\n").split(b"\r\n")
    assert lines[-2:] == [b"END", b""], lines[-2:]
    return {lines[i].split(b" ")[1].decode(): lines[i + 1].decode() for i in range(0, len(lines) - 2, 2)}


def check_commands(client, checks):
    """What is answered by one server, passed on by the proxy."""
    script = [
        (b"set a 5 0 1\r\n1\r\n", b"STORED\r\n"),
        (b"get a\r\n", b"VALUE a 5 1\r\n1\r\nEND\r\n"),
        (b"get missing\r\n", b"END\r\n"),
        (b"add a 0 0 1\r\n2\r\n", b"NOT_STORED\r\n"),
        (b"replace a 5 0 2\r\n10\r\n", b"STORED\r\n"),
        (b"incr a 32\r\n", b"42\r\n"),
        (b"decr a 2\r\n", b"40\r\n"),
        (b"incr missing 1\r\n", b"NOT_FOUND\r\n"),
        (b"append a 5 0 1\r\n7\r\n", b"STORED\r\n"),
        (b"prepend a 5 0 1\r\n-\r\n", b"STORED\r\n"),
        (b"get a\r\n", b"VALUE a 5 4\r\n-407\r\nEND\r\n"),
        (b"incr a 1\r\n", b"CLIENT_ERROR cannot increment or decrement non-numeric value\r\n"),
        (b"cas missing 0 0 1 1\r\nx\r\n", b"NOT_FOUND\r\n"),
        (b"touch a 100\r\n", b"TOUCHED\r\n"),
        (b"delete a\r\n", b"DELETED\r\n"),
        (b"delete a\r\n", b"NOT_FOUND\r\n"),
    ]
    for request, reply in script:
        client.send(request)
        got = client.recv_until(b"END\r\n" if reply.endswith(b"END\r\n") else b"\r\n")
        checks.equal(request.decode().split("\r\n")[0], got, reply)
    unique = ask(client, b"set c 0 0 3\r\nold\r\ngets c\r\n", b"END\r\n").split()[5]
    checks.equal("cas", ask(client, b"cas c 0 0 3 " + unique + b"\r\nnew\r\n"), b"STORED\r\n")
    checks.equal("cas with an old number", ask(client, b"cas c 0 0 3 " + unique + b"\r\nlat\r\n"), b"EXISTS\r\n")
    large = os.urandom(1000000)
    checks.equal("set of a large value", ask(client, b"set large 0 0 1000000\r\n" + large + b"\r\n"), b"STORED\r\n")
    client.send(b"get large\r\n")
    client.recv_line()
    checks.true("get of a large value", client.recv_exact(1000000) == large)
    client.recv_until(b"END\r\n")
    too_large = b"set large 0 0 2000000\r\n" + large + large + b"\r\n"
    checks.equal("too large a value", ask(client, too_large), b"SERVER_ERROR object too large for cache\r\n")
    checks.equal("a refused value leaves nothing", ask(client, b"get large\r\n", b"END\r\n"), b"END\r\n")
    client.send(b"set quiet 0 0 1 noreply\r\nq\r\n")
    checks.equal("a quiet set", ask(client, b"get quiet\r\n", b"END\r\n"), b"VALUE quiet 0 1\r\nq\r\nEND\r\n")


# -- nutcracker ----------------------------------------------------------------------------------------

NUTCRACKER = """larders:
  listen: 127.0.0.1:{port}
  hash: md5
  distribution: ketama
  auto_eject_hosts: true
  server_retry_timeout: 300
  server_failure_limit: 1
  timeout: 5000
  servers:
{servers}"""


def nutcracker_counts(port):
    """What it says of itself: JSON, to whoever connects."""
    with socket.create_connection(("127.0.0.1", port), TIMEOUT_S) as connection:
        text = b""
        while part := connection.recv(65536):
            text += part
    return json.loads(text)["larders"]


def check_nutcracker(server, checks, _):
    binary = find_program("nutcracker")
    with three(server) as servers, tempfile.TemporaryDirectory() as folder:
        port, stats_port = free_port(), free_port()
        lines = "".join(f"   - 127.0.0.1:{each.port}:1 larder{i}\n" for i, each in enumerate(servers))
        path = write(folder, "nutcracker.yml", NUTCRACKER.format(port=port, servers=lines))
        command = [binary, "-c", path, "-s", str(stats_port), "-a", "127.0.0.1", "-i", "50"]
        with running(command, lambda: accepts(("127.0.0.1", port))), Client(("127.0.0.1", port)) as client:
            check_commands(client, checks)
            check_three(servers, client, checks)
            check_ejection(servers, client, checks, lambda: nutcracker_counts(stats_port))
    return version_of([binary, "--version"], r"nutcracker-([\d.]+)")


def check_three(servers, client, checks):
    checks.equal("300 sets at once", store_all(client), [b"STORED\r\n"] * len(KEYS))
    for i, each in enumerate(servers):
        checks.true(f"server {i} has a part", 20 < count_items(each) < 200)
    checks.equal("one get for all", read_all(client), {key: f"value of {key}" for key in KEYS})
    client.send(b"".join(b"delete %s\r\n" % key.encode() for key in KEYS))
    checks.equal("300 deletes at once", [client.recv_line() for _ in KEYS], [b"DELETED\r\n"] * len(KEYS))
    checks.equal("nothing is left", read_all(client), {})


def check_ejection(servers, client, checks, counts):
    """One server dies: the others take its keys.  It comes back: it gets them again."""
    servers[1].stop_listening()
    wait_until(lambda: set(store_all(client)) == {b"STORED\r\n"}, "the ejection of the dead server")
    wait_until(lambda: counts()["server_ejects"] >= 1, "nutcracker to count the ejection")
    checks.true("the dead server was ejected", True)
    checks.equal("two servers have all", read_all(client), {key: f"value of {key}" for key in KEYS})
    servers[1].start_again()

    def is_back():
        store_all(client, "later {}")
        return count_items(servers[1]) > 20

    wait_until(is_back, "the return of the server")
    checks.equal("sets with three again", store_all(client, "again {}"), [b"STORED\r\n"] * len(KEYS))
    checks.equal("three servers have all", read_all(client), {key: f"again {key}" for key in KEYS})


# -- haproxy -------------------------------------------------------------------------------------------

HAPROXY = r"""global
    maxconn 100
    stats socket {folder}/admin level admin
defaults
    mode tcp
    retries 3
    option redispatch
    timeout connect 1s
    timeout client 30s
    timeout server 30s
listen larders
    bind 127.0.0.1:{port}
    balance first
    option tcp-check
    tcp-check connect
    tcp-check send version\r\n
    tcp-check expect rstring ^VERSION\ [0-9]+\.[0-9]+\.[0-9]+
    tcp-check send stats\r\n
    tcp-check expect string END
    tcp-check send mn\r\n
    tcp-check expect string MN
    default-server check inter 50ms fall 2 rise 2 on-marked-down shutdown-sessions
{servers}"""


def haproxy_states(folder):
    """server name -> UP, DOWN and the like."""
    with Client(os.path.join(folder, "admin")) as client:
        client.send(b"show stat\n")
        rows = [line.split(",") for line in client.recv_to_end().decode().splitlines() if line.startswith("larders,")]
    return {row[1]: row[17] for row in rows}


def check_haproxy(server, checks, _):
    binary = find_program("haproxy")
    with three(server) as servers, tempfile.TemporaryDirectory() as folder:
        port = free_port()
        lines = "".join(f"    server larder{i} 127.0.0.1:{each.port}\n" for i, each in enumerate(servers))
        path = write(folder, "haproxy.cfg", HAPROXY.format(port=port, folder=folder, servers=lines))
        with running([binary, "-db", "-f", path], lambda: accepts(os.path.join(folder, "admin"))):
            check_failover(servers, ("127.0.0.1", port), folder, checks)
    return version_of([binary, "-v"], r"version ([\d.]+)")


def name_server(server, name):
    with server.client() as client:
        client.exchange(b"set name 0 0 %d\r\n%s\r\n" % (len(name), name), b"STORED\r\n")


def who_answers(address):
    with Client(address) as client:
        return ask(client, b"get name\r\n", b"END\r\n").split(b"\r\n")[1]


def check_failover(servers, address, folder, checks):
    def wait_for(name, state):
        wait_until(lambda: haproxy_states(folder)[name].startswith(state), f"{name} to be {state}")
        checks.true(f"{name} is {state}", True)

    for i, each in enumerate(servers):
        name_server(each, b"larder%d" % i)
        wait_for(f"larder{i}", "UP")
    with Client(address) as client:
        check_commands(client, checks)
    checks.equal("the first answers", who_answers(address), b"larder0")
    with Client(address) as open_client:
        checks.equal("before it dies", ask(open_client, b"get name\r\n", b"END\r\n").split(b"\r\n")[1], b"larder0")
        servers[0].stop_listening()
        checks.equal("its clients see the end", open_client.recv_to_end(), b"")
    wait_for("larder0", "DOWN")
    checks.equal("the second answers", who_answers(address), b"larder1")
    os.kill(servers[1].pid, signal.SIGSTOP)  # hangs: connects are taken by the kernel, and nothing answers
    try:
        wait_for("larder1", "DOWN")
        checks.equal("the third answers", who_answers(address), b"larder2")
    finally:
        os.kill(servers[1].pid, signal.SIGCONT)
    wait_for("larder1", "UP")
    servers[0].start_again()
    name_server(servers[0], b"larder0")
    wait_for("larder0", "UP")
    checks.equal("the first answers again", who_answers(address), b"larder0")


# -- nginx ---------------------------------------------------------------------------------------------

NGINX = """daemon off;
master_process off;
worker_processes 1;
pid {folder}/pid;
error_log stderr;
load_module {modules}/ngx_http_memc_module.so;
events {{ worker_connections 100; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    client_max_body_size 4m;
    client_body_buffer_size 4m;
    upstream larders {{ {servers} keepalive 10; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            set $memc_cmd $arg_cmd;
            set $memc_key $arg_key;
            set $memc_value $arg_val;
            set $memc_exptime $arg_exptime;
            memc_cmds_allowed get set add replace append prepend delete incr decr flush_all stats version;
            memc_pass larders;
        }}
        location /body/ {{
            set $memc_cmd set;
            set $memc_key $arg_key;
            memc_pass larders;
        }}
        location /core/ {{
            set $memcached_key $arg_key;
            memcached_pass larders;
        }}
    }}
}}
"""
NGINX_MODULES = "/usr/lib/nginx/modules"


def check_nginx(server, checks, _):
    binary = find_program("nginx")
    if not os.path.exists(f"{NGINX_MODULES}/ngx_http_memc_module.so"):
        raise Skip("nginx has no memc module here")
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        text = NGINX.format(folder=folder, modules=NGINX_MODULES, port=port, servers=f"server 127.0.0.1:{server.port};")
        path = write(folder, "nginx.conf", text)
        command = [binary, "-p", folder, "-e", "stderr", "-c", path]
        with running(command, lambda: accepts(("127.0.0.1", port))):
            check_over_http(("127.0.0.1", port), checks)
    return version_of([binary, "-v"], r"nginx/([\d.]+)")


def check_over_http(address, checks):
    connection = http.client.HTTPConnection(*address, timeout=TIMEOUT_S)

    def request(query, body=None):
        connection.request("PUT" if body is not None else "GET", query, body)
        answer = connection.getresponse()
        return answer.status, answer.read()

    large = os.urandom(1000000)
    script = [
        ("/?cmd=set&key=a&val=1", None, 201, b"STORED\r\n"),
        ("/?cmd=get&key=a", None, 200, b"1"),
        ("/core/?key=a", None, 200, b"1"),
        ("/core/?key=missing", None, 404, None),
        ("/?cmd=get&key=missing", None, 404, None),
        ("/?cmd=add&key=a&val=2", None, 200, b"NOT_STORED\r\n"),
        ("/?cmd=add&key=b&val=2", None, 201, b"STORED\r\n"),
        ("/?cmd=replace&key=b&val=10", None, 201, b"STORED\r\n"),
        ("/?cmd=incr&key=b&val=32", None, 201, b"42\r\n"),
        ("/?cmd=decr&key=b&val=2", None, 201, b"40\r\n"),
        ("/?cmd=append&key=b&val=7", None, 201, b"STORED\r\n"),
        ("/?cmd=prepend&key=b&val=1", None, 201, b"STORED\r\n"),
        ("/core/?key=b", None, 200, b"1407"),
        ("/?cmd=delete&key=b", None, 200, b"DELETED\r\n"),
        ("/?cmd=delete&key=b", None, 404, None),
        ("/body/?key=large", large, 201, b"STORED\r\n"),
        ("/core/?key=large", None, 200, large),
        ("/?cmd=get&key=large", None, 200, large),
        ("/?cmd=flush_all", None, 200, b"OK\r\n"),
        ("/core/?key=a", None, 404, None),
    ]
    for query, body, status, text in script:
        got_status, got = request(query, body)
        checks.equal(f"{query}: status", got_status, status)
        if text is not None:
            checks.equal(query, got, text)
    checks.true("version", re.fullmatch(rb"VERSION 1\.6\.\d+\r\n", request("/?cmd=version")[1]))
    checks.true("stats", b"STAT curr_items " in request("/?cmd=stats")[1])


CASES = [
    Case("nutcracker", "text", check_nutcracker),
    Case("haproxy tcp-check", "text", check_haproxy),
    Case("nginx memc, memcached", "text", check_nginx),
]

if __name__ == "__main__":
    run_clients(CASES)
