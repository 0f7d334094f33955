/* The batches of a vhost that are not being written yet. See store.h for the contract. Under the
 * vhost's lock.
 *
 * The open batch is where the broker puts what the store is to write. Under load the store has it
 * sealed first, and takes it a while later: most of what is in it has been consumed by then, is
 * taken back, and never written. Operations are still taken back from a sealed batch, but none are
 * added. What must stay together with an operation of the open batch (a dead letter with its
 * message's end, a transaction) is not taken back from the sealed one. */
#include "base/mem.h"
#include "broker/vhost_int.h"

struct lev_batch *lev_batch_new(uint64_t id)
{
    struct lev_batch *b = lev_xcalloc(1, sizeof(*b));
    b->id = id;
    return b;
}

/* Only the lock's holder counts; the store's writer looks on. */
static void count_one(_Atomic uint64_t *n)
{
    atomic_store_explicit(n, atomic_load_explicit(n, memory_order_relaxed) + 1,
                          memory_order_relaxed);
}

/* Whether it is only about messages that come and go. */
static bool traffic(enum lev_op_kind kind)
{
    return kind == LEV_OP_SETTLE || kind == LEV_OP_SETTLE_RANGE || kind == LEV_OP_SPILL ||
           kind == LEV_OP_UNSPILL || kind == LEV_OP_COUNT;
}

/* The place of the next operation. */
static inline struct lev_op *append(struct lev_batch *b)
{
    if (b->n_ops == b->cap_ops) {
        b->cap_ops = b->cap_ops ? b->cap_ops * 2 : 64;
        b->ops = lev_xrealloc(b->ops, b->cap_ops * sizeof(*b->ops));
    }
    return &b->ops[b->n_ops++];
}

uint32_t lev_vhost_op(struct lev_vhost *v, const struct lev_op *op)
{
    struct lev_batch *b = v->open;
    *append(b) = *op;
    if (op->kind == LEV_OP_SETTLE)
        count_one(&v->settled);
    b->firm |= !traffic((enum lev_op_kind)op->kind);
    b->live += op->kind != LEV_OP_SETTLE || !(op->flags & LEV_OPF_NOROW);
    if (op->kind == LEV_OP_SPILL)
        b->bytes += lev_msg_size(op->u.msg);
    else if (op->kind == LEV_OP_DELAY_ADD)
        b->bytes += lev_msg_size(op->u.delayed->msg);
    return (uint32_t)(b->n_ops - 1);
}

void lev_vhost_enqueue(struct lev_vhost *v, uint32_t queue_id, struct lev_entry *e)
{
    struct lev_batch *b = v->open;
    e->op = (uint32_t)b->n_ops;
    e->batch = b->id;
    *append(b) = (struct lev_op){.kind = LEV_OP_ENQUEUE,
                                 .queue_id = queue_id,
                                 .pos = e->pos,
                                 .u.msg = lev_msg_ref(e->msg),
                                 .expires_at_ms = e->expires_ms,
                                 .size = e->msg->body_len};
    count_one(&v->enqueued);
    b->live++;
    b->bytes += lev_msg_size(e->msg);
}

/* The batch that e's operation can still be taken back from, or NULL. */
static struct lev_batch *batch_of(struct lev_vhost *v, const struct lev_entry *e)
{
    if (e->batch == v->open->id)
        return v->open;
    return v->sealed && e->batch == v->sealed->id && !v->together ? v->sealed : NULL;
}

bool lev_vhost_op_cancel(struct lev_vhost *v, const struct lev_entry *e, bool norow)
{
    struct lev_batch *b = batch_of(v, e);
    if (!b)
        return false;
    struct lev_op *op = &b->ops[e->op];
    count_one(&v->settled);
    count_one(&v->cancelled);
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
    return true;
}

void lev_vhost_watch(struct lev_vhost *v, struct lev_queue *q)
{
    if (q->mark_batch == v->open->id)
        return;
    q->mark_batch = v->open->id;
    struct lev_marked *m = &v->marked;
    if (m->n == m->cap) {
        m->cap = m->cap ? m->cap * 2 : 16;
        m->a = lev_xrealloc(m->a, m->cap * sizeof(struct lev_queue *));
    }
    m->a[m->n++] = lev_queue_ref(q);
}

void lev_marked_free(struct lev_marked *m)
{
    for (size_t i = 0; i < m->n; i++)
        lev_queue_unref(&m->a[i]);
    free(m->a);
    *m = (struct lev_marked){0};
}

bool lev_vhost_has_batch(const struct lev_vhost *v)
{
    return v->open->n_ops > 0 || v->marked.n > 0 || v->sealed; /* what was cancelled has waiters */
}

/* What was taken back takes room, too, until its batch has gone. */
static size_t size_of(const struct lev_batch *b)
{
    return b->bytes + b->n_ops * sizeof(*b->ops);
}

size_t lev_vhost_unwritten(const struct lev_vhost *v)
{
    return size_of(v->open) + (v->sealed ? size_of(v->sealed) : 0) + v->in_flight_bytes;
}

static void swap_marked(struct lev_marked *a, struct lev_marked *b)
{
    struct lev_marked x = *a;
    *a = *b;
    *b = x;
}

/* The open batch ends; its queues are in *marked, which was empty. */
static struct lev_batch *close_batch(struct lev_vhost *v, struct lev_marked *marked)
{
    struct lev_batch *b = v->open;
    v->open = lev_batch_new(v->next_batch++);
    swap_marked(&v->marked, marked);
    return b;
}

struct lev_batch *lev_vhost_take(struct lev_vhost *v, bool seal)
{
    struct lev_batch *b = v->sealed;
    if (b)
        swap_marked(&v->aged, &v->written);
    else if (!seal)
        b = close_batch(v, &v->written);
    v->sealed = seal ? close_batch(v, &v->aged) : NULL;
    return b;
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
