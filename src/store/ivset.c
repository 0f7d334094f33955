/* Sets of position ranges. See ivset.h.
 *
 * Invariants: chunks are never empty; dir[i].first is the lo of chunk i's first range; ranges
 * ascend through the chunks with hi of one < lo of the next; `stored` on a range means that the
 * table has a row with its lo (perhaps with another hi, then it is dirty). */
#include "store/ivset.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define STORED (UINT64_C(1) << 62)
#define DIRTY (UINT64_C(1) << 63)
#define HI_MASK (STORED - 1)

/* Room for starts of ranges that are gone, kept from one lev_ivset_sync to the next. */
enum { GONE_KEEP = 4096 };

struct iv {
    uint64_t lo;
    uint64_t hi; /* with STORED and DIRTY */
};

struct lev_iv_chunk {
    uint32_t n;
    bool dirty; /* some range in it may be */
    struct iv v[LEV_IV_CHUNK];
};

/* A place in the set. */
struct at {
    size_t d;
    uint32_t i;
};

static uint64_t hi_of(const struct iv *v)
{
    return v->hi & HI_MASK;
}

static struct iv *get(const struct lev_iv_body *s, struct at a)
{
    return &s->dir[a.d].chunk->v[a.i];
}

static bool at_end(const struct lev_iv_body *s, struct at a)
{
    return a.d >= s->n_dir;
}

static struct at next(const struct lev_iv_body *s, struct at a)
{
    if (a.i + 1 < s->dir[a.d].chunk->n)
        return (struct at){a.d, a.i + 1};
    return (struct at){a.d + 1, 0};
}

void lev_ivset_init(struct lev_ivset *set)
{
    set->body = NULL;
}

void lev_ivset_deinit(struct lev_ivset *set)
{
    struct lev_iv_body *s = set->body;
    set->body = NULL;
    if (!s)
        return;
    for (size_t i = 0; i < s->n_dir; i++)
        free(s->dir[i].chunk);
    free(s->dir);
    free(s->gone);
    free(s);
}

static struct lev_iv_body *body_of(struct lev_ivset *set)
{
    if (!set->body)
        set->body = lev_xcalloc(1, sizeof(*set->body));
    return set->body;
}

/* The last range with lo <= pos; false when there is none. */
static bool find_last(const struct lev_iv_body *s, uint64_t pos, struct at *a)
{
    size_t lo = 0, hi = s->n_dir;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (s->dir[mid].first <= pos)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo == 0)
        return false;
    const struct lev_iv_chunk *c = s->dir[lo - 1].chunk;
    uint32_t l = 0, h = c->n;
    while (l < h) {
        uint32_t mid = l + (h - l) / 2;
        if (c->v[mid].lo <= pos)
            l = mid + 1;
        else
            h = mid;
    }
    *a = (struct at){lo - 1, l - 1};
    return true;
}

static void dir_insert(struct lev_iv_body *s, size_t d, struct lev_iv_chunk *c)
{
    if (s->n_dir == s->cap_dir) {
        s->cap_dir = s->cap_dir ? s->cap_dir * 2 : 2;
        s->dir = lev_xrealloc(s->dir, s->cap_dir * sizeof(*s->dir));
    }
    memmove(s->dir + d + 1, s->dir + d, (s->n_dir - d) * sizeof(*s->dir));
    s->dir[d] = (struct lev_iv_dir){c->v[0].lo, c};
    s->n_dir++;
}

static struct lev_iv_chunk *chunk_new(void)
{
    struct lev_iv_chunk *c = lev_xmalloc(sizeof(*c));
    c->n = 0;
    c->dirty = false;
    return c;
}

/* Moves the upper half of a full chunk to a new one behind it; a full last chunk that is appended
 * to stays full and gets an empty neighbour's worth of room instead. */
static struct at make_room(struct lev_iv_body *s, struct at a)
{
    struct lev_iv_chunk *c = s->dir[a.d].chunk;
    uint32_t keep = a.d + 1 == s->n_dir && a.i == c->n ? LEV_IV_CHUNK - 8 : LEV_IV_CHUNK / 2;
    struct lev_iv_chunk *up = chunk_new();
    up->n = c->n - keep;
    up->dirty = c->dirty;
    memcpy(up->v, c->v + keep, up->n * sizeof(struct iv));
    c->n = keep;
    dir_insert(s, a.d + 1, up);
    return a.i <= keep ? a : (struct at){a.d + 1, a.i - keep};
}

