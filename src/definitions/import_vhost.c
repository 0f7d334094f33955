/* Importing a vhost's exchanges, queues and bindings. See definitions.h. */
#include "broker/admin.h"
#include "broker/topology.h"
#include "broker/vhost.h"
#include "definitions/definitions_int.h"

enum { SLICE = 256 }; /* objects under one lock */

struct importer {
    struct lev_vhost *vhost;
    unsigned since_unlock;
};

/* The objects that the broker makes itself. */
static bool reserved(struct lev_bytes name)
{
    return name.len == 0 || lev_bytes_starts(name, LEV_LIT("amq."));
}

/* The object is in this vhost; lets others have the lock now and then. */
static bool concerns(struct item *it, struct importer *im)
{
    struct lev_bytes vhost;
    if (lev_def_vhost_of_(it, &vhost) < 0 || !lev_bytes_eq(vhost, lev_vhost_name(im->vhost)))
        return false;
    if (im->since_unlock++ == SLICE) {
        im->since_unlock = 0;
        lev_vhost_end_run(im->vhost);
        lev_vhost_unlock(im->vhost);
        lev_vhost_lock(im->vhost);
    }
    return true;
}

static int outcome(struct item *it, int rc, const struct lev_error *e)
{
    return rc < 0 ? lev_def_fail_(it, "%s", e->text) : 0;
}

static int import_exchange(struct item *it, void *ctx)
{
    struct importer *im = ctx;
    struct lev_topology *t = lev_vhost_topology(im->vhost);
    struct lev_exchange_def d;
    struct lev_error e;
    if (!concerns(it, im))
        return 0;
    if (lev_def_exchange_(it, &d) < 0)
        return -1;
    if (reserved(d.name) || lev_exchange_get(t, d.name))
        return 0;
    return outcome(it, lev_exchange_declare(t, &d, &e), &e);
}

static int import_queue(struct item *it, void *ctx)
{
    struct importer *im = ctx;
    struct lev_queue_declare_args a;
    struct lev_error e;
    if (!concerns(it, im))
        return 0;
    if (lev_def_queue_(it, &a) < 0)
        return -1;
    return reserved(a.name) ? 0 : outcome(it, lev_vhost_declare_queue(im->vhost, &a, &e), &e);
}

/* Queues named amq.* were not imported, so neither are bindings to those that are not there. */
static int import_binding(struct item *it, void *ctx)
{
    struct importer *im = ctx;
    struct lev_binding_def d;
    struct lev_error e;
    if (!concerns(it, im))
        return 0;
    if (lev_def_binding_(it, &d) < 0)
        return -1;
    if (d.source.len == 0)
        return 0;
    int rc = lev_bind(lev_vhost_topology(im->vhost), &d, &e);
    bool left_out = rc < 0 && e.code == LEV_NOT_FOUND && d.to_queue && reserved(d.destination);
    return left_out ? 0 : outcome(it, rc, &e);
}

int lev_definitions_import_vhost(const struct lev_definitions *d, struct lev_vhost *v,
                                 char err[LEV_DEFINITIONS_ERR_MAX])
{
    struct importer im = {.vhost = v};
    lev_vhost_lock(v);
    int rc = lev_def_each_(d, "exchanges", import_exchange, &im, err);
    if (rc == 0)
        rc = lev_def_each_(d, "queues", import_queue, &im, err);
    if (rc == 0)
        rc = lev_def_each_(d, "bindings", import_binding, &im, err);
    lev_vhost_end_run(v);
    lev_vhost_unlock(v);
    return rc;
}
