/* The vhost's administrator: queues without a client, and policies that queues and exchanges follow
 * at run time. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "args.h"
#include "broker/admin.h"
#include "stage.h"

static struct stage st;
static struct peer *p;

static void setup(void)
{
    stage_init(&st, NULL);
    p = stage_peer(&st, 0);
}

static void teardown(void)
{
    lev_vhost_set_policies(st.v, NULL);
    stage_deinit(&st);
}

/* A set of one policy. */
static void govern(const char *pattern, const char *apply_to, const char *definition)
{
    char err[LEV_POLICY_ERR_MAX];
    struct lev_policy_set *set = lev_policy_set_new();
    struct lev_policy_def d = {.name = LEV_LIT("policy"),
                               .pattern = lev_bytes_str(pattern),
                               .apply_to = lev_bytes_str(apply_to),
                               .definition = args(definition)};
    ck_assert_msg(lev_policy_set_put(set, LEV_USER_POLICY, &d, err) == 0, "%s", err);
    lev_vhost_set_policies(st.v, set);
}

/* ---- Queues without a client ---- */

static int declare(const char *name, bool durable, const char *arguments, struct lev_error *err)
{
    struct lev_queue_declare_args a = {
        .name = lev_bytes_str(name), .durable = durable, .arguments = args(arguments)};
    stage_hold(&st);
    int rc = lev_vhost_declare_queue(st.v, &a, err);
    stage_release(&st);
    return rc;
}

START_TEST(test_declare)
{
    struct lev_error err;
    ck_assert_int_eq(declare("d", true, "x-max-length=l5", &err), 0);
    ck_assert_int_eq(declare("t", false, "", &err), 0);
    ck_assert_uint_eq(stage_queue(&st, "d")->settings->max_length, 5);
    ck_assert_int_eq(declare("d", true, "x-max-length=l6", &err), 0); /* stays as it is */
    ck_assert_uint_eq(stage_queue(&st, "d")->settings->max_length, 5);
    ck_assert_int_eq(declare("bad", true, "x-max-length=l-1", &err), -1);
    ck_assert_int_eq(err.code, LEV_PRECONDITION_FAILED);
    ck_assert_str_eq(
        err.text, "invalid arg 'x-max-length' for queue 'bad' in vhost '/': {value_negative,-1}");
    ck_assert_ptr_null(stage_queue(&st, "bad"));
    ck_assert_int_eq(peer_declare(p, "t", ""), 0);
    stage_restart(&st);
    ck_assert_ptr_nonnull(stage_queue(&st, "d"));
    ck_assert_ptr_null(stage_queue(&st, "t"));
}
END_TEST

/* ---- Policies on queues ---- */

START_TEST(test_at_once)
{
    ck_assert_int_eq(peer_declare(p, "q", "d"), 0);
    ck_assert_int_eq(peer_declare(p, "other", "d"), 0);
    peer_send(p, "q", "abcde", "p");
    peer_send(p, "other", "abcde", "p");
    govern("^q$", "queues", "max-length=l2");
    ck_assert_uint_eq(stage_ready(&st, "q"), 2);
    ck_assert_uint_eq(stage_ready(&st, "other"), 5);
    peer_send(p, "q", "fg", "p");
    ck_assert_uint_eq(stage_ready(&st, "q"), 2);
    govern("^other$", "queues", "max-length=l1");
    peer_send(p, "q", "h", "p");
    ck_assert_uint_eq(stage_ready(&st, "q"), 3);
    ck_assert_uint_eq(stage_ready(&st, "other"), 1);
    lev_vhost_set_policies(st.v, NULL);
    peer_send(p, "other", "i", "p");
    ck_assert_uint_eq(stage_ready(&st, "other"), 2);
    stage_run(&st);
    ck_assert_uint_eq(stage_rows(&st, "other"), 2);
}
END_TEST

START_TEST(test_declared_later)
{
    govern("^q", "quorum_queues", "delivery-limit=l3");
    ck_assert_int_eq(peer_declare(p, "q1", "d"), 0);
    ck_assert_uint_eq(stage_queue(&st, "q1")->settings->delivery_limit, LEV_UNLIMITED);
    govern("^q", "classic_queues", "message-ttl=l3");
    ck_assert_uint_eq(stage_queue(&st, "q1")->settings->message_ttl_ms, 3);
    ck_assert_int_eq(peer_declare(p, "q2", ""), 0);
    ck_assert_int_eq(peer_declare(p, "q3", "x"), 0);
    ck_assert_uint_eq(stage_queue(&st, "q2")->settings->message_ttl_ms, 3);
    ck_assert_uint_eq(stage_queue(&st, "q3")->settings->message_ttl_ms, 3);
    ck_assert_int_eq(peer_declare(p, "other", ""), 0);
    ck_assert_uint_eq(stage_queue(&st, "other")->settings->message_ttl_ms, LEV_UNLIMITED);
}
END_TEST

START_TEST(test_dead_letters)
{
    ck_assert_int_eq(peer_declare(p, "q", "d"), 0);
    ck_assert_int_eq(peer_declare(p, "grave", "d"), 0);
    peer_fanout(p, "dead");
    peer_bind(p, "dead", "grave");
    peer_send(p, "q", "abc", "p");
    govern("^q$", "all", "max-length=l1 dead-letter-exchange=Sdead");
    ck_assert_uint_eq(stage_ready(&st, "q"), 1);
    ck_assert_uint_eq(stage_ready(&st, "grave"), 2);
}
END_TEST

