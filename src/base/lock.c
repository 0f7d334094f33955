/* A mutex that can tell how long it is held and waited for: the parts that read the clock. See
 * lock.h. */
#include "base/lock.h"

#include "base/clock.h"

/* 1 to 2 * LEV_LOCK_SAMPLE - 1, all equally often. */
static uint32_t next_distance(struct lev_lock *l)
{
    l->random = l->random * 1664525u + 1013904223u;
    return 1 + (uint32_t)((uint64_t)l->random * (2 * LEV_LOCK_SAMPLE - 1) >> 32);
}

void lev_lock_init(struct lev_lock *l)
{
    *l = (struct lev_lock){.until = 1};
    pthread_mutex_init(&l->mutex, NULL);
}

void lev_lock_deinit(struct lev_lock *l)
{
    pthread_mutex_destroy(&l->mutex);
}

void lev_lock_wait(struct lev_lock *l)
{
    uint64_t began = lev_clock_mono_ns();
    pthread_mutex_lock(&l->mutex);
    lev_spread_add(&l->stats.wait, lev_clock_mono_ns() - began);
}

void lev_lock_begin_sample(struct lev_lock *l)
{
    l->until = next_distance(l);
    l->taken_ns = lev_clock_mono_ns();
}

void lev_lock_end_sample(struct lev_lock *l)
{
    lev_spread_add(&l->stats.hold, lev_clock_mono_ns() - l->taken_ns);
    l->taken_ns = 0;
}

uint64_t lev_lock_held_ns(const struct lev_lock_stats *s)
{
    if (!s->hold.count)
        return 0;
    return (uint64_t)((double)s->hold.sum / (double)s->hold.count * (double)s->holds);
}
