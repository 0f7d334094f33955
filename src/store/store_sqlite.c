/* The durable store's life: open, start, stop. See store_sqlite.h and store_int.h. */
#include "store/store_int.h"

#include <signal.h>
#include <stdio.h>

#include "base/err.h"
#include "base/log.h"
#include "store/schema.h"

static struct lev_store_sqlite *sqlite_store(struct lev_store *s)
{
    return LEV_CONTAINER(s, struct lev_store_sqlite, base);
}

static void on_wake(struct lev_store *store)
{
    lev_writer_wake(sqlite_store(store));
}

static void on_read(struct lev_store *store, struct lev_read *r)
{
    lev_reader_read(sqlite_store(store), r);
}

/* ---- Opening ---- */

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
    (void)sqlite3_wal_hook(s->db, lev_writer_on_wal, s);
    return rc;
}

static int prepare(struct lev_store_sqlite *s)
{
    static const char *const sql[] = {
#define X(name, text) text,
        LEV_WRITER_STATEMENTS(X)
#undef X
    };
    int rc = SQLITE_OK;
    for (size_t i = 0; i < LEV_ST_COUNT && rc == SQLITE_OK; i++)
        rc = lev_sql_prepare(s->db, sql[i], &s->st[i]);
    return rc;
}

/* The rows of one queue in spill, the first of which is first, become garbage. */
static int condemn(struct lev_store_sqlite *s, uint64_t first)
{
    sqlite3_stmt *st = s->st[LEV_ST_SPILL_GARBAGE_ADD];
    uint64_t from = first & ~LEV_POSITION_MAX, last;
    int rc = lev_state_first(s, LEV_ST_SPILL_LAST, from, from | LEV_POSITION_MAX, &last);
    lev_sql_int(&rc, st, 1, from);
    lev_sql_int(&rc, st, 2, LEV_ID_POS(last) + 1);
    return rc == SQLITE_OK ? lev_sql_run(st) : rc;
}

/* What the last process spilled means nothing any more. It is only marked as garbage, queue by
 * queue, so that starting takes no time however much it is: new positions are all above the old
 * ones. */
static int empty_spill(struct lev_store_sqlite *s)
{
    uint64_t id = 0;
    int rc = lev_state_first(s, LEV_ST_SPILL_FIRST, 0, INT64_MAX, &id);
    if (rc != SQLITE_OK || id == LEV_NO_POS)
        return rc;
    rc = lev_sql_run(s->st[LEV_ST_BEGIN]);
    while (rc == SQLITE_OK && id != LEV_NO_POS) {
        rc = condemn(s, id);
        if (rc != SQLITE_OK || (id | LEV_POSITION_MAX) == INT64_MAX)
            break;
        rc = lev_state_first(s, LEV_ST_SPILL_FIRST, (id | LEV_POSITION_MAX) + 1, INT64_MAX, &id);
    }
    return rc == SQLITE_OK ? lev_sql_run(s->st[LEV_ST_COMMIT]) : rc;
}

/* Tables and statements. A LEV_E*. */
static int open_tables(struct lev_store_sqlite *s, char errbuf[LEV_STORE_ERR_MAX])
{
    int err = lev_sql_schema(s->db, s->path, LEV_SCHEMA_APP_ID, LEV_SCHEMA_VERSION, lev_schema,
                             errbuf, LEV_STORE_ERR_MAX);
    if (err != 0)
        return err;
    int rc = lev_rows_register(s->db, &s->rows);
    if (rc == SQLITE_OK)
        rc = prepare(s);
    if (rc == SQLITE_OK)
        return 0;
    bool other = rc == SQLITE_ERROR; /* says that a table or column is not there */
    snprintf(errbuf, LEV_STORE_ERR_MAX,
             other ? "%s has other tables than its schema version says: "
                     "%s; this Leveret cannot read it"
                   : "cannot open %s: %s",
             s->path, lev_sql_why(s->db, rc));
    return other ? LEV_EVERSION : lev_sql_err(rc);
}

/* Everything after the object exists. A LEV_E*. */
static int open_store(struct lev_store_sqlite *s, char errbuf[LEV_STORE_ERR_MAX])
{
    int rc = lev_sql_open(s->path, s->options.vfs, true, &s->db, errbuf, LEV_STORE_ERR_MAX);
    if (rc != SQLITE_OK)
        return lev_sql_err(rc);
    rc = configure(s);
    if (rc == SQLITE_OK) {
        int err = open_tables(s, errbuf);
        if (err != 0)
            return err;
        rc = empty_spill(s);
    }
    if (rc == SQLITE_OK)
        rc = lev_state_load(s);
    if (rc != SQLITE_OK) {
        snprintf(errbuf, LEV_STORE_ERR_MAX, "cannot open %s: %s", s->path, lev_sql_why(s->db, rc));
        return lev_sql_err(rc);
    }
    int err = lev_reader_new(s, errbuf);
    return err == 0 ? lev_checkpointer_new(s, errbuf) : err;
}

static void init_sync(struct lev_store_sqlite *s)
{
    pthread_condattr_t attr;
    pthread_rwlockattr_t gate;
    pthread_rwlockattr_init(&gate);
    pthread_rwlockattr_setkind_np(&gate, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&s->gate, &gate);
    pthread_rwlockattr_destroy(&gate);
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
    lev_checkpointer_free(s);
    for (size_t i = 0; i < LEV_ST_COUNT; i++)
        (void)sqlite3_finalize(s->st[i]);
    if (s->db && sqlite3_close(s->db) != SQLITE_OK)
        lev_log_warn("store %s: cannot close: %s", s->path, sqlite3_errmsg(s->db));
    lev_state_deinit(&s->state);
    pthread_mutex_destroy(&s->mu);
    pthread_mutex_destroy(&s->ids_mu);
    pthread_cond_destroy(&s->cond);
    pthread_rwlock_destroy(&s->gate);
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

/* ---- Start and stop ---- */

int lev_store_start(struct lev_store *store, const struct lev_store_client *client, void *ctx)
{
    struct lev_store_sqlite *s = sqlite_store(store);
    sigset_t all, old;
    s->client = client;
    s->ctx = ctx;
    sigfillset(&all); /* signals are for the program's own threads */
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int err = lev_reader_start(s);
    if (err == 0)
        err = lev_checkpointer_start(s);
    if (err == 0)
        err = lev_writer_start(s);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return err;
}

void lev_store_stop(struct lev_store **store)
{
    if (!*store)
        return;
    struct lev_store_sqlite *s = sqlite_store(*store);
    *store = NULL;
    lev_writer_stop(s);
    lev_reader_free(s);
    lev_checkpointer_free(s);
    lev_checkpoint_last(s);
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
