"""larder_hook_mysql() with a real MariaDB server.  The host is this program, which has clients served besides."""

import ctypes
import os
import shutil
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import database  # noqa: E402
from library import Cache, ErrorText, Refused, Serving, check, header, larder, name_of, numbers  # noqa: E402
from server import TIMEOUT_S, Client, Skip, run_tests, wait_until  # noqa: E402
from test_hook import PASSWORD, Place, make_shop, make_tables  # noqa: E402

globals().update(numbers)

WAIT_MS = int(TIMEOUT_S * 800)
TABLES = '{ name = "shop.users"; rules = ( { on = "any"; delete = "user:{id}"; } ); }'


class Following:
    """larder_hook_mysql() of a cache from `with` to the end of it; stop() ends it before."""

    def __init__(self, cache, place, db):
        self.cache, self.db = cache, db
        self.log = []
        self.keep = header.callbacks["larder_log_fn"](lambda _, line: self.log.append(line.decode()))
        self.handle = ctypes.POINTER(header.structs["larder_hook"])()
        error = ErrorText()
        error.demand(larder.hook_mysql(cache.handle, place.rules.encode(), self.keep, None, self.handle, error.buf,
                                       LARDER_ERROR_CAP))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
        assert PASSWORD not in "\n".join(self.log)

    def stop(self):
        larder.hook_stop(self.handle)
        assert not self.handle

    @property
    def state(self):
        return larder.hook_state(self.handle).decode()

    def wait_for(self, state):
        wait_until(lambda: self.state == state, f"state {state}, not {self.state}; log: {self.log}")

    def stats(self):
        seen = {}
        visit = header.callbacks["larder_hook_stat_fn"](
            lambda _, name, value: seen.update({name.decode(): value.decode()}))
        larder.hook_stats_visit(self.handle, visit, None)
        return seen

    def count(self, name):
        return int(self.stats()["hook_" + name])

    def settle(self, sql):
        """All that has happened in the database has been applied."""
        check(larder.hook_wait(self.handle, sql.one("SELECT @@gtid_binlog_pos").encode(), WAIT_MS))


_shop = None
_places = []


def place_of(db, **more):
    """Rules, removed when all tests are through."""
    _places.append(Place([db], TABLES, **more))
    return _places[-1]


def shop():
    """One database for all tests, running and with empty tables."""
    global _shop
    if _shop is None:
        with Cache() as cache:
            hook, error = ctypes.POINTER(header.structs["larder_hook"])(), ErrorText()
            no_log = header.callbacks["larder_log_fn"]()
            if larder.hook_mysql(cache.handle, b"/", no_log, None, hook, error.buf, LARDER_ERROR_CAP) == LARDER_NOT_BUILT:
                raise Skip("the library is built without the hook")
        _shop = database.mariadb().__enter__()
        make_shop(_shop)
    with _shop.connect() as sql:
        make_tables(sql)
    return _shop


def fill(cache, *keys):
    """Stores each key as a host should: with the token of its miss, so that it outlives changes that came before."""
    for key in keys:
        result, _, fetch = cache.fetch(key, vivify=1, vivify_ttl_s=30)
        check(result, LARDER_MISS)
        assert fetch.won
        check(cache.store(key, b"x", cas=fetch.cas)[0])


# -- following -------------------------------------------------------------------------------------------------


