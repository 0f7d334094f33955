/* Publishes that begin as the one before, and those that only seem to: what comes of them is what
 * comes of the same octets taken frame by frame. */
#include <check.h>
#include <stdlib.h>

#include "session/conn.h"
#include "unit/session/wire.h"

static struct wire_bed bed;
static struct wire *w;
static struct lev_buf octets;

static void begin(uint64_t max_message_size)
{
    wire_start(&bed, max_message_size);
    lev_buf_init(&octets);
    w = wire_open(&bed);
}

static void setup(void)
{
    begin(0);
}

static void teardown(void)
{
    wire_close(&w);
    lev_buf_deinit(&octets);
    wire_stop(&bed);
}

/* --- what is said --- */

static void declare(struct wire *to, const char *queue)
{
    struct lev_method m = {.id = LEV_M_QUEUE_DECLARE};
    m.u.queue_declare.queue = lev_bytes_str(queue);
    wire_call(to, 1, &m, LEV_M_QUEUE_DECLARE_OK);
}

static void consume(struct wire *to, const char *queue)
{
    struct lev_method m = {.id = LEV_M_BASIC_CONSUME};
    m.u.basic_consume.queue = lev_bytes_str(queue);
    m.u.basic_consume.consumer_tag = lev_bytes_str(queue);
    m.u.basic_consume.no_ack = true;
    wire_call(to, 1, &m, LEV_M_BASIC_CONSUME_OK);
}

static void delete_queue(const char *queue)
{
    struct lev_method m = {.id = LEV_M_QUEUE_DELETE};
    m.u.queue_delete.queue = lev_bytes_str(queue);
    wire_call(w, 1, &m, LEV_M_QUEUE_DELETE_OK);
}

static void declare_exchange(const char *exchange, const char *type)
{
    struct lev_method m = {.id = LEV_M_EXCHANGE_DECLARE};
    m.u.exchange_declare.exchange = lev_bytes_str(exchange);
    m.u.exchange_declare.type = lev_bytes_str(type);
    wire_call(w, 1, &m, LEV_M_EXCHANGE_DECLARE_OK);
}

static void delete_exchange(const char *exchange)
{
    struct lev_method m = {.id = LEV_M_EXCHANGE_DELETE};
    m.u.exchange_delete.exchange = lev_bytes_str(exchange);
    wire_call(w, 1, &m, LEV_M_EXCHANGE_DELETE_OK);
}

static void bind(const char *queue, const char *exchange, const char *key)
{
    struct lev_method m = {.id = LEV_M_QUEUE_BIND};
    m.u.queue_bind.queue = lev_bytes_str(queue);
    m.u.queue_bind.exchange = lev_bytes_str(exchange);
    m.u.queue_bind.routing_key = lev_bytes_str(key);
    wire_call(w, 1, &m, LEV_M_QUEUE_BIND_OK);
}

/* Sends it in one piece. */
static void publish(const struct wire_publish *p)
{
    lev_buf_clear(&octets);
    wire_put(&octets, p);
    wire_forget(w);
    wire_input(w, lev_buf_view(&octets));
}

static void to_queue(const char *queue, const char *body)
{
    publish(&(struct wire_publish){.key = queue, .body = body, .mode = 1});
}

/* So often that the last one was taken without a look. Returns how often. */
static unsigned learn(const struct wire_publish *p)
{
    for (unsigned n = 1; n < 40; n++) {
        uint32_t misses = wire_channel(w)->misses;
        publish(p);
        wire_forget(w);
        if (wire_channel(w)->misses == misses)
            return n;
    }
    ck_abort_msg("it is never remembered");
}

static void expect_close(uint16_t code, const char *text)
{
    const struct lev_method *m = wire_expect(w, LEV_M_CHANNEL_CLOSE);
    ck_assert_uint_eq(m->u.channel_close.reply_code, code);
    struct lev_bytes was = m->u.channel_close.reply_text;
    ck_assert_msg(lev_bytes_eq(was, lev_bytes_str(text)), "%.*s", LEV_FMT(was));
    ck_assert_uint_eq(wire_output(w).len, 0);
}

