/* JSON objects as field tables, with the types that RabbitMQ gives them (rabbitmq-compat.md 10.4):
 * integers l, other numbers d, strings S, booleans t, objects F, arrays A; null is refused. Any
 * thread. */
#ifndef LEV_DEFINITIONS_JSON_H
#define LEV_DEFINITIONS_JSON_H

#include <jansson.h>

#include "base/buf.h"

/* Appends the object's pairs to table. NULL, or what is wrong with it (static text). */
const char *lev_json_to_table(const json_t *object, struct lev_buf *table);

/* A view of a JSON string. */
struct lev_bytes lev_json_text(const json_t *string);

#endif
