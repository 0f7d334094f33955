/* Messages held for a retry, and dead ones that wait for their exchange. */
#include "args.h"
#include "stage.h"

#include <check.h>

#include "base/err.h"
#include "base/log.h"

static struct stage st;
static struct peer *p;

static const struct lev_windows tiny = {.max = 8,
                                        .keep = 4,
                                        .max_bytes = 4000,
                                        .keep_bytes = 500,
                                        .tail_max = 8,
                                        .tail_max_bytes = 4000,
                                        .pressure = 100000};

static void begin(const struct lev_windows *w)
{
    stage_init(&st, w);
    p = stage_peer(&st, 0);
}

static void declare(const char *name, const char *arguments)
{
    ck_assert_msg(peer_declare_args(p, name, "d", args(arguments)) == 0, "%s", p->err.text);
}

static void get(const char *queue, const char *expected)
{
    ck_assert_int_eq(peer_get(p, 1, queue, false), 0);
    stage_run(&st);
    peer_expect(p, expected);
}

static int reject(uint64_t tag, bool requeue)
{
    return peer_settle(p, 1, tag, false, requeue ? LEV_SETTLE_FAIL : LEV_SETTLE_REJECT);
}

#define QUORUM "x-queue-type=Squorum "
#define RETRY(type)                                                                                \
    "x-delayed-retry-type=S" type " x-delayed-retry-min=I100 x-delayed-retry-max=I250"
#define ALO                                                                                        \
    QUORUM "x-overflow=Sreject-publish x-dead-letter-strategy=Sat-least-once "                     \
           "x-dead-letter-exchange=S x-dead-letter-routing-key=Sdead"

/* --- delayed retry --- */

START_TEST(backs_off)
{
    begin(NULL);
    declare("q", QUORUM RETRY("all"));
    peer_send(p, "q", "ab", "p");
    get("q", "get:1=a,1");
    ck_assert_int_eq(reject(1, true), 0);
    ck_assert_uint_eq(stage_ready(&st, "q"), 1);
    ck_assert_uint_eq(stage_unacked(&st, "q"), 1);
    stage_advance(&st, 99);
    ck_assert_uint_eq(stage_ready(&st, "q"), 1);
    stage_advance(&st, 1);
    get("q", "get:2=a,1!"); /* in its old place */
    ck_assert_int_eq(reject(2, true), 0);
    stage_advance(&st, 199);
    get("q", "get:3=b,0");
    stage_advance(&st, 1);
    get("q", "get:4=a,0!");
    ck_assert_int_eq(reject(4, true), 0);
    stage_advance(&st, 249); /* 300, but at most 250 */
    get("q", "empty");
    stage_advance(&st, 1);
    get("q", "get:5=a,0!");
    stage_deinit(&st);
}
END_TEST

/* Only the store of persistent ones knows it. */
START_TEST(counts_of_transient_ones_outlive_paging)
{
    static const char early[] = "abcdefgh", late[] = "ijklmnopqrstuvwxyz";
    begin(&tiny);
    declare("q", RETRY("failed"));
    peer_send(p, "q", early, "");
    for (uint64_t i = 0; i < sizeof(early) - 1; i++)
        ck_assert_int_eq(peer_get(p, 1, "q", false), 0);
    for (uint64_t i = 0; i < sizeof(early) - 1; i++)
        ck_assert_int_eq(reject(i + 1, true), 0);
    stage_advance(&st, 100);
    peer_send(p, "q", late, "");
    stage_run(&st);
    ck_assert(stage_queue(&st, "q")->paged);
    peer_drain(p);
    peer_forget_events(p);
    for (uint64_t i = 0; i < sizeof(early) - 1; i++) {
        ck_assert_int_eq(peer_get(p, 1, "q", true), 0);
        stage_run(&st);
        peer_drain(p);
    }
    ck_assert_uint_eq(p->n_events, sizeof(early) - 1);
    for (size_t i = 0; i < p->n_events; i++)
        ck_assert_int_eq(p->events[i].count, 1);
    peer_forget_events(p);
    stage_deinit(&st);
}
END_TEST

