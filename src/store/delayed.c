/* Delayed messages: tables delayed and delayed_exchange. See store_int.h and schema.h.
 *
 * Rows are written in the order of the operations; the counts per exchange are summed up while
 * operations of one exchange follow one another, and written when another's turn comes or the batch
 * ends. */
#include "store/store_int.h"

#include "base/log.h"
#include "broker/keys.h"

/* ---- The writer's half ---- */

int lev_delayed_flush(struct lev_store_sqlite *s)
{
    struct lev_delay_sum *sum = &s->delays;
    struct lev_bytes name = lev_bytes(sum->name, sum->len);
    sqlite3_stmt *st = s->st[LEV_ST_DELAY_COUNT], *none = s->st[LEV_ST_DELAY_NONE];
    int rc = SQLITE_OK;
    if (sum->count != 0 || sum->last_seq != 0) {
        lev_sql_text(&rc, st, 1, name);
        rc |= sqlite3_bind_int64(st, 2, sum->count);
        lev_sql_int(&rc, st, 3, sum->last_seq);
        rc = rc == SQLITE_OK ? lev_sql_run(st) : rc;
    }
    if (rc == SQLITE_OK && sum->count < 0) {
        lev_sql_text(&rc, none, 1, name);
        rc = rc == SQLITE_OK ? lev_sql_run(none) : rc;
    }
    sum->count = 0;
    sum->last_seq = 0;
    return rc;
}

/* Makes the sum that of this exchange. */
static int sum_for(struct lev_store_sqlite *s, struct lev_bytes exchange)
{
    struct lev_delay_sum *sum = &s->delays;
    if (lev_bytes_eq(lev_bytes(sum->name, sum->len), exchange))
        return SQLITE_OK;
    int rc = lev_delayed_flush(s);
    sum->len = (uint8_t)exchange.len;
    if (exchange.len)
        memcpy(sum->name, exchange.ptr, exchange.len);
    return rc;
}

bool lev_delayed_valid(const struct lev_delayed *d)
{
    return d->exchange.len <= UINT8_MAX && d->due_ms <= INT64_MAX && d->seq <= INT64_MAX;
}

int lev_delayed_put(struct lev_store_sqlite *s, const struct lev_delayed *d)
{
    sqlite3_stmt *st = s->st[LEV_ST_DELAY_ADD];
    const struct lev_msg *m = d->msg;
    int rc = sum_for(s, d->exchange);
    if (rc != SQLITE_OK)
        return rc;
    lev_sql_int(&rc, st, 1, d->due_ms);
    lev_sql_int(&rc, st, 2, d->seq);
    lev_sql_text(&rc, st, 3, d->exchange);
    lev_sql_blob(&rc, st, 4, d->keys);
    lev_sql_int(&rc, st, 5, lev_parts_flags(m));
    if (m->expiration_ms == UINT64_MAX)
        rc |= sqlite3_bind_null(st, 6);
    else
        lev_sql_int(&rc, st, 6, m->expiration_ms);
    lev_sql_text(&rc, st, 7, lev_msg_exchange(m));
    lev_sql_text(&rc, st, 8, lev_msg_key(m));
    lev_sql_blob(&rc, st, 9, lev_parts_props(m));
    lev_sql_blob(&rc, st, 10, lev_msg_body(m));
    s->delays.count++;
    if (d->seq > s->delays.last_seq)
        s->delays.last_seq = d->seq;
    return rc == SQLITE_OK ? lev_sql_run(st) : rc;
}

int lev_delayed_remove(struct lev_store_sqlite *s, const struct lev_delayed *d)
{
    sqlite3_stmt *st = s->st[LEV_ST_DELAY_DONE];
    int rc = sum_for(s, d->exchange);
    lev_sql_int(&rc, st, 1, d->due_ms);
    lev_sql_int(&rc, st, 2, d->seq);
    if (rc == SQLITE_OK)
        rc = lev_sql_run(st);
    if (rc == SQLITE_OK)
        s->delays.count -= sqlite3_changes64(s->db);
    return rc;
}

/* ---- The reader's half ---- */

static bool row_of(sqlite3_stmt *st, struct lev_parts *p, struct lev_bytes *via,
                   struct lev_bytes *keys)
{
    return lev_parts_get(st, p) && sqlite3_column_type(st, LEV_COL_ID) == SQLITE_INTEGER &&
           sqlite3_column_int64(st, LEV_COL_ID) >= 0 &&
           sqlite3_column_type(st, LEV_COL_SEQ) == SQLITE_INTEGER &&
           sqlite3_column_int64(st, LEV_COL_SEQ) >= 0 &&
           lev_parts_octets(sqlite3_column_value(st, LEV_COL_VIA), UINT8_MAX, via) &&
           lev_parts_octets(sqlite3_column_value(st, LEV_COL_KEYS), UINT32_MAX, keys) &&
           lev_keys_valid(*keys);
}

static int add(struct lev_read *r, size_t *cap, sqlite3_stmt *st, const struct lev_parts *p,
               struct lev_bytes via, struct lev_bytes keys)
{
    struct lev_msg *m = lev_parts_msg(p);
    if (!m)
        return SQLITE_NOMEM;
    if (r->n_late == *cap) {
        *cap = *cap ? *cap * 2 : 64;
        r->late = lev_xrealloc(r->late, *cap * sizeof(struct lev_delayed *));
    }
    r->late[r->n_late++] =
        lev_delayed_new((uint64_t)sqlite3_column_int64(st, LEV_COL_ID),
                        (uint64_t)sqlite3_column_int64(st, LEV_COL_SEQ), m, via, keys);
    lev_msg_unref(&m);
    return SQLITE_OK;
}

/* A row that cannot be is left out: it would stand before all others for ever. */
static bool usable(sqlite3_stmt *st, struct lev_parts *p, struct lev_bytes *via,
                   struct lev_bytes *keys)
{
    if (row_of(st, p, via, keys))
        return true;
    lev_log_error("store: a delayed message due at %lld cannot be read; it is left out",
                  (long long)sqlite3_column_int64(st, LEV_COL_ID));
    return false;
}

int lev_delayed_read(sqlite3_stmt *st, struct lev_read *r)
{
    size_t bytes = 0, cap = 0;
    int rc;
    while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
        struct lev_parts p = {0};
        struct lev_bytes via, keys;
        if (!usable(st, &p, &via, &keys))
            continue;
        bytes += lev_parts_size(&p);
        if (r->n_late && (r->n_late >= r->max_items || bytes > r->max_bytes))
            return SQLITE_OK;
        rc = add(r, &cap, st, &p, via, keys);
        if (rc != SQLITE_OK)
            return rc;
    }
    r->exhausted = rc == SQLITE_DONE;
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}
