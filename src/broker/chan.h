/* A channel, the broker's side: consumers, unacknowledged deliveries, prefetch, confirms,
 * transaction.
 *
 * Under the vhost's lock. Invariants:
 *  - unacked is sorted by delivery tag; slots settled out of order stay as holes (queue == NULL)
 * until they reach the front or the array is compacted, so memory is O(outstanding);
 *  - confirms leave in order of publishing: runs is a queue of (batch, last sequence number); a run
 * is due when its batch is durable (batch 0: at once). */
#ifndef LEV_BROKER_CHAN_H
#define LEV_BROKER_CHAN_H

#include "base/list.h"
#include "base/map.h"
#include "broker/client.h"
#include "broker/entry.h"
#include "broker/error.h"

struct lev_queue;

/* How a delivery was settled. */
enum lev_settle {
    LEV_SETTLE_ACK,
    LEV_SETTLE_REQUEUE, /* given back */
    LEV_SETTLE_REJECT,
    LEV_SETTLE_FAIL, /* back, because its delivery failed: rejected with requeue, or the channel is
                        gone */
};

struct lev_unacked {
    struct lev_queue *queue;       /* counted reference; NULL: settled */
    struct lev_consumer *consumer; /* NULL: basic.get, or its consumer is gone */
    uint64_t tag;
    struct lev_entry e;
    uint32_t since_s;   /* when it was handed out: vhost's clock in seconds, up */
    bool in_tx;         /* settled by the open transaction */
    bool from_consumer; /* not by basic.get: counts in prefetch windows */
};

struct lev_unacked_list {
    struct lev_unacked *a;
    size_t cap, first, len; /* len counts holes */
};

struct lev_confirm_run {
    uint64_t batch; /* 0: due at once */
    uint64_t upto;  /* sequence numbers up to and including it */
    bool nack;
};

/* The operations of one publish in the open batch: [from, to). */
struct lev_op_range {
    uint32_t from, to;
};

/* Which publishes of a batch are already done with: see confirm.c. */
struct lev_early {
    uint64_t batch; /* the ranges belong to it */
    uint64_t base;  /* a[0] is of sequence number base + 1 */
    struct lev_op_range *a;
    size_t n, cap;
    size_t at; /* those before it are done with */
};

struct lev_tx_publish {
    struct lev_msg *msg;       /* owned reference */
    struct lev_queue **queues; /* counted references; malloc'ed */
    size_t n_queues;
    bool mandatory, late;
    struct lev_bytes keys; /* late: routed at commit, by these (keys.h); owned */
};

struct lev_tx_settle {
    uint64_t tag;
    enum lev_settle how;
};

struct lev_tx {
    struct lev_tx_publish *publishes;
    size_t n_publishes, cap_publishes;
    struct lev_tx_settle *settles;
    size_t n_settles, cap_settles;
    size_t bytes;
};

/* The queue to which the channel's last publish went by its name: most publishers go on so. */
struct lev_route_memo {
    uint64_t epoch; /* queue is good while this is the vhost's queue_epoch */
    struct lev_queue *queue;
};

struct lev_chan {
    struct lev_client *client;
    struct lev_list node;          /* client.channels */
    struct lev_list run_node;      /* vhost.confirm_run: published in this run */
    struct lev_list wait_node;     /* vhost.confirm_waiting: has runs that wait for the store */
    struct lev_map consumers;      /* by tag */
    struct lev_list consumer_list; /* chan_node, in order of consume */
    struct lev_unacked_list unacked;
    size_t n_unacked;          /* outstanding */
    size_t n_unacked_consumed; /* of them, delivered to consumers (basic.get is never limited) */
    uint64_t last_tag;
    uint32_t prefetch;        /* for consumers started from now on */
    uint32_t prefetch_global; /* 0: no limit */
    uint16_t number;
    bool confirm_mode, tx_mode;
    bool tx_committing; /* commit-ok waits for tx_batch */
    uint64_t tx_batch;
    uint64_t publish_seq; /* of the last publish in confirm mode */
    uint64_t confirmed;   /* last sequence number answered */
    struct lev_confirm_run *runs;
    size_t runs_cap, runs_first, runs_len;
    struct lev_early early[2]; /* of the open batch, and of the one before */
    struct lev_tx tx;
    struct lev_route_memo memo;
    struct lev_consumer *reply_consumer; /* of amq.rabbitmq.reply-to */
    struct lev_bytes reply_token;        /* owned; full name amq.rabbitmq.reply-to.… */
    struct lev_error *failure;           /* owned: the session is to close the channel with it */
    struct lev_get *pending_get;         /* basic.get that waits for a block to be read */
};

