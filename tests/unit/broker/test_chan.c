/* Channels and clients: delivery tags, the list of what is outstanding, direct reply-to, the
 * outbox. */
#include "stage.h"

#include <check.h>
#include <stdio.h>

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

/* --- tags --- */

START_TEST(unknown_tags)
{
    ck_assert_int_eq(peer_ack(b, 1, 1), -1);
    ck_assert_int_eq(peer_ack(b, 1, 0), -1);
    ck_assert_str_eq(b->err.text, "unknown delivery tag 0");
    ck_assert_int_eq(peer_settle(b, 1, 0, true, LEV_SETTLE_ACK), 0); /* all of nothing */
    peer_send(a, "q", "abc", "");
    peer_consume(b, 1, "q", "x", "", 0);
    ck_assert_int_eq(peer_settle(b, 1, 4, true, LEV_SETTLE_ACK), -1);
    ck_assert_int_eq(peer_settle(b, 1, UINT64_MAX, true, LEV_SETTLE_ACK), -1);
    ck_assert_int_eq(peer_ack(b, 2, 1), -1); /* another channel's */
    ck_assert_int_eq(peer_ack(b, 1, 2), 0);
    ck_assert_int_eq(peer_settle(b, 1, 2, true, LEV_SETTLE_ACK), -1);
    ck_assert_int_eq(peer_requeue(b, 1, 2), -1);
    ck_assert_uint_eq(stage_unacked(&st, "q"), 2);
    peer_expect(b, "x:1=a x:2=b x:3=c");
}
END_TEST

START_TEST(multiple_takes_all_below)
{
    peer_send(a, "q", "abcdef", "");
    peer_consume(b, 1, "q", "x", "", 0);
    peer_ack(b, 1, 2);
    peer_settle(b, 1, 4, true, LEV_SETTLE_ACK);
    ck_assert_uint_eq(stage_unacked(&st, "q"), 2);
    peer_cancel(b, 1, "x");
    peer_settle(b, 1, 5, true, LEV_SETTLE_REQUEUE);
    ck_assert_uint_eq(stage_ready(&st, "q"), 1);
    ck_assert_int_eq(peer_ack(b, 1, 6), 0);
    peer_expect(b, "x:1=a x:2=b x:3=c x:4=d x:5=e x:6=f");
}
END_TEST

START_TEST(multiple_counts_for_each)
{
    peer_declare(a, "r", "");
    peer_qos(b, 1, 2, false);
    peer_consume(b, 1, "q", "x", "", 0);
    peer_consume(b, 1, "r", "y", "", 0);
    peer_send(a, "q", "ab", "p");
    peer_send(a, "r", "cd", "");
    peer_send(a, "q", "efg", "");
    peer_send(a, "r", "h", "");
    peer_get(b, 1, "q", false);
    peer_ack(b, 1, 2); /* a hole */
    peer_settle(b, 1, 5, true, LEV_SETTLE_ACK);
    peer_expect(b, "x:1=a x:2=b y:3=c y:4=d get:5=e,2 x:6=f x:7=g y:8=h");
    ck_assert_uint_eq(stage_unacked(&st, "q"), 2);
    ck_assert_uint_eq(stage_unacked(&st, "r"), 1);
    peer_cancel(b, 1, "x");
    peer_settle(b, 1, 8, true, LEV_SETTLE_REJECT);
    ck_assert_uint_eq(stage_unacked(&st, "q") + stage_ready(&st, "q"), 0);
    ck_assert_uint_eq(stage_unacked(&st, "r"), 0);
    ck_assert_uint_eq(b->ch[1].n_unacked + b->ch[1].n_unacked_consumed, 0);
    peer_send(a, "r", "ij", "");
    peer_expect(b, "y:9=i y:10=j");
}
END_TEST

START_TEST(multiple_opens_the_channels_window)
{
    peer_declare(a, "r", "");
    peer_qos(b, 1, 3, true);
    peer_consume(b, 1, "q", "x", "", 0);
    peer_consume(b, 1, "r", "y", "", 0);
    peer_send(a, "q", "abcd", "");
    peer_send(a, "r", "ef", "");
    peer_expect(b, "x:1=a x:2=b x:3=c");
    peer_settle(b, 1, 2, true, LEV_SETTLE_ACK);
    peer_expect(b, "x:4=d y:5=e");
    peer_settle(b, 1, 0, true, LEV_SETTLE_ACK);
    peer_expect(b, "y:6=f");
}
END_TEST

START_TEST(multiple_over_a_deleted_queue)
{
    peer_declare(a, "r", "");
    peer_consume(b, 1, "r", "y", "", 0);
    peer_consume(b, 1, "q", "x", "", 0);
    peer_send(a, "r", "ab", "");
    peer_send(a, "q", "c", "");
    peer_delete(a, "r", "");
    peer_expect(b, "y:1=a y:2=b x:3=c cancel:y");
    ck_assert_int_eq(peer_settle(b, 1, 3, true, LEV_SETTLE_ACK), 0);
    ck_assert_uint_eq(stage_unacked(&st, "q"), 0);
}
END_TEST

