/* A stream of frames; the first octet chooses the limit. Each frame comes out the same however its
 * octets arrive, and its header is written as it was read. */
#include "amqp/frame.h"

#include "property.h"

/* With fewer than n octets: more is needed, or the fault is seen already. */
static void check_prefixes(const uint8_t *p, size_t n, uint32_t limit, long outcome)
{
    struct lev_frame f;
    size_t step = n > 64 ? n / 64 : 1;
    for (size_t part = 0; part < n; part += step) {
        uint8_t *exact = malloc(part ? part : 1); /* a sanitizer sees any read past it */
        FUZZ_CHECK(exact);
        memcpy(exact, p, part);
        long rc = lev_frame_decode(exact, part, limit, &f);
        FUZZ_CHECK(rc == LEV_FRAME_MORE || (rc == LEV_FRAME_TOO_LARGE && rc == outcome));
        free(exact);
    }
}

/* Checks the frame at the front. Octets consumed, or none when the stream ends here. */
static size_t check_frame(const uint8_t *p, size_t left, uint32_t limit)
{
    struct lev_frame f = {0};
    uint8_t header[7];
    long rc = lev_frame_decode(p, left, limit, &f);
    check_prefixes(p, rc > 0 ? (size_t)rc : left < 7 ? left : 7, limit, rc);
    if (rc <= 0)
        return 0;
    FUZZ_CHECK((size_t)rc <= left && (size_t)rc == f.payload.len + LEV_FRAME_OVERHEAD);
    FUZZ_CHECK(f.payload.ptr == p + 7);
    FUZZ_CHECK(limit == 0 || f.payload.len <= limit);
    lev_frame_put_header(header, f.type, f.channel, (uint32_t)f.payload.len);
    FUZZ_CHECK(memcmp(header, p, sizeof(header)) == 0);
    return (size_t)rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    uint32_t limit = data[0];
    const uint8_t *p = data + 1;
    size_t left = size - 1, n;
    while ((n = check_frame(p, left, limit)) > 0) {
        p += n;
        left -= n;
    }
    return 0;
}
