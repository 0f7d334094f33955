/* A channel's life, its unacknowledged deliveries and its windows. See chan.h. */
#include "broker/chan.h"

#include "base/mem.h"
#include "broker/active.h"
#include "broker/check.h"
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

/* The counters are those of the slots. */
static bool counts_agree(const struct lev_chan *ch)
{
    size_t n = 0, consumed = 0;
    for (size_t i = 0; i < ch->unacked.len; i++) {
        const struct lev_unacked *u = &ch->unacked.a[ch->unacked.first + i];
        n += u->queue != NULL;
        consumed += u->queue && u->from_consumer;
    }
    return n == ch->n_unacked && consumed == ch->n_unacked_consumed;
}

/* Puts everything outstanding back, newest first: each then goes to the front of its queue. */
static void requeue_all(struct lev_chan *ch)
{
    struct lev_unacked_list *l = &ch->unacked;
    LEV_CHECK(counts_agree(ch));
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

static __attribute__((noinline)) void make_room(struct lev_chan *ch)
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
    struct lev_unacked *u = &l->a[l->first + l->len++];
    u->queue = lev_queue_ref(q);
    u->consumer = c;
    u->tag = ++ch->last_tag;
    u->e = *e;
    u->since_s = lev_vhost_now_up_s(q->vhost);
    u->in_tx = false;
    u->from_consumer = c != NULL;
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
    size_t n = 0;
    while (n < l->len && !l->a[l->first + n].queue)
        n++;
    l->first += n;
    l->len -= n;
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

/* n deliveries of c (NULL: it is gone) no longer take places in the windows. */
static void open_windows(struct lev_chan *ch, struct lev_consumer *c, uint32_t n)
{
    bool full = ch->prefetch_global && ch->n_unacked_consumed >= ch->prefetch_global;
    ch->n_unacked_consumed -= n;
    if (c && !(c->unacked -= n) && c->queue->yielding)
        lev_active_review(c->queue);
    if (c)
        lev_consumer_wake(c);
    if (full && ch->n_unacked_consumed < ch->prefetch_global)
        LEV_LIST_EACH(it, nx, &ch->consumer_list)
    lev_consumer_wake(LEV_LIST_ENTRY(it, struct lev_consumer, chan_node));
}

/* Settles u, and those behind it up to end that one queue handed to the same consumer. Returns the
 * first that is not settled. */
static struct lev_unacked *apply_alike(struct lev_chan *ch, struct lev_unacked *u,
                                       const struct lev_unacked *end, enum lev_settle how)
{
    struct lev_queue *q = u->queue;
    struct lev_consumer *c = u->consumer;
    bool from_consumer = u->from_consumer;
    uint32_t n = 0;
    do {
        if (how == LEV_SETTLE_ACK)
            lev_queue_settled(q, &u->e);
        else if (how == LEV_SETTLE_REJECT)
            lev_dead_letter(q, &u->e, LEV_DEATH_REJECTED);
        else
            lev_retry(q, &u->e, how == LEV_SETTLE_FAIL);
        lev_msg_unref(&u->e.msg);
        u->queue = NULL;
        n++;
    } while (++u < end && u->queue == q && u->consumer == c && u->from_consumer == from_consumer);
    lev_queue_sub_unacked(q, n);
    ch->n_unacked -= n;
    if (from_consumer)
        open_windows(ch, c, n);
    lev_queue_unref_many(&q, n);
    return u;
}

void lev_chan_apply(struct lev_chan *ch, struct lev_unacked *u, enum lev_settle how)
{
    apply_alike(ch, u, u + 1, how);
}

static int unknown_tag(uint64_t tag, struct lev_error *err)
{
    return lev_fail(err, LEV_PRECONDITION_FAILED, "unknown delivery tag %llu",
                    (unsigned long long)tag);
}

/* Settles slots from..to, or has the transaction do it. */
static void settle_slots(struct lev_chan *ch, size_t from, size_t to, enum lev_settle how)
{
    struct lev_unacked *a = ch->unacked.a + ch->unacked.first;
    struct lev_unacked *u = a + from, *end = a + to;
    while (u < end) {
        if (u->queue && !ch->tx_mode) {
            u = apply_alike(ch, u, end, how);
            continue;
        }
        if (u->queue && !u->in_tx)
            lev_tx_settle(ch, u, how);
        u++;
    }
}

/* The same for requeueing: newest first, so that each goes to the front of its queue. */
static void requeue_slots(struct lev_chan *ch, size_t from, size_t to)
{
    while (to-- > from)
        settle_slots(ch, to, to + 1, LEV_SETTLE_REQUEUE);
}

int lev_chan_settle(struct lev_chan *ch, uint64_t tag, bool multiple, enum lev_settle how,
                    struct lev_error *err)
{
    struct lev_unacked_list *l = &ch->unacked;
    size_t to = l->len;
    if (!multiple || tag != 0) {
        const struct lev_unacked *u = lev_chan_find(ch, tag);
        if (!u)
            return unknown_tag(tag, err);
        to = (size_t)(u - l->a) - l->first + 1;
    }
    if (!to)
        return 0;
    if (how == LEV_SETTLE_REQUEUE)
        requeue_slots(ch, multiple ? 0 : to - 1, to);
    else
        settle_slots(ch, multiple ? 0 : to - 1, to, how);
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
