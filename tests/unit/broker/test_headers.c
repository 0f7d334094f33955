/* Headers matching: tables of arguments, headers and RabbitMQ's answer; refused x-match values. */
#include "broker/headers.h"

#include "args.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))

static struct lev_headers_index ix;

static void setup(void)
{
    ix = (struct lev_headers_index){0};
}

static void teardown(void)
{
    lev_headers_index_deinit(&ix);
}

static bool matches(struct lev_bytes rule, struct lev_bytes headers)
{
    struct lev_headers_rule *r = lev_headers_rule_new(rule);
    lev_headers_index_set(&ix, headers);
    bool match = lev_headers_match(r, &ix);
    lev_headers_rule_free(&r);
    ck_assert_ptr_null(r);
    return match;
}

static const struct {
    const char *rule, *headers;
    bool match;
} cases[] = {
    /* no criteria */
    {"", "", true},
    {"", "a=I1", true},
    {"x-match=Sall", "", true},
    {"x-match=Sany", "", false},
    {"x-match=Sany", "a=I1", false},
    {"x-match=Sall-with-x", "", true},
    {"x-match=Sany-with-x", "x-match=Sany-with-x", false},
    /* all */
    {"a=I1", "a=I1", true},
    {"a=I1", "a=I2", false},
    {"a=I1", "", false},
    {"a=I1", "b=I1", false},
    {"a=I1 b=Sx", "b=Sx a=I1", true},
    {"a=I1 b=Sx", "c=V b=Sx a=I1", true},
    {"a=I1 b=Sx", "a=I1", false},
    {"x-match=Sall a=I1 b=Sx", "a=I1 b=Sy", false},
    {"x-match=Sall a=I1 a=I2", "a=I1", false},
    /* any */
    {"x-match=Sany a=I1 b=Sx", "a=I1", true},
    {"x-match=Sany a=I1 b=Sx", "b=Sx", true},
    {"x-match=Sany a=I1 b=Sx", "a=I2 b=Sx", true},
    {"x-match=Sany a=I1 b=Sx", "a=I2 b=Sy", false},
    {"x-match=Sany a=I1 b=Sx", "c=I1", false},
    {"x-match=Sany a=I1", "", false},
    /* names that start with x- */
    {"x-a=I1", "", true},
    {"x-=I1", "", true},
    {"x=I1", "", false},
    {"X-a=I1", "", false},
    {"x-a=I1 b=I2", "b=I2", true},
    {"x-match=Sany x-a=I1", "x-a=I1", false},
    {"x-match=Sall-with-x x-a=I1", "x-a=I1", true},
    {"x-match=Sall-with-x x-a=I1", "", false},
    {"x-match=Sall-with-x x-a=I1 b=I2", "x-a=I1", false},
    {"x-match=Sany-with-x x-a=I1", "x-a=I1", true},
    {"x-match=Sany-with-x x-a=I1 b=I2", "b=I2", true},
    {"x-match=Sany-with-x x-a=I1", "", false},
    {"x-match=Sany-with-x x-match2=I1", "x-match2=I1", true},
    /* values */
    {"a=b1", "a=l1", true},
    {"a=l1", "a=b1", true},
    {"a=B200", "a=s200", true},
    {"a=I-1", "a=l-1", true},
    {"a=I-1", "a=i4294967295", false},
    {"a=I1", "a=d1", false},
    {"a=f0.5", "a=d0.5", true},
    {"a=I1", "a=t1", false},
    {"a=t1", "a=t1", true},
    {"a=t1", "a=t0", false},
    {"a=I1", "a=S1", false},
    {"a=I1", "a=V", false},
    {"a=Sx", "a=Sx", true},
    {"a=Sx", "a=SX", false},
    {"a=S", "a=S", true},
    {"a=S", "a=V", false},
    {"a=Sx", "a=xx", true},
    {"a=xx", "a=Sx", true},
    {"a=xx", "a=Sy", false},
    {"a=T5", "a=T5", true},
    {"a=A6200", "a=A6200", true},
    {"a=A62006201", "a=A62016200", false},
    {"a=F0161620101626202", "a=F0161620101626202", true},
    {"a=F0161620101626202", "a=F0161620101626203", false},
    {"a=F0161620101626202", "a=F0162620201616201", false},
    /* presence */
    {"a=V", "a=I5", true},
    {"a=V", "a=V", true},
    {"a=V", "a=F", true},
    {"a=V", "b=I5", false},
    {"x-match=Sany a=V b=V", "b=Sx", true},
    {"x-match=Sall a=V b=V", "b=Sx", false},
    /* of duplicate headers the first counts */
    {"a=I1", "a=I1 a=I2", true},
    {"a=I1", "a=I2 a=I1", false},
    /* an x-match that could not have been made counts as all */
    {"x-match=Sfoo a=I1", "a=I1", true},
    {"x-match=I5 a=I1", "", false},
    /* keys of several lengths, more than one of each */
    {"zz=I1 a=I2 bb=I3 c=I4", "c=I4 zz=I1 dd=I0 a=I2 e=V bb=I3 abc=V", true},
    {"zz=I1 a=I2 bb=I3 c=I4", "c=I4 zz=I1 dd=I0 a=I2 e=V bb=I0 abc=V", false},
};

