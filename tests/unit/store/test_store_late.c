/* Delayed messages and seen ids, in both stores: what goes in comes back in order, and after a
 * crash. Each test runs over the store in memory and over SQLite. */
#include <check.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "broker/keys.h"
#include "feed.h"
#include "store/store_mem.h"
#include "store/store_sqlite.h"

enum { IN_MEMORY, SQLITE, STORES };

static int kind;
static char *dir;
static struct feed f;
static struct lev_store *store;

/* What a recovery said: "x count last_seq;" and "owner id place expires;". */
static char said[4096];

static void say(const char *text)
{
    ck_assert_uint_lt(strlen(said) + strlen(text), sizeof(said));
    strcat(said, text);
}

static void on_delayed(void *ctx, const struct lev_delay_state *s)
{
    char line[300];
    (void)ctx;
    snprintf(line, sizeof(line), "%.*s %llu %llu;", LEV_FMT(s->exchange),
             (unsigned long long)s->count, (unsigned long long)s->last_seq);
    say(line);
}

static void on_dedup(void *ctx, const struct lev_dedup_def *d)
{
    char line[300];
    (void)ctx;
    snprintf(line, sizeof(line), "%u%.*s %.*s %llu %llu;", d->queue_id, LEV_FMT(d->exchange),
             LEV_FMT(d->id), (unsigned long long)d->place, (unsigned long long)d->expires_at_ms);
    say(line);
}

static void open_store(void)
{
    char err[LEV_STORE_ERR_MAX] = "";
    struct seen seen = {0};
    struct lev_recovery r = seen_recovery;
    r.delayed = on_delayed;
    r.dedup = on_dedup;
    said[0] = '\0';
    if (kind == SQLITE) {
        ck_assert_msg(lev_store_open(dir, NULL, &store, err) == 0, "%s", err);
        ck_assert_int_eq(lev_store_recover(store, &r, &seen), 0);
        ck_assert_int_eq(lev_store_start(store, &feed_client, &f), 0);
    } else {
        if (!store)
            store = lev_store_mem_new();
        lev_store_mem_recover(store, &r, &seen);
        lev_store_mem_start(store, &feed_client, &f);
        f.pump = lev_store_mem_run;
    }
    f.store = store;
}

static void start(int which)
{
    lev_log_set_level(LEV_LOG_NONE);
    kind = which;
    store = NULL;
    dir = feed_tmpdir();
    feed_init(&f);
    open_store();
}

static void stop(void)
{
    if (kind == SQLITE)
        lev_store_stop(&store);
    else
        lev_store_mem_free(&store);
    feed_deinit(&f);
    feed_rmdir(dir);
    ck_assert_int_eq(lev_msg_live(), 0);
}

/* The process dies now; a new one starts with what was committed. */
static void crash(void)
{
    if (kind == SQLITE) {
        char *copy = feed_copy_dir(dir);
        lev_store_stop(&store);
        feed_rmdir(dir);
        dir = copy;
    } else {
        lev_store_mem_crash(store);
    }
    open_store();
}

/* ---- Delayed messages ---- */

static struct lev_delayed *delayed(uint64_t due, uint64_t seq, const char *exchange)
{
    struct lev_msg *m = feed_msg((uint32_t)(seq % 5) * 10, (uint32_t)seq);
    struct lev_bytes two[] = {LEV_LIT("k1"), LEV_LIT("")};
    struct lev_bytes keys = seq % 2 ? lev_keys_pack(two, 2) : LEV_EMPTY;
    struct lev_delayed *d = lev_delayed_new(due, seq, m, lev_bytes_str(exchange), keys);
    lev_bytes_free(&keys);
    lev_msg_unref(&m);
    return d;
}

static void add(uint64_t due, uint64_t seq, const char *exchange)
{
    feed_op(&f, LEV_OP_DELAY_ADD, 0, 0)->u.delayed = delayed(due, seq, exchange);
}

static void done(uint64_t due, uint64_t seq, const char *exchange)
{
    feed_op(&f, LEV_OP_DELAY_DONE, 0, 0)->u.delayed = delayed(due, seq, exchange);
}

