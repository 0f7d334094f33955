/* The command line: one table of options, one setter for each shape of value, then the rules that
 * tie options together. Main thread, before anything else runs. */
#ifdef HAVE_CONFIG_H
#include <config.h>
#endif

#include "perf/options.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef PACKAGE_VERSION
#define PACKAGE_VERSION "unreleased"
#endif

#define DEFAULT_TIME_S 5.0
#define DEFAULT_LATENCY_RATE 20000.0
#define DEFAULT_FILL_COUNT 100000
#define SPREAD_MAX 10000
#define WINDOW_MAX 1000000

enum option_id {
    OPT_URI = 256,
    OPT_SIZE,
    OPT_PERSISTENT,
    OPT_MANDATORY,
    OPT_CONFIRM,
    OPT_PREFETCH,
    OPT_ACK_EVERY,
    OPT_AUTO_ACK,
    OPT_RATE,
    OPT_QUEUES,
    OPT_BINDINGS,
    OPT_TIME,
    OPT_WARMUP,
    OPT_COUNT,
    OPT_QUEUE,
    OPT_EXCHANGE,
    OPT_EXCHANGE_TYPE,
    OPT_DURABLE,
    OPT_TRANSIENT,
    OPT_LATENCY,
    OPT_SPIN,
    OPT_FILL,
    OPT_DRAIN,
    OPT_RPC,
    OPT_CONNECTIONS,
    OPT_DECLARE,
    OPT_CHURN,
    OPT_QUEUE_CHURN,
    OPT_HEARTBEAT,
    OPT_HOLD,
    OPT_SPLIT,
    OPT_KEEP,
    OPT_JSON,
    OPT_PID,
    OPT_VERSION,
};

// clang-format off
static const struct option long_options[] = {
    {"uri", required_argument, NULL, OPT_URI},
    {"producers", required_argument, NULL, 'x'},
    {"consumers", required_argument, NULL, 'y'},
    {"size", required_argument, NULL, OPT_SIZE},
    {"persistent", no_argument, NULL, OPT_PERSISTENT},
    {"mandatory", no_argument, NULL, OPT_MANDATORY},
    {"confirm", required_argument, NULL, OPT_CONFIRM},
    {"prefetch", required_argument, NULL, OPT_PREFETCH},
    {"ack-every", required_argument, NULL, OPT_ACK_EVERY},
    {"auto-ack", no_argument, NULL, OPT_AUTO_ACK},
    {"rate", required_argument, NULL, OPT_RATE},
    {"queues", required_argument, NULL, OPT_QUEUES},
    {"bindings", required_argument, NULL, OPT_BINDINGS},
    {"time", required_argument, NULL, OPT_TIME},
    {"warmup", required_argument, NULL, OPT_WARMUP},
    {"count", required_argument, NULL, OPT_COUNT},
    {"queue", required_argument, NULL, OPT_QUEUE},
    {"exchange", required_argument, NULL, OPT_EXCHANGE},
    {"exchange-type", required_argument, NULL, OPT_EXCHANGE_TYPE},
    {"durable", no_argument, NULL, OPT_DURABLE},
    {"transient", no_argument, NULL, OPT_TRANSIENT},
    {"latency", no_argument, NULL, OPT_LATENCY},
    {"spin", no_argument, NULL, OPT_SPIN},
    {"fill", no_argument, NULL, OPT_FILL},
    {"drain", no_argument, NULL, OPT_DRAIN},
    {"rpc", no_argument, NULL, OPT_RPC},
    {"connections", required_argument, NULL, OPT_CONNECTIONS},
    {"declare", required_argument, NULL, OPT_DECLARE},
    {"connection-churn", required_argument, NULL, OPT_CHURN},
    {"queue-churn", required_argument, NULL, OPT_QUEUE_CHURN},
    {"heartbeat", required_argument, NULL, OPT_HEARTBEAT},
    {"hold", required_argument, NULL, OPT_HOLD},
    {"split", no_argument, NULL, OPT_SPLIT},
    {"keep", no_argument, NULL, OPT_KEEP},
    {"json", no_argument, NULL, OPT_JSON},
    {"pid", required_argument, NULL, OPT_PID},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, OPT_VERSION},
    {NULL, 0, NULL, 0},
};

