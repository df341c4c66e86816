/* The meta commands: conversations in a table, and what needs a worker in a state of its own: full
 * batches and send buffers, uploads, memory that runs out.  What goes over the wire in general is
 * tested by tests/wire/meta.t. */
#include "config.h"

#include "unit/session/harness.h"

#include "engine/cache.h"

#define STEPS_MAX 12
#define O31       "0123456789012345678901234567890"
#define BAD_LINE  "CLIENT_ERROR bad command line format\r\n"
#define BAD_TOKEN "CLIENT_ERROR bad token in command line format\r\n"
#define NO_NUMBER "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n"

/** What is asked and answered, in order, on a new cache; `tick` seconds go by before a step. */
static const struct {
    const char *name;
    struct {
        const char *ask;
        const char *answer;
        int tick;
    } steps[STEPS_MAX];
} talks[] = {
    { "mg: existence, size, value",
      { { "mg a\r\n", "EN\r\n", 0 },
        { "ms a 2\r\nxy\r\n", "HD\r\n", 0 },
        { "mg a\r\nmg a v\r\nmg a s v\r\n", "HD\r\nVA 2\r\nxy\r\nVA 2 s2\r\nxy\r\n", 0 } } },
    { "mg: return flags stand as asked, W Z X behind them",
      { { "ms a 2 F7 T60\r\nxy\r\n", "HD\r\n", 0 },
        { "mg a t s O12 k f v\r\n", "VA 2 t60 s2 O12 ka f7\r\nxy\r\n", 0 },
        { "mg a f k O12 s t\r\n", "HD f7 ka O12 s2 t60\r\n", 0 },
        { "mg a c t\r\n", "HD c2 t60\r\n", 0 },
        { "md a I\r\nmg a s t\r\nmg a t s\r\n", "HD\r\nHD s2 t60 X W\r\nHD t60 s2 Z X\r\n", 0 } } },
    { "mg: what stood before this read",
      { { "ms a 1\r\nx\r\n", "HD\r\n", 0 },
        { "mg a h l t u\r\n", "HD h0 l0 t-1\r\n", 0 },
        { "mg a h l\r\n", "HD h0 l5\r\n", 5 },
        { "mg a h l\r\n", "HD h1 l2\r\n", 2 } } },
    { "mg: quiet hides a miss and its flags, no hit",
      { { "mg a q\r\nmg a q v k O1\r\nmn\r\n", "MN\r\n", 0 },
        { "mg a O1 k\r\nmn\r\n", "EN O1 ka\r\nMN\r\n", 0 },
        { "ms a 1 q\r\nx\r\nmg a q v\r\nmn\r\n", "VA 1\r\nx\r\nMN\r\n", 0 } } },
    { "mg: a touch before and behind t",
      { { "ms a 1 T100\r\nx\r\n", "HD\r\n", 0 },
        { "mg a t T50\r\nmg a T70 t\r\nmg a t\r\n", "HD t100\r\nHD t70\r\nHD t70\r\n", 0 },
        { "mg a t T0\r\nmg a t\r\n", "HD t60\r\nHD t-1\r\n", 10 },
        { "mg a T-1 v\r\nmg a\r\n", "VA 1\r\nx\r\nEN\r\n", 0 },
        { "mg a T5\r\nmg a T5 q\r\nmn\r\n", "EN\r\nMN\r\n", 0 } } },
    { "mg: N creates once, its first reader wins",
      { { "mg a N30 t v c\r\n", "VA 0 t30 c2 W\r\n\r\n", 0 },
        { "mg a N30 t\r\nmg a\r\n", "HD t30 Z\r\nHD Z\r\n", 0 },
        { "ms a 1\r\nx\r\nmg a N30 t\r\n", "HD\r\nHD t-1\r\n", 0 },
        { "mg b N30 q v\r\nmg b N30 q v k\r\n", "VA 0 W\r\n\r\nVA 0 kb Z\r\n\r\n", 0 } } },
    { "mg: N and T count in the order in which they stand",
      { { "mg a N30 T60 t\r\nmg a t\r\n", "HD t60 W\r\nHD t60 Z\r\n", 0 },
        { "mg b T60 N30 t\r\nmg b t\r\n", "HD t30 W\r\nHD t30 Z\r\n", 0 },
        { "mg c t N30\r\nmg c t\r\n", "HD t-1 W\r\nHD t30 Z\r\n", 0 },
        { "mg d t N30 T60\r\nmg d t\r\n", "HD t-1 W\r\nHD t60 Z\r\n", 0 },
        { "mg e N30 t T60\r\nmg e t\r\n", "HD t30 W\r\nHD t60 Z\r\n", 0 } } },
    { "mg: an id of the client's own for what N makes",
      { { "mg a N30 E99 c\r\nmg a c\r\n", "HD c99 W\r\nHD c99 Z\r\n", 0 } } },
    { "mg: R is won once, until the item is stored again",
      { { "ms a 1 T100\r\nx\r\n", "HD\r\n", 0 },
        { "mg a R50\r\nmg a R100\r\n", "HD\r\nHD\r\n", 0 },
        { "mg a R100 t\r\nmg a R100 t\r\nmg a\r\n", "HD t99 W\r\nHD t99 Z\r\nHD Z\r\n", 1 },
        { "ms a 1\r\ny\r\nmg a R100\r\n", "HD\r\nHD\r\n", 0 },
        { "ms a 1 T9\r\ny\r\nmg a T90 R50\r\nmg a R50 T9\r\nmg a R50\r\n",
          "HD\r\nHD\r\nHD\r\nHD W\r\n", 0 } } },
    { "stale, won, stored late, stored again",
      { { "ms a 1 T100\r\nx\r\n", "HD\r\n", 0 },
        { "md a I T30 k O1\r\n", "HD ka O1\r\n", 0 },
        { "mg a v t c\r\nmg a v t\r\n", "VA 1 t30 c3 X W\r\nx\r\nVA 1 t30 Z X\r\nx\r\n", 0 },
        { "ms a 1 C2 I T500\r\ny\r\n", "HD\r\n", 0 },
        { "mg a v t\r\n", "VA 1 t30 Z X\r\ny\r\n", 0 },
        { "ms a 1 C99 I\r\nz\r\n", "EX\r\n", 0 },
        { "ms a 1 C4 I\r\nz\r\nmg a v t\r\n", "HD\r\nVA 1 t-1\r\nz\r\n", 0 } } },
    { "a second invalidation gives the item to the next winner",
      { { "ms a 1\r\nx\r\nmd a I\r\nmg a\r\nmg a\r\n", "HD\r\nHD\r\nHD X W\r\nHD Z X\r\n", 0 },
        { "md a I\r\nmg a\r\nmg a\r\n", "HD\r\nHD X W\r\nHD Z X\r\n", 0 } } },
    { "tombstones",
      { { "ms a 3 F5 T90\r\nxyz\r\n", "HD\r\n", 0 },
        { "md a x\r\nmg a v s f t c\r\n", "HD\r\nVA 0 s0 f0 t-1 c2\r\n\r\n", 0 },
        { "md a x T30 E77\r\nmg a t c\r\n", "HD\r\nHD t30 c77\r\n", 0 },
        { "md a x I\r\nmg a v\r\nmg a v\r\n", "HD\r\nVA 0 X W\r\n\r\nVA 0 Z X\r\n\r\n", 0 },
        { "md a x\r\nmg a\r\n", "HD\r\nHD Z X\r\n", 0 } } },
    { "md: ids and quiet",
      { { "md a\r\nmd a q\r\nmd a I\r\nmd a x\r\n", "NF\r\nNF\r\nNF\r\nNF\r\n", 0 },
        { "ms a 1\r\nx\r\nmd a C9\r\nmd a C9 q I\r\nmd a C9 x O4\r\nmd a C0\r\n",
          "HD\r\nEX\r\nEX\r\nEX O4\r\nEX\r\n", 0 },
        { "md a q C2\r\nmn\r\n", "MN\r\n", 0 } } },
    { "ms: what is told of a stored item",
      { { "ms a 2 c k O9 s F3 T60\r\nxy\r\n", "HD c2 ka O9 s2\r\n", 0 },
        { "ms a 1 MA s\r\nz\r\n", "HD s3\r\n", 0 },
        { "ms a 1 ME c s\r\nz\r\n", "NS c0 s1\r\n", 0 },
        { "ms a 1 C99 c k\r\nz\r\n", "EX c0 ka\r\n", 0 },
        { "ms b 1 C99 k c\r\nz\r\n", "NF kb c0\r\n", 0 } } },
    { "ms: modes and ids",
      { { "ms a 1 MR\r\nx\r\nms a 1 MA\r\nx\r\nms a 1 MP\r\nx\r\n", "NS\r\nNS\r\nNS\r\n", 0 },
        { "ms a 1 ME\r\nm\r\nms a 1 MA\r\nr\r\nms a 1 MP\r\nl\r\nmg a v c\r\n",
          "HD\r\nHD\r\nHD\r\nVA 3 c4\r\nlmr\r\n", 0 },
        { "ms a 1 MA C3\r\nx\r\nms a 1 MP C4\r\n0\r\nmg a v\r\n", "EX\r\nHD\r\nVA 4\r\n0lmr\r\n",
          0 },
        { "ms a 1 MR C9\r\nx\r\nms a 1 MR C5\r\ny\r\nms a 1 ME C6\r\nz\r\nmg a v\r\n",
          "EX\r\nHD\r\nNS\r\nVA 1\r\ny\r\n", 0 },
        { "ms a 1 C0\r\nx\r\nms b 1 C0\r\nx\r\n", "EX\r\nNF\r\n", 0 },
        { "ms a 1 MS E50 c\r\nx\r\nms a 1 MA E60 c\r\nx\r\nmg a c\r\n",
          "HD c50\r\nHD c60\r\nHD c60\r\n", 0 } } },
    { "ms: quiet hides HD alone",
      { { "ms a 1 q\r\nx\r\nms a 1 q ME O1\r\nx\r\nms a 1 q C9\r\nx\r\nms b 1 q C9\r\nx\r\nmn\r\n",
          "NS O1\r\nEX\r\nNF\r\nMN\r\n", 0 } } },
    { "ms: append and prepend that create",
      { { "ms a 1 MA N60 F4\r\nx\r\nmg a v t f\r\n", "HD\r\nVA 1 t60 f4\r\nx\r\n", 0 },
        { "ms a 1 MP N5 T9\r\ny\r\nmg a v t\r\n", "HD\r\nVA 2 t60\r\nyx\r\n", 0 } } },
    { "ma: numbers",
      { { "ma n\r\nma n q\r\n", "NF\r\nNF\r\n", 0 },
        { "ma n N0 J7 v\r\nma n v\r\nma n D5 v\r\n", "VA 1\r\n7\r\nVA 1\r\n8\r\nVA 2\r\n13\r\n",
          0 },
        { "ma n MD v\r\nma n M- D99 v\r\nma n M+ v\r\nma n MI v\r\n",
          "VA 2\r\n12\r\nVA 1\r\n0\r\nVA 1\r\n1\r\nVA 1\r\n2\r\n", 0 },
        { "ma n q\r\nma n q v\r\nma m N0 J3 q v\r\nma n\r\nma n v k O2 c\r\n",
          "HD\r\nVA 1 kn O2 c13\r\n6\r\n", 0 },
        { "ma n C99\r\nma n C13 v\r\nma n E500 c\r\nma n C500 E600 v c\r\n",
          "EX\r\nVA 1\r\n7\r\nHD c500\r\nVA 1 c600\r\n9\r\n", 0 },
        { "ms x 1\r\nx\r\nma x\r\nma x q v\r\n", "HD\r\n" NO_NUMBER NO_NUMBER, 0 } } },
    { "ma: times",
      { { "ma n N60 t\r\nma n t\r\n", "HD t60\r\nHD t60\r\n", 0 },
        { "ma n T90 t\r\nma n t T30\r\nma n t v\r\n", "HD t90\r\nHD t90\r\nVA 1 t30\r\n4\r\n", 0 },
        { "ma n T0 q\r\nma n t\r\n", "HD t-1\r\n", 0 },
        { "ma n T-1 v\r\nma n\r\n", "VA 1\r\n7\r\nNF\r\n", 0 },
        { "ma m N30 T60 t\r\nma m t\r\n", "HD t60\r\nHD t60\r\n", 0 } } },
    { "ma: an id for what it creates",
      { { "ma n N0 E9 c v\r\nma n C9 c E10\r\n", "VA 1 c9\r\n0\r\nHD c10\r\n", 0 } } },
    { "keys in base64",
      { { "ms AAEK 1 b\r\nx\r\n", "HD\r\n", 0 },
        { "mg AAEK b k v\r\nmg AAEK b k\r\nmg AAEK k\r\n",
          "VA 1 kAAEK b\r\nx\r\nHD kAAEK b\r\nEN kAAEK\r\n", 0 },
        { "ma AQ== b N0 k v\r\nma AQ== k b\r\n", "VA 1 kAQ== b\r\n0\r\nHD kAQ== b\r\n", 0 },
        { "mg Ag== b N0 k\r\nmd Ag== b k\r\nmd Ag== k b q\r\n",
          "HD kAg== b W\r\nHD kAg== b\r\nNF kAg== b\r\n", 0 },
        { "ms YWJj 1 b\r\nx\r\nmg abc k v\r\n", "HD\r\nVA 1 kYWJj b\r\nx\r\n", 0 },
        { "mg a* b\r\nms a* 1 b\r\nx\r\nmn\r\n",
          "CLIENT_ERROR error decoding key\r\nCLIENT_ERROR error decoding key\r\nMN\r\n", 0 } } },
    { "opaques",
      { { "mg a O" O31 "\r\nms a 1 q O" O31 "\r\nx\r\nmg a O" O31 " q\r\n",
          "EN O" O31 "\r\nHD O" O31 "\r\n", 0 },
        { "mg a O" O31 "x\r\nms a 1 O" O31 "x\r\ny\r\nmn\r\n",
          "CLIENT_ERROR opaque token too long\r\nCLIENT_ERROR opaque token too long\r\nMN\r\n",
          0 } } },
    { "C of mg leaves out the value that is known",
      { { "ms a 1\r\nx\r\nmg a v C2\r\nmg a v C3 c\r\nmg a C2\r\n",
          "HD\r\nHD\r\nVA 1 c2\r\nx\r\nHD\r\n", 0 } } },
    { "P and L are taken and ignored",
      { { "mg a P1 Lx\r\nms a 1 P L\r\nx\r\nma a P5 L\r\nmd a Lz P\r\n",
          "EN\r\nHD\r\n" NO_NUMBER "HD\r\n", 0 } } },
    { "errors do not take what follows with them",
      { { "ms a 3 M0\r\nmn\r\r\nmn\r\n", "CLIENT_ERROR invalid mode for ms M token\r\nMN\r\n", 0 },
        { "ms a 3 T\r\nmn\r\r\nms a 3 v v\r\nmn\r\r\nmn\r\n",
          BAD_TOKEN "CLIENT_ERROR duplicate flag\r\nMN\r\n", 0 },
        { "ms a x\r\nms a\r\nmg\r\nma\r\nmd\r\nmn\r\n",
          BAD_LINE BAD_LINE BAD_LINE BAD_LINE BAD_LINE "MN\r\n", 0 },
        { "ms a 2\r\nxyz\r\nmn\r\n", "CLIENT_ERROR bad data chunk\r\n" BAD_LINE "MN\r\n", 0 },
        { "ms a 2 q\r\nxy\nz\r\nmn\r\n", "CLIENT_ERROR bad data chunk\r\n" BAD_LINE "MN\r\n", 0 },
        { "mg a q z\r\nmg a q Tx\r\nma a Mx\r\nmd a q z\r\nmn\r\n",
          "CLIENT_ERROR invalid flag\r\n" BAD_TOKEN "CLIENT_ERROR invalid mode for ma M token\r\n"
          "CLIENT_ERROR invalid flag\r\nMN\r\n",
          0 } } },
    { "me of nothing", { { "me a\r\n", "EN\r\n", 0 } } },
};

