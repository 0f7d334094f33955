/* What the parts of the SQLite store share. See store_sqlite.h for what it is.
 *
 *   store_sqlite.c  life: open, start, stop; the ops
 *   recover.c       definitions and counters read back
 *   writer.c        transactions, the writer's loop
 *   state.c         queues as the writer knows them, loaded from the file
 *   apply.c         a batch becomes a transaction
 *   insert.c        message rows, shared bodies
 *   rows.c          the virtual table lev_rows, which gives many rows to one INSERT
 *   settle.c        heads and dead ranges
 *   failures.c      counts of failed deliveries
 *   delayed.c       messages held back until they are due
 *   dedup.c         ids that must not come twice
 *   parts.c         a stored row becomes a message
 *   purge.c         dead rows are removed in slices
 *   checkpoint.c    the checkpointer: the WAL into the database
 *   reader.c        the reader's thread
 *
 * Invariants:
 *  1. Only the writer's thread (before the start: the opener's) touches db, the state and its
 * queues; ids_mu guards the map against lev_store_queue_id_free, so changes of the map, and other
 * threads' looks, hold it.
 *  2. Between transactions the state says exactly what the file says. A transaction that fails is
 *     rolled back and the state is loaded afresh (reload) before the next.
 *  3. The reader judges what is dead by the file alone, in its own snapshot. */
#ifndef LEV_STORE_STORE_INT_H
#define LEV_STORE_STORE_INT_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/list.h"
#include "store/ivset.h"
#include "store/sql.h"
#include "store/store_sqlite.h"

#define LEV_ID(queue_id, pos) ((uint64_t)(queue_id) << 40 | (pos))
#define LEV_ID_POS(id) ((uint64_t)(id)&LEV_POSITION_MAX)
#define LEV_NO_POS UINT64_MAX

/* Bodies longer than this that go to several queues are stored once. */
enum { LEV_SHARE_BODY_MIN = 16 * 1024 };

/* Columns of message, spill and lev_rows. */
enum {
    LEV_COL_ID,
    LEV_COL_FLAGS,
    LEV_COL_EXPIRES,
    LEV_COL_EXPIRATION,
    LEV_COL_BODY_ID,
    LEV_COL_EXCHANGE,
    LEV_COL_KEY,
    LEV_COL_PROPS,
    LEV_COL_BODY,
};

/* Columns of a delayed message as read: due is where id is, and these come behind. */
enum { LEV_COL_SEQ = LEV_COL_BODY + 1, LEV_COL_VIA, LEV_COL_KEYS };

/* Message flags column. */
enum {
    LEV_ROW_PERSISTENT = 1,
    LEV_ROW_DEAD_LETTERED = 2,
    LEV_ROW_PRIORITY_SHIFT = 8,
    LEV_ROW_BCC_SHIFT = 16
};
#define LEV_ROW_FLAGS_MAX UINT64_C(0xffffffffffff)

