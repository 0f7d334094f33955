/* Users and their permissions, held in memory as one directory that a reload replaces whole.
 *
 * Invariants
 * 1. directory is replaced under the write lock and only read under the read lock.
 * 2. epoch is increased after the new directory is in place, so that who reads the epoch first and
 * the directory second never keeps an old answer under a new epoch. Any thread. */
#include "auth/auth.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "auth/password.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "store/meta.h"

enum { N_PERMS = 3 };

/* What a user may do in one vhost, or with the topics of one exchange there. A pattern that does
 * not compile is NULL and matches nothing. */
struct grant {
    struct lev_bytes place;
    pcre2_code *pattern[N_PERMS]; /* by enum lev_perm */
};

enum { PLACE_MAX = 1 + 2 * 255 };

struct user {
    struct lev_bytes name, hash, algorithm, tags;
    struct lev_map grants; /* by vhost */
    struct lev_map topics; /* by topic_place */
};

struct directory {
    struct lev_map users; /* by name */
};

struct lev_auth {
    struct lev_meta *meta;
    char **loopback_users; /* ends with NULL */
    pthread_rwlock_t lock;
    struct directory *directory; /* under lock */
    _Atomic uint64_t epoch;
};

/* ---- The directory ---- */

static void grant_free(struct grant *g)
{
    for (int i = 0; i < N_PERMS; i++)
        pcre2_code_free(g->pattern[i]);
    lev_bytes_free(&g->place);
    free(g);
}

static void grants_free(struct lev_map *grants)
{
    LEV_MAP_EACH(slot, grants)
    grant_free(slot->value);
    lev_map_deinit(grants);
}

/* Takes g. */
static void put_grant(struct lev_map *grants, struct grant *g)
{
    struct grant *old = lev_map_put(grants, g->place, g);
    if (old)
        grant_free(old);
}

static void user_free(struct user *u)
{
    grants_free(&u->grants);
    grants_free(&u->topics);
    lev_bytes_free(&u->name);
    lev_bytes_free(&u->hash);
    lev_bytes_free(&u->algorithm);
    lev_bytes_free(&u->tags);
    free(u);
}

static void directory_free(struct directory *d)
{
    if (!d)
        return;
    LEV_MAP_EACH(slot, &d->users)
    user_free(slot->value);
    lev_map_deinit(&d->users);
    free(d);
}

static void load_user(void *ctx, const struct lev_meta_user *m)
{
    struct directory *d = ctx;
    struct user *u = lev_xcalloc(1, sizeof(*u));
    u->name = lev_bytes_dup(m->name);
    u->hash = lev_bytes_dup(m->password_hash);
    u->algorithm = lev_bytes_dup(m->hashing_algorithm);
    u->tags = lev_bytes_dup(m->tags);
    lev_map_init(&u->grants);
    lev_map_init(&u->topics);
    struct user *old = lev_map_put(&d->users, u->name, u);
    if (old)
        user_free(old);
}

/* Unanchored, on bytes. The empty pattern stands for the empty name alone. */
static pcre2_code *compile(struct lev_bytes pattern, struct lev_bytes user, struct lev_bytes vhost)
{
    int code;
    PCRE2_SIZE at;
    struct lev_bytes p = pattern.len ? pattern : LEV_LIT("^$");
    pcre2_code *re = pcre2_compile(p.ptr, p.len, 0, &code, &at, NULL);
    if (!re)
        lev_log_warn("user '%.*s': permission pattern '%.*s' in vhost '%.*s' is not a regular "
                     "expression and matches nothing",
                     LEV_FMT(user), LEV_FMT(pattern), LEV_FMT(vhost));
    return re;
}

static void load_permission(void *ctx, const struct lev_meta_permission *m)
{
    struct directory *d = ctx;
    struct user *u = lev_map_get(&d->users, m->user);
    if (!u)
        return;
    struct grant *g = lev_xcalloc(1, sizeof(*g));
    g->place = lev_bytes_dup(m->vhost);
    g->pattern[LEV_PERM_CONFIGURE] = compile(m->configure, m->user, m->vhost);
    g->pattern[LEV_PERM_WRITE] = compile(m->write, m->user, m->vhost);
    g->pattern[LEV_PERM_READ] = compile(m->read, m->user, m->vhost);
    put_grant(&u->grants, g);
}

