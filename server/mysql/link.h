/*
 * One connection to a server of either family: authentication, TLS, queries, and raw packets for
 * source.h.  libmariadb is called in link.c and source.c alone.
 */
#ifndef LARDER_MYSQL_LINK_H
#define LARDER_MYSQL_LINK_H

#include "base/lock.h"
#include "mysql/bytes.h"
#include "mysql/rules.h"

#define LINK_ERROR_CAP   512u        /* bytes of an error text, NUL included */
#define LINK_PACKET_MAX  (64u << 20) /* bytes; a longer event is answered LINK_TOO_LONG */
#define LINK_COLUMNS_MAX 16u         /* of a row that a query of ours gives */

enum link_result {
    LINK_OK,
    LINK_REFUSED,  /* the server says no: `number` and `error` tell why */
    LINK_TOO_LONG, /* a packet above LINK_PACKET_MAX; the connection is of no use any more */
    LINK_LOST,     /* no connection, or no longer */
};

struct link {
    void *mysql; /* MYSQL; NULL: not open */
    bool is_mariadb;
    unsigned version; /* 80402 for 8.4.2 */
    unsigned number;  /* of the server's last error */
    char error[LINK_ERROR_CAP];
    struct lock lock; /* of the next two, which other threads ask for */
    int fd;           /* -1: none to be shut down */
    bool is_stopped;
};

/** For the whole process, before any thread; and after all of them. */
bool link_library_open(void);
void link_library_close(void);

void link_init(struct link *link);
void link_fini(struct link *link);

/**
 * Connects and logs in.  Bounded by timeout_ms of the settings for each of its steps.
 *
 * host   one of source->hosts
 */
enum link_result link_open(struct link *link, const struct rules_source *source,
                           const struct rules_host *host) __attribute__((warn_unused_result));
void link_close(struct link *link);

/** Wakes whoever waits for the server: that call and all later ones answer LINK_LOST.  Any thread.
 */
void link_stop(struct link *link);
/** The same for the connection that is open now alone.  Any thread. */
void link_break(struct link *link);

/** Takes a row of a result: `values[i].at` is NULL for NULL.  Borrowed until it returns. */
typedef void link_row_fn(void *arg, const struct bytes *values, unsigned count);

/** Runs one statement or several; `row` may be NULL. */
enum link_result link_query(struct link *link, const char *sql, link_row_fn *row, void *arg)
    __attribute__((warn_unused_result));

/** Notes the error of the last call of libmariadb, and tells what it means for the connection. */
enum link_result link_take_error(struct link *link) __attribute__((warn_unused_result));

/** The first value of the first row as text, cut to `cap`; "" for NULL and without a row. */
enum link_result link_query_text(struct link *link, const char *sql, char *out, size_t cap)
    __attribute__((warn_unused_result));

/** Text as a string of SQL with its quotes.  False: no room. */
bool link_quote(struct link *link, struct bytes text, char *out, size_t cap);

#endif
