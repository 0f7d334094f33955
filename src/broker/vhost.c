/* A virtual host: its lock, the end of a run, and what the store tells. See vhost.h and store.h.
 *
 * Threads: everything runs under the vhost's lock; the store's callbacks come from its threads and
 * take it. */
#include "broker/vhost_int.h"

#include "base/log.h"
#include "base/mem.h"
#include "broker/consume.h"
#include "broker/declare.h"
#include "broker/pace.h"
#include "broker/policy.h"

/* Positions that the store believes handed out beyond what was: so few queue rows are written for
 * deliveries alone, and after a crash nothing that was handed out comes back without the flag. */
enum { DELIVERED_RESERVE = 65536 };

enum { CONSUMER_TIMEOUT_MS = 1800000, PATROL_MS = 60000 };

/* Bounds of one hold of the lock. */
enum { KICKS_MAX = 256, TIMERS_MAX = 256 };

static struct lev_dest *topology_queue(void *ctx, struct lev_bytes name)
{
    struct lev_vhost *v = ctx;
    struct lev_queue *q = lev_map_get(&v->queues, name);
    return q ? &q->dest : NULL;
}

static void topology_persist(void *ctx, enum lev_op_kind kind, void *def)
{
    lev_vhost_op(ctx, &(struct lev_op){.kind = (uint8_t)kind, .u.def = def});
}

static void topology_deliver(void *ctx, struct lev_dest *queue, struct lev_msg *msg)
{
    (void)ctx;
    lev_queue_publish(LEV_CONTAINER(queue, struct lev_queue, dest), msg);
}

static const char *topology_queue_type(void *ctx, const struct lev_dest *queue)
{
    (void)ctx;
    const struct lev_queue *q = LEV_CONTAINER(queue, struct lev_queue, dest);
    return q->settings->type == LEV_QUEUE_QUORUM ? "rabbit_quorum_queue" : "rabbit_classic_queue";
}

static const struct lev_topology_ops topology_ops = {.queue = topology_queue,
                                                     .persist = topology_persist,
                                                     .deliver = topology_deliver,
                                                     .queue_type = topology_queue_type,
                                                     .alternate = lev_vhost_policy_alternate,
                                                     .deduplicate = lev_vhost_deduplicate,
                                                     .duplicate = lev_vhost_duplicate,
                                                     .delay = lev_vhost_delay};

const struct lev_windows lev_windows_default = {.max = 16384,
                                                .keep = 4096,
                                                .max_bytes = 16 << 20,
                                                .keep_bytes = 4 << 20,
                                                .tail_max = 16384,
                                                .tail_max_bytes = 16 << 20,
                                                .pressure = 256 << 20};

void lev_vhost_set_windows(struct lev_vhost *v, const struct lev_windows *w)
{
    v->windows = *w;
}

/* A run of its own is all that was wanted. */
static void on_again(struct lev_timer *t, uint64_t now_ms)
{
    (void)t;
    (void)now_ms;
}

static void init_settings(struct lev_vhost *v)
{
    struct lev_queue_settings plain;
    lev_list_init(&v->settings);
    lev_settings_resolve(LEV_EMPTY, NULL, &plain);
    v->plain = lev_settings_share(&v->settings, &plain);
}

struct lev_vhost *lev_vhost_new(struct lev_bytes name, struct lev_store *store,
                                uint64_t (*now_ms)(void))
{
    struct lev_vhost *v = lev_xcalloc(1, sizeof(*v));
    lev_lock_init(&v->lock);
    v->name = lev_bytes_dup(name);
    v->store = store;
    v->now_ms = now_ms;
    v->windows = lev_windows_default;
    v->topology = lev_topology_new(v->name, &topology_ops, v);
    init_settings(v);
    lev_map_init(&v->queues);
    lev_map_init(&v->reply_chans);
    lev_timers_init(&v->timers);
    lev_delays_init(&v->delays);
    v->again.fire = on_again;
    v->reread.fire = lev_window_reread;
    v->patrol.fire = lev_patrol;
    v->alarm_ms = UINT64_MAX;
    v->consumer_timeout_ms = CONSUMER_TIMEOUT_MS;
    v->patrol_ms = PATROL_MS;
    v->limits = (struct lev_vhost_limits){UINT64_MAX, UINT64_MAX};
    lev_list_init(&v->clients);
    lev_list_init(&v->kicked);
    lev_list_init(&v->unread);
    lev_list_init(&v->confirm_run);
    lev_list_init(&v->confirm_waiting);
    lev_list_init(&v->throttled);
    v->queue_epoch = 1; /* no channel remembers anything of it */
    v->next_batch = 1;
    v->open = lev_batch_new(v->next_batch++);
    return v;
}

