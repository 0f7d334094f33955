/* Packed routing keys. See keys.h. */
#include "broker/keys.h"

#include "base/mem.h"

struct lev_bytes lev_keys_pack(const struct lev_bytes *keys, size_t n)
{
    size_t octets = n;
    for (size_t i = 0; i < n; i++)
        octets += keys[i].len;
    uint8_t *p = lev_xmalloc(octets + 1), *at = p;
    for (size_t i = 0; i < n; i++) {
        *at++ = (uint8_t)keys[i].len;
        if (keys[i].len)
            memcpy(at, keys[i].ptr, keys[i].len);
        at += keys[i].len;
    }
    return lev_bytes(p, octets);
}

bool lev_keys_valid(struct lev_bytes packed)
{
    size_t at = 0;
    while (at < packed.len && packed.ptr[at] < packed.len - at)
        at += (size_t)packed.ptr[at] + 1;
    return at == packed.len;
}

size_t lev_keys_unpack(struct lev_bytes packed, struct lev_bytes *keys)
{
    size_t n = 0;
    for (size_t at = 0; at < packed.len; at += (size_t)packed.ptr[at] + 1, n++)
        if (keys)
            keys[n] = lev_bytes(packed.ptr + at + 1, packed.ptr[at]);
    return n;
}
