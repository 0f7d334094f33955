/* basic.consume, basic.cancel and basic.get. See consume.h. */
#include "broker/consume.h"

#include "amqp/table.h"
#include "base/mem.h"
#include "broker/active.h"
#include "broker/death.h"
#include "broker/declare.h"
#include "broker/limits.h"
#include "broker/queue.h"
#include "broker/queue_args.h"
#include "broker/vhost_int.h"

/* --- consumers --- */

/* Arguments that only streams know. */
static int check_stream_arguments(const struct lev_queue *q, struct lev_bytes arguments,
                                  struct lev_error *err)
{
    static const char *const keys[] = {"x-stream-offset", "x-stream-filter",
                                       "x-stream-match-unfiltered"};
    struct lev_value v;
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        if (lev_table_get(arguments, keys[i], &v))
            return lev_fail(err, LEV_PRECONDITION_FAILED,
                            "invalid arg '%s' for queue '%.*s' in vhost '%.*s' of queue type %s",
                            keys[i], LEV_FMT(q->dest.name), LEV_FMT(q->vhost->name),
                            lev_queue_module(q->settings->type));
    return 0;
}

/* Leaves *priority_r where the argument is absent. */
static int read_priority(const struct lev_queue *q, const struct lev_consume_args *a,
                         int64_t *priority_r, struct lev_error *err)
{
    struct lev_value v;
    if (!lev_table_get(a->arguments, "x-priority", &v))
        return 0;
    if (!lev_value_is_int(&v))
        return lev_fail(err, LEV_PRECONDITION_FAILED,
                        "invalid arg 'x-priority' for queue '%.*s' in vhost '%.*s': "
                        "\"expected integer, got %s\"",
                        LEV_FMT(q->dest.name), LEV_FMT(q->vhost->name),
                        lev_value_type_name(v.type));
    *priority_r = v.i;
    return 0;
}

/* An exclusive consumer of a quorum queue is not alone: nobody is refused there. */
static int check_exclusive(const struct lev_queue *q, const struct lev_consume_args *a,
                           struct lev_error *err)
{
    if (q->settings->type == LEV_QUEUE_QUORUM ||
        (!q->exclusive_consumer &&
         !(a->exclusive && (q->n_consumers || q->settings->single_active))))
        return 0;
    return lev_fail(err, LEV_ACCESS_REFUSED, "queue '%.*s' in vhost '%.*s' in exclusive use",
                    LEV_FMT(q->dest.name), LEV_FMT(q->vhost->name));
}

static int check_consume(const struct lev_chan *ch, const struct lev_queue *q,
                         const struct lev_consume_args *a, struct lev_error *err)
{
    if (q->settings->type == LEV_QUEUE_QUORUM && ch->prefetch_global)
        return lev_fail(err, LEV_NOT_IMPLEMENTED,
                        "queue '%.*s' in vhost '%.*s' does not support global qos",
                        LEV_FMT(q->dest.name), LEV_FMT(q->vhost->name));
    return check_stream_arguments(q, a->arguments, err);
}

static int check_tag(struct lev_chan *ch, struct lev_bytes tag, struct lev_error *err)
{
    if (lev_map_get(&ch->consumers, tag))
        return lev_fail(err, LEV_NOT_ALLOWED, "attempt to reuse consumer tag '%.*s'", LEV_FMT(tag));
    return 0;
}

static void join_channel(struct lev_chan *ch, struct lev_consumer *c)
{
    lev_map_put(&ch->consumers, c->tag, c);
    lev_list_push_back(&ch->consumer_list, &c->chan_node);
    ch->client->vhost->n_consumers++;
}

int lev_consume(struct lev_chan *ch, struct lev_bytes queue, const struct lev_consume_args *a,
                struct lev_consumer **c_r, struct lev_error *err)
{
    struct lev_queue *q;
    int64_t priority = a->priority;
    if (check_tag(ch, a->tag, err) < 0 || lev_queue_find(ch->client, queue, &q, err) < 0 ||
        check_consume(ch, q, a, err) < 0 || read_priority(q, a, &priority, err) < 0 ||
        check_exclusive(q, a, err) < 0)
        return -1;
    struct lev_consumer *c = lev_consumer_new(ch, q, a);
    c->priority = priority;
    join_channel(ch, c);
    lev_list_push_back(&q->consumers, &c->queue_node);
    q->n_consumers++;
    q->had_consumer = true;
    if (a->exclusive && q->settings->type == LEV_QUEUE_CLASSIC)
        q->exclusive_consumer = c;
    lev_active_review(q);
    lev_limits_used(q);
    lev_vhost_mark(q->vhost, q); /* the store gets a reserve of delivered_to */
    *c_r = c;
    return 0;
}

struct lev_consumer *lev_consumer_find(struct lev_chan *ch, struct lev_bytes tag)
{
    return lev_map_get(&ch->consumers, tag);
}

