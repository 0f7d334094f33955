/* AMQP 0-9-1 frames (spec 4.2.3): type, channel, size, payload, end octet 0xCE.
 * Pure: no I/O, no allocation; views into the caller's buffer. Any thread. */
#ifndef LEV_AMQP_FRAME_H
#define LEV_AMQP_FRAME_H

#include "base/bytes.h"

enum {
    LEV_FRAME_METHOD = 1,
    LEV_FRAME_HEADER = 2,
    LEV_FRAME_BODY = 3,
    LEV_FRAME_HEARTBEAT = 8,
    LEV_FRAME_END = 0xCE,
    LEV_FRAME_OVERHEAD = 8, /* 7 octets of header and the end octet */
};

struct lev_frame {
    uint8_t type;
    uint16_t channel;
    struct lev_bytes payload; /* view into the input */
};

enum {
    LEV_FRAME_MORE = 0, /* not enough input yet; nothing consumed; from 7 octets on *frame_r has
                         * type, channel and payload.len as they will be */
    LEV_FRAME_TOO_LARGE =
        -1, /* size over the limit; *frame_r has type, channel and payload.len = size */
    LEV_FRAME_BAD_END = -2, /* end octet wrong; *frame_r filled, end octet at payload.ptr[len] */
};

/* Decode one frame from p[0..n). limit: largest payload accepted (0 = no limit), checked before the
 * payload has arrived. Returns the octets consumed (> 0) with *frame_r filled, or one of the above.
 */
static inline long lev_frame_decode(const uint8_t *p, size_t n, uint32_t limit,
                                    struct lev_frame *frame_r)
{
    if (n < 7)
        return LEV_FRAME_MORE;
    uint32_t size = lev_get32(p + 3);
    frame_r->type = p[0];
    frame_r->channel = lev_get16(p + 1);
    frame_r->payload = lev_bytes(p + 7, size);
    if (limit && size > limit)
        return LEV_FRAME_TOO_LARGE;
    if (n - 7 < (size_t)size + 1)
        return LEV_FRAME_MORE;
    if (p[7 + (size_t)size] != LEV_FRAME_END)
        return LEV_FRAME_BAD_END;
    return (long)size + LEV_FRAME_OVERHEAD;
}

/* Takes a frame of this type and channel off the front of *in, when one is there that is whole, in
 * order and no longer than limit (nor than 2^24 octets). Else false, and *in is as it was. */
static inline bool lev_frame_take(struct lev_bytes *in, uint8_t type, uint16_t channel,
                                  uint32_t limit, struct lev_bytes *payload_r)
{
    /* type, channel, and the first octet of the size, which is 0 */
    uint32_t begin = (uint32_t)type << 24 | (uint32_t)channel << 8;
    if (in->len < LEV_FRAME_OVERHEAD || lev_get32(in->ptr) != begin)
        return false;
    size_t size = lev_get32(in->ptr + 3), room = in->len - LEV_FRAME_OVERHEAD;
    if (size > limit || size > room || in->ptr[7 + size] != LEV_FRAME_END)
        return false;
    *payload_r = lev_bytes(in->ptr + 7, size);
    *in = lev_bytes(in->ptr + LEV_FRAME_OVERHEAD + size, room - size);
    return true;
}

/* Writes the 7 octets of a frame's header. */
static inline void lev_frame_put_header(uint8_t *p, uint8_t type, uint16_t channel, uint32_t size)
{
    p[0] = type;
    lev_put16(p + 1, channel);
    lev_put32(p + 3, size);
}

#endif