START_TEST(test_expires)
{
    ck_assert_int_eq(peer_declare(p, "q", "d"), 0);
    govern("^q$", "all", "expires=l1000");
    ck_assert_uint_ne(stage_queue(&st, "q")->disuse.index, 0);
    lev_vhost_set_policies(st.v, NULL);
    ck_assert_uint_eq(stage_queue(&st, "q")->disuse.index, 0);
}
END_TEST

static const struct lev_queue_settings *settings_of(const char *name)
{
    return stage_queue(&st, name)->settings;
}

/* Queues have one copy of the settings that are the same, and part with them one by one. */
START_TEST(test_shared)
{
    struct lev_error err;
    static const char *const different[] = {
        "x-message-ttl=l1",          "x-dead-letter-exchange=Sx",
        "x-dead-letter-exchange=Sy", "x-single-active-consumer=t1",
        "x-max-priority=B2",         "x-deduplication-header=Sh"};
    const int n = sizeof(different) / sizeof(different[0]);
    char name[16], twin[16];
    ck_assert_int_eq(declare("plain", true, "", &err), 0);
    for (int i = 0; i < n; i++) {
        snprintf(name, sizeof(name), "q%d", i);
        snprintf(twin, sizeof(twin), "r%d", i);
        ck_assert_int_eq(declare(name, true, different[i], &err), 0);
        ck_assert_int_eq(declare("other", false, "", &err), 0);
        ck_assert_int_eq(declare(twin, false, different[i], &err), 0);
        ck_assert_ptr_eq(settings_of(name), settings_of(twin));
        for (int k = 0; k < i; k++) {
            snprintf(twin, sizeof(twin), "r%d", k);
            ck_assert_ptr_ne(settings_of(name), settings_of(twin));
        }
    }
    ck_assert_ptr_eq(settings_of("plain"), settings_of("other"));
    govern("^r1$", "queues", "dead-letter-routing-key=Sk");
    ck_assert(settings_of("r1")->has_dlrk && !settings_of("q1")->has_dlrk);
    ck_assert_int_ge(peer_delete(p, "q0", ""), 0);
    ck_assert_uint_eq(settings_of("r0")->message_ttl_ms, 1);
}
END_TEST

/* More queues than one slice has. */
START_TEST(test_many)
{
    struct lev_error err;
    char name[16];
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof(name), "q%d", i);
        ck_assert_int_eq(declare(name, false, "", &err), 0);
    }
    govern("", "queues", "max-length=l7");
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof(name), "q%d", i);
        ck_assert_uint_eq(stage_queue(&st, name)->settings->max_length, 7);
    }
}
END_TEST

/* ---- Policies on exchanges ---- */

START_TEST(test_alternate)
{
    ck_assert_int_eq(peer_declare(p, "q", "d"), 0);
    peer_fanout(p, "ae");
    peer_bind(p, "ae", "q");
    peer_fanout(p, "x");
    ck_assert_int_eq(peer_publish(p, 1, "x", "", "a", ""), 0);
    ck_assert_uint_eq(stage_ready(&st, "q"), 0);
    govern("^[xy]$", "exchanges", "alternate-exchange=Sae");
    ck_assert_int_eq(peer_publish(p, 1, "x", "", "b", ""), 0);
    ck_assert_uint_eq(stage_ready(&st, "q"), 1);
    peer_fanout(p, "y");
    ck_assert_int_eq(peer_publish(p, 1, "y", "", "c", ""), 0);
    ck_assert_uint_eq(stage_ready(&st, "q"), 2);
    govern("^x$", "all", "alternate-exchange=Snowhere");
    ck_assert_int_eq(peer_publish(p, 1, "x", "", "d", ""), 0);
    ck_assert_int_eq(peer_publish(p, 1, "y", "", "e", ""), 0);
    ck_assert_uint_eq(stage_ready(&st, "q"), 2);
}
END_TEST

START_TEST(test_alternate_argument_wins)
{
    struct lev_error err;
    struct lev_exchange_def d = {.name = LEV_LIT("x"),
                                 .type = LEV_LIT("topic"),
                                 .arguments = args("alternate-exchange=Sae")};
    ck_assert_int_eq(peer_declare(p, "q", "d"), 0);
    peer_fanout(p, "ae");
    peer_bind(p, "ae", "q");
    stage_hold(&st);
    ck_assert_int_eq(lev_exchange_declare(lev_vhost_topology(st.v), &d, &err), 0);
    stage_release(&st);
    govern("", "exchanges", "alternate-exchange=Snowhere");
    ck_assert_int_eq(peer_publish(p, 1, "x", "k", "a", ""), 0);
    ck_assert_uint_eq(stage_ready(&st, "q"), 1);
    lev_vhost_set_policies(st.v, NULL);
    ck_assert_int_eq(peer_publish(p, 1, "x", "k", "b", ""), 0);
    ck_assert_uint_eq(stage_ready(&st, "q"), 2);
    stage_hold(&st);
    ck_assert_int_eq(lev_exchange_delete(lev_vhost_topology(st.v), d.name, false, &err), 0);
    stage_release(&st);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("broker/admin");
    TCase *tc = tcase_create("admin");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_declare);
    tcase_add_test(tc, test_at_once);
    tcase_add_test(tc, test_declared_later);
    tcase_add_test(tc, test_dead_letters);
    tcase_add_test(tc, test_expires);
    tcase_add_test(tc, test_shared);
    tcase_add_test(tc, test_many);
    tcase_add_test(tc, test_alternate);
    tcase_add_test(tc, test_alternate_argument_wins);
    suite_add_tcase(s, tc);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
