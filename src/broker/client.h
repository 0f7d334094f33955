/* A client: the broker's side of one AMQP connection in one vhost, and its outbox.
 *
 * Output leaves the broker as data. Under the vhost's lock deliveries, returns, confirms and
 * replies are appended, in order, to the client's outbox; the connection's loop takes the outbox
 * (lev_client_take, under the lock) and encodes it outside. Invariants:
 *  - a client belongs to one vhost and one loop for life;
 *  - out_bytes counts what was taken from the outbox and not yet by the socket; when that and what
 * the outbox holds are above LEV_OUT_HIGH, the client is parked: no queue dispatches to its
 * consumers until out_bytes falls below LEV_OUT_LOW;
 *  - a consumer is freed only by an outbox item, after every delivery that names it. */
#ifndef LEV_BROKER_CLIENT_H
#define LEV_BROKER_CLIENT_H

#include "base/list.h"
#include "broker/message.h"

struct lev_vhost;
struct lev_consumer;
struct lev_client;
struct lev_chan;

enum {
    LEV_OUT_HIGH = 1024 * 1024,
    LEV_OUT_LOW = 256 * 1024,
    /* what an item counts: a content its message and this, */
    LEV_OUT_CONTENT_OVERHEAD = 64,
    LEV_OUT_SMALL = 16, /* a confirm, get-empty or commit-ok this, encoded frames their length, */
    LEV_OUT_CONSUMER = 512, /* and a consumer that is to be freed, about what it takes in memory */
};

enum lev_out_kind {
    LEV_OUT_DELIVER, /* msg, consumer, tag, redelivered */
    LEV_OUT_GET_OK,  /* msg, tag, redelivered, n = messages left */
    LEV_OUT_RETURN,  /* msg: basic.return 312 NO_ROUTE */
    LEV_OUT_CONFIRM, /* tag, multiple, nack */
    LEV_OUT_CANCEL,  /* consumer: basic.cancel from the server, then as RETIRE */
    LEV_OUT_RETIRE,  /* consumer: free it */
    LEV_OUT_GET_EMPTY,
    LEV_OUT_COMMIT_OK,
    LEV_OUT_BYTES, /* bytes (malloc'ed), n: encoded frames */
};

enum { LEV_OUTF_REDELIVERED = 1, LEV_OUTF_MULTIPLE = 2, LEV_OUTF_NACK = 4 };

struct lev_out {
    uint8_t kind;
    uint8_t flags;
    uint16_t channel;
    uint32_t n;
    union {
        struct lev_msg *msg; /* owned reference */
        uint8_t *bytes;      /* owned */
    } u;
    struct lev_consumer *consumer;
    uint64_t tag;
};

struct lev_outbox {
    struct lev_out *items;
    size_t n, cap;
    size_t bytes; /* that the items will count in out_bytes */
};

/* How the broker tells the owner of a client that there is something to do. Under the lock; must
 * not block. */
struct lev_sink_ops {
    /* The outbox stopped being empty, or resume/unsuspend was set. At most once until
     * lev_client_take. */
    void (*notify)(struct lev_client *c);
};

struct lev_client {
    struct lev_vhost *vhost;
    const struct lev_sink_ops *sink;
    struct lev_list node;          /* vhost.clients */
    struct lev_list channels;      /* lev_chan.node */
    struct lev_list exclusive;     /* lev_queue.owner_node */
    struct lev_list throttle_node; /* vhost.throttled, or lev_queue's pacing */
    bool stores; /* what it published since it was last looked at is to be stored */
    struct lev_outbox outbox;
    _Atomic size_t out_bytes;
    _Atomic size_t answer_bytes; /* of them, what is not deliveries */
    bool parked;                 /* output above the high-water mark */
    bool notified;
    bool suspended;        /* a command waits for the store: the session holds back further input */
    bool failing;          /* a channel has a failure for the session to act on */
    bool cancel_notify;    /* the peer understands basic.cancel from us */
    struct lev_bytes user; /* owned; authenticated user */
};

/* Joins the vhost (lock held). user is copied. */
void lev_client_init(struct lev_client *c, struct lev_vhost *v, const struct lev_sink_ops *sink,
                     struct lev_bytes user);
/* Closes its channels and deletes its exclusive queues; output is still possible. Channels are
 * deinitialised, not freed: they belong to the session. Idempotent; lock held. */
void lev_client_end(struct lev_client *c);
/* Ends it, leaves the vhost and drops its outbox (lock held). */
void lev_client_deinit(struct lev_client *c);

/* Has the owner look at the client. Lock held. */
void lev_client_notify(struct lev_client *c);

/* Bytes of output that the socket has not taken. Lock held. */
static inline size_t lev_client_pending(const struct lev_client *c)
{
    return atomic_load_explicit(&c->out_bytes, memory_order_relaxed) + c->outbox.bytes;
}

/* Makes room for an item, and has the owner look at the client. Lock held. */
void lev_client_make_room(struct lev_client *c);

/* Appends an item; the caller assigns the whole of what is returned at once. bytes: what it will
 * take on the wire, roughly. Lock held. */
static inline struct lev_out *lev_client_push(struct lev_client *c, size_t bytes)
{
    struct lev_outbox *b = &c->outbox;
    if (b->n == b->cap || !c->notified)
        lev_client_make_room(c);
    b->bytes += bytes;
    if (lev_client_pending(c) > LEV_OUT_HIGH)
        c->parked = true;
    return &b->items[b->n++];
}
/* The same for what answers a request of the peer: everything but deliveries. What is returned is
 * zeroes. Counted apart, because deliveries bound themselves, while a peer that asks and does not
 * read must be stopped. */
struct lev_out *lev_client_push_answer(struct lev_client *c, size_t bytes);
/* Appends encoded frames; takes the malloc'ed block. Lock held. */
void lev_client_push_bytes(struct lev_client *c, uint8_t *bytes, size_t n);

/* Swaps the outbox's content into *into (which is empty, its array is kept for reuse). Lock held.
 */
void lev_client_take(struct lev_client *c, struct lev_outbox *into);

/* The socket took n octets that out_bytes counted. Without the lock; returns true when the client
 * is parked and should be unparked (call lev_client_unpark with the lock). */
bool lev_client_wrote(struct lev_client *c, size_t n);
void lev_client_unpark(struct lev_client *c);

/* Releases what an item owns. */
void lev_out_release(struct lev_out *o);
void lev_outbox_deinit(struct lev_outbox *b);

#endif
