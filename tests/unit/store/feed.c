/* A stand-in for the broker. See feed.h. */
#include "feed.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"

enum { PATIENCE_S = 30 };

/* ---- The client ---- */

static struct lev_batch *batch_new(uint64_t id)
{
    struct lev_batch *b = lev_xcalloc(1, sizeof(*b));
    b->id = id;
    return b;
}

static struct lev_batch *on_take(void *ctx, bool seal)
{
    struct feed *f = ctx;
    struct lev_batch *b = NULL;
    (void)seal;
    pthread_mutex_lock(&f->mu);
    if (!f->hold && (f->open->live > 0 || f->open->n_marks > 0)) {
        b = f->open;
        f->open = batch_new(b->id + 1);
    }
    pthread_mutex_unlock(&f->mu);
    return b;
}

static void on_done(void *ctx, struct lev_batch *b)
{
    struct feed *f = ctx;
    pthread_mutex_lock(&f->mu);
    f->done_id = b->id;
    pthread_cond_broadcast(&f->cond);
    pthread_mutex_unlock(&f->mu);
    lev_batch_free(&b);
}

static void on_trouble(void *ctx, int rc, const char *text)
{
    struct feed *f = ctx;
    (void)text;
    pthread_mutex_lock(&f->mu);
    f->trouble_rc = rc;
    f->troubles += rc < 0;
    f->heals += rc == 0;
    pthread_cond_broadcast(&f->cond);
    pthread_mutex_unlock(&f->mu);
}

static void on_loaded(void *ctx, struct lev_read *r)
{
    struct feed *f = ctx;
    pthread_mutex_lock(&f->mu);
    f->loaded = r;
    pthread_cond_broadcast(&f->cond);
    pthread_mutex_unlock(&f->mu);
}

const struct lev_store_client feed_client = {
    .take = on_take, .done = on_done, .trouble = on_trouble, .loaded = on_loaded};

void feed_init(struct feed *f)
{
    *f = (struct feed){0};
    pthread_mutex_init(&f->mu, NULL);
    pthread_cond_init(&f->cond, NULL);
    f->open = batch_new(1);
}

void feed_deinit(struct feed *f)
{
    lev_batch_free(&f->open);
    lev_read_free(&f->loaded);
    pthread_mutex_destroy(&f->mu);
    pthread_cond_destroy(&f->cond);
}

/* ---- Messages ---- */

static uint8_t octet(uint32_t seed, uint32_t i)
{
    return (uint8_t)(seed * 2654435761u + i * 31u + (i >> 8));
}

struct lev_msg *feed_msg(uint32_t body_len, uint32_t seed)
{
    static const uint8_t props[] = {0x10, 0x00, 2};
    char key[16];
    snprintf(key, sizeof(key), "key%u", seed % 10);
    struct lev_msg *m =
        lev_msg_new_bcc(LEV_LIT("ex"), lev_bytes_str(key), lev_bytes(props, sizeof(props)),
                        seed % 4 == 1 ? LEV_LIT("\3bcc") : LEV_EMPTY, body_len);
    ck_assert_ptr_nonnull(m);
    for (uint32_t i = 0; i < body_len; i++)
        lev_msg_body_mut(m)[i] = octet(seed, i);
    m->persistent = 1;
    m->priority = (uint8_t)(seed % 256);
    m->dead_lettered = seed / 2 % 2;
    m->expiration_ms = seed % 3 == 0 ? UINT64_MAX : seed;
    return m;
}

void feed_check_msg(const struct lev_msg *m, uint32_t body_len, uint32_t seed)
{
    struct lev_msg *want = feed_msg(body_len, seed);
    ck_assert(lev_bytes_eq(lev_msg_exchange(m), lev_msg_exchange(want)));
    ck_assert(lev_bytes_eq(lev_msg_key(m), lev_msg_key(want)));
    ck_assert(lev_bytes_eq(lev_msg_props(m), lev_msg_props(want)));
    ck_assert(lev_bytes_eq(lev_msg_bcc(m), lev_msg_bcc(want)));
    ck_assert_uint_eq(m->body_len, body_len);
    ck_assert(lev_bytes_eq(lev_msg_body(m), lev_msg_body(want)));
    ck_assert_uint_eq(m->persistent, want->persistent);
    ck_assert_uint_eq(m->priority, want->priority);
    ck_assert_uint_eq(m->dead_lettered, want->dead_lettered);
    ck_assert_uint_eq(m->expiration_ms, want->expiration_ms);
    lev_msg_unref(&want);
}