static const char help_text[] =
    "usage: leveret-perf [OPTION...]\n"
    "Load an AMQP 0-9-1 broker and report what it did and what it cost.\n"
    "\n"
    "What to do (default: publish and consume at once):\n"
    "      --fill                publish --count messages, consume none, keep the queues\n"
    "      --drain               consume what --fill left, then delete the queues\n"
    "      --latency             fixed rate; report the time from when each message was due\n"
    "      --rpc                 direct reply-to round trips, -x clients and -y servers\n"
    "      --connections N       hold N idle connections with one channel each\n"
    "      --declare N           declare N durable queues on one channel, then delete them\n"
    "      --connection-churn N  open and close N connections, one after the other\n"
    "      --queue-churn N       declare and delete a durable queue, N times\n"
    "\n"
    "Load:\n"
    "  -x, --producers N         producers, one connection and thread each (1)\n"
    "  -y, --consumers N         consumers, one connection and thread each (1)\n"
    "      --size BYTES          message body (16)\n"
    "      --persistent          delivery mode 2, and durable queues unless --transient\n"
    "      --mandatory           publish with the mandatory flag\n"
    "      --confirm WINDOW      publisher confirms, at most WINDOW outstanding (0: none)\n"
    "      --rate MSG/S          per producer (0: as fast as it goes; --latency: 20000); the\n"
    "                            time of a confirm then counts from when its message was due\n"
    "      --spin                keep to the rate by spinning: more even, costs a core\n"
    "      --prefetch N          per consumer (1000; 0: no limit)\n"
    "      --ack-every N         acknowledge every N deliveries at once (100)\n"
    "      --auto-ack            no acknowledgements\n"
    "      --heartbeat SECONDS   of --connections, answered and sent in time (0: none)\n"
    "      --hold SECONDS        watch the connections of --connections at rest (0)\n"
    "\n"
    "Topology (declared before, deleted after the run):\n"
    "      --queue NAME          queue, or stem of the queue names (leveret-perf)\n"
    "      --queues N            spread over N queues; with fanout, copy to N queues (1)\n"
    "      --split               a producer publishes only to its share of the queues:\n"
    "                            those that the consumer of its number takes\n"
    "      --durable, --transient  of the queues, whatever the messages are\n"
    "      --exchange-type TYPE  direct, fanout, topic or headers (default: the default exchange)\n"
    "      --exchange NAME       its name (leveret-perf)\n"
    "      --bindings N          per queue; each message matches one (1)\n"
    "      --keep                leave queues and exchange in place\n"
    "\n"
    "Run:\n"
    "      --uri URI             amqp://user:password@host:port/vhost\n"
    "                            (amqp://guest:guest@127.0.0.1:5672/%2f)\n"
    "      --time SECONDS        measured interval (5); SIGINT and SIGTERM end it early\n"
    "      --warmup SECONDS      not measured, before it (1); not used with --count\n"
    "      --count N             instead of --time: until N messages went all the way;\n"
    "                            --fill and --drain report every tenth of them\n"
    "      --pid PID             the broker's process: report its CPU and memory\n"
    "      --json                one JSON object instead of the table\n"
    "  -h, --help\n"
    "      --version\n"
    "\n"
    "Exit status: 0 done, 1 the run failed, 2 bad usage.\n";
// clang-format on

static bool complain(const char *name, const char *value, const char *why)
{
    fprintf(stderr, "leveret-perf: --%s %s: %s\n", name, value, why);
    return false;
}

static bool set_u64(const char *name, const char *text, uint64_t min, uint64_t max, uint64_t *out_r)
{
    char *end;
    unsigned long long v;

    errno = 0;
    v = strtoull(text, &end, 10);
    if (errno || end == text || *end || strchr(text, '-'))
        return complain(name, text, "not a number");
    if (v < min || v > max)
        return complain(name, text, "out of range");
    *out_r = v;
    return true;
}

static bool set_unsigned(const char *name, const char *text, unsigned min, unsigned max,
                         unsigned *out_r)
{
    uint64_t v = 0;

    if (!set_u64(name, text, min, max, &v))
        return false;
    *out_r = (unsigned)v;
    return true;
}

static bool set_real(const char *name, const char *text, double *out_r)
{
    char *end;
    double v = strtod(text, &end);

    if (end == text || *end || !isfinite(v) || v < 0)
        return complain(name, text, "not a number");
    *out_r = v;
    return true;
}

static bool set_mode(struct lev_perf_options *o, enum lev_perf_mode mode)
{
    if (o->mode != LEV_PERF_MODE_FLOW) {
        fprintf(stderr, "leveret-perf: --%s and --%s exclude each other\n",
                lev_perf_mode_name(o->mode), lev_perf_mode_name(mode));
        return false;
    }
    o->mode = mode;
    return true;
}

static bool set_counted_mode(struct lev_perf_options *o, enum lev_perf_mode mode, const char *text)
{
    return set_mode(o, mode) && set_u64(lev_perf_mode_name(mode), text, 1, 10000000, &o->count);
}

static bool set_name(const char *name, const char *text, const char **out_r)
{
    if (!*text || strlen(text) > 200)
        return complain(name, text, "must have 1 to 200 bytes");
    *out_r = text;
    return true;
}