START_TEST(meta_answers_as_the_table_says)
{
    struct harness h;
    harness_open(&h);
    int64_t now = HARNESS_NOW;
    for (unsigned i = 0; i < STEPS_MAX && talks[_i].steps[i].ask != NULL; i++) {
        now += talks[_i].steps[i].tick;
        cache_set_now(h.cache, now);
        const char *answer = harness_ask(&h, talks[_i].steps[i].ask);
        ck_assert_msg(strcmp(answer, talks[_i].steps[i].answer) == 0,
                      "%s, step %u:\n  asked    %s  expected %s  answered %s", talks[_i].name, i,
                      talks[_i].steps[i].ask, talks[_i].steps[i].answer, answer);
    }
    harness_close(&h);
}
END_TEST

/** Each talk once more, a byte at a time, with the buffers given back after each. */
START_TEST(meta_answers_the_same_byte_by_byte)
{
    struct harness h;
    harness_open(&h);
    int64_t now = HARNESS_NOW;
    for (unsigned i = 0; i < STEPS_MAX && talks[_i].steps[i].ask != NULL; i++) {
        now += talks[_i].steps[i].tick;
        cache_set_now(h.cache, now);
        h.out_len = 0;
        for (const char *at = talks[_i].steps[i].ask; *at != '\0'; at++) {
            ck_assert_int_eq(harness_feed_bytes(&h, h.session, at, 1), SESSION_READ);
            session_pause(h.session);
        }
        ck_assert_msg(h.out_len == strlen(talks[_i].steps[i].answer) &&
                          memcmp(h.out, talks[_i].steps[i].answer, h.out_len) == 0,
                      "%s, step %u: %.*s", talks[_i].name, i, (int)h.out_len, h.out);
    }
    harness_close(&h);
}
END_TEST

