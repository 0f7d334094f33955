/* How connections end: heartbeats, deadlines, both close handshakes, sudden death, a daemon that is
 * told to stop; and what becomes of their queues and messages. */
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "proto.h"
#include "support/daemon.h"

enum { HANDSHAKE_MS = 2000, SLACK_MS = 10000, REDECLARES = 100, STUCK = 4 };

static struct proto_bed bed;

static void setup(void)
{
    struct lev_server_config c;
    proto_config(&c, 0);
    c.handshake_ms = HANDSHAKE_MS;
    proto_start(&bed, &c);
}

static void teardown(void)
{
    proto_stop(&bed);
}

/* --- heartbeats --- */

static struct peer *connect_beating(int port)
{
    struct peer_terms terms = peer_usual;
    struct peer *p = peer_open(port);
    terms.heartbeat = 1;
    peer_login(p, &terms);
    return p;
}

static void pause_ms(int ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

/* The server beats, and drops a peer that says nothing for two intervals. */
START_TEST(test_silent_peer)
{
    struct peer *p = connect_beating(bed.port);
    int64_t start = proto_now_ms(), end;
    struct lev_frame f;
    int beats = 0;
    while (peer_read(p, &f)) {
        ck_assert_uint_eq(f.type, LEV_FRAME_HEARTBEAT);
        ck_assert_uint_eq(f.channel, 0);
        ck_assert_uint_eq(f.payload.len, 0);
        beats++;
    }
    end = proto_now_ms();
    ck_assert_int_ge(beats, 2);
    ck_assert_int_ge(end - start, 1950);
    ck_assert_int_le(end - start, 3500 + SLACK_MS);
    peer_drop(&p);
}
END_TEST

/* A heartbeat is enough to stay; so is half a frame, octet by octet. */
START_TEST(test_beating_peer_stays)
{
    static const uint8_t flow[] = "\1\0\1\0\0\0\5\0\x14\0\x14\1\xce";
    struct peer *beating = connect_beating(bed.port), *slow = connect_beating(bed.port);
    peer_channel(slow, 1);
    for (size_t i = 0; i < sizeof(flow) - 1; i++) {
        peer_frame(beating, LEV_FRAME_HEARTBEAT, 0, NULL, 0);
        peer_flush(beating);
        peer_raw(slow, flow + i, 1);
        peer_flush(slow);
        pause_ms(400);
    }
    peer_expect(slow, 1, LEV_M_CHANNEL_FLOW_OK);
    peer_channel(beating, 1);
    peer_goodbye(&beating);
    peer_goodbye(&slow);
}
END_TEST

/* --- handshakes that do not go on --- */

static void begin_handshake(struct peer *p, int stage)
{
    static const char header[] = "AMQP\0\0\x09\x01";
    peer_raw(p, header, stage == 0 ? 0 : stage == 1 ? 5 : 8);
    peer_flush(p);
    if (stage < 2)
        return;
    peer_expect(p, 0, LEV_M_CONNECTION_START);
    if (stage == 3)
        peer_raw(p, "\1\0\0\0\0\2\0half", 11);
    peer_flush(p);
}

START_TEST(test_stuck_handshakes)
{
    struct peer *p[STUCK];
    int64_t start = proto_now_ms();
    for (int i = 0; i < STUCK; i++) {
        p[i] = peer_open(bed.port);
        begin_handshake(p[i], i);
    }
    for (int i = 0; i < STUCK; i++) {
        ck_assert(peer_sees_end(p[i], HANDSHAKE_MS + SLACK_MS));
        ck_assert_int_ge(proto_now_ms() - start, HANDSHAKE_MS - 50);
        peer_drop(&p[i]);
    }
}
END_TEST

/* --- close handshakes --- */

/* After a close, by whichever side, a peer that keeps the socket has one heartbeat. */
START_TEST(test_end_is_awaited)
{
    struct peer *p = connect_beating(bed.port);
    int64_t start = proto_now_ms();
    if (_i == 0) {
        struct lev_method m = {.id = LEV_M_CONNECTION_CLOSE};
        peer_call(p, 0, &m, LEV_M_CONNECTION_CLOSE_OK);
    } else {
        peer_method(p, 7, &(struct lev_method){.id = LEV_M_TX_SELECT});
        peer_flush(p);
        peer_expect(p, 0, LEV_M_CONNECTION_CLOSE);
    }
    ck_assert(peer_sees_end(p, 1000 + SLACK_MS));
    ck_assert_int_ge(proto_now_ms() - start, 950);
    peer_drop(&p);
}
END_TEST

START_TEST(test_close_from_both_sides)
{
    enum { CLOSES = 1000, ANSWERS_MAX = 100 };
    struct peer *p = peer_connect(bed.port);
    struct lev_method m = {.id = LEV_M_QUEUE_UNBIND_OK};
    struct lev_frame f;
    int answers = 0;
    peer_method(p, 1, &m); /* not for clients to send: the server closes */
    m = (struct lev_method){.id = LEV_M_CONNECTION_CLOSE};
    m.u.connection_close.reply_code = 200;
    for (int i = 0; i < CLOSES; i++)
        peer_method(p, 0, &m); /* and so do we, rather often: the answers are few */
    peer_method(p, 0, &(struct lev_method){.id = LEV_M_CONNECTION_CLOSE_OK});
    peer_flush(p);
    ck_assert_uint_eq(peer_expect(p, 0, LEV_M_CONNECTION_CLOSE)->u.connection_close.reply_code,
                      503);
    for (; peer_read(p, &f); answers++)
        ck_assert_uint_eq(lev_get32(f.payload.ptr), 10 << 16 | 51);
    ck_assert_int_ge(answers, 1);
    ck_assert_int_le(answers, ANSWERS_MAX);
    peer_drop(&p);
}
END_TEST

static void declare_exclusive(struct peer *p, const char *queue)
{
    struct lev_method m = {.id = LEV_M_QUEUE_DECLARE};
    m.u.queue_declare.queue = lev_bytes_str(queue);
    m.u.queue_declare.exclusive = true;
    peer_method(p, 1, &m);
    peer_flush(p);
}

START_TEST(test_exclusive_queue_is_free_after_close)
{
    struct peer *owner = peer_connect(bed.port);
    declare_exclusive(owner, "mine");
    peer_expect(owner, 1, LEV_M_QUEUE_DECLARE_OK);
    struct peer *other = peer_connect(bed.port);
    declare_exclusive(other, "mine");
    peer_expect_close(other, 1, 405,
                      "RESOURCE_LOCKED - cannot obtain exclusive access to locked queue 'mine' in "
                      "vhost '/'. It could be originally declared on another connection or the "
                      "exclusive property value does not match that of the original declaration.");
    peer_goodbye(&other);
    for (int i = 0; i < REDECLARES; i++) {
        peer_goodbye(&owner); /* its close-ok has come: the next one may */
        owner = peer_connect(bed.port);
        declare_exclusive(owner, "mine");
        peer_expect(owner, 1, LEV_M_QUEUE_DECLARE_OK);
    }
    peer_goodbye(&owner);
}
END_TEST

/* --- sudden death --- */

static void check_redelivery(struct peer *p, int i)
{
    struct lev_method m = {.id = LEV_M_BASIC_GET};
    struct lev_buf body;
    lev_buf_init(&body);
    m.u.basic_get.queue = LEV_LIT("heir");
    m.u.basic_get.no_ack = true;
    ck_assert(peer_call(p, 1, &m, LEV_M_BASIC_GET_OK)->u.basic_get_ok.redelivered);
    ck_assert_uint_eq(peer_take_content(p, 1, &body), sizeof(i));
    ck_assert_mem_eq(body.ptr, &i, sizeof(i));
    lev_buf_deinit(&body);
}

static void take_delivery(struct peer *p)
{
    struct lev_buf body;
    lev_buf_init(&body);
    peer_expect(p, 1, LEV_M_BASIC_DELIVER);
    peer_take_content(p, 1, &body);
    lev_buf_deinit(&body);
}

START_TEST(test_death_requeues)
{
    enum { N = 50 };
    struct peer *keeper = peer_connect(bed.port), *victim = peer_connect(bed.port);
    peer_declare(keeper, 1, "heir", true);
    for (int i = 0; i < N; i++)
        peer_publish(keeper, 1, "heir", 2, &i, sizeof(i));
    peer_flush(keeper);
    peer_consume(victim, 1, "heir", false);
    for (int i = 0; i < N; i++)
        take_delivery(victim);
    peer_ack(victim, 1, 3, false); /* one out of order, one in the middle of the rest */
    peer_ack(victim, 1, 20, false);
    peer_flush(victim);
    peer_channel(victim, 2); /* the acks were seen */
    if (_i)
        peer_reset(&victim);
    else
        peer_drop(&victim);
    while (peer_declare(keeper, 1, "heir", true) < N - 2)
        pause_ms(5);
    for (int i = 0; i < N; i++)
        if (i != 2 && i != 19)
            check_redelivery(keeper, i);
    ck_assert_uint_eq(peer_delete(keeper, 1, "heir"), 0);
    peer_goodbye(&keeper);
}
END_TEST

/* --- a queue goes --- */

START_TEST(test_consumers_told_of_deletion)
{
    struct peer_terms terms = peer_usual;
    struct peer *told = peer_connect(bed.port), *untold = peer_open(bed.port);
    terms.cancel_notify = false;
    peer_login(untold, &terms);
    peer_channel(untold, 1);
    peer_declare(told, 1, "doomed", false);
    peer_consume(told, 1, "doomed", false);
    peer_consume(untold, 1, "doomed", false);
    peer_channel(told, 2);
    peer_method(
        told, 2,
        &(struct lev_method){.id = LEV_M_QUEUE_DELETE, .u.queue_delete.queue = LEV_LIT("doomed")});
    peer_flush(told);
    const struct lev_method *m = peer_expect(told, 1, LEV_M_BASIC_CANCEL);
    ck_assert(lev_bytes_eq(m->u.basic_cancel.consumer_tag, LEV_LIT("c")));
    peer_expect(told, 2, LEV_M_QUEUE_DELETE_OK);
    peer_channel(untold, 2); /* and nothing before it */
    peer_goodbye(&told);
    peer_goodbye(&untold);
}
END_TEST

/* --- the daemon is told to stop --- */

static void fill_output(struct peer *p)
{
    static uint8_t body[100000];
    struct lev_method m = {.id = LEV_M_BASIC_PUBLISH};
    m.u.basic_publish.routing_key = LEV_LIT("nowhere");
    m.u.basic_publish.mandatory = true;
    p->deaf = true;
    for (int i = 0; i < 200; i++) {
        peer_method(p, 1, &m);
        peer_content(p, 1, 0, body, sizeof(body));
    }
    peer_push(p, 300);
}

START_TEST(test_daemon_stops)
{
    static const char text[] =
        "CONNECTION_FORCED - broker forced connection closure with reason 'shutdown'";
    struct daemon_proc *d = daemon_start(NULL, (const char *[]){"--log-level", "none", NULL});
    ck_assert_ptr_nonnull(d);
    int port = daemon_port(d);
    struct peer *polite = peer_connect(port), *mute = peer_connect(port),
                *deaf = peer_connect(port), *early = peer_open(port);
    begin_handshake(early, 2);
    fill_output(deaf);
    int64_t start = proto_now_ms();
    ck_assert_int_eq(kill(daemon_pid(d), SIGTERM), 0);
    peer_expect_close(polite, 0, 320, text);
    ck_assert(peer_sees_end(polite, SLACK_MS));
    ck_assert(peer_sees_end(early, SLACK_MS));
    const struct lev_method *m = peer_expect(mute, 0, LEV_M_CONNECTION_CLOSE);
    ck_assert_uint_eq(m->u.connection_close.reply_code, 320);
    ck_assert_int_eq(daemon_stop(&d), 0);
    ck_assert_int_le(proto_now_ms() - start, 5000 + SLACK_MS);
    peer_drop(&polite);
    peer_drop(&mute);
    peer_drop(&deaf);
    peer_drop(&early);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("proto_close");
    TCase *tc = tcase_create("close"), *own = tcase_create("daemon");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 120);
    tcase_set_timeout(own, 120);
    tcase_add_test(tc, test_silent_peer);
    tcase_add_test(tc, test_beating_peer_stays);
    tcase_add_test(tc, test_stuck_handshakes);
    tcase_add_loop_test(tc, test_end_is_awaited, 0, 2);
    tcase_add_test(tc, test_close_from_both_sides);
    tcase_add_test(tc, test_exclusive_queue_is_free_after_close);
    tcase_add_loop_test(tc, test_death_requeues, 0, 2);
    tcase_add_test(tc, test_consumers_told_of_deletion);
    tcase_add_test(own, test_daemon_stops);
    suite_add_tcase(s, tc);
    suite_add_tcase(s, own);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
