/* Bytes that end exactly where an unreadable page begins, so that a decoder that reads one byte
 * past its input crashes, with or without a sanitizer. Any thread. */
#ifndef LEV_TESTS_GUARD_H
#define LEV_TESTS_GUARD_H

#include <stddef.h>
#include <stdint.h>

struct guard_bytes {
    uint8_t *ptr; /* the bytes; ptr[len] faults */
    size_t len;
    void *map; /* the whole mapping, guard page included */
    size_t map_len;
};

/* Copies len bytes from src against a guard page. Aborts when the system gives no memory. */
struct guard_bytes guard_bytes_new(const void *src, size_t len);

/* Unmaps and clears. Safe on a cleared one. */
void guard_bytes_free(struct guard_bytes *g);

#endif
