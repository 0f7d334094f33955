/*
 * The client interop scenarios with librabbitmq (see ../README for what each one proves).
 *
 * usage: interop URI [SCENARIO ...]
 */
#include "interop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define LARGE_SIZE (1 << 20)

/* "prefix i", in one of several static buffers, so that a few can be in use at once. */
static const char *numbered(const char *prefix, int i)
{
    static char texts[4][32];
    static unsigned turn;
    char *text = texts[turn++ % COUNT(texts)];

    snprintf(text, sizeof(texts[0]), "%s %d", prefix, i);
    return text;
}

static void same_field(const char *what, const amqp_basic_properties_t *properties,
                       amqp_flags_t flag, amqp_bytes_t got, const char *want)
{
    char text[NAME_SIZE];

    check((properties->_flags & flag) != 0, what);
    copy_text(text, got);
    same_text(what, text, want);
}

static void check_headers(const amqp_basic_properties_t *got)
{
    const amqp_table_entry_t *entry = got->headers.entries;
    char text[NAME_SIZE];

    check((got->_flags & AMQP_BASIC_HEADERS_FLAG) != 0, "no headers");
    same_number("headers", (uint64_t)got->headers.num_entries, 3);
    check(entry[0].value.kind == AMQP_FIELD_KIND_I32 && entry[0].value.value.i32 == -7, "header n");
    check(entry[1].value.kind == AMQP_FIELD_KIND_BOOLEAN && entry[1].value.value.boolean,
          "header flag");
    check(entry[2].value.kind == AMQP_FIELD_KIND_UTF8, "header s");
    copy_text(text, entry[2].value.value.bytes);
    same_text("header s", text, "x");
}

static void check_properties(const amqp_basic_properties_t *p, const char *user)
{
    same_field("content type", p, AMQP_BASIC_CONTENT_TYPE_FLAG, p->content_type, "text/plain");
    same_field("encoding", p, AMQP_BASIC_CONTENT_ENCODING_FLAG, p->content_encoding, "utf-8");
    same_field("correlation id", p, AMQP_BASIC_CORRELATION_ID_FLAG, p->correlation_id, "c-1");
    same_field("reply-to", p, AMQP_BASIC_REPLY_TO_FLAG, p->reply_to, "nowhere");
    same_field("expiration", p, AMQP_BASIC_EXPIRATION_FLAG, p->expiration, "60000");
    same_field("message id", p, AMQP_BASIC_MESSAGE_ID_FLAG, p->message_id, "m-1");
    same_field("type", p, AMQP_BASIC_TYPE_FLAG, p->type, "greeting");
    same_field("user id", p, AMQP_BASIC_USER_ID_FLAG, p->user_id, user);
    same_field("app id", p, AMQP_BASIC_APP_ID_FLAG, p->app_id, "interop");
    same_number("delivery mode", p->delivery_mode, 2);
    same_number("priority", p->priority, 3);
    same_number("timestamp", p->timestamp, 1700000000);
    check_headers(p);
}

static void publish_greeting(struct peer *p, const char *queue, const char *user)
{
    amqp_table_entry_t headers[] = {
        {.key = bytes("n"), .value = {.kind = AMQP_FIELD_KIND_I32, .value.i32 = -7}},
        {.key = bytes("flag"), .value = {.kind = AMQP_FIELD_KIND_BOOLEAN, .value.boolean = 1}},
        {.key = bytes("s"), .value = {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = bytes("x")}},
    };
    amqp_basic_properties_t properties = {
        ._flags = AMQP_BASIC_CONTENT_TYPE_FLAG | AMQP_BASIC_CONTENT_ENCODING_FLAG |
                  AMQP_BASIC_HEADERS_FLAG | AMQP_BASIC_DELIVERY_MODE_FLAG |
                  AMQP_BASIC_PRIORITY_FLAG | AMQP_BASIC_CORRELATION_ID_FLAG |
                  AMQP_BASIC_REPLY_TO_FLAG | AMQP_BASIC_EXPIRATION_FLAG |
                  AMQP_BASIC_MESSAGE_ID_FLAG | AMQP_BASIC_TIMESTAMP_FLAG | AMQP_BASIC_TYPE_FLAG |
                  AMQP_BASIC_USER_ID_FLAG | AMQP_BASIC_APP_ID_FLAG,
        .content_type = bytes("text/plain"),
        .content_encoding = bytes("utf-8"),
        .headers = {.num_entries = COUNT(headers), .entries = headers},
        .delivery_mode = 2,
        .priority = 3,
        .correlation_id = bytes("c-1"),
        .reply_to = bytes("nowhere"),
        .expiration = bytes("60000"),
        .message_id = bytes("m-1"),
        .timestamp = 1700000000,
        .type = bytes("greeting"),
        .user_id = bytes(user),
        .app_id = bytes("interop"),
    };

    publish_with(p, "", queue, false, &properties, bytes("Hello World!"));
}

