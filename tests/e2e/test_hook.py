#!/usr/bin/env python3
"""The MySQL hook against a real MariaDB server; test_hook_mysql.py does the same with MySQL.

ONLY=kill,ddl runs these checks alone.
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import database
from database import SqlError
from server import SANITIZER_ENV, TIMEOUT_S, Server, Skip, free_port, larder_binary, run, run_tests

PASSWORD = "sEcret42-never-shown"
USERS = """
{ name = "shop.users"; rules = (
    { on = "any"; delete = "user:{id}"; },
    { on = "update(email),delete"; delete = "email:{old.email|lower}"; },
    { on = "insert,update"; set = "userj:{id}"; value = "json(id,name,email)"; ttl = 3600; if_exists = true; },
    { on = "insert,update"; set = "userw:{id}"; value = "json(id,name)"; } ); },
{ name = "shop.orders"; rules = ( { on = "any"; stale = "orders:{customer}"; ttl = 60; } ); }
"""


class Place:
    """A folder with a rules file, for a list of databases in turn."""

    def __init__(self, hosts, tables=USERS, user="hook", source="", state=False, grace_ms=2000, timeout_ms=3000):
        self.folder = tempfile.mkdtemp(prefix="larder-hook-")
        self.state_file = os.path.join(self.folder, "state")
        password = os.path.join(self.folder, "password")
        with open(password, "w") as file:
            file.write(PASSWORD + "\n")
        os.chmod(password, 0o600)
        names = ", ".join(f'"127.0.0.1:{db.port}"' for db in hosts)
        if state:
            source += f' state_file = "{self.state_file}";'
        self.rules = os.path.join(self.folder, "rules")
        with open(self.rules, "w") as file:
            file.write(
                f'source = {{ hosts = ({names}); user = "{user}"; password_file = "{password}"; tls = "off";'
                f" heartbeat_ms = 250; timeout_ms = {timeout_ms}; grace_ms = {grace_ms}; holdoff_ms = 1000; {source} }};\n"
                f"tables = ( {tables} );\n"
            )

    def server(self, *args, env=None):
        return Server(["-o", f"mysql_hook={self.rules}", *args], env=env)


def wait_until(ready, what, timeout=None):
    deadline = time.monotonic() + (timeout or TIMEOUT_S)
    while not ready():
        assert time.monotonic() < deadline, f"waited for {what}"
        time.sleep(0.01)  # between two looks; no test depends on its length


def make_shop(db):
    with db.connect() as sql:
        sql(f"CREATE USER hook@'%' IDENTIFIED BY '{PASSWORD}'")
        sql("GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO hook@'%'; GRANT SELECT ON shop.* TO hook@'%'")
        sql("CREATE DATABASE shop")
        make_tables(sql)


def make_tables(sql):
    sql("DROP TABLE IF EXISTS shop.child, shop.parent, shop.orders, shop.users")
    sql("CREATE TABLE shop.users (id INT PRIMARY KEY, email VARCHAR(100), name VARCHAR(50)) CHARSET utf8mb4")
    sql("CREATE TABLE shop.orders (id INT PRIMARY KEY, customer INT, total DECIMAL(10,2))")


def need_hook():
    """Raises Skip where larder is built without the hook."""
    done = run(["--hook-check", "/nonexistent"])
    if b"no MySQL hook" in done.stderr:
        raise Skip("larder is built without libmariadb or libconfig")


@contextlib.contextmanager
def shop(make, *options):
    need_hook()
    with make(*options) as db:
        make_shop(db)
        yield db


class Hooked:
    """A larder that follows, with a client; and SQL."""

    def __init__(self, db, server, sql, client):
        self.db, self.server, self.sql, self.client = db, server, sql, client

    def gtid(self):
        if self.db.family == "mariadb":
            return self.sql.one("SELECT @@gtid_binlog_pos")
        return self.sql.one("SELECT @@gtid_executed").replace("\n", "")

    def settle(self):
        """All that has happened in the database has been applied."""
        self.client.exchange(f"hook wait {self.gtid()} {int(TIMEOUT_S * 800)}\r\n".encode(), b"OK\r\n")

    def fill(self, *keys, plain=False):
        """Stores values; with a token, so that no hold-off of a change shortly before cuts their life."""
        for key in keys:
            if plain or not self.store_with_token(key):
                self.client.exchange(f"set {key} 0 0 1\r\nx\r\n".encode(), b"STORED\r\n")

    def store_with_token(self, key):
        self.client.send(f"mg {key} N30 c v\r\n".encode())
        head = self.client.recv_line().split()
        if head[0] != b"VA":
            return False
        self.client.recv_exact(int(head[1]) + 2)
        token = next(word[1:] for word in head if word[:1] == b"c").decode()
        self.client.send(f"ms {key} 1 C{token}\r\nx\r\n".encode())
        return self.client.recv_line() == b"HD\r\n"

    def has(self, key):
        self.client.send(f"get {key}\r\n".encode())
        text = self.client.recv_until(b"END\r\n")
        return text != b"END\r\n"

    def value(self, key):
        self.client.send(f"get {key}\r\n".encode())
        text = self.client.recv_until(b"END\r\n")
        return None if text == b"END\r\n" else text.split(b"\r\n")[1].decode()

    def stat(self, name):
        return self.client.stats("hook")["hook_" + name]

    def count(self, name):
        return int(self.stat(name))

    def wait_for(self, state):
        wait_until(lambda: self.stat("state") == state, f"state {state}")


@contextlib.contextmanager
def hooked(db, place=None, *args, env=None):
    place = place or Place([db])
    with place.server(*args, env=env) as server, db.connect() as sql, server.client() as client:
        it = Hooked(db, server, sql, client)
        it.wait_for("streaming")
        yield it
        assert PASSWORD not in server.log()


def check_rules(db):
    with hooked(db) as it:
        make_tables(it.sql)
        it.settle()
        it.fill("user:1", "user:2", "email:a@b", "email:c@d", "userj:1", "unrelated")
        it.sql("INSERT INTO shop.users VALUES (1, 'A@B', 'Ann')")
        it.settle()
        assert not it.has("user:1") and it.has("user:2") and it.has("email:a@b") and it.has("unrelated")
        assert it.value("userj:1") == '{"id":1,"name":"Ann","email":"A@B"}', it.value("userj:1")
        assert it.value("userw:1") == '{"id":1,"name":"Ann"}'
        assert not it.has("userj:2")
        it.sql("UPDATE shop.users SET name = 'Bea' WHERE id = 1")
        it.settle()
        assert it.has("email:a@b"), "email has not changed"
        assert it.value("userj:1") == '{"id":1,"name":"Bea","email":"A@B"}'
        it.fill("user:1")
        it.sql("UPDATE shop.users SET email = 'c@d', id = 3 WHERE id = 1")
        it.settle()
        assert not it.has("user:1") and not it.has("email:a@b") and it.has("email:c@d")
        assert not it.has("userj:1") and not it.has("userw:1")
        assert it.value("userw:3") == '{"id":3,"name":"Bea"}'
        it.sql("DELETE FROM shop.users")
        it.settle()
        assert not it.has("email:c@d") and not it.has("userw:3")
        assert it.count("sets") >= 4 and it.count("rows") >= 4
        it.client.exchange(b"set orders:7 0 0 1\r\nx\r\n", b"STORED\r\n")
        it.sql("INSERT INTO shop.orders VALUES (1, 7, -12.50)")
        it.settle()
        it.client.send(b"mg orders:7 v t\r\n")
        line = it.client.recv_line()
        assert line.startswith(b"VA 1 t") and b" X" in line and int(line.split()[2][1:]) <= 60, line
        it.client.recv_line()


def check_token(db):
    """A client's fill that began before the change is refused, by its token; a plain one lives shortly."""
    with hooked(db) as it:
        make_tables(it.sql)
        it.settle()
        it.client.send(b"mg user:9 N30 c v\r\n")
        head = it.client.recv_line().split()
        it.client.recv_line()
        token = next(word[1:] for word in head if word[:1] == b"c")
        it.sql("INSERT INTO shop.users VALUES (9, 'x', 'y')")
        it.settle()
        it.client.exchange(b"ms user:9 1 C" + token + b"\r\nx\r\n", b"NF\r\n")
        it.fill("user:9", plain=True)
        it.client.send(b"mg user:9 t\r\n")
        line = it.client.recv_line()
        assert line.startswith(b"HD t") and 0 <= int(line.split()[1][1:]) <= 2, line
        assert it.count("token_voided") >= 1 and it.count("holdoff_shortened") >= 1


