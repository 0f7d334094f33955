/* Class exchange. Lock held. */
#include "amqp/table.h"
#include "auth/auth.h"
#include "broker/topology.h"
#include "session/names.h"

static struct lev_topology *topology(struct lev_channel *ch)
{
    return lev_vhost_topology(ch->conn->client.vhost);
}

static void answer(struct lev_channel *ch, bool no_wait, enum lev_method_id id)
{
    struct lev_method ok = {.id = id};
    if (!no_wait)
        lev_conn_send(ch->conn, ch->number, &ok);
}

/* An alternate exchange needs read on the exchange and write on the alternate, at creation. */
static int permit_alternate(struct lev_channel *ch, struct lev_bytes name,
                            struct lev_bytes arguments, struct lev_error *err)
{
    struct lev_value v;
    if (!lev_table_get(arguments, "alternate-exchange", &v) || v.type != 'S' ||
        lev_exchange_get(topology(ch), name))
        return 0;
    if (lev_permit(ch, LEV_PERM_READ, true, name, err) < 0)
        return -1;
    return lev_permit(ch, LEV_PERM_WRITE, true, v.b, err);
}

static int on_declare(struct lev_channel *ch, const struct lev_exchange_declare *m,
                      struct lev_error *err)
{
    uint8_t buf[LEV_NAME_MAX];
    struct lev_bytes name = lev_clean_name(m->exchange, buf);
    struct lev_exchange_def d = {.durable = m->durable,
                                 .auto_delete = m->auto_delete,
                                 .internal = m->internal,
                                 .name = name,
                                 .type = m->type,
                                 .arguments = m->arguments};
    int rc;
    if (m->passive) {
        rc = lev_exchange_check(topology(ch), name, err);
    } else {
        rc = lev_permit(ch, LEV_PERM_CONFIGURE, true, name, err);
        if (rc == 0)
            rc = permit_alternate(ch, name, m->arguments, err);
        if (rc == 0)
            rc = lev_exchange_declare(topology(ch), &d, err);
    }
    if (rc == 0)
        answer(ch, m->no_wait, LEV_M_EXCHANGE_DECLARE_OK);
    return rc;
}

static int on_delete(struct lev_channel *ch, const struct lev_exchange_delete *m,
                     struct lev_error *err)
{
    uint8_t buf[LEV_NAME_MAX];
    struct lev_bytes name = lev_clean_name(m->exchange, buf);
    if (lev_permit(ch, LEV_PERM_CONFIGURE, true, name, err) < 0 ||
        lev_exchange_delete(topology(ch), name, m->if_unused, err) < 0)
        return -1;
    answer(ch, m->no_wait, LEV_M_EXCHANGE_DELETE_OK);
    return 0;
}

static int on_bind(struct lev_channel *ch, const struct lev_exchange_bind *m, struct lev_error *err)
{
    uint8_t a[LEV_NAME_MAX], b[LEV_NAME_MAX];
    struct lev_binding_def d = {.source = lev_clean_name(m->source, a),
                                .destination = lev_clean_name(m->destination, b),
                                .routing_key = m->routing_key,
                                .arguments = m->arguments};
    if (lev_permit_binding(ch, &d, err) < 0 || lev_bind(topology(ch), &d, err) < 0)
        return -1;
    answer(ch, m->no_wait, LEV_M_EXCHANGE_BIND_OK);
    return 0;
}

static int on_unbind(struct lev_channel *ch, const struct lev_exchange_unbind *m,
                     struct lev_error *err)
{
    uint8_t a[LEV_NAME_MAX], b[LEV_NAME_MAX];
    struct lev_binding_def d = {.source = lev_clean_name(m->source, a),
                                .destination = lev_clean_name(m->destination, b),
                                .routing_key = m->routing_key,
                                .arguments = m->arguments};
    if (lev_permit_binding(ch, &d, err) < 0 || lev_unbind(topology(ch), &d, err) < 0)
        return -1;
    answer(ch, m->no_wait, LEV_M_EXCHANGE_UNBIND_OK);
    return 0;
}

int lev_on_exchange_method(struct lev_channel *ch, const struct lev_method *m,
                           struct lev_error *err)
{
    switch (m->id) {
    case LEV_M_EXCHANGE_DECLARE:
        return on_declare(ch, &m->u.exchange_declare, err);
    case LEV_M_EXCHANGE_DELETE:
        return on_delete(ch, &m->u.exchange_delete, err);
    case LEV_M_EXCHANGE_BIND:
        return on_bind(ch, &m->u.exchange_bind, err);
    case LEV_M_EXCHANGE_UNBIND:
        return on_unbind(ch, &m->u.exchange_unbind, err);
    default:
        return lev_fail(err, LEV_COMMAND_INVALID, "unimplemented method");
    }
}
