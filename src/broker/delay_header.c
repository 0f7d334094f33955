/* Header x-delay. See delay_header.h. */
#include "broker/delay_header.h"

#include "amqp/props.h"
#include "amqp/table.h"

/* Digits, not more than a delay can have. */
static uint64_t digits(struct lev_bytes text)
{
    uint64_t n = 0;
    if (text.len > 0 && text.ptr[0] == '+')
        text = lev_bytes(text.ptr + 1, text.len - 1);
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9' || n > LEV_DELAY_MAX_MS)
            return 0;
        n = n * 10 + (uint64_t)(text.ptr[i] - '0');
    }
    return n;
}

static uint64_t value_ms(const struct lev_value *v)
{
    uint64_t ms = 0;
    if (lev_value_is_int(v))
        ms = v->i > 0 ? (uint64_t)v->i : 0;
    else if ((v->type == 'd' || v->type == 'f') && v->d >= 1 && v->d <= (double)LEV_DELAY_MAX_MS)
        ms = (uint64_t)v->d;
    else if (v->type == 'S')
        ms = digits(v->b);
    return ms <= LEV_DELAY_MAX_MS ? ms : 0;
}

uint64_t lev_delay_asked(struct lev_bytes headers)
{
    struct lev_value v;
    return lev_table_get(headers, "x-delay", &v) ? value_ms(&v) : 0;
}

static struct lev_value long_or_int(int64_t n)
{
    return (struct lev_value){.type = n < INT32_MIN ? 'l' : 'I', .i = n};
}

/* Types without a sign, and strings, become signed integers. */
static void negate(struct lev_value *v)
{
    if (v->type == 'f' || v->type == 'd')
        v->d = -v->d;
    else if (v->type == 'b' || v->type == 's' || v->type == 'I' || v->type == 'l')
        v->i = -v->i;
    else
        *v = long_or_int(-(int64_t)value_ms(v));
}

static void put_negated(struct lev_buf *out, struct lev_bytes headers)
{
    struct lev_bytes key;
    struct lev_value v;
    bool first = true;
    while (lev_table_next(&headers, &key, &v) > 0) {
        if (first && lev_bytes_eq(key, LEV_LIT("x-delay"))) {
            negate(&v);
            first = false;
        }
        lev_table_put_value(out, key, &v);
    }
}

struct lev_msg *lev_delay_message(struct lev_msg *m)
{
    struct lev_props p;
    struct lev_buf headers, props;
    struct lev_msg *c = NULL;
    if (lev_props_decode(lev_msg_props(m), &p) < 0 || !(p.flags & LEV_PROP_HEADERS))
        return lev_msg_ref(m);
    lev_buf_init(&headers);
    lev_buf_init(&props);
    put_negated(&headers, p.headers);
    p.headers = lev_buf_view(&headers);
    lev_props_encode(&props, &p);
    if (!headers.failed && !props.failed)
        c = lev_msg_copy(m, lev_msg_exchange(m), lev_msg_key(m), lev_buf_view(&props),
                         lev_msg_bcc(m));
    lev_buf_deinit(&headers);
    lev_buf_deinit(&props);
    return c ? c : lev_msg_ref(m);
}
