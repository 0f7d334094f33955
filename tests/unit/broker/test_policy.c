/* Policies: what a definition may hold, which policy governs, how values merge, and what they and a
 * queue's arguments come to. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "args.h"
#include "broker/policy.h"
#include "broker/settings.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))

static struct lev_policy_set *set;

static void setup(void)
{
    set = lev_policy_set_new();
}

static void teardown(void)
{
    lev_policy_set_free(&set);
    ck_assert_ptr_null(set);
}

static struct lev_policy_def def(const char *name, const char *pattern, const char *apply_to,
                                 const char *definition, int64_t priority)
{
    return (struct lev_policy_def){.name = lev_bytes_str(name),
                                   .pattern = lev_bytes_str(pattern),
                                   .apply_to = lev_bytes_str(apply_to),
                                   .definition = args(definition),
                                   .priority = priority};
}

static void put(enum lev_policy_kind kind, const char *name, const char *pattern,
                const char *apply_to, const char *definition, int64_t priority)
{
    struct lev_policy_def d = def(name, pattern, apply_to, definition, priority);
    char err[LEV_POLICY_ERR_MAX] = "";
    ck_assert_msg(lev_policy_set_put(set, kind, &d, err) == 0, "%s: %s", name, err);
}

static void policy(const char *name, const char *pattern, const char *apply_to,
                   const char *definition, int64_t priority)
{
    put(LEV_USER_POLICY, name, pattern, apply_to, definition, priority);
}

/* Expects the names of what governs; "-" for nothing. */
static void governed(const char *queue, enum lev_queue_type type, const char *user, const char *op)
{
    struct lev_policy_effect e;
    bool any = lev_policy_of_queue(set, lev_bytes_str(queue), type, &e);
    struct lev_bytes u = e.policy ? e.policy->name : LEV_LIT("-");
    struct lev_bytes o = e.operator_policy ? e.operator_policy->name : LEV_LIT("-");
    ck_assert_msg(lev_bytes_eq(u, lev_bytes_str(user)), "%s: %.*s", queue, LEV_FMT(u));
    ck_assert_msg(lev_bytes_eq(o, lev_bytes_str(op)), "%s: %.*s", queue, LEV_FMT(o));
    ck_assert_int_eq(any, e.policy || e.operator_policy);
}

/* ---- Definitions ---- */

