/* What is dead is removed, in slices. See store_int.h.
 *
 * A slice is a transaction of its own that is not synced: losing it in a crash loses no message,
 * and a later batch's sync covers it. In each queue what is below the head goes first. Dead ranges
 * above it are removed, and then forgotten (a position without a row needs no mark), only when
 * asked to or when the bounds are passed: most of them join the head soon. Garbage in spill is not
 * counted: it is always due. */
#include "store/store_int.h"

#include "base/clock.h"
#include "base/log.h"

/* Positions removed between two looks at the clock. */
enum { STEP = 256 };

struct slice {
    struct lev_store_sqlite *s;
    uint64_t until_ns;
    uint64_t rows, rows_max;
};

static bool time_is_up(const struct slice *c)
{
    return c->rows >= c->rows_max || lev_clock_mono_ns() >= c->until_ns;
}

bool lev_purge_due(const struct lev_store_sqlite *s)
{
    return s->state.dead_rows > s->options.garbage_limit_rows ||
           s->state.dead_bytes > s->options.garbage_limit_bytes || s->state.spill_garbage;
}

static int run_id(struct lev_store_sqlite *s, enum lev_statement which, uint64_t id)
{
    sqlite3_stmt *st = s->st[which];
    int rc = SQLITE_OK;
    lev_sql_int(&rc, st, 1, id);
    return rc == SQLITE_OK ? lev_sql_run(st) : rc;
}

/* Removes some rows of q in [lo, hi). *done_r: everything below it is gone (hi when there was no
 * more). */
static int remove_some(struct slice *c, struct lev_squeue *q, uint64_t lo, uint64_t hi,
                       uint64_t *done_r)
{
    struct lev_store_sqlite *s = c->s;
    uint64_t first, rows;
    *done_r = hi;
    int rc = lev_state_first(s, LEV_ST_FIRST, LEV_ID(q->id, lo), LEV_ID(q->id, hi - 1), &first);
    if (rc != SQLITE_OK)
        return rc;
    if (first != LEV_NO_POS) {
        if (hi - LEV_ID_POS(first) > STEP)
            *done_r = LEV_ID_POS(first) + STEP;
        rc = lev_insert_delete(s, first, LEV_ID(q->id, *done_r - 1), &rows);
        lev_state_count_dead(&s->state, q, -(int64_t)rows, 0);
        c->rows += rows;
    }
    return rc == SQLITE_OK ? lev_failures_delete(s, q, lo, *done_r) : rc;
}

static int purge_garbage(struct slice *c, struct lev_squeue *q)
{
    int rc = SQLITE_OK;
    while (rc == SQLITE_OK && q->purged <= LEV_POSITION_MAX && !time_is_up(c))
        rc = remove_some(c, q, q->purged, LEV_POSITION_MAX + 1, &q->purged);
    if (rc != SQLITE_OK || q->purged <= LEV_POSITION_MAX)
        return rc;
    q->garbage = q->failures = false;
    q->purged = 0;
    return run_id(c->s, LEV_ST_GARBAGE_DELETE, q->id);
}

static int purge_below_head(struct slice *c, struct lev_squeue *q)
{
    int rc = SQLITE_OK;
    while (rc == SQLITE_OK && q->purged < q->head && !time_is_up(c))
        rc = remove_some(c, q, q->purged, q->head, &q->purged);
    return rc;
}

static int purge_ranges(struct slice *c, struct lev_squeue *q)
{
    uint64_t lo, hi, done;
    int rc = SQLITE_OK;
    while (rc == SQLITE_OK && lev_ivset_find(&q->dead, 0, &lo, &hi) && !time_is_up(c)) {
        rc = remove_some(c, q, lo, hi, &done);
        lev_ivset_drop(&q->dead, lo, done);
    }
    return rc == SQLITE_OK ? lev_apply_queue(c->s, q) : rc;
}

/* One range of spill_garbage of q, some of it; clears q->spill_garbage after the last. */
static int purge_spilled_some(struct slice *c, struct lev_squeue *q)
{
    struct lev_store_sqlite *s = c->s;
    sqlite3_stmt *st = s->st[LEV_ST_SPILL_GARBAGE_FIRST], *del = s->st[LEV_ST_SPILL_DELETE];
    uint64_t id = 0, hi = 0, first;
    int rc = SQLITE_OK;
    lev_sql_int(&rc, st, 1, LEV_ID(q->id, 0));
    lev_sql_int(&rc, st, 2, LEV_ID(q->id, LEV_POSITION_MAX));
    if (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        id = (uint64_t)sqlite3_column_int64(st, 0);
        hi = (uint64_t)sqlite3_column_int64(st, 1);
    }
    int reset = sqlite3_reset(st);
    if (rc != SQLITE_ROW) {
        q->spill_garbage = rc != SQLITE_DONE;
        return rc == SQLITE_DONE ? reset : rc;
    }
    rc = lev_state_first(s, LEV_ST_SPILL_FIRST, id, LEV_ID(q->id, hi - 1), &first);
    if (rc != SQLITE_OK)
        return rc;
    if (first == LEV_NO_POS)
        return run_id(s, LEV_ST_SPILL_GARBAGE_DELETE, id);
    uint64_t last = LEV_ID(q->id, hi - 1);
    lev_sql_int(&rc, del, 1, first);
    lev_sql_int(&rc, del, 2, last - first < STEP ? last : first + STEP - 1);
    return rc == SQLITE_OK ? lev_sql_run(del) : rc;
}

