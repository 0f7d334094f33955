/* A plain model of queues with limits, times, dead letters, priorities and retries. See life.h. */
#include "life.h"

#include <check.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"

#define DEAD_TO(q) "x-dead-letter-exchange=S x-dead-letter-routing-key=S" q " "

// clang-format off
const struct life_spec life_specs[LIFE_QUEUES] = {
    /* a cycle of q0 and q2 */
    {.arguments = DEAD_TO("q2") "x-message-ttl=I50",
     .bound = true, .durable = true, .ttl = 50, .dead_to = 3},
    {.arguments = DEAD_TO("q6") "x-max-priority=I3 x-max-length=I6",
     .durable = true, .levels = 4, .max_length = 6, .dead_to = 7, .no_expiration = true},
    {.arguments = DEAD_TO("q0") "x-max-length-bytes=I300 x-message-ttl=I80",
     .durable = true, .max_bytes = 300, .ttl = 80, .dead_to = 1},
    {.arguments = DEAD_TO("q4") "x-queue-type=Squorum x-delivery-limit=I2",
     .bound = true, .routed = true, .durable = true, .quorum = true, .delivery_limit = 2, .dead_to = 5},
    {.arguments = "x-max-length=I5 x-single-active-consumer=t1",
     .max_length = 5, .single_active = true},
    {.arguments = DEAD_TO("q1") "x-max-length=I4 x-overflow=Sreject-publish",
     .bound = true, .routed = true, .durable = true, .max_length = 4, .reject = true,
     .no_expiration = true, .no_consumers = true, .dead_to = 2},
    {.arguments = "x-expires=I200", .durable = true, .unused = 200},
    {.arguments = DEAD_TO("q8") "x-max-length=I3 x-overflow=Sreject-publish-dlx "
                                "x-message-ttl=I30",
     .bound = true, .max_length = 3, .ttl = 30, .reject = true, .reject_dlx = true,
     .no_consumers = true, .dead_to = 9},
    {.arguments = "x-queue-type=Squorum x-delivery-limit=I-1 x-message-ttl=I400 "
                  "x-delayed-retry-type=Sall x-delayed-retry-min=I20 x-delayed-retry-max=I50",
     .durable = true, .quorum = true, .no_expiration = true, .ttl = 400, .retry_failed = true,
     .retry_returned = true, .retry_min = 20, .retry_max = 50},
    {.arguments = "x-max-priority=I9 x-message-ttl=I120 x-delayed-retry-type=Sfailed "
                  "x-delayed-retry-min=I30",
     .bound = true, .durable = true, .levels = 10, .no_expiration = true, .ttl = 120, .retry_failed = true,
     .retry_min = 30},
    {.arguments = "x-message-deduplication=t1 x-message-ttl=I90",
     .bound = true, .durable = true, .ttl = 90, .no_twins = true, .no_consumers = true},
    {.arguments = DEAD_TO("q12") "x-queue-type=Squorum x-delivery-limit=I1 x-message-ttl=I60 "
                  "x-max-length=I6 x-overflow=Sreject-publish "
                  "x-dead-letter-strategy=Sat-least-once",
     .bound = true, .durable = true, .quorum = true, .ttl = 60, .max_length = 6, .reject = true,
     .delivery_limit = 1, .no_consumers = true, .dead_to = 13, .keeps = true},
    {.arguments = "x-queue-type=Squorum x-delivery-limit=I-1 x-max-length=I4 "
                  "x-overflow=Sreject-publish",
     .durable = true, .quorum = true, .max_length = 4, .reject = true, .no_consumers = true},
    {.arguments = "x-max-length=I6", .durable = true, .max_length = 6, .no_expiration = true, .no_consumers = true},
};

