/* watch: what a watcher's session does, and what other sessions note. */
#include "unit/session/harness.h"

#include "admin/watch.h"

#define FD 42

static uint64_t
fixed_now(void)
{
    return UINT64_C(5000000);
}

struct rig {
    struct harness harness;
    struct watch *watch;
    struct session *watcher; /* besides harness.session */
    bool refuse;
    unsigned begun;
    _Atomic unsigned wakes;
};

static int
running_fd(void *arg)
{
    (void)arg;
    return FD;
}

static bool
watch_begun(void *arg)
{
    struct rig *rig = arg;
    rig->begun++;
    return !rig->refuse;
}

static void
watch_wake(void *arg)
{
    struct rig *rig = arg;
    atomic_fetch_add_explicit(&rig->wakes, 1, memory_order_relaxed); /* relaxed: one thread */
}

static void
rig_open(struct rig *rig)
{
    memset(rig, 0, sizeof(*rig));
    struct watch_options options = { 1 << 20, 1 << 20, fixed_now };
    settings_init(&rig->harness.settings);
    rig->watch = watch_create(&options);
    rig->harness.stats.watch = rig->watch;
    rig->harness.host = (struct session_host){
        .arg = rig, .running_fd = running_fd, .watch_begun = watch_begun, .watch_wake = watch_wake
    };
    harness_start(&rig->harness);
    rig->watcher = session_create(rig->harness.worker);
}

static void
rig_close(struct rig *rig)
{
    session_destroy(rig->watcher);
    ck_assert_uint_eq(watch_count(rig->watch).watchers, 0);
    harness_close(&rig->harness);
    watch_destroy(rig->watch);
}

/** What the watcher's session answers. */
static const char *
ask_watcher(struct rig *rig, const char *text)
{
    struct harness *harness = &rig->harness;
    session_pause(harness->session);
    harness->out_len = 0;
    harness->out[0] = '\0';
    (void)harness_feed_bytes(harness, rig->watcher, text, strlen(text));
    session_pause(rig->watcher);
    return harness->out;
}

/** The lines that the watcher gets for a request of the other session, less their times and
 * numbers. */
static const char *
lines_of(struct rig *rig, const char *request, size_t len)
{
    static char lines[1 << 16];
    struct harness *harness = &rig->harness;
    harness->out_len = 0;
    (void)harness_feed_bytes(harness, harness->session, request, len);
    session_pause(harness->session);
    (void)watch_drain(rig->watch);
    harness->out_len = 0;
    harness->out[0] = '\0';
    enum session_next next;
    do {
        next = session_run(rig->watcher);
        (void)harness_take(harness, rig->watcher, SIZE_MAX);
    } while (next == SESSION_SEND);
    ck_assert_int_eq(next, SESSION_READ);
    session_pause(rig->watcher);
    char *to = lines;
    for (const char *at = harness->out; *at != '\0';) {
        const char *end = strchr(at, '\n') + 1;
        ck_assert(memcmp(at, "ts=5.000000 gid=", 16) == 0);
        const char *from = strstr(at, "type=") + 5;
        memcpy(to, from, (size_t)(end - from));
        to += end - from;
        at = end;
    }
    *to = '\0';
    return lines;
}

#define LINES(rig, text) lines_of((rig), (text), sizeof(text) - 1)

