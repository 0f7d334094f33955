/* Names in methods. See names.h. */
#include "session/names.h"

struct lev_bytes lev_clean_name(struct lev_bytes name, uint8_t buf[LEV_NAME_MAX])
{
    size_t n = 0;
    if (!name.len || (!memchr(name.ptr, '\r', name.len) && !memchr(name.ptr, '\n', name.len)))
        return name;
    for (size_t i = 0; i < name.len; i++)
        if (name.ptr[i] != '\r' && name.ptr[i] != '\n')
            buf[n++] = name.ptr[i];
    return lev_bytes(buf, n);
}

int lev_queue_meant(struct lev_channel *ch, struct lev_bytes *name, struct lev_error *err)
{
    if (name->len)
        return 0;
    if (!ch->last_queue.len)
        return lev_fail(err, LEV_NOT_FOUND, "no previously declared queue");
    *name = ch->last_queue;
    return 0;
}
