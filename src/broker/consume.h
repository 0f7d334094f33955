/* Consuming: basic.consume, basic.cancel, basic.get, and direct reply-to. Under the vhost's lock.
 */
#ifndef LEV_BROKER_CONSUME_H
#define LEV_BROKER_CONSUME_H

#include "broker/chan.h"
#include "broker/consumer.h"

/* basic.consume on a named queue. Gives *c_r, not yet started: set its prefix, append consume-ok,
 * then lev_consumer_wake. Reads a's priority from its arguments. 404, 405, 406 for an argument, 403
 * in exclusive use, 530 tag in use, 540 global prefetch of a quorum queue. */
int lev_consume(struct lev_chan *ch, struct lev_bytes queue, const struct lev_consume_args *a,
                struct lev_consumer **c_r, struct lev_error *err);
/* The channel's consumer with this tag, or NULL. */
struct lev_consumer *lev_consumer_find(struct lev_chan *ch, struct lev_bytes tag);
/* Ends a consumer (cancel, or its channel or queue goes): retires it through the outbox; by_server
 * tells the peer. An auto-delete queue that loses its last consumer is deleted. */
void lev_consumer_end(struct lev_consumer *c, bool by_server);

/* basic.get. Appends get-ok or get-empty; or, when the message must first be read from the store,
 * suspends the client until then. */
int lev_get(struct lev_chan *ch, struct lev_bytes queue, bool no_ack, struct lev_error *err);
/* The channel goes away while its get waits. */
void lev_get_abandon(struct lev_chan *ch);

/* True for amq.rabbitmq.reply-to.<token>. */
bool lev_is_reply_name(struct lev_bytes name);
/* True for amq.rabbitmq.reply-to itself. */
bool lev_is_reply_queue(struct lev_bytes name);
/* basic.consume on amq.rabbitmq.reply-to; as lev_consume. */
int lev_reply_consume(struct lev_chan *ch, const struct lev_consume_args *a,
                      struct lev_consumer **c_r, struct lev_error *err);
void lev_reply_consumer_end(struct lev_chan *ch);
/* The channel waiting for replies under this name, or NULL. */
struct lev_chan *lev_reply_chan(struct lev_vhost *v, struct lev_bytes name);
/* Delivers a reply, or drops it when nobody waits. Takes its own reference. */
void lev_reply_deliver(struct lev_vhost *v, struct lev_bytes name, struct lev_msg *msg);

#endif
