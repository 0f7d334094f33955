/* The session layer without sockets. See wire.h. The net room's functions are here, as far as the
 * session calls them. */
#include "unit/session/wire.h"

#include <check.h>
#include <stdlib.h>

#include "auth/auth.h"
#include "auth/usage.h"
#include "base/log.h"
#include "broker/vhost.h"
#include "session/conn.h"
#include "store/store_mem.h"
#include "support/guard.h"

struct lev_transport {
    struct lev_buf out;
    bool closing;
};

struct wire {
    struct lev_transport transport;
    void *conn;
    size_t taken; /* of transport.out */
    struct lev_method m;
};

/* --- the net --- */

struct lev_loop {
    void *data;
};
static struct lev_loop the_loop;

int lev_net_loop_count(const struct lev_net *n)
{
    (void)n;
    return 1;
}

struct lev_loop *lev_net_loop(struct lev_net *n, int index)
{
    (void)n;
    ck_assert_int_eq(index, 0);
    return &the_loop;
}

void lev_loop_set_data(struct lev_loop *l, void *data)
{
    l->data = data;
}

void *lev_loop_data(const struct lev_loop *l)
{
    return l->data;
}

uint64_t lev_loop_now_ms(const struct lev_loop *l)
{
    (void)l;
    return 1;
}

void lev_loop_wake(struct lev_loop *l)
{
    (void)l;
    ck_abort_msg("there are no other threads");
}

ssize_t lev_transport_write(struct lev_transport *t, const struct iovec *iov, int n)
{
    size_t before = t->out.len;
    for (int i = 0; i < n; i++)
        lev_buf_put(&t->out, iov[i].iov_base, iov[i].iov_len);
    return (ssize_t)(t->out.len - before);
}

void lev_transport_want_write(struct lev_transport *t)
{
    (void)t;
    ck_abort_msg("all is written at once");
}

void lev_transport_pause(struct lev_transport *t, bool paused)
{
    (void)t;
    (void)paused;
}

void lev_transport_close(struct lev_transport *t, bool abort_it)
{
    (void)abort_it;
    t->closing = true;
}

const char *lev_transport_peer_host(const struct lev_transport *t)
{
    (void)t;
    return "127.0.0.1";
}

int lev_transport_peer_port(const struct lev_transport *t)
{
    (void)t;
    return 1;
}

const char *lev_transport_local_host(const struct lev_transport *t)
{
    (void)t;
    return "127.0.0.1";
}

int lev_transport_local_port(const struct lev_transport *t)
{
    (void)t;
    return 2;
}

bool lev_transport_peer_is_loopback(const struct lev_transport *t)
{
    (void)t;
    return true;
}

uint32_t lev_transport_unacked_ms(const struct lev_transport *t)
{
    (void)t;
    return 0;
}

/* --- the broker --- */

static uint64_t now_ms(void)
{
    return 1700000000000;
}

static struct lev_vhost *find_vhost(void *ctx, struct lev_bytes name)
{
    struct wire_bed *b = ctx;
    return lev_bytes_eq(name, LEV_LIT("/")) ? b->vhost : NULL;
}

void wire_start(struct wire_bed *b, uint64_t max_message_size)
{
    char err[256];
    *b = (struct wire_bed){0};
    lev_log_set_level(LEV_LOG_NONE);
    b->auth = lev_auth_new(&b->meta, NULL, err, sizeof(err));
    ck_assert_msg(b->auth != NULL, "%s", err);
    b->usage = lev_usage_new();
    b->store = lev_store_mem_new();
    b->vhost = lev_vhost_new(LEV_LIT("/"), b->store, now_ms);
    lev_store_mem_recover(b->store, &lev_vhost_recovery, b->vhost);
    lev_store_mem_start(b->store, &lev_vhost_store_client, b->vhost);
    b->layer = lev_session_layer_new(&(struct lev_session_config){
        .frame_max = 131072,
        .channel_max = 2047,
        .handshake_ms = 1000,
        .max_message_size = max_message_size ? max_message_size : 1 << 20,
        .version = "0",
        .cluster_name = "wire",
        .auth = b->auth,
        .usage = b->usage,
        .vhost = find_vhost,
        .ctx = b});
    lev_session_layer_attach(b->layer, NULL);
}

