#!/usr/bin/env python3
"""Torture of the MySQL hook: versioned rows, writers, readers that fill the cache, and faults.

Each row has a version that only grows.  Writers change rows through several connections; readers ask the cache, and on
a miss read the database and store what they saw: plainly (set), or with a token (mg N, ms C).  Meanwhile connections
are killed, the server is frozen, its log is rotated and purged, also while the hook is away, it is restarted, the hook
is paused, commits wait for a replica that does not answer (semi-synchronous replication).  After that it is quiet; when everything has been applied and the plain stores of the last moment have gone (2 hold-offs and 2 s), nothing
that the cache holds may be older than the database.

HOOK_TORTURE_SECONDS  how long (60)    HOOK_TORTURE_FAMILY  mariadb or mysql    HOOK_TORTURE_SEED
HOOK_TORTURE_FENCE    "arrival" takes the fence away: values that are stale then are what it is there for
"""

import os
import random
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import database
from database import SqlError
from server import Skip, run_tests
from test_hook import Place, shop, wait_until

SECONDS = float(os.environ.get("HOOK_TORTURE_SECONDS", "60"))
FENCE = os.environ.get("HOOK_TORTURE_FENCE", "visible")
SLOWNESS = float(os.environ.get("TEST_TIMEOUT_SCALE", "1"))  # above 1 under sanitizers
WRITE_PAUSE_S = 0.003 * (SLOWNESS - 1)  # a hook that is slower by so much keeps up with so many fewer changes
PATIENCE_S = 15 * SLOWNESS
ROWS = 200
HOLDOFF_S = 1
TABLES = """
{ name = "shop.rows"; rules = (
    { on = "any"; delete = "p:{id}"; },
    { on = "any"; delete = "t:{id}"; },
    { on = "any"; stale = "s:{id}"; },
    { on = "insert,update"; set = "w:{id}"; value = "{version}"; } ); }
"""
FAULTS = {"kill": 3, "rotate": 2, "freeze": 1, "pause": 1, "purge": 1, "gap": 1, "restart": 1, "stall": 1}
SEMISYNC = {"mariadb": "rpl_semi_sync_master", "mysql": "rpl_semi_sync_source"}
LOST = (OSError, ConnectionError, SqlError, ValueError, IndexError)


