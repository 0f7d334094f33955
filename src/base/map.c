/* Hash map from byte strings to pointers. See map.h. */
#include "base/map.h"

#include "base/hash.h"
#include "base/mem.h"

void lev_map_init(struct lev_map *m)
{
    *m = (struct lev_map){0};
}

void lev_map_deinit(struct lev_map *m)
{
    free(m->slots);
    *m = (struct lev_map){0};
}

/* Slot that holds key, or the free slot where it belongs. The table has a free slot. */
static struct lev_map_slot *find(const struct lev_map *m, struct lev_bytes key, uint64_t hash)
{
    size_t i = (size_t)hash & (m->cap - 1);
    while (m->slots[i].value) {
        if (m->slots[i].hash == hash && lev_bytes_eq(m->slots[i].key, key))
            break;
        i = (i + 1) & (m->cap - 1);
    }
    return &m->slots[i];
}

static void resize(struct lev_map *m, size_t cap)
{
    struct lev_map old = *m;
    m->cap = cap;
    m->slots = lev_xcalloc(cap, sizeof(*m->slots));
    for (size_t i = 0; i < old.cap; i++)
        if (old.slots[i].value)
            *find(m, old.slots[i].key, old.slots[i].hash) = old.slots[i];
    free(old.slots);
}

void *lev_map_get(const struct lev_map *m, struct lev_bytes key)
{
    if (m->len == 0)
        return NULL;
    return find(m, key, lev_hash(key, 0))->value;
}

void *lev_map_put(struct lev_map *m, struct lev_bytes key, void *value)
{
    if ((m->len + 1) * 4 > m->cap * 3)
        resize(m, m->cap ? m->cap * 2 : 8);
    uint64_t hash = lev_hash(key, 0);
    struct lev_map_slot *s = find(m, key, hash);
    void *old = s->value;
    if (!old)
        m->len++;
    *s = (struct lev_map_slot){hash, key, value};
    return old;
}

void *lev_map_remove(struct lev_map *m, struct lev_bytes key)
{
    if (m->len == 0)
        return NULL;
    struct lev_map_slot *s = find(m, key, lev_hash(key, 0));
    void *old = s->value;
    if (!old)
        return NULL;
    size_t mask = m->cap - 1, hole = (size_t)(s - m->slots), i = hole;
    for (;;) {
        i = (i + 1) & mask;
        if (!m->slots[i].value)
            break;
        size_t home = (size_t)m->slots[i].hash & mask;
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            m->slots[hole] = m->slots[i];
            hole = i;
        }
    }
    m->slots[hole] = (struct lev_map_slot){0};
    m->len--;
    return old;
}
