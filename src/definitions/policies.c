/* Policies from meta.db into the engine. See definitions.h. */
#include <stdio.h>

#include "base/log.h"
#include "broker/policy.h"
#include "definitions/definitions_int.h"
#include "definitions/json.h"

struct loader {
    struct lev_bytes vhost;
    struct lev_policy_set *set;
};

/* 0, or -1 with what is wrong. */
static int put(struct loader *l, const struct lev_meta_policy *p, char *wrong)
{
    json_t *j = json_loadb((const char *)p->definition.ptr, p->definition.len, 0, NULL);
    struct lev_buf table;
    lev_buf_init(&table);
    const char *text = json_is_object(j) ? lev_json_to_table(j, &table) : "not a JSON object";
    struct lev_policy_def d = {.name = p->name,
                               .pattern = p->pattern,
                               .apply_to = p->apply_to,
                               .definition = lev_buf_view(&table),
                               .priority = p->priority};
    int rc = text ? -1
                  : lev_policy_set_put(
                        l->set, p->of_operator ? LEV_OPERATOR_POLICY : LEV_USER_POLICY, &d, wrong);
    if (text)
        snprintf(wrong, LEV_POLICY_ERR_MAX, "%s", text);
    lev_buf_deinit(&table);
    json_decref(j);
    return rc;
}

static void load(void *ctx, const struct lev_meta_policy *p)
{
    struct loader *l = ctx;
    char wrong[LEV_POLICY_ERR_MAX];
    if (!lev_bytes_eq(p->vhost, l->vhost))
        return;
    if (!l->set)
        l->set = lev_policy_set_new();
    if (put(l, p, wrong) < 0)
        lev_log_warn("policy '%.*s' in vhost '%.*s' is left out: %s", LEV_FMT(p->name),
                     LEV_FMT(p->vhost), wrong);
}

int lev_definitions_policies(struct lev_meta *meta, struct lev_bytes vhost,
                             struct lev_policy_set **set_r, char err[LEV_DEFINITIONS_ERR_MAX])
{
    struct loader l = {.vhost = vhost};
    int rc = lev_meta_each_policy(meta, load, &l);
    if (rc < 0) {
        snprintf(err, LEV_DEFINITIONS_ERR_MAX, "cannot read the policies: %s",
                 lev_meta_error(meta));
        lev_policy_set_free(&l.set);
    }
    *set_r = l.set;
    return rc;
}
