/* A batch becomes a transaction. See store_int.h.
 *
 * Operations are looked at in order: definitions, spill and failures are written at once; ENQUEUE
 * and SETTLE change the queue's state in memory, and come to the file at the end: first all rows,
 * then heads, dead ranges and queue rows. That is the same as in order, because a SETTLE never
 * removes a row, and a queue that is deleted drops its rows not yet written. If anything fails the
 * caller rolls back and reloads. */
#include "store/store_int.h"

#include "base/log.h"

/* Inserts whose arrays are kept for the next transaction. */
enum { ROOM_MAX = 65536 };

static struct lev_squeue *live_queue(struct lev_state *t, uint32_t id)
{
    struct lev_squeue *q = lev_state_get(t, id);
    if (!q || !q->live)
        return NULL;
    lev_state_touch(t, q);
    return q;
}

/* ---- Queues ---- */

static int queue_add(struct lev_store_sqlite *s, const struct lev_queue_def *d)
{
    struct lev_squeue *q = lev_state_make(s, d->queue_id);
    sqlite3_stmt *st = s->st[LEV_ST_QUEUE_ADD];
    int rc = SQLITE_OK;
    lev_state_touch(&s->state, q);
    if (!q->live && (q->garbage || q->spill_garbage))
        rc = lev_purge_queue(s, q);
    if (rc != SQLITE_OK)
        return rc;
    q->live = true;
    lev_sql_int(&rc, st, 1, d->queue_id);
    lev_sql_int(&rc, st, 2, d->level);
    lev_sql_int(&rc, st, 3, d->durable);
    lev_sql_int(&rc, st, 4, d->auto_delete);
    lev_sql_text(&rc, st, 5, d->name);
    lev_sql_blob(&rc, st, 6, d->arguments);
    return rc == SQLITE_OK ? lev_sql_run(st) : rc;
}

/* The rows of spill with positions in [lo, hi) are to go, if there are any. */
static int drop_spilled(struct lev_store_sqlite *s, uint32_t id, uint64_t lo, uint64_t hi)
{
    uint64_t first;
    if (!s->state.spilled || lo >= hi)
        return SQLITE_OK;
    int rc = lev_state_first(s, LEV_ST_SPILL_FIRST, LEV_ID(id, lo), LEV_ID(id, hi - 1), &first);
    if (rc != SQLITE_OK || first == LEV_NO_POS)
        return rc;
    struct lev_squeue *q = lev_state_make(s, id);
    q->spill_garbage = s->state.spill_garbage = true;
    lev_state_touch(&s->state, q);
    lev_state_may_purge(&s->state, q);
    sqlite3_stmt *st = s->st[LEV_ST_SPILL_GARBAGE_ADD];
    lev_sql_int(&rc, st, 1, LEV_ID(id, lo));
    lev_sql_int(&rc, st, 2, hi);
    return rc == SQLITE_OK ? lev_sql_run(st) : rc;
}

/* Whatever rows the queue has become garbage. */
static int drop_rows(struct lev_store_sqlite *s, struct lev_squeue *q)
{
    uint64_t first;
    bool failures = false;
    int rc =
        lev_state_first(s, LEV_ST_FIRST, LEV_ID(q->id, 0), LEV_ID(q->id, LEV_POSITION_MAX), &first);
    if (rc == SQLITE_OK)
        rc = lev_failures_any(s, q, &failures);
    if (rc != SQLITE_OK || (first == LEV_NO_POS && !failures))
        return rc;
    sqlite3_stmt *st = s->st[LEV_ST_GARBAGE_ADD];
    lev_sql_int(&rc, st, 1, q->id);
    lev_sql_int(&rc, st, 2, LEV_POSITION_MAX + 1);
    q->garbage = true;
    lev_state_count_dead(&s->state, q, (int64_t)q->count, (int64_t)q->bytes);
    lev_state_may_purge(&s->state, q);
    return rc == SQLITE_OK ? lev_sql_run(st) : rc;
}

