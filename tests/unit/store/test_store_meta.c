/* meta.db and the data directory's lock. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "feed.h"
#include "store/datadir.h"
#include "store/meta.h"

static char *dir;
static struct lev_meta *meta;
static char seen[4096];

static void open_meta(void)
{
    char err[LEV_META_ERR_MAX];
    ck_assert_msg(lev_meta_open(dir, &meta, err) == 0, "%s", err);
}

static void setup(void)
{
    dir = feed_tmpdir();
    open_meta();
}

static void teardown(void)
{
    lev_meta_close(&meta);
    feed_rmdir(dir);
}

static void note(const char *text)
{
    strncat(seen, text, sizeof(seen) - strlen(seen) - 1);
}

static void on_user(void *ctx, const struct lev_meta_user *u)
{
    char line[256];
    (void)ctx;
    snprintf(line, sizeof(line), "%.*s:%.*s:%.*s:%.*s;", LEV_FMT(u->name),
             LEV_FMT(u->password_hash), LEV_FMT(u->hashing_algorithm), LEV_FMT(u->tags));
    note(line);
}

static void on_vhost(void *ctx, const struct lev_meta_vhost *v)
{
    char line[256];
    (void)ctx;
    snprintf(line, sizeof(line), "%u:%.*s:%.*s:%.*s;", v->id, LEV_FMT(v->name),
             LEV_FMT(v->description), LEV_FMT(v->tags));
    note(line);
}

static void on_permission(void *ctx, const struct lev_meta_permission *p)
{
    char line[256];
    (void)ctx;
    snprintf(line, sizeof(line), "%.*s@%.*s:%.*s:%.*s:%.*s;", LEV_FMT(p->user), LEV_FMT(p->vhost),
             LEV_FMT(p->configure), LEV_FMT(p->write), LEV_FMT(p->read));
    note(line);
}

static void on_topic(void *ctx, const struct lev_meta_topic_permission *p)
{
    char line[256];
    (void)ctx;
    snprintf(line, sizeof(line), "%.*s@%.*s/%.*s:%.*s:%.*s;", LEV_FMT(p->user), LEV_FMT(p->vhost),
             LEV_FMT(p->exchange), LEV_FMT(p->write), LEV_FMT(p->read));
    note(line);
}

static void on_policy(void *ctx, const struct lev_meta_policy *p)
{
    char line[256];
    (void)ctx;
    snprintf(line, sizeof(line), "%.*s/%s%.*s:%.*s:%.*s:%.*s:%lld;", LEV_FMT(p->vhost),
             p->of_operator ? "op " : "", LEV_FMT(p->name), LEV_FMT(p->pattern),
             LEV_FMT(p->apply_to), LEV_FMT(p->definition), (long long)p->priority);
    note(line);
}

static void on_parameter(void *ctx, const struct lev_meta_parameter *p)
{
    char line[256];
    (void)ctx;
    snprintf(line, sizeof(line), "%.*s/%.*s/%.*s=%.*s;", LEV_FMT(p->vhost), LEV_FMT(p->component),
             LEV_FMT(p->name), LEV_FMT(p->value));
    note(line);
}

/* Topic permissions, policies, parameters. */
static const char *rules(void)
{
    seen[0] = '\0';
    ck_assert_int_eq(lev_meta_each_topic_permission(meta, on_topic, NULL), 0);
    ck_assert_int_eq(lev_meta_each_policy(meta, on_policy, NULL), 0);
    ck_assert_int_eq(lev_meta_each_parameter(meta, on_parameter, NULL), 0);
    return seen;
}

static const char *all(void)
{
    seen[0] = '\0';
    ck_assert_int_eq(lev_meta_each_user(meta, on_user, NULL), 0);
    ck_assert_int_eq(lev_meta_each_vhost(meta, on_vhost, NULL), 0);
    ck_assert_int_eq(lev_meta_each_permission(meta, on_permission, NULL), 0);
    return seen;
}

static void reopen(void)
{
    lev_meta_close(&meta);
    open_meta();
}

START_TEST(test_fresh)
{
    ck_assert_str_eq(all(), "1:/:Default virtual host:;");
    reopen();
    ck_assert_str_eq(all(), "1:/:Default virtual host:;");
}
END_TEST

