/* Timers: a binary heap. See timer.h. */
#include "broker/timer.h"

#include "base/mem.h"

void lev_timers_init(struct lev_timers *ts)
{
    *ts = (struct lev_timers){0};
}

void lev_timers_deinit(struct lev_timers *ts)
{
    for (size_t i = 1; i <= ts->len; i++)
        ts->heap[i]->index = 0;
    free(ts->heap);
    lev_timers_init(ts);
}

static void put(struct lev_timers *ts, size_t i, struct lev_timer *t)
{
    ts->heap[i] = t;
    t->index = i;
}

static void sift_up(struct lev_timers *ts, size_t i)
{
    struct lev_timer *t = ts->heap[i];
    for (; i > 1 && ts->heap[i / 2]->due_ms > t->due_ms; i /= 2)
        put(ts, i, ts->heap[i / 2]);
    put(ts, i, t);
}

static void sift_down(struct lev_timers *ts, size_t i)
{
    struct lev_timer *t = ts->heap[i];
    for (size_t child; (child = 2 * i) <= ts->len; i = child) {
        if (child < ts->len && ts->heap[child + 1]->due_ms < ts->heap[child]->due_ms)
            child++;
        if (ts->heap[child]->due_ms >= t->due_ms)
            break;
        put(ts, i, ts->heap[child]);
    }
    put(ts, i, t);
}

void lev_timer_clear(struct lev_timers *ts, struct lev_timer *t)
{
    size_t i = t->index;
    if (!i)
        return;
    t->index = 0;
    struct lev_timer *last = ts->heap[ts->len--];
    if (last == t)
        return;
    put(ts, i, last);
    sift_up(ts, i);
    sift_down(ts, last->index);
}

void lev_timer_set(struct lev_timers *ts, struct lev_timer *t, uint64_t due_ms)
{
    if (t->index && t->due_ms == due_ms)
        return;
    lev_timer_clear(ts, t);
    t->due_ms = due_ms;
    if (ts->len + 2 > ts->cap) {
        ts->cap = ts->cap ? ts->cap * 2 : 16;
        ts->heap = lev_xrealloc(ts->heap, ts->cap * sizeof(*ts->heap));
    }
    put(ts, ++ts->len, t);
    sift_up(ts, ts->len);
}

uint64_t lev_timers_next(const struct lev_timers *ts)
{
    return ts->len ? ts->heap[1]->due_ms : UINT64_MAX;
}

bool lev_timers_run(struct lev_timers *ts, uint64_t now_ms, size_t max)
{
    while (ts->len && ts->heap[1]->due_ms <= now_ms) {
        struct lev_timer *t = ts->heap[1];
        if (max-- == 0)
            return true;
        lev_timer_clear(ts, t);
        t->fire(t, now_ms);
    }
    return false;
}
