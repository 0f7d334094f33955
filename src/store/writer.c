/* The writer: transactions, and the thread's loop. See store_int.h.
 *
 * The writer sleeps until wake, takes a batch, commits it, reports it, and between batches clears
 * up as far as it must (purge.c). When nothing came for IDLE_MS and something is left to clear up,
 * it does all of it. There is no timer otherwise. */
#include "store/store_int.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"

/* So many messages since the last look mean load. Under load, batches are gathered for a while, at
 * most GATHER_NS, which is looked at in steps; see lookout below. */
enum { BUSY_MESSAGES = 64, GATHER_NS = 2000000, GATHER_STEP_NS = 200000, QUIET_STEPS = 3 };
/* Of so many looks, so many are given to trying. */
enum { TRY_EVERY = 64, TRY_LOOKS = 4 };

/* The longest pause while a WAL ends. */
enum { REST_MAX_NS = 5000000 };

enum { IDLE_MS = 1000, STOP_RETRY_MS = 100 };

/* ---- Transactions ---- */

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

int lev_writer_on_wal(void *ctx, sqlite3 *db, const char *name, int frames)
{
    struct lev_store_sqlite *s = ctx;
    (void)db;
    (void)name;
    s->wal_frames = frames;
    LEV_STAT_SET(s, wal_bytes, (uint64_t)frames << 14);
    return SQLITE_OK;
}

/* ---- The writer ---- */

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
static int try_batch(struct lev_store_sqlite *s, const struct lev_batch *b,
                     char text[LEV_STORE_ERR_MAX])
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
                 lev_sql_why(s->db, rc), rc);
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

/* Tries until the batch is on stable storage: true. False: told to stop, and patience is at its
 * end. */
static bool write_batch_worker(struct lev_store_sqlite *s, const struct lev_batch *b)
{
    char text[LEV_STORE_ERR_MAX];
    uint64_t give_up_ns = 0;
    int rc = try_batch(s, b, text);
    if (rc == SQLITE_OK)
        return true;
    lev_log_error("store: %s; publishing waits, trying again every %u ms", text,
                  s->options.retry_ms);
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

/* Batches are left to age before they are written while that pays: consumers keep up, and what they
 * acknowledge meanwhile need not be written. It does not pay for those who wait for confirms while
 * nobody consumes, nor while a backlog is worked off. */

static struct lev_activity activity_of(const struct lev_store_sqlite *s)
{
    return s->client->activity ? s->client->activity(s->ctx) : (struct lev_activity){0};
}

/* A look at what went through since the last one: true when that was much. */
static bool look_worker(struct lev_store_sqlite *s)
{
    struct lev_activity now = activity_of(s), *r = &s->recent;
    uint64_t messages = now.enqueued - s->seen.enqueued;
    r->enqueued = r->enqueued / 2 + messages;
    r->settled = r->settled / 2 + now.settled - s->seen.settled;
    r->cancelled = r->cancelled / 2 + now.cancelled - s->seen.cancelled;
    s->seen = now;
    bool trying = s->looks++ % TRY_EVERY < TRY_LOOKS;
    s->pays = r->settled >= r->enqueued / 2 && (trying || r->cancelled >= r->enqueued / 8);
    return messages >= BUSY_MESSAGES;
}

/* Waits a while, unless nothing comes any more. */
static void gather_worker(const struct lev_store_sqlite *s)
{
    uint64_t start = lev_clock_mono_ns();
    struct lev_activity last = activity_of(s);
    unsigned quiet = 0;
    do {
        nanosleep(&(struct timespec){0, GATHER_STEP_NS}, NULL);
        struct lev_activity now = activity_of(s);
        quiet = now.enqueued == last.enqueued && now.settled == last.settled ? quiet + 1 : 0;
        last = now;
    } while (quiet < QUIET_STEPS && lev_clock_mono_ns() - start < GATHER_NS);
}

/* Between batches only what would let the file grow is removed: room for as many rows as come in,
 * and more. (While a backlog is worked off nothing comes in, and nothing needs to be removed.)
 * About as long as batches take, took_ns, unless it gets out of hand. */
static void purge_some_worker(struct lev_store_sqlite *s, uint64_t took_ns)
{
    uint64_t slice = (uint64_t)s->options.slice_ms * 1000000;
    uint64_t rows = s->state.spill_garbage ? UINT64_MAX : 2 * s->rows.n;
    if (s->state.dead_rows < 2 * s->options.garbage_limit_rows && took_ns < slice)
        slice = took_ns < 1000000 ? 1000000 : took_ns;
    if (rows)
        (void)lev_purge_slice(s, slice, rows, false);
}

/* Writing at half speed lets the checkpointer catch up: many short pauses instead of a long one. */
static void rest_worker(uint64_t took_ns)
{
    uint64_t ns = took_ns < REST_MAX_NS ? took_ns : REST_MAX_NS;
    nanosleep(&(struct timespec){0, (long)ns}, NULL);
}

/* False when there was nothing to do. Clears *ok_r when it could not be written and the store must
 * stop.
 */
static bool take_batch_worker(struct lev_store_sqlite *s, bool *ok_r)
{
    bool age = look_worker(s) && s->pays;
    atomic_store(&s->woken, false);
    struct lev_batch *b = s->client->take(s->ctx, age);
    if (!b) {
        if (age)
            gather_worker(s);
        return age;
    }
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
    if (lev_purge_due(s))
        purge_some_worker(s, lev_clock_mono_ns() - start);
    (void)lev_checkpoint(s, false);
    if (age)
        gather_worker(s);
    else if (lev_checkpoint_ends(s))
        rest_worker(lev_clock_mono_ns() - start);
    return true;
}

/* Something came in, or the store is to stop. */
static bool wanted_worker(struct lev_store_sqlite *s)
{
    pthread_mutex_lock(&s->mu);
    bool wanted = s->stop || atomic_load(&s->woken);
    pthread_mutex_unlock(&s->mu);
    return wanted;
}

/* Clears up until it is wanted. True when there is more to do, later. */
static bool clear_up_worker(struct lev_store_sqlite *s)
{
    while (!wanted_worker(s) && !lev_list_empty(&s->state.purge))
        if (lev_purge_slice(s, (uint64_t)s->options.slice_ms * 1000000, UINT64_MAX, true) !=
            SQLITE_OK)
            return true;
    return !wanted_worker(s) && lev_checkpoint(s, true);
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
        untidy = clear_up_worker(s);
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

/* ---- From other threads ---- */

void lev_writer_wake(struct lev_store_sqlite *s)
{
    if (atomic_exchange(&s->woken, true))
        return;
    pthread_mutex_lock(&s->mu);
    pthread_cond_signal(&s->cond);
    pthread_mutex_unlock(&s->mu);
}

int lev_writer_start(struct lev_store_sqlite *s)
{
    if (pthread_create(&s->writer, NULL, writer_main, s) != 0)
        return LEV_ENOMEM;
    s->started = true;
    (void)pthread_setname_np(s->writer, "store-writer");
    return 0;
}

void lev_writer_stop(struct lev_store_sqlite *s)
{
    if (!s->started)
        return;
    pthread_mutex_lock(&s->mu);
    s->stop = true;
    pthread_cond_signal(&s->cond);
    pthread_mutex_unlock(&s->mu);
    pthread_join(s->writer, NULL);
    s->started = false;
}
