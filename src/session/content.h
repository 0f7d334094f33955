/* What a message's properties ask of the broker: delivery mode, expiration, CC and BCC, user-id,
 * reply-to. Loop thread, without the lock. */
#ifndef LEV_SESSION_CONTENT_H
#define LEV_SESSION_CONTENT_H

#include "session/loop.h"

/* A message with these names and raw properties, and room for its body; and what its publish needs
 * beyond it (NULL: nothing), which is the caller's, too. NULL when the properties are malformed, or
 * memory is out. */
struct lev_msg *lev_content_message(struct lev_channel *ch, struct lev_bytes exchange,
                                    struct lev_bytes key, struct lev_bytes props, uint32_t body_len,
                                    struct lev_publish_extra **extra_r);
/* Accepts a pointer to NULL. */
void lev_publish_extra_free(struct lev_publish_extra **x);

#endif
