#include "config.h"

#include "net/wake.h"

#include <fcntl.h>
#include <stdint.h>
#include <unistd.h>

#ifdef __linux__
#include <sys/eventfd.h>
#endif

bool
wake_open(struct wake *wake)
{
#ifdef __linux__
    wake->read_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    wake->write_fd = wake->read_fd;
    return wake->read_fd >= 0;
#else
    int fds[2];
    if (pipe(fds) != 0) {
        wake->read_fd = -1;
        wake->write_fd = -1;
        return false;
    }
    for (unsigned i = 0; i < 2; i++) {
        (void)fcntl(fds[i], F_SETFL, O_NONBLOCK);
        (void)fcntl(fds[i], F_SETFD, FD_CLOEXEC);
    }
    wake->read_fd = fds[0];
    wake->write_fd = fds[1];
    return true;
#endif
}

void
wake_close(struct wake *wake)
{
    if (wake->read_fd >= 0) {
        close(wake->read_fd);
    }
    if (wake->write_fd >= 0 && wake->write_fd != wake->read_fd) {
        close(wake->write_fd);
    }
    wake->read_fd = -1;
    wake->write_fd = -1;
}

void
wake_post(struct wake *wake)
{
    uint64_t one = 1;
    /* A full pipe or counter is a wake-up that is still to be read: nothing is lost. */
    ssize_t written = write(wake->write_fd, &one, sizeof(one));
    (void)written;
}

void
wake_clear(struct wake *wake)
{
    uint64_t drained[16];
    ssize_t got;
    do {
        got = read(wake->read_fd, drained, sizeof(drained));
    } while (got == (ssize_t)sizeof(drained));
}
