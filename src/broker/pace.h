/* Pacing: publishers that outrun working consumers are held back, so that a backlog neither grows
 * past the window nor costs the disk, and delivering keeps up with publishing. What RabbitMQ does
 * by credit flow.
 *
 * A queue with consumers whose backlog passes half its window pauses whoever publishes to it until
 * the backlog is down to a quarter. Only consumers that make progress are waited for: a queue that
 * did not let go of enough messages in LEV_PACE_MS is unpaced, and grows as it must, until its
 * backlog is small again. Under the vhost's lock. */
#ifndef LEV_BROKER_PACE_H
#define LEV_BROKER_PACE_H

#include "broker/queue.h"
#include "broker/vhost.h"

enum { LEV_PACE_MS = 100 };

/* Of a queue while it holds publishers back, or watches whether it should. */
struct lev_pace {
    struct lev_queue *queue;
    struct lev_list held; /* lev_client.throttle_node: publishers that wait for consumers */
    struct lev_timer timer;
    uint64_t messages, bytes; /* that left since the last look */
};

/* A message leaves the queue. */
static inline void lev_pace_count(struct lev_pace *p, size_t bytes)
{
    p->messages++;
    p->bytes += bytes;
}

/* The backlog calls for pausing publishers; cheap. */
static inline bool lev_pace_over(const struct lev_queue *q, const struct lev_windows *w)
{
    return q->n_consumers && !q->unpaced &&
           (q->ready > w->max / 2 || q->ready_bytes > w->max_bytes / 2);
}

/* Holds c until the queue has caught up, or is found not to. False when it need not wait any more.
 */
bool lev_pace_hold(struct lev_queue *q, struct lev_client *c);
/* After messages left: lets publishers go on when the backlog is small enough. */
void lev_pace_relax(struct lev_queue *q);
/* Lets all go and ends the watch. */
void lev_pace_release(struct lev_queue *q);

#endif
