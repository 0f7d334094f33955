/* The AMQP methods the load generator sends, each encoded as a whole frame at the end of a buffer,
 * and the ids of those it receives. Pure; any thread. */
#ifndef LEV_PERF_METHOD_H
#define LEV_PERF_METHOD_H

#include <stdbool.h>
#include <stdint.h>

#include "perf/codec.h"

#define LEV_PERF_METHOD_ID(class_id, method_id) ((uint32_t)(class_id) << 16 | (uint32_t)(method_id))

enum lev_perf_method {
    LEV_PERF_CONNECTION_START = LEV_PERF_METHOD_ID(10, 10),
    LEV_PERF_CONNECTION_START_OK = LEV_PERF_METHOD_ID(10, 11),
    LEV_PERF_CONNECTION_TUNE = LEV_PERF_METHOD_ID(10, 30),
    LEV_PERF_CONNECTION_TUNE_OK = LEV_PERF_METHOD_ID(10, 31),
    LEV_PERF_CONNECTION_OPEN = LEV_PERF_METHOD_ID(10, 40),
    LEV_PERF_CONNECTION_OPEN_OK = LEV_PERF_METHOD_ID(10, 41),
    LEV_PERF_CONNECTION_CLOSE = LEV_PERF_METHOD_ID(10, 50),
    LEV_PERF_CONNECTION_CLOSE_OK = LEV_PERF_METHOD_ID(10, 51),
    LEV_PERF_CONNECTION_BLOCKED = LEV_PERF_METHOD_ID(10, 60),
    LEV_PERF_CONNECTION_UNBLOCKED = LEV_PERF_METHOD_ID(10, 61),
    LEV_PERF_CHANNEL_OPEN = LEV_PERF_METHOD_ID(20, 10),
    LEV_PERF_CHANNEL_OPEN_OK = LEV_PERF_METHOD_ID(20, 11),
    LEV_PERF_CHANNEL_CLOSE = LEV_PERF_METHOD_ID(20, 40),
    LEV_PERF_CHANNEL_CLOSE_OK = LEV_PERF_METHOD_ID(20, 41),
    LEV_PERF_EXCHANGE_DECLARE = LEV_PERF_METHOD_ID(40, 10),
    LEV_PERF_EXCHANGE_DECLARE_OK = LEV_PERF_METHOD_ID(40, 11),
    LEV_PERF_EXCHANGE_DELETE = LEV_PERF_METHOD_ID(40, 20),
    LEV_PERF_EXCHANGE_DELETE_OK = LEV_PERF_METHOD_ID(40, 21),
    LEV_PERF_QUEUE_DECLARE = LEV_PERF_METHOD_ID(50, 10),
    LEV_PERF_QUEUE_DECLARE_OK = LEV_PERF_METHOD_ID(50, 11),
    LEV_PERF_QUEUE_BIND = LEV_PERF_METHOD_ID(50, 20),
    LEV_PERF_QUEUE_BIND_OK = LEV_PERF_METHOD_ID(50, 21),
    LEV_PERF_QUEUE_DELETE = LEV_PERF_METHOD_ID(50, 40),
    LEV_PERF_QUEUE_DELETE_OK = LEV_PERF_METHOD_ID(50, 41),
    LEV_PERF_BASIC_QOS = LEV_PERF_METHOD_ID(60, 10),
    LEV_PERF_BASIC_QOS_OK = LEV_PERF_METHOD_ID(60, 11),
    LEV_PERF_BASIC_CONSUME = LEV_PERF_METHOD_ID(60, 20),
    LEV_PERF_BASIC_CONSUME_OK = LEV_PERF_METHOD_ID(60, 21),
    LEV_PERF_BASIC_CANCEL = LEV_PERF_METHOD_ID(60, 30),
    LEV_PERF_BASIC_PUBLISH = LEV_PERF_METHOD_ID(60, 40),
    LEV_PERF_BASIC_RETURN = LEV_PERF_METHOD_ID(60, 50),
    LEV_PERF_BASIC_DELIVER = LEV_PERF_METHOD_ID(60, 60),
    LEV_PERF_BASIC_ACK = LEV_PERF_METHOD_ID(60, 80),
    LEV_PERF_BASIC_NACK = LEV_PERF_METHOD_ID(60, 120),
    LEV_PERF_CONFIRM_SELECT = LEV_PERF_METHOD_ID(85, 10),
    LEV_PERF_CONFIRM_SELECT_OK = LEV_PERF_METHOD_ID(85, 11),
};

/* Opens a method frame; give the mark to lev_perf_frame_end after the arguments. */
size_t lev_perf_method_begin(struct lev_perf_buf *buf, uint16_t channel,
                             enum lev_perf_method method);
/* A method without arguments. */
void lev_perf_method_plain(struct lev_perf_buf *buf, uint16_t channel, enum lev_perf_method method);

/* SASL PLAIN, with the client capabilities that make the broker explain itself. */
void lev_perf_method_start_ok(struct lev_perf_buf *buf, const char *user, const char *password,
                              const char *name);
void lev_perf_method_tune_ok(struct lev_perf_buf *buf, uint16_t channel_max, uint32_t frame_max,
                             uint16_t heartbeat_s);
void lev_perf_method_open(struct lev_perf_buf *buf, const char *vhost);
/* channel.close or connection.close with reply 200. */
void lev_perf_method_close(struct lev_perf_buf *buf, uint16_t channel, enum lev_perf_method method);
void lev_perf_method_channel_open(struct lev_perf_buf *buf, uint16_t channel);
void lev_perf_method_exchange_declare(struct lev_perf_buf *buf, uint16_t channel, const char *name,
                                      const char *type, bool durable);
void lev_perf_method_exchange_delete(struct lev_perf_buf *buf, uint16_t channel, const char *name);
void lev_perf_method_queue_declare(struct lev_perf_buf *buf, uint16_t channel, const char *name,
                                   bool passive, bool durable);
/* Binds by key; header >= 0 adds the arguments of a headers exchange: x-match all, n = header. */
void lev_perf_method_queue_bind(struct lev_perf_buf *buf, uint16_t channel, const char *queue,
                                const char *exchange, const char *key, int32_t header);
void lev_perf_method_queue_delete(struct lev_perf_buf *buf, uint16_t channel, const char *name);
void lev_perf_method_qos(struct lev_perf_buf *buf, uint16_t channel, uint16_t prefetch);
void lev_perf_method_consume(struct lev_perf_buf *buf, uint16_t channel, const char *queue,
                             bool no_ack);
void lev_perf_method_ack(struct lev_perf_buf *buf, uint16_t channel, uint64_t tag, bool multiple);
void lev_perf_method_confirm_select(struct lev_perf_buf *buf, uint16_t channel);

#endif
