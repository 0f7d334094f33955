/* The things leveret-perf can do, one function each. All take constant options, fill the report,
 * and return 0, or -1 after writing why to `error`. Main thread. */
#ifndef LEV_PERF_MODES_H
#define LEV_PERF_MODES_H

#include "perf/options.h"
#include "perf/report.h"

#define LEV_PERF_ERROR_SIZE 800

/* Publish and consume, --fill and --drain (and --latency). */
int lev_perf_mode_flow(const struct lev_perf_options *options, struct lev_perf_report *report,
                       char error[LEV_PERF_ERROR_SIZE]);
int lev_perf_mode_rpc(const struct lev_perf_options *options, struct lev_perf_report *report,
                      char error[LEV_PERF_ERROR_SIZE]);
int lev_perf_mode_connections(const struct lev_perf_options *options,
                              struct lev_perf_report *report, char error[LEV_PERF_ERROR_SIZE]);
int lev_perf_mode_churn(const struct lev_perf_options *options, struct lev_perf_report *report,
                        char error[LEV_PERF_ERROR_SIZE]);
int lev_perf_mode_declare(const struct lev_perf_options *options, struct lev_perf_report *report,
                          char error[LEV_PERF_ERROR_SIZE]);
int lev_perf_mode_queue_churn(const struct lev_perf_options *options,
                              struct lev_perf_report *report, char error[LEV_PERF_ERROR_SIZE]);

#endif
