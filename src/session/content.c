/* What a message's properties ask of the broker. See content.h. Texts: rabbitmq-compat.md 2.3. */
#include "session/content.h"

#include <stdio.h>

#include "amqp/table.h"
#include "auth/auth.h"
#include "base/mem.h"
#include "broker/consume.h"
#include "broker/term.h"

#define EXPIRATION_MAX UINT64_C(315360000000)

/* What raw properties come to. */
struct plan {
    struct lev_bytes props; /* as to be stored: the raw ones, or those in rewritten */
    struct lev_buf rewritten;
    struct lev_buf bcc_keys; /* packed, for the message */
    uint8_t persistent, priority;
    uint64_t expiration_ms;
    struct lev_publish_extra *extra; /* owned until taken; keys still unset */
    struct lev_bytes cc, bcc;        /* raw arrays of additional keys */
};

void lev_publish_extra_free(struct lev_publish_extra **x)
{
    if (*x)
        free((*x)->keys);
    free(*x);
    *x = NULL;
}

static struct lev_publish_extra *extra_of(struct plan *plan)
{
    if (!plan->extra)
        plan->extra = lev_xcalloc(1, sizeof(*plan->extra));
    return plan->extra;
}

static struct lev_error *error_of(struct plan *plan)
{
    struct lev_publish_extra *x = extra_of(plan);
    x->has_error = true;
    return &x->error;
}

static bool failed(const struct plan *plan)
{
    return plan->extra && plan->extra->has_error;
}

/* --- expiration --- */

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static void bad_expiration(struct plan *plan, struct lev_bytes s, const char *why)
{
    lev_fail(error_of(plan), LEV_PRECONDITION_FAILED, "invalid expiration '%.*s': %s", LEV_FMT(s),
             why);
}

/* What follows the number. */
static void leftover(struct plan *plan, struct lev_bytes s, size_t from)
{
    char why[300];
    struct lev_text t;
    lev_text_init(&t, why, sizeof(why));
    lev_text_put(&t, "{leftover_string,");
    lev_term_put_string(&t, lev_bytes(s.ptr + from, s.len - from));
    lev_text_put(&t, "}");
    bad_expiration(plan, s, why);
}

static void read_expiration(struct plan *plan, struct lev_bytes s)
{
    char why[300];
    size_t i = s.len > 1 && (s.ptr[0] == '-' || s.ptr[0] == '+') ? 1 : 0, first = i;
    bool negative = i && s.ptr[0] == '-';
    uint64_t n = 0;
    for (; i < s.len && is_digit(s.ptr[i]); i++)
        n = n <= EXPIRATION_MAX ? n * 10 + (uint64_t)(s.ptr[i] - '0') : n;
    size_t digits = first;
    while (digits + 1 < i && s.ptr[digits] == '0')
        digits++;
    if (i == first) {
        bad_expiration(plan, s, "no_integer");
    } else if (i < s.len) {
        leftover(plan, s, i);
    } else if ((negative && n) || n > EXPIRATION_MAX) {
        snprintf(why, sizeof(why), "{value_%s,%s%.*s}", negative ? "negative" : "too_large",
                 negative ? "-" : "", (int)(i - digits), (const char *)s.ptr + digits);
        bad_expiration(plan, s, why);
    } else {
        plan->expiration_ms = n;
    }
}

/* --- CC and BCC --- */

static void read_keys(struct plan *plan, struct lev_bytes headers, const char *name,
                      struct lev_bytes *array_r)
{
    struct lev_value v;
    if (failed(plan) || !lev_table_get(headers, name, &v))
        return;
    if (v.type != 'A') {
        lev_fail(error_of(plan), LEV_PRECONDITION_FAILED,
                 "invalid message: {unacceptable_type_in_header,\"%s\",%s}", name,
                 lev_value_type_name(v.type));
        return;
    }
    *array_r = v.b;
}

/* The headers without BCC, which is never stored. */
static void strip_bcc(struct lev_bytes headers, struct lev_buf *out)
{
    struct lev_bytes key;
    struct lev_value v;
    while (lev_table_next(&headers, &key, &v) > 0)
        if (!lev_bytes_eq(key, LEV_LIT("BCC")))
            lev_table_put_value(out, key, &v);
}

static size_t count_keys(struct lev_bytes array)
{
    struct lev_value v;
    size_t n = 0;
    while (lev_array_next(&array, &v) > 0)
        n += v.type == 'S' && v.b.len <= 255;
    return n;
}

static void add_keys(struct lev_bytes array, struct lev_bytes *keys, size_t *n, uint8_t **room)
{
    struct lev_value v;
    while (lev_array_next(&array, &v) > 0) {
        if (v.type != 'S' || v.b.len > 255)
            continue;
        if (v.b.len)
            memcpy(*room, v.b.ptr, v.b.len);
        keys[(*n)++] = lev_bytes(*room, v.b.len);
        *room += v.b.len;
    }
}

/* Sets the message's fields and, where there are CC or BCC keys, the extra's keys (copied behind
 * the array). */
static void apply_plan(struct plan *plan, struct lev_msg *m)
{
    m->persistent = plan->persistent;
    m->priority = plan->priority;
    m->expiration_ms = plan->expiration_ms;
    if (!plan->cc.ptr && !plan->bcc.ptr)
        return;
    size_t n = count_keys(plan->cc) + count_keys(plan->bcc);
    if (!n)
        return;
    struct lev_publish_extra *x = extra_of(plan);
    x->keys = lev_xmalloc((n + 1) * sizeof(*x->keys) + plan->cc.len + plan->bcc.len);
    uint8_t *room = (uint8_t *)(x->keys + n + 1);
    x->keys[x->n_keys++] = lev_msg_key(m);
    add_keys(plan->cc, x->keys, &x->n_keys, &room);
    add_keys(plan->bcc, x->keys, &x->n_keys, &room);
}

