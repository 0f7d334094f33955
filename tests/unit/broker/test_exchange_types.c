/* The exchange types that RabbitMQ has as plugins: x-consistent-hash, x-modulus-hash, x-random,
 * x-local-random, x-recent-history. */
#include "broker/message.h"

#include "amqp/props.h"
#include "args.h"
#include "world.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))

enum { QUEUES = 40, KEYS = 4000 };

static struct world w;
static struct lev_dest *queues[QUEUES];

static void setup(void)
{
    char name[16];
    world_init(&w);
    for (int i = 0; i < QUEUES; i++) {
        snprintf(name, sizeof(name), "q%02d", i);
        queues[i] = world_queue(&w, name, false);
    }
}

static void teardown(void)
{
    world_deinit(&w);
    ck_assert_int_eq(lev_msg_live(), 0);
}

static int declare(const char *name, const char *type, const char *arguments, struct lev_error *err)
{
    struct lev_exchange_def d = {
        .name = lev_bytes_str(name),
        .type = lev_bytes_str(type),
        .arguments = args(arguments),
    };
    *err = (struct lev_error){0};
    return lev_exchange_declare(w.t, &d, err);
}

static void declare_ok(const char *name, const char *type, const char *arguments)
{
    struct lev_error err;
    ck_assert_msg(declare(name, type, arguments, &err) == 0, "%s", err.text);
}

static void bind_queue(const char *exchange, int queue, const char *key)
{
    char destination[16];
    snprintf(destination, sizeof(destination), "q:q%02d", queue);
    world_bind(&w, exchange, destination, key, "");
}

static void unbind_queue(const char *exchange, int queue, const char *key)
{
    char destination[16];
    snprintf(destination, sizeof(destination), "q:q%02d", queue);
    world_unbind(&w, exchange, destination, key, "");
}

static struct lev_msg *message(struct lev_bytes key, const struct lev_props *props,
                               const char *body)
{
    struct lev_buf raw;
    lev_buf_init(&raw);
    lev_props_encode(&raw, props);
    ck_assert(!raw.failed);
    struct lev_msg *m =
        lev_msg_new(LEV_EMPTY, key, lev_bytes(raw.ptr, raw.len), (uint32_t)strlen(body));
    ck_assert_ptr_nonnull(m);
    memcpy(lev_msg_body_mut(m), body, strlen(body));
    lev_buf_deinit(&raw);
    return m;
}

/* Routes a message by keys separated by "|" and gives the number of queues it goes to; the first of
 * them in *queue_r. */
static size_t send(const char *exchange, const char *keys, const struct lev_props *props,
                   const char *body, struct lev_dest **queue_r)
{
    struct lev_bytes key_list[4];
    size_t n = 0;
    for (const char *at = keys; at; at = strchr(at, '|') ? strchr(at, '|') + 1 : NULL)
        key_list[n++] = lev_bytes(at, strcspn(at, "|"));
    struct lev_msg *m = message(key_list[0], props, body);
    const struct lev_route *r = lev_route_msg(w.t, lev_exchange_get(w.t, lev_bytes_str(exchange)),
                                              m, key_list, n, props->headers);
    size_t n_queues = r->n;
    if (queue_r)
        *queue_r = r->n ? r->dests[0] : NULL;
    lev_msg_unref(&m);
    return n_queues;
}

/* The one queue a message goes to; the same when asked again, cached or not. */
static struct lev_dest *only(const char *exchange, const char *keys, const struct lev_props *props)
{
    struct lev_dest *first, *again;
    ck_assert_uint_eq(send(exchange, keys, props, "", &first), 1);
    for (int i = 0; i < 3; i++) {
        ck_assert_uint_eq(send(exchange, keys, props, "", &again), 1);
        ck_assert_ptr_eq(first, again);
    }
    return first;
}

static void key_of(char *out, size_t cap, int i)
{
    snprintf(out, cap, "key-%d", i);
}

/* Where each of KEYS routing keys goes. */
static void map_keys(const char *exchange, struct lev_dest **to)
{
    char key[32];
    for (int i = 0; i < KEYS; i++) {
        key_of(key, sizeof(key), i);
        to[i] = only(exchange, key, &(struct lev_props){0});
    }
}

static int share_of(struct lev_dest *const *to, const struct lev_dest *queue)
{
    int n = 0;
    for (int i = 0; i < KEYS; i++)
        n += to[i] == queue;
    return n;
}

