/* Defaults, the environment, and the order in which the sources are applied. */
#include "config/config_int.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"

enum { AMQP_PORT = 5672 };

static char *copy(const char *s)
{
    size_t n = strlen(s) + 1;
    return memcpy(lev_xmalloc(n), s, n);
}

void lev_config_set_(char **field, const char *value)
{
    char *old = *field;
    *field = copy(value);
    free(old);
}

bool lev_config_number_(const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
    uint64_t v = 0;
    size_t n = strlen(text);
    if (n == 0 || n > 18)
        return false;
    for (const char *p = text; *p; p++) {
        if (*p < '0' || *p > '9')
            return false;
        v = v * 10 + (uint64_t)(*p - '0');
    }
    *out = v;
    return v >= min && v <= max;
}

int lev_config_level_(const char *name)
{
    static const struct {
        const char *name;
        enum lev_log_level level;
    } levels[] = {{"debug", LEV_LOG_DEBUG}, {"info", LEV_LOG_INFO},
                  {"notice", LEV_LOG_INFO}, {"warning", LEV_LOG_WARNING},
                  {"error", LEV_LOG_ERROR}, {"critical", LEV_LOG_ERROR},
                  {"none", LEV_LOG_NONE}};
    for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++)
        if (strcmp(levels[i].name, name) == 0)
            return (int)levels[i].level;
    return -1;
}

static void listener_clear(struct lev_config_listener *l)
{
    free(l->name);
    free(l->host);
    *l = (struct lev_config_listener){0};
}

void lev_config_no_listeners_(struct lev_config *c)
{
    while (c->n_listeners > 0)
        listener_clear(&c->listeners[--c->n_listeners]);
}

bool lev_config_listener_(struct lev_config *c, const char *name, const char *host, int port)
{
    size_t i = 0;
    while (i < c->n_listeners && strcmp(c->listeners[i].name, name) != 0)
        i++;
    if (i == LEV_CONFIG_LISTENERS_MAX)
        return false;
    if (i == c->n_listeners)
        c->n_listeners++;
    struct lev_config_listener old = c->listeners[i];
    c->listeners[i] = (struct lev_config_listener){copy(name), host ? copy(host) : NULL, port};
    listener_clear(&old);
    return true;
}

static void set_defaults(struct lev_config *c)
{
    *c = (struct lev_config){.management_port = -1,
                             .log_level = LEV_LOG_INFO,
                             .frame_max = 131072,
                             .channel_max = 2047,
                             .heartbeat_s = 60,
                             .handshake_ms = 10000,
                             .max_message_size = 134217728,
                             .consumer_timeout_ms = 1800000};
    lev_config_set_(&c->default_user, "guest");
    lev_config_set_(&c->default_password, "guest");
    lev_config_set_(&c->default_vhost, "/");
}

void lev_config_deinit(struct lev_config *c)
{
    lev_config_no_listeners_(c);
    for (size_t i = 0; i < c->n_loopback_users; i++)
        free(c->loopback_users[i]);
    free(c->data_dir);
    free(c->default_user);
    free(c->default_password);
    free(c->default_vhost);
    free(c->definitions);
    free(c->cluster_name);
    *c = (struct lev_config){0};
}

/* ---- The environment ---- */

/* NULL when unset or empty. */
static const char *env(const struct lev_config_world *w, const char *name)
{
    const char *v = w->env(w->ctx, name);
    return v && *v ? v : NULL;
}

static void env_string(const struct lev_config_world *w, const char *name, char **field)
{
    const char *v = env(w, name);
    if (v)
        lev_config_set_(field, v);
}

static int apply_env_listener(struct lev_config *c, const struct lev_config_world *w, char *err)
{
    const char *host = env(w, "RABBITMQ_NODE_IP_ADDRESS"), *port = env(w, "RABBITMQ_NODE_PORT");
    uint64_t number = AMQP_PORT;
    if (port && !lev_config_number_(port, 0, 65535, &number)) {
        snprintf(err, LEV_CONFIG_ERR_MAX, "RABBITMQ_NODE_PORT: '%s' is not a port number", port);
        return -1;
    }
    if (!c->listeners_set)
        lev_config_listener_(c, "default", host, (int)number);
    return 0;
}

