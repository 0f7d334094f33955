/* Class basic, but for publish and the acks, which come as commands. Lock held. */
#include <stdio.h>

#include "auth/auth.h"
#include "broker/consume.h"
#include "broker/names.h"
#include "session/names.h"

static int on_qos(struct lev_channel *ch, const struct lev_basic_qos *m, struct lev_error *err)
{
    struct lev_method ok = {.id = LEV_M_BASIC_QOS_OK};
    if (m->prefetch_size)
        return lev_fail(err, LEV_NOT_IMPLEMENTED, "prefetch_size!=0 (%u)", m->prefetch_size);
    lev_chan_qos(&ch->chan, m->prefetch_count, m->global);
    lev_conn_send(ch->conn, ch->number, &ok);
    return 0;
}

static int start(struct lev_channel *ch, struct lev_bytes queue, const struct lev_consume_args *a,
                 bool no_wait, struct lev_error *err)
{
    struct lev_method ok = {.id = LEV_M_BASIC_CONSUME_OK};
    struct lev_consumer *k = NULL;
    int rc = lev_is_reply_queue(queue) ? lev_reply_consume(&ch->chan, a, &k, err)
                                       : lev_consume(&ch->chan, queue, a, &k, err);
    if (rc < 0)
        return rc;
    lev_output_consumer_prefix(k);
    ok.u.basic_consume_ok.consumer_tag = k->tag;
    if (!no_wait)
        lev_conn_send(ch->conn, ch->number, &ok);
    lev_consumer_wake(k);
    return 0;
}

static int on_consume(struct lev_channel *ch, const struct lev_basic_consume *m,
                      struct lev_error *err)
{
    char generated[LEV_GENERATED_MAX];
    struct lev_bytes queue = m->queue;
    struct lev_consume_args a = {.tag = m->consumer_tag,
                                 .arguments = m->arguments,
                                 .no_ack = m->no_ack,
                                 .exclusive = m->exclusive};
    if (lev_queue_meant(ch, &queue, err) < 0)
        return -1;
    if (!lev_is_reply_queue(queue) && lev_permit(ch, LEV_PERM_READ, false, queue, err) < 0)
        return -1;
    if (!a.tag.len)
        a.tag = lev_generate_name(generated, "amq.ctag-");
    return start(ch, queue, &a, m->no_wait, err);
}

static int on_cancel(struct lev_channel *ch, const struct lev_basic_cancel *m)
{
    struct lev_method ok = {.id = LEV_M_BASIC_CANCEL_OK};
    struct lev_consumer *k = lev_consumer_find(&ch->chan, m->consumer_tag);
    if (k)
        lev_consumer_end(k, false);
    ok.u.basic_cancel_ok.consumer_tag = m->consumer_tag;
    if (!m->no_wait)
        lev_conn_send(ch->conn, ch->number, &ok);
    return 0;
}

static int on_get(struct lev_channel *ch, const struct lev_basic_get *m, struct lev_error *err)
{
    struct lev_bytes queue = m->queue;
    if (lev_queue_meant(ch, &queue, err) < 0 ||
        lev_permit(ch, LEV_PERM_READ, false, queue, err) < 0)
        return -1;
    return lev_get(&ch->chan, queue, m->no_ack, err);
}

static int on_recover(struct lev_channel *ch, bool requeue, bool answer, struct lev_error *err)
{
    struct lev_method ok = {.id = LEV_M_BASIC_RECOVER_OK};
    if (!requeue)
        return lev_fail(err, LEV_NOT_IMPLEMENTED, "requeue=false");
    if (answer)
        lev_conn_send(ch->conn, ch->number, &ok);
    lev_chan_recover(&ch->chan);
    return 0;
}

int lev_on_basic_method(struct lev_channel *ch, const struct lev_method *m, struct lev_error *err)
{
    switch (m->id) {
    case LEV_M_BASIC_QOS:
        return on_qos(ch, &m->u.basic_qos, err);
    case LEV_M_BASIC_CONSUME:
        return on_consume(ch, &m->u.basic_consume, err);
    case LEV_M_BASIC_CANCEL:
        return on_cancel(ch, &m->u.basic_cancel);
    case LEV_M_BASIC_GET:
        return on_get(ch, &m->u.basic_get, err);
    case LEV_M_BASIC_RECOVER:
        return on_recover(ch, m->u.basic_recover.requeue, true, err);
    case LEV_M_BASIC_RECOVER_ASYNC:
        return on_recover(ch, m->u.basic_recover_async.requeue, false, err);
    default:
        return lev_fail(err, LEV_COMMAND_INVALID, "unimplemented method");
    }
}