START_TEST(watch_answers_ok_or_why_not)
{
    struct rig rig;
    rig_open(&rig);
    ck_assert_str_eq(ask_watcher(&rig, "watch bogus\r\n"), "ERROR\r\n");
    ck_assert_str_eq(ask_watcher(&rig, "watch fetchers noreply\r\n"), "ERROR\r\n");
    ck_assert_str_eq(ask_watcher(&rig, "version\r\nwatch\r\n"),
                     "VERSION " SERVER_COMPAT_VERSION
                     "\r\nERROR cannot pipeline other commands before watch\r\n");
    rig.harness.settings.watch_disabled = true;
    ck_assert_str_eq(ask_watcher(&rig, "watch\r\n"), "CLIENT_ERROR watch commands not allowed\r\n");
    rig.harness.settings.watch_disabled = false;
    rig.refuse = true;
    ck_assert_str_eq(ask_watcher(&rig, "watch\r\n"),
                     "WATCHER_FAILED failed to add log watcher\r\n");
    rig.refuse = false;
    ck_assert(!session_watches(rig.watcher));
    ck_assert_uint_eq(watch_count(rig.watch).watchers, 0);
    ck_assert_str_eq(ask_watcher(&rig, "watch fetchers mutations\n"), "OK\r\n");
    ck_assert(session_watches(rig.watcher));
    ck_assert_str_eq(session_state_name(rig.watcher), "conn_watch");
    ck_assert_uint_eq(rig.begun, 2);
    /* From here on nobody listens to it. */
    ck_assert_str_eq(ask_watcher(&rig, "version\r\nquit\r\n"), "");
    ck_assert(session_watches(rig.watcher));
    rig_close(&rig);
}
END_TEST

START_TEST(watch_without_a_log_fails)
{
    struct harness harness;
    harness_open(&harness);
    ck_assert_str_eq(harness_ask(&harness, "watch\r\n"),
                     "WATCHER_FAILED failed to add log watcher\r\n");
    harness_close(&harness);
}
END_TEST

START_TEST(the_twenty_first_watcher_is_refused)
{
    struct rig rig;
    rig_open(&rig);
    struct session *watchers[WATCHERS_MAX];
    struct session *own = rig.watcher;
    for (unsigned i = 0; i < WATCHERS_MAX; i++) {
        rig.watcher = watchers[i] = session_create(rig.harness.worker);
        ck_assert_str_eq(ask_watcher(&rig, "watch\r\n"), "OK\r\n");
    }
    rig.watcher = own;
    ck_assert_str_eq(ask_watcher(&rig, "watch\r\n"),
                     "WATCHER_TOO_MANY log watcher limit reached\r\n");
    ck_assert_uint_eq(rig.begun, WATCHERS_MAX);
    for (unsigned i = 0; i < WATCHERS_MAX; i++) {
        session_destroy(watchers[i]);
    }
    ck_assert_str_eq(ask_watcher(&rig, "watch\r\n"), "OK\r\n");
    rig_close(&rig);
}
END_TEST