static int queue_delete(struct lev_store_sqlite *s, uint32_t id)
{
    int rc = drop_spilled(s, id, 0, LEV_POSITION_MAX + 1);
    struct lev_squeue *q = live_queue(&s->state, id);
    if (rc != SQLITE_OK || !q)
        return rc;
    sqlite3_stmt *st = s->st[LEV_ST_QUEUE_DELETE], *dead = s->st[LEV_ST_DEAD_DELETE];
    lev_sql_int(&rc, st, 1, id);
    lev_sql_int(&rc, dead, 1, LEV_ID(id, 0));
    lev_sql_int(&rc, dead, 2, LEV_ID(id, LEV_POSITION_MAX));
    if (rc == SQLITE_OK)
        rc = lev_sql_run(st);
    if (rc == SQLITE_OK)
        rc = lev_sql_run(dead);
    if (rc == SQLITE_OK)
        rc = lev_dedup_remove_all(s, id, LEV_EMPTY);
    if (rc == SQLITE_OK)
        rc = drop_rows(s, q);
    lev_ivset_deinit(&q->dead);
    q->live = q->changed = q->settled = false;
    q->head = q->next_pos = q->delivered_to = q->count = q->bytes = q->purged = 0;
    q->live_row = LEV_NO_POS;
    q->first_insert = q->last_insert = LEV_NO_INSERT;
    return rc;
}

/* ---- Exchanges and bindings ---- */

static int exchange_add(struct lev_store_sqlite *s, const struct lev_exchange_def *d)
{
    sqlite3_stmt *st = s->st[LEV_ST_EXCHANGE_ADD];
    int rc = SQLITE_OK;
    lev_sql_text(&rc, st, 1, d->name);
    lev_sql_text(&rc, st, 2, d->type);
    lev_sql_int(&rc, st, 3, d->durable);
    lev_sql_int(&rc, st, 4, d->auto_delete);
    lev_sql_int(&rc, st, 5, d->internal);
    lev_sql_blob(&rc, st, 6, d->arguments);
    return rc == SQLITE_OK ? lev_sql_run(st) : rc;
}

static int exchange_delete(struct lev_store_sqlite *s, const struct lev_exchange_def *d)
{
    sqlite3_stmt *st = s->st[LEV_ST_EXCHANGE_DELETE];
    int rc = SQLITE_OK;
    lev_sql_text(&rc, st, 1, d->name);
    if (rc == SQLITE_OK)
        rc = lev_sql_run(st);
    return rc == SQLITE_OK ? lev_dedup_remove_all(s, 0, d->name) : rc;
}

static int binding(struct lev_store_sqlite *s, enum lev_statement which,
                   const struct lev_binding_def *d)
{
    sqlite3_stmt *st = s->st[which];
    int rc = SQLITE_OK;
    lev_sql_text(&rc, st, 1, d->source);
    lev_sql_int(&rc, st, 2, d->to_queue);
    lev_sql_text(&rc, st, 3, d->destination);
    lev_sql_text(&rc, st, 4, d->routing_key);
    lev_sql_blob(&rc, st, 5, d->arguments);
    return rc == SQLITE_OK ? lev_sql_run(st) : rc;
}

/* ---- Messages ---- */

static int enqueue(struct lev_state *t, const struct lev_op *op)
{
    struct lev_squeue *q = live_queue(t, op->queue_id);
    if (!q)
        return SQLITE_OK; /* deleted before it came to be */
    if (op->pos < q->head)
        lev_settle_revive(q, op->pos);
    if (op->pos >= q->next_pos)
        q->next_pos = op->pos + 1;
    q->count++;
    q->bytes += op->size;
    q->changed = true;
    lev_insert_add(t, q, op);
    return SQLITE_OK;
}

static int spill(struct lev_store_sqlite *s, const struct lev_op *op)
{
    struct lev_squeue *q = live_queue(&s->state, op->queue_id);
    if (q && op->pos >= q->next_pos) { /* the next process must start above it: see empty_spill */
        q->next_pos = op->pos + 1;
        q->changed = true;
    }
    return lev_insert_spill(s, op);
}

static int unspill(struct lev_store_sqlite *s, uint32_t id, uint64_t lo, uint64_t hi)
{
    sqlite3_stmt *st = s->st[LEV_ST_SPILL_DELETE];
    int rc = SQLITE_OK;
    if (lo >= hi || !s->state.spilled)
        return SQLITE_OK;
    lev_sql_int(&rc, st, 1, LEV_ID(id, lo));
    lev_sql_int(&rc, st, 2, LEV_ID(id, hi - 1));
    return rc == SQLITE_OK ? lev_sql_run(st) : rc;
}

