/* The SQLite store: what goes in comes back, also after a crash. */
#include <check.h>
#include <sqlite3.h>
#include <stdlib.h>

#include "bed.h"

START_TEST(test_round_trip)
{
    struct seen seen = {0};
    feed_queue(&f, 7, "seven");
    for (uint32_t i = 0; i < 100; i++)
        feed_enqueue(&f, 7, i, i * 37, i);
    feed_mark(&f, 7, 120, 3);
    feed_commit(&f);
    crash(&seen);
    ck_assert_uint_eq(seen.n_queues, 1);
    const struct seen_queue *q = seen_queue(&seen, 7);
    ck_assert_str_eq(q->name, "seven");
    ck_assert_uint_eq(q->state.head, 0);
    ck_assert_uint_eq(q->state.next_pos, 120);
    ck_assert_uint_eq(q->state.delivered_to, 3);
    ck_assert_uint_eq(q->state.count, 100);
    ck_assert_uint_eq(q->state.bytes, 37 * 4950);
    struct lev_read *r = feed_read(&f, 7, 0, 120, 1000, SIZE_MAX);
    ck_assert_int_eq(r->rc, 0);
    ck_assert_uint_eq(r->n_items, 100);
    ck_assert_uint_eq(r->reached, 120);
    for (uint32_t i = 0; i < 100; i++) {
        ck_assert_uint_eq(r->items[i].pos, i);
        ck_assert_uint_eq(r->items[i].expires_at_ms, i % 2 ? 1000 + i : 0);
        ck_assert(!r->items[i].spilled);
        feed_check_msg(r->items[i].msg, i * 37, i);
    }
    lev_read_free(&r);
}
END_TEST

START_TEST(test_definitions)
{
    struct seen seen = {0};
    feed_exchange(&f, LEV_OP_EXCHANGE_ADD, "one");
    feed_exchange(&f, LEV_OP_EXCHANGE_ADD, "two");
    feed_binding(&f, LEV_OP_BINDING_ADD, "one", "q", "a.*");
    feed_binding(&f, LEV_OP_BINDING_ADD, "one", "q", "a.*");
    feed_binding(&f, LEV_OP_BINDING_ADD, "two", "q", "");
    feed_commit(&f);
    feed_exchange(&f, LEV_OP_EXCHANGE_DELETE, "two");
    feed_binding(&f, LEV_OP_BINDING_DELETE, "two", "q", "");
    feed_commit(&f);
    crash(&seen);
    ck_assert_uint_eq(seen.n_exchanges, 1);
    ck_assert_str_eq(seen.exchanges[0], "one topic 101 xargs");
    ck_assert_uint_eq(seen.n_bindings, 1);
    ck_assert_str_eq(seen.bindings[0], "one>q(a.*)1");
}
END_TEST

START_TEST(test_read_limits)
{
    feed_queue(&f, 1, "q");
    for (uint32_t i = 0; i < 50; i++)
        feed_enqueue(&f, 1, i * 2, 100, i);
    feed_mark(&f, 1, 100, 0);
    feed_commit(&f);
    struct lev_read *r = feed_read(&f, 1, 1, 100, 10, SIZE_MAX);
    ck_assert_uint_eq(r->n_items, 10);
    ck_assert_uint_eq(r->items[0].pos, 2);
    ck_assert_uint_eq(r->reached, 22); /* 21 holds nothing: looked at, too */
    lev_read_free(&r);
    size_t one = sizeof(struct lev_msg) + 2 + 4 + 3 + 100;
    r = feed_read(&f, 1, 0, 100, 10, one * 3 + 5);
    ck_assert_uint_eq(r->n_items, 3);
    lev_read_free(&r);
    r = feed_read(&f, 1, 0, 100, 10, 1); /* at least one */
    ck_assert_uint_eq(r->n_items, 1);
    ck_assert_uint_eq(r->reached, 2);
    lev_read_free(&r);
    r = feed_read(&f, 1, 99, 100, 10, 1);
    ck_assert_uint_eq(r->n_items, 0);
    ck_assert_uint_eq(r->reached, 100);
    lev_read_free(&r);
    r = feed_read(&f, 99, 0, LEV_POSITION_MAX + 1, 10, 1); /* unknown queue */
    ck_assert_int_eq(r->rc, 0);
    ck_assert_uint_eq(r->n_items, 0);
    lev_read_free(&r);
}
END_TEST

