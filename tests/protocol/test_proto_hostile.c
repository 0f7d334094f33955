/* Hostile and broken peers: the broker survives them all, leaks nothing, and serves the next one.
 */
#include <check.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "amqp/table.h"
#include "proto.h"
#include "support/daemon.h"

enum {
    MUTATIONS = 6000,
    GARBAGE = 400,
    AT_ONCE = 40,
    FLOOD = 2000,
    CHANNELS = 2047,
    NESTING = 10000,
    FEW_FILES = 64,
};

static struct proto_bed bed;
static int fds_before;

static void serve_one(void)
{
    struct peer *p = peer_connect(bed.port);
    struct lev_buf body;
    lev_buf_init(&body);
    peer_declare(p, 1, "serve", false);
    peer_consume(p, 1, "serve", true);
    peer_publish(p, 1, "serve", 0, "still here", 10);
    peer_flush(p);
    peer_expect(p, 1, LEV_M_BASIC_DELIVER);
    ck_assert_uint_eq(peer_take_content(p, 1, &body), 10);
    lev_buf_deinit(&body);
    peer_method(
        p, 1,
        &(struct lev_method){.id = LEV_M_QUEUE_DELETE, .u.queue_delete.queue = LEV_LIT("serve")});
    peer_goodbye(&p);
}

static void setup(void)
{
    proto_start(&bed, NULL);
    serve_one();
    proto_wait_alone(&bed);
    fds_before = proto_fds(getpid());
}

static void teardown(void)
{
    serve_one();
    proto_wait_alone(&bed);
    ck_assert_int_eq(proto_fds(getpid()), fds_before);
    proto_end(&bed);
}

/* --- noise --- */

static void put_noise(struct peer *p, unsigned *seed, size_t n)
{
    for (size_t i = 0; i < n; i++)
        lev_buf_put8(&p->out, (uint8_t)rand_r(seed));
}

static void put_declare(struct peer *p)
{
    struct lev_method m = {.id = LEV_M_QUEUE_DECLARE};
    struct lev_buf t, nested;
    lev_buf_init(&t);
    lev_buf_init(&nested);
    lev_table_put_long(&nested, "number", 1);
    lev_table_put_str(&t, "x-queue-mode", LEV_LIT("lazy"));
    lev_table_put_table(&t, "x-nested", lev_buf_view(&nested));
    m.u.queue_declare.queue = LEV_LIT("mutant");
    m.u.queue_declare.arguments = lev_buf_view(&t);
    peer_method(p, 1, &m);
    lev_buf_deinit(&t);
    lev_buf_deinit(&nested);
}

/* A bit of everything, right as it stands. */
static void put_work(struct peer *p)
{
    struct lev_method m = {.id = LEV_M_BASIC_CONSUME};
    put_declare(p);
    m.u.basic_consume.queue = LEV_LIT("mutant");
    m.u.basic_consume.consumer_tag = LEV_LIT("m");
    peer_method(p, 1, &m);
    for (int i = 0; i < 3; i++)
        peer_publish(p, 1, "mutant", i, "some octets", 11);
    peer_ack(p, 1, 1, false);
    m = (struct lev_method){.id = LEV_M_CHANNEL_OPEN};
    peer_method(p, 2, &m);
    peer_method(p, 2, &(struct lev_method){.id = LEV_M_TX_SELECT});
    peer_publish(p, 2, "mutant", 2, "in a transaction", 16);
    peer_method(p, 2, &(struct lev_method){.id = LEV_M_TX_COMMIT});
    m = (struct lev_method){.id = LEV_M_BASIC_GET};
    m.u.basic_get.queue = LEV_LIT("mutant");
    peer_method(p, 2, &m);
    m = (struct lev_method){.id = LEV_M_QUEUE_BIND};
    m.u.queue_bind.queue = LEV_LIT("mutant");
    m.u.queue_bind.exchange = LEV_LIT("amq.topic");
    m.u.queue_bind.routing_key = LEV_LIT("a.*.#");
    peer_method(p, 1, &m);
    peer_frame(p, LEV_FRAME_HEARTBEAT, 0, NULL, 0);
    m = (struct lev_method){.id = LEV_M_QUEUE_DELETE};
    m.u.queue_delete.queue = LEV_LIT("mutant");
    peer_method(p, 1, &m);
    peer_method(p, 1, &(struct lev_method){.id = LEV_M_CHANNEL_CLOSE});
}

