/* A mutex that can tell how long it is held and waited for.
 *
 * Every hold is counted, every wait is timed, and of the holds one in LEV_LOCK_SAMPLE on average,
 * at irregular distances, so that no rhythm of its users hides from the sample; other holds read no
 * clock. The figures belong to whoever holds the lock. */
#ifndef LEV_BASE_LOCK_H
#define LEV_BASE_LOCK_H

#include <pthread.h>

#include "base/spread.h"

enum { LEV_LOCK_SAMPLE = 16 };

struct lev_lock_stats {
    uint64_t holds;
    struct lev_spread hold; /* nanoseconds; of the holds that were timed */
    struct lev_spread wait; /* nanoseconds; of each hold that did not begin at once */
};

struct lev_lock {
    pthread_mutex_t mutex;
    uint32_t until;    /* holds from now to the next that is timed */
    uint32_t random;   /* state of a generator */
    uint64_t taken_ns; /* when this hold began; 0: it is not timed */
    struct lev_lock_stats stats;
};

void lev_lock_init(struct lev_lock *l);
/* Nobody holds it. */
void lev_lock_deinit(struct lev_lock *l);

/* For the two functions below. */
void lev_lock_wait(struct lev_lock *l);
void lev_lock_begin_sample(struct lev_lock *l);
void lev_lock_end_sample(struct lev_lock *l);

static inline void lev_lock_take(struct lev_lock *l)
{
    if (pthread_mutex_trylock(&l->mutex) != 0)
        lev_lock_wait(l);
    l->stats.holds++;
    if (--l->until == 0)
        lev_lock_begin_sample(l);
}

static inline void lev_lock_release(struct lev_lock *l)
{
    if (l->taken_ns)
        lev_lock_end_sample(l);
    pthread_mutex_unlock(&l->mutex);
}

/* An estimate from the sample: the time the lock was held, in nanoseconds. */
uint64_t lev_lock_held_ns(const struct lev_lock_stats *s);

#endif
