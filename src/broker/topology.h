/* Exchanges, bindings and routing of one vhost. Knows nothing of queues but their dest
 * node, nothing of channels, stores or sockets. Runs under the vhost's lock; single-threaded by
 * that.
 *
 * Error codes and texts are RabbitMQ's (rabbitmq-compat.md 2, 2.2, 4), vhost name included. */
#ifndef LEV_BROKER_TOPOLOGY_H
#define LEV_BROKER_TOPOLOGY_H

#include "base/list.h"
#include "base/map.h"
#include "broker/error.h"
#include "broker/store.h"

/* What a binding can lead to: embedded first thing in struct lev_exchange, and somewhere in struct
 * lev_queue. */
struct lev_dest {
    bool is_queue, durable;
    struct lev_bytes name;    /* owned by the container */
    struct lev_list bindings; /* struct lev_binding.dest_node: bindings that lead here */
    uint64_t seen;            /* last route that visited it */
};

void lev_dest_init(struct lev_dest *d, bool is_queue, bool durable, struct lev_bytes name);

struct lev_exchange;
struct lev_walk;

struct lev_topology_ops {
    /* Queue by name, or NULL. */
    struct lev_dest *(*queue)(void *ctx, struct lev_bytes name);
    /* A durable exchange or binding (durable source and durable destination) changed: kind is
     * LEV_OP_EXCHANGE_ADD/_DELETE or LEV_OP_BINDING_ADD/_DELETE; def is a block the callee owns. */
    void (*persist)(void *ctx, enum lev_op_kind kind, void *def);
    /* An exchange was removed or added by a peer's doing (for counts and events); may be NULL. */
    void (*exchange_gone)(void *ctx, struct lev_bytes name);
    /* An exchange with a memory gives a queue a message because of a new binding. Borrows msg.
     * Must neither route nor change the topology. NULL: such messages are dropped. */
    void (*deliver)(void *ctx, struct lev_dest *queue, struct lev_msg *msg);
    /* What RabbitMQ calls a queue's type: rabbit_classic_queue. NULL: all are of that one. */
    const char *(*queue_type)(void *ctx, const struct lev_dest *queue);
    /* The alternate exchange that a policy gives an exchange: true with a view in *alternate_r.
     * Asked when an exchange appears and by lev_topology_ask_policies. NULL: there are none. */
    bool (*alternate)(void *ctx, struct lev_bytes name, struct lev_bytes *alternate_r);
    /* x is new, or policies changed: begins, changes or ends its dropping of duplicates. NULL: none
     * does. */
    void (*deduplicate)(void *ctx, struct lev_exchange *x);
    /* x, which drops duplicates, gets a message: true when it is one; else it is remembered. NULL:
     * there are none. */
    bool (*duplicate)(void *ctx, struct lev_exchange *x, struct lev_bytes headers);
    /* x holds w's message back for so long. NULL: nothing is held back. */
    void (*delay)(void *ctx, struct lev_exchange *x, const struct lev_walk *w, uint64_t delay_ms);
};

struct lev_topology; /* opaque */

/* A topology with the predeclared exchanges ('' amq.direct amq.fanout amq.topic amq.headers
 * amq.match amq.rabbitmq.trace). Borrows vhost name and ops for its life. Never NULL. */
struct lev_topology *lev_topology_new(struct lev_bytes vhost, const struct lev_topology_ops *ops,
                                      void *ctx);
/* Queues that are still bound must be alive: they leave their lists. Accepts a pointer to NULL. */
void lev_topology_free(struct lev_topology **t);

/* Exchange by name ('' is the default exchange), or NULL. */
struct lev_exchange *lev_exchange_get(struct lev_topology *t, struct lev_bytes name);

/* The policies have changed: asks for every exchange anew. */
void lev_topology_ask_policies(struct lev_topology *t);

/* Read-only facts of an exchange. */
const struct lev_exchange_def *lev_exchange_def_of(const struct lev_exchange *x);
bool lev_exchange_is_internal(const struct lev_exchange *x);
size_t lev_exchange_count(const struct lev_topology *t);

/* exchange.declare. Does every check of compat 2.2 (name, type, reserved prefix, equivalence in
 * RabbitMQ's order, alternate-exchange type) and creates when missing. CR and LF are stripped from
 * names by the session beforehand. 0 or -1 with *err. */
