/* Publisher confirms: when they may leave, and how they are put together. */
#include "args.h"
#include "stage.h"

#include <check.h>

#include "base/err.h"

#define TO_Q "x-dead-letter-exchange=S x-dead-letter-routing-key=Sq"

static struct stage st;
static struct peer *a, *b;

static void setup(void)
{
    stage_init(&st, NULL);
    a = stage_peer(&st, 0);
    b = stage_peer(&st, 1);
    peer_declare(a, "q", "d");
    peer_declare(a, "t", "");
    peer_confirm_select(a, 1);
    stage_run(&st);
}

static void teardown(void)
{
    stage_deinit(&st);
}

START_TEST(at_once_when_nothing_is_stored)
{
    peer_send(a, "q", "a", "");
    peer_expect(a, "ok1");
    peer_send(a, "t", "b", "p");
    peer_expect(a, "ok2");
    peer_send(a, "none", "c", "p");
    peer_expect(a, "ok3");
    peer_send(a, "none", "d", "pm");
    peer_expect(a, "return=d ok4");
    ck_assert_uint_eq(lev_store_mem_commits(st.store), 1);
}
END_TEST

START_TEST(a_run_is_one_confirm)
{
    stage_hold(&st);
    peer_send(a, "t", "abc", "");
    stage_release(&st);
    peer_expect(a, "ok3+");
    stage_hold(&st);
    peer_send(a, "t", "d", "");
    stage_release(&st);
    peer_expect(a, "ok4");
}
END_TEST

START_TEST(never_before_stable_storage)
{
    peer_send(a, "q", "abc", "p");
    peer_expect(a, "");
    ck_assert(lev_store_mem_woken(st.store));
    lev_store_mem_run_reader(st.store);
    peer_expect(a, "");
    lev_store_mem_run_writer(st.store);
    peer_expect(a, "ok3+");
    ck_assert_uint_eq(stage_rows(&st, "q"), 3);
    peer_send(a, "q", "d", "p");
    stage_run(&st);
    peer_expect(a, "ok4");
}
END_TEST

START_TEST(later_ones_wait_for_earlier_ones)
{
    peer_send(a, "t", "a", "");
    peer_send(a, "q", "b", "p");
    peer_send(a, "t", "c", "");
    peer_send(a, "t", "d", "");
    peer_expect(a, "ok1");
    stage_run(&st);
    peer_expect(a, "ok4+");
}
END_TEST

START_TEST(every_queue_must_have_it)
{
    peer_fanout(a, "fx");
    peer_declare(a, "r", "d");
    peer_bind(a, "fx", "t");
    peer_bind(a, "fx", "q");
    peer_bind(a, "fx", "r");
    peer_publish(a, 1, "fx", "", "a", "p");
    peer_expect(a, "");
    stage_run(&st);
    peer_expect(a, "ok1");
    ck_assert_uint_eq(stage_rows(&st, "q") + stage_rows(&st, "r"), 2);
    peer_publish(a, 1, "fx", "", "b", "");
    peer_expect(a, "ok2");
}
END_TEST

START_TEST(consumed_and_acknowledged_is_as_good)
{
    peer_consume(b, 1, "q", "x", "", 0);
    stage_run(&st);
    uint64_t commits = lev_store_mem_commits(st.store);
    for (uint64_t i = 1; i <= 3; i++) {
        peer_send(a, "q", "a", "p");
        peer_ack(b, 1, i);
    }
    peer_expect(a, "ok1 ok2 ok3");
    stage_run(&st);
    peer_expect(b, "x:1=a x:2=a x:3=a");
    ck_assert_uint_le(lev_store_mem_commits(st.store), commits + 1); /* the queue's row at most */
    commits = lev_store_mem_commits(st.store);
    peer_send(a, "q", "b", "p");
    peer_settle(b, 1, 0, true, LEV_SETTLE_ACK);
    peer_expect(a, "ok4");
    stage_run(&st);
    ck_assert_uint_eq(lev_store_mem_commits(st.store), commits); /* not even that */
    ck_assert_uint_eq(stage_rows(&st, "q"), 0);
}
END_TEST

/* Five messages in the open batch, with b, to be acknowledged by tags 1 to 5. */
static void five_unwritten(void)
{
    peer_consume(b, 1, "q", "x", "", 0);
    stage_run(&st);
    peer_send(a, "q", "abcde", "p");
    peer_expect(a, "");
}

START_TEST(only_as_far_as_all_are_consumed)
{
    five_unwritten();
    peer_ack(b, 1, 2);
    peer_ack(b, 1, 3);
    peer_expect(a, "");
    stage_hold(&st);
    peer_ack(b, 1, 1);
    peer_ack(b, 1, 5);
    stage_release(&st);
    peer_expect(a, ""); /* few, and more to come: not worth a frame */
    peer_ack(b, 1, 4);
    peer_expect(a, "ok5+");
    peer_send(a, "q", "f", "p");
    stage_run(&st);
    peer_expect(a, "ok6");
    peer_forget_events(b);
}
END_TEST

