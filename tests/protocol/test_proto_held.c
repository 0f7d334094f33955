/* Messages that a queue holds without having them ready: the dead that no target takes yet
 * (strategy at-least-once), and the returned that wait for another try (x-delayed-retry-*). None is
 * lost when the broker stops or is killed. */
#include <stdio.h>

#include "talk.h"

static struct talk_daemon broker;
static struct peer *p;

static void setup(void)
{
    talk_start(&broker, 0);
}

static void teardown(void)
{
    talk_end(&broker);
}

/* --- the dead --- */

#define AT_LEAST_ONCE                                                                              \
    "x-queue-type=Squorum x-overflow=Sreject-publish x-dead-letter-strategy=Sat-least-once "       \
    "x-dead-letter-exchange=Sdlx x-dead-letter-routing-key=Sdead"

static void reject_one(const char *queue)
{
    struct talk_got g;
    ck_assert(talk_get(p, queue, &g));
    talk_reject(p, g.tag, false);
}

static void expect_dead(const char *body, const char *reason)
{
    struct talk_got g;
    talk_wait_ready(p, "dead", 1);
    ck_assert(talk_get(p, "dead", &g));
    ck_assert_str_eq(g.body, body);
    struct lev_value why = talk_death(&g, 0, "reason");
    ck_assert(lev_bytes_eq(why.b, lev_bytes_str(reason)));
    ck_assert_int_eq(talk_death(&g, 0, "count").i, 1);
    peer_ack(p, 1, g.tag, false);
    talk_fence(p);
}

/* No exchange; then an exchange without a queue; then a queue. */
START_TEST(test_dead_wait_for_target)
{
    p = talk_begin(&broker, 0);
    talk_queue(p, "work", AT_LEAST_ONCE);
    talk_put(p, "work", "m");
    reject_one("work");
    talk_exchange(p, "dlx", "direct", NULL);
    ck_assert_uint_eq(talk_ready(p, "work"), 0);
    talk_queue(p, "dead", NULL);
    ck_assert_uint_eq(talk_ready(p, "dead"), 0);
    talk_bind(p, "dead", "dlx", "dead");
    expect_dead("m", "rejected");
    ck_assert_uint_eq(peer_delete(p, 1, "work"), 0);
    peer_goodbye(&p);
}
END_TEST

/* A target that refuses gets it when it has room. */
START_TEST(test_dead_wait_for_room)
{
    p = talk_begin(&broker, 0);
    talk_queue(p, "work", AT_LEAST_ONCE);
    talk_exchange(p, "dlx", "direct", NULL);
    talk_queue(p, "dead", "x-max-length=I1 x-overflow=Sreject-publish");
    talk_bind(p, "dead", "dlx", "dead");
    talk_put(p, "dead", "in the way");
    talk_put(p, "work", "m");
    reject_one("work");
    ck_assert_uint_eq(talk_ready(p, "work"), 0);
    talk_take(p, "dead", "in the way");
    expect_dead("m", "rejected");
    peer_goodbye(&p);
}
END_TEST

/* Dead by its TTL: after a restart it dies again, and waits again. */
START_TEST(test_dead_survive)
{
    p = talk_begin(&broker, _i);
    talk_queue(p, "work", AT_LEAST_ONCE " x-message-ttl=I1");
    talk_exchange(p, "dlx", "direct", NULL);
    talk_put(p, "work", "m");
    talk_wait_ready(p, "work", 0);
    talk_come_back(&broker, &p);
    talk_wait_ready(p, "work", 0);
    talk_queue(p, "dead", NULL);
    talk_bind(p, "dead", "dlx", "dead");
    expect_dead("m", "expired");
    talk_come_back(&broker, &p);
    ck_assert_uint_eq(talk_ready(p, "dead"), 0);
    ck_assert_uint_eq(talk_ready(p, "work"), 0);
    peer_goodbye(&p);
}
END_TEST

/* at-most-once: without a target it is gone. */
START_TEST(test_dead_without_strategy)
{
    p = talk_begin(&broker, _i);
    talk_queue(p, "work", "x-dead-letter-exchange=Sdlx x-dead-letter-routing-key=Sdead");
    talk_put(p, "work", "m");
    talk_put(p, "work", "n");
    reject_one("work");
    talk_exchange(p, "dlx", "direct", NULL);
    talk_queue(p, "dead", NULL);
    talk_bind(p, "dead", "dlx", "dead");
    reject_one("work");
    expect_dead("n", "rejected");
    talk_come_back(&broker, &p);
    ck_assert_uint_eq(talk_ready(p, "work"), 0);
    ck_assert_uint_eq(talk_ready(p, "dead"), 0);
    peer_goodbye(&p);
}
END_TEST

