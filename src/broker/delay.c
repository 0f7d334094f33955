/* Delayed messages. See delay.h. Under the vhost's lock. */
#include "broker/delay.h"

#include <stdlib.h>

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "broker/delay_header.h"
#include "broker/exchange.h"
#include "broker/keys.h"
#include "broker/queue.h"
#include "broker/vhost_int.h"

enum {
    SLICE = 1024,    /* messages routed within one hold of the lock */
    BACK_OFF_MS = 5, /* pause while the store is behind */
    RETRY_MS = 1000, /* pause after a read that failed */
};

const struct lev_delay_limits lev_delay_limits_default = {.max = 8192, .max_bytes = 8 << 20};

struct delay_count {
    struct lev_bytes name; /* owned */
    uint64_t n;
};

/* ---- Counts ---- */

static void count(struct lev_delays *d, struct lev_bytes exchange, uint64_t more)
{
    struct delay_count *c = lev_map_get(&d->counts, exchange);
    if (!c) {
        c = lev_xcalloc(1, sizeof(*c));
        c->name = lev_bytes_dup(exchange);
        lev_map_put(&d->counts, c->name, c);
    }
    c->n += more;
}

static void uncount(struct lev_delays *d, struct lev_bytes exchange)
{
    struct delay_count *c = lev_map_get(&d->counts, exchange);
    if (!c || --c->n > 0)
        return;
    lev_map_remove(&d->counts, c->name);
    lev_bytes_free(&c->name);
    free(c);
}

uint64_t lev_delay_count(const struct lev_vhost *v, struct lev_bytes exchange)
{
    const struct delay_count *c = lev_map_get(&v->delays.counts, exchange);
    return c ? c->n : 0;
}

uint64_t lev_delay_count_all(const struct lev_vhost *v)
{
    uint64_t n = 0;
    LEV_MAP_EACH(slot, &v->delays.counts)
    n += ((const struct delay_count *)slot->value)->n;
    return n;
}

/* ---- The heap ---- */

static bool comes_before(const struct lev_delayed *a, const struct lev_delayed *b)
{
    return a->due_ms != b->due_ms ? a->due_ms < b->due_ms : a->seq < b->seq;
}

static bool below_horizon(const struct lev_delays *d, const struct lev_delayed *x)
{
    if (!d->beyond || x->due_ms < d->horizon_due)
        return true;
    return x->due_ms == d->horizon_due && x->seq < d->horizon_seq;
}

static void sift_down(struct lev_delays *d, size_t i)
{
    struct lev_delayed *x = d->heap[i];
    for (size_t child; (child = 2 * i + 1) < d->n; i = child) {
        if (child + 1 < d->n && comes_before(d->heap[child + 1], d->heap[child]))
            child++;
        if (!comes_before(d->heap[child], x))
            break;
        d->heap[i] = d->heap[child];
    }
    d->heap[i] = x;
}

/* Takes the reference. */
static void heap_push(struct lev_delays *d, struct lev_delayed *x)
{
    if (d->n == d->cap) {
        d->cap = d->cap ? d->cap * 2 : 64;
        d->heap = lev_xrealloc(d->heap, d->cap * sizeof(struct lev_delayed *));
    }
    size_t i = d->n++;
    for (; i > 0 && comes_before(x, d->heap[(i - 1) / 2]); i = (i - 1) / 2)
        d->heap[i] = d->heap[(i - 1) / 2];
    d->heap[i] = x;
    d->bytes += lev_msg_size(x->msg);
}

/* Gives the reference. */
static struct lev_delayed *heap_pop(struct lev_delays *d)
{
    struct lev_delayed *x = d->heap[0];
    d->heap[0] = d->heap[--d->n];
    if (d->n)
        sift_down(d, 0);
    d->bytes -= lev_msg_size(x->msg);
    return x;
}

static int compare(const void *a, const void *b)
{
    const struct lev_delayed *x = *(struct lev_delayed *const *)a,
                             *y = *(struct lev_delayed *const *)b;
    return comes_before(x, y) ? -1 : comes_before(y, x);
}

