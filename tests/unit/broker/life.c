/* A plain model of queues with limits, times, dead letters, priorities and retries. See life.h. */
#include "life_int.h"

#include <check.h>
#include <stdio.h>

#include "base/mem.h"

/* --- lists, by place --- */

void life_list_insert(struct life_list *ls, const struct life_msg *x)
{
    size_t at = ls->n;
    if (ls->n == ls->cap) {
        ls->cap = ls->cap ? ls->cap * 2 : 64;
        ls->v = lev_xrealloc(ls->v, ls->cap * sizeof(*ls->v));
    }
    while (at > 0 && ls->v[at - 1].seq > x->seq)
        at--;
    memmove(ls->v + at + 1, ls->v + at, (ls->n - at) * sizeof(*ls->v));
    ls->v[at] = *x;
    ls->n++;
}

struct life_msg life_list_remove(struct life_list *ls, size_t at)
{
    struct life_msg x = ls->v[at];
    ls->n--;
    memmove(ls->v + at, ls->v + at + 1, (ls->n - at) * sizeof(*ls->v));
    return x;
}

/* --- queues --- */

/* 0 of a limit means none. */
uint64_t life_limit(uint64_t n)
{
    return n ? n : UINT64_MAX;
}

uint64_t life_now(const struct life *l)
{
    return stage_now(l->stage);
}

bool life_alive(const struct life *l, int queue, int gen)
{
    return l->q[queue].exists && l->q[queue].gen == gen;
}

unsigned life_level_of(int queue, const struct life_msg *m)
{
    unsigned levels = life_specs[queue].levels;
    return !levels ? 0 : m->priority < levels ? m->priority : levels - 1;
}

/* True when a is handed out (and dropped) before b. */
bool life_goes_first(int queue, const struct life_msg *a, const struct life_msg *b)
{
    unsigned x = life_level_of(queue, a), y = life_level_of(queue, b);
    return x != y ? x > y : a->seq < b->seq;
}

uint64_t life_bytes_of(const struct life_list *ls)
{
    uint64_t n = 0;
    for (size_t i = 0; i < ls->n; i++)
        n += ls->v[i].len;
    return n;
}

void life_enqueue(struct life *l, int queue, struct life_msg m)
{
    struct life_queue *q = &l->q[queue];
    uint64_t ttl = life_limit(q->now.ttl);
    if (m.expiration < ttl)
        ttl = m.expiration;
    m.expires = ttl == UINT64_MAX ? 0 : life_now(l) + ttl;
    m.seq = q->next_seq++;
    m.again = LIFE_NO;
    m.born = l->op;
    m.count = 0;
    life_list_insert(&q->ready, &m);
}

/* A death of the same kind moves to the front. */
static void note_death(struct life_msg *m, int queue, enum lev_death reason)
{
    int at = 0;
    while (at < m->n_deaths && (m->deaths[at].queue != queue || m->deaths[at].reason != reason))
        at++;
    if (at == m->n_deaths)
        m->n_deaths++;
    ck_assert_int_le(m->n_deaths, LIFE_DEATHS);
    memmove(m->deaths + 1, m->deaths, (size_t)at * sizeof(*m->deaths));
    m->deaths[0] = (struct life_death){queue, reason};
}

static bool is_cycle(const struct life_msg *m, int to)
{
    for (int i = 0; i < m->n_deaths; i++) {
        if (m->deaths[i].reason == LEV_DEATH_REJECTED)
            return false;
        if (m->deaths[i].queue == to)
            return true;
    }
    return false;
}

void life_die(struct life *l, int queue, struct life_msg m, enum lev_death reason)
{
    if (l->q[queue].now.keeps) {
        life_list_insert(&l->q[queue].kept, &m);
        return;
    }
    int to = l->q[queue].now.dead_to - 1;
    note_death(&m, queue, reason);
    m.expiration = UINT64_MAX;
    if (to >= 0 && l->q[to].exists && !is_cycle(&m, to))
        life_offer(l, to, &m);
}

