/* Message rows in, message rows out; bodies that several rows share. See store_int.h.
 *
 * ENQUEUEs of a transaction are chained per queue first and written queue by queue in position
 * order, so that the table grows at few places. A large body counts how many rows of THIS
 * transaction have it: the same struct lev_msg in two batches is stored twice. */
#include "store/store_int.h"

#define NONE LEV_NO_INSERT

void lev_insert_add(struct lev_state *t, struct lev_squeue *q, const struct lev_op *op)
{
    if (t->n_inserts == t->cap_inserts) {
        t->cap_inserts = t->cap_inserts ? t->cap_inserts * 2 : 256;
        t->inserts = lev_xrealloc(t->inserts, t->cap_inserts * sizeof(*t->inserts));
    }
    uint32_t i = (uint32_t)t->n_inserts++;
    t->inserts[i] = (struct lev_insert){op, NONE};
    if (q->last_insert == NONE)
        q->first_insert = i;
    else
        t->inserts[q->last_insert].next = i;
    q->last_insert = i;
}

/* ---- Shared bodies ---- */

static int compare_shared(const void *a, const void *b)
{
    const struct lev_msg *x = ((const struct lev_shared *)a)->msg;
    const struct lev_msg *y = ((const struct lev_shared *)b)->msg;
    return (x > y) - (x < y);
}

static void add_shared(struct lev_store_sqlite *s, const struct lev_msg *m)
{
    if (s->n_shared == s->cap_shared) {
        s->cap_shared = s->cap_shared ? s->cap_shared * 2 : 64;
        s->shared = lev_xrealloc(s->shared, s->cap_shared * sizeof(*s->shared));
    }
    s->shared[s->n_shared++] = (struct lev_shared){m, 0};
}

/* Lists the large bodies of all inserts that still stand, sorted. */
static void list_large(struct lev_store_sqlite *s)
{
    struct lev_state *t = &s->state;
    s->n_shared = 0;
    for (size_t i = 0; i < t->n_touched; i++)
        for (uint32_t k = t->touched[i]->first_insert; k != NONE; k = t->inserts[k].next)
            if (t->inserts[k].op->u.msg->body_len > LEV_SHARE_BODY_MIN)
                add_shared(s, t->inserts[k].op->u.msg);
    if (s->n_shared > 1)
        qsort(s->shared, s->n_shared, sizeof(*s->shared), compare_shared);
}

static int body_add(struct lev_store_sqlite *s, uint64_t id, const struct lev_msg *m, uint64_t refs)
{
    int rc = SQLITE_OK;
    sqlite3_stmt *st = s->st[LEV_ST_BODY_ADD], *rs = s->st[LEV_ST_BODY_REFS_ADD];
    lev_sql_int(&rc, st, 1, id);
    lev_sql_blob(&rc, st, 2, lev_msg_body(m));
    lev_sql_int(&rc, rs, 1, id);
    lev_sql_int(&rc, rs, 2, refs);
    if (rc == SQLITE_OK)
        rc = lev_sql_run(st);
    if (rc == SQLITE_OK)
        rc = lev_sql_run(rs);
    s->state.shared = true;
    return rc;
}

/* Stores the bodies that occur more than once; keeps only those in the list, each once. */
static int store_shared(struct lev_store_sqlite *s)
{
    size_t kept = 0;
    for (size_t i = 0, n; i < s->n_shared; i += n) {
        for (n = 1; i + n < s->n_shared && s->shared[i + n].msg == s->shared[i].msg; n++)
            continue;
        if (n == 1)
            continue;
        uint64_t id = s->state.next_body_id++;
        int rc = body_add(s, id, s->shared[i].msg, n);
        if (rc != SQLITE_OK)
            return rc;
        s->shared[kept++] = (struct lev_shared){s->shared[i].msg, id};
    }
    s->n_shared = kept;
    return SQLITE_OK;
}

static uint64_t shared_id(const struct lev_store_sqlite *s, const struct lev_msg *m)
{
    if (s->n_shared == 0 || m->body_len <= LEV_SHARE_BODY_MIN)
        return 0;
    struct lev_shared key = {m, 0};
    const struct lev_shared *x = bsearch(&key, s->shared, s->n_shared, sizeof(key), compare_shared);
    return x ? x->body_id : 0;
}

/* ---- Rows in ---- */

static int compare_pos(const void *a, const void *b)
{
    uint64_t x = (*(const struct lev_op *const *)a)->pos,
             y = (*(const struct lev_op *const *)b)->pos;
    return (x > y) - (x < y);
}

/* The chain of q is out of order (rare): put it in order. Of two at one position the last added
 * wins, as the sort need not be stable only if positions are distinct, which the broker promises.
 */
