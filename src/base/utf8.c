/* UTF-8 well-formedness. See utf8.h.
 *
 * Looks only at octets below the end of the view; plain ASCII goes eight octets at a time. */
#include "base/utf8.h"

/* What may follow a lead octet: how many octets, and the range of the first of them (the others are
 * 80..BF). n is 0 for an octet that cannot lead. Unicode 15, table 3-7. */
struct tail {
    uint8_t n, low, high;
};

static struct tail tail_of(uint8_t lead)
{
    if (lead < 0xC2 || lead > 0xF4)
        return (struct tail){0, 0, 0};
    if (lead < 0xE0)
        return (struct tail){1, 0x80, 0xBF};
    if (lead < 0xF0)
        return (struct tail){2, lead == 0xE0 ? 0xA0 : 0x80, lead == 0xED ? 0x9F : 0xBF};
    return (struct tail){3, lead == 0xF0 ? 0x90 : 0x80, lead == 0xF4 ? 0x8F : 0xBF};
}

/* Length of the ASCII run at the front, in whole groups of eight. */
static size_t ascii_run(const uint8_t *p, size_t left)
{
    size_t n = 0;
    uint64_t v;
    for (; left - n >= 8; n += 8) {
        memcpy(&v, p + n, 8);
        if (v & 0x8080808080808080u)
            break;
    }
    return n;
}

/* Length of the well-formed sequence at the front (left > 0), or 0. */
static size_t sequence(const uint8_t *p, size_t left)
{
    if (p[0] < 0x80)
        return 1;
    struct tail t = tail_of(p[0]);
    if (t.n == 0 || left - 1 < t.n || p[1] < t.low || p[1] > t.high)
        return 0;
    for (size_t i = 2; i <= t.n; i++)
        if ((p[i] & 0xC0) != 0x80)
            return 0;
    return (size_t)t.n + 1;
}

bool lev_utf8_valid(struct lev_bytes b)
{
    const uint8_t *p = b.ptr;
    size_t left = b.len;
    size_t n = ascii_run(p, left);
    while (left > n) {
        p += n;
        left -= n;
        n = sequence(p, left);
        if (n == 0)
            return false;
    }
    return true;
}
