/* What a message's properties ask of the broker: delivery mode, expiration, CC and BCC, user-id,
 * reply-to. Loop thread, without the lock. */
#ifndef LEV_SESSION_CONTENT_H
#define LEV_SESSION_CONTENT_H

#include "session/loop.h"

struct lev_content_plan {
    struct lev_bytes props; /* as to be stored: the raw ones, or those in rewritten */
    struct lev_buf rewritten;
    struct lev_buf bcc_keys; /* packed, for the message */
    uint8_t persistent, priority;
    uint64_t expiration_ms;
    struct lev_publish_extra *extra; /* owned until taken; keys still unset */
    struct lev_bytes cc, bcc;        /* raw arrays of additional keys */
};

/* True when these raw properties are the ones that were found plain last time. */
static inline bool lev_content_is_memo(const struct lev_channel *ch, struct lev_bytes raw)
{
    return ch->props_memo_len == raw.len && raw.len &&
           memcmp(ch->props_memo, raw.ptr, raw.len) == 0;
}

/* Looks into raw properties. 0, or -1 when they are malformed. Deinit in any case. */
int lev_content_plan(struct lev_channel *ch, struct lev_bytes raw, struct lev_content_plan *plan);
/* Sets the message's fields and, where there are CC or BCC keys, the extra's keys (copied behind
 * the array). */
void lev_content_apply(struct lev_content_plan *plan, struct lev_msg *m);
void lev_content_plan_deinit(struct lev_content_plan *plan);

#endif