static int purge_spilled(struct slice *c, struct lev_squeue *q)
{
    int rc = SQLITE_OK;
    while (rc == SQLITE_OK && q->spill_garbage && !time_is_up(c))
        rc = purge_spilled_some(c, q);
    return rc;
}

static bool complete(const struct lev_squeue *q)
{
    return !q->garbage && !q->spill_garbage &&
           (!q->live || (q->purged >= q->head && lev_ivset_empty(&q->dead)));
}

static int purge_heads(struct slice *c)
{
    struct lev_state *t = &c->s->state;
    int rc = SQLITE_OK;
    LEV_LIST_EACH(it, nx, &t->purge)
    {
        struct lev_squeue *q = LEV_LIST_ENTRY(it, struct lev_squeue, purge_node);
        if (q->garbage)
            rc = purge_garbage(c, q);
        if (rc == SQLITE_OK && q->spill_garbage)
            rc = purge_spilled(c, q);
        if (rc == SQLITE_OK && q->live)
            rc = purge_below_head(c, q);
        if (rc != SQLITE_OK || time_is_up(c))
            break;
    }
    return rc;
}

static int purge_all_ranges(struct slice *c)
{
    struct lev_state *t = &c->s->state;
    int rc = SQLITE_OK;
    LEV_LIST_EACH(it, nx, &t->purge)
    {
        struct lev_squeue *q = LEV_LIST_ENTRY(it, struct lev_squeue, purge_node);
        if (q->live && !lev_ivset_empty(&q->dead))
            rc = purge_ranges(c, q);
        if (rc != SQLITE_OK || time_is_up(c))
            break;
    }
    return rc;
}

/* After the commit: queues with nothing left to do leave the list, and perhaps the state. */
static void retire(struct lev_store_sqlite *s)
{
    struct lev_state *t = &s->state;
    bool spill_garbage = false;
    LEV_LIST_EACH(it, nx, &t->purge)
    {
        struct lev_squeue *q = LEV_LIST_ENTRY(it, struct lev_squeue, purge_node);
        spill_garbage |= q->spill_garbage;
        if (!complete(q))
            continue;
        lev_list_remove(it);
        lev_state_count_dead(t, q, -(int64_t)q->dead_rows, 0);
        (void)lev_state_forget(s, q);
    }
    if (lev_list_empty(&t->purge))
        t->dead_rows = t->dead_bytes = 0;
    t->spill_garbage = spill_garbage;
}

int lev_purge_slice(struct lev_store_sqlite *s, uint64_t budget_ns, uint64_t rows_max, bool all)
{
    uint64_t start = lev_clock_mono_ns();
    struct slice c = {s, start + budget_ns, 0, rows_max};
    if (lev_list_empty(&s->state.purge))
        return SQLITE_OK;
    int rc = lev_store_begin(s, false);
    if (rc == SQLITE_OK)
        rc = purge_heads(&c);
    if (rc == SQLITE_OK && (all || lev_purge_due(s)))
        rc = purge_all_ranges(&c);
    if (rc == SQLITE_OK)
        rc = lev_store_commit(s);
    if (rc != SQLITE_OK) {
        lev_log_warn("store %s: cannot remove dead rows: %s", s->path, sqlite3_errmsg(s->db));
        lev_store_rollback(s);
        return rc;
    }
    retire(s);
    LEV_STAT_ADD(s, purged_rows, c.rows);
    LEV_STAT_ADD(s, purge_ns, lev_clock_mono_ns() - start);
    LEV_STAT_SET(s, garbage_rows, s->state.dead_rows);
    return SQLITE_OK;
}

int lev_purge_queue(struct lev_store_sqlite *s, struct lev_squeue *q)
{
    struct slice c = {s, UINT64_MAX, 0, UINT64_MAX};
    int rc = q->garbage ? purge_garbage(&c, q) : SQLITE_OK;
    return rc == SQLITE_OK ? purge_spilled(&c, q) : rc;
}
