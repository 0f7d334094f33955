/* Cost accounting around a measured interval. */
#include "perf/cost.h"

#include <string.h>

int lev_perf_cost_begin(struct lev_perf_cost *cost, pid_t pid)
{
    memset(cost, 0, sizeof *cost);
    cost->pid = pid;
    if (pid && lev_perf_procstat_read(pid, &cost->before) < 0)
        return -1;
    cost->after = cost->before;
    cost->rss_peak_bytes = cost->before.rss_bytes;
    cost->self_before_ns = lev_perf_procstat_self_cpu_ns();
    return 0;
}

void lev_perf_cost_sample(struct lev_perf_cost *cost)
{
    struct lev_perf_procstat now;

    if (!cost->pid || lev_perf_procstat_read(cost->pid, &now) < 0)
        return;
    cost->after = now;
    if (now.rss_bytes > cost->rss_peak_bytes)
        cost->rss_peak_bytes = now.rss_bytes;
}

void lev_perf_cost_end(struct lev_perf_cost *cost)
{
    lev_perf_cost_sample(cost);
    cost->self_after_ns = lev_perf_procstat_self_cpu_ns();
}

static double per_us(uint64_t ns, uint64_t work)
{
    return (double)ns / 1000.0 / (double)work;
}

void lev_perf_cost_report_per(const struct lev_perf_cost *cost, struct lev_perf_report *report,
                              const char *name, uint64_t work)
{
    if (cost->pid && work)
        lev_perf_report_real(report, name, "us",
                             per_us(cost->after.cpu_ns - cost->before.cpu_ns, work));
}

void lev_perf_cost_report(const struct lev_perf_cost *cost, struct lev_perf_report *report,
                          uint64_t work)
{
    if (cost->pid) {
        lev_perf_report_real(report, "cpu_s", "s",
                             (double)(cost->after.cpu_ns - cost->before.cpu_ns) / 1e9);
        lev_perf_report_whole(report, "rss_before_bytes", "B", cost->before.rss_bytes);
        lev_perf_report_whole(report, "rss_after_bytes", "B", cost->after.rss_bytes);
        lev_perf_report_whole(report, "rss_peak_bytes", "B", cost->rss_peak_bytes);
    }
    if (work)
        lev_perf_report_real(report, "client_cpu_us_per_message", "us",
                             per_us(cost->self_after_ns - cost->self_before_ns, work));
}
