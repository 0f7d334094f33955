/* The store in memory: what tests of the broker rely on. */
#include <check.h>

#include "base/err.h"
#include "feed.h"
#include "store/store_mem.h"

static struct feed f;
static struct lev_store *store;

static void setup(void)
{
    feed_init(&f);
    store = lev_store_mem_new();
    lev_store_mem_start(store, &feed_client, &f);
    f.store = store;
}

static void teardown(void)
{
    lev_store_mem_free(&store);
    feed_deinit(&f);
    ck_assert_int_eq(lev_msg_live(), 0);
}

START_TEST(test_by_hand)
{
    feed_queue(&f, 1, "q");
    feed_enqueue(&f, 1, 0, 10, 0);
    feed_enqueue(&f, 1, 1, 10, 1);
    ck_assert_uint_eq(feed_send(&f), 1);
    ck_assert(lev_store_mem_woken(store));
    ck_assert_uint_eq(f.done_id, 0); /* nothing without a run */
    ck_assert_uint_eq(lev_store_mem_run(store), 1);
    ck_assert(!lev_store_mem_woken(store));
    ck_assert_uint_eq(f.done_id, 1);
    ck_assert_uint_eq(lev_store_mem_commits(store), 1);
    ck_assert_uint_eq(lev_store_mem_rows(store, 1, false), 2);
    ck_assert(!lev_store_mem_queue_id_free(store, 1));
    ck_assert(lev_store_mem_queue_id_free(store, 2));
}
END_TEST

START_TEST(test_failure)
{
    feed_queue(&f, 1, "q");
    feed_enqueue(&f, 1, 0, 10, 0);
    lev_store_mem_fail(store, LEV_EFULL);
    feed_send(&f);
    ck_assert_uint_eq(lev_store_mem_run(store), 0);
    ck_assert_uint_eq(lev_store_mem_run(store), 0);
    ck_assert_int_eq(f.troubles, 1);
    ck_assert_int_eq(f.trouble_rc, LEV_EFULL);
    ck_assert_uint_eq(lev_store_mem_rows(store, 1, false), 0);
    lev_store_mem_fail(store, 0);
    ck_assert_uint_eq(lev_store_mem_run(store), 1);
    ck_assert_int_eq(f.heals, 1);
    ck_assert_uint_eq(f.done_id, 1);
}
END_TEST

START_TEST(test_crash)
{
    struct seen seen = {0};
    f.pump = lev_store_mem_run;
    feed_queue(&f, 1, "q");
    feed_exchange(&f, LEV_OP_EXCHANGE_ADD, "x");
    feed_binding(&f, LEV_OP_BINDING_ADD, "x", "q", "k");
    feed_enqueue(&f, 1, 0, 10, 0);
    feed_enqueue(&f, 1, 1, 10, 1);
    feed_spill(&f, 1, 2, 10, 2);
    feed_commit(&f);
    feed_settle(&f, 1, 0, 10);
    feed_mark(&f, 1, 3, 1);
    feed_commit(&f);
    lev_store_mem_fail(store, LEV_EIO);
    feed_settle(&f, 1, 1, 10);
    feed_send(&f); /* taken, not committed */
    lev_store_mem_crash(store);
    lev_store_mem_fail(store, 0);
    lev_store_mem_recover(store, &seen_recovery, &seen);
    lev_store_mem_start(store, &feed_client, &f);
    ck_assert_uint_eq(seen.n_queues, 1);
    ck_assert_uint_eq(seen.n_exchanges, 1);
    ck_assert_uint_eq(seen.n_bindings, 1);
    ck_assert_uint_eq(seen.queues[0].state.head, 1);
    ck_assert_uint_eq(seen.queues[0].state.count, 1);
    ck_assert_uint_eq(seen.queues[0].state.next_pos, 3);
    ck_assert_uint_eq(lev_store_mem_rows(store, 1, true), 0);
    struct lev_read *r = feed_read(&f, 1, 0, 3, 10, 1000);
    ck_assert_uint_eq(r->n_items, 1);
    feed_check_msg(r->items[0].msg, 10, 1);
    lev_read_free(&r);
    lev_store_mem_fail_reads(store, LEV_ECORRUPT);
    r = feed_read(&f, 1, 0, 3, 10, 1000);
    ck_assert_int_eq(r->rc, LEV_ECORRUPT);
    ck_assert_uint_eq(r->reached, 0);
    lev_read_free(&r);
    ck_assert_uint_eq(lev_store_mem_pending_reads(store), 0);
}
END_TEST

START_TEST(test_levels_and_failures)
{
    struct seen seen = {0};
    f.pump = lev_store_mem_run;
    feed_level(&f, 1, "p", 2);
    feed_queue(&f, 2, "p");
    feed_enqueue(&f, 1, 0, 10, 2); /* a dead-lettered one */
    feed_count(&f, 1, 0, 3);
    feed_count(&f, 1, 5, 3);
    feed_enqueue(&f, 1, 5, 10, 5);
    feed_count(&f, 2, 0, 1);
    feed_commit(&f);
    feed_count(&f, 1, 5, UINT32_MAX);
    feed_commit(&f);
    lev_store_mem_crash(store);
    lev_store_mem_recover(store, &seen_recovery, &seen); /* feed.c sees to the order */
    lev_store_mem_start(store, &feed_client, &f);
    ck_assert_uint_eq(seen.n_queues, 2);
    ck_assert_uint_eq(seen_queue(&seen, 1)->level, 2);
    struct lev_read *r = feed_read(&f, 1, 0, 9, 10, 1000);
    ck_assert_uint_eq(r->n_items, 2);
    feed_check_msg(r->items[0].msg, 10, 2);
    ck_assert_uint_eq(r->items[0].count, 3);
    ck_assert_uint_eq(r->items[1].count, UINT16_MAX);
    lev_read_free(&r);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("store_mem");
    TCase *t = tcase_create("core");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_by_hand);
    tcase_add_test(t, test_failure);
    tcase_add_test(t, test_crash);
    tcase_add_test(t, test_levels_and_failures);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    SRunner *r = srunner_create(suite());
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
