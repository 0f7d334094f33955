/* One binding, and the map by which bindings are told apart. See binding.h. Runs under the vhost's
 * lock. */
#include "broker/binding.h"

#include <assert.h>

#include "amqp/table.h"
#include "base/hash.h"
#include "broker/exchange.h"

/* Longest identity: fixed part and a routing key. */
enum { ID_MAX = sizeof(struct lev_binding_id) + 255 };

/* Equal for tables that are the same. Floats and nested tables count by type alone: chains sort it
 * out. */
static uint64_t hash_args(struct lev_bytes args)
{
    uint64_t sum = 0;
    struct lev_bytes key;
    struct lev_value v;
    while (lev_table_next(&args, &key, &v) > 0) {
        uint64_t h = lev_hash(key, v.type);
        if (v.type == 'S' || v.type == 'x')
            h = lev_hash(v.b, h);
        else if (v.type != 'F' && v.type != 'A' && v.type != 'f' && v.type != 'd')
            h = lev_hash(lev_bytes(&v.i, sizeof(v.i)), h);
        sum += h;
    }
    return sum;
}

struct lev_binding *lev_binding_new(struct lev_exchange *source, struct lev_dest *dest,
                                    struct lev_bytes key, struct lev_bytes args)
{
    assert(key.len <= UINT8_MAX);
    struct lev_binding *b = lev_xmalloc(sizeof(*b) + key.len + args.len);
    *b = (struct lev_binding){
        .source = source,
        .dest = dest,
        .args_len = (uint32_t)args.len,
        .key_len = (uint8_t)key.len,
        .id = {source, dest, hash_args(args)},
    };
    lev_list_init(&b->source_node);
    lev_list_init(&b->dest_node);
    lev_list_init(&b->index_node);
    if (key.len)
        memcpy(b->bytes, key.ptr, key.len);
    if (args.len)
        memcpy(b->bytes + key.len, args.ptr, args.len);
    return b;
}

struct lev_binding_def lev_binding_def(const struct lev_binding *b)
{
    return (struct lev_binding_def){
        .to_queue = b->dest->is_queue,
        .source = b->source->def.name,
        .destination = b->dest->name,
        .routing_key = lev_binding_key(b),
        .arguments = lev_binding_args(b),
    };
}

static struct lev_bytes identity(const struct lev_binding *b)
{
    const uint8_t *at = (const uint8_t *)b + offsetof(struct lev_binding, id);
    return lev_bytes(at, sizeof(b->id) + b->key_len);
}

struct lev_binding *lev_binding_find(const struct lev_map *m, const struct lev_exchange *source,
                                     const struct lev_dest *dest, struct lev_bytes key,
                                     struct lev_bytes args)
{
    uint8_t id[ID_MAX];
    assert(key.len <= UINT8_MAX);
    struct lev_binding_id head = {source, dest, hash_args(args)};
    memcpy(id, &head, sizeof(head));
    if (key.len)
        memcpy(id + sizeof(head), key.ptr, key.len);
    struct lev_binding *b = lev_map_get(m, lev_bytes(id, sizeof(head) + key.len));
    while (b && !lev_table_same(lev_binding_args(b), args))
        b = b->same;
    return b;
}

void lev_binding_insert(struct lev_map *m, struct lev_binding *b)
{
    b->same = lev_map_put(m, identity(b), b);
}

void lev_binding_remove(struct lev_map *m, struct lev_binding *b)
{
    struct lev_binding *first = lev_map_get(m, identity(b));
    if (first == b) {
        lev_map_remove(m, identity(b));
        if (b->same)
            lev_map_put(m, identity(b->same), b->same);
        return;
    }
    while (first->same != b)
        first = first->same;
    first->same = b->same;
}
