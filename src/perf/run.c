/* Start line, failure and finish of a run's worker threads. */
#include "perf/run.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "perf/clock.h"

int lev_perf_run_init(struct lev_perf_run *run, const struct lev_perf_options *options,
                      const struct lev_perf_topology *topology, unsigned capacity)
{
    size_t bytes = (capacity ? capacity : 1) * sizeof *run->workers;

    memset(run, 0, sizeof *run);
    run->options = options;
    run->topology = topology;
    run->workers = aligned_alloc(_Alignof(struct lev_perf_worker), bytes);
    if (!run->workers)
        return -1;
    memset(run->workers, 0, bytes);
    pthread_mutex_init(&run->lock, NULL);
    pthread_cond_init(&run->changed, NULL);
    return 0;
}

void lev_perf_run_deinit(struct lev_perf_run *run)
{
    free(run->workers);
    run->workers = NULL;
    pthread_cond_destroy(&run->changed);
    pthread_mutex_destroy(&run->lock);
}

int lev_perf_run_fail(struct lev_perf_run *run, const char *format, ...)
{
    va_list args;

    pthread_mutex_lock(&run->lock);
    if (!run->error[0]) {
        va_start(args, format);
        vsnprintf(run->error, sizeof run->error, format, args);
        va_end(args);
    }
    atomic_store(&run->stop, true);
    pthread_cond_broadcast(&run->changed);
    pthread_mutex_unlock(&run->lock);
    return -1;
}

bool lev_perf_run_failed(struct lev_perf_run *run)
{
    bool failed;

    pthread_mutex_lock(&run->lock);
    failed = run->error[0] != '\0';
    pthread_mutex_unlock(&run->lock);
    return failed;
}

static void *worker_main(void *arg)
{
    struct lev_perf_worker *worker = arg;
    char name[64];

    /* Pacing by ppoll must not be rounded to the default 50 us; without the finer slack it is only
     * less even. */
    (void)prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
    snprintf(name, sizeof name, "leveret-perf %s %u", worker->kind, worker->index);
    if (lev_perf_connection_open(&worker->conn, &worker->run->options->uri, name) < 0 ||
        worker->body(worker) < 0)
        (void)lev_perf_run_fail(worker->run, "%s %u: %s", worker->kind, worker->index,
                                worker->conn.error);
    lev_perf_connection_close(&worker->conn);
    return NULL;
}

int lev_perf_run_start(struct lev_perf_run *run, const char *kind, unsigned count,
                       int (*body)(struct lev_perf_worker *worker))
{
    for (unsigned i = 0; i < count; i++) {
        struct lev_perf_worker *worker = &run->workers[run->started];
        int rv;

        worker->run = run;
        worker->index = i;
        worker->kind = kind;
        worker->body = body;
        rv = pthread_create(&worker->thread, NULL, worker_main, worker);
        if (rv != 0)
            return lev_perf_run_fail(run, "cannot start a thread: %s", strerror(rv));
        run->started++;
    }
    return 0;
}

int lev_perf_run_await_ready(struct lev_perf_run *run)
{
    pthread_mutex_lock(&run->lock);
    while (run->ready < run->started && !run->error[0])
        pthread_cond_wait(&run->changed, &run->lock);
    pthread_mutex_unlock(&run->lock);
    return lev_perf_run_failed(run) ? -1 : 0;
}

void lev_perf_run_go(struct lev_perf_run *run)
{
    pthread_mutex_lock(&run->lock);
    run->go = true;
    run->go_ns = lev_perf_now_ns();
    pthread_cond_broadcast(&run->changed);
    pthread_mutex_unlock(&run->lock);
}

bool lev_perf_worker_ready(struct lev_perf_worker *worker)
{
    struct lev_perf_run *run = worker->run;
    bool go;

    pthread_mutex_lock(&run->lock);
    run->ready++;
    pthread_cond_broadcast(&run->changed);
    while (!run->go && !atomic_load(&run->stop))
        pthread_cond_wait(&run->changed, &run->lock);
    go = run->go;
    pthread_mutex_unlock(&run->lock);
    return go;
}

int lev_perf_run_stop(struct lev_perf_run *run)
{
    pthread_mutex_lock(&run->lock);
    atomic_store(&run->stop, true);
    pthread_cond_broadcast(&run->changed);
    pthread_mutex_unlock(&run->lock);
    for (; run->joined < run->started; run->joined++)
        pthread_join(run->workers[run->joined].thread, NULL);
    return lev_perf_run_failed(run) ? -1 : 0;
}

void lev_perf_run_totals(const struct lev_perf_run *run, struct lev_perf_totals *totals_r)
{
    memset(totals_r, 0, sizeof *totals_r);
    for (unsigned i = 0; i < run->started; i++) {
        const struct lev_perf_tally *t = &run->workers[i].tally;
        uint64_t last_ns = atomic_load_explicit(&t->last_ns, memory_order_relaxed);

        totals_r->published += atomic_load_explicit(&t->published, memory_order_relaxed);
        totals_r->confirmed += atomic_load_explicit(&t->confirmed, memory_order_relaxed);
        totals_r->nacked += atomic_load_explicit(&t->nacked, memory_order_relaxed);
        totals_r->returned += atomic_load_explicit(&t->returned, memory_order_relaxed);
        totals_r->delivered += atomic_load_explicit(&t->delivered, memory_order_relaxed);
        totals_r->blocked += atomic_load_explicit(&t->blocked, memory_order_relaxed);
        totals_r->finished += atomic_load_explicit(&t->finished, memory_order_relaxed);
        if (last_ns > totals_r->last_ns)
            totals_r->last_ns = last_ns;
    }
}
