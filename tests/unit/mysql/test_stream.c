/* Recorded logs through the stream: what the rules do to keys. */
#include "mysql/stream.h"

#include "unit/mysql/logs.h"

#ifdef HAVE_HOOK

#define TEXT_CAP 65536u

struct seen {
    char text[TEXT_CAP];
    size_t len;
    unsigned transactions;
    unsigned begun;
    unsigned stop_after; /* operations; 0: never */
    unsigned ops;
};

static void
add(struct seen *seen, const char *text, size_t len)
{
    ck_assert_uint_lt(seen->len + len, TEXT_CAP);
    memcpy(seen->text + seen->len, text, len);
    seen->len += len;
    seen->text[seen->len] = '\0';
}

static bool
see_begin(void *arg, const struct record_point *point)
{
    struct seen *seen = arg;
    seen->begun++;
    ck_assert_uint_eq(point->space, 3);
    return true;
}

static bool
see_op(void *arg, const struct record_op *op, const char *reason)
{
    static const char *const words[] = { [RECORD_DELETE] = "delete ",
                                         [RECORD_STALE] = "stale ",
                                         [RECORD_SET] = "set ",
                                         [RECORD_FLUSH] = "void " };
    struct seen *seen = arg;
    ck_assert(op->kind == RECORD_FLUSH || reason == NULL);
    add(seen, words[op->kind], strlen(words[op->kind]));
    add(seen, (const char *)op->bytes, op->key_len);
    add(seen, "\n", 1);
    return ++seen->ops != seen->stop_after;
}

static void
see_flush(void *arg)
{
    (void)arg;
}

static bool
see_end(void *arg, const struct record_point *point, uint64_t end_offset, const char *file)
{
    struct seen *seen = arg;
    (void)file;
    seen->transactions++;
    ck_assert_uint_ge(end_offset, point->offset);
    add(seen, ".\n", 2);
    return true;
}

static const char all_tables[] =
    "source = { hosts = (\"none\"); user = \"u\"; tls = \"off\"; };"
    "tables = ( { match = \".*\"; table = \".*\"; rules = ( { on = \"any\"; delete = \"k:{id}\"; } ); } );";

static struct rules *
rules_of(const char *text)
{
    char error[RULES_ERROR_MAX];
    struct rules *rules = NULL;
    ck_assert_msg(rules_parse("test", (struct bytes){ (const uint8_t *)text, strlen(text) }, &rules,
                              error, sizeof(error)),
                  "%s", error);
    return rules;
}

static struct stream *
stream_of(const struct rules *rules, struct seen *seen)
{
    struct stream_sink sink = {
        .arg = seen, .begin = see_begin, .op = see_op, .flush = see_flush, .end = see_end
    };
    *seen = (struct seen){ .len = 0 };
    struct stream *stream = stream_create(rules, 1024, &sink);
    ck_assert_ptr_nonnull(stream);
    struct position position;
    position_init(&position);
    stream_begin(stream, 3, NULL, EVENT_CHECKSUM_NONE, &position);
    position_fini(&position);
    return stream;
}

static struct bytes
load(const char *name)
{
    static uint8_t room[FILE_LEN_MAX];
    char path[256];
    snprintf(path, sizeof(path), FIXTURES "%s", name);
    FILE *file = fopen(path, "rb");
    ck_assert_msg(file != NULL, "%s", path);
    size_t len = fread(room, 1, sizeof(room), file);
    fclose(file);
    return (struct bytes){ room, len };
}

/** Feeds the events from the first on; `skip`: the number of one to leave out. */
static enum stream_result
feed(struct stream *stream, struct bytes file, unsigned skip)
{
    unsigned number = 0;
    for (size_t at = BINLOG_FILE_MAGIC_LEN; at + EVENT_HEADER_LEN <= file.len;) {
        size_t len = le_get_u32(file.at + at + 9);
        if (number++ != skip) {
            enum stream_result result =
                stream_event(stream, (struct bytes){ guard_copy(file.at + at, len), len }, 0);
            guard_free_all();
            if (result != STREAM_ON) {
                return result;
            }
        }
        at += len;
    }
    return STREAM_ON;
}

