/* A fast seeded hash: multiply and fold 64 x 64 -> 128 bits, eight bytes at a time. See hash.h. */
#include "base/hash.h"

#include <sys/random.h>

static uint64_t seed = 0x9e3779b97f4a7c15u;

void lev_hash_seed(void)
{
    uint64_t s;
    if (getrandom(&s, sizeof(s), 0) == (ssize_t)sizeof(s))
        seed = s | 1;
}

static inline uint64_t fold(uint64_t a, uint64_t b)
{
    __extension__ unsigned __int128 m = (unsigned __int128)a * b;
    return (uint64_t)m ^ (uint64_t)(m >> 64);
}

uint64_t lev_hash_fixed(struct lev_bytes b, uint64_t h0)
{
    const uint64_t k1 = 0xa0761d6478bd642fu, k2 = 0xe7037ed1a0b428dbu;
    uint64_t h = h0 + k1, v = 0;
    const uint8_t *p = b.ptr;
    size_t n = b.len;
    for (; n >= 8; p += 8, n -= 8) {
        memcpy(&v, p, 8);
        h = fold(h ^ v, k2);
    }
    v = 0;
    if (n)
        memcpy(&v, p, n);
    h = fold(h ^ v, k1 ^ b.len);
    return fold(h, k2);
}

uint64_t lev_hash(struct lev_bytes b, uint64_t h0)
{
    return lev_hash_fixed(b, h0 ^ seed);
}
