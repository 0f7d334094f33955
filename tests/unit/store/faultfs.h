/* An SQLite VFS over the default one that fails when told to. Counters are for the whole process.
 */
#ifndef LEV_TESTS_STORE_FAULTFS_H
#define LEV_TESTS_STORE_FAULTFS_H

#include <stdbool.h>

/* Registers the VFS "faultfs" (once). */
void faultfs_register(void);
/* No failures. */
void faultfs_heal(void);
/* The nth write (sync, read) from now on, and count - 1 after it, fail with an I/O error. */
void faultfs_fail_write(int nth, int count);
void faultfs_fail_sync(int nth, int count);
void faultfs_fail_read(int nth, int count);
/* The nth sync of a database file (not of a WAL) from now on fails, and what was written to it
 * since the one before is lost: NAME.synced keeps what it has, whatever is synced later. */
void faultfs_lose_sync(int nth);
/* Space ends after n more octets: SQLITE_FULL until healed. */
void faultfs_full_after(long octets);
/* From now on every file's contents as of its last sync are kept beside it, as NAME.synced: what a
 * power cut is sure to leave. false freezes them. */
void faultfs_keep_synced(bool keep);
/* How many failures there were since the last heal. */
int faultfs_failures(void);

#endif
