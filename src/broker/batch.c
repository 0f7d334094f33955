/* The open batch of a vhost: where the broker puts what the store is to write. See store.h for the
 * contract. Under the vhost's lock. */
#include "base/mem.h"
#include "broker/vhost_int.h"

struct lev_batch *lev_batch_new(uint64_t id)
{
    struct lev_batch *b = lev_xcalloc(1, sizeof(*b));
    b->id = id;
    return b;
}

/* The open batch changed. */
static void stir(struct lev_vhost *v)
{
    uint64_t n = atomic_load_explicit(&v->activity, memory_order_relaxed);
    atomic_store_explicit(&v->activity, n + 1, memory_order_relaxed);
}

uint32_t lev_vhost_op(struct lev_vhost *v, const struct lev_op *op)
{
    struct lev_batch *b = v->open;
    if (b->n_ops == b->cap_ops) {
        b->cap_ops = b->cap_ops ? b->cap_ops * 2 : 64;
        b->ops = lev_xrealloc(b->ops, b->cap_ops * sizeof(*b->ops));
    }
    b->ops[b->n_ops] = *op;
    stir(v);
    b->live += op->kind != LEV_OP_SETTLE || !(op->flags & LEV_OPF_NOROW);
    if (op->kind == LEV_OP_ENQUEUE || op->kind == LEV_OP_SPILL)
        b->bytes += lev_msg_size(op->u.msg);
    else if (op->kind == LEV_OP_DELAY_ADD)
        b->bytes += lev_msg_size(op->u.delayed->msg);
    return (uint32_t)b->n_ops++;
}

void lev_vhost_op_cancel(struct lev_vhost *v, uint32_t index, bool norow)
{
    struct lev_batch *b = v->open;
    struct lev_op *op = &b->ops[index];
    stir(v);
    b->bytes -= lev_msg_size(op->u.msg);
    lev_msg_unref(&op->u.msg);
    if (norow) {
        op->kind = LEV_OP_SETTLE;
        op->flags = LEV_OPF_NOROW;
        op->size = 0;
    } else {
        op->kind = LEV_OP_NONE;
    }
    b->live--;
}

void lev_vhost_mark(struct lev_vhost *v, struct lev_queue *q)
{
    if (q->dest.durable)
        lev_vhost_watch(v, q);
}

void lev_vhost_watch(struct lev_vhost *v, struct lev_queue *q)
{
    if (q->mark_batch == v->open->id)
        return;
    q->mark_batch = v->open->id;
    if (v->n_marked == v->cap_marked) {
        v->cap_marked = v->cap_marked ? v->cap_marked * 2 : 16;
        v->marked = lev_xrealloc(v->marked, v->cap_marked * sizeof(struct lev_queue *));
    }
    v->marked[v->n_marked++] = lev_queue_ref(q);
}

static void grow_ids(struct lev_vhost *v, uint32_t id)
{
    uint32_t need = id / 8 + 1;
    if (need <= v->ids_cap)
        return;
    uint32_t cap = v->ids_cap ? v->ids_cap : 64;
    while (cap < need)
        cap *= 2;
    v->ids_used = lev_xrealloc(v->ids_used, cap);
    memset(v->ids_used + v->ids_cap, 0, cap - v->ids_cap);
    v->ids_cap = cap;
}

void lev_vhost_use_queue_id(struct lev_vhost *v, uint32_t id)
{
    grow_ids(v, id);
    v->ids_used[id / 8] = (uint8_t)(v->ids_used[id / 8] | (1 << (id % 8)));
    if (id > v->last_queue_id)
        v->last_queue_id = id;
}

uint32_t lev_vhost_take_queue_id(struct lev_vhost *v)
{
    uint32_t id = v->last_queue_id;
    do
        id = id == LEV_QUEUE_ID_MAX ? 1 : id + 1;
    while (id / 8 < v->ids_cap && (v->ids_used[id / 8] & (1 << (id % 8))));
    v->last_queue_id = id;
    grow_ids(v, id);
    v->ids_used[id / 8] = (uint8_t)(v->ids_used[id / 8] | (1 << (id % 8)));
    return id;
}

void lev_vhost_drop_queue_id(struct lev_vhost *v, uint32_t id)
{
    v->ids_used[id / 8] = (uint8_t)(v->ids_used[id / 8] & ~(1 << (id % 8)));
}
