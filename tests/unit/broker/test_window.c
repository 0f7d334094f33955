/* Windows: a queue that outgrows its memory, with tiny limits so that a few messages do. */
#include "stage.h"

#include <check.h>
#include <stdio.h>

#include "base/err.h"
#include "broker/pace.h"

static const struct lev_windows tiny = {.max = 8,
                                        .keep = 4,
                                        .max_bytes = 4000,
                                        .keep_bytes = 2000,
                                        .tail_max = 8,
                                        .tail_max_bytes = 4000,
                                        .pressure = 1 << 20};

static struct stage st;
static struct peer *a, *b;

static void setup(void)
{
    stage_init(&st, &tiny);
    a = stage_peer(&st, 0);
    b = stage_peer(&st, 1);
    peer_declare(a, "q", "d");
    peer_declare(a, "t", "");
}

static void teardown(void)
{
    stage_check(&st);
    stage_deinit(&st);
}

static void send_numbers(const char *queue, int from, int to, const char *flags)
{
    for (int i = from; i < to; i++) {
        char body[16];
        snprintf(body, sizeof(body), "%d", i);
        ck_assert_int_eq(peer_publish(a, 1, "", queue, body, flags), 0);
    }
}

/* Persistent and transient ones in turn, in patches. */
static void send_mixed(const char *queue, int from, int to)
{
    for (int i = from; i < to; i++)
        send_numbers(queue, i, i + 1, i / 3 % 2 ? "p" : "");
}

/* Drains a peer and expects deliveries or get-oks of numbers in order. */
static void expect_numbers(struct peer *p, int from, int to, bool redelivered)
{
    int next = from;
    peer_drain(p);
    for (size_t i = 0; i < p->n_events; i++) {
        const struct event *e = &p->events[i];
        if (e->kind != LEV_OUT_DELIVER && e->kind != LEV_OUT_GET_OK)
            continue;
        char body[16];
        snprintf(body, sizeof(body), "%d", next++);
        ck_assert_str_eq(e->body, body);
        ck_assert_int_eq((e->flags & LEV_OUTF_REDELIVERED) != 0, redelivered);
    }
    ck_assert_int_eq(next, to);
    peer_forget_events(p);
}

/* The store and the peer take turns until nothing moves. */
static void settle_down(struct peer *p)
{
    size_t n;
    do {
        n = p->n_events;
        stage_run(&st);
        peer_drain(p);
    } while (p->n_events != n);
}

/* Whatever kinds of messages: all of them, in order, with little in memory. */
static const struct backlog {
    const char *queue, *flags; /* flags NULL: mixed */
} backlogs[] = {{"q", "p"}, {"q", ""}, {"q", NULL}, {"t", ""}, {"t", "p"}};

static void send_backlog(const struct backlog *k, int from, int to)
{
    if (k->flags)
        send_numbers(k->queue, from, to, k->flags);
    else
        send_mixed(k->queue, from, to);
}

START_TEST(a_backlog_leaves_memory_and_comes_back)
{
    const struct backlog *k = &backlogs[_i];
    send_backlog(k, 0, 100);
    stage_run(&st);
    stage_check(&st);
    struct lev_queue *q = stage_queue(&st, k->queue);
    ck_assert(q->paged);
    ck_assert_uint_le(q->front.len, tiny.max);
    ck_assert_uint_le(q->tail.len, tiny.tail_max);
    ck_assert_uint_eq(lev_queue_ready(q), 100);
    send_backlog(k, 100, 120);
    peer_consume(b, 1, k->queue, "x", "n", 0);
    settle_down(b);
    expect_numbers(b, 0, 120, false);
    ck_assert(!q->paged);
    stage_run(&st);
    ck_assert_uint_eq(lev_store_mem_rows(st.store, q->id, false), 0);
    ck_assert_uint_eq(lev_store_mem_rows(st.store, q->id, true), 0);
}
END_TEST

START_TEST(a_tail_in_memory_follows_at_once)
{
    send_numbers("t", 0, 14, ""); /* beyond the window, not worth a spill */
    ck_assert(stage_queue(&st, "t")->paged);
    peer_consume(b, 1, "t", "x", "n", 0);
    expect_numbers(b, 0, 14, false);
    stage_check(&st);
    ck_assert(!stage_queue(&st, "t")->paged);
}
END_TEST

