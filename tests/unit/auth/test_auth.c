/* Tests of src/auth: hashes, SASL responses, the directory and its questions, over fake_meta.h. */
#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "amqp/table.h"
#include "auth/auth.h"
#include "auth/password.h"
#include "base/err.h"
#include "base/log.h"
#include "fake_meta.h"

#define B(s) lev_bytes_str(s)

/* ---- Password hashes ---- */

#define SHA256 "rabbit_password_hashing_sha256"
#define SHA512 "rabbit_password_hashing_sha512"
#define MD5 "rabbit_password_hashing_md5"
#define HASH_TEST12 "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR"
#define HASH_HORSE_512                                                                             \
    "Af5/gGDGyuvBvC/i0YiIFxQ5jG7QLBhdMuXHpLliUhbAM+ckfGuX+3cToRbywOenr6fM/f0/8TwU12A9zpa8B2s2g3A="
#define HASH_HORSE_MD5 "Af5/gJn0wZ7STYkDRZjXOyDvJag="

static const struct {
    const char *hash, *algorithm, *password;
    bool right;
} hashes[] = {
    {HASH_TEST12, SHA256, "test12", true},
    {HASH_TEST12, SHA256, "test13", false},
    {HASH_TEST12, SHA256, "", false},
    {HASH_TEST12, SHA512, "test12", false},
    {HASH_TEST12, "", "test12", false},
    {HASH_TEST12, "rot13", "test12", false},
    {HASH_HORSE_512, SHA512, "correct horse", true},
    {HASH_HORSE_512, SHA512, "Correct horse", false},
    {HASH_HORSE_MD5, MD5, "correct horse", true},
    {HASH_HORSE_MD5, "", "correct horse", true},
    {HASH_HORSE_MD5, MD5, "correct hors", false},
    {"", SHA256, "test12", false},
    {"", SHA256, "", false},
    {"kI3GCg==", SHA256, "test12", false},
    {"kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2PO", SHA256, "test12", false},
    {"?????????????????????????????????????????????????", SHA256, "test12", false},
    {"????????????????????????????????????????????????", SHA256, "test12", false},
};

START_TEST(test_verify)
{
    ck_assert(lev_password_verify(B(hashes[_i].hash), B(hashes[_i].algorithm),
                                  B(hashes[_i].password)) == hashes[_i].right);
}
END_TEST

START_TEST(test_hash)
{
    char one[LEV_PASSWORD_HASH_MAX], two[LEV_PASSWORD_HASH_MAX];
    ck_assert_int_eq(lev_password_hash(B("s3cret"), one), 0);
    ck_assert_int_eq(lev_password_hash(B("s3cret"), two), 0);
    ck_assert_uint_eq(strlen(one), 48);
    ck_assert_str_ne(one, two);
    ck_assert(lev_password_verify(B(one), B(LEV_PASSWORD_ALGORITHM), B("s3cret")));
    ck_assert(lev_password_verify(B(two), B(LEV_PASSWORD_ALGORITHM), B("s3cret")));
    ck_assert(!lev_password_verify(B(two), B(LEV_PASSWORD_ALGORITHM), B("s3cre")));
}
END_TEST

START_TEST(test_hash_too_long)
{
    char text[201];
    memset(text, 'A', 200);
    text[200] = 0;
    ck_assert(!lev_password_verify(B(text), B(SHA256), B("x")));
}
END_TEST

/* ---- The directory ---- */

static struct lev_meta meta;
static struct lev_auth *auth;
static char err[256];

static void setup(void)
{
    fake_user(&meta, "u", HASH_TEST12, SHA256, "administrator,impersonator");
    fake_user(&meta, "nopass", "", SHA256, "");
    fake_user(&meta, "guest", HASH_HORSE_MD5, MD5, "management");
    fake_permission(&meta, "u", "/", "^cfg", "foo", "");
    fake_permission(&meta, "u", "broken", "*", ".*", "(");
    fake_topic(&meta, "u", "/", "amq.topic", "^a\\.", "^b$");
    fake_topic(&meta, "u", "/", "broken", "(", "");
    fake_topic(&meta, "u", "/", "x", "^{username}\\.{vhost}$", "{user}");
    fake_topic(&meta, "u", "v", "x", "^n", "^n");
    fake_topic(&meta, ".*", "/", "x", "^{username}$", "^[{vhost}]$");
    fake_topic(&meta, "stranger", "/", "x", ".*", ".*");
    fake_user(&meta, ".*", "", SHA256, "");
    fake_permission(&meta, "stranger", "/", ".*", ".*", ".*");
    auth = lev_auth_new(&meta, NULL, err, sizeof(err));
    ck_assert_msg(auth != NULL, "%s", err);
}

