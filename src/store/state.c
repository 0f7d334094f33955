/* Queues as the writer knows them. See store_int.h.
 *
 * A hash table by queue id, open addressing with removal by shifting back. A queue is in it while
 * it has a row, or rows of it are still to be removed. */
#include "store/store_int.h"

#include "base/err.h"
#include "base/log.h"

/* ---- The table ---- */

static size_t home(const struct lev_state *t, uint32_t id)
{
    return (size_t)((id * UINT64_C(0x9e3779b97f4a7c15)) >> 32) & (t->cap - 1);
}

/* Slot of id, or the free one where it belongs. */
static size_t slot(const struct lev_state *t, uint32_t id)
{
    size_t i = home(t, id);
    while (t->slots[i] && t->slots[i]->id != id)
        i = (i + 1) & (t->cap - 1);
    return i;
}

static void grow(struct lev_state *t)
{
    struct lev_squeue **old = t->slots;
    size_t n = t->cap;
    t->cap = n ? n * 2 : 16;
    t->slots = lev_xcalloc(t->cap, sizeof(struct lev_squeue *));
    for (size_t i = 0; i < n; i++)
        if (old[i])
            t->slots[slot(t, old[i]->id)] = old[i];
    free(old);
}

static struct lev_squeue *add(struct lev_state *t, uint32_t id)
{
    if ((t->n + 1) * 4 > t->cap * 3)
        grow(t);
    struct lev_squeue *q = lev_xcalloc(1, sizeof(*q));
    q->id = id;
    q->live_row = LEV_NO_POS;
    q->first_insert = q->last_insert = LEV_NO_INSERT;
    lev_ivset_init(&q->dead);
    lev_list_init(&q->purge_node);
    t->slots[slot(t, id)] = q;
    t->n++;
    return q;
}

static void shift_back(struct lev_state *t, size_t hole)
{
    size_t mask = t->cap - 1, i = hole;
    for (;;) {
        i = (i + 1) & mask;
        if (!t->slots[i])
            break;
        if (((i - home(t, t->slots[i]->id)) & mask) >= ((i - hole) & mask)) {
            t->slots[hole] = t->slots[i];
            hole = i;
        }
    }
    t->slots[hole] = NULL;
}

struct lev_squeue *lev_state_get(struct lev_state *t, uint32_t id)
{
    if (t->last && t->last->id == id)
        return t->last;
    if (t->n == 0)
        return NULL;
    struct lev_squeue *q = t->slots[slot(t, id)];
    if (q)
        t->last = q;
    return q;
}

void lev_state_init(struct lev_state *t)
{
    *t = (struct lev_state){.next_body_id = 1};
    lev_list_init(&t->purge);
}

static void squeue_free(struct lev_squeue *q)
{
    lev_ivset_deinit(&q->dead);
    lev_list_remove(&q->purge_node);
    free(q);
}

void lev_state_deinit(struct lev_state *t)
{
    for (size_t i = 0; i < t->cap; i++)
        if (t->slots[i])
            squeue_free(t->slots[i]);
    free(t->slots);
    free(t->touched);
    free(t->inserts);
    *t = (struct lev_state){0};
}

struct lev_squeue *lev_state_make(struct lev_store_sqlite *s, uint32_t id)
{
    struct lev_squeue *q = lev_state_get(&s->state, id);
    if (q)
        return q;
    pthread_mutex_lock(&s->ids_mu);
    q = add(&s->state, id);
    pthread_mutex_unlock(&s->ids_mu);
    return q;
}

bool lev_state_forget(struct lev_store_sqlite *s, struct lev_squeue *q)
{
    struct lev_state *t = &s->state;
    if (q->live || q->garbage || q->spill_garbage || q->touched)
        return false;
    pthread_mutex_lock(&s->ids_mu);
    shift_back(t, slot(t, q->id));
    t->n--;
    pthread_mutex_unlock(&s->ids_mu);
    if (t->last == q)
        t->last = NULL;
    lev_state_count_dead(t, q, -(int64_t)q->dead_rows, 0);
    squeue_free(q);
    return true;
}

bool lev_store_queue_id_free(struct lev_store *store, uint32_t queue_id)
{
    struct lev_store_sqlite *s = LEV_CONTAINER(store, struct lev_store_sqlite, base);
    pthread_mutex_lock(&s->ids_mu);
    bool is_free = s->state.n == 0 || !s->state.slots[slot(&s->state, queue_id)];
    pthread_mutex_unlock(&s->ids_mu);
    return is_free;
}

