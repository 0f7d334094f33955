/* Field tables and arrays. See table.h.
 *
 * One row a type in `types` says how long a value is; everything that reads a value goes through
 * next_value, which compares only with the octets left. Recursion (validation, equality) carries
 * its depth and stops at LEV_TABLE_DEPTH_MAX. */
#include "amqp/table.h"

#include "base/err.h"
#include "base/mem.h"

/* ---- Types ----------------------------------------------------------------------------------- */

/* What kind of thing a type is; values of one kind can be equal. */
enum kind { KIND_NONE, INT, FLOAT, STRING, BINARY, TIMESTAMP, DECIMAL, BOOL, VOID, TABLE, ARRAY };

static const struct type {
    uint8_t kind;
    uint8_t size; /* octets after the letter; of a counted type: of its length */
    bool counted; /* the octets are a length, its content follows */
    const char *name;
} types[256] = {
    ['S'] = {STRING, 4, true, "longstr"},   ['I'] = {INT, 4, false, "signedint"},
    ['D'] = {DECIMAL, 5, false, "decimal"}, ['T'] = {TIMESTAMP, 8, false, "timestamp"},
    ['F'] = {TABLE, 4, true, "table"},      ['A'] = {ARRAY, 4, true, "array"},
    ['b'] = {INT, 1, false, "byte"},        ['B'] = {INT, 1, false, "unsignedbyte"},
    ['s'] = {INT, 2, false, "short"},       ['u'] = {INT, 2, false, "unsignedshort"},
    ['i'] = {INT, 4, false, "unsignedint"}, ['l'] = {INT, 8, false, "long"},
    ['L'] = {INT, 8, false, "long"},        ['f'] = {FLOAT, 4, false, "float"},
    ['d'] = {FLOAT, 8, false, "double"},    ['t'] = {BOOL, 1, false, "bool"},
    ['x'] = {BINARY, 4, true, "binary"},    ['V'] = {VOID, 0, false, "void"},
};

const char *lev_value_type_name(uint8_t type)
{
    return types[type].kind != KIND_NONE ? types[type].name : "unknown";
}

bool lev_value_is_int(const struct lev_value *v)
{
    return types[v->type].kind == INT;
}

/* ---- Reading --------------------------------------------------------------------------------- */

static double get_float(const uint8_t *p)
{
    uint32_t bits = lev_get32(p);
    float v;
    memcpy(&v, &bits, sizeof(v));
    return (double)v;
}

static double get_double(const uint8_t *p)
{
    uint64_t bits = lev_get64(p);
    double v;
    memcpy(&v, &bits, sizeof(v));
    return v;
}

/* Fills *v from the types[v->type].size octets at p. */
static void get_fixed(const uint8_t *p, struct lev_value *v)
{
    switch (v->type) {
    case 'I':
        v->i = (int32_t)lev_get32(p);
        break;
    case 'i':
        v->i = lev_get32(p);
        break;
    case 'l':
    case 'T':
        v->i = (int64_t)lev_get64(p);
        break;
    case 's':
        v->i = (int16_t)lev_get16(p);
        break;
    case 'u':
        v->i = lev_get16(p);
        break;
    case 'b':
        v->i = (int8_t)p[0];
        break;
    case 'B':
        v->i = p[0];
        break;
    case 't':
        v->i = p[0] != 0;
        break;
    case 'D':
        v->scale = p[0];
        v->i = lev_get32(p + 1);
        break;
    case 'f':
        v->d = get_float(p);
        break;
    case 'd':
        v->d = get_double(p);
        break;
    default: /* V */
        break;
    }
}

/* Takes a value (letter and content) off the front of *rest, which is not empty. 1 or LEV_E*. */
static int next_value(struct lev_bytes *rest, struct lev_value *value_r)
{
    const uint8_t *p = rest->ptr;
    uint8_t letter = p[0];
    const struct type *t = &types[letter];
    size_t used = (size_t)t->size + 1;
    if (t->kind == KIND_NONE)
        return LEV_ETYPE;
    if (rest->len < used)
        return LEV_EPROTO;
    *value_r = (struct lev_value){.type = letter == 'L' ? 'l' : letter};
    if (t->counted) {
        size_t n = lev_get32(p + 1);
        if (rest->len - used < n)
            return LEV_EPROTO;
        value_r->b = lev_bytes(p + used, n);
        used += n;
    } else {
        get_fixed(p + 1, value_r);
    }
    *rest = lev_bytes(p + used, rest->len - used);
    return 1;
}

