/* The embeddable broker: wires the rooms together. See leveret/server.h.
 *
 * Start goes bottom up (data directory, meta.db, definitions, users, vhosts with their stores,
 * session layer, loops), stop goes top down; a start that fails is undone by the same stop. The
 * vhosts are found by name in a map that does not change while loops run, so that any thread may
 * look one up. */
#include "leveret/server.h"

#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "auth/auth.h"
#include "auth/usage.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "broker/admin.h"
#include "broker/vhost.h"
#include "definitions/definitions.h"
#include "net/net.h"
#include "server_stats.h"
#include "session/session.h"
#include "store/datadir.h"
#include "store/meta.h"
#include "store/store_sqlite.h"
#include "ticker.h"

_Static_assert((int)LEV_SERVER_ERR_MAX >= (int)LEV_DATADIR_ERR_MAX &&
                   (int)LEV_SERVER_ERR_MAX >= (int)LEV_META_ERR_MAX &&
                   (int)LEV_SERVER_ERR_MAX >= (int)LEV_DEFINITIONS_ERR_MAX &&
                   (int)LEV_SERVER_ERR_MAX >= (int)LEV_STORE_ERR_MAX,
               "one line of any room fits");

enum { LARGEST_FRAME = 128 * 1024 * 1024, LARGEST_CHANNEL = 65535, STOP_POLL_NS = 2000000 };

struct server_vhost {
    struct server_vhost *next;
    uint32_t id;
    struct lev_bytes name; /* owned */
    struct lev_vhost *vhost;
    struct lev_store *store;
};

struct lev_server {
    struct lev_server_config config;
    char cluster_name[HOST_NAME_MAX + 16];
    int lock_fd;
    struct lev_meta *meta;
    struct lev_auth *auth;
    struct lev_usage *usage;
    struct lev_definitions *definitions; /* while it starts */
    struct server_vhost *vhosts;
    struct lev_ticker *ticker;
    struct lev_map vhosts_by_name;
    struct lev_session_layer *session;
    struct lev_net *net;
    bool running; /* the loops were started */
    int port;
};

/* ---- Made and freed ---- */

void lev_server_config_init(struct lev_server_config *c)
{
    static const struct lev_server_listen everywhere = {.host = NULL, .port = 5672};
    *c = (struct lev_server_config){.listen = &everywhere,
                                    .n_listen = 1,
                                    .frame_max = 131072,
                                    .channel_max = 2047,
                                    .heartbeat_s = 60,
                                    .handshake_ms = 10000,
                                    .max_message_size = 134217728,
                                    .consumer_timeout_ms = 1800000,
                                    .consumer_patrol_ms = 60000,
                                    .stop_ms = 5000,
                                    .default_user = "guest",
                                    .default_password = "guest",
                                    .default_vhost = "/"};
}

static void set_cluster_name(struct lev_server *s)
{
    char host[HOST_NAME_MAX + 1] = "";
    if (gethostname(host, sizeof(host) - 1) < 0 || !*host)
        snprintf(host, sizeof(host), "localhost");
    host[strcspn(host, ".")] = 0;
    snprintf(s->cluster_name, sizeof(s->cluster_name), "rabbit@%s", host);
    s->config.cluster_name = s->cluster_name;
}

struct lev_server *lev_server_new(const struct lev_server_config *c)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, lev_hash_seed);
    struct lev_server *s = lev_xcalloc(1, sizeof(*s));
    s->config = *c;
    s->lock_fd = -1;
    lev_map_init(&s->vhosts_by_name);
    if (!s->config.cluster_name)
        set_cluster_name(s);
    return s;
}

void lev_server_free(struct lev_server **sp)
{
    struct lev_server *s = *sp;
    if (!s)
        return;
    lev_server_stop(s);
    free(s);
    *sp = NULL;
}

/* ---- Start ---- */

static int take_data_dir(struct lev_server *s, char *err)
{
    if (!s->config.data_dir || !*s->config.data_dir) {
        snprintf(err, LEV_SERVER_ERR_MAX, "no data directory given");
        return -1;
    }
    if (lev_datadir_lock(s->config.data_dir, &s->lock_fd, err) < 0)
        return -1;
    return lev_meta_open(s->config.data_dir, &s->meta, err);
}

static int load_definitions(struct lev_server *s, char *err)
{
    if (!s->config.definitions)
        return 0;
    if (lev_definitions_read(s->config.definitions, &s->definitions, err) < 0)
        return -1;
    return lev_definitions_import_meta(s->definitions, s->meta, err);
}

