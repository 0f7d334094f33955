/* meta.db: opening and upgrading it; users, vhosts, permissions. See meta.h; policies and
 * parameters are in meta_policy.c.
 *
 * A new database is made as of version 1 and upgraded like an old one, so that there is one way to
 * each version. Statements are prepared when used; nothing here is hot. */
#include <stdio.h>

#include "base/err.h"
#include "base/mem.h"
#include "store/meta_int.h"

enum { META_FIRST_VERSION = 1, META_VERSION = 2, META_APP_ID = 0x4c45564d };

static const char first_schema[] =
    "CREATE TABLE user("
    " name TEXT PRIMARY KEY,"
    " password_hash TEXT NOT NULL,"
    " hashing_algorithm TEXT NOT NULL,"
    " tags TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE vhost("
    " id INTEGER PRIMARY KEY AUTOINCREMENT," /* never reused: it names a directory */
    " name TEXT NOT NULL UNIQUE,"
    " description TEXT NOT NULL,"
    " tags TEXT NOT NULL);"
    "CREATE TABLE permission("
    " user TEXT NOT NULL,"
    " vhost TEXT NOT NULL,"
    " configure TEXT NOT NULL,"
    " write TEXT NOT NULL,"
    " read TEXT NOT NULL,"
    " PRIMARY KEY(user, vhost)) WITHOUT ROWID;"
    "INSERT INTO vhost(id, name, description, tags) VALUES(1, '/', 'Default virtual host', '');";

/* upgrades[i] makes version i + 2 of version i + 1. */
static const char *const upgrades[] = {
    "ALTER TABLE vhost ADD COLUMN default_queue_type TEXT NOT NULL DEFAULT '';"
    "CREATE TABLE topic_permission("
    " user TEXT NOT NULL,"
    " vhost TEXT NOT NULL,"
    " exchange TEXT NOT NULL,"
    " write TEXT NOT NULL,"
    " read TEXT NOT NULL,"
    " PRIMARY KEY(user, vhost, exchange)) WITHOUT ROWID;"
    "CREATE TABLE policy("
    " vhost TEXT NOT NULL,"
    " of_operator INTEGER NOT NULL,"
    " name TEXT NOT NULL,"
    " pattern TEXT NOT NULL,"
    " apply_to TEXT NOT NULL,"
    " definition TEXT NOT NULL," /* JSON */
    " priority INTEGER NOT NULL,"
    " PRIMARY KEY(vhost, of_operator, name)) WITHOUT ROWID;"
    "CREATE TABLE parameter("
    " vhost TEXT NOT NULL," /* of global ones: '' */
    " component TEXT NOT NULL,"
    " name TEXT NOT NULL,"
    " value TEXT NOT NULL," /* JSON */
    " PRIMARY KEY(vhost, component, name)) WITHOUT ROWID;",
};
_Static_assert(META_FIRST_VERSION + sizeof(upgrades) / sizeof(upgrades[0]) == META_VERSION,
               "an upgrade for each version");

const char *lev_meta_error(const struct lev_meta *meta)
{
    return meta->error;
}

int lev_meta_failed_(struct lev_meta *m, int rc)
{
    if (rc == SQLITE_OK)
        return 0;
    snprintf(m->error, sizeof(m->error), "meta.db: %s", sqlite3_errmsg(m->db));
    return lev_sql_err(rc);
}

int lev_meta_not_found_(struct lev_meta *m, const char *what, struct lev_bytes name)
{
    snprintf(m->error, sizeof(m->error), "%s '%.*s' not found", what, LEV_FMT(name));
    return LEV_ENOTFOUND;
}

