/* Contents: from a publish, its header and its body frames to a command. Loop thread, without the
 * lock. */
#ifndef LEV_SESSION_ASSEMBLY_H
#define LEV_SESSION_ASSEMBLY_H

#include "session/loop.h"

enum { LEV_BODY_MAX = 536870912 }; /* 512 MiB: RabbitMQ's hard cap */

/* A basic.publish arrived; names are views into the input. The channel expects a header now. */
void lev_assembly_begin(struct lev_channel *ch, struct lev_bytes exchange, struct lev_bytes key,
                        bool mandatory, bool immediate);
/* A header or body frame; false with *err (a connection error, of basic.publish's ids unless
 * *bare). */
bool lev_assembly_header(struct lev_channel *ch, struct lev_bytes payload, struct lev_error *err,
                         bool *bare);
bool lev_assembly_body(struct lev_channel *ch, struct lev_bytes payload, struct lev_error *err);
/* Copies what still points into the input, before the input goes away. */
void lev_assembly_keep(struct lev_assembly *as);

#endif