void wire_stop(struct wire_bed *b)
{
    ck_assert_int_eq(lev_session_layer_connections(b->layer), 0);
    lev_store_mem_run(b->store);
    lev_session_layer_free(&b->layer);
    lev_vhost_free(&b->vhost);
    lev_store_mem_free(&b->store);
    lev_usage_free(&b->usage);
    lev_auth_free(&b->auth);
    fake_clear(&b->meta);
}

static void reload(struct wire_bed *b)
{
    char err[256];
    ck_assert_msg(lev_auth_reload(b->auth, err, sizeof(err)) == 0, "%s", err);
}

void wire_permit_writing(struct wire_bed *b, const char *pattern)
{
    ck_assert_int_eq(b->meta.n_permissions, 1);
    lev_bytes_free(&b->meta.permissions[0].write);
    b->meta.permissions[0].write = lev_bytes_dup(lev_bytes_str(pattern));
    reload(b);
}

void wire_permit_topics(struct wire_bed *b, const char *exchange, const char *pattern)
{
    fake_topic(&b->meta, "guest", "/", exchange, pattern, ".*");
    reload(b);
}

/* --- a connection --- */

void wire_input(struct wire *w, struct lev_bytes octets)
{
    struct guard_bytes g = guard_bytes_new(octets.ptr, octets.len);
    if (!w->transport.closing)
        lev_session_handler.input(w->conn, g.ptr, g.len);
    guard_bytes_free(&g);
}

void wire_input_pieces(struct wire *w, struct lev_bytes octets, size_t piece)
{
    for (size_t at = 0; at < octets.len; at += piece)
        wire_input(w,
                   lev_bytes(octets.ptr + at, octets.len - at < piece ? octets.len - at : piece));
}

struct lev_bytes wire_output(const struct wire *w)
{
    return lev_bytes(w->transport.out.ptr + w->taken, w->transport.out.len - w->taken);
}

void wire_forget(struct wire *w)
{
    w->taken = w->transport.out.len;
}

static struct lev_frame next_frame(struct wire *w)
{
    struct lev_frame f;
    struct lev_bytes out = wire_output(w);
    long k = lev_frame_decode(out.ptr, out.len, 0, &f);
    ck_assert_int_gt(k, 0);
    w->taken += (size_t)k;
    return f;
}

const struct lev_method *wire_next(struct wire *w)
{
    struct lev_frame f = next_frame(w);
    ck_assert_int_eq(f.type, LEV_FRAME_METHOD);
    ck_assert_int_eq(lev_method_decode(f.payload, &w->m), 0);
    return &w->m;
}

const struct lev_method *wire_expect(struct wire *w, enum lev_method_id id)
{
    ck_assert_int_eq(wire_next(w)->id, id);
    return &w->m;
}

const struct lev_method *wire_call(struct wire *w, uint16_t channel, const struct lev_method *m,
                                   enum lev_method_id reply)
{
    struct lev_buf b;
    lev_buf_init(&b);
    lev_method_encode(&b, channel, m);
    wire_forget(w);
    wire_input(w, lev_buf_view(&b));
    lev_buf_deinit(&b);
    return wire_expect(w, reply);
}

static void compare(struct lev_bytes was, const char *expected)
{
    ck_assert_msg(lev_bytes_eq(was, lev_bytes_str(expected)), "'%.*s', not '%s'", LEV_FMT(was),
                  expected);
}