static int count(struct lev_store_sqlite *s, const struct lev_op *op)
{
    struct lev_squeue *q = live_queue(&s->state, op->queue_id);
    return q ? lev_failures_put(s, q, op) : SQLITE_OK;
}

static int settle(struct lev_store_sqlite *s, const struct lev_op *op)
{
    struct lev_squeue *q = live_queue(&s->state, op->queue_id);
    if (q)
        lev_settle_one(&s->state, q, op);
    return op->flags & LEV_OPF_SPILLED ? unspill(s, op->queue_id, op->pos, op->pos + 1) : SQLITE_OK;
}

static int settle_range(struct lev_store_sqlite *s, const struct lev_op *op)
{
    uint64_t end = op->u.end > LEV_POSITION_MAX + 1 ? LEV_POSITION_MAX + 1 : op->u.end;
    struct lev_squeue *q = live_queue(&s->state, op->queue_id);
    if (q)
        lev_settle_range(&s->state, q, op);
    return drop_spilled(s, op->queue_id, op->pos, end);
}

/* ---- The whole ---- */

/* A number the broker must not give us; nothing may be written under another queue's ids. */
static bool op_valid(const struct lev_op *op)
{
    switch (op->kind) {
    case LEV_OP_ENQUEUE:
    case LEV_OP_SPILL:
    case LEV_OP_SETTLE:
    case LEV_OP_SETTLE_RANGE:
    case LEV_OP_UNSPILL:
    case LEV_OP_COUNT:
        return op->queue_id != 0 && op->queue_id <= LEV_QUEUE_ID_MAX && op->pos <= LEV_POSITION_MAX;
    case LEV_OP_QUEUE_ADD: {
        const struct lev_queue_def *d = op->u.def;
        return d->queue_id != 0 && d->queue_id <= LEV_QUEUE_ID_MAX &&
               d->level <= LEV_QUEUE_LEVEL_MAX;
    }
    case LEV_OP_DELAY_ADD:
    case LEV_OP_DELAY_DONE:
        return lev_delayed_valid(op->u.delayed);
    default:
        return true;
    }
}

static int apply_op(struct lev_store_sqlite *s, const struct lev_op *op)
{
    switch (op->kind) {
    case LEV_OP_ENQUEUE:
        return enqueue(&s->state, op);
    case LEV_OP_SPILL:
        return spill(s, op);
    case LEV_OP_SETTLE:
        return settle(s, op);
    case LEV_OP_SETTLE_RANGE:
        return settle_range(s, op);
    case LEV_OP_UNSPILL:
        return unspill(s, op->queue_id, op->pos,
                       op->u.end > LEV_POSITION_MAX + 1 ? LEV_POSITION_MAX + 1 : op->u.end);
    case LEV_OP_COUNT:
        return count(s, op);
    case LEV_OP_QUEUE_ADD:
        return queue_add(s, op->u.def);
    case LEV_OP_QUEUE_DELETE:
        return queue_delete(s, op->queue_id);
    case LEV_OP_EXCHANGE_ADD:
        return exchange_add(s, op->u.def);
    case LEV_OP_EXCHANGE_DELETE:
        return exchange_delete(s, op->u.def);
    case LEV_OP_BINDING_ADD:
        return binding(s, LEV_ST_BINDING_ADD, op->u.def);
    case LEV_OP_BINDING_DELETE:
        return binding(s, LEV_ST_BINDING_DELETE, op->u.def);
    case LEV_OP_DELAY_ADD:
        return lev_delayed_put(s, op->u.delayed);
    case LEV_OP_DELAY_DONE:
        return lev_delayed_remove(s, op->u.delayed);
    case LEV_OP_DEDUP_ADD:
        return lev_dedup_put(s, op->u.def);
    case LEV_OP_DEDUP_DROP:
        return lev_dedup_remove(s, op->u.def);
    case LEV_OP_DEDUP_CLEAR:
        return lev_dedup_remove_all(s, op->queue_id, LEV_EMPTY);
    default:
        return SQLITE_OK;
    }
}

static void apply_mark(struct lev_state *t, const struct lev_queue_mark *m)
{
    struct lev_squeue *q = live_queue(t, m->queue_id);
    if (!q)
        return;
    if (m->next_pos > q->next_pos) {
        q->next_pos = m->next_pos;
        q->changed = true;
    }
    if (m->delivered_to != q->delivered_to) {
        q->delivered_to = m->delivered_to;
        q->changed = true;
    }
}

