/* Logarithmic histogram. A value v >= 256 with top bit b falls in group b - 7, at the position its
 * 7 bits below the top bit give; groups 0 and 1 together hold 0..255 exactly, so the bucket index
 * grows with the value. */
#include "perf/histogram.h"

#define SUB_BITS LEV_PERF_HISTOGRAM_SUB_BITS

static size_t bucket_of(uint64_t value)
{
    unsigned shift;

    if (value < (2u << SUB_BITS))
        return (size_t)value;
    shift = 63u - (unsigned)__builtin_clzll(value) - SUB_BITS;
    return ((size_t)shift << SUB_BITS) + (size_t)(value >> shift);
}

/* The largest value that falls in the bucket. */
static uint64_t bucket_top(size_t index)
{
    unsigned shift;
    uint64_t sub;

    if (index < (2u << SUB_BITS))
        return index;
    shift = (unsigned)(index >> SUB_BITS) - 1;
    sub = index - ((size_t)shift << SUB_BITS);
    return (sub << shift) + ((1ull << shift) - 1);
}

void lev_perf_histogram_record(struct lev_perf_histogram *h, uint64_t value)
{
    h->bucket[bucket_of(value)]++;
    h->count++;
    if (value > h->max)
        h->max = value;
}

void lev_perf_histogram_merge(struct lev_perf_histogram *h, const struct lev_perf_histogram *from)
{
    for (size_t i = 0; i < LEV_PERF_HISTOGRAM_BUCKETS; i++)
        h->bucket[i] += from->bucket[i];
    h->count += from->count;
    if (from->max > h->max)
        h->max = from->max;
}

uint64_t lev_perf_histogram_percentile(const struct lev_perf_histogram *h, double percent)
{
    double wanted = (double)h->count * percent / 100.0;
    uint64_t seen = 0;

    for (size_t i = 0; i < LEV_PERF_HISTOGRAM_BUCKETS; i++) {
        uint64_t top;

        seen += h->bucket[i];
        if (seen == 0 || (double)seen < wanted)
            continue;
        top = bucket_top(i);
        return top < h->max ? top : h->max;
    }
    return h->max;
}
