/* A queue: its ready messages in memory and in the store, its consumers, its settings.
 *
 * Ready messages, in order of position:
 *
 *     front (array in memory) | middle (count and range in the store) | tail (array in memory)
 *
 * Everything published goes to the back of front while the queue is small (paged is false: middle
 * and tail are empty). A queue that outgrows its window becomes paged: front keeps the window
 * (sizes: struct lev_windows in vhost.h), new messages go to tail, and whatever of the tail is on
 * disk is dropped from memory into the middle, which is read back in blocks ahead of need.
 * Invariants, under the vhost's lock:
 *  1. positions ascend through front, then [mid_from, mid_to), then tail;
 *  2. !paged implies mid_count == 0, tail empty;
 *  3. the middle holds only positions that were never delivered, or that no channel holds: a read
 * of [mid_from, mid_to) gives exactly the mid_count ready messages;
 *  4. at most one read is under way (loading), and load_gen tells a stale one;
 *  5. ready list non-empty and front non-empty implies the queue is kicked (dispatched at end of
 * run). */
#ifndef LEV_BROKER_QUEUE_H
#define LEV_BROKER_QUEUE_H

#include "broker/chan.h"
#include "broker/consumer.h"
#include "broker/park.h"
#include "broker/settings.h"
#include "broker/timer.h"
#include "broker/topology.h"

struct lev_queue {
    struct lev_dest dest; /* name, durable, bindings */
    struct lev_vhost *vhost;
    struct lev_queue *top; /* itself, or the priority queue it is a level of */
    /* what every message touches */
    uint64_t next_pos;
    uint64_t ready, ready_bytes; /* of bodies; a priority queue counts its levels' */
    uint64_t delivered_to;       /* every position ever handed out is below it */
    uint64_t reserved_to;        /* delivered_to as the store was last told, with a reserve */
    uint64_t stored_live;        /* durable rows not settled, in any batch */
    struct lev_list ready_list;  /* ready_node, by priority, round robin within */
    const struct lev_queue_settings *settings; /* a reference */
    struct lev_dedup *dedup;                   /* NULL: duplicates pass; never of a level */
    struct lev_pace *pace;                     /* pace.c; NULL: nobody was made to wait */
    struct lev_list kick_node;                 /* vhost.kicked */
    uint32_t id;                               /* in the store */
    uint32_t n_consumers;
    uint32_t n_levels;
    uint16_t level; /* as in struct lev_queue_def */
    bool limited;   /* lev_queue_has_limits, or a level: publishing takes the longer way */
    bool paged, loading;
    bool squeezed; /* memory was short: front gave some of its end back to the middle */
    bool yielding; /* active is handed nothing more: another is to take over */
    bool unpaced;  /* its consumers do not keep up anyway */
    bool auto_delete, exclusive, deleted, had_consumer;
    struct lev_entries front, tail;
    uint64_t unacked;          /* with channels or parked */
    uint64_t mark_batch;       /* open batch that has a mark of it */
    struct lev_list consumers; /* queue_node */
    struct lev_queue **levels; /* with messages, lowest priority first: itself, or its levels */
    struct lev_queue *self;    /* levels of a queue without priorities */

    uint64_t mid_from, mid_to, mid_count, mid_bytes;
    uint64_t mid_stored, mid_stored_bytes; /* of them, durable rows */
    uint64_t read_after;                   /* reads wait until this batch is durable */
    uint32_t load_gen;
    uint32_t tail_handled;                 /* leading tail entries that are stored or spilled */
    struct lev_list unread_node;           /* vhost.unread */
    struct lev_list getters;               /* lev_get.node: basic.get waiting for a block */
    struct lev_park *park[LEV_PARK_KINDS]; /* owned; NULL: nothing was parked yet */

    struct lev_consumer *exclusive_consumer;
    struct lev_consumer *active; /* of a single-active-consumer queue: see active.h */
    struct lev_client *owner;    /* of an exclusive queue */
    struct lev_list owner_node;
    struct lev_timer expiry; /* when the message at the head expires */
    struct lev_timer disuse; /* x-expires */
    uint64_t used_ms;        /* last declared, consumed from, or got from */

    uint32_t refs; /* vhost map, unacked, tx, marks, reads */
    uint32_t arguments_len;
    uint8_t text[]; /* the name, then the arguments */
};

/* As declared: a raw field table, a view. */
static inline struct lev_bytes lev_queue_arguments(const struct lev_queue *q)
{
    return lev_bytes(q->text + q->dest.name.len, q->arguments_len);
}

/* basic.get that waits for the middle. */
struct lev_get {
    struct lev_list node;
    struct lev_chan *chan;
    bool no_ack;
};

