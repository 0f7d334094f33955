/* consumer_timeout: a delivery that is not acknowledged in time closes its channel, and the message
 * is there for others. The broker runs in this process and looks every few milliseconds. */
#include <stdio.h>

#include "talk.h"

enum { TIMEOUT_MS = 200, PATROL_MS = 20, MANY_PATROLS = 5 };

static struct proto_bed bed;
static struct peer *p;

static void start(uint64_t timeout_ms)
{
    struct lev_server_config c;
    proto_config(&c, 0);
    c.consumer_timeout_ms = timeout_ms;
    c.consumer_patrol_ms = PATROL_MS;
    proto_start(&bed, &c);
    p = talk_connect(bed.port);
}

static void end(void)
{
    peer_delete(p, 1, "q");
    peer_goodbye(&p);
    proto_stop(&bed);
}

/* channel.close as RabbitMQ words it, naming no method; never early. */
static void expect_timed_out(struct peer *who, uint64_t ms, int64_t since)
{
    char text[256];
    snprintf(text, sizeof(text),
             "PRECONDITION_FAILED - delivery acknowledgement on channel 1 timed out. Timeout value "
             "used: %llu ms. This timeout value can be configured, see consumers doc guide to "
             "learn more",
             (unsigned long long)ms);
    peer_expect_close(who, 1, 406, text);
    ck_assert_uint_eq(who->m.u.channel_close.class_id, 0);
    ck_assert_uint_eq(who->m.u.channel_close.method_id, 0);
    ck_assert_int_ge(proto_now_ms() - since, (int64_t)ms);
}

/* What the server says, what the queue says: the smaller one counts. */
static const struct {
    uint64_t server_ms;
    const char *arguments;
} settings[] = {
    {TIMEOUT_MS, NULL},
    {1800000, "x-consumer-timeout=I200"},
    {TIMEOUT_MS, "x-consumer-timeout=I3600000"},
    {1800000, "x-consumer-timeout=I200 x-queue-type=Squorum"},
};
enum { N_SETTINGS = sizeof(settings) / sizeof(*settings) };

START_TEST(test_consumer)
{
    struct talk_got g;
    start(settings[_i].server_ms);
    talk_queue(p, "q", settings[_i].arguments);
    talk_put(p, "q", "m");
    struct peer *slow = peer_connect(bed.port);
    int64_t since = proto_now_ms();
    talk_consume(slow, "q");
    talk_delivery(slow, &g);
    expect_timed_out(slow, TIMEOUT_MS, since);
    talk_wait_ready(p, "q", 1);
    ck_assert(talk_get(p, "q", &g));
    ck_assert(g.redelivered);
    peer_channel(slow, 1); /* the connection goes on */
    peer_goodbye(&slow);
    end();
}
END_TEST

START_TEST(test_get)
{
    struct talk_got g;
    start(TIMEOUT_MS);
    talk_queue(p, "q", NULL);
    talk_put(p, "q", "m");
    struct peer *slow = peer_connect(bed.port);
    int64_t since = proto_now_ms();
    ck_assert(talk_get(slow, "q", &g));
    expect_timed_out(slow, TIMEOUT_MS, since);
    talk_wait_ready(p, "q", 1);
    peer_goodbye(&slow);
    end();
}
END_TEST

/* A channel with nothing outstanding, or whose consumer need not acknowledge, or whose queue leaves
 * more time, stays. */
START_TEST(test_not_timed_out)
{
    struct talk_got g;
    struct lev_frame f;
    bool ended;
    start(1800000);
    talk_queue(p, "q", NULL);
    talk_queue(p, "short", "x-consumer-timeout=I200");
    talk_put(p, "short", "acknowledged");
    talk_put(p, "q", "patient");
    struct peer *other = peer_connect(bed.port);
    talk_take(other, "short", "acknowledged");
    ck_assert(talk_get(other, "q", &g));
    peer_consume(other, 1, "short", true);
    talk_put(p, "short", "automatic");
    talk_delivery(other, &g);
    ck_assert(!peer_poll(other, 1000 + TIMEOUT_MS + MANY_PATROLS * PATROL_MS, &f, &ended));
    ck_assert(!ended);
    peer_goodbye(&other);
    peer_delete(p, 1, "short");
    end();
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("timeout");
    tcase_add_loop_test(tc, test_consumer, 0, N_SETTINGS);
    tcase_add_test(tc, test_get);
    tcase_add_test(tc, test_not_timed_out);
    return talk_main("proto_timeout", tc);
}
