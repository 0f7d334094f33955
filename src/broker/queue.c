/* A queue's traffic: publish, dispatch, requeue, settle, purge. See queue.h for the invariants;
 * paging is in window.c, limits and expiry in limits.c, declaring and deleting in declare.c. */
#include "broker/queue.h"

#include "base/mem.h"
#include "broker/check.h"
#include "broker/dead_letter.h"
#include "broker/death.h"
#include "broker/limits.h"
#include "broker/pace.h"
#include "broker/vhost_int.h"

/* --- the store's side --- */

/* Has a message of a durable queue stored. */
static void store_entry(struct lev_queue *q, struct lev_entry *e)
{
    lev_vhost_enqueue(q->vhost, q->id, e);
    e->flags |= LEV_ENTRY_STORED;
    q->stored_live++;
    lev_vhost_mark(q->vhost, q);
}

static void store_settle(struct lev_queue *q, const struct lev_entry *e, uint8_t flags,
                         uint32_t size)
{
    lev_vhost_op(
        q->vhost,
        &(struct lev_op){
            .kind = LEV_OP_SETTLE, .flags = flags, .queue_id = q->id, .pos = e->pos, .size = size});
    lev_vhost_mark(q->vhost, q);
}

void lev_queue_tell_settled(struct lev_queue *q, const struct lev_entry *e)
{
    struct lev_vhost *v = q->vhost;
    if (q->top->dedup)
        lev_dedup_left(q, e);
    if (q->deleted)
        return;
    if (e->flags & LEV_ENTRY_STORED) {
        q->stored_live--;
        if (!lev_vhost_op_cancel(v, e, q->stored_live > 0))
            store_settle(q, e, 0, e->msg->body_len);
    } else if (e->flags & LEV_ENTRY_SPILLED) {
        if (!lev_vhost_op_cancel(v, e, false))
            store_settle(q, e, LEV_OPF_SPILLED, 0);
    } else if (q->stored_live > 0) {
        store_settle(q, e, LEV_OPF_NOROW, 0);
    }
}

void lev_queue_moved(struct lev_queue *q, const struct lev_entry *e)
{
    bool together = q->vhost->together;
    q->vhost->together = true;
    lev_queue_settled(q, e);
    q->vhost->together = together;
}

void lev_queue_settled_unread(struct lev_queue *q, const struct lev_entry *e, uint32_t size)
{
    if (q->deleted)
        return;
    q->stored_live--;
    store_settle(q, e, 0, size);
}

void lev_queue_count_changed(struct lev_queue *q, const struct lev_entry *e)
{
    if (!(e->flags & LEV_ENTRY_STORED))
        return;
    lev_vhost_op(q->vhost,
                 &(struct lev_op){
                     .kind = LEV_OP_COUNT, .queue_id = q->id, .pos = e->pos, .count = e->count});
}

/* --- counters of what is ready --- */

static inline void joined(struct lev_queue *level, const struct lev_msg *m)
{
    struct lev_queue *top = level->top;
    lev_queue_add_ready(level, 1);
    top->ready_bytes += m->body_len;
    level->vhost->memory += lev_msg_size(m);
}

static inline void left(struct lev_queue *level, const struct lev_msg *m)
{
    struct lev_queue *top = level->top;
    lev_queue_sub_ready(level, 1);
    top->ready_bytes -= m->body_len;
    if (top->pace)
        lev_pace_count(top->pace, m->body_len);
    level->vhost->memory -= lev_msg_size(m);
}

void lev_queue_left(struct lev_queue *level, const struct lev_entry *e)
{
    left(level, e->msg);
}

/* --- handing out --- */

void lev_queue_handed_out(struct lev_queue *q, uint64_t pos)
{
    if (pos < q->delivered_to)
        return;
    q->delivered_to = pos + 1;
    if (q->dest.durable && q->delivered_to > q->reserved_to)
        lev_vhost_mark(q->vhost, q);
}

