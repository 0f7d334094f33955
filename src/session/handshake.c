/* Class connection: protocol header, start, tune, open, close, update-secret. See conn.h for the
 * states and rabbitmq-compat.md section 1 for the rules. Loop thread. */
#include "amqp/table.h"
#include "auth/auth.h"
#include "auth/usage.h"
#include "base/log.h"
#include "base/mem.h"
#include "session/loop.h"

enum { CLOSE_ANSWERS_MAX = 16, FRAME_MIN = 4096 };

/* --- protocol header (0-9-1 §4.2.2) --- */

static void send_start(struct lev_conn *c)
{
    struct lev_method m = {.id = LEV_M_CONNECTION_START};
    m.u.connection_start.version_major = 0;
    m.u.connection_start.version_minor = 9;
    m.u.connection_start.server_properties = lev_buf_view(&c->sl->layer->server_properties);
    m.u.connection_start.mechanisms = LEV_LIT("AMQPLAIN PLAIN");
    m.u.connection_start.locales = LEV_LIT("en_US");
    lev_conn_send(c, 0, &m);
    lev_conn_set_state(c, LEV_CONN_START);
}

size_t lev_handshake_header(struct lev_conn *c, const uint8_t *p, size_t n)
{
    static const uint8_t ours[8] = {'A', 'M', 'Q', 'P', 0, 0, 9, 1};
    static const uint8_t old[8] = {'A', 'M', 'Q', 'P', 1, 1, 0, 9};
    if (n < 8)
        return 0;
    if (memcmp(p, ours, 8) == 0 || memcmp(p, old, 8) == 0) {
        send_start(c);
        return 8;
    }
    lev_conn_log(c, "closing AMQP connection", "unsupported protocol header");
    lev_conn_send_raw(c, ours, sizeof(ours));
    lev_conn_hangup(c, false);
    return n;
}

/* --- start-ok --- */

static void learn_capabilities(struct lev_conn *c, struct lev_bytes properties)
{
    struct lev_value caps, v;
    if (!lev_table_get(properties, "capabilities", &caps) || caps.type != 'F')
        return;
    c->auth_close =
        lev_table_get(caps.b, "authentication_failure_close", &v) && v.type == 't' && v.i;
    c->cancel_notify = lev_table_get(caps.b, "consumer_cancel_notify", &v) && v.type == 't' && v.i;
}

static void refuse_login(struct lev_conn *c, struct lev_bytes mechanism, struct lev_bytes user)
{
    struct lev_error err;
    lev_log_warn("connection %s:%d: user '%.*s' refused", lev_transport_peer_host(c->transport),
                 lev_transport_peer_port(c->transport), LEV_FMT(user));
    if (!c->auth_close) {
        lev_conn_drop_later(c);
        return;
    }
    lev_fail(&err, LEV_ACCESS_REFUSED,
             "Login was refused using authentication mechanism %.*s. For details see the broker "
             "logfile.",
             LEV_FMT(mechanism));
    lev_conn_fail(c, &err, LEV_M_COUNT);
}

static void send_tune(struct lev_conn *c)
{
    const struct lev_session_config *cfg = &c->sl->layer->config;
    struct lev_method m = {.id = LEV_M_CONNECTION_TUNE};
    m.u.connection_tune.channel_max = cfg->channel_max;
    m.u.connection_tune.frame_max = cfg->frame_max;
    m.u.connection_tune.heartbeat = cfg->heartbeat_s;
    lev_conn_send(c, 0, &m);
    lev_conn_set_state(c, LEV_CONN_TUNE);
}