def check_images(db):
    with hooked(db) as it:
        make_tables(it.sql)
        for image in ("MINIMAL", "NOBLOB", "FULL"):
            it.sql(f"SET GLOBAL binlog_row_image = {image}")
            with db.connect() as sql:
                sql("REPLACE INTO shop.users VALUES (1, 'm@n', 'Ann')")
                it.settle()
                it.fill("user:1", "email:m@n", "userj:1", "userw:1")
                sql("UPDATE shop.users SET name = 'Eve' WHERE id = 1")
                it.settle()
                assert not it.has("user:1"), image
                if image == "FULL":
                    assert it.value("userw:1") == '{"id":1,"name":"Eve"}'
                else:
                    assert it.value("userw:1") in (None, '{"id":1,"name":"Eve"}'), image
                sql("DELETE FROM shop.users")
                it.settle()
                assert not it.has("email:m@n"), image


def check_metadata(db):
    modes = ("NO_LOG", "MINIMAL", "FULL") if db.family == "mariadb" else ("MINIMAL", "FULL")
    with hooked(db) as it:
        for mode in modes:
            it.sql(f"SET GLOBAL binlog_row_metadata = {mode}")
            make_tables(it.sql)
            it.sql("ALTER TABLE shop.users ADD COLUMN u INT UNSIGNED")
            it.settle()
            bumps = it.count("epoch_bumps")
            it.fill("user:5", "user:6")
            it.sql("INSERT INTO shop.users VALUES (5, 'a', 'b', 4000000000)")
            it.settle()
            assert not it.has("user:5") and it.has("user:6"), mode
            assert it.count("epoch_bumps") == bumps, mode


def check_cascade(db):
    tables = USERS + ', { name = "shop.child"; rules = ( { on = "any"; delete = "child:{id}"; } ); }'
    with hooked(db, Place([db], tables)) as it:
        make_tables(it.sql)
        it.sql("CREATE TABLE shop.parent (id INT PRIMARY KEY, v INT)")
        it.sql(
            "CREATE TABLE shop.child (id INT PRIMARY KEY, parent INT,"
            " FOREIGN KEY (parent) REFERENCES shop.parent (id) ON DELETE CASCADE ON UPDATE CASCADE)"
        )
        it.sql("INSERT INTO shop.parent VALUES (1, 0), (2, 0), (3, 0), (4, 0)")
        it.sql("INSERT INTO shop.child VALUES (11, 1), (12, 2), (13, 4), (14, 4)")
        it.settle()
        it.fill("child:11", "child:12", "user:1")
        it.sql("UPDATE shop.parent SET v = 1 WHERE id = 3")
        it.settle()
        # MariaDB maps the child's table here too, and then nobody can tell.
        assert it.has("child:11") or db.family == "mariadb"
        it.fill("child:11")
        it.sql("DELETE FROM shop.parent WHERE id = 1")
        it.settle()
        assert not it.has("child:11") and it.has("user:1")
        it.fill("child:12")
        it.sql("UPDATE shop.parent SET id = 20 WHERE id = 2")
        it.settle()
        assert not it.has("child:12") and it.has("user:1")
        # Some rows of the child are in the log, and others are not.
        it.fill("child:13", "child:14")
        it.sql("USE shop; DELETE p, c FROM shop.parent p JOIN shop.child c ON c.parent = p.id AND c.id = 13")
        it.settle()
        assert it.sql("SELECT * FROM shop.child WHERE parent = 4") == []
        assert not it.has("child:13") and not it.has("child:14") and it.has("user:1")


