/* What the peers were told, what must have happened by then, and comparing. See life.h. */
#include "life_int.h"

#include <check.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"

void life_fail(const struct life *l, const char *cond, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    ck_abort_msg("LEV_SEED=%lu LEV_OPS=%lu (%s): %s: %s", l->seed, l->op + 1, l->doing, text, cond);
    abort();
}

/* --- what the peers were told --- */

void life_begin(struct life *l, const char *doing)
{
    l->doing = doing;
    l->n_deliveries = 0;
    for (int i = 0; i < LIFE_QUEUES; i++) {
        l->q[i].step_seq = l->q[i].next_seq;
        l->q[i].said_empty = false;
        l->q[i].left = UINT32_MAX;
        for (size_t k = 0; k < l->q[i].ready.n; k++)
            l->q[i].ready.v[k].unparked = false;
    }
}

static void note_delivery(struct life *l, int peer, const struct event *e)
{
    struct life_chan *ch = &l->ch[peer][e->channel];
    struct life_delivery d = {.peer = peer,
                              .ch = e->channel,
                              .consumer = -1,
                              .queue = ch->get_queue,
                              .id = atoi(e->body),
                              .tag = e->tag,
                              .redelivered = e->flags & LEV_OUTF_REDELIVERED,
                              .no_ack = ch->get_no_ack,
                              .count = e->count};
    if (e->kind == LEV_OUT_DELIVER) {
        d.consumer = atoi(e->consumer + 1);
        const struct life_consumer *c = &ch->consumers[d.consumer];
        agree(l, c->live, "delivery to %s, which is gone", e->consumer);
        d.queue = c->queue;
        d.no_ack = c->no_ack;
        agree(l, !life_specs[d.queue].single_active || c == life_active_of(l, d.queue),
              "delivery to %s, which is not active", e->consumer);
    } else {
        agree(l, ch->getting, "get-ok unasked");
        ch->getting = false;
        l->q[d.queue].left = e->n;
    }
    agree(l, d.tag == ch->last_tag + 1, "delivery tag %llu", (unsigned long long)d.tag);
    ch->last_tag = d.tag;
    l->deliveries = lev_xrealloc(l->deliveries, (l->n_deliveries + 1) * sizeof(d));
    l->deliveries[l->n_deliveries++] = d;
}

static void note_confirm(struct life *l, struct life_chan *ch, const struct event *e)
{
    bool nack = e->flags & LEV_OUTF_NACK;
    agree(l, ch->mode == LIFE_CONFIRM && e->tag > ch->confirmed && e->tag <= ch->n_confirms,
          "confirm of %llu", (unsigned long long)e->tag);
    while (ch->confirmed < e->tag) {
        ch->confirmed++;
        agree(l, ch->nacks[ch->confirmed] == nack, "nack of %llu is %d",
              (unsigned long long)ch->confirmed, nack);
    }
}

static void note_event(struct life *l, int peer, const struct event *e)
{
    struct life_chan *ch = &l->ch[peer][e->channel];
    switch (e->kind) {
    case LEV_OUT_DELIVER:
    case LEV_OUT_GET_OK:
        note_delivery(l, peer, e);
        return;
    case LEV_OUT_GET_EMPTY:
        agree(l, ch->getting, "get-empty unasked");
        ch->getting = false;
        l->q[ch->get_queue].said_empty = true;
        return;
    case LEV_OUT_CONFIRM:
        note_confirm(l, ch, e);
        return;
    case LEV_OUT_COMMIT_OK:
        agree(l, ch->committing, "commit-ok unasked");
        ch->committing = false;
        return;
    case LEV_OUT_CANCEL:
        agree(l, ch->consumers[atoi(e->consumer + 1)].cancelled, "cancel of %s", e->consumer);
        ch->consumers[atoi(e->consumer + 1)].cancelled = false;
        return;
    default:
        return;
    }
}

