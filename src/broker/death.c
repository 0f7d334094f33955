/* A dead message's new face. See death.h. */
#include "broker/death.h"

#include "amqp/props.h"
#include "amqp/table.h"
#include "broker/keys.h"

const char *lev_death_word(enum lev_death reason)
{
    static const char *const words[] = {"rejected", "expired", "maxlen", "delivery_limit"};
    return words[reason];
}

static struct lev_bytes headers_of(const struct lev_msg *m, struct lev_props *p)
{
    if (lev_props_decode(lev_msg_props(m), p) < 0 || !(p->flags & LEV_PROP_HEADERS))
        return LEV_EMPTY;
    return p->headers;
}

static bool is(const struct lev_bytes *table, const char *key, struct lev_bytes value)
{
    struct lev_value v;
    return lev_table_get(*table, key, &v) && v.type == 'S' && lev_bytes_eq(v.b, value);
}

/* The array of deaths that count: what a client wrote itself does not. */
static struct lev_bytes deaths_of(const struct lev_msg *m, struct lev_bytes headers)
{
    struct lev_value v;
    if (!m->dead_lettered || !lev_table_get(headers, "x-death", &v) || v.type != 'A')
        return LEV_EMPTY;
    return v.b;
}

/* The array of a CC header. */
static struct lev_bytes cc_of(const struct lev_msg *m)
{
    struct lev_props p;
    struct lev_value cc;
    if (!lev_table_get(headers_of(m, &p), "CC", &cc) || cc.type != 'A')
        return LEV_EMPTY;
    return cc.b;
}

/* The next key of such an array; false: there are no more. */
static bool next_key(struct lev_bytes *cc, struct lev_value *v)
{
    while (lev_array_next(cc, v) > 0)
        if (v->type == 'S' && v->b.len <= 255)
            return true;
    return false;
}

size_t lev_death_keys(const struct lev_msg *m, struct lev_bytes *keys)
{
    struct lev_bytes cc = cc_of(m);
    struct lev_value v;
    size_t n = 1;
    if (keys)
        keys[0] = lev_msg_key(m);
    for (; next_key(&cc, &v); n++)
        if (keys)
            keys[n] = v.b;
    return n + lev_keys_unpack(lev_msg_bcc(m), keys ? keys + n : NULL);
}

/* --- x-death --- */

/* BCC keys are nobody's business. */
static void put_keys(struct lev_buf *entry, const struct lev_msg *m)
{
    struct lev_bytes cc = cc_of(m);
    struct lev_value v = {.type = 'S', .b = lev_msg_key(m)};
    struct lev_buf array;
    lev_buf_init(&array);
    do
        lev_array_put_value(&array, &v);
    while (next_key(&cc, &v));
    lev_table_put_array(entry, "routing-keys", lev_buf_view(&array));
    entry->failed |= array.failed;
    lev_buf_deinit(&array);
}

/* The entry of a first death of this kind. */
static void put_new(struct lev_buf *entry, const struct lev_msg *m, const struct lev_props *p,
                    const struct lev_death_info *info)
{
    if (p->flags & LEV_PROP_EXPIRATION)
        lev_table_put_str(entry, "original-expiration", p->expiration);
    lev_table_put_long(entry, "count", 1);
    lev_table_put_str(entry, "reason", lev_bytes_str(info->reason));
    lev_table_put_str(entry, "queue", info->queue);
    lev_table_put_timestamp(entry, "time", info->time_s);
    lev_table_put_str(entry, "exchange", lev_msg_exchange(m));
    put_keys(entry, m);
}

/* An entry again, its count one higher. */
static void put_again(struct lev_buf *entry, struct lev_bytes old)
{
    struct lev_bytes key;
    struct lev_value v;
    while (lev_table_next(&old, &key, &v) > 0) {
        if (lev_bytes_eq(key, LEV_LIT("count")) && lev_value_is_int(&v))
            v = (struct lev_value){.type = 'l', .i = v.i + 1};
        lev_table_put_value(entry, key, &v);
    }
}

static bool same_death(const struct lev_value *v, const struct lev_death_info *info)
{
    return v->type == 'F' && is(&v->b, "queue", info->queue) &&
           is(&v->b, "reason", lev_bytes_str(info->reason));
}

/* The array of deaths with this one in front. */
static void put_deaths(struct lev_buf *array, const struct lev_msg *m, const struct lev_props *p,
                       struct lev_bytes deaths, const struct lev_death_info *info)
{
    struct lev_buf entry;
    struct lev_value v;
    bool again = false;
    lev_buf_init(&entry);
    for (struct lev_bytes rest = deaths; !again && lev_array_next(&rest, &v) > 0;)
        if (same_death(&v, info)) {
            put_again(&entry, v.b);
            again = true;
        }
    if (!again)
        put_new(&entry, m, p, info);
    lev_array_put_value(array, &(struct lev_value){.type = 'F', .b = lev_buf_view(&entry)});
    while (lev_array_next(&deaths, &v) > 0)
        if (!same_death(&v, info))
            lev_array_put_value(array, &v);
    array->failed |= entry.failed;
    lev_buf_deinit(&entry);
}

