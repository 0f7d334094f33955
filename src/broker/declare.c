/* Queues come and go. See declare.h. */
#include "broker/declare.h"

#include "base/mem.h"
#include "broker/consume.h"
#include "broker/names.h"
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
    return lev_queue_args_same(q->dest.name, vhost, q->def->arguments, a->arguments, err);
}

static struct lev_queue *create(struct lev_client *c, const struct lev_queue_declare_args *a)
{
    struct lev_vhost *v = c->vhost;
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
    if (a->exclusive) {
        q->owner = c;
        lev_list_push_back(&c->exclusive, &q->owner_node);
    }
    if (def.durable)
        lev_vhost_op(v, &(struct lev_op){.kind = LEV_OP_QUEUE_ADD,
                                         .queue_id = q->id,
                                         .u.def = lev_queue_def_copy(q->def)});
    return q;
}

int lev_queue_declare(struct lev_client *c, const struct lev_queue_declare_args *a,
                      struct lev_queue **q_r, struct lev_error *err)
{
    struct lev_queue *q = lookup(c->vhost, a->name);
    *q_r = q;
    if (a->passive)
        return q ? check_owner(q, c, err) : no_queue(c->vhost, a->name, err);
    if (q)
        return check_equivalent(c, q, a, err);
    if (lev_queue_args_check(a, c->vhost->name, err) < 0)
        return -1;
    *q_r = create(c, a);
    return 0;
}

/* --- delete --- */

int lev_queue_delete(struct lev_client *c, struct lev_bytes name, bool if_unused, bool if_empty,
                     uint64_t *count_r, struct lev_error *err)
{
    struct lev_queue *q = lookup(c->vhost, name);
    *count_r = 0;
    if (!q)
        return 0;
    if (check_owner(q, c, err) < 0)
        return -1;
    bool used = if_unused && q->n_consumers, full = if_empty && lev_queue_ready(q);
    if (used || full)
        return lev_fail(err, LEV_PRECONDITION_FAILED, "queue '%.*s' in vhost '%.*s' %s",
                        LEV_FMT(name), LEV_FMT(c->vhost->name), used ? "in use" : "not empty");
    *count_r = lev_queue_ready(q);
    lev_queue_destroy(q);
    return 0;
}

/* Tells the store, once the queue's messages are out of memory. */
static void delete_stored(struct lev_vhost *v, struct lev_queue *q)
{
    if (!q->id)
        return;
    lev_vhost_op(v, &(struct lev_op){.kind = LEV_OP_QUEUE_DELETE, .queue_id = q->id});
    lev_vhost_drop_queue_id(v, q->id);
}

void lev_queue_destroy(struct lev_queue *q)
{
    struct lev_vhost *v = q->vhost;
    lev_map_remove(&v->queues, q->dest.name);
    v->queue_epoch++;
    q->deleted = true;
    lev_topology_queue_gone(v->topology, &q->dest);
    while (!lev_list_empty(&q->consumers))
        lev_consumer_end(LEV_LIST_ENTRY(q->consumers.next, struct lev_consumer, queue_node), true);
    lev_list_remove(&q->owner_node);
    lev_list_remove(&q->kick_node);
    lev_list_remove(&q->unread_node);
    lev_queue_purge(q);
    delete_stored(v, q);
    lev_queue_unref(&q);
}
