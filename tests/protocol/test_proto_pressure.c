/* Peers that ask and do not read: they are stopped, the daemon's memory stays bounded, others go
 * on, and nothing is lost or out of order when they read again. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto.h"
#include "support/daemon.h"

enum {
    GROWTH_MIB = 150, /* what the daemon may grow by in any of this */
    SLOW_SIZE = 10000,
    SLOW_COUNT = 20000, /* 200 MB */
    PROBE_EVERY = 1000,
    RETURN_SIZE = 100000,
    RETURN_COUNT = 2000,
    GET_SIZE = 1000000,
    GET_COUNT = 200,
    SMALL_COUNT = 3000000,
    STALL_MS = 1000, /* so long without progress means stopped */
};

static struct daemon_proc *daemon_proc;
static int port;
static size_t start_mib;

static void setup(void)
{
    daemon_proc = daemon_start(NULL, (const char *[]){"--log-level", "none", NULL});
    ck_assert_ptr_nonnull(daemon_proc);
    port = daemon_port(daemon_proc);
    start_mib = proto_rss_mib(daemon_pid(daemon_proc));
}

static void check_memory(void)
{
    size_t peak = proto_peak_mib(daemon_pid(daemon_proc));
    if (PROTO_MEMORY_COUNTS)
        ck_assert_msg(peak < start_mib + GROWTH_MIB, "the daemon grew from %zu to %zu MiB",
                      start_mib, peak);
}

static void teardown(void)
{
    check_memory();
    ck_assert_int_eq(daemon_stop(&daemon_proc), 0);
}

/* --- a consumer that stops reading --- */

/* One message there and back: others are served. */
static void probe(struct peer *other, struct lev_buf *body)
{
    peer_publish(other, 1, "other", 0, "probe", 5);
    peer_flush(other);
    peer_expect(other, 1, LEV_M_BASIC_DELIVER);
    lev_buf_clear(body);
    ck_assert_uint_eq(peer_take_content(other, 1, body), 5);
}

static void publish_numbered(struct peer *p, const char *queue, size_t n, size_t size,
                             struct peer *other)
{
    uint8_t *bytes = calloc(1, size);
    struct lev_buf body;
    lev_buf_init(&body);
    for (size_t i = 0; i < n; i++) {
        lev_put32(bytes, (uint32_t)i);
        peer_publish(p, 1, queue, 0, bytes, size);
        if (p->out.len > 256 * 1024)
            peer_flush(p);
        if (other && i % PROBE_EVERY == 0)
            probe(other, &body);
    }
    peer_flush(p);
    lev_buf_deinit(&body);
    free(bytes);
}

static void consume_numbered(struct peer *p, size_t n, size_t size, bool ack)
{
    struct lev_buf body;
    lev_buf_init(&body);
    for (size_t i = 0; i < n; i++) {
        uint64_t tag = peer_expect(p, 1, LEV_M_BASIC_DELIVER)->u.basic_deliver.delivery_tag;
        lev_buf_clear(&body);
        ck_assert_uint_eq(peer_take_content(p, 1, &body), size);
        ck_assert_uint_eq(lev_get32(body.ptr), i);
        if (ack && (i % 100 == 99 || i + 1 == n)) {
            peer_ack(p, 1, tag, true);
            peer_flush(p);
        }
    }
    lev_buf_deinit(&body);
}

START_TEST(test_slow_consumer)
{
    bool ack = _i == 1;
    size_t n = proto_scaled(SLOW_COUNT);
    struct peer *publisher = peer_connect(port), *slow = peer_connect(port),
                *other = peer_connect(port);
    peer_declare(slow, 1, "slow", false);
    peer_consume(slow, 1, "slow", !ack);
    peer_declare(other, 1, "other", false);
    peer_consume(other, 1, "other", true);
    publish_numbered(publisher, "slow", n, SLOW_SIZE, other);
    check_memory();
    consume_numbered(slow, n, SLOW_SIZE, ack);
    ck_assert_uint_eq(peer_declare(publisher, 1, "slow", false), 0);
    peer_goodbye(&slow);
    peer_goodbye(&publisher);
    peer_goodbye(&other);
}
END_TEST

/* --- returns that nobody reads --- */

