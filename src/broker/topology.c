/* Exchanges and bindings of one vhost: declaring, binding, removing, recovery. See topology.h;
 * routing is in route.c. Runs under the vhost's lock.
 *
 * Removing happens in two steps: bindings are unlinked at once, and exchanges that must go with
 * their last binding are collected in the doomed list, which reap empties before the public
 * function returns. */
#include "broker/topology.h"

#include "amqp/table.h"
#include "base/log.h"
#include "broker/topology_int.h"
#include "broker/topology_text.h"

void lev_dest_init(struct lev_dest *d, bool is_queue, bool durable, struct lev_bytes name)
{
    *d = (struct lev_dest){.is_queue = is_queue, .durable = durable, .name = name};
    lev_list_init(&d->bindings);
}

static struct lev_entity exchange_entity(const struct lev_topology *t, struct lev_bytes name)
{
    return (struct lev_entity){"exchange", name, t->vhost};
}

/* ---- The exchanges
 * ------------------------------------------------------------------------------- */

static void ask_policy(struct lev_topology *t, struct lev_exchange *x)
{
    struct lev_bytes alternate;
    bool some = t->ops->alternate && t->ops->alternate(t->ctx, x->def.name, &alternate);
    bool acted = lev_exchange_acts(x);
    if (t->ops->deduplicate)
        t->ops->deduplicate(t->ctx, x);
    bool acts = lev_exchange_acts(x);
    t->n_acting = t->n_acting - acted + acts;
    if (lev_exchange_set_alternate(x, some ? &alternate : NULL) || acts != acted)
        t->epoch++;
}

void lev_topology_ask_policies(struct lev_topology *t)
{
    LEV_MAP_EACH(slot, &t->exchanges)
    ask_policy(t, slot->value);
}

static struct lev_exchange *add_exchange(struct lev_topology *t, const struct lev_exchange_def *d,
                                         const struct lev_exchange_type *type)
{
    struct lev_exchange *x = lev_exchange_new(d, type);
    lev_map_put(&t->exchanges, x->def.name, x);
    t->n_acting += lev_exchange_acts(x);
    ask_policy(t, x);
    t->epoch++;
    return x;
}

static void add_predeclared(struct lev_topology *t)
{
    static const struct {
        const char *name;
        const struct lev_exchange_type *type;
        bool internal;
    } list[] = {
        {"amq.direct", &lev_exchange_direct, false},
        {"amq.fanout", &lev_exchange_fanout, false},
        {"amq.topic", &lev_exchange_topic, false},
        {"amq.headers", &lev_exchange_headers, false},
        {"amq.match", &lev_exchange_headers, false},
        {"amq.rabbitmq.trace", &lev_exchange_topic, true},
    };
    struct lev_exchange_def d = {.durable = true};
    t->default_ex = add_exchange(t, &d, &lev_exchange_direct);
    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
        d.name = lev_bytes_str(list[i].name);
        d.internal = list[i].internal;
        add_exchange(t, &d, list[i].type);
    }
}

struct lev_topology *lev_topology_new(struct lev_bytes vhost, const struct lev_topology_ops *ops,
                                      void *ctx)
{
    struct lev_topology *t = lev_xcalloc(1, sizeof(*t));
    t->vhost = vhost;
    t->ops = ops;
    t->ctx = ctx;
    lev_map_init(&t->exchanges);
    lev_map_init(&t->bindings);
    lev_list_init(&t->doomed);
    add_predeclared(t);
    return t;
}

struct lev_exchange *lev_exchange_get(struct lev_topology *t, struct lev_bytes name)
{
    return lev_map_get(&t->exchanges, name);
}

size_t lev_exchange_count(const struct lev_topology *t)
{
    return t->exchanges.len;
}

uint64_t lev_topology_epoch(const struct lev_topology *t)
{
    return t->epoch;
}

/* ---- Bindings in and out of their lists --------------------------------------------------------
 */

