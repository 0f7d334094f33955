/* See fake_meta.h. */
#include "fake_meta.h"

#include <check.h>
#include <stdlib.h>

#include "base/err.h"

const char *lev_meta_error(const struct lev_meta *m)
{
    (void)m;
    return FAKE_ERROR;
}

int lev_meta_each_user(struct lev_meta *m, void (*fn)(void *, const struct lev_meta_user *),
                       void *ctx)
{
    for (int i = 0; i < m->n_users && !m->fail_reads; i++)
        fn(ctx, &m->users[i]);
    return m->fail_reads ? LEV_EIO : 0;
}

int lev_meta_each_permission(struct lev_meta *m,
                             void (*fn)(void *, const struct lev_meta_permission *), void *ctx)
{
    for (int i = 0; i < m->n_permissions && !m->fail_reads; i++)
        fn(ctx, &m->permissions[i]);
    return m->fail_reads ? LEV_EIO : 0;
}

int lev_meta_each_topic_permission(struct lev_meta *m,
                                   void (*fn)(void *, const struct lev_meta_topic_permission *),
                                   void *ctx)
{
    for (int i = 0; i < m->n_topics && !m->fail_reads; i++)
        fn(ctx, &m->topics[i]);
    return m->fail_reads ? LEV_EIO : 0;
}

int lev_meta_put_user(struct lev_meta *m, const struct lev_meta_user *u)
{
    if (m->fail_writes)
        return LEV_EIO;
    ck_assert_int_lt(m->n_users, FAKE_MAX);
    m->users[m->n_users++] =
        (struct lev_meta_user){lev_bytes_dup(u->name), lev_bytes_dup(u->password_hash),
                               lev_bytes_dup(u->hashing_algorithm), lev_bytes_dup(u->tags)};
    return 0;
}

int lev_meta_put_vhost(struct lev_meta *m, const struct lev_meta_vhost *v, uint32_t *id_r)
{
    if (m->fail_writes)
        return LEV_EIO;
    ck_assert_int_lt(m->n_vhosts, FAKE_MAX);
    struct lev_meta_vhost *to = &m->vhosts[m->n_vhosts++];
    to->name = lev_bytes_dup(v->name);
    to->description = lev_bytes_dup(v->description);
    *id_r = to->id = (uint32_t)m->n_vhosts + 1;
    return 0;
}

int lev_meta_put_permission(struct lev_meta *m, const struct lev_meta_permission *p)
{
    if (m->fail_writes)
        return LEV_EIO;
    ck_assert_int_lt(m->n_permissions, FAKE_MAX);
    m->permissions[m->n_permissions++] = (struct lev_meta_permission){
        lev_bytes_dup(p->user), lev_bytes_dup(p->vhost), lev_bytes_dup(p->configure),
        lev_bytes_dup(p->write), lev_bytes_dup(p->read)};
    return 0;
}

void fake_user(struct lev_meta *m, const char *name, const char *hash, const char *algorithm,
               const char *tags)
{
    struct lev_meta_user u = {lev_bytes_str(name), lev_bytes_str(hash), lev_bytes_str(algorithm),
                              lev_bytes_str(tags)};
    ck_assert_int_eq(lev_meta_put_user(m, &u), 0);
}

void fake_permission(struct lev_meta *m, const char *user, const char *vhost, const char *configure,
                     const char *write, const char *read)
{
    struct lev_meta_permission p = {lev_bytes_str(user), lev_bytes_str(vhost),
                                    lev_bytes_str(configure), lev_bytes_str(write),
                                    lev_bytes_str(read)};
    ck_assert_int_eq(lev_meta_put_permission(m, &p), 0);
}

void fake_topic(struct lev_meta *m, const char *user, const char *vhost, const char *exchange,
                const char *write, const char *read)
{
    ck_assert_int_lt(m->n_topics, FAKE_MAX);
    m->topics[m->n_topics++] = (struct lev_meta_topic_permission){
        lev_bytes_dup(lev_bytes_str(user)), lev_bytes_dup(lev_bytes_str(vhost)),
        lev_bytes_dup(lev_bytes_str(exchange)), lev_bytes_dup(lev_bytes_str(write)),
        lev_bytes_dup(lev_bytes_str(read))};
}

void fake_clear(struct lev_meta *m)
{
    for (int i = 0; i < m->n_users; i++) {
        lev_bytes_free(&m->users[i].name);
        lev_bytes_free(&m->users[i].password_hash);
        lev_bytes_free(&m->users[i].hashing_algorithm);
        lev_bytes_free(&m->users[i].tags);
    }
    for (int i = 0; i < m->n_permissions; i++) {
        lev_bytes_free(&m->permissions[i].user);
        lev_bytes_free(&m->permissions[i].vhost);
        lev_bytes_free(&m->permissions[i].configure);
        lev_bytes_free(&m->permissions[i].write);
        lev_bytes_free(&m->permissions[i].read);
    }
    for (int i = 0; i < m->n_topics; i++) {
        lev_bytes_free(&m->topics[i].user);
        lev_bytes_free(&m->topics[i].vhost);
        lev_bytes_free(&m->topics[i].exchange);
        lev_bytes_free(&m->topics[i].write);
        lev_bytes_free(&m->topics[i].read);
    }
    for (int i = 0; i < m->n_vhosts; i++) {
        lev_bytes_free(&m->vhosts[i].name);
        lev_bytes_free(&m->vhosts[i].description);
    }
    *m = (struct lev_meta){0};
}
