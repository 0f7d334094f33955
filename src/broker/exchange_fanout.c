/* Exchange type fanout: every binding takes every message. The exchange's own list of bindings is
 * all it needs. Runs under the vhost's lock. */
#include "broker/binding.h"
#include "broker/exchange.h"
#include "broker/route.h"

static void fanout_route(struct lev_exchange *x, struct lev_walk *w)
{
    LEV_LIST_EACH(it, nx, &x->out)
    lev_walk_visit(w, LEV_LIST_ENTRY(it, struct lev_binding, source_node));
}

const struct lev_exchange_type lev_exchange_fanout = {
    .name = {(const uint8_t *)"fanout", 6},
    .keyless = true,
    .route = fanout_route,
};
