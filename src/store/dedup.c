/* Ids that must not come twice: table dedup. See store_int.h and schema.h. */
#include "store/store_int.h"

static void bind_owner(int *rc, sqlite3_stmt *st, uint32_t queue_id, struct lev_bytes exchange)
{
    if (queue_id)
        lev_sql_int(rc, st, 1, queue_id);
    else
        lev_sql_text(rc, st, 1, exchange);
}

int lev_dedup_put(struct lev_store_sqlite *s, const struct lev_dedup_def *d)
{
    sqlite3_stmt *st = s->st[LEV_ST_DEDUP_ADD];
    int rc = SQLITE_OK;
    bind_owner(&rc, st, d->queue_id, d->exchange);
    lev_sql_blob(&rc, st, 2, d->id);
    lev_sql_int(&rc, st, 3, d->place);
    lev_sql_int(&rc, st, 4, d->expires_at_ms);
    return rc == SQLITE_OK ? lev_sql_run(st) : rc;
}

int lev_dedup_remove(struct lev_store_sqlite *s, const struct lev_dedup_def *d)
{
    sqlite3_stmt *st = s->st[LEV_ST_DEDUP_DROP];
    int rc = SQLITE_OK;
    bind_owner(&rc, st, d->queue_id, d->exchange);
    lev_sql_blob(&rc, st, 2, d->id);
    return rc == SQLITE_OK ? lev_sql_run(st) : rc;
}

int lev_dedup_remove_all(struct lev_store_sqlite *s, uint32_t queue_id, struct lev_bytes exchange)
{
    sqlite3_stmt *st = s->st[LEV_ST_DEDUP_CLEAR];
    int rc = SQLITE_OK;
    bind_owner(&rc, st, queue_id, exchange);
    return rc == SQLITE_OK ? lev_sql_run(st) : rc;
}
