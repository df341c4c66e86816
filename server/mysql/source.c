#include "config.h"

#include "mysql/source.h"

#include "base/assert.h"
#include "base/rng.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GTIDS_FIRST_CAP 4096u
#define SQL_CAP         512u
#define RECEIVED_WAIT_S "0.5"

const char source_identity_sql[] = "SELECT CONCAT(@@server_id, '/', @@hostname, '/', @@port)";

void
source_init(struct source *source)
{
    *source = (struct source){ .by_gtid = false };
    link_init(&source->link);
    position_init(&source->current);
}

void
source_fini(struct source *source)
{
    source_close(source);
    position_fini(&source->current);
    link_fini(&source->link);
}

void
source_close(struct source *source)
{
    link_close(&source->link);
}

uint32_t
source_choose_server_id(void)
{
    return 0x60000000u | (uint32_t)(rng_system() & 0x1fffffffu);
}

/* -- where the log ends ------------------------------------------------------------------------ */

struct set_arg {
    struct gtid_set *set;
    bool ok;
};

/** link_row_fn: a set of GTIDs of any length. */
static void
take_set(void *arg, const struct bytes *values, unsigned count)
{
    struct set_arg *taken = arg;
    taken->ok = count > 0 && gtid_set_parse(taken->set, values[0]) == GTID_DONE;
}

/** link_row_fn: SHOW MASTER STATUS. */
static void
take_file(void *arg, const struct bytes *values, unsigned count)
{
    struct position *position = arg;
    uint64_t offset = 0;
    if (count < 2 || values[0].at == NULL) {
        return;
    }
    for (size_t i = 0; i < values[1].len; i++) {
        offset = offset * 10 + (uint64_t)(values[1].at[i] - '0');
    }
    position_set_file(position, values[0], offset);
}

static enum link_result
read_gtids(struct source *source)
{
    struct set_arg taken = { .set = &source->current.gtids };
    enum link_result result = link_query(&source->link,
                                         source->link.is_mariadb ? "SELECT @@global.gtid_binlog_pos"
                                                                 : "SELECT @@global.gtid_executed",
                                         take_set, &taken);
    if (result == LINK_OK && !taken.ok) {
        snprintf(source->link.error, sizeof(source->link.error),
                 "the server's GTIDs cannot be read, or are more than %u", GTID_ENTRIES_MAX);
        return LINK_LOST;
    }
    return result;
}

/** By GTID the file is good to have: without the grant for it, it stays unknown. */
static enum link_result
read_file(struct source *source)
{
    bool is_new = !source->link.is_mariadb && source->link.version >= 80200;
    enum link_result result =
        link_query(&source->link, is_new ? "SHOW BINARY LOG STATUS" : "SHOW MASTER STATUS",
                   take_file, &source->current);
    return result == LINK_REFUSED && source->by_gtid ? LINK_OK : result;
}

static enum link_result
read_current(struct source *source)
{
    position_clear(&source->current);
    source->current.is_mariadb = source->link.is_mariadb;
    source->current.by_gtid = source->by_gtid;
    enum link_result result = source->by_gtid ? read_gtids(source) : LINK_OK;
    /* After the GTIDs: the file's end is then not before them. */
    if (result == LINK_OK) {
        result = read_file(source);
    }
    if (result == LINK_OK && !source->by_gtid && source->current.file[0] == '\0') {
        snprintf(source->link.error, sizeof(source->link.error),
                 "the server has no binary log (log_bin)");
        return LINK_LOST;
    }
    source->current.is_known = result == LINK_OK;
    return result;
}

/* -- opening ----------------------------------------------------------------------------------- */

