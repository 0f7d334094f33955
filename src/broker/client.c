/* A client and its outbox. See client.h. */
#include "broker/client.h"

#include "base/mem.h"
#include "broker/declare.h"
#include "broker/vhost_int.h"

enum { OUTBOX_KEEP = 256 };

void lev_client_init(struct lev_client *c, struct lev_vhost *v, const struct lev_sink_ops *sink,
                     struct lev_bytes user)
{
    *c = (struct lev_client){.vhost = v, .sink = sink, .user = lev_bytes_dup(user)};
    atomic_init(&c->out_bytes, 0);
    atomic_init(&c->answer_bytes, 0);
    lev_list_init(&c->channels);
    lev_list_init(&c->exclusive);
    lev_list_init(&c->throttle_node);
    lev_list_init(&c->node);
    lev_list_push_back(&v->clients, &c->node);
    v->n_clients++;
    lev_patrol_start(v);
}

void lev_client_end(struct lev_client *c)
{
    while (!lev_list_empty(&c->channels))
        lev_chan_deinit(LEV_LIST_ENTRY(c->channels.next, struct lev_chan, node));
    while (!lev_list_empty(&c->exclusive))
        lev_queue_destroy(LEV_LIST_ENTRY(c->exclusive.next, struct lev_queue, owner_node));
    lev_list_remove(&c->throttle_node);
}

void lev_client_deinit(struct lev_client *c)
{
    lev_client_end(c);
    lev_list_remove(&c->node);
    lev_outbox_deinit(&c->outbox);
    lev_bytes_free(&c->user);
    c->vhost->n_clients--;
}

void lev_client_notify(struct lev_client *c)
{
    if (c->notified)
        return;
    c->notified = true;
    c->sink->notify(c);
}

void lev_client_make_room(struct lev_client *c)
{
    struct lev_outbox *b = &c->outbox;
    if (b->n == b->cap) {
        b->cap = b->cap ? b->cap * 2 : 16;
        b->items = lev_xrealloc(b->items, b->cap * sizeof(*b->items));
    }
    lev_client_notify(c);
}

struct lev_out *lev_client_push_answer(struct lev_client *c, size_t bytes)
{
    atomic_fetch_add_explicit(&c->answer_bytes, bytes, memory_order_relaxed);
    struct lev_out *o = lev_client_push(c, bytes);
    *o = (struct lev_out){0};
    return o;
}

void lev_client_push_bytes(struct lev_client *c, uint8_t *bytes, size_t n)
{
    struct lev_out *o = lev_client_push_answer(c, n);
    o->kind = LEV_OUT_BYTES;
    o->n = (uint32_t)n;
    o->u.bytes = bytes;
}

void lev_client_take(struct lev_client *c, struct lev_outbox *into)
{
    struct lev_outbox t = *into;
    *into = c->outbox;
    c->outbox = t;
    c->outbox.n = c->outbox.bytes = 0;
    atomic_fetch_add_explicit(&c->out_bytes, into->bytes, memory_order_relaxed);
    c->notified = false;
    if (c->outbox.cap > OUTBOX_KEEP && into->n < OUTBOX_KEEP / 2) {
        free(c->outbox.items);
        c->outbox = (struct lev_outbox){0};
    }
}

bool lev_client_wrote(struct lev_client *c, size_t n)
{
    size_t before = atomic_fetch_sub_explicit(&c->out_bytes, n, memory_order_relaxed);
    return before >= LEV_OUT_LOW && before - n < LEV_OUT_LOW;
}

void lev_client_unpark(struct lev_client *c)
{
    if (!c->parked)
        return;
    c->parked = false;
    LEV_LIST_EACH(it, nx, &c->channels)
    {
        struct lev_chan *ch = LEV_LIST_ENTRY(it, struct lev_chan, node);
        LEV_LIST_EACH(ci, cn, &ch->consumer_list)
        lev_consumer_wake(LEV_LIST_ENTRY(ci, struct lev_consumer, chan_node));
    }
}

void lev_out_release(struct lev_out *o)
{
    switch (o->kind) {
    case LEV_OUT_DELIVER:
    case LEV_OUT_GET_OK:
    case LEV_OUT_RETURN:
        lev_msg_unref(&o->u.msg);
        break;
    case LEV_OUT_CANCEL:
    case LEV_OUT_RETIRE:
        lev_consumer_free(&o->consumer);
        break;
    case LEV_OUT_BYTES:
        free(o->u.bytes);
        break;
    default:
        break;
    }
}

void lev_outbox_deinit(struct lev_outbox *b)
{
    for (size_t i = 0; i < b->n; i++)
        lev_out_release(&b->items[i]);
    free(b->items);
    *b = (struct lev_outbox){0};
}
