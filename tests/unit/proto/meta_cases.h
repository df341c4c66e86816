/* Meta command lines, and what they are, for test_meta_parse.c. */
#ifndef LARDER_TESTS_UNIT_PROTO_META_CASES_H
#define LARDER_TESTS_UNIT_PROTO_META_CASES_H

#include "proto/meta.h"

/* A string with its length, so that it may hold NUL. */
#define BYTES(text) (text), sizeof(text) - 1

#define K50  "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk"
#define K250 K50 K50 K50 K50 K50
#define K251 K250 "k"
#define O31  "ooooooooooooooooooooooooooooooo"
/* base64 of 186 bytes: 248 letters */
#define B62 "Zm9vZm9vZm9vZm9vZm9vZm9vZm9vZm9vZm9vZm9vZm9vZm9vZm9vZm9vZm9vZm"
#define B248                         \
    B62 "9vZm" B62 "9vZm" B62 "9vZm" \
        "Zm9vZm9vZm9vZm9vZm9vZm9vZm9vZm9vZm9vZm9vZm9vZm9vZm"

/* A line, and the request it is; fields that the op and its flags do not name are not compared. */
struct meta_case {
    const char *line;
    size_t line_len;
    const char *key;     /* decoded; NULL to leave it */
    const char *flags;   /* letters, in any order */
    const char *returns; /* letters */
    struct meta_request want;
};

#define LINE(line, key, flags, returns, ...)    \
    {                                           \
        BYTES(line), (key), (flags), (returns), \
        {                                       \
            __VA_ARGS__                         \
        }                                       \
    }
#define OPAQUE(text) .opaque = { (const uint8_t *)(text), sizeof(text) - 1 }
#define MS(...)      .op = META_MS, .value_len = 2, __VA_ARGS__
#define MA(...)      .op = META_MA, .mode = META_MODE_INCR, __VA_ARGS__