static int load_users(struct lev_server *s, char *err)
{
    struct lev_auth_options o = {.default_user = s->config.default_user,
                                 .default_password = s->config.default_password,
                                 .default_vhost = s->config.default_vhost,
                                 .no_default_user = s->definitions != NULL,
                                 .loopback_users = s->config.loopback_users};
    s->auth = lev_auth_new(s->meta, &o, err, LEV_SERVER_ERR_MAX);
    s->usage = lev_usage_new();
    return s->auth ? lev_definitions_user_limits(s->meta, s->usage, err) : -1;
}

static void note_vhost(void *ctx, const struct lev_meta_vhost *m)
{
    struct lev_server *s = ctx;
    struct server_vhost *v = lev_xcalloc(1, sizeof(*v));
    v->id = m->id;
    v->name = lev_bytes_dup(m->name);
    v->next = s->vhosts;
    s->vhosts = v;
    lev_map_put(&s->vhosts_by_name, v->name, v);
}

/* Before the queues are there, so that each has its policy from the beginning. */
static int set_policies(struct lev_server *s, struct server_vhost *v, char *err)
{
    struct lev_policy_set *policies;
    if (lev_definitions_policies(s->meta, v->name, &policies, err) < 0)
        return -1;
    if (policies)
        lev_vhost_set_policies(v->vhost, policies);
    return 0;
}

static int set_limits(struct lev_server *s, struct server_vhost *v, char *err)
{
    struct lev_vhost_limits limits;
    if (lev_definitions_limits(s->meta, v->name, &limits, err) < 0)
        return -1;
    lev_vhost_set_limits(v->vhost, &limits);
    return 0;
}

static int open_vhost(struct lev_server *s, struct server_vhost *v, char *err)
{
    char dir[PATH_MAX];
    int n = snprintf(dir, sizeof(dir), "%s/vhosts/%u", s->config.data_dir, v->id);
    if (n >= (int)sizeof(dir)) {
        snprintf(err, LEV_SERVER_ERR_MAX, "the data directory's name is too long");
        return -1;
    }
    if (lev_datadir_make(dir, err) < 0 || lev_store_open(dir, NULL, &v->store, err) < 0)
        return -1;
    v->vhost = lev_vhost_new(v->name, v->store, lev_clock_wall_ms);
    lev_vhost_set_consumer_timeout(v->vhost, s->config.consumer_timeout_ms,
                                   s->config.consumer_patrol_ms);
    if (set_policies(s, v, err) < 0 || set_limits(s, v, err) < 0)
        return -1;
    int rc = lev_store_recover(v->store, &lev_vhost_recovery, v->vhost);
    if (rc == 0)
        rc = lev_store_start(v->store, &lev_vhost_store_client, v->vhost);
    if (rc < 0)
        snprintf(err, LEV_SERVER_ERR_MAX, "vhost '%.*s': %s", LEV_FMT(v->name), lev_err_text(rc));
    return rc;
}

static int open_vhosts(struct lev_server *s, char *err)
{
    if (lev_meta_each_vhost(s->meta, note_vhost, s) < 0) {
        snprintf(err, LEV_SERVER_ERR_MAX, "cannot read the vhosts: %s", lev_meta_error(s->meta));
        return -1;
    }
    for (struct server_vhost *v = s->vhosts; v; v = v->next)
        if (open_vhost(s, v, err) < 0)
            return -1;
    for (struct server_vhost *v = s->vhosts; v && s->definitions; v = v->next)
        if (lev_definitions_import_vhost(s->definitions, v->vhost, err) < 0)
            return -1;
    s->ticker = lev_ticker_new();
    if (!s->ticker) {
        snprintf(err, LEV_SERVER_ERR_MAX, "cannot start the timer thread");
        return -1;
    }
    for (struct server_vhost *v = s->vhosts; v; v = v->next)
        lev_ticker_add(s->ticker, v->vhost);
    return 0;
}

static struct lev_vhost *find_vhost(void *ctx, struct lev_bytes name)
{
    const struct lev_server *s = ctx;
    const struct server_vhost *v = lev_map_get(&s->vhosts_by_name, name);
    return v ? v->vhost : NULL;
}

static uint16_t at_most_16(uint32_t v, uint16_t when_zero)
{
    return v == 0 ? when_zero : v > 65535 ? 65535 : (uint16_t)v;
}

