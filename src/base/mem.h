/* Allocation of small, bounded things: running out of memory for them ends the process with a line.
 * Anything sized by a peer uses malloc and handles NULL instead. */
#ifndef LEV_BASE_MEM_H
#define LEV_BASE_MEM_H

#include <stddef.h>
#include <stdlib.h>

void *lev_xmalloc(size_t size) __attribute__((malloc, returns_nonnull));
void *lev_xcalloc(size_t n, size_t size) __attribute__((malloc, returns_nonnull));
void *lev_xrealloc(void *p, size_t size) __attribute__((returns_nonnull));

/* The struct that holds member, from a pointer to the member. */
#define LEV_CONTAINER(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#endif