static enum link_result
learn_server(struct source *source)
{
    struct link *link = &source->link;
    char text[SOURCE_IDENTITY_CAP];
    enum link_result result =
        link_query_text(link, source_identity_sql, source->identity, sizeof(source->identity));
    if (result == LINK_OK) {
        result = link_query_text(link, "SELECT @@global.log_bin", text, sizeof(text));
    }
    if (result == LINK_OK && strcmp(text, "1") != 0) {
        snprintf(link->error, sizeof(link->error), "the server has no binary log (log_bin)");
        return LINK_LOST;
    }
    source->by_gtid = link->is_mariadb;
    if (result == LINK_OK && !link->is_mariadb) {
        result = link_query_text(link, "SELECT @@global.gtid_mode", text, sizeof(text));
        source->by_gtid = strcmp(text, "ON") == 0;
    }
    if (result == LINK_OK) {
        result = link_query_text(link, "SELECT @@global.binlog_checksum", text, sizeof(text));
        source->checksum = strcmp(text, "CRC32") == 0 ? EVENT_CHECKSUM_CRC32 : EVENT_CHECKSUM_NONE;
    }
    return result == LINK_OK ? read_current(source) : result;
}

enum source_result
source_open(struct source *source, const struct rules_source *settings,
            const struct rules_host *host)
{
    enum link_result result = link_open(&source->link, settings, host);
    if (result == LINK_OK) {
        result = learn_server(source);
    }
    if (result != LINK_OK) {
        link_close(&source->link);
        return SOURCE_LOST;
    }
    return SOURCE_OK;
}

/* -- asking for the log ------------------------------------------------------------------------ */

#ifdef HAVE_HOOK

#include <mysql.h>
#include <mysqld_error.h>

#include "base/assert.h" /* again: mysql.h may include the C library's */

/** Whether the text says that two readers have the same id.  Servers differ in the number. */
static bool
is_duplicate(const struct link *link)
{
    bool says_so = strstr(link->error, "same server_uuid") != NULL ||
                   strstr(link->error, "same server_id") != NULL;
    return link->number == ER_SLAVE_SAME_ID ||
           (link->number == ER_MASTER_FATAL_ERROR_READING_BINLOG && says_so);
}

static enum source_result
refused(const struct link *link)
{
    if (is_duplicate(link)) {
        return SOURCE_DUPLICATE;
    }
    bool is_gtid_unknown = link->number >= ER_FAILED_GTID_STATE_INIT &&
                           link->number <= ER_BINLOG_MUST_BE_EMPTY; /* MariaDB's */
    return link->number == ER_MASTER_FATAL_ERROR_READING_BINLOG || is_gtid_unknown ? SOURCE_GAP
                                                                                   : SOURCE_LOST;
}

static enum source_result
of_link(const struct link *link, enum link_result result)
{
    switch (result) {
    case LINK_OK:
        return SOURCE_OK;
    case LINK_REFUSED:
        return refused(link);
    case LINK_TOO_LONG:
        return SOURCE_TOO_LONG;
    case LINK_LOST:
        break;
    }
    return SOURCE_LOST;
}

/** Sends a command whose answer is OK or an error, or (`streams`) is read packet by packet. */
static enum link_result
send_command(struct link *link, enum enum_server_command command, const struct writer *body,
             bool streams)
{
    MYSQL *mysql = link->mysql;
    if (mysql->methods->db_command(mysql, command, body->at, body->len, streams, NULL) != 0) {
        return link_take_error(link);
    }
    return LINK_OK;
}

static enum link_result
tell_mariadb(struct source *source, const struct position *from)
{
    size_t cap = GTIDS_FIRST_CAP + from->gtids.count * GTID_TEXT_MAX;
    char *sql = malloc(cap);
    if (sql == NULL) {
        return LINK_LOST;
    }
    struct writer out = writer(sql, cap - 1);
    writer_put_text(&out, "SET @mariadb_slave_capability = 4, @slave_gtid_strict_mode = 1, "
                          "@slave_gtid_ignore_duplicates = 0, @slave_connect_state = '");
    gtid_set_write(&from->gtids, &out);
    writer_put_char(&out, '\'');
    sql[out.len] = '\0';
    enum link_result result = out.is_full ? LINK_LOST : link_query(&source->link, sql, NULL, NULL);
    free(sql);
    return result;
}

