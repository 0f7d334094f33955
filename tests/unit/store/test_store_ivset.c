/* Range sets against a plain bitmap, and against the table they are mirrored in. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "store/ivset.h"

enum { SPACE = 4000 };

static struct lev_ivset set;
static bool bits[SPACE + 1];
static uint64_t table[SPACE]; /* hi by lo; 0: no row */
static uint64_t seed;

static uint32_t rnd(uint32_t n)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((seed >> 33) % n);
}

static int on_cut(void *ctx, uint64_t below)
{
    (void)ctx;
    memset(table, 0, below * sizeof(table[0]));
    return 0;
}

static int on_gone(void *ctx, uint64_t lo)
{
    (void)ctx;
    ck_assert_uint_ne(table[lo], 0);
    table[lo] = 0;
    return 0;
}

static int on_put(void *ctx, uint64_t lo, uint64_t hi)
{
    (void)ctx;
    table[lo] = hi;
    return 0;
}

static const struct lev_ivset_table mirror = {on_cut, on_gone, on_put};

static void setup(void)
{
    lev_ivset_init(&set);
    memset(bits, 0, sizeof(bits));
    memset(table, 0, sizeof(table));
}

static void teardown(void)
{
    lev_ivset_deinit(&set);
}

static void check_set(void)
{
    size_t n = 0;
    uint64_t covered = 0, pos = 0, lo, hi;
    for (uint64_t p = 0; p < SPACE; p++) {
        covered += bits[p];
        n += bits[p] && (p == 0 || !bits[p - 1]);
    }
    ck_assert_uint_eq(lev_ivset_count(&set), n);
    ck_assert_uint_eq(set.body ? set.body->covered : 0, covered);
    size_t wrong = 0;
    for (; lev_ivset_find(&set, pos, &lo, &hi); pos = hi) {
        for (uint64_t p = pos; p < hi; p++)
            wrong += bits[p] != (p >= lo);
        wrong += bits[hi];
    }
    for (; pos < SPACE; pos++)
        wrong += bits[pos];
    ck_assert_uint_eq(wrong, 0);
}

/* The table says what the set says. */
static void check_table(void)
{
    size_t n = 0, wrong = 0;
    uint64_t pos = 0, lo, hi;
    for (uint64_t p = 0; p < SPACE; p++)
        n += table[p] != 0;
    ck_assert_uint_eq(n, lev_ivset_count(&set));
    for (; lev_ivset_find(&set, pos, &lo, &hi); pos = hi)
        wrong += table[lo] != hi;
    ck_assert_uint_eq(wrong, 0);
}

static void mutate(void)
{
    uint64_t lo = rnd(SPACE - 1), hi = lo + 1 + rnd(rnd(10) ? 2 : 60), first, end;
    switch (rnd(20)) {
    case 0:
        lo /= 3;
        lev_ivset_cut(&set, lo);
        memset(bits, 0, lo);
        return;
    case 1:
        if (!lev_ivset_find(&set, lo, &first, &end))
            return;
        hi = rnd(2) ? end : first + 1 + rnd((uint32_t)(end - first));
        lev_ivset_drop(&set, first, hi);
        memset(bits + first, 0, hi - first);
        return;
    default:
        hi = hi > SPACE ? SPACE : hi;
        lev_ivset_add(&set, lo, hi);
        memset(bits + lo, 1, hi - lo);
    }
}

START_TEST(test_random)
{
    seed = (uint64_t)_i + 1;
    for (int n = 0; n < 3000; n++) {
        mutate();
        if (n % 7 == 0)
            check_set();
        if (rnd(20))
            continue;
        ck_assert_int_eq(lev_ivset_sync(&set, &mirror, NULL), 0);
        ck_assert(lev_ivset_clean(&set));
        check_table();
    }
}
END_TEST

START_TEST(test_load)
{
    for (uint64_t p = 0; p + 2 < SPACE; p += 3) {
        lev_ivset_load(&set, p, p + 2);
        bits[p] = bits[p + 1] = true;
        table[p] = p + 2;
    }
    ck_assert(lev_ivset_clean(&set));
    check_set();
    for (uint64_t p = 2; p < SPACE / 2; p += 3) {
        lev_ivset_add(&set, p, p + 1); /* joins two */
        bits[p] = true;
    }
    check_set();
    ck_assert_int_eq(lev_ivset_sync(&set, &mirror, NULL), 0);
    check_table();
    lev_ivset_cut(&set, SPACE);
    ck_assert(lev_ivset_empty(&set));
    ck_assert_int_eq(lev_ivset_sync(&set, &mirror, NULL), 0);
    memset(bits, 0, sizeof(bits));
    check_table();
}
END_TEST

static int refuse(void *ctx, uint64_t lo, uint64_t hi)
{
    (void)lo;
    (void)hi;
    return *(int *)ctx;
}

START_TEST(test_sync_fails)
{
    const struct lev_ivset_table refusing = {on_cut, on_gone, refuse};
    int rc = 42;
    lev_ivset_add(&set, 1, 2);
    ck_assert_int_eq(lev_ivset_sync(&set, &refusing, &rc), 42);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("store_ivset");
    TCase *t = tcase_create("core");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, test_random, 0, 10);
    tcase_add_test(t, test_load);
    tcase_add_test(t, test_sync_fails);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    SRunner *r = srunner_create(suite());
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
