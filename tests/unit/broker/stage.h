/* A vhost over the store in memory, and peers that use it: what the broker's own tests play on.
 *
 * Everything is driven by hand in one thread: the store does nothing until stage_run (or the
 * store's own knobs), the clock is a number, and a peer sees its outbox when it is drained. Each
 * peer_* call is one run of commands, unless it stands between stage_hold and stage_release. */
#ifndef LEV_TESTS_BROKER_STAGE_H
#define LEV_TESTS_BROKER_STAGE_H

#include "broker/consume.h"
#include "broker/declare.h"
#include "broker/publish.h"
#include "broker/queue.h"
#include "broker/vhost_int.h"
#include "store/store_mem.h"

enum { STAGE_PEERS = 4, PEER_CHANNELS = 3 };

/* One item of an outbox, decoded. */
struct event {
    enum lev_out_kind kind;
    uint8_t flags; /* LEV_OUTF_* */
    uint16_t channel;
    uint32_t n;
    uint64_t tag;
    char consumer[16];
    char body[24];
    int64_t count; /* x-delivery-count; 0: none */
};

struct peer {
    struct lev_client client;
    struct stage *stage;
    struct lev_chan ch[PEER_CHANNELS + 1]; /* by number, from 1 */
    struct event *events;                  /* drained and not yet looked at */
    size_t n_events, cap_events;
    size_t unwritten; /* octets drained while stalled */
    bool open, stalled, told;
    struct lev_error err; /* of the last call that failed */
};

struct stage {
    struct lev_store *store;
    struct lev_vhost *v;
    struct lev_windows windows;
    struct peer peers[STAGE_PEERS]; /* opened by stage_peer */
    size_t pad;                     /* bodies are filled up to it with dots */
    uint64_t expiration_ms;         /* of what is published; UINT64_MAX: none */
    uint8_t priority;               /* the same */
    const char *headers;            /* the same, as in args.h; NULL: none */
    struct lev_delay_limits delays; /* of the vhost from its next start on */
    int held;
    uint64_t runs; /* restarts and crashes so far */
};

/* windows: NULL for the defaults. */
void stage_init(struct stage *s, const struct lev_windows *windows);
/* Closes the peers, deletes every queue, and expects that nothing is left of anything. */
void stage_deinit(struct stage *s);

/* Several peer_* calls as one run. */
void stage_hold(struct stage *s);
void stage_release(struct stage *s);

/* The clock goes on, and what is due is done. */
void stage_advance(struct stage *s, uint64_t ms);
uint64_t stage_now(const struct stage *s);
/* Lets the store do all it can. */
void stage_run(struct stage *s);
/* The store leaves the open batch to age, unless one does already. */
void stage_seal(struct stage *s);
/* The process dies: peers are gone, and what was committed comes back. */
void stage_crash(struct stage *s);
/* A clean stop and start. */
void stage_restart(struct stage *s);

/* The queue, or NULL. */
struct lev_queue *stage_queue(struct stage *s, const char *name);
uint64_t stage_ready(struct stage *s, const char *name);
uint64_t stage_unacked(struct stage *s, const char *name);
/* Live rows of a durable queue in the store. */
size_t stage_rows(struct stage *s, const char *name);
/* Each of them, in order. */
void stage_each_row(struct stage *s, const char *name,
                    void (*row)(void *ctx, const struct lev_msg *msg), void *ctx);
/* The number that a body begins with. */
int stage_id(const struct lev_msg *msg);
/* Expects the invariants of queue.h of every queue, and the vhost's memory counter to be right. */
void stage_check(struct stage *s);

/* Opens peer i with channels 1 to PEER_CHANNELS. */
struct peer *stage_peer(struct stage *s, int i);
void peer_close(struct peer *p);
void peer_close_channel(struct peer *p, int ch);
void peer_open_channel(struct peer *p, int ch);

/* flags: d durable, a auto-delete, x exclusive, p passive. The calls below give 0, or -1 with
 * p->err. */
int peer_declare(struct peer *p, const char *name, const char *flags);
int peer_declare_args(struct peer *p, const char *name, const char *flags,
                      struct lev_bytes arguments);
/* flags: u if-unused, e if-empty. Gives the count, or -1. */
int64_t peer_delete(struct peer *p, const char *name, const char *flags);
/* The count, or -1. */
int64_t peer_purge(struct peer *p, const char *name);
/* A durable fanout exchange, and a binding of it to a queue. */
void peer_fanout(struct peer *p, const char *exchange);
void peer_bind(struct peer *p, const char *exchange, const char *queue);
/* The same for any durable exchange, and with the queue's name as routing key. */
void peer_exchange(struct peer *p, const char *exchange, const char *type, const char *arguments);
void peer_bind_name(struct peer *p, const char *exchange, const char *queue);
/* flags: p persistent, m mandatory. */
int peer_publish(struct peer *p, int ch, const char *exchange, const char *key, const char *body,
                 const char *flags);
/* To a queue, on channel 1: each character of bodies is a message. */
void peer_send(struct peer *p, const char *queue, const char *bodies, const char *flags);
/* flags: n no-ack, x exclusive. */
int peer_consume(struct peer *p, int ch, const char *queue, const char *tag, const char *flags,
                 int64_t priority);
void peer_cancel(struct peer *p, int ch, const char *tag);
int peer_get(struct peer *p, int ch, const char *queue, bool no_ack);
void peer_qos(struct peer *p, int ch, uint32_t prefetch, bool global);
int peer_settle(struct peer *p, int ch, uint64_t tag, bool multiple, enum lev_settle how);
int peer_ack(struct peer *p, int ch, uint64_t tag);
int peer_requeue(struct peer *p, int ch, uint64_t tag);
void peer_recover(struct peer *p, int ch);
int peer_confirm_select(struct peer *p, int ch);
int peer_tx_select(struct peer *p, int ch);
int peer_commit(struct peer *p, int ch);
int peer_rollback(struct peer *p, int ch);

/* Takes what the outbox holds into events. */
void peer_drain(struct peer *p);
void peer_forget_events(struct peer *p);
/* The socket takes what a stalled peer was sent. */
void peer_unstall(struct peer *p);
/* Drains and expects exactly this, items separated by spaces, those of channel n but 1 with "n/" in
 * front: tag:1=body  delivery (! at the end: redelivered)     get:1=body,left  get-ok (also with !)
 *   empty       get-empty                                return=body      basic.return
 *   ok3 ok3+    confirm (+: multiple), no3: negative     cancel:tag       basic.cancel from the
 * server committed   commit-ok Consumers that end quietly are not shown. */
#define peer_expect(p, text) peer_expect_at(p, text, __FILE__, __LINE__)
void peer_expect_at(struct peer *p, const char *text, const char *file, int line);

#endif
