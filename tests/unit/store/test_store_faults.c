/* The SQLite store on a disk that fails: nothing is confirmed that is not there, nothing is lost or
 * doubled. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "faultfs.h"
#include "feed.h"
#include "store/store_sqlite.h"

enum { BATCH = 40, BATCHES = 6, SIZE = 700 };

static char *dir;
static struct feed f;
static struct lev_store *store;
static struct lev_store_options options;

static void open_store(struct seen *seen)
{
    char err[LEV_STORE_ERR_MAX] = "";
    ck_assert_msg(lev_store_open(dir, &options, &store, err) == 0, "%s", err);
    ck_assert_int_eq(lev_store_recover(store, &seen_recovery, seen), 0);
    f.store = store;
    ck_assert_int_eq(lev_store_start(store, &feed_client, &f), 0);
}

static void setup(void)
{
    struct seen seen = {0};
    lev_log_set_level(LEV_LOG_NONE);
    faultfs_register();
    options = (struct lev_store_options){.retry_ms = 2,
                                         .stop_patience_ms = 50,
                                         .vfs = "faultfs",
                                         .wal_limit_bytes = 512 << 10,
                                         .garbage_limit_rows = 20};
    dir = feed_tmpdir();
    feed_init(&f);
    open_store(&seen);
    feed_queue(&f, 1, "one");
    feed_queue(&f, 2, "two");
    feed_commit(&f);
}

static void teardown(void)
{
    faultfs_heal();
    lev_store_stop(&store);
    feed_deinit(&f);
    feed_rmdir(dir);
    ck_assert_int_eq(lev_msg_live(), 0);
}

/* Batch n of a fixed history. Queue 1 is settled in order, a batch behind; of queue 2 two in three
 * go, out of order; both get a shared body; deliveries of every fifth message fail, twice; queue 3
 * comes and goes. */
static void fill(uint32_t n)
{
    uint32_t from = n * BATCH, to = from + BATCH;
    struct lev_msg *big = feed_msg(20000, n);
    for (uint32_t i = from; i < to; i++) {
        if (i == from) {
            feed_enqueue_msg(&f, 1, i, big);
            feed_enqueue_msg(&f, 2, i, big);
            continue;
        }
        feed_enqueue(&f, 1, i, SIZE, i);
        feed_enqueue(&f, 2, i, SIZE, i);
    }
    lev_msg_unref(&big);
    for (uint32_t i = n ? from - BATCH : 0; i < to; i += 5) { /* of this batch and the last */
        feed_count(&f, 1, i, i + n);
        feed_count(&f, 2, i, i + n);
    }
    for (uint32_t i = n ? from - BATCH : 0; i < from; i++) {
        uint32_t size = i % BATCH ? SIZE : 20000;
        feed_settle(&f, 1, i, size);
        if (i % 3)
            feed_settle(&f, 2, i, size);
    }
    if (n % 2)
        feed_op(&f, LEV_OP_QUEUE_DELETE, 3, 0);
    else
        feed_queue(&f, 3, "three");
    for (uint32_t i = 0; n % 2 == 0 && i < 5; i++)
        feed_enqueue(&f, 3, i, SIZE, i);
    feed_mark(&f, 1, to, from);
    feed_mark(&f, 2, to, from);
}

static bool lives(uint32_t queue, uint32_t i, uint32_t batches)
{
    return i >= (batches - 1) * BATCH || (queue == 2 && i % 3 == 0);
}

static uint32_t failures_of(uint32_t i, uint32_t batches)
{
    uint32_t batch = i / BATCH;
    if (i % 5)
        return 0;
    return i + (batch + 1 < batches ? batch + 1 : batch); /* counted again a batch later */
}

static void check_queue(uint32_t queue, uint32_t batches)
{
    struct lev_read *r = feed_read(&f, queue, 0, LEV_POSITION_MAX, 10000, SIZE_MAX);
    size_t at = 0;
    ck_assert_int_eq(r->rc, 0);
    for (uint32_t i = 0; i < batches * BATCH; i++) {
        if (!lives(queue, i, batches))
            continue;
        ck_assert_uint_lt(at, r->n_items);
        ck_assert_uint_eq(r->items[at].pos, i);
        ck_assert_uint_eq(r->items[at].count, failures_of(i, batches));
        feed_check_msg(r->items[at++].msg, i % BATCH ? SIZE : 20000, i % BATCH ? i : i / BATCH);
    }
    ck_assert_uint_eq(at, r->n_items);
    lev_read_free(&r);
}

