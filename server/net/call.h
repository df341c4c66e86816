/* The system calls of a turn, without what the C library puts around them.
 *
 * Its recv(), send() and epoll_wait() are cancellation points: in a process of several threads each
 * spends 64 instructions on switching cancellation on and off.  No thread of ours is ever
 * cancelled.  Results and errno are the same.
 *
 * Sanitizers know the library's functions and what these write: there, they are called.
 */
#ifndef LARDER_NET_CALL_H
#define LARDER_NET_CALL_H

#include <stddef.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CALL_LIBRARY 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
    __has_feature(memory_sanitizer)
#define CALL_LIBRARY 1
#endif
#endif

/* Where the kernel's call takes the arguments as they are: not on systems of 32 bits. */
#if !defined(CALL_LIBRARY) && defined(__LP64__) && defined(SYS_recvfrom) && defined(SYS_sendto) && \
    defined(SYS_epoll_pwait)
#define CALL_DIRECT 1
#endif

static inline ssize_t
call_recv(int fd, void *at, size_t len)
{
#ifdef CALL_DIRECT
    return syscall(SYS_recvfrom, fd, at, len, 0, NULL, NULL);
#else
    return recv(fd, at, len, 0);
#endif
}

static inline ssize_t
call_send(int fd, const void *at, size_t len, int flags)
{
#ifdef CALL_DIRECT
    return syscall(SYS_sendto, fd, at, len, flags, NULL, 0);
#else
    return send(fd, at, len, flags);
#endif
}

static inline int
call_epoll_wait(int fd, struct epoll_event *events, int max, int timeout_ms)
{
#ifdef CALL_DIRECT
    return (int)syscall(SYS_epoll_pwait, fd, events, max, timeout_ms, NULL, 0);
#else
    return epoll_wait(fd, events, max, timeout_ms);
#endif
}

#endif
