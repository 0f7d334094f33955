/* Exchanges and bindings: declaring, deleting, binding, their refusals word for word, identity of
 * bindings, auto-delete, what is persisted, recovery. */
#include "broker/topology.h"

#include "amqp/table.h"
#include "args.h"
#include "world.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))

static struct world w;

static void setup(void)
{
    world_init(&w);
    world_queue(&w, "dq", true);
    world_queue(&w, "tq", false);
}

static void teardown(void)
{
    world_deinit(&w);
}

static struct lev_exchange_def exchange_def(const char *name, const char *type, const char *flags,
                                            const char *arguments)
{
    return (struct lev_exchange_def){
        .durable = strchr(flags, 'd') != NULL,
        .auto_delete = strchr(flags, 'a') != NULL,
        .internal = strchr(flags, 'i') != NULL,
        .name = lev_bytes_str(name),
        .type = lev_bytes_str(type),
        .arguments = args(arguments),
    };
}

static void expect_error(int rc, const struct lev_error *err, unsigned code, const char *text)
{
    ck_assert_int_eq(rc, code ? -1 : 0);
    if (!code)
        return;
    ck_assert_uint_eq(err->code, code);
    ck_assert_str_eq(err->text, text);
}

/* ---- Predeclared
 * --------------------------------------------------------------------------------- */

static const struct {
    const char *name, *type;
    bool internal;
} predeclared[] = {
    {"", "direct", false},
    {"amq.direct", "direct", false},
    {"amq.fanout", "fanout", false},
    {"amq.topic", "topic", false},
    {"amq.headers", "headers", false},
    {"amq.match", "headers", false},
    {"amq.rabbitmq.trace", "topic", true},
};

START_TEST(test_predeclared)
{
    ck_assert_uint_eq(lev_exchange_count(w.t), COUNT(predeclared));
    struct lev_exchange *x = lev_exchange_get(w.t, lev_bytes_str(predeclared[_i].name));
    ck_assert_ptr_nonnull(x);
    const struct lev_exchange_def *d = lev_exchange_def_of(x);
    ck_assert(lev_bytes_eq(d->name, lev_bytes_str(predeclared[_i].name)));
    ck_assert(lev_bytes_eq(d->type, lev_bytes_str(predeclared[_i].type)));
    ck_assert(d->durable && !d->auto_delete && d->arguments.len == 0);
    ck_assert(lev_exchange_is_internal(x) == predeclared[_i].internal);
    world_expect(&w, "");
    ck_assert_int_eq(w.told, 0);
}
END_TEST

/* ---- exchange.declare
 * ------------------------------------------------------------------------------ */

#define AE "alternate-exchange"

/* There are "x" (direct), "dx" (durable, auto_delete, internal topic) and "ax" (with alternate
 * "a"). */
