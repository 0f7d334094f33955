/* UTF-8: every code point, every pair of octets, the classic wrong forms; at a guard page. */
#include "base/utf8.h"

#include "support/guard.h"

#include <check.h>

#define L(s)                                                                                       \
    {                                                                                              \
        (const uint8_t *)(s), sizeof(s) - 1                                                        \
    }

static const struct {
    struct lev_bytes text;
    bool valid;
} cases[] = {
    {L(""), true},
    {L("plain"), true},
    {L("a\0b"), true},
    {L("caf\xC3\xA9"), true},
    {L("\xE2\x82\xAC"), true},
    {L("\xF0\x9F\x90\x87"), true},
    {L("12345678\xC3\xA9"), true},
    {L("1234567\xC3\xA9 and after it"), true},
    {L("\x80"), false}, /* continuation alone */
    {L("\xC3"), false}, /* cut short */
    {L("\xE2\x82"), false},
    {L("\xF0\x9F\x90"), false},
    {L("12345678\xC3"), false},
    {L("1234567\xE2\x82"), false},
    {L("\xC3("), false}, /* lead without continuation */
    {L("\xE2\x82("), false},
    {L("\xF0\x9F\x90("), false},
    {L("\xC0\x80"), false}, /* overlong */
    {L("\xC1\xBF"), false},
    {L("\xE0\x9F\xBF"), false},
    {L("\xF0\x8F\xBF\xBF"), false},
    {L("\xED\xA0\x80"), false}, /* surrogates */
    {L("\xED\xBF\xBF"), false},
    {L("\xED\x9F\xBF"), true},
    {L("\xF4\x8F\xBF\xBF"), true}, /* U+10FFFF */
    {L("\xF4\x90\x80\x80"), false},
    {L("\xF5\x80\x80\x80"), false},
    {L("\xFE"), false},
    {L("\xFF"), false},
    {L("12345678\xFF"
       "1234567"),
     false},
};

START_TEST(known)
{
    struct guard_bytes g = guard_bytes_new(cases[_i].text.ptr, cases[_i].text.len);
    ck_assert_int_eq(lev_utf8_valid(lev_bytes(g.ptr, g.len)), cases[_i].valid);
    guard_bytes_free(&g);
}
END_TEST

/* Encodes without asking whether it may. */
static size_t encode(uint32_t c, uint8_t *p)
{
    size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const uint8_t lead[] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (size_t i = n - 1; i > 0; i--, c >>= 6)
        p[i] = (uint8_t)(0x80 | (c & 0x3F));
    p[0] = (uint8_t)(lead[n] | c);
    return n;
}

START_TEST(every_code_point)
{
    for (uint32_t c = 0; c < 0x1FFFFF; c++) {
        uint8_t p[4];
        size_t n = encode(c, p);
        bool valid = c <= 0x10FFFF && (c < 0xD800 || c > 0xDFFF);
        bool cut_valid = n > 1 && lev_utf8_valid(lev_bytes(p, n - 1));
        if (lev_utf8_valid(lev_bytes(p, n)) != valid || cut_valid)
            ck_abort_msg("U+%X", c);
    }
}
END_TEST

START_TEST(every_two_octets)
{
    for (unsigned a = 0; a < 256; a++) {
        for (unsigned b = 0; b < 256; b++) {
            uint8_t p[2] = {(uint8_t)a, (uint8_t)b};
            bool valid = (a < 0x80 && b < 0x80) || (a >= 0xC2 && a < 0xE0 && b >= 0x80 && b < 0xC0);
            if (lev_utf8_valid(lev_bytes(p, 2)) != valid)
                ck_abort_msg("%02X %02X", a, b);
        }
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("base_utf8");
    TCase *tc = tcase_create("utf8");
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, known, 0, (int)(sizeof(cases) / sizeof(cases[0])));
    tcase_add_test(tc, every_code_point);
    tcase_add_test(tc, every_two_octets);
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
