/* Ids that must not come twice. See dedup.h. */
#include "broker/dedup.h"

#include <stdlib.h>

#include "amqp/table.h"
#include "base/mem.h"
#include "broker/queue.h"
#include "broker/vhost_int.h"

enum { SIZE_DEFAULT = 128, SWEEP_MIN = 1024 };

/* ---- Arguments ---- */

uint64_t lev_dedup_number(struct lev_bytes table, const char *key)
{
    struct lev_value v;
    uint64_t n = 0;
    if (!lev_table_get(table, key, &v))
        return 0;
    if (lev_value_is_int(&v))
        return v.i > 0 ? (uint64_t)v.i : 0;
    if (v.type != 'S' || v.b.len > 18)
        return 0;
    for (size_t i = 0; i < v.b.len; i++) {
        if (v.b.ptr[i] < '0' || v.b.ptr[i] > '9')
            return 0;
        n = n * 10 + (uint64_t)(v.b.ptr[i] - '0');
    }
    return n;
}

static void forget_all(struct lev_dedup *d)
{
    LEV_LIST_EACH(it, nx, &d->order)
    free(LEV_LIST_ENTRY(it, struct lev_dedup_entry, node));
    lev_list_init(&d->order);
    lev_map_deinit(&d->ids);
    lev_map_init(&d->ids);
}

void lev_dedup_free(struct lev_dedup **dp)
{
    struct lev_dedup *d = *dp;
    *dp = NULL;
    if (!d)
        return;
    forget_all(d);
    lev_map_deinit(&d->ids);
    lev_buf_deinit(&d->scratch);
    free(d->header);
    free(d);
}

/* ---- Ids ---- */

/* The id as octets that no other value has: integers of all widths by number. Empty: none. The view
 * is good until the next call. */
static struct lev_bytes id_of(struct lev_dedup *d, struct lev_bytes headers)
{
    struct lev_value v;
    struct lev_buf *b = &d->scratch;
    lev_buf_clear(b);
    if (!lev_table_get(headers, d->header, &v) || v.type == 'V')
        return LEV_EMPTY;
    lev_buf_put8(b, lev_value_is_int(&v) ? 'l' : v.type);
    if (v.type == 'd' || v.type == 'f')
        lev_buf_put(b, &v.d, sizeof(v.d));
    else if (v.type == 'S' || v.type == 'x' || v.type == 'F' || v.type == 'A')
        lev_buf_put_bytes(b, v.b);
    else
        lev_buf_put(b, &v.i, sizeof(v.i));
    if (v.type == 'D')
        lev_buf_put8(b, v.scale);
    return b->failed ? LEV_EMPTY : lev_buf_view(b);
}

static struct lev_bytes entry_id(const struct lev_dedup_entry *e)
{
    return lev_bytes(e->id, e->len);
}

static struct lev_dedup_entry *put(struct lev_dedup *d, struct lev_bytes id, uint64_t place)
{
    struct lev_dedup_entry *e = lev_xmalloc(sizeof(*e) + id.len);
    *e = (struct lev_dedup_entry){.place = place, .len = (uint32_t)id.len};
    if (id.len)
        memcpy(e->id, id.ptr, id.len);
    lev_list_push_back(&d->order, &e->node);
    lev_map_put(&d->ids, entry_id(e), e);
    return e;
}

static void op(struct lev_vhost *v, enum lev_op_kind kind, const struct lev_dedup *d,
               const struct lev_dedup_entry *e)
{
    struct lev_dedup_def def = {.exchange = d->exchange,
                                .queue_id = d->queue_id,
                                .place = e->place,
                                .expires_at_ms = e->expires_ms,
                                .id = entry_id(e)};
    lev_vhost_op(v, &(struct lev_op){.kind = (uint8_t)kind, .u.def = lev_dedup_def_copy(&def)});
}

static void store(struct lev_vhost *v, const struct lev_dedup *d, struct lev_dedup_entry *e)
{
    op(v, LEV_OP_DEDUP_ADD, d, e);
    e->batch = v->open->id;
    e->stored = true;
}

static void forget(struct lev_vhost *v, struct lev_dedup *d, struct lev_dedup_entry *e)
{
    if (e->stored)
        op(v, LEV_OP_DEDUP_DROP, d, e);
    lev_list_remove(&e->node);
    lev_map_remove(&d->ids, entry_id(e));
    free(e);
}

