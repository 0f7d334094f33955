/* The durable store of one vhost: dir/vhost.db, an SQLite file in WAL mode (schema: schema.h).
 *
 * Three threads belong to a started store: the writer, the only one that ever changes what is in
 * it, the reader, and the checkpointer. The client's callbacks (broker/store.h) come from the first
 * two. Everything else may be called from the thread that opened the store;
 * lev_store_queue_id_free, lev_store_get_stats and the ops from any.
 *
 * Nobody else may hold the directory: the data directory's lock (datadir.h) sees to that. Looking
 * in with `sqlite3 vhost.db` while the broker runs is fine. */
#ifndef LEV_STORE_STORE_SQLITE_H
#define LEV_STORE_STORE_SQLITE_H

#include "broker/store.h"

enum { LEV_STORE_ERR_MAX = 512 };

/* 0 or NULL anywhere: the default. */
struct lev_store_options {
    uint64_t wal_limit_bytes;    /* checkpoint when the WAL is longer (64 MiB) */
    uint64_t garbage_limit_rows; /* dead rows that may stay stored while others come in (200,000) */
    uint64_t garbage_limit_bytes; /* the same in octets (256 MiB) */
    uint32_t slice_ms;            /* longest slice of clearing up between commits (10) */
    uint32_t retry_ms;            /* pause before a failed commit is tried again (1000) */
    uint32_t stop_patience_ms;    /* lev_store_stop gives up on a failing disk after it (10,000) */
    uint32_t cache_bytes;         /* writer's page cache (8 MiB); the reader has a quarter of it */
    const char *vfs;              /* SQLite VFS to use, for tests */
};

struct lev_store_stats {
    uint64_t commits;    /* transactions committed for batches */
    uint64_t batches;    /* batches reported done */
    uint64_t ops;        /* operations in them */
    uint64_t bytes;      /* message octets in them */
    uint64_t commit_ns;  /* time spent in COMMIT: writing and syncing the WAL */
    uint64_t apply_ns;   /* time spent applying batches, COMMIT left out */
    uint64_t failures;   /* transactions that failed */
    uint64_t reads;      /* read requests served */
    uint64_t read_items; /* messages read back */
    uint64_t checkpoints, checkpoint_ns;
    uint64_t purged_rows, purge_ns; /* dead rows removed */
    uint64_t garbage_rows;          /* dead rows known to be still stored */
    uint64_t wal_bytes;             /* WAL length at the last commit */
};

/* Opens (creating what is missing; dir itself must exist) and checks the schema version. Forgets
 * what the last process spilled. options may be NULL. On failure returns LEV_EVERSION,
 * LEV_ECORRUPT, LEV_EFULL, LEV_EBUSY, LEV_EIO or LEV_ENOMEM with one line in errbuf, and *store_r
 * is NULL. */
int lev_store_open(const char *dir, const struct lev_store_options *options,
                   struct lev_store **store_r, char errbuf[LEV_STORE_ERR_MAX])
    __attribute__((warn_unused_result));

/* Calls back all exchanges, then all queues, all bindings, and used ids. Before lev_store_start. 0
 * or an error as above (text logged); what was called back until then stands. */
int lev_store_recover(struct lev_store *s, const struct lev_recovery *recovery, void *ctx)
    __attribute__((warn_unused_result));

/* Starts the two threads. client is borrowed until lev_store_stop. 0 or LEV_ENOMEM. */
int lev_store_start(struct lev_store *s, const struct lev_store_client *client, void *ctx)
    __attribute__((warn_unused_result));

/* Takes and commits everything the client still has, serves the reads still queued, ends the
 * threads, checkpoints, closes and frees; works on a store that was never started, too. If the disk
 * keeps failing for stop_patience_ms, the unfinished batch is freed without done and an error is
 * logged. The client must not call wake or read any more; its callbacks still come during the call,
 * so not under the client's lock. Accepts a pointer to NULL; leaves NULL. */
void lev_store_stop(struct lev_store **s);

/* True when nothing stored belongs to this queue id: neither a queue's row nor rows of a deleted
 * queue that are still to be removed. (Queues the store was never told of are the caller's to
 * know.) */
bool lev_store_queue_id_free(struct lev_store *s, uint32_t queue_id);

void lev_store_get_stats(struct lev_store *s, struct lev_store_stats *stats_r);

#endif
