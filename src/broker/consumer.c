/* Consumers. See consumer.h. */
#include "broker/consumer.h"

#include "amqp/table.h"
#include "base/mem.h"
#include "broker/active.h"

/* A consumer of a quorum queue always has a window. */
enum { QUORUM_PREFETCH_MAX = 2000 };

/* Only quorum queues know the argument; elsewhere it is one that nobody knows. */
static uint64_t timeout_of(const struct lev_queue *q, struct lev_bytes arguments)
{
    struct lev_value v;
    bool known = q && q->settings->type == LEV_QUEUE_QUORUM &&
                 lev_table_get(arguments, "x-consumer-timeout", &v) && lev_value_is_int(&v);
    return known && v.i >= 0 ? (uint64_t)v.i : LEV_UNLIMITED;
}

struct lev_consumer *lev_consumer_new(struct lev_chan *ch, struct lev_queue *q,
                                      const struct lev_consume_args *a)
{
    struct lev_consumer *c = lev_xcalloc(1, sizeof(*c));
    c->chan = ch;
    c->queue = q;
    c->tag = lev_bytes_dup(a->tag);
    c->arguments = lev_bytes_dup(a->arguments);
    c->priority = a->priority;
    c->timeout_ms = timeout_of(q, a->arguments);
    c->prefetch = ch->prefetch;
    if (!c->prefetch && q && q->settings->type == LEV_QUEUE_QUORUM)
        c->prefetch = QUORUM_PREFETCH_MAX;
    c->no_ack = a->no_ack;
    c->exclusive = a->exclusive;
    lev_list_init(&c->chan_node);
    lev_list_init(&c->queue_node);
    lev_list_init(&c->ready_node);
    return c;
}

void lev_consumer_free(struct lev_consumer **cp)
{
    struct lev_consumer *c = *cp;
    *cp = NULL;
    if (!c)
        return;
    lev_bytes_free(&c->tag);
    lev_bytes_free(&c->arguments);
    free(c->prefix);
    free(c);
}

void lev_consumer_wake(struct lev_consumer *c)
{
    struct lev_queue *q = c->queue;
    if (!q || lev_list_linked(&c->ready_node) || !lev_consumer_can_take(c))
        return;
    if (!lev_active_may_take(q, c))
        return;
    lev_queue_link_ready(q, c);
    if (lev_queue_ready(q))
        lev_queue_kick(q);
}
