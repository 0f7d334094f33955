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

/* Splits the payload of a method frame that is a basic.publish; false when it does not look right
 * (lev_method_decode then tells what is wrong). */
static inline bool lev_publish_split(struct lev_bytes payload, struct lev_publish_parts *p_r)
{
    enum { EXCHANGE = 7 }; /* behind class, method, ticket and its own length */
    const uint8_t *p = payload.ptr;
    if (payload.len < EXCHANGE + 2)
        return false;
    size_t key = EXCHANGE + p[EXCHANGE - 1] + 1u;
    if (payload.len < key + 1 || payload.len != key + p[key - 1] + 1u)
        return false;
    p_r->exchange = lev_bytes(p + EXCHANGE, p[EXCHANGE - 1]);
    p_r->key = lev_bytes(p + key, p[key - 1]);
    p_r->mandatory = p[payload.len - 1] & 1;
    p_r->immediate = p[payload.len - 1] & 2;
    return true;
}

/* A basic.publish arrived. The channel expects a header now. */
void lev_assembly_begin(struct lev_channel *ch, const struct lev_publish_parts *p);
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
