/* Tests of src/net: real sockets on the loopback interface, the server of server.h. The test's
 * thread is the client and uses blocking sockets with a time limit. */
#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "net/net_int.h"
#include "server.h"

static int client_socket(int family)
{
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval limit = {.tv_sec = 60};
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), 0);
    ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)), 0);
    return fd;
}

static int try_connect(int fd, int port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return connect(fd, (struct sockaddr *)&a, sizeof(a));
}

static int client_connect(const struct server *s)
{
    int fd = client_socket(AF_INET);
    ck_assert_int_eq(try_connect(fd, s->port), 0);
    return fd;
}

static void send_all(int fd, const void *data, size_t len)
{
    const char *p = data;
    while (len > 0) {
        ssize_t n = send(fd, p, len, MSG_NOSIGNAL);
        ck_assert_msg(n > 0, "send: %s", strerror(errno));
        p += n;
        len -= (size_t)n;
    }
}

static void recv_all(int fd, void *data, size_t len)
{
    char *p = data;
    while (len > 0) {
        ssize_t n = recv(fd, p, len, 0);
        ck_assert_msg(n > 0, "recv: %s", n == 0 ? "end of stream" : strerror(errno));
        p += n;
        len -= (size_t)n;
    }
}

static void expect_echo(int fd, const char *text)
{
    char back[64];
    size_t len = strlen(text);
    send_all(fd, text, len);
    recv_all(fd, back, len);
    ck_assert_mem_eq(back, text, len);
}

static void expect_end(int fd)
{
    char c;
    ck_assert_int_eq(recv(fd, &c, 1, 0), 0);
}

/* So many that a loop with a CPU to itself finds out that it may keep awake; then it is quiet, and
 * then it ends while one more request is on its way. */
START_TEST(test_round_trips)
{
    struct server *s = server_start(2, "127.0.0.1");
    int fd = client_connect(s);
    for (int i = 0; i < 10000; i++)
        expect_echo(fd, "echo");
    wait_for(&s->ticks, atomic_load(&s->ticks) + 4);
    expect_echo(fd, "again");
    send_all(fd, "x", 1);
    server_stop(&s);
    close(fd);
}
END_TEST

START_TEST(test_one_after_another)
{
    enum { N = 2000 };
    struct server *s = server_start(2, "127.0.0.1");
    for (int i = 0; i < N; i++) {
        int fd = client_connect(s);
        expect_echo(fd, "hello");
        close(fd);
    }
    wait_for(&s->closed, N);
    ck_assert_int_eq(atomic_load(&s->on_loop[0]), N / 2);
    ck_assert_int_eq(atomic_load(&s->on_loop[1]), N / 2);
    server_stop(&s);
}
END_TEST

START_TEST(test_hundreds_at_once)
{
    enum { N = 400 };
    struct server *s = server_start(3, NULL);
    int fds[N];
    for (int i = 0; i < N; i++)
        fds[i] = client_connect(s);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < N; i++)
            send_all(fds[i], "0123456789", 10);
        for (int i = 0; i < N; i++) {
            char back[10];
            recv_all(fds[i], back, sizeof(back));
            ck_assert_mem_eq(back, "0123456789", 10);
        }
    }
    ck_assert_int_eq(atomic_load(&s->accepted), N);
    for (int i = 0; i < N; i++)
        close(fds[i]);
    wait_for(&s->closed, N);
    server_stop(&s);
}
END_TEST

enum { BULK = 24 * 1024 * 1024, PIECE = 64 * 1024 };

static uint8_t bulk_octet(size_t at)
{
    return (uint8_t)(at == 0 ? 'e' : (at * 2654435761u) >> 13);
}

static void *send_bulk(void *arg)
{
    int fd = *(int *)arg;
    uint8_t piece[PIECE];
    for (size_t at = 0; at < BULK; at += PIECE) {
        for (size_t i = 0; i < PIECE; i++)
            piece[i] = bulk_octet(at + i);
        send_all(fd, piece, PIECE);
    }
    return NULL;
}