static bool set_exchange_type(struct lev_perf_options *o, const char *text)
{
    static const char *const types[] = {"direct", "fanout", "topic", "headers"};

    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (strcmp(text, types[i]) == 0) {
            o->exchange_type = types[i];
            return true;
        }
    }
    return complain("exchange-type", text, "must be direct, fanout, topic or headers");
}

static bool set_uri(struct lev_perf_options *o, const char *text)
{
    const char *why = NULL;

    return lev_perf_uri_parse(text, &o->uri, &why) == 0 || complain("uri", text, why);
}

static bool set_pid(struct lev_perf_options *o, const char *text)
{
    unsigned pid = 0;

    if (!set_unsigned("pid", text, 1, INT_MAX, &pid))
        return false;
    o->pid = (pid_t)pid;
    return true;
}

/* What only the set of all options can tell: defaults that depend on others. */
struct parse_state {
    bool durable_given;
    bool rate_given;
    bool time_given;
};

/* Options that take a value; returns false after complaining. */
static bool apply_value(struct lev_perf_options *o, struct parse_state *state, int id,
                        const char *text)
{
    switch (id) {
    case OPT_URI:
        return set_uri(o, text);
    case 'x':
        return set_unsigned("producers", text, 0, 1000, &o->producers);
    case 'y':
        return set_unsigned("consumers", text, 0, 1000, &o->consumers);
    case OPT_SIZE:
        return set_u64("size", text, 0, 512u * 1024 * 1024, &o->size);
    case OPT_CONFIRM:
        return set_unsigned("confirm", text, 0, WINDOW_MAX, &o->confirm);
    case OPT_PREFETCH:
        return set_unsigned("prefetch", text, 0, UINT16_MAX, &o->prefetch);
    case OPT_ACK_EVERY:
        return set_unsigned("ack-every", text, 1, INT_MAX, &o->ack_every);
    case OPT_RATE:
        state->rate_given = true;
        return set_real("rate", text, &o->rate);
    case OPT_QUEUES:
        return set_unsigned("queues", text, 1, SPREAD_MAX, &o->queues);
    case OPT_BINDINGS:
        return set_unsigned("bindings", text, 1, SPREAD_MAX, &o->bindings);
    case OPT_TIME:
        state->time_given = true;
        return set_real("time", text, &o->time_s);
    case OPT_WARMUP:
        return set_real("warmup", text, &o->warmup_s);
    case OPT_COUNT:
        return set_u64("count", text, 1, UINT64_MAX >> 20, &o->count);
    case OPT_QUEUE:
        return set_name("queue", text, &o->queue);
    case OPT_EXCHANGE:
        return set_name("exchange", text, &o->exchange);
    case OPT_EXCHANGE_TYPE:
        return set_exchange_type(o, text);
    case OPT_CONNECTIONS:
        return set_counted_mode(o, LEV_PERF_MODE_CONNECTIONS, text);
    case OPT_DECLARE:
        return set_counted_mode(o, LEV_PERF_MODE_DECLARE, text);
    case OPT_CHURN:
        return set_counted_mode(o, LEV_PERF_MODE_CHURN, text);
    case OPT_QUEUE_CHURN:
        return set_counted_mode(o, LEV_PERF_MODE_QUEUE_CHURN, text);
    case OPT_HEARTBEAT:
        return set_unsigned("heartbeat", text, 0, UINT16_MAX, &o->heartbeat_s);
    case OPT_HOLD:
        return set_real("hold", text, &o->hold_s);
    case OPT_PID:
        return set_pid(o, text);
    default:
        return false;
    }
}

/* Options that stand alone; false when id is not one of them or contradicts what was given. */
static bool apply_flag(struct lev_perf_options *o, struct parse_state *state, int id)
{
    switch (id) {
    case OPT_PERSISTENT:
        return o->persistent = true;
    case OPT_MANDATORY:
        return o->mandatory = true;
    case OPT_AUTO_ACK:
        o->ack_every = 0;
        return true;
    case OPT_DURABLE:
    case OPT_TRANSIENT:
        o->durable = id == OPT_DURABLE;
        return state->durable_given = true;
    case OPT_LATENCY:
        return o->latency = true;
    case OPT_SPLIT:
        return o->split = true;
    case OPT_SPIN:
        return o->spin = true;
    case OPT_FILL:
        return set_mode(o, LEV_PERF_MODE_FILL);
    case OPT_DRAIN:
        return set_mode(o, LEV_PERF_MODE_DRAIN);
    case OPT_RPC:
        return set_mode(o, LEV_PERF_MODE_RPC);
    case OPT_KEEP:
        return o->keep = true;
    case OPT_JSON:
        return o->json = true;
    default:
        return false;
    }
}

