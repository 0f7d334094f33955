/* How fast a counted run was in each tenth of its work, and how large the broker was at the end of
 * each. Pure; one owner. */
#ifndef LEV_PERF_DECILE_H
#define LEV_PERF_DECILE_H

#include <stdbool.h>
#include <stdint.h>

#include "perf/report.h"

#define LEV_PERF_DECILES 10u

struct lev_perf_deciles {
    uint64_t total;   /* units of work in all; 0: nothing is kept */
    unsigned reached; /* ends of deciles that have been passed */
    uint64_t done;    /* at the last look */
    uint64_t at_ns;   /* when that was */
    uint64_t end_ns[LEV_PERF_DECILES + 1];
    uint64_t rss_bytes[LEV_PERF_DECILES + 1];
};

void lev_perf_deciles_begin(struct lev_perf_deciles *d, uint64_t total, uint64_t now_ns);
/* Whether the end of a decile lies between the last look and `done`. */
bool lev_perf_deciles_due(const struct lev_perf_deciles *d, uint64_t done);
/* A look: `done` units are done by now_ns, and the broker has rss_bytes. Work between two looks is
 * taken to be even. A look that tells of no progress, or lies before the last one, is ignored. */
void lev_perf_deciles_note(struct lev_perf_deciles *d, uint64_t done, uint64_t now_ns,
                           uint64_t rss_bytes);
/* decile_1_per_s to decile_10_per_s, and decile_N_rss_bytes when `with_rss`; nothing for deciles
 * that were not reached. */
void lev_perf_deciles_report(const struct lev_perf_deciles *d, struct lev_perf_report *report,
                             bool with_rss);

#endif
