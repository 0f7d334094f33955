/* A topology with queues that are nothing but destinations. See world.h. */
#include "world.h"

#include "args.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

static struct lev_dest *find_queue(void *ctx, struct lev_bytes name)
{
    struct world *w = ctx;
    return lev_map_get(&w->queues, name);
}

static void note(struct world *w, const char *text)
{
    ck_assert_uint_lt(strlen(w->journal) + strlen(text), sizeof(w->journal));
    strcat(w->journal, text);
}

static void on_persist(void *ctx, enum lev_op_kind kind, void *def)
{
    const struct lev_exchange_def *x = def;
    const struct lev_binding_def *b = def;
    char line[600] = "";
    char sign = kind == LEV_OP_EXCHANGE_ADD || kind == LEV_OP_BINDING_ADD ? '+' : '-';
    if (kind == LEV_OP_EXCHANGE_ADD || kind == LEV_OP_EXCHANGE_DELETE)
        snprintf(line, sizeof(line), "%cx %.*s %.*s;", sign, LEV_FMT(x->name), LEV_FMT(x->type));
    else
        snprintf(line, sizeof(line), "%cb %.*s>%s:%.*s %.*s;", sign, LEV_FMT(b->source),
                 b->to_queue ? "q" : "x", LEV_FMT(b->destination), LEV_FMT(b->routing_key));
    note(ctx, line);
    free(def);
}

static void on_exchange(void *ctx, struct lev_bytes name)
{
    struct world *w = ctx;
    ck_assert_uint_gt(name.len, 0);
    w->told++;
}

static void on_deliver(void *ctx, struct lev_dest *queue, struct lev_msg *msg)
{
    char line[600];
    snprintf(line, sizeof(line), "=%.*s %.*s;", LEV_FMT(queue->name), LEV_FMT(lev_msg_body(msg)));
    note(ctx, line);
}

static const char *type_of(void *ctx, const struct lev_dest *queue)
{
    (void)ctx;
    return lev_bytes_eq(queue->name, LEV_LIT("quorum")) ? "rabbit_quorum_queue"
                                                        : "rabbit_classic_queue";
}

static const struct lev_topology_ops ops = {
    .queue = find_queue,
    .persist = on_persist,
    .exchange_gone = on_exchange,
    .deliver = on_deliver,
    .queue_type = type_of,
};

void world_init(struct world *w)
{
    *w = (struct world){0};
    lev_map_init(&w->queues);
    w->t = lev_topology_new(LEV_LIT("/"), &ops, w);
}

void world_deinit(struct world *w)
{
    lev_topology_free(&w->t);
    ck_assert_ptr_null(w->t);
    LEV_MAP_EACH(slot, &w->queues)
    {
        struct lev_dest *d = slot->value;
        ck_assert(lev_list_empty(&d->bindings));
        lev_bytes_free(&d->name);
        free(d);
    }
    lev_map_deinit(&w->queues);
}

struct lev_dest *world_queue(struct world *w, const char *name, bool durable)
{
    struct lev_dest *d = malloc(sizeof(*d));
    ck_assert_ptr_nonnull(d);
    lev_dest_init(d, true, durable, lev_bytes_dup(lev_bytes_str(name)));
    ck_assert_ptr_null(lev_map_put(&w->queues, d->name, d));
    return d;
}

void world_queue_gone(struct world *w, const char *name)
{
    struct lev_dest *d = lev_map_get(&w->queues, lev_bytes_str(name));
    ck_assert_ptr_nonnull(d);
    lev_topology_queue_gone(w->t, d);
    ck_assert(lev_list_empty(&d->bindings));
    lev_map_remove(&w->queues, d->name);
    lev_bytes_free(&d->name);
    free(d);
}

void world_expect(struct world *w, const char *text)
{
    ck_assert_str_eq(w->journal, text);
    w->journal[0] = '\0';
}

void world_exchange(struct world *w, const char *name, const char *type, const char *flags,
                    const char *alternate)
{
    struct lev_error err = {0};
    char arguments[300] = "";
    if (alternate)
        snprintf(arguments, sizeof(arguments), "alternate-exchange=S%s", alternate);
    struct lev_exchange_def d = {
        .durable = strchr(flags, 'd') != NULL,
        .auto_delete = strchr(flags, 'a') != NULL,
        .internal = strchr(flags, 'i') != NULL,
        .name = lev_bytes_str(name),
        .type = lev_bytes_str(type),
        .arguments = args(arguments),
    };
    ck_assert_msg(lev_exchange_declare(w->t, &d, &err) == 0, "%s", err.text);
    ck_assert_uint_eq(err.code, 0);
}

struct lev_binding_def world_binding(const char *source, const char *destination, const char *key,
                                     const char *arguments)
{
    return (struct lev_binding_def){
        .to_queue = destination[0] == 'q',
        .source = lev_bytes_str(source),
        .destination = lev_bytes_str(destination + 2),
        .routing_key = lev_bytes_str(key),
        .arguments = args(arguments),
    };
}

void world_bind(struct world *w, const char *source, const char *destination, const char *key,
                const char *arguments)
{
    struct lev_error err = {0};
    struct lev_binding_def d = world_binding(source, destination, key, arguments);
    ck_assert_msg(lev_bind(w->t, &d, &err) == 0, "%s", err.text);
}

void world_unbind(struct world *w, const char *source, const char *destination, const char *key,
                  const char *arguments)
{
    struct lev_error err = {0};
    struct lev_binding_def d = world_binding(source, destination, key, arguments);
    ck_assert_msg(lev_unbind(w->t, &d, &err) == 0, "%s", err.text);
}

bool world_has(struct world *w, const char *exchange)
{
    return lev_exchange_get(w->t, lev_bytes_str(exchange)) != NULL;
}

static size_t split_keys(const char *text, struct lev_bytes *keys, size_t max)
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

static int by_name(const void *a, const void *b)
{
    const struct lev_dest *const *x = a, *const *y = b;
    return lev_bytes_cmp((*x)->name, (*y)->name);
}

void world_route(struct world *w, const char *exchange, const char *keys, const char *headers,
                 const char *queues)
{
    struct lev_bytes key_list[8];
    size_t n_keys = split_keys(keys, key_list, 8);
    struct lev_exchange *x = lev_exchange_get(w->t, lev_bytes_str(exchange));
    ck_assert_ptr_nonnull(x);
    const struct lev_route *r = lev_route(w->t, x, key_list, n_keys, args(headers));
    struct lev_dest *sorted[64];
    char names[1024] = "";
    ck_assert_uint_le(r->n, 64);
    if (r->n)
        memcpy(sorted, r->dests, r->n * sizeof(sorted[0]));
    qsort(sorted, r->n, sizeof(sorted[0]), by_name);
    for (size_t i = 0; i < r->n; i++) {
        ck_assert(sorted[i]->is_queue);
        snprintf(names + strlen(names), sizeof(names) - strlen(names), "%s%.*s", i ? " " : "",
                 LEV_FMT(sorted[i]->name));
    }
    ck_assert_str_eq(names, queues);
}
