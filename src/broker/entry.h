/* A message's place in a queue while it is in memory, and rings of them.
 *
 * An entry is handed around by value: front or tail of a queue, an outstanding delivery of a
 * channel. It owns one reference on its message. Under the vhost's lock. */
#ifndef LEV_BROKER_ENTRY_H
#define LEV_BROKER_ENTRY_H

#include "broker/message.h"

enum {
    LEV_ENTRY_REDELIVERED = 1,
    LEV_ENTRY_STORED = 2,  /* an ENQUEUE was issued in `batch` (0: long durable) */
    LEV_ENTRY_SPILLED = 4, /* a SPILL was issued in `batch` */
};

struct lev_entry {
    struct lev_msg *msg; /* owned reference */
    uint64_t pos;
    uint64_t batch;      /* that stores or spills it; 0: long since */
    uint64_t expires_ms; /* wall clock; 0: never */
    uint32_t op;         /* index of the operation in that batch, to cancel it */
    uint16_t count;      /* failed deliveries, of a quorum queue */
    uint8_t flags;       /* LEV_ENTRY_* */
};

/* A ring of entries in order of position. */
struct lev_entries {
    struct lev_entry *a;
    uint32_t cap, first, len; /* cap: a power of two, or 0 */
    size_t bytes;             /* of messages, as lev_msg_size counts */
};

void lev_entries_init(struct lev_entries *e);
/* Releases the messages and the array. */
void lev_entries_deinit(struct lev_entries *e);
void lev_entries_push_front(struct lev_entries *e, const struct lev_entry *x);
/* Inserts at its position's place. */
void lev_entries_insert(struct lev_entries *e, const struct lev_entry *x);
struct lev_entry lev_entries_pop_back(struct lev_entries *e);
/* Gives the array back when it is empty and large. */
void lev_entries_shrink(struct lev_entries *e);
/* Makes room when the array is full. */
void lev_entries_grow(struct lev_entries *e);

static inline struct lev_entry *lev_entries_at(const struct lev_entries *e, uint32_t i)
{
    return &e->a[(e->first + i) & (e->cap - 1)];
}

static inline void lev_entries_push_back(struct lev_entries *e, const struct lev_entry *x)
{
    if (e->len == e->cap)
        lev_entries_grow(e);
    *lev_entries_at(e, e->len++) = *x;
    e->bytes += lev_msg_size(x->msg);
}

/* Takes the first off. What is returned stays where it is until the ring changes again. */
static inline struct lev_entry *lev_entries_shift(struct lev_entries *e)
{
    struct lev_entry *x = &e->a[e->first];
    e->first = (e->first + 1) & (e->cap - 1);
    e->len--;
    e->bytes -= lev_msg_size(x->msg);
    return x;
}

static inline struct lev_entry lev_entries_pop_front(struct lev_entries *e)
{
    return *lev_entries_shift(e);
}

#endif