START_TEST(an_acking_consumer_reads_ahead)
{
    const struct backlog *k = &backlogs[_i];
    send_backlog(k, 0, 60);
    peer_qos(b, 1, 3, false);
    peer_consume(b, 1, k->queue, "x", "", 0);
    for (uint64_t tag = 1; tag <= 60; tag++) {
        settle_down(b);
        ck_assert_uint_ge(b->n_events, tag);
        ck_assert_int_eq(peer_ack(b, 1, tag), 0);
        stage_check(&st);
    }
    expect_numbers(b, 0, 60, false);
    ck_assert_uint_eq(stage_ready(&st, k->queue), 0);
}
END_TEST

START_TEST(get_waits_for_the_block)
{
    const struct backlog *k = &backlogs[_i];
    send_backlog(k, 0, 30);
    int n = 0;
    for (; n < 31; n++) {
        ck_assert(!b->client.suspended);
        peer_get(b, 1, k->queue, n % 2);
        if (b->client.suspended)
            stage_run(&st);
    }
    ck_assert(!b->client.suspended);
    peer_drain(b);
    ck_assert_int_eq(b->events[30].kind, LEV_OUT_GET_EMPTY);
    expect_numbers(b, 0, 30, false);
    ck_assert_uint_eq(stage_unacked(&st, k->queue), 15);
}
END_TEST

START_TEST(get_after_everything_before_it_was_settled)
{
    /* the batch the read waits for has nothing left to write */
    send_numbers("q", 0, 30, "p");
    stage_run(&st);
    for (int i = 0; i < 4; i++)
        peer_get(b, 1, "q", true);
    peer_get(b, 1, "q", true);
    stage_run(&st);
    ck_assert(!b->client.suspended);
    expect_numbers(b, 0, 5, false);
}
END_TEST

START_TEST(what_is_cancelled_is_waited_for_too)
{
    /* paging begins while the batch holds only what is then cancelled */
    stage_run(&st);
    send_numbers("t", 0, 40, "");
    peer_declare(a, "u", "d");
    send_numbers("u", 0, 1, "p");
    stage_run(&st);
    send_numbers("u", 1, 2, "p");
    peer_get(b, 1, "t", false);
    peer_get(b, 1, "t", false);
    peer_settle(b, 1, 0, true, LEV_SETTLE_REQUEUE);
    peer_get(b, 2, "u", true);
    peer_get(b, 2, "u", true);
    peer_forget_events(b);
    peer_drain(b);
    peer_forget_events(b);
    for (int i = 0; i < 30; i++) {
        ck_assert(!b->client.suspended);
        peer_get(b, 1, "t", true);
        if (b->client.suspended)
            stage_run(&st);
    }
    ck_assert(!b->client.suspended);
    peer_drain(b);
    ck_assert_uint_eq(b->n_events, 30);
}
END_TEST

START_TEST(requeue_into_a_paged_queue)
{
    const struct backlog *k = &backlogs[_i];
    send_backlog(k, 0, 50);
    stage_run(&st);
    peer_qos(b, 1, 20, false);
    peer_consume(b, 1, k->queue, "x", "", 0);
    settle_down(b);
    ck_assert_uint_eq(stage_unacked(&st, k->queue), 20);
    expect_numbers(b, 0, 20, false);
    peer_cancel(b, 1, "x");
    for (uint64_t tag = 20; tag >= 2; tag -= 2)
        peer_requeue(b, 1, tag); /* 1, 3, 5 ... */
    stage_run(&st);
    stage_check(&st);
    peer_settle(b, 1, 0, true, LEV_SETTLE_REQUEUE);
    stage_run(&st);
    stage_check(&st);
    ck_assert_uint_eq(stage_ready(&st, k->queue), 50);
    peer_qos(b, 1, 0, false);
    peer_consume(b, 1, k->queue, "x", "", 0);
    settle_down(b);
    ck_assert_uint_eq(b->n_events, 51); /* a retirement before them */
    for (int i = 0; i < 50; i++) {
        const struct event *e = &b->events[i + 1];
        ck_assert_int_eq(atoi(e->body), i);
        ck_assert_int_eq((e->flags & LEV_OUTF_REDELIVERED) != 0, i < 20);
    }
    peer_settle(b, 1, 0, true, LEV_SETTLE_ACK);
    stage_run(&st);
    ck_assert_uint_eq(lev_store_mem_rows(st.store, stage_queue(&st, k->queue)->id, false), 0);
    ck_assert_uint_eq(lev_store_mem_rows(st.store, stage_queue(&st, k->queue)->id, true), 0);
}
END_TEST

