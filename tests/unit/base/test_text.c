/* Text of a bounded size: like printf where that can do it, whole where it cannot, cut at the end.
 */
#include "base/text.h"

#include <check.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

static struct lev_text t;
static char room[64];

static void setup(void)
{
    memset(room, 'x', sizeof(room));
    lev_text_init(&t, room, sizeof(room));
}

START_TEST(test_as_printf)
{
    static const char fmt[] = "%s|%c|%d|%d|%u|%zu|%lld|%llu|%%|%.*s";
    char want[256], got[256];
    snprintf(want, sizeof(want), fmt, "a b", 'c', INT_MIN, 7, UINT_MAX, SIZE_MAX, LLONG_MIN,
             ULLONG_MAX, 2, "xyz");
    lev_text_init(&t, got, sizeof(got));
    lev_text_put(&t, fmt, "a b", 'c', INT_MIN, 7, UINT_MAX, SIZE_MAX, LLONG_MIN, ULLONG_MAX, 2,
                 "xyz");
    ck_assert_str_eq(got, want);
    ck_assert_uint_eq(t.len, strlen(want));
}
END_TEST

START_TEST(test_octets)
{
    struct lev_bytes name = LEV_LIT("a\0b\xff"), want = LEV_LIT("<a\0b\xff><>c\0");
    lev_text_put(&t, "<%.*s><%.*s>%c", LEV_FMT(name), LEV_FMT(LEV_EMPTY), 'c');
    lev_text_put_bytes(&t, LEV_LIT("\0"));
    lev_text_put_bytes(&t, LEV_EMPTY);
    ck_assert(lev_bytes_eq(lev_text_view(&t), want));
    ck_assert_int_eq(room[t.len], 0);
}
END_TEST

/* Cut at every length; never written beyond. */
START_TEST(test_cut)
{
    static const char whole[] = "1234 5678 a";
    lev_text_init(&t, room, (size_t)_i);
    ck_assert_uint_eq(t.len, 0);
    lev_text_put(&t, "%d %s", 1234, "5678");
    lev_text_put(&t, " %c", 'a');
    size_t n = (size_t)_i - 1 < strlen(whole) ? (size_t)_i - 1 : strlen(whole);
    ck_assert_uint_eq(t.len, n);
    ck_assert_int_eq(memcmp(room, whole, n), 0);
    ck_assert_int_eq(room[n], 0);
    ck_assert_int_eq(room[_i], 'x');
    ck_assert(lev_text_full(&t) == ((size_t)_i <= sizeof(whole)));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("text");
    TCase *tc = tcase_create("text");
    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_test(tc, test_as_printf);
    tcase_add_test(tc, test_octets);
    tcase_add_loop_test(tc, test_cut, 1, 20);
    suite_add_tcase(s, tc);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? 0 : 1;
}