static const struct {
    const char *request;
    const char *lines;
} text_rows[] = {
    { "get a\r\n", "item_get key=a status=not_found clsid=0 cfd=42 size=0\n" },
    { "set a 0 0 3\r\nabc\r\n",
      "item_get key=a status=not_found clsid=0 cfd=42 size=0\n"
      "item_store key=a status=stored cmd=set ttl=0 clsid=1 cfd=42 size=3\n" },
    { "set a 0 100 1\r\nx\r\n",
      "item_get key=a status=found clsid=1 cfd=42 size=3\n"
      "item_store key=a status=stored cmd=set ttl=100 clsid=1 cfd=42 size=1\n" },
    { "get a b a\r\n", "item_get key=a status=found clsid=1 cfd=42 size=1\n"
                       "item_get key=b status=not_found clsid=0 cfd=42 size=0\n"
                       "item_get key=a status=found clsid=1 cfd=42 size=1\n" },
    { "gets a\r\n", "item_get key=a status=found clsid=1 cfd=42 size=1\n" },
    { "add a 0 0 1\r\nx\r\n",
      "item_get key=a status=found clsid=1 cfd=42 size=1\n"
      "item_store key=a status=not_stored cmd=add ttl=0 clsid=1 cfd=42 size=1\n" },
    { "replace c 0 0 1\r\nx\r\n",
      "item_get key=c status=not_found clsid=0 cfd=42 size=0\n"
      "item_store key=c status=not_stored cmd=replace ttl=0 clsid=1 cfd=42 size=1\n" },
    { "append a 0 0 2\r\nxy\r\n",
      "item_get key=a status=found clsid=1 cfd=42 size=1\n"
      "item_store key=a status=stored cmd=append ttl=100 clsid=1 cfd=42 size=3\n" },
    { "prepend a 0 0 2\r\nxy\r\n",
      "item_get key=a status=found clsid=1 cfd=42 size=3\n"
      "item_store key=a status=stored cmd=prepend ttl=100 clsid=2 cfd=42 size=5\n" },
    { "append c 0 0 1\r\nx\r\n",
      "item_get key=c status=not_found clsid=0 cfd=42 size=0\n"
      "item_store key=c status=not_stored cmd=append ttl=0 clsid=1 cfd=42 size=1\n" },
    { "cas a 0 0 1 1\r\nx\r\n",
      "item_get key=a status=found clsid=2 cfd=42 size=5\n"
      "item_store key=a status=exists cmd=cas ttl=0 clsid=1 cfd=42 size=1\n" },
    { "cas c 0 0 1 1\r\nx\r\n",
      "item_get key=c status=not_found clsid=0 cfd=42 size=0\n"
      "item_store key=c status=not_found cmd=cas ttl=0 clsid=1 cfd=42 size=1\n" },
    { "incr a 1\r\n", "item_get key=a status=found clsid=2 cfd=42 size=5\n" },
    { "decr c 1\r\n", "item_get key=c status=not_found clsid=0 cfd=42 size=0\n" },
    { "touch a 0\r\n", "item_get key=a status=found clsid=2 cfd=42 size=5\n" },
    { "gat 0 a c\r\n", "item_get key=a status=found clsid=2 cfd=42 size=5\n"
                       "item_get key=c status=not_found clsid=0 cfd=42 size=0\n" },
    { "set big 0 0 2000000 noreply\r\n",
      "item_store key=big status=too_large cmd=set ttl=0 clsid=0 cfd=42 size=2000000\n"
      "item_get key=big status=not_found clsid=0 cfd=42 size=0\n" },
};

START_TEST(text_commands_note_what_they_do)
{
    struct rig rig;
    rig_open(&rig);
    ck_assert_str_eq(ask_watcher(&rig, "watch fetchers mutations\r\n"), "OK\r\n");
    for (size_t i = 0; i < sizeof(text_rows) / sizeof(text_rows[0]); i++) {
        const char *lines = lines_of(&rig, text_rows[i].request, strlen(text_rows[i].request));
        ck_assert_msg(strcmp(lines, text_rows[i].lines) == 0, "%s: %s", text_rows[i].request,
                      lines);
    }
    rig_close(&rig);
}
END_TEST

