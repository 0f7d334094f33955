/* Queue arguments. See queue_args.h. */
#include "broker/queue_args.h"

#include <stdio.h>

#include "broker/term.h"
#include "broker/topology_text.h"

#define MAX_MS 315360000000 /* ten years, RabbitMQ's bound */

enum { CQ = LEV_QUEUE_CLASSIC, QQ = LEV_QUEUE_QUORUM, SQ = LEV_QUEUE_STREAM };

/* A check writes the Erlang term that RabbitMQ would print into term and returns false. */
typedef bool check_fn(const struct lev_value *v, char *term, size_t cap);

static bool is_int(const struct lev_value *v, char *term, size_t cap)
{
    if (lev_value_is_int(v))
        return true;
    snprintf(term, cap, "\"expected integer, got %s\"", lev_value_type_name(v->type));
    return false;
}

static bool not_negative(const struct lev_value *v, char *term, size_t cap)
{
    if (!is_int(v, term, cap))
        return false;
    if (v->i >= 0)
        return true;
    snprintf(term, cap, "{value_negative,%lld}", (long long)v->i);
    return false;
}

static bool positive(const struct lev_value *v, char *term, size_t cap)
{
    if (!not_negative(v, term, cap))
        return false;
    if (v->i > 0)
        return true;
    snprintf(term, cap, "{value_zero,0}");
    return false;
}

static bool not_too_large(const struct lev_value *v, char *term, size_t cap)
{
    if (v->i <= MAX_MS)
        return true;
    snprintf(term, cap, "{value_too_large,%lld}", (long long)v->i);
    return false;
}

static bool ttl(const struct lev_value *v, char *term, size_t cap)
{
    return not_negative(v, term, cap) && not_too_large(v, term, cap);
}

static bool expires(const struct lev_value *v, char *term, size_t cap)
{
    return positive(v, term, cap) && not_too_large(v, term, cap);
}

static bool priority(const struct lev_value *v, char *term, size_t cap)
{
    if (!not_negative(v, term, cap))
        return false;
    if (v->i <= 255)
        return true;
    snprintf(term, cap, "{max_value_exceeded,%lld}", (long long)v->i);
    return false;
}

static bool has_type(const struct lev_value *v, uint8_t type, char *term, size_t cap)
{
    if (v->type == type)
        return true;
    snprintf(term, cap, "{unacceptable_type,%s}", lev_value_type_name(v->type));
    return false;
}

static bool one_of(const struct lev_value *v, const char *const *words)
{
    for (; *words; words++)
        if (lev_bytes_eq(v->b, lev_bytes_str(*words)))
            return true;
    return false;
}

static bool overflow(const struct lev_value *v, char *term, size_t cap)
{
    static const char *const words[] = {"drop-head", "reject-publish", "reject-publish-dlx", NULL};
    if (!has_type(v, 'S', term, cap))
        return false;
    snprintf(term, cap, "invalid_overflow");
    return one_of(v, words);
}

static bool strategy(const struct lev_value *v, char *term, size_t cap)
{
    static const char *const words[] = {"at-most-once", "at-least-once", NULL};
    if (!has_type(v, 'S', term, cap))
        return false;
    snprintf(term, cap, "invalid_dlx_strategy");
    return one_of(v, words);
}

static bool retry_type(const struct lev_value *v, char *term, size_t cap)
{
    static const char *const words[] = {"disabled", "all", "failed", "returned", NULL};
    if (!has_type(v, 'S', term, cap))
        return false;
    snprintf(term, cap, "invalid_delayed_retry_type");
    return one_of(v, words);
}

/* "unsupported queue mode 'x'", itself a string that is printed. */
static void unsupported(const struct lev_value *v, const char *what, char *term, size_t cap)
{
    char room[300];
    struct lev_text words, t;
    lev_text_init(&words, room, sizeof(room));
    lev_text_put(&words, "unsupported queue %s '%.*s'", what, LEV_FMT(v->b));
    lev_text_init(&t, term, cap);
    lev_term_put_string(&t, lev_text_view(&words));
}

