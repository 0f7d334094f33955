/* Dead lettering: a message that a queue gives up goes to the queue's dead-letter exchange, if it
 * has one (rabbitmq-compat.md 3.3). Under the vhost's lock.
 *
 * What a queue gives up is not settled there until its copy is routed, at the end of the run; then
 * both happen within one hold of the lock, so they are in one batch of the store: after a crash the
 * message is in one of the two queues, never in neither.
 *
 * A copy that a queue gives up at once (TTL 0, length 0) dies again in the same run. As n such
 * queues that lead to each other make n! copies of one message, a run routes all deaths and those
 * they bring about, but of what these bring about only so many, and leaves the rest to later runs.
 * Until then they are in their queues, counted as unacknowledged. A message that its queue refused
 * (reject-publish-dlx) has no place there: the one whose death sent it, its root, keeps its own
 * instead.
 *
 * At-least-once, of a quorum queue with overflow reject-publish: a message that its exchange cannot
 * route (or that is not there), or that a target refuses, is not given up but parked (park.h), and
 * offered again until every target has its copy. A target that took it does not get it twice,
 * unless a restart comes between. Where another setting makes it at-most-once meanwhile, the next
 * offer is the last. */
#ifndef LEV_BROKER_DEAD_LETTER_H
#define LEV_BROKER_DEAD_LETTER_H

#include "broker/park.h"

struct lev_queue;
struct lev_vhost;
struct lev_consumer;

enum lev_death {
    LEV_DEATH_REJECTED,
    LEV_DEATH_EXPIRED,
    LEV_DEATH_MAXLEN,
    LEV_DEATH_DELIVERY_LIMIT
};

/* What is not settled until everything that its death brought about is routed. */
struct lev_dead_root {
    uint32_t refs;
    struct lev_queue *level; /* counted reference */
    struct lev_entry e;      /* its message owned */
};

/* A death that waits to be routed. */
struct lev_dead {
    struct lev_parked p;        /* owned */
    struct lev_queue *level;    /* that it dies in; counted reference */
    bool placed;                /* it has a place there, not settled yet */
    bool kept;                  /* at-least-once: settled when its exchange has taken it */
    struct lev_dead_root *root; /* counted reference; NULL: nothing waits for it */
};

/* A stack of deaths. */
struct lev_deaths {
    struct lev_dead *a;
    size_t n, cap;
};

/* The queue does not let go of its dead before they are elsewhere: at-least-once. */
bool lev_dead_letter_keeps(const struct lev_queue *q);

/* The queue, or a level of it, gives e up, which is not among its ready ones any more: has it
 * dead-lettered and settled. Does not touch e's message reference. */
void lev_dead_letter(struct lev_queue *q, const struct lev_entry *e, enum lev_death reason);
/* The same for a message that never was in the queue (reject-publish-dlx). */
void lev_dead_letter_msg(struct lev_queue *q, struct lev_msg *msg, enum lev_death reason);
/* Offers a parked one again; takes what it owns. */
void lev_dead_letter_again(struct lev_queue *q, const struct lev_parked *p);
/* A delivery comes back, failed or merely given back: to its place, at once or after the queue's
 * delay, or given up beyond the delivery limit. Takes e's message reference. */
void lev_retry(struct lev_queue *q, struct lev_entry *e, bool failed);
/* A run begins: so many deaths of the third generation and later may be routed. */
void lev_dead_letters_begin(struct lev_vhost *v);
/* Routes all that waits, and what that in turn gives up: beyond the bound, in later runs. */
void lev_dead_letters_route(struct lev_vhost *v);
/* The run ends: routes a few of those put off. True when more are left. */
bool lev_dead_letters_go_on(struct lev_vhost *v);
/* Forgets what waits: the vhost ends. */
void lev_dead_letters_drop(struct lev_vhost *v);

#endif
