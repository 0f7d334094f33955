/* Bindings in an array, sorted by destination. See binding_array.h. Runs under the vhost's lock. */
#include "broker/binding_array.h"

#include "broker/topology.h"

void lev_binding_array_deinit(struct lev_binding_array *a)
{
    free(a->v);
    *a = (struct lev_binding_array){0};
}

static int compare(const struct lev_dest *a, const struct lev_dest *b)
{
    if (a->is_queue != b->is_queue)
        return a->is_queue ? -1 : 1;
    return lev_bytes_cmp(a->name, b->name);
}

/* Where the bindings to d begin, or would. */
static size_t first_to(const struct lev_binding_array *a, const struct lev_dest *d)
{
    size_t lo = 0, hi = a->n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (compare(a->v[mid]->dest, d) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

void lev_binding_array_add(struct lev_binding_array *a, struct lev_binding *b)
{
    size_t i = first_to(a, b->dest);
    if (a->n == a->cap) {
        a->cap = a->cap ? a->cap * 2 : 8;
        a->v = lev_xrealloc(a->v, a->cap * sizeof(struct lev_binding *));
    }
    memmove(a->v + i + 1, a->v + i, (a->n - i) * sizeof(struct lev_binding *));
    a->v[i] = b;
    a->n++;
}

void lev_binding_array_remove(struct lev_binding_array *a, const struct lev_binding *b)
{
    size_t i = first_to(a, b->dest);
    while (a->v[i] != b)
        i++;
    a->n--;
    memmove(a->v + i, a->v + i + 1, (a->n - i) * sizeof(struct lev_binding *));
}
