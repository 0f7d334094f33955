/* The session layer: the net's callbacks, the list of connections with output, heartbeats and
 * deadlines, shutdown. See session.h and loop.h. */
#include "session/session.h"

#include "amqp/table.h"
#include "base/clock.h"
#include "base/huge.h"
#include "base/log.h"
#include "base/mem.h"
#include "broker/declare.h"
#include "session/loop.h"

/* Rounds of flushing before a loop turns to its other sockets: a consumer that takes all at once
 * would keep it busy as long as its queue is deep. */
enum { ROUNDS_MAX = 8 };

/* Loop whose run is being applied by this thread: its own connections need no wake. */
static _Thread_local struct lev_session_loop *current;

/* --- the dirty list --- */

/* True when the stack was empty. */
static bool push_dirty(struct lev_session_loop *sl, struct lev_conn *c)
{
    struct lev_conn *head = atomic_load_explicit(&sl->dirty, memory_order_relaxed);
    do
        c->dirty_next = head;
    while (!atomic_compare_exchange_weak_explicit(&sl->dirty, &head, c, memory_order_release,
                                                  memory_order_relaxed));
    return !head;
}

static void on_notify(struct lev_client *client)
{
    struct lev_conn *c = LEV_CONTAINER(client, struct lev_conn, client);
    struct lev_session_loop *sl = c->sl;
    if (push_dirty(sl, c) && current != sl)
        lev_loop_wake(sl->loop);
}

const struct lev_sink_ops lev_session_sink = {.notify = on_notify};

static bool busy(const struct lev_conn *c)
{
    return c->out.len || c->work_next < c->work.n;
}

/* Closes the channels that the broker found at fault by itself. Lock held. */
static void fail_channels(struct lev_conn *c)
{
    c->client.failing = false;
    LEV_LIST_EACH(it, nx, &c->client.channels)
    {
        struct lev_chan *chan = LEV_LIST_ENTRY(it, struct lev_chan, node);
        struct lev_error err;
        if (!chan->failure)
            continue;
        err = *chan->failure;
        lev_channel_fail(LEV_CONTAINER(chan, struct lev_channel, chan), &err, LEV_M_COUNT);
    }
}

/* Takes c's outbox, or remembers that there is one. Lock held. */
static void take(struct lev_conn *c)
{
    if (c->client.failing && !c->gone)
        fail_channels(c);
    c->owed = true;
    if (busy(c))
        return;
    c->owed = false;
    c->work_next = 0;
    c->work.n = 0;
    lev_client_take(&c->client, &c->work);
}

void lev_session_take_dirty(struct lev_session_loop *sl, struct lev_vhost *v)
{
    struct lev_conn *list = atomic_exchange_explicit(&sl->dirty, NULL, memory_order_acquire);
    struct lev_conn *others = NULL;
    while (list) {
        struct lev_conn *c = list;
        list = c->dirty_next; /* from here on it may be put on the stack again */
        if (c->client.vhost != v) {
            c->dirty_next = others;
            others = c;
            continue;
        }
        take(c);
        if (!lev_list_linked(&c->flush_node))
            lev_list_push_back(&sl->to_flush, &c->flush_node);
    }
    while (others) { /* other vhosts' connections wait for their own turn */
        struct lev_conn *c = others;
        others = c->dirty_next;
        push_dirty(sl, c);
    }
}

void lev_session_flush(struct lev_session_loop *sl)
{
    if (sl->flushing)
        return;
    sl->flushing = true;
    while (!lev_list_empty(&sl->to_flush)) {
        struct lev_conn *c = LEV_LIST_ENTRY(sl->to_flush.next, struct lev_conn, flush_node);
        lev_list_remove(&c->flush_node);
        if (c->gone)
            continue;
        lev_conn_flush(c);
        if (c->throttled || c->stopped)
            lev_conn_resume(c);
    }
    sl->flushing = false;
}

/* One round: what is on the dirty stack now, of the vhost of its top. False when there is nothing.
 */
static bool flush_round(struct lev_session_loop *sl)
{
    struct lev_conn *head = atomic_load_explicit(&sl->dirty, memory_order_acquire);
    if (!head)
        return false;
    struct lev_vhost *v = head->client.vhost;
    lev_vhost_lock(v);
    lev_session_take_dirty(sl, v);
    lev_vhost_unlock(v);
    lev_session_flush(sl);
    return true;
}

void lev_session_loop_flush(struct lev_session_loop *sl)
{
    for (int i = 0; i < ROUNDS_MAX; i++)
        if (!flush_round(sl))
            return;
    lev_loop_wake(sl->loop); /* others of this loop have their turn first */
}

/* Until nothing is left. */
static void drain(struct lev_session_loop *sl)
{
    while (flush_round(sl))
        continue;
}

/* --- the net's callbacks --- */

