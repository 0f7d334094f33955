/* Random values for the codec's tests, the same ones in every run. Views that a generator gives
 * live as long as it does. One thread. */
#ifndef LEV_TESTS_AMQP_GEN_H
#define LEV_TESTS_AMQP_GEN_H

#include "base/bytes.h"
#include "base/buf.h"

#include "support/guard.h"

struct gen {
    uint64_t state;
    uint8_t *arena; /* where the views point */
    size_t used;
};

void gen_init(struct gen *g, uint64_t seed);
void gen_deinit(struct gen *g);
/* Forgets all views given so far. */
void gen_reset(struct gen *g);

uint64_t gen_u64(struct gen *g);
/* 0 <= result < n. */
size_t gen_below(struct gen *g, size_t n);
/* Well-formed UTF-8 of at most 255 octets. */
struct lev_bytes gen_shortstr(struct gen *g);
/* Any octets, at most 600. */
struct lev_bytes gen_longstr(struct gen *g);
/* A valid table with values of all types, nested at most three deep. */
struct lev_bytes gen_table(struct gen *g);
/* A copy of b that lives as long as the generator's other views. */
struct lev_bytes gen_keep(struct gen *g, struct lev_bytes b);

/* Lays n octets against the end of a guarded region of at least that size; what lies before them is
 * readable, what follows is not. */
struct lev_bytes gen_at_guard(const struct guard_bytes *guard, const void *p, size_t n);

/* A table with nothing but another one in it, `depth` deep; 1 is an empty table. When mixed, levels
 * alternate between tables and arrays. */
void gen_nested(struct lev_buf *out, int depth, bool mixed);

#endif
