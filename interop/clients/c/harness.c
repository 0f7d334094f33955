/* The frame of the client interop program: see interop.h. */
#include "interop.h"

#include <amqp_tcp_socket.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static jmp_buf failed;
static char reason[512];
static const char *running = "";

void fail(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(reason, sizeof(reason), format, args);
    va_end(args);
    longjmp(failed, 1);
}

void check(bool holds, const char *what)
{
    if (!holds) {
        fail("%s", what);
    }
}

void same_text(const char *what, const char *got, const char *want)
{
    if (strcmp(got, want) != 0) {
        fail("%s: got '%s', want '%s'", what, got, want);
    }
}

void same_number(const char *what, uint64_t got, uint64_t want)
{
    if (got != want) {
        fail("%s: got %llu, want %llu", what, (unsigned long long)got, (unsigned long long)want);
    }
}

void must_status(int status, const char *what)
{
    if (status != AMQP_STATUS_OK) {
        fail("%s: %s", what, amqp_error_string2(status));
    }
}

static void must_reply(amqp_rpc_reply_t reply, const char *what)
{
    char text[NAME_SIZE] = "";

    switch (reply.reply_type) {
    case AMQP_RESPONSE_NORMAL:
        return;
    case AMQP_RESPONSE_LIBRARY_EXCEPTION:
        fail("%s: %s", what, amqp_error_string2(reply.library_error));
    case AMQP_RESPONSE_SERVER_EXCEPTION:
        if (reply.reply.id == AMQP_CHANNEL_CLOSE_METHOD) {
            copy_text(text, ((amqp_channel_close_t *)reply.reply.decoded)->reply_text);
        } else if (reply.reply.id == AMQP_CONNECTION_CLOSE_METHOD) {
            copy_text(text, ((amqp_connection_close_t *)reply.reply.decoded)->reply_text);
        }
        fail("%s: %s", what, text);
    default:
        fail("%s: no reply", what);
    }
}

void must(struct peer *p, const char *what)
{
    must_reply(amqp_get_rpc_reply(p->conn), what);
}

void must_close_channel(struct peer *p, unsigned code)
{
    amqp_rpc_reply_t reply = amqp_get_rpc_reply(p->conn);
    amqp_channel_close_ok_t close_ok = {0};

    check(reply.reply_type == AMQP_RESPONSE_SERVER_EXCEPTION &&
              reply.reply.id == AMQP_CHANNEL_CLOSE_METHOD,
          "the broker did not close the channel");
    same_number("reply code", ((amqp_channel_close_t *)reply.reply.decoded)->reply_code, code);
    must_status(amqp_send_method(p->conn, CHANNEL, AMQP_CHANNEL_CLOSE_OK_METHOD, &close_ok),
                "channel.close-ok");
}

amqp_bytes_t bytes(const char *text)
{
    return amqp_cstring_bytes(text);
}

void copy_text(char *text, amqp_bytes_t b)
{
    size_t len = b.len < NAME_SIZE ? b.len : NAME_SIZE - 1;

    if (len > 0) {
        memcpy(text, b.bytes, len);
    }
    text[len] = '\0';
}

static void open_connection(amqp_connection_state_t conn, const char *uri)
{
    static char parsed[NAME_SIZE * 4]; /* the library splits it in place */
    struct timeval limit = {WAIT_S, 0};
    struct amqp_connection_info info;
    amqp_socket_t *socket = amqp_tcp_socket_new(conn);

    check(socket != NULL, "out of memory");
    check(snprintf(parsed, sizeof(parsed), "%s", uri) < (int)sizeof(parsed), "the URI is too long");
    must_status(amqp_parse_url(parsed, &info), "parse the URI");
    must_status(amqp_socket_open_noblock(socket, info.host, info.port, &limit), "connect");
    must_status(amqp_set_handshake_timeout(conn, &limit), "set handshake timeout");
    must_status(amqp_set_rpc_timeout(conn, &limit), "set RPC timeout");
    must_reply(amqp_login(conn, info.vhost, AMQP_DEFAULT_MAX_CHANNELS, AMQP_DEFAULT_FRAME_SIZE, 0,
                          AMQP_SASL_METHOD_PLAIN, info.user, info.password),
               "login");
}

struct peer *connect_peer(struct scenario *s)
{
    struct peer *p = &s->peers[s->peer_count];

    check(s->peer_count < sizeof(s->peers) / sizeof(s->peers[0]), "too many peers");
    p->conn = amqp_new_connection();
    check(p->conn != NULL, "out of memory");
    s->peer_count++;
    open_connection(p->conn, s->uri);
    amqp_channel_open(p->conn, CHANNEL);
    must(p, "channel.open");
    return p;
}

