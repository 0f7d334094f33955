/* What the files of meta.db share. */
#ifndef LEV_STORE_META_INT_H
#define LEV_STORE_META_INT_H

#include "store/meta.h"
#include "store/sql.h"

struct lev_meta {
    sqlite3 *db;
    char error[LEV_META_ERR_MAX];
};

/* Notes what the database says about a result code, and gives our code for it. */
int lev_meta_failed_(struct lev_meta *m, int rc);
/* LEV_ENOTFOUND, noted. */
int lev_meta_not_found_(struct lev_meta *m, const char *what, struct lev_bytes name);
/* Calls row for each row that sql gives. */
int lev_meta_each_(struct lev_meta *m, const char *sql,
                   void (*row)(const void *visitor, sqlite3_stmt *st), const void *visitor);
/* Runs one statement with text parameters ?1 to ?n. *changed_r: rows changed. */
int lev_meta_run_(struct lev_meta *m, const char *sql, const struct lev_bytes *args, int n,
                  int *changed_r);

#endif
