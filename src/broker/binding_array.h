/* Bindings in an array, for exchange types that pick one by number. They are sorted by their
 * destinations (queues, then exchanges, by name), so that the numbers do not depend on the order
 * they were made in. */
#ifndef LEV_BROKER_BINDING_ARRAY_H
#define LEV_BROKER_BINDING_ARRAY_H

#include "broker/binding.h"

struct lev_binding_array {
    struct lev_binding **v; /* borrowed */
    size_t n, cap;
};

/* A zeroed array is an empty one. */
void lev_binding_array_deinit(struct lev_binding_array *a);

/* b is not in the array / is in the array. */
void lev_binding_array_add(struct lev_binding_array *a, struct lev_binding *b);
void lev_binding_array_remove(struct lev_binding_array *a, const struct lev_binding *b);

#endif