START_TEST(test_back_pressure)
{
    struct server *s = server_start(1, "127.0.0.1");
    int fd = client_connect(s);
    pthread_t sender;
    ck_assert_int_eq(pthread_create(&sender, NULL, send_bulk, &fd), 0);
    /* Nothing is read until the server had to stop taking more. */
    wait_for(&s->pauses, 1);
    uint8_t piece[PIECE];
    for (size_t at = 0; at < BULK; at += PIECE) {
        recv_all(fd, piece, PIECE);
        for (size_t i = 0; i < PIECE; i++)
            if (piece[i] != bulk_octet(at + i))
                ck_abort_msg("octet %zu differs", at + i);
    }
    pthread_join(sender, NULL);
    ck_assert_int_gt(atomic_load(&s->writables), 0);
    close(fd);
    server_stop(&s);
}
END_TEST

START_TEST(test_pause_and_resume)
{
    struct server *s = server_start(1, "127.0.0.1");
    int fd = client_connect(s);
    send_all(fd, "p", 1);
    wait_for(&s->inputs, 1);
    send_all(fd, "later", 5);
    /* The loop serves another connection again and again, and not the paused one. */
    int other = client_connect(s);
    for (int i = 0; i < 50; i++)
        expect_echo(other, "x");
    wait_for(&s->inputs, 51);
    ck_assert_int_eq(atomic_load(&s->inputs), 51);
    ck_assert_int_eq(recv(fd, (char[1]){0}, 1, MSG_DONTWAIT), -1);
    server_resume(s);
    char back[5];
    recv_all(fd, back, 5);
    ck_assert_mem_eq(back, "later", 5);
    close(fd);
    close(other);
    server_stop(&s);
}
END_TEST

/* A connection that the server has paused, with unread input behind it. */
static int paused_client(struct server *s)
{
    int fd = client_connect(s);
    send_all(fd, "p", 1);
    wait_for(&s->inputs, 1);
    send_all(fd, "later", 5);
    int other = client_connect(s); /* until the loop has seen that there is input */
    expect_echo(other, "x");
    close(other);
    wait_for(&s->closed, 1);
    return fd;
}

START_TEST(test_reset_while_paused)
{
    struct server *s = server_start(1, "127.0.0.1");
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    int fd = paused_client(s);
    ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
    close(fd);
    wait_for(&s->closed, 2);
    ck_assert_int_eq(atomic_load(&s->inputs), 2);
    server_stop(&s);
}
END_TEST

static int64_t cpu_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* The end is noticed, costs nothing, and takes its turn behind the input that came before it. */
START_TEST(test_end_while_paused)
{
    struct server *s = server_start(1, "127.0.0.1");
    int fd = paused_client(s);
    shutdown(fd, SHUT_WR);
    int ticks = atomic_load(&s->ticks);
    int64_t before = cpu_ms();
    wait_for(&s->ticks, ticks + 2); /* at least TICK_MS */
    ck_assert_int_lt(cpu_ms() - before, TICK_MS / 2);
    ck_assert_int_eq(atomic_load(&s->closed), 1);
    server_resume(s);
    char back[5];
    recv_all(fd, back, 5);
    ck_assert_mem_eq(back, "later", 5);
    expect_end(fd);
    close(fd);
    wait_for(&s->closed, 2);
    server_stop(&s);
}
END_TEST

START_TEST(test_close_inside_input)
{
    struct server *s = server_start(2, "127.0.0.1");
    for (int i = 0; i < 100; i++) {
        int fd = client_connect(s);
        send_all(fd, "quit", 4);
        expect_end(fd);
        close(fd);
    }
    wait_for(&s->closed, 100);
    server_stop(&s);
}
END_TEST

START_TEST(test_abort_resets)
{
    struct server *s = server_start(1, "127.0.0.1");
    int fd = client_connect(s);
    send_all(fd, "a", 1);
    char c;
    ck_assert_int_eq(recv(fd, &c, 1, 0), -1);
    ck_assert_int_eq(errno, ECONNRESET);
    close(fd);
    wait_for(&s->closed, 1);
    server_stop(&s);
}
END_TEST

