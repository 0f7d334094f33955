/* Exchange type headers: a binding's arguments are compared with the message's headers (headers.h).
 * Bindings are tried one by one; their rules are compiled when they are made, and the message's
 * headers are sorted once per message. Runs under the vhost's lock. */
#include "broker/binding.h"
#include "broker/exchange.h"
#include "broker/headers.h"
#include "broker/route.h"

static int headers_check(struct lev_topology *t, const struct lev_binding_def *d,
                         const struct lev_dest *dest, struct lev_error *err)
{
    (void)t;
    (void)dest;
    return lev_headers_check(d->arguments, err);
}

static void headers_add(struct lev_exchange *x, struct lev_binding *b)
{
    (void)x;
    b->rule = lev_headers_rule_new(lev_binding_args(b));
}

static void headers_remove(struct lev_exchange *x, struct lev_binding *b)
{
    (void)x;
    lev_headers_rule_free(&b->rule);
}

static void headers_route(struct lev_exchange *x, struct lev_walk *w)
{
    const struct lev_headers_index *ix = lev_walk_headers(w);
    LEV_LIST_EACH(it, nx, &x->out)
    {
        struct lev_binding *b = LEV_LIST_ENTRY(it, struct lev_binding, source_node);
        if (lev_headers_match(b->rule, ix))
            lev_walk_visit(w, b);
    }
}

const struct lev_exchange_type lev_exchange_headers = {
    .name = {(const uint8_t *)"headers", 7},
    .keyless = true,
    .uncached = true,
    .check = headers_check,
    .add = headers_add,
    .remove = headers_remove,
    .route = headers_route,
};
