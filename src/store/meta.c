/* meta.db: users, vhosts, permissions. See meta.h.
 *
 * Rollback is never needed: each change is one statement, or two inside one transaction. Statements
 * are prepared when used; nothing here is hot. */
#include "store/meta.h"

#include <stdio.h>

#include "base/err.h"
#include "base/mem.h"
#include "store/sql.h"

enum { META_VERSION = 1, META_APP_ID = 0x4c45564d };

static const char schema[] =
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

struct lev_meta {
    sqlite3 *db;
    char error[LEV_META_ERR_MAX];
};

const char *lev_meta_error(const struct lev_meta *meta)
{
    return meta->error;
}

/* Notes what the database says, and gives the code for it. */
static int failed(struct lev_meta *m, int rc)
{
    if (rc == SQLITE_OK)
        return 0;
    snprintf(m->error, sizeof(m->error), "meta.db: %s", sqlite3_errmsg(m->db));
    return lev_sql_err(rc);
}

static int not_found(struct lev_meta *m, const char *what, struct lev_bytes name)
{
    snprintf(m->error, sizeof(m->error), "%s '%.*s' not found", what, LEV_FMT(name));
    return LEV_ENOTFOUND;
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
        err = lev_sql_schema(m->db, path, META_APP_ID, META_VERSION, schema, errbuf,
                             LEV_META_ERR_MAX);
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

/* ---- Visiting ---- */

/* What a row is given to; one of the functions is set. */
struct visitor {
    void (*user)(void *ctx, const struct lev_meta_user *u);
    void (*vhost)(void *ctx, const struct lev_meta_vhost *v);
    void (*permission)(void *ctx, const struct lev_meta_permission *p);
    void *ctx;
};

static void visit(const struct visitor *v, sqlite3_stmt *st)
{
    struct lev_bytes b[5];
    for (int i = 0; i < 5; i++)
        b[i] = i < sqlite3_column_count(st) ? lev_sql_bytes(st, i) : LEV_EMPTY;
    if (v->user)
        v->user(v->ctx, &(struct lev_meta_user){b[0], b[1], b[2], b[3]});
    else if (v->vhost)
        v->vhost(v->ctx,
                 &(struct lev_meta_vhost){(uint32_t)sqlite3_column_int64(st, 3), b[0], b[1], b[2]});
    else
        v->permission(v->ctx, &(struct lev_meta_permission){b[0], b[1], b[2], b[3], b[4]});
}

static int each(struct lev_meta *m, const char *sql, const struct visitor *v)
{
    sqlite3_stmt *st;
    int rc = sqlite3_prepare_v2(m->db, sql, -1, &st, NULL);
    if (rc != SQLITE_OK)
        return failed(m, rc);
    while ((rc = sqlite3_step(st)) == SQLITE_ROW)
        visit(v, st);
    if (rc == SQLITE_DONE)
        rc = SQLITE_OK;
    int err = failed(m, rc);
    (void)sqlite3_finalize(st); /* repeats rc */
    return err;
}

int lev_meta_each_user(struct lev_meta *meta, void (*fn)(void *ctx, const struct lev_meta_user *u),
                       void *ctx)
{
    return each(meta, "SELECT name,password_hash,hashing_algorithm,tags FROM user ORDER BY name",
                &(struct visitor){.user = fn, .ctx = ctx});
}

int lev_meta_each_vhost(struct lev_meta *meta,
                        void (*fn)(void *ctx, const struct lev_meta_vhost *v), void *ctx)
{
    return each(meta, "SELECT name,description,tags,id FROM vhost ORDER BY name",
                &(struct visitor){.vhost = fn, .ctx = ctx});
}

int lev_meta_each_permission(struct lev_meta *meta,
                             void (*fn)(void *ctx, const struct lev_meta_permission *p), void *ctx)
{
    return each(meta, "SELECT user,vhost,configure,write,read FROM permission ORDER BY user,vhost",
                &(struct visitor){.permission = fn, .ctx = ctx});
}

/* ---- Changing ---- */

/* Runs one statement with text parameters ?1 to ?n. *changed_r: rows changed. */
static int run(struct lev_meta *m, const char *sql, const struct lev_bytes *args, int n,
               int *changed_r)
{
    sqlite3_stmt *st;
    int rc = sqlite3_prepare_v2(m->db, sql, -1, &st, NULL);
    if (rc != SQLITE_OK)
        return failed(m, rc);
    for (int i = 0; i < n; i++)
        lev_sql_text(&rc, st, i + 1, args[i]);
    if (rc == SQLITE_OK) {
        rc = sqlite3_step(st);
        rc = rc == SQLITE_DONE || rc == SQLITE_ROW ? SQLITE_OK : rc;
    }
    int err = failed(m, rc);
    *changed_r = sqlite3_changes(m->db);
    (void)sqlite3_finalize(st); /* repeats rc */
    return err;
}

/* Removes the row, and the permissions that go with it, in one transaction. */
static int remove_with_permissions(struct lev_meta *m, const char *what, const char *sql,
                                   const char *permissions_sql, struct lev_bytes name)
{
    int found = 0, ignored;
    int err = failed(m, lev_sql_exec(m->db, "BEGIN IMMEDIATE"));
    if (err != 0)
        return err;
    err = run(m, sql, &name, 1, &found);
    if (err == 0)
        err = run(m, permissions_sql, &name, 1, &ignored);
    if (err == 0)
        err = failed(m, lev_sql_exec(m->db, "COMMIT"));
    if (err != 0 && !sqlite3_get_autocommit(m->db))
        (void)lev_sql_exec(m->db, "ROLLBACK"); /* err says what is wrong */
    if (err == 0 && found == 0)
        return not_found(m, what, name);
    return err;
}

int lev_meta_put_user(struct lev_meta *meta, const struct lev_meta_user *u)
{
    const struct lev_bytes args[] = {u->name, u->password_hash, u->hashing_algorithm, u->tags};
    int changed;
    return run(meta,
               "INSERT OR REPLACE INTO user(name,password_hash,hashing_algorithm,tags)"
               " VALUES(?1,?2,?3,?4)",
               args, 4, &changed);
}

int lev_meta_delete_user(struct lev_meta *meta, struct lev_bytes name)
{
    return remove_with_permissions(meta, "user", "DELETE FROM user WHERE name=?1",
                                   "DELETE FROM permission WHERE user=?1", name);
}

static int vhost_id(struct lev_meta *m, struct lev_bytes name, uint32_t *id_r)
{
    sqlite3_stmt *st;
    int rc = sqlite3_prepare_v2(m->db, "SELECT id FROM vhost WHERE name=?1", -1, &st, NULL);
    if (rc != SQLITE_OK)
        return failed(m, rc);
    lev_sql_text(&rc, st, 1, name);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(st);
    int err = rc == SQLITE_ROW    ? 0
              : rc == SQLITE_DONE ? not_found(m, "vhost", name)
                                  : failed(m, rc);
    *id_r = rc == SQLITE_ROW ? (uint32_t)sqlite3_column_int64(st, 0) : 0;
    (void)sqlite3_finalize(st); /* repeats rc */
    return err;
}

int lev_meta_put_vhost(struct lev_meta *meta, const struct lev_meta_vhost *v, uint32_t *id_r)
{
    const struct lev_bytes args[] = {v->name, v->description, v->tags};
    int changed;
    *id_r = 0;
    int err = run(meta,
                  "INSERT INTO vhost(name,description,tags) VALUES(?1,?2,?3)"
                  " ON CONFLICT(name) DO UPDATE SET description=?2,tags=?3",
                  args, 3, &changed);
    return err == 0 ? vhost_id(meta, v->name, id_r) : err;
}

int lev_meta_delete_vhost(struct lev_meta *meta, struct lev_bytes name)
{
    return remove_with_permissions(meta, "vhost", "DELETE FROM vhost WHERE name=?1",
                                   "DELETE FROM permission WHERE vhost=?1", name);
}

int lev_meta_put_permission(struct lev_meta *meta, const struct lev_meta_permission *p)
{
    const struct lev_bytes args[] = {p->user, p->vhost, p->configure, p->write, p->read};
    int changed;
    return run(meta,
               "INSERT OR REPLACE INTO permission(user,vhost,configure,write,read)"
               " VALUES(?1,?2,?3,?4,?5)",
               args, 5, &changed);
}

int lev_meta_delete_permission(struct lev_meta *meta, struct lev_bytes user, struct lev_bytes vhost)
{
    const struct lev_bytes args[] = {user, vhost};
    int changed = 0;
    int err = run(meta, "DELETE FROM permission WHERE user=?1 AND vhost=?2", args, 2, &changed);
    if (err == 0 && changed == 0)
        return not_found(meta, "permission of user", user);
    return err;
}