static const struct {
    const char *name, *type, *flags, *arguments;
    unsigned code;
    const char *text;
} declares[] = {
    {"new", "direct", "", "", 0, NULL},
    {"new", "headers", "dai", AE "=Sx foo=I1", 0, NULL},
    {"amqx", "direct", "", "", 0, NULL},
    {"x", "direct", "", "", 0, NULL},
    {"x", "direct", "", "foo=I1", 0, NULL},
    {"dx", "topic", "dai", "", 0, NULL},
    {"ax", "fanout", "", AE "=Sa", 0, NULL},
    {"ax", "fanout", "", AE "=xa", 0, NULL}, /* octets count */
    {"amq.direct", "direct", "d", "", 0, NULL},
    {"amq.rabbitmq.trace", "topic", "di", "", 0, NULL},
    {"new", "foo", "", "", 406, "unknown exchange type 'foo'"},
    {"x", "foo", "", "", 406, "unknown exchange type 'foo'"},
    {"", "foo", "", "", 406, "unknown exchange type 'foo'"},
    {"new", "", "", "", 406, "unknown exchange type ''"},
    {"new", "Direct", "", "", 406, "unknown exchange type 'Direct'"},
    {"", "direct", "d", "", 403, "operation not permitted on the default exchange"},
    {"amq.foo", "direct", "", "", 403, "exchange name 'amq.foo' contains reserved prefix 'amq.*'"},
    {"amq.", "direct", "", AE "=I5", 403, "exchange name 'amq.' contains reserved prefix 'amq.*'"},
    {"amq.direct", "direct", "", "", 406,
     "inequivalent arg 'durable' for exchange 'amq.direct' in vhost '/': "
     "received 'false' but current is 'true'"},
    {"x", "fanout", "dai", AE "=Sa", 406,
     "inequivalent arg 'type' for exchange 'x' in vhost '/': "
     "received 'fanout' but current is 'direct'"},
    {"x", "direct", "dai", AE "=Sa", 406,
     "inequivalent arg 'durable' for exchange 'x' in vhost '/': "
     "received 'true' but current is 'false'"},
    {"x", "direct", "ai", AE "=Sa", 406,
     "inequivalent arg 'auto_delete' for exchange 'x' in vhost '/': "
     "received 'true' but current is 'false'"},
    {"x", "direct", "i", AE "=Sa", 406,
     "inequivalent arg 'internal' for exchange 'x' in vhost '/': "
     "received 'true' but current is 'false'"},
    {"dx", "topic", "da", "", 406,
     "inequivalent arg 'internal' for exchange 'dx' in vhost '/': "
     "received 'false' but current is 'true'"},
    {"x", "direct", "", AE "=Sa", 406,
     "inequivalent arg 'alternate-exchange' for exchange 'x' in vhost '/': "
     "received the value 'a' of type 'longstr' but current is none"},
    {"x", "direct", "", AE "=I5", 406,
     "inequivalent arg 'alternate-exchange' for exchange 'x' in vhost '/': "
     "received the value '5' of type 'signedint' but current is none"},
    {"x", "direct", "",
     AE "=F01616201016253000000"
        "0178",
     406,
     "inequivalent arg 'alternate-exchange' for exchange 'x' in vhost '/': "
     "received the value '[{<<\"a\">>,byte,1},{<<\"b\">>,longstr,<<\"x\">>}]' of type 'table' "
     "but current is none"},
    {"ax", "fanout", "", "", 406,
     "inequivalent arg 'alternate-exchange' for exchange 'ax' in vhost '/': "
     "received none but current is the value 'a' of type 'longstr'"},
    {"ax", "fanout", "", AE "=Sb", 406,
     "inequivalent arg 'alternate-exchange' for exchange 'ax' in vhost '/': "
     "received 'b' but current is 'a'"},
    {"ax", "fanout", "", AE "=I5", 406,
     "inequivalent arg 'alternate-exchange' for exchange 'ax' in vhost '/': "
     "received '5' but current is 'a'"},
    {"new", "direct", "", AE "=I5", 406,
     "invalid type 'signedint' for arg 'alternate-exchange' in exchange 'new' in vhost '/'"},
    {"new", "direct", "", AE "=l5", 406,
     "invalid type 'long' for arg 'alternate-exchange' in exchange 'new' in vhost '/'"},
    {"new", "direct", "", AE "=t1", 406,
     "invalid type 'bool' for arg 'alternate-exchange' in exchange 'new' in vhost '/'"},
};

START_TEST(test_declare)
{
    struct lev_error err = {0};
    world_exchange(&w, "x", "direct", "", NULL);
    world_exchange(&w, "dx", "topic", "dai", NULL);
    world_exchange(&w, "ax", "fanout", "", "a");
    size_t before = lev_exchange_count(w.t);
    bool was_there = world_has(&w, declares[_i].name);
    struct lev_exchange_def d = exchange_def(declares[_i].name, declares[_i].type,
                                             declares[_i].flags, declares[_i].arguments);
    int rc = lev_exchange_declare(w.t, &d, &err);
    expect_error(rc, &err, declares[_i].code, declares[_i].text);
    ck_assert_uint_eq(lev_exchange_count(w.t), before + (rc == 0 && !was_there));
}
END_TEST

START_TEST(test_declare_keeps_copies)
{
    struct lev_error err;
    char name[] = "name", type[] = "topic";
    struct lev_exchange_def d = exchange_def(name, type, "ai", "a=I1");
    ck_assert_int_eq(lev_exchange_declare(w.t, &d, &err), 0);
    name[0] = type[0] = '!';
    const struct lev_exchange_def *is = lev_exchange_def_of(lev_exchange_get(w.t, LEV_LIT("name")));
    ck_assert(lev_bytes_eq(is->name, LEV_LIT("name")));
    ck_assert(lev_bytes_eq(is->type, LEV_LIT("topic")));
    ck_assert(lev_bytes_eq(is->arguments, args("a=I1")) && is->arguments.ptr != d.arguments.ptr);
    ck_assert(!is->durable && is->auto_delete && is->internal);
}
END_TEST

