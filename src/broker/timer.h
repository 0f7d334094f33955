/* Timers of a vhost: a binary heap of due times, wall clock in milliseconds. Under the vhost's
 * lock. Nothing here reads a clock: the owner is told when the earliest due time changes (alarm),
 * and calls lev_timers_run when it has come. */
#ifndef LEV_BROKER_TIMER_H
#define LEV_BROKER_TIMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lev_timer {
    uint64_t due_ms;
    size_t index; /* in the heap, from 1; 0: not set */
    void (*fire)(struct lev_timer *t, uint64_t now_ms);
};

struct lev_timers {
    struct lev_timer **heap; /* heap[0] is not used */
    size_t len, cap;
};

void lev_timers_init(struct lev_timers *ts);
void lev_timers_deinit(struct lev_timers *ts);

/* Sets or moves t. */
void lev_timer_set(struct lev_timers *ts, struct lev_timer *t, uint64_t due_ms);
/* Accepts one that is not set. */
void lev_timer_clear(struct lev_timers *ts, struct lev_timer *t);
/* Fires, in order, at most max of those due by now_ms; each is cleared first. True when more are
 * due. */
bool lev_timers_run(struct lev_timers *ts, uint64_t now_ms, size_t max);
/* The earliest due time, or UINT64_MAX. */
uint64_t lev_timers_next(const struct lev_timers *ts);

#endif
