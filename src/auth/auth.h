/* Users, passwords, permissions. Thread-safe (own lock); never blocks on disk in the
 * checks. */
#ifndef LEV_AUTH_AUTH_H
#define LEV_AUTH_AUTH_H

#include "base/bytes.h"

struct lev_auth;
struct lev_meta;

/* NULL or 0 anywhere: the default. */
struct lev_auth_options {
    /* The user made when there is none ("guest", "guest"), with all permissions on vhost ("/"),
     * which is made too. */
    const char *default_user, *default_password, *default_vhost;
    bool no_default_user; /* none is made */
    /* Users who may log in from loopback only; NULL: "guest". Empty list: nobody. */
    const char *const *loopback_users; /* ends with NULL */
};

/* Loads users and permissions from meta.db; creates the default user (tag administrator, full
 * permissions on the default vhost) when there are no users. Borrows meta; copies options, which
 * may be NULL. NULL with a line in errbuf. */
struct lev_auth *lev_auth_new(struct lev_meta *meta, const struct lev_auth_options *options,
                              char *errbuf, size_t errlen);
void lev_auth_free(struct lev_auth **a);

/* Reads users and permissions from meta.db anew. Not while another thread uses meta. 0, or LEV_E*
 * with a line in errbuf and nothing changed. */
int lev_auth_reload(struct lev_auth *a, char *errbuf, size_t errlen)
    __attribute__((warn_unused_result));

/* True when the password is the user's. Blank passwords never are. Constant-time comparison. */
bool lev_auth_password(struct lev_auth *a, struct lev_bytes user, struct lev_bytes password);
/* True when the user may log in only from loopback (default: guest). */
bool lev_auth_loopback_only(struct lev_auth *a, struct lev_bytes user);
/* True when the user has a permission record in the vhost. */
bool lev_auth_vhost(struct lev_auth *a, struct lev_bytes user, struct lev_bytes vhost);

enum lev_perm { LEV_PERM_CONFIGURE, LEV_PERM_WRITE, LEV_PERM_READ };
/* True when the user's pattern matches the resource name (default exchange as "amq.default"). */
bool lev_auth_permit(struct lev_auth *a, struct lev_bytes user, struct lev_bytes vhost,
                     enum lev_perm what, struct lev_bytes resource);
/* True when the user has a topic permission for the exchange. */
bool lev_auth_topics_ruled(struct lev_auth *a, struct lev_bytes user, struct lev_bytes vhost,
                           struct lev_bytes exchange);
/* True when there is none, or its pattern (write or read) matches the key. {username} and {vhost}
 * in patterns stand for these names, literally. */
bool lev_auth_topic(struct lev_auth *a, struct lev_bytes user, struct lev_bytes vhost,
                    struct lev_bytes exchange, enum lev_perm what, struct lev_bytes key);
/* Increases with every change of users or permissions: lets callers keep results. Lock-free. */
uint64_t lev_auth_epoch(const struct lev_auth *a);
/* True when the user has the tag. */
bool lev_auth_has_tag(struct lev_auth *a, struct lev_bytes user, const char *tag);

/* SASL. mechanisms: "PLAIN AMQPLAIN". */
enum lev_sasl { LEV_SASL_OK, LEV_SASL_REFUSED, LEV_SASL_MALFORMED, LEV_SASL_UNKNOWN };
/* Parses the response of mechanism and checks the password. On OK and REFUSED *user_r is a view
 * into response. Does not apply the loopback rule. */
enum lev_sasl lev_sasl_check(struct lev_auth *a, struct lev_bytes mechanism,
                             struct lev_bytes response, struct lev_bytes *user_r);

#endif