START_TEST(test_settle)
{
    struct seen seen = {0};
    feed_queue(&f, 1, "q");
    for (uint32_t i = 0; i < 200; i++)
        feed_enqueue(&f, 1, i, 10, i);
    feed_commit(&f);
    for (uint32_t i = 0; i < 10; i++)
        feed_settle(&f, 1, i, 10); /* in order */
    for (uint32_t i = 20; i < 100; i += 2)
        feed_settle(&f, 1, i, 10); /* holes */
    feed_settle_range(&f, 1, 120, 180, 60, 600);
    feed_commit(&f);
    ck_assert_int_eq(ask("SELECT head FROM queue"), 10);
    ck_assert_int_eq(ask("SELECT count(*) FROM dead"), 41);
    ck_assert_int_eq(ask("SELECT count(*) FROM queue_messages"), 90);
    crash(&seen);
    ck_assert_uint_eq(seen.queues[0].state.head, 10);
    ck_assert_uint_eq(seen.queues[0].state.count, 90);
    ck_assert_uint_eq(seen.queues[0].state.bytes, 900);
    struct lev_read *r = feed_read(&f, 1, 0, 200, 1000, SIZE_MAX);
    ck_assert_uint_eq(r->n_items, 90);
    for (size_t i = 0; i < r->n_items; i++) {
        uint64_t p = r->items[i].pos;
        ck_assert(p >= 10 && !(p >= 20 && p < 100 && p % 2 == 0) && !(p >= 120 && p < 180));
        feed_check_msg(r->items[i].msg, 10, (uint32_t)p);
    }
    lev_read_free(&r);
    r = feed_read(&f, 1, 125, 150, 1000, SIZE_MAX); /* inside a dead range */
    ck_assert_uint_eq(r->n_items, 0);
    ck_assert_uint_eq(r->reached, 150);
    lev_read_free(&r);
    for (uint32_t i = 10; i < 20; i++)
        feed_settle(&f, 1, i, 10);
    for (uint32_t i = 21; i < 120; i += 2)
        feed_settle(&f, 1, i, 10);
    for (uint32_t i = 100; i < 120; i += 2)
        feed_settle(&f, 1, i, 10);
    feed_commit(&f);
    ck_assert_int_eq(ask("SELECT head FROM queue"), 180);
    ck_assert_int_eq(ask("SELECT count(*) FROM dead"), 0);
    ck_assert_int_eq(ask("SELECT messages FROM queues"), 20);
}
END_TEST

START_TEST(test_head_passes_gaps)
{
    feed_queue(&f, 1, "q");
    feed_enqueue(&f, 1, 3, 10, 3); /* 0 to 2 were transient */
    feed_enqueue(&f, 1, 10, 10, 10);
    feed_enqueue(&f, 1, 20, 10, 20);
    feed_commit(&f);
    feed_settle(&f, 1, 10, 10);
    feed_commit(&f);
    ck_assert_int_eq(ask("SELECT head FROM queue"), 3);
    feed_settle(&f, 1, 3, 10);
    feed_commit(&f);
    ck_assert_int_eq(ask("SELECT head FROM queue"), 20); /* over 4 to 9, 10, 11 to 19 */
    feed_settle_flags(&f, 1, 5, 0, LEV_OPF_NOROW);       /* below the head: nothing to do */
    feed_settle(&f, 1, 20, 10);
    feed_mark(&f, 1, 33, 21);
    feed_commit(&f);
    ck_assert_int_eq(ask("SELECT head FROM queue"), 33);
    ck_assert_int_eq(ask("SELECT count FROM queue"), 0);
    ck_assert_int_eq(ask("SELECT count(*) FROM dead"), 0);
}
END_TEST

START_TEST(test_norow_joins)
{
    feed_queue(&f, 1, "q");
    for (uint32_t i = 0; i < 10; i += 2)
        feed_enqueue(&f, 1, i, 10, i);
    feed_commit(&f);
    for (uint32_t i = 2; i < 10; i++)
        feed_settle_flags(&f, 1, i, 10, i % 2 ? LEV_OPF_NOROW : 0);
    feed_commit(&f);
    ck_assert_int_eq(ask("SELECT count(*) FROM dead"), 1);
    ck_assert_int_eq(ask("SELECT count FROM queue"), 1);
}
END_TEST

