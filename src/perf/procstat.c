/* /proc/PID/stat: fields 14 and 15 are user and system ticks, 24 the resident pages (proc(5)). The
 * command name in field 2 may hold anything, so counting starts after its last ')'. */
#include "perf/procstat.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "perf/clock.h"

static int parse_stat(const char *text, struct lev_perf_procstat *stat_r)
{
    const char *after = strrchr(text, ')');
    unsigned long long user, system;
    long long pages;
    uint64_t tick_ns = LEV_PERF_SECOND_NS / (uint64_t)sysconf(_SC_CLK_TCK);

    if (!after || sscanf(after + 1,
                         " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %*d %*d %*d %*d "
                         "%*d %*d %*u %*u %lld",
                         &user, &system, &pages) != 3) {
        errno = EPROTO;
        return -1;
    }
    stat_r->cpu_ns = (user + system) * tick_ns;
    stat_r->rss_bytes = (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
    return 0;
}

int lev_perf_procstat_read(pid_t pid, struct lev_perf_procstat *stat_r)
{
    char path[64], text[1024];
    size_t len;
    FILE *file;

    snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
    file = fopen(path, "re");
    if (!file)
        return -1;
    len = fread(text, 1, sizeof text - 1, file);
    text[len] = '\0';
    if (fclose(file) != 0)
        return -1;
    return parse_stat(text, stat_r);
}

uint64_t lev_perf_procstat_self_cpu_ns(void)
{
    struct rusage use;

    getrusage(RUSAGE_SELF, &use);
    return (uint64_t)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) * LEV_PERF_SECOND_NS +
           (uint64_t)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) * 1000u;
}
