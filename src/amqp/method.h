/* All AMQP 0-9-1 methods and RabbitMQ's extensions, from one table (methods.def).
 *
 * methods.def holds one row a method in our own words:
 *   LEV_METHOD(QUEUE_DECLARE, queue_declare, 50, 10, "queue.declare", flags, fields)
 * From it come: enum lev_method_id (LEV_M_QUEUE_DECLARE), struct lev_queue_declare, the union in
 * struct lev_method (m.u.queue_declare), decode, encode, names ("queue.declare") and policy rows.
 * Field kinds: octet uint8_t, shortint uint16_t, longint uint32_t, longlong uint64_t, timestamp
 * uint64_t, bit bool (consecutive bits packed), shortstr/longstr/table struct lev_bytes (views; a
 * table is its raw bytes without length). Field names are the spec's with '-' as '_' (auto_delete,
 * if_unused, no_wait, no_ack, consumer_tag, delivery_tag, routing_key, reply_code, reply_text,
 * class_id, method_id, ticket, arguments, ...). exchange.unbind-ok is 40,51. Pure; any thread. */
#ifndef LEV_AMQP_METHOD_H
#define LEV_AMQP_METHOD_H

#include "amqp/frame.h"
#include "base/buf.h"

/* Policy flags of a row. */
enum {
    LEV_MF_CLIENT = 1, /* a client may send it */
    LEV_MF_SERVER = 2, /* a server may send it */
    LEV_MF_CHANNEL0 =
        4,              /* belongs to channel 0 (class connection); others belong to channels > 0 */
    LEV_MF_CONTENT = 8, /* content header and body follow */
    LEV_MF_SYNC = 16,   /* expects a reply */
    LEV_MF_HOT = 32,    /* publish, ack, nack, reject: shortstrs are not checked for UTF-8 */
};

#include "amqp/method_types.h" /* enum lev_method_id, the structs, struct lev_method {id; union u} */

struct lev_method_info {
    uint16_t class_id, method_id;
    uint8_t flags;
    const char *name; /* "queue.declare" */
};

/* Row of a method; id is below LEV_M_COUNT. */
const struct lev_method_info *lev_method_info(enum lev_method_id id);

/* Decodes a method frame's payload (class, method, arguments). 0 with views into payload; or
 * LEV_EUNKNOWN (no such method, or fewer than 4 octets; m_r->id is LEV_M_COUNT), LEV_EPROTO
 * (truncated or trailing octets; m_r->id is set), LEV_EUTF8 (shortstr of a method that carries no
 * content; m_r->id set), LEV_ETYPE/LEV_EDEPTH (table; id set). Field tables are validated. */
int lev_method_decode(struct lev_bytes payload, struct lev_method *m_r);

/* Appends a complete method frame, or nothing when out has failed. Borrows m; a shortstr longer
 * than 255 octets is cut. */
void lev_method_encode(struct lev_buf *out, uint16_t channel, const struct lev_method *m);

/* RabbitMQ's name of a reply code ("NOT_FOUND"), or NULL. Static. */
const char *lev_reply_name(uint16_t code);

/* True when the reply code is a connection (hard) error. */
bool lev_reply_is_hard(uint16_t code);

#endif
