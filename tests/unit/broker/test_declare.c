/* Queues come, go, and come back after a restart. */
#include "stage.h"

#include <check.h>

#include "broker/names.h"

static struct stage st;
static struct peer *a, *b;

static void open_peers(void)
{
    a = stage_peer(&st, 0);
    b = stage_peer(&st, 1);
}

static void setup(void)
{
    stage_init(&st, NULL);
    open_peers();
}

static void teardown(void)
{
    stage_deinit(&st);
}

/* What an attempt must fail with. */
static void refused(int rc, const struct peer *p, uint16_t code, const char *text)
{
    ck_assert_int_eq(rc, -1);
    ck_assert_uint_eq(p->err.code, code);
    ck_assert_str_eq(p->err.text, text);
}

START_TEST(redeclare_must_agree)
{
    ck_assert_int_eq(peer_declare(a, "q", "d"), 0);
    struct lev_queue *q = stage_queue(&st, "q");
    ck_assert_int_eq(peer_declare(b, "q", "d"), 0);
    ck_assert_ptr_eq(stage_queue(&st, "q"), q);
    ck_assert_int_eq(peer_declare(b, "q", "p"), 0); /* passive asks for nothing but the name */
    refused(
        peer_declare(a, "q", ""), a, LEV_PRECONDITION_FAILED,
        "inequivalent arg 'durable' for queue 'q' in vhost '/': received 'false' but current is "
        "'true'");
    refused(
        peer_declare(a, "q", "da"), a, LEV_PRECONDITION_FAILED,
        "inequivalent arg 'auto_delete' for queue 'q' in vhost '/': received 'true' but current is "
        "'false'");
    refused(peer_declare(a, "r", "p"), a, LEV_NOT_FOUND, "no queue 'r' in vhost '/'");
    ck_assert_ptr_null(stage_queue(&st, "r"));
}
END_TEST

START_TEST(exclusive_to_its_connection)
{
    static const char *text =
        "cannot obtain exclusive access to locked queue 'q' in vhost '/'. It could be originally "
        "declared on another connection or the exclusive property value does not match that of the "
        "original declaration.";
    ck_assert_int_eq(peer_declare(a, "q", "x"), 0);
    ck_assert_int_eq(peer_declare(a, "q", "x"), 0);
    ck_assert_int_eq(peer_declare(a, "q", "p"), 0);
    refused(peer_declare(b, "q", "x"), b, LEV_RESOURCE_LOCKED, text);
    refused(peer_declare(b, "q", "p"), b, LEV_RESOURCE_LOCKED, text);
    refused(peer_declare(a, "q", ""), a, LEV_RESOURCE_LOCKED, text);
    peer_close(a);
    ck_assert_int_eq(peer_declare(b, "q", ""), 0);
}
END_TEST

START_TEST(generated_names_differ)
{
    char one[LEV_GENERATED_MAX], two[LEV_GENERATED_MAX];
    struct lev_bytes x = lev_queue_declare_name(LEV_EMPTY, one);
    struct lev_bytes y = lev_queue_declare_name(LEV_EMPTY, two);
    ck_assert(lev_bytes_starts(x, LEV_LIT("amq.gen-")));
    ck_assert(!lev_bytes_eq(x, y));
    ck_assert(lev_bytes_eq(lev_queue_declare_name(LEV_LIT("q"), one), LEV_LIT("q")));
}
END_TEST

START_TEST(durable_ones_come_back)
{
    peer_declare(a, "q", "d");
    peer_declare(a, "qa", "da");
    peer_declare(a, "t", "");
    peer_declare(a, "x", "dx");
    peer_send(a, "q", "ab", "p");
    peer_send(a, "q", "c", "");
    peer_send(a, "t", "d", "p");
    stage_run(&st);
    if (_i)
        stage_crash(&st);
    else
        stage_restart(&st);
    open_peers();
    ck_assert_uint_eq(st.v->queues.len, 2);
    ck_assert_uint_eq(stage_ready(&st, "q"), 2);
    ck_assert_int_eq(peer_declare(a, "q", "d"), 0);
    ck_assert_int_eq(peer_declare(a, "qa", "da"), 0);
    peer_get(a, 1, "q", true);
    stage_run(&st);
    peer_send(a, "q", "e", "p");
    for (int i = 0; i < 3; i++)
        peer_get(a, 1, "q", true);
    peer_expect(a, "get:1=a,1 get:2=b,1 get:3=e,0 empty");
}
END_TEST

