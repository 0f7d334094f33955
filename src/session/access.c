/* Permission checks, with RabbitMQ's words. Under the vhost's lock; the answers come from memory.
 */
#include "auth/auth.h"
#include "base/mem.h"
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
    ch->granted_epoch = epoch;
    return 0;
}
