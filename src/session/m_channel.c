/* Class channel, and access.request, which does nothing any more. Lock held. */
#include "session/loop.h"

static int on_open(struct lev_channel *ch, struct lev_error *err)
{
    struct lev_method ok = {.id = LEV_M_CHANNEL_OPEN_OK};
    if (ch->chan.client)
        return lev_fail(err, LEV_CHANNEL_ERROR, "second 'channel.open' seen");
    lev_chan_init(&ch->chan, &ch->conn->client, ch->number);
    lev_conn_send(ch->conn, ch->number, &ok);
    return 0;
}

static int on_flow(struct lev_channel *ch, const struct lev_channel_flow *m, struct lev_error *err)
{
    struct lev_method ok = {.id = LEV_M_CHANNEL_FLOW_OK};
    if (!m->active)
        return lev_fail(err, LEV_NOT_IMPLEMENTED, "active=false");
    ok.u.channel_flow_ok.active = true;
    lev_conn_send(ch->conn, ch->number, &ok);
    return 0;
}

static int on_close(struct lev_channel *ch)
{
    struct lev_method ok = {.id = LEV_M_CHANNEL_CLOSE_OK};
    struct lev_conn *c = ch->conn;
    lev_chan_deinit(&ch->chan);
    lev_conn_send(c, ch->number, &ok);
    lev_conn_drop_channel(c, ch);
    return 0;
}

int lev_on_channel_method(struct lev_channel *ch, const struct lev_method *m, struct lev_error *err)
{
    struct lev_method ticket = {.id = LEV_M_ACCESS_REQUEST_OK};
    switch (m->id) {
    case LEV_M_CHANNEL_OPEN:
        return on_open(ch, err);
    case LEV_M_CHANNEL_FLOW:
        return on_flow(ch, &m->u.channel_flow, err);
    case LEV_M_CHANNEL_CLOSE:
        return on_close(ch);
    case LEV_M_ACCESS_REQUEST:
        ticket.u.access_request_ok.ticket = 1;
        lev_conn_send(ch->conn, ch->number, &ticket);
        return 0;
    default:
        return lev_fail(err, LEV_COMMAND_INVALID, "unimplemented method");
    }
}