START_TEST(tags_go_on_over_consumers_and_gets)
{
    peer_send(a, "q", "abcd", "");
    peer_get(b, 1, "q", true);
    peer_get(b, 1, "q", false);
    peer_consume(b, 1, "q", "x", "", 0);
    peer_consume(b, 2, "q", "y", "", 0);
    peer_expect(b, "get:1=a,3 get:2=b,2 x:3=c x:4=d");
    peer_send(a, "q", "ef", "");
    peer_expect(b, "x:5=e 2/y:1=f");
}
END_TEST

START_TEST(memory_follows_what_is_outstanding)
{
    peer_send(a, "q", "a", "");
    peer_consume(b, 1, "q", "x", "", 0);
    for (uint64_t tag = 2; tag < 20000; tag++) { /* the first stays */
        peer_send(a, "q", "b", "");
        ck_assert_int_eq(peer_ack(b, 1, tag), 0);
        if (tag % 500 == 0)
            peer_drain(b);
    }
    ck_assert_uint_eq(b->ch[1].n_unacked, 1);
    ck_assert_uint_le(b->ch[1].unacked.cap, 64);
    ck_assert_int_eq(peer_ack(b, 1, 1), 0);
    ck_assert_uint_eq(b->ch[1].unacked.len, 0);
}
END_TEST

START_TEST(a_large_list_with_holes)
{
    enum { N = 5000 };
    peer_consume(b, 1, "q", "x", "", 0);
    for (int i = 0; i < N; i++)
        peer_publish(a, 1, "", "q", "m", i % 2 ? "p" : "");
    peer_drain(b);
    for (uint64_t tag = 1; tag <= N; tag++)
        if (tag % 7 != 0)
            ck_assert_int_eq(peer_ack(b, 1, tag), 0);
    for (uint64_t tag = 1; tag <= N; tag++) {
        struct lev_unacked *u = lev_chan_find(&b->ch[1], tag);
        ck_assert((u != NULL) == (tag % 7 == 0));
        ck_assert(!u || u->tag == tag);
    }
    ck_assert_uint_eq(stage_unacked(&st, "q"), N / 7);
    peer_cancel(b, 1, "x");
    peer_recover(b, 1);
    ck_assert_uint_eq(stage_ready(&st, "q"), N / 7);
    ck_assert_ptr_null(b->ch[1].unacked.a); /* a large array is given back */
    stage_run(&st);
    stage_check(&st);
}
END_TEST

START_TEST(closing_twice_is_closing_once)
{
    peer_send(a, "q", "a", "");
    peer_get(b, 1, "q", false);
    peer_close_channel(b, 1);
    peer_close_channel(b, 1);
    ck_assert_uint_eq(stage_ready(&st, "q"), 1);
    stage_hold(&st);
    lev_client_end(&b->client);
    lev_client_end(&b->client);
    stage_release(&st);
    ck_assert_uint_eq(st.v->n_channels, PEER_CHANNELS);
    ck_assert_uint_eq(st.v->n_clients, 2);
    peer_expect(b, "get:1=a,0"); /* output is still possible */
}
END_TEST

START_TEST(a_get_that_waits_ends_with_its_channel)
{
    static const struct lev_windows tiny = {8, 4, 4000, 2000, 8, 4000, 1 << 20};
    lev_vhost_set_windows(st.v, &tiny);
    peer_declare(a, "t", "a");
    peer_consume(b, 1, "t", "x", "", 0);
    peer_qos(b, 1, 1, true);
    peer_send(a, "t", "abcdefghijklmnopqrstuvwxyz", "");
    stage_run(&st);
    while (!b->client.suspended)
        peer_get(b, 1, "t", true);
    peer_drain(b);
    peer_forget_events(b);
    peer_close_channel(b, 1); /* takes the queue with it */
    ck_assert_ptr_null(stage_queue(&st, "t"));
    peer_expect(b, "");
    ck_assert(!b->client.suspended);
    stage_run(&st);
}
END_TEST

/* --- direct reply-to --- */

static struct lev_consumer *reply_consumer(struct peer *p, int ch, bool no_ack)
{
    const struct lev_consume_args args = {.tag = LEV_LIT("r"), .no_ack = no_ack};
    struct lev_consumer *c = NULL;
    stage_hold(&st);
    if (lev_reply_consume(&p->ch[ch], &args, &c, &p->err) < 0)
        c = NULL;
    stage_release(&st);
    return c;
}

START_TEST(replies_find_their_channel)
{
    ck_assert_ptr_nonnull(reply_consumer(b, 2, true));
    ck_assert_ptr_null(reply_consumer(b, 2, true));
    char name[64];
    snprintf(name, sizeof(name), "%.*s", LEV_FMT(b->ch[2].reply_token));
    ck_assert(lev_is_reply_name(lev_bytes_str(name)));
    ck_assert_int_eq(peer_publish(a, 1, "", name, "hello", "m"), 0);
    peer_expect(b, "2/r:1=hello");
    peer_expect(a, "");
    peer_cancel(b, 2, "r");
    ck_assert_int_eq(peer_publish(a, 1, "", name, "late", ""), 0);
    peer_close_channel(b, 2);
    ck_assert_int_eq(peer_publish(a, 1, "", name, "later", ""), 0);
    peer_expect(b, "");
}
END_TEST

