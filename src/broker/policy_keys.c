/* The keys of policy definitions. See policy_keys.h. */
#include "broker/policy_keys.h"

#include <stdarg.h>
#include <stdio.h>

#include "amqp/table.h"

enum { CQ = LEV_QUEUE_CLASSIC, QQ = LEV_QUEUE_QUORUM, SQ = LEV_QUEUE_STREAM };

/* ---- The table ---- */

typedef bool check_fn(const struct lev_value *v);
/* How two values become one: the operator's decides, or the smaller, or the one that delivery-limit
 * has for a rule. */
enum merge { NO_OPERATOR, OPERATORS, SMALLER, LIMIT };

static bool one_of(const struct lev_value *v, const char *const *words)
{
    if (v->type != 'S')
        return false;
    for (; *words; words++)
        if (lev_bytes_eq(v->b, lev_bytes_str(*words)))
            return true;
    return false;
}

static bool string(const struct lev_value *v)
{
    return v->type == 'S';
}

static bool integer(const struct lev_value *v)
{
    return lev_value_is_int(v);
}

static bool not_negative(const struct lev_value *v)
{
    return lev_value_is_int(v) && v->i >= 0;
}

static bool positive(const struct lev_value *v)
{
    return lev_value_is_int(v) && v->i > 0;
}

static bool strategy(const struct lev_value *v)
{
    static const char *const words[] = {"at-most-once", "at-least-once", NULL};
    return one_of(v, words);
}

static bool overflow(const struct lev_value *v)
{
    static const char *const words[] = {"drop-head", "reject-publish", "reject-publish-dlx", NULL};
    return one_of(v, words);
}

static bool mode(const struct lev_value *v)
{
    static const char *const words[] = {"default", "lazy", NULL};
    return one_of(v, words);
}

static bool version(const struct lev_value *v)
{
    return lev_value_is_int(v) && (v->i == 1 || v->i == 2);
}

static bool leader_locator(const struct lev_value *v)
{
    static const char *const words[] = {"client-local", "balanced", "random", "least-leaders",
                                        NULL};
    return one_of(v, words);
}

static bool master_locator(const struct lev_value *v)
{
    static const char *const words[] = {"client-local", "min-masters", "random", NULL};
    return one_of(v, words);
}

static bool filter_size(const struct lev_value *v)
{
    return lev_value_is_int(v) && v->i >= 16 && v->i <= 255;
}

static bool retry_type(const struct lev_value *v)
{
    static const char *const words[] = {"disabled", "all", "failed", "returned", NULL};
    return one_of(v, words);
}

static bool boolean(const struct lev_value *v)
{
    return v->type == 't';
}

static bool persistence(const struct lev_value *v)
{
    static const char *const words[] = {"disk", "memory", NULL};
    return one_of(v, words);
}

/* A number and a unit: 7D. */
static bool age(const struct lev_value *v)
{
    size_t n = v->type == 'S' ? v->b.len : 0;
    bool more_than_zero = false;
    if (n < 2 || !strchr("YMDhms", v->b.ptr[n - 1]) || v->b.ptr[n - 1] == 0)
        return false;
    for (size_t i = 0; i < n - 1; i++) {
        if (v->b.ptr[i] < '0' || v->b.ptr[i] > '9')
            return false;
        more_than_zero |= v->b.ptr[i] != '0';
    }
    return more_than_zero;
}

static bool any(const struct lev_value *v)
{
    (void)v;
    return true;
}

