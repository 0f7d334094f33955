/* leveretd: the broker as a daemon in the foreground. Settings, signals, exit status; the broker
 * itself is server.c's.
 *
 * Exit status: 0 after SIGTERM or SIGINT, 1 when the broker could not start, 2 for wrong settings.
 * SIGTERM and SIGINT are blocked in all threads and waited for by the first. */
#include <config.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#ifdef HAVE_MALLOC_TRIM /* glibc */
#include <malloc.h>
#endif

#include "base/log.h"
#include "config/config.h"
#include "leveret/server.h"

enum { EXIT_SETTINGS = 2 };

static const char *environment(void *ctx, const char *name)
{
    (void)ctx;
    return getenv(name);
}

static void warn(void *ctx, const char *line)
{
    (void)ctx;
    lev_log_warn("%s", line);
}

static void raise_descriptor_limit(void)
{
    struct rlimit l;
    if (getrlimit(RLIMIT_NOFILE, &l) == 0 && l.rlim_cur < l.rlim_max) {
        l.rlim_cur = l.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &l) < 0)
            lev_log_warn("cannot raise the limit of open files: %s", strerror(errno));
    }
}

static void block_signals(sigset_t *ending)
{
    sigemptyset(ending);
    sigaddset(ending, SIGTERM);
    sigaddset(ending, SIGINT);
    sigprocmask(SIG_BLOCK, ending, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static void wait_for_signal(const sigset_t *ending)
{
    int sig, rc;
    do
        rc = sigwait(ending, &sig);
    while (rc == EINTR);
    lev_log_info("stopping: %s", rc == 0 ? strsignal(sig) : strerror(rc));
}

static void to_server_config(const struct lev_config *c, struct lev_server_listen *listen,
                             struct lev_server_config *out)
{
    lev_server_config_init(out);
    for (size_t i = 0; i < c->n_listeners; i++)
        listen[i] = (struct lev_server_listen){c->listeners[i].host, c->listeners[i].port};
    out->data_dir = c->data_dir;
    out->listen = listen;
    out->n_listen = c->n_listeners;
    out->loops = c->loops;
    out->frame_max = c->frame_max;
    out->channel_max = c->channel_max;
    out->heartbeat_s = c->heartbeat_s;
    out->handshake_ms = c->handshake_ms;
    out->max_message_size = c->max_message_size;
    out->consumer_timeout_ms = c->consumer_timeout_ms;
    out->cluster_name = c->cluster_name;
    out->default_user = c->default_user;
    out->default_password = c->default_password;
    out->default_vhost = c->default_vhost;
    out->definitions = c->definitions;
    if (c->loopback_users_set)
        out->loopback_users = (const char *const *)c->loopback_users;
}

/* Bodies below 4 MiB come from memory the process has and keeps (a little of), for to get their
 * pages afresh from the kernel costs more than to copy them. */
static void keep_memory(void)
{
#ifdef HAVE_MALLOC_TRIM
    (void)mallopt(M_MMAP_THRESHOLD, 4 << 20); /* refused: it is only slower */
    (void)mallopt(M_TRIM_THRESHOLD, 16 << 20);
#endif
}

/* Gives back what starting needed and running does not: definitions as JSON, and rows read. */
static void give_memory_back(void)
{
#ifdef HAVE_MALLOC_TRIM
    (void)malloc_trim(0);
#endif
}

static int serve(const struct lev_config *c)
{
    struct lev_server_listen listen[LEV_CONFIG_LISTENERS_MAX];
    struct lev_server_config sc;
    char err[LEV_SERVER_ERR_MAX] = "";
    sigset_t ending;
    lev_log_set_level((enum lev_log_level)c->log_level);
    raise_descriptor_limit();
    to_server_config(c, listen, &sc);
    block_signals(&ending);
    struct lev_server *s = lev_server_new(&sc);
    if (lev_server_start(s, err) < 0) {
        fprintf(stderr, "leveretd: %s\n", err);
        lev_server_free(&s);
        return EXIT_FAILURE;
    }
    give_memory_back();
    /* The words that tools wait for in RabbitMQ's log; then ours, whatever the log level. */
    lev_log_info("Server startup complete; 0 plugins started.");
    fprintf(stderr, "leveretd %s ready: amqp port=%d\n", PACKAGE_VERSION, lev_server_port(s));
    wait_for_signal(&ending);
    lev_server_free(&s);
    lev_log_info("stopped");
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    struct lev_config_world world = {.env = environment, .warn = warn};
    struct lev_config c;
    enum lev_config_action action;
    char err[LEV_CONFIG_ERR_MAX];
    int status = EXIT_SUCCESS;
    if (lev_config_load(&c, argc, argv, &world, &action, err) < 0) {
        fprintf(stderr, "leveretd: %s\n", err);
        status = EXIT_SETTINGS;
    } else if (action == LEV_CONFIG_HELP) {
        lev_config_usage(stdout);
    } else if (action == LEV_CONFIG_VERSION) {
        printf("leveretd %s (compatible with RabbitMQ %s)\n", PACKAGE_VERSION,
               LEV_SERVER_RABBITMQ_VERSION);
    } else {
        keep_memory();
        status = serve(&c);
    }
    lev_config_deinit(&c);
    if (fflush(stdout) != 0)
        status = EXIT_FAILURE;
    return status;
}
