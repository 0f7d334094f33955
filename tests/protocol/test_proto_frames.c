/* Frames without end: with the largest frame_max there is, what a peer announces costs no memory,
 * what it may send costs a bounded one, and a body may be one frame. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "talk.h"

enum {
    LARGEST = 128 << 20, /* what frame_max = 0 offers */
    KEPT_MAX = 16 << 20, /* what a frame may have that is not a body's */
    GROWTH_MIB = 100,    /* what the daemon may grow by, other than by messages it has */
    HEADER = 15 << 20,   /* octets of a large header */
    BODY = 100 << 20,    /* of a body in one frame */
    PIECE = 1 << 20,
    ANNOUNCERS = 50,
};

static struct daemon_proc *proc;
static char conf[64];
static size_t start_mib;

static void setup(void)
{
    snprintf(conf, sizeof(conf), "/tmp/leveret-conf-XXXXXX");
    int fd = mkstemp(conf);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(dprintf(fd, "frame_max = 0\n"), 14);
    close(fd);
    proc = daemon_start(NULL, (const char *[]){"--log-level", "none", "--config", conf, NULL});
    ck_assert_ptr_nonnull(proc);
    start_mib = proto_rss_mib(daemon_pid(proc));
}

static void teardown(void)
{
    unlink(conf);
    ck_assert_int_eq(daemon_stop(&proc), 0);
}

static void check_memory(void)
{
    size_t peak = proto_peak_mib(daemon_pid(proc));
    if (PROTO_MEMORY_COUNTS)
        ck_assert_msg(peak < start_mib + GROWTH_MIB, "the daemon grew from %zu to %zu MiB",
                      start_mib, peak);
}

static struct peer *connect_largest(void)
{
    struct peer_terms terms = peer_usual;
    struct peer *p = peer_open(daemon_port(proc));
    terms.frame_max = LARGEST;
    peer_login(p, &terms);
    peer_channel(p, 1);
    return p;
}

static void put_head(struct peer *p, uint8_t type, size_t size)
{
    uint8_t head[7];
    lev_frame_put_header(head, type, 1, (uint32_t)size);
    peer_raw(p, head, sizeof(head));
}

static void put_zeros(struct peer *p, size_t n)
{
    uint8_t *zeros = calloc(1, PIECE);
    for (size_t k; n; n -= k) {
        k = n < PIECE ? n : PIECE;
        peer_raw(p, zeros, k);
        peer_flush(p);
    }
    free(zeros);
}

static void put_publish(struct peer *p, const char *key, uint64_t body_size)
{
    uint8_t header[14] = {0, 60};
    struct lev_method m = {.id = LEV_M_BASIC_PUBLISH};
    m.u.basic_publish.routing_key = lev_bytes_str(key);
    lev_put64(header + 4, body_size);
    peer_method(p, 1, &m);
    peer_frame(p, LEV_FRAME_HEADER, 1, header, sizeof(header));
}

START_TEST(test_refused)
{
    static const struct {
        uint8_t type;
        uint32_t size;
        const char *text;
    } frames[] = {
        {LEV_FRAME_METHOD, 0x7fffffff,
         "type 1, all octets = <<>>: {frame_too_large,2147483647,16777208}"},
        {LEV_FRAME_BODY, 0x7fffffff,
         "type 3, all octets = <<>>: {frame_too_large,2147483647,16777208}"},
        {LEV_FRAME_HEADER, 0xffffffff,
         "type 2, all octets = <<>>: {frame_too_large,4294967295,16777208}"},
        {LEV_FRAME_METHOD, KEPT_MAX + 1,
         "type 1, all octets = <<>>: {frame_too_large,16777217,16777208}"},
        {LEV_FRAME_BODY, LARGEST,
         "type 3, all octets = <<>>: {frame_too_large,134217728,16777208}"},
    };
    char text[256];
    struct peer *p = connect_largest();
    snprintf(text, sizeof(text), "FRAME_ERROR - %s", frames[_i].text);
    put_head(p, frames[_i].type, frames[_i].size);
    peer_flush(p);
    peer_expect_close(p, 0, 501, text);
    peer_drop(&p);
    check_memory();
}
END_TEST