static void teardown(void)
{
    lev_auth_free(&auth);
    ck_assert_ptr_null(auth);
    fake_clear(&meta);
}

START_TEST(test_passwords)
{
    ck_assert(lev_auth_password(auth, B("u"), B("test12")));
    ck_assert(!lev_auth_password(auth, B("u"), B("test1")));
    ck_assert(!lev_auth_password(auth, B("U"), B("test12")));
    ck_assert(!lev_auth_password(auth, B("nopass"), B("")));
    ck_assert(!lev_auth_password(auth, B(""), B("")));
    ck_assert(!lev_auth_password(auth, B("nobody"), B("test12")));
    ck_assert_int_eq(meta.n_users, 4);
}
END_TEST

START_TEST(test_vhosts)
{
    ck_assert(lev_auth_vhost(auth, B("u"), B("/")));
    ck_assert(!lev_auth_vhost(auth, B("u"), B("other")));
    ck_assert(!lev_auth_vhost(auth, B("guest"), B("/")));
    ck_assert(!lev_auth_vhost(auth, B("stranger"), B("/")));
}
END_TEST

static const struct {
    const char *user, *vhost;
    enum lev_perm what;
    const char *resource;
    bool may;
} permits[] = {
    {"u", "/", LEV_PERM_CONFIGURE, "cfg.queue", true},
    {"u", "/", LEV_PERM_CONFIGURE, "my.cfg", false},
    {"u", "/", LEV_PERM_WRITE, "xfooy", true},
    {"u", "/", LEV_PERM_WRITE, "fo", false},
    {"u", "/", LEV_PERM_WRITE, "", false},
    {"u", "/", LEV_PERM_READ, "", true},
    {"u", "/", LEV_PERM_READ, "anything", false},
    {"u", "broken", LEV_PERM_WRITE, "anything", true},
    {"u", "broken", LEV_PERM_WRITE, "", true},
    {"u", "broken", LEV_PERM_CONFIGURE, "*", false},
    {"u", "broken", LEV_PERM_READ, "(", false},
    {"u", "other", LEV_PERM_WRITE, "foo", false},
    {"guest", "/", LEV_PERM_WRITE, "foo", false},
    {"nobody", "/", LEV_PERM_WRITE, "foo", false},
};

START_TEST(test_permit)
{
    ck_assert(lev_auth_permit(auth, B(permits[_i].user), B(permits[_i].vhost), permits[_i].what,
                              B(permits[_i].resource)) == permits[_i].may);
}
END_TEST

START_TEST(test_permit_no_pointer)
{
    ck_assert(lev_auth_permit(auth, B("u"), B("/"), LEV_PERM_READ, LEV_EMPTY));
    ck_assert(!lev_auth_permit(auth, B("u"), B("/"), LEV_PERM_WRITE, LEV_EMPTY));
}
END_TEST

static const struct {
    const char *user, *vhost, *exchange;
    enum lev_perm what;
    const char *key;
    bool ruled, may;
} topics[] = {
    {"u", "/", "amq.topic", LEV_PERM_WRITE, "a.b", true, true},
    {"u", "/", "amq.topic", LEV_PERM_WRITE, "b.a.b", true, false},
    {"u", "/", "amq.topic", LEV_PERM_READ, "b", true, true},
    {"u", "/", "amq.topic", LEV_PERM_READ, "a.b", true, false},
    {"u", "/", "other", LEV_PERM_WRITE, "anything", false, true},
    {"u", "/", "broken", LEV_PERM_WRITE, "(", true, false},
    {"u", "/", "broken", LEV_PERM_READ, "", true, true},
    {"u", "/", "broken", LEV_PERM_READ, "k", true, false},
    {"u", "/", "x", LEV_PERM_WRITE, "u./", true, true},
    {"u", "/", "x", LEV_PERM_WRITE, "v./", true, false},
    {"u", "/", "x", LEV_PERM_READ, "u", true, false},
    {"u", "v", "x", LEV_PERM_WRITE, "n", true, true},
    {"u", "v", "x", LEV_PERM_WRITE, "m", true, false},
    {"u", "", "/x", LEV_PERM_WRITE, "m", false, true},
    {".*", "/", "x", LEV_PERM_WRITE, ".*", true, true},
    {".*", "/", "x", LEV_PERM_WRITE, "anything", true, false},
    {".*", "/", "x", LEV_PERM_READ, "/", true, true},
    {"stranger", "/", "x", LEV_PERM_WRITE, "k", false, true},
};