START_TEST(test_check)
{
    struct lev_error err = {0};
    ck_assert_int_eq(lev_exchange_check(w.t, LEV_LIT("amq.topic"), &err), 0);
    expect_error(lev_exchange_check(w.t, LEV_LIT("nope"), &err), &err, 404,
                 "no exchange 'nope' in vhost '/'");
    expect_error(lev_exchange_check(w.t, LEV_EMPTY, &err), &err, 403,
                 "operation not permitted on the default exchange");
}
END_TEST

/* ---- exchange.delete
 * -------------------------------------------------------------------------------- */

static int delete_exchange(const char *name, bool if_unused, struct lev_error *err)
{
    return lev_exchange_delete(w.t, lev_bytes_str(name), if_unused, err);
}

START_TEST(test_delete)
{
    struct lev_error err = {0};
    world_exchange(&w, "x", "direct", "", NULL);
    world_exchange(&w, "y", "direct", "", NULL);
    world_bind(&w, "x", "x:y", "k", "");
    world_bind(&w, "x", "q:tq", "k", "");
    ck_assert_int_eq(delete_exchange("nope", false, &err), 0);
    ck_assert_int_eq(delete_exchange("nope", true, &err), 0);
    expect_error(delete_exchange("", false, &err), &err, 403,
                 "operation not permitted on the default exchange");
    expect_error(delete_exchange("amq.direct", false, &err), &err, 403,
                 "deletion of system exchange 'amq.direct' in vhost '/' not allowed");
    expect_error(delete_exchange("amq.nope", true, &err), &err, 403,
                 "deletion of system exchange 'amq.nope' in vhost '/' not allowed");
    expect_error(delete_exchange("x", true, &err), &err, 406, "exchange 'x' in vhost '/' in use");
    ck_assert_int_eq(delete_exchange("y", true, &err), 0); /* bindings to it do not count */
    ck_assert(!world_has(&w, "y"));
    world_route(&w, "x", "k", "", "tq");
    ck_assert_int_eq(delete_exchange("x", false, &err), 0);
    ck_assert(!world_has(&w, "x"));
    ck_assert_uint_eq(lev_exchange_count(w.t), COUNT(predeclared));
}
END_TEST

/* ---- bind, unbind: refusals
 * -------------------------------------------------------------------------- */

static const struct {
    const char *source, *destination, *arguments;
    unsigned bind, unbind; /* codes */
    const char *text;
} binds[] = {
    {"amq.direct", "q:dq", "", 0, 0, NULL},
    {"amq.direct", "x:amq.topic", "", 0, 0, NULL},
    {"amq.direct", "x:amq.rabbitmq.trace", "", 0, 0, NULL},
    {"amq.rabbitmq.trace", "q:dq", "", 0, 0, NULL},
    {"amq.direct", "q:dq", "x-match=I5", 0, 0, NULL},
    {"amq.headers", "q:dq", "x-match=Sany", 0, 0, NULL},
    {"", "q:dq", "", 403, 403, "operation not permitted on the default exchange"},
    {"", "q:nope", "", 403, 403, "operation not permitted on the default exchange"},
    {"", "x:amq.direct", "", 403, 403, "operation not permitted on the default exchange"},
    {"amq.direct", "x:", "", 403, 403, "operation not permitted on the default exchange"},
    {"nope", "x:", "", 403, 403, "operation not permitted on the default exchange"},
    {"nope", "q:dq", "", 404, 0, "no exchange 'nope' in vhost '/'"},
    {"nope", "q:nope2", "", 404, 0, "no exchange 'nope' in vhost '/'"},
    {"amq.direct", "q:nope", "", 404, 0, "no queue 'nope' in vhost '/'"},
    {"amq.direct", "x:nope", "", 404, 0, "no exchange 'nope' in vhost '/'"},
    {"amq.direct", "x:dq", "", 404, 0, "no exchange 'dq' in vhost '/'"},
    {"amq.direct", "q:", "", 404, 0, "no queue '' in vhost '/'"},
    {"amq.headers", "q:nope", "x-match=I5", 404, 0, "no queue 'nope' in vhost '/'"},
    {"amq.headers", "q:dq", "x-match=I5", 406, 0,
     "Invalid x-match field type signedint (value 5); expected longstr"},
    {"amq.match", "x:amq.direct", "x-match=Sfoo", 406, 0,
     "Invalid x-match field value <<\"foo\">>; expected all, any, all-with-x, or any-with-x"},
};

