/* What users have open: limits, those that change, and many threads at once. */
#include "auth/usage.h"

#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { THREADS = 4, ROUNDS = 20000, LIMIT = 3 };

static struct lev_usage *usage;
static struct lev_user_usage *of;
static uint64_t limit;

static void setup(void)
{
    usage = lev_usage_new();
    of = lev_usage_of(usage, LEV_LIT("u"));
}

static void teardown(void)
{
    lev_usage_free(&usage);
    ck_assert_ptr_null(usage);
    lev_usage_free(&usage);
}

static void set_limits(uint64_t connections, uint64_t channels)
{
    struct lev_user_limits l = {
        .max = {[LEV_USED_CONNECTIONS] = connections, [LEV_USED_CHANNELS] = channels}};
    lev_usage_limit(usage, LEV_LIT("u"), &l);
}

START_TEST(test_no_limits)
{
    for (int i = 0; i < 1000; i++) {
        ck_assert(lev_usage_take(of, LEV_USED_CONNECTIONS, &limit));
        ck_assert(lev_usage_take(of, LEV_USED_CHANNELS, &limit));
    }
}
END_TEST

START_TEST(test_limits)
{
    struct lev_user_usage *other = lev_usage_of(usage, LEV_LIT("v"));
    set_limits(2, 0);
    ck_assert_ptr_eq(lev_usage_of(usage, LEV_LIT("u")), of);
    ck_assert(!lev_usage_take(of, LEV_USED_CHANNELS, &limit));
    ck_assert_uint_eq(limit, 0);
    ck_assert(lev_usage_take(of, LEV_USED_CONNECTIONS, &limit));
    ck_assert(lev_usage_take(of, LEV_USED_CONNECTIONS, &limit));
    ck_assert(!lev_usage_take(of, LEV_USED_CONNECTIONS, &limit));
    ck_assert_uint_eq(limit, 2);
    ck_assert(lev_usage_take(other, LEV_USED_CONNECTIONS, &limit));
    lev_usage_give_back(of, LEV_USED_CONNECTIONS);
    ck_assert(lev_usage_take(of, LEV_USED_CONNECTIONS, &limit));
    set_limits(1, UINT64_MAX); /* who is there stays */
    lev_usage_give_back(of, LEV_USED_CONNECTIONS);
    ck_assert(!lev_usage_take(of, LEV_USED_CONNECTIONS, &limit));
    ck_assert_uint_eq(limit, 1);
    ck_assert(lev_usage_take(of, LEV_USED_CHANNELS, &limit));
}
END_TEST

static atomic_int open_now, most;

static void *come_and_go(void *arg)
{
    uint64_t l;
    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        if (!lev_usage_take(lev_usage_of(usage, LEV_LIT("u")), LEV_USED_CHANNELS, &l))
            continue;
        int n = atomic_fetch_add(&open_now, 1) + 1, was = atomic_load(&most);
        while (n > was && !atomic_compare_exchange_weak(&most, &was, n))
            continue;
        atomic_fetch_sub(&open_now, 1);
        lev_usage_give_back(of, LEV_USED_CHANNELS);
    }
    return NULL;
}

START_TEST(test_threads)
{
    pthread_t t[THREADS];
    set_limits(UINT64_MAX, LIMIT);
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&t[i], NULL, come_and_go, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_join(t[i], NULL), 0);
    ck_assert_int_le(atomic_load(&most), LIMIT);
    for (int i = 0; i < LIMIT; i++) /* all have been given back */
        ck_assert(lev_usage_take(of, LEV_USED_CHANNELS, &limit));
    ck_assert(!lev_usage_take(of, LEV_USED_CHANNELS, &limit));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("usage");
    TCase *tc = tcase_create("usage");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_no_limits);
    tcase_add_test(tc, test_limits);
    tcase_add_test(tc, test_threads);
    suite_add_tcase(s, tc);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? 0 : 1;
}
