/* A channel's life, its unacknowledged deliveries and its windows. See chan.h. */
#include "broker/chan.h"

#include "base/mem.h"
#include "broker/active.h"
#include "broker/consume.h"
#include "broker/dead_letter.h"
#include "broker/queue.h"
#include "broker/vhost_int.h"

enum { UNACKED_MIN = 16, UNACKED_KEEP = 1024 };

void lev_chan_init(struct lev_chan *ch, struct lev_client *c, uint16_t number)
{
    *ch = (struct lev_chan){.client = c, .number = number};
    lev_map_init(&ch->consumers);
    lev_list_init(&ch->consumer_list);
    lev_list_init(&ch->run_node);
    lev_list_init(&ch->wait_node);
    lev_list_init(&ch->node);
    lev_list_push_back(&c->channels, &ch->node);
    c->vhost->n_channels++;
}

/* Puts everything outstanding back, newest first: each then goes to the front of its queue. */
static void requeue_all(struct lev_chan *ch)
{
    struct lev_unacked_list *l = &ch->unacked;
    for (size_t i = l->len; i-- > 0;) {
        struct lev_unacked *u = &l->a[l->first + i];
        if (u->queue)
            lev_chan_apply(ch, u, LEV_SETTLE_FAIL);
    }
    l->len = l->first = 0;
}

void lev_chan_deinit(struct lev_chan *ch)
{
    if (!ch->client)
        return;
    struct lev_vhost *v = ch->client->vhost;
    lev_get_abandon(ch);
    while (!lev_list_empty(&ch->consumer_list))
        lev_consumer_end(LEV_LIST_ENTRY(ch->consumer_list.next, struct lev_consumer, chan_node),
                         false);
    lev_reply_consumer_end(ch);
    lev_tx_clear(ch);
    requeue_all(ch);
    free(ch->unacked.a);
    lev_confirm_deinit(ch);
    free(ch->failure);
    ch->failure = NULL;
    lev_map_deinit(&ch->consumers);
    lev_list_remove(&ch->run_node);
    lev_list_remove(&ch->wait_node);
    lev_list_remove(&ch->node);
    ch->client = NULL;
    v->n_channels--;
}

void lev_chan_qos(struct lev_chan *ch, uint32_t prefetch, bool global)
{
    if (!global) {
        ch->prefetch = prefetch;
        return;
    }
    ch->prefetch_global = prefetch;
    LEV_LIST_EACH(it, nx, &ch->consumer_list)
    lev_consumer_wake(LEV_LIST_ENTRY(it, struct lev_consumer, chan_node));
}

void lev_chan_set_failure(struct lev_chan *ch, struct lev_error *err)
{
    struct lev_client *c = ch->client;
    free(ch->failure);
    ch->failure = err;
    c->failing = true;
    lev_client_notify(c);
}

/* --- the list of unacknowledged deliveries --- */

/* Closes up holes and the free space in front. */
static void compact(struct lev_unacked_list *l)
{
    size_t n = 0;
    for (size_t i = 0; i < l->len; i++)
        if (l->a[l->first + i].queue)
            l->a[n++] = l->a[l->first + i];
    l->first = 0;
    l->len = n;
}

static void make_room(struct lev_chan *ch)
{
    struct lev_unacked_list *l = &ch->unacked;
    if (l->first + l->len < l->cap)
        return;
    if (ch->n_unacked < l->cap / 2) {
        compact(l);
        return;
    }
    l->cap = l->cap ? l->cap * 2 : UNACKED_MIN;
    l->a = lev_xrealloc(l->a, l->cap * sizeof(*l->a));
    compact(l);
}

uint64_t lev_chan_track(struct lev_chan *ch, struct lev_queue *q, struct lev_consumer *c,
                        const struct lev_entry *e)
{
    struct lev_unacked_list *l = &ch->unacked;
    if (l->first + l->len >= l->cap)
        make_room(ch);
    l->a[l->first + l->len++] =
        (struct lev_unacked){.queue = lev_queue_ref(q),
                             .consumer = c,
                             .tag = ++ch->last_tag,
                             .e = *e,
                             .since_s = (uint32_t)((lev_vhost_now(ch->client->vhost) + 999) / 1000),
                             .from_consumer = c != NULL};
    lev_queue_add_unacked(q);
    ch->n_unacked++;
    if (c) {
        c->unacked++;
        ch->n_unacked_consumed++;
    }
    return ch->last_tag;
}