START_TEST(test_output_before_close_arrives)
{
    struct server *s = server_start(1, "127.0.0.1");
    static char flood[600 * 1024] = "b";
    for (int i = 0; i < 20; i++) {
        int fd = client_connect(s);
        /* More than one read takes: part of it is still unread when the server closes. */
        size_t sent = 0;
        while (sent < sizeof(flood)) {
            ssize_t n = send(fd, flood + sent, sizeof(flood) - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
            if (n <= 0)
                break;
            sent += (size_t)n;
        }
        char back[3];
        recv_all(fd, back, 3);
        ck_assert_mem_eq(back, "bye", 3);
        close(fd);
    }
    wait_for(&s->closed, 20);
    server_stop(&s);
}
END_TEST

START_TEST(test_peer_resets)
{
    struct server *s = server_start(2, "127.0.0.1");
    for (int i = 0; i < 100; i++) {
        int fd = client_connect(s);
        struct linger now = {.l_onoff = 1, .l_linger = 0};
        if (i % 2)
            expect_echo(fd, "x");
        ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
        close(fd);
    }
    int fd = client_connect(s);
    expect_echo(fd, "still here");
    close(fd);
    server_stop(&s);
}
END_TEST

START_TEST(test_refused)
{
    struct server *s = server_start(1, "127.0.0.1");
    atomic_store(&s->refuse, true);
    int fd = client_connect(s);
    expect_end(fd);
    close(fd);
    ck_assert_int_eq(atomic_load(&s->accepted), 0);
    server_stop(&s);
}
END_TEST

START_TEST(test_wakes_coalesce)
{
    struct server *s = server_start(1, "127.0.0.1");
    struct lev_loop *l = lev_net_loop(s->net, 0);
    atomic_store(&s->hold_woken, true);
    lev_loop_wake(l);
    wait_for(&s->wokens, 1);
    for (int i = 0; i < 1000; i++)
        lev_loop_wake(l);
    atomic_store(&s->hold_woken, false);
    wait_for(&s->wokens, 2);
    int fd = client_connect(s);
    expect_echo(fd, "x");
    ck_assert_int_eq(atomic_load(&s->wokens), 2);
    close(fd);
    server_stop(&s);
}
END_TEST

START_TEST(test_addresses_v4)
{
    struct server *s = server_start(1, NULL);
    int fd = client_connect(s);
    wait_for(&s->accepted, 1);
    struct sockaddr_in me;
    socklen_t len = sizeof(me);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&me, &len), 0);
    pthread_mutex_lock(&s->lock);
    ck_assert_str_eq(s->peer_host, "127.0.0.1");
    ck_assert_str_eq(s->local_host, "127.0.0.1");
    ck_assert_int_eq(s->peer_port, ntohs(me.sin_port));
    ck_assert_int_eq(s->local_port, s->port);
    ck_assert(s->loopback);
    pthread_mutex_unlock(&s->lock);
    close(fd);
    server_stop(&s);
}
END_TEST

static bool have_v6(void)
{
    int fd = client_socket(AF_INET6);
    struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
    bool ok = bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0;
    close(fd);
    return ok;
}

START_TEST(test_addresses_v6)
{
    if (!have_v6())
        return;
    struct server *s = server_start(1, "::1");
    int fd = client_socket(AF_INET6);
    struct sockaddr_in6 a = {.sin6_family = AF_INET6,
                             .sin6_addr = in6addr_loopback,
                             .sin6_port = htons((uint16_t)s->port)};
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    wait_for(&s->accepted, 1);
    pthread_mutex_lock(&s->lock);
    ck_assert_str_eq(s->peer_host, "::1");
    ck_assert_str_eq(s->local_host, "::1");
    ck_assert(s->loopback);
    pthread_mutex_unlock(&s->lock);
    close(fd);
    server_stop(&s);
}
END_TEST

static const struct {
    const char *text;
    bool v6;
    const char *shown;
    bool loopback;
} addresses[] = {
    {"127.0.0.1", false, "127.0.0.1", true},
    {"127.9.8.7", false, "127.9.8.7", true},
    {"10.0.0.1", false, "10.0.0.1", false},
    {"::1", true, "::1", true},
    {"::2", true, "::2", false},
    {"::ffff:127.0.0.5", true, "127.0.0.5", true},
    {"2001:db8::1", true, "2001:db8::1", false},
    {"::ffff:192.0.2.1", true, "192.0.2.1", false},
};