START_TEST(test_users)
{
    struct lev_meta_user u = {LEV_LIT("bob"), LEV_LIT("hash"), LEV_LIT("sha"), LEV_LIT("a,b")};
    struct lev_meta_permission p = {LEV_LIT("bob"), LEV_LIT("/"), LEV_LIT(".*"), LEV_LIT("^w"),
                                    LEV_LIT("")};
    ck_assert_int_eq(lev_meta_put_user(meta, &u), 0);
    u.name = LEV_LIT("al");
    ck_assert_int_eq(lev_meta_put_user(meta, &u), 0);
    ck_assert_int_eq(lev_meta_put_permission(meta, &p), 0);
    u.tags = LEV_EMPTY;
    ck_assert_int_eq(lev_meta_put_user(meta, &u), 0);
    reopen();
    ck_assert_str_eq(all(),
                     "al:hash:sha:;bob:hash:sha:a,b;1:/:Default virtual host:;bob@/:.*:^w:;");
    p.read = LEV_LIT("r");
    ck_assert_int_eq(lev_meta_put_permission(meta, &p), 0);
    ck_assert_int_eq(lev_meta_delete_user(meta, LEV_LIT("al")), 0);
    ck_assert_str_eq(all(), "bob:hash:sha:a,b;1:/:Default virtual host:;bob@/:.*:^w:r;");
    ck_assert_int_eq(lev_meta_delete_user(meta, LEV_LIT("al")), LEV_ENOTFOUND);
    ck_assert_str_eq(lev_meta_error(meta), "user 'al' not found");
    ck_assert_int_eq(lev_meta_delete_user(meta, LEV_LIT("bob")), 0); /* and what it may do */
    ck_assert_str_eq(all(), "1:/:Default virtual host:;");
}
END_TEST

START_TEST(test_vhosts)
{
    struct lev_meta_vhost v = {
        .name = LEV_LIT("two"), .description = LEV_LIT("second"), .tags = LEV_LIT("t")};
    struct lev_meta_permission p = {LEV_LIT("bob"), LEV_LIT("two"), LEV_EMPTY, LEV_EMPTY,
                                    LEV_EMPTY};
    uint32_t id, again;
    ck_assert_int_eq(lev_meta_put_vhost(meta, &v, &id), 0);
    ck_assert_uint_eq(id, 2);
    v.description = LEV_LIT("new");
    ck_assert_int_eq(lev_meta_put_vhost(meta, &v, &again), 0);
    ck_assert_uint_eq(again, 2);
    ck_assert_int_eq(lev_meta_put_permission(meta, &p), 0);
    reopen();
    ck_assert_str_eq(all(), "1:/:Default virtual host:;2:two:new:t;bob@two:::;");
    ck_assert_int_eq(lev_meta_delete_vhost(meta, LEV_LIT("two")), 0);
    ck_assert_str_eq(all(), "1:/:Default virtual host:;");
    ck_assert_int_eq(lev_meta_delete_vhost(meta, LEV_LIT("two")), LEV_ENOTFOUND);
    ck_assert_int_eq(lev_meta_put_vhost(meta, &v, &again), 0);
    ck_assert_uint_gt(again, 2); /* not 2: its directory may be there still */
    ck_assert_int_eq(lev_meta_delete_permission(meta, LEV_LIT("x"), LEV_LIT("y")), LEV_ENOTFOUND);
    ck_assert_int_eq(lev_meta_put_permission(meta, &p), 0);
    ck_assert_int_eq(lev_meta_delete_permission(meta, LEV_LIT("bob"), LEV_LIT("two")), 0);
}
END_TEST

static void put_policy(const char *vhost, const char *name, bool of_operator, int64_t priority)
{
    struct lev_meta_policy p = {.vhost = lev_bytes_str(vhost),
                                .name = lev_bytes_str(name),
                                .pattern = LEV_LIT(".*"),
                                .apply_to = LEV_LIT("all"),
                                .definition = LEV_LIT("{}"),
                                .priority = priority,
                                .of_operator = of_operator};
    ck_assert_int_eq(lev_meta_put_policy(meta, &p), 0);
}

START_TEST(test_policies)
{
    put_policy("/", "p", false, -3);
    put_policy("/", "p", true, 1);
    put_policy("/", "a", false, INT64_MAX);
    put_policy("/", "p", false, 7);
    put_policy("v", "p", false, INT64_MIN);
    reopen();
    ck_assert_str_eq(rules(), "//a:.*:all:{}:9223372036854775807;//p:.*:all:{}:7;"
                              "//op p:.*:all:{}:1;v/p:.*:all:{}:-9223372036854775808;");
    ck_assert_int_eq(lev_meta_delete_policy(meta, LEV_LIT("/"), false, LEV_LIT("p")), 0);
    ck_assert_int_eq(lev_meta_delete_policy(meta, LEV_LIT("/"), false, LEV_LIT("p")),
                     LEV_ENOTFOUND);
    ck_assert_str_eq(lev_meta_error(meta), "policy 'p' not found");
    ck_assert_int_eq(lev_meta_delete_policy(meta, LEV_LIT("/"), false, LEV_LIT("a")), 0);
    ck_assert_int_eq(lev_meta_delete_policy(meta, LEV_LIT("v"), false, LEV_LIT("p")), 0);
    ck_assert_str_eq(rules(), "//op p:.*:all:{}:1;");
}
END_TEST

