/* Byte views: comparing, copying, big-endian loads and stores; the error list's texts. */
#include "base/bytes.h"

#include "base/err.h"
#include "support/guard.h"

#include <check.h>
#include <stdio.h>

#define L(s)                                                                                       \
    {                                                                                              \
        (const uint8_t *)(s), sizeof(s) - 1                                                        \
    }

static const struct {
    struct lev_bytes a, b;
    int order; /* of a to b */
    bool a_starts_with_b;
} cases[] = {
    {L(""), L(""), 0, true},           {{NULL, 0}, L(""), 0, true},
    {L("a"), {NULL, 0}, 1, true},      {L("a"), L("a"), 0, true},
    {L("ab"), L("a"), 1, true},        {L("ab"), L("b"), -1, false},
    {L("a\0b"), L("a\0c"), -1, false}, {L("a\0b"), L("a"), 1, true},
    {L("\xFF"), L("\x01"), 1, false},  {L("abc"), L("abd"), -1, false},
};

static int sign(int v)
{
    return (v > 0) - (v < 0);
}

START_TEST(compare)
{
    struct lev_bytes a = cases[_i].a, b = cases[_i].b;
    ck_assert_int_eq(lev_bytes_eq(a, b), cases[_i].order == 0);
    ck_assert_int_eq(lev_bytes_eq(b, a), cases[_i].order == 0);
    ck_assert_int_eq(sign(lev_bytes_cmp(a, b)), cases[_i].order);
    ck_assert_int_eq(sign(lev_bytes_cmp(b, a)), -cases[_i].order);
    ck_assert_int_eq(lev_bytes_starts(a, b), cases[_i].a_starts_with_b);
}
END_TEST

START_TEST(views_of_strings)
{
    ck_assert(lev_bytes_eq(lev_bytes_str("abc"), LEV_LIT("abc")));
    ck_assert_uint_eq(lev_bytes_str(NULL).len, 0);
    ck_assert_uint_eq(LEV_LIT("").len, 0);
    ck_assert_uint_eq(LEV_LIT("a\0b").len, 3);
    char text[16];
    snprintf(text, sizeof(text), "<%.*s%.*s>", LEV_FMT(LEV_LIT("ab")), LEV_FMT(LEV_EMPTY));
    ck_assert_str_eq(text, "<ab>");
}
END_TEST

START_TEST(copies)
{
    char text[] = "abc";
    struct lev_bytes copy = lev_bytes_dup(lev_bytes_str(text));
    text[0] = 'X';
    ck_assert(lev_bytes_eq(copy, LEV_LIT("abc")));
    ck_assert_int_eq(copy.ptr[3], 0);
    lev_bytes_free(&copy);
    ck_assert_ptr_null(copy.ptr);
    ck_assert_uint_eq(copy.len, 0);
    lev_bytes_free(&copy);
    copy = lev_bytes_dup(LEV_EMPTY);
    ck_assert_ptr_nonnull(copy.ptr);
    ck_assert_uint_eq(copy.len, 0);
    lev_bytes_free(&copy);
}
END_TEST

/* At an odd address and the end of readable memory. */
START_TEST(loads_and_stores)
{
    struct guard_bytes g = guard_bytes_new("\x01\x02\x03\x04\x05\x06\x07\xF8", 8);
    ck_assert_uint_eq(lev_get64(g.ptr), 0x01020304050607F8u);
    ck_assert_uint_eq(lev_get32(g.ptr + 4), 0x050607F8u);
    ck_assert_uint_eq(lev_get32(g.ptr + 3), 0x04050607u);
    ck_assert_uint_eq(lev_get16(g.ptr + 6), 0x07F8u);
    ck_assert_uint_eq(lev_get16(g.ptr + 5), 0x0607u);
    lev_put64(g.ptr, 0xF1E2D3C4B5A69788u);
    ck_assert_mem_eq(g.ptr, "\xF1\xE2\xD3\xC4\xB5\xA6\x97\x88", 8);
    lev_put32(g.ptr + 3, 0x11223344);
    lev_put16(g.ptr + 1, 0x5566);
    ck_assert_mem_eq(g.ptr, "\xF1\x55\x66\x11\x22\x33\x44\x88", 8);
    guard_bytes_free(&g);
}
END_TEST

START_TEST(error_texts)
{
    ck_assert_str_eq(lev_err_text(0), "success");
    ck_assert_str_eq(lev_err_text(LEV_EUTF8), "malformed UTF-8");
    ck_assert_str_eq(lev_err_text(LEV_ENOMEM), "out of memory");
    ck_assert_str_eq(lev_err_text(12345), "unknown error");
}
END_TEST

START_TEST(error_codes_are_distinct_and_negative)
{
    static const int codes[] = {
#define X(name, value, text) name,
        LEV_ERRORS(X)
#undef X
    };
    int n = (int)(sizeof(codes) / sizeof(codes[0]));
    for (int i = 0; i < n; i++) {
        ck_assert_int_lt(codes[i], 0);
        for (int j = 0; j < i; j++) {
            ck_assert_int_ne(codes[i], codes[j]);
            ck_assert_str_ne(lev_err_text(codes[i]), lev_err_text(codes[j]));
        }
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("base_bytes");
    TCase *tc = tcase_create("bytes");
    tcase_add_loop_test(tc, compare, 0, (int)(sizeof(cases) / sizeof(cases[0])));
    tcase_add_test(tc, views_of_strings);
    tcase_add_test(tc, copies);
    tcase_add_test(tc, loads_and_stores);
    tcase_add_test(tc, error_texts);
    tcase_add_test(tc, error_codes_are_distinct_and_negative);
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
