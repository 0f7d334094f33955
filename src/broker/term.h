/* Erlang terms as RabbitMQ's texts show them: <<"octets">>, "text", 5, true, [{<<"k">>,long,1}].
 * Any thread. */
#ifndef LEV_BROKER_TERM_H
#define LEV_BROKER_TERM_H

#include "amqp/table.h"
#include "base/text.h"

/* Octets as a binary, <<"abc">>, or as a string, "abc": in numbers where not all are printable. */
void lev_term_put_binary(struct lev_text *t, struct lev_bytes b);
void lev_term_put_string(struct lev_text *t, struct lev_bytes b);
void lev_term_put(struct lev_text *t, const struct lev_value *v);

/* Writes v to out, cut to fit, with a NUL; there is none in it. */
void lev_term_print(char *out, size_t cap, const struct lev_value *v);

#endif