START_TEST(test_unread_returns)
{
    size_t n = proto_scaled(RETURN_COUNT), sent = 0, returned = 0;
    uint8_t *bytes = calloc(1, RETURN_SIZE);
    struct lev_method m = {.id = LEV_M_BASIC_PUBLISH};
    struct lev_buf body;
    struct peer *p = peer_connect(port);
    m.u.basic_publish.routing_key = LEV_LIT("nowhere");
    m.u.basic_publish.mandatory = true;
    lev_buf_init(&body);
    p->deaf = true;
    do {
        peer_method(p, 1, &m);
        peer_content(p, 1, 0, bytes, RETURN_SIZE);
        sent++;
    } while (peer_push(p, STALL_MS) && sent < n);
    ck_assert_msg(sent < n || n < RETURN_COUNT, "the publisher was never stopped");
    check_memory();
    p->deaf = false;
    peer_flush(p);
    for (; returned < sent; returned++) {
        peer_expect(p, 1, LEV_M_BASIC_RETURN);
        lev_buf_clear(&body);
        peer_take_content(p, 1, &body);
    }
    lev_buf_deinit(&body);
    free(bytes);
    peer_goodbye(&p);
}
END_TEST

/* --- gets whose answers nobody reads --- */

START_TEST(test_get_flood)
{
    size_t n = proto_scaled(GET_COUNT), asked = n + 5000;
    struct lev_method get = {.id = LEV_M_BASIC_GET};
    struct lev_buf body;
    struct peer *p = peer_connect(port), *flood = peer_connect(port);
    peer_declare(p, 1, "deep", false);
    publish_numbered(p, "deep", n, GET_SIZE, NULL);
    ck_assert_uint_eq(peer_declare(p, 1, "deep", false), n);
    get.u.basic_get.queue = LEV_LIT("deep");
    get.u.basic_get.no_ack = true;
    flood->deaf = true;
    for (size_t i = 0; i < asked; i++)
        peer_method(flood, 1, &get);
    peer_push(flood, STALL_MS);
    check_memory();
    flood->deaf = false;
    peer_flush(flood);
    lev_buf_init(&body);
    for (size_t i = 0; i < n; i++) {
        peer_expect(flood, 1, LEV_M_BASIC_GET_OK);
        lev_buf_clear(&body);
        peer_take_content(flood, 1, &body);
        ck_assert_uint_eq(lev_get32(body.ptr), i);
    }
    for (size_t i = n; i < asked; i++)
        peer_expect(flood, 1, LEV_M_BASIC_GET_EMPTY);
    lev_buf_deinit(&body);
    peer_goodbye(&flood);
    peer_goodbye(&p);
}
END_TEST

/* --- small answers that nobody reads --- */

START_TEST(test_small_answers)
{
    size_t n = proto_scaled(SMALL_COUNT), sent = 0;
    struct lev_method m = {.id = LEV_M_CHANNEL_FLOW};
    struct peer *p = peer_connect(port);
    m.u.channel_flow.active = true;
    p->deaf = true;
    do {
        for (size_t i = 0; i < 1000; i++)
            peer_method(p, 1, &m);
        sent += 1000;
    } while (peer_push(p, STALL_MS) && sent < n);
    ck_assert_msg(sent < n || n < SMALL_COUNT, "the peer was never stopped");
    check_memory();
    p->deaf = false;
    peer_flush(p);
    while (sent--)
        peer_expect(p, 1, LEV_M_CHANNEL_FLOW_OK);
    peer_goodbye(&p);
}
END_TEST

/* Consumers that come and go while nothing is read: what is left of them waits to be sent, too. */
START_TEST(test_consumers_without_end)
{
    size_t n = proto_scaled(SMALL_COUNT) / 3, sent = 0;
    struct lev_method flow = {.id = LEV_M_CHANNEL_FLOW};
    struct lev_method consume = {.id = LEV_M_BASIC_CONSUME}, cancel = {.id = LEV_M_BASIC_CANCEL};
    struct peer *p = peer_connect(port);
    peer_declare(p, 1, "brief", false);
    flow.u.channel_flow.active = true;
    consume.u.basic_consume.queue = LEV_LIT("brief");
    consume.u.basic_consume.consumer_tag = cancel.u.basic_cancel.consumer_tag = LEV_LIT("again");
    consume.u.basic_consume.no_wait = cancel.u.basic_cancel.no_wait = true;
    p->deaf = true;
    for (int i = 0; i < 400000; i++) /* fills what the kernel takes */
        peer_method(p, 1, &flow);
    peer_push(p, STALL_MS);
    do {
        for (size_t i = 0; i < 1000; i++) {
            peer_method(p, 1, &consume);
            peer_method(p, 1, &cancel);
        }
        sent += 1000;
    } while (peer_push(p, STALL_MS) && sent < n);
    check_memory();
    p->deaf = false;
    peer_goodbye(&p);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("proto_pressure");
    TCase *tc = tcase_create("pressure");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 240);
    tcase_add_loop_test(tc, test_slow_consumer, 0, 2);
    tcase_add_test(tc, test_unread_returns);
    tcase_add_test(tc, test_get_flood);
    tcase_add_test(tc, test_small_answers);
    tcase_add_test(tc, test_consumers_without_end);
    suite_add_tcase(s, tc);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