START_TEST(which_returns)
{
    static const struct {
        const char *arguments;
        bool failed, returned;
    } rows[] = {{QUORUM RETRY("all"), true, true},
                {QUORUM RETRY("failed"), true, false},
                {QUORUM RETRY("returned"), false, true},
                {QUORUM RETRY("disabled"), false, false},
                {QUORUM "x-delayed-retry-type=Sall", false, false},
                {RETRY("all"), true, true},
                {"x-max-priority=I3 " RETRY("failed"), true, false}};
    begin(NULL);
    declare("q", rows[_i].arguments);
    peer_send(p, "q", "ab", "p");
    get("q", "get:1=a,1");
    get("q", "get:2=b,0");
    ck_assert_int_eq(reject(1, true), 0);
    ck_assert_uint_eq(stage_ready(&st, "q"), !rows[_i].failed);
    ck_assert_int_eq(peer_requeue(p, 1, 2), 0);
    ck_assert_uint_eq(stage_ready(&st, "q"), !rows[_i].failed + !rows[_i].returned);
    stage_advance(&st, 100);
    ck_assert_uint_eq(stage_ready(&st, "q"), 2);
    get("q", "get:3=a,1!");
    peer_close_channel(p, 1); /* failed, too: the second time */
    peer_open_channel(p, 1);
    ck_assert_uint_eq(stage_ready(&st, "q"), 1 + !rows[_i].failed);
    stage_deinit(&st);
}
END_TEST

START_TEST(held_over_a_crash)
{
    begin(NULL);
    declare("q", QUORUM RETRY("all"));
    peer_send(p, "q", "ab", "p");
    get("q", "get:1=a,1");
    ck_assert_int_eq(reject(1, true), 0);
    stage_run(&st);
    stage_crash(&st);
    p = stage_peer(&st, 0);
    get("q", "get:1=a,1!");
    ck_assert_int_eq(reject(1, true), 0);
    stage_advance(&st, 199); /* its count was not forgotten */
    ck_assert_uint_eq(stage_ready(&st, "q"), 1);
    stage_advance(&st, 1);
    ck_assert_uint_eq(stage_ready(&st, "q"), 2);
    stage_deinit(&st);
}
END_TEST

START_TEST(held_and_purged)
{
    begin(NULL);
    declare("q", QUORUM RETRY("all"));
    declare("c", RETRY("all"));
    peer_send(p, "q", "abc", "p");
    peer_send(p, "c", "x", "");
    get("q", "get:1=a,2");
    get("q", "get:2=b,1");
    ck_assert_int_eq(reject(1, true), 0);
    ck_assert_int_eq(peer_purge(p, "q"), 2);
    ck_assert_uint_eq(stage_unacked(&st, "q"), 1);
    stage_run(&st);
    ck_assert_uint_eq(stage_rows(&st, "q"), 1);
    get("c", "get:3=x,0");
    ck_assert_int_eq(reject(3, true), 0);
    ck_assert_int_eq(peer_delete(p, "c", "e"), -1);
    ck_assert_int_eq(peer_delete(p, "c", ""), 1);
    stage_advance(&st, 1000);
    ck_assert_uint_eq(stage_ready(&st, "q"), 0);
    stage_deinit(&st);
}
END_TEST

START_TEST(held_until_it_expires)
{
    begin(NULL);
    declare("dead", "");
    declare(
        "q",
        "x-message-ttl=I50 x-dead-letter-exchange=S x-dead-letter-routing-key=Sdead " RETRY("all"));
    peer_send(p, "q", "a", "p");
    get("q", "get:1=a,0");
    ck_assert_int_eq(reject(1, true), 0);
    stage_advance(&st, 49);
    ck_assert_uint_eq(stage_ready(&st, "dead"), 0);
    stage_advance(&st, 1);
    ck_assert_uint_eq(stage_ready(&st, "dead"), 1);
    stage_deinit(&st);
}
END_TEST

