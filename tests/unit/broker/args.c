/* Field tables from text. See args.h. */
#include "args.h"

#include "amqp/table.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

static void put_one(struct lev_buf *out, struct lev_bytes pair)
{
    const uint8_t *eq = memchr(pair.ptr, '=', pair.len);
    ck_assert(eq != NULL && eq + 1 < pair.ptr + pair.len);
    struct lev_bytes key = lev_bytes(pair.ptr, (size_t)(eq - pair.ptr));
    struct lev_value v = {.type = eq[1]};
    uint8_t raw[64];
    char text[256];
    v.b = lev_bytes(eq + 2, pair.len - key.len - 2);
    snprintf(text, sizeof(text), "%.*s", LEV_FMT(v.b));
    if (strchr("df", v.type)) {
        v.d = strtod(text, NULL);
    } else if (strchr("FA", v.type)) {
        size_t n = 0;
        for (unsigned octet; sscanf(text + 2 * n, "%2x", &octet) == 1; n++)
            raw[n] = (uint8_t)octet;
        v.b = lev_bytes(raw, n);
    } else if (!strchr("SxV", v.type)) {
        v.i = strtoll(text, NULL, 10);
    }
    lev_table_put_value(out, key, &v);
}

struct lev_bytes args(const char *text)
{
    static struct {
        uint8_t octets[2048];
    } buffers[8];
    static size_t turn;
    uint8_t *to = buffers[turn++ % 8].octets;
    struct lev_buf out;
    lev_buf_init(&out);
    for (const char *at = text; *at; at += strspn(at, " ")) {
        size_t n = strcspn(at, " ");
        put_one(&out, lev_bytes(at, n));
        at += n;
    }
    ck_assert(!out.failed && out.len <= sizeof(buffers[0]));
    size_t len = out.len;
    if (len)
        memcpy(to, out.ptr, len);
    lev_buf_deinit(&out);
    return lev_bytes(to, len);
}
