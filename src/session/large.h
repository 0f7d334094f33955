/* A content with a large body on its way to a socket, straight from the message.
 *
 * As a stream it is: method and header frames, then body frames, of which all but the last are
 * full. So a place in it is one number, and it can be left and taken up at any octet. Loop thread.
 */
#ifndef LEV_SESSION_LARGE_H
#define LEV_SESSION_LARGE_H

#include "net/net.h"

/* Bodies from here on are not copied into the scratch. */
enum { LEV_LARGE_BODY = 64 * 1024 };

struct lev_large {
    struct lev_bytes start; /* method and header frames */
    struct lev_bytes body;
    uint16_t channel;
    size_t frame_body; /* octets of the body in a full frame */
    size_t sent;       /* octets of the stream that are gone */
};

/* Octets of the whole stream. */
size_t lev_large_size(const struct lev_large *l);
/* The pieces of the stream from l->sent on, about max_octets of them: fills iov and returns how
 * many. They point into l, its messages, and space. */
enum { LEV_LARGE_IOV = 193, LEV_LARGE_SPACE = LEV_LARGE_IOV * 8 };
int lev_large_pieces(const struct lev_large *l, size_t max_octets, uint8_t space[LEV_LARGE_SPACE],
                     struct iovec iov[LEV_LARGE_IOV]);
/* Writes on until the socket takes no more or it is another's turn, and moves l->sent. 0, or -1
 * when the transport is broken. */
ssize_t lev_large_write(struct lev_large *l, struct lev_transport *t);

#endif
