/* What the broker asks of a durable store, and what the store tells the broker.
 *
 * The broker, under its vhost's lock, appends operations to an OPEN BATCH (struct lev_batch) it
 * owns. The store's one writer thread TAKES the batch (callback take: the broker swaps in an empty
 * one), applies all of it in ONE transaction, COMMITs, and reports it DONE. Batches are applied
 * whole and in order. All that the broker did within one hold of the lock is in one batch: that is
 * what makes transactions and dead-lettering atomic over a crash.
 *
 * Positions. A message's place in its queue is a 40-bit position, increasing in queue order, never
 * reused. Stored id = queue_id << 40 | position. Some positions never reach the store (transient
 * messages, and pairs that cancelled while the batch was open). A position is DEAD once it is
 * settled.
 *
 * Settling. The broker reports each settled position of a durable queue that has or may have live
 * rows: LEV_OP_SETTLE (flag LEV_OPF_NOROW when there is no row for it: a transient message or a
 * cancelled pair, given only so that dead ranges join up). The store keeps per queue `head` (every
 * position below is dead) and a set of disjoint dead ranges above it; only those are written (queue
 * row, table `dead`); rows below head are deleted later, in large ranges, when the writer is idle
 * or garbage exceeds a bound. head moves on past dead ranges, and past gaps that hold no row (the
 * first live row's id bounds it).
 *
 * Failure. When the transaction cannot be committed (disk full, I/O error) the store keeps the
 * batch, calls trouble once, retries every second, and calls trouble with rc 0 when it went
 * through; done is never called for a batch that is not on stable storage. */
#ifndef LEV_BROKER_STORE_H
#define LEV_BROKER_STORE_H

#include "broker/message.h"

/* Largest queue id (23 bits) and position (40 bits). Queue id 0 is never used. */
#define LEV_QUEUE_ID_MAX ((UINT32_C(1) << 23) - 1)
#define LEV_POSITION_MAX ((UINT64_C(1) << 40) - 1)

/* Largest struct lev_queue_def.level: priorities are octets. */
enum { LEV_QUEUE_LEVEL_MAX = UINT8_MAX + 1 };

enum lev_op_kind {
    LEV_OP_NONE,    /* a cancelled operation: skip it */
    LEV_OP_ENQUEUE, /* msg at (queue_id, pos); counts in the queue's row */
    LEV_OP_SPILL,   /* like ENQUEUE for a transient message: written to table spill, not counted,
                     * forgotten at the next start; makes no promise of durability */
    LEV_OP_SETTLE,  /* position is dead; size is the message's size as given at ENQUEUE */
    LEV_OP_SETTLE_RANGE, /* [pos, end) is dead: purge. count and bytes: live stored messages in it
                          */
    LEV_OP_UNSPILL,      /* the spilled rows [pos, end) are no longer needed: reads after the
                          * batch do not give them */
    LEV_OP_COUNT,        /* count: failed deliveries of the stored message at pos; ignored when
                          * there is none or it is settled; given back up to UINT16_MAX */
    LEV_OP_QUEUE_ADD,    /* def is struct lev_queue_def */
    LEV_OP_QUEUE_DELETE, /* queue_id and all its rows; rows may go later in slices, but must never
                          * come back after a restart */
    LEV_OP_EXCHANGE_ADD, /* def is struct lev_exchange_def */
    LEV_OP_EXCHANGE_DELETE, /* def: name only */
    LEV_OP_BINDING_ADD,    /* def is struct lev_binding_def; adding one that is there is harmless */
    LEV_OP_BINDING_DELETE, /* def: exact binding */
    LEV_OP_DELAY_ADD,      /* delayed: to be kept until it is done */
    LEV_OP_DELAY_DONE,     /* delayed: its due time has come; it is there */
    LEV_OP_DEDUP_ADD,      /* def is struct lev_dedup_def; replaces that of the same owner and id */
    LEV_OP_DEDUP_DROP,     /* def: owner and id */
    LEV_OP_DEDUP_CLEAR,    /* all of queue_id. (A queue's or exchange's deletion does that, too.) */
};

enum { LEV_OPF_NOROW = 1, LEV_OPF_SPILLED = 2 /* SETTLE of a row in spill */ };

