/* Connection life: TCP connect, handshake, reading, writing, goodbye. The input buffer always has
 * room for one largest frame; whole frames are taken from the front, and what is left is moved to
 * the front before the next read. */
#include "perf/connection.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "perf/clock.h"

#define INPUT_BYTES (256u * 1024u)
#define FRAME_MAX 131072u
#define FRAME_MIN 4096u
#define TICK_MS 50 /* how long a stop may go unnoticed */
#define CALL_TIMEOUT_NS (60 * LEV_PERF_SECOND_NS)
#define CLOSE_TIMEOUT_NS (10 * LEV_PERF_SECOND_NS)

/* The first cause is kept: what follows it is only consequence. */
__attribute__((format(printf, 2, 3))) static int fail(struct lev_perf_connection *conn,
                                                      const char *format, ...)
{
    va_list args;

    if (conn->error[0])
        return -1;
    va_start(args, format);
    vsnprintf(conn->error, sizeof conn->error, format, args);
    va_end(args);
    return -1;
}

int lev_perf_connection_wait(struct lev_perf_connection *conn, short events, uint64_t deadline_ns)
{
    struct pollfd poll_fd = {.fd = conn->fd, .events = events};
    struct timespec timeout;
    int ready;

    do {
        uint64_t now = lev_perf_now_ns();

        timeout = lev_perf_timespec(deadline_ns > now ? deadline_ns - now : 0);
        ready = ppoll(&poll_fd, 1, deadline_ns == LEV_PERF_NEVER ? NULL : &timeout, NULL);
    } while (ready < 0 && errno == EINTR);
    if (ready < 0)
        return fail(conn, "poll: %s", strerror(errno));
    return ready ? poll_fd.revents : 0;
}

/* Reads into the buffer; flags are recv's. Returns as _fill. */
static int take_in(struct lev_perf_connection *conn, int flags)
{
    ssize_t got;

    if (conn->in_start > 0) {
        memmove(conn->in, conn->in + conn->in_start, conn->in_end - conn->in_start);
        conn->in_end -= conn->in_start;
        conn->in_start = 0;
    }
    do {
        got = recv(conn->fd, conn->in + conn->in_end, conn->in_cap - conn->in_end, flags);
    } while (got < 0 && errno == EINTR);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return 0;
    if (got < 0)
        return fail(conn, "read: %s", strerror(errno));
    if (got == 0)
        return fail(conn, "the broker closed the socket");
    conn->in_end += (size_t)got;
    return (int)got;
}

int lev_perf_connection_fill(struct lev_perf_connection *conn)
{
    return take_in(conn, MSG_DONTWAIT);
}

int lev_perf_connection_turn(struct lev_perf_connection *conn)
{
    int flushed = lev_perf_connection_flush(conn), ready;

    if (flushed < 0)
        return -1;
    if (flushed) /* the socket's own time limit is a tick */
        return take_in(conn, 0);
    ready = lev_perf_connection_wait(conn, POLLIN | POLLOUT,
                                     lev_perf_now_ns() + TICK_MS * LEV_PERF_MS_NS);
    if (ready > 0)
        return ready & ~POLLOUT ? lev_perf_connection_fill(conn) : 0;
    return ready;
}

