#include "mysql/columns.h"

#include "unit/mysql/logs.h"

static const struct {
    const char *log;
    bool has_names;
    bool has_signs;
    bool has_charsets;
} metadata[] = {
    { "mariadb/metadata_full.bin", true, true, true },
    { "mysql/metadata_full.bin", true, true, true },
    { "mariadb/metadata_minimal.bin", false, true, true },
    { "mysql/metadata_minimal.bin", false, true, true },
    { "mariadb/metadata_none.bin", false, false, false },
};

static const struct {
    const char *name;
    uint8_t type;
    bool is_number;
    bool is_unsigned;
    const char *charset; /* NULL: none */
    bool in_primary_key;
} expected[] = {
    { "id", COLUMN_LONGLONG, true, true, NULL, true },
    { "part", COLUMN_VARCHAR, false, false, "latin1", true },
    { "y", COLUMN_YEAR, false, false, NULL, false },
    { "small", COLUMN_SHORT, true, false, NULL, false },
    { "price", COLUMN_DECIMAL, true, true, NULL, false },
    { "name", COLUMN_STRING, false, false, "utf8mb4", false },
    { "raw", COLUMN_STRING, false, false, "binary", false },
    { "color", COLUMN_ENUM, false, false, "latin1", false },
    { "tags", COLUMN_SET, false, false, "utf8mb4", false },
    { "note", COLUMN_BLOB, false, false, "utf8mb4", false },
    { "shape", COLUMN_GEOMETRY, false, false, NULL, false },
    { "f", COLUMN_FLOAT, true, false, NULL, false },
};

/* ENUM and SET have their collation in FULL alone: only there they have their names. */
START_TEST(columns_are_described_as_far_as_the_log_tells)
{
    struct log_walk walk;
    log_open(&walk, metadata[_i].log);
    log_find(&walk, EVENT_TABLE_MAP);
    ck_assert(bytes_equal(walk.event.table_map.database, "shop"));
    ck_assert(bytes_equal(walk.event.table_map.table, "meta"));
    ck_assert_uint_eq(walk.column_count, COUNT(expected));
    for (int i = 0; i < COUNT(expected); i++) {
        const struct column *column = &walk.columns[i];
        ck_assert_int_eq(column->type, expected[i].type);
        ck_assert(bytes_equal(column->name, metadata[_i].has_names ? expected[i].name : ""));
        if (expected[i].is_number) {
            ck_assert_int_eq(column->is_signed_known, metadata[_i].has_signs);
            ck_assert_int_eq(column->is_unsigned,
                             metadata[_i].has_signs && expected[i].is_unsigned);
        }
        ck_assert_int_eq(column->in_primary_key,
                         metadata[_i].has_names && expected[i].in_primary_key);
        ck_assert_int_eq(column->is_nullable, i > 1);
        bool is_choice = column->type == COLUMN_ENUM || column->type == COLUMN_SET;
        if (is_choice ? metadata[_i].has_names : metadata[_i].has_charsets) {
            const char *charset = charset_name(column->collation);
            ck_assert_msg(expected[i].charset == NULL ? charset == NULL
                                                      : strcmp(charset, expected[i].charset) == 0,
                          "%s has %s", expected[i].name, charset);
        } else if (!is_choice) {
            ck_assert_uint_eq(column->collation, COLLATION_UNKNOWN);
        }
        ck_assert_int_eq(column->values.len > 0, is_choice && metadata[_i].has_names);
    }
    ck_assert_uint_eq(walk.columns[4].precision, 8);
    ck_assert_uint_eq(walk.columns[4].decimals, 2);
    ck_assert_uint_eq(walk.columns[5].width, 48);
    ck_assert_uint_eq(walk.columns[6].width, 6);
    log_close(&walk);
}
END_TEST

START_TEST(hidden_columns_and_vectors_are_told)
{
    struct log_walk walk;
    log_open(&walk, "mysql/vector.bin");
    log_find(&walk, EVENT_TABLE_MAP);
    ck_assert_uint_eq(walk.column_count, 4);
    ck_assert_int_eq(walk.columns[1].type, COLUMN_VECTOR);
    ck_assert(!walk.columns[0].is_invisible);
    ck_assert(!walk.columns[2].is_invisible);
    ck_assert(walk.columns[3].is_invisible);
    ck_assert(bytes_equal(walk.columns[3].name, "hidden"));
    log_close(&walk);
}
END_TEST

