/* The hash map: random operations against a plain array that does the same. */
#include "base/map.h"

#include "base/hash.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

enum { KEYS = 500, ROUNDS = 200000 };

static struct lev_map map;

static void setup(void)
{
    lev_map_init(&map);
}

static void teardown(void)
{
    lev_map_deinit(&map);
}

START_TEST(empty)
{
    ck_assert_ptr_null(lev_map_get(&map, LEV_LIT("a")));
    ck_assert_ptr_null(lev_map_remove(&map, LEV_LIT("a")));
    LEV_MAP_EACH(slot, &map)
    ck_abort_msg("an empty map gave an entry");
    ck_assert_uint_eq(map.len, 0);
}
END_TEST

START_TEST(put_get_remove)
{
    int a, b;
    ck_assert_ptr_null(lev_map_put(&map, LEV_LIT("a"), &a));
    ck_assert_ptr_null(lev_map_put(&map, LEV_EMPTY, &b));
    ck_assert_ptr_eq(lev_map_get(&map, LEV_LIT("a")), &a);
    ck_assert_ptr_eq(lev_map_get(&map, LEV_EMPTY), &b);
    ck_assert_ptr_null(lev_map_get(&map, LEV_LIT("ab")));
    ck_assert_uint_eq(map.len, 2);
    ck_assert_ptr_eq(lev_map_remove(&map, LEV_LIT("a")), &a);
    ck_assert_ptr_null(lev_map_get(&map, LEV_LIT("a")));
    ck_assert_ptr_null(lev_map_remove(&map, LEV_LIT("a")));
    ck_assert_uint_eq(map.len, 1);
}
END_TEST

/* The entry must hold the new key too: the old one may go with the old value. */
START_TEST(put_replaces_key_and_value)
{
    char old_key[] = "key", new_key[] = "key";
    int a, b;
    ck_assert_ptr_null(lev_map_put(&map, lev_bytes_str(old_key), &a));
    ck_assert_ptr_eq(lev_map_put(&map, lev_bytes_str(new_key), &b), &a);
    old_key[0] = 'X';
    ck_assert_ptr_eq(lev_map_get(&map, LEV_LIT("key")), &b);
    ck_assert_uint_eq(map.len, 1);
}
END_TEST

static char names[KEYS][16];
static int values[KEYS];

static void check_all(void *const shadow[KEYS], size_t live)
{
    size_t seen = 0;
    for (int k = 0; k < KEYS; k++)
        ck_assert_ptr_eq(lev_map_get(&map, lev_bytes_str(names[k])), shadow[k]);
    LEV_MAP_EACH(slot, &map)
    {
        size_t k = (size_t)((int *)slot->value - values);
        ck_assert_ptr_eq(shadow[k], slot->value);
        ck_assert(lev_bytes_eq(slot->key, lev_bytes_str(names[k])));
        seen++;
    }
    ck_assert_uint_eq(seen, live);
    ck_assert_uint_eq(map.len, live);
}

/* Grows and shrinks in waves, so that removal meets long runs and wrapped ones. */
START_TEST(random_operations)
{
    void *shadow[KEYS] = {NULL};
    size_t live = 0;
    srandom(5);
    for (int k = 0; k < KEYS; k++)
        snprintf(names[k], sizeof(names[k]), "key.%d", k);
    for (int round = 0; round < ROUNDS; round++) {
        int k = (int)(random() % KEYS);
        bool growing = round / 2000 % 2 == 0;
        struct lev_bytes key = lev_bytes_str(names[k]);
        if (random() % 10 < (growing ? 7 : 3)) {
            ck_assert_ptr_eq(lev_map_put(&map, key, &values[k]), shadow[k]);
            live += shadow[k] == NULL;
            shadow[k] = &values[k];
        } else {
            ck_assert_ptr_eq(lev_map_remove(&map, key), shadow[k]);
            live -= shadow[k] != NULL;
            shadow[k] = NULL;
        }
        if (round % 1000 == 0)
            check_all(shadow, live);
    }
    check_all(shadow, live);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("base_map");
    TCase *tc = tcase_create("map");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, empty);
    tcase_add_test(tc, put_get_remove);
    tcase_add_test(tc, put_replaces_key_and_value);
    tcase_add_test(tc, random_operations);
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