struct lev_op {
    uint8_t kind;  /* enum lev_op_kind */
    uint8_t flags; /* LEV_OPF_* */
    uint32_t queue_id;
    uint64_t pos;
    union {
        struct lev_msg *msg; /* ENQUEUE, SPILL: holds a reference; released by lev_batch_free */
        uint64_t end;        /* SETTLE_RANGE, UNSPILL */
        void *def; /* *_ADD, *_DELETE of exchange and binding, DEDUP_ADD and _DROP: one malloc
                    * block, owned */
        struct lev_delayed *delayed; /* DELAY_*: holds a reference; released by lev_batch_free */
    } u;
    uint64_t expires_at_ms; /* ENQUEUE, SPILL: wall clock; 0 = never */
    uint32_t size;          /* ENQUEUE, SETTLE: octets as counted in the queue's bytes */
    uint32_t count;         /* SETTLE_RANGE: messages; COUNT: failed deliveries */
    uint64_t bytes;         /* SETTLE_RANGE */
};

/* A queue's row as the broker knows it when the batch is taken. */
struct lev_queue_mark {
    uint32_t queue_id;
    uint64_t next_pos; /* the next position to be given out */
    uint64_t
        delivered_to; /* messages at positions below it come back redelivered after a restart */
};

/* A plain, serialisable list of operations, in order. */
struct lev_batch {
    uint64_t id; /* increases by one a batch; 0 is never used */
    struct lev_op *ops;
    size_t n_ops, cap_ops;
    size_t live;                  /* operations that must be written: neither NONE nor NOROW */
    bool firm;                    /* more than messages came and went: what is in it is promised
                                   * only once it is stored (see confirm.c) */
    size_t bytes;                 /* message octets referenced: what back-pressure counts */
    struct lev_queue_mark *marks; /* distinct queues */
    size_t n_marks, cap_marks;
};

/* Releases message references and defs, and the batch. Accepts a pointer to NULL. Any thread. */
void lev_batch_free(struct lev_batch **b);

/* Definitions: one malloc block each; the views point into it. */
struct lev_queue_def {
    uint32_t queue_id;
    uint32_t level; /* 0: a queue; n + 1: priority level n of the queue of that name */
    bool durable, auto_delete;
    struct lev_bytes name, arguments; /* arguments: raw field table */
};

struct lev_exchange_def {
    bool durable, auto_delete, internal;
    struct lev_bytes name, type, arguments;
};

struct lev_binding_def {
    bool to_queue; /* else to an exchange */
    struct lev_bytes source, destination, routing_key, arguments;
};

/* Copies of a definition in one block (free()); never NULL. */
struct lev_queue_def *lev_queue_def_copy(const struct lev_queue_def *d);
struct lev_exchange_def *lev_exchange_def_copy(const struct lev_exchange_def *d);
struct lev_binding_def *lev_binding_def_copy(const struct lev_binding_def *d);

/* A message that waits for its time. Immutable but for the count of references. Order: due_ms, then
 * seq. */
struct lev_delayed {
    _Atomic uint32_t refs;
    uint64_t due_ms, seq;      /* together unique; both < 2^63 */
    struct lev_msg *msg;       /* owned reference */
    struct lev_bytes exchange; /* that holds it back, and routes it when it is due */
    struct lev_bytes keys;     /* routing keys as of lev_keys_pack */
};

/* One with one reference, owning a reference on msg and copies of the rest. Never NULL. */
struct lev_delayed *lev_delayed_new(uint64_t due_ms, uint64_t seq, struct lev_msg *msg,
                                    struct lev_bytes exchange, struct lev_bytes keys);
struct lev_delayed *lev_delayed_ref(struct lev_delayed *d);
/* Accepts a pointer to NULL. Any thread. */
void lev_delayed_unref(struct lev_delayed **d);

/* What the store knows of an exchange's delayed messages. */
struct lev_delay_state {
    struct lev_bytes exchange;
    uint64_t count;    /* > 0 */
    uint64_t last_seq; /* none of them has a greater one */
};

/* An id that has been seen by an exchange or a queue that drops duplicates. */
struct lev_dedup_def {
    struct lev_bytes exchange; /* the owner's name, when queue_id is 0 */
    uint32_t queue_id;
    uint64_t place;         /* the owner's order; < 2^63 */
    uint64_t expires_at_ms; /* wall clock; 0: never */
    struct lev_bytes id;
};

