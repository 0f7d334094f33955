/* What users have open. See usage.h.
 *
 * One lock for all: connections and channels come and go seldom, compared with messages. */
#include "auth/usage.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/map.h"
#include "base/mem.h"

struct lev_user_usage {
    struct lev_usage *usage;
    struct lev_bytes name; /* owned */
    uint64_t n[LEV_USED_KINDS];
    struct lev_user_limits limits;
};

struct lev_usage {
    pthread_mutex_t lock;
    struct lev_map users; /* struct lev_user_usage, by name */
};

struct lev_usage *lev_usage_new(void)
{
    struct lev_usage *u = lev_xcalloc(1, sizeof(*u));
    pthread_mutex_init(&u->lock, NULL);
    lev_map_init(&u->users);
    return u;
}

void lev_usage_free(struct lev_usage **up)
{
    struct lev_usage *u = *up;
    *up = NULL;
    if (!u)
        return;
    LEV_MAP_EACH(slot, &u->users)
    {
        struct lev_user_usage *of = slot->value;
        lev_bytes_free(&of->name);
        free(of);
    }
    lev_map_deinit(&u->users);
    pthread_mutex_destroy(&u->lock);
    free(u);
}

/* Lock held. */
static struct lev_user_usage *get(struct lev_usage *u, struct lev_bytes user)
{
    struct lev_user_usage *of = lev_map_get(&u->users, user);
    if (of)
        return of;
    of = lev_xcalloc(1, sizeof(*of));
    of->usage = u;
    of->name = lev_bytes_dup(user);
    for (int i = 0; i < LEV_USED_KINDS; i++)
        of->limits.max[i] = UINT64_MAX;
    lev_map_put(&u->users, of->name, of);
    return of;
}

struct lev_user_usage *lev_usage_of(struct lev_usage *u, struct lev_bytes user)
{
    pthread_mutex_lock(&u->lock);
    struct lev_user_usage *of = get(u, user);
    pthread_mutex_unlock(&u->lock);
    return of;
}

void lev_usage_limit(struct lev_usage *u, struct lev_bytes user, const struct lev_user_limits *l)
{
    pthread_mutex_lock(&u->lock);
    get(u, user)->limits = *l;
    pthread_mutex_unlock(&u->lock);
}

bool lev_usage_take(struct lev_user_usage *of, enum lev_used what, uint64_t *limit_r)
{
    pthread_mutex_lock(&of->usage->lock);
    *limit_r = of->limits.max[what];
    bool free_one = of->n[what] < *limit_r;
    of->n[what] += free_one;
    pthread_mutex_unlock(&of->usage->lock);
    return free_one;
}

void lev_usage_give_back(struct lev_user_usage *of, enum lev_used what)
{
    pthread_mutex_lock(&of->usage->lock);
    of->n[what]--;
    pthread_mutex_unlock(&of->usage->lock);
}
