/* UTF-8 well-formedness: no overlong forms, no surrogates, nothing above U+10FFFF. Any thread. */
#ifndef LEV_BASE_UTF8_H
#define LEV_BASE_UTF8_H

#include "base/bytes.h"

/* True when b is well-formed UTF-8 (the empty string is). */
bool lev_utf8_valid(struct lev_bytes b);

#endif
