/* A plain model of a broker. See model.h. */
#include "model.h"

#include <check.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"

void model_fail(const struct model *m, const char *cond, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    ck_abort_msg("LEV_SEED=%lu LEV_OPS=%lu (%s): %s: %s", m->seed, m->op + 1, m->doing, text, cond);
    abort();
}

/* --- lists --- */

static void list_insert(struct mlist *l, struct mmsg x)
{
    size_t at = l->n;
    if (l->n == l->cap) {
        l->cap = l->cap ? l->cap * 2 : 64;
        l->v = lev_xrealloc(l->v, l->cap * sizeof(*l->v));
    }
    while (at > 0 && l->v[at - 1].seq > x.seq)
        at--;
    memmove(l->v + at + 1, l->v + at, (l->n - at) * sizeof(*l->v));
    l->v[at] = x;
    l->n++;
}

static struct mmsg list_remove(struct mlist *l, size_t at)
{
    struct mmsg x = l->v[at];
    l->n--;
    memmove(l->v + at, l->v + at + 1, (l->n - at) * sizeof(*l->v));
    return x;
}

static void list_copy(struct mlist *to, const struct mlist *from)
{
    to->n = 0;
    for (size_t i = 0; i < from->n; i++)
        list_insert(to, from->v[i]);
}

/* --- queues --- */

static bool alive(const struct model *m, int queue, int gen)
{
    return m->q[queue].exists && m->q[queue].gen == gen;
}

void model_declare(struct model *m, int queue)
{
    struct mqueue *q = &m->q[queue];
    if (q->exists)
        return;
    q->exists = q->bound = true;
    q->gen++;
    q->next_seq = 0;
    q->unacked = 0;
    q->ready.n = 0;
}

static void detach_consumer(struct mchan *ch, int consumer)
{
    for (size_t i = 0; i < ch->n_unacked; i++)
        if (ch->unacked[i].consumer == consumer)
            ch->unacked[i].consumer = -1;
    ch->consumers[consumer].live = false;
}

void model_queue_gone(struct model *m, int queue)
{
    m->q[queue].exists = m->q[queue].bound = false;
    m->q[queue].ready.n = 0;
    for (int p = 0; p < MODEL_PEERS; p++) {
        for (int c = 1; c <= PEER_CHANNELS; c++) {
            for (int k = 0; k < MODEL_CONSUMERS; k++) {
                struct mconsumer *x = &m->ch[p][c].consumers[k];
                if (x->live && x->queue == queue) {
                    detach_consumer(&m->ch[p][c], k);
                    x->cancelled = true;
                }
            }
        }
    }
}

size_t model_purge(struct model *m, int queue)
{
    size_t n = m->q[queue].ready.n;
    m->q[queue].ready.n = 0;
    return n;
}

/* --- publishing --- */

static void enqueue(struct model *m, int queue, struct mmsg x)
{
    x.seq = m->q[queue].next_seq++;
    list_insert(&m->q[queue].ready, x);
}

static void expect_return(struct model *m, struct mchan *ch, int id)
{
    must(m, ch->n_returns < 128, "too many returns in a step");
    ch->returns[ch->n_returns++] = id;
}

static void note_confirm(struct mchan *ch, bool stored, int id)
{
    uint64_t before = ch->must_confirm > ch->confirmed ? ch->must_confirm : ch->confirmed;
    uint64_t seq = ++ch->publish_seq;
    if (!stored && before == seq - 1)
        ch->must_confirm = seq;
    if (!stored)
        return;
    if (ch->n_needs == ch->cap_needs) {
        ch->cap_needs = ch->cap_needs ? ch->cap_needs * 2 : 64;
        ch->needs = lev_xrealloc(ch->needs, ch->cap_needs * sizeof(*ch->needs));
    }
    ch->needs[ch->n_needs++] = (struct mneed){seq, id};
}

void model_publish(struct model *m, int peer, int number, int queue, bool persistent,
                   bool mandatory, int id)
{
    struct mchan *ch = &m->ch[peer][number];
    struct mtx_publish p = {.m = {.id = id, .persistent = persistent}, .mandatory = mandatory};
    bool stored = false;
    for (int i = 0; i < MODEL_QUEUES; i++) {
        if (!m->q[i].exists || (queue >= 0 ? i != queue : !m->q[i].bound))
            continue;
        p.queues[p.n] = i;
        p.gens[p.n++] = m->q[i].gen;
        stored |= persistent && m->q[i].durable;
    }
    if (ch->mode == TX) {
        ch->publishes = lev_xrealloc(ch->publishes, (ch->n_publishes + 1) * sizeof(p));
        ch->publishes[ch->n_publishes++] = p;
        return;
    }
    for (int i = 0; i < p.n; i++)
        enqueue(m, p.queues[i], p.m);
    if (!p.n && mandatory)
        expect_return(m, ch, id);
    if (ch->mode == CONFIRM)
        note_confirm(ch, stored, id);
}

