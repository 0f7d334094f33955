/* The data directory: made when missing, and held by one process at a time. */
#ifndef LEV_STORE_DATADIR_H
#define LEV_STORE_DATADIR_H

#include <stddef.h>

enum { LEV_DATADIR_ERR_MAX = 512 };

/* Makes dir (and parents, mode 0750) when missing and locks dir/LOCK for this process. *fd_r holds
 * the lock until lev_datadir_unlock or the end of the process. 0, LEV_EBUSY when another process
 * has it, or LEV_EIO; on failure one line in errbuf and *fd_r = -1. */
int lev_datadir_lock(const char *dir, int *fd_r, char errbuf[LEV_DATADIR_ERR_MAX])
    __attribute__((warn_unused_result));

/* Gives the lock back; accepts -1; leaves -1. */
void lev_datadir_unlock(int *fd);

/* Makes one directory path (and parents) when missing. 0 or LEV_EIO with one line in errbuf. */
int lev_datadir_make(const char *dir, char errbuf[LEV_DATADIR_ERR_MAX])
    __attribute__((warn_unused_result));

#endif