static void forget_messages(struct life_queue *q)
{
    q->ready.n = q->parked.n = q->kept.n = 0;
}

void life_declare(struct life *l, int queue)
{
    struct life_queue *q = &l->q[queue];
    q->used_ms = life_now(l);
    if (q->exists)
        return;
    q->exists = true;
    q->gen++;
    q->next_seq = q->step_seq = 0;
    forget_messages(q);
}

static void detach(struct life_chan *ch, int consumer)
{
    for (size_t i = 0; i < ch->n_unacked; i++)
        if (ch->unacked[i].consumer == consumer)
            ch->unacked[i].consumer = -1;
    ch->consumers[consumer].live = false;
}

void life_delete(struct life *l, int queue)
{
    l->q[queue].exists = false;
    forget_messages(&l->q[queue]);
    for (int p = 0; p < LIFE_PEERS; p++) {
        for (int c = 1; c <= PEER_CHANNELS; c++) {
            for (int k = 0; k < LIFE_CONSUMERS; k++) {
                struct life_consumer *x = &l->ch[p][c].consumers[k];
                if (!x->live || x->queue != queue)
                    continue;
                detach(&l->ch[p][c], k);
                x->cancelled = true;
            }
        }
    }
}

/* A purge forgets the ids of those that are held, too. */
static void forget_ids(struct life *l, int queue)
{
    for (int p = 0; p < LIFE_PEERS; p++) {
        for (int c = 1; c <= PEER_CHANNELS; c++) {
            struct life_chan *ch = &l->ch[p][c];
            for (size_t i = 0; i < ch->n_unacked; i++)
                if (ch->unacked[i].queue == queue && life_alive(l, queue, ch->unacked[i].gen))
                    ch->unacked[i].m.dedup_id = 0;
        }
    }
}

size_t life_purge(struct life *l, int queue)
{
    size_t n = l->q[queue].ready.n + l->q[queue].parked.n;
    l->q[queue].ready.n = l->q[queue].parked.n = 0;
    forget_ids(l, queue);
    return n;
}

/* --- publishing --- */

/* The queue has one with the same id. */
static bool has_twin(const struct life *l, int queue, const struct life_msg *m)
{
    const struct life_list *ls = &l->q[queue].ready;
    for (size_t i = 0; m->dedup_id && i < ls->n; i++)
        if (ls->v[i].dedup_id == m->dedup_id)
            return true;
    for (int p = 0; m->dedup_id && p < LIFE_PEERS; p++) {
        for (int c = 1; c <= PEER_CHANNELS; c++) {
            const struct life_chan *ch = &l->ch[p][c];
            for (size_t i = 0; i < ch->n_unacked; i++)
                if (ch->unacked[i].queue == queue && life_alive(l, queue, ch->unacked[i].gen) &&
                    ch->unacked[i].m.dedup_id == m->dedup_id)
                    return true;
        }
    }
    return false;
}

/* False: refused. */
bool life_offer(struct life *l, int queue, const struct life_msg *m)
{
    const struct life_spec *s = &l->q[queue].now;
    const struct life_list *ls = &l->q[queue].ready;
    uint64_t n = ls->n + l->q[queue].kept.n;
    if (s->no_twins && has_twin(l, queue, m))
        return true;
    if (s->reject && (n + 1 > life_limit(s->max_length) ||
                      life_bytes_of(ls) + m->len > life_limit(s->max_bytes))) {
        if (s->reject_dlx)
            life_die(l, queue, *m, LEV_DEATH_MAXLEN);
        return false;
    }
    life_enqueue(l, queue, *m);
    return true;
}

/* To the queues that were there. False when one refused it. */
static bool offer_all(struct life *l, const struct life_publish *p)
{
    bool taken = true;
    for (int i = 0; i < p->n; i++)
        if (life_alive(l, p->queues[i], p->gens[i]))
            taken &= life_offer(l, p->queues[i], &p->m);
    return taken;
}

