/* Printing of results. JSON keys are stable: scripts read them. */
#include "perf/report.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static struct lev_perf_figure *add(struct lev_perf_report *report, const char *name,
                                   const char *unit, double value)
{
    struct lev_perf_figure *figure = &report->figures[report->count];

    assert(report->count < LEV_PERF_REPORT_MAX);
    report->count++;
    snprintf(figure->name, sizeof figure->name, "%s", name);
    figure->unit = unit;
    figure->value = value;
    return figure;
}

void lev_perf_report_whole(struct lev_perf_report *report, const char *name, const char *unit,
                           uint64_t value)
{
    add(report, name, unit, (double)value)->whole = true;
}

void lev_perf_report_real(struct lev_perf_report *report, const char *name, const char *unit,
                          double value)
{
    add(report, name, unit, value);
}

void lev_perf_report_latency(struct lev_perf_report *report, const char *stem,
                             const struct lev_perf_histogram *h)
{
    static const struct {
        const char *name;
        double percent;
    } points[] = {{"p50", 50}, {"p75", 75}, {"p99", 99}, {"p999", 99.9}, {"max", 100}};

    for (size_t i = 0; h->count && i < sizeof points / sizeof *points; i++) {
        char name[40];

        snprintf(name, sizeof name, "%s_%s_us", stem, points[i].name);
        add(report, name, "us",
            (double)lev_perf_histogram_percentile(h, points[i].percent) / 1000.0);
    }
}

/* A whole number with its thousands set apart. */
static void format_whole(double value, char out[48])
{
    char digits[32];
    size_t used = 0, len = (size_t)snprintf(digits, sizeof digits, "%.0f", value);

    for (size_t i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0 && digits[i - 1] != '-')
            out[used++] = ',';
        out[used++] = digits[i];
    }
    out[used] = '\0';
}

static void print_table(const struct lev_perf_report *report)
{
    printf("%s\n", report->mode);
    for (unsigned i = 0; i < report->count; i++) {
        const struct lev_perf_figure *f = &report->figures[i];
        char name[sizeof f->name], value[48];

        snprintf(name, sizeof name, "%s", f->name);
        for (char *c = name; *c; c++)
            *c = *c == '_' ? ' ' : *c;
        if (f->whole)
            format_whole(f->value, value);
        else
            snprintf(value, sizeof value, "%.3f", f->value);
        printf("  %-28s %16s %s\n", name, value, f->unit);
    }
}

static void print_json(const struct lev_perf_report *report)
{
    printf("{\"mode\":\"%s\"", report->mode);
    for (unsigned i = 0; i < report->count; i++) {
        const struct lev_perf_figure *f = &report->figures[i];

        printf(f->whole ? ",\"%s\":%.0f" : ",\"%s\":%.3f", f->name, f->value);
    }
    printf("}\n");
}

void lev_perf_report_print(const struct lev_perf_report *report, bool json)
{
    if (json)
        print_json(report);
    else
        print_table(report);
}