START_TEST(many_do_not_wait_for_the_last)
{
    char bodies[201] = "";
    memset(bodies, 'x', sizeof(bodies) - 1);
    peer_consume(b, 1, "q", "x", "", 0);
    stage_run(&st);
    peer_send(a, "q", bodies, "p");
    peer_settle(b, 1, 150, true, LEV_SETTLE_ACK);
    peer_expect(a, "ok150+");
    peer_settle(b, 1, 190, true, LEV_SETTLE_ACK);
    peer_expect(a, "");
    stage_run(&st);
    peer_expect(a, "ok200+");
    ck_assert_uint_eq(stage_rows(&st, "q"), 10);
    peer_forget_events(b);
}
END_TEST

START_TEST(consumed_while_the_batch_ages)
{
    five_unwritten();
    stage_seal(&st);
    peer_expect(a, "");
    peer_send(a, "q", "fg", "p"); /* in the next one */
    peer_settle(b, 1, 5, true, LEV_SETTLE_ACK);
    peer_expect(a, "ok5+");
    peer_settle(b, 1, 6, true, LEV_SETTLE_ACK);
    peer_expect(a, "");
    stage_run(&st);
    peer_expect(a, "ok7+");
    ck_assert_uint_eq(stage_rows(&st, "q"), 1);
    peer_forget_events(b);
}
END_TEST

START_TEST(aged_ones_are_stored_first)
{
    five_unwritten();
    stage_seal(&st);
    peer_send(a, "q", "f", "p");
    peer_settle(b, 1, 3, true, LEV_SETTLE_ACK);
    stage_run(&st);
    peer_expect(a, "ok5+ ok6");
    ck_assert_uint_eq(stage_rows(&st, "q"), 3);
    stage_crash(&st);
    ck_assert_uint_eq(stage_ready(&st, "q"), 3);
}
END_TEST

START_TEST(a_dead_letter_is_not_consumed)
{
    peer_declare_args(a, "source", "d", args(TO_Q));
    peer_consume(b, 1, "source", "x", "", 0);
    for (int aged = 0; aged < 2; aged++) {
        stage_run(&st);
        peer_send(a, "source", "m", "p");
        if (aged)
            stage_seal(&st);
        peer_settle(b, 1, 0, true, LEV_SETTLE_REJECT);
        peer_expect(a, "");
        stage_run(&st);
        peer_expect(a, aged ? "ok2" : "ok1");
    }
    ck_assert_uint_eq(stage_rows(&st, "q"), 2);
    peer_forget_events(b);
}
END_TEST

/* Its end must be in the batch of its copy, whatever batch it is in itself. */
START_TEST(a_crash_finds_a_dead_letter_in_one_place)
{
    peer_declare_args(a, "source", "d", args(TO_Q));
    peer_consume(b, 1, "source", "x", "", 0);
    stage_run(&st);
    peer_send(a, "source", "m", "p");
    stage_seal(&st);
    peer_settle(b, 1, 0, true, LEV_SETTLE_REJECT);
    ck_assert(lev_store_mem_run_batch(st.store)); /* the sealed one */
    stage_crash(&st);
    ck_assert_uint_eq(stage_ready(&st, "source"), 1);
    ck_assert_uint_eq(stage_ready(&st, "q"), 0);
}
END_TEST

START_TEST(consumed_in_a_transaction_is_not_yet)
{
    five_unwritten();
    ck_assert_int_eq(peer_tx_select(b, 2), 0);
    peer_qos(b, 2, 1, false);
    peer_cancel(b, 1, "x");
    peer_consume(b, 2, "q", "y", "", 0);
    for (uint64_t i = 1; i <= 5; i++)
        peer_requeue(b, 1, i);
    peer_ack(b, 2, 1);
    peer_commit(b, 2);
    peer_expect(a, "");
    stage_seal(&st);
    stage_run(&st);
    peer_expect(a, "ok5+");
    ck_assert_uint_eq(stage_rows(&st, "q"), 4);
    peer_forget_events(b);
}
END_TEST