void disconnect(struct peer *p)
{
    amqp_rpc_reply_t reply = amqp_connection_close(p->conn, AMQP_REPLY_SUCCESS);
    int status = amqp_destroy_connection(p->conn);

    p->conn = NULL;
    must_reply(reply, "connection.close");
    must_status(status, "close");
}

static const char *unique_name(const struct scenario *s, const char *suffix, char name[NAME_SIZE])
{
    static struct timespec start;

    if (start.tv_sec == 0) {
        check(clock_gettime(CLOCK_REALTIME, &start) == 0, "no clock");
    }
    snprintf(name, NAME_SIZE, "leveret.c.%d-%llx%lx.%s.%s", (int)getpid(),
             (unsigned long long)start.tv_sec, (unsigned long)start.tv_nsec, s->name, suffix);
    return name;
}

const char *declare_queue(struct scenario *s, struct peer *p, const char *suffix, bool durable)
{
    char *name = s->queues[s->queue_count];
    amqp_queue_declare_ok_t *ok;

    check(s->queue_count < sizeof(s->queues) / sizeof(s->queues[0]), "too many queues");
    s->queue_count++;
    unique_name(s, suffix, name);
    ok = amqp_queue_declare(p->conn, CHANNEL, bytes(name), 0, durable, 0, 0, amqp_empty_table);
    must(p, "queue.declare");
    same_number("message count", ok->message_count, 0);
    same_number("consumer count", ok->consumer_count, 0);
    return name;
}

void declare_exclusive(struct peer *p, char name[NAME_SIZE])
{
    amqp_queue_declare_ok_t *ok =
        amqp_queue_declare(p->conn, CHANNEL, amqp_empty_bytes, 0, 0, 1, 0, amqp_empty_table);

    must(p, "queue.declare");
    copy_text(name, ok->queue);
    if (strncmp(name, "amq.gen-", 8) != 0) {
        fail("server-named queue: %s", name);
    }
}

const char *declare_exchange(struct scenario *s, struct peer *p, const char *type)
{
    unique_name(s, "x", s->exchange);
    amqp_exchange_declare(p->conn, CHANNEL, bytes(s->exchange), bytes(type), 0, 0, 0, 0,
                          amqp_empty_table);
    must(p, "exchange.declare");
    return s->exchange;
}

void bind_queue(struct peer *p, const char *queue, const char *exchange, const char *key)
{
    amqp_queue_bind(p->conn, CHANNEL, bytes(queue), bytes(exchange), bytes(key), amqp_empty_table);
    must(p, "queue.bind");
}

void unbind_queue(struct peer *p, const char *queue, const char *exchange, const char *key)
{
    amqp_queue_unbind(p->conn, CHANNEL, bytes(queue), bytes(exchange), bytes(key),
                      amqp_empty_table);
    must(p, "queue.unbind");
}

void wait_ready(struct peer *p, const char *queue, uint32_t messages, uint32_t consumers)
{
    static const struct timespec poll_every = {0, 5000000};
    time_t deadline = time(NULL) + WAIT_S;
    amqp_queue_declare_ok_t *ok;

    for (;;) {
        ok = amqp_queue_declare(p->conn, CHANNEL, bytes(queue), 1, 0, 0, 0, amqp_empty_table);
        must(p, "passive declare");
        if (ok->message_count == messages && ok->consumer_count == consumers) {
            return;
        }
        if (time(NULL) > deadline) {
            fail("timed out waiting for %u ready messages and %u consumers, have %u and %u",
                 messages, consumers, ok->message_count, ok->consumer_count);
        }
        nanosleep(&poll_every, NULL);
    }
}

void publish_with(struct peer *p, const char *exchange, const char *key, bool mandatory,
                  const amqp_basic_properties_t *properties, amqp_bytes_t body)
{
    must_status(amqp_basic_publish(p->conn, CHANNEL, bytes(exchange), bytes(key), mandatory, 0,
                                   properties, body),
                "basic.publish");
}

void publish(struct peer *p, const char *exchange, const char *key, const char *text)
{
    publish_with(p, exchange, key, false, NULL, bytes(text));
}

void publish_persistent(struct peer *p, const char *queue, const char *text)
{
    amqp_basic_properties_t properties = {
        ._flags = AMQP_BASIC_DELIVERY_MODE_FLAG,
        .delivery_mode = AMQP_DELIVERY_PERSISTENT,
    };

    publish_with(p, "", queue, false, &properties, bytes(text));
}

