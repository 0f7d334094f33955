/* consumer_timeout: looks, once a minute by default, for channels whose oldest delivery is not
 * acknowledged in time (rabbitmq-compat.md 7). Under the vhost's lock. */
#include "base/mem.h"
#include "broker/queue.h"
#include "broker/vhost_int.h"

/* The consumer's own, or its queue's, or the server's. */
static uint64_t timeout_of(const struct lev_vhost *v, const struct lev_unacked *u)
{
    uint64_t t = u->queue->top->settings->consumer_timeout_ms;
    if (u->consumer && u->consumer->timeout_ms != LEV_UNLIMITED)
        t = u->consumer->timeout_ms;
    return t != LEV_UNLIMITED ? t : v->consumer_timeout_ms;
}

/* The limit that a delivery of the channel has passed, or LEV_UNLIMITED. */
static uint64_t passed(struct lev_vhost *v, const struct lev_chan *ch, uint64_t now_ms)
{
    for (size_t i = 0; i < ch->unacked.len; i++) {
        const struct lev_unacked *u = &ch->unacked.a[ch->unacked.first + i];
        uint64_t timeout = u->queue ? timeout_of(v, u) : LEV_UNLIMITED;
        if (timeout != LEV_UNLIMITED && (uint64_t)u->since_s * 1000 + timeout < now_ms)
            return timeout;
    }
    return LEV_UNLIMITED;
}

static void time_out(struct lev_chan *ch, uint64_t timeout_ms)
{
    struct lev_error *err = lev_xmalloc(sizeof(*err));
    lev_fail(err, LEV_PRECONDITION_FAILED,
             "delivery acknowledgement on channel %u timed out. Timeout value used: %llu ms. This "
             "timeout "
             "value can be configured, see consumers doc guide to learn more",
             ch->number, (unsigned long long)timeout_ms);
    lev_chan_set_failure(ch, err);
}

void lev_patrol(struct lev_timer *t, uint64_t now_ms)
{
    struct lev_vhost *v = LEV_CONTAINER(t, struct lev_vhost, patrol);
    LEV_LIST_EACH(ci, cn, &v->clients)
    {
        struct lev_client *c = LEV_LIST_ENTRY(ci, struct lev_client, node);
        LEV_LIST_EACH(it, nx, &c->channels)
        {
            struct lev_chan *ch = LEV_LIST_ENTRY(it, struct lev_chan, node);
            uint64_t timeout = ch->failure ? LEV_UNLIMITED : passed(v, ch, now_ms);
            if (timeout != LEV_UNLIMITED)
                time_out(ch, timeout);
        }
    }
    if (v->n_clients)
        lev_patrol_start(v);
}

void lev_patrol_start(struct lev_vhost *v)
{
    if (!v->patrol.index)
        lev_timer_set(&v->timers, &v->patrol, lev_vhost_now(v) + v->patrol_ms);
}
