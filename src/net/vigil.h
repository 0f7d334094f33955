/* Whether a loop that has run out of work keeps its eyes open for a while or goes to sleep at once.
 *
 * To be woken takes a thread tens of microseconds, which is most of a round trip between programs
 * that answer at once, and costs both sides CPU. Keeping awake saves that while small things come
 * one soon after the other; at any other time it is a waste. So it is tried now and then, when a
 * loop is woken often, and kept up as long as what comes comes soon. Times are nanoseconds of a
 * monotonic clock. No thread of its own: a vigil belongs to its loop's. */
#ifndef LEV_NET_VIGIL_H
#define LEV_NET_VIGIL_H

#include <stdbool.h>
#include <stdint.h>

enum {
    LEV_VIGIL_LOOK_NS = 60000, /* the longest look-out */
    LEV_VIGIL_SOON_NS = 40000, /* what comes, and is done, within that on average is worth it */
    LEV_VIGIL_TRIAL = 8,   /* look-outs until that is judged: few, for they take a processor that
                            * others may have waited for */
    LEV_VIGIL_MEMORY = 64, /* look-outs that the average is of, later */
    LEV_VIGIL_OFTEN = 64,  /* a trial needs so many wake-ups in the pause before it */
    LEV_VIGIL_PAUSE_MIN_NS = 100000000, /* between trials; doubled by each that fails */
    LEV_VIGIL_PAUSE_MAX_NS = 800000000
};

/* All zeros: a new one. */
struct lev_vigil {
    bool awake;
    uint32_t looks;    /* at most LEV_VIGIL_MEMORY */
    int64_t mean_ns;   /* of so many, fading */
    uint64_t pause_ns; /* the next one; 0: the shortest */
    uint64_t next_ns;  /* when it is over */
    uint32_t wakes;    /* in it */
};

/* The loop has no work: true when it should look out, for LEV_VIGIL_LOOK_NS at most. */
bool lev_vigil_begin(struct lev_vigil *v, uint64_t now_ns);
/* How long that took, with the work it found; the longest look-out when it found none. */
void lev_vigil_end(struct lev_vigil *v, uint64_t now_ns, uint64_t took_ns);

#endif