void wire_expect_delivery(struct wire *w, const char *consumer, const char *key, const char *body)
{
    const struct lev_method *m = wire_expect(w, LEV_M_BASIC_DELIVER);
    compare(m->u.basic_deliver.consumer_tag, consumer);
    compare(m->u.basic_deliver.routing_key, key);
    struct lev_frame f = next_frame(w);
    ck_assert_int_eq(f.type, LEV_FRAME_HEADER);
    ck_assert_uint_eq(lev_get64(f.payload.ptr + 4), strlen(body));
    if (!*body)
        return;
    f = next_frame(w);
    ck_assert_int_eq(f.type, LEV_FRAME_BODY);
    compare(f.payload, body);
}

static void log_in(struct wire *w)
{
    struct lev_method m = {.id = LEV_M_CONNECTION_START_OK};
    m.u.connection_start_ok.mechanism = LEV_LIT("PLAIN");
    m.u.connection_start_ok.response = lev_bytes("\0guest\0guest", 12);
    m.u.connection_start_ok.locale = LEV_LIT("en_US");
    wire_input(w, lev_bytes("AMQP\0\0\x09\x01", 8));
    wire_call(w, 0, &m, LEV_M_CONNECTION_TUNE);
    m = (struct lev_method){.id = LEV_M_CONNECTION_TUNE_OK};
    m.u.connection_tune_ok.frame_max = 4096;
    m.u.connection_tune_ok.channel_max = 2047;
    struct lev_buf b;
    lev_buf_init(&b);
    lev_method_encode(&b, 0, &m);
    wire_input(w, lev_buf_view(&b));
    lev_buf_deinit(&b);
    m = (struct lev_method){.id = LEV_M_CONNECTION_OPEN};
    m.u.connection_open.virtual_host = LEV_LIT("/");
    wire_call(w, 0, &m, LEV_M_CONNECTION_OPEN_OK);
}

struct wire *wire_open(struct wire_bed *b)
{
    struct wire *w = calloc(1, sizeof(*w));
    ck_assert_ptr_nonnull(w);
    lev_buf_init(&w->transport.out);
    w->conn = lev_session_handler.accepted(b->layer, &the_loop, &w->transport);
    ck_assert_ptr_nonnull(w->conn);
    log_in(w);
    wire_call(w, 1, &(struct lev_method){.id = LEV_M_CHANNEL_OPEN}, LEV_M_CHANNEL_OPEN_OK);
    return w;
}

void wire_close(struct wire **w)
{
    lev_session_handler.closed((*w)->conn);
    lev_buf_deinit(&(*w)->transport.out);
    free(*w);
    *w = NULL;
}

bool wire_is_closed(const struct wire *w)
{
    return w->transport.closing;
}

const struct lev_channel *wire_channel(const struct wire *w)
{
    return lev_conn_channel(w->conn, 1);
}

/* --- what is sent --- */

void wire_put(struct lev_buf *out, const struct wire_publish *p)
{
    const struct lev_props mode = {.flags = p->mode ? LEV_PROP_DELIVERY_MODE : 0,
                                   .delivery_mode = p->mode};
    struct lev_buf props;
    struct lev_method m = {.id = LEV_M_BASIC_PUBLISH};
    uint16_t channel = p->channel ? p->channel : 1;
    struct lev_bytes body = lev_bytes_str(p->body ? p->body : "");
    uint8_t header[LEV_FRAME_OVERHEAD - 1];
    m.u.basic_publish.exchange = lev_bytes_str(p->exchange ? p->exchange : "");
    m.u.basic_publish.routing_key = lev_bytes_str(p->key ? p->key : "");
    m.u.basic_publish.mandatory = p->mandatory;
    m.u.basic_publish.immediate = p->immediate;
    lev_method_encode(out, channel, &m);
    lev_buf_init(&props);
    lev_props_encode(&props, p->props ? p->props : &mode);
    lev_content_header_encode(out, channel, body.len, lev_buf_view(&props));
    lev_buf_deinit(&props);
    if (!body.len)
        return;
    lev_frame_put_header(header, LEV_FRAME_BODY, channel, (uint32_t)body.len);
    lev_buf_put(out, header, sizeof(header));
    lev_buf_put_bytes(out, body);
    lev_buf_put8(out, LEV_FRAME_END);
}
