/* What the definitions room's own files share: one object of a definitions file at a time, read
 * into the structs that the store and the broker take. */
#ifndef LEV_DEFINITIONS_DEFINITIONS_INT_H
#define LEV_DEFINITIONS_DEFINITIONS_INT_H

#include <jansson.h>

#include "base/buf.h"
#include "broker/declare.h"
#include "broker/store.h"
#include "definitions/definitions.h"
#include "store/meta.h"

struct document {
    char *source; /* for errors */
    json_t *root;
    bool md5; /* written by a RabbitMQ that hashed passwords with MD5 */
};

struct lev_definitions {
    struct document *docs;
    size_t n;
};

/* One object. What is read from it is good until the next one. */
struct item {
    const struct document *doc;
    const char *array;
    size_t index;
    const json_t *json;
    struct lev_buf table, text, hash; /* arguments; JSON or tags; a hashed password */
    char *err;
};

/* ---- definitions.c ---- */
/* Calls fn for each object of the array in all documents, until one fails. */
int lev_def_each_(const struct lev_definitions *d, const char *array,
                  int (*fn)(struct item *it, void *ctx), void *ctx,
                  char err[LEV_DEFINITIONS_ERR_MAX]);
/* -1 with "FILE: array[index] ('name'): what". */
int lev_def_fail_(const struct item *it, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* ---- item.c: 0, or -1 with the error ---- */
int lev_def_user_(struct item *it, struct lev_meta_user *out);
int lev_def_vhost_(struct item *it, struct lev_meta_vhost *out);
int lev_def_permission_(struct item *it, struct lev_meta_permission *out);
int lev_def_topic_permission_(struct item *it, struct lev_meta_topic_permission *out);
int lev_def_policy_(struct item *it, struct lev_meta_policy *out);
/* An operator policy: *is_policy_r and *policy; anything else: *out. */
int lev_def_parameter_(struct item *it, struct lev_meta_parameter *out, bool *is_policy_r,
                       struct lev_meta_policy *policy);
int lev_def_global_parameter_(struct item *it, struct lev_meta_parameter *out);
int lev_def_exchange_(struct item *it, struct lev_exchange_def *out);
int lev_def_queue_(struct item *it, struct lev_queue_declare_args *out);
int lev_def_binding_(struct item *it, struct lev_binding_def *out);
/* The vhost that an object is in. */
int lev_def_vhost_of_(struct item *it, struct lev_bytes *out);
/* The limits of a vhost or a user as the parameter they are kept as; false when it has none. */
bool lev_def_limits_(struct item *it, const char *component, struct lev_meta_parameter *out);

#endif
