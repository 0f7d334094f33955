/* Allocation of small, bounded things. See mem.h. */
#include "base/mem.h"

#include <stdio.h>

static void *check(void *p, size_t size)
{
    if (!p) {
        fprintf(stderr, "leveret: out of memory allocating %zu bytes\n", size);
        abort();
    }
    return p;
}

void *lev_xmalloc(size_t size)
{
    return check(malloc(size ? size : 1), size);
}

void *lev_xcalloc(size_t n, size_t size)
{
    return check(calloc(n ? n : 1, size ? size : 1), size);
}

void *lev_xrealloc(void *p, size_t size)
{
    return check(realloc(p, size ? size : 1), size);
}
