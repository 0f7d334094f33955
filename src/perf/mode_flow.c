/* Messages through queues: publish and consume, --fill and --drain. An administrative connection of
 * the main thread declares the topology, looks at queue depths, and cleans up also when the run
 * failed. */
#include <stdio.h>
#include <string.h>

#include "perf/clock.h"
#include "perf/consumer.h"
#include "perf/measure.h"
#include "perf/modes.h"
#include "perf/producer.h"
#include "perf/topology.h"

#define SETTLE_NS (10 * LEV_PERF_SECOND_NS)

struct flow {
    const struct lev_perf_options *options;
    struct lev_perf_topology topology;
    struct lev_perf_connection admin;
    struct lev_perf_run run;
    struct lev_perf_measure measure;
    uint64_t expected; /* --drain: what was there to consume */
};

static bool all_went_through(const struct lev_perf_totals *t, const void *arg)
{
    const struct flow *flow = arg;
    const struct lev_perf_options *o = flow->options;
    uint64_t routed = o->count - t->nacked - t->returned;

    if (t->finished < o->producers)
        return false;
    return o->consumers == 0 || t->delivered >= routed * flow->topology.copies;
}

static bool all_drained(const struct lev_perf_totals *t, const void *arg)
{
    const struct flow *flow = arg;

    return t->delivered >= flow->expected;
}

static uint64_t filled(const struct lev_perf_totals *t, const void *arg)
{
    const struct flow *flow = arg;

    return flow->options->confirm ? t->confirmed + t->nacked : t->published;
}

static uint64_t drained(const struct lev_perf_totals *t, const void *arg)
{
    (void)arg;
    return t->delivered;
}

static int start_workers(struct flow *flow)
{
    const struct lev_perf_options *o = flow->options;
    bool drain = o->mode == LEV_PERF_MODE_DRAIN;

    if (lev_perf_run_start(&flow->run, "consumer", o->consumers,
                           drain ? lev_perf_drainer_body : lev_perf_consumer_body) < 0 ||
        lev_perf_run_await_ready(&flow->run) < 0 ||
        lev_perf_run_start(&flow->run, "producer", o->producers, lev_perf_producer_body) < 0)
        return -1;
    return lev_perf_run_await_ready(&flow->run);
}

static int measure(struct flow *flow)
{
    struct lev_perf_work work = {.complete = all_went_through, .progress = filled, .arg = flow};

    if (flow->options->mode == LEV_PERF_MODE_FILL)
        work.total = flow->options->count;
    if (flow->options->mode == LEV_PERF_MODE_DRAIN)
        work = (struct lev_perf_work){all_drained, drained, flow->expected, flow};
    if (flow->options->count || flow->options->mode == LEV_PERF_MODE_DRAIN)
        return lev_perf_measure_work(&flow->run, &flow->measure, &work);
    return lev_perf_measure_time(&flow->run, &flow->measure);
}

/* After --fill every message must be in a queue. Without confirms the broker may still be taking
 * them in. */
static int check_depth(struct flow *flow)
{
    const struct lev_perf_totals *t = &flow->measure.after;
    uint64_t wanted =
        (t->published - t->nacked - t->returned) * flow->topology.copies + flow->expected;
    uint64_t deadline_ns = lev_perf_now_ns() + SETTLE_NS, depth;

    do {
        if (lev_perf_topology_depth(&flow->topology, &flow->admin, &depth) < 0)
            return lev_perf_run_fail(&flow->run, "%s", flow->admin.error);
    } while (depth < wanted && lev_perf_now_ns() < deadline_ns);
    if (depth != wanted)
        return lev_perf_run_fail(&flow->run, "the queues hold %llu messages, not %llu",
                                 (unsigned long long)depth, (unsigned long long)wanted);
    return 0;
}

/* Counts are exact when the run had an end that all messages reached. */
static int check(struct flow *flow)
{
    const struct lev_perf_options *o = flow->options;
    const struct lev_perf_totals *t = &flow->measure.after;
    uint64_t wanted = (o->count - t->nacked - t->returned) * flow->topology.copies;

    if (o->mode == LEV_PERF_MODE_FILL)
        return check_depth(flow);
    if (o->mode == LEV_PERF_MODE_DRAIN)
        wanted = flow->expected;
    else if (!o->count || !o->consumers)
        return 0;
    if (t->delivered != wanted)
        return lev_perf_run_fail(&flow->run, "%llu messages were delivered, not %llu",
                                 (unsigned long long)t->delivered, (unsigned long long)wanted);
    return 0;
}

static int prepare(struct flow *flow)
{
    const struct lev_perf_options *o = flow->options;

    if (lev_perf_connection_open(&flow->admin, &o->uri, "leveret-perf admin") < 0)
        return -1;
    if (o->mode != LEV_PERF_MODE_DRAIN &&
        lev_perf_topology_declare(&flow->topology, &flow->admin) < 0)
        return -1;
    return lev_perf_topology_depth(&flow->topology, &flow->admin, &flow->expected);
}

