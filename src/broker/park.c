/* Parked messages: a binary heap by due time for each queue and kind, and the few that are being
 * read back. See park.h. Under the vhost's lock. */
#include "broker/park.h"

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "broker/queue.h"
#include "broker/vhost_int.h"

enum {
    SLICE = 1024,     /* taken up in one go */
    DEAD_ROUND = 256, /* of the dead, offered without one being taken before a pause */
    DROP_TRIES = 4,   /* others looked at for a body to drop when one is parked */
    REREAD_MS = 1000,
};

void lev_parked_deinit(struct lev_parked *p)
{
    lev_msg_unref(&p->e.msg);
    for (uint32_t i = 0; i < p->n_took; i++)
        lev_queue_unref(&p->took[i]);
    free(p->took);
    p->took = NULL;
    p->n_took = 0;
}

/* --- the heap --- */

static bool before(const struct lev_parked *a, const struct lev_parked *b)
{
    return a->due_ms != b->due_ms ? a->due_ms < b->due_ms : a->e.pos < b->e.pos;
}

static void heap_push(struct lev_park *k, const struct lev_parked *p)
{
    if (k->n == k->cap) {
        k->cap = k->cap ? k->cap * 2 : 16;
        k->heap = lev_xrealloc(k->heap, k->cap * sizeof(*k->heap));
    }
    size_t i = k->n++;
    for (; i > 0 && before(p, &k->heap[(i - 1) / 2]); i = (i - 1) / 2)
        k->heap[i] = k->heap[(i - 1) / 2];
    k->heap[i] = *p;
    if (p->e.msg)
        k->in_memory += lev_msg_size(p->e.msg);
}

static struct lev_parked heap_pop(struct lev_park *k)
{
    struct lev_parked first = k->heap[0], last = k->heap[--k->n];
    size_t i = 0;
    for (size_t c = 1; c < k->n; c = 2 * i + 1) {
        if (c + 1 < k->n && before(&k->heap[c + 1], &k->heap[c]))
            c++;
        if (!before(&k->heap[c], &last))
            break;
        k->heap[i] = k->heap[c];
        i = c;
    }
    if (k->n)
        k->heap[i] = last;
    if (first.e.msg)
        k->in_memory -= lev_msg_size(first.e.msg);
    return first;
}

/* --- bodies --- */

static bool can_drop(const struct lev_queue *q, const struct lev_parked *p)
{
    return p->e.msg && (p->e.flags & LEV_ENTRY_STORED) && p->e.batch <= q->vhost->durable &&
           !q->top->dedup;
}

static void shed_bodies(struct lev_park *k)
{
    for (int i = 0; i < DROP_TRIES && k->in_memory > k->queue->vhost->windows.keep_bytes; i++) {
        struct lev_parked *p = &k->heap[k->cursor++ % k->n];
        if (!can_drop(k->queue, p))
            continue;
        k->in_memory -= lev_msg_size(p->e.msg);
        lev_msg_unref(&p->e.msg);
    }
}

static void ask_for(struct lev_park *k, const struct lev_parked *p)
{
    struct lev_vhost *v = k->queue->vhost;
    struct lev_read *r = lev_xcalloc(1, sizeof(*r));
    r->queue_id = k->queue->id;
    r->from = p->e.pos;
    r->to = p->e.pos + 1;
    r->max_items = 1;
    r->max_bytes = SIZE_MAX;
    r->user = lev_queue_ref(k->queue);
    r->tag = k->kind;
    r->parked = true;
    k->loading[k->n_loading++] = *p;
    v->store->ops->read(v->store, r);
}

/* --- time --- */

static void arm(struct lev_park *k)
{
    struct lev_timers *timers = &k->queue->vhost->timers;
    if (!k->n || k->n_loading == LEV_PARK_READS_MAX) {
        lev_timer_clear(timers, &k->timer);
        return;
    }
    uint64_t due = k->heap[0].due_ms;
    lev_timer_set(timers, &k->timer, due > k->not_before ? due : k->not_before);
}

/* Its time has come, and its body is there. */
static void act(struct lev_park *k, struct lev_parked *p)
{
    struct lev_queue *q = k->queue;
    lev_queue_sub_unacked(q, 1);
    k->bytes -= p->size;
    if (k->kind == LEV_PARK_RETRY) {
        lev_queue_requeue(q, &p->e);
        lev_parked_deinit(p);
    } else {
        lev_dead_letter_again(q, p);
    }
}

/* False when the dead have to wait. */
static bool may_try(struct lev_park *k, uint64_t now_ms)
{
    if (k->kind != LEV_PARK_DEAD)
        return true;
    if (k->tries++ < DEAD_ROUND)
        return true;
    k->tries = 0;
    k->not_before = now_ms + LEV_PARK_DEAD_MS;
    return false;
}

