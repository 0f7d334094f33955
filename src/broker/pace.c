/* Pacing. See pace.h. */
#include "broker/pace.h"

#include "base/mem.h"
#include "broker/vhost_int.h"

/* What a queue must let go of in LEV_PACE_MS for its publishers to wait for it. */
enum { PROGRESS_MESSAGES = 256, PROGRESS_BYTES = 1 << 20 };

static bool small(const struct lev_queue *q)
{
    const struct lev_windows *w = &q->vhost->windows;
    return q->ready <= w->max / 4 && q->ready_bytes <= w->max_bytes / 4;
}

/* Lets the publishers go on; the watch goes on, too. */
static void let_go(struct lev_pace *p)
{
    while (!lev_list_empty(&p->held)) {
        struct lev_client *c = LEV_LIST_ENTRY(p->held.next, struct lev_client, throttle_node);
        lev_list_remove(&c->throttle_node);
        lev_client_notify(c);
    }
}

void lev_pace_release(struct lev_queue *q)
{
    struct lev_pace *p = q->pace;
    q->unpaced = false;
    q->pace = NULL;
    if (!p)
        return;
    lev_timer_clear(&q->vhost->timers, &p->timer);
    let_go(p);
    free(p);
}

void lev_pace_relax(struct lev_queue *q)
{
    if (q->pace && small(q))
        lev_pace_release(q);
}

static void watch(struct lev_pace *p, uint64_t now_ms)
{
    p->messages = p->bytes = 0;
    lev_timer_set(&p->queue->vhost->timers, &p->timer, now_ms + LEV_PACE_MS);
}

static void on_pace(struct lev_timer *t, uint64_t now_ms)
{
    struct lev_pace *p = LEV_CONTAINER(t, struct lev_pace, timer);
    struct lev_queue *q = p->queue;
    if (!q->n_consumers) {
        lev_pace_release(q);
        return;
    }
    q->unpaced = p->messages < PROGRESS_MESSAGES && p->bytes < PROGRESS_BYTES;
    if (q->unpaced)
        let_go(p);
    watch(p, now_ms);
}

static struct lev_pace *pace_new(struct lev_queue *q)
{
    struct lev_pace *p = lev_xcalloc(1, sizeof(*p));
    p->queue = q;
    p->timer.fire = on_pace;
    lev_list_init(&p->held);
    watch(p, lev_vhost_now(q->vhost));
    return p;
}

bool lev_pace_hold(struct lev_queue *q, struct lev_client *c)
{
    if (q->deleted || !lev_pace_over(q, &q->vhost->windows))
        return false;
    if (!q->pace)
        q->pace = pace_new(q);
    lev_list_remove(&c->throttle_node);
    lev_list_push_back(&q->pace->held, &c->throttle_node);
    return true;
}
