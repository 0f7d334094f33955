/* A dead message's new face: x-death and the headers around it, in RabbitMQ's order and types
 * (rabbitmq-compat.md 3.3). Pure; any thread. */
#ifndef LEV_BROKER_DEATH_H
#define LEV_BROKER_DEATH_H

#include "base/buf.h"
#include "broker/dead_letter.h"

struct lev_death_info {
    struct lev_bytes queue; /* that gave it up */
    const char *reason;     /* "expired" */
    uint64_t time_s;
    struct lev_bytes exchange; /* dead-letter exchange */
    struct lev_bytes key;      /* new routing key */
    bool new_key;              /* the queue's own: the others are forgotten */
};

/* RabbitMQ's word for a reason. */
const char *lev_death_word(enum lev_death reason);

/* The message as it is published to the dead-letter exchange: headers updated, expiration removed.
 * Returns owned, or NULL when memory is out. */
struct lev_msg *lev_death_message(const struct lev_msg *m, const struct lev_death_info *info);

/* The message as a quorum queue hands it out again: with header x-delivery-count. Returns owned;
 * without the header when memory is out. */
struct lev_msg *lev_counted_message(const struct lev_entry *e);

/* True when publishing to queue again would close a cycle that no consumer's rejection is part of.
 */
bool lev_death_cycle(const struct lev_msg *dead, struct lev_bytes queue);

/* How many keys m was published with: its routing key, CC and BCC. Fills keys, unless it is NULL,
 * with views of them. */
size_t lev_death_keys(const struct lev_msg *m, struct lev_bytes *keys);

#endif