START_TEST(test_parameters)
{
    struct lev_meta_parameter global = {.name = LEV_LIT("cluster_name"), .value = LEV_LIT("\"x\"")};
    struct lev_meta_parameter limits = {LEV_LIT("/"), LEV_LIT("vhost-limits"), LEV_LIT("limits"),
                                        LEV_LIT("{}")};
    ck_assert_int_eq(lev_meta_put_parameter(meta, &limits), 0);
    ck_assert_int_eq(lev_meta_put_parameter(meta, &global), 0);
    limits.value = LEV_LIT("{\"max-queues\":1}");
    ck_assert_int_eq(lev_meta_put_parameter(meta, &limits), 0);
    reopen();
    ck_assert_str_eq(rules(), "//cluster_name=\"x\";//vhost-limits/limits={\"max-queues\":1};");
    ck_assert_int_eq(
        lev_meta_delete_parameter(meta, LEV_LIT("/"), LEV_LIT("vhost-limits"), LEV_LIT("limits")),
        0);
    ck_assert_int_eq(
        lev_meta_delete_parameter(meta, LEV_LIT("/"), LEV_LIT("vhost-limits"), LEV_LIT("limits")),
        LEV_ENOTFOUND);
    ck_assert_str_eq(rules(), "//cluster_name=\"x\";");
}
END_TEST

START_TEST(test_topic_permissions)
{
    struct lev_meta_topic_permission p = {LEV_LIT("bob"), LEV_LIT("/"), LEV_LIT("amq.topic"),
                                          LEV_LIT("w"), LEV_LIT("r")};
    ck_assert_int_eq(lev_meta_put_topic_permission(meta, &p), 0);
    p.write = LEV_LIT("ww");
    ck_assert_int_eq(lev_meta_put_topic_permission(meta, &p), 0);
    reopen();
    ck_assert_str_eq(rules(), "bob@//amq.topic:ww:r;");
    ck_assert_int_eq(lev_meta_delete_topic_permission(meta, p.user, p.vhost, LEV_LIT("amq.topic")),
                     0);
    ck_assert_int_eq(lev_meta_delete_topic_permission(meta, p.user, p.vhost, LEV_LIT("amq.topic")),
                     LEV_ENOTFOUND);
    ck_assert_str_eq(rules(), "");
}
END_TEST

/* What belongs to a vhost or a user goes with it. */
START_TEST(test_goes_along)
{
    struct lev_meta_user u = {.name = LEV_LIT("bob")};
    struct lev_meta_vhost v = {.name = LEV_LIT("v"), .default_queue_type = LEV_LIT("quorum")};
    struct lev_meta_topic_permission p = {
        .user = u.name, .vhost = v.name, .exchange = LEV_LIT("x")};
    struct lev_meta_parameter limits = {.vhost = v.name, .component = LEV_LIT("c")};
    uint32_t id;
    ck_assert_int_eq(lev_meta_put_user(meta, &u), 0);
    ck_assert_int_eq(lev_meta_put_vhost(meta, &v, &id), 0);
    ck_assert_int_eq(lev_meta_put_topic_permission(meta, &p), 0);
    p.vhost = LEV_LIT("/");
    ck_assert_int_eq(lev_meta_put_topic_permission(meta, &p), 0);
    ck_assert_int_eq(lev_meta_put_parameter(meta, &limits), 0);
    put_policy("v", "p", false, 0);
    put_policy("v", "p", true, 0);
    ck_assert_int_eq(lev_meta_delete_vhost(meta, v.name), 0);
    ck_assert_str_eq(rules(), "bob@//x::;");
    ck_assert_int_eq(lev_meta_delete_user(meta, u.name), 0);
    ck_assert_str_eq(rules(), "");
}
END_TEST

START_TEST(test_as_one)
{
    ck_assert_int_eq(lev_meta_begin(meta), 0);
    put_policy("/", "p", false, 0);
    lev_meta_rollback(meta);
    lev_meta_rollback(meta); /* of nothing */
    ck_assert_str_eq(rules(), "");
    ck_assert_int_eq(lev_meta_begin(meta), 0);
    put_policy("/", "p", false, 0);
    put_policy("/", "q", false, 0);
    ck_assert_int_eq(lev_meta_commit(meta), 0);
    reopen();
    ck_assert_str_eq(rules(), "//p:.*:all:{}:0;//q:.*:all:{}:0;");
}
END_TEST

