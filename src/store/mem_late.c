/* Delayed messages and seen ids of the store in memory. See mem_late.h. Plain sorted arrays. */
#include "store/mem_late.h"

#include <stdlib.h>

#include "base/mem.h"

/* ---- Delayed messages ---- */

/* Index of the first at or after (due, seq). */
static size_t delayed_at(const struct lev_mem_late *l, uint64_t due, uint64_t seq)
{
    size_t lo = 0, hi = l->n_delayed;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        const struct lev_delayed *d = l->delayed[mid];
        if (d->due_ms < due || (d->due_ms == due && d->seq < seq))
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static void delayed_add(struct lev_mem_late *l, struct lev_delayed *d)
{
    size_t i = delayed_at(l, d->due_ms, d->seq);
    if (l->n_delayed == l->cap_delayed) {
        l->cap_delayed = l->cap_delayed ? l->cap_delayed * 2 : 16;
        l->delayed = lev_xrealloc(l->delayed, l->cap_delayed * sizeof(struct lev_delayed *));
    }
    memmove(l->delayed + i + 1, l->delayed + i, (l->n_delayed - i) * sizeof(struct lev_delayed *));
    l->delayed[i] = lev_delayed_ref(d);
    l->n_delayed++;
}

static void delayed_remove(struct lev_mem_late *l, const struct lev_delayed *d)
{
    size_t i = delayed_at(l, d->due_ms, d->seq);
    if (i == l->n_delayed || l->delayed[i]->due_ms != d->due_ms || l->delayed[i]->seq != d->seq)
        return;
    lev_delayed_unref(&l->delayed[i]);
    l->n_delayed--;
    memmove(l->delayed + i, l->delayed + i + 1, (l->n_delayed - i) * sizeof(struct lev_delayed *));
}

void lev_mem_late_read(const struct lev_mem_late *l, struct lev_read *r)
{
    size_t i = delayed_at(l, r->from_due, r->from), bytes = 0, left = l->n_delayed - i;
    r->late = lev_xmalloc((left + 1) * sizeof(struct lev_delayed *));
    for (; i < l->n_delayed; i++) {
        bytes += lev_msg_size(l->delayed[i]->msg);
        if (r->n_late && (r->n_late >= r->max_items || bytes > r->max_bytes))
            return;
        r->late[r->n_late++] = lev_delayed_ref(l->delayed[i]);
    }
    r->exhausted = true;
}

/* ---- Ids ---- */

static int owner_cmp(const struct lev_dedup_def *a, const struct lev_dedup_def *b)
{
    if (a->queue_id != b->queue_id)
        return a->queue_id < b->queue_id ? -1 : 1;
    return lev_bytes_cmp(a->exchange, b->exchange);
}

/* Index of the first at or after d. */
static size_t id_at(const struct lev_mem_late *l, const struct lev_dedup_def *d)
{
    size_t lo = 0, hi = l->n_ids;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int c = owner_cmp(l->ids[mid], d);
        if (c < 0 || (c == 0 && lev_bytes_cmp(l->ids[mid]->id, d->id) < 0))
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static void id_drop(struct lev_mem_late *l, const struct lev_dedup_def *d)
{
    size_t i = id_at(l, d);
    if (i == l->n_ids || owner_cmp(l->ids[i], d) != 0 || !lev_bytes_eq(l->ids[i]->id, d->id))
        return;
    free(l->ids[i]);
    l->n_ids--;
    memmove(l->ids + i, l->ids + i + 1, (l->n_ids - i) * sizeof(struct lev_dedup_def *));
}

static void id_add(struct lev_mem_late *l, const struct lev_dedup_def *d)
{
    id_drop(l, d);
    size_t i = id_at(l, d);
    if (l->n_ids == l->cap_ids) {
        l->cap_ids = l->cap_ids ? l->cap_ids * 2 : 16;
        l->ids = lev_xrealloc(l->ids, l->cap_ids * sizeof(struct lev_dedup_def *));
    }
    memmove(l->ids + i + 1, l->ids + i, (l->n_ids - i) * sizeof(struct lev_dedup_def *));
    l->ids[i] = lev_dedup_def_copy(d);
    l->n_ids++;
}

static void ids_clear(struct lev_mem_late *l, const struct lev_dedup_def *owner)
{
    size_t n = 0;
    for (size_t i = 0; i < l->n_ids; i++) {
        if (owner_cmp(l->ids[i], owner) == 0)
            free(l->ids[i]);
        else
            l->ids[n++] = l->ids[i];
    }
    l->n_ids = n;
}

/* ---- The whole ---- */

void lev_mem_late_apply(struct lev_mem_late *l, const struct lev_op *op)
{
    switch (op->kind) {
    case LEV_OP_DELAY_ADD:
        delayed_add(l, op->u.delayed);
        return;
    case LEV_OP_DELAY_DONE:
        delayed_remove(l, op->u.delayed);
        return;
    case LEV_OP_DEDUP_ADD:
        id_add(l, op->u.def);
        return;
    case LEV_OP_DEDUP_DROP:
        id_drop(l, op->u.def);
        return;
    case LEV_OP_DEDUP_CLEAR:
    case LEV_OP_QUEUE_DELETE:
        ids_clear(l, &(struct lev_dedup_def){.queue_id = op->queue_id});
        return;
    case LEV_OP_EXCHANGE_DELETE:
        ids_clear(l, &(struct lev_dedup_def){
                         .exchange = ((const struct lev_exchange_def *)op->u.def)->name});
        return;
    default:
        return;
    }
}

/* What is kept of the exchange of the i-th, if it is that exchange's first. */
static bool summed_up(const struct lev_mem_late *l, size_t i, struct lev_delay_state *s)
{
    *s = (struct lev_delay_state){.exchange = l->delayed[i]->exchange};
    for (size_t k = 0; k < l->n_delayed; k++) {
        const struct lev_delayed *d = l->delayed[k];
        if (!lev_bytes_eq(d->exchange, s->exchange))
            continue;
        if (k < i)
            return false;
        s->count++;
        s->last_seq = d->seq > s->last_seq ? d->seq : s->last_seq;
    }
    return true;
}

static int by_place(const void *a, const void *b)
{
    const struct lev_dedup_def *x = *(struct lev_dedup_def *const *)a,
                               *y = *(struct lev_dedup_def *const *)b;
    int c = owner_cmp(x, y);
    return c ? c : (x->place > y->place) - (x->place < y->place);
}

void lev_mem_late_recover(const struct lev_mem_late *l, const struct lev_recovery *recovery,
                          void *ctx)
{
    struct lev_delay_state s;
    for (size_t i = 0; recovery->delayed && i < l->n_delayed; i++)
        if (summed_up(l, i, &s))
            recovery->delayed(ctx, &s);
    if (!recovery->dedup || !l->n_ids)
        return;
    struct lev_dedup_def **sorted = lev_xmalloc(l->n_ids * sizeof(struct lev_dedup_def *));
    memcpy(sorted, l->ids, l->n_ids * sizeof(struct lev_dedup_def *));
    qsort(sorted, l->n_ids, sizeof(struct lev_dedup_def *), by_place);
    for (size_t i = 0; i < l->n_ids; i++)
        recovery->dedup(ctx, sorted[i]);
    free(sorted);
}

void lev_mem_late_deinit(struct lev_mem_late *l)
{
    for (size_t i = 0; i < l->n_delayed; i++)
        lev_delayed_unref(&l->delayed[i]);
    for (size_t i = 0; i < l->n_ids; i++)
        free(l->ids[i]);
    free(l->delayed);
    free(l->ids);
    *l = (struct lev_mem_late){0};
}
