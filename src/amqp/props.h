/* Content headers (spec 4.2.6.1) and the 14 basic properties. Views only. Any thread. */
#ifndef LEV_AMQP_PROPS_H
#define LEV_AMQP_PROPS_H

#include "base/buf.h"

/* Presence bits, as in the wire's flag word. */
enum {
    LEV_PROP_CONTENT_TYPE = 1 << 15,
    LEV_PROP_CONTENT_ENCODING = 1 << 14,
    LEV_PROP_HEADERS = 1 << 13,
    LEV_PROP_DELIVERY_MODE = 1 << 12,
    LEV_PROP_PRIORITY = 1 << 11,
    LEV_PROP_CORRELATION_ID = 1 << 10,
    LEV_PROP_REPLY_TO = 1 << 9,
    LEV_PROP_EXPIRATION = 1 << 8,
    LEV_PROP_MESSAGE_ID = 1 << 7,
    LEV_PROP_TIMESTAMP = 1 << 6,
    LEV_PROP_TYPE = 1 << 5,
    LEV_PROP_USER_ID = 1 << 4,
    LEV_PROP_APP_ID = 1 << 3,
    LEV_PROP_CLUSTER_ID = 1 << 2,
};

struct lev_props {
    uint16_t flags;
    uint8_t delivery_mode, priority;
    uint64_t timestamp;
    struct lev_bytes content_type, content_encoding, headers /* raw table, no length */,
        correlation_id, reply_to, expiration, message_id, type, user_id, app_id, cluster_id;
};

struct lev_content_header {
    uint16_t class_id, weight;
    uint64_t body_size;
    struct lev_bytes props; /* flag word and property list, raw */
};

/* Splits a header frame's payload; 0 or LEV_EPROTO (shorter than 14 octets). Does not look into
 * props. */
int lev_content_header_decode(struct lev_bytes payload, struct lev_content_header *h_r);

/* Decodes raw properties, headers table validated. 0, or LEV_EPROTO (truncated, trailing octets,
 * continuation bit, bit 1 or 0 set), LEV_ETYPE, LEV_EDEPTH. */
int lev_props_decode(struct lev_bytes raw, struct lev_props *p_r);

/* Appends flag word and property list. */
void lev_props_encode(struct lev_buf *out, const struct lev_props *p);

/* Appends a whole header frame. */
void lev_content_header_encode(struct lev_buf *out, uint16_t channel, uint64_t body_size,
                               struct lev_bytes raw_props);

#endif
