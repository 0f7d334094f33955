/* A fast seeded hash for table keys. Not cryptographic; the seed is drawn once per process so that
 * a peer cannot prepare colliding names. */
#ifndef LEV_BASE_HASH_H
#define LEV_BASE_HASH_H

#include "base/bytes.h"

/* Draws the process's seed from the kernel; called once at start, before threads. Tests may skip
 * it. */
void lev_hash_seed(void);

/* 64-bit hash of len bytes, chained by h0 (0 to start). */
uint64_t lev_hash(struct lev_bytes b, uint64_t h0);

/* The same without the seed: what it gives in one process, it gives in the next. For decisions that
 * must outlive a restart, not for tables. */
uint64_t lev_hash_fixed(struct lev_bytes b, uint64_t h0);

#endif
