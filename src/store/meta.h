/* What is not a vhost's own: dir/meta.db with users, vhosts, permissions, policies and parameters.
 * Synchronous; every change is on stable storage when the call returns, or, inside lev_meta_begin
 * and lev_meta_commit, when the commit does. One thread at a time (the caller's lock).
 *
 * Errors: LEV_ENOTFOUND, LEV_EIO, LEV_EFULL, LEV_EBUSY, LEV_ECORRUPT, LEV_EVERSION, LEV_ENOMEM; the
 * text of the last one from lev_meta_error. */
#ifndef LEV_STORE_META_H
#define LEV_STORE_META_H

#include "base/bytes.h"

enum { LEV_META_ERR_MAX = 512 };

struct lev_meta;

struct lev_meta_user {
    struct lev_bytes name, password_hash, hashing_algorithm; /* hash: as stored, opaque */
    struct lev_bytes tags;                                   /* comma separated */
};

struct lev_meta_vhost {
    uint32_t id; /* directory vhosts/<id>; given by the store, never reused */
    struct lev_bytes name, description;
    struct lev_bytes tags; /* comma separated */
    struct lev_bytes default_queue_type;
};

struct lev_meta_permission {
    struct lev_bytes user, vhost, configure, write, read;
};

struct lev_meta_topic_permission {
    struct lev_bytes user, vhost, exchange, write, read;
};

struct lev_meta_policy {
    struct lev_bytes vhost, name, pattern, apply_to;
    struct lev_bytes definition; /* JSON */
    int64_t priority;
    bool of_operator;
};

/* What plugins and limits set; global parameters have no vhost and no component. */
struct lev_meta_parameter {
    struct lev_bytes vhost, component, name;
    struct lev_bytes value; /* JSON */
};

/* Opens, creating it with the vhost "/" (id 1, "Default virtual host") when there is none. 0, or an
 * error with one line in errbuf and *meta_r NULL. */
int lev_meta_open(const char *dir, struct lev_meta **meta_r, char errbuf[LEV_META_ERR_MAX])
    __attribute__((warn_unused_result));
/* Accepts a pointer to NULL. */
void lev_meta_close(struct lev_meta **meta);
const char *lev_meta_error(const struct lev_meta *meta);

/* Several changes as one: all of what is put between begin and commit, or nothing after rollback
 * (which also closes what a failed commit left open). Deletes have transactions of their own: not
 * in between. */
int lev_meta_begin(struct lev_meta *meta);
int lev_meta_commit(struct lev_meta *meta);
void lev_meta_rollback(struct lev_meta *meta);

/* Visits all, by name. The views are valid during the call back, which must not call into meta. */
int lev_meta_each_user(struct lev_meta *meta, void (*fn)(void *ctx, const struct lev_meta_user *u),
                       void *ctx);
int lev_meta_each_vhost(struct lev_meta *meta,
                        void (*fn)(void *ctx, const struct lev_meta_vhost *v), void *ctx);
int lev_meta_each_permission(struct lev_meta *meta,
                             void (*fn)(void *ctx, const struct lev_meta_permission *p), void *ctx);
int lev_meta_each_topic_permission(struct lev_meta *meta,
                                   void (*fn)(void *ctx, const struct lev_meta_topic_permission *p),
                                   void *ctx);
int lev_meta_each_policy(struct lev_meta *meta,
                         void (*fn)(void *ctx, const struct lev_meta_policy *p), void *ctx);
int lev_meta_each_parameter(struct lev_meta *meta,
                            void (*fn)(void *ctx, const struct lev_meta_parameter *p), void *ctx);

/* Adds or replaces. */
int lev_meta_put_user(struct lev_meta *meta, const struct lev_meta_user *u);
/* Removes the user and its permissions. LEV_ENOTFOUND when there is none. */
int lev_meta_delete_user(struct lev_meta *meta, struct lev_bytes name);

/* Adds (v->id is ignored, the new id goes to *id_r) or, when the name is there, changes the rest of
 * it. */
int lev_meta_put_vhost(struct lev_meta *meta, const struct lev_meta_vhost *v, uint32_t *id_r);
/* Removes the vhost and its permissions, policies and parameters. LEV_ENOTFOUND when there is none.
 * The directory is the caller's. */
int lev_meta_delete_vhost(struct lev_meta *meta, struct lev_bytes name);

/* Adds or replaces the permission of (user, vhost). Neither end is checked. */
int lev_meta_put_permission(struct lev_meta *meta, const struct lev_meta_permission *p);
int lev_meta_delete_permission(struct lev_meta *meta, struct lev_bytes user,
                               struct lev_bytes vhost);
/* The same for (user, vhost, exchange). */
int lev_meta_put_topic_permission(struct lev_meta *meta, const struct lev_meta_topic_permission *p);
int lev_meta_delete_topic_permission(struct lev_meta *meta, struct lev_bytes user,
                                     struct lev_bytes vhost, struct lev_bytes exchange);

/* Adds or replaces the policy (vhost, of_operator, name). Nothing is checked. */
int lev_meta_put_policy(struct lev_meta *meta, const struct lev_meta_policy *p);
int lev_meta_delete_policy(struct lev_meta *meta, struct lev_bytes vhost, bool of_operator,
                           struct lev_bytes name);

/* Adds or replaces the parameter (vhost, component, name). Nothing is checked. */
int lev_meta_put_parameter(struct lev_meta *meta, const struct lev_meta_parameter *p);
int lev_meta_delete_parameter(struct lev_meta *meta, struct lev_bytes vhost,
                              struct lev_bytes component, struct lev_bytes name);

#endif
