/* lev_rows: a virtual table that gives the rows of a batch to one INSERT ... SELECT. See
 * store_int.h.
 *
 * One statement for thousands of rows costs about half of what as many bound INSERTs do: nothing is
 * bound, and the table's cursor stays open. Columns are those of table message, in order. Values
 * are views of the messages, which outlive the statement. */
#include "store/store_int.h"

struct rows_table {
    sqlite3_vtab base;
    const struct lev_rows *rows;
};

struct rows_cursor {
    sqlite3_vtab_cursor base;
    size_t at;
};

static const struct lev_rows *rows_of(sqlite3_vtab *t)
{
    return ((struct rows_table *)(void *)t)->rows;
}

static int x_connect(sqlite3 *db, void *aux, int argc, const char *const *argv, sqlite3_vtab **t_r,
                     char **err)
{
    (void)argc;
    (void)argv;
    (void)err;
    int rc = sqlite3_declare_vtab(db, "CREATE TABLE x(id,flags,expires,expiration,body_id,exchange,"
                                      "routing_key,props,body)");
    if (rc != SQLITE_OK)
        return rc;
    struct rows_table *t = lev_xcalloc(1, sizeof(*t));
    t->rows = aux;
    *t_r = &t->base;
    return SQLITE_OK;
}

static int x_disconnect(sqlite3_vtab *t)
{
    free(t);
    return SQLITE_OK;
}

static int x_best_index(sqlite3_vtab *t, sqlite3_index_info *info)
{
    (void)t;
    info->estimatedCost = 1000; /* there is only one way: all of them */
    return SQLITE_OK;
}

static int x_open(sqlite3_vtab *t, sqlite3_vtab_cursor **c_r)
{
    struct rows_cursor *c = lev_xcalloc(1, sizeof(*c));
    (void)t;
    *c_r = &c->base;
    return SQLITE_OK;
}

static int x_close(sqlite3_vtab_cursor *c)
{
    free(c);
    return SQLITE_OK;
}

static int x_filter(sqlite3_vtab_cursor *c, int index, const char *name, int argc,
                    sqlite3_value **argv)
{
    (void)index;
    (void)name;
    (void)argc;
    (void)argv;
    ((struct rows_cursor *)(void *)c)->at = 0;
    return SQLITE_OK;
}

static int x_next(sqlite3_vtab_cursor *c)
{
    ((struct rows_cursor *)(void *)c)->at++;
    return SQLITE_OK;
}

static int x_eof(sqlite3_vtab_cursor *c)
{
    return ((struct rows_cursor *)(void *)c)->at >= rows_of(c->pVtab)->n;
}

static void give_int(sqlite3_context *x, uint64_t v, uint64_t null)
{
    if (v != null) /* the result is NULL unless set */
        sqlite3_result_int64(x, (sqlite3_int64)v);
}

static void give_text(sqlite3_context *x, struct lev_bytes b)
{
    sqlite3_result_text64(x, (const char *)b.ptr, b.len, SQLITE_STATIC, SQLITE_UTF8);
}

static void give_blob(sqlite3_context *x, struct lev_bytes b)
{
    sqlite3_result_blob64(x, b.ptr, b.len, SQLITE_STATIC);
}

static int x_column(sqlite3_vtab_cursor *c, sqlite3_context *x, int col)
{
    const struct lev_row *row = &rows_of(c->pVtab)->v[((struct rows_cursor *)(void *)c)->at];
    const struct lev_msg *m = row->op->u.msg;
    switch (col) {
    case LEV_COL_ID:
        give_int(x, LEV_ID(row->op->queue_id, row->op->pos), UINT64_MAX);
        break;
    case LEV_COL_FLAGS:
        give_int(x, lev_parts_flags(m), UINT64_MAX);
        break;
    case LEV_COL_EXPIRES:
        give_int(x, row->op->expires_at_ms, 0);
        break;
    case LEV_COL_EXPIRATION:
        give_int(x, m->expiration_ms, UINT64_MAX);
        break;
    case LEV_COL_BODY_ID:
        give_int(x, row->body_id, 0);
        break;
    case LEV_COL_EXCHANGE:
        give_text(x, lev_msg_exchange(m));
        break;
    case LEV_COL_KEY:
        give_text(x, lev_msg_key(m));
        break;
    case LEV_COL_PROPS:
        give_blob(x, lev_parts_props(m));
        break;
    default:
        if (row->body_id == 0)
            give_blob(x, lev_msg_body(m));
    }
    return SQLITE_OK;
}

static int x_rowid(sqlite3_vtab_cursor *c, sqlite3_int64 *id_r)
{
    *id_r = (sqlite3_int64)((struct rows_cursor *)(void *)c)->at;
    return SQLITE_OK;
}

int lev_rows_register(sqlite3 *db, struct lev_rows *rows)
{
    static const sqlite3_module module = {
        .xConnect = x_connect, /* no xCreate: it is there without being created */
        .xBestIndex = x_best_index,
        .xDisconnect = x_disconnect,
        .xOpen = x_open,
        .xClose = x_close,
        .xFilter = x_filter,
        .xNext = x_next,
        .xEof = x_eof,
        .xColumn = x_column,
        .xRowid = x_rowid,
    };
    return sqlite3_create_module_v2(db, "lev_rows", &module, rows, NULL);
}

void lev_rows_add(struct lev_rows *rows, const struct lev_op *op, uint64_t body_id)
{
    if (rows->n == rows->cap) {
        rows->cap = rows->cap ? rows->cap * 2 : 256;
        rows->v = lev_xrealloc(rows->v, rows->cap * sizeof(*rows->v));
    }
    rows->v[rows->n++] = (struct lev_row){op, body_id};
}
