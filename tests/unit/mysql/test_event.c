#include "mysql/event.h"

#include "mysql/crc32.h"
#include "unit/mysql/logs.h"

#define PREFIX_LEN_MAX 600u /* bytes: of longer events only the first prefixes are tried */

/* -- recorded logs ---------------------------------------------------------------------------- */

/* Each part is copied so that it ends at an unreadable page. */
struct part_room {
    uint8_t *end;
};

static struct bytes
part_of(const struct part_room *room, const uint8_t *at, size_t len)
{
    memcpy(room->end - len, at, len);
    return (struct bytes){ room->end - len, len };
}

/* Cut off anywhere an event is not there yet; nothing is read behind the cut. */
START_TEST(every_prefix_answers_more)
{
    const char *reason;
    struct binlog_file file;
    struct event event, none;
    enum event_result result;
    struct part_room room = { guard_room(PREFIX_LEN_MAX) + PREFIX_LEN_MAX };
    struct bytes bytes = read_fixture(all_logs[_i]);
    ck_assert_int_eq(binlog_file_begin(&file, bytes, &reason), BINLOG_FILE_EVENT);
    size_t pos = file.pos;
    while (binlog_file_next(&file, &event, &result, &reason) == BINLOG_FILE_EVENT) {
        for (size_t cut = 0; cut < event.len && cut < PREFIX_LEN_MAX; cut++) {
            ck_assert_int_eq(event_parse(&file.format, part_of(&room, bytes.at + pos, cut), &none),
                             EVENT_MORE);
        }
        pos = file.pos;
    }
    ck_assert_uint_eq(file.pos, bytes.len);
}
END_TEST

/* A shorter event that says so itself is parsed within its bytes: broken or not, never beyond. */
START_TEST(every_shortened_event_stays_within_its_bytes)
{
    const char *reason;
    struct binlog_file file;
    struct event event, other;
    enum event_result result;
    struct part_room room = { guard_room(PREFIX_LEN_MAX) + PREFIX_LEN_MAX };
    struct bytes bytes = read_fixture(all_logs[_i]);
    ck_assert_int_eq(binlog_file_begin(&file, bytes, &reason), BINLOG_FILE_EVENT);
    unsigned bad = 0;
    for (size_t pos = file.pos;
         binlog_file_next(&file, &event, &result, &reason) == BINLOG_FILE_EVENT; pos = file.pos) {
        struct event_format plain = file.format;
        plain.checksum = EVENT_CHECKSUM_NONE;
        for (size_t len = EVENT_HEADER_LEN; len < event.len && len < PREFIX_LEN_MAX; len++) {
            struct bytes part = part_of(&room, bytes.at + pos, len);
            uint8_t *len_at = room.end - len + 9;
            len_at[0] = (uint8_t)len;
            len_at[1] = (uint8_t)(len >> 8);
            len_at[2] = len_at[3] = 0;
            result = event_parse(&plain, part, &other);
            ck_assert_int_ne(result, EVENT_MORE);
            ck_assert(result == EVENT_PARSED || other.reason != NULL);
            bad += result == EVENT_BAD;
            struct column columns[LOG_COLUMNS];
            if (result == EVENT_PARSED && other.kind == EVENT_TABLE_MAP) {
                enum columns_result parsed = columns_parse(&other.table_map, columns, LOG_COLUMNS);
                ck_assert_int_ne(parsed, COLUMNS_NO_ROOM);
            }
        }
    }
    ck_assert_uint_gt(bad, 20);
}
END_TEST

