/* A spread of durations. Values below 4 have buckets of their own; a larger one with top bit b is
 * in group b - 1, at the place that the two bits below b give. See spread.h. */
#include "base/spread.h"

static size_t bucket_of(uint64_t value)
{
    if (value < 4)
        return (size_t)value;
    unsigned shift = 61u - (unsigned)__builtin_clzll(value);
    size_t i = ((size_t)shift << 2) + (size_t)(value >> shift);
    return i < LEV_SPREAD_BUCKETS ? i : LEV_SPREAD_BUCKETS - 1;
}

/* The largest value of the bucket; the last one has no end. */
static uint64_t bucket_top(size_t i)
{
    if (i < 4)
        return i;
    if (i == LEV_SPREAD_BUCKETS - 1)
        return UINT64_MAX;
    unsigned shift = (unsigned)(i >> 2) - 1;
    return ((uint64_t)((i & 3) + 5) << shift) - 1;
}

void lev_spread_add(struct lev_spread *s, uint64_t value)
{
    s->bucket[bucket_of(value)]++;
    s->count++;
    s->sum += value;
    if (value > s->max)
        s->max = value;
}

uint64_t lev_spread_percentile(const struct lev_spread *s, unsigned percent)
{
    uint64_t wanted = (s->count * percent + 99) / 100, seen = 0;
    for (size_t i = 0; s->count && i < LEV_SPREAD_BUCKETS; i++) {
        seen += s->bucket[i];
        if (seen >= wanted && seen > 0)
            return bucket_top(i) < s->max ? bucket_top(i) : s->max;
    }
    return s->max;
}
