/* Whole runs against the fake broker: counts are exact, faults are noticed and named, everything is
 * cleaned up. */
#include "perf/modes.h"

#include "fake_broker.h"
#include "suites.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct fake_broker *fake;
static struct fake_counts seen;
static struct lev_perf_report report;
static char error[LEV_PERF_ERROR_SIZE];

static void teardown(void)
{
    if (fake)
        fake_broker_stop(&fake);
}

/* Runs the mode that `line` asks for; returns what main would. */
static int run(const char *line)
{
    static char copy[500];
    char *argv[40] = {"leveret-perf", "--uri"};
    struct lev_perf_options options;
    int argc = 2;

    argv[argc++] = (char *)fake_broker_uri(fake);
    snprintf(copy, sizeof copy, "%s", line);
    for (char *word = strtok(copy, " "); word; word = strtok(NULL, " "))
        argv[argc++] = word;
    ck_assert_int_eq(lev_perf_options_parse(argc, argv, &options), LEV_PERF_OPTIONS_RUN);
    report = (struct lev_perf_report){0};
    error[0] = '\0';
    switch (options.mode) {
    case LEV_PERF_MODE_RPC:
        return lev_perf_mode_rpc(&options, &report, error);
    case LEV_PERF_MODE_DECLARE:
        return lev_perf_mode_declare(&options, &report, error);
    case LEV_PERF_MODE_CONNECTIONS:
        return lev_perf_mode_connections(&options, &report, error);
    case LEV_PERF_MODE_QUEUE_CHURN:
        return lev_perf_mode_queue_churn(&options, &report, error);
    case LEV_PERF_MODE_CHURN:
        return lev_perf_mode_churn(&options, &report, error);
    default:
        return lev_perf_mode_flow(&options, &report, error);
    }
}

/* Runs once against a fresh broker. */
static int run_with(struct fake_knobs knobs, const char *line)
{
    int rv;

    fake = fake_broker_start(knobs);
    rv = run(line);
    seen = fake_broker_stop(&fake);
    return rv;
}

static double figure(const char *name)
{
    for (unsigned i = 0; i < report.count; i++) {
        if (strcmp(report.figures[i].name, name) == 0)
            return report.figures[i].value;
    }
    ck_abort_msg("no figure %s", name);
}

static bool has_figure(const char *name)
{
    for (unsigned i = 0; i < report.count; i++) {
        if (strcmp(report.figures[i].name, name) == 0)
            return true;
    }
    return false;
}

static const struct {
    const char *line;
    struct fake_knobs knobs;
} good_runs[] = {
    {"--count 5003 --auto-ack", {0}},
    {"--count 5003 --ack-every 100", {0}},
    {"--count 5003 --ack-every 1 --prefetch 10", {0}},
    {"--count 5003 --confirm 64 -x 3", {0}},
    {"--count 503 --confirm 1", {0}},
    {"--count 5003 --confirm 64", {.confirm_backwards = true}},
    {"--count 5003 --confirm 5000 --persistent", {.confirm_backwards = true}},
    {"--count 503 --confirm 10 --size 0", {.piece = 1}},
    {"--count 503 --size 9000", {.frame_max = 4096, .piece = 1000}},
    {"--count 20 --size 1000000 --confirm 3", {0}},
    {"--count 503 --rate 100000 --exchange-type topic --bindings 3", {0}},
    {"--count 503 --confirm 5 --rate 100000", {0}},
    {"--count 503 --confirm 5 -x 3 --split", {0}},
};

START_TEST(counts_are_exact)
{
    int rv = run_with(good_runs[_i].knobs, good_runs[_i].line);
    bool confirms = strstr(good_runs[_i].line, "--confirm");
    bool acks = !strstr(good_runs[_i].line, "--auto-ack");

    ck_assert_msg(rv == 0, "%s: %s", good_runs[_i].line, error);
    ck_assert_uint_eq(seen.delivered, seen.published);
    ck_assert_uint_eq(seen.acked, acks ? seen.delivered : 0);
    ck_assert(figure("published") == (double)seen.published);
    ck_assert(figure("delivered") == (double)seen.published);
    ck_assert(strtol(strstr(good_runs[_i].line, "--count ") + 8, NULL, 10) == (long)seen.published);
    ck_assert(!confirms || figure("confirmed") == (double)seen.published);
    ck_assert(!seen.declared);
    ck_assert_uint_eq(seen.goodbyes, seen.connections);
}
END_TEST