static void make_session(struct lev_server *s)
{
    const struct lev_server_config *c = &s->config;
    struct lev_session_config sc = {
        .frame_max = c->frame_max && c->frame_max < LARGEST_FRAME ? c->frame_max : LARGEST_FRAME,
        .channel_max = at_most_16(c->channel_max, LARGEST_CHANNEL),
        .heartbeat_s = at_most_16(c->heartbeat_s, 0),
        .handshake_ms = c->handshake_ms,
        .max_message_size = c->max_message_size,
        .version = LEV_SERVER_RABBITMQ_VERSION,
        .cluster_name = c->cluster_name,
        .auth = s->auth,
        .usage = s->usage,
        .vhost = find_vhost,
        .ctx = s};
    s->session = lev_session_layer_new(&sc);
}

static int start_net(struct lev_server *s, char *err)
{
    s->net = lev_net_new(s->config.loops, !s->config.no_busy_wait, &lev_session_handler, s->session,
                         err, LEV_SERVER_ERR_MAX);
    if (!s->net)
        return -1;
    lev_session_layer_attach(s->session, s->net);
    for (size_t i = 0; i < s->config.n_listen; i++) {
        struct lev_listen l = {.host = s->config.listen[i].host, .port = s->config.listen[i].port};
        int port;
        if (lev_net_listen(s->net, &l, &port, err, LEV_SERVER_ERR_MAX) < 0)
            return -1;
        if (i == 0)
            s->port = port;
    }
    int rc = lev_net_start(s->net, err, LEV_SERVER_ERR_MAX);
    s->running = rc == 0;
    return rc;
}

static int bring_up(struct lev_server *s, char *err)
{
    if (take_data_dir(s, err) < 0 || load_definitions(s, err) < 0 || load_users(s, err) < 0 ||
        open_vhosts(s, err) < 0)
        return -1;
    make_session(s);
    return start_net(s, err);
}

int lev_server_start(struct lev_server *s, char err[LEV_SERVER_ERR_MAX])
{
    int rc = bring_up(s, err);
    lev_definitions_free(&s->definitions);
    if (rc < 0)
        lev_server_stop(s);
    return rc < 0 ? -1 : 0;
}

/* ---- Stop ---- */

static void say_goodbye(struct lev_server *s)
{
    uint64_t deadline = lev_clock_mono_ns() + UINT64_C(1000000) * s->config.stop_ms;
    lev_net_stop_accepting(s->net);
    lev_session_layer_shutdown(s->session, s->config.stop_ms);
    while (lev_session_layer_connections(s->session) > 0 && lev_clock_mono_ns() < deadline)
        nanosleep(&(struct timespec){.tv_nsec = STOP_POLL_NS}, NULL);
}

static void close_vhosts(struct lev_server *s)
{
    lev_ticker_free(&s->ticker);
    for (struct server_vhost *v = s->vhosts; v; v = v->next)
        lev_store_stop(&v->store);
    while (s->vhosts) {
        struct server_vhost *v = s->vhosts;
        s->vhosts = v->next;
        lev_vhost_free(&v->vhost);
        lev_bytes_free(&v->name);
        free(v);
    }
    lev_map_deinit(&s->vhosts_by_name);
}

void lev_server_stop(struct lev_server *s)
{
    if (s->running)
        say_goodbye(s);
    s->running = false;
    lev_net_stop(&s->net);
    close_vhosts(s);
    lev_session_layer_free(&s->session);
    lev_usage_free(&s->usage);
    lev_auth_free(&s->auth);
    lev_meta_close(&s->meta);
    lev_datadir_unlock(&s->lock_fd);
    s->port = 0;
}

/* ---- Questions ---- */

int lev_server_port(const struct lev_server *s)
{
    return s->port;
}

void lev_server_stats(struct lev_server *s, struct lev_server_stats *out)
{
    *out = (struct lev_server_stats){0};
    if (s->session)
        out->connections = (uint64_t)lev_session_layer_connections(s->session);
    for (struct server_vhost *v = s->vhosts; v; v = v->next) {
        struct lev_vhost_stats st;
        lev_vhost_stats(v->vhost, &st);
        out->channels += st.channels;
        out->consumers += st.consumers;
        out->exchanges += st.exchanges;
        out->queues += st.queues;
        out->messages_ready += st.ready;
        out->messages_unacked += st.unacked;
    }
}

void lev_server_each_vhost(struct lev_server *s,
                           void (*each)(void *ctx, const struct lev_server_vhost_stats *stats),
                           void *ctx)
{
    for (struct server_vhost *v = s->vhosts; v; v = v->next) {
        struct lev_server_vhost_stats st;
        lev_server_stats_of(v->vhost, v->store, &st);
        each(ctx, &st);
    }
}
