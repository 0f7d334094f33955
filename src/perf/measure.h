/* The measured part of a run of workers, between their start and their stop. Main thread. */
#ifndef LEV_PERF_MEASURE_H
#define LEV_PERF_MEASURE_H

#include <stdbool.h>
#include <stdint.h>

#include "perf/cost.h"
#include "perf/run.h"

struct lev_perf_measure {
    struct lev_perf_totals before;
    struct lev_perf_totals after;
    uint64_t elapsed_ns;
    struct lev_perf_cost cost;
};

/* Whether the work is complete. */
typedef bool (*lev_perf_done_fn)(const struct lev_perf_totals *totals, const void *arg);

/* Starts the ready workers, leaves the warm-up out and measures options->time_s. The workers still
 * run afterwards. */
int lev_perf_measure_time(struct lev_perf_run *run, struct lev_perf_measure *m);
/* Starts the ready workers, waits until done says so, stops them and accounts for all of it. Fails
 * when nothing moves for half a minute. */
int lev_perf_measure_work(struct lev_perf_run *run, struct lev_perf_measure *m,
                          lev_perf_done_fn done, const void *arg);
struct lev_perf_times {
    struct lev_perf_histogram latency;
    struct lev_perf_histogram confirm;
    struct lev_perf_histogram late;
};

/* Merges the histograms of all workers, which have stopped. */
void lev_perf_measure_times(const struct lev_perf_run *run, struct lev_perf_times *times_r);

#endif
