/* Command lines of the classic text protocol, and what they are, for test_text_parse.c. */
#ifndef LARDER_TESTS_UNIT_PROTO_TEXT_CASES_H
#define LARDER_TESTS_UNIT_PROTO_TEXT_CASES_H

#include "proto/text.h"

/* A string with its length, so that it may hold NUL. */
#define BYTES(text) (text), sizeof(text) - 1

#define K50  "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk"
#define K250 K50 K50 K50 K50 K50
#define K251 K250 "k"
#define X40  "x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x "

/* A line, and the request it is; fields that the op does not name are not compared. */
struct line_case {
    const char *line;
    size_t line_len;
    const char *words; /* the key, the keys or the admin command's words, parted by single spaces */
    struct request want;
};

#define LINE(text, words, ...) \
    {                          \
        BYTES(text), (words),  \
        {                      \
            __VA_ARGS__        \
        }                      \
    }
#define OP(name) .op = REQUEST_##name
#define QUIET    .noreply = true

static const struct line_case get_cases[] = {
    LINE("get k\r\n", "k", OP(GET)),
    LINE("get k\n", "k", OP(GET)),
    LINE("gets k\r\n", "k", OP(GETS)),
    LINE("get k \r\n", "k", OP(GET)),
    LINE("get  k\r\n", "k", OP(GET)),
    LINE("get a b c\r\n", "a b c", OP(GET)),
    LINE("get a  b   c  \n", "a b c", OP(GET)),
    LINE("get key:000000000001 key:000000000002\r\n", "key:000000000001 key:000000000002", OP(GET)),
    LINE("get k noreply\r\n", "k noreply", OP(GET)),
    LINE("get HTTP/1.1\r\n", "HTTP/1.1", OP(GET)),
    LINE("get a\tb\r\n", "a\tb", OP(GET)),
    LINE("get a\rb\r\n", "a\rb", OP(GET)),
    LINE("get a\r\r\n", "a\r", OP(GET)),
    LINE("get a\r b\r\n", "a\r b", OP(GET)),
    LINE("get a b\r\r\n", "a b\r", OP(GET)),
    LINE("get \x80\xff\r\n", "\x80\xff", OP(GET)),
    LINE("get " K250 "\r\n", K250, OP(GET)),
    LINE("get " K250 " " K250 " \r\n", K250 " " K250, OP(GET)),
    LINE("gat 5 k\r\n", "k", OP(GAT), .exptime = 5),
    LINE("gat -1 a b\r\n", "a b", OP(GAT), .exptime = -1),
    LINE("gats 0 a b \n", "a b", OP(GATS), .exptime = 0),
    LINE("gat  4102444800  a\tb  c\r\n", "a\tb c", OP(GAT), .exptime = 4102444800),
    LINE("gat 99999999999999999999 k\r\n", "k", OP(GAT), .exptime = INT64_MAX),
};

