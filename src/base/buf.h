/* A growable byte buffer with a sticky failure: once an append could not get memory,
 * later appends do nothing and failed stays set; check once at the end. Owned by one thread. */
#ifndef LEV_BASE_BUF_H
#define LEV_BASE_BUF_H

#include "base/bytes.h"

struct lev_buf {
    uint8_t *ptr;
    size_t len, cap;
    bool failed;
};

void lev_buf_init(struct lev_buf *b);
void lev_buf_deinit(struct lev_buf *b);

/* Empties without giving memory back. */
static inline void lev_buf_clear(struct lev_buf *b)
{
    b->len = 0;
    b->failed = false;
}

/* Slow path of lev_buf_reserve. */
uint8_t *lev_buf_grow(struct lev_buf *b, size_t n);

/* Room for n more bytes at the end, or NULL (failed set). Write there, then add to len. */
static inline uint8_t *lev_buf_reserve(struct lev_buf *b, size_t n)
{
    if (__builtin_expect(b->cap - b->len >= n && !b->failed, 1))
        return b->ptr + b->len;
    return lev_buf_grow(b, n);
}

static inline void lev_buf_put(struct lev_buf *b, const void *p, size_t n)
{
    uint8_t *d = n ? lev_buf_reserve(b, n) : NULL;
    if (d) {
        memcpy(d, p, n);
        b->len += n;
    }
}

static inline void lev_buf_put_bytes(struct lev_buf *b, struct lev_bytes v)
{
    lev_buf_put(b, v.ptr, v.len);
}

static inline void lev_buf_put8(struct lev_buf *b, uint8_t v)
{
    lev_buf_put(b, &v, 1);
}

static inline void lev_buf_put16(struct lev_buf *b, uint16_t v)
{
    uint8_t t[2];
    lev_put16(t, v);
    lev_buf_put(b, t, 2);
}

static inline void lev_buf_put32(struct lev_buf *b, uint32_t v)
{
    uint8_t t[4];
    lev_put32(t, v);
    lev_buf_put(b, t, 4);
}

static inline void lev_buf_put64(struct lev_buf *b, uint64_t v)
{
    uint8_t t[8];
    lev_put64(t, v);
    lev_buf_put(b, t, 8);
}

/* Drops the first n bytes (moves the rest down). */
void lev_buf_consume(struct lev_buf *b, size_t n);

static inline struct lev_bytes lev_buf_view(const struct lev_buf *b)
{
    return lev_bytes(b->ptr, b->len);
}

#endif
