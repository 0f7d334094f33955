/* What the keys of rabbitmq.conf mean: one table of patterns. `*` stands for one part of a key
 * between dots,
 * `**` at the end for one or more. A row without a function is a key of RabbitMQ that Leveret does
 * not implement. */
#include "config/config_int.h"

#include <stdlib.h>
#include <string.h>

enum { NO_EFFECT = 1 };

/* 0, NO_EFFECT for a value that is RabbitMQ's and not implemented, or -1 with what is wrong in err.
 */
typedef int (*set_fn)(struct lev_config *c, const struct setting *s, char *err);

/* ---- Values ---- */

static int wrong(char *err, const struct setting *s, const char *wanted)
{
    snprintf(err, LEV_CONFIG_ERR_MAX, "%s: '%.200s' is not %s", s->key, s->value, wanted);
    return -1;
}

static int set_number(uint32_t *field, const struct setting *s, uint64_t min, uint64_t max,
                      char *err)
{
    char wanted[80];
    uint64_t v;
    snprintf(wanted, sizeof(wanted), "a number from %llu to %llu", (unsigned long long)min,
             (unsigned long long)max);
    if (!lev_config_number_(s->value, min, max, &v))
        return wrong(err, s, wanted);
    *field = (uint32_t)v;
    return 0;
}

static int set_frame_max(struct lev_config *c, const struct setting *s, char *err)
{
    if (strcmp(s->value, "0") == 0) {
        c->frame_max = 0;
        return 0;
    }
    return set_number(&c->frame_max, s, 4096, UINT32_MAX, err);
}

static int set_channel_max(struct lev_config *c, const struct setting *s, char *err)
{
    return set_number(&c->channel_max, s, 0, 65535, err);
}

static int set_heartbeat(struct lev_config *c, const struct setting *s, char *err)
{
    return set_number(&c->heartbeat_s, s, 0, 65535, err);
}

static int set_handshake_timeout(struct lev_config *c, const struct setting *s, char *err)
{
    return set_number(&c->handshake_ms, s, 1, UINT32_MAX, err);
}

static int set_consumer_timeout(struct lev_config *c, const struct setting *s, char *err)
{
    return set_number(&c->consumer_timeout_ms, s, 1, UINT32_MAX, err);
}

static int set_max_message_size(struct lev_config *c, const struct setting *s, char *err)
{
    return set_number(&c->max_message_size, s, 1, 536870912, err);
}

static int set_text(char **field, const struct setting *s, char *err)
{
    if (*s->value == 0)
        return wrong(err, s, "a name");
    lev_config_set_(field, s->value);
    return 0;
}

static int set_default_user(struct lev_config *c, const struct setting *s, char *err)
{
    return set_text(&c->default_user, s, err);
}

static int set_default_pass(struct lev_config *c, const struct setting *s, char *err)
{
    if (strncmp(s->value, "encrypted:", 10) == 0) {
        snprintf(err, LEV_CONFIG_ERR_MAX, "%s: encrypted values are not supported", s->key);
        return -1;
    }
    lev_config_set_(&c->default_password, s->value);
    return 0;
}

static int set_default_vhost(struct lev_config *c, const struct setting *s, char *err)
{
    return set_text(&c->default_vhost, s, err);
}

static int set_definitions(struct lev_config *c, const struct setting *s, char *err)
{
    return set_text(&c->definitions, s, err);
}

/* Where definitions come from. */
static int set_definitions_backend(struct lev_config *c, const struct setting *s, char *err)
{
    (void)c;
    if (strcmp(s->value, "local_filesystem") == 0)
        return 0;
    return strcmp(s->value, "https") == 0 ? NO_EFFECT : wrong(err, s, "'local_filesystem'");
}

static int set_cluster_name(struct lev_config *c, const struct setting *s, char *err)
{
    return set_text(&c->cluster_name, s, err);
}

static int set_log_level(struct lev_config *c, const struct setting *s, char *err)
{
    int level = lev_config_level_(s->value);
    if (level < 0)
        return wrong(err, s, "a log level");
    c->log_level = level;
    return 0;
}

/* We log to the console and nowhere else. */
static int set_log_console(struct lev_config *c, const struct setting *s, char *err)
{
    (void)c;
    if (strcmp(s->value, "true") == 0)
        return 0;
    return strcmp(s->value, "false") == 0 ? NO_EFFECT : wrong(err, s, "true or false");
}

/* ---- Listeners: 5672, 127.0.0.1:5672, [::1]:5672 ---- */

