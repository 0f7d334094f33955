/* Random histories: the SQLite store and the store in memory must agree, also after crashes. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "feed.h"
#include "store/store_mem.h"
#include "store/store_sqlite.h"

enum { QUEUES = 6, STEPS = 400, POSITIONS = 6000 };

/* What the broker would know. */
struct queue {
    bool exists;
    uint32_t id;
    uint64_t next_pos;
    char state[POSITIONS];        /* 0 never, S stored, T transient in memory, P spilled, D dead */
    uint16_t failures[POSITIONS]; /* of those stored */
};

static char *dir;
static struct feed f[2]; /* SQLite, memory */
static struct lev_store *sqlite, *memory;
static struct lev_store_options options;
static struct queue queues[QUEUES];
static uint32_t next_id;
static uint64_t seed;

static uint32_t rnd(uint32_t n)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((seed >> 33) % n);
}

static void open_stores(struct seen seen[2])
{
    char err[LEV_STORE_ERR_MAX] = "";
    ck_assert_msg(lev_store_open(dir, &options, &sqlite, err) == 0, "%s", err);
    ck_assert_int_eq(lev_store_recover(sqlite, &seen_recovery, &seen[0]), 0);
    lev_store_mem_recover(memory, &seen_recovery, &seen[1]);
    f[0].store = sqlite;
    f[1].store = memory;
    f[1].pump = lev_store_mem_run;
    lev_store_mem_start(memory, &feed_client, &f[1]);
    ck_assert_int_eq(lev_store_start(sqlite, &feed_client, &f[0]), 0);
}

static void setup(void)
{
    struct seen seen[2] = {0};
    lev_log_set_level(LEV_LOG_ERROR);
    memset(queues, 0, sizeof(queues));
    next_id = 1;
    options = (struct lev_store_options){
        .garbage_limit_rows = 300, .wal_limit_bytes = 1 << 20, .slice_ms = 1};
    dir = feed_tmpdir();
    feed_init(&f[0]);
    feed_init(&f[1]);
    memory = lev_store_mem_new();
    open_stores(seen);
}

static void teardown(void)
{
    lev_store_stop(&sqlite);
    lev_store_mem_free(&memory);
    feed_deinit(&f[0]);
    feed_deinit(&f[1]);
    feed_rmdir(dir);
    ck_assert_int_eq(lev_msg_live(), 0);
}

#define BOTH(call, ...)                                                                            \
    do {                                                                                           \
        call(&f[0], __VA_ARGS__);                                                                  \
        call(&f[1], __VA_ARGS__);                                                                  \
    } while (0)

static uint32_t size_of(uint64_t pos)
{
    return pos % 97 == 0 ? 20000 : (uint32_t)(pos % 400);
}

static void make_queue(struct queue *q)
{
    memset(q, 0, sizeof(*q));
    q->exists = true;
    q->id = next_id++;
    BOTH(feed_queue, q->id, "queue");
}

static void publish(struct queue *q)
{
    for (uint32_t n = rnd(60); n > 0 && q->next_pos < POSITIONS; n--) {
        uint64_t pos = q->next_pos++;
        if (rnd(5) == 0) {
            q->state[pos] = 'T';
            continue;
        }
        q->state[pos] = 'S';
        BOTH(feed_enqueue, q->id, pos, size_of(pos), (uint32_t)pos);
    }
}

static void settle(struct queue *q, uint64_t pos)
{
    char *state = &q->state[pos];
    uint8_t flags = 0;
    if (*state == 'D' || *state == 0)
        return;
    if (*state == 'T')
        flags = LEV_OPF_NOROW;
    if (*state == 'P')
        flags = LEV_OPF_NOROW | LEV_OPF_SPILLED;
    BOTH(feed_settle_flags, q->id, pos, size_of(pos), flags);
    *state = 'D';
}

static void settle_some(struct queue *q)
{
    uint64_t at = q->next_pos ? rnd((uint32_t)q->next_pos) : 0;
    bool random = rnd(2);
    if (rnd(2))
        for (at = 0; at < q->next_pos && q->state[at] == 'D'; at++)
            continue;
    for (uint32_t n = rnd(80); n > 0 && q->next_pos; n--)
        settle(q, random ? rnd((uint32_t)q->next_pos) : at++ % q->next_pos);
}

static void purge(struct queue *q)
{
    uint64_t from = q->next_pos ? rnd((uint32_t)q->next_pos) : 0;
    uint64_t to = q->next_pos > from ? from + rnd((uint32_t)(q->next_pos - from)) : from;
    uint32_t count = 0;
    uint64_t bytes = 0;
    if (rnd(4) || from == to)
        return;
    for (uint64_t p = from; p < to; p++) {
        count += q->state[p] == 'S';
        bytes += q->state[p] == 'S' ? size_of(p) : 0;
        q->state[p] = 'D';
    }
    BOTH(feed_settle_range, q->id, from, to, count, bytes);
}

static void spill(struct queue *q)
{
    for (uint64_t p = 0; p < q->next_pos; p++) {
        if (q->state[p] == 'T' && rnd(4) == 0) {
            BOTH(feed_spill, q->id, p, size_of(p), (uint32_t)p);
            q->state[p] = 'P';
        }
    }
}

