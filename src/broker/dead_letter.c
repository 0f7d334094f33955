/* Dead lettering. See dead_letter.h; what the message looks like afterwards is in death.c. */
#include "broker/dead_letter.h"

#include "base/log.h"
#include "base/mem.h"
#include "broker/death.h"
#include "broker/queue.h"
#include "broker/vhost_int.h"

enum { KEYS_MAX = 64 };

void lev_dead_letter_msg(struct lev_queue *q, struct lev_msg *msg, enum lev_death reason)
{
    struct lev_vhost *v = q->vhost;
    if (!q->top->settings.has_dlx || q->deleted)
        return;
    if (v->n_dead == v->cap_dead) {
        v->cap_dead = v->cap_dead ? v->cap_dead * 2 : 64;
        v->dead = lev_xrealloc(v->dead, v->cap_dead * sizeof(*v->dead));
    }
    v->dead[v->n_dead++] = (struct lev_dead){
        .msg = lev_msg_ref(msg), .queue = lev_queue_ref(q->top), .reason = reason};
}

void lev_dead_letter(struct lev_queue *q, const struct lev_entry *e, enum lev_death reason)
{
    lev_dead_letter_msg(q, e->msg, reason);
    lev_queue_settled(q, e);
}

void lev_retry(struct lev_queue *q, struct lev_entry *e)
{
    const struct lev_queue_settings *s = &q->top->settings;
    if (s->type == LEV_QUEUE_QUORUM && !q->deleted) {
        if (e->count < UINT16_MAX)
            e->count++;
        if (e->count > s->delivery_limit) {
            lev_dead_letter(q, e, LEV_DEATH_DELIVERY_LIMIT);
            lev_msg_unref(&e->msg);
            return;
        }
        lev_queue_count_changed(q, e);
    }
    lev_queue_requeue(q, e);
}

/* --- routing --- */

static size_t keys_of(const struct lev_queue *q, const struct lev_msg *m, struct lev_bytes *keys)
{
    if (q->settings.has_dlrk) {
        keys[0] = q->settings.dlrk;
        return 1;
    }
    keys[0] = lev_msg_key(m);
    return lev_death_cc(m, keys, 1, KEYS_MAX);
}

static void publish_dead(struct lev_exchange *x, const struct lev_dead *d, struct lev_msg *msg,
                         const struct lev_bytes *keys, size_t n_keys)
{
    struct lev_vhost *v = d->queue->vhost;
    const struct lev_route *r = lev_vhost_route(v, x, msg, keys, n_keys, lev_msg_headers(msg));
    for (size_t i = 0; i < r->n; i++) {
        struct lev_queue *to = LEV_CONTAINER(r->dests[i], struct lev_queue, dest);
        if (d->reason == LEV_DEATH_REJECTED || !lev_death_cycle(msg, to->dest.name))
            lev_queue_publish(to, msg);
    }
}

static void route_one(struct lev_dead *d)
{
    struct lev_vhost *v = d->queue->vhost;
    struct lev_queue *q = d->queue;
    struct lev_bytes keys[KEYS_MAX];
    struct lev_exchange *x = lev_exchange_get(v->topology, q->settings.dlx);
    if (!x || !q->settings.has_dlx)
        return;
    size_t n = keys_of(q, d->msg, keys);
    struct lev_death_info info = {.queue = q->dest.name,
                                  .reason = lev_death_word(d->reason),
                                  .time_s = lev_vhost_now(v) / 1000,
                                  .exchange = q->settings.dlx,
                                  .key = keys[0],
                                  .new_key = q->settings.has_dlrk};
    struct lev_msg *msg = lev_death_message(d->msg, &info);
    if (!msg) {
        lev_log_error("queue %.*s: out of memory dead-lettering a message; it is dropped",
                      LEV_FMT(q->dest.name));
        return;
    }
    publish_dead(x, d, msg, keys, n);
    lev_msg_unref(&msg);
}

void lev_dead_letters_route(struct lev_vhost *v)
{
    for (size_t i = 0; i < v->n_dead; i++) {
        struct lev_dead d = v->dead[i]; /* the array may grow and move while it is routed */
        route_one(&d);
        lev_msg_unref(&d.msg);
        lev_queue_unref(&d.queue);
    }
    v->n_dead = 0;
}
