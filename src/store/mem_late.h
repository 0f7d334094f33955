/* What the store in memory keeps beside queues: delayed messages and ids that must not come twice.
 * See store_mem.h; one thread. */
#ifndef LEV_STORE_MEM_LATE_H
#define LEV_STORE_MEM_LATE_H

#include "broker/store.h"

/* Zeroed: empty. */
struct lev_mem_late {
    struct lev_delayed **delayed; /* in order */
    size_t n_delayed, cap_delayed;
    struct lev_dedup_def **ids; /* by owner and id */
    size_t n_ids, cap_ids;
};

void lev_mem_late_deinit(struct lev_mem_late *l);
/* Takes note of those kinds of operations that it knows, deletions of queues and exchanges too. */
void lev_mem_late_apply(struct lev_mem_late *l, const struct lev_op *op);
/* Serves a read of delayed messages. */
void lev_mem_late_read(const struct lev_mem_late *l, struct lev_read *r);
void lev_mem_late_recover(const struct lev_mem_late *l, const struct lev_recovery *recovery,
                          void *ctx);

#endif