/* What the store must have after so many batches, by reading and by recovery from a copy. */
static void check_all(uint32_t batches)
{
    struct seen seen = {0};
    check_queue(1, batches);
    check_queue(2, batches);
    char *copy = feed_copy_dir(dir);
    lev_store_stop(&store);
    feed_rmdir(dir);
    dir = copy;
    open_store(&seen);
    ck_assert_uint_eq(seen.n_queues, batches % 2 ? 3 : 2);
    for (uint32_t q = 1; q <= 2; q++) {
        const struct lev_queue_state *s = &seen_queue(&seen, q)->state;
        uint64_t count = 0, bytes = 0;
        for (uint32_t i = 0; i < batches * BATCH; i++) {
            count += lives(q, i, batches);
            bytes += lives(q, i, batches) ? (i % BATCH ? SIZE : 20000) : 0;
        }
        ck_assert_uint_eq(s->count, count);
        ck_assert_uint_eq(s->bytes, bytes);
        ck_assert_uint_eq(s->next_pos, batches * BATCH);
        ck_assert_uint_eq(s->delivered_to, (batches - 1) * BATCH);
        check_queue(q, batches);
    }
}

/* The whole history, with a failure lit before batch 2. */
static void history(void (*light)(int nth, int count), int nth, int count)
{
    int troubles = 0;
    for (uint32_t n = 0; n < BATCHES; n++) {
        if (n == 2)
            light(nth, count);
        fill(n);
        feed_commit(&f);
    }
    troubles = f.troubles;
    faultfs_heal();
    ck_assert_int_eq(f.heals, troubles);
    check_all(BATCHES);
}

START_TEST(test_write_fails)
{
    history(faultfs_fail_write, 1 + _i * 2, 1);
}
END_TEST

START_TEST(test_writes_fail)
{
    history(faultfs_fail_write, 1 + _i * 5, 3 + _i);
}
END_TEST

START_TEST(test_sync_fails)
{
    history(faultfs_fail_sync, 1 + _i, 1 + _i % 3);
}
END_TEST

START_TEST(test_read_fails)
{
    history(faultfs_fail_read, 1 + _i, 2);
}
END_TEST

START_TEST(test_every_first_commit_fails)
{
    struct seen seen = {0};
    options.wal_limit_bytes = 0; /* so long that no checkpoint is in the way of a fault */
    lev_store_stop(&store);
    open_store(&seen);
    fill(0);
    for (uint32_t n = 0; n < BATCHES; n++) {
        if (n)
            fill(n);
        faultfs_fail_write(1, 1);
        feed_commit(&f);
        ck_assert_int_eq(f.troubles, f.heals);
        ck_assert_int_eq(f.trouble_rc, 0);
    }
    ck_assert_int_ge(f.troubles, 2); /* the others hit the removal of dead rows */
    check_all(BATCHES);
}
END_TEST

/* Gives new_dir what the last syncs of dir's files left. */
static void take_synced(const char *new_dir)
{
    static const char *const names[] = {"vhost.db", "vhost.db-wal"};
    char from[4300], to[4300], buf[65536];
    faultfs_keep_synced(false);
    for (int i = 0; i < 2; i++) {
        snprintf(from, sizeof(from), "%s/%s.synced", dir, names[i]);
        snprintf(to, sizeof(to), "%s/%s", new_dir, names[i]);
        FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
        ck_assert(in && out);
        for (size_t n; (n = fread(buf, 1, sizeof(buf), in)) > 0;)
            ck_assert_uint_eq(fwrite(buf, 1, n, out), n);
        ck_assert_int_eq(fclose(out), 0);
        fclose(in);
    }
}

/* The store stops, and what its files were when they were synced last is the store's now. */
static void lose_what_was_not_synced(struct seen *seen)
{
    char *left = feed_tmpdir();
    take_synced(left);
    lev_store_stop(&store);
    feed_rmdir(dir);
    dir = left;
    open_store(seen);
}

/* From here on syncs are taken note of; vhost.db is as it is, and there is no WAL. */
static void begin_power_cut(void)
{
    struct seen seen = {0};
    char wal[4300];
    faultfs_keep_synced(true);
    lev_store_stop(&store); /* saves vhost.db, and removes the WAL */
    snprintf(wal, sizeof(wal), "%s/vhost.db-wal.synced", dir);
    (void)unlink(wal);
    open_store(&seen);
}

/* Nothing that was not synced survives: still everything that was done is there. */
START_TEST(test_power_cut)
{
    struct seen seen = {0};
    uint32_t batches = (uint32_t)_i + 1;
    begin_power_cut();
    for (uint32_t n = 0; n < batches; n++) {
        fill(n);
        feed_commit(&f);
    }
    lose_what_was_not_synced(&seen);
    ck_assert_uint_eq(seen_queue(&seen, 1)->state.next_pos, batches * BATCH);
    check_all(batches);
}
END_TEST

