/* A vhost over the store in memory, and peers. See stage.h. */
#include "stage.h"

#include <check.h>
#include <stdio.h>

#include "amqp/props.h"
#include "amqp/table.h"
#include "args.h"
#include "base/mem.h"

static const uint64_t EPOCH_MS = UINT64_C(1700000000000);
static uint64_t clock_ms; /* the vhost's clock has no context */

static uint64_t read_clock(void)
{
    return clock_ms;
}

uint64_t stage_now(const struct stage *s)
{
    (void)s;
    return clock_ms;
}

void stage_advance(struct stage *s, uint64_t ms)
{
    clock_ms += ms;
    lev_vhost_tick(s->v);
}

/* --- the run --- */

void stage_hold(struct stage *s)
{
    if (s->held++ == 0)
        lev_vhost_lock(s->v);
}

void stage_release(struct stage *s)
{
    if (--s->held > 0)
        return;
    lev_vhost_end_run(s->v);
    lev_vhost_unlock(s->v);
}

void stage_run(struct stage *s)
{
    size_t n;
    do
        n = lev_store_mem_run(s->store);
    while (n || lev_store_mem_woken(s->store));
}

void stage_seal(struct stage *s)
{
    if (!s->v->sealed)
        ck_assert_ptr_null(lev_vhost_store_client.take(s->v, true));
}

/* --- life --- */

static void start(struct stage *s)
{
    s->v = lev_vhost_new(LEV_LIT("/"), s->store, read_clock);
    lev_vhost_set_windows(s->v, &s->windows);
    s->v->delays.limits = s->delays;
    lev_store_mem_recover(s->store, &lev_vhost_recovery, s->v);
    lev_store_mem_start(s->store, &lev_vhost_store_client, s->v);
    s->runs++;
}

void stage_init(struct stage *s, const struct lev_windows *windows)
{
    *s = (struct stage){.windows = windows ? *windows : lev_windows_default,
                        .expiration_ms = UINT64_MAX,
                        .delays = lev_delay_limits_default};
    clock_ms = EPOCH_MS;
    s->store = lev_store_mem_new();
    start(s);
}

/* Reads under way come back before the end, as the real store's do. */
static void stop(struct stage *s)
{
    while (lev_store_mem_run_reader(s->store))
        continue;
    lev_store_mem_crash(s->store);
    s->held++; /* no end of a run: it would ask the store */
    for (int i = 0; i < STAGE_PEERS; i++)
        peer_close(&s->peers[i]);
    s->held--;
    lev_vhost_free(&s->v);
    ck_assert_ptr_null(s->v);
}

void stage_crash(struct stage *s)
{
    stop(s);
    start(s);
}

void stage_restart(struct stage *s)
{
    for (int i = 0; i < STAGE_PEERS; i++)
        peer_close(&s->peers[i]);
    stage_run(s);
    stage_crash(s);
}

static void delete_queues(struct stage *s)
{
    lev_vhost_lock(s->v);
    while (s->v->queues.len) {
        struct lev_queue *q = NULL;
        LEV_MAP_EACH(slot, &s->v->queues)
        {
            q = slot->value;
        }
        lev_queue_destroy(q);
    }
    lev_vhost_end_run(s->v);
    lev_vhost_unlock(s->v);
}

static uint64_t parked(struct stage *s)
{
    uint64_t n = 0;
    LEV_MAP_EACH(slot, &s->v->queues)
    {
        const struct lev_queue *q = slot->value;
        for (unsigned i = 0; i < q->n_levels; i++)
            n += lev_park_count(q->levels[i], LEV_PARK_RETRY) +
                 lev_park_count(q->levels[i], LEV_PARK_DEAD);
    }
    return n;
}