/* Within six standard deviations of what chance would give. */
static void expect_share(int n, int of, double share)
{
    double mean = of * share, off = n - mean, variance = mean * (1 - share);
    ck_assert_msg(off * off <= 36 * variance + 1, "%d of %d, share %g", n, of, share);
}

/* ---- Declaring
 * ----------------------------------------------------------------------------------- */

#define LENGTH "x-recent-history-length"
#define NOT_POSITIVE ", '" LENGTH "' must be a positive integer"

static const struct {
    const char *type, *arguments, *text; /* NULL: fine */
} declares[] = {
    {"x-consistent-hash", "", NULL},
    {"x-consistent-hash", "hash-header=Sh", NULL},
    {"x-consistent-hash", "hash-header=S", NULL},
    {"x-consistent-hash", "hash-property=Scorrelation_id", NULL},
    {"x-consistent-hash", "hash-property=Smessage_id", NULL},
    {"x-consistent-hash", "hash-property=Stimestamp", NULL},
    {"x-consistent-hash", "hash-property=Smessage-id", "Unsupported property: message-id"},
    {"x-consistent-hash", "hash-property=S", "Unsupported property: "},
    {"x-consistent-hash", "hash-header=Sh hash-property=Snonsense",
     "hash-header and hash-property are mutually exclusive"},
    {"x-consistent-hash", "hash-header=I5", "invalid type 'signedint' for arg 'hash-header'"},
    {"x-consistent-hash", "hash-property=t1 hash-header=Sh",
     "invalid type 'bool' for arg 'hash-property'"},
    {"x-modulus-hash", "hash-header=I5", NULL},
    {"x-random", LENGTH "=I0", NULL},
    {"x-local-random", "", NULL},
    {"x-recent-history", "", NULL},
    {"x-recent-history", LENGTH "=I1", NULL},
    {"x-recent-history", LENGTH "=b1", NULL},
    {"x-recent-history", LENGTH "=s1", NULL},
    {"x-recent-history", LENGTH "=l4611686018427387904", NULL},
    {"x-recent-history", LENGTH "=B3", "Invalid argument 3" NOT_POSITIVE},
    {"x-recent-history", LENGTH "=u3", "Invalid argument 3" NOT_POSITIVE},
    {"x-recent-history", LENGTH "=i3", "Invalid argument 3" NOT_POSITIVE},
    {"x-recent-history", LENGTH "=I0", "Invalid argument 0" NOT_POSITIVE},
    {"x-recent-history", LENGTH "=I-5", "Invalid argument -5" NOT_POSITIVE},
    {"x-recent-history", LENGTH "=S5", "Invalid argument <<\"5\">>" NOT_POSITIVE},
    {"x-recent-history", LENGTH "=t1", "Invalid argument true" NOT_POSITIVE},
    {"x-recent-history", LENGTH "=d5", "Invalid argument 5.0" NOT_POSITIVE},
    {"x-recent-history", LENGTH "=V", "Invalid argument undefined" NOT_POSITIVE},
};

START_TEST(test_declare)
{
    struct lev_error err;
    int rc = declare("x", declares[_i].type, declares[_i].arguments, &err);
    ck_assert_int_eq(rc, declares[_i].text ? -1 : 0);
    ck_assert_str_eq(err.text, declares[_i].text ? declares[_i].text : "");
    ck_assert_uint_eq(err.code, declares[_i].text ? 406 : 0);
    ck_assert(world_has(&w, "x") == !declares[_i].text);
}
END_TEST

/* Arguments of an exchange that exists are not looked at; its type is shown as Erlang would. */
START_TEST(test_declare_again)
{
    struct lev_error err;
    declare_ok("x", "x-consistent-hash", "hash-header=Sh");
    declare_ok("x", "x-consistent-hash", "");
    declare_ok("x", "x-consistent-hash", "hash-property=Snonsense");
    ck_assert_int_eq(declare("x", "fanout", "", &err), -1);
    ck_assert_str_eq(err.text, "inequivalent arg 'type' for exchange 'x' in vhost '/': "
                               "received 'fanout' but current is ''x-consistent-hash''");
    ck_assert_int_eq(declare("amq.direct", "x-random", "", &err), -1);
    ck_assert_str_eq(err.text, "inequivalent arg 'type' for exchange 'amq.direct' in vhost '/': "
                               "received ''x-random'' but current is 'direct'");
}
END_TEST

