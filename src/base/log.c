/* Log lines to stderr. See log.h. */
#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static _Atomic int threshold = LEV_LOG_INFO;

void lev_log_set_level(enum lev_log_level level)
{
    atomic_store_explicit(&threshold, (int)level, memory_order_relaxed);
}

enum lev_log_level lev_log_level(void)
{
    return (enum lev_log_level)atomic_load_explicit(&threshold, memory_order_relaxed);
}

static size_t stamp(char *buf, size_t cap, enum lev_log_level level)
{
    static const char *const names[] = {"debug", "info", "warning", "error", "none"};
    struct timespec ts;
    struct tm tm;
    clock_gettime(CLOCK_REALTIME, &ts);
    gmtime_r(&ts.tv_sec, &tm);
    size_t n = strftime(buf, cap, "%Y-%m-%d %H:%M:%S", &tm);
    int k = snprintf(buf + n, cap - n, ".%06ld+00:00 [%s] ", ts.tv_nsec / 1000, names[level]);
    return n + (size_t)k;
}

void lev_log(enum lev_log_level level, const char *fmt, ...)
{
    if (level < lev_log_level())
        return;
    char line[1024];
    size_t n = stamp(line, sizeof(line), level);
    va_list ap;
    va_start(ap, fmt);
    int k = vsnprintf(line + n, sizeof(line) - n - 1, fmt, ap);
    va_end(ap);
    if (k > 0)
        n += (size_t)k < sizeof(line) - n - 1 ? (size_t)k : sizeof(line) - n - 2;
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)line[i] < 0x20)
            line[i] = '?';
    line[n++] = '\n';
    ssize_t w = write(STDERR_FILENO, line, n);
    (void)w;
}