static struct lev_read *read_from(uint64_t due, uint64_t seq, size_t max_items, size_t max_bytes)
{
    struct lev_read *r = lev_xcalloc(1, sizeof(*r));
    r->delayed = true;
    r->from_due = due;
    r->from = seq;
    r->max_items = max_items;
    r->max_bytes = max_bytes;
    return feed_wait_read(&f, r);
}

static void check_late(const struct lev_delayed *d)
{
    feed_check_msg(d->msg, (uint32_t)(d->seq % 5) * 10, (uint32_t)d->seq);
    struct lev_bytes keys[2];
    ck_assert(lev_keys_valid(d->keys));
    ck_assert_uint_eq(lev_keys_unpack(d->keys, NULL), d->seq % 2 ? 2 : 0);
    if (d->seq % 2) {
        lev_keys_unpack(d->keys, keys);
        ck_assert(lev_bytes_eq(keys[0], LEV_LIT("k1")) && keys[1].len == 0);
    }
}

/* Expects these, as "due/seq " each, and whether there is nothing behind them. */
static void expect_late(struct lev_read *r, const char *text, bool exhausted)
{
    char got[1024] = "";
    ck_assert_int_eq(r->rc, 0);
    for (size_t i = 0; i < r->n_late; i++) {
        check_late(r->late[i]);
        snprintf(got + strlen(got), sizeof(got) - strlen(got), "%llu/%llu ",
                 (unsigned long long)r->late[i]->due_ms, (unsigned long long)r->late[i]->seq);
    }
    ck_assert_str_eq(got, text);
    ck_assert_int_eq(r->exhausted, exhausted);
    lev_read_free(&r);
}

START_TEST(test_order)
{
    start(_i);
    add(300, 1, "x");
    add(100, 2, "x");
    add(200, 3, "y");
    add(100, 4, "x");
    feed_commit(&f);
    add(50, 5, "x");
    done(200, 3, "y");
    feed_commit(&f);
    expect_late(read_from(0, 0, 10, 10000), "50/5 100/2 100/4 300/1 ", true);
    expect_late(read_from(100, 3, 10, 10000), "100/4 300/1 ", true);
    expect_late(read_from(100, 5, 10, 10000), "300/1 ", true);
    expect_late(read_from(301, 0, 10, 10000), "", true);
    expect_late(read_from(0, 0, 2, 10000), "50/5 100/2 ", false);
    expect_late(read_from(0, 0, 10, 1), "50/5 ", false); /* one always fits */
    stop();
}
END_TEST

START_TEST(test_delayed_crash)
{
    start(_i);
    add(100, 1, "x");
    add(200, 2, "x");
    add(300, 7, "y");
    add(300, 8, "z");
    feed_commit(&f);
    done(100, 1, "x");
    done(300, 8, "z");
    done(300, 8, "z"); /* not there any more */
    feed_commit(&f);
    done(200, 2, "x"); /* never committed */
    crash();
    ck_assert_ptr_nonnull(strstr(said, "x 1 2;"));
    ck_assert_ptr_nonnull(strstr(said, "y 1 7;"));
    ck_assert_ptr_null(strstr(said, "z "));
    expect_late(read_from(0, 0, 10, 10000), "200/2 300/7 ", true);
    stop();
}
END_TEST

/* A message moves to its queue in one batch: after a crash it is in one of the two places. */
START_TEST(test_with_enqueue)
{
    start(_i);
    feed_queue(&f, 1, "q");
    add(100, 1, "x");
    feed_commit(&f);
    done(100, 1, "x");
    feed_enqueue(&f, 1, 0, 10, 1);
    feed_commit(&f);
    crash();
    ck_assert_str_eq(said, "");
    expect_late(read_from(0, 0, 10, 10000), "", true);
    struct lev_read *r = feed_read(&f, 1, 0, 10, 10, 1000);
    ck_assert_uint_eq(r->n_items, 1);
    lev_read_free(&r);
    stop();
}
END_TEST

/* Added and done before it was ever written. */
START_TEST(test_short_life)
{
    start(_i);
    add(100, 1, "x");
    done(100, 1, "x");
    add(100, 2, "y");
    feed_commit(&f);
    crash();
    ck_assert_str_eq(said, "y 1 2;");
    expect_late(read_from(0, 0, 10, 10000), "100/2 ", true);
    stop();
}
END_TEST