START_TEST(every_flipped_bit_breaks_the_checksum)
{
    struct event_format format;
    struct event event;
    event_format_init(&format, EVENT_CHECKSUM_NONE);
    struct bytes bytes = read_fixture("mysql/small.bin");
    struct bytes first = { bytes.at + 4, bytes.len - 4 };
    ck_assert_int_eq(event_parse(&format, first, &event), EVENT_PARSED);
    ck_assert_int_eq(event.kind, EVENT_FORMAT);
    ck_assert_str_eq(event.format.version, "9.7.4-2");
    format = event.format;
    ck_assert_int_eq(format.checksum, EVENT_CHECKSUM_CRC32);
    uint8_t *second = (uint8_t *)(uintptr_t)first.at + event.len;
    size_t len = le_get_u32(second + 9);
    for (size_t i = 0; i < len; i++) {
        if (i >= 9 && i < 13) {
            continue; /* the length: the end of the event moves */
        }
        second[i] ^= 4;
        ck_assert_int_eq(event_parse(&format, (struct bytes){ second, len }, &event), EVENT_BAD);
        ck_assert_str_eq(event.reason, "the checksum does not match");
        second[i] ^= 4;
    }
    ck_assert_int_eq(event_parse(&format, (struct bytes){ second, len }, &event), EVENT_PARSED);
    /* and in the format description itself, except for the mark of a log that is being written */
    uint8_t *head = (uint8_t *)(uintptr_t)first.at;
    head[17] ^= EVENT_FLAG_IN_USE;
    ck_assert_int_eq(event_parse(&format, first, &event), EVENT_PARSED);
    head[30] ^= 1;
    ck_assert_int_eq(event_parse(&format, first, &event), EVENT_BAD);
}
END_TEST

static const struct {
    const char *log;
    enum event_kind kinds[8];
} sequences[] = {
    { "mysql/small.bin",
      { EVENT_FORMAT, EVENT_PREVIOUS_GTIDS, EVENT_GTID, EVENT_QUERY, EVENT_GTID, EVENT_QUERY,
        EVENT_STATEMENT, EVENT_TABLE_MAP } },
    { "mysql/anonymous.bin",
      { EVENT_FORMAT, EVENT_PREVIOUS_GTIDS, EVENT_ANONYMOUS, EVENT_QUERY, EVENT_ANONYMOUS,
        EVENT_QUERY, EVENT_STATEMENT, EVENT_TABLE_MAP } },
    { "mariadb/small.bin",
      { EVENT_FORMAT, EVENT_GTID_LIST, EVENT_OTHER, EVENT_OTHER, EVENT_GTID_MARIADB, EVENT_QUERY,
        EVENT_GTID_MARIADB, EVENT_STATEMENT } },
};

START_TEST(a_log_is_its_events)
{
    struct log_walk walk;
    log_open(&walk, sequences[_i].log);
    for (int i = 0; i < COUNT(sequences[_i].kinds); i++) {
        ck_assert(log_next(&walk));
        ck_assert_int_eq(walk.event.kind, sequences[_i].kinds[i]);
    }
    enum event_kind last = EVENT_OTHER;
    uint64_t name_pos = 0;
    while (log_next(&walk)) {
        last = walk.event.kind;
        if (last == EVENT_ROTATE) {
            ck_assert_uint_gt(walk.event.rotate.name.len, 9); /* bin.000042 */
            ck_assert_mem_eq(walk.event.rotate.name.at, "bin.0", 5);
            name_pos = walk.event.rotate.pos;
        }
    }
    ck_assert_int_eq(last, EVENT_ROTATE);
    ck_assert_uint_eq(name_pos, 4);
}
END_TEST

START_TEST(tagged_gtids_are_told)
{
    static const struct {
        const char *tag;
        uint64_t number; /* 0: depends on what the server did before */
        bool is_foreign; /* of the uuid that the session named */
    } expected[] = {
        { "tag_a", 1, false },
        { "tag_a", 2, false },
        { "other", 1000000, true },
        { "", 7, true },
        { "other", 9223372036854775806ull, true },
        { "", 0, false },
    };
    struct log_walk walk;
    size_t end_expected = 0;
    log_open(&walk, "mysql/tagged.bin");
    log_find(&walk, EVENT_GTID);
    for (int i = 0; i < COUNT(expected); i++) {
        log_find(&walk, EVENT_GTID);
        const struct event_gtid *gtid = &walk.event.gtid;
        ck_assert(bytes_equal(gtid->tag, expected[i].tag));
        if (expected[i].number != 0) {
            ck_assert_uint_eq(gtid->number, expected[i].number);
        }
        if (expected[i].is_foreign) {
            ck_assert_mem_eq(gtid->uuid, "\x11\x11\x11\x11\"\"33DDUUUUUU", 16);
        }
        size_t start = walk.file.pos - walk.event.len;
        ck_assert(end_expected == 0 || end_expected == start);
        end_expected = start + gtid->transaction_len;
    }
    log_find(&walk, EVENT_ROTATE);
    ck_assert_uint_eq(walk.file.pos - walk.event.len, end_expected);
    log_close(&walk);
}
END_TEST

