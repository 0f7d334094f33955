/* A histogram of durations with logarithmic buckets: exact below 256 ns, then 128 buckets for each
 * power of two, so a percentile is never more than 1 % above the truth. Fixed size, no allocation.
 * One owner; merge after it rests. */
#ifndef LEV_PERF_HISTOGRAM_H
#define LEV_PERF_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

#define LEV_PERF_HISTOGRAM_SUB_BITS 7
#define LEV_PERF_HISTOGRAM_BUCKETS                                                                 \
    ((65 - LEV_PERF_HISTOGRAM_SUB_BITS) << LEV_PERF_HISTOGRAM_SUB_BITS)

/* All zero is an empty histogram. */
struct lev_perf_histogram {
    uint64_t bucket[LEV_PERF_HISTOGRAM_BUCKETS];
    uint64_t count;
    uint64_t max;
};

void lev_perf_histogram_record(struct lev_perf_histogram *h, uint64_t value);
/* Adds what `from` holds to h. */
void lev_perf_histogram_merge(struct lev_perf_histogram *h, const struct lev_perf_histogram *from);
/* The smallest bucket bound that at least `percent` per cent of the values do not exceed (never
 * above the largest value seen); 0 when empty. */
uint64_t lev_perf_histogram_percentile(const struct lev_perf_histogram *h, double percent);

#endif
