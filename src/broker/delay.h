/* Messages that an exchange holds back until they are due.
 *
 * All of them are in the store, ordered by (due, seq). In memory are the imminent ones: a binary
 * heap of those below the horizon. When the heap runs low the next block is read and the horizon
 * moves up; when it outgrows its bound, the later half is forgotten and the horizon moves down. So
 * memory does not depend on how many messages wait, or for how long.
 *
 * Invariants, under the vhost's lock:
 *  1. beyond is false: all are in the heap. Else the heap has exactly those below the horizon, and
 *     every message at or above it is in the store, or in a batch on its way there.
 *  2. A read begins (loading) when what is to be read is known: it is asked for once every batch
 *     with operations issued until then is durable. What is added from then on has a seq not below
 *     fresh_from; what of it is not below the horizon waits in fresh until the read is back, which
 *     then says where the horizon is. The horizon does not move while loading.
 *  3. A message leaves the heap when it is due: DELAY_DONE and whatever its routing enqueues are
 *     issued within one hold of the lock, so they are in one batch. */
#ifndef LEV_BROKER_DELAY_H
#define LEV_BROKER_DELAY_H

#include "base/map.h"
#include "broker/store.h"
#include "broker/timer.h"

struct lev_vhost;
struct lev_exchange;

/* Messages in memory. */
struct lev_delay_limits {
    size_t max, max_bytes;
};
extern const struct lev_delay_limits lev_delay_limits_default;

struct lev_delays {
    struct lev_delay_limits limits;
    struct lev_delayed **heap; /* from 0; owns references */
    size_t n, cap, bytes;
    bool beyond; /* there may be messages at or above the horizon */
    uint64_t horizon_due, horizon_seq;
    bool loading, asked; /* asked: the read is at the store */
    uint64_t read_after; /* batch that must be durable before it is asked for */
    uint64_t retry_ms;   /* not before: the last read failed */
    uint64_t fresh_from;
    struct lev_delayed **fresh; /* owns references */
    size_t n_fresh, cap_fresh;
    uint64_t next_seq;
    struct lev_map counts; /* struct delay_count by exchange */
    struct lev_timer timer;
};

void lev_delays_init(struct lev_delays *d);
void lev_delays_deinit(struct lev_delays *d);

/* Holds msg back for exchange x. Borrows everything. The open batch stores it. */
void lev_delay_add(struct lev_vhost *v, const struct lev_exchange *x, struct lev_msg *msg,
                   const struct lev_bytes *keys, size_t n_keys, uint64_t delay_ms);

/* How many an exchange of that name holds back; all. */
uint64_t lev_delay_count(const struct lev_vhost *v, struct lev_bytes exchange);
uint64_t lev_delay_count_all(const struct lev_vhost *v);

/* Recovery: what the store has of one exchange. */
void lev_delays_recover(struct lev_vhost *v, const struct lev_delay_state *s);
/* A batch became durable. */
void lev_delays_stored(struct lev_vhost *v);
/* A read came back; the caller frees it. */
void lev_delays_loaded(struct lev_vhost *v, const struct lev_read *r);

#endif
