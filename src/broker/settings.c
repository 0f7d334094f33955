/* What a queue's arguments and policies come to. See settings.h.
 *
 * Where both have a value: times and lengths, the smaller; dead-lettering and delayed retry, the
 * argument; overflow, the argument, but for a quorum queue the policy; the delivery limit, the
 * smaller that is one; deduplication, the policy (as the plugin has it). */
#include "broker/settings.h"

#include "amqp/table.h"
#include "base/mem.h"
#include "broker/dedup.h"
#include "broker/policy_keys.h"

enum {
    QUORUM_DELIVERY_LIMIT = 20,
    LOOK_BACK = 8, /* settings shared last that new ones are compared with */
};

struct sources {
    struct lev_bytes arguments;
    const struct lev_policy_values *policy; /* NULL: none */
};

static bool argument_number(const struct sources *s, const char *key, int64_t *number_r)
{
    struct lev_value v;
    bool found = lev_table_get(s->arguments, key, &v) && lev_value_is_int(&v);
    if (found)
        *number_r = v.i;
    return found;
}

static bool argument_text(const struct sources *s, const char *key, struct lev_bytes *text_r)
{
    struct lev_value v;
    bool found = lev_table_get(s->arguments, key, &v) && v.type == 'S';
    if (found)
        *text_r = v.b;
    return found;
}

static uint64_t smaller(const struct sources *s, const char *argument, enum lev_policy_key key)
{
    int64_t a, p;
    uint64_t from_argument = LEV_UNLIMITED, from_policy = LEV_UNLIMITED;
    if (argument_number(s, argument, &a) && a >= 0)
        from_argument = (uint64_t)a;
    if (lev_policy_number(s->policy, key, &p) && p >= 0)
        from_policy = (uint64_t)p;
    return from_argument < from_policy ? from_argument : from_policy;
}

/* Gives *text_r; the argument's before the policy's. */
static bool text(const struct sources *s, const char *argument, enum lev_policy_key key,
                 struct lev_bytes *text_r)
{
    *text_r = LEV_EMPTY;
    return argument_text(s, argument, text_r) || lev_policy_text(s->policy, key, text_r);
}

static bool owned_text(const struct sources *s, const char *argument, enum lev_policy_key key,
                       struct lev_bytes *text_r)
{
    bool found = text(s, argument, key, text_r);
    *text_r = lev_bytes_dup(*text_r);
    return found;
}

/* A quorum queue takes reject-publish-dlx and behaves as if it were drop-head. */
static enum lev_overflow overflow_of(const struct sources *s, enum lev_queue_type type)
{
    struct lev_bytes word;
    if (type != LEV_QUEUE_QUORUM || !lev_policy_text(s->policy, LEV_POLICY_OVERFLOW, &word))
        text(s, "x-overflow", LEV_POLICY_OVERFLOW, &word);
    if (lev_bytes_eq(word, LEV_LIT("reject-publish")))
        return LEV_REJECT_PUBLISH;
    return lev_bytes_eq(word, LEV_LIT("reject-publish-dlx")) && type != LEV_QUEUE_QUORUM
               ? LEV_REJECT_PUBLISH_DLX
               : LEV_DROP_HEAD;
}

/* Negative means unlimited; when nobody says, a quorum queue has 20. */
static uint64_t delivery_limit_of(const struct sources *s, enum lev_queue_type type)
{
    int64_t a = 0, p = 0;
    if (type != LEV_QUEUE_QUORUM)
        return LEV_UNLIMITED;
    bool by_argument = argument_number(s, "x-delivery-limit", &a);
    bool by_policy = lev_policy_number(s->policy, LEV_POLICY_DELIVERY_LIMIT, &p);
    if (!by_argument && !by_policy)
        return QUORUM_DELIVERY_LIMIT;
    int64_t limit = by_argument ? a : p;
    if (by_argument && by_policy && (limit < 0 || (p >= 0 && p < limit)))
        limit = p;
    return limit < 0 ? LEV_UNLIMITED : (uint64_t)limit;
}

