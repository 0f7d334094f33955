/* Routing keys of a message packed into one run of octets: each behind an octet that says how long
 * it is. For messages that are routed later than they are published. Any thread. */
#ifndef LEV_BROKER_KEYS_H
#define LEV_BROKER_KEYS_H

#include "base/bytes.h"

/* Owned by the caller (lev_bytes_free). Keys have at most 255 octets. */
struct lev_bytes lev_keys_pack(const struct lev_bytes *keys, size_t n);

/* False for octets that lev_keys_pack never gives. */
bool lev_keys_valid(struct lev_bytes packed);

/* How many there are in valid octets; fills keys, unless it is NULL, with views of them. */
size_t lev_keys_unpack(struct lev_bytes packed, struct lev_bytes *keys);

#endif