/* One step up, whole or not at all. */
static int upgrade_from(sqlite3 *db, int64_t version)
{
    char pragma[64];
    snprintf(pragma, sizeof(pragma), "PRAGMA user_version=%lld", (long long)version + 1);
    int rc = lev_sql_exec(db, "BEGIN IMMEDIATE");
    if (rc == SQLITE_OK)
        rc = lev_sql_exec(db, upgrades[version - META_FIRST_VERSION]);
    if (rc == SQLITE_OK)
        rc = lev_sql_exec(db, pragma);
    if (rc == SQLITE_OK)
        rc = lev_sql_exec(db, "COMMIT");
    if (rc != SQLITE_OK && !sqlite3_get_autocommit(db))
        (void)lev_sql_exec(db, "ROLLBACK"); /* rc says what is wrong */
    return rc;
}

/* Brings a database to this version; one that is not ours, or newer, is refused. */
static int bring_up_to_date(sqlite3 *db, const char *path, char *errbuf)
{
    int64_t version = 0, tables = 0;
    int rc = lev_sql_get_int(db, "SELECT count(*) FROM sqlite_master", &tables);
    if (rc == SQLITE_OK)
        rc = lev_sql_get_int(db, "PRAGMA user_version", &version);
    bool older = tables > 0 && version >= META_FIRST_VERSION && version < META_VERSION;
    int64_t expected = tables == 0 ? META_FIRST_VERSION : older ? version : META_VERSION;
    int err =
        lev_sql_schema(db, path, META_APP_ID, expected, first_schema, errbuf, LEV_META_ERR_MAX);
    if (err != 0)
        return err;
    for (version = expected; rc == SQLITE_OK && version < META_VERSION; version++)
        rc = upgrade_from(db, version);
    if (rc != SQLITE_OK)
        snprintf(errbuf, LEV_META_ERR_MAX, "cannot upgrade %s: %s", path, sqlite3_errmsg(db));
    return lev_sql_err(rc);
}