static void delay(struct life *l, const struct life_publish *p)
{
    struct life_msg m = p->m;
    m.to = p->queue;
    m.due = life_now(l) + m.delay;
    size_t at = l->delayed.n;
    m.seq = UINT64_MAX; /* last */
    life_list_insert(&l->delayed, &m);
    for (; at > 0 && l->delayed.v[at - 1].due > m.due; at--)
        l->delayed.v[at] = l->delayed.v[at - 1];
    l->delayed.v[at] = m;
}

static void forget_seen(struct life *l, size_t at)
{
    l->n_seen--;
    memmove(l->seen + at, l->seen + at + 1, (l->n_seen - at) * sizeof(l->seen[0]));
}

/* Through the exchange that drops what it knows. It knows what reached a queue that took it. */
static bool offer_once(struct life *l, const struct life_publish *p)
{
    while (l->n_seen && l->seen[0].expires <= life_now(l))
        forget_seen(l, 0);
    for (size_t i = 0; i < l->n_seen; i++)
        if (l->seen[i].id == p->m.dedup_id)
            return true;
    if (l->n_seen == LIFE_SEEN)
        forget_seen(l, 0);
    bool taken = !l->q[p->queue].exists || life_offer(l, p->queue, &p->m);
    if (l->q[p->queue].exists && taken) {
        l->seen[l->n_seen].id = p->m.dedup_id;
        l->seen[l->n_seen++].expires = life_now(l) + LIFE_SEEN_MS;
    }
    return taken;
}

/* The exchanges that act find their queues when a transaction is committed; others did before. */
static bool submit(struct life *l, const struct life_publish *p)
{
    if (p->m.way == LIFE_DIRECT)
        return offer_all(l, p);
    if (p->m.way == LIFE_ONCE)
        return offer_once(l, p);
    if (!p->m.delay)
        return !l->q[p->queue].exists || life_offer(l, p->queue, &p->m);
    delay(l, p);
    return true;
}

void life_publish(struct life *l, int peer, int number, int queue, struct life_msg m)
{
    struct life_chan *ch = &l->ch[peer][number];
    struct life_publish p = {.m = m, .queue = queue};
    for (int i = 0; i < LIFE_QUEUES; i++) {
        if (!l->q[i].exists || (queue >= 0 ? i != queue : !life_specs[i].bound))
            continue;
        p.queues[p.n] = i;
        p.gens[p.n++] = l->q[i].gen;
    }
    if (ch->mode == LIFE_TX) {
        ch->publishes = lev_xrealloc(ch->publishes, (ch->n_publishes + 1) * sizeof(p));
        ch->publishes[ch->n_publishes++] = p;
        return;
    }
    bool taken = submit(l, &p);
    if (ch->mode != LIFE_CONFIRM)
        return;
    ch->nacks = lev_xrealloc(ch->nacks, (ch->n_confirms + 2) * sizeof(bool));
    ch->nacks[++ch->n_confirms] = !taken;
}

/* --- consumers --- */

void life_consume(struct life *l, int peer, int number, int consumer, int queue, bool no_ack,
                  int64_t priority)
{
    struct life_chan *ch = &l->ch[peer][number];
    ch->consumers[consumer] = (struct life_consumer){.live = true,
                                                     .no_ack = no_ack,
                                                     .queue = queue,
                                                     .priority = priority,
                                                     .since = ++l->consumes,
                                                     .prefetch = ch->prefetch};
    l->q[queue].used_ms = life_now(l);
}

/* The n-th consumer of all, or NULL. */
struct life_consumer *life_consumer_at(struct life *l, int n)
{
    int per_peer = PEER_CHANNELS * LIFE_CONSUMERS;
    if (n >= LIFE_PEERS * per_peer)
        return NULL;
    return &l->ch[n / per_peer][n % per_peer / LIFE_CONSUMERS + 1].consumers[n % LIFE_CONSUMERS];
}

int life_consumers_of(struct life *l, int queue)
{
    int n = 0;
    for (int i = 0; life_consumer_at(l, i); i++)
        n += life_consumer_at(l, i)->live && life_consumer_at(l, i)->queue == queue;
    return n;
}

