/* Direct reply-to: a consumer on the pseudo-queue amq.rabbitmq.reply-to, named per channel, with
 * nothing stored. See consume.h and RabbitMQ's documentation of the feature. */
#include "base/mem.h"
#include "broker/consume.h"
#include "broker/names.h"
#include "broker/vhost_int.h"

#define REPLY_QUEUE "amq.rabbitmq.reply-to"

enum {
    /* replies to a peer that does not read are dropped beyond this */
    REPLY_OUT_MAX = 32 << 20,
};

bool lev_is_reply_queue(struct lev_bytes name)
{
    return lev_bytes_eq(name, LEV_LIT(REPLY_QUEUE));
}

bool lev_is_reply_name(struct lev_bytes name)
{
    return lev_bytes_starts(name, LEV_LIT(REPLY_QUEUE "."));
}

int lev_reply_consume(struct lev_chan *ch, const struct lev_consume_args *a,
                      struct lev_consumer **c_r, struct lev_error *err)
{
    struct lev_vhost *v = ch->client->vhost;
    if (lev_map_get(&ch->consumers, a->tag))
        return lev_fail(err, LEV_NOT_ALLOWED, "attempt to reuse consumer tag '%.*s'",
                        LEV_FMT(a->tag));
    if (ch->reply_consumer)
        return lev_fail(err, LEV_PRECONDITION_FAILED, "reply consumer already set");
    if (!a->no_ack)
        return lev_fail(err, LEV_PRECONDITION_FAILED, "reply consumer cannot acknowledge");
    struct lev_consumer *c = lev_consumer_new(ch, NULL, a);
    lev_map_put(&ch->consumers, c->tag, c);
    lev_list_push_back(&ch->consumer_list, &c->chan_node);
    v->n_consumers++;
    ch->reply_consumer = c;
    if (!ch->reply_token.len) {
        char name[LEV_GENERATED_MAX];
        ch->reply_token = lev_bytes_dup(lev_generate_name(name, REPLY_QUEUE "."));
        lev_map_put(&v->reply_chans, ch->reply_token, ch);
    }
    *c_r = c;
    return 0;
}

void lev_reply_consumer_end(struct lev_chan *ch)
{
    if (!ch->reply_token.len)
        return;
    lev_map_remove(&ch->client->vhost->reply_chans, ch->reply_token);
    lev_bytes_free(&ch->reply_token);
}

struct lev_chan *lev_reply_chan(struct lev_vhost *v, struct lev_bytes name)
{
    struct lev_chan *ch = lev_map_get(&v->reply_chans, name);
    return ch && ch->reply_consumer ? ch : NULL;
}

void lev_reply_deliver(struct lev_vhost *v, struct lev_bytes name, struct lev_msg *msg)
{
    struct lev_chan *ch = lev_reply_chan(v, name);
    if (!ch || lev_client_pending(ch->client) > REPLY_OUT_MAX)
        return;
    *lev_client_push(ch->client, lev_msg_size(msg) + LEV_OUT_CONTENT_OVERHEAD) =
        (struct lev_out){.kind = LEV_OUT_DELIVER,
                         .channel = ch->number,
                         .consumer = ch->reply_consumer,
                         .tag = ++ch->last_tag,
                         .u.msg = lev_msg_ref(msg)};
}
