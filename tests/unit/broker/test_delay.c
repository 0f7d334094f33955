/* Exchange type x-delayed-message: what waits comes in order and on time, however many wait, and
 * whatever dies in between. */
#include "late.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "amqp/table.h"
#include "args.h"
#include "base/err.h"
#include "base/log.h"
#include "broker/delay_header.h"
#include "broker/keys.h"

static struct late l;

static void setup(void)
{
    lev_log_set_level(LEV_LOG_NONE);
    late_init(&l);
    ck_assert_int_eq(late_exchange(&l, "d", "x-delayed-message", "d", "x-delayed-type=Stopic"), 0);
    late_queue(&l, "q", "d", "");
    late_bind(&l, "d", "q:q", "a.*");
}

static void teardown(void)
{
    late_deinit(&l);
}

static void delay(int ms, const char *body)
{
    char headers[32];
    snprintf(headers, sizeof(headers), "x-delay=I%d", ms);
    ck_assert(late_publish(&l, "d", "a.b", headers, body, "p"));
}

static uint64_t waiting(void)
{
    struct lev_vhost_stats st;
    lev_vhost_stats(l.v, &st);
    ck_assert_uint_eq(st.delayed, lev_vhost_delayed(l.v, LEV_LIT("d")));
    return st.delayed;
}

/* ---- The header ---- */

START_TEST(test_header)
{
    static const struct {
        const char *headers;
        uint64_t ms;
    } list[] = {
        {"", 0},
        {"x-delay=I5", 5},
        {"x-delay=I0", 0},
        {"x-delay=I-5", 0},
        {"x-delay=B200", 200},
        {"x-delay=l315360000000", LEV_DELAY_MAX_MS},
        {"x-delay=l315360000001", 0},
        {"x-delay=l4294967295", 4294967295},
        {"x-delay=l9223372036854775807", 0},
        {"x-delay=d1.9", 1},
        {"x-delay=d0.9", 0},
        {"x-delay=d-3", 0},
        {"x-delay=dnan", 0},
        {"x-delay=dinf", 0},
        {"x-delay=d1e30", 0},
        {"x-delay=S1500", 1500},
        {"x-delay=S+7", 7},
        {"x-delay=S", 0},
        {"x-delay=S+", 0},
        {"x-delay=S-7", 0},
        {"x-delay=S1x", 0},
        {"x-delay=S99999999999999999999999999", 0},
        {"x-delay=t1", 0},
        {"x-delay=T100", 0},
        {"x-delay=V", 0},
        {"y=I5 x-delay=I6", 6},
    };
    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++)
        ck_assert_msg(lev_delay_asked(args(list[i].headers)) == list[i].ms, "%s", list[i].headers);
}
END_TEST

START_TEST(test_negated)
{
    static const struct {
        const char *from, *to;
    } list[] = {
        {"a=I1 x-delay=I50 z=Sx", "a=I1 x-delay=I-50 z=Sx"},
        {"x-delay=l9000000000", "x-delay=l-9000000000"},
        {"x-delay=B200", "x-delay=I-200"},
        {"x-delay=i4000000000", "x-delay=l-4000000000"},
        {"x-delay=S75", "x-delay=I-75"},
        {"x-delay=d2.5", "x-delay=d-2.5"},
    };
    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
        ck_assert(late_publish(&l, "", "q", list[i].from, "m", ""));
        struct late_held h = late_take(&l, "q");
        struct lev_msg *m = lev_delay_message(h.e.msg);
        ck_assert_msg(lev_table_same(lev_msg_headers(m), args(list[i].to)), "%s", list[i].from);
        ck_assert(lev_bytes_eq(lev_msg_body(m), LEV_LIT("m")));
        lev_msg_unref(&m);
        late_settle(&l, &h);
    }
}
END_TEST

