/* Transactions: nothing before commit, everything after it, also over a crash. */
#include "stage.h"

#include <check.h>

#include "base/err.h"

static struct stage st;
static struct peer *a, *b;

static void open_peers(void)
{
    a = stage_peer(&st, 0);
    b = stage_peer(&st, 1);
    peer_tx_select(a, 1);
}

static void setup(void)
{
    stage_init(&st, NULL);
    open_peers();
    peer_declare(a, "q", "d");
    peer_declare(a, "r", "d");
    peer_declare(a, "t", "");
    stage_run(&st);
}

static void teardown(void)
{
    stage_deinit(&st);
}

START_TEST(publishes_wait_for_commit)
{
    peer_consume(b, 1, "r", "x", "", 0);
    peer_send(a, "q", "ab", "p");
    peer_send(a, "r", "c", "p");
    peer_send(a, "t", "d", "");
    ck_assert_uint_eq(stage_ready(&st, "q") + stage_ready(&st, "t"), 0);
    stage_run(&st);
    peer_expect(b, "");
    peer_commit(a, 1);
    ck_assert_uint_eq(stage_ready(&st, "q"), 2);
    ck_assert_uint_eq(stage_ready(&st, "t"), 1);
    peer_expect(b, "x:1=c");
    peer_expect(a, "");
    stage_run(&st);
    peer_expect(a, "committed");
    ck_assert_uint_eq(stage_rows(&st, "q"), 2);
}
END_TEST

START_TEST(commit_of_nothing_stored_is_at_once)
{
    peer_commit(a, 1);
    peer_expect(a, "committed");
    peer_send(a, "t", "a", "p");
    peer_send(a, "q", "b", "");
    peer_send(a, "none", "c", "p");
    peer_commit(a, 1);
    peer_expect(a, "committed");
    ck_assert_uint_eq(stage_ready(&st, "q") + stage_ready(&st, "t"), 2);
}
END_TEST

START_TEST(rollback_drops_publishes)
{
    peer_send(a, "q", "ab", "p");
    ck_assert_int_eq(peer_rollback(a, 1), 0);
    peer_send(a, "q", "c", "p");
    peer_commit(a, 1);
    stage_run(&st);
    peer_expect(a, "committed");
    peer_get(b, 1, "q", true);
    peer_get(b, 1, "q", true);
    peer_expect(b, "get:1=c,0 empty");
}
END_TEST

START_TEST(acks_wait_for_commit)
{
    peer_send(b, "q", "abc", "p");
    peer_consume(a, 1, "q", "x", "", 0);
    stage_run(&st);
    peer_ack(a, 1, 1);
    peer_settle(a, 1, 2, true, LEV_SETTLE_REJECT);
    ck_assert_int_eq(peer_ack(a, 1, 1), -1); /* once only */
    ck_assert_str_eq(a->err.text, "unknown delivery tag 1");
    stage_run(&st);
    ck_assert_uint_eq(stage_rows(&st, "q"), 3);
    ck_assert_uint_eq(stage_unacked(&st, "q"), 3);
    peer_commit(a, 1);
    peer_expect(a, "x:1=a x:2=b x:3=c");
    stage_run(&st);
    peer_expect(a, "committed");
    ck_assert_uint_eq(stage_rows(&st, "q"), 1);
    ck_assert_uint_eq(stage_unacked(&st, "q"), 1);
}
END_TEST

START_TEST(rollback_gives_tags_back)
{
    peer_send(b, "q", "abc", "p");
    peer_consume(a, 1, "q", "x", "", 0);
    peer_ack(a, 1, 2);
    peer_requeue(a, 1, 1);
    peer_rollback(a, 1);
    ck_assert_uint_eq(stage_unacked(&st, "q"), 3);
    peer_expect(a, "x:1=a x:2=b x:3=c");
    ck_assert_int_eq(peer_ack(a, 1, 1), 0);
    ck_assert_int_eq(peer_settle(a, 1, 3, false, LEV_SETTLE_REQUEUE), 0);
    peer_commit(a, 1);
    stage_run(&st);
    peer_expect(a, "committed x:4=c!");
    ck_assert_int_eq(peer_ack(a, 1, 2), 0);
    peer_commit(a, 1);
}
END_TEST

