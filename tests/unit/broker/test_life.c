/* Random operations on queues with limits, times, dead letters, priorities, retries and policies,
 * and on exchanges that delay and drop duplicates, compared step by step with a plain model
 * (life.h).
 */
#include "args.h"
#include "life.h"
#include "play.h"

#include <check.h>
#include <stdio.h>

#include "broker/admin.h"

struct play {
    struct stage st;
    struct life l;
    struct dice dice;
    unsigned appetite; /* how much more is consumed than published, 0 to 99 */
};

static int below(struct play *g, int n)
{
    return dice_below(&g->dice, n);
}

static bool chance(struct play *g, unsigned percent)
{
    return dice_chance(&g->dice, percent);
}

/* --- operations --- */

static void declare(struct play *g, int peer)
{
    int i = below(g, LIFE_QUEUES);
    struct peer *p = &g->st.peers[peer];
    stage_hold(&g->st);
    int rc = peer_declare_args(p, g->l.q[i].name, life_specs[i].durable ? "d" : "",
                               args(life_specs[i].arguments));
    agree(&g->l, rc == 0, "%s", p->err.text);
    if (life_specs[i].bound)
        peer_bind(p, "fx", g->l.q[i].name);
    if (life_specs[i].routed) {
        peer_bind_name(p, "delays", g->l.q[i].name);
        peer_bind_name(p, "once", g->l.q[i].name);
    }
    stage_release(&g->st);
    life_declare(&g->l, i);
}

static void delete_or_purge(struct play *g, int peer, bool purge)
{
    int i = below(g, LIFE_QUEUES);
    struct peer *p = &g->st.peers[peer];
    if (!g->l.q[i].exists)
        return;
    int64_t n = purge ? peer_purge(p, g->l.q[i].name) : peer_delete(p, g->l.q[i].name, "");
    size_t expected = life_purge(&g->l, i);
    agree(&g->l, n == (int64_t)expected, "count %lld, not %zu", (long long)n, expected);
    if (!purge)
        life_delete(&g->l, i);
}

static struct life_msg message(struct play *g, int queue, enum life_way way)
{
    struct life_msg m = {.id = g->l.next_id++, .persistent = chance(g, 60), .way = way};
    m.priority = chance(g, 50) ? 0 : (unsigned)below(g, chance(g, 20) ? 256 : 6);
    m.expiration = UINT64_MAX;
    if (queue >= 0 && !life_specs[queue].no_expiration && chance(g, 20))
        m.expiration = (uint64_t)below(g, 100) + 1;
    if (way == LIFE_DELAYED && chance(g, 80))
        m.delay = (uint64_t)below(g, chance(g, 90) ? 60 : 600) + 1;
    if (way == LIFE_ONCE || queue < 0 || life_specs[queue].no_twins)
        m.dedup_id = (unsigned)below(g, 20) + (way == LIFE_ONCE);
    return m;
}

static void publish_one(struct play *g, int peer, int ch, int queue, enum life_way way)
{
    static const char *const exchanges[] = {"", "delays", "once"};
    char body[16], headers[64], flags[2] = "";
    struct life_msg m = message(g, queue, way);
    g->st.pad = chance(g, 10) ? 100 : 0;
    g->st.priority = (uint8_t)m.priority;
    g->st.expiration_ms = m.expiration;
    snprintf(headers, sizeof(headers), m.dedup_id ? "x-deduplication-header=I%u" : "x-delay=I%u",
             m.dedup_id ? m.dedup_id : (unsigned)m.delay);
    g->st.headers = m.dedup_id || m.delay ? headers : NULL;
    m.len = (size_t)snprintf(body, sizeof(body), "%d", m.id);
    m.len = m.len < g->st.pad ? g->st.pad : m.len;
    if (m.persistent)
        flags[0] = 'p';
    life_publish(&g->l, peer, ch, queue, m);
    ck_assert_int_eq(peer_publish(&g->st.peers[peer], ch, queue < 0 ? "fx" : exchanges[way],
                                  queue < 0 ? "" : g->l.q[queue].name, body, flags),
                     0);
    g->st.headers = NULL;
}

