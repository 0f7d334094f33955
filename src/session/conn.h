/* A connection, for the session's own files: from the protocol header to the close handshake.
 *
 * Owned by its loop's thread; only `client` (and each channel's `chan`) belongs to the vhost's
 * lock. Input is parsed into commands without the lock; a run of commands is applied under it
 * (command.c); output leaves through the client's outbox and is encoded without the lock
 * (output.c).
 *
 *   HEADER -> START -> TUNE -> OPEN -> RUNNING -> CLOSING -> gone
 *      any state before RUNNING -> DROPPING (a failure that is answered by silence) -> gone
 * Only lev_conn_set_state moves it. */
#ifndef LEV_SESSION_CONN_H
#define LEV_SESSION_CONN_H

#include "amqp/method.h"
#include "amqp/props.h"
#include "broker/chan.h"
#include "broker/client.h"
#include "broker/vhost.h"
#include "session/session.h"

enum lev_conn_state {
    LEV_CONN_HEADER,   /* nothing but the 8 octets of a protocol header is expected */
    LEV_CONN_START,    /* start was sent, start-ok is expected */
    LEV_CONN_TUNE,     /* tune was sent, tune-ok is expected */
    LEV_CONN_OPEN,     /* open is expected */
    LEV_CONN_RUNNING,  /* open-ok was sent; client is in its vhost */
    LEV_CONN_CLOSING,  /* close or close-ok was sent; input is ignored but for close and close-ok */
    LEV_CONN_DROPPING, /* input is ignored until the deadline, then the transport is closed */
    LEV_CONN_GONE,     /* the transport is closing */
    LEV_CONN_STATES
};

struct lev_session_loop;
struct lev_publish_extra;
struct lev_repeat;

/* A content being put together: what a publish has brought so far. */
struct lev_assembly {
    bool active; /* a publish was seen; header or body is expected */
    bool has_header;
    bool mandatory, immediate;
    bool names_owned;
    struct lev_bytes exchange, key;  /* views into the input, or into names */
    struct lev_bytes names;          /* owned copy of both, when the header is in a later read */
    struct lev_publish_extra *extra; /* owned */
    uint64_t body_size, got;
    struct lev_msg
        *msg; /* owned; NULL while there is no header, or the body is too large to keep */
};

/* A channel, the session's side. */
struct lev_channel {
    struct lev_chan chan; /* the broker's side */
    struct lev_conn *conn;
    uint16_t number;
    bool closing; /* channel.close was sent: only close and close-ok count */
    struct lev_assembly as;
    struct lev_bytes last_queue;    /* owned: last declared queue */
    struct lev_bytes write_granted; /* owned: exchange of the last publish that was permitted */
    bool write_granted_set;
    bool topics_ruled; /* the user has a topic permission for that exchange */
    uint64_t granted_epoch;
    uint8_t props_memo_len; /* raw properties that were found plain last time */
    uint8_t props_memo[32];
    uint8_t memo_persistent, memo_priority;
    struct lev_repeat *repeat; /* owned; what it is likely to publish next (whole.c) */
    uint32_t misses;           /* whole publishes that were not it */
    uint32_t last_repeat;      /* lev_command.repeat of the last publish that was applied */
};

