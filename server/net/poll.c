#include "config.h"

#include "net/poll.h"

#include "base/assert.h"
#include "net/call.h"

#include <errno.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <unistd.h>

bool
poll_open(struct poll *poll)
{
    poll->fd = epoll_create1(EPOLL_CLOEXEC);
    return poll->fd >= 0;
}

void
poll_close(struct poll *poll)
{
    if (poll->fd >= 0) {
        close(poll->fd);
        poll->fd = -1;
    }
}

static bool
control(struct poll *poll, int operation, int fd, enum poll_for what, struct poll_source *source)
{
    struct epoll_event event = {
        .events = what == POLL_WRITE ? EPOLLOUT : EPOLLIN,
        .data.ptr = source,
    };
    return epoll_ctl(poll->fd, operation, fd, &event) == 0;
}

bool
poll_add(struct poll *poll, int fd, enum poll_for what, struct poll_source *source)
{
    return control(poll, EPOLL_CTL_ADD, fd, what, source);
}

bool
poll_change(struct poll *poll, int fd, enum poll_for what, struct poll_source *source)
{
    return control(poll, EPOLL_CTL_MOD, fd, what, source);
}

void
poll_remove(struct poll *poll, int fd)
{
    bool there = control(poll, EPOLL_CTL_DEL, fd, POLL_READ, NULL);
    assert(there);
}

unsigned
poll_wait(struct poll *poll, int timeout_ms)
{
    struct epoll_event events[POLL_BATCH];
    int ready = call_epoll_wait(poll->fd, events, (int)POLL_BATCH, timeout_ms);
    assert(ready >= 0 || errno == EINTR);
    for (int i = 0; i < ready; i++) {
        struct poll_source *source = events[i].data.ptr;
        source->ready(source);
    }
    return ready > 0 ? (unsigned)ready : 0;
}
