/* Windows: what of a queue is in memory, and the traffic between memory and store. See queue.h for
 * the layout and the invariants, store.h for what the store promises. Under the vhost's lock.
 *
 * Becoming paged splits front: its first entries stay, the rest becomes the tail. Only
 * positions that no channel can hold go beyond the split (invariant 3): those never delivered, or
 * any when nothing is unacknowledged. From then on: tail -> middle   when the entry is on disk
 * (lev_window_stored), by dropping it from memory middle -> front  by reads, ahead of need tail ->
 * front    directly, when the middle is empty and the queue stops being paged when middle and tail
 * are empty. */
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "broker/queue.h"
#include "broker/vhost_int.h"

/* Windows are this much smaller while the vhost's messages take too much memory. */
enum { PRESSURE_SHRINK = 64 };

/* Pause before a failed read is tried again. */
enum { REREAD_MS = 1000 };

static bool pressed(const struct lev_vhost *v)
{
    return v->memory > v->windows.pressure;
}

static struct lev_windows shrunk(struct lev_windows l)
{
    l.max /= PRESSURE_SHRINK;
    l.keep = l.keep > PRESSURE_SHRINK ? l.keep / PRESSURE_SHRINK : 1;
    l.max_bytes /= PRESSURE_SHRINK;
    l.keep_bytes = l.keep_bytes > PRESSURE_SHRINK ? l.keep_bytes / PRESSURE_SHRINK : 1;
    l.tail_max = 0;
    return l;
}

/* The sizes in force. */
static struct lev_windows limits_of(const struct lev_queue *q)
{
    return pressed(q->vhost) ? shrunk(q->vhost->windows) : q->vhost->windows;
}

/* The lowest position that may leave front for the store's side. */
static uint64_t lowest_free(const struct lev_queue *q)
{
    return q->unacked == 0 ? 0 : q->delivered_to;
}

/* Reads of what leaves now must see the settles issued so far. */
static void hold_reads(struct lev_queue *q)
{
    const struct lev_batch *b = q->vhost->open;
    q->read_after = b->live || q->vhost->marked.n ? b->id : b->id - 1;
}

/* Its count of failed deliveries is in memory alone. */
static bool has_own_count(const struct lev_entry *e)
{
    return e->count && !(e->flags & LEV_ENTRY_STORED);
}

static void begin_paging(struct lev_queue *q, const struct lev_windows *l)
{
    uint64_t floor = lowest_free(q);
    q->tail_handled = 0;
    while (q->front.len > 1) {
        const struct lev_entry *last = lev_entries_at(&q->front, q->front.len - 1);
        if (last->pos < floor || has_own_count(last) ||
            (q->front.len <= l->keep && q->front.bytes <= l->keep_bytes))
            break;
        struct lev_entry e = lev_entries_pop_back(&q->front);
        lev_entries_push_front(&q->tail, &e);
    }
    if (!q->tail.len)
        return;
    q->paged = true;
    q->squeezed |= pressed(q->vhost);
    q->mid_from = q->mid_to = lev_entries_at(&q->tail, 0)->pos;
    hold_reads(q);
    while (q->tail_handled < q->tail.len && lev_entries_at(&q->tail, q->tail_handled)->flags &
                                                (LEV_ENTRY_STORED | LEV_ENTRY_SPILLED))
        q->tail_handled++;
}

static bool on_disk(const struct lev_queue *q, const struct lev_entry *e)
{
    return (e->flags & (LEV_ENTRY_STORED | LEV_ENTRY_SPILLED)) && e->batch <= q->vhost->durable;
}

static void count_into_middle(struct lev_queue *q, struct lev_entry *e)
{
    q->mid_count++;
    q->mid_bytes += e->msg->body_len;
    if (e->flags & LEV_ENTRY_STORED) {
        q->mid_stored++;
        q->mid_stored_bytes += e->msg->body_len;
    }
    q->vhost->memory -= lev_msg_size(e->msg);
    lev_msg_unref(&e->msg);
}

static void drop_tail(struct lev_queue *q)
{
    while (q->tail.len && on_disk(q, lev_entries_at(&q->tail, 0))) {
        struct lev_entry e = lev_entries_pop_front(&q->tail);
        if (q->mid_count == 0 && !q->loading)
            q->mid_from = e.pos;
        q->mid_to = e.pos + 1;
        if (q->tail_handled)
            q->tail_handled--;
        count_into_middle(q, &e);
    }
    lev_entries_shrink(&q->tail);
}

/* With this much in front the next block is read. */
static bool is_short(uint32_t len, size_t bytes, const struct lev_windows *l)
{
    return !len || (len <= l->keep / 2 && bytes <= l->keep_bytes / 2);
}

