/* Tests of src/net/vigil.c with a clock of their own. */
#include <check.h>

#include "net/vigil.h"

#define US UINT64_C(1000)
#define MS (1000 * US)
#define SECOND (1000 * MS)

static struct lev_vigil v;
static uint64_t now, looked; /* the time; how much of it was spent looking out */

static void setup(void)
{
    v = (struct lev_vigil){0};
    now = SECOND;
    looked = 0;
}

/* The loop has run out of work; the next thing comes, and is done, after gap. True when it was
 * awake then. */
static bool turn(uint64_t gap)
{
    bool awake = lev_vigil_begin(&v, now);
    if (awake) {
        uint64_t took = gap < LEV_VIGIL_LOOK_NS ? gap : LEV_VIGIL_LOOK_NS;
        looked += took;
        lev_vigil_end(&v, now + took, took);
    }
    now += gap;
    return awake && gap <= LEV_VIGIL_LOOK_NS;
}

/* How many of so many turns it was awake for. */
static uint32_t turns(uint32_t n, uint64_t gap)
{
    uint32_t awake = 0;
    for (uint32_t i = 0; i < n; i++)
        awake += turn(gap);
    return awake;
}

START_TEST(test_seldom_woken)
{
    turns(10000, 2 * MS);
    ck_assert_uint_eq(looked, 0);
}
END_TEST

START_TEST(test_round_trips)
{
    ck_assert_uint_ge(turns(20000, 20 * US), 14000);
    ck_assert(v.awake);
}
END_TEST

/* What comes a little too late for it to pay, or brings much work, is tried ever less often. */
START_TEST(test_not_worth_it)
{
    static const uint64_t gaps[] = {45 * US, 60 * US, 200 * US};
    turns((uint32_t)(10 * SECOND / gaps[_i]), gaps[_i]);
    ck_assert_uint_gt(looked, 0);
    ck_assert_uint_lt(looked, 10 * MS);
    looked = 0;
    turns((uint32_t)(10 * SECOND / gaps[_i]), gaps[_i]);
    ck_assert_uint_lt(looked, 8 * MS);
}
END_TEST

START_TEST(test_ends_when_quiet)
{
    turns(20000, 20 * US);
    ck_assert(v.awake);
    looked = 0;
    turns(1000, 300 * US);
    ck_assert_uint_lt(looked, 6 * MS);
}
END_TEST

/* A pause now and then, longer than the longest look-out, does not end it. */
START_TEST(test_endures_pauses)
{
    turns(20000, 15 * US);
    for (int i = 0; i < 100; i++) {
        turn(5 * MS);
        ck_assert_uint_eq(turns(50, 15 * US), 50);
    }
}
END_TEST

/* After a long time in vain it still finds out soon that times have changed. */
START_TEST(test_comes_back)
{
    turns(200000, 100 * US);
    ck_assert(!v.awake);
    uint64_t start = now;
    while (turns(1000, 20 * US) < 1000)
        ck_assert_uint_lt(now - start, SECOND);
    ck_assert_uint_eq(v.pause_ns, LEV_VIGIL_PAUSE_MIN_NS);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("vigil");
    TCase *t = tcase_create("core");
    tcase_add_checked_fixture(t, setup, NULL);
    tcase_add_test(t, test_seldom_woken);
    tcase_add_test(t, test_round_trips);
    tcase_add_loop_test(t, test_not_worth_it, 0, 3);
    tcase_add_test(t, test_ends_when_quiet);
    tcase_add_test(t, test_endures_pauses);
    tcase_add_test(t, test_comes_back);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    SRunner *r = srunner_create(suite());
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