/* The one that has waited longest. */
struct life_consumer *life_active_of(struct life *l, int queue)
{
    struct life_consumer *best = NULL;
    for (int i = 0; life_consumer_at(l, i); i++) {
        struct life_consumer *c = life_consumer_at(l, i);
        if (c->live && c->queue == queue && (!best || c->since < best->since))
            best = c;
    }
    return best;
}

void life_cancel(struct life *l, int peer, int ch, int consumer)
{
    int queue = l->ch[peer][ch].consumers[consumer].queue;
    detach(&l->ch[peer][ch], consumer);
    if (!life_consumers_of(l, queue))
        l->q[queue].used_ms = life_now(l);
}

void life_get(struct life *l, int peer, int number, int queue, bool no_ack)
{
    struct life_chan *ch = &l->ch[peer][number];
    ch->getting = true;
    ch->get_queue = queue;
    ch->get_no_ack = no_ack;
    l->q[queue].used_ms = life_now(l);
}

/* --- settling --- */

static void come_back(struct life *l, int queue, struct life_msg m, bool failed)
{
    const struct life_spec *s = &l->q[queue].now;
    bool held = failed ? s->retry_failed : s->retry_returned;
    m.again = LIFE_YES;
    bool counted = s->quorum || s->retry_failed || s->retry_returned;
    if (counted && m.count + 1 > life_limit(s->delivery_limit)) {
        life_die(l, queue, m, LEV_DEATH_DELIVERY_LIMIT);
        return;
    }
    m.count += counted;
    if (!held) {
        life_list_insert(&l->q[queue].ready, &m);
        return;
    }
    uint64_t delay = s->retry_min * m.count;
    if (delay > life_limit(s->retry_max))
        delay = s->retry_max;
    m.due = life_now(l) + delay;
    if (m.expires && m.expires < m.due)
        m.due = m.expires;
    life_list_insert(&l->q[queue].parked, &m);
}

/* Settles slot i and closes up. */
static void apply(struct life *l, struct life_chan *ch, size_t i, enum lev_settle how)
{
    struct life_unacked u = ch->unacked[i];
    ch->n_unacked--;
    memmove(ch->unacked + i, ch->unacked + i + 1, (ch->n_unacked - i) * sizeof(u));
    if (u.consumer >= 0)
        ch->consumers[u.consumer].unacked--;
    if (!life_alive(l, u.queue, u.gen))
        return;
    if (how == LEV_SETTLE_REJECT)
        life_die(l, u.queue, u.m, LEV_DEATH_REJECTED);
    else if (how != LEV_SETTLE_ACK)
        come_back(l, u.queue, u.m, how == LEV_SETTLE_FAIL);
}

static size_t slot_of(const struct life_chan *ch, uint64_t tag)
{
    size_t i = 0;
    while (i < ch->n_unacked && ch->unacked[i].tag != tag)
        i++;
    return i;
}

static void settle_slot(struct life *l, struct life_chan *ch, uint64_t tag, enum lev_settle how)
{
    size_t i = slot_of(ch, tag);
    if (ch->mode != LIFE_TX) {
        apply(l, ch, i, how);
        return;
    }
    ch->unacked[i].in_tx = true;
    ch->settles = lev_xrealloc(ch->settles, (ch->n_settles + 1) * sizeof(*ch->settles));
    ch->settles[ch->n_settles].tag = tag;
    ch->settles[ch->n_settles++].how = how;
}

/* Many that come back do so newest first, others oldest first. */
void life_settle(struct life *l, int peer, int number, uint64_t tag, bool multiple,
                 enum lev_settle how)
{
    struct life_chan *ch = &l->ch[peer][number];
    if (!multiple) {
        settle_slot(l, ch, tag, how);
        return;
    }
    uint64_t tags[1024];
    size_t n = 0;
    for (size_t i = 0; i < ch->n_unacked && n < 1024; i++)
        if (!ch->unacked[i].in_tx && ch->unacked[i].tag <= tag)
            tags[n++] = ch->unacked[i].tag;
    for (size_t i = 0; i < n; i++)
        settle_slot(l, ch, tags[how == LEV_SETTLE_REQUEUE ? n - 1 - i : i], how);
}