const struct life_policy life_policies[LIFE_POLICIES] = {
    {0, "message-ttl=l20", {.ttl = 20}},
    {0, "message-ttl=l5", {.ttl = 5}},
    {1, "max-length=l2", {.max_length = 2}},
    {2, "message-ttl=l10 max-length-bytes=l1000", {.ttl = 10, .max_bytes = 1000}},
    {2, "max-length=l3", {.max_length = 3}},
    {3, "delivery-limit=l1", {.delivery_limit = 1}},
    {3, "message-ttl=l40", {.ttl = 40}},
    {4, "message-ttl=l40 max-length=l3", {.ttl = 40, .max_length = 3}},
    {6, "expires=l100 message-ttl=l60", {.unused = 100, .ttl = 60}},
    {6, "message-ttl=l30", {.ttl = 30}},
    {8, "delivery-limit=l2", {.delivery_limit = 2}},
    {12, "max-length=l2", {.max_length = 2}},
    {13, "overflow=Sreject-publish", {.reject = true}},
    {13, "delayed-retry-type=Sall delayed-retry-min=l15",
     {.retry_failed = true, .retry_returned = true, .retry_min = 15}},
    {13, "overflow=Sreject-publish dead-letter-exchange=S dead-letter-routing-key=Sq9",
     {.reject = true, .dead_to = 10}},
    {13, "overflow=Sreject-publish-dlx dead-letter-exchange=S dead-letter-routing-key=Sq9",
     {.reject = true, .reject_dlx = true, .dead_to = 10}},
    {13, "max-length=l2 dead-letter-exchange=S dead-letter-routing-key=Sq9",
     {.max_length = 2, .dead_to = 10}},
};
// clang-format on

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

/* --- lists, by place --- */

static void list_insert(struct life_list *ls, const struct life_msg *x)
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

static struct life_msg list_remove(struct life_list *ls, size_t at)
{
    struct life_msg x = ls->v[at];
    ls->n--;
    memmove(ls->v + at, ls->v + at + 1, (ls->n - at) * sizeof(*ls->v));
    return x;
}

/* --- queues --- */

/* 0 of a limit means none. */
static uint64_t limit(uint64_t n)
{
    return n ? n : UINT64_MAX;
}

static uint64_t now(const struct life *l)
{
    return stage_now(l->stage);
}

static bool alive(const struct life *l, int queue, int gen)
{
    return l->q[queue].exists && l->q[queue].gen == gen;
}

static unsigned level_of(int queue, const struct life_msg *m)
{
    unsigned levels = life_specs[queue].levels;
    return !levels ? 0 : m->priority < levels ? m->priority : levels - 1;
}

/* True when a is handed out (and dropped) before b. */
static bool goes_first(int queue, const struct life_msg *a, const struct life_msg *b)
{
    unsigned x = level_of(queue, a), y = level_of(queue, b);
    return x != y ? x > y : a->seq < b->seq;
}

static uint64_t bytes_of(const struct life_list *ls)
{
    uint64_t n = 0;
    for (size_t i = 0; i < ls->n; i++)
        n += ls->v[i].len;
    return n;
}

