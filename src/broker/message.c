/* Messages. See message.h. */
#ifdef HAVE_CONFIG_H
#include <config.h> /* LEV_DEBUG_CHECKS */
#endif
#include "broker/message.h"

#include <stdlib.h>

#include "amqp/props.h"
#include "base/pool.h"

#ifdef LEV_DEBUG_CHECKS
static _Atomic int64_t live;
#define LIVE_ADD(n) atomic_fetch_add_explicit(&live, (n), memory_order_relaxed)
int64_t lev_msg_live(void)
{
    return atomic_load_explicit(&live, memory_order_relaxed);
}
#else
#define LIVE_ADD(n) ((void)0)
int64_t lev_msg_live(void)
{
    return 0;
}
#endif

static inline uint8_t *append(uint8_t *at, struct lev_bytes b)
{
    if (b.len)
        memcpy(at, b.ptr, b.len);
    return at + b.len;
}

/* One whose data begins with exchange, key and props; what is behind them is the caller's. */
static inline struct lev_msg *begin(struct lev_bytes exchange, struct lev_bytes key,
                                    struct lev_bytes props, size_t bcc_len, uint32_t body_len)
{
    size_t head = exchange.len + key.len + props.len + bcc_len;
    struct lev_msg *m = lev_pool_alloc(sizeof(*m) + head + body_len);
    if (!m)
        return NULL;
    *m = (struct lev_msg){.refs = 1,
                          .exchange_len = (uint8_t)exchange.len,
                          .key_len = (uint8_t)key.len,
                          .props_len = (uint32_t)props.len,
                          .head_len = (uint32_t)head,
                          .body_len = body_len,
                          .expiration_ms = UINT64_MAX};
    append(append(append(m->data, exchange), key), props);
    LIVE_ADD(1);
    return m;
}

struct lev_msg *lev_msg_new(struct lev_bytes exchange, struct lev_bytes key, struct lev_bytes props,
                            uint32_t body_len)
{
    return begin(exchange, key, props, 0, body_len);
}

struct lev_msg *lev_msg_new_bcc(struct lev_bytes exchange, struct lev_bytes key,
                                struct lev_bytes props, struct lev_bytes bcc, uint32_t body_len)
{
    struct lev_msg *m = begin(exchange, key, props, bcc.len, body_len);
    if (m)
        append(m->data + m->head_len - bcc.len, bcc);
    return m;
}

struct lev_msg *lev_msg_copy(const struct lev_msg *m, struct lev_bytes exchange,
                             struct lev_bytes key, struct lev_bytes props, struct lev_bytes bcc)
{
    struct lev_msg *c = lev_msg_new_bcc(exchange, key, props, bcc, m->body_len);
    if (!c)
        return NULL;
    append(lev_msg_body_mut(c), lev_msg_body(m));
    c->persistent = m->persistent;
    c->priority = m->priority;
    c->dead_lettered = m->dead_lettered;
    c->expiration_ms = m->expiration_ms;
    return c;
}

struct lev_msg *lev_msg_with_body(const struct lev_msg *m, uint32_t body_len)
{
    size_t head = lev_msg_size(m);
    struct lev_msg *c = lev_pool_alloc(head + body_len);
    if (!c)
        return NULL;
    memcpy(c, m, head);
    atomic_init(&c->refs, 1);
    c->body_len = body_len;
    LIVE_ADD(1);
    return c;
}

struct lev_bytes lev_msg_headers(const struct lev_msg *m)
{
    struct lev_bytes raw = lev_msg_props(m);
    const uint8_t *p = raw.ptr + 2;
    uint16_t flags = raw.len < 2 ? 0 : lev_get16(raw.ptr);
    if (!(flags & LEV_PROP_HEADERS))
        return LEV_EMPTY;
    if (flags & LEV_PROP_CONTENT_TYPE)
        p += 1 + *p;
    if (flags & LEV_PROP_CONTENT_ENCODING)
        p += 1 + *p;
    return lev_bytes(p + 4, lev_get32(p));
}

void lev_msg_destroy(struct lev_msg *m)
{
    LIVE_ADD(-1);
    lev_pool_free(m, lev_msg_size(m));
}