/* What is restored has not been checked: nonsense counts as if it were not there. */
static const struct {
    const char *type, *arguments;
    size_t n; /* queues that get a message by a binding with a nonsensical key */
} nonsense[] = {
    {"x-consistent-hash", "hash-header=I5", 0},
    {"x-consistent-hash", "hash-property=Snonsense", 0},
    {"x-recent-history", LENGTH "=I-1", 1},
};

START_TEST(test_restore_nonsense)
{
    struct lev_exchange_def d = {.durable = true,
                                 .name = LEV_LIT("x"),
                                 .type = lev_bytes_str(nonsense[_i].type),
                                 .arguments = args(nonsense[_i].arguments)};
    lev_topology_restore_exchange(w.t, &d);
    struct lev_binding_def b = world_binding("x", "q:q00", "nonsense", "");
    ck_assert(lev_topology_restore_binding(w.t, &b));
    ck_assert_uint_eq(send("x", "k", &(struct lev_props){0}, "", NULL), nonsense[_i].n);
    bind_queue("x", 1, "1");
    ck_assert_uint_eq(send("x", "k", &(struct lev_props){0}, "", NULL), nonsense[_i].n + 1);
    unbind_queue("x", 0, "nonsense");
    ck_assert_ptr_eq(only("x", "k", &(struct lev_props){0}), queues[1]);
}
END_TEST

/* ---- Binding keys
 * -------------------------------------------------------------------------------- */

#define NOT_POSITIVE_KEY "The binding key must be greater than 0"
#define NO_INTEGER "The binding key must be an integer: "

static const struct {
    const char *type, *destination, *key, *text;
} binds[] = {
    {"x-consistent-hash", "q:q00", "1", NULL},
    {"x-consistent-hash", "q:q00", "007", NULL},
    {"x-consistent-hash", "q:q00", "+5", NULL},
    {"x-consistent-hash", "q:q00", "99999999999999999999999999999999999999", NULL},
    {"x-consistent-hash", "x:amq.fanout", "2", NULL},
    {"x-consistent-hash", "q:q00", "0", NOT_POSITIVE_KEY},
    {"x-consistent-hash", "q:q00", "+000", NOT_POSITIVE_KEY},
    {"x-consistent-hash", "q:q00", "-0", NOT_POSITIVE_KEY},
    {"x-consistent-hash", "q:q00", "-99999999999999999999", NOT_POSITIVE_KEY},
    {"x-consistent-hash", "q:q00", "", NO_INTEGER "<<>>"},
    {"x-consistent-hash", "q:q00", "x", NO_INTEGER "<<\"x\">>"},
    {"x-consistent-hash", "q:q00", "1.5", NO_INTEGER "<<\"1.5\">>"},
    {"x-consistent-hash", "q:q00", "1e3", NO_INTEGER "<<\"1e3\">>"},
    {"x-consistent-hash", "q:q00", " 1", NO_INTEGER "<<\" 1\">>"},
    {"x-consistent-hash", "q:q00", "1 ", NO_INTEGER "<<\"1 \">>"},
    {"x-consistent-hash", "q:q00", "+", NO_INTEGER "<<\"+\">>"},
    {"x-consistent-hash", "q:q00", "-", NO_INTEGER "<<\"-\">>"},
    {"x-consistent-hash", "q:q00", "+-1", NO_INTEGER "<<\"+-1\">>"},
    {"x-consistent-hash", "q:q00", "0x10", NO_INTEGER "<<\"0x10\">>"},
    {"x-consistent-hash", "q:q00", "inf", NO_INTEGER "<<\"inf\">>"},
    {"x-consistent-hash", "x:amq.fanout", "\x01", NO_INTEGER "<<1>>"},
    {"x-modulus-hash", "q:q00", "anything", NULL},
    {"x-random", "q:q00", "anything", NULL},
    {"x-recent-history", "q:q00", "anything", NULL},
    {"x-local-random", "q:q00", "", NULL},
    {"x-local-random", "q:q00", "k", "Non empty binding 'k' key not permitted"},
    {"x-local-random", "x:amq.fanout", "k", "Non empty binding 'k' key not permitted"},
    {"x-local-random", "x:amq.fanout", "", "Destination not found"},
    {"x-local-random", "q:quorum", "",
     "Queue type rabbit_quorum_queue not valid for this exchange type"},
    {"x-random", "q:quorum", "", NULL},
};

