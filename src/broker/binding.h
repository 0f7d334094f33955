/* One binding, and the map by which bindings are told apart.
 *
 * Identity is source, destination, routing key and arguments, the arguments typed and in any order
 * (lev_table_same). The map's key is a run of octets in the binding: both ends' addresses, a hash
 * of the arguments that does not depend on their order, the routing key. Bindings that share all
 * that are chained and told apart by comparing arguments. */
#ifndef LEV_BROKER_BINDING_H
#define LEV_BROKER_BINDING_H

#include "base/list.h"
#include "base/map.h"
#include "broker/store.h"

struct lev_dest;
struct lev_exchange;
struct lev_headers_rule;

struct lev_binding_id {
    const struct lev_exchange *source;
    const struct lev_dest *dest;
    uint64_t args_hash;
};

struct lev_binding {
    struct lev_list source_node, dest_node;
    struct lev_list index_node; /* the source's type's */
    struct lev_exchange *source;
    struct lev_dest *dest;
    struct lev_binding *same;      /* next with the same octets of identity */
    struct lev_headers_rule *rule; /* the source's type's */
    uint32_t args_len;
    uint8_t key_len;
    struct lev_binding_id id;
    uint8_t bytes[]; /* routing key, arguments; the key right behind id */
};

_Static_assert(offsetof(struct lev_binding, bytes) ==
                   offsetof(struct lev_binding, id) + sizeof(struct lev_binding_id),
               "identity is contiguous");

static inline struct lev_bytes lev_binding_key(const struct lev_binding *b)
{
    return lev_bytes(b->bytes, b->key_len);
}

static inline struct lev_bytes lev_binding_args(const struct lev_binding *b)
{
    return lev_bytes(b->bytes + b->key_len, b->args_len);
}

/* A binding in no list and no map. key.len <= 255. Never NULL; free(). */
struct lev_binding *lev_binding_new(struct lev_exchange *source, struct lev_dest *dest,
                                    struct lev_bytes key, struct lev_bytes args);

/* The binding as a definition: views into b and its ends. */
struct lev_binding_def lev_binding_def(const struct lev_binding *b);

/* The binding of that identity, or NULL. key.len <= 255. */
struct lev_binding *lev_binding_find(const struct lev_map *m, const struct lev_exchange *source,
                                     const struct lev_dest *dest, struct lev_bytes key,
                                     struct lev_bytes args);
/* b is not in the map / is in the map. */
void lev_binding_insert(struct lev_map *m, struct lev_binding *b);
void lev_binding_remove(struct lev_map *m, struct lev_binding *b);

#endif
