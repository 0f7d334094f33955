/* Results of routing, kept by exchange and routing key. See route_cache.h. */
#include "broker/route_cache.h"

#include "base/hash.h"

struct entry {
    uint64_t epoch, hash;
    const struct lev_exchange *x;
    struct lev_route route;
    uint8_t key_len;
    bool any_key;
    struct lev_dest *dests[]; /* and the key behind them */
};

struct lev_route_slot {
    struct entry *entry;
    uint64_t missed; /* hash of the last put that was not kept */
};

enum { SLOTS_MIN = 64 };

static uint64_t hash_of(const struct lev_exchange *x, struct lev_bytes key, bool any_key)
{
    return lev_hash(key, (uint64_t)(uintptr_t)x + any_key);
}

static struct lev_bytes entry_key(const struct entry *e)
{
    return lev_bytes(e->dests + e->route.n, e->key_len);
}

static size_t entry_size(size_t n, size_t key_len)
{
    return sizeof(struct entry) + n * sizeof(struct lev_dest *) + key_len;
}

static void drop(struct lev_route_cache *c, struct lev_route_slot *s)
{
    if (!s->entry)
        return;
    c->n--;
    c->bytes -= entry_size(s->entry->route.n, s->entry->key_len);
    free(s->entry);
    s->entry = NULL;
}

static void clear(struct lev_route_cache *c)
{
    for (size_t i = 0; i < c->cap; i++)
        drop(c, &c->slots[i]);
}

void lev_route_cache_deinit(struct lev_route_cache *c)
{
    clear(c);
    free(c->slots);
    *c = (struct lev_route_cache){0};
}

static struct lev_route_slot *slot_of(const struct lev_route_cache *c, uint64_t hash)
{
    return &c->slots[hash & (c->cap - 1)];
}

static bool is_for(const struct entry *e, uint64_t hash, const struct lev_exchange *x,
                   struct lev_bytes key, bool any_key)
{
    return e->hash == hash && e->x == x && e->any_key == any_key && lev_bytes_eq(entry_key(e), key);
}

const struct lev_route *lev_route_cache_get(const struct lev_route_cache *c,
                                            const struct lev_exchange *x, struct lev_bytes key,
                                            bool any_key, uint64_t epoch)
{
    if (c->n == 0)
        return NULL;
    uint64_t hash = hash_of(x, key, any_key);
    const struct entry *e = slot_of(c, hash)->entry;
    return e && e->epoch == epoch && is_for(e, hash, x, key, any_key) ? &e->route : NULL;
}

/* Twice the slots: every entry has its own place in the larger table too. */
static void grow(struct lev_route_cache *c)
{
    struct lev_route_slot *old = c->slots;
    size_t old_cap = c->cap;
    c->cap = old_cap ? old_cap * 2 : SLOTS_MIN;
    c->slots = lev_xcalloc(c->cap, sizeof(*c->slots));
    for (size_t i = 0; i < old_cap; i++)
        if (old[i].entry)
            slot_of(c, old[i].entry->hash)->entry = old[i].entry;
    free(old);
}

static struct entry *entry_new(const struct lev_exchange *x, struct lev_bytes key,
                               const struct lev_route *route)
{
    struct entry *e = lev_xmalloc(entry_size(route->n, key.len));
    *e = (struct entry){.x = x, .key_len = (uint8_t)key.len};
    e->route = (struct lev_route){route->n, e->dests};
    if (route->n)
        memcpy(e->dests, route->dests, route->n * sizeof(struct lev_dest *));
    if (key.len)
        memcpy(e->dests + route->n, key.ptr, key.len);
    return e;
}

/* The slot for a new entry; the table grows rather than let two right ones displace each other. */
static struct lev_route_slot *make_room(struct lev_route_cache *c, uint64_t hash, uint64_t epoch,
                                        size_t size)
{
    if (c->bytes + size > LEV_ROUTE_CACHE_BYTES_MAX)
        clear(c);
    struct lev_route_slot *s = slot_of(c, hash);
    if (s->entry && s->entry->epoch == epoch && s->entry->hash != hash &&
        c->cap < LEV_ROUTE_CACHE_SLOTS_MAX) {
        grow(c);
        s = slot_of(c, hash);
    }
    drop(c, s);
    return s;
}

void lev_route_cache_put(struct lev_route_cache *c, const struct lev_exchange *x,
                         struct lev_bytes key, bool any_key, uint64_t epoch,
                         const struct lev_route *route)
{
    uint64_t hash = hash_of(x, key, any_key);
    size_t size = entry_size(route->n, key.len);
    if (size > LEV_ROUTE_CACHE_BYTES_MAX / 4)
        return;
    if (c->cap == 0)
        grow(c);
    struct lev_route_slot *s = slot_of(c, hash);
    if (s->missed != hash) {
        s->missed = hash;
        return;
    }
    s = make_room(c, hash, epoch, size);
    s->entry = entry_new(x, key, route);
    s->entry->epoch = epoch;
    s->entry->hash = hash;
    s->entry->any_key = any_key;
    c->n++;
    c->bytes += size;
}
