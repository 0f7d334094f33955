/* The histogram: what it may err by, and that it counts everything once. */
#include "perf/histogram.h"

#include "suites.h"

static struct lev_perf_histogram h, other;

static void setup(void)
{
    h = (struct lev_perf_histogram){0};
    other = (struct lev_perf_histogram){0};
}

START_TEST(empty)
{
    ck_assert_uint_eq(lev_perf_histogram_percentile(&h, 50), 0);
    ck_assert_uint_eq(lev_perf_histogram_percentile(&h, 100), 0);
}
END_TEST

START_TEST(small_values_are_exact)
{
    for (uint64_t v = 1; v <= 200; v++)
        lev_perf_histogram_record(&h, v);
    ck_assert_uint_eq(h.count, 200);
    ck_assert_uint_eq(lev_perf_histogram_percentile(&h, 0), 1);
    ck_assert_uint_eq(lev_perf_histogram_percentile(&h, 50), 100);
    ck_assert_uint_eq(lev_perf_histogram_percentile(&h, 75), 150);
    ck_assert_uint_eq(lev_perf_histogram_percentile(&h, 99), 198);
    ck_assert_uint_eq(lev_perf_histogram_percentile(&h, 100), 200);
}
END_TEST

static const uint64_t edges[] = {0,   1,   127,  128,  255,       256,        257,       258,
                                 511, 512, 1023, 1024, 999999999, 1ull << 40, UINT64_MAX};

/* Two of the value and one larger: the median is the value's bucket, never below it nor 1 % above.
 */
START_TEST(never_low_and_at_most_one_percent_high)
{
    uint64_t v = edges[_i], p50;

    lev_perf_histogram_record(&h, v);
    lev_perf_histogram_record(&h, v);
    lev_perf_histogram_record(&h, UINT64_MAX);
    p50 = lev_perf_histogram_percentile(&h, 50);
    ck_assert_uint_ge(p50, v);
    ck_assert_uint_le(p50 - v, v / 100);
    ck_assert_uint_eq(lev_perf_histogram_percentile(&h, 100), UINT64_MAX);
}
END_TEST

START_TEST(no_percentile_exceeds_the_largest_value)
{
    lev_perf_histogram_record(&h, 100001);
    ck_assert_uint_eq(lev_perf_histogram_percentile(&h, 50), 100001);
    ck_assert_uint_eq(lev_perf_histogram_percentile(&h, 99.9), 100001);
}
END_TEST

START_TEST(merging_is_recording_both)
{
    for (uint64_t v = 0; v < 1000; v++)
        lev_perf_histogram_record(v % 2 ? &h : &other, v * 1000);
    lev_perf_histogram_merge(&h, &other);
    ck_assert_uint_eq(h.count, 1000);
    ck_assert_uint_eq(h.max, 999000);
    ck_assert_uint_ge(lev_perf_histogram_percentile(&h, 50), 499000);
    ck_assert_uint_le(lev_perf_histogram_percentile(&h, 50), 504000);
}
END_TEST

Suite *histogram_suite(void)
{
    Suite *suite = suite_create("histogram");
    TCase *tcase = tcase_create("histogram");

    tcase_add_checked_fixture(tcase, setup, NULL);
    tcase_add_test(tcase, empty);
    tcase_add_test(tcase, small_values_are_exact);
    tcase_add_loop_test(tcase, never_low_and_at_most_one_percent_high, 0,
                        sizeof edges / sizeof *edges);
    tcase_add_test(tcase, no_percentile_exceeds_the_largest_value);
    tcase_add_test(tcase, merging_is_recording_both);
    suite_add_tcase(suite, tcase);
    return suite;
}
