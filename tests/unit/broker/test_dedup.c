/* Duplicates: dropped by exchanges and queues, confirmed when the original is durable, forgotten
 * when nothing came of it, remembered over crashes. */
#include "late.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/log.h"

static struct late l;

static void setup(void)
{
    lev_log_set_level(LEV_LOG_NONE);
    late_init(&l);
    late_queue(&l, "q", "d", "");
}

static void teardown(void)
{
    late_deinit(&l);
}

/* Each character of bodies is a message with itself as its id. */
static void send(const char *exchange, const char *key, const char *bodies)
{
    for (; *bodies; bodies++) {
        char id[40], body[2] = {*bodies};
        snprintf(id, sizeof(id), "x-deduplication-header=S%c", *bodies);
        ck_assert(late_publish(&l, exchange, key, id, body, "p"));
    }
}

static void exchange(const char *arguments)
{
    ck_assert_msg(late_exchange(&l, "x", "x-message-deduplication", "d", arguments) == 0, "%s",
                  l.err.text);
    late_bind(&l, "x", "q:q", "");
}

/* ---- Exchanges ---- */

START_TEST(test_arguments)
{
    static const char *const bad[] = {
        "",
        "x-cache-size=I0",
        "x-cache-size=I-1",
        "x-cache-size=Sx",
        "x-cache-size=tI",
        "x-cache-size=I1 x-cache-ttl=I0",
        "x-cache-size=I1 x-cache-ttl=Snever",
        "x-cache-size=I1 x-cache-persistence=Stape",
    };
    static const char *const good[] = {
        "x-cache-size=I1", "x-cache-size=S10",
        "x-cache-size=l5 x-cache-ttl=I1 x-cache-persistence=Sdisk",
        "x-cache-size=l5 x-cache-ttl=S1 x-cache-persistence=Smemory"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ck_assert_msg(late_exchange(&l, "x", "x-message-deduplication", "", bad[i]) < 0, "%s",
                      bad[i]);
        ck_assert_int_eq(l.err.code, LEV_PRECONDITION_FAILED);
    }
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        ck_assert_msg(late_exchange(&l, "x", "x-message-deduplication", "", good[i]) == 0, "%s",
                      good[i]);
        late_delete_exchange(&l, "x");
    }
}
END_TEST

START_TEST(test_size)
{
    exchange("x-cache-size=I3");
    send("x", "any", "aabacb");
    late_expect(&l, "q", "a b c");
    send("x", "", "da"); /* d pushed a out */
    late_expect(&l, "q", "d a");
    send("x", "", "dca");
    late_expect(&l, "q", "");
}
END_TEST

START_TEST(test_ttl)
{
    exchange("x-cache-size=I1000 x-cache-ttl=I100");
    send("x", "", "a");
    late_advance(&l, 99);
    send("x", "", "a");
    late_advance(&l, 1);
    late_expect(&l, "q", "a");
    send("x", "", "a");
    late_expect(&l, "q", "a");
    ck_assert(late_publish(&l, "x", "", "x-deduplication-header=Sb x-cache-ttl=I500", "b", ""));
    late_advance(&l, 499);
    send("x", "", "b");
    late_expect(&l, "q", "b");
    late_advance(&l, 1);
    send("x", "", "b");
    late_expect(&l, "q", "b");
}
END_TEST

/* Values are the same by type and octets, integers by number. */
START_TEST(test_values)
{
    static const char *const ids[] = {"I5", "l5", "S5", "S5", "d5", "t1", "I1",
                                      "S",  "x5", "T5", "b5", "V",  "V"};
    static const char *const take[] = {"0", "2", "4", "5", "6", "7", "8", "9", "11", "12"};
    char want[64] = "";
    exchange("x-cache-size=I100");
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        char headers[60], body[8];
        snprintf(headers, sizeof(headers), "x-deduplication-header=%s", ids[i]);
        snprintf(body, sizeof(body), "%zu", i);
        ck_assert(late_publish(&l, "x", "", headers, body, ""));
    }
    for (size_t i = 0; i < sizeof(take) / sizeof(take[0]); i++)
        snprintf(want + strlen(want), sizeof(want) - strlen(want), "%s%s", i ? " " : "", take[i]);
    late_expect(&l, "q", want);
    ck_assert(late_publish(&l, "x", "", "other=S5", "m", "")); /* no id: never dropped */
    ck_assert(late_publish(&l, "x", "", "other=S5", "n", ""));
    late_expect(&l, "q", "m n");
}
END_TEST

