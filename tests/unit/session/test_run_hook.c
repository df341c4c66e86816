/* hook: what a session asks of a follower; the follower is one of ours. */
#include "unit/session/harness.h"

#include "admin/follower.h"

#include <pthread.h>

#define WAITS_MAX 64u
#define BEGUN_MAX 4u /* sessions that the host lets wait, as net/ has a bound */
#define USAGE     "CLIENT_ERROR usage: hook status|pause|resume|wait <gtid> <ms>\r\n"
#define TOO_MANY  "SERVER_ERROR too many wait\r\n"

/** What a session waits for. */
struct asked {
    char name[256];
    uint32_t timeout_ms;
    follower_tell_fn *tell; /* NULL: told or cancelled */
    void *tell_arg;
};

struct rig {
    struct harness harness;
    struct follower follower;
    const char *state;
    unsigned paused;
    unsigned resumed;
    enum follower_wait answer;
    struct asked waits[WAITS_MAX]; /* by ticket, less one */
    unsigned waits_len;
    unsigned cancelled;
    unsigned begun;
    _Atomic unsigned wakes;
};

static const char *
follower_state(void *arg)
{
    return ((struct rig *)arg)->state;
}

static void
follower_pause(void *arg)
{
    ((struct rig *)arg)->paused++;
}

static void
follower_resume(void *arg)
{
    ((struct rig *)arg)->resumed++;
}

static void
follower_stats(void *arg, void (*emit)(void *, const char *, const char *), void *emit_arg)
{
    emit(emit_arg, "hook_state", ((struct rig *)arg)->state);
}

static enum follower_wait
follower_wait(void *arg, const char *name, size_t name_len, uint32_t timeout_ms,
              follower_tell_fn *tell, void *tell_arg, uint64_t *ticket)
{
    struct rig *rig = arg;
    ck_assert_uint_lt(rig->waits_len, WAITS_MAX);
    ck_assert_uint_lt(name_len, sizeof(rig->waits[0].name));
    struct asked *asked = &rig->waits[rig->waits_len++];
    *asked = (struct asked){ .timeout_ms = timeout_ms };
    memcpy(asked->name, name, name_len);
    if (rig->answer == FOLLOWER_WAITING) {
        asked->tell = tell;
        asked->tell_arg = tell_arg;
        *ticket = rig->waits_len;
    }
    return rig->answer;
}

static void
follower_wait_cancel(void *arg, uint64_t ticket)
{
    struct rig *rig = arg;
    ck_assert(ticket >= 1 && ticket <= rig->waits_len);
    rig->waits[ticket - 1].tell = NULL;
    rig->cancelled++;
}

static bool
hook_wait_begun(void *arg)
{
    struct rig *rig = arg;
    if (rig->begun == BEGUN_MAX) {
        return false;
    }
    rig->begun++;
    return true;
}

static void
hook_wait_wake(void *arg)
{
    struct rig *rig = arg;
    atomic_fetch_add_explicit(&rig->wakes, 1, memory_order_relaxed); /* relaxed: a count */
}

static void
rig_open(struct rig *rig)
{
    memset(rig, 0, sizeof(*rig));
    settings_init(&rig->harness.settings);
    rig->state = "streaming";
    rig->answer = FOLLOWER_WAITING;
    rig->follower = (struct follower){
        .arg = rig,
        .state = follower_state,
        .pause = follower_pause,
        .resume = follower_resume,
        .stats = follower_stats,
        .wait = follower_wait,
        .wait_cancel = follower_wait_cancel,
    };
    rig->harness.stats.follower = &rig->follower;
    rig->harness.host = (struct session_host){ .arg = rig,
                                               .hook_wait_begun = hook_wait_begun,
                                               .hook_wait_wake = hook_wait_wake };
    harness_start(&rig->harness);
}

static void
rig_close(struct rig *rig)
{
    harness_close(&rig->harness);
    for (unsigned i = 0; i < rig->waits_len; i++) {
        ck_assert_ptr_null(rig->waits[i].tell); /* nobody is told who has gone */
    }
}

/** The follower has come to it, or the time is over. */
static void
tell(struct rig *rig, unsigned wait, bool reached)
{
    struct asked *asked = &rig->waits[wait];
    ck_assert_ptr_nonnull(asked->tell);
    asked->tell(asked->tell_arg, reached);
}

START_TEST(hook_asks_the_follower)
{
    struct rig rig;
    rig_open(&rig);
    ck_assert_str_eq(harness_ask(&rig.harness, "hook status\r\n"), "HOOK streaming\r\n");
    rig.state = "paused";
    ck_assert_str_eq(harness_ask(&rig.harness, "hook pause\r\nhook status\r\nhook resume\r\n"),
                     "OK\r\nHOOK paused\r\nOK\r\n");
    ck_assert_uint_eq(rig.paused, 1);
    ck_assert_uint_eq(rig.resumed, 1);
    ck_assert_str_eq(harness_ask(&rig.harness, "stats hook\r\n"),
                     "STAT hook_state paused\r\nEND\r\n");
    rig_close(&rig);
}
END_TEST

