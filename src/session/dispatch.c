/* Channel methods to their class's handlers, after the policy that the method table carries. Lock
 * held. */
#include "session/loop.h"

int lev_dispatch(struct lev_channel *ch, const struct lev_method *m, struct lev_error *err)
{
    const struct lev_method_info *info = lev_method_info(m->id);
    if (m->id == LEV_M_BASIC_CANCEL_OK)
        return 0; /* some clients answer our basic.cancel, though it says no-wait */
    if (!(info->flags & LEV_MF_CLIENT) || (info->flags & LEV_MF_CHANNEL0))
        return lev_fail(err, LEV_COMMAND_INVALID, "unimplemented method");
    switch (info->class_id) {
    case 20:
    case 30:
        return lev_on_channel_method(ch, m, err);
    case 40:
        return lev_on_exchange_method(ch, m, err);
    case 50:
        return lev_on_queue_method(ch, m, err);
    case 60:
        return lev_on_basic_method(ch, m, err);
    default:
        return lev_on_tx_method(ch, m, err);
    }
}