// clang-format off
/* The writer's statements. */
#define LEV_WRITER_STATEMENTS(X)                                                                   \
    X(BEGIN, "BEGIN IMMEDIATE")                                                                    \
    X(COMMIT, "COMMIT")                                                                            \
    X(INSERT, "INSERT OR REPLACE INTO message SELECT * FROM lev_rows")                             \
    X(FIRST, "SELECT id FROM message WHERE id BETWEEN ?1 AND ?2 ORDER BY id LIMIT 1")              \
    X(DELETE, "DELETE FROM message WHERE id BETWEEN ?1 AND ?2")                                    \
    X(SHARED, "SELECT body_id FROM message WHERE id BETWEEN ?1 AND ?2 AND body_id IS NOT NULL")    \
    X(BODY_ADD, "INSERT INTO body(id,data) VALUES(?1,?2)")                                         \
    X(BODY_REFS_ADD, "INSERT INTO body_refs(id,refs) VALUES(?1,?2)")                               \
    X(BODY_UNREF, "UPDATE body_refs SET refs=refs-1 WHERE id=?1 RETURNING refs")                   \
    X(BODY_DELETE, "DELETE FROM body WHERE id=?1")                                                 \
    X(BODY_REFS_DELETE, "DELETE FROM body_refs WHERE id=?1")                                       \
    X(SPILL, "INSERT OR REPLACE INTO spill SELECT * FROM lev_rows")                                \
    X(SPILL_FIRST, "SELECT id FROM spill WHERE id BETWEEN ?1 AND ?2 ORDER BY id LIMIT 1")          \
    X(SPILL_LAST, "SELECT id FROM spill WHERE id BETWEEN ?1 AND ?2 ORDER BY id DESC LIMIT 1")      \
    X(SPILL_DELETE, "DELETE FROM spill WHERE id BETWEEN ?1 AND ?2")                                \
    X(SPILL_GARBAGE_ADD, "INSERT INTO spill_garbage(id,hi) VALUES(?1,?2)"                          \
        " ON CONFLICT(id) DO UPDATE SET hi=max(hi,excluded.hi)")                                   \
    X(SPILL_GARBAGE_FIRST, "SELECT id,hi FROM spill_garbage"                                       \
        " WHERE id BETWEEN ?1 AND ?2 ORDER BY id LIMIT 1")                                         \
    X(SPILL_GARBAGE_DELETE, "DELETE FROM spill_garbage WHERE id=?1")                               \
    X(FAILURES_PUT, "INSERT OR REPLACE INTO failures(id,count) VALUES(?1,?2)")                     \
    X(FAILURES_FIRST, "SELECT id FROM failures WHERE id BETWEEN ?1 AND ?2 ORDER BY id LIMIT 1")    \
    X(FAILURES_DELETE, "DELETE FROM failures WHERE id BETWEEN ?1 AND ?2")                          \
    X(QUEUE_ADD, "INSERT INTO queue(queue_id,head,next_pos,delivered_to,count,bytes,level,"        \
        "durable,auto_delete,name,arguments) VALUES(?1,0,0,0,0,0,?2,?3,?4,?5,?6)"                  \
        " ON CONFLICT(queue_id) DO UPDATE SET level=?2,durable=?3,auto_delete=?4,name=?5,"         \
        "arguments=?6")                                                                            \
    X(QUEUE_SET, "UPDATE queue SET head=?2,next_pos=?3,delivered_to=?4,count=?5,bytes=?6"          \
        " WHERE queue_id=?1")                                                                      \
    X(QUEUE_DELETE, "DELETE FROM queue WHERE queue_id=?1")                                         \
    X(DEAD_PUT, "INSERT OR REPLACE INTO dead(id,hi) VALUES(?1,?2)")                                \
    X(DEAD_DELETE, "DELETE FROM dead WHERE id BETWEEN ?1 AND ?2")                                  \
    X(GARBAGE_ADD, "INSERT OR REPLACE INTO garbage(queue_id,lo,hi) VALUES(?1,0,?2)")               \
    X(GARBAGE_DELETE, "DELETE FROM garbage WHERE queue_id=?1")                                     \
    X(EXCHANGE_ADD, "INSERT OR REPLACE INTO exchange(name,type,durable,auto_delete,internal,"      \
        "arguments) VALUES(?1,?2,?3,?4,?5,?6)")                                                    \
    X(EXCHANGE_DELETE, "DELETE FROM exchange WHERE name=?1")                                       \
    X(BINDING_ADD, "INSERT OR IGNORE INTO binding(source,to_queue,destination,routing_key,"        \
        "arguments) VALUES(?1,?2,?3,?4,?5)")                                                       \
    X(BINDING_DELETE, "DELETE FROM binding WHERE source=?1 AND to_queue=?2 AND destination=?3"     \
        " AND routing_key=?4 AND arguments=?5")                                                    \
    X(DELAY_ADD, "INSERT OR REPLACE INTO delayed(due,seq,via,keys,flags,expiration,exchange,"      \
        "routing_key,props,body) VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10)")                          \
    X(DELAY_DONE, "DELETE FROM delayed WHERE due=?1 AND seq=?2")                                   \
    X(DELAY_COUNT, "INSERT INTO delayed_exchange(name,count,last_seq) VALUES(?1,?2,?3)"            \
        " ON CONFLICT(name) DO UPDATE SET count=count+excluded.count,"                             \
        " last_seq=max(last_seq,excluded.last_seq)")                                               \
    X(DELAY_NONE, "DELETE FROM delayed_exchange WHERE name=?1 AND count<=0")                       \
    X(DEDUP_ADD, "INSERT OR REPLACE INTO dedup(owner,id,place,expires) VALUES(?1,?2,?3,?4)")       \
    X(DEDUP_DROP, "DELETE FROM dedup WHERE owner=?1 AND id=?2")                                    \
    X(DEDUP_CLEAR, "DELETE FROM dedup WHERE owner=?1")
