/* Event loops, listeners and transports: bytes in, bytes out. Knows nothing of AMQP.
 *
 * N loops, each a thread with its own uv_loop_t. An accepted connection is given to one loop and
 * stays there; every callback about it runs on that loop's thread. Sockets are non-blocking,
 * watched with uv_poll_t, and read and written by us (into a 256 KiB buffer shared by the loop's
 * connections; by sendmsg). */
#ifndef LEV_NET_NET_H
#define LEV_NET_NET_H

#include <sys/uio.h>

#include "base/bytes.h"

struct lev_net;
struct lev_loop;
struct lev_transport;

/* The upper layer. conn is what accepted returned. */
struct lev_net_handler {
    /* A connection arrived (TCP_NODELAY set). Returns the upper layer's object, or NULL to refuse.
     */
    void *(*accepted)(void *ctx, struct lev_loop *loop, struct lev_transport *t);
    /* Input; the bytes are valid during the call only. May call lev_transport_close. */
    void (*input)(void *conn, const uint8_t *data, size_t len);
    /* The socket takes output again (only after lev_transport_want_write). */
    void (*writable)(void *conn);
    /* The transport is gone: peer closed, error, or lev_transport_close finished. Called exactly
     * once and last; never from inside another callback's stack frame of the same connection or
     * from lev_transport_close. */
    void (*closed)(void *conn);
    /* About every 250 ms per loop. now_ms: loop's monotonic milliseconds. */
    void (*tick)(void *ctx, struct lev_loop *loop, uint64_t now_ms);
    /* After lev_loop_wake, on the loop's thread; many wakes may be served by one call. */
    void (*woken)(void *ctx, struct lev_loop *loop);
};

struct lev_listen {
    const char *host; /* numeric address, or NULL for all interfaces (one dual-stack IPv6 socket, or
                       * IPv4 alone where the machine has no IPv6) */
    int port;         /* 0: ephemeral */
};

/* n_loops 0: one for two CPUs. busy_wait: loops keep awake while that pays (vigil.h), if there is
 * more than one CPU. Nothing runs yet. NULL with a line in errbuf. */
struct lev_net *lev_net_new(int n_loops, bool busy_wait, const struct lev_net_handler *h, void *ctx,
                            char *errbuf, size_t errlen);
/* Binds and listens. *port_r: the real port. 0, or -1 with a line in errbuf ("cannot listen on ...:
 * Address already in use"). Before start. */
int lev_net_listen(struct lev_net *n, const struct lev_listen *l, int *port_r, char *errbuf,
                   size_t errlen);
int lev_net_start(struct lev_net *n, char *errbuf, size_t errlen);
/* Stops accepting (any thread, after start). Existing connections go on. */
void lev_net_stop_accepting(struct lev_net *n);
/* Closes what is left, ends the threads, frees. Not from a loop thread. Accepts pointer to NULL. */
void lev_net_stop(struct lev_net **n);

int lev_net_loop_count(const struct lev_net *n);
struct lev_loop *lev_net_loop(struct lev_net *n, int index);

int lev_loop_index(const struct lev_loop *l);
void lev_loop_set_data(struct lev_loop *l, void *data);
void *lev_loop_data(const struct lev_loop *l);
/* Monotonic milliseconds, cached per turn of the loop. Loop thread. */
uint64_t lev_loop_now_ms(const struct lev_loop *l);
/* Have woken called soon. Any thread; coalesced; cheap when already pending. */
void lev_loop_wake(struct lev_loop *l);

/* Everything below: the transport's loop thread only, and not after closed. */

/* Octets the socket took now (maybe fewer than given; 0 when it takes none, EAGAIN), or -1 when the
 * transport is broken (closed will be called). Never blocks, keeps nothing. */
ssize_t lev_transport_write(struct lev_transport *t, const struct iovec *iov, int n);
/* Have writable called when the socket takes output again; one-shot. */
void lev_transport_want_write(struct lev_transport *t);
/* Stop or resume reading (back-pressure). While paused a peer's reset is noticed, and closes the
 * transport; its end of stream is not, because what came before it was not read yet. */
void lev_transport_pause(struct lev_transport *t, bool paused);
/* For how long the peer's system has acknowledged nothing, though something is on its way to it; 0
 * when nothing is. */
uint32_t lev_transport_unacked_ms(const struct lev_transport *t);
/* Ends the connection: no more input or writable; closed follows. abort: with RST (linger 0). */
void lev_transport_close(struct lev_transport *t, bool abort);

/* Numeric addresses, "127.0.0.1" or "::1" (v4-mapped shown as v4). Valid while the transport is. */
const char *lev_transport_peer_host(const struct lev_transport *t);
int lev_transport_peer_port(const struct lev_transport *t);
const char *lev_transport_local_host(const struct lev_transport *t);
int lev_transport_local_port(const struct lev_transport *t);
/* Peer in 127/8, ::1 or v4-mapped 127/8. */
bool lev_transport_peer_is_loopback(const struct lev_transport *t);

#endif
