/* The growable buffer: against a shadow, its sticky failure, consume. */
#include "base/buf.h"

#include <check.h>
#include <stdlib.h>

static struct lev_buf b;

static void setup(void)
{
    lev_buf_init(&b);
}

static void teardown(void)
{
    lev_buf_deinit(&b);
}

START_TEST(starts_empty)
{
    ck_assert_uint_eq(lev_buf_view(&b).len, 0);
    ck_assert(!b.failed);
    lev_buf_put(&b, NULL, 0);
    ck_assert(!b.failed);
    ck_assert_uint_eq(b.cap, 0);
}
END_TEST

START_TEST(integers_are_big_endian)
{
    lev_buf_put8(&b, 0x01);
    lev_buf_put16(&b, 0x0203);
    lev_buf_put32(&b, 0x04050607);
    lev_buf_put64(&b, 0x08090A0B0C0D0E0Fu);
    ck_assert(lev_bytes_eq(
        lev_buf_view(&b), LEV_LIT("\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0A\x0B\x0C\x0D\x0E\x0F")));
}
END_TEST

START_TEST(random_puts_and_consumes)
{
    static uint8_t shadow[1 << 20];
    size_t len = 0;
    srandom(6);
    for (int round = 0; round < 3000; round++) {
        uint8_t part[300];
        size_t n = (size_t)random() % sizeof(part);
        for (size_t i = 0; i < n; i++)
            part[i] = (uint8_t)random();
        lev_buf_put(&b, part, n);
        memcpy(shadow + len, part, n);
        len += n;
        if (random() % 4 == 0) {
            size_t gone = (size_t)random() % (len + 1);
            lev_buf_consume(&b, gone);
            memmove(shadow, shadow + gone, len - gone);
            len -= gone;
        }
        ck_assert(lev_bytes_eq(lev_buf_view(&b), lev_bytes(shadow, len)));
        ck_assert_uint_le(b.len, b.cap);
    }
}
END_TEST

START_TEST(consume_more_than_there_is)
{
    lev_buf_put_bytes(&b, LEV_LIT("abc"));
    lev_buf_consume(&b, 0);
    ck_assert_uint_eq(b.len, 3);
    lev_buf_consume(&b, 100);
    ck_assert_uint_eq(b.len, 0);
}
END_TEST

START_TEST(reserve_then_fill)
{
    uint8_t *p = lev_buf_reserve(&b, 1000);
    ck_assert_ptr_nonnull(p);
    ck_assert_uint_eq(b.len, 0);
    memset(p, 7, 1000);
    b.len += 1000;
    ck_assert_ptr_eq(b.ptr, p);
    lev_buf_put8(&b, 8);
    ck_assert_uint_eq(b.ptr[999], 7);
    ck_assert_uint_eq(b.ptr[1000], 8);
}
END_TEST

START_TEST(failure_sticks_until_cleared)
{
    lev_buf_put_bytes(&b, LEV_LIT("abc"));
    ck_assert_ptr_null(lev_buf_reserve(&b, SIZE_MAX / 2));
    ck_assert(b.failed);
    lev_buf_put8(&b, 'd');
    lev_buf_put64(&b, 0);
    ck_assert(lev_bytes_eq(lev_buf_view(&b), LEV_LIT("abc")));
    lev_buf_clear(&b);
    lev_buf_put8(&b, 'e');
    ck_assert(!b.failed);
    ck_assert(lev_bytes_eq(lev_buf_view(&b), LEV_LIT("e")));
}
END_TEST

START_TEST(clear_keeps_memory)
{
    for (int i = 0; i < 1000; i++)
        lev_buf_put32(&b, 0);
    size_t cap = b.cap;
    lev_buf_clear(&b);
    ck_assert_uint_eq(b.cap, cap);
    ck_assert_uint_eq(b.len, 0);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("base_buf");
    TCase *tc = tcase_create("buf");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, starts_empty);
    tcase_add_test(tc, integers_are_big_endian);
    tcase_add_test(tc, random_puts_and_consumes);
    tcase_add_test(tc, consume_more_than_there_is);
    tcase_add_test(tc, reserve_then_fill);
    tcase_add_test(tc, failure_sticks_until_cleared);
    tcase_add_test(tc, clear_keeps_memory);
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
