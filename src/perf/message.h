/* Published messages as bytes: one message, and the template, a block of many messages encoded once
 * and written again and again. Every message of a template has the same length (the stride), so
 * message i starts at i * stride and its body's first bytes can be changed in place. Pure; any
 * thread, one owner per template. */
#ifndef LEV_PERF_MESSAGE_H
#define LEV_PERF_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "perf/codec.h"

/* What a template fills a block with: enough for one large write. */
#define LEV_PERF_BLOCK_BYTES (128u * 1024u)

struct lev_perf_message {
    uint16_t channel;
    const char *exchange;
    const char *key;
    bool mandatory;
    bool persistent;      /* sets delivery-mode 2; otherwise the property is left out */
    const char *reply_to; /* NULL: none */
    int32_t header;       /* >= 0: headers table {n: header} */
    const uint8_t *body;
    size_t body_len;
    uint32_t payload_max; /* of a frame, that is frame_max - 8 */
};

struct lev_perf_template {
    struct lev_perf_buf block;
    size_t stride;
    size_t count;       /* messages in the block */
    size_t body_offset; /* of the body's first byte from the start of a message; meaningless for
                           empty bodies */
};

/* Appends basic.publish, content header and body frames. An empty body has no body frame. */
void lev_perf_message_encode(struct lev_perf_buf *buf, const struct lev_perf_message *message);

/* Fills a template from `message`, taking the routing key (and header, when message->header >= 0)
 * of message i from keys[i % key_count] and i % key_count. The keys must all have one length. The
 * block holds at least one message for each key. Returns 0, or -1 when such a block would be
 * unreasonably large. */
int lev_perf_template_init(struct lev_perf_template *t, const struct lev_perf_message *message,
                           char *const *keys, size_t key_count);
void lev_perf_template_deinit(struct lev_perf_template *t);

/* Writes v big-endian into the first 8 bytes of the body of message i, which must have as many. */
static inline void lev_perf_template_stamp(struct lev_perf_template *t, size_t i, uint64_t v)
{
    v = __builtin_bswap64(v);
    memcpy(t->block.data + i * t->stride + t->body_offset, &v, sizeof v);
}

#endif