START_TEST(bindings_come_back)
{
    peer_fanout(a, "fx");
    peer_declare(a, "q", "d");
    peer_declare(a, "t", "");
    peer_bind(a, "fx", "q");
    peer_bind(a, "fx", "t");
    stage_restart(&st);
    open_peers();
    peer_declare(a, "t", "");
    peer_publish(a, 1, "fx", "", "a", "");
    ck_assert_uint_eq(stage_ready(&st, "q"), 1);
    ck_assert_uint_eq(stage_ready(&st, "t"), 0);
    stage_crash(&st);
    open_peers();
    ck_assert_uint_eq(stage_ready(&st, "q"), 0);
    peer_delete(a, "q", "");
    peer_declare(a, "q", "d");
    stage_restart(&st);
    open_peers();
    peer_publish(a, 1, "fx", "", "a", "m");
    peer_expect(a, "return=a");
}
END_TEST

START_TEST(deleted_ones_stay_away)
{
    peer_declare(a, "q", "d");
    peer_send(a, "q", "ab", "p");
    stage_run(&st);
    peer_delete(a, "q", "");
    if (_i)
        peer_declare(a, "q", "d");
    stage_run(&st);
    stage_crash(&st);
    open_peers();
    if (_i)
        ck_assert_uint_eq(stage_ready(&st, "q"), 0);
    else
        ck_assert_ptr_null(stage_queue(&st, "q"));
}
END_TEST

START_TEST(nothing_is_there_before_it_is_written)
{
    peer_declare(a, "q", "d");
    peer_send(a, "q", "a", "p");
    stage_crash(&st);
    open_peers();
    ck_assert_ptr_null(stage_queue(&st, "q"));
}
END_TEST

START_TEST(ids_are_not_shared)
{
    struct lev_windows w = lev_windows_default;
    w.max = 2;
    w.keep = 1;
    w.tail_max = 0;
    lev_vhost_set_windows(st.v, &w);
    peer_declare(a, "t", "");
    peer_declare(a, "q", "d");
    peer_send(a, "t", "abcd", ""); /* spilled: gets an id */
    peer_declare(a, "r", "d");
    uint32_t t = stage_queue(&st, "t")->id, q = stage_queue(&st, "q")->id,
             r = stage_queue(&st, "r")->id;
    ck_assert(t && q && r && t != q && q != r && t != r);
    peer_declare(a, "u", "");
    ck_assert_uint_eq(stage_queue(&st, "u")->id, 0);
    stage_run(&st);
    stage_crash(&st);
    open_peers();
    ck_assert_uint_eq(stage_queue(&st, "q")->id, q);
    ck_assert_uint_eq(stage_queue(&st, "r")->id, r);
    peer_declare(a, "s", "d");
    ck_assert_uint_ne(stage_queue(&st, "s")->id, q);
    ck_assert_uint_ne(stage_queue(&st, "s")->id, r);
}
END_TEST

START_TEST(a_route_ends_with_its_queue)
{
    peer_declare(a, "q", "");
    peer_send(a, "q", "a", "m"); /* the channel remembers the route */
    peer_send(a, "q", "b", "m");
    peer_delete(b, "q", "");
    peer_send(a, "q", "c", "m");
    peer_expect(a, "return=c");
    peer_declare(b, "q", "");
    peer_send(a, "q", "d", "m");
    ck_assert_uint_eq(stage_ready(&st, "q"), 1);
}
END_TEST

START_TEST(consumers_of_others_are_told)
{
    peer_declare(a, "q", "");
    peer_consume(a, 1, "q", "x", "", 0);
    peer_consume(b, 2, "q", "y", "", 0);
    peer_consume(b, 2, "q", "z", "n", 0);
    peer_delete(a, "q", "");
    peer_expect(a, "cancel:x");
    peer_expect(b, "2/cancel:y 2/cancel:z");
    ck_assert_ptr_null(lev_consumer_find(&b->ch[2], LEV_LIT("y")));
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("broker_declare");
    TCase *tc = tcase_create("declare");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, redeclare_must_agree);
    tcase_add_test(tc, exclusive_to_its_connection);
    tcase_add_test(tc, generated_names_differ);
    tcase_add_test(tc, a_route_ends_with_its_queue);
    tcase_add_test(tc, consumers_of_others_are_told);
    suite_add_tcase(s, tc);
    tc = tcase_create("restart");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, durable_ones_come_back, 0, 2);
    tcase_add_test(tc, bindings_come_back);
    tcase_add_loop_test(tc, deleted_ones_stay_away, 0, 2);
    tcase_add_test(tc, nothing_is_there_before_it_is_written);
    tcase_add_test(tc, ids_are_not_shared);
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
