/* A small server over the net room, for its tests: echoes, and does on command what a test wants to
 * see.
 *
 * The first octet a connection sends chooses: 'q' close, 'a' abort, 'b' "bye" and close, 'p' pause
 * until server_resume, anything else echo with back-pressure (reads pause above ECHO_HIGH unsent
 * octets). */
#ifndef LEV_TESTS_NET_SERVER_H
#define LEV_TESTS_NET_SERVER_H

#include <pthread.h>
#include <stdatomic.h>

#include "net/net.h"

enum { ECHO_HIGH = 256 * 1024, MAX_LOOPS = 8 };

struct server {
    struct lev_net *net;
    int port;
    atomic_bool refuse;          /* accepted returns NULL */
    atomic_bool hold_woken;      /* woken waits until it is cleared */
    atomic_bool resume;          /* woken resumes the paused connection */
    atomic_int accepted, closed; /* connections */
    atomic_int on_loop[MAX_LOOPS];
    atomic_int inputs, writables, pauses, wokens, ticks;
    atomic_int misordered; /* callbacks that came when they must not */
    pthread_mutex_t lock;
    struct server_conn *paused; /* under lock */
    char peer_host[64], local_host[64];
    int peer_port, local_port;
    bool loopback; /* these: of the last connection, under lock */
};

/* Starts on host (NULL: all) with an ephemeral port; fails the test when it cannot. */
struct server *server_start(int n_loops, const char *host);
/* Stops and checks that every connection was closed exactly once, in order. */
void server_stop(struct server **s);
/* Resumes the paused connection. */
void server_resume(struct server *s);

/* Fails the test when the counter does not get to at least want within a minute. */
void wait_for(atomic_int *counter, int want);

#endif
