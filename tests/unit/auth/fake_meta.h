/* A meta.db in memory, for the tests of src/auth: what store/meta.h promises, and failures on
 * command. */
#ifndef LEV_TESTS_AUTH_FAKE_META_H
#define LEV_TESTS_AUTH_FAKE_META_H

#include "store/meta.h"

enum { FAKE_MAX = 16 };

struct lev_meta {
    struct lev_meta_user users[FAKE_MAX];
    struct lev_meta_permission permissions[FAKE_MAX];
    struct lev_meta_topic_permission topics[FAKE_MAX];
    struct lev_meta_vhost vhosts[FAKE_MAX];
    int n_users, n_permissions, n_topics, n_vhosts;
    bool fail_reads, fail_writes;
};

/* The text of a failure. */
#define FAKE_ERROR "the disk is on fire"

/* Adds; strings are copied. */
void fake_user(struct lev_meta *m, const char *name, const char *hash, const char *algorithm,
               const char *tags);
void fake_permission(struct lev_meta *m, const char *user, const char *vhost, const char *configure,
                     const char *write, const char *read);
void fake_topic(struct lev_meta *m, const char *user, const char *vhost, const char *exchange,
                const char *write, const char *read);
void fake_clear(struct lev_meta *m);

#endif
