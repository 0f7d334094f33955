/* Hash map from byte strings to pointers: open addressing, linear probing, deletion by shifting
 * back. The key is a view that must live as long as its entry (usually it points into the value).
 * Not thread-safe; whoever owns the map's lock uses it. */
#ifndef LEV_BASE_MAP_H
#define LEV_BASE_MAP_H

#include "base/bytes.h"

struct lev_map_slot {
    uint64_t hash;
    struct lev_bytes key;
    void *value; /* NULL: free slot */
};

struct lev_map {
    struct lev_map_slot *slots;
    size_t cap; /* power of two, or 0 */
    size_t len;
};

void lev_map_init(struct lev_map *m);
/* Frees the table, not the values. */
void lev_map_deinit(struct lev_map *m);
/* Value at key, or NULL. */
void *lev_map_get(const struct lev_map *m, struct lev_bytes key);
/* Adds or replaces; value is not NULL. Returns the previous value or NULL. */
void *lev_map_put(struct lev_map *m, struct lev_bytes key, void *value);
/* Removes and returns the value, or NULL. */
void *lev_map_remove(struct lev_map *m, struct lev_bytes key);

/* Iterates in no order; the map must not change meanwhile. */
#define LEV_MAP_EACH(slot, m)                                                                      \
    for (struct lev_map_slot *slot = (m)->slots; slot && slot < (m)->slots + (m)->cap; slot++)     \
        if (slot->value)

#endif
