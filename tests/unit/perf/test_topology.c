/* Which routing keys a producer takes when the queues are split. */
#include "perf/topology.h"

#include "suites.h"

#include <string.h>

static struct lev_perf_topology topology;

static void build(unsigned queues, unsigned bindings, const char *type)
{
    struct lev_perf_options options = {.queue = "q",
                                       .queues = queues,
                                       .bindings = bindings,
                                       .exchange = "x",
                                       .exchange_type = type};

    ck_assert_int_eq(lev_perf_topology_init(&topology, &options), 0);
}

static void teardown(void)
{
    lev_perf_topology_deinit(&topology);
}

static const struct {
    unsigned queues, bindings, workers, index;
    size_t count;
    const char *first, *last;
} shares[] = {
    {4, 1, 1, 0, 4, "q-0000", "q-0003"}, {4, 1, 4, 2, 1, "q-0002", "q-0002"},
    {5, 1, 2, 0, 3, "q-0000", "q-0004"}, {5, 1, 2, 1, 2, "q-0001", "q-0003"},
    {2, 1, 4, 3, 1, "q-0001", "q-0001"}, {1, 1, 3, 2, 1, "q", "q"},
};

START_TEST(a_share_is_what_the_consumer_of_that_number_takes)
{
    char *keys[8];
    size_t count;

    build(shares[_i].queues, shares[_i].bindings, NULL);
    count = lev_perf_topology_share(&topology, shares[_i].index, shares[_i].workers, keys);
    ck_assert_uint_eq(count, shares[_i].count);
    ck_assert_str_eq(keys[0], shares[_i].first);
    ck_assert_str_eq(keys[count - 1], shares[_i].last);
}
END_TEST

START_TEST(all_keys_of_a_queue_go_together)
{
    char *keys[6];

    build(2, 3, "topic");
    ck_assert_uint_eq(lev_perf_topology_share(&topology, 1, 2, keys), 3);
    for (size_t i = 0; i < 3; i++)
        ck_assert_ptr_nonnull(strstr(keys[i], ".q0001"));
}
END_TEST

Suite *topology_suite(void)
{
    Suite *suite = suite_create("topology");
    TCase *tcase = tcase_create("topology");

    tcase_add_checked_fixture(tcase, NULL, teardown);
    tcase_add_loop_test(tcase, a_share_is_what_the_consumer_of_that_number_takes, 0,
                        sizeof shares / sizeof *shares);
    tcase_add_test(tcase, all_keys_of_a_queue_go_together);
    suite_add_tcase(suite, tcase);
    return suite;
}