static bool mode(const struct lev_value *v, char *term, size_t cap)
{
    static const char *const words[] = {"default", "lazy", NULL};
    if (!has_type(v, 'S', term, cap))
        return false;
    if (one_of(v, words))
        return true;
    unsupported(v, "mode", term, cap);
    return false;
}

static bool version(const struct lev_value *v, char *term, size_t cap)
{
    if (!not_negative(v, term, cap))
        return false;
    snprintf(term, cap, "\"unsupported queue version '%lld'\"", (long long)v->i);
    return v->i == 1 || v->i == 2;
}

static bool boolean(const struct lev_value *v, char *term, size_t cap)
{
    return has_type(v, 't', term, cap);
}

static bool string(const struct lev_value *v, char *term, size_t cap)
{
    return has_type(v, 'S', term, cap);
}

static bool locator(const struct lev_value *v, char *term, size_t cap)
{
    static const char *const words[] = {"client-local", "balanced", "random", "least-leaders",
                                        NULL};
    if (!has_type(v, 'S', term, cap))
        return false;
    snprintf(term, cap, "invalid_queue_locator_arg");
    return one_of(v, words);
}

static bool queue_type(const struct lev_value *v, char *term, size_t cap)
{
    static const char *const words[] = {"classic", "quorum", NULL};
    if (!has_type(v, 'S', term, cap))
        return false;
    if (one_of(v, words))
        return true;
    unsupported(v, "type", term, cap);
    return false;
}

static const struct {
    const char *key;
    unsigned types;  /* that know it */
    check_fn *check; /* NULL: any value */
} rules[] = {
    {"x-queue-type", CQ | QQ | SQ, queue_type},
    {"x-expires", CQ | QQ, expires},
    {"x-message-ttl", CQ | QQ, ttl},
    {"x-dead-letter-exchange", CQ | QQ, NULL},
    {"x-dead-letter-routing-key", CQ | QQ, string},
    {"x-dead-letter-strategy", QQ, strategy},
    {"x-max-length", CQ | QQ, not_negative},
    {"x-max-length-bytes", CQ | QQ | SQ, not_negative},
    {"x-max-in-memory-length", QQ, not_negative},
    {"x-max-in-memory-bytes", QQ, not_negative},
    {"x-overflow", CQ | QQ, overflow},
    {"x-max-priority", CQ, priority},
    {"x-queue-mode", CQ, mode},
    {"x-queue-version", CQ, version},
    {"x-single-active-consumer", CQ | QQ, boolean},
    {"x-queue-master-locator", CQ, NULL},
    {"x-queue-leader-locator", CQ | QQ | SQ, locator},
    {"x-quorum-initial-group-size", QQ, positive},
    {"x-delivery-limit", QQ, is_int},
    {"x-delayed-retry-type", CQ | QQ, retry_type},
    {"x-delayed-retry-min", CQ | QQ, not_negative},
    {"x-delayed-retry-max", CQ | QQ, not_negative},
    {"x-max-age", SQ, NULL},
    {"x-stream-max-segment-size-bytes", SQ, not_negative},
    {"x-stream-filter-size-bytes", SQ, not_negative},
    {"x-initial-cluster-size", SQ, positive},
};

enum { N_RULES = sizeof(rules) / sizeof(rules[0]) };

enum lev_queue_type lev_queue_type_of(struct lev_bytes arguments)
{
    struct lev_value v;
    if (lev_table_get(arguments, "x-queue-type", &v) && lev_bytes_eq(v.b, LEV_LIT("quorum")))
        return LEV_QUEUE_QUORUM;
    return LEV_QUEUE_CLASSIC;
}

const char *lev_queue_module(enum lev_queue_type t)
{
    return t == LEV_QUEUE_QUORUM ? "rabbit_quorum_queue" : "rabbit_classic_queue";
}

