/* A plain model of queues with limits, times, dead letters, priorities and retries, with policies
 * that change them, and of exchanges that delay messages or drop those that come twice: lists of
 * messages. The real broker is asked the same, the store then does all it can, and both must agree
 * about every message. See test_life.c.
 *
 * It does not choose which consumer gets a message: the real broker says, and the model checks that
 * it was that message's and that consumer's turn. Nor does it choose when a message that its
 * dead-letter queue refused at first gets there: it looks which of them are there. What order
 * messages of two origins reach a queue in at one time is nobody's promise: so each queue here
 * takes the dead of one other queue only, and none takes dead and delayed ones. One thread. */
#ifndef LEV_TESTS_BROKER_LIFE_H
#define LEV_TESTS_BROKER_LIFE_H

#include "stage.h"

enum {
    LIFE_QUEUES = 14,
    LIFE_PEERS = 3,
    LIFE_CONSUMERS = 2,
    LIFE_DEATHS = 16,
    LIFE_SEEN = 8,
    LIFE_SEEN_MS = 150
};

enum life_again { LIFE_NO, LIFE_YES, LIFE_EITHER /* after a restart nobody knows */ };

/* The way to a queue: the default exchange, the one that delays, the one that drops duplicates. */
enum life_way { LIFE_DIRECT, LIFE_DELAYED, LIFE_ONCE };

struct life_death {
    int queue;
    enum lev_death reason;
};

struct life_msg {
    int id;
    uint64_t seq; /* place in its queue */
    unsigned priority;
    uint64_t expiration, expires; /* UINT64_MAX: none; expires 0: never */
    size_t len;
    bool persistent, unparked; /* unparked: in this step */
    enum life_again again;
    unsigned count;                        /* returns */
    struct life_death deaths[LIFE_DEATHS]; /* newest first; each queue and reason once */
    int n_deaths;
    unsigned long born; /* the operation that brought it to its queue */
    uint64_t due;       /* while it is held back */
    enum life_way way;
    uint64_t delay;    /* 0: none */
    unsigned dedup_id; /* 0: none */
    int to;            /* its queue, while its exchange delays it */
};

struct life_list {
    struct life_msg *v;
    size_t n, cap;
};

/* What a queue is declared with, in words and for the broker. */
struct life_spec {
    const char *arguments;
    bool bound; /* to the fanout: one of each chain, so that no queue gets two copies */
    bool durable, quorum, single_active, no_consumers, no_expiration;
    unsigned levels;                             /* 0: no priorities */
    uint64_t ttl, unused, max_length, max_bytes; /* 0: none */
    bool reject, reject_dlx;
    unsigned delivery_limit; /* 0: none */
    int dead_to;             /* number of the queue and one; 0: nowhere */
    bool keeps;              /* its dead until they are there */
    bool routed;             /* bound to the exchanges that delay and drop */
    bool no_twins;           /* drops a message while it has one with the same id */
    bool retry_failed, retry_returned;
    uint64_t retry_min, retry_max;
};

extern const struct life_spec life_specs[LIFE_QUEUES];

/* What a policy of one queue says, in words and for the model: what it leaves open is 0. */
struct life_policy {
    int queue;
    const char *definition;
    struct life_spec set;
};

enum { LIFE_POLICIES = 17 };
extern const struct life_policy life_policies[LIFE_POLICIES];

struct life_queue {
    char name[16];
    bool exists;
    int gen; /* tells it from the one of this name before */
    uint64_t next_seq, step_seq, used_ms;
    struct life_list ready, parked, kept; /* kept: dead, and not yet where they go */
    const struct life_policy *policy;     /* NULL: none */
    struct life_spec now;                 /* what it is declared with and its policy come to */
    bool said_empty;
    uint32_t left; /* least that a get-ok of this step said */
};

struct life_unacked {
    uint64_t tag;
    int queue, gen, consumer; /* consumer -1: none, or gone */
    bool in_tx;
    struct life_msg m;
};

struct life_consumer {
    bool live, no_ack, cancelled;
    int queue;
    int64_t priority;
    uint64_t since; /* order of consume */
    uint32_t prefetch, unacked;
};

/* A message that a peer was given in this step. */
struct life_delivery {
    int peer, ch, queue, consumer, id;
    uint64_t tag;
    bool redelivered, done, no_ack;
    int64_t count;
    struct life_msg m;
};

enum life_mode { LIFE_PLAIN, LIFE_CONFIRM, LIFE_TX };

struct life_publish {
    struct life_msg m;
    int queue;
    int queues[LIFE_QUEUES], gens[LIFE_QUEUES], n;
};

struct life_chan {
    enum life_mode mode;
    uint64_t last_tag, confirmed, n_confirms;
    bool *nacks; /* expected, by number of the publish */
    uint32_t prefetch;
    struct life_unacked *unacked;
    size_t n_unacked;
    struct life_consumer consumers[LIFE_CONSUMERS];
    struct life_publish *publishes; /* of the transaction */
    size_t n_publishes;
    struct {
        uint64_t tag;
        enum lev_settle how;
    } * settles;
    size_t n_settles;
    bool committing, getting, get_no_ack;
    int get_queue;
};

struct life {
    struct stage *stage;
    struct life_queue q[LIFE_QUEUES];
    struct life_chan ch[LIFE_PEERS][PEER_CHANNELS + 1];
    struct life_delivery *deliveries;
    size_t n_deliveries;
    uint64_t consumes;
    struct life_list delayed; /* in the order in which they are due */
    struct {
        unsigned id;
        uint64_t expires;
    } seen[LIFE_SEEN]; /* by the exchange that drops, oldest first */
    size_t n_seen;
    int next_id;
    unsigned long seed, op; /* named when something differs */
    const char *doing;
};

void life_init(struct life *l, struct stage *s);
void life_deinit(struct life *l);

void life_begin(struct life *l, const char *doing);
/* Lets everything happen that has to, and compares. */
void life_end(struct life *l);

void life_declare(struct life *l, int queue);
void life_delete(struct life *l, int queue);
size_t life_purge(struct life *l, int queue);
/* The queue's policy is this from now on, or none (NULL). */
void life_govern(struct life *l, int queue, const struct life_policy *policy);
/* queue -1: the fanout. m: id, priority, expiration, len, persistent, way, delay, dedup_id. */
void life_publish(struct life *l, int peer, int ch, int queue, struct life_msg m);
void life_consume(struct life *l, int peer, int ch, int consumer, int queue, bool no_ack,
                  int64_t priority);
void life_cancel(struct life *l, int peer, int ch, int consumer);
void life_get(struct life *l, int peer, int ch, int queue, bool no_ack);
/* The tag is known. */
void life_settle(struct life *l, int peer, int ch, uint64_t tag, bool multiple,
                 enum lev_settle how);
/* False when the real one must refuse it, because a queue refused a message. */
bool life_commit(struct life *l, int peer, int ch);
void life_rollback(struct life *l, int peer, int ch);
void life_close_channel(struct life *l, int peer, int ch);
/* The process ended, one way or the other, with everything up to here on disk. */
void life_restart(struct life *l);

#define agree(l, cond, ...)                                                                        \
    do {                                                                                           \
        if (!(cond))                                                                               \
            life_fail(l, #cond, __VA_ARGS__);                                                      \
    } while (0)
void life_fail(const struct life *l, const char *cond, const char *fmt, ...)
    __attribute__((format(printf, 3, 4), noreturn));

#endif
