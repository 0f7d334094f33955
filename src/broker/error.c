/* Failures caused by a peer. See error.h. */
#include "broker/error.h"

#include <stdarg.h>
#include <stdio.h>

int lev_fail(struct lev_error *err, uint16_t code, const char *fmt, ...)
{
    va_list ap;
    err->code = code;
    va_start(ap, fmt);
    vsnprintf(err->text, sizeof(err->text), fmt, ap);
    va_end(ap);
    return -1;
}
