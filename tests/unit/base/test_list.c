/* Intrusive lists: order, removal while iterating, safe removal of what is in no list. */
#include "base/list.h"

#include <check.h>

struct item {
    int n;
    struct lev_list link;
};

static struct lev_list list;
static struct item items[5];

static void setup(void)
{
    lev_list_init(&list);
    for (int i = 0; i < 5; i++) {
        items[i].n = i;
        lev_list_init(&items[i].link);
    }
}

/* The list's numbers as decimal digits, forwards; checks that backwards agrees. */
static int digits(void)
{
    int forwards = 0, backwards = 0, place = 1;
    LEV_LIST_EACH(it, nx, &list)
    {
        forwards = forwards * 10 + LEV_LIST_ENTRY(it, struct item, link)->n;
    }
    for (struct lev_list *it = list.prev; it != &list; it = it->prev, place *= 10)
        backwards += LEV_LIST_ENTRY(it, struct item, link)->n * place;
    ck_assert_int_eq(forwards, backwards);
    return forwards;
}

START_TEST(empty)
{
    ck_assert(lev_list_empty(&list));
    ck_assert(!lev_list_linked(&items[0].link));
    LEV_LIST_EACH(it, nx, &list)
    {
        ck_abort_msg("an empty list gave an entry");
    }
}
END_TEST

START_TEST(order)
{
    lev_list_push_back(&list, &items[2].link);
    lev_list_push_back(&list, &items[3].link);
    lev_list_push_front(&list, &items[1].link);
    ck_assert_int_eq(digits(), 123);
    lev_list_insert_before(&items[3].link, &items[4].link);
    ck_assert_int_eq(digits(), 1243);
    ck_assert(!lev_list_empty(&list));
    ck_assert(lev_list_linked(&items[4].link));
    ck_assert(!lev_list_linked(&items[0].link));
}
END_TEST

START_TEST(removal)
{
    for (int i = 1; i < 5; i++)
        lev_list_push_back(&list, &items[i].link);
    lev_list_remove(&items[1].link);
    ck_assert_int_eq(digits(), 234);
    lev_list_remove(&items[4].link);
    ck_assert_int_eq(digits(), 23);
    lev_list_remove(&items[4].link); /* in no list: nothing happens */
    lev_list_remove(&items[0].link);
    ck_assert_int_eq(digits(), 23);
    ck_assert(!lev_list_linked(&items[4].link));
    lev_list_push_front(&list, &items[4].link);
    ck_assert_int_eq(digits(), 423);
}
END_TEST

START_TEST(removal_of_each_while_iterating)
{
    int seen = 0;
    for (int i = 1; i < 5; i++)
        lev_list_push_back(&list, &items[i].link);
    LEV_LIST_EACH(it, nx, &list)
    {
        seen = seen * 10 + LEV_LIST_ENTRY(it, struct item, link)->n;
        lev_list_remove(it);
    }
    ck_assert_int_eq(seen, 1234);
    ck_assert(lev_list_empty(&list));
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("base_list");
    TCase *tc = tcase_create("list");
    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_test(tc, empty);
    tcase_add_test(tc, order);
    tcase_add_test(tc, removal);
    tcase_add_test(tc, removal_of_each_while_iterating);
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