START_TEST(test_one_batch)
{
    struct seen seen = {0};
    feed_queue(&f, 1, "q");
    feed_enqueue(&f, 1, 0, 10, 0);
    feed_enqueue(&f, 1, 1, 10, 1);
    feed_settle(&f, 1, 0, 10);
    feed_queue(&f, 2, "gone");
    feed_enqueue(&f, 2, 0, 10, 0);
    feed_op(&f, LEV_OP_QUEUE_DELETE, 2, 0);
    feed_enqueue(&f, 2, 1, 10, 0); /* after the end: nothing */
    feed_op(&f, LEV_OP_NONE, 5, 0);
    feed_enqueue(&f, 3, 1, 10, 0); /* never was */
    feed_mark(&f, 3, 4, 4);
    feed_queue(&f, 4, "again");
    feed_enqueue(&f, 4, 0, 10, 0);
    feed_op(&f, LEV_OP_QUEUE_DELETE, 4, 0);
    feed_queue(&f, 4, "again");
    feed_enqueue(&f, 4, 0, 12, 1);
    feed_commit(&f);
    ck_assert(lev_store_queue_id_free(store, 2));
    ck_assert(lev_store_queue_id_free(store, 3));
    ck_assert(!lev_store_queue_id_free(store, 4));
    crash(&seen);
    ck_assert_uint_eq(seen.n_queues, 2);
    ck_assert_uint_eq(seen_queue(&seen, 1)->state.head, 1);
    ck_assert_uint_eq(seen_queue(&seen, 4)->state.bytes, 12);
    ck_assert_int_eq(ask("SELECT count(*) FROM message"), 3);
    struct lev_read *r = feed_read(&f, 4, 0, 10, 10, 1000);
    ck_assert_uint_eq(r->n_items, 1);
    feed_check_msg(r->items[0].msg, 12, 1);
    lev_read_free(&r);
}
END_TEST

START_TEST(test_out_of_order_enqueue)
{
    static const uint64_t pos[] = {5, 3, 9, 1, 0, 7};
    feed_queue(&f, 1, "q");
    for (size_t i = 0; i < 6; i++)
        feed_enqueue(&f, 1, pos[i], 20, (uint32_t)pos[i]);
    feed_commit(&f);
    struct lev_read *r = feed_read(&f, 1, 0, 100, 100, 10000);
    ck_assert_uint_eq(r->n_items, 6);
    for (size_t i = 0; i < 6; i++)
        feed_check_msg(r->items[i].msg, 20, (uint32_t)r->items[i].pos);
    lev_read_free(&r);
    for (size_t i = 0; i < 6; i++)
        feed_settle(&f, 1, pos[i], 20);
    feed_commit(&f);
    ck_assert_int_eq(ask("SELECT head FROM queue"), 10);
    feed_enqueue(&f, 1, 4, 20, 4); /* below the head: still kept */
    feed_commit(&f);
    r = feed_read(&f, 1, 0, 100, 100, 10000);
    ck_assert_uint_eq(r->n_items, 1);
    ck_assert_uint_eq(r->items[0].pos, 4);
    lev_read_free(&r);
}
END_TEST