void lev_queue_link_ready(struct lev_queue *q, struct lev_consumer *c)
{
    struct lev_list *at = q->ready_list.prev;
    while (at != &q->ready_list &&
           LEV_LIST_ENTRY(at, struct lev_consumer, ready_node)->priority < c->priority)
        at = at->prev;
    lev_list_insert_before(at->next, &c->ready_node);
}

void lev_queue_kick(struct lev_queue *q)
{
    q = q->top;
    if (!lev_list_linked(&q->kick_node))
        lev_list_push_back(&q->vhost->kicked, &q->kick_node);
}

/* The consumer whose turn it is, or NULL; parks those that cannot take. */
static inline struct lev_consumer *next_consumer(struct lev_queue *q)
{
    while (!lev_list_empty(&q->ready_list)) {
        struct lev_consumer *c =
            LEV_LIST_ENTRY(q->ready_list.next, struct lev_consumer, ready_node);
        if (lev_consumer_can_take(c))
            return c;
        lev_list_remove(&c->ready_node);
    }
    return NULL;
}

/* What a consumer is shown of an entry that goes out for good: the message, whose reference passes,
 * or one that says how often it failed. */
static struct lev_msg *shown_last(struct lev_entry *e)
{
    struct lev_msg *m = e->msg;
    if (e->count) {
        m = lev_counted_message(e);
        lev_msg_unref(&e->msg);
    }
    return m;
}

/* Gives e, of q or a level of it, to c; e's message reference passes. */
static void deliver(struct lev_queue *q, struct lev_consumer *c, struct lev_entry *e)
{
    struct lev_chan *ch = c->chan;
    struct lev_msg *shown;
    uint64_t tag;
    lev_queue_handed_out(q, e->pos);
    if (c->no_ack) {
        lev_queue_settled(q, e);
        tag = ++ch->last_tag;
        shown = shown_last(e);
    } else {
        shown = e->count ? lev_counted_message(e) : lev_msg_ref(e->msg);
        tag = lev_chan_track(ch, q, c, e);
    }
    struct lev_out *o = lev_client_push(ch->client, lev_msg_size(shown) + LEV_OUT_CONTENT_OVERHEAD);
    *o = (struct lev_out){.kind = LEV_OUT_DELIVER,
                          .flags = e->flags & LEV_ENTRY_REDELIVERED ? LEV_OUTF_REDELIVERED : 0,
                          .channel = ch->number,
                          .u.msg = shown,
                          .consumer = c,
                          .tag = tag};
    const struct lev_list *ready = &q->top->ready_list;
    if (ready->next->next != ready) { /* round robin: behind its equals */
        lev_list_remove(&c->ready_node);
        lev_queue_link_ready(q->top, c);
    }
}

/* The highest level with messages. */
static inline struct lev_queue *level_to_serve(struct lev_queue *q)
{
    if (q->n_levels == 1)
        return q;
    for (unsigned i = q->n_levels; i-- > 1;)
        if (q->levels[i]->ready)
            return q->levels[i];
    return q->levels[0];
}

void lev_queue_balance(struct lev_queue *q)
{
    for (unsigned i = 0; i < q->n_levels; i++)
        lev_window_balance(q->levels[i]);
}

void lev_queue_dispatch(struct lev_queue *q)
{
    struct lev_consumer *c;
    struct lev_queue *level;
    if (!lev_list_empty(&q->getters)) /* what was requeued need not wait for the block */
        lev_queue_serve_getters(q);
    while ((level = level_to_serve(q))->front.len && (c = next_consumer(q))) {
        if (lev_entries_at(&level->front, 0)->expires_ms && lev_limits_expire_head(level))
            continue;
        struct lev_entry *e = lev_entries_shift(&level->front);
        left(level, e->msg);
        deliver(level, c, e);
    }
    lev_limits_expire(q);
    lev_limits_trim(q);
    lev_queue_balance(q);
    lev_limits_arm(q);
    lev_pace_relax(q);
}

/* What is in memory is bounded by the window. */
static void expire_all(struct lev_queue *q)
{
    while (!lev_limits_expire(q))
        continue;
}