/* Hundreds are held, and few of their bodies. */
START_TEST(held_out_of_memory)
{
    begin(&tiny);
    declare("q", QUORUM RETRY("all"));
    st.pad = 100;
    for (int i = 0; i < 300; i++) {
        ck_assert_int_eq(peer_publish(p, 1, "", "q", "m", ""), 0);
        stage_run(&st);
        ck_assert_int_eq(peer_get(p, 1, "q", false), 0);
        ck_assert_int_eq(reject((uint64_t)i + 1, true), 0);
    }
    const struct lev_park *k = stage_queue(&st, "q")->park[LEV_PARK_RETRY];
    ck_assert_uint_eq(k->n, 300);
    ck_assert_uint_lt(k->in_memory, 1000);
    lev_store_mem_fail_reads(st.store, LEV_EIO);
    stage_advance(&st, 100);
    stage_run(&st);
    stage_check(&st);
    lev_store_mem_fail_reads(st.store, 0);
    for (int i = 0; i < 20; i++) {
        stage_advance(&st, 100);
        stage_run(&st);
        stage_check(&st);
    }
    ck_assert_uint_eq(stage_unacked(&st, "q"), 0);
    ck_assert_uint_eq(stage_ready(&st, "q"), 300);
    stage_deinit(&st);
}
END_TEST

/* --- at-least-once --- */

START_TEST(waits_for_a_route)
{
    begin(NULL);
    declare("q", ALO);
    peer_send(p, "q", "ab", "p");
    get("q", "get:1=a,1");
    ck_assert_int_eq(reject(1, false), 0);
    ck_assert_uint_eq(stage_unacked(&st, "q"), 1);
    stage_advance(&st, LEV_PARK_DEAD_MS);
    ck_assert_int_eq(peer_purge(p, "q"), 1); /* not the dead */
    ck_assert_uint_eq(stage_unacked(&st, "q"), 1);
    declare("dead", "");
    stage_advance(&st, LEV_PARK_DEAD_MS);
    ck_assert_uint_eq(stage_unacked(&st, "q"), 0);
    stage_run(&st);
    ck_assert_uint_eq(stage_rows(&st, "q"), 0);
    get("dead", "get:2=a,0");
    stage_deinit(&st);
}
END_TEST

START_TEST(waits_for_room)
{
    begin(NULL);
    declare("q", ALO " x-max-length=I2 x-message-ttl=I0");
    declare("dead", "x-max-length=I1 x-overflow=Sreject-publish");
    ck_assert_int_eq(peer_confirm_select(p, 1), 0);
    peer_send(p, "q", "abc", "p");
    stage_advance(&st, 0);
    peer_send(p, "q", "de", "p"); /* b waits, and counts: e is refused */
    stage_run(&st);
    peer_expect(p, "ok2+ no3 ok4 no5");
    ck_assert_uint_eq(stage_ready(&st, "dead"), 1);
    ck_assert_uint_eq(stage_unacked(&st, "q"), 1);
    get("dead", "get:1=a,0");
    stage_advance(&st, LEV_PARK_DEAD_MS);
    get("dead", "get:2=b,0");
    ck_assert_uint_eq(stage_unacked(&st, "q"), 1);
    stage_run(&st);
    stage_crash(&st);
    p = stage_peer(&st, 0);
    stage_run(&st);
    stage_advance(&st, LEV_PARK_DEAD_MS);
    stage_run(&st);
    ck_assert_uint_eq(stage_ready(&st, "dead"), 2); /* a and b, which came back */
    ck_assert_uint_eq(stage_unacked(&st, "q"), 1);
    stage_deinit(&st);
}
END_TEST