def check_cascade_in_one_table(db):
    tables = '{ name = "shop.tree"; rules = ( { on = "any"; delete = "tree:{id}"; } ); }'
    with hooked(db, Place([db], tables)) as it:
        it.sql(
            "CREATE TABLE shop.tree (id INT PRIMARY KEY, parent INT, v INT,"
            " FOREIGN KEY (parent) REFERENCES shop.tree (id) ON DELETE CASCADE)"
        )
        it.sql("INSERT INTO shop.tree VALUES (1, NULL, 0), (2, 1, 0), (3, 2, 0), (4, NULL, 0)")
        it.settle()
        it.fill("tree:1", "tree:2", "tree:3", "tree:4")
        it.sql("UPDATE shop.tree SET v = 1 WHERE id = 2")
        it.settle()
        assert not it.has("tree:2") and it.has("tree:3") and it.has("tree:4")
        it.sql("DELETE FROM shop.tree WHERE id = 1")
        it.settle()
        assert not it.has("tree:1") and not it.has("tree:3")
        assert it.has("tree:4") or db.family == "mariadb"
        it.sql("DROP TABLE shop.tree")


def check_asked_columns(db):
    """What the log does not tell of a column is asked of the server."""
    tables = '{ name = "shop.kinds"; rules = ( { on = "any"; delete = "kind:{kind}:{flags}:{@table}"; }'
    types, value, text = "", "", ""
    if db.family == "mariadb":
        tables += ', { on = "any"; delete = "own:{u}:{a}"; }'
        types, value = ", u UUID, a INET6", ", '123e4567-e89b-12d3-a456-426655440000', '2001:db8::1'"
        text = "own:123e4567-e89b-12d3-a456-426655440000:2001:db8::1"
    with hooked(db, Place([db], tables + "); }")) as it:
        it.sql(
            "CREATE TABLE shop.kinds (id INT UNSIGNED PRIMARY KEY, kind ENUM('it''s', 'b'),"
            f" flags SET('x', 'y', 'z') {types}) CHARSET utf8mb4"
        )
        for row, metadata in enumerate(("MINIMAL", "NO_LOG" if db.family == "mariadb" else "MINIMAL", "FULL"), 1):
            it.sql(f"SET GLOBAL binlog_row_metadata = {metadata}")
            with db.connect() as sql:  # of the new setting
                sql("FLUSH TABLES")
                it.settle()
                it.fill("kind:it's:x,z:kinds", "kind:b:x,z:kinds", *([text] if text else []))
                sql(f"INSERT INTO shop.kinds VALUES ({row}, 'it''s', 'x,z' {value})")
            it.settle()
            assert not it.has("kind:it's:x,z:kinds") and it.has("kind:b:x,z:kinds"), metadata
            assert not text or not it.has(text), metadata
        it.sql("DROP TABLE shop.kinds")


def check_native_cascades(db):
    """MySQL before 9.6 logs no rows that foreign keys change; 9.6 can be told to do as it did."""
    if db.family != "mysql":
        raise Skip("MySQL's")
    tables = USERS + ', { name = "shop.child"; rules = ( { on = "any"; delete = "child:{id}"; } ); }'
    options = db.options
    db.stop()
    db.options = [*options, "--innodb-native-foreign-keys=ON"]
    try:
        db.start()
        with hooked(db, Place([db], tables)) as it:
            make_tables(it.sql)
            it.sql("CREATE TABLE shop.parent (id INT PRIMARY KEY, v INT)")
            it.sql(
                "CREATE TABLE shop.child (id INT PRIMARY KEY, parent INT,"
                " FOREIGN KEY (parent) REFERENCES shop.parent (id) ON DELETE CASCADE)"
            )
            it.sql("INSERT INTO shop.parent VALUES (1, 0), (2, 0); INSERT INTO shop.child VALUES (11, 1), (12, 2)")
            it.settle()
            it.fill("child:11", "user:1")
            it.sql("UPDATE shop.parent SET v = 1 WHERE id = 1")  # the key does not act on updates
            it.settle()
            assert it.has("child:11")
            rows = it.count("rows")
            it.sql("DELETE FROM shop.parent WHERE id = 1")
            it.settle()
            assert it.count("rows") == rows, "the server logs the child's rows: nothing is shown here"
            assert not it.has("child:11") and it.has("user:1") and it.count("cascade") >= 1
    finally:
        db.stop()
        db.options = options
        db.start()


def check_xa(db):
    with hooked(db) as it:
        make_tables(it.sql)
        it.sql("INSERT INTO shop.users VALUES (1, 'a', 'b'), (2, 'a', 'b')")
        it.settle()
        it.fill("user:1", "user:2")
        with db.connect() as sql:
            sql("XA START 'one'; UPDATE shop.users SET name = 'c' WHERE id = 1; XA END 'one'; XA PREPARE 'one'")
        it.settle()
        assert it.has("user:1"), "not committed yet"
        wait_until(lambda: len(it.sql("XA RECOVER")) == 1, "the prepared transaction")

        def finish(what):
            """The connection that has prepared it may not have quite gone."""
            def tried():
                try:
                    it.sql(what)
                    return True
                except SqlError as error:
                    assert error.number in (1397, 1399, 1402, 1440), error
                    return False
            wait_until(tried, what)

        bumps = it.count("epoch_bumps")
        finish("XA COMMIT 'one'")
        it.settle()
        assert not it.has("user:1") and it.has("user:2")
        assert it.count("epoch_bumps") == bumps
        with db.connect() as sql:
            sql("XA START 'two'; UPDATE shop.users SET name = 'c' WHERE id = 2; XA END 'two'; XA PREPARE 'two'")
        finish("XA ROLLBACK 'two'")
        it.settle()
        assert it.has("user:2")
        it.sql("XA START 'three'; UPDATE shop.users SET name = 'd' WHERE id = 2; XA END 'three'")
        it.sql("XA COMMIT 'three' ONE PHASE")
        it.settle()
        assert not it.has("user:2")
    # Prepared before larder followed: nobody knows its keys.
    with db.connect() as sql:
        sql("XA START 'four'; UPDATE shop.users SET name = 'e' WHERE id = 2; XA END 'four'; XA PREPARE 'four'")
    with hooked(db) as it:
        it.fill("user:1", "user:2")
        finish_sql = it.sql

        def tried():
            try:
                finish_sql("XA COMMIT 'four'")
                return True
            except SqlError:
                return False

        wait_until(tried, "XA COMMIT")
        it.settle()
        assert not it.has("user:1") and not it.has("user:2")


