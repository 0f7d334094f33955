/* The confirm window. The ring spans twice the window, so that a late oldest tag does not at once
 * stop the publisher; next - low never exceeds the ring. */
#include "perf/confirm.h"

#include <stdlib.h>
#include <string.h>

int lev_perf_confirm_init(struct lev_perf_confirm *c, unsigned window)
{
    uint64_t size = 2;

    while (size < 2ull * window)
        size *= 2;
    memset(c, 0, sizeof *c);
    c->sent_at = calloc(size, sizeof *c->sent_at);
    if (!c->sent_at)
        return -1;
    c->mask = size - 1;
    c->window = window;
    c->low = 1;
    c->next = 1;
    return 0;
}

void lev_perf_confirm_deinit(struct lev_perf_confirm *c)
{
    free(c->sent_at);
    memset(c, 0, sizeof *c);
}

uint64_t lev_perf_confirm_room(const struct lev_perf_confirm *c)
{
    uint64_t window = c->window - c->outstanding;
    uint64_t ring = c->mask + 1 - (c->next - c->low);

    return window < ring ? window : ring;
}

void lev_perf_confirm_issue(struct lev_perf_confirm *c, uint64_t n, uint64_t now_ns)
{
    for (uint64_t i = 0; i < n; i++)
        c->sent_at[(c->next + i) & c->mask] = now_ns;
    c->next += n;
    c->outstanding += n;
}

/* Settles one tag of the ring; false when it was settled already. */
static bool settle_one(struct lev_perf_confirm *c, uint64_t tag, uint64_t now_ns,
                       struct lev_perf_histogram *took)
{
    uint64_t *slot = &c->sent_at[tag & c->mask];

    if (*slot == 0)
        return false;
    if (took)
        lev_perf_histogram_record(took, now_ns - *slot);
    *slot = 0;
    c->outstanding--;
    return true;
}

int64_t lev_perf_confirm_settle(struct lev_perf_confirm *c, uint64_t tag, bool multiple,
                                uint64_t now_ns, struct lev_perf_histogram *took)
{
    int64_t settled = 0;

    if (tag == 0 && multiple)
        tag = c->next - 1;
    if (tag >= c->next || (tag < c->low && !multiple))
        return -1;
    if (!multiple) {
        if (!settle_one(c, tag, now_ns, took))
            return -1;
        settled = 1;
    }
    for (; multiple && c->low <= tag; c->low++)
        settled += settle_one(c, c->low, now_ns, took);
    while (c->low < c->next && c->sent_at[c->low & c->mask] == 0)
        c->low++;
    return settled;
}