/** me tells idle time, id and size, and is no use of the item. */
START_TEST(meta_me_tells_and_leaves_no_trace)
{
    struct harness h;
    harness_open(&h);
    ck_assert_str_eq(harness_ask(&h, "ms a 5 T60\r\nvalue\r\n"), "HD\r\n");
    cache_set_now(h.cache, HARNESS_NOW + 7);
    const char *answer = harness_ask(&h, "me a\r\n");
    ck_assert_msg(strncmp(answer, "ME a exp=53 la=7 cas=2 fetch=no cls=", 36) == 0, "%s", answer);
    ck_assert_str_eq(harness_ask(&h, "mg a h l\r\n"), "HD h0 l7\r\n");
    ck_assert_ptr_nonnull(strstr(harness_ask(&h, "me a\r\n"), " fetch=yes "));
    harness_set(&h, h.session, "long", 100000, 'x'); /* pinned while it is looked at */
    ck_assert_int_eq(strncmp(harness_ask(&h, "me long\r\n"), "ME long exp=-1 ", 15), 0);
    harness_close(&h);
}
END_TEST

/** One read more than a batch takes, two batches, and one line between that is no read. */
START_TEST(meta_reads_are_answered_in_order_whatever_their_number)
{
    static const unsigned counts[] = { 1, CACHE_BATCH_MAX - 1, CACHE_BATCH_MAX, CACHE_BATCH_MAX + 1,
                                       2 * CACHE_BATCH_MAX + 1 };
    struct harness h;
    harness_open(&h);
    ck_assert_str_eq(harness_ask(&h, "ms k1 1\r\nx\r\n"), "HD\r\n");
    char *ask = malloc(100000);
    char *answer = malloc(100000);
    for (unsigned i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        size_t asked = 0;
        size_t answered = 0;
        for (unsigned j = 0; j < counts[i]; j++) {
            asked += (size_t)sprintf(ask + asked, "mg k%u v O%u%s\r\n", j % 3, j,
                                     j % 3 == 2 ? " q" : "");
            if (j % 3 != 2) {
                answered += (size_t)sprintf(answer + answered,
                                            j % 3 == 1 ? "VA 1 O%u\r\nx\r\n" : "EN O%u\r\n", j);
            }
        }
        strcpy(ask + asked, "mn\r\nmg k1 T0\r\nmg k1\r\n");
        strcpy(answer + answered, "MN\r\nHD\r\nHD\r\n");
        ck_assert_str_eq(harness_ask(&h, ask), answer);
    }
    struct worker_stats *stats = session_worker_stats(h.worker);
    unsigned gets = 0;
    for (unsigned i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        gets += counts[i] + 1;
    }
    ck_assert_uint_eq(metric_get(&stats->cmd_get), gets);
    ck_assert_uint_eq(metric_get(&stats->cmd_touch), 5);
    free(ask);
    free(answer);
    harness_close(&h);
}
END_TEST

