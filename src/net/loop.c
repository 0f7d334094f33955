/* One event loop: its thread, wake-ups, tick and inbox. See net_int.h for the invariants.
 *
 * lev_loop_wake and lev_loop_nudge_ are for any thread; everything else runs on the loop's thread,
 * or before the threads start, or after they ended. */
#include "net/net_int.h"

#include <sched.h>
#include <stdio.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"

static void adopt_newcomers(struct lev_loop *l)
{
    pthread_mutex_lock(&l->inbox_lock);
    struct newcomer *list = l->inbox;
    size_t n = l->inbox_len;
    l->inbox = NULL;
    l->inbox_len = l->inbox_cap = 0;
    pthread_mutex_unlock(&l->inbox_lock);
    for (size_t i = 0; i < n; i++) {
        if (l->stopping)
            close(list[i].fd);
        else
            lev_transport_open_(l, &list[i]);
    }
    free(list);
}

void lev_loop_maybe_end_(struct lev_loop *l)
{
    l->ended = l->stopping && lev_list_empty(&l->transports);
}

static void begin_stop(struct lev_loop *l)
{
    l->stopping = true;
    uv_timer_stop(&l->tick);
    LEV_LIST_EACH(it, nx, &l->transports)
    lev_transport_close(LEV_LIST_ENTRY(it, struct lev_transport, node), false);
    lev_loop_maybe_end_(l);
}

static void on_wake(uv_async_t *handle)
{
    struct lev_loop *l = handle->data;
    struct lev_net *n = l->net;
    l->served++;
    adopt_newcomers(l);
    if (l->index == 0 && atomic_load(&n->accept_stop_wanted))
        lev_listeners_stop_(n);
    if (atomic_exchange(&l->wake_wanted, false))
        n->handler->woken(n->ctx, l);
    if (!l->stopping && atomic_load(&l->stop_wanted))
        begin_stop(l);
}

static void on_tick(uv_timer_t *handle)
{
    struct lev_loop *l = handle->data;
    l->net->handler->tick(l->net->ctx, l, uv_now(&l->uv));
}

int lev_loop_init_(struct lev_loop *l, struct lev_net *net, int index)
{
    l->net = net;
    l->index = index;
    lev_list_init(&l->transports);
    int rc = uv_loop_init(&l->uv);
    if (rc < 0)
        return rc;
    rc = uv_async_init(&l->uv, &l->wake, on_wake);
    if (rc < 0) {
        uv_loop_close(&l->uv);
        return rc;
    }
    pthread_mutex_init(&l->inbox_lock, NULL);
    l->read_buf = lev_xmalloc(READ_SIZE);
    uv_timer_init(&l->uv, &l->tick);
    l->wake.data = l->tick.data = l;
    l->initialised = true;
    return 0;
}

/* Serves what comes soon after what was served last. Returns when nothing did. */
static void keep_awake(struct lev_loop *l)
{
    uint64_t start = uv_hrtime();
    while (!l->ended && lev_vigil_begin(&l->vigil, start)) {
        uint64_t served = l->served, now = start;
        for (unsigned i = 1; l->served == served && !l->ended && now - start < LEV_VIGIL_LOOK_NS;
             i++) {
            if (i % YIELD_EVERY == 0)
                sched_yield(); /* others that want this processor come first */
            uv_run(&l->uv, UV_RUN_NOWAIT);
            now = uv_hrtime();
        }
        lev_vigil_end(&l->vigil, now, now - start);
        if (l->served == served)
            return;
        start = now;
    }
}

static void *run_loop(void *arg)
{
    struct lev_loop *l = arg;
    uv_update_time(&l->uv);
    while (!l->ended) {
        uv_run(&l->uv, UV_RUN_ONCE);
        if (l->net->busy_wait)
            keep_awake(l);
    }
    return NULL;
}

int lev_loop_start_(struct lev_loop *l)
{
    uv_timer_start(&l->tick, on_tick, TICK_MS, TICK_MS);
    int rc = pthread_create(&l->thread, NULL, run_loop, l);
    if (rc != 0)
        return rc;
    l->started = true;
    char name[16];
    snprintf(name, sizeof(name), "lev-loop-%d", l->index % 1000);
    pthread_setname_np(l->thread, name);
    return 0;
}

void lev_loop_ask_stop_(struct lev_loop *l)
{
    atomic_store(&l->stop_wanted, true);
    lev_loop_nudge_(l);
}

void lev_loop_join_(struct lev_loop *l)
{
    pthread_join(l->thread, NULL);
    l->started = false;
}

void lev_loop_deinit_(struct lev_loop *l)
{
    if (!l->initialised)
        return;
    uv_close((uv_handle_t *)&l->wake, NULL);
    uv_close((uv_handle_t *)&l->tick, NULL);
    uv_run(&l->uv, UV_RUN_DEFAULT);
    if (uv_loop_close(&l->uv) < 0)
        lev_log_error("loop %d: left with open handles", l->index);
    for (size_t i = 0; i < l->inbox_len; i++)
        close(l->inbox[i].fd);
    free(l->inbox);
    free(l->read_buf);
    pthread_mutex_destroy(&l->inbox_lock);
    l->initialised = false;
}

void lev_loop_give_(struct lev_loop *l, const struct newcomer *n)
{
    pthread_mutex_lock(&l->inbox_lock);
    if (l->inbox_len == l->inbox_cap) {
        l->inbox_cap = l->inbox_cap ? 2 * l->inbox_cap : 16;
        l->inbox = lev_xrealloc(l->inbox, l->inbox_cap * sizeof(*l->inbox));
    }
    l->inbox[l->inbox_len++] = *n;
    pthread_mutex_unlock(&l->inbox_lock);
    lev_loop_nudge_(l);
}

void lev_loop_nudge_(struct lev_loop *l)
{
    uv_async_send(&l->wake);
}

void lev_loop_wake(struct lev_loop *l)
{
    if (!atomic_exchange(&l->wake_wanted, true))
        lev_loop_nudge_(l);
}

int lev_loop_index(const struct lev_loop *l)
{
    return l->index;
}

void lev_loop_set_data(struct lev_loop *l, void *data)
{
    l->data = data;
}

void *lev_loop_data(const struct lev_loop *l)
{
    return l->data;
}

uint64_t lev_loop_now_ms(const struct lev_loop *l)
{
    return uv_now(&l->uv);
}