static void persist_binding(struct lev_topology *t, enum lev_op_kind kind,
                            const struct lev_binding *b)
{
    if (!b->source->def.durable || !b->dest->durable)
        return;
    struct lev_binding_def d = lev_binding_def(b);
    t->ops->persist(t->ctx, kind, lev_binding_def_copy(&d));
}

static void persist_exchange(struct lev_topology *t, enum lev_op_kind kind,
                             const struct lev_exchange *x)
{
    if (x->def.durable)
        t->ops->persist(t->ctx, kind, lev_exchange_def_copy(&x->def));
}

static void tell(struct lev_topology *t, const struct lev_exchange *x)
{
    if (t->ops->exchange_gone)
        t->ops->exchange_gone(t->ctx, x->def.name);
}

static struct lev_binding *link_binding(struct lev_topology *t, struct lev_exchange *source,
                                        struct lev_dest *dest, const struct lev_binding_def *d)
{
    struct lev_binding *b = lev_binding_new(source, dest, d->routing_key, d->arguments);
    lev_list_push_back(&source->out, &b->source_node);
    lev_list_push_back(&dest->bindings, &b->dest_node);
    lev_binding_insert(&t->bindings, b);
    if (source->type->add)
        source->type->add(source, b);
    t->epoch++;
    return b;
}

/* Takes b out of everything and frees it. */
static void unlink_binding(struct lev_topology *t, struct lev_binding *b)
{
    if (b->source->type->remove)
        b->source->type->remove(b->source, b);
    lev_binding_remove(&t->bindings, b);
    lev_list_remove(&b->source_node);
    lev_list_remove(&b->dest_node);
    free(b);
    t->epoch++;
}

static void remove_binding(struct lev_topology *t, struct lev_binding *b)
{
    struct lev_exchange *x = b->source;
    persist_binding(t, LEV_OP_BINDING_DELETE, b);
    unlink_binding(t, b);
    if (x->def.auto_delete && !x->going && lev_list_empty(&x->out))
        lev_list_push_back(&t->doomed, &x->doomed_node);
}

static void remove_bindings_to(struct lev_topology *t, struct lev_dest *d)
{
    LEV_LIST_EACH(it, nx, &d->bindings)
    remove_binding(t, LEV_LIST_ENTRY(it, struct lev_binding, dest_node));
}

static void remove_exchange(struct lev_topology *t, struct lev_exchange *x)
{
    x->going = true;
    LEV_LIST_EACH(it, nx, &x->out)
    remove_binding(t, LEV_LIST_ENTRY(it, struct lev_binding, source_node));
    remove_bindings_to(t, &x->dest);
    lev_map_remove(&t->exchanges, x->def.name);
    t->n_acting -= lev_exchange_acts(x);
    t->epoch++;
    persist_exchange(t, LEV_OP_EXCHANGE_DELETE, x);
    tell(t, x);
    lev_exchange_free(&x);
}

/* Auto-deletes what lost its last binding, and what goes with that. */
static void reap(struct lev_topology *t)
{
    while (!lev_list_empty(&t->doomed)) {
        struct lev_exchange *x = LEV_LIST_ENTRY(t->doomed.next, struct lev_exchange, doomed_node);
        lev_list_remove(&x->doomed_node);
        remove_exchange(t, x);
    }
}

void lev_topology_free(struct lev_topology **t)
{
    struct lev_topology *x = *t;
    *t = NULL;
    if (!x)
        return;
    LEV_MAP_EACH(slot, &x->exchanges)
    {
        struct lev_exchange *ex = slot->value;
        LEV_LIST_EACH(it, nx, &ex->out)
        unlink_binding(x, LEV_LIST_ENTRY(it, struct lev_binding, source_node));
    }
    LEV_MAP_EACH(slot, &x->exchanges)
    {
        struct lev_exchange *ex = slot->value;
        lev_exchange_free(&ex);
    }
    lev_map_deinit(&x->exchanges);
    lev_map_deinit(&x->bindings);
    lev_router_deinit(&x->router);
    free(x);
}