static const struct {
    const char *definition;
    bool of_operator;
    const char *error; /* NULL: good */
} definitions[] = {
    {"", false, "no policy provided"},
    {"foo=l5", false, "[{<<\"foo\">>,5}] are not recognised policy settings"},
    {"foo=l5 expires=l1 bar=t1", false,
     "[{<<\"foo\">>,5},{<<\"bar\">>,true}] are not recognised policy settings"},
    {"foo=l5 max-length=S5", false, "<<\"5\">> is not a valid maximum length"},
    {"message-ttl=l0", false, NULL},
    {"message-ttl=l-1", false, "-1 is not a valid message TTL"},
    {"message-ttl=d1.5", false, "1.5 is not a valid message TTL"},
    {"message-ttl=F", false, "#{} is not a valid message TTL"},
    {"message-ttl=A", false, "[] is not a valid message TTL"},
    {"expires=l1", false, NULL},
    {"expires=l0", false, "0 is not a valid queue expiry"},
    {"max-length=l0 max-length-bytes=l0", false, NULL},
    {"max-length-bytes=l-1", false, "-1 is not a valid maximum length in bytes"},
    {"overflow=Sdrop-head", false, NULL},
    {"overflow=Sreject-publish", false, NULL},
    {"overflow=Sreject-publish-dlx", false, NULL},
    {"overflow=Swhatever", false, "<<\"whatever\">> is not a valid overflow value"},
    {"overflow=l1", false, "1 is not a valid overflow value"},
    {"alternate-exchange=Sae", false, NULL},
    {"alternate-exchange=l1", false, "1 is not a valid alternate exchange name"},
    {"dead-letter-exchange=t1", false, "true is not a valid dead letter exchange name"},
    {"dead-letter-routing-key=l1", false, "1 is not a valid dead letter routing key"},
    {"dead-letter-strategy=Sat-least-once", false, NULL},
    {"dead-letter-strategy=Stwice", false, "<<\"twice\">> is not a valid dead letter strategy"},
    {"delivery-limit=l-1", false, NULL},
    {"delivery-limit=S1", false, "<<\"1\">> is not a valid delivery limit"},
    {"consumer-timeout=l0", false, NULL},
    {"consumer-timeout=l-5", false, "-5 is not a valid consumer timeout"},
    {"queue-mode=Slazy queue-version=l2", false, NULL},
    {"x-message-deduplication=t1 x-deduplication-header=Sid x-cache-size=l1 x-cache-ttl=l1 "
     "x-cache-persistence=Smemory",
     false, NULL},
    {"x-cache-persistence=Sdisk", false, NULL},
    {"x-cache-persistence=Stape", false, "<<\"tape\">> is not a valid cache persistence"},
    {"x-message-deduplication=Strue", false,
     "<<\"true\">> is not a valid message deduplication value"},
    {"x-cache-size=l0", false, "0 is not a valid cache size"},
    {"x-cache-ttl=S5", false, "<<\"5\">> is not a valid cache TTL"},
    {"x-cache-size=l1", true, "[{<<\"x-cache-size\">>,1}] are not recognised policy settings"},
    {"queue-mode=Sbusy", false, "<<\"busy\">> is not a valid queue-mode value"},
    {"queue-version=l3", false, "3 is not a valid queue version value"},
    {"max-age=S7D", false, NULL},
    {"max-age=S0D", false, "<<\"0D\">> is not a valid max age"},
    {"max-age=S7", false, "<<\"7\">> is not a valid max age"},
    {"max-age=SxD", false, "<<\"xD\">> is not a valid max age"},
    {"ha-mode=Sall ha-params=l2 ha-sync-mode=Sautomatic", false, NULL},
    {"federation-upstream-set=Sall", false, NULL},
    {"queue-leader-locator=Sbalanced target-group-size=l3", false, NULL},
    {"stream-filter-size-bytes=l15", false,
     "15 is not a valid filter size. Valid range is 16-255."},
    {"expires=l1 message-ttl=l1 max-length=l1 max-length-bytes=l1 delivery-limit=l1 "
     "overflow=Sdrop-head queue-version=l2 max-in-memory-length=l1 max-in-memory-bytes=l1 "
     "target-group-size=l3",
     true, NULL},
    {"dead-letter-exchange=Sx", true,
     "[{<<\"dead-letter-exchange\">>,<<\"x\">>}] are not recognised policy settings"},
};

START_TEST(test_definition)
{
    struct lev_policy_values v;
    char err[LEV_POLICY_ERR_MAX] = "";
    struct lev_bytes d = args(definitions[_i].definition);
    int rc = lev_policy_values_read(d, definitions[_i].of_operator, &v, err, sizeof(err));
    ck_assert_str_eq(err, definitions[_i].error ? definitions[_i].error : "");
    ck_assert_int_eq(rc, definitions[_i].error ? -1 : 0);
}
END_TEST

START_TEST(test_error_is_cut)
{
    struct lev_policy_values v;
    char err[24], long_one[400] = "overflow=S";
    memset(long_one + 10, 'x', 300);
    ck_assert_int_eq(lev_policy_values_read(args(long_one), false, &v, err, sizeof(err)), -1);
    ck_assert_str_eq(err, "<<\"xxxxxxxxxxxxxxxxxxxx");
}
END_TEST

START_TEST(test_refused)
{
    char err[LEV_POLICY_ERR_MAX];
    struct lev_policy_def d = def("p", "a(b", "all", "expires=l1", 0);
    ck_assert_int_eq(lev_policy_set_put(set, LEV_USER_POLICY, &d, err), -1);
    ck_assert_str_eq(err, "pattern should be regular expression but is invalid: "
                          "{\"missing closing parenthesis\",3}");
    d = def("p", "", "everything", "expires=l1", 0);
    ck_assert_int_eq(lev_policy_set_put(set, LEV_USER_POLICY, &d, err), -1);
    ck_assert_str_eq(err, "apply-to 'everything' unrecognised; should be one of: 'queues', "
                          "'classic_queues', 'quorum_queues', 'streams', 'exchanges' or 'all'");
    d = def("p", "", "all", "", 0);
    ck_assert_int_eq(lev_policy_set_put(set, LEV_USER_POLICY, &d, err), -1);
    ck_assert_uint_eq(lev_policy_set_count(set, LEV_USER_POLICY), 0);
}
END_TEST

