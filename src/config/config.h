/* The daemon's settings: what it can be told, and from where.
 *
 * Defaults < configuration file < environment < command line. The file is in RabbitMQ's
 * rabbitmq.conf syntax: keys that Leveret implements work, keys of RabbitMQ that it does not
 * implement are warned about and ignored, anything else is an error. As in RabbitMQ,
 * RABBITMQ_NODE_PORT and RABBITMQ_NODE_IP_ADDRESS count only when the file names no listener, and
 * RABBITMQ_NODENAME only when it names no cluster. One thread. */
#ifndef LEV_CONFIG_CONFIG_H
#define LEV_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { LEV_CONFIG_LISTENERS_MAX = 16, LEV_CONFIG_USERS_MAX = 32, LEV_CONFIG_ERR_MAX = 1024 };

struct lev_config_listener {
    char *name; /* the NAME of listeners.tcp.NAME */
    char *host; /* numeric address; NULL: all interfaces */
    int port;
};

struct lev_config {
    char *data_dir;
    struct lev_config_listener listeners[LEV_CONFIG_LISTENERS_MAX];
    size_t n_listeners;
    bool listeners_set;
    int management_port; /* -1: not given. Reserved */
    int loops;           /* 0: one for two CPUs */
    bool no_busy_wait;
    int log_level; /* enum lev_log_level */
    uint32_t frame_max, channel_max, heartbeat_s, handshake_ms, max_message_size;
    uint32_t consumer_timeout_ms;
    char *default_user, *default_password, *default_vhost;
    char *definitions;                              /* NULL: none to load */
    char *cluster_name;                             /* NULL: to be made from the host's name */
    char *loopback_users[LEV_CONFIG_USERS_MAX + 1]; /* ends with NULL */
    size_t n_loopback_users;
    bool loopback_users_set;
};

/* What a load looks at besides its arguments; tests bring their own. */
struct lev_config_world {
    const char *(*env)(void *ctx, const char *name); /* NULL when unset */
    void (*warn)(void *ctx, const char *line);
    void *ctx;
};

enum lev_config_action { LEV_CONFIG_RUN, LEV_CONFIG_HELP, LEV_CONFIG_VERSION };

/* Fills *c from all sources. 0 with *action_r (for HELP and VERSION nothing else is looked at), or
 * -1 with one line in err. lev_config_deinit afterwards in any case. */
int lev_config_load(struct lev_config *c, int argc, char **argv, const struct lev_config_world *w,
                    enum lev_config_action *action_r, char err[LEV_CONFIG_ERR_MAX])
    __attribute__((warn_unused_result));
void lev_config_deinit(struct lev_config *c);

/* The text of --help. */
void lev_config_usage(FILE *out);

#endif