START_TEST(fill_then_drain)
{
    fake = fake_broker_start((struct fake_knobs){.piece = 777});
    ck_assert_msg(run("--fill --count 3000 --size 100") == 0, "%s", error);
    ck_assert(figure("published") == 3000);
    ck_assert(figure("decile_1_per_s") > 0 && figure("decile_10_per_s") > 0);
    ck_assert(!has_figure("decile_1_rss_bytes"));
    ck_assert_msg(run("--fill --count 2000 --size 100 --confirm 100 -x 2") == 0, "%s", error);
    ck_assert(figure("confirmed") == 2000);
    ck_assert_msg(run("--drain --ack-every 7") == 0, "%s", error);
    ck_assert(figure("delivered") == 5000 && figure("decile_10_per_s") > 0);
    seen = fake_broker_stop(&fake);
    ck_assert_uint_eq(seen.depth, 0);
    ck_assert_uint_eq(seen.acked, 5000);
    ck_assert(!seen.declared);
}
END_TEST

START_TEST(draining_nothing)
{
    fake = fake_broker_start((struct fake_knobs){0});
    ck_assert_int_eq(run("--drain"), -1);
    ck_assert_ptr_nonnull(strstr(error, "404 NOT_FOUND - no queue"));
    ck_assert_int_eq(run("--fill --count 1"), 0);
    ck_assert_int_eq(run("--drain --keep"), 0);
    ck_assert_int_eq(run("--drain"), 0);
    ck_assert(figure("delivered") == 0);
}
END_TEST

START_TEST(refused_and_returned_messages_are_not_awaited)
{
    ck_assert_msg(run_with((struct fake_knobs){.nack_every = 10}, "--count 1000 --confirm 50") == 0,
                  "%s", error);
    ck_assert(figure("confirmed") == 900 && figure("nacked") == 100 && figure("delivered") == 900);
    ck_assert_msg(run_with((struct fake_knobs){.return_every = 4},
                           "--count 1000 --confirm 50 --mandatory") == 0,
                  "%s", error);
    ck_assert(figure("confirmed") == 1000 && figure("returned") == 250);
    ck_assert(figure("delivered") == 750);
}
END_TEST

static const struct {
    const char *line;
    struct fake_knobs knobs;
    const char *error;
} bad_runs[] = {
    {"--count 1000 --confirm 5", {.close_after = 500}, "404 NOT_FOUND - no exchange 'x'"},
    {"--time 60", {.close_after = 500}, "404 NOT_FOUND - no exchange 'x'"},
    {"--count 1000 --confirm 5", {.hang_up_after = 500}, "the broker closed the socket"},
    {"--count 1000 --confirm 5", {.confirm_twice = 500}, "was not outstanding"},
    {"--count 1000 --confirm 5", {.frame_max = 512}, "below the protocol's minimum"},
};

START_TEST(failures_are_named)
{
    ck_assert_int_eq(run_with(bad_runs[_i].knobs, bad_runs[_i].line), -1);
    ck_assert_msg(strstr(error, bad_runs[_i].error) != NULL, "the error was: %s", error);
    ck_assert(!seen.declared);
}
END_TEST

/* A rate is kept, and latency is measured for every message of the interval. */
START_TEST(latency)
{
    ck_assert_msg(run_with((struct fake_knobs){0},
                           "--latency --rate 2000 --time 0.3 --warmup 0.1 --auto-ack") == 0,
                  "%s", error);
    ck_assert(figure("published") > 0 && figure("delivered") > 0);
    ck_assert(figure("published_per_s") < 2400);
    ck_assert(figure("latency_p50_us") > 0);
    ck_assert(figure("latency_p50_us") <= figure("latency_p99_us"));
    ck_assert(figure("latency_p99_us") <= figure("latency_max_us"));
    ck_assert(figure("latency_max_us") < 60e6);
    ck_assert(figure("send_late_p50_us") <= figure("latency_max_us"));
}
END_TEST

START_TEST(spinning_sends_the_same)
{
    ck_assert_msg(run_with((struct fake_knobs){0}, "--latency --spin --rate 5000 --count 500") == 0,
                  "%s", error);
    ck_assert(figure("delivered") == 500);
    ck_assert(figure("elapsed_s") >= 0.0998);
}
END_TEST

START_TEST(rpc)
{
    ck_assert_msg(run_with((struct fake_knobs){.piece = 11}, "--rpc --count 200") == 0, "%s",
                  error);
    ck_assert(figure("round_trips") == 200 && has_figure("latency_p99_us"));
    ck_assert_uint_eq(seen.published, 400);
    ck_assert(!seen.declared);
}
END_TEST

