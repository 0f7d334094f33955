/* Random operations on the broker, compared step by step with a plain model (model.h).
 */
#include "model.h"
#include "play.h"

#include <check.h>
#include <stdio.h>

#include "base/err.h"

struct play {
    struct stage st;
    struct model m;
    struct dice dice;
    bool failing, failing_reads, reads_failed;
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

/* --- the store's turns --- */

static void save_when_written(struct play *g)
{
    const struct lev_vhost *v = g->st.v;
    if (!g->failing && !lev_vhost_has_batch(v) && !v->written.n)
        model_save(&g->m);
}

static void run_store(struct play *g, int what)
{
    model_begin(&g->m, "store");
    g->reads_failed |= g->failing_reads;
    if (what == 0 && chance(g, 40)) {
        stage_seal(&g->st);
        return;
    }
    if (what == 0)
        lev_store_mem_run_writer(g->st.store);
    else if (what == 1)
        lev_store_mem_run_reader(g->st.store);
    else if (g->failing)
        lev_store_mem_run(g->st.store);
    else
        stage_run(&g->st);
    if (what != 1 && !g->failing)
        model_written(&g->m);
    model_compare(&g->m);
    save_when_written(g);
}

static void heal(struct play *g)
{
    g->failing = g->failing_reads = false;
    lev_store_mem_fail(g->st.store, 0);
    lev_store_mem_fail_reads(g->st.store, 0);
}

/* A commit, so that failed reads are tried again. */
static void poke(struct play *g)
{
    peer_declare(stage_peer(&g->st, MODEL_PEERS), "poke", "d");
    peer_send(stage_peer(&g->st, MODEL_PEERS), "poke", "p", "p");
    stage_run(&g->st);
    peer_purge(stage_peer(&g->st, MODEL_PEERS), "poke");
    g->reads_failed = false;
}

static void quiesce(struct play *g)
{
    heal(g);
    model_begin(&g->m, "quiesce");
    if (g->reads_failed)
        poke(g);
    stage_run(&g->st);
    model_written(&g->m);
    model_compare(&g->m);
    save_when_written(g);
    model_compare_idle(&g->m);
}

/* --- operations of peers --- */

static bool can_speak(const struct play *g, int peer, int ch)
{
    return !g->st.peers[peer].client.suspended && !g->m.ch[peer][ch].committing;
}

static const char *queue_name(struct play *g, int queue)
{
    return g->m.q[queue].name;
}

static void declare(struct play *g, struct peer *p)
{
    int queue = below(g, MODEL_QUEUES);
    struct mqueue *q = &g->m.q[queue];
    char flags[4] = "";
    if (q->durable)
        strcat(flags, "d");
    if (q->auto_delete)
        strcat(flags, "a");
    model_begin(&g->m, "declare");
    stage_hold(&g->st);
    ck_assert_int_eq(peer_declare(p, q->name, flags), 0);
    peer_bind(p, "fx", q->name);
    stage_release(&g->st);
    model_declare(&g->m, queue);
}

static void delete_or_purge(struct play *g, struct peer *p, bool purge)
{
    int queue = below(g, MODEL_QUEUES);
    model_begin(&g->m, purge ? "purge" : "delete");
    if (purge && !g->m.q[queue].exists)
        return;
    int64_t n =
        purge ? peer_purge(p, queue_name(g, queue)) : peer_delete(p, queue_name(g, queue), "");
    size_t expected = model_purge(&g->m, queue);
    must(&g->m, n == (int64_t)expected, "count %lld, not %zu", (long long)n, expected);
    if (!purge)
        model_queue_gone(&g->m, queue);
}

static void publish(struct play *g, int peer, int ch)
{
    int queue = below(g, MODEL_QUEUES + 1) - 1;
    bool persistent = chance(g, 60), mandatory = chance(g, 30);
    char flags[4] = "";
    if (persistent)
        strcat(flags, "p");
    if (mandatory)
        strcat(flags, "m");
    model_begin(&g->m, "publish");
    stage_hold(&g->st);
    for (int n = chance(g, 10) ? below(g, 20) + 1 : 1; n > 0; n--) {
        char body[16];
        int id = g->m.next_id++;
        snprintf(body, sizeof(body), "%d", id);
        g->st.pad = chance(g, 5) ? 600 : 0;
        model_publish(&g->m, peer, ch, queue, persistent, mandatory, id);
        ck_assert_int_eq(peer_publish(&g->st.peers[peer], ch, queue < 0 ? "fx" : "",
                                      queue < 0 ? "" : queue_name(g, queue), body, flags),
                         0);
    }
    stage_release(&g->st);
}

static void get(struct play *g, int peer, int ch)
{
    int queue = below(g, MODEL_QUEUES);
    bool no_ack = chance(g, 50);
    model_begin(&g->m, "get");
    if (!g->m.q[queue].exists)
        return;
    model_get(&g->m, peer, ch, queue, no_ack);
    ck_assert_int_eq(peer_get(&g->st.peers[peer], ch, queue_name(g, queue), no_ack), 0);
}

static void consume(struct play *g, int peer, int ch)
{
    int queue = below(g, MODEL_QUEUES), k = below(g, MODEL_CONSUMERS);
    bool no_ack = chance(g, 25);
    char tag[8];
    model_begin(&g->m, "consume");
    if (!g->m.q[queue].exists || g->m.ch[peer][ch].consumers[k].live)
        return;
    snprintf(tag, sizeof(tag), "c%d", k);
    model_consume(&g->m, peer, ch, k, queue, no_ack);
    ck_assert_int_eq(peer_consume(&g->st.peers[peer], ch, queue_name(g, queue), tag,
                                  no_ack ? "n" : "", below(g, 3)),
                     0);
}

static void cancel(struct play *g, int peer, int ch)
{
    int k = below(g, MODEL_CONSUMERS);
    char tag[8];
    model_begin(&g->m, "cancel");
    if (!g->m.ch[peer][ch].consumers[k].live)
        return;
    snprintf(tag, sizeof(tag), "c%d", k);
    model_cancel(&g->m, peer, ch, k);
    peer_cancel(&g->st.peers[peer], ch, tag);
}

static void settle(struct play *g, int peer, int ch)
{
    const struct mchan *mc = &g->m.ch[peer][ch];
    bool multiple = chance(g, 30), known = g->m.grouped || !chance(g, 3);
    enum lev_settle how = LEV_SETTLE_ACK;
    uint64_t tag = (uint64_t)below(g, (int)mc->last_tag + 2);
    if (chance(g, 35))
        how = chance(g, 80) ? LEV_SETTLE_REQUEUE : LEV_SETTLE_REJECT;
    model_begin(&g->m, multiple ? "settle multiple" : "settle");
    if (g->m.grouped && !mc->n_unacked)
        return; /* what this run delivered is not known yet */
    if (known && mc->n_unacked)
        tag = mc->unacked[below(g, (int)mc->n_unacked)].tag;
    if (!g->m.grouped && multiple && chance(g, 20))
        tag = 0;
    bool good = model_settle(&g->m, peer, ch, tag, multiple, how);
    int rc = peer_settle(&g->st.peers[peer], ch, tag, multiple, how);
    must(&g->m, (rc == 0) == good, "settle of %llu gives %d", (unsigned long long)tag, rc);
}

static void qos(struct play *g, int peer, int ch)
{
    bool global = chance(g, 30);
    uint32_t n = chance(g, 15) ? 0 : (uint32_t)below(g, 12) + 1;
    model_begin(&g->m, "qos");
    if (global)
        g->m.ch[peer][ch].prefetch_global = n;
    else
        g->m.ch[peer][ch].prefetch = n;
    peer_qos(&g->st.peers[peer], ch, n, global);
}

static void select_mode(struct play *g, int peer, int ch)
{
    struct mchan *mc = &g->m.ch[peer][ch];
    model_begin(&g->m, "select");
    if (mc->mode == PLAIN) {
        mc->mode = chance(g, 50) ? TX : CONFIRM;
        if (mc->mode == TX)
            ck_assert_int_eq(peer_tx_select(&g->st.peers[peer], ch), 0);
        else
            ck_assert_int_eq(peer_confirm_select(&g->st.peers[peer], ch), 0);
    }
}

static void end_tx(struct play *g, int peer, int ch)
{
    model_begin(&g->m, "end of tx");
    if (g->m.ch[peer][ch].mode != TX)
        return;
    if (chance(g, 70)) {
        model_commit(&g->m, peer, ch);
        ck_assert_int_eq(peer_commit(&g->st.peers[peer], ch), 0);
    } else {
        model_rollback(&g->m, peer, ch);
        ck_assert_int_eq(peer_rollback(&g->st.peers[peer], ch), 0);
    }
}

static void close_channel(struct play *g, int peer, int ch)
{
    model_begin(&g->m, "channel close");
    model_close_channel(&g->m, peer, ch);
    peer_close_channel(&g->st.peers[peer], ch);
    peer_open_channel(&g->st.peers[peer], ch);
}

static void close_peer(struct play *g, int peer)
{
    model_begin(&g->m, "close");
    for (int c = PEER_CHANNELS; c >= 1; c--)
        model_close_channel(&g->m, peer, c);
    peer_close(&g->st.peers[peer]);
    stage_peer(&g->st, peer);
}

/* --- life and death --- */

static void open_peers(struct play *g)
{
    for (int p = 0; p < MODEL_PEERS; p++)
        stage_peer(&g->st, p);
}

static void restart(struct play *g, bool crash)
{
    if (!crash) {
        for (int p = 0; p < MODEL_PEERS; p++) {
            close_peer(g, p);
            model_compare(&g->m);
        }
        quiesce(g);
    }
    model_begin(&g->m, crash ? "crash" : "restart");
    heal(g);
    if (crash)
        stage_crash(&g->st);
    else
        stage_restart(&g->st);
    model_crash(&g->m);
    open_peers(g);
    g->reads_failed = false;
}

static void store_trouble(struct play *g)
{
    bool reads = chance(g, 40);
    bool *failing = reads ? &g->failing_reads : &g->failing;
    *failing = !*failing;
    if (reads)
        lev_store_mem_fail_reads(g->st.store, *failing ? LEV_EIO : 0);
    else
        lev_store_mem_fail(g->st.store, *failing ? LEV_EFULL : 0);
}

/* Several commands in one run. */
static void group(struct play *g)
{
    model_begin(&g->m, "group");
    g->m.grouped = true;
    stage_hold(&g->st);
    for (int n = below(g, 5) + 1; n > 0; n--) {
        int peer = below(g, MODEL_PEERS), ch = below(g, PEER_CHANNELS) + 1;
        if (!can_speak(g, peer, ch))
            continue;
        if (chance(g, 50))
            publish(g, peer, ch);
        else
            settle(g, peer, ch);
    }
    stage_release(&g->st);
    g->m.grouped = false;
    g->m.mixed = true;
}

static void some_store(struct play *g, int peer, int ch)
{
    (void)peer;
    (void)ch;
    run_store(g, below(g, 3));
    model_begin(&g->m, "nothing");
}

static void some_group(struct play *g, int peer, int ch)
{
    (void)peer;
    (void)ch;
    group(g);
}

static void some_restart(struct play *g, int peer, int ch)
{
    (void)peer;
    (void)ch;
    restart(g, chance(g, 70));
}

static void some_close(struct play *g, int peer, int ch)
{
    (void)ch;
    close_peer(g, peer);
}

static void some_rest(struct play *g, int peer, int ch)
{
    (void)peer;
    (void)ch;
    quiesce(g);
}

static void some_trouble(struct play *g, int peer, int ch)
{
    (void)peer;
    (void)ch;
    store_trouble(g);
}

static void some_declare(struct play *g, int peer, int ch)
{
    (void)ch;
    declare(g, &g->st.peers[peer]);
}

static void some_delete(struct play *g, int peer, int ch)
{
    (void)ch;
    delete_or_purge(g, &g->st.peers[peer], chance(g, 50));
}

static void recover(struct play *g, int peer, int ch)
{
    model_begin(&g->m, "recover");
    model_recover(&g->m, peer, ch);
    peer_recover(&g->st.peers[peer], ch);
}

/* Whatever state the peer is in. */
static const struct play_op always[] = {
    {"restart", 3, some_restart}, {"close", 3, some_close},     {"channel close", 9, close_channel},
    {"quiesce", 6, some_rest},    {"trouble", 6, some_trouble}, {"store", 60, some_store}};
static const struct play_op hungry[] = {
    {"group", 5, some_group}, {"get", 28, get}, {"consume", 10, consume}, {"settle", 50, settle}};
static const struct play_op others[] = {
    {"group", 50, some_group},   {"publish", 580, publish}, {"settle", 200, settle},
    {"consume", 50, consume},    {"cancel", 50, cancel},    {"declare", 30, some_declare},
    {"delete", 15, some_delete}, {"qos", 18, qos},          {"select", 8, select_mode},
    {"end of tx", 45, end_tx},   {"recover", 8, recover}};

static const struct play_op *choose(struct play *g, int peer, int ch)
{
    if (chance(g, 9) || !can_speak(g, peer, ch))
        return play_pick(&g->dice, always, sizeof(always) / sizeof(always[0]));
    if (chance(g, g->appetite))
        return play_pick(&g->dice, hungry, sizeof(hungry) / sizeof(hungry[0]));
    return play_pick(&g->dice, others, sizeof(others) / sizeof(others[0]));
}

static void step(struct play *g)
{
    int peer = below(g, MODEL_PEERS), ch = below(g, PEER_CHANNELS) + 1;
    if (g->m.op % 400 == 0)
        g->appetite = (unsigned)below(g, 70);
    model_begin(&g->m, "nothing");
    choose(g, peer, ch)->run(g, peer, ch);
    model_compare(&g->m);
}

/* Every message that should be there comes out, in order. */
static void drain(struct play *g)
{
    restart(g, false);
    model_compare(&g->m);
    for (int q = 0; q < MODEL_QUEUES; q++) {
        for (size_t n = g->m.q[q].exists ? g->m.q[q].ready.n + 1 : 0; n > 0; n--) {
            model_begin(&g->m, "last get");
            model_get(&g->m, 0, 1, q, true);
            ck_assert_int_eq(peer_get(&g->st.peers[0], 1, queue_name(g, q), true), 0);
            model_compare(&g->m);
            run_store(g, 2);
        }
        must(&g->m, !g->m.q[q].ready.n, "%s is not empty", queue_name(g, q));
    }
}

static void play(unsigned long seed, unsigned long ops)
{
    static struct play g;
    g = (struct play){0};
    dice_seed(&g.dice, seed);
    stage_init(&g.st, play_windows(seed));
    model_init(&g.m, &g.st);
    g.m.seed = seed;
    open_peers(&g);
    peer_fanout(&g.st.peers[0], "fx");
    stage_run(&g.st);
    for (g.m.op = 0; g.m.op < ops; g.m.op++)
        step(&g);
    drain(&g);
    model_deinit(&g.m);
    stage_deinit(&g.st);
}

int main(void)
{
    return play_main("broker_model", 8, play);
}