void lev_vhost_free(struct lev_vhost **vp)
{
    struct lev_vhost *v = *vp;
    *vp = NULL;
    if (!v)
        return;
    lev_marked_free(&v->marked);
    lev_marked_free(&v->aged);
    lev_marked_free(&v->written); /* not empty when the store gave up with a batch in hand */
    lev_dead_letters_drop(v);
    lev_topology_free(&v->topology); /* bound queues are still alive */
    LEV_MAP_EACH(slot, &v->queues)
    {
        struct lev_queue *q = slot->value;
        lev_park_deinit(q); /* may refer to others, and to itself */
        lev_queue_drop_levels(q);
        lev_queue_unref(&q);
    }
    lev_settings_unref(&v->plain);
    lev_timers_deinit(&v->timers);
    lev_delays_deinit(&v->delays);
    free(v->effects.ids);
    lev_policy_set_free(&v->policies);
    lev_map_deinit(&v->queues);
    lev_map_deinit(&v->reply_chans);
    lev_batch_free(&v->open);
    lev_batch_free(&v->sealed);
    free(v->ids_used);
    lev_bytes_free(&v->name);
    lev_lock_deinit(&v->lock);
    free(v);
}

struct lev_bytes lev_vhost_name(const struct lev_vhost *v)
{
    return v->name;
}

struct lev_topology *lev_vhost_topology(struct lev_vhost *v)
{
    return v->topology;
}

void lev_vhost_read_clock(struct lev_vhost *v)
{
    v->now = v->now_ms();
    v->now_up_s = (uint32_t)((v->now + 999) / 1000);
}

void lev_vhost_lock(struct lev_vhost *v)
{
    lev_lock_take(&v->lock);
}

void lev_vhost_unlock(struct lev_vhost *v)
{
    v->over = NULL;
    lev_lock_release(&v->lock);
}

/* --- the end of a run --- */

void lev_vhost_settle_queues(struct lev_vhost *v)
{
    lev_dead_letters_begin(v);
    for (size_t n = 0; v->n_dead || (n < KICKS_MAX && !lev_list_empty(&v->kicked)); n++) {
        lev_dead_letters_route(v);
        if (lev_list_empty(&v->kicked))
            continue;
        struct lev_queue *q = LEV_LIST_ENTRY(v->kicked.next, struct lev_queue, kick_node);
        lev_list_remove(&q->kick_node);
        lev_queue_dispatch(q);
    }
    bool more = v->put_off.n && lev_dead_letters_go_on(v);
    if (more || !lev_list_empty(&v->kicked))
        lev_timer_set(&v->timers, &v->again, lev_vhost_now(v));
}

static void set_alarm(struct lev_vhost *v)
{
    uint64_t due = lev_timers_next(&v->timers);
    if (due >= v->alarm_ms)
        return;
    v->alarm_ms = due;
    if (v->alarm)
        v->alarm(v->alarm_ctx, due);
}

void lev_vhost_end_run(struct lev_vhost *v)
{
    lev_vhost_settle_queues(v);
    lev_confirm_end_run(v);
    if (!v->woken && lev_vhost_has_batch(v)) {
        v->woken = true;
        v->store->ops->wake(v->store);
    }
    set_alarm(v);
    v->now = 0;
}

void lev_vhost_set_alarm(struct lev_vhost *v, void (*alarm)(void *ctx, uint64_t due_ms), void *ctx)
{
    lev_vhost_lock(v);
    v->alarm = alarm;
    v->alarm_ctx = ctx;
    lev_vhost_unlock(v);
}

void lev_vhost_set_consumer_timeout(struct lev_vhost *v, uint64_t ms, uint64_t patrol_ms)
{
    v->consumer_timeout_ms = ms;
    v->patrol_ms = patrol_ms;
}

void lev_vhost_set_limits(struct lev_vhost *v, const struct lev_vhost_limits *l)
{
    v->limits = *l;
}

const struct lev_vhost_limits *lev_vhost_connections_reached(const struct lev_vhost *v)
{
    return v->n_clients >= v->limits.connections ? &v->limits : NULL;
}

const struct lev_vhost_limits *lev_vhost_queues_reached(const struct lev_vhost *v)
{
    return v->queues.len >= v->limits.queues ? &v->limits : NULL;
}

void lev_vhost_tick(struct lev_vhost *v)
{
    lev_vhost_lock(v);
    v->alarm_ms = UINT64_MAX;
    if (lev_timers_run(&v->timers, lev_vhost_now(v), TIMERS_MAX))
        lev_timer_set(&v->timers, &v->again, lev_vhost_now(v));
    lev_vhost_end_run(v);
    lev_vhost_unlock(v);
}