START_TEST(test_bind_refusals)
{
    struct lev_error err = {0};
    struct lev_binding_def d =
        world_binding(binds[_i].source, binds[_i].destination, "k", binds[_i].arguments);
    expect_error(lev_bind(w.t, &d, &err), &err, binds[_i].bind, binds[_i].text);
    expect_error(lev_unbind(w.t, &d, &err), &err, binds[_i].unbind, binds[_i].text);
}
END_TEST

/* ---- Identity
 * ----------------------------------------------------------------------------------------- */

static void count_binding(void *arg, const struct lev_binding_def *d)
{
    (void)d;
    ++*(size_t *)arg;
}

static size_t bindings(void)
{
    size_t n = 0;
    lev_topology_each_binding(w.t, count_binding, &n);
    return n;
}

/* Two bindings with these arguments: one or two? */
static const struct {
    const char *a, *b;
    bool same;
} identities[] = {
    {"", "", true},
    {"a=I1", "a=I1", true},
    {"a=I1 b=Sx", "b=Sx a=I1", true},
    {"a=I1", "", false},
    {"a=I1", "a=I2", false},
    {"a=I1", "a=l1", false},
    {"a=I1", "b=I1", false},
    {"a=L1", "a=l1", true},
    {"a=Sx", "a=xx", false},
    {"a=d1", "a=f1", false},
    {"a=d1", "a=d2", false}, /* not told apart by their hash: a chain */
    {"a=A6201", "a=A6202", false},
    {"a=V", "a=V", true},
};

START_TEST(test_identity)
{
    static const char *const types[] = {"direct", "fanout", "topic", "headers"};
    for (int i = 0; i < COUNT(types); i++) {
        world_exchange(&w, "x", types[i], "", NULL);
        world_bind(&w, "x", "q:tq", "k", identities[_i].a);
        world_bind(&w, "x", "q:tq", "k", identities[_i].b);
        ck_assert_uint_eq(bindings(), identities[_i].same ? 1 : 2);
        world_unbind(&w, "x", "q:tq", "k", identities[_i].b);
        ck_assert_uint_eq(bindings(), identities[_i].same ? 0 : 1);
        world_unbind(&w, "x", "q:tq", "k", identities[_i].a);
        ck_assert_uint_eq(bindings(), 0);
        struct lev_error err;
        ck_assert_int_eq(delete_exchange("x", true, &err), 0);
    }
}
END_TEST

