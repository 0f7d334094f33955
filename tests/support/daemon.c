/* The daemon as a child process. See daemon.h.
 *
 * Invariant: the reader thread lives from daemon_start to reaping and drains the child's stderr all
 * that time, so that the child never blocks on a full pipe. `port` is set once, under the mutex. */
#include "daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { WAIT_S = 60, MAX_ARGS = 64 };

struct daemon_proc {
    pid_t pid;
    char *dir;
    bool dir_is_temporary;
    FILE *child_stderr;
    pthread_t reader;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int port;   /* 0 until the ready line was seen */
    bool ended; /* the child closed its stderr */
};

static void *read_stderr(void *arg)
{
    struct daemon_proc *d = arg;
    char *line = NULL;
    size_t cap = 0;
    while (getline(&line, &cap, d->child_stderr) > 0) {
        fputs(line, stderr);
        const char *ready = strstr(line, "ready: amqp port=");
        pthread_mutex_lock(&d->lock);
        if (ready != NULL)
            d->port = atoi(ready + strlen("ready: amqp port="));
        pthread_cond_signal(&d->changed);
        pthread_mutex_unlock(&d->lock);
    }
    free(line);
    pthread_mutex_lock(&d->lock);
    d->ended = true;
    pthread_cond_signal(&d->changed);
    pthread_mutex_unlock(&d->lock);
    return NULL;
}

static int wait_ready(struct daemon_proc *d)
{
    struct timespec end;
    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += WAIT_S;
    int rc = 0;
    pthread_mutex_lock(&d->lock);
    while (d->port == 0 && !d->ended && rc == 0)
        rc = pthread_cond_timedwait(&d->changed, &d->lock, &end);
    int port = d->port;
    pthread_mutex_unlock(&d->lock);
    return port > 0 ? 0 : -1;
}

static void exec_daemon(const char *dir, const char *const *extra_args)
{
    const char *path = getenv("LEVERETD"), *loops = getenv("LEVERET_TEST_LOOPS");
    const char *argv[MAX_ARGS] = {path != NULL ? path : "./leveretd", "--port", "0", "--data-dir",
                                  dir};
    size_t n = 5;
    if (loops != NULL) {
        argv[n++] = "--loops";
        argv[n++] = loops;
    }
    for (; extra_args != NULL && *extra_args != NULL && n < MAX_ARGS - 1; extra_args++)
        argv[n++] = *extra_args;
    execv(argv[0], (char *const *)argv);
    fprintf(stderr, "cannot run %s: %s\n", argv[0], strerror(errno));
    _exit(127);
}

static int spawn(struct daemon_proc *d, const char *const *extra_args)
{
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) != 0)
        return -1;
    d->pid = fork();
    if (d->pid == 0) {
        dup2(fds[1], STDERR_FILENO);
        exec_daemon(d->dir, extra_args);
    }
    close(fds[1]);
    if (d->pid < 0 || (d->child_stderr = fdopen(fds[0], "r")) == NULL)
        return -1;
    return pthread_create(&d->reader, NULL, read_stderr, d) == 0 ? 0 : -1;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static int make_dir(struct daemon_proc *d, const char *dir)
{
    if (dir != NULL) {
        d->dir = strdup(dir);
        return d->dir != NULL ? 0 : -1;
    }
    const char *tmp = getenv("TMPDIR");
    if (asprintf(&d->dir, "%s/leveret-test-XXXXXX", tmp != NULL ? tmp : "/tmp") < 0)
        return -1;
    d->dir_is_temporary = mkdtemp(d->dir) != NULL;
    return d->dir_is_temporary ? 0 : -1;
}

struct daemon_proc *daemon_start(const char *dir, const char *const *extra_args)
{
    struct daemon_proc *d = calloc(1, sizeof(*d));
    if (d == NULL)
        return NULL;
    pthread_mutex_init(&d->lock, NULL);
    pthread_cond_init(&d->changed, NULL);
    if (make_dir(d, dir) != 0 || spawn(d, extra_args) != 0) {
        perror("starting the daemon");
        abort();
    }
    if (wait_ready(d) == 0)
        return d;
    fprintf(stderr, "the daemon did not get ready\n");
    daemon_kill(&d);
    return NULL;
}

int daemon_port(const struct daemon_proc *d)
{
    return d->port;
}

pid_t daemon_pid(const struct daemon_proc *d)
{
    return d->pid;
}

const char *daemon_dir(const struct daemon_proc *d)
{
    return d->dir;
}

/* The child must be dying. Returns its wait status. */
static int reap(struct daemon_proc *d)
{
    int status = -1;
    while (waitpid(d->pid, &status, 0) < 0 && errno == EINTR)
        continue;
    pthread_join(d->reader, NULL);
    fclose(d->child_stderr);
    if (d->dir_is_temporary)
        nftw(d->dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    free(d->dir);
    pthread_cond_destroy(&d->changed);
    pthread_mutex_destroy(&d->lock);
    free(d);
    return status;
}

/* Waits until the child closed its stderr (it exits) or time is up. */
static void wait_end(struct daemon_proc *d)
{
    struct timespec end;
    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += WAIT_S;
    int rc = 0;
    pthread_mutex_lock(&d->lock);
    while (!d->ended && rc == 0)
        rc = pthread_cond_timedwait(&d->changed, &d->lock, &end);
    pthread_mutex_unlock(&d->lock);
    if (rc != 0) {
        fprintf(stderr, "the daemon did not stop; killing it\n");
        kill(d->pid, SIGKILL);
    }
}

int daemon_stop(struct daemon_proc **d)
{
    kill((*d)->pid, SIGTERM);
    wait_end(*d);
    int status = reap(*d);
    *d = NULL;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    fprintf(stderr, "the daemon ended with wait status 0x%x\n", (unsigned)status);
    return -1;
}

void daemon_kill(struct daemon_proc **d)
{
    kill((*d)->pid, SIGKILL);
    reap(*d);
    *d = NULL;
}