START_TEST(every_recorded_log_goes_through)
{
    struct rules *rules = rules_of(all_tables);
    struct seen seen;
    struct stream *stream = stream_of(rules, &seen);
    ck_assert_int_eq(feed(stream, load(all_logs[_i]), UINT32_MAX), STREAM_ON);
    ck_assert_uint_gt(seen.transactions, 0);
    ck_assert_uint_le(seen.begun, seen.transactions);
    ck_assert_uint_eq(metric_get(&stream_counts(stream)->decode_errors), 0);
    ck_assert_uint_eq(metric_get(&stream_counts(stream)->crc_errors), 0);
    stream_destroy(stream);
    rules_destroy(rules);
}
END_TEST

/** An event less, whichever it is, ends nothing: at the worst more is voided. */
START_TEST(a_lost_event_stops_no_log)
{
    struct rules *rules = rules_of(all_tables);
    struct bytes file = load("mysql/xa.bin");
    for (unsigned skip = 1; skip < 40; skip++) {
        struct seen seen;
        struct stream *stream = stream_of(rules, &seen);
        ck_assert_int_eq(feed(stream, file, skip), STREAM_ON);
        stream_destroy(stream);
    }
    rules_destroy(rules);
}
END_TEST

START_TEST(a_broken_event_is_told)
{
    struct rules *rules = rules_of(all_tables);
    struct bytes file = load("mariadb/small.bin");
    struct seen seen;
    struct stream *stream = stream_of(rules, &seen);
    ((uint8_t *)(uintptr_t)file.at)[file.len / 2] ^= 1;
    ck_assert_int_eq(feed(stream, file, UINT32_MAX), STREAM_BAD);
    ck_assert_uint_eq(metric_get(&stream_counts(stream)->crc_errors) +
                          metric_get(&stream_counts(stream)->decode_errors),
                      1);
    stream_destroy(stream);
    rules_destroy(rules);
}
END_TEST

START_TEST(a_sink_that_stops_ends_the_log)
{
    struct rules *rules = rules_of(all_tables);
    struct seen seen;
    struct stream *stream = stream_of(rules, &seen);
    seen.stop_after = 1;
    ck_assert_int_eq(feed(stream, load("mariadb/small.bin"), UINT32_MAX), STREAM_STOPPED);
    ck_assert_uint_eq(seen.ops, 1);
    stream_destroy(stream);
    rules_destroy(rules);
}
END_TEST

START_TEST(a_voiding_of_everything_is_one_per_transaction)
{
    struct rules *rules = rules_of(all_tables);
    struct seen seen;
    struct stream *stream = stream_of(rules, &seen);
    struct record_point point = { .space = 3 };
    ck_assert(stream_void_all(stream, &point, "a test"));
    ck_assert(stream_void_all(stream, &point, "a test"));
    ck_assert_str_eq(seen.text, "void k:\n.\nvoid k:\n.\n");
    stream_destroy(stream);
    rules_destroy(rules);
}
END_TEST

/** Kept until XA COMMIT, dropped with XA ROLLBACK; the fixture does both. */
START_TEST(xa_transactions_act_when_they_commit)
{
    struct rules *rules = rules_of(all_tables);
    struct seen seen;
    struct stream *stream = stream_of(rules, &seen);
    ck_assert_int_eq(feed(stream, load(_i == 0 ? "mysql/xa.bin" : "mariadb/xa.bin"), UINT32_MAX),
                     STREAM_ON);
    ck_assert_msg(strstr(seen.text, "delete k:1\n") != NULL, "%s", seen.text);
    ck_assert_msg(strstr(seen.text, "delete k:2\n") == NULL, "rolled back: %s", seen.text);
    stream_destroy(stream);
    rules_destroy(rules);
}
END_TEST

START_TEST(statements_in_the_log_void_all_keys)
{
    struct rules *rules = rules_of(all_tables);
    struct seen seen;
    struct stream *stream = stream_of(rules, &seen);
    ck_assert_int_eq(
        feed(stream, load(_i == 0 ? "mysql/statement.bin" : "mariadb/statement.bin"), UINT32_MAX),
        STREAM_ON);
    ck_assert_uint_gt(metric_get(&stream_counts(stream)->stmt_dml), 0);
    ck_assert_ptr_nonnull(strstr(seen.text, "void k:\n"));
    stream_destroy(stream);
    rules_destroy(rules);
}
END_TEST

