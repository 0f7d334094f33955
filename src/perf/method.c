/* Encoders of the methods a load generator sends. Bit arguments are packed from the lowest bit up
 * (0-9-1 §4.2.5.2). */
#include "perf/method.h"

#define BIT_PASSIVE 0x01u
#define BIT_DURABLE 0x02u
#define BIT_NO_ACK 0x02u

size_t lev_perf_method_begin(struct lev_perf_buf *buf, uint16_t channel,
                             enum lev_perf_method method)
{
    size_t mark = lev_perf_frame_begin(buf, LEV_PERF_FRAME_METHOD, channel);

    lev_perf_put_u32(buf, (uint32_t)method);
    return mark;
}

void lev_perf_method_plain(struct lev_perf_buf *buf, uint16_t channel, enum lev_perf_method method)
{
    lev_perf_frame_end(buf, lev_perf_method_begin(buf, channel, method));
}

static void put_client_properties(struct lev_perf_buf *buf, const char *name)
{
    size_t table = lev_perf_table_begin(buf), capabilities;

    lev_perf_table_str(buf, "product", "leveret-perf");
    lev_perf_table_str(buf, "connection_name", name);
    lev_perf_put_shortstr(buf, "capabilities");
    lev_perf_put_u8(buf, 'F');
    capabilities = lev_perf_table_begin(buf);
    lev_perf_table_bool(buf, "publisher_confirms", true);
    lev_perf_table_bool(buf, "basic.nack", true);
    lev_perf_table_bool(buf, "consumer_cancel_notify", true);
    lev_perf_table_bool(buf, "connection.blocked", true);
    lev_perf_table_bool(buf, "authentication_failure_close", true);
    lev_perf_table_end(buf, capabilities);
    lev_perf_table_end(buf, table);
}

void lev_perf_method_start_ok(struct lev_perf_buf *buf, const char *user, const char *password,
                              const char *name)
{
    size_t mark = lev_perf_method_begin(buf, 0, LEV_PERF_CONNECTION_START_OK), response;

    put_client_properties(buf, name);
    lev_perf_put_shortstr(buf, "PLAIN");
    response = lev_perf_table_begin(buf);
    lev_perf_put_u8(buf, 0);
    lev_perf_put_bytes(buf, user, strlen(user));
    lev_perf_put_u8(buf, 0);
    lev_perf_put_bytes(buf, password, strlen(password));
    lev_perf_table_end(buf, response);
    lev_perf_put_shortstr(buf, "en_US");
    lev_perf_frame_end(buf, mark);
}

void lev_perf_method_tune_ok(struct lev_perf_buf *buf, uint16_t channel_max, uint32_t frame_max,
                             uint16_t heartbeat_s)
{
    size_t mark = lev_perf_method_begin(buf, 0, LEV_PERF_CONNECTION_TUNE_OK);

    lev_perf_put_u16(buf, channel_max);
    lev_perf_put_u32(buf, frame_max);
    lev_perf_put_u16(buf, heartbeat_s);
    lev_perf_frame_end(buf, mark);
}

void lev_perf_method_open(struct lev_perf_buf *buf, const char *vhost)
{
    size_t mark = lev_perf_method_begin(buf, 0, LEV_PERF_CONNECTION_OPEN);

    lev_perf_put_shortstr(buf, vhost);
    lev_perf_put_shortstr(buf, "");
    lev_perf_put_u8(buf, 0);
    lev_perf_frame_end(buf, mark);
}

void lev_perf_method_close(struct lev_perf_buf *buf, uint16_t channel, enum lev_perf_method method)
{
    size_t mark = lev_perf_method_begin(buf, channel, method);

    lev_perf_put_u16(buf, 200);
    lev_perf_put_shortstr(buf, "done");
    lev_perf_put_u32(buf, 0);
    lev_perf_frame_end(buf, mark);
}

void lev_perf_method_channel_open(struct lev_perf_buf *buf, uint16_t channel)
{
    size_t mark = lev_perf_method_begin(buf, channel, LEV_PERF_CHANNEL_OPEN);

    lev_perf_put_shortstr(buf, "");
    lev_perf_frame_end(buf, mark);
}

