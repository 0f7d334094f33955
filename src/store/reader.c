/* The reader: serves the read requests in order, from its own connection. See store_int.h.
 *
 * Each request is one read transaction: head, dead ranges and rows come from one snapshot. Rows of
 * message and spill are merged by position. A row that cannot be ends the request with
 * LEV_ECORRUPT; the rows before it are given. Rows come from a file that anybody may have written:
 * nothing in them is trusted.
 *
 * Thread: its own, but for lev_reader_read (any), and new, start, free (the opener's). */
#include "store/store_int.h"

#include <stdio.h>

#include "base/err.h"
#include "base/log.h"

#define ROWS(table)                                                                                \
    "SELECT id,flags,expires,expiration,body_id,exchange,routing_key,props,body FROM " table       \
    " WHERE id BETWEEN ?1 AND ?2 ORDER BY id"

// clang-format off
#define READER_STATEMENTS(X)                                                                       \
    X(BEGIN, "BEGIN")                                                                              \
    X(END, "COMMIT")                                                                               \
    X(HEAD, "SELECT head FROM queue WHERE queue_id=?1")                                            \
    X(MESSAGE, ROWS("message"))                                                                    \
    X(SPILL, ROWS("spill"))                                                                        \
    X(DEAD, "SELECT id,hi FROM dead WHERE id BETWEEN"                                              \
        " coalesce((SELECT max(id) FROM dead WHERE id BETWEEN ?1 AND ?2),?2) AND ?3 ORDER BY id")  \
    X(SPILL_DEAD, "SELECT max(hi) FROM spill_garbage WHERE id BETWEEN ?1 AND ?2")                  \
    X(FAILURES, "SELECT id,count FROM failures WHERE id BETWEEN ?1 AND ?2 ORDER BY id")            \
    X(BODY, "SELECT data FROM body WHERE id=?1")                                                   \
    X(DELAYED, LEV_DELAYED_ROWS)
// clang-format on

enum {
#define X(name, sql) RD_##name,
    READER_STATEMENTS(X)
#undef X
        RD_COUNT
};

/* Dead rows stepped over one by one; a longer dead range is jumped over by a new seek. */
enum { JUMP_MIN = 32 };

struct lev_reader {
    struct lev_store_sqlite *s;
    sqlite3 *db;
    sqlite3_stmt *st[RD_COUNT];
    pthread_mutex_t mu;
    pthread_cond_t cond;
    struct lev_read **queue; /* ring, under mu */
    size_t first, n, cap;
    bool stop; /* under mu */
    bool started;
    pthread_t thread;
};

/* One table's rows of a request. */
struct cursor {
    sqlite3_stmt *st;
    uint32_t queue_id;
    uint64_t to;
    bool valid;
    uint64_t pos;
    uint64_t least; /* rows before it cannot come any more */
};

/* A request being served. */
struct serving {
    struct lev_reader *rd;
    struct lev_read *r;
    struct cursor rows, spilled, failures;
    uint64_t dead_lo, dead_hi; /* the current dead range; LEV_NO_POS: no more */
    size_t bytes, cap;
};

/* ---- Cursors ---- */