START_TEST(test_topics)
{
    ck_assert(lev_auth_topics_ruled(auth, B(topics[_i].user), B(topics[_i].vhost),
                                    B(topics[_i].exchange)) == topics[_i].ruled);
    ck_assert(lev_auth_topic(auth, B(topics[_i].user), B(topics[_i].vhost), B(topics[_i].exchange),
                             topics[_i].what, B(topics[_i].key)) == topics[_i].may);
}
END_TEST

START_TEST(test_tags)
{
    ck_assert(lev_auth_has_tag(auth, B("u"), "administrator"));
    ck_assert(lev_auth_has_tag(auth, B("u"), "impersonator"));
    ck_assert(!lev_auth_has_tag(auth, B("u"), "admin"));
    ck_assert(!lev_auth_has_tag(auth, B("u"), ""));
    ck_assert(lev_auth_has_tag(auth, B("guest"), "management"));
    ck_assert(!lev_auth_has_tag(auth, B("nopass"), "management"));
    ck_assert(!lev_auth_has_tag(auth, B("nobody"), "management"));
}
END_TEST

START_TEST(test_loopback)
{
    static const char *const two[] = {"a", "b", NULL}, *const none[] = {NULL};
    ck_assert(lev_auth_loopback_only(auth, B("guest")));
    ck_assert(!lev_auth_loopback_only(auth, B("u")));
    lev_auth_free(&auth);
    struct lev_auth_options o = {.loopback_users = two};
    auth = lev_auth_new(&meta, &o, err, sizeof(err));
    ck_assert(lev_auth_loopback_only(auth, B("b")));
    ck_assert(!lev_auth_loopback_only(auth, B("guest")));
    lev_auth_free(&auth);
    o.loopback_users = none;
    auth = lev_auth_new(&meta, &o, err, sizeof(err));
    ck_assert(!lev_auth_loopback_only(auth, B("guest")));
}
END_TEST

START_TEST(test_reload)
{
    uint64_t before = lev_auth_epoch(auth);
    fake_user(&meta, "late", HASH_TEST12, SHA256, "");
    ck_assert(!lev_auth_password(auth, B("late"), B("test12")));
    ck_assert_int_eq(lev_auth_reload(auth, err, sizeof(err)), 0);
    ck_assert(lev_auth_password(auth, B("late"), B("test12")));
    ck_assert_uint_gt(lev_auth_epoch(auth), before);
    before = lev_auth_epoch(auth);
    meta.fail_reads = true;
    ck_assert_int_eq(lev_auth_reload(auth, err, sizeof(err)), LEV_EIO);
    ck_assert_str_eq(err, "cannot read the users: " FAKE_ERROR);
    ck_assert(lev_auth_password(auth, B("late"), B("test12")));
    ck_assert_uint_eq(lev_auth_epoch(auth), before);
}
END_TEST

static void *ask(void *arg)
{
    atomic_int *left = arg;
    while (atomic_load(left) > 0)
        if (!lev_auth_permit(auth, B("u"), B("/"), LEV_PERM_WRITE, B("foo")) ||
            !lev_auth_password(auth, B("u"), B("test12")))
            return arg;
    return NULL;
}

START_TEST(test_asked_while_reloading)
{
    pthread_t threads[3];
    atomic_int left = 100;
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, ask, &left), 0);
    while (atomic_fetch_sub(&left, 1) > 0)
        ck_assert_int_eq(lev_auth_reload(auth, err, sizeof(err)), 0);
    for (int i = 0; i < 3; i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        ck_assert_ptr_null(failed);
    }
}
END_TEST

