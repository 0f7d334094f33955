/* What a policy can set: one table of keys (rabbitmq-compat.md 9.4) with the check of each value,
 * the queue types that refuse the key, and how an operator policy's value meets a policy's. Pure;
 * any thread. */
#ifndef LEV_BROKER_POLICY_KEYS_H
#define LEV_BROKER_POLICY_KEYS_H

#include "base/bytes.h"
#include "broker/queue_args.h"

/* Keys with an effect are read by name: lev_policy_number(v, LEV_POLICY_EXPIRES, &n). The table in
 * policy_keys.c knows more, which RabbitMQ has and which do nothing here. */
enum lev_policy_key {
    LEV_POLICY_ALTERNATE_EXCHANGE,
    LEV_POLICY_CONSUMER_TIMEOUT,
    LEV_POLICY_DEAD_LETTER_EXCHANGE,
    LEV_POLICY_DEAD_LETTER_ROUTING_KEY,
    LEV_POLICY_DEAD_LETTER_STRATEGY,
    LEV_POLICY_DELAYED_RETRY_MAX,
    LEV_POLICY_DELAYED_RETRY_MIN,
    LEV_POLICY_DELAYED_RETRY_TYPE,
    LEV_POLICY_DELIVERY_LIMIT,
    LEV_POLICY_EXPIRES,
    LEV_POLICY_MAX_LENGTH,
    LEV_POLICY_MAX_LENGTH_BYTES,
    LEV_POLICY_MESSAGE_TTL,
    LEV_POLICY_OVERFLOW,
    LEV_POLICY_CACHE_PERSISTENCE,
    LEV_POLICY_CACHE_SIZE,
    LEV_POLICY_CACHE_TTL,
    LEV_POLICY_DEDUPLICATION,
    LEV_POLICY_DEDUPLICATION_HEADER,
    LEV_POLICY_KEYS_MAX = 48,
};

/* Values by key. Texts are views into the definitions they were read from. */
struct lev_policy_values {
    uint64_t set; /* bit of each key that has a value */
    struct lev_policy_value {
        int64_t number;        /* integers and booleans */
        struct lev_bytes text; /* strings */
    } of[LEV_POLICY_KEYS_MAX];
};

static inline bool lev_policy_has(const struct lev_policy_values *v, enum lev_policy_key key)
{
    return v && (v->set >> key & 1);
}

static inline bool lev_policy_number(const struct lev_policy_values *v, enum lev_policy_key key,
                                     int64_t *number_r)
{
    if (lev_policy_has(v, key))
        *number_r = v->of[key].number;
    return lev_policy_has(v, key);
}

static inline bool lev_policy_text(const struct lev_policy_values *v, enum lev_policy_key key,
                                   struct lev_bytes *text_r)
{
    if (lev_policy_has(v, key))
        *text_r = v->of[key].text;
    return lev_policy_has(v, key);
}

/* Checks a definition (a field table) and reads it into *out. 0, or -1 with RabbitMQ's words in
 * errbuf. Views in *out are into definition. */
int lev_policy_values_read(struct lev_bytes definition, bool of_operator,
                           struct lev_policy_values *out, char *errbuf, size_t errlen);

/* True when a queue of the type can have a policy with these values: it knows every key. */
bool lev_policy_values_suit(const struct lev_policy_values *v, enum lev_queue_type type);

/* Merges an operator policy's values into a policy's. */
void lev_policy_values_merge(struct lev_policy_values *policy,
                             const struct lev_policy_values *operator_policy);

#endif
