/*
 * Sets of GTIDs.  The first byte chooses the form of the rest: text, or one of the two binary ones.
 * What is taken comes back as the same set from its text, and from its binary form.
 */
#include "mysql/gtid.h"

#include <assert.h>
#include <stdlib.h>

#define ROOM_CAP (4u << 20) /* bytes: the text of the longest set */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
check_same(const struct gtid_set *a, const struct gtid_set *b)
{
    assert(a->count == b->count);
    assert(gtid_set_contains_set(a, b) && gtid_set_contains_set(b, a));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static char room[ROOM_CAP];
    struct gtid_set set, again;
    struct bytes rest = { data + 1, len - 1 };
    enum gtid_result result;
    if (len == 0) {
        return 0;
    }
    gtid_set_init(&set);
    gtid_set_init(&again);
    if (data[0] == 't') {
        struct gtid gtid;
        (void)!gtid_parse(rest, &gtid);
        result = gtid_set_parse(&set, rest);
    } else {
        struct event event = { .kind = data[0] == 'p' ? EVENT_PREVIOUS_GTIDS : EVENT_GTID_LIST };
        event.gtids = rest;
        result = gtid_set_add_event(&set, &event);
    }
    if (result == GTID_DONE) {
        struct writer out = writer(room, sizeof(room));
        gtid_set_write(&set, &out);
        assert(!out.is_full);
        result = gtid_set_parse(&again, (struct bytes){ (const uint8_t *)room, out.len });
        assert(result == GTID_DONE);
        check_same(&set, &again);
        gtid_set_clear(&again);
        if (set.family != GTID_MARIADB) {
            out = writer(room, sizeof(room));
            gtid_set_encode(&set, &out);
            result = gtid_set_decode(&again, (struct bytes){ (const uint8_t *)room, out.len });
            assert(result == GTID_DONE);
            check_same(&set, &again);
        }
    }
    gtid_set_fini(&set);
    gtid_set_fini(&again);
    return 0;
}
