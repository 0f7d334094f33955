/* Byte views: a pointer and a length, borrowed from somebody else's memory.
 *
 * A view never owns. ptr may be NULL only when len is 0. Everything from the wire travels as a view
 * until somebody decides to keep it. */
#ifndef LEV_BASE_BYTES_H
#define LEV_BASE_BYTES_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct lev_bytes {
    const uint8_t *ptr;
    size_t len;
};

/* View of a string literal, without its NUL. */
#define LEV_LIT(s) ((struct lev_bytes){(const uint8_t *)("" s), sizeof(s) - 1})
#define LEV_EMPTY ((struct lev_bytes){NULL, 0})

/* printf("%.*s", LEV_FMT(b)) */
#define LEV_FMT(b) (int)(b).len, ((b).len ? (const char *)(b).ptr : "")

static inline struct lev_bytes lev_bytes(const void *ptr, size_t len)
{
    return (struct lev_bytes){(const uint8_t *)ptr, len};
}

static inline struct lev_bytes lev_bytes_str(const char *s)
{
    return (struct lev_bytes){(const uint8_t *)s, s ? strlen(s) : 0};
}

/* The first and the last k of n octets, k <= n <= 2 k. k is a constant. */
static inline void lev_move_ends(uint8_t *to, const uint8_t *from, size_t n, size_t k)
{
    memcpy(to, from, k);
    memcpy(to + n - k, from + n - k, k);
}

/* memcpy, for what is mostly short: in place, by two moves that may overlap. */
static inline void lev_copy(uint8_t *to, const uint8_t *from, size_t n)
{
    if (n > 32) {
        memcpy(to, from, n);
    } else if (n >= 16) {
        lev_move_ends(to, from, n, 16);
    } else if (n >= 8) {
        lev_move_ends(to, from, n, 8);
    } else if (n >= 4) {
        lev_move_ends(to, from, n, 4);
    } else if (n) {
        to[0] = from[0];
        to[n / 2] = from[n / 2];
        to[n - 1] = from[n - 1];
    }
}

static inline bool lev_bytes_eq(struct lev_bytes a, struct lev_bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool lev_bytes_starts(struct lev_bytes a, struct lev_bytes prefix)
{
    return a.len >= prefix.len && (prefix.len == 0 || memcmp(a.ptr, prefix.ptr, prefix.len) == 0);
}

/* Byte order, shorter first where one is a prefix of the other. <0, 0, >0. */
static inline int lev_bytes_cmp(struct lev_bytes a, struct lev_bytes b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int c = n ? memcmp(a.ptr, b.ptr, n) : 0;
    if (c != 0)
        return c;
    return a.len < b.len ? -1 : a.len > b.len;
}

/* Heap copy with a NUL after it (so it can also be printed); never NULL: out of memory aborts.
 * Only for small things bounded by the protocol (names, keys, tables of one frame). Free with
 * free(). */
struct lev_bytes lev_bytes_dup(struct lev_bytes b);

/* Frees a view made by lev_bytes_dup and empties it. */
void lev_bytes_free(struct lev_bytes *b);

/* Big-endian loads and stores, the wire's order. */
static inline uint16_t lev_get16(const uint8_t *p)
{
    return (uint16_t)((p[0] << 8) | p[1]);
}

static inline uint32_t lev_get32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, 4);
    return be32toh(v);
}

static inline uint64_t lev_get64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, 8);
    return be64toh(v);
}

static inline void lev_put16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static inline void lev_put32(uint8_t *p, uint32_t v)
{
    v = htobe32(v);
    memcpy(p, &v, 4);
}

static inline void lev_put64(uint8_t *p, uint64_t v)
{
    v = htobe64(v);
    memcpy(p, &v, 8);
}

#endif