START_TEST(test_bind)
{
    struct lev_error err = {0};
    world_queue(&w, "quorum", true);
    declare_ok("x", binds[_i].type, "");
    struct lev_binding_def d = world_binding("x", binds[_i].destination, binds[_i].key, "");
    ck_assert_int_eq(lev_bind(w.t, &d, &err), binds[_i].text ? -1 : 0);
    ck_assert_str_eq(err.text, binds[_i].text ? binds[_i].text : "");
    ck_assert_uint_eq(err.code, binds[_i].text ? 406 : 0);
    ck_assert(lev_binding_exists(w.t, &d) == !binds[_i].text);
}
END_TEST

/* ---- Consistent hash
 * ----------------------------------------------------------------------------- */

START_TEST(test_chash_even)
{
    struct lev_dest *to[KEYS];
    declare_ok("x", "x-consistent-hash", "");
    ck_assert_uint_eq(send("x", "k", &(struct lev_props){0}, "", NULL), 0);
    for (int i = 0; i < 10; i++)
        bind_queue("x", i, "1");
    map_keys("x", to);
    for (int i = 0; i < 10; i++)
        expect_share(share_of(to, queues[i]), KEYS, 0.1);
}
END_TEST

START_TEST(test_chash_weights)
{
    static const char *const weights[] = {"1", "2", "3", "14"};
    struct lev_dest *to[KEYS];
    declare_ok("x", "x-consistent-hash", "");
    for (int i = 0; i < COUNT(weights); i++)
        bind_queue("x", i, weights[i]);
    map_keys("x", to);
    for (int i = 0; i < COUNT(weights); i++)
        expect_share(share_of(to, queues[i]), KEYS, atof(weights[i]) / 20);
}
END_TEST

/* One more of n queues takes its share, a 1/n, and nothing moves between the others; taken away
 * again, everything is as before. */
START_TEST(test_chash_stable)
{
    struct lev_dest *before[KEYS], *with[KEYS], *after[KEYS];
    const int n = _i;
    declare_ok("x", "x-consistent-hash", "");
    for (int i = 0; i < n; i++)
        bind_queue("x", i, "3");
    map_keys("x", before);
    bind_queue("x", n, "3");
    map_keys("x", with);
    for (int i = 0; i < KEYS; i++)
        ck_assert(with[i] == before[i] || with[i] == queues[n]);
    expect_share(share_of(with, queues[n]), KEYS, 1.0 / (n + 1));
    unbind_queue("x", 0, "3");
    map_keys("x", after);
    for (int i = 0; i < KEYS; i++)
        ck_assert(after[i] == with[i] || with[i] == queues[0]);
    ck_assert_int_eq(share_of(after, queues[0]), 0);
    bind_queue("x", 0, "3");
    unbind_queue("x", n, "3");
    map_keys("x", after);
    ck_assert_mem_eq(after, before, sizeof(after));
}
END_TEST

/* The order of binding does not matter, nor does the exchange: so nothing moves at a restart. */
START_TEST(test_chash_order)
{
    struct lev_dest *there[KEYS], *back[KEYS];
    declare_ok("x", "x-consistent-hash", "");
    declare_ok("y", "x-consistent-hash", "");
    for (int i = 0; i < 10; i++) {
        bind_queue("x", i, i % 2 ? "1" : "2");
        bind_queue("y", 9 - i, (9 - i) % 2 ? "1" : "2");
    }
    map_keys("x", there);
    map_keys("y", back);
    ck_assert_mem_eq(there, back, sizeof(there));
}
END_TEST

/* Choices once made are for ever: they must not change from one release to the next. */
START_TEST(test_chash_pinned)
{
    static const int expected[] = {
        7, 6, 0, 3, 1, 0, 7, 0, 1, 2, 0, 1, 0, 0, 2, 3,
    };
    char key[32];
    declare_ok("x", "x-consistent-hash", "");
    for (int i = 0; i < 8; i++)
        bind_queue("x", i, "1");
    for (int i = 0; i < COUNT(expected); i++) {
        key_of(key, sizeof(key), i);
        ck_assert_ptr_eq(only("x", key, &(struct lev_props){0}), queues[expected[i]]);
    }
}
END_TEST

