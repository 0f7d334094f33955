/* A queue's life and its traffic: publish, dispatch, requeue, settle, purge. See queue.h for the
 * invariants; paging is in window.c, declaring and deleting in declare.c. */
#include "broker/queue.h"

#include "base/mem.h"
#include "broker/vhost_int.h"

struct lev_queue *lev_queue_new(struct lev_vhost *v, const struct lev_queue_def *def)
{
    struct lev_queue *q = lev_xcalloc(1, sizeof(*q));
    q->vhost = v;
    q->def = lev_queue_def_copy(def);
    q->id = def->queue_id;
    q->refs = 1;
    q->auto_delete = def->auto_delete;
    q->next_pos = 1;
    lev_dest_init(&q->dest, true, def->durable, q->def->name);
    lev_list_init(&q->owner_node);
    lev_list_init(&q->consumers);
    lev_list_init(&q->ready);
    lev_list_init(&q->kick_node);
    lev_list_init(&q->unread_node);
    lev_list_init(&q->getters);
    return q;
}

struct lev_queue *lev_queue_ref(struct lev_queue *q)
{
    q->refs++;
    return q;
}

void lev_queue_unref(struct lev_queue **qp)
{
    struct lev_queue *q = *qp;
    *qp = NULL;
    if (!q || --q->refs > 0)
        return;
    lev_entries_deinit(&q->front);
    lev_entries_deinit(&q->tail);
    free(q->def);
    free(q);
}

/* --- the store's side --- */

/* Issues the ENQUEUE of a persistent message in a durable queue. */
static void store_entry(struct lev_queue *q, struct lev_entry *e)
{
    struct lev_vhost *v = q->vhost;
    struct lev_op op = {.kind = LEV_OP_ENQUEUE,
                        .queue_id = q->id,
                        .pos = e->pos,
                        .u.msg = lev_msg_ref(e->msg),
                        .size = e->msg->body_len};
    e->op = lev_vhost_op(v, &op);
    e->batch = v->open->id;
    e->flags |= LEV_ENTRY_STORED;
    q->stored_live++;
    lev_vhost_mark(v, q);
}

void lev_queue_settled(struct lev_queue *q, uint64_t pos, uint8_t flags, uint64_t batch,
                       uint32_t op, const struct lev_msg *msg)
{
    struct lev_vhost *v = q->vhost;
    bool open = batch == v->open->id;
    struct lev_op o = {.kind = LEV_OP_SETTLE, .queue_id = q->id, .pos = pos};
    if (q->deleted || !(q->dest.durable || (flags & LEV_ENTRY_SPILLED)))
        return;
    if (flags & LEV_ENTRY_STORED) {
        q->stored_live--;
        if (open) {
            lev_vhost_op_cancel(v, op, q->stored_live > 0);
            return;
        }
        o.size = msg->body_len;
    } else if (flags & LEV_ENTRY_SPILLED) {
        if (open) {
            lev_vhost_op_cancel(v, op, false);
            return;
        }
        o.flags = LEV_OPF_SPILLED;
    } else if (q->stored_live > 0) {
        o.flags = LEV_OPF_NOROW;
    } else {
        return;
    }
    lev_vhost_op(v, &o);
    lev_vhost_mark(v, q);
}

/* --- handing out --- */

void lev_queue_handed_out(struct lev_queue *q, uint64_t pos)
{
    if (pos < q->delivered_to)
        return;
    q->delivered_to = pos + 1;
    if (q->delivered_to > q->reserved_to)
        lev_vhost_mark(q->vhost, q);
}

void lev_queue_link_ready(struct lev_queue *q, struct lev_consumer *c)
{
    struct lev_list *at = q->ready.prev;
    while (at != &q->ready &&
           LEV_LIST_ENTRY(at, struct lev_consumer, ready_node)->priority < c->priority)
        at = at->prev;
    lev_list_insert_before(at->next, &c->ready_node);
}

void lev_queue_kick(struct lev_queue *q)
{
    if (!lev_list_linked(&q->kick_node))
        lev_list_push_back(&q->vhost->kicked, &q->kick_node);
}

/* The consumer whose turn it is, or NULL; parks those that cannot take. */
static struct lev_consumer *next_consumer(struct lev_queue *q)
{
    while (!lev_list_empty(&q->ready)) {
        struct lev_consumer *c = LEV_LIST_ENTRY(q->ready.next, struct lev_consumer, ready_node);
        if (lev_consumer_can_take(c))
            return c;
        lev_list_remove(&c->ready_node);
    }
    return NULL;
}

