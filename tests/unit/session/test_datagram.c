/* Datagrams as a session's input, and replies cut into datagrams. */
#include "config.h"

#include "session/datagram.h"
#include "unit/session/harness.h"

static struct harness harness;
static struct session *session;
static uint8_t out[4u * 1024 * 1024]; /* payloads of the replies to one datagram, joined */
static size_t out_len;
static unsigned out_sets;      /* replies */
static unsigned out_datagrams; /* and their datagrams */

static void
set_up(void)
{
    harness_open(&harness);
    session_pause(harness.session);
    session = session_create_datagram(harness.worker);
    ck_assert_ptr_nonnull(session);
}

static void
tear_down(void)
{
    session_destroy(session);
    harness_close(&harness);
}

/** Joins the pieces of datagram `i`, checks its frame, and keeps its payload. */
static void
take_datagram(const struct datagram_cut *cut, unsigned i, const struct datagram_reply *reply)
{
    uint8_t bytes[UDP_DATAGRAM_MAX];
    size_t len = 0;
    for (unsigned j = cut->pieces_at[i]; j < cut->pieces_at[i + 1]; j++) {
        ck_assert_uint_le(len + cut->pieces[j].iov_len, sizeof(bytes));
        memcpy(bytes + len, cut->pieces[j].iov_base, cut->pieces[j].iov_len);
        len += cut->pieces[j].iov_len;
    }
    unsigned sequence = reply->sequence + i;
    uint8_t frame[UDP_FRAME_LEN];
    (void)udp_write_frame(frame, reply->request_id, (uint16_t)sequence, reply->total);
    ck_assert_mem_eq(bytes, frame, UDP_FRAME_LEN);
    ck_assert_uint_eq(len, UDP_FRAME_LEN + cut->payload_len[i]);
    ck_assert_uint_gt(len, UDP_FRAME_LEN);
    ck_assert(len == UDP_DATAGRAM_MAX || sequence + 1 == reply->total);
    memcpy(out + out_len, bytes + UDP_FRAME_LEN, len - UDP_FRAME_LEN);
    out_len += len - UDP_FRAME_LEN;
    out_datagrams++;
}

/** Answers one datagram; at most `max` datagrams of a reply leave at once. */
static bool
ask(const char *text, size_t len, unsigned max)
{
    static uint8_t bytes[DATAGRAM_REQUEST_MAX];
    struct datagram_reply reply;
    out_len = out_sets = out_datagrams = 0;
    ck_assert_uint_le(UDP_FRAME_LEN + len, sizeof(bytes));
    memcpy(bytes, "\x12\x34\0\0\0\1\0\0", UDP_FRAME_LEN);
    memcpy(bytes + UDP_FRAME_LEN, text, len);
    if (!datagram_receive(session, bytes, UDP_FRAME_LEN + len, &reply)) {
        return false;
    }
    ck_assert_uint_eq(reply.request_id, 0x1234);
    enum session_next next;
    do {
        next = session_run(session);
        if (next == SESSION_READ && session_in_command(session)) {
            session_tx_drop(session);
        }
        if (!session_tx_pending(session)) {
            continue;
        }
        ck_assert(datagram_begin(session, &reply));
        out_sets++;
        while (session_tx_pending(session)) {
            static struct datagram_cut cut;
            struct iovec list[SESSION_IOV_MAX];
            unsigned list_len = session_tx(session, list, SESSION_IOV_MAX);
            datagram_cut(&cut, &reply, list, list_len, max);
            ck_assert_uint_ge(cut.len, 1);
            ck_assert_uint_le(cut.len, max);
            for (unsigned i = 0; i < cut.len; i++) {
                take_datagram(&cut, i, &reply);
            }
            datagram_sent(session, &reply, &cut, cut.len);
        }
        ck_assert_uint_eq(reply.left, 0);
        ck_assert_uint_eq(reply.total, 0);
    } while (next == SESSION_AGAIN || next == SESSION_SEND);
    session_reset(session);
    return true;
}

static void
expect(const char *text, unsigned sets, const char *answer)
{
    ck_assert_msg(ask(text, strlen(text), DATAGRAM_CUTS_MAX), "refused: %s", text);
    ck_assert_uint_eq(out_len, strlen(answer));
    ck_assert_mem_eq(out, answer, out_len);
    ck_assert_uint_eq(out_sets, sets);
}

