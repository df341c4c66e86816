/* larder snapshot, as sessions see it: who may, who waits, and who waits no longer. */
#include "config.h"

#include "unit/session/harness.h"

#include "admin/snapshots.h"

#define ASK "larder snapshot /items\r\n"

struct rig {
    struct harness harness;
    struct snapshots *snapshots;
    unsigned asked;   /* how often a thread was asked for */
    unsigned woken;   /* how often the worker was told to look again */
    bool none_begins; /* the host has no room for one more that waits */
};

static void
rig_ask(void *arg)
{
    ((struct rig *)arg)->asked++;
}

static bool
hook_wait_begun(void *arg)
{
    return !((struct rig *)arg)->none_begins;
}

static void
hook_wait_wake(void *arg)
{
    ((struct rig *)arg)->woken++;
}

static void
rig_open(struct rig *rig)
{
    memset(rig, 0, sizeof(*rig));
    settings_init(&rig->harness.settings);
    rig->harness.settings.shutdown_enabled = true;
    rig->snapshots = snapshots_create(NULL);
    ck_assert_ptr_nonnull(rig->snapshots);
    snapshots_serve(rig->snapshots, rig_ask, rig);
    rig->harness.stats.snapshots = rig->snapshots;
    rig->harness.host = (struct session_host){ .arg = rig,
                                               .hook_wait_begun = hook_wait_begun,
                                               .hook_wait_wake = hook_wait_wake };
    harness_start(&rig->harness);
}

static void
rig_close(struct rig *rig)
{
    harness_close(&rig->harness);
    snapshots_destroy(rig->snapshots);
}

/** What the thread does. */
static void
rig_write(struct rig *rig, const char *error)
{
    struct snapshot_figures none = { 0 };
    ck_assert(snapshots_begin(rig->snapshots));
    ck_assert_str_eq(snapshots_path(rig->snapshots), "/items");
    snapshots_end(rig->snapshots, error[0] == '\0' ? SNAPSHOT_OK : SNAPSHOT_CANNOT_WRITE, &none,
                  error, 0, 0);
}

START_TEST(who_asks_waits_until_it_is_whole)
{
    static const struct {
        const char *error;
        const char *answer;
    } rows[] = { { "", "OK\r\n" }, { "/items: why", "SERVER_ERROR /items: why\r\n" } };
    struct rig rig;
    rig_open(&rig);
    for (unsigned i = 0; i < 2; i++) {
        ck_assert_str_eq(harness_ask(&rig.harness, ASK), "");
        ck_assert(session_waits(rig.harness.session));
        ck_assert_str_eq(harness_run_again(&rig.harness, rig.harness.session),
                         ""); /* woken for another's sake */
        rig_write(&rig, rows[i].error);
        ck_assert_uint_eq(rig.woken, i + 1);
        ck_assert_str_eq(harness_run_again(&rig.harness, rig.harness.session), rows[i].answer);
        ck_assert(!session_waits(rig.harness.session));
    }
    ck_assert_uint_eq(rig.asked, 2);
    rig_close(&rig);
}
END_TEST

/* It was closed with its wait still noted: nobody freed that, and its end was told to nobody's. */
START_TEST(who_waits_and_sends_more_than_is_kept_is_closed)
{
    struct rig rig;
    rig_open(&rig);
    (void)harness_feed(&rig.harness, ASK);
    harness_flood(&rig.harness);
    rig_write(&rig, "");
    ck_assert_uint_eq(rig.woken, 0);
    rig_close(&rig);
}
END_TEST

START_TEST(a_client_that_leaves_is_told_nothing)
{
    struct rig rig;
    rig_open(&rig);
    struct session *other = session_create(rig.harness.worker);
    (void)harness_feed_bytes(&rig.harness, other, ASK, sizeof(ASK) - 1);
    ck_assert(session_waits(other));
    session_destroy(other);
    rig_write(&rig, "");
    ck_assert_uint_eq(rig.woken, 0);
    rig_close(&rig);
}
END_TEST

START_TEST(who_cannot_wait_asks_for_nothing)
{
    struct rig rig;
    rig_open(&rig);
    rig.none_begins = true;
    ck_assert_str_eq(harness_ask(&rig.harness, ASK), "SERVER_ERROR too many wait\r\n");
    rig.harness.host.hook_wait_begun = NULL;
    ck_assert_str_eq(harness_ask(&rig.harness, ASK),
                     "SERVER_ERROR no snapshot can be written here\r\n");
    rig.harness.settings.shutdown_enabled = false;
    ck_assert_str_eq(harness_ask(&rig.harness, ASK), "SERVER_ERROR: snapshot not enabled\r\n");
    ck_assert_uint_eq(rig.asked, 0);
    rig_close(&rig);
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {
        who_asks_waits_until_it_is_whole,
        who_waits_and_sends_more_than_is_kept_is_closed,
        a_client_that_leaves_is_told_nothing,
        who_cannot_wait_asks_for_nothing,
    };
    return harness_main("run_snapshot", tests, sizeof(tests) / sizeof(tests[0]));
}