// clang-format on

enum lev_statement {
#define X(name, sql) LEV_ST_##name,
    LEV_WRITER_STATEMENTS(X)
#undef X
        LEV_ST_COUNT
};

/* A queue id the file knows something of. */
struct lev_squeue {
    uint32_t id;
    bool live;          /* has a row in queue */
    bool garbage;       /* deleted, rows in message still to be removed (row in garbage) */
    bool spill_garbage; /* has rows in spill_garbage */
    bool failures;      /* may have rows in failures */
    bool touched;       /* in lev_state.touched */
    bool changed;       /* its row is to be written with this transaction */
    bool settled;       /* something died in this transaction: the head may move */
    uint64_t head, next_pos, delivered_to, count, bytes;
    uint64_t live_row;  /* a live row known to be stored here, none before it; or LEV_NO_POS */
    uint64_t purged;    /* no rows are left below; <= head while live */
    uint64_t dead_rows; /* rows that died and are still stored, as far as known */
    uint64_t dead_bytes;
    struct lev_ivset dead;              /* above head */
    struct lev_list purge_node;         /* in lev_state.purge */
    uint32_t first_insert, last_insert; /* chain in lev_state.inserts, of this transaction */
};

/* An ENQUEUE of the transaction, in its queue's chain. */
struct lev_insert {
    const struct lev_op *op;
    uint32_t next;
};

#define LEV_NO_INSERT UINT32_MAX

/* Everything the writer knows. */
struct lev_state {
    struct lev_squeue **slots; /* open addressing by id */
    size_t n, cap;
    struct lev_squeue *last;        /* looked up last */
    struct lev_list purge;          /* queues that may have dead rows */
    uint64_t dead_rows, dead_bytes; /* sums */
    uint64_t next_body_id;
    bool shared;        /* there may be rows in body */
    bool spilled;       /* there may be rows in spill */
    bool spill_garbage; /* there may be rows in spill_garbage */
    /* of the transaction: */
    struct lev_squeue **touched;
    size_t n_touched, cap_touched;
    struct lev_insert *inserts;
    size_t n_inserts, cap_inserts;
};

/* A row to be written. */
struct lev_row {
    const struct lev_op *op; /* ENQUEUE or SPILL */
    uint64_t body_id;        /* 0: the body is in the row */
};

/* What lev_rows gives, in this order. */
struct lev_rows {
    struct lev_row *v;
    size_t n, cap;
};

/* Changes of delayed_exchange that the transaction still has to write. */
struct lev_delay_sum {
    uint8_t name[UINT8_MAX];
    uint8_t len;
    int64_t count;
    uint64_t last_seq;
};

/* A body stored once in this transaction. */
struct lev_shared {
    const struct lev_msg *msg;
    uint64_t body_id; /* 0: only one queue has it */
};

struct lev_store_sqlite {
    struct lev_store base;
    struct lev_store_options options;
    char *path;
    const struct lev_store_client *client;
    void *ctx;

    /* writer */
    sqlite3 *db;
    sqlite3_stmt *st[LEV_ST_COUNT];
    struct lev_state state;
    bool reload;                      /* state must be loaded before the next transaction */
    bool synced;                      /* synchronous=FULL is in force */
    int wal_frames;                   /* at the last commit */
    struct lev_activity seen, recent; /* at the last look; since, fading */
    bool pays;                        /* to let batches age */
    unsigned looks;
    struct lev_rows rows;
    struct lev_shared *shared; /* sorted by msg; of the transaction */
    size_t n_shared, cap_shared;
    struct lev_delay_sum delays;
    pthread_mutex_t ids_mu;

    /* waking the writer */
    pthread_mutex_t mu;
    pthread_cond_t cond;
    _Atomic bool woken;
    bool stop; /* under mu */
    pthread_t writer;

    /* reader */
    sqlite3 *rdb;
    struct lev_reader *reader;

    struct lev_checkpointer *checkpointer;
    _Atomic bool unsynced; /* a sync of the file failed: no checkpoint any more, for good */
    pthread_rwlock_t gate; /* held by the reader while it reads, and against it by the writer when
                            * it ends a WAL: one that is being read cannot begin anew */

