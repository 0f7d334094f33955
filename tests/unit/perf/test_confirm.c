/* The confirm window: every tag is settled once, in whatever order, and the window is never
 * exceeded. */
#include "perf/confirm.h"

#include "suites.h"

static struct lev_perf_confirm c;

static void setup(void)
{
    ck_assert_int_eq(lev_perf_confirm_init(&c, 10), 0);
}

static void teardown(void)
{
    lev_perf_confirm_deinit(&c);
}

static int64_t settle(uint64_t tag, bool multiple)
{
    return lev_perf_confirm_settle(&c, tag, multiple, 2, NULL);
}

START_TEST(room_is_the_window)
{
    ck_assert_uint_eq(lev_perf_confirm_room(&c), 10);
    lev_perf_confirm_issue(&c, 7, 1);
    ck_assert_uint_eq(lev_perf_confirm_room(&c), 3);
    ck_assert_int_eq(settle(5, true), 5);
    ck_assert_uint_eq(lev_perf_confirm_room(&c), 8);
    ck_assert_int_eq(settle(0, true), 2);
    ck_assert_uint_eq(lev_perf_confirm_room(&c), 10);
}
END_TEST

START_TEST(multiple_skips_what_is_settled)
{
    lev_perf_confirm_issue(&c, 10, 1);
    ck_assert_int_eq(settle(4, false), 1);
    ck_assert_int_eq(settle(2, false), 1);
    ck_assert_int_eq(settle(6, true), 4);
    ck_assert_uint_eq(c.outstanding, 4);
    ck_assert_uint_eq(c.low, 7);
}
END_TEST

START_TEST(wrong_tags_are_refused)
{
    lev_perf_confirm_issue(&c, 3, 1);
    ck_assert_int_eq(settle(0, false), -1);
    ck_assert_int_eq(settle(4, false), -1);
    ck_assert_int_eq(settle(4, true), -1);
    ck_assert_int_eq(settle(2, false), 1);
    ck_assert_int_eq(settle(2, false), -1);
    ck_assert_int_eq(settle(3, true), 2);
    ck_assert_int_eq(settle(1, false), -1);
    ck_assert_int_eq(settle(3, true), 0);
}
END_TEST

/* With the oldest tag unsettled the publisher runs on until the ring is full, then waits for it. */
START_TEST(a_late_oldest_tag)
{
    uint64_t tag = 2;

    lev_perf_confirm_issue(&c, 10, 1);
    while (lev_perf_confirm_room(&c) > 0 || tag < c.next) {
        if (tag < c.next)
            ck_assert_int_eq(settle(tag++, false), 1);
        else
            lev_perf_confirm_issue(&c, lev_perf_confirm_room(&c), 1);
        ck_assert_uint_le(c.outstanding, 10);
        ck_assert_uint_le(c.next - c.low, c.mask + 1);
    }
    ck_assert_uint_eq(c.next - c.low, c.mask + 1);
    ck_assert_int_eq(settle(1, false), 1);
    ck_assert_uint_eq(c.outstanding, 0);
    ck_assert_uint_eq(lev_perf_confirm_room(&c), 10);
}
END_TEST

START_TEST(times_are_from_issue_to_settle)
{
    static struct lev_perf_histogram took;

    lev_perf_confirm_issue(&c, 2, 100);
    lev_perf_confirm_issue(&c, 1, 150);
    ck_assert_int_eq(lev_perf_confirm_settle(&c, 3, true, 200, &took), 3);
    ck_assert_uint_eq(took.count, 3);
    ck_assert_uint_eq(took.bucket[100], 2);
    ck_assert_uint_eq(took.bucket[50], 1);
}
END_TEST

Suite *confirm_suite(void)
{
    Suite *suite = suite_create("confirm");
    TCase *tcase = tcase_create("confirm");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, room_is_the_window);
    tcase_add_test(tcase, multiple_skips_what_is_settled);
    tcase_add_test(tcase, wrong_tags_are_refused);
    tcase_add_test(tcase, a_late_oldest_tag);
    tcase_add_test(tcase, times_are_from_issue_to_settle);
    suite_add_tcase(suite, tcase);
    return suite;
}
