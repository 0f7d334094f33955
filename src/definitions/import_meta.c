/* Importing what meta.db keeps: users, vhosts, permissions, policies, parameters. See
 * definitions.h. */
#include <stdio.h>

#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "definitions/definitions_int.h"

struct importer {
    struct lev_meta *meta;
    struct lev_map users, vhosts; /* names there are; the values are the owned keys */
    bool parameters;              /* there were some */
};

/* ---- Names ---- */

static void add_name(struct lev_map *names, struct lev_bytes name)
{
    if (lev_map_get(names, name))
        return;
    struct lev_bytes copy = lev_bytes_dup(name);
    lev_map_put(names, copy, (void *)(uintptr_t)copy.ptr);
}

static void note_user(void *ctx, const struct lev_meta_user *u)
{
    struct importer *im = ctx;
    add_name(&im->users, u->name);
}

static void note_vhost(void *ctx, const struct lev_meta_vhost *v)
{
    struct importer *im = ctx;
    add_name(&im->vhosts, v->name);
}

static void free_names(struct lev_map *names)
{
    LEV_MAP_EACH(slot, names)
    free(slot->value);
    lev_map_deinit(names);
}

static int need_vhost(struct item *it, const struct importer *im, struct lev_bytes name)
{
    return lev_map_get(&im->vhosts, name)
               ? 0
               : lev_def_fail_(it, "there is no vhost '%.*s'", LEV_FMT(name));
}

static int need_user(struct item *it, const struct importer *im, struct lev_bytes name)
{
    return lev_map_get(&im->users, name)
               ? 0
               : lev_def_fail_(it, "there is no user '%.*s'", LEV_FMT(name));
}

/* ---- Objects ---- */

/* What a write came to. */
static int written(struct item *it, const struct importer *im, int rc)
{
    return rc < 0 ? lev_def_fail_(it, "%s", lev_meta_error(im->meta)) : 0;
}

static int put_limits(struct item *it, struct importer *im, const char *component,
                      struct lev_bytes vhost, struct lev_bytes name)
{
    struct lev_meta_parameter p = {.vhost = vhost, .name = name};
    if (!lev_def_limits_(it, component, &p))
        return 0;
    return written(it, im, lev_meta_put_parameter(im->meta, &p));
}

static int import_user(struct item *it, void *ctx)
{
    struct importer *im = ctx;
    struct lev_meta_user u;
    if (lev_def_user_(it, &u) < 0 || written(it, im, lev_meta_put_user(im->meta, &u)) < 0)
        return -1;
    add_name(&im->users, u.name);
    return put_limits(it, im, "user-limits", LEV_EMPTY, u.name);
}

static int import_vhost(struct item *it, void *ctx)
{
    struct importer *im = ctx;
    struct lev_meta_vhost v;
    uint32_t id;
    if (lev_def_vhost_(it, &v) < 0 || written(it, im, lev_meta_put_vhost(im->meta, &v, &id)) < 0)
        return -1;
    add_name(&im->vhosts, v.name);
    return put_limits(it, im, "vhost-limits", v.name, LEV_LIT("limits"));
}

static int import_permission(struct item *it, void *ctx)
{
    struct importer *im = ctx;
    struct lev_meta_permission p;
    if (lev_def_permission_(it, &p) < 0 || need_user(it, im, p.user) < 0 ||
        need_vhost(it, im, p.vhost) < 0)
        return -1;
    return written(it, im, lev_meta_put_permission(im->meta, &p));
}

static int import_topic_permission(struct item *it, void *ctx)
{
    struct importer *im = ctx;
    struct lev_meta_topic_permission p;
    if (lev_def_topic_permission_(it, &p) < 0 || need_user(it, im, p.user) < 0 ||
        need_vhost(it, im, p.vhost) < 0)
        return -1;
    return written(it, im, lev_meta_put_topic_permission(im->meta, &p));
}

