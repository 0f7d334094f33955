/* How a duration is spread: count, sum, largest, and a logarithmic histogram with four buckets for
 * each power of two, so that a percentile is at most a quarter above the truth. Fixed size, no
 * allocation, no lock of its own. */
#ifndef LEV_BASE_SPREAD_H
#define LEV_BASE_SPREAD_H

#include <stddef.h>
#include <stdint.h>

enum {
    LEV_SPREAD_BUCKETS = 148
}; /* to 2^38 ns, four and a half minutes; the last takes the rest */

/* All zero: empty. */
struct lev_spread {
    uint64_t count, sum, max;
    uint64_t bucket[LEV_SPREAD_BUCKETS];
};

void lev_spread_add(struct lev_spread *s, uint64_t value);
/* What at least that many per cent of the values do not exceed, to a bucket's upper bound; 0 when
 * empty. */
uint64_t lev_spread_percentile(const struct lev_spread *s, unsigned percent);

#endif
