/* The fake broker. `lock` guards the counts, the list of links and every write, since a publisher's
 * thread writes to the consumer's socket. Messages without a consumer are only counted: a later
 * consumer gets zeroes of the last size. */
#include "fake_broker.h"

#include "perf/codec.h"
#include "perf/method.h"

#include <check.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LINKS = 80, INPUT = 1 << 20 };

#define QUEUE_GET_OK LEV_PERF_METHOD_ID(50, 31)

struct link {
    struct fake_broker *fake;
    pthread_t thread;
    int fd;
    bool consumes;      /* the queue */
    bool takes_replies; /* direct reply-to */
    uint64_t sent_tag;  /* of deliveries */
    uint64_t acked_tag; /* by the consumer */
    bool confirms;
    uint64_t published; /* the confirm tag of the newest message */
    uint64_t confirmed; /* the newest tag a confirm went out for */
    bool reply;         /* the message coming in goes to a reply consumer */
    struct lev_perf_buf header;
    struct lev_perf_buf body;
    uint64_t body_left;
};

struct fake_broker {
    struct fake_knobs knobs;
    struct fake_counts counts;
    pthread_mutex_t lock;
    pthread_t acceptor;
    int fd;
    char uri[64];
    size_t body_size;
    unsigned link_count;
    struct link links[LINKS];
};

static void send_all(struct link *link, struct lev_perf_buf *out)
{
    size_t piece = link->fake->knobs.piece ? link->fake->knobs.piece : out->len, at = 0;

    while (at < out->len) {
        size_t part = out->len - at < piece ? out->len - at : piece;
        ssize_t put = send(link->fd, out->data + at, part, MSG_NOSIGNAL);

        if (put <= 0)
            break; // the peer is gone: its own thread will notice
        at += (size_t)put;
    }
    lev_perf_buf_deinit(out);
}

static void put_frame(struct lev_perf_buf *out, enum lev_perf_frame_type type, const uint8_t *data,
                      size_t len)
{
    size_t mark = lev_perf_frame_begin(out, type, 1);

    lev_perf_put_bytes(out, data, len);
    lev_perf_frame_end(out, mark);
}

static void put_content(struct link *link, struct lev_perf_buf *out)
{
    size_t max = link->fake->knobs.frame_max ? link->fake->knobs.frame_max - 8 : 131064;

    put_frame(out, LEV_PERF_FRAME_HEADER, link->header.data, link->header.len);
    for (size_t at = 0; at < link->body.len; at += max)
        put_frame(out, LEV_PERF_FRAME_BODY, link->body.data + at,
                  link->body.len - at < max ? link->body.len - at : max);
}

static void put_deliver(struct link *to, struct lev_perf_buf *out)
{
    size_t mark = lev_perf_method_begin(out, 1, LEV_PERF_BASIC_DELIVER);

    lev_perf_put_shortstr(out, "ctag");
    lev_perf_put_u64(out, ++to->sent_tag);
    lev_perf_put_u8(out, 0);
    lev_perf_put_shortstr(out, "");
    lev_perf_put_shortstr(out, "key");
    lev_perf_frame_end(out, mark);
    to->fake->counts.delivered++;
}

/* Gives the message that has come in on `from` to a consumer, or to the queue. */
static void route(struct link *from)
{
    struct fake_broker *fake = from->fake;
    struct lev_perf_buf out = {0};

    for (unsigned i = 0; i < fake->link_count; i++) {
        struct link *to = &fake->links[i];

        if (from->reply ? to->takes_replies : to->consumes) {
            put_deliver(to, &out);
            put_content(from, &out);
            send_all(to, &out);
            return;
        }
    }
    fake->body_size = from->body.len;
    fake->counts.depth++;
}

static void send_backlog(struct link *to)
{
    struct lev_perf_buf out = {0};
    struct lev_perf_buf *body = &to->body;

    lev_perf_buf_reserve(body, to->fake->body_size + 1);
    memset(body->data, 0, to->fake->body_size);
    body->len = to->fake->body_size;
    to->header.len = 0;
    lev_perf_put_u32(&to->header, 60u << 16);
    lev_perf_put_u64(&to->header, body->len);
    lev_perf_put_u16(&to->header, 0);
    for (; to->fake->counts.depth > 0; to->fake->counts.depth--) {
        put_deliver(to, &out);
        put_content(to, &out);
    }
    send_all(to, &out);
}

