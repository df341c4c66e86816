#include "config.h"

#include "process.h"

#include "base/log.h"
#include "options.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <link.h>
#include <pwd.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef HAVE_SYS_PRCTL_H
#include <sys/prctl.h>
#endif

#define DESCRIPTORS_BESIDE \
    80u /* beside clients and workers: listeners, standard streams, loop, files */
#define DESCRIPTORS_PER_WORKER 3u

/* -- signals ----------------------------------------------------------------------------------- */

static const int stop_signals[] = { SIGTERM, SIGINT, SIGUSR1 };
#define STOP_SIGNALS (sizeof(stop_signals) / sizeof(stop_signals[0]))

void
process_ignore_signals(void)
{
    (void)signal(SIGHUP, SIG_IGN);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN);
}

void
process_hold_stop_signals(void)
{
    sigset_t held;
    sigemptyset(&held);
    for (size_t i = 0; i < STOP_SIGNALS; i++) {
        sigaddset(&held, stop_signals[i]);
    }
    (void)sigprocmask(SIG_BLOCK, &held, NULL);
}

bool
process_is_to_stop(void)
{
    sigset_t waiting;
    if (sigpending(&waiting) != 0) {
        return false;
    }
    for (size_t i = 0; i < STOP_SIGNALS; i++) {
        if (sigismember(&waiting, stop_signals[i]) == 1) {
            return true;
        }
    }
    return false;
}

/* -- limits ------------------------------------------------------------------------------------ */

int
process_allow_coredumps(void)
{
    struct rlimit limit = { .rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY };
    if (setrlimit(RLIMIT_CORE, &limit) != 0 && getrlimit(RLIMIT_CORE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_CORE, &limit);
    }
    if (getrlimit(RLIMIT_CORE, &limit) != 0 || limit.rlim_cur == 0) {
        log_line("failed to ensure corefile creation: -r needs a core file limit above 0");
        return OPTIONS_EXIT_OS;
    }
    return 0;
}

int
process_allow_descriptors(const struct settings *settings)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        log_line("failed to getrlimit number of files: %s", strerror(errno));
        return OPTIONS_EXIT_OS;
    }
    rlim_t least = settings->conns_max;
    rlim_t wanted = least + DESCRIPTORS_BESIDE + (rlim_t)DESCRIPTORS_PER_WORKER * settings->threads;
    if (settings->udp_port != 0) { /* two of an address: a name's v4 and v6 */
        rlim_t addresses = settings->listen_count > 0 ? settings->listen_count : 1;
        wanted += 2 * addresses * settings->threads;
    }
    wanted += (rlim_t)settings->sockets_handed_over * settings->threads; /* if all are UDP's */
    if (limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur >= wanted) {
        return 0;
    }
    struct rlimit raised = limit;
    raised.rlim_cur = wanted;
    if (raised.rlim_max != RLIM_INFINITY && raised.rlim_max < wanted) {
        raised.rlim_max = wanted;
        if (setrlimit(RLIMIT_NOFILE, &raised) == 0) {
            return 0;
        }
        /* Not root: as far as it goes.  When descriptors run out, clients wait. */
        raised.rlim_max = limit.rlim_max;
        raised.rlim_cur = limit.rlim_max;
    }
    rlim_t reached = setrlimit(RLIMIT_NOFILE, &raised) == 0 ? raised.rlim_cur : limit.rlim_cur;
    if (reached < least) {
        log_line(
            "failed to set rlimit for open files. Try starting as root or requesting smaller maxconns value.\n"
            "-c %u needs as many; the limit is %llu",
            settings->conns_max, (unsigned long long)reached);
        return OPTIONS_EXIT_OS;
    }
    return 0;
}

int
process_check_large_pages(void)
{
    char mode[128] = "";
    FILE *file = fopen("/sys/kernel/mm/transparent_hugepage/enabled", "re");
    if (file != NULL) {
        if (fgets(mode, sizeof(mode), file) == NULL) {
            mode[0] = '\0';
        }
        (void)fclose(file);
    }
    if (mode[0] == '\0' || strstr(mode, "[never]") != NULL) {
        log_line(
            "-L: this system has no large pages to give: /sys/kernel/mm/transparent_hugepage/enabled is %s",
            mode[0] != '\0' ? "never" : "missing");
        return OPTIONS_EXIT_BAD;
    }
    return 0;
}

/* -- user -------------------------------------------------------------------------------------- */

int
process_switch_user(const struct settings *settings)
{
    if (getuid() != 0 && geteuid() != 0) {
        return 0;
    }
    if (settings->user == NULL || settings->user[0] == '\0') {
        log_line("can't run as root without the -u switch: must add '-u root' to start as root");
        return OPTIONS_EXIT_USAGE;
    }
    errno = 0;
    const struct passwd *user = getpwnam(settings->user);
    if (user == NULL) {
        log_line("can't find the user %.200s to switch to%s%s", settings->user,
                 errno != 0 ? ": " : "", errno != 0 ? strerror(errno) : "");
        return OPTIONS_EXIT_USER;
    }
    if (setgroups(0, NULL) != 0 && user->pw_uid != 0) {
        log_line("failed to drop supplementary groups: %s", strerror(errno));
        return OPTIONS_EXIT_OS;
    }
    if (setgid(user->pw_gid) != 0 || setuid(user->pw_uid) != 0) {
        log_line("failed to assume identity of user %.200s: %s", settings->user, strerror(errno));
        return OPTIONS_EXIT_OS;
    }
#ifdef HAVE_SYS_PRCTL_H
    /* A change of user takes the right to a core file away. */
    if (settings->coredumps && prctl(PR_SET_DUMPABLE, 1L, 0L, 0L, 0L) != 0) {
        log_line("failed to ensure corefile creation: %s", strerror(errno));
    }
#endif
    return 0;
}