/* --- consumers --- */

void model_consume(struct model *m, int peer, int ch, int consumer, int queue, bool no_ack)
{
    struct mchan *c = &m->ch[peer][ch];
    c->consumers[consumer] =
        (struct mconsumer){.live = true, .no_ack = no_ack, .queue = queue, .prefetch = c->prefetch};
}

static int consumers_of(const struct model *m, int queue)
{
    int n = 0;
    for (int p = 0; p < MODEL_PEERS; p++)
        for (int c = 1; c <= PEER_CHANNELS; c++)
            for (int k = 0; k < MODEL_CONSUMERS; k++)
                n += m->ch[p][c].consumers[k].live && m->ch[p][c].consumers[k].queue == queue;
    return n;
}

void model_cancel(struct model *m, int peer, int ch, int consumer)
{
    int queue = m->ch[peer][ch].consumers[consumer].queue;
    detach_consumer(&m->ch[peer][ch], consumer);
    if (m->q[queue].auto_delete && !consumers_of(m, queue))
        model_queue_gone(m, queue);
}

void model_get(struct model *m, int peer, int ch, int queue, bool no_ack)
{
    struct mchan *c = &m->ch[peer][ch];
    c->getting = true;
    c->get_queue = queue;
    c->get_no_ack = no_ack;
}

/* --- settling --- */

/* Settles slot i and closes up. */
static void apply(struct model *m, struct mchan *ch, size_t i, enum lev_settle how)
{
    struct munacked u = ch->unacked[i];
    ch->n_unacked--;
    memmove(ch->unacked + i, ch->unacked + i + 1, (ch->n_unacked - i) * sizeof(u));
    if (u.consumed)
        ch->consumed--;
    if (u.consumer >= 0)
        ch->consumers[u.consumer].unacked--;
    if (!alive(m, u.queue, u.gen))
        return;
    m->q[u.queue].unacked--;
    u.m.again = AGAIN_YES;
    if (how == LEV_SETTLE_REQUEUE)
        list_insert(&m->q[u.queue].ready, u.m);
}

static void settle_slot(struct model *m, struct mchan *ch, size_t i, enum lev_settle how)
{
    if (ch->mode != TX) {
        apply(m, ch, i, how);
        return;
    }
    ch->unacked[i].in_tx = true;
    ch->settles = lev_xrealloc(ch->settles, (ch->n_settles + 1) * sizeof(*ch->settles));
    ch->settles[ch->n_settles++] = (struct mtx_settle){ch->unacked[i].tag, how};
}

static size_t slot_of(const struct mchan *ch, uint64_t tag)
{
    size_t i = 0;
    while (i < ch->n_unacked && ch->unacked[i].tag != tag)
        i++;
    return i;
}

bool model_settle(struct model *m, int peer, int number, uint64_t tag, bool multiple,
                  enum lev_settle how)
{
    struct mchan *ch = &m->ch[peer][number];
    size_t at = slot_of(ch, tag);
    bool known = at < ch->n_unacked && !ch->unacked[at].in_tx;
    if (!known && !(multiple && tag == 0))
        return false;
    if (!multiple) {
        settle_slot(m, ch, at, how);
        return true;
    }
    for (size_t i = ch->n_unacked; i-- > 0;)
        if (!ch->unacked[i].in_tx && (tag == 0 || ch->unacked[i].tag <= tag))
            settle_slot(m, ch, i, how);
    return true;
}

void model_recover(struct model *m, int peer, int number)
{
    struct mchan *ch = &m->ch[peer][number];
    for (size_t i = ch->n_unacked; i-- > 0;)
        if (!ch->unacked[i].in_tx)
            apply(m, ch, i, LEV_SETTLE_REQUEUE);
}

void model_commit(struct model *m, int peer, int number)
{
    struct mchan *ch = &m->ch[peer][number];
    for (size_t i = 0; i < ch->n_publishes; i++) {
        const struct mtx_publish *p = &ch->publishes[i];
        int n = 0;
        for (int k = 0; k < p->n; k++) {
            if (!alive(m, p->queues[k], p->gens[k]))
                continue;
            enqueue(m, p->queues[k], p->m);
            n++;
        }
        if (!n && p->mandatory)
            expect_return(m, ch, p->m.id);
    }
    m->mixed = ch->n_publishes && ch->n_settles;
    for (size_t i = 0; i < ch->n_settles; i++)
        apply(m, ch, slot_of(ch, ch->settles[i].tag), ch->settles[i].how);
    ch->n_publishes = ch->n_settles = 0;
    ch->committing = true;
}

