/* The SQLite store and files that are not as it left them: damaged, of another version, with rows
 * that cannot be; and operations that cannot be. An error is told, and nothing worse happens. */
#include <check.h>
#include <stdio.h>

#include "base/err.h"
#include "base/log.h"
#include "bed.h"

START_TEST(test_corrupt_rows)
{
    lev_log_set_level(LEV_LOG_NONE);
    static const char *const damage[] = {
        "UPDATE message SET flags='x' WHERE id & 255 = 5",
        "UPDATE message SET flags=99999 WHERE id & 255 = 5",
        "UPDATE message SET body=NULL WHERE id & 255 = 5",
        "UPDATE message SET body=3 WHERE id & 255 = 5",
        "UPDATE message SET body_id=3 WHERE id & 255 = 5",
        "UPDATE message SET body_id='x' WHERE id & 255 = 5",
        "UPDATE message SET expires=1.5 WHERE id & 255 = 5",
        "UPDATE message SET expiration='' WHERE id & 255 = 5",
        "UPDATE message SET exchange=printf('%300s','') WHERE id & 255 = 5",
        "UPDATE message SET routing_key=printf('%256s','') WHERE id & 255 = 5",
        "UPDATE message SET props=1 WHERE id & 255 = 5",
        "UPDATE message SET props=x'20000000ffff' WHERE id & 255 = 5",
        "UPDATE message SET props=x'00' WHERE id & 255 = 5",
        "INSERT INTO failures VALUES((1<<40) + 5, 65536)",
        "INSERT INTO failures VALUES((1<<40) + 5, -1)",
    };
    feed_queue(&f, 1, "q");
    for (uint32_t i = 0; i < 10; i++)
        feed_enqueue(&f, 1, i, 20, i);
    feed_commit(&f);
    ask_exec(damage[_i]);
    struct lev_read *r = feed_read(&f, 1, 0, 10, 100, SIZE_MAX);
    ck_assert_int_eq(r->rc, LEV_ECORRUPT);
    ck_assert_uint_eq(r->n_items, 5);
    ck_assert_uint_eq(r->reached, 5);
    lev_read_free(&r);
    r = feed_read(&f, 1, 6, 10, 100, SIZE_MAX); /* life goes on */
    ck_assert_int_eq(r->rc, 0);
    ck_assert_uint_eq(r->n_items, 4);
    lev_read_free(&r);
}
END_TEST

static void no_exchange(void *ctx, const struct lev_exchange_def *d)
{
    (void)ctx;
    (void)d;
}

static void no_queue(void *ctx, const struct lev_queue_def *d, const struct lev_queue_state *s)
{
    (void)ctx;
    (void)d;
    (void)s;
}

static void no_binding(void *ctx, const struct lev_binding_def *d)
{
    (void)ctx;
    (void)d;
}

static void no_used_id(void *ctx, uint32_t queue_id)
{
    (void)ctx;
    (void)queue_id;
}

/* Overwrites some octets of the file, not the first page's header. */
static void damage_file(uint32_t seed)
{
    char path[4200];
    snprintf(path, sizeof(path), "%s/vhost.db", dir);
    FILE *db = fopen(path, "r+b");
    ck_assert_ptr_nonnull(db);
    ck_assert_int_eq(fseek(db, 0, SEEK_END), 0);
    long size = ftell(db);
    for (int i = 0; i < 30; i++) {
        seed = seed * 1664525 + 1013904223;
        /* every other one near a page's start, where its structure is */
        long at = (long)(seed % (uint32_t)size);
        at = i % 2 ? at : at / 16384 * 16384 + at % 64;
        ck_assert_int_eq(fseek(db, at < 100 ? 100 + at : at, SEEK_SET), 0);
        fputc((int)(seed >> 24), db);
    }
    ck_assert_int_eq(fclose(db), 0);
}

START_TEST(test_damaged_file)
{
    char err[LEV_STORE_ERR_MAX];
    struct seen seen = {0};
    options.stop_patience_ms = 1;
    for (uint32_t q = 1; q <= 3; q++) {
        feed_queue(&f, q, "q");
        for (uint32_t i = 0; i < 300; i++)
            feed_enqueue(&f, q, i, i % 50 ? 200 : 20000, i);
        for (uint32_t i = 0; i < 300; i += 7)
            feed_settle(&f, q, i, 200);
    }
    feed_commit(&f);
    lev_store_stop(&store);
    damage_file((uint32_t)_i);
    if (lev_store_open(dir, &options, &store, err) != 0) {
        ck_assert_ptr_null(store);
        ck_assert_uint_gt(strlen(err), 0);
        return;
    }
    const struct lev_recovery deaf = {
        .exchange = no_exchange, .queue = no_queue, .binding = no_binding, .used_id = no_used_id};
    (void)!lev_store_recover(store, &deaf, &seen);
    f.store = store;
    ck_assert_int_eq(lev_store_start(store, &feed_client, &f), 0);
    for (uint32_t q = 1; q <= 3; q++) {
        struct lev_read *r = feed_read(&f, q, 0, 300, 1000, SIZE_MAX);
        ck_assert(r->rc == 0 || r->rc == LEV_ECORRUPT || r->rc == LEV_EIO);
        ck_assert_uint_le(r->reached, 300);
        ck_assert(r->rc != 0 || r->reached == 300);
        lev_read_free(&r);
        feed_settle_range(&f, q, 0, 300, 250, 1);
        feed_enqueue(&f, q, 300, 100, 1);
    }
    feed_send(&f);
    lev_store_stop(&store); /* it may be impossible to write that */
}
END_TEST