def test_a_change_drops_the_entry():
    db = shop()
    with db.connect() as sql, Cache() as cache:
        sql("INSERT INTO shop.users VALUES (1, 'a@b', 'Ann'), (2, 'c@d', 'Bea')")
        with Following(cache, place_of(db), db) as hook:
            hook.wait_for("streaming")
            hook.settle(sql)
            fill(cache, b"user:1", b"user:2", b"other:1")
            before = hook.stats()
            sql("UPDATE shop.users SET name = 'Cid' WHERE id = 1")
            hook.settle(sql)
            assert [cache.get(key) for key in (b"user:1", b"user:2", b"other:1")] == ["LARDER_MISS", b"x", b"x"]

            # Figures by name, of the hook and of the cache.
            after = hook.stats()
            assert after["hook_state"] == "streaming" and after["hook_source"].endswith(str(db.port)), after
            for name, grown in (("hook_rows", 1), ("hook_rows_matched", 1), ("hook_delete_hits", 1)):
                assert int(after[name]) == int(before[name]) + grown, (name, before[name], after[name])
            assert after["hook_gtid_applied"] == sql.one("SELECT @@gtid_binlog_pos"), after
            assert cache.stat("curr_items") == 2
            assert hook.log, "no line for the operator"

            # A transaction that is still to come is waited for, and no longer than asked.
            check(larder.hook_wait(hook.handle, b"0-%d-999999999" % db.server_id, 50), LARDER_TIMEOUT)
            fill(cache, b"user:1")
            sql("BEGIN; DELETE FROM shop.users; ROLLBACK")
            sql("INSERT INTO shop.orders VALUES (1, 1, 1)")
            hook.settle(sql)
            assert cache.get(b"user:1") == b"x"
            sql("DELETE FROM shop.users")
            hook.settle(sql)
            assert cache.get(b"user:1") == cache.get(b"user:2") == "LARDER_MISS"
            sql("INSERT INTO shop.users VALUES (5, 'e@f', 'Eve')")
            hook.settle(sql)
            fill(cache, b"user:5")
            sql("TRUNCATE shop.users")
            hook.settle(sql)
            assert cache.get(b"user:5") == "LARDER_MISS"
        # Nobody voids from here on; the cache serves on.
        cache.set(b"user:9", b"y")
        sql("INSERT INTO shop.users VALUES (9, 'x', 'y')")
        assert cache.get(b"user:9") == b"y"


def test_a_fill_that_is_late_is_refused():
    db = shop()
    with db.connect() as sql, Cache() as cache, Following(cache, place_of(db), db) as hook:
        hook.wait_for("streaming")
        result, _, fetch = cache.fetch(b"user:1", vivify=1, vivify_ttl_s=30)
        check(result, LARDER_MISS)
        sql("INSERT INTO shop.users VALUES (1, 'a@b', 'Ann')")  # after the host has read the row, before it stores
        hook.settle(sql)
        result, _ = cache.store(b"user:1", b"old", cas=fetch.cas)
        assert result in (LARDER_MISS, LARDER_EXISTS, LARDER_REFUSED), name_of(result)
        assert cache.get(b"user:1") == "LARDER_MISS"
        # One without a token is stored, for the time of the hold-off.
        cache.set(b"user:1", b"plain")
        result, _, fetch = cache.fetch(b"user:1")
        assert result == LARDER_MISS or 0 <= fetch.ttl_s <= 1, (name_of(result), fetch.ttl_s)


def test_clients_and_the_host_see_the_same():
    db = shop()
    with db.connect() as sql, Cache() as cache, Following(cache, place_of(db), db) as hook:
        with Serving(cache) as server, Client(("127.0.0.1", server.port)) as client:
            hook.wait_for("streaming")
            hook.settle(sql)
            fill(cache, b"user:1", b"user:2")
            client.exchange(b"mg user:1 v\r\n", b"VA 1\r\nx\r\n")
            sql("INSERT INTO shop.users VALUES (1, 'a@b', 'Ann')")
            hook.settle(sql)
            client.exchange(b"mg user:1 v\r\nmg user:2 v\r\n", b"EN\r\nVA 1\r\nx\r\n")
            # Either may end first.
            hook.stop()
            client.exchange(b"mg user:2 v\r\n", b"VA 1\r\nx\r\n")
            check(larder.close(cache.handle), LARDER_BUSY)


# -- stops and losses ------------------------------------------------------------------------------------------