START_TEST(test_keys)
{
    struct lev_bytes in[] = {LEV_LIT("one"), LEV_EMPTY, LEV_LIT("three")}, out[3];
    struct lev_bytes packed = lev_keys_pack(in, 3);
    ck_assert(lev_keys_valid(packed) && lev_keys_valid(LEV_EMPTY));
    ck_assert_uint_eq(lev_keys_unpack(packed, NULL), 3);
    lev_keys_unpack(packed, out);
    for (int i = 0; i < 3; i++)
        ck_assert(lev_bytes_eq(in[i], out[i]));
    for (size_t n = 1; n < packed.len; n++) /* cut anywhere but between keys: not valid */
        ck_assert_int_eq(lev_keys_valid(lev_bytes(packed.ptr, n)), n == 4 || n == 5);
    lev_bytes_free(&packed);
}
END_TEST

/* ---- The exchange ---- */

START_TEST(test_declare)
{
    static const char *const bad[] = {"", "x-delayed-type=Snone", "x-delayed-type=I1",
                                      "x-delayed-type=Sx-delayed-message"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ck_assert_int_eq(late_exchange(&l, "bad", "x-delayed-message", "", bad[i]), -1);
        ck_assert_int_eq(l.err.code, LEV_PRECONDITION_FAILED);
        ck_assert_str_eq(l.err.text,
                         "Invalid argument, 'x-delayed-type' must be an existing exchange type");
    }
    /* the other type has a say */
    ck_assert_int_eq(late_exchange(&l, "bad", "x-delayed-message", "",
                                   "x-delayed-type=Sx-consistent-hash hash-property=Sx"),
                     -1);
    ck_assert_int_eq(late_exchange(&l, "d", "x-delayed-message", "d", "x-delayed-type=Stopic"), 0);
}
END_TEST

START_TEST(test_at_once)
{
    ck_assert(late_publish(&l, "d", "a.b", "", "1", "p"));
    ck_assert(late_publish(&l, "d", "a.b", "x-delay=I0", "2", "p"));
    ck_assert(late_publish(&l, "d", "a.b", "x-delay=I-1", "3", "pm"));
    ck_assert(late_publish(&l, "d", "a.b.c", "", "4", "p"));
    ck_assert_uint_eq(waiting(), 0);
    ck_assert_int_eq(l.returned, 0);
    late_expect(&l, "q", "1 2 3");
}
END_TEST

START_TEST(test_in_order)
{
    delay(500, "e");
    delay(50, "a");
    delay(200, "c");
    delay(50, "b");
    delay(300, "d");
    ck_assert_uint_eq(waiting(), 5);
    late_advance(&l, 49);
    late_expect(&l, "q", "");
    late_advance(&l, 1);
    late_expect(&l, "q", "a b");
    late_advance(&l, 149);
    late_expect(&l, "q", "");
    late_advance(&l, 1);
    late_expect(&l, "q", "c");
    late_advance(&l, 1000);
    late_expect(&l, "q", "d e");
    ck_assert_uint_eq(waiting(), 0);
    ck_assert_uint_eq(lev_store_mem_delayed(l.store), 0);
}
END_TEST

START_TEST(test_delivered_header)
{
    delay(50, "a");
    late_advance(&l, 50);
    struct late_held h = late_take(&l, "q");
    ck_assert(lev_table_same(lev_msg_headers(h.e.msg), args("x-delay=I-50")));
    ck_assert(lev_bytes_eq(lev_msg_exchange(h.e.msg), LEV_LIT("d")));
    ck_assert(lev_bytes_eq(lev_msg_key(h.e.msg), LEV_LIT("a.b")));
    ck_assert(h.e.msg->persistent);
    late_settle(&l, &h);
}
END_TEST

/* It goes nowhere yet: returned, and confirmed once it is durable. */
START_TEST(test_mandatory_and_confirm)
{
    late_publish_only(&l, "d", "a.b", "x-delay=I50", "a", "m");
    ck_assert_int_eq(l.returned, 1);
    ck_assert_uint_eq(late_unconfirmed(&l), 1);
    late_run(&l);
    ck_assert_uint_eq(late_unconfirmed(&l), 0);
    late_advance(&l, 50);
    late_expect(&l, "q", "a");
}
END_TEST

/* All keys count when it is due, whatever they are; bindings are those of then. */
START_TEST(test_keys_and_bindings)
{
    late_queue(&l, "r", "d", "");
    ck_assert(late_publish(&l, "d", "none|a.cc|b.bcc", "x-delay=I50", "m", "p"));
    late_bind(&l, "d", "q:r", "b.*");
    late_advance(&l, 50);
    late_expect(&l, "q", "m");
    late_expect(&l, "r", "m");
}
END_TEST