START_TEST(test_chash_first_binding)
{
    struct lev_dest *even[KEYS], *to[KEYS];
    declare_ok("x", "x-consistent-hash", "");
    bind_queue("x", 0, "1");
    bind_queue("x", 1, "1");
    map_keys("x", even);
    bind_queue("x", 0, "1000");
    bind_queue("x", 0, "3");
    map_keys("x", to);
    ck_assert_mem_eq(to, even, sizeof(to));
    unbind_queue("x", 0, "1"); /* the next oldest counts */
    map_keys("x", to);
    expect_share(share_of(to, queues[0]), KEYS, 1000.0 / 1001);
    unbind_queue("x", 0, "3");
    unbind_queue("x", 0, "1000");
    map_keys("x", to);
    ck_assert_int_eq(share_of(to, queues[1]), KEYS);
}
END_TEST

/* By header or property: queues get their shares, and the cache of routes does not stand between.
 */
START_TEST(test_chash_subjects)
{
    static const char *const arguments[] = {"hash-header=Sh", "hash-property=Scorrelation_id",
                                            "hash-property=Smessage_id",
                                            "hash-property=Stimestamp"};
    int counts[4] = {0};
    declare_ok("x", "x-consistent-hash", arguments[_i]);
    for (int i = 0; i < 4; i++)
        bind_queue("x", i, "1");
    for (int i = 0; i < KEYS; i++) {
        char text[32], headers[64];
        key_of(text, sizeof(text), i);
        snprintf(headers, sizeof(headers), "g=Sx h=S%s", text);
        struct lev_props p = {.flags = LEV_PROP_HEADERS | LEV_PROP_CORRELATION_ID |
                                       LEV_PROP_MESSAGE_ID | LEV_PROP_TIMESTAMP,
                              .headers = args(_i == 0 ? headers : "g=Sx")};
        p.correlation_id = _i == 1 ? lev_bytes_str(text) : LEV_LIT("same");
        p.message_id = _i == 2 ? lev_bytes_str(text) : LEV_LIT("same");
        p.timestamp = _i == 3 ? (uint64_t)i : 7;
        struct lev_dest *to = only("x", "same", &p);
        ck_assert_ptr_eq(to, only("x", text, &p));
        for (int q = 0; q < 4; q++)
            counts[q] += to == queues[q];
    }
    for (int q = 0; q < 4; q++)
        expect_share(counts[q], KEYS, 0.25);
}
END_TEST

/* Without the header or property everything goes one way, like messages of one subject. */
START_TEST(test_chash_no_subject)
{
    static const char *const arguments[] = {"hash-header=Sh", "hash-property=Smessage_id",
                                            "hash-property=Stimestamp"};
    char key[32];
    declare_ok("x", "x-consistent-hash", arguments[_i]);
    for (int i = 0; i < 8; i++)
        bind_queue("x", i, "1");
    struct lev_dest *to = only("x", "k", &(struct lev_props){0});
    for (int i = 0; i < 100; i++) {
        key_of(key, sizeof(key), i);
        struct lev_props p = {.flags = LEV_PROP_HEADERS | LEV_PROP_CORRELATION_ID,
                              .headers = args("g=Sx"),
                              .correlation_id = lev_bytes_str(key)};
        ck_assert_ptr_eq(only("x", key, &p), to);
    }
}
END_TEST

/* Header values: an integer counts by number whatever its width; types differ. */
START_TEST(test_chash_header_values)
{
    static const char *const same[] = {"h=I5", "h=b5", "h=B5", "h=s5",
                                       "h=u5", "h=i5", "h=l5", "h=l5 h=I6"};
    static const char *const other[] = {"h=S5", "h=x5", "h=d5",          "h=t1",
                                        "h=V",  "h=T5", "h=A5300000000", "h=I6"};
    bool differs = false;
    declare_ok("x", "x-consistent-hash", "hash-header=Sh");
    for (int i = 0; i < QUEUES; i++)
        bind_queue("x", i, "1");
    struct lev_props p = {.flags = LEV_PROP_HEADERS, .headers = args("h=I5")};
    struct lev_dest *five = only("x", "k", &p);
    for (int i = 0; i < COUNT(same); i++) {
        p.headers = args(same[i]);
        ck_assert_ptr_eq(only("x", "k", &p), five);
    }
    for (int i = 0; i < COUNT(other); i++) {
        p.headers = args(other[i]);
        differs |= only("x", "k", &p) != five;
    }
    ck_assert(differs);
}
END_TEST

START_TEST(test_chash_cc)
{
    declare_ok("x", "x-consistent-hash", "");
    for (int i = 0; i < QUEUES; i++)
        bind_queue("x", i, "1");
    struct lev_dest *to = only("x", "k", &(struct lev_props){0});
    ck_assert_ptr_eq(only("x", "k|cc", &(struct lev_props){0}), to);
    ck_assert_ptr_eq(only("x", "k|other|more", &(struct lev_props){0}), to);
}
END_TEST

