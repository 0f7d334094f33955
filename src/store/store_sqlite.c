/* The durable store's life, and its writer's loop. See store_sqlite.h and store_int.h.
 *
 * The writer sleeps until wake, takes a batch, commits it, reports it, and between batches clears up as far
 * as it must (purge.c). When nothing came for IDLE_MS and something is left to clear up, it does all of it.
 * There is no timer otherwise. */
#include "store/store_int.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "store/schema.h"

enum { IDLE_MS = 1000, STOP_RETRY_MS = 100 };

static struct lev_store_sqlite *sqlite_store(struct lev_store *s)
{
    return LEV_CONTAINER(s, struct lev_store_sqlite, base);
}

/* ---- Transactions ----------------------------------------------------------------------------- */

int lev_store_begin(struct lev_store_sqlite *s, bool synced)
{
    int rc = s->reload ? lev_state_load(s) : SQLITE_OK;
    if (rc == SQLITE_OK && s->synced != synced) {
        rc = lev_sql_exec(s->db, synced ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL");
        s->synced = synced && rc == SQLITE_OK;
    }
    return rc == SQLITE_OK ? lev_sql_run(s->st[LEV_ST_BEGIN]) : rc;
}

int lev_store_commit(struct lev_store_sqlite *s)
{
    return lev_sql_run(s->st[LEV_ST_COMMIT]);
}

void lev_store_rollback(struct lev_store_sqlite *s)
{
    LEV_STAT_ADD(s, failures, 1);
    if (!sqlite3_get_autocommit(s->db))
        (void)lev_sql_exec(s->db, "ROLLBACK"); /* some failures have rolled back already */
    s->reload = true;
}

static int on_wal(void *ctx, sqlite3 *db, const char *name, int frames)
{
    struct lev_store_sqlite *s = ctx;
    (void)db;
    (void)name;
    s->wal_frames = frames;
    LEV_STAT_SET(s, wal_bytes, (uint64_t)frames << 14);
    return SQLITE_OK;
}

/* ---- The writer ------------------------------------------------------------------------------- */

static void on_wake(struct lev_store *store)
{
    struct lev_store_sqlite *s = sqlite_store(store);
    if (atomic_exchange(&s->woken, true))
        return;
    pthread_mutex_lock(&s->mu);
    pthread_cond_signal(&s->cond);
    pthread_mutex_unlock(&s->mu);
}

static void on_read(struct lev_store *store, struct lev_read *r)
{
    lev_reader_read(sqlite_store(store), r);
}

static struct timespec after_ms(uint64_t ms)
{
    uint64_t ns = lev_clock_mono_ns() + ms * 1000000;
    return (struct timespec){(time_t)(ns / 1000000000), (long)(ns % 1000000000)};
}

/* Sleeps ms, or until the store is to stop; true when it is. */
static bool pause_worker(struct lev_store_sqlite *s, uint64_t ms)
{
    struct timespec until = after_ms(ms);
    pthread_mutex_lock(&s->mu);
    int rc = 0;
    while (!s->stop && rc != ETIMEDOUT)
        rc = pthread_cond_timedwait(&s->cond, &s->mu, &until);
    bool stop = s->stop;
    pthread_mutex_unlock(&s->mu);
    return stop;
}

/* One attempt; on failure *text says why. */
static int try_batch(struct lev_store_sqlite *s, const struct lev_batch *b, char text[LEV_STORE_ERR_MAX])
{
    uint64_t t0 = lev_clock_mono_ns();
    int rc = lev_store_begin(s, true);
    if (rc == SQLITE_OK)
        rc = lev_apply(s, b);
    uint64_t t1 = lev_clock_mono_ns();
    if (rc == SQLITE_OK)
        rc = lev_store_commit(s);
    if (rc != SQLITE_OK) {
        snprintf(text, LEV_STORE_ERR_MAX, "cannot write %s: %s (SQLite code %d)", s->path,
                 sqlite3_errmsg(s->db), rc);
        lev_store_rollback(s);
        return rc;
    }
    uint64_t t2 = lev_clock_mono_ns();
    lev_apply_committed(s);
    LEV_STAT_ADD(s, commits, 1);
    LEV_STAT_ADD(s, apply_ns, t1 - t0);
    LEV_STAT_ADD(s, commit_ns, t2 - t1);
    LEV_STAT_SET(s, garbage_rows, s->state.dead_rows);
    return SQLITE_OK;
}

/* Tries until the batch is on stable storage: true. False: told to stop, and patience is at its end. */
static bool write_batch_worker(struct lev_store_sqlite *s, const struct lev_batch *b)
{
    char text[LEV_STORE_ERR_MAX];
    uint64_t give_up_ns = 0;
    int rc = try_batch(s, b, text);
    if (rc == SQLITE_OK)
        return true;
    lev_log_error("store: %s; publishing waits, trying again every %u ms", text, s->options.retry_ms);
    s->client->trouble(s->ctx, lev_sql_err(rc), text);
    bool stop = false;
    while (rc != SQLITE_OK) {
        stop = pause_worker(s, s->options.retry_ms);
        uint64_t now = lev_clock_mono_ns();
        if (stop && give_up_ns == 0)
            give_up_ns = now + (uint64_t)s->options.stop_patience_ms * 1000000;
        rc = try_batch(s, b, text);
        if (rc != SQLITE_OK && stop && now >= give_up_ns)
            return false;
        if (rc != SQLITE_OK && stop)
            nanosleep(&(struct timespec){0, STOP_RETRY_MS * 1000000L}, NULL);
    }
    lev_log_info("store: writing %s works again", s->path);
    s->client->trouble(s->ctx, 0, "");
    return true;
}

/* True when there was a batch. Clears *ok_r when it could not be written and the store must stop. */
static bool take_batch_worker(struct lev_store_sqlite *s, bool *ok_r)
{
    atomic_store(&s->woken, false);
    struct lev_batch *b = s->client->take(s->ctx);
    if (!b)
        return false;
    uint64_t start = lev_clock_mono_ns();
    if (!write_batch_worker(s, b)) {
        lev_log_error("store %s: stopped without writing %zu operations", s->path, b->live);
        lev_batch_free(&b);
        *ok_r = false;
        return true;
    }
    LEV_STAT_ADD(s, batches, 1);
    LEV_STAT_ADD(s, ops, b->live);
    LEV_STAT_ADD(s, bytes, b->bytes);
    s->client->done(s->ctx, b);
    if (lev_purge_due(s)) {
        /* about as long as batches take, unless it gets out of hand */
        uint64_t slice = (uint64_t)s->options.slice_ms * 1000000, took = lev_clock_mono_ns() - start;
        if (s->state.dead_rows < 2 * s->options.garbage_limit_rows && took < slice)
            slice = took < 1000000 ? 1000000 : took;
        (void)lev_purge_slice(s, slice, false);
    }
    lev_checkpoint(s, false);
    return true;
}

/* Clears up until something comes in. False when it failed: not to be tried again at once. */
static bool clear_up_worker(struct lev_store_sqlite *s)
{
    while (!atomic_load(&s->woken) && !lev_list_empty(&s->state.purge))
        if (lev_purge_slice(s, (uint64_t)s->options.slice_ms * 1000000, true) != SQLITE_OK)
            return false;
    if (!atomic_load(&s->woken))
        lev_checkpoint(s, true);
    return true;
}

/* Waits for wake or stop; true when it is stop. */
static bool wait_worker(struct lev_store_sqlite *s)
{
    bool untidy = !lev_list_empty(&s->state.purge) || s->wal_frames > 0;
    for (;;) {
        struct timespec until = after_ms(IDLE_MS);
        int rc = 0;
        pthread_mutex_lock(&s->mu);
        while (!atomic_load(&s->woken) && !s->stop && rc != ETIMEDOUT)
            rc = untidy ? pthread_cond_timedwait(&s->cond, &s->mu, &until)
                        : pthread_cond_wait(&s->cond, &s->mu);
        bool stop = s->stop;
        pthread_mutex_unlock(&s->mu);
        if (rc != ETIMEDOUT || stop)
            return stop;
        untidy = !clear_up_worker(s);
    }
}

static void *writer_main(void *arg)
{
    struct lev_store_sqlite *s = arg;
    bool ok = true, stop = false;
    while (ok) {
        if (take_batch_worker(s, &ok))
            continue;
        if (stop)
            break;
        stop = wait_worker(s);
    }
    return NULL;
}

/* ---- Opening ---------------------------------------------------------------------------------- */

static void set_defaults(struct lev_store_options *o)
{
#define DEFAULT(field, value)                                                                      \
    if (o->field == 0)                                                                             \
    o->field = (value)
    DEFAULT(wal_limit_bytes, 64 << 20);
    DEFAULT(garbage_limit_rows, 200000);
    DEFAULT(garbage_limit_bytes, 256 << 20);
    DEFAULT(slice_ms, 10);
    DEFAULT(retry_ms, 1000);
    DEFAULT(stop_patience_ms, 10000);
    DEFAULT(cache_bytes, 8 << 20);
#undef DEFAULT
}

static int configure(struct lev_store_sqlite *s)
{
    char sql[256];
    snprintf(sql, sizeof(sql),
             "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-%u;"
             "PRAGMA journal_size_limit=%llu; PRAGMA wal_autocheckpoint=0",
             s->options.cache_bytes / 1024, (unsigned long long)s->options.wal_limit_bytes);
    int rc = lev_sql_exec(s->db, sql);
    s->synced = true;
    s->checkpoint_at = (int)(s->options.wal_limit_bytes >> 14);
    (void)sqlite3_wal_hook(s->db, on_wal, s);
    return rc;
}

static int prepare(struct lev_store_sqlite *s)
{
    static const char *const sql[] = {
#define X(name, text) text,
        LEV_WRITER_STATEMENTS(X)
#undef X
    };
    int rc = lev_rows_register(s->db, &s->rows);
    for (size_t i = 0; i < LEV_ST_COUNT && rc == SQLITE_OK; i++)
        rc = lev_sql_prepare(s->db, sql[i], &s->st[i]);
    return rc;
}

static int empty_spill(struct lev_store_sqlite *s)
{
    int64_t n;
    int rc = lev_sql_get_int(s->db,
                             "SELECT EXISTS(SELECT 1 FROM spill) OR EXISTS(SELECT 1 FROM spill_garbage)",
                             &n);
    if (rc != SQLITE_OK || n == 0)
        return rc;
    rc = lev_sql_exec(s->db, "BEGIN IMMEDIATE");
    if (rc == SQLITE_OK)
        rc = lev_sql_exec(s->db, lev_schema_empty_spill);
    return rc == SQLITE_OK ? lev_sql_exec(s->db, "COMMIT") : rc;
}

/* Everything after the object exists. A LEV_E*. */
static int open_store(struct lev_store_sqlite *s, char errbuf[LEV_STORE_ERR_MAX])
{
    int rc = lev_sql_open(s->path, s->options.vfs, true, &s->db, errbuf, LEV_STORE_ERR_MAX);
    if (rc != SQLITE_OK)
        return lev_sql_err(rc);
    rc = configure(s);
    if (rc == SQLITE_OK) {
        int err = lev_sql_schema(s->db, s->path, LEV_SCHEMA_APP_ID, LEV_SCHEMA_VERSION, lev_schema,
                                 errbuf, LEV_STORE_ERR_MAX);
        if (err != 0)
            return err;
        rc = empty_spill(s);
    }
    if (rc == SQLITE_OK)
        rc = prepare(s);
    if (rc == SQLITE_OK)
        rc = lev_state_load(s);
    if (rc != SQLITE_OK) {
        snprintf(errbuf, LEV_STORE_ERR_MAX, "cannot open %s: %s", s->path, sqlite3_errmsg(s->db));
        return lev_sql_err(rc);
    }
    return lev_reader_new(s, errbuf);
}

static void init_sync(struct lev_store_sqlite *s)
{
    pthread_condattr_t attr;
    pthread_mutex_init(&s->mu, NULL);
    pthread_mutex_init(&s->ids_mu, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&s->cond, &attr);
    pthread_condattr_destroy(&attr);
}

static void destroy(struct lev_store_sqlite *s)
{
    lev_reader_free(s);
    for (size_t i = 0; i < LEV_ST_COUNT; i++)
        (void)sqlite3_finalize(s->st[i]);
    if (s->db && sqlite3_close(s->db) != SQLITE_OK)
        lev_log_warn("store %s: cannot close: %s", s->path, sqlite3_errmsg(s->db));
    lev_state_deinit(&s->state);
    pthread_mutex_destroy(&s->mu);
    pthread_mutex_destroy(&s->ids_mu);
    pthread_cond_destroy(&s->cond);
    free(s->shared);
    free(s->rows.v);
    free(s->path);
    free(s);
}

int lev_store_open(const char *dir, const struct lev_store_options *options,
                   struct lev_store **store_r, char errbuf[LEV_STORE_ERR_MAX])
{
    static const struct lev_store_ops ops = {on_wake, on_read};
    struct lev_store_sqlite *s = lev_xcalloc(1, sizeof(*s));
    size_t n = strlen(dir) + sizeof("/vhost.db");
    *store_r = NULL;
    s->base.ops = &ops;
    if (options)
        s->options = *options;
    set_defaults(&s->options);
    s->path = lev_xmalloc(n);
    snprintf(s->path, n, "%s/vhost.db", dir);
    lev_state_init(&s->state);
    init_sync(s);
    int err = open_store(s, errbuf);
    if (err != 0) {
        destroy(s);
        return err;
    }
    *store_r = &s->base;
    return 0;
}

/* ---- Recovery --------------------------------------------------------------------------------- */

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
    for (size_t i = 0; i < t->cap; i++)
        if (t->slots[i] && !t->slots[i]->live)
            c->recovery->used_id(c->ctx, t->slots[i]->id);
}