/* Inserts v at a (behind the range before it). */
static struct at insert(struct lev_iv_body *s, struct at a, struct iv v)
{
    if (s->n_dir == 0) {
        struct lev_iv_chunk *c = chunk_new();
        c->v[0].lo = v.lo;
        dir_insert(s, 0, c);
    } else if (s->dir[a.d].chunk->n == LEV_IV_CHUNK) {
        a = make_room(s, a);
    }
    struct lev_iv_chunk *c = s->dir[a.d].chunk;
    memmove(c->v + a.i + 1, c->v + a.i, (c->n - a.i) * sizeof(struct iv));
    c->v[a.i] = v;
    c->n++;
    s->dir[a.d].first = c->v[0].lo;
    s->n++;
    s->covered += hi_of(&v) - v.lo;
    return a;
}

static void note_gone(struct lev_iv_body *s, const struct iv *v)
{
    if (!(v->hi & STORED))
        return;
    if (s->n_gone == s->cap_gone) {
        s->cap_gone = s->cap_gone ? s->cap_gone * 2 : 16;
        s->gone = lev_xrealloc(s->gone, s->cap_gone * sizeof(*s->gone));
    }
    s->gone[s->n_gone++] = v->lo;
}

/* Removes the range at a, which then is the place of the next one. */
static struct at erase(struct lev_iv_body *s, struct at a)
{
    struct lev_iv_chunk *c = s->dir[a.d].chunk;
    s->n--;
    s->covered -= hi_of(&c->v[a.i]) - c->v[a.i].lo;
    c->n--;
    memmove(c->v + a.i, c->v + a.i + 1, (c->n - a.i) * sizeof(struct iv));
    if (c->n == 0) {
        free(c);
        s->n_dir--;
        memmove(s->dir + a.d, s->dir + a.d + 1, (s->n_dir - a.d) * sizeof(*s->dir));
        return (struct at){a.d, 0};
    }
    s->dir[a.d].first = c->v[0].lo;
    return a.i < c->n ? a : (struct at){a.d + 1, 0};
}

static void set_dirty(struct lev_iv_body *s, struct at a)
{
    struct iv *v = get(s, a);
    s->n_dirty += !(v->hi & DIRTY);
    v->hi |= DIRTY;
    s->dir[a.d].chunk->dirty = true;
}

static void set_lo(struct lev_iv_body *s, struct at a, uint64_t lo)
{
    struct iv *v = get(s, a);
    note_gone(s, v);
    s->covered += v->lo - lo;
    v->lo = lo;
    v->hi &= ~STORED;
    if (a.i == 0)
        s->dir[a.d].first = lo;
    set_dirty(s, a);
}

static void set_hi(struct lev_iv_body *s, struct at a, uint64_t hi)
{
    struct iv *v = get(s, a);
    s->covered += hi - hi_of(v);
    v->hi = hi | (v->hi & ~HI_MASK);
    set_dirty(s, a);
}

/* Joins the range at a with those behind it that it has come to touch. */
static void absorb(struct lev_iv_body *s, struct at a)
{
    for (;;) {
        struct at n = next(s, a);
        uint64_t hi = hi_of(get(s, a));
        if (at_end(s, n) || get(s, n)->lo > hi)
            return;
        uint64_t n_hi = hi_of(get(s, n));
        note_gone(s, get(s, n));
        erase(s, n);
        if (n_hi > hi)
            set_hi(s, a, n_hi);
    }
}

void lev_ivset_add(struct lev_ivset *set, uint64_t lo, uint64_t hi)
{
    struct lev_iv_body *s = body_of(set);
    struct at a = {0, 0};
    bool before = find_last(s, lo, &a);
    if (before && hi_of(get(s, a)) >= lo) {
        if (hi_of(get(s, a)) >= hi)
            return;
        set_hi(s, a, hi);
        absorb(s, a);
        return;
    }
    struct at n = before ? next(s, a) : a;
    if (!at_end(s, n) && get(s, n)->lo <= hi) {
        set_lo(s, n, lo);
        if (hi_of(get(s, n)) < hi)
            set_hi(s, n, hi);
        absorb(s, n);
        return;
    }
    a = insert(s, before ? (struct at){a.d, a.i + 1} : a, (struct iv){lo, hi});
    set_dirty(s, a);
}

