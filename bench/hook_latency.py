#!/usr/bin/env python3
"""Figures of the MySQL hook with a real server: bench/hook_latency.py [mariadb|mysql] [commits]

commit to delete    from when COMMIT has returned until a get misses the key (0: the delete came first)
commit to applied   until `hook wait` of the transaction answers: visible, and deleted for good
bulk                one UPDATE of 500,000 rows: rows per second until all is applied, and memory
"""

import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
for folder in ("support", "e2e"):
    sys.path.insert(0, os.path.join(HERE, "..", "tests", folder))
os.environ.setdefault("LARDER", os.path.join(HERE, "..", "build", "larder"))
import database
from test_hook import Place, hooked, shop, wait_until

BULK_ROWS = 500000
TABLES = '{ name = "shop.users"; rules = ( { on = "any"; delete = "user:{id}"; } ); }'


def percentile(values, part):
    return sorted(values)[min(len(values) - 1, int(len(values) * part))]


def show(what, values):
    print(f"{what}: p50 {percentile(values, 0.5) * 1e6:.0f} us, p99 {percentile(values, 0.99) * 1e6:.0f} us")


def latency(it, commits):
    deleted, applied = [], []
    last_gtid = "SELECT @@last_gtid" if it.db.family == "mariadb" else "SELECT @@gtid_executed"
    get, end = b"get user:1\r\n", b"END\r\n"
    it.sql("INSERT INTO shop.users VALUES (1, 'a', 'b')")
    it.settle()
    for number in range(commits):
        it.client.exchange(b"ms user:1 1\r\nx\r\n", b"HD\r\n")
        text = f"UPDATE shop.users SET name = {number} WHERE id = 1"
        it.sql(text)
        begun = time.perf_counter()
        while True:
            it.client.send(get)
            asked = time.perf_counter()
            if it.client.recv_until(end) == end:
                break
        deleted.append(asked - begun)
        time.sleep(0.001)
        it.sql(f"UPDATE shop.users SET name = '-{number}' WHERE id = 1")
        begun = time.perf_counter()
        gtid = it.sql.one(last_gtid).replace("\n", "")
        asked = time.perf_counter() - begun
        it.client.exchange(f"hook wait {gtid} 5000\r\n".encode(), b"OK\r\n")
        applied.append(time.perf_counter() - begun - asked)
    show("commit to delete", deleted)
    show("commit to applied", applied)


def memory_kb(pid):
    with open(f"/proc/{pid}/status") as file:
        fields = dict(line.split(":", 1) for line in file)
    return int(fields["VmRSS"].split()[0])


def bulk(it):
    it.sql.socket.settimeout(120)
    before = memory_kb(it.server.pid)
    rows = 1000
    it.sql("DELETE FROM shop.users")
    it.sql("INSERT INTO shop.users VALUES " + ",".join(f"({n}, 'e{n}', 'name')" for n in range(rows)))
    while rows < BULK_ROWS:
        it.sql(f"INSERT INTO shop.users SELECT id + {rows}, email, name FROM shop.users LIMIT {BULK_ROWS - rows}")
        rows = int(it.sql.one("SELECT COUNT(*) FROM shop.users"))
    wait_until(lambda: it.stat("queue_keys") == "0", "the inserts", 60)
    it.settle()
    it.client.exchange(b"hook pause\r\n", b"OK\r\n")
    it.wait_for("paused")
    it.sql("UPDATE shop.users SET name = CONCAT(name, 'x')")
    done = it.count("rows")
    begun = time.perf_counter()  # the time to connect is part of it
    it.client.exchange(b"hook resume\r\n", b"OK\r\n")
    peak = 0
    while it.count("rows") < done + BULK_ROWS or it.stat("queue_keys") != "0":
        peak = max(peak, memory_kb(it.server.pid))
        time.sleep(0.005)
    took = time.perf_counter() - begun
    print(f"bulk: {BULK_ROWS / took:.0f} rows/s, {(peak - before) / 1024:.1f} MB more memory at the peak")


def main():
    family = sys.argv[1] if len(sys.argv) > 1 else "mariadb"
    commits = int(sys.argv[2]) if len(sys.argv) > 2 else 1000
    with shop(getattr(database, family)) as db, hooked(db, Place([db], TABLES)) as it:
        print(family)
        latency(it, commits)
        print({name: it.stat(name) for name in ("fence_us_p50", "fence_us_p99", "lag_us")})
        bulk(it)


if __name__ == "__main__":
    main()