/** MySQL before 9.6 logs nothing of what foreign keys change.  With nobody to ask for them, an
 * update or a delete may have changed any table. */
START_TEST(native_foreign_keys_that_are_not_known_void_all_keys)
{
    struct rules *rules = rules_of(all_tables);
    struct bytes file = load("mysql/small.bin"); /* CREATE, INSERT, UPDATE, DELETE */
    for (int native = 0; native <= 1; native++) {
        struct seen seen;
        struct stream *stream = stream_of(rules, &seen);
        stream_set_native_cascades(stream, native != 0);
        ck_assert_int_eq(feed(stream, file, UINT32_MAX), STREAM_ON);
        ck_assert_ptr_nonnull(strstr(seen.text, "delete k:2\n"));
        unsigned voids = 0;
        for (const char *at = seen.text; (at = strstr(at, "void k:\n")) != NULL; at++) {
            voids++;
        }
        ck_assert_uint_eq(voids, native != 0 ? 3 : 1);
        stream_destroy(stream);
    }
    rules_destroy(rules);
}
END_TEST

/** Rows that end too early, wherever that is: their table's keys are void, and the log goes on. */
START_TEST(rows_that_are_cut_off_void_their_table)
{
    struct rules *rules = rules_of(all_tables);
    struct bytes file = load(_i == 0 ? "mysql/checksum_none.bin" : "mariadb/checksum_none.bin");
    unsigned cut = 0;
    for (unsigned less = 1; less < 40; less++) {
        struct seen seen;
        struct stream *stream = stream_of(rules, &seen);
        unsigned expected = 0;
        for (size_t at = BINLOG_FILE_MAGIC_LEN; at + EVENT_HEADER_LEN <= file.len;) {
            size_t len = le_get_u32(file.at + at + 9);
            uint8_t *event = guard_copy(file.at + at, len);
            size_t fed = len;
            uint8_t type = event[4];
            if (((type >= 30 && type <= 32) || (type >= 23 && type <= 25)) &&
                len > EVENT_HEADER_LEN + 8 + less) {
                fed = len - less;
                event[9] = (uint8_t)fed;
                event[10] = (uint8_t)(fed >> 8);
                expected++;
            }
            enum stream_result result = stream_event(stream, (struct bytes){ event, fed }, 0);
            guard_free_all();
            if (result != STREAM_ON) {
                ck_assert_int_eq(result, STREAM_BAD); /* not even its head */
                break;
            }
            at += len;
        }
        ck_assert_int_eq(metric_get(&stream_counts(stream)->decode_errors) > 0, expected > 0);
        cut += strstr(seen.text, "void k:\n") != NULL;
        stream_destroy(stream);
    }
    ck_assert_uint_gt(cut, 0);
    rules_destroy(rules);
}
END_TEST

/** Feeds a statement as MySQL logs it, without a checksum. */
static enum stream_result
feed_statement(struct stream *stream, const char *sql)
{
    static const char database[] = "shop";
    uint8_t event[512] = { 0 };
    size_t sql_len = strlen(sql);
    size_t len = EVENT_HEADER_LEN + 13 + sizeof(database) + sql_len;
    ck_assert_uint_le(len, sizeof(event));
    event[4] = 2; /* QUERY_EVENT */
    event[9] = (uint8_t)len;
    event[10] = (uint8_t)(len >> 8);
    event[EVENT_HEADER_LEN + 8] = sizeof(database) - 1;
    memcpy(event + EVENT_HEADER_LEN + 13, database, sizeof(database));
    memcpy(event + EVENT_HEADER_LEN + 13 + sizeof(database), sql, sql_len);
    enum stream_result result =
        stream_event(stream, (struct bytes){ guard_copy(event, len), len }, 0);
    guard_free_all();
    return result;
}

