/* Connections for their own sake: --connections holds many idle ones and weighs them,
 * --connection-churn opens and closes them one after the other. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "perf/clock.h"
#include "perf/connection.h"
#include "perf/cost.h"
#include "perf/modes.h"

static int fail(char error[LEV_PERF_ERROR_SIZE], const char *why)
{
    snprintf(error, LEV_PERF_ERROR_SIZE, "%s", why);
    return -1;
}

/* Every connection is a descriptor; what the hard limit does not allow shows when socket() fails.
 */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static int open_one(struct lev_perf_connection *conn, const struct lev_perf_options *options,
                    uint64_t i, struct lev_perf_histogram *took, char error[LEV_PERF_ERROR_SIZE])
{
    uint64_t start_ns = lev_perf_now_ns();
    char name[64];

    snprintf(name, sizeof name, "leveret-perf connection %llu", (unsigned long long)i);
    if (lev_perf_connection_open(conn, &options->uri, name) < 0)
        return fail(error, conn->error);
    lev_perf_histogram_record(took, lev_perf_now_ns() - start_ns);
    return 0;
}

static void report_rate(struct lev_perf_report *report, uint64_t count, uint64_t ns,
                        const struct lev_perf_histogram *took)
{
    lev_perf_report_whole(report, "connections", "", count);
    lev_perf_report_real(report, "elapsed_s", "s", (double)ns / 1e9);
    lev_perf_report_whole(report, "connections_per_s", "/s",
                          (uint64_t)((double)count * 1e9 / (double)ns));
    lev_perf_report_latency(report, "open", took);
}

/* Lets the broker come to rest before its memory is read. */
static void settle(const struct lev_perf_options *options)
{
    struct timespec pause = lev_perf_timespec((uint64_t)(options->warmup_s * 1e9));

    (void)nanosleep(&pause, NULL);
}

static int hold(struct lev_perf_connection *conns, uint64_t *opened,
                const struct lev_perf_options *options, struct lev_perf_report *report,
                char error[LEV_PERF_ERROR_SIZE])
{
    static struct lev_perf_histogram took;
    struct lev_perf_cost cost;
    uint64_t start_ns, elapsed_ns;

    if (lev_perf_cost_begin(&cost, options->pid) < 0)
        return fail(error, "--pid cannot be read");
    start_ns = lev_perf_now_ns();
    for (; *opened < options->count; (*opened)++) {
        if (open_one(&conns[*opened], options, *opened, &took, error) < 0) {
            lev_perf_connection_close(&conns[*opened]);
            return -1;
        }
        lev_perf_connection_rest(&conns[*opened]);
    }
    elapsed_ns = lev_perf_now_ns() - start_ns;
    settle(options);
    lev_perf_cost_end(&cost);
    report_rate(report, options->count, elapsed_ns, &took);
    if (options->pid)
        lev_perf_report_real(report, "rss_per_connection_kib", "KiB",
                             ((double)cost.after.rss_bytes - (double)cost.before.rss_bytes) /
                                 1024.0 / (double)options->count);
    lev_perf_cost_report_per(&cost, report, "cpu_us_per_connection", options->count);
    lev_perf_cost_report(&cost, report, options->count);
    return 0;
}

int lev_perf_mode_connections(const struct lev_perf_options *options,
                              struct lev_perf_report *report, char error[LEV_PERF_ERROR_SIZE])
{
    struct lev_perf_connection *conns = calloc(options->count, sizeof *conns);
    uint64_t opened = 0;
    int rv;

    if (!conns)
        return fail(error, "out of memory");
    raise_descriptor_limit();
    rv = hold(conns, &opened, options, report, error);
    while (opened > 0)
        lev_perf_connection_close(&conns[--opened]);
    free(conns);
    return rv;
}

int lev_perf_mode_churn(const struct lev_perf_options *options, struct lev_perf_report *report,
                        char error[LEV_PERF_ERROR_SIZE])
{
    static struct lev_perf_histogram took;
    struct lev_perf_cost cost;
    uint64_t start_ns;

    if (lev_perf_cost_begin(&cost, options->pid) < 0)
        return fail(error, "--pid cannot be read");
    start_ns = lev_perf_now_ns();
    for (uint64_t i = 0; i < options->count; i++) {
        struct lev_perf_connection conn;
        int rv = open_one(&conn, options, i, &took, error);

        lev_perf_connection_close(&conn);
        if (rv < 0)
            return -1;
    }
    lev_perf_cost_end(&cost);
    report_rate(report, options->count, lev_perf_now_ns() - start_ns, &took);
    lev_perf_cost_report_per(&cost, report, "cpu_us_per_connection", options->count);
    lev_perf_cost_report(&cost, report, options->count);
    return 0;
}