/* Through a binding between exchanges it is held back just the same; not by the next one again. */
START_TEST(test_between_exchanges)
{
    ck_assert_int_eq(late_exchange(&l, "d2", "x-delayed-message", "d", "x-delayed-type=Sfanout"),
                     0);
    ck_assert_int_eq(late_exchange(&l, "f", "fanout", "d", ""), 0);
    late_queue(&l, "r", "d", "");
    late_bind(&l, "f", "x:d2", "");
    late_bind(&l, "d2", "x:d", "");
    late_bind(&l, "f", "q:r", "");
    ck_assert(late_publish(&l, "f", "a.b", "x-delay=I50", "m", "p"));
    late_expect(&l, "r", "m");
    ck_assert_uint_eq(lev_vhost_delayed(l.v, LEV_LIT("d2")), 1);
    late_advance(&l, 50);
    late_expect(&l, "q", "m");
}
END_TEST

/* The alternate exchange gets what finds no queue when due, and only then. */
START_TEST(test_alternate)
{
    ck_assert_int_eq(late_exchange(&l, "f", "fanout", "d", ""), 0);
    late_queue(&l, "r", "d", "");
    late_bind(&l, "f", "q:r", "");
    ck_assert_int_eq(late_exchange(&l, "da", "x-delayed-message", "d",
                                   "x-delayed-type=Sdirect alternate-exchange=Sf"),
                     0);
    ck_assert(late_publish(&l, "da", "k", "x-delay=I50", "m", "p"));
    late_expect(&l, "r", "");
    late_advance(&l, 50);
    late_expect(&l, "r", "m");
}
END_TEST

START_TEST(test_exchange_gone)
{
    delay(50, "a");
    delay(100, "b");
    late_delete_exchange(&l, "d");
    late_advance(&l, 60);
    ck_assert_uint_eq(waiting(), 1);
    ck_assert_int_eq(late_exchange(&l, "d", "fanout", "d", ""), 0); /* of another type now */
    late_bind(&l, "d", "q:q", "");
    late_advance(&l, 60);
    ck_assert_uint_eq(waiting(), 0);
    ck_assert_uint_eq(lev_store_mem_delayed(l.store), 0);
    late_expect(&l, "q", "");
}
END_TEST

START_TEST(test_transaction)
{
    struct lev_error err;
    struct lev_chan tx;
    lev_vhost_lock(l.v);
    lev_chan_init(&tx, &l.client, 2);
    ck_assert_int_eq(lev_tx_select(&tx, &err), 0);
    lev_vhost_unlock(l.v);
    for (unsigned commit = 0; commit < 2; commit++) {
        struct lev_bytes key = LEV_LIT("a.b");
        ck_assert(late_publish(&l, "", "q", "x-delay=I50", "m", ""));
        struct late_held h = late_take(&l, "q");
        struct lev_msg *m = lev_msg_new(LEV_LIT("d"), key, lev_msg_props(h.e.msg), 0);
        ck_assert_ptr_nonnull(m);
        late_settle(&l, &h);
        struct lev_publish p = {.msg = m, .keys = &key, .n_keys = 1};
        lev_vhost_lock(l.v);
        ck_assert_int_eq(lev_publish(&tx, &p, &err), 0);
        ck_assert_uint_eq(lev_vhost_delayed(l.v, LEV_LIT("d")), 0);
        ck_assert_int_eq(commit ? lev_tx_commit(&tx, &err) : lev_tx_rollback(&tx, &err), 0);
        lev_vhost_end_run(l.v);
        lev_vhost_unlock(l.v);
        ck_assert_uint_eq(waiting(), commit);
        late_advance(&l, 50);
        ck_assert_uint_eq(late_ready(&l, "q"), commit);
    }
    late_expect(&l, "q", "");
    lev_vhost_lock(l.v);
    lev_chan_deinit(&tx);
    lev_vhost_unlock(l.v);
}
END_TEST

/* ---- Crashes ---- */

