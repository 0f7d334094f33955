/* A vhost as its administrator sees it. See admin.h. */
#include "broker/admin.h"

#include "base/mem.h"
#include "broker/queue_args.h"
#include "broker/vhost_int.h"

enum { SLICE = 256 }; /* queues for which settings are resolved under one lock */

int lev_vhost_declare_queue(struct lev_vhost *v, const struct lev_queue_declare_args *a,
                            struct lev_error *err)
{
    if (lev_map_get(&v->queues, a->name))
        return 0;
    if (lev_queue_args_check(a, v->name, err) < 0)
        return -1;
    lev_queue_create(v, a, NULL);
    return 0;
}

/* ---- Policies ---- */

void lev_vhost_resolve(const struct lev_vhost *v, struct lev_bytes name, struct lev_bytes arguments,
                       struct lev_queue_settings *out)
{
    struct lev_policy_effect e;
    bool governed = lev_policy_of_queue(v->policies, name, lev_queue_type_of(arguments), &e);
    lev_settings_resolve(arguments, governed ? &e.values : NULL, out);
}

bool lev_vhost_policy_alternate(void *ctx, struct lev_bytes name, struct lev_bytes *alternate_r)
{
    const struct lev_vhost *v = ctx;
    struct lev_policy_effect e;
    return lev_policy_of_exchange(v->policies, name, &e) &&
           lev_policy_text(&e.values, LEV_POLICY_ALTERNATE_EXCHANGE, alternate_r);
}

const struct lev_policy_set *lev_vhost_policies(const struct lev_vhost *v)
{
    return v->policies;
}

/* All queues there are, each with a reference. */
static struct lev_queue **all_queues(struct lev_vhost *v, size_t *n_r)
{
    struct lev_queue **list = lev_xmalloc((v->queues.len + 1) * sizeof(*list));
    size_t n = 0;
    LEV_MAP_EACH(slot, &v->queues)
    list[n++] = lev_queue_ref(slot->value);
    *n_r = n;
    return list;
}

static void follow_policies(struct lev_vhost *v, struct lev_queue *q)
{
    struct lev_queue_settings settings;
    if (!q->deleted) {
        lev_vhost_resolve(v, q->dest.name, lev_queue_arguments(q), &settings);
        lev_queue_apply_settings(q, &settings);
    }
    lev_queue_unref(&q);
}

void lev_vhost_set_policies(struct lev_vhost *v, struct lev_policy_set *policies)
{
    size_t n;
    lev_vhost_lock(v);
    struct lev_policy_set *old = v->policies;
    v->policies = policies;
    lev_policy_set_free(&old);
    lev_topology_ask_policies(v->topology);
    struct lev_queue **queues = all_queues(v, &n);
    for (size_t i = 0; i < n; i++) {
        follow_policies(v, queues[i]);
        if (i % SLICE == SLICE - 1) {
            lev_vhost_end_run(v);
            lev_vhost_unlock(v);
            lev_vhost_lock(v);
        }
    }
    lev_vhost_end_run(v);
    lev_vhost_unlock(v);
    free(queues);
}
