/* The real daemon, as a child process of a test: started on a port of its choosing, stopped by
 * SIGTERM or SIGKILL. One thread of the test uses a daemon at a time. */
#ifndef LEV_TESTS_DAEMON_H
#define LEV_TESTS_DAEMON_H

#include <sys/types.h>

struct daemon_proc;

/* Starts leveretd ($LEVERETD, or ./leveretd) with `--port 0 --data-dir <dir>` and the extra
 * arguments (ends with NULL; may be NULL itself), with `--loops $LEVERET_TEST_LOOPS` before them
 * when that is set, and returns when it says it is ready. With dir NULL it gets a new temporary
 * directory, removed by daemon_stop. What the daemon writes to stderr is copied to the test's.
 * Returns owned, or NULL (reason on stderr) when it did not get ready within a minute. */
struct daemon_proc *daemon_start(const char *dir, const char *const *extra_args);

/* The AMQP port on 127.0.0.1; the process; its data directory (valid until it is freed). */
int daemon_port(const struct daemon_proc *d);
pid_t daemon_pid(const struct daemon_proc *d);
const char *daemon_dir(const struct daemon_proc *d);

/* SIGTERM, waits (a minute, then SIGKILL), frees, clears *d. Returns 0 when it exited with 0. */
int daemon_stop(struct daemon_proc **d);

/* SIGKILL, waits, frees, clears *d. The data directory stays unless it was a temporary one. */
void daemon_kill(struct daemon_proc **d);

#endif