static void
check_xa(const struct event_xa_id *xa, const char *gtrid, const char *bqual, int32_t format)
{
    ck_assert(bytes_equal(xa->gtrid, gtrid));
    ck_assert(bytes_equal(xa->bqual, bqual));
    ck_assert_int_eq(xa->format, format);
}

START_TEST(xa_transactions_are_told)
{
    struct log_walk walk;
    log_open(&walk, "mariadb/xa.bin");
    log_find(&walk, EVENT_GTID_MARIADB);
    ck_assert_uint_eq(walk.event.gtid_mariadb.flags & EVENT_GTID_DDL, EVENT_GTID_DDL);
    log_find(&walk, EVENT_GTID_MARIADB);
    ck_assert_uint_eq(walk.event.gtid_mariadb.flags & EVENT_GTID_XA_PREPARED,
                      EVENT_GTID_XA_PREPARED);
    ck_assert_uint_eq(walk.event.gtid_mariadb.server, 11);
    check_xa(&walk.event.gtid_mariadb.xa, "gtrid", "bqual", 7);
    log_find(&walk, EVENT_XA_PREPARE);
    check_xa(&walk.event.xa_prepare.xa, "gtrid", "bqual", 7);
    ck_assert(!walk.event.xa_prepare.one_phase);
    log_find(&walk, EVENT_GTID_MARIADB);
    ck_assert_uint_eq(walk.event.gtid_mariadb.flags & EVENT_GTID_XA_COMPLETED,
                      EVENT_GTID_XA_COMPLETED);
    check_xa(&walk.event.gtid_mariadb.xa, "gtrid", "bqual", 7);
    log_close(&walk);

    log_open(&walk, "mysql/xa.bin");
    log_find(&walk, EVENT_XA_PREPARE);
    check_xa(&walk.event.xa_prepare.xa, "gtrid", "bqual", 7);
    log_find(&walk, EVENT_XA_PREPARE);
    ck_assert_uint_eq(walk.event.xa_prepare.xa.gtrid.len, 3);
    ck_assert_mem_eq(walk.event.xa_prepare.xa.gtrid.at, "\0\xff'", 3);
    ck_assert(!walk.event.xa_prepare.one_phase);
    log_find(&walk, EVENT_XA_PREPARE);
    ck_assert(walk.event.xa_prepare.one_phase);
    log_close(&walk);
}
END_TEST

START_TEST(statement_format_leaves_traces)
{
    static const char *const logs[] = { "mariadb/statement.bin", "mysql/statement.bin" };
    struct log_walk walk;
    log_open(&walk, logs[_i]);
    log_find(&walk, EVENT_CONTEXT);
    ck_assert_int_eq(walk.result, EVENT_IGNORABLE);
    log_find(&walk, EVENT_QUERY);
    ck_assert(bytes_equal(walk.event.query.database, "shop"));
    ck_assert_mem_eq(walk.event.query.text.at, "INSERT INTO st", 14);
    ck_assert_uint_gt(walk.event.query.sql_mode, 0);
    ck_assert_str_eq(charset_name(walk.event.query.collation), "utf8mb4");
    log_find(&walk, EVENT_LOAD);
    ck_assert_int_eq(walk.result, EVENT_WIDEN);
    ck_assert_uint_eq(walk.event.query.text.len, 0);
    log_find(&walk, EVENT_LOAD);
    ck_assert_int_eq(walk.result, EVENT_WIDEN);
    ck_assert(bytes_equal(walk.event.query.database, "shop"));
    ck_assert_mem_eq(walk.event.query.text.at, "LOAD DATA INFILE", 16);
    log_close(&walk);
}
END_TEST