START_TEST(a_transaction_takes_nothing_back_from_an_older_batch)
{
    peer_tx_select(b, 2);
    peer_consume(b, 2, "q", "x", "", 0);
    stage_run(&st);
    peer_send(a, "q", "m", "p");
    stage_seal(&st);
    peer_publish(b, 2, "", "q", "n", "p");
    peer_ack(b, 2, 1);
    peer_commit(b, 2);
    ck_assert(lev_store_mem_run_batch(st.store)); /* the sealed one */
    peer_forget_events(b);
    stage_crash(&st);
    ck_assert_uint_eq(stage_ready(&st, "q"), 1);
    peer_get(stage_peer(&st, 0), 1, "q", true);
    stage_run(&st);
    peer_expect(stage_peer(&st, 0), "get:1=m,0!");
}
END_TEST

START_TEST(definitions_come_first)
{
    peer_consume(b, 1, "q", "x", "", 0);
    peer_declare(a, "new", "d");
    peer_send(a, "q", "a", "p");
    peer_ack(b, 1, 1);
    peer_expect(a, ""); /* a confirm covers what was declared before */
    stage_run(&st);
    peer_expect(a, "ok1");
    peer_forget_events(b);
}
END_TEST

START_TEST(many_channels_take_turns)
{
    for (int i = 2; i <= PEER_CHANNELS; i++)
        peer_confirm_select(a, i);
    peer_consume(b, 1, "q", "x", "", 0);
    stage_run(&st);
    for (int i = 1; i <= PEER_CHANNELS; i++)
        peer_publish(a, i, "", "q", "m", "p");
    peer_expect(a, "");
    peer_ack(b, 1, 2);
    peer_expect(a, "2/ok1");
    peer_settle(b, 1, 0, true, LEV_SETTLE_ACK);
    peer_drain(a);
    peer_forget_events(a);
    stage_run(&st);
    peer_expect(a, ""); /* all had theirs */
    peer_forget_events(b);
}
END_TEST

START_TEST(taken_without_ack_needs_no_store)
{
    peer_consume(b, 1, "q", "x", "n", 0);
    peer_send(a, "q", "ab", "p");
    peer_expect(a, "ok1 ok2");
    peer_expect(b, "x:1=a x:2=b");
}
END_TEST

START_TEST(purged_and_deleted_before_the_write)
{
    peer_send(a, "q", "ab", "p");
    peer_purge(b, "q");
    peer_expect(a, "ok2+");
    peer_send(a, "q", "c", "p");
    peer_delete(b, "q", "");
    stage_run(&st);
    peer_expect(a, "ok3");
}
END_TEST

START_TEST(a_failing_store_confirms_nothing)
{
    ck_assert(!lev_vhost_throttle(st.v, &a->client));
    lev_store_mem_fail(st.store, LEV_EFULL);
    peer_send(a, "q", "ab", "p");
    peer_send(a, "t", "c", "");
    lev_store_mem_run(st.store);
    peer_expect(a, "");
    ck_assert(lev_vhost_throttle(st.v, &a->client));
    peer_confirm_select(b, 1);
    peer_send(b, "t", "x", "");
    peer_expect(b, "ok1"); /* owes nothing to the store */
    ck_assert(!lev_vhost_throttle(st.v, &b->client));
    peer_send(b, "q", "y", "p");
    lev_store_mem_run(st.store);
    peer_expect(b, "");
    ck_assert(!a->told);
    lev_store_mem_fail(st.store, 0);
    stage_run(&st);
    ck_assert(a->told);
    ck_assert(!lev_vhost_throttle(st.v, &a->client));
    peer_expect(a, "ok3+");
    peer_expect(b, "ok2");
    ck_assert_uint_eq(stage_rows(&st, "q"), 3);
}
END_TEST

START_TEST(too_much_unwritten_holds_publishers_back)
{
    st.pad = 8 << 20;
    peer_send(a, "q", "abcdefg", "p");
    ck_assert(!lev_vhost_throttle(st.v, &a->client));
    peer_send(a, "q", "h", "p");
    ck_assert(lev_vhost_throttle(st.v, &a->client));
    peer_send(b, "t", "x", "p");
    ck_assert(!lev_vhost_throttle(st.v, &b->client)); /* others go on */
    st.v->windows.pressure = 1;
    peer_send(b, "t", "x", "p");
    ck_assert(lev_vhost_throttle(st.v, &b->client)); /* not when memory is short */
    ck_assert(!a->told);
    stage_run(&st);
    ck_assert(a->told);
    ck_assert(b->told);
    ck_assert(!lev_vhost_throttle(st.v, &a->client));
    peer_expect(a, "ok8+");
}
END_TEST

/* Until the batch is gone its operations take room, whatever has become of them. */
START_TEST(what_was_taken_back_counts_as_unwritten)
{
    five_unwritten();
    peer_settle(b, 1, 5, true, LEV_SETTLE_ACK);
    peer_expect(a, "ok5+");
    ck_assert_uint_eq(lev_vhost_unwritten(st.v), 5 * sizeof(struct lev_op));
    stage_seal(&st);
    peer_send(a, "q", "f", "p");
    peer_ack(b, 1, 6);
    ck_assert_uint_eq(lev_vhost_unwritten(st.v), 6 * sizeof(struct lev_op));
    peer_forget_events(a);
    peer_forget_events(b);
}
END_TEST