def check_ddl(db):
    with hooked(db) as it:
        make_tables(it.sql)

        def gone(statement):
            it.settle()
            it.fill("user:1", "orders:1", "elsewhere")
            it.sql(statement)
            it.settle()
            assert it.has("elsewhere"), statement
            return not it.has("user:1")

        it.sql("INSERT INTO shop.users VALUES (1, 'a', 'b')")
        assert gone("TRUNCATE shop.users") and it.has("orders:1")
        it.sql("INSERT INTO shop.users VALUES (1, 'a', 'b')")
        assert not gone("ALTER TABLE shop.users ADD COLUMN more INT"), "no rule has that column"
        it.sql("INSERT INTO shop.users VALUES (2, 'a', 'b', 1)")
        assert not gone("CREATE INDEX by_more ON shop.users (more)")
        assert not gone("CREATE TABLE shop.other (id INT)")
        assert not gone("DROP TABLE shop.other")
        it.sql("UPDATE shop.users SET more = 2 WHERE id = 2")
        assert gone("ALTER TABLE shop.users MODIFY id BIGINT")
        assert gone("RENAME TABLE shop.users TO shop.people")
        assert gone("RENAME TABLE shop.people TO shop.users")
        assert gone("DROP TABLE shop.users")
        assert it.count("ddl") >= 8
        make_tables(it.sql)
        it.settle()
        it.fill("user:1", "elsewhere")
        it.sql("INSERT INTO shop.users VALUES (1, 'a', 'b')")
        it.settle()
        assert not it.has("user:1")
        before = it.count("stmt_dml")
        it.fill("user:5")
        it.sql("SET SESSION binlog_format = STATEMENT; UPDATE shop.users SET name = 'q'; SET SESSION binlog_format = ROW")
        it.settle()
        assert not it.has("user:5") and it.count("stmt_dml") > before


def check_online_ddl(db):
    with hooked(db, Place([db], source='online_ddl = "_.*_(gho|ghc|del|new|old)";')) as it:
        make_tables(it.sql)
        it.sql("INSERT INTO shop.users VALUES (1, 'a', 'b')")
        it.sql("CREATE TABLE shop._users_gho LIKE shop.users; INSERT INTO shop._users_gho SELECT * FROM shop.users")
        it.settle()
        it.fill("user:1", "user:2")
        it.sql("RENAME TABLE shop.users TO shop._users_del, shop._users_gho TO shop.users")
        it.settle()
        assert it.has("user:1")
        it.sql("UPDATE shop.users SET name = 'z' WHERE id = 1; DROP TABLE shop._users_del")
        it.settle()
        assert not it.has("user:1") and it.has("user:2")


def check_kill(db):
    with hooked(db) as it:
        make_tables(it.sql)
        it.settle()
        for round in range(3):
            reconnects = it.count("reconnects")
            it.fill(f"user:{round}", "user:99")
            for (number,) in it.sql("SELECT ID FROM INFORMATION_SCHEMA.PROCESSLIST WHERE USER = 'hook'"):
                with contextlib.suppress(SqlError):
                    it.sql(f"KILL {number}")
            it.sql(f"INSERT INTO shop.users VALUES ({round}, 'a', 'b')")
            it.settle()
            assert not it.has(f"user:{round}") and it.has("user:99")
            wait_until(lambda: it.count("reconnects") > reconnects, "a new connection")
            it.wait_for("streaming")
        assert it.stat("gaps") == "0"


def check_filtered_system_calls(db):
    """-o drop_privileges: the hook connects again, and keeps its state file."""
    if b"drop_privileges:" not in run(["-h"]).stdout:
        raise Skip("larder is built without seccomp")
    place = Place([db], state=True)
    with hooked(db, place, "-o", "drop_privileges", env=SANITIZER_ENV) as it:
        make_tables(it.sql)
        it.settle()
        for round in range(2):
            it.fill(f"user:{round}", "user:99")
            reconnects = it.count("reconnects")
            for (number,) in it.sql("SELECT ID FROM INFORMATION_SCHEMA.PROCESSLIST WHERE USER = 'hook'"):
                with contextlib.suppress(SqlError):
                    it.sql(f"KILL {number}")
            it.sql(f"INSERT INTO shop.users VALUES ({round}, 'a', 'b')")
            wait_until(lambda: it.count("reconnects") > reconnects, "another connection")
            it.wait_for("streaming")
            it.settle()
            assert not it.has(f"user:{round}") and it.has("user:99")
        assert it.count("save_errors") == 0
        wait_until(lambda: os.path.exists(place.state_file), "the state file")
        with open(f"/proc/{it.server.pid}/status") as file:
            assert "Seccomp:\t2\n" in file.read()


def check_freeze(db):
    """A server that is silent is found out; past the grace time nothing old is served."""
    with hooked(db, Place([db], timeout_ms=1000)) as it:
        make_tables(it.sql)
        it.settle()
        it.fill("user:1", "elsewhere")
        db.freeze()
        try:
            begun = time.monotonic()
            bound = 5 * TIMEOUT_S / 10  # more for sanitizers
            wait_until(lambda: it.stat("state") != "streaming", "the silence to be noticed", bound)
            wait_until(lambda: it.stat("degraded") == "1", "the bypass", bound)
            assert time.monotonic() - begun < bound
            assert not it.has("user:1") and it.has("elsewhere")
            it.client.exchange(b"set user:1 0 0 1\r\nx\r\n", b"NOT_STORED\r\n")
        finally:
            db.thaw()
        it.wait_for("streaming")
        wait_until(lambda: it.stat("degraded") == "0", "the end of the bypass")
        it.fill("user:1")
        it.sql("INSERT INTO shop.users VALUES (1, 'a', 'b')")
        it.settle()
        assert not it.has("user:1")


def check_restart(db):
    with hooked(db) as it:
        make_tables(it.sql)
        it.settle()
        it.fill("user:1")
        it.sql.close()
        db.restart()
        with db.connect() as sql:
            it.sql = sql
            sql("INSERT INTO shop.users VALUES (1, 'a', 'b'); FLUSH BINARY LOGS; INSERT INTO shop.users VALUES (2, 'a', 'b')")
            it.wait_for("streaming")
            it.settle()
            assert not it.has("user:1")
            wait_until(lambda: it.stat("degraded") == "0", "the end of the bypass")
            for number in range(3, 8):
                it.fill(f"user:{number}")
                sql(f"FLUSH BINARY LOGS; INSERT INTO shop.users VALUES ({number}, 'a', 'b')")
                it.settle()
                assert not it.has(f"user:{number}")
            assert it.stat("gaps") == "0"


