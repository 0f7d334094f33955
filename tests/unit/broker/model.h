/* A plain model of a broker: lists of messages, nothing else. What the real one does is compared
 * with it.
 *
 * It does not choose: which consumer gets a message, and when the store lets one come back, the
 * real broker says, and the model checks that it was allowed to. One thread. */
#ifndef LEV_TESTS_BROKER_MODEL_H
#define LEV_TESTS_BROKER_MODEL_H

#include "stage.h"

enum { MODEL_QUEUES = 6, MODEL_PEERS = 3, MODEL_CONSUMERS = 3 };

enum again { AGAIN_NO, AGAIN_YES, AGAIN_EITHER /* after a crash nobody knows */ };

struct mmsg {
    int id, seq; /* seq: place in its queue */
    bool persistent;
    enum again again;
};

struct mlist {
    struct mmsg *v;
    size_t n, cap;
};

struct mqueue {
    char name[8];
    bool durable, auto_delete; /* as the test declares it */
    bool exists, bound;
    int gen; /* tells it from the one of this name before */
    int next_seq;
    size_t unacked;
    struct mlist ready;
    int popped;    /* highest seq handed out in this step; -1: none */
    bool empty;    /* get-empty said so in this step */
    uint32_t left; /* least that a get-ok of this step said */
};

struct munacked {
    uint64_t tag;
    int queue, gen, consumer; /* consumer -1: none, or gone */
    bool consumed;            /* not by get */
    bool in_tx;
    struct mmsg m;
};

struct mconsumer {
    bool live, no_ack, cancelled; /* cancelled: the peer is to hear of it in this step */
    int queue;
    uint32_t prefetch, unacked;
};

struct mneed {
    uint64_t seq;
    int id;
};

struct mtx_publish {
    struct mmsg m;
    int queues[MODEL_QUEUES], gens[MODEL_QUEUES], n;
    bool mandatory;
};

struct mtx_settle {
    uint64_t tag;
    enum lev_settle how;
};

enum mmode { PLAIN, CONFIRM, TX };

struct mchan {
    enum mmode mode;
    uint64_t last_tag, publish_seq, confirmed;
    uint64_t must_confirm; /* in this step */
    uint64_t told;         /* confirmed in this step */
    uint32_t prefetch, prefetch_global, consumed;
    struct munacked *unacked;
    size_t n_unacked, cap_unacked;
    struct mconsumer consumers[MODEL_CONSUMERS];
    struct mneed *needs; /* stored publishes that no commit covers yet */
    size_t n_needs, cap_needs;
    struct mtx_publish *publishes;
    size_t n_publishes;
    struct mtx_settle *settles;
    size_t n_settles;
    bool committing, getting, get_no_ack;
    int get_queue;
    int returns[128]; /* expected in this step, in order */
    size_t n_returns, seen_returns;
    int last_seq[MODEL_QUEUES]; /* of the deliveries in this step */
};

struct model {
    struct stage *stage;
    struct mqueue q[MODEL_QUEUES], saved[MODEL_QUEUES]; /* saved: what a crash leaves */
    struct mchan ch[MODEL_PEERS][PEER_CHANNELS + 1];
    int next_id;
    unsigned long seed, op; /* named when something differs */
    const char *doing;
    bool grouped; /* the operations that follow belong to one step */
    bool mixed;   /* this step published and then requeued: order among the two is open */
};

void model_init(struct model *m, struct stage *s);
void model_deinit(struct model *m);

/* What was asked of the real broker, told to the model as well. */
void model_declare(struct model *m, int queue);
void model_queue_gone(struct model *m, int queue); /* deleted: its consumers hear of it */
size_t model_purge(struct model *m, int queue);
/* queue -1: the fanout. */
void model_publish(struct model *m, int peer, int ch, int queue, bool persistent, bool mandatory,
                   int id);
void model_consume(struct model *m, int peer, int ch, int consumer, int queue, bool no_ack);
void model_cancel(struct model *m, int peer, int ch, int consumer);
void model_get(struct model *m, int peer, int ch, int queue, bool no_ack);
/* True when the real one must accept it. */
bool model_settle(struct model *m, int peer, int ch, uint64_t tag, bool multiple,
                  enum lev_settle how);
void model_recover(struct model *m, int peer, int ch);
void model_commit(struct model *m, int peer, int ch);
void model_rollback(struct model *m, int peer, int ch);
void model_close_channel(struct model *m, int peer, int ch);
/* The store took and wrote all that was published before this step. */
void model_written(struct model *m);
/* Everything so far is on disk, this step's deliveries too. */
void model_save(struct model *m);
/* The process died: back to what was saved. */
void model_crash(struct model *m);

/* Before each operation, and after it: takes the peers' events and compares. */
void model_begin(struct model *m, const char *doing);
void model_compare(struct model *m);
/* Nothing is under way: nobody waits for anything that could be given. */
void model_compare_idle(struct model *m);

#define must(m, cond, ...)                                                                         \
    do {                                                                                           \
        if (!(cond))                                                                               \
            model_fail(m, #cond, __VA_ARGS__);                                                     \
    } while (0)
void model_fail(const struct model *m, const char *cond, const char *fmt, ...)
    __attribute__((format(printf, 3, 4), noreturn));

#endif
