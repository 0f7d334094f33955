/* A set of disjoint, non-touching ranges [lo, hi) of positions, ascending, that knows what of it a
 * table already holds. It is the memory side of table `dead` for one queue.
 *
 * Ranges live in chunks of up to LEV_IV_CHUNK under one sorted directory: finding is two binary
 * searches, inserting moves a couple of kilobytes at most. 100,000 ranges take 2 to 4 MB.
 *
 * Changes since the last lev_ivset_sync are kept as dirty marks on ranges, a list of the starts of
 * stored ranges that are gone, and a position below which all are. A set that is empty and clean
 * takes no memory of its own: nearly all queues' are. One thread. */
#ifndef LEV_STORE_IVSET_H
#define LEV_STORE_IVSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LEV_IV_CHUNK = 128 };

struct lev_iv_chunk;

struct lev_iv_dir {
    uint64_t first; /* lo of the chunk's first range */
    struct lev_iv_chunk *chunk;
};

struct lev_iv_body {
    struct lev_iv_dir *dir;
    size_t n_dir, cap_dir;
    size_t n;         /* ranges */
    uint64_t covered; /* positions in them */
    size_t n_dirty;   /* dirty marks set (some may be gone by merging): 0 means clean */
    uint64_t *gone;   /* starts of stored ranges that are no more */
    size_t n_gone, cap_gone;
    uint64_t cut_below; /* stored ranges that started below it are no more (0: none were cut) */
};

struct lev_ivset {
    struct lev_iv_body *body; /* NULL: empty and clean */
};

void lev_ivset_init(struct lev_ivset *s);
void lev_ivset_deinit(struct lev_ivset *s);

/* Adds [lo, hi), lo < hi, joining what it touches or overlaps. */
void lev_ivset_add(struct lev_ivset *s, uint64_t lo, uint64_t hi);
/* Adds a range read from the table: it is behind all others and not dirty. */
void lev_ivset_load(struct lev_ivset *s, uint64_t lo, uint64_t hi);
/* The first range that ends above pos. False when there is none. */
bool lev_ivset_find(const struct lev_ivset *s, uint64_t pos, uint64_t *lo_r, uint64_t *hi_r);
/* Removes all of the set below pos (a range may be cut). */
void lev_ivset_cut(struct lev_ivset *s, uint64_t pos);
/* Removes the range that starts at lo, or its part below hi. */
void lev_ivset_drop(struct lev_ivset *s, uint64_t lo, uint64_t hi);

/* How the table follows. A callback that returns not 0 ends lev_ivset_sync with that value. */
struct lev_ivset_table {
    int (*cut)(void *ctx, uint64_t below);           /* remove all that start below */
    int (*gone)(void *ctx, uint64_t lo);             /* remove the one that starts at lo */
    int (*put)(void *ctx, uint64_t lo, uint64_t hi); /* write: new, or with a new end */
};

/* Gives all changes since the last time, in that order; afterwards the set is clean. When it fails
 * the set is in no defined relation to the table any more. */
int lev_ivset_sync(struct lev_ivset *s, const struct lev_ivset_table *table, void *ctx);

static inline bool lev_ivset_clean(const struct lev_ivset *s)
{
    const struct lev_iv_body *b = s->body;
    return !b || (b->n_dirty == 0 && b->n_gone == 0 && b->cut_below == 0);
}

/* Ranges in it. */
static inline size_t lev_ivset_count(const struct lev_ivset *s)
{
    return s->body ? s->body->n : 0;
}

static inline bool lev_ivset_empty(const struct lev_ivset *s)
{
    return lev_ivset_count(s) == 0;
}

#endif