/** Replies fill the send buffer several times over: each read is answered once, and counted once.
 */
START_TEST(meta_reads_wait_for_room)
{
    enum { READS = 200, LEN = 12000 };
    struct harness h;
    harness_open(&h);
    harness_set(&h, h.session, "a", LEN, 'x');
    char *ask = malloc(READS * 20);
    size_t asked = 0;
    for (unsigned i = 0; i < READS; i++) {
        asked += (size_t)sprintf(ask + asked, i % 10 == 9 ? "mg a v T0\r\n" : "mg a v\r\n");
    }
    size_t fed = 0;
    size_t taken = 0;
    enum session_next next = SESSION_READ;
    while (fed < asked || next != SESSION_READ) {
        if (next == SESSION_READ) {
            fed += harness_receive(h.session, ask + fed, asked - fed);
        }
        next = session_run(h.session);
        taken += harness_take(&h, h.session, 9001);
        h.out_len = 0;
    }
    taken += harness_take(&h, h.session, SIZE_MAX);
    ck_assert_uint_eq(taken, READS * (LEN + strlen("VA 12000\r\n\r\n")));
    struct worker_stats *stats = session_worker_stats(h.worker);
    ck_assert_uint_eq(metric_get(&stats->cmd_get), READS / 10 * 9);
    ck_assert_uint_eq(metric_get(&stats->cmd_touch), READS / 10);
    free(ask);
    harness_close(&h);
}
END_TEST

