/* Routing: each exchange type, several keys, exchange-to-exchange bindings, alternate exchanges,
 * and the cache of routes with its invalidation and its bounds. */
#include "broker/route_cache.h"

#include "args.h"
#include "world.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

static struct world w;

static void setup(void)
{
    static const char *const queues[] = {"a", "b", "c", "d"};
    world_init(&w);
    for (size_t i = 0; i < 4; i++)
        world_queue(&w, queues[i], false);
}

static void teardown(void)
{
    world_deinit(&w);
}

/* Every look-up is made often enough to be answered from the cache too. */
static void route(const char *exchange, const char *keys, const char *headers, const char *queues)
{
    for (int i = 0; i < 4; i++)
        world_route(&w, exchange, keys, headers, queues);
}

/* ---- Types
 * ---------------------------------------------------------------------------------------- */

START_TEST(test_default)
{
    route("", "a", "", "a");
    route("", "nothing", "", "");
    route("", "", "", "");
    route("", "a|b|a|nothing", "", "a b");
    world_queue_gone(&w, "a");
    route("", "a", "", "");
    world_queue(&w, "a", true);
    route("", "a", "", "a");
}
END_TEST

START_TEST(test_direct)
{
    world_bind(&w, "amq.direct", "q:a", "k", "");
    world_bind(&w, "amq.direct", "q:b", "k", "");
    world_bind(&w, "amq.direct", "q:b", "k2", "");
    world_bind(&w, "amq.direct", "q:c", "", "");
    world_bind(&w, "amq.direct", "q:d", "k.*", "");
    route("amq.direct", "k", "", "a b");
    route("amq.direct", "k2", "", "b");
    route("amq.direct", "k2|k", "", "a b");
    route("amq.direct", "", "", "c");
    route("amq.direct", "k.x", "", "");
    route("amq.direct", "k.*", "", "d");
    route("amq.direct", "K", "", "");
    world_unbind(&w, "amq.direct", "q:a", "k", "");
    route("amq.direct", "k", "", "b");
    world_unbind(&w, "amq.direct", "q:b", "k", "");
    route("amq.direct", "k", "", "");
    route("amq.direct", "k2", "", "b");
}
END_TEST

START_TEST(test_fanout)
{
    route("amq.fanout", "k", "", "");
    world_bind(&w, "amq.fanout", "q:a", "k", "");
    world_bind(&w, "amq.fanout", "q:a", "other", "");
    world_bind(&w, "amq.fanout", "q:b", "", "");
    route("amq.fanout", "k", "", "a b");
    route("amq.fanout", "any|thing", "", "a b");
    world_unbind(&w, "amq.fanout", "q:a", "k", "");
    route("amq.fanout", "k", "", "a b");
    world_unbind(&w, "amq.fanout", "q:a", "other", "");
    route("amq.fanout", "k", "", "b");
}
END_TEST

START_TEST(test_topic)
{
    world_bind(&w, "amq.topic", "q:a", "#", "");
    world_bind(&w, "amq.topic", "q:a", "x.*", "");
    world_bind(&w, "amq.topic", "q:b", "x.*", "");
    world_bind(&w, "amq.topic", "q:c", "x.#.y", "");
    route("amq.topic", "x.y", "", "a b c");
    route("amq.topic", "", "", "a");
    route("amq.topic", "q|x.z", "", "a b");
    world_unbind(&w, "amq.topic", "q:a", "#", "");
    route("amq.topic", "x.y", "", "a b c");
    route("amq.topic", "q", "", "");
}
END_TEST

START_TEST(test_headers)
{
    world_bind(&w, "amq.headers", "q:a", "", "x-match=Sall p=I1 q=Sz");
    world_bind(&w, "amq.headers", "q:b", "", "x-match=Sany p=I1 q=Sz");
    world_bind(&w, "amq.headers", "q:b", "", "p=I9");
    world_bind(&w, "amq.headers", "q:c", "key", "");
    route("amq.headers", "whatever", "", "c");
    route("amq.headers", "whatever", "p=I1", "b c");
    route("amq.headers", "whatever", "p=I1 q=Sz", "a b c");
    route("amq.headers", "whatever", "p=I9", "b c");
    route("amq.match", "whatever", "p=I9", "");
    world_unbind(&w, "amq.headers", "q:a", "", "q=Sz p=I1 x-match=Sall");
    route("amq.headers", "whatever", "p=I1 q=Sz", "b c");
}
END_TEST

/* ---- Exchange to exchange
 * -------------------------------------------------------------------------- */

