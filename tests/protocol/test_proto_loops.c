/* Many publishers and consumers of a client library that is not ours, spread over 1, 2 and 4 loops:
 * every message arrives exactly once, and in order for each publisher, queue and consumer. */
#include <amqp.h>
#include <amqp_tcp_socket.h>
#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/time.h>

#include "proto.h"

enum { QUEUES = 4, PUBLISHERS = 8, CONSUMERS = 8, EACH = 25000, PREFETCH = 200, ACK_EVERY = 50 };

static struct proto_bed bed;
static uint32_t each;
static atomic_uchar *seen; /* by publisher and number */
static atomic_size_t arrived;
static _Atomic(const char *) trouble; /* the first thing that went wrong in any thread */

static void blame(const char *what)
{
    const char *none = NULL;
    atomic_compare_exchange_strong(&trouble, &none, what);
}

static const char *queue_name(size_t i)
{
    static const char *const names[QUEUES] = {"loops0", "loops1", "loops2", "loops3"};
    return names[i % QUEUES];
}

static bool ok(amqp_connection_state_t c)
{
    return amqp_get_rpc_reply(c).reply_type == AMQP_RESPONSE_NORMAL;
}

static amqp_connection_state_t join(void)
{
    amqp_connection_state_t c = amqp_new_connection();
    amqp_socket_t *s = amqp_tcp_socket_new(c);
    if (!s || amqp_socket_open(s, "127.0.0.1", bed.port) != AMQP_STATUS_OK ||
        amqp_login(c, "/", 0, 131072, 0, AMQP_SASL_METHOD_PLAIN, "guest", "guest").reply_type !=
            AMQP_RESPONSE_NORMAL)
        blame("login");
    amqp_channel_open(c, 1);
    if (!ok(c))
        blame("channel.open");
    return c;
}

static void leave(amqp_connection_state_t c)
{
    if (amqp_connection_close(c, AMQP_REPLY_SUCCESS).reply_type != AMQP_RESPONSE_NORMAL)
        blame("connection.close");
    amqp_destroy_connection(c);
}

static void *publisher(void *arg)
{
    uint32_t me = (uint32_t)(uintptr_t)arg, body[2] = {me, 0};
    amqp_connection_state_t c = join();
    amqp_basic_properties_t persistent = {._flags = AMQP_BASIC_DELIVERY_MODE_FLAG,
                                          .delivery_mode = 2};
    for (uint32_t i = 0; i < each && !trouble; i++) {
        size_t q = (me + i) % QUEUES;
        body[1] = i;
        if (amqp_basic_publish(c, 1, amqp_empty_bytes, amqp_cstring_bytes(queue_name(q)), 0, 0,
                               q < QUEUES / 2 ? &persistent : NULL,
                               (amqp_bytes_t){sizeof(body), body}) != AMQP_STATUS_OK)
            blame("basic.publish");
    }
    leave(c);
    return NULL;
}

/* What came last from each publisher. */
static void note(const amqp_envelope_t *e, int64_t last[PUBLISHERS])
{
    uint32_t body[2] = {PUBLISHERS, 0};
    if (e->message.body.len == sizeof(body))
        memcpy(body, e->message.body.bytes, sizeof(body));
    if (body[0] >= PUBLISHERS || body[1] >= each) {
        blame("a message nobody sent");
    } else if (body[1] <= last[body[0]] && last[body[0]] >= 0) {
        blame("out of order");
    } else if (atomic_fetch_add(&seen[body[0] * each + body[1]], 1) != 0) {
        blame("delivered twice");
    } else {
        last[body[0]] = body[1];
        atomic_fetch_add(&arrived, 1);
    }
}

static void *consumer(void *arg)
{
    size_t me = (size_t)(uintptr_t)arg;
    int64_t last[PUBLISHERS], end = proto_now_ms() + 2 * PEER_WAIT_MS;
    uint64_t tag = 0, acked = 0;
    amqp_connection_state_t c = join();
    for (size_t i = 0; i < PUBLISHERS; i++)
        last[i] = -1;
    amqp_basic_qos(c, 1, 0, PREFETCH, 0);
    amqp_basic_consume(c, 1, amqp_cstring_bytes(queue_name(me)), amqp_empty_bytes, 0, 0, 0,
                       amqp_empty_table);
    if (!ok(c))
        blame("basic.consume");
    while (arrived < (size_t)PUBLISHERS * each && !trouble) {
        amqp_envelope_t e;
        amqp_maybe_release_buffers(c);
        amqp_rpc_reply_t r = amqp_consume_message(c, &e, &(struct timeval){.tv_usec = 20000}, 0);
        if (r.reply_type == AMQP_RESPONSE_NORMAL) {
            note(&e, last);
            tag = e.delivery_tag;
            amqp_destroy_envelope(&e);
        } else if (r.library_error != AMQP_STATUS_TIMEOUT) {
            blame("a consumer was cut off");
        }
        bool idle = r.reply_type != AMQP_RESPONSE_NORMAL;
        if (tag > acked && (idle || tag - acked >= ACK_EVERY)) {
            if (amqp_basic_ack(c, 1, tag, 1) != AMQP_STATUS_OK)
                blame("basic.ack");
            acked = tag;
        }
        if (proto_now_ms() > end)
            blame("messages are missing");
    }
    if (tag > acked)
        amqp_basic_ack(c, 1, tag, 1);
    leave(c);
    return NULL;
}

static void declare_all(struct peer *p)
{
    for (size_t q = 0; q < QUEUES; q++)
        peer_declare(p, 1, queue_name(q), q < QUEUES / 2);
}

START_TEST(test_exactly_once)
{
    static const int loops[] = {1, 2, 4};
    struct lev_server_config config;
    pthread_t threads[PUBLISHERS + CONSUMERS];
    proto_config(&config, loops[_i]);
    proto_start(&bed, &config);
    each = (uint32_t)proto_scaled(EACH);
    arrived = 0;
    trouble = NULL;
    seen = calloc((size_t)PUBLISHERS * each, sizeof(*seen));
    struct peer *p = peer_connect(bed.port);
    declare_all(p);
    for (size_t i = 0; i < PUBLISHERS + CONSUMERS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, i < CONSUMERS ? consumer : publisher,
                                        (void *)(uintptr_t)(i < CONSUMERS ? i : i - CONSUMERS)),
                         0);
    for (size_t i = 0; i < PUBLISHERS + CONSUMERS; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    ck_assert_msg(trouble == NULL, "%s; %zu of %zu arrived", trouble, arrived,
                  (size_t)PUBLISHERS * each);
    ck_assert_uint_eq(arrived, (size_t)PUBLISHERS * each);
    for (size_t q = 0; q < QUEUES; q++)
        ck_assert_uint_eq(peer_delete(p, 1, queue_name(q)), 0);
    peer_goodbye(&p);
    free(seen);
    proto_stop(&bed);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("proto_loops");
    TCase *tc = tcase_create("loops");
    tcase_set_timeout(tc, 240);
    tcase_add_loop_test(tc, test_exactly_once, 0, 3);
    suite_add_tcase(s, tc);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