/* -- daemon ------------------------------------------------------------------------------------ */

/** The parent's end: that of its child, if the child does not get as far as serving. */
static _Noreturn void
parent_wait(pid_t child, int ready_fd)
{
    char told = 0;
    ssize_t got;
    do {
        got = read(ready_fd, &told, 1);
    } while (got < 0 && errno == EINTR);
    if (got == 1) {
        _exit(0);
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : OPTIONS_EXIT_OS);
}

int
process_daemonize(int *ready_fd)
{
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) != 0) {
        log_line("failed to daemon() in order to daemonize: pipe: %s", strerror(errno));
        return OPTIONS_EXIT_OS;
    }
    pid_t child = fork();
    if (child < 0) {
        log_line("failed to daemon() in order to daemonize: fork: %s", strerror(errno));
        close(fds[0]);
        close(fds[1]);
        return OPTIONS_EXIT_OS;
    }
    if (child > 0) {
        close(fds[1]);
        parent_wait(child, fds[0]);
    }
    close(fds[0]);
    (void)setsid();
    *ready_fd = fds[1];
    return 0;
}

void
process_tell_ready(int ready_fd, bool keep_output)
{
    if (ready_fd < 0) {
        return;
    }
    if (!keep_output) {
        int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
        if (null_fd >= 0) {
            (void)dup2(null_fd, STDIN_FILENO);
            (void)dup2(null_fd, STDOUT_FILENO);
            (void)dup2(null_fd, STDERR_FILENO);
            if (null_fd > STDERR_FILENO) {
                close(null_fd);
            }
        }
    }
    ssize_t written = write(ready_fd, "", 1);
    (void)written;
    close(ready_fd);
}

/* -- memory ------------------------------------------------------------------------------------ */

/** For dl_iterate_phdr(): never stops it. */
static int
forget_object(struct dl_phdr_info *object, size_t size, void *arg)
{
    (void)size;
    (void)arg;
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    for (size_t i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &object->dlpi_phdr[i];
        /* What nobody can write to is as in its file.  Data that is read-only only since it was
         * relocated belongs to a part that can be written to. */
        if (part->p_type != PT_LOAD || (part->p_flags & PF_W) != 0) {
            continue;
        }
        uintptr_t begin = (object->dlpi_addr + part->p_vaddr) & ~(page - 1);
        uintptr_t end = object->dlpi_addr + part->p_vaddr + part->p_memsz;
        /* Refused where pages are locked; then they stay. */
        (void)madvise((void *)begin, end - begin, MADV_DONTNEED);
    }
    return 0;
}

void
process_forget_start(void)
{
    (void)dl_iterate_phdr(forget_object, NULL);
}

/* -- files ------------------------------------------------------------------------------------- */

/** The number in a pid file; 0 for none. */
static pid_t
read_pid(const char *path)
{
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return 0;
    }
    char line[32] = "";
    if (fgets(line, sizeof(line), file) == NULL) {
        line[0] = '\0';
    }
    (void)fclose(file);
    long pid = strtol(line, NULL, 10);
    return pid > 0 && pid <= INT32_MAX ? (pid_t)pid : 0;
}

/** Opens PATH with `suffix` behind it for writing; NULL after having told why. */
static FILE *
open_beside(const char *what, const char *path, const char *suffix, char *name, size_t name_cap)
{
    int len = snprintf(name, name_cap, "%s%s", path, suffix);
    if (len < 0 || (size_t)len >= name_cap) {
        log_line("Could not open the %s %.200s...: name too long", what, path);
        return NULL;
    }
    FILE *file = fopen(name, "we");
    if (file == NULL) {
        log_line("Could not open the %s %s for writing: %s", what, name, strerror(errno));
    }
    return file;
}

/** Ends a file begun by open_beside(), and gives it its name; false after having told why. */
static bool
finish_beside(const char *what, FILE *file, const char *name, const char *path)
{
    bool written = ferror(file) == 0;
    written = fclose(file) == 0 && written;
    if (!written) {
        log_line("Could not write the %s %s: %s", what, name, strerror(errno));
        (void)unlink(name);
        return false;
    }
    if (rename(name, path) != 0) {
        log_line("Could not rename the %s from %s to %s: %s", what, name, path, strerror(errno));
        (void)unlink(name);
        return false;
    }
    return true;
}

bool
process_write_pid(const char *path)
{
    pid_t other = read_pid(path);
    if (other > 0 && other != getpid() && (kill(other, 0) == 0 || errno == EPERM)) {
        log_line("WARNING: The pid file contained the following (running) pid: %ld", (long)other);
    }
    char name[4096];
    FILE *file = open_beside("pid file", path, ".tmp", name, sizeof(name));
    if (file == NULL) {
        return false;
    }
    fprintf(file, "%ld\n", (long)getpid());
    return finish_beside("pid file", file, name, path);
}

void
process_remove_pid(const char *path)
{
    if (read_pid(path) == getpid() && unlink(path) != 0) {
        log_line("Could not remove the pid file %s: %s", path, strerror(errno));
    }
}

static void
write_port(void *arg, const char *transport, int family, unsigned port)
{
    fprintf((FILE *)arg, "%s %s: %u\n", transport, family == AF_INET6 ? "INET6" : "INET", port);
}

void
process_write_ports(const struct server *server)
{
    const char *path = getenv("MEMCACHED_PORT_FILENAME");
    if (path == NULL || path[0] == '\0') {
        return;
    }
    char name[4096];
    FILE *file = open_beside("port file", path, ".lck", name, sizeof(name));
    if (file != NULL) {
        server_ports(server, write_port, file);
        (void)finish_beside("port file", file, name, path);
    }
}
