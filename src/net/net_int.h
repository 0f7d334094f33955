/* What the net room's own files share. See net.h for the contract.
 *
 * Invariants
 * 1. A transport, its poll handle and its place in its loop's list are touched by its loop's thread
 * alone.
 * 2. Memory of a transport or listener is released in its handle's close callback, never before.
 * 3. The wake handle of every loop stays open until all loop threads have ended, so that any thread
 * may wake any loop until lev_net_stop returns.
 * 4. inbox and its counters are touched under inbox_lock; the rest of a loop by its thread alone.
 */
#ifndef LEV_NET_NET_INT_H
#define LEV_NET_NET_INT_H

#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <uv.h>

#include "base/list.h"
#include "net/net.h"
#include "net/vigil.h"

enum {
    READ_SIZE = 256 * 1024,  /* a loop's read buffer */
    LAST_READS = 4,          /* of a socket that failed */
    ACCEPTS_PER_TURN = 64,   /* of one listener */
    ACCEPT_PAUSE_MS = 100,   /* after accept failed for want of descriptors or memory */
    ACCEPT_LOG_EVERY_S = 30, /* at most one line about that */
    TICK_MS = 250,
    YIELD_EVERY = 4, /* looks of a loop that keeps awake, of half a microsecond each */
    LISTEN_BACKLOG = 1024
};

/* Room for any socket address of TCP. */
union address {
    struct sockaddr sa;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

struct endpoint {
    char host[INET6_ADDRSTRLEN];
    uint16_t port;
};

/* An accepted socket on its way to its loop. */
struct newcomer {
    int fd;
    union address peer;
};

struct lev_loop {
    struct lev_net *net;
    int index;
    void *data;
    uv_loop_t uv;
    uv_async_t wake;
    uv_timer_t tick;
    pthread_t thread;
    bool initialised, started;
    atomic_bool wake_wanted; /* lev_loop_wake was called and woken not yet */
    atomic_bool stop_wanted;
    bool stopping, ended; /* to close its connections; none is left */
    uint64_t served;      /* events */
    struct lev_vigil vigil;
    struct lev_list transports;
    uint8_t *read_buf;
    pthread_mutex_t inbox_lock;
    struct newcomer *inbox;
    size_t inbox_len, inbox_cap;
};

struct lev_listener {
    struct lev_list node;
    struct lev_net *net;
    uv_poll_t poll;
    int fd;
    char name[INET6_ADDRSTRLEN + 16];
};

struct lev_net {
    const struct lev_net_handler *handler;
    void *ctx;
    bool busy_wait;
    int n_loops;
    struct lev_loop *loops;
    /* The listeners; on loop 0. */
    struct lev_list listeners;
    uv_timer_t accept_resume;
    bool accept_resume_open;
    bool accept_stopped;
    atomic_bool accept_stop_wanted;
    uint64_t accept_logged_at_ms; /* 0: never */
    unsigned next_loop;
};

struct lev_transport {
    struct lev_list node;
    struct lev_loop *loop;
    void *conn;
    uv_poll_t poll;
    int fd;
    uint8_t polled; /* events the poll handle watches */
    bool paused, want_write, closing;
    bool ended; /* the peer's end of stream was seen while paused */
    struct endpoint peer, local;
};

/* loop.c */
int lev_loop_init_(struct lev_loop *l, struct lev_net *net, int index);
int lev_loop_start_(struct lev_loop *l);
/* Has the thread close its connections and end; joins it. */
void lev_loop_ask_stop_(struct lev_loop *l);
void lev_loop_join_(struct lev_loop *l);
/* After all threads ended. */
void lev_loop_deinit_(struct lev_loop *l);
/* Has the loop's thread look at its flags and inbox. Any thread. */
void lev_loop_nudge_(struct lev_loop *l);
/* Gives an accepted socket to the loop (takes fd). Thread of loop 0. */
void lev_loop_give_(struct lev_loop *l, const struct newcomer *n);
/* Ends a stopping loop once its last connection is gone. */
void lev_loop_maybe_end_(struct lev_loop *l);

/* listener.c; thread of loop 0, or before start. */
int lev_listener_open_(struct lev_net *n, int fd, const char *name);
void lev_listeners_stop_(struct lev_net *n);
void lev_listeners_resume_(struct lev_net *n);
/* A bound, listening, non-blocking socket, or -1 with a line in errbuf. name: "[::]:5672". */
int lev_listen_socket_(const struct lev_listen *l, int *port_r, char *name, size_t namelen,
                       char *errbuf, size_t errlen);

/* transport.c: makes a transport of an accepted socket (takes it) and tells the upper layer. */
void lev_transport_open_(struct lev_loop *l, const struct newcomer *n);

/* address.c */
void lev_endpoint_from_(struct endpoint *e, const union address *a);
bool lev_endpoint_is_loopback_(const struct endpoint *e);
/* "127.0.0.1:5672", "[::1]:5672". */
void lev_endpoint_format_(const struct endpoint *e, char *out, size_t outlen);

#endif
