/* Time to live, length limits, expiry of unused queues. See limits.h and rabbitmq-compat.md 3.2. */
#include "broker/limits.h"

#include "broker/dead_letter.h"
#include "broker/declare.h"
#include "broker/vhost_int.h"

/* Messages given up in one go; more wait for the next run. */
enum { SLICE = 1024 };

/* --- time to live --- */

uint64_t lev_limits_expiry(const struct lev_queue *q, const struct lev_msg *msg)
{
    uint64_t ttl = q->settings->message_ttl_ms;
    if (msg->expiration_ms < ttl)
        ttl = msg->expiration_ms;
    return ttl == LEV_UNLIMITED ? 0 : lev_vhost_now(q->vhost) + ttl;
}

/* The first message, if it is in memory. */
static struct lev_entry *head(struct lev_queue *level)
{
    return level->front.len ? lev_entries_at(&level->front, 0) : NULL;
}

static void give_up_head(struct lev_queue *level, enum lev_death reason)
{
    struct lev_entry e = lev_entries_pop_front(&level->front);
    lev_queue_left(level, &e);
    lev_queue_handed_out(level, e.pos);
    lev_dead_letter(level, &e, reason);
    lev_msg_unref(&e.msg);
}

bool lev_limits_expire_head(struct lev_queue *level)
{
    const struct lev_entry *e = head(level);
    if (!e || !e->expires_ms || e->expires_ms > lev_vhost_now(level->vhost))
        return false;
    give_up_head(level, LEV_DEATH_EXPIRED);
    return true;
}

bool lev_limits_expire(struct lev_queue *q)
{
    size_t budget = SLICE;
    for (unsigned i = q->n_levels; i-- > 0;)
        while (budget && lev_limits_expire_head(q->levels[i]))
            budget--;
    if (!budget)
        lev_queue_kick(q);
    return budget > 0;
}

/* --- length --- */

bool lev_limits_exceeded(const struct lev_queue *q)
{
    return q->ready > q->settings->max_length || q->ready_bytes > q->settings->max_length_bytes;
}

bool lev_limits_refuse(struct lev_queue *q, struct lev_msg *msg)
{
    const struct lev_queue_settings *s = q->settings;
    if (s->overflow == LEV_DROP_HEAD)
        return false;
    uint64_t n = q->ready + lev_park_count(q, LEV_PARK_DEAD);
    uint64_t bytes = q->ready_bytes + lev_park_bytes(q, LEV_PARK_DEAD);
    if (n + 1 <= s->max_length && bytes + msg->body_len <= s->max_length_bytes)
        return false;
    if (s->overflow == LEV_REJECT_PUBLISH_DLX)
        lev_dead_letter_msg(q, msg, LEV_DEATH_MAXLEN);
    return true;
}

/* The level whose head goes first: the highest with messages. */
static struct lev_queue *level_to_drop(struct lev_queue *q)
{
    for (unsigned i = q->n_levels; i-- > 1;)
        if (q->levels[i]->ready)
            return q->levels[i];
    return q->levels[0];
}

void lev_limits_trim(struct lev_queue *q)
{
    size_t budget = SLICE;
    if (q->settings->overflow != LEV_DROP_HEAD)
        return;
    for (; budget && lev_limits_exceeded(q); budget--) {
        struct lev_queue *level = level_to_drop(q);
        if (!level->front.len)
            break; /* a block is on its way */
        give_up_head(level, LEV_DEATH_MAXLEN);
    }
    if (!budget)
        lev_queue_kick(q);
}

/* --- timers --- */

static void on_expiry(struct lev_timer *t, uint64_t now_ms)
{
    (void)now_ms;
    lev_queue_kick(LEV_CONTAINER(t, struct lev_queue, expiry));
}

static void arm_level(const struct lev_queue *level, uint64_t *due)
{
    if (level->front.len && lev_entries_at(&level->front, 0)->expires_ms &&
        lev_entries_at(&level->front, 0)->expires_ms < *due)
        *due = lev_entries_at(&level->front, 0)->expires_ms;
}

void lev_limits_arm(struct lev_queue *q)
{
    uint64_t due = UINT64_MAX;
    for (unsigned i = 0; i < q->n_levels; i++)
        arm_level(q->levels[i], &due);
    q->expiry.fire = on_expiry;
    if (due == UINT64_MAX)
        lev_timer_clear(&q->vhost->timers, &q->expiry);
    else
        lev_timer_set(&q->vhost->timers, &q->expiry, due);
}

static void on_disuse(struct lev_timer *t, uint64_t now_ms)
{
    struct lev_queue *q = LEV_CONTAINER(t, struct lev_queue, disuse);
    uint64_t due = q->used_ms + q->settings->expires_ms;
    if (q->n_consumers)
        return; /* starts anew when the last consumer leaves */
    if (now_ms < due)
        lev_timer_set(&q->vhost->timers, t, due);
    else
        lev_queue_destroy(q);
}

void lev_limits_used(struct lev_queue *q)
{
    if (q->settings->expires_ms == LEV_UNLIMITED) {
        lev_timer_clear(&q->vhost->timers, &q->disuse);
        return;
    }
    q->used_ms = lev_vhost_now(q->vhost);
    q->disuse.fire = on_disuse;
    if (!q->disuse.index || q->disuse.due_ms > q->used_ms + q->settings->expires_ms)
        lev_timer_set(&q->vhost->timers, &q->disuse, q->used_ms + q->settings->expires_ms);
}