/* ---- Modulus hash, random
 * ------------------------------------------------------------------------ */

START_TEST(test_modulus)
{
    struct lev_dest *to[KEYS], *again[KEYS];
    declare_ok("x", "x-modulus-hash", "");
    declare_ok("y", "x-modulus-hash", "");
    ck_assert_uint_eq(send("x", "k", &(struct lev_props){0}, "", NULL), 0);
    for (int i = 0; i < 5; i++) {
        bind_queue("x", i, "");
        bind_queue("y", 4 - i, "whatever");
    }
    map_keys("x", to);
    map_keys("y", again);
    ck_assert_mem_eq(to, again, sizeof(to));
    for (int i = 0; i < 5; i++)
        expect_share(share_of(to, queues[i]), KEYS, 0.2);
    bind_queue("x", 0, "another"); /* bindings count, not queues */
    map_keys("x", to);
    expect_share(share_of(to, queues[0]), KEYS, 2.0 / 6);
    for (int i = 0; i < 5; i++)
        unbind_queue("x", i, "");
    map_keys("x", to);
    ck_assert_int_eq(share_of(to, queues[0]), KEYS);
}
END_TEST

/* All routing keys count. */
START_TEST(test_modulus_cc)
{
    char keys[64];
    bool differs = false;
    declare_ok("x", "x-modulus-hash", "");
    for (int i = 0; i < 8; i++)
        bind_queue("x", i, "");
    struct lev_dest *to = only("x", "k|cc", &(struct lev_props){0});
    for (int i = 0; i < 20; i++) {
        snprintf(keys, sizeof(keys), "k|cc-%d", i);
        differs |= only("x", keys, &(struct lev_props){0}) != to;
    }
    ck_assert(differs);
}
END_TEST

static const char *const randoms[] = {"x-random", "x-local-random"};

START_TEST(test_random)
{
    struct lev_dest *to[KEYS];
    declare_ok("x", randoms[_i], "");
    ck_assert_uint_eq(send("x", "k", &(struct lev_props){0}, "", NULL), 0);
    for (int i = 0; i < 5; i++)
        bind_queue("x", i, "");
    for (int i = 0; i < KEYS; i++)
        ck_assert_uint_eq(send("x", "k", &(struct lev_props){0}, "", &to[i]), 1);
    for (int i = 0; i < 5; i++)
        expect_share(share_of(to, queues[i]), KEYS, 0.2);
    world_queue_gone(&w, "q01");
    unbind_queue("x", 3, "");
    for (int i = 0; i < KEYS; i++)
        ck_assert_uint_eq(send("x", "k", &(struct lev_props){0}, "", &to[i]), 1);
    ck_assert_int_eq(share_of(to, queues[3]), 0);
    for (int i = 0; i < 5; i += 2)
        expect_share(share_of(to, queues[i]), KEYS, 1.0 / 3);
}
END_TEST

START_TEST(test_random_bindings)
{
    struct lev_dest *to[KEYS];
    declare_ok("x", "x-random", "");
    bind_queue("x", 0, "");
    bind_queue("x", 1, "a");
    bind_queue("x", 1, "b");
    bind_queue("x", 1, "c");
    for (int i = 0; i < KEYS; i++)
        ck_assert_uint_eq(send("x", "k", &(struct lev_props){0}, "", &to[i]), 1);
    expect_share(share_of(to, queues[0]), KEYS, 0.25);
}
END_TEST

/* Behind another exchange too, chance is not cached. */
START_TEST(test_random_behind_fanout)
{
    struct lev_dest *to[KEYS];
    declare_ok("x", "x-random", "");
    world_bind(&w, "amq.fanout", "x:x", "", "");
    bind_queue("x", 0, "");
    bind_queue("x", 1, "");
    for (int i = 0; i < KEYS; i++)
        ck_assert_uint_eq(send("amq.fanout", "k", &(struct lev_props){0}, "", &to[i]), 1);
    expect_share(share_of(to, queues[0]), KEYS, 0.5);
}
END_TEST

static const char *const types[] = {"x-consistent-hash", "x-modulus-hash", "x-random",
                                    "x-recent-history"};

