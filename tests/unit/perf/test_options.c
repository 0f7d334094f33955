/* The command line and the URI: defaults, what depends on what, and what is refused. */
#include "perf/options.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "suites.h"

static struct lev_perf_options o;

/* Complaints about bad usage are not for the test's log. */
static int log_fd;

static void silence(void)
{
    int null_fd = open("/dev/null", O_WRONLY);

    log_fd = dup(STDERR_FILENO);
    ck_assert_int_ge(log_fd, 0);
    ck_assert_int_eq(dup2(null_fd, STDERR_FILENO), STDERR_FILENO);
    close(null_fd);
}

static void restore(void)
{
    ck_assert_int_eq(dup2(log_fd, STDERR_FILENO), STDERR_FILENO);
    close(log_fd);
}

/* Parses a command line whose words are parted by spaces. */
static enum lev_perf_options_result parse(const char *line)
{
    static char copy[500];
    char *argv[40] = {"leveret-perf"};
    int argc = 1;

    snprintf(copy, sizeof copy, "%s", line);
    for (char *word = strtok(copy, " "); word; word = strtok(NULL, " "))
        argv[argc++] = word;
    return lev_perf_options_parse(argc, argv, &o);
}

START_TEST(defaults)
{
    ck_assert_int_eq(parse(""), LEV_PERF_OPTIONS_RUN);
    ck_assert_int_eq(o.mode, LEV_PERF_MODE_FLOW);
    ck_assert_str_eq(o.uri.user, "guest");
    ck_assert_str_eq(o.uri.port, "5672");
    ck_assert_str_eq(o.uri.vhost, "/");
    ck_assert_uint_eq(o.producers, 1);
    ck_assert_uint_eq(o.consumers, 1);
    ck_assert(!o.durable && !o.persistent && !o.keep);
}
END_TEST

START_TEST(some_depend_on_others)
{
    ck_assert_int_eq(parse("--persistent"), LEV_PERF_OPTIONS_RUN);
    ck_assert(o.durable);
    ck_assert_int_eq(parse("--transient --persistent"), LEV_PERF_OPTIONS_RUN);
    ck_assert(!o.durable && o.persistent);
    ck_assert_int_eq(parse("--prefetch 10 --ack-every 50"), LEV_PERF_OPTIONS_RUN);
    ck_assert_uint_eq(o.ack_every, 10);
    ck_assert_int_eq(parse("--latency"), LEV_PERF_OPTIONS_RUN);
    ck_assert(o.rate > 0);
    ck_assert_int_eq(parse("--fill"), LEV_PERF_OPTIONS_RUN);
    ck_assert_uint_gt(o.count, 0);
    ck_assert_uint_eq(o.consumers, 0);
    ck_assert_int_eq(parse("--declare 7"), LEV_PERF_OPTIONS_RUN);
    ck_assert(o.durable && o.count == 7);
    ck_assert_int_eq(parse("--queue-churn 7 --transient"), LEV_PERF_OPTIONS_RUN);
    ck_assert(!o.durable && o.count == 7);
}
END_TEST

static const char *const wrong[] = {
    "--nonsense",
    "--size",
    "--size -1",
    "--size 1x",
    "--size 99999999999999999999999",
    "--queues 0",
    "--rate nan",
    "--time 0",
    "--count 5 --time 5",
    "--fill --drain",
    "--rpc --declare 5",
    "--latency --size 4",
    "--latency -y 0",
    "--rpc --size 7",
    "--rpc --queues 2",
    "-x 0 -y 0",
    "--fill -x 0",
    "--exchange-type x",
    "--pid 0",
    "--uri http://localhost",
    "--uri amqp://a%zz@localhost",
    "--uri amqp://a%00@localhost",
    "--uri amqp://localhost:",
    "--uri amqp://localhost:12a",
    "--uri amqp://localhost:1234567890",
    "--uri amqp://[::1]5672",
    "--split --exchange-type fanout",
    "--split --exchange-type headers",
    "--heartbeat 5",
    "--hold 1 --fill",
    "--connections 5 --heartbeat 70000",
    "--queue-churn 0",
    "extra",
};

START_TEST(bad_usage)
{
    ck_assert_msg(parse(wrong[_i]) == LEV_PERF_OPTIONS_WRONG, "accepted: %s", wrong[_i]);
}
END_TEST

static const struct {
    const char *text, *user, *password, *host, *port, *vhost;
} uris[] = {
    {"amqp://", "guest", "guest", "127.0.0.1", "5672", "/"},
    {"amqp://h", "guest", "guest", "h", "5672", "/"},
    {"amqp://h/", "guest", "guest", "h", "5672", ""},
    {"amqp://u:p@h:1/v", "u", "p", "h", "1", "v"},
    {"amqp://u@h:1/%2f?heartbeat=0", "u", "guest", "h", "1", "/"},
    {"amqp://a%40b:c%3Ad@[::1]:5673/x%2Fy", "a@b", "c:d", "::1", "5673", "x/y"},
    {"amqp://[::1]", "guest", "guest", "::1", "5672", "/"},
};

START_TEST(uri)
{
    struct lev_perf_uri parsed;
    const char *why;

    ck_assert_int_eq(lev_perf_uri_parse(uris[_i].text, &parsed, &why), 0);
    ck_assert_str_eq(parsed.user, uris[_i].user);
    ck_assert_str_eq(parsed.password, uris[_i].password);
    ck_assert_str_eq(parsed.host, uris[_i].host);
    ck_assert_str_eq(parsed.port, uris[_i].port);
    ck_assert_str_eq(parsed.vhost, uris[_i].vhost);
}
END_TEST

START_TEST(uri_parts_have_a_limit)
{
    struct lev_perf_uri parsed;
    char text[600] = "amqp://";
    const char *why = NULL;

    memset(text + 7, 'h', LEV_PERF_URI_PART - 1);
    ck_assert_int_eq(lev_perf_uri_parse(text, &parsed, &why), 0);
    memset(text + 7, 'h', LEV_PERF_URI_PART);
    ck_assert_int_eq(lev_perf_uri_parse(text, &parsed, &why), -1);
    ck_assert_str_eq(why, "part too long");
}
END_TEST

Suite *options_suite(void)
{
    Suite *suite = suite_create("options");
    TCase *tcase = tcase_create("options");

    tcase_add_checked_fixture(tcase, silence, restore);
    tcase_add_test(tcase, defaults);
    tcase_add_test(tcase, some_depend_on_others);
    tcase_add_loop_test(tcase, bad_usage, 0, sizeof wrong / sizeof *wrong);
    tcase_add_loop_test(tcase, uri, 0, sizeof uris / sizeof *uris);
    tcase_add_test(tcase, uri_parts_have_a_limit);
    suite_add_tcase(suite, tcase);
    return suite;
}
