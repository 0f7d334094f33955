/* Which consumer of a single-active-consumer queue is the active one (rabbitmq-compat.md 3.6).
 *
 * On a classic queue the first to come stays until it leaves; then the next in order of coming. On
 * a quorum queue the highest priority goes first: a waiting consumer of higher priority than the
 * active one takes over. Order is kept: the active one is handed nothing more, and the other has
 * its turn when all that was delivered is settled. Under the vhost's lock. */
#ifndef LEV_BROKER_ACTIVE_H
#define LEV_BROKER_ACTIVE_H

#include "broker/queue.h"

/* The queue's consumers are others than before, or the active one of a yielding queue has nothing
 * unacknowledged left: sees whose turn it is, and wakes it. */
void lev_active_review(struct lev_queue *q);

/* c leaves the queue, and is not among its consumers any more. */
void lev_active_left(struct lev_queue *q, const struct lev_consumer *c);

/* False when messages must not go to c, because it is not its turn. */
static inline bool lev_active_may_take(const struct lev_queue *q, const struct lev_consumer *c)
{
    return !q->settings->single_active || (q->active == c && !q->yielding);
}

#endif
