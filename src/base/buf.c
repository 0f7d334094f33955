/* A growable byte buffer. See buf.h. */
#include "base/buf.h"

#include <stdlib.h>

void lev_buf_init(struct lev_buf *b)
{
    *b = (struct lev_buf){0};
}

void lev_buf_deinit(struct lev_buf *b)
{
    free(b->ptr);
    *b = (struct lev_buf){0};
}

uint8_t *lev_buf_grow(struct lev_buf *b, size_t n)
{
    if (b->failed || n > SIZE_MAX / 4 - b->len) {
        b->failed = true;
        return NULL;
    }
    size_t cap = b->cap ? b->cap : 64;
    while (cap < b->len + n)
        cap *= 2;
    uint8_t *p = realloc(b->ptr, cap);
    if (!p) {
        b->failed = true;
        return NULL;
    }
    b->ptr = p;
    b->cap = cap;
    return p + b->len;
}

void lev_buf_consume(struct lev_buf *b, size_t n)
{
    if (n < b->len)
        memmove(b->ptr, b->ptr + n, b->len - n);
    b->len -= n < b->len ? n : b->len;
}
