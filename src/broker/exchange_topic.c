/* Exchange type topic: binding keys are patterns, kept in a trie (topic.h). Runs under the vhost's
 * lock. */
#include "broker/binding.h"
#include "broker/exchange.h"
#include "broker/route.h"
#include "broker/topic.h"

static void *topic_index_new(const struct lev_exchange_def *d)
{
    (void)d;
    return lev_topic_new();
}

static void topic_index_free(void *index)
{
    struct lev_topic *t = index;
    lev_topic_free(&t);
}

static void topic_add(struct lev_exchange *x, struct lev_binding *b)
{
    lev_topic_add(x->index, lev_binding_key(b), &b->index_node);
}

static void topic_remove(struct lev_exchange *x, struct lev_binding *b)
{
    lev_topic_remove(x->index, lev_binding_key(b), &b->index_node);
}

static void on_match(void *arg, const struct lev_list *entries)
{
    LEV_LIST_EACH(it, nx, entries)
    lev_walk_visit(arg, LEV_LIST_ENTRY(it, struct lev_binding, index_node));
}

static void topic_route(struct lev_exchange *x, struct lev_walk *w)
{
    for (size_t i = 0; i < w->n_keys; i++)
        lev_topic_match(x->index, w->keys[i], on_match, w);
}

const struct lev_exchange_type lev_exchange_topic = {
    .name = {(const uint8_t *)"topic", 5},
    .index_new = topic_index_new,
    .index_free = topic_index_free,
    .add = topic_add,
    .remove = topic_remove,
    .route = topic_route,
};
