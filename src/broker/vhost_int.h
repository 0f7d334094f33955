/* A virtual host's inside, for the broker's own files. See vhost.h. */
#ifndef LEV_BROKER_VHOST_INT_H
#define LEV_BROKER_VHOST_INT_H

#include "base/map.h"
#include "broker/dead_letter.h"
#include "broker/dedup.h"
#include "broker/delay.h"
#include "broker/queue.h"
#include "broker/vhost.h"

enum {
    LEV_UNWRITTEN_HIGH = 64 << 20, /* store bytes in flight that hold publishers back */
    LEV_UNWRITTEN_LOW = 16 << 20,
};

/* Distinct queues that a batch touched; counted references. */
struct lev_marked {
    struct lev_queue **a;
    size_t n, cap;
};

struct lev_vhost {
    struct lev_lock lock;
    struct lev_bytes name; /* owned */
    struct lev_store *store;
    uint64_t (*now_ms)(void);
    struct lev_topology *topology;
    struct lev_policy_set *policies; /* owned; NULL: none */
    struct lev_windows windows;
    struct lev_list settings;               /* lev_settings_share: of the queues */
    const struct lev_queue_settings *plain; /* a reference; of a queue that none were given yet */
    struct lev_map queues;                  /* by name */
    struct lev_map reply_chans;             /* channel by direct reply-to name */
    uint64_t queue_epoch;                   /* changes when a queue comes or goes */
    uint32_t last_queue_id;
    uint8_t *ids_used; /* bitmap of queue ids in use */
    uint32_t ids_cap;
    struct lev_timers timers;
    struct lev_timer again;  /* another run is wanted at once */
    struct lev_timer reread; /* queues in unread try again */
    struct lev_timer patrol; /* looks for deliveries that are not acknowledged in time */
    uint64_t alarm_ms;       /* what alarm was last told */
    void (*alarm)(void *ctx, uint64_t due_ms);
    void *alarm_ctx;
    struct lev_vhost_limits limits;
    uint64_t consumer_timeout_ms; /* of queues that set none; LEV_UNLIMITED: none */
    uint64_t patrol_ms;           /* between two looks at them */
    uint64_t now;                 /* of this run; 0: not asked for yet */
    uint32_t now_up_s;            /* the same in seconds, rounded up */
    struct lev_dead *dead;        /* deaths of this run, to be routed */
    size_t n_dead, cap_dead;
    struct lev_dead *dying;    /* the one being routed, or NULL */
    struct lev_deaths put_off; /* deaths beyond what one run routes: see dead_letter.h */
    size_t deaths_left; /* how many of the third generation and later this run still routes */
    struct lev_delays delays;
    struct lev_effects effects; /* of the message routed last */
    struct lev_dedup *restored; /* recovery: of the owner whose id came last */
    struct lev_list clients;
    struct lev_list kicked;          /* lev_queue.kick_node */
    struct lev_list unread;          /* lev_queue.unread_node: a read failed, to try again */
    struct lev_list confirm_run;     /* lev_chan.run_node */
    struct lev_list confirm_waiting; /* lev_chan.wait_node */
    struct lev_list throttled;       /* lev_client.throttle_node */

    struct lev_batch *open;
    struct lev_batch *sealed;  /* the one before it, when it is left to age: see batch.c; or NULL */
    struct lev_marked marked;  /* of the open batch */
    struct lev_marked aged;    /* of the sealed one */
    struct lev_marked written; /* of the one being written */
    uint64_t next_batch;
    uint64_t durable; /* batches up to it are on stable storage */
    struct lev_queue
        *over; /* a queue that this run's publishes outran; not a reference: see throttle */
    size_t in_flight_bytes;
    _Atomic uint64_t enqueued, settled, cancelled; /* struct lev_activity; written under the lock */
    uint64_t cancelled_seen;                       /* by lev_confirm_end_run */
    bool together; /* what this run does to messages must be in one batch: nothing is taken back
                    * from the sealed one */
    bool to_tail;  /* a message went to the end of a long queue, from where the store takes it */
    bool woken;    /* the store knows that the open batch has something */
    bool failed;   /* the store cannot write */

    size_t memory;           /* bytes of ready messages in memory */
    uint64_t ready, unacked; /* of all its queues: see lev_queue_add_ready */
    size_t n_consumers, n_channels, n_clients;
};

void lev_vhost_read_clock(struct lev_vhost *v);

/* Wall clock in ms, read once a run. */
static inline uint64_t lev_vhost_now(struct lev_vhost *v)
{
    if (!v->now)
        lev_vhost_read_clock(v);
    return v->now;
}

/* The same in seconds, rounded up. */
static inline uint32_t lev_vhost_now_up_s(struct lev_vhost *v)
{
    if (!v->now)
        lev_vhost_read_clock(v);
    return v->now_up_s;
}