/* No two pairs have the same. Empty: a name is too long to be one of ours. */
static struct lev_bytes topic_place(struct lev_bytes vhost, struct lev_bytes exchange,
                                    uint8_t to[PLACE_MAX])
{
    if (vhost.len > 255 || exchange.len > 255)
        return LEV_EMPTY;
    to[0] = (uint8_t)vhost.len;
    if (vhost.len)
        memcpy(to + 1, vhost.ptr, vhost.len);
    if (exchange.len)
        memcpy(to + 1 + vhost.len, exchange.ptr, exchange.len);
    return lev_bytes(to, 1 + vhost.len + exchange.len);
}

/* So that the pattern finds the name and nothing else. */
static void put_literally(struct lev_buf *out, struct lev_bytes name)
{
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = name.ptr[i];
        bool plain = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
        if (!plain && c > ' ' && c < 0x7f && !(c >= '0' && c <= '9'))
            lev_buf_put8(out, '\\');
        lev_buf_put8(out, c);
    }
}

/* With {username} and {vhost} filled in. */
static pcre2_code *compile_topic(struct lev_bytes pattern,
                                 const struct lev_meta_topic_permission *m)
{
    const struct {
        struct lev_bytes word, value;
    } words[] = {{LEV_LIT("{username}"), m->user}, {LEV_LIT("{vhost}"), m->vhost}};
    struct lev_buf out;
    lev_buf_init(&out);
    while (pattern.len) {
        size_t i = 0;
        while (i < 2 && !lev_bytes_starts(pattern, words[i].word))
            i++;
        size_t n = i < 2 ? words[i].word.len : 1;
        if (i < 2)
            put_literally(&out, words[i].value);
        else
            lev_buf_put8(&out, *pattern.ptr);
        pattern = lev_bytes(pattern.ptr + n, pattern.len - n);
    }
    pcre2_code *re = out.failed ? NULL : compile(lev_buf_view(&out), m->user, m->vhost);
    lev_buf_deinit(&out);
    return re;
}

static void load_topic_permission(void *ctx, const struct lev_meta_topic_permission *m)
{
    struct directory *d = ctx;
    struct user *u = lev_map_get(&d->users, m->user);
    uint8_t room[PLACE_MAX];
    struct lev_bytes place = topic_place(m->vhost, m->exchange, room);
    if (!u || !place.len)
        return;
    struct grant *g = lev_xcalloc(1, sizeof(*g));
    g->place = lev_bytes_dup(place);
    g->pattern[LEV_PERM_WRITE] = compile_topic(m->write, m);
    g->pattern[LEV_PERM_READ] = compile_topic(m->read, m);
    put_grant(&u->topics, g);
}

int lev_auth_reload(struct lev_auth *a, char *errbuf, size_t errlen)
{
    struct directory *d = lev_xcalloc(1, sizeof(*d));
    lev_map_init(&d->users);
    int rc = lev_meta_each_user(a->meta, load_user, d);
    if (rc == 0)
        rc = lev_meta_each_permission(a->meta, load_permission, d);
    if (rc == 0)
        rc = lev_meta_each_topic_permission(a->meta, load_topic_permission, d);
    if (rc < 0) {
        snprintf(errbuf, errlen, "cannot read the users: %s", lev_meta_error(a->meta));
        directory_free(d);
        return rc;
    }
    pthread_rwlock_wrlock(&a->lock);
    struct directory *old = a->directory;
    a->directory = d;
    pthread_rwlock_unlock(&a->lock);
    atomic_fetch_add(&a->epoch, 1);
    directory_free(old);
    return 0;
}

/* ---- The default user ---- */

