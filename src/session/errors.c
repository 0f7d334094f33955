/* Failures become closes here and nowhere else. See conn.h; codes and texts come from the broker.
 *
 * A hard code, or any code on channel 0, closes the connection; a soft one its channel. The text is
 * "NAME - explanation", cut to a shortstr as RabbitMQ cuts it. */
#include "base/log.h"
#include "base/text.h"
#include "session/loop.h"

enum { TEXT_MAX = 255, CLOSE_WAIT_MAX_S = 30 };

struct close_text {
    char s[TEXT_MAX + 2]; /* one octet more than may be, and a NUL */
    struct lev_bytes view;
};

static void make_text(struct close_text *t, const struct lev_error *err)
{
    const char *name = lev_reply_name(err->code);
    struct lev_text text;
    lev_text_init(&text, t->s, sizeof(t->s));
    lev_text_put(&text, "%s%s%.*s", name ? name : "INTERNAL_ERROR", err->len ? " - " : "", err->len,
                 err->text);
    if (text.len > TEXT_MAX) {
        text.len = TEXT_MAX;
        memcpy(t->s + TEXT_MAX - 3, "...", 4);
    }
    t->view = lev_text_view(&text);
}

static void log_failure(const struct lev_conn *c, int channel, enum lev_log_level level,
                        const char *text)
{
    lev_log(level, "connection %s:%d -> %s:%d, channel %d: %s",
            lev_transport_peer_host(c->transport), lev_transport_peer_port(c->transport),
            lev_transport_local_host(c->transport), lev_transport_local_port(c->transport), channel,
            text);
}

void lev_conn_await_end(struct lev_conn *c)
{
    unsigned wait_s =
        c->heartbeat_s && c->heartbeat_s < CLOSE_WAIT_MAX_S ? c->heartbeat_s : CLOSE_WAIT_MAX_S;
    lev_conn_set_state(c, LEV_CONN_CLOSING);
    c->deadline_ms = lev_loop_now_ms(c->sl->loop) + wait_s * 1000;
}

void lev_conn_fail(struct lev_conn *c, const struct lev_error *err, enum lev_method_id method)
{
    struct lev_method m = {.id = LEV_M_CONNECTION_CLOSE};
    struct close_text text;
    if (c->state >= LEV_CONN_CLOSING)
        return;
    make_text(&text, err);
    log_failure(c, 0, err->code == LEV_CONNECTION_FORCED ? LEV_LOG_INFO : LEV_LOG_ERROR, text.s);
    m.u.connection_close.reply_code = err->code;
    m.u.connection_close.reply_text = text.view;
    if (method != LEV_M_COUNT) {
        m.u.connection_close.class_id = lev_method_info(method)->class_id;
        m.u.connection_close.method_id = lev_method_info(method)->method_id;
    }
    if (c->joined)
        lev_client_end(&c->client);
    lev_conn_send(c, 0, &m);
    lev_conn_await_end(c);
}

void lev_channel_fail(struct lev_channel *ch, const struct lev_error *err,
                      enum lev_method_id method)
{
    struct lev_conn *c = ch->conn;
    struct lev_method m = {.id = LEV_M_CHANNEL_CLOSE};
    struct close_text text;
    if (lev_reply_is_hard(err->code)) {
        lev_conn_fail(c, err, method);
        return;
    }
    make_text(&text, err);
    log_failure(c, ch->number, LEV_LOG_ERROR, text.s);
    m.u.channel_close.reply_code = err->code;
    m.u.channel_close.reply_text = text.view;
    if (method != LEV_M_COUNT) {
        m.u.channel_close.class_id = lev_method_info(method)->class_id;
        m.u.channel_close.method_id = lev_method_info(method)->method_id;
    }
    ch->closing = true;
    lev_chan_deinit(&ch->chan);
    lev_conn_send(c, ch->number, &m);
}