/* Dead-letter arguments have checks of their own wording. */
static int check_dead_letter(const struct lev_queue_declare_args *a, struct lev_bytes vhost,
                             const char *key, struct lev_error *err)
{
    struct lev_value v, dlx;
    if (!lev_table_get(a->arguments, key, &v))
        return 0;
    if (v.type != 'S')
        return lev_fail(err, LEV_PRECONDITION_FAILED,
                        "invalid type '%s' for arg '%s' in queue '%.*s' in vhost '%.*s'",
                        lev_value_type_name(v.type), key, LEV_FMT(a->name), LEV_FMT(vhost));
    if (!lev_table_get(a->arguments, "x-dead-letter-exchange", &dlx))
        return lev_fail(err, LEV_PRECONDITION_FAILED,
                        "invalid arg '%s' for queue '%.*s' in vhost '%.*s': "
                        "routing_key_but_no_dlx_defined",
                        key, LEV_FMT(a->name), LEV_FMT(vhost));
    return 0;
}

static int check_properties(const struct lev_queue_declare_args *a, struct lev_bytes vhost,
                            struct lev_error *err)
{
    const char *bad = !a->durable      ? "non-durable"
                      : a->exclusive   ? "exclusive-owner"
                      : a->auto_delete ? "auto-delete"
                                       : NULL;
    if (!bad)
        return 0;
    return lev_fail(err, LEV_PRECONDITION_FAILED,
                    "invalid property '%s' for queue '%.*s' in vhost '%.*s'", bad, LEV_FMT(a->name),
                    LEV_FMT(vhost));
}

static int check_rule(size_t i, const struct lev_queue_declare_args *a, struct lev_bytes vhost,
                      enum lev_queue_type type, struct lev_error *err)
{
    struct lev_value v;
    char term[300];
    if (!lev_table_get(a->arguments, rules[i].key, &v))
        return 0;
    if (!(rules[i].types & type))
        return lev_fail(err, LEV_PRECONDITION_FAILED,
                        "invalid arg '%s' for queue '%.*s' in vhost '%.*s' of queue type %s",
                        rules[i].key, LEV_FMT(a->name), LEV_FMT(vhost), lev_queue_module(type));
    if (rules[i].check && !rules[i].check(&v, term, sizeof(term)))
        return lev_fail(err, LEV_PRECONDITION_FAILED,
                        "invalid arg '%s' for queue '%.*s' in vhost '%.*s': %s", rules[i].key,
                        LEV_FMT(a->name), LEV_FMT(vhost), term);
    return 0;
}

int lev_queue_args_check(const struct lev_queue_declare_args *a, struct lev_bytes vhost,
                         struct lev_error *err)
{
    if (check_rule(0, a, vhost, LEV_QUEUE_CLASSIC, err) < 0)
        return -1;
    enum lev_queue_type type = lev_queue_type_of(a->arguments);
    if (a->server_named && type == LEV_QUEUE_QUORUM)
        return lev_fail(err, LEV_PRECONDITION_FAILED,
                        "Cannot declare a server-named queue for type %s", lev_queue_module(type));
    for (size_t i = 1; i < N_RULES; i++)
        if (check_rule(i, a, vhost, type, err) < 0)
            return -1;
    if (check_dead_letter(a, vhost, "x-dead-letter-exchange", err) < 0 ||
        check_dead_letter(a, vhost, "x-dead-letter-routing-key", err) < 0)
        return -1;
    return type == LEV_QUEUE_QUORUM ? check_properties(a, vhost, err) : 0;
}

int lev_queue_args_same(struct lev_bytes name, struct lev_bytes vhost, struct lev_bytes current,
                        struct lev_bytes received, struct lev_error *err)
{
    const struct lev_entity who = {"queue", name, vhost};
    enum lev_queue_type type = lev_queue_type_of(current);
    struct lev_value c, r;
    bool has_c = lev_table_get(current, "x-queue-type", &c);
    bool has_r = lev_table_get(received, "x-queue-type", &r);
    bool classic_either = type == LEV_QUEUE_CLASSIC && has_c != has_r &&
                          lev_bytes_eq(has_c ? c.b : r.b, LEV_LIT("classic"));
    for (size_t i = classic_either ? 1 : 0; i < N_RULES; i++)
        if ((rules[i].types & type) &&
            lev_check_same_arg(&who, rules[i].key, current, received, err) < 0)
            return -1;
    return 0;
}
