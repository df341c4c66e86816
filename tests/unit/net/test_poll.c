/* Which sockets are ready, and who is told. */
#include "config.h"

#include "net/poll.h"

#include <check.h>
#include <sys/socket.h>
#include <unistd.h>

/** One end of a pair of sockets that a poll looks at. */
struct end {
    struct poll_source source;
    struct poll *poll;
    int fd;
    int peer;
    unsigned calls;
};

static void
count(struct poll_source *source)
{
    ((struct end *)source)->calls++;
}

static void
count_and_remove(struct poll_source *source)
{
    struct end *end = (struct end *)source;
    end->calls++;
    poll_remove(end->poll, end->fd);
}

static void
end_open(struct end *end, struct poll *poll, poll_ready_fn *ready)
{
    int fds[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    *end = (struct end){ .source = { ready }, .poll = poll, .fd = fds[0], .peer = fds[1] };
    ck_assert(poll_add(poll, end->fd, POLL_READ, &end->source));
}

static void
end_close(struct end *end)
{
    close(end->fd);
    close(end->peer);
}

START_TEST(poll_tells_of_input_until_it_is_taken)
{
    struct poll poll;
    struct end end;
    char byte;
    ck_assert(poll_open(&poll));
    end_open(&end, &poll, count);

    ck_assert_uint_eq(poll_wait(&poll, 0), 0);
    ck_assert_int_eq(write(end.peer, "x", 1), 1);
    ck_assert_uint_eq(poll_wait(&poll, POLL_FOREVER), 1);
    ck_assert_uint_eq(poll_wait(&poll, POLL_FOREVER), 1);
    ck_assert_uint_eq(end.calls, 2);
    ck_assert_int_eq(read(end.fd, &byte, 1), 1);
    ck_assert_uint_eq(poll_wait(&poll, 0), 0);
    ck_assert_uint_eq(end.calls, 2);

    end_close(&end);
    poll_close(&poll);
}
END_TEST

START_TEST(poll_waits_for_room_instead_of_input)
{
    struct poll poll;
    struct end end;
    static char bytes[65536];
    ck_assert(poll_open(&poll));
    end_open(&end, &poll, count);
    while (write(end.fd, bytes, sizeof(bytes)) > 0) {
        /* fills it */
    }
    ck_assert(poll_change(&poll, end.fd, POLL_WRITE, &end.source));

    ck_assert_int_eq(write(end.peer, "x", 1), 1);
    ck_assert_uint_eq(poll_wait(&poll, 0), 0);
    while (read(end.peer, bytes, sizeof(bytes)) > 0) {
        /* empties it */
    }
    ck_assert_uint_eq(poll_wait(&poll, POLL_FOREVER), 1);
    ck_assert_uint_eq(end.calls, 1);

    end_close(&end);
    poll_close(&poll);
}
END_TEST

/* Whoever waits for room alone still learns that there will never be any. */
START_TEST(poll_tells_of_a_peer_that_has_gone)
{
    struct poll poll;
    struct end end;
    static char bytes[65536];
    ck_assert(poll_open(&poll));
    end_open(&end, &poll, count);
    while (write(end.fd, bytes, sizeof(bytes)) > 0) {
        /* fills it */
    }
    ck_assert(poll_change(&poll, end.fd, POLL_WRITE, &end.source));
    close(end.peer);
    ck_assert_uint_eq(poll_wait(&poll, POLL_FOREVER), 1);
    ck_assert_uint_eq(end.calls, 1);
    close(end.fd);
    poll_close(&poll);
}
END_TEST

START_TEST(poll_tells_of_a_batch_at_once_and_of_all_in_turn)
{
    static struct end ends[POLL_BATCH + 1];
    struct poll poll;
    ck_assert(poll_open(&poll));
    for (unsigned i = 0; i <= POLL_BATCH; i++) {
        end_open(&ends[i], &poll, count);
        ck_assert_int_eq(write(ends[i].peer, "x", 1), 1);
    }

    ck_assert_uint_eq(poll_wait(&poll, POLL_FOREVER), POLL_BATCH);
    ck_assert_uint_eq(poll_wait(&poll, POLL_FOREVER), POLL_BATCH);
    for (unsigned i = 0; i <= POLL_BATCH; i++) {
        ck_assert_msg(ends[i].calls >= 1, "%u was not told though others were twice", i);
        end_close(&ends[i]);
    }
    poll_close(&poll);
}
END_TEST

/* A child of the process may hold the descriptor, which keeps it in the kernel's list. */
START_TEST(poll_forgets_what_is_removed_though_it_stays_open)
{
    struct poll poll;
    struct end end;
    ck_assert(poll_open(&poll));
    end_open(&end, &poll, count_and_remove);
    int copy = dup(end.fd);
    ck_assert_int_ge(copy, 0);
    ck_assert_int_eq(write(end.peer, "x", 1), 1);

    ck_assert_uint_eq(poll_wait(&poll, POLL_FOREVER), 1);
    close(end.fd);
    ck_assert_int_eq(write(end.peer, "x", 1), 1);
    ck_assert_uint_eq(poll_wait(&poll, 0), 0);
    ck_assert_uint_eq(end.calls, 1);

    close(copy);
    close(end.peer);
    poll_close(&poll);
}
END_TEST

START_TEST(poll_refuses_what_cannot_be_waited_for)
{
    struct poll poll;
    struct poll_source source = { count };
    ck_assert(poll_open(&poll));
    ck_assert(!poll_add(&poll, -1, POLL_READ, &source));
    poll_close(&poll);
    poll_close(&poll); /* closed already: nothing happens */
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("poll");
    TCase *tcase = tcase_create("poll");
    suite_add_tcase(suite, tcase);
    tcase_add_test(tcase, poll_tells_of_input_until_it_is_taken);
    tcase_add_test(tcase, poll_waits_for_room_instead_of_input);
    tcase_add_test(tcase, poll_tells_of_a_peer_that_has_gone);
    tcase_add_test(tcase, poll_tells_of_a_batch_at_once_and_of_all_in_turn);
    tcase_add_test(tcase, poll_forgets_what_is_removed_though_it_stays_open);
    tcase_add_test(tcase, poll_refuses_what_cannot_be_waited_for);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