static const struct line_case store_cases[] = {
    LINE("set k 0 0 2\r\n", "k", OP(SET), .value_len = 2),
    LINE("set k 1 2 3\n", "k", OP(SET), .flags = 1, .exptime = 2, .value_len = 3),
    LINE("add key:000000000001 4294967295 1700000000 1048576 noreply\r\n", "key:000000000001",
         OP(ADD), .flags = UINT32_MAX, .exptime = 1700000000, .value_len = 1048576, QUIET),
    LINE("replace k 0 -1 0\r\n", "k", OP(REPLACE), .exptime = -1),
    LINE("append k 0 0 1 noreply\n", "k", OP(APPEND), .value_len = 1, QUIET),
    LINE("prepend k 0 0 1\r\n", "k", OP(PREPEND), .value_len = 1),
    LINE("cas k 1 2 3 4\r\n", "k", OP(CAS), .flags = 1, .exptime = 2, .value_len = 3, .cas = 4),
    LINE("cas k 0 0 2 18446744073709551615 noreply\r\n", "k", OP(CAS), .value_len = 2,
         .cas = UINT64_MAX, QUIET),
    LINE("cas k 0 0 2 7 extra\r\n", "k", OP(CAS), .value_len = 2, .cas = 7),
    LINE("cas k 0 0 2 7 extra noreply\r\n", "k", OP(CAS), .value_len = 2, .cas = 7, QUIET),
    LINE("set  k  0  0  2  noreply  \r\n", "k", OP(SET), .value_len = 2, QUIET),
    LINE("set k 0 0 2 \r\n", "k", OP(SET), .value_len = 2),
    LINE("set k 0 0 2 extra\r\n", "k", OP(SET), .value_len = 2),
    LINE("set k 0 0 2 noreplyx\r\n", "k", OP(SET), .value_len = 2),
    LINE("set k 0 0 2 noreply x\r\n", "k", OP(SET), .value_len = 2),
    LINE("set k 0 0 2 x noreply\r\n", "k", OP(SET), .value_len = 2, QUIET),
    LINE("set k 0 0 2 " X40 "\r\n", "k", OP(SET), .value_len = 2),
    LINE("set k 0 0 2 " X40 "noreply\r\n", "k", OP(SET), .value_len = 2, QUIET),
    LINE("set k +5 +6 7\r\n", "k", OP(SET), .flags = 5, .exptime = 6, .value_len = 7),
    LINE("set k \t5 6\t 7\r\n", "k", OP(SET), .flags = 5, .exptime = 6, .value_len = 7),
    LINE("set k 4294967297 0 0\r\n", "k", OP(SET), .flags = 1),
    LINE("set k 18446744073709551615 0 0\r\n", "k", OP(SET), .flags = UINT32_MAX),
    LINE("set k 0 99999999999999999999 0\r\n", "k", OP(SET), .exptime = INT64_MAX),
    LINE("set k 0 -99999999999999999999 0\r\n", "k", OP(SET), .exptime = INT64_MIN),
    LINE("set k 0 0 2147483645\r\n", "k", OP(SET), .value_len = 2147483645),
    LINE("set k 0 0 00000000002\r\n", "k", OP(SET), .value_len = 2),
    LINE("set a\tb\x80 0 0 0\r\n", "a\tb\x80", OP(SET)),
    LINE("set a\rb 0 0 0\r\n", "a\rb", OP(SET)),
    LINE("set " K250 " 0 0 0\r\n", K250, OP(SET)),
};

static const struct line_case key_cases[] = {
    LINE("delete k\r\n", "k", OP(DELETE)),
    LINE("delete k\n", "k", OP(DELETE)),
    LINE("delete k 0\r\n", "k", OP(DELETE)),
    LINE("delete k noreply\r\n", "k", OP(DELETE), QUIET),
    LINE("delete k 0 noreply\r\n", "k", OP(DELETE), QUIET),
    LINE("delete noreply\r\n", "noreply", OP(DELETE)),
    LINE("delete noreply noreply\r\n", "noreply", OP(DELETE), QUIET),
    LINE("delete a\tb\r\n", "a\tb", OP(DELETE)),
    LINE("delete " K250 "\r\n", K250, OP(DELETE)),
    LINE("incr k 1\r\n", "k", OP(INCR), .delta = 1),
    LINE("decr k 18446744073709551615 noreply\n", "k", OP(DECR), .delta = UINT64_MAX, QUIET),
    LINE("incr k 1 extra\r\n", "k", OP(INCR), .delta = 1),
    LINE("incr k 1 noreply\r\n", "k", OP(INCR), .delta = 1, QUIET),
    LINE("incr noreply 5\r\n", "noreply", OP(INCR), .delta = 5),
    LINE("touch k 3600\r\n", "k", OP(TOUCH), .exptime = 3600),
    LINE("touch k -1 noreply\r\n", "k", OP(TOUCH), .exptime = -1, QUIET),
    LINE("touch k 0 extra noreply\r\n", "k", OP(TOUCH), QUIET),
};

