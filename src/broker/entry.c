/* The ring of ready entries: a power-of-two array, doubled when full. See entry.h. */
#include "base/mem.h"
#include "broker/entry.h"

enum { ENTRIES_MIN = 16 };

void lev_entries_init(struct lev_entries *e)
{
    *e = (struct lev_entries){0};
}

void lev_entries_deinit(struct lev_entries *e)
{
    for (uint32_t i = 0; i < e->len; i++)
        lev_msg_unref(&lev_entries_at(e, i)->msg);
    free(e->a);
    lev_entries_init(e);
}

static void resize(struct lev_entries *e, uint32_t cap)
{
    struct lev_entry *a = lev_xmalloc(cap * sizeof(*a));
    for (uint32_t i = 0; i < e->len; i++)
        a[i] = *lev_entries_at(e, i);
    free(e->a);
    e->a = a;
    e->cap = cap;
    e->first = 0;
}

void lev_entries_grow(struct lev_entries *e)
{
    resize(e, e->cap ? e->cap * 2 : ENTRIES_MIN);
}

void lev_entries_push_front(struct lev_entries *e, const struct lev_entry *x)
{
    if (e->len == e->cap)
        lev_entries_grow(e);
    e->first = (e->first - 1) & (e->cap - 1);
    e->a[e->first] = *x;
    e->len++;
    e->bytes += lev_msg_size(x->msg);
}

/* Number of entries whose position is below pos. */
static uint32_t rank(const struct lev_entries *e, uint64_t pos)
{
    uint32_t lo = 0, hi = e->len;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (lev_entries_at(e, mid)->pos < pos)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

void lev_entries_insert(struct lev_entries *e, const struct lev_entry *x)
{
    if (e->len == 0 || x->pos > lev_entries_at(e, e->len - 1)->pos) {
        lev_entries_push_back(e, x);
        return;
    }
    uint32_t at = rank(e, x->pos);
    lev_entries_push_front(e, x);
    for (uint32_t i = 0; i < at; i++)
        *lev_entries_at(e, i) = *lev_entries_at(e, i + 1);
    *lev_entries_at(e, at) = *x;
}

struct lev_entry lev_entries_pop_back(struct lev_entries *e)
{
    struct lev_entry x = *lev_entries_at(e, e->len - 1);
    e->len--;
    e->bytes -= lev_msg_size(x.msg);
    return x;
}

void lev_entries_shrink(struct lev_entries *e)
{
    if (e->len == 0 && e->cap > 1024) {
        free(e->a);
        lev_entries_init(e);
    }
}