void prefetch(struct peer *p, uint16_t count)
{
    amqp_basic_qos(p->conn, CHANNEL, 0, count, 0);
    must(p, "basic.qos");
}

void consume(struct peer *p, const char *queue, bool no_ack)
{
    amqp_basic_consume(p->conn, CHANNEL, bytes(queue), bytes("interop"), 0, no_ack, 0,
                       amqp_empty_table);
    must(p, "basic.consume");
}

static struct letter *new_letter(struct scenario *s)
{
    struct letter *l = calloc(1, sizeof(*l));

    check(l != NULL, "out of memory");
    l->next = s->letters;
    s->letters = l;
    return l;
}

static struct letter *letter_of_envelope(struct scenario *s, amqp_envelope_t *envelope)
{
    struct letter *l = new_letter(s);

    copy_text(l->text, envelope->message.body);
    copy_text(l->exchange, envelope->exchange);
    copy_text(l->key, envelope->routing_key);
    l->delivery_tag = envelope->delivery_tag;
    l->redelivered = envelope->redelivered != 0;
    l->message = envelope->message; /* the letter has it from here on */
    amqp_bytes_free(envelope->consumer_tag);
    amqp_bytes_free(envelope->exchange);
    amqp_bytes_free(envelope->routing_key);
    return l;
}

const struct letter *take(struct scenario *s, struct peer *p, const char *what)
{
    struct timeval limit = {WAIT_S, 0};
    amqp_envelope_t envelope;

    must_reply(amqp_consume_message(p->conn, &envelope, &limit, 0), what);
    return letter_of_envelope(s, &envelope);
}

const struct letter *expect(struct scenario *s, struct peer *p, const char *text)
{
    const struct letter *l = take(s, p, text);

    same_text("delivery", l->text, text);
    return l;
}

void expect_no_more(struct scenario *s, struct peer *p)
{
    struct timeval at_once = {0, 0};
    amqp_envelope_t envelope;
    amqp_rpc_reply_t reply;

    amqp_basic_cancel(p->conn, CHANNEL, bytes("interop"));
    must(p, "basic.cancel");
    reply = amqp_consume_message(p->conn, &envelope, &at_once, 0);
    if (reply.reply_type == AMQP_RESPONSE_NORMAL) {
        fail("one delivery too many: '%s'", letter_of_envelope(s, &envelope)->text);
    }
    check(reply.library_error == AMQP_STATUS_TIMEOUT, "an unexpected frame after basic.cancel");
}

static struct letter *read_message(struct scenario *s, struct peer *p)
{
    struct letter *l = new_letter(s);
    amqp_message_t message;

    must_reply(amqp_read_message(p->conn, CHANNEL, &message, 0), "read a message");
    l->message = message;
    copy_text(l->text, message.body);
    return l;
}

const struct letter *get(struct scenario *s, struct peer *p, const char *queue, bool no_ack)
{
    amqp_rpc_reply_t reply = amqp_basic_get(p->conn, CHANNEL, bytes(queue), no_ack);
    struct letter *l;
    amqp_basic_get_ok_t ok;

    must_reply(reply, "basic.get");
    if (reply.reply.id != AMQP_BASIC_GET_OK_METHOD) {
        return NULL;
    }
    ok = *(amqp_basic_get_ok_t *)reply.reply.decoded;
    l = read_message(s, p);
    copy_text(l->exchange, ok.exchange);
    copy_text(l->key, ok.routing_key);
    l->delivery_tag = ok.delivery_tag;
    l->redelivered = ok.redelivered != 0;
    return l;
}

void expect_get(struct scenario *s, struct peer *p, const char *queue, const char *text)
{
    const struct letter *l = get(s, p, queue, true);

    if (l == NULL) {
        fail("nothing to get, want '%s'", text);
    }
    same_text("got", l->text, text);
}

void expect_empty(struct scenario *s, struct peer *p, const char *queue)
{
    const struct letter *l = get(s, p, queue, true);

    if (l != NULL) {
        fail("got '%s' from a queue that should be empty", l->text);
    }
}

void ack(struct peer *p, uint64_t delivery_tag, bool multiple)
{
    must_status(amqp_basic_ack(p->conn, CHANNEL, delivery_tag, multiple), "basic.ack");
}

void *await_method(struct peer *p, amqp_method_number_t id, const char *what)
{
    struct timeval limit = {WAIT_S, 0};
    amqp_frame_t frame;

    must_status(amqp_simple_wait_frame_noblock(p->conn, &frame, &limit), what);
    if (frame.frame_type != AMQP_FRAME_METHOD || frame.payload.method.id != id) {
        fail("waiting for %s: another frame came, type %u", what, frame.frame_type);
    }
    return frame.payload.method.decoded;
}