START_TEST(reply_consumers_take_without_ack)
{
    ck_assert_ptr_null(reply_consumer(b, 1, false));
    ck_assert_uint_eq(b->err.code, LEV_PRECONDITION_FAILED);
    ck_assert_str_eq(b->err.text, "reply consumer cannot acknowledge");
    ck_assert_ptr_nonnull(reply_consumer(b, 1, true));
    ck_assert_int_eq(peer_consume(b, 1, "q", "r", "", 0), -1); /* its tag is taken */
}
END_TEST

/* --- the outbox --- */

START_TEST(one_word_until_it_is_taken)
{
    peer_consume(b, 1, "q", "x", "n", 0);
    peer_send(a, "q", "abc", ""); /* on_notify of the stage fails on a second word */
    ck_assert(b->told);
    peer_expect(b, "x:1=a x:2=b x:3=c");
    ck_assert(!b->told);
    peer_send(a, "q", "d", "");
    ck_assert(b->told);
    peer_expect(b, "x:4=d");
}
END_TEST

START_TEST(a_cancelled_consumer_lives_until_its_deliveries_are_read)
{
    peer_consume(b, 1, "q", "x", "", 0);
    peer_send(a, "q", "ab", "");
    peer_cancel(b, 1, "x");
    peer_close_channel(b, 1);
    peer_delete(a, "q", "");
    peer_expect(b, "x:1=a x:2=b");
}
END_TEST

START_TEST(bytes_stand_in_line)
{
    uint8_t *bytes = malloc(3);
    ck_assert_ptr_nonnull(bytes);
    memcpy(bytes, "xyz", 3);
    peer_send(a, "q", "a", "");
    peer_get(b, 1, "q", true);
    stage_hold(&st);
    lev_client_push_bytes(&b->client, bytes, 3);
    stage_release(&st);
    peer_get(b, 1, "q", true);
    peer_drain(b);
    ck_assert_uint_eq(b->n_events, 3);
    ck_assert_int_eq(b->events[1].kind, LEV_OUT_BYTES);
    ck_assert_uint_eq(b->events[1].n, 3);
    ck_assert_uint_eq(b->client.out_bytes, 0);
}
END_TEST

/* What the outbox holds counts before the socket has it. */
START_TEST(output_counts_from_the_outbox_on)
{
    size_t each;
    st.pad = 100 * 1024;
    peer_consume(b, 1, "q", "x", "n", 0);
    peer_send(a, "q", "a", "");
    each = lev_client_pending(&b->client);
    ck_assert_uint_gt(each, st.pad);
    ck_assert_uint_eq(b->client.out_bytes, 0);
    b->stalled = true;
    peer_drain(b);
    peer_send(a, "q", "b", "");
    ck_assert_uint_eq(b->client.out_bytes, each);
    ck_assert_uint_eq(lev_client_pending(&b->client), 2 * each);
    peer_unstall(b); /* the first */
    peer_send(a, "q", "cdefghijklm", "");
    ck_assert(b->client.parked); /* nothing of it was taken yet */
    ck_assert_uint_eq(b->client.out_bytes, 0);
    ck_assert_uint_eq(stage_ready(&st, "q"), 1);
    peer_expect(b, "x:1=a x:2=b x:3=c x:4=d x:5=e x:6=f x:7=g x:8=h x:9=i x:10=j x:11=k x:12=l "
                   "x:13=m");
    ck_assert(!b->client.parked);
    ck_assert_uint_eq(lev_client_pending(&b->client), 0);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("broker_chan");
    TCase *tc = tcase_create("tags");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, unknown_tags);
    tcase_add_test(tc, multiple_takes_all_below);
    tcase_add_test(tc, multiple_counts_for_each);
    tcase_add_test(tc, multiple_opens_the_channels_window);
    tcase_add_test(tc, multiple_over_a_deleted_queue);
    tcase_add_test(tc, tags_go_on_over_consumers_and_gets);
    tcase_add_test(tc, memory_follows_what_is_outstanding);
    tcase_add_test(tc, a_large_list_with_holes);
    tcase_add_test(tc, closing_twice_is_closing_once);
    tcase_add_test(tc, a_get_that_waits_ends_with_its_channel);
    suite_add_tcase(s, tc);
    tc = tcase_create("reply");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, replies_find_their_channel);
    tcase_add_test(tc, reply_consumers_take_without_ack);
    suite_add_tcase(s, tc);
    tc = tcase_create("outbox");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, one_word_until_it_is_taken);
    tcase_add_test(tc, a_cancelled_consumer_lives_until_its_deliveries_are_read);
    tcase_add_test(tc, bytes_stand_in_line);
    tcase_add_test(tc, output_counts_from_the_outbox_on);
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