/** A uuid of the moment: MySQL throws out the older of two readers with the same one. */
static enum link_result
tell_mysql(struct source *source)
{
    char sql[SQL_CAP];
    uint64_t high = rng_system();
    uint64_t low = rng_system();
    snprintf(sql, sizeof(sql),
             "SET @slave_uuid = '%08" PRIx32 "-%04x-%04x-%04x-%012" PRIx64
             "', @replica_uuid = @slave_uuid, @source_binlog_checksum = @@global.binlog_checksum",
             (uint32_t)(high >> 32), (unsigned)(high >> 16) & 0xffff,
             ((unsigned)high & 0x0fff) | 0x4000, ((unsigned)(low >> 48) & 0x3fff) | 0x8000,
             low & UINT64_C(0xffffffffffff));
    return link_query(&source->link, sql, NULL, NULL);
}

static enum link_result
tell_settings(struct source *source, const struct rules_source *settings,
              const struct position *from)
{
    char sql[SQL_CAP];
    uint64_t heartbeat_ns = (uint64_t)settings->heartbeat_ms * 1000000;
    snprintf(sql, sizeof(sql),
             "SET @master_heartbeat_period = %" PRIu64 ", @source_heartbeat_period = %" PRIu64
             ", @master_binlog_checksum = @@global.binlog_checksum",
             heartbeat_ns, heartbeat_ns);
    enum link_result result = link_query(&source->link, sql, NULL, NULL);
    if (result != LINK_OK) {
        return result;
    }
    return source->link.is_mariadb ? tell_mariadb(source, from) : tell_mysql(source);
}

static enum link_result
register_reader(struct source *source)
{
    static const char name[] = "larder";
    char bytes[64];
    struct writer out = writer(bytes, sizeof(bytes));
    writer_put_le(&out, source->server_id, 4);
    writer_put_char(&out, sizeof(name) - 1);
    writer_put_text(&out, name); /* host; user and password stay empty */
    writer_put(&out, "\0\0", 2);
    writer_put_le(&out, 0, 2); /* port */
    writer_put_le(&out, 0, 4); /* rank */
    writer_put_le(&out, 0, 4); /* its own source */
    return send_command(&source->link, COM_REGISTER_SLAVE, &out, false);
}

static enum link_result
ask_by_file(struct source *source, const char *file, uint64_t offset)
{
    char bytes[16 + POSITION_FILE_CAP];
    struct writer out = writer(bytes, sizeof(bytes));
    assert(offset <= UINT32_MAX);
    writer_put_le(&out, (uint32_t)offset, 4);
    writer_put_le(&out, 0, 2);
    writer_put_le(&out, source->server_id, 4);
    writer_put_text(&out, file);
    return send_command(&source->link, COM_BINLOG_DUMP, &out, true);
}

#define DUMP_THROUGH_GTID 4u
#define DUMP_GTID_COMMAND \
    ((enum enum_server_command)30) /* MySQL's; libmariadb has no name for it */

static enum link_result
ask_by_gtid(struct source *source, const struct gtid_set *gtids)
{
    /* An interval takes 16 bytes, its uuid, tag and count at most 64 more. */
    size_t cap = 128 + gtids->count * 96;
    char *bytes = malloc(cap);
    char *encoded = malloc(cap);
    enum link_result result = LINK_LOST;
    if (bytes != NULL && encoded != NULL) {
        struct writer set = writer(encoded, cap);
        gtid_set_encode(gtids, &set);
        struct writer out = writer(bytes, cap);
        writer_put_le(&out, DUMP_THROUGH_GTID, 2);
        writer_put_le(&out, source->server_id, 4);
        writer_put_le(&out, 0, 4); /* no file's name */
        writer_put_le(&out, 4, 8);
        writer_put_le(&out, (uint32_t)set.len, 4);
        writer_put(&out, encoded, set.len);
        if (!out.is_full && !set.is_full) {
            result = send_command(&source->link, DUMP_GTID_COMMAND, &out, true);
        }
    }
    free(encoded);
    free(bytes);
    return result;
}