void lev_perf_method_exchange_declare(struct lev_perf_buf *buf, uint16_t channel, const char *name,
                                      const char *type, bool durable)
{
    size_t mark = lev_perf_method_begin(buf, channel, LEV_PERF_EXCHANGE_DECLARE);

    lev_perf_put_u16(buf, 0);
    lev_perf_put_shortstr(buf, name);
    lev_perf_put_shortstr(buf, type);
    lev_perf_put_u8(buf, durable ? BIT_DURABLE : 0);
    lev_perf_put_u32(buf, 0);
    lev_perf_frame_end(buf, mark);
}

void lev_perf_method_exchange_delete(struct lev_perf_buf *buf, uint16_t channel, const char *name)
{
    size_t mark = lev_perf_method_begin(buf, channel, LEV_PERF_EXCHANGE_DELETE);

    lev_perf_put_u16(buf, 0);
    lev_perf_put_shortstr(buf, name);
    lev_perf_put_u8(buf, 0);
    lev_perf_frame_end(buf, mark);
}

void lev_perf_method_queue_declare(struct lev_perf_buf *buf, uint16_t channel, const char *name,
                                   bool passive, bool durable)
{
    size_t mark = lev_perf_method_begin(buf, channel, LEV_PERF_QUEUE_DECLARE);

    lev_perf_put_u16(buf, 0);
    lev_perf_put_shortstr(buf, name);
    lev_perf_put_u8(buf, (uint8_t)((passive ? BIT_PASSIVE : 0) | (durable ? BIT_DURABLE : 0)));
    lev_perf_put_u32(buf, 0);
    lev_perf_frame_end(buf, mark);
}

void lev_perf_method_queue_bind(struct lev_perf_buf *buf, uint16_t channel, const char *queue,
                                const char *exchange, const char *key, int32_t header)
{
    size_t mark = lev_perf_method_begin(buf, channel, LEV_PERF_QUEUE_BIND), table;

    lev_perf_put_u16(buf, 0);
    lev_perf_put_shortstr(buf, queue);
    lev_perf_put_shortstr(buf, exchange);
    lev_perf_put_shortstr(buf, key);
    lev_perf_put_u8(buf, 0);
    table = lev_perf_table_begin(buf);
    if (header >= 0) {
        lev_perf_table_str(buf, "x-match", "all");
        lev_perf_table_i32(buf, "n", header);
    }
    lev_perf_table_end(buf, table);
    lev_perf_frame_end(buf, mark);
}

void lev_perf_method_queue_delete(struct lev_perf_buf *buf, uint16_t channel, const char *name)
{
    size_t mark = lev_perf_method_begin(buf, channel, LEV_PERF_QUEUE_DELETE);

    lev_perf_put_u16(buf, 0);
    lev_perf_put_shortstr(buf, name);
    lev_perf_put_u8(buf, 0);
    lev_perf_frame_end(buf, mark);
}

void lev_perf_method_qos(struct lev_perf_buf *buf, uint16_t channel, uint16_t prefetch)
{
    size_t mark = lev_perf_method_begin(buf, channel, LEV_PERF_BASIC_QOS);

    lev_perf_put_u32(buf, 0);
    lev_perf_put_u16(buf, prefetch);
    lev_perf_put_u8(buf, 0);
    lev_perf_frame_end(buf, mark);
}

void lev_perf_method_consume(struct lev_perf_buf *buf, uint16_t channel, const char *queue,
                             bool no_ack)
{
    size_t mark = lev_perf_method_begin(buf, channel, LEV_PERF_BASIC_CONSUME);

    lev_perf_put_u16(buf, 0);
    lev_perf_put_shortstr(buf, queue);
    lev_perf_put_shortstr(buf, "");
    lev_perf_put_u8(buf, no_ack ? BIT_NO_ACK : 0);
    lev_perf_put_u32(buf, 0);
    lev_perf_frame_end(buf, mark);
}

void lev_perf_method_ack(struct lev_perf_buf *buf, uint16_t channel, uint64_t tag, bool multiple)
{
    size_t mark = lev_perf_method_begin(buf, channel, LEV_PERF_BASIC_ACK);

    lev_perf_put_u64(buf, tag);
    lev_perf_put_u8(buf, multiple);
    lev_perf_frame_end(buf, mark);
}

void lev_perf_method_confirm_select(struct lev_perf_buf *buf, uint16_t channel)
{
    size_t mark = lev_perf_method_begin(buf, channel, LEV_PERF_CONFIRM_SELECT);

    lev_perf_put_u8(buf, 0);
    lev_perf_frame_end(buf, mark);
}
