/* What the topology's own files share: the exchange, the topology, and how a route walks over them.
 *
 * Invariants: every binding is in its source's list, its destination's list, its source's index and
 * the topology's identity map, or in none of them. An exchange in the map has a type. The epoch
 * grows with every change to exchanges or bindings. All of it runs under the vhost's lock. */
#ifndef LEV_BROKER_TOPOLOGY_INT_H
#define LEV_BROKER_TOPOLOGY_INT_H

#include "broker/binding.h"
#include "broker/exchange.h"
#include "broker/route.h"
#include "broker/topology.h"

struct lev_topology {
    struct lev_bytes vhost;
    const struct lev_topology_ops *ops;
    void *ctx;
    struct lev_map exchanges;        /* by name */
    struct lev_map bindings;         /* by identity, see binding.h */
    struct lev_list doomed;          /* struct lev_exchange.doomed_node: to be auto-deleted */
    struct lev_exchange *default_ex; /* '': its bindings are the queues' names */
    uint64_t epoch;
    size_t n_acting; /* exchanges by which routing does more than find queues */
    struct lev_router router;
};

#endif
