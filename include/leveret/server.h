/* Leveret in your own process: an AMQP 0-9-1 broker that you start and stop.
 *
 *     struct lev_server_config config;
 *     char err[LEV_SERVER_ERR_MAX];
 *     lev_server_config_init(&config);
 *     config.data_dir = "/var/lib/app/broker";
 *     struct lev_server *s = lev_server_new(&config);
 *     if (lev_server_start(s, err) < 0)
 *         fprintf(stderr, "%s\n", err);
 *     ...
 *     lev_server_free(&s);
 *
 * A server runs on threads of its own, in which all signals are blocked; it never raises SIGPIPE.
 * It logs to standard error. Several may run in one process, each with a data directory of its own.
 *
 * Unless said otherwise a function is for one thread at a time. */
#ifndef LEVERET_SERVER_H
#define LEVERET_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct lev_server;

enum { LEV_SERVER_ERR_MAX = 512 };

/* The RabbitMQ release whose behaviour the server follows; what it reports to clients as its
 * version. */
#define LEV_SERVER_RABBITMQ_VERSION "4.2.0"

struct lev_server_listen {
    const char *host; /* numeric address; NULL: all interfaces, IPv4 and IPv6 */
    int port;         /* 0: one that is free */
};

/* Strings and arrays are borrowed until lev_server_free. */
struct lev_server_config {
    const char *data_dir; /* made when missing; held by one server at a time */
    const struct lev_server_listen *listen;
    size_t n_listen;
    int loops;                    /* event loops, each a thread; 0: one for two CPUs */
    bool no_busy_wait;            /* loops sleep whenever they have no work */
    uint32_t frame_max;           /* 131072 octets; 0: the largest that is supported */
    uint32_t channel_max;         /* 2047; 0: 65535 */
    uint32_t heartbeat_s;         /* 60; 0: none proposed */
    uint32_t handshake_ms;        /* 10000 */
    uint64_t max_message_size;    /* 134217728 octets */
    uint64_t consumer_timeout_ms; /* 1800000; where the queue does not say */
    uint64_t consumer_patrol_ms;  /* 60000: how often such timeouts are looked at */
    uint32_t stop_ms;         /* 5000: how long lev_server_stop waits for clients to say goodbye */
    const char *cluster_name; /* NULL: rabbit@ and the host's name */
    /* The user and vhost made when the data directory has no user yet. */
    const char *default_user, *default_password, *default_vhost;
    /* A definitions.json, or a directory of such files, imported at each start; what it says about
     * users counts instead of the default user. NULL: none. */
    const char *definitions;
    /* Users who may log in from this machine only; ends with NULL. NULL: "guest". */
    const char *const *loopback_users;
};

/* Fills in the defaults: all interfaces, port 5672, and what is said above; data_dir is NULL. */
void lev_server_config_init(struct lev_server_config *c);

/* A server that does nothing yet. Never NULL. */
struct lev_server *lev_server_new(const struct lev_server_config *c);

/* Takes the data directory, recovers what it holds, listens. 0, or -1 with one line in err and
 * nothing left running. */
int lev_server_start(struct lev_server *s, char err[LEV_SERVER_ERR_MAX]);

/* The port of the first listener, while the server runs; 0 without listeners. */
int lev_server_port(const struct lev_server *s);

/* Ends gracefully: no new connections; clients are told and have stop_ms to close; everything
 * durable is on stable storage when it returns. May be started again. Harmless when not started. */
void lev_server_stop(struct lev_server *s);

/* Stops and frees. Accepts a pointer to NULL; leaves NULL. */
void lev_server_free(struct lev_server **s);

/* What is alive, over all vhosts. */
struct lev_server_stats {
    uint64_t connections, channels, consumers;
    uint64_t exchanges, queues;
    uint64_t messages_ready, messages_unacked;
};

/* Any thread, while the server runs. */
void lev_server_stats(struct lev_server *s, struct lev_server_stats *out);

/* How long something took, each time; percentiles are at most a quarter above the truth. */
struct lev_server_times {
    uint64_t count;
    uint64_t sum_ns, p50_ns, p99_ns, max_ns;
};

/* The lock behind which a vhost's queues are. Every hold is counted; about every sixteenth is
 * timed. */
struct lev_server_lock_stats {
    uint64_t holds;
    uint64_t held_ns;             /* how long it was held in all: an estimate */
    struct lev_server_times hold; /* of the holds that were timed */
    struct lev_server_times wait; /* of all holds that had to wait for another's end */
};

/* What the vhost's store has done since it was opened. */
struct lev_server_store_stats {
    uint64_t commits;             /* transactions */
    uint64_t batches, ops, bytes; /* what was in them; bytes: of messages */
    uint64_t commit_ns;           /* time in commits, that is, in writing and syncing */
    uint64_t apply_ns;            /* time in preparing them */
    uint64_t failures;            /* transactions that failed, to be tried again */
    uint64_t reads, read_items;   /* requests for messages of long queues, and messages */
    uint64_t checkpoints, checkpoint_ns;
    uint64_t purged_rows, purge_ns; /* dead rows removed */
    uint64_t garbage_rows;          /* dead rows not yet removed */
    uint64_t wal_bytes;             /* length of the WAL at the last commit */
};

enum { LEV_SERVER_VHOST_NAME_MAX = 256 };

struct lev_server_vhost_stats {
    char name[LEV_SERVER_VHOST_NAME_MAX]; /* ends with a NUL */
    struct lev_server_stats alive;        /* in this vhost; connections: those that opened it */
    uint64_t messages_delayed;            /* held back by exchanges */
    struct lev_server_lock_stats lock;
    struct lev_server_store_stats store;
};

/* Calls each once for every vhost, without a lock of the server's; order unspecified. Any thread,
 * while the server runs. */
void lev_server_each_vhost(struct lev_server *s,
                           void (*each)(void *ctx, const struct lev_server_vhost_stats *stats),
                           void *ctx);

#ifdef __cplusplus
}
#endif

#endif
