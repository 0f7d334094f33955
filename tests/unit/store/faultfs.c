/* A VFS that fails when told to. See faultfs.h. */
#include "faultfs.h"

#include <check.h>
#include <limits.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

struct fault_file {
    sqlite3_file base;
    sqlite3_file *real; /* behind this struct */
    const char *name;
};

/* One kind of failure: the calls left until it begins, and until it ends. */
struct fuse {
    _Atomic int until, count;
};

static sqlite3_vfs *real_vfs;
static struct fuse on_write, on_sync, on_read, on_database_sync;
static _Atomic long space = LONG_MAX;
static _Atomic int failures;
static pthread_mutex_t synced_mu = PTHREAD_MUTEX_INITIALIZER;
static bool keep_synced, lost; /* under synced_mu */

static bool blows(struct fuse *f)
{
    int n = atomic_fetch_sub(&f->until, 1);
    if (n > 1 || n <= 1 - atomic_load(&f->count))
        return false;
    atomic_fetch_add(&failures, 1);
    return true;
}

static void light(struct fuse *f, int nth, int count)
{
    atomic_store(&f->count, count);
    atomic_store(&f->until, nth);
}

void faultfs_heal(void)
{
    light(&on_write, 0, 0);
    light(&on_sync, 0, 0);
    light(&on_read, 0, 0);
    light(&on_database_sync, 0, 0);
    atomic_store(&space, LONG_MAX);
    atomic_store(&failures, 0);
}

void faultfs_fail_write(int nth, int count)
{
    light(&on_write, nth, count);
}

void faultfs_fail_sync(int nth, int count)
{
    light(&on_sync, nth, count);
}

void faultfs_fail_read(int nth, int count)
{
    light(&on_read, nth, count);
}

void faultfs_lose_sync(int nth)
{
    light(&on_database_sync, nth, 1);
}

void faultfs_full_after(long octets)
{
    atomic_store(&space, octets);
}

int faultfs_failures(void)
{
    return atomic_load(&failures);
}

#define REAL(f) (((struct fault_file *)(void *)(f))->real)

static int x_close(sqlite3_file *f)
{
    return REAL(f)->pMethods->xClose(REAL(f));
}

static int x_read(sqlite3_file *f, void *p, int n, sqlite3_int64 at)
{
    if (blows(&on_read))
        return SQLITE_IOERR_READ;
    return REAL(f)->pMethods->xRead(REAL(f), p, n, at);
}

static int x_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at)
{
    if (blows(&on_write))
        return SQLITE_IOERR_WRITE;
    if (atomic_load(&space) != LONG_MAX && atomic_fetch_sub(&space, n) < n) {
        atomic_fetch_add(&failures, 1);
        return SQLITE_FULL;
    }
    return REAL(f)->pMethods->xWrite(REAL(f), p, n, at);
}

static int x_truncate(sqlite3_file *f, sqlite3_int64 size)
{
    return REAL(f)->pMethods->xTruncate(REAL(f), size);
}

void faultfs_keep_synced(bool keep)
{
    pthread_mutex_lock(&synced_mu);
    keep_synced = keep;
    lost = false;
    pthread_mutex_unlock(&synced_mu);
}

/* Replaces name.synced by what name holds now. */
static void save_synced(const char *name)
{
    char tmp[4300], to[4300], buf[65536];
    snprintf(tmp, sizeof(tmp), "%s.new", name);
    snprintf(to, sizeof(to), "%s.synced", name);
    FILE *in = fopen(name, "rb"), *out = fopen(tmp, "wb");
    ck_assert(in && out);
    for (size_t n; (n = fread(buf, 1, sizeof(buf), in)) > 0;)
        ck_assert_uint_eq(fwrite(buf, 1, n, out), n);
    ck_assert_int_eq(fclose(out), 0);
    fclose(in);
    ck_assert_int_eq(rename(tmp, to), 0);
}

static bool is_database(const char *name)
{
    return name && strcmp(name + strlen(name) - 3, ".db") == 0;
}

