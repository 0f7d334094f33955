/* A fake AMQP peer. See peer.h. Encodes with the codec of src/amqp, which has tests of its own. */
#include "support/peer.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { READ_STEP = 64 * 1024 };

const struct peer_terms peer_usual = {
    .channel_max = 2047, .frame_max = 131072, .cancel_notify = true};

/* --- life --- */

struct peer *peer_open(int port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int on = 1;
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    struct peer *p = calloc(1, sizeof(*p));
    ck_assert_ptr_nonnull(p);
    lev_buf_init(&p->in);
    lev_buf_init(&p->out);
    p->frame_max = 131072;
    p->seed = 1;
    p->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(p->fd, 0);
    ck_assert_msg(connect(p->fd, (struct sockaddr *)&a, sizeof(a)) == 0, "connect: %s",
                  strerror(errno));
    ck_assert_int_eq(setsockopt(p->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)), 0);
    ck_assert_int_eq(fcntl(p->fd, F_SETFL, O_NONBLOCK), 0);
    return p;
}

void peer_drop(struct peer **pp)
{
    struct peer *p = *pp;
    *pp = NULL;
    close(p->fd);
    lev_buf_deinit(&p->in);
    lev_buf_deinit(&p->out);
    free(p);
}

void peer_reset(struct peer **p)
{
    struct linger now = {.l_onoff = 1};
    ck_assert_int_eq(setsockopt((*p)->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
    peer_drop(p);
}

static void put_client_properties(struct lev_buf *b, bool cancel_notify)
{
    static const uint8_t caps[] = "\x0c"
                                  "capabilitiesF\0\0\0\x19\x16"
                                  "consumer_cancel_notifyt";
    lev_buf_put(b, caps, sizeof(caps) - 1);
    lev_buf_put8(b, cancel_notify);
}

void peer_login(struct peer *p, const struct peer_terms *terms)
{
    struct lev_method m = {.id = LEV_M_CONNECTION_START_OK};
    struct lev_buf properties;
    lev_buf_init(&properties);
    put_client_properties(&properties, terms->cancel_notify);
    m.u.connection_start_ok.client_properties = lev_buf_view(&properties);
    m.u.connection_start_ok.mechanism = LEV_LIT("PLAIN");
    m.u.connection_start_ok.response = lev_bytes("\0guest\0guest", 12);
    m.u.connection_start_ok.locale = LEV_LIT("en_US");
    peer_raw(p, "AMQP\0\0\x09\x01", 8);
    peer_flush(p);
    peer_expect(p, 0, LEV_M_CONNECTION_START);
    peer_call(p, 0, &m, LEV_M_CONNECTION_TUNE);
    lev_buf_deinit(&properties);
    m = (struct lev_method){.id = LEV_M_CONNECTION_TUNE_OK};
    m.u.connection_tune_ok.channel_max = terms->channel_max;
    m.u.connection_tune_ok.frame_max = terms->frame_max;
    m.u.connection_tune_ok.heartbeat = terms->heartbeat;
    p->frame_max = terms->frame_max;
    peer_method(p, 0, &m);
    m = (struct lev_method){.id = LEV_M_CONNECTION_OPEN};
    m.u.connection_open.virtual_host = LEV_LIT("/");
    peer_call(p, 0, &m, LEV_M_CONNECTION_OPEN_OK);
}

struct peer *peer_connect(int port)
{
    struct peer *p = peer_open(port);
    peer_login(p, &peer_usual);
    peer_channel(p, 1);
    return p;
}

void peer_goodbye(struct peer **pp)
{
    struct peer *p = *pp;
    struct lev_method m = {.id = LEV_M_CONNECTION_CLOSE};
    struct lev_frame f;
    m.u.connection_close.reply_code = 200;
    peer_method(p, 0, &m);
    peer_flush(p);
    do
        ck_assert_msg(peer_read(p, &f), "the connection ended without close-ok");
    while (f.type != LEV_FRAME_METHOD || f.channel != 0 || f.payload.len < 4 ||
           lev_get32(f.payload.ptr) != (10 << 16 | 51));
    peer_drop(pp);
}

/* --- sending --- */

void peer_raw(struct peer *p, const void *data, size_t n)
{
    lev_buf_put(&p->out, data, n);
}

void peer_method(struct peer *p, uint16_t ch, const struct lev_method *m)
{
    lev_method_encode(&p->out, ch, m);
}

void peer_frame(struct peer *p, uint8_t type, uint16_t ch, const void *payload, size_t n)
{
    uint8_t header[7];
    lev_frame_put_header(header, type, ch, (uint32_t)n);
    lev_buf_put(&p->out, header, sizeof(header));
    lev_buf_put(&p->out, payload, n);
    lev_buf_put8(&p->out, LEV_FRAME_END);
}

void peer_content(struct peer *p, uint16_t ch, int mode, const void *body, size_t n)
{
    const uint8_t props[3] = {mode ? 0x10 : 0, 0, (uint8_t)mode};
    size_t max = p->frame_max - LEV_FRAME_OVERHEAD;
    lev_content_header_encode(&p->out, ch, n, lev_bytes(props, mode ? 3 : 2));
    for (size_t at = 0; at < n; at += max)
        peer_frame(p, LEV_FRAME_BODY, ch, (const uint8_t *)body + at, n - at < max ? n - at : max);
}

void peer_publish(struct peer *p, uint16_t ch, const char *key, int mode, const void *body,
                  size_t n)
{
    struct lev_method m = {.id = LEV_M_BASIC_PUBLISH};
    m.u.basic_publish.routing_key = lev_bytes_str(key);
    peer_method(p, ch, &m);
    peer_content(p, ch, mode, body, n);
}

void peer_ack(struct peer *p, uint16_t ch, uint64_t tag, bool multiple)
{
    struct lev_method m = {.id = LEV_M_BASIC_ACK};
    m.u.basic_ack.delivery_tag = tag;
    m.u.basic_ack.multiple = multiple;
    peer_method(p, ch, &m);
}

/* Takes what has come. False when the stream ended. */
static bool take_input(struct peer *p)
{
    lev_buf_consume(&p->in, p->given);
    p->given = 0;
    uint8_t *room = lev_buf_reserve(&p->in, READ_STEP);
    ck_assert_ptr_nonnull(room);
    ssize_t n = recv(p->fd, room, READ_STEP, 0);
    if (n > 0)
        p->in.len += (size_t)n;
    return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

/* Sends one piece; the octets taken, or -1 when the other side closed. */
static ssize_t send_piece(struct peer *p, size_t at)
{
    size_t n = p->out.len - at;
    if (p->piece) {
        size_t k = 1 + (size_t)rand_r(&p->seed) % p->piece;
        n = k < n ? k : n;
        sched_yield(); /* lets the other side see this piece alone */
    }
    ssize_t k = send(p->fd, p->out.ptr + at, n, MSG_NOSIGNAL);
    if (k < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    return k;
}

bool peer_push(struct peer *p, int ms)
{
    size_t at = 0;
    ck_assert(!p->out.failed);
    while (at < p->out.len) {
        struct pollfd w = {.fd = p->fd, .events = (short)(POLLOUT | (p->deaf ? 0 : POLLIN))};
        if (poll(&w, 1, ms) <= 0)
            break;
        if ((w.revents & POLLIN) && !take_input(p))
            break;
        ssize_t k = w.revents & (POLLOUT | POLLERR | POLLHUP) ? send_piece(p, at) : 0;
        if (k < 0)
            break;
        at += (size_t)k;
    }
    bool all = at == p->out.len;
    lev_buf_consume(&p->out, at);
    if (!p->out.len)
        lev_buf_deinit(&p->out);
    return all;
}

void peer_flush(struct peer *p)
{
    ck_assert_msg(peer_push(p, PEER_WAIT_MS), "the server does not take what is sent to it");
}

/* --- receiving --- */

bool peer_poll(struct peer *p, int ms, struct lev_frame *f_r, bool *ended_r)
{
    *ended_r = false;
    for (;;) {
        long k = lev_frame_decode(p->in.ptr + p->given, p->in.len - p->given, 0, f_r);
        ck_assert_msg(k >= 0, "a frame without its end octet came");
        if (k > 0) {
            p->given += (size_t)k;
            return true;
        }
        struct pollfd r = {.fd = p->fd, .events = POLLIN};
        if (poll(&r, 1, ms) <= 0)
            return false;
        *ended_r = !take_input(p);
        if (*ended_r)
            return false;
    }
}

bool peer_read(struct peer *p, struct lev_frame *f_r)
{
    bool ended, got = peer_poll(p, PEER_WAIT_MS, f_r, &ended);
    ck_assert_msg(got || ended, "nothing came for %d ms", PEER_WAIT_MS);
    return got;
}

static const char *name_of(enum lev_method_id id)
{
    return id < LEV_M_COUNT ? lev_method_info(id)->name : "an unknown method";
}

/* Why another method came, when it is a close. */
static struct lev_bytes reason(const struct lev_method *m)
{
    if (m->id == LEV_M_CONNECTION_CLOSE)
        return m->u.connection_close.reply_text;
    return m->id == LEV_M_CHANNEL_CLOSE ? m->u.channel_close.reply_text : LEV_EMPTY;
}

const struct lev_method *peer_expect(struct peer *p, uint16_t ch, enum lev_method_id id)
{
    struct lev_frame f;
    do
        ck_assert_msg(peer_read(p, &f), "the connection ended; expected %s", name_of(id));
    while (f.type == LEV_FRAME_HEARTBEAT);
    ck_assert_msg(f.type == LEV_FRAME_METHOD, "expected %s, got a frame of type %u", name_of(id),
                  f.type);
    ck_assert_int_eq(lev_method_decode(f.payload, &p->m), 0);
    ck_assert_msg(p->m.id == id && f.channel == ch, "expected %s on channel %u, got %s on %u %.*s",
                  name_of(id), ch, name_of(p->m.id), f.channel, LEV_FMT(reason(&p->m)));
    return &p->m;
}

size_t peer_take_content(struct peer *p, uint16_t ch, struct lev_buf *body)
{
    struct lev_frame f;
    struct lev_content_header h;
    size_t got = 0;
    ck_assert(peer_read(p, &f));
    ck_assert_int_eq(f.type, LEV_FRAME_HEADER);
    ck_assert_int_eq(f.channel, ch);
    ck_assert_int_eq(lev_content_header_decode(f.payload, &h), 0);
    while (got < h.body_size) {
        ck_assert(peer_read(p, &f));
        ck_assert_int_eq(f.type, LEV_FRAME_BODY);
        ck_assert_int_eq(f.channel, ch);
        ck_assert_uint_le(f.payload.len + LEV_FRAME_OVERHEAD, p->frame_max);
        ck_assert_uint_gt(f.payload.len, 0);
        got += f.payload.len;
        lev_buf_put_bytes(body, f.payload);
    }
    ck_assert_uint_eq(got, h.body_size);
    return got;
}

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

bool peer_sees_end(struct peer *p, int ms)
{
    int64_t end = now_ms() + ms;
    struct lev_frame f;
    bool ended = false;
    while (!ended && now_ms() < end)
        peer_poll(p, (int)(end - now_ms()), &f, &ended);
    return ended;
}

/* --- talking --- */

const struct lev_method *peer_call(struct peer *p, uint16_t ch, const struct lev_method *m,
                                   enum lev_method_id reply)
{
    peer_method(p, ch, m);
    peer_flush(p);
    return peer_expect(p, ch, reply);
}

void peer_channel(struct peer *p, uint16_t ch)
{
    peer_call(p, ch, &(struct lev_method){.id = LEV_M_CHANNEL_OPEN}, LEV_M_CHANNEL_OPEN_OK);
}

uint32_t peer_declare(struct peer *p, uint16_t ch, const char *queue, bool durable)
{
    struct lev_method m = {.id = LEV_M_QUEUE_DECLARE};
    m.u.queue_declare.queue = lev_bytes_str(queue);
    m.u.queue_declare.durable = durable;
    return peer_call(p, ch, &m, LEV_M_QUEUE_DECLARE_OK)->u.queue_declare_ok.message_count;
}

uint32_t peer_delete(struct peer *p, uint16_t ch, const char *queue)
{
    struct lev_method m = {.id = LEV_M_QUEUE_DELETE};
    m.u.queue_delete.queue = lev_bytes_str(queue);
    return peer_call(p, ch, &m, LEV_M_QUEUE_DELETE_OK)->u.queue_delete_ok.message_count;
}

void peer_consume(struct peer *p, uint16_t ch, const char *queue, bool no_ack)
{
    struct lev_method m = {.id = LEV_M_BASIC_CONSUME};
    m.u.basic_consume.queue = lev_bytes_str(queue);
    m.u.basic_consume.consumer_tag = LEV_LIT("c");
    m.u.basic_consume.no_ack = no_ack;
    peer_call(p, ch, &m, LEV_M_BASIC_CONSUME_OK);
}

void peer_qos(struct peer *p, uint16_t ch, uint16_t count)
{
    struct lev_method m = {.id = LEV_M_BASIC_QOS};
    m.u.basic_qos.prefetch_count = count;
    peer_call(p, ch, &m, LEV_M_BASIC_QOS_OK);
}

void peer_confirm(struct peer *p, uint16_t ch)
{
    peer_call(p, ch, &(struct lev_method){.id = LEV_M_CONFIRM_SELECT}, LEV_M_CONFIRM_SELECT_OK);
}

static void compare_close(uint16_t code, struct lev_bytes text, uint16_t want, const char *words)
{
    ck_assert_msg(code == want && lev_bytes_eq(text, lev_bytes_str(words)),
                  "closed with %u '%.*s', not %u '%s'", code, LEV_FMT(text), want, words);
}

void peer_expect_close(struct peer *p, uint16_t ch, uint16_t code, const char *text)
{
    enum lev_method_id id = ch ? LEV_M_CHANNEL_CLOSE : LEV_M_CONNECTION_CLOSE;
    const struct lev_method *m = peer_expect(p, ch, id);
    if (ch)
        compare_close(m->u.channel_close.reply_code, m->u.channel_close.reply_text, code, text);
    else
        compare_close(m->u.connection_close.reply_code, m->u.connection_close.reply_text, code,
                      text);
    id = ch ? LEV_M_CHANNEL_CLOSE_OK : LEV_M_CONNECTION_CLOSE_OK;
    peer_method(p, ch, &(struct lev_method){.id = id});
    peer_flush(p);
}

void peer_wait_confirms(struct peer *p, uint16_t ch, uint64_t upto)
{
    uint64_t done = 0;
    while (done < upto)
        done = peer_expect(p, ch, LEV_M_BASIC_ACK)->u.basic_ack.delivery_tag;
    ck_assert_uint_eq(done, upto);
}
