/* x-message-deduplication: what comes twice is confirmed and dropped, by exchanges and by queues;
 * what they remember survives a stop and a kill; cache size and time bound it. */
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

static void exchange_and_queue(const char *type, const char *arguments)
{
    talk_exchange(p, "once", type, arguments);
    talk_queue(p, "q", NULL);
    talk_bind(p, "q", "once", "k");
}

/* Confirmed, whether it is a duplicate or not. */
static void publish(const char *exchange, const char *key, const char *headers)
{
    ck_assert(talk_publish(
        p, &(struct talk_msg){.exchange = exchange, .key = key, .headers = headers, .body = "m"}));
}

static const struct {
    const char *type, *arguments, *header;
} owners[] = {
    {"x-message-deduplication", "x-cache-size=I10", "x-deduplication-header"},
    {"direct", "x-message-deduplication=t1", "x-deduplication-header"},
    {"topic", "x-message-deduplication=t1 x-deduplication-header=Sid x-cache-ttl=I3600000", "id"},
};
enum { N_OWNERS = sizeof(owners) / sizeof(*owners) };

static const char *header(int owner, const char *value)
{
    static char text[64];
    snprintf(text, sizeof(text), "%s=%s", owners[owner].header, value);
    return text;
}

/* _i: owner and ending */
START_TEST(test_exchange)
{
    int o = _i / TALK_ENDINGS;
    p = talk_begin(&broker, _i % TALK_ENDINGS);
    exchange_and_queue(owners[o].type, owners[o].arguments);
    publish("once", "k", header(o, "Sa"));
    publish("once", "k", header(o, "Sa"));
    publish("once", "k", header(o, "I7"));
    publish("once", "k", header(o, "l7"));
    publish("once", "k", NULL);
    publish("once", "k", NULL);
    ck_assert_uint_eq(talk_ready(p, "q"), 4);
    talk_come_back(&broker, &p);
    publish("once", "k", header(o, "Sa"));
    publish("once", "k", header(o, "I7"));
    ck_assert_uint_eq(talk_ready(p, "q"), 4);
    publish("once", "k", header(o, "Sb"));
    ck_assert_uint_eq(talk_ready(p, "q"), 5);
    peer_goodbye(&p);
}
END_TEST

/* An id is free again when its message has left, not before. */
START_TEST(test_queue)
{
    p = talk_begin(&broker, _i);
    talk_queue(p, "q", "x-message-deduplication=t1");
    publish("", "q", "x-deduplication-header=Sa");
    publish("", "q", "x-deduplication-header=Sa");
    publish("", "q", "x-deduplication-header=Sb");
    ck_assert_uint_eq(talk_ready(p, "q"), 2);
    talk_take(p, "q", "m");
    talk_fence(p);
    talk_come_back(&broker, &p);
    publish("", "q", "x-deduplication-header=Sb");
    ck_assert_uint_eq(talk_ready(p, "q"), 1);
    publish("", "q", "x-deduplication-header=Sa");
    ck_assert_uint_eq(talk_ready(p, "q"), 2);
    peer_goodbye(&p);
}
END_TEST

/* A queue with a window of its own remembers ids of messages that have left. */
START_TEST(test_queue_window)
{
    p = talk_begin(&broker, _i);
    talk_queue(p, "q", "x-message-deduplication=t1 x-cache-size=I2");
    publish("", "q", "x-deduplication-header=Sa");
    talk_take(p, "q", "m");
    talk_fence(p);
    talk_come_back(&broker, &p);
    publish("", "q", "x-deduplication-header=Sa");
    ck_assert_uint_eq(talk_ready(p, "q"), 0);
    publish("", "q", "x-deduplication-header=Sb");
    publish("", "q", "x-deduplication-header=Sc");
    publish("", "q", "x-deduplication-header=Sa"); /* two came since */
    ck_assert_uint_eq(talk_ready(p, "q"), 3);
    peer_goodbye(&p);
}
END_TEST

START_TEST(test_cache_size)
{
    p = talk_begin(&broker, _i);
    exchange_and_queue("x-message-deduplication", "x-cache-size=I2");
    publish("once", "k", "x-deduplication-header=I1");
    publish("once", "k", "x-deduplication-header=I2");
    talk_come_back(&broker, &p);
    publish("once", "k", "x-deduplication-header=I3"); /* 1 is forgotten */
    publish("once", "k", "x-deduplication-header=I2");
    ck_assert_uint_eq(talk_ready(p, "q"), 3);
    publish("once", "k", "x-deduplication-header=I1");
    ck_assert_uint_eq(talk_ready(p, "q"), 4);
    peer_goodbye(&p);
}
END_TEST

/* Publishes the id until it is taken once more, which must not be before its time. */
static void expires_after(const char *headers, int ms, int64_t start)
{
    int64_t end = proto_now_ms() + PEER_WAIT_MS;
    uint32_t had = talk_ready(p, "q");
    while (talk_ready(p, "q") == had && proto_now_ms() < end)
        publish("once", "k", headers);
    ck_assert_int_ge(proto_now_ms() - start, ms);
    ck_assert_uint_eq(talk_ready(p, "q"), had + 1);
}

START_TEST(test_cache_ttl)
{
    p = talk_begin(&broker, _i);
    exchange_and_queue("direct", "x-message-deduplication=t1 x-cache-ttl=I400");
    int64_t start = proto_now_ms();
    publish("once", "k", "x-deduplication-header=Sa");
    expires_after("x-deduplication-header=Sa", 400, start);
    start = proto_now_ms();
    publish("once", "k", "x-deduplication-header=Sb x-cache-ttl=I700");
    talk_come_back(&broker, &p);
    expires_after("x-deduplication-header=Sb x-cache-ttl=I700", 700, start);
    peer_goodbye(&p);
}
END_TEST

/* What found no queue may come again. */
START_TEST(test_unroutable_is_forgotten)
{
    p = talk_begin(&broker, 0);
    exchange_and_queue("direct", "x-message-deduplication=t1");
    publish("once", "nowhere", "x-deduplication-header=Sa");
    publish("once", "k", "x-deduplication-header=Sa");
    ck_assert_uint_eq(talk_ready(p, "q"), 1);
    peer_goodbye(&p);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("dedup");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, test_exchange, 0, N_OWNERS * TALK_ENDINGS);
    tcase_add_loop_test(tc, test_queue, 0, TALK_ENDINGS);
    tcase_add_loop_test(tc, test_queue_window, 0, TALK_ENDINGS);
    tcase_add_loop_test(tc, test_cache_size, 0, TALK_ENDINGS);
    tcase_add_loop_test(tc, test_cache_ttl, 0, TALK_ENDINGS);
    tcase_add_test(tc, test_unroutable_is_forgotten);
    return talk_main("proto_dedup", tc);
}