static void login_name(const struct scenario *s, char user[NAME_SIZE])
{
    static char parsed[NAME_SIZE * 4]; /* the library splits it in place */
    struct amqp_connection_info info;

    snprintf(parsed, sizeof(parsed), "%s", s->uri);
    must_status(amqp_parse_url(parsed, &info), "parse the URI");
    snprintf(user, NAME_SIZE, "%s", info.user);
}

static void hello(struct scenario *s)
{
    static unsigned char large[LARGE_SIZE];
    struct peer *p = connect_peer(s);
    struct peer *consumer = connect_peer(s);
    const char *queue = declare_queue(s, p, "q", false);
    const struct letter *got[3];
    char user[NAME_SIZE];
    size_t i;

    login_name(s, user);
    for (i = 0; i < LARGE_SIZE; i++) {
        large[i] = (unsigned char)(i * 31 % 251);
    }
    publish_greeting(p, queue, user);
    publish(p, "", queue, "");
    publish_with(p, "", queue, false, NULL, (amqp_bytes_t){.len = LARGE_SIZE, .bytes = large});
    wait_ready(p, queue, 3, 0);
    consume(consumer, queue, true);
    for (i = 0; i < 3; i++) {
        got[i] = take(s, consumer, "a message");
        same_text("exchange", got[i]->exchange, "");
        same_text("routing key", got[i]->key, queue);
        check(!got[i]->redelivered, "redelivered");
    }
    same_text("first", got[0]->text, "Hello World!");
    check_properties(&got[0]->message.properties, user);
    same_number("length of the second", got[1]->message.body.len, 0);
    same_number("properties of the second", got[1]->message.properties._flags, 0);
    check(got[2]->message.body.len == LARGE_SIZE &&
              memcmp(got[2]->message.body.bytes, large, LARGE_SIZE) == 0,
          "the large body differs");
    wait_ready(p, queue, 0, 1);
}

static void fair_dispatch(struct scenario *s, struct peer *publisher)
{
    const char *queue = declare_queue(s, publisher, "fair", true);
    struct peer *fast = connect_peer(s);
    struct peer *slow = connect_peer(s);
    const struct letter *held;
    const struct letter *l;
    int i;

    prefetch(fast, 1);
    prefetch(slow, 1);
    consume(fast, queue, false);
    consume(slow, queue, false);
    for (i = 0; i < 20; i++) {
        publish_persistent(publisher, queue, numbered("task", i));
    }
    held = take(s, slow, "a task for the slow worker");
    for (i = 0; i < 20; i++) { /* the slow worker sits on its first task all the while */
        if (strcmp(numbered("task", i), held->text) != 0) {
            l = expect(s, fast, numbered("task", i));
            ack(fast, l->delivery_tag, false);
        }
    }
    expect_no_more(s, slow);
    ack(slow, held->delivery_tag, false);
    expect_no_more(s, fast);
    disconnect(fast);
    disconnect(slow);
    wait_ready(publisher, queue, 0, 0);
}