START_TEST(a_mass_requeue_leaves_memory_again)
{
    send_numbers("q", 0, 60, "p");
    peer_consume(b, 1, "q", "x", "", 0);
    settle_down(b);
    expect_numbers(b, 0, 60, false);
    peer_close_channel(b, 1);
    send_numbers("q", 60, 61, "p");
    stage_run(&st);
    stage_check(&st);
    ck_assert_uint_le(stage_queue(&st, "q")->front.len, tiny.max);
    peer_drain(b);
    peer_forget_events(b);
    peer_consume(b, 2, "q", "x", "n", 0);
    settle_down(b);
    ck_assert_uint_eq(b->n_events, 61);
    for (int i = 0; i < 61; i++) {
        ck_assert_int_eq(atoi(b->events[i].body), i);
        ck_assert_int_eq((b->events[i].flags & LEV_OUTF_REDELIVERED) != 0, i < 60);
    }
}
END_TEST

START_TEST(purge_while_a_read_is_under_way)
{
    const struct backlog *k = &backlogs[_i];
    send_backlog(k, 0, 50);
    stage_run(&st);
    while (!b->client.suspended)
        peer_get(b, 1, k->queue, false);
    ck_assert_uint_eq(lev_store_mem_pending_reads(st.store), 1);
    uint64_t held = stage_unacked(&st, k->queue);
    ck_assert_int_eq((int)peer_purge(a, k->queue), 50 - (int)held);
    ck_assert(!b->client.suspended);
    send_backlog(k, 100, 130);
    stage_run(&st);
    stage_check(&st);
    expect_numbers(b, 0, (int)held, false);
    ck_assert_uint_eq(stage_ready(&st, k->queue), 30);
    peer_consume(a, 1, k->queue, "x", "n", 0);
    settle_down(a);
    expect_numbers(a, 100, 130, false);
    peer_settle(b, 1, 0, true, LEV_SETTLE_ACK);
    stage_run(&st);
    ck_assert_uint_eq(lev_store_mem_rows(st.store, stage_queue(&st, k->queue)->id, false), 0);
    ck_assert_uint_eq(lev_store_mem_rows(st.store, stage_queue(&st, k->queue)->id, true), 0);
}
END_TEST

START_TEST(delete_while_a_read_is_under_way)
{
    const struct backlog *k = &backlogs[_i];
    send_backlog(k, 0, 50);
    stage_run(&st);
    uint32_t id = stage_queue(&st, k->queue)->id;
    while (!b->client.suspended)
        peer_get(b, 1, k->queue, false);
    peer_delete(a, k->queue, "");
    ck_assert(!b->client.suspended);
    stage_run(&st);
    ck_assert(lev_store_mem_queue_id_free(st.store, id));
    peer_settle(b, 1, 0, true, LEV_SETTLE_REQUEUE);
    ck_assert_uint_eq(st.v->memory, 0);
}
END_TEST

START_TEST(a_getter_that_goes_away)
{
    send_numbers("q", 0, 50, "p");
    stage_run(&st);
    while (!b->client.suspended)
        peer_get(b, 1, "q", true);
    if (_i)
        peer_close(b);
    else
        peer_close_channel(b, 1);
    ck_assert(!b->client.suspended);
    stage_run(&st);
    peer_consume(a, 1, "q", "x", "n", 0);
    settle_down(a);
    expect_numbers(a, 4, 50, false);
}
END_TEST

START_TEST(a_requeued_message_serves_the_getter)
{
    send_numbers("q", 0, 50, "p");
    stage_run(&st);
    for (int i = 0; i < 4; i++)
        peer_get(a, 1, "q", false);
    lev_store_mem_fail_reads(st.store, LEV_EIO);
    stage_run(&st);
    peer_get(b, 1, "q", true);
    ck_assert(b->client.suspended);
    peer_settle(a, 1, 0, true, LEV_SETTLE_REQUEUE);
    ck_assert(!b->client.suspended);
    peer_expect(b, "get:1=0,49!");
}
END_TEST

START_TEST(getters_wait_in_line)
{
    struct peer *c = stage_peer(&st, 2);
    send_numbers("q", 0, 50, "p");
    stage_run(&st);
    while (!b->client.suspended)
        peer_get(b, 1, "q", true);
    peer_get(c, 1, "q", true);
    peer_get(a, 1, "q", true);
    ck_assert(c->client.suspended && a->client.suspended);
    stage_run(&st);
    expect_numbers(b, 0, 5, false);
    expect_numbers(c, 5, 6, false);
    expect_numbers(a, 6, 7, false);
}
END_TEST

