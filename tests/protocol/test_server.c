/* The embeddable server: started and stopped inside this process, more than once and more than one.
 */
#include <arpa/inet.h>
#include <check.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "leveret/server.h"

static char dir[64], err[LEV_SERVER_ERR_MAX];

static void setup(void)
{
    strcpy(dir, "/tmp/leveret-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    err[0] = 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st, (void)type, (void)at;
    return remove(path);
}

static void teardown(void)
{
    nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static const struct lev_server_listen local = {.host = "127.0.0.1", .port = 0};

static struct lev_server *make(const char *data_dir)
{
    struct lev_server_config c;
    lev_server_config_init(&c);
    c.data_dir = data_dir;
    c.listen = &local;
    c.loops = 2;
    return lev_server_new(&c);
}

static void start(struct lev_server *s)
{
    int rc = lev_server_start(s, err);
    ck_assert_msg(rc == 0, "%s", err);
    ck_assert_int_gt(lev_server_port(s), 0);
}

static int connect_to(struct lev_server *s)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)lev_server_port(s))};
    struct timeval limit = {.tv_sec = 60};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    return fd;
}

static void wait_for_connections(struct lev_server *s, uint64_t want)
{
    struct lev_server_stats st;
    lev_server_stats(s, &st);
    for (int i = 0; i < 60000 && st.connections != want; i++) {
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        lev_server_stats(s, &st);
    }
    ck_assert_uint_eq(st.connections, want);
}

START_TEST(test_start_and_stop)
{
    struct lev_server *s = make(dir);
    struct lev_server_stats st;
    for (int i = 0; i < 3; i++) {
        start(s);
        lev_server_stats(s, &st);
        ck_assert_uint_eq(st.connections + st.channels + st.consumers + st.queues, 0);
        ck_assert_uint_eq(st.messages_ready + st.messages_unacked, 0);
        ck_assert_uint_ge(st.exchanges, 7); /* the default one and the predeclared ones */
        lev_server_stop(s);
        ck_assert_int_eq(lev_server_port(s), 0);
    }
    lev_server_stop(s);
    lev_server_free(&s);
    ck_assert_ptr_null(s);
    lev_server_free(&s);
}
END_TEST

static void copy_stats(void *ctx, const struct lev_server_vhost_stats *stats)
{
    struct lev_server_vhost_stats *copy = ctx;
    ck_assert_str_eq(copy->name, ""); /* there is one */
    *copy = *stats;
}

START_TEST(test_each_vhost)
{
    struct lev_server *s = make(dir);
    struct lev_server_vhost_stats first = {.name = ""}, second = {.name = ""};
    start(s);
    lev_server_each_vhost(s, copy_stats, &first);
    lev_server_each_vhost(s, copy_stats, &second);
    ck_assert_str_eq(first.name, "/");
    ck_assert_uint_eq(first.alive.connections + first.alive.queues + first.messages_delayed, 0);
    ck_assert_uint_ge(first.alive.exchanges, 7);
    ck_assert_uint_gt(second.lock.holds, first.lock.holds); /* to ask is a hold, too */
    ck_assert_uint_ge(second.lock.holds, second.lock.hold.count);
    ck_assert_uint_gt(second.lock.hold.count, 0);
    ck_assert_uint_le(second.lock.hold.p50_ns, second.lock.hold.p99_ns);
    ck_assert_uint_le(second.lock.hold.p99_ns, second.lock.hold.max_ns);
    ck_assert_uint_ge(second.lock.held_ns, second.lock.hold.sum_ns);
    ck_assert_uint_eq(second.store.failures, 0);
    lev_server_free(&s);
}
END_TEST

START_TEST(test_never_started)
{
    struct lev_server *s = make(dir);
    lev_server_free(&s);
    ck_assert_ptr_null(s);
}
END_TEST

START_TEST(test_connections_counted)
{
    struct lev_server *s = make(dir);
    start(s);
    int one = connect_to(s), two = connect_to(s);
    wait_for_connections(s, 2);
    close(one);
    wait_for_connections(s, 1);
    close(two);
    wait_for_connections(s, 0);
    lev_server_free(&s);
}
END_TEST

START_TEST(test_speaks_amqp)
{
    struct lev_server *s = make(dir);
    uint8_t head[11];
    start(s);
    int fd = connect_to(s);
    ck_assert_int_eq(send(fd, "AMQP\0\0\x09\x01", 8, 0), 8);
    ck_assert_int_eq(recv(fd, head, sizeof(head), MSG_WAITALL), (ssize_t)sizeof(head));
    /* A method frame on channel 0 that begins with connection.start. */
    ck_assert_mem_eq(head, "\x01\x00\x00", 3);
    ck_assert_mem_eq(head + 7, "\x00\x0a\x00\x0a", 4);
    close(fd);
    lev_server_free(&s);
}
END_TEST

START_TEST(test_stop_ends_connections)
{
    struct lev_server *s = make(dir);
    char c;
    start(s);
    int fd = connect_to(s);
    wait_for_connections(s, 1);
    lev_server_stop(s);
    ck_assert_int_eq(recv(fd, &c, 1, 0), 0);
    close(fd);
    lev_server_free(&s);
}
END_TEST

START_TEST(test_two_servers)
{
    char other[80];
    snprintf(other, sizeof(other), "%s/other", dir);
    struct lev_server *a = make(dir), *b = make(other), *c = make(dir);
    start(a);
    start(b);
    ck_assert_int_ne(lev_server_port(a), lev_server_port(b));
    ck_assert_int_eq(lev_server_start(c, err), -1);
    ck_assert_msg(strstr(err, dir) != NULL, "%s", err);
    int fd = connect_to(b);
    wait_for_connections(b, 1);
    wait_for_connections(a, 0);
    close(fd);
    lev_server_free(&a);
    start(c);
    lev_server_free(&c);
    lev_server_free(&b);
}
END_TEST

START_TEST(test_start_fails)
{
    struct lev_server *holder = make(dir);
    struct lev_server_listen taken = {.host = "127.0.0.1", .port = 0};
    struct lev_server_config c;
    char other[80], expected[128];
    start(holder);
    snprintf(other, sizeof(other), "%s/other", dir);
    lev_server_config_init(&c);
    c.data_dir = other;
    c.listen = &taken;
    taken.port = lev_server_port(holder);
    struct lev_server *s = lev_server_new(&c);
    ck_assert_int_eq(lev_server_start(s, err), -1);
    snprintf(expected, sizeof(expected), "cannot listen on 127.0.0.1:%d: Address already in use",
             taken.port);
    ck_assert_str_eq(err, expected);
    /* Nothing is left: it starts when the port is free. */
    lev_server_free(&holder);
    start(s);
    ck_assert_int_eq(lev_server_port(s), taken.port);
    lev_server_free(&s);
    c.data_dir = NULL;
    s = lev_server_new(&c);
    ck_assert_int_eq(lev_server_start(s, err), -1);
    ck_assert_str_eq(err, "no data directory given");
    lev_server_free(&s);
}
END_TEST

static Suite *server_suite(void)
{
    Suite *s = suite_create("server");
    TCase *t = tcase_create("server");
    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_start_and_stop);
    tcase_add_test(t, test_each_vhost);
    tcase_add_test(t, test_never_started);
    tcase_add_test(t, test_connections_counted);
    tcase_add_test(t, test_speaks_amqp);
    tcase_add_test(t, test_stop_ends_connections);
    tcase_add_test(t, test_two_servers);
    tcase_add_test(t, test_start_fails);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    lev_log_set_level(LEV_LOG_ERROR);
    SRunner *r = srunner_create(server_suite());
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
