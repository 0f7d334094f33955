/* What the user asked for: one struct, filled once from the command line and constant afterwards.
 */
#ifndef LEV_PERF_OPTIONS_H
#define LEV_PERF_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "perf/uri.h"

enum lev_perf_mode {
    LEV_PERF_MODE_FLOW,        /* publish and consume at once */
    LEV_PERF_MODE_FILL,        /* publish only, to the last message, and leave it there */
    LEV_PERF_MODE_DRAIN,       /* consume what is there */
    LEV_PERF_MODE_RPC,         /* direct reply-to round trips */
    LEV_PERF_MODE_CONNECTIONS, /* idle connections */
    LEV_PERF_MODE_DECLARE,     /* queue declares and deletes */
    LEV_PERF_MODE_CHURN,       /* connections opened and closed again */
    LEV_PERF_MODE_QUEUE_CHURN, /* queues declared and deleted again */
};

struct lev_perf_options {
    struct lev_perf_uri uri;
    enum lev_perf_mode mode;
    unsigned producers;
    unsigned consumers;
    uint64_t size; /* of a message body */
    bool persistent;
    bool mandatory;
    unsigned confirm;   /* window; 0: no confirms */
    unsigned prefetch;  /* 0: unlimited */
    unsigned ack_every; /* 0: automatic acknowledgement */
    double rate;        /* per producer; 0: unlimited */
    unsigned queues;
    unsigned bindings;
    double time_s;
    double warmup_s;
    uint64_t count; /* messages of all producers together, or connections, or declares; 0: run for
                       time_s */
    const char *queue;
    const char *exchange;
    const char *exchange_type; /* NULL: the default exchange */
    bool durable;
    bool latency;
    bool split;           /* producers keep to their share of the queues */
    unsigned heartbeat_s; /* of idle connections; 0: none */
    double hold_s;        /* how long idle connections are watched */
    bool spin;            /* wait for the time of the next message without sleeping */
    bool keep;
    bool json;
    pid_t pid; /* of the broker; 0: not given */
};

enum lev_perf_options_result {
    LEV_PERF_OPTIONS_RUN,   /* go on */
    LEV_PERF_OPTIONS_DONE,  /* --help or --version was answered */
    LEV_PERF_OPTIONS_WRONG, /* bad usage, explained on standard error */
};

/* Reads the command line. The strings in *options_r point into argv. */
enum lev_perf_options_result lev_perf_options_parse(int argc, char **argv,
                                                    struct lev_perf_options *options_r);
const char *lev_perf_mode_name(enum lev_perf_mode mode);

#endif