START_TEST(test_versions)
{
    char err[LEV_STORE_ERR_MAX];
    struct lev_store *other;
    lev_store_stop(&store);
    ask_exec("PRAGMA user_version=2");
    ck_assert_int_eq(lev_store_open(dir, NULL, &other, err), LEV_EVERSION);
    ck_assert_ptr_null(other);
    ck_assert_ptr_nonnull(strstr(err, "newer"));
    ask_exec("PRAGMA user_version=1");
    ask_exec("PRAGMA application_id=1");
    ck_assert_int_eq(lev_store_open(dir, NULL, &other, err), LEV_EVERSION);
    ck_assert_int_ne(lev_store_open("/nonexistent/dir", NULL, &other, err), 0);
    ck_assert_ptr_nonnull(strstr(err, "/nonexistent/dir"));
}
END_TEST

START_TEST(test_impossible_state)
{
    static const char *const damage[] = {
        "UPDATE queue SET head=-1",
        "UPDATE queue SET queue_id=9000000",
        "INSERT INTO dead VALUES((1<<40) + 5, 4)",
        "INSERT INTO dead VALUES((7<<40) + 5, 9)",
        "INSERT INTO garbage VALUES(1,0,1)",
        "INSERT INTO failures VALUES((7<<40) + 5, 1)",
        "INSERT INTO failures VALUES(-1, 1)",
        "UPDATE queue SET level=-1",
        "UPDATE queue SET level=257",
        "UPDATE queue SET level=1",
    };
    char err[LEV_STORE_ERR_MAX];
    struct lev_store *other;
    feed_queue(&f, 1, "q");
    feed_commit(&f);
    lev_store_stop(&store);
    ask_exec(damage[_i]);
    ck_assert_int_eq(lev_store_open(dir, NULL, &other, err), LEV_ECORRUPT);
    ck_assert_ptr_null(other);
}
END_TEST

START_TEST(test_impossible_operations)
{
    struct seen seen = {0};
    lev_log_set_level(LEV_LOG_NONE);
    feed_queue(&f, 1, "q");
    feed_queue(&f, 0, "no id");
    feed_queue(&f, LEV_QUEUE_ID_MAX + 1, "too high");
    feed_level(&f, 2, "q", LEV_QUEUE_LEVEL_MAX + 1);
    feed_enqueue(&f, 1, LEV_POSITION_MAX, 10, 1);
    feed_enqueue(&f, 1, LEV_POSITION_MAX + 1, 10, 1);
    feed_enqueue(&f, LEV_QUEUE_ID_MAX + 1, 0, 10, 1);
    feed_spill(&f, 0, 3, 10, 1);
    feed_count(&f, 1, LEV_POSITION_MAX, 2);
    feed_count(&f, 1, UINT64_MAX, 1);
    feed_count(&f, LEV_QUEUE_ID_MAX + 1, 0, 1);
    feed_settle(&f, 1, LEV_POSITION_MAX + 1, 10);
    feed_settle_range(&f, 1, 3, UINT64_MAX - 1, 0, 0);
    feed_commit(&f);
    crash(&seen);
    ck_assert_uint_eq(seen.n_queues, 1);
    ck_assert_uint_eq(seen.queues[0].state.next_pos, LEV_POSITION_MAX + 1);
    ck_assert_int_eq(ask("SELECT count(*) FROM message"), 1);
    ck_assert_int_eq(ask("SELECT count(*) FROM failures"), 1);
}
END_TEST

/* Databases of the time before there was a first release have the same version. */
START_TEST(test_other_tables)
{
    static const char *const changes[][4] = {
        {"DROP VIEW queues", "DROP VIEW queue_messages", "ALTER TABLE queue DROP COLUMN level",
         "level"},
        {"DROP VIEW queues", "DROP VIEW queue_messages", "DROP TABLE failures", "failures"},
        {"SELECT 1", "SELECT 1", "ALTER TABLE message ADD COLUMN x", "columns"},
    };
    char err[LEV_STORE_ERR_MAX];
    struct lev_store *other;
    feed_queue(&f, 1, "q");
    feed_commit(&f);
    lev_store_stop(&store);
    for (int i = 0; i < 3; i++)
        ask_exec(changes[_i][i]);
    ck_assert_int_eq(lev_store_open(dir, NULL, &other, err), LEV_EVERSION);
    ck_assert_ptr_null(other);
    ck_assert_ptr_nonnull(strstr(err, "has other tables"));
    ck_assert_ptr_nonnull(strstr(err, changes[_i][3]));
    ck_assert_int_eq(ask("SELECT count(*) FROM queue"), 1); /* nothing was touched */
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("store_damage");
    TCase *t = tcase_create("core");
    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, bed_setup, bed_teardown);
    tcase_add_loop_test(t, test_corrupt_rows, 0, 15);
    tcase_add_loop_test(t, test_damaged_file, 0, 60);
    tcase_add_test(t, test_versions);
    tcase_add_test(t, test_impossible_operations);
    tcase_add_loop_test(t, test_other_tables, 0, 3);
    tcase_add_loop_test(t, test_impossible_state, 0, 10);
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