int lev_meta_open(const char *dir, struct lev_meta **meta_r, char errbuf[LEV_META_ERR_MAX])
{
    size_t n = strlen(dir) + sizeof("/meta.db");
    struct lev_meta *m = lev_xcalloc(1, sizeof(*m));
    char *path = lev_xmalloc(n);
    *meta_r = NULL;
    snprintf(path, n, "%s/meta.db", dir);
    int rc = lev_sql_open(path, NULL, true, &m->db, errbuf, LEV_META_ERR_MAX);
    int err = lev_sql_err(rc);
    if (err == 0) {
        rc = lev_sql_exec(m->db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL");
        err = lev_sql_err(rc);
        if (err != 0)
            snprintf(errbuf, LEV_META_ERR_MAX, "cannot open %s: %s", path, sqlite3_errmsg(m->db));
    }
    if (err == 0)
        err = bring_up_to_date(m->db, path, errbuf);
    free(path);
    if (err != 0)
        lev_meta_close(&m);
    *meta_r = m;
    return err;
}

void lev_meta_close(struct lev_meta **meta)
{
    struct lev_meta *m = *meta;
    *meta = NULL;
    if (!m)
        return;
    (void)sqlite3_close(m->db);
    free(m);
}

/* ---- Several changes as one -------------------------------------------------------------------
 */

int lev_meta_begin(struct lev_meta *meta)
{
    return lev_meta_failed_(meta, lev_sql_exec(meta->db, "BEGIN IMMEDIATE"));
}

int lev_meta_commit(struct lev_meta *meta)
{
    return lev_meta_failed_(meta, lev_sql_exec(meta->db, "COMMIT"));
}

void lev_meta_rollback(struct lev_meta *meta)
{
    if (!sqlite3_get_autocommit(meta->db))
        (void)lev_sql_exec(meta->db, "ROLLBACK"); /* nothing was committed, whatever it says */
}

/* ---- Visiting ---- */

/* What a row is given to; one of the functions is set. */
struct visitor {
    void (*user)(void *ctx, const struct lev_meta_user *u);
    void (*vhost)(void *ctx, const struct lev_meta_vhost *v);
    void (*permission)(void *ctx, const struct lev_meta_permission *p);
    void *ctx;
};

static void visit(const void *visitor, sqlite3_stmt *st)
{
    const struct visitor *v = visitor;
    struct lev_bytes b[5];
    for (int i = 0; i < 5; i++)
        b[i] = i < sqlite3_column_count(st) ? lev_sql_bytes(st, i) : LEV_EMPTY;
    if (v->user)
        v->user(v->ctx, &(struct lev_meta_user){b[0], b[1], b[2], b[3]});
    else if (v->vhost)
        v->vhost(v->ctx, &(struct lev_meta_vhost){(uint32_t)sqlite3_column_int64(st, 4), b[0], b[1],
                                                  b[2], b[3]});
    else
        v->permission(v->ctx, &(struct lev_meta_permission){b[0], b[1], b[2], b[3], b[4]});
}

int lev_meta_each_(struct lev_meta *m, const char *sql,
                   void (*row)(const void *visitor, sqlite3_stmt *st), const void *visitor)
{
    sqlite3_stmt *st;
    int rc = sqlite3_prepare_v2(m->db, sql, -1, &st, NULL);
    if (rc != SQLITE_OK)
        return lev_meta_failed_(m, rc);
    while ((rc = sqlite3_step(st)) == SQLITE_ROW)
        row(visitor, st);
    if (rc == SQLITE_DONE)
        rc = SQLITE_OK;
    int err = lev_meta_failed_(m, rc);
    (void)sqlite3_finalize(st); /* repeats rc */
    return err;
}

int lev_meta_each_user(struct lev_meta *meta, void (*fn)(void *ctx, const struct lev_meta_user *u),
                       void *ctx)
{
    return lev_meta_each_(
        meta, "SELECT name,password_hash,hashing_algorithm,tags FROM user ORDER BY name", visit,
        &(struct visitor){.user = fn, .ctx = ctx});
}

int lev_meta_each_vhost(struct lev_meta *meta,
                        void (*fn)(void *ctx, const struct lev_meta_vhost *v), void *ctx)
{
    return lev_meta_each_(
        meta, "SELECT name,description,tags,default_queue_type,id FROM vhost ORDER BY name", visit,
        &(struct visitor){.vhost = fn, .ctx = ctx});
}

int lev_meta_each_permission(struct lev_meta *meta,
                             void (*fn)(void *ctx, const struct lev_meta_permission *p), void *ctx)
{
    return lev_meta_each_(
        meta, "SELECT user,vhost,configure,write,read FROM permission ORDER BY user,vhost", visit,
        &(struct visitor){.permission = fn, .ctx = ctx});
}

/* ---- Changing ---- */

int lev_meta_run_(struct lev_meta *m, const char *sql, const struct lev_bytes *args, int n,
                  int *changed_r)
{
    sqlite3_stmt *st;
    int rc = sqlite3_prepare_v2(m->db, sql, -1, &st, NULL);
    if (rc != SQLITE_OK)
        return lev_meta_failed_(m, rc);
    for (int i = 0; i < n; i++)
        lev_sql_text(&rc, st, i + 1, args[i]);
    if (rc == SQLITE_OK) {
        rc = sqlite3_step(st);
        rc = rc == SQLITE_DONE || rc == SQLITE_ROW ? SQLITE_OK : rc;
    }
    int err = lev_meta_failed_(m, rc);
    *changed_r = sqlite3_changes(m->db);
    (void)sqlite3_finalize(st); /* repeats rc */
    return err;
}

/* Removes the row, and the rows that go with it (n statements), in one transaction. */
static int remove_with(struct lev_meta *m, const char *what, const char *sql,
                       const char *const *with, size_t n, struct lev_bytes name)
{
    int found = 0, ignored;
    int err = lev_meta_failed_(m, lev_sql_exec(m->db, "BEGIN IMMEDIATE"));
    if (err != 0)
        return err;
    err = lev_meta_run_(m, sql, &name, 1, &found);
    for (size_t i = 0; err == 0 && i < n; i++)
        err = lev_meta_run_(m, with[i], &name, 1, &ignored);
    if (err == 0)
        err = lev_meta_failed_(m, lev_sql_exec(m->db, "COMMIT"));
    if (err != 0 && !sqlite3_get_autocommit(m->db))
        (void)lev_sql_exec(m->db, "ROLLBACK"); /* err says what is wrong */
    if (err == 0 && found == 0)
        return lev_meta_not_found_(m, what, name);
    return err;
}

int lev_meta_put_user(struct lev_meta *meta, const struct lev_meta_user *u)
{
    const struct lev_bytes args[] = {u->name, u->password_hash, u->hashing_algorithm, u->tags};
    int changed;
    return lev_meta_run_(meta,
                         "INSERT OR REPLACE INTO user(name,password_hash,hashing_algorithm,tags)"
                         " VALUES(?1,?2,?3,?4)",
                         args, 4, &changed);
}

int lev_meta_delete_user(struct lev_meta *meta, struct lev_bytes name)
{
    static const char *const with[] = {"DELETE FROM permission WHERE user=?1",
                                       "DELETE FROM topic_permission WHERE user=?1"};
    return remove_with(meta, "user", "DELETE FROM user WHERE name=?1", with, 2, name);
}

static int vhost_id(struct lev_meta *m, struct lev_bytes name, uint32_t *id_r)
{
    sqlite3_stmt *st;
    int rc = sqlite3_prepare_v2(m->db, "SELECT id FROM vhost WHERE name=?1", -1, &st, NULL);
    if (rc != SQLITE_OK)
        return lev_meta_failed_(m, rc);
    lev_sql_text(&rc, st, 1, name);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(st);
    int err = rc == SQLITE_ROW    ? 0
              : rc == SQLITE_DONE ? lev_meta_not_found_(m, "vhost", name)
                                  : lev_meta_failed_(m, rc);
    *id_r = rc == SQLITE_ROW ? (uint32_t)sqlite3_column_int64(st, 0) : 0;
    (void)sqlite3_finalize(st); /* repeats rc */
    return err;
}

int lev_meta_put_vhost(struct lev_meta *meta, const struct lev_meta_vhost *v, uint32_t *id_r)
{
    const struct lev_bytes args[] = {v->name, v->description, v->tags, v->default_queue_type};
    int changed;
    *id_r = 0;
    int err = lev_meta_run_(
        meta,
        "INSERT INTO vhost(name,description,tags,default_queue_type) VALUES(?1,?2,?3,?4)"
        " ON CONFLICT(name) DO UPDATE SET description=?2,tags=?3,default_queue_type=?4",
        args, 4, &changed);
    return err == 0 ? vhost_id(meta, v->name, id_r) : err;
}

int lev_meta_delete_vhost(struct lev_meta *meta, struct lev_bytes name)
{
    static const char *const with[] = {
        "DELETE FROM permission WHERE vhost=?1", "DELETE FROM topic_permission WHERE vhost=?1",
        "DELETE FROM policy WHERE vhost=?1", "DELETE FROM parameter WHERE vhost=?1"};
    return remove_with(meta, "vhost", "DELETE FROM vhost WHERE name=?1", with, 4, name);
}

int lev_meta_put_permission(struct lev_meta *meta, const struct lev_meta_permission *p)
{
    const struct lev_bytes args[] = {p->user, p->vhost, p->configure, p->write, p->read};
    int changed;
    return lev_meta_run_(meta,
                         "INSERT OR REPLACE INTO permission(user,vhost,configure,write,read)"
                         " VALUES(?1,?2,?3,?4,?5)",
                         args, 5, &changed);
}

int lev_meta_delete_permission(struct lev_meta *meta, struct lev_bytes user, struct lev_bytes vhost)
{
    const struct lev_bytes args[] = {user, vhost};
    int changed = 0;
    int err =
        lev_meta_run_(meta, "DELETE FROM permission WHERE user=?1 AND vhost=?2", args, 2, &changed);
    if (err == 0 && changed == 0)
        return lev_meta_not_found_(meta, "permission of user", user);
    return err;
}
