/* Dead lettering: a message that a queue gives up goes to the queue's dead-letter exchange, if it
 * has one (rabbitmq-compat.md 3.3). Under the vhost's lock.
 *
 * Giving up settles the message in its queue at once; its copy is routed at the end of the run,
 * within the same hold of the lock, so both are in one batch of the store: after a crash the
 * message is in one of the two queues, never in neither. */
#ifndef LEV_BROKER_DEAD_LETTER_H
#define LEV_BROKER_DEAD_LETTER_H

#include "broker/entry.h"

struct lev_queue;
struct lev_vhost;
struct lev_consumer;

enum lev_death {
    LEV_DEATH_REJECTED,
    LEV_DEATH_EXPIRED,
    LEV_DEATH_MAXLEN,
    LEV_DEATH_DELIVERY_LIMIT
};

/* A death that waits to be routed. */
struct lev_dead {
    struct lev_msg *msg;     /* owned reference */
    struct lev_queue *queue; /* counted reference */
    enum lev_death reason;
};

/* The queue gives e up: settles it and has it dead-lettered. Does not touch e's message reference.
 */
void lev_dead_letter(struct lev_queue *q, const struct lev_entry *e, enum lev_death reason);
/* The same for a message that never was in the queue (reject-publish-dlx, TTL 0). */
void lev_dead_letter_msg(struct lev_queue *q, struct lev_msg *msg, enum lev_death reason);
/* A failed delivery: back to its place, or given up beyond the delivery limit. Takes e's message
 * reference. */
void lev_retry(struct lev_queue *q, struct lev_entry *e);
/* Routes all that waits, and what that in turn gives up. */
void lev_dead_letters_route(struct lev_vhost *v);

#endif
