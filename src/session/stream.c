/* Body frames in pieces. See stream.h.
 *
 * While one is under way c->stream_left counts its payload still to come and the end octet. What
 * nobody waits for any more, because the channel or connection is closing or the message is too
 * large to be kept, is dropped as it comes. */
#include "session/stream.h"

#include "amqp/frame.h"
#include "session/assembly.h"

/* Shorter frames are kept until they are whole. */
enum { LONG = 1024, HEAD = LEV_FRAME_OVERHEAD - 1 };

/* The channel's content, if so many octets more of its body are expected. */
static struct lev_assembly *content_of(struct lev_conn *c, uint16_t channel, size_t octets)
{
    struct lev_channel *ch =
        c->state == LEV_CONN_RUNNING && channel ? lev_conn_channel(c, channel) : NULL;
    struct lev_assembly *as = ch && !ch->closing ? &ch->as : NULL;
    bool expected = as && as->active && as->has_header && octets <= as->body_size - as->got;
    return expected ? as : NULL;
}

static bool is_ignored(struct lev_conn *c, uint16_t channel)
{
    struct lev_channel *ch = channel ? lev_conn_channel(c, channel) : NULL;
    return c->state == LEV_CONN_CLOSING || (c->state == LEV_CONN_RUNNING && ch && ch->closing);
}

size_t lev_stream_begin(struct lev_conn *c, const uint8_t *p, size_t n)
{
    if (n < HEAD || p[0] != LEV_FRAME_BODY)
        return 0;
    uint16_t channel = lev_get16(p + 1);
    size_t size = lev_get32(p + 3);
    if (size < LONG || !(content_of(c, channel, size) || is_ignored(c, channel)))
        return 0;
    c->stream_channel = channel;
    c->stream_left = size + 1;
    c->stream_size = size;
    return HEAD;
}

static void end_frame(struct lev_conn *c, uint8_t end)
{
    struct lev_assembly *as = content_of(c, c->stream_channel, 0);
    c->stream_left = 0;
    if (end != LEV_FRAME_END)
        lev_input_bad_end(
            c, c->stream_channel,
            as && as->msg
                ? lev_bytes(lev_msg_body(as->msg).ptr + as->got - c->stream_size, c->stream_size)
                : LEV_EMPTY,
            end);
    else if (as)
        lev_assembly_end_piece(lev_conn_channel(c, c->stream_channel));
}

size_t lev_stream_input(struct lev_conn *c, const uint8_t *p, size_t n)
{
    size_t payload = c->stream_left - 1, k = n < payload ? n : payload;
    struct lev_assembly *as = content_of(c, c->stream_channel, payload);
    if (as && as->msg && k)
        memcpy(lev_msg_body_mut(as->msg) + as->got, p, k);
    if (as)
        as->got += k;
    c->stream_left -= k;
    if (k == n)
        return k;
    end_frame(c, p[k]);
    return k + 1;
}
