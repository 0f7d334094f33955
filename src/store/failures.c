/* Counts of failed deliveries: table failures. See store_int.h.
 *
 * A count is written at once, in the order of the operations, whether the message's row is there
 * already or comes with the rest of the batch. Counts are removed with the rows of their positions,
 * when these are purged. lev_squeue.failures keeps all this from costing anything for the queues,
 * nearly all, that have none. */
#include "store/store_int.h"

static bool settled(const struct lev_squeue *q, uint64_t pos)
{
    uint64_t lo, hi;
    return pos < q->head || (lev_ivset_find(&q->dead, pos, &lo, &hi) && lo <= pos);
}

int lev_failures_put(struct lev_store_sqlite *s, struct lev_squeue *q, const struct lev_op *op)
{
    sqlite3_stmt *st = s->st[LEV_ST_FAILURES_PUT];
    int rc = SQLITE_OK;
    if (settled(q, op->pos))
        return SQLITE_OK;
    q->failures = true;
    lev_sql_int(&rc, st, 1, LEV_ID(q->id, op->pos));
    lev_sql_int(&rc, st, 2, op->count < UINT16_MAX ? op->count : UINT16_MAX);
    return rc == SQLITE_OK ? lev_sql_run(st) : rc;
}

int lev_failures_any(struct lev_store_sqlite *s, const struct lev_squeue *q, bool *any_r)
{
    uint64_t first = LEV_NO_POS;
    int rc = q->failures ? lev_state_first(s, LEV_ST_FAILURES_FIRST, LEV_ID(q->id, 0),
                                           LEV_ID(q->id, LEV_POSITION_MAX), &first)
                         : SQLITE_OK;
    *any_r = first != LEV_NO_POS;
    return rc;
}

int lev_failures_delete(struct lev_store_sqlite *s, const struct lev_squeue *q, uint64_t lo,
                        uint64_t hi)
{
    sqlite3_stmt *st = s->st[LEV_ST_FAILURES_DELETE];
    int rc = SQLITE_OK;
    if (!q->failures || lo >= hi)
        return SQLITE_OK;
    lev_sql_int(&rc, st, 1, LEV_ID(q->id, lo));
    lev_sql_int(&rc, st, 2, LEV_ID(q->id, hi - 1));
    return rc == SQLITE_OK ? lev_sql_run(st) : rc;
}
