/* The measured part of a run of workers, between their start and their stop. Main thread. */
#ifndef LEV_PERF_MEASURE_H
#define LEV_PERF_MEASURE_H

#include <stdbool.h>
#include <stdint.h>

#include "perf/cost.h"
#include "perf/decile.h"
#include "perf/run.h"

struct lev_perf_measure {
    struct lev_perf_totals before;
    struct lev_perf_totals after;
    uint64_t elapsed_ns;
    struct lev_perf_cost cost;
    struct lev_perf_deciles deciles; /* of counted work that tells its progress */
};

/* Work with an end: how to tell that it is complete, and, unless total is 0, how far it is. */
struct lev_perf_work {
    bool (*complete)(const struct lev_perf_totals *totals, const void *arg);
    uint64_t (*progress)(const struct lev_perf_totals *totals, const void *arg); /* of total */
    uint64_t total;
    const void *arg; /* of both */
};

/* Starts the ready workers, leaves the warm-up out and measures options->time_s, or less when a
 * SIGINT or SIGTERM comes meanwhile (a second one ends the program). The workers still run
 * afterwards. */
int lev_perf_measure_time(struct lev_perf_run *run, struct lev_perf_measure *m);
/* Starts the ready workers, waits until the work is complete, stops them and accounts for all of
 * it. Fails when nothing moves for half a minute. */
int lev_perf_measure_work(struct lev_perf_run *run, struct lev_perf_measure *m,
                          const struct lev_perf_work *work);

struct lev_perf_times {
    struct lev_perf_histogram latency;
    struct lev_perf_histogram confirm;
    struct lev_perf_histogram late;
};

/* Merges the histograms of all workers, which have stopped. */
void lev_perf_measure_times(const struct lev_perf_run *run, struct lev_perf_times *times_r);

#endif
