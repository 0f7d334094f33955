/* Long body frames that come in pieces: their payload goes into the message as it comes, instead of
 * being kept until the frame is whole. Loop thread. */
#ifndef LEV_SESSION_STREAM_H
#define LEV_SESSION_STREAM_H

#include "session/conn.h"

/* p begins a frame of which not all is there. When it is a long one of a body that is expected, or
 * that is to be ignored, takes its header and returns how many octets that is, else 0. */
size_t lev_stream_begin(struct lev_conn *c, const uint8_t *p, size_t n);
/* Takes what belongs to the frame under way; returns how many octets. A wrong end fails the
 * connection, as in a frame that came whole. */
size_t lev_stream_input(struct lev_conn *c, const uint8_t *p, size_t n);

#endif
