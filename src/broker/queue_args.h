/* Queue arguments: which types know which, what values they take, and which must agree on a
 * redeclare. One table (queue_args.c), from rabbitmq-compat 3.1. Any thread. */
#ifndef LEV_BROKER_QUEUE_ARGS_H
#define LEV_BROKER_QUEUE_ARGS_H

#include "broker/declare.h"

enum lev_queue_type { LEV_QUEUE_CLASSIC = 1, LEV_QUEUE_QUORUM = 2, LEV_QUEUE_STREAM = 4 };

/* x-queue-type of a table that passed the check; classic when absent. */
enum lev_queue_type lev_queue_type_of(struct lev_bytes arguments);
/* What RabbitMQ's error texts call a type. */
const char *lev_queue_module(enum lev_queue_type t);

/* Checks a new queue's arguments and properties: 406 with RabbitMQ's terms. */
int lev_queue_args_check(const struct lev_queue_declare_args *a, struct lev_bytes vhost,
                         struct lev_error *err);

/* Redeclare: 406 inequivalent arg for the first argument that differs. */
int lev_queue_args_same(struct lev_bytes name, struct lev_bytes vhost, struct lev_bytes current,
                        struct lev_bytes received, struct lev_error *err);

#endif