static void redelivery(struct scenario *s, struct peer *publisher)
{
    const char *queue = declare_queue(s, publisher, "dies", true);
    struct peer *heir = connect_peer(s);
    const struct letter *l = NULL;
    int i;

    for (i = 0; i < 5; i++) {
        publish_persistent(publisher, queue, numbered("task", i));
    }
    kill_worker_holding(s, queue, 3);
    wait_ready(publisher, queue, 5, 0);
    prefetch(heir, 5);
    consume(heir, queue, false);
    for (i = 0; i < 5; i++) {
        l = expect(s, heir, numbered("task", i));
        check(l->redelivered == (i < 3), "the redelivered flag");
    }
    ack(heir, l->delivery_tag, true);
    disconnect(heir);
    wait_ready(publisher, queue, 0, 0);
}

static void work(struct scenario *s)
{
    struct peer *publisher = connect_peer(s);

    fair_dispatch(s, publisher);
    redelivery(s, publisher);
}

static void pubsub(struct scenario *s)
{
    struct peer *publisher = connect_peer(s);
    const char *exchange = declare_exchange(s, publisher, "fanout");
    struct peer *subscribers[3];
    char names[3][NAME_SIZE];
    size_t k;
    int i;

    publish(publisher, exchange, "", "nobody listens yet");
    amqp_basic_qos(publisher->conn, CHANNEL, 0, 0, 0); /* answered when that was routed */
    for (k = 0; k < 3; k++) {
        subscribers[k] = connect_peer(s);
        declare_exclusive(subscribers[k], names[k]);
        bind_queue(subscribers[k], names[k], exchange, "");
        consume(subscribers[k], names[k], true);
    }
    for (i = 0; i < 10; i++) {
        publish(publisher, exchange, "ignored", numbered("log", i));
    }
    for (k = 0; k < 3; k++) {
        for (i = 0; i < 10; i++) {
            expect(s, subscribers[k], numbered("log", i));
        }
    }
    unbind_queue(subscribers[2], names[2], exchange, "");
    publish(publisher, exchange, "", "last");
    expect(s, subscribers[0], "last");
    expect(s, subscribers[1], "last");
    for (k = 0; k < 3; k++) {
        expect_no_more(s, subscribers[k]);
        wait_ready(subscribers[k], names[k], 0, 0);
    }
    amqp_queue_declare(publisher->conn, CHANNEL, bytes(names[0]), 1, 0, 0, 0, amqp_empty_table);
    must_close_channel(publisher, AMQP_RESOURCE_LOCKED);
}

static void expect_all(struct scenario *s, struct peer *p, const char *queue,
                       const char *const *texts)
{
    for (; *texts != NULL; texts++) {
        expect_get(s, p, queue, *texts);
    }
    expect_empty(s, p, queue);
}

static void routing(struct scenario *s)
{
    static const char *const bound[] = {"info", "warning", "error", "error"};
    static const char *const sent[] = {"info", "debug", "error", "warning", "error", "errors", ""};
    static const char *const twice[] = {"error", "error", NULL};
    static const char *const most_of[] = {"info", "error", "warning", "error", NULL};
    struct peer *p = connect_peer(s);
    const char *exchange = declare_exchange(s, p, "direct");
    const char *errors = declare_queue(s, p, "errors", false);
    const char *most = declare_queue(s, p, "most", false);
    size_t i;

    bind_queue(p, errors, exchange, "error");
    for (i = 0; i < COUNT(bound); i++) {
        bind_queue(p, most, exchange, bound[i]);
    }
    for (i = 0; i < COUNT(sent); i++) {
        publish(p, exchange, sent[i], sent[i]);
    }
    expect_all(s, p, errors, twice);
    expect_all(s, p, most, most_of);
    unbind_queue(p, most, exchange, "error");
    publish(p, exchange, "error", "error");
    publish(p, exchange, "info", "info");
    expect_all(s, p, errors, (const char *const[]){"error", NULL});
    expect_all(s, p, most, (const char *const[]){"info", NULL});
}