/* ---- Lists and counts ---- */

void lev_state_touch(struct lev_state *t, struct lev_squeue *q)
{
    if (q->touched)
        return;
    q->touched = true;
    if (t->n_touched == t->cap_touched) {
        t->cap_touched = t->cap_touched ? t->cap_touched * 2 : 16;
        t->touched = lev_xrealloc(t->touched, t->cap_touched * sizeof(struct lev_squeue *));
    }
    t->touched[t->n_touched++] = q;
}

void lev_state_may_purge(struct lev_state *t, struct lev_squeue *q)
{
    if (!lev_list_linked(&q->purge_node))
        lev_list_push_back(&t->purge, &q->purge_node);
}

static uint64_t moved(uint64_t v, int64_t by)
{
    return by < 0 && (uint64_t)-by > v ? 0 : v + (uint64_t)by;
}

void lev_state_count_dead(struct lev_state *t, struct lev_squeue *q, int64_t rows, int64_t bytes)
{
    if (rows < 0) { /* removed: its share of the octets */
        if ((uint64_t)-rows >= q->dead_rows) {
            rows = -(int64_t)q->dead_rows;
            bytes = -(int64_t)q->dead_bytes;
        } else {
            bytes = -(int64_t)(q->dead_bytes / q->dead_rows * (uint64_t)-rows);
        }
    }
    q->dead_rows = moved(q->dead_rows, rows);
    q->dead_bytes = moved(q->dead_bytes, bytes);
    t->dead_rows = moved(t->dead_rows, rows);
    t->dead_bytes = moved(t->dead_bytes, bytes);
}

int lev_state_first(struct lev_store_sqlite *s, enum lev_statement st, uint64_t from, uint64_t to,
                    uint64_t *id_r)
{
    int rc = SQLITE_OK;
    *id_r = LEV_NO_POS;
    lev_sql_int(&rc, s->st[st], 1, from);
    lev_sql_int(&rc, s->st[st], 2, to);
    if (rc != SQLITE_OK)
        return rc;
    rc = sqlite3_step(s->st[st]);
    if (rc == SQLITE_ROW)
        *id_r = (uint64_t)sqlite3_column_int64(s->st[st], 0);
    int reset = sqlite3_reset(s->st[st]);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? reset : rc;
}

/* ---- Loading ---- */

/* Calls row for each row of sql. row returns false for one that cannot be. */
static int each(sqlite3 *db, const char *sql, bool (*row)(struct lev_state *t, sqlite3_stmt *st),
                struct lev_state *t)
{
    sqlite3_stmt *st;
    int rc = sqlite3_prepare_v2(db, sql, -1, &st, NULL);
    if (rc != SQLITE_OK)
        return rc;
    while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
        if (!row(t, st)) {
            lev_log_error("store: row that cannot be, from: %s", sql);
            (void)sqlite3_finalize(st);
            return SQLITE_CORRUPT;
        }
    }
    int end = sqlite3_finalize(st);
    return rc == SQLITE_DONE ? end : rc;
}

static bool in_range(int64_t v, uint64_t max)
{
    return v >= 0 && (uint64_t)v <= max;
}

static bool load_queue(struct lev_state *t, sqlite3_stmt *st)
{
    int64_t v[7];
    for (int i = 0; i < 7; i++)
        v[i] = sqlite3_column_int64(st, i);
    if (v[0] < 1 || !in_range(v[0], LEV_QUEUE_ID_MAX) || !in_range(v[1], LEV_POSITION_MAX + 1) ||
        !in_range(v[2], LEV_POSITION_MAX + 1) || !in_range(v[3], LEV_POSITION_MAX + 1) ||
        v[4] < 0 || v[5] < 0 || !in_range(v[6], LEV_QUEUE_LEVEL_MAX))
        return false;
    struct lev_squeue *q = add(t, (uint32_t)v[0]);
    q->live = true;
    q->head = (uint64_t)v[1];
    q->next_pos = (uint64_t)v[2];
    q->delivered_to = (uint64_t)v[3];
    q->count = (uint64_t)v[4];
    q->bytes = (uint64_t)v[5];
    return true;
}

/* Any row is one too many. */
static bool load_orphan(struct lev_state *t, sqlite3_stmt *st)
{
    (void)t;
    (void)st;
    return false;
}

