/* Exchange types x-random and x-local-random: a message goes the way of one binding, picked by
 * chance. A queue that is bound twice is picked twice as often. x-local-random takes only classic
 * queues, and no binding keys; on one node all queues are local. Runs under the vhost's lock. */
#include <sys/random.h>

#include "broker/binding_array.h"
#include "broker/topology_int.h"

#define CLASSIC "rabbit_classic_queue"

struct lottery {
    struct lev_binding_array bindings;
    uint64_t state; /* of the generator */
};

static void *lottery_new(const struct lev_exchange_def *d)
{
    (void)d;
    struct lottery *l = lev_xcalloc(1, sizeof(*l));
    if (getrandom(&l->state, sizeof(l->state), 0) != (ssize_t)sizeof(l->state))
        abort(); /* the kernel's random source cannot fail for 8 octets once it is initialised */
    return l;
}

static void lottery_free(void *index)
{
    struct lottery *l = index;
    lev_binding_array_deinit(&l->bindings);
    free(l);
}

static void lottery_add(struct lev_exchange *x, struct lev_binding *b)
{
    struct lottery *l = x->index;
    lev_binding_array_add(&l->bindings, b);
}

static void lottery_remove(struct lev_exchange *x, struct lev_binding *b)
{
    struct lottery *l = x->index;
    lev_binding_array_remove(&l->bindings, b);
}

/* SplitMix64: a counter and a good mixer; plenty to spread messages. */
static uint64_t draw(struct lottery *l)
{
    uint64_t z = l->state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static void lottery_route(struct lev_exchange *x, struct lev_walk *w)
{
    struct lottery *l = x->index;
    if (l->bindings.n > 0)
        lev_walk_visit(w, l->bindings.v[draw(l) % l->bindings.n]);
}

static int local_check(struct lev_topology *t, const struct lev_binding_def *d,
                       const struct lev_dest *dest, struct lev_error *err)
{
    if (d->routing_key.len > 0)
        return lev_fail(err, LEV_PRECONDITION_FAILED, "Non empty binding '%.*s' key not permitted",
                        LEV_FMT(d->routing_key));
    if (!d->to_queue)
        return lev_fail(err, LEV_PRECONDITION_FAILED, "Destination not found");
    const char *type = t->ops->queue_type ? t->ops->queue_type(t->ctx, dest) : CLASSIC;
    if (strcmp(type, CLASSIC) != 0)
        return lev_fail(err, LEV_PRECONDITION_FAILED,
                        "Queue type %s not valid for this exchange type", type);
    return 0;
}

const struct lev_exchange_type lev_exchange_random = {
    .name = {(const uint8_t *)"x-random", 8},
    .keyless = true,
    .uncached = true,
    .index_new = lottery_new,
    .index_free = lottery_free,
    .add = lottery_add,
    .remove = lottery_remove,
    .route = lottery_route,
};

const struct lev_exchange_type lev_exchange_local_random = {
    .name = {(const uint8_t *)"x-local-random", 14},
    .keyless = true,
    .uncached = true,
    .check = local_check,
    .index_new = lottery_new,
    .index_free = lottery_free,
    .add = lottery_add,
    .remove = lottery_remove,
    .route = lottery_route,
};
