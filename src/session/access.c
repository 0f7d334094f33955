/* Permission checks, with RabbitMQ's words. Under the vhost's lock; the answers come from memory.
 */
#include "auth/auth.h"
#include "base/mem.h"
#include "broker/exchange.h"
#include "session/loop.h"

static const char *const words[] = {"configure", "write", "read"};

int lev_permit(struct lev_channel *ch, int perm, bool exchange, struct lev_bytes name,
               struct lev_error *err)
{
    struct lev_conn *c = ch->conn;
    struct lev_bytes vhost = lev_vhost_name(c->client.vhost);
    struct lev_bytes shown = exchange && name.len == 0 ? LEV_LIT("amq.default") : name;
    if (lev_auth_permit(c->sl->layer->config.auth, c->client.user, vhost, (enum lev_perm)perm,
                        shown))
        return 0;
    return lev_fail(err, LEV_ACCESS_REFUSED,
                    "%s access to %s '%.*s' in vhost '%.*s' refused for user '%.*s'", words[perm],
                    exchange ? "exchange" : "queue", LEV_FMT(shown), LEV_FMT(vhost),
                    LEV_FMT(c->client.user));
}

/* Where the exchange is there and its kind has topics. */
static bool has_topics(struct lev_channel *ch, struct lev_bytes exchange)
{
    const struct lev_exchange *x =
        lev_exchange_get(lev_vhost_topology(ch->conn->client.vhost), exchange);
    return x && x->type == &lev_exchange_topic;
}

static int permit_topic(struct lev_channel *ch, enum lev_perm perm, struct lev_bytes exchange,
                        struct lev_bytes key, struct lev_error *err)
{
    struct lev_conn *c = ch->conn;
    struct lev_bytes vhost = lev_vhost_name(c->client.vhost);
    if (lev_auth_topic(c->sl->layer->config.auth, c->client.user, vhost, exchange, perm, key))
        return 0;
    return lev_fail(err, LEV_ACCESS_REFUSED,
                    "%s access to topic '%.*s' in exchange '%.*s' in vhost '%.*s' refused for user "
                    "'%.*s'",
                    words[perm], LEV_FMT(key), LEV_FMT(exchange), LEV_FMT(vhost),
                    LEV_FMT(c->client.user));
}

int lev_permit_binding(struct lev_channel *ch, const struct lev_binding_def *d,
                       struct lev_error *err)
{
    if (lev_permit(ch, LEV_PERM_WRITE, !d->to_queue, d->destination, err) < 0 ||
        lev_permit(ch, LEV_PERM_READ, true, d->source, err) < 0)
        return -1;
    return has_topics(ch, d->source)
               ? permit_topic(ch, LEV_PERM_READ, d->source, d->routing_key, err)
               : 0;
}

int lev_permit_topics(struct lev_channel *ch, struct lev_bytes exchange,
                      const struct lev_bytes *keys, size_t n_keys, struct lev_error *err)
{
    if (!has_topics(ch, exchange))
        return 0;
    for (size_t i = 0; i < n_keys; i++)
        if (permit_topic(ch, LEV_PERM_WRITE, exchange, keys[i], err) < 0)
            return -1;
    return 0;
}

bool lev_permit_is_fresh(const struct lev_channel *ch)
{
    return ch->granted_epoch == lev_auth_epoch(ch->conn->sl->layer->config.auth);
}

int lev_permit_publish(struct lev_channel *ch, struct lev_bytes exchange, struct lev_error *err)
{
    uint64_t epoch = lev_auth_epoch(ch->conn->sl->layer->config.auth);
    if (ch->write_granted_set && ch->granted_epoch == epoch &&
        lev_bytes_eq(ch->write_granted, exchange))
        return 0;
    if (lev_permit(ch, LEV_PERM_WRITE, true, exchange, err) < 0)
        return -1;
    lev_bytes_free(&ch->write_granted);
    ch->write_granted = lev_bytes_dup(exchange);
    ch->write_granted_set = true;
    ch->topics_ruled =
        lev_auth_topics_ruled(ch->conn->sl->layer->config.auth, ch->conn->client.user,
                              lev_vhost_name(ch->conn->client.vhost), exchange);
    ch->granted_epoch = epoch;
    return 0;
}