static void sort_chain(struct lev_state *t, const struct lev_squeue *q)
{
    size_t n = 0;
    for (uint32_t k = q->first_insert; k != NONE; k = t->inserts[k].next)
        n++;
    const struct lev_op **ops = lev_xmalloc(n * sizeof(*ops));
    size_t i = 0;
    for (uint32_t k = q->first_insert; k != NONE; k = t->inserts[k].next)
        ops[i++] = t->inserts[k].op;
    qsort(ops, n, sizeof(*ops), compare_pos);
    i = 0;
    for (uint32_t k = q->first_insert; k != NONE; k = t->inserts[k].next)
        t->inserts[k].op = ops[i++];
    free(ops);
}

static bool in_order(const struct lev_state *t, const struct lev_squeue *q)
{
    uint64_t last = 0;
    for (uint32_t k = q->first_insert; k != NONE; k = t->inserts[k].next) {
        if (t->inserts[k].op->pos < last)
            return false;
        last = t->inserts[k].op->pos;
    }
    return true;
}

static void list_rows(struct lev_store_sqlite *s, struct lev_squeue *q)
{
    struct lev_state *t = &s->state;
    if (!in_order(t, q))
        sort_chain(t, q);
    for (uint32_t k = q->first_insert; k != NONE; k = t->inserts[k].next)
        lev_rows_add(&s->rows, t->inserts[k].op, shared_id(s, t->inserts[k].op->u.msg));
    q->first_insert = q->last_insert = NONE;
}

static int compare_queues(const void *a, const void *b)
{
    uint32_t x = (*(struct lev_squeue *const *)a)->id, y = (*(struct lev_squeue *const *)b)->id;
    return (x > y) - (x < y);
}

int lev_insert_flush(struct lev_store_sqlite *s)
{
    struct lev_state *t = &s->state;
    s->rows.n = 0;
    if (t->n_inserts == 0)
        return SQLITE_OK;
    if (t->n_touched > 1)
        qsort(t->touched, t->n_touched, sizeof(*t->touched), compare_queues);
    list_large(s);
    int rc = store_shared(s);
    for (size_t i = 0; i < t->n_touched && rc == SQLITE_OK; i++)
        list_rows(s, t->touched[i]);
    t->n_inserts = 0;
    return rc == SQLITE_OK ? lev_sql_run(s->st[LEV_ST_INSERT]) : rc;
}

int lev_insert_spill(struct lev_store_sqlite *s, const struct lev_op *op)
{
    s->state.spilled = true;
    s->rows.n = 0;
    lev_rows_add(&s->rows, op, 0);
    return lev_sql_run(s->st[LEV_ST_SPILL]);
}

/* ---- Rows out ---- */

static int run_id(struct lev_store_sqlite *s, enum lev_statement st, uint64_t id)
{
    int rc = SQLITE_OK;
    lev_sql_int(&rc, s->st[st], 1, id);
    return rc == SQLITE_OK ? lev_sql_run(s->st[st]) : rc;
}

static int body_unref(struct lev_store_sqlite *s, uint64_t id)
{
    sqlite3_stmt *st = s->st[LEV_ST_BODY_UNREF];
    int rc = SQLITE_OK;
    lev_sql_int(&rc, st, 1, id);
    if (rc != SQLITE_OK)
        return rc;
    rc = sqlite3_step(st);
    bool last = rc == SQLITE_ROW && sqlite3_column_int64(st, 0) <= 0;
    int reset = sqlite3_reset(st);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        return rc;
    if (reset != SQLITE_OK || !last)
        return reset;
    rc = run_id(s, LEV_ST_BODY_DELETE, id);
    return rc == SQLITE_OK ? run_id(s, LEV_ST_BODY_REFS_DELETE, id) : rc;
}

/* Gives up the shared bodies of the rows in [from, to]. */
static int unref_bodies(struct lev_store_sqlite *s, uint64_t from, uint64_t to)
{
    sqlite3_stmt *st = s->st[LEV_ST_SHARED];
    int rc = SQLITE_OK;
    lev_sql_int(&rc, st, 1, from);
    lev_sql_int(&rc, st, 2, to);
    while (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW)
        rc = body_unref(s, (uint64_t)sqlite3_column_int64(st, 0));
    int reset = sqlite3_reset(st);
    return rc == SQLITE_DONE ? reset : rc;
}

int lev_insert_delete(struct lev_store_sqlite *s, uint64_t from, uint64_t to, uint64_t *rows_r)
{
    sqlite3_stmt *st = s->st[LEV_ST_DELETE];
    int rc = s->state.shared ? unref_bodies(s, from, to) : SQLITE_OK;
    lev_sql_int(&rc, st, 1, from);
    lev_sql_int(&rc, st, 2, to);
    if (rc == SQLITE_OK)
        rc = lev_sql_run(st);
    *rows_r = rc == SQLITE_OK ? (uint64_t)sqlite3_changes64(s->db) : 0;
    return rc;
}