START_TEST(test_spill)
{
    struct seen seen = {0};
    feed_queue(&f, 1, "q");
    for (uint32_t i = 0; i < 40; i++)
        (i % 2 ? feed_spill : feed_enqueue)(&f, 1, i, 50, i);
    for (uint32_t i = 0; i < 10; i++)
        feed_spill(&f, 9, i, 50, i); /* a transient queue */
    feed_commit(&f);
    struct lev_read *r = feed_read(&f, 1, 0, 40, 100, SIZE_MAX);
    ck_assert_uint_eq(r->n_items, 40);
    for (uint32_t i = 0; i < 40; i++) {
        ck_assert_uint_eq(r->items[i].pos, i);
        ck_assert(r->items[i].spilled == (i % 2 == 1));
        ck_assert_uint_eq(r->items[i].expires_at_ms, i % 2 ? 1000 + i : 0);
        ck_assert_uint_eq(r->items[i].count, 0);
        feed_check_msg(r->items[i].msg, 50, i);
    }
    lev_read_free(&r);
    feed_settle_flags(&f, 1, 1, 50, LEV_OPF_SPILLED);
    feed_unspill(&f, 1, 3, 10);
    feed_spill(&f, 1, 5, 50, 5); /* out again */
    feed_settle_range(&f, 1, 20, 30, 5, 250);
    feed_op(&f, LEV_OP_QUEUE_DELETE, 9, 0);
    feed_commit(&f);
    r = feed_read(&f, 1, 0, 40, 100, SIZE_MAX);
    ck_assert_uint_eq(r->n_items, 40 - 1 - 4 + 1 - 10);
    for (size_t i = 0; i < r->n_items; i++) {
        uint64_t p = r->items[i].pos;
        ck_assert(p != 1 && p != 3 && p != 7 && p != 9 && !(p >= 20 && p < 30));
    }
    lev_read_free(&r);
    r = feed_read(&f, 9, 0, 40, 100, SIZE_MAX);
    ck_assert_uint_eq(r->n_items, 0);
    lev_read_free(&r);
    crash(&seen);
    ck_assert_uint_eq(seen.queues[0].state.count, 15);
    ck_assert_int_eq(ask("SELECT count(*) FROM queue_spilled"), 0);
    r = feed_read(&f, 1, 0, 40, 100, SIZE_MAX);
    ck_assert_uint_eq(r->n_items, 15);
    lev_read_free(&r);
    feed_spill(&f, 1, 40, 50, 40); /* the new process spills, too */
    feed_commit(&f);
    r = feed_read(&f, 1, 39, 50, 100, SIZE_MAX);
    ck_assert_uint_eq(r->n_items, 1);
    lev_read_free(&r);
    wait_for("SELECT count(*) FROM spill", 1); /* the old rows go when it is idle */
    while (!lev_store_queue_id_free(store, 9))
        sqlite3_sleep(1);
}
END_TEST

START_TEST(test_spill_when_busy)
{
    feed_queue(&f, 1, "q");
    for (uint32_t n = 0; n < 100; n++) {
        for (uint32_t i = n * 100; i < (n + 1) * 100; i++)
            feed_spill(&f, 1, i, 50, i);
        feed_commit(&f);
        feed_settle_range(&f, 1, n * 100, (n + 1) * 100, 0, 0);
        feed_commit(&f);
    }
    ck_assert_int_lt(ask("SELECT count(*) FROM spill"), 2000); /* and no row of message died */
}
END_TEST

START_TEST(test_spilled_queue_deleted)
{
    for (uint32_t i = 0; i < 1000; i++)
        feed_spill(&f, 9, i, 50, i);
    feed_commit(&f);
    feed_op(&f, LEV_OP_QUEUE_DELETE, 9, 0);
    feed_queue(&f, 9, "nine"); /* the id at once again */
    feed_spill(&f, 9, 5, 10, 5);
    feed_commit(&f);
    struct lev_read *r = feed_read(&f, 9, 0, 2000, 100, SIZE_MAX);
    ck_assert_uint_eq(r->n_items, 1);
    feed_check_msg(r->items[0].msg, 10, 5);
    lev_read_free(&r);
}
END_TEST

START_TEST(test_shared_body)
{
    struct lev_msg *big = feed_msg(100000, 1), *small = feed_msg(100, 2),
                   *alone = feed_msg(50000, 3);
    for (uint32_t q = 1; q <= 3; q++) {
        feed_queue(&f, q, "q");
        feed_enqueue_msg(&f, q, 0, big);
        feed_enqueue_msg(&f, q, 1, small);
    }
    feed_enqueue_msg(&f, 1, 2, alone);
    feed_commit(&f);
    ck_assert_int_eq(ask("SELECT count(*) FROM body"), 1);
    ck_assert_int_eq(ask("SELECT refs FROM body_refs"), 3);
    ck_assert_int_eq(ask("SELECT count(*) FROM message WHERE body IS NULL"), 3);
    ck_assert_int_eq(ask("SELECT sum(length(body)) FROM queue_messages"), 300000 + 300 + 50000);
    lev_msg_unref(&big);
    lev_msg_unref(&small);
    lev_msg_unref(&alone);
    crash(NULL);
    for (uint32_t q = 1; q <= 3; q++) {
        struct lev_read *r = feed_read(&f, q, 0, 2, 10, SIZE_MAX);
        ck_assert_uint_eq(r->n_items, 2);
        feed_check_msg(r->items[0].msg, 100000, 1);
        feed_check_msg(r->items[1].msg, 100, 2);
        lev_read_free(&r);
    }
    for (uint32_t q = 1; q <= 3; q++) {
        feed_op(&f, LEV_OP_QUEUE_DELETE, q, 0);
        feed_queue(&f, q, "q"); /* the same id again: the old rows go at once */
        feed_commit(&f);
        ck_assert_int_eq(ask("SELECT count(*) FROM body"), q < 3);
        ck_assert_int_eq(ask("SELECT coalesce(sum(refs),0) FROM body_refs"), 3 - q);
    }
    ck_assert_int_eq(ask("SELECT count(*) FROM message"), 0);
}
END_TEST

