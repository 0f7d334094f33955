/* Publishing: from an exchange name and a message to queues, confirm, return or transaction.
 * Under the vhost's lock. */
#ifndef LEV_BROKER_PUBLISH_H
#define LEV_BROKER_PUBLISH_H

#include "broker/chan.h"

struct lev_publish {
    struct lev_msg *msg;          /* owned: lev_publish takes it */
    const struct lev_bytes *keys; /* routing key, then CC and BCC keys */
    size_t n_keys;
    bool mandatory;
    bool alike; /* exchange and key are those of the channel's last publish; it asks for nothing
                 * else */
    bool wants_reply; /* reply-to is amq.rabbitmq.reply-to: there must be a reply consumer */
    const struct lev_error *content_error; /* what is wrong with the content, raised after the
                                            * checks of the exchange; or NULL */
};

/* basic.publish. 0 or -1 with *err (404 no exchange, 403 internal, 406 …); the message is taken
 * either way. */
int lev_publish(struct lev_chan *ch, struct lev_publish *p, struct lev_error *err);

/* Appends basic.return 312. Takes its own reference. */
void lev_publish_return(struct lev_chan *ch, struct lev_msg *msg);

#endif
