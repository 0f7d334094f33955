/* Routing: from an exchange and a message's keys and headers to queues. See topology.h and route.h.
 * Runs under the vhost's lock. */
#include "broker/route.h"

#include "broker/topology_int.h"

void lev_router_deinit(struct lev_router *r)
{
    lev_route_cache_deinit(&r->cache);
    lev_headers_index_deinit(&r->walk.index);
    free(r->walk.queues.v);
    free(r->walk.exchanges.v);
    *r = (struct lev_router){0};
}

static void push(struct lev_dest_array *a, struct lev_dest *d)
{
    if (a->n == a->cap) {
        a->cap = a->cap ? a->cap * 2 : 16;
        a->v = lev_xrealloc(a->v, a->cap * sizeof(struct lev_dest *));
    }
    a->v[a->n++] = d;
}

static void visit(struct lev_walk *w, struct lev_dest *d)
{
    if (d->seen == w->mark)
        return;
    d->seen = w->mark;
    push(d->is_queue ? &w->queues : &w->exchanges, d);
}

void lev_walk_visit(struct lev_walk *w, const struct lev_binding *b)
{
    w->matched++;
    visit(w, b->dest);
}

const struct lev_headers_index *lev_walk_headers(struct lev_walk *w)
{
    if (!w->headers_indexed)
        lev_headers_index_set(&w->index, w->headers);
    w->headers_indexed = true;
    return &w->index;
}

static void walk_start(struct lev_topology *t, struct lev_msg *msg, const struct lev_bytes *keys,
                       size_t n_keys, struct lev_bytes headers)
{
    struct lev_walk *w = &t->router.walk;
    w->mark++;
    w->topology = t;
    w->due = NULL;
    w->msg = msg;
    w->keys = keys;
    w->n_keys = n_keys;
    w->headers = headers;
    w->headers_indexed = false;
    w->by_key = w->uncached = false;
    w->queues.n = w->exchanges.n = 0;
}

/* True when x drops the message. Once due, it has passed. */
static bool is_duplicate(const struct lev_topology *t, const struct lev_walk *w,
                         struct lev_exchange *x)
{
    return x->dedup && w->msg && w->due != x && t->ops->duplicate &&
           t->ops->duplicate(t->ctx, x, w->headers);
}

/* What x's bindings take; where they take nothing at all, its alternate exchange. The default
 * exchange as somebody's alternate has no bindings: queues' names count only for what is published
 * to it. */
static void walk_exchange(struct lev_topology *t, struct lev_walk *w, struct lev_exchange *x)
{
    w->matched = 0;
    w->by_key |= !x->type->keyless;
    w->uncached |= x->type->uncached || x->dedup;
    w->held = false;
    if (!is_duplicate(t, w, x))
        x->type->route(x, w);
    if (w->matched > 0 || w->held || !x->has_alternate)
        return;
    struct lev_exchange *alternate = lev_exchange_get(t, x->alternate);
    if (alternate)
        visit(w, &alternate->dest);
}

static void walk(struct lev_topology *t, struct lev_walk *w, struct lev_exchange *x)
{
    visit(w, &x->dest);
    for (size_t i = 0; i < w->exchanges.n; i++)
        walk_exchange(t, w, LEV_CONTAINER(w->exchanges.v[i], struct lev_exchange, dest));
}

static void walk_default(struct lev_topology *t, struct lev_walk *w)
{
    for (size_t i = 0; i < w->n_keys; i++) {
        struct lev_dest *queue = t->ops->queue(t->ctx, w->keys[i]);
        if (queue)
            visit(w, queue);
    }
}

static const struct lev_route *cached(const struct lev_topology *t, const struct lev_exchange *x,
                                      struct lev_bytes key)
{
    const struct lev_route_cache *c = &t->router.cache;
    if (x->type->keyless) {
        const struct lev_route *r = lev_route_cache_get(c, x, LEV_EMPTY, true, t->epoch);
        if (r)
            return r;
    }
    return lev_route_cache_get(c, x, key, false, t->epoch);
}

const struct lev_route *lev_route_msg(struct lev_topology *t, struct lev_exchange *x,
                                      struct lev_msg *msg, const struct lev_bytes *keys,
                                      size_t n_keys, struct lev_bytes headers)
{
    struct lev_router *r = &t->router;
    struct lev_walk *w = &r->walk;
    bool cacheable = n_keys == 1 && x != t->default_ex;
    const struct lev_route *hit = cacheable ? cached(t, x, keys[0]) : NULL;
    if (hit)
        return hit;
    walk_start(t, msg, keys, n_keys, headers);
    if (x == t->default_ex)
        walk_default(t, w);
    else
        walk(t, w, x);
    r->result = (struct lev_route){w->queues.n, w->queues.v};
    if (cacheable && !w->uncached)
        lev_route_cache_put(&r->cache, x, w->by_key ? keys[0] : LEV_EMPTY, !w->by_key, t->epoch,
                            &r->result);
    return &r->result;
}

const struct lev_route *lev_route(struct lev_topology *t, struct lev_exchange *x,
                                  const struct lev_bytes *keys, size_t n_keys,
                                  struct lev_bytes headers)
{
    return lev_route_msg(t, x, NULL, keys, n_keys, headers);
}

const struct lev_route *lev_route_due(struct lev_topology *t, struct lev_exchange *x,
                                      struct lev_msg *msg, const struct lev_bytes *keys,
                                      size_t n_keys, struct lev_bytes headers)
{
    struct lev_router *r = &t->router;
    walk_start(t, msg, keys, n_keys, headers);
    r->walk.due = x;
    walk(t, &r->walk, x);
    r->result = (struct lev_route){r->walk.queues.n, r->walk.queues.v};
    return &r->result;
}

bool lev_route_acts(struct lev_topology *t, struct lev_exchange *x)
{
    struct lev_walk *w = &t->router.walk;
    if (!t->n_acting || x == t->default_ex)
        return false;
    walk_start(t, NULL, NULL, 0, LEV_EMPTY);
    visit(w, &x->dest);
    for (size_t i = 0; i < w->exchanges.n; i++) {
        struct lev_exchange *at = LEV_CONTAINER(w->exchanges.v[i], struct lev_exchange, dest);
        struct lev_exchange *alternate =
            at->has_alternate ? lev_exchange_get(t, at->alternate) : NULL;
        if (lev_exchange_acts(at))
            return true;
        if (alternate)
            visit(w, &alternate->dest);
        LEV_LIST_EACH(it, nx, &at->out)
        visit(w, LEV_LIST_ENTRY(it, struct lev_binding, source_node)->dest);
    }
    return false;
}