static void unspill(struct queue *q)
{
    uint64_t from = q->next_pos ? rnd((uint32_t)q->next_pos) : 0;
    uint64_t to = from + rnd(200);
    for (uint64_t p = from; p < to && p < q->next_pos; p++)
        if (q->state[p] == 'P')
            q->state[p] = 'T';
    if (from < to)
        BOTH(feed_unspill, q->id, from, to);
}

static void fail_some(struct queue *q)
{
    for (uint32_t n = rnd(30); n > 0 && q->next_pos; n--) {
        uint64_t pos = rnd((uint32_t)q->next_pos);
        uint32_t count = rnd(70000);
        BOTH(feed_count, q->id, pos, count);
        if (q->state[pos] == 'S')
            q->failures[pos] = (uint16_t)(count < UINT16_MAX ? count : UINT16_MAX);
    }
}

static void delete_queue(struct queue *q)
{
    if (rnd(6))
        return;
    BOTH(feed_op, LEV_OP_QUEUE_DELETE, q->id, 0);
    q->exists = false;
}

static void step(void)
{
    static void (*const acts[])(struct queue * q) = {
        publish, publish, settle_some, settle_some, purge, spill, unspill, fail_some, delete_queue};
    struct queue *q = &queues[rnd(QUEUES)];
    if (!q->exists)
        make_queue(q);
    acts[rnd(9)](q);
    if (rnd(3) == 0 && q->exists)
        BOTH(feed_mark, q->id, q->next_pos, q->next_pos / 2);
}

static void check_reads(const struct queue *q, uint64_t from, uint64_t to, size_t items,
                        size_t bytes)
{
    struct lev_read *a = feed_read(&f[0], q->id, from, to, items, bytes);
    struct lev_read *b = feed_read(&f[1], q->id, from, to, items, bytes);
    ck_assert_int_eq(a->rc, 0);
    ck_assert_uint_eq(a->n_items, b->n_items);
    for (size_t i = 0; i < a->n_items; i++) {
        uint64_t pos = a->items[i].pos;
        ck_assert_uint_eq(pos, b->items[i].pos);
        ck_assert_uint_eq(a->items[i].expires_at_ms, b->items[i].expires_at_ms);
        ck_assert(a->items[i].spilled == b->items[i].spilled);
        ck_assert(q->state[pos] == (a->items[i].spilled ? 'P' : 'S'));
        ck_assert_uint_eq(a->items[i].count, b->items[i].count);
        ck_assert_uint_eq(a->items[i].count, a->items[i].spilled ? 0 : q->failures[pos]);
        feed_check_msg(a->items[i].msg, size_of(pos), (uint32_t)pos);
    }
    ck_assert((a->reached == to) == (b->reached == to));
    lev_read_free(&a);
    lev_read_free(&b);
}

static void check_queue(const struct queue *q)
{
    check_reads(q, 0, LEV_POSITION_MAX + 1, SIZE_MAX, SIZE_MAX);
    uint64_t from = rnd(POSITIONS);
    check_reads(q, from, from + rnd(1000), 1 + rnd(50), 1 + rnd(50000));
}

static void check_recovered(const struct seen seen[2])
{
    ck_assert_uint_eq(seen[0].n_queues, seen[1].n_queues);
    for (size_t i = 0; i < seen[0].n_queues; i++) {
        const struct seen_queue *a = &seen[0].queues[i], *b = seen_queue(&seen[1], a->id);
        ck_assert_ptr_nonnull(b);
        ck_assert_uint_eq(a->state.count, b->state.count);
        ck_assert_uint_eq(a->state.bytes, b->state.bytes);
        ck_assert_uint_eq(a->state.next_pos, b->state.next_pos);
        ck_assert_uint_eq(a->state.delivered_to, b->state.delivered_to);
        ck_assert_uint_le(a->state.head, b->state.head); /* may lag behind a gap */
    }
}

/* Both die; transient messages are gone. */
static void crash(void)
{
    struct seen seen[2] = {0};
    char *copy = feed_copy_dir(dir);
    lev_store_stop(&sqlite);
    lev_store_mem_crash(memory);
    feed_rmdir(dir);
    dir = copy;
    open_stores(seen);
    check_recovered(seen);
    for (int i = 0; i < QUEUES; i++)
        for (uint64_t p = 0; p < queues[i].next_pos; p++)
            if (queues[i].state[p] == 'T' || queues[i].state[p] == 'P')
                queues[i].state[p] = 'D';
}

START_TEST(test_random_history)
{
    seed = (uint64_t)_i + 1;
    for (int n = 0; n < STEPS; n++) {
        for (uint32_t k = rnd(6); k > 0; k--)
            step();
        if (f[0].open->live == 0 && f[0].open->n_marks == 0)
            continue;
        feed_commit(&f[0]);
        feed_commit(&f[1]);
        if (n % 10 == 9)
            for (int i = 0; i < QUEUES; i++)
                if (queues[i].exists)
                    check_queue(&queues[i]);
        if (n % 50 == 49)
            crash();
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("store_model");
    TCase *t = tcase_create("core");
    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, test_random_history, 0, 8);
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