/* ---- Which one governs ---- */

START_TEST(test_priority)
{
    governed("q", LEV_QUEUE_CLASSIC, "-", "-");
    policy("low", "", "all", "expires=l1", -5);
    policy("high", "^q", "all", "expires=l2", 7);
    policy("middle", ".*", "all", "expires=l3", 0);
    put(LEV_OPERATOR_POLICY, "op", "x$", "all", "expires=l4", 0);
    governed("q", LEV_QUEUE_CLASSIC, "high", "-");
    governed("aq", LEV_QUEUE_CLASSIC, "middle", "-");
    governed("qx", LEV_QUEUE_QUORUM, "high", "op");
    ck_assert(lev_policy_set_remove(set, LEV_USER_POLICY, LEV_LIT("high")));
    ck_assert(!lev_policy_set_remove(set, LEV_USER_POLICY, LEV_LIT("high")));
    ck_assert(!lev_policy_set_remove(set, LEV_USER_POLICY, LEV_LIT("op")));
    governed("q", LEV_QUEUE_CLASSIC, "middle", "-");
    ck_assert(lev_policy_set_remove(set, LEV_USER_POLICY, LEV_LIT("middle")));
    governed("q", LEV_QUEUE_CLASSIC, "low", "-");
}
END_TEST

START_TEST(test_ties_and_replacement)
{
    policy("b", "", "all", "expires=l1", 1);
    policy("a", "", "all", "expires=l2", 1);
    governed("q", LEV_QUEUE_CLASSIC, "a", "-");
    policy("a", "", "all", "expires=l2", 0);
    governed("q", LEV_QUEUE_CLASSIC, "b", "-");
    ck_assert_uint_eq(lev_policy_set_count(set, LEV_USER_POLICY), 2);
}
END_TEST

START_TEST(test_many)
{
    char name[16], pattern[16];
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof(name), "p%02d", i);
        snprintf(pattern, sizeof(pattern), "^%d$", i);
        policy(name, pattern, "queues", "expires=l1", (i * 37) % 100);
    }
    governed("0", LEV_QUEUE_CLASSIC, "p00", "-");
    governed("99", LEV_QUEUE_CLASSIC, "p99", "-");
    governed("100", LEV_QUEUE_CLASSIC, "-", "-");
}
END_TEST

START_TEST(test_apply_to)
{
    struct lev_policy_effect e;
    policy("classic", "", "classic_queues", "expires=l1", 9);
    policy("quorum", "", "quorum_queues", "expires=l1", 8);
    policy("streams", "", "streams", "max-length-bytes=l1", 7);
    policy("exchanges", "", "exchanges", "alternate-exchange=Sae", 6);
    governed("o", LEV_QUEUE_CLASSIC, "classic", "-");
    governed("o", LEV_QUEUE_QUORUM, "quorum", "-");
    governed("o", LEV_QUEUE_STREAM, "streams", "-");
    ck_assert(lev_policy_of_exchange(set, LEV_LIT("o"), &e));
    ck_assert(lev_bytes_eq(e.policy->name, LEV_LIT("exchanges")));
    policy("queues", "", "queues", "max-length-bytes=l1", 100);
    governed("o", LEV_QUEUE_CLASSIC, "queues", "-");
    governed("o", LEV_QUEUE_STREAM, "queues", "-");
    ck_assert(lev_policy_of_exchange(set, LEV_LIT("o"), &e));
    ck_assert(lev_bytes_eq(e.policy->name, LEV_LIT("exchanges")));
    policy("all", "", "all", "max-length-bytes=l1", 200);
    governed("o", LEV_QUEUE_QUORUM, "all", "-");
    ck_assert(lev_policy_of_exchange(set, LEV_LIT("o"), &e));
    ck_assert(lev_bytes_eq(e.policy->name, LEV_LIT("all")));
    ck_assert(!lev_policy_of_exchange(NULL, LEV_LIT("o"), &e));
}
END_TEST