/* ---- The default user ---- */

START_TEST(test_default_user)
{
    struct lev_auth *a = lev_auth_new(&meta, NULL, err, sizeof(err));
    ck_assert_msg(a != NULL, "%s", err);
    ck_assert(lev_auth_password(a, B("guest"), B("guest")));
    ck_assert(lev_auth_has_tag(a, B("guest"), "administrator"));
    ck_assert(lev_auth_permit(a, B("guest"), B("/"), LEV_PERM_CONFIGURE, B("any")));
    ck_assert(lev_auth_permit(a, B("guest"), B("/"), LEV_PERM_READ, LEV_EMPTY));
    ck_assert_int_eq(meta.n_vhosts, 0);
    lev_auth_free(&a);
    /* A second start finds it and makes no other, whatever the options say. */
    struct lev_auth_options o = {
        .default_user = "late", .default_password = "pw", .default_vhost = "v"};
    a = lev_auth_new(&meta, &o, err, sizeof(err));
    ck_assert_int_eq(meta.n_users, 1);
    ck_assert(!lev_auth_password(a, B("late"), B("pw")));
    lev_auth_free(&a);
    fake_clear(&meta);
}
END_TEST

START_TEST(test_chosen_default_user)
{
    struct lev_auth_options o = {
        .default_user = "app", .default_password = "pw", .default_vhost = "v1"};
    struct lev_auth *a = lev_auth_new(&meta, &o, err, sizeof(err));
    ck_assert_msg(a != NULL, "%s", err);
    ck_assert(lev_auth_password(a, B("app"), B("pw")));
    ck_assert(!lev_auth_password(a, B("guest"), B("guest")));
    ck_assert(lev_auth_vhost(a, B("app"), B("v1")));
    ck_assert(!lev_auth_vhost(a, B("app"), B("/")));
    ck_assert_int_eq(meta.n_vhosts, 1);
    ck_assert(lev_bytes_eq(meta.vhosts[0].name, B("v1")));
    lev_auth_free(&a);
    fake_clear(&meta);
}
END_TEST

START_TEST(test_no_default_user)
{
    struct lev_auth_options o = {.no_default_user = true};
    struct lev_auth *a = lev_auth_new(&meta, &o, err, sizeof(err));
    ck_assert_msg(a != NULL, "%s", err);
    ck_assert_int_eq(meta.n_users, 0);
    ck_assert(!lev_auth_password(a, B("guest"), B("guest")));
    lev_auth_free(&a);
}
END_TEST

START_TEST(test_failing_meta)
{
    meta.fail_writes = true;
    ck_assert_ptr_null(lev_auth_new(&meta, NULL, err, sizeof(err)));
    ck_assert_str_eq(err, "cannot create the default user: " FAKE_ERROR);
    meta.fail_reads = true;
    ck_assert_ptr_null(lev_auth_new(&meta, NULL, err, sizeof(err)));
    ck_assert_str_eq(err, "cannot read the users: " FAKE_ERROR);
    fake_clear(&meta);
}
END_TEST

/* ---- SASL ---- */

