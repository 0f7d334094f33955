/* Spreads: percentiles against a sorted array. */
#include "base/spread.h"

#include <check.h>
#include <stdlib.h>

enum { VALUES = 5000 };

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

START_TEST(empty)
{
    const struct lev_spread s = {0};
    ck_assert_uint_eq(lev_spread_percentile(&s, 50), 0);
    ck_assert_uint_eq(lev_spread_percentile(&s, 100), 0);
}
END_TEST

/* Small values, and the largest, are told exactly. */
START_TEST(exact)
{
    struct lev_spread s = {0};
    for (uint64_t v = 0; v < 8; v++)
        lev_spread_add(&s, v);
    for (unsigned i = 1; i <= 8; i++)
        ck_assert_uint_eq(lev_spread_percentile(&s, i * 100 / 8), i - 1);
    lev_spread_add(&s, UINT64_MAX / 2);
    ck_assert_uint_eq(lev_spread_percentile(&s, 100), UINT64_MAX / 2);
    ck_assert_uint_eq(s.count, 9);
    ck_assert_uint_eq(s.sum, 28 + UINT64_MAX / 2);
}
END_TEST

/* Over all magnitudes: never below the truth, at most a quarter above. */
START_TEST(near_the_truth)
{
    static uint64_t values[VALUES];
    struct lev_spread s = {0};
    uint64_t random = 88172645463325252u + (uint64_t)_i;
    for (size_t i = 0; i < VALUES; i++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        values[i] = (random >> 26) >> (random % 38);
        lev_spread_add(&s, values[i]);
    }
    qsort(values, VALUES, sizeof(*values), by_value);
    for (unsigned p = 1; p <= 100; p++) {
        uint64_t truth = values[VALUES / 100 * p - 1], told = lev_spread_percentile(&s, p);
        ck_assert_uint_ge(told, truth);
        ck_assert_uint_le(told, truth + truth / 4);
    }
    ck_assert_uint_eq(s.max, values[VALUES - 1]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("spread");
    TCase *t = tcase_create("spread");
    tcase_add_test(t, empty);
    tcase_add_test(t, exact);
    tcase_add_loop_test(t, near_the_truth, 0, 10);
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