/* Front outgrew its window while the queue is paged (a mass requeue): gives its end back to the
 * middle. */
static void drop_front_end(struct lev_queue *q, const struct lev_windows *l)
{
    uint64_t floor = lowest_free(q);
    bool moved = false, squeezed = pressed(q->vhost);
    if (q->loading)
        return;
    while (q->front.len > l->max || (q->front.len > 1 && q->front.bytes > l->max_bytes)) {
        struct lev_entry *last = lev_entries_at(&q->front, q->front.len - 1);
        if (last->pos < floor || !on_disk(q, last) ||
            is_short(q->front.len - 1, q->front.bytes - lev_msg_size(last->msg), l))
            break; /* the last: it would be read again at once */
        struct lev_entry e = lev_entries_pop_back(&q->front);
        if (q->mid_count == 0)
            q->mid_to = e.pos + 1;
        q->mid_from = e.pos;
        count_into_middle(q, &e);
        moved = true;
    }
    if (!moved)
        return;
    q->squeezed |= squeezed;
    hold_reads(q);
}

/* Moves the tail's beginning straight into front when nothing lies between. */
static void join_tail(struct lev_queue *q, const struct lev_windows *l)
{
    if (q->mid_count || q->loading)
        return;
    if (q->tail.len && (!q->front.len || !lev_list_empty(&q->top->ready_list)))
        lev_queue_kick(q); /* for its consumers, or to look at a new head */
    while (q->tail.len && q->front.len < l->keep && q->front.bytes < l->keep_bytes) {
        struct lev_entry e = lev_entries_pop_front(&q->tail);
        if (q->tail_handled)
            q->tail_handled--;
        lev_entries_push_back(&q->front, &e);
    }
    if (!q->tail.len) {
        lev_entries_shrink(&q->tail);
        q->paged = false;
    }
}

static void spill_entry(struct lev_queue *q, struct lev_entry *e)
{
    struct lev_vhost *v = q->vhost;
    if (!q->id)
        q->id = lev_vhost_take_queue_id(v);
    struct lev_op op = {.kind = LEV_OP_SPILL,
                        .queue_id = q->id,
                        .pos = e->pos,
                        .u.msg = lev_msg_ref(e->msg),
                        .expires_at_ms = e->expires_ms,
                        .size = e->msg->body_len};
    e->op = lev_vhost_op(v, &op);
    e->batch = v->open->id;
    e->flags |= LEV_ENTRY_SPILLED;
    lev_vhost_watch(v, q);
}

static void spill_tail(struct lev_queue *q, const struct lev_windows *l)
{
    if (q->tail.len <= l->tail_max && q->tail.bytes <= l->tail_max_bytes)
        return;
    for (; q->tail_handled < q->tail.len; q->tail_handled++) {
        struct lev_entry *e = lev_entries_at(&q->tail, q->tail_handled);
        if (!(e->flags & (LEV_ENTRY_STORED | LEV_ENTRY_SPILLED)))
            spill_entry(q, e);
    }
}

/* A squeezed queue reads little, or what a large block pushes out, of this queue or others, would
 * be read again, and push out, for ever. */
static void read_ahead(struct lev_queue *q, const struct lev_windows *limits)
{
    struct lev_vhost *v = q->vhost;
    const struct lev_windows little = shrunk(v->windows);
    const struct lev_windows *l = q->squeezed ? &little : limits;
    if (q->loading || !q->mid_count || lev_list_linked(&q->unread_node))
        return;
    if (!is_short(q->front.len, q->front.bytes, l))
        return;
    if (v->durable < q->read_after) {
        lev_vhost_watch(v, q);
        return;
    }
    struct lev_read *r = lev_xcalloc(1, sizeof(*r));
    r->queue_id = q->id;
    r->from = q->mid_from;
    r->to = q->mid_to;
    r->max_items = l->keep;
    r->max_bytes = l->keep_bytes;
    r->user = lev_queue_ref(q);
    r->tag = q->load_gen;
    q->loading = true;
    q->squeezed = false;
    v->store->ops->read(v->store, r);
}

void lev_window_balance(struct lev_queue *q)
{
    struct lev_windows l = limits_of(q);
    if (!q->paged) {
        if (q->front.len <= l.max && q->front.bytes <= l.max_bytes) {
            lev_entries_shrink(&q->front);
            return;
        }
        begin_paging(q, &l);
        if (!q->paged)
            return;
    }
    drop_tail(q);
    drop_front_end(q, &l);
    join_tail(q, &l);
    if (!q->paged)
        return;
    spill_tail(q, &l);
    read_ahead(q, &l);
}

void lev_window_stored(struct lev_queue *q)
{
    if (q->paged && !q->deleted)
        lev_window_balance(q);
}