static void enqueue(struct life *l, int queue, struct life_msg m)
{
    struct life_queue *q = &l->q[queue];
    uint64_t ttl = limit(q->now.ttl);
    if (m.expiration < ttl)
        ttl = m.expiration;
    m.expires = ttl == UINT64_MAX ? 0 : now(l) + ttl;
    m.seq = q->next_seq++;
    m.again = LIFE_NO;
    m.born = l->op;
    m.count = 0;
    list_insert(&q->ready, &m);
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

static bool offer(struct life *l, int queue, const struct life_msg *m);

static void die(struct life *l, int queue, struct life_msg m, enum lev_death reason)
{
    if (l->q[queue].now.keeps) {
        list_insert(&l->q[queue].kept, &m);
        return;
    }
    int to = l->q[queue].now.dead_to - 1;
    note_death(&m, queue, reason);
    m.expiration = UINT64_MAX;
    if (to >= 0 && l->q[to].exists && !is_cycle(&m, to))
        offer(l, to, &m);
}

/* The first of its level that has expired, or n. */
static size_t expired_head(const struct life *l, int queue)
{
    const struct life_list *ls = &l->q[queue].ready;
    bool seen[256] = {false};
    for (size_t i = 0; i < ls->n; i++) {
        unsigned level = level_of(queue, &ls->v[i]);
        if (!seen[level] && ls->v[i].expires && ls->v[i].expires <= now(l))
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
        if (goes_first(queue, &ls->v[i], &ls->v[best]))
            best = i;
    return best;
}

static bool over(const struct life *l, int queue)
{
    const struct life_list *ls = &l->q[queue].ready;
    const struct life_spec *s = &l->q[queue].now;
    return !s->reject && (ls->n > limit(s->max_length) || bytes_of(ls) > limit(s->max_bytes));
}

static void forget_messages(struct life_queue *q)
{
    q->ready.n = q->parked.n = q->kept.n = 0;
}

void life_declare(struct life *l, int queue)
{
    struct life_queue *q = &l->q[queue];
    q->used_ms = now(l);
    if (q->exists)
        return;
    q->exists = true;
    q->gen++;
    q->next_seq = q->step_seq = 0;
    forget_messages(q);
}

/* 0: none. */
static uint64_t smaller(uint64_t a, uint64_t b)
{
    return limit(a) < limit(b) ? a : b;
}

/* The smaller of numbers; of the rest, what is declared before what the policy says. */
void life_govern(struct life *l, int queue, const struct life_policy *policy)
{
    struct life_queue *q = &l->q[queue];
    uint64_t unused = q->now.unused;
    q->policy = policy;
    q->now = life_specs[queue];
    if (policy) {
        const struct life_spec *p = &policy->set;
        q->now.ttl = smaller(q->now.ttl, p->ttl);
        q->now.unused = smaller(q->now.unused, p->unused);
        q->now.max_length = smaller(q->now.max_length, p->max_length);
        q->now.max_bytes = smaller(q->now.max_bytes, p->max_bytes);
        q->now.delivery_limit = (unsigned)smaller(q->now.delivery_limit, p->delivery_limit);
        q->now.dead_to = q->now.dead_to ? q->now.dead_to : p->dead_to;
        q->now.reject |= p->reject;
        q->now.reject_dlx |= p->reject_dlx;
        q->now.retry_failed |= p->retry_failed;
        q->now.retry_returned |= p->retry_returned;
        q->now.retry_min = q->now.retry_min ? q->now.retry_min : p->retry_min;
    }
    if (q->now.unused != unused)
        q->used_ms = now(l);
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
                if (ch->unacked[i].queue == queue && alive(l, queue, ch->unacked[i].gen))
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
                if (ch->unacked[i].queue == queue && alive(l, queue, ch->unacked[i].gen) &&
                    ch->unacked[i].m.dedup_id == m->dedup_id)
                    return true;
        }
    }
    return false;
}

/* False: refused. */
static bool offer(struct life *l, int queue, const struct life_msg *m)
{
    const struct life_spec *s = &l->q[queue].now;
    const struct life_list *ls = &l->q[queue].ready;
    uint64_t n = ls->n + l->q[queue].kept.n;
    if (s->no_twins && has_twin(l, queue, m))
        return true;
    if (s->reject &&
        (n + 1 > limit(s->max_length) || bytes_of(ls) + m->len > limit(s->max_bytes))) {
        if (s->reject_dlx)
            die(l, queue, *m, LEV_DEATH_MAXLEN);
        return false;
    }
    enqueue(l, queue, *m);
    return true;
}

/* To the queues that were there. False when one refused it. */
static bool offer_all(struct life *l, const struct life_publish *p)
{
    bool taken = true;
    for (int i = 0; i < p->n; i++)
        if (alive(l, p->queues[i], p->gens[i]))
            taken &= offer(l, p->queues[i], &p->m);
    return taken;
}