static void on_start_ok(struct lev_conn *c, const struct lev_connection_start_ok *m)
{
    struct lev_auth *auth = c->sl->layer->config.auth;
    struct lev_bytes user = LEV_EMPTY;
    learn_capabilities(c, m->client_properties);
    enum lev_sasl result = lev_sasl_check(auth, m->mechanism, m->response, &user);
    if (result == LEV_SASL_OK && lev_auth_loopback_only(auth, user) &&
        !lev_transport_peer_is_loopback(c->transport))
        result = LEV_SASL_REFUSED;
    if (result == LEV_SASL_OK) {
        c->user = lev_bytes_dup(user);
        send_tune(c);
    } else if (result == LEV_SASL_REFUSED) {
        refuse_login(c, m->mechanism, user);
    } else {
        lev_conn_log(c, "closing AMQP connection", "unknown mechanism or malformed response");
        lev_conn_drop_later(c);
    }
}

/* --- tune-ok --- */

static bool acceptable(uint32_t got, uint32_t ours, uint32_t min)
{
    return got >= min && got <= ours;
}

static void on_tune_ok(struct lev_conn *c, const struct lev_connection_tune_ok *m)
{
    const struct lev_session_config *cfg = &c->sl->layer->config;
    if (!acceptable(m->frame_max, cfg->frame_max, FRAME_MIN) ||
        !acceptable(m->channel_max, cfg->channel_max, 1)) {
        lev_log_error(
            "connection %s:%d: negotiated frame_max = %u, channel_max = %u are not acceptable",
            lev_transport_peer_host(c->transport), lev_transport_peer_port(c->transport),
            m->frame_max, m->channel_max);
        lev_conn_drop_later(c);
        return;
    }
    c->frame_max = m->frame_max;
    c->channel_max = m->channel_max;
    c->heartbeat_s = m->heartbeat;
    lev_conn_set_state(c, LEV_CONN_OPEN);
}

/* --- open --- */

static void start_heartbeats(struct lev_conn *c)
{
    uint64_t now = lev_loop_now_ms(c->sl->loop);
    c->deadline_ms = 0;
    c->next_beat_ms = now + (uint64_t)c->heartbeat_s * 500;
    c->next_check_ms = now + (uint64_t)c->heartbeat_s * 1000;
    c->beat_bytes_out = c->bytes_out;
    c->check_bytes_in = c->bytes_in;
}

/* Counts c as the user's; -1 when he has as many as he may. */
static int count_connection(struct lev_conn *c, struct lev_error *err)
{
    struct lev_user_usage *of = lev_usage_of(c->sl->layer->config.usage, c->user);
    uint64_t limit;
    if (!lev_usage_take(of, LEV_USED_CONNECTIONS, &limit))
        return lev_fail(err, LEV_NOT_ALLOWED,
                        "connection refused for user '%.*s': user connection limit (%llu) is "
                        "reached",
                        LEV_FMT(c->user), (unsigned long long)limit);
    c->usage = of;
    return 0;
}

/* 0, or -1 when the user may not use the vhost. Lock held. */
static int check_open(struct lev_conn *c, const struct lev_vhost *v, struct lev_error *err)
{
    struct lev_bytes name = lev_vhost_name(v);
    const struct lev_vhost_limits *reached = lev_vhost_connections_reached(v);
    if (reached)
        return lev_fail(err, LEV_NOT_ALLOWED,
                        "access to vhost '%.*s' refused for user '%.*s': connection limit (%llu) "
                        "is reached",
                        LEV_FMT(name), LEV_FMT(c->user), (unsigned long long)reached->connections);
    if (count_connection(c, err) < 0)
        return -1;
    if (!lev_auth_vhost(c->sl->layer->config.auth, c->user, name))
        return lev_fail(err, LEV_NOT_ALLOWED, "access to vhost '%.*s' refused for user '%.*s'",
                        LEV_FMT(name), LEV_FMT(c->user));
    return 0;
}