static const struct line_case admin_cases[] = {
    LINE("quit\r\n", "", OP(QUIT)),
    LINE("quit noreply\n", "noreply", OP(QUIT)),
    LINE("version\r\n", "", OP(VERSION)),
    LINE("version a  b \r\n", "a b", OP(VERSION)),
    LINE("stats\r\n", "", OP(STATS)),
    LINE("stats \r\n", "", OP(STATS)),
    LINE("stats detail dump\r\n", "detail dump", OP(STATS)),
    LINE("stats noreply\r\n", "noreply", OP(STATS)),
    LINE("flush_all\r\n", NULL, OP(FLUSH_ALL)),
    LINE("flush_all noreply\r\n", NULL, OP(FLUSH_ALL), QUIET),
    LINE("flush_all 10\r\n", NULL, OP(FLUSH_ALL), .exptime = 10),
    LINE("flush_all -10\r\n", NULL, OP(FLUSH_ALL), .exptime = -10),
    LINE("flush_all +10\r\n", NULL, OP(FLUSH_ALL), .exptime = 10),
    LINE("flush_all 10 noreply\r\n", NULL, OP(FLUSH_ALL), .exptime = 10, QUIET),
    LINE("flush_all 1 2\r\n", NULL, OP(FLUSH_ALL), .exptime = 1),
    LINE("flush_all 1 2 3\r\n", NULL, OP(FLUSH_ALL), .exptime = 1),
    LINE("verbosity 1\r\n", "1", OP(VERBOSITY)),
    LINE("verbosity\r\n", "", OP(VERBOSITY)),
    LINE("verbosity noreply\r\n", "noreply", OP(VERBOSITY), QUIET),
    LINE("verbosity 1 noreply\r\n", "1 noreply", OP(VERBOSITY), QUIET),
    LINE("cache_memlimit 64\r\n", "64", OP(CACHE_MEMLIMIT)),
    LINE("cache_memlimit 64 noreply\r\n", "64 noreply", OP(CACHE_MEMLIMIT), QUIET),
    LINE("shutdown\r\n", "", OP(SHUTDOWN)),
    LINE("shutdown graceful\r\n", "graceful", OP(SHUTDOWN)),
    LINE("shutdown noreply\r\n", "noreply", OP(SHUTDOWN), QUIET),
    LINE("refresh_certs\r\n", "", OP(REFRESH_CERTS)),
    LINE("refresh_certs noreply\r\n", "noreply", OP(REFRESH_CERTS), QUIET),
    LINE("slabs\r\n", "", OP(SLABS)),
    LINE("slabs automove 1\r\n", "automove 1", OP(SLABS)),
    LINE("slabs reassign 1 2 noreply\r\n", "reassign 1 2 noreply", OP(SLABS), QUIET),
    LINE("lru tune 10 20 0.2 2.0\r\n", "tune 10 20 0.2 2.0", OP(LRU)),
    LINE("lru mode flat noreply\r\n", "mode flat noreply", OP(LRU), QUIET),
    LINE("lru_crawler metadump all\r\n", "metadump all", OP(LRU_CRAWLER)),
    LINE("lru_crawler enable noreply\r\n", "enable noreply", OP(LRU_CRAWLER), QUIET),
    LINE("watch\r\n", "", OP(WATCH)),
    LINE("larder scan 0 user: 10\r\n", "scan 0 user: 10", OP(LARDER)),
    LINE("larder flush_prefix a noreply\r\n", "flush_prefix a noreply", OP(LARDER), QUIET),
    LINE("watch fetchers noreply\n", "fetchers noreply", OP(WATCH)),
};

#define ERR(which)          .op = REQUEST_ERROR, .error = REQUEST_ERR_##which
#define SILENT(which)       ERR(which), .noreply = true
#define SWALLOW(len)        ERR(FORMAT), .swallow = (len)
#define SWALLOW_SILENT(len) SILENT(FORMAT), .swallow = (len)

