/* leveretd: the broker as a daemon in the foreground. Settings, signals, exit status; the broker
 * itself is server.c's.
 *
 * Exit status: 0 after SIGTERM or SIGINT, 1 when the broker could not start, 2 for wrong settings.
 * SIGTERM and SIGINT are blocked in all threads and waited for by the first; so is SIGUSR1, which
 * asks for figures in the log. */
#include <config.h>

#include <errno.h>
#include <inttypes.h>
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

static void block_signals(sigset_t *awaited)
{
    sigemptyset(awaited);
    sigaddset(awaited, SIGTERM);
    sigaddset(awaited, SIGINT);
    sigaddset(awaited, SIGUSR1);
    sigprocmask(SIG_BLOCK, awaited, NULL);
    signal(SIGPIPE, SIG_IGN);
}

/* One line; its keys are stable, scripts read them. Times of the lock in microseconds. */
static void log_vhost(void *ctx, const struct lev_server_vhost_stats *s)
{
    (void)ctx;
    const struct lev_server_lock_stats *l = &s->lock;
    const struct lev_server_store_stats *d = &s->store;
    double holds = l->holds ? (double)l->holds : 1, commits = d->commits ? (double)d->commits : 1;
    lev_log_info(
        "vhost '%s': queues=%" PRIu64 " connections=%" PRIu64 " ready=%" PRIu64 " unacked=%" PRIu64
        "; lock: holds=%" PRIu64 " waits=%" PRIu64 " contended=%.2f%% held_ms=%.1f"
        " hold_p50=%.2f hold_p99=%.2f hold_max=%.1f wait_ms=%.1f wait_p50=%.1f"
        " wait_p99=%.1f wait_max=%.1f; store: commits=%" PRIu64 " ops_per_commit=%.1f"
        " ms_per_commit=%.2f failures=%" PRIu64 " checkpoints=%" PRIu64
        " wal_mib=%.1f garbage_rows=%" PRIu64,
        s->name, s->alive.queues, s->alive.connections, s->alive.messages_ready,
        s->alive.messages_unacked, l->holds, l->wait.count, 100 * (double)l->wait.count / holds,
        (double)l->held_ns / 1e6, (double)l->hold.p50_ns / 1e3, (double)l->hold.p99_ns / 1e3,
        (double)l->hold.max_ns / 1e3, (double)l->wait.sum_ns / 1e6, (double)l->wait.p50_ns / 1e3,
        (double)l->wait.p99_ns / 1e3, (double)l->wait.max_ns / 1e3, d->commits,
        (double)d->ops / commits, (double)d->commit_ns / 1e6 / commits, d->failures, d->checkpoints,
        (double)d->wal_bytes / (1 << 20), d->garbage_rows);
}

/* Until the one that ends the broker. */
static void wait_for_signal(struct lev_server *s, const sigset_t *awaited)
{
    int sig = 0, rc;
    do {
        rc = sigwait(awaited, &sig);
        if (rc == 0 && sig == SIGUSR1)
            lev_server_each_vhost(s, log_vhost, NULL);
    } while (rc == EINTR || (rc == 0 && sig == SIGUSR1));
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
    out->no_busy_wait = c->no_busy_wait;
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
    sigset_t awaited;
    lev_log_set_level((enum lev_log_level)c->log_level);
    raise_descriptor_limit();
    to_server_config(c, listen, &sc);
    block_signals(&awaited);
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
    wait_for_signal(s, &awaited);
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
