/* Classes confirm and tx. Lock held. */
#include "session/loop.h"

static void answer(struct lev_channel *ch, enum lev_method_id id)
{
    lev_conn_send(ch->conn, ch->number, &(struct lev_method){.id = id});
}

static int on_confirm_select(struct lev_channel *ch, bool no_wait, struct lev_error *err)
{
    if (lev_confirm_select(&ch->chan, err) < 0)
        return -1;
    if (!no_wait)
        answer(ch, LEV_M_CONFIRM_SELECT_OK);
    return 0;
}

int lev_on_tx_method(struct lev_channel *ch, const struct lev_method *m, struct lev_error *err)
{
    switch (m->id) {
    case LEV_M_CONFIRM_SELECT:
        return on_confirm_select(ch, m->u.confirm_select.no_wait, err);
    case LEV_M_TX_SELECT:
        if (lev_tx_select(&ch->chan, err) < 0)
            return -1;
        answer(ch, LEV_M_TX_SELECT_OK);
        return 0;
    case LEV_M_TX_COMMIT:
        return lev_tx_commit(&ch->chan, err); /* commit-ok comes when the store has it */
    case LEV_M_TX_ROLLBACK:
        if (lev_tx_rollback(&ch->chan, err) < 0)
            return -1;
        answer(ch, LEV_M_TX_ROLLBACK_OK);
        return 0;
    default:
        return lev_fail(err, LEV_COMMAND_INVALID, "unimplemented method");
    }
}