START_TEST(test_queue_delete)
{
    struct seen seen = {0};
    feed_queue(&f, 1, "stays");
    feed_queue(&f, 2, "goes");
    feed_queue(&f, 3, "empty");
    for (uint32_t i = 0; i < 3000; i++) {
        feed_enqueue(&f, 1, i, 100, i);
        feed_enqueue(&f, 2, i, 100, i);
    }
    feed_commit(&f);
    feed_op(&f, LEV_OP_QUEUE_DELETE, 2, 0);
    feed_op(&f, LEV_OP_QUEUE_DELETE, 3, 0);
    feed_commit(&f);
    ck_assert(!lev_store_queue_id_free(store, 2));
    ck_assert(lev_store_queue_id_free(store, 3));
    crash(&seen);
    ck_assert_uint_eq(seen.n_queues, 1);
    ck_assert_uint_eq(seen.n_used, 1);
    ck_assert_uint_eq(seen.used_id, 2);
    wait_for("SELECT count(*) FROM garbage", 0);
    ck_assert_int_eq(ask("SELECT count(*) FROM message"), 3000);
    while (!lev_store_queue_id_free(store, 2))
        sqlite3_sleep(1);
    struct lev_store_stats stats;
    lev_store_get_stats(store, &stats);
    ck_assert_uint_le(stats.purged_rows, 3000);
}
END_TEST

START_TEST(test_deleted_queue_reads_nothing)
{
    const struct lev_recovery no_ids = {.exchange = seen_recovery.exchange,
                                        .queue = seen_recovery.queue,
                                        .binding = seen_recovery.binding};
    struct seen seen = {0};
    char err[LEV_STORE_ERR_MAX];
    feed_queue(&f, 2, "goes");
    feed_enqueue(&f, 2, 0, 100, 0);
    feed_commit(&f);
    feed_op(&f, LEV_OP_QUEUE_DELETE, 2, 0);
    feed_spill(&f, 2, 1, 10, 1); /* a transient queue got the id */
    feed_commit(&f);
    struct lev_read *r = feed_read(&f, 2, 0, 10, 10, SIZE_MAX);
    ck_assert_uint_eq(r->n_items, 1);
    ck_assert_uint_eq(r->items[0].pos, 1);
    lev_read_free(&r);
    lev_store_stop(&store);
    ck_assert_int_eq(lev_store_open(dir, NULL, &store, err), 0);
    ck_assert(!lev_store_queue_id_free(store, 2));
    ck_assert_int_eq(lev_store_recover(store, &no_ids, &seen), 0); /* nobody asks for the ids */
    ck_assert_uint_eq(seen.n_queues, 0);
}
END_TEST