static const struct {
    const char *mechanism;
    struct {
        const char *ptr;
        size_t len;
    } response;
    enum lev_sasl result;
    const char *user;
} responses[] = {
#define RESPONSE(s)                                                                                \
    {                                                                                              \
        s, sizeof(s) - 1                                                                           \
    }
    {"PLAIN", RESPONSE("\0u\0test12"), LEV_SASL_OK, "u"},
    {"PLAIN", RESPONSE("\0u\0wrong"), LEV_SASL_REFUSED, "u"},
    {"PLAIN", RESPONSE("\0u\0"), LEV_SASL_REFUSED, "u"},
    {"PLAIN", RESPONSE("\0nopass\0"), LEV_SASL_REFUSED, "nopass"},
    {"PLAIN", RESPONSE("\0\0"), LEV_SASL_REFUSED, ""},
    {"PLAIN", RESPONSE("u\0u\0test12"), LEV_SASL_MALFORMED, NULL},
    {"PLAIN", RESPONSE("\0u\0test12\0"), LEV_SASL_MALFORMED, NULL},
    {"PLAIN", RESPONSE("\0u\0te\0st"), LEV_SASL_MALFORMED, NULL},
    {"PLAIN", RESPONSE("\0utest12"), LEV_SASL_MALFORMED, NULL},
    {"PLAIN", RESPONSE("\0"), LEV_SASL_MALFORMED, NULL},
    {"PLAIN", RESPONSE(""), LEV_SASL_MALFORMED, NULL},
    {"plain", RESPONSE("\0u\0test12"), LEV_SASL_UNKNOWN, NULL},
    {"EXTERNAL", RESPONSE(""), LEV_SASL_UNKNOWN, NULL},
    {"", RESPONSE("\0u\0test12"), LEV_SASL_UNKNOWN, NULL},
    {"AMQPLAIN", RESPONSE("\5LOGINS\0\0\0\1u\10PASSWORDS\0\0\0\6test12"), LEV_SASL_OK, "u"},
    {"AMQPLAIN", RESPONSE("\10PASSWORDx\0\0\0\6test12\1aV\5LOGINx\0\0\0\1u"), LEV_SASL_OK, "u"},
    {"AMQPLAIN", RESPONSE("\5LOGINS\0\0\0\1u\10PASSWORDS\0\0\0\5test1"), LEV_SASL_REFUSED, "u"},
    {"AMQPLAIN", RESPONSE("\5LOGINI\0\0\0\1\10PASSWORDS\0\0\0\6test12"), LEV_SASL_MALFORMED, NULL},
    {"AMQPLAIN", RESPONSE("\5LOGINS\0\0\0\1u\10PASSWORDt\1"), LEV_SASL_MALFORMED, NULL},
    {"AMQPLAIN", RESPONSE("\5LOGINS\0\0\0\1u"), LEV_SASL_MALFORMED, NULL},
    {"AMQPLAIN", RESPONSE("\5LOGINS\0\0\0\1u\10PASSWORDS\0\0\0\7test12"), LEV_SASL_MALFORMED, NULL},
    {"AMQPLAIN", RESPONSE(""), LEV_SASL_MALFORMED, NULL},
#undef RESPONSE
};

START_TEST(test_sasl)
{
    struct lev_bytes user = LEV_EMPTY;
    /* An exact copy on the heap: reading past the end is seen by a sanitizer. */
    struct lev_bytes r = {NULL, responses[_i].response.len};
    uint8_t *copy = malloc(r.len ? r.len : 1);
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, responses[_i].response.ptr, r.len);
    r.ptr = copy;
    enum lev_sasl result = lev_sasl_check(auth, B(responses[_i].mechanism), r, &user);
    ck_assert_int_eq(result, responses[_i].result);
    if (responses[_i].user)
        ck_assert(lev_bytes_eq(user, B(responses[_i].user)));
    free(copy);
}
END_TEST

#define COUNT(a) (sizeof(a) / sizeof(*(a)))

static Suite *auth_suite(void)
{
    Suite *s = suite_create("auth");
    TCase *t = tcase_create("password");
    tcase_add_loop_test(t, test_verify, 0, COUNT(hashes));
    tcase_add_test(t, test_hash);
    tcase_add_test(t, test_hash_too_long);
    suite_add_tcase(s, t);
    t = tcase_create("directory");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_passwords);
    tcase_add_test(t, test_vhosts);
    tcase_add_loop_test(t, test_permit, 0, COUNT(permits));
    tcase_add_test(t, test_permit_no_pointer);
    tcase_add_loop_test(t, test_topics, 0, COUNT(topics));
    tcase_add_test(t, test_tags);
    tcase_add_test(t, test_loopback);
    tcase_add_test(t, test_reload);
    tcase_add_test(t, test_asked_while_reloading);
    tcase_add_loop_test(t, test_sasl, 0, COUNT(responses));
    suite_add_tcase(s, t);
    t = tcase_create("default user");
    tcase_add_test(t, test_default_user);
    tcase_add_test(t, test_chosen_default_user);
    tcase_add_test(t, test_no_default_user);
    tcase_add_test(t, test_failing_meta);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    lev_log_set_level(LEV_LOG_NONE);
    SRunner *r = srunner_create(auth_suite());
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
