/* A store in memory for tests: struct lev_store_ops driven by hand, one thread, no clock.
 *
 * Nothing happens until lev_store_mem_run. What was "committed" survives lev_store_mem_crash;
 * spilled messages, batches not yet done and reads not yet served do not. */
#ifndef LEV_STORE_STORE_MEM_H
#define LEV_STORE_STORE_MEM_H

#include "broker/store.h"

/* An empty store; never NULL. */
struct lev_store *lev_store_mem_new(void);
/* Frees everything, held batches and queued reads too. Accepts a pointer to NULL. */
void lev_store_mem_free(struct lev_store **s);

/* Whom to call from lev_store_mem_run (borrowed). */
void lev_store_mem_start(struct lev_store *s, const struct lev_store_client *client, void *ctx);

/* Takes and commits until take gives NULL, then serves the queued reads, until nothing is left.
 * Returns how many batches were done and reads served. While failing, one batch is held and tried
 * again at each run; reads are still served. */
size_t lev_store_mem_run(struct lev_store *s);
/* Only one half of it. */
size_t lev_store_mem_run_writer(struct lev_store *s);
size_t lev_store_mem_run_reader(struct lev_store *s);
/* One batch; false when there is none, or it cannot be committed. */
bool lev_store_mem_run_batch(struct lev_store *s);

/* rc < 0: commits fail from now on (trouble(rc) at the next attempt); 0: they work again
 * (trouble(0)). */
void lev_store_mem_fail(struct lev_store *s, int rc);
/* The same for reads: served with rc, no items, reached == from. */
void lev_store_mem_fail_reads(struct lev_store *s, int rc);

/* As if the process had died: frees the held batch and queued reads, forgets spill and the client.
 */
void lev_store_mem_crash(struct lev_store *s);
/* As lev_store_recover; always succeeds. */
void lev_store_mem_recover(struct lev_store *s, const struct lev_recovery *recovery, void *ctx);

/* True when wake was called since the last run. */
bool lev_store_mem_woken(const struct lev_store *s);
/* Reads queued; batches committed so far. */
size_t lev_store_mem_pending_reads(const struct lev_store *s);
uint64_t lev_store_mem_commits(const struct lev_store *s);
/* Live rows of a queue, in message (spilled false) or spill. */
size_t lev_store_mem_rows(const struct lev_store *s, uint32_t queue_id, bool spilled);
/* Each live message of a queue, in order; row may not change the store. */
void lev_store_mem_each(const struct lev_store *s, uint32_t queue_id,
                        void (*row)(void *ctx, const struct lev_msg *msg), void *ctx);
/* Delayed messages; ids that must not come twice. */
size_t lev_store_mem_delayed(const struct lev_store *s);
size_t lev_store_mem_ids(const struct lev_store *s);
/* No row and no garbage: as lev_store_queue_id_free. */
bool lev_store_mem_queue_id_free(const struct lev_store *s, uint32_t queue_id);

#endif