static void reopen(void)
{
    struct lev_buf b;
    lev_buf_init(&b);
    lev_method_encode(&b, 1, &(struct lev_method){.id = LEV_M_CHANNEL_CLOSE_OK});
    wire_input(w, lev_buf_view(&b));
    lev_buf_deinit(&b);
    wire_call(w, 1, &(struct lev_method){.id = LEV_M_CHANNEL_OPEN}, LEV_M_CHANNEL_OPEN_OK);
}

/* --- however it is cut --- */

/* A connection that consumes q, on which the octets were sent in such pieces: what it answered. */
static struct wire *converse(struct lev_bytes first, size_t piece, struct lev_bytes then)
{
    struct wire *c = wire_open(&bed);
    wire_call(c, 2, &(struct lev_method){.id = LEV_M_CHANNEL_OPEN}, LEV_M_CHANNEL_OPEN_OK);
    declare(c, "q");
    consume(c, "q");
    wire_forget(c);
    wire_input_pieces(c, first, piece);
    if (then.len)
        wire_input(c, then);
    return c;
}

static void end_conversation(struct wire **c)
{
    wire_close(c);
    delete_queue("q");
}

#define TEXT(field, flag, text)                                                                    \
    (&(struct lev_props){.flags = (flag), .field = {(const uint8_t *)(text), sizeof(text) - 1}})
/* a table with one array of one string */
#define KEYS(name) TEXT(headers, LEV_PROP_HEADERS, name "A\0\0\0\x6S\0\0\0\x1q")

static const struct wire_publish several[] = {
    {.key = "q", .body = "a", .mode = 1},
    {.key = "q", .body = "bb", .mode = 1},
    {.key = "q", .body = "", .mode = 1},
    {.key = "q", .body = "a longer one, of forty octets or so, or so", .mode = 1},
    {.key = "q", .body = "persistent", .mode = 2},
    {.key = "q", .body = "c", .mode = 1},
    {.key = "q", .body = "c", .mode = 1},
    {.key = "q", .body = "on another channel", .mode = 1, .channel = 2},
    {.key = "q", .body = "on another channel", .mode = 1, .channel = 2},
    {.key = "nobody", .body = "returned", .mode = 1, .mandatory = true},
    {.key = "nobody", .body = "lost", .mode = 1},
    {.key = "q", .body = "d", .mode = 1},
    {.exchange = "amq.fanout", .key = "q", .body = "lost", .mode = 1},
    {.key = "q", .body = "without properties"},
    {.key = "q", .body = "without properties"},
    {.key = "q", .body = "e", .mode = 1},
    {.key = "q", .body = "f", .props = TEXT(expiration, LEV_PROP_EXPIRATION, "60000")},
    {.key = "q", .body = "g", .props = TEXT(message_id, LEV_PROP_MESSAGE_ID, "an id")},
    {.key = "q", .body = "g", .props = TEXT(message_id, LEV_PROP_MESSAGE_ID, "an id")},
    {.key = "q", .body = "h", .props = TEXT(user_id, LEV_PROP_USER_ID, "guest")},
    {.key = "nobody", .body = "i", .props = KEYS("\3BCC")},
    {.key = "q", .body = "twice the same", .props = TEXT(headers, LEV_PROP_HEADERS, "\x1xt\1")},
    {.key = "q",
     .body = "",
     .props = TEXT(app_id, LEV_PROP_APP_ID,
                   "one that is too long to be "
                   "remembered as plain")},
    {.key = "q", .body = "j", .mode = 1},
};

