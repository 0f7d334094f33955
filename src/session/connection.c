/* A connection's states and channels. See conn.h. Loop thread. */
#include "auth/usage.h"
#include "base/log.h"
#include "base/mem.h"
#include "session/loop.h"
#include "session/whole.h"

static const struct {
    const char *name;
    unsigned next; /* states it may move to */
} states[LEV_CONN_STATES] = {
    [LEV_CONN_HEADER] = {"header",
                         1 << LEV_CONN_START | 1 << LEV_CONN_DROPPING | 1 << LEV_CONN_GONE},
    [LEV_CONN_START] = {"start", 1 << LEV_CONN_TUNE | 1 << LEV_CONN_CLOSING |
                                     1 << LEV_CONN_DROPPING | 1 << LEV_CONN_GONE},
    [LEV_CONN_TUNE] = {"tune", 1 << LEV_CONN_OPEN | 1 << LEV_CONN_DROPPING | 1 << LEV_CONN_GONE},
    [LEV_CONN_OPEN] = {"open", 1 << LEV_CONN_RUNNING | 1 << LEV_CONN_CLOSING |
                                   1 << LEV_CONN_DROPPING | 1 << LEV_CONN_GONE},
    [LEV_CONN_RUNNING] = {"running",
                          1 << LEV_CONN_CLOSING | 1 << LEV_CONN_DROPPING | 1 << LEV_CONN_GONE},
    [LEV_CONN_CLOSING] = {"closing", 1 << LEV_CONN_DROPPING | 1 << LEV_CONN_GONE},
    [LEV_CONN_DROPPING] = {"dropping", 1 << LEV_CONN_GONE},
    [LEV_CONN_GONE] = {"gone", 0},
};

void lev_conn_set_state(struct lev_conn *c, enum lev_conn_state to)
{
    if (c->state == to)
        return;
    if (!(states[c->state].next & 1u << to)) {
        lev_log_error("conn %s:%d: impossible move from %s to %s",
                      lev_transport_peer_host(c->transport), lev_transport_peer_port(c->transport),
                      states[c->state].name, states[to].name);
        abort();
    }
    c->state = to;
}

void lev_conn_log(const struct lev_conn *c, const char *event, const char *cause)
{
    lev_log_info("%s %s:%d -> %s:%d%s%s", event, lev_transport_peer_host(c->transport),
                 lev_transport_peer_port(c->transport), lev_transport_local_host(c->transport),
                 lev_transport_local_port(c->transport), *cause ? ": " : "", cause);
}

void lev_conn_hangup(struct lev_conn *c, bool abort_it)
{
    if (c->state == LEV_CONN_GONE)
        return;
    lev_conn_set_state(c, LEV_CONN_GONE);
    c->gone = true;
    lev_transport_close(c->transport, abort_it);
}

void lev_conn_drop_later(struct lev_conn *c)
{
    if (c->state == LEV_CONN_GONE)
        return;
    lev_conn_set_state(c, LEV_CONN_DROPPING);
    c->deadline_ms = lev_loop_now_ms(c->sl->loop) + LEV_DROP_MS;
}

void lev_conn_uncount(struct lev_conn *c)
{
    if (c->usage)
        lev_usage_give_back(c->usage, LEV_USED_CONNECTIONS);
    c->usage = NULL;
}

/* --- channels --- */

/* Index of the first channel with a number not below it. */
static size_t place(const struct lev_conn *c, uint16_t number)
{
    size_t lo = 0, hi = c->n_channels;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (c->channels[mid]->number < number)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

struct lev_channel *lev_conn_channel(struct lev_conn *c, uint16_t number)
{
    if (c->last_channel && c->last_channel->number == number)
        return c->last_channel;
    size_t i = place(c, number);
    if (i == c->n_channels || c->channels[i]->number != number)
        return NULL;
    c->last_channel = c->channels[i];
    return c->channels[i];
}

struct lev_channel *lev_conn_add_channel(struct lev_conn *c, uint16_t number, uint64_t *limit_r)
{
    if (!lev_usage_take(c->usage, LEV_USED_CHANNELS, limit_r))
        return NULL;
    size_t i = place(c, number);
    if (c->n_channels == c->cap_channels) {
        c->cap_channels = c->cap_channels ? c->cap_channels * 2 : 2;
        c->channels = lev_xrealloc(c->channels, c->cap_channels * sizeof(struct lev_channel *));
    }
    struct lev_channel *ch = lev_xcalloc(1, sizeof(*ch));
    ch->conn = c;
    ch->number = number;
    memmove(c->channels + i + 1, c->channels + i,
            (c->n_channels - i) * sizeof(struct lev_channel *));
    c->channels[i] = ch;
    c->n_channels++;
    return ch;
}

void lev_conn_drop_channel(struct lev_conn *c, struct lev_channel *ch)
{
    size_t i = place(c, ch->number);
    c->n_channels--;
    lev_usage_give_back(c->usage, LEV_USED_CHANNELS);
    memmove(c->channels + i, c->channels + i + 1,
            (c->n_channels - i) * sizeof(struct lev_channel *));
    c->last_channel = NULL;
    if (c->borrowed == &ch->as)
        c->borrowed = NULL;
    lev_assembly_reset(&ch->as);
    lev_bytes_free(&ch->last_queue);
    lev_bytes_free(&ch->write_granted);
    lev_repeat_free(&ch->repeat);
    free(ch);
}