static void track(struct life *l, const struct life_delivery *d)
{
    struct life_chan *ch = &l->ch[d->peer][d->ch];
    if (d->no_ack)
        return;
    ch->unacked = lev_xrealloc(ch->unacked, (ch->n_unacked + 1) * sizeof(*ch->unacked));
    size_t at = ch->n_unacked++;
    for (; at > 0 && ch->unacked[at - 1].tag > d->tag; at--)
        ch->unacked[at] = ch->unacked[at - 1];
    ch->unacked[at] = (struct life_unacked){.tag = d->tag,
                                            .queue = d->queue,
                                            .gen = l->q[d->queue].gen,
                                            .consumer = d->consumer,
                                            .m = d->m};
    if (d->consumer < 0)
        return;
    struct life_consumer *c = &ch->consumers[d->consumer];
    c->unacked++;
    agree(l, !c->prefetch || c->unacked <= c->prefetch, "beyond the prefetch %u", c->prefetch);
}

/* The message leaves its queue, if it is there yet. */
static bool take_delivery(struct life *l, struct life_delivery *d)
{
    struct life_list *ls = &l->q[d->queue].ready;
    size_t at = 0;
    while (at < ls->n && ls->v[at].id != d->id)
        at++;
    if (at == ls->n)
        return false;
    d->m = life_list_remove(ls, at);
    d->done = true;
    agree(l, !d->m.expires || d->m.expires > life_now(l), "%d was given out expired", d->id);
    agree(l, d->m.again == LIFE_EITHER || d->redelivered == (d->m.again == LIFE_YES),
          "redelivered flag of %d is %d", d->id, d->redelivered);
    agree(l, d->count == d->m.count, "count of %d is %lld, not %u", d->id, (long long)d->count,
          d->m.count);
    track(l, d);
    return true;
}

/* --- what has to happen --- */

/* The first of its level that has expired, or n. */
static size_t expired_head(const struct life *l, int queue)
{
    const struct life_list *ls = &l->q[queue].ready;
    bool seen[256] = {false};
    for (size_t i = 0; i < ls->n; i++) {
        unsigned level = life_level_of(queue, &ls->v[i]);
        if (!seen[level] && ls->v[i].expires && ls->v[i].expires <= life_now(l))
            return i;
        seen[level] = true;
    }
    return ls->n;
}

static size_t first_of(const struct life *l, int queue)
{
    const struct life_list *ls = &l->q[queue].ready;
    size_t best = 0;
    for (size_t i = 1; i < ls->n; i++)
        if (life_goes_first(queue, &ls->v[i], &ls->v[best]))
            best = i;
    return best;
}

static bool over(const struct life *l, int queue)
{
    const struct life_list *ls = &l->q[queue].ready;
    const struct life_spec *s = &l->q[queue].now;
    return !s->reject &&
           (ls->n > life_limit(s->max_length) || life_bytes_of(ls) > life_limit(s->max_bytes));
}

static bool unpark(struct life *l, int queue)
{
    struct life_list *ls = &l->q[queue].parked;
    bool moved = false;
    for (size_t i = ls->n; i-- > 0;) {
        if (ls->v[i].due > life_now(l))
            continue;
        struct life_msg m = life_list_remove(ls, i);
        m.unparked = true;
        life_list_insert(&l->q[queue].ready, &m);
        moved = true;
    }
    return moved;
}

struct arrival {
    struct life *l;
    int from, to;
};

/* A row of a dead-letter queue: one that was kept until now? */
static void arrive(void *ctx, const struct lev_msg *msg)
{
    const struct arrival *a = ctx;
    struct life_list *kept = &a->l->q[a->from].kept;
    int id = stage_id(msg);
    for (size_t i = 0; i < kept->n; i++) {
        if (kept->v[i].id != id)
            continue;
        struct life_msg m = life_list_remove(kept, i);
        m.expiration = UINT64_MAX;
        life_enqueue(a->l, a->to, m);
        return;
    }
}

