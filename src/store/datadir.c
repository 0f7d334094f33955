/* The data directory and its lock. See datadir.h.
 *
 * The lock is an flock on dir/LOCK: it goes with the process, however that ends, so a lock file
 * that is left behind means nothing. The holder's process id is written into it, for the message
 * only. */
#include "store/datadir.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"

static int fail(char *errbuf, const char *what, const char *path)
{
    snprintf(errbuf, LEV_DATADIR_ERR_MAX, "cannot %s %.400s: %s", what, path, strerror(errno));
    return LEV_EIO;
}

/* Has a new entry of a directory on stable storage. Best effort: some file systems refuse. */
static void sync_dir(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return;
    (void)fsync(fd);
    close(fd);
}

static int make_one(const char *path, char errbuf[LEV_DATADIR_ERR_MAX])
{
    struct stat st;
    if (mkdir(path, 0750) == 0)
        return 1;
    if (errno != EEXIST)
        return fail(errbuf, "make directory", path);
    if (stat(path, &st) != 0)
        return fail(errbuf, "look at", path);
    if (S_ISDIR(st.st_mode))
        return 0;
    errno = ENOTDIR;
    return fail(errbuf, "use", path);
}

int lev_datadir_make(const char *dir, char errbuf[LEV_DATADIR_ERR_MAX])
{
    char path[PATH_MAX];
    size_t n = strlen(dir);
    if (n == 0 || n >= sizeof(path)) {
        errno = n ? ENAMETOOLONG : ENOENT;
        return fail(errbuf, "make directory", dir);
    }
    for (size_t i = 1; i <= n; i++) {
        if (i < n && dir[i] != '/')
            continue;
        memcpy(path, dir, i);
        path[i] = '\0';
        int made = make_one(path, errbuf);
        if (made < 0)
            return made;
        char *slash = strrchr(path, '/');
        if (made && slash && slash != path) {
            *slash = '\0';
            sync_dir(path);
        }
    }
    return 0;
}

static int busy(int fd, const char *dir, char errbuf[LEV_DATADIR_ERR_MAX])
{
    char pid[32] = "";
    ssize_t n = pread(fd, pid, sizeof(pid) - 1, 0);
    pid[n > 0 ? n : 0] = '\0';
    pid[strcspn(pid, "\n")] = '\0';
    snprintf(errbuf, LEV_DATADIR_ERR_MAX,
             "data directory %.400s is in use by another process%s%s%s", dir, pid[0] ? " (" : "",
             pid, pid[0] ? ")" : "");
    return LEV_EBUSY;
}

static int take(int fd, const char *dir, const char *path, char errbuf[LEV_DATADIR_ERR_MAX])
{
    char pid[32];
    if (flock(fd, LOCK_EX | LOCK_NB) != 0)
        return errno == EWOULDBLOCK ? busy(fd, dir, errbuf) : fail(errbuf, "lock", path);
    int n = snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) != 0 || pwrite(fd, pid, (size_t)n, 0) != n)
        return fail(errbuf, "write", path);
    return 0;
}

int lev_datadir_lock(const char *dir, int *fd_r, char errbuf[LEV_DATADIR_ERR_MAX])
{
    char path[PATH_MAX];
    *fd_r = -1;
    int err = lev_datadir_make(dir, errbuf);
    if (err != 0)
        return err;
    if ((size_t)snprintf(path, sizeof(path), "%s/LOCK", dir) >= sizeof(path)) {
        errno = ENAMETOOLONG;
        return fail(errbuf, "open", dir);
    }
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (fd < 0)
        return fail(errbuf, "open", path);
    err = take(fd, dir, path, errbuf);
    if (err != 0) {
        close(fd);
        return err;
    }
    *fd_r = fd;
    return 0;
}

void lev_datadir_unlock(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}
