/* The ticker thread. See ticker.h. Lock order: a vhost's lock, then the ticker's. */
#include "ticker.h"

#include <pthread.h>
#include <signal.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "broker/vhost.h"

struct ticked {
    struct ticked *next;
    struct lev_ticker *ticker;
    struct lev_vhost *vhost;
    uint64_t due_ms; /* UINT64_MAX: nothing */
};

struct lev_ticker {
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct ticked *vhosts;
    bool ending;
};

static struct ticked *earliest(struct lev_ticker *t)
{
    struct ticked *first = NULL;
    for (struct ticked *v = t->vhosts; v; v = v->next)
        if (v->due_ms != UINT64_MAX && (!first || v->due_ms < first->due_ms))
            first = v;
    return first;
}

static void wait_until(struct lev_ticker *t, uint64_t due_ms)
{
    struct timespec ts = {.tv_sec = (time_t)(due_ms / 1000),
                          .tv_nsec = (long)(due_ms % 1000) * 1000000};
    pthread_cond_timedwait(&t->changed, &t->mutex, &ts);
}

static void *run(void *arg)
{
    struct lev_ticker *t = arg;
    pthread_mutex_lock(&t->mutex);
    while (!t->ending) {
        struct ticked *v = earliest(t);
        if (!v) {
            pthread_cond_wait(&t->changed, &t->mutex);
        } else if (v->due_ms > lev_clock_wall_ms()) {
            wait_until(t, v->due_ms);
        } else {
            v->due_ms = UINT64_MAX;
            pthread_mutex_unlock(&t->mutex);
            lev_vhost_tick(v->vhost);
            pthread_mutex_lock(&t->mutex);
        }
    }
    pthread_mutex_unlock(&t->mutex);
    return NULL;
}

static void on_alarm(void *ctx, uint64_t due_ms)
{
    struct ticked *v = ctx;
    struct lev_ticker *t = v->ticker;
    pthread_mutex_lock(&t->mutex);
    v->due_ms = due_ms;
    pthread_cond_signal(&t->changed);
    pthread_mutex_unlock(&t->mutex);
}

struct lev_ticker *lev_ticker_new(void)
{
    struct lev_ticker *t = lev_xcalloc(1, sizeof(*t));
    sigset_t all, old;
    pthread_mutex_init(&t->mutex, NULL);
    pthread_cond_init(&t->changed, NULL);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int rc = pthread_create(&t->thread, NULL, run, t);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (rc == 0) {
        pthread_setname_np(t->thread, "lev-ticker");
        return t;
    }
    pthread_cond_destroy(&t->changed);
    pthread_mutex_destroy(&t->mutex);
    free(t);
    return NULL;
}

void lev_ticker_add(struct lev_ticker *t, struct lev_vhost *vhost)
{
    struct ticked *v = lev_xcalloc(1, sizeof(*v));
    v->ticker = t;
    v->vhost = vhost;
    v->due_ms = UINT64_MAX;
    pthread_mutex_lock(&t->mutex);
    v->next = t->vhosts;
    t->vhosts = v;
    pthread_mutex_unlock(&t->mutex);
    lev_vhost_set_alarm(vhost, on_alarm, v);
    lev_vhost_tick(vhost); /* announces what recovery found due */
}

void lev_ticker_free(struct lev_ticker **tp)
{
    struct lev_ticker *t = *tp;
    *tp = NULL;
    if (!t)
        return;
    pthread_mutex_lock(&t->mutex);
    t->ending = true;
    pthread_cond_signal(&t->changed);
    pthread_mutex_unlock(&t->mutex);
    pthread_join(t->thread, NULL);
    while (t->vhosts) {
        struct ticked *v = t->vhosts;
        t->vhosts = v->next;
        lev_vhost_set_alarm(v->vhost, NULL, NULL);
        free(v);
    }
    pthread_cond_destroy(&t->changed);
    pthread_mutex_destroy(&t->mutex);
    free(t);
}
