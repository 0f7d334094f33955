/* Queues: order, dispatch, consumers, and what happens to messages that come back. */
#include "stage.h"

#include <check.h>

static struct stage st;
static struct peer *a, *b;

static void setup(void)
{
    stage_init(&st, NULL);
    a = stage_peer(&st, 0);
    b = stage_peer(&st, 1);
    peer_declare(a, "q", "d");
}

static void teardown(void)
{
    stage_deinit(&st);
}

/* --- order and turns --- */

START_TEST(fifo)
{
    peer_send(a, "q", "abc", "p");
    peer_send(a, "q", "de", "");
    ck_assert_uint_eq(stage_ready(&st, "q"), 5);
    ck_assert_int_eq(peer_consume(b, 1, "q", "c", "", 0), 0);
    peer_expect(b, "c:1=a c:2=b c:3=c c:4=d c:5=e");
    peer_send(a, "q", "f", "");
    peer_expect(b, "c:6=f");
    ck_assert_uint_eq(stage_ready(&st, "q"), 0);
    ck_assert_uint_eq(stage_unacked(&st, "q"), 6);
}
END_TEST

/* A channel remembers the queue it published to last. */
START_TEST(the_same_name_is_the_same_queue)
{
    peer_send(a, "q", "ab", "");
    peer_declare(a, "r", "");
    peer_fanout(a, "fan");
    peer_bind(a, "fan", "r");
    peer_send(a, "q", "c", "");
    peer_publish(a, 1, "", "r", "d", "");
    peer_publish(a, 1, "fan", "r", "e", "");
    peer_publish(a, 1, "", "q", "f", "");
    peer_publish(a, 1, "fan", "q", "g", "");
    ck_assert_uint_eq(stage_ready(&st, "q"), 4);
    ck_assert_uint_eq(stage_ready(&st, "r"), 3);
    peer_send(a, "q", "h", "");
    peer_delete(a, "q", "");
    peer_publish(a, 1, "", "q", "i", "m");
    peer_expect(a, "return=i");
    peer_declare(a, "q", "d");
    peer_send(a, "q", "jk", "m");
    ck_assert_uint_eq(stage_ready(&st, "q"), 2);
    peer_tx_select(a, 1);
    peer_send(a, "q", "l", "m");
    ck_assert_uint_eq(stage_ready(&st, "q"), 2); /* waits for the commit */
    peer_expect(a, "");
}
END_TEST

START_TEST(consumers_take_turns)
{
    peer_consume(b, 1, "q", "x", "", 0);
    peer_consume(b, 2, "q", "y", "", 0);
    peer_consume(a, 3, "q", "z", "", 0);
    peer_send(a, "q", "abcdefg", "");
    peer_expect(b, "x:1=a 2/y:1=b x:2=d 2/y:2=e x:3=g");
    peer_expect(a, "3/z:1=c 3/z:2=f");
}
END_TEST

START_TEST(turns_over_a_backlog)
{
    peer_send(a, "q", "abcdef", "");
    stage_hold(&st);
    peer_consume(b, 1, "q", "x", "", 0);
    peer_consume(a, 2, "q", "y", "", 0);
    stage_release(&st);
    peer_expect(b, "x:1=a x:2=c x:3=e");
    peer_expect(a, "2/y:1=b 2/y:2=d 2/y:3=f");
}
END_TEST

START_TEST(priority_goes_first)
{
    peer_qos(b, 1, 2, false);
    peer_consume(a, 1, "q", "low", "", 0);
    peer_consume(b, 1, "q", "high", "", 10);
    peer_consume(b, 1, "q", "high2", "", 10);
    peer_consume(a, 2, "q", "neg", "", -1);
    peer_send(a, "q", "abcdef", "");
    peer_expect(b, "high:1=a high2:2=b high:3=c high2:4=d");
    peer_expect(a, "low:1=e low:2=f");
    peer_ack(b, 1, 3);
    peer_send(a, "q", "gh", "");
    peer_expect(b, "high:5=g");
    peer_expect(a, "low:3=h");
}
END_TEST

