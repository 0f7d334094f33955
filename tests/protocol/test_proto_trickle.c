/* The same conversation however it is cut: whole, one octet at a time, in random pieces; contents
 * of several channels interleaved; and the small methods that have no other home. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto.h"

enum { RANDOM_ROUNDS = 24, INTERLEAVED = 7 };

static struct proto_bed bed;

static void setup(void)
{
    proto_start(&bed, NULL);
}

static void teardown(void)
{
    proto_stop(&bed);
}

/* --- one conversation, cut in pieces --- */

static void put_login(struct peer *p)
{
    struct lev_method m = {.id = LEV_M_CONNECTION_START_OK};
    peer_raw(p, "AMQP\0\0\x09\x01", 8);
    m.u.connection_start_ok.mechanism = LEV_LIT("PLAIN");
    m.u.connection_start_ok.response = lev_bytes("\0guest\0guest", 12);
    m.u.connection_start_ok.locale = LEV_LIT("en_US");
    peer_method(p, 0, &m);
    m = (struct lev_method){.id = LEV_M_CONNECTION_TUNE_OK};
    m.u.connection_tune_ok.channel_max = 2047;
    m.u.connection_tune_ok.frame_max = 4096;
    peer_method(p, 0, &m);
    p->frame_max = 4096;
    m = (struct lev_method){.id = LEV_M_CONNECTION_OPEN};
    m.u.connection_open.virtual_host = LEV_LIT("/");
    peer_method(p, 0, &m);
    peer_method(p, 1, &(struct lev_method){.id = LEV_M_CHANNEL_OPEN});
}

static void put_get(struct peer *p, bool no_ack)
{
    struct lev_method m = {.id = LEV_M_BASIC_GET};
    m.u.basic_get.queue = LEV_LIT("trickle");
    m.u.basic_get.no_ack = no_ack;
    peer_method(p, 1, &m);
}

static void put_conversation(struct peer *p)
{
    static uint8_t large[9000];
    struct lev_method m = {.id = LEV_M_QUEUE_DECLARE};
    for (size_t i = 0; i < sizeof(large); i++)
        large[i] = (uint8_t)(i * 7);
    put_login(p);
    m.u.queue_declare.queue = LEV_LIT("trickle");
    m.u.queue_declare.exclusive = true;
    peer_method(p, 1, &m);
    peer_publish(p, 1, "trickle", 0, "hello", 5);
    peer_publish(p, 1, "trickle", 2, large, sizeof(large));
    peer_publish(p, 1, "trickle", 1, NULL, 0);
    peer_frame(p, LEV_FRAME_HEARTBEAT, 0, NULL, 0);
    put_get(p, false);
    put_get(p, false);
    put_get(p, true);
    put_get(p, true);
    peer_ack(p, 1, 2, true);
    m = (struct lev_method){.id = LEV_M_BASIC_PUBLISH}; /* nobody takes it */
    m.u.basic_publish.routing_key = LEV_LIT("nowhere");
    m.u.basic_publish.mandatory = true;
    peer_method(p, 1, &m);
    peer_content(p, 1, 0, large, 4100);
    m = (struct lev_method){.id = LEV_M_QUEUE_DELETE};
    m.u.queue_delete.queue = LEV_LIT("trickle");
    peer_method(p, 1, &m);
    peer_method(p, 1, &(struct lev_method){.id = LEV_M_CHANNEL_CLOSE});
    peer_method(p, 0, &(struct lev_method){.id = LEV_M_CONNECTION_CLOSE});
}

/* Everything the server says until close-ok, as octets. */
static void hold_conversation(unsigned piece, unsigned seed, struct lev_buf *heard)
{
    struct peer *p = peer_open(bed.port);
    struct lev_frame f;
    struct lev_method m = {.id = LEV_M_COUNT};
    p->piece = piece;
    p->seed = seed;
    put_conversation(p);
    peer_flush(p);
    while (m.id != LEV_M_CONNECTION_CLOSE_OK) {
        m.id = LEV_M_COUNT;
        ck_assert_msg(peer_read(p, &f), "pieces of %u, seed %u: ended early", piece, seed);
        lev_buf_put(heard, f.payload.ptr - 7, f.payload.len + LEV_FRAME_OVERHEAD);
        if (f.type == LEV_FRAME_METHOD)
            ck_assert_int_eq(lev_method_decode(f.payload, &m), 0);
    }
    peer_drop(&p);
}

