/* The store in memory. See store_mem.h.
 *
 * A plain model of what broker/store.h promises: rows are kept per queue in position order and die
 * one by one. It is deliberately simple; the SQLite store is tested against it. Invariant: rows.v
 * is sorted by pos, without duplicates; n_dead of them are dead (msg NULL). */
#include "store/store_mem.h"

#include <stdlib.h>

#include "base/err.h"
#include "base/mem.h"
#include "store/mem_late.h"

struct row {
    uint64_t pos;
    struct lev_msg *msg; /* NULL: dead */
    uint64_t expires_at_ms;
    uint16_t count;
};

struct rows {
    struct row *v;
    size_t n, cap, n_dead;
};

struct mqueue {
    uint32_t id;
    struct lev_queue_def *def; /* NULL: only spill (a transient queue) */
    struct lev_queue_state state;
    struct rows stored, spilled;
};

struct mem_store {
    struct lev_store base;
    const struct lev_store_client *client;
    void *ctx;
    struct mqueue **queues; /* sorted by id */
    size_t n_queues;
    struct lev_exchange_def **exchanges;
    size_t n_exchanges;
    struct lev_binding_def **bindings;
    size_t n_bindings;
    struct lev_mem_late late;
    struct lev_batch *held; /* taken, could not be committed */
    struct lev_read **reads;
    size_t n_reads;
    int fail, fail_reads;
    bool in_trouble, woken;
    uint64_t commits;
};

static struct mem_store *mem(struct lev_store *s)
{
    return LEV_CONTAINER(s, struct mem_store, base);
}

/* ---- Rows ---- */