/* What closes the channel or the connection. */
static const struct wire_publish refused[] = {
    {.key = "q", .props = TEXT(expiration, LEV_PROP_EXPIRATION, "x")},
    {.key = "q", .body = "b", .props = TEXT(user_id, LEV_PROP_USER_ID, "other")},
    {.key = "q", .body = "b", .props = TEXT(reply_to, LEV_PROP_REPLY_TO, "amq.rabbitmq.reply-to")},
    {.key = "q",
     .body = "b",
     .props = TEXT(headers, LEV_PROP_HEADERS,
                   "\x2"
                   "CCI\0\0\0\1")},
    {.key = "q", .body = "b", .props = TEXT(headers, LEV_PROP_HEADERS, "\x9malformed")},
    {.exchange = "none", .key = "q", .body = "b", .mode = 1},
};

/* What comes of them one octet at a time, and so without what is remembered. */
static void converse_slowly(struct lev_bytes all, struct lev_buf *heard)
{
    struct wire *slow = converse(all, 1, LEV_EMPTY);
    ck_assert_msg(!wire_channel(slow) || !wire_channel(slow)->repeat, "it was no slow one");
    lev_buf_init(heard);
    lev_buf_put_bytes(heard, wire_output(slow));
    end_conversation(&slow);
}

START_TEST(test_cut_anywhere)
{
    struct lev_buf heard;
    for (size_t i = 0; i < sizeof(several) / sizeof(several[0]); i++)
        wire_put(&octets, &several[i]);
    struct lev_bytes all = lev_buf_view(&octets);
    converse_slowly(all, &heard);
    ck_assert_uint_gt(heard.len, 500);
    for (size_t at = 0; at <= all.len; at++) {
        struct wire *fast =
            converse(lev_bytes(all.ptr, at), at, lev_bytes(all.ptr + at, all.len - at));
        ck_assert_msg(lev_bytes_eq(lev_buf_view(&heard), wire_output(fast)), "cut at %zu", at);
        ck_assert_ptr_nonnull(wire_channel(fast)->repeat);
        end_conversation(&fast);
    }
    lev_buf_deinit(&heard);
}
END_TEST

START_TEST(test_refused)
{
    struct lev_buf heard;
    for (int i = 0; i < 3; i++)
        wire_put(&octets, &several[0]);
    wire_put(&octets, &refused[_i]);
    wire_put(&octets, &several[0]);
    struct lev_bytes all = lev_buf_view(&octets);
    converse_slowly(all, &heard);
    struct wire *fast = converse(all, all.len, LEV_EMPTY);
    ck_assert(lev_bytes_eq(lev_buf_view(&heard), wire_output(fast)));
    for (int i = 0; i < 3; i++)
        wire_expect_delivery(fast, "q", "q", "a");
    const struct lev_method *m = wire_next(fast);
    ck_assert(m->id == LEV_M_CHANNEL_CLOSE || m->id == LEV_M_CONNECTION_CLOSE);
    end_conversation(&fast);
    lev_buf_deinit(&heard);
}
END_TEST

/* Two good ones, one with this octet changed, and a good one. */
static void compare_damaged(struct lev_bytes good, size_t at, uint8_t change)
{
    struct lev_buf all, heard;
    lev_buf_init(&all);
    for (int i = 0; i < 4; i++)
        lev_buf_put_bytes(&all, good);
    all.ptr[2 * good.len + at] ^= change;
    converse_slowly(lev_buf_view(&all), &heard);
    struct wire *fast = converse(lev_buf_view(&all), all.len, LEV_EMPTY);
    ck_assert_msg(lev_bytes_eq(lev_buf_view(&heard), wire_output(fast)), "octet %zu ^ %#x", at,
                  change);
    end_conversation(&fast);
    lev_buf_deinit(&heard);
    lev_buf_deinit(&all);
}

START_TEST(test_any_octet_damaged)
{
    static const uint8_t changes[] = {0x01, 0x02, 0x80, 0xff};
    struct lev_buf good;
    lev_buf_init(&good);
    wire_put(&good, &(struct wire_publish){.key = "q", .body = "a body", .mode = 1});
    for (size_t at = 0; at < good.len; at++)
        for (size_t i = 0; i < sizeof(changes); i++)
            compare_damaged(lev_buf_view(&good), at, changes[i]);
    lev_buf_deinit(&good);
}
END_TEST