void model_rollback(struct model *m, int peer, int number)
{
    struct mchan *ch = &m->ch[peer][number];
    for (size_t i = 0; i < ch->n_unacked; i++)
        ch->unacked[i].in_tx = false;
    ch->n_publishes = ch->n_settles = 0;
}

static void forget_channel(struct mchan *ch)
{
    free(ch->unacked);
    free(ch->needs);
    free(ch->publishes);
    free(ch->settles);
    *ch = (struct mchan){0};
}

void model_close_channel(struct model *m, int peer, int number)
{
    struct mchan *ch = &m->ch[peer][number];
    for (int k = 0; k < MODEL_CONSUMERS; k++)
        if (ch->consumers[k].live)
            model_cancel(m, peer, number, k);
    while (ch->n_unacked)
        apply(m, ch, 0, LEV_SETTLE_REQUEUE);
    forget_channel(ch);
}

/* --- the store --- */

/* What is outstanding comes back as if requeued. */
static void save_unacked(struct model *m, const struct mchan *ch)
{
    for (size_t i = 0; i < ch->n_unacked; i++) {
        struct munacked u = ch->unacked[i];
        u.m.again = AGAIN_YES;
        if (alive(m, u.queue, u.gen) && m->q[u.queue].durable && u.m.persistent)
            list_insert(&m->saved[u.queue].ready, u.m);
    }
}

void model_written(struct model *m)
{
    for (int p = 0; p < MODEL_PEERS; p++)
        for (int c = 1; c <= PEER_CHANNELS; c++)
            m->ch[p][c].n_needs = 0;
}

void model_save(struct model *m)
{
    for (int i = 0; i < MODEL_QUEUES; i++) {
        struct mlist kept = m->saved[i].ready;
        m->saved[i] = m->q[i];
        m->saved[i].ready = kept;
        m->saved[i].ready.n = 0;
        m->saved[i].exists &= m->q[i].durable;
        for (size_t k = 0; m->saved[i].exists && k < m->q[i].ready.n; k++)
            if (m->q[i].ready.v[k].persistent)
                list_insert(&m->saved[i].ready, m->q[i].ready.v[k]);
    }
    for (int p = 0; p < MODEL_PEERS; p++)
        for (int c = 1; c <= PEER_CHANNELS; c++)
            save_unacked(m, &m->ch[p][c]);
}

void model_crash(struct model *m)
{
    for (int p = 0; p < MODEL_PEERS; p++)
        for (int c = 1; c <= PEER_CHANNELS; c++)
            forget_channel(&m->ch[p][c]);
    for (int i = 0; i < MODEL_QUEUES; i++) {
        struct mqueue *q = &m->q[i];
        q->exists = q->bound = m->saved[i].exists;
        q->gen++;
        q->unacked = 0;
        q->next_seq = m->saved[i].next_seq;
        list_copy(&q->ready, &m->saved[i].ready);
        for (size_t k = 0; k < q->ready.n; k++)
            if (q->ready.v[k].again == AGAIN_NO)
                q->ready.v[k].again = AGAIN_EITHER;
    }
}

/* --- comparing --- */

void model_begin(struct model *m, const char *doing)
{
    if (m->grouped)
        return;
    m->doing = doing;
    m->mixed = false;
    for (int i = 0; i < MODEL_QUEUES; i++) {
        m->q[i].popped = -1;
        m->q[i].empty = false;
        m->q[i].left = UINT32_MAX;
    }
    for (int p = 0; p < MODEL_PEERS; p++) {
        for (int c = 1; c <= PEER_CHANNELS; c++) {
            struct mchan *ch = &m->ch[p][c];
            ch->must_confirm = ch->told = 0;
            ch->n_returns = ch->seen_returns = 0;
            for (int i = 0; i < MODEL_QUEUES; i++)
                ch->last_seq[i] = -1;
        }
    }
}

