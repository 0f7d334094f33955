/* A consumer: a channel's subscription to a queue. Under the vhost's lock, except `prefix`, which
 * the connection's loop reads while encoding (immutable after consume).
 *
 * ready_node is linked in its queue's ready list exactly when the consumer may take a message as
 * far as it was last known; a dispatch that finds otherwise unlinks it (parks it), and whatever
 * removes the obstacle (ack, drain of output, qos) links it again through lev_consumer_wake. */
#ifndef LEV_BROKER_CONSUMER_H
#define LEV_BROKER_CONSUMER_H

#include "base/list.h"
#include "broker/chan.h"

struct lev_queue;

struct lev_consumer {
    struct lev_chan *chan;
    struct lev_queue *queue; /* NULL for the direct reply-to consumer */
    struct lev_list chan_node, queue_node, ready_node;
    struct lev_bytes tag;       /* owned */
    struct lev_bytes arguments; /* owned, raw table */
    int64_t priority;
    uint64_t timeout_ms; /* for its acknowledgements; LEV_UNLIMITED: the queue's */
    uint32_t prefetch;   /* 0: no limit */
    uint32_t unacked;
    bool no_ack, exclusive;
    uint8_t *prefix; /* owned; the session's encoded beginning of basic.deliver */
    uint32_t prefix_len;
};

struct lev_consume_args {
    struct lev_bytes tag, arguments;
    int64_t priority;
    bool no_ack, exclusive;
};

/* Its timeout is read from the arguments, where the queue is a quorum queue. */
struct lev_consumer *lev_consumer_new(struct lev_chan *ch, struct lev_queue *q,
                                      const struct lev_consume_args *a);
/* Frees memory only; the consumer is in no list. */
void lev_consumer_free(struct lev_consumer **c);

/* May take another message now. */
static inline bool lev_consumer_can_take(const struct lev_consumer *c)
{
    const struct lev_chan *ch = c->chan;
    if (ch->client->parked)
        return false;
    if (c->no_ack)
        return true;
    if (c->prefetch && c->unacked >= c->prefetch)
        return false;
    return ch->prefetch_global == 0 || ch->n_unacked_consumed < ch->prefetch_global;
}
/* Links it into its queue's ready list when it can take, and has the queue dispatched at the end of
 * the run. */
void lev_consumer_wake(struct lev_consumer *c);

#endif