/* --- the whole --- */

static void check_user(struct lev_channel *ch, struct plan *plan, struct lev_bytes user_id)
{
    struct lev_conn *c = ch->conn;
    if (failed(plan) || lev_bytes_eq(user_id, c->user) ||
        lev_auth_has_tag(c->sl->layer->config.auth, c->user, "impersonator"))
        return;
    extra_of(plan)->of_user_id = true;
    lev_fail(error_of(plan), LEV_PRECONDITION_FAILED,
             "user_id property set to '%.*s' but authenticated user was '%.*s'", LEV_FMT(user_id),
             LEV_FMT(c->user));
}

/* As keys.h has them. */
static void pack_keys(struct lev_bytes array, struct lev_buf *out)
{
    struct lev_value v;
    while (lev_array_next(&array, &v) > 0) {
        if (v.type != 'S' || v.b.len > 255)
            continue;
        lev_buf_put8(out, (uint8_t)v.b.len);
        lev_buf_put_bytes(out, v.b);
    }
}

static void rewrite(struct lev_channel *ch, struct plan *plan, struct lev_props *p)
{
    struct lev_buf headers;
    lev_buf_init(&headers);
    if (plan->bcc.ptr) {
        strip_bcc(p->headers, &headers);
        p->headers = lev_buf_view(&headers);
        pack_keys(plan->bcc, &plan->bcc_keys);
    }
    if (plan->extra && plan->extra->wants_reply && ch->chan.reply_token.len)
        p->reply_to = ch->chan.reply_token;
    lev_props_encode(&plan->rewritten, p);
    plan->props = lev_buf_view(&plan->rewritten);
    lev_buf_deinit(&headers);
}

static void remember(struct lev_channel *ch, const struct plan *plan, struct lev_bytes raw)
{
    bool plain =
        !plan->extra && !plan->rewritten.len && !plan->cc.ptr && plan->expiration_ms == UINT64_MAX;
    ch->props_memo_len = 0;
    if (!plain || raw.len > sizeof(ch->props_memo))
        return;
    memcpy(ch->props_memo, raw.ptr, raw.len);
    ch->props_memo_len = (uint8_t)raw.len;
    ch->memo_persistent = plan->persistent;
    ch->memo_priority = plan->priority;
}

/* Looks into raw properties. 0, or -1 when they are malformed. Deinit in any case. */
static int make_plan(struct lev_channel *ch, struct lev_bytes raw, struct plan *plan)
{
    struct lev_props p;
    *plan = (struct plan){.props = raw, .expiration_ms = UINT64_MAX};
    if (lev_props_decode(raw, &p) < 0)
        return -1;
    plan->persistent = (p.flags & LEV_PROP_DELIVERY_MODE) && p.delivery_mode == 2;
    plan->priority = p.flags & LEV_PROP_PRIORITY ? p.priority : 0;
    if ((p.flags & LEV_PROP_REPLY_TO) && lev_is_reply_queue(p.reply_to))
        extra_of(plan)->wants_reply = true;
    if (p.flags & LEV_PROP_EXPIRATION)
        read_expiration(plan, p.expiration);
    if (p.flags & LEV_PROP_HEADERS) {
        read_keys(plan, p.headers, "CC", &plan->cc);
        read_keys(plan, p.headers, "BCC", &plan->bcc);
    }
    if (p.flags & LEV_PROP_USER_ID)
        check_user(ch, plan, p.user_id);
    if (plan->bcc.ptr || (plan->extra && plan->extra->wants_reply))
        rewrite(ch, plan, &p);
    remember(ch, plan, raw);
    return plan->rewritten.failed || plan->bcc_keys.failed ? -1 : 0;
}

static void plan_deinit(struct plan *plan)
{
    lev_buf_deinit(&plan->rewritten);
    lev_buf_deinit(&plan->bcc_keys);
    lev_publish_extra_free(&plan->extra);
}

/* True when these raw properties are the ones that were found plain last time. */
static bool is_memo(const struct lev_channel *ch, struct lev_bytes raw)
{
    return ch->props_memo_len == raw.len && raw.len &&
           memcmp(ch->props_memo, raw.ptr, raw.len) == 0;
}

static struct lev_msg *plain_message(const struct lev_channel *ch, struct lev_bytes exchange,
                                     struct lev_bytes key, struct lev_bytes props,
                                     uint32_t body_len)
{
    struct lev_msg *m = lev_msg_new(exchange, key, props, body_len);
    if (m) {
        m->persistent = ch->memo_persistent;
        m->priority = ch->memo_priority;
    }
    return m;
}

struct lev_msg *lev_content_message(struct lev_channel *ch, struct lev_bytes exchange,
                                    struct lev_bytes key, struct lev_bytes props, uint32_t body_len,
                                    struct lev_publish_extra **extra_r)
{
    struct plan plan;
    struct lev_msg *m = NULL;
    *extra_r = NULL;
    if (is_memo(ch, props))
        return plain_message(ch, exchange, key, props, body_len);
    if (make_plan(ch, props, &plan) == 0)
        m = lev_msg_new_bcc(exchange, key, plan.props, lev_buf_view(&plan.bcc_keys), body_len);
    if (m) {
        apply_plan(&plan, m);
        *extra_r = plan.extra;
        plan.extra = NULL;
    }
    plan_deinit(&plan);
    return m;
}