/* Three in one chain go in every order. */
START_TEST(test_identity_chain)
{
    static const char *const arguments[] = {"a=d1", "a=d2", "a=d3"};
    static const int orders[][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                    {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    for (int i = 0; i < COUNT(orders); i++) {
        for (int k = 0; k < 3; k++)
            world_bind(&w, "amq.fanout", "q:tq", "", arguments[k]);
        for (int k = 0; k < 3; k++) {
            world_unbind(&w, "amq.fanout", "q:tq", "", arguments[orders[i][k]]);
            world_unbind(&w, "amq.fanout", "q:tq", "", arguments[orders[i][k]]);
            ck_assert_uint_eq(bindings(), (size_t)(2 - k));
        }
    }
}
END_TEST

/* The same names, but different ends, keys or kinds. */
START_TEST(test_identity_ends)
{
    world_exchange(&w, "same", "direct", "", NULL);
    world_queue(&w, "same", false);
    world_bind(&w, "amq.direct", "q:same", "k", "");
    world_bind(&w, "amq.direct", "x:same", "k", "");
    world_bind(&w, "amq.direct", "q:same", "", "");
    world_bind(&w, "amq.topic", "q:same", "k", "");
    world_bind(&w, "amq.direct", "q:tq", "k", "");
    ck_assert_uint_eq(bindings(), 5);
    world_unbind(&w, "amq.direct", "x:same", "k", "");
    ck_assert_uint_eq(bindings(), 4);
    world_route(&w, "amq.direct", "k", "", "same tq");
}
END_TEST

/* ---- Auto-delete
 * ------------------------------------------------------------------------------------- */

START_TEST(test_auto_delete)
{
    world_exchange(&w, "x", "direct", "a", NULL);
    world_exchange(&w, "never", "direct", "a", NULL);
    world_unbind(&w, "never", "q:tq", "k", "");
    world_bind(&w, "amq.direct", "x:never", "k", "");
    world_unbind(&w, "amq.direct", "x:never", "k", ""); /* a binding to it is none from it */
    ck_assert(world_has(&w, "never"));
    world_bind(&w, "x", "q:tq", "1", "");
    world_bind(&w, "x", "q:dq", "2", "");
    world_unbind(&w, "x", "q:tq", "1", "");
    ck_assert(world_has(&w, "x"));
    world_unbind(&w, "x", "q:tq", "1", "");
    ck_assert(world_has(&w, "x"));
    world_unbind(&w, "x", "q:dq", "2", "");
    ck_assert(!world_has(&w, "x"));
}
END_TEST

START_TEST(test_auto_delete_by_queue)
{
    world_queue(&w, "q", false);
    world_exchange(&w, "x", "fanout", "a", NULL);
    world_exchange(&w, "kept", "fanout", "", NULL);
    world_bind(&w, "x", "q:q", "1", "");
    world_bind(&w, "x", "q:q", "2", "");
    world_bind(&w, "kept", "q:q", "", "");
    world_queue_gone(&w, "q");
    ck_assert(!world_has(&w, "x") && world_has(&w, "kept"));
    ck_assert_uint_eq(bindings(), 0);
}
END_TEST

START_TEST(test_auto_delete_cascade)
{
    struct lev_error err;
    char from[16] = "c0", to[24];
    world_exchange(&w, from, "fanout", "a", NULL);
    for (int i = 1; i < 2000; i++) {
        snprintf(to, sizeof(to), "x:c%d", i);
        world_exchange(&w, to + 2, "fanout", "a", NULL);
        world_bind(&w, from, to, "", "");
        snprintf(from, sizeof(from), "c%d", i);
    }
    world_exchange(&w, "stays", "fanout", "a", NULL);
    world_bind(&w, "stays", "x:c1999", "", "");
    world_bind(&w, "stays", "q:tq", "", "");
    ck_assert_int_eq(delete_exchange("c1999", false, &err), 0);
    ck_assert_uint_eq(lev_exchange_count(w.t), COUNT(predeclared) + 1);
    ck_assert(world_has(&w, "stays"));
    ck_assert_uint_eq(bindings(), 1);
}
END_TEST

START_TEST(test_auto_delete_cycles)
{
    world_exchange(&w, "self", "direct", "a", NULL);
    world_bind(&w, "self", "x:self", "k", "");
    world_unbind(&w, "self", "x:self", "k", "");
    ck_assert(!world_has(&w, "self"));
    world_exchange(&w, "a", "direct", "a", NULL);
    world_exchange(&w, "b", "direct", "a", NULL);
    world_bind(&w, "a", "x:b", "k", "");
    world_bind(&w, "b", "x:a", "k", "");
    world_bind(&w, "b", "x:b", "k", "");
    world_unbind(&w, "a", "x:b", "k", "");
    ck_assert(!world_has(&w, "a") && world_has(&w, "b")); /* b is still bound to itself */
    world_unbind(&w, "b", "x:b", "k", "");
    ck_assert(!world_has(&w, "b"));
    ck_assert_uint_eq(bindings(), 0);
}
END_TEST

/* ---- What is persisted
 * ------------------------------------------------------------------------------- */

START_TEST(test_persist_exchanges)
{
    struct lev_error err;
    world_exchange(&w, "t", "direct", "", NULL);
    world_expect(&w, "");
    world_exchange(&w, "d", "topic", "d", NULL);
    world_expect(&w, "+x d topic;");
    world_exchange(&w, "d", "topic", "d", NULL);
    world_expect(&w, "");
    ck_assert_int_eq(delete_exchange("t", false, &err), 0);
    world_expect(&w, "");
    ck_assert_int_eq(delete_exchange("d", false, &err), 0);
    world_expect(&w, "-x d topic;");
    ck_assert_int_eq(w.told, 4);
}
END_TEST

START_TEST(test_persist_bindings)
{
    world_exchange(&w, "t", "direct", "", NULL);
    world_exchange(&w, "d", "direct", "d", NULL);
    world_expect(&w, "+x d direct;");
    world_bind(&w, "t", "q:dq", "k", "");
    world_bind(&w, "d", "q:tq", "k", "");
    world_bind(&w, "d", "x:t", "k", "");
    world_bind(&w, "t", "x:d", "k", "");
    world_expect(&w, "");
    world_bind(&w, "d", "q:dq", "k", "");
    world_bind(&w, "d", "q:dq", "k", "");
    world_bind(&w, "d", "x:amq.topic", "k2", "");
    world_bind(&w, "amq.direct", "q:dq", "k3", "");
    world_expect(&w, "+b d>q:dq k;+b d>x:amq.topic k2;+b amq.direct>q:dq k3;");
    world_unbind(&w, "d", "q:tq", "k", "");
    world_unbind(&w, "d", "q:dq", "nope", "");
    world_expect(&w, "");
    world_unbind(&w, "d", "q:dq", "k", "");
    world_expect(&w, "-b d>q:dq k;");
}
END_TEST

START_TEST(test_persist_cascade)
{
    struct lev_error err;
    world_queue(&w, "q", true);
    world_exchange(&w, "up", "direct", "da", NULL);
    world_exchange(&w, "low", "direct", "da", NULL);
    world_bind(&w, "up", "x:low", "u", "");
    world_bind(&w, "low", "q:q", "l", "");
    world_bind(&w, "amq.direct", "q:q", "k", "");
    w.journal[0] = '\0';
    world_queue_gone(&w, "q");
    world_expect(&w, "-b low>q:q l;-b amq.direct>q:q k;-b up>x:low u;-x low direct;-x up direct;");
    world_exchange(&w, "mid", "direct", "d", NULL);
    world_bind(&w, "mid", "q:dq", "m", "");
    world_bind(&w, "amq.topic", "x:mid", "t", "");
    w.journal[0] = '\0';
    ck_assert_int_eq(delete_exchange("mid", false, &err), 0);
    world_expect(&w, "-b mid>q:dq m;-b amq.topic>x:mid t;-x mid direct;");
}
END_TEST

START_TEST(test_persist_refused)
{
    struct lev_error err;
    struct lev_exchange_def d = exchange_def("amq.foo", "direct", "d", "");
    ck_assert_int_eq(lev_exchange_declare(w.t, &d, &err), -1);
    struct lev_binding_def b = world_binding("amq.headers", "q:dq", "k", "x-match=I5");
    ck_assert_int_eq(lev_bind(w.t, &b, &err), -1);
    world_expect(&w, "");
    ck_assert_int_eq(w.told, 0);
}
END_TEST

/* ---- Recovery and listing
 * --------------------------------------------------------------------------- */

START_TEST(test_restore)
{
    struct lev_exchange_def d = exchange_def("r", "topic", "da", AE "=Samq.fanout");
    lev_topology_restore_exchange(w.t, &d);
    lev_topology_restore_exchange(w.t, &d);
    d = exchange_def("amq.topic", "topic", "d", "");
    lev_topology_restore_exchange(w.t, &d);
    ck_assert_uint_eq(lev_exchange_count(w.t), COUNT(predeclared) + 1);
    struct lev_binding_def b = world_binding("r", "q:dq", "k.#", "");
    ck_assert(lev_topology_restore_binding(w.t, &b));
    ck_assert(lev_topology_restore_binding(w.t, &b));
    b = world_binding("amq.fanout", "q:tq", "", "");
    ck_assert(lev_topology_restore_binding(w.t, &b));
    ck_assert_uint_eq(bindings(), 2);
    world_expect(&w, "");
    world_route(&w, "r", "k.1", "", "dq");
    world_route(&w, "r", "z", "", "tq");
    world_unbind(&w, "r", "q:dq", "k.#", "");
    world_expect(&w, "-b r>q:dq k.#;-x r topic;");
}
END_TEST

START_TEST(test_restore_skips)
{
    char key[400];
    memset(key, 'k', sizeof(key) - 1);
    key[sizeof(key) - 1] = '\0';
    struct lev_binding_def bad[] = {
        world_binding("nope", "q:dq", "k", ""),
        world_binding("amq.direct", "q:nope", "k", ""),
        world_binding("amq.direct", "x:nope", "k", ""),
        world_binding("", "q:dq", "dq", ""),
        world_binding("amq.direct", "q:dq", key, ""),
    };
    for (int i = 0; i < COUNT(bad); i++)
        ck_assert(!lev_topology_restore_binding(w.t, &bad[i]));
    struct lev_exchange_def d = exchange_def("unknown", "from-the-future", "d", "");
    lev_topology_restore_exchange(w.t, &d);
    ck_assert(!world_has(&w, "unknown"));
    ck_assert_uint_eq(bindings(), 0);
}
END_TEST

struct listing {
    int n;
    bool all_right;
};

static void on_binding(void *arg, const struct lev_binding_def *d)
{
    struct listing *l = arg;
    struct lev_binding_def want = world_binding("amq.headers", "x:amq.topic", "k", "a=I1");
    l->n++;
    l->all_right = d->to_queue == want.to_queue && lev_bytes_eq(d->source, want.source) &&
                   lev_bytes_eq(d->destination, want.destination) &&
                   lev_bytes_eq(d->routing_key, want.routing_key) &&
                   lev_bytes_eq(d->arguments, want.arguments);
}

static void on_exchange(void *arg, const struct lev_exchange_def *d)
{
    struct listing *l = arg;
    l->n++;
    l->all_right |= lev_bytes_eq(d->name, LEV_LIT("mine")) && d->internal;
}

START_TEST(test_listing)
{
    struct listing l = {0};
    world_bind(&w, "amq.headers", "x:amq.topic", "k", "a=I1");
    lev_topology_each_binding(w.t, on_binding, &l);
    ck_assert(l.n == 1 && l.all_right);
    world_exchange(&w, "mine", "headers", "i", NULL);
    l = (struct listing){0};
    lev_topology_each_exchange(w.t, on_exchange, &l);
    ck_assert(l.n == COUNT(predeclared) + 1 && l.all_right);
}
END_TEST

/* Bindings of all types, still there when the topology goes (the fixture looks at the queues). */
START_TEST(test_free_with_bindings)
{
    char key[32];
    world_exchange(&w, "transient", "fanout", "", NULL);
    for (int i = 0; i < 500; i++) {
        snprintf(key, sizeof(key), "k%d.*.#", i);
        world_bind(&w, "amq.direct", "q:tq", key, "");
        world_bind(&w, "amq.topic", "q:tq", key, "a=I1");
        world_bind(&w, "amq.headers", "x:transient", key, "a=d1");
        world_bind(&w, "amq.fanout", "x:transient", key, "");
    }
    ck_assert_uint_eq(bindings(), 2000);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("broker/topology");
    TCase *tc = tcase_create("topology");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, test_predeclared, 0, COUNT(predeclared));
    tcase_add_loop_test(tc, test_declare, 0, COUNT(declares));
    tcase_add_test(tc, test_declare_keeps_copies);
    tcase_add_test(tc, test_check);
    tcase_add_test(tc, test_delete);
    tcase_add_loop_test(tc, test_bind_refusals, 0, COUNT(binds));
    tcase_add_loop_test(tc, test_identity, 0, COUNT(identities));
    tcase_add_test(tc, test_identity_chain);
    tcase_add_test(tc, test_identity_ends);
    tcase_add_test(tc, test_auto_delete);
    tcase_add_test(tc, test_auto_delete_by_queue);
    tcase_add_test(tc, test_auto_delete_cascade);
    tcase_add_test(tc, test_auto_delete_cycles);
    tcase_add_test(tc, test_persist_exchanges);
    tcase_add_test(tc, test_persist_bindings);
    tcase_add_test(tc, test_persist_cascade);
    tcase_add_test(tc, test_persist_refused);
    tcase_add_test(tc, test_restore);
    tcase_add_test(tc, test_restore_skips);
    tcase_add_test(tc, test_listing);
    tcase_add_test(tc, test_free_with_bindings);
    tcase_set_timeout(tc, 60);
    suite_add_tcase(s, tc);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
