/* Intrusive doubly linked lists. A list head is a node that points to itself when empty; a node not
 * in any list points to itself too, so that remove is always safe. */
#ifndef LEV_BASE_LIST_H
#define LEV_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/mem.h"

struct lev_list {
    struct lev_list *next, *prev;
};

static inline void lev_list_init(struct lev_list *l)
{
    l->next = l->prev = l;
}

static inline bool lev_list_empty(const struct lev_list *l)
{
    return l->next == l;
}

/* True when the node is in some list. */
static inline bool lev_list_linked(const struct lev_list *n)
{
    return n->next != n;
}

static inline void lev_list_insert_before(struct lev_list *at, struct lev_list *n)
{
    n->prev = at->prev;
    n->next = at;
    at->prev->next = n;
    at->prev = n;
}

static inline void lev_list_push_back(struct lev_list *l, struct lev_list *n)
{
    lev_list_insert_before(l, n);
}

static inline void lev_list_push_front(struct lev_list *l, struct lev_list *n)
{
    lev_list_insert_before(l->next, n);
}

static inline void lev_list_remove(struct lev_list *n)
{
    n->prev->next = n->next;
    n->next->prev = n->prev;
    n->next = n->prev = n;
}

#define LEV_LIST_ENTRY(node, type, member) LEV_CONTAINER(node, type, member)

/* Iterate nodes; the current one may be removed. */
#define LEV_LIST_EACH(it, nx, l)                                                                   \
    for (struct lev_list *it = (l)->next, *nx = it->next; it != (l); it = nx, nx = it->next)

#endif
