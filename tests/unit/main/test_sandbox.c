/* What the filters of -o drop_privileges take away, and what they leave.  Each test runs in a
 * thread of its own, so that the rest of the program keeps what it needs to end. */
#include "config.h"

#include "sandbox.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef HAVE_SECCOMP

#define PROBES_MAX 64u

/** Answers of the filtered thread, looked at by the test: Check's own work may be filtered, too. */
struct probe {
    const char *what;
    long rc;
    int error;
};

struct probes {
    struct probe at[PROBES_MAX];
    unsigned len;
    int fd; /* a socket from before */
};

static void
note(struct probes *probes, const char *what, long rc)
{
    int error = rc < 0 ? errno : 0;
    if (probes->len < PROBES_MAX) {
        probes->at[probes->len++] = (struct probe){ what, rc, error };
    }
}

static const struct probe *
find(const struct probes *probes, const char *what)
{
    for (unsigned i = 0; i < probes->len; i++) {
        if (strcmp(probes->at[i].what, what) == 0) {
            return &probes->at[i];
        }
    }
    ck_abort_msg("no probe %s", what);
    return NULL;
}

static void
expect_refused(const struct probes *probes, const char *what, int error)
{
    const struct probe *probe = find(probes, what);
    ck_assert_msg(probe->rc == -1 && probe->error == error, "%s: %ld, %s", what, probe->rc,
                  strerror(probe->error));
}

static void
expect_done(const struct probes *probes, const char *what)
{
    const struct probe *probe = find(probes, what);
    ck_assert_msg(probe->rc >= 0, "%s: %s", what, strerror(probe->error));
}

static void *
empty_thread(void *arg)
{
    return arg;
}

static void
probe_all(struct probes *probes)
{
    note(probes, "socket", socket(AF_INET, SOCK_STREAM, 0));
    note(probes, "bind", bind(probes->fd, (struct sockaddr *)&(struct sockaddr){ 0 }, 2));
    note(probes, "connect", connect(probes->fd, (struct sockaddr *)&(struct sockaddr){ 0 }, 2));
    int status = system("exit 0"); /* 127 where no shell can be started */
    errno = EPERM;
    note(probes, "system", status == 0 ? 0 : -1);
    char *argv[] = { (char[]){ "/bin/true" }, NULL };
    note(probes, "execve", execve("/bin/true", argv, argv + 1));
    pid_t child = fork();
    if (child == 0) {
        _exit(0);
    }
    note(probes, "fork", child);
    if (child > 0) {
        (void)waitpid(child, NULL, 0);
    }
    note(probes, "ptrace", ptrace(PTRACE_TRACEME, 0, NULL, NULL));
    /* not setuid(): the C library would have the other threads do it, too, and they may */
    note(probes, "setuid", syscall(SYS_setuid, getuid()));
    note(probes, "io_uring", syscall(SYS_io_uring_setup, 1, NULL));
    note(probes, "kill", kill(getpid(), 0));
    note(probes, "accept", accept(probes->fd, NULL, NULL));
    int fd = open("/etc/passwd", O_RDONLY);
    note(probes, "open to read", fd);
    char bytes[16];
    note(probes, "read", fd >= 0 ? read(fd, bytes, sizeof(bytes)) : -1);
    if (fd >= 0) {
        (void)close(fd);
    }
    fd = open("/dev/null", O_WRONLY);
    note(probes, "open to write", fd);
    if (fd >= 0) {
        (void)close(fd);
    }
    note(probes, "unlink", unlink("/nonexistent/x"));
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    note(probes, "map", page == MAP_FAILED ? -1 : 0);
    if (page != MAP_FAILED) {
        note(probes, "make writable memory a program",
             mprotect(page, 4096, PROT_WRITE | PROT_EXEC));
        note(probes, "protect", mprotect(page, 4096, PROT_READ));
        (void)munmap(page, 4096);
    }
    page = malloc(64u << 20);
    note(probes, "malloc", page == NULL ? -1 : 0);
    free(page);
    pthread_t thread;
    int rc = pthread_create(&thread, NULL, empty_thread, NULL);
    errno = rc;
    note(probes, "thread", rc == 0 ? 0 : -1);
    if (rc == 0) {
        (void)pthread_join(thread, NULL);
    }
    note(probes, "send", send(probes->fd, "x", 1, MSG_NOSIGNAL));
}

