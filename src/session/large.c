/* Large contents. See large.h. */
#include "session/large.h"

#include "amqp/frame.h"

/* Octets that one connection may send before the loop's others get their turn. */
enum { TURN = 256 << 10 };
/* Octets of a frame before its payload. */
enum { HEAD = LEV_FRAME_OVERHEAD - 1 };

static size_t frames_of(const struct lev_large *l)
{
    return (l->body.len + l->frame_body - 1) / l->frame_body;
}

size_t lev_large_size(const struct lev_large *l)
{
    return l->start.len + l->body.len + frames_of(l) * LEV_FRAME_OVERHEAD;
}

static struct iovec piece(const void *p, size_t n)
{
    return (struct iovec){.iov_base = (void *)(uintptr_t)p, .iov_len = n};
}

/* Header, body part and end of frame k, from octet `from` of it. Returns how many pieces. */
static int frame_pieces(const struct lev_large *l, size_t k, size_t from, uint8_t *space,
                        struct iovec *iov)
{
    static const uint8_t end = LEV_FRAME_END;
    size_t at = k * l->frame_body, left = l->body.len - at;
    size_t n = left < l->frame_body ? left : l->frame_body;
    int pieces = 0;
    if (from < HEAD) {
        lev_frame_put_header(space, LEV_FRAME_BODY, l->channel, (uint32_t)n);
        iov[pieces++] = piece(space + from, HEAD - from);
        from = HEAD;
    }
    from -= HEAD;
    if (from < n)
        iov[pieces++] = piece(l->body.ptr + at + from, n - from);
    iov[pieces++] = piece(&end, 1);
    return pieces;
}

int lev_large_pieces(const struct lev_large *l, size_t max_octets, uint8_t space[LEV_LARGE_SPACE],
                     struct iovec iov[LEV_LARGE_IOV])
{
    int n = 0;
    size_t octets = 0, at = l->sent, full = l->frame_body + LEV_FRAME_OVERHEAD;
    if (at < l->start.len) {
        iov[n++] = piece(l->start.ptr + at, l->start.len - at);
        at = l->start.len;
    }
    at -= l->start.len;
    for (size_t k = at / full, from = at % full; k < frames_of(l); k++, from = 0) {
        if (n + 3 > LEV_LARGE_IOV || octets >= max_octets)
            break;
        n += frame_pieces(l, k, from, space + n * 8, iov + n);
        octets += full;
    }
    return n;
}

ssize_t lev_large_write(struct lev_large *l, struct lev_transport *t)
{
    uint8_t space[LEV_LARGE_SPACE];
    struct iovec iov[LEV_LARGE_IOV];
    size_t size = lev_large_size(l), turn = l->sent + TURN;
    while (l->sent < size && l->sent < turn) {
        int n = lev_large_pieces(l, turn - l->sent, space, iov);
        ssize_t done = lev_transport_write(t, iov, n);
        if (done < 0)
            return -1;
        if (done == 0)
            break;
        l->sent += (size_t)done;
    }
    return 0;
}