START_TEST(reads_that_fail_are_tried_again)
{
    peer_declare(a, "other", "d");
    send_numbers("q", 0, 40, "p");
    send_numbers("t", 0, 40, "");
    stage_run(&st);
    lev_store_mem_fail_reads(st.store, LEV_EIO);
    peer_consume(b, 1, "q", "x", "n", 0);
    while (!a->client.suspended)
        peer_get(a, 1, "t", true);
    stage_run(&st);
    expect_numbers(b, 0, 4, false);
    send_numbers("other", 0, 1, "p"); /* any commit will do */
    stage_run(&st);
    expect_numbers(b, 4, 4, false);
    ck_assert(a->client.suspended);
    lev_store_mem_fail_reads(st.store, 0);
    send_numbers("other", 1, 2, "p");
    settle_down(b);
    expect_numbers(b, 4, 40, false);
    ck_assert(!a->client.suspended);
    expect_numbers(a, 0, 5, false);
}
END_TEST

START_TEST(nothing_leaves_memory_while_writes_fail)
{
    lev_store_mem_fail(st.store, LEV_EFULL);
    send_mixed("q", 0, 50);
    stage_run(&st);
    ck_assert_uint_eq(stage_queue(&st, "q")->mid_count, 0);
    peer_consume(b, 1, "q", "x", "n", 0);
    settle_down(b);
    expect_numbers(b, 0, 50, false);
    lev_store_mem_fail(st.store, 0);
    stage_run(&st);
    ck_assert_uint_eq(stage_rows(&st, "q"), 0);
}
END_TEST

START_TEST(recovery_brings_them_back_in_place)
{
    send_mixed("q", 0, 60);
    peer_qos(b, 1, 10, false);
    peer_consume(b, 1, "q", "x", "", 0);
    settle_down(b);
    expect_numbers(b, 0, 10, false);
    peer_ack(b, 1, 5); /* the fourth: persistent */
    peer_ack(b, 1, 1);
    stage_run(&st);
    if (_i)
        stage_crash(&st);
    else
        stage_restart(&st);
    stage_check(&st);
    a = stage_peer(&st, 0);
    ck_assert_ptr_null(stage_queue(&st, "t"));
    ck_assert(stage_queue(&st, "q")->dest.durable);
    ck_assert_uint_eq(stage_ready(&st, "q"), 29);
    peer_consume(a, 1, "q", "y", "", 0);
    settle_down(a);
    ck_assert_uint_eq(a->n_events, 29);
    for (int n = 0, i = 0; n < 60; n++) {
        if (n / 3 % 2 == 0 || n == 4)
            continue;
        ck_assert_int_eq(atoi(a->events[i].body), n);
        if (n < 10)
            ck_assert(a->events[i].flags & LEV_OUTF_REDELIVERED);
        i++;
    }
    peer_settle(a, 1, 0, true, LEV_SETTLE_ACK);
    stage_run(&st);
    ck_assert_uint_eq(stage_rows(&st, "q"), 0);
}
END_TEST

START_TEST(pressure_makes_windows_smaller)
{
    struct lev_windows w = lev_windows_default;
    w.pressure = 4000;
    lev_vhost_set_windows(st.v, &w);
    send_numbers("q", 0, 400, "p");
    send_numbers("t", 0, 400, "");
    stage_run(&st);
    stage_check(&st);
    ck_assert_uint_gt(stage_queue(&st, "q")->mid_count, 200);
    ck_assert_uint_gt(stage_queue(&st, "t")->mid_count, 100);
    ck_assert_uint_lt(st.v->memory, 8000 + 400 * sizeof(struct lev_msg));
    peer_consume(b, 1, "t", "x", "n", 0);
    settle_down(b);
    expect_numbers(b, 0, 400, false);
    peer_consume(b, 1, "q", "y", "n", 0);
    settle_down(b);
    expect_numbers(b, 0, 400, false);
}
END_TEST

/* One message above the window's octets stays once read, or it would be read for ever. */
START_TEST(a_message_larger_than_the_window)
{
    send_numbers("q", 0, 1, "p");
    st.pad = 5000;
    send_numbers("q", 1, 20, "p");
    if (_i)
        st.v->windows.pressure = 0; /* and windows of next to nothing */
    for (int i = 0; i < 20; i++) {
        lev_store_mem_run_writer(st.store);
        lev_store_mem_run_reader(st.store);
    }
    ck_assert_uint_eq(lev_store_mem_pending_reads(st.store), 0);
    peer_consume(b, 1, "q", "x", "n", 0);
    settle_down(b);
    expect_numbers(b, 0, 20, false);
}
END_TEST

