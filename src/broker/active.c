/* The active consumer of a queue. See active.h. */
#include "broker/active.h"

/* The first to come; on a quorum queue, of those with the highest priority. */
static struct lev_consumer *first_of(const struct lev_queue *q)
{
    struct lev_consumer *best = NULL;
    LEV_LIST_EACH(it, nx, &q->consumers)
    {
        struct lev_consumer *c = LEV_LIST_ENTRY(it, struct lev_consumer, queue_node);
        if (!best || (q->settings->type == LEV_QUEUE_QUORUM && c->priority > best->priority))
            best = c;
    }
    return best;
}

static void activate(struct lev_queue *q, struct lev_consumer *c)
{
    q->active = c;
    q->yielding = false;
    if (c)
        lev_consumer_wake(c);
}

/* It waits behind its equals. */
static void depose(struct lev_queue *q, struct lev_consumer *c)
{
    lev_list_remove(&c->ready_node);
    lev_list_remove(&c->queue_node);
    lev_list_push_back(&q->consumers, &c->queue_node);
}

void lev_active_review(struct lev_queue *q)
{
    struct lev_consumer *active = q->active, *first;
    if (!q->settings->single_active)
        return;
    first = first_of(q);
    if (!active) {
        activate(q, first);
    } else if (q->settings->type != LEV_QUEUE_QUORUM || first->priority <= active->priority) {
        if (q->yielding)
            activate(q, active);
    } else if (active->unacked) {
        q->yielding = true;
        lev_list_remove(&active->ready_node);
    } else {
        depose(q, active);
        activate(q, first);
    }
}

void lev_active_left(struct lev_queue *q, const struct lev_consumer *c)
{
    if (q->active == c)
        q->active = NULL;
    lev_active_review(q);
}
