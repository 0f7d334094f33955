/* A message: one immutable, reference-counted allocation holding exchange, routing key, the raw
 * property octets as received but for the BCC header, its keys apart (nobody is shown them; they
 * count again when the message dies), and the body. Shared between threads; only the count ever
 * changes after the body is complete. */
#ifndef LEV_BROKER_MESSAGE_H
#define LEV_BROKER_MESSAGE_H

#include <stdatomic.h>

#include "base/bytes.h"

struct lev_msg {
    _Atomic uint32_t refs;
    uint8_t persistent;    /* delivery-mode 2 */
    uint8_t priority;      /* property, 0 when absent */
    uint8_t dead_lettered; /* its x-death is the broker's own */
    uint8_t exchange_len;  /* data: exchange, routing key, properties, BCC keys, body */
    uint8_t key_len;
    uint32_t props_len;
    uint32_t head_len; /* octets of data before the body */
    uint32_t body_len;
    uint64_t expiration_ms; /* per-message TTL in ms; UINT64_MAX: none */
    uint8_t data[];
};

/* A message with room for a body of body_len octets (copied by the caller through lev_msg_body_mut
 * until complete) and one reference. props is the raw flag word and property list. NULL when memory
 * is out (body_len is sized by a peer). exchange.len and key.len <= 255, and all but the body takes
 * less than 4 GiB. Any thread. */
struct lev_msg *lev_msg_new(struct lev_bytes exchange, struct lev_bytes key, struct lev_bytes props,
                            uint32_t body_len);
/* The same with BCC keys, packed (keys.h). */
struct lev_msg *lev_msg_new_bcc(struct lev_bytes exchange, struct lev_bytes key,
                                struct lev_bytes props, struct lev_bytes bcc, uint32_t body_len);
/* m, complete, with another exchange, routing key, properties and BCC keys. One reference; NULL
 * when memory is out. */
struct lev_msg *lev_msg_copy(const struct lev_msg *m, struct lev_bytes exchange,
                             struct lev_bytes key, struct lev_bytes props, struct lev_bytes bcc);

/* m, whose body is empty, again: with one reference and room for a body. NULL when memory is out.
 */
struct lev_msg *lev_msg_with_body(const struct lev_msg *m, uint32_t body_len);

/* Drops the last reference's memory. Use lev_msg_unref. */
void lev_msg_destroy(struct lev_msg *m);

/* The only owner needs no locked instruction, here as in lev_msg_unref: nobody else can come by a
 * reference meanwhile. */
static inline struct lev_msg *lev_msg_ref(struct lev_msg *m)
{
    if (atomic_load_explicit(&m->refs, memory_order_relaxed) == 1)
        atomic_store_explicit(&m->refs, 2, memory_order_relaxed);
    else
        atomic_fetch_add_explicit(&m->refs, 1, memory_order_relaxed);
    return m;
}

/* Gives up one reference; *m becomes NULL. Accepts a pointer to NULL. */
static inline void lev_msg_unref(struct lev_msg **m)
{
    struct lev_msg *x = *m;
    *m = NULL;
    if (!x)
        return;
    if (atomic_load_explicit(&x->refs, memory_order_acquire) == 1 ||
        atomic_fetch_sub_explicit(&x->refs, 1, memory_order_acq_rel) == 1)
        lev_msg_destroy(x);
}

static inline struct lev_bytes lev_msg_exchange(const struct lev_msg *m)
{
    return lev_bytes(m->data, m->exchange_len);
}

static inline struct lev_bytes lev_msg_key(const struct lev_msg *m)
{
    return lev_bytes(m->data + m->exchange_len, m->key_len);
}

static inline struct lev_bytes lev_msg_props(const struct lev_msg *m)
{
    return lev_bytes(m->data + m->exchange_len + m->key_len, m->props_len);
}

/* The BCC keys, packed (keys.h). */
static inline struct lev_bytes lev_msg_bcc(const struct lev_msg *m)
{
    uint32_t at = (uint32_t)m->exchange_len + m->key_len + m->props_len;
    return lev_bytes(m->data + at, m->head_len - at);
}

static inline uint8_t *lev_msg_body_mut(struct lev_msg *m)
{
    return m->data + m->head_len;
}

static inline struct lev_bytes lev_msg_body(const struct lev_msg *m)
{
    return lev_bytes(m->data + m->head_len, m->body_len);
}

/* The raw headers table; empty when there is none. The properties were validated. */
struct lev_bytes lev_msg_headers(const struct lev_msg *m);

/* Octets the message takes in memory, header included: what limits and accounts count. */
static inline size_t lev_msg_size(const struct lev_msg *m)
{
    return sizeof(*m) + m->head_len + m->body_len;
}

/* Live messages in the process: tests end with 0. */
int64_t lev_msg_live(void);

#endif
