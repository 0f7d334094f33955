/* A broker for the load generator's tests: one queue, one virtual host, and faults on demand. It
 * listens on a loopback port of its own and has a thread for each connection. Test thread, except
 * for the knobs' readers. */
#ifndef TESTS_UNIT_PERF_FAKE_BROKER_H
#define TESTS_UNIT_PERF_FAKE_BROKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How it behaves; all zero is well. Constant once started. */
struct fake_knobs {
    size_t piece;           /* > 0: everything is sent in pieces of so many bytes */
    bool confirm_backwards; /* confirms a block's messages one by one, the last first */
    unsigned nack_every;    /* > 0: refuses every such message of a connection */
    unsigned return_every;  /* > 0: returns every such message of a connection as unroutable */
    unsigned close_after;   /* > 0: closes the channel upon that message of a connection */
    unsigned hang_up_after; /* > 0: closes the socket upon that message of a connection */
    unsigned confirm_twice; /* > 0: confirms that message of a connection again */
    uint32_t frame_max;     /* 0: 131072 */
};

/* What it has seen. */
struct fake_counts {
    uint64_t published;
    uint64_t delivered;
    uint64_t acked;
    uint64_t depth; /* messages in the queue */
    uint64_t connections;
    uint64_t goodbyes; /* connections that ended with connection.close */
    uint64_t heartbeats;
    bool declared; /* the queue exists */
};

struct fake_broker;

struct fake_broker *fake_broker_start(struct fake_knobs knobs);
/* The URI to reach it; owned by the broker. */
const char *fake_broker_uri(const struct fake_broker *fake);
/* Messages that have come in so far. */
uint64_t fake_broker_published(struct fake_broker *fake);
/* Ends all its threads and frees it; returns what it has seen. */
struct fake_counts fake_broker_stop(struct fake_broker **fake);

#endif