/* ---- Operations ---- */

static struct lev_op *push(struct feed *f, const struct lev_op *op)
{
    struct lev_batch *b = f->open;
    if (b->n_ops == b->cap_ops) {
        b->cap_ops = b->cap_ops ? b->cap_ops * 2 : 16;
        b->ops = lev_xrealloc(b->ops, b->cap_ops * sizeof(*b->ops));
    }
    f->hold = true;
    b->ops[b->n_ops] = *op;
    b->live++;
    return &b->ops[b->n_ops++];
}

static void add(struct feed *f, const struct lev_op *op)
{
    pthread_mutex_lock(&f->mu);
    push(f, op);
    pthread_mutex_unlock(&f->mu);
}

struct lev_op *feed_op(struct feed *f, enum lev_op_kind kind, uint32_t queue_id, uint64_t pos)
{
    struct lev_op op = {.kind = (uint8_t)kind, .queue_id = queue_id, .pos = pos};
    pthread_mutex_lock(&f->mu);
    struct lev_op *p = push(f, &op);
    pthread_mutex_unlock(&f->mu);
    return p;
}

void feed_level(struct feed *f, uint32_t queue_id, const char *name, uint32_t level)
{
    struct lev_queue_def d = {.queue_id = queue_id,
                              .level = level,
                              .durable = true,
                              .name = lev_bytes_str(name),
                              .arguments = LEV_LIT("args")};
    struct lev_op op = {.kind = LEV_OP_QUEUE_ADD, .queue_id = queue_id};
    op.u.def = lev_queue_def_copy(&d);
    add(f, &op);
}

void feed_queue(struct feed *f, uint32_t queue_id, const char *name)
{
    feed_level(f, queue_id, name, 0);
}

static void message(struct feed *f, enum lev_op_kind kind, uint32_t queue_id, uint64_t pos,
                    struct lev_msg *m)
{
    struct lev_op op = {
        .kind = (uint8_t)kind, .queue_id = queue_id, .pos = pos, .size = m->body_len};
    op.u.msg = m;
    op.expires_at_ms = pos % 2 ? 1000 + pos : 0;
    add(f, &op);
}

void feed_enqueue(struct feed *f, uint32_t queue_id, uint64_t pos, uint32_t body_len, uint32_t seed)
{
    message(f, LEV_OP_ENQUEUE, queue_id, pos, feed_msg(body_len, seed));
}

void feed_enqueue_msg(struct feed *f, uint32_t queue_id, uint64_t pos, struct lev_msg *m)
{
    message(f, LEV_OP_ENQUEUE, queue_id, pos, lev_msg_ref(m));
}

void feed_spill(struct feed *f, uint32_t queue_id, uint64_t pos, uint32_t body_len, uint32_t seed)
{
    message(f, LEV_OP_SPILL, queue_id, pos, feed_msg(body_len, seed));
}

void feed_settle_flags(struct feed *f, uint32_t queue_id, uint64_t pos, uint32_t size,
                       uint8_t flags)
{
    struct lev_op op = {
        .kind = LEV_OP_SETTLE, .flags = flags, .queue_id = queue_id, .pos = pos, .size = size};
    add(f, &op);
}

void feed_settle(struct feed *f, uint32_t queue_id, uint64_t pos, uint32_t size)
{
    feed_settle_flags(f, queue_id, pos, size, 0);
}

void feed_settle_range(struct feed *f, uint32_t queue_id, uint64_t pos, uint64_t end,
                       uint32_t count, uint64_t bytes)
{
    struct lev_op op = {.kind = LEV_OP_SETTLE_RANGE,
                        .queue_id = queue_id,
                        .pos = pos,
                        .count = count,
                        .bytes = bytes};
    op.u.end = end;
    add(f, &op);
}

void feed_count(struct feed *f, uint32_t queue_id, uint64_t pos, uint32_t count)
{
    struct lev_op op = {.kind = LEV_OP_COUNT, .queue_id = queue_id, .pos = pos, .count = count};
    add(f, &op);
}