START_TEST(test_endpoint)
{
    union address a = {.sa = {.sa_family = AF_INET}};
    struct endpoint e;
    char text[80], expected[80];
    bool v6 = addresses[_i].v6;
    a.sa.sa_family = v6 ? AF_INET6 : AF_INET;
    void *host = v6 ? (void *)&a.v6.sin6_addr : (void *)&a.v4.sin_addr;
    ck_assert_int_eq(inet_pton(a.sa.sa_family, addresses[_i].text, host), 1);
    a.v4.sin_port = htons(5672); /* the port stands at the same place in both */
    lev_endpoint_from_(&e, &a);
    ck_assert_str_eq(e.host, addresses[_i].shown);
    ck_assert_uint_eq(e.port, 5672);
    ck_assert(lev_endpoint_is_loopback_(&e) == addresses[_i].loopback);
    lev_endpoint_format_(&e, text, sizeof(text));
    snprintf(expected, sizeof(expected), strchr(e.host, ':') ? "[%s]:5672" : "%s:5672", e.host);
    ck_assert_str_eq(text, expected);
}
END_TEST

START_TEST(test_listen_errors)
{
    struct server *s = server_start(1, "127.0.0.1");
    char err[256], expected[256];
    int port = 0;
    struct lev_net *n = lev_net_new(1, true, &(struct lev_net_handler){0}, NULL, err, sizeof(err));
    ck_assert_ptr_nonnull(n);
    struct lev_listen taken = {.host = "127.0.0.1", .port = s->port};
    ck_assert_int_eq(lev_net_listen(n, &taken, &port, err, sizeof(err)), -1);
    snprintf(expected, sizeof(expected), "cannot listen on 127.0.0.1:%d: Address already in use",
             s->port);
    ck_assert_str_eq(err, expected);
    struct lev_listen name = {.host = "not.an.address", .port = 0};
    ck_assert_int_eq(lev_net_listen(n, &name, &port, err, sizeof(err)), -1);
    ck_assert_str_eq(err, "cannot listen on not.an.address:0: not a numeric address");
    struct lev_listen high = {.host = NULL, .port = 65536};
    ck_assert_int_eq(lev_net_listen(n, &high, &port, err, sizeof(err)), -1);
    ck_assert_str_eq(err, "cannot listen on [::]:65536: not a port number");
    lev_net_stop(&n);
    server_stop(&s);
}
END_TEST

START_TEST(test_stop_closes_what_is_left)
{
    struct server *s = server_start(2, "127.0.0.1");
    int fds[50];
    for (int i = 0; i < 50; i++) {
        fds[i] = client_connect(s);
        expect_echo(fds[i], "x");
    }
    server_stop(&s);
    for (int i = 0; i < 50; i++) {
        expect_end(fds[i]);
        close(fds[i]);
    }
}
END_TEST

START_TEST(test_stop_with_connections_arriving)
{
    for (int i = 0; i < 20; i++) {
        struct server *s = server_start(3, "127.0.0.1");
        int fds[20];
        for (int k = 0; k < 20; k++)
            fds[k] = client_connect(s);
        server_stop(&s);
        for (int k = 0; k < 20; k++)
            close(fds[k]);
    }
}
END_TEST

