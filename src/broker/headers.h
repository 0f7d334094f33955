/* Matching of message headers against a headers binding's arguments, as RabbitMQ does it.
 *
 * x-match says how: all (when absent), any, all-with-x, any-with-x. Without "-with-x" arguments
 * whose names start with "x-" are no criteria; with it only x-match itself is none. A void
 * criterion asks for presence alone; integers compare by number whatever their width. No criteria:
 * all matches everything, any nothing. Of duplicate headers the first counts. Runs under the
 * vhost's lock. */
#ifndef LEV_BROKER_HEADERS_H
#define LEV_BROKER_HEADERS_H

#include "amqp/table.h"
#include "broker/error.h"

/* A message's headers, sorted for look-up: views into the table. */
struct lev_header {
    struct lev_bytes key;
    struct lev_value value;
};

struct lev_headers_index {
    struct lev_header *v;
    size_t n, cap;
};

/* A zeroed index is an empty one. */
void lev_headers_index_deinit(struct lev_headers_index *ix);
/* Replaces what is in the index; headers must outlive its use. */
void lev_headers_index_set(struct lev_headers_index *ix, struct lev_bytes headers);

/* A binding's arguments, compiled: views into the arguments. */
struct lev_headers_rule;

/* Refuses an x-match that RabbitMQ refuses: -1 with *err (406). */
int lev_headers_check(struct lev_bytes args, struct lev_error *err);
/* Never NULL. An x-match that check refuses counts as all. */
struct lev_headers_rule *lev_headers_rule_new(struct lev_bytes args);
/* Accepts a pointer to NULL. */
void lev_headers_rule_free(struct lev_headers_rule **r);

bool lev_headers_match(const struct lev_headers_rule *r, const struct lev_headers_index *ix);

#endif