START_TEST(declares_and_connections)
{
    ck_assert_msg(run_with((struct fake_knobs){0}, "--declare 50") == 0, "%s", error);
    ck_assert(figure("declared") == 50 && figure("deleted_per_s") > 0);
    ck_assert_msg(run_with((struct fake_knobs){0}, "--connections 30 --warmup 0") == 0, "%s",
                  error);
    ck_assert_uint_eq(seen.connections, 30);
    ck_assert_uint_eq(seen.goodbyes, 30);
    ck_assert_msg(run_with((struct fake_knobs){0}, "--connection-churn 20") == 0, "%s", error);
    ck_assert_uint_eq(seen.goodbyes, 20);
}
END_TEST

START_TEST(queue_churn)
{
    ck_assert_msg(run_with((struct fake_knobs){0}, "--queue-churn 30") == 0, "%s", error);
    ck_assert(figure("churned") == 30 && figure("churned_per_s") > 0);
    ck_assert(has_figure("declare_p50_us") && has_figure("delete_p50_us"));
    ck_assert(!seen.declared);
}
END_TEST

/* The fake broker takes heartbeats without a word, as brokers do, and sends none. */
START_TEST(idle_connections_beat)
{
    ck_assert_msg(run_with((struct fake_knobs){0},
                           "--connections 64 --heartbeat 1 --warmup 0 --hold 0.6") == 0,
                  "%s", error);
    ck_assert(figure("heartbeats_sent") >= 64);
    ck_assert(figure("heartbeats_received") == 0);
    ck_assert_uint_ge(seen.heartbeats, 64);
    ck_assert_uint_eq(seen.goodbyes, 64);
}
END_TEST

static void *interrupt_when_it_flows(void *arg)
{
    struct fake_broker *broker = arg;

    while (fake_broker_published(broker) < 100)
        usleep(1000);
    kill(getpid(), SIGTERM);
    return NULL;
}

START_TEST(an_interrupt_ends_the_interval_early)
{
    pthread_t thread;

    fake = fake_broker_start((struct fake_knobs){0});
    ck_assert_int_eq(pthread_create(&thread, NULL, interrupt_when_it_flows, fake), 0);
    ck_assert_msg(run("--rate 1000 --time 600 --warmup 0") == 0, "%s", error);
    pthread_join(thread, NULL);
    ck_assert(figure("elapsed_s") < 60 && figure("delivered") > 0);
}
END_TEST

START_TEST(a_pid_tells_the_cost)
{
    char line[100];

    snprintf(line, sizeof line, "--count 2000 --pid %ld", (long)getpid());
    ck_assert_msg(run_with((struct fake_knobs){0}, line) == 0, "%s", error);
    ck_assert(figure("rss_before_bytes") > 0 && has_figure("cpu_us_per_delivered"));
    snprintf(line, sizeof line, "--fill --count 2000 --pid %ld", (long)getpid());
    ck_assert_msg(run_with((struct fake_knobs){0}, line) == 0, "%s", error);
    ck_assert(figure("decile_10_rss_bytes") > 0);
    ck_assert_int_eq(run_with((struct fake_knobs){0}, "--count 2000 --pid 2147483647"), -1);
    ck_assert_ptr_nonnull(strstr(error, "--pid"));
}
END_TEST

START_TEST(nobody_listens)
{
    fake = fake_broker_start((struct fake_knobs){0});
    char uri[100], line[200];

    snprintf(uri, sizeof uri, "%s", fake_broker_uri(fake));
    fake_broker_stop(&fake);
    fake = fake_broker_start((struct fake_knobs){0});
    snprintf(line, sizeof line, "--uri %s", uri);
    ck_assert_int_eq(run(line), -1);
    ck_assert_ptr_nonnull(strstr(error, "Connection refused"));
}
END_TEST

Suite *modes_suite(void)
{
    Suite *suite = suite_create("modes");
    TCase *tcase = tcase_create("modes");

    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, NULL, teardown);
    tcase_add_loop_test(tcase, counts_are_exact, 0, sizeof good_runs / sizeof *good_runs);
    tcase_add_test(tcase, fill_then_drain);
    tcase_add_test(tcase, draining_nothing);
    tcase_add_test(tcase, refused_and_returned_messages_are_not_awaited);
    tcase_add_loop_test(tcase, failures_are_named, 0, sizeof bad_runs / sizeof *bad_runs);
    tcase_add_test(tcase, latency);
    tcase_add_test(tcase, spinning_sends_the_same);
    tcase_add_test(tcase, rpc);
    tcase_add_test(tcase, declares_and_connections);
    tcase_add_test(tcase, queue_churn);
    tcase_add_test(tcase, idle_connections_beat);
    tcase_add_test(tcase, an_interrupt_ends_the_interval_early);
    tcase_add_test(tcase, a_pid_tells_the_cost);
    tcase_add_test(tcase, nobody_listens);
    suite_add_tcase(suite, tcase);
    return suite;
}
