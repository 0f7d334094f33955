/* A pool of small blocks that are made by one thread and released by another, as messages are.
 *
 * Blocks come in size classes. Each thread keeps a magazine of free blocks per class; full and
 * empty magazines are exchanged through a depot under a mutex, a hundred blocks at a time, so the
 * common case is a few instructions and no shared cache line. What the depot holds is bounded; the
 * rest goes back to malloc. Larger blocks come straight from malloc,
 * very large ones from huge.h. Any thread. */
#ifndef LEV_BASE_POOL_H
#define LEV_BASE_POOL_H

#include <stddef.h>

/* At least size octets, or NULL when memory is out. */
void *lev_pool_alloc(size_t size) __attribute__((malloc));
/* Releases a block; size as it was allocated with. */
void lev_pool_free(void *p, size_t size);

#endif