bool life_commit(struct life *l, int peer, int number)
{
    struct life_chan *ch = &l->ch[peer][number];
    bool taken = true;
    for (size_t i = 0; i < ch->n_publishes; i++)
        taken &= submit(l, &ch->publishes[i]);
    for (size_t i = 0; i < ch->n_settles; i++)
        apply(l, ch, slot_of(ch, ch->settles[i].tag), ch->settles[i].how);
    ch->n_publishes = ch->n_settles = 0;
    ch->committing = taken;
    return taken;
}

void life_rollback(struct life *l, int peer, int number)
{
    struct life_chan *ch = &l->ch[peer][number];
    for (size_t i = 0; i < ch->n_unacked; i++)
        ch->unacked[i].in_tx = false;
    ch->n_publishes = ch->n_settles = 0;
}

static void forget_channel(struct life_chan *ch)
{
    free(ch->unacked);
    free(ch->nacks);
    free(ch->publishes);
    free(ch->settles);
    *ch = (struct life_chan){0};
}

void life_close_channel(struct life *l, int peer, int number)
{
    struct life_chan *ch = &l->ch[peer][number];
    for (int k = 0; k < LIFE_CONSUMERS; k++)
        if (ch->consumers[k].live)
            life_cancel(l, peer, number, k);
    while (ch->n_unacked)
        apply(l, ch, ch->n_unacked - 1, LEV_SETTLE_FAIL);
    forget_channel(ch);
}

/* --- restart --- */

static void keep(struct life *l, int queue, struct life_msg m, enum life_again again)
{
    if (!m.persistent && !life_specs[queue].quorum)
        return;
    if (m.again != LIFE_YES)
        m.again = again;
    life_list_insert(&l->q[queue].ready, &m);
}

void life_restart(struct life *l)
{
    for (int i = 0; i < LIFE_QUEUES; i++) {
        struct life_queue *q = &l->q[i];
        struct life_list ready = q->ready;
        q->ready = (struct life_list){0};
        q->exists &= life_specs[i].durable;
        q->used_ms = life_now(l);
        for (size_t k = 0; q->exists && k < ready.n; k++)
            keep(l, i, ready.v[k], LIFE_EITHER);
        for (size_t k = 0; q->exists && k < q->parked.n; k++)
            keep(l, i, q->parked.v[k], LIFE_YES);
        for (size_t k = 0; q->exists && k < q->kept.n; k++)
            keep(l, i, q->kept.v[k], LIFE_YES);
        q->parked.n = q->kept.n = 0;
        free(ready.v);
    }
    for (int p = 0; p < LIFE_PEERS; p++) {
        for (int c = 1; c <= PEER_CHANNELS; c++) {
            struct life_chan *ch = &l->ch[p][c];
            for (size_t k = 0; k < ch->n_unacked; k++)
                if (life_alive(l, ch->unacked[k].queue, ch->unacked[k].gen))
                    keep(l, ch->unacked[k].queue, ch->unacked[k].m, LIFE_YES);
            forget_channel(ch);
        }
    }
}

/* --- life --- */

void life_init(struct life *l, struct stage *s)
{
    *l = (struct life){.stage = s, .next_id = 1, .doing = "start"};
    for (int i = 0; i < LIFE_QUEUES; i++)
        snprintf(l->q[i].name, sizeof(l->q[i].name), "q%d", i), l->q[i].now = life_specs[i];
}

void life_deinit(struct life *l)
{
    for (int p = 0; p < LIFE_PEERS; p++)
        for (int c = 1; c <= PEER_CHANNELS; c++)
            forget_channel(&l->ch[p][c]);
    for (int i = 0; i < LIFE_QUEUES; i++) {
        free(l->q[i].ready.v);
        free(l->q[i].parked.v);
        free(l->q[i].kept.v);
    }
    free(l->delayed.v);
    free(l->deliveries);
}