/* ---- exchange.declare, exchange.delete ---------------------------------------------------------
 */

static int refuse_default(struct lev_bytes name, struct lev_error *err)
{
    if (name.len > 0)
        return 0;
    return lev_fail(err, LEV_ACCESS_REFUSED, "operation not permitted on the default exchange");
}

static int missing(const char *kind, struct lev_bytes name, const struct lev_topology *t,
                   struct lev_error *err)
{
    struct lev_entity who = {kind, name, t->vhost};
    return lev_fail(err, LEV_NOT_FOUND, "no " LEV_ENTITY, LEV_ENTITY_FMT(who));
}

static int check_new(const struct lev_topology *t, const struct lev_exchange_def *d,
                     const struct lev_exchange_type *type, struct lev_error *err)
{
    struct lev_value v;
    struct lev_entity who = exchange_entity(t, d->name);
    if (lev_bytes_starts(d->name, LEV_LIT("amq.")))
        return lev_fail(err, LEV_ACCESS_REFUSED,
                        "exchange name '%.*s' contains reserved prefix 'amq.*'", LEV_FMT(d->name));
    if (lev_table_get(d->arguments, "alternate-exchange", &v) && v.type != 'S')
        return lev_fail(err, LEV_PRECONDITION_FAILED,
                        "invalid type '%s' for arg 'alternate-exchange' in " LEV_ENTITY,
                        lev_value_type_name(v.type), LEV_ENTITY_FMT(who));
    return type->validate ? type->validate(d, err) : 0;
}

int lev_exchange_declare(struct lev_topology *t, const struct lev_exchange_def *d,
                         struct lev_error *err)
{
    const struct lev_exchange_type *type = lev_exchange_type_find(d->type);
    if (!type)
        return lev_fail(err, LEV_PRECONDITION_FAILED, "unknown exchange type '%.*s'",
                        LEV_FMT(d->type));
    if (refuse_default(d->name, err) < 0)
        return -1;
    struct lev_exchange *x = lev_exchange_get(t, d->name);
    if (x)
        return lev_exchange_equivalent(x, d, t->vhost, err);
    if (check_new(t, d, type, err) < 0)
        return -1;
    x = add_exchange(t, d, type);
    persist_exchange(t, LEV_OP_EXCHANGE_ADD, x);
    tell(t, x);
    return 0;
}

int lev_exchange_check(struct lev_topology *t, struct lev_bytes name, struct lev_error *err)
{
    if (refuse_default(name, err) < 0)
        return -1;
    return lev_exchange_get(t, name) ? 0 : missing("exchange", name, t, err);
}

int lev_exchange_delete(struct lev_topology *t, struct lev_bytes name, bool if_unused,
                        struct lev_error *err)
{
    struct lev_entity who = exchange_entity(t, name);
    if (refuse_default(name, err) < 0)
        return -1;
    if (lev_bytes_starts(name, LEV_LIT("amq.")))
        return lev_fail(err, LEV_ACCESS_REFUSED, "deletion of system " LEV_ENTITY " not allowed",
                        LEV_ENTITY_FMT(who));
    struct lev_exchange *x = lev_exchange_get(t, name);
    if (!x)
        return 0;
    if (if_unused && !lev_list_empty(&x->out))
        return lev_fail(err, LEV_PRECONDITION_FAILED, LEV_ENTITY " in use", LEV_ENTITY_FMT(who));
    remove_exchange(t, x);
    reap(t);
    return 0;
}

/* ---- bind, unbind
 * ---------------------------------------------------------------------------------- */

static int refuse_default_ends(const struct lev_binding_def *d, struct lev_error *err)
{
    if (!d->to_queue && refuse_default(d->destination, err) < 0)
        return -1;
    return refuse_default(d->source, err);
}