struct lev_conn {
    struct lev_client client;
    struct lev_session_loop *sl;
    struct lev_transport *transport;
    struct lev_list node; /* lev_session_loop.conns */
    enum lev_conn_state state;
    bool joined;    /* client is initialised */
    bool throttled; /* reading is paused: the store is behind */
    bool stopped;   /* parsing stopped in the middle of the input: suspended get, output too long */
    bool auth_close, cancel_notify;
    uint8_t close_answers; /* connection.close that we answered */
    bool want_write;
    bool owed;                   /* the client's outbox has something that could not be taken yet */
    bool gone;                   /* transport closed or broken: no more output */
    bool parsing;                /* inside lev_conn_input */
    struct lev_conn *dirty_next; /* on the loop's stack `dirty`; any thread, vhost's lock held */
    struct lev_list flush_node;  /* lev_session_loop.to_flush */
    uint32_t frame_max;
    uint16_t channel_max, heartbeat_s;
    struct lev_buf in;      /* input not yet parsed */
    struct lev_buf out;     /* encoded, not taken by the socket */
    size_t out_credit;      /* of client.out_bytes, what `out` stands for */
    struct lev_outbox work; /* taken from the client, being encoded */
    size_t work_next;
    size_t stream_left; /* of a body frame under way: payload and end still to come (stream.h) */
    size_t stream_size; /* of its payload */
    uint16_t stream_channel;
    size_t large_sent;             /* octets of work[work_next], which is large, already sent */
    struct lev_channel **channels; /* sorted by number */
    size_t n_channels, cap_channels;
    struct lev_channel *last_channel;
    struct lev_assembly *borrowed; /* whose names are views into the input being parsed */
    struct lev_bytes user;         /* owned */
    struct lev_user_usage *usage;  /* in which it counts; NULL: not yet, or no more */
    uint64_t deadline_ms;          /* of handshake, closing or dropping; 0: none */
    uint64_t next_beat_ms, next_check_ms;
    uint64_t bytes_in, bytes_out, beat_bytes_out, check_bytes_in;
    unsigned idle_checks;
};

/* --- connection.c --- */
void lev_conn_set_state(struct lev_conn *c, enum lev_conn_state to);
struct lev_channel *lev_conn_channel(struct lev_conn *c, uint16_t number);
/* NULL, with the limit, when the user has as many as he may. */
struct lev_channel *lev_conn_add_channel(struct lev_conn *c, uint16_t number, uint64_t *limit_r);
/* It is none of the user's connections any more, if it was one. */
void lev_conn_uncount(struct lev_conn *c);
/* Frees the channel; its chan is deinitialised. */
void lev_conn_drop_channel(struct lev_conn *c, struct lev_channel *ch);
/* Closes the transport; the connection is freed when it is gone. */
void lev_conn_hangup(struct lev_conn *c, bool abort);
/* Ignores everything for 3 s, then hangs up. */
void lev_conn_drop_later(struct lev_conn *c);
void lev_conn_log(const struct lev_conn *c, const char *event, const char *cause);

/* --- errors.c: one place turns a struct lev_error into a close --- */
/* Closing: the peer has as long as a heartbeat, at most 30 s, to end it; then it is dropped. */
void lev_conn_await_end(struct lev_conn *c);
/* With the lock held when joined. method: the offending method or LEV_M_COUNT for 0/0. */
void lev_conn_fail(struct lev_conn *c, const struct lev_error *err, enum lev_method_id method);
void lev_channel_fail(struct lev_channel *ch, const struct lev_error *err,
                      enum lev_method_id method);

/* --- handshake.c --- */
size_t lev_handshake_header(struct lev_conn *c, const uint8_t *p, size_t n);
void lev_handshake_method(struct lev_conn *c, const struct lev_frame *f);
void lev_conn_method(struct lev_conn *c, const struct lev_method *m);

/* --- input.c --- */
/* A body frame does not end as it must. */
void lev_input_bad_end(struct lev_conn *c, uint16_t channel, struct lev_bytes payload, uint8_t end);
void lev_conn_input(struct lev_conn *c, const uint8_t *data, size_t len);
/* Goes on with input that was held back. */
void lev_conn_resume(struct lev_conn *c);
void lev_assembly_reset(struct lev_assembly *as);

/* --- output.c --- */
/* Sends a method now, before the client exists, or through its outbox (lock held) after. */
void lev_conn_send(struct lev_conn *c, uint16_t channel, const struct lev_method *m);
/* Octets straight to the socket: only while not joined, or heartbeats between frames. */
void lev_conn_send_raw(struct lev_conn *c, const void *p, size_t n);
/* The peer leaves too much unread: stop reading it. */
bool lev_output_is_long(const struct lev_conn *c);
/* Encodes and writes what there is. Without the lock. */
void lev_conn_flush(struct lev_conn *c);
/* Encodes the constant beginning of a consumer's deliveries. */
void lev_output_consumer_prefix(struct lev_consumer *k);

#endif
