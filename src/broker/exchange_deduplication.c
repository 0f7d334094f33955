/* Exchange type x-message-deduplication: a fanout exchange that drops messages it has seen. What it
 * has seen, and that it is asked before anything is routed, is not the type's own: any exchange can
 * have that by argument (dedup.h). Runs under the vhost's lock. */
#include "amqp/table.h"
#include "broker/binding.h"
#include "broker/dedup.h"
#include "broker/exchange.h"
#include "broker/route.h"

static int check_persistence(struct lev_bytes arguments, struct lev_error *err)
{
    struct lev_value v;
    if (!lev_table_get(arguments, "x-cache-persistence", &v) ||
        (v.type == 'S' &&
         (lev_bytes_eq(v.b, LEV_LIT("disk")) || lev_bytes_eq(v.b, LEV_LIT("memory")))))
        return 0;
    return lev_fail(err, LEV_PRECONDITION_FAILED,
                    "Invalid argument, 'x-cache-persistence' must be either 'disk' or 'memory'");
}

static int deduplication_validate(const struct lev_exchange_def *d, struct lev_error *err)
{
    struct lev_value v;
    if (!lev_dedup_number(d->arguments, "x-cache-size"))
        return lev_fail(err, LEV_PRECONDITION_FAILED,
                        "Missing or invalid argument, 'x-cache-size' must be an integer greater "
                        "than 0");
    if (lev_table_get(d->arguments, "x-cache-ttl", &v) &&
        !lev_dedup_number(d->arguments, "x-cache-ttl"))
        return lev_fail(err, LEV_PRECONDITION_FAILED,
                        "Invalid argument, 'x-cache-ttl' must be an integer greater than 0");
    return check_persistence(d->arguments, err);
}

static void deduplication_route(struct lev_exchange *x, struct lev_walk *w)
{
    LEV_LIST_EACH(it, nx, &x->out)
    lev_walk_visit(w, LEV_LIST_ENTRY(it, struct lev_binding, source_node));
}

const struct lev_exchange_type lev_exchange_deduplication = {
    .name = {(const uint8_t *)"x-message-deduplication", 23},
    .keyless = true,
    .uncached = true,
    .validate = deduplication_validate,
    .route = deduplication_route,
};