START_TEST(test_crash)
{
    delay(300, "c");
    delay(100, "a");
    ck_assert(late_publish(&l, "d", "a.b", "x-delay=I200", "b", "")); /* transient: stored, too */
    late_publish_only(&l, "d", "a.b", "x-delay=I100", "lost", "p");   /* never confirmed */
    late_crash(&l);
    ck_assert_uint_eq(waiting(), 3);
    late_advance(&l, 100);
    late_expect(&l, "q", "a");
    late_crash(&l);
    delay(100, "b2"); /* due with b, and after it */
    late_crash(&l);
    late_advance(&l, 1000);
    late_expect(&l, "q", "b b2 c");
    ck_assert_uint_eq(lev_store_mem_delayed(l.store), 0);
}
END_TEST

/* Due, but the batch that moves it is lost: it is still held back, and comes again. */
START_TEST(test_crash_when_due)
{
    delay(100, "a");
    lev_store_mem_fail(l.store, LEV_EIO);
    late_advance(&l, 100);
    ck_assert_uint_eq(late_ready(&l, "q"), 1);
    ck_assert_uint_eq(lev_store_mem_delayed(l.store), 1);
    lev_store_mem_fail(l.store, 0);
    late_crash(&l);
    ck_assert_uint_eq(late_ready(&l, "q"), 0);
    late_advance(&l, 0);
    late_expect(&l, "q", "a");
    late_crash(&l);
    late_advance(&l, 1000);
    late_expect(&l, "q", "");
}
END_TEST

/* A non-durable exchange does not come back; what it held goes when it is due. */
START_TEST(test_exchange_lost)
{
    ck_assert_int_eq(late_exchange(&l, "t", "x-delayed-message", "", "x-delayed-type=Sfanout"), 0);
    late_bind(&l, "t", "q:q", "");
    ck_assert(late_publish(&l, "t", "", "x-delay=I50", "m", "p"));
    late_crash(&l);
    ck_assert_uint_eq(lev_vhost_delayed(l.v, LEV_LIT("t")), 1);
    late_advance(&l, 50);
    ck_assert_uint_eq(lev_vhost_delayed(l.v, LEV_LIT("t")), 0);
    ck_assert_uint_eq(lev_store_mem_delayed(l.store), 0);
    late_expect(&l, "q", "");
}
END_TEST

/* ---- More than fits in memory ---- */

static void check_bounds(void)
{
    const struct lev_delays *d = &l.v->delays;
    if (!d->loading)
        ck_assert_uint_le(d->n, l.limits.max);
    for (size_t i = 1; i < d->n; i++)
        ck_assert_uint_le(d->heap[(i - 1) / 2]->due_ms, d->heap[i]->due_ms);
    ck_assert_uint_le(d->n, waiting());
}

static void small(size_t max)
{
    l.limits.max = max;
    l.v->delays.limits = l.limits;
}

/* As late_take and late_settle, but the store does nothing. */
static struct late_held take_only(void)
{
    struct late_held h = {0};
    lev_vhost_lock(l.v);
    ck_assert(lev_queue_take(late_find(&l, "q"), &h.e, &h.level));
    lev_vhost_end_run(l.v);
    lev_vhost_unlock(l.v);
    return h;
}

static void settle_only(struct late_held *h)
{
    lev_vhost_lock(l.v);
    lev_queue_settled(h->level, &h->e);
    lev_msg_unref(&h->e.msg);
    lev_vhost_end_run(l.v);
    lev_vhost_unlock(l.v);
}