/* Published in this order; queues are those, besides "all", that get a copy. */
static const struct {
    const char *key;
    const char *queues;
} topic_keys[] = {
    {"quick.orange.rabbit", "orange rabbit"},
    {"lazy.orange.elephant", "orange rabbit"},
    {"quick.orange.fox", "orange"},
    {"lazy.brown.fox", "rabbit"},
    {"lazy.pink.rabbit", "rabbit"},
    {"quick.brown.fox", ""},
    {"orange", ""},
    {"quick.orange.new.rabbit", ""},
    {"lazy.orange.new.rabbit", "rabbit"},
    {"lazy", "rabbit"},
    {"", ""},
    {"last.orange.rabbit", "orange rabbit"},
};

static const struct {
    const char *suffix;
    const char *patterns[2];
} topic_queues[] = {
    {"orange", {"*.orange.*", NULL}},
    {"rabbit", {"*.*.rabbit", "lazy.#"}},
    {"all", {"#", NULL}},
};

static bool topic_wanted(size_t queue, size_t key)
{
    const char *suffix = topic_queues[queue].suffix;

    return strcmp(suffix, "all") == 0 || strstr(topic_keys[key].queues, suffix) != NULL;
}

static void topics(struct scenario *s)
{
    struct peer *publisher = connect_peer(s);
    const char *exchange = declare_exchange(s, publisher, "topic");
    struct peer *consumers[COUNT(topic_queues)];
    size_t q;
    size_t k;

    for (q = 0; q < COUNT(topic_queues); q++) {
        const char *queue = declare_queue(s, publisher, topic_queues[q].suffix, false);

        for (k = 0; k < 2 && topic_queues[q].patterns[k] != NULL; k++) {
            bind_queue(publisher, queue, exchange, topic_queues[q].patterns[k]);
        }
        consumers[q] = connect_peer(s);
        consume(consumers[q], queue, true);
    }
    for (k = 0; k < COUNT(topic_keys); k++) {
        publish(publisher, exchange, topic_keys[k].key, topic_keys[k].key);
    }
    for (q = 0; q < COUNT(topic_queues); q++) {
        for (k = 0; k < COUNT(topic_keys); k++) {
            if (topic_wanted(q, k)) {
                same_text("routing key", expect(s, consumers[q], topic_keys[k].key)->key,
                          topic_keys[k].key);
            }
        }
        expect_no_more(s, consumers[q]);
    }
}

static const char *fib(int n)
{
    static char text[24];
    unsigned long long a = 0;
    unsigned long long b = 1;

    while (n-- > 0) {
        unsigned long long next = a + b;

        a = b;
        b = next;
    }
    snprintf(text, sizeof(text), "%llu", a);
    return text;
}

static void ask(struct peer *client, const char *queue, const char *reply_to, int id, int question)
{
    char body[16];
    amqp_basic_properties_t properties = {
        ._flags = AMQP_BASIC_REPLY_TO_FLAG | AMQP_BASIC_CORRELATION_ID_FLAG,
        .reply_to = bytes(reply_to),
        .correlation_id = bytes(numbered("id", id)),
    };

    snprintf(body, sizeof(body), "%d", question);
    publish_with(client, "", queue, false, &properties, bytes(body));
}

static void answer(struct peer *server, const struct letter *request, const char *exclusive)
{
    const amqp_basic_properties_t *asked = &request->message.properties;
    char reply_to[NAME_SIZE];
    amqp_basic_properties_t properties = {
        ._flags = AMQP_BASIC_CORRELATION_ID_FLAG,
        .correlation_id = asked->correlation_id,
    };

    check((asked->_flags & AMQP_BASIC_REPLY_TO_FLAG) != 0, "a request without reply_to");
    copy_text(reply_to, asked->reply_to);
    if (strncmp(reply_to, DIRECT_REPLY_TO ".", sizeof(DIRECT_REPLY_TO)) != 0) {
        same_text("reply_to", reply_to, exclusive);
    }
    publish_with(server, "", reply_to, false, &properties, bytes(fib(atoi(request->text))));
    ack(server, request->delivery_tag, false);
}