/**
 * MySQL tells of a transaction before it counts it as executed: one that was received when the
 * last connection ended may be on its way still.
 */
static bool
has_received(struct source *source, const struct position *from)
{
    if (position_reaches(&source->current, from) || source->link.is_mariadb) {
        return position_reaches(&source->current, from);
    }
    size_t cap = SQL_CAP + (from->gtids.count + 1) * GTID_TEXT_MAX;
    char *sql = malloc(cap);
    char answer[16] = "";
    if (sql == NULL) {
        return false;
    }
    struct writer out = writer(sql, cap - 1);
    writer_put_text(&out, "SELECT WAIT_FOR_EXECUTED_GTID_SET('");
    gtid_set_write(&from->gtids, &out);
    writer_put_text(&out, "', " RECEIVED_WAIT_S ")");
    sql[out.len] = '\0';
    bool has = !out.is_full &&
               link_query_text(&source->link, sql, answer, sizeof(answer)) == LINK_OK &&
               strcmp(answer, "0") == 0 && read_current(source) == LINK_OK;
    free(sql);
    return has && position_reaches(&source->current, from);
}

enum source_result
source_begin(struct source *source, const struct rules_source *settings,
             const struct position *from, uint32_t server_id)
{
    assert(server_id != 0 && from->is_known);
    source->server_id = server_id;
    if (from->by_gtid != source->by_gtid || from->is_mariadb != source->link.is_mariadb) {
        snprintf(source->link.error, sizeof(source->link.error),
                 "the position is one of another family of servers, or of a log without GTIDs");
        return SOURCE_GAP;
    }
    if (from->by_gtid && !has_received(source, from)) {
        snprintf(source->link.error, sizeof(source->link.error),
                 "the server does not have all transactions that were received");
        return SOURCE_GAP;
    }
    if (!from->by_gtid && from->offset > UINT32_MAX) {
        snprintf(source->link.error, sizeof(source->link.error),
                 "an offset above 4 GiB cannot be asked for");
        return SOURCE_GAP;
    }
    enum link_result result = tell_settings(source, settings, from);
    if (result == LINK_OK) {
        result = register_reader(source);
    }
    if (result == LINK_OK && source->link.is_mariadb) {
        result = ask_by_file(source, "", 4);
    } else if (result == LINK_OK && source->by_gtid) {
        result = ask_by_gtid(source, &from->gtids);
    } else if (result == LINK_OK) {
        result = ask_by_file(source, from->file, from->offset);
    }
    return of_link(&source->link, result);
}

enum source_result
source_next(struct source *source, struct bytes *event)
{
    struct link *link = &source->link;
    MYSQL *mysql = link->mysql;
    unsigned long len = mysql_net_read_packet(mysql);
    if ((unsigned)len == packet_error) {
        return of_link(link, link_take_error(link));
    }
    const uint8_t *packet = mysql->net.read_pos;
    if (len < 2 || packet[0] != 0) {
        snprintf(link->error, sizeof(link->error), "the server has ended the log");
        return SOURCE_LOST;
    }
    *event = (struct bytes){ packet + 1, len - 1 };
    return SOURCE_OK;
}

#else

enum source_result
source_begin(struct source *source, const struct rules_source *settings,
             const struct position *from, uint32_t server_id)
{
    (void)source;
    (void)settings;
    (void)from;
    (void)server_id;
    return SOURCE_LOST;
}

enum source_result
source_next(struct source *source, struct bytes *event)
{
    (void)source;
    (void)event;
    return SOURCE_LOST;
}

#endif