int lev_exchange_declare(struct lev_topology *t, const struct lev_exchange_def *d,
                         struct lev_error *err);
/* exchange.declare passive=true. */
int lev_exchange_check(struct lev_topology *t, struct lev_bytes name, struct lev_error *err);
/* exchange.delete: missing is fine; default and amq.* refused; if_unused. Removes its bindings both
 * ways; an auto-delete exchange that thereby loses its last outgoing binding goes too. */
int lev_exchange_delete(struct lev_topology *t, struct lev_bytes name, bool if_unused,
                        struct lev_error *err);

/* queue.bind / exchange.bind; d says which. Checks compat 2 (missing ends, default exchange,
 * headers arguments); idempotent by typed identity (source, destination, key, arguments in any
 * order). routing_key.len <= 255. */
int lev_bind(struct lev_topology *t, const struct lev_binding_def *d, struct lev_error *err);
/* queue.unbind / exchange.unbind: missing things are fine; default exchange refused. */
int lev_unbind(struct lev_topology *t, const struct lev_binding_def *d, struct lev_error *err);

/* True when exactly this binding exists. */
bool lev_binding_exists(struct lev_topology *t, const struct lev_binding_def *d);

/* Recovery: put back what was stored, without checks and without persisting. A binding whose ends
 * are missing is skipped (returns false). */
void lev_topology_restore_exchange(struct lev_topology *t, const struct lev_exchange_def *d);
bool lev_topology_restore_binding(struct lev_topology *t, const struct lev_binding_def *d);

/* A queue is being deleted: removes all bindings to it (persisting what was durable), auto-deletes
 * exchanges. The caller removes the queue from its own map. */
void lev_topology_queue_gone(struct lev_topology *t, struct lev_dest *queue);

/* The distinct queues a message goes to. Valid until the next call on t. */
struct lev_route {
    size_t n;
    struct lev_dest **dests; /* queues only, each once */
};

/* Routes by exchange x with n_keys keys (the routing key, then CC and BCC keys) and the message's
 * headers (raw table; may be empty). Follows exchange-to-exchange bindings (each exchange once per
 * message) and alternate exchanges (when x itself, at any level where it was reached, yields
 * nothing; chains). The default exchange looks queues up by name. Hot: the result for one key is
 * cached per (exchange, key) while the topology's epoch stays, when no exchange that looks at
 * headers was involved; a hit costs one hash look-up and no allocation. Cache memory is bounded. */
const struct lev_route *lev_route(struct lev_topology *t, struct lev_exchange *x,
                                  const struct lev_bytes *keys, size_t n_keys,
                                  struct lev_bytes headers);

/* The same for a message that is there as a whole: exchange types that look at its properties or
 * keep messages see it. Borrows msg, may take references. Every publish and dead-lettering goes
 * this way; lev_route is for asking where something would go. */
const struct lev_route *lev_route_msg(struct lev_topology *t, struct lev_exchange *x,
                                      struct lev_msg *msg, const struct lev_bytes *keys,
                                      size_t n_keys, struct lev_bytes headers);

/* The same for a message that x held back and now lets go. */
const struct lev_route *lev_route_due(struct lev_topology *t, struct lev_exchange *x,
                                      struct lev_msg *msg, const struct lev_bytes *keys,
                                      size_t n_keys, struct lev_bytes headers);

/* True when routing a message by x may do more than find queues (an exchange on its way may hold it
 * back, or remember it): then a transaction routes it at commit. */
bool lev_route_acts(struct lev_topology *t, struct lev_exchange *x);

/* Changes whenever a cached route may have become wrong (bindings, exchanges; not queues of the
 * default exchange). */
uint64_t lev_topology_epoch(const struct lev_topology *t);

/* Visits every binding (not the default exchange's implicit ones) / exchange. */
void lev_topology_each_binding(struct lev_topology *t,
                               void (*fn)(void *arg, const struct lev_binding_def *d), void *arg);
void lev_topology_each_exchange(struct lev_topology *t,
                                void (*fn)(void *arg, const struct lev_exchange_def *d), void *arg);

#endif
