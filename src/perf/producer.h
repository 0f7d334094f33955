/* A producer: one connection that publishes the run's template as fast, as often or as evenly as
 * the options say. */
#ifndef LEV_PERF_PRODUCER_H
#define LEV_PERF_PRODUCER_H

#include "perf/run.h"

/* The body of a producer worker (see run.h). */
int lev_perf_producer_body(struct lev_perf_worker *worker);

#endif
