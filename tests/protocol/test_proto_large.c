/* Bodies of all sizes, in small and large frames; those that are too large; and small messages that
 * go on while a large one is on its way. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto.h"

enum {
    LIMIT = 200 * 1000 * 1000,
    LARGEST = 100 << 20,
    PING_EVERY = 1 << 20,
    PING_MAX_MS =
        5000, /* far above any round trip, far below the whole transfer being waited for */
};

static struct proto_bed bed;

static void setup(void)
{
    struct lev_server_config c;
    proto_config(&c, 0);
    c.max_message_size = LIMIT;
    proto_start(&bed, &c);
}

static void teardown(void)
{
    proto_stop(&bed);
}

static void fill(uint8_t *p, size_t n)
{
    uint32_t x = 1;
    for (size_t i = 0; i < n; i++) {
        x = x * 1664525 + 1013904223;
        p[i] = (uint8_t)(x >> 24);
    }
}

static struct peer *connect_with(uint32_t frame_max)
{
    struct peer_terms terms = peer_usual;
    struct peer *p = peer_open(bed.port);
    terms.frame_max = frame_max;
    peer_login(p, &terms);
    peer_channel(p, 1);
    return p;
}

/* There and back, by get and by delivery. */
static void round_trip(struct peer *from, struct peer *to, const uint8_t *bytes, size_t n)
{
    struct lev_method m = {.id = LEV_M_BASIC_GET};
    struct lev_buf body;
    lev_buf_init(&body);
    m.u.basic_get.queue = LEV_LIT("large");
    peer_declare(from, 1, "large", false);
    peer_publish(from, 1, "large", 0, bytes, n);
    peer_flush(from);
    while (peer_declare(to, 1, "large", false) == 0)
        continue;
    uint64_t tag = peer_call(to, 1, &m, LEV_M_BASIC_GET_OK)->u.basic_get_ok.delivery_tag;
    ck_assert_uint_eq(peer_take_content(to, 1, &body), n);
    ck_assert(n == 0 || memcmp(body.ptr, bytes, n) == 0);
    m = (struct lev_method){.id = LEV_M_BASIC_REJECT};
    m.u.basic_reject.delivery_tag = tag;
    m.u.basic_reject.requeue = true;
    peer_method(to, 1, &m);
    lev_buf_clear(&body);
    peer_consume(to, 1, "large", true);
    ck_assert(peer_expect(to, 1, LEV_M_BASIC_DELIVER)->u.basic_deliver.redelivered);
    ck_assert_uint_eq(peer_take_content(to, 1, &body), n);
    ck_assert(n == 0 || memcmp(body.ptr, bytes, n) == 0);
    lev_buf_deinit(&body);
    peer_delete(from, 1, "large");
    peer_expect(to, 1, LEV_M_BASIC_CANCEL);
}

START_TEST(test_sizes)
{
    static const size_t sizes[] = {0,      1,      4088,   4089,    4090,    8176,
                                   131064, 131065, 262128, 1 << 20, 16 << 20};
    static const uint32_t frames[][2] = {{131072, 131072}, {4096, 131072}, {131072, 4096}};
    size_t largest = sizes[sizeof(sizes) / sizeof(sizes[0]) - 1];
    uint8_t *bytes = malloc(largest);
    fill(bytes, largest);
    struct peer *from = connect_with(frames[_i][0]), *to = connect_with(frames[_i][1]);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        round_trip(from, to, bytes, sizes[i]);
    free(bytes);
    peer_goodbye(&from);
    peer_goodbye(&to);
}
END_TEST

/* --- too large --- */

START_TEST(test_too_large)
{
    static uint8_t piece[131064];
    static const uint8_t none[2];
    struct lev_method m = {.id = LEV_M_BASIC_PUBLISH};
    struct peer *p = peer_connect(bed.port);
    m.u.basic_publish.routing_key = LEV_LIT("anywhere");
    peer_method(p, 1, &m);
    lev_content_header_encode(&p->out, 1, LIMIT + 1, lev_bytes(none, 2));
    for (size_t left = LIMIT + 1; left > 0;) {
        size_t n = left < sizeof(piece) ? left : sizeof(piece);
        peer_frame(p, LEV_FRAME_BODY, 1, piece, n);
        peer_flush(p);
        left -= n;
    }
    peer_expect_close(p, 1, 406,
                      "PRECONDITION_FAILED - message size 200000001 is larger than configured max "
                      "size 200000000");
    peer_channel(p, 1);
    /* More than any broker may take: the connection's fault. */
    peer_method(p, 1, &m);
    lev_content_header_encode(&p->out, 1, (uint64_t)1 << 40, lev_bytes(none, 2));
    peer_flush(p);
    ck_assert_uint_eq(peer_expect(p, 0, LEV_M_CONNECTION_CLOSE)->u.connection_close.reply_code,
                      501);
    peer_drop(&p);
}
END_TEST