static void *on_accepted(void *ctx, struct lev_loop *loop, struct lev_transport *t)
{
    struct lev_session_layer *s = ctx;
    struct lev_session_loop *sl = lev_loop_data(loop);
    if (atomic_load(&s->shutdown))
        return NULL;
    struct lev_conn *c = lev_xcalloc(1, sizeof(*c));
    c->sl = sl;
    c->transport = t;
    c->frame_max = LEV_INITIAL_FRAME_MAX;
    c->deadline_ms = lev_loop_now_ms(loop) + s->config.handshake_ms;
    lev_list_init(&c->node);
    lev_list_push_back(&sl->conns, &c->node);
    lev_list_init(&c->flush_node);
    lev_buf_init(&c->in);
    lev_buf_init(&c->out);
    atomic_fetch_add(&s->connections, 1);
    lev_conn_log(c, "accepting AMQP connection", "");
    return c;
}

static void on_input(void *conn, const uint8_t *data, size_t len)
{
    struct lev_conn *c = conn;
    current = c->sl;
    c->bytes_in += len;
    lev_conn_input(c, data, len);
    lev_session_loop_flush(c->sl);
    current = NULL;
}

static void on_writable(void *conn)
{
    struct lev_conn *c = conn;
    current = c->sl;
    c->want_write = false;
    lev_conn_flush(c);
    if (!c->gone && (c->throttled || c->stopped))
        lev_conn_resume(c);
    lev_session_loop_flush(c->sl);
    current = NULL;
}

/* The vhost forgets the connection: its channels end, its exclusive queues go. */
static void leave_vhost(struct lev_conn *c)
{
    struct lev_vhost *v = c->client.vhost;
    struct lev_session_loop *sl = c->sl;
    lev_vhost_lock(v);
    lev_client_end(&c->client);
    lev_vhost_end_run(v);
    lev_vhost_unlock(v);
    drain(sl); /* it is on no list after this, and nothing notifies it any more */
    for (size_t i = c->work_next; i < c->work.n; i++)
        lev_out_release(&c->work.items[i]);
    lev_vhost_lock(v);
    lev_client_deinit(&c->client);
    lev_vhost_unlock(v);
    free(c->work.items);
    c->joined = false;
}

static void on_closed(void *conn)
{
    struct lev_conn *c = conn;
    struct lev_session_loop *sl = c->sl;
    current = sl;
    c->gone = true;
    if (c->state == LEV_CONN_RUNNING)
        lev_conn_log(c, "closing AMQP connection", "client unexpectedly closed TCP connection");
    lev_conn_set_state(c, LEV_CONN_GONE);
    if (c->joined)
        leave_vhost(c);
    while (c->n_channels)
        lev_conn_drop_channel(c, c->channels[c->n_channels - 1]);
    free(c->channels);
    lev_conn_uncount(c);
    lev_list_remove(&c->node);
    lev_buf_deinit(&c->in);
    lev_buf_deinit(&c->out);
    lev_bytes_free(&c->user);
    free(c);
    atomic_fetch_sub(&sl->layer->connections, 1);
    lev_session_loop_flush(sl);
    current = NULL;
}

/* --- time --- */

/* Nothing came in t ms. Of a peer that is not read nothing can come; but its system acknowledges
 * our heartbeats. */
static bool is_silent(const struct lev_conn *c, uint64_t t)
{
    if (c->throttled || c->stopped)
        return lev_transport_unacked_ms(c->transport) >= t;
    return c->bytes_in == c->check_bytes_in;
}

/* Hangs up on a peer that was silent twice. */
static void check_silence(struct lev_conn *c, uint64_t now)
{
    uint64_t t = (uint64_t)c->heartbeat_s * 1000;
    c->next_check_ms = now + t;
    c->idle_checks = is_silent(c, t) ? c->idle_checks + 1 : 0;
    c->check_bytes_in = c->bytes_in;
    if (c->idle_checks >= 2) {
        lev_conn_log(c, "closing AMQP connection", "missed heartbeats from client");
        lev_conn_hangup(c, false);
    }
}

/* The check comes first: what is only now being sent cannot have been acknowledged. */
static void heartbeat(struct lev_conn *c, uint64_t now)
{
    static const uint8_t beat[8] = {LEV_FRAME_HEARTBEAT, 0, 0, 0, 0, 0, 0, LEV_FRAME_END};
    if (now >= c->next_check_ms)
        check_silence(c, now);
    if (c->gone || now < c->next_beat_ms)
        return;
    if (c->bytes_out == c->beat_bytes_out && !busy(c))
        lev_conn_send_raw(c, beat, sizeof(beat));
    c->beat_bytes_out = c->bytes_out;
    c->next_beat_ms = now + (uint64_t)c->heartbeat_s * 500;
}

static void check_time(struct lev_conn *c, uint64_t now)
{
    if (c->deadline_ms && now >= c->deadline_ms) {
        if (c->state < LEV_CONN_RUNNING)
            lev_conn_log(c, "closing AMQP connection", "handshake timeout");
        lev_conn_hangup(c, false);
        return;
    }
    if (c->state == LEV_CONN_RUNNING && c->heartbeat_s)
        heartbeat(c, now);
}