static const struct line_case error_cases[] = {
    /* lines below four bytes, and lines without a command */
    LINE("\n", NULL, ERR(FORMAT)),
    LINE("\r\n", NULL, ERR(FORMAT)),
    LINE(" \n", NULL, ERR(FORMAT)),
    LINE("a\r\n", NULL, ERR(FORMAT)),
    LINE("mn\n", NULL, ERR(FORMAT)),
    LINE("ab\r\n", NULL, ERR(UNKNOWN)),
    LINE("   \n", NULL, ERR(UNKNOWN)),
    LINE(" get k\r\n", NULL, ERR(UNKNOWN)),
    LINE("\0\0\0\r\n", NULL, ERR(UNKNOWN)),
    /* unknown commands */
    LINE("bogus\r\n", NULL, ERR(UNKNOWN)),
    LINE("bogus noreply\r\n", NULL, ERR(UNKNOWN)),
    LINE("GET k\r\n", NULL, ERR(UNKNOWN)),
    LINE("gett k\r\n", NULL, ERR(UNKNOWN)),
    LINE("getsx k\r\n", NULL, ERR(UNKNOWN)),
    LINE("get\tk\r\n", NULL, ERR(UNKNOWN)),
    LINE("sett k 0 0 2\r\n", NULL, ERR(UNKNOWN)),
    LINE("replacex k 0 0 2\r\n", NULL, ERR(UNKNOWN)),
    LINE("deletex k\r\n", NULL, ERR(UNKNOWN)),
    LINE("incrx k 1\r\n", NULL, ERR(UNKNOWN)),
    LINE("touchx k 1\r\n", NULL, ERR(UNKNOWN)),
    LINE("mnx\r\n", NULL, ERR(UNKNOWN)),
    LINE("quitx\r\n", NULL, ERR(UNKNOWN)),
    LINE("versions\r\n", NULL, ERR(UNKNOWN)),
    LINE("x HTTP/ y\r\n", NULL, ERR(UNKNOWN)),
    LINE("x http/1.1\r\n", NULL, ERR(UNKNOWN)),
    LINE("GET / HTTP/1.1\r\n", NULL, OP(UNKNOWN_HTTP)),
    LINE("GET / HTTP/1.1  \n", NULL, OP(UNKNOWN_HTTP)),
    LINE(" GET / HTTP/1.1\r\n", NULL, OP(UNKNOWN_HTTP)),
    LINE("HTTP/\r\n", NULL, OP(UNKNOWN_HTTP)),
    LINE("x " X40 "HTTP/1.1\r\n", NULL, OP(UNKNOWN_HTTP)),
    /* get family */
    LINE("get\r\n", NULL, ERR(FORMAT)),
    LINE("get \r\n", NULL, ERR(FORMAT)),
    LINE("gets   \n", NULL, ERR(FORMAT)),
    LINE("gat\r\n", NULL, ERR(FORMAT)),
    LINE("gat 5\r\n", NULL, ERR(FORMAT)),
    LINE("gat 5 \r\n", NULL, ERR(FORMAT)),
    LINE("gats x\r\n", NULL, ERR(FORMAT)),
    LINE("gat 5xk\r\n", NULL, ERR(FORMAT)),
    LINE("gat x k\r\n", NULL, ERR(EXPTIME)),
    LINE("gats +5 k\r\n", NULL, ERR(EXPTIME)),
    LINE("gat x noreply\r\n", NULL, ERR(EXPTIME)),
    LINE("gat x " K251 "\r\n", NULL, ERR(EXPTIME)),
    /* storage: errors found before noreply is read, told, nothing swallowed */
    LINE("set\r\n", NULL, ERR(FORMAT)),
    LINE("set noreply\r\n", NULL, ERR(FORMAT)),
    LINE("set k\r\n", NULL, ERR(FORMAT)),
    LINE("add k 0 0\r\n", NULL, ERR(FORMAT)),
    LINE("set a\t1 2 3\r\n", NULL, ERR(FORMAT)),
    LINE("set k 0 0\n", NULL, ERR(FORMAT)),
    LINE("set k 0x0 2\r\n", NULL, ERR(FORMAT)),
    LINE("set k 0 0x2\r\n", NULL, ERR(FORMAT)),
    LINE("cas k 0 0 2x7\r\n", NULL, ERR(FORMAT)),
    LINE("set k 0 noreply\r\n", NULL, ERR(FORMAT)),
    LINE("set k 0 0 noreply\r\n", NULL, ERR(FORMAT)),
    LINE("cas k 0 0 2\r\n", NULL, ERR(FORMAT)),
    LINE("set k 0 0 -1\r\n", NULL, ERR(FORMAT)),
    LINE("set k 0 0 +2 noreply\r\n", NULL, ERR(FORMAT)),
    LINE("set k 0 0 x noreply\r\n", NULL, ERR(FORMAT)),
    LINE("set k 0 0 2x\r\n", NULL, ERR(FORMAT)),
    LINE("set k 0 0 2\r\r\n", NULL, ERR(FORMAT)),
    LINE("set k 0 0 2\0\r\n", NULL, ERR(FORMAT)),
    LINE("set k 0 0 000000000002\r\n", NULL, ERR(FORMAT)),
    LINE("set k 0 0 2147483646\r\n", NULL, ERR(FORMAT)),
    LINE("set k 0 0 4294967295 noreply\r\n", NULL, ERR(FORMAT)),
    LINE("set k 0 0 4294967298\r\n", NULL, ERR(FORMAT)),
    LINE("set " K251 " x x x noreply\r\n", NULL, ERR(FORMAT)),
    /* storage: errors found behind <bytes>, the data block swallowed */
    LINE("set " K251 " 0 0 2\r\n", NULL, SWALLOW(4)),
    LINE("set " K251 " 0 0 2 noreply\r\n", NULL, SWALLOW_SILENT(4)),
    LINE("set " K251 " 0 0 2 noreply x\r\n", NULL, SWALLOW(4)),
    LINE("set k -1 0 2\r\n", NULL, SWALLOW(4)),
    LINE("set k x 0 2\r\n", NULL, SWALLOW(4)),
    LINE("set k 18446744073709551616 0 2\r\n", NULL, SWALLOW(4)),
    LINE("add k -1 0 2 noreply\r\n", NULL, SWALLOW_SILENT(4)),
    LINE("set k 0 x 2\r\n", NULL, SWALLOW(4)),
    LINE("append k 0 5x 0 noreply\r\n", NULL, SWALLOW_SILENT(2)),
    LINE("set k 0 x 2147483645\r\n", NULL, SWALLOW(2147483647)),
    LINE("cas k 0 0 2 x\r\n", NULL, SWALLOW(4)),
    LINE("cas k 0 0 2 -1\r\n", NULL, SWALLOW(4)),
    LINE("cas k 0 0 2 +1\r\n", NULL, SWALLOW(4)),
    LINE("cas k 0 0 2 18446744073709551616\r\n", NULL, SWALLOW(4)),
    LINE("cas k 0 0 2 noreply\r\n", NULL, SWALLOW_SILENT(4)),
    LINE("cas k 0 0 2 x noreply\r\n", NULL, SWALLOW_SILENT(4)),
    /* delete */
    LINE("delete\r\n", NULL, ERR(FORMAT)),
    LINE("delete \r\n", NULL, ERR(FORMAT)),
    LINE("delete k 5\r\n", NULL, ERR(DELETE)),
    LINE("delete k 00\r\n", NULL, ERR(DELETE)),
    LINE("delete k 0 0\r\n", NULL, ERR(DELETE)),
    LINE("delete k noreply 0\r\n", NULL, ERR(DELETE)),
    LINE("delete k 0 " X40 "\r\n", NULL, ERR(DELETE)),
    LINE("delete k 5 noreply\r\n", NULL, SILENT(DELETE)),
    LINE("delete k noreply noreply\r\n", NULL, SILENT(DELETE)),
    LINE("delete k 0 0 noreply\r\n", NULL, SILENT(DELETE)),
    LINE("delete " K251 " 5\r\n", NULL, ERR(DELETE)),
    LINE("delete " K251 "\r\n", NULL, ERR(FORMAT)),
    LINE("delete " K251 " noreply\r\n", NULL, SILENT(FORMAT)),
    /* incr, decr, touch */
    LINE("incr\r\n", NULL, ERR(FORMAT)),
    LINE("incr k\r\n", NULL, ERR(FORMAT)),
    LINE("incr noreply\r\n", NULL, ERR(FORMAT)),
    LINE("incr k noreply\r\n", NULL, SILENT(DELTA)),
    LINE("incr k -1\r\n", NULL, ERR(DELTA)),
    LINE("decr k +1\r\n", NULL, ERR(DELTA)),
    LINE("decr k abc\r\n", NULL, ERR(DELTA)),
    LINE("incr k 18446744073709551616\r\n", NULL, ERR(DELTA)),
    LINE("incr k x noreply\r\n", NULL, SILENT(DELTA)),
    LINE("incr " K251 " 1\r\n", NULL, ERR(FORMAT)),
    LINE("incr " K251 " x noreply\r\n", NULL, SILENT(FORMAT)),
    LINE("incr a\t5\r\n", NULL, ERR(FORMAT)),
    LINE("incr k\n", NULL, ERR(FORMAT)),
    LINE("touch\r\n", NULL, ERR(FORMAT)),
    LINE("touch k\r\n", NULL, ERR(FORMAT)),
    LINE("touch k x\r\n", NULL, ERR(EXPTIME)),
    LINE("touch k +5\r\n", NULL, ERR(EXPTIME)),
    LINE("touch k noreply\r\n", NULL, SILENT(EXPTIME)),
    LINE("touch k x noreply\r\n", NULL, SILENT(EXPTIME)),
    LINE("touch " K251 " 5\r\n", NULL, ERR(FORMAT)),
    /* flush_all */
    LINE("flush_all x\r\n", NULL, ERR(EXPTIME)),
    LINE("flush_all noreply x\r\n", NULL, ERR(EXPTIME)),
    LINE("flush_all x noreply\r\n", NULL, SILENT(EXPTIME)),
    LINE("flush_all noreply noreply\r\n", NULL, SILENT(EXPTIME)),
    /* commands of later issues */
    LINE("mg k v\r\n", NULL, ERR(UNKNOWN)),
    LINE("slab automove 1\r\n", NULL, ERR(UNKNOWN)),
    LINE("watchx\r\n", NULL, ERR(UNKNOWN)),
};

#endif