static const struct {
    const char *statements; /* split by | */
    const char *text;       /* what the sink sees; a point ends a transaction */
    unsigned ddl;
} statements[] = {
    { "BEGIN|SAVEPOINT s|COMMIT", ".\n", 0 },
    { "BEGIN|ROLLBACK", ".\n", 0 },
    { "CREATE USER u@h|GRANT SELECT ON shop.* TO u@h", "", 0 },
    { "DROP TABLE users", "void k:\n.\n", 1 },
    { "/* by hand */ TRUNCATE users", "void k:\n.\n", 1 },
    { "DROP DATABASE shop", "void k:\n.\n", 1 },
    { "ALTER TABLE users ADD COLUMN x INT", "void k:\n.\n", 1 },
    { "something that nobody knows", "void k:\n.\n", 1 },
    { "UPDATE users SET id = 2", "void k:\n.\n", 0 },
    { "BEGIN|UPDATE users SET id = 2|COMMIT", "void k:\n.\n", 0 },
    /* copies that a tool makes and swaps */
    { "CREATE TABLE _users_gho (id INT)", ".\n", 1 },
    { "DROP TABLE _users_del", ".\n", 1 },
    { "/* tool */ RENAME TABLE users TO _users_del, _users_gho TO users", "void k:\n.\n", 1 },
    /* MySQL's CREATE TABLE ... SELECT: its rows follow */
    { "CREATE TABLE users (id INT) START TRANSACTION|COMMIT", "void k:\n.\n", 1 },
    { "DROP TABLE elsewhere.users|DROP DATABASE elsewhere", ".\n.\n", 2 },
    /* XA as statements: what is kept is done at COMMIT, and nobody knows what was prepared before
     */
    { "XA START 'a'|XA END 'a'|XA PREPARE 'a'|XA COMMIT 'a'", ".\n.\n", 0 },
    { "XA START 'a'|XA END 'a'|XA PREPARE 'a'|XA ROLLBACK 'a'", ".\n.\n", 0 },
    { "XA START 'a'|XA END 'a'|XA COMMIT 'a' ONE PHASE", ".\n", 0 },
    { "XA COMMIT 'b'", "void k:\n.\n", 0 },
    { "XA ROLLBACK 'b'", ".\n", 0 },
};

START_TEST(statements_do_what_they_are_about)
{
    struct rules *rules = rules_of(
        "source = { hosts = (\"none\"); user = \"u\"; tls = \"off\"; online_ddl = \"_.*_(gho|del)\"; };"
        "tables = ( { name = \"shop.users\"; rules = ("
        " { on = \"any\"; delete = \"k:{id}\"; } ); } );");
    struct seen seen;
    struct stream *stream = stream_of(rules, &seen);
    struct bytes file = load("mysql/checksum_none.bin");
    size_t first_len = le_get_u32(file.at + BINLOG_FILE_MAGIC_LEN + 9);
    ck_assert_int_eq(
        feed(stream, (struct bytes){ file.at, BINLOG_FILE_MAGIC_LEN + first_len }, UINT32_MAX),
        STREAM_ON); /* the description of the format */
    char copy[256];
    snprintf(copy, sizeof(copy), "%s", statements[_i].statements);
    for (char *at = copy; at != NULL;) {
        char *end = strchr(at, '|');
        if (end != NULL) {
            *end++ = '\0';
        }
        ck_assert_int_eq(feed_statement(stream, at), STREAM_ON);
        at = end;
    }
    ck_assert_str_eq(seen.text, statements[_i].text);
    ck_assert_uint_eq(metric_get(&stream_counts(stream)->ddl), statements[_i].ddl);
    stream_destroy(stream);
    rules_destroy(rules);
}
END_TEST

int
main(void)
{
    TCase *tcase = tcase_create("stream");
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, every_recorded_log_goes_through, 0, COUNT(all_logs));
    tcase_add_test(tcase, a_lost_event_stops_no_log);
    tcase_add_test(tcase, a_broken_event_is_told);
    tcase_add_test(tcase, a_sink_that_stops_ends_the_log);
    tcase_add_test(tcase, a_voiding_of_everything_is_one_per_transaction);
    tcase_add_loop_test(tcase, xa_transactions_act_when_they_commit, 0, 2);
    tcase_add_loop_test(tcase, rows_that_are_cut_off_void_their_table, 0, 2);
    tcase_add_loop_test(tcase, statements_do_what_they_are_about, 0, COUNT(statements));
    tcase_add_test(tcase, native_foreign_keys_that_are_not_known_void_all_keys);
    tcase_add_loop_test(tcase, statements_in_the_log_void_all_keys, 0, 2);
    Suite *suite = suite_create("mysql/stream");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#else

int
main(void)
{
    puts("skipped: built without the MySQL hook");
    puts("0 passed, 0 failed, 1 skipped");
    return EXIT_SUCCESS;
}

#endif