/* With nothing bound the alternate exchange gets the message; an exchange is a destination too. */
START_TEST(test_alternate_and_exchange)
{
    struct lev_dest *to;
    declare_ok("x", types[_i], "alternate-exchange=Samq.fanout");
    bind_queue("amq.fanout", 0, "");
    ck_assert_ptr_eq(only("x", "k", &(struct lev_props){0}), queues[0]);
    world_exchange(&w, "y", "fanout", "", NULL);
    world_bind(&w, "x", "x:y", "1", "");
    ck_assert_uint_eq(send("x", "k", &(struct lev_props){0}, "", NULL), 0);
    bind_queue("y", 1, "");
    ck_assert_uint_eq(send("x", "k", &(struct lev_props){0}, "", &to), 1);
    ck_assert_ptr_eq(to, queues[1]);
}
END_TEST

/* A thousand bindings, made and removed in different orders. */
START_TEST(test_many_bindings)
{
    char key[16];
    declare_ok("x", types[_i], "");
    for (int i = 0; i < 1000; i++) {
        snprintf(key, sizeof(key), "%d", i + 1);
        bind_queue("x", i * 7 % QUEUES, key);
    }
    for (int i = 0; i < 1000; i++) {
        int k = i * 389 % 1000;
        ck_assert_uint_ge(send("x", "k", &(struct lev_props){0}, "", NULL), 1);
        snprintf(key, sizeof(key), "%d", k + 1);
        unbind_queue("x", k * 7 % QUEUES, key);
    }
    ck_assert_uint_eq(send("x", "k", &(struct lev_props){0}, "", NULL), 0);
}
END_TEST

/* ---- Recent history
 * ------------------------------------------------------------------------------ */

static void send_numbers(const char *exchange, int from, int to)
{
    char body[16];
    for (int i = from; i < to; i++) {
        snprintf(body, sizeof(body), "m%d", i);
        send(exchange, "k", &(struct lev_props){0}, body, NULL);
    }
}

START_TEST(test_history)
{
    struct lev_dest *to;
    declare_ok("x", "x-recent-history", LENGTH "=I3");
    bind_queue("x", 0, "");
    world_expect(&w, "");
    send_numbers("x", 0, 2);
    bind_queue("x", 1, "");
    world_expect(&w, "=q01 m0;=q01 m1;");
    send_numbers("x", 2, 6);
    bind_queue("x", 2, "");
    world_expect(&w, "=q02 m3;=q02 m4;=q02 m5;");
    bind_queue("x", 2, ""); /* it exists */
    world_expect(&w, "");
    bind_queue("x", 2, "again");
    world_expect(&w, "=q02 m3;=q02 m4;=q02 m5;");
    ck_assert_uint_eq(send("x", "k", &(struct lev_props){0}, "", &to), 3);
    unbind_queue("x", 2, "again");
    world_expect(&w, "");
}
END_TEST

START_TEST(test_history_default)
{
    declare_ok("x", "x-recent-history", "");
    send_numbers("x", 0, 25);
    bind_queue("x", 0, "");
    world_expect(&w, "=q00 m5;=q00 m6;=q00 m7;=q00 m8;=q00 m9;=q00 m10;=q00 m11;=q00 m12;=q00 m13;"
                     "=q00 m14;=q00 m15;=q00 m16;=q00 m17;=q00 m18;=q00 m19;=q00 m20;=q00 m21;"
                     "=q00 m22;=q00 m23;=q00 m24;");
}
END_TEST

START_TEST(test_history_no_store)
{
    static const char *const headers[] = {
        "x-recent-history-no-store=t1",    "x-recent-history-no-store=t0",
        "x-recent-history-no-store=Strue", "x-recent-history-no-store=I1",
        "x-recent-history-no-store=V",     "other=t1"};
    static const char *const bodies[] = {"a", "b", "c", "d", "e", "f"};
    declare_ok("x", "x-recent-history", "");
    bind_queue("x", 0, "");
    for (int i = 0; i < COUNT(headers); i++) {
        struct lev_props p = {.flags = LEV_PROP_HEADERS, .headers = args(headers[i])};
        ck_assert_uint_eq(send("x", "k", &p, bodies[i], NULL), 1);
    }
    bind_queue("x", 1, "");
    world_expect(&w, "=q01 b;=q01 c;=q01 d;=q01 e;=q01 f;");
}
END_TEST

