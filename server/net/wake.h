/* Wakes an event loop from another thread: a descriptor that becomes readable. */
#ifndef LARDER_NET_WAKE_H
#define LARDER_NET_WAKE_H

#include <stdbool.h>

struct wake {
    int read_fd;  /* for the loop */
    int write_fd; /* the same descriptor where the system has eventfd */
};

/** Errors: false when there are no descriptors; errno tells why. */
__attribute__((warn_unused_result)) bool wake_open(struct wake *wake);
void wake_close(struct wake *wake);
/** Any thread, and signal handlers. */
void wake_post(struct wake *wake);
/** Makes the descriptor unreadable again.  The loop's thread. */
void wake_clear(struct wake *wake);

#endif