/* The message leaves its queue. */
static struct mmsg pop(struct model *m, struct mchan *ch, int queue, const struct event *e)
{
    struct mqueue *q = &m->q[queue];
    int id = atoi(e->body);
    size_t at = 0;
    while (at < q->ready.n && q->ready.v[at].id != id)
        at++;
    must(m, q->exists && at < q->ready.n, "%s gave %d, which it does not have", q->name, id);
    struct mmsg x = list_remove(&q->ready, at);
    bool flag = e->flags & LEV_OUTF_REDELIVERED;
    must(m, x.again == AGAIN_EITHER || flag == (x.again == AGAIN_YES),
         "redelivered flag of %d is %d", id, flag);
    must(m, m->mixed || x.seq > ch->last_seq[queue], "%s gave %d out of order", q->name, id);
    ch->last_seq[queue] = x.seq;
    if (x.seq > q->popped)
        q->popped = x.seq;
    must(m, e->tag == ch->last_tag + 1, "delivery tag %llu", (unsigned long long)e->tag);
    ch->last_tag = e->tag;
    return x;
}

static void track(struct model *m, struct mchan *ch, struct munacked u)
{
    if (ch->n_unacked == ch->cap_unacked) {
        ch->cap_unacked = ch->cap_unacked ? ch->cap_unacked * 2 : 64;
        ch->unacked = lev_xrealloc(ch->unacked, ch->cap_unacked * sizeof(u));
    }
    u.tag = ch->last_tag;
    u.gen = m->q[u.queue].gen;
    ch->unacked[ch->n_unacked++] = u;
    m->q[u.queue].unacked++;
}

static void on_deliver(struct model *m, struct mchan *ch, const struct event *e)
{
    int k = atoi(e->consumer + 1);
    struct mconsumer *c = &ch->consumers[k];
    must(m, c->live, "delivery to consumer %s, which is gone", e->consumer);
    struct mmsg x = pop(m, ch, c->queue, e);
    if (c->no_ack)
        return;
    must(m, !c->prefetch || c->unacked < c->prefetch, "beyond the prefetch %u", c->prefetch);
    must(m, !ch->prefetch_global || ch->consumed < ch->prefetch_global,
         "beyond the channel's prefetch");
    c->unacked++;
    ch->consumed++;
    track(m, ch, (struct munacked){.queue = c->queue, .consumer = k, .consumed = true, .m = x});
}

static void on_get(struct model *m, struct mchan *ch, const struct event *e)
{
    must(m, ch->getting, "get-ok or get-empty unasked");
    ch->getting = false;
    if (e->kind == LEV_OUT_GET_EMPTY) {
        m->q[ch->get_queue].empty = true;
        return;
    }
    struct mmsg x = pop(m, ch, ch->get_queue, e);
    if (e->n < m->q[ch->get_queue].left)
        m->q[ch->get_queue].left = e->n;
    if (!ch->get_no_ack)
        track(m, ch, (struct munacked){.queue = ch->get_queue, .consumer = -1, .m = x});
}

static void on_confirm(struct model *m, struct mchan *ch, const struct event *e)
{
    must(m, ch->mode == CONFIRM && !(e->flags & LEV_OUTF_NACK), "confirm out of place");
    must(m, e->tag > ch->confirmed && e->tag <= ch->publish_seq, "confirm of %llu",
         (unsigned long long)e->tag);
    must(m, !(e->flags & LEV_OUTF_MULTIPLE) == (e->tag == ch->confirmed + 1), "multiple of %llu",
         (unsigned long long)e->tag);
    ch->confirmed = ch->told = e->tag;
}

static void on_event(struct model *m, struct mchan *ch, const struct event *e)
{
    switch (e->kind) {
    case LEV_OUT_DELIVER:
        on_deliver(m, ch, e);
        return;
    case LEV_OUT_GET_OK:
    case LEV_OUT_GET_EMPTY:
        on_get(m, ch, e);
        return;
    case LEV_OUT_RETURN:
        must(m, ch->seen_returns < ch->n_returns && ch->returns[ch->seen_returns] == atoi(e->body),
             "return of %s", e->body);
        ch->seen_returns++;
        return;
    case LEV_OUT_CONFIRM:
        on_confirm(m, ch, e);
        return;
    case LEV_OUT_COMMIT_OK:
        must(m, ch->committing, "commit-ok unasked");
        ch->committing = false;
        return;
    case LEV_OUT_CANCEL:
        must(m, ch->consumers[atoi(e->consumer + 1)].cancelled, "cancel of %s", e->consumer);
        ch->consumers[atoi(e->consumer + 1)].cancelled = false;
        return;
    default:
        return;
    }
}

static bool holds(const struct model *m, const struct mchan *ch, int id)
{
    for (size_t i = 0; i < ch->n_unacked; i++) {
        const struct munacked *u = &ch->unacked[i];
        if (u->m.id == id && alive(m, u->queue, u->gen) && m->q[u->queue].durable)
            return true;
    }
    return false;
}