START_TEST(test_cycles)
{
    world_exchange(&w, "f1", "fanout", "", NULL);
    world_exchange(&w, "f2", "topic", "", NULL);
    world_exchange(&w, "f3", "direct", "", NULL);
    world_bind(&w, "f1", "x:f2", "", "");
    world_bind(&w, "f2", "x:f3", "#", "");
    world_bind(&w, "f3", "x:f1", "k", "");
    world_bind(&w, "f1", "x:f1", "", "");
    world_bind(&w, "f1", "q:a", "", "");
    world_bind(&w, "f2", "q:a", "*", "");
    world_bind(&w, "f3", "q:b", "k", "");
    route("f1", "k", "", "a b");
    route("f2", "k", "", "a b");
    route("f3", "k", "", "a b");
    route("f3", "z", "", "");
    route("f2", "z", "", "a");
    route("f1", "z.z", "", "a");
}
END_TEST

START_TEST(test_long_chain)
{
    char from[16] = "c0", to[24];
    world_exchange(&w, from, "fanout", "", NULL);
    for (int i = 1; i < 3000; i++) {
        snprintf(to, sizeof(to), "x:c%d", i);
        world_exchange(&w, to + 2, i % 2 ? "direct" : "fanout", "", NULL);
        world_bind(&w, from, to, "k", "");
        snprintf(from, sizeof(from), "c%d", i);
    }
    world_bind(&w, from, "q:a", "k", "");
    route("c0", "k", "", "a");
    route("c0", "z", "", "");
}
END_TEST

START_TEST(test_headers_on_the_way)
{
    world_exchange(&w, "f", "fanout", "", NULL);
    world_bind(&w, "f", "x:amq.headers", "", "");
    world_bind(&w, "amq.headers", "q:a", "", "p=I1");
    route("f", "k", "p=I1", "a");
    route("f", "k", "p=I2", "");
    route("f", "k", "p=I1", "a");
}
END_TEST

/* ---- Alternate exchanges
 * ----------------------------------------------------------------------------- */

START_TEST(test_alternate_chain)
{
    world_exchange(&w, "x1", "direct", "", "x2");
    route("x1", "k", "", ""); /* missing: as if none */
    world_exchange(&w, "x2", "topic", "i", "x3");
    world_exchange(&w, "x3", "fanout", "", NULL);
    world_bind(&w, "x1", "q:a", "a", "");
    world_bind(&w, "x2", "q:b", "b", "");
    world_bind(&w, "x3", "q:c", "", "");
    route("x1", "a", "", "a");
    route("x1", "b", "", "b");
    route("x1", "c", "", "c");
    route("x1", "a|b", "", "a");
    world_unbind(&w, "x1", "q:a", "a", "");
    route("x1", "a", "", "c");
}
END_TEST

START_TEST(test_alternate_cycle)
{
    world_exchange(&w, "x1", "direct", "", "x2");
    world_exchange(&w, "x2", "direct", "", "x1");
    world_exchange(&w, "self", "fanout", "", "self");
    route("x1", "k", "", "");
    route("self", "k", "", "");
    world_bind(&w, "x1", "q:a", "k", "");
    route("x2", "k", "", "a");
}
END_TEST

/* Also where it was reached by a binding; but not when its bindings lead to what has been visited.
 */
START_TEST(test_alternate_nested)
{
    world_exchange(&w, "sx", "fanout", "", NULL);
    world_exchange(&w, "sy", "direct", "", "sz");
    world_exchange(&w, "sz", "fanout", "", NULL);
    world_bind(&w, "sx", "x:sy", "", "");
    world_bind(&w, "sz", "q:a", "", "");
    route("sx", "other", "", "a");
    world_bind(&w, "sy", "x:sx", "other", "");
    route("sx", "other", "", "");
}
END_TEST

/* The default exchange takes nothing as an alternate, as in RabbitMQ. */
START_TEST(test_alternate_default)
{
    world_exchange(&w, "x1", "direct", "", "");
    route("x1", "a", "", "");
}
END_TEST

/* ---- The cache in use
 * ----------------------------------------------------------------------------- */

static const struct lev_route *raw_route(const char *exchange, const char *key)
{
    struct lev_bytes k = lev_bytes_str(key);
    return lev_route(w.t, lev_exchange_get(w.t, lev_bytes_str(exchange)), &k, 1, LEV_EMPTY);
}