/* Any type of exchange, by argument; a header of another name; the last 128 by default. */
START_TEST(test_any_type)
{
    ck_assert_int_eq(late_exchange(&l, "t", "topic", "d",
                                   "x-message-deduplication=t1 x-deduplication-header=Sid"),
                     0);
    late_bind(&l, "t", "q:q", "a.*");
    for (int i = 0; i < 129; i++) {
        char id[16];
        snprintf(id, sizeof(id), "id=I%d", i);
        ck_assert(late_publish(&l, "t", "a.b", id, "m", "p"));
    }
    ck_assert_uint_eq(late_ready(&l, "q"), 129);
    ck_assert(late_publish(&l, "t", "a.b", "id=I1", "m", "p"));
    ck_assert_uint_eq(late_ready(&l, "q"), 129);
    ck_assert(late_publish(&l, "t", "a.b", "id=I0", "m", "p"));
    ck_assert_uint_eq(late_ready(&l, "q"), 130);
    ck_assert_int_eq(late_exchange(&l, "f", "fanout", "d", "x-message-deduplication=t0"), 0);
    late_bind(&l, "f", "q:q", "");
    ck_assert(late_publish(&l, "f", "", "x-deduplication-header=I1", "m", "p"));
    ck_assert(late_publish(&l, "f", "", "x-deduplication-header=I1", "m", "p"));
    ck_assert_uint_eq(late_ready(&l, "q"), 132);
}
END_TEST

START_TEST(test_mandatory)
{
    exchange("x-cache-size=I3");
    ck_assert(late_publish(&l, "x", "", "x-deduplication-header=S1", "m", "m"));
    ck_assert_int_eq(l.returned, 0);
    ck_assert(late_publish(&l, "x", "", "x-deduplication-header=S1", "m", "m"));
    ck_assert_int_eq(l.returned, 1);
    ck_assert(!l.nacked);
}
END_TEST

/* The confirm of a duplicate tells of the original, so it waits for it. */
START_TEST(test_confirm_waits)
{
    exchange("x-cache-size=I3");
    late_queue(&l, "u", "d", "x-message-deduplication=t1");
    for (int i = 0; i < 2; i++) {
        late_publish_only(&l, "x", "", "x-deduplication-header=S1", "m", "p");
        late_publish_only(&l, "", "u", "x-deduplication-header=S1", "m", "p");
    }
    ck_assert_uint_eq(late_unconfirmed(&l), 4);
    late_run(&l);
    ck_assert_uint_eq(late_unconfirmed(&l), 0);
    late_publish_only(&l, "x", "", "x-deduplication-header=S1", "m", "p");
    ck_assert_uint_eq(late_unconfirmed(&l), 0); /* durable already */
}
END_TEST

/* Nothing came of it: the publisher may try again. */
START_TEST(test_forgotten)
{
    ck_assert_int_eq(late_exchange(&l, "x", "x-message-deduplication", "d", "x-cache-size=I10"), 0);
    send("x", "", "a"); /* no queue */
    late_queue(&l, "s", "d", "x-max-length=I1 x-overflow=Sreject-publish");
    late_bind(&l, "x", "q:s", "");
    send("x", "", "a");
    ck_assert_uint_eq(late_ready(&l, "s"), 1);
    send("x", "", "b");
    ck_assert(l.nacked);
    ck_assert_uint_eq(lev_store_mem_ids(l.store), 1);
    late_expect(&l, "s", "a");
    send("x", "", "b");
    ck_assert(!l.nacked);
    late_expect(&l, "s", "b");
}
END_TEST

