/* Checkpoints: what the WAL holds is copied into the database file. See store_int.h.
 *
 * A thread of its own copies, with its own connection, while the writer goes on committing; so a
 * commit waits for a checkpoint only in that both use the disk. But a WAL that is written all the
 * time is never copied to its end that way. When it is long enough to begin anew, and little of it
 * is left, the writer copies that little itself, between commits: its next commit then starts at
 * the WAL's beginning.
 *
 * SQLite syncs the database file only after a pass that reached the WAL's end; until then all that
 * was copied would gather, and commits would wait while the disk takes it. So the thread syncs
 * after each pass, and passes are short.
 *
 * A sync that fails may have lost what was copied before it, though the next one succeeds. The WAL
 * still has it all: from then on it is never copied again, never begins anew, and is left behind
 * for the next start, which copies it from its beginning.
 *
 * Threads: lev_checkpoint is the writer's; new, start, free, last the opener's. The passes' results
 * are handed over by `busy`: the thread writes them before it clears it, the writer reads them
 * after it saw it clear. */
#include "store/store_int.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"

/* Passes of the thread over one WAL's length: short ones keep the disk free for commits. */
enum { PASSES = 32 };

/* Frames (of 16 KiB). */
enum {
    FINISH_MAX = 128, /* that the writer copies itself; more if the WAL is too long by far */
    IDLE_MIN = 64,    /* below which a checkpoint of an idle store is not worth its syncs */
};

struct lev_checkpointer {
    struct lev_store_sqlite *s;
    sqlite3 *db;
    pthread_t thread;
    pthread_mutex_t mu;
    pthread_cond_t cond;
    bool stop, asked; /* under mu */
    bool started;
    _Atomic bool busy;
    int copied;     /* frames from the WAL's beginning, as of the last pass */
    int passed_at;  /* the writer's: frames in the WAL when the last pass was asked for */
    int not_before; /* the writer's: it does not finish the WAL before it is so long */
};

static void give_up(struct lev_store_sqlite *s)
{
    atomic_store(&s->unsynced, true);
    lev_log_error("store %s: the database file cannot be synced; its log grows until a restart",
                  s->path);
}

/* One passive checkpoint; frames that are done go to *copied_r. */
static int run_checkpoint(struct lev_store_sqlite *s, sqlite3 *db, int *copied_r)
{
    int frames = 0;
    uint64_t start = lev_clock_mono_ns();
    int rc = sqlite3_wal_checkpoint_v2(db, "main", SQLITE_CHECKPOINT_PASSIVE, &frames, copied_r);
    LEV_STAT_ADD(s, checkpoints, 1);
    LEV_STAT_ADD(s, checkpoint_ns, lev_clock_mono_ns() - start);
    if (rc == SQLITE_OK)
        return rc;
    *copied_r = 0;
    if (rc == SQLITE_IOERR_FSYNC)
        give_up(s);
    else if (rc != SQLITE_BUSY)
        lev_log_warn("store %s: checkpoint failed: %s", s->path, sqlite3_errmsg(db));
    return rc;
}

/* ---- The thread ---- */

/* Waits until a pass is asked for; false when it is to stop. */
static bool wait_thread(struct lev_checkpointer *c)
{
    pthread_mutex_lock(&c->mu);
    while (!c->asked && !c->stop)
        pthread_cond_wait(&c->cond, &c->mu);
    bool go = !c->stop;
    c->asked = false;
    pthread_mutex_unlock(&c->mu);
    return go;
}

static void sync_file(struct lev_checkpointer *c)
{
    sqlite3_file *file = NULL;
    int rc = sqlite3_file_control(c->db, "main", SQLITE_FCNTL_FILE_POINTER, &file);
    if (rc == SQLITE_OK && file->pMethods)
        rc = file->pMethods->xSync(file, SQLITE_SYNC_NORMAL | SQLITE_SYNC_DATAONLY);
    if (rc != SQLITE_OK)
        give_up(c->s);
}

static void *checkpointer_main(void *arg)
{
    struct lev_checkpointer *c = arg;
    while (wait_thread(c)) {
        if (run_checkpoint(c->s, c->db, &c->copied) == SQLITE_OK)
            sync_file(c);
        atomic_store(&c->busy, false);
    }
    return NULL;
}

/* ---- The writer's side ---- */

static void ask(struct lev_checkpointer *c)
{
    c->passed_at = c->s->wal_frames;
    atomic_store(&c->busy, true);
    pthread_mutex_lock(&c->mu);
    c->asked = true;
    pthread_cond_signal(&c->cond);
    pthread_mutex_unlock(&c->mu);
}

