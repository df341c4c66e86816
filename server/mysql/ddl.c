#include "config.h"

#include "mysql/ddl.h"

#include "base/assert.h"
#include "mysql/charset.h"
#include "mysql/ddl_token.h"

/* -- names ------------------------------------------------------------------------------------ */

void
ddl_name_write(struct bytes name, struct bytes default_database, struct writer *out)
{
    if (name.len == 0) {
        writer_put(out, default_database.at, default_database.len);
        return;
    }
    uint8_t quote = name.at[0];
    if (name.len < 2 || (quote != '`' && quote != '"')) {
        writer_put(out, name.at, name.len);
        return;
    }
    for (size_t i = 1; i + 1 < name.len; i++) {
        writer_put_char(out, (char)name.at[i]);
        if (name.at[i] == quote) {
            i++; /* it is doubled */
        }
    }
}

static bool
is_name(const struct token *token)
{
    return token->kind == TOKEN_WORD || token->kind == TOKEN_NAME;
}

/** Takes a table's name, with its database's or without. */
static bool
take_name(struct tokens *tokens, struct ddl_name *out)
{
    struct token first = tokens_next(tokens);
    *out = (struct ddl_name){ .table = first.text };
    if (!is_name(&first)) {
        return false;
    }
    struct token dot = tokens_peek(tokens);
    if (!token_is_mark(&dot, '.')) {
        return true;
    }
    (void)tokens_next(tokens);
    struct token second = tokens_next(tokens);
    out->database = first.text;
    out->table = second.text;
    return is_name(&second);
}

static void
set_unsure(struct ddl *out, enum ddl_scope scope)
{
    out->kind = DDL_UNSURE;
    out->scope = scope;
    out->rows_change = true;
    out->database = (struct bytes){ NULL, 0 };
}

/** Takes a name into the list.  False: there is none, and the statement is not understood. */
static bool
take_into_names(struct tokens *tokens, struct ddl *out)
{
    struct ddl_name name;
    if (!take_name(tokens, &name)) {
        return false;
    }
    if (out->name_count == DDL_NAMES_MAX) {
        bool is_in_one = name.database.len == 0;
        for (size_t i = 0; i < DDL_NAMES_MAX; i++) {
            is_in_one = is_in_one && out->names[i].database.len == 0;
        }
        if (out->scope != DDL_SCOPE_ALL) {
            out->scope = is_in_one ? DDL_SCOPE_DATABASE : DDL_SCOPE_ALL;
        }
        return true;
    }
    out->names[out->name_count++] = name;
    return true;
}

/** Takes the keyword if it is the next word. */
static bool
take_word(struct tokens *tokens, const char *keyword)
{
    struct token token = tokens_peek(tokens);
    if (!token_is(&token, keyword)) {
        return false;
    }
    (void)tokens_next(tokens);
    return true;
}

static void
skip_if_exists(struct tokens *tokens)
{
    if (take_word(tokens, "IF")) {
        (void)take_word(tokens, "NOT");
        (void)take_word(tokens, "EXISTS");
    }
}

static bool
is_at_end(struct tokens *tokens)
{
    struct token token = tokens_peek(tokens);
    return token.kind == TOKEN_END;
}

static bool
is_one_of(const struct token *token, const char *const *keywords)
{
    for (; *keywords != NULL; keywords++) {
        if (token_is(token, *keywords)) {
            return true;
        }
    }
    return false;
}

/* -- transactions ----------------------------------------------------------------------------- */

