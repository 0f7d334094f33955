/* Contents: from a publish, its header and its body frames to a command. Loop thread, without the
 * lock. */
#ifndef LEV_SESSION_ASSEMBLY_H
#define LEV_SESSION_ASSEMBLY_H

#include "session/loop.h"

enum { LEV_BODY_MAX = 536870912 }; /* 512 MiB: RabbitMQ's hard cap */

/* basic.publish, split: views into the input. */
struct lev_publish_parts {
    struct lev_bytes exchange, key;
    bool mandatory, immediate;
};

/* A basic.publish arrived. The channel expects a header now. */
void lev_assembly_begin(struct lev_channel *ch, const struct lev_publish_parts *p);
/* A publish with header and body at once, properties of the plain kind that the channel sent last
 * time: adds the command. False, with nothing done, when they are not, or the message is too large,
 * or memory is out. */
bool lev_assembly_whole(struct lev_channel *ch, const struct lev_publish_parts *p,
                        struct lev_bytes props, struct lev_bytes body);
/* A header or body frame; false with *err (a connection error, of basic.publish's ids unless
 * *bare). */
bool lev_assembly_header(struct lev_channel *ch, struct lev_bytes payload, struct lev_error *err,
                         bool *bare);
bool lev_assembly_body(struct lev_channel *ch, struct lev_bytes payload, struct lev_error *err);
/* A frame's worth of the body is in the message. */
void lev_assembly_end_piece(struct lev_channel *ch);
/* Copies what still points into the input, before the input goes away. */
void lev_assembly_keep(struct lev_assembly *as);

#endif