static void on_open(struct lev_conn *c, const struct lev_connection_open *m)
{
    const struct lev_session_config *cfg = &c->sl->layer->config;
    struct lev_error err;
    struct lev_vhost *v = cfg->vhost(cfg->ctx, m->virtual_host);
    if (!v) {
        lev_fail(&err, LEV_NOT_ALLOWED, "vhost %.*s not found", LEV_FMT(m->virtual_host));
        lev_conn_fail(c, &err, LEV_M_CONNECTION_OPEN);
        return;
    }
    lev_vhost_lock(v);
    if (check_open(c, v, &err) < 0) {
        lev_vhost_unlock(v);
        lev_conn_uncount(c);
        lev_conn_fail(c, &err, LEV_M_CONNECTION_OPEN);
        return;
    }
    lev_client_init(&c->client, v, &lev_session_sink, c->user);
    c->client.cancel_notify = c->cancel_notify;
    c->joined = true;
    lev_conn_set_state(c, LEV_CONN_RUNNING);
    lev_conn_send(c, 0, &(struct lev_method){.id = LEV_M_CONNECTION_OPEN_OK});
    lev_vhost_unlock(v);
    start_heartbeats(c);
    lev_log_info("connection %s:%d -> %s:%d: user '%.*s' authenticated and granted access to vhost "
                 "'%.*s'",
                 lev_transport_peer_host(c->transport), lev_transport_peer_port(c->transport),
                 lev_transport_local_host(c->transport), lev_transport_local_port(c->transport),
                 LEV_FMT(c->user), LEV_FMT(m->virtual_host));
}

void lev_handshake_method(struct lev_conn *c, const struct lev_frame *f)
{
    struct lev_method m;
    struct lev_error err;
    bool ok =
        f->type == LEV_FRAME_METHOD && f->channel == 0 && lev_method_decode(f->payload, &m) == 0;
    if (ok && c->state == LEV_CONN_START && m.id == LEV_M_CONNECTION_START_OK) {
        on_start_ok(c, &m.u.connection_start_ok);
    } else if (ok && c->state == LEV_CONN_TUNE && m.id == LEV_M_CONNECTION_TUNE_OK) {
        on_tune_ok(c, &m.u.connection_tune_ok);
    } else if (ok && c->state == LEV_CONN_OPEN && m.id == LEV_M_CONNECTION_OPEN) {
        on_open(c, &m.u.connection_open);
    } else if (ok && c->state == LEV_CONN_OPEN &&
               (lev_method_info(m.id)->flags & LEV_MF_CHANNEL0)) {
        lev_fail(&err, LEV_CHANNEL_ERROR, "unexpected method in connection state opening");
        lev_conn_fail(c, &err, m.id);
    } else if (f->type != LEV_FRAME_HEARTBEAT || f->channel != 0 || f->payload.len != 0) {
        lev_conn_log(c, "closing AMQP connection", "unexpected frame in the handshake");
        lev_conn_drop_later(c);
    }
}

/* --- while running; lock held when joined --- */

static void on_close(struct lev_conn *c)
{
    if (c->close_answers ==
        CLOSE_ANSWERS_MAX) /* a peer that closes for ever must not pile them up */
        return;
    c->close_answers++;
    if (c->joined)
        lev_client_end(&c->client);
    lev_conn_send(c, 0, &(struct lev_method){.id = LEV_M_CONNECTION_CLOSE_OK});
    if (c->state == LEV_CONN_RUNNING) {
        lev_conn_await_end(c);
        lev_conn_log(c, "closing AMQP connection", "client closed it");
    }
}

void lev_conn_method(struct lev_conn *c, const struct lev_method *m)
{
    struct lev_error err;
    if (m->id == LEV_M_CONNECTION_CLOSE) {
        on_close(c);
    } else if (m->id == LEV_M_CONNECTION_CLOSE_OK && c->state == LEV_CONN_CLOSING) {
        lev_conn_hangup(c, false);
    } else if (c->state == LEV_CONN_CLOSING) {
        return;
    } else if (m->id == LEV_M_CONNECTION_UPDATE_SECRET) {
        lev_conn_send(c, 0, &(struct lev_method){.id = LEV_M_CONNECTION_UPDATE_SECRET_OK});
    } else {
        lev_fail(&err, LEV_CHANNEL_ERROR, "unexpected method in connection state running");
        lev_conn_fail(c, &err, m->id);
    }
}