START_TEST(test_cut_anyhow)
{
    struct lev_buf whole, cut;
    lev_buf_init(&whole);
    lev_buf_init(&cut);
    hold_conversation(0, 0, &whole);
    ck_assert_uint_gt(whole.len, 9000 + 4100);
    for (unsigned i = 0; i < RANDOM_ROUNDS; i++) {
        static const unsigned pieces[] = {1, 3, 20, 1000};
        lev_buf_clear(&cut);
        hold_conversation(pieces[i % 4], i + 1, &cut);
        ck_assert_msg(lev_bytes_eq(lev_buf_view(&whole), lev_buf_view(&cut)),
                      "pieces of up to %u, seed %u: other answers", pieces[i % 4], i + 1);
    }
    lev_buf_deinit(&whole);
    lev_buf_deinit(&cut);
}
END_TEST

/* --- contents of several channels at once --- */

/* Methods in order, headers in reverse, bodies dealt out in turn. */
static void put_interleaved(struct peer *p, const uint8_t *body, size_t n)
{
    static const uint8_t none[2];
    struct lev_method m = {.id = LEV_M_BASIC_PUBLISH};
    char key[16];
    for (uint16_t ch = 1; ch <= INTERLEAVED; ch++) {
        snprintf(key, sizeof(key), "weave%u", ch);
        m.u.basic_publish.routing_key = lev_bytes_str(key);
        peer_method(p, ch, &m);
    }
    for (uint16_t ch = INTERLEAVED; ch >= 1; ch--)
        lev_content_header_encode(&p->out, ch, n + ch, lev_bytes(none, 2));
    for (size_t at = 0; at < n + INTERLEAVED; at += 100)
        for (uint16_t ch = 1; ch <= INTERLEAVED; ch++)
            if (at < n + ch)
                peer_frame(p, LEV_FRAME_BODY, ch, body + at, n + ch - at < 100 ? n + ch - at : 100);
}

static void check_interleaved(struct peer *p, uint16_t ch, const uint8_t *body, size_t n)
{
    struct lev_method m = {.id = LEV_M_BASIC_GET};
    struct lev_buf got;
    char key[16];
    snprintf(key, sizeof(key), "weave%u", ch);
    m.u.basic_get.queue = lev_bytes_str(key);
    m.u.basic_get.no_ack = true;
    const struct lev_basic_get_ok *ok = &peer_call(p, ch, &m, LEV_M_BASIC_GET_OK)->u.basic_get_ok;
    ck_assert(lev_bytes_eq(ok->routing_key, lev_bytes_str(key)));
    lev_buf_init(&got);
    ck_assert_uint_eq(peer_take_content(p, ch, &got), n + ch);
    ck_assert(memcmp(got.ptr, body, got.len) == 0);
    lev_buf_deinit(&got);
    peer_delete(p, ch, key);
}

START_TEST(test_interleaved)
{
    static const unsigned pieces[] = {0, 1, 50};
    uint8_t body[1024];
    struct peer *p = peer_connect(bed.port);
    char key[16];
    for (size_t i = 0; i < sizeof(body); i++)
        body[i] = (uint8_t)(i * 31);
    for (uint16_t ch = 2; ch <= INTERLEAVED; ch++)
        peer_channel(p, ch);
    for (uint16_t ch = 1; ch <= INTERLEAVED; ch++) {
        snprintf(key, sizeof(key), "weave%u", ch);
        peer_declare(p, ch, key, false);
    }
    p->piece = pieces[_i];
    put_interleaved(p, body, 1000);
    peer_flush(p);
    p->piece = 0;
    for (uint16_t ch = 1; ch <= INTERLEAVED; ch++)
        check_interleaved(p, ch, body, 1000);
    peer_goodbye(&p);
}
END_TEST

/* A channel fails while its next publish waits for its header: the rest of that content is ignored,
 * and the number can be used again. */
START_TEST(test_channel_fails_in_a_content)
{
    struct lev_method m = {.id = LEV_M_BASIC_PUBLISH};
    struct peer *p = peer_connect(bed.port);
    m.u.basic_publish.exchange = LEV_LIT("missing");
    peer_method(p, 1, &m);
    peer_content(p, 1, 0, "x", 1);
    peer_method(p, 1, &m);
    peer_flush(p);
    const struct lev_method *close = peer_expect(p, 1, LEV_M_CHANNEL_CLOSE);
    ck_assert_uint_eq(close->u.channel_close.reply_code, 404);
    peer_content(p, 1, 0, "x", 1);
    peer_method(p, 1, &m);
    peer_method(p, 1, &(struct lev_method){.id = LEV_M_CHANNEL_CLOSE_OK});
    peer_channel(p, 1);
    /* The same within one block, so that the content begun is still in the block. */
    peer_channel(p, 2);
    peer_method(p, 1, &m);
    peer_content(p, 1, 0, "x", 1);
    peer_method(p, 1, &m);
    m = (struct lev_method){.id = LEV_M_CHANNEL_FLOW};
    m.u.channel_flow.active = true;
    peer_method(p, 2, &m);
    peer_method(p, 1, &(struct lev_method){.id = LEV_M_CHANNEL_CLOSE_OK});
    peer_flush(p);
    peer_expect(p, 1, LEV_M_CHANNEL_CLOSE);
    peer_expect(p, 2, LEV_M_CHANNEL_FLOW_OK);
    peer_channel(p, 1);
    peer_goodbye(&p);
}
END_TEST