static bool expired(struct lev_vhost *v, const struct lev_dedup_entry *e)
{
    return e->expires_ms && e->expires_ms <= lev_vhost_now(v);
}

static void forget_expired(struct lev_vhost *v, struct lev_dedup *d)
{
    LEV_LIST_EACH(it, nx, &d->order)
    {
        struct lev_dedup_entry *e = LEV_LIST_ENTRY(it, struct lev_dedup_entry, node);
        if (expired(v, e))
            forget(v, d, e);
    }
}

/* Room for one more: the oldest goes; what has expired goes at once, or, behind what has not, when
 * there is twice as much as the last time. */
static void make_room(struct lev_vhost *v, struct lev_dedup *d)
{
    while (!lev_list_empty(&d->order)) {
        struct lev_dedup_entry *e = LEV_LIST_ENTRY(d->order.next, struct lev_dedup_entry, node);
        if (!expired(v, e) && (!d->size || d->ids.len < d->size))
            break;
        forget(v, d, e);
    }
    if (d->ids.len < d->sweep_at)
        return;
    forget_expired(v, d);
    d->sweep_at = d->ids.len * 2 > SWEEP_MIN ? d->ids.len * 2 : SWEEP_MIN;
}

static struct lev_dedup_entry *find(struct lev_vhost *v, struct lev_dedup *d, struct lev_bytes id)
{
    struct lev_dedup_entry *e = lev_map_get(&d->ids, id);
    if (!e || !expired(v, e))
        return e;
    forget(v, d, e);
    return NULL;
}

static struct lev_dedup_entry *remember(struct lev_vhost *v, struct lev_dedup *d,
                                        struct lev_bytes id, struct lev_bytes headers)
{
    uint64_t ttl = lev_dedup_number(headers, "x-cache-ttl");
    make_room(v, d);
    struct lev_dedup_entry *e = put(d, id, d->next_place++);
    ttl = ttl ? ttl : d->ttl_ms;
    e->expires_ms = ttl && ttl < INT64_MAX / 2 ? lev_vhost_now(v) + ttl : 0;
    if (d->durable)
        store(v, d, e);
    return e;
}

/* ---- Settings ---- */

static bool is_until_gone(const struct lev_dedup_settings *s, const struct lev_dedup_owner *o)
{
    return !o->exchange.len && !s->size && !s->ttl_ms;
}

static struct lev_dedup *dedup_new(const struct lev_dedup_settings *s,
                                   const struct lev_dedup_owner *o)
{
    struct lev_dedup *d = lev_xcalloc(1, sizeof(*d));
    lev_map_init(&d->ids);
    lev_list_init(&d->order);
    lev_buf_init(&d->scratch);
    d->header = (char *)lev_bytes_dup(s->header).ptr;
    d->next_place = 1;
    d->sweep_at = SWEEP_MIN;
    d->until_gone = is_until_gone(s, o);
    d->durable = o->durable;
    d->queue_id = o->queue_id;
    d->exchange = o->exchange;
    return d;
}

/* Its ids are those that it would have. */
static bool fits(const struct lev_dedup *d, const struct lev_dedup_settings *s,
                 const struct lev_dedup_owner *o)
{
    return lev_bytes_eq(lev_bytes_str(d->header), s->header) &&
           d->until_gone == is_until_gone(s, o);
}

void lev_dedup_follow(struct lev_vhost *v, struct lev_dedup **dp,
                      const struct lev_dedup_settings *s, const struct lev_dedup_owner *o)
{
    struct lev_dedup *d = *dp;
    if (d && (!s->wanted || !fits(d, s, o))) {
        while (!lev_list_empty(&d->order))
            forget(v, d, LEV_LIST_ENTRY(d->order.next, struct lev_dedup_entry, node));
        lev_dedup_free(dp);
    }
    if (!s->wanted)
        return;
    if (!*dp)
        *dp = dedup_new(s, o);
    (*dp)->size = s->size || s->ttl_ms || !o->exchange.len ? s->size : SIZE_DEFAULT;
    (*dp)->ttl_ms = s->ttl_ms;
}

