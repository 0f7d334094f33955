/* One run: what its worker threads share with the main thread. A worker is a thread with one
 * connection of its own; it reports readiness, waits for the start, works until told to stop, and
 * publishes its counters in a tally that only it writes. The first failure of any worker is kept
 * and stops the run.
 *
 * Thread: _init, _start, _await_ready, _go, _stop, _join, _totals belong to the main thread;
 * _worker_* to the worker. */
#ifndef LEV_PERF_RUN_H
#define LEV_PERF_RUN_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "perf/connection.h"
#include "perf/histogram.h"
#include "perf/options.h"

struct lev_perf_topology;

/* Counters of one worker, or summed over all. */
struct lev_perf_totals {
    uint64_t published; /* handed to the kernel in full */
    uint64_t confirmed; /* acks */
    uint64_t nacked;
    uint64_t returned;
    uint64_t delivered; /* received in full; for RPC: round trips */
    uint64_t blocked;   /* connection.blocked notices */
    uint64_t finished;  /* producers whose last message the broker has answered for */
    uint64_t last_ns;   /* when one of the above last moved */
};

struct lev_perf_tally {
    _Atomic uint64_t published, confirmed, nacked, returned, delivered, blocked, finished, last_ns;
};

struct lev_perf_run {
    const struct lev_perf_options *options;
    const struct lev_perf_topology *topology;
    struct lev_perf_worker *workers; /* started of them are running or have ended */
    unsigned started;
    unsigned joined; /* of those started */
    atomic_bool stop;
    atomic_bool measuring; /* histograms record only while set */
    pthread_mutex_t lock;  /* guards the rest */
    pthread_cond_t changed;
    bool go;
    unsigned ready;
    uint64_t go_ns;
    char error[700];
};

struct lev_perf_worker {
    _Alignas(64) struct lev_perf_tally tally;
    struct lev_perf_run *run;
    unsigned index; /* among its kind */
    const char *kind;
    pthread_t thread;
    struct lev_perf_connection conn;
    struct lev_perf_histogram latency; /* deliveries or round trips */
    struct lev_perf_histogram confirm; /* publisher confirms */
    struct lev_perf_histogram late;    /* --latency: messages sent after they were due */
    int (*body)(struct lev_perf_worker *worker);
};

/* Room for `capacity` workers. Returns 0, or -1 when out of memory. */
int lev_perf_run_init(struct lev_perf_run *run, const struct lev_perf_options *options,
                      const struct lev_perf_topology *topology, unsigned capacity);
void lev_perf_run_deinit(struct lev_perf_run *run);
/* Starts `count` workers: each opens its connection, runs body, closes. body returns 0, or -1 with
 * conn.error set. */
int lev_perf_run_start(struct lev_perf_run *run, const char *kind, unsigned count,
                       int (*body)(struct lev_perf_worker *worker));
/* Waits until every started worker is ready. Returns 0, or -1 when the run has failed. */
int lev_perf_run_await_ready(struct lev_perf_run *run);
/* Lets the ready workers begin; run->go_ns is the moment. */
void lev_perf_run_go(struct lev_perf_run *run);
/* Tells the workers to stop and waits for their end; again is harmless. Returns 0, or -1 when the
 * run has failed. */
int lev_perf_run_stop(struct lev_perf_run *run);
void lev_perf_run_totals(const struct lev_perf_run *run, struct lev_perf_totals *totals_r);
/* Whether some worker has failed: run->error then says why, and may be read once the workers have
 * been joined. */
bool lev_perf_run_failed(struct lev_perf_run *run);
/* Records why the run failed, unless something failed before, and stops it. Any thread. */
__attribute__((format(printf, 2, 3))) int lev_perf_run_fail(struct lev_perf_run *run,
                                                            const char *format, ...);

/* Reports the worker ready and waits for the start. Returns false when the run stops instead. */
bool lev_perf_worker_ready(struct lev_perf_worker *worker);

static inline bool lev_perf_run_stopping(struct lev_perf_run *run)
{
    return atomic_load_explicit(&run->stop, memory_order_relaxed);
}

static inline bool lev_perf_run_measuring(struct lev_perf_run *run)
{
    return atomic_load_explicit(&run->measuring, memory_order_relaxed);
}

/* Adds to a counter that only the calling worker writes. */
static inline void lev_perf_tally_add(_Atomic uint64_t *counter, uint64_t n)
{
    uint64_t v = atomic_load_explicit(counter, memory_order_relaxed);

    atomic_store_explicit(counter, v + n, memory_order_relaxed);
}

static inline void lev_perf_tally_touch(struct lev_perf_tally *tally, uint64_t now_ns)
{
    atomic_store_explicit(&tally->last_ns, now_ns, memory_order_relaxed);
}

#endif
