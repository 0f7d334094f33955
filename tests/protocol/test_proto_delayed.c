/* x-delayed-message: messages come when they are due, in the order in which they are due, also
 * after the broker stopped or was killed in between; never early. */
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

static void topology(int ending)
{
    p = talk_begin(&broker, ending);
    talk_exchange(p, "later", "x-delayed-message", "x-delayed-type=Sdirect");
    talk_queue(p, "q", NULL);
    talk_bind(p, "q", "later", "k");
}

static void publish(const char *body, const char *headers)
{
    ck_assert(talk_publish(
        p, &(struct talk_msg){.exchange = "later", .key = "k", .body = body, .headers = headers}));
}

static void delivered(const char *body, int64_t x_delay)
{
    struct talk_got g;
    talk_delivery(p, &g);
    ck_assert_str_eq(g.body, body);
    ck_assert_int_eq(talk_header(&g, "x-delay"), x_delay);
    peer_ack(p, 1, g.tag, false);
    peer_flush(p);
}

START_TEST(test_due_order)
{
    topology(0);
    int64_t start = proto_now_ms();
    publish("third", "x-delay=I150");
    publish("second", "x-delay=S100");
    publish("first", "x-delay=l50");
    talk_consume(p, "q");
    delivered("first", -50);
    ck_assert_int_ge(proto_now_ms() - start, 50);
    delivered("second", -100);
    ck_assert_int_ge(proto_now_ms() - start, 100);
    delivered("third", -150);
    ck_assert_int_ge(proto_now_ms() - start, 150);
    peer_goodbye(&p);
}
END_TEST

/* What is not a delay does not hold a message back. */
START_TEST(test_not_delayed)
{
    static const char *const headers[] = {NULL,           "x-delay=I0",    "x-delay=I-5",
                                          "x-delay=Sabc", "x-delay=d-1.5", "other=I50"};
    topology(0);
    publish("waits", "x-delay=I3600000");
    publish("now", headers[_i]);
    talk_take(p, "q", "now");
    ck_assert_uint_eq(talk_ready(p, "q"), 0);
    peer_goodbye(&p);
}
END_TEST

START_TEST(test_mandatory_is_returned)
{
    topology(0);
    struct talk_msg m = {
        .exchange = "later", .key = "k", .headers = "x-delay=I1", .mandatory = true};
    talk_send(p, &m);
    const struct lev_method *back = peer_expect(p, 1, LEV_M_BASIC_RETURN);
    ck_assert_uint_eq(back->u.basic_return.reply_code, 312);
    struct lev_buf body;
    lev_buf_init(&body);
    peer_take_content(p, 1, &body);
    lev_buf_deinit(&body);
    peer_expect(p, 1, LEV_M_BASIC_ACK);
    talk_wait_ready(p, "q", 1);
    peer_goodbye(&p);
}
END_TEST

/* Bindings count when the message is due. */
START_TEST(test_bound_meanwhile)
{
    topology(0);
    talk_queue(p, "new", NULL);
    ck_assert(talk_publish(
        p, &(struct talk_msg){
               .exchange = "later", .key = "new", .body = "m", .headers = "x-delay=I1000"}));
    talk_bind(p, "new", "later", "new");
    talk_wait_ready(p, "new", 1);
    peer_goodbye(&p);
}
END_TEST

START_TEST(test_survives)
{
    topology(_i);
    int64_t start = proto_now_ms();
    publish("never", "x-delay=I3600000");
    publish("c", "x-delay=I1200");
    publish("b", "x-delay=I100");
    publish("a", "x-delay=I10");
    talk_come_back(&broker, &p);
    talk_consume(p, "q");
    delivered("a", -10);
    delivered("b", -100);
    delivered("c", -1200);
    ck_assert_int_ge(proto_now_ms() - start, 1200);
    ck_assert_uint_eq(talk_ready(p, "q"), 0);
    peer_goodbye(&p);
}
END_TEST

START_TEST(test_delivered_once)
{
    topology(_i);
    publish("once", "x-delay=I1");
    talk_wait_ready(p, "q", 1);
    talk_take(p, "q", "once");
    talk_fence(p);
    talk_come_back(&broker, &p);
    publish("fence", "x-delay=I1");
    talk_wait_ready(p, "q", 1);
    talk_take(p, "q", "fence");
    peer_goodbye(&p);
}
END_TEST

/* What is due when its exchange is gone is dropped. */
START_TEST(test_exchange_gone)
{
    topology(0);
    talk_exchange(p, "other", "x-delayed-message", "x-delayed-type=Sfanout");
    talk_bind(p, "q", "other", "");
    publish("lost", "x-delay=I300");
    talk_delete_exchange(p, "later");
    ck_assert(talk_publish(
        p, &(struct talk_msg){.exchange = "other", .body = "fence", .headers = "x-delay=I400"}));
    talk_wait_ready(p, "q", 1);
    talk_exchange(p, "later", "x-delayed-message", "x-delayed-type=Sdirect");
    talk_bind(p, "q", "later", "k");
    publish("new", NULL);
    talk_take(p, "q", "fence");
    talk_take(p, "q", "new");
    ck_assert_uint_eq(talk_ready(p, "q"), 0);
    peer_goodbye(&p);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("delayed");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_due_order);
    tcase_add_loop_test(tc, test_not_delayed, 0, 6);
    tcase_add_test(tc, test_mandatory_is_returned);
    tcase_add_test(tc, test_bound_meanwhile);
    tcase_add_loop_test(tc, test_survives, 0, TALK_ENDINGS);
    tcase_add_loop_test(tc, test_delivered_once, 0, TALK_ENDINGS);
    tcase_add_test(tc, test_exchange_gone);
    return talk_main("proto_delayed", tc);
}