static enum lev_retry_type retry_type_of(const struct sources *s)
{
    struct lev_bytes word;
    text(s, "x-delayed-retry-type", LEV_POLICY_DELAYED_RETRY_TYPE, &word);
    if (lev_bytes_eq(word, LEV_LIT("all")))
        return LEV_RETRY_ALL;
    if (lev_bytes_eq(word, LEV_LIT("failed")))
        return LEV_RETRY_FAILED;
    return lev_bytes_eq(word, LEV_LIT("returned")) ? LEV_RETRY_RETURNED : LEV_RETRY_DISABLED;
}

/* The argument before the policy. */
static uint64_t number(const struct sources *s, const char *argument, enum lev_policy_key key,
                       uint64_t otherwise)
{
    int64_t n;
    bool found = argument_number(s, argument, &n) || lev_policy_number(s->policy, key, &n);
    return found && n >= 0 ? (uint64_t)n : otherwise;
}

/* Without a minimum there is no delay; without a maximum it grows with every return. */
static void resolve_retry(const struct sources *s, struct lev_queue_settings *out)
{
    out->retry_type = retry_type_of(s);
    out->retry_min_ms = number(s, "x-delayed-retry-min", LEV_POLICY_DELAYED_RETRY_MIN, 0);
    out->retry_max_ms =
        number(s, "x-delayed-retry-max", LEV_POLICY_DELAYED_RETRY_MAX, LEV_UNLIMITED);
}

/* The arguments that no policy key answers to. */
static void resolve_fixed(const struct sources *s, struct lev_queue_settings *out)
{
    struct lev_value v;
    int64_t priority = 0;
    out->prioritised = argument_number(s, "x-max-priority", &priority) && priority >= 0;
    out->max_priority = out->prioritised ? (unsigned)priority : 0;
    out->single_active =
        lev_table_get(s->arguments, "x-single-active-consumer", &v) && v.type == 't' && v.i;
}

static bool asks_for_dedup(const struct sources *s)
{
    struct lev_value v;
    int64_t wanted;
    if (lev_policy_number(s->policy, LEV_POLICY_DEDUPLICATION, &wanted))
        return wanted;
    if (!lev_table_get(s->arguments, "x-message-deduplication", &v))
        return false;
    return v.type == 't' ? v.i != 0 : v.type == 'S' && lev_bytes_eq(v.b, LEV_LIT("true"));
}

static uint64_t dedup_number(const struct sources *s, const char *argument, enum lev_policy_key key)
{
    int64_t n;
    if (lev_policy_number(s->policy, key, &n))
        return (uint64_t)n;
    return lev_dedup_number(s->arguments, argument);
}

void lev_dedup_settings_resolve(struct lev_bytes arguments, const struct lev_policy_values *policy,
                                struct lev_dedup_settings *out)
{
    const struct sources s = {arguments, policy};
    *out = (struct lev_dedup_settings){
        .wanted = asks_for_dedup(&s),
        .size = dedup_number(&s, "x-cache-size", LEV_POLICY_CACHE_SIZE),
        .ttl_ms = dedup_number(&s, "x-cache-ttl", LEV_POLICY_CACHE_TTL)};
    if (!lev_policy_text(policy, LEV_POLICY_DEDUPLICATION_HEADER, &out->header))
        argument_text(&s, "x-deduplication-header", &out->header);
    if (!out->header.len)
        out->header = LEV_LIT("x-deduplication-header");
}

void lev_settings_resolve(struct lev_bytes arguments, const struct lev_policy_values *policy,
                          struct lev_queue_settings *out)
{
    const struct sources s = {arguments, policy};
    struct lev_bytes strategy;
    *out = (struct lev_queue_settings){.type = lev_queue_type_of(arguments)};
    out->message_ttl_ms = smaller(&s, "x-message-ttl", LEV_POLICY_MESSAGE_TTL);
    out->expires_ms = smaller(&s, "x-expires", LEV_POLICY_EXPIRES);
    out->max_length = smaller(&s, "x-max-length", LEV_POLICY_MAX_LENGTH);
    out->max_length_bytes = smaller(&s, "x-max-length-bytes", LEV_POLICY_MAX_LENGTH_BYTES);
    out->consumer_timeout_ms = smaller(&s, "x-consumer-timeout", LEV_POLICY_CONSUMER_TIMEOUT);
    out->overflow = overflow_of(&s, out->type);
    out->has_dlx =
        owned_text(&s, "x-dead-letter-exchange", LEV_POLICY_DEAD_LETTER_EXCHANGE, &out->dlx);
    out->has_dlrk =
        owned_text(&s, "x-dead-letter-routing-key", LEV_POLICY_DEAD_LETTER_ROUTING_KEY, &out->dlrk);
    out->at_least_once =
        text(&s, "x-dead-letter-strategy", LEV_POLICY_DEAD_LETTER_STRATEGY, &strategy) &&
        lev_bytes_eq(strategy, LEV_LIT("at-least-once"));
    out->delivery_limit = delivery_limit_of(&s, out->type);
    resolve_retry(&s, out);
    resolve_fixed(&s, out);
    lev_dedup_settings_resolve(arguments, policy, &out->dedup);
    out->dedup.header = lev_bytes_dup(out->dedup.header);
}