static void rpc(struct scenario *s)
{
    struct peer *server = connect_peer(s);
    struct peer *clients[2] = {connect_peer(s), connect_peer(s)};
    const char *queue = declare_queue(s, server, "rpc", false);
    char exclusive[NAME_SIZE];
    const char *reply_to[2] = {exclusive, DIRECT_REPLY_TO};
    const struct letter *requests[32];
    char id[NAME_SIZE];
    int n;
    int i;

    declare_exclusive(clients[0], exclusive);
    consume(server, queue, false);
    consume(clients[0], reply_to[0], true);
    consume(clients[1], reply_to[1], true);
    for (n = 0; n < 16; n++) { /* both use the same correlation ids, for different questions */
        ask(clients[0], queue, reply_to[0], n, n);
        ask(clients[1], queue, reply_to[1], n, n + 20);
    }
    for (n = 0; n < 32; n++) {
        requests[n] = take(s, server, "a request");
    }
    while (n-- > 0) {
        answer(server, requests[n], exclusive);
    }
    /* each client has its replies in the order in which the server gave them: last asked first */
    for (i = 0; i < 2; i++) {
        for (n = 15; n >= 0; n--) {
            const struct letter *l = expect(s, clients[i], fib(n + 20 * i));

            copy_text(id, l->message.properties.correlation_id);
            same_text("correlation id", id, numbered("id", n));
        }
        expect_no_more(s, clients[i]);
    }
    wait_ready(server, queue, 0, 1);
}

/* Waits until the publishes from first to last, and no others, are confirmed once each. */
static void await_confirms(struct peer *p, uint64_t first, uint64_t last)
{
    bool confirmed[256] = {false};
    uint64_t left = last - first + 1;

    while (left > 0) {
        amqp_basic_ack_t got = *(amqp_basic_ack_t *)await_method(p, AMQP_BASIC_ACK_METHOD, "ack");
        uint64_t tag = got.multiple ? first : got.delivery_tag;

        check(got.delivery_tag >= first && got.delivery_tag <= last, "confirm of another tag");
        check(!confirmed[got.delivery_tag], "confirmed twice");
        for (; tag <= got.delivery_tag; tag++) {
            left -= !confirmed[tag];
            confirmed[tag] = true;
        }
    }
}

static void confirms(struct scenario *s)
{
    struct peer *p = connect_peer(s);
    struct peer *other = connect_peer(s);
    const char *queue = declare_queue(s, p, "q", true);
    int i;

    amqp_confirm_select(p->conn, CHANNEL);
    must(p, "confirm.select");
    for (i = 0; i < 10; i++) {
        publish_persistent(p, queue, numbered("one", i));
        await_confirms(p, (uint64_t)i + 1, (uint64_t)i + 1);
    }
    publish(p, "", "leveret.c.absent", "unroutable is confirmed too");
    await_confirms(p, 11, 11);
    wait_ready(other, queue, 10, 0);
    for (i = 0; i < 200; i++) {
        publish_persistent(p, queue, numbered("batch", i));
    }
    await_confirms(p, 12, 211);
    for (i = 0; i < 10; i++) {
        expect_get(s, other, queue, numbered("one", i));
    }
    for (i = 0; i < 200; i++) {
        expect_get(s, other, queue, numbered("batch", i));
    }
    expect_empty(s, other, queue);
}

/* Acknowledges the job in a transaction, ends it, disconnects; was the job redelivered? */
static bool tx_ack(struct scenario *s, const char *queue, bool commit)
{
    struct peer *p = connect_peer(s);
    const struct letter *l;

    amqp_tx_select(p->conn, CHANNEL);
    must(p, "tx.select");
    l = get(s, p, queue, false);
    check(l != NULL, "nothing to get");
    same_text("job", l->text, "job");
    ack(p, l->delivery_tag, false);
    if (commit) {
        amqp_tx_commit(p->conn, CHANNEL);
    } else {
        amqp_tx_rollback(p->conn, CHANNEL);
    }
    must(p, "end of the transaction");
    disconnect(p);
    return l->redelivered;
}

