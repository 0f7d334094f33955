/* --rpc: direct reply-to round trips through one queue. */
#include <stdio.h>

#include "perf/measure.h"
#include "perf/modes.h"
#include "perf/rpc.h"
#include "perf/topology.h"

static bool all_answered(const struct lev_perf_totals *t, const void *arg)
{
    const struct lev_perf_options *o = arg;

    return t->delivered >= o->count;
}

static int run_workers(struct lev_perf_run *run, struct lev_perf_measure *m)
{
    const struct lev_perf_options *o = run->options;
    const struct lev_perf_work work = {.complete = all_answered, .arg = o};

    if (lev_perf_run_start(run, "server", o->consumers, lev_perf_rpc_server_body) < 0 ||
        lev_perf_run_start(run, "client", o->producers, lev_perf_rpc_client_body) < 0 ||
        lev_perf_run_await_ready(run) < 0)
        return -1;
    return o->count ? lev_perf_measure_work(run, m, &work) : lev_perf_measure_time(run, m);
}

static void report(const struct lev_perf_run *run, const struct lev_perf_measure *m,
                   struct lev_perf_report *out)
{
    static struct lev_perf_times times;
    uint64_t trips = m->after.delivered - m->before.delivered;
    double seconds = (double)m->elapsed_ns / 1e9;

    lev_perf_report_real(out, "elapsed_s", "s", seconds);
    lev_perf_report_whole(out, "round_trips", "", trips);
    lev_perf_report_whole(out, "round_trips_per_s", "/s", (uint64_t)((double)trips / seconds));
    lev_perf_measure_times(run, &times);
    lev_perf_report_latency(out, "latency", &times.latency);
    lev_perf_cost_report_per(&m->cost, out, "cpu_us_per_round_trip", trips);
    lev_perf_cost_report(&m->cost, out, trips);
}

static int run_rpc(const struct lev_perf_options *options, const struct lev_perf_topology *topology,
                   struct lev_perf_connection *admin, struct lev_perf_report *out,
                   char error[LEV_PERF_ERROR_SIZE])
{
    static struct lev_perf_measure m;
    struct lev_perf_run run;
    int rv;

    if (lev_perf_run_init(&run, options, topology, options->producers + options->consumers) < 0)
        return -1;
    rv = run_workers(&run, &m);
    if (lev_perf_run_stop(&run) < 0) {
        rv = -1;
        snprintf(error, LEV_PERF_ERROR_SIZE, "%s", run.error);
    }
    if (rv == 0)
        report(&run, &m, out);
    lev_perf_run_deinit(&run);
    if (!options->keep && lev_perf_topology_delete(topology, admin) < 0 && rv == 0) {
        rv = -1;
        snprintf(error, LEV_PERF_ERROR_SIZE, "%s", admin->error);
    }
    return rv;
}

int lev_perf_mode_rpc(const struct lev_perf_options *options, struct lev_perf_report *out,
                      char error[LEV_PERF_ERROR_SIZE])
{
    struct lev_perf_connection admin = {.fd = -1};
    struct lev_perf_topology topology;
    int rv = -1;

    snprintf(error, LEV_PERF_ERROR_SIZE, "out of memory");
    if (lev_perf_topology_init(&topology, options) == 0) {
        rv = lev_perf_connection_open(&admin, &options->uri, "leveret-perf admin");
        if (rv == 0)
            rv = lev_perf_topology_declare(&topology, &admin);
        if (rv < 0)
            snprintf(error, LEV_PERF_ERROR_SIZE, "%s", admin.error);
        else
            rv = run_rpc(options, &topology, &admin, out, error);
    }
    lev_perf_connection_close(&admin);
    lev_perf_topology_deinit(&topology);
    return rv;
}