void stage_deinit(struct stage *s)
{
    struct lev_vhost_stats st;
    ck_assert_int_eq(s->held, 0);
    for (int i = 0; i < STAGE_PEERS; i++)
        peer_close(&s->peers[i]);
    lev_vhost_stats(s->v, &st);
    ck_assert_uint_eq(st.unacked, parked(s));
    stage_check(s);
    delete_queues(s);
    stage_run(s);
    lev_vhost_stats(s->v, &st);
    ck_assert_uint_eq(st.queues + st.consumers + st.channels + st.connections, 0);
    ck_assert_uint_eq(s->v->memory, 0);
    ck_assert_uint_eq(lev_vhost_unwritten(s->v), 0);
    stop(s);
    lev_store_mem_free(&s->store);
    ck_assert_int_eq(lev_msg_live(), 0);
}

/* --- views --- */

struct lev_queue *stage_queue(struct stage *s, const char *name)
{
    return lev_map_get(&s->v->queues, lev_bytes_str(name));
}

uint64_t stage_ready(struct stage *s, const char *name)
{
    return lev_queue_ready(stage_queue(s, name));
}

uint64_t stage_unacked(struct stage *s, const char *name)
{
    const struct lev_queue *q = stage_queue(s, name);
    uint64_t n = 0;
    for (unsigned i = 0; i < q->n_levels; i++)
        n += q->levels[i]->unacked;
    return n;
}

size_t stage_rows(struct stage *s, const char *name)
{
    return lev_store_mem_rows(s->store, stage_queue(s, name)->id, false);
}

void stage_each_row(struct stage *s, const char *name,
                    void (*row)(void *ctx, const struct lev_msg *msg), void *ctx)
{
    lev_store_mem_each(s->store, stage_queue(s, name)->id, row, ctx);
}

int stage_id(const struct lev_msg *msg)
{
    char text[24] = "";
    struct lev_bytes body = lev_msg_body(msg);
    memcpy(text, body.ptr, body.len < sizeof(text) ? body.len : sizeof(text) - 1);
    return atoi(text);
}

/* Expects a ring in order from *pos on; adds up what it holds. */
static size_t check_ring(const struct lev_entries *es, uint64_t *pos, uint64_t *stored)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < es->len; i++) {
        const struct lev_entry *e = lev_entries_at(es, i);
        ck_assert_uint_ge(e->pos, *pos);
        *pos = e->pos + 1;
        *stored += (e->flags & LEV_ENTRY_STORED) != 0;
        bytes += lev_msg_size(e->msg);
    }
    ck_assert_uint_eq(bytes, es->bytes);
    return bytes;
}

struct held {
    uint64_t n, stored;
};

static void count_parked(const struct lev_parked *p, size_t n, struct held *h)
{
    h->n += n;
    for (size_t i = 0; i < n; i++)
        h->stored += (p[i].e.flags & LEV_ENTRY_STORED) != 0;
}

/* What channels hold, and what is parked. */
static struct held held(struct stage *s, const struct lev_queue *q)
{
    struct held h = {0};
    for (int k = 0; k < LEV_PARK_KINDS; k++) {
        if (!q->park[k])
            continue;
        count_parked(q->park[k]->heap, q->park[k]->n, &h);
        count_parked(q->park[k]->loading, q->park[k]->n_loading, &h);
    }
    for (int i = 0; i < STAGE_PEERS; i++) {
        for (int c = 1; s->peers[i].open && c <= PEER_CHANNELS; c++) {
            const struct lev_unacked_list *l = &s->peers[i].ch[c].unacked;
            for (size_t k = 0; s->peers[i].ch[c].client && k < l->len; k++) {
                if (l->a[l->first + k].queue != q)
                    continue;
                h.n++;
                h.stored += (l->a[l->first + k].e.flags & LEV_ENTRY_STORED) != 0;
            }
        }
    }
    return h;
}

