/* A vhost over the store in memory with a clock. See late.h. */
#include "late.h"

#include <check.h>
#include <stdio.h>

#include "amqp/props.h"
#include "args.h"
#include "base/mem.h"
#include "broker/admin.h"
#include "broker/declare.h"

static uint64_t clock_ms;

static uint64_t read_clock(void)
{
    return clock_ms;
}

static void hold(struct late *l)
{
    lev_vhost_lock(l->v);
}

static void release(struct late *l)
{
    lev_vhost_end_run(l->v);
    lev_vhost_unlock(l->v);
}

/* ---- The client: counts what it is told ---- */

static void on_notify(struct lev_client *c)
{
    (void)c;
}

static void drain(struct late *l)
{
    struct lev_outbox box = {0};
    lev_vhost_lock(l->v);
    lev_client_take(&l->client, &box);
    lev_vhost_unlock(l->v);
    for (size_t i = 0; i < box.n; i++) {
        l->returned += box.items[i].kind == LEV_OUT_RETURN;
        if (box.items[i].kind == LEV_OUT_CONFIRM)
            l->nacked = (box.items[i].flags & LEV_OUTF_NACK) != 0;
    }
    lev_outbox_deinit(&box);
}

/* ---- Life ---- */

static void set_policies(struct late *l)
{
    char err[LEV_POLICY_ERR_MAX];
    struct lev_policy_set *set = lev_policy_set_new();
    struct lev_policy_def d = {.name = LEV_LIT("policy"),
                               .apply_to = lev_bytes_str(l->apply_to ? l->apply_to : ""),
                               .definition = args(l->definition ? l->definition : "")};
    if (l->apply_to)
        ck_assert_msg(lev_policy_set_put(set, LEV_USER_POLICY, &d, err) == 0, "%s", err);
    lev_vhost_set_policies(l->v, set);
}

void late_govern(struct late *l, const char *apply_to, const char *definition)
{
    l->apply_to = apply_to;
    l->definition = definition;
    set_policies(l);
    late_run(l);
}

static void start(struct late *l)
{
    static const struct lev_sink_ops sink = {.notify = on_notify};
    l->v = lev_vhost_new(LEV_LIT("/"), l->store, read_clock);
    l->v->delays.limits = l->limits;
    set_policies(l);
    lev_store_mem_recover(l->store, &lev_vhost_recovery, l->v);
    lev_store_mem_start(l->store, &lev_vhost_store_client, l->v);
    lev_vhost_tick(l->v);
    hold(l);
    l->client = (struct lev_client){0};
    l->ch = (struct lev_chan){0};
    lev_client_init(&l->client, l->v, &sink, LEV_LIT("guest"));
    lev_chan_init(&l->ch, &l->client, 1);
    ck_assert_int_eq(lev_confirm_select(&l->ch, &l->err), 0);
    release(l);
}

void late_init(struct late *l)
{
    *l = (struct late){.limits = lev_delay_limits_default};
    clock_ms = UINT64_C(1700000000000);
    l->store = lev_store_mem_new();
    start(l);
}

static void stop(struct late *l)
{
    drain(l);
    while (lev_store_mem_run_reader(l->store))
        continue;
    lev_store_mem_crash(l->store);
    hold(l);
    lev_client_deinit(&l->client);
    release(l);
    lev_vhost_free(&l->v);
}

void late_deinit(struct late *l)
{
    stop(l);
    lev_store_mem_free(&l->store);
    ck_assert_int_eq(lev_msg_live(), 0);
}

void late_crash(struct late *l)
{
    stop(l);
    start(l);
}

void late_run(struct late *l)
{
    size_t n;
    do
        n = lev_store_mem_run(l->store);
    while (n || lev_store_mem_woken(l->store));
}

void late_advance(struct late *l, uint64_t ms)
{
    uint64_t until = clock_ms + ms;
    late_run(l);
    while (lev_timers_next(&l->v->timers) <= until) {
        uint64_t due = lev_timers_next(&l->v->timers);
        clock_ms = due > clock_ms ? due : clock_ms;
        lev_vhost_tick(l->v);
        late_run(l);
    }
    clock_ms = until;
}

void late_tick(struct late *l, uint64_t ms)
{
    clock_ms += ms;
    lev_vhost_tick(l->v);
}

/* ---- Things ---- */

int late_exchange(struct late *l, const char *name, const char *type, const char *flags,
                  const char *arguments)
{
    struct lev_exchange_def d = {.durable = strchr(flags, 'd') != NULL,
                                 .name = lev_bytes_str(name),
                                 .type = lev_bytes_str(type),
                                 .arguments = args(arguments)};
    hold(l);
    int rc = lev_exchange_declare(l->v->topology, &d, &l->err);
    release(l);
    return rc;
}