START_TEST(each_command_has_its_own_reply)
{
    expect("set a 0 0 1\r\nx\r\n", 1, "STORED\r\n");
    expect("get a\r\nget b\r\nmg a v\r\nmn\r\nbogus\r\n", 5,
           "VALUE a 0 1\r\nx\r\nEND\r\nEND\r\nVA 1\r\nx\r\nMN\r\nERROR\r\n");
    expect("get a b a\r\n", 1, "VALUE a 0 1\r\nx\r\nVALUE a 0 1\r\nx\r\nEND\r\n");
    expect("set a 0 0 1 noreply\r\ny\r\nmg nosuch v q\r\nget a\r\n", 1,
           "VALUE a 0 1\r\ny\r\nEND\r\n");
}
END_TEST

static const struct {
    const char *text;
    const char *answer; /* what is answered all the same: the whole commands before */
} incomplete[] = {
    { "get a", "" },
    { "version\r\nget a", "VERSION " SERVER_COMPAT_VERSION "\r\n" },
    { "set a 0 0 3\r\n", "" },
    { "set a 0 0 3\r\nab", "" },
    { "set a 0 0 3\r\nabc", "" },
    { "set a 0 0 3\r\nabc\r", "" },
    { "ms a 3\r\nabc", "" },
    { "ms a 30000\r\nabc", "" },
    { "set a 0 0 99999999\r\nabc", "" },
    { "set a b 0 3\r\nab", "" },
    { "quit\r\nversion\r\n", "" },
    { "watch\r\nversion\r\n", "" },
    { "lru_crawler metadump all\r\nversion\r\n", "" },
    { "lru_crawler mgdump all\r\nversion\r\n", "" },
    { "\x80\0\0", "" },
};

START_TEST(incomplete_commands_leave_nothing_behind)
{
    const char *answer = incomplete[_i].answer;
    expect(incomplete[_i].text, answer[0] != '\0', answer);
    expect("mg a v\r\n", 1, "EN\r\n");
    struct iovec list[1];
    ck_assert_uint_eq(session_tx(session, list, 1), 0);
}
END_TEST

START_TEST(the_protocol_is_chosen_for_each_datagram)
{
    static const char noops[48] = "\x80\x0a\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
                                  "\x80\x0a\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    ck_assert(ask(noops, sizeof(noops), DATAGRAM_CUTS_MAX));
    ck_assert_uint_eq(out_sets, 2);
    ck_assert_uint_eq(out_len, 48);
    ck_assert_uint_eq(out[0], 0x81);
    expect("mn\r\n", 1, "MN\r\n");
}
END_TEST

static const struct {
    const char *bytes;
    size_t len;
} refused[] = {
    { "", 0 },
    { "\0\1\0\0\0\1\0", 7 },
    { "\0\1\0\0\0\1\0\0", 8 },
    { "\0\1\0\0\0\2\0\0mn\r\n", 12 },
    { "\0\1\0\0\0\0\0\0mn\r\n", 12 },
    { "\0\1\0\0\0\1\0\0ERROR\r\n", 15 },
};

START_TEST(what_is_no_request_is_dropped_and_counted)
{
    struct worker_stats *stats = session_worker_stats(harness.worker);
    struct datagram_reply reply;
    ck_assert(
        !datagram_receive(session, (const uint8_t *)refused[_i].bytes, refused[_i].len, &reply));
    ck_assert_uint_eq(metric_get(&stats->udp_requests_dropped), 1);
    ck_assert_uint_eq(metric_get(&stats->bytes_read), refused[_i].len);
    expect("mn\r\n", 1, "MN\r\n");
    ck_assert_uint_eq(metric_get(&stats->bytes_read), refused[_i].len + UDP_FRAME_LEN + 4);
    ck_assert_uint_eq(metric_get(&stats->bytes_written), UDP_FRAME_LEN + 4);
    ck_assert_uint_eq(metric_get(&stats->conn_yields), 0);
}
END_TEST

/* Lengths around one and two datagrams, of values that are copied and of some that are sent from
 * where they lie. */
static const uint32_t value_lens[] = { 1,     1362,  1370,  1371,  1372,   2760,   2765,
                                       20000, 50000, 65000, 65499, 100000, 700000, 1048000 };