static void send_settle(struct link *link, enum lev_perf_method method, uint64_t tag, bool multiple)
{
    struct lev_perf_buf out = {0};
    size_t mark = lev_perf_method_begin(&out, 1, method);

    lev_perf_put_u64(&out, tag);
    lev_perf_put_u8(&out, multiple);
    lev_perf_frame_end(&out, mark);
    send_all(link, &out);
}

/* Confirms what is not confirmed up to `tag`. */
static void confirm_to(struct link *link, uint64_t tag)
{
    if (!link->confirms || tag == link->confirmed)
        return;
    if (link->fake->knobs.confirm_backwards) {
        for (uint64_t t = tag; t > link->confirmed; t--)
            send_settle(link, LEV_PERF_BASIC_ACK, t, false);
    } else {
        send_settle(link, LEV_PERF_BASIC_ACK, tag, true);
    }
    link->confirmed = tag;
}

static void send_return(struct link *link)
{
    struct lev_perf_buf out = {0};
    size_t mark = lev_perf_method_begin(&out, 1, LEV_PERF_BASIC_RETURN);

    lev_perf_put_u16(&out, 312);
    lev_perf_put_shortstr(&out, "NO_ROUTE");
    lev_perf_put_shortstr(&out, "");
    lev_perf_put_shortstr(&out, "key");
    lev_perf_frame_end(&out, mark);
    put_content(link, &out);
    send_all(link, &out);
}

static void send_channel_close(struct link *link, uint16_t code, const char *text)
{
    struct lev_perf_buf out = {0};
    size_t mark = lev_perf_method_begin(&out, 1, LEV_PERF_CHANNEL_CLOSE);

    lev_perf_put_u16(&out, code);
    lev_perf_put_shortstr(&out, text);
    lev_perf_put_u32(&out, 0);
    lev_perf_frame_end(&out, mark);
    send_all(link, &out);
}

static bool is_nth(uint64_t n, unsigned every)
{
    return every && n % every == 0;
}

/* A whole message has come in. Returns false when the socket is to be closed. */
static bool on_message(struct link *link)
{
    const struct fake_knobs *knobs = &link->fake->knobs;
    uint64_t n = ++link->published;

    link->fake->counts.published++;
    if (n == knobs->hang_up_after)
        return false;
    if (n == knobs->close_after)
        send_channel_close(link, 404, "NOT_FOUND - no exchange 'x' in vhost '/'");
    if (is_nth(n, knobs->nack_every)) {
        confirm_to(link, n - 1);
        send_settle(link, LEV_PERF_BASIC_NACK, n, false);
        link->confirmed = n;
        return true;
    }
    if (is_nth(n, knobs->return_every))
        send_return(link);
    else
        route(link);
    if (n == knobs->confirm_twice) {
        confirm_to(link, n);
        send_settle(link, LEV_PERF_BASIC_ACK, n, false);
    }
    return true;
}

static void answer(struct link *link, enum lev_perf_method method, const char *text)
{
    struct lev_perf_buf out = {0};
    size_t mark = lev_perf_method_begin(&out, 1, method);

    if (text)
        lev_perf_put_shortstr(&out, text);
    if (method == LEV_PERF_QUEUE_DECLARE_OK)
        lev_perf_put_u32(&out, (uint32_t)link->fake->counts.depth);
    if (method == LEV_PERF_QUEUE_DECLARE_OK || method == LEV_PERF_QUEUE_DELETE_OK)
        lev_perf_put_u32(&out, 0);
    lev_perf_frame_end(&out, mark);
    send_all(link, &out);
}

static void send_start(struct link *link)
{
    struct lev_perf_buf out = {0};
    size_t mark = lev_perf_method_begin(&out, 0, LEV_PERF_CONNECTION_START);

    lev_perf_put_u16(&out, 9);
    lev_perf_put_u32(&out, 0);
    lev_perf_put_longstr(&out, "PLAIN", 5);
    lev_perf_put_longstr(&out, "en_US", 5);
    lev_perf_frame_end(&out, mark);
    send_all(link, &out);
}

static void send_tune(struct link *link)
{
    struct lev_perf_buf out = {0};
    size_t mark = lev_perf_method_begin(&out, 0, LEV_PERF_CONNECTION_TUNE);

    lev_perf_put_u16(&out, 2047);
    lev_perf_put_u32(&out, link->fake->knobs.frame_max ? link->fake->knobs.frame_max : 131072);
    lev_perf_put_u16(&out, 60);
    lev_perf_frame_end(&out, mark);
    send_all(link, &out);
}

