/* Very large blocks, a few of which are kept for the next one that needs as much: a block fresh
 * from the kernel costs more to be cleared, page by page, than a message of that size costs to be
 * moved.
 *
 * What is kept is bounded, and given back after a few seconds without use. Any thread. */
#ifndef LEV_BASE_HUGE_H
#define LEV_BASE_HUGE_H

#include <stddef.h>
#include <stdint.h>

enum {
    LEV_HUGE_KEEP = 128 << 20, /* octets kept at most */
    LEV_HUGE_KEEP_MS = 5000,
};

/* size octets, on pages of 2 MiB where the kernel gives them; or NULL when memory is out. */
void *lev_huge_alloc(size_t size) __attribute__((malloc));
void lev_huge_free(void *p);
/* Gives back what was kept longer than LEV_HUGE_KEEP_MS. now_ms: monotonic, as of lev_clock_mono_ns
 * in milliseconds. Cheap when nothing is kept. */
void lev_huge_trim(uint64_t now_ms);
/* Octets kept at present. */
size_t lev_huge_kept(void);

#endif
