/* Policies that say which messages are duplicates, at run time and over crashes. */
#include "late.h"

#include <check.h>
#include <stdio.h>

#define DEDUP "x-message-deduplication=t1 "

static struct late l;

static void setup(void)
{
    late_init(&l);
    late_queue(&l, "q", "d", "");
    late_exchange(&l, "x", "fanout", "d", "");
    late_bind(&l, "x", "q:q", "");
}

static void teardown(void)
{
    late_deinit(&l);
}

/* Each character of bodies is a message with itself as its id. */
static void send(const char *exchange, const char *header, const char *bodies)
{
    for (; *bodies; bodies++) {
        char id[40], body[2] = {*bodies};
        snprintf(id, sizeof(id), "%s=S%c", header, *bodies);
        ck_assert(late_publish(&l, exchange, "q", id, body, "p"));
    }
}

static void expect(const char *exchange, const char *bodies, const char *got)
{
    send(exchange, "x-deduplication-header", bodies);
    late_expect(&l, "q", got);
}

START_TEST(queue_begins_and_ends)
{
    expect("", "aab", "a a b");
    late_govern(&l, "queues", DEDUP);
    expect("", "aab", "a b");
    expect("", "a", "a"); /* it was gone */
    send("", "x-deduplication-header", "c");
    ck_assert_uint_eq(lev_store_mem_ids(l.store), 1);
    late_govern(&l, NULL, NULL);
    ck_assert_uint_eq(lev_store_mem_ids(l.store), 0);
    expect("", "c", "c c");
}
END_TEST

START_TEST(argument_is_overruled)
{
    late_queue(&l, "w", "d", DEDUP);
    late_bind(&l, "x", "q:w", "");
    late_govern(&l, "queues", "x-message-deduplication=t0");
    expect("x", "aa", "a a");
    late_expect(&l, "w", "a a");
    late_govern(&l, NULL, NULL);
    expect("x", "aa", "a a");
    late_expect(&l, "w", "a");
}
END_TEST

START_TEST(window_changes)
{
    late_govern(&l, "queues", DEDUP "x-cache-size=l3");
    expect("", "abcabc", "a b c");
    late_govern(&l, "queues", DEDUP "x-cache-size=l2"); /* what is known stays so */
    expect("", "bc", "");
    expect("", "da", "d a");
    late_govern(&l, "queues", DEDUP "x-cache-ttl=l50");
    expect("", "dd", "");
    expect("", "ee", "e");
    late_advance(&l, 50);
    expect("", "e", "e");
    late_govern(&l, "queues", DEDUP "x-cache-ttl=l50 x-deduplication-header=Sid"); /* begins anew */
    ck_assert_uint_eq(lev_store_mem_ids(l.store), 0);
    send("", "id", "ee");
    late_expect(&l, "q", "e");
    expect("", "ff", "f f");
}
END_TEST

START_TEST(exchange_alone)
{
    late_govern(&l, "all", DEDUP); /* is for queues */
    expect("x", "a", "a");
    expect("x", "a", "a");
    late_govern(&l, "exchanges", DEDUP "x-cache-size=l2");
    expect("x", "abab", "a b");
    expect("x", "cb", "c");
    expect("x", "a", "a"); /* was the oldest */
    late_govern(&l, "queues", "max-length=l9");
    expect("x", "aa", "a a");
    ck_assert_uint_eq(lev_store_mem_ids(l.store), 0);
}
END_TEST

START_TEST(exchange_of_the_type)
{
    ck_assert_int_eq(late_exchange(&l, "t", "x-message-deduplication", "d", "x-cache-size=I9"), 0);
    late_bind(&l, "t", "q:q", "");
    late_govern(&l, "all", "x-cache-size=l1 x-message-deduplication=t0");
    expect("t", "aaba", "a b a");
    late_govern(&l, NULL, NULL);
    expect("t", "cac", "c");
}
END_TEST

START_TEST(survives_a_crash)
{
    late_govern(&l, "exchanges", DEDUP);
    expect("x", "ab", "a b");
    late_crash(&l);
    expect("x", "abc", "c");
    l.apply_to = NULL;
    late_crash(&l); /* nobody wants the ids */
    expect("x", "a", "a");
    ck_assert_uint_eq(lev_store_mem_ids(l.store), 0);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("broker_dedup_policy");
    TCase *tc = tcase_create("policies");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, queue_begins_and_ends);
    tcase_add_test(tc, argument_is_overruled);
    tcase_add_test(tc, window_changes);
    tcase_add_test(tc, exchange_alone);
    tcase_add_test(tc, exchange_of_the_type);
    tcase_add_test(tc, survives_a_crash);
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
