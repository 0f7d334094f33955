/* Deep queues: filled far beyond what memory holds, drained in order, looked into, purged, deleted
 * while being drained; and the daemon stopped or killed in the middle. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "proto.h"
#include "support/daemon.h"

enum {
    DEPTH = 200000,
    SIZE = 1024,
    GROWTH_MIB = 150,
    PREFETCH = 1000,
    ACK_EVERY = 200,
};

enum kind { PERSISTENT, TRANSIENT, MIXED };

static char dir[64];
static struct daemon_proc *daemon_proc;
static size_t start_mib;
static size_t depth;

static void start(void)
{
    daemon_proc = daemon_start(dir, (const char *[]){"--log-level", "none", NULL});
    ck_assert_ptr_nonnull(daemon_proc);
    start_mib = proto_rss_mib(daemon_pid(daemon_proc));
}

static void setup(void)
{
    depth = proto_scaled(DEPTH);
    snprintf(dir, sizeof(dir), "/tmp/leveret-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    start();
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
    proto_remove_tree(dir);
}

static struct peer *join(void)
{
    return peer_connect(daemon_port(daemon_proc));
}

/* --- filling and draining --- */

static void publish(struct peer *p, uint32_t number, int mode)
{
    static uint8_t bytes[SIZE];
    lev_put32(bytes, number);
    peer_publish(p, 1, "deep", mode, bytes, sizeof(bytes));
    if (p->out.len > 256 * 1024)
        peer_flush(p);
}

/* Numbers from..to-1, all confirmed. */
static void fill(uint32_t from, uint32_t to, enum kind kind)
{
    struct peer *p = join();
    peer_declare(p, 1, "deep", true);
    peer_confirm(p, 1);
    for (uint32_t i = from; i < to; i++)
        publish(p, i, kind == PERSISTENT || (kind == MIXED && i % 3 == 0) ? 2 : 1);
    peer_flush(p);
    peer_wait_confirms(p, 1, to - from);
    check_memory();
    peer_goodbye(&p);
}

static uint32_t take(struct peer *p, uint64_t *tag_r)
{
    struct lev_buf body;
    lev_buf_init(&body);
    *tag_r = peer_expect(p, 1, LEV_M_BASIC_DELIVER)->u.basic_deliver.delivery_tag;
    ck_assert_uint_eq(peer_take_content(p, 1, &body), SIZE);
    uint32_t number = lev_get32(body.ptr);
    lev_buf_deinit(&body);
    return number;
}

static struct peer *join_as_consumer(void)
{
    struct peer *p = join();
    peer_qos(p, 1, PREFETCH);
    peer_consume(p, 1, "deep", false);
    return p;
}

/* Expects the numbers from..to-1 in order; acknowledges them. More may have been delivered. */
static void drain(struct peer *p, uint32_t from, uint32_t to)
{
    uint64_t tag;
    for (uint32_t i = from; i < to; i++) {
        ck_assert_uint_eq(take(p, &tag), i);
        if ((i - from) % ACK_EVERY == ACK_EVERY - 1 || i + 1 == to) {
            peer_ack(p, 1, tag, true);
            peer_flush(p);
        }
    }
    /* Once channel 2 answers, the acks were seen; deliveries that come before are let go. */
    struct lev_frame f;
    peer_method(p, 2, &(struct lev_method){.id = LEV_M_CHANNEL_OPEN});
    peer_flush(p);
    do
        ck_assert(peer_read(p, &f));
    while (f.channel != 2);
}

static void expect_empty_and_delete(void)
{
    struct peer *p = join();
    ck_assert_uint_eq(peer_declare(p, 1, "deep", true), 0);
    ck_assert_uint_eq(peer_delete(p, 1, "deep"), 0);
    peer_goodbye(&p);
}

START_TEST(test_fill_and_drain)
{
    fill(0, (uint32_t)depth, (enum kind)_i);
    struct peer *p = join_as_consumer();
    drain(p, 0, (uint32_t)depth);
    peer_goodbye(&p);
    expect_empty_and_delete();
}
END_TEST

/* --- looking in, purging, deleting --- */

