/* Helpers over SQLite. See sql.h. */
#include "store/sql.h"

#include <pthread.h>
#include <stdio.h>

#include "base/err.h"

enum { BUSY_TIMEOUT_MS = 2000 };

static void init_once(void)
{
    /* SQLITE_MISUSE when somebody initialised SQLite before: then it keeps its statistics */
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

void lev_sql_init(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, init_once);
}

int lev_sql_err(int rc)
{
    switch (rc & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return 0;
    case SQLITE_NOMEM:
        return LEV_ENOMEM;
    case SQLITE_FULL:
        return LEV_EFULL;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return LEV_EBUSY;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_FORMAT:
        return LEV_ECORRUPT;
    default:
        return LEV_EIO;
    }
}

const char *lev_sql_why(sqlite3 *db, int rc)
{
    bool its_own = (sqlite3_errcode(db) & 0xff) == (rc & 0xff); /* else we found the fault */
    return its_own ? sqlite3_errmsg(db) : sqlite3_errstr(rc);
}

int lev_sql_exec(sqlite3 *db, const char *sql)
{
    return sqlite3_exec(db, sql, NULL, NULL, NULL);
}

int lev_sql_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **st_r)
{
    return sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, st_r, NULL);
}

int lev_sql_run(sqlite3_stmt *st)
{
    int rc = sqlite3_step(st);
    int reset = sqlite3_reset(st);
    if (rc != SQLITE_DONE && rc != SQLITE_ROW)
        return rc;
    return reset;
}

int lev_sql_get_int(sqlite3 *db, const char *sql, int64_t *value_r)
{
    sqlite3_stmt *st;
    int rc = sqlite3_prepare_v2(db, sql, -1, &st, NULL);
    if (rc != SQLITE_OK)
        return rc;
    rc = sqlite3_step(st);
    *value_r = rc == SQLITE_ROW ? sqlite3_column_int64(st, 0) : 0;
    int end = sqlite3_finalize(st);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? end : rc;
}

int lev_sql_open(const char *path, const char *vfs, bool create, sqlite3 **db_r, char *errbuf,
                 size_t errsize)
{
    lev_sql_init();
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | (create ? SQLITE_OPEN_CREATE : 0);
    int rc = sqlite3_open_v2(path, db_r, flags, vfs);
    if (rc == SQLITE_OK)
        rc = sqlite3_extended_result_codes(*db_r, 1);
    if (rc == SQLITE_OK)
        rc = sqlite3_busy_timeout(*db_r, BUSY_TIMEOUT_MS);
    if (rc == SQLITE_OK)
        rc = lev_sql_exec(*db_r, "PRAGMA page_size=16384; PRAGMA auto_vacuum=NONE;"
                                 "PRAGMA secure_delete=OFF; PRAGMA temp_store=MEMORY;"
                                 "PRAGMA cell_size_check=ON; PRAGMA trusted_schema=OFF");
    if (rc == SQLITE_OK)
        return SQLITE_OK;
    snprintf(errbuf, errsize, "cannot open %s: %s", path,
             *db_r ? sqlite3_errmsg(*db_r) : sqlite3_errstr(rc));
    (void)sqlite3_close(*db_r);
    *db_r = NULL;
    return rc;
}

/* Everything in one transaction: a database is either empty or whole. */
static int create_schema(sqlite3 *db, int64_t app_id, int64_t version, const char *schema)
{
    char pragmas[128];
    snprintf(pragmas, sizeof(pragmas), "PRAGMA application_id=%lld; PRAGMA user_version=%lld",
             (long long)app_id, (long long)version);
    int rc = lev_sql_exec(db, "BEGIN IMMEDIATE");
    if (rc == SQLITE_OK)
        rc = lev_sql_exec(db, schema);
    if (rc == SQLITE_OK)
        rc = lev_sql_exec(db, pragmas);
    if (rc == SQLITE_OK)
        rc = lev_sql_exec(db, "COMMIT");
    if (rc != SQLITE_OK && !sqlite3_get_autocommit(db))
        (void)lev_sql_exec(db, "ROLLBACK");
    return rc;
}

int lev_sql_schema(sqlite3 *db, const char *path, int64_t app_id, int64_t version,
                   const char *schema, char *errbuf, size_t errsize)
{
    int64_t tables = 0, id = 0, found = 0;
    int rc = lev_sql_get_int(db, "SELECT count(*) FROM sqlite_master", &tables);
    if (rc == SQLITE_OK)
        rc = lev_sql_get_int(db, "PRAGMA application_id", &id);
    if (rc == SQLITE_OK)
        rc = lev_sql_get_int(db, "PRAGMA user_version", &found);
    if (rc == SQLITE_OK && tables == 0)
        rc = create_schema(db, app_id, version, schema);
    if (rc != SQLITE_OK) {
        snprintf(errbuf, errsize, "cannot read %s: %s", path, sqlite3_errmsg(db));
        return lev_sql_err(rc);
    }
    if (tables == 0)
        return 0;
    if (id != app_id) {
        snprintf(errbuf, errsize, "%s is not a Leveret database of this kind", path);
        return LEV_EVERSION;
    }
    if (found != version) {
        snprintf(errbuf, errsize, "%s has schema version %lld; this Leveret reads version %lld: %s",
                 path, (long long)found, (long long)version,
                 found > version ? "use a newer Leveret" : "it cannot be upgraded");
        return LEV_EVERSION;
    }
    return 0;
}
