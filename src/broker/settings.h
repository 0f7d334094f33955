/* What a queue's arguments and policies come to: one struct of plain values that the queue's code
 * reads. Resolved once, and again when a policy changes (rabbitmq-compat.md 3.1, 3.2, 9.4). What
 * is shared between queues is under their vhost's lock. */
#ifndef LEV_BROKER_SETTINGS_H
#define LEV_BROKER_SETTINGS_H

#include "base/list.h"
#include "broker/queue_args.h"

/* "none" of a limit or a time. */
#define LEV_UNLIMITED UINT64_MAX

enum lev_overflow { LEV_DROP_HEAD, LEV_REJECT_PUBLISH, LEV_REJECT_PUBLISH_DLX };

/* Which returned messages are held back: none; all; those of failed deliveries (rejected with
 * requeue, or lost with their channel); those that a consumer merely gave back (nacked with
 * requeue, or recovered). */
enum lev_retry_type { LEV_RETRY_DISABLED, LEV_RETRY_ALL, LEV_RETRY_FAILED, LEV_RETRY_RETURNED };

/* Which messages are duplicates: dedup.h. */
struct lev_dedup_settings {
    bool wanted;
    uint64_t size, ttl_ms;   /* 0: none */
    struct lev_bytes header; /* that has a message's id */
};

struct lev_queue_settings {
    enum lev_queue_type type;
    uint64_t message_ttl_ms;
    uint64_t expires_ms;
    uint64_t max_length, max_length_bytes;
    enum lev_overflow overflow;
    bool has_dlx, has_dlrk;       /* dead-letter exchange and routing key are set */
    struct lev_bytes dlx, dlrk;   /* owned */
    bool at_least_once;           /* dead-letter strategy */
    uint64_t delivery_limit;      /* LEV_UNLIMITED: none */
    uint64_t consumer_timeout_ms; /* LEV_UNLIMITED: the server's */
    enum lev_retry_type retry_type;
    uint64_t retry_min_ms, retry_max_ms; /* delayed retry: the first delay, and the longest */
    unsigned max_priority;               /* levels above 0; 0: not a priority queue */
    bool prioritised;
    bool single_active;
    struct lev_dedup_settings dedup; /* its header owned */
};

struct lev_policy_values; /* merged policy of a queue: policy.h */

/* Fills *out from validated arguments and a merged policy (may be NULL). Takes nothing; *out is
 * owned by the caller: lev_settings_deinit. */
void lev_settings_resolve(struct lev_bytes arguments, const struct lev_policy_values *policy,
                          struct lev_queue_settings *out);
void lev_settings_deinit(struct lev_queue_settings *s);

/* Queues with the same settings share them: nearly all queues of a vhost are alike. known is a
 * vhost's list of what is shared. Gives a reference; takes what *s owns. */
const struct lev_queue_settings *lev_settings_share(struct lev_list *known,
                                                    struct lev_queue_settings *s);
const struct lev_queue_settings *lev_settings_ref(const struct lev_queue_settings *s);
void lev_settings_unref(const struct lev_queue_settings **s);

/* What the arguments of a queue or an exchange and its policy (may be NULL) say of duplicates; the
 * header is a view into them. */
void lev_dedup_settings_resolve(struct lev_bytes arguments, const struct lev_policy_values *policy,
                                struct lev_dedup_settings *out);

#endif