START_TEST(test_levels)
{
    struct seen seen = {0};
    feed_level(&f, 1, "p", 1);
    feed_level(&f, 2, "p", LEV_QUEUE_LEVEL_MAX);
    feed_queue(&f, 3, "p"); /* after its levels, and with a higher id */
    feed_queue(&f, 4, "plain");
    feed_enqueue(&f, 1, 0, 10, 7);
    feed_enqueue(&f, 2, 0, 10, 7);
    feed_enqueue(&f, 2, 1, 10, 7);
    feed_enqueue(&f, 4, 0, 10, 7);
    feed_mark(&f, 2, 2, 1);
    feed_commit(&f);
    crash(&seen); /* feed.c sees to the order */
    ck_assert_uint_eq(seen.n_queues, 4);
    ck_assert_uint_eq(seen_queue(&seen, 1)->level, 1);
    ck_assert_uint_eq(seen_queue(&seen, 2)->level, LEV_QUEUE_LEVEL_MAX);
    ck_assert_uint_eq(seen_queue(&seen, 2)->state.count, 2);
    ck_assert_uint_eq(seen_queue(&seen, 3)->level, 0);
    ck_assert_int_eq(ask("SELECT count(*) FROM queues"), 2);
    ck_assert_int_eq(ask("SELECT messages FROM queues WHERE name='p'"), 3);
    ck_assert_int_eq(ask("SELECT bytes FROM queues WHERE name='p'"), 30);
    ck_assert_int_eq(ask("SELECT queue_id FROM queues WHERE name='p'"), 3);
    ck_assert_int_eq(ask("SELECT levels FROM queues WHERE name='p'"), LEV_QUEUE_LEVEL_MAX);
    ck_assert_int_eq(ask("SELECT levels FROM queues WHERE name='plain'"), 0);
    ck_assert_int_eq(ask("SELECT count(*) FROM queue_messages WHERE queue='p'"), 3);
    ck_assert_int_eq(ask("SELECT sum(priority) FROM queue_messages WHERE queue='p'"), 510);
    ck_assert_int_eq(ask("SELECT sum(redelivered) FROM queue_messages WHERE queue='p'"), 1);
    ck_assert_int_eq(ask("SELECT priority FROM queue_messages WHERE queue='plain'"), 7);
    for (uint32_t id = 1; id <= 3; id++)
        feed_op(&f, LEV_OP_QUEUE_DELETE, id, 0);
    feed_commit(&f);
    ck_assert_int_eq(ask("SELECT count(*) FROM queues"), 1);
    ck_assert_int_eq(ask("SELECT count(*) FROM queue_messages"), 1);
}
END_TEST

static void check_count(uint32_t queue, uint64_t pos, uint16_t count)
{
    struct lev_read *r = feed_read(&f, queue, pos, pos + 1, 1, SIZE_MAX);
    ck_assert_int_eq(r->rc, 0);
    ck_assert_uint_eq(r->n_items, 1);
    ck_assert_uint_eq(r->items[0].count, count);
    lev_read_free(&r);
}

START_TEST(test_failures)
{
    feed_queue(&f, 1, "q");
    for (uint32_t i = 0; i < 10; i++)
        feed_enqueue(&f, 1, i, 20000, i);
    feed_count(&f, 1, 2, 1); /* of this batch */
    feed_count(&f, 1, 2, 2);
    feed_count(&f, 1, 3, 1);
    feed_count(&f, 9, 3, 1); /* no such queue */
    feed_spill(&f, 1, 10, 20, 10);
    feed_count(&f, 1, 10, 5); /* no stored message */
    feed_commit(&f);
    feed_count(&f, 1, 4, 7); /* of an earlier one */
    feed_count(&f, 1, 5, UINT16_MAX + 9);
    feed_settle(&f, 1, 3, 20000);
    feed_count(&f, 1, 3, 9); /* settled */
    feed_commit(&f);
    ck_assert_int_eq(ask("SELECT sum(failures) FROM queue_messages"), 2 + 7 + UINT16_MAX);
    ck_assert_int_eq(ask("SELECT count FROM failures WHERE id & 255 = 3"), 1);
    check_count(1, 10, 0);
    crash(NULL);
    check_count(1, 1, 0);
    check_count(1, 2, 2);
    check_count(1, 4, 7);
    check_count(1, 5, UINT16_MAX);
    struct lev_read *r = feed_read(&f, 1, 0, 10, 100, SIZE_MAX);
    static const uint16_t counts[] = {0, 0, 2, 7, UINT16_MAX, 0, 0, 0, 0}; /* 3 is not there */
    ck_assert_uint_eq(r->n_items, 9);
    for (size_t i = 0; i < 9; i++)
        ck_assert_uint_eq(r->items[i].count, counts[i]);
    lev_read_free(&r);
    feed_count(&f, 1, 2, 3);
    feed_commit(&f);
    reopen(NULL);
    check_count(1, 2, 3);
    feed_settle_range(&f, 1, 0, 5, 4, 80000);
    feed_commit(&f);
    wait_for("SELECT count(*) FROM failures", 1 + 1); /* 5; and 10, not yet below the head */
    check_count(1, 5, UINT16_MAX);
    feed_settle_range(&f, 1, 5, 11, 5, 100000);
    feed_commit(&f);
    wait_for("SELECT count(*) FROM failures", 0);
}
END_TEST