START_TEST(test_exchange_crash)
{
    exchange("x-cache-size=I3 x-cache-ttl=I1000");
    ck_assert_int_eq(late_exchange(&l, "t", "x-message-deduplication", "", "x-cache-size=I3"), 0);
    late_bind(&l, "t", "q:q", "");
    send("t", "", "a");
    send("x", "", "abcd");
    late_publish_only(&l, "x", "", "x-deduplication-header=Slost", "lost", "p");
    late_crash(&l);
    ck_assert_uint_eq(lev_store_mem_ids(l.store), 3);
    late_expect(&l, "q", "a a b c d");
    send("x", "", "bcd");
    late_expect(&l, "q", "");
    ck_assert(late_publish(&l, "x", "", "x-deduplication-header=Slost", "lost", "p"));
    late_expect(&l, "q", "lost");
    send("x", "", "b"); /* the oldest went, also after the crash */
    late_expect(&l, "q", "b");
    late_crash(&l);
    late_advance(&l, 1000);
    send("x", "", "d");
    late_expect(&l, "q", "d");
    late_delete_exchange(&l, "x");
    late_run(&l);
    ck_assert_uint_eq(lev_store_mem_ids(l.store), 0);
    exchange("x-cache-size=I3");
    send("x", "", "d");
    late_expect(&l, "q", "d");
}
END_TEST

/* Without a size, what has expired does not pile up behind what has not. */
START_TEST(test_sweep)
{
    ck_assert_int_eq(
        late_exchange(&l, "f", "fanout", "d", "x-message-deduplication=t1 x-cache-ttl=I10"), 0);
    late_bind(&l, "f", "q:q", "");
    ck_assert(
        late_publish(&l, "f", "", "x-deduplication-header=Sold x-cache-ttl=I1000000", "m", ""));
    for (int i = 0; i < 5000; i++) {
        char id[50];
        snprintf(id, sizeof(id), "x-deduplication-header=I%d", i);
        late_publish_only(&l, "f", "", id, "m", "");
        if (i % 10 == 9)
            late_advance(&l, 10);
    }
    late_run(&l);
    ck_assert_uint_le(lev_store_mem_ids(l.store), 1100);
    ck_assert(late_publish(&l, "f", "", "x-deduplication-header=Sold", "m", ""));
    ck_assert_uint_eq(late_ready(&l, "q"), 5001);
}
END_TEST

/* ---- Queues: until the message has left ---- */

START_TEST(test_until_gone)
{
    late_queue(&l, "u", "d", "x-message-deduplication=t1");
    send("", "u", "aab");
    ck_assert_uint_eq(late_ready(&l, "u"), 2);
    struct late_held h = late_take(&l, "u");
    send("", "u", "a"); /* unacknowledged is not gone */
    ck_assert_uint_eq(late_ready(&l, "u"), 1);
    late_settle(&l, &h);
    send("", "u", "aa");
    late_expect(&l, "u", "b a");
    ck_assert_uint_eq(lev_store_mem_ids(l.store), 0);
}
END_TEST

START_TEST(test_ways_out)
{
    late_queue(&l, "u", "d",
               "x-message-deduplication=t1 x-max-length=I2 x-message-ttl=I100 "
               "x-dead-letter-exchange=S x-dead-letter-routing-key=Sq");
    send("", "u", "abc"); /* a is dropped at the head */
    send("", "u", "ab");  /* and may come again, dropping b, which may come again */
    late_expect(&l, "u", "a b");
    send("", "u", "de");
    late_advance(&l, 100); /* both expire */
    send("", "u", "de");
    ck_assert_uint_eq(late_ready(&l, "u"), 2);
    late_run(&l);
    late_expect(&l, "q", "a b c d e");
    lev_vhost_lock(l.v);
    lev_queue_purge(late_find(&l, "u"));
    lev_vhost_end_run(l.v);
    lev_vhost_unlock(l.v);
    send("", "u", "dd");
    late_expect(&l, "u", "d");
    ck_assert_uint_eq(lev_store_mem_ids(l.store), 0);
}
END_TEST

/* A message that was purged while it was held does not free the id of a later one. */
START_TEST(test_not_its_own)
{
    late_queue(&l, "u", "d", "x-message-deduplication=t1");
    send("", "u", "a");
    struct late_held h = late_take(&l, "u");
    lev_vhost_lock(l.v);
    lev_queue_purge(late_find(&l, "u"));
    lev_vhost_end_run(l.v);
    lev_vhost_unlock(l.v);
    send("", "u", "a");
    late_settle(&l, &h);
    send("", "u", "a");
    late_expect(&l, "u", "a");
}
END_TEST

