/* Content headers and properties. See props.h.
 *
 * The properties stand once, in PROPS below, in wire order; decode and encode are made from it. */
#include "amqp/props.h"

#include "amqp/frame.h"
#include "amqp/table.h"
#include "base/err.h"

/* Bit 0 would announce another flag word, bit 1 no property uses. */
enum { FLAGS_INVALID = 3, CLASS_BASIC = 60 };

/* PROP(presence bit, kind, member) */
#define PROPS(PROP)                                                                                \
    PROP(CONTENT_TYPE, shortstr, content_type)                                                     \
    PROP(CONTENT_ENCODING, shortstr, content_encoding)                                             \
    PROP(HEADERS, table, headers)                                                                  \
    PROP(DELIVERY_MODE, octet, delivery_mode)                                                      \
    PROP(PRIORITY, octet, priority)                                                                \
    PROP(CORRELATION_ID, shortstr, correlation_id)                                                 \
    PROP(REPLY_TO, shortstr, reply_to)                                                             \
    PROP(EXPIRATION, shortstr, expiration)                                                         \
    PROP(MESSAGE_ID, shortstr, message_id)                                                         \
    PROP(TIMESTAMP, timestamp, timestamp)                                                          \
    PROP(TYPE, shortstr, type)                                                                     \
    PROP(USER_ID, shortstr, user_id)                                                               \
    PROP(APP_ID, shortstr, app_id)                                                                 \
    PROP(CLUSTER_ID, shortstr, cluster_id)

/* ---- Content header -------------------------------------------------------------------------- */

int lev_content_header_decode(struct lev_bytes payload, struct lev_content_header *h_r)
{
    if (payload.len < 14)
        return LEV_EPROTO;
    h_r->class_id = lev_get16(payload.ptr);
    h_r->weight = lev_get16(payload.ptr + 2);
    h_r->body_size = lev_get64(payload.ptr + 4);
    h_r->props = lev_bytes(payload.ptr + 12, payload.len - 12);
    return 0;
}

void lev_content_header_encode(struct lev_buf *out, uint16_t channel, uint64_t body_size,
                               struct lev_bytes raw_props)
{
    size_t size = 12 + raw_props.len;
    uint8_t *p = lev_buf_reserve(out, size + LEV_FRAME_OVERHEAD);
    if (!p)
        return;
    lev_frame_put_header(p, LEV_FRAME_HEADER, channel, (uint32_t)size);
    lev_put16(p + 7, CLASS_BASIC);
    lev_put16(p + 9, 0);
    lev_put64(p + 11, body_size);
    if (raw_props.len)
        memcpy(p + 19, raw_props.ptr, raw_props.len);
    p[7 + size] = LEV_FRAME_END;
    out->len += size + LEV_FRAME_OVERHEAD;
}

/* ---- Decoding: each takes one property off the front of *rest; 0 or LEV_E* ------------------- */

static inline int get_counted(struct lev_bytes *rest, size_t prefix, size_t n,
                              struct lev_bytes *v_r)
{
    if (rest->len - prefix < n)
        return LEV_EPROTO;
    *v_r = lev_bytes(rest->ptr + prefix, n);
    *rest = lev_bytes(rest->ptr + prefix + n, rest->len - prefix - n);
    return 0;
}

static inline int get_shortstr(struct lev_bytes *rest, struct lev_bytes *v_r)
{
    if (rest->len < 1)
        return LEV_EPROTO;
    return get_counted(rest, 1, rest->ptr[0], v_r);
}

static inline int get_table(struct lev_bytes *rest, struct lev_bytes *v_r)
{
    if (rest->len < 4)
        return LEV_EPROTO;
    int err = get_counted(rest, 4, lev_get32(rest->ptr), v_r);
    return err ? err : lev_table_validate(*v_r);
}

static inline int get_octet(struct lev_bytes *rest, uint8_t *v_r)
{
    if (rest->len < 1)
        return LEV_EPROTO;
    *v_r = rest->ptr[0];
    *rest = lev_bytes(rest->ptr + 1, rest->len - 1);
    return 0;
}

static inline int get_timestamp(struct lev_bytes *rest, uint64_t *v_r)
{
    if (rest->len < 8)
        return LEV_EPROTO;
    *v_r = lev_get64(rest->ptr);
    *rest = lev_bytes(rest->ptr + 8, rest->len - 8);
    return 0;
}

int lev_props_decode(struct lev_bytes raw, struct lev_props *p_r)
{
    int err;
    *p_r = (struct lev_props){0};
    if (raw.len < 2)
        return LEV_EPROTO;
    p_r->flags = lev_get16(raw.ptr);
    if (p_r->flags & FLAGS_INVALID)
        return LEV_EPROTO;
    struct lev_bytes rest = lev_bytes(raw.ptr + 2, raw.len - 2);
#define PROP(bit, kind, member)                                                                    \
    if (p_r->flags & LEV_PROP_##bit) {                                                             \
        err = get_##kind(&rest, &p_r->member);                                                     \
        if (err)                                                                                   \
            return err;                                                                            \
    }
    PROPS(PROP)
#undef PROP
    return rest.len == 0 ? 0 : LEV_EPROTO;
}

/* ---- Encoding -------------------------------------------------------------------------------- */

static inline void put_shortstr(struct lev_buf *out, struct lev_bytes v)
{
    size_t n = v.len < UINT8_MAX ? v.len : UINT8_MAX;
    lev_buf_put8(out, (uint8_t)n);
    lev_buf_put(out, v.ptr, n);
}

static inline void put_table(struct lev_buf *out, struct lev_bytes v)
{
    lev_buf_put32(out, (uint32_t)v.len);
    lev_buf_put_bytes(out, v);
}

static inline void put_octet(struct lev_buf *out, uint8_t v)
{
    lev_buf_put8(out, v);
}

static inline void put_timestamp(struct lev_buf *out, uint64_t v)
{
    lev_buf_put64(out, v);
}

void lev_props_encode(struct lev_buf *out, const struct lev_props *p)
{
    lev_buf_put16(out, p->flags & (uint16_t)~FLAGS_INVALID);
#define PROP(bit, kind, member)                                                                    \
    if (p->flags & LEV_PROP_##bit)                                                                 \
        put_##kind(out, p->member);
    PROPS(PROP)
#undef PROP
}
