/* The lock that measures itself: what it counts, alone and with another thread. */
#include "base/lock.h"

#include <check.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

enum { HOLDS = 16000 };

static struct lev_lock lock;
static atomic_bool enough;

static void setup(void)
{
    lev_lock_init(&lock);
    atomic_store(&enough, false);
}

static void teardown(void)
{
    lev_lock_deinit(&lock);
}

/* Takes and releases; from one timed hold to the next, what n holds lie between, adds to seen[n].
 */
static void hold_often(unsigned seen[2 * LEV_LOCK_SAMPLE + 1])
{
    uint64_t timed = 0;
    for (unsigned n = 1, i = 0; i < HOLDS; i++, n++) {
        lev_lock_take(&lock);
        lev_lock_release(&lock);
        if (lock.stats.hold.count == timed)
            continue;
        timed++;
        ck_assert_uint_le(n, 2 * LEV_LOCK_SAMPLE - 1);
        seen[n]++;
        n = 0;
    }
}

START_TEST(alone)
{
    unsigned seen[2 * LEV_LOCK_SAMPLE + 1] = {0};
    hold_often(seen);
    const struct lev_lock_stats *s = &lock.stats;
    ck_assert_uint_eq(s->holds, HOLDS);
    ck_assert_uint_eq(s->wait.count, 0);
    ck_assert_uint_ge(s->hold.count, HOLDS / LEV_LOCK_SAMPLE * 9 / 10);
    ck_assert_uint_le(s->hold.count, HOLDS / LEV_LOCK_SAMPLE * 11 / 10);
    for (unsigned n = 1; n < 2 * LEV_LOCK_SAMPLE; n++)
        ck_assert_msg(seen[n] > 0, "never %u holds from one sample to the next", n);
    ck_assert_uint_ge(lev_lock_held_ns(s), s->hold.sum);
}
END_TEST

START_TEST(estimate)
{
    struct lev_lock_stats s = {.holds = 0};
    ck_assert_uint_eq(lev_lock_held_ns(&s), 0);
    s.holds = 320;
    lev_spread_add(&s.hold, 1000);
    lev_spread_add(&s.hold, 3000);
    ck_assert_uint_eq(lev_lock_held_ns(&s), 640000);
}
END_TEST

/* Gives the processor away while it holds the lock. */
static void *other(void *ctx)
{
    uint64_t *holds = ctx;
    while (!atomic_load(&enough)) {
        lev_lock_take(&lock);
        sched_yield();
        lev_lock_release(&lock);
        ++*holds;
    }
    return NULL;
}

START_TEST(contended)
{
    pthread_t thread;
    uint64_t theirs = 0, ours = 0, waits = 0;
    ck_assert_int_eq(pthread_create(&thread, NULL, other, &theirs), 0);
    for (; !waits; ours++) {
        lev_lock_take(&lock);
        sched_yield();
        waits = lock.stats.wait.count;
        lev_lock_release(&lock);
    }
    atomic_store(&enough, true);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    const struct lev_lock_stats *s = &lock.stats;
    ck_assert_uint_eq(s->holds, ours + theirs);
    ck_assert_uint_ge(s->wait.count, 1);
    ck_assert_uint_le(s->wait.count, s->holds);
    ck_assert_uint_gt(s->wait.sum, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("lock");
    TCase *t = tcase_create("lock");
    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, alone);
    tcase_add_test(t, estimate);
    tcase_add_test(t, contended);
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
