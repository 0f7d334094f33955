/* meta.db: topic permissions, policies, parameters. See meta.h. */
#include <stdio.h>

#include "base/err.h"
#include "store/meta_int.h"

/* ---- Visiting ---------------------------------------------------------------------------------
 */

struct topic_visitor {
    void (*fn)(void *ctx, const struct lev_meta_topic_permission *p);
    void *ctx;
};

static void visit_topic(const void *visitor, sqlite3_stmt *st)
{
    const struct topic_visitor *v = visitor;
    v->fn(v->ctx, &(struct lev_meta_topic_permission){.user = lev_sql_bytes(st, 0),
                                                      .vhost = lev_sql_bytes(st, 1),
                                                      .exchange = lev_sql_bytes(st, 2),
                                                      .write = lev_sql_bytes(st, 3),
                                                      .read = lev_sql_bytes(st, 4)});
}

int lev_meta_each_topic_permission(struct lev_meta *meta,
                                   void (*fn)(void *ctx, const struct lev_meta_topic_permission *p),
                                   void *ctx)
{
    const struct topic_visitor v = {fn, ctx};
    return lev_meta_each_(meta,
                          "SELECT user,vhost,exchange,write,read FROM topic_permission"
                          " ORDER BY user,vhost,exchange",
                          visit_topic, &v);
}

struct policy_visitor {
    void (*fn)(void *ctx, const struct lev_meta_policy *p);
    void *ctx;
};

static void visit_policy(const void *visitor, sqlite3_stmt *st)
{
    const struct policy_visitor *v = visitor;
    v->fn(v->ctx, &(struct lev_meta_policy){.vhost = lev_sql_bytes(st, 0),
                                            .name = lev_sql_bytes(st, 1),
                                            .pattern = lev_sql_bytes(st, 2),
                                            .apply_to = lev_sql_bytes(st, 3),
                                            .definition = lev_sql_bytes(st, 4),
                                            .priority = sqlite3_column_int64(st, 5),
                                            .of_operator = sqlite3_column_int(st, 6) != 0});
}

int lev_meta_each_policy(struct lev_meta *meta,
                         void (*fn)(void *ctx, const struct lev_meta_policy *p), void *ctx)
{
    const struct policy_visitor v = {fn, ctx};
    return lev_meta_each_(meta,
                          "SELECT vhost,name,pattern,apply_to,definition,priority,of_operator"
                          " FROM policy ORDER BY vhost,of_operator,name",
                          visit_policy, &v);
}

struct parameter_visitor {
    void (*fn)(void *ctx, const struct lev_meta_parameter *p);
    void *ctx;
};

static void visit_parameter(const void *visitor, sqlite3_stmt *st)
{
    const struct parameter_visitor *v = visitor;
    v->fn(v->ctx, &(struct lev_meta_parameter){.vhost = lev_sql_bytes(st, 0),
                                               .component = lev_sql_bytes(st, 1),
                                               .name = lev_sql_bytes(st, 2),
                                               .value = lev_sql_bytes(st, 3)});
}

int lev_meta_each_parameter(struct lev_meta *meta,
                            void (*fn)(void *ctx, const struct lev_meta_parameter *p), void *ctx)
{
    const struct parameter_visitor v = {fn, ctx};
    return lev_meta_each_(meta,
                          "SELECT vhost,component,name,value FROM parameter"
                          " ORDER BY vhost,component,name",
                          visit_parameter, &v);
}

/* ---- Changing ---------------------------------------------------------------------------------
 */

static int put(struct lev_meta *m, const char *sql, const struct lev_bytes *args, int n)
{
    int changed;
    return lev_meta_run_(m, sql, args, n, &changed);
}

/* The last of args is the name that the error tells. */
static int remove_one(struct lev_meta *m, const char *what, const char *sql,
                      const struct lev_bytes *args, int n)
{
    int changed = 0;
    int err = lev_meta_run_(m, sql, args, n, &changed);
    return err == 0 && changed == 0 ? lev_meta_not_found_(m, what, args[n - 1]) : err;
}

static struct lev_bytes flag(bool on)
{
    return on ? LEV_LIT("1") : LEV_LIT("0");
}

int lev_meta_put_topic_permission(struct lev_meta *meta, const struct lev_meta_topic_permission *p)
{
    const struct lev_bytes args[] = {p->user, p->vhost, p->exchange, p->write, p->read};
    return put(meta,
               "INSERT OR REPLACE INTO topic_permission(user,vhost,exchange,write,read)"
               " VALUES(?1,?2,?3,?4,?5)",
               args, 5);
}

int lev_meta_delete_topic_permission(struct lev_meta *meta, struct lev_bytes user,
                                     struct lev_bytes vhost, struct lev_bytes exchange)
{
    const struct lev_bytes args[] = {user, vhost, exchange};
    return remove_one(meta, "topic permission of exchange",
                      "DELETE FROM topic_permission WHERE user=?1 AND vhost=?2 AND exchange=?3",
                      args, 3);
}

int lev_meta_put_policy(struct lev_meta *meta, const struct lev_meta_policy *p)
{
    char priority[24];
    snprintf(priority, sizeof(priority), "%lld", (long long)p->priority);
    const struct lev_bytes args[] = {
        p->vhost,      flag(p->of_operator),   p->name, p->pattern, p->apply_to,
        p->definition, lev_bytes_str(priority)};
    return put(meta,
               "INSERT OR REPLACE INTO policy"
               "(vhost,of_operator,name,pattern,apply_to,definition,priority)"
               " VALUES(?1,?2,?3,?4,?5,?6,?7)",
               args, 7);
}

int lev_meta_delete_policy(struct lev_meta *meta, struct lev_bytes vhost, bool of_operator,
                           struct lev_bytes name)
{
    const struct lev_bytes args[] = {vhost, flag(of_operator), name};
    return remove_one(meta, "policy",
                      "DELETE FROM policy WHERE vhost=?1 AND of_operator=?2 AND name=?3", args, 3);
}

int lev_meta_put_parameter(struct lev_meta *meta, const struct lev_meta_parameter *p)
{
    const struct lev_bytes args[] = {p->vhost, p->component, p->name, p->value};
    return put(meta,
               "INSERT OR REPLACE INTO parameter(vhost,component,name,value) VALUES(?1,?2,?3,?4)",
               args, 4);
}

int lev_meta_delete_parameter(struct lev_meta *meta, struct lev_bytes vhost,
                              struct lev_bytes component, struct lev_bytes name)
{
    const struct lev_bytes args[] = {vhost, component, name};
    return remove_one(meta, "parameter",
                      "DELETE FROM parameter WHERE vhost=?1 AND component=?2 AND name=?3", args, 3);
}