/** The line has gone when the value is whole: key, opaque and flags are still told. */
START_TEST(meta_store_in_pieces_keeps_its_line)
{
    static const size_t lens[] = { 0, 1, 4095, 16384, 65536, 300000 };
    struct harness h;
    harness_open(&h);
    char *value = malloc(400000);
    for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        char head[100];
        char answer[100];
        int n = snprintf(head, sizeof(head), "ms YWJj %zu b k O12345 s F9 T60\r\n", lens[i]);
        memset(value, 'v', lens[i]);
        memcpy(value + lens[i], "\r\n", 2);
        h.out_len = 0;
        ck_assert_int_eq(harness_feed_bytes(&h, h.session, head, (size_t)n), SESSION_READ);
        session_pause(h.session);
        for (size_t at = 0; at < lens[i] + 2; at += 7001) {
            size_t left = lens[i] + 2 - at;
            ck_assert_int_eq(
                harness_feed_bytes(&h, h.session, value + at, left < 7001 ? left : 7001),
                SESSION_READ);
            session_pause(h.session);
        }
        snprintf(answer, sizeof(answer), "HD kYWJj b O12345 s%zu\r\n", lens[i]);
        ck_assert_uint_eq(h.out_len, strlen(answer));
        ck_assert_int_eq(memcmp(h.out, answer, h.out_len), 0);
        snprintf(answer, sizeof(answer), "HD s%zu f9 t60\r\n", lens[i]);
        ck_assert_str_eq(harness_ask(&h, "mg abc s f t\r\n"), answer);
    }
    free(value);
    harness_close(&h);
}
END_TEST