static const struct meta_case good_cases[] = {
    /* line and words */
    LINE("mg k\r\n", "k", "", "", .op = META_MG),
    LINE("mg k\n", "k", "", "", .op = META_MG),
    LINE("mg k v\r\n", "k", "v", "", .op = META_MG),
    LINE("mg k v\n", "k", "v", "", .op = META_MG),
    LINE("mg key:000000000001 v\r\n", "key:000000000001", "v", "", .op = META_MG),
    LINE("mg  k   v  t \r\n", "k", "vt", "t", .op = META_MG),
    LINE("mg a\tb\x80\r\xff v\r\n", "a\tb\x80\r\xff", "v", "", .op = META_MG),
    LINE("mg k v\r\r\n", "k", "v", "", .op = META_MG),
    LINE("mg k q\r k\r\n", "k", "qk", "k", .op = META_MG),
    LINE("mg " K250 " v\r\n", K250, "v", "", .op = META_MG),
    /* tokens that nobody reads */
    LINE("mg k vabc kxyz qabc P1234 Lsss u1 P\r\n", NULL, NULL, NULL, .op = META_ERROR,
         .error = REQUEST_ERR_META_DUPLICATE),
    LINE("mg k vabc kxyz qabc P1234 Lsss u1\r\n", "k", "vkqPLu", "k", .op = META_MG),
    LINE("mg k P L I x M Mx\r\n", NULL, NULL, NULL, .op = META_ERROR,
         .error = REQUEST_ERR_META_DUPLICATE),
    LINE("mg k P L I x M\r\n", "k", "PLIxM", "", .op = META_MG),
    LINE("md k Mabc S\r\n", NULL, NULL, NULL, .op = META_ERROR, .error = REQUEST_ERR_META_FLAG),
    LINE("md k Mabc\r\n", "k", "M", "", .op = META_MD),
    /* what is given back, and in which order */
    LINE("mg k s t c f l h k O1 v\r\n", "k", "stcflhkOv", "stcflhkO", .op = META_MG, OPAQUE("1")),
    LINE("mg k O1 k h l f c t s\r\n", "k", "stcflhkO", "Okhlfcts", .op = META_MG, OPAQUE("1")),
    LINE("ms k 2 s t c f l h k O1 v\r\n", "k", "stcflhkOv", "sckO", MS(OPAQUE("1"))),
    LINE("md k s t c f l h k O1 v\r\n", "k", "stcflhkOv", "kO", .op = META_MD, OPAQUE("1")),
    LINE("ma k s t c f l h k O1 v\r\n", "k", "stcflhkOv", "tckO", MA(.delta = 1, OPAQUE("1"))),
    LINE("mg k O\r\n", "k", "O", "O", .op = META_MG, OPAQUE("")),
    LINE("mg k O" O31 "\r\n", "k", "O", "O", .op = META_MG, OPAQUE(O31)),
    LINE("mg k t T30\r\n", "k", "tT", "t", .op = META_MG, .exptime = 30, .ttl_before_touch = true),
    LINE("mg k T30 t\r\n", "k", "tT", "t", .op = META_MG, .exptime = 30),
    LINE("mg k T30 R5 N9 t\r\n", "k", "TRNt", "t", .op = META_MG, .exptime = 30, .recache_s = 5,
         .vivify_exptime = 9),
    LINE("ma k t T-1\r\n", "k", "tT", "t", MA(.delta = 1, .exptime = -1, .ttl_before_touch = true)),
    /* numbers */
    LINE("mg k N0 R-5 T4102444800\r\n", "k", "NRT", "", .op = META_MG, .recache_s = -5,
         .exptime = 4102444800, .recache_before_touch = true, .vivify_before_touch = true),
    LINE("mg k N99999999999999999999 T-99999999999999999999\r\n", "k", "NT", "", .op = META_MG,
         .vivify_exptime = INT64_MAX, .exptime = INT64_MIN, .vivify_before_touch = true),
    LINE("mg k C0 E18446744073709551615\r\n", "k", "CE", "", .op = META_MG, .cas_new = UINT64_MAX),
    LINE("mg k D1 J2 F3\r\n", "k", "DJF", "", .op = META_MG, .delta = 1, .initial = 2,
         .client_flags = 3),
    LINE(
        "ms k 2 F4294967295 T60 C7 E8 N9 I\r\n", "k", "FTCENI", "",
        MS(.client_flags = UINT32_MAX, .exptime = 60, .cas = 7, .cas_new = 8, .vivify_exptime = 9)),
    LINE("ma k D18446744073709551615 J0 N0\r\n", "k", "DJN", "", MA(.delta = UINT64_MAX)),
    LINE("md k C1 E2 T3 x I q\r\n", "k", "CETxIq", "", .op = META_MD, .cas = 1, .cas_new = 2,
         .exptime = 3),
    /* data blocks */
    LINE("ms k 2\r\n", "k", "", "", MS()),
    LINE("ms k 0\n", "k", "", "", .op = META_MS),
    LINE("ms  k  00000000002  q \r\n", "k", "q", "", MS()),
    LINE("ms k 2147483645 q\r\n", "k", "q", "", .op = META_MS, .value_len = VALUE_LEN_LIMIT),
    /* modes */
    LINE("ms k 2 MS\r\n", "k", "M", "", MS(.mode = META_MODE_SET)),
    LINE("ms k 2 ME\r\n", "k", "M", "", MS(.mode = META_MODE_ADD)),
    LINE("ms k 2 MA\r\n", "k", "M", "", MS(.mode = META_MODE_APPEND)),
    LINE("ms k 2 MP\r\n", "k", "M", "", MS(.mode = META_MODE_PREPEND)),
    LINE("ms k 2 MR\r\n", "k", "M", "", MS(.mode = META_MODE_REPLACE)),
    LINE("ms k 2 MAppend\r\n", "k", "M", "", MS(.mode = META_MODE_APPEND)),
    LINE("ma k MI\r\n", "k", "M", "", MA(.delta = 1)),
    LINE("ma k M+\r\n", "k", "M", "", MA(.delta = 1)),
    LINE("ma k MINCR\r\n", "k", "M", "", MA(.delta = 1)),
    LINE("ma k MD\r\n", "k", "M", "", .op = META_MA, .mode = META_MODE_DECR, .delta = 1),
    LINE("ma k M-\r\n", "k", "M", "", .op = META_MA, .mode = META_MODE_DECR, .delta = 1),
    LINE("ma k\r\n", "k", "", "", MA(.delta = 1)),
    /* keys in base64 */
    LINE("mg Zm9v b\r\n", "foo", "b", "", .op = META_MG),
    LINE("mg Zm8= k b v\r\n", "fo", "kbv", "k", .op = META_MG),
    LINE("ms Zg== 2 b\r\n", "f", "b", "", MS()),
    LINE("md Zm9v bx\r\n", "foo", "b", "", .op = META_MD),
    LINE("ma Zm9v b\r\n", "foo", "b", "", MA(.delta = 1)),
    LINE("mg Zm:9v b\r\n", "foo", "b", "", .op = META_MG),
    LINE("mg " B248 " b\r\n", NULL, "b", "", .op = META_MG),
    /* mn, me */
    LINE("mn\r\n", NULL, "", NULL, .op = META_MN),
    LINE("mn \n", NULL, "", NULL, .op = META_MN),
    LINE("mn k v v " K251 "\r\n", NULL, "", NULL, .op = META_MN),
    LINE("me k\r\n", "k", "", NULL, .op = META_ME),
    LINE("me " K250 "\r\n", K250, "", NULL, .op = META_ME),
    LINE("me Zm9v b\r\n", "foo", "b", NULL, .op = META_ME),
    LINE("me Zm9v b v v\r\n", "foo", "b", NULL, .op = META_ME),
    LINE("me Zm9v x b\r\n", "Zm9v", "", NULL, .op = META_ME),
    LINE("me Zm9v bb\r\n", "Zm9v", "", NULL, .op = META_ME),
    /* 20 words, command and key among them */
    LINE("mg k O1 k c s t f h l u q P L I v T1 N1 R1 C1\r\n", "k", "OkcstfhluqPLIvTNRC", "Okcstfhl",
         .op = META_MG, OPAQUE("1"), .exptime = 1, .vivify_exptime = 1, .recache_s = 1, .cas = 1,
         .ttl_before_touch = true, .ttl_before_vivify = true),
    LINE("ms k 2 O1 k c s t f h l u q P L I v T1 N1 C1\r\n", "k", "OkcstfhluqPLIvTNC", "Okcs",
         MS(OPAQUE("1"), .exptime = 1, .vivify_exptime = 1, .cas = 1, .ttl_before_touch = true,
            .ttl_before_vivify = true)),
};

