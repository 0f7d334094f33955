/* Queues come and go. See declare.h. */
#include "broker/declare.h"

#include "base/mem.h"
#include "broker/consume.h"
#include "broker/limits.h"
#include "broker/names.h"
#include "broker/pace.h"
#include "broker/queue_args.h"
#include "broker/topology_text.h"
#include "broker/vhost_int.h"

static struct lev_queue *lookup(struct lev_vhost *v, struct lev_bytes name)
{
    return lev_map_get(&v->queues, name);
}

static int no_queue(const struct lev_vhost *v, struct lev_bytes name, struct lev_error *err)
{
    return lev_fail(err, LEV_NOT_FOUND, "no queue '%.*s' in vhost '%.*s'", LEV_FMT(name),
                    LEV_FMT(v->name));
}

static int locked(const struct lev_queue *q, const struct lev_client *c, struct lev_error *err)
{
    return lev_fail(
        err, LEV_RESOURCE_LOCKED,
        "cannot obtain exclusive access to locked queue '%.*s' in vhost '%.*s'. It could be "
        "originally declared on another connection or the exclusive property value does not "
        "match that of the original declaration.",
        LEV_FMT(q->dest.name), LEV_FMT(c->vhost->name));
}

static int check_owner(const struct lev_queue *q, const struct lev_client *c, struct lev_error *err)
{
    return !q->exclusive || q->owner == c ? 0 : locked(q, c, err);
}

int lev_queue_find(struct lev_client *c, struct lev_bytes name, struct lev_queue **q_r,
                   struct lev_error *err)
{
    struct lev_queue *q = lookup(c->vhost, name);
    if (!q)
        return no_queue(c->vhost, name, err);
    *q_r = q;
    return check_owner(q, c, err);
}

/* --- declare --- */

struct lev_bytes lev_queue_declare_name(struct lev_bytes name, char *buf)
{
    return name.len ? name : lev_generate_name(buf, "amq.gen-");
}

static struct lev_bytes word(bool v)
{
    return v ? LEV_LIT("true") : LEV_LIT("false");
}

static int check_equivalent(struct lev_client *c, struct lev_queue *q,
                            const struct lev_queue_declare_args *a, struct lev_error *err)
{
    struct lev_bytes vhost = c->vhost->name;
    const struct lev_entity who = {"queue", q->dest.name, vhost};
    bool durable = a->durable && !a->exclusive;
    if (check_owner(q, c, err) < 0)
        return -1;
    if (a->exclusive != q->exclusive)
        return locked(q, c, err);
    if (durable != q->dest.durable)
        return lev_fail_inequivalent(&who, "durable", word(q->dest.durable), word(durable), err);
    if (a->auto_delete != q->auto_delete)
        return lev_fail_inequivalent(&who, "auto_delete", word(q->auto_delete),
                                     word(a->auto_delete), err);
    return lev_queue_args_same(q->dest.name, vhost, lev_queue_arguments(q), a->arguments, err);
}

static void tell_store(struct lev_queue *q)
{
    const struct lev_queue_def def = {.queue_id = q->id,
                                      .level = q->level,
                                      .durable = true,
                                      .auto_delete = q->auto_delete,
                                      .name = q->dest.name,
                                      .arguments = lev_queue_arguments(q)};
    if (q->dest.durable)
        lev_vhost_op(q->vhost, &(struct lev_op){.kind = LEV_OP_QUEUE_ADD,
                                                .queue_id = q->id,
                                                .u.def = lev_queue_def_copy(&def)});
}

static void create_levels(struct lev_queue *q)
{
    if (!q->settings->max_priority)
        return;
    lev_queue_make_levels(q);
    for (unsigned i = 0; q->dest.durable && i < q->n_levels; i++) {
        struct lev_queue_def def = {.durable = true,
                                    .queue_id = lev_vhost_take_queue_id(q->vhost),
                                    .name = q->dest.name,
                                    .level = i + 1};
        struct lev_queue *level = lev_queue_new(q->vhost, &def);
        lev_queue_set_level(q, level);
        tell_store(level);
    }
}

struct lev_queue *lev_queue_create(struct lev_vhost *v, const struct lev_queue_declare_args *a,
                                   struct lev_client *owner)
{
    struct lev_queue_settings settings;
    struct lev_queue_def def = {.durable = a->durable && !a->exclusive,
                                .auto_delete = a->auto_delete,
                                .name = a->name,
                                .arguments = a->arguments};
    if (def.durable)
        def.queue_id = lev_vhost_take_queue_id(v);
    struct lev_queue *q = lev_queue_new(v, &def);
    lev_map_put(&v->queues, q->dest.name, q);
    v->queue_epoch++;
    q->exclusive = a->exclusive;
    if (owner) {
        q->owner = owner;
        lev_list_push_back(&owner->exclusive, &q->owner_node);
    }
    tell_store(q);
    lev_vhost_resolve(v, a->name, a->arguments, &settings);
    lev_queue_apply_settings(q, &settings);
    create_levels(q);
    return q;
}

