/* Small helpers over SQLite: opening, statements, errors. Functions return SQLite result codes
 * (SQLITE_OK is 0) unless they say otherwise. */
#ifndef LEV_STORE_SQL_H
#define LEV_STORE_SQL_H

#include <sqlite3.h>

#include "base/bytes.h"

/* Once per process, before the first connection: no memory statistics (they cost a global lock on
 * each allocation). Called by lev_sql_open. */
void lev_sql_init(void);

/* A LEV_E* for an SQLite result code (0 for SQLITE_OK, _ROW and _DONE). */
int lev_sql_err(int rc);

/* Why the last call on db gave rc. A view, until the next call. */
const char *lev_sql_why(sqlite3 *db, int rc);

/* Opens path read-write, creating it when asked to, with busy time-out and the pragmas every
 * connection has. On failure *db_r is NULL and errbuf has one line. */
int lev_sql_open(const char *path, const char *vfs, bool create, sqlite3 **db_r, char *errbuf,
                 size_t errsize);

/* Runs statements that give no rows. */
int lev_sql_exec(sqlite3 *db, const char *sql);

/* Runs a statement whose first column of its first row is wanted. */
int lev_sql_get_int(sqlite3 *db, const char *sql, int64_t *value_r);

/* Prepares a statement to be kept. */
int lev_sql_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **st_r);

/* Runs a bound statement that gives no rows, and resets it. */
int lev_sql_run(sqlite3_stmt *st);

/* Makes an empty database into ours, or checks that it is ours and of this version: pragma
 * application_id is app_id and user_version is version. schema creates everything. Returns a
 * LEV_E*, with one line in errbuf. */
int lev_sql_schema(sqlite3 *db, const char *path, int64_t app_id, int64_t version,
                   const char *schema, char *errbuf, size_t errsize);

/* Binding: rc accumulates, so that one check at the end does. Borrow b until the statement is done.
 */
static inline void lev_sql_int(int *rc, sqlite3_stmt *st, int i, uint64_t v)
{
    *rc |= sqlite3_bind_int64(st, i, (int64_t)v);
}

static inline void lev_sql_text(int *rc, sqlite3_stmt *st, int i, struct lev_bytes b)
{
    *rc |= sqlite3_bind_text64(st, i, b.len ? (const char *)b.ptr : "", b.len, SQLITE_STATIC,
                               SQLITE_UTF8);
}

static inline void lev_sql_blob(int *rc, sqlite3_stmt *st, int i, struct lev_bytes b)
{
    *rc |= sqlite3_bind_blob64(st, i, b.len ? (const void *)b.ptr : "", b.len, SQLITE_STATIC);
}

/* A column's octets (text or blob), valid until the next step. */
static inline struct lev_bytes lev_sql_bytes(sqlite3_stmt *st, int col)
{
    const void *p = sqlite3_column_blob(st, col);
    return lev_bytes(p, p ? (size_t)sqlite3_column_bytes(st, col) : 0);
}

#endif
