/* Text that is built in memory of a given size, and cut where that ends.
 *
 * It may hold any octets: what peers name things by may have NULs in it, at which printf would
 * stop. There is a NUL behind it all the same. Owned by one thread. */
#ifndef LEV_BASE_TEXT_H
#define LEV_BASE_TEXT_H

#include <stdarg.h>

#include "base/bytes.h"

struct lev_text {
    char *out;
    size_t cap, len;
};

/* Empty, in cap octets (at least 1) at out, which it borrows. */
void lev_text_init(struct lev_text *t, char *out, size_t cap);
/* Appends. Of printf's conversions it knows %s %c %d %u %zu %lld %llu %%, and %.*s, which takes all
 * the octets that it is told (as with LEV_FMT). */
void lev_text_put(struct lev_text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void lev_text_vput(struct lev_text *t, const char *fmt, va_list ap)
    __attribute__((format(printf, 2, 0)));
void lev_text_put_bytes(struct lev_text *t, struct lev_bytes b);

/* Nothing more fits. */
static inline bool lev_text_full(const struct lev_text *t)
{
    return t->len + 1 >= t->cap;
}

static inline struct lev_bytes lev_text_view(const struct lev_text *t)
{
    return lev_bytes(t->out, t->len);
}

#endif