static void leave_queue(struct lev_consumer *c)
{
    struct lev_queue *q = c->queue;
    lev_list_remove(&c->ready_node);
    lev_list_remove(&c->queue_node);
    q->n_consumers--;
    if (q->exclusive_consumer == c)
        q->exclusive_consumer = NULL;
    lev_active_left(q, c);
    if (!q->n_consumers)
        lev_limits_used(q);
    lev_vhost_mark(q->vhost, q);
}

void lev_consumer_end(struct lev_consumer *c, bool by_server)
{
    struct lev_chan *ch = c->chan;
    struct lev_queue *q = c->queue;
    lev_map_remove(&ch->consumers, c->tag);
    lev_list_remove(&c->chan_node);
    lev_chan_forget_consumer(ch, c);
    ch->client->vhost->n_consumers--;
    if (q)
        leave_queue(c);
    if (ch->reply_consumer == c)
        ch->reply_consumer = NULL;
    struct lev_out *o = lev_client_push_answer(ch->client, LEV_OUT_CONSUMER);
    o->kind = by_server ? LEV_OUT_CANCEL : LEV_OUT_RETIRE;
    o->channel = ch->number;
    o->consumer = c;
    if (q && q->auto_delete && !q->n_consumers && !q->deleted)
        lev_queue_destroy(q);
}

/* --- basic.get --- */

static void give(struct lev_chan *ch, struct lev_queue *q, struct lev_queue *level,
                 struct lev_entry *e, bool no_ack)
{
    struct lev_msg *shown = e->count ? lev_counted_message(e) : lev_msg_ref(e->msg);
    struct lev_out *o =
        lev_client_push_answer(ch->client, lev_msg_size(shown) + LEV_OUT_CONTENT_OVERHEAD);
    o->kind = LEV_OUT_GET_OK;
    o->channel = ch->number;
    o->flags = e->flags & LEV_ENTRY_REDELIVERED ? LEV_OUTF_REDELIVERED : 0;
    o->n = (uint32_t)lev_queue_ready(q);
    o->u.msg = shown;
    if (no_ack) {
        o->tag = ++ch->last_tag;
        lev_queue_settled(level, e);
        lev_msg_unref(&e->msg);
    } else {
        o->tag = lev_chan_track(ch, level, NULL, e);
    }
}

static void nothing(struct lev_chan *ch)
{
    struct lev_out *o = lev_client_push_answer(ch->client, LEV_OUT_SMALL);
    o->kind = LEV_OUT_GET_EMPTY;
    o->channel = ch->number;
}

/* Answers now if that is possible. */
static bool try_get(struct lev_chan *ch, struct lev_queue *q, bool no_ack)
{
    struct lev_entry e;
    struct lev_queue *level;
    bool got = lev_queue_take(q, &e, &level);
    if (!got && q->ready) {
        lev_queue_balance(q); /* brings the tail forward, or asks for a block */
        got = lev_queue_take(q, &e, &level);
    }
    if (got)
        give(ch, q, level, &e, no_ack);
    else if (!q->ready)
        nothing(ch);
    return got || !q->ready;
}

static int check_get(const struct lev_queue *q, struct lev_error *err)
{
    if (q->settings->type != LEV_QUEUE_QUORUM || !q->settings->single_active)
        return 0;
    return lev_fail(
        err, LEV_RESOURCE_LOCKED,
        "cannot obtain access to locked queue '%.*s' in vhost '%.*s'. basic.get operations "
        "are not supported by quorum queues with single active consumer",
        LEV_FMT(q->dest.name), LEV_FMT(q->vhost->name));
}

int lev_get(struct lev_chan *ch, struct lev_bytes queue, bool no_ack, struct lev_error *err)
{
    struct lev_queue *q;
    if (lev_queue_find(ch->client, queue, &q, err) < 0 || check_get(q, err) < 0)
        return -1;
    lev_limits_used(q);
    if (try_get(ch, q, no_ack))
        return 0;
    struct lev_get *g = lev_xcalloc(1, sizeof(*g));
    g->chan = ch;
    g->no_ack = no_ack;
    lev_list_init(&g->node);
    lev_list_push_back(&q->getters, &g->node);
    ch->pending_get = g;
    ch->client->suspended = true;
    return 0;
}

void lev_get_abandon(struct lev_chan *ch)
{
    struct lev_get *g = ch->pending_get;
    ch->pending_get = NULL;
    if (!g)
        return;
    lev_list_remove(&g->node);
    free(g);
    ch->client->suspended = false;
}

void lev_queue_serve_getters(struct lev_queue *q)
{
    while (!lev_list_empty(&q->getters)) {
        struct lev_get *g = LEV_LIST_ENTRY(q->getters.next, struct lev_get, node);
        struct lev_chan *ch = g->chan;
        if (!try_get(ch, q, g->no_ack))
            return;
        lev_get_abandon(ch);
    }
}