static const struct {
    const char *definition;
    unsigned skipped_by;
} unsuited[] = {
    {"delivery-limit=l1", LEV_QUEUE_CLASSIC | LEV_QUEUE_STREAM},
    {"dead-letter-strategy=Sat-most-once", LEV_QUEUE_CLASSIC | LEV_QUEUE_STREAM},
    {"max-in-memory-length=l1", LEV_QUEUE_CLASSIC | LEV_QUEUE_STREAM},
    {"max-age=S1h", LEV_QUEUE_CLASSIC | LEV_QUEUE_QUORUM},
    {"initial-cluster-size=l1", LEV_QUEUE_CLASSIC | LEV_QUEUE_QUORUM},
    {"queue-mode=Slazy", LEV_QUEUE_QUORUM | LEV_QUEUE_STREAM},
    {"ha-mode=Sall", LEV_QUEUE_QUORUM | LEV_QUEUE_STREAM},
    {"message-ttl=l1", LEV_QUEUE_STREAM},
    {"dead-letter-exchange=Sx", LEV_QUEUE_STREAM},
    {"max-length-bytes=l1", 0},
};

/* One key that the type does not know, and the next policy governs. */
START_TEST(test_passed_over)
{
    static const enum lev_queue_type types[] = {LEV_QUEUE_CLASSIC, LEV_QUEUE_QUORUM,
                                                LEV_QUEUE_STREAM};
    policy("next", "", "all", "max-length-bytes=l5", 0);
    policy("first", "", "all", unsuited[_i].definition, 1);
    put(LEV_OPERATOR_POLICY, "op", "", "all", "max-length-bytes=l7", 0);
    for (int i = 0; i < COUNT(types); i++)
        governed("q", types[i], unsuited[_i].skipped_by & types[i] ? "next" : "first", "op");
}
END_TEST

START_TEST(test_pattern_is_searched_for)
{
    policy("p", "a.c", "all", "expires=l1", 0);
    governed("xxabcxx", LEV_QUEUE_CLASSIC, "p", "-");
    governed("ac", LEV_QUEUE_CLASSIC, "-", "-");
    governed("", LEV_QUEUE_CLASSIC, "-", "-");
    policy("empty", "^$", "all", "expires=l1", 0);
    governed("", LEV_QUEUE_CLASSIC, "empty", "-");
    /* runs away; PCRE2 gives up */
    policy("p", "^(a+)+$", "all", "expires=l1", 0);
    governed("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab", LEV_QUEUE_CLASSIC, "-",
             "-");
    /* names need not be UTF-8, whatever the pattern believes */
    policy("p", "(*UTF)x", "all", "expires=l1", 0);
    governed("x\xff", LEV_QUEUE_CLASSIC, "-", "-");
    governed("x", LEV_QUEUE_CLASSIC, "p", "-");
}
END_TEST

/* ---- What comes of it ---- */

/* A queue's settings as text: what is not the default. */
static const char *resolved(const char *arguments, const char *user, const char *op)
{
    static char out[512];
    static const char *const words[] = {"drop-head", "reject-publish", "reject-publish-dlx"};
    struct lev_queue_settings s;
    struct lev_policy_effect e;
    struct lev_bytes a = args(arguments);
    if (user)
        policy("user", "", "all", user, 0);
    if (op)
        put(LEV_OPERATOR_POLICY, "op", "", "all", op, 0);
    lev_policy_of_queue(set, LEV_LIT("q"), lev_queue_type_of(a), &e);
    lev_settings_resolve(a, &e.values, &s);
    const struct {
        const char *name;
        uint64_t value;
    } numbers[] = {{"ttl", s.message_ttl_ms},
                   {"expires", s.expires_ms},
                   {"length", s.max_length},
                   {"bytes", s.max_length_bytes},
                   {"limit", s.delivery_limit},
                   {"timeout", s.consumer_timeout_ms},
                   {"priority", s.prioritised ? s.max_priority : LEV_UNLIMITED}};
    int n = 0;
    out[0] = 0;
    for (int i = 0; i < COUNT(numbers); i++)
        if (numbers[i].value != LEV_UNLIMITED)
            n += snprintf(out + n, sizeof(out) - (size_t)n, "%s=%llu ", numbers[i].name,
                          (unsigned long long)numbers[i].value);
    if (s.overflow != LEV_DROP_HEAD)
        n += snprintf(out + n, sizeof(out) - (size_t)n, "%s ", words[s.overflow]);
    if (s.has_dlx)
        n += snprintf(out + n, sizeof(out) - (size_t)n, "dlx=%.*s ", LEV_FMT(s.dlx));
    if (s.has_dlrk)
        n += snprintf(out + n, sizeof(out) - (size_t)n, "dlrk=%.*s ", LEV_FMT(s.dlrk));
    if (s.dedup.wanted)
        n += snprintf(out + n, sizeof(out) - (size_t)n, "dedup=%.*s,%llu,%llu ",
                      LEV_FMT(s.dedup.header), (unsigned long long)s.dedup.size,
                      (unsigned long long)s.dedup.ttl_ms);
    snprintf(out + n, sizeof(out) - (size_t)n, "%s%s", s.at_least_once ? "at-least-once " : "",
             s.single_active ? "single " : "");
    lev_settings_deinit(&s);
    return out;
}

