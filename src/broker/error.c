/* Failures caused by a peer. See error.h. */
#include "broker/error.h"

#include "base/text.h"

int lev_fail(struct lev_error *err, uint16_t code, const char *fmt, ...)
{
    struct lev_text t;
    va_list ap;
    err->code = code;
    lev_text_init(&t, err->text, sizeof(err->text));
    va_start(ap, fmt);
    lev_text_vput(&t, fmt, ap);
    va_end(ap);
    err->len = (uint16_t)t.len;
    return -1;
}
