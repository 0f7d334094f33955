/* What a process costs, read from /proc: CPU of all its threads, resident memory. Any thread. */
#ifndef LEV_PERF_PROCSTAT_H
#define LEV_PERF_PROCSTAT_H

#include <stdint.h>
#include <sys/types.h>

struct lev_perf_procstat {
    uint64_t cpu_ns;    /* user + system time of every thread, living or ended */
    uint64_t rss_bytes; /* resident set now */
};

/* Reads the figures of pid. Returns 0, or -1 (errno set) when there is no such process or it cannot
 * be read. */
int lev_perf_procstat_read(pid_t pid, struct lev_perf_procstat *stat_r);
/* The CPU this process itself has used. */
uint64_t lev_perf_procstat_self_cpu_ns(void);

#endif