START_TEST(test_failures_of_deleted_queue)
{
    struct seen seen = {0};
    feed_queue(&f, 1, "q");
    feed_enqueue(&f, 1, 0, 10, 0);
    feed_count(&f, 1, 0, 1);
    feed_op(&f, LEV_OP_QUEUE_DELETE, 1, 0); /* the row never came to be */
    feed_commit(&f);
    ck_assert(!lev_store_queue_id_free(store, 1));
    crash(&seen);
    ck_assert_uint_eq(seen.n_used, 1);
    feed_queue(&f, 1, "again");
    feed_enqueue(&f, 1, 0, 10, 0);
    feed_enqueue(&f, 1, 1, 10, 1);
    feed_count(&f, 1, 1, 4);
    feed_op(&f, LEV_OP_QUEUE_DELETE, 1, 0);
    feed_queue(&f, 1, "once more");
    feed_enqueue(&f, 1, 0, 10, 0);
    feed_enqueue(&f, 1, 1, 10, 1);
    feed_count(&f, 1, 0, 8);
    feed_commit(&f);
    crash(&seen);
    check_count(1, 0, 8);
    check_count(1, 1, 0);
    feed_op(&f, LEV_OP_QUEUE_DELETE, 1, 0);
    feed_commit(&f);
    wait_for("SELECT count(*) FROM garbage", 0);
    ck_assert_int_eq(ask("SELECT count(*) FROM failures"), 0);
    while (!lev_store_queue_id_free(store, 1))
        sqlite3_sleep(1);
}
END_TEST

START_TEST(test_purge_when_idle)
{
    feed_queue(&f, 1, "q");
    for (uint32_t i = 0; i < 2000; i++)
        feed_enqueue(&f, 1, i, 100, i);
    feed_commit(&f);
    for (uint32_t i = 0; i < 500; i++)
        feed_settle(&f, 1, i, 100);
    for (uint32_t i = 501; i < 2000; i += 3)
        feed_settle(&f, 1, i, 100);
    feed_commit(&f);
    wait_for("SELECT count(*) FROM message", 1000);
    wait_for("SELECT count(*) FROM dead", 0);
    ck_assert_int_eq(ask("SELECT count(*) FROM queue_messages"), 1000);
    feed_settle(&f, 1, 500, 100);
    feed_commit(&f);
    ck_assert_int_eq(ask("SELECT head FROM queue"), 502);
}
END_TEST

START_TEST(test_purge_when_busy)
{
    options.garbage_limit_rows = 1000;
    reopen(NULL);
    feed_queue(&f, 1, "q");
    for (uint32_t n = 0; n < 50; n++) {
        for (uint32_t i = n * 200; i < (n + 1) * 200; i++)
            feed_enqueue(&f, 1, i, 100, i);
        feed_commit(&f);
        for (uint32_t i = n * 200 + (n == 0); i < (n + 1) * 200; i++)
            feed_settle(&f, 1, i, 100); /* the first stays: all is above the head */
        feed_commit(&f);
    }
    ck_assert_int_lt(ask("SELECT count(*) FROM message"), 3000);
    ck_assert_int_eq(ask("SELECT count(*) FROM queue_messages"), 1);
}
END_TEST

START_TEST(test_random_settles)
{
    enum { N = 100000 };
    struct seen seen = {0};
    uint32_t *order = malloc(N * sizeof(*order));
    uint32_t x = 12345;
    for (uint32_t i = 0; i < N; i++)
        order[i] = i;
    for (uint32_t i = N - 1; i > 0; i--) {
        x = x * 1664525 + 1013904223;
        uint32_t j = (uint32_t)(((uint64_t)x * (i + 1)) >> 32), t = order[i];
        order[i] = order[j];
        order[j] = t;
    }
    options.garbage_limit_rows = 10 * N; /* nothing is removed meanwhile */
    reopen(NULL);
    feed_queue(&f, 1, "q");
    for (uint32_t i = 0; i < N; i++)
        feed_enqueue(&f, 1, i, 20, i);
    feed_commit(&f);
    for (uint32_t i = 0; i < N - 10; i++) {
        feed_settle(&f, 1, order[i], 20);
        if (i % 2000 == 1999)
            feed_commit(&f);
    }
    feed_commit(&f);
    crash(&seen);
    ck_assert_uint_eq(seen.queues[0].state.count, 10);
    struct lev_read *r = feed_read(&f, 1, 0, N, N, SIZE_MAX);
    ck_assert_uint_eq(r->n_items, 10);
    for (size_t i = 0; i < 10; i++) {
        bool found = false;
        for (uint32_t k = N - 10; k < N; k++)
            found = found || order[k] == r->items[i].pos;
        ck_assert(found);
    }
    lev_read_free(&r);
    for (uint32_t i = N - 10; i < N; i++)
        feed_settle(&f, 1, order[i], 20);
    feed_commit(&f);
    ck_assert_int_eq(ask("SELECT head FROM queue"), N);
    ck_assert_int_eq(ask("SELECT count(*) FROM dead"), 0);
    free(order);
}
END_TEST