static const char *const unusable[] = {
    "hook\r\n",
    "hook stat\r\n",
    "hook status now\r\n",
    "hook pause now\r\n",
    "hook wait\r\n",
    "hook wait 0-1-1\r\n",
    "hook wait 0-1-1 -1\r\n",
    "hook wait 0-1-1 x\r\n",
    "hook wait 0-1-1 3600001\r\n", /* an hour and a ms */
    "hook wait 0-1-1 99999999999999999999\r\n",
    "hook wait 0-1-1 5 5\r\n",
};

START_TEST(hook_tells_how_it_is_used)
{
    struct rig rig;
    rig_open(&rig);
    for (unsigned i = 0; i < sizeof(unusable) / sizeof(unusable[0]); i++) {
        ck_assert_str_eq(harness_ask(&rig.harness, unusable[i]), USAGE);
    }
    ck_assert_uint_eq(rig.waits_len + rig.paused, 0);
    rig_close(&rig);
}
END_TEST

START_TEST(wait_is_answered_at_once_where_nothing_is_to_wait_for)
{
    static const struct {
        enum follower_wait answer;
        const char *text;
    } cases[] = {
        { FOLLOWER_REACHED, "OK\r\n" },
        { FOLLOWER_BAD, "CLIENT_ERROR no GTID of the server that is followed\r\n" },
        { FOLLOWER_FULL, TOO_MANY },
    };
    struct rig rig;
    rig_open(&rig);
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        rig.answer = cases[i].answer;
        ck_assert_str_eq(harness_ask(&rig.harness, "hook wait 0-1-42 3600000\r\n"), cases[i].text);
        ck_assert_str_eq(rig.waits[i].name, "0-1-42");
        ck_assert_uint_eq(rig.waits[i].timeout_ms, 3600000);
        ck_assert(!session_waits(rig.harness.session));
    }
    ck_assert_uint_eq(rig.begun, 0);
    rig_close(&rig);
}
END_TEST

START_TEST(wait_ends_when_the_follower_tells)
{
    struct rig rig;
    rig_open(&rig);
    for (int reached = 0; reached <= 1; reached++) {
        unsigned wait = rig.waits_len;
        ck_assert_str_eq(harness_ask(&rig.harness, "hook wait 0-1-42 100\r\n"), "");
        ck_assert(session_waits(rig.harness.session));
        ck_assert_str_eq(harness_run_again(&rig.harness, rig.harness.session),
                         ""); /* woken for another's sake */
        ck_assert(session_waits(rig.harness.session));
        tell(&rig, wait, reached != 0);
        ck_assert_uint_eq(atomic_load(&rig.wakes), wait + 1);
        ck_assert_str_eq(harness_run_again(&rig.harness, rig.harness.session),
                         reached != 0 ? "OK\r\n" : "TIMEOUT\r\n");
        ck_assert(!session_waits(rig.harness.session));
        ck_assert_str_eq(harness_ask(&rig.harness, "mn\r\n"), "MN\r\n");
    }
    rig_close(&rig);
}
END_TEST

START_TEST(commands_behind_a_wait_are_run_when_it_is_over)
{
    struct rig rig;
    rig_open(&rig);
    ck_assert_str_eq(harness_ask(&rig.harness, "mn\r\nhook wait 0-1-42 100\r\nget a\r\nmn\r\n"),
                     "MN\r\n");
    ck_assert_str_eq(harness_ask(&rig.harness, "hook status\r\n"), ""); /* later, in their turn */
    tell(&rig, 0, true);
    ck_assert_str_eq(harness_run_again(&rig.harness, rig.harness.session),
                     "OK\r\nEND\r\nMN\r\nHOOK streaming\r\n");
    rig_close(&rig);
}
END_TEST

START_TEST(who_waits_and_sends_more_than_is_kept_is_closed)
{
    struct rig rig;
    rig_open(&rig);
    (void)harness_feed(&rig.harness, "hook wait 0-1-42 100\r\n");
    harness_flood(&rig.harness);
    rig_close(&rig);
    ck_assert_uint_eq(rig.cancelled, 1);
}
END_TEST

