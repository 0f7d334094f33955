/* The publisher confirms outstanding on one channel: which delivery tags are unsettled and when
 * each was sent. Tags start at 1 and are settled one by one in any order, or all up to one. Pure;
 * one owner. */
#ifndef LEV_PERF_CONFIRM_H
#define LEV_PERF_CONFIRM_H

#include <stdbool.h>
#include <stdint.h>

#include "perf/histogram.h"

struct lev_perf_confirm {
    uint64_t *sent_at; /* ring over the tags [low, next); 0: settled */
    uint64_t mask;
    uint64_t window;
    uint64_t low;         /* the oldest unsettled tag, or next */
    uint64_t next;        /* the tag the next message gets */
    uint64_t outstanding; /* unsettled tags in [low, next) */
};

/* Allows up to `window` (> 0) messages outstanding. Returns 0, or -1 when out of memory. */
int lev_perf_confirm_init(struct lev_perf_confirm *c, unsigned window);
void lev_perf_confirm_deinit(struct lev_perf_confirm *c);
/* How many messages may be sent now. */
uint64_t lev_perf_confirm_room(const struct lev_perf_confirm *c);
/* n messages (at most _room) go out at now_ns (> 0). */
void lev_perf_confirm_issue(struct lev_perf_confirm *c, uint64_t n, uint64_t now_ns);
/* The broker settled `tag`, or with `multiple` everything up to it (0: everything). The time each
 * took goes to `took` unless it is NULL. Returns how many messages that settled, or -1 when the tag
 * was never sent or, without `multiple`, was settled before. */
int64_t lev_perf_confirm_settle(struct lev_perf_confirm *c, uint64_t tag, bool multiple,
                                uint64_t now_ns, struct lev_perf_histogram *took);

#endif