/* However long it is written without a pause, the WAL begins anew. */
START_TEST(test_wal_begins_anew)
{
    struct lev_store_stats stats = {0};
    uint64_t longest = 0;
    uint32_t pos = 0, anew = 0;
    options.wal_limit_bytes = 1 << 20;
    reopen(NULL);
    feed_queue(&f, 1, "q");
    while (anew < 3) {
        for (uint32_t i = 0; i < 100; i++, pos++)
            feed_enqueue(&f, 1, pos, 1000, i);
        feed_commit(&f);
        lev_store_get_stats(store, &stats);
        anew += stats.wal_bytes < longest / 2;
        longest = stats.wal_bytes < longest / 2 ? stats.wal_bytes : longest;
        longest = stats.wal_bytes > longest ? stats.wal_bytes : longest;
        ck_assert_uint_lt(pos, 1000000);
    }
    ck_assert_uint_ge(stats.checkpoints, 3);
}
END_TEST

START_TEST(test_checkpoint)
{
    options.wal_limit_bytes = 1 << 20;
    reopen(NULL);
    feed_queue(&f, 1, "q");
    for (uint32_t n = 0; n < 40; n++) {
        for (uint32_t i = 0; i < 100; i++)
            feed_enqueue(&f, 1, n * 100 + i, 1000, i);
        feed_commit(&f);
    }
    struct lev_store_stats stats;
    lev_store_get_stats(store, &stats);
    ck_assert_uint_ge(stats.checkpoints, 1);
    ck_assert_uint_eq(stats.batches, 40);
    ck_assert_uint_eq(stats.commits, 40);
    struct seen seen = {0};
    crash(&seen);
    ck_assert_uint_eq(seen.queues[0].state.count, 4000);
    ck_assert_int_eq(ask("SELECT count(*) FROM queue_messages"), 4000);
}
END_TEST

START_TEST(test_drain_on_stop)
{
    struct seen seen = {0};
    feed_queue(&f, 1, "q");
    for (uint32_t i = 0; i < 100; i++)
        feed_enqueue(&f, 1, i, 20, i);
    feed_release(&f);
    lev_store_stop(&store); /* without a wake */
    ck_assert_uint_eq(f.done_id, 1);
    open_store(dir, &seen);
    ck_assert_uint_eq(seen.queues[0].state.count, 100);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("store_sqlite");
    TCase *t = tcase_create("core");
    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, bed_setup, bed_teardown);
    tcase_add_test(t, test_round_trip);
    tcase_add_test(t, test_definitions);
    tcase_add_test(t, test_read_limits);
    tcase_add_test(t, test_settle);
    tcase_add_test(t, test_head_passes_gaps);
    tcase_add_test(t, test_norow_joins);
    tcase_add_test(t, test_one_batch);
    tcase_add_test(t, test_out_of_order_enqueue);
    tcase_add_test(t, test_spill);
    tcase_add_test(t, test_spill_when_busy);
    tcase_add_test(t, test_spilled_queue_deleted);
    tcase_add_test(t, test_shared_body);
    tcase_add_test(t, test_queue_delete);
    tcase_add_test(t, test_deleted_queue_reads_nothing);
    tcase_add_test(t, test_levels);
    tcase_add_test(t, test_failures);
    tcase_add_test(t, test_failures_of_deleted_queue);
    tcase_add_test(t, test_purge_when_idle);
    tcase_add_test(t, test_purge_when_busy);
    tcase_add_test(t, test_random_settles);
    tcase_add_test(t, test_checkpoint);
    tcase_add_test(t, test_wal_begins_anew);
    tcase_add_test(t, test_drain_on_stop);
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
