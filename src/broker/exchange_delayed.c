/* Exchange type x-delayed-message: one of another type (argument x-delayed-type) that holds
 * messages back for as long as their header x-delay says (delay.h). Bindings and routing are the
 * other type's. Runs under the vhost's lock.
 *
 * The other type keeps its index in x->index as it always does: while it has the word, ours is out
 * of the way. */
#include "amqp/table.h"
#include "broker/binding.h"
#include "broker/delay_header.h"
#include "broker/topology_int.h"

struct delayed {
    const struct lev_exchange_type *inner;
    void *index; /* the inner type's */
};

/* The type that the arguments name, or NULL. */
static const struct lev_exchange_type *inner_of(struct lev_bytes arguments)
{
    struct lev_value v;
    if (!lev_table_get(arguments, "x-delayed-type", &v) || v.type != 'S')
        return NULL;
    const struct lev_exchange_type *type = lev_exchange_type_find(v.b);
    return type == &lev_exchange_delayed ? NULL : type;
}

static int delayed_validate(const struct lev_exchange_def *d, struct lev_error *err)
{
    const struct lev_exchange_type *inner = inner_of(d->arguments);
    if (!inner)
        return lev_fail(err, LEV_PRECONDITION_FAILED,
                        "Invalid argument, 'x-delayed-type' must be an existing exchange type");
    return inner->validate ? inner->validate(d, err) : 0;
}

static void *delayed_new(const struct lev_exchange_def *d)
{
    struct delayed *own = lev_xcalloc(1, sizeof(*own));
    own->inner = inner_of(d->arguments);
    if (!own->inner)
        own->inner = &lev_exchange_direct; /* stored by somebody else */
    if (own->inner->index_new)
        own->index = own->inner->index_new(d);
    return own;
}

static void delayed_free(void *index)
{
    struct delayed *own = index;
    if (own->inner->index_free)
        own->inner->index_free(own->index);
    free(own);
}

/* The inner type has the word until leave. */
static struct delayed *enter(struct lev_exchange *x)
{
    struct delayed *own = x->index;
    x->index = own->index;
    return own;
}

static void leave(struct lev_exchange *x, struct delayed *own)
{
    own->index = x->index;
    x->index = own;
}

static int delayed_check(struct lev_topology *t, const struct lev_binding_def *d,
                         const struct lev_dest *dest, struct lev_error *err)
{
    struct lev_exchange *x = lev_exchange_get(t, d->source);
    struct delayed *own = enter(x);
    int rc = own->inner->check ? own->inner->check(t, d, dest, err) : 0;
    leave(x, own);
    return rc;
}

static void delayed_add(struct lev_exchange *x, struct lev_binding *b)
{
    struct delayed *own = enter(x);
    if (own->inner->add)
        own->inner->add(x, b);
    leave(x, own);
}

static void delayed_remove(struct lev_exchange *x, struct lev_binding *b)
{
    struct delayed *own = enter(x);
    if (own->inner->remove)
        own->inner->remove(x, b);
    leave(x, own);
}

static void delayed_bound(struct lev_topology *t, struct lev_binding *b)
{
    struct lev_exchange *x = b->source;
    struct delayed *own = enter(x);
    if (own->inner->bound)
        own->inner->bound(t, b);
    leave(x, own);
}

/* True when the message is held back now. */
static bool hold(struct lev_exchange *x, struct lev_walk *w)
{
    const struct lev_topology *t = w->topology;
    uint64_t ms = w->msg && w->due != x && t->ops->delay ? lev_delay_asked(w->headers) : 0;
    if (ms)
        t->ops->delay(t->ctx, x, w, ms);
    return ms > 0;
}

static void delayed_route(struct lev_exchange *x, struct lev_walk *w)
{
    if (hold(x, w)) {
        w->held = true;
        return;
    }
    struct delayed *own = enter(x);
    own->inner->route(x, w);
    leave(x, own);
}

const struct lev_exchange_type lev_exchange_delayed = {
    .name = {(const uint8_t *)"x-delayed-message", 17},
    .uncached = true,
    .acts = true,
    .validate = delayed_validate,
    .check = delayed_check,
    .index_new = delayed_new,
    .index_free = delayed_free,
    .add = delayed_add,
    .remove = delayed_remove,
    .bound = delayed_bound,
    .route = delayed_route,
};