/* Forgets the later ones when there are too many. A sorted array is a heap, too. */
static void keep_bounds(struct lev_delays *d)
{
    const struct lev_delay_limits *l = &d->limits;
    if (d->loading || d->n < 2 || (d->n <= l->max && d->bytes <= l->max_bytes))
        return;
    qsort(d->heap, d->n, sizeof(struct lev_delayed *), compare);
    while (d->n > 1 && (d->n > l->max / 2 || d->bytes > l->max_bytes / 2)) {
        struct lev_delayed *last = d->heap[--d->n];
        d->bytes -= lev_msg_size(last->msg);
        d->beyond = true;
        d->horizon_due = last->due_ms;
        d->horizon_seq = last->seq;
        lev_delayed_unref(&last);
    }
}

/* ---- Reading ahead ---- */

static void ask(struct lev_vhost *v)
{
    struct lev_delays *d = &v->delays;
    if (!d->loading || d->asked || v->durable < d->read_after || lev_vhost_now(v) < d->retry_ms)
        return;
    struct lev_read *r = lev_xcalloc(1, sizeof(*r));
    r->delayed = true;
    r->from_due = d->horizon_due;
    r->from = d->horizon_seq;
    r->max_items = d->limits.max / 2 + 1;
    r->max_bytes = d->limits.max_bytes / 2 + 1;
    d->asked = true;
    v->store->ops->read(v->store, r);
}

static void read_ahead(struct lev_vhost *v)
{
    struct lev_delays *d = &v->delays;
    const struct lev_batch *b = v->open;
    if (!d->loading && d->beyond && d->n <= d->limits.max / 4 &&
        d->bytes <= d->limits.max_bytes / 4) {
        d->loading = true;
        d->fresh_from = d->next_seq;
        d->read_after = b->n_ops || v->marked.n ? b->id : b->id - 1;
    }
    ask(v);
}

static void set_timer(struct lev_vhost *v)
{
    struct lev_delays *d = &v->delays;
    uint64_t due = d->n ? d->heap[0]->due_ms : UINT64_MAX;
    if (d->loading && !d->asked && d->retry_ms > lev_vhost_now(v) && d->retry_ms < due)
        due = d->retry_ms;
    if (due == UINT64_MAX)
        lev_timer_clear(&v->timers, &d->timer);
    else
        lev_timer_set(&v->timers, &d->timer, due);
}

/* What was added meanwhile is in the heap now, or only in the store. */
static void sort_fresh(struct lev_delays *d)
{
    for (size_t i = 0; i < d->n_fresh; i++) {
        if (below_horizon(d, d->fresh[i]))
            heap_push(d, d->fresh[i]);
        else
            lev_delayed_unref(&d->fresh[i]);
    }
    free(d->fresh);
    d->fresh = NULL;
    d->n_fresh = d->cap_fresh = 0;
}

static void take_block(struct lev_delays *d, const struct lev_read *r)
{
    for (size_t i = 0; i < r->n_late; i++)
        if (r->late[i]->seq < d->fresh_from)
            heap_push(d, lev_delayed_ref(r->late[i]));
    d->beyond = !r->exhausted;
    if (r->exhausted || !r->n_late)
        return;
    d->horizon_due = r->late[r->n_late - 1]->due_ms;
    d->horizon_seq = r->late[r->n_late - 1]->seq + 1;
}

void lev_delays_loaded(struct lev_vhost *v, const struct lev_read *r)
{
    struct lev_delays *d = &v->delays;
    d->asked = false;
    if (r->rc < 0) {
        lev_log_error("vhost %.*s: cannot read delayed messages: %s", LEV_FMT(v->name),
                      lev_err_text(r->rc));
        d->retry_ms = lev_vhost_now(v) + RETRY_MS;
    } else {
        d->loading = false;
        take_block(d, r);
        sort_fresh(d);
        keep_bounds(d);
        read_ahead(v);
    }
    set_timer(v);
}

void lev_delays_stored(struct lev_vhost *v)
{
    ask(v);
}

/* ---- Coming due ---- */

static void route(struct lev_vhost *v, struct lev_exchange *x, const struct lev_delayed *m)
{
    struct lev_msg *msg = lev_delay_message(m->msg);
    struct lev_bytes few[16], *keys = few;
    size_t n = lev_keys_unpack(m->keys, NULL);
    if (n > 16)
        keys = lev_xmalloc(n * sizeof(*keys));
    lev_keys_unpack(m->keys, keys);
    if (!n)
        keys[n++] = lev_msg_key(msg);
    lev_effects_begin(v);
    const struct lev_route *r = lev_route_due(v->topology, x, msg, keys, n, lev_msg_headers(msg));
    for (size_t i = 0; i < r->n; i++)
        lev_queue_publish(LEV_CONTAINER(r->dests[i], struct lev_queue, dest), msg);
    if (keys != few)
        free(keys);
    lev_msg_unref(&msg);
}

