/* What the tests of the SQLite store lie in: a store on a directory of its own, fed by a feed; its
 * death; and looks into its file from outside. One thread. */
#ifndef LEV_TESTS_STORE_BED_H
#define LEV_TESTS_STORE_BED_H

#include "feed.h"
#include "store/store_sqlite.h"

extern char *dir;
extern struct feed f;
extern struct lev_store *store;
extern struct lev_store_options options; /* for the next open */

/* The fixture: an open store, and everything released at the end. */
void bed_setup(void);
void bed_teardown(void);

/* Opens the store in where, recovers into seen (NULL: nobody looks), and starts it. */
void open_store(const char *where, struct seen *seen);
/* A clean stop and start. */
void reopen(struct seen *seen);
/* The process dies now; a new one starts with what the disk has. */
void crash(struct seen *seen);

/* A number from the database, by another connection, as an operator would; -1 when there is none.
 */
int64_t ask(const char *sql);
void ask_exec(const char *sql);
/* Waits until a query answers v. */
void wait_for(const char *sql, int64_t v);

#endif
