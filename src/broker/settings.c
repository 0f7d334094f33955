/* What a queue's arguments and policies come to. See settings.h. */
#include "broker/settings.h"

#include "amqp/table.h"
#include "base/mem.h"

enum { QUORUM_DELIVERY_LIMIT = 20 };

static uint64_t number(struct lev_bytes arguments, const char *key)
{
    struct lev_value v;
    return lev_table_get(arguments, key, &v) && lev_value_is_int(&v) && v.i >= 0 ? (uint64_t)v.i
                                                                                 : LEV_UNLIMITED;
}

static bool text(struct lev_bytes arguments, const char *key, struct lev_bytes *out)
{
    struct lev_value v;
    bool found = lev_table_get(arguments, key, &v) && v.type == 'S';
    *out = lev_bytes_dup(found ? v.b : LEV_EMPTY);
    return found;
}

static enum lev_overflow overflow_of(struct lev_bytes arguments)
{
    struct lev_value v;
    if (!lev_table_get(arguments, "x-overflow", &v))
        return LEV_DROP_HEAD;
    if (lev_bytes_eq(v.b, LEV_LIT("reject-publish")))
        return LEV_REJECT_PUBLISH;
    return lev_bytes_eq(v.b, LEV_LIT("reject-publish-dlx")) ? LEV_REJECT_PUBLISH_DLX
                                                            : LEV_DROP_HEAD;
}

/* Negative means unlimited; without the argument a quorum queue has 20. */
static uint64_t delivery_limit_of(struct lev_bytes arguments, enum lev_queue_type type)
{
    struct lev_value v;
    if (type != LEV_QUEUE_QUORUM)
        return LEV_UNLIMITED;
    if (!lev_table_get(arguments, "x-delivery-limit", &v) || !lev_value_is_int(&v))
        return QUORUM_DELIVERY_LIMIT;
    return v.i < 0 ? LEV_UNLIMITED : (uint64_t)v.i;
}

void lev_settings_resolve(struct lev_bytes arguments, const struct lev_policy_values *policy,
                          struct lev_queue_settings *out)
{
    struct lev_value v;
    (void)policy;
    *out = (struct lev_queue_settings){.type = lev_queue_type_of(arguments)};
    out->message_ttl_ms = number(arguments, "x-message-ttl");
    out->expires_ms = number(arguments, "x-expires");
    out->max_length = number(arguments, "x-max-length");
    out->max_length_bytes = number(arguments, "x-max-length-bytes");
    out->overflow = overflow_of(arguments);
    if (out->type == LEV_QUEUE_QUORUM && out->overflow == LEV_REJECT_PUBLISH_DLX)
        out->overflow = LEV_DROP_HEAD;
    out->has_dlx = text(arguments, "x-dead-letter-exchange", &out->dlx);
    out->has_dlrk = text(arguments, "x-dead-letter-routing-key", &out->dlrk);
    out->at_least_once = lev_table_get(arguments, "x-dead-letter-strategy", &v) &&
                         lev_bytes_eq(v.b, LEV_LIT("at-least-once"));
    out->delivery_limit = delivery_limit_of(arguments, out->type);
    out->consumer_timeout_ms = number(arguments, "x-consumer-timeout");
    uint64_t priority = number(arguments, "x-max-priority");
    out->prioritised = priority != LEV_UNLIMITED;
    out->max_priority = out->prioritised ? (unsigned)priority : 0;
    out->single_active =
        lev_table_get(arguments, "x-single-active-consumer", &v) && v.type == 't' && v.i;
}

void lev_settings_deinit(struct lev_queue_settings *s)
{
    lev_bytes_free(&s->dlx);
    lev_bytes_free(&s->dlrk);
}
