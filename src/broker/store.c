/* What batches, reads and definitions own, and how it is given back. See store.h. */
#include "broker/store.h"

#include <stdlib.h>

#include "amqp/props.h"
#include "base/mem.h"

static bool op_has_msg(const struct lev_op *op)
{
    return op->kind == LEV_OP_ENQUEUE || op->kind == LEV_OP_SPILL;
}

static bool op_has_def(const struct lev_op *op)
{
    return op->kind == LEV_OP_QUEUE_ADD || op->kind == LEV_OP_EXCHANGE_ADD ||
           op->kind == LEV_OP_EXCHANGE_DELETE || op->kind == LEV_OP_BINDING_ADD ||
           op->kind == LEV_OP_BINDING_DELETE || op->kind == LEV_OP_DEDUP_ADD ||
           op->kind == LEV_OP_DEDUP_DROP;
}

static bool op_has_delayed(const struct lev_op *op)
{
    return op->kind == LEV_OP_DELAY_ADD || op->kind == LEV_OP_DELAY_DONE;
}

void lev_batch_free(struct lev_batch **b)
{
    struct lev_batch *x = *b;
    *b = NULL;
    if (!x)
        return;
    for (size_t i = 0; i < x->n_ops; i++) {
        if (op_has_msg(&x->ops[i]))
            lev_msg_unref(&x->ops[i].u.msg);
        else if (op_has_def(&x->ops[i]))
            free(x->ops[i].u.def);
        else if (op_has_delayed(&x->ops[i]))
            lev_delayed_unref(&x->ops[i].u.delayed);
    }
    free(x->ops);
    free(x->marks);
    free(x);
}

void lev_read_free(struct lev_read **r)
{
    struct lev_read *x = *r;
    *r = NULL;
    if (!x)
        return;
    for (size_t i = 0; i < x->n_items; i++)
        lev_msg_unref(&x->items[i].msg);
    for (size_t i = 0; i < x->n_late; i++)
        lev_delayed_unref(&x->late[i]);
    free(x->items);
    free(x->late);
    free(x);
}

bool lev_stored_props_valid(struct lev_bytes raw)
{
    struct lev_props p;
    return raw.len == 0 || lev_props_decode(raw, &p) == 0;
}

/* Appends src to the block at *at and points *dst there. */
static void pack(uint8_t **at, struct lev_bytes *dst, struct lev_bytes src)
{
    *dst = lev_bytes(*at, src.len);
    if (src.len)
        memcpy(*at, src.ptr, src.len);
    *at += src.len;
}

struct lev_queue_def *lev_queue_def_copy(const struct lev_queue_def *d)
{
    struct lev_queue_def *c = lev_xmalloc(sizeof(*c) + d->name.len + d->arguments.len);
    uint8_t *at = (uint8_t *)(c + 1);
    *c = *d;
    pack(&at, &c->name, d->name);
    pack(&at, &c->arguments, d->arguments);
    return c;
}

struct lev_exchange_def *lev_exchange_def_copy(const struct lev_exchange_def *d)
{
    struct lev_exchange_def *c =
        lev_xmalloc(sizeof(*c) + d->name.len + d->type.len + d->arguments.len);
    uint8_t *at = (uint8_t *)(c + 1);
    *c = *d;
    pack(&at, &c->name, d->name);
    pack(&at, &c->type, d->type);
    pack(&at, &c->arguments, d->arguments);
    return c;
}

struct lev_binding_def *lev_binding_def_copy(const struct lev_binding_def *d)
{
    struct lev_binding_def *c = lev_xmalloc(sizeof(*c) + d->source.len + d->destination.len +
                                            d->routing_key.len + d->arguments.len);
    uint8_t *at = (uint8_t *)(c + 1);
    *c = *d;
    pack(&at, &c->source, d->source);
    pack(&at, &c->destination, d->destination);
    pack(&at, &c->routing_key, d->routing_key);
    pack(&at, &c->arguments, d->arguments);
    return c;
}

struct lev_dedup_def *lev_dedup_def_copy(const struct lev_dedup_def *d)
{
    struct lev_dedup_def *c = lev_xmalloc(sizeof(*c) + d->exchange.len + d->id.len);
    uint8_t *at = (uint8_t *)(c + 1);
    *c = *d;
    pack(&at, &c->exchange, d->exchange);
    pack(&at, &c->id, d->id);
    return c;
}

/* ---- Delayed messages ---- */

struct lev_delayed *lev_delayed_new(uint64_t due_ms, uint64_t seq, struct lev_msg *msg,
                                    struct lev_bytes exchange, struct lev_bytes keys)
{
    struct lev_delayed *d = lev_xmalloc(sizeof(*d) + exchange.len + keys.len);
    uint8_t *at = (uint8_t *)(d + 1);
    atomic_init(&d->refs, 1);
    d->due_ms = due_ms;
    d->seq = seq;
    d->msg = lev_msg_ref(msg);
    pack(&at, &d->exchange, exchange);
    pack(&at, &d->keys, keys);
    return d;
}

struct lev_delayed *lev_delayed_ref(struct lev_delayed *d)
{
    atomic_fetch_add_explicit(&d->refs, 1, memory_order_relaxed);
    return d;
}

void lev_delayed_unref(struct lev_delayed **d)
{
    struct lev_delayed *x = *d;
    *d = NULL;
    if (!x || atomic_fetch_sub_explicit(&x->refs, 1, memory_order_acq_rel) != 1)
        return;
    lev_msg_unref(&x->msg);
    free(x);
}