/* Defaults that depend on other options, and combinations that make no sense. */
static const char *settle(struct lev_perf_options *o, const struct parse_state *state)
{
    bool flow = o->mode == LEV_PERF_MODE_FLOW;

    if (!state->durable_given)
        o->durable = o->persistent || o->mode == LEV_PERF_MODE_DECLARE ||
                     o->mode == LEV_PERF_MODE_QUEUE_CHURN;
    if (o->latency && !state->rate_given)
        o->rate = DEFAULT_LATENCY_RATE;
    if (o->mode == LEV_PERF_MODE_FILL && !o->count)
        o->count = DEFAULT_FILL_COUNT;
    if (o->prefetch && o->ack_every > o->prefetch)
        o->ack_every = o->prefetch;
    if (o->mode == LEV_PERF_MODE_FILL)
        o->consumers = 0;
    if (o->mode == LEV_PERF_MODE_DRAIN)
        o->producers = 0;
    if (state->time_given && o->count)
        return "--time excludes a count";
    if (o->latency && (!flow || !o->producers || !o->consumers || o->rate <= 0))
        return "--latency needs producers, consumers and a rate";
    if ((o->latency || o->mode == LEV_PERF_MODE_RPC) && o->size < 8)
        return "--size must be at least 8 here";
    if (flow && o->count && !o->producers)
        return "--count needs a producer";
    if (flow && !o->producers && !o->consumers)
        return "nothing to do";
    if (o->mode == LEV_PERF_MODE_FILL && !o->producers)
        return "--fill needs a producer";
    if (o->mode == LEV_PERF_MODE_DRAIN && !o->consumers)
        return "--drain needs a consumer";
    if (o->mode == LEV_PERF_MODE_RPC && (!o->producers || !o->consumers || o->queues > 1))
        return "--rpc needs clients, servers and one queue";
    if (o->split && o->exchange_type &&
        (strcmp(o->exchange_type, "fanout") == 0 || strcmp(o->exchange_type, "headers") == 0))
        return "--split needs queues that a routing key chooses";
    if ((o->heartbeat_s || o->hold_s > 0) && o->mode != LEV_PERF_MODE_CONNECTIONS)
        return "--heartbeat and --hold are for --connections";
    if (!o->count && o->mode != LEV_PERF_MODE_DRAIN && o->time_s <= 0)
        return "--time must be positive";
    return NULL;
}

static void set_defaults(struct lev_perf_options *o)
{
    const char *why;

    memset(o, 0, sizeof *o);
    (void)lev_perf_uri_parse("amqp://", &o->uri, &why);
    o->producers = 1;
    o->consumers = 1;
    o->size = 16;
    o->prefetch = 1000;
    o->ack_every = 100;
    o->queues = 1;
    o->bindings = 1;
    o->time_s = DEFAULT_TIME_S;
    o->warmup_s = 1.0;
    o->queue = "leveret-perf";
    o->exchange = "leveret-perf";
}

enum lev_perf_options_result lev_perf_options_parse(int argc, char **argv,
                                                    struct lev_perf_options *options_r)
{
    struct parse_state state = {0};
    const char *why;
    int id;

    set_defaults(options_r);
    optind = 0;
    while ((id = getopt_long(argc, argv, "x:y:h", long_options, NULL)) != -1) {
        if (id == 'h') {
            fputs(help_text, stdout);
            return LEV_PERF_OPTIONS_DONE;
        }
        if (id == OPT_VERSION) {
            puts("leveret-perf " PACKAGE_VERSION);
            return LEV_PERF_OPTIONS_DONE;
        }
        if (!(optarg ? apply_value(options_r, &state, id, optarg)
                     : apply_flag(options_r, &state, id)))
            return LEV_PERF_OPTIONS_WRONG;
    }
    why = optind < argc ? "unexpected argument" : settle(options_r, &state);
    if (!why)
        return LEV_PERF_OPTIONS_RUN;
    fprintf(stderr, "leveret-perf: %s\n", why);
    return LEV_PERF_OPTIONS_WRONG;
}

const char *lev_perf_mode_name(enum lev_perf_mode mode)
{
    static const char *const names[] = {
        [LEV_PERF_MODE_FLOW] = "flow",
        [LEV_PERF_MODE_FILL] = "fill",
        [LEV_PERF_MODE_DRAIN] = "drain",
        [LEV_PERF_MODE_RPC] = "rpc",
        [LEV_PERF_MODE_CONNECTIONS] = "connections",
        [LEV_PERF_MODE_DECLARE] = "declare",
        [LEV_PERF_MODE_CHURN] = "connection-churn",
        [LEV_PERF_MODE_QUEUE_CHURN] = "queue-churn",
    };

    return names[mode];
}