static bool
read_hex(struct bytes hex, uint8_t *out, uint8_t *out_len)
{
    if (hex.len % 2 != 0 || hex.len / 2 > EVENT_XID_LEN_MAX) {
        return false;
    }
    for (size_t i = 0; i < hex.len; i += 2) {
        int high = bytes_hex_digit(hex.at[i]);
        int low = bytes_hex_digit(hex.at[i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        out[i / 2] = (uint8_t)(high << 4 | low);
    }
    *out_len = (uint8_t)(hex.len / 2);
    return true;
}

/** Half of an XA identifier: X'hex', as the servers log it, or 0xhex, or a plain string. */
static bool
take_xa_half(struct tokens *tokens, uint8_t *out, uint8_t *out_len)
{
    struct token token = tokens_next(tokens);
    if (token_is(&token, "X")) {
        token = tokens_next(tokens);
        return token.kind == TOKEN_STRING &&
               read_hex((struct bytes){ token.text.at + 1, token.text.len - 2 }, out, out_len);
    }
    if (token.kind == TOKEN_WORD && token.text.len >= 2 && memcmp(token.text.at, "0x", 2) == 0) {
        return read_hex((struct bytes){ token.text.at + 2, token.text.len - 2 }, out, out_len);
    }
    if (token.kind != TOKEN_STRING || token.text.len - 2 > EVENT_XID_LEN_MAX ||
        memchr(token.text.at, '\\', token.text.len) != NULL ||
        memchr(token.text.at + 1, token.text.at[0], token.text.len - 2) != NULL) {
        return false; /* no server logs one with escapes */
    }
    memcpy(out, token.text.at + 1, token.text.len - 2);
    *out_len = (uint8_t)(token.text.len - 2);
    return true;
}

static bool
take_xa_format(struct tokens *tokens, int32_t *out)
{
    struct token token = tokens_next(tokens);
    int64_t number = 0;
    bool is_negative = token_is_mark(&token, '-');
    if (is_negative) {
        token = tokens_next(tokens);
    }
    if (token.kind != TOKEN_WORD || token.text.len > 10) {
        return false;
    }
    for (size_t i = 0; i < token.text.len; i++) {
        if (token.text.at[i] < '0' || token.text.at[i] > '9') {
            return false;
        }
        number = number * 10 + (token.text.at[i] - '0');
    }
    *out = (int32_t)(uint32_t)(is_negative ? -number : number);
    return true;
}

static bool
take_mark(struct tokens *tokens, char mark)
{
    struct token token = tokens_peek(tokens);
    if (!token_is_mark(&token, mark)) {
        return false;
    }
    (void)tokens_next(tokens);
    return true;
}

static bool
parse_xa(struct tokens *tokens, struct ddl *out)
{
    struct ddl_xa *xa = &out->xa;
    struct token op = tokens_next(tokens);
    *xa = (struct ddl_xa){ .format = 1 };
    if (token_is(&op, "START") || token_is(&op, "BEGIN")) {
        xa->op = DDL_XA_START;
    } else if (token_is(&op, "END")) {
        xa->op = DDL_XA_END;
    } else if (token_is(&op, "PREPARE")) {
        xa->op = DDL_XA_PREPARE;
    } else if (token_is(&op, "COMMIT")) {
        xa->op = DDL_XA_COMMIT;
    } else if (token_is(&op, "ROLLBACK")) {
        xa->op = DDL_XA_ROLLBACK;
    } else {
        return false;
    }
    if (!take_xa_half(tokens, xa->gtrid, &xa->gtrid_len) ||
        (take_mark(tokens, ',') && !take_xa_half(tokens, xa->bqual, &xa->bqual_len)) ||
        (take_mark(tokens, ',') && !take_xa_format(tokens, &xa->format))) {
        return false;
    }
    xa->one_phase = take_word(tokens, "ONE") && take_word(tokens, "PHASE");
    out->kind = DDL_XA;
    return is_at_end(tokens);
}

/** False: not one of these statements. */
static bool
parse_transaction(const struct token *first, struct tokens *tokens, struct ddl *out)
{
    if (token_is(first, "XA")) {
        return parse_xa(tokens, out);
    }
    if (token_is(first, "SAVEPOINT") || token_is(first, "RELEASE")) {
        out->kind = DDL_SAVEPOINT;
        return true;
    }
    if (token_is(first, "START")) {
        out->kind = DDL_BEGIN;
        return take_word(tokens, "TRANSACTION");
    }
    (void)take_word(tokens, "WORK");
    if (token_is(first, "BEGIN")) {
        out->kind = DDL_BEGIN;
        return is_at_end(tokens);
    }
    if (token_is(first, "COMMIT")) {
        out->kind = DDL_COMMIT;
        return is_at_end(tokens);
    }
    if (token_is(first, "ROLLBACK")) {
        bool is_to = take_word(tokens, "TO");
        out->kind = is_to ? DDL_SAVEPOINT : DDL_ROLLBACK;
        return is_to || is_at_end(tokens);
    }
    return false;
}

/* -- tables ----------------------------------------------------------------------------------- */

static bool
parse_truncate(struct tokens *tokens, struct ddl *out)
{
    (void)take_word(tokens, "TABLE");
    out->kind = DDL_TABLES;
    out->rows_change = true;
    return take_into_names(tokens, out);
}

/** name TO name, ... */
static bool
parse_rename(struct tokens *tokens, struct ddl *out)
{
    if (take_word(tokens, "USER")) {
        return true;
    }
    if (!take_word(tokens, "TABLE") && !take_word(tokens, "TABLES")) {
        return false;
    }
    out->kind = DDL_TABLES;
    out->rows_change = true;
    skip_if_exists(tokens);
    do {
        if (!take_into_names(tokens, out)) {
            return false;
        }
        while (!take_word(tokens, "TO")) { /* WAIT n, NOWAIT */
            struct token token = tokens_next(tokens);
            if (token.kind != TOKEN_WORD) {
                return false;
            }
        }
        if (!take_into_names(tokens, out)) {
            return false;
        }
    } while (take_mark(tokens, ','));
    return is_at_end(tokens);
}

static bool
parse_drop_tables(struct tokens *tokens, struct ddl *out)
{
    out->kind = DDL_TABLES;
    out->rows_change = true;
    skip_if_exists(tokens);
    do {
        if (!take_into_names(tokens, out)) {
            return false;
        }
    } while (take_mark(tokens, ','));
    return true;
}

static bool
parse_drop_database(struct tokens *tokens, struct ddl *out)
{
    skip_if_exists(tokens);
    struct token name = tokens_next(tokens);
    out->kind = DDL_TABLES;
    out->scope = DDL_SCOPE_DATABASE;
    out->rows_change = true;
    out->database = name.text;
    return is_name(&name) && is_at_end(tokens);
}

/**
 * The rest of ALTER TABLE.  Which columns change the caller sees when it reads them again; what it
 * cannot see there is looked for here: renaming, and partitions and tablespaces that come or go.
 */
static bool
parse_alter_table(struct tokens *tokens, struct ddl *out)
{
    static const char *const rows_words[] = { "PARTITION", "PARTITIONS",   "DISCARD", "IMPORT",
                                              "EXCHANGE",  "PARTITIONING", "CONVERT", NULL };
    static const char *const not_renamed[] = { "COLUMN", "INDEX", "CONSTRAINT", NULL };
    out->kind = DDL_TABLES;
    skip_if_exists(tokens);
    if (!take_into_names(tokens, out)) {
        return false;
    }
    for (;;) {
        struct token token = tokens_next(tokens);
        if (token.kind == TOKEN_END) {
            return true;
        }
        if (token.kind == TOKEN_BROKEN) {
            return false;
        }
        if (is_one_of(&token, rows_words)) {
            out->rows_change = true;
        } else if (token_is(&token, "TABLE") &&
                   out->rows_change) { /* EXCHANGE, CONVERT: WITH, TO */
            if (!take_into_names(tokens, out)) {
                return false;
            }
        } else if (token_is(&token, "RENAME")) {
            struct token next = tokens_peek(tokens);
            if (is_one_of(&next, not_renamed)) {
                continue;
            }
            if (!take_word(tokens, "TO") && !take_word(tokens, "AS")) {
                (void)take_mark(tokens, '=');
            }
            out->rows_change = true;
            if (!take_into_names(tokens, out)) {
                return false;
            }
        }
    }
}

/** Things whose making, changing or dropping touches no row. */
static const char *const rowless[] = {
    "VIEW",    "TRIGGER", "PROCEDURE",  "FUNCTION", "EVENT", "INDEX",    "USER",
    "ROLE",    "SERVER",  "TABLESPACE", "LOGFILE",  "UNDO",  "RESOURCE", "SPATIAL",
    "PACKAGE", "LIBRARY", "INSTANCE",   "CATALOG",  NULL,
};

/** Words between CREATE, ALTER or DROP and what it is about. */
static const char *const fillers[] = {
    "OR",      "REPLACE", "UNIQUE",    "FULLTEXT", "VECTOR",   "ONLINE",
    "OFFLINE", "IGNORE",  "AGGREGATE", "PUBLIC",   "EXTERNAL", NULL,
};

/** ALGORITHM = x, DEFINER = x@y, SQL SECURITY x: all marks, names and strings up to a rowless word.
 */
static bool
is_clause(const struct token *token)
{
    return token_is(token, "DEFINER") || token_is(token, "ALGORITHM") || token_is(token, "SQL");
}

static bool
parse_clauses(struct tokens *tokens)
{
    for (unsigned i = 0; i < DDL_NAMES_MAX; i++) {
        struct token token = tokens_next(tokens);
        if (is_one_of(&token, rowless)) {
            return true;
        }
        if (token.kind == TOKEN_END || token.kind == TOKEN_BROKEN || token_is(&token, "TABLE")) {
            return false;
        }
    }
    return false;
}

/** CREATE, ALTER and DROP. */
static bool
parse_object(const struct token *first, struct tokens *tokens, struct ddl *out)
{
    bool is_drop = token_is(first, "DROP");
    bool is_alter = token_is(first, "ALTER");
    struct token token = tokens_next(tokens);
    bool is_replace = false;
    while (is_one_of(&token, fillers)) {
        is_replace = is_replace || token_is(&token, "REPLACE");
        token = tokens_next(tokens);
    }
    if (token_is(&token, "TEMPORARY") || is_one_of(&token, rowless)) {
        return true;
    }
    if (is_clause(&token)) {
        return parse_clauses(tokens);
    }
    if (token_is(&token, "DATABASE") || token_is(&token, "SCHEMA")) {
        if (is_drop || is_replace) {
            return parse_drop_database(tokens, out) || is_replace;
        }
        return true;
    }
    bool is_table = token_is(&token, "TABLE") || token_is(&token, "SEQUENCE");
    if (is_drop && (is_table || token_is(&token, "TABLES"))) {
        return parse_drop_tables(tokens, out);
    }
    if (!is_table) {
        return false;
    }
    if (is_alter) {
        return parse_alter_table(tokens, out);
    }
    out->kind = DDL_TABLES;
    out->rows_change = true; /* with SELECT, in statement format; or in place of an older one */
    skip_if_exists(tokens);
    return take_into_names(tokens, out);
}

/* -- statements ------------------------------------------------------------------------------- */

static bool
parse_statement(struct tokens *tokens, struct ddl *out)
{
    static const char *const harmless[] = {
        "GRANT",   "REVOKE",    "FLUSH",    "OPTIMIZE", "CHECK",  "CHECKSUM", "CACHE", "RESET",
        "INSTALL", "UNINSTALL", "SHUTDOWN", "PURGE",    "CHANGE", "STOP",     "KILL",  "USE",
        "SHOW",    "EXPLAIN",   "DESCRIBE", "LOCK",     "UNLOCK", NULL,
    };
    static const char *const rows[] = {
        "INSERT", "UPDATE", "DELETE", "REPLACE", "LOAD",   "CALL",   "DO",      "SELECT",
        "WITH",   "TABLE",  "VALUES", "HANDLER", "IMPORT", "BINLOG", "EXECUTE", NULL,
    };
    static const char *const transaction[] = {
        "BEGIN", "START", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE", "XA", NULL,
    };
    static const char *const object[] = { "CREATE", "ALTER", "DROP", NULL };
    static const char *const analyzed[] = { "TABLE", "LOCAL", "NO_WRITE_TO_BINLOG", NULL };
    struct token first = tokens_next(tokens);
    if (first.kind == TOKEN_END || is_one_of(&first, harmless)) {
        return true;
    }
    struct token second = tokens_peek(tokens);
    if (token_is(&first, "SET")) {
        return !token_is(&second, "STATEMENT"); /* MariaDB: SET STATEMENT ... FOR any statement */
    }
    if (token_is(&first, "ANALYZE")) {
        return is_one_of(&second, analyzed); /* MariaDB: ANALYZE UPDATE ... is run */
    }
    if (is_one_of(&first, transaction)) {
        return parse_transaction(&first, tokens, out);
    }
    if (is_one_of(&first, rows)) {
        out->kind = DDL_ROWS;
        out->scope = DDL_SCOPE_ALL;
        out->rows_change = true;
        return true;
    }
    if (is_one_of(&first, object)) {
        return parse_object(&first, tokens, out);
    }
    if (token_is(&first, "RENAME")) {
        return parse_rename(tokens, out);
    }
    return token_is(&first, "TRUNCATE") && parse_truncate(tokens, out);
}

/** Character sets in which a quote or backslash can be half of a character. */
static bool
is_quote_unsafe(const struct event_query *query)
{
    static const char *const unsafe[] = { "big5", "gbk", "gb18030", "sjis", "cp932", NULL };
    const char *name = charset_name(query->collation);
    bool is_unsafe = false;
    for (size_t i = 0; name != NULL && unsafe[i] != NULL; i++) {
        is_unsafe = is_unsafe || strcmp(name, unsafe[i]) == 0;
    }
    for (size_t i = 0; is_unsafe && i < query->text.len; i++) {
        if (query->text.at[i] >= 0x80) {
            return true;
        }
    }
    return false;
}

void
ddl_parse(const struct event_query *query, struct ddl *out)
{
    assert(!query->packed);
    out->kind = DDL_HARMLESS;
    out->scope = DDL_SCOPE_NAMES;
    out->rows_change = false;
    out->name_count = 0;
    out->database = (struct bytes){ NULL, 0 };

    struct tokens tokens;
    tokens_begin(&tokens, query, DDL_TEXT_MAX);
    bool has_dot = memchr(query->text.at, '.', query->text.len) != NULL;
    bool is_cut = query->text.len > DDL_TEXT_MAX;
    if (is_quote_unsafe(query)) {
        set_unsure(out, DDL_SCOPE_ALL);
        return;
    }
    bool is_understood = parse_statement(&tokens, out);
    /* A list of names, or what ALTER does, may go on behind what was looked at. */
    if (is_cut && tokens.cur.at == tokens.cur.end) {
        is_understood = false;
    }
    if (!is_understood) {
        bool is_about_tables =
            out->kind == DDL_TABLES && (out->scope == DDL_SCOPE_NAMES || out->name_count > 0);
        bool is_in_one = is_about_tables && !has_dot && query->database.len > 0;
        set_unsure(out, is_in_one ? DDL_SCOPE_DATABASE : DDL_SCOPE_ALL);
    }
}