class Torture:
    def __init__(self, db, server, seed):
        self.db, self.server, self.seed = db, server, seed
        self.stop = threading.Event()
        self.calm = threading.Event()
        self.counts = {"writes": 0, "hits": 0, "plain": 0, "token": 0, "refused": 0}
        self.faults_done = dict.fromkeys(FAULTS, 0)
        self.errors = []

    def loop(self, work, number):
        """Runs `work` with a connection, anew when that was lost."""
        dice = random.Random(self.seed * 1000 + number)
        while not self.stop.is_set():
            try:
                with self.db.connect(timeout=3) as sql, self.server.client(timeout=5) as client:
                    while not self.stop.is_set():
                        work(sql, client, dice)
            except LOST:
                time.sleep(0.02)  # the server may be on its way up
            except AssertionError as error:
                self.errors.append(error)
                return

    def write(self, sql, _, dice):
        ids = sorted(dice.sample(range(ROWS), dice.choice((1, 1, 1, 3, 20))))
        names = ",".join(map(str, ids))
        kind = dice.random()
        if kind < 0.7:
            sql(f"UPDATE shop.rows SET version = version + 1 WHERE id IN ({names})")
        elif kind < 0.9:
            sql("BEGIN")
            for number in ids[:3]:
                sql(f"UPDATE shop.rows SET version = version + 1 WHERE id = {number}")
            sql("COMMIT" if dice.random() < 0.8 else "ROLLBACK")
        else:
            number = ids[0]
            sql("BEGIN")
            rows = sql(f"SELECT version FROM shop.rows WHERE id = {number} FOR UPDATE")
            if rows:
                sql(f"DELETE FROM shop.rows WHERE id = {number}")
                sql(f"INSERT INTO shop.rows VALUES ({number}, {int(rows[0][0]) + 1})")
            sql("COMMIT")
        self.counts["writes"] += 1
        time.sleep(WRITE_PAUSE_S)

    def fill(self, sql, client, dice):
        number = dice.randrange(ROWS)
        kind = dice.choice("pts")
        key = f"{kind}:{number}"
        client.send(f"mg {key} v c{' N30' if kind == 't' else ''}\r\n".encode())
        head = client.recv_line().split()
        token = next((word[1:].decode() for word in head if word[:1] == b"c"), "0")
        if head[0] == b"VA":
            client.recv_exact(int(head[1]) + 2)
        fresh = head[0] == b"VA" and head[1] != b"0" and b"X" not in head and b"W" not in head
        if fresh and dice.random() < 0.9:
            self.counts["hits"] += 1
            return
        rows = sql(f"SELECT version FROM shop.rows WHERE id = {number}")
        if not rows:
            return
        version = rows[0][0]
        if dice.random() < 0.3:
            time.sleep(dice.random() * 0.02)  # a slow application: its store comes late
        if kind == "t" or (kind == "s" and head[0] == b"VA"):
            client.send(f"ms {key} {len(version)} C{token}\r\n{version}\r\n".encode())
            answer = client.recv_line()
            self.counts["token" if answer[:2] == b"HD" else "refused"] += 1
        else:
            client.send(f"set {key} 0 0 {len(version)}\r\n{version}\r\n".encode())
            client.recv_line()
            self.counts["plain"] += 1

    # -- faults

    @staticmethod
    def purge(sql):
        """All but the newest log; MariaDB keeps those that its storage still needs, for a moment."""
        sql("FLUSH BINARY LOGS")

        def is_done():
            sql(f"PURGE BINARY LOGS TO '{sql('SHOW BINARY LOGS')[-1][0]}'")
            return len(sql("SHOW BINARY LOGS")) == 1

        wait_until(is_done, "the purge", PATIENCE_S)

    def gap(self, dice):
        """What happened while the hook was away is purged."""
        with self.server.client() as client, self.db.connect(timeout=10) as sql:
            def count(name):
                return int(client.stats("hook")["hook_" + name])

            wait_until(lambda: client.stats("hook")["hook_state"] == "streaming", "the stream", PATIENCE_S)
            gaps, writes = count("gaps"), self.counts["writes"]
            client.exchange(b"hook pause\r\n", b"OK\r\n")
            try:
                wait_until(lambda: self.counts["writes"] > writes + 20, "writes", PATIENCE_S)
                self.purge(sql)
                time.sleep(dice.random())
            finally:
                client.exchange(b"hook resume\r\n", b"OK\r\n")
            wait_until(lambda: count("gaps") > gaps, "the gap", PATIENCE_S)

    def stall(self, dice):
        """Commits are in the log, and cannot be seen before their time for a replica's answer is over."""
        setting = SEMISYNC[self.db.family]
        with self.db.connect(timeout=10) as sql:
            if self.db.family == "mysql" and not sql("SELECT 1 FROM mysql.plugin WHERE name = 'rpl_semi_sync_source'"):
                sql("INSTALL PLUGIN rpl_semi_sync_source SONAME 'semisync_source.so'")
            sql(f"SET GLOBAL {setting}_timeout = {dice.randrange(100, 700)}, GLOBAL {setting}_wait_point = AFTER_SYNC")
            sql(f"SET GLOBAL {setting}_enabled = ON")
            try:
                time.sleep(dice.random() * 1.5)
            finally:
                sql(f"SET GLOBAL {setting}_enabled = OFF")

    def fault(self, dice, kind):
        with self.db.connect(timeout=3) as sql:
            if kind == "kill":
                for (number,) in sql("SELECT ID FROM INFORMATION_SCHEMA.PROCESSLIST WHERE USER = 'hook'"):
                    if dice.random() < 0.6:
                        sql(f"KILL {number}")
            elif kind == "rotate":
                sql("FLUSH BINARY LOGS")
            elif kind == "purge":
                self.purge(sql)
        if kind == "freeze":
            self.db.freeze()
            time.sleep(dice.random() * 3)
            self.db.thaw()
        elif kind == "pause":
            with self.server.client() as client:
                client.exchange(b"hook pause\r\n", b"OK\r\n")
                time.sleep(dice.random() * 2)
                client.exchange(b"hook resume\r\n", b"OK\r\n")
        elif kind == "gap":
            self.gap(dice)
        elif kind == "restart":
            self.db.restart() if dice.random() < 0.7 else (self.db.kill(), self.db.start())
        elif kind == "stall":
            self.stall(dice)
        self.faults_done[kind] += 1

    def faults(self):
        dice = random.Random(self.seed)
        kinds = [kind for kind, weight in FAULTS.items() for _ in range(weight)]
        first = list(FAULTS)  # each once, as far as there is time
        dice.shuffle(first)
        while not self.calm.wait(0.5 + dice.random() * 2):
            kind = first.pop() if first else dice.choice(kinds)
            try:
                self.fault(dice, kind)
            except LOST as error:
                print(f"fault {kind}: {error}", flush=True)
            except AssertionError as error:
                self.errors.append(f"fault {kind}: {error}")

    # -- the verdict

    def run(self, with_faults=True):
        threads = [threading.Thread(target=self.loop, args=(self.write, n)) for n in range(4)]
        threads += [threading.Thread(target=self.loop, args=(self.fill, 10 + n)) for n in range(4)]
        if with_faults:
            threads.append(threading.Thread(target=self.faults))
        for thread in threads:
            thread.start()
        time.sleep(SECONDS * 0.8)
        self.calm.set()  # no faults any more, so that there is something in the cache at the end
        time.sleep(SECONDS * 0.2)
        self.stop.set()
        for thread in threads:
            thread.join(60 + 3 * PATIENCE_S)
            assert not thread.is_alive()
        assert not self.errors, self.errors

    def stale(self):
        """Keys whose value is older than the database, when all is quiet."""
        with self.server.client() as client, self.db.connect() as sql:
            def figures():
                return client.stats("hook")

            wait_until(lambda: figures()["hook_state"] == "streaming", "the stream", 2 * PATIENCE_S)
            wait_until(lambda: figures()["hook_degraded"] == "0", "the end of the bypass", 2 * PATIENCE_S)
            question = "@@gtid_binlog_pos" if self.db.family == "mariadb" else "@@gtid_executed"
            gtid = sql.one(f"SELECT {question}").replace("\n", "")
            client.exchange(f"hook wait {gtid} 8000\r\n".encode(), b"OK\r\n")
            time.sleep(2 * HOLDOFF_S + 2)  # what a plain store may have kept for its hold-off
            truth = dict(sql("SELECT id, version FROM shop.rows"))
            bad, held = [], 0
            for number in range(ROWS):
                for kind in "ptsw":
                    client.send(f"mg {kind}:{number} v k\r\n".encode())
                    head = client.recv_line().split()
                    if head[0] != b"VA":
                        continue
                    value = client.recv_exact(int(head[1]) + 2)[:-2].decode()
                    if b"X" in head or value == "":
                        continue
                    held += 1
                    if value != truth.get(str(number)):
                        bad.append((f"{kind}:{number}", value, truth.get(str(number))))
            return bad, held, figures()


