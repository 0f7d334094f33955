/* Class queue. Lock held. */
#include "amqp/table.h"
#include "auth/auth.h"
#include "base/mem.h"
#include "broker/consume.h"
#include "broker/declare.h"
#include "broker/names.h"
#include "broker/queue.h"
#include "session/names.h"

static void remember(struct lev_channel *ch, struct lev_bytes name)
{
    struct lev_bytes copy = lev_bytes_dup(name); /* name may be the one remembered */
    lev_bytes_free(&ch->last_queue);
    ch->last_queue = copy;
}

static void declared(struct lev_channel *ch, bool no_wait, struct lev_bytes name, uint32_t messages,
                     uint32_t consumers)
{
    struct lev_method ok = {.id = LEV_M_QUEUE_DECLARE_OK};
    remember(ch, name);
    ok.u.queue_declare_ok.queue = ch->last_queue;
    ok.u.queue_declare_ok.message_count = messages;
    ok.u.queue_declare_ok.consumer_count = consumers;
    if (!no_wait)
        lev_conn_send(ch->conn, ch->number, &ok);
}

/* A new queue: is there room for it? A dead-letter exchange needs read on the queue and write on
 * the exchange. */
static int permit_new(struct lev_channel *ch, struct lev_bytes name, struct lev_bytes arguments,
                      struct lev_error *err)
{
    struct lev_vhost *vhost = ch->conn->client.vhost;
    const struct lev_vhost_limits *reached = lev_vhost_queues_reached(vhost);
    struct lev_value v;
    struct lev_queue *q;
    struct lev_error missing;
    if (lev_queue_find(&ch->conn->client, name, &q, &missing) == 0 || missing.code != LEV_NOT_FOUND)
        return 0;
    if (reached)
        return lev_fail(
            err, LEV_PRECONDITION_FAILED,
            "cannot declare queue '%.*s': queue limit in vhost '%.*s' (%llu) is reached",
            LEV_FMT(name), LEV_FMT(lev_vhost_name(vhost)), (unsigned long long)reached->queues);
    if (!lev_table_get(arguments, "x-dead-letter-exchange", &v) || v.type != 'S')
        return 0;
    if (lev_permit(ch, LEV_PERM_READ, false, name, err) < 0)
        return -1;
    return lev_permit(ch, LEV_PERM_WRITE, true, v.b, err);
}

static int declare_reply(struct lev_channel *ch, const struct lev_queue_declare *m,
                         struct lev_bytes name, struct lev_error *err)
{
    struct lev_vhost *v = ch->conn->client.vhost;
    if (!lev_is_reply_queue(name) && !lev_reply_chan(v, name))
        return lev_fail(err, LEV_NOT_FOUND, "no queue '%.*s' in vhost '%.*s'", LEV_FMT(name),
                        LEV_FMT(lev_vhost_name(v)));
    declared(ch, m->no_wait, name, 0, 1);
    return 0;
}

static int on_declare(struct lev_channel *ch, const struct lev_queue_declare *m,
                      struct lev_error *err)
{
    uint8_t buf[LEV_NAME_MAX];
    char generated[LEV_GENERATED_MAX];
    struct lev_bytes name = lev_clean_name(m->queue, buf);
    struct lev_queue *q;
    if (lev_is_reply_queue(name) || lev_is_reply_name(name))
        return declare_reply(ch, m, name, err);
    if (!m->passive && lev_bytes_starts(name, LEV_LIT("amq.")))
        return lev_fail(err, LEV_ACCESS_REFUSED,
                        "queue name '%.*s' contains reserved prefix 'amq.*'", LEV_FMT(name));
    if (!m->passive)
        name = lev_queue_declare_name(name, generated);
    struct lev_queue_declare_args a = {.name = name,
                                       .arguments = m->arguments,
                                       .passive = m->passive,
                                       .durable = m->durable,
                                       .exclusive = m->exclusive,
                                       .auto_delete = m->auto_delete,
                                       .server_named = m->queue.len == 0};
    if (!m->passive && (lev_permit(ch, LEV_PERM_CONFIGURE, false, name, err) < 0 ||
                        permit_new(ch, name, m->arguments, err) < 0))
        return -1;
    if (lev_queue_declare(&ch->conn->client, &a, &q, err) < 0)
        return -1;
    declared(ch, m->no_wait, name, (uint32_t)lev_queue_ready(q), q->n_consumers);
    return 0;
}