/* -- events that no server here writes -------------------------------------------------------- */

#define HEAD(type, len, next, flags) "\1\0\0\0" type "\x0b\0\0\0" len "\0\0\0" next "\0\0\0" flags

static const struct {
    const char *bytes;
    size_t len;
    enum event_result result;
    enum event_kind kind;
} made[] = {
#define MADE(bytes) (bytes), sizeof(bytes) - 1
    { MADE(HEAD("\x3", "\x13", "\0", "\0\0")), EVENT_PARSED, EVENT_STOP },
    { MADE(HEAD("\x3", "\x12", "\0", "\0\0")), EVENT_BAD, EVENT_OTHER },
    { MADE(HEAD("\x3", "\0", "\0", "\0\0")), EVENT_BAD, EVENT_OTHER },
    { MADE(HEAD("\x3", "\x14", "\0", "\0\0")), EVENT_MORE, EVENT_OTHER },
    /* unknown, without and with the flag that allows to go on */
    { MADE(HEAD("\x7f", "\x13", "\0", "\0\0")), EVENT_WIDEN, EVENT_OTHER },
    { MADE(HEAD("\x7f", "\x13", "\0", "\x80\0")), EVENT_IGNORABLE, EVENT_OTHER },
    { MADE(HEAD("\0", "\x13", "\0", "\0\0")), EVENT_WIDEN, EVENT_OTHER },
    { MADE(HEAD("\xff", "\x13", "\0", "\0\0")), EVENT_WIDEN, EVENT_OTHER },
    { MADE(HEAD("\x1c", "\x13", "\0", "\x80\0")), EVENT_IGNORABLE, EVENT_OTHER },
    /* rows from before 5.1, a log from before 5.0 */
    { MADE(HEAD("\x14", "\x13", "\0", "\0\0")), EVENT_WIDEN, EVENT_OTHER },
    { MADE(HEAD("\x1", "\x13", "\0", "\0\0")), EVENT_BAD, EVENT_OTHER },
    /* INTVAR, RAND, LOAD, BEGIN_LOAD_QUERY, EXECUTE_LOAD_QUERY cut short */
    { MADE(HEAD("\x5", "\x13", "\0", "\0\0")), EVENT_IGNORABLE, EVENT_CONTEXT },
    { MADE(HEAD("\xd", "\x13", "\0", "\0\0")), EVENT_IGNORABLE, EVENT_CONTEXT },
    { MADE(HEAD("\x6", "\x13", "\0", "\0\0")), EVENT_WIDEN, EVENT_LOAD },
    { MADE(HEAD("\x11", "\x13", "\0", "\0\0")), EVENT_WIDEN, EVENT_LOAD },
    { MADE(HEAD("\x12", "\x13", "\0", "\0\0")), EVENT_BAD, EVENT_OTHER },
    { MADE(HEAD("\x24", "\x13", "\0", "\0\0")), EVENT_IGNORABLE, EVENT_OTHER },
    { MADE(HEAD("\x25", "\x13", "\0", "\0\0")), EVENT_IGNORABLE, EVENT_OTHER },
    { MADE(HEAD("\xa4", "\x13", "\0", "\0\0")), EVENT_IGNORABLE, EVENT_ENCRYPTION },
    { MADE(HEAD("\x1a", "\x17", "\0", "\0\0") "\1\0\1x"), EVENT_WIDEN, EVENT_INCIDENT },
    { MADE(HEAD("\x1a", "\x17", "\0", "\0\0") "\1\0\2x"), EVENT_BAD, EVENT_OTHER },
    { MADE(HEAD("\x4", "\x1b", "\0", "\x20\0") "\4\0\0\0\0\0\0\0"), EVENT_BAD, EVENT_ROTATE },
    { MADE(HEAD("\x10", "\x1a", "\0", "\0\0") "\4\0\0\0\0\0\0"), EVENT_BAD, EVENT_XID },
    /* rows of no table: the end of a statement */
    { MADE(HEAD("\x1e", "\x1d", "\0", "\0\0") "\xff\xff\xff\0\0\0\1\0\2\0"), EVENT_PARSED,
      EVENT_ROWS },
    { MADE(HEAD("\x1e", "\x1d", "\0", "\0\0") "\xff\xff\xff\0\0\0\1\0\1\0"), EVENT_BAD,
      EVENT_ROWS },
    /* no columns; more than there can be */
    { MADE(HEAD("\x17", "\x1c", "\0", "\0\0") "\1\0\0\0\0\0\1\0\0"), EVENT_BAD, EVENT_ROWS },
    { MADE(HEAD("\x17", "\x1e", "\0", "\0\0") "\1\0\0\0\0\0\1\0\xfc\1\x10"), EVENT_BAD,
      EVENT_ROWS },
    { MADE(HEAD("\x29", "\x13", "\x64", "\0\0")), EVENT_PARSED, EVENT_HEARTBEAT },
    { MADE(HEAD("\x29", "\x14", "\x64", "\0\0") "\1"), EVENT_BAD, EVENT_HEARTBEAT },
};