/* Whether the writer may copy what is left. When it writes so fast that little never is, the WAL
 * grows until much counts as little. */
static bool is_little(int left, int frames, int limit)
{
    int times = frames > limit ? frames / limit : 1;
    return left / times / times <= FINISH_MAX;
}

/* Copies what is left, in the writer's own time. */
static void finish(struct lev_store_sqlite *s, int limit)
{
    struct lev_checkpointer *c = s->checkpointer;
    pthread_rwlock_wrlock(&s->gate); /* who reads from here on needs the file only */
    int rc = run_checkpoint(s, s->db, &c->copied);
    pthread_rwlock_unlock(&s->gate);
    if (rc == SQLITE_OK && c->copied >= s->wal_frames)
        c->copied = c->passed_at = c->not_before = s->wal_frames = 0; /* the WAL begins anew */
    else
        c->not_before = s->wal_frames + limit / 4 + 1; /* a reader held it back, or it failed */
}

bool lev_checkpoint(struct lev_store_sqlite *s, bool idle)
{
    struct lev_checkpointer *c = s->checkpointer;
    int limit = (int)(s->options.wal_limit_bytes >> 14), frames = s->wal_frames;
    if (atomic_load(&c->busy))
        return true;
    if (atomic_load(&s->unsynced))
        return false;
    if (frames < (idle ? IDLE_MIN : limit / PASSES))
        return false;
    if (frames < c->passed_at) /* it began anew */
        c->copied = c->passed_at = c->not_before = 0;
    int left = frames - c->copied, since = frames - c->passed_at;
    bool end = (idle || frames >= limit) && frames >= c->not_before;
    if (end && is_little(left, frames, limit))
        finish(s, limit);
    else if (since >= (end ? FINISH_MAX / 2 : limit / PASSES) || (idle && end))
        ask(c);
    return atomic_load(&c->busy);
}

bool lev_checkpoint_ends(const struct lev_store_sqlite *s)
{
    return s->wal_frames >= (int)(s->options.wal_limit_bytes >> 14) &&
           atomic_load(&s->checkpointer->busy);
}

/* ---- Life ---- */

int lev_checkpointer_new(struct lev_store_sqlite *s, char *errbuf)
{
    struct lev_checkpointer *c = lev_xcalloc(1, sizeof(*c));
    s->checkpointer = c;
    c->s = s;
    pthread_mutex_init(&c->mu, NULL);
    pthread_cond_init(&c->cond, NULL);
    int rc = lev_sql_open(s->path, s->options.vfs, false, &c->db, errbuf, LEV_STORE_ERR_MAX);
    if (rc != SQLITE_OK)
        return lev_sql_err(rc);
    rc = lev_sql_exec(c->db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                             "PRAGMA wal_autocheckpoint=0; PRAGMA cache_size=4");
    if (rc != SQLITE_OK)
        snprintf(errbuf, LEV_STORE_ERR_MAX, "cannot open %s: %s", s->path, sqlite3_errmsg(c->db));
    return lev_sql_err(rc);
}

int lev_checkpointer_start(struct lev_store_sqlite *s)
{
    struct lev_checkpointer *c = s->checkpointer;
    if (pthread_create(&c->thread, NULL, checkpointer_main, c) != 0)
        return LEV_ENOMEM;
    c->started = true;
    (void)pthread_setname_np(c->thread, "store-ckpt");
    return 0;
}

void lev_checkpointer_free(struct lev_store_sqlite *s)
{
    struct lev_checkpointer *c = s->checkpointer;
    if (!c)
        return;
    s->checkpointer = NULL;
    if (c->started) {
        pthread_mutex_lock(&c->mu);
        c->stop = true;
        pthread_cond_signal(&c->cond);
        pthread_mutex_unlock(&c->mu);
        pthread_join(c->thread, NULL);
    }
    if (c->db)
        (void)sqlite3_close(c->db);
    pthread_mutex_destroy(&c->mu);
    pthread_cond_destroy(&c->cond);
    free(c);
}

void lev_checkpoint_last(struct lev_store_sqlite *s)
{
    int rc = SQLITE_IOERR_FSYNC;
    if (!atomic_load(&s->unsynced)) {
        rc = sqlite3_wal_checkpoint_v2(s->db, "main", SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
        if (rc != SQLITE_OK)
            lev_log_warn("store %s: checkpoint failed: %s", s->path, sqlite3_errmsg(s->db));
    }
    if (rc != SQLITE_OK) /* closing would try again, and take a sync that succeeds for the whole */
        (void)sqlite3_db_config(s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
}