bool lev_vhost_throttle(struct lev_vhost *v, struct lev_client *c)
{
    bool behind = v->failed || lev_vhost_unwritten(v) >= LEV_UNWRITTEN_HIGH;
    bool held = behind && (c->stores || v->memory > v->windows.pressure);
    c->stores = false;
    if (held && !lev_list_linked(&c->throttle_node))
        lev_list_push_back(&v->throttled, &c->throttle_node);
    if (!held && v->over) {
        held = lev_pace_hold(v->over, c);
        set_alarm(v);
        v->now = 0;
    }
    return held;
}

static void release_throttled(struct lev_vhost *v)
{
    if (v->failed || lev_vhost_unwritten(v) > LEV_UNWRITTEN_LOW)
        return;
    while (!lev_list_empty(&v->throttled)) {
        struct lev_client *c = LEV_LIST_ENTRY(v->throttled.next, struct lev_client, throttle_node);
        lev_list_remove(&c->throttle_node);
        lev_client_notify(c);
    }
}

/* --- what the store tells --- */

/* What waited for batches up to v->durable goes on. */
static void settle_waiting(struct lev_vhost *v)
{
    LEV_LIST_EACH(it, nx, &v->confirm_waiting)
    {
        struct lev_chan *ch = LEV_LIST_ENTRY(it, struct lev_chan, wait_node);
        if (ch->tx_mode)
            lev_tx_flush(ch, v->durable);
        else
            lev_confirm_flush(ch, v->durable);
    }
}

static bool has_row(const struct lev_queue *q)
{
    return !q->deleted && q->dest.durable;
}

/* Fills the rows of the queues that the batch touched. False when none needs writing. */
static bool write_marks(const struct lev_marked *m, struct lev_batch *b)
{
    bool needed = false;
    b->marks = lev_xmalloc((m->n + 1) * sizeof(*b->marks));
    b->cap_marks = m->n + 1;
    for (size_t i = 0; i < m->n; i++) {
        struct lev_queue *q = m->a[i];
        if (!has_row(q))
            continue;
        bool consumed = q->top->n_consumers > 0;
        uint64_t to = q->delivered_to + (consumed ? DELIVERED_RESERVE : 0);
        needed |= consumed ? q->delivered_to >= q->reserved_to : to != q->reserved_to;
        b->marks[b->n_marks++] =
            (struct lev_queue_mark){.queue_id = q->id, .next_pos = q->next_pos, .delivered_to = to};
    }
    return needed;
}

static void commit_marks(const struct lev_marked *m, const struct lev_batch *b)
{
    for (size_t i = 0, k = 0; i < m->n; i++)
        if (has_row(m->a[i]))
            m->a[i]->reserved_to = b->marks[k++].delivered_to;
}

/* The batch that was taken, with this id, is on stable storage, and all before it. */
static void became_durable(struct lev_vhost *v, uint64_t id)
{
    v->durable = id;
    for (size_t i = 0; i < v->written.n; i++) {
        lev_window_stored(v->written.a[i]);
        lev_queue_unref(&v->written.a[i]);
    }
    v->written.n = 0;
    lev_delays_stored(v);
    settle_waiting(v);
    release_throttled(v);
    lev_vhost_end_run(v);
}

/* b, taken, unless there is nothing to write in it: then it is durable as it is. */
static struct lev_batch *unless_empty(struct lev_vhost *v, struct lev_batch *b)
{
    bool marks = write_marks(&v->written, b);
    if (b->live || marks) {
        commit_marks(&v->written, b);
        v->in_flight_bytes += b->bytes;
        return b;
    }
    became_durable(v, b->id);
    lev_batch_free(&b);
    return NULL;
}

static struct lev_batch *on_take(void *ctx, bool seal)
{
    struct lev_vhost *v = ctx;
    struct lev_batch *b = NULL;
    lev_vhost_lock(v);
    v->woken = false;
    do {
        b = lev_vhost_take(v, seal);
        if (b)
            b = unless_empty(v, b);
    } while (!b && !seal && lev_vhost_has_batch(v));
    lev_vhost_unlock(v);
    return b;
}

/* A commit is the occasion: without one a store that cannot read would be asked over and over. */
static void retry_reads(struct lev_vhost *v)
{
    LEV_LIST_EACH(it, nx, &v->unread)
    {
        lev_list_remove(it);
        lev_window_stored(LEV_LIST_ENTRY(it, struct lev_queue, unread_node));
    }
}

