/* See server.h. Connections belong to their loop's thread; counters are atomic. */
#include "server.h"

#include <check.h>
#include <stdlib.h>
#include <time.h>

#include "base/buf.h"
#include "base/mem.h"

struct server_conn {
    struct server *server;
    struct lev_transport *t;
    struct lev_buf out;
    bool chosen, pause_once, inside, ending;
};

static void *on_accepted(void *ctx, struct lev_loop *loop, struct lev_transport *t)
{
    struct server *s = ctx;
    if (atomic_load(&s->refuse))
        return NULL;
    struct server_conn *c = lev_xcalloc(1, sizeof(*c));
    c->server = s;
    c->t = t;
    lev_buf_init(&c->out);
    pthread_mutex_lock(&s->lock);
    strcpy(s->peer_host, lev_transport_peer_host(t));
    strcpy(s->local_host, lev_transport_local_host(t));
    s->peer_port = lev_transport_peer_port(t);
    s->local_port = lev_transport_local_port(t);
    s->loopback = lev_transport_peer_is_loopback(t);
    pthread_mutex_unlock(&s->lock);
    atomic_fetch_add(&s->on_loop[lev_loop_index(loop)], 1);
    atomic_fetch_add(&s->accepted, 1);
    return c;
}

static void flush_echo(struct server_conn *c)
{
    struct iovec iov = {.iov_base = c->out.ptr, .iov_len = c->out.len};
    ssize_t n = lev_transport_write(c->t, &iov, 1);
    if (n < 0) {
        c->ending = true;
        return;
    }
    lev_buf_consume(&c->out, (size_t)n);
    if (c->out.len)
        lev_transport_want_write(c->t);
    if (c->out.len > ECHO_HIGH)
        atomic_fetch_add(&c->server->pauses, 1);
    lev_transport_pause(c->t, c->out.len > ECHO_HIGH);
}

static void say_bye(struct server_conn *c)
{
    struct iovec iov[2] = {{.iov_base = (char[]){"by"}, .iov_len = 2},
                           {.iov_base = (char[]){"e"}, .iov_len = 1}};
    if (lev_transport_write(c->t, iov, 2) != 3)
        atomic_fetch_add(&c->server->misordered, 1);
}

static void end(struct server_conn *c, bool abort)
{
    c->ending = true;
    lev_transport_close(c->t, abort);
    /* A transport on its way out takes these calls and does nothing. */
    struct iovec iov = {.iov_base = (char[]){"x"}, .iov_len = 1};
    if (lev_transport_write(c->t, &iov, 1) != -1)
        atomic_fetch_add(&c->server->misordered, 1);
    lev_transport_want_write(c->t);
    lev_transport_pause(c->t, false);
    lev_transport_close(c->t, !abort);
}

static void hold(struct server_conn *c)
{
    lev_transport_pause(c->t, true);
    pthread_mutex_lock(&c->server->lock);
    c->server->paused = c;
    pthread_mutex_unlock(&c->server->lock);
}

static void act(struct server_conn *c, const uint8_t *data, size_t len)
{
    uint8_t command = c->chosen ? 0 : data[0];
    c->chosen = true;
    if (command == 'b')
        say_bye(c);
    if (command == 'q' || command == 'b') {
        end(c, false);
    } else if (command == 'a') {
        end(c, true);
    } else if (command == 'p') {
        hold(c);
    } else {
        lev_buf_put(&c->out, data, len);
        flush_echo(c);
    }
}

static void on_input(void *conn, const uint8_t *data, size_t len)
{
    struct server_conn *c = conn;
    if (c->ending || c->inside || len == 0)
        atomic_fetch_add(&c->server->misordered, 1);
    c->inside = true;
    act(c, data, len);
    c->inside = false;
    atomic_fetch_add(&c->server->inputs, 1);
}

static void on_writable(void *conn)
{
    struct server_conn *c = conn;
    if (c->ending || c->inside)
        atomic_fetch_add(&c->server->misordered, 1);
    atomic_fetch_add(&c->server->writables, 1);
    c->inside = true;
    flush_echo(c);
    c->inside = false;
}

static void on_closed(void *conn)
{
    struct server_conn *c = conn;
    if (c->inside)
        atomic_fetch_add(&c->server->misordered, 1);
    atomic_fetch_add(&c->server->closed, 1);
    lev_buf_deinit(&c->out);
    free(c);
}

static void on_tick(void *ctx, struct lev_loop *loop, uint64_t now_ms)
{
    struct server *s = ctx;
    if (now_ms != lev_loop_now_ms(loop))
        atomic_fetch_add(&s->misordered, 1);
    atomic_fetch_add(&s->ticks, 1);
}

static void nap(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

static void on_woken(void *ctx, struct lev_loop *loop)
{
    struct server *s = ctx;
    (void)loop;
    atomic_fetch_add(&s->wokens, 1);
    while (atomic_load(&s->hold_woken))
        nap();
    if (atomic_exchange(&s->resume, false)) {
        pthread_mutex_lock(&s->lock);
        struct server_conn *c = s->paused;
        s->paused = NULL;
        pthread_mutex_unlock(&s->lock);
        lev_transport_pause(c->t, false);
    }
}

static const struct lev_net_handler handler = {
    .accepted = on_accepted,
    .input = on_input,
    .writable = on_writable,
    .closed = on_closed,
    .tick = on_tick,
    .woken = on_woken,
};

struct server *server_start(int n_loops, const char *host)
{
    struct server *s = lev_xcalloc(1, sizeof(*s));
    pthread_mutex_init(&s->lock, NULL);
    char err[256] = "";
    s->net = lev_net_new(n_loops, true, &handler, s, err, sizeof(err));
    ck_assert_msg(s->net != NULL, "%s", err);
    struct lev_listen l = {.host = host, .port = 0};
    int rc = lev_net_listen(s->net, &l, &s->port, err, sizeof(err));
    ck_assert_msg(rc == 0, "%s", err);
    rc = lev_net_start(s->net, err, sizeof(err));
    ck_assert_msg(rc == 0, "%s", err);
    return s;
}

void server_stop(struct server **sp)
{
    struct server *s = *sp;
    lev_net_stop(&s->net);
    ck_assert_ptr_null(s->net);
    ck_assert_int_eq(atomic_load(&s->accepted), atomic_load(&s->closed));
    ck_assert_int_eq(atomic_load(&s->misordered), 0);
    pthread_mutex_destroy(&s->lock);
    free(s);
    *sp = NULL;
}

void server_resume(struct server *s)
{
    atomic_store(&s->resume, true);
    lev_loop_wake(lev_net_loop(s->net, 0));
}

void wait_for(atomic_int *counter, int want)
{
    for (int i = 0; i < 60000 && atomic_load(counter) < want; i++)
        nap();
    ck_assert_int_ge(atomic_load(counter), want);
}