/* --- windows of consumers and channels --- */

START_TEST(prefetch_of_each_consumer)
{
    peer_qos(b, 1, 2, false);
    peer_consume(b, 1, "q", "x", "", 0);
    peer_qos(b, 1, 1, false); /* for consumers to come */
    peer_consume(b, 1, "q", "y", "", 0);
    peer_send(a, "q", "abcdef", "");
    peer_expect(b, "x:1=a y:2=b x:3=c");
    peer_ack(b, 1, 2);
    peer_expect(b, "y:4=d");
    peer_settle(b, 1, 0, true, LEV_SETTLE_ACK);
    ck_assert_uint_eq(stage_ready(&st, "q"), 0);
    peer_expect(b, "x:5=e y:6=f");
}
END_TEST

START_TEST(prefetch_of_the_channel)
{
    peer_declare(a, "r", "");
    peer_qos(b, 1, 2, true);
    peer_consume(b, 1, "q", "x", "", 0);
    peer_consume(b, 1, "r", "y", "", 0);
    peer_send(a, "q", "abc", "");
    peer_send(a, "r", "de", "");
    peer_expect(b, "x:1=a x:2=b");
    peer_ack(b, 1, 1);
    peer_expect(b, "x:3=c");
    peer_settle(b, 1, 3, true, LEV_SETTLE_ACK);
    peer_expect(b, "y:4=d y:5=e");
}
END_TEST

START_TEST(channel_prefetch_changes)
{
    peer_consume(b, 1, "q", "x", "", 0);
    peer_send(a, "q", "abcd", "");
    peer_expect(b, "x:1=a x:2=b x:3=c x:4=d");
    peer_qos(b, 1, 2, true);
    peer_send(a, "q", "efgh", "");
    peer_ack(b, 1, 1);
    peer_ack(b, 1, 2);
    peer_expect(b, "");
    peer_ack(b, 1, 3);
    peer_expect(b, "x:5=e");
    peer_qos(b, 1, 3, true);
    peer_expect(b, "x:6=f");
    peer_qos(b, 1, 0, true);
    peer_expect(b, "x:7=g x:8=h");
}
END_TEST

START_TEST(get_and_no_ack_know_no_window)
{
    peer_qos(b, 1, 1, false);
    peer_qos(b, 1, 1, true);
    peer_consume(b, 1, "q", "n", "n", 0);
    peer_send(a, "q", "abc", "p");
    peer_expect(b, "n:1=a n:2=b n:3=c");
    peer_cancel(b, 1, "n");
    peer_send(a, "q", "def", "p");
    peer_get(b, 1, "q", false);
    peer_get(b, 1, "q", false);
    peer_get(b, 1, "q", true);
    peer_get(b, 1, "q", false);
    peer_expect(b, "get:4=d,2 get:5=e,1 get:6=f,0 empty");
    ck_assert_uint_eq(stage_unacked(&st, "q"), 2);
    peer_send(a, "q", "g", "");
    peer_consume(b, 1, "q", "x", "", 0); /* what get took is outside the windows */
    peer_expect(b, "x:7=g");
    ck_assert_int_eq(peer_ack(b, 1, 6), -1);
    ck_assert_uint_eq(b->err.code, LEV_PRECONDITION_FAILED);
    ck_assert_str_eq(b->err.text, "unknown delivery tag 6");
}
END_TEST

START_TEST(a_peer_that_does_not_read_is_parked)
{
    st.pad = 300 * 1024;
    b->stalled = true;
    peer_consume(b, 1, "q", "x", "n", 0);
    peer_consume(a, 1, "q", "y", "n", 0);
    peer_send(a, "q", "abcdefghij", "");
    peer_expect(b, "x:1=a x:2=c x:3=e x:4=g");
    ck_assert_uint_eq(stage_ready(&st, "q"), 2);
    peer_expect(a, "y:1=b y:2=d y:3=f y:4=h y:5=i y:6=j"); /* reads, and so gets the rest */
    peer_send(a, "q", "k", "");
    peer_expect(b, "");
    peer_expect(a, "y:7=k");
    peer_unstall(b);
    peer_send(a, "q", "lm", "");
    peer_expect(a, "y:8=l");
    peer_expect(b, "x:5=m");
}
END_TEST

