#include "config.h"

#include "sandbox.h"

#include "base/log.h"

#ifdef HAVE_SECCOMP

#include "options.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/** What no thread of a server does once its sockets are bound. */
static const char *const denied[] = {
    /* programs and processes; see also add_clone_rules() */
    "execve",
    "execveat",
    "fork",
    "vfork",
    "setns",
    "unshare",
    "chroot",
    "pivot_root",
    /* other processes */
    "ptrace",
    "process_vm_readv",
    "process_vm_writev",
    "process_madvise",
    "kcmp",
    "pidfd_getfd",
    "pidfd_open",
    "pidfd_send_signal",
    /* another identity */
    "setuid",
    "setgid",
    "setreuid",
    "setregid",
    "setresuid",
    "setresgid",
    "setfsuid",
    "setfsgid",
    "setgroups",
    "capset",
    /* the system */
    "mount",
    "umount2",
    "move_mount",
    "open_tree",
    "fsopen",
    "fsmount",
    "fsconfig",
    "fspick",
    "swapon",
    "swapoff",
    "reboot",
    "kexec_load",
    "kexec_file_load",
    "init_module",
    "finit_module",
    "delete_module",
    "bpf",
    "perf_event_open",
    "userfaultfd",
    "keyctl",
    "add_key",
    "request_key",
    "acct",
    "quotactl",
    "settimeofday",
    "clock_settime",
    "clock_adjtime",
    "adjtimex",
    "sethostname",
    "setdomainname",
    "iopl",
    "ioperm",
    "personality",
    "open_by_handle_at",
    "fanotify_init",
    "mknod",
    "mknodat",
    "chmod",
    "fchmod",
    "fchmodat",
    "chown",
    "fchown",
    "lchown",
    "fchownat",
    /* rings of calls that no filter sees */
    "io_uring_setup",
    "io_uring_enter",
    "io_uring_register",
};

/** New sockets; the MySQL hook alone connects again and again. */
static const char *const sockets[] = { "socket", "socketpair", "bind", "connect" };

/** All that a worker does: sockets that it was given, memory, time, its loop, and files that it
 * reads: certificates, locales, what OpenSSL and SASL look up. */
static const char *const worker_allowed[] = {
    /* connections */
    "read",
    "readv",
    "recvfrom",
    "recvmsg",
    "recvmmsg",
    "recv",
    "write",
    "writev",
    "sendto",
    "sendmsg",
    "sendmmsg",
    "send",
    "shutdown",
    "close",
    "getsockname",
    "getpeername",
    "getsockopt",
    "setsockopt",
    "fcntl",
    "fcntl64",
    "pread64",
    "pwrite64",
    /* the loop */
    "epoll_create",
    "epoll_create1",
    "epoll_ctl",
    "epoll_wait",
    "epoll_pwait",
    "epoll_pwait2",
    "eventfd2",
    "pipe2",
    "poll",
    "ppoll",
    "ppoll_time64",
    "select",
    "pselect6",
    "timerfd_create",
    "timerfd_settime",
    /* memory */
    "brk",
    "munmap",
    "mremap",
    "madvise",
    "mincore",
    "msync",
    "fallocate", /* of the memory file (-e): the one file that is open to be written */
    "membarrier",
    "mlock",
    "mlock2",
    "munlock",
    /* threads and signals */
    "futex",
    "futex_time64",
    "futex_waitv",
    "set_robust_list",
    "get_robust_list",
    "rseq",
    "set_tid_address",
    "gettid",
    "getpid",
    "getppid",
    "sched_yield",
    "sched_getaffinity",
    "getcpu",
    "rt_sigaction",
    "rt_sigprocmask",
    "rt_sigreturn",
    "sigreturn",
    "sigaltstack",
    "restart_syscall",
    "exit",
    "exit_group",
    "nanosleep",
    "clock_nanosleep",
    "clock_nanosleep_time64",
    /* time, random numbers, who and where */
    "clock_gettime",
    "clock_gettime64",
    "clock_getres",
    "clock_getres_time64",
    "gettimeofday",
    "time",
    "getrandom",
    "getrusage",
    "sysinfo",
    "uname",
    "times",
    "getuid",
    "geteuid",
    "getgid",
    "getegid",
    "prlimit64",
    "getrlimit",
    "ugetrlimit",
    "prctl",
    /* files that it reads; see also add_argument_rules() */
    "fstat",
    "fstat64",
    "stat",
    "stat64",
    "lstat",
    "lstat64",
    "newfstatat",
    "fstatat64",
    "statx",
    "statfs",
    "fstatfs",
    "lseek",
    "_llseek",
    "access",
    "faccessat",
    "faccessat2",
    "readlink",
    "readlinkat",
    "getdents",
    "getdents64",
    "getcwd",
    "dup",
    "fadvise64",
};

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