/* Rows of keys with an effect stand at their enum; the rest follows in any order. */
// clang-format off
static const struct key {
    const char *name;
    check_fn *check;
    const char *noun;    /* a wrong value "is not a valid ..." */
    unsigned unknown_to; /* queue types */
    enum merge merge;
} keys[] = {
    [LEV_POLICY_ALTERNATE_EXCHANGE] =
        {"alternate-exchange", string, "alternate exchange name", 0, NO_OPERATOR},
    [LEV_POLICY_CONSUMER_TIMEOUT] =
        {"consumer-timeout", not_negative, "consumer timeout", 0, NO_OPERATOR},
    [LEV_POLICY_DEAD_LETTER_EXCHANGE] =
        {"dead-letter-exchange", string, "dead letter exchange name", SQ, NO_OPERATOR},
    [LEV_POLICY_DEAD_LETTER_ROUTING_KEY] =
        {"dead-letter-routing-key", string, "dead letter routing key", SQ, NO_OPERATOR},
    [LEV_POLICY_DEAD_LETTER_STRATEGY] =
        {"dead-letter-strategy", strategy, "dead letter strategy", CQ | SQ, NO_OPERATOR},
    [LEV_POLICY_DELAYED_RETRY_MAX] =
        {"delayed-retry-max", not_negative, "delayed retry maximum", SQ, NO_OPERATOR},
    [LEV_POLICY_DELAYED_RETRY_MIN] =
        {"delayed-retry-min", not_negative, "delayed retry minimum", SQ, NO_OPERATOR},
    [LEV_POLICY_DELAYED_RETRY_TYPE] =
        {"delayed-retry-type", retry_type, "delayed retry type", SQ, NO_OPERATOR},
    [LEV_POLICY_DELIVERY_LIMIT] =
        {"delivery-limit", integer, "delivery limit", CQ | SQ, LIMIT},
    [LEV_POLICY_EXPIRES] =
        {"expires", positive, "queue expiry", SQ, SMALLER},
    [LEV_POLICY_MAX_LENGTH] =
        {"max-length", not_negative, "maximum length", SQ, SMALLER},
    [LEV_POLICY_MAX_LENGTH_BYTES] =
        {"max-length-bytes", not_negative, "maximum length in bytes", 0, SMALLER},
    [LEV_POLICY_MESSAGE_TTL] =
        {"message-ttl", not_negative, "message TTL", SQ, SMALLER},
    [LEV_POLICY_OVERFLOW] =
        {"overflow", overflow, "overflow value", SQ, OPERATORS},
    [LEV_POLICY_CACHE_PERSISTENCE] =
        {"x-cache-persistence", persistence, "cache persistence", 0, NO_OPERATOR},
    [LEV_POLICY_CACHE_SIZE] =
        {"x-cache-size", positive, "cache size", 0, NO_OPERATOR},
    [LEV_POLICY_CACHE_TTL] =
        {"x-cache-ttl", positive, "cache TTL", 0, NO_OPERATOR},
    [LEV_POLICY_DEDUPLICATION] =
        {"x-message-deduplication", boolean, "message deduplication value", 0, NO_OPERATOR},
    [LEV_POLICY_DEDUPLICATION_HEADER] =
        {"x-deduplication-header", string, "deduplication header name", 0, NO_OPERATOR},

    {"consumer-disconnected-timeout", not_negative, "consumer timeout", 0, NO_OPERATOR},
    {"federation-upstream", any, NULL, 0, NO_OPERATOR},
    {"federation-upstream-pattern", any, NULL, 0, NO_OPERATOR},
    {"federation-upstream-set", any, NULL, 0, NO_OPERATOR},
    {"ha-mode", any, NULL, QQ | SQ, NO_OPERATOR},
    {"ha-params", any, NULL, QQ | SQ, NO_OPERATOR},
    {"ha-promote-on-failure", any, NULL, QQ | SQ, NO_OPERATOR},
    {"ha-promote-on-shutdown", any, NULL, QQ | SQ, NO_OPERATOR},
    {"ha-sync-batch-size", any, NULL, QQ | SQ, NO_OPERATOR},
    {"ha-sync-mode", any, NULL, QQ | SQ, NO_OPERATOR},
    {"initial-cluster-size", not_negative, "cluster size", CQ | QQ, NO_OPERATOR},
    {"max-age", age, "max age", CQ | QQ, NO_OPERATOR},
    {"max-in-memory-bytes", not_negative, "maximum memory in bytes", CQ | SQ, SMALLER},
    {"max-in-memory-length", not_negative, "maximum memory in bytes", CQ | SQ, SMALLER},
    {"queue-leader-locator", leader_locator, "queue leader locator value", 0, NO_OPERATOR},
    {"queue-master-locator", master_locator, "master locator", 0, NO_OPERATOR},
    {"queue-mode", mode, "queue-mode value", QQ | SQ, NO_OPERATOR},
    {"queue-version", version, "queue version value", 0, OPERATORS},
    {"routing-key", any, NULL, 0, NO_OPERATOR},
    {"shards-per-node", any, NULL, 0, NO_OPERATOR},
    {"stream-filter-size-bytes", filter_size, "filter size. Valid range is 16-255.", 0,
     NO_OPERATOR},
    {"stream-max-segment-size-bytes", not_negative, "segment size", CQ | QQ, NO_OPERATOR},
    {"target-group-size", positive, "target group size", CQ | SQ, SMALLER},
};
// clang-format on

enum { N_KEYS = sizeof(keys) / sizeof(keys[0]) };
_Static_assert((int)N_KEYS <= (int)LEV_POLICY_KEYS_MAX && (int)LEV_POLICY_KEYS_MAX <= 64,
               "every key has a place and a bit");

/* N_KEYS when nobody knows it. */
static size_t find(struct lev_bytes name)
{
    size_t i = 0;
    while (i < N_KEYS && !lev_bytes_eq(lev_bytes_str(keys[i].name), name))
        i++;
    return i;
}

/* ---- Values as Erlang prints them, for the errors ---- */

struct out {
    char *at;
    size_t left;
};