/* All with the vhost's lock held. */
void lev_chan_init(struct lev_chan *ch, struct lev_client *c, uint16_t number);
/* Ends it: consumers go, unacknowledged messages return to their queues, nothing more is confirmed.
 * Idempotent. */
void lev_chan_deinit(struct lev_chan *ch);

/* basic.qos. */
void lev_chan_qos(struct lev_chan *ch, uint32_t prefetch, bool global);

/* basic.ack/nack/reject: how for tag, or for everything up to it (0 multiple: all). 406 on unknown
 * tags. */
int lev_chan_settle(struct lev_chan *ch, uint64_t tag, bool multiple, enum lev_settle how,
                    struct lev_error *err);
/* basic.recover requeue=true: at once, also on a tx channel. */
void lev_chan_recover(struct lev_chan *ch);

/* Has the session close the channel with an error found outside of its commands; takes the
 * malloc'ed err. */
void lev_chan_set_failure(struct lev_chan *ch, struct lev_error *err);

/* Records that e of queue q (or a level) was handed out, to c or (NULL) by basic.get; takes e's
 * message reference. Returns the delivery tag. */
uint64_t lev_chan_track(struct lev_chan *ch, struct lev_queue *q, struct lev_consumer *c,
                        const struct lev_entry *e);
/* Settles one slot now: ack, requeue or reject, with the consumer's and channel's windows. */
void lev_chan_apply(struct lev_chan *ch, struct lev_unacked *u, enum lev_settle how);
/* The outstanding delivery with this tag, or NULL. */
struct lev_unacked *lev_chan_find(struct lev_chan *ch, uint64_t tag);
/* Drops settled slots off the front. */
void lev_chan_trim(struct lev_chan *ch);
/* Forgets a consumer that goes away: its outstanding deliveries stay with the channel. */
void lev_chan_forget_consumer(struct lev_chan *ch, const struct lev_consumer *c);

/* confirm.select. 406 on a tx channel. */
int lev_confirm_select(struct lev_chan *ch, struct lev_error *err);
/* A publish in confirm mode got sequence number ++publish_seq; it is due when batch is durable, or
 * all it put into the open batch, from operation first_op on, was taken back. */
void lev_confirm_add(struct lev_chan *ch, uint64_t batch, bool nack, size_t first_op);
/* Sends what this run made due, to whomever. */
void lev_confirm_end_run(struct lev_vhost *v);
/* Lets go of what is remembered. */
void lev_confirm_deinit(struct lev_chan *ch);
/* Sends what is due, given that batches up to durable are on stable storage. */
void lev_confirm_flush(struct lev_chan *ch, uint64_t durable);

/* tx.select, tx.commit, tx.rollback. commit-ok is appended to the outbox by the broker, at once or
 * when the store has the transaction; until then tx_committing is set. */
int lev_tx_select(struct lev_chan *ch, struct lev_error *err);
int lev_tx_commit(struct lev_chan *ch, struct lev_error *err);
/* Sends commit-ok when batches up to durable cover the transaction. */
void lev_tx_flush(struct lev_chan *ch, uint64_t durable);
int lev_tx_rollback(struct lev_chan *ch, struct lev_error *err);
void lev_tx_clear(struct lev_chan *ch);
/* Adds a routed publish to the open transaction; takes msg. */
void lev_tx_publish(struct lev_chan *ch, struct lev_msg *msg, struct lev_queue *const *queues,
                    size_t n_queues, bool mandatory);
/* The same for one that is routed at commit. */
void lev_tx_publish_late(struct lev_chan *ch, struct lev_msg *msg, const struct lev_bytes *keys,
                         size_t n_keys, bool mandatory);
void lev_tx_settle(struct lev_chan *ch, struct lev_unacked *u, enum lev_settle how);

#endif