/** A value longer than an item may be: only a set takes the old item with it. */
START_TEST(meta_store_that_is_too_large_is_swallowed)
{
    struct harness h;
    harness_open(&h);
    size_t len = 1100000;
    char *ask = malloc(len + 100);
    static const struct {
        const char *flags;
        const char *answer;
    } rows[] = { { " ME", "HD\r\n" }, { " MR q", "HD\r\n" }, { " MA", "HD\r\n" },
                 { " C2", "HD\r\n" }, { "", "EN\r\n" },      { " q", "EN\r\n" } };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ck_assert_str_eq(harness_ask(&h, "ms a 1\r\nx\r\n"), "HD\r\n");
        int n = sprintf(ask, "ms a %zu%s\r\n", len, rows[i].flags);
        memset(ask + n, 'm', len);
        strcpy(ask + (size_t)n + len, "\r\n");
        ck_assert_str_eq(harness_ask(&h, ask), "SERVER_ERROR object too large for cache\r\n");
        ck_assert_str_eq(harness_ask(&h, "mg a\r\n"), rows[i].answer);
    }
    free(ask);
    harness_close(&h);
}
END_TEST

/** -M: nothing is evicted, and each command says that there is no room, once. */
START_TEST(meta_says_that_memory_has_run_out)
{
    struct harness h;
    harness_open_small(&h);
    ck_assert_str_eq(harness_ask(&h, "ms n 1\r\n9\r\nms old 1\r\nx\r\n"), "HD\r\nHD\r\n");
    harness_fill(&h);
    ck_assert_str_eq(harness_ask(&h, "mg new-one N0 v\r\nmn\r\n"),
                     "SERVER_ERROR out of memory storing object\r\nMN\r\n");
    ck_assert_str_eq(harness_ask(&h, "ma new-one N0 q\r\nma n D1000000000000000000\r\nmn\r\n"),
                     "SERVER_ERROR out of memory\r\nSERVER_ERROR out of memory\r\nMN\r\n");
    ck_assert_str_eq(harness_ask(&h, "md old x\r\nmg old v\r\n"),
                     "SERVER_ERROR out of memory\r\nVA 1\r\nx\r\n");
    ck_assert_str_eq(harness_ask(&h, "ms old 1 ME\r\ny\r\nmg old v\r\n"),
                     "SERVER_ERROR out of memory storing object\r\nVA 1\r\nx\r\n");
    /* Over the old value there is room; what needs another place takes the old value with it. */
    ck_assert_str_eq(harness_ask(&h, "ms old 1\r\ny\r\nmg old v\r\n"), "HD\r\nVA 1\r\ny\r\n");
    ck_assert_str_eq(harness_ask(&h, "ms old 40\r\n0123456789012345678901234567890123456789\r\n"
                                     "mg old v\r\n"),
                     "SERVER_ERROR out of memory storing object\r\nEN\r\n");
    harness_close(&h);
}
END_TEST