#define QUORUM "x-queue-type=Squorum "

static const struct {
    const char *arguments, *user, *op, *settings;
} resolutions[] = {
    {"", NULL, NULL, ""},
    {QUORUM, NULL, NULL, "limit=20 "},
    {"x-max-priority=B7 x-single-active-consumer=t1", NULL, NULL, "priority=7 single "},
    /* numbers: the smallest of all */
    {"x-message-ttl=I100", NULL, NULL, "ttl=100 "},
    {"x-message-ttl=I100", "message-ttl=l50", NULL, "ttl=50 "},
    {"x-message-ttl=I100", "message-ttl=l500", NULL, "ttl=100 "},
    {"", "message-ttl=l500", NULL, "ttl=500 "},
    {"", NULL, "message-ttl=l500", "ttl=500 "},
    {"", "message-ttl=l0", "message-ttl=l500", "ttl=0 "},
    {"", "message-ttl=l600", "message-ttl=l500", "ttl=500 "},
    {"x-message-ttl=l400", "message-ttl=l600", "message-ttl=l500", "ttl=400 "},
    {"x-expires=l9", "expires=l8", "expires=l7", "expires=7 "},
    {"x-max-length=l9", "max-length=l8", "max-length-bytes=l7", "length=8 bytes=7 "},
    {"x-consumer-timeout=l9", "consumer-timeout=l8", NULL, "timeout=8 "},
    {"", "expires=l5", "max-length=l3", "expires=5 length=3 "},
    /* dead-lettering: the argument, each by itself */
    {"x-dead-letter-exchange=Sa", "dead-letter-exchange=Sp dead-letter-routing-key=Sk", NULL,
     "dlx=a dlrk=k "},
    {"", "dead-letter-exchange=Sp dead-letter-routing-key=Sk", NULL, "dlx=p dlrk=k "},
    {"x-dead-letter-exchange=Sa x-dead-letter-routing-key=S", "dead-letter-routing-key=Sk", NULL,
     "dlx=a dlrk= "},
    {QUORUM "x-overflow=Sreject-publish", "dead-letter-strategy=Sat-least-once", NULL,
     "limit=20 reject-publish at-least-once "},
    {QUORUM "x-dead-letter-strategy=Sat-most-once", "dead-letter-strategy=Sat-least-once", NULL,
     "limit=20 "},
    /* overflow: the argument, or for quorum queues the policy */
    {"x-overflow=Sreject-publish", "overflow=Sdrop-head", NULL, "reject-publish "},
    {"", "overflow=Sreject-publish-dlx", NULL, "reject-publish-dlx "},
    {"", "overflow=Sdrop-head", "overflow=Sreject-publish", "reject-publish "},
    {QUORUM "x-overflow=Sreject-publish", "overflow=Sdrop-head", NULL, "limit=20 "},
    {QUORUM "x-overflow=Sreject-publish", "expires=l1", NULL, "expires=1 limit=20 reject-publish "},
    {QUORUM, "overflow=Sreject-publish", NULL, "limit=20 reject-publish "},
    {QUORUM "x-overflow=Sreject-publish-dlx", NULL, NULL, "limit=20 "},
    /* the delivery limit: the smaller, unless one of them is none */
    {QUORUM "x-delivery-limit=l5", NULL, NULL, "limit=5 "},
    {QUORUM "x-delivery-limit=l-1", NULL, NULL, ""},
    {QUORUM "x-delivery-limit=l5", "delivery-limit=l3", NULL, "limit=3 "},
    {QUORUM "x-delivery-limit=l5", "delivery-limit=l-1", NULL, "limit=5 "},
    {QUORUM "x-delivery-limit=l-1", "delivery-limit=l7", NULL, "limit=7 "},
    {QUORUM "x-delivery-limit=l0", "delivery-limit=l7", NULL, "limit=0 "},
    {QUORUM, "delivery-limit=l-1", NULL, ""},
    {QUORUM, "delivery-limit=l30", NULL, "limit=30 "},
    {QUORUM, "delivery-limit=l-1", "delivery-limit=l9", "limit=9 "},
    {QUORUM, "delivery-limit=l9", "delivery-limit=l-1", "limit=9 "},
    {QUORUM, "delivery-limit=l9", "delivery-limit=l4", "limit=4 "},
    /* deduplication: the policy, each by itself */
    {"x-message-deduplication=t1 x-cache-size=S5", NULL, NULL, "dedup=x-deduplication-header,5,0 "},
    {"x-message-deduplication=t1", "x-message-deduplication=t0", NULL, ""},
    {"x-cache-ttl=l7 x-cache-size=l7", "x-message-deduplication=t1 x-cache-size=l9", NULL,
     "dedup=x-deduplication-header,9,7 "},
    {"x-deduplication-header=Sa x-message-deduplication=Strue", "x-deduplication-header=Sp", NULL,
     "dedup=p,0,0 "},
    {QUORUM, "x-message-deduplication=t1", NULL, "limit=20 dedup=x-deduplication-header,0,0 "},
    /* a policy that does not suit does nothing at all */
    {"", "delivery-limit=l9 expires=l1", "expires=l2", "expires=2 "},
};

