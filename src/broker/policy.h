/* The policies of one vhost: which of them governs a queue or an exchange, and what it sets there
 * (rabbitmq-compat.md 9.4).
 *
 * At most one policy and one operator policy govern an object: of those that match its name and
 * kind, the one with the highest priority (of equals, the first by name). A policy that has a key
 * which the queue's type does not know is passed over. One thread at a time: in a vhost, under its
 * lock. */
#ifndef LEV_BROKER_POLICY_H
#define LEV_BROKER_POLICY_H

#include "broker/policy_keys.h"

enum lev_policy_kind { LEV_USER_POLICY, LEV_OPERATOR_POLICY };

enum { LEV_POLICY_ERR_MAX = 512 };

struct lev_policy_def {
    struct lev_bytes name, pattern;
    struct lev_bytes apply_to;   /* "all", "queues", "classic_queues", ... */
    struct lev_bytes definition; /* a validated field table */
    int64_t priority;
};

struct lev_policy_set; /* opaque */

/* Never NULL. */
struct lev_policy_set *lev_policy_set_new(void);
/* Accepts a pointer to NULL. */
void lev_policy_set_free(struct lev_policy_set **set);

/* Adds a policy, or replaces the one of that kind and name. Copies. 0, or -1 with RabbitMQ's words
 * in errbuf and nothing changed. */
int lev_policy_set_put(struct lev_policy_set *set, enum lev_policy_kind kind,
                       const struct lev_policy_def *d, char errbuf[LEV_POLICY_ERR_MAX]);
/* False when there is none. */
bool lev_policy_set_remove(struct lev_policy_set *set, enum lev_policy_kind kind,
                           struct lev_bytes name);
size_t lev_policy_set_count(const struct lev_policy_set *set, enum lev_policy_kind kind);

/* What governs an object. Views are good until the set changes. */
struct lev_policy_effect {
    const struct lev_policy_def *policy, *operator_policy; /* NULL: none */
    struct lev_policy_values values;                       /* merged */
};

/* set may be NULL. False, and nothing set, when no policy governs it. */
bool lev_policy_of_queue(const struct lev_policy_set *set, struct lev_bytes name,
                         enum lev_queue_type type, struct lev_policy_effect *out);
bool lev_policy_of_exchange(const struct lev_policy_set *set, struct lev_bytes name,
                            struct lev_policy_effect *out);

#endif
