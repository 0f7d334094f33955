/* A virtual host: exchanges, queues, consumers behind one mutex.
 *
 * Everything in src/broker but this file's store callbacks expects the vhost's lock to be held. A
 * loop parses a block of input into commands, locks, applies the run of commands, calls
 * lev_vhost_end_run, and unlocks. */
#ifndef LEV_BROKER_VHOST_H
#define LEV_BROKER_VHOST_H

#include "base/lock.h"
#include "broker/client.h"
#include "broker/error.h"
#include "broker/store.h"

struct lev_vhost;
struct lev_topology;
struct lev_queue;

/* A vhost named name over store (borrowed; NULL never). now_ms is the wall clock in milliseconds,
 * called at most once per run of commands. Never NULL. */
struct lev_vhost *lev_vhost_new(struct lev_bytes name, struct lev_store *store,
                                uint64_t (*now_ms)(void));
/* No connection is left and the store is stopped. Accepts a pointer to NULL. */
void lev_vhost_free(struct lev_vhost **v);

/* Pass these with the vhost as ctx: to lev_store_recover before, and to lev_store_start after it.
 */
extern const struct lev_recovery lev_vhost_recovery;
extern const struct lev_store_client lev_vhost_store_client;

/* How much of each queue is kept in memory. */
struct lev_windows {
    uint32_t max, keep;           /* messages at the head before the queue is paged, and then */
    size_t max_bytes, keep_bytes; /* the same in octets, whichever is reached first */
    uint32_t tail_max;            /* messages at the tail before transient ones are spilled */
    size_t tail_max_bytes;
    size_t pressure; /* octets of ready messages in the vhost above which windows are 64 times
                        smaller */
};
extern const struct lev_windows lev_windows_default;
/* Before the first message; tests make them small. */
void lev_vhost_set_windows(struct lev_vhost *v, const struct lev_windows *w);

struct lev_bytes lev_vhost_name(const struct lev_vhost *v);
struct lev_topology *lev_vhost_topology(struct lev_vhost *v);

void lev_vhost_lock(struct lev_vhost *v);
void lev_vhost_unlock(struct lev_vhost *v);
/* Dispatches kicked queues and routes the dead until there are none, so that a question asked next
 * sees what the commands before it did. What a bounded number of rounds leaves is for the next run,
 * which comes at once. Part of lev_vhost_end_run. Lock held. */
void lev_vhost_settle_queues(struct lev_vhost *v);
/* End of a run of commands: dispatches kicked queues, sends due confirms, wakes the store. Lock
 * held. */
void lev_vhost_end_run(struct lev_vhost *v);

/* Time. alarm is called, with the lock held, when something is due at due_ms (wall clock) and
 * nothing earlier was announced; lev_vhost_tick, without the lock, does what is due. */
void lev_vhost_set_alarm(struct lev_vhost *v, void (*alarm)(void *ctx, uint64_t due_ms), void *ctx);
void lev_vhost_tick(struct lev_vhost *v);
/* How long a delivery may stay unacknowledged where the queue does not say (UINT64_MAX: for ever),
 * and how often that is looked at. Defaults 30 minutes and one. Before connections. */
void lev_vhost_set_consumer_timeout(struct lev_vhost *v, uint64_t ms, uint64_t patrol_ms);

/* What clients may have there at a time; UINT64_MAX: any number. Before connections. */
struct lev_vhost_limits {
    uint64_t connections, queues;
};
void lev_vhost_set_limits(struct lev_vhost *v, const struct lev_vhost_limits *l);
/* NULL while one more of each is allowed in that respect, else the limits. Lock held. */
const struct lev_vhost_limits *lev_vhost_connections_reached(const struct lev_vhost *v);
const struct lev_vhost_limits *lev_vhost_queues_reached(const struct lev_vhost *v);

/* True when the client, which has published, must be held back: the store is behind, or failing,
 * and what it published is for the store, or memory is short, too; or a queue is behind. It is
 * notified when that is over. Lock held. */
bool lev_vhost_throttle(struct lev_vhost *v, struct lev_client *c);

/* Messages that the exchange holds back. Lock held. */
uint64_t lev_vhost_delayed(const struct lev_vhost *v, struct lev_bytes exchange);

/* Counters for tests, metrics and logs. Takes the lock. */
struct lev_vhost_stats {
    size_t exchanges, queues, consumers, channels, connections;
    uint64_t ready, unacked;
    uint64_t delayed; /* held back by exchanges */
    struct lev_lock_stats lock;
};
void lev_vhost_stats(struct lev_vhost *v, struct lev_vhost_stats *out);

#endif