/* A target that has its copy gets no other. */
START_TEST(one_of_two_refuses)
{
    begin(NULL);
    peer_fanout(p, "fx");
    declare("q", QUORUM "x-overflow=Sreject-publish x-dead-letter-strategy=Sat-least-once "
                        "x-dead-letter-exchange=Sfx");
    declare("d1", "");
    declare("d2", "x-max-length=I0 x-overflow=Sreject-publish");
    peer_bind(p, "fx", "d1");
    peer_bind(p, "fx", "d2");
    peer_bind(p, "fx", "q"); /* itself: taken at once */
    peer_send(p, "q", "a", "p");
    get("q", "get:1=a,0");
    ck_assert_int_eq(reject(1, false), 0);
    stage_advance(&st, LEV_PARK_DEAD_MS);
    stage_advance(&st, LEV_PARK_DEAD_MS);
    ck_assert_uint_eq(stage_ready(&st, "d1"), 1);
    ck_assert_uint_eq(stage_ready(&st, "q"), 1);
    ck_assert_uint_eq(stage_unacked(&st, "q"), 1);
    ck_assert_int_eq(peer_delete(p, "d2", ""), 0);
    stage_advance(&st, LEV_PARK_DEAD_MS);
    ck_assert_uint_eq(stage_unacked(&st, "q"), 0);
    ck_assert_uint_eq(stage_ready(&st, "d1"), 1);
    stage_deinit(&st);
}
END_TEST

START_TEST(at_most_once_otherwise)
{
    static const char *const arguments[] = {
        QUORUM "x-dead-letter-strategy=Sat-least-once x-dead-letter-exchange=Snone",
        QUORUM "x-overflow=Sreject-publish x-dead-letter-exchange=Snone",
        QUORUM "x-overflow=Sreject-publish x-dead-letter-strategy=Sat-least-once",
        "x-overflow=Sreject-publish x-dead-letter-exchange=Snone"};
    begin(NULL);
    declare("q", arguments[_i]);
    peer_send(p, "q", "a", "p");
    get("q", "get:1=a,0");
    ck_assert_int_eq(reject(1, false), 0);
    ck_assert_uint_eq(stage_unacked(&st, "q"), 0);
    stage_run(&st);
    ck_assert_uint_eq(stage_rows(&st, "q"), 0);
    stage_deinit(&st);
}
END_TEST

/* Many wait with few bodies in memory, and leave once they can. */
START_TEST(many_dead)
{
    begin(&tiny);
    declare("q", ALO);
    st.pad = 100;
    for (int i = 0; i < 600; i++) {
        ck_assert_int_eq(peer_publish(p, 1, "", "q", "m", ""), 0);
        stage_run(&st);
        ck_assert_int_eq(peer_get(p, 1, "q", false), 0);
        ck_assert_int_eq(reject((uint64_t)i + 1, false), 0);
    }
    ck_assert_uint_lt(stage_queue(&st, "q")->park[LEV_PARK_DEAD]->in_memory, 1000);
    for (int i = 0; i < 5; i++) {
        stage_advance(&st, LEV_PARK_DEAD_MS);
        stage_run(&st);
    }
    ck_assert_uint_eq(stage_unacked(&st, "q"), 600);
    declare("dead", "");
    for (int i = 0; i < 30; i++) {
        stage_advance(&st, LEV_PARK_DEAD_MS / 10);
        stage_run(&st);
    }
    ck_assert_uint_eq(stage_unacked(&st, "q"), 0);
    ck_assert_uint_eq(stage_ready(&st, "dead"), 600);
    stage_deinit(&st);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("broker_park");
    TCase *tc = tcase_create("retry");
    tcase_add_test(tc, backs_off);
    tcase_add_test(tc, counts_of_transient_ones_outlive_paging);
    tcase_add_loop_test(tc, which_returns, 0, 7);
    tcase_add_test(tc, held_over_a_crash);
    tcase_add_test(tc, held_and_purged);
    tcase_add_test(tc, held_until_it_expires);
    tcase_add_test(tc, held_out_of_memory);
    suite_add_tcase(s, tc);
    tc = tcase_create("dead");
    tcase_add_test(tc, waits_for_a_route);
    tcase_add_test(tc, waits_for_room);
    tcase_add_test(tc, one_of_two_refuses);
    tcase_add_loop_test(tc, at_most_once_otherwise, 0, 4);
    tcase_add_test(tc, many_dead);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    lev_log_set_level(LEV_LOG_NONE); /* reads fail */
    SRunner *sr = srunner_create(suite());
    srunner_run_all(sr, CK_NORMAL);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? 0 : 1;
}