static void mutate(struct lev_buf *b, unsigned *seed)
{
    size_t n = 1 + (size_t)rand_r(seed) % 6;
    while (n--) {
        size_t at = (size_t)rand_r(seed) % b->len;
        switch (rand_r(seed) % 4) {
        case 0:
            b->ptr[at] = (uint8_t)rand_r(seed);
            break;
        case 1:
            b->ptr[at] ^= (uint8_t)(1 << rand_r(seed) % 8);
            break;
        case 2:
            b->ptr[at] = 0xff;
            break;
        default:
            b->len = at ? at : 1; /* cut short */
            break;
        }
    }
}

/* Sends what is collected and half-closes; whatever it was, the broker must end the connection. */
static void send_and_leave(struct peer **p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        p[i]->deaf = true;
        peer_push(p[i], 2000); /* the broker may well have closed before */
        shutdown(p[i]->fd, SHUT_WR);
    }
    for (size_t i = 0; i < n; i++) {
        ck_assert_msg(peer_sees_end(p[i], PEER_WAIT_MS), "peer %zu is still connected", i);
        peer_drop(&p[i]);
    }
}

START_TEST(test_mutated_conversations)
{
    struct peer *p[AT_ONCE];
    unsigned seed = 20;
    for (size_t round = 0; round < proto_scaled(MUTATIONS); round += AT_ONCE) {
        for (size_t i = 0; i < AT_ONCE; i++) {
            p[i] = peer_connect(bed.port);
            put_work(p[i]);
            mutate(&p[i]->out, &seed);
        }
        send_and_leave(p, AT_ONCE);
    }
}
END_TEST

/* Noise instead of a header, after it, after the handshake, and inside a frame that looks right. */
START_TEST(test_noise)
{
    struct peer *p[AT_ONCE];
    uint8_t frame[600];
    unsigned seed = 6;
    for (size_t round = 0; round < proto_scaled(GARBAGE); round += AT_ONCE) {
        for (size_t i = 0; i < AT_ONCE; i++) {
            p[i] = i % 4 < 2 ? peer_open(bed.port) : peer_connect(bed.port);
            if (i % 4 == 1)
                peer_raw(p[i], "AMQP\0\0\x09\x01", 8);
            if (i % 4 == 3) {
                for (size_t k = 0; k < sizeof(frame); k++)
                    frame[k] = (uint8_t)rand_r(&seed);
                lev_put16(frame, (uint16_t)(10 * (1 + rand_r(&seed) % 9)));
                lev_put16(frame + 2, (uint16_t)(10 * (1 + rand_r(&seed) % 12)));
                peer_frame(p[i], 1, (uint16_t)(rand_r(&seed) % 2), frame,
                           4 + (size_t)rand_r(&seed) % (sizeof(frame) - 4));
            } else {
                put_noise(p[i], &seed, 1 + (size_t)rand_r(&seed) % 5000);
            }
        }
        send_and_leave(p, AT_ONCE);
    }
}
END_TEST

/* --- frames and tables --- */

static void expect_code(struct peer **p, uint16_t code)
{
    peer_flush(*p);
    const struct lev_method *m = peer_expect(*p, 0, LEV_M_CONNECTION_CLOSE);
    ck_assert_msg(m->u.connection_close.reply_code == code, "closed with %u %.*s, not %u",
                  m->u.connection_close.reply_code, LEV_FMT(m->u.connection_close.reply_text),
                  code);
    peer_drop(p);
}

START_TEST(test_huge_frames)
{
    static const char bad_end[] = "\1\0\1\0\0\0\5\0\x14\0\x14\1\xcd";
    struct peer *p = peer_open(bed.port);
    peer_raw(p, "AMQP\0\0\x09\x01\1\0\0\xff\xff\xff\xff", 15); /* while it is not known who asks */
    peer_flush(p);
    peer_expect(p, 0, LEV_M_CONNECTION_START);
    ck_assert(peer_sees_end(p, PEER_WAIT_MS));
    peer_drop(&p);
    p = peer_connect(bed.port);
    peer_raw(p, "\1\0\1\xff\xff\xff\xff", 7);
    expect_code(&p, 501);
    p = peer_connect(bed.port);
    peer_raw(p, "\3\0\1\0\2\0\1", 7); /* one octet more than negotiated */
    expect_code(&p, 501);
    p = peer_connect(bed.port);
    peer_raw(p, bad_end, sizeof(bad_end) - 1);
    expect_code(&p, 501);
}
END_TEST