int64_t lev_perf_connection_write(struct lev_perf_connection *conn, const uint8_t *data, size_t len)
{
    ssize_t put;

    do {
        put = send(conn->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (put < 0 && errno == EINTR);
    if (put >= 0)
        return put;
    if (errno == EAGAIN || errno == EWOULDBLOCK)
        return 0;
    /* The broker's farewell may be waiting to be read; it says more than EPIPE does. */
    while (lev_perf_connection_fill(conn) > 0) {
        struct lev_perf_frame frame;

        while (lev_perf_connection_next(conn, &frame) > 0)
            ;
        if (conn->error[0])
            return -1;
    }
    return fail(conn, "write failed");
}

int lev_perf_connection_flush(struct lev_perf_connection *conn)
{
    while (conn->out_start < conn->out.len) {
        int64_t put = lev_perf_connection_write(conn, conn->out.data + conn->out_start,
                                                conn->out.len - conn->out_start);

        if (put <= 0)
            return (int)put;
        conn->out_start += (size_t)put;
    }
    conn->out_start = 0;
    conn->out.len = 0;
    return 1;
}

/* Turns the broker's close into the error text, and answers it as the peer must. */
static int closed_by_broker(struct lev_perf_connection *conn, const struct lev_perf_frame *frame,
                            enum lev_perf_method answer)
{
    struct lev_perf_cursor args = lev_perf_frame_args(frame);
    uint16_t code = lev_perf_take_u16(&args);
    size_t len;
    const uint8_t *text = lev_perf_take_shortstr(&args, &len);

    fail(conn, "%s closed by the broker: %u %.*s",
         answer == LEV_PERF_CHANNEL_CLOSE_OK ? "channel" : "connection", code, (int)len,
         len ? (const char *)text : "");
    lev_perf_method_plain(&conn->out, frame->channel, answer);
    return -1;
}

/* Handles what concerns the connection as a whole. Returns 1 when the frame is the caller's, 0 when
 * it was dealt with. */
static int handle_control(struct lev_perf_connection *conn, const struct lev_perf_frame *frame)
{
    switch (lev_perf_frame_method(frame)) {
    case LEV_PERF_CONNECTION_CLOSE:
        return closed_by_broker(conn, frame, LEV_PERF_CONNECTION_CLOSE_OK);
    case LEV_PERF_CHANNEL_CLOSE:
        return closed_by_broker(conn, frame, LEV_PERF_CHANNEL_CLOSE_OK);
    case LEV_PERF_BASIC_CANCEL:
        return fail(conn, "consumer cancelled by the broker");
    case LEV_PERF_CONNECTION_BLOCKED:
        conn->blocked = true;
        conn->blocked_seen++;
        return 0;
    case LEV_PERF_CONNECTION_UNBLOCKED:
        conn->blocked = false;
        return 0;
    default:
        return frame->type != LEV_PERF_FRAME_HEARTBEAT;
    }
}

int lev_perf_connection_next(struct lev_perf_connection *conn, struct lev_perf_frame *frame_r)
{
    int mine = 0;

    while (mine == 0) {
        int64_t used = lev_perf_frame_decode(
            conn->in + conn->in_start, conn->in_end - conn->in_start, conn->payload_max, frame_r);

        if (used < 0)
            return fail(conn, "the broker sent a malformed or oversized frame");
        if (used == 0)
            return 0;
        conn->in_start += (size_t)used;
        if (frame_r->type == LEV_PERF_FRAME_HEADER || frame_r->type == LEV_PERF_FRAME_BODY)
            return 1;
        mine = handle_control(conn, frame_r);
    }
    return mine;
}

/* Waits for `expect`, writing conn->out meanwhile. */
static int await_method(struct lev_perf_connection *conn, uint32_t expect, uint64_t deadline_ns,
                        struct lev_perf_frame *frame_r)
{
    for (;;) {
        int found, ready, flushed = lev_perf_connection_flush(conn);

        if (flushed < 0)
            return -1;
        while ((found = lev_perf_connection_next(conn, frame_r)) > 0) {
            if (lev_perf_frame_method(frame_r) == expect)
                return 0;
        }
        if (found < 0)
            return -1;
        ready = lev_perf_connection_wait(conn, (short)(flushed ? POLLIN : POLLIN | POLLOUT),
                                         deadline_ns);
        if (ready == 0)
            return fail(conn, "the broker did not answer in time");
        if (ready < 0 || ((ready & ~POLLOUT) && lev_perf_connection_fill(conn) < 0))
            return -1;
    }
}

int lev_perf_connection_call(struct lev_perf_connection *conn, enum lev_perf_method expect,
                             struct lev_perf_cursor *args_r)
{
    struct lev_perf_frame frame;

    if (await_method(conn, expect, lev_perf_now_ns() + CALL_TIMEOUT_NS, &frame) < 0)
        return -1;
    if (args_r)
        *args_r = lev_perf_frame_args(&frame);
    return 0;
}

static int dial(struct lev_perf_connection *conn, const struct lev_perf_uri *uri)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found, *at;
    int rv = getaddrinfo(uri->host, uri->port, &hints, &found);
    struct timeval tick = {.tv_usec = TICK_MS * 1000};
    int one = 1, cause = 0;

    if (rv != 0)
        return fail(conn, "%s: %s", uri->host, gai_strerror(rv));
    for (at = found; at && conn->fd < 0; at = at->ai_next) {
        int fd = socket(at->ai_family, at->ai_socktype | SOCK_CLOEXEC, at->ai_protocol);

        if (fd >= 0 && connect(fd, at->ai_addr, at->ai_addrlen) == 0) {
            conn->fd = fd;
            break;
        }
        cause = errno;
        if (fd >= 0)
            close(fd);
    }
    freeaddrinfo(found);
    if (conn->fd < 0)
        return fail(conn, "connect to %s:%s: %s", uri->host, uri->port, strerror(cause));
    if (setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) < 0)
        return fail(conn, "TCP_NODELAY: %s", strerror(errno));
    if (setsockopt(conn->fd, SOL_SOCKET, SO_RCVTIMEO, &tick, sizeof tick) < 0)
        return fail(conn, "SO_RCVTIMEO: %s", strerror(errno));
    return 0;
}

