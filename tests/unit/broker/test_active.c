/* Single active consumers: whose turn it is. */
#include "args.h"
#include "stage.h"

#include <check.h>

static struct stage st;
static struct peer *a, *b;

static void setup(void)
{
    stage_init(&st, NULL);
    a = stage_peer(&st, 0);
    b = stage_peer(&st, 1);
    ck_assert_int_eq(peer_declare_args(a, "classic", "d", args("x-single-active-consumer=t1")), 0);
    ck_assert_int_eq(peer_declare_args(a, "quorum", "d",
                                       args("x-queue-type=Squorum x-single-active-consumer=t1")),
                     0);
}

static void teardown(void)
{
    stage_deinit(&st);
}

static void consume(struct peer *p, const char *queue, const char *tag, const char *flags,
                    int64_t priority)
{
    ck_assert_int_eq(peer_consume(p, 1, queue, tag, flags, priority), 0);
}

START_TEST(classic_keeps_the_order_of_coming)
{
    consume(a, "classic", "one", "", 0);
    consume(b, "classic", "two", "", -1);
    consume(b, "classic", "three", "", 9);
    peer_send(a, "classic", "a", "");
    peer_expect(a, "one:1=a");
    peer_ack(a, 1, 1);
    peer_send(a, "classic", "b", "");
    peer_expect(a, "one:2=b");
    peer_cancel(a, 1, "one");
    peer_send(a, "classic", "c", "");
    peer_expect(b, "two:1=c");
}
END_TEST

START_TEST(idle_one_is_relieved_at_once)
{
    consume(a, "quorum", "low", "", 0);
    peer_send(a, "quorum", "a", "");
    peer_expect(a, "low:1=a");
    peer_ack(a, 1, 1);
    consume(b, "quorum", "high", "", 1);
    peer_send(a, "quorum", "bc", "");
    peer_expect(b, "high:1=b high:2=c");
    peer_expect(a, "");
}
END_TEST

START_TEST(equals_do_not_take_over)
{
    consume(a, "quorum", "one", "", 2);
    consume(b, "quorum", "two", "", 2);
    consume(b, "quorum", "low", "", 1);
    peer_send(a, "quorum", "a", "");
    peer_expect(a, "one:1=a");
}
END_TEST

/* What was delivered is settled before the next one has its turn; meanwhile nothing is handed out.
 */
START_TEST(busy_one_finishes_first)
{
    consume(a, "quorum", "low", "", 0);
    peer_send(a, "quorum", "ab", "");
    peer_expect(a, "low:1=a low:2=b");
    consume(b, "quorum", "high", "", 1);
    peer_send(a, "quorum", "cd", "");
    peer_expect(a, "");
    peer_expect(b, "");
    peer_ack(a, 1, 1);
    peer_expect(b, "");
    ck_assert_uint_eq(stage_ready(&st, "quorum"), 2);
    peer_requeue(a, 1, 2); /* back to its place */
    peer_expect(a, "");
    peer_expect(b, "high:1=b! high:2=c high:3=d");
}
END_TEST

START_TEST(transaction_settles_at_commit)
{
    consume(a, "quorum", "low", "", 0);
    ck_assert_int_eq(peer_tx_select(a, 1), 0);
    peer_send(b, "quorum", "a", "");
    peer_expect(a, "low:1=a");
    consume(b, "quorum", "high", "", 1);
    peer_ack(a, 1, 1);
    peer_send(b, "quorum", "b", "");
    peer_expect(b, "");
    ck_assert_int_eq(peer_commit(a, 1), 0);
    stage_run(&st);
    peer_expect(b, "high:1=b");
    peer_expect(a, "committed");
}
END_TEST

START_TEST(without_acknowledgement_never_busy)
{
    consume(a, "quorum", "low", "n", 0);
    peer_send(a, "quorum", "a", "");
    peer_expect(a, "low:1=a");
    consume(b, "quorum", "high", "n", 1);
    peer_send(a, "quorum", "b", "");
    peer_expect(b, "high:1=b");
}
END_TEST

START_TEST(keeps_its_turn_when_the_other_leaves)
{
    peer_qos(a, 1, 2, false);
    consume(a, "quorum", "low", "", 0);
    peer_send(a, "quorum", "a", "");
    consume(b, "quorum", "high", "", 1);
    peer_send(a, "quorum", "bc", "");
    peer_expect(a, "low:1=a");
    peer_cancel(b, 1, "high");
    peer_expect(a, "low:2=b");
    peer_ack(a, 1, 1);
    peer_expect(a, "low:3=c");
}
END_TEST

START_TEST(highest_follows_one_that_leaves)
{
    consume(a, "quorum", "first", "", 5);
    peer_send(a, "quorum", "a", "");
    peer_expect(a, "first:1=a");
    consume(b, "quorum", "zero", "", 0);
    consume(b, "quorum", "two", "", 2);
    consume(b, "quorum", "also", "", 2);
    peer_cancel(a, 1, "first"); /* its delivery stays unacknowledged */
    peer_send(a, "quorum", "b", "");
    peer_expect(b, "two:1=b");
    peer_close_channel(a, 1);
    peer_expect(b, "two:2=a!");
}
END_TEST

/* It was relieved, and waits behind those of its priority. */
START_TEST(relieved_one_goes_to_the_back)
{
    consume(a, "quorum", "one", "", 0);
    consume(b, "quorum", "two", "", 0);
    consume(b, "quorum", "high", "", 1);
    peer_cancel(b, 1, "high");
    peer_send(a, "quorum", "a", "");
    peer_expect(b, "two:1=a");
    peer_cancel(b, 1, "two");
    peer_send(a, "quorum", "b", "");
    peer_expect(a, "one:1=b");
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("broker_active");
    TCase *tc = tcase_create("turns");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, classic_keeps_the_order_of_coming);
    tcase_add_test(tc, idle_one_is_relieved_at_once);
    tcase_add_test(tc, equals_do_not_take_over);
    tcase_add_test(tc, busy_one_finishes_first);
    tcase_add_test(tc, transaction_settles_at_commit);
    tcase_add_test(tc, without_acknowledgement_never_busy);
    tcase_add_test(tc, keeps_its_turn_when_the_other_leaves);
    tcase_add_test(tc, highest_follows_one_that_leaves);
    tcase_add_test(tc, relieved_one_goes_to_the_back);
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