int lev_store_recover(struct lev_store *store, const struct lev_recovery *recovery, void *ctx)
{
    struct lev_store_sqlite *s = sqlite_store(store);
    struct recover_ctx c = {recovery, ctx};
    int rc = recover_each(s->db,
                          "SELECT name,type,durable,auto_delete,internal,arguments FROM exchange", &c,
                          recover_exchange);
    if (rc == SQLITE_OK)
        rc = recover_each(s->db,
                          "SELECT queue_id,durable,auto_delete,name,arguments,head,next_pos,"
                          "delivered_to,count,bytes FROM queue",
                          &c, recover_queue);
    if (rc == SQLITE_OK)
        rc = recover_each(s->db,
                          "SELECT source,to_queue,destination,routing_key,arguments FROM binding", &c,
                          recover_binding);
    if (rc != SQLITE_OK)
        lev_log_error("store: cannot read %s: %s", s->path, sqlite3_errmsg(s->db));
    else
        recover_used_ids(s, &c);
    return lev_sql_err(rc);
}

/* ---- Start and stop --------------------------------------------------------------------------- */

int lev_store_start(struct lev_store *store, const struct lev_store_client *client, void *ctx)
{
    struct lev_store_sqlite *s = sqlite_store(store);
    sigset_t all, old;
    s->client = client;
    s->ctx = ctx;
    sigfillset(&all); /* signals are for the program's own threads */
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int err = lev_reader_start(s);
    if (err == 0 && pthread_create(&s->writer, NULL, writer_main, s) == 0)
        s->started = true;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (!s->started)
        return LEV_ENOMEM;
    (void)pthread_setname_np(s->writer, "store-writer");
    return 0;
}