struct dead_ctx {
    struct lev_store_sqlite *s;
    uint32_t id;
};

static int dead_delete(struct lev_store_sqlite *s, uint64_t from, uint64_t to)
{
    sqlite3_stmt *st = s->st[LEV_ST_DEAD_DELETE];
    int rc = SQLITE_OK;
    lev_sql_int(&rc, st, 1, from);
    lev_sql_int(&rc, st, 2, to);
    return rc == SQLITE_OK ? lev_sql_run(st) : rc;
}

static int dead_cut(void *ctx, uint64_t below)
{
    const struct dead_ctx *c = ctx;
    return dead_delete(c->s, LEV_ID(c->id, 0), LEV_ID(c->id, below - 1));
}

static int dead_gone(void *ctx, uint64_t lo)
{
    const struct dead_ctx *c = ctx;
    return dead_delete(c->s, LEV_ID(c->id, lo), LEV_ID(c->id, lo));
}

static int dead_put(void *ctx, uint64_t lo, uint64_t hi)
{
    const struct dead_ctx *c = ctx;
    sqlite3_stmt *st = c->s->st[LEV_ST_DEAD_PUT];
    int rc = SQLITE_OK;
    lev_sql_int(&rc, st, 1, LEV_ID(c->id, lo));
    lev_sql_int(&rc, st, 2, hi);
    return rc == SQLITE_OK ? lev_sql_run(st) : rc;
}

int lev_apply_queue(struct lev_store_sqlite *s, struct lev_squeue *q)
{
    static const struct lev_ivset_table table = {dead_cut, dead_gone, dead_put};
    struct dead_ctx ctx = {s, q->id};
    sqlite3_stmt *st = s->st[LEV_ST_QUEUE_SET];
    int rc = lev_ivset_clean(&q->dead) ? SQLITE_OK : lev_ivset_sync(&q->dead, &table, &ctx);
    if (rc != SQLITE_OK || !q->changed)
        return rc;
    lev_sql_int(&rc, st, 1, q->id);
    lev_sql_int(&rc, st, 2, q->head);
    lev_sql_int(&rc, st, 3, q->next_pos);
    lev_sql_int(&rc, st, 4, q->delivered_to);
    lev_sql_int(&rc, st, 5, q->count);
    lev_sql_int(&rc, st, 6, q->bytes);
    q->changed = false;
    return rc == SQLITE_OK ? lev_sql_run(st) : rc;
}

int lev_apply(struct lev_store_sqlite *s, const struct lev_batch *b)
{
    struct lev_state *t = &s->state;
    int rc = SQLITE_OK;
    s->delays = (struct lev_delay_sum){0};
    for (size_t i = 0; i < b->n_ops && rc == SQLITE_OK; i++) {
        const struct lev_op *op = &b->ops[i];
        if (op_valid(op))
            rc = apply_op(s, op);
        else
            lev_log_error("store %s: left out operation %u, queue %u, position %llu", s->path,
                          op->kind, op->queue_id, (unsigned long long)op->pos);
    }
    for (size_t i = 0; i < b->n_marks; i++)
        apply_mark(t, &b->marks[i]);
    if (rc == SQLITE_OK)
        rc = lev_delayed_flush(s);
    if (rc == SQLITE_OK)
        rc = lev_insert_flush(s);
    for (size_t i = 0; i < t->n_touched && rc == SQLITE_OK; i++) {
        struct lev_squeue *q = t->touched[i];
        if (q->settled)
            rc = lev_settle_head(s, q);
        if (q->live && rc == SQLITE_OK)
            rc = lev_apply_queue(s, q);
    }
    return rc;
}

void lev_apply_committed(struct lev_store_sqlite *s)
{
    struct lev_state *t = &s->state;
    for (size_t i = 0; i < t->n_touched; i++) {
        t->touched[i]->touched = false;
        (void)lev_state_forget(s, t->touched[i]);
    }
    t->n_touched = 0;
    if (t->cap_inserts > ROOM_MAX) { /* an unusually large batch */
        free(t->inserts);
        free(s->rows.v);
        t->inserts = NULL;
        t->cap_inserts = 0;
        s->rows = (struct lev_rows){0};
    }
}