START_TEST(an_unparked_peer_gets_the_backlog)
{
    st.pad = 600 * 1024;
    b->stalled = true;
    peer_consume(b, 1, "q", "x", "", 0);
    peer_send(a, "q", "abcd", "");
    peer_expect(b, "x:1=a x:2=b");
    ck_assert_uint_eq(stage_ready(&st, "q"), 2);
    peer_unstall(b);
    peer_expect(b, "x:3=c x:4=d");
}
END_TEST

/* --- messages that come back --- */

START_TEST(requeue_returns_to_its_place)
{
    peer_qos(b, 1, 3, false);
    peer_send(a, "q", "abcde", "p");
    peer_consume(b, 1, "q", "x", "", 0);
    peer_expect(b, "x:1=a x:2=b x:3=c");
    peer_cancel(b, 1, "x");
    peer_requeue(b, 1, 2);
    peer_requeue(b, 1, 1);
    for (int i = 0; i < 4; i++)
        peer_get(b, 1, "q", true);
    peer_expect(b, "get:4=a,3! get:5=b,2! get:6=d,1 get:7=e,0");
    peer_requeue(b, 1, 3);
    peer_get(b, 1, "q", false);
    peer_expect(b, "get:8=c,0!");
}
END_TEST

START_TEST(requeue_goes_round)
{
    peer_consume(b, 1, "q", "x", "", 0);
    peer_send(a, "q", "a", "");
    peer_requeue(b, 1, 1);
    peer_expect(b, "x:1=a x:2=a!");
    peer_consume(a, 2, "q", "y", "", 0);
    peer_requeue(b, 1, 2);
    peer_expect(b, "x:3=a!");
    peer_requeue(b, 1, 3);
    peer_expect(b, "");
    peer_expect(a, "2/y:1=a!");
}
END_TEST

START_TEST(requeue_of_many)
{
    peer_declare(a, "r", "");
    peer_qos(b, 1, 6, true);
    peer_consume(b, 1, "q", "x", "", 0);
    peer_consume(b, 1, "r", "y", "", 0);
    peer_send(a, "q", "a", "p");
    peer_send(a, "r", "A", "");
    peer_send(a, "q", "bc", "");
    peer_send(a, "r", "BC", "p");
    peer_send(a, "q", "d", "");
    peer_send(a, "r", "D", "");
    peer_expect(b, "x:1=a y:2=A x:3=b x:4=c y:5=B y:6=C");
    peer_cancel(b, 1, "x");
    peer_cancel(b, 1, "y");
    peer_settle(b, 1, 5, true, LEV_SETTLE_REQUEUE);
    for (int i = 0; i < 4; i++)
        peer_get(b, 1, "q", true);
    for (int i = 0; i < 3; i++)
        peer_get(b, 1, "r", true);
    peer_expect(b,
                "get:7=a,3! get:8=b,2! get:9=c,1! get:10=d,0 get:11=A,2! get:12=B,1! get:13=D,0");
    peer_settle(b, 1, 0, true, LEV_SETTLE_REQUEUE);
    peer_get(b, 1, "r", true);
    peer_expect(b, "get:14=C,0!");
}
END_TEST