/** An upload begins while there is room, and others fill it meanwhile. */
START_TEST(meta_store_half_received_is_given_back)
{
    struct harness h;
    harness_open(&h);
    ck_assert_int_eq(harness_feed(&h, "ms a 500000 O1\r\nxyz"), SESSION_READ);
    session_pause(h.session);
    ck_assert_uint_eq(h.out_len, 0);
    harness_close(&h); /* cache_check() misses nothing */
}
END_TEST

START_TEST(meta_without_ids_tells_0_and_compares_with_none)
{
    struct harness h;
    memset(&h, 0, sizeof(h));
    settings_init(&h.settings);
    h.settings.cas_disabled = true;
    harness_start(&h);
    ck_assert_str_eq(harness_ask(&h, "ms a 1 c\r\nx\r\nmg a c v C0\r\nms a 1 C0\r\nx\r\n"),
                     "HD c0\r\nVA 1 c0\r\nx\r\nEX\r\n");
    ck_assert_str_eq(harness_ask(&h, "md a C5\r\nmd a C0 I\r\nmg a\r\nmd a C0\r\nmg a\r\n"),
                     "EX\r\nHD\r\nHD X W\r\nHD\r\nEN\r\n");
    ck_assert_str_eq(harness_ask(&h, "ma n N0 c E5\r\nma n c E6\r\nma n C6\r\n"),
                     "HD c0\r\nHD c0\r\nEX\r\n");
    harness_close(&h);
}
END_TEST