/* --- others meanwhile --- */

static void ping(struct peer *p)
{
    struct lev_buf body;
    int64_t start = proto_now_ms();
    lev_buf_init(&body);
    peer_publish(p, 1, "ping", 0, "ping", 4);
    peer_flush(p);
    peer_expect(p, 1, LEV_M_BASIC_DELIVER);
    ck_assert_uint_eq(peer_take_content(p, 1, &body), 4);
    ck_assert_int_le(proto_now_ms() - start, PING_MAX_MS);
    lev_buf_deinit(&body);
}

static void send_slowly(struct peer *p, const uint8_t *bytes, size_t n, struct peer *pinger)
{
    static const uint8_t none[2];
    size_t max = p->frame_max - LEV_FRAME_OVERHEAD;
    struct lev_method m = {.id = LEV_M_BASIC_PUBLISH};
    m.u.basic_publish.routing_key = LEV_LIT("large");
    peer_method(p, 1, &m);
    lev_content_header_encode(&p->out, 1, n, lev_bytes(none, 2));
    for (size_t at = 0, pinged = 0; at < n; at += max) {
        peer_frame(p, LEV_FRAME_BODY, 1, bytes + at, n - at < max ? n - at : max);
        if (at - pinged >= PING_EVERY) {
            peer_flush(p);
            ping(pinger);
            pinged = at;
        }
    }
    peer_flush(p);
}

static void receive_slowly(struct peer *p, const uint8_t *bytes, size_t n, struct peer *pinger)
{
    struct lev_frame f;
    size_t got = 0, pinged = 0;
    peer_expect(p, 1, LEV_M_BASIC_DELIVER);
    ck_assert(peer_read(p, &f));
    while (got < n) {
        ck_assert(peer_read(p, &f));
        ck_assert_int_eq(f.type, LEV_FRAME_BODY);
        ck_assert(memcmp(f.payload.ptr, bytes + got, f.payload.len) == 0);
        got += f.payload.len;
        if (got - pinged >= PING_EVERY) {
            ping(pinger);
            pinged = got;
        }
    }
}

START_TEST(test_others_go_on)
{
    size_t n = proto_scaled(LARGEST);
    uint8_t *bytes = malloc(n);
    fill(bytes, n);
    struct peer *from = peer_connect(bed.port), *to = peer_connect(bed.port),
                *pinger = peer_connect(bed.port);
    peer_declare(to, 1, "large", false);
    peer_consume(to, 1, "large", true);
    peer_declare(pinger, 1, "ping", false);
    peer_consume(pinger, 1, "ping", true);
    send_slowly(from, bytes, n, pinger);
    receive_slowly(to, bytes, n, pinger);
    free(bytes);
    peer_delete(from, 1, "large");
    peer_delete(from, 1, "ping");
    peer_goodbye(&from);
    peer_goodbye(&to);
    peer_goodbye(&pinger);
}
END_TEST

/* A worker that reads nothing while it sends its answer must not be left waiting by a broker that
 * sends it the next large message. */
START_TEST(test_both_ways)
{
    enum { N = 16 << 20 };
    uint8_t *bytes = malloc(N);
    struct lev_buf body;
    struct peer *from = peer_connect(bed.port), *worker = peer_connect(bed.port);
    fill(bytes, N);
    peer_declare(from, 1, "large", false);
    peer_declare(from, 1, "answers", false);
    peer_consume(worker, 1, "large", false);
    for (int i = 0; i < 3; i++) {
        peer_publish(from, 1, "large", 0, bytes, N);
        peer_flush(from);
    }
    lev_buf_init(&body);
    uint64_t tag = peer_expect(worker, 1, LEV_M_BASIC_DELIVER)->u.basic_deliver.delivery_tag;
    peer_take_content(worker, 1, &body);
    worker->deaf = true;
    peer_ack(worker, 1, tag, false);
    peer_publish(worker, 1, "answers", 0, bytes, N);
    ck_assert_msg(peer_push(worker, 10000), "the broker waits for the worker to read");
    worker->deaf = false;
    for (int i = 0; i < 2; i++) {
        peer_expect(worker, 1, LEV_M_BASIC_DELIVER);
        peer_take_content(worker, 1, &body);
    }
    lev_buf_deinit(&body);
    free(bytes);
    peer_delete(from, 1, "large");
    while (peer_declare(from, 1, "answers", false) == 0)
        continue;
    ck_assert_uint_eq(peer_delete(from, 1, "answers"), 1);
    peer_goodbye(&from);
    peer_drop(&worker);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("proto_large");
    TCase *tc = tcase_create("large");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 240);
    tcase_add_loop_test(tc, test_sizes, 0, 3);
    tcase_add_test(tc, test_too_large);
    tcase_add_test(tc, test_others_go_on);
    tcase_add_test(tc, test_both_ways);
    suite_add_tcase(s, tc);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