START_TEST(channel_close_requeues)
{
    peer_send(a, "q", "abcdef", "p");
    peer_qos(b, 1, 2, false);
    peer_qos(b, 2, 2, false);
    peer_consume(b, 1, "q", "x", "", 0);
    peer_consume(b, 2, "q", "y", "", 0);
    peer_expect(b, "x:1=a x:2=b 2/y:1=c 2/y:2=d");
    peer_ack(b, 2, 1);
    peer_expect(b, "2/y:3=e");
    peer_close_channel(b, 1);
    peer_expect(b, "");
    ck_assert_uint_eq(stage_ready(&st, "q"), 3);
    peer_close(b);
    for (int i = 0; i < 6; i++)
        peer_get(a, 1, "q", true);
    peer_expect(a, "get:1=a,4! get:2=b,3! get:3=d,2! get:4=e,1! get:5=f,0 empty");
}
END_TEST

START_TEST(recover)
{
    peer_send(a, "q", "abc", "");
    peer_consume(b, 1, "q", "x", "", 0);
    peer_get(b, 2, "q", true);
    peer_ack(b, 1, 2);
    peer_recover(b, 1);
    peer_expect(b, "x:1=a x:2=b x:3=c 2/empty x:4=a! x:5=c!");
    peer_ack(b, 1, 4);
    ck_assert_int_eq(peer_ack(b, 1, 1), -1);
    ck_assert_uint_eq(stage_unacked(&st, "q"), 1);
}
END_TEST

START_TEST(reject_drops)
{
    peer_send(a, "q", "ab", "p");
    stage_run(&st);
    ck_assert_uint_eq(stage_rows(&st, "q"), 2);
    peer_get(b, 1, "q", false);
    peer_settle(b, 1, 1, false, LEV_SETTLE_REJECT);
    stage_run(&st);
    ck_assert_uint_eq(stage_rows(&st, "q"), 1);
    ck_assert_uint_eq(stage_unacked(&st, "q"), 0);
    peer_get(b, 1, "q", false);
    peer_settle(b, 1, 2, true, LEV_SETTLE_REJECT);
    stage_run(&st);
    ck_assert_uint_eq(stage_rows(&st, "q"), 0);
}
END_TEST

/* --- purge and delete --- */

START_TEST(purge_leaves_the_unacked)
{
    peer_send(a, "q", "abc", "p");
    stage_run(&st);
    peer_get(b, 1, "q", false);
    peer_get(b, 1, "q", false);
    peer_requeue(b, 1, 1);
    peer_send(a, "q", "de", "p");
    peer_send(a, "q", "f", "");
    ck_assert_int_eq((int)peer_purge(a, "q"), 5);
    ck_assert_int_eq((int)peer_purge(a, "q"), 0);
    stage_run(&st);
    ck_assert_uint_eq(stage_rows(&st, "q"), 1);
    peer_expect(b, "get:1=a,2 get:2=b,1");
    peer_requeue(b, 1, 2);
    peer_get(b, 1, "q", false);
    peer_get(b, 1, "q", false);
    peer_expect(b, "get:3=b,0! empty");
    peer_ack(b, 1, 3);
    stage_run(&st);
    ck_assert_uint_eq(stage_rows(&st, "q"), 0);
}
END_TEST

START_TEST(delete_with_unacked)
{
    peer_send(a, "q", "abc", "p");
    peer_get(b, 1, "q", false);
    peer_get(b, 1, "q", false);
    peer_consume(a, 1, "q", "x", "", 0);
    stage_run(&st);
    uint32_t id = stage_queue(&st, "q")->id;
    ck_assert_int_eq((int)peer_delete(b, "q", ""), 0);
    ck_assert_ptr_null(stage_queue(&st, "q"));
    peer_expect(a, "x:1=c cancel:x");
    peer_expect(b, "get:1=a,2 get:2=b,1");
    ck_assert_int_eq(peer_ack(b, 1, 1), 0);
    ck_assert_int_eq(peer_requeue(b, 1, 2), 0);
    ck_assert_int_eq(peer_ack(a, 1, 1), 0);
    stage_run(&st);
    ck_assert(lev_store_mem_queue_id_free(st.store, id));
    peer_declare(a, "q", "d");
    ck_assert_uint_ne(stage_queue(&st, "q")->id, id);
    ck_assert_uint_eq(stage_ready(&st, "q"), 0);
}
END_TEST