/* Takes the reference. An exchange that is gone takes its messages with it. */
static void come_due(struct lev_vhost *v, struct lev_delayed *m)
{
    struct lev_exchange *x = lev_exchange_get(v->topology, m->exchange);
    lev_vhost_op(v, &(struct lev_op){.kind = LEV_OP_DELAY_DONE, .u.delayed = lev_delayed_ref(m)});
    uncount(&v->delays, m->exchange);
    if (x && x->type == &lev_exchange_delayed)
        route(v, x, m);
    lev_delayed_unref(&m);
}

static bool store_is_behind(const struct lev_vhost *v)
{
    return v->failed || lev_vhost_unwritten(v) >= LEV_UNWRITTEN_HIGH;
}

static void on_due(struct lev_timer *t, uint64_t now_ms)
{
    struct lev_vhost *v = LEV_CONTAINER(t, struct lev_vhost, delays.timer);
    struct lev_delays *d = &v->delays;
    size_t budget = SLICE;
    while (budget && d->n && d->heap[0]->due_ms <= now_ms && !store_is_behind(v)) {
        come_due(v, heap_pop(d));
        budget--;
    }
    read_ahead(v);
    set_timer(v);
    if (d->n && d->heap[0]->due_ms <= now_ms) /* others have the lock in between */
        lev_timer_set(&v->timers, t, now_ms + (budget ? BACK_OFF_MS : 1));
}

/* ---- Coming in ---- */

static void keep_fresh(struct lev_delays *d, struct lev_delayed *m)
{
    if (d->n_fresh == d->cap_fresh) {
        d->cap_fresh = d->cap_fresh ? d->cap_fresh * 2 : 64;
        d->fresh = lev_xrealloc(d->fresh, d->cap_fresh * sizeof(struct lev_delayed *));
    }
    d->fresh[d->n_fresh++] = m;
}

void lev_delay_add(struct lev_vhost *v, const struct lev_exchange *x, struct lev_msg *msg,
                   const struct lev_bytes *keys, size_t n_keys, uint64_t delay_ms)
{
    struct lev_delays *d = &v->delays;
    bool plain = n_keys == 1 && lev_bytes_eq(keys[0], lev_msg_key(msg));
    struct lev_bytes packed = plain ? LEV_EMPTY : lev_keys_pack(keys, n_keys);
    struct lev_delayed *m =
        lev_delayed_new(lev_vhost_now(v) + delay_ms, d->next_seq++, msg, x->def.name, packed);
    lev_bytes_free(&packed);
    lev_vhost_op(v, &(struct lev_op){.kind = LEV_OP_DELAY_ADD, .u.delayed = lev_delayed_ref(m)});
    count(d, m->exchange, 1);
    if (below_horizon(d, m))
        heap_push(d, m);
    else if (d->loading)
        keep_fresh(d, m);
    else
        lev_delayed_unref(&m);
    keep_bounds(d);
    set_timer(v);
}

/* ---- Life ---- */

void lev_delays_recover(struct lev_vhost *v, const struct lev_delay_state *s)
{
    struct lev_delays *d = &v->delays;
    count(d, s->exchange, s->count);
    if (s->last_seq >= d->next_seq)
        d->next_seq = s->last_seq + 1;
    d->beyond = true;
    lev_timer_set(&v->timers, &d->timer, 0); /* the first block, as soon as things run */
}

void lev_delays_init(struct lev_delays *d)
{
    *d = (struct lev_delays){.limits = lev_delay_limits_default, .next_seq = 1};
    lev_map_init(&d->counts);
    d->timer.fire = on_due;
}

void lev_delays_deinit(struct lev_delays *d)
{
    for (size_t i = 0; i < d->n; i++)
        lev_delayed_unref(&d->heap[i]);
    for (size_t i = 0; i < d->n_fresh; i++)
        lev_delayed_unref(&d->fresh[i]);
    free(d->heap);
    free(d->fresh);
    LEV_MAP_EACH(slot, &d->counts)
    {
        struct delay_count *c = slot->value;
        lev_bytes_free(&c->name);
        free(c);
    }
    lev_map_deinit(&d->counts);
}
