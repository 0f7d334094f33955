/* What tests of single behaviours say to a broker. See talk.h. */
#include "talk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "unit/broker/args.h"

static struct lev_bytes table(const char *text)
{
    return text ? args(text) : LEV_EMPTY;
}

/* --- a daemon with a past --- */

static void start(struct talk_daemon *d, const char *option, const char *value)
{
    d->proc = daemon_start(d->dir, (const char *[]){"--bind", "127.0.0.1", "--log-level", "none",
                                                    option, value, NULL});
    ck_assert_ptr_nonnull(d->proc);
}

static void stop(struct talk_daemon *d)
{
    if (d->kill)
        daemon_kill(&d->proc);
    else
        ck_assert_int_eq(daemon_stop(&d->proc), 0);
}

void talk_start(struct talk_daemon *d, int ending)
{
    d->kill = ending == 1;
    snprintf(d->dir, sizeof(d->dir), "/tmp/leveret-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(d->dir));
    start(d, NULL, NULL);
}

void talk_restart_with(struct talk_daemon *d, const char *option, const char *value)
{
    stop(d);
    start(d, option, value);
}

void talk_restart(struct talk_daemon *d)
{
    talk_restart_with(d, NULL, NULL);
}

void talk_end(struct talk_daemon *d)
{
    stop(d);
    proto_remove_tree(d->dir);
}

int talk_main(const char *name, TCase *tc)
{
    Suite *s = suite_create(name);
    tcase_set_timeout(tc, 120);
    suite_add_tcase(s, tc);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* --- topology --- */

struct peer *talk_connect(int port)
{
    struct peer *p = peer_connect(port);
    peer_confirm(p, 1);
    return p;
}

struct peer *talk_with(const struct talk_daemon *d)
{
    return talk_connect(daemon_port(d->proc));
}

struct peer *talk_begin(struct talk_daemon *d, int ending)
{
    d->kill = ending == 1;
    return talk_with(d);
}

void talk_come_back(struct talk_daemon *d, struct peer **p)
{
    peer_drop(p);
    talk_restart(d);
    *p = talk_with(d);
}

void talk_queue(struct peer *p, const char *queue, const char *arguments)
{
    struct lev_method m = {.id = LEV_M_QUEUE_DECLARE};
    m.u.queue_declare.queue = lev_bytes_str(queue);
    m.u.queue_declare.durable = true;
    m.u.queue_declare.arguments = table(arguments);
    peer_call(p, 1, &m, LEV_M_QUEUE_DECLARE_OK);
}

void talk_exchange(struct peer *p, const char *exchange, const char *type, const char *arguments)
{
    struct lev_method m = {.id = LEV_M_EXCHANGE_DECLARE};
    m.u.exchange_declare.exchange = lev_bytes_str(exchange);
    m.u.exchange_declare.type = lev_bytes_str(type);
    m.u.exchange_declare.durable = true;
    m.u.exchange_declare.arguments = table(arguments);
    peer_call(p, 1, &m, LEV_M_EXCHANGE_DECLARE_OK);
}

void talk_bind(struct peer *p, const char *queue, const char *exchange, const char *key)
{
    struct lev_method m = {.id = LEV_M_QUEUE_BIND};
    m.u.queue_bind.queue = lev_bytes_str(queue);
    m.u.queue_bind.exchange = lev_bytes_str(exchange);
    m.u.queue_bind.routing_key = lev_bytes_str(key);
    peer_call(p, 1, &m, LEV_M_QUEUE_BIND_OK);
}

void talk_delete_exchange(struct peer *p, const char *exchange)
{
    struct lev_method m = {.id = LEV_M_EXCHANGE_DELETE};
    m.u.exchange_delete.exchange = lev_bytes_str(exchange);
    peer_call(p, 1, &m, LEV_M_EXCHANGE_DELETE_OK);
}

uint32_t talk_ready(struct peer *p, const char *queue)
{
    struct lev_method m = {.id = LEV_M_QUEUE_DECLARE};
    m.u.queue_declare.queue = lev_bytes_str(queue);
    m.u.queue_declare.passive = true;
    return peer_call(p, 1, &m, LEV_M_QUEUE_DECLARE_OK)->u.queue_declare_ok.message_count;
}

void talk_wait_ready(struct peer *p, const char *queue, uint32_t n)
{
    int64_t end = proto_now_ms() + PEER_WAIT_MS;
    uint32_t ready;
    while ((ready = talk_ready(p, queue)) != n && proto_now_ms() < end)
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    ck_assert_msg(ready == n, "queue %s has %u ready, not %u", queue, ready, n);
}

/* --- publishing --- */

static void put_content(struct peer *p, const struct talk_msg *m, const char *body)
{
    struct lev_props props = {.flags = LEV_PROP_DELIVERY_MODE};
    struct lev_buf raw;
    props.delivery_mode = m->transient ? 1 : 2;
    if (m->headers) {
        props.flags |= LEV_PROP_HEADERS;
        props.headers = args(m->headers);
    }
    if (m->expiration) {
        props.flags |= LEV_PROP_EXPIRATION;
        props.expiration = lev_bytes_str(m->expiration);
    }
    if (m->priority) {
        props.flags |= LEV_PROP_PRIORITY;
        props.priority = (uint8_t)m->priority;
    }
    lev_buf_init(&raw);
    lev_props_encode(&raw, &props);
    lev_content_header_encode(&p->out, 1, strlen(body), lev_buf_view(&raw));
    lev_buf_deinit(&raw);
    if (*body)
        peer_frame(p, LEV_FRAME_BODY, 1, body, strlen(body));
}

void talk_send(struct peer *p, const struct talk_msg *m)
{
    struct lev_method publish = {.id = LEV_M_BASIC_PUBLISH};
    publish.u.basic_publish.exchange = lev_bytes_str(m->exchange ? m->exchange : "");
    publish.u.basic_publish.routing_key = lev_bytes_str(m->key ? m->key : "");
    publish.u.basic_publish.mandatory = m->mandatory;
    peer_method(p, 1, &publish);
    put_content(p, m, m->body ? m->body : "");
    peer_flush(p);
}

bool talk_publish(struct peer *p, const struct talk_msg *m)
{
    struct lev_frame f;
    talk_send(p, m);
    ck_assert(peer_read(p, &f));
    ck_assert_int_eq(lev_method_decode(f.payload, &p->m), 0);
    bool ack = p->m.id == LEV_M_BASIC_ACK;
    ck_assert_msg(ack || p->m.id == LEV_M_BASIC_NACK, "a publish was answered by %s",
                  lev_method_info(p->m.id)->name);
    return ack;
}

void talk_put(struct peer *p, const char *queue, const char *body)
{
    ck_assert(talk_publish(p, &(struct talk_msg){.key = queue, .body = body}));
}

void talk_fence(struct peer *p)
{
    talk_queue(p, "fence", "x-max-length=I1");
    talk_put(p, "fence", "m");
}

/* --- receiving --- */

static void take_content(struct peer *p, struct talk_got *g)
{
    struct lev_frame f;
    struct lev_content_header h;
    ck_assert(peer_read(p, &f));
    ck_assert_int_eq(f.type, LEV_FRAME_HEADER);
    ck_assert_int_eq(lev_content_header_decode(f.payload, &h), 0);
    ck_assert_uint_le(h.props.len, sizeof(g->octets));
    memcpy(g->octets, h.props.ptr, h.props.len);
    ck_assert_int_eq(lev_props_decode(lev_bytes(g->octets, h.props.len), &g->props), 0);
    ck_assert_uint_lt(h.body_size, sizeof(g->body));
    g->body[h.body_size] = 0;
    if (!h.body_size)
        return;
    ck_assert(peer_read(p, &f));
    ck_assert_uint_eq(f.payload.len, h.body_size);
    memcpy(g->body, f.payload.ptr, f.payload.len);
}

bool talk_get(struct peer *p, const char *queue, struct talk_got *g)
{
    struct lev_method m = {.id = LEV_M_BASIC_GET};
    struct lev_frame f;
    m.u.basic_get.queue = lev_bytes_str(queue);
    peer_method(p, 1, &m);
    peer_flush(p);
    ck_assert(peer_read(p, &f));
    ck_assert_int_eq(lev_method_decode(f.payload, &p->m), 0);
    if (p->m.id == LEV_M_BASIC_GET_EMPTY)
        return false;
    ck_assert_int_eq(p->m.id, LEV_M_BASIC_GET_OK);
    g->tag = p->m.u.basic_get_ok.delivery_tag;
    g->redelivered = p->m.u.basic_get_ok.redelivered;
    take_content(p, g);
    return true;
}

void talk_take(struct peer *p, const char *queue, const char *body)
{
    struct talk_got g;
    ck_assert_msg(talk_get(p, queue, &g), "queue %s is empty; expected '%s'", queue, body);
    ck_assert_str_eq(g.body, body);
    peer_ack(p, 1, g.tag, false);
    peer_flush(p);
}

void talk_consume(struct peer *p, const char *queue)
{
    peer_consume(p, 1, queue, false);
}

void talk_delivery(struct peer *p, struct talk_got *g)
{
    const struct lev_method *m = peer_expect(p, 1, LEV_M_BASIC_DELIVER);
    g->tag = m->u.basic_deliver.delivery_tag;
    g->redelivered = m->u.basic_deliver.redelivered;
    take_content(p, g);
}

void talk_reject(struct peer *p, uint64_t tag, bool requeue)
{
    struct lev_method m = {.id = LEV_M_BASIC_REJECT};
    m.u.basic_reject.delivery_tag = tag;
    m.u.basic_reject.requeue = requeue;
    peer_method(p, 1, &m);
    peer_flush(p);
}

int64_t talk_header(const struct talk_got *g, const char *key)
{
    struct lev_value v;
    return lev_table_get(g->props.headers, key, &v) ? v.i : -1;
}

struct lev_value talk_death(const struct talk_got *g, size_t i, const char *field)
{
    struct lev_value v;
    ck_assert(lev_table_get(g->props.headers, "x-death", &v));
    struct lev_bytes rest = v.b;
    for (size_t n = 0; n <= i; n++)
        ck_assert_int_eq(lev_array_next(&rest, &v), 1);
    ck_assert(lev_table_get(v.b, field, &v));
    return v;
}