/* --- the other headers --- */

/* True for the headers that this file writes itself, and for the other keys of a message that goes
 * on with a key of its dead-letter queue alone. */
static bool ours(struct lev_bytes key, bool had_first, bool new_key)
{
    if (new_key && lev_bytes_eq(key, LEV_LIT("CC")))
        return true;
    if (lev_bytes_eq(key, LEV_LIT("x-death")) || lev_bytes_starts(key, LEV_LIT("x-last-death-")))
        return true;
    return !had_first && lev_bytes_starts(key, LEV_LIT("x-first-death-"));
}

static void put_reason(struct lev_buf *out, const char *which, const struct lev_msg *m,
                       const struct lev_death_info *info)
{
    char key[32];
    size_t n = strlen(which);
    memcpy(key, which, n);
    memcpy(key + n, "exchange", 9);
    lev_table_put_str(out, key, lev_msg_exchange(m));
    memcpy(key + n, "queue", 6);
    lev_table_put_str(out, key, info->queue);
    memcpy(key + n, "reason", 7);
    lev_table_put_str(out, key, lev_bytes_str(info->reason));
}

static void put_headers(struct lev_buf *out, const struct lev_msg *m, const struct lev_props *p,
                        struct lev_bytes headers, const struct lev_death_info *info)
{
    struct lev_buf array;
    struct lev_value v;
    struct lev_bytes key, rest = headers;
    bool had_first = m->dead_lettered && lev_table_get(headers, "x-first-death-reason", &v);
    while (lev_table_next(&rest, &key, &v) > 0)
        if (!ours(key, had_first, info->new_key))
            lev_table_put_value(out, key, &v);
    lev_buf_init(&array);
    put_deaths(&array, m, p, deaths_of(m, headers), info);
    lev_table_put_array(out, "x-death", lev_buf_view(&array));
    out->failed |= array.failed;
    lev_buf_deinit(&array);
    if (!had_first)
        put_reason(out, "x-first-death-", m, info);
    put_reason(out, "x-last-death-", m, info);
}

struct lev_msg *lev_death_message(const struct lev_msg *m, const struct lev_death_info *info)
{
    struct lev_props p;
    struct lev_buf headers, props;
    struct lev_msg *dead = NULL;
    lev_buf_init(&headers);
    lev_buf_init(&props);
    put_headers(&headers, m, &p, headers_of(m, &p), info);
    p.flags = (uint16_t)((p.flags & ~LEV_PROP_EXPIRATION) | LEV_PROP_HEADERS);
    p.headers = lev_buf_view(&headers);
    lev_props_encode(&props, &p);
    if (!headers.failed && !props.failed)
        dead = lev_msg_copy(m, info->exchange, info->key, lev_buf_view(&props),
                            info->new_key ? LEV_EMPTY : lev_msg_bcc(m));
    if (dead) {
        dead->expiration_ms = UINT64_MAX;
        dead->dead_lettered = 1;
    }
    lev_buf_deinit(&headers);
    lev_buf_deinit(&props);
    return dead;
}

struct lev_msg *lev_counted_message(const struct lev_entry *e)
{
    struct lev_msg *m = e->msg, *counted = NULL;
    struct lev_props p;
    struct lev_buf headers, props;
    struct lev_bytes key, rest = headers_of(m, &p);
    struct lev_value v;
    lev_buf_init(&headers);
    lev_buf_init(&props);
    while (lev_table_next(&rest, &key, &v) > 0)
        if (!lev_bytes_eq(key, LEV_LIT("x-delivery-count")))
            lev_table_put_value(&headers, key, &v);
    lev_table_put_long(&headers, "x-delivery-count", e->count);
    p.flags |= LEV_PROP_HEADERS;
    p.headers = lev_buf_view(&headers);
    lev_props_encode(&props, &p);
    if (!headers.failed && !props.failed)
        counted = lev_msg_copy(m, lev_msg_exchange(m), lev_msg_key(m), lev_buf_view(&props),
                               lev_msg_bcc(m));
    lev_buf_deinit(&headers);
    lev_buf_deinit(&props);
    return counted ? counted : lev_msg_ref(m);
}

bool lev_death_cycle(const struct lev_msg *dead, struct lev_bytes queue)
{
    struct lev_props p;
    struct lev_value v;
    struct lev_bytes deaths = deaths_of(dead, headers_of(dead, &p));
    while (lev_array_next(&deaths, &v) > 0) {
        if (v.type != 'F')
            continue;
        if (is(&v.b, "reason", LEV_LIT("rejected")))
            return false;
        if (is(&v.b, "queue", queue))
            return true;
    }
    return false;
}
