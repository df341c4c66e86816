#include "config.h"

#include "net/napi.h"

#include "base/assert.h"

#include <sys/socket.h>

enum napi_result
napi_choose(struct napi_table *table, unsigned id, unsigned *worker)
{
    assert(table->max >= 1 && table->max <= NAPI_IDS_MAX && table->len <= table->max);
    if (id == 0) {
        return NAPI_NONE;
    }
    for (unsigned i = 0; i < table->len; i++) {
        if (table->ids[i] == id) {
            *worker = i;
            return NAPI_WORKER;
        }
    }
    if (table->len == table->max) {
        table->len = 0;
        return NAPI_UNEXPECTED;
    }
    *worker = table->len;
    table->ids[table->len++] = id;
    return NAPI_WORKER;
}

unsigned
napi_id_of(int fd)
{
#ifdef SO_INCOMING_NAPI_ID
    unsigned id = 0;
    socklen_t len = sizeof(id);
    if (getsockopt(fd, SOL_SOCKET, SO_INCOMING_NAPI_ID, &id, &len) == 0) {
        return id;
    }
#else
    (void)fd;
#endif
    return 0;
}