/** One rule for a call by its name; a call that this kernel or architecture has not needs none. */
static int
add_named(scmp_filter_ctx filter, uint32_t action, const char *name)
{
    int number = seccomp_syscall_resolve_name(name);
    if (number == __NR_SCMP_ERROR) {
        return 0;
    }
    int rc = seccomp_rule_add(filter, action, number, 0);
    return rc == -EACCES ? 0 : rc; /* it is the filter's default already */
}

static int
add_all(scmp_filter_ctx filter, uint32_t action, const char *const *names, size_t count)
{
    int rc = 0;
    for (size_t i = 0; i < count && rc == 0; i++) {
        rc = add_named(filter, action, names[i]);
    }
    return rc;
}

/** Threads may be started, processes not.  The arguments of clone3() lie in memory, where no filter
 * looks: without it the C library takes clone(). */
static int
add_clone_rules(scmp_filter_ctx filter)
{
    int rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
                              SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0));
    return rc != 0 ? rc : seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
}

/** A condition on one argument: its bits under `mask` are `bits`. */
struct bits_rule {
    uint32_t action;
    int call;
    unsigned argument;
    uint64_t mask;
    uint64_t bits;
};

/** Files are opened to be read alone; memory is either written or run; a signal (abort()) goes to
 * this process alone. */
static int
add_argument_rules(scmp_filter_ctx filter)
{
    const uint32_t no = SCMP_ACT_ERRNO(EPERM);
    const uint32_t yes = SCMP_ACT_ALLOW;
    const uint64_t wx = PROT_WRITE | PROT_EXEC;
    const struct bits_rule rules[] = {
        { yes, SCMP_SYS(open), 1, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY },
        { no, SCMP_SYS(open), 1, O_ACCMODE, O_WRONLY },
        { no, SCMP_SYS(open), 1, O_ACCMODE, O_RDWR },
        { yes, SCMP_SYS(openat), 2, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY },
        { no, SCMP_SYS(openat), 2, O_ACCMODE, O_WRONLY },
        { no, SCMP_SYS(openat), 2, O_ACCMODE, O_RDWR },
        { yes, SCMP_SYS(mmap), 2, wx, 0 },
        { yes, SCMP_SYS(mmap), 2, wx, PROT_WRITE },
        { yes, SCMP_SYS(mmap), 2, wx, PROT_EXEC },
        { no, SCMP_SYS(mmap), 2, wx, wx },
        { yes, SCMP_SYS(mmap2), 2, wx, 0 },
        { yes, SCMP_SYS(mmap2), 2, wx, PROT_WRITE },
        { yes, SCMP_SYS(mmap2), 2, wx, PROT_EXEC },
        { no, SCMP_SYS(mmap2), 2, wx, wx },
        { yes, SCMP_SYS(mprotect), 2, wx, 0 },
        { yes, SCMP_SYS(mprotect), 2, wx, PROT_WRITE },
        { yes, SCMP_SYS(mprotect), 2, wx, PROT_EXEC },
        { no, SCMP_SYS(mprotect), 2, wx, wx },
        { yes, SCMP_SYS(tgkill), 0, UINT32_MAX, (uint64_t)getpid() },
    };
    int rc = 0;
    for (size_t i = 0; i < COUNT(rules) && rc == 0; i++) {
        rc = seccomp_rule_add(
            filter, rules[i].action, rules[i].call, 1,
            SCMP_CMP(rules[i].argument, SCMP_CMP_MASKED_EQ, rules[i].mask, rules[i].bits));
    }
    return rc;
}