def torture(make, options=(), fence=None, with_faults=True, prepare=None):
    seed = int(os.environ.get("HOOK_TORTURE_SEED", str(int(time.time()))))
    with shop(make, *options) as db:
        with db.connect() as sql:
            sql("CREATE TABLE shop.rows (id INT PRIMARY KEY, version BIGINT)")
            sql("INSERT INTO shop.rows VALUES " + ",".join(f"({n}, 1)" for n in range(ROWS)))
            if prepare:
                prepare(sql)
        place = Place([db], TABLES, source=f'fence = "{fence or FENCE}";', state=True, grace_ms=1000)
        with place.server() as server:
            it = Torture(db, server, seed)
            print(f"seed {seed}, {SECONDS:.0f} s, {db.family}", flush=True)
            it.run(with_faults)
            bad, held, figures = it.stale()
            shown = {name: figures["hook_" + name] for name in (
                "rows", "reconnects", "gaps", "epoch_bumps", "token_voided", "holdoff_shortened", "fence_us_p50",
                "fence_us_p99", "fence_timeouts", "lag_us", "decode_errors")}  # fmt: skip
            print(it.counts, it.faults_done, shown, f"{held} values held, {len(bad)} stale", flush=True)
            return bad, held, it


def test_nothing_stale_is_left_mariadb():
    if os.environ.get("HOOK_TORTURE_FAMILY", "mariadb") != "mariadb":
        raise Skip("HOOK_TORTURE_FAMILY is another one")
    bad, held, it = torture(database.mariadb)
    assert not bad, bad[:20]
    assert held > 0 and it.counts["writes"] > 100 and it.counts["token"] > 0 and it.counts["plain"] > 0


def test_nothing_stale_is_left_mysql():
    if os.environ.get("HOOK_TORTURE_FAMILY", "mysql") != "mysql":
        raise Skip("HOOK_TORTURE_FAMILY is another one")
    bad, held, it = torture(database.mysql)
    assert not bad, bad[:20]
    assert held > 0 and it.counts["writes"] > 100 and it.counts["token"] > 0 and it.counts["plain"] > 0


if __name__ == "__main__":
    run_tests(globals())
