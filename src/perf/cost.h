/* What the broker's process (--pid) and this one cost over an interval. Main thread. */
#ifndef LEV_PERF_COST_H
#define LEV_PERF_COST_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "perf/procstat.h"
#include "perf/report.h"

struct lev_perf_cost {
    pid_t pid; /* 0: only this process is watched */
    struct lev_perf_procstat before;
    struct lev_perf_procstat after;
    uint64_t rss_peak_bytes; /* the highest of the samples */
    uint64_t self_before_ns;
    uint64_t self_after_ns;
};

/* Start watching, sample the memory now and then, stop watching. _begin returns 0, or -1 when pid
 * cannot be read; later failures leave the last figures standing. */
int lev_perf_cost_begin(struct lev_perf_cost *cost, pid_t pid);
void lev_perf_cost_sample(struct lev_perf_cost *cost);
void lev_perf_cost_end(struct lev_perf_cost *cost);
/* CPU per unit of work under `name` ("cpu_us_per_..."); nothing without a pid or without work. */
void lev_perf_cost_report_per(const struct lev_perf_cost *cost, struct lev_perf_report *report,
                              const char *name, uint64_t work);
/* CPU in all, memory before, after and at its peak, and this process's own CPU per unit of work. */
void lev_perf_cost_report(const struct lev_perf_cost *cost, struct lev_perf_report *report,
                          uint64_t work);

#endif