/* queue.declare with this table, whose length is given out as `claimed`. */
static void put_declare_with(struct peer *p, const struct lev_buf *table, size_t claimed)
{
    static const uint8_t head[] = "\0\x32\0\x0a\0\0\4deep\0";
    struct lev_buf b;
    lev_buf_init(&b);
    lev_buf_put(&b, head, sizeof(head) - 1);
    lev_buf_put32(&b, (uint32_t)claimed);
    lev_buf_put_bytes(&b, lev_buf_view(table));
    peer_frame(p, LEV_FRAME_METHOD, 1, b.ptr, b.len);
    lev_buf_deinit(&b);
}

START_TEST(test_bad_tables)
{
    static const size_t claims[] = {1, 6, 8, 100, 0x7fffffff, 0xfffffff8, 0xffffffff};
    struct lev_buf t;
    lev_buf_init(&t);
    lev_buf_put(&t, "\1aI\0\0\0\1", 7);
    for (size_t i = 0; i < sizeof(claims) / sizeof(claims[0]); i++) {
        struct peer *p = peer_connect(bed.port);
        put_declare_with(p, &t, claims[i]);
        expect_code(&p, 501);
    }
    for (size_t i = 0; i < 2; i++) { /* tables in tables, arrays in arrays */
        lev_buf_clear(&t);
        if (i)
            lev_buf_put(&t, "\1a", 2);
        for (uint32_t left = NESTING; left-- > 0;) {
            lev_buf_put(&t, i ? "A" : "\1aF", i ? 1 : 3);
            lev_buf_put32(&t, left * (i ? 5 : 7));
        }
        struct peer *p = peer_connect(bed.port);
        put_declare_with(p, &t, t.len);
        expect_code(&p, 501);
    }
    lev_buf_deinit(&t);
}
END_TEST

/* --- too much of everything --- */

START_TEST(test_unacceptable_terms)
{
    static const struct peer_terms terms[] = {{.channel_max = 65535, .frame_max = 131072},
                                              {.channel_max = 0, .frame_max = 131072},
                                              {.channel_max = 2047, .frame_max = 131073},
                                              {.channel_max = 2047, .frame_max = 4095},
                                              {.channel_max = 2047, .frame_max = 0}};
    enum { N = sizeof(terms) / sizeof(terms[0]) };
    struct peer *p[N];
    struct lev_frame f;
    for (size_t i = 0; i < N; i++) {
        struct lev_method m = {.id = LEV_M_CONNECTION_START_OK};
        p[i] = peer_open(bed.port);
        peer_raw(p[i], "AMQP\0\0\x09\x01", 8);
        m.u.connection_start_ok.mechanism = LEV_LIT("PLAIN");
        m.u.connection_start_ok.response = lev_bytes("\0guest\0guest", 12);
        peer_method(p[i], 0, &m);
        m = (struct lev_method){.id = LEV_M_CONNECTION_TUNE_OK};
        m.u.connection_tune_ok.channel_max = terms[i].channel_max;
        m.u.connection_tune_ok.frame_max = terms[i].frame_max;
        peer_method(p[i], 0, &m);
        m = (struct lev_method){.id = LEV_M_CONNECTION_OPEN};
        m.u.connection_open.virtual_host = LEV_LIT("/");
        peer_method(p[i], 0, &m);
        peer_flush(p[i]);
        peer_expect(p[i], 0, LEV_M_CONNECTION_START);
        peer_expect(p[i], 0, LEV_M_CONNECTION_TUNE);
    }
    for (size_t i = 0; i < N; i++) {
        ck_assert_msg(!peer_read(p[i], &f), "terms %zu were answered", i);
        peer_drop(&p[i]);
    }
}
END_TEST

