/* Deciles: found by proportion between two looks, whatever the looks are. */
#include "perf/decile.h"

#include "suites.h"

#include <stdlib.h>
#include <string.h>

static struct lev_perf_deciles d;

/* What the report says under a name; -1: nothing. */
static double figure(const char *name)
{
    struct lev_perf_report report = {0};

    lev_perf_deciles_report(&d, &report, true);
    for (unsigned i = 0; i < report.count; i++) {
        if (strcmp(report.figures[i].name, name) == 0)
            return report.figures[i].value;
    }
    return -1;
}

/* 1,000 units a second in the first half, 500 a second in the second. */
static uint64_t done_at(uint64_t ms)
{
    return ms < 500 ? ms : 500 + (ms - 500) / 2;
}

static const uint64_t steps_ms[] = {1, 7, 20, 100, 500};

START_TEST(rates_do_not_depend_on_when_one_looks)
{
    double early, late;

    lev_perf_deciles_begin(&d, 1000, 5000);
    for (uint64_t ms = 0; ms <= 1500; ms += steps_ms[_i])
        lev_perf_deciles_note(&d, done_at(ms), 5000 + ms * 1000000, ms);
    lev_perf_deciles_note(&d, 1000, 5000 + 1500 * 1000000ull, 1500);
    early = figure("decile_2_per_s");
    late = figure("decile_9_per_s");
    ck_assert_msg(early > 980 && early < 1020, "%f", early);
    ck_assert_msg(late > 490 && late < 510, "%f", late);
    ck_assert(figure("decile_10_per_s") > 0);
}
END_TEST

START_TEST(one_look_may_cross_them_all)
{
    lev_perf_deciles_begin(&d, 15, 100);
    ck_assert(!lev_perf_deciles_due(&d, 0));
    ck_assert(lev_perf_deciles_due(&d, 2));
    lev_perf_deciles_note(&d, 15, 100 + 1500000000ull, 77);
    ck_assert_uint_eq(d.reached, LEV_PERF_DECILES);
    ck_assert(!lev_perf_deciles_due(&d, 15));
    ck_assert(figure("decile_1_per_s") == 10 && figure("decile_10_per_s") == 10);
    ck_assert(figure("decile_1_rss_bytes") == 77);
}
END_TEST

START_TEST(work_less_than_ten)
{
    lev_perf_deciles_begin(&d, 3, 100);
    lev_perf_deciles_note(&d, 1, 1000000100, 1);
    lev_perf_deciles_note(&d, 3, 2000000100, 2);
    ck_assert_uint_eq(d.reached, LEV_PERF_DECILES);
}
END_TEST

START_TEST(what_was_not_reached_is_not_told)
{
    struct lev_perf_report report = {0};

    lev_perf_deciles_begin(&d, 1000, 100);
    lev_perf_deciles_note(&d, 350, 200, 1);
    lev_perf_deciles_note(&d, 350, 300, 1);
    lev_perf_deciles_note(&d, 900, 50, 1); // a look that lies before the last
    ck_assert(figure("decile_3_per_s") > 0 && figure("decile_4_per_s") == -1);
    ck_assert(figure("decile_4_rss_bytes") == -1);
    lev_perf_deciles_report(&d, &report, false);
    ck_assert_uint_eq(report.count, 3);
}
END_TEST

START_TEST(no_total_no_deciles)
{
    struct lev_perf_report report = {0};

    lev_perf_deciles_begin(&d, 0, 100);
    lev_perf_deciles_note(&d, 350, 200, 1);
    lev_perf_deciles_report(&d, &report, true);
    ck_assert_uint_eq(report.count, 0);
}
END_TEST

Suite *decile_suite(void)
{
    Suite *suite = suite_create("decile");
    TCase *tcase = tcase_create("decile");

    tcase_add_loop_test(tcase, rates_do_not_depend_on_when_one_looks, 0,
                        sizeof steps_ms / sizeof *steps_ms);
    tcase_add_test(tcase, one_look_may_cross_them_all);
    tcase_add_test(tcase, work_less_than_ten);
    tcase_add_test(tcase, what_was_not_reached_is_not_told);
    tcase_add_test(tcase, no_total_no_deciles);
    suite_add_tcase(suite, tcase);
    return suite;
}
