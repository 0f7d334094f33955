/* How a message walks over exchanges: what the exchange types see of it.
 *
 * A walk has a mark of its own; a destination whose seen is the mark has been visited. Exchanges
 * wait in a list for their turn, so cycles end and depth costs no stack. Runs under the vhost's
 * lock. */
#ifndef LEV_BROKER_ROUTE_H
#define LEV_BROKER_ROUTE_H

#include "broker/binding.h"
#include "broker/headers.h"
#include "broker/route_cache.h"
#include "broker/topology.h"

struct lev_dest_array {
    struct lev_dest **v;
    size_t n, cap;
};

struct lev_walk {
    uint64_t mark; /* of the last walk; grows */
    const struct lev_bytes *keys;
    size_t n_keys;
    struct lev_bytes headers;
    struct lev_msg *msg; /* NULL when only its route is asked for */
    const struct lev_topology *topology;
    const struct lev_exchange *due; /* that held the message back, and saw it then; or NULL */
    bool held; /* the exchange at hand holds the message back: that is not the same as no queue */
    bool headers_indexed;
    struct lev_headers_index index;
    size_t matched; /* bindings that took the message, of the exchange at hand */
    bool by_key;    /* some exchange on the way looked at keys */
    bool uncached;  /* some exchange on the way looked at more than keys; types may set it */
    struct lev_dest_array queues, exchanges; /* visited, in this order */
};

struct lev_router {
    struct lev_walk walk;
    struct lev_route_cache cache;
    struct lev_route result;
};

/* A zeroed router is ready for use. */
void lev_router_deinit(struct lev_router *r);

/* A binding takes the message: its destination is visited unless it has been. */
void lev_walk_visit(struct lev_walk *w, const struct lev_binding *b);

/* The message's headers, sorted; made at the first call of a walk. */
const struct lev_headers_index *lev_walk_headers(struct lev_walk *w);

#endif
