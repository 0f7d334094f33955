/* The command line of leveretd. */
#include "config/config_int.h"

#include <getopt.h>
#include <string.h>

static const char usage[] =
    "Usage: leveretd [options]\n"
    "\n"
    "The Leveret message broker: AMQP 0-9-1, a drop-in for RabbitMQ. Runs in the foreground, logs\n"
    "to standard error, stops on SIGTERM or SIGINT; on SIGUSR1 it logs figures of each vhost.\n"
    "\n"
    "  --config FILE           read settings from FILE, in the syntax of rabbitmq.conf\n"
    "                          (default: what RABBITMQ_CONFIG_FILE names, else none)\n"
    "  --data-dir DIR          where everything durable is kept (default: /var/lib/leveret if\n"
    "                          that is writable, else $XDG_STATE_HOME/leveret, else\n"
    "                          ~/.local/state/leveret)\n"
    "  --bind ADDR             listen on this numeric address only (default: all interfaces)\n"
    "  --port N                listen on this port (default: 5672; 0: one that is free).\n"
    "                          --bind and --port replace the file's listeners\n"
    "  --load-definitions FILE import users, vhosts, permissions, policies, exchanges, queues and\n"
    "                          bindings from FILE, a definitions.json as RabbitMQ exports it (or\n"
    "                          from all files of a directory), at each start\n"
    "  --management-port N     reserved for the management API, which this version does not\n"
    "                          have yet\n"
    "  --loops N               number of event loops, that is, threads that serve connections\n"
    "                          (default: one for two CPUs)\n"
    "  --busy-wait WHEN        auto (default): event loops keep awake while requests come within\n"
    "                          microseconds of each other, for sooner replies; never: to use\n"
    "                          less CPU then\n"
    "  --log-level LEVEL       debug, info, warning, error or none (default: info)\n"
    "  --version               print the version and exit\n"
    "  --help                  print this and exit\n"
    "\n"
    "Environment: RABBITMQ_CONFIG_FILE, RABBITMQ_NODE_IP_ADDRESS, RABBITMQ_NODE_PORT,\n"
    "RABBITMQ_NODENAME, RABBITMQ_DEFAULT_USER, RABBITMQ_DEFAULT_PASS, RABBITMQ_DEFAULT_VHOST.\n"
    "Later wins: defaults, file, environment, command line (but a listener or cluster name in\n"
    "the file counts more than the environment's, as in RabbitMQ).\n";

void lev_config_usage(FILE *out)
{
    fputs(usage, out);
}

enum {
    OPT_CONFIG = 256,
    OPT_DATA_DIR,
    OPT_BIND,
    OPT_PORT,
    OPT_LOAD_DEFINITIONS,
    OPT_MANAGEMENT_PORT,
    OPT_LOOPS,
    OPT_BUSY_WAIT,
    OPT_LOG_LEVEL,
    OPT_VERSION,
    OPT_HELP
};

static const struct option table[] = {
    {"config", required_argument, NULL, OPT_CONFIG},
    {"data-dir", required_argument, NULL, OPT_DATA_DIR},
    {"bind", required_argument, NULL, OPT_BIND},
    {"port", required_argument, NULL, OPT_PORT},
    {"load-definitions", required_argument, NULL, OPT_LOAD_DEFINITIONS},
    {"management-port", required_argument, NULL, OPT_MANAGEMENT_PORT},
    {"loops", required_argument, NULL, OPT_LOOPS},
    {"busy-wait", required_argument, NULL, OPT_BUSY_WAIT},
    {"log-level", required_argument, NULL, OPT_LOG_LEVEL},
    {"version", no_argument, NULL, OPT_VERSION},
    {"help", no_argument, NULL, OPT_HELP},
    {NULL, 0, NULL, 0},
};

static int number(const char *name, uint64_t min, uint64_t max, int *field, char *err)
{
    uint64_t v;
    if (!lev_config_number_(optarg, min, max, &v)) {
        snprintf(err, LEV_CONFIG_ERR_MAX, "%s: '%.200s' is not a number from %d to %d", name,
                 optarg, (int)min, (int)max);
        return -1;
    }
    *field = (int)v;
    return 0;
}

static int text(const char *name, const char **field, char *err)
{
    if (*optarg == 0) {
        snprintf(err, LEV_CONFIG_ERR_MAX, "%s: a value is missing", name);
        return -1;
    }
    *field = optarg;
    return 0;
}

static int log_level(struct options *o, char *err)
{
    o->log_level = lev_config_level_(optarg);
    if (o->log_level < 0)
        snprintf(err, LEV_CONFIG_ERR_MAX, "--log-level: '%.200s' is not a log level", optarg);
    return o->log_level < 0 ? -1 : 0;
}

static int busy_wait(struct options *o, char *err)
{
    o->busy_wait = strcmp(optarg, "auto") == 0 ? 1 : strcmp(optarg, "never") == 0 ? 0 : -1;
    if (o->busy_wait < 0)
        snprintf(err, LEV_CONFIG_ERR_MAX, "--busy-wait: '%.200s' is neither auto nor never",
                 optarg);
    return o->busy_wait < 0 ? -1 : 0;
}

static int take(struct options *o, int opt, enum lev_config_action *action_r, char **argv,
                char *err)
{
    switch (opt) {
    case OPT_CONFIG:
        return text("--config", &o->config, err);
    case OPT_DATA_DIR:
        return text("--data-dir", &o->data_dir, err);
    case OPT_BIND:
        return text("--bind", &o->bind, err);
    case OPT_PORT:
        return number("--port", 0, 65535, &o->port, err);
    case OPT_LOAD_DEFINITIONS:
        return text("--load-definitions", &o->definitions, err);
    case OPT_MANAGEMENT_PORT:
        return number("--management-port", 0, 65535, &o->management_port, err);
    case OPT_LOOPS:
        return number("--loops", 1, 1024, &o->loops, err);
    case OPT_BUSY_WAIT:
        return busy_wait(o, err);
    case OPT_LOG_LEVEL:
        return log_level(o, err);
    case OPT_VERSION:
    case OPT_HELP:
        *action_r = opt == OPT_HELP ? LEV_CONFIG_HELP : LEV_CONFIG_VERSION;
        return 0;
    case ':':
        snprintf(err, LEV_CONFIG_ERR_MAX, "%.200s: a value is missing", argv[optind - 1]);
        return -1;
    default:
        snprintf(err, LEV_CONFIG_ERR_MAX, "unknown option '%.200s'; see --help", argv[optind - 1]);
        return -1;
    }
}

int lev_options_parse_(struct options *o, int argc, char **argv, enum lev_config_action *action_r,
                       char err[LEV_CONFIG_ERR_MAX])
{
    int opt;
    *o = (struct options){
        .port = -1, .management_port = -1, .loops = -1, .busy_wait = -1, .log_level = -1};
    *action_r = LEV_CONFIG_RUN;
    optind = 0;
    while (*action_r == LEV_CONFIG_RUN && (opt = getopt_long(argc, argv, "+:", table, NULL)) != -1)
        if (take(o, opt, action_r, argv, err) < 0)
            return -1;
    if (*action_r == LEV_CONFIG_RUN && optind < argc) {
        snprintf(err, LEV_CONFIG_ERR_MAX, "unexpected argument '%.200s'; see --help", argv[optind]);
        return -1;
    }
    return 0;
}
