/* Clocks. Rooms below the daemon are given the time; only loops, the daemon and what
 * measures itself (lock.h, the store) read it. */
#ifndef LEV_BASE_CLOCK_H
#define LEV_BASE_CLOCK_H

#include <stdint.h>

/* Milliseconds since the epoch. */
uint64_t lev_clock_wall_ms(void);
/* Monotonic nanoseconds. */
uint64_t lev_clock_mono_ns(void);

#endif