const struct letter *await_return(struct scenario *s, struct peer *p)
{
    amqp_basic_return_t back =
        *(amqp_basic_return_t *)await_method(p, AMQP_BASIC_RETURN_METHOD, "basic.return");
    struct letter *l = read_message(s, p);
    char text[NAME_SIZE];

    copy_text(l->exchange, back.exchange);
    copy_text(l->key, back.routing_key);
    copy_text(text, back.reply_text);
    same_text("reply text", text, "NO_ROUTE");
    l->reply_code = back.reply_code;
    return l;
}

/* The life of the worker process: it ends by SIGKILL, or with status 1 when it fails. */
static _Noreturn void work_until_killed(const char *uri, const char *queue, int count, int ready)
{
    struct scenario worker = {.uri = uri, .name = "worker"};
    struct peer *p;
    int i;

    signal(SIGALRM, SIG_DFL);
    alarm(SCENARIO_S); /* never outlives the scenario, whatever becomes of the parent */
    if (setjmp(failed) != 0) {
        _exit(1);
    }
    p = connect_peer(&worker);
    prefetch(p, (uint16_t)count);
    consume(p, queue, false);
    for (i = 0; i < count; i++) {
        check(!take(&worker, p, "a task to hold")->redelivered, "redelivered");
    }
    check(write(ready, "!", 1) == 1, "write");
    for (;;) {
        pause();
    }
}

void kill_worker_holding(struct scenario *s, const char *queue, int count)
{
    int ends[2];
    int status;
    char ready = 0;
    ssize_t got;
    pid_t pid;

    check(pipe(ends) == 0, "pipe");
    pid = fork();
    if (pid == 0) {
        work_until_killed(s->uri, queue, count, ends[1]);
    }
    close(ends[1]);
    check(pid > 0, "fork");
    got = read(ends[0], &ready, 1);
    close(ends[0]);
    check(kill(pid, SIGKILL) == 0 && waitpid(pid, &status, 0) == pid, "kill the worker");
    check(got == 1 && WIFSIGNALED(status), "the worker failed before it held its tasks");
}

static void close_peers(struct scenario *s)
{
    while (s->peer_count > 0) {
        struct peer *p = &s->peers[--s->peer_count];

        if (p->conn != NULL) {
            disconnect(p);
        }
    }
}

static void delete_names(struct scenario *s)
{
    struct peer *p = connect_peer(s);

    while (s->queue_count > 0) {
        amqp_queue_delete(p->conn, CHANNEL, bytes(s->queues[--s->queue_count]), 0, 0);
        must(p, "queue.delete");
    }
    if (s->exchange[0] != '\0') {
        amqp_exchange_delete(p->conn, CHANNEL, bytes(s->exchange), 0);
        must(p, "exchange.delete");
    }
    disconnect(p);
}

static void free_letters(struct scenario *s)
{
    while (s->letters != NULL) {
        struct letter *l = s->letters;

        s->letters = l->next;
        amqp_destroy_message(&l->message);
        free(l);
    }
}

/* Runs steps to their end or to the first failed assertion; true at the end. */
static bool guarded(struct scenario *s, scenario_fn *steps)
{
    if (setjmp(failed) != 0) {
        return false;
    }
    steps(s);
    return true;
}

static void on_alarm(int signo)
{
    static const char text[] = ": timed out waiting for an answer of the broker\n";

    (void)signo;
    if (write(STDOUT_FILENO, "not ok c ", 9) < 0 ||
        write(STDOUT_FILENO, running, strlen(running)) < 0 ||
        write(STDOUT_FILENO, text, sizeof(text) - 1) < 0) {
        _exit(2);
    }
    _exit(1);
}

bool scenario_run(const char *uri, const char *name, scenario_fn *steps)
{
    struct scenario *s = calloc(1, sizeof(*s));
    bool passed;

    if (s == NULL) {
        printf("not ok c %s: out of memory\n", name);
        return false;
    }
    s->uri = uri;
    s->name = running = name;
    signal(SIGALRM, on_alarm);
    alarm(SCENARIO_S);
    passed = guarded(s, steps);
    if (!passed) {
        printf("not ok c %s: %s\n", name, reason);
    }
    free_letters(s);
    if (!guarded(s, close_peers) || !guarded(s, delete_names)) {
        if (passed) {
            printf("not ok c %s: clean-up: %s\n", name, reason);
        }
        passed = false;
    }
    alarm(0);
    if (passed) {
        printf("ok c %s\n", name);
    }
    fflush(stdout);
    free(s);
    return passed;
}