void lev_settings_deinit(struct lev_queue_settings *s)
{
    lev_bytes_free(&s->dlx);
    lev_bytes_free(&s->dlrk);
    lev_bytes_free(&s->dedup.header);
}

/* ---- Sharing ---- */

struct shared {
    struct lev_list node; /* the list known, used last first */
    size_t refs;
    struct lev_queue_settings settings;
};

static struct shared *shared_of(const struct lev_queue_settings *s)
{
    return LEV_CONTAINER((struct lev_queue_settings *)(uintptr_t)s, struct shared, settings);
}

static bool same_dedup(const struct lev_dedup_settings *a, const struct lev_dedup_settings *b)
{
    return a->wanted == b->wanted && a->size == b->size && a->ttl_ms == b->ttl_ms &&
           lev_bytes_eq(a->header, b->header);
}

static bool same_limits(const struct lev_queue_settings *a, const struct lev_queue_settings *b)
{
    return a->message_ttl_ms == b->message_ttl_ms && a->expires_ms == b->expires_ms &&
           a->max_length == b->max_length && a->max_length_bytes == b->max_length_bytes &&
           a->overflow == b->overflow && a->delivery_limit == b->delivery_limit &&
           a->consumer_timeout_ms == b->consumer_timeout_ms;
}

static bool same_dead_letters(const struct lev_queue_settings *a,
                              const struct lev_queue_settings *b)
{
    return a->has_dlx == b->has_dlx && a->has_dlrk == b->has_dlrk && lev_bytes_eq(a->dlx, b->dlx) &&
           lev_bytes_eq(a->dlrk, b->dlrk) && a->at_least_once == b->at_least_once &&
           a->retry_type == b->retry_type && a->retry_min_ms == b->retry_min_ms &&
           a->retry_max_ms == b->retry_max_ms;
}

/* In every field. */
static bool same(const struct lev_queue_settings *a, const struct lev_queue_settings *b)
{
    return a->type == b->type && a->max_priority == b->max_priority &&
           a->prioritised == b->prioritised && a->single_active == b->single_active &&
           same_limits(a, b) && same_dead_letters(a, b) && same_dedup(&a->dedup, &b->dedup);
}

static struct shared *look_back(const struct lev_list *known, const struct lev_queue_settings *s)
{
    const struct lev_list *at = known->next;
    for (int i = 0; i < LOOK_BACK && at != known; i++, at = at->next) {
        struct shared *h = LEV_LIST_ENTRY((struct lev_list *)(uintptr_t)at, struct shared, node);
        if (same(&h->settings, s))
            return h;
    }
    return NULL;
}

const struct lev_queue_settings *lev_settings_share(struct lev_list *known,
                                                    struct lev_queue_settings *s)
{
    struct shared *h = look_back(known, s);
    if (h) {
        lev_settings_deinit(s);
        lev_list_remove(&h->node);
    } else {
        h = lev_xmalloc(sizeof(*h));
        *h = (struct shared){.settings = *s};
    }
    h->refs++;
    lev_list_push_front(known, &h->node);
    return &h->settings;
}

const struct lev_queue_settings *lev_settings_ref(const struct lev_queue_settings *s)
{
    shared_of(s)->refs++;
    return s;
}

void lev_settings_unref(const struct lev_queue_settings **s)
{
    struct shared *h = shared_of(*s);
    *s = NULL;
    if (--h->refs)
        return;
    lev_list_remove(&h->node);
    lev_settings_deinit(&h->settings);
    free(h);
}