/* NULL, or what went wrong. */
static const char *create_default_user(struct lev_auth *a, const struct lev_auth_options *o)
{
    struct lev_bytes name = lev_bytes_str(o->default_user ? o->default_user : "guest");
    struct lev_bytes vhost = lev_bytes_str(o->default_vhost ? o->default_vhost : "/");
    char hash[LEV_PASSWORD_HASH_MAX];
    struct lev_bytes password = lev_bytes_str(o->default_password ? o->default_password : "guest");
    if (lev_password_hash(password, hash) < 0)
        return "no random numbers or no SHA-256";
    struct lev_meta_user u = {.name = name,
                              .password_hash = lev_bytes_str(hash),
                              .hashing_algorithm = LEV_LIT(LEV_PASSWORD_ALGORITHM),
                              .tags = LEV_LIT("administrator")};
    struct lev_meta_vhost v = {.name = vhost, .description = LEV_LIT("Default virtual host")};
    struct lev_meta_permission p = {.user = name,
                                    .vhost = vhost,
                                    .configure = LEV_LIT(".*"),
                                    .write = LEV_LIT(".*"),
                                    .read = LEV_LIT(".*")};
    /* The user last: there being a user is what says that all this was done. */
    uint32_t id;
    int rc = lev_bytes_eq(vhost, LEV_LIT("/")) ? 0 : lev_meta_put_vhost(a->meta, &v, &id);
    if (rc == 0)
        rc = lev_meta_put_permission(a->meta, &p);
    if (rc == 0)
        rc = lev_meta_put_user(a->meta, &u);
    return rc < 0 ? lev_meta_error(a->meta) : NULL;
}

static int ensure_user(struct lev_auth *a, const struct lev_auth_options *o, char *errbuf,
                       size_t errlen)
{
    if (a->directory->users.len > 0 || o->no_default_user)
        return 0;
    const char *failure = create_default_user(a, o);
    if (failure) {
        snprintf(errbuf, errlen, "cannot create the default user: %s", failure);
        return LEV_EIO;
    }
    return lev_auth_reload(a, errbuf, errlen);
}

static char **copy_list(const char *const *list)
{
    size_t n = 0;
    while (list[n])
        n++;
    char **copy = lev_xcalloc(n + 1, sizeof(*copy));
    for (size_t i = 0; i < n; i++)
        copy[i] = (char *)(uintptr_t)lev_bytes_dup(lev_bytes_str(list[i])).ptr;
    return copy;
}

/* Questions never cease on a busy broker: a reload that waits for its turn goes first. */
static void init_lock(pthread_rwlock_t *lock)
{
    pthread_rwlockattr_t attr;
    pthread_rwlockattr_init(&attr);
    pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(lock, &attr);
    pthread_rwlockattr_destroy(&attr);
}

struct lev_auth *lev_auth_new(struct lev_meta *meta, const struct lev_auth_options *options,
                              char *errbuf, size_t errlen)
{
    static const char *const guest_only[] = {"guest", NULL};
    static const struct lev_auth_options none;
    const struct lev_auth_options *o = options ? options : &none;
    struct lev_auth *a = lev_xcalloc(1, sizeof(*a));
    a->meta = meta;
    a->loopback_users = copy_list(o->loopback_users ? o->loopback_users : guest_only);
    init_lock(&a->lock);
    if (lev_auth_reload(a, errbuf, errlen) < 0 || ensure_user(a, o, errbuf, errlen) < 0)
        lev_auth_free(&a);
    return a;
}

void lev_auth_free(struct lev_auth **ap)
{
    struct lev_auth *a = *ap;
    if (!a)
        return;
    directory_free(a->directory);
    for (char **u = a->loopback_users; *u; u++)
        free(*u);
    free(a->loopback_users);
    pthread_rwlock_destroy(&a->lock);
    free(a);
    *ap = NULL;
}

/* ---- Questions ---- */

bool lev_auth_password(struct lev_auth *a, struct lev_bytes user, struct lev_bytes password)
{
    pthread_rwlock_rdlock(&a->lock);
    const struct user *u = lev_map_get(&a->directory->users, user);
    bool right = u && lev_password_verify(u->hash, u->algorithm, password);
    pthread_rwlock_unlock(&a->lock);
    return right;
}