static size_t check_queue(struct stage *s, const struct lev_queue *q)
{
    uint64_t pos = 0, stored = 0;
    size_t bytes = check_ring(&q->front, &pos, &stored);
    if (q->mid_count) {
        ck_assert_uint_ge(q->mid_from, pos);
        ck_assert_uint_ge(q->mid_to - q->mid_from, q->mid_count);
        pos = q->mid_to;
    }
    ck_assert_uint_le(q->mid_stored, q->mid_count);
    bytes += check_ring(&q->tail, &pos, &stored);
    ck_assert_uint_le(pos, q->next_pos);
    ck_assert_uint_le(q->tail_handled, q->tail.len);
    struct held h = held(s, q);
    ck_assert_uint_eq(q->stored_live, stored + q->mid_stored + h.stored);
    ck_assert_uint_eq(q->unacked, h.n);
    if (!q->paged)
        ck_assert_uint_eq(q->mid_count + q->tail.len, 0);
    if (!s->held)
        ck_assert(lev_list_empty(&q->ready_list) || !q->front.len);
    return bytes;
}

void stage_check(struct stage *s)
{
    size_t memory = 0;
    uint64_t ready = 0, unacked = 0;
    LEV_MAP_EACH(slot, &s->v->queues)
    {
        const struct lev_queue *q = slot->value;
        ck_assert(q->limited == lev_queue_has_limits(q));
        ready += lev_queue_ready(q);
        for (unsigned i = 0; i < q->n_levels; i++) {
            memory += check_queue(s, q->levels[i]);
            unacked += q->levels[i]->unacked;
        }
    }
    ck_assert_uint_eq(memory, s->v->memory);
    ck_assert_uint_eq(ready, s->v->ready);
    ck_assert_uint_eq(unacked, s->v->unacked);
}

/* --- peers --- */

static void on_notify(struct lev_client *c)
{
    struct peer *p = LEV_CONTAINER(c, struct peer, client);
    ck_assert(!p->told); /* once until taken */
    p->told = true;
}

static const struct lev_sink_ops sink = {.notify = on_notify};

struct peer *stage_peer(struct stage *s, int i)
{
    struct peer *p = &s->peers[i];
    if (p->open)
        return p;
    *p = (struct peer){.stage = s, .open = true};
    stage_hold(s);
    lev_client_init(&p->client, s->v, &sink, LEV_LIT("guest"));
    for (uint16_t c = 1; c <= PEER_CHANNELS; c++)
        lev_chan_init(&p->ch[c], &p->client, c);
    stage_release(s);
    return p;
}

void peer_close(struct peer *p)
{
    if (!p->open)
        return;
    stage_hold(p->stage);
    lev_client_deinit(&p->client);
    stage_release(p->stage);
    p->open = false;
    free(p->events);
    p->events = NULL;
    p->n_events = p->cap_events = 0;
}

void peer_close_channel(struct peer *p, int ch)
{
    stage_hold(p->stage);
    lev_chan_deinit(&p->ch[ch]);
    stage_release(p->stage);
}

void peer_open_channel(struct peer *p, int ch)
{
    stage_hold(p->stage);
    lev_chan_init(&p->ch[ch], &p->client, (uint16_t)ch);
    stage_release(p->stage);
}

/* --- what a peer asks for --- */

int peer_declare(struct peer *p, const char *name, const char *flags)
{
    return peer_declare_args(p, name, flags, LEV_EMPTY);
}

int peer_declare_args(struct peer *p, const char *name, const char *flags,
                      struct lev_bytes arguments)
{
    struct lev_queue_declare_args a = {.name = lev_bytes_str(name),
                                       .arguments = arguments,
                                       .passive = strchr(flags, 'p') != NULL,
                                       .durable = strchr(flags, 'd') != NULL,
                                       .exclusive = strchr(flags, 'x') != NULL,
                                       .auto_delete = strchr(flags, 'a') != NULL};
    struct lev_queue *q;
    stage_hold(p->stage);
    int rc = lev_queue_declare(&p->client, &a, &q, &p->err);
    stage_release(p->stage);
    return rc;
}

int64_t peer_delete(struct peer *p, const char *name, const char *flags)
{
    uint64_t n;
    stage_hold(p->stage);
    int rc = lev_queue_delete(&p->client, lev_bytes_str(name), strchr(flags, 'u') != NULL,
                              strchr(flags, 'e') != NULL, &n, &p->err);
    stage_release(p->stage);
    return rc < 0 ? -1 : (int64_t)n;
}