/* --- what changes in between --- */

START_TEST(test_permission_taken_away)
{
    const struct wire_publish p = {.exchange = "amq.direct", .key = "k", .body = "b", .mode = 1};
    learn(&p);
    wire_permit_writing(&bed, "^amq\\.topic$");
    publish(&p);
    expect_close(403, "ACCESS_REFUSED - write access to exchange 'amq.direct' in vhost '/' refused "
                      "for user 'guest'");
    reopen();
    wire_permit_writing(&bed, ".*");
    learn(&p);
}
END_TEST

START_TEST(test_topics_ruled_later)
{
    const struct wire_publish p = {.exchange = "amq.topic", .key = "k", .body = "b", .mode = 1};
    learn(&p);
    wire_permit_topics(&bed, "amq.topic", "^other");
    publish(&p);
    expect_close(403, "ACCESS_REFUSED - write access to topic 'k' in exchange 'amq.topic' in vhost "
                      "'/' refused for user 'guest'");
    reopen();
    learn(&(struct wire_publish){.exchange = "amq.topic", .key = "other", .mode = 1});
    publish(&p);
    expect_close(403, "ACCESS_REFUSED - write access to topic 'k' in exchange 'amq.topic' in vhost "
                      "'/' refused for user 'guest'");
}
END_TEST

START_TEST(test_exchange_deleted)
{
    const struct wire_publish p = {.exchange = "x", .key = "k", .body = "b", .mode = 1};
    declare_exchange("x", "fanout");
    declare(w, "q");
    consume(w, "q");
    bind("q", "x", "");
    learn(&p);
    delete_exchange("x");
    declare_exchange("x", "direct");
    publish(&p);
    ck_assert_uint_eq(wire_output(w).len, 0);
    bind("q", "x", "k");
    publish(&p);
    wire_expect_delivery(w, "q", "k", "b");
    delete_exchange("x");
    publish(&p);
    expect_close(404, "NOT_FOUND - no exchange 'x' in vhost '/'");
}
END_TEST

START_TEST(test_queue_deleted)
{
    const struct wire_publish p = {.key = "q", .body = "b", .mode = 1, .mandatory = true};
    declare(w, "q");
    learn(&p);
    delete_queue("q");
    publish(&p);
    ck_assert_uint_eq(wire_expect(w, LEV_M_BASIC_RETURN)->u.basic_return.reply_code, 312);
    declare(w, "q");
    consume(w, "q");
    publish(&p);
    wire_expect_delivery(w, "q", "q", "b");
}
END_TEST

/* --- others in between --- */

static void two_queues(void)
{
    declare(w, "q");
    consume(w, "q");
    declare(w, "r");
    consume(w, "r");
}

START_TEST(test_by_turns)
{
    two_queues();
    lev_buf_clear(&octets);
    for (int i = 0; i < 50; i++) {
        wire_put(&octets, &(struct wire_publish){.key = "q", .body = "to q", .mode = 1});
        if (i % 3)
            wire_put(&octets, &(struct wire_publish){.key = "r", .body = "to r", .mode = 1});
    }
    wire_forget(w);
    wire_input(w, lev_buf_view(&octets));
    for (int i = 0; i < 50; i++) {
        wire_expect_delivery(w, "q", "q", "to q");
        if (i % 3)
            wire_expect_delivery(w, "r", "r", "to r");
    }
    ck_assert_uint_eq(wire_output(w).len, 0);
}
END_TEST

/* One that comes in pieces is not remembered, but it has a route, too. */
START_TEST(test_another_in_pieces)
{
    two_queues();
    learn(&(struct wire_publish){.key = "q", .body = "b", .mode = 1});
    lev_buf_clear(&octets);
    wire_put(&octets, &(struct wire_publish){.key = "r", .body = "to r", .mode = 1});
    for (size_t i = 0; i < octets.len; i++)
        wire_input(w, lev_bytes(octets.ptr + i, 1));
    wire_expect_delivery(w, "r", "r", "to r");
    to_queue("q", "to q");
    wire_expect_delivery(w, "q", "q", "to q");
    publish(&(struct wire_publish){.exchange = "amq.fanout", .key = "q", .body = "lost"});
    to_queue("q", "to q");
    wire_expect_delivery(w, "q", "q", "to q");
}
END_TEST

