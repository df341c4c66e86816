/* Memory that ends at an unreadable page: a read or write past the end kills the test there. */
#ifndef LARDER_TESTS_SUPPORT_GUARD_H
#define LARDER_TESTS_SUPPORT_GUARD_H

#include <stddef.h>
#include <stdint.h>

/** A copy of `len` bytes whose last byte lies before an unreadable page; `len` may be 0. */
uint8_t *guard_copy(const void *bytes, size_t len);
/** Room for `len` bytes that ends the same way, filled with 0xa5. */
uint8_t *guard_room(size_t len);
/** Frees all that these gave.  Not for use by several threads. */
void guard_free_all(void);

#endif
