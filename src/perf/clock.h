/* Time for the load generator: one monotonic clock, in nanoseconds. Pure; any thread. */
#ifndef LEV_PERF_CLOCK_H
#define LEV_PERF_CLOCK_H

#include <stdint.h>
#include <time.h>

#define LEV_PERF_SECOND_NS 1000000000ull
#define LEV_PERF_MS_NS 1000000ull

/* Nanoseconds since an arbitrary start, the same for every thread. */
static inline uint64_t lev_perf_now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * LEV_PERF_SECOND_NS + (uint64_t)ts.tv_nsec;
}

static inline struct timespec lev_perf_timespec(uint64_t ns)
{
    struct timespec ts;

    ts.tv_sec = (time_t)(ns / LEV_PERF_SECOND_NS);
    ts.tv_nsec = (long)(ns % LEV_PERF_SECOND_NS);
    return ts;
}

#endif