/* -- made-up maps: one column of `type` with `meta`, and optional metadata -------------------- */

static enum columns_result
parse_one(uint8_t type, struct bytes meta, struct bytes optional, struct column *out)
{
    static const uint8_t nullable[1] = { 0 };
    static uint8_t types[1];
    types[0] = type;
    struct event_table_map map = {
        .column_count = 1,
        .types = types,
        .metadata = { guard_copy(meta.at, meta.len), meta.len },
        .nullable = nullable,
        .metadata_optional = { guard_copy(optional.at, optional.len), optional.len },
    };
    return columns_parse(&map, out, 1);
}

static const struct {
    uint8_t type;
    struct bytes meta;
    struct bytes optional;
    enum columns_result result;
    uint8_t real_type;
    uint32_t width;
    uint8_t prefix;
} single[] = {
#define NO_BYTES \
    {            \
        NULL, 0  \
    }
#define B(text)                                   \
    {                                             \
        (const uint8_t *)(text), sizeof(text) - 1 \
    }
    { 254, B("\xfe\x0a"), NO_BYTES, COLUMNS_PARSED, COLUMN_STRING, 10, 1 },
    /* CHAR(255) in utf8mb4: 1020 bytes */
    { 254, B("\xce\xfc"), NO_BYTES, COLUMNS_PARSED, COLUMN_STRING, 1020, 2 },
    { 254, B("\xf7\x02"), NO_BYTES, COLUMNS_PARSED, COLUMN_ENUM, 2, 0 },
    { 254, B("\xf7\x03"), NO_BYTES, COLUMNS_BAD, COLUMN_ENUM, 3, 0 },
    { 254, B("\xf8\x08"), NO_BYTES, COLUMNS_PARSED, COLUMN_SET, 8, 0 },
    { 254, B("\xf8\x09"), NO_BYTES, COLUMNS_BAD, COLUMN_SET, 9, 0 },
    { 254, B("\xf8\x00"), NO_BYTES, COLUMNS_BAD, COLUMN_SET, 0, 0 },
    { 254, B("\xf5\x00"), NO_BYTES, COLUMNS_BAD, 0xf5, 0, 1 },
    { 254, B("\xf8"), NO_BYTES, COLUMNS_BAD, COLUMN_STRING, 0, 0 },
    { 15, B("\xff\0"), NO_BYTES, COLUMNS_PARSED, COLUMN_VARCHAR, 255, 1 },
    { 15, B("\0\1"), NO_BYTES, COLUMNS_PARSED, COLUMN_VARCHAR, 256, 2 },
    { 16, B("\1\1"), NO_BYTES, COLUMNS_PARSED, COLUMN_BIT, 2, 0 },
    { 16, B("\1\x08"), NO_BYTES, COLUMNS_BAD, COLUMN_BIT, 0, 0 },
    { 16, B("\0\0"), NO_BYTES, COLUMNS_BAD, COLUMN_BIT, 0, 0 },
    { 17, B("\6"), NO_BYTES, COLUMNS_PARSED, COLUMN_TIMESTAMP, 7, 0 },
    { 17, B("\7"), NO_BYTES, COLUMNS_BAD, COLUMN_TIMESTAMP, 0, 0 },
    { 19, B("\1"), NO_BYTES, COLUMNS_PARSED, COLUMN_TIME, 4, 0 },
    { 246, B("\x41\x1e"), NO_BYTES, COLUMNS_PARSED, COLUMN_DECIMAL, 30, 0 },
    { 246, B("\x42\x1e"), NO_BYTES, COLUMNS_BAD, COLUMN_DECIMAL, 0, 0 },
    { 246, B("\5\6"), NO_BYTES, COLUMNS_BAD, COLUMN_DECIMAL, 0, 0 },
    { 252, B("\4"), NO_BYTES, COLUMNS_PARSED, COLUMN_BLOB, 0, 4 },
    { 252, B("\5"), NO_BYTES, COLUMNS_BAD, COLUMN_BLOB, 0, 0 },
    { 252, B("\0"), NO_BYTES, COLUMNS_BAD, COLUMN_BLOB, 0, 0 },
    { 3, NO_BYTES, NO_BYTES, COLUMNS_PARSED, COLUMN_LONG, 4, 0 },
    { 0, NO_BYTES, NO_BYTES, COLUMNS_UNKNOWN_TYPE, 0, 0, 0 },
    { 20, NO_BYTES, NO_BYTES, COLUMNS_UNKNOWN_TYPE, 20, 0, 0 },
    { 150, NO_BYTES, NO_BYTES, COLUMNS_UNKNOWN_TYPE, 150, 0, 0 },
    /* optional metadata */
    { 3, NO_BYTES, B("\1\1\x80"), COLUMNS_PARSED, COLUMN_LONG, 4, 0 },
    { 3, NO_BYTES, B("\1\0"), COLUMNS_BAD, COLUMN_LONG, 4, 0 },
    { 3, NO_BYTES, B("\1\2\x80"), COLUMNS_BAD, COLUMN_LONG, 4, 0 },
    { 3, NO_BYTES, B("\4\3\3ab"), COLUMNS_BAD, COLUMN_LONG, 4, 0 },
    { 3, NO_BYTES, B("\x63\3\3ab"), COLUMNS_PARSED, COLUMN_LONG, 4, 0 },
    { 3, NO_BYTES, B("\x8\1\1"), COLUMNS_BAD, COLUMN_LONG, 4, 0 },
    { 3, NO_BYTES, B("\x9\1\0"), COLUMNS_BAD, COLUMN_LONG, 4, 0 },
    { 3, NO_BYTES, B("\xc\0"), COLUMNS_BAD, COLUMN_LONG, 4, 0 },
    { 252, B("\1"), B("\2\1\x8"), COLUMNS_PARSED, COLUMN_BLOB, 0, 1 },
    { 252, B("\1"), B("\2\3\x8\0\x2d"), COLUMNS_PARSED, COLUMN_BLOB, 0, 1 },
    { 252, B("\1"), B("\2\3\x8\1\x2d"), COLUMNS_BAD, COLUMN_BLOB, 0, 1 },
    { 252, B("\1"), B("\2\2\x8\0"), COLUMNS_BAD, COLUMN_BLOB, 0, 1 },
    { 252, B("\1"), B("\3\0"), COLUMNS_BAD, COLUMN_BLOB, 0, 1 },
    { 254, B("\xf7\1"), B("\6\3\1\1x"), COLUMNS_PARSED, COLUMN_ENUM, 1, 0 },
    { 254, B("\xf7\1"), B("\6\3\2\1x"), COLUMNS_BAD, COLUMN_ENUM, 1, 0 },
    { 254, B("\xf7\1"), B("\6\1\xfe"), COLUMNS_BAD, COLUMN_ENUM, 1, 0 },
};

