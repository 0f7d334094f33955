/* The set of loops as a whole: made, started, stopped. See net_int.h for the invariants.
 *
 * Stopping is in two steps: every thread closes its connections and ends; then, with no thread left
 * that could wake another, the handles are closed and the loops freed. */
#include "net/net_int.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"

/* One for two CPUs: the stores' threads and the kernel's network work need the others, and what
 * goes from one loop to another costs a wake-up. */
static int default_loops(long cpus)
{
    long n = cpus / 2;
    return n < 1 ? 1 : n > 1024 ? 1024 : (int)n;
}

static int init_loops(struct lev_net *n)
{
    for (int i = 0; i < n->n_loops; i++) {
        int rc = lev_loop_init_(&n->loops[i], n, i);
        if (rc < 0)
            return rc;
    }
    int rc = uv_timer_init(&n->loops[0].uv, &n->accept_resume);
    n->accept_resume.data = n;
    n->accept_resume_open = rc == 0;
    return rc;
}

struct lev_net *lev_net_new(int n_loops, bool busy_wait, const struct lev_net_handler *h, void *ctx,
                            char *errbuf, size_t errlen)
{
    struct lev_net *n = lev_xcalloc(1, sizeof(*n));
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    n->handler = h;
    n->ctx = ctx;
    n->n_loops = n_loops > 0 ? n_loops : default_loops(cpus);
    n->busy_wait = busy_wait && cpus > 1;
    n->loops = lev_xcalloc((size_t)n->n_loops, sizeof(*n->loops));
    lev_list_init(&n->listeners);
    int rc = init_loops(n);
    if (rc < 0) {
        snprintf(errbuf, errlen, "cannot make an event loop: %s", uv_strerror(rc));
        lev_net_stop(&n);
    }
    return n;
}

int lev_net_listen(struct lev_net *n, const struct lev_listen *l, int *port_r, char *errbuf,
                   size_t errlen)
{
    char name[INET6_ADDRSTRLEN + 16];
    int fd = lev_listen_socket_(l, port_r, name, sizeof(name), errbuf, errlen);
    if (fd < 0)
        return -1;
    int rc = lev_listener_open_(n, fd, name);
    if (rc < 0) {
        snprintf(errbuf, errlen, "cannot listen on %s: %s", name, uv_strerror(rc));
        close(fd);
        return -1;
    }
    lev_log_info("started TCP listener on %s", name);
    return 0;
}

int lev_net_start(struct lev_net *n, char *errbuf, size_t errlen)
{
    /* Signals are for the threads of whoever made us. */
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    lev_listeners_resume_(n);
    int rc = 0;
    for (int i = 0; i < n->n_loops && rc == 0; i++)
        rc = lev_loop_start_(&n->loops[i]);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (rc == 0)
        return 0;
    snprintf(errbuf, errlen, "cannot start an event loop: %s", strerror(rc));
    return -1;
}

void lev_net_stop_accepting(struct lev_net *n)
{
    atomic_store(&n->accept_stop_wanted, true);
    lev_loop_nudge_(&n->loops[0]);
}

static void stop_threads(struct lev_net *n)
{
    for (int i = 0; i < n->n_loops; i++)
        if (n->loops[i].started)
            lev_loop_ask_stop_(&n->loops[i]);
    for (int i = 0; i < n->n_loops; i++)
        if (n->loops[i].started)
            lev_loop_join_(&n->loops[i]);
}

void lev_net_stop(struct lev_net **np)
{
    struct lev_net *n = *np;
    if (!n)
        return;
    if (n->loops[0].started)
        lev_net_stop_accepting(n);
    stop_threads(n);
    lev_listeners_stop_(n);
    if (n->accept_resume_open)
        uv_close((uv_handle_t *)&n->accept_resume, NULL);
    for (int i = 0; i < n->n_loops; i++)
        lev_loop_deinit_(&n->loops[i]);
    free(n->loops);
    free(n);
    *np = NULL;
}

int lev_net_loop_count(const struct lev_net *n)
{
    return n->n_loops;
}

struct lev_loop *lev_net_loop(struct lev_net *n, int index)
{
    return &n->loops[index];
}