int64_t peer_purge(struct peer *p, const char *name)
{
    struct lev_queue *q;
    int64_t n = -1;
    stage_hold(p->stage);
    if (lev_queue_find(&p->client, lev_bytes_str(name), &q, &p->err) == 0)
        n = (int64_t)lev_queue_purge(q);
    stage_release(p->stage);
    return n;
}

void peer_fanout(struct peer *p, const char *exchange)
{
    peer_exchange(p, exchange, "fanout", "");
}

void peer_exchange(struct peer *p, const char *exchange, const char *type, const char *arguments)
{
    const struct lev_exchange_def d = {.durable = true,
                                       .name = lev_bytes_str(exchange),
                                       .type = lev_bytes_str(type),
                                       .arguments = args(arguments)};
    stage_hold(p->stage);
    ck_assert_int_eq(lev_exchange_declare(p->stage->v->topology, &d, &p->err), 0);
    stage_release(p->stage);
}

static void bind(struct peer *p, const char *exchange, const char *queue, const char *key)
{
    const struct lev_binding_def d = {.to_queue = true,
                                      .source = lev_bytes_str(exchange),
                                      .destination = lev_bytes_str(queue),
                                      .routing_key = lev_bytes_str(key)};
    stage_hold(p->stage);
    ck_assert_int_eq(lev_bind(p->stage->v->topology, &d, &p->err), 0);
    stage_release(p->stage);
}

void peer_bind(struct peer *p, const char *exchange, const char *queue)
{
    bind(p, exchange, queue, "");
}

void peer_bind_name(struct peer *p, const char *exchange, const char *queue)
{
    bind(p, exchange, queue, queue);
}

static struct lev_msg *message(const struct stage *s, const char *exchange, const char *key,
                               const char *body, bool persistent)
{
    size_t len = strlen(body), full = len > s->pad ? len : s->pad;
    const struct lev_props p = {.flags = s->headers ? LEV_PROP_HEADERS : 0,
                                .headers = args(s->headers ? s->headers : "")};
    struct lev_buf props;
    lev_buf_init(&props);
    lev_props_encode(&props, &p);
    struct lev_msg *m = lev_msg_new(lev_bytes_str(exchange), lev_bytes_str(key),
                                    lev_buf_view(&props), (uint32_t)full);
    lev_buf_deinit(&props);
    ck_assert_ptr_nonnull(m);
    uint8_t *at = lev_msg_body_mut(m);
    memset(at, '.', full);
    memcpy(at, body, len);
    m->persistent = persistent;
    m->expiration_ms = s->expiration_ms;
    m->priority = s->priority;
    return m;
}

int peer_publish(struct peer *p, int ch, const char *exchange, const char *key, const char *body,
                 const char *flags)
{
    struct lev_bytes keys[1] = {lev_bytes_str(key)};
    struct lev_publish pub = {
        .msg = message(p->stage, exchange, key, body, strchr(flags, 'p') != NULL),
        .keys = keys,
        .n_keys = 1,
        .mandatory = strchr(flags, 'm') != NULL};
    stage_hold(p->stage);
    int rc = lev_publish(&p->ch[ch], &pub, &p->err);
    stage_release(p->stage);
    return rc;
}

void peer_send(struct peer *p, const char *queue, const char *bodies, const char *flags)
{
    for (const char *b = bodies; *b; b++)
        ck_assert_int_eq(peer_publish(p, 1, "", queue, (char[]){*b, '\0'}, flags), 0);
}