/* ---- Ids ---- */

static void id_op(enum lev_op_kind op, uint32_t queue_id, const char *exchange, const char *id,
                  uint64_t place, uint64_t expires)
{
    struct lev_dedup_def d = {.queue_id = queue_id,
                              .exchange = lev_bytes_str(exchange),
                              .place = place,
                              .expires_at_ms = expires,
                              .id = lev_bytes_str(id)};
    feed_op(&f, op, 0, 0)->u.def = lev_dedup_def_copy(&d);
}

static void id_add(uint32_t queue_id, const char *exchange, const char *id, uint64_t place)
{
    id_op(LEV_OP_DEDUP_ADD, queue_id, exchange, id, place, place * 1000);
}

START_TEST(test_ids)
{
    start(_i);
    id_add(0, "x", "b", 1);
    id_add(0, "x", "a", 2);
    id_add(0, "y", "a", 1);
    id_add(7, "", "a", 5);
    id_add(7, "", "c", 4);
    feed_commit(&f);
    id_add(0, "x", "b", 3); /* again: a new place */
    id_op(LEV_OP_DEDUP_DROP, 0, "y", "a", 0, 0);
    id_op(LEV_OP_DEDUP_DROP, 0, "y", "none", 0, 0);
    feed_commit(&f);
    id_add(0, "x", "never", 9);
    crash();
    ck_assert_ptr_nonnull(strstr(said, "0x a 2 2000;0x b 3 3000;"));
    ck_assert_ptr_nonnull(strstr(said, "7 c 4 4000;7 a 5 5000;"));
    ck_assert_ptr_null(strstr(said, "y"));
    ck_assert_ptr_null(strstr(said, "never"));
    stop();
}
END_TEST

/* Ids go with their owner. */
START_TEST(test_owner_gone)
{
    start(_i);
    feed_exchange(&f, LEV_OP_EXCHANGE_ADD, "x");
    feed_queue(&f, 7, "q");
    feed_queue(&f, 8, "r");
    id_add(0, "x", "a", 1);
    id_add(0, "xx", "a", 1);
    id_add(7, "", "a", 1);
    id_add(8, "", "a", 1);
    feed_commit(&f);
    feed_exchange(&f, LEV_OP_EXCHANGE_DELETE, "x");
    feed_op(&f, LEV_OP_QUEUE_DELETE, 7, 0);
    feed_op(&f, LEV_OP_DEDUP_CLEAR, 8, 0);
    feed_commit(&f);
    crash();
    ck_assert_str_eq(said, "0xx a 1 1000;");
    stop();
}
END_TEST

/* ---- Hostile files ---- */

static void run_sql(const char *sql)
{
    char path[4096];
    sqlite3 *db;
    snprintf(path, sizeof(path), "%s/vhost.db", dir);
    ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
    ck_assert_msg(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK, "%s", sqlite3_errmsg(db));
    sqlite3_close(db);
}

/* A row that cannot be does not stand in the way of the others. */
START_TEST(test_bad_rows)
{
    static const char *const bad[] = {
        "keys=x'05'", "flags='a'", "props=x'ff'",       "due='soon'",
        "seq=x'00'",  "due=-5",    "via=zeroblob(300)", "exchange=zeroblob(256)",
    };
    char sql[200];
    start(SQLITE);
    add(100, 1, "x");
    add(200, 2, "x");
    feed_commit(&f);
    snprintf(sql, sizeof(sql), "UPDATE delayed SET %s WHERE seq=1", bad[_i]);
    run_sql(sql);
    expect_late(read_from(0, 0, 10, 10000), "200/2 ", true);
    stop();
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("store_late");
    TCase *t = tcase_create("core");
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, test_order, 0, STORES);
    tcase_add_loop_test(t, test_delayed_crash, 0, STORES);
    tcase_add_loop_test(t, test_with_enqueue, 0, STORES);
    tcase_add_loop_test(t, test_short_life, 0, STORES);
    tcase_add_loop_test(t, test_ids, 0, STORES);
    tcase_add_loop_test(t, test_owner_gone, 0, STORES);
    tcase_add_loop_test(t, test_bad_rows, 0, 8);
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