/* A publish of 4,000 octets, up to its header. */
static void put_long_content(struct peer *p)
{
    static const uint8_t header[14] = {0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0x0f, 0xa0, 0, 0};
    struct lev_method m = {.id = LEV_M_BASIC_PUBLISH};
    m.u.basic_publish.routing_key = LEV_LIT("nowhere");
    peer_method(p, 1, &m);
    peer_frame(p, LEV_FRAME_HEADER, 1, header, sizeof(header));
}

/* A long body frame is taken before its end is seen: the error is the same. */
START_TEST(test_body_frame_ends_wrongly)
{
    static const unsigned pieces[] = {0, 1, 100, 2006, 2007};
    uint8_t frame[2008];
    struct peer *p = peer_connect(bed.port);
    memset(frame, 'a', sizeof(frame));
    memcpy(frame, "\x03\x00\x01\x00\x00\x07\xd0", 7);
    frame[2007] = 0xcd;
    put_long_content(p);
    peer_flush(p);
    p->piece = pieces[_i];
    p->seed = 1;
    peer_raw(p, frame, sizeof(frame));
    peer_flush(p);
    peer_expect_close(p, 0, 501,
                      "FRAME_ERROR - type 3, first 16 octets = <<\"aaaaaaaaaaaaaaaa\">>: "
                      "{invalid_frame_end_marker,205}");
    peer_drop(&p);
}
END_TEST

/* What comes of a body when the channel is gone meanwhile is dropped. */
START_TEST(test_channel_fails_in_a_body_frame)
{
    static uint8_t body[4000];
    struct lev_method m = {.id = LEV_M_QUEUE_DECLARE};
    struct peer *p = peer_connect(bed.port);
    uint8_t head[7];
    m.u.queue_declare.queue = LEV_LIT("amq.wrong");
    peer_method(p, 1, &m); /* refused, and its answer crosses the body */
    put_long_content(p);
    lev_frame_put_header(head, LEV_FRAME_BODY, 1, sizeof(body));
    peer_raw(p, head, sizeof(head));
    peer_raw(p, body, 1500);
    peer_flush(p);
    peer_expect(p, 1, LEV_M_CHANNEL_CLOSE);
    peer_raw(p, body, 2500);
    peer_raw(p, "\xce", 1);
    peer_method(p, 1, &(struct lev_method){.id = LEV_M_CHANNEL_CLOSE_OK});
    peer_channel(p, 1);
    peer_goodbye(&p);
}
END_TEST

/* --- small methods --- */

START_TEST(test_small_methods)
{
    struct peer *p = peer_connect(bed.port);
    struct lev_method m = {.id = LEV_M_CONNECTION_UPDATE_SECRET};
    m.u.connection_update_secret.new_secret = LEV_LIT("secret");
    m.u.connection_update_secret.reason = LEV_LIT("because");
    peer_call(p, 0, &m, LEV_M_CONNECTION_UPDATE_SECRET_OK);

    m = (struct lev_method){.id = LEV_M_ACCESS_REQUEST};
    m.u.access_request.realm = LEV_LIT("/data");
    m.u.access_request.active = true;
    ck_assert_uint_eq(peer_call(p, 1, &m, LEV_M_ACCESS_REQUEST_OK)->u.access_request_ok.ticket, 1);

    m = (struct lev_method){.id = LEV_M_CHANNEL_FLOW};
    m.u.channel_flow.active = true;
    ck_assert(peer_call(p, 1, &m, LEV_M_CHANNEL_FLOW_OK)->u.channel_flow_ok.active);
    m.u.channel_flow.active = false;
    peer_method(p, 1, &m);
    peer_flush(p);
    peer_expect_close(p, 0, 540, "NOT_IMPLEMENTED - active=false");
    ck_assert(peer_sees_end(p, PEER_WAIT_MS));
    peer_drop(&p);
}
END_TEST