static bool crowded(const struct play *g)
{
    for (int i = 0; i < LIFE_QUEUES; i++)
        if (g->l.q[i].ready.n > 200)
            return true;
    return false;
}

static void publish(struct play *g, int peer, int ch)
{
    int queue = below(g, LIFE_QUEUES + 1) - 1;
    if (g->l.ch[peer][ch].n_settles || crowded(g))
        return; /* a transaction either publishes or settles */
    enum life_way way = LIFE_DIRECT;
    if (queue >= 0 && life_specs[queue].routed && chance(g, 60))
        way = chance(g, 50) ? LIFE_DELAYED : LIFE_ONCE;
    stage_hold(&g->st);
    for (int n = chance(g, 20) ? below(g, 12) + 1 : 1; n > 0; n--)
        publish_one(g, peer, ch, queue, way);
    stage_release(&g->st);
}

static void get(struct play *g, int peer, int ch)
{
    int i = below(g, LIFE_QUEUES);
    bool no_ack = chance(g, 30);
    if (!g->l.q[i].exists)
        return;
    life_get(&g->l, peer, ch, i, no_ack);
    ck_assert_int_eq(peer_get(&g->st.peers[peer], ch, g->l.q[i].name, no_ack), 0);
}

static void consume(struct play *g, int peer, int ch)
{
    int i = below(g, LIFE_QUEUES), k = below(g, LIFE_CONSUMERS);
    bool no_ack = chance(g, 15);
    char tag[8];
    if (!g->l.q[i].exists || life_specs[i].no_consumers || g->l.ch[peer][ch].consumers[k].live)
        return;
    snprintf(tag, sizeof(tag), "c%d", k);
    int priority = below(g, 3);
    life_consume(&g->l, peer, ch, k, i, no_ack, priority);
    ck_assert_int_eq(
        peer_consume(&g->st.peers[peer], ch, g->l.q[i].name, tag, no_ack ? "n" : "", priority), 0);
}

static void cancel(struct play *g, int peer, int ch)
{
    int k = below(g, LIFE_CONSUMERS);
    char tag[8];
    if (!g->l.ch[peer][ch].consumers[k].live)
        return;
    snprintf(tag, sizeof(tag), "c%d", k);
    life_cancel(&g->l, peer, ch, k);
    peer_cancel(&g->st.peers[peer], ch, tag);
}

static void settle(struct play *g, int peer, int ch)
{
    const struct life_chan *c = &g->l.ch[peer][ch];
    static const enum lev_settle hows[] = {LEV_SETTLE_ACK, LEV_SETTLE_ACK, LEV_SETTLE_REQUEUE,
                                           LEV_SETTLE_REJECT, LEV_SETTLE_FAIL};
    enum lev_settle how = hows[below(g, 5)];
    bool multiple = how != LEV_SETTLE_FAIL && chance(g, 25);
    if (!c->n_unacked || c->n_publishes)
        return;
    const struct life_unacked *u = &c->unacked[below(g, (int)c->n_unacked)];
    uint64_t tag = u->tag;
    if (u->in_tx)
        return;
    life_settle(&g->l, peer, ch, tag, multiple, how);
    ck_assert_int_eq(peer_settle(&g->st.peers[peer], ch, tag, multiple, how), 0);
}

static void select_mode(struct play *g, int peer, int ch)
{
    struct life_chan *c = &g->l.ch[peer][ch];
    if (c->mode != LIFE_PLAIN)
        return;
    c->mode = chance(g, 40) ? LIFE_TX : LIFE_CONFIRM;
    int rc = c->mode == LIFE_TX ? peer_tx_select(&g->st.peers[peer], ch)
                                : peer_confirm_select(&g->st.peers[peer], ch);
    ck_assert_int_eq(rc, 0);
}

static void close_channel(struct play *g, int peer, int ch)
{
    life_close_channel(&g->l, peer, ch);
    peer_close_channel(&g->st.peers[peer], ch);
    peer_open_channel(&g->st.peers[peer], ch);
}