START_TEST(windows_open_at_commit)
{
    peer_qos(a, 1, 1, false);
    peer_consume(a, 1, "q", "x", "", 0);
    peer_send(b, "q", "ab", "");
    peer_ack(a, 1, 1);
    peer_expect(a, "x:1=a");
    peer_commit(a, 1);
    peer_expect(a, "committed x:2=b");
}
END_TEST

START_TEST(recover_does_not_wait)
{
    peer_send(b, "q", "abc", "");
    for (int i = 0; i < 3; i++)
        peer_get(a, 1, "q", false);
    peer_ack(a, 1, 2);
    peer_recover(a, 1);
    ck_assert_uint_eq(stage_ready(&st, "q"), 2);
    peer_rollback(a, 1);
    ck_assert_int_eq(peer_ack(a, 1, 1), -1);
    ck_assert_int_eq(peer_ack(a, 1, 2), 0);
    peer_expect(a, "get:1=a,2 get:2=b,1 get:3=c,0");
    peer_get(b, 1, "q", true);
    peer_get(b, 1, "q", true);
    peer_expect(b, "get:1=a,1! get:2=c,0!");
}
END_TEST

START_TEST(closing_rolls_back)
{
    peer_send(b, "q", "abc", "p");
    peer_consume(a, 1, "q", "x", "", 0);
    stage_run(&st);
    peer_ack(a, 1, 2);
    peer_send(a, "r", "z", "p");
    peer_close_channel(a, 1);
    peer_expect(a, "x:1=a x:2=b x:3=c");
    stage_run(&st);
    ck_assert_uint_eq(stage_ready(&st, "r"), 0);
    for (int i = 0; i < 3; i++)
        peer_get(b, 1, "q", false);
    peer_expect(b, "get:1=a,2! get:2=b,1! get:3=c,0!");
}
END_TEST

START_TEST(mandatory_returns_at_commit)
{
    peer_publish(a, 1, "", "none", "a", "m");
    peer_publish(a, 1, "", "t", "b", "m");
    peer_publish(a, 1, "", "none", "c", "");
    peer_expect(a, "");
    peer_commit(a, 1);
    peer_expect(a, "return=a committed");
}
END_TEST

START_TEST(a_queue_that_went_meanwhile)
{
    peer_send(b, "q", "a", "p");
    peer_get(a, 1, "q", false);
    peer_ack(a, 1, 1);
    peer_send(a, "q", "b", "p");
    peer_send(a, "r", "c", "p");
    peer_delete(b, "q", "");
    peer_commit(a, 1);
    stage_run(&st);
    peer_expect(a, "get:1=a,0 committed");
    ck_assert_uint_eq(stage_rows(&st, "r"), 1);
}
END_TEST

START_TEST(failing_store_holds_commit_ok)
{
    lev_store_mem_fail(st.store, LEV_EFULL);
    peer_send(a, "q", "a", "p");
    peer_commit(a, 1);
    lev_store_mem_run(st.store);
    peer_expect(a, "");
    lev_store_mem_fail(st.store, 0);
    stage_run(&st);
    peer_expect(a, "committed");
}
END_TEST

START_TEST(closing_while_commit_ok_is_due)
{
    peer_send(a, "q", "a", "p");
    peer_commit(a, 1);
    peer_close_channel(a, 1);
    stage_run(&st);
    peer_expect(a, "");
    ck_assert_uint_eq(stage_rows(&st, "q"), 1);
}
END_TEST

