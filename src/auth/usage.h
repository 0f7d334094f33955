/* How many connections and channels each user has open, in all vhosts and loops, and how many they
 * may have. Thread-safe (own lock). */
#ifndef LEV_AUTH_USAGE_H
#define LEV_AUTH_USAGE_H

#include "base/bytes.h"

struct lev_usage;
/* A user's. Valid until the usage is freed. */
struct lev_user_usage;

enum lev_used { LEV_USED_CONNECTIONS, LEV_USED_CHANNELS, LEV_USED_KINDS };

/* The most of each; UINT64_MAX: no limit. */
struct lev_user_limits {
    uint64_t max[LEV_USED_KINDS];
};

struct lev_usage *lev_usage_new(void);
/* Accepts a pointer to NULL. */
void lev_usage_free(struct lev_usage **u);

/* Without it a user has no limits. Who is above them already stays so. */
void lev_usage_limit(struct lev_usage *u, struct lev_bytes user, const struct lev_user_limits *l);
/* Only for users that exist: what is made stays. Never NULL. */
struct lev_user_usage *lev_usage_of(struct lev_usage *u, struct lev_bytes user);

/* One more; false, with the limit, when there are as many as there may be. */
bool lev_usage_take(struct lev_user_usage *of, enum lev_used what, uint64_t *limit_r);
/* One less. */
void lev_usage_give_back(struct lev_user_usage *of, enum lev_used what);

#endif