/* Splits text in place. False when it is none of the forms. */
static bool split_address(char *text, char **host_r, uint64_t *port_r)
{
    char *port = strrchr(text, ':');
    *host_r = NULL;
    if (port) {
        *host_r = text;
        *port++ = 0;
        size_t n = strlen(text);
        if (n >= 2 && text[0] == '[' && text[n - 1] == ']') {
            text[n - 1] = 0;
            *host_r = text + 1;
        } else if (strpbrk(text, ":[]")) {
            return false;
        }
    }
    return (!port || **host_r) && lev_config_number_(port ? port : text, 0, 65535, port_r);
}

/* The first listener that a file names takes the place of the default. */
static void listeners_begin(struct lev_config *c)
{
    if (!c->listeners_set)
        lev_config_no_listeners_(c);
    c->listeners_set = true;
}

static int set_listener(struct lev_config *c, const struct setting *s, char *err)
{
    char text[256], *host;
    uint64_t port;
    int n = snprintf(text, sizeof(text), "%s", s->value);
    if (n >= (int)sizeof(text) || !split_address(text, &host, &port))
        return wrong(err, s, "a port or address:port");
    listeners_begin(c);
    if (lev_config_listener_(c, strrchr(s->key, '.') + 1, host, (int)port))
        return 0;
    snprintf(err, LEV_CONFIG_ERR_MAX, "%s: more than %d listeners", s->key,
             LEV_CONFIG_LISTENERS_MAX);
    return -1;
}

static int set_no_listeners(struct lev_config *c, const struct setting *s, char *err)
{
    if (strcmp(s->value, "none") != 0)
        return wrong(err, s, "'none'");
    listeners_begin(c);
    lev_config_no_listeners_(c);
    return 0;
}

/* ---- Loopback users: as soon as one key is there, only those set to true count ---- */

static void remove_loopback_user(struct lev_config *c, const char *name)
{
    for (size_t i = 0; i < c->n_loopback_users; i++) {
        if (strcmp(c->loopback_users[i], name) == 0) {
            lev_config_set_(&c->loopback_users[i], c->loopback_users[c->n_loopback_users - 1]);
            char **last = &c->loopback_users[--c->n_loopback_users];
            free(*last);
            *last = NULL;
            return;
        }
    }
}

static int set_loopback_user(struct lev_config *c, const struct setting *s, char *err)
{
    const char *name = strrchr(s->key, '.') + 1;
    bool on = strcmp(s->value, "true") == 0;
    if (!on && strcmp(s->value, "false") != 0)
        return wrong(err, s, "true or false");
    c->loopback_users_set = true;
    remove_loopback_user(c, name);
    if (!on)
        return 0;
    if (c->n_loopback_users == LEV_CONFIG_USERS_MAX) {
        snprintf(err, LEV_CONFIG_ERR_MAX, "%s: more than %d users", s->key, LEV_CONFIG_USERS_MAX);
        return -1;
    }
    lev_config_set_(&c->loopback_users[c->n_loopback_users++], name);
    return 0;
}

static int set_no_loopback_users(struct lev_config *c, const struct setting *s, char *err)
{
    if (strcmp(s->value, "none") != 0)
        return wrong(err, s, "'none'");
    while (c->n_loopback_users > 0)
        remove_loopback_user(c, c->loopback_users[0]);
    c->loopback_users_set = true;
    return 0;
}

/* ---- The table ---- */

