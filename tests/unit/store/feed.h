/* A stand-in for the broker: fills batches, hands them to a store, waits for what comes back.
 * Thread-safe; the test's thread fills, the store's threads take. Waiting ends after 30 seconds
 * with a failed test. */
#ifndef LEV_TESTS_STORE_FEED_H
#define LEV_TESTS_STORE_FEED_H

#include <pthread.h>

#include "broker/store.h"

struct feed {
    struct lev_store *store;
    size_t (*pump)(
        struct lev_store *s); /* lev_store_mem_run, for a store without threads; or NULL */
    pthread_mutex_t mu;
    pthread_cond_t cond;
    struct lev_batch *open;
    uint64_t done_id; /* the last batch that was done */
    int trouble_rc;   /* as last reported */
    int troubles;     /* reports with rc < 0 */
    int heals;        /* reports with rc == 0 */
    bool hold;        /* take gives nothing: from the first operation until feed_send */
    struct lev_read *loaded;
};

extern const struct lev_store_client feed_client;

void feed_init(struct feed *f);
/* Frees the open batch and a read that was not waited for. */
void feed_deinit(struct feed *f);

/* A message of body_len octets, filled from seed; exchange "ex", key "key<seed % 10>". */
struct lev_msg *feed_msg(uint32_t body_len, uint32_t seed);
/* Fails the test unless m is what feed_msg made. */
void feed_check_msg(const struct lev_msg *m, uint32_t body_len, uint32_t seed);

/* Append an operation; the store is not woken. */
struct lev_op *feed_op(struct feed *f, enum lev_op_kind kind, uint32_t queue_id, uint64_t pos);
void feed_queue(struct feed *f, uint32_t queue_id, const char *name);
void feed_level(struct feed *f, uint32_t queue_id, const char *name, uint32_t level);
void feed_enqueue(struct feed *f, uint32_t queue_id, uint64_t pos, uint32_t body_len,
                  uint32_t seed);
/* The same with a message of the caller's (borrowed). */
void feed_enqueue_msg(struct feed *f, uint32_t queue_id, uint64_t pos, struct lev_msg *m);
void feed_spill(struct feed *f, uint32_t queue_id, uint64_t pos, uint32_t body_len, uint32_t seed);
void feed_settle(struct feed *f, uint32_t queue_id, uint64_t pos, uint32_t size);
void feed_settle_flags(struct feed *f, uint32_t queue_id, uint64_t pos, uint32_t size,
                       uint8_t flags);
void feed_settle_range(struct feed *f, uint32_t queue_id, uint64_t pos, uint64_t end,
                       uint32_t count, uint64_t bytes);
void feed_count(struct feed *f, uint32_t queue_id, uint64_t pos, uint32_t count);
void feed_unspill(struct feed *f, uint32_t queue_id, uint64_t pos, uint64_t end);
void feed_exchange(struct feed *f, enum lev_op_kind kind, const char *name);
void feed_binding(struct feed *f, enum lev_op_kind kind, const char *source, const char *queue,
                  const char *key);
void feed_mark(struct feed *f, uint32_t queue_id, uint64_t next_pos, uint64_t delivered_to);

/* Lets the store have the open batch, which is not empty, and returns its id. */
uint64_t feed_send(struct feed *f);
/* Lets the store have it when it asks, without waking it. */
void feed_release(struct feed *f);
/* Waits until that batch is done. */
void feed_wait(struct feed *f, uint64_t batch);
/* Both. */
void feed_commit(struct feed *f);
/* Waits until the store has reported n failures (heals). */
void feed_wait_trouble(struct feed *f, int n);
void feed_wait_heal(struct feed *f, int n);

/* Reads and waits for the answer; free it with lev_read_free. */
struct lev_read *feed_read(struct feed *f, uint32_t queue_id, uint64_t from, uint64_t to,
                           size_t max_items, size_t max_bytes);

/* The same for a request of the caller's, which passes; its user is overwritten. */
struct lev_read *feed_wait_read(struct feed *f, struct lev_read *r);

/* What a recovery said. */
struct seen_queue {
    uint32_t id, level;
    char name[64];
    struct lev_queue_state state;
};

struct seen {
    struct seen_queue queues[64];
    size_t n_queues;
    char exchanges[16][64], bindings[16][200];
    size_t n_exchanges, n_bindings, n_used;
    uint32_t used_id; /* the last of n_used */
};

extern const struct lev_recovery seen_recovery; /* ctx: struct seen, zeroed */
const struct seen_queue *seen_queue(const struct seen *s, uint32_t id);

/* A new directory under $TMPDIR (free() the name), and its removal with all in it. */
char *feed_tmpdir(void);
void feed_rmdir(char *dir);
/* Copies every file of from into a new directory, as a crash would leave them. */
char *feed_copy_dir(const char *from);

#endif
