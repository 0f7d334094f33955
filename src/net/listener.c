/* Listening sockets: made before start, watched by loop 0, which deals connections out to the loops
 * in turn.
 *
 * Want of descriptors or memory must neither end accepting nor make it spin: all listeners rest for
 * ACCEPT_PAUSE_MS and try again, while peers wait in the kernel's queue. Thread: loop 0. */
#include "net/net_int.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"

static void on_accept(uv_poll_t *handle, int status, int events);

void lev_listeners_resume_(struct lev_net *n)
{
    LEV_LIST_EACH(it, nx, &n->listeners)
    {
        struct lev_listener *s = LEV_LIST_ENTRY(it, struct lev_listener, node);
        int rc = uv_poll_start(&s->poll, UV_READABLE, on_accept);
        if (rc < 0)
            lev_log_error("listener on %s: cannot be watched: %s", s->name, uv_strerror(rc));
    }
}

static void on_resume(uv_timer_t *handle)
{
    lev_listeners_resume_(handle->data);
}

static void rest(struct lev_listener *s, int err)
{
    struct lev_net *n = s->net;
    uint64_t now = uv_now(&n->loops[0].uv);
    if (n->accept_logged_at_ms == 0 ||
        now - n->accept_logged_at_ms >= UINT64_C(1000) * ACCEPT_LOG_EVERY_S) {
        n->accept_logged_at_ms = now ? now : 1;
        lev_log_error("listener on %s: cannot accept connections: %s; new ones wait", s->name,
                      strerror(err));
    }
    LEV_LIST_EACH(it, nx, &n->listeners)
    uv_poll_stop(&LEV_LIST_ENTRY(it, struct lev_listener, node)->poll);
    uv_timer_start(&n->accept_resume, on_resume, ACCEPT_PAUSE_MS, 0);
}

static void deal_out(struct lev_net *n, const struct newcomer *c)
{
    struct lev_loop *l = &n->loops[n->next_loop++ % (unsigned)n->n_loops];
    if (l->index == 0)
        lev_transport_open_(l, c);
    else
        lev_loop_give_(l, c);
}

/* Errors of one connection that died in the queue, or of its network: accept(2). */
static bool concerns_one_connection(int err)
{
    switch (err) {
    case EINTR:
    case ECONNABORTED:
    case EPROTO:
    case EPERM:
    case ENETDOWN:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case ENONET:
    case EHOSTUNREACH:
    case EOPNOTSUPP:
    case ENETUNREACH:
    case ETIMEDOUT:
        return true;
    default:
        return false;
    }
}

static void on_accept(uv_poll_t *handle, int status, int events)
{
    struct lev_listener *s = handle->data;
    (void)events;
    if (status < 0) {
        rest(s, -status);
        return;
    }
    for (int i = 0; i < ACCEPTS_PER_TURN && !s->net->accept_stopped; i++) {
        struct newcomer c = {.fd = -1};
        socklen_t len = sizeof(c.peer);
        c.fd = accept4(s->fd, &c.peer.sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (c.fd >= 0) {
            deal_out(s->net, &c);
        } else if (errno == EAGAIN) {
            return;
        } else if (!concerns_one_connection(errno)) {
            rest(s, errno);
            return;
        }
    }
}

static void on_listener_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void lev_listeners_stop_(struct lev_net *n)
{
    n->accept_stopped = true;
    LEV_LIST_EACH(it, nx, &n->listeners)
    {
        struct lev_listener *s = LEV_LIST_ENTRY(it, struct lev_listener, node);
        lev_list_remove(&s->node);
        uv_close((uv_handle_t *)&s->poll, on_listener_closed);
        close(s->fd);
    }
    if (n->accept_resume_open)
        uv_timer_stop(&n->accept_resume);
}

int lev_listener_open_(struct lev_net *n, int fd, const char *name)
{
    struct lev_listener *s = lev_xcalloc(1, sizeof(*s));
    s->net = n;
    s->fd = fd;
    snprintf(s->name, sizeof(s->name), "%s", name);
    s->poll.data = s;
    int rc = uv_poll_init(&n->loops[0].uv, &s->poll, fd);
    if (rc < 0) {
        free(s);
        return rc;
    }
    lev_list_push_back(&n->listeners, &s->node);
    return 0;
}

static bool has_port(const struct sockaddr *sa)
{
    if (sa->sa_family == AF_INET6)
        return ((const struct sockaddr_in6 *)(const void *)sa)->sin6_port != 0;
    return ((const struct sockaddr_in *)(const void *)sa)->sin_port != 0;
}

static int bind_and_listen(int fd, const struct sockaddr *sa, socklen_t salen)
{
    int on = 1, off = 0;
    /* a port of our choosing may be had although old connections linger on it; one of the kernel's
     * choosing must not be shared with another such socket, or listen(2) fails */
    if (has_port(sa) && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
        return -1;
    if (sa->sa_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)sa;
        bool any = IN6_IS_ADDR_UNSPECIFIED(&v6->sin6_addr);
        if (setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, any ? &off : &on, sizeof(on)) < 0)
            return -1;
    }
    if (bind(fd, sa, salen) < 0 || listen(fd, LISTEN_BACKLOG) < 0)
        return -1;
    return 0;
}

/* A listening socket, or -1 with errno. */
static int open_socket(const struct sockaddr *sa, socklen_t salen)
{
    int fd = socket(sa->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
    if (fd < 0)
        return -1;
    if (bind_and_listen(fd, sa, salen) < 0) {
        int err = errno;
        close(fd);
        errno = err;
        return -1;
    }
    return fd;
}

static int open_any(int port)
{
    union address a = {.v6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)}};
    int fd = open_socket(&a.sa, sizeof(a.v6));
    if (fd >= 0 || (errno != EAFNOSUPPORT && errno != EADDRNOTAVAIL))
        return fd;
    union address b = {.v4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)}};
    return open_socket(&b.sa, sizeof(b.v4));
}

/* -1 with errno; EINVAL when host is not a numeric address. */
static int open_host(const char *host, int port)
{
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
                             .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    char service[16];
    snprintf(service, sizeof(service), "%d", port);
    if (getaddrinfo(host, service, &hints, &list) != 0) {
        errno = EINVAL;
        return -1;
    }
    int fd = open_socket(list->ai_addr, list->ai_addrlen);
    int err = errno;
    freeaddrinfo(list);
    errno = err;
    return fd;
}

static void name_wanted(const struct lev_listen *l, char *name, size_t namelen)
{
    const char *host = l->host ? l->host : "::";
    snprintf(name, namelen, strchr(host, ':') ? "[%s]:%d" : "%s:%d", host, l->port);
}

int lev_listen_socket_(const struct lev_listen *l, int *port_r, char *name, size_t namelen,
                       char *errbuf, size_t errlen)
{
    name_wanted(l, name, namelen);
    if (l->port < 0 || l->port > 65535) {
        snprintf(errbuf, errlen, "cannot listen on %s: not a port number", name);
        return -1;
    }
    int fd = l->host ? open_host(l->host, l->port) : open_any(l->port);
    union address a;
    socklen_t len = sizeof(a);
    if (fd < 0 || getsockname(fd, &a.sa, &len) < 0) {
        snprintf(errbuf, errlen, "cannot listen on %s: %s", name,
                 errno == EINVAL ? "not a numeric address" : strerror(errno));
        if (fd >= 0)
            close(fd);
        return -1;
    }
    struct endpoint e;
    lev_endpoint_from_(&e, &a);
    lev_endpoint_format_(&e, name, namelen);
    *port_r = e.port;
    return fd;
}