/* A channel remembers so many publishes of a batch, not more; what it forgot waits. */
START_TEST(more_than_are_remembered)
{
    enum { MANY = 1 << 16, EACH = 1 << 10 };
    char bodies[EACH + 1] = "";
    memset(bodies, 'x', EACH);
    peer_consume(b, 1, "q", "x", "", 0);
    stage_run(&st);
    for (int i = 0; i < MANY / EACH; i++) {
        peer_send(a, "q", bodies, "p");
        peer_drain(b);
        peer_forget_events(b);
    }
    peer_send(a, "q", "y", "p");
    peer_settle(b, 1, MANY, true, LEV_SETTLE_ACK);
    peer_expect(a, "ok65536+");
    peer_send(a, "q", "z", "p");
    peer_ack(b, 1, MANY + 2);
    peer_expect(a, ""); /* y is still there */
    ck_assert_uint_le(a->ch[1].early[0].n, MANY);
    stage_run(&st);
    peer_expect(a, "ok65538+");
    ck_assert_uint_eq(stage_rows(&st, "q"), 1);
    peer_forget_events(b);
}
END_TEST

START_TEST(a_closed_channel_hears_no_more)
{
    peer_send(a, "q", "ab", "p");
    peer_close_channel(a, 1);
    stage_run(&st);
    peer_expect(a, "");
    peer_open_channel(a, 1);
    peer_confirm_select(a, 1);
    peer_send(a, "q", "c", "p");
    stage_run(&st);
    peer_expect(a, "ok1");
}
END_TEST

START_TEST(many_batches_are_confirmed_in_order)
{
    lev_store_mem_fail(st.store, LEV_EIO);
    for (int i = 0; i < 20; i++) {
        peer_send(a, "q", "a", "p");
        lev_store_mem_run(st.store);
        peer_send(a, "t", "b", "");
    }
    peer_expect(a, "");
    lev_store_mem_fail(st.store, 0);
    stage_run(&st);
    peer_expect(a, "ok2+ ok40+"); /* the batch in hand, then the rest */
}
END_TEST

START_TEST(not_with_tx)
{
    ck_assert_int_eq(peer_tx_select(a, 1), -1);
    ck_assert_uint_eq(a->err.code, LEV_PRECONDITION_FAILED);
    ck_assert_str_eq(a->err.text, "cannot switch from confirm to tx mode");
    ck_assert_int_eq(peer_tx_select(a, 2), 0);
    ck_assert_int_eq(peer_confirm_select(a, 2), -1);
    ck_assert_str_eq(a->err.text, "cannot switch from tx to confirm mode");
    ck_assert_int_eq(peer_confirm_select(a, 1), 0);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("broker_confirm");
    TCase *tc = tcase_create("confirm");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, at_once_when_nothing_is_stored);
    tcase_add_test(tc, a_run_is_one_confirm);
    tcase_add_test(tc, never_before_stable_storage);
    tcase_add_test(tc, later_ones_wait_for_earlier_ones);
    tcase_add_test(tc, every_queue_must_have_it);
    tcase_add_test(tc, consumed_and_acknowledged_is_as_good);
    tcase_add_test(tc, only_as_far_as_all_are_consumed);
    tcase_add_test(tc, many_do_not_wait_for_the_last);
    tcase_add_test(tc, consumed_while_the_batch_ages);
    tcase_add_test(tc, aged_ones_are_stored_first);
    tcase_add_test(tc, a_dead_letter_is_not_consumed);
    tcase_add_test(tc, a_crash_finds_a_dead_letter_in_one_place);
    tcase_add_test(tc, consumed_in_a_transaction_is_not_yet);
    tcase_add_test(tc, a_transaction_takes_nothing_back_from_an_older_batch);
    tcase_add_test(tc, definitions_come_first);
    tcase_add_test(tc, many_channels_take_turns);
    tcase_add_test(tc, taken_without_ack_needs_no_store);
    tcase_add_test(tc, purged_and_deleted_before_the_write);
    tcase_add_test(tc, a_failing_store_confirms_nothing);
    tcase_add_test(tc, too_much_unwritten_holds_publishers_back);
    tcase_add_test(tc, what_was_taken_back_counts_as_unwritten);
    tcase_add_test(tc, more_than_are_remembered);
    tcase_add_test(tc, a_closed_channel_hears_no_more);
    tcase_add_test(tc, many_batches_are_confirmed_in_order);
    tcase_add_test(tc, not_with_tx);
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
