/* Topic patterns: a trie of words over binding keys.
 *
 * Keys and patterns are split at dots; the empty one has no words, "." has two empty ones. In a
 * pattern the word * stands for exactly one word, # for any number of words, none included; inside
 * of a longer word both are ordinary letters. Matching follows all possibilities word by word as
 * one set of nodes, so that its cost is bounded by words times nodes whatever the patterns are.
 * Runs under the vhost's lock. */
#ifndef LEV_BROKER_TOPIC_H
#define LEV_BROKER_TOPIC_H

#include "base/bytes.h"
#include "base/list.h"

struct lev_topic;

/* Never NULL. */
struct lev_topic *lev_topic_new(void);
/* Frees the trie; entries still in it are left alone. Accepts a pointer to NULL. */
void lev_topic_free(struct lev_topic **t);

/* Puts the caller's list node under pattern (at most 255 octets), which need not live on. */
void lev_topic_add(struct lev_topic *t, struct lev_bytes pattern, struct lev_list *entry);
/* Takes it out again: the pattern it was added with. Nodes that hold nothing any more go. */
void lev_topic_remove(struct lev_topic *t, struct lev_bytes pattern, struct lev_list *entry);

/* Calls fn with the list of entries (never empty) of each pattern that matches key, once a pattern.
 * fn changes nothing in t. */
void lev_topic_match(struct lev_topic *t, struct lev_bytes key,
                     void (*fn)(void *arg, const struct lev_list *entries), void *arg);

/* Nodes in the trie, root included; nodes entered by all matches so far. For tests of cost. */
size_t lev_topic_nodes(const struct lev_topic *t);
uint64_t lev_topic_steps(const struct lev_topic *t);

#endif