void lev_dedup_restore(struct lev_dedup *d, const struct lev_dedup_def *def)
{
    if (lev_map_get(&d->ids, def->id))
        return;
    struct lev_dedup_entry *e = put(d, def->id, def->place);
    e->expires_ms = def->expires_at_ms;
    e->stored = true;
    if (def->place >= d->next_place)
        d->next_place = def->place + 1;
}

void lev_dedup_unwanted(struct lev_vhost *v, const struct lev_dedup_def *def)
{
    lev_vhost_op(v, &(struct lev_op){.kind = LEV_OP_DEDUP_DROP, .u.def = lev_dedup_def_copy(def)});
}

/* ---- Exchanges ---- */

void lev_effects_begin(struct lev_vhost *v)
{
    v->effects.batch = 0;
    v->effects.held = false;
    v->effects.n_ids = 0;
}

void lev_effects_undo(struct lev_vhost *v)
{
    struct lev_effects *f = &v->effects;
    while (f->n_ids) {
        f->n_ids--;
        forget(v, f->ids[f->n_ids].dedup, f->ids[f->n_ids].entry);
    }
}

static void note_effect(struct lev_effects *f, struct lev_dedup *d, struct lev_dedup_entry *e)
{
    if (f->n_ids == f->cap_ids) {
        f->cap_ids = f->cap_ids ? f->cap_ids * 2 : 4;
        f->ids = lev_xrealloc(f->ids, f->cap_ids * sizeof(*f->ids));
    }
    f->ids[f->n_ids++] = (struct lev_effect){d, e};
}

bool lev_dedup_seen(struct lev_vhost *v, struct lev_dedup *d, struct lev_bytes headers)
{
    struct lev_effects *f = &v->effects;
    struct lev_bytes id = id_of(d, headers);
    if (!id.len)
        return false;
    struct lev_dedup_entry *e = find(v, d, id);
    bool seen = e != NULL;
    if (!seen) {
        e = remember(v, d, id, headers);
        note_effect(f, d, e);
    }
    if (e->batch > f->batch)
        f->batch = e->batch;
    return seen;
}

/* ---- Queues ---- */

bool lev_dedup_has(struct lev_queue *q, struct lev_msg *msg, uint64_t *batch_r)
{
    struct lev_bytes id = id_of(q->dedup, lev_msg_headers(msg));
    const struct lev_dedup_entry *e = id.len ? find(q->vhost, q->dedup, id) : NULL;
    *batch_r = e ? e->batch : 0;
    return e != NULL;
}

uint64_t lev_dedup_passed(struct lev_queue *q, struct lev_msg *msg)
{
    struct lev_bytes headers = lev_msg_headers(msg);
    struct lev_bytes id = q->dedup->until_gone ? LEV_EMPTY : id_of(q->dedup, headers);
    return id.len ? remember(q->vhost, q->dedup, id, headers)->batch : 0;
}

static uint64_t place_of(const struct lev_queue *level, const struct lev_entry *e)
{
    return (uint64_t)level->level << 40 | e->pos;
}

void lev_dedup_entered(struct lev_queue *level, const struct lev_entry *e)
{
    struct lev_dedup *d = level->top->dedup;
    struct lev_bytes id = d->until_gone ? id_of(d, lev_msg_headers(e->msg)) : LEV_EMPTY;
    if (!id.len || lev_map_get(&d->ids, id))
        return;
    struct lev_dedup_entry *x = put(d, id, place_of(level, e));
    if (e->flags & LEV_ENTRY_STORED)
        store(level->vhost, d, x);
}

void lev_dedup_left(struct lev_queue *level, const struct lev_entry *e)
{
    struct lev_dedup *d = level->top->dedup;
    struct lev_bytes id =
        d->until_gone && !level->deleted ? id_of(d, lev_msg_headers(e->msg)) : LEV_EMPTY;
    struct lev_dedup_entry *x = id.len ? lev_map_get(&d->ids, id) : NULL;
    if (x && x->place == place_of(level, e))
        forget(level->vhost, d, x);
}

void lev_dedup_purged(struct lev_queue *q)
{
    struct lev_dedup *d = q->dedup;
    if (!d->until_gone || !d->ids.len)
        return;
    forget_all(d);
    if (d->durable && !q->deleted)
        lev_vhost_op(q->vhost,
                     &(struct lev_op){.kind = LEV_OP_DEDUP_CLEAR, .queue_id = d->queue_id});
}
