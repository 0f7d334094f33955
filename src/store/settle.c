/* Heads and dead ranges. See store_int.h and the part "Settling" of broker/store.h.
 *
 * Settling changes memory only; lev_apply_queue writes what came of it once per transaction. Rows
 * are never looked at but to move a head over a gap: positions that never had a row. Then the first
 * row stored at or behind the head bounds it; live_row remembers that row while it lives, so that a
 * queue whose head stands still costs nothing. */
#include "store/store_int.h"

/* Gaps a head passes in one transaction; the rest is for the next one. */
enum { GAPS_MAX = 1000 };

static void die(struct lev_squeue *q, uint64_t lo, uint64_t hi)
{
    if (hi <= q->head || lo >= hi)
        return;
    if (lo > q->head) {
        lev_ivset_add(&q->dead, lo, hi);
    } else {
        uint64_t next_lo, next_hi;
        q->head = hi;
        if (!lev_ivset_empty(&q->dead) && lev_ivset_find(&q->dead, 0, &next_lo, &next_hi) &&
            next_lo <= q->head) {
            lev_ivset_cut(&q->dead, q->head);
            if (lev_ivset_find(&q->dead, q->head, &next_lo, &next_hi) && next_lo == q->head) {
                q->head = next_hi;
                lev_ivset_cut(&q->dead, q->head);
            }
        }
    }
    if (q->live_row != LEV_NO_POS && q->live_row >= lo && q->live_row < hi)
        q->live_row = LEV_NO_POS;
}

static void uncount(struct lev_squeue *q, uint64_t count, uint64_t bytes)
{
    q->count -= count < q->count ? count : q->count;
    q->bytes -= bytes < q->bytes ? bytes : q->bytes;
}

void lev_settle_one(struct lev_state *t, struct lev_squeue *q, const struct lev_op *op)
{
    if (!(op->flags & (LEV_OPF_NOROW | LEV_OPF_SPILLED))) {
        uncount(q, 1, op->size);
        lev_state_count_dead(t, q, 1, op->size);
        lev_state_may_purge(t, q);
    }
    if (op->pos == q->head && lev_ivset_empty(&q->dead)) {
        q->head++; /* the common case: in order */
        if (q->live_row == op->pos)
            q->live_row = LEV_NO_POS;
    } else {
        die(q, op->pos, op->pos + 1);
    }
    q->changed = q->settled = true;
}

void lev_settle_range(struct lev_state *t, struct lev_squeue *q, const struct lev_op *op)
{
    uint64_t end = op->u.end > LEV_POSITION_MAX + 1 ? LEV_POSITION_MAX + 1 : op->u.end;
    uncount(q, op->count, op->bytes);
    lev_state_count_dead(t, q, (int64_t)op->count, (int64_t)op->bytes);
    lev_state_may_purge(t, q);
    die(q, op->pos, end);
    q->changed = q->settled = true;
}

void lev_settle_revive(struct lev_squeue *q, uint64_t pos)
{
    uint64_t head = q->head;
    q->head = pos;
    if (pos + 1 < head)
        lev_ivset_add(&q->dead, pos + 1, head);
    if (q->purged > pos)
        q->purged = pos;
    q->live_row = LEV_NO_POS;
    q->changed = true;
}

/* The head stands at a gap or a live row: goes up to the first row. *more_r: it may go further. */
static int pass_gap(struct lev_store_sqlite *s, struct lev_squeue *q, bool *more_r)
{
    uint64_t id, lo, hi;
    *more_r = false;
    int rc = q->head > LEV_POSITION_MAX ? SQLITE_OK
                                        : lev_state_first(s, LEV_ST_FIRST, LEV_ID(q->id, q->head),
                                                          LEV_ID(q->id, LEV_POSITION_MAX), &id);
    if (rc != SQLITE_OK || q->head > LEV_POSITION_MAX)
        return rc;
    if (id == LEV_NO_POS) {
        if (q->next_pos > q->head)
            die(q, q->head, q->next_pos);
        return SQLITE_OK;
    }
    uint64_t pos = LEV_ID_POS(id);
    if (lev_ivset_find(&q->dead, pos, &lo, &hi) && lo <= pos) {
        die(q, q->head, hi);
        *more_r = true;
        return SQLITE_OK;
    }
    die(q, q->head, pos);
    q->live_row = pos;
    return SQLITE_OK;
}

int lev_settle_head(struct lev_store_sqlite *s, struct lev_squeue *q)
{
    bool more = q->live_row == LEV_NO_POS;
    int rc = SQLITE_OK;
    q->settled = false;
    for (int i = 0; more && i < GAPS_MAX && rc == SQLITE_OK; i++)
        rc = pass_gap(s, q, &more);
    if (more)
        lev_state_may_purge(&s->state, q);
    return rc;
}