/* The first short string after the reserved word that opens queue and basic methods. */
static void take_name(struct lev_perf_cursor *args, char name_r[256])
{
    const uint8_t *text;
    size_t len;

    (void)lev_perf_take_u16(args);
    text = lev_perf_take_shortstr(args, &len);
    memcpy(name_r, len ? (const char *)text : "", len);
    name_r[len] = '\0';
}

static void on_consume(struct link *link, struct lev_perf_cursor *args)
{
    char queue[256];

    take_name(args, queue);
    link->takes_replies = strcmp(queue, "amq.rabbitmq.reply-to") == 0;
    link->consumes = !link->takes_replies;
    answer(link, LEV_PERF_BASIC_CONSUME_OK, "ctag");
    if (link->consumes)
        send_backlog(link);
}

static void on_publish(struct link *link, struct lev_perf_cursor *args)
{
    char key[256];
    size_t len;

    take_name(args, key);
    const uint8_t *text = lev_perf_take_shortstr(args, &len);
    link->reply = len == strlen("amq.rabbitmq.reply-to") && text[0] == 'a';
}

static void on_declare(struct link *link, struct lev_perf_cursor *args)
{
    char queue[256];

    take_name(args, queue);
    if ((lev_perf_take_u8(args) & 1) && !link->fake->counts.declared) {
        send_channel_close(link, 404, "NOT_FOUND - no queue");
        return;
    }
    link->fake->counts.declared = true;
    answer(link, LEV_PERF_QUEUE_DECLARE_OK, queue);
}

static void on_ack(struct link *link, struct lev_perf_cursor *args)
{
    uint64_t tag = lev_perf_take_u64(args);

    ck_assert(tag > link->acked_tag && tag <= link->sent_tag);
    link->fake->counts.acked += (lev_perf_take_u8(args) & 1) ? tag - link->acked_tag : 1;
    link->acked_tag = tag;
}

static bool on_method(struct link *link, const struct lev_perf_frame *frame)
{
    struct lev_perf_cursor args = lev_perf_cursor_on(frame->payload + 4, frame->size - 4);
    uint32_t method = lev_perf_get_u32(frame->payload);

    switch (method) {
    case LEV_PERF_CONNECTION_START_OK:
        send_tune(link);
        break;
    case LEV_PERF_CONNECTION_TUNE_OK:
    case LEV_PERF_CHANNEL_CLOSE_OK:
        break;
    case LEV_PERF_CONNECTION_CLOSE:
        answer(link, LEV_PERF_CONNECTION_CLOSE_OK, NULL);
        link->fake->counts.goodbyes++;
        return false;
    case LEV_PERF_CONFIRM_SELECT:
        link->confirms = true;
        answer(link, LEV_PERF_CONFIRM_SELECT_OK, NULL);
        break;
    case LEV_PERF_QUEUE_DECLARE:
        on_declare(link, &args);
        break;
    case LEV_PERF_QUEUE_DELETE:
        link->fake->counts.declared = false;
        answer(link, LEV_PERF_QUEUE_DELETE_OK, NULL);
        break;
    case LEV_PERF_BASIC_CONSUME:
        on_consume(link, &args);
        break;
    case LEV_PERF_BASIC_PUBLISH:
        on_publish(link, &args);
        break;
    case LEV_PERF_BASIC_ACK:
        on_ack(link, &args);
        break;
    default: // every other answer has the next id and no argument the client reads
        answer(link, (enum lev_perf_method)(method + 1), "");
    }
    return true;
}

static bool on_frame(struct link *link, const struct lev_perf_frame *frame)
{
    if (frame->type == LEV_PERF_FRAME_METHOD)
        return on_method(link, frame);
    if (frame->type == LEV_PERF_FRAME_HEARTBEAT) {
        link->fake->counts.heartbeats++;
        return true;
    }
    if (frame->type == LEV_PERF_FRAME_HEADER) {
        link->header.len = 0;
        link->body.len = 0;
        lev_perf_put_bytes(&link->header, frame->payload, frame->size);
        link->body_left = lev_perf_get_u64(frame->payload + 4);
    } else {
        ck_assert_uint_eq(frame->type, LEV_PERF_FRAME_BODY);
        ck_assert_uint_le(frame->size, link->body_left);
        lev_perf_put_bytes(&link->body, frame->payload, frame->size);
        link->body_left -= frame->size;
    }
    return link->body_left > 0 || on_message(link);
}

