/* Exchange type direct: a binding takes the message when its key is one of the message's keys. The
 * index maps a key to the list of bindings with it. Runs under the vhost's lock. */
#include "base/map.h"
#include "broker/binding.h"
#include "broker/exchange.h"
#include "broker/route.h"

struct key_slot {
    struct lev_list bindings; /* struct lev_binding.index_node, never empty */
    size_t len;
    uint8_t key[];
};

static void *direct_new(const struct lev_exchange_def *d)
{
    (void)d;
    struct lev_map *m = lev_xmalloc(sizeof(*m));
    lev_map_init(m);
    return m;
}

static void direct_free(void *index)
{
    lev_map_deinit(index);
    free(index);
}

static struct key_slot *slot_new(struct lev_map *m, struct lev_bytes key)
{
    struct key_slot *s = lev_xmalloc(sizeof(*s) + key.len);
    lev_list_init(&s->bindings);
    s->len = key.len;
    if (key.len)
        memcpy(s->key, key.ptr, key.len);
    lev_map_put(m, lev_bytes(s->key, s->len), s);
    return s;
}

static void direct_add(struct lev_exchange *x, struct lev_binding *b)
{
    struct key_slot *s = lev_map_get(x->index, lev_binding_key(b));
    if (!s)
        s = slot_new(x->index, lev_binding_key(b));
    lev_list_push_back(&s->bindings, &b->index_node);
}

static void direct_remove(struct lev_exchange *x, struct lev_binding *b)
{
    struct key_slot *s = lev_map_get(x->index, lev_binding_key(b));
    lev_list_remove(&b->index_node);
    if (!s || !lev_list_empty(&s->bindings))
        return;
    lev_map_remove(x->index, lev_binding_key(b));
    free(s);
}

static void direct_route(struct lev_exchange *x, struct lev_walk *w)
{
    for (size_t i = 0; i < w->n_keys; i++) {
        struct key_slot *s = lev_map_get(x->index, w->keys[i]);
        if (!s)
            continue;
        LEV_LIST_EACH(it, nx, &s->bindings)
        lev_walk_visit(w, LEV_LIST_ENTRY(it, struct lev_binding, index_node));
    }
}

const struct lev_exchange_type lev_exchange_direct = {
    .name = {(const uint8_t *)"direct", 6},
    .index_new = direct_new,
    .index_free = direct_free,
    .add = direct_add,
    .remove = direct_remove,
    .route = direct_route,
};
