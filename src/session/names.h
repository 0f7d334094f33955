/* Names in methods: CR and LF are stripped from what a client declares, deletes or binds, as
 * RabbitMQ does. */
#ifndef LEV_SESSION_NAMES_H
#define LEV_SESSION_NAMES_H

#include "session/loop.h"

enum { LEV_NAME_MAX = 255 };

/* name without CR and LF: itself, or a view of buf. */
struct lev_bytes lev_clean_name(struct lev_bytes name, uint8_t buf[LEV_NAME_MAX]);

/* The queue a method means: name, or the channel's last declared queue when it is empty (404
 * without one). */
int lev_queue_meant(struct lev_channel *ch, struct lev_bytes *name, struct lev_error *err);

#endif