/* Cached results have a place of their own; others share one. */
START_TEST(test_hit)
{
    world_bind(&w, "amq.topic", "q:a", "k.#", "");
    const struct lev_route *first = raw_route("amq.topic", "k.1");
    ck_assert_ptr_eq(raw_route("amq.topic", "k.2"), first);
    raw_route("amq.topic", "k.1");
    raw_route("amq.topic", "k.2");
    const struct lev_route *one = raw_route("amq.topic", "k.1"),
                           *two = raw_route("amq.topic", "k.2");
    ck_assert_ptr_ne(one, first);
    ck_assert_ptr_ne(two, first);
    ck_assert_ptr_ne(one, two);
    for (int i = 0; i < 10; i++) {
        ck_assert_ptr_eq(raw_route("amq.topic", "k.1"), one);
        ck_assert_ptr_eq(raw_route("amq.topic", "k.2"), two);
        ck_assert_ptr_eq(raw_route("amq.headers", "k.2"), first);
    }
    ck_assert_uint_eq(one->n, 1);
}
END_TEST

/* Where no exchange on the way looks at keys, one entry serves all of them. */
START_TEST(test_hit_any_key)
{
    world_bind(&w, "amq.fanout", "q:a", "", "");
    raw_route("amq.fanout", "1");
    raw_route("amq.fanout", "2");
    const struct lev_route *hit = raw_route("amq.fanout", "3");
    ck_assert_ptr_eq(raw_route("amq.fanout", "4"), hit);
    ck_assert_ptr_eq(raw_route("amq.fanout", ""), hit);
    world_bind(&w, "amq.fanout", "x:amq.direct", "", "");
    world_bind(&w, "amq.direct", "q:b", "1", "");
    world_bind(&w, "amq.direct", "q:c", "", "");
    route("amq.fanout", "1", "", "a b");
    route("amq.fanout", "2", "", "a");
    route("amq.fanout", "", "", "a c");
    route("amq.fanout", "2", "", "a");
}
END_TEST

static uint64_t seen_epoch;

static void changed(const char *queues)
{
    uint64_t epoch = lev_topology_epoch(w.t);
    ck_assert_uint_gt(epoch, seen_epoch);
    seen_epoch = epoch;
    route("x", "k", "", queues);
    ck_assert_uint_eq(lev_topology_epoch(w.t), epoch);
}

START_TEST(test_invalidation)
{
    seen_epoch = lev_topology_epoch(w.t);
    world_exchange(&w, "x", "direct", "", "late");
    changed("");
    world_bind(&w, "x", "q:a", "k", "");
    changed("a");
    world_bind(&w, "x", "q:b", "k", "");
    changed("a b");
    world_unbind(&w, "x", "q:a", "k", "");
    changed("b");
    world_queue_gone(&w, "b");
    changed("");
    world_exchange(&w, "late", "fanout", "", NULL);
    world_bind(&w, "late", "q:c", "", "");
    changed("c");
    struct lev_error err;
    ck_assert_int_eq(lev_exchange_delete(w.t, LEV_LIT("late"), false, &err), 0);
    changed("");
    world_exchange(&w, "late", "fanout", "", NULL);
    changed("");
}
END_TEST

/* Nothing changes: no epoch, and no cache lost. */
START_TEST(test_no_invalidation)
{
    world_bind(&w, "amq.direct", "q:a", "k", "");
    uint64_t epoch = lev_topology_epoch(w.t);
    world_bind(&w, "amq.direct", "q:a", "k", "");
    world_unbind(&w, "amq.direct", "q:b", "k", "");
    world_queue_gone(&w, "d");
    world_queue(&w, "d", false);
    ck_assert_uint_eq(lev_topology_epoch(w.t), epoch);
}
END_TEST

START_TEST(test_many_keys)
{
    char key[32];
    world_bind(&w, "amq.topic", "q:a", "*.even", "");
    world_bind(&w, "amq.topic", "q:b", "#", "");
    for (int round = 0; round < 3; round++)
        for (int i = 0; i < 20000; i++) {
            snprintf(key, sizeof(key), "%d.%s", i, i % 2 ? "odd" : "even");
            world_route(&w, "amq.topic", key, "", i % 2 ? "b" : "a b");
        }
}
END_TEST

/* ---- The cache by itself
 * --------------------------------------------------------------------------- */

static struct lev_route_cache cache;
static int place[3];
static const struct lev_exchange *const ex1 = (const void *)&place[0];
static const struct lev_exchange *const ex2 = (const void *)&place[1];

static void cache_setup(void)
{
    cache = (struct lev_route_cache){0};
}

static void cache_teardown(void)
{
    lev_route_cache_deinit(&cache);
    ck_assert(!cache.slots && cache.n == 0 && cache.bytes == 0);
}

static bool has(const struct lev_exchange *x, const char *key, bool any, uint64_t epoch)
{
    return lev_route_cache_get(&cache, x, lev_bytes_str(key), any, epoch) != NULL;
}

static void put_twice(const struct lev_exchange *x, struct lev_bytes key, bool any, uint64_t epoch,
                      size_t n)
{
    struct lev_dest **dests = calloc(n ? n : 1, sizeof(*dests));
    ck_assert_ptr_nonnull(dests);
    struct lev_route r = {n, dests};
    lev_route_cache_put(&cache, x, key, any, epoch, &r);
    lev_route_cache_put(&cache, x, key, any, epoch, &r);
    free(dests);
}

