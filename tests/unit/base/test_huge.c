/* Very large blocks: what is kept, what is used again, what goes back. */
#include "base/huge.h"

#include <check.h>
#include <string.h>

#include "base/clock.h"

enum { MIB = 1 << 20 };

static void teardown(void)
{
    lev_huge_trim(UINT64_MAX / 2);
    ck_assert_uint_eq(lev_huge_kept(), 0);
}

START_TEST(test_used_again)
{
    char *p = lev_huge_alloc(8 * MIB), *same;
    ck_assert_ptr_nonnull(p);
    memset(p, 'x', 8 * MIB);
    lev_huge_free(p);
    ck_assert_uint_ge(lev_huge_kept(), 8 * MIB);
    same = lev_huge_alloc(7 * MIB); /* nearly as much */
    ck_assert_ptr_eq(same, p);
    ck_assert_uint_eq(lev_huge_kept(), 0);
    memset(same, 'y', 7 * MIB);
    lev_huge_free(same);
    same = lev_huge_alloc(8 * MIB); /* it is as large as ever */
    ck_assert_ptr_eq(same, p);
    memset(same, 'z', 8 * MIB);
    lev_huge_free(same);
}
END_TEST

START_TEST(test_not_for_others)
{
    char *p = lev_huge_alloc(16 * MIB);
    lev_huge_free(p);
    char *less = lev_huge_alloc(5 * MIB), *more = lev_huge_alloc(40 * MIB);
    ck_assert_ptr_nonnull(less);
    ck_assert_ptr_nonnull(more);
    ck_assert_ptr_ne(less, p);
    ck_assert_ptr_ne(more, p);
    memset(more, 'x', 40 * MIB);
    lev_huge_free(less);
    lev_huge_free(more);
}
END_TEST

START_TEST(test_bounded)
{
    char *p[40];
    for (int i = 0; i < 40; i++) {
        p[i] = lev_huge_alloc(6 * MIB);
        ck_assert_ptr_nonnull(p[i]);
        p[i][0] = 'x';
    }
    for (int i = 0; i < 40; i++) {
        lev_huge_free(p[i]);
        ck_assert_uint_le(lev_huge_kept(), LEV_HUGE_KEEP);
    }
    ck_assert_uint_gt(lev_huge_kept(), 0);
}
END_TEST

START_TEST(test_given_back)
{
    lev_huge_free(lev_huge_alloc(8 * MIB));
    uint64_t now = lev_clock_mono_ns() / 1000000;
    lev_huge_trim(now);
    ck_assert_uint_gt(lev_huge_kept(), 0);
    lev_huge_trim(now + LEV_HUGE_KEEP_MS + 1000);
    ck_assert_uint_eq(lev_huge_kept(), 0);
}
END_TEST

START_TEST(test_too_much)
{
    ck_assert_ptr_null(lev_huge_alloc(SIZE_MAX));
    ck_assert_ptr_null(lev_huge_alloc(SIZE_MAX / 2 - 5));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("base_huge");
    TCase *t = tcase_create("core");
    tcase_add_checked_fixture(t, NULL, teardown);
    tcase_add_test(t, test_used_again);
    tcase_add_test(t, test_not_for_others);
    tcase_add_test(t, test_bounded);
    tcase_add_test(t, test_given_back);
    tcase_add_test(t, test_too_much);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
