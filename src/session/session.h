/* The session layer as the server sees it: AMQP connections over transports. */
#ifndef LEV_SESSION_SESSION_H
#define LEV_SESSION_SESSION_H

#include "net/net.h"

struct lev_auth;
struct lev_usage;
struct lev_vhost;
struct lev_session_layer;

struct lev_session_config {
    uint32_t frame_max;        /* 131072; at least 4096 */
    uint16_t channel_max;      /* 2047; not 0 */
    uint16_t heartbeat_s;      /* 60 */
    uint32_t handshake_ms;     /* 10000 */
    uint64_t max_message_size; /* 134217728 */
    const char *version;       /* reported to clients, semver */
    const char *cluster_name;  /* "rabbit@host" */
    struct lev_auth *auth;
    struct lev_usage *usage;
    /* vhost by name, or NULL. Any thread. */
    struct lev_vhost *(*vhost)(void *ctx, struct lev_bytes name);
    void *ctx;
};

/* Copies config (strings borrowed). Never NULL. */
struct lev_session_layer *lev_session_layer_new(const struct lev_session_config *c);
/* After the loops were stopped. */
void lev_session_layer_free(struct lev_session_layer **s);

/* Pass these and the layer as ctx to lev_net_new. */
extern const struct lev_net_handler lev_session_handler;

/* Called once with the started net's loops, before any connection (before lev_net_start). */
void lev_session_layer_attach(struct lev_session_layer *s, struct lev_net *net);

/* Graceful end: every open connection gets connection.close 320 "CONNECTION_FORCED - broker forced
 * connection closure with reason 'shutdown'" and is closed when its close-ok came or at the
 * deadline. Any thread; returns at once. */
void lev_session_layer_shutdown(struct lev_session_layer *s, uint32_t deadline_ms);
/* Connections not yet gone. Any thread. */
int lev_session_layer_connections(const struct lev_session_layer *s);

#endif