static void end_tx(struct play *g, int peer, int ch)
{
    struct peer *p = &g->st.peers[peer];
    if (g->l.ch[peer][ch].mode != LIFE_TX)
        return;
    if (chance(g, 20)) {
        life_rollback(&g->l, peer, ch);
        ck_assert_int_eq(peer_rollback(p, ch), 0);
        return;
    }
    bool good = life_commit(&g->l, peer, ch);
    int rc = peer_commit(p, ch);
    agree(&g->l, (rc == 0) == good, "commit gives %d", rc);
    if (good)
        return;
    life_end(&g->l);
    life_begin(&g->l, "close after commit"); /* as the session does */
    close_channel(g, peer, ch);
}

static void open_peers(struct play *g)
{
    for (int p = 0; p < LIFE_PEERS; p++)
        stage_peer(&g->st, p);
}

static void close_peer(struct play *g, int peer)
{
    for (int c = PEER_CHANNELS; c >= 1; c--)
        life_close_channel(&g->l, peer, c);
    peer_close(&g->st.peers[peer]);
    stage_peer(&g->st, peer);
}

/* Things that no store will hear of. */
static void junk(struct play *g)
{
    struct peer *p = &g->st.peers[0];
    for (int n = below(g, 6); n > 0; n--) {
        int i = below(g, LIFE_QUEUES);
        if (!g->l.q[i].exists)
            continue;
        g->st.expiration_ms = UINT64_MAX;
        if (chance(g, 50))
            peer_publish(p, 1, "", g->l.q[i].name, "0", "p");
        else if (chance(g, 80) && !p->client.suspended)
            peer_get(p, 1, g->l.q[i].name, true);
        else
            peer_purge(p, g->l.q[i].name);
    }
    if (chance(g, 50))
        peer_close(&g->st.peers[below(g, LIFE_PEERS)]);
}

/* The policies that the model has. */
static void set_policies(struct play *g)
{
    struct lev_policy_set *set = lev_policy_set_new();
    for (int i = 0; i < LIFE_QUEUES; i++) {
        char err[LEV_POLICY_ERR_MAX], pattern[16];
        if (!g->l.q[i].policy)
            continue;
        snprintf(pattern, sizeof(pattern), "^%s$", g->l.q[i].name);
        const struct lev_policy_def d = {.name = lev_bytes_str(g->l.q[i].name),
                                         .pattern = lev_bytes_str(pattern),
                                         .apply_to = LEV_LIT("queues"),
                                         .definition = args(g->l.q[i].policy->definition)};
        ck_assert_msg(lev_policy_set_put(set, LEV_USER_POLICY, &d, err) == 0, "%s", err);
    }
    lev_vhost_set_policies(g->st.v, set);
}

static void restart(struct play *g)
{
    bool crash = chance(g, 60);
    for (int p = 0; !crash && p < LIFE_PEERS; p++) {
        life_begin(&g->l, "close all");
        close_peer(g, p);
        life_end(&g->l);
    }
    life_begin(&g->l, crash ? "crash" : "restart");
    if (crash) {
        junk(g);
        stage_crash(&g->st);
    } else {
        stage_restart(&g->st);
    }
    life_restart(&g->l);
    set_policies(g);
    open_peers(g);
}

static void pass_time(struct play *g)
{
    int most = chance(g, 80) ? 20 : chance(g, 95) ? 300 : 12000;
    stage_advance(&g->st, (uint64_t)below(g, most));
}

static void do_declare(struct play *g, int peer, int ch)
{
    (void)ch;
    declare(g, peer);
}

static void do_delete(struct play *g, int peer, int ch)
{
    (void)ch;
    delete_or_purge(g, peer, false);
}

static void do_purge(struct play *g, int peer, int ch)
{
    (void)ch;
    delete_or_purge(g, peer, true);
}

static void govern(struct play *g, int peer, int ch)
{
    (void)peer;
    (void)ch;
    const struct life_policy *policy = &life_policies[below(g, LIFE_POLICIES)];
    life_govern(&g->l, policy->queue, chance(g, 60) ? policy : NULL);
    set_policies(g);
}

static void do_qos(struct play *g, int peer, int ch)
{
    uint32_t n = chance(g, 10) ? 0 : (uint32_t)below(g, 6) + 1;
    g->l.ch[peer][ch].prefetch = n;
    peer_qos(&g->st.peers[peer], ch, n, false);
}

