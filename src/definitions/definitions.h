/* definitions.json: what a broker holds besides messages, as RabbitMQ writes and reads it
 * (rabbitmq-compat.md 10.4).
 *
 * Reading a file checks every object in it, so that most mistakes are found before anything is
 * changed. An import only adds: queues, exchanges and bindings that are there stay as they are;
 * users, vhosts, permissions, policies and parameters are overwritten. The default exchange, and
 * exchanges and queues named amq.*, are passed over. One thread at a time. */
#ifndef LEV_DEFINITIONS_DEFINITIONS_H
#define LEV_DEFINITIONS_DEFINITIONS_H

#include "base/bytes.h"

enum { LEV_DEFINITIONS_ERR_MAX = 512 };

struct lev_definitions; /* opaque */
struct lev_meta;
struct lev_policy_set;
struct lev_vhost;
struct lev_usage;
struct lev_vhost_limits;

/* Reads the file path, or all files of the directory path in the order of their names. 0, or -1
 * with one line in err and *d_r NULL. */
int lev_definitions_read(const char *path, struct lev_definitions **d_r,
                         char err[LEV_DEFINITIONS_ERR_MAX]) __attribute__((warn_unused_result));
/* The same from memory; source is what errors call it. */
int lev_definitions_parse(const char *source, struct lev_bytes text, struct lev_definitions **d_r,
                          char err[LEV_DEFINITIONS_ERR_MAX]) __attribute__((warn_unused_result));
/* Accepts a pointer to NULL. */
void lev_definitions_free(struct lev_definitions **d);

/* Imports users, vhosts, permissions, policies and parameters, all or nothing. Refuses definitions
 * of which any object is in a vhost that is neither there nor among them. 0, or -1 with one line.
 */
int lev_definitions_import_meta(const struct lev_definitions *d, struct lev_meta *meta,
                                char err[LEV_DEFINITIONS_ERR_MAX])
    __attribute__((warn_unused_result));

/* Imports the exchanges, queues and bindings of one vhost. Takes its lock, now and then letting
 * others have it. 0, or -1 with one line, and what stood before the bad object imported. */
int lev_definitions_import_vhost(const struct lev_definitions *d, struct lev_vhost *v,
                                 char err[LEV_DEFINITIONS_ERR_MAX])
    __attribute__((warn_unused_result));

/* The policies that meta.db has for a vhost; those that cannot be read are left out, with a
 * warning. 0 with *set_r the caller's (NULL: no policies), or LEV_E* with one line. */
int lev_definitions_policies(struct lev_meta *meta, struct lev_bytes vhost,
                             struct lev_policy_set **set_r, char err[LEV_DEFINITIONS_ERR_MAX])
    __attribute__((warn_unused_result));

/* The limits that meta.db has for a vhost; what is not a number limits nothing. 0, or LEV_E* with
 * one line. */
int lev_definitions_limits(struct lev_meta *meta, struct lev_bytes vhost,
                           struct lev_vhost_limits *limits_r, char err[LEV_DEFINITIONS_ERR_MAX])
    __attribute__((warn_unused_result));

/* The same of all users, for usage. */
int lev_definitions_user_limits(struct lev_meta *meta, struct lev_usage *usage,
                                char err[LEV_DEFINITIONS_ERR_MAX])
    __attribute__((warn_unused_result));

#endif