START_TEST(delete_conditions)
{
    peer_send(a, "q", "a", "");
    ck_assert_int_eq((int)peer_delete(a, "q", "e"), -1);
    ck_assert_str_eq(a->err.text, "queue 'q' in vhost '/' not empty");
    peer_consume(b, 1, "q", "x", "", 0);
    ck_assert_int_eq((int)peer_delete(a, "q", "u"), -1);
    ck_assert_str_eq(a->err.text, "queue 'q' in vhost '/' in use");
    ck_assert_uint_eq(a->err.code, LEV_PRECONDITION_FAILED);
    peer_cancel(b, 1, "x");
    ck_assert_int_eq((int)peer_delete(a, "q", "ue"), 0);
    ck_assert_int_eq((int)peer_delete(a, "q", "ue"), 0);
    peer_expect(b, "x:1=a");
}
END_TEST

START_TEST(auto_delete_with_the_last_consumer)
{
    peer_declare(a, "t", "a");
    peer_send(a, "t", "abc", "");
    peer_get(b, 2, "t", false);
    ck_assert_uint_eq(stage_ready(&st, "t"), 2);
    peer_qos(b, 1, 1, false);
    peer_consume(b, 1, "t", "x", "", 0);
    peer_consume(b, 1, "t", "y", "", 0);
    peer_cancel(b, 1, "x");
    ck_assert_ptr_nonnull(stage_queue(&st, "t"));
    peer_close_channel(b, 1);
    ck_assert_ptr_null(stage_queue(&st, "t"));
    peer_expect(b, "2/get:1=a,2 x:1=b y:2=c");
    ck_assert_int_eq(peer_requeue(b, 2, 1), 0);
}
END_TEST

START_TEST(exclusive_queue_ends_with_its_owner)
{
    peer_declare(a, "t", "dx");
    ck_assert(!stage_queue(&st, "t")->dest.durable);
    ck_assert_int_eq(peer_get(b, 1, "t", true), -1);
    ck_assert_uint_eq(b->err.code, LEV_RESOURCE_LOCKED);
    ck_assert_int_eq((int)peer_purge(b, "t"), -1);
    ck_assert_int_eq((int)peer_delete(b, "t", ""), -1);
    ck_assert_int_eq(peer_consume(b, 1, "t", "x", "", 0), -1);
    peer_consume(a, 1, "t", "x", "", 0);
    peer_send(b, "t", "a", "p");
    peer_expect(a, "x:1=a");
    peer_close(a);
    ck_assert_ptr_null(stage_queue(&st, "t"));
}
END_TEST

START_TEST(exclusive_consumer)
{
    peer_consume(b, 1, "q", "x", "x", 0);
    ck_assert_int_eq(peer_consume(a, 1, "q", "y", "", 0), -1);
    ck_assert_uint_eq(a->err.code, LEV_ACCESS_REFUSED);
    ck_assert_str_eq(a->err.text, "queue 'q' in vhost '/' in exclusive use");
    peer_cancel(b, 1, "x");
    ck_assert_int_eq(peer_consume(a, 1, "q", "y", "", 0), 0);
    ck_assert_int_eq(peer_consume(b, 1, "q", "x", "x", 0), -1);
}
END_TEST

/* --- consumers come and go --- */

START_TEST(cancel_leaves_the_unacked)
{
    peer_qos(b, 1, 2, false);
    peer_consume(b, 1, "q", "x", "", 0);
    peer_send(a, "q", "abcd", "");
    peer_cancel(b, 1, "x");
    peer_expect(b, "x:1=a x:2=b");
    ck_assert_uint_eq(stage_unacked(&st, "q"), 2);
    ck_assert_int_eq(peer_ack(b, 1, 1), 0);
    peer_consume(b, 1, "q", "x", "", 0); /* the tag is free, the window new */
    peer_expect(b, "x:3=c x:4=d");
    peer_requeue(b, 1, 2);
    peer_expect(b, "");
    peer_ack(b, 1, 3);
    peer_expect(b, "x:5=b!");
}
END_TEST

