/* Exchange type x-recent-history: a fanout exchange that remembers the last messages (argument
 * x-recent-history-length, else 20) and gives them, oldest first, to whatever is newly bound to it.
 * The memory is not stored: it is empty after a restart. Runs under the vhost's lock. */
#include "amqp/table.h"
#include "broker/message.h"
#include "broker/topology_int.h"
#include "broker/term.h"

enum { LENGTH_DEFAULT = 20 };

struct kept {
    struct lev_list node;
    struct lev_msg *msg;     /* owned reference */
    size_t n_keys;           /* all it was published with, BCC too */
    struct lev_bytes keys[]; /* and their octets behind them */
};

struct history {
    struct lev_list kept; /* oldest first */
    uint64_t n, max;
};

/* ---- What is kept
 * -------------------------------------------------------------------------------- */

static struct kept *kept_new(struct lev_msg *msg, const struct lev_bytes *keys, size_t n_keys)
{
    size_t octets = 0;
    for (size_t i = 0; i < n_keys; i++)
        octets += keys[i].len;
    struct kept *k = lev_xmalloc(sizeof(*k) + n_keys * sizeof(k->keys[0]) + octets);
    lev_list_init(&k->node);
    k->msg = lev_msg_ref(msg);
    k->n_keys = n_keys;
    uint8_t *at = (uint8_t *)(k->keys + n_keys);
    for (size_t i = 0; i < n_keys; at += keys[i++].len) {
        k->keys[i] = lev_bytes(at, keys[i].len);
        if (keys[i].len)
            memcpy(at, keys[i].ptr, keys[i].len);
    }
    return k;
}

static void kept_free(struct kept *k)
{
    lev_list_remove(&k->node);
    lev_msg_unref(&k->msg);
    free(k);
}

static void kept_free_all(struct lev_list *l)
{
    LEV_LIST_EACH(it, nx, l)
    kept_free(LEV_LIST_ENTRY(it, struct kept, node));
}

static bool has_length(const struct lev_value *v)
{
    return v->type != '\0' && strchr("bsIl", v->type) && v->i > 0;
}

static int history_validate(const struct lev_exchange_def *d, struct lev_error *err)
{
    struct lev_value v;
    char text[256];
    if (!lev_table_get(d->arguments, "x-recent-history-length", &v) || has_length(&v))
        return 0;
    lev_term_print(text, sizeof(text), &v);
    return lev_fail(err, LEV_PRECONDITION_FAILED,
                    "Invalid argument %s, 'x-recent-history-length' must be a positive integer",
                    text);
}

static void *history_new(const struct lev_exchange_def *d)
{
    struct history *h = lev_xcalloc(1, sizeof(*h));
    struct lev_value v;
    bool given = lev_table_get(d->arguments, "x-recent-history-length", &v) && has_length(&v);
    lev_list_init(&h->kept);
    h->max = given ? (uint64_t)v.i : LENGTH_DEFAULT;
    return h;
}

static void history_free(void *index)
{
    struct history *h = index;
    kept_free_all(&h->kept);
    free(h);
}

/* ---- Routing: keep and pass on
 * ------------------------------------------------------------------- */

static bool is_to_be_kept(const struct lev_walk *w)
{
    struct lev_value v;
    return w->msg && !(lev_table_get(w->headers, "x-recent-history-no-store", &v) &&
                       v.type == 't' && v.i != 0);
}

static void keep(struct history *h, const struct lev_walk *w)
{
    lev_list_push_back(&h->kept, &kept_new(w->msg, w->keys, w->n_keys)->node);
    if (++h->n <= h->max)
        return;
    h->n--;
    kept_free(LEV_LIST_ENTRY(h->kept.next, struct kept, node));
}

static void history_route(struct lev_exchange *x, struct lev_walk *w)
{
    if (is_to_be_kept(w))
        keep(x->index, w);
    LEV_LIST_EACH(it, nx, &x->out)
    lev_walk_visit(w, LEV_LIST_ENTRY(it, struct lev_binding, source_node));
}

/* ---- Something new is bound
 * ---------------------------------------------------------------------- */

static void deliver_through(struct lev_topology *t, struct lev_exchange *x, const struct kept *k)
{
    const struct lev_route *r =
        lev_route_msg(t, x, k->msg, k->keys, k->n_keys, lev_msg_headers(k->msg));
    for (size_t i = 0; i < r->n; i++)
        t->ops->deliver(t->ctx, r->dests[i], k->msg);
}

/* A copy of the list: an exchange bound to itself keeps what it gives out. */
static void copy_kept(struct lev_list *to, const struct lev_list *from)
{
    lev_list_init(to);
    for (const struct lev_list *it = from->next; it != from; it = it->next) {
        const struct kept *k = LEV_LIST_ENTRY(it, struct kept, node);
        lev_list_push_back(to, &kept_new(k->msg, k->keys, k->n_keys)->node);
    }
}

static void history_bound(struct lev_topology *t, struct lev_binding *b)
{
    const struct history *h = b->source->index;
    struct lev_dest *dest = b->dest;
    struct lev_list copies;
    if (!t->ops->deliver)
        return;
    copy_kept(&copies, &h->kept);
    LEV_LIST_EACH(it, nx, &copies)
    {
        const struct kept *k = LEV_LIST_ENTRY(it, struct kept, node);
        if (dest->is_queue)
            t->ops->deliver(t->ctx, dest, k->msg);
        else
            deliver_through(t, LEV_CONTAINER(dest, struct lev_exchange, dest), k);
    }
    kept_free_all(&copies);
}

const struct lev_exchange_type lev_exchange_recent_history = {
    .name = {(const uint8_t *)"x-recent-history", 16},
    .keyless = true,
    .uncached = true,
    .validate = history_validate,
    .index_new = history_new,
    .index_free = history_free,
    .bound = history_bound,
    .route = history_route,
};