static void delay(struct life *l, const struct life_publish *p)
{
    struct life_msg m = p->m;
    m.to = p->queue;
    m.due = now(l) + m.delay;
    size_t at = l->delayed.n;
    m.seq = UINT64_MAX; /* last */
    list_insert(&l->delayed, &m);
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
    while (l->n_seen && l->seen[0].expires <= now(l))
        forget_seen(l, 0);
    for (size_t i = 0; i < l->n_seen; i++)
        if (l->seen[i].id == p->m.dedup_id)
            return true;
    if (l->n_seen == LIFE_SEEN)
        forget_seen(l, 0);
    bool taken = !l->q[p->queue].exists || offer(l, p->queue, &p->m);
    if (l->q[p->queue].exists && taken) {
        l->seen[l->n_seen].id = p->m.dedup_id;
        l->seen[l->n_seen++].expires = now(l) + LIFE_SEEN_MS;
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
        return !l->q[p->queue].exists || offer(l, p->queue, &p->m);
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
    l->q[queue].used_ms = now(l);
}

/* The n-th consumer of all, or NULL. */
static struct life_consumer *consumer_at(struct life *l, int n)
{
    int per_peer = PEER_CHANNELS * LIFE_CONSUMERS;
    if (n >= LIFE_PEERS * per_peer)
        return NULL;
    return &l->ch[n / per_peer][n % per_peer / LIFE_CONSUMERS + 1].consumers[n % LIFE_CONSUMERS];
}

static int consumers_of(struct life *l, int queue)
{
    int n = 0;
    for (int i = 0; consumer_at(l, i); i++)
        n += consumer_at(l, i)->live && consumer_at(l, i)->queue == queue;
    return n;
}

/* The one that has waited longest. */
static struct life_consumer *active_of(struct life *l, int queue)
{
    struct life_consumer *best = NULL;
    for (int i = 0; consumer_at(l, i); i++) {
        struct life_consumer *c = consumer_at(l, i);
        if (c->live && c->queue == queue && (!best || c->since < best->since))
            best = c;
    }
    return best;
}

void life_cancel(struct life *l, int peer, int ch, int consumer)
{
    int queue = l->ch[peer][ch].consumers[consumer].queue;
    detach(&l->ch[peer][ch], consumer);
    if (!consumers_of(l, queue))
        l->q[queue].used_ms = now(l);
}

void life_get(struct life *l, int peer, int number, int queue, bool no_ack)
{
    struct life_chan *ch = &l->ch[peer][number];
    ch->getting = true;
    ch->get_queue = queue;
    ch->get_no_ack = no_ack;
    l->q[queue].used_ms = now(l);
}

/* --- settling --- */

static void come_back(struct life *l, int queue, struct life_msg m, bool failed)
{
    const struct life_spec *s = &l->q[queue].now;
    bool held = failed ? s->retry_failed : s->retry_returned;
    m.again = LIFE_YES;
    bool counted = s->quorum || s->retry_failed || s->retry_returned;
    if (counted && m.count + 1 > limit(s->delivery_limit)) {
        die(l, queue, m, LEV_DEATH_DELIVERY_LIMIT);
        return;
    }
    m.count += counted;
    if (!held) {
        list_insert(&l->q[queue].ready, &m);
        return;
    }
    uint64_t delay = s->retry_min * m.count;
    if (delay > limit(s->retry_max))
        delay = s->retry_max;
    m.due = now(l) + delay;
    if (m.expires && m.expires < m.due)
        m.due = m.expires;
    list_insert(&l->q[queue].parked, &m);
}

/* Settles slot i and closes up. */
static void apply(struct life *l, struct life_chan *ch, size_t i, enum lev_settle how)
{
    struct life_unacked u = ch->unacked[i];
    ch->n_unacked--;
    memmove(ch->unacked + i, ch->unacked + i + 1, (ch->n_unacked - i) * sizeof(u));
    if (u.consumer >= 0)
        ch->consumers[u.consumer].unacked--;
    if (!alive(l, u.queue, u.gen))
        return;
    if (how == LEV_SETTLE_REJECT)
        die(l, u.queue, u.m, LEV_DEATH_REJECTED);
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
    list_insert(&l->q[queue].ready, &m);
}

void life_restart(struct life *l)
{
    for (int i = 0; i < LIFE_QUEUES; i++) {
        struct life_queue *q = &l->q[i];
        struct life_list ready = q->ready;
        q->ready = (struct life_list){0};
        q->exists &= life_specs[i].durable;
        q->used_ms = now(l);
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
                if (alive(l, ch->unacked[k].queue, ch->unacked[k].gen))
                    keep(l, ch->unacked[k].queue, ch->unacked[k].m, LIFE_YES);
            forget_channel(ch);
        }
    }
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
        agree(l, !life_specs[d.queue].single_active || c == active_of(l, d.queue),
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
    d->m = list_remove(ls, at);
    d->done = true;
    agree(l, !d->m.expires || d->m.expires > now(l), "%d was given out expired", d->id);
    agree(l, d->m.again == LIFE_EITHER || d->redelivered == (d->m.again == LIFE_YES),
          "redelivered flag of %d is %d", d->id, d->redelivered);
    agree(l, d->count == d->m.count, "count of %d is %lld, not %u", d->id, (long long)d->count,
          d->m.count);
    track(l, d);
    return true;
}

/* --- what has to happen --- */

static bool unpark(struct life *l, int queue)
{
    struct life_list *ls = &l->q[queue].parked;
    bool moved = false;
    for (size_t i = ls->n; i-- > 0;) {
        if (ls->v[i].due > now(l))
            continue;
        struct life_msg m = list_remove(ls, i);
        m.unparked = true;
        list_insert(&l->q[queue].ready, &m);
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
        struct life_msg m = list_remove(kept, i);
        m.expiration = UINT64_MAX;
        enqueue(a->l, a->to, m);
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
    while (l->delayed.n && l->delayed.v[0].due <= now(l)) {
        struct life_msg m = list_remove(&l->delayed, 0);
        if (l->q[m.to].exists)
            offer(l, m.to, &m);
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
        die(l, queue, list_remove(ls, at), LEV_DEATH_EXPIRED);
    for (; over(l, queue); moved = true)
        die(l, queue, list_remove(ls, first_of(l, queue)), LEV_DEATH_MAXLEN);
    return moved;
}

static void move_all(struct life *l)
{
    bool moved;
    for (int i = 0; i < LIFE_QUEUES; i++)
        if (l->q[i].exists && !consumers_of(l, i) && l->q[i].now.unused &&
            now(l) >= l->q[i].used_ms + l->q[i].now.unused)
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
        agree(l, r->seq >= q->step_seq || r->unparked || open || !goes_first(d->queue, r, &d->m),
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
    for (int i = 0; c->live && consumer_at(l, i); i++) {
        const struct life_consumer *x = consumer_at(l, i);
        agree(l, x->queue != d->queue || x->priority <= c->priority || !can_take(x),
              "%s gave %d to a consumer of priority %lld, not %lld", l->q[d->queue].name, d->id,
              (long long)c->priority, (long long)x->priority);
    }
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
    agree(l, !q->said_empty || !q->ready.n, "%s said it is empty", q->name);
    agree(l, q->left >= q->ready.n, "%s said %u are left", q->name, q->left);
}

static void compare_channel(struct life *l, struct life_chan *ch)
{
    agree(l, !ch->getting && !ch->committing, "a get or commit hangs");
    agree(l, ch->confirmed == ch->n_confirms, "confirms are missing after %llu",
          (unsigned long long)ch->confirmed);
    for (int k = 0; k < LIFE_CONSUMERS; k++) {
        struct life_consumer *c = &ch->consumers[k];
        agree(l, !c->cancelled, "no cancel of c%d", k);
        bool turn =
            can_take(c) && (!life_specs[c->queue].single_active || c == active_of(l, c->queue));
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
            agree(l, l->q[i].now.unused && !consumers_of(l, i), "%s is gone", l->q[i].name);
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