int lev_table_next(struct lev_bytes *rest, struct lev_bytes *key_r, struct lev_value *value_r)
{
    if (rest->len == 0)
        return 0;
    size_t key_len = rest->ptr[0];
    if (rest->len - 1 <= key_len) /* the key, and a letter after it */
        return LEV_EPROTO;
    *key_r = lev_bytes(rest->ptr + 1, key_len);
    *rest = lev_bytes(rest->ptr + 1 + key_len, rest->len - 1 - key_len);
    return next_value(rest, value_r);
}

int lev_array_next(struct lev_bytes *rest, struct lev_value *value_r)
{
    return rest->len == 0 ? 0 : next_value(rest, value_r);
}

/* Next value of a table or an array. */
static int next_of(uint8_t kind, struct lev_bytes *rest, struct lev_bytes *key_r,
                   struct lev_value *value_r)
{
    return kind == TABLE ? lev_table_next(rest, key_r, value_r) : lev_array_next(rest, value_r);
}

static int validate(uint8_t kind, struct lev_bytes rest, int depth)
{
    struct lev_bytes key;
    struct lev_value v;
    int rc;
    if (depth > LEV_TABLE_DEPTH_MAX)
        return LEV_EDEPTH;
    while ((rc = next_of(kind, &rest, &key, &v)) > 0) {
        uint8_t inner = types[v.type].kind;
        if (inner != TABLE && inner != ARRAY)
            continue;
        rc = validate(inner, v.b, depth + 1);
        if (rc < 0)
            break;
    }
    return rc;
}

int lev_table_validate(struct lev_bytes table)
{
    return validate(TABLE, table, 1);
}

bool lev_table_get(struct lev_bytes table, const char *key, struct lev_value *value_r)
{
    struct lev_bytes wanted = lev_bytes_str(key), k;
    struct lev_value v;
    while (lev_table_next(&table, &k, &v) > 0) {
        if (lev_bytes_eq(k, wanted)) {
            *value_r = v;
            return true;
        }
    }
    return false;
}

/* ---- Equality -------------------------------------------------------------------------------- */

struct pair {
    struct lev_bytes key;
    struct lev_value value;
};

static bool values_equal(const struct lev_value *a, const struct lev_value *b, bool typed,
                         int depth);

/* By key, pairs of one key in the order they had. */
static int cmp_pair(const void *x, const void *y)
{
    const struct pair *a = x, *b = y;
    int c = lev_bytes_cmp(a->key, b->key);
    if (c != 0)
        return c;
    return a->key.ptr < b->key.ptr ? -1 : a->key.ptr > b->key.ptr;
}

/* Number of pairs, or LEV_E*. */
static long count_pairs(struct lev_bytes table)
{
    struct pair p;
    long n = 0;
    int rc;
    while ((rc = lev_table_next(&table, &p.key, &p.value)) > 0)
        n++;
    return rc < 0 ? rc : n;
}

static void sorted_pairs(struct lev_bytes table, struct pair *pairs, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (lev_table_next(&table, &pairs[i].key, &pairs[i].value) <= 0)
            return;
    qsort(pairs, n, sizeof(*pairs), cmp_pair);
}

static bool pairs_equal(const struct pair *a, const struct pair *b, size_t n, bool typed, int depth)
{
    for (size_t i = 0; i < n; i++)
        if (!lev_bytes_eq(a[i].key, b[i].key) ||
            !values_equal(&a[i].value, &b[i].value, typed, depth))
            return false;
    return true;
}

/* Sorts both and compares in step: n log n however many pairs a peer sends. */
static bool tables_equal(struct lev_bytes a, struct lev_bytes b, bool typed, int depth)
{
    struct pair few[8], *pairs = few;
    if (lev_bytes_eq(a, b))
        return true;
    long n = count_pairs(a);
    if (n < 0 || n != count_pairs(b) || depth > LEV_TABLE_DEPTH_MAX)
        return false;
    size_t count = (size_t)n;
    if (2 * count > sizeof(few) / sizeof(few[0]))
        pairs = lev_xmalloc(2 * count * sizeof(*pairs));
    sorted_pairs(a, pairs, count);
    sorted_pairs(b, pairs + count, count);
    bool equal = pairs_equal(pairs, pairs + count, count, typed, depth);
    if (pairs != few)
        free(pairs);
    return equal;
}