/* Which of those that were kept are where they should be. */
static void look_for_kept(struct life *l, int queue)
{
    struct arrival a = {l, queue, l->q[queue].now.dead_to - 1};
    if (l->q[queue].kept.n && l->q[a.to].exists)
        stage_each_row(l->stage, l->q[a.to].name, arrive, &a);
}

/* Those that are due reach their queues. */
static void end_delays(struct life *l)
{
    while (l->delayed.n && l->delayed.v[0].due <= life_now(l)) {
        struct life_msg m = life_list_remove(&l->delayed, 0);
        if (l->q[m.to].exists)
            life_offer(l, m.to, &m);
    }
}

/* Whoever can take does, then the expired go, then what is too much. */
static bool move_queue(struct life *l, int queue)
{
    struct life_list *ls = &l->q[queue].ready;
    bool moved = unpark(l, queue);
    for (size_t i = 0; i < l->n_deliveries; i++)
        if (!l->deliveries[i].done && l->deliveries[i].queue == queue)
            moved |= take_delivery(l, &l->deliveries[i]);
    for (size_t at; (at = expired_head(l, queue)) < ls->n; moved = true)
        life_die(l, queue, life_list_remove(ls, at), LEV_DEATH_EXPIRED);
    for (; over(l, queue); moved = true)
        life_die(l, queue, life_list_remove(ls, first_of(l, queue)), LEV_DEATH_MAXLEN);
    return moved;
}

static void move_all(struct life *l)
{
    bool moved;
    for (int i = 0; i < LIFE_QUEUES; i++)
        if (l->q[i].exists && !life_consumers_of(l, i) && l->q[i].now.unused &&
            life_now(l) >= l->q[i].used_ms + l->q[i].now.unused)
            life_delete(l, i);
    end_delays(l);
    do {
        moved = false;
        for (int i = 0; i < LIFE_QUEUES; i++)
            if (l->q[i].exists)
                moved |= move_queue(l, i);
        for (int i = 0; i < LIFE_QUEUES; i++)
            if (l->q[i].exists && life_specs[i].keeps)
                look_for_kept(l, i);
    } while (moved);
}

/* --- comparing --- */

static size_t unacked_of(const struct life *l, int queue)
{
    size_t n = l->q[queue].parked.n + l->q[queue].kept.n;
    for (int p = 0; p < LIFE_PEERS; p++)
        for (int c = 1; c <= PEER_CHANNELS; c++)
            for (size_t k = 0; k < l->ch[p][c].n_unacked; k++)
                n += l->ch[p][c].unacked[k].queue == queue &&
                     l->ch[p][c].unacked[k].gen == l->q[queue].gen;
    return n;
}

/* What is left may not have come before what was given out, unless it was not there then. */
static void compare_order(struct life *l, const struct life_delivery *d)
{
    const struct life_queue *q = &l->q[d->queue];
    for (size_t i = 0; i < q->ready.n; i++) {
        const struct life_msg *r = &q->ready.v[i];
        bool open = r->born == d->m.born && r->n_deaths; /* the dead of a priority queue */
        agree(l,
              r->seq >= q->step_seq || r->unparked || open || !life_goes_first(d->queue, r, &d->m),
              "%s gave %d before %d", q->name, d->id, r->id);
    }
}

static bool can_take(const struct life_consumer *c)
{
    return c->live && (c->no_ack || !c->prefetch || c->unacked < c->prefetch);
}

/* Nobody who comes before the one that got it could take it. */
static void compare_turn(struct life *l, const struct life_delivery *d)
{
    if (d->consumer < 0 || life_specs[d->queue].single_active)
        return;
    const struct life_consumer *c = &l->ch[d->peer][d->ch].consumers[d->consumer];
    for (int i = 0; c->live && life_consumer_at(l, i); i++) {
        const struct life_consumer *x = life_consumer_at(l, i);
        agree(l, x->queue != d->queue || x->priority <= c->priority || !can_take(x),
              "%s gave %d to a consumer of priority %lld, not %lld", l->q[d->queue].name, d->id,
              (long long)c->priority, (long long)x->priority);
    }
}

