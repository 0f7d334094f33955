/* Transactions (class tx). Publishes are routed when they arrive and enqueued at commit; acks take
 * effect at commit. Everything a commit does happens within one hold of the vhost's lock, so it is
 * in one batch of the store: all or nothing, over all queues, also after a crash. Under the vhost's
 * lock. */
#include "base/mem.h"
#include "broker/keys.h"
#include "broker/publish.h"
#include "broker/queue.h"
#include "broker/vhost_int.h"

int lev_tx_select(struct lev_chan *ch, struct lev_error *err)
{
    if (ch->confirm_mode)
        return lev_fail(err, LEV_PRECONDITION_FAILED, "cannot switch from confirm to tx mode");
    ch->tx_mode = true;
    return 0;
}

static int need_tx(const struct lev_chan *ch, struct lev_error *err)
{
    if (ch->tx_mode)
        return 0;
    return lev_fail(err, LEV_PRECONDITION_FAILED, "channel is not transactional");
}

static struct lev_tx_publish *add_publish(struct lev_tx *tx, struct lev_msg *msg, bool mandatory)
{
    if (tx->n_publishes == tx->cap_publishes) {
        tx->cap_publishes = tx->cap_publishes ? tx->cap_publishes * 2 : 16;
        tx->publishes = lev_xrealloc(tx->publishes, tx->cap_publishes * sizeof(*tx->publishes));
    }
    struct lev_tx_publish *p = &tx->publishes[tx->n_publishes++];
    *p = (struct lev_tx_publish){.msg = msg, .mandatory = mandatory};
    tx->bytes += lev_msg_size(msg);
    return p;
}

void lev_tx_publish(struct lev_chan *ch, struct lev_msg *msg, struct lev_queue *const *queues,
                    size_t n_queues, bool mandatory)
{
    struct lev_tx_publish *p = add_publish(&ch->tx, msg, mandatory);
    p->n_queues = n_queues;
    p->queues = lev_xmalloc(n_queues * sizeof(struct lev_queue *));
    for (size_t i = 0; i < n_queues; i++)
        p->queues[i] = lev_queue_ref(queues[i]);
}

void lev_tx_publish_late(struct lev_chan *ch, struct lev_msg *msg, const struct lev_bytes *keys,
                         size_t n_keys, bool mandatory)
{
    struct lev_tx_publish *p = add_publish(&ch->tx, msg, mandatory);
    p->late = true;
    p->keys = lev_keys_pack(keys, n_keys);
}

void lev_tx_settle(struct lev_chan *ch, struct lev_unacked *u, enum lev_settle how)
{
    struct lev_tx *tx = &ch->tx;
    if (tx->n_settles == tx->cap_settles) {
        tx->cap_settles = tx->cap_settles ? tx->cap_settles * 2 : 16;
        tx->settles = lev_xrealloc(tx->settles, tx->cap_settles * sizeof(*tx->settles));
    }
    u->in_tx = true;
    tx->settles[tx->n_settles++] = (struct lev_tx_settle){.tag = u->tag, .how = how};
}

static struct lev_unacked *in_tx(struct lev_chan *ch, uint64_t tag)
{
    struct lev_unacked_list *l = &ch->unacked;
    size_t lo = 0, hi = l->len;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (l->a[l->first + mid].tag < tag)
            lo = mid + 1;
        else
            hi = mid;
    }
    return &l->a[l->first + lo];
}

/* Drops the publishes and the list of settles (which are restored or applied by now). */
static void forget(struct lev_tx *tx)
{
    for (size_t i = 0; i < tx->n_publishes; i++) {
        struct lev_tx_publish *p = &tx->publishes[i];
        lev_msg_unref(&p->msg);
        for (size_t k = 0; k < p->n_queues; k++)
            lev_queue_unref(&p->queues[k]);
        free(p->queues);
        lev_bytes_free(&p->keys);
    }
    free(tx->publishes);
    free(tx->settles);
    *tx = (struct lev_tx){0};
}