static bool arrays_equal(struct lev_bytes a, struct lev_bytes b, bool typed, int depth)
{
    struct lev_value x, y;
    if (lev_bytes_eq(a, b))
        return true;
    if (depth > LEV_TABLE_DEPTH_MAX)
        return false;
    for (;;) {
        int ra = lev_array_next(&a, &x), rb = lev_array_next(&b, &y);
        if (ra <= 0 || rb <= 0)
            return ra == 0 && rb == 0;
        if (!values_equal(&x, &y, typed, depth))
            return false;
    }
}

/* Equal numbers, or the same not-a-number: a value equals itself. */
static bool floats_equal(double a, double b)
{
    return a == b || memcmp(&a, &b, sizeof(a)) == 0;
}

/* depth: of the table or array the values stand in. */
static bool values_equal(const struct lev_value *a, const struct lev_value *b, bool typed,
                         int depth)
{
    uint8_t kind = types[a->type].kind;
    if (kind != types[b->type].kind || (typed && a->type != b->type))
        return false;
    switch (kind) {
    case INT:
    case TIMESTAMP:
    case BOOL:
        return a->i == b->i;
    case DECIMAL:
        return a->scale == b->scale && a->i == b->i;
    case FLOAT:
        return floats_equal(a->d, b->d);
    case STRING:
    case BINARY:
        return lev_bytes_eq(a->b, b->b);
    case TABLE:
        return tables_equal(a->b, b->b, typed, depth + 1);
    case ARRAY:
        return arrays_equal(a->b, b->b, typed, depth + 1);
    default:
        return kind == VOID;
    }
}

bool lev_value_equal(const struct lev_value *a, const struct lev_value *b)
{
    return values_equal(a, b, false, 0);
}

bool lev_table_same(struct lev_bytes a, struct lev_bytes b)
{
    return tables_equal(a, b, true, 1);
}

/* ---- Building -------------------------------------------------------------------------------- */

static void put_key(struct lev_buf *out, struct lev_bytes key)
{
    size_t n = key.len < UINT8_MAX ? key.len : UINT8_MAX;
    lev_buf_put8(out, (uint8_t)n);
    lev_buf_put(out, key.ptr, n);
}

static void put_float(struct lev_buf *out, double d)
{
    float v = (float)d;
    uint32_t bits;
    memcpy(&bits, &v, sizeof(bits));
    lev_buf_put32(out, bits);
}

static void put_double(struct lev_buf *out, double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof(bits));
    lev_buf_put64(out, bits);
}

/* Integers of every width are the low octets of i. */
static void put_fixed(struct lev_buf *out, const struct lev_value *v)
{
    if (v->type == 'f') {
        put_float(out, v->d);
        return;
    }
    if (v->type == 'd') {
        put_double(out, v->d);
        return;
    }
    if (v->type == 'D')
        lev_buf_put8(out, v->scale);
    size_t size = v->type == 'D' ? 4 : types[v->type].size;
    uint8_t be[8];
    lev_put64(be, (uint64_t)v->i);
    lev_buf_put(out, be + 8 - size, size);
}

void lev_array_put_value(struct lev_buf *out, const struct lev_value *v)
{
    lev_buf_put8(out, v->type);
    if (types[v->type].counted) {
        lev_buf_put32(out, (uint32_t)v->b.len);
        lev_buf_put_bytes(out, v->b);
    } else {
        put_fixed(out, v);
    }
}

void lev_table_put_value(struct lev_buf *out, struct lev_bytes key, const struct lev_value *v)
{
    put_key(out, key);
    lev_array_put_value(out, v);
}

static void put_named(struct lev_buf *out, const char *key, const struct lev_value *v)
{
    lev_table_put_value(out, lev_bytes_str(key), v);
}

void lev_table_put_str(struct lev_buf *out, const char *key, struct lev_bytes v)
{
    put_named(out, key, &(struct lev_value){.type = 'S', .b = v});
}

void lev_table_put_long(struct lev_buf *out, const char *key, int64_t v)
{
    put_named(out, key, &(struct lev_value){.type = 'l', .i = v});
}

void lev_table_put_bool(struct lev_buf *out, const char *key, bool v)
{
    put_named(out, key, &(struct lev_value){.type = 't', .i = v});
}

void lev_table_put_timestamp(struct lev_buf *out, const char *key, uint64_t v)
{
    put_named(out, key, &(struct lev_value){.type = 'T', .i = (int64_t)v});
}

void lev_table_put_table(struct lev_buf *out, const char *key, struct lev_bytes t)
{
    put_named(out, key, &(struct lev_value){.type = 'F', .b = t});
}

void lev_table_put_array(struct lev_buf *out, const char *key, struct lev_bytes a)
{
    put_named(out, key, &(struct lev_value){.type = 'A', .b = a});
}