START_TEST(test_cache_identity)
{
    char key[] = "key";
    put_twice(ex1, lev_bytes_str(key), false, 5, 2);
    key[0] = 'x'; /* it has its own copy */
    ck_assert(has(ex1, "key", false, 5));
    ck_assert(!has(ex1, "xey", false, 5));
    ck_assert(!has(ex2, "key", false, 5));
    ck_assert(!has(ex1, "key", true, 5));
    ck_assert(!has(ex1, "key", false, 6));
    ck_assert(!has(ex1, "ke", false, 5));
    put_twice(ex1, LEV_EMPTY, true, 5, 0);
    ck_assert(has(ex1, "", true, 5));
    ck_assert(!has(ex1, "", false, 5));
    put_twice(ex1, LEV_LIT("key"), false, 6, 1);
    ck_assert(!has(ex1, "key", false, 5));
    ck_assert_uint_eq(lev_route_cache_get(&cache, ex1, LEV_LIT("key"), false, 6)->n, 1);
    ck_assert_uint_eq(cache.n, 2);
}
END_TEST

START_TEST(test_cache_once_is_not_kept)
{
    struct lev_route r = {0, NULL};
    char key[16];
    for (int i = 0; i < 10000; i++) {
        snprintf(key, sizeof(key), "%d", i);
        lev_route_cache_put(&cache, ex1, lev_bytes_str(key), false, 1, &r);
    }
    ck_assert_uint_eq(cache.n, 0);
    ck_assert_uint_eq(cache.bytes, 0);
}
END_TEST

START_TEST(test_cache_grows_to_its_bound)
{
    char key[16];
    size_t found = 0;
    for (int i = 0; i < 100000; i++) {
        snprintf(key, sizeof(key), "%d", i);
        put_twice(ex1, lev_bytes_str(key), false, 1, 1);
        ck_assert(has(ex1, key, false, 1));
        ck_assert_uint_le(cache.bytes, LEV_ROUTE_CACHE_BYTES_MAX);
    }
    ck_assert_uint_eq(cache.cap, LEV_ROUTE_CACHE_SLOTS_MAX);
    for (int i = 0; i < 100000; i++) {
        snprintf(key, sizeof(key), "%d", i);
        found += has(ex1, key, false, 1);
    }
    ck_assert_uint_eq(found, cache.n);
    ck_assert_uint_gt(found, cache.cap / 2);
}
END_TEST

START_TEST(test_cache_large_results)
{
    char key[16];
    size_t n = LEV_ROUTE_CACHE_BYTES_MAX / 4 / sizeof(void *);
    put_twice(ex1, LEV_LIT("too large"), false, 1, n);
    ck_assert(!has(ex1, "too large", false, 1));
    for (int i = 0; i < 20; i++) {
        snprintf(key, sizeof(key), "%d", i);
        put_twice(ex1, lev_bytes_str(key), false, 1, n - 100);
        ck_assert(has(ex1, key, false, 1));
        ck_assert_uint_le(cache.bytes, LEV_ROUTE_CACHE_BYTES_MAX);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("broker/route");
    TCase *tc = tcase_create("route");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_default);
    tcase_add_test(tc, test_direct);
    tcase_add_test(tc, test_fanout);
    tcase_add_test(tc, test_topic);
    tcase_add_test(tc, test_headers);
    tcase_add_test(tc, test_cycles);
    tcase_add_test(tc, test_long_chain);
    tcase_add_test(tc, test_headers_on_the_way);
    tcase_add_test(tc, test_alternate_chain);
    tcase_add_test(tc, test_alternate_cycle);
    tcase_add_test(tc, test_alternate_nested);
    tcase_add_test(tc, test_alternate_default);
    tcase_add_test(tc, test_hit);
    tcase_add_test(tc, test_hit_any_key);
    tcase_add_test(tc, test_invalidation);
    tcase_add_test(tc, test_no_invalidation);
    tcase_add_test(tc, test_many_keys);
    tcase_set_timeout(tc, 60);
    suite_add_tcase(s, tc);
    TCase *own = tcase_create("cache");
    tcase_add_checked_fixture(own, cache_setup, cache_teardown);
    tcase_add_test(own, test_cache_identity);
    tcase_add_test(own, test_cache_once_is_not_kept);
    tcase_add_test(own, test_cache_grows_to_its_bound);
    tcase_add_test(own, test_cache_large_results);
    tcase_set_timeout(own, 60);
    suite_add_tcase(s, own);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
