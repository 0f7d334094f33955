/* Exchange type x-modulus-hash: the hash of the routing keys, modulo the number of bindings, picks
 * one of them. Binding keys mean nothing. The hash has no seed and the bindings are sorted, so that
 * the choice outlives a restart. Runs under the vhost's lock. */
#include "base/hash.h"
#include "broker/binding_array.h"
#include "broker/exchange.h"
#include "broker/route.h"

static void *modulus_new(const struct lev_exchange_def *d)
{
    (void)d;
    return lev_xcalloc(1, sizeof(struct lev_binding_array));
}

static void modulus_free(void *index)
{
    lev_binding_array_deinit(index);
    free(index);
}

static void modulus_add(struct lev_exchange *x, struct lev_binding *b)
{
    lev_binding_array_add(x->index, b);
}

static void modulus_remove(struct lev_exchange *x, struct lev_binding *b)
{
    lev_binding_array_remove(x->index, b);
}

static void modulus_route(struct lev_exchange *x, struct lev_walk *w)
{
    const struct lev_binding_array *a = x->index;
    uint64_t hash = 0;
    for (size_t i = 0; i < w->n_keys; i++)
        hash = lev_hash_fixed(w->keys[i], hash);
    if (a->n > 0)
        lev_walk_visit(w, a->v[hash % a->n]);
}

const struct lev_exchange_type lev_exchange_modulus_hash = {
    .name = {(const uint8_t *)"x-modulus-hash", 14},
    .index_new = modulus_new,
    .index_free = modulus_free,
    .add = modulus_add,
    .remove = modulus_remove,
    .route = modulus_route,
};
