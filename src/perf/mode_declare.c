/* Queues for their own sake, on one channel: --declare declares many and then deletes them,
 * --queue-churn deletes each before the next. */
#include <stdio.h>
#include <string.h>

#include "perf/clock.h"
#include "perf/cost.h"
#include "perf/modes.h"
#include "perf/connection.h"

typedef void (*put_fn)(struct lev_perf_buf *buf, const struct lev_perf_options *options,
                       const char *name);

static struct lev_perf_histogram declared, deleted;

static void put_declare(struct lev_perf_buf *buf, const struct lev_perf_options *options,
                        const char *name)
{
    lev_perf_method_queue_declare(buf, LEV_PERF_CHANNEL, name, false, options->durable);
}

static void put_delete(struct lev_perf_buf *buf, const struct lev_perf_options *options,
                       const char *name)
{
    (void)options;
    lev_perf_method_queue_delete(buf, LEV_PERF_CHANNEL, name);
}

struct call {
    put_fn put;
    enum lev_perf_method answer;
    struct lev_perf_histogram *took;
};

static const struct call declare_call = {put_declare, LEV_PERF_QUEUE_DECLARE_OK, &declared};
static const struct call delete_call = {put_delete, LEV_PERF_QUEUE_DELETE_OK, &deleted};

/* One call about queue i, whose time is recorded. */
static int call_queue(struct lev_perf_connection *conn, const struct lev_perf_options *options,
                      const struct call *call, uint64_t i)
{
    uint64_t start_ns = lev_perf_now_ns();
    char name[256];

    snprintf(name, sizeof name, "%s-declare-%llu", options->queue, (unsigned long long)i);
    call->put(&conn->out, options, name);
    if (lev_perf_connection_call(conn, call->answer, NULL) < 0)
        return -1;
    lev_perf_histogram_record(call->took, lev_perf_now_ns() - start_ns);
    return 0;
}

static int for_each_queue(struct lev_perf_connection *conn, const struct lev_perf_options *options,
                          const struct call *call)
{
    for (uint64_t i = 0; i < options->count; i++) {
        if (call_queue(conn, options, call, i) < 0)
            return -1;
    }
    return 0;
}

static uint64_t per_second(uint64_t n, uint64_t ns)
{
    return ns ? (uint64_t)((double)n * 1e9 / (double)ns) : 0;
}

static int begin(struct lev_perf_connection *conn, const struct lev_perf_options *options,
                 struct lev_perf_cost *cost)
{
    if (lev_perf_cost_begin(cost, options->pid) == 0)
        return 0;
    snprintf(conn->error, sizeof conn->error, "--pid cannot be read");
    return -1;
}

static int run_declare(struct lev_perf_connection *conn, const struct lev_perf_options *options,
                       struct lev_perf_report *report)
{
    struct lev_perf_cost cost;
    uint64_t start_ns, declared_ns;

    if (begin(conn, options, &cost) < 0)
        return -1;
    start_ns = lev_perf_now_ns();
    if (for_each_queue(conn, options, &declare_call) < 0)
        return -1;
    declared_ns = lev_perf_now_ns();
    lev_perf_cost_end(&cost);
    lev_perf_report_whole(report, "declared", "queues", options->count);
    lev_perf_report_whole(report, "declared_per_s", "/s",
                          per_second(options->count, declared_ns - start_ns));
    lev_perf_report_latency(report, "declare", &declared);
    lev_perf_cost_report_per(&cost, report, "cpu_us_per_declare", options->count);
    if (options->pid)
        lev_perf_report_real(report, "rss_per_queue_bytes", "B",
                             ((double)cost.after.rss_bytes - (double)cost.before.rss_bytes) /
                                 (double)options->count);
    lev_perf_cost_report(&cost, report, options->count);
    if (options->keep)
        return 0;
    if (for_each_queue(conn, options, &delete_call) < 0)
        return -1;
    lev_perf_report_whole(report, "deleted_per_s", "/s",
                          per_second(options->count, lev_perf_now_ns() - declared_ns));
    lev_perf_report_latency(report, "delete", &deleted);
    return 0;
}

static int run_churn(struct lev_perf_connection *conn, const struct lev_perf_options *options,
                     struct lev_perf_report *report)
{
    struct lev_perf_cost cost;
    uint64_t start_ns, elapsed_ns;

    if (begin(conn, options, &cost) < 0)
        return -1;
    start_ns = lev_perf_now_ns();
    for (uint64_t i = 0; i < options->count; i++) {
        if (call_queue(conn, options, &declare_call, i) < 0 ||
            call_queue(conn, options, &delete_call, i) < 0)
            return -1;
    }
    elapsed_ns = lev_perf_now_ns() - start_ns;
    lev_perf_cost_end(&cost);
    lev_perf_report_whole(report, "churned", "queues", options->count);
    lev_perf_report_whole(report, "churned_per_s", "/s", per_second(options->count, elapsed_ns));
    lev_perf_report_latency(report, "declare", &declared);
    lev_perf_report_latency(report, "delete", &deleted);
    lev_perf_cost_report_per(&cost, report, "cpu_us_per_churn", options->count);
    lev_perf_cost_report(&cost, report, options->count);
    return 0;
}

static int with_connection(const struct lev_perf_options *options, struct lev_perf_report *report,
                           int (*run)(struct lev_perf_connection *conn,
                                      const struct lev_perf_options *options,
                                      struct lev_perf_report *report),
                           char error[LEV_PERF_ERROR_SIZE])
{
    struct lev_perf_connection conn;
    int rv = lev_perf_connection_open(&conn, &options->uri, "leveret-perf declare");

    memset(&declared, 0, sizeof declared);
    memset(&deleted, 0, sizeof deleted);
    if (rv == 0)
        rv = run(&conn, options, report);
    if (rv < 0)
        snprintf(error, LEV_PERF_ERROR_SIZE, "%s", conn.error);
    lev_perf_connection_close(&conn);
    return rv;
}

int lev_perf_mode_declare(const struct lev_perf_options *options, struct lev_perf_report *report,
                          char error[LEV_PERF_ERROR_SIZE])
{
    return with_connection(options, report, run_declare, error);
}

int lev_perf_mode_queue_churn(const struct lev_perf_options *options,
                              struct lev_perf_report *report, char error[LEV_PERF_ERROR_SIZE])
{
    return with_connection(options, report, run_churn, error);
}