/* Where many queues get it, there is no route to keep. */
START_TEST(test_many_routes)
{
    const struct wire_publish p = {.exchange = "amq.fanout", .key = "k", .body = "b", .mode = 1};
    two_queues();
    bind("q", "amq.fanout", "");
    to_queue("q", "to q");
    learn(&p);
    publish(&p);
    wire_expect_delivery(w, "q", "k", "b");
    ck_assert_uint_eq(wire_output(w).len, 0);
    bind("r", "amq.fanout", "");
    publish(&p);
    wire_expect_delivery(w, "q", "k", "b");
    wire_expect_delivery(w, "r", "k", "b");
    ck_assert_uint_eq(wire_output(w).len, 0);
}
END_TEST

START_TEST(test_in_transactions)
{
    two_queues();
    const struct wire_publish p = {.key = "q", .body = "b", .mode = 1};
    learn(&p);
    wire_call(w, 1, &(struct lev_method){.id = LEV_M_TX_SELECT}, LEV_M_TX_SELECT_OK);
    publish(&p);
    publish(&p);
    ck_assert_uint_eq(wire_output(w).len, 0);
    wire_call(w, 1, &(struct lev_method){.id = LEV_M_TX_ROLLBACK}, LEV_M_TX_ROLLBACK_OK);
    publish(&p);
    ck_assert_uint_eq(wire_output(w).len, 0);
    wire_call(w, 1, &(struct lev_method){.id = LEV_M_TX_COMMIT}, LEV_M_BASIC_DELIVER);
}
END_TEST

START_TEST(test_channel_opened_again)
{
    const struct wire_publish p = {.key = "q", .body = "b", .mode = 1};
    two_queues();
    learn(&p);
    wire_call(w, 1, &(struct lev_method){.id = LEV_M_CHANNEL_CLOSE}, LEV_M_CHANNEL_CLOSE_OK);
    publish(&p);
    wire_expect(w, LEV_M_CONNECTION_CLOSE);
    wire_close(&w);
    w = wire_open(&bed);
    ck_assert_ptr_null(wire_channel(w)->repeat);
    consume(w, "q");
    to_queue("q", "again");
    wire_expect_delivery(w, "q", "q", "again");
}
END_TEST

START_TEST(test_confirms_count_all)
{
    const struct wire_publish p = {.key = "q", .body = "b", .mode = 1};
    declare(w, "q");
    wire_call(w, 1, &(struct lev_method){.id = LEV_M_CONFIRM_SELECT}, LEV_M_CONFIRM_SELECT_OK);
    unsigned before = learn(&p);
    lev_buf_clear(&octets);
    for (int i = 0; i < 5; i++)
        wire_put(&octets, &p);
    wire_input(w, lev_buf_view(&octets));
    ck_assert_uint_eq(wire_expect(w, LEV_M_BASIC_ACK)->u.basic_ack.delivery_tag, before + 5);
}
END_TEST

/* Nobody is there to take it, so it is gone when it comes: each time. */
START_TEST(test_expiration)
{
    struct lev_method m = {.id = LEV_M_QUEUE_DECLARE};
    m.u.queue_declare.queue = LEV_LIT("q");
    declare(w, "q");
    learn(&(struct wire_publish){
        .key = "q", .body = "b", .props = TEXT(expiration, LEV_PROP_EXPIRATION, "0")});
    const struct lev_method *ok = wire_call(w, 1, &m, LEV_M_QUEUE_DECLARE_OK);
    ck_assert_uint_eq(ok->u.queue_declare_ok.message_count, 0);
}
END_TEST