START_TEST(cancelled_consumers_deliveries_fill_the_channels_window)
{
    peer_qos(b, 1, 2, true);
    peer_consume(b, 1, "q", "x", "", 0);
    peer_send(a, "q", "abcd", "");
    peer_cancel(b, 1, "x");
    peer_consume(b, 1, "q", "y", "", 0);
    peer_expect(b, "x:1=a x:2=b");
    peer_ack(b, 1, 1);
    peer_expect(b, "y:3=c");
}
END_TEST

START_TEST(tags_are_the_channels)
{
    peer_consume(b, 1, "q", "x", "", 0);
    ck_assert_int_eq(peer_consume(b, 1, "q", "x", "", 0), -1);
    ck_assert_uint_eq(b->err.code, LEV_NOT_ALLOWED);
    ck_assert_str_eq(b->err.text, "attempt to reuse consumer tag 'x'");
    ck_assert_int_eq(peer_consume(b, 2, "q", "x", "", 0), 0);
    ck_assert_int_eq(peer_consume(b, 2, "none", "y", "", 0), -1);
    ck_assert_uint_eq(b->err.code, LEV_NOT_FOUND);
}
END_TEST

START_TEST(a_long_backlog_goes_out_in_one_run)
{
    struct lev_vhost_stats vs;
    for (int i = 0; i < 20000; i++)
        peer_publish(a, 1, "", "q", "m", "");
    lev_vhost_stats(st.v, &vs);
    ck_assert_uint_eq(vs.ready, 20000);
    peer_consume(b, 1, "q", "x", "n", 0);
    for (int i = 0; i < 10; i++)
        peer_drain(b);
    stage_check(&st);
    size_t n = 0;
    for (size_t i = 0; i < b->n_events; i++)
        n += b->events[i].kind == LEV_OUT_DELIVER && b->events[i].tag == n + 1;
    ck_assert_uint_eq(n, 20000);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("broker_queue");
    TCase *tc = tcase_create("order");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, fifo);
    tcase_add_test(tc, the_same_name_is_the_same_queue);
    tcase_add_test(tc, consumers_take_turns);
    tcase_add_test(tc, turns_over_a_backlog);
    tcase_add_test(tc, priority_goes_first);
    tcase_add_test(tc, prefetch_of_each_consumer);
    tcase_add_test(tc, prefetch_of_the_channel);
    tcase_add_test(tc, channel_prefetch_changes);
    tcase_add_test(tc, get_and_no_ack_know_no_window);
    tcase_add_test(tc, a_peer_that_does_not_read_is_parked);
    tcase_add_test(tc, an_unparked_peer_gets_the_backlog);
    tcase_add_test(tc, a_long_backlog_goes_out_in_one_run);
    suite_add_tcase(s, tc);
    tc = tcase_create("back");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, requeue_returns_to_its_place);
    tcase_add_test(tc, requeue_goes_round);
    tcase_add_test(tc, requeue_of_many);
    tcase_add_test(tc, channel_close_requeues);
    tcase_add_test(tc, recover);
    tcase_add_test(tc, reject_drops);
    suite_add_tcase(s, tc);
    tc = tcase_create("ends");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, purge_leaves_the_unacked);
    tcase_add_test(tc, delete_with_unacked);
    tcase_add_test(tc, delete_conditions);
    tcase_add_test(tc, auto_delete_with_the_last_consumer);
    tcase_add_test(tc, exclusive_queue_ends_with_its_owner);
    tcase_add_test(tc, exclusive_consumer);
    tcase_add_test(tc, cancel_leaves_the_unacked);
    tcase_add_test(tc, cancelled_consumers_deliveries_fill_the_channels_window);
    tcase_add_test(tc, tags_are_the_channels);
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
