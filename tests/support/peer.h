/* A fake AMQP peer: a blocking socket that sends what it is told, right or wrong, and takes apart
 * what comes back. Frames are collected in `out` and sent by peer_flush. Every wait is bounded by
 * PEER_WAIT_MS; what should not happen fails the running Check test, so only the test's own thread
 * may use these functions. */
#ifndef LEV_TESTS_PEER_H
#define LEV_TESTS_PEER_H

#include "amqp/method.h"
#include "amqp/props.h"

enum { PEER_WAIT_MS = 60000 };

struct peer {
    int fd;
    struct lev_buf in, out;
    size_t given;   /* octets at the start of `in` that the last frame took */
    bool deaf;      /* does not read while it sends */
    unsigned piece; /* sends pieces of 1 to so many octets; 0: all at once */
    unsigned seed;  /* of the pieces */
    uint32_t frame_max;
    struct lev_method m; /* the last method that came; views are valid until the next read */
};

/* What tune-ok says; and whether the peer takes basic.cancel from the server. */
struct peer_terms {
    uint16_t channel_max, heartbeat;
    uint32_t frame_max;
    bool cancel_notify;
};

extern const struct peer_terms peer_usual; /* 2047, 0, 131072, true */

/* --- life --- */
/* Connects to 127.0.0.1. Never NULL. */
struct peer *peer_open(int port);
/* Protocol header to connection.open-ok, as guest on "/". */
void peer_login(struct peer *p, const struct peer_terms *terms);
struct peer *peer_connect(int port); /* both, on the usual terms, with channel 1 open */
/* connection.close, close-ok, then frees. Frames still on their way are skipped. */
void peer_goodbye(struct peer **p);
void peer_drop(struct peer **p);  /* closes the socket without a word and frees */
void peer_reset(struct peer **p); /* the same, with a RST */

/* --- sending --- */
void peer_raw(struct peer *p, const void *data, size_t n);
void peer_method(struct peer *p, uint16_t ch, const struct lev_method *m);
void peer_frame(struct peer *p, uint8_t type, uint16_t ch, const void *payload, size_t n);
/* Content header and body frames. mode: 0 for none, or the delivery mode. */
void peer_content(struct peer *p, uint16_t ch, int mode, const void *body, size_t n);
void peer_publish(struct peer *p, uint16_t ch, const char *key, int mode, const void *body,
                  size_t n);
void peer_ack(struct peer *p, uint16_t ch, uint64_t tag, bool multiple);
/* Sends it all. */
void peer_flush(struct peer *p);
/* Sends until the other side has taken nothing for ms; true when all is sent, false when it stopped
 * taking (the rest stays in `out`) or closed. */
bool peer_push(struct peer *p, int ms);

/* --- receiving --- */
/* The next frame; views are valid until the next read. False when the stream has ended. */
bool peer_read(struct peer *p, struct lev_frame *f_r);
/* The same, but false also when nothing came in ms; *ended_r tells which. */
bool peer_poll(struct peer *p, int ms, struct lev_frame *f_r, bool *ended_r);
/* The next frame but heartbeats must be this method; returns it decoded. */
const struct lev_method *peer_expect(struct peer *p, uint16_t ch, enum lev_method_id id);
/* A content's header and body; appends the body. Returns the octets of the body. */
size_t peer_take_content(struct peer *p, uint16_t ch, struct lev_buf *body);
/* Skips frames until the stream ends; false when that takes longer than ms. */
bool peer_sees_end(struct peer *p, int ms);

/* --- talking --- */
const struct lev_method *peer_call(struct peer *p, uint16_t ch, const struct lev_method *m,
                                   enum lev_method_id reply);
void peer_channel(struct peer *p, uint16_t ch);
/* Returns the ready messages it has. */
uint32_t peer_declare(struct peer *p, uint16_t ch, const char *queue, bool durable);
uint32_t peer_delete(struct peer *p, uint16_t ch, const char *queue);
void peer_consume(struct peer *p, uint16_t ch, const char *queue, bool no_ack);
void peer_qos(struct peer *p, uint16_t ch, uint16_t count);
void peer_confirm(struct peer *p, uint16_t ch);
/* Expects connection.close (channel 0) or channel.close with this code and text, and answers it. */
void peer_expect_close(struct peer *p, uint16_t ch, uint16_t code, const char *text);
/* Reads basic.ack (multiple or not) until sequence number upto is confirmed. */
void peer_wait_confirms(struct peer *p, uint16_t ch, uint64_t upto);

#endif