/* A database of version 1, as the release before had it. */
START_TEST(test_upgrade)
{
    static const char to_version_1[] =
        "DROP TABLE topic_permission; DROP TABLE policy; DROP TABLE parameter;"
        "ALTER TABLE vhost DROP COLUMN default_queue_type; PRAGMA user_version=1";
    char path[4200];
    sqlite3 *db;
    struct lev_meta_user u = {LEV_LIT("bob"), LEV_LIT("hash"), LEV_LIT("sha"), LEV_EMPTY};
    ck_assert_int_eq(lev_meta_put_user(meta, &u), 0);
    lev_meta_close(&meta);
    snprintf(path, sizeof(path), "%s/meta.db", dir);
    ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(db, to_version_1, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    open_meta();
    ck_assert_str_eq(all(), "bob:hash:sha:;1:/:Default virtual host:;");
    put_policy("/", "p", false, 0);
    reopen();
    ck_assert_str_eq(rules(), "//p:.*:all:{}:0;");
}
END_TEST

START_TEST(test_other_version)
{
    char path[4200], err[LEV_META_ERR_MAX];
    sqlite3 *db;
    lev_meta_close(&meta);
    snprintf(path, sizeof(path), "%s/meta.db", dir);
    ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(db, "PRAGMA user_version=99", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    ck_assert_int_eq(lev_meta_open(dir, &meta, err), LEV_EVERSION);
    ck_assert_ptr_null(meta);
    ck_assert_ptr_nonnull(strstr(err, "version 99"));
}
END_TEST

START_TEST(test_not_a_database)
{
    char path[4200], err[LEV_META_ERR_MAX];
    lev_meta_close(&meta);
    snprintf(path, sizeof(path), "%s/meta.db", dir);
    FILE *f = fopen(path, "wb");
    ck_assert_ptr_nonnull(f);
    for (int i = 0; i < 1000; i++)
        fputs("this is not a database ", f);
    fclose(f);
    ck_assert_int_eq(lev_meta_open(dir, &meta, err), LEV_ECORRUPT);
    ck_assert_ptr_null(meta);
}
END_TEST

START_TEST(test_lock)
{
    char path[4200], err[LEV_DATADIR_ERR_MAX], pid[32];
    int fd, other;
    struct stat st;
    snprintf(path, sizeof(path), "%s/a/b", dir);
    ck_assert_msg(lev_datadir_lock(path, &fd, err) == 0, "%s", err);
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert(S_ISDIR(st.st_mode));
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) { /* another process is refused, and told who has it */
        snprintf(pid, sizeof(pid), "(%ld)", (long)getppid());
        int rc = lev_datadir_lock(path, &other, err);
        _exit(rc == LEV_EBUSY && other == -1 && strstr(err, pid) && strstr(err, path) ? 0 : 1);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    ck_assert_int_eq(lev_datadir_lock(path, &other, err), LEV_EBUSY); /* nor the same one twice */
    lev_datadir_unlock(&fd);
    ck_assert_int_eq(fd, -1);
    lev_datadir_unlock(&fd);
    ck_assert_int_eq(lev_datadir_lock(path, &fd, err), 0);
    lev_datadir_unlock(&fd);
}
END_TEST

START_TEST(test_bad_dir)
{
    char path[4200], err[LEV_DATADIR_ERR_MAX];
    int fd;
    snprintf(path, sizeof(path), "%s/meta.db/x", dir);
    ck_assert_int_eq(lev_datadir_lock(path, &fd, err), LEV_EIO);
    ck_assert_ptr_nonnull(strstr(err, "meta.db"));
    ck_assert_int_eq(fd, -1);
    ck_assert_int_eq(lev_datadir_make("", err), LEV_EIO);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("store_meta");
    TCase *t = tcase_create("core");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_fresh);
    tcase_add_test(t, test_users);
    tcase_add_test(t, test_vhosts);
    tcase_add_test(t, test_policies);
    tcase_add_test(t, test_parameters);
    tcase_add_test(t, test_topic_permissions);
    tcase_add_test(t, test_goes_along);
    tcase_add_test(t, test_as_one);
    tcase_add_test(t, test_upgrade);
    tcase_add_test(t, test_other_version);
    tcase_add_test(t, test_not_a_database);
    tcase_add_test(t, test_lock);
    tcase_add_test(t, test_bad_dir);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    SRunner *r = srunner_create(suite());
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