def test_the_database_goes_and_comes_back():
    db = shop()
    place = place_of(db, grace_ms=100, timeout_ms=1000, source='on_disconnect = "bypass";')
    with Cache() as cache, Following(cache, place, db) as hook:
        with db.connect() as sql:
            hook.wait_for("streaming")
            hook.settle(sql)
            fill(cache, b"user:1", b"other:1")
        for stop in (db.stop, db.kill):
            reconnects = hook.count("reconnects")
            stop()
            hook.wait_for("disconnected")
            wait_until(lambda: hook.count("degraded") == 1, "the grace time to be over")
            assert cache.get(b"user:1") == "LARDER_MISS" and cache.get(b"other:1") == b"x"
            check(larder.set(cache.handle, b"user:1", 6, b"y", 1, 0), LARDER_REFUSED)
            db.start()
            hook.wait_for("streaming")
            with db.connect() as sql:
                hook.settle(sql)
                wait_until(lambda: hook.count("degraded") == 0, "the bypass to end")
                assert hook.count("reconnects") > reconnects
                fill(cache, b"user:1")
                sql("REPLACE INTO shop.users VALUES (1, 'a@b', '" + stop.__name__ + "')")
                hook.settle(sql)
                assert cache.get(b"user:1") == "LARDER_MISS"
        assert cache.get(b"other:1") == b"x"


def test_it_is_paused_and_goes_on():
    db = shop()
    place = place_of(db, grace_ms=100)
    with db.connect() as sql, Cache() as cache, Following(cache, place, db) as hook:
        hook.wait_for("streaming")
        hook.settle(sql)
        larder.hook_pause(hook.handle)
        hook.wait_for("paused")
        wait_until(lambda: hook.count("degraded") == 1, "the grace time to be over")
        sql("INSERT INTO shop.users VALUES (3, 'a@b', 'Ann')")
        larder.hook_resume(hook.handle)
        hook.wait_for("streaming")
        hook.settle(sql)
        wait_until(lambda: hook.count("degraded") == 0, "the bypass to end")
        assert hook.count("rows_matched") >= 1
        fill(cache, b"user:3")
        sql("DELETE FROM shop.users")
        hook.settle(sql)
        assert cache.get(b"user:3") == "LARDER_MISS"


def test_a_new_cache_follows_from_where_the_old_one_stopped():
    """A warm restart of the host: what changed meanwhile is void in the cache that is loaded."""
    db = shop()
    place = place_of(db, state=True)
    saved = os.path.join(place.folder, "cache").encode()
    with db.connect() as sql:
        with Cache() as cache:
            with Following(cache, place, db) as hook:
                hook.wait_for("streaming")
                hook.settle(sql)
                fill(cache, b"user:1", b"user:2")
            error = ErrorText()
            error.demand(larder.save(cache.handle, saved, None, error.buf, LARDER_ERROR_CAP))
        sql("INSERT INTO shop.users VALUES (1, 'a@b', 'Ann')")
        with Cache() as cache:
            with Following(cache, place, db) as hook:
                hook.wait_for("streaming")
                hook.settle(sql)
                assert hook.count("rows_matched") == 1, "it does not begin where the other one ended"
            try:
                Following(cache, place, db)
                raise AssertionError("a second hook of one cache")
            except Refused as refused:
                assert refused.result == LARDER_BUSY and "one hook" in refused.text, refused


def test_it_ends_in_the_middle_of_everything():
    """Stopped while catching up, while changes pour in, while someone waits; and the cache is closed at once."""
    db = shop()
    with db.connect() as sql:
        sql("USE shop; CREATE TABLE IF NOT EXISTS numbers (id INT PRIMARY KEY)")
        sql("REPLACE INTO numbers SELECT seq FROM seq_1_to_20000")
        for turn in range(6):
            sql(f"REPLACE INTO shop.users SELECT id, {turn}, id FROM shop.numbers")
            with Cache() as cache, Following(cache, place_of(db), db) as hook:
                if turn % 2:
                    hook.wait_for("streaming")
                sql(f"UPDATE shop.users SET email = {turn} + 100")
                if turn >= 3:
                    wait_until(lambda: hook.count("rows") > 0 or hook.state != "streaming", "rows")
                started = time.monotonic()
                hook.stop()
                assert time.monotonic() - started < TIMEOUT_S / 2


def test_z_the_database_is_stopped():
    if _shop is None:
        raise Skip("it was not started")
    _shop.__exit__(None, None, None)
    for place in _places:
        shutil.rmtree(place.folder)


if __name__ == "__main__":
    run_tests(globals())