#define BAD(line, which) \
    LINE(line, NULL, NULL, NULL, .op = META_ERROR, .error = REQUEST_ERR_##which)
#define BAD_META(line, which) BAD(line, META_##which)
/* an error of an ms line whose data block is two bytes long, and swallowed with its end */
#define BAD_MS(line, which) \
    LINE(line, NULL, NULL, NULL, .op = META_ERROR, .error = REQUEST_ERR_##which, .swallow = 4)

static const struct meta_case error_cases[] = {
    /* keys */
    BAD("mg\r\n", FORMAT),
    BAD("mg \r\n", FORMAT),
    BAD("mg  \n", FORMAT),
    BAD("ms\r\n", FORMAT),
    BAD("md\r\n", FORMAT),
    BAD("ma\r\n", FORMAT),
    BAD("me\r\n", FORMAT),
    BAD("mg " K251 "\r\n", FORMAT),
    BAD("mg " K251 " v v\r\n", FORMAT),
    BAD("mg " K251 " a a a a a a a a a a a a a a a a a a a a\r\n", FORMAT),
    BAD("md " K251 "\r\n", FORMAT),
    BAD_META("ma " K251 "\r\n", MA),
    BAD("me " K251 "\r\n", FORMAT),
    BAD_MS("ms " K251 " 2\r\n", FORMAT),
    BAD("ms " K251 " x\r\n", FORMAT),
    /* letters; the first that is wrong ends the search */
    BAD_META("mg k v v\r\n", DUPLICATE),
    BAD_META("mg k C1 C2\r\n", DUPLICATE),
    BAD_META("mg k \xff\r\n", DUPLICATE),
    BAD_META("mg k \x7f\r\n", DUPLICATE),
    BAD_META("mg k Z\r\n", FLAG),
    BAD_META("mg k S5\r\n", FLAG),
    BAD_META("mg k a\r\n", FLAG),
    BAD_META("mg k [\r\n", FLAG),
    BAD_META("mg k v noreply\r\n", FLAG),
    BAD("mg k 1\r\n", FORMAT),
    BAD("mg k @\r\n", FORMAT),
    BAD("mg k {\r\n", FORMAT),
    BAD("mg k \t\r\n", FORMAT),
    BAD("mg k \r\r\n", FORMAT),
    BAD("mg k 1 v v\r\n", FORMAT),
    BAD_META("mg k v v 1\r\n", DUPLICATE),
    BAD_META("mg k Z v v\r\n", FLAG),
    BAD_META("mg k Cx Z Dx\r\n", FLAG),
    BAD_META("mg k Z q\r\n", FLAG),
    /* tokens; the last that is wrong is told */
    BAD_META("mg k T\r\n", TOKEN),
    BAD_META("mg k Tx\r\n", TOKEN),
    BAD_META("mg k T+5\r\n", TOKEN),
    BAD_META("mg k T5x\r\n", TOKEN),
    BAD_META("mg k T-\r\n", TOKEN),
    BAD_META("mg k N\r\n", TOKEN),
    BAD_META("mg k Rx\r\n", TOKEN),
    BAD_META("mg k C\r\n", TOKEN),
    BAD_META("mg k C-1\r\n", TOKEN),
    BAD_META("mg k C18446744073709551616\r\n", TOKEN),
    BAD_META("mg k Ex\r\n", TOKEN),
    BAD_META("mg k Dx\r\n", DELTA),
    BAD_META("mg k D\r\n", DELTA),
    BAD_META("md k J-1\r\n", INITIAL),
    BAD("mg k F\r\n", FORMAT),
    BAD("mg k Fx\r\n", FORMAT),
    BAD("mg k F-1\r\n", FORMAT),
    BAD("mg k F4294967296\r\n", FORMAT),
    BAD_META("mg k Cx Dx\r\n", DELTA),
    BAD_META("mg k Dx Cx\r\n", TOKEN),
    BAD_META("mg k Fx Cx q\r\n", TOKEN),
    BAD_META("mg k Cx Fx\r\n", TOKEN),
    BAD_META("mg k b\r\n", KEY),
    BAD_META("mg !!!! b\r\n", KEY),
    BAD_META("mg !!!! b Cx\r\n", TOKEN),
    BAD_META("mg !!!! Cx b\r\n", KEY),
    BAD_META("md Zm9 b\r\n", KEY),
    BAD("me k b\r\n", FORMAT),
    /* opaques: the least of errors */
    BAD_META("mg k O" O31 "o\r\n", OPAQUE),
    BAD_META("mg k O" O31 "o Cx\r\n", TOKEN),
    BAD_META("mg k Cx O" O31 "o\r\n", TOKEN),
    BAD_META("ma k MZ O" O31 "o\r\n", MA_MODE),
    BAD_META("ma k O" O31 "o\r\n", OPAQUE),
    /* ma has one text for nearly all of them */
    BAD_META("ma k v v\r\n", MA),
    BAD_META("ma k Z\r\n", MA),
    BAD_META("ma k 1\r\n", MA),
    BAD_META("ma k Tx\r\n", MA),
    BAD_META("ma k Dx\r\n", MA),
    BAD_META("ma k Jx\r\n", MA),
    BAD_META("ma k Fx\r\n", MA),
    BAD_META("ma !!!! b\r\n", MA),
    BAD_META("ma k Jx MZ\r\n", MA),
    BAD_META("ma k MZ\r\n", MA_MODE),
    BAD_META("ma k Mi\r\n", MA_MODE),
    BAD_META("ma k MS\r\n", MA_MODE),
    BAD_META("ma k M q\r\n", MA_MODE),
    /* ms: without a length nothing is swallowed */
    BAD("ms k\r\n", FORMAT),
    BAD("ms k q\r\n", FORMAT),
    BAD("ms k S2\r\n", FORMAT),
    BAD("ms k -1\r\n", FORMAT),
    BAD("ms k +2\r\n", FORMAT),
    BAD("ms k 2x\r\n", FORMAT),
    BAD("ms k 000000000002\r\n", FORMAT),
    BAD("ms k 2147483646\r\n", FORMAT),
    BAD("ms k 4294967295\r\n", FORMAT),
    BAD("ms k x v v\r\n", FORMAT),
    /* with one the block is */
    BAD_MS("ms k 2 v v\r\n", META_DUPLICATE),
    BAD_MS("ms k 2 Z\r\n", META_FLAG),
    BAD_MS("ms k 2 1 q\r\n", FORMAT),
    BAD_MS("ms k 2 Fx\r\n", FORMAT),
    BAD_MS("ms k 2 Tx\r\n", META_TOKEN),
    BAD_MS("ms !!!! 2 b\r\n", META_KEY),
    BAD_MS("ms k 2 O" O31 "o\r\n", META_OPAQUE),
    BAD_MS("ms k 2 MZ\r\n", META_MS_MODE),
    BAD_MS("ms k 2 Ms q\r\n", META_MS_MODE),
    BAD_MS("ms k 2 MI\r\n", META_MS_MODE),
    BAD_MS("ms k 2 M\r\n", META_MS_MODE),
    BAD_MS("ms k 2 MZ Tx\r\n", META_TOKEN),
    LINE("ms k 2147483645 Z\r\n", NULL, NULL, NULL, .op = META_ERROR,
         .error = REQUEST_ERR_META_FLAG, .swallow = 2147483647),
    /* 21 words, whatever they are */
    BAD_META("mg k O1 k c s t f h l u q P L I v T1 N1 R1 C1 E1\r\n", OPTIONS),
    BAD_META("mg k v v x x x x x x x x x x x x x x x x x\r\n", OPTIONS),
    BAD_META("mg k v v x x x x x x x x x x x x x x x x\r\n", DUPLICATE),
    BAD_META("ma k v v x x x x x x x x x x x x x x x x x\r\n", OPTIONS),
    BAD_META("ms k x v v x x x x x x x x x x x x x x x x\r\n", OPTIONS),
    BAD_MS("ms k 2 v v x x x x x x x x x x x x x x x x\r\n", META_OPTIONS),
    BAD_MS("ms k 2 v v x x x x x x x x x x x x x x x\r\n", META_DUPLICATE),
};

#endif
