/* The internal error list. See err.h. */
#include "base/err.h"

const char *lev_err_text(int err)
{
    switch (err) {
#define X(name, value, text)                                                                       \
    case value:                                                                                    \
        return text;
        LEV_ERRORS(X)
#undef X
    default:
        return err == 0 ? "success" : "unknown error";
    }
}