/* Still owed to somebody by a durable queue. */
static bool outstanding(const struct model *m, int id)
{
    for (int i = 0; i < MODEL_QUEUES; i++)
        for (size_t k = 0; m->q[i].exists && m->q[i].durable && k < m->q[i].ready.n; k++)
            if (m->q[i].ready.v[k].id == id)
                return true;
    for (int p = 0; p < MODEL_PEERS; p++)
        for (int c = 1; c <= PEER_CHANNELS; c++)
            if (holds(m, &m->ch[p][c], id))
                return true;
    return false;
}

static void compare_channel(struct model *m, struct mchan *ch)
{
    must(m, ch->seen_returns == ch->n_returns, "a return is missing");
    must(m, ch->confirmed >= ch->must_confirm, "no confirm at once of %llu",
         (unsigned long long)ch->must_confirm);
    for (int k = 0; k < MODEL_CONSUMERS; k++)
        must(m, !ch->consumers[k].cancelled, "no cancel of c%d", k);
    for (size_t i = 0; ch->told && i < ch->n_needs && ch->needs[i].seq <= ch->told; i++)
        must(m, !outstanding(m, ch->needs[i].id), "confirm of %d before it is stored",
             ch->needs[i].id);
}

static void compare_queue(struct model *m, struct mqueue *q)
{
    struct lev_queue *real = stage_queue(m->stage, q->name);
    must(m, (real != NULL) == q->exists, "%s exists: %d", q->name, real != NULL);
    if (!real)
        return;
    must(m, m->mixed || q->popped < 0 || !q->ready.n || q->popped < q->ready.v[0].seq,
         "%s passed over %d", q->name, q->ready.v[0].id);
    must(m, !q->empty || !q->ready.n, "%s said it is empty", q->name);
    must(m, q->left >= q->ready.n, "%s said %u are left", q->name, q->left);
    must(m, lev_queue_ready(real) == q->ready.n, "%s has %llu ready, not %zu", q->name,
         (unsigned long long)lev_queue_ready(real), q->ready.n);
    must(m, real->unacked == q->unacked, "%s has %llu unacked, not %zu", q->name,
         (unsigned long long)real->unacked, q->unacked);
}

void model_compare(struct model *m)
{
    for (int p = 0; p < MODEL_PEERS; p++) {
        struct peer *peer = &m->stage->peers[p];
        peer_drain(peer);
        for (size_t i = 0; i < peer->n_events; i++)
            on_event(m, &m->ch[p][peer->events[i].channel], &peer->events[i]);
        peer_forget_events(peer);
    }
    for (int i = 0; i < MODEL_QUEUES; i++)
        compare_queue(m, &m->q[i]);
    for (int p = 0; p < MODEL_PEERS; p++)
        for (int c = 1; c <= PEER_CHANNELS; c++)
            compare_channel(m, &m->ch[p][c]);
    if (m->op % 8 == 0)
        stage_check(m->stage);
}

void model_compare_idle(struct model *m)
{
    for (int p = 0; p < MODEL_PEERS; p++) {
        must(m, !m->stage->peers[p].client.suspended, "peer %d is suspended", p);
        for (int c = 1; c <= PEER_CHANNELS; c++) {
            struct mchan *ch = &m->ch[p][c];
            must(m, !ch->getting && !ch->committing, "a get or commit hangs");
            must(m, ch->confirmed == ch->publish_seq, "confirms are missing after %llu",
                 (unsigned long long)ch->confirmed);
            for (int k = 0; k < MODEL_CONSUMERS; k++) {
                const struct mconsumer *x = &ch->consumers[k];
                bool can =
                    x->no_ack || ((!x->prefetch || x->unacked < x->prefetch) &&
                                  (!ch->prefetch_global || ch->consumed < ch->prefetch_global));
                must(m, !x->live || !can || !m->q[x->queue].ready.n, "c%d of %d/%d starves", k, p,
                     c);
            }
        }
    }
}

/* --- life --- */

void model_init(struct model *m, struct stage *s)
{
    *m = (struct model){.stage = s, .next_id = 1, .doing = "start"};
    for (int i = 0; i < MODEL_QUEUES; i++) {
        struct mqueue *q = &m->q[i];
        memcpy(q->name, (char[]){'q', (char)('0' + i), '\0'}, 3);
        q->durable = i < 3;
        q->auto_delete = i == 2 || i == 5;
    }
}

void model_deinit(struct model *m)
{
    for (int p = 0; p < MODEL_PEERS; p++)
        for (int c = 1; c <= PEER_CHANNELS; c++)
            forget_channel(&m->ch[p][c]);
    for (int i = 0; i < MODEL_QUEUES; i++) {
        free(m->q[i].ready.v);
        free(m->saved[i].ready.v);
    }
}