START_TEST(long_values_arrive_whole)
{
    static char value[1u << 20];
    static char line[64];
    uint32_t len = value_lens[_i];
    for (uint32_t i = 0; i < len; i++) {
        value[i] = (char)('a' + (i * 7 + i / 1392) % 26);
    }
    snprintf(line, sizeof(line), "set k 0 0 %u\r\n", len);
    (void)harness_feed_bytes(&harness, harness.session, line, strlen(line));
    (void)harness_feed_bytes(&harness, harness.session, value, len);
    (void)harness_feed_bytes(&harness, harness.session, "\r\n", 2);
    session_pause(harness.session);
    snprintf(line, sizeof(line), "VALUE k 0 %u\r\n", len);
    size_t head_len = strlen(line);
    for (unsigned max = 1; max <= DATAGRAM_CUTS_MAX; max += 5) {
        ck_assert(ask("get k\r\nmn\r\n", 11, max));
        ck_assert_uint_eq(out_sets, 2);
        ck_assert_uint_eq(out_len, head_len + len + 7 + 4);
        ck_assert_mem_eq(out, line, head_len);
        ck_assert_mem_eq(out + head_len, value, len);
        ck_assert_mem_eq(out + head_len + len, "\r\nEND\r\nMN\r\n", 11);
        ck_assert_uint_eq(out_datagrams, udp_count_datagrams(head_len + len + 7) + 1);
    }
}
END_TEST

/* The reply to the command that follows must not be joined to the rest of a long one. */
START_TEST(a_reply_that_outgrows_the_buffer_goes_on_in_another_set)
{
    static char line[16384];
    char value[1000];
    memset(value, 'v', sizeof(value));
    snprintf(line, sizeof(line), "set k 0 0 1000\r\n%.1000s\r\n", value);
    expect(line, 1, "STORED\r\n");
    size_t len = 3;
    memcpy(line, "get", 3);
    for (unsigned i = 0; i < 1000; i++) {
        memcpy(line + len, " k", 2);
        len += 2;
    }
    memcpy(line + len, "\r\nmn\r\n", 6);
    ck_assert(ask(line, len + 6, DATAGRAM_CUTS_MAX));
    size_t block = strlen("VALUE k 0 1000\r\n") + 1002;
    ck_assert_uint_eq(out_len, 1000 * block + 5 + 4);
    ck_assert_mem_eq(out + 1000 * block, "END\r\nMN\r\n", 9);
    ck_assert_uint_ge(out_sets, 3);
    ck_assert_uint_le(out_sets, 1 + 1 + 1000 * block / (SESSION_TX_SIZE - 8192));
}
END_TEST

START_TEST(a_dropped_reply_does_not_stop_the_commands_behind_it)
{
    struct datagram_reply reply;
    static const char text[] = "\0\1\0\0\0\1\0\0get a\r\nset b 0 0 1\r\ny\r\n";
    ck_assert(datagram_receive(session, (const uint8_t *)text, sizeof(text) - 1, &reply));
    while (session_run(session) == SESSION_AGAIN) {
        ck_assert(session_tx_pending(session));
        session_tx_drop(session);
        ck_assert(!session_tx_pending(session));
        ck_assert_uint_eq(session_tx_len(session), 0);
        session_pause(session); /* as between two turns */
    }
    session_reset(session);
    expect("get b\r\n", 1, "VALUE b 0 1\r\ny\r\nEND\r\n");
}
END_TEST

static Suite *
datagram_suite(void)
{
    Suite *suite = suite_create("datagram");
    TCase *tcase = tcase_create("datagram");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, each_command_has_its_own_reply);
    tcase_add_loop_test(tcase, incomplete_commands_leave_nothing_behind, 0,
                        sizeof(incomplete) / sizeof(incomplete[0]));
    tcase_add_test(tcase, the_protocol_is_chosen_for_each_datagram);
    tcase_add_loop_test(tcase, what_is_no_request_is_dropped_and_counted, 0,
                        sizeof(refused) / sizeof(refused[0]));
    tcase_add_loop_test(tcase, long_values_arrive_whole, 0,
                        sizeof(value_lens) / sizeof(value_lens[0]));
    tcase_add_test(tcase, a_reply_that_outgrows_the_buffer_goes_on_in_another_set);
    tcase_add_test(tcase, a_dropped_reply_does_not_stop_the_commands_behind_it);
    suite_add_tcase(suite, tcase);
    return suite;
}

int
main(void)
{
    SRunner *runner = srunner_create(datagram_suite());
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