def check_purge(db):
    """The log is gone that we would need: everything of the rules is void, and only that."""
    with hooked(db) as it:
        make_tables(it.sql)
        it.settle()
        it.fill("user:1", "user:2", "orders:1", "elsewhere")
        it.client.exchange(b"hook pause\r\n", b"OK\r\n")
        it.wait_for("paused")
        it.sql("INSERT INTO shop.users VALUES (1, 'a', 'b'); FLUSH BINARY LOGS")
        it.sql("INSERT INTO shop.users VALUES (2, 'a', 'b'); FLUSH BINARY LOGS")
        last = it.sql("SHOW BINARY LOGS")[-1][0]

        def purged():
            it.sql(f"PURGE BINARY LOGS TO '{last}'")
            return len(it.sql("SHOW BINARY LOGS")) == 1

        wait_until(purged, "the purge")
        it.client.exchange(b"hook resume\r\n", b"OK\r\n")
        it.wait_for("streaming")
        wait_until(lambda: it.stat("degraded") == "0", "the end of the bypass")
        assert it.count("gaps") >= 1 and it.count("epoch_bumps") >= 1
        assert not it.has("user:1") and not it.has("user:2") and not it.has("orders:1") and it.has("elsewhere")
        it.settle()
        it.fill("user:3")
        it.sql("INSERT INTO shop.users VALUES (3, 'a', 'b')")
        it.settle()
        assert not it.has("user:3")


def check_reset(db):
    """RESET MASTER: the history is another one."""
    with hooked(db) as it:
        make_tables(it.sql)
        it.settle()
        it.fill("user:1", "elsewhere")
        is_new = db.family == "mysql"
        it.client.exchange(b"hook pause\r\n", b"OK\r\n")
        it.wait_for("paused")
        it.sql("RESET BINARY LOGS AND GTIDS" if is_new else "RESET MASTER")
        it.sql("INSERT INTO shop.users VALUES (1, 'a', 'b')")
        it.client.exchange(b"hook resume\r\n", b"OK\r\n")
        it.wait_for("streaming")
        wait_until(lambda: it.stat("degraded") == "0", "the end of the bypass")
        assert not it.has("user:1") and it.has("elsewhere") and it.count("gaps") >= 1


def check_duplicate_id(db):
    place = Place([db], source="server_id = 77;")
    with hooked(db, place) as one, hooked(db, place) as two:
        make_tables(one.sql)
        for number in range(5):
            one.fill(f"user:{number}")
            two.fill(f"user:{number}")
            one.sql(f"INSERT INTO shop.users VALUES ({number}, 'a', 'b')")
            one.settle()
            two.settle()
            assert not one.has(f"user:{number}") and not two.has(f"user:{number}")
        wait_until(
            lambda: one.count("duplicate_ids") + two.count("duplicate_ids") >= 1, "another id"
        )
        one.wait_for("streaming")
        two.wait_for("streaming")
        calm = (one.count("reconnects"), two.count("reconnects"))
        for number in range(5, 10):
            one.sql(f"INSERT INTO shop.users VALUES ({number}, 'a', 'b')")
            one.settle()
            two.settle()
        assert calm == (one.count("reconnects"), two.count("reconnects"))


def check_pause(db):
    with hooked(db) as it:
        make_tables(it.sql)
        it.settle()
        it.fill("user:1", "elsewhere")
        it.client.exchange(b"hook pause\r\n", b"OK\r\n")
        it.wait_for("paused")
        it.client.exchange(b"hook status\r\n", b"HOOK paused\r\n")
        wait_until(lambda: it.stat("degraded") == "1", "the end of the grace time")
        assert not it.has("user:1") and it.has("elsewhere")
        it.sql("INSERT INTO shop.users VALUES (1, 'a', 'b')")
        it.client.exchange(b"hook resume\r\n", b"OK\r\n")
        it.settle()
        wait_until(lambda: it.stat("degraded") == "0", "the end of the bypass")
        assert not it.has("user:1") and it.stat("gaps") == "0"
        assert "Lost connection" not in it.server.log(), "it was we who ended it"


def check_metrics(db):
    port = free_port()
    with hooked(db, None, "-o", f"metrics={port}") as it:
        make_tables(it.sql)
        it.sql("INSERT INTO shop.users VALUES (1, 'a@b', 'Ann')")
        it.settle()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=TIMEOUT_S) as answer:
            page = answer.read().decode()
        names = set(re.findall(r"^# TYPE (hook_\w+) ", page, re.M))
        stats = {re.sub(r"^hook_rule_\d+_line_\d+_keys$", "hook_rule_keys", name) for name in it.client.stats("hook")}
        assert names == stats, names ^ stats
        assert re.findall(r'^hook_state\{state="([a-z-]+)"\} 1$', page, re.M) == ["streaming"], page
        number = re.search(r'^hook_gtid_applied\{\w+="[^"]+"\} (\d+)$', page, re.M)[1]
        assert re.search(rf"\b{number}$", it.gtid()), (number, it.gtid())
        assert f'hook_source{{source="127.0.0.1:{db.port}"}} 1\n' in page and int(it.stat("rows")) >= 1
        assert len(re.findall(r'^hook_rule_keys\{rule="\d+",line="\d+"\} \d+$', page, re.M)) == 5, page
        assert PASSWORD not in page