START_TEST(a_column_is_described_or_refused)
{
    struct column column;
    enum columns_result result =
        parse_one(single[_i].type, single[_i].meta, single[_i].optional, &column);
    ck_assert_int_eq(result, single[_i].result);
    if (result == COLUMNS_PARSED) {
        ck_assert_int_eq(column.type, single[_i].real_type);
        ck_assert_uint_eq(column.width, single[_i].width);
        ck_assert_uint_eq(column.prefix, single[_i].prefix);
    }
}
END_TEST

START_TEST(default_collations_have_exceptions)
{
    static const uint8_t types[] = { 252, 3, 252, 252 };
    static const uint8_t nullable[] = { 0 };
    struct event_table_map map = {
        .column_count = 4,
        .types = types,
        .metadata = B("\1\1\1"),
        .nullable = nullable,
        .metadata_optional = B("\2\5\x8\0\x2d\2\x3f"),
    };
    struct column columns[4];
    ck_assert_int_eq(columns_parse(&map, columns, 4), COLUMNS_PARSED);
    ck_assert_uint_eq(columns[0].collation, 45);
    ck_assert_uint_eq(columns[1].collation, 0);
    ck_assert_uint_eq(columns[2].collation, 8);
    ck_assert_uint_eq(columns[3].collation, 63);
    ck_assert_int_eq(columns_parse(&map, columns, 3), COLUMNS_NO_ROOM);
}
END_TEST

int
main(void)
{
    TCase *tcase = tcase_create("columns");
    tcase_add_checked_fixture(tcase, NULL, guard_free_all);
    tcase_add_loop_test(tcase, columns_are_described_as_far_as_the_log_tells, 0, COUNT(metadata));
    tcase_add_test(tcase, hidden_columns_and_vectors_are_told);
    tcase_add_loop_test(tcase, a_column_is_described_or_refused, 0, COUNT(single));
    tcase_add_test(tcase, default_collations_have_exceptions);
    Suite *suite = suite_create("mysql/columns");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