START_TEST(made_up_events)
{
    struct event_format format;
    struct event event;
    event_format_init(&format, EVENT_CHECKSUM_NONE);
    struct bytes bytes = { guard_copy(made[_i].bytes, made[_i].len), made[_i].len };
    enum event_result result = event_parse(&format, bytes, &event);
    ck_assert_int_eq(result, made[_i].result);
    if (result == EVENT_PARSED || result == EVENT_IGNORABLE || result == EVENT_WIDEN) {
        ck_assert_int_eq(event.kind, made[_i].kind);
    }
    if (result != EVENT_PARSED && result != EVENT_MORE) {
        ck_assert_ptr_nonnull(event.reason);
    }
}
END_TEST

static const struct {
    const char *bytes;
    size_t len;
    const char *name;
    uint64_t pos;
    bool mariadb;
} heartbeats[] = {
    { MADE(HEAD("\x1b", "\x1a", "\x64", "\0\0") "bin.001"), "bin.001", 100, false },
    /* MariaDB, beyond 4 GiB */
    { MADE(HEAD("\x1b", "\x22", "\0", "\0\0") "\1\0\0\0\1\0\0\0bin.001"), "bin.001", 0x100000001ull,
      true },
    { MADE(HEAD("\x1b", "\x1a", "\0", "\0\0") "bin.001"), "bin.001", 0, false },
    { MADE(HEAD("\x29", "\x29", "\0", "\0\0") "\1\7bin.001\2\x9\xfe\1\0\0\0\1\0\0\0\0\0"),
      "bin.001", 0x100000001ull, false },
    { MADE(HEAD("\x29", "\x21", "\x64", "\0\0") "\1\7bin.001\x63\1x\0\0"), "bin.001", 100, false },
};

START_TEST(heartbeats_tell_the_position)
{
    struct event_format format;
    struct event event;
    event_format_init(&format, EVENT_CHECKSUM_NONE);
    format.mariadb = heartbeats[_i].mariadb;
    struct bytes bytes = { guard_copy(heartbeats[_i].bytes, heartbeats[_i].len),
                           heartbeats[_i].len };
    ck_assert_int_eq(event_parse(&format, bytes, &event), EVENT_PARSED);
    ck_assert_int_eq(event.kind, EVENT_HEARTBEAT);
    ck_assert(bytes_equal(event.heartbeat.name, heartbeats[_i].name));
    ck_assert_uint_eq(event.heartbeat.pos, heartbeats[_i].pos);
}
END_TEST

/* What a primary sends first, before the format description: with the checksum agreed on. */
START_TEST(the_artificial_rotate_has_a_checksum_already)
{
    uint8_t bytes[] = HEAD("\x4", "\x26", "\0", "\x20\0") "\4\0\0\0\0\0\0\0bin.001\0\0\0\0";
    size_t len = sizeof(bytes) - 1;
    uint32_t crc = crc32_add(0, bytes, len - 4);
    for (unsigned i = 0; i < 4; i++) {
        bytes[len - 4 + i] = (uint8_t)(crc >> (8 * i));
    }
    struct event_format format;
    struct event event;
    event_format_init(&format, EVENT_CHECKSUM_CRC32);
    ck_assert_int_eq(event_parse(&format, (struct bytes){ bytes, len }, &event), EVENT_PARSED);
    ck_assert_int_eq(event.kind, EVENT_ROTATE);
    ck_assert(bytes_equal(event.rotate.name, "bin.001"));
    ck_assert_uint_eq(event.flags, EVENT_FLAG_ARTIFICIAL);
}
END_TEST

