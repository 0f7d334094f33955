/* What the random tests share: dice, weighted operations, the windows they play with, and their
 * check program, which plays one game for each seed. LEV_SEED=n LEV_OPS=n replays one of them; a
 * failure prints both. One thread. */
#ifndef LEV_TESTS_BROKER_PLAY_H
#define LEV_TESTS_BROKER_PLAY_H

#include <stddef.h>
#include <stdint.h>

#include "broker/vhost_int.h"

struct dice {
    uint64_t state;
};

void dice_seed(struct dice *d, unsigned long seed);
/* 0 to n - 1. */
int dice_below(struct dice *d, int n);
bool dice_chance(struct dice *d, unsigned percent);

struct play;

/* An operation of the peer with this number on one of its channels. */
struct play_op {
    const char *name;
    int weight;
    void (*run)(struct play *g, int peer, int ch);
};

/* One of them, by weight. */
const struct play_op *play_pick(struct dice *d, const struct play_op *ops, size_t n);

/* From the defaults (NULL) down to so small that next to nothing stays in memory. */
const struct lev_windows *play_windows(unsigned long seed);

/* The test's: plays so many operations and fails the check where something differs. */
typedef void play_fn(unsigned long seed, unsigned long ops);
/* Plays with seeds 1 to n_seeds, or the one that LEV_SEED names. Gives main's exit status. */
int play_main(const char *name, int n_seeds, play_fn *play);

#endif
