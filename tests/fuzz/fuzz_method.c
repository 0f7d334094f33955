/* A method frame's payload: what decodes is encoded to the same length, and decodes to the same. */
#include "amqp/method.h"

#include "property.h"

static void encode(struct lev_buf *out, const struct lev_method *m, struct lev_bytes *payload_r)
{
    struct lev_frame f;
    lev_method_encode(out, 1, m);
    FUZZ_CHECK(!out->failed);
    FUZZ_CHECK(lev_frame_decode(out->ptr, out->len, 0, &f) == (long)out->len);
    *payload_r = f.payload;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct lev_method first, second;
    struct lev_buf a, b;
    struct lev_bytes pa, pb;
    if (lev_method_decode(lev_bytes(data, size), &first) != 0)
        return 0;
    lev_buf_init(&a);
    lev_buf_init(&b);
    encode(&a, &first, &pa);
    FUZZ_CHECK(pa.len == size);
    FUZZ_CHECK(lev_method_decode(pa, &second) == 0);
    FUZZ_CHECK(first.id == second.id);
    encode(&b, &second, &pb);
    FUZZ_CHECK(lev_bytes_eq(pa, pb));
    lev_buf_deinit(&a);
    lev_buf_deinit(&b);
    return 0;
}
