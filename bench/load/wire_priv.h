/* Numbers of the binary protocol that requests and replies share. */
#ifndef LARDER_BENCH_LOAD_WIRE_PRIV_H
#define LARDER_BENCH_LOAD_WIRE_PRIV_H

#include "proto/binary.h"

#define BINARY_REPLY_MAGIC 0x81u

enum opcode {
    OPCODE_GET = 0x00,
    OPCODE_SET = 0x01,
    OPCODE_DELETE = 0x04,
    OPCODE_NOOP = 0x0a,
    OPCODE_GETKQ = 0x0d,
};

#endif
