/* Output buffer, input cursor, tables and frame envelope. See codec.h for the rules. */
#include "perf/codec.h"

#include <stdio.h>
#include <stdlib.h>

void lev_perf_buf_reserve(struct lev_perf_buf *buf, size_t more)
{
    size_t cap = buf->cap ? buf->cap : 256;
    uint8_t *data;

    if (buf->cap - buf->len >= more)
        return;
    while (cap - buf->len < more)
        cap *= 2;
    data = realloc(buf->data, cap);
    if (!data) {
        fprintf(stderr, "leveret-perf: out of memory\n");
        exit(1);
    }
    buf->data = data;
    buf->cap = cap;
}

void lev_perf_buf_deinit(struct lev_perf_buf *buf)
{
    free(buf->data);
    memset(buf, 0, sizeof *buf);
}

void lev_perf_put_bytes(struct lev_perf_buf *buf, const void *data, size_t len)
{
    if (len == 0)
        return;
    lev_perf_buf_reserve(buf, len);
    memcpy(buf->data + buf->len, data, len);
    buf->len += len;
}

void lev_perf_put_u8(struct lev_perf_buf *buf, uint8_t v)
{
    lev_perf_put_bytes(buf, &v, 1);
}

void lev_perf_put_u16(struct lev_perf_buf *buf, uint16_t v)
{
    v = __builtin_bswap16(v);
    lev_perf_put_bytes(buf, &v, sizeof v);
}

void lev_perf_put_u32(struct lev_perf_buf *buf, uint32_t v)
{
    v = __builtin_bswap32(v);
    lev_perf_put_bytes(buf, &v, sizeof v);
}

void lev_perf_put_u64(struct lev_perf_buf *buf, uint64_t v)
{
    v = __builtin_bswap64(v);
    lev_perf_put_bytes(buf, &v, sizeof v);
}

void lev_perf_put_shortstr(struct lev_perf_buf *buf, const char *s)
{
    size_t len = strnlen(s, 255);

    lev_perf_put_u8(buf, (uint8_t)len);
    lev_perf_put_bytes(buf, s, len);
}

void lev_perf_put_longstr(struct lev_perf_buf *buf, const void *data, size_t len)
{
    lev_perf_put_u32(buf, (uint32_t)len);
    lev_perf_put_bytes(buf, data, len);
}

static void set_u32(struct lev_perf_buf *buf, size_t at, size_t v)
{
    uint32_t wire = __builtin_bswap32((uint32_t)v);

    memcpy(buf->data + at, &wire, sizeof wire);
}

size_t lev_perf_table_begin(struct lev_perf_buf *buf)
{
    lev_perf_put_u32(buf, 0);
    return buf->len;
}

void lev_perf_table_end(struct lev_perf_buf *buf, size_t mark)
{
    set_u32(buf, mark - 4, buf->len - mark);
}

void lev_perf_table_bool(struct lev_perf_buf *buf, const char *name, bool v)
{
    lev_perf_put_shortstr(buf, name);
    lev_perf_put_u8(buf, 't');
    lev_perf_put_u8(buf, v);
}

void lev_perf_table_str(struct lev_perf_buf *buf, const char *name, const char *v)
{
    lev_perf_put_shortstr(buf, name);
    lev_perf_put_u8(buf, 'S');
    lev_perf_put_longstr(buf, v, strlen(v));
}

void lev_perf_table_i32(struct lev_perf_buf *buf, const char *name, int32_t v)
{
    lev_perf_put_shortstr(buf, name);
    lev_perf_put_u8(buf, 'I');
    lev_perf_put_u32(buf, (uint32_t)v);
}

size_t lev_perf_frame_begin(struct lev_perf_buf *buf, enum lev_perf_frame_type type,
                            uint16_t channel)
{
    lev_perf_put_u8(buf, (uint8_t)type);
    lev_perf_put_u16(buf, channel);
    return lev_perf_table_begin(buf);
}

void lev_perf_frame_end(struct lev_perf_buf *buf, size_t mark)
{
    lev_perf_table_end(buf, mark);
    lev_perf_put_u8(buf, LEV_PERF_FRAME_END);
}

struct lev_perf_cursor lev_perf_cursor_on(const uint8_t *data, size_t len)
{
    return (struct lev_perf_cursor){.p = data, .end = data + len};
}

/* The next n bytes, or NULL with the cursor failed. */
static const uint8_t *take(struct lev_perf_cursor *c, size_t n)
{
    const uint8_t *p = c->p;

    if (c->failed || (size_t)(c->end - p) < n) {
        c->failed = true;
        return NULL;
    }
    c->p += n;
    return p;
}

uint8_t lev_perf_take_u8(struct lev_perf_cursor *c)
{
    const uint8_t *p = take(c, 1);

    return p ? *p : 0;
}

uint16_t lev_perf_take_u16(struct lev_perf_cursor *c)
{
    const uint8_t *p = take(c, 2);

    return p ? lev_perf_get_u16(p) : 0;
}

uint32_t lev_perf_take_u32(struct lev_perf_cursor *c)
{
    const uint8_t *p = take(c, 4);

    return p ? lev_perf_get_u32(p) : 0;
}

uint64_t lev_perf_take_u64(struct lev_perf_cursor *c)
{
    const uint8_t *p = take(c, 8);

    return p ? lev_perf_get_u64(p) : 0;
}

const uint8_t *lev_perf_take_shortstr(struct lev_perf_cursor *c, size_t *len_r)
{
    size_t len = lev_perf_take_u8(c);
    const uint8_t *p = take(c, len);

    *len_r = p ? len : 0;
    return p;
}

void lev_perf_skip_long(struct lev_perf_cursor *c)
{
    uint32_t len = lev_perf_take_u32(c);

    take(c, len);
}