int peer_consume(struct peer *p, int ch, const char *queue, const char *tag, const char *flags,
                 int64_t priority)
{
    const struct lev_consume_args a = {.tag = lev_bytes_str(tag),
                                       .priority = priority,
                                       .no_ack = strchr(flags, 'n') != NULL,
                                       .exclusive = strchr(flags, 'x') != NULL};
    struct lev_consumer *c;
    stage_hold(p->stage);
    int rc = lev_consume(&p->ch[ch], lev_bytes_str(queue), &a, &c, &p->err);
    if (rc == 0)
        lev_consumer_wake(c);
    stage_release(p->stage);
    return rc;
}

void peer_cancel(struct peer *p, int ch, const char *tag)
{
    stage_hold(p->stage);
    struct lev_consumer *c = lev_consumer_find(&p->ch[ch], lev_bytes_str(tag));
    ck_assert_ptr_nonnull(c);
    lev_consumer_end(c, false);
    stage_release(p->stage);
}

int peer_get(struct peer *p, int ch, const char *queue, bool no_ack)
{
    stage_hold(p->stage);
    int rc = lev_get(&p->ch[ch], lev_bytes_str(queue), no_ack, &p->err);
    stage_release(p->stage);
    return rc;
}

void peer_qos(struct peer *p, int ch, uint32_t prefetch, bool global)
{
    stage_hold(p->stage);
    lev_chan_qos(&p->ch[ch], prefetch, global);
    stage_release(p->stage);
}

int peer_settle(struct peer *p, int ch, uint64_t tag, bool multiple, enum lev_settle how)
{
    stage_hold(p->stage);
    int rc = lev_chan_settle(&p->ch[ch], tag, multiple, how, &p->err);
    stage_release(p->stage);
    return rc;
}

int peer_ack(struct peer *p, int ch, uint64_t tag)
{
    return peer_settle(p, ch, tag, false, LEV_SETTLE_ACK);
}

int peer_requeue(struct peer *p, int ch, uint64_t tag)
{
    return peer_settle(p, ch, tag, false, LEV_SETTLE_REQUEUE);
}

void peer_recover(struct peer *p, int ch)
{
    stage_hold(p->stage);
    lev_chan_recover(&p->ch[ch]);
    stage_release(p->stage);
}

/* One of the calls that take a channel and may fail. */
static int on_channel(struct peer *p, int ch, int (*call)(struct lev_chan *, struct lev_error *))
{
    stage_hold(p->stage);
    int rc = call(&p->ch[ch], &p->err);
    stage_release(p->stage);
    return rc;
}

int peer_confirm_select(struct peer *p, int ch)
{
    return on_channel(p, ch, lev_confirm_select);
}

int peer_tx_select(struct peer *p, int ch)
{
    return on_channel(p, ch, lev_tx_select);
}

int peer_commit(struct peer *p, int ch)
{
    return on_channel(p, ch, lev_tx_commit);
}

int peer_rollback(struct peer *p, int ch)
{
    return on_channel(p, ch, lev_tx_rollback);
}

/* --- what a peer sees --- */

static size_t item_bytes(const struct lev_out *o)
{
    switch (o->kind) {
    case LEV_OUT_DELIVER:
    case LEV_OUT_GET_OK:
    case LEV_OUT_RETURN:
        return lev_msg_size(o->u.msg) + LEV_OUT_CONTENT_OVERHEAD;
    case LEV_OUT_CONFIRM:
    case LEV_OUT_GET_EMPTY:
    case LEV_OUT_COMMIT_OK:
        return LEV_OUT_SMALL;
    case LEV_OUT_CANCEL:
    case LEV_OUT_RETIRE:
        return LEV_OUT_CONSUMER;
    case LEV_OUT_BYTES:
        return o->n;
    default:
        return 0;
    }
}

static int64_t count_of(const struct lev_msg *m)
{
    struct lev_value v;
    return lev_table_get(lev_msg_headers(m), "x-delivery-count", &v) ? v.i : 0;
}