static int import_policy(struct item *it, void *ctx)
{
    struct importer *im = ctx;
    struct lev_meta_policy p;
    if (lev_def_policy_(it, &p) < 0 || need_vhost(it, im, p.vhost) < 0)
        return -1;
    return written(it, im, lev_meta_put_policy(im->meta, &p));
}

static int import_parameter(struct item *it, void *ctx)
{
    struct importer *im = ctx;
    struct lev_meta_parameter p;
    struct lev_meta_policy policy;
    bool is_policy;
    if (lev_def_parameter_(it, &p, &is_policy, &policy) < 0 || need_vhost(it, im, p.vhost) < 0)
        return -1;
    bool limits = lev_bytes_eq(p.component, LEV_LIT("vhost-limits"));
    im->parameters |= !is_policy && !limits;
    return written(it, im,
                   is_policy ? lev_meta_put_policy(im->meta, &policy)
                             : lev_meta_put_parameter(im->meta, &p));
}

static int import_global_parameter(struct item *it, void *ctx)
{
    struct importer *im = ctx;
    struct lev_meta_parameter p;
    if (lev_def_global_parameter_(it, &p) < 0)
        return -1;
    return written(it, im, lev_meta_put_parameter(im->meta, &p));
}

/* Exchanges, queues and bindings come later; that there is a place for them is seen to now. */
static int check_place(struct item *it, void *ctx)
{
    struct lev_bytes vhost = LEV_EMPTY;
    return lev_def_vhost_of_(it, &vhost) < 0 ? -1 : need_vhost(it, ctx, vhost);
}

/* ---- All of it ---- */

static int import_all(const struct lev_definitions *d, struct importer *im, char *err)
{
    static const struct {
        const char *array;
        int (*import)(struct item *it, void *ctx);
    } order[] = {
        {"users", import_user},
        {"vhosts", import_vhost},
        {"permissions", import_permission},
        {"exchanges", check_place},
        {"topic_permissions", import_topic_permission},
        {"global_parameters", import_global_parameter},
        {"policies", import_policy},
        {"parameters", import_parameter},
        {"queues", check_place},
        {"bindings", check_place},
    };
    for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++)
        if (lev_def_each_(d, order[i].array, order[i].import, im, err) < 0)
            return -1;
    return 0;
}

static void warn_of_no_effect(const struct importer *im)
{
    if (im->users.len == 0)
        lev_log_warn("definitions: there are no users, and no default user is made");
    if (im->parameters)
        lev_log_warn("definitions: parameters of components are kept, but have no effect");
}

static int in_transaction(const struct lev_definitions *d, struct importer *im, char *err)
{
    struct lev_meta *m = im->meta;
    int rc = lev_meta_begin(m);
    if (rc == 0 && import_all(d, im, err) < 0) {
        lev_meta_rollback(m);
        return -1;
    }
    if (rc == 0)
        rc = lev_meta_commit(m);
    if (rc < 0) {
        snprintf(err, LEV_DEFINITIONS_ERR_MAX, "cannot import definitions: %s", lev_meta_error(m));
        lev_meta_rollback(m);
    }
    return rc < 0 ? -1 : 0;
}

int lev_definitions_import_meta(const struct lev_definitions *d, struct lev_meta *meta,
                                char err[LEV_DEFINITIONS_ERR_MAX])
{
    struct importer im = {.meta = meta};
    lev_map_init(&im.users);
    lev_map_init(&im.vhosts);
    int rc = lev_meta_each_user(meta, note_user, &im);
    if (rc == 0)
        rc = lev_meta_each_vhost(meta, note_vhost, &im);
    if (rc < 0)
        snprintf(err, LEV_DEFINITIONS_ERR_MAX, "%s", lev_meta_error(meta));
    else
        rc = in_transaction(d, &im, err);
    if (rc == 0)
        warn_of_no_effect(&im);
    free_names(&im.users);
    free_names(&im.vhosts);
    return rc < 0 ? -1 : 0;
}
