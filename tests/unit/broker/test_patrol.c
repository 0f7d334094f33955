/* Deliveries that are not acknowledged in time: whose timeout counts. */
#include "args.h"
#include "stage.h"

#include <check.h>

enum { MINUTE = 60000 }; /* between looks */

static struct stage st;
static struct peer *p;

/* Times in minutes, 0: none; the minute in which the channel is told to close, 0: never. */
static const struct {
    const char *queue, *consumer;
    unsigned server, closes;
} rows[] = {
    {"", "", 0, 0},
    {"", "", 2, 3},
    {"x-consumer-timeout=l60000", "", 3, 2},
    {"x-consumer-timeout=l240000", "", 2, 5}, /* also when it is longer */
    {"x-consumer-timeout=l60000", "", 0, 2},
    {"x-queue-type=Squorum x-consumer-timeout=l60000", "x-consumer-timeout=l180000", 2, 4},
    {"x-queue-type=Squorum", "x-consumer-timeout=l60000", 3, 2},
    {"x-queue-type=Squorum", "x-consumer-timeout=Ssoon", 3, 4},
    {"x-queue-type=Squorum", "x-consumer-timeout=l-1", 3, 4},
    {"", "x-consumer-timeout=l60000", 3, 4}, /* a classic queue does not know it */
};

static void consume(const char *arguments)
{
    const struct lev_consume_args a = {.tag = LEV_LIT("c"), .arguments = args(arguments)};
    struct lev_consumer *c;
    stage_hold(&st);
    ck_assert_int_eq(lev_consume(&p->ch[1], LEV_LIT("q"), &a, &c, &p->err), 0);
    lev_consumer_wake(c);
    stage_release(&st);
}

START_TEST(whose_timeout)
{
    stage_init(&st, NULL);
    lev_vhost_set_consumer_timeout(
        st.v, rows[_i].server ? (uint64_t)rows[_i].server * MINUTE : LEV_UNLIMITED, MINUTE);
    p = stage_peer(&st, 0);
    ck_assert_int_eq(peer_declare_args(p, "q", "d", args(rows[_i].queue)), 0);
    consume(rows[_i].consumer);
    peer_send(p, "q", "m", "p");
    peer_expect(p, "c:1=m");
    for (unsigned minute = 1; minute <= 6; minute++) {
        stage_advance(&st, MINUTE);
        bool closed = rows[_i].closes && minute >= rows[_i].closes;
        ck_assert_msg((p->ch[1].failure != NULL) == closed, "minute %u", minute);
    }
    if (rows[_i].closes)
        ck_assert_int_eq(p->ch[1].failure->code, LEV_PRECONDITION_FAILED);
    stage_deinit(&st);
}
END_TEST

START_TEST(acknowledged_in_time)
{
    stage_init(&st, NULL);
    lev_vhost_set_consumer_timeout(st.v, 2 * MINUTE, MINUTE);
    p = stage_peer(&st, 0);
    ck_assert_int_eq(peer_declare(p, "q", "d"), 0);
    consume("");
    peer_send(p, "q", "m", "p");
    stage_advance(&st, MINUTE);
    ck_assert_int_eq(peer_ack(p, 1, 1), 0);
    for (int i = 0; i < 4; i++)
        stage_advance(&st, MINUTE);
    ck_assert_ptr_null(p->ch[1].failure);
    stage_deinit(&st);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("broker_patrol");
    TCase *tc = tcase_create("timeouts");
    tcase_add_loop_test(tc, whose_timeout, 0, (int)(sizeof(rows) / sizeof(rows[0])));
    tcase_add_test(tc, acknowledged_in_time);
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