/* Takes the broker's frame_max unless it is unlimited or larger than ours. */
static int tune(struct lev_perf_connection *conn, struct lev_perf_cursor *args,
                uint16_t heartbeat_s)
{
    uint16_t channel_max = lev_perf_take_u16(args);
    uint32_t frame_max = lev_perf_take_u32(args);

    if (args->failed)
        return fail(conn, "short connection.tune");
    if (frame_max == 0 || frame_max > FRAME_MAX)
        frame_max = FRAME_MAX;
    if (frame_max < FRAME_MIN)
        return fail(conn, "frame_max %u is below the protocol's minimum", frame_max);
    lev_perf_method_tune_ok(&conn->out, channel_max, frame_max, heartbeat_s);
    conn->payload_max = frame_max - LEV_PERF_FRAME_OVERHEAD;
    return 0;
}

static int handshake(struct lev_perf_connection *conn, const struct lev_perf_uri *uri,
                     const char *name, uint16_t heartbeat_s)
{
    static const uint8_t protocol_header[8] = {'A', 'M', 'Q', 'P', 0, 0, 9, 1};
    struct lev_perf_cursor args;

    lev_perf_put_bytes(&conn->out, protocol_header, sizeof protocol_header);
    if (lev_perf_connection_call(conn, LEV_PERF_CONNECTION_START, NULL) < 0)
        return -1;
    lev_perf_method_start_ok(&conn->out, uri->user, uri->password, name);
    if (lev_perf_connection_call(conn, LEV_PERF_CONNECTION_TUNE, &args) < 0 ||
        tune(conn, &args, heartbeat_s) < 0)
        return -1;
    lev_perf_method_open(&conn->out, uri->vhost);
    if (lev_perf_connection_call(conn, LEV_PERF_CONNECTION_OPEN_OK, NULL) < 0)
        return -1;
    lev_perf_method_channel_open(&conn->out, LEV_PERF_CHANNEL);
    return lev_perf_connection_call(conn, LEV_PERF_CHANNEL_OPEN_OK, NULL);
}

int lev_perf_connection_open_beating(struct lev_perf_connection *conn,
                                     const struct lev_perf_uri *uri, const char *name,
                                     uint16_t heartbeat_s)
{
    memset(conn, 0, sizeof *conn);
    conn->fd = -1;
    conn->payload_max = FRAME_MAX;
    conn->in_cap = INPUT_BYTES + FRAME_MAX;
    conn->in = malloc(conn->in_cap);
    if (!conn->in)
        return fail(conn, "out of memory");
    if (dial(conn, uri) < 0)
        return -1;
    return handshake(conn, uri, name, heartbeat_s);
}

int lev_perf_connection_open(struct lev_perf_connection *conn, const struct lev_perf_uri *uri,
                             const char *name)
{
    return lev_perf_connection_open_beating(conn, uri, name, 0);
}

void lev_perf_connection_rest(struct lev_perf_connection *conn)
{
    free(conn->in);
    conn->in = NULL;
    lev_perf_buf_deinit(&conn->out);
}

void lev_perf_connection_silence(struct lev_perf_connection *conn)
{
    conn->out_start = 0;
    conn->out.len = 0;
}

void lev_perf_connection_close(struct lev_perf_connection *conn)
{
    struct lev_perf_frame frame;

    if (!conn->in)
        conn->in = malloc(conn->in_cap);
    if (conn->fd >= 0 && conn->error[0]) {
        (void)lev_perf_connection_flush(conn);
    } else if (conn->fd >= 0 && conn->in) {
        lev_perf_method_close(&conn->out, 0, LEV_PERF_CONNECTION_CLOSE);
        (void)await_method(conn, LEV_PERF_CONNECTION_CLOSE_OK, lev_perf_now_ns() + CLOSE_TIMEOUT_NS,
                           &frame);
        conn->error[0] = '\0'; // a goodbye that went wrong concerns nobody
    }
    if (conn->fd >= 0)
        close(conn->fd);
    conn->fd = -1;
    lev_perf_connection_rest(conn);
}
