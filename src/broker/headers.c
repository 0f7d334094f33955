/* Matching of message headers. See headers.h.
 *
 * Index and rule are arrays of (key, value) without duplicates of a key in the index, sorted by
 * length and octets of the key, so that a rule costs its number of criteria times a short binary
 * search. */
#include "broker/headers.h"

#include "base/mem.h"
#include "broker/term.h"

struct lev_headers_rule {
    bool any;
    size_t n;
    struct lev_header criteria[];
};

static int cmp_keys(struct lev_bytes a, struct lev_bytes b)
{
    if (a.len != b.len)
        return a.len < b.len ? -1 : 1;
    return a.len ? memcmp(a.ptr, b.ptr, a.len) : 0;
}

/* By key, duplicates in the order of the wire. */
static int cmp_headers(const void *a, const void *b)
{
    const struct lev_header *x = a, *y = b;
    int c = cmp_keys(x->key, y->key);
    if (c == 0)
        c = x->key.ptr < y->key.ptr ? -1 : x->key.ptr > y->key.ptr;
    return c;
}

void lev_headers_index_deinit(struct lev_headers_index *ix)
{
    free(ix->v);
    *ix = (struct lev_headers_index){0};
}

static void append(struct lev_headers_index *ix, struct lev_bytes key, const struct lev_value *v)
{
    if (ix->n == ix->cap) {
        ix->cap = ix->cap ? ix->cap * 2 : 16;
        ix->v = lev_xrealloc(ix->v, ix->cap * sizeof(*ix->v));
    }
    ix->v[ix->n++] = (struct lev_header){key, *v};
}

static void drop_duplicates(struct lev_headers_index *ix)
{
    size_t kept = 0;
    for (size_t i = 0; i < ix->n; i++)
        if (kept == 0 || cmp_keys(ix->v[kept - 1].key, ix->v[i].key) != 0)
            ix->v[kept++] = ix->v[i];
    ix->n = kept;
}

void lev_headers_index_set(struct lev_headers_index *ix, struct lev_bytes headers)
{
    struct lev_bytes key;
    struct lev_value v;
    ix->n = 0;
    while (lev_table_next(&headers, &key, &v) > 0)
        append(ix, key, &v);
    if (ix->n > 1)
        qsort(ix->v, ix->n, sizeof(*ix->v), cmp_headers);
    drop_duplicates(ix);
}

static const struct lev_value *find(const struct lev_headers_index *ix, struct lev_bytes key)
{
    size_t low = 0, high = ix->n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int c = cmp_keys(key, ix->v[mid].key);
        if (c == 0)
            return &ix->v[mid].value;
        if (c < 0)
            high = mid;
        else
            low = mid + 1;
    }
    return NULL;
}

static const struct match_mode {
    struct lev_bytes name;
    bool any, with_x;
} modes[] = {
    {{(const uint8_t *)"all", 3}, false, false},
    {{(const uint8_t *)"any", 3}, true, false},
    {{(const uint8_t *)"all-with-x", 10}, false, true},
    {{(const uint8_t *)"any-with-x", 10}, true, true},
};

/* NULL when v names none. */
static const struct match_mode *mode_of(const struct lev_value *v)
{
    for (size_t i = 0; v->type == 'S' && i < sizeof(modes) / sizeof(modes[0]); i++)
        if (lev_bytes_eq(modes[i].name, v->b))
            return &modes[i];
    return NULL;
}

int lev_headers_check(struct lev_bytes args, struct lev_error *err)
{
    struct lev_value v;
    char text[256];
    if (!lev_table_get(args, "x-match", &v) || mode_of(&v))
        return 0;
    lev_term_print(text, sizeof(text), &v);
    if (v.type == 'S')
        return lev_fail(err, LEV_PRECONDITION_FAILED,
                        "Invalid x-match field value %s; "
                        "expected all, any, all-with-x, or any-with-x",
                        text);
    return lev_fail(err, LEV_PRECONDITION_FAILED,
                    "Invalid x-match field type %s (value %s); expected longstr",
                    lev_value_type_name(v.type), text);
}

static bool is_criterion(struct lev_bytes key, const struct match_mode *mode)
{
    return mode->with_x ? !lev_bytes_eq(key, LEV_LIT("x-match"))
                        : !lev_bytes_starts(key, LEV_LIT("x-"));
}

struct lev_headers_rule *lev_headers_rule_new(struct lev_bytes args)
{
    struct lev_value v;
    struct lev_bytes key, rest = args;
    const struct match_mode *mode = NULL;
    if (lev_table_get(args, "x-match", &v))
        mode = mode_of(&v);
    if (!mode)
        mode = &modes[0];
    size_t n = 0;
    while (lev_table_next(&rest, &key, &v) > 0)
        n += is_criterion(key, mode);
    struct lev_headers_rule *r = lev_xmalloc(sizeof(*r) + n * sizeof(r->criteria[0]));
    *r = (struct lev_headers_rule){.any = mode->any};
    for (rest = args; lev_table_next(&rest, &key, &v) > 0;)
        if (is_criterion(key, mode))
            r->criteria[r->n++] = (struct lev_header){key, v};
    return r;
}

void lev_headers_rule_free(struct lev_headers_rule **r)
{
    free(*r);
    *r = NULL;
}

/* RabbitMQ compares strings and byte arrays by their octets, tables and arrays as they are written.
 */
static bool meets(const struct lev_value *want, const struct lev_value *have)
{
    bool octets = want->type == 'S' || want->type == 'x';
    if (want->type == 'V')
        return true;
    if (octets && (have->type == 'S' || have->type == 'x'))
        return lev_bytes_eq(want->b, have->b);
    if (want->type == have->type && (want->type == 'F' || want->type == 'A'))
        return lev_bytes_eq(want->b, have->b);
    return lev_value_equal(want, have);
}

bool lev_headers_match(const struct lev_headers_rule *r, const struct lev_headers_index *ix)
{
    for (size_t i = 0; i < r->n; i++) {
        const struct lev_value *have = find(ix, r->criteria[i].key);
        if ((have && meets(&r->criteria[i].value, have)) == r->any)
            return r->any;
    }
    return !r->any;
}