void late_delete_exchange(struct late *l, const char *name)
{
    hold(l);
    ck_assert_int_eq(lev_exchange_delete(l->v->topology, lev_bytes_str(name), false, &l->err), 0);
    release(l);
}

void late_queue(struct late *l, const char *name, const char *flags, const char *arguments)
{
    struct lev_queue_declare_args a = {.durable = strchr(flags, 'd') != NULL,
                                       .name = lev_bytes_str(name),
                                       .arguments = args(arguments)};
    struct lev_queue *q;
    hold(l);
    int rc = lev_queue_declare(&l->client, &a, &q, &l->err);
    release(l);
    ck_assert_msg(rc == 0, "%s", l->err.text);
}

void late_delete_queue(struct late *l, const char *name)
{
    hold(l);
    lev_queue_destroy(late_find(l, name));
    release(l);
}

void late_bind(struct late *l, const char *source, const char *destination, const char *key)
{
    struct lev_binding_def d = {.to_queue = destination[0] == 'q',
                                .source = lev_bytes_str(source),
                                .destination = lev_bytes_str(destination + 2),
                                .routing_key = lev_bytes_str(key)};
    hold(l);
    int rc = lev_bind(l->v->topology, &d, &l->err);
    release(l);
    ck_assert_msg(rc == 0, "%s", l->err.text);
}

struct lev_queue *late_find(struct late *l, const char *queue)
{
    struct lev_queue *q = lev_map_get(&l->v->queues, lev_bytes_str(queue));
    ck_assert_ptr_nonnull(q);
    return q;
}

uint64_t late_ready(struct late *l, const char *queue)
{
    return lev_queue_ready(late_find(l, queue));
}

/* ---- Messages ---- */

static struct lev_msg *message(const char *exchange, struct lev_bytes key, const char *headers,
                               const char *body, const char *flags)
{
    struct lev_props p = {.headers = args(headers)};
    struct lev_buf props;
    if (*headers)
        p.flags = LEV_PROP_HEADERS;
    lev_buf_init(&props);
    lev_props_encode(&props, &p);
    struct lev_msg *m =
        lev_msg_new(lev_bytes_str(exchange), key, lev_buf_view(&props), (uint32_t)strlen(body));
    ck_assert_ptr_nonnull(m);
    lev_buf_deinit(&props);
    memcpy(lev_msg_body_mut(m), body, strlen(body));
    m->persistent = strchr(flags, 'p') != NULL;
    return m;
}

static size_t split(const char *text, struct lev_bytes *keys, size_t max)
{
    size_t n = 0;
    for (const char *at = text;; at++) {
        size_t len = strcspn(at, "|");
        ck_assert_uint_lt(n, max);
        keys[n++] = lev_bytes(at, len);
        at += len;
        if (!*at)
            return n;
    }
}

void late_publish_only(struct late *l, const char *exchange, const char *keys, const char *headers,
                       const char *body, const char *flags)
{
    struct lev_bytes list[8];
    size_t n = split(keys, list, 8);
    struct lev_msg *m = message(exchange, list[0], headers, body, flags);
    struct lev_publish p = {
        .msg = m, .keys = list, .n_keys = n, .mandatory = strchr(flags, 'm') != NULL};
    hold(l);
    int rc = lev_publish(&l->ch, &p, &l->err);
    release(l);
    ck_assert_msg(rc == 0, "%s", l->err.text);
    drain(l);
}

bool late_publish(struct late *l, const char *exchange, const char *keys, const char *headers,
                  const char *body, const char *flags)
{
    late_publish_only(l, exchange, keys, headers, body, flags);
    late_run(l);
    drain(l);
    return late_unconfirmed(l) == 0;
}

uint64_t late_unconfirmed(const struct late *l)
{
    return l->ch.publish_seq - l->ch.confirmed;
}

struct late_held late_take(struct late *l, const char *queue)
{
    struct late_held h = {0};
    late_run(l);
    hold(l);
    bool got = lev_queue_take(late_find(l, queue), &h.e, &h.level);
    release(l);
    ck_assert(got);
    return h;
}

void late_settle(struct late *l, struct late_held *h)
{
    hold(l);
    lev_queue_settled(h->level, &h->e);
    lev_msg_unref(&h->e.msg);
    release(l);
    late_run(l);
}

void late_expect_at(struct late *l, const char *queue, const char *text, const char *file, int line)
{
    char got[2048] = "";
    late_run(l);
    while (late_ready(l, queue)) {
        struct late_held h = late_take(l, queue);
        struct lev_bytes body = lev_msg_body(h.e.msg);
        ck_assert_uint_lt(strlen(got) + body.len + 2, sizeof(got));
        snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s%.*s", *got ? " " : "",
                 LEV_FMT(body));
        late_settle(l, &h);
    }
    ck_assert_msg(strcmp(got, text) == 0, "%s:%d: %s has \"%s\", not \"%s\"", file, line, queue,
                  got, text);
}
