/* Pacing. See pace.h. */
#include "broker/pace.h"

#include "broker/vhost_int.h"

/* What a queue must let go of in LEV_PACE_MS for its publishers to wait for it. */
enum { PROGRESS_MESSAGES = 256, PROGRESS_BYTES = 1 << 20 };

static bool small(const struct lev_queue *q)
{
    const struct lev_windows *w = &q->vhost->windows;
    return q->ready <= w->max / 4 && q->ready_bytes <= w->max_bytes / 4;
}

/* Lets the publishers go on; the watch goes on, too. */
static void let_go(struct lev_queue *q)
{
    while (!lev_list_empty(&q->paced)) {
        struct lev_client *c = LEV_LIST_ENTRY(q->paced.next, struct lev_client, throttle_node);
        lev_list_remove(&c->throttle_node);
        lev_client_notify(c);
    }
}

void lev_pace_release(struct lev_queue *q)
{
    lev_timer_clear(&q->vhost->timers, &q->pace);
    let_go(q);
}

void lev_pace_relax(struct lev_queue *q)
{
    if (!q->pace.index || !small(q))
        return;
    q->unpaced = false;
    lev_pace_release(q);
}

static void watch(struct lev_queue *q, uint64_t now_ms)
{
    q->pace_messages = q->left_messages;
    q->pace_bytes = q->left_bytes;
    lev_timer_set(&q->vhost->timers, &q->pace, now_ms + LEV_PACE_MS);
}

static void on_pace(struct lev_timer *t, uint64_t now_ms)
{
    struct lev_queue *q = LEV_CONTAINER(t, struct lev_queue, pace);
    q->unpaced = q->left_messages - q->pace_messages < PROGRESS_MESSAGES &&
                 q->left_bytes - q->pace_bytes < PROGRESS_BYTES;
    if (q->unpaced)
        let_go(q);
    if (q->n_consumers)
        watch(q, now_ms);
    else
        let_go(q);
}

bool lev_pace_hold(struct lev_queue *q, struct lev_client *c)
{
    if (q->deleted || !lev_pace_over(q, &q->vhost->windows))
        return false;
    lev_list_remove(&c->throttle_node);
    lev_list_push_back(&q->paced, &c->throttle_node);
    if (!q->pace.index) {
        q->pace.fire = on_pace;
        watch(q, lev_vhost_now(q->vhost));
    }
    return true;
}