/** T counts as a touch, everything that reads for itself as nothing. */
START_TEST(meta_counts_what_the_client_asked_for)
{
    struct harness h;
    harness_open(&h);
    (void)harness_ask(&h, "ms n 1\r\n1\r\nms a 1 MA\r\nx\r\nmg n\r\nmg a\r\nmg n T9\r\nmg a T9\r\n"
                          "ma n t\r\nme n\r\nmg b N0\r\nmd b\r\nmd b\r\nma a N0\r\n");
    struct worker_stats *stats = session_worker_stats(h.worker);
    ck_assert_uint_eq(metric_get(&stats->cmd_set), 2);
    ck_assert_uint_eq(metric_get(&stats->cmd_get), 3);
    ck_assert_uint_eq(metric_get(&stats->cmd_touch), 2);
    ck_assert_uint_eq(metric_get(&stats->cmd_meta), 1);
    const char *text = harness_ask(&h, "stats\r\n");
    static const char *const lines[] = { "\nSTAT get_hits 1\r\n",    "\nSTAT get_misses 2\r\n",
                                         "\nSTAT touch_hits 1\r\n",  "\nSTAT touch_misses 1\r\n",
                                         "\nSTAT delete_hits 1\r\n", "\nSTAT delete_misses 1\r\n",
                                         "\nSTAT incr_hits 1\r\n",   "\nSTAT incr_misses 1\r\n" };
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        ck_assert_msg(strstr(text, lines[i]) != NULL, "no%s in %s", lines[i], text);
    }
    harness_close(&h);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("run_meta");
    TCase *tcase = tcase_create("run_meta");
    int count = (int)(sizeof(talks) / sizeof(talks[0]));
    tcase_add_loop_test(tcase, meta_answers_as_the_table_says, 0, count);
    tcase_add_loop_test(tcase, meta_answers_the_same_byte_by_byte, 0, count);
    tcase_add_test(tcase, meta_me_tells_and_leaves_no_trace);
    tcase_add_test(tcase, meta_reads_are_answered_in_order_whatever_their_number);
    tcase_add_test(tcase, meta_reads_wait_for_room);
    tcase_add_test(tcase, meta_store_in_pieces_keeps_its_line);
    tcase_add_test(tcase, meta_store_that_is_too_large_is_swallowed);
    tcase_add_test(tcase, meta_says_that_memory_has_run_out);
    tcase_add_test(tcase, meta_store_half_received_is_given_back);
    tcase_add_test(tcase, meta_without_ids_tells_0_and_compares_with_none);
    tcase_add_test(tcase, meta_counts_what_the_client_asked_for);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