/* Index of the first slot with a tag not below it. Slots are mostly dense, so guess first. */
static size_t slot_at(const struct lev_unacked_list *l, uint64_t tag)
{
    const struct lev_unacked *a = l->a + l->first;
    if (!l->len || tag <= a[0].tag)
        return 0;
    size_t guess = (size_t)(tag - a[0].tag);
    if (guess < l->len && a[guess].tag == tag)
        return guess;
    size_t lo = 0, hi = l->len;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (a[mid].tag < tag)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

struct lev_unacked *lev_chan_find(struct lev_chan *ch, uint64_t tag)
{
    struct lev_unacked_list *l = &ch->unacked;
    size_t i = slot_at(l, tag);
    struct lev_unacked *u = l->a + l->first + i;
    return i < l->len && u->tag == tag && u->queue && !u->in_tx ? u : NULL;
}

void lev_chan_trim(struct lev_chan *ch)
{
    struct lev_unacked_list *l = &ch->unacked;
    while (l->len && !l->a[l->first].queue) {
        l->first++;
        l->len--;
    }
    if (l->len)
        return;
    l->first = 0;
    if (l->cap > UNACKED_KEEP) {
        free(l->a);
        *l = (struct lev_unacked_list){0};
    }
}

void lev_chan_forget_consumer(struct lev_chan *ch, const struct lev_consumer *c)
{
    struct lev_unacked_list *l = &ch->unacked;
    for (size_t i = 0; c->unacked && i < l->len; i++)
        if (l->a[l->first + i].consumer == c)
            l->a[l->first + i].consumer = NULL;
}

/* --- settling --- */

/* A place in the channel's window became free. */
static void window_opened(struct lev_chan *ch, struct lev_consumer *c)
{
    if (c)
        lev_consumer_wake(c);
    if (ch->prefetch_global && ch->n_unacked_consumed + 1 == ch->prefetch_global)
        LEV_LIST_EACH(it, nx, &ch->consumer_list)
    lev_consumer_wake(LEV_LIST_ENTRY(it, struct lev_consumer, chan_node));
}

void lev_chan_apply(struct lev_chan *ch, struct lev_unacked *u, enum lev_settle how)
{
    struct lev_queue *q = u->queue;
    struct lev_consumer *c = u->consumer;
    if (how == LEV_SETTLE_REQUEUE || how == LEV_SETTLE_FAIL)
        lev_retry(q, &u->e, how == LEV_SETTLE_FAIL);
    else if (how == LEV_SETTLE_REJECT)
        lev_dead_letter(q, &u->e, LEV_DEATH_REJECTED);
    else
        lev_queue_settled(q, &u->e);
    lev_msg_unref(&u->e.msg);
    lev_queue_sub_unacked(q);
    u->queue = NULL;
    ch->n_unacked--;
    if (u->from_consumer) {
        ch->n_unacked_consumed--;
        if (c && !--c->unacked && c->queue->yielding)
            lev_active_review(c->queue);
        window_opened(ch, c);
    }
    lev_queue_unref(&q);
}

static int unknown_tag(uint64_t tag, struct lev_error *err)
{
    return lev_fail(err, LEV_PRECONDITION_FAILED, "unknown delivery tag %llu",
                    (unsigned long long)tag);
}

static void settle_one(struct lev_chan *ch, struct lev_unacked *u, enum lev_settle how)
{
    if (ch->tx_mode)
        lev_tx_settle(ch, u, how);
    else
        lev_chan_apply(ch, u, how);
}

static void settle_upto(struct lev_chan *ch, uint64_t tag, enum lev_settle how)
{
    struct lev_unacked_list *l = &ch->unacked;
    for (size_t i = 0; i < l->len && l->a[l->first + i].tag <= tag; i++) {
        struct lev_unacked *u = &l->a[l->first + i];
        if (u->queue && !u->in_tx)
            settle_one(ch, u, how);
    }
}

/* Requeueing many: newest first, so that each goes to the front of its queue. */
static void requeue_upto(struct lev_chan *ch, uint64_t tag)
{
    struct lev_unacked_list *l = &ch->unacked;
    size_t i = tag == UINT64_MAX ? l->len : slot_at(l, tag + 1);
    while (i-- > 0) {
        struct lev_unacked *u = &l->a[l->first + i];
        if (u->queue && !u->in_tx)
            settle_one(ch, u, LEV_SETTLE_REQUEUE);
    }
}

int lev_chan_settle(struct lev_chan *ch, uint64_t tag, bool multiple, enum lev_settle how,
                    struct lev_error *err)
{
    if (multiple && tag == 0)
        tag = UINT64_MAX;
    else if (!lev_chan_find(ch, tag))
        return unknown_tag(tag, err);
    if (!multiple)
        settle_one(ch, lev_chan_find(ch, tag), how);
    else if (how == LEV_SETTLE_REQUEUE)
        requeue_upto(ch, tag);
    else
        settle_upto(ch, tag, how);
    lev_chan_trim(ch);
    return 0;
}

void lev_chan_recover(struct lev_chan *ch)
{
    struct lev_unacked_list *l = &ch->unacked;
    for (size_t i = l->len; i-- > 0;) {
        struct lev_unacked *u = &l->a[l->first + i];
        if (u->queue && !u->in_tx)
            lev_chan_apply(ch, u, LEV_SETTLE_REQUEUE);
    }
    lev_chan_trim(ch);
}