    struct {
        _Atomic uint64_t commits, batches, ops, bytes, commit_ns, apply_ns, failures, reads,
            read_items, checkpoints, checkpoint_ns, purged_rows, purge_ns, garbage_rows, wal_bytes;
    } stats;
    bool started;
};

#define LEV_STAT_ADD(s, name, v)                                                                   \
    atomic_fetch_add_explicit(&(s)->stats.name, (uint64_t)(v), memory_order_relaxed)
#define LEV_STAT_SET(s, name, v)                                                                   \
    atomic_store_explicit(&(s)->stats.name, (uint64_t)(v), memory_order_relaxed)

/* --- state.c --- */
void lev_state_init(struct lev_state *t);
void lev_state_deinit(struct lev_state *t);
struct lev_squeue *lev_state_get(struct lev_state *t, uint32_t id);
/* Reads it all anew from the file; on failure s->reload stays set and the old state stays. */
int lev_state_load(struct lev_store_sqlite *s);
/* The queue, made when unknown. */
struct lev_squeue *lev_state_make(struct lev_store_sqlite *s, uint32_t id);
/* Forgets a queue of which nothing is left; true when it was so. */
bool lev_state_forget(struct lev_store_sqlite *s, struct lev_squeue *q);
/* Lists it among those this transaction changes. */
void lev_state_touch(struct lev_state *t, struct lev_squeue *q);
void lev_state_may_purge(struct lev_state *t, struct lev_squeue *q);
/* Notes rows that died, or were removed when negative. */
void lev_state_count_dead(struct lev_state *t, struct lev_squeue *q, int64_t rows, int64_t bytes);
/* First (last) id in [from, to] of message or spill, by statement, or LEV_NO_POS. */
int lev_state_first(struct lev_store_sqlite *s, enum lev_statement st, uint64_t from, uint64_t to,
                    uint64_t *id_r);

/* --- apply.c --- */
/* Applies the batch inside the open transaction. An SQLite code. */
int lev_apply(struct lev_store_sqlite *s, const struct lev_batch *b);
/* After COMMIT: forgets what the transaction left behind. */
void lev_apply_committed(struct lev_store_sqlite *s);
/* Writes q's row and dead ranges if they changed. */
int lev_apply_queue(struct lev_store_sqlite *s, struct lev_squeue *q);

/* --- rows.c --- */
/* Makes the table lev_rows in db, giving rows (borrowed). */
int lev_rows_register(sqlite3 *db, struct lev_rows *rows);
void lev_rows_add(struct lev_rows *rows, const struct lev_op *op, uint64_t body_id);

/* --- insert.c --- */
void lev_insert_add(struct lev_state *t, struct lev_squeue *q, const struct lev_op *op);
/* Writes the rows of all touched queues. */
int lev_insert_flush(struct lev_store_sqlite *s);
int lev_insert_spill(struct lev_store_sqlite *s, const struct lev_op *op);
/* Removes the rows with id in [from, to], and shared bodies nobody needs any more; counts the rows.
 */
int lev_insert_delete(struct lev_store_sqlite *s, uint64_t from, uint64_t to, uint64_t *rows_r);

/* --- settle.c --- */
void lev_settle_one(struct lev_state *t, struct lev_squeue *q, const struct lev_op *op);
void lev_settle_range(struct lev_state *t, struct lev_squeue *q, const struct lev_op *op);
/* A row came in at pos, below head: it is live. */
void lev_settle_revive(struct lev_squeue *q, uint64_t pos);
/* Moves the head as far as it goes; rows of the transaction are in. */
int lev_settle_head(struct lev_store_sqlite *s, struct lev_squeue *q);

/* --- failures.c --- */
/* Writes op's count, unless the position is settled. */
int lev_failures_put(struct lev_store_sqlite *s, struct lev_squeue *q, const struct lev_op *op);
/* Has q any? Looks into the file. */
int lev_failures_any(struct lev_store_sqlite *s, const struct lev_squeue *q, bool *any_r);
/* Forgets those of the positions [lo, hi). */
int lev_failures_delete(struct lev_store_sqlite *s, const struct lev_squeue *q, uint64_t lo,
                        uint64_t hi);

