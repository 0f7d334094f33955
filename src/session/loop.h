/* What the session keeps per loop: its connections, those with output, a buffer to encode into, and
 * the commands of the run being parsed. Loop thread only, except `dirty` and `wake`. */
#ifndef LEV_SESSION_LOOP_H
#define LEV_SESSION_LOOP_H

#include "session/conn.h"

enum {
    LEV_INITIAL_FRAME_MAX = 8192, /* until tune-ok */
    LEV_DROP_MS = 3000,           /* how long RabbitMQ waits before it drops a failed handshake */
    LEV_RUN_COMMANDS = 1024,      /* a run is applied when it has so many commands */
    LEV_SCRATCH = 256 * 1024,     /* encoded octets handed to the socket at once, about */
};

enum lev_command_kind {
    LEV_CMD_PUBLISH,
    LEV_CMD_SETTLE, /* ack, nack, reject */
    LEV_CMD_FAIL,   /* a channel or connection error found while parsing */
};

/* What a publish needs beyond its message; only for messages that are not plain. */
struct lev_publish_extra {
    struct lev_bytes *keys; /* routing key, CC and BCC; views into the message; NULL: key alone */
    size_t n_keys;
    bool wants_reply;
    bool has_error;
    bool of_user_id; /* the error, which is the last to be looked for */
    struct lev_error error;
};

struct lev_command {
    uint8_t kind;
    uint8_t how;            /* enum lev_settle */
    uint8_t method;         /* enum lev_method_id */
    bool flag;              /* mandatory; multiple */
    uint32_t repeat;        /* not 0: publishes of the channel with the same number are alike */
    struct lev_channel *ch; /* NULL: FAIL of the connection */
    struct lev_msg *msg;    /* owned */
    union {
        struct lev_publish_extra *extra; /* owned, or NULL */
        struct lev_error *error;         /* owned */
        uint64_t tag;
    } u;
};

struct lev_session_loop {
    struct lev_session_layer *layer;
    struct lev_loop *loop;
    struct lev_list conns;
    _Atomic(struct lev_conn *) dirty; /* stack; pushed by any thread */
    struct lev_list to_flush;         /* taken off it, outbox in hand; lev_conn.flush_node */
    bool flushing;
    struct lev_command cmds[LEV_RUN_COMMANDS];
    size_t n_cmds, run_bytes;
    bool shutdown_seen;
    struct lev_buf scratch;
};

struct lev_session_layer {
    struct lev_session_config config;
    struct lev_net *net;
    struct lev_session_loop *loops;
    int n_loops;
    struct lev_buf server_properties; /* encoded once */
    _Atomic int connections;
    _Atomic bool shutdown;
    _Atomic uint32_t shutdown_ms;
};

/* --- command.c --- */
/* Applies the commands collected for c, then method m if not NULL, in one hold of the vhost's lock;
 * then flushes the connections of this loop that got output. */
void lev_run(struct lev_conn *c, struct lev_channel *ch, const struct lev_method *m);
/* A command of c, which the caller assigns at once. */
static inline struct lev_command *lev_command_add(struct lev_conn *c)
{
    struct lev_session_loop *sl = c->sl;
    if (sl->n_cmds == LEV_RUN_COMMANDS)
        lev_run(c, NULL, NULL);
    return &sl->cmds[sl->n_cmds++];
}

/* --- session.c --- */
/* Serves everything on the dirty list. */
void lev_session_loop_flush(struct lev_session_loop *sl);
/* Takes the outboxes of the dirty connections of one vhost, whose lock is held; flush them with
 * lev_session_flush after unlocking. */
void lev_session_take_dirty(struct lev_session_loop *sl, struct lev_vhost *v);
/* Flushes what was taken, and resumes those that can go on. Inside itself it does nothing: the
 * outer call gets to what was added. */
void lev_session_flush(struct lev_session_loop *sl);
extern const struct lev_sink_ops lev_session_sink;

/* --- channel methods: m_*.c. 0, or -1 with *err. Lock held. --- */
int lev_dispatch(struct lev_channel *ch, const struct lev_method *m, struct lev_error *err);
int lev_on_channel_method(struct lev_channel *ch, const struct lev_method *m,
                          struct lev_error *err);
int lev_on_exchange_method(struct lev_channel *ch, const struct lev_method *m,
                           struct lev_error *err);
int lev_on_queue_method(struct lev_channel *ch, const struct lev_method *m, struct lev_error *err);
int lev_on_basic_method(struct lev_channel *ch, const struct lev_method *m, struct lev_error *err);
int lev_on_tx_method(struct lev_channel *ch, const struct lev_method *m, struct lev_error *err);

/* --- access.c --- */
/* 403 unless the user may; name '' is the default exchange when exchange. */
int lev_permit(struct lev_channel *ch, int perm, bool exchange, struct lev_bytes name,
               struct lev_error *err);
/* What the channel's last publish was permitted still is. */
bool lev_permit_is_fresh(const struct lev_channel *ch);
/* The same for publishing, with the channel's memory of the last exchange. */
int lev_permit_publish(struct lev_channel *ch, struct lev_bytes exchange, struct lev_error *err);
/* After it, where ch->topics_ruled: 403 unless all keys are allowed as topics of the exchange. */
int lev_permit_topics(struct lev_channel *ch, struct lev_bytes exchange,
                      const struct lev_bytes *keys, size_t n_keys, struct lev_error *err);
/* What binding and unbinding ask: write at the destination, read at the source, and its topic. */
int lev_permit_binding(struct lev_channel *ch, const struct lev_binding_def *d,
                       struct lev_error *err);

#endif
