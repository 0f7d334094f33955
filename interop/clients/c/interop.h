/*
 * The frame of the client interop program in C: one scenario's connections and names, waits that
 * end after WAIT_S, assertions and clean-up.
 *
 * One thread. An assertion that fails does not return: it jumps back to scenario_run(), which
 * cleans up and prints "not ok". All that is taken from the library is kept by the scenario until
 * its end, so a jump loses nothing. Functions with a scenario never return an error.
 */
#ifndef INTEROP_H
#define INTEROP_H

#include <amqp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WAIT_S 20
#define SCENARIO_S 60
#define CHANNEL 1
#define NAME_SIZE 128
#define DIRECT_REPLY_TO "amq.rabbitmq.reply-to"

/* A message that came by consuming, by get, or back as a return. */
struct letter {
    struct letter *next;
    amqp_message_t message; /* owned */
    char text[NAME_SIZE];   /* the body, cut to fit */
    char exchange[NAME_SIZE];
    char key[NAME_SIZE];
    uint64_t delivery_tag;
    bool redelivered;
    unsigned reply_code; /* of a return; otherwise 0 */
};

/* One connection with channel CHANNEL open. */
struct peer {
    amqp_connection_state_t conn; /* NULL when closed */
};

struct scenario {
    const char *uri;
    const char *name;
    struct peer peers[16];
    size_t peer_count;
    char queues[8][NAME_SIZE];
    size_t queue_count;
    char exchange[NAME_SIZE]; /* "" when none was declared */
    struct letter *letters;
};

typedef void scenario_fn(struct scenario *s);

/* Runs steps as the scenario name, cleans up, prints the outcome; true if both went well. */
bool scenario_run(const char *uri, const char *name, scenario_fn *steps);

/* Fails the running scenario with a printf-formatted reason; does not return. */
_Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
void check(bool holds, const char *what);
void same_text(const char *what, const char *got, const char *want);
void same_number(const char *what, uint64_t got, uint64_t want);
/* Fails unless the last call on p was answered as it should be. */
void must(struct peer *p, const char *what);
/* Fails unless status, as the library returns it, is AMQP_STATUS_OK. */
void must_status(int status, const char *what);
/* Fails unless the last call on p made the broker close the channel with code. */
void must_close_channel(struct peer *p, unsigned code);

amqp_bytes_t bytes(const char *text);
/* Copies b to text as a string, cut to fit NAME_SIZE. */
void copy_text(char *text, amqp_bytes_t b);

/* The peers a scenario connects stay valid until its end. */
struct peer *connect_peer(struct scenario *s);
void disconnect(struct peer *p);
/* Declares "<unique prefix>.<suffix>", which must be new; the name is valid until the end. */
const char *declare_queue(struct scenario *s, struct peer *p, const char *suffix, bool durable);
/* Declares an exclusive server-named queue of p's and copies its name. */
void declare_exclusive(struct peer *p, char name[NAME_SIZE]);
const char *declare_exchange(struct scenario *s, struct peer *p, const char *type);
void bind_queue(struct peer *p, const char *queue, const char *exchange, const char *key);
void unbind_queue(struct peer *p, const char *queue, const char *exchange, const char *key);
/* Polls: RabbitMQ answers a passive declare ahead of queued publishes. */
void wait_ready(struct peer *p, const char *queue, uint32_t messages, uint32_t consumers);

void publish(struct peer *p, const char *exchange, const char *key, const char *text);
void publish_persistent(struct peer *p, const char *queue, const char *text);
void publish_with(struct peer *p, const char *exchange, const char *key, bool mandatory,
                  const amqp_basic_properties_t *properties, amqp_bytes_t body);

void prefetch(struct peer *p, uint16_t count);
/* Starts the only consumer of p. */
void consume(struct peer *p, const char *queue, bool no_ack);
/* Waits for p's next delivery. The letter belongs to s. */
const struct letter *take(struct scenario *s, struct peer *p, const char *what);
/* Takes a delivery that must have this text. */
const struct letter *expect(struct scenario *s, struct peer *p, const char *text);
/* Cancels p's consumer; fails if it had been sent more than was taken. */
void expect_no_more(struct scenario *s, struct peer *p);
/* The next message by basic.get, or NULL if the queue is empty. The letter belongs to s. */
const struct letter *get(struct scenario *s, struct peer *p, const char *queue, bool no_ack);
/* Gets, without acknowledgement, a message that must have this text. */
void expect_get(struct scenario *s, struct peer *p, const char *queue, const char *text);
void expect_empty(struct scenario *s, struct peer *p, const char *queue);
void ack(struct peer *p, uint64_t delivery_tag, bool multiple);

/* Waits for the next frame on p, which must be the method id; gives its fields. */
void *await_method(struct peer *p, amqp_method_number_t id, const char *what);
/* Waits for a basic.return and its message. The letter belongs to s. */
const struct letter *await_return(struct scenario *s, struct peer *p);

/*
 * Lets a process of its own take count messages from queue, acknowledge none of them, and die by
 * SIGKILL.
 */
void kill_worker_holding(struct scenario *s, const char *queue, int count);

#endif
