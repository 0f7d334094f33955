/* Byte views: the few functions that are not inline. See bytes.h. */
#include "base/bytes.h"

#include "base/mem.h"

struct lev_bytes lev_bytes_dup(struct lev_bytes b)
{
    uint8_t *p = lev_xmalloc(b.len + 1);
    if (b.len)
        memcpy(p, b.ptr, b.len);
    p[b.len] = 0;
    return lev_bytes(p, b.len);
}

void lev_bytes_free(struct lev_bytes *b)
{
    free((void *)(uintptr_t)b->ptr);
    *b = LEV_EMPTY;
}