/* A checkpoint's sync fails, and the disk forgets what was copied until then: the log has it. */
START_TEST(test_power_cut_after_lost_sync)
{
    enum { SYNC_BATCHES = 60 };
    struct seen seen = {0};
    begin_power_cut();
    faultfs_lose_sync(1 + _i);
    for (uint32_t n = 0; n < SYNC_BATCHES; n++) {
        fill(n);
        feed_commit(&f);
    }
    ck_assert_int_eq(faultfs_failures(), 1);
    lose_what_was_not_synced(&seen);
    check_all(SYNC_BATCHES);
}
END_TEST

/* The same at a clean end, whose checkpoint is the only one: the WAL must stay. */
START_TEST(test_lost_sync_at_the_end)
{
    struct seen seen = {0};
    char synced[4300], file[4300];
    options.wal_limit_bytes = 0; /* so long that nothing is copied before */
    begin_power_cut();
    fill(0);
    feed_commit(&f);
    faultfs_lose_sync(1);
    lev_store_stop(&store);
    ck_assert_int_eq(faultfs_failures(), 1);
    faultfs_keep_synced(false);
    snprintf(synced, sizeof(synced), "%s/vhost.db.synced", dir);
    snprintf(file, sizeof(file), "%s/vhost.db", dir);
    ck_assert_int_eq(rename(synced, file), 0);
    open_store(&seen);
    check_all(1);
}
END_TEST

START_TEST(test_disk_full)
{
    fill(0);
    feed_commit(&f);
    uint64_t done = f.done_id;
    faultfs_full_after(1000 + 20000L * _i);
    uint64_t first = 0, last = 0;
    for (uint32_t n = 1; n < BATCHES; n++) {
        fill(n);
        last = feed_send(&f);
        first = first ? first : last;
        if (n == 1)
            feed_wait_trouble(&f, 1);
    }
    ck_assert_int_eq(f.trouble_rc, LEV_EFULL);
    ck_assert_uint_eq(f.done_id, done);
    struct lev_read *r = feed_read(&f, 1, 0, 1000, 1000, SIZE_MAX); /* reading goes on */
    ck_assert_int_eq(r->rc, 0);
    ck_assert_uint_eq(r->n_items, BATCH);
    lev_read_free(&r);
    while (faultfs_failures() < 5) /* it keeps trying */
        sched_yield();
    ck_assert_uint_eq(f.done_id, done);
    ck_assert_int_eq(f.troubles, 1);
    faultfs_heal();
    feed_wait(&f, last);
    ck_assert_int_eq(f.heals, 1);
    ck_assert_int_eq(f.trouble_rc, 0);
    check_all(BATCHES);
}
END_TEST

START_TEST(test_stop_on_failing_disk)
{
    struct seen seen = {0};
    fill(0);
    feed_commit(&f);
    uint64_t done = f.done_id;
    faultfs_full_after(0);
    fill(1);
    feed_send(&f);
    feed_wait_trouble(&f, 1);
    fill(2);
    lev_store_stop(&store);
    ck_assert_uint_eq(f.done_id, done);
    faultfs_heal();
    open_store(&seen);
    check_queue(1, 1);
    ck_assert_uint_eq(seen_queue(&seen, 1)->state.count, BATCH);
}
END_TEST

START_TEST(test_read_error)
{
    for (uint32_t i = 0; i < 3000; i++)
        feed_enqueue(&f, 1, i, SIZE, i);
    feed_commit(&f);
    struct lev_read *r = NULL;
    for (int i = 0; i < 100 && (!r || r->rc == 0); i++) {
        lev_read_free(&r);
        faultfs_fail_read(1 + _i, 1); /* the writer's checkpoint may be the one it hits */
        r = feed_read(&f, 1, 0, 3000, 3000, SIZE_MAX);
    }
    ck_assert_int_eq(r->rc, LEV_EIO);
    ck_assert_uint_lt(r->n_items, 3000);
    ck_assert_uint_eq(r->reached, r->n_items);
    lev_read_free(&r);
    r = feed_read(&f, 1, 0, 3000, 3000, SIZE_MAX);
    ck_assert_int_eq(r->rc, 0);
    ck_assert_uint_eq(r->n_items, 3000);
    lev_read_free(&r);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("store_faults");
    TCase *t = tcase_create("core");
    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, test_write_fails, 0, 40);
    tcase_add_loop_test(t, test_writes_fail, 0, 10);
    tcase_add_loop_test(t, test_sync_fails, 0, 10);
    tcase_add_loop_test(t, test_read_fails, 0, 8);
    tcase_add_test(t, test_every_first_commit_fails);
    tcase_add_loop_test(t, test_power_cut, 0, 20);
    tcase_add_loop_test(t, test_power_cut_after_lost_sync, 0, 8);
    tcase_add_test(t, test_lost_sync_at_the_end);
    tcase_add_loop_test(t, test_disk_full, 0, 5);
    tcase_add_test(t, test_stop_on_failing_disk);
    tcase_add_loop_test(t, test_read_error, 0, 5);
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