static const struct {
    const char *pattern;
    set_fn set;
} keys[] = {
    {"listeners.tcp", set_no_listeners},
    {"listeners.tcp.*", set_listener},
    {"handshake_timeout", set_handshake_timeout},
    {"heartbeat", set_heartbeat},
    {"frame_max", set_frame_max},
    {"channel_max", set_channel_max},
    {"max_message_size", set_max_message_size},
    {"consumer_timeout", set_consumer_timeout},
    {"loopback_users", set_no_loopback_users},
    {"loopback_users.*", set_loopback_user},
    {"default_user", set_default_user},
    {"default_pass", set_default_pass},
    {"default_vhost", set_default_vhost},
    {"cluster_name", set_cluster_name},
    {"log.console", set_log_console},
    {"log.console.level", set_log_level},

    {"anonymous_login_pass", NULL},
    {"anonymous_login_user", NULL},
    {"auth_backends.**", NULL},
    {"auth_cache.**", NULL},
    {"auth_http.**", NULL},
    {"auth_ldap.**", NULL},
    {"auth_mechanisms.*", NULL},
    {"auth_oauth2.**", NULL},
    {"background_gc_enabled", NULL},
    {"background_gc_target_interval", NULL},
    {"channel_max_per_node", NULL},
    {"channel_operation_timeout", NULL},
    {"channel_tick_interval", NULL},
    {"classic_queue.default_version", NULL},
    {"cluster_exchange_limit", NULL},
    {"cluster_formation.**", NULL},
    {"cluster_keepalive_interval", NULL},
    {"cluster_partition_handling", NULL},
    {"cluster_partition_handling.**", NULL},
    {"cluster_queue_limit", NULL},
    {"cluster_tags.*", NULL},
    {"collect_statistics", NULL},
    {"collect_statistics_interval", NULL},
    {"connection_max", NULL},
    {"consumer_max_per_channel", NULL},
    {"credential_validator.*", NULL},
    {"default_limits.**", NULL},
    {"default_permissions.*", NULL},
    {"default_policies.**", NULL},
    {"default_queue_type", NULL},
    {"default_user_tags.*", NULL},
    {"default_users.**", NULL},
    {"definitions.import_backend", set_definitions_backend},
    {"definitions.local.path", set_definitions},
    {"definitions.**", NULL},
    {"deprecated_features.**", NULL},
    {"disk_free_limit.*", NULL},
    {"distribution.**", NULL},
    {"federation.**", NULL},
    {"hipe_compile", NULL},
    {"initial_frame_max", NULL},
    {"listeners.ssl", NULL},
    {"listeners.ssl.*", NULL},
    {"load_definitions", set_definitions},
    {"log.**", NULL},
    {"management.**", NULL},
    {"management_agent.**", NULL},
    {"memory_monitor_interval", NULL},
    {"message_interceptors.**", NULL},
    {"mirroring_sync_batch_size", NULL},
    {"mirroring_sync_max_throughput", NULL},
    {"mnesia_table_loading_retry_limit", NULL},
    {"mnesia_table_loading_retry_timeout", NULL},
    {"motd_file", NULL},
    {"mqtt.**", NULL},
    {"net_ticktime", NULL},
    {"node_tags.*", NULL},
    {"num_acceptors.*", NULL},
    {"password_hashing_module", NULL},
    {"product.*", NULL},
    {"prometheus.**", NULL},
    {"proxy_protocol", NULL},
    {"queue_index_embed_msgs_below", NULL},
    {"queue_leader_locator", NULL},
    {"queue_master_locator", NULL},
    {"queue_types.**", NULL},
    {"quorum_queue.**", NULL},
    {"raft.**", NULL},
    {"reverse_dns_lookups", NULL},
    {"shovel.**", NULL},
    {"ssl_cert_login_from", NULL},
    {"ssl_cert_login_san_index", NULL},
    {"ssl_cert_login_san_type", NULL},
    {"ssl_handshake_timeout", NULL},
    {"ssl_options", NULL},
    {"ssl_options.**", NULL},
    {"stomp.**", NULL},
    {"stream.**", NULL},
    {"sysmon_handler.**", NULL},
    {"tcp_listen_options", NULL},
    {"tcp_listen_options.**", NULL},
    {"total_memory_available_override_value", NULL},
    {"trust_store.**", NULL},
    {"vhost_max", NULL},
    {"vhost_restart_strategy", NULL},
    {"vm_memory_calculation_strategy", NULL},
    {"vm_memory_high_watermark.*", NULL},
    {"vm_memory_high_watermark_paging_ratio", NULL},
    {"web_mqtt.**", NULL},
    {"web_stomp.**", NULL},
};

static bool matches(const char *pattern, const char *key)
{
    for (;;) {
        size_t p = strcspn(pattern, "."), k = strcspn(key, ".");
        if (k == 0)
            return false;
        if (p == 2 && memcmp(pattern, "**", 2) == 0)
            return true;
        bool any = p == 1 && *pattern == '*';
        if (!any && (p != k || memcmp(pattern, key, p) != 0))
            return false;
        if (!pattern[p] || !key[k])
            return pattern[p] == key[k];
        pattern += p + 1;
        key += k + 1;
    }
}

static void warn(const struct setting *s, const struct lev_config_world *w)
{
    char line[LEV_CONFIG_ERR_MAX];
    snprintf(line, sizeof(line), "%s:%d: '%s' is not implemented and has no effect", s->file,
             s->line, s->key);
    w->warn(w->ctx, line);
}

int lev_conf_apply_(struct lev_config *c, const struct setting *s, const struct lev_config_world *w,
                    char err[LEV_CONFIG_ERR_MAX])
{
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        if (!matches(keys[i].pattern, s->key))
            continue;
        int rc = keys[i].set ? keys[i].set(c, s, err) : NO_EFFECT;
        if (rc == NO_EFFECT)
            warn(s, w);
        return rc < 0 ? -1 : 0;
    }
    snprintf(err, LEV_CONFIG_ERR_MAX, "unknown key '%.200s'", s->key);
    return -1;
}