START_TEST(commit_whose_work_was_undone_in_the_same_run)
{
    struct lev_windows w = lev_windows_default;
    w.max = 2;
    w.keep = 1;
    w.tail_max = 0;
    lev_vhost_set_windows(st.v, &w);
    stage_hold(&st);
    peer_send(a, "t", "abcd", ""); /* spills at commit */
    peer_commit(a, 1);
    peer_purge(b, "t");
    stage_release(&st);
    stage_run(&st);
    peer_expect(a, "committed");
}
END_TEST

/* Moves a message from q to r, with company, in one transaction. */
static void move_one(void)
{
    peer_send(b, "q", "ab", "p");
    stage_run(&st);
    peer_get(a, 1, "q", false);
    peer_ack(a, 1, 1);
    peer_send(a, "r", "ac", "p");
    peer_send(a, "q", "d", "p");
}

START_TEST(crash_without_and_with_commit)
{
    move_one();
    if (_i)
        peer_commit(a, 1);
    stage_run(&st);
    stage_crash(&st);
    open_peers();
    ck_assert_uint_eq(stage_ready(&st, "q"), 2);
    ck_assert_uint_eq(stage_ready(&st, "r"), _i ? 2 : 0);
}
END_TEST

START_TEST(crash_with_the_commit_in_the_open_batch)
{
    move_one();
    stage_run(&st);
    lev_store_mem_fail(st.store, _i ? LEV_EIO : 0);
    peer_commit(a, 1);
    if (_i)
        lev_store_mem_run(st.store); /* in the writer's hand */
    stage_crash(&st);
    lev_store_mem_fail(st.store, 0);
    open_peers();
    ck_assert_uint_eq(stage_ready(&st, "r"), 0);
    for (int i = 0; i < 3; i++) {
        peer_get(b, 1, "q", true);
        stage_run(&st);
    }
    peer_expect(b, "get:1=a,1! get:2=b,0 empty");
}
END_TEST

START_TEST(crash_after_commit)
{
    move_one();
    peer_commit(a, 1);
    stage_run(&st);
    peer_expect(a, "get:1=a,1 committed");
    stage_crash(&st);
    open_peers();
    for (int i = 0; i < 3; i++) {
        peer_get(b, 1, "q", true);
        stage_run(&st);
        peer_get(b, 2, "r", true);
        stage_run(&st);
    }
    peer_expect(b, "get:1=b,1 2/get:1=a,1 get:2=d,0 2/get:2=c,0 empty 2/empty");
}
END_TEST

START_TEST(only_on_tx_channels)
{
    ck_assert_int_eq(peer_commit(b, 1), -1);
    ck_assert_uint_eq(b->err.code, LEV_PRECONDITION_FAILED);
    ck_assert_str_eq(b->err.text, "channel is not transactional");
    ck_assert_int_eq(peer_rollback(b, 1), -1);
    ck_assert_int_eq(peer_tx_select(a, 1), 0); /* again is fine */
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("broker_tx");
    TCase *tc = tcase_create("tx");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, publishes_wait_for_commit);
    tcase_add_test(tc, commit_of_nothing_stored_is_at_once);
    tcase_add_test(tc, rollback_drops_publishes);
    tcase_add_test(tc, acks_wait_for_commit);
    tcase_add_test(tc, rollback_gives_tags_back);
    tcase_add_test(tc, windows_open_at_commit);
    tcase_add_test(tc, recover_does_not_wait);
    tcase_add_test(tc, closing_rolls_back);
    tcase_add_test(tc, mandatory_returns_at_commit);
    tcase_add_test(tc, a_queue_that_went_meanwhile);
    tcase_add_test(tc, failing_store_holds_commit_ok);
    tcase_add_test(tc, closing_while_commit_ok_is_due);
    tcase_add_test(tc, commit_whose_work_was_undone_in_the_same_run);
    tcase_add_loop_test(tc, crash_without_and_with_commit, 0, 2);
    tcase_add_loop_test(tc, crash_with_the_commit_in_the_open_batch, 0, 2);
    tcase_add_test(tc, crash_after_commit);
    tcase_add_test(tc, only_on_tx_channels);
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