static bool load_dead(struct lev_state *t, sqlite3_stmt *st)
{
    int64_t id = sqlite3_column_int64(st, 0), hi = sqlite3_column_int64(st, 1);
    if (id < 0 || !in_range(hi, LEV_POSITION_MAX + 1))
        return false;
    uint64_t lo = LEV_ID_POS(id), above = 0, last_lo, last_hi;
    struct lev_squeue *q = lev_state_get(t, (uint32_t)(id >> 40));
    if (!q || !q->live)
        return false;
    if (lev_ivset_find(&q->dead, lo, &last_lo, &last_hi))
        above = last_hi;
    if (lo < q->head || lo >= (uint64_t)hi || above > lo)
        return false;
    lev_ivset_load(&q->dead, lo, (uint64_t)hi);
    return true;
}

static bool load_garbage(struct lev_state *t, sqlite3_stmt *st)
{
    int64_t id = sqlite3_column_int64(st, 0);
    if (!in_range(id, LEV_QUEUE_ID_MAX) || lev_state_get(t, (uint32_t)id))
        return false;
    add(t, (uint32_t)id)->garbage = true;
    return true;
}

/* After queues and garbage. */
static bool load_failures(struct lev_state *t, sqlite3_stmt *st)
{
    int64_t id = sqlite3_column_int64(st, 0);
    struct lev_squeue *q = in_range(id, LEV_QUEUE_ID_MAX) ? lev_state_get(t, (uint32_t)id) : NULL;
    if (q)
        q->failures = true;
    return q != NULL;
}

static bool load_spill_garbage(struct lev_state *t, sqlite3_stmt *st)
{
    int64_t id = sqlite3_column_int64(st, 0);
    if (!in_range(id, LEV_QUEUE_ID_MAX))
        return false;
    struct lev_squeue *q = lev_state_get(t, (uint32_t)id);
    (q ? q : add(t, (uint32_t)id))->spill_garbage = t->spill_garbage = true;
    return true;
}

static int load(sqlite3 *db, struct lev_state *t)
{
    int64_t body = 0, spilled = 0;
    int rc = each(db, "SELECT queue_id,head,next_pos,delivered_to,count,bytes,level FROM queue",
                  load_queue, t);
    if (rc == SQLITE_OK)
        rc = each(db,
                  "SELECT l.queue_id FROM queue l LEFT JOIN queue q ON q.name=l.name AND q.level=0"
                  " WHERE l.level>0 AND q.queue_id IS NULL",
                  load_orphan, t);
    if (rc == SQLITE_OK)
        rc = each(db, "SELECT id,hi FROM dead ORDER BY id", load_dead, t);
    if (rc == SQLITE_OK)
        rc = each(db, "SELECT queue_id FROM garbage", load_garbage, t);
    if (rc == SQLITE_OK)
        rc = each(db, "SELECT DISTINCT id>>40 FROM failures", load_failures, t);
    if (rc == SQLITE_OK)
        rc = each(db, "SELECT DISTINCT id>>40 FROM spill_garbage", load_spill_garbage, t);
    if (rc == SQLITE_OK)
        rc = lev_sql_get_int(db, "SELECT max(id) FROM body_refs", &body);
    if (rc == SQLITE_OK)
        rc = lev_sql_get_int(db, "SELECT 1 FROM spill LIMIT 1", &spilled);
    t->next_body_id = (uint64_t)body + 1;
    t->shared = body != 0;
    t->spilled = spilled != 0;
    return rc;
}

static bool has_dead(const struct lev_squeue *q)
{
    return q->head > 0 || !lev_ivset_empty(&q->dead) || q->garbage || q->spill_garbage;
}

int lev_state_load(struct lev_store_sqlite *s)
{
    struct lev_state fresh;
    lev_state_init(&fresh);
    s->reload = true;
    int rc = load(s->db, &fresh);
    if (rc != SQLITE_OK) {
        lev_state_deinit(&fresh);
        return rc;
    }
    struct lev_state old = s->state;
    lev_list_remove(&s->state.purge); /* leaves the old queues a ring of their own */
    pthread_mutex_lock(&s->ids_mu);
    s->state = fresh;
    pthread_mutex_unlock(&s->ids_mu);
    lev_list_init(&s->state.purge);
    lev_state_deinit(&old);
    for (size_t i = 0; i < s->state.cap; i++)
        if (s->state.slots[i] && has_dead(s->state.slots[i]))
            lev_state_may_purge(&s->state, s->state.slots[i]);
    s->reload = false;
    return SQLITE_OK;
}
