/* Header x-delay: what it asks for, and what becomes of it. Pure; any thread. */
#ifndef LEV_BROKER_DELAY_HEADER_H
#define LEV_BROKER_DELAY_HEADER_H

#include "broker/message.h"

/* The longest delay: ten years. */
#define LEV_DELAY_MAX_MS UINT64_C(315360000000)

/* The milliseconds that headers ask for, an integer, a float (cut off) or digits in a string: 1 to
 * LEV_DELAY_MAX_MS; 0 when they ask for none, or for anything else. */
uint64_t lev_delay_asked(struct lev_bytes headers);

/* The message as it is delivered in the end: x-delay negated, so that it is not held back again.
 * Returns owned; the message as it is when memory is out. */
struct lev_msg *lev_delay_message(struct lev_msg *m);

#endif