/* --- retries --- */

/* Each return waits longer, by the minimum, up to the maximum; then the delivery limit. */
START_TEST(test_retry)
{
    static const char *const types[] = {"classic", "quorum"};
    static const int delays[] = {150, 300, 300};
    char arguments[256];
    struct talk_got g;
    snprintf(arguments, sizeof(arguments),
             "x-queue-type=S%s x-delayed-retry-type=Sall x-delayed-retry-min=I150 "
             "x-delayed-retry-max=I300",
             types[_i]);
    p = talk_begin(&broker, 0);
    talk_queue(p, "work", arguments);
    talk_put(p, "work", "m");
    for (size_t i = 0; i < sizeof(delays) / sizeof(*delays); i++) {
        ck_assert(talk_get(p, "work", &g));
        ck_assert_int_eq(talk_header(&g, "x-delivery-count"), i ? (int64_t)i : -1);
        int64_t since = proto_now_ms();
        talk_reject(p, g.tag, true);
        talk_wait_ready(p, "work", 1);
        ck_assert_int_ge(proto_now_ms() - since, delays[i]);
    }
    talk_take(p, "work", "m");
    peer_goodbye(&p);
}
END_TEST

/* Held for an hour, or with a consumer: after a restart it is ready, flagged, with its count. */
START_TEST(test_retry_survives)
{
    struct talk_got g;
    p = talk_begin(&broker, _i);
    talk_queue(p, "work",
               "x-queue-type=Squorum x-delayed-retry-type=Sfailed "
               "x-delayed-retry-min=I3600000");
    talk_put(p, "work", "held");
    talk_put(p, "work", "other");
    ck_assert(talk_get(p, "work", &g));
    talk_reject(p, g.tag, true);
    talk_take(p, "work", "other");
    ck_assert_uint_eq(talk_ready(p, "work"), 0);
    talk_fence(p);
    talk_come_back(&broker, &p);
    talk_wait_ready(p, "work", 1);
    ck_assert(talk_get(p, "work", &g));
    ck_assert_str_eq(g.body, "held");
    ck_assert(g.redelivered);
    ck_assert_int_ge(talk_header(&g, "x-delivery-count"), 1);
    peer_goodbye(&p);
}
END_TEST

/* x-delivery-count goes on after a restart, and the limit with it. */
START_TEST(test_delivery_count_survives)
{
    struct talk_got g;
    p = talk_begin(&broker, _i);
    talk_queue(p, "dead", NULL);
    talk_queue(p, "work",
               "x-queue-type=Squorum x-delivery-limit=I3 x-dead-letter-exchange=S "
               "x-dead-letter-routing-key=Sdead");
    talk_put(p, "work", "m");
    for (int i = 0; i < 3; i++) {
        ck_assert(talk_get(p, "work", &g));
        ck_assert_int_eq(talk_header(&g, "x-delivery-count"), i ? i : -1);
        ck_assert_int_eq(g.redelivered, i > 0);
        talk_reject(p, g.tag, true);
        talk_fence(p);
        talk_come_back(&broker, &p);
    }
    ck_assert(talk_get(p, "work", &g));
    ck_assert_int_eq(talk_header(&g, "x-delivery-count"), 3);
    talk_reject(p, g.tag, true);
    expect_dead("m", "delivery_limit");
    peer_goodbye(&p);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("held");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_dead_wait_for_target);
    tcase_add_test(tc, test_dead_wait_for_room);
    tcase_add_loop_test(tc, test_dead_survive, 0, TALK_ENDINGS);
    tcase_add_loop_test(tc, test_dead_without_strategy, 0, TALK_ENDINGS);
    tcase_add_loop_test(tc, test_retry, 0, 2);
    tcase_add_loop_test(tc, test_retry_survives, 0, TALK_ENDINGS);
    tcase_add_loop_test(tc, test_delivery_count_survives, 0, TALK_ENDINGS);
    return talk_main("proto_held", tc);
}