START_TEST(test_queue_crash)
{
    late_queue(&l, "u", "d", "x-message-deduplication=t1 x-max-priority=I3");
    send("", "u", "ab");
    ck_assert(late_publish(&l, "", "u", "x-deduplication-header=St", "t", "")); /* transient */
    send("", "u", "t");
    ck_assert_uint_eq(late_ready(&l, "u"), 3);
    struct late_held h = late_take(&l, "u");
    late_settle(&l, &h); /* a */
    late_crash(&l);
    ck_assert_uint_eq(lev_store_mem_ids(l.store), 1);
    send("", "u", "abt");
    late_expect(&l, "u", "b a t");
    late_crash(&l);
    ck_assert_uint_eq(lev_store_mem_ids(l.store), 0);
    late_expect(&l, "u", "");
}
END_TEST

/* With a window, an id stays when its message goes, and goes with the queue. */
START_TEST(test_queue_window)
{
    late_queue(&l, "w", "d", "x-message-deduplication=t1 x-cache-size=I2");
    send("", "w", "ab");
    late_expect(&l, "w", "a b");
    send("", "w", "ab");
    late_expect(&l, "w", "");
    late_crash(&l);
    send("", "w", "abc");
    late_expect(&l, "w", "c");
    send("", "w", "ba");
    late_expect(&l, "w", "a");
    late_delete_queue(&l, "w");
    late_run(&l);
    ck_assert_uint_eq(lev_store_mem_ids(l.store), 0);
}
END_TEST

/* A queue that refuses a message does not remember it. */
START_TEST(test_queue_refuses)
{
    late_queue(&l, "w", "d",
               "x-message-deduplication=t1 x-cache-size=I9 x-max-length=I1 "
               "x-overflow=Sreject-publish");
    send("", "w", "ab");
    ck_assert(l.nacked);
    send("", "w", "a"); /* a duplicate is confirmed, not refused */
    ck_assert(!l.nacked);
    late_expect(&l, "w", "a");
    send("", "w", "b");
    late_expect(&l, "w", "b");
}
END_TEST

/* ---- With delays ---- */

/* Seen when it is published, not again when it is due. */
START_TEST(test_delayed)
{
    static const char *const arguments[] = {
        "x-delayed-type=Sfanout x-message-deduplication=t1",
        "x-delayed-type=Sx-message-deduplication x-cache-size=I10",
    };
    ck_assert_int_eq(late_exchange(&l, "d", "x-delayed-message", "d", arguments[_i]), 0);
    late_bind(&l, "d", "q:q", "");
    for (int i = 0; i < 2; i++)
        ck_assert(late_publish(&l, "d", "", "x-deduplication-header=S1 x-delay=I50", "m", "p"));
    late_crash(&l);
    late_advance(&l, 50);
    late_expect(&l, "q", "m");
    ck_assert(late_publish(&l, "d", "", "x-deduplication-header=S1 x-delay=I50", "m", "p"));
    late_advance(&l, 50);
    late_expect(&l, "q", "");
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("broker_dedup");
    TCase *t = tcase_create("core");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_arguments);
    tcase_add_test(t, test_size);
    tcase_add_test(t, test_ttl);
    tcase_add_test(t, test_values);
    tcase_add_test(t, test_any_type);
    tcase_add_test(t, test_mandatory);
    tcase_add_test(t, test_confirm_waits);
    tcase_add_test(t, test_forgotten);
    tcase_add_test(t, test_exchange_crash);
    tcase_add_test(t, test_sweep);
    tcase_add_test(t, test_until_gone);
    tcase_add_test(t, test_ways_out);
    tcase_add_test(t, test_not_its_own);
    tcase_add_test(t, test_queue_crash);
    tcase_add_test(t, test_queue_window);
    tcase_add_test(t, test_queue_refuses);
    tcase_add_loop_test(t, test_delayed, 0, 2);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    SRunner *r = srunner_create(suite());
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
