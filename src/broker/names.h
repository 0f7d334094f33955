/* Names the broker makes up: amq.gen-…, amq.ctag-…, reply-to tokens. */
#ifndef LEV_BROKER_NAMES_H
#define LEV_BROKER_NAMES_H

#include "base/bytes.h"

enum { LEV_GENERATED_MAX = 64 };

/* prefix followed by 22 URL-safe characters that carry 128 random bits. View of buf,
 * NUL-terminated. Any thread. */
struct lev_bytes lev_generate_name(char buf[LEV_GENERATED_MAX], const char *prefix);

#endif