START_TEST(test_resolution)
{
    ck_assert_str_eq(resolved(resolutions[_i].arguments, resolutions[_i].user, resolutions[_i].op),
                     resolutions[_i].settings);
}
END_TEST

START_TEST(test_without_policy)
{
    struct lev_queue_settings s;
    lev_settings_resolve(args("x-expires=I5"), NULL, &s);
    ck_assert_uint_eq(s.expires_ms, 5);
    ck_assert(!s.has_dlx);
    lev_settings_deinit(&s);
}
END_TEST

START_TEST(test_exchange)
{
    struct lev_policy_effect e;
    struct lev_bytes ae;
    policy("p", "^e", "exchanges", "alternate-exchange=Sae", 0);
    ck_assert(lev_policy_of_exchange(set, LEV_LIT("e1"), &e));
    ck_assert(lev_policy_text(&e.values, LEV_POLICY_ALTERNATE_EXCHANGE, &ae));
    ck_assert(lev_bytes_eq(ae, LEV_LIT("ae")));
    ck_assert(!lev_policy_of_exchange(set, LEV_LIT("x"), &e));
    ck_assert(!lev_policy_text(&e.values, LEV_POLICY_ALTERNATE_EXCHANGE, &ae));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("broker/policy");
    TCase *tc = tcase_create("policy");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, test_definition, 0, COUNT(definitions));
    tcase_add_test(tc, test_error_is_cut);
    tcase_add_test(tc, test_refused);
    tcase_add_test(tc, test_priority);
    tcase_add_test(tc, test_ties_and_replacement);
    tcase_add_test(tc, test_many);
    tcase_add_test(tc, test_apply_to);
    tcase_add_loop_test(tc, test_passed_over, 0, COUNT(unsuited));
    tcase_add_test(tc, test_pattern_is_searched_for);
    tcase_add_loop_test(tc, test_resolution, 0, COUNT(resolutions));
    tcase_add_test(tc, test_without_policy);
    tcase_add_test(tc, test_exchange);
    suite_add_tcase(s, tc);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
