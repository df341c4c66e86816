/* What the files of the classic text protocol share; for proto/text_*.c alone. */
#ifndef LARDER_PROTO_TEXT_PRIV_H
#define LARDER_PROTO_TEXT_PRIV_H

#include "parse.h"

/** As text_parse(), for every line there is: hot commands too, with the same answer. */
enum parse_status text_parse_words(struct cursor *cur, struct request *out) PARSE_MUST_CHECK;

#endif