static void on_tick(void *ctx, struct lev_loop *loop, uint64_t now_ms)
{
    struct lev_session_loop *sl = lev_loop_data(loop);
    (void)ctx;
    current = sl;
    LEV_LIST_EACH(it, nx, &sl->conns)
    {
        struct lev_conn *c = LEV_LIST_ENTRY(it, struct lev_conn, node);
        if (!c->gone)
            check_time(c, now_ms);
    }
    lev_session_loop_flush(sl);
    current = NULL;
    lev_huge_trim(lev_clock_mono_ns() / 1000000);
}

static void shut_down(struct lev_session_loop *sl)
{
    struct lev_error err;
    uint64_t deadline = lev_loop_now_ms(sl->loop) + atomic_load(&sl->layer->shutdown_ms);
    lev_fail(&err, LEV_CONNECTION_FORCED,
             "broker forced connection closure with reason 'shutdown'");
    sl->shutdown_seen = true;
    LEV_LIST_EACH(it, nx, &sl->conns)
    {
        struct lev_conn *c = LEV_LIST_ENTRY(it, struct lev_conn, node);
        if (c->state == LEV_CONN_RUNNING) {
            lev_vhost_lock(c->client.vhost);
            lev_conn_fail(c, &err, LEV_M_COUNT);
            lev_vhost_end_run(c->client.vhost);
            lev_vhost_unlock(c->client.vhost);
            c->deadline_ms = deadline;
        } else if (c->state < LEV_CONN_RUNNING && !c->gone) {
            lev_conn_hangup(c, false);
        }
    }
}

static void on_woken(void *ctx, struct lev_loop *loop)
{
    struct lev_session_layer *s = ctx;
    struct lev_session_loop *sl = lev_loop_data(loop);
    current = sl;
    if (atomic_load(&s->shutdown) && !sl->shutdown_seen)
        shut_down(sl);
    lev_session_loop_flush(sl);
    current = NULL;
}

const struct lev_net_handler lev_session_handler = {.accepted = on_accepted,
                                                    .input = on_input,
                                                    .writable = on_writable,
                                                    .closed = on_closed,
                                                    .tick = on_tick,
                                                    .woken = on_woken};

/* --- the layer --- */

static void make_server_properties(struct lev_session_layer *s)
{
    static const char *const capabilities[] = {
        "publisher_confirms",           "exchange_exchange_bindings", "basic.nack",
        "consumer_cancel_notify",       "connection.blocked",         "consumer_priorities",
        "authentication_failure_close", "per_consumer_qos",           "direct_reply_to",
    };
    struct lev_buf caps, *out = &s->server_properties;
    lev_buf_init(&caps);
    lev_buf_init(out);
    for (size_t i = 0; i < sizeof(capabilities) / sizeof(capabilities[0]); i++)
        lev_table_put_bool(&caps, capabilities[i], true);
    lev_table_put_table(out, "capabilities", lev_buf_view(&caps));
    lev_table_put_str(out, "cluster_name", lev_bytes_str(s->config.cluster_name));
    lev_table_put_str(out, "copyright", LEV_LIT("Copyright the Leveret authors"));
    lev_table_put_str(out, "information",
                      LEV_LIT("Leveret, licensed under the Apache License 2.0"));
    lev_table_put_str(out, "platform", LEV_LIT("C"));
    lev_table_put_str(out, "product", LEV_LIT("RabbitMQ"));
    lev_table_put_str(out, "version", lev_bytes_str(s->config.version));
    lev_buf_deinit(&caps);
}

struct lev_session_layer *lev_session_layer_new(const struct lev_session_config *config)
{
    struct lev_session_layer *s = lev_xcalloc(1, sizeof(*s));
    s->config = *config;
    make_server_properties(s);
    return s;
}

void lev_session_layer_attach(struct lev_session_layer *s, struct lev_net *net)
{
    s->net = net;
    s->n_loops = lev_net_loop_count(net);
    s->loops = lev_xcalloc((size_t)s->n_loops, sizeof(*s->loops));
    for (int i = 0; i < s->n_loops; i++) {
        struct lev_session_loop *sl = &s->loops[i];
        sl->layer = s;
        sl->loop = lev_net_loop(net, i);
        lev_list_init(&sl->conns);
        lev_list_init(&sl->to_flush);
        lev_buf_init(&sl->scratch);
        lev_loop_set_data(sl->loop, sl);
    }
}

void lev_session_layer_free(struct lev_session_layer **sp)
{
    struct lev_session_layer *s = *sp;
    *sp = NULL;
    if (!s)
        return;
    for (int i = 0; i < s->n_loops; i++)
        lev_buf_deinit(&s->loops[i].scratch);
    lev_buf_deinit(&s->server_properties);
    free(s->loops);
    free(s);
}

void lev_session_layer_shutdown(struct lev_session_layer *s, uint32_t deadline_ms)
{
    atomic_store(&s->shutdown_ms, deadline_ms);
    atomic_store(&s->shutdown, true);
    for (int i = 0; i < s->n_loops; i++)
        lev_loop_wake(s->loops[i].loop);
}

int lev_session_layer_connections(const struct lev_session_layer *s)
{
    return atomic_load(&((struct lev_session_layer *)(uintptr_t)s)->connections);
}
