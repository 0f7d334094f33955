/* Deciles: the moment each tenth was complete, found between two looks by proportion. */
#include "perf/decile.h"

#include <stdio.h>
#include <string.h>

static uint64_t decile_end(const struct lev_perf_deciles *d, unsigned decile)
{
    return d->total / LEV_PERF_DECILES * decile + d->total % LEV_PERF_DECILES * decile / 10;
}

void lev_perf_deciles_begin(struct lev_perf_deciles *d, uint64_t total, uint64_t now_ns)
{
    memset(d, 0, sizeof *d);
    d->total = total;
    d->at_ns = now_ns;
    d->end_ns[0] = now_ns;
}

bool lev_perf_deciles_due(const struct lev_perf_deciles *d, uint64_t done)
{
    return d->total && d->reached < LEV_PERF_DECILES && done >= decile_end(d, d->reached + 1);
}

void lev_perf_deciles_note(struct lev_perf_deciles *d, uint64_t done, uint64_t now_ns,
                           uint64_t rss_bytes)
{
    double ns_per_unit;

    if (done <= d->done || now_ns < d->at_ns)
        return;
    ns_per_unit = (double)(now_ns - d->at_ns) / (double)(done - d->done);
    while (lev_perf_deciles_due(d, done)) {
        uint64_t end = decile_end(d, ++d->reached);
        uint64_t since = end > d->done ? end - d->done : 0;

        d->end_ns[d->reached] = d->at_ns + (uint64_t)((double)since * ns_per_unit);
        d->rss_bytes[d->reached] = rss_bytes;
    }
    d->done = done;
    d->at_ns = now_ns;
}

void lev_perf_deciles_report(const struct lev_perf_deciles *d, struct lev_perf_report *report,
                             bool with_rss)
{
    char name[40];

    for (unsigned i = 1; i <= d->reached; i++) {
        uint64_t ns = d->end_ns[i] - d->end_ns[i - 1];
        uint64_t units = decile_end(d, i) - decile_end(d, i - 1);

        snprintf(name, sizeof name, "decile_%u_per_s", i);
        lev_perf_report_whole(report, name, "/s",
                              ns ? (uint64_t)((double)units * 1e9 / (double)ns) : 0);
    }
    for (unsigned i = 1; with_rss && i <= d->reached; i++) {
        snprintf(name, sizeof name, "decile_%u_rss_bytes", i);
        lev_perf_report_whole(report, name, "B", d->rss_bytes[i]);
    }
}
