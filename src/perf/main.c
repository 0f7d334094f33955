/* leveret-perf: an AMQP 0-9-1 load generator. It links with nothing but libc and shares no code
 * with the broker, so that it measures any broker the same way. main parses the options, runs one
 * mode, prints the report. Exit status: 0 done, 1 the run failed, 2 bad usage. */
#include <stdio.h>

#include "perf/modes.h"
#include "perf/options.h"
#include "perf/report.h"

typedef int (*mode_fn)(const struct lev_perf_options *options, struct lev_perf_report *report,
                       char error[LEV_PERF_ERROR_SIZE]);

static mode_fn mode_function(enum lev_perf_mode mode)
{
    switch (mode) {
    case LEV_PERF_MODE_RPC:
        return lev_perf_mode_rpc;
    case LEV_PERF_MODE_CONNECTIONS:
        return lev_perf_mode_connections;
    case LEV_PERF_MODE_DECLARE:
        return lev_perf_mode_declare;
    case LEV_PERF_MODE_CHURN:
        return lev_perf_mode_churn;
    case LEV_PERF_MODE_QUEUE_CHURN:
        return lev_perf_mode_queue_churn;
    case LEV_PERF_MODE_FLOW:
    case LEV_PERF_MODE_FILL:
    case LEV_PERF_MODE_DRAIN:
        break;
    }
    return lev_perf_mode_flow;
}

int main(int argc, char **argv)
{
    struct lev_perf_options options;
    struct lev_perf_report report = {0};
    char error[LEV_PERF_ERROR_SIZE] = "";

    switch (lev_perf_options_parse(argc, argv, &options)) {
    case LEV_PERF_OPTIONS_DONE:
        return 0;
    case LEV_PERF_OPTIONS_WRONG:
        fputs("Try leveret-perf --help.\n", stderr);
        return 2;
    case LEV_PERF_OPTIONS_RUN:
        break;
    }
    report.mode = lev_perf_mode_name(options.mode);
    if (mode_function(options.mode)(&options, &report, error) < 0) {
        fprintf(stderr, "leveret-perf: %s\n", error);
        return 1;
    }
    lev_perf_report_print(&report, options.json);
    return fflush(stdout) == 0 ? 0 : 1;
}