/* Ready messages that did not come in this step: what dies elsewhere may come behind an answer. */
static size_t long_ready(const struct life_queue *q)
{
    size_t n = 0;
    for (size_t i = 0; i < q->ready.n; i++)
        n += q->ready.v[i].seq < q->step_seq;
    return n;
}

static void compare_queue(struct life *l, int i)
{
    const struct life_queue *q = &l->q[i];
    bool exists = stage_queue(l->stage, q->name) != NULL;
    agree(l, exists == q->exists, "%s exists: %d", q->name, exists);
    if (!exists)
        return;
    agree(l, stage_ready(l->stage, q->name) == q->ready.n, "%s has %llu ready, not %zu", q->name,
          (unsigned long long)stage_ready(l->stage, q->name), q->ready.n);
    agree(l, stage_unacked(l->stage, q->name) == unacked_of(l, i), "%s has %llu unacked, not %zu",
          q->name, (unsigned long long)stage_unacked(l->stage, q->name), unacked_of(l, i));
    agree(l, !q->said_empty || !long_ready(q), "%s said it is empty", q->name);
    agree(l, q->left >= long_ready(q), "%s said %u are left", q->name, q->left);
}

static void compare_channel(struct life *l, struct life_chan *ch)
{
    agree(l, !ch->getting && !ch->committing, "a get or commit hangs");
    agree(l, ch->confirmed == ch->n_confirms, "confirms are missing after %llu",
          (unsigned long long)ch->confirmed);
    for (int k = 0; k < LIFE_CONSUMERS; k++) {
        struct life_consumer *c = &ch->consumers[k];
        agree(l, !c->cancelled, "no cancel of c%d", k);
        bool turn = can_take(c) &&
                    (!life_specs[c->queue].single_active || c == life_active_of(l, c->queue));
        agree(l, !turn || !l->q[c->queue].ready.n, "c%d starves", k);
    }
}

/* The store does all it can, and what is due is done. */
static void run(struct stage *s)
{
    stage_run(s);
    while (lev_timers_next(&s->v->timers) <= stage_now(s)) {
        lev_vhost_tick(s->v);
        stage_run(s);
    }
}

void life_end(struct life *l)
{
    run(l->stage);
    for (int p = 0; p < LIFE_PEERS; p++) {
        struct peer *peer = &l->stage->peers[p];
        peer_drain(peer);
        agree(l, !peer->client.suspended, "peer %d is suspended", p);
    }
    for (int i = 0; i < LIFE_QUEUES; i++) /* cancels come with it */
        if (l->q[i].exists && !stage_queue(l->stage, l->q[i].name))
            agree(l, l->q[i].now.unused && !life_consumers_of(l, i), "%s is gone", l->q[i].name);
    for (int p = 0; p < LIFE_PEERS; p++) {
        struct peer *peer = &l->stage->peers[p];
        for (size_t i = 0; i < peer->n_events; i++)
            note_event(l, p, &peer->events[i]);
        peer_forget_events(peer);
    }
    move_all(l);
    for (size_t i = 0; i < l->n_deliveries; i++)
        agree(l, l->deliveries[i].done, "%s gave %d, which it does not have",
              l->q[l->deliveries[i].queue].name, l->deliveries[i].id);
    for (int i = 0; i < LIFE_QUEUES; i++)
        compare_queue(l, i);
    for (size_t i = 0; i < l->n_deliveries; i++)
        compare_order(l, &l->deliveries[i]), compare_turn(l, &l->deliveries[i]);
    for (int p = 0; p < LIFE_PEERS; p++)
        for (int c = 1; c <= PEER_CHANNELS; c++)
            compare_channel(l, &l->ch[p][c]);
    if (l->op % 8 == 0)
        stage_check(l->stage);
}
