/* A consumer: one connection that receives, counts, times and acknowledges deliveries. */
#ifndef LEV_PERF_CONSUMER_H
#define LEV_PERF_CONSUMER_H

#include "perf/run.h"

/* The body of a consumer worker (see run.h): subscribes, then reports ready. */
int lev_perf_consumer_body(struct lev_perf_worker *worker);
/* The same for --drain: reports ready first and subscribes at the start, so that the run times
 * every delivery. */
int lev_perf_drainer_body(struct lev_perf_worker *worker);

#endif