/* Index of the first row at or after pos. */
static size_t rows_at(const struct rows *r, uint64_t pos)
{
    size_t lo = 0, hi = r->n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (r->v[mid].pos < pos)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static void rows_compact(struct rows *r)
{
    size_t n = 0;
    for (size_t i = 0; i < r->n; i++)
        if (r->v[i].msg)
            r->v[n++] = r->v[i];
    r->n = n;
    r->n_dead = 0;
}

static void rows_put(struct rows *r, uint64_t pos, struct lev_msg *msg, uint64_t expires_at_ms)
{
    size_t i = rows_at(r, pos);
    struct row row = {pos, lev_msg_ref(msg), expires_at_ms, 0};
    if (i < r->n && r->v[i].pos == pos) {
        r->n_dead -= r->v[i].msg == NULL;
        lev_msg_unref(&r->v[i].msg);
        r->v[i] = row;
        return;
    }
    if (r->n == r->cap) {
        r->cap = r->cap ? r->cap * 2 : 16;
        r->v = lev_xrealloc(r->v, r->cap * sizeof(*r->v));
    }
    memmove(r->v + i + 1, r->v + i, (r->n - i) * sizeof(*r->v));
    r->v[i] = row;
    r->n++;
}

static void rows_count(struct rows *r, uint64_t pos, uint32_t count)
{
    size_t i = rows_at(r, pos);
    if (i < r->n && r->v[i].pos == pos)
        r->v[i].count = (uint16_t)(count < UINT16_MAX ? count : UINT16_MAX);
}

static void rows_kill(struct rows *r, uint64_t from, uint64_t to)
{
    for (size_t i = rows_at(r, from); i < r->n && r->v[i].pos < to; i++) {
        r->n_dead += r->v[i].msg != NULL;
        lev_msg_unref(&r->v[i].msg);
    }
    if (r->n_dead > 64 && r->n_dead * 2 > r->n)
        rows_compact(r);
}

static void rows_deinit(struct rows *r)
{
    for (size_t i = 0; i < r->n; i++)
        lev_msg_unref(&r->v[i].msg);
    free(r->v);
    *r = (struct rows){0};
}

/* ---- Queues ---- */

static size_t queue_index(const struct mem_store *m, uint32_t id)
{
    size_t i = 0;
    while (i < m->n_queues && m->queues[i]->id < id)
        i++;
    return i;
}

static struct mqueue *queue_get(const struct mem_store *m, uint32_t id)
{
    size_t i = queue_index(m, id);
    return i < m->n_queues && m->queues[i]->id == id ? m->queues[i] : NULL;
}

static struct mqueue *queue_make(struct mem_store *m, uint32_t id)
{
    struct mqueue *q = queue_get(m, id);
    if (q)
        return q;
    size_t i = queue_index(m, id);
    q = lev_xcalloc(1, sizeof(*q));
    q->id = id;
    m->queues = lev_xrealloc(m->queues, (m->n_queues + 1) * sizeof(struct mqueue *));
    memmove(m->queues + i + 1, m->queues + i, (m->n_queues - i) * sizeof(struct mqueue *));
    m->queues[i] = q;
    m->n_queues++;
    return q;
}

static void queue_destroy(struct mqueue *q)
{
    rows_deinit(&q->stored);
    rows_deinit(&q->spilled);
    free(q->def);
    free(q);
}

static void queue_delete(struct mem_store *m, uint32_t id)
{
    size_t i = queue_index(m, id);
    if (i == m->n_queues || m->queues[i]->id != id)
        return;
    queue_destroy(m->queues[i]);
    m->n_queues--;
    memmove(m->queues + i, m->queues + i + 1, (m->n_queues - i) * sizeof(struct mqueue *));
}

/* ---- Topology ---- */

static void exchange_delete(struct mem_store *m, struct lev_bytes name)
{
    for (size_t i = 0; i < m->n_exchanges; i++) {
        if (lev_bytes_eq(m->exchanges[i]->name, name)) {
            free(m->exchanges[i]);
            m->exchanges[i] = m->exchanges[--m->n_exchanges];
            return;
        }
    }
}

static void exchange_add(struct mem_store *m, const struct lev_exchange_def *d)
{
    exchange_delete(m, d->name);
    m->exchanges =
        lev_xrealloc(m->exchanges, (m->n_exchanges + 1) * sizeof(struct lev_exchange_def *));
    m->exchanges[m->n_exchanges++] = lev_exchange_def_copy(d);
}

static bool same_binding(const struct lev_binding_def *a, const struct lev_binding_def *b)
{
    return a->to_queue == b->to_queue && lev_bytes_eq(a->source, b->source) &&
           lev_bytes_eq(a->destination, b->destination) &&
           lev_bytes_eq(a->routing_key, b->routing_key) && lev_bytes_eq(a->arguments, b->arguments);
}

static void binding_delete(struct mem_store *m, const struct lev_binding_def *d)
{
    for (size_t i = 0; i < m->n_bindings; i++) {
        if (same_binding(m->bindings[i], d)) {
            free(m->bindings[i]);
            m->bindings[i] = m->bindings[--m->n_bindings];
            return;
        }
    }
}

static void binding_add(struct mem_store *m, const struct lev_binding_def *d)
{
    binding_delete(m, d);
    m->bindings = lev_xrealloc(m->bindings, (m->n_bindings + 1) * sizeof(struct lev_binding_def *));
    m->bindings[m->n_bindings++] = lev_binding_def_copy(d);
}

static void queue_add(struct mem_store *m, const struct lev_queue_def *d)
{
    struct mqueue *q = queue_make(m, d->queue_id);
    free(q->def);
    q->def = lev_queue_def_copy(d);
}

/* ---- The writer's half ---- */

static void subtract(struct mqueue *q, uint64_t count, uint64_t bytes)
{
    q->state.count -= count < q->state.count ? count : q->state.count;
    q->state.bytes -= bytes < q->state.bytes ? bytes : q->state.bytes;
}

static void settle(struct mqueue *q, const struct lev_op *op)
{
    if (op->flags & LEV_OPF_SPILLED)
        rows_kill(&q->spilled, op->pos, op->pos + 1);
    else if (!(op->flags & LEV_OPF_NOROW)) {
        rows_kill(&q->stored, op->pos, op->pos + 1);
        subtract(q, 1, op->size);
    }
}

static void apply_to_queue(struct mqueue *q, const struct lev_op *op)
{
    switch (op->kind) {
    case LEV_OP_ENQUEUE:
        if (!q->def)
            return;
        rows_put(&q->stored, op->pos, op->u.msg, op->expires_at_ms);
        q->state.count++;
        q->state.bytes += op->size;
        if (op->pos >= q->state.next_pos)
            q->state.next_pos = op->pos + 1;
        return;
    case LEV_OP_SPILL:
        rows_put(&q->spilled, op->pos, op->u.msg, op->expires_at_ms);
        if (op->pos >= q->state.next_pos)
            q->state.next_pos = op->pos + 1;
        return;
    case LEV_OP_SETTLE:
        settle(q, op);
        return;
    case LEV_OP_SETTLE_RANGE:
        rows_kill(&q->stored, op->pos, op->u.end);
        rows_kill(&q->spilled, op->pos, op->u.end);
        subtract(q, op->count, op->bytes);
        return;
    case LEV_OP_UNSPILL:
        rows_kill(&q->spilled, op->pos, op->u.end);
        return;
    case LEV_OP_COUNT:
        rows_count(&q->stored, op->pos, op->count);
        return;
    default:
        return;
    }
}

static void apply_op(struct mem_store *m, const struct lev_op *op)
{
    lev_mem_late_apply(&m->late, op);
    switch (op->kind) {
    case LEV_OP_NONE:
        return;
    case LEV_OP_QUEUE_ADD:
        queue_add(m, op->u.def);
        return;
    case LEV_OP_QUEUE_DELETE:
        queue_delete(m, op->queue_id);
        return;
    case LEV_OP_EXCHANGE_ADD:
        exchange_add(m, op->u.def);
        return;
    case LEV_OP_EXCHANGE_DELETE:
        exchange_delete(m, ((const struct lev_exchange_def *)op->u.def)->name);
        return;
    case LEV_OP_BINDING_ADD:
        binding_add(m, op->u.def);
        return;
    case LEV_OP_BINDING_DELETE:
        binding_delete(m, op->u.def);
        return;
    default: {
        struct mqueue *q = queue_get(m, op->queue_id);
        if (!q && op->kind == LEV_OP_SPILL)
            q = queue_make(m, op->queue_id);
        if (q)
            apply_to_queue(q, op);
        return;
    }
    }
}

static void apply_mark(struct mem_store *m, const struct lev_queue_mark *mark)
{
    struct mqueue *q = queue_get(m, mark->queue_id);
    if (!q || !q->def)
        return;
    if (mark->next_pos > q->state.next_pos)
        q->state.next_pos = mark->next_pos;
    q->state.delivered_to = mark->delivered_to;
}

/* Commits the held batch, or reports why not. */
static bool commit_held(struct mem_store *m)
{
    if (m->fail < 0) {
        if (!m->in_trouble)
            m->client->trouble(m->ctx, m->fail, lev_err_text(m->fail));
        m->in_trouble = true;
        return false;
    }
    for (size_t i = 0; i < m->held->n_ops; i++)
        apply_op(m, &m->held->ops[i]);
    for (size_t i = 0; i < m->held->n_marks; i++)
        apply_mark(m, &m->held->marks[i]);
    m->commits++;
    if (m->in_trouble)
        m->client->trouble(m->ctx, 0, "");
    m->in_trouble = false;
    struct lev_batch *b = m->held;
    m->held = NULL;
    m->client->done(m->ctx, b);
    return true;
}

bool lev_store_mem_run_batch(struct lev_store *s)
{
    struct mem_store *m = mem(s);
    m->woken = false;
    if (!m->held)
        m->held = m->client->take(m->ctx, false);
    return m->held && commit_held(m);
}

size_t lev_store_mem_run_writer(struct lev_store *s)
{
    size_t n = 0;
    while (lev_store_mem_run_batch(s))
        n++;
    return n;
}

/* ---- The reader's half ---- */

static struct lev_msg *copy_msg(const struct lev_msg *x)
{
    return lev_msg_copy(x, lev_msg_exchange(x), lev_msg_key(x), lev_msg_props(x), lev_msg_bcc(x));
}

/* The next live row in [pos, to), or NULL. */
static const struct row *next_row(const struct rows *r, uint64_t pos, uint64_t to)
{
    for (size_t i = rows_at(r, pos); i < r->n && r->v[i].pos < to; i++)
        if (r->v[i].msg)
            return &r->v[i];
    return NULL;
}

static bool add_item(struct lev_read *r, const struct row *row, bool spilled)
{
    struct lev_msg *msg = copy_msg(row->msg);
    if (!msg)
        return false;
    r->items = lev_xrealloc(r->items, (r->n_items + 1) * sizeof(*r->items));
    r->items[r->n_items++] = (struct lev_read_item){.pos = row->pos,
                                                    .msg = msg,
                                                    .expires_at_ms = row->expires_at_ms,
                                                    .count = row->count,
                                                    .spilled = spilled};
    r->reached = row->pos + 1;
    return true;
}

static void serve(const struct mem_store *m, struct lev_read *r)
{
    const struct mqueue *q = queue_get(m, r->queue_id);
    size_t bytes = 0;
    r->reached = r->from;
    r->rc = m->fail_reads;
    if (r->rc < 0)
        return;
    if (r->delayed) {
        lev_mem_late_read(&m->late, r);
        return;
    }
    while (q) {
        const struct row *a = next_row(&q->stored, r->reached, r->to);
        const struct row *b = next_row(&q->spilled, r->reached, r->to);
        const struct row *row = !b || (a && a->pos < b->pos) ? a : b;
        if (!row)
            break;
        bytes += lev_msg_size(row->msg);
        if (r->n_items && (r->n_items >= r->max_items || bytes > r->max_bytes))
            return;
        if (!add_item(r, row, row == b)) {
            r->rc = LEV_ENOMEM;
            return;
        }
    }
    r->reached = r->to;
}

size_t lev_store_mem_run_reader(struct lev_store *s)
{
    struct mem_store *m = mem(s);
    size_t n = 0;
    while (m->n_reads) {
        struct lev_read *r = m->reads[0];
        m->n_reads--;
        memmove(m->reads, m->reads + 1, m->n_reads * sizeof(struct lev_read *));
        serve(m, r);
        m->client->loaded(m->ctx, r);
        n++;
    }
    return n;
}

size_t lev_store_mem_run(struct lev_store *s)
{
    size_t total = 0, n;
    do {
        n = lev_store_mem_run_writer(s);
        n += lev_store_mem_run_reader(s);
        total += n;
    } while (n);
    return total;
}

/* ---- Life ---- */

static void mem_wake(struct lev_store *s)
{
    mem(s)->woken = true;
}

static void mem_read(struct lev_store *s, struct lev_read *r)
{
    struct mem_store *m = mem(s);
    m->reads = lev_xrealloc(m->reads, (m->n_reads + 1) * sizeof(struct lev_read *));
    m->reads[m->n_reads++] = r;
}

struct lev_store *lev_store_mem_new(void)
{
    static const struct lev_store_ops ops = {mem_wake, mem_read};
    struct mem_store *m = lev_xcalloc(1, sizeof(*m));
    m->base.ops = &ops;
    return &m->base;
}

void lev_store_mem_start(struct lev_store *s, const struct lev_store_client *client, void *ctx)
{
    mem(s)->client = client;
    mem(s)->ctx = ctx;
}

void lev_store_mem_crash(struct lev_store *s)
{
    struct mem_store *m = mem(s);
    lev_batch_free(&m->held);
    for (size_t i = 0; i < m->n_reads; i++)
        lev_read_free(&m->reads[i]);
    m->n_reads = 0;
    for (size_t i = m->n_queues; i-- > 0;) {
        rows_deinit(&m->queues[i]->spilled);
        if (!m->queues[i]->def)
            queue_delete(m, m->queues[i]->id);
    }
    m->client = NULL;
    m->in_trouble = m->woken = false;
}

void lev_store_mem_free(struct lev_store **s)
{
    if (!*s)
        return;
    struct mem_store *m = mem(*s);
    *s = NULL;
    lev_store_mem_crash(&m->base);
    for (size_t i = 0; i < m->n_queues; i++)
        queue_destroy(m->queues[i]);
    for (size_t i = 0; i < m->n_exchanges; i++)
        free(m->exchanges[i]);
    for (size_t i = 0; i < m->n_bindings; i++)
        free(m->bindings[i]);
    lev_mem_late_deinit(&m->late);
    free(m->queues);
    free(m->exchanges);
    free(m->bindings);
    free(m->reads);
    free(m);
}

static void recover_queue(struct mqueue *q, const struct lev_recovery *recovery, void *ctx)
{
    const struct row *first = next_row(&q->stored, 0, LEV_POSITION_MAX + 1);
    q->state.head = first ? first->pos : q->state.next_pos;
    recovery->queue(ctx, q->def, &q->state);
}

void lev_store_mem_recover(struct lev_store *s, const struct lev_recovery *recovery, void *ctx)
{
    struct mem_store *m = mem(s);
    for (size_t i = 0; i < m->n_exchanges; i++)
        recovery->exchange(ctx, m->exchanges[i]);
    for (size_t i = 0; i < m->n_queues; i++)
        if (m->queues[i]->def->level == 0)
            recover_queue(m->queues[i], recovery, ctx);
    for (size_t i = 0; i < m->n_queues; i++)
        if (m->queues[i]->def->level != 0)
            recover_queue(m->queues[i], recovery, ctx);
    for (size_t i = 0; i < m->n_bindings; i++)
        recovery->binding(ctx, m->bindings[i]);
    lev_mem_late_recover(&m->late, recovery, ctx);
}

/* ---- Knobs and views ---- */

void lev_store_mem_fail(struct lev_store *s, int rc)
{
    mem(s)->fail = rc;
}

void lev_store_mem_fail_reads(struct lev_store *s, int rc)
{
    mem(s)->fail_reads = rc;
}

static const struct mem_store *cmem(const struct lev_store *s)
{
    return (const struct mem_store *)(const void *)s; /* base is the first member */
}

bool lev_store_mem_woken(const struct lev_store *s)
{
    return cmem(s)->woken;
}

size_t lev_store_mem_pending_reads(const struct lev_store *s)
{
    return cmem(s)->n_reads;
}

uint64_t lev_store_mem_commits(const struct lev_store *s)
{
    return cmem(s)->commits;
}

size_t lev_store_mem_rows(const struct lev_store *s, uint32_t queue_id, bool spilled)
{
    const struct mqueue *q = queue_get(cmem(s), queue_id);
    if (!q)
        return 0;
    const struct rows *r = spilled ? &q->spilled : &q->stored;
    return r->n - r->n_dead;
}

void lev_store_mem_each(const struct lev_store *s, uint32_t queue_id,
                        void (*row)(void *ctx, const struct lev_msg *msg), void *ctx)
{
    const struct mqueue *q = queue_get(cmem(s), queue_id);
    for (size_t i = 0; q && i < q->stored.n; i++)
        if (q->stored.v[i].msg)
            row(ctx, q->stored.v[i].msg);
}

bool lev_store_mem_queue_id_free(const struct lev_store *s, uint32_t queue_id)
{
    return !queue_get(cmem(s), queue_id);
}

size_t lev_store_mem_delayed(const struct lev_store *s)
{
    return cmem(s)->late.n_delayed;
}

size_t lev_store_mem_ids(const struct lev_store *s)
{
    return cmem(s)->late.n_ids;
}
