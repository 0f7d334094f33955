/* Large contents, written in pieces to a socket that takes what it likes. */
#include "session/large.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "amqp/frame.h"

enum { STREAM_MAX = 8 << 20 };

static struct socket {
    uint8_t *seen;
    size_t n, take; /* take: octets of each write; 0: none; SIZE_MAX: broken */
} sock;

ssize_t lev_transport_write(struct lev_transport *t, const struct iovec *iov, int n)
{
    size_t left = sock.take, before = sock.n;
    (void)t;
    if (sock.take == SIZE_MAX)
        return -1;
    for (int i = 0; i < n && left; i++) {
        size_t k = iov[i].iov_len < left ? iov[i].iov_len : left;
        ck_assert_uint_gt(iov[i].iov_len, 0);
        ck_assert_uint_le(sock.n + k, STREAM_MAX);
        memcpy(sock.seen + sock.n, iov[i].iov_base, k);
        sock.n += k;
        left -= k;
    }
    return (ssize_t)(sock.n - before);
}

static uint8_t *body;

static void setup(void)
{
    sock = (struct socket){.seen = malloc(STREAM_MAX)};
    body = malloc(STREAM_MAX);
    ck_assert_ptr_nonnull(sock.seen);
    ck_assert_ptr_nonnull(body);
    for (size_t i = 0; i < STREAM_MAX; i++)
        body[i] = (uint8_t)(i * 31 + i / 251);
}

static void teardown(void)
{
    free(sock.seen);
    free(body);
}

static struct lev_large large(size_t n, size_t frame_body)
{
    return (struct lev_large){.start = LEV_LIT("method and header"),
                              .body = lev_bytes(body, n),
                              .channel = 7,
                              .frame_body = frame_body};
}

/* What was seen is the whole stream. */
static void check_stream(const struct lev_large *l)
{
    const uint8_t *p = sock.seen;
    size_t at = 0;
    ck_assert_uint_eq(l->sent, lev_large_size(l));
    ck_assert_uint_eq(sock.n, lev_large_size(l));
    ck_assert_mem_eq(p, l->start.ptr, l->start.len);
    p += l->start.len;
    while (at < l->body.len) {
        struct lev_frame f;
        long k = lev_frame_decode(p, sock.n - (size_t)(p - sock.seen), 0, &f);
        ck_assert_int_gt(k, 0);
        ck_assert_int_eq(f.type, LEV_FRAME_BODY);
        ck_assert_int_eq(f.channel, 7);
        ck_assert_mem_eq(f.payload.ptr, body + at, f.payload.len);
        ck_assert(f.payload.len == l->frame_body || at + f.payload.len == l->body.len);
        at += f.payload.len;
        p += k;
    }
    ck_assert_uint_eq((size_t)(p - sock.seen), sock.n);
}

START_TEST(test_left_and_taken_up_anywhere)
{
    static const size_t sizes[] = {1, 99, 100, 101, 1000, 1001};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        for (size_t take = 1; take < 130; take++) {
            struct lev_large l = large(sizes[i], 100);
            sock.n = 0;
            sock.take = take;
            while (l.sent < lev_large_size(&l))
                ck_assert_int_eq(lev_large_write(&l, NULL), 0);
            check_stream(&l);
        }
}
END_TEST

START_TEST(test_many_frames)
{
    struct lev_large l = large(3 << 20, 4088);
    sock.take = STREAM_MAX;
    while (l.sent < lev_large_size(&l))
        ck_assert_int_eq(lev_large_write(&l, NULL), 0);
    check_stream(&l);
}
END_TEST

START_TEST(test_others_get_their_turn)
{
    struct lev_large l = large(7 << 20, 131064);
    sock.take = STREAM_MAX;
    ck_assert_int_eq(lev_large_write(&l, NULL), 0);
    ck_assert_uint_ge(l.sent, 128 << 10);
    ck_assert_uint_le(l.sent, 1 << 20);
    while (l.sent < lev_large_size(&l))
        ck_assert_int_eq(lev_large_write(&l, NULL), 0);
    check_stream(&l);
}
END_TEST

START_TEST(test_full_and_broken)
{
    struct lev_large l = large(1 << 20, 131064);
    ck_assert_int_eq(lev_large_write(&l, NULL), 0);
    ck_assert_uint_eq(l.sent, 0);
    sock.take = SIZE_MAX;
    ck_assert_int_eq(lev_large_write(&l, NULL), -1);
    ck_assert_uint_eq(l.sent, 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("session_large");
    TCase *t = tcase_create("core");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_left_and_taken_up_anywhere);
    tcase_add_test(t, test_many_frames);
    tcase_add_test(t, test_others_get_their_turn);
    tcase_add_test(t, test_full_and_broken);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