/* Many that announce all they may, and send nothing of it. */
START_TEST(test_announced)
{
    struct peer *p[ANNOUNCERS];
    for (size_t i = 0; i < ANNOUNCERS; i++) {
        p[i] = connect_largest();
        if (i % 2)
            put_publish(p[i], "nowhere", LARGEST);
        put_head(p[i], i % 2 ? LEV_FRAME_BODY : LEV_FRAME_METHOD, i % 2 ? LARGEST : KEPT_MAX);
        put_zeros(p[i], 100);
    }
    check_memory();
    for (size_t i = 0; i < ANNOUNCERS; i++)
        peer_drop(&p[i]);
}
END_TEST

/* A body in one frame goes into its message as it comes; the daemon has it once. */
START_TEST(test_body_in_one_frame)
{
    struct lev_buf body;
    struct peer *p = connect_largest();
    lev_buf_init(&body);
    peer_declare(p, 1, "one", false);
    put_publish(p, "one", BODY);
    put_head(p, LEV_FRAME_BODY, BODY);
    put_zeros(p, BODY);
    peer_raw(p, "\xce", 1);
    peer_consume(p, 1, "one", true);
    peer_expect(p, 1, LEV_M_BASIC_DELIVER);
    ck_assert_uint_eq(peer_take_content(p, 1, &body), BODY);
    start_mib += BODY >> 20;
    check_memory();
    lev_buf_deinit(&body);
    peer_goodbye(&p);
}
END_TEST

/* What is sent on a channel that failed, and after the connection failed, is dropped as it comes;
 * so is a message that is too large. */
START_TEST(test_ignored_bodies)
{
    struct peer *p = connect_largest();
    put_publish(p, "nowhere", LARGEST + 1);
    put_head(p, LEV_FRAME_BODY, LARGEST);
    put_zeros(p, LARGEST);
    peer_raw(p, "\xce\3\0\1\0\0\0\1x\xce", 10);
    peer_flush(p);
    peer_expect(p, 1, LEV_M_CHANNEL_CLOSE);
    put_head(p, LEV_FRAME_BODY, LARGEST);
    put_zeros(p, LARGEST);
    peer_raw(p, "\xce\1\0\1\0\0\0\4\0\x14\0\x29\xce", 13); /* channel.close-ok */
    peer_raw(p, "\1\0\0\0\0\0\4\0\x0a\0\x0b\xce", 12);     /* connection.start-ok, cut short */
    peer_flush(p);
    peer_expect(p, 0, LEV_M_CONNECTION_CLOSE);
    put_head(p, LEV_FRAME_BODY, LARGEST);
    put_zeros(p, LARGEST);
    peer_raw(p, "\xce\1\0\0\0\0\0\4\0\x0a\0\x33\xce", 13); /* connection.close-ok */
    peer_flush(p);
    ck_assert(peer_sees_end(p, PEER_WAIT_MS));
    check_memory();
    peer_drop(&p);
}
END_TEST

/* Messages with headers of 15 MiB, kept whole in and out; when they are gone their memory is. */
START_TEST(test_large_headers)
{
    uint8_t head[14] = {0, 60};
    struct lev_frame f;
    struct peer *p = connect_largest();
    peer_declare(p, 1, "headers", false);
    for (int i = 0; i < 10; i++) {
        struct lev_method m = {.id = LEV_M_BASIC_PUBLISH};
        m.u.basic_publish.routing_key = LEV_LIT("headers");
        peer_method(p, 1, &m);
        put_head(p, LEV_FRAME_HEADER, sizeof(head) + 4 + 6 + HEADER);
        lev_put16(head + 12, 0x2000); /* headers */
        peer_raw(p, head, sizeof(head));
        lev_buf_put32(&p->out, 6 + HEADER);
        lev_buf_put(&p->out, "\1hx", 3);
        lev_buf_put32(&p->out, HEADER - 1);
        put_zeros(p, HEADER - 1);
        peer_raw(p, "\xce", 1);
        m = (struct lev_method){.id = LEV_M_BASIC_GET};
        m.u.basic_get.queue = LEV_LIT("headers");
        m.u.basic_get.no_ack = true;
        peer_call(p, 1, &m, LEV_M_BASIC_GET_OK);
        ck_assert(peer_read(p, &f));
        ck_assert_int_eq(f.type, LEV_FRAME_HEADER);
        ck_assert_uint_gt(f.payload.len, HEADER);
    }
    check_memory();
    peer_goodbye(&p);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("frames");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 240);
    tcase_add_loop_test(tc, test_refused, 0, 5);
    tcase_add_test(tc, test_announced);
    tcase_add_test(tc, test_body_in_one_frame);
    tcase_add_test(tc, test_ignored_bodies);
    tcase_add_test(tc, test_large_headers);
    return talk_main("proto_frames", tc);
}
