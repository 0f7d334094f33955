/* TCP transports: one accepted socket each, watched by a poll handle, read and written by us.
 *
 *   open --lev_transport_close, end of stream, error--> closing --close callback--> closed() and
 * freed
 *
 * Changes of what is watched cost system calls, so they are lazy: a new interest is registered at
 * once, one that ended only when an event it no longer wants arrives.
 *
 * A paused transport is watched for its peer's end. A reset, or what follows when the peer's system
 * answers nothing any more, closes it at once, and what was not read is lost: nobody was told that
 * it had come. An end of stream only ends the watch: what came before it is read, in order, when
 * reading goes on. That the peer has gone for good shows when it is written to. Thread: the
 * transport's loop. */
#include "net/net_int.h"

#include <errno.h>
#include <limits.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"

static void on_closed(uv_handle_t *handle)
{
    struct lev_transport *t = handle->data;
    struct lev_loop *l = t->loop;
    lev_list_remove(&t->node);
    if (t->conn)
        l->net->handler->closed(t->conn);
    free(t);
    lev_loop_maybe_end_(l);
}

static uint8_t wanted(const struct lev_transport *t)
{
    int input = !t->paused ? UV_READABLE : t->ended ? 0 : UV_DISCONNECT;
    return (uint8_t)(input | (t->want_write ? UV_WRITABLE : 0));
}

static void on_poll(uv_poll_t *handle, int status, int events);

static void watch(struct lev_transport *t, uint8_t events)
{
    int rc = events ? uv_poll_start(&t->poll, events, on_poll) : uv_poll_stop(&t->poll);
    t->polled = events;
    if (rc < 0)
        lev_transport_close(t, true);
}

/* Registers interests that are new; the peer's end shows as an event of any other, too. */
static void watch_more(struct lev_transport *t)
{
    if (!t->closing && (wanted(t) & ~t->polled & ~UV_DISCONNECT))
        watch(t, wanted(t));
}

/* One buffer full: then others have their turn. True when there may be more. */
static bool read_some(struct lev_transport *t)
{
    const struct lev_net_handler *h = t->loop->net->handler;
    if (t->closing || t->paused)
        return false;
    ssize_t n = recv(t->fd, t->loop->read_buf, READ_SIZE, 0);
    if (n > 0)
        h->input(t->conn, t->loop->read_buf, (size_t)n);
    else if (n == 0 || (errno != EAGAIN && errno != EINTR))
        lev_transport_close(t, n < 0);
    return n == READ_SIZE;
}

static void on_poll(uv_poll_t *handle, int status, int events)
{
    struct lev_transport *t = handle->data;
    t->loop->served++;
    if (status < 0) {
        /* The socket failed; what came before that is still there to be read. */
        for (int i = 0; i < LAST_READS && read_some(t); i++)
            continue;
        lev_transport_close(t, true);
        return;
    }
    t->ended |= (events & UV_DISCONNECT) != 0;
    if (events & ~wanted(t))
        watch(t, wanted(t));
    if ((events & UV_WRITABLE) && t->want_write && !t->closing) {
        t->want_write = false;
        t->loop->net->handler->writable(t->conn);
    }
    if (events & UV_READABLE)
        (void)read_some(t);
    watch_more(t);
}

static void set_option(int fd, int level, int name)
{
    int on = 1;
    if (setsockopt(fd, level, name, &on, sizeof(on)) < 0)
        lev_log_debug("socket option %d/%d not set: %s", level, name, strerror(errno));
}

static void set_local(struct lev_transport *t)
{
    union address a = {.sa = {.sa_family = AF_UNSPEC}};
    socklen_t len = sizeof(a);
    if (getsockname(t->fd, &a.sa, &len) < 0)
        a.sa.sa_family = AF_UNSPEC;
    lev_endpoint_from_(&t->local, &a);
}

void lev_transport_open_(struct lev_loop *l, const struct newcomer *n)
{
    struct lev_transport *t = lev_xcalloc(1, sizeof(*t));
    t->loop = l;
    t->fd = n->fd;
    t->poll.data = t;
    set_option(t->fd, IPPROTO_TCP, TCP_NODELAY);
    set_option(t->fd, SOL_SOCKET, SO_KEEPALIVE);
    lev_endpoint_from_(&t->peer, &n->peer);
    set_local(t);
    int rc = uv_poll_init(&l->uv, &t->poll, t->fd);
    if (rc < 0) {
        lev_log_error("cannot watch a connection from %s: %s", t->peer.host, uv_strerror(rc));
        close(t->fd);
        free(t);
        return;
    }
    lev_list_push_back(&l->transports, &t->node);
    t->conn = l->net->handler->accepted(l->net->ctx, l, t);
    if (!t->conn)
        lev_transport_close(t, false);
    watch_more(t);
}

ssize_t lev_transport_write(struct lev_transport *t, const struct iovec *iov, int n)
{
    if (t->closing)
        return -1;
    struct msghdr m = {.msg_iov = (struct iovec *)(uintptr_t)iov,
                       .msg_iovlen = (size_t)(n < IOV_MAX ? n : IOV_MAX)};
    for (;;) {
        ssize_t done = sendmsg(t->fd, &m, MSG_NOSIGNAL);
        if (done >= 0)
            return done;
        if (errno == EAGAIN)
            return 0;
        if (errno != EINTR) {
            lev_transport_close(t, true);
            return -1;
        }
    }
}

void lev_transport_want_write(struct lev_transport *t)
{
    t->want_write = true;
    watch_more(t);
}

void lev_transport_pause(struct lev_transport *t, bool paused)
{
    t->paused = paused;
    watch_more(t);
}

/* Input that was never read would turn our close into a reset, and a reset can destroy output that
 * is still on its way; so what is there is thrown away, up to a bound. */
static void discard_input(int fd)
{
    enum { PIECE = 1 << 20, PIECES = 4 };
    for (int i = 0; i < PIECES; i++)
        if (recv(fd, NULL, PIECE, MSG_TRUNC | MSG_DONTWAIT) <= 0)
            return;
}

void lev_transport_close(struct lev_transport *t, bool abort)
{
    if (t->closing)
        return;
    t->closing = true;
    uv_close((uv_handle_t *)&t->poll, on_closed);
    if (abort) {
        struct linger now = {.l_onoff = 1, .l_linger = 0};
        setsockopt(t->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    } else {
        shutdown(t->fd, SHUT_WR);
        discard_input(t->fd);
    }
    close(t->fd);
    t->fd = -1;
}

const char *lev_transport_peer_host(const struct lev_transport *t)
{
    return t->peer.host;
}

int lev_transport_peer_port(const struct lev_transport *t)
{
    return t->peer.port;
}

const char *lev_transport_local_host(const struct lev_transport *t)
{
    return t->local.host;
}

int lev_transport_local_port(const struct lev_transport *t)
{
    return t->local.port;
}

uint32_t lev_transport_unacked_ms(const struct lev_transport *t)
{
    struct tcp_info i;
    socklen_t len = sizeof(i);
    if (t->closing || getsockopt(t->fd, IPPROTO_TCP, TCP_INFO, &i, &len) < 0)
        return 0;
    return i.tcpi_unacked ? i.tcpi_last_ack_recv : 0;
}

bool lev_transport_peer_is_loopback(const struct lev_transport *t)
{
    return lev_endpoint_is_loopback_(&t->peer);
}
