/* Time to live and length limits where they meet: each other, priorities, what is on disk. */
#include "args.h"
#include "stage.h"

#include <check.h>

static struct stage st;
static struct peer *p;

static void begin(const char *arguments)
{
    stage_init(&st, NULL);
    p = stage_peer(&st, 0);
    ck_assert_int_eq(peer_declare_args(p, "q", "d", args(arguments)), 0);
}

static void send(const char *bodies, uint8_t priority, uint64_t expiration_ms)
{
    st.priority = priority;
    st.expiration_ms = expiration_ms;
    peer_send(p, "q", bodies, "p");
}

static void expect_get(const char *expected)
{
    ck_assert_int_eq(peer_get(p, 1, "q", false), 0);
    stage_run(&st);
    peer_expect(p, expected);
}

/* The limit takes a, which never expires; b, the new head, does. */
START_TEST(new_head_expires)
{
    begin("x-max-length=I2");
    send("a", 0, UINT64_MAX);
    send("b", 0, 50);
    send("c", 0, UINT64_MAX);
    ck_assert_uint_eq(stage_ready(&st, "q"), 2);
    stage_advance(&st, 49);
    ck_assert_uint_eq(stage_ready(&st, "q"), 2);
    stage_advance(&st, 1);
    ck_assert_uint_eq(stage_ready(&st, "q"), 1);
    expect_get("get:1=c,0");
    stage_deinit(&st);
}
END_TEST

/* A message that may not wait counts until it is at the head. */
START_TEST(ttl_zero_behind_a_live_one)
{
    begin("x-max-length=I5");
    send("x", 0, 0);
    ck_assert_uint_eq(stage_ready(&st, "q"), 0);
    send("a", 0, UINT64_MAX);
    send("yz", 0, 0);
    send("b", 0, UINT64_MAX);
    stage_advance(&st, 10);
    stage_run(&st);
    ck_assert_uint_eq(stage_ready(&st, "q"), 4);
    ck_assert_uint_eq(stage_rows(&st, "q"), 4);
    expect_get("get:1=a,1");
    ck_assert_uint_eq(stage_ready(&st, "q"), 1);
    expect_get("get:2=b,0");
    ck_assert_uint_eq(stage_rows(&st, "q"), 2);
    stage_deinit(&st);
}
END_TEST

/* Too many come back: the highest go, also when they are not in memory first. */
START_TEST(drops_highest_after_a_crash)
{
    begin("x-max-length=I2 x-max-priority=I3");
    send("ab", 0, UINT64_MAX);
    expect_get("get:1=a,1");
    expect_get("get:2=b,0");
    send("cd", 3, UINT64_MAX);
    stage_run(&st);
    stage_crash(&st);
    p = stage_peer(&st, 0);
    stage_advance(&st, 0);
    stage_run(&st);
    ck_assert_uint_eq(stage_ready(&st, "q"), 2);
    expect_get("get:1=a,1!");
    expect_get("get:2=b,0!");
    stage_deinit(&st);
}
END_TEST

/* What channels hold of a priority queue counts in the vhost. */
START_TEST(counts_unacked_of_levels)
{
    struct lev_vhost_stats stats;
    begin("x-max-priority=I3");
    send("a", 2, UINT64_MAX);
    expect_get("get:1=a,0");
    lev_vhost_stats(st.v, &stats);
    ck_assert_uint_eq(stats.unacked, 1);
    stage_deinit(&st);
}
END_TEST

/* Memory is nearly used up: what one level reads makes others give back, which they do not read
 * again at once. */
START_TEST(reads_settle_under_pressure)
{
    const struct lev_windows w = {.max = 16,
                                  .keep = 8,
                                  .max_bytes = 100000,
                                  .keep_bytes = 100000,
                                  .tail_max = 8,
                                  .tail_max_bytes = 100000,
                                  .pressure = 4000};
    stage_init(&st, &w);
    p = stage_peer(&st, 0);
    ck_assert_int_eq(peer_declare_args(p, "q", "d", args("x-max-priority=I2")), 0);
    ck_assert_int_eq(peer_declare(p, "other", "d"), 0);
    st.pad = 200;
    for (uint8_t priority = 0; priority <= 2; priority++)
        send("abcdefghijklmnopqrstuvwxyz", priority, UINT64_MAX);
    st.pad = 3000;
    ck_assert_int_eq(peer_publish(p, 1, "", "other", "x", ""), 0);
    stage_run(&st);
    for (int i = 0; i < 78; i++) {
        ck_assert_int_eq(peer_get(p, 1, "q", true), 0);
        stage_run(&st);
        stage_check(&st);
    }
    ck_assert_uint_eq(stage_ready(&st, "q"), 0);
    ck_assert_uint_eq(stage_ready(&st, "other"), 1);
    stage_deinit(&st);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("broker_limits");
    TCase *tc = tcase_create("limits");
    tcase_add_test(tc, new_head_expires);
    tcase_add_test(tc, ttl_zero_behind_a_live_one);
    tcase_add_test(tc, drops_highest_after_a_crash);
    tcase_add_test(tc, counts_unacked_of_levels);
    tcase_add_test(tc, reads_settle_under_pressure);
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