static struct lev_dest *destination(struct lev_topology *t, const struct lev_binding_def *d)
{
    if (d->to_queue)
        return t->ops->queue(t->ctx, d->destination);
    struct lev_exchange *x = lev_exchange_get(t, d->destination);
    return x ? &x->dest : NULL;
}

int lev_bind(struct lev_topology *t, const struct lev_binding_def *d, struct lev_error *err)
{
    if (refuse_default_ends(d, err) < 0)
        return -1;
    struct lev_exchange *source = lev_exchange_get(t, d->source);
    if (!source)
        return missing("exchange", d->source, t, err);
    struct lev_dest *dest = destination(t, d);
    if (!dest)
        return missing(d->to_queue ? "queue" : "exchange", d->destination, t, err);
    if (source->type->check && source->type->check(t, d, dest, err) < 0)
        return -1;
    if (lev_binding_find(&t->bindings, source, dest, d->routing_key, d->arguments))
        return 0;
    struct lev_binding *b = link_binding(t, source, dest, d);
    persist_binding(t, LEV_OP_BINDING_ADD, b);
    if (source->type->bound)
        source->type->bound(t, b);
    return 0;
}

static struct lev_binding *exact_binding(struct lev_topology *t, const struct lev_binding_def *d)
{
    struct lev_exchange *source = lev_exchange_get(t, d->source);
    struct lev_dest *dest = source ? destination(t, d) : NULL;
    return dest ? lev_binding_find(&t->bindings, source, dest, d->routing_key, d->arguments) : NULL;
}

bool lev_binding_exists(struct lev_topology *t, const struct lev_binding_def *d)
{
    return exact_binding(t, d) != NULL;
}

int lev_unbind(struct lev_topology *t, const struct lev_binding_def *d, struct lev_error *err)
{
    if (refuse_default_ends(d, err) < 0)
        return -1;
    struct lev_binding *b = exact_binding(t, d);
    if (b)
        remove_binding(t, b);
    reap(t);
    return 0;
}

void lev_topology_queue_gone(struct lev_topology *t, struct lev_dest *queue)
{
    remove_bindings_to(t, queue);
    reap(t);
}

/* ---- Recovery and listing
 * ------------------------------------------------------------------------ */

void lev_topology_restore_exchange(struct lev_topology *t, const struct lev_exchange_def *d)
{
    const struct lev_exchange_type *type = lev_exchange_type_find(d->type);
    if (!type) {
        lev_log_warn("exchange '%.*s' in vhost '%.*s': not restored: unknown type '%.*s'",
                     LEV_FMT(d->name), LEV_FMT(t->vhost), LEV_FMT(d->type));
        return;
    }
    if (!lev_exchange_get(t, d->name))
        add_exchange(t, d, type);
}

bool lev_topology_restore_binding(struct lev_topology *t, const struct lev_binding_def *d)
{
    struct lev_exchange *source = lev_exchange_get(t, d->source);
    struct lev_dest *dest = source ? destination(t, d) : NULL;
    if (!dest || source == t->default_ex || d->routing_key.len > UINT8_MAX)
        return false;
    if (!lev_binding_find(&t->bindings, source, dest, d->routing_key, d->arguments))
        link_binding(t, source, dest, d);
    return true;
}

void lev_topology_each_binding(struct lev_topology *t,
                               void (*fn)(void *arg, const struct lev_binding_def *d), void *arg)
{
    LEV_MAP_EACH(slot, &t->exchanges)
    {
        struct lev_exchange *x = slot->value;
        LEV_LIST_EACH(it, nx, &x->out)
        {
            struct lev_binding_def d =
                lev_binding_def(LEV_LIST_ENTRY(it, struct lev_binding, source_node));
            fn(arg, &d);
        }
    }
}

void lev_topology_each_exchange(struct lev_topology *t,
                                void (*fn)(void *arg, const struct lev_exchange_def *d), void *arg)
{
    LEV_MAP_EACH(slot, &t->exchanges)
    {
        const struct lev_exchange *x = slot->value;
        fn(arg, &x->def);
    }
}
