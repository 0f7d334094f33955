/* One exchange, and what makes an exchange type.
 *
 * A type is one const struct lev_exchange_type and one row of the table in exchange.c. It may keep
 * an index over its exchange's bindings; all lists but the index are the topology's business. */
#ifndef LEV_BROKER_EXCHANGE_H
#define LEV_BROKER_EXCHANGE_H

#include "broker/dedup.h"
#include "broker/topology.h"

struct lev_binding;
struct lev_walk;

struct lev_exchange_type {
    struct lev_bytes name;
    bool keyless;  /* route never looks at routing keys */
    bool uncached; /* route depends on more than routing keys: results cannot be cached by them */
    bool acts;     /* routing a message may do more than find queues: it counts when it is done */
    /* Refuses the arguments of a new exchange: -1 with *err. NULL: everything is fine. */
    int (*validate)(const struct lev_exchange_def *d, struct lev_error *err);
    /* Refuses a binding to dest: -1 with *err. NULL: everything is fine. */
    int (*check)(struct lev_topology *t, const struct lev_binding_def *d,
                 const struct lev_dest *dest, struct lev_error *err);
    /* What the type keeps per exchange; NULL where the list of bindings is enough. d is the
     * exchange's own copy and lives as long; it may not have been validated (recovery). Free with
     * index_free when it has no bindings again. */
    void *(*index_new)(const struct lev_exchange_def *d);
    void (*index_free)(void *index);
    void (*add)(struct lev_exchange *x, struct lev_binding *b);
    void (*remove)(struct lev_exchange *x, struct lev_binding *b);
    /* A client made this binding (it was not restored), and it is in place. */
    void (*bound)(struct lev_topology *t, struct lev_binding *b);
    /* Calls lev_walk_visit for every binding that takes the message. */
    void (*route)(struct lev_exchange *x, struct lev_walk *w);
};

struct lev_exchange {
    struct lev_dest dest; /* first */
    const struct lev_exchange_type *type;
    struct lev_list out;         /* struct lev_binding.source_node: bindings from here */
    struct lev_list doomed_node; /* in the topology's list of exchanges to auto-delete */
    void *index;                 /* the type's */
    struct lev_dedup *dedup;     /* NULL: duplicates pass */
    bool going;                  /* being removed */
    bool has_alternate;
    bool alternate_by_policy; /* then alternate is owned; else a view into def.arguments */
    struct lev_bytes alternate;
    struct lev_exchange_def def;
    uint8_t bytes[]; /* name, arguments */
};

/* The type of that name, or NULL. */
const struct lev_exchange_type *lev_exchange_type_find(struct lev_bytes name);

/* An exchange of that type, in no topology; d->type is not looked at. Never NULL. */
struct lev_exchange *lev_exchange_new(const struct lev_exchange_def *d,
                                      const struct lev_exchange_type *type);
/* Routing by it does more than find queues. */
static inline bool lev_exchange_acts(const struct lev_exchange *x)
{
    return x->type->acts || x->dedup;
}
/* Its type, or that of messages once they are due, drops duplicates. */
bool lev_exchange_is_deduplication(const struct lev_exchange *x);
/* The alternate exchange that a policy gives it, or none (NULL): counts where the arguments name
 * none. True when that changed anything. */
bool lev_exchange_set_alternate(struct lev_exchange *x, const struct lev_bytes *alternate);
/* Frees an exchange without bindings. Accepts a pointer to NULL. */
void lev_exchange_free(struct lev_exchange **x);

/* 0 when d asks for what x is, else -1 with RabbitMQ's 406. */
int lev_exchange_equivalent(const struct lev_exchange *x, const struct lev_exchange_def *d,
                            struct lev_bytes vhost, struct lev_error *err);

extern const struct lev_exchange_type lev_exchange_direct;
extern const struct lev_exchange_type lev_exchange_fanout;
extern const struct lev_exchange_type lev_exchange_topic;
extern const struct lev_exchange_type lev_exchange_headers;
extern const struct lev_exchange_type lev_exchange_consistent_hash;
extern const struct lev_exchange_type lev_exchange_modulus_hash;
extern const struct lev_exchange_type lev_exchange_random;
extern const struct lev_exchange_type lev_exchange_local_random;
extern const struct lev_exchange_type lev_exchange_recent_history;
extern const struct lev_exchange_type lev_exchange_delayed;
extern const struct lev_exchange_type lev_exchange_deduplication;

#endif