void lev_ivset_load(struct lev_ivset *set, uint64_t lo, uint64_t hi)
{
    struct lev_iv_body *s = body_of(set);
    struct at a = {0, 0};
    if (s->n_dir)
        a = (struct at){s->n_dir - 1, s->dir[s->n_dir - 1].chunk->n};
    insert(s, a, (struct iv){lo, hi | STORED});
}

bool lev_ivset_find(const struct lev_ivset *set, uint64_t pos, uint64_t *lo_r, uint64_t *hi_r)
{
    const struct lev_iv_body *s = set->body;
    struct at a = {0, 0};
    if (!s)
        return false;
    if (find_last(s, pos, &a) && hi_of(get(s, a)) <= pos)
        a = next(s, a);
    if (at_end(s, a))
        return false;
    *lo_r = get(s, a)->lo;
    *hi_r = hi_of(get(s, a));
    return true;
}

static void note_cut(struct lev_iv_body *s, const struct iv *v, uint64_t pos)
{
    if ((v->hi & STORED) && pos > s->cut_below)
        s->cut_below = pos;
}

/* Takes the first whole chunks below pos away at once: cutting 100,000 ranges is linear. */
static void cut_chunks(struct lev_iv_body *s, uint64_t pos)
{
    size_t k = 0;
    while (k < s->n_dir && hi_of(&s->dir[k].chunk->v[s->dir[k].chunk->n - 1]) <= pos) {
        struct lev_iv_chunk *c = s->dir[k].chunk;
        for (uint32_t i = 0; i < c->n; i++) {
            note_cut(s, &c->v[i], pos);
            s->covered -= hi_of(&c->v[i]) - c->v[i].lo;
        }
        s->n -= c->n;
        free(c);
        k++;
    }
    if (k == 0)
        return;
    s->n_dir -= k;
    memmove(s->dir, s->dir + k, s->n_dir * sizeof(*s->dir));
}

void lev_ivset_cut(struct lev_ivset *set, uint64_t pos)
{
    struct lev_iv_body *s = set->body;
    if (!s)
        return;
    cut_chunks(s, pos);
    struct at a = {0, 0};
    while (!at_end(s, a) && get(s, a)->lo < pos) {
        if (hi_of(get(s, a)) > pos) {
            set_lo(s, a, pos);
            return;
        }
        note_cut(s, get(s, a), pos);
        a = erase(s, a);
    }
}

void lev_ivset_drop(struct lev_ivset *set, uint64_t lo, uint64_t hi)
{
    struct lev_iv_body *s = set->body;
    struct at a;
    if (!s || !find_last(s, lo, &a) || get(s, a)->lo != lo)
        return;
    if (hi < hi_of(get(s, a))) {
        set_lo(s, a, hi);
        return;
    }
    note_gone(s, get(s, a));
    erase(s, a);
}

static int sync_chunk(struct lev_iv_chunk *c, const struct lev_ivset_table *table, void *ctx)
{
    for (uint32_t i = 0; i < c->n; i++) {
        struct iv *v = &c->v[i];
        if (!(v->hi & DIRTY))
            continue;
        int rc = table->put(ctx, v->lo, hi_of(v));
        if (rc != 0)
            return rc;
        v->hi = hi_of(v) | STORED;
    }
    c->dirty = false;
    return 0;
}

int lev_ivset_sync(struct lev_ivset *set, const struct lev_ivset_table *table, void *ctx)
{
    struct lev_iv_body *s = set->body;
    int rc = s && s->cut_below ? table->cut(ctx, s->cut_below) : 0;
    if (!s)
        return 0;
    for (size_t i = 0; i < s->n_gone && rc == 0; i++)
        if (s->gone[i] >= s->cut_below)
            rc = table->gone(ctx, s->gone[i]);
    s->cut_below = 0;
    s->n_gone = 0;
    if (s->cap_gone > GONE_KEEP) {
        free(s->gone);
        s->gone = NULL;
        s->cap_gone = 0;
    }
    for (size_t d = 0; s->n_dirty && d < s->n_dir && rc == 0; d++)
        if (s->dir[d].chunk->dirty)
            rc = sync_chunk(s->dir[d].chunk, table, ctx);
    s->n_dirty = 0;
    if (s->n == 0)
        lev_ivset_deinit(set);
    return rc;
}