static const struct {
    const char *request;
    const char *lines;
} meta_rows[] = {
    { "mg m v\r\nmg n\r\n", "item_get key=m status=not_found clsid=0 cfd=42 size=0\n"
                            "item_get key=n status=not_found clsid=0 cfd=42 size=0\n" },
    { "ms m 1 T100\r\nx\r\n",
      "item_get key=m status=not_found clsid=0 cfd=42 size=0\n"
      "item_store key=m status=stored cmd=set ttl=100 clsid=1 cfd=42 size=1\n" },
    { "mg m v\r\n", "item_get key=m status=found clsid=1 cfd=42 size=1\n" },
    { "mg m T30 v\r\n", "item_get key=m status=found clsid=1 cfd=42 size=1\n" },
    { "mg z N30 v\r\n", "item_get key=z status=not_found clsid=0 cfd=42 size=0\n" },
    { "me m\r\n", "item_get key=m status=found clsid=1 cfd=42 size=1\n" },
    { "ms m 1 ME\r\nx\r\n",
      "item_get key=m status=found clsid=1 cfd=42 size=1\n"
      "item_store key=m status=not_stored cmd=add ttl=0 clsid=1 cfd=42 size=1\n" },
    { "ms m 1 MA\r\nx\r\n",
      "item_get key=m status=found clsid=1 cfd=42 size=1\n"
      "item_store key=m status=stored cmd=append ttl=30 clsid=1 cfd=42 size=2\n" },
    { "ms m 1 C1\r\nx\r\n",
      "item_get key=m status=found clsid=1 cfd=42 size=2\n"
      "item_store key=m status=exists cmd=cas ttl=0 clsid=1 cfd=42 size=1\n" },
    { "ms Zm9v 1 b\r\nx\r\n",
      "item_get key=foo status=not_found clsid=0 cfd=42 size=0\n"
      "item_store key=foo status=stored cmd=set ttl=0 clsid=1 cfd=42 size=1\n" },
    { "ma num N0 J5\r\n",
      "item_get key=num status=not_found clsid=0 cfd=42 size=0\n"
      "item_get key=num status=not_found clsid=0 cfd=42 size=0\n"
      "item_store key=num status=stored cmd=add ttl=0 clsid=1 cfd=42 size=1\n" },
    { "ma num\r\n", "item_get key=num status=found clsid=1 cfd=42 size=1\n" },
    { "md m I\r\n", "item_get key=m status=found clsid=1 cfd=42 size=2\n" },
    { "md m\r\n", "item_get key=m status=found clsid=1 cfd=42 size=2\n"
                  "deleted key=m cmd=md clsid=1 size=2\n" },
    { "md m\r\n", "item_get key=m status=not_found clsid=0 cfd=42 size=0\n" },
    { "delete foo\r\n", "item_get key=foo status=found clsid=1 cfd=42 size=1\n"
                        "deleted key=foo cmd=delete clsid=1 size=1\n" },
};

START_TEST(meta_commands_and_deletes_note_what_they_do)
{
    struct rig rig;
    rig_open(&rig);
    ck_assert_str_eq(ask_watcher(&rig, "watch fetchers mutations deletions\r\n"), "OK\r\n");
    for (size_t i = 0; i < sizeof(meta_rows) / sizeof(meta_rows[0]); i++) {
        const char *lines = lines_of(&rig, meta_rows[i].request, strlen(meta_rows[i].request));
        ck_assert_msg(strcmp(lines, meta_rows[i].lines) == 0, "%s: %s", meta_rows[i].request,
                      lines);
    }
    rig_close(&rig);
}
END_TEST

START_TEST(binary_commands_note_what_they_do)
{
    struct rig rig;
    rig_open(&rig);
    ck_assert_str_eq(ask_watcher(&rig, "watch fetchers mutations deletions\r\n"), "OK\r\n");
    ck_assert_str_eq(LINES(&rig, "\x80\x01\0\x01\x08\0\0\0\0\0\0\x0a\0\0\0\0\0\0\0\0\0\0\0\0"
                                 "\0\0\0\0\0\0\0\x64kv"),
                     "item_get key=k status=not_found clsid=0 cfd=42 size=0\n"
                     "item_store key=k status=stored cmd=set ttl=100 clsid=1 cfd=42 size=1\n");
    ck_assert_str_eq(LINES(&rig, "\x80\0\0\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0k"),
                     "item_get key=k status=found clsid=1 cfd=42 size=1\n");
    ck_assert_str_eq(LINES(&rig, "\x80\x0e\0\x01\0\0\0\0\0\0\0\x03\0\0\0\0\0\0\0\0\0\0\0\0kvv"),
                     "item_get key=k status=found clsid=1 cfd=42 size=1\n"
                     "item_store key=k status=stored cmd=append ttl=100 clsid=1 cfd=42 size=3\n");
    ck_assert_str_eq(LINES(&rig, "\x80\x05\0\x01\x14\0\0\0\0\0\0\x15\0\0\0\0\0\0\0\0\0\0\0\0"
                                 "\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x0a\0\0\0\0n"),
                     "item_get key=n status=not_found clsid=0 cfd=42 size=0\n"
                     "item_get key=n status=not_found clsid=0 cfd=42 size=0\n"
                     "item_store key=n status=stored cmd=add ttl=0 clsid=1 cfd=42 size=2\n");
    ck_assert_str_eq(LINES(&rig, "\x80\x1c\0\x01\x04\0\0\0\0\0\0\x05\0\0\0\0\0\0\0\0\0\0\0\0"
                                 "\0\0\0\x0ak"),
                     "item_get key=k status=found clsid=1 cfd=42 size=3\n");
    ck_assert_str_eq(LINES(&rig, "\x80\x04\0\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0k"),
                     "item_get key=k status=found clsid=1 cfd=42 size=3\n"
                     "deleted key=k cmd=delete clsid=1 size=3\n");
    ck_assert_str_eq(LINES(&rig, "\x80\0\0\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0k"),
                     "item_get key=k status=not_found clsid=0 cfd=42 size=0\n");
    rig_close(&rig);
}
END_TEST

