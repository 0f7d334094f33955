/* --declare: N queues on one channel, one after the other, then their deletion. */
#include <stdio.h>

#include "perf/clock.h"
#include "perf/cost.h"
#include "perf/modes.h"
#include "perf/connection.h"

typedef void (*put_fn)(struct lev_perf_buf *buf, const struct lev_perf_options *options,
                       const char *name);

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

/* One call for each queue; reports its rate under `rate` and its times under `stem`. */
static int for_each_queue(struct lev_perf_connection *conn, const struct lev_perf_options *options,
                          put_fn put, enum lev_perf_method answer, struct lev_perf_histogram *took)
{
    for (uint64_t i = 0; i < options->count; i++) {
        uint64_t start_ns = lev_perf_now_ns();
        char name[256];

        snprintf(name, sizeof name, "%s-declare-%llu", options->queue, (unsigned long long)i);
        put(&conn->out, options, name);
        if (lev_perf_connection_call(conn, answer, NULL) < 0)
            return -1;
        lev_perf_histogram_record(took, lev_perf_now_ns() - start_ns);
    }
    return 0;
}

static uint64_t per_second(uint64_t n, uint64_t ns)
{
    return ns ? (uint64_t)((double)n * 1e9 / (double)ns) : 0;
}

static int run_declare(struct lev_perf_connection *conn, const struct lev_perf_options *options,
                       struct lev_perf_report *report)
{
    static struct lev_perf_histogram declared, deleted;
    struct lev_perf_cost cost;
    uint64_t start_ns, declared_ns;

    if (lev_perf_cost_begin(&cost, options->pid) < 0) {
        snprintf(conn->error, sizeof conn->error, "--pid cannot be read");
        return -1;
    }
    start_ns = lev_perf_now_ns();
    if (for_each_queue(conn, options, put_declare, LEV_PERF_QUEUE_DECLARE_OK, &declared) < 0)
        return -1;
    declared_ns = lev_perf_now_ns();
    lev_perf_cost_end(&cost);
    lev_perf_report_whole(report, "declared", "queues", options->count);
    lev_perf_report_whole(report, "declared_per_s", "/s",
                          per_second(options->count, declared_ns - start_ns));
    lev_perf_report_latency(report, "declare", &declared);
    lev_perf_cost_report_per(&cost, report, "cpu_us_per_declare", options->count);
    lev_perf_cost_report(&cost, report, options->count);
    if (options->keep)
        return 0;
    if (for_each_queue(conn, options, put_delete, LEV_PERF_QUEUE_DELETE_OK, &deleted) < 0)
        return -1;
    lev_perf_report_whole(report, "deleted_per_s", "/s",
                          per_second(options->count, lev_perf_now_ns() - declared_ns));
    lev_perf_report_latency(report, "delete", &deleted);
    return 0;
}

int lev_perf_mode_declare(const struct lev_perf_options *options, struct lev_perf_report *report,
                          char error[LEV_PERF_ERROR_SIZE])
{
    struct lev_perf_connection conn;
    int rv = lev_perf_connection_open(&conn, &options->uri, "leveret-perf declare");

    if (rv == 0)
        rv = run_declare(&conn, options, report);
    if (rv < 0)
        snprintf(error, LEV_PERF_ERROR_SIZE, "%s", conn.error);
    lev_perf_connection_close(&conn);
    return rv;
}
