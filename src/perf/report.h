/* The result of a run: an ordered list of named figures, printed as a table or as one JSON object.
 * Main thread. */
#ifndef LEV_PERF_REPORT_H
#define LEV_PERF_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "perf/histogram.h"

#define LEV_PERF_REPORT_MAX 64

struct lev_perf_figure {
    char name[40]; /* JSON key; the table shows it with spaces for underscores */
    const char *unit;
    bool whole; /* printed without decimals */
    double value;
};

/* All zero is an empty report. */
struct lev_perf_report {
    const char *mode;
    struct lev_perf_figure figures[LEV_PERF_REPORT_MAX];
    unsigned count;
};

/* Appends a figure; name and unit are static texts. Figures beyond the table's size abort: our own
 * error. */
void lev_perf_report_whole(struct lev_perf_report *report, const char *name, const char *unit,
                           uint64_t value);
void lev_perf_report_real(struct lev_perf_report *report, const char *name, const char *unit,
                          double value);
/* Appends p50, p75, p99, p99.9 and max in microseconds under `stem`; nothing when the histogram is
 * empty. */
void lev_perf_report_latency(struct lev_perf_report *report, const char *stem,
                             const struct lev_perf_histogram *h);
void lev_perf_report_print(const struct lev_perf_report *report, bool json);

#endif