START_TEST(test_match)
{
    ck_assert_msg(matches(args(cases[_i].rule), args(cases[_i].headers)) == cases[_i].match,
                  "{%s} on {%s}", cases[_i].rule, cases[_i].headers);
}
END_TEST

static const struct {
    const char *args, *text; /* text NULL: accepted */
} checks[] = {
    {"", NULL},
    {"a=I1", NULL},
    {"x-match=Sall", NULL},
    {"x-match=Sany", NULL},
    {"x-match=Sall-with-x", NULL},
    {"x-match=Sany-with-x", NULL},
    {"x-match=Sfoo", "Invalid x-match field value <<\"foo\">>; "
                     "expected all, any, all-with-x, or any-with-x"},
    {"x-match=SALL", "Invalid x-match field value <<\"ALL\">>; "
                     "expected all, any, all-with-x, or any-with-x"},
    {"x-match=S", "Invalid x-match field value <<>>; "
                  "expected all, any, all-with-x, or any-with-x"},
    {"x-match=Sa\"b\\c\t", "Invalid x-match field value <<\"a\\\"b\\\\c\\t\">>; "
                           "expected all, any, all-with-x, or any-with-x"},
    {"x-match=S\1\2", "Invalid x-match field value <<1,2>>; "
                      "expected all, any, all-with-x, or any-with-x"},
    {"x-match=S\xC3\xA9", "Invalid x-match field value <<\"\xC3\xA9\">>; "
                          "expected all, any, all-with-x, or any-with-x"},
    {"x-match=I5", "Invalid x-match field type signedint (value 5); expected longstr"},
    {"x-match=l-3", "Invalid x-match field type long (value -3); expected longstr"},
    {"x-match=t1", "Invalid x-match field type bool (value true); expected longstr"},
    {"x-match=t0", "Invalid x-match field type bool (value false); expected longstr"},
    {"x-match=V", "Invalid x-match field type void (value undefined); expected longstr"},
    {"x-match=T1577836800", "Invalid x-match field type timestamp (value 1577836800); "
                            "expected longstr"},
    {"x-match=xzz", "Invalid x-match field type binary (value <<\"zz\">>); expected longstr"},
    {"x-match=d1.5", "Invalid x-match field type double (value 1.5); expected longstr"},
    {"x-match=d5", "Invalid x-match field type double (value 5.0); expected longstr"},
    {"x-match=d-0.1", "Invalid x-match field type double (value -0.1); expected longstr"},
    {"x-match=d1e30", "Invalid x-match field type double (value 1.0e30); expected longstr"},
    {"x-match=d1.25e-9", "Invalid x-match field type double (value 1.25e-9); expected longstr"},
    {"x-match=A62016205", "Invalid x-match field type array (value [{byte,1},{byte,5}]); "
                          "expected longstr"},
    {"x-match=F01616201016253000000"
     "0178",
     "Invalid x-match field type table (value [{<<\"a\">>,byte,1},{<<\"b\">>,longstr,<<\"x\">>}]); "
     "expected longstr"},
    {"x-match=F", "Invalid x-match field type table (value []); expected longstr"},
};

START_TEST(test_check)
{
    struct lev_error err = {0};
    int rc = lev_headers_check(args(checks[_i].args), &err);
    ck_assert_int_eq(rc, checks[_i].text ? -1 : 0);
    if (!checks[_i].text)
        return;
    ck_assert_uint_eq(err.code, LEV_PRECONDITION_FAILED);
    ck_assert_str_eq(err.text, checks[_i].text);
}
END_TEST

/* Damaged tables end where the damage is; nothing is read behind it. */
START_TEST(test_damaged)
{
    struct lev_bytes whole = args("a=I1 b=I2"), rule = args("b=I2");
    for (size_t n = 0; n < whole.len; n++)
        ck_assert(!matches(rule, lev_bytes(whole.ptr, n)));
    ck_assert(matches(rule, whole));
}
END_TEST

START_TEST(test_many_headers)
{
    struct lev_buf headers;
    char key[32];
    lev_buf_init(&headers);
    for (int i = 0; i < 5000; i++) {
        snprintf(key, sizeof(key), "h%d", (i * 7919) % 5000);
        lev_table_put_long(&headers, key, (i * 7919) % 5000);
    }
    ck_assert(matches(args("h0=I0 h17=I17 h4999=I4999 h300=V"), lev_buf_view(&headers)));
    ck_assert(!matches(args("h0=I0 h17=I18"), lev_buf_view(&headers)));
    ck_assert(!matches(args("h5000=V"), lev_buf_view(&headers)));
    lev_buf_deinit(&headers);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("broker/headers");
    TCase *tc = tcase_create("headers");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, test_match, 0, COUNT(cases));
    tcase_add_loop_test(tc, test_check, 0, COUNT(checks));
    tcase_add_test(tc, test_damaged);
    tcase_add_test(tc, test_many_headers);
    suite_add_tcase(s, tc);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