static int on_delete(struct lev_channel *ch, const struct lev_queue_delete *m,
                     struct lev_error *err)
{
    uint8_t buf[LEV_NAME_MAX];
    struct lev_bytes name = lev_clean_name(m->queue, buf);
    struct lev_method ok = {.id = LEV_M_QUEUE_DELETE_OK};
    uint64_t count;
    if (lev_queue_meant(ch, &name, err) < 0 ||
        lev_permit(ch, LEV_PERM_CONFIGURE, false, name, err) < 0 ||
        lev_queue_delete(&ch->conn->client, name, m->if_unused, m->if_empty, &count, err) < 0)
        return -1;
    ok.u.queue_delete_ok.message_count = (uint32_t)count;
    if (!m->no_wait)
        lev_conn_send(ch->conn, ch->number, &ok);
    return 0;
}

static int on_purge(struct lev_channel *ch, const struct lev_queue_purge *m, struct lev_error *err)
{
    struct lev_bytes name = m->queue;
    struct lev_method ok = {.id = LEV_M_QUEUE_PURGE_OK};
    struct lev_queue *q;
    if (lev_queue_meant(ch, &name, err) < 0 ||
        lev_permit(ch, LEV_PERM_READ, false, name, err) < 0 ||
        lev_queue_find(&ch->conn->client, name, &q, err) < 0)
        return -1;
    ok.u.queue_purge_ok.message_count = (uint32_t)lev_queue_purge(q);
    if (!m->no_wait)
        lev_conn_send(ch->conn, ch->number, &ok);
    return 0;
}

/* --- bindings --- */

/* Names of a bind or unbind; an empty key means the queue's name when the queue was left out, too.
 */
static int resolve(struct lev_channel *ch, struct lev_binding_def *d, struct lev_error *err)
{
    bool left_out = d->destination.len == 0;
    d->to_queue = true;
    if (lev_queue_meant(ch, &d->destination, err) < 0)
        return -1;
    if (left_out && d->routing_key.len == 0)
        d->routing_key = d->destination;
    return lev_permit_binding(ch, d, err);
}

/* 405 when the queue is exclusive to another connection; a missing one is the topology's to say. */
static int check_exclusive(struct lev_channel *ch, struct lev_bytes name, struct lev_error *err)
{
    struct lev_queue *q;
    if (lev_queue_find(&ch->conn->client, name, &q, err) < 0 && err->code == LEV_RESOURCE_LOCKED)
        return -1;
    return 0;
}

static int on_bind(struct lev_channel *ch, const struct lev_queue_bind *m, struct lev_error *err)
{
    uint8_t a[LEV_NAME_MAX], b[LEV_NAME_MAX];
    struct lev_method ok = {.id = LEV_M_QUEUE_BIND_OK};
    struct lev_binding_def d = {.source = lev_clean_name(m->exchange, a),
                                .destination = lev_clean_name(m->queue, b),
                                .routing_key = m->routing_key,
                                .arguments = m->arguments};
    struct lev_topology *t = lev_vhost_topology(ch->conn->client.vhost);
    if (resolve(ch, &d, err) < 0 ||
        (lev_exchange_get(t, d.source) && check_exclusive(ch, d.destination, err) < 0) ||
        lev_bind(t, &d, err) < 0)
        return -1;
    if (!m->no_wait)
        lev_conn_send(ch->conn, ch->number, &ok);
    return 0;
}

static int on_unbind(struct lev_channel *ch, const struct lev_queue_unbind *m,
                     struct lev_error *err)
{
    uint8_t a[LEV_NAME_MAX], b[LEV_NAME_MAX];
    struct lev_method ok = {.id = LEV_M_QUEUE_UNBIND_OK};
    struct lev_binding_def d = {.source = lev_clean_name(m->exchange, a),
                                .destination = lev_clean_name(m->queue, b),
                                .routing_key = m->routing_key,
                                .arguments = m->arguments};
    struct lev_topology *t = lev_vhost_topology(ch->conn->client.vhost);
    if (resolve(ch, &d, err) < 0 ||
        (lev_binding_exists(t, &d) && check_exclusive(ch, d.destination, err) < 0) ||
        lev_unbind(t, &d, err) < 0)
        return -1;
    lev_conn_send(ch->conn, ch->number, &ok);
    return 0;
}

int lev_on_queue_method(struct lev_channel *ch, const struct lev_method *m, struct lev_error *err)
{
    switch (m->id) {
    case LEV_M_QUEUE_DECLARE:
        return on_declare(ch, &m->u.queue_declare, err);
    case LEV_M_QUEUE_DELETE:
        return on_delete(ch, &m->u.queue_delete, err);
    case LEV_M_QUEUE_PURGE:
        return on_purge(ch, &m->u.queue_purge, err);
    case LEV_M_QUEUE_BIND:
        return on_bind(ch, &m->u.queue_bind, err);
    case LEV_M_QUEUE_UNBIND:
        return on_unbind(ch, &m->u.queue_unbind, err);
    default:
        return lev_fail(err, LEV_COMMAND_INVALID, "unimplemented method");
    }
}