struct lev_dedup_def *lev_dedup_def_copy(const struct lev_dedup_def *d);

/* A block of a queue's middle, read back. */
struct lev_read_item {
    uint64_t pos;
    struct lev_msg *msg; /* owned by whoever gets the request back */
    uint64_t expires_at_ms;
    uint16_t count; /* failed deliveries */
    bool spilled;
};

struct lev_read {
    uint32_t queue_id;
    uint64_t from, to; /* positions [from, to) */
    size_t max_items, max_bytes;
    void *user; /* the broker's, both */
    uint32_t tag;
    bool delayed; /* wanted are delayed messages from (from_due, from) on; queue_id and to are not
                   * looked at */
    uint64_t from_due;
    bool parked; /* the broker's, too */
    /* filled by the store; after a failure, too, items are what is below reached, and sound: */
    int rc;                      /* 0, or LEV_EIO / LEV_ECORRUPT / LEV_ENOMEM */
    struct lev_read_item *items; /* ascending; dead ranges left out; malloc'ed */
    size_t n_items;
    uint64_t reached; /* everything below was looked at: == to when the range is exhausted */
    struct lev_delayed **late; /* ascending; malloc'ed; references are owned by whoever gets the
                                * request back */
    size_t n_late;
    bool exhausted; /* there is no delayed message behind the last one given */
};

/* Frees a request with its items and their message references. */
void lev_read_free(struct lev_read **r);

/* True when properties read from a file are well formed (or empty), so that a message may have
 * them. Any thread. */
bool lev_stored_props_valid(struct lev_bytes raw);

/* What went through the open batches so far. */
struct lev_activity {
    uint64_t enqueued;  /* messages to be stored */
    uint64_t settled;   /* messages that were to be stored, or are, and are done with */
    uint64_t cancelled; /* of them, those that were never written */
};

/* What the store calls; never under a lock of the store's; writer or reader thread. */
struct lev_store_client {
    /* The next batch to be written (live > 0 or marks > 0; ownership passes), or NULL when there is
     * nothing to write just now. That is the sealed batch if there is one. seal: the open batch
     * becomes the sealed one, to be taken by a later call: what is consumed meanwhile is not
     * written. Without it, the open batch is taken when there is no sealed one. */
    struct lev_batch *(*take)(void *ctx, bool seal);
    /* The batch is on stable storage; ownership comes back. */
    void (*done)(void *ctx, struct lev_batch *batch);
    /* rc < 0: writing fails with text, retrying; rc == 0: writes work again. */
    void (*trouble)(void *ctx, int rc, const char *text);
    /* A read came back; ownership passes. */
    void (*loaded)(void *ctx, struct lev_read *read);
    /* Lock-free. May be NULL. */
    struct lev_activity (*activity)(void *ctx);
};

/* What the broker calls, under its lock: none of these blocks or does I/O. */
struct lev_store;
struct lev_store_ops {
    /* There is something in the open batch (called when it stops being empty). */
    void (*wake)(struct lev_store *s);
    /* Queue a read (takes r); loaded is called later, always. Reads see what was committed before
     * the call. Several may be queued; served in order. */
    void (*read)(struct lev_store *s, struct lev_read *r);
};

struct lev_store {
    const struct lev_store_ops *ops;
};

/* Recovery: the store reads topology and counters (never messages) once, before its threads start.
 */
struct lev_queue_state {
    uint64_t head, next_pos, delivered_to;
    uint64_t count, bytes; /* live stored messages */
};

struct lev_recovery {
    void (*exchange)(void *ctx, const struct lev_exchange_def *d);
    /* Queues (level 0) come before all levels; each level's queue is there. */
    void (*queue)(void *ctx, const struct lev_queue_def *d, const struct lev_queue_state *s);
    void (*binding)(void *ctx, const struct lev_binding_def *d);
    /* A queue id that must not be given out: rows of a deleted queue are still to be removed. May
     * be NULL. */
    void (*used_id)(void *ctx, uint32_t queue_id);
    /* Each exchange that holds messages back, there or not. May be NULL, and so may dedup. */
    void (*delayed)(void *ctx, const struct lev_delay_state *s);
    /* After the exchanges and queues; those of one owner together, by place. */
    void (*dedup)(void *ctx, const struct lev_dedup_def *d);
};

#endif