/* A thousand delays of all kinds, with crashes and a store that lags: each comes once, in order. */
START_TEST(test_many)
{
    enum { N = 1000 };
    static uint64_t due[N];
    static bool came[N];
    unsigned seed = (unsigned)_i * 7919 + 1;
    uint64_t now = 0, last = 0;
    int sent = 0, arrived = 0;
    memset(came, 0, sizeof(came));
    small(16);
    while (arrived < N) {
        unsigned what = (unsigned)rand_r(&seed) % 100;
        bool advanced = false;
        if (what < 70 && sent < N) {
            char headers[40], body[16];
            uint64_t ms = 1 + (uint64_t)rand_r(&seed) % (what % 3 ? 5000 : 50);
            snprintf(headers, sizeof(headers), "x-delay=l%llu", (unsigned long long)ms);
            snprintf(body, sizeof(body), "%d", sent);
            due[sent++] = now + ms;
            late_publish_only(&l, "d", "a.b", headers, body, "p");
        } else if (what < 80) {
            lev_store_mem_run_writer(l.store);
        } else if (what < 85) {
            lev_store_mem_run_reader(l.store);
        } else if (what < 87) {
            late_run(&l);
            late_crash(&l);
        } else {
            uint64_t ms = (uint64_t)rand_r(&seed) % 200;
            advanced = what > 93;
            if (advanced)
                late_advance(&l, ms);
            else
                late_tick(&l, ms);
            now += ms;
        }
        check_bounds();
        while (late_ready(&l, "q")) {
            struct late_held h = take_only();
            char body[16] = "";
            memcpy(body, lev_msg_body(h.e.msg).ptr, lev_msg_body(h.e.msg).len);
            int i = atoi(body);
            ck_assert_msg(!came[i], "seed %d: %d came twice", _i, i);
            came[i] = true;
            ck_assert_msg(due[i] <= now, "seed %d: %d came too early", _i, i);
            ck_assert_msg(due[i] >= last, "seed %d: %d came out of order", _i, i);
            last = due[i];
            arrived++;
            settle_only(&h);
        }
        for (int i = 0; advanced && i < sent; i++)
            ck_assert_msg(came[i] || due[i] + 5 >= now, "seed %d: %d is late", _i, i);
    }
    late_run(&l);
    ck_assert_uint_eq(waiting(), 0);
    ck_assert_uint_eq(lev_store_mem_delayed(l.store), 0);
}
END_TEST

/* Many of one due time come in order of publishing, over blocks and a restart. */
START_TEST(test_same_due)
{
    char text[2048] = "";
    small(8);
    for (int i = 0; i < 100; i++) {
        char body[8];
        snprintf(body, sizeof(body), "%d", i);
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%d", i ? " " : "", i);
        delay(1000, body);
        if (i == 50)
            late_crash(&l);
    }
    check_bounds();
    late_advance(&l, 1000);
    late_expect(&l, "q", text);
}
END_TEST

/* One large message is enough for the bound, and still goes through. */
START_TEST(test_large)
{
    l.limits.max_bytes = 10;
    l.v->delays.limits = l.limits;
    for (int i = 3; i > 0; i--)
        delay(i * 100, i == 3 ? "c" : i == 2 ? "b" : "a");
    ck_assert_uint_eq(l.v->delays.n, 1);
    late_advance(&l, 1000);
    late_expect(&l, "q", "a b c");
}
END_TEST

START_TEST(test_read_fails)
{
    small(4);
    for (int i = 0; i < 12; i++)
        delay(100 + i, "m");
    lev_store_mem_fail_reads(l.store, LEV_EIO);
    late_advance(&l, 500);
    ck_assert_uint_lt(late_ready(&l, "q"), 12);
    lev_store_mem_fail_reads(l.store, 0);
    late_advance(&l, 1500); /* tried again without being asked */
    late_expect(&l, "q", "m m m m m m m m m m m m");
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("broker_delay");
    TCase *t = tcase_create("core");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_header);
    tcase_add_test(t, test_negated);
    tcase_add_test(t, test_keys);
    tcase_add_test(t, test_declare);
    tcase_add_test(t, test_at_once);
    tcase_add_test(t, test_in_order);
    tcase_add_test(t, test_delivered_header);
    tcase_add_test(t, test_mandatory_and_confirm);
    tcase_add_test(t, test_keys_and_bindings);
    tcase_add_test(t, test_between_exchanges);
    tcase_add_test(t, test_alternate);
    tcase_add_test(t, test_exchange_gone);
    tcase_add_test(t, test_transaction);
    tcase_add_test(t, test_crash);
    tcase_add_test(t, test_crash_when_due);
    tcase_add_test(t, test_exchange_lost);
    tcase_add_loop_test(t, test_many, 0, 10);
    tcase_add_test(t, test_same_due);
    tcase_add_test(t, test_large);
    tcase_add_test(t, test_read_fails);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    SRunner *r = srunner_create(suite());
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