static void on_due(struct lev_timer *t, uint64_t now_ms)
{
    struct lev_park *k = LEV_CONTAINER(t, struct lev_park, timer);
    for (int i = 0;
         i < SLICE && k->n && k->heap[0].due_ms <= now_ms && k->n_loading < LEV_PARK_READS_MAX;
         i++) {
        if (!may_try(k, now_ms))
            break;
        struct lev_parked p = heap_pop(k);
        if (p.e.msg)
            act(k, &p);
        else
            ask_for(k, &p);
    }
    arm(k);
}

/* --- the outside --- */

static struct lev_park *park_of(struct lev_queue *q, enum lev_park_kind kind)
{
    struct lev_park *k = q->park[kind];
    if (k)
        return k;
    k = q->park[kind] = lev_xcalloc(1, sizeof(*k));
    k->queue = q;
    k->kind = kind;
    k->timer.fire = on_due;
    return k;
}

void lev_park_put(struct lev_queue *q, enum lev_park_kind kind, const struct lev_parked *p)
{
    struct lev_park *k = park_of(q, kind);
    heap_push(k, p);
    lev_queue_add_unacked(q);
    k->bytes += p->size;
    shed_bodies(k);
    arm(k);
}

uint64_t lev_park_count(const struct lev_queue *q, enum lev_park_kind kind)
{
    const struct lev_park *k = q->park[kind];
    return k ? k->n + k->n_loading : 0;
}

uint64_t lev_park_bytes(const struct lev_queue *q, enum lev_park_kind kind)
{
    return q->park[kind] ? q->park[kind]->bytes : 0;
}

void lev_park_progress(struct lev_queue *q)
{
    struct lev_park *k = q->park[LEV_PARK_DEAD];
    if (!k)
        return;
    k->tries = 0;
    k->not_before = 0;
    arm(k);
}

static void settle(struct lev_queue *q, struct lev_parked *p)
{
    if (p->e.msg)
        lev_queue_settled(q, &p->e);
    else
        lev_queue_settled_unread(q, &p->e, p->size);
    lev_queue_sub_unacked(q, 1);
    lev_parked_deinit(p);
}

uint64_t lev_park_purge(struct lev_queue *q, enum lev_park_kind kind)
{
    struct lev_park *k = q->park[kind];
    uint64_t n = lev_park_count(q, kind);
    if (!k)
        return 0;
    for (size_t i = 0; i < k->n; i++)
        settle(q, &k->heap[i]);
    for (size_t i = 0; i < k->n_loading; i++)
        settle(q, &k->loading[i]);
    k->n = k->n_loading = k->in_memory = 0;
    k->bytes = 0;
    arm(k);
    return n;
}

/* What was asked for with this position; false: it is gone meanwhile. */
static bool take_loading(struct lev_park *k, uint64_t pos, struct lev_parked *p)
{
    for (size_t i = 0; i < k->n_loading; i++) {
        if (k->loading[i].e.pos != pos)
            continue;
        *p = k->loading[i];
        k->loading[i] = k->loading[--k->n_loading];
        return true;
    }
    return false;
}

void lev_park_loaded(struct lev_queue *q, struct lev_read *r)
{
    struct lev_park *k = q->park[r->tag];
    struct lev_parked p;
    if (!k || !take_loading(k, r->from, &p))
        return;
    if (r->n_items) {
        p.e.msg = r->items[0].msg;
        r->items[0].msg = NULL;
        act(k, &p);
    } else if (r->rc < 0 && r->rc != LEV_ECORRUPT) {
        lev_log_error("queue %.*s: cannot read a message back: %s", LEV_FMT(q->dest.name),
                      lev_err_text(r->rc));
        p.due_ms = lev_vhost_now(q->vhost) + REREAD_MS;
        heap_push(k, &p);
    } else {
        lev_log_error("queue %.*s: the stored message at position %llu is damaged; it is skipped",
                      LEV_FMT(q->dest.name), (unsigned long long)p.e.pos);
        k->bytes -= p.size;
        settle(q, &p);
    }
    arm(k);
}

void lev_park_deinit(struct lev_queue *q)
{
    for (int kind = 0; kind < LEV_PARK_KINDS; kind++) {
        struct lev_park *k = q->park[kind];
        q->park[kind] = NULL;
        if (!k)
            continue;
        for (size_t i = 0; i < k->n; i++)
            lev_parked_deinit(&k->heap[i]);
        for (size_t i = 0; i < k->n_loading; i++)
            lev_parked_deinit(&k->loading[i]);
        lev_timer_clear(&q->vhost->timers, &k->timer);
        free(k->heap);
        free(k);
    }
}
