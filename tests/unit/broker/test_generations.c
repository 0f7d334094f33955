/* Deaths that bring about more deaths than one run routes: none is lost when the process dies in
 * between. Queues that give up all they get, and send it to each other: n of them make n! copies.
 */
#include "args.h"
#include "stage.h"

#include <check.h>
#include <stdio.h>

/* Messages that one makes: it dies once in the queue it is sent to, and once at the end of each way
 * through some of the others. All of them come to the sink. */
enum { OTHERS = 7, COPIES = 1 + 7 + 42 + 210 + 840 + 2520 + 5040 + 5040 };

#define TO_ALL "x-dead-letter-exchange=Sall "

static struct stage st;
static struct peer *p;

static void begin(const char *start, const char *others)
{
    char name[16];
    stage_init(&st, NULL);
    p = stage_peer(&st, 0);
    peer_fanout(p, "all");
    ck_assert_int_eq(peer_declare_args(p, "start", "d", args(start)), 0);
    ck_assert_int_eq(peer_declare(p, "sink", "d"), 0);
    peer_bind(p, "all", "sink");
    for (int i = 0; i < OTHERS; i++) {
        snprintf(name, sizeof(name), "q%d", i);
        ck_assert_int_eq(peer_declare_args(p, name, "d", args(others)), 0);
        peer_bind(p, "all", name);
    }
    stage_run(&st);
}

static void finish(void)
{
    while (st.v->put_off.n)
        stage_advance(&st, 1);
    stage_run(&st);
}

/* The store has all of this run, and no later run comes. */
static void crash(void)
{
    struct lev_deaths put_off = st.v->put_off;
    ck_assert_uint_gt(put_off.n, 0);
    st.v->put_off = (struct lev_deaths){0};
    stage_run(&st);
    st.v->put_off = put_off;
    stage_crash(&st);
    stage_advance(&st, 1);
    finish();
}

static void end(uint64_t copies)
{
    ck_assert_uint_eq(stage_ready(&st, "sink"), copies);
    ck_assert_uint_eq(stage_unacked(&st, "start"), 0);
    ck_assert_uint_eq(stage_ready(&st, "start"), 0);
    ck_assert_uint_eq(stage_unacked(&st, "q3"), 0);
    ck_assert_uint_eq(stage_rows(&st, "q3"), 0);
    ck_assert_uint_eq(stage_rows(&st, "start"), 0);
    stage_deinit(&st);
}

static const char *const ways_to_die[] = {TO_ALL "x-message-ttl=I0", TO_ALL "x-max-length=I0"};

START_TEST(all_arrive)
{
    begin(ways_to_die[_i], ways_to_die[_i]);
    peer_send(p, "start", "m", "p");
    ck_assert_uint_lt(stage_ready(&st, "sink"), COPIES);
    finish();
    end(COPIES);
}
END_TEST

START_TEST(all_arrive_after_a_crash)
{
    begin(ways_to_die[_i], ways_to_die[_i]);
    peer_send(p, "start", "m", "p");
    crash();
    end(COPIES);
}
END_TEST

/* Those refused have no place of their own: the one that all come from comes back, and everything
 * happens again. */
START_TEST(refused_begin_again)
{
    begin(ways_to_die[0], TO_ALL "x-max-length=I0 x-overflow=Sreject-publish-dlx");
    peer_send(p, "start", "m", "p");
    uint64_t before = stage_ready(&st, "sink");
    ck_assert_uint_lt(before, COPIES);
    ck_assert_uint_eq(stage_unacked(&st, "start"), 1);
    crash();
    end(before + COPIES);
}
END_TEST

START_TEST(source_deleted_meanwhile)
{
    begin(ways_to_die[0], TO_ALL "x-max-length=I0 x-overflow=Sreject-publish-dlx");
    peer_send(p, "start", "m", "p");
    ck_assert_int_ge(peer_delete(p, "start", ""), 0);
    finish();
    ck_assert_uint_eq(stage_ready(&st, "sink"), COPIES);
    stage_deinit(&st);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("broker_generations");
    TCase *tc = tcase_create("deaths");
    tcase_add_loop_test(tc, all_arrive, 0, 2);
    tcase_add_loop_test(tc, all_arrive_after_a_crash, 0, 2);
    tcase_add_test(tc, refused_begin_again);
    tcase_add_test(tc, source_deleted_meanwhile);
    tcase_set_timeout(tc, 60);
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