static void tx(struct scenario *s)
{
    struct peer *p = connect_peer(s);
    struct peer *other = connect_peer(s);
    const char *queue = declare_queue(s, p, "q", false);
    int i;

    amqp_tx_select(p->conn, CHANNEL);
    must(p, "tx.select");
    for (i = 0; i < 3; i++) {
        publish(p, "", queue, numbered("committed", i));
    }
    expect_empty(s, p, queue);
    expect_empty(s, other, queue);
    amqp_tx_commit(p->conn, CHANNEL);
    must(p, "tx.commit");
    for (i = 0; i < 3; i++) {
        expect_get(s, other, queue, numbered("committed", i));
    }
    publish(p, "", queue, "rolled back");
    amqp_tx_rollback(p->conn, CHANNEL);
    must(p, "tx.rollback");
    amqp_tx_commit(p->conn, CHANNEL);
    must(p, "tx.commit");
    expect_empty(s, other, queue);
    publish(other, "", queue, "job");
    wait_ready(other, queue, 1, 0);
    check(!tx_ack(s, queue, false), "redelivered at first");
    wait_ready(other, queue, 1, 0);
    check(tx_ack(s, queue, true), "not redelivered after the rolled back ack");
    wait_ready(other, queue, 0, 0);
}

static void returns(struct scenario *s)
{
    struct peer *p = connect_peer(s);
    struct peer *other = connect_peer(s);
    const char *queue = declare_queue(s, p, "q", false);
    const char *exchange = declare_exchange(s, p, "direct");
    const struct {
        const char *exchange;
        const char *key;
        bool mandatory;
    } sent[] = {{exchange, "bound", true},
                {exchange, "unbound", false},
                {exchange, "unbound", true},
                {"", "leveret.c.absent", true}};
    const struct letter *l;
    int i;

    bind_queue(p, queue, exchange, "bound");
    for (i = 0; i < 4; i++) {
        amqp_basic_properties_t properties = {
            ._flags = AMQP_BASIC_MESSAGE_ID_FLAG,
            .message_id = bytes(numbered("id", i)),
        };

        publish_with(p, sent[i].exchange, sent[i].key, sent[i].mandatory, &properties,
                     bytes(numbered("message", i)));
    }
    for (i = 2; i < 4; i++) {
        l = await_return(s, p);
        same_number("reply code", l->reply_code, 312);
        same_text("exchange", l->exchange, sent[i].exchange);
        same_text("routing key", l->key, sent[i].key);
        same_text("body", l->text, numbered("message", i));
        same_field("message id", &l->message.properties, AMQP_BASIC_MESSAGE_ID_FLAG,
                   l->message.properties.message_id, numbered("id", i));
    }
    expect_get(s, other, queue, "message 0");
    expect_empty(s, other, queue);
    amqp_confirm_select(p->conn, CHANNEL);
    must(p, "confirm.select");
    publish_with(p, exchange, "unbound", true, NULL, bytes("with confirms"));
    same_text("returned before its confirm", await_return(s, p)->text, "with confirms");
    await_confirms(p, 1, 1);
}

static const struct {
    const char *name;
    scenario_fn *steps;
} scenarios[] = {
    {"hello", hello},       {"work", work},     {"pubsub", pubsub},
    {"routing", routing},   {"topics", topics}, {"rpc", rpc},
    {"confirms", confirms}, {"tx", tx},         {"returns", returns},
};

static bool run_named(const char *uri, const char *name)
{
    size_t i;

    for (i = 0; i < COUNT(scenarios); i++) {
        if (strcmp(scenarios[i].name, name) == 0) {
            return scenario_run(uri, name, scenarios[i].steps);
        }
    }
    fprintf(stderr, "interop: no such scenario: %s\n", name);
    return false;
}

int main(int argc, char **argv)
{
    bool passed = true;
    size_t k;
    int i;

    if (argc < 2) {
        fprintf(stderr, "usage: interop URI [SCENARIO ...]\n");
        return 2;
    }
    for (i = 2; i < argc; i++) {
        passed = run_named(argv[1], argv[i]) && passed;
    }
    for (k = 0; argc == 2 && k < COUNT(scenarios); k++) {
        passed = scenario_run(argv[1], scenarios[k].name, scenarios[k].steps) && passed;
    }
    return passed ? 0 : 1;
}