START_TEST(a_client_that_leaves_waits_no_longer)
{
    struct rig rig;
    rig_open(&rig);
    struct session *other = session_create(rig.harness.worker);
    ck_assert_int_eq(harness_feed_bytes(&rig.harness, other, "hook wait 0-1-42 100\r\n", 22),
                     SESSION_READ);
    ck_assert(session_waits(other));
    session_destroy(other);
    ck_assert_uint_eq(rig.cancelled, 1);
    ck_assert_ptr_null(rig.waits[0].tell);

    ck_assert_str_eq(harness_ask(&rig.harness, "hook wait 0-1-43 100\r\n"), "");
    session_reset(rig.harness.session);
    ck_assert_uint_eq(rig.cancelled, 2);
    ck_assert(!session_waits(rig.harness.session));
    rig_close(&rig);
}
END_TEST

START_TEST(a_client_may_leave_when_it_has_been_told)
{
    struct rig rig;
    rig_open(&rig);
    ck_assert_str_eq(harness_ask(&rig.harness, "hook wait 0-1-42 100\r\n"), "");
    tell(&rig, 0, true); /* and is not run again */
    rig_close(&rig);
    ck_assert_uint_eq(rig.cancelled, 1);
}
END_TEST

START_TEST(as_many_wait_as_the_host_allows)
{
    struct rig rig;
    struct session *sessions[BEGUN_MAX + 1];
    rig_open(&rig);
    for (unsigned i = 0; i <= BEGUN_MAX; i++) {
        sessions[i] = session_create(rig.harness.worker);
        rig.harness.out_len = 0;
        (void)harness_feed_bytes(&rig.harness, sessions[i], "hook wait 0-1-42 100\r\n", 22);
        ck_assert_str_eq(rig.harness.out_len > 0 ? rig.harness.out : "",
                         i < BEGUN_MAX ? "" : TOO_MANY);
        session_pause(sessions[i]);
    }
    ck_assert_uint_eq(rig.cancelled, 1); /* the one too many: the follower had taken it */
    for (unsigned i = 0; i < BEGUN_MAX; i++) {
        tell(&rig, i, i % 2 == 0);
        ck_assert_str_eq(harness_run_again(&rig.harness, sessions[i]),
                         i % 2 == 0 ? "OK\r\n" : "TIMEOUT\r\n");
        session_pause(sessions[i]);
    }
    for (unsigned i = 0; i <= BEGUN_MAX; i++) {
        session_destroy(sessions[i]);
    }
    rig_close(&rig);
}
END_TEST

START_TEST(nobody_waits_where_nobody_can_be_woken)
{
    struct rig rig;
    rig_open(&rig);
    rig.harness.host.hook_wait_begun = NULL;
    ck_assert_str_eq(harness_ask(&rig.harness, "hook wait 0-1-42 100\r\n"),
                     "SERVER_ERROR nobody can wait here\r\n");
    ck_assert_uint_eq(rig.waits_len, 0);
    rig_close(&rig);
}
END_TEST

START_TEST(without_a_follower_hook_says_so)
{
    struct rig rig;
    rig_open(&rig);
    rig.harness.stats.follower = NULL;
    ck_assert_str_eq(harness_ask(&rig.harness, "hook status\r\nhook wait 0-1-42 100\r\n"),
                     "CLIENT_ERROR no hook: larder runs without -o mysql_hook\r\n"
                     "CLIENT_ERROR no hook: larder runs without -o mysql_hook\r\n");
    ck_assert_str_eq(harness_ask(&rig.harness, "stats hook\r\n"), "END\r\n");
    rig_close(&rig);
}
END_TEST

static void *
tell_all(void *arg)
{
    struct rig *rig = arg;
    for (unsigned i = 0; i < rig->waits_len; i++) {
        tell(rig, i, true);
    }
    return NULL;
}

START_TEST(another_thread_ends_the_wait)
{
    struct rig rig;
    pthread_t thread;
    rig_open(&rig);
    ck_assert_str_eq(harness_ask(&rig.harness, "hook wait 0-1-42 100\r\n"), "");
    ck_assert_int_eq(pthread_create(&thread, NULL, tell_all, &rig), 0);
    const char *text = "";
    while (text[0] == '\0') { /* until the other thread has told: bounded by Check's own time */
        text = harness_run_again(&rig.harness, rig.harness.session);
    }
    ck_assert_str_eq(text, "OK\r\n");
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_uint_eq(atomic_load(&rig.wakes), 1);
    rig_close(&rig);
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {
        hook_asks_the_follower,
        hook_tells_how_it_is_used,
        wait_is_answered_at_once_where_nothing_is_to_wait_for,
        wait_ends_when_the_follower_tells,
        commands_behind_a_wait_are_run_when_it_is_over,
        who_waits_and_sends_more_than_is_kept_is_closed,
        a_client_that_leaves_waits_no_longer,
        a_client_may_leave_when_it_has_been_told,
        as_many_wait_as_the_host_allows,
        nobody_waits_where_nobody_can_be_woken,
        without_a_follower_hook_says_so,
        another_thread_ends_the_wait,
    };
    return harness_main("run_hook", tests, sizeof(tests) / sizeof(tests[0]));
}
