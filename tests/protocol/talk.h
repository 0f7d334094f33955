/* What tests of single behaviours say to a broker, a line each: declares with arguments, confirmed
 * publishes, gets that are compared; and a daemon that is stopped or killed and comes back. All on
 * channel 1; tables are text as in unit/broker/args.h ("x-max-length=I5"), NULL for none. */
#ifndef LEV_TESTS_TALK_H
#define LEV_TESTS_TALK_H

#include <check.h>

#include "amqp/table.h"
#include "proto.h"
#include "support/daemon.h"

/* --- a daemon with a past --- */
enum { TALK_ENDINGS = 2 }; /* for loop tests: how it ends is _i */
struct talk_daemon {
    struct daemon_proc *proc;
    char dir[64];
    bool kill; /* SIGKILL, not SIGTERM */
};
/* ending: 0 SIGTERM, 1 SIGKILL. */
void talk_start(struct talk_daemon *d, int ending);
/* Ends it and starts it on the same directory, with one option more (NULL: none) and its value. */
void talk_restart_with(struct talk_daemon *d, const char *option, const char *value);
void talk_restart(struct talk_daemon *d);
/* Ends it for good. */
void talk_end(struct talk_daemon *d);

/* Runs the cases; what main returns. Takes tc. */
int talk_main(const char *name, TCase *tc);

/* --- talking --- */
struct peer *talk_connect(int port); /* with channel 1 open, in confirm mode */
struct peer *talk_with(const struct talk_daemon *d);
/* The same at the beginning of a test, whose daemon is to end as a loop test says. */
struct peer *talk_begin(struct talk_daemon *d, int ending);
/* The daemon ends under the peer, and both come back. */
void talk_come_back(struct talk_daemon *d, struct peer **p);

/* Declares durable ones. */
void talk_queue(struct peer *p, const char *queue, const char *arguments);
void talk_exchange(struct peer *p, const char *exchange, const char *type, const char *arguments);
void talk_bind(struct peer *p, const char *queue, const char *exchange, const char *key);
void talk_delete_exchange(struct peer *p, const char *exchange);

/* The ready messages; and waits until they are so many. */
uint32_t talk_ready(struct peer *p, const char *queue);
void talk_wait_ready(struct peer *p, const char *queue, uint32_t n);

struct talk_msg {
    const char *exchange, *key, *body; /* NULL: "" */
    const char *headers, *expiration;  /* NULL: none */
    int priority;                      /* 0: none */
    bool transient, mandatory;
};
void talk_send(struct peer *p, const struct talk_msg *m);
/* Sends and waits for the confirm; true for basic.ack, false for basic.nack. */
bool talk_publish(struct peer *p, const struct talk_msg *m);
/* The same, to a queue, and must be confirmed. */
void talk_put(struct peer *p, const char *queue, const char *body);
/* All that was said before has been done and is durable. */
void talk_fence(struct peer *p);

struct talk_got {
    uint64_t tag;
    bool redelivered;
    char body[64];
    struct lev_props props; /* views into octets */
    uint8_t octets[2048];
};
/* basic.get; false: the queue is empty. */
bool talk_get(struct peer *p, const char *queue, struct talk_got *g);
/* Gets and acknowledges; must be this body. */
void talk_take(struct peer *p, const char *queue, const char *body);
void talk_consume(struct peer *p, const char *queue);
/* The next delivery. */
void talk_delivery(struct peer *p, struct talk_got *g);
/* Sends basic.reject. */
void talk_reject(struct peer *p, uint64_t tag, bool requeue);
/* Header key as an integer; -1: there is none. */
int64_t talk_header(const struct talk_got *g, const char *key);
/* field of the i-th entry of x-death; fails the test when it is not there. */
struct lev_value talk_death(const struct talk_got *g, size_t i, const char *field);

#endif