static void *
in_process_filter(void *arg)
{
    struct probes *probes = arg;
    note(probes, "filter", sandbox_process() && sandbox_sockets() ? 0 : -1);
    probe_all(probes);
    return NULL;
}

static void *
in_hook_filter(void *arg)
{
    struct probes *probes = arg;
    note(probes, "filter", sandbox_process() ? 0 : -1);
    probe_all(probes);
    return NULL;
}

static void *
in_worker_filter(void *arg)
{
    struct probes *probes = arg;
    note(probes, "filter", sandbox_process() && sandbox_sockets() && sandbox_worker() ? 0 : -1);
    probe_all(probes);
    return NULL;
}

static void
run_filtered(void *(*body)(void *), struct probes *probes)
{
    int fds[2];
    *probes = (struct probes){ .len = 0 };
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    probes->fd = fds[0];
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, body, probes), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    (void)close(fds[0]);
    (void)close(fds[1]);
}

static void
expect_no_programs_and_sockets(const struct probes *probes)
{
    static const char *const taken[] = { "socket", "bind",   "connect", "system",  "execve",
                                         "fork",   "ptrace", "setuid",  "io_uring" };
    expect_done(probes, "filter");
    for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++) {
        expect_refused(probes, taken[i], EPERM);
    }
    static const char *const left[] = {
        "open to read", "read", "map", "protect", "malloc", "send"
    };
    for (size_t i = 0; i < sizeof(left) / sizeof(left[0]); i++) {
        expect_done(probes, left[i]);
    }
}

START_TEST(sandbox_of_the_process_takes_programs_and_sockets)
{
    struct probes probes;
    run_filtered(in_process_filter, &probes);
    expect_no_programs_and_sockets(&probes);
    /* The main thread still writes its files, and starts threads. */
    expect_done(&probes, "open to write");
    expect_done(&probes, "thread");
    expect_done(&probes, "kill");
    expect_refused(&probes, "unlink", ENOENT);
    expect_refused(&probes, "accept", EINVAL);
}
END_TEST

START_TEST(sandbox_of_the_hook_leaves_sockets)
{
    struct probes probes;
    run_filtered(in_hook_filter, &probes);
    expect_done(&probes, "filter");
    expect_done(&probes, "socket");
    expect_refused(&probes, "connect", EINVAL);
    static const char *const taken[] = { "system", "execve", "fork", "ptrace", "setuid" };
    for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++) {
        expect_refused(&probes, taken[i], EPERM);
    }
}
END_TEST

START_TEST(sandbox_of_a_worker_leaves_a_list_of_calls)
{
    struct probes probes;
    run_filtered(in_worker_filter, &probes);
    expect_no_programs_and_sockets(&probes);
    expect_refused(&probes, "open to write", EPERM);
    expect_refused(&probes, "make writable memory a program", EPERM);
    expect_refused(&probes, "unlink", EPERM);
    expect_refused(&probes, "accept", EPERM);
    expect_refused(&probes, "kill", EPERM);
    ck_assert_int_lt(find(&probes, "thread")->rc, 0);
}
END_TEST

START_TEST(sandbox_of_one_thread_leaves_others_alone)
{
    struct probes probes;
    run_filtered(in_worker_filter, &probes);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    ck_assert_int_ge(fd, 0);
    (void)close(fd);
}
END_TEST

#endif

int
main(void)
{
    Suite *suite = suite_create("sandbox");
    TCase *tcase = tcase_create("sandbox");
    suite_add_tcase(suite, tcase);
#ifdef HAVE_SECCOMP
    tcase_add_test(tcase, sandbox_of_the_process_takes_programs_and_sockets);
    tcase_add_test(tcase, sandbox_of_the_hook_leaves_sockets);
    tcase_add_test(tcase, sandbox_of_a_worker_leaves_a_list_of_calls);
    tcase_add_test(tcase, sandbox_of_one_thread_leaves_others_alone);
#endif
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