static int apply_env(struct lev_config *c, const struct lev_config_world *w, char *err)
{
    env_string(w, "RABBITMQ_DEFAULT_USER", &c->default_user);
    env_string(w, "RABBITMQ_DEFAULT_PASS", &c->default_password);
    env_string(w, "RABBITMQ_DEFAULT_VHOST", &c->default_vhost);
    if (!c->cluster_name)
        env_string(w, "RABBITMQ_NODENAME", &c->cluster_name);
    return apply_env_listener(c, w, err);
}

/* ---- The file ---- */

/* RabbitMQ's variable may leave the extension out. */
static int read_env_file(struct lev_config *c, const struct lev_config_world *w, char *err)
{
    const char *path = env(w, "RABBITMQ_CONFIG_FILE");
    char with_extension[4096];
    if (!path)
        return 0;
    int n = snprintf(with_extension, sizeof(with_extension), "%s.conf", path);
    if (access(path, F_OK) != 0 && n < (int)sizeof(with_extension) &&
        access(with_extension, F_OK) == 0)
        path = with_extension;
    return lev_conf_file_read_(c, path, w, err);
}

/* ---- The data directory ---- */

static bool usable(const char *dir, const char *parent)
{
    if (access(dir, F_OK) == 0)
        return access(dir, R_OK | W_OK | X_OK) == 0;
    return errno == ENOENT && access(parent, W_OK | X_OK) == 0;
}

static int choose_data_dir(struct lev_config *c, const struct lev_config_world *w, char *err)
{
    const char *state = env(w, "XDG_STATE_HOME"), *home = env(w, "HOME");
    char path[4096];
    int n = 0;
    if (c->data_dir)
        return 0;
    if (usable("/var/lib/leveret", "/var/lib"))
        n = snprintf(path, sizeof(path), "/var/lib/leveret");
    else if (state)
        n = snprintf(path, sizeof(path), "%s/leveret", state);
    else if (home)
        n = snprintf(path, sizeof(path), "%s/.local/state/leveret", home);
    if (n <= 0 || n >= (int)sizeof(path)) {
        snprintf(err, LEV_CONFIG_ERR_MAX,
                 "no data directory: /var/lib/leveret is not writable and HOME is not set; use "
                 "--data-dir");
        return -1;
    }
    lev_config_set_(&c->data_dir, path);
    return 0;
}

/* ---- All together ---- */

static void apply_options(struct lev_config *c, const struct options *o)
{
    if (o->data_dir)
        lev_config_set_(&c->data_dir, o->data_dir);
    if (o->definitions)
        lev_config_set_(&c->definitions, o->definitions);
    if (o->bind || o->port >= 0) {
        lev_config_no_listeners_(c);
        lev_config_listener_(c, "default", o->bind, o->port >= 0 ? o->port : AMQP_PORT);
    }
    c->management_port = o->management_port;
    if (o->loops >= 0)
        c->loops = o->loops;
    c->no_busy_wait = o->busy_wait == 0;
    if (o->log_level >= 0)
        c->log_level = o->log_level;
}

int lev_config_load(struct lev_config *c, int argc, char **argv, const struct lev_config_world *w,
                    enum lev_config_action *action_r, char err[LEV_CONFIG_ERR_MAX])
{
    struct options o;
    set_defaults(c);
    if (lev_options_parse_(&o, argc, argv, action_r, err) < 0)
        return -1;
    if (*action_r != LEV_CONFIG_RUN)
        return 0;
    int rc = o.config ? lev_conf_file_read_(c, o.config, w, err) : read_env_file(c, w, err);
    if (rc < 0 || apply_env(c, w, err) < 0)
        return -1;
    apply_options(c, &o);
    return choose_data_dir(c, w, err);
}