bool lev_queue_take(struct lev_queue *q, struct lev_entry *e_r, struct lev_queue **level_r)
{
    expire_all(q);
    struct lev_queue *level = level_to_serve(q);
    if (!level->front.len)
        return false;
    *e_r = lev_entries_pop_front(&level->front);
    *level_r = level;
    lev_queue_left(level, e_r);
    lev_queue_handed_out(level, e_r->pos);
    expire_all(q); /* get-ok counts what is left */
    lev_queue_kick(q);
    return true;
}

/* --- taking in --- */

static void crowded(struct lev_queue *q)
{
    if (lev_pace_over(q->top, &q->vhost->windows))
        q->vhost->over = q->top;
    lev_window_balance(q);
}

static void enqueue(struct lev_queue *q, const struct lev_entry *e)
{
    lev_entries_push_back(q->paged ? &q->tail : &q->front, e);
    q->vhost->to_tail |= q->paged;
    joined(q, e->msg);
    if (!lev_list_empty(&q->top->ready_list))
        lev_queue_kick(q);
    else if (q->limited && lev_limits_exceeded(q->top)) {
        lev_limits_trim(q->top);
        lev_limits_arm(q->top);
    }
    if (e->expires_ms && q->ready == 1)
        lev_limits_arm(q->top);
    LEV_CHECK(lev_queue_crowded(q) || !lev_pace_over(q, &q->vhost->windows));
    if (lev_queue_crowded(q))
        crowded(q);
}

/* TTL 0, at the head, and nobody ready: no end of the run is waited for, so that it is not seen.
 * At-least-once it is, because limits count it. */
static bool dead_on_arrival(struct lev_queue *q, const struct lev_entry *e)
{
    return !q->ready && e->expires_ms <= lev_vhost_now(q->vhost) && !lev_dead_letter_keeps(q);
}

static void expire_at_once(struct lev_queue *q, struct lev_entry *e)
{
    lev_queue_handed_out(q, e->pos);
    lev_dead_letter(q, e, LEV_DEATH_EXPIRED);
    lev_msg_unref(&e->msg);
}

uint64_t lev_queue_publish(struct lev_queue *q, struct lev_msg *msg)
{
    return lev_queue_publish_taking(q, lev_msg_ref(msg));
}

/* What a limit, a TTL of 0 or deduplication has to say; true when the message goes no further. */
static bool turned_away(struct lev_queue *q, struct lev_msg *msg, uint64_t *batch_r)
{
    if (q->dedup && lev_dedup_has(q, msg, batch_r))
        return true;
    if (lev_limits_refuse(q, msg)) {
        *batch_r = LEV_QUEUE_REJECTED;
        return true;
    }
    if (q->dedup)
        *batch_r = lev_dedup_passed(q, msg);
    return false;
}

static bool keeps(const struct lev_queue *q, const struct lev_msg *msg)
{
    return msg->persistent || q->top->settings->type == LEV_QUEUE_QUORUM;
}

/* Where settings, or a TTL of its own, have a say first: the level that the message goes to, with
 * its expiry in e; NULL when it goes no further. */
static struct lev_queue *admit(struct lev_queue *q, struct lev_entry *e, uint64_t *batch_r)
{
    if (q->limited && turned_away(q, e->msg, batch_r)) {
        lev_msg_unref(&e->msg);
        return NULL;
    }
    e->expires_ms = lev_limits_expiry(q, e->msg);
    return q->levels[e->msg->priority < q->n_levels ? e->msg->priority : q->n_levels - 1];
}