int lev_queue_declare(struct lev_client *c, const struct lev_queue_declare_args *a,
                      struct lev_queue **q_r, struct lev_error *err)
{
    struct lev_queue *q = lookup(c->vhost, a->name);
    *q_r = q;
    if (!q && a->passive)
        return no_queue(c->vhost, a->name, err);
    if (q) {
        int rc = a->passive ? check_owner(q, c, err) : check_equivalent(c, q, a, err);
        if (rc == 0)
            lev_limits_used(q);
        return rc;
    }
    if (lev_queue_args_check(a, c->vhost->name, err) < 0)
        return -1;
    *q_r = lev_queue_create(c->vhost, a, a->exclusive ? c : NULL);
    return 0;
}

/* --- delete --- */

static int check_flags(const struct lev_queue *q, bool if_unused, bool if_empty,
                       struct lev_error *err)
{
    if (q->settings->type != LEV_QUEUE_QUORUM || !(if_unused || if_empty))
        return 0;
    return lev_fail(
        err, LEV_NOT_IMPLEMENTED,
        "cannot delete queue '%.*s' in vhost '%.*s'. queue.delete operations with %s flag "
        "set are not supported by quorum queues",
        LEV_FMT(q->dest.name), LEV_FMT(q->vhost->name), if_unused ? "if-unused" : "if-empty");
}

/* Messages held for a retry. */
static uint64_t held(const struct lev_queue *q)
{
    uint64_t n = 0;
    for (unsigned i = 0; i < q->n_levels; i++)
        n += lev_park_count(q->levels[i], LEV_PARK_RETRY);
    return n;
}

int lev_queue_delete(struct lev_client *c, struct lev_bytes name, bool if_unused, bool if_empty,
                     uint64_t *count_r, struct lev_error *err)
{
    struct lev_queue *q = lookup(c->vhost, name);
    *count_r = 0;
    if (!q)
        return 0;
    if (check_owner(q, c, err) < 0 || check_flags(q, if_unused, if_empty, err) < 0)
        return -1;
    bool used = if_unused && q->n_consumers, full = if_empty && (lev_queue_ready(q) || held(q));
    if (used || full)
        return lev_fail(err, LEV_PRECONDITION_FAILED, "queue '%.*s' in vhost '%.*s' %s",
                        LEV_FMT(name), LEV_FMT(c->vhost->name), used ? "in use" : "not empty");
    *count_r = lev_queue_ready(q) + held(q);
    lev_queue_destroy(q);
    return 0;
}

/* Tells the store, once the messages are out of memory. */
static void delete_stored(struct lev_queue *q)
{
    if (!q->id)
        return;
    lev_vhost_op(q->vhost, &(struct lev_op){.kind = LEV_OP_QUEUE_DELETE, .queue_id = q->id});
    lev_vhost_drop_queue_id(q->vhost, q->id);
}

void lev_queue_drop_levels(struct lev_queue *q)
{
    struct lev_queue **levels = q->levels;
    unsigned n = q->n_levels;
    if (levels == &q->self)
        return;
    q->levels = &q->self;
    q->n_levels = 1;
    for (unsigned i = 0; i < n; i++)
        lev_queue_unref(&levels[i]);
    free(levels);
}

void lev_queue_destroy(struct lev_queue *q)
{
    struct lev_vhost *v = q->vhost;
    lev_map_remove(&v->queues, q->dest.name);
    v->queue_epoch++;
    v->ready -= q->ready;
    for (unsigned i = 0; i < q->n_levels; i++) {
        v->unacked -= q->levels[i]->unacked;
        q->levels[i]->deleted = true;
        lev_list_remove(&q->levels[i]->unread_node);
    }
    q->deleted = true;
    if (v->over == q)
        v->over = NULL;
    lev_topology_queue_gone(v->topology, &q->dest);
    while (!lev_list_empty(&q->consumers))
        lev_consumer_end(LEV_LIST_ENTRY(q->consumers.next, struct lev_consumer, queue_node), true);
    lev_list_remove(&q->owner_node);
    lev_queue_purge(q);
    lev_park_purge(q, LEV_PARK_DEAD);
    for (unsigned i = 0; i < q->n_levels; i++)
        if (q->levels[i] != q)
            delete_stored(q->levels[i]);
    delete_stored(q);
    lev_queue_drop_levels(q);
    lev_list_remove(&q->kick_node);
    lev_pace_release(q);
    lev_timer_clear(&v->timers, &q->expiry);
    lev_timer_clear(&v->timers, &q->disuse);
    lev_queue_unref(&q);
}