/* Takes one item of a read into front. */
static void accept(struct lev_queue *q, struct lev_read_item *it)
{
    struct lev_entry e = {
        .msg = it->msg, .pos = it->pos, .expires_ms = it->expires_at_ms, .count = it->count};
    it->msg = NULL;
    if (!it->spilled) {
        e.flags = LEV_ENTRY_STORED;
        q->mid_stored--;
        q->mid_stored_bytes -= e.msg->body_len;
    }
    if (it->pos < q->delivered_to)
        e.flags |= LEV_ENTRY_REDELIVERED;
    q->mid_count--;
    q->mid_bytes -= e.msg->body_len;
    q->vhost->memory += lev_msg_size(e.msg);
    lev_entries_push_back(&q->front, &e);
}

/* The range is exhausted but the count is not: rows are missing. Never seen unless the file was
 * changed by somebody else; the count is corrected, loudly. */
static void correct_count(struct lev_queue *q)
{
    lev_log_error("queue %.*s: the store has %llu messages less than its count",
                  LEV_FMT(q->dest.name), (unsigned long long)q->mid_count);
    q->stored_live -= q->mid_stored;
    lev_queue_sub_ready(q, q->mid_count);
    q->top->ready_bytes -= q->mid_bytes;
    q->mid_count = q->mid_bytes = q->mid_stored = q->mid_stored_bytes = 0;
}

/* Takes what a read gave: everything up to r->reached was looked at. */
static void take_items(struct lev_queue *q, struct lev_read *r)
{
    bool spilled = false;
    for (size_t i = 0; i < r->n_items; i++) {
        spilled |= r->items[i].spilled;
        accept(q, &r->items[i]);
    }
    if (spilled)
        lev_vhost_op(q->vhost, &(struct lev_op){.kind = LEV_OP_UNSPILL,
                                                .queue_id = q->id,
                                                .pos = r->from,
                                                .u.end = r->reached});
    if (r->reached > q->mid_from)
        q->mid_from = r->reached;
}

/* The row at mid_from cannot be read: it is left behind, loudly. */
static void skip_row(struct lev_queue *q)
{
    lev_log_error("queue %.*s: the stored message at position %llu is damaged; it is skipped",
                  LEV_FMT(q->dest.name), (unsigned long long)q->mid_from);
    q->mid_from++;
    if (!q->mid_stored)
        return;
    q->mid_stored--;
    q->mid_count--;
    q->stored_live--;
    lev_queue_sub_ready(q, 1);
}

static void retry_later(struct lev_queue *q, int rc)
{
    struct lev_vhost *v = q->vhost;
    lev_log_error("queue %.*s: cannot read messages back: %s", LEV_FMT(q->dest.name),
                  lev_err_text(rc));
    lev_list_remove(&q->unread_node);
    lev_list_push_back(&v->unread, &q->unread_node);
    if (!v->reread.index)
        lev_timer_set(&v->timers, &v->reread, lev_vhost_now(v) + REREAD_MS);
}

void lev_window_reread(struct lev_timer *t, uint64_t now_ms)
{
    struct lev_vhost *v = LEV_CONTAINER(t, struct lev_vhost, reread);
    (void)now_ms;
    while (!lev_list_empty(&v->unread)) {
        struct lev_queue *q = LEV_LIST_ENTRY(v->unread.next, struct lev_queue, unread_node);
        lev_list_remove(&q->unread_node);
        lev_queue_kick(q);
    }
}

void lev_window_loaded(struct lev_queue *q, struct lev_read *r)
{
    if (r->tag != q->load_gen || q->deleted)
        return;
    q->loading = false;
    take_items(q, r);
    if (r->rc == LEV_ECORRUPT)
        skip_row(q);
    if (q->mid_from >= r->to && q->mid_to == r->to && q->mid_count)
        correct_count(q);
    if (r->rc < 0 && r->rc != LEV_ECORRUPT) {
        retry_later(q, r->rc);
        return;
    }
    lev_queue_serve_getters(q->top);
    lev_queue_kick(q);
}

void lev_window_recover(struct lev_queue *q, const struct lev_queue_state *s)
{
    q->next_pos = s->next_pos ? s->next_pos : 1;
    q->delivered_to = s->delivered_to < q->next_pos ? s->delivered_to : q->next_pos;
    q->reserved_to = s->delivered_to;
    q->mid_from = s->head;
    q->mid_to = q->next_pos;
    q->mid_count = q->mid_stored = q->stored_live = s->count;
    q->mid_bytes = q->mid_stored_bytes = s->bytes;
    q->paged = s->count > 0;
    lev_queue_add_ready(q, s->count);
    q->top->ready_bytes += s->bytes;
    lev_queue_kick(q); /* what has expired meanwhile goes, and the first block comes */
}
