/* The hash: a function of the bytes alone, reads nothing beyond them, spreads well, is seeded. */
#include "base/hash.h"

#include "support/guard.h"

#include <check.h>
#include <stdio.h>

START_TEST(depends_on_bytes_alone)
{
    char text[64];
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = (char)('a' + i % 26);
    for (size_t n = 0; n <= sizeof(text); n++) {
        struct guard_bytes g = guard_bytes_new(text, n);
        ck_assert_uint_eq(lev_hash(lev_bytes(g.ptr, n), 0), lev_hash(lev_bytes(text, n), 0));
        guard_bytes_free(&g);
    }
    ck_assert_uint_eq(lev_hash(LEV_EMPTY, 0), lev_hash(LEV_LIT(""), 0));
}
END_TEST

/* Zeros of different lengths, and prefixes, differ; so does each changed bit. */
START_TEST(every_bit_and_length_counts)
{
    uint8_t text[40] = {0};
    for (size_t n = 1; n <= sizeof(text); n++) {
        uint64_t h = lev_hash(lev_bytes(text, n), 0);
        ck_assert_uint_ne(h, lev_hash(lev_bytes(text, n - 1), 0));
        for (size_t bit = 0; bit < n * 8; bit++) {
            text[bit / 8] ^= (uint8_t)(1u << bit % 8);
            ck_assert_uint_ne(lev_hash(lev_bytes(text, n), 0), h);
            text[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
    }
}
END_TEST

START_TEST(chained)
{
    ck_assert_uint_ne(lev_hash(LEV_LIT("a"), 0), lev_hash(LEV_LIT("a"), 1));
    uint64_t ab = lev_hash(LEV_LIT("b"), lev_hash(LEV_LIT("a"), 0));
    uint64_t ba = lev_hash(LEV_LIT("a"), lev_hash(LEV_LIT("b"), 0));
    ck_assert_uint_ne(ab, ba);
}
END_TEST

/* Numbered names, as queues often have, in 1024 buckets of the low bits: 64 expected in each; a
 * Poisson spread of 8 makes 2 x 64 impossible by chance. */
START_TEST(numbered_names_spread)
{
    static int buckets[1024];
    for (int i = 0; i < 64 * 1024; i++) {
        char name[32];
        snprintf(name, sizeof(name), "queue-%d", i);
        buckets[lev_hash(lev_bytes_str(name), 0) % 1024]++;
    }
    for (int i = 0; i < 1024; i++)
        ck_assert_int_lt(buckets[i], 128);
}
END_TEST

START_TEST(seed_changes_it)
{
    uint64_t before = lev_hash(LEV_LIT("name"), 0);
    lev_hash_seed();
    ck_assert_uint_ne(lev_hash(LEV_LIT("name"), 0), before);
}
END_TEST

/* What was chosen by it is to be chosen again by every later release. */
START_TEST(without_seed_for_ever)
{
    lev_hash_seed();
    ck_assert_uint_eq(lev_hash_fixed(LEV_LIT("name"), 0), UINT64_C(0x5a0e018cada1c4da));
    ck_assert_uint_eq(lev_hash_fixed(LEV_LIT("name"), 7), UINT64_C(0xe5cda2e00a256cf0));
    ck_assert_uint_eq(lev_hash_fixed(LEV_LIT("a longer name, of three words"), 0),
                      UINT64_C(0x775e2d7c7847cecf));
    ck_assert_uint_eq(lev_hash_fixed(LEV_EMPTY, 0), UINT64_C(0x25e100cba525a07));
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("base_hash");
    TCase *tc = tcase_create("hash");
    tcase_add_test(tc, depends_on_bytes_alone);
    tcase_add_test(tc, every_bit_and_length_counts);
    tcase_add_test(tc, chained);
    tcase_add_test(tc, numbered_names_spread);
    tcase_add_test(tc, seed_changes_it);
    tcase_add_test(tc, without_seed_for_ever);
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