/* Everything with no-wait answers nothing; the passive declare proves that it was done. */
START_TEST(test_no_wait)
{
    struct peer *p = peer_connect(bed.port);
    struct lev_method m = {.id = LEV_M_EXCHANGE_DECLARE};
    m.u.exchange_declare.exchange = LEV_LIT("silent-x");
    m.u.exchange_declare.type = LEV_LIT("fanout");
    m.u.exchange_declare.no_wait = true;
    peer_method(p, 1, &m);
    m = (struct lev_method){.id = LEV_M_QUEUE_DECLARE};
    m.u.queue_declare.queue = LEV_LIT("silent");
    m.u.queue_declare.no_wait = true;
    peer_method(p, 1, &m);
    m = (struct lev_method){.id = LEV_M_QUEUE_BIND};
    m.u.queue_bind.queue = LEV_LIT("silent");
    m.u.queue_bind.exchange = LEV_LIT("silent-x");
    m.u.queue_bind.no_wait = true;
    peer_method(p, 1, &m);
    m = (struct lev_method){.id = LEV_M_BASIC_PUBLISH};
    m.u.basic_publish.exchange = LEV_LIT("silent-x");
    for (int i = 0; i < 2; i++) {
        peer_method(p, 1, &m);
        peer_content(p, 1, 0, "x", 1);
    }
    m = (struct lev_method){.id = LEV_M_CONFIRM_SELECT};
    m.u.confirm_select.no_wait = true;
    peer_method(p, 1, &m);
    m = (struct lev_method){.id = LEV_M_QUEUE_DECLARE};
    m.u.queue_declare.queue = LEV_LIT("silent");
    m.u.queue_declare.passive = true;
    const struct lev_queue_declare_ok *ok =
        &peer_call(p, 1, &m, LEV_M_QUEUE_DECLARE_OK)->u.queue_declare_ok;
    ck_assert_uint_eq(ok->message_count, 2);

    m = (struct lev_method){.id = LEV_M_BASIC_CONSUME};
    m.u.basic_consume.queue = LEV_LIT("silent");
    m.u.basic_consume.consumer_tag = LEV_LIT("quiet");
    m.u.basic_consume.no_ack = m.u.basic_consume.no_wait = true;
    peer_method(p, 1, &m);
    peer_flush(p);
    struct lev_buf body;
    lev_buf_init(&body);
    for (int i = 0; i < 2; i++) {
        const struct lev_method *d = peer_expect(p, 1, LEV_M_BASIC_DELIVER);
        ck_assert(lev_bytes_eq(d->u.basic_deliver.consumer_tag, LEV_LIT("quiet")));
        peer_take_content(p, 1, &body);
    }
    lev_buf_deinit(&body);

    m = (struct lev_method){.id = LEV_M_BASIC_CANCEL};
    m.u.basic_cancel.consumer_tag = LEV_LIT("quiet");
    m.u.basic_cancel.no_wait = true;
    peer_method(p, 1, &m);
    m = (struct lev_method){.id = LEV_M_QUEUE_PURGE};
    m.u.queue_purge.queue = LEV_LIT("silent");
    m.u.queue_purge.no_wait = true;
    peer_method(p, 1, &m);
    m = (struct lev_method){.id = LEV_M_QUEUE_DELETE};
    m.u.queue_delete.queue = LEV_LIT("silent");
    m.u.queue_delete.no_wait = true;
    peer_method(p, 1, &m);
    m = (struct lev_method){.id = LEV_M_EXCHANGE_DELETE};
    m.u.exchange_delete.exchange = LEV_LIT("silent-x");
    m.u.exchange_delete.no_wait = true;
    peer_method(p, 1, &m);
    m = (struct lev_method){.id = LEV_M_EXCHANGE_DECLARE};
    m.u.exchange_declare.exchange = LEV_LIT("silent-x");
    m.u.exchange_declare.passive = true;
    peer_method(p, 1, &m);
    peer_flush(p);
    peer_expect_close(p, 1, 404, "NOT_FOUND - no exchange 'silent-x' in vhost '/'");
    peer_goodbye(&p);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("proto_trickle");
    TCase *tc = tcase_create("trickle");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, test_cut_anyhow);
    tcase_add_loop_test(tc, test_interleaved, 0, 3);
    tcase_add_test(tc, test_channel_fails_in_a_content);
    tcase_add_loop_test(tc, test_body_frame_ends_wrongly, 0, 5);
    tcase_add_test(tc, test_channel_fails_in_a_body_frame);
    tcase_add_test(tc, test_small_methods);
    tcase_add_test(tc, test_no_wait);
    suite_add_tcase(s, tc);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