uint64_t lev_queue_publish_taking(struct lev_queue *q, struct lev_msg *msg)
{
    struct lev_entry e = {.msg = msg};
    uint64_t batch = 0;
    LEV_CHECK(q->top == q && q->limited == lev_queue_has_limits(q));
    if (q->limited || msg->expiration_ms != UINT64_MAX)
        q = admit(q, &e, &batch);
    if (!q)
        return batch;
    struct lev_consumer *c = q->top->ready ? NULL : next_consumer(q->top);
    e.pos = q->next_pos++;
    if (q->dest.durable && keeps(q, msg) && !(c && c->no_ack))
        store_entry(q, &e);
    if (q->top->dedup)
        lev_dedup_entered(q, &e);
    batch = e.batch > batch ? e.batch : batch;
    if (c)
        deliver(q, c, &e);
    else if (e.expires_ms && dead_on_arrival(q, &e))
        expire_at_once(q, &e);
    else
        enqueue(q, &e);
    return batch;
}

void lev_queue_requeue(struct lev_queue *q, struct lev_entry *from)
{
    struct lev_entry e = *from;
    from->msg = NULL;
    e.flags |= LEV_ENTRY_REDELIVERED;
    if (q->deleted) {
        lev_msg_unref(&e.msg);
        return;
    }
    joined(q, e.msg);
    lev_entries_insert(&q->front, &e);
    lev_queue_kick(q);
}

/* --- purge --- */

struct purge_sum {
    uint32_t count;
    uint64_t bytes;
};

/* Empties a ring. Entries whose store operation is still open are cancelled; those delivered before
 * are settled one by one; the rest is left to one range (sum). */
static void purge_entries(struct lev_queue *q, struct lev_entries *es, struct purge_sum *sum)
{
    while (es->len) {
        struct lev_entry e = lev_entries_pop_front(es);
        lev_queue_left(q, &e);
        bool stored = e.flags & LEV_ENTRY_STORED;
        if (stored && e.batch != q->vhost->open->id && e.pos >= q->delivered_to) {
            sum->count++;
            sum->bytes += e.msg->body_len;
            q->stored_live--;
        } else if (e.flags & (LEV_ENTRY_STORED | LEV_ENTRY_SPILLED)) {
            lev_queue_settled(q, &e);
        }
        lev_msg_unref(&e.msg);
    }
    lev_entries_shrink(es);
}

static void purge_middle(struct lev_queue *q, const struct purge_sum *sum)
{
    struct lev_vhost *v = q->vhost;
    uint64_t lo = q->mid_stored && q->mid_from < q->delivered_to ? q->mid_from : q->delivered_to;
    if (sum->count && !q->deleted) {
        lev_vhost_op(v, &(struct lev_op){.kind = LEV_OP_SETTLE_RANGE,
                                         .queue_id = q->id,
                                         .pos = lo,
                                         .u.end = q->next_pos,
                                         .count = sum->count,
                                         .bytes = sum->bytes});
        lev_vhost_mark(v, q);
    }
    if (q->mid_count > q->mid_stored && !q->deleted)
        lev_vhost_op(v, &(struct lev_op){.kind = LEV_OP_UNSPILL,
                                         .queue_id = q->id,
                                         .pos = q->mid_from,
                                         .u.end = q->mid_to});
    lev_queue_sub_ready(q, q->mid_count);
    q->top->ready_bytes -= q->mid_bytes;
    q->mid_count = q->mid_bytes = q->mid_stored = q->mid_stored_bytes = 0;
    q->mid_from = q->mid_to = q->next_pos;
    q->tail_handled = 0;
    q->paged = q->loading = false;
    q->load_gen++;
}

static void purge_level(struct lev_queue *q)
{
    struct purge_sum sum = {.count = (uint32_t)q->mid_stored, .bytes = q->mid_stored_bytes};
    q->stored_live -= q->mid_stored;
    purge_entries(q, &q->front, &sum);
    purge_entries(q, &q->tail, &sum);
    purge_middle(q, &sum);
}

uint64_t lev_queue_purge(struct lev_queue *q)
{
    uint64_t n = lev_queue_ready(q);
    for (unsigned i = 0; i < q->n_levels; i++) {
        n += lev_park_purge(q->levels[i], LEV_PARK_RETRY);
        purge_level(q->levels[i]);
    }
    if (q->dedup)
        lev_dedup_purged(q);
    lev_limits_arm(q);
    lev_queue_serve_getters(q);
    return n;
}
