/* Results of routing, kept by exchange and routing key: a direct-mapped table of bounded size.
 *
 * An entry holds its own copy of key and destinations and is right only at the epoch it was made
 * at: its pointers are not looked at under another one. A result is kept when the same look-up
 * missed twice in a row in its slot, so that keys that never come back cost no allocation. Runs
 * under the vhost's lock. */
#ifndef LEV_BROKER_ROUTE_CACHE_H
#define LEV_BROKER_ROUTE_CACHE_H

#include "broker/topology.h"

struct lev_route_slot;

struct lev_route_cache {
    struct lev_route_slot *slots;
    size_t cap;      /* power of two, or 0 */
    size_t n, bytes; /* entries, right or outdated, and their memory */
};

/* Limits: slots, and memory of entries. A result larger than a quarter of the memory is not kept.
 */
enum { LEV_ROUTE_CACHE_SLOTS_MAX = 1 << 14, LEV_ROUTE_CACHE_BYTES_MAX = 4 << 20 };

/* A zeroed cache is an empty one. */
void lev_route_cache_deinit(struct lev_route_cache *c);

/* The route from x by key at epoch, or NULL. any_key: only one that was put in for any key; key is
 * then the empty one. Valid until the next put. */
const struct lev_route *lev_route_cache_get(const struct lev_route_cache *c,
                                            const struct lev_exchange *x, struct lev_bytes key,
                                            bool any_key, uint64_t epoch);

/* Keeps a copy of route, or not. any_key: it is the same for every key; key is then the empty one.
 * key.len <= 255. */
void lev_route_cache_put(struct lev_route_cache *c, const struct lev_exchange *x,
                         struct lev_bytes key, bool any_key, uint64_t epoch,
                         const struct lev_route *route);

#endif