/* --- delayed.c --- */
/* False for numbers and names that the broker must not give us. */
bool lev_delayed_valid(const struct lev_delayed *d);
int lev_delayed_put(struct lev_store_sqlite *s, const struct lev_delayed *d);
int lev_delayed_remove(struct lev_store_sqlite *s, const struct lev_delayed *d);
/* Writes the sums of the transaction. */
int lev_delayed_flush(struct lev_store_sqlite *s);
/* Fills r from st, a bound statement over LEV_DELAYED_ROWS. An SQLite code. */
int lev_delayed_read(sqlite3_stmt *st, struct lev_read *r);
#define LEV_DELAYED_ROWS                                                                           \
    "SELECT due,flags,NULL,expiration,NULL,exchange,routing_key,props,body,seq,via,keys"           \
    " FROM delayed WHERE (due,seq)>=(?1,?2) ORDER BY due,seq"

/* --- dedup.c --- */
int lev_dedup_put(struct lev_store_sqlite *s, const struct lev_dedup_def *d);
int lev_dedup_remove(struct lev_store_sqlite *s, const struct lev_dedup_def *d);
/* All of a queue, or (id 0) of an exchange. */
int lev_dedup_remove_all(struct lev_store_sqlite *s, uint32_t queue_id, struct lev_bytes exchange);

/* --- parts.c --- */
/* A row's parts, views into the statement's columns. */
struct lev_parts {
    uint64_t flags, expires, expiration, body_id;
    struct lev_bytes exchange, key, props, bcc, body;
};
/* False when the row is not one that can be. */
bool lev_parts_get(sqlite3_stmt *st, struct lev_parts *p);
/* A value's octets, if its type is one that can be there and there are at most max. The values are
 * the statement's own, used by its one thread only, which is what makes looking into them sound. */
bool lev_parts_octets(sqlite3_value *v, size_t max, struct lev_bytes *b_r);
/* The message; NULL when memory is out. */
struct lev_msg *lev_parts_msg(const struct lev_parts *p);
/* What the parts take in memory as a message. */
size_t lev_parts_size(const struct lev_parts *p);
/* The flags and props columns of a message. */
uint64_t lev_parts_flags(const struct lev_msg *m);
struct lev_bytes lev_parts_props(const struct lev_msg *m);

/* --- purge.c --- */
/* True when so many dead rows are stored that some must go even while the writer is busy. */
bool lev_purge_due(const struct lev_store_sqlite *s);
/* One slice of at most budget_ns in its own transaction. all: dead ranges above the heads even when
 * the bounds are kept. */
int lev_purge_slice(struct lev_store_sqlite *s, uint64_t budget_ns, uint64_t rows_max, bool all);
/* Removes all rows of a deleted queue at once, inside the open transaction: its id comes back. */
int lev_purge_queue(struct lev_store_sqlite *s, struct lev_squeue *q);

/* --- checkpoint.c --- */
/* Opens its connection. A LEV_E*. */
int lev_checkpointer_new(struct lev_store_sqlite *s, char *errbuf);
int lev_checkpointer_start(struct lev_store_sqlite *s);
void lev_checkpointer_free(struct lev_store_sqlite *s);
/* Sees to it that the WAL is copied into the file when it is long; idle: whenever it is worth it.
 * Between transactions. True when it is worth another call later, even if nothing is committed. */
bool lev_checkpoint(struct lev_store_sqlite *s, bool idle);
/* The WAL is long enough to end, and the thread copies: it comes to an end sooner when less is
 * written meanwhile. */
bool lev_checkpoint_ends(const struct lev_store_sqlite *s);
/* The one of a clean end, when db is the only connection left. */
void lev_checkpoint_last(struct lev_store_sqlite *s);

/* --- writer.c --- */
int lev_store_begin(struct lev_store_sqlite *s, bool synced);
int lev_store_commit(struct lev_store_sqlite *s);
/* Rolls back, and has the state loaded anew. */
void lev_store_rollback(struct lev_store_sqlite *s);

int lev_writer_on_wal(void *ctx, sqlite3 *db, const char *name, int frames);
void lev_writer_wake(struct lev_store_sqlite *s);
int lev_writer_start(struct lev_store_sqlite *s);
/* Has everything the client still has written, and ends the thread. */
void lev_writer_stop(struct lev_store_sqlite *s);

/* --- reader.c --- */
int lev_reader_new(struct lev_store_sqlite *s, char *errbuf);
int lev_reader_start(struct lev_store_sqlite *s);
void lev_reader_read(struct lev_store_sqlite *s, struct lev_read *r);
/* Serves what is queued and ends. */
void lev_reader_free(struct lev_store_sqlite *s);

#endif
