/* Raw properties, and a content header's payload: what decodes is encoded to the same octets. */
#include "amqp/props.h"

#include "amqp/frame.h"
#include "property.h"

static void check_props(struct lev_bytes raw)
{
    struct lev_props p, again;
    struct lev_buf out;
    if (lev_props_decode(raw, &p) != 0)
        return;
    lev_buf_init(&out);
    lev_props_encode(&out, &p);
    FUZZ_CHECK(!out.failed);
    FUZZ_CHECK(lev_bytes_eq(lev_buf_view(&out), raw));
    FUZZ_CHECK(lev_props_decode(lev_buf_view(&out), &again) == 0);
    FUZZ_CHECK(again.flags == p.flags);
    lev_buf_deinit(&out);
}

static void check_header(struct lev_bytes payload)
{
    struct lev_content_header h, again;
    struct lev_frame f;
    struct lev_buf out;
    if (lev_content_header_decode(payload, &h) != 0)
        return;
    lev_buf_init(&out);
    lev_content_header_encode(&out, 1, h.body_size, h.props);
    FUZZ_CHECK(lev_frame_decode(out.ptr, out.len, 0, &f) == (long)out.len);
    FUZZ_CHECK(lev_content_header_decode(f.payload, &again) == 0);
    FUZZ_CHECK(again.body_size == h.body_size && lev_bytes_eq(again.props, h.props));
    check_props(h.props);
    lev_buf_deinit(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_props(lev_bytes(data, size));
    check_header(lev_bytes(data, size));
    return 0;
}