START_TEST(large_messages_page_by_bytes)
{
    st.pad = 1500;
    send_numbers("q", 0, 20, "p");
    send_numbers("t", 0, 20, "");
    stage_run(&st);
    stage_check(&st);
    ck_assert_uint_le(stage_queue(&st, "q")->front.len, 3);
    ck_assert_uint_gt(stage_queue(&st, "q")->mid_count, 10);
    ck_assert_uint_gt(stage_queue(&st, "t")->mid_count, 10);
    peer_consume(b, 1, "q", "x", "n", 0);
    settle_down(b);
    expect_numbers(b, 0, 20, false);
    peer_consume(b, 1, "t", "y", "n", 0);
    settle_down(b);
    expect_numbers(b, 0, 20, false);
}
END_TEST

/* ---- Pacing ---- */

/* Messages come in that are too many for the queue's consumers: must their publisher wait? */
static bool must_wait(const char *queue, int n)
{
    stage_hold(&st);
    send_numbers(queue, 0, n, "");
    bool waits = lev_vhost_throttle(st.v, &a->client);
    stage_release(&st);
    return waits;
}

START_TEST(publishers_wait_for_consumers_that_work)
{
    const struct lev_queue *q = stage_queue(&st, "t");
    ck_assert(!must_wait("t", 5)); /* nobody consumes */
    ck_assert_int_eq(peer_purge(a, "t"), 5);
    peer_qos(b, 1, 1, false);
    peer_consume(b, 1, "t", "x", "", 0);
    ck_assert(must_wait("t", 6));
    ck_assert_ptr_nonnull(q->pace);
    for (uint64_t tag = 1; tag <= 3; tag++) {
        ck_assert(!a->told);
        ck_assert_int_eq(peer_ack(b, 1, tag), 0);
    }
    ck_assert(a->told); /* a quarter of the window is left */
    ck_assert_ptr_null(q->pace);
}
END_TEST

START_TEST(consumers_that_stand_still_are_not_waited_for)
{
    const struct lev_queue *q = stage_queue(&st, "t");
    peer_qos(b, 1, 1, false);
    peer_consume(b, 1, "t", "x", "", 0);
    ck_assert(must_wait("t", 6));
    stage_advance(&st, LEV_PACE_MS);
    ck_assert(a->told);
    peer_drain(a);
    ck_assert(!must_wait("t", 1));
    peer_cancel(b, 1, "x");
    stage_advance(&st, LEV_PACE_MS); /* the watch ends with the consumers */
    ck_assert_ptr_null(q->pace);
    peer_qos(b, 2, 1, false);
    peer_consume(b, 2, "t", "y", "", 0);
    ck_assert(must_wait("t", 1)); /* others may do better */
}
END_TEST

static Suite *suite(void)
{
    const int n = sizeof(backlogs) / sizeof(backlogs[0]);
    Suite *s = suite_create("broker_window");
    TCase *tc = tcase_create("backlog");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, a_backlog_leaves_memory_and_comes_back, 0, n);
    tcase_add_test(tc, a_tail_in_memory_follows_at_once);
    tcase_add_loop_test(tc, an_acking_consumer_reads_ahead, 0, n);
    tcase_add_loop_test(tc, requeue_into_a_paged_queue, 0, n);
    tcase_add_test(tc, a_mass_requeue_leaves_memory_again);
    tcase_add_test(tc, pressure_makes_windows_smaller);
    tcase_add_loop_test(tc, a_message_larger_than_the_window, 0, 2);
    tcase_add_test(tc, large_messages_page_by_bytes);
    suite_add_tcase(s, tc);
    tc = tcase_create("pacing");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, publishers_wait_for_consumers_that_work);
    tcase_add_test(tc, consumers_that_stand_still_are_not_waited_for);
    suite_add_tcase(s, tc);
    tc = tcase_create("get");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, get_waits_for_the_block, 0, n);
    tcase_add_test(tc, get_after_everything_before_it_was_settled);
    tcase_add_test(tc, what_is_cancelled_is_waited_for_too);
    tcase_add_loop_test(tc, a_getter_that_goes_away, 0, 2);
    tcase_add_test(tc, a_requeued_message_serves_the_getter);
    tcase_add_test(tc, getters_wait_in_line);
    suite_add_tcase(s, tc);
    tc = tcase_create("trouble");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, purge_while_a_read_is_under_way, 0, n);
    tcase_add_loop_test(tc, delete_while_a_read_is_under_way, 0, n);
    tcase_add_test(tc, reads_that_fail_are_tried_again);
    tcase_add_test(tc, nothing_leaves_memory_while_writes_fail);
    tcase_add_loop_test(tc, recovery_brings_them_back_in_place, 0, 2);
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