void feed_unspill(struct feed *f, uint32_t queue_id, uint64_t pos, uint64_t end)
{
    struct lev_op op = {.kind = LEV_OP_UNSPILL, .queue_id = queue_id, .pos = pos};
    op.u.end = end;
    add(f, &op);
}

void feed_exchange(struct feed *f, enum lev_op_kind kind, const char *name)
{
    struct lev_exchange_def d = {
        true, false, true, lev_bytes_str(name), LEV_LIT("topic"), LEV_LIT("xargs")};
    struct lev_op op = {.kind = (uint8_t)kind};
    op.u.def = lev_exchange_def_copy(&d);
    add(f, &op);
}

void feed_binding(struct feed *f, enum lev_op_kind kind, const char *source, const char *queue,
                  const char *key)
{
    struct lev_binding_def d = {true, lev_bytes_str(source), lev_bytes_str(queue),
                                lev_bytes_str(key), LEV_EMPTY};
    struct lev_op op = {.kind = (uint8_t)kind};
    op.u.def = lev_binding_def_copy(&d);
    add(f, &op);
}

void feed_mark(struct feed *f, uint32_t queue_id, uint64_t next_pos, uint64_t delivered_to)
{
    pthread_mutex_lock(&f->mu);
    struct lev_batch *b = f->open;
    f->hold = true;
    b->marks = lev_xrealloc(b->marks, (b->n_marks + 1) * sizeof(*b->marks));
    b->marks[b->n_marks++] = (struct lev_queue_mark){queue_id, next_pos, delivered_to};
    pthread_mutex_unlock(&f->mu);
}

/* ---- Waiting ---- */

static struct timespec deadline(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    t.tv_sec += PATIENCE_S;
    return t;
}

/* Waits for a signal; under mu. */
static void await(struct feed *f, const struct timespec *until, const char *what)
{
    if (pthread_cond_timedwait(&f->cond, &f->mu, until) == ETIMEDOUT)
        ck_abort_msg("waited %d s for %s", PATIENCE_S, what);
}

void feed_release(struct feed *f)
{
    pthread_mutex_lock(&f->mu);
    f->hold = false;
    pthread_mutex_unlock(&f->mu);
}

uint64_t feed_send(struct feed *f)
{
    pthread_mutex_lock(&f->mu);
    uint64_t id = f->open->id;
    f->hold = false;
    pthread_mutex_unlock(&f->mu);
    f->store->ops->wake(f->store);
    if (f->pump)
        (void)f->pump(f->store);
    return id;
}

void feed_wait(struct feed *f, uint64_t batch)
{
    struct timespec until = deadline();
    pthread_mutex_lock(&f->mu);
    while (f->done_id < batch)
        await(f, &until, "a batch");
    pthread_mutex_unlock(&f->mu);
}

void feed_commit(struct feed *f)
{
    feed_wait(f, feed_send(f));
}

void feed_wait_trouble(struct feed *f, int n)
{
    struct timespec until = deadline();
    pthread_mutex_lock(&f->mu);
    while (f->troubles < n)
        await(f, &until, "trouble");
    pthread_mutex_unlock(&f->mu);
}

void feed_wait_heal(struct feed *f, int n)
{
    struct timespec until = deadline();
    pthread_mutex_lock(&f->mu);
    while (f->heals < n)
        await(f, &until, "the end of trouble");
    pthread_mutex_unlock(&f->mu);
}

struct lev_read *feed_read(struct feed *f, uint32_t queue_id, uint64_t from, uint64_t to,
                           size_t max_items, size_t max_bytes)
{
    struct lev_read *r = lev_xcalloc(1, sizeof(*r));
    *r = (struct lev_read){.queue_id = queue_id,
                           .from = from,
                           .to = to,
                           .max_items = max_items,
                           .max_bytes = max_bytes};
    return feed_wait_read(f, r);
}

struct lev_read *feed_wait_read(struct feed *f, struct lev_read *r)
{
    r->user = f;
    f->store->ops->read(f->store, r);
    if (f->pump)
        (void)f->pump(f->store);
    struct timespec until = deadline();
    pthread_mutex_lock(&f->mu);
    while (!f->loaded)
        await(f, &until, "a read");
    r = f->loaded;
    f->loaded = NULL;
    pthread_mutex_unlock(&f->mu);
    ck_assert_ptr_eq(r->user, f);
    return r;
}