def check_wait(db):
    with hooked(db) as it:
        make_tables(it.sql)
        it.settle()
        future = "0-1-99999999" if db.family == "mariadb" else it.gtid().split(":")[0].split(",")[0] + ":99999999"
        it.client.exchange(f"hook wait {future} 50\r\n".encode(), b"TIMEOUT\r\n")
        it.client.exchange(b"hook wait nonsense 50\r\n", b"CLIENT_ERROR no GTID of the server that is followed\r\n")
        it.client.exchange(b"hook wait 1 2 3\r\n", b"CLIENT_ERROR usage: hook status|pause|resume|wait <gtid> <ms>\r\n")
        # Commands behind a wait are answered behind it; others are not held up.
        it.client.send(f"hook wait {future} 300\r\nget a\r\nmn\r\n".encode())
        with it.server.client() as other:
            other.exchange(b"get a\r\n", b"END\r\n")
            other.send(f"hook wait {future} 60000\r\n".encode())
        it.client.expect(b"TIMEOUT\r\nEND\r\nMN\r\n")
        clients = [it.server.client() for _ in range(20)]
        it.client.exchange(b"hook pause\r\n", b"OK\r\n")
        it.wait_for("paused")
        it.sql("INSERT INTO shop.users VALUES (1, 'a', 'b')")
        target = it.gtid()
        for client in clients:
            client.send(f"hook wait {target} 8000\r\n".encode())
        it.client.exchange(b"hook resume\r\n", b"OK\r\n")
        for client in clients:
            client.expect(b"OK\r\n")
            client.close()