/* Handles the whole frames of the input; returns the bytes used, or -1 when the link is to end. */
static int64_t handle(struct link *link, const uint8_t *data, size_t len)
{
    uint32_t max = link->fake->knobs.frame_max ? link->fake->knobs.frame_max - 8 : 131064;
    struct lev_perf_frame frame;
    size_t used = 0;
    int64_t step;
    bool go_on = true;

    pthread_mutex_lock(&link->fake->lock);
    while (go_on && (step = lev_perf_frame_decode(data + used, len - used, max, &frame)) != 0) {
        ck_assert_int_gt(step, 0);
        used += (size_t)step;
        go_on = on_frame(link, &frame);
    }
    if (go_on)
        confirm_to(link, link->published);
    pthread_mutex_unlock(&link->fake->lock);
    return go_on ? (int64_t)used : -1;
}

static void *link_main(void *arg)
{
    struct link *link = arg;
    uint8_t *in = malloc(INPUT);
    size_t len = 0;
    bool greeted = false;
    ssize_t got;

    while ((got = recv(link->fd, in + len, INPUT - len, 0)) > 0) {
        int64_t used = 0;

        len += (size_t)got;
        if (!greeted && len >= 8) {
            ck_assert_mem_eq(in, "AMQP\0\0\x09\x01", 8);
            greeted = true;
            used = 8;
            send_start(link);
        } else if (greeted) {
            used = handle(link, in, len);
        }
        if (used < 0)
            break;
        len -= (size_t)used;
        memmove(in, in + used, len);
    }
    shutdown(link->fd, SHUT_RDWR);
    free(in);
    return NULL;
}

static void *acceptor_main(void *arg)
{
    struct fake_broker *fake = arg;
    int fd, one = 1;

    while ((fd = accept(fake->fd, NULL, NULL)) >= 0) {
        ck_assert_int_eq(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one), 0);
        pthread_mutex_lock(&fake->lock);
        ck_assert_uint_lt(fake->link_count, LINKS);
        struct link *link = &fake->links[fake->link_count];
        link->fake = fake;
        link->fd = fd;
        ck_assert_int_eq(pthread_create(&link->thread, NULL, link_main, link), 0);
        fake->link_count++;
        fake->counts.connections++;
        pthread_mutex_unlock(&fake->lock);
    }
    return NULL;
}

struct fake_broker *fake_broker_start(struct fake_knobs knobs)
{
    struct fake_broker *fake = calloc(1, sizeof *fake);
    struct sockaddr_in addr = {.sin_family = AF_INET};
    socklen_t len = sizeof addr;

    ck_assert_ptr_nonnull(fake);
    fake->knobs = knobs;
    pthread_mutex_init(&fake->lock, NULL);
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    fake->fd = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(fake->fd, (struct sockaddr *)&addr, len), 0);
    ck_assert_int_eq(getsockname(fake->fd, (struct sockaddr *)&addr, &len), 0);
    ck_assert_int_eq(listen(fake->fd, LINKS), 0);
    snprintf(fake->uri, sizeof fake->uri, "amqp://u:p@127.0.0.1:%u/v", ntohs(addr.sin_port));
    ck_assert_int_eq(pthread_create(&fake->acceptor, NULL, acceptor_main, fake), 0);
    return fake;
}

const char *fake_broker_uri(const struct fake_broker *fake)
{
    return fake->uri;
}

uint64_t fake_broker_published(struct fake_broker *fake)
{
    uint64_t published;

    pthread_mutex_lock(&fake->lock);
    published = fake->counts.published;
    pthread_mutex_unlock(&fake->lock);
    return published;
}

struct fake_counts fake_broker_stop(struct fake_broker **fake)
{
    struct fake_broker *f = *fake;
    struct fake_counts counts;

    shutdown(f->fd, SHUT_RDWR);
    pthread_join(f->acceptor, NULL);
    for (unsigned i = 0; i < f->link_count; i++) {
        shutdown(f->links[i].fd, SHUT_RDWR);
        pthread_join(f->links[i].thread, NULL);
    }
    for (unsigned i = 0; i < f->link_count;
         i++) { /* not before: links send on each other's sockets */
        close(f->links[i].fd);
        lev_perf_buf_deinit(&f->links[i].header);
        lev_perf_buf_deinit(&f->links[i].body);
    }
    close(f->fd);
    pthread_mutex_destroy(&f->lock);
    counts = f->counts;
    free(f);
    *fake = NULL;
    return counts;
}
