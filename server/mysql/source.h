/*
 * The log of a server, packet by packet, as a replica would be sent it.
 *
 *     source_open()     connect, log in, learn what the server is and where its log ends
 *     source_begin()    ask for the log from a position on
 *     source_next()     one event at a time, or why there is none
 */
#ifndef LARDER_MYSQL_SOURCE_H
#define LARDER_MYSQL_SOURCE_H

#include "mysql/link.h"
#include "mysql/position.h"

#define SOURCE_IDENTITY_CAP 256u

enum source_result {
    SOURCE_OK,
    SOURCE_LOST,      /* connection; or it could not be made */
    SOURCE_GAP,       /* the log from that position on is not to be had any more, or never was */
    SOURCE_DUPLICATE, /* another reader has the same server id */
    SOURCE_TOO_LONG,  /* an event above LINK_PACKET_MAX */
};

struct source {
    struct link link;
    bool by_gtid;
    uint8_t checksum;                   /* enum event_checksum */
    uint32_t server_id;                 /* ours */
    struct position current;            /* the end of the log when source_open() looked */
    char identity[SOURCE_IDENTITY_CAP]; /* tells servers apart behind one address */
};

void source_init(struct source *source);
void source_fini(struct source *source);

/** Errors: SOURCE_LOST with source->link.error. */
enum source_result source_open(struct source *source, const struct rules_source *settings,
                               const struct rules_host *host) __attribute__((warn_unused_result));
void source_close(struct source *source);

/** A number for a reader of a log: high, as nobody gives them to servers, and by chance. */
uint32_t source_choose_server_id(void);

/** server_id   ours, not 0: no two readers of a server may have the same */
enum source_result source_begin(struct source *source, const struct rules_source *settings,
                                const struct position *from, uint32_t server_id)
    __attribute__((warn_unused_result));

/** Waits for the next event, which lies in the source until the next call. */
enum source_result source_next(struct source *source, struct bytes *event)
    __attribute__((warn_unused_result));

/** What tells servers apart, for a second connection: SQL of one value. */
extern const char source_identity_sql[];

#endif
