/* How much CPU the store takes: not part of `make check`. Usage: bench_store [rows_of_big_file].
 * Prints microseconds of the writer's (reader's) CPU per message, from the threads' own clocks. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "base/clock.h"
#include "feed.h"
#include "store/store_sqlite.h"

static struct feed f;
static struct lev_store *store;

static double cpu_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void open_store(const char *dir, const struct lev_store_options *o)
{
    char err[LEV_STORE_ERR_MAX];
    uint64_t t0 = lev_clock_mono_ns();
    struct seen seen = {0};
    if (lev_store_open(dir, o, &store, err) != 0 ||
        lev_store_recover(store, &seen_recovery, &seen) != 0) {
        fprintf(stderr, "%s\n", err);
        exit(1);
    }
    f.store = store;
    printf("open and recover: %.1f ms\n", (double)(lev_clock_mono_ns() - t0) / 1e6);
    if (lev_store_start(store, &feed_client, &f) != 0)
        exit(1);
}

/* Commits what is open; adds the CPU it took to *cpu and the time to *wall. */
static void commit(double *cpu, double *wall)
{
    double c = cpu_s();
    uint64_t t = lev_clock_mono_ns();
    feed_commit(&f);
    *cpu += cpu_s() - c;
    *wall += (double)(lev_clock_mono_ns() - t) / 1e9;
}

static void say(const char *what, uint32_t size, uint32_t n, double cpu, double wall)
{
    printf("%-26s %5u B: %6.3f us CPU, %6.3f us elapsed\n", what, size, cpu * 1e6 / n,
           wall * 1e6 / n);
}

static void bench_size(uint32_t size, uint32_t n, uint32_t batch)
{
    double cpu = 0, wall = 0;
    uint32_t *order = calloc(n, sizeof(*order));
    struct lev_msg *m = feed_msg(size, 1);
    feed_queue(&f, size, "q");
    for (uint32_t i = 0; i < n; i++) {
        feed_enqueue_msg(&f, size, i, m);
        if ((i + 1) % batch == 0)
            commit(&cpu, &wall);
    }
    say("insert", size, n, cpu, wall);
    double c = cpu_s();
    uint64_t t = lev_clock_mono_ns();
    for (uint64_t at = 0; at < n;) {
        struct lev_read *r = feed_read(&f, size, at, n, 4096, 4 << 20);
        at = r->reached;
        lev_read_free(&r);
    }
    say("read", size, n, cpu_s() - c, (double)(lev_clock_mono_ns() - t) / 1e9);
    cpu = wall = 0;
    for (uint32_t i = 0; i < n / 2; i++) {
        feed_settle(&f, size, i, size);
        if ((i + 1) % batch == 0)
            commit(&cpu, &wall);
    }
    say("settle in order", size, n / 2, cpu, wall);
    for (uint32_t i = n / 2; i < n; i++)
        order[i] = i;
    srandom(1);
    for (uint32_t i = n - 1; i > n / 2; i--) {
        uint32_t j = n / 2 + (uint32_t)random() % (i - n / 2 + 1), x = order[i];
        order[i] = order[j];
        order[j] = x;
    }
    cpu = wall = 0;
    for (uint32_t i = n / 2; i < n; i++) {
        feed_settle(&f, size, order[i], size);
        if ((i + 1) % batch == 0)
            commit(&cpu, &wall);
    }
    say("settle at random", size, n / 2, cpu, wall);
    lev_msg_unref(&m);
    free(order);
}

static void bench_purge(const char *dir)
{
    struct lev_store_stats s;
    double c = cpu_s();
    do {
        nanosleep(&(struct timespec){0, 20000000}, NULL);
        lev_store_get_stats(store, &s);
    } while (s.garbage_rows > 0);
    printf("purge: %.3f us elapsed, %.3f us CPU a row (%llu rows); %s\n",
           (double)s.purge_ns / 1e3 / (double)s.purged_rows,
           (cpu_s() - c) * 1e6 / (double)s.purged_rows, (unsigned long long)s.purged_rows, dir);
}

static void bench_alone(void)
{
    enum { N = 2000 };
    double cpu = 0, wall = 0;
    feed_queue(&f, 3, "alone");
    commit(&cpu, &wall);
    cpu = wall = 0;
    for (uint32_t i = 0; i < N; i++) {
        feed_enqueue(&f, 3, i, 64, i);
        if (i > 10)
            feed_settle(&f, 3, i - 10, 64);
        commit(&cpu, &wall);
    }
    say("one at a time", 64, N, cpu, wall);
}

static void bench_queues(void)
{
    enum { N = 20000 };
    double cpu = 0, wall = 0;
    for (uint32_t i = 0; i < N; i++)
        feed_queue(&f, 100000 + i, "some-queue-name");
    commit(&cpu, &wall);
    say("declare queues", 0, N, cpu, wall);
    cpu = wall = 0;
    for (uint32_t i = 0; i < N; i++)
        feed_op(&f, LEV_OP_QUEUE_DELETE, 100000 + i, 0);
    commit(&cpu, &wall);
    say("delete queues", 0, N, cpu, wall);
}

static void print_stats(void)
{
    struct lev_store_stats s;
    struct rusage u;
    lev_store_get_stats(store, &s);
    getrusage(RUSAGE_SELF, &u);
    printf("commits %llu, %.3f ms each to sync; checkpoints %llu, %.1f ms each; RSS %ld KiB\n",
           (unsigned long long)s.commits, (double)s.commit_ns / 1e6 / (double)s.commits,
           (unsigned long long)s.checkpoints,
           s.checkpoints ? (double)s.checkpoint_ns / 1e6 / (double)s.checkpoints : 0, u.ru_maxrss);
}

static void bench_start(const char *dir, uint32_t rows)
{
    double cpu = 0, wall = 0;
    struct lev_msg *m = feed_msg(100, 1);
    feed_queue(&f, 5, "big");
    for (uint32_t i = 0; i < rows; i++) {
        feed_enqueue_msg(&f, 5, i, m);
        if ((i + 1) % 10000 == 0)
            commit(&cpu, &wall);
    }
    lev_msg_unref(&m);
    say("fill", 100, rows, cpu, wall);
    lev_store_stop(&store);
    open_store(dir, NULL);
}

static const char *big_rows;

START_TEST(bench)
{
    char *dir = feed_tmpdir();
    feed_init(&f);
    open_store(dir, &(struct lev_store_options){.garbage_limit_rows = 10000000,
                                                .garbage_limit_bytes = UINT64_C(1) << 40});
    bench_size(16, 400000, 2000);
    bench_size(100, 400000, 2000);
    bench_size(1024, 400000, 2000);
    bench_alone();
    bench_queues();
    print_stats();
    bench_purge(dir);
    if (big_rows)
        bench_start(dir, (uint32_t)atoi(big_rows));
    lev_store_stop(&store);
    feed_deinit(&f);
    feed_rmdir(dir);
}
END_TEST

int main(int argc, char **argv)
{
    Suite *s = suite_create("bench");
    TCase *t = tcase_create("bench");
    big_rows = argc > 1 ? argv[1] : NULL;
    setvbuf(stdout, NULL, _IOLBF, 0);
    tcase_set_timeout(t, 0);
    tcase_add_test(t, bench);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s); /* Check's assertions in feed.c want a runner */
    srunner_set_fork_status(r, CK_NOFORK);
    srunner_run_all(r, CK_SILENT);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