static void do_close(struct play *g, int peer, int ch)
{
    if (chance(g, 80))
        close_channel(g, peer, ch);
    else
        close_peer(g, peer);
}

static void do_time(struct play *g, int peer, int ch)
{
    (void)peer;
    (void)ch;
    pass_time(g);
}

static void do_restart(struct play *g, int peer, int ch)
{
    (void)peer;
    (void)ch;
    restart(g);
}

static const struct play_op hungry[] = {
    {"get", 10, get}, {"settle", 40, settle}, {"consume", 5, consume}};
static const struct play_op others[] = {
    {"publish", 400, publish},   {"settle", 150, settle},  {"get", 50, get},
    {"time", 150, do_time},      {"consume", 20, consume}, {"cancel", 15, cancel},
    {"declare", 30, do_declare}, {"delete", 4, do_delete}, {"purge", 4, do_purge},
    {"policy", 20, govern},      {"qos", 15, do_qos},      {"select", 10, select_mode},
    {"end of tx", 50, end_tx},   {"close", 8, do_close},   {"restart", 3, do_restart}};

static void step(struct play *g)
{
    int peer = below(g, LIFE_PEERS), ch = below(g, PEER_CHANNELS) + 1;
    if (g->l.op % 400 == 0)
        g->appetite = (unsigned)below(g, 80);
    const struct play_op *op =
        chance(g, g->appetite) ? play_pick(&g->dice, hungry, sizeof(hungry) / sizeof(hungry[0]))
                               : play_pick(&g->dice, others, sizeof(others) / sizeof(others[0]));
    life_begin(&g->l, op->name);
    op->run(g, peer, ch);
    life_end(&g->l);
}

static void drain_queue(struct play *g, int queue)
{
    for (size_t n = g->l.q[queue].exists ? g->l.q[queue].ready.n + 1 : 0; n > 0; n--) {
        life_begin(&g->l, "last get");
        life_get(&g->l, 0, 1, queue, true);
        ck_assert_int_eq(peer_get(&g->st.peers[0], 1, g->l.q[queue].name, true), 0);
        life_end(&g->l);
    }
    agree(&g->l, !g->l.q[queue].ready.n, "%s is not empty", g->l.q[queue].name);
}

/* Every message that should be there comes out: those that a queue keeps, a few at a time. */
static void drain(struct play *g)
{
    restart(g);
    life_end(&g->l);
    for (int rounds = 40; rounds > 0; rounds--) {
        for (int i = 0; i < LIFE_QUEUES; i++)
            drain_queue(g, i);
        life_begin(&g->l, "long time");
        stage_advance(&g->st, 2 * LEV_PARK_DEAD_MS);
        life_end(&g->l);
    }
    for (int i = 0; i < LIFE_QUEUES; i++)
        agree(&g->l,
              !life_specs[i].keeps || !g->l.q[life_specs[i].dead_to - 1].exists ||
                  !g->l.q[i].kept.n,
              "%s keeps %zu", g->l.q[i].name, g->l.q[i].kept.n);
    agree(&g->l, !g->l.delayed.n, "%zu are delayed", g->l.delayed.n);
}

static void play(unsigned long seed, unsigned long ops)
{
    static struct play g;
    g = (struct play){0};
    dice_seed(&g.dice, seed);
    stage_init(&g.st, play_windows(seed));
    if (seed % 2)
        g.st.delays = g.st.v->delays.limits =
            (struct lev_delay_limits){.max = 4, .max_bytes = 2000};
    life_init(&g.l, &g.st);
    g.l.seed = seed;
    open_peers(&g);
    peer_fanout(&g.st.peers[0], "fx");
    peer_exchange(&g.st.peers[0], "delays", "x-delayed-message", "x-delayed-type=Sdirect");
    peer_exchange(&g.st.peers[0], "once", "direct",
                  "x-message-deduplication=t1 x-cache-size=I8 x-cache-ttl=I150");
    stage_run(&g.st);
    for (g.l.op = 0; g.l.op < ops; g.l.op++)
        step(&g);
    drain(&g);
    life_deinit(&g.l);
    stage_deinit(&g.st);
}

int main(void)
{
    return play_main("broker_life", 10, play);
}