START_TEST(test_channel_flood)
{
    struct peer *p = peer_connect(bed.port);
    struct lev_server_stats st;
    for (uint16_t ch = 2; ch <= CHANNELS; ch++)
        peer_method(p, ch, &(struct lev_method){.id = LEV_M_CHANNEL_OPEN});
    peer_flush(p);
    for (uint16_t ch = 2; ch <= CHANNELS; ch++)
        peer_expect(p, ch, LEV_M_CHANNEL_OPEN_OK);
    lev_server_stats(bed.server, &st);
    ck_assert_uint_eq(st.channels, CHANNELS);
    peer_method(p, CHANNELS + 1, &(struct lev_method){.id = LEV_M_CHANNEL_OPEN});
    peer_flush(p);
    peer_expect_close(p, 0, 530,
                      "NOT_ALLOWED - number of channels opened (2047) has reached the negotiated "
                      "channel_max (2047)");
    peer_drop(&p);
}
END_TEST

/* Comes and goes in every way, as fast as it can. */
START_TEST(test_connection_flood)
{
    for (size_t i = 0; i < proto_scaled(FLOOD); i++) {
        struct peer *p = i % 16 == 15 ? peer_connect(bed.port) : peer_open(bed.port);
        if (i % 3 == 1)
            peer_raw(p, "AMQP\0\0\x09\x01", i % 9);
        peer_push(p, 0);
        if (i % 5 == 2)
            shutdown(p->fd, SHUT_WR);
        if (i % 2)
            peer_reset(&p);
        else
            peer_drop(&p);
    }
}
END_TEST

/* --- want of descriptors --- */

static void confirm_one(struct peer *p, uint64_t number)
{
    peer_publish(p, 1, "few", 2, "x", 1);
    peer_flush(p);
    peer_wait_confirms(p, 1, number);
}

START_TEST(test_few_descriptors)
{
    enum { N = 3 * FEW_FILES };
    struct daemon_proc *d = daemon_start(NULL, (const char *[]){"--log-level", "none", NULL});
    struct rlimit few = {.rlim_cur = FEW_FILES, .rlim_max = FEW_FILES};
    struct peer *p[N], *old;
    ck_assert_ptr_nonnull(d);
    ck_assert_int_eq(prlimit(daemon_pid(d), RLIMIT_NOFILE, &few, NULL), 0);
    int before = proto_fds(daemon_pid(d));
    old = peer_connect(daemon_port(d));
    peer_declare(old, 1, "few", true);
    peer_confirm(old, 1);
    for (int i = 0; i < N; i++) {
        p[i] = peer_open(daemon_port(d));
        peer_raw(p[i], "AMQP\0\0\x09\x01", 8);
        peer_push(p[i], 0);
    }
    while (proto_fds(daemon_pid(d)) < FEW_FILES)
        sched_yield();
    confirm_one(old, 1); /* who is in is served */
    for (int i = 0; i < N; i++)
        peer_drop(&p[i]);
    struct peer *late = peer_connect(daemon_port(d));
    ck_assert_uint_eq(peer_declare(late, 1, "few", true), 1);
    confirm_one(old, 2);
    peer_goodbye(&late);
    peer_goodbye(&old);
    int64_t end = proto_now_ms() + PEER_WAIT_MS;
    while (proto_fds(daemon_pid(d)) > before && proto_now_ms() < end)
        sched_yield();
    ck_assert_int_eq(proto_fds(daemon_pid(d)), before);
    ck_assert_int_eq(daemon_stop(&d), 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("proto_hostile");
    TCase *tc = tcase_create("hostile"), *own = tcase_create("daemon");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 240);
    tcase_set_timeout(own, 240);
    tcase_add_test(tc, test_mutated_conversations);
    tcase_add_test(tc, test_noise);
    tcase_add_test(tc, test_huge_frames);
    tcase_add_test(tc, test_bad_tables);
    tcase_add_test(tc, test_unacceptable_terms);
    tcase_add_test(tc, test_channel_flood);
    tcase_add_test(tc, test_connection_flood);
    tcase_add_test(own, test_few_descriptors);
    suite_add_tcase(s, tc);
    suite_add_tcase(s, own);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
