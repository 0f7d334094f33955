/* The session layer without sockets: input comes in exactly the pieces that the test gives, each of
 * which ends where unreadable memory begins; output is kept. One loop, one thread, the test's;
 * users are in a meta.db in memory, and so is the vhost's store. */
#ifndef LEV_TESTS_SESSION_WIRE_H
#define LEV_TESTS_SESSION_WIRE_H

#include "amqp/method.h"
#include "amqp/props.h"
#include "base/buf.h"
#include "unit/auth/fake_meta.h"

struct lev_auth;
struct lev_channel;

struct wire_bed {
    struct lev_meta meta;
    struct lev_auth *auth;
    struct lev_usage *usage;
    struct lev_store *store;
    struct lev_vhost *vhost;
    struct lev_session_layer *layer;
};

/* A broker whose user guest may do everything. max_message_size: 0 for the usual one. */
void wire_start(struct wire_bed *b, uint64_t max_message_size);
void wire_stop(struct wire_bed *b);
/* What guest may write to is another pattern from now on. */
void wire_permit_writing(struct wire_bed *b, const char *pattern);
/* And the topics of an exchange that guest may write. */
void wire_permit_topics(struct wire_bed *b, const char *exchange, const char *pattern);

/* A connection, logged in, with channel 1 open. */
struct wire;
struct wire *wire_open(struct wire_bed *b);
void wire_close(struct wire **w);
/* The session's side of channel 1. */
const struct lev_channel *wire_channel(const struct wire *w);

/* The broker closed the connection. */
bool wire_is_closed(const struct wire *w);

/* Input, as it comes off a socket in one read. */
void wire_input(struct wire *w, struct lev_bytes octets);
/* The same in pieces of at most `piece` octets. */
void wire_input_pieces(struct wire *w, struct lev_bytes octets, size_t piece);
/* Sends a method, and expects one in answer (which is valid until more output is taken). */
const struct lev_method *wire_call(struct wire *w, uint16_t channel, const struct lev_method *m,
                                   enum lev_method_id reply);

/* All output that was not taken yet. */
struct lev_bytes wire_output(const struct wire *w);
void wire_forget(struct wire *w);
/* Takes the next method; and it must be this one. */
const struct lev_method *wire_next(struct wire *w);
const struct lev_method *wire_expect(struct wire *w, enum lev_method_id id);
/* Takes the next delivery, whose consumer, routing key and body must be these. */
void wire_expect_delivery(struct wire *w, const char *consumer, const char *key, const char *body);

/* Appends a publish as clients send it: with delivery mode (0: no properties), of one body frame.
 */
struct wire_publish {
    const char *exchange, *key, *body; /* NULL: "" */
    uint16_t channel;                  /* 0: 1 */
    uint8_t mode;
    const struct lev_props *props; /* in place of mode; NULL: none */
    bool mandatory, immediate;
};
void wire_put(struct lev_buf *out, const struct wire_publish *p);

#endif