static int x_sync(sqlite3_file *f, int flags)
{
    const char *name = ((struct fault_file *)(void *)f)->name;
    if (blows(&on_sync))
        return SQLITE_IOERR_FSYNC;
    if (is_database(name) && blows(&on_database_sync)) {
        pthread_mutex_lock(&synced_mu);
        lost = true;
        pthread_mutex_unlock(&synced_mu);
        return SQLITE_IOERR_FSYNC;
    }
    int rc = REAL(f)->pMethods->xSync(REAL(f), flags);
    pthread_mutex_lock(&synced_mu);
    if (rc == SQLITE_OK && keep_synced && name && !(lost && is_database(name)))
        save_synced(name);
    pthread_mutex_unlock(&synced_mu);
    return rc;
}

static int x_size(sqlite3_file *f, sqlite3_int64 *size)
{
    return REAL(f)->pMethods->xFileSize(REAL(f), size);
}

static int x_lock(sqlite3_file *f, int lock)
{
    return REAL(f)->pMethods->xLock(REAL(f), lock);
}

static int x_unlock(sqlite3_file *f, int lock)
{
    return REAL(f)->pMethods->xUnlock(REAL(f), lock);
}

static int x_check(sqlite3_file *f, int *r)
{
    return REAL(f)->pMethods->xCheckReservedLock(REAL(f), r);
}

static int x_control(sqlite3_file *f, int op, void *arg)
{
    return REAL(f)->pMethods->xFileControl(REAL(f), op, arg);
}

static int x_sector(sqlite3_file *f)
{
    return REAL(f)->pMethods->xSectorSize(REAL(f));
}

static int x_traits(sqlite3_file *f)
{
    return REAL(f)->pMethods->xDeviceCharacteristics(REAL(f));
}

static int x_shm_map(sqlite3_file *f, int page, int size, int extend, void volatile **p)
{
    return REAL(f)->pMethods->xShmMap(REAL(f), page, size, extend, p);
}

static int x_shm_lock(sqlite3_file *f, int offset, int n, int flags)
{
    return REAL(f)->pMethods->xShmLock(REAL(f), offset, n, flags);
}

static void x_shm_barrier(sqlite3_file *f)
{
    REAL(f)->pMethods->xShmBarrier(REAL(f));
}

static int x_shm_unmap(sqlite3_file *f, int remove)
{
    return REAL(f)->pMethods->xShmUnmap(REAL(f), remove);
}

static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = x_close,
    .xRead = x_read,
    .xWrite = x_write,
    .xTruncate = x_truncate,
    .xSync = x_sync,
    .xFileSize = x_size,
    .xLock = x_lock,
    .xUnlock = x_unlock,
    .xCheckReservedLock = x_check,
    .xFileControl = x_control,
    .xSectorSize = x_sector,
    .xDeviceCharacteristics = x_traits,
    .xShmMap = x_shm_map,
    .xShmLock = x_shm_lock,
    .xShmBarrier = x_shm_barrier,
    .xShmUnmap = x_shm_unmap,
};

static int x_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out)
{
    struct fault_file *f = (struct fault_file *)(void *)file;
    (void)vfs;
    f->base.pMethods = NULL;
    f->name = name;
    f->real = (sqlite3_file *)(void *)(f + 1);
    int rc = real_vfs->xOpen(real_vfs, name, f->real, flags, out);
    if (rc == SQLITE_OK)
        f->base.pMethods = &methods;
    return rc;
}

void faultfs_register(void)
{
    static sqlite3_vfs vfs;
    faultfs_heal();
    if (real_vfs)
        return;
    real_vfs = sqlite3_vfs_find(NULL);
    ck_assert_ptr_nonnull(real_vfs);
    vfs = *real_vfs; /* everything but open is as it was: those take any VFS */
    vfs.pNext = NULL;
    vfs.zName = "faultfs";
    vfs.szOsFile = (int)sizeof(struct fault_file) + real_vfs->szOsFile;
    vfs.xOpen = x_open;
    ck_assert_int_eq(sqlite3_vfs_register(&vfs, 0), SQLITE_OK);
}