/* Gives e to c; e's message reference passes. */
static void deliver(struct lev_queue *q, struct lev_consumer *c, struct lev_entry *e)
{
    struct lev_chan *ch = c->chan;
    struct lev_out *o =
        lev_client_push(ch->client, lev_msg_size(e->msg) + LEV_OUT_CONTENT_OVERHEAD);
    o->kind = LEV_OUT_DELIVER;
    o->flags = e->flags & LEV_ENTRY_REDELIVERED ? LEV_OUTF_REDELIVERED : 0;
    o->channel = ch->number;
    o->consumer = c;
    if (c->no_ack) {
        o->tag = ++ch->last_tag;
        lev_queue_settled(q, e->pos, e->flags, e->batch, e->op, e->msg);
    } else {
        struct lev_unacked u = {.queue = q,
                                .msg = lev_msg_ref(e->msg),
                                .consumer = c,
                                .pos = e->pos,
                                .batch = e->batch,
                                .op = e->op,
                                .flags = e->flags,
                                .from_consumer = true};
        o->tag = lev_chan_track(ch, &u);
        c->unacked++;
        ch->n_unacked_consumed++;
    }
    o->u.msg = e->msg;
    lev_queue_handed_out(q, e->pos);
    if (q->ready.next->next != &q->ready) { /* round robin: behind its equals */
        lev_list_remove(&c->ready_node);
        lev_queue_link_ready(q, c);
    }
}

void lev_queue_dispatch(struct lev_queue *q)
{
    struct lev_consumer *c;
    if (!lev_list_empty(&q->getters)) /* what was requeued need not wait for the block */
        lev_queue_serve_getters(q);
    while (q->front.len && (c = next_consumer(q))) {
        struct lev_entry e = lev_entries_pop_front(&q->front);
        q->vhost->memory -= lev_msg_size(e.msg);
        deliver(q, c, &e);
    }
    lev_window_balance(q);
}

bool lev_queue_take(struct lev_queue *q, struct lev_entry *e_r)
{
    if (!q->front.len)
        return false;
    *e_r = lev_entries_pop_front(&q->front);
    q->vhost->memory -= lev_msg_size(e_r->msg);
    lev_queue_handed_out(q, e_r->pos);
    return true;
}

/* --- taking in --- */

uint64_t lev_queue_publish(struct lev_queue *q, struct lev_msg *msg)
{
    struct lev_entry e = {.msg = lev_msg_ref(msg), .pos = q->next_pos++};
    struct lev_consumer *c = NULL;
    if (!q->front.len && !q->paged)
        c = next_consumer(q);
    bool stored = msg->persistent && q->dest.durable;
    if (stored && !(c && c->no_ack))
        store_entry(q, &e);
    if (c) {
        deliver(q, c, &e);
    } else {
        lev_entries_push_back(q->paged ? &q->tail : &q->front, &e);
        q->vhost->memory += lev_msg_size(msg);
        if (!lev_list_empty(&q->ready))
            lev_queue_kick(q);
        if (lev_window_needs_balance(q))
            lev_window_balance(q);
    }
    return e.flags & LEV_ENTRY_STORED ? e.batch : 0;
}

void lev_queue_requeue(struct lev_queue *q, struct lev_unacked *u)
{
    struct lev_entry e = {.msg = u->msg,
                          .pos = u->pos,
                          .batch = u->batch,
                          .op = u->op,
                          .flags = u->flags | LEV_ENTRY_REDELIVERED};
    u->msg = NULL;
    if (q->deleted) {
        lev_msg_unref(&e.msg);
        return;
    }
    q->vhost->memory += lev_msg_size(e.msg);
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
        q->vhost->memory -= lev_msg_size(e.msg);
        bool stored = e.flags & LEV_ENTRY_STORED;
        bool ranged = stored && e.batch != q->vhost->open->id && e.pos >= q->delivered_to;
        if (ranged) {
            sum->count++;
            sum->bytes += e.msg->body_len;
            q->stored_live--;
        } else if (e.flags & (LEV_ENTRY_STORED | LEV_ENTRY_SPILLED)) {
            lev_queue_settled(q, e.pos, e.flags, e.batch, e.op, e.msg);
        }
        lev_msg_unref(&e.msg);
    }
    lev_entries_shrink(es);
}

uint64_t lev_queue_purge(struct lev_queue *q)
{
    struct lev_vhost *v = q->vhost;
    uint64_t n = lev_queue_ready(q), lowest = q->delivered_to;
    struct purge_sum sum = {.count = (uint32_t)q->mid_stored, .bytes = q->mid_stored_bytes};
    bool spilled = q->mid_count > q->mid_stored;
    uint64_t mid_lo = q->mid_from, mid_hi = q->mid_to;
    q->stored_live -= q->mid_stored;
    purge_entries(q, &q->front, &sum);
    purge_entries(q, &q->tail, &sum);
    if (sum.count && !q->deleted) {
        uint64_t lo = q->mid_stored && q->mid_from < lowest ? q->mid_from : lowest;
        lev_vhost_op(v, &(struct lev_op){.kind = LEV_OP_SETTLE_RANGE,
                                         .queue_id = q->id,
                                         .pos = lo,
                                         .u.end = q->next_pos,
                                         .count = sum.count,
                                         .bytes = sum.bytes});
        lev_vhost_mark(v, q);
    }
    if (spilled && !q->deleted)
        lev_vhost_op(
            v, &(struct lev_op){
                   .kind = LEV_OP_UNSPILL, .queue_id = q->id, .pos = mid_lo, .u.end = mid_hi});
    q->mid_count = q->mid_bytes = q->mid_stored = q->mid_stored_bytes = 0;
    q->mid_from = q->mid_to = q->next_pos;
    q->tail_handled = 0;
    q->paged = false;
    q->loading = false;
    q->load_gen++;
    lev_queue_serve_getters(q);
    return n;
}
