/* Publishing. See publish.h. */
#include "broker/publish.h"

#include "base/mem.h"
#include "broker/check.h"
#include "broker/consume.h"
#include "broker/queue.h"
#include "broker/vhost_int.h"

enum { TX_MAX_BYTES = 256 << 20 };

void lev_publish_return(struct lev_chan *ch, struct lev_msg *msg)
{
    struct lev_out *o =
        lev_client_push_answer(ch->client, lev_msg_size(msg) + LEV_OUT_CONTENT_OVERHEAD);
    o->kind = LEV_OUT_RETURN;
    o->channel = ch->number;
    o->u.msg = lev_msg_ref(msg);
}

/* --- the channel's last route --- */

static bool goes_to(const struct lev_publish *p, const struct lev_queue *q)
{
    return !p->msg->exchange_len && p->n_keys == 1 && !p->wants_reply &&
           lev_bytes_eq(lev_msg_key(p->msg), q->dest.name);
}

/* The queue that the channel's last message went to by its name, if this one goes there, too, and
 * nothing is to be checked. */
static struct lev_queue *same_queue(const struct lev_chan *ch, const struct lev_publish *p)
{
    struct lev_queue *q = ch->memo.queue;
    if (ch->memo.epoch != ch->client->vhost->queue_epoch || p->content_error || ch->tx_mode ||
        !(p->alike || goes_to(p, q)))
        return NULL;
    LEV_CHECK(goes_to(p, q) && lev_map_get(&q->vhost->queues, lev_msg_key(p->msg)) == q);
    return q;
}

/* --- the checks, in RabbitMQ's order --- */

static struct lev_exchange *checked_exchange(struct lev_chan *ch, const struct lev_publish *p,
                                             struct lev_error *err)
{
    struct lev_vhost *v = ch->client->vhost;
    struct lev_bytes name = lev_msg_exchange(p->msg);
    struct lev_exchange *x = lev_exchange_get(v->topology, name);
    if (!x) {
        lev_fail(err, LEV_NOT_FOUND, "no exchange '%.*s' in vhost '%.*s'", LEV_FMT(name),
                 LEV_FMT(v->name));
        return NULL;
    }
    if (lev_exchange_is_internal(x)) {
        lev_fail(err, LEV_ACCESS_REFUSED,
                 "cannot publish to internal exchange '%.*s' in vhost '%.*s'", LEV_FMT(name),
                 LEV_FMT(v->name));
        return NULL;
    }
    return x;
}

static int check_content(const struct lev_chan *ch, const struct lev_publish *p,
                         struct lev_error *err)
{
    if (p->wants_reply && !ch->reply_consumer)
        return lev_fail(err, LEV_PRECONDITION_FAILED, "fast reply consumer does not exist");
    if (p->content_error) {
        *err = *p->content_error;
        return -1;
    }
    if (ch->tx_mode && ch->tx.bytes > TX_MAX_BYTES)
        return lev_fail(err, LEV_RESOURCE_ERROR, "transaction holds more than %d bytes",
                        TX_MAX_BYTES);
    return 0;
}

/* --- where it goes --- */

static struct lev_queue *queue_of(struct lev_dest *d)
{
    return LEV_CONTAINER(d, struct lev_queue, dest);
}

/* The operations from first_op on belong to the publish. */
static void confirm(struct lev_chan *ch, uint64_t batch, size_t first_op)
{
    bool rejected = batch == LEV_QUEUE_REJECTED;
    lev_confirm_add(ch, rejected ? 0 : batch, rejected, first_op);
}

static void enqueue(struct lev_chan *ch, const struct lev_publish *p, const struct lev_route *r,
                    bool routed)
{
    struct lev_vhost *v = ch->client->vhost;
    uint64_t batch = routed ? 0 : v->effects.batch;
    size_t first_op = v->open->n_ops;
    if (r->n == 0 && !routed && p->mandatory)
        lev_publish_return(ch, p->msg);
    for (size_t i = 0; i < r->n; i++) {
        uint64_t b = lev_queue_publish(queue_of(r->dests[i]), p->msg);
        batch = b > batch ? b : batch; /* LEV_QUEUE_REJECTED is the largest */
    }
    if (batch == LEV_QUEUE_REJECTED || (r->n == 0 && !routed && !v->effects.held))
        lev_effects_undo(v);
    if (ch->confirm_mode)
        confirm(ch, batch, first_op);
}

static void into_tx(struct lev_chan *ch, const struct lev_publish *p, const struct lev_route *r)
{
    struct lev_queue *few[16], **queues = few;
    if (r->n > 16)
        queues = lev_xmalloc(r->n * sizeof(struct lev_queue *));
    for (size_t i = 0; i < r->n; i++)
        queues[i] = queue_of(r->dests[i]);
    lev_tx_publish(ch, lev_msg_ref(p->msg), queues, r->n, p->mandatory);
    if (queues != few)
        free(queues);
}

static __attribute__((noinline)) int publish_routed(struct lev_chan *ch, struct lev_publish *p,
                                                    struct lev_error *err)
{
    struct lev_vhost *v = ch->client->vhost;
    struct lev_exchange *x = checked_exchange(ch, p, err);
    ch->memo = (struct lev_route_memo){0};
    if (!x || check_content(ch, p, err) < 0)
        return -1;
    bool direct = p->msg->exchange_len == 0;
    if (direct && lev_is_reply_name(p->keys[0])) {
        lev_reply_deliver(v, p->keys[0], p->msg);
        enqueue(ch, p, &(struct lev_route){0}, true);
        return 0;
    }
    if (ch->tx_mode && lev_route_acts(v->topology, x)) {
        lev_tx_publish_late(ch, lev_msg_ref(p->msg), p->keys, p->n_keys, p->mandatory);
        return 0;
    }
    const struct lev_route *r =
        lev_vhost_route(v, x, p->msg, p->keys, p->n_keys, lev_msg_headers(p->msg));
    if (r->n == 1 && p->n_keys == 1 && direct)
        ch->memo = (struct lev_route_memo){v->queue_epoch, queue_of(r->dests[0])};
    if (ch->tx_mode)
        into_tx(ch, p, r);
    else
        enqueue(ch, p, r, false);
    return 0;
}

int lev_publish(struct lev_chan *ch, struct lev_publish *p, struct lev_error *err)
{
    struct lev_queue *q = same_queue(ch, p);
    struct lev_vhost *v = ch->client->vhost;
    size_t first_op = v->open->n_ops;
    int rc = 0;
    if (q) {
        uint64_t batch = lev_queue_publish_taking(q, p->msg);
        p->msg = NULL;
        if (ch->confirm_mode)
            confirm(ch, batch, first_op);
    } else {
        rc = publish_routed(ch, p, err);
        lev_msg_unref(&p->msg);
    }
    if (v->open->n_ops != first_op || v->to_tail)
        ch->client->stores = true;
    v->to_tail = false;
    return rc;
}