static void report_counts(const struct flow *flow, struct lev_perf_report *report)
{
    const struct lev_perf_measure *m = &flow->measure;
    double seconds = (double)m->elapsed_ns / 1e9;
    uint64_t published = m->after.published - m->before.published;
    uint64_t confirmed = m->after.confirmed - m->before.confirmed;
    uint64_t delivered = m->after.delivered - m->before.delivered;
    uint64_t work = flow->options->consumers ? delivered : published;

    lev_perf_report_real(report, "elapsed_s", "s", seconds);
    if (flow->options->producers) {
        lev_perf_report_whole(report, "published", "msg", published);
        lev_perf_report_whole(report, "published_per_s", "msg/s",
                              (uint64_t)((double)published / seconds));
    }
    if (flow->options->confirm) {
        lev_perf_report_whole(report, "confirmed", "msg", confirmed);
        lev_perf_report_whole(report, "confirmed_per_s", "msg/s",
                              (uint64_t)((double)confirmed / seconds));
        lev_perf_report_whole(report, "nacked", "msg", m->after.nacked - m->before.nacked);
    }
    if (m->after.returned)
        lev_perf_report_whole(report, "returned", "msg", m->after.returned - m->before.returned);
    if (flow->options->consumers) {
        lev_perf_report_whole(report, "delivered", "msg", delivered);
        lev_perf_report_whole(report, "delivered_per_s", "msg/s",
                              (uint64_t)((double)delivered / seconds));
    }
    lev_perf_report_real(report, "body_mb_per_s", "MB/s",
                         (double)(work * flow->options->size) / 1e6 / seconds);
    if (m->after.blocked)
        lev_perf_report_whole(report, "blocked_by_broker", "times", m->after.blocked);
}

static void report(const struct flow *flow, struct lev_perf_report *report)
{
    const struct lev_perf_measure *m = &flow->measure;
    uint64_t published = m->after.published - m->before.published;
    uint64_t delivered = m->after.delivered - m->before.delivered;
    static struct lev_perf_times times;

    report_counts(flow, report);
    lev_perf_measure_times(&flow->run, &times);
    lev_perf_report_latency(report, "latency", &times.latency);
    lev_perf_report_latency(report, "confirm", &times.confirm);
    lev_perf_report_latency(report, "send_late", &times.late);
    lev_perf_cost_report_per(&m->cost, report, "cpu_us_per_published", published);
    lev_perf_cost_report_per(&m->cost, report, "cpu_us_per_delivered", delivered);
    lev_perf_cost_report(&m->cost, report, delivered > published ? delivered : published);
    lev_perf_deciles_report(&m->deciles, report, flow->options->pid != 0);
}

/* Deletes what the run declared, also after a failure, over a new connection when the old one is
 * lost. */
static int clean_up(struct flow *flow)
{
    if (flow->options->keep || flow->options->mode == LEV_PERF_MODE_FILL)
        return 0;
    if (flow->admin.error[0]) {
        lev_perf_connection_close(&flow->admin);
        if (lev_perf_connection_open(&flow->admin, &flow->options->uri, "leveret-perf admin") < 0)
            return -1;
    }
    return lev_perf_topology_delete(&flow->topology, &flow->admin);
}

static int run_flow(struct flow *flow, struct lev_perf_report *out)
{
    int rv = -1;

    if (start_workers(flow) == 0)
        rv = measure(flow);
    if (lev_perf_run_stop(&flow->run) < 0)
        rv = -1;
    if (rv == 0)
        rv = check(flow);
    if (rv == 0)
        report(flow, out);
    return rv;
}

int lev_perf_mode_flow(const struct lev_perf_options *options, struct lev_perf_report *out,
                       char error[LEV_PERF_ERROR_SIZE])
{
    struct flow flow = {.options = options, .admin = {.fd = -1}};
    int rv = -1;

    snprintf(error, LEV_PERF_ERROR_SIZE, "out of memory");
    if (lev_perf_topology_init(&flow.topology, options) == 0 &&
        lev_perf_run_init(&flow.run, options, &flow.topology,
                          options->producers + options->consumers) == 0) {
        rv = prepare(&flow);
        if (rv == 0) {
            rv = run_flow(&flow, out);
            snprintf(error, LEV_PERF_ERROR_SIZE, "%s", flow.run.error);
            if (clean_up(&flow) < 0 && rv == 0)
                rv = -1;
        }
        if (rv < 0 && !flow.run.error[0])
            snprintf(error, LEV_PERF_ERROR_SIZE, "%s", flow.admin.error);
        lev_perf_run_deinit(&flow.run);
    }
    lev_perf_connection_close(&flow.admin);
    lev_perf_topology_deinit(&flow.topology);
    return rv;
}
