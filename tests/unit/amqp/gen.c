/* Random values for the codec's tests. See gen.h. */
#include "gen.h"

#include "amqp/table.h"
#include "base/mem.h"

#include <check.h>

enum { ARENA = 1 << 20 };

void gen_init(struct gen *g, uint64_t seed)
{
    *g = (struct gen){.state = seed * 2 + 1, .arena = lev_xmalloc(ARENA)};
}

void gen_deinit(struct gen *g)
{
    free(g->arena);
}

void gen_reset(struct gen *g)
{
    g->used = 0;
}

/* splitmix64 */
uint64_t gen_u64(struct gen *g)
{
    uint64_t z = g->state += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

size_t gen_below(struct gen *g, size_t n)
{
    return (size_t)(gen_u64(g) % n);
}

struct lev_bytes gen_keep(struct gen *g, struct lev_bytes b)
{
    ck_assert_uint_le(b.len, ARENA - g->used);
    uint8_t *p = g->arena + g->used;
    if (b.len)
        memcpy(p, b.ptr, b.len);
    g->used += b.len;
    return lev_bytes(p, b.len);
}

/* Mostly short, sometimes empty, sometimes as long as can be. */
static size_t random_len(struct gen *g, size_t max)
{
    switch (gen_below(g, 8)) {
    case 0:
        return 0;
    case 1:
        return max;
    case 2:
        return gen_below(g, max + 1);
    default:
        return gen_below(g, 20);
    }
}

struct lev_bytes gen_shortstr(struct gen *g)
{
    static const char *const letters[] = {
        "a", "Z", ".", "\x01", "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x90\x87"};
    uint8_t text[UINT8_MAX];
    size_t len = random_len(g, sizeof(text)), used = 0;
    for (;;) {
        const char *l = letters[gen_below(g, sizeof(letters) / sizeof(letters[0]))];
        if (strlen(l) > len - used)
            break;
        memcpy(text + used, l, strlen(l));
        used += strlen(l);
    }
    return gen_keep(g, lev_bytes(text, used));
}

struct lev_bytes gen_longstr(struct gen *g)
{
    uint8_t text[600];
    size_t len = random_len(g, sizeof(text));
    for (size_t i = 0; i < len; i++)
        text[i] = (uint8_t)gen_u64(g);
    return gen_keep(g, lev_bytes(text, len));
}

static void put_pairs(struct gen *g, struct lev_buf *out, bool named, int depth);

static struct lev_bytes inner(struct gen *g, bool named, int depth)
{
    struct lev_buf b;
    lev_buf_init(&b);
    if (depth < 3)
        put_pairs(g, &b, named, depth);
    struct lev_bytes kept = gen_keep(g, lev_buf_view(&b));
    lev_buf_deinit(&b);
    return kept;
}

static struct lev_value random_value(struct gen *g, int depth)
{
    static const char types[] = "SIDTFAbBsuilfdtxV";
    struct lev_value v = {.type = (uint8_t)types[gen_below(g, sizeof(types) - 1)]};
    v.i = (int64_t)gen_u64(g);
    v.scale = (uint8_t)gen_u64(g);
    v.d = (double)gen_below(g, 1000) / 8;
    if (v.type == 't')
        v.i &= 1;
    if (v.type == 'S' || v.type == 'x')
        v.b = gen_longstr(g);
    if (v.type == 'F' || v.type == 'A')
        v.b = inner(g, v.type == 'F', depth + 1);
    return v;
}

static void put_pairs(struct gen *g, struct lev_buf *out, bool named, int depth)
{
    for (size_t n = gen_below(g, 7); n > 0; n--) {
        struct lev_value v = random_value(g, depth);
        if (named)
            lev_table_put_value(out, gen_shortstr(g), &v);
        else
            lev_array_put_value(out, &v);
    }
}

struct lev_bytes gen_table(struct gen *g)
{
    return inner(g, true, 0);
}

struct lev_bytes gen_at_guard(const struct guard_bytes *guard, const void *p, size_t n)
{
    ck_assert_uint_le(n, guard->len);
    uint8_t *at = guard->ptr + (guard->len - n);
    if (n)
        memcpy(at, p, n);
    return lev_bytes(at, n);
}

void gen_nested(struct lev_buf *out, int depth, bool mixed)
{
    /* What a level adds: in a table a key of no octets, then in both the letter and a length. */
    size_t left = 0;
    for (int level = depth; level > 1; level--)
        left += mixed && level % 2 != depth % 2 ? 5 : 6;
    for (int level = depth; level > 1; level--) {
        bool in_array = mixed && level % 2 != depth % 2;
        bool holds_array = mixed && !in_array;
        left -= in_array ? 5 : 6;
        if (!in_array)
            lev_buf_put8(out, 0);
        lev_buf_put8(out, holds_array ? 'A' : 'F');
        lev_buf_put32(out, (uint32_t)left);
    }
}
