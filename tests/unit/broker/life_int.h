/* What the parts of the model share. See life.h; life.c: what is asked of it; life_check.c: what
 * must have happened, and comparing; life_spec.c: the queues and policies. */
#ifndef LEV_TESTS_BROKER_LIFE_INT_H
#define LEV_TESTS_BROKER_LIFE_INT_H

#include "life.h"

/* Lists are in order of place. */
void life_list_insert(struct life_list *ls, const struct life_msg *x);
struct life_msg life_list_remove(struct life_list *ls, size_t at);
/* 0 of a limit means none. */
uint64_t life_limit(uint64_t n);
uint64_t life_now(const struct life *l);
/* The queue of that name is still the same. */
bool life_alive(const struct life *l, int queue, int gen);
unsigned life_level_of(int queue, const struct life_msg *m);
/* True when a is handed out (and dropped) before b. */
bool life_goes_first(int queue, const struct life_msg *a, const struct life_msg *b);
uint64_t life_bytes_of(const struct life_list *ls);
void life_enqueue(struct life *l, int queue, struct life_msg m);
/* A queue gives a message up. */
void life_die(struct life *l, int queue, struct life_msg m, enum lev_death reason);
/* False: refused. */
bool life_offer(struct life *l, int queue, const struct life_msg *m);
/* The n-th consumer of all, or NULL. */
struct life_consumer *life_consumer_at(struct life *l, int n);
int life_consumers_of(struct life *l, int queue);
/* The one that has waited longest. */
struct life_consumer *life_active_of(struct life *l, int queue);

#endif