START_TEST(test_stop_accepting)
{
    struct server *s = server_start(2, "127.0.0.1");
    int fd = client_connect(s);
    expect_echo(fd, "one");
    lev_net_stop_accepting(s->net);
    int refused = 0;
    for (int i = 0; i < 60000 && !refused; i++) {
        int extra = client_socket(AF_INET);
        refused = try_connect(extra, s->port) < 0 && errno == ECONNREFUSED;
        close(extra);
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    ck_assert(refused);
    expect_echo(fd, "two");
    close(fd);
    server_stop(&s);
}
END_TEST

START_TEST(test_never_started)
{
    char err[256];
    int port = 0;
    struct lev_net *n = lev_net_new(0, true, &(struct lev_net_handler){0}, NULL, err, sizeof(err));
    ck_assert_ptr_nonnull(n);
    ck_assert_int_ge(lev_net_loop_count(n), 1);
    struct lev_listen l = {.host = NULL, .port = 0};
    ck_assert_int_eq(lev_net_listen(n, &l, &port, err, sizeof(err)), 0);
    ck_assert_int_gt(port, 0);
    lev_loop_set_data(lev_net_loop(n, 0), &port);
    ck_assert_ptr_eq(lev_loop_data(lev_net_loop(n, 0)), &port);
    lev_net_stop(&n);
    ck_assert_ptr_null(n);
    lev_net_stop(&n);
}
END_TEST

START_TEST(test_ticks)
{
    struct server *s = server_start(2, "127.0.0.1");
    wait_for(&s->ticks, 4);
    server_stop(&s);
}
END_TEST

/* stderr into a file while a test looks at what is logged. */
static FILE *stderr_to_file(int *saved_r)
{
    FILE *f = tmpfile();
    ck_assert_ptr_nonnull(f);
    *saved_r = dup(STDERR_FILENO);
    ck_assert_int_ge(dup2(fileno(f), STDERR_FILENO), 0);
    return f;
}

/* Does not move the file's position, at which the server writes. */
static int lines_with(FILE *f, const char *text)
{
    static char all[65536];
    ssize_t len = pread(fileno(f), all, sizeof(all) - 1, 0);
    int n = 0;
    ck_assert_int_ge(len, 0);
    all[len] = 0;
    for (const char *p = all; (p = strstr(p, text)) != NULL; p++)
        n++;
    return n;
}

static double cpu_seconds(void)
{
    struct rusage u;
    ck_assert_int_eq(getrusage(RUSAGE_SELF, &u), 0);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

#define CANNOT_ACCEPT "cannot accept connections: Too many open files"

START_TEST(test_out_of_descriptors)
{
    enum { N = 20, FREE = 5 };
    int fds[N], saved;
    FILE *log = stderr_to_file(&saved);
    struct server *s = server_start(2, "127.0.0.1");
    for (int i = 0; i < N; i++)
        fds[i] = client_socket(AF_INET);
    struct rlimit old, low;
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &old), 0);
    low = old;
    low.rlim_cur = (rlim_t)fds[N - 1] + 1 + FREE;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &low), 0);
    for (int i = 0; i < N; i++) {
        ck_assert_int_eq(try_connect(fds[i], s->port), 0);
        send_all(fds[i], "x", 1);
    }
    for (int i = 0; i < 60000 && lines_with(log, CANNOT_ACCEPT) == 0; i++)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    /* The rest waits, and costs next to nothing meanwhile. */
    double before = cpu_seconds();
    nanosleep(&(struct timespec){.tv_nsec = 500000000}, NULL);
    ck_assert(cpu_seconds() - before < 0.25);
    ck_assert_int_le(atomic_load(&s->accepted), FREE);
    /* As descriptors come free, everybody is served. */
    for (int i = 0; i < N; i++) {
        char c;
        recv_all(fds[i], &c, 1);
        close(fds[i]);
    }
    wait_for(&s->closed, N);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &old), 0);
    server_stop(&s);
    ck_assert_int_ge(dup2(saved, STDERR_FILENO), 0);
    ck_assert_int_eq(lines_with(log, CANNOT_ACCEPT), 1);
    close(saved);
    fclose(log);
}
END_TEST

START_TEST(test_small)
{
    ck_assert_uint_lt(sizeof(struct lev_transport), 1024);
}
END_TEST

static Suite *net_suite(void)
{
    Suite *s = suite_create("net");
    TCase *t = tcase_create("net");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, test_round_trips);
    tcase_add_test(t, test_one_after_another);
    tcase_add_test(t, test_hundreds_at_once);
    tcase_add_test(t, test_back_pressure);
    tcase_add_test(t, test_pause_and_resume);
    tcase_add_test(t, test_reset_while_paused);
    tcase_add_test(t, test_end_while_paused);
    tcase_add_test(t, test_close_inside_input);
    tcase_add_test(t, test_abort_resets);
    tcase_add_test(t, test_output_before_close_arrives);
    tcase_add_test(t, test_peer_resets);
    tcase_add_test(t, test_refused);
    tcase_add_test(t, test_wakes_coalesce);
    tcase_add_test(t, test_addresses_v4);
    tcase_add_test(t, test_addresses_v6);
    tcase_add_loop_test(t, test_endpoint, 0, sizeof(addresses) / sizeof(addresses[0]));
    tcase_add_test(t, test_listen_errors);
    tcase_add_test(t, test_stop_closes_what_is_left);
    tcase_add_test(t, test_stop_with_connections_arriving);
    tcase_add_test(t, test_stop_accepting);
    tcase_add_test(t, test_never_started);
    tcase_add_test(t, test_ticks);
    tcase_add_test(t, test_out_of_descriptors);
    tcase_add_test(t, test_small);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    lev_log_set_level(LEV_LOG_ERROR);
    SRunner *r = srunner_create(net_suite());
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