START_TEST(a_dead_item_is_told_as_expired_or_flushed)
{
    struct rig rig;
    rig_open(&rig);
    ck_assert_str_eq(ask_watcher(&rig, "watch\r\n"), "OK\r\n");
    (void)LINES(&rig, "set e 0 5 1\r\nx\r\nset f 0 5 1\r\nx\r\nset g 0 0 1\r\nx\r\n");
    cache_set_now(rig.harness.cache, HARNESS_NOW + 6);
    ck_assert_str_eq(LINES(&rig, "get e\r\n"),
                     "item_get key=e status=expired clsid=0 cfd=42 size=0\n");
    ck_assert_str_eq(LINES(&rig, "get e\r\n"),
                     "item_get key=e status=not_found clsid=0 cfd=42 size=0\n");
    ck_assert_str_eq(LINES(&rig, "incr f 1\r\n"),
                     "item_get key=f status=expired clsid=0 cfd=42 size=0\n");
    ck_assert_str_eq(LINES(&rig, "flush_all\r\nmg g v\r\n"),
                     "item_get key=g status=flushed clsid=0 cfd=42 size=0\n");
    rig_close(&rig);
}
END_TEST

START_TEST(counters_of_the_cache_do_not_see_the_watcher)
{
    static const char script[] =
        "set a 0 0 1\r\n1\r\nset a 0 0 1\r\n1\r\nget a\r\nincr a 1\r\ntouch a 0\r\n"
        "delete a\r\ndelete a\r\nget a\r\nmg a v\r\nstats\r\n";
    struct rig rig;
    rig_open(&rig);
    char *plain = strdup(harness_ask(&rig.harness, script));
    rig_close(&rig);
    rig_open(&rig);
    ck_assert_str_eq(ask_watcher(&rig, "watch fetchers mutations deletions\r\n"), "OK\r\n");
    const char *watched = harness_ask(&rig.harness, script);
    static const char *const names[] = { "cmd_get ",     "cmd_set ",       "get_hits ",
                                         "get_misses ",  "get_expired ",   "get_flushed ",
                                         "delete_hits ", "delete_misses ", "incr_hits ",
                                         "touch_hits ",  "cas_misses ",    "total_items " };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const char *left = strstr(plain, names[i]);
        const char *right = strstr(watched, names[i]);
        ck_assert_ptr_nonnull(left);
        ck_assert_ptr_nonnull(right);
        ck_assert_msg(strcspn(left, "\r") == strcspn(right, "\r") &&
                          memcmp(left, right, strcspn(left, "\r")) == 0,
                      "%.20s became %.20s", left, right);
    }
    free(plain);
    rig_close(&rig);
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {
        watch_answers_ok_or_why_not,
        watch_without_a_log_fails,
        the_twenty_first_watcher_is_refused,
        text_commands_note_what_they_do,
        meta_commands_and_deletes_note_what_they_do,
        binary_commands_note_what_they_do,
        a_dead_item_is_told_as_expired_or_flushed,
        counters_of_the_cache_do_not_see_the_watcher,
    };
    return harness_main("run_watch", tests, sizeof(tests) / sizeof(tests[0]));
}