static void on_done(void *ctx, struct lev_batch *b)
{
    struct lev_vhost *v = ctx;
    lev_vhost_lock(v);
    v->durable = b->id;
    retry_reads(v);
    v->in_flight_bytes -= b->bytes;
    became_durable(v, b->id);
    lev_vhost_unlock(v);
    lev_batch_free(&b);
}

static void on_trouble(void *ctx, int rc, const char *text)
{
    struct lev_vhost *v = ctx;
    lev_vhost_lock(v);
    v->failed = rc < 0;
    if (rc < 0)
        lev_log_error("vhost %.*s: cannot write to the store: %s; publishers are held back",
                      LEV_FMT(v->name), text);
    else
        lev_log_warn("vhost %.*s: the store takes writes again", LEV_FMT(v->name));
    release_throttled(v);
    lev_vhost_unlock(v);
}

static void on_loaded(void *ctx, struct lev_read *r)
{
    struct lev_vhost *v = ctx;
    struct lev_queue *q = r->user;
    lev_vhost_lock(v);
    if (r->delayed) {
        lev_delays_loaded(v, r);
    } else {
        if (r->parked)
            lev_park_loaded(q, r);
        else
            lev_window_loaded(q, r);
        lev_queue_unref(&q);
    }
    lev_vhost_end_run(v);
    lev_vhost_unlock(v);
    lev_read_free(&r);
}

static struct lev_activity on_activity(void *ctx)
{
    struct lev_vhost *v = ctx;
    return (struct lev_activity){atomic_load_explicit(&v->enqueued, memory_order_relaxed),
                                 atomic_load_explicit(&v->settled, memory_order_relaxed),
                                 atomic_load_explicit(&v->cancelled, memory_order_relaxed)};
}

const struct lev_store_client lev_vhost_store_client = {.take = on_take,
                                                        .activity = on_activity,
                                                        .done = on_done,
                                                        .trouble = on_trouble,
                                                        .loaded = on_loaded};

/* --- recovery --- */

static void recover_exchange(void *ctx, const struct lev_exchange_def *d)
{
    struct lev_vhost *v = ctx;
    lev_topology_restore_exchange(v->topology, d);
}

static void recover_queue(void *ctx, const struct lev_queue_def *d, const struct lev_queue_state *s)
{
    struct lev_vhost *v = ctx;
    struct lev_queue *q = lev_queue_new(v, d);
    struct lev_queue *top = d->level ? lev_map_get(&v->queues, d->name) : NULL;
    lev_vhost_use_queue_id(v, d->queue_id);
    if (top) {
        if (!lev_queue_set_level(top, q)) {
            lev_log_error("queue %.*s: a stored priority level %u that it does not have",
                          LEV_FMT(d->name), d->level - 1);
            lev_queue_unref(&q);
            return;
        }
    } else {
        struct lev_queue_settings settings;
        lev_map_put(&v->queues, q->dest.name, q);
        lev_vhost_resolve(v, d->name, d->arguments, &settings);
        lev_queue_apply_settings(q, &settings);
        if (q->settings->max_priority)
            lev_queue_make_levels(q);
    }
    lev_window_recover(q, s);
}

static void recover_binding(void *ctx, const struct lev_binding_def *d)
{
    struct lev_vhost *v = ctx;
    if (!lev_topology_restore_binding(v->topology, d))
        lev_log_warn("vhost %.*s: a stored binding of exchange '%.*s' leads nowhere",
                     LEV_FMT(v->name), LEV_FMT(d->source));
}

static void recover_used_id(void *ctx, uint32_t queue_id)
{
    lev_vhost_use_queue_id(ctx, queue_id);
}

const struct lev_recovery lev_vhost_recovery = {.used_id = recover_used_id,
                                                .exchange = recover_exchange,
                                                .queue = recover_queue,
                                                .binding = recover_binding,
                                                .delayed = lev_vhost_recover_delayed,
                                                .dedup = lev_vhost_recover_dedup};

/* --- counters --- */

void lev_vhost_stats(struct lev_vhost *v, struct lev_vhost_stats *out)
{
    lev_vhost_lock(v);
    *out = (struct lev_vhost_stats){.exchanges = lev_exchange_count(v->topology),
                                    .queues = v->queues.len,
                                    .consumers = v->n_consumers,
                                    .channels = v->n_channels,
                                    .connections = v->n_clients,
                                    .ready = v->ready,
                                    .unacked = v->unacked,
                                    .delayed = lev_delay_count_all(v),
                                    .lock = v->lock.stats};
    lev_vhost_unlock(v);
}
