/* Queues come and go: queue.declare, queue.delete, queue.purge, look-up with the exclusive rule.
 * Under the vhost's lock. Codes and texts are RabbitMQ's. */
#ifndef LEV_BROKER_DECLARE_H
#define LEV_BROKER_DECLARE_H

#include "broker/chan.h"

struct lev_queue;

struct lev_queue_declare_args {
    struct lev_bytes name, arguments;
    bool passive, durable, exclusive, auto_delete;
    bool server_named;
};

/* Finds a queue that the client may use: 404, or 405 when it is exclusive to another. */
int lev_queue_find(struct lev_client *c, struct lev_bytes name, struct lev_queue **q_r,
                   struct lev_error *err);

/* The name that a declare with this one would create; buf holds a generated one. */
struct lev_bytes lev_queue_declare_name(struct lev_bytes name, char *buf);

/* queue.declare. Gives the queue. */
int lev_queue_declare(struct lev_client *c, const struct lev_queue_declare_args *a,
                      struct lev_queue **q_r, struct lev_error *err);

/* Makes a queue that is not there yet from arguments that lev_queue_args_check has passed. owner:
 * of an exclusive queue, else NULL. */
struct lev_queue *lev_queue_create(struct lev_vhost *v, const struct lev_queue_declare_args *a,
                                   struct lev_client *owner);

/* queue.delete; a missing queue is fine. *count_r: ready messages it had. */
int lev_queue_delete(struct lev_client *c, struct lev_bytes name, bool if_unused, bool if_empty,
                     uint64_t *count_r, struct lev_error *err);
/* Deletes without asking: consumers are cancelled, bindings and messages go. */
void lev_queue_destroy(struct lev_queue *q);

#endif
