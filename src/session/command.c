/* Commands and runs: what was parsed without the lock is applied under it, many at a time. See
 * loop.h. Loop thread. */
#include "base/mem.h"
#include "broker/publish.h"
#include "broker/topology.h"
#include "session/loop.h"

/* --- applying --- */

static void free_extra(struct lev_publish_extra *x)
{
    free(x->keys);
    free(x);
}

static int publish(struct lev_channel *ch, struct lev_command *cmd, struct lev_error *err)
{
    const struct lev_publish_extra *x = cmd->u.extra;
    struct lev_error topic;
    struct lev_bytes key = lev_msg_key(cmd->msg);
    struct lev_publish p = {.msg = cmd->msg,
                            .keys = &key,
                            .n_keys = 1,
                            .mandatory = cmd->flag,
                            .alike = cmd->repeat && cmd->repeat == ch->last_repeat};
    cmd->msg = NULL;
    ch->last_repeat = cmd->repeat;
    if (x) {
        if (x->keys) {
            p.keys = x->keys;
            p.n_keys = x->n_keys;
        }
        p.wants_reply = x->wants_reply;
        p.content_error = x->has_error ? &x->error : NULL;
    }
    if (!(p.alike && lev_permit_is_fresh(ch)) &&
        lev_permit_publish(ch, lev_msg_exchange(p.msg), err) < 0) {
        lev_msg_unref(&p.msg);
        return -1;
    }
    if (ch->topics_ruled && (!p.content_error || x->of_user_id) &&
        lev_permit_topics(ch, lev_msg_exchange(p.msg), p.keys, p.n_keys, &topic) < 0)
        p.content_error = &topic;
    return lev_publish(&ch->chan, &p, err);
}

static int apply_one(struct lev_command *cmd, struct lev_error *err)
{
    struct lev_channel *ch = cmd->ch;
    if (ch->chan.tx_committing)
        return lev_fail(err, LEV_CHANNEL_ERROR, "unexpected command while processing 'tx.commit'");
    if (cmd->kind == LEV_CMD_PUBLISH)
        return publish(ch, cmd, err);
    if (cmd->kind == LEV_CMD_SETTLE)
        return lev_chan_settle(&ch->chan, cmd->u.tag, cmd->flag, (enum lev_settle)cmd->how, err);
    *err = *cmd->u.error;
    return -1;
}

static void release(struct lev_command *cmd)
{
    if (cmd->kind == LEV_CMD_FAIL)
        free(cmd->u.error);
    if (cmd->kind != LEV_CMD_PUBLISH)
        return;
    lev_msg_unref(&cmd->msg);
    if (cmd->u.extra)
        free_extra(cmd->u.extra);
}

static void apply(struct lev_conn *c, struct lev_command *cmd)
{
    struct lev_error err;
    struct lev_channel *ch = cmd->ch;
    if (c->state == LEV_CONN_RUNNING) {
        if (!ch)
            lev_conn_fail(c, cmd->u.error, (enum lev_method_id)cmd->method);
        else if (!ch->closing && apply_one(cmd, &err) < 0)
            lev_channel_fail(ch, &err, (enum lev_method_id)cmd->method);
    }
    release(cmd);
}

static void apply_method(struct lev_conn *c, struct lev_channel *ch, const struct lev_method *m)
{
    struct lev_error err;
    if (!ch) {
        lev_conn_method(c, m);
        return;
    }
    if (c->state != LEV_CONN_RUNNING)
        return;
    if (ch->closing) { /* everything but the close handshake is discarded */
        if (m->id == LEV_M_CHANNEL_CLOSE)
            lev_conn_send(c, ch->number, &(struct lev_method){.id = LEV_M_CHANNEL_CLOSE_OK});
        if (m->id == LEV_M_CHANNEL_CLOSE_OK)
            lev_conn_drop_channel(c, ch);
        return;
    }
    if (ch->chan.tx_committing && m->id != LEV_M_CHANNEL_CLOSE) {
        lev_fail(&err, LEV_CHANNEL_ERROR, "unexpected command while processing 'tx.commit'");
        lev_channel_fail(ch, &err, m->id);
        return;
    }
    if (lev_dispatch(ch, m, &err) < 0)
        lev_channel_fail(ch, &err, m->id);
}

/* --- the run --- */

/* Holds the peer back while the store is behind, and stops parsing while it does not read our
 * answers. Lock held. */
static void hold_back(struct lev_conn *c, bool published)
{
    if (c->client.suspended || lev_output_is_long(c))
        c->stopped = true;
    if (!published || c->state != LEV_CONN_RUNNING || c->throttled)
        return;
    if (lev_vhost_throttle(c->client.vhost, &c->client)) {
        c->throttled = true;
        lev_transport_pause(c->transport, true);
    }
}

void lev_run(struct lev_conn *c, struct lev_channel *ch, const struct lev_method *m)
{
    struct lev_session_loop *sl = c->sl;
    struct lev_vhost *v = c->client.vhost;
    bool published = false;
    lev_vhost_lock(v);
    for (size_t i = 0; i < sl->n_cmds; i++) {
        published |= sl->cmds[i].kind == LEV_CMD_PUBLISH;
        apply(c, &sl->cmds[i]);
    }
    sl->n_cmds = sl->run_bytes = 0;
    if (m) {
        lev_vhost_settle_queues(v);
        apply_method(c, ch, m);
    }
    lev_vhost_end_run(v);
    hold_back(c, published);
    lev_session_take_dirty(sl, v);
    lev_vhost_unlock(v);
    lev_session_flush(sl);
}
