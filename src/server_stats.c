/* From the rooms' counters to the public ones: plain copies and percentiles. See server_stats.h. */
#include "server_stats.h"

#include "broker/vhost.h"
#include "store/store_sqlite.h"

_Static_assert(LEV_SERVER_VHOST_NAME_MAX >= 255 + 1, "a short string fits, and a NUL");

static void copy_name(struct lev_bytes name, char out[LEV_SERVER_VHOST_NAME_MAX])
{
    size_t n = name.len < LEV_SERVER_VHOST_NAME_MAX ? name.len : LEV_SERVER_VHOST_NAME_MAX - 1;
    memcpy(out, name.ptr, n);
    out[n] = 0;
}

static void copy_alive(const struct lev_vhost_stats *s, struct lev_server_stats *out)
{
    *out = (struct lev_server_stats){.connections = s->connections,
                                     .channels = s->channels,
                                     .consumers = s->consumers,
                                     .exchanges = s->exchanges,
                                     .queues = s->queues,
                                     .messages_ready = s->ready,
                                     .messages_unacked = s->unacked};
}

static struct lev_server_times times(const struct lev_spread *s)
{
    return (struct lev_server_times){.count = s->count,
                                     .sum_ns = s->sum,
                                     .p50_ns = lev_spread_percentile(s, 50),
                                     .p99_ns = lev_spread_percentile(s, 99),
                                     .max_ns = s->max};
}

static void copy_store(struct lev_store *store, struct lev_server_store_stats *out)
{
    struct lev_store_stats s;
    lev_store_get_stats(store, &s);
    *out = (struct lev_server_store_stats){.commits = s.commits,
                                           .batches = s.batches,
                                           .ops = s.ops,
                                           .bytes = s.bytes,
                                           .commit_ns = s.commit_ns,
                                           .apply_ns = s.apply_ns,
                                           .failures = s.failures,
                                           .reads = s.reads,
                                           .read_items = s.read_items,
                                           .checkpoints = s.checkpoints,
                                           .checkpoint_ns = s.checkpoint_ns,
                                           .purged_rows = s.purged_rows,
                                           .purge_ns = s.purge_ns,
                                           .garbage_rows = s.garbage_rows,
                                           .wal_bytes = s.wal_bytes};
}

void lev_server_stats_of(struct lev_vhost *v, struct lev_store *store,
                         struct lev_server_vhost_stats *out)
{
    struct lev_vhost_stats s;
    lev_vhost_stats(v, &s);
    copy_name(lev_vhost_name(v), out->name);
    copy_alive(&s, &out->alive);
    out->messages_delayed = s.delayed;
    out->lock = (struct lev_server_lock_stats){.holds = s.lock.holds,
                                               .held_ns = lev_lock_held_ns(&s.lock),
                                               .hold = times(&s.lock.hold),
                                               .wait = times(&s.lock.wait)};
    copy_store(store, &out->store);
}