/* What has more keys than one is looked at each time. */
START_TEST(test_more_keys)
{
    const struct wire_publish p[] = {{.key = "nobody", .body = "b", .props = KEYS("\2CC")},
                                     {.key = "nobody", .body = "b", .props = KEYS("\3BCC")}};
    declare(w, "q");
    consume(w, "q");
    for (int i = 0; i < 20; i++) {
        publish(&p[_i]);
        wire_expect_delivery(w, "q", "nobody", "b");
    }
}
END_TEST

/* --- bounds --- */

START_TEST(test_too_large)
{
    wire_close(&w);
    wire_stop(&bed);
    begin(10);
    declare(w, "q");
    learn(&(struct wire_publish){.key = "q", .body = "0123456789", .mode = 1});
    to_queue("q", "0123456789a");
    expect_close(406,
                 "PRECONDITION_FAILED - message size 11 is larger than configured max size 10");
}
END_TEST

START_TEST(test_immediate)
{
    declare(w, "q");
    learn(&(struct wire_publish){.key = "q", .body = "b", .mode = 1});
    publish(&(struct wire_publish){.key = "q", .body = "b", .mode = 1, .immediate = true});
    const struct lev_method *m = wire_expect(w, LEV_M_CONNECTION_CLOSE);
    ck_assert_uint_eq(m->u.connection_close.reply_code, 540);
}
END_TEST

/* Long names and properties are taken as well, only not remembered. */
START_TEST(test_long_names)
{
    char name[256] = {0};
    memset(name, 'n', 255);
    declare(w, name);
    consume(w, name);
    const struct wire_publish p = {.key = name, .body = "b", .mode = 1};
    for (int i = 0; i < 20; i++) {
        publish(&p);
        wire_expect_delivery(w, name, name, "b");
    }
    learn(&p);
}
END_TEST

/* --- without memory --- */

static bool no_memory;

void *__real_realloc(void *p, size_t n);
void *__wrap_realloc(void *p, size_t n);

void *__wrap_realloc(void *p, size_t n)
{
    return no_memory && n > 64 * 1024 ? NULL : __real_realloc(p, n);
}

/* Deliveries that there is no room to encode end the connection; they are not tried for ever. */
START_TEST(test_no_room_for_output)
{
    char body[4000];
    memset(body, 'b', sizeof(body));
    body[sizeof(body) - 1] = 0;
    declare(w, "q");
    for (int i = 0; i < 40; i++)
        wire_put(&octets, &(struct wire_publish){.key = "q", .body = body});
    wire_input(w, lev_buf_view(&octets));
    lev_buf_clear(&octets);
    struct lev_method m = {.id = LEV_M_BASIC_CONSUME};
    m.u.basic_consume.queue = LEV_LIT("q");
    lev_method_encode(&octets, 1, &m);
    no_memory = true;
    wire_input(w, lev_buf_view(&octets));
    no_memory = false;
    ck_assert(wire_is_closed(w));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("repeat");
    TCase *tc = tcase_create("repeat");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, test_cut_anywhere);
    tcase_add_loop_test(tc, test_refused, 0, sizeof(refused) / sizeof(refused[0]));
    tcase_add_test(tc, test_any_octet_damaged);
    tcase_add_test(tc, test_permission_taken_away);
    tcase_add_test(tc, test_topics_ruled_later);
    tcase_add_test(tc, test_exchange_deleted);
    tcase_add_test(tc, test_queue_deleted);
    tcase_add_test(tc, test_by_turns);
    tcase_add_test(tc, test_another_in_pieces);
    tcase_add_test(tc, test_many_routes);
    tcase_add_test(tc, test_in_transactions);
    tcase_add_test(tc, test_channel_opened_again);
    tcase_add_test(tc, test_confirms_count_all);
    tcase_add_test(tc, test_expiration);
    tcase_add_loop_test(tc, test_more_keys, 0, 2);
    tcase_add_test(tc, test_too_large);
    tcase_add_test(tc, test_immediate);
    tcase_add_test(tc, test_long_names);
    tcase_add_test(tc, test_no_room_for_output);
    suite_add_tcase(s, tc);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