bool lev_auth_loopback_only(struct lev_auth *a, struct lev_bytes user)
{
    for (char **name = a->loopback_users; *name; name++)
        if (lev_bytes_eq(lev_bytes_str(*name), user))
            return true;
    return false;
}

/* Under the lock. */
static const struct grant *grant_of(struct lev_auth *a, struct lev_bytes user,
                                    struct lev_bytes vhost)
{
    const struct user *u = lev_map_get(&a->directory->users, user);
    return u ? lev_map_get(&u->grants, vhost) : NULL;
}

bool lev_auth_vhost(struct lev_auth *a, struct lev_bytes user, struct lev_bytes vhost)
{
    pthread_rwlock_rdlock(&a->lock);
    bool has = grant_of(a, user, vhost) != NULL;
    pthread_rwlock_unlock(&a->lock);
    return has;
}

static bool matches(const pcre2_code *re, struct lev_bytes name)
{
    pcre2_match_data *found = re ? pcre2_match_data_create(1, NULL) : NULL;
    if (!found)
        return false;
    /* PCRE2 takes no NULL subject, not even an empty one. */
    const uint8_t *subject = name.len ? name.ptr : (const uint8_t *)"";
    int rc = pcre2_match(re, subject, name.len, 0, 0, found, NULL);
    pcre2_match_data_free(found);
    return rc >= 0;
}

bool lev_auth_permit(struct lev_auth *a, struct lev_bytes user, struct lev_bytes vhost,
                     enum lev_perm what, struct lev_bytes resource)
{
    pthread_rwlock_rdlock(&a->lock);
    const struct grant *g = grant_of(a, user, vhost);
    bool may = g && matches(g->pattern[what], resource);
    pthread_rwlock_unlock(&a->lock);
    return may;
}

/* Under the lock. */
static const struct grant *topic_grant_of(struct lev_auth *a, struct lev_bytes user,
                                          struct lev_bytes vhost, struct lev_bytes exchange)
{
    uint8_t room[PLACE_MAX];
    const struct user *u = lev_map_get(&a->directory->users, user);
    return u ? lev_map_get(&u->topics, topic_place(vhost, exchange, room)) : NULL;
}

bool lev_auth_topics_ruled(struct lev_auth *a, struct lev_bytes user, struct lev_bytes vhost,
                           struct lev_bytes exchange)
{
    pthread_rwlock_rdlock(&a->lock);
    bool ruled = topic_grant_of(a, user, vhost, exchange) != NULL;
    pthread_rwlock_unlock(&a->lock);
    return ruled;
}

bool lev_auth_topic(struct lev_auth *a, struct lev_bytes user, struct lev_bytes vhost,
                    struct lev_bytes exchange, enum lev_perm what, struct lev_bytes key)
{
    pthread_rwlock_rdlock(&a->lock);
    const struct grant *g = topic_grant_of(a, user, vhost, exchange);
    bool may = !g || matches(g->pattern[what], key);
    pthread_rwlock_unlock(&a->lock);
    return may;
}

uint64_t lev_auth_epoch(const struct lev_auth *a)
{
    return atomic_load(&a->epoch);
}

static bool list_has(struct lev_bytes list, struct lev_bytes word)
{
    while (list.len > 0) {
        const uint8_t *comma = memchr(list.ptr, ',', list.len);
        size_t n = comma ? (size_t)(comma - list.ptr) : list.len;
        if (lev_bytes_eq(lev_bytes(list.ptr, n), word))
            return true;
        n += comma != NULL;
        list = lev_bytes(list.ptr + n, list.len - n);
    }
    return false;
}

bool lev_auth_has_tag(struct lev_auth *a, struct lev_bytes user, const char *tag)
{
    pthread_rwlock_rdlock(&a->lock);
    const struct user *u = lev_map_get(&a->directory->users, user);
    bool has = u && list_has(u->tags, lev_bytes_str(tag));
    pthread_rwlock_unlock(&a->lock);
    return has;
}
