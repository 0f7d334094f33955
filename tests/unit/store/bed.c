/* A store on a directory of its own. See bed.h. */
#include "bed.h"

#include <check.h>
#include <sqlite3.h>
#include <stdio.h>

#include "base/log.h"

char *dir;
struct feed f;
struct lev_store *store;
struct lev_store_options options;

void open_store(const char *where, struct seen *seen)
{
    char err[LEV_STORE_ERR_MAX] = "";
    ck_assert_msg(lev_store_open(where, &options, &store, err) == 0, "%s", err);
    struct seen ignored = {0};
    ck_assert_int_eq(lev_store_recover(store, &seen_recovery, seen ? seen : &ignored), 0);
    f.store = store;
    ck_assert_int_eq(lev_store_start(store, &feed_client, &f), 0);
}

void bed_setup(void)
{
    lev_log_set_level(LEV_LOG_NONE);
    options = (struct lev_store_options){.retry_ms = 10, .stop_patience_ms = 200};
    dir = feed_tmpdir();
    feed_init(&f);
    open_store(dir, NULL);
}

void bed_teardown(void)
{
    lev_store_stop(&store);
    feed_deinit(&f);
    feed_rmdir(dir);
    ck_assert_int_eq(lev_msg_live(), 0);
}

void reopen(struct seen *seen)
{
    lev_store_stop(&store);
    open_store(dir, seen);
}

void crash(struct seen *seen)
{
    char *copy = feed_copy_dir(dir);
    lev_store_stop(&store);
    feed_rmdir(dir);
    dir = copy;
    open_store(dir, seen);
}

int64_t ask(const char *sql)
{
    char path[4200];
    sqlite3 *db;
    sqlite3_stmt *st;
    snprintf(path, sizeof(path), "%s/vhost.db", dir);
    ck_assert_int_eq(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    sqlite3_busy_timeout(db, 10000);
    ck_assert_msg(sqlite3_prepare_v2(db, sql, -1, &st, NULL) == SQLITE_OK, "%s: %s", sql,
                  sqlite3_errmsg(db));
    int64_t v = sqlite3_step(st) == SQLITE_ROW ? sqlite3_column_int64(st, 0) : -1;
    sqlite3_finalize(st);
    sqlite3_close(db);
    return v;
}

void ask_exec(const char *sql)
{
    (void)ask(sql);
}

void wait_for(const char *sql, int64_t v)
{
    for (int i = 0; i < 3000 && ask(sql) != v; i++)
        sqlite3_sleep(10);
    ck_assert_int_eq(ask(sql), v);
}
