/* A failure caused by a peer: an AMQP reply code and the explanation RabbitMQ would give,
 * without the code's name in front (the session adds "NOT_FOUND - "). Filled by the broker, turned
 * into channel.close or connection.close by the session alone. */
#ifndef LEV_BROKER_ERROR_H
#define LEV_BROKER_ERROR_H

#include <stdint.h>

enum {
    LEV_CONTENT_TOO_LARGE = 311,
    LEV_NO_ROUTE = 312,
    LEV_NO_CONSUMERS = 313,
    LEV_CONNECTION_FORCED = 320,
    LEV_INVALID_PATH = 402,
    LEV_ACCESS_REFUSED = 403,
    LEV_NOT_FOUND = 404,
    LEV_RESOURCE_LOCKED = 405,
    LEV_PRECONDITION_FAILED = 406,
    LEV_FRAME_ERROR = 501,
    LEV_SYNTAX_ERROR = 502,
    LEV_COMMAND_INVALID = 503,
    LEV_CHANNEL_ERROR = 504,
    LEV_UNEXPECTED_FRAME = 505,
    LEV_RESOURCE_ERROR = 506,
    LEV_NOT_ALLOWED = 530,
    LEV_NOT_IMPLEMENTED = 540,
    LEV_INTERNAL_ERROR = 541,
};

struct lev_error {
    uint16_t code; /* 0: none */
    uint16_t len;
    char text[512]; /* cut to 255 octets with "..." only when put into a close method; may have NULs
                     * in it, and has one behind it */
};

/* Fills err and returns -1, so that callers can `return lev_fail(...)`. fmt as in base/text.h. */
int lev_fail(struct lev_error *err, uint16_t code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