static int cursor_next(struct cursor *c)
{
    int rc = sqlite3_step(c->st);
    c->valid = rc == SQLITE_ROW;
    if (c->valid) {
        uint64_t id = (uint64_t)sqlite3_column_int64(c->st, LEV_COL_ID);
        c->pos = LEV_ID_POS(id);
        if (id >> 40 != c->queue_id || c->pos < c->least || c->pos >= c->to)
            return SQLITE_CORRUPT; /* a damaged page can give any row */
        c->least = c->pos + 1;
    }
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int cursor_seek(struct cursor *c, uint64_t pos)
{
    int rc = sqlite3_reset(c->st);
    c->valid = false;
    c->least = pos;
    if (rc != SQLITE_OK || pos >= c->to)
        return rc;
    lev_sql_int(&rc, c->st, 1, LEV_ID(c->queue_id, pos));
    lev_sql_int(&rc, c->st, 2, LEV_ID(c->queue_id, c->to - 1));
    return rc == SQLITE_OK ? cursor_next(c) : rc;
}

static int dead_next(struct serving *v)
{
    sqlite3_stmt *st = v->rd->st[RD_DEAD];
    int rc = sqlite3_step(st);
    v->dead_lo = v->dead_hi = LEV_NO_POS;
    if (rc == SQLITE_ROW) {
        v->dead_lo = LEV_ID_POS(sqlite3_column_int64(st, 0));
        v->dead_hi = (uint64_t)sqlite3_column_int64(st, 1);
        return SQLITE_OK;
    }
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int dead_seek(struct serving *v)
{
    sqlite3_stmt *st = v->rd->st[RD_DEAD];
    int rc = SQLITE_OK;
    lev_sql_int(&rc, st, 1, LEV_ID(v->r->queue_id, 0));
    lev_sql_int(&rc, st, 2, LEV_ID(v->r->queue_id, v->r->from));
    lev_sql_int(&rc, st, 3, LEV_ID(v->r->queue_id, v->r->to - 1));
    return rc == SQLITE_OK ? dead_next(v) : rc;
}

/* A queue without a row (deleted, or transient) has no live rows: its head is behind them all. */
static int read_head(struct serving *v, uint64_t *head_r)
{
    sqlite3_stmt *st = v->rd->st[RD_HEAD];
    int rc = SQLITE_OK;
    lev_sql_int(&rc, st, 1, v->r->queue_id);
    if (rc != SQLITE_OK)
        return rc;
    rc = sqlite3_step(st);
    *head_r = rc == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(st, 0) : LEV_POSITION_MAX + 1;
    int reset = sqlite3_reset(st);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? reset : rc;
}

/* ---- Rows ---- */

/* Points p->body at the shared body; the statement stays open for it. */
static int shared_body(struct lev_reader *rd, struct lev_parts *p)
{
    sqlite3_stmt *st = rd->st[RD_BODY];
    int rc = SQLITE_OK;
    lev_sql_int(&rc, st, 1, p->body_id);
    if (rc != SQLITE_OK)
        return rc;
    rc = sqlite3_step(st);
    if (rc == SQLITE_ROW && lev_parts_octets(sqlite3_column_value(st, 0), UINT32_MAX, &p->body))
        return SQLITE_OK;
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_CORRUPT : rc;
}

static bool room_for_item(struct serving *v)
{
    if (v->r->n_items < v->cap)
        return true;
    size_t cap = v->cap ? v->cap * 2 : 64;
    struct lev_read_item *items = realloc(v->r->items, cap * sizeof(*items));
    if (!items)
        return false;
    v->r->items = items;
    v->cap = cap;
    return true;
}

/* Failed deliveries of the row of message under its cursor. */
static int read_count(struct serving *v, uint16_t *count_r)
{
    struct cursor *c = &v->failures;
    int rc = SQLITE_OK;
    *count_r = 0;
    while (rc == SQLITE_OK && c->valid && c->pos < v->rows.pos)
        rc = cursor_next(c);
    if (rc != SQLITE_OK || !c->valid || c->pos != v->rows.pos)
        return rc;
    int64_t count = sqlite3_column_int64(c->st, 1);
    if (count < 0 || count > UINT16_MAX)
        return SQLITE_CORRUPT;
    *count_r = (uint16_t)count;
    return SQLITE_OK;
}

static int add_item(struct serving *v, const struct cursor *c, const struct lev_parts *p)
{
    struct lev_read_item item = {
        .pos = c->pos, .expires_at_ms = p->expires, .spilled = c == &v->spilled};
    int rc = item.spilled ? SQLITE_OK : read_count(v, &item.count);
    if (rc != SQLITE_OK)
        return rc;
    item.msg = room_for_item(v) ? lev_parts_msg(p) : NULL;
    if (!item.msg)
        return SQLITE_NOMEM;
    v->r->items[v->r->n_items++] = item;
    return SQLITE_OK;
}

/* Takes the cursor's row. *full_r: it does not fit any more. */
static int take_row(struct serving *v, const struct cursor *c, bool *full_r)
{
    struct lev_parts p = {0};
    const struct lev_read *r = v->r;
    int rc = lev_parts_get(c->st, &p) ? SQLITE_OK : SQLITE_CORRUPT;
    if (rc != SQLITE_OK && sqlite3_errcode(v->rd->db) == SQLITE_NOMEM)
        return SQLITE_NOMEM;
    if (rc == SQLITE_OK && p.body_id != 0)
        rc = shared_body(v->rd, &p);
    if (rc == SQLITE_OK) {
        v->bytes += lev_parts_size(&p);
        *full_r = r->n_items > 0 && (r->n_items >= r->max_items || v->bytes > r->max_bytes);
        if (!*full_r)
            rc = add_item(v, c, &p);
    }
    if (p.body_id != 0)
        (void)sqlite3_reset(v->rd->st[RD_BODY]); /* what step said has been seen */
    return rc;
}

/* ---- Requests ---- */

/* Is the row of message under the cursor dead? Then the cursor is moved on. */
static int skip_dead(struct serving *v, bool *skipped_r)
{
    struct cursor *c = &v->rows;
    int rc = SQLITE_OK;
    while (rc == SQLITE_OK && v->dead_hi != LEV_NO_POS && v->dead_hi <= c->pos)
        rc = dead_next(v);
    *skipped_r = rc == SQLITE_OK && v->dead_lo != LEV_NO_POS && v->dead_lo <= c->pos;
    if (!*skipped_r)
        return rc;
    return v->dead_hi - c->pos > JUMP_MIN ? cursor_seek(c, v->dead_hi) : cursor_next(c);
}

static int skip_dead_spilled(struct serving *v, bool *skipped_r)
{
    struct cursor *c = &v->spilled;
    sqlite3_stmt *st = v->rd->st[RD_SPILL_DEAD];
    int rc = SQLITE_OK;
    *skipped_r = false;
    lev_sql_int(&rc, st, 1, LEV_ID(c->queue_id, 0));
    lev_sql_int(&rc, st, 2, LEV_ID(c->queue_id, c->pos));
    if (rc != SQLITE_OK)
        return rc;
    rc = sqlite3_step(st);
    uint64_t hi = rc == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(st, 0) : 0;
    int reset = sqlite3_reset(st);
    if (rc != SQLITE_ROW || reset != SQLITE_OK)
        return rc == SQLITE_ROW || rc == SQLITE_DONE ? reset : rc;
    *skipped_r = hi > c->pos;
    return *skipped_r ? cursor_seek(c, hi) : SQLITE_OK;
}

/* The cursor with the next row, or NULL. */
static struct cursor *lower(struct serving *v)
{
    if (!v->rows.valid)
        return v->spilled.valid ? &v->spilled : NULL;
    return v->spilled.valid && v->spilled.pos < v->rows.pos ? &v->spilled : &v->rows;
}

static int open_cursors(struct serving *v)
{
    struct lev_read *r = v->r;
    uint64_t head = 0;
    int rc = read_head(v, &head);
    v->rows = (struct cursor){.st = v->rd->st[RD_MESSAGE], .queue_id = r->queue_id, .to = r->to};
    v->spilled = (struct cursor){.st = v->rd->st[RD_SPILL], .queue_id = r->queue_id, .to = r->to};
    v->failures =
        (struct cursor){.st = v->rd->st[RD_FAILURES], .queue_id = r->queue_id, .to = r->to};
    if (rc == SQLITE_OK)
        rc = dead_seek(v);
    if (rc == SQLITE_OK)
        rc = cursor_seek(&v->rows, r->from > head ? r->from : head);
    if (rc == SQLITE_OK && v->rows.valid)
        rc = cursor_seek(&v->failures, v->rows.pos);
    return rc == SQLITE_OK ? cursor_seek(&v->spilled, r->from) : rc;
}

static int serve_rows(struct serving *v)
{
    struct lev_read *r = v->r;
    int rc = open_cursors(v);
    struct cursor *c;
    while (rc == SQLITE_OK && (c = lower(v)) != NULL) {
        bool skip, full = false;
        r->reached = c->pos;
        rc = c == &v->rows ? skip_dead(v, &skip) : skip_dead_spilled(v, &skip);
        if (rc != SQLITE_OK || skip)
            continue;
        rc = take_row(v, c, &full);
        if (full || rc != SQLITE_OK)
            return rc;
        r->reached = c->pos + 1;
        rc = cursor_next(c);
    }
    if (rc == SQLITE_OK)
        r->reached = r->to;
    return rc;
}

static int serve_queue(struct lev_reader *rd, struct lev_read *r)
{
    struct serving v = {.rd = rd, .r = r};
    int rc = lev_sql_run(rd->st[RD_BEGIN]);
    if (rc == SQLITE_OK)
        rc = serve_rows(&v);
    if (rc != SQLITE_OK && rc != SQLITE_NOMEM)
        lev_log_error("store %s: cannot read queue %u at position %llu: %s", rd->s->path,
                      r->queue_id, (unsigned long long)r->reached, sqlite3_errstr(rc));
    return rc;
}

static int serve_delayed(struct lev_reader *rd, struct lev_read *r)
{
    sqlite3_stmt *st = rd->st[RD_DELAYED];
    int rc = SQLITE_OK;
    lev_sql_int(&rc, st, 1, r->from_due);
    lev_sql_int(&rc, st, 2, r->from);
    if (rc == SQLITE_OK)
        rc = lev_delayed_read(st, r);
    if (rc != SQLITE_OK && rc != SQLITE_NOMEM)
        lev_log_error("store %s: cannot read delayed messages: %s", rd->s->path,
                      sqlite3_errstr(rc));
    return rc;
}

static void serve(struct lev_reader *rd, struct lev_read *r)
{
    r->rc = 0;
    r->items = NULL;
    r->n_items = 0;
    r->reached = r->from;
    if (r->to > LEV_POSITION_MAX + 1)
        r->to = LEV_POSITION_MAX + 1;
    if (!r->delayed && (r->from >= r->to || r->queue_id > LEV_QUEUE_ID_MAX)) {
        r->reached = r->to;
        return;
    }
    int rc = r->delayed ? serve_delayed(rd, r) : serve_queue(rd, r);
    for (int i = RD_HEAD; i < RD_COUNT; i++)
        (void)sqlite3_reset(rd->st[i]); /* repeats the error of the last step, seen above */
    if (!sqlite3_get_autocommit(rd->db)) {
        int end = lev_sql_run(rd->st[RD_END]);
        rc = rc == SQLITE_OK ? end : rc;
    }
    r->rc = lev_sql_err(rc);
    if (r->rc != 0 && r->rc != LEV_ECORRUPT && r->rc != LEV_ENOMEM)
        r->rc = LEV_EIO;
    LEV_STAT_ADD(rd->s, reads, 1);
    LEV_STAT_ADD(rd->s, read_items, r->n_items + r->n_late);
}

/* ---- The thread ---- */

/* The next request; NULL: stop. */
static struct lev_read *next_request_worker(struct lev_reader *rd)
{
    struct lev_read *r = NULL;
    pthread_mutex_lock(&rd->mu);
    while (rd->n == 0 && !rd->stop)
        pthread_cond_wait(&rd->cond, &rd->mu);
    if (rd->n) {
        r = rd->queue[rd->first];
        rd->first = (rd->first + 1) & (rd->cap - 1);
        rd->n--;
    }
    pthread_mutex_unlock(&rd->mu);
    return r;
}

static void *reader_main(void *arg)
{
    struct lev_reader *rd = arg;
    struct lev_read *r;
    while ((r = next_request_worker(rd)) != NULL) {
        pthread_rwlock_rdlock(&rd->s->gate);
        serve(rd, r);
        pthread_rwlock_unlock(&rd->s->gate);
        rd->s->client->loaded(rd->s->ctx, r);
    }
    return NULL;
}

static void grow_queue(struct lev_reader *rd)
{
    size_t cap = rd->cap ? rd->cap * 2 : 16;
    struct lev_read **q = lev_xcalloc(cap, sizeof(struct lev_read *));
    for (size_t i = 0; i < rd->n; i++)
        q[i] = rd->queue[(rd->first + i) & (rd->cap - 1)];
    free(rd->queue);
    rd->queue = q;
    rd->cap = cap;
    rd->first = 0;
}

void lev_reader_read(struct lev_store_sqlite *s, struct lev_read *r)
{
    struct lev_reader *rd = s->reader;
    pthread_mutex_lock(&rd->mu);
    if (rd->n == rd->cap)
        grow_queue(rd);
    rd->queue[(rd->first + rd->n) & (rd->cap - 1)] = r;
    rd->n++;
    pthread_cond_signal(&rd->cond);
    pthread_mutex_unlock(&rd->mu);
}

static int prepare(struct lev_reader *rd)
{
    static const char *const sql[] = {
#define X(name, text) text,
        READER_STATEMENTS(X)
#undef X
    };
    char pragmas[96];
    snprintf(pragmas, sizeof(pragmas), "PRAGMA query_only=ON; PRAGMA cache_size=-%u",
             rd->s->options.cache_bytes / 1024 / 4);
    int rc = lev_sql_exec(rd->db, pragmas);
    for (size_t i = 0; i < RD_COUNT && rc == SQLITE_OK; i++)
        rc = lev_sql_prepare(rd->db, sql[i], &rd->st[i]);
    return rc;
}

int lev_reader_new(struct lev_store_sqlite *s, char *errbuf)
{
    struct lev_reader *rd = lev_xcalloc(1, sizeof(*rd));
    s->reader = rd;
    rd->s = s;
    pthread_mutex_init(&rd->mu, NULL);
    pthread_cond_init(&rd->cond, NULL);
    int rc = lev_sql_open(s->path, s->options.vfs, false, &rd->db, errbuf, LEV_STORE_ERR_MAX);
    if (rc != SQLITE_OK)
        return lev_sql_err(rc);
    rc = prepare(rd);
    if (rc != SQLITE_OK)
        snprintf(errbuf, LEV_STORE_ERR_MAX, "cannot open %s: %s", s->path, sqlite3_errmsg(rd->db));
    return lev_sql_err(rc);
}

int lev_reader_start(struct lev_store_sqlite *s)
{
    if (pthread_create(&s->reader->thread, NULL, reader_main, s->reader) != 0)
        return LEV_ENOMEM;
    s->reader->started = true;
    (void)pthread_setname_np(s->reader->thread, "store-reader");
    return 0;
}

void lev_reader_free(struct lev_store_sqlite *s)
{
    struct lev_reader *rd = s->reader;
    if (!rd)
        return;
    s->reader = NULL;
    if (rd->started) {
        pthread_mutex_lock(&rd->mu);
        rd->stop = true;
        pthread_cond_signal(&rd->cond);
        pthread_mutex_unlock(&rd->mu);
        pthread_join(rd->thread, NULL);
    }
    while (rd->n) { /* never started */
        lev_read_free(&rd->queue[rd->first]);
        rd->first = (rd->first + 1) & (rd->cap - 1);
        rd->n--;
    }
    for (size_t i = 0; i < RD_COUNT; i++)
        (void)sqlite3_finalize(rd->st[i]);
    if (rd->db)
        (void)sqlite3_close(rd->db);
    free(rd->queue);
    pthread_mutex_destroy(&rd->mu);
    pthread_cond_destroy(&rd->cond);
    free(rd);
}
