/* What a queue's settings do to its messages: time to live, length limits, x-expires. And the life
 * of the queue object with its levels. Under the vhost's lock. */
#ifndef LEV_BROKER_LIMITS_H
#define LEV_BROKER_LIMITS_H

#include "broker/queue.h"

/* When msg, enqueued now, expires: wall clock in ms, or 0. */
uint64_t lev_limits_expiry(const struct lev_queue *q, const struct lev_msg *msg);
/* True when a reject-publish limit refuses msg (and has it dead-lettered where it says so). */
bool lev_limits_refuse(struct lev_queue *q, struct lev_msg *msg);
/* More is ready than the limits allow. */
bool lev_limits_exceeded(const struct lev_queue *q);
/* Gives up what has expired at the head, a bounded number at a time: false when more may wait. */
bool lev_limits_expire(struct lev_queue *q);
/* The same for a level's first message alone; true when it had expired. */
bool lev_limits_expire_head(struct lev_queue *level);
/* Drops from the head what is over the length limits, a bounded number at a time. */
void lev_limits_trim(struct lev_queue *q);
/* Sets the timer for the next expiry at the head. */
void lev_limits_arm(struct lev_queue *q);

/* The queue was used (declared, consumed from, got from): x-expires starts anew. */
void lev_limits_used(struct lev_queue *q);

#endif