static void decode(struct event *e, const struct lev_out *o)
{
    *e = (struct event){.kind = (enum lev_out_kind)o->kind,
                        .flags = o->flags,
                        .channel = o->channel,
                        .n = o->n,
                        .tag = o->tag};
    if (o->consumer)
        snprintf(e->consumer, sizeof(e->consumer), "%.*s", LEV_FMT(o->consumer->tag));
    if (o->kind == LEV_OUT_DELIVER || o->kind == LEV_OUT_GET_OK || o->kind == LEV_OUT_RETURN) {
        struct lev_bytes body = lev_msg_body(o->u.msg);
        size_t n = 0;
        while (n < body.len && n < sizeof(e->body) - 1 && body.ptr[n] != '.')
            n++;
        memcpy(e->body, body.ptr, n);
        e->count = count_of(o->u.msg);
    }
}

static void wrote(struct peer *p, size_t bytes)
{
    if (lev_client_wrote(&p->client, bytes)) {
        stage_hold(p->stage);
        lev_client_unpark(&p->client);
        stage_release(p->stage);
    }
}

void peer_drain(struct peer *p)
{
    while (p->told) {
        struct lev_outbox box = {0};
        size_t bytes = 0;
        stage_hold(p->stage);
        lev_client_take(&p->client, &box);
        p->told = false;
        stage_release(p->stage);
        for (size_t i = 0; i < box.n; i++) {
            if (p->n_events == p->cap_events) {
                p->cap_events = p->cap_events ? p->cap_events * 2 : 64;
                p->events = lev_xrealloc(p->events, p->cap_events * sizeof(*p->events));
            }
            decode(&p->events[p->n_events++], &box.items[i]);
            bytes += item_bytes(&box.items[i]);
        }
        lev_outbox_deinit(&box);
        if (p->stalled)
            p->unwritten += bytes;
        else
            wrote(p, bytes);
    }
    ck_assert_uint_eq(p->client.outbox.n, 0); /* nothing without a word */
}

void peer_forget_events(struct peer *p)
{
    p->n_events = 0;
}

void peer_unstall(struct peer *p)
{
    size_t n = p->unwritten;
    p->stalled = false;
    p->unwritten = 0;
    wrote(p, n);
}

static int print_event(char *at, size_t cap, const struct event *e)
{
    const char *again = e->flags & LEV_OUTF_REDELIVERED ? "!" : "";
    unsigned long long tag = e->tag;
    switch (e->kind) {
    case LEV_OUT_DELIVER:
        return snprintf(at, cap, "%s:%llu=%s%s ", e->consumer, tag, e->body, again);
    case LEV_OUT_GET_OK:
        return snprintf(at, cap, "get:%llu=%s,%u%s ", tag, e->body, e->n, again);
    case LEV_OUT_RETURN:
        return snprintf(at, cap, "return=%s ", e->body);
    case LEV_OUT_CONFIRM:
        return snprintf(at, cap, "%s%llu%s ", e->flags & LEV_OUTF_NACK ? "no" : "ok", tag,
                        e->flags & LEV_OUTF_MULTIPLE ? "+" : "");
    case LEV_OUT_CANCEL:
        return snprintf(at, cap, "cancel:%s ", e->consumer);
    case LEV_OUT_GET_EMPTY:
        return snprintf(at, cap, "empty ");
    case LEV_OUT_COMMIT_OK:
        return snprintf(at, cap, "committed ");
    default:
        return 0;
    }
}

void peer_expect_at(struct peer *p, const char *text, const char *file, int line)
{
    char seen[8192] = "";
    size_t n = 0;
    peer_drain(p);
    for (size_t i = 0; i < p->n_events && n < sizeof(seen) - 64; i++) {
        const struct event *e = &p->events[i];
        if (e->channel != 1 && e->kind != LEV_OUT_RETIRE)
            n += (size_t)snprintf(seen + n, sizeof(seen) - n, "%u/", e->channel);
        n += (size_t)print_event(seen + n, sizeof(seen) - n, e);
    }
    if (n)
        seen[n - 1] = '\0';
    p->n_events = 0;
    ck_assert_msg(strcmp(seen, text) == 0, "%s:%d: expected \"%s\", saw \"%s\"", file, line, text,
                  seen);
}
