/* Parked messages: given back by a consumer and held until a later time (delayed retry), or dead
 * and not yet taken by their dead-letter exchange (strategy at-least-once).
 *
 * They are neither ready nor with a consumer. They count as unacknowledged: they were handed out,
 * or given up, and are not settled. So a crash or restart loses none of them; after it they are
 * ready, flagged redelivered, their count of failed deliveries kept, their delay forgotten. Length
 * limits do not count those held for a retry, which come back to their old place, and then count;
 * the dead count against reject-publish, the only overflow they occur with. A purge takes those
 * held for a retry with it and leaves the dead; deleting the queue takes all.
 *
 * Memory is bounded by the queue's window: beyond it only a note of each stored message is kept,
 * and its body is read back when its time has come. Under the vhost's lock. */
#ifndef LEV_BROKER_PARK_H
#define LEV_BROKER_PARK_H

#include "broker/entry.h"
#include "broker/timer.h"

struct lev_queue;
struct lev_read;

enum lev_park_kind { LEV_PARK_RETRY, LEV_PARK_DEAD, LEV_PARK_KINDS };

/* Messages that are read back at a time, for one queue and kind. */
enum { LEV_PARK_READS_MAX = 32 };

/* Pause before a dead message is offered to its exchange again. */
enum { LEV_PARK_DEAD_MS = 5000 };

struct lev_parked {
    struct lev_entry e; /* its message owned; NULL: to be read back */
    uint64_t due_ms;
    uint32_t size;  /* of the body */
    uint8_t reason; /* of the dead: enum lev_death */
    uint32_t n_took;
    struct lev_queue **took; /* of the dead: queues that have their copy; counted, owned */
};

/* Those of one kind in a queue; park.c's own. */
struct lev_park {
    struct lev_queue *queue; /* owns this */
    enum lev_park_kind kind;
    struct lev_parked *heap; /* by due_ms, then position */
    size_t n, cap;
    struct lev_parked loading[LEV_PARK_READS_MAX];
    size_t n_loading;
    uint64_t bytes;      /* of bodies, all of them */
    size_t in_memory;    /* octets of messages in the heap */
    size_t cursor;       /* where bodies are looked for to drop */
    size_t tries;        /* dead offered since one was taken */
    uint64_t not_before; /* of the dead: a pause */
    struct lev_timer timer;
};

/* Parks a message of a queue or level until p->due_ms; takes what it owns. */
void lev_park_put(struct lev_queue *level, enum lev_park_kind kind, const struct lev_parked *p);
/* What is parked in a queue or level, and the octets of its bodies. */
uint64_t lev_park_count(const struct lev_queue *level, enum lev_park_kind kind);
uint64_t lev_park_bytes(const struct lev_queue *level, enum lev_park_kind kind);
/* Settles all that is parked; returns how many. */
uint64_t lev_park_purge(struct lev_queue *level, enum lev_park_kind kind);
/* The exchange has taken a dead message: others may follow at once. */
void lev_park_progress(struct lev_queue *level);
/* A read of a parked message came back. */
void lev_park_loaded(struct lev_queue *level, struct lev_read *r);
/* Forgets everything: the queue is released. */
void lev_park_deinit(struct lev_queue *level);
/* Gives up what p owns. */
void lev_parked_deinit(struct lev_parked *p);

#endif