void lev_tx_clear(struct lev_chan *ch)
{
    for (size_t i = 0; i < ch->tx.n_settles; i++)
        in_tx(ch, ch->tx.settles[i].tag)->in_tx = false;
    forget(&ch->tx);
}

int lev_tx_rollback(struct lev_chan *ch, struct lev_error *err)
{
    if (need_tx(ch, err) < 0)
        return -1;
    lev_tx_clear(ch);
    return 0;
}

/* Routes it, now that it counts. Its exchange may be gone meanwhile. */
static bool commit_late(struct lev_chan *ch, const struct lev_tx_publish *p)
{
    struct lev_vhost *v = ch->client->vhost;
    struct lev_exchange *x = lev_exchange_get(v->topology, lev_msg_exchange(p->msg));
    struct lev_bytes *keys = lev_xmalloc((lev_keys_unpack(p->keys, NULL) + 1) * sizeof(*keys));
    size_t n_keys = lev_keys_unpack(p->keys, keys);
    struct lev_route none = {0};
    const struct lev_route *r = &none;
    bool taken = true;
    lev_effects_begin(v);
    if (x)
        r = lev_vhost_route(v, x, p->msg, keys, n_keys, lev_msg_headers(p->msg));
    for (size_t i = 0; i < r->n; i++)
        taken &= lev_queue_publish(LEV_CONTAINER(r->dests[i], struct lev_queue, dest), p->msg) !=
                 LEV_QUEUE_REJECTED;
    if (!r->n && p->mandatory)
        lev_publish_return(ch, p->msg);
    if (!taken || (!r->n && !v->effects.held))
        lev_effects_undo(v);
    free(keys);
    return taken;
}

/* False when a queue refused it. */
static bool commit_publish(struct lev_chan *ch, struct lev_tx_publish *p)
{
    size_t n = 0;
    bool taken = true;
    if (p->late)
        return commit_late(ch, p);
    for (size_t i = 0; i < p->n_queues; i++) {
        if (p->queues[i]->deleted)
            continue;
        taken &= lev_queue_publish(p->queues[i], p->msg) != LEV_QUEUE_REJECTED;
        n++;
    }
    if (!n && p->mandatory)
        lev_publish_return(ch, p->msg);
    return taken;
}

int lev_tx_commit(struct lev_chan *ch, struct lev_error *err)
{
    struct lev_vhost *v = ch->client->vhost;
    struct lev_tx *tx = &ch->tx;
    if (need_tx(ch, err) < 0)
        return -1;
    size_t ops_before = v->open->n_ops;
    bool taken = true;
    v->together = true;
    for (size_t i = 0; i < tx->n_publishes; i++)
        taken &= commit_publish(ch, &tx->publishes[i]);
    for (size_t i = 0; i < tx->n_settles; i++) {
        struct lev_unacked *u = in_tx(ch, tx->settles[i].tag);
        u->in_tx = false;
        lev_chan_apply(ch, u, tx->settles[i].how);
    }
    lev_chan_trim(ch);
    v->together = false;
    v->open->firm |= tx->n_settles > 0; /* what it acknowledges is not consumed before it is done */
    ch->tx_batch = v->open->n_ops > ops_before ? v->open->id : 0;
    ch->client->stores |= ch->tx_batch != 0;
    forget(tx);
    if (!taken)
        return lev_fail(err, LEV_PRECONDITION_FAILED, "partial tx completion");
    ch->tx_committing = true;
    lev_list_push_back(&v->confirm_waiting, &ch->wait_node);
    lev_tx_flush(ch, v->durable);
    return 0;
}

void lev_tx_flush(struct lev_chan *ch, uint64_t durable)
{
    if (!ch->tx_committing || ch->tx_batch > durable)
        return;
    lev_list_remove(&ch->wait_node);
    ch->tx_committing = false;
    struct lev_out *o = lev_client_push_answer(ch->client, LEV_OUT_SMALL);
    o->kind = LEV_OUT_COMMIT_OK;
    o->channel = ch->number;
}