/* Asking where a message would go leaves no trace. */
START_TEST(test_history_asked)
{
    declare_ok("x", "x-recent-history", "");
    bind_queue("x", 0, "");
    world_route(&w, "x", "k", "", "q00");
    bind_queue("x", 1, "");
    world_expect(&w, "");
}
END_TEST

/* A newly bound exchange routes the history, by all the keys of each message and its headers; what
 * comes by way of another exchange is kept as well. */
START_TEST(test_history_exchanges)
{
    struct lev_props p = {.flags = LEV_PROP_HEADERS, .headers = args("a=I1")};
    declare_ok("x", "x-recent-history", "");
    world_bind(&w, "amq.fanout", "x:x", "", "");
    send("amq.fanout", "k1|cc|bcc", &(struct lev_props){0}, "m1", NULL);
    send("amq.fanout", "k2", &p, "m2", NULL);
    bind_queue("amq.direct", 0, "bcc");
    bind_queue("amq.direct", 1, "k2");
    world_bind(&w, "x", "x:amq.direct", "", "");
    world_expect(&w, "=q00 m1;=q01 m2;");
    world_bind(&w, "amq.headers", "q:q02", "", "a=I1");
    world_bind(&w, "x", "x:amq.headers", "", "");
    world_expect(&w, "=q02 m2;");
    world_exchange(&w, "nowhere", "fanout", "", NULL);
    world_bind(&w, "x", "x:nowhere", "", "");
    world_expect(&w, "");
}
END_TEST

/* Bound to itself it routes, and so keeps, what it is giving out; that ends. */
START_TEST(test_history_itself)
{
    declare_ok("x", "x-recent-history", LENGTH "=I2");
    bind_queue("x", 0, "");
    send_numbers("x", 0, 3);
    world_bind(&w, "x", "x:x", "", "");
    world_expect(&w, "=q00 m1;=q00 m2;");
}
END_TEST

START_TEST(test_history_deleted)
{
    struct lev_error err = {0};
    declare_ok("x", "x-recent-history", "");
    send_numbers("x", 0, 3);
    ck_assert_int_eq(lev_exchange_delete(w.t, LEV_LIT("x"), false, &err), 0);
    ck_assert_int_eq(lev_msg_live(), 0);
    declare_ok("x", "x-recent-history", "");
    bind_queue("x", 0, "");
    world_expect(&w, "");
    send_numbers("x", 0, 3); /* the fixture looks at what is left */
}
END_TEST

static void add_hash_tests(TCase *tc)
{
    tcase_add_test(tc, test_chash_even);
    tcase_add_test(tc, test_chash_weights);
    tcase_add_loop_test(tc, test_chash_stable, 1, 12);
    tcase_add_test(tc, test_chash_order);
    tcase_add_test(tc, test_chash_pinned);
    tcase_add_test(tc, test_chash_first_binding);
    tcase_add_loop_test(tc, test_chash_subjects, 0, 4);
    tcase_add_loop_test(tc, test_chash_no_subject, 0, 3);
    tcase_add_test(tc, test_chash_header_values);
    tcase_add_test(tc, test_chash_cc);
    tcase_add_test(tc, test_modulus);
    tcase_add_test(tc, test_modulus_cc);
    tcase_add_loop_test(tc, test_random, 0, COUNT(randoms));
    tcase_add_test(tc, test_random_bindings);
    tcase_add_test(tc, test_random_behind_fanout);
    tcase_add_loop_test(tc, test_alternate_and_exchange, 0, COUNT(types));
    tcase_add_loop_test(tc, test_many_bindings, 0, COUNT(types));
}

static void add_history_tests(TCase *tc)
{
    tcase_add_test(tc, test_history);
    tcase_add_test(tc, test_history_default);
    tcase_add_test(tc, test_history_no_store);
    tcase_add_test(tc, test_history_asked);
    tcase_add_test(tc, test_history_exchanges);
    tcase_add_test(tc, test_history_itself);
    tcase_add_test(tc, test_history_deleted);
}

int main(void)
{
    Suite *s = suite_create("broker/exchange_types");
    TCase *tc = tcase_create("exchange types");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, test_declare, 0, COUNT(declares));
    tcase_add_test(tc, test_declare_again);
    tcase_add_loop_test(tc, test_restore_nonsense, 0, COUNT(nonsense));
    tcase_add_loop_test(tc, test_bind, 0, COUNT(binds));
    add_hash_tests(tc);
    add_history_tests(tc);
    tcase_set_timeout(tc, 60);
    suite_add_tcase(s, tc);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
