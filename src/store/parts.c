/* A stored row becomes a message again. See store_int.h.
 *
 * Rows come from a file that anybody may have written: nothing in them is trusted. Thread: the
 * statement's own. */
#include "store/store_int.h"

#include "broker/keys.h"

bool lev_parts_octets(sqlite3_value *v, size_t max, struct lev_bytes *b_r)
{
    int type = sqlite3_value_type(v);
    if (type != SQLITE_BLOB && type != SQLITE_TEXT)
        return false;
    const void *p = sqlite3_value_blob(v);
    int n = sqlite3_value_bytes(v);
    *b_r = lev_bytes(p, p ? (size_t)n : 0);
    return b_r->len <= max && (p || n == 0);
}

static bool optional_int(sqlite3_value *v, uint64_t none, uint64_t *v_r)
{
    int type = sqlite3_value_type(v);
    *v_r = type == SQLITE_NULL ? none : (uint64_t)sqlite3_value_int64(v);
    return type == SQLITE_NULL || type == SQLITE_INTEGER;
}

/* BCC keys stand behind the properties; flags say how many octets they are. */
static bool split_bcc(struct lev_parts *p)
{
    uint64_t n = p->flags >> LEV_ROW_BCC_SHIFT;
    if (n > p->props.len)
        return false;
    p->props.len -= (size_t)n;
    p->bcc = lev_bytes(n ? p->props.ptr + p->props.len : NULL, (size_t)n);
    return lev_keys_valid(p->bcc) && lev_stored_props_valid(p->props);
}

struct lev_bytes lev_parts_props(const struct lev_msg *m)
{
    return lev_bytes(lev_msg_props(m).ptr, m->head_len - m->exchange_len - m->key_len);
}

bool lev_parts_get(sqlite3_stmt *st, struct lev_parts *p)
{
    sqlite3_value *v[LEV_COL_BODY + 1];
    for (int i = LEV_COL_FLAGS; i <= LEV_COL_BODY; i++)
        v[i] = sqlite3_column_value(st, i);
    return optional_int(v[LEV_COL_FLAGS], UINT64_MAX, &p->flags) && p->flags <= LEV_ROW_FLAGS_MAX &&
           optional_int(v[LEV_COL_EXPIRES], 0, &p->expires) &&
           optional_int(v[LEV_COL_EXPIRATION], UINT64_MAX, &p->expiration) &&
           optional_int(v[LEV_COL_BODY_ID], 0, &p->body_id) &&
           lev_parts_octets(v[LEV_COL_EXCHANGE], UINT8_MAX, &p->exchange) &&
           lev_parts_octets(v[LEV_COL_KEY], UINT8_MAX, &p->key) &&
           lev_parts_octets(v[LEV_COL_PROPS], UINT32_MAX, &p->props) && split_bcc(p) &&
           (p->body_id != 0 || lev_parts_octets(v[LEV_COL_BODY], UINT32_MAX, &p->body));
}

struct lev_msg *lev_parts_msg(const struct lev_parts *p)
{
    struct lev_msg *m =
        lev_msg_new_bcc(p->exchange, p->key, p->props, p->bcc, (uint32_t)p->body.len);
    if (!m)
        return NULL;
    if (p->body.len)
        memcpy(lev_msg_body_mut(m), p->body.ptr, p->body.len);
    m->persistent = (p->flags & LEV_ROW_PERSISTENT) != 0;
    m->dead_lettered = (p->flags & LEV_ROW_DEAD_LETTERED) != 0;
    m->priority = (uint8_t)(p->flags >> LEV_ROW_PRIORITY_SHIFT);
    m->expiration_ms = p->expiration;
    return m;
}

size_t lev_parts_size(const struct lev_parts *p)
{
    return sizeof(struct lev_msg) + p->exchange.len + p->key.len + p->props.len + p->bcc.len +
           p->body.len;
}

uint64_t lev_parts_flags(const struct lev_msg *m)
{
    return (uint64_t)lev_msg_bcc(m).len << LEV_ROW_BCC_SHIFT |
           (uint64_t)m->priority << LEV_ROW_PRIORITY_SHIFT |
           (m->persistent ? (uint64_t)LEV_ROW_PERSISTENT : 0) |
           (m->dead_lettered ? (uint64_t)LEV_ROW_DEAD_LETTERED : 0);
}
