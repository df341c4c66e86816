#include "proto/meta.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "support/guard.h"

#define COUNT(table) ((int)(sizeof(table) / sizeof((table)[0])))

/* the longest opaque */
#define O31 "ooooooooooooooooooooooooooooooo"

#define FULL(cas_id, ttl, len, was_fetched, ...)                                  \
    &(const struct reply_item)                                                    \
    {                                                                             \
        .cas = (cas_id), .ttl_s = (ttl), .idle_s = 5, .client_flags = UINT32_MAX, \
        .value_len = (len), .fetched = (was_fetched), __VA_ARGS__                 \
    }
/* What replies tell unless a row says otherwise. */
#define ITEM(...) FULL(77, REPLY_TTL_NONE, 3, true, __VA_ARGS__)
#define TTL(ttl)  FULL(77, ttl, 3, true, )
#define CAS(cas)  FULL(cas, REPLY_TTL_NONE, 3, true, )

static const struct {
    const char *line;
    enum meta_result result;
    const struct reply_item *item;
    const char *reply;
} heads[] = {
    { "mg k\r\n", META_HD, ITEM(), "HD\r\n" },
    { "mg k v\r\n", META_VA, ITEM(), "VA 3\r\n" },
    { "mg k v\r\n", META_VA, FULL(77, 0, 0, false, ), "VA 0\r\n" },
    { "mg k s t c f l h k O1 v\r\n", META_VA, ITEM(),
      "VA 3 s3 t-1 c77 f4294967295 l5 h1 kk O1\r\n" },
    { "mg k O1 k h l f c t s\r\n", META_HD, FULL(77, 60, 3, false, ),
      "HD O1 kk h0 l5 f4294967295 c77 t60 s3\r\n" },
    { "mg k O\r\n", META_HD, TTL(0), "HD O\r\n" },
    { "mg k t\r\n", META_HD, TTL(0), "HD t0\r\n" },
    { "mg k q s\r\n", META_HD, ITEM(), "HD s3\r\n" },
    /* marks */
    { "mg k c v\r\n", META_VA, ITEM(.won = true), "VA 3 c77 W\r\n" },
    { "mg k v\r\n", META_VA, ITEM(.sent = true), "VA 3 Z\r\n" },
    { "mg k s v\r\n", META_VA, ITEM(.won = true, .stale = true), "VA 3 s3 X W\r\n" },
    { "mg k s v\r\n", META_VA, ITEM(.sent = true, .stale = true), "VA 3 s3 Z X\r\n" },
    /* misses tell what needs no item */
    { "mg k k O123 c s t v f l h\r\n", META_EN, NULL, "EN kk O123\r\n" },
    { "mg k O123 c k\r\n", META_EN, ITEM(.won = true), "EN O123 kk\r\n" },
    { "mg k c\r\n", META_EN, NULL, "EN\r\n" },
    { "md k O1 k s c t\r\n", META_HD, NULL, "HD O1 kk\r\n" },
    { "md k O1 k\r\n", META_NF, NULL, "NF O1 kk\r\n" },
    { "md k O1 k\r\n", META_EX, ITEM(), "EX O1 kk\r\n" },
    { "ma k k O1 c t\r\n", META_NF, NULL, "NF kk O1\r\n" },
    { "ma k k O1 c t\r\n", META_EX, ITEM(), "EX kk O1\r\n" },
    { "ma k k O1 c t N0\r\n", META_NS, ITEM(), "NS kk O1\r\n" },
    { "ma k k O1 c t s f\r\n", META_HD, TTL(9), "HD kk O1 c77 t9\r\n" },
    /* ms tells all of its flags whatever came of it */
    { "ms k 2 O1 k c s t f\r\n", META_HD, ITEM(), "HD O1 kk c77 s3\r\n" },
    { "ms k 2 k c s O7\r\n", META_NS, CAS(0), "NS kk c0 s3 O7\r\n" },
    { "ms k 2 k c\r\n", META_EX, CAS(0), "EX kk c0\r\n" },
    { "ms k 2 k c\r\n", META_NF, FULL(0, 0, 3, true, .stale = true), "NF kk c0\r\n" },
    { "ms k 2 k c\r\n", META_NF, NULL, "NF kk\r\n" },
    /* keys in base64 */
    { "mg Zm9v b k v\r\n", META_VA, ITEM(.key_binary = true), "VA 3 kZm9v b\r\n" },
    { "mg Zm8= O1 k c b\r\n", META_HD, ITEM(.key_binary = true), "HD O1 kZm8= b c77\r\n" },
    { "mg Zm8= b k\r\n", META_HD, ITEM(), "HD kfo\r\n" },
    { "mg fo k\r\n", META_HD, ITEM(.key_binary = true), "HD kZm8= b\r\n" },
    { "mg Zm9v b\r\n", META_HD, ITEM(.key_binary = true), "HD\r\n" },
    { "mg Zg== b k O1\r\n", META_EN, NULL, "EN kZg== b O1\r\n" },
    { "ms Zg== 2 c k s b\r\n", META_HD, ITEM(.key_binary = true), "HD c77 kZg== b s3\r\n" },
    { "md Zg== k b\r\n", META_HD, NULL, "HD kZg== b\r\n" },
};

