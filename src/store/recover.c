/* Recovery: definitions and counters are read back, messages are not. See store_sqlite.h. */
#include "store/store_int.h"

#include "base/log.h"

struct recover_ctx {
    const struct lev_recovery *recovery;
    void *ctx;
};

static void recover_exchange(const struct recover_ctx *c, sqlite3_stmt *st)
{
    struct lev_exchange_def d = {
        .name = lev_sql_bytes(st, 0),
        .type = lev_sql_bytes(st, 1),
        .durable = sqlite3_column_int(st, 2) != 0,
        .auto_delete = sqlite3_column_int(st, 3) != 0,
        .internal = sqlite3_column_int(st, 4) != 0,
        .arguments = lev_sql_bytes(st, 5),
    };
    c->recovery->exchange(c->ctx, &d);
}

static void recover_queue(const struct recover_ctx *c, sqlite3_stmt *st)
{
    struct lev_queue_def d = {
        .queue_id = (uint32_t)sqlite3_column_int64(st, 0),
        .durable = sqlite3_column_int(st, 1) != 0,
        .auto_delete = sqlite3_column_int(st, 2) != 0,
        .name = lev_sql_bytes(st, 3),
        .arguments = lev_sql_bytes(st, 4),
        .level = (uint32_t)sqlite3_column_int64(st, 10),
    };
    struct lev_queue_state q = {
        .head = (uint64_t)sqlite3_column_int64(st, 5),
        .next_pos = (uint64_t)sqlite3_column_int64(st, 6),
        .delivered_to = (uint64_t)sqlite3_column_int64(st, 7),
        .count = (uint64_t)sqlite3_column_int64(st, 8),
        .bytes = (uint64_t)sqlite3_column_int64(st, 9),
    };
    c->recovery->queue(c->ctx, &d, &q);
}

static void recover_binding(const struct recover_ctx *c, sqlite3_stmt *st)
{
    struct lev_binding_def d = {
        .source = lev_sql_bytes(st, 0),
        .to_queue = sqlite3_column_int(st, 1) != 0,
        .destination = lev_sql_bytes(st, 2),
        .routing_key = lev_sql_bytes(st, 3),
        .arguments = lev_sql_bytes(st, 4),
    };
    c->recovery->binding(c->ctx, &d);
}

static void recover_delayed(const struct recover_ctx *c, sqlite3_stmt *st)
{
    struct lev_delay_state d = {
        .exchange = lev_sql_bytes(st, 0),
        .count = (uint64_t)sqlite3_column_int64(st, 1),
        .last_seq = (uint64_t)sqlite3_column_int64(st, 2),
    };
    if (c->recovery->delayed)
        c->recovery->delayed(c->ctx, &d);
}

static void recover_dedup(const struct recover_ctx *c, sqlite3_stmt *st)
{
    bool of_queue = sqlite3_column_type(st, 0) == SQLITE_INTEGER;
    struct lev_dedup_def d = {
        .queue_id = of_queue ? (uint32_t)sqlite3_column_int64(st, 0) : 0,
        .exchange = of_queue ? LEV_EMPTY : lev_sql_bytes(st, 0),
        .id = lev_sql_bytes(st, 1),
        .place = (uint64_t)sqlite3_column_int64(st, 2),
        .expires_at_ms = (uint64_t)sqlite3_column_int64(st, 3),
    };
    if (c->recovery->dedup)
        c->recovery->dedup(c->ctx, &d);
}

static int recover_each(sqlite3 *db, const char *sql, const struct recover_ctx *c,
                        void (*row)(const struct recover_ctx *c, sqlite3_stmt *st))
{
    sqlite3_stmt *st;
    int rc = sqlite3_prepare_v2(db, sql, -1, &st, NULL);
    if (rc != SQLITE_OK)
        return rc;
    while ((rc = sqlite3_step(st)) == SQLITE_ROW)
        row(c, st);
    int end = sqlite3_finalize(st);
    return rc == SQLITE_DONE ? end : rc;
}

/* Deleted queues with rows still to be removed. */
static void recover_used_ids(const struct lev_store_sqlite *s, const struct recover_ctx *c)
{
    const struct lev_state *t = &s->state;
    for (size_t i = 0; c->recovery->used_id && i < t->cap; i++)
        if (t->slots[i] && !t->slots[i]->live)
            c->recovery->used_id(c->ctx, t->slots[i]->id);
}

int lev_store_recover(struct lev_store *store, const struct lev_recovery *recovery, void *ctx)
{
    struct lev_store_sqlite *s = LEV_CONTAINER(store, struct lev_store_sqlite, base);
    struct recover_ctx c = {recovery, ctx};
    int rc =
        recover_each(s->db, "SELECT name,type,durable,auto_delete,internal,arguments FROM exchange",
                     &c, recover_exchange);
    if (rc == SQLITE_OK)
        rc = recover_each(s->db,
                          "SELECT queue_id,durable,auto_delete,name,arguments,head,next_pos,"
                          "delivered_to,count,bytes,level FROM queue ORDER BY level, queue_id",
                          &c, recover_queue);
    if (rc == SQLITE_OK)
        rc = recover_each(s->db,
                          "SELECT source,to_queue,destination,routing_key,arguments FROM binding",
                          &c, recover_binding);
    if (rc == SQLITE_OK)
        rc = recover_each(s->db, "SELECT name,count,last_seq FROM delayed_exchange WHERE count>0",
                          &c, recover_delayed);
    if (rc == SQLITE_OK)
        rc = recover_each(s->db, "SELECT owner,id,place,expires FROM dedup ORDER BY owner,place",
                          &c, recover_dedup);
    if (rc != SQLITE_OK)
        lev_log_error("store: cannot read %s: %s", s->path, sqlite3_errmsg(s->db));
    else
        recover_used_ids(s, &c);
    return lev_sql_err(rc);
}
