/* Log lines to one sink (stderr unless set). Thread-safe: one write per line. Never payloads or
 * credentials. Line: "2024-05-01 12:00:00.123456+00:00 [info] text". */
#ifndef LEV_BASE_LOG_H
#define LEV_BASE_LOG_H

enum lev_log_level { LEV_LOG_DEBUG, LEV_LOG_INFO, LEV_LOG_WARNING, LEV_LOG_ERROR, LEV_LOG_NONE };

/* Lines below level are dropped. Any thread; takes effect at once. Default: info. */
void lev_log_set_level(enum lev_log_level level);
enum lev_log_level lev_log_level(void);

void lev_log(enum lev_log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define lev_log_debug(...)                                                                         \
    (lev_log_level() <= LEV_LOG_DEBUG ? lev_log(LEV_LOG_DEBUG, __VA_ARGS__) : (void)0)
#define lev_log_info(...) lev_log(LEV_LOG_INFO, __VA_ARGS__)
#define lev_log_warn(...) lev_log(LEV_LOG_WARNING, __VA_ARGS__)
#define lev_log_error(...) lev_log(LEV_LOG_ERROR, __VA_ARGS__)

#endif