/* The backlog may be so long that publishers have to wait, or messages to leave memory. False for
 * nearly every queue; cheap. */
static inline bool lev_queue_crowded(const struct lev_queue *q)
{
    const struct lev_vhost *v = q->vhost;
    return q->paged || q->front.len > v->windows.max / 2 ||
           q->front.bytes > v->windows.max_bytes / 2 || v->memory > v->windows.pressure ||
           q->top != q;
}

/* A queue's or level's counts change; those of the vhost follow, but for deleted queues, of which
 * lev_queue_destroy has taken it all off. Nothing else writes them. */
static inline void lev_queue_add_ready(struct lev_queue *level, uint64_t n)
{
    level->ready += n;
    level->top->ready += level->top != level ? n : 0;
    level->vhost->ready += level->deleted ? 0 : n;
}

static inline void lev_queue_sub_ready(struct lev_queue *level, uint64_t n)
{
    lev_queue_add_ready(level, -n);
}

static inline void lev_queue_add_unacked(struct lev_queue *level)
{
    level->unacked++;
    level->vhost->unacked += !level->deleted;
}

static inline void lev_queue_sub_unacked(struct lev_queue *level, uint64_t n)
{
    level->unacked -= n;
    level->vhost->unacked -= level->deleted ? 0 : n;
}

/* --- admin.c --- */
/* What arguments and the vhost's policies come to for a queue; *out is owned by the caller. */
void lev_vhost_resolve(const struct lev_vhost *v, struct lev_bytes name, struct lev_bytes arguments,
                       struct lev_queue_settings *out);
/* For struct lev_topology_ops; ctx is the vhost. */
bool lev_vhost_policy_alternate(void *ctx, struct lev_bytes name, struct lev_bytes *alternate_r);

/* As lev_route_msg, with the effects in v->effects. Every message goes this way. */
static inline const struct lev_route *lev_vhost_route(struct lev_vhost *v, struct lev_exchange *x,
                                                      struct lev_msg *msg,
                                                      const struct lev_bytes *keys, size_t n_keys,
                                                      struct lev_bytes headers)
{
    lev_effects_begin(v);
    return lev_route_msg(v->topology, x, msg, keys, n_keys, headers);
}

/* --- late.c: messages held back, ids remembered --- */
/* For struct lev_topology_ops; ctx is the vhost. */
void lev_vhost_deduplicate(void *ctx, struct lev_exchange *x);
bool lev_vhost_duplicate(void *ctx, struct lev_exchange *x, struct lev_bytes headers);
void lev_vhost_delay(void *ctx, struct lev_exchange *x, const struct lev_walk *w,
                     uint64_t delay_ms);
/* For struct lev_recovery. */
void lev_vhost_recover_delayed(void *ctx, const struct lev_delay_state *s);
void lev_vhost_recover_dedup(void *ctx, const struct lev_dedup_def *d);

/* --- patrol.c --- */
void lev_patrol(struct lev_timer *t, uint64_t now_ms);
void lev_patrol_start(struct lev_vhost *v);

/* --- batch.c: the batches that are not being written yet --- */
struct lev_batch *lev_batch_new(uint64_t id);
/* Appends an operation, no ENQUEUE, and returns its index. */
uint32_t lev_vhost_op(struct lev_vhost *v, const struct lev_op *op);
/* Appends e's ENQUEUE, with a reference of its own on the message, and notes in e where it is. */
void lev_vhost_enqueue(struct lev_vhost *v, uint32_t queue_id, struct lev_entry *e);
/* Takes back e's ENQUEUE or SPILL if that can be; norow leaves a NOROW settle in its place. */
bool lev_vhost_op_cancel(struct lev_vhost *v, const struct lev_entry *e, bool norow);
/* The next batch for the store, or NULL; see struct lev_store_client. */
struct lev_batch *lev_vhost_take(struct lev_vhost *v, bool seal);
/* There is something to write. */
bool lev_vhost_has_batch(const struct lev_vhost *v);
/* What memory is held by that is not on stable storage yet: messages' octets and operations. */
size_t lev_vhost_unwritten(const struct lev_vhost *v);
void lev_marked_free(struct lev_marked *m);
/* The queue is told (lev_window_stored) when the open batch is durable. */
void lev_vhost_watch(struct lev_vhost *v, struct lev_queue *q);
uint32_t lev_vhost_take_queue_id(struct lev_vhost *v);
void lev_vhost_use_queue_id(struct lev_vhost *v, uint32_t id);
void lev_vhost_drop_queue_id(struct lev_vhost *v, uint32_t id);
/* The queue's row is to be written with the open batch, if it has one. */
static inline void lev_vhost_mark(struct lev_vhost *v, struct lev_queue *q)
{
    if (q->dest.durable && q->mark_batch != v->open->id)
        lev_vhost_watch(v, q);
}

#endif
