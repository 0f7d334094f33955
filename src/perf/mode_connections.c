/* Connections for their own sake: --connections holds many idle ones and weighs them,
 * --connection-churn opens and closes them one after the other. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "perf/clock.h"
#include "perf/connection.h"
#include "perf/cost.h"
#include "perf/idle.h"
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
    if (lev_perf_connection_open_beating(conn, &options->uri, name,
                                         (uint16_t)options->heartbeat_s) < 0)
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

/* Opens all, looking after those that are open. */
static int open_all(struct lev_perf_idle *idle, const struct lev_perf_options *options,
                    struct lev_perf_histogram *took, char error[LEV_PERF_ERROR_SIZE])
{
    while (idle->count < options->count) {
        struct lev_perf_connection *conn = &idle->conns[idle->count];

        if (open_one(conn, options, idle->count, took, error) < 0) {
            lev_perf_connection_close(conn);
            return -1;
        }
        if (lev_perf_idle_add(idle, &conn) < 0 || lev_perf_idle_beat(idle, &conn) < 0)
            return fail(error, conn->error);
    }
    return 0;
}

static int wait_idle(struct lev_perf_idle *idle, double seconds, char error[LEV_PERF_ERROR_SIZE])
{
    struct lev_perf_connection *bad;

    if (lev_perf_idle_hold(idle, lev_perf_now_ns() + (uint64_t)(seconds * 1e9), &bad) < 0)
        return fail(error, bad->error);
    return 0;
}

/* What the broker spends on connections that do nothing. */
static int watch_at_rest(struct lev_perf_idle *idle, const struct lev_perf_options *options,
                         struct lev_perf_report *report, char error[LEV_PERF_ERROR_SIZE])
{
    uint64_t sent = idle->beats, got = idle->beats_got;
    struct lev_perf_cost cost;

    if (options->hold_s <= 0)
        return 0;
    if (lev_perf_cost_begin(&cost, options->pid) < 0)
        return fail(error, "--pid cannot be read");
    if (wait_idle(idle, options->hold_s, error) < 0)
        return -1;
    lev_perf_cost_end(&cost);
    lev_perf_report_real(report, "held_s", "s", options->hold_s);
    lev_perf_report_whole(report, "heartbeats_sent", "", idle->beats - sent);
    lev_perf_report_whole(report, "heartbeats_received", "", idle->beats_got - got);
    if (options->pid)
        lev_perf_report_real(report, "idle_cpu_percent", "%",
                             (double)(cost.after.cpu_ns - cost.before.cpu_ns) / 1e7 /
                                 options->hold_s);
    return 0;
}

/* Opens them, lets the broker come to rest before its memory is read, and watches. */
static int hold(struct lev_perf_idle *idle, const struct lev_perf_options *options,
                struct lev_perf_report *report, char error[LEV_PERF_ERROR_SIZE])
{
    static struct lev_perf_histogram took;
    struct lev_perf_cost cost;
    uint64_t start_ns, elapsed_ns;

    if (lev_perf_cost_begin(&cost, options->pid) < 0)
        return fail(error, "--pid cannot be read");
    start_ns = lev_perf_now_ns();
    if (open_all(idle, options, &took, error) < 0)
        return -1;
    elapsed_ns = lev_perf_now_ns() - start_ns;
    if (wait_idle(idle, options->warmup_s, error) < 0)
        return -1;
    lev_perf_cost_end(&cost);
    report_rate(report, options->count, elapsed_ns, &took);
    if (options->pid)
        lev_perf_report_real(report, "rss_per_connection_kib", "KiB",
                             ((double)cost.after.rss_bytes - (double)cost.before.rss_bytes) /
                                 1024.0 / (double)options->count);
    lev_perf_cost_report_per(&cost, report, "cpu_us_per_connection", options->count);
    lev_perf_cost_report(&cost, report, options->count);
    return watch_at_rest(idle, options, report, error);
}

int lev_perf_mode_connections(const struct lev_perf_options *options,
                              struct lev_perf_report *report, char error[LEV_PERF_ERROR_SIZE])
{
    struct lev_perf_connection *conns = calloc(options->count, sizeof *conns);
    struct lev_perf_idle idle;
    int rv;

    if (!conns)
        return fail(error, "out of memory");
    raise_descriptor_limit();
    if (lev_perf_idle_init(&idle, conns, options->heartbeat_s) < 0)
        rv = fail(error, "cannot watch sockets");
    else
        rv = hold(&idle, options, report, error);
    while (idle.count > 0)
        lev_perf_connection_close(&conns[--idle.count]);
    lev_perf_idle_deinit(&idle);
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