/* --- queue.c --- */
struct lev_queue *lev_queue_new(struct lev_vhost *v, const struct lev_queue_def *def);
/* Puts new settings in force at once; takes what they own. Priority levels stay as they were made.
 */
void lev_queue_apply_settings(struct lev_queue *q, struct lev_queue_settings *resolved);
/* It has a TTL, a length limit or levels, or drops duplicates. */
bool lev_queue_has_limits(const struct lev_queue *q);
/* Gives a priority queue its levels, unknown to the store. */
void lev_queue_make_levels(struct lev_queue *q);
/* Replaces a level by one that the store knows; takes it. False when the queue has no such level.
 */
bool lev_queue_set_level(struct lev_queue *q, struct lev_queue *level);
/* Lets go of the levels: the queue is deleted or the vhost ends. */
void lev_queue_drop_levels(struct lev_queue *q);
static inline struct lev_queue *lev_queue_ref(struct lev_queue *q)
{
    q->refs++;
    return q;
}

void lev_queue_unref(struct lev_queue **q);
/* Gives up n references. */
void lev_queue_unref_many(struct lev_queue **q, size_t n);

/* Ready messages, in memory or not. */
static inline uint64_t lev_queue_ready(const struct lev_queue *q)
{
    return q->ready;
}

/* What lev_queue_publish gives when the queue's limit refuses the message. */
#define LEV_QUEUE_REJECTED UINT64_MAX

/* Enqueues (or hands to a ready consumer at once). Borrows msg, takes its own reference. Returns
 * the batch that must be durable before the publish may be confirmed; 0: none; LEV_QUEUE_REJECTED:
 * refused. */
uint64_t lev_queue_publish(struct lev_queue *q, struct lev_msg *msg);
/* The same, taking the caller's reference. */
uint64_t lev_queue_publish_taking(struct lev_queue *q, struct lev_msg *msg);
/* Puts a consumer behind the others of its priority in the ready list. */
void lev_queue_link_ready(struct lev_queue *q, struct lev_consumer *c);
/* Balances the windows of its levels: what is in memory, what is read ahead. */
void lev_queue_balance(struct lev_queue *q);
/* Hands out what consumers can take. */
void lev_queue_dispatch(struct lev_queue *q);
/* Has it dispatched at the end of the run. */
void lev_queue_kick(struct lev_queue *q);
/* A delivery comes back to its place. Takes the entry's message reference. */
void lev_queue_requeue(struct lev_queue *q, struct lev_entry *e);
/* Tells those who may care that a message is finished with. Use lev_queue_settled. */
void lev_queue_tell_settled(struct lev_queue *q, const struct lev_entry *e);
/* A message is finished with: tells the store. Does not touch the message reference. */
static inline void lev_queue_settled(struct lev_queue *q, const struct lev_entry *e)
{
    if (q->dest.durable || q->top->dedup || e->flags & LEV_ENTRY_SPILLED)
        lev_queue_tell_settled(q, e);
}
/* The same for one that goes elsewhere, in the open batch: its end is in the same. */
void lev_queue_moved(struct lev_queue *q, const struct lev_entry *e);
/* The same for a message of a durable queue that is long durable and whose body of that size is not
 * in memory. */
void lev_queue_settled_unread(struct lev_queue *q, const struct lev_entry *e, uint32_t size);
/* Removes all messages that are ready or held for a retry; returns how many. */
uint64_t lev_queue_purge(struct lev_queue *q);
/* Takes the first ready message that has not expired and is in memory: true with *e_r (its
 * reference passes) and the level it comes from. */
bool lev_queue_take(struct lev_queue *q, struct lev_entry *e_r, struct lev_queue **level_r);
/* Forgets a ready message that was popped from front: counters only. */
void lev_queue_left(struct lev_queue *level, const struct lev_entry *e);
/* Serves gets that wait, after a block came in or when there is nothing left to wait for. */
void lev_queue_serve_getters(struct lev_queue *q);

/* A delivery failed and the message's count grew: tells the store. */
void lev_queue_count_changed(struct lev_queue *q, const struct lev_entry *e);
/* Notes that a position is being handed out. */
void lev_queue_handed_out(struct lev_queue *q, uint64_t pos);

/* --- window.c --- */
/* Pages out what is beyond the window, spills, and asks for the next block, as needed. */
void lev_window_balance(struct lev_queue *q);
/* A batch became durable: what it stored can leave memory. */
void lev_window_stored(struct lev_queue *q);
/* A read came back. */
void lev_window_loaded(struct lev_queue *q, struct lev_read *r);
/* Timer: queues whose reads failed try again. */
void lev_window_reread(struct lev_timer *t, uint64_t now_ms);
/* Starts a queue whose messages are all in the store. */
void lev_window_recover(struct lev_queue *q, const struct lev_queue_state *s);

#endif