static void put(struct out *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void put(struct out *o, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(o->at, o->left, fmt, ap);
    va_end(ap);
    size_t used = n < 0 ? 0 : (size_t)n < o->left ? (size_t)n : o->left - 1;
    o->at += used;
    o->left -= used;
}

static void put_value(struct out *o, const struct lev_value *v);

static void put_table(struct out *o, struct lev_bytes rest)
{
    struct lev_bytes key;
    struct lev_value v;
    const char *comma = "";
    put(o, "#{");
    while (o->left > 1 && lev_table_next(&rest, &key, &v) == 1) {
        put(o, "%s<<\"%.*s\">> => ", comma, LEV_FMT(key));
        put_value(o, &v);
        comma = ",";
    }
    put(o, "}");
}

static void put_array(struct out *o, struct lev_bytes rest)
{
    struct lev_value v;
    const char *comma = "";
    put(o, "[");
    while (o->left > 1 && lev_array_next(&rest, &v) == 1) {
        put(o, "%s", comma);
        put_value(o, &v);
        comma = ",";
    }
    put(o, "]");
}

/* Depth is bounded by the table's validation. */
static void put_value(struct out *o, const struct lev_value *v)
{
    if (lev_value_is_int(v))
        put(o, "%lld", (long long)v->i);
    else if (v->type == 't')
        put(o, "%s", v->i ? "true" : "false");
    else if (v->type == 'f' || v->type == 'd')
        put(o, "%g", v->d);
    else if (v->type == 'F')
        put_table(o, v->b);
    else if (v->type == 'A')
        put_array(o, v->b);
    else
        put(o, "<<\"%.*s\">>", LEV_FMT(v->b));
}

/* ---- Checking and reading ---- */

static void take(struct lev_policy_values *out, size_t key, const struct lev_value *v)
{
    out->set |= UINT64_C(1) << key;
    out->of[key].number = v->i;
    out->of[key].text = v->type == 'S' ? v->b : LEV_EMPTY;
}

static bool known(size_t key, bool of_operator)
{
    return key < N_KEYS && !(of_operator && keys[key].merge == NO_OPERATOR);
}

static void list_unknown(struct lev_bytes rest, bool of_operator, struct out *o)
{
    struct lev_bytes name;
    struct lev_value v;
    const char *comma = "";
    put(o, "[");
    while (lev_table_next(&rest, &name, &v) == 1) {
        if (known(find(name), of_operator))
            continue;
        put(o, "%s{<<\"%.*s\">>,", comma, LEV_FMT(name));
        put_value(o, &v);
        put(o, "}");
        comma = ",";
    }
    put(o, "] are not recognised policy settings");
}

int lev_policy_values_read(struct lev_bytes definition, bool of_operator,
                           struct lev_policy_values *out, char *errbuf, size_t errlen)
{
    struct out o = {errbuf, errlen};
    struct lev_bytes rest = definition, name;
    struct lev_value v;
    bool unknown = false;
    *out = (struct lev_policy_values){0};
    if (definition.len == 0) {
        put(&o, "no policy provided");
        return -1;
    }
    while (lev_table_next(&rest, &name, &v) == 1) {
        size_t key = find(name);
        unknown |= !known(key, of_operator);
        if (!known(key, of_operator))
            continue;
        if (!keys[key].check(&v)) {
            put_value(&o, &v);
            put(&o, " is not a valid %s", keys[key].noun);
            return -1;
        }
        take(out, key, &v);
    }
    if (unknown)
        list_unknown(definition, of_operator, &o);
    return unknown ? -1 : 0;
}

bool lev_policy_values_suit(const struct lev_policy_values *v, enum lev_queue_type type)
{
    for (size_t i = 0; i < N_KEYS; i++)
        if ((v->set >> i & 1) && (keys[i].unknown_to & type))
            return false;
    return true;
}

/* ---- Merging ---- */

/* delivery-limit: negative is unlimited, so that the other one counts. */
static int64_t limit(int64_t a, int64_t b)
{
    int64_t min = a < b ? a : b, max = a < b ? b : a;
    return min < 0 ? max : min;
}

void lev_policy_values_merge(struct lev_policy_values *policy,
                             const struct lev_policy_values *operator_policy)
{
    for (size_t i = 0; i < N_KEYS; i++) {
        struct lev_policy_value *mine = &policy->of[i];
        const struct lev_policy_value *theirs = &operator_policy->of[i];
        bool both = policy->set >> i & operator_policy->set >> i & 1;
        if (!(operator_policy->set >> i & 1))
            continue;
        if (both && keys[i].merge == LIMIT)
            mine->number = limit(mine->number, theirs->number);
        else if (!both || keys[i].merge == OPERATORS || theirs->number < mine->number)
            *mine = *theirs;
    }
    policy->set |= operator_policy->set;
}