def check_state_file(db):
    place = Place([db], state=True)
    with hooked(db, place) as it:
        make_tables(it.sql)
        it.settle()
        target = it.gtid()
    with open(place.state_file) as file:
        text = file.read()
    assert text.startswith(f"{db.family} gtid ") and target in text, text
    with db.connect() as sql:
        sql("INSERT INTO shop.users VALUES (1, 'a', 'b')")
    with hooked(db, place) as it:  # begins behind what it had applied
        it.settle()
        assert it.count("rows") >= 1 and it.stat("gaps") == "0"
    with open(place.state_file, "w") as file:
        file.write(text[: len(text) // 2])
    with hooked(db, place) as it:
        it.wait_for("streaming")
        assert it.count("gaps") == 1 and "torn" in it.server.log()
    os.remove(place.state_file)
    with hooked(db, place) as it:
        assert it.count("rows") == 0 and it.stat("gaps") == "0"


def check_warm_cache(db):
    """Items of before the stop (-e) and a saved position: what changed meanwhile goes, the rest stays.  Without a
    position that is as old as the items, or under other rules, all that the rules could have written goes."""
    place = Place([db], state=True)
    folder = tempfile.mkdtemp(prefix="larder-test-hook-")
    words = ("-e", os.path.join(folder, "items"))
    keys = ("user:1", "user:2", "other:1")

    def stop(it):
        it.server.signal(signal.SIGUSR1)
        assert it.server.wait_for_exit() == 0, it.server.log()

    def there(it):
        assert "3 items are there again" in it.server.log(), it.server.log()
        return [it.has(key) for key in keys]

    def begin():
        with hooked(db, place, *words) as it:
            it.settle()
            it.fill(*keys)
            stop(it)

    try:
        with hooked(db, place) as it:
            make_tables(it.sql)
            it.settle()
        begin()  # without the hold-off that the tables' coming has begun
        with db.connect() as sql:
            sql("INSERT INTO shop.users VALUES (1, 'a', 'b')")
        with hooked(db, place, *words) as it:
            it.settle()
            assert there(it) == [False, True, True]
            assert it.stat("gaps") == "0"
        for spoil in (
            lambda: os.utime(place.state_file),  # of another cache that went on
            lambda: os.remove(place.state_file),
            lambda: os.utime(place.rules),
        ):
            begin()
            spoil()
            with hooked(db, place, *words) as it:
                it.settle()
                assert there(it) == [False, False, True]
                assert it.stat("gaps") == "1"
    finally:
        shutil.rmtree(folder)


def check_disk_full(db):
    folder = tempfile.mkdtemp(prefix="larder-full-")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8k,nr_inodes=10", "tmpfs", folder], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        raise Skip("a small file system cannot be mounted: " + mounted.stderr.decode().strip())
    try:
        place = Place([db], source=f'state_file = "{folder}/state";')
        with hooked(db, place) as it:
            make_tables(it.sql)
            it.settle()
            wait_until(lambda: os.path.exists(f"{folder}/state"), "the state file")
            with open(f"{folder}/ballast", "wb") as file, contextlib.suppress(OSError):
                file.write(b"x" * 65536)
            with open(f"{folder}/state") as file:
                before = file.read()
            it.sql("INSERT INTO shop.users VALUES (1, 'a', 'b')")
            it.fill("user:2")
            wait_until(lambda: it.count("save_errors") >= 1, "the disk to be found full")
            it.sql("INSERT INTO shop.users VALUES (2, 'a', 'b')")
            it.settle()
            assert not it.has("user:2")
            with open(f"{folder}/state") as file:
                assert file.read() == before, "the file is whole"
            os.remove(f"{folder}/ballast")
            wait_until(lambda: it.gtid() in open(f"{folder}/state").read(), "the position to be saved")
    finally:
        subprocess.run(["umount", folder], check=False)
        os.rmdir(folder)


def check_grants(db):
    """With REPLICATION SLAVE alone it follows, by the names in the log."""
    with db.connect() as sql:
        sql(f"CREATE USER poor@'%' IDENTIFIED BY '{PASSWORD}'; GRANT REPLICATION SLAVE ON *.* TO poor@'%'")
    with hooked(db, Place([db], user="poor")) as it:
        make_tables(it.sql)
        it.settle()
        it.fill("user:1", "user:2")
        it.sql("INSERT INTO shop.users VALUES (1, 'a', 'b')")
        it.settle()
        assert not it.has("user:1")


def check_no_server(db):
    """Starts without a database: the keys of the rules are bypassed until it is there."""
    place = Place([db])
    db.stop()
    with place.server() as server, server.client() as client:
        client.exchange(b"hook status\r\n", b"HOOK ")
        client.recv_line()
        wait_until(lambda: client.stats("hook")["hook_degraded"] == "1", "the bypass")
        client.exchange(b"set user:1 0 0 1\r\nx\r\n", b"NOT_STORED\r\n")
        client.exchange(b"set elsewhere 0 0 1\r\nx\r\n", b"STORED\r\n")
        db.start()
        wait_until(lambda: client.stats("hook")["hook_state"] == "streaming", "the server")
        wait_until(lambda: client.stats("hook")["hook_degraded"] == "0", "the end of the bypass")
        client.exchange(b"set user:1 0 0 1\r\nx\r\n", b"STORED\r\n")
        assert PASSWORD not in server.log() and len(server.log().splitlines()) < 12, server.log()


def check_failover(db):
    """The next host has the same history: goes on there by GTID.  Then one that lacks some: all is void."""
    with hooked(db) as it:
        make_tables(it.sql)
        it.settle()
    db.stop()
    with db.clone() as other:
        db.start()
        place = Place([db, other])
        with hooked(db, place) as it:
            it.fill("user:1", "user:2", "elsewhere")
            assert it.stat("source").endswith(str(db.port))
            it.sql.close()
            db.stop()
            it.wait_for("streaming")
            wait_until(lambda: it.stat("source").endswith(str(other.port)), "the other host")
            it.wait_for("streaming")
            wait_until(lambda: it.stat("degraded") == "0", "the end of the bypass")
            it.db = other
            with other.connect() as sql:
                it.sql = sql
                it.fill("user:1")
                sql("INSERT INTO shop.users VALUES (1, 'a', 'b')")
                it.settle()
                assert not it.has("user:1") and it.has("elsewhere")
                gaps = it.count("gaps")
            db.start()
            other.stop()
            it.db = db
            wait_until(lambda: it.stat("source").endswith(str(db.port)), "the first host")
            it.wait_for("streaming")
            wait_until(lambda: it.stat("degraded") == "0", "the end of the bypass")
            assert it.count("gaps") > gaps and not it.has("user:2") and it.has("elsewhere")


def check_large(db):
    """A transaction longer than the queue; and rows of a megabyte."""
    with hooked(db, None, "-I", "4m", "-m", "256") as it:
        make_tables(it.sql)
        it.sql("ALTER TABLE shop.users ADD COLUMN text LONGTEXT")
        rows = ",".join(f"({i}, 'e{i}', '{'n' * 40}', NULL)" for i in range(20000))
        it.sql(f"INSERT INTO shop.users VALUES {rows}")
        it.settle()
        it.fill(*(f"user:{i}" for i in range(0, 20000, 1999)))
        for _ in range(3):
            it.sql("INSERT INTO shop.users SELECT id + (SELECT COUNT(*) FROM shop.users AS u), email, name, NULL FROM shop.users")
        it.sql("UPDATE shop.users SET name = CONCAT('x', id)")
        it.settle()
        assert it.count("rows") >= 300000, it.count("rows")
        assert not any(it.has(f"user:{i}") for i in range(0, 20000, 1999))
        assert it.value("userw:19") == '{"id":19,"name":"x19"}'
        it.fill("user:5")
        it.sql("UPDATE shop.users SET text = REPEAT('t', 3000000) WHERE id = 5")
        it.settle()
        assert not it.has("user:5")


def check_stop(db):
    """It ends at once, whatever the database does."""
    with hooked(db) as it:
        db.freeze()
        try:
            begun = time.monotonic()
            assert it.server.stop() == 0
            assert time.monotonic() - begun < 3
        finally:
            db.thaw()


def check_tool(db):
    """--hook-check finds what is wrong; --hook-print shows what would happen."""
    place = Place([db])
    with db.connect() as sql:
        make_tables(sql)
    done = run(["--hook-check", place.rules])
    text = done.stdout.decode()
    assert done.returncode == 0 and "problem" not in text and "shop.users: has the columns" in text, text
    assert PASSWORD not in text
    other = USERS.replace("{id}", "{nosuch}", 1)
    done = run(["--hook-check", Place([db], other).rules])
    assert done.returncode == 1 and b"nosuch" in done.stdout, done
    nowhere = '{ match = "sho.*"; table = "nosuch_[0-9]+"; rules = ({ on = "any"; delete = "n:{id}"; }); },'
    done = run(["--hook-check", Place([db], nowhere + USERS).rules])
    assert done.returncode == 0 and re.search(rb"note +line \d+: no table matches", done.stdout), done
    with db.connect() as sql:
        with contextlib.suppress(SqlError):
            sql(f"CREATE USER bare@'%' IDENTIFIED BY '{PASSWORD}'")
    done = run(["--hook-check", Place([db], user="bare").rules])
    text = done.stdout.decode()
    assert done.returncode == 1 and "REPLICATION SLAVE" in text and "no grant" in text, text
    done = run(["--hook-check", Place([db], user="nobody").rules])
    assert done.returncode == 1 and b"Access denied" in done.stdout, done
    with db.connect() as sql:
        sql("FLUSH BINARY LOGS")
        sql("INSERT INTO shop.users VALUES (1, 'A@B', 'Ann'); UPDATE shop.users SET email = 'c@d'")
        log = sql("SHOW BINARY LOGS")[-1][0]
        sql("FLUSH BINARY LOGS")
    done = run(["--hook-print", place.rules, os.path.join(db.data, log)])
    text = done.stdout.decode()
    assert done.returncode == 0, done
    for line in ("delete user:1", "delete email:a@b", 'set userw:1 {"id":1,"name":"Ann"}'):
        assert f"    {line}\n" in text, (line, text)
    live = subprocess.Popen(
        [larder_binary(), "--hook-print", place.rules], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        seen = []
        reader = threading.Thread(target=lambda: seen.extend(iter(live.stdout.readline, b"")))
        reader.start()

        def shown():
            with db.connect() as sql:
                sql("REPLACE INTO shop.users VALUES (77, 'a', UUID())")
            return b"    delete user:77\n" in seen

        wait_until(shown, "the live log")
        with db.connect() as sql:
            sql("FLUSH BINARY LOGS; INSERT INTO shop.users VALUES (78, 'a', 'b')")
            log = sql("SHOW BINARY LOGS")[-1][0]
        wait_until(lambda: b"    delete user:78\n" in seen, "a new log")
        headings = [line for line in seen[: seen.index(b"    delete user:78\n")] if not line.startswith(b" ")]
        assert headings[-1].startswith(log.encode() + b":"), (log, headings[-2:])
        live.terminate()
        code = live.wait(TIMEOUT_S)
        reader.join()
        # What ends it is no failure, and leaves no line behind that is no transaction.
        assert code == 0 and live.stderr.read() == b"", (code, seen)
        assert all(re.match(rb"    |bin\.[0-9]+:", line) for line in seen), seen
    finally:
        live.kill()
        live.wait()
        reader.join()
        live.stdout.close()
        live.stderr.close()


def check_semisync(db):
    """The log tells of a transaction that nobody can see for a while: a fill in between must not stay."""
    setting = "rpl_semi_sync_master"
    if db.family == "mysql":
        setting = "rpl_semi_sync_source"
        try:
            with db.connect() as sql:
                sql("INSTALL PLUGIN rpl_semi_sync_source SONAME 'semisync_source.so'")
        except SqlError as error:
            raise Skip(f"no plugin for semi-synchronous replication: {error}") from None
    with hooked(db) as it, hooked(db, Place([db], source='fence = "arrival";')) as naive:
        make_tables(it.sql)
        it.sql("INSERT INTO shop.users VALUES (1, 'a', 'old')")
        it.settle()
        naive.settle()
        # No replica answers: a commit waits until its time is over, with its event in the log already.
        it.sql(f"SET GLOBAL {setting}_timeout = 1500, GLOBAL {setting}_wait_point = AFTER_SYNC")
        it.sql(f"SET GLOBAL {setting}_enabled = ON")
        try:
            rows = [it.count("rows"), naive.count("rows")]

            def update():
                with db.connect() as sql:
                    sql("UPDATE shop.users SET name = 'new' WHERE id = 1")

            writer = threading.Thread(target=update)
            writer.start()
            wait_until(lambda: it.count("rows") > rows[0] and naive.count("rows") > rows[1], "the event")
            for one in (it, naive):
                one.client.send(b"mg user:1 N30 c v\r\n")
                head = one.client.recv_line().split()
                one.client.recv_line()
                token = next(word[1:] for word in head if word[:1] == b"c")
                seen = one.sql.one("SELECT name FROM shop.users WHERE id = 1").encode()
                assert seen == b"old", "the commit is still on its way"
                one.client.exchange(b"ms user:1 3 C%s\r\n%s\r\n" % (token, seen), b"HD\r\n")
            assert it.has("user:1")
            writer.join()
        finally:
            it.sql(f"SET GLOBAL {setting}_enabled = OFF")
        assert it.sql.one("SELECT name FROM shop.users WHERE id = 1") == "new"
        it.settle()
        naive.settle()
        assert not it.has("user:1")
        assert naive.value("user:1") == "old", "what the fence is there for"


def check_tls(db):
    """TLS with and without a look at the server's certificate."""
    folder = tempfile.mkdtemp()
    def made(*words):
        done = subprocess.run(["openssl", *words], capture_output=True, cwd=folder, check=False)
        if done.returncode != 0:
            raise Skip("no certificate can be made: " + done.stderr.decode()[-200:])
    made("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=ca")
    made("req", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "req.pem", "-subj", "/CN=elsewhere.example")
    made("x509", "-req", "-in", "req.pem", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-out", "cert.pem", "-days", "2")
    made("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "x.key", "-out", "other.pem", "-days", "2", "-subj", "/CN=x")
    if db.family != "mariadb":
        raise Skip("MySQL makes certificates of its own; the library's part is the same")
    db.stop()
    options = db.options
    db.options = options + [f"--ssl-ca={folder}/ca.pem", f"--ssl-cert={folder}/cert.pem", f"--ssl-key={folder}/key.pem"]
    db.start()
    try:
        def answer(tls, ca):
            place = Place([db])
            with open(place.rules) as file:
                text = file.read()
            with open(place.rules, "w") as file:
                file.write(text.replace('tls = "off";', f'tls = "{tls}"; ' + (f'tls_ca = "{folder}/{ca}";' if ca else "")))
            return run(["--hook-check", place.rules])

        assert answer("required", None).returncode == 0
        assert answer("verify-identity", "other.pem").returncode == 1
        assert answer("verify-identity", "ca.pem").returncode == 1, "the certificate is another host's"
        assert answer("verify-ca", "other.pem").returncode == 1
        assert answer("verify-ca", "ca.pem").returncode == 0
    finally:
        db.stop()
        db.options = options
        db.start()


CHECKS = [value for name, value in list(globals().items()) if name.startswith("check_")]
LAST = (check_reset, check_failover, check_no_server)  # they leave the database as another one


def tests_of(family, make, *options):
    """One test per check, which share a server; the server's start is the first's."""
    state = {}

    def start():
        if "db" not in state:
            state["db"] = None
            manager = shop(make, *options)
            state["db"] = manager.__enter__()
            state["manager"] = manager
        if state["db"] is None:
            raise Skip("no server: see the first test")
        return state["db"]

    order = [c for c in CHECKS if c not in LAST] + list(LAST)
    wanted = [name for name in os.environ.get("ONLY", "").split(",") if name]
    tests = {}
    for check in order:
        if wanted and check.__name__[6:] not in wanted:
            continue

        def test(check=check):
            db = start()
            if db.process.poll() is not None:
                db.start()
            check(db)

        tests[f"test_{family}_{check.__name__[6:]}"] = test

    def end():
        if state.get("db"):
            state["manager"].__exit__(None, None, None)

    return tests, end


def test_refuses_what_cannot_be():
    need_hook()
    place = tempfile.mkdtemp()
    path = os.path.join(place, "rules")
    done = run(["-o", f"mysql_hook={path}", "-l", "127.0.0.1", "-p", "-1", "-u", "root"])
    assert done.returncode == 64 and path.encode() in done.stderr, done
    with open(path, "w") as file:
        file.write('source = { hosts = ("x:1"); user = "u"; nonsense = 1; }; tables = ( ' + USERS + " );")
    done = run(["-o", f"mysql_hook={path}", "-l", "127.0.0.1", "-p", "-1", "-u", "root"])
    assert done.returncode == 64 and b"nonsense" in done.stderr, done


def test_without_a_hook_the_orders_say_so():
    with Server() as server, server.client() as client:
        client.exchange(b"hook status\r\n", b"CLIENT_ERROR no hook: larder runs without -o mysql_hook\r\n")
        assert client.stats("hook") == {}


def run_family(family, make, more=None):
    """Runs every check with one server, and ends the program."""
    tests, end = tests_of(family, make)
    try:
        run_tests({**(more or {}), **tests})
    finally:
        end()


if __name__ == "__main__":
    run_family(
        "mariadb",
        database.mariadb,
        {name: test for name, test in globals().items() if name.startswith("test_")},
    )
