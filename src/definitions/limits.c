/* Limits of vhosts and users from meta.db, where they are parameters. See definitions.h. */
#include <jansson.h>
#include <stdio.h>

#include "auth/usage.h"
#include "broker/vhost.h"
#include "definitions/definitions.h"
#include "store/meta.h"

struct loader {
    struct lev_bytes vhost;
    struct lev_vhost_limits *limits;
};

/* Negative: no limit. */
static uint64_t limit(const json_t *object, const char *key)
{
    const json_t *n = json_object_get(object, key);
    return json_is_integer(n) && json_integer_value(n) >= 0 ? (uint64_t)json_integer_value(n)
                                                            : UINT64_MAX;
}

static void load(void *ctx, const struct lev_meta_parameter *p)
{
    struct loader *l = ctx;
    if (!lev_bytes_eq(p->component, LEV_LIT("vhost-limits")) || !lev_bytes_eq(p->vhost, l->vhost))
        return;
    json_t *j = json_loadb((const char *)p->value.ptr, p->value.len, 0, NULL);
    l->limits->connections = limit(j, "max-connections");
    l->limits->queues = limit(j, "max-queues");
    json_decref(j);
}

static int failed(int rc, struct lev_meta *meta, char *err)
{
    if (rc < 0)
        snprintf(err, LEV_DEFINITIONS_ERR_MAX, "cannot read the limits: %s", lev_meta_error(meta));
    return rc;
}

int lev_definitions_limits(struct lev_meta *meta, struct lev_bytes vhost,
                           struct lev_vhost_limits *limits_r, char err[LEV_DEFINITIONS_ERR_MAX])
{
    struct loader l = {.vhost = vhost, .limits = limits_r};
    *limits_r = (struct lev_vhost_limits){UINT64_MAX, UINT64_MAX};
    return failed(lev_meta_each_parameter(meta, load, &l), meta, err);
}

static void load_user(void *ctx, const struct lev_meta_parameter *p)
{
    if (!lev_bytes_eq(p->component, LEV_LIT("user-limits")))
        return;
    json_t *j = json_loadb((const char *)p->value.ptr, p->value.len, 0, NULL);
    struct lev_user_limits limits = {.max = {[LEV_USED_CONNECTIONS] = limit(j, "max-connections"),
                                             [LEV_USED_CHANNELS] = limit(j, "max-channels")}};
    lev_usage_limit(ctx, p->name, &limits);
    json_decref(j);
}

int lev_definitions_user_limits(struct lev_meta *meta, struct lev_usage *usage,
                                char err[LEV_DEFINITIONS_ERR_MAX])
{
    return failed(lev_meta_each_parameter(meta, load_user, usage), meta, err);
}
