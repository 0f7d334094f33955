/* Frames: whole, in parts, too large, badly ended; at a guard page. */
#include "amqp/frame.h"

#include "gen.h"

#include <check.h>

enum { INPUT_MAX = 1 << 17 };

static struct gen gen;
static struct guard_bytes guard;
static struct lev_buf stream;

static void setup(void)
{
    static const uint8_t zeros[INPUT_MAX];
    gen_init(&gen, 2);
    guard = guard_bytes_new(zeros, INPUT_MAX);
    lev_buf_init(&stream);
}

static void teardown(void)
{
    lev_buf_deinit(&stream);
    guard_bytes_free(&guard);
    gen_deinit(&gen);
}

static void put_frame(uint8_t type, uint16_t channel, struct lev_bytes payload)
{
    uint8_t header[7];
    lev_frame_put_header(header, type, channel, (uint32_t)payload.len);
    lev_buf_put(&stream, header, sizeof(header));
    lev_buf_put_bytes(&stream, payload);
    lev_buf_put8(&stream, LEV_FRAME_END);
}

static long decode(const void *p, size_t n, uint32_t limit, struct lev_frame *f_r)
{
    struct lev_bytes at = gen_at_guard(&guard, p, n);
    return lev_frame_decode(at.ptr, at.len, limit, f_r);
}

START_TEST(header_octets)
{
    struct lev_frame f;
    put_frame(LEV_FRAME_BODY, 0x0102, LEV_LIT("abc"));
    ck_assert(lev_bytes_eq(lev_buf_view(&stream), LEV_LIT("\3\1\2\0\0\0\3abc\xCE")));
    ck_assert_int_eq(decode(stream.ptr, stream.len, 0, &f), 11);
    ck_assert_int_eq(f.type, LEV_FRAME_BODY);
    ck_assert_int_eq(f.channel, 0x0102);
    ck_assert(lev_bytes_eq(f.payload, LEV_LIT("abc")));
}
END_TEST

START_TEST(heartbeat)
{
    struct lev_frame f;
    ck_assert_int_eq(decode("\x08\0\0\0\0\0\0\xCE", 8, 4096, &f), LEV_FRAME_OVERHEAD);
    ck_assert_int_eq(f.type, LEV_FRAME_HEARTBEAT);
    ck_assert_uint_eq(f.payload.len, 0);
}
END_TEST

/* Many frames back to back, given in parts cut anywhere. */
START_TEST(stream_in_parts)
{
    struct lev_bytes sent[60];
    struct lev_frame f;
    size_t have = 0, at = 0;
    for (int i = 0; i < 60; i++) {
        sent[i] = gen_longstr(&gen);
        put_frame((uint8_t)i, (uint16_t)(i * 1000), sent[i]);
    }
    for (int i = 0; i < 60;) {
        long n = decode(stream.ptr + at, have - at, 600, &f);
        if (n == LEV_FRAME_MORE) {
            ck_assert_uint_lt(have, stream.len);
            have += 1 + gen_below(&gen, 7);
            have = have < stream.len ? have : stream.len;
            continue;
        }
        ck_assert_int_eq(n, (long)sent[i].len + LEV_FRAME_OVERHEAD);
        ck_assert_int_eq(f.type, i);
        ck_assert_int_eq(f.channel, i * 1000);
        ck_assert(lev_bytes_eq(f.payload, sent[i]));
        at += (size_t)n;
        i++;
    }
    ck_assert_uint_eq(at, stream.len);
}
END_TEST

START_TEST(every_truncation_needs_more)
{
    struct lev_frame f;
    put_frame(LEV_FRAME_METHOD, 1, LEV_LIT("some payload"));
    for (size_t n = 0; n < stream.len; n++)
        ck_assert_int_eq(decode(stream.ptr, n, 12, &f), LEV_FRAME_MORE);
    ck_assert_int_eq(decode(stream.ptr, stream.len, 12, &f), (long)stream.len);
}
END_TEST

static const struct {
    uint32_t size, limit;
    bool too_large;
} limit_cases[] = {
    {100, 0, false},        {100, 99, true},
    {100, 100, false},      {100, 101, false},
    {0, 1, false},          {UINT32_MAX, 131064, true},
    {UINT32_MAX, 0, false}, {UINT32_MAX, UINT32_MAX, false},
};

/* Known from the header alone, before any payload. */
START_TEST(limit)
{
    struct lev_frame f;
    uint8_t header[7];
    lev_frame_put_header(header, LEV_FRAME_BODY, 9, limit_cases[_i].size);
    ck_assert_int_eq(decode(header, 7, limit_cases[_i].limit, &f),
                     limit_cases[_i].too_large ? LEV_FRAME_TOO_LARGE : LEV_FRAME_MORE);
    if (limit_cases[_i].too_large) {
        ck_assert_int_eq(f.type, LEV_FRAME_BODY);
        ck_assert_int_eq(f.channel, 9);
        ck_assert_uint_eq(f.payload.len, limit_cases[_i].size);
    }
}
END_TEST

START_TEST(bad_end)
{
    struct lev_frame f;
    put_frame(LEV_FRAME_METHOD, 3, LEV_LIT("abc"));
    for (int end = 0; end < 256; end++) {
        stream.ptr[stream.len - 1] = (uint8_t)end;
        long n = decode(stream.ptr, stream.len, 0, &f);
        ck_assert_int_eq(n, end == LEV_FRAME_END ? 11 : LEV_FRAME_BAD_END);
        ck_assert_int_eq(f.channel, 3);
        ck_assert(lev_bytes_eq(f.payload, LEV_LIT("abc")));
        ck_assert_int_eq(f.payload.ptr[f.payload.len], end);
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("amqp_frame");
    TCase *tc = tcase_create("frame");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, header_octets);
    tcase_add_test(tc, heartbeat);
    tcase_add_test(tc, stream_in_parts);
    tcase_add_test(tc, every_truncation_needs_more);
    tcase_add_loop_test(tc, limit, 0, (int)(sizeof(limit_cases) / sizeof(limit_cases[0])));
    tcase_add_test(tc, bad_end);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    SRunner *sr = srunner_create(suite());
    srunner_run_all(sr, CK_NORMAL);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? 0 : 1;
}