static void
parse_line(const char *line, struct meta_request *request)
{
    const uint8_t *bytes = guard_copy(line, strlen(line));
    struct cursor cur = { bytes, bytes + strlen(line) };
    ck_assert_int_eq(meta_parse(&cur, request), PARSE_DONE);
    ck_assert_int_ne(request->op, META_ERROR);
}

static void
check_text(const uint8_t *at, const uint8_t *behind, const char *text)
{
    ck_assert_uint_eq((size_t)(behind - at), strlen(text));
    ck_assert_mem_eq(at, text, strlen(text));
}

START_TEST(write_head_gives_back_what_the_result_has)
{
    struct meta_request request;
    parse_line(heads[_i].line, &request);
    uint8_t *room = guard_room(strlen(heads[_i].reply));
    uint8_t *behind = meta_write_head(room, &request, heads[_i].result, heads[_i].item);
    check_text(room, behind, heads[_i].reply);
}
END_TEST

START_TEST(heads_at_their_longest_fill_the_room_named)
{
    struct meta_request request;
    parse_line("mg Zm9v b k O" O31 " s t c l f h v\r\n", &request);
    ck_assert_uint_eq(request.opaque.len, META_OPAQUE_MAX);
    uint8_t key[KEY_LEN_MAX];
    memset(key, 0xff, sizeof key);
    request.key = (struct span){ key, sizeof key };
    const struct reply_item item = {
        .cas = UINT64_MAX,
        .ttl_s = INT64_MAX,
        .idle_s = UINT64_MAX,
        .client_flags = UINT32_MAX,
        .value_len = UINT32_MAX,
        .fetched = true,
        .key_binary = true,
        .won = true,
        .sent = true,
        .stale = true,
    };

    uint8_t *room = guard_room(META_HEAD_MAX);
    uint8_t *behind = meta_write_head(room, &request, META_VA, &item);
    /* A time left has one digit less than the room for any number. */
    ck_assert_ptr_eq(behind, room + META_HEAD_MAX - 1);

    room = guard_room(META_MISS_MAX);
    behind = meta_write_head(room, &request, META_EN, NULL);
    ck_assert_ptr_eq(behind, room + META_MISS_MAX);

    room = guard_room(META_ME_MAX);
    behind = meta_write_me(room, request.key, &item, UINT32_MAX, UINT64_MAX);
    ck_assert_ptr_eq(behind, room + META_ME_MAX - 1);
}
END_TEST

static const struct {
    const char *line;
    uint64_t number;
    const char *reply;
} numbers[] = {
    { "ma k v\r\n", 0, "VA 1\r\n0\r\n" },
    { "ma k v c k O1 t\r\n", 12345, "VA 5 c77 kk O1 t-1\r\n12345\r\n" },
    { "ma k v q\r\n", UINT64_MAX, "VA 20\r\n18446744073709551615\r\n" },
};

START_TEST(write_number_counts_its_digits)
{
    struct meta_request request;
    parse_line(numbers[_i].line, &request);
    uint8_t *room = guard_room(strlen(numbers[_i].reply));
    uint8_t *behind = meta_write_number(room, &request, numbers[_i].number, ITEM());
    check_text(room, behind, numbers[_i].reply);
}
END_TEST

static const struct {
    const char *key;
    const struct reply_item *item;
    const char *reply;
} infos[] = {
    { "k", ITEM(), "ME k exp=-1 la=5 cas=77 fetch=yes cls=1 size=64\r\n" },
    { "key", FULL(77, 100, 3, false, ), "ME key exp=100 la=5 cas=77 fetch=no cls=1 size=64\r\n" },
    { "foo", ITEM(.key_binary = true), "ME Zm9v exp=-1 la=5 cas=77 fetch=yes cls=1 size=64\r\n" },
};

START_TEST(write_me_names_all_there_is)
{
    struct span key = { (const uint8_t *)infos[_i].key, strlen(infos[_i].key) };
    uint8_t *room = guard_room(strlen(infos[_i].reply));
    check_text(room, meta_write_me(room, key, infos[_i].item, 1, 64), infos[_i].reply);
}
END_TEST

static Suite *
meta_write_suite(void)
{
    Suite *suite = suite_create("meta_write");
    TCase *tcase = tcase_create("meta_write");
    tcase_add_checked_fixture(tcase, NULL, guard_free_all);
    tcase_add_loop_test(tcase, write_head_gives_back_what_the_result_has, 0, COUNT(heads));
    tcase_add_test(tcase, heads_at_their_longest_fill_the_room_named);
    tcase_add_loop_test(tcase, write_number_counts_its_digits, 0, COUNT(numbers));
    tcase_add_loop_test(tcase, write_me_names_all_there_is, 0, COUNT(infos));
    suite_add_tcase(suite, tcase);
    return suite;
}

int
main(void)
{
    SRunner *runner = srunner_create(meta_write_suite());
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