/** What would change files, start or signal others: named, so that it fails with EPERM. */
static const char *const worker_denied[] = {
    "clone",     "listen", "kill",     "tkill",     "openat2",  "creat",     "unlink",
    "unlinkat",  "rename", "renameat", "renameat2", "link",     "linkat",    "symlink",
    "symlinkat", "mkdir",  "mkdirat",  "rmdir",     "truncate", "ftruncate",
};

/** A worker is given its connections. */
static const char *const accepting[] = { "accept", "accept4" };

/** Puts the filter into force, and lets go of it. */
static bool
load(scmp_filter_ctx filter, int rc, const char *whom)
{
    if (filter != NULL && rc == 0) {
        rc = seccomp_load(filter);
    }
    if (filter != NULL) {
        seccomp_release(filter);
    }
    if (filter == NULL || rc != 0) {
        log_line("-o drop_privileges: cannot filter the system calls of %s: %s", whom,
                 strerror(filter == NULL ? ENOMEM : -rc));
        return false;
    }
    return true;
}

bool
sandbox_process(void)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    int rc = filter != NULL ? add_all(filter, SCMP_ACT_ERRNO(EPERM), denied, COUNT(denied)) : 0;
    if (filter != NULL && rc == 0) {
        rc = add_clone_rules(filter);
    }
    return load(filter, rc, "the process");
}

bool
sandbox_sockets(void)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    int rc = filter != NULL ? add_all(filter, SCMP_ACT_ERRNO(EPERM), sockets, COUNT(sockets)) : 0;
    return load(filter, rc, "the process");
}

/** A filter that leaves a list of calls. */
static bool
filter_thread(bool accepts, const char *whom)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
    int rc =
        filter != NULL ? add_all(filter, SCMP_ACT_ALLOW, worker_allowed, COUNT(worker_allowed)) : 0;
    if (filter != NULL && rc == 0) {
        rc = add_argument_rules(filter);
    }
    if (filter != NULL && rc == 0) {
        rc = add_all(filter, SCMP_ACT_ERRNO(EPERM), worker_denied, COUNT(worker_denied));
    }
    if (filter != NULL && rc == 0) {
        rc = add_all(filter, accepts ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO(EPERM), accepting,
                     COUNT(accepting));
    }
    if (filter != NULL && rc == 0) {
        rc = add_all(filter, SCMP_ACT_ERRNO(EPERM), denied, COUNT(denied));
    }
    if (filter != NULL && rc == 0) {
        rc = add_all(filter, SCMP_ACT_ERRNO(EPERM), sockets, COUNT(sockets));
    }
    return load(filter, rc, whom);
}

bool
sandbox_worker(void)
{
    return filter_thread(false, "a worker");
}

void
sandbox_worker_or_exit(void)
{
    if (!sandbox_worker()) {
        _exit(OPTIONS_EXIT_OS); /* rather no server than one without what it was asked for */
    }
}

void
sandbox_acceptor_or_exit(void)
{
    if (!filter_thread(true, "the thread of -o metrics")) {
        _exit(OPTIONS_EXIT_OS);
    }
}

#else

bool
sandbox_process(void)
{
    log_line("-o drop_privileges: this build of larder has no seccomp");
    return false;
}

bool
sandbox_sockets(void)
{
    return sandbox_process();
}

bool
sandbox_worker(void)
{
    return sandbox_process();
}

void
sandbox_worker_or_exit(void)
{
}

void
sandbox_acceptor_or_exit(void)
{
}

#endif
