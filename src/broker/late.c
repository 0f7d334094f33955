/* A vhost's side of exchanges that hold messages back and of ids that must not come twice: what the
 * topology asks, what recovery brings. See delay.h and dedup.h. Under the vhost's lock. */
#include "broker/exchange.h"
#include "broker/policy.h"
#include "broker/queue.h"
#include "broker/route.h"
#include "broker/vhost_int.h"

void lev_vhost_deduplicate(void *ctx, struct lev_exchange *x)
{
    struct lev_vhost *v = ctx;
    struct lev_policy_effect e;
    struct lev_dedup_settings s;
    if (!x->def.name.len)
        return; /* the default exchange hands on to queues, which can do it */
    lev_policy_of_exchange(v->policies, x->def.name, &e);
    if (e.policy && !lev_bytes_eq(e.policy->apply_to, LEV_LIT("exchanges")))
        e.values.set &= ~(UINT64_C(1) << LEV_POLICY_DEDUPLICATION);
    lev_dedup_settings_resolve(x->def.arguments, &e.values, &s);
    s.wanted |= lev_exchange_is_deduplication(x);
    lev_dedup_follow(v, &x->dedup, &s,
                     &(struct lev_dedup_owner){.durable = x->def.durable, .exchange = x->def.name});
}

bool lev_vhost_duplicate(void *ctx, struct lev_exchange *x, struct lev_bytes headers)
{
    return lev_dedup_seen(ctx, x->dedup, headers);
}

void lev_vhost_delay(void *ctx, struct lev_exchange *x, const struct lev_walk *w, uint64_t delay_ms)
{
    struct lev_vhost *v = ctx;
    lev_delay_add(v, x, w->msg, w->keys, w->n_keys, delay_ms);
    v->effects.held = true;
    v->effects.batch = v->open->id;
}

uint64_t lev_vhost_delayed(const struct lev_vhost *v, struct lev_bytes exchange)
{
    return lev_delay_count(v, exchange);
}

void lev_vhost_recover_delayed(void *ctx, const struct lev_delay_state *s)
{
    lev_delays_recover(ctx, s);
}

static bool owns(const struct lev_dedup *d, const struct lev_dedup_def *def)
{
    return d && d->queue_id == def->queue_id && lev_bytes_eq(d->exchange, def->exchange);
}

static struct lev_dedup *owner_of(struct lev_vhost *v, const struct lev_dedup_def *def)
{
    if (!def->queue_id) {
        struct lev_exchange *x = lev_exchange_get(v->topology, def->exchange);
        return x ? x->dedup : NULL;
    }
    LEV_MAP_EACH(slot, &v->queues)
    {
        struct lev_queue *q = slot->value;
        if (q->id == def->queue_id)
            return q->dedup;
    }
    return NULL;
}

void lev_vhost_recover_dedup(void *ctx, const struct lev_dedup_def *d)
{
    struct lev_vhost *v = ctx;
    if (!owns(v->restored, d))
        v->restored = owner_of(v, d);
    if (v->restored)
        lev_dedup_restore(v->restored, d);
    else
        lev_dedup_unwanted(v, d);
}