/** A format description of an older server: `tail` bytes behind the types, types of `type_count`.
 */
static enum event_result
parse_format_of(const char *version, size_t type_count, size_t tail, struct event *event)
{
    struct event_format format;
    size_t len = EVENT_HEADER_LEN + 57 + type_count + tail;
    uint8_t *bytes = guard_room(len);
    memset(bytes, 0, len);
    bytes[4] = 15;
    bytes[9] = (uint8_t)len;
    bytes[19] = 4;
    memcpy(bytes + 21, version, strlen(version));
    bytes[19 + 56] = 19;
    event_format_init(&format, EVENT_CHECKSUM_NONE);
    return event_parse(&format, (struct bytes){ bytes, len }, event);
}

START_TEST(checksums_came_with_a_version)
{
    struct event event;
    ck_assert_int_eq(parse_format_of("5.1.73-log", 27, 0, &event), EVENT_PARSED);
    ck_assert_uint_eq(event.format.type_count, 27);
    ck_assert_int_eq(event.format.checksum, EVENT_CHECKSUM_NONE);
    ck_assert_int_eq(parse_format_of("5.6.0", 35, 0, &event), EVENT_PARSED);
    ck_assert_uint_eq(event.format.type_count, 35);
    ck_assert_int_eq(parse_format_of("5.6.1", 35, 5, &event), EVENT_PARSED);
    ck_assert_uint_eq(event.format.type_count, 35);
    ck_assert_int_eq(parse_format_of("5.3.0-MariaDB", 27, 5, &event), EVENT_PARSED);
    ck_assert_uint_eq(event.format.type_count, 27);
    ck_assert(event.format.mariadb);
    ck_assert_int_eq(parse_format_of("5.2.9-MariaDB", 27, 0, &event), EVENT_PARSED);
    ck_assert_uint_eq(event.format.type_count, 27);
    ck_assert_int_eq(parse_format_of("8.0.1", 0, 4, &event), EVENT_BAD);
}
END_TEST

START_TEST(every_type_has_a_name_or_is_unknown)
{
    ck_assert_str_eq(event_type_name(2), "QUERY");
    ck_assert_str_eq(event_type_name(42), "GTID_TAGGED");
    ck_assert_str_eq(event_type_name(171), "DELETE_ROWS_COMPRESSED");
    ck_assert_str_eq(event_type_name(43), "unknown");
    ck_assert_str_eq(event_type_name(255), "unknown");
}
END_TEST

int
main(void)
{
    TCase *tcase = tcase_create("event");
    tcase_add_checked_fixture(tcase, NULL, guard_free_all);
    tcase_add_loop_test(tcase, every_prefix_answers_more, 0, COUNT(all_logs));
    tcase_add_loop_test(tcase, every_shortened_event_stays_within_its_bytes, 0, COUNT(all_logs));
    tcase_add_test(tcase, every_flipped_bit_breaks_the_checksum);
    tcase_add_loop_test(tcase, a_log_is_its_events, 0, COUNT(sequences));
    tcase_add_test(tcase, tagged_gtids_are_told);
    tcase_add_test(tcase, xa_transactions_are_told);
    tcase_add_loop_test(tcase, statement_format_leaves_traces, 0, 2);
    tcase_add_loop_test(tcase, made_up_events, 0, COUNT(made));
    tcase_add_loop_test(tcase, heartbeats_tell_the_position, 0, COUNT(heartbeats));
    tcase_add_test(tcase, the_artificial_rotate_has_a_checksum_already);
    tcase_add_test(tcase, checksums_came_with_a_version);
    tcase_add_test(tcase, every_type_has_a_name_or_is_unknown);
    Suite *suite = suite_create("mysql/event");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
