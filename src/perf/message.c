/* Encoding of published messages. Property flags: 0-9-1 §4.2.6.1, highest bit first. */
#include "perf/message.h"

#include "perf/method.h"

#define FLAG_HEADERS (1u << 13)
#define FLAG_DELIVERY_MODE (1u << 12)
#define FLAG_REPLY_TO (1u << 9)
#define BIT_MANDATORY 0x01u
#define BLOCK_LIMIT (1024u * 1024u * 1024u)

static void put_publish(struct lev_perf_buf *buf, const struct lev_perf_message *m)
{
    size_t mark = lev_perf_method_begin(buf, m->channel, LEV_PERF_BASIC_PUBLISH);

    lev_perf_put_u16(buf, 0);
    lev_perf_put_shortstr(buf, m->exchange);
    lev_perf_put_shortstr(buf, m->key);
    lev_perf_put_u8(buf, m->mandatory ? BIT_MANDATORY : 0);
    lev_perf_frame_end(buf, mark);
}

static void put_header(struct lev_perf_buf *buf, const struct lev_perf_message *m)
{
    size_t mark = lev_perf_frame_begin(buf, LEV_PERF_FRAME_HEADER, m->channel);

    lev_perf_put_u16(buf, 60);
    lev_perf_put_u16(buf, 0);
    lev_perf_put_u64(buf, m->body_len);
    lev_perf_put_u16(buf, (uint16_t)((m->header >= 0 ? FLAG_HEADERS : 0) |
                                     (m->persistent ? FLAG_DELIVERY_MODE : 0) |
                                     (m->reply_to ? FLAG_REPLY_TO : 0)));
    if (m->header >= 0) {
        size_t table = lev_perf_table_begin(buf);

        lev_perf_table_i32(buf, "n", m->header);
        lev_perf_table_end(buf, table);
    }
    if (m->persistent)
        lev_perf_put_u8(buf, 2);
    if (m->reply_to)
        lev_perf_put_shortstr(buf, m->reply_to);
    lev_perf_frame_end(buf, mark);
}

static void put_body(struct lev_perf_buf *buf, const struct lev_perf_message *m)
{
    size_t done = 0;

    while (done < m->body_len) {
        size_t left = m->body_len - done;
        size_t part = left < m->payload_max ? left : m->payload_max;
        size_t mark = lev_perf_frame_begin(buf, LEV_PERF_FRAME_BODY, m->channel);

        lev_perf_put_bytes(buf, m->body + done, part);
        lev_perf_frame_end(buf, mark);
        done += part;
    }
}

void lev_perf_message_encode(struct lev_perf_buf *buf, const struct lev_perf_message *message)
{
    put_publish(buf, message);
    put_header(buf, message);
    put_body(buf, message);
}

/* Encodes one message to learn the stride and where its body starts. */
static void measure(struct lev_perf_template *t, const struct lev_perf_message *message,
                    const char *key)
{
    struct lev_perf_message m = *message;
    struct lev_perf_buf one = {0};

    m.key = key;
    put_publish(&one, &m);
    put_header(&one, &m);
    t->body_offset = one.len + LEV_PERF_FRAME_OVERHEAD - 1;
    put_body(&one, &m);
    t->stride = one.len;
    lev_perf_buf_deinit(&one);
}

int lev_perf_template_init(struct lev_perf_template *t, const struct lev_perf_message *message,
                           char *const *keys, size_t key_count)
{
    struct lev_perf_message m = *message;
    size_t rounds;

    memset(t, 0, sizeof *t);
    measure(t, message, keys[0]);
    rounds = LEV_PERF_BLOCK_BYTES / (t->stride * key_count);
    t->count = (rounds ? rounds : 1) * key_count;
    if (t->count > BLOCK_LIMIT / t->stride)
        return -1;
    lev_perf_buf_reserve(&t->block, t->count * t->stride);
    for (size_t i = 0; i < t->count; i++) {
        m.key = keys[i % key_count];
        if (message->header >= 0)
            m.header = (int32_t)(i % key_count);
        lev_perf_message_encode(&t->block, &m);
    }
    return 0;
}

void lev_perf_template_deinit(struct lev_perf_template *t)
{
    lev_perf_buf_deinit(&t->block);
}