/* ---- Recovery ---- */

static void on_exchange(void *ctx, const struct lev_exchange_def *d)
{
    struct seen *s = ctx;
    ck_assert_uint_lt(s->n_exchanges, 16);
    snprintf(s->exchanges[s->n_exchanges++], 64, "%.*s %.*s %d%d%d %.*s", LEV_FMT(d->name),
             LEV_FMT(d->type), d->durable, d->auto_delete, d->internal, LEV_FMT(d->arguments));
}

/* Was a queue (not a level) of that name seen? */
static bool has_queue(const struct seen *s, const char *name)
{
    for (size_t i = 0; i < s->n_queues; i++)
        if (s->queues[i].level == 0 && strcmp(s->queues[i].name, name) == 0)
            return true;
    return false;
}

static void on_queue(void *ctx, const struct lev_queue_def *d, const struct lev_queue_state *state)
{
    struct seen *s = ctx;
    ck_assert_uint_lt(s->n_queues, 64);
    struct seen_queue *q = &s->queues[s->n_queues];
    q->id = d->queue_id;
    q->level = d->level;
    q->state = *state;
    snprintf(q->name, sizeof(q->name), "%.*s", LEV_FMT(d->name));
    ck_assert(d->level == 0 || has_queue(s, q->name));
    s->n_queues++;
    ck_assert(d->durable && !d->auto_delete);
    ck_assert(lev_bytes_eq(d->arguments, LEV_LIT("args")));
}

static void on_binding(void *ctx, const struct lev_binding_def *d)
{
    struct seen *s = ctx;
    ck_assert_uint_lt(s->n_bindings, 16);
    snprintf(s->bindings[s->n_bindings++], 200, "%.*s>%.*s(%.*s)%d", LEV_FMT(d->source),
             LEV_FMT(d->destination), LEV_FMT(d->routing_key), d->to_queue);
}

static void on_used_id(void *ctx, uint32_t queue_id)
{
    struct seen *s = ctx;
    s->n_used++;
    s->used_id = queue_id;
}

const struct lev_recovery seen_recovery = {
    .exchange = on_exchange, .queue = on_queue, .binding = on_binding, .used_id = on_used_id};

const struct seen_queue *seen_queue(const struct seen *s, uint32_t id)
{
    for (size_t i = 0; i < s->n_queues; i++)
        if (s->queues[i].id == id)
            return &s->queues[i];
    return NULL;
}

/* ---- Directories ---- */

char *feed_tmpdir(void)
{
    const char *base = getenv("TMPDIR");
    char *dir = lev_xmalloc(4096);
    snprintf(dir, 4096, "%s/leveret-store-XXXXXX", base ? base : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    return dir;
}

/* Calls fn for each entry's path. */
static void each_file(const char *dir, void (*fn)(const char *path, const char *name, void *arg),
                      void *arg)
{
    char path[8192];
    DIR *d = opendir(dir);
    ck_assert_ptr_nonnull(d);
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        if (e->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
        fn(path, e->d_name, arg);
    }
    closedir(d);
}

static void remove_one(const char *path, const char *name, void *arg)
{
    (void)name;
    (void)arg;
    if (unlink(path) != 0 && errno == EISDIR) {
        each_file(path, remove_one, NULL);
        rmdir(path);
    }
}

void feed_rmdir(char *dir)
{
    each_file(dir, remove_one, NULL);
    rmdir(dir);
    free(dir);
}

static void copy_one(const char *path, const char *name, void *arg)
{
    char to[8192], buf[65536];
    if (strstr(name, "-shm"))
        return; /* shared memory: not there after a crash of the machine */
    snprintf(to, sizeof(to), "%s/%s", (const char *)arg, name);
    FILE *in = fopen(path, "rb"), *out = fopen(to, "wb");
    ck_assert(in && out);
    for (size_t n; (n = fread(buf, 1, sizeof(buf), in)) > 0;)
        ck_assert_uint_eq(fwrite(buf, 1, n, out), n);
    ck_assert_int_eq(fclose(out), 0);
    fclose(in);
}

char *feed_copy_dir(const char *from)
{
    char *to = feed_tmpdir();
    each_file(from, copy_one, to);
    return to;
}