void lev_store_stop(struct lev_store **store)
{
    if (!*store)
        return;
    struct lev_store_sqlite *s = sqlite_store(*store);
    *store = NULL;
    if (s->started) {
        pthread_mutex_lock(&s->mu);
        s->stop = true;
        pthread_cond_signal(&s->cond);
        pthread_mutex_unlock(&s->mu);
        pthread_join(s->writer, NULL);
    }
    lev_reader_free(s);
    int rc = sqlite3_wal_checkpoint_v2(s->db, "main", SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    if (rc != SQLITE_OK)
        lev_log_warn("store %s: checkpoint failed: %s", s->path, sqlite3_errmsg(s->db));
    destroy(s);
}

void lev_store_get_stats(struct lev_store *store, struct lev_store_stats *r)
{
    struct lev_store_sqlite *s = sqlite_store(store);
#define GET(name) r->name = atomic_load_explicit(&s->stats.name, memory_order_relaxed)
    GET(commits);
    GET(batches);
    GET(ops);
    GET(bytes);
    GET(commit_ns);
    GET(apply_ns);
    GET(failures);
    GET(reads);
    GET(read_items);
    GET(checkpoints);
    GET(checkpoint_ns);
    GET(purged_rows);
    GET(purge_ns);
    GET(garbage_rows);
    GET(wal_bytes);
#undef GET
}