static uint32_t get(struct peer *p)
{
    struct lev_method m = {.id = LEV_M_BASIC_GET};
    struct lev_buf body;
    m.u.basic_get.queue = LEV_LIT("deep");
    lev_buf_init(&body);
    uint64_t tag = peer_call(p, 1, &m, LEV_M_BASIC_GET_OK)->u.basic_get_ok.delivery_tag;
    peer_take_content(p, 1, &body);
    uint32_t number = lev_get32(body.ptr);
    lev_buf_deinit(&body);
    peer_ack(p, 1, tag, false);
    return number;
}

START_TEST(test_get_purge_delete)
{
    uint32_t n = (uint32_t)depth / 2, gets = n / 10;
    fill(0, n, MIXED);
    struct peer *p = join();
    for (uint32_t i = 0; i < gets; i++)
        ck_assert_uint_eq(get(p), i);
    struct lev_method m = {.id = LEV_M_QUEUE_PURGE};
    m.u.queue_purge.queue = LEV_LIT("deep");
    m = *peer_call(p, 1, &m, LEV_M_QUEUE_PURGE_OK);
    ck_assert_uint_eq(m.u.queue_purge_ok.message_count, n - gets);
    ck_assert_uint_eq(peer_declare(p, 1, "deep", true), 0);

    fill(0, n, MIXED);
    struct peer *consumer = join_as_consumer();
    drain(consumer, 0, n / 4);
    uint32_t left = peer_delete(p, 1, "deep");
    ck_assert_uint_le(left, n - n / 4);
    ck_assert_uint_ge(left + PREFETCH, n - n / 4);
    peer_goodbye(&consumer);
    ck_assert_uint_eq(peer_declare(p, 1, "deep", true), 0);
    peer_delete(p, 1, "deep");
    peer_goodbye(&p);
}
END_TEST

/* --- the daemon goes and comes back --- */

static void restart(bool killed)
{
    check_memory();
    if (killed)
        daemon_kill(&daemon_proc);
    else
        ck_assert_int_eq(daemon_stop(&daemon_proc), 0);
    start();
}

/* In the middle of draining: what was acknowledged before a graceful stop stays away; after a kill
 * some of it may come again, but nothing else is missing. */
START_TEST(test_restart_in_the_middle)
{
    bool killed = _i == 1;
    uint32_t n = (uint32_t)depth / 2, done = n / 3, number;
    uint64_t tag;
    fill(0, n, PERSISTENT);
    struct peer *p = join_as_consumer();
    drain(p, 0, done);
    if (!killed) /* else the daemon would wait for its close-ok */
        peer_drop(&p);
    restart(killed);
    if (killed)
        peer_drop(&p);
    p = join_as_consumer();
    number = take(p, &tag);
    if (killed)
        ck_assert_uint_le(number, done);
    else
        ck_assert_uint_eq(number, done);
    peer_ack(p, 1, tag, false);
    drain(p, number + 1, n);
    peer_goodbye(&p);
    expect_empty_and_delete();
}
END_TEST

/* Killed while filling: everything confirmed is there, in order, without a gap before it. */
START_TEST(test_kill_while_filling)
{
    uint32_t n = (uint32_t)depth / 2, sent = 0;
    uint64_t confirmed = 0;
    bool ended = false;
    struct peer *p = join();
    struct lev_frame f;
    peer_declare(p, 1, "deep", true);
    peer_confirm(p, 1);
    while (confirmed < n) {
        for (int i = 0; i < 500; i++)
            publish(p, sent++, 2);
        peer_flush(p);
        while (peer_poll(p, 0, &f, &ended)) {
            ck_assert_int_eq(lev_method_decode(f.payload, &p->m), 0);
            ck_assert_int_eq(p->m.id, LEV_M_BASIC_ACK);
            confirmed = p->m.u.basic_ack.delivery_tag;
        }
    }
    restart(true);
    peer_drop(&p);
    p = join();
    uint32_t there = peer_declare(p, 1, "deep", true);
    peer_goodbye(&p);
    ck_assert_uint_ge(there, confirmed);
    ck_assert_uint_le(there, sent);
    p = join_as_consumer();
    drain(p, 0, there);
    peer_goodbye(&p);
    expect_empty_and_delete();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("proto_deep");
    TCase *tc = tcase_create("deep");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 300);
    tcase_add_loop_test(tc, test_fill_and_drain, PERSISTENT, MIXED + 1);
    tcase_add_test(tc, test_get_purge_delete);
    tcase_add_loop_test(tc, test_restart_in_the_middle, 0, 2);
    tcase_add_test(tc, test_kill_while_filling);
    suite_add_tcase(s, tc);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
