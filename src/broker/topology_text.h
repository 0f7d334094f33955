/* RabbitMQ's words for what a declare or bind did wrong, shared by exchanges and queues. Any
 * thread. */
#ifndef LEV_BROKER_TOPOLOGY_TEXT_H
#define LEV_BROKER_TOPOLOGY_TEXT_H

#include "amqp/table.h"
#include "broker/error.h"

/* What a text speaks of: "exchange 'x' in vhost '/'". */
struct lev_entity {
    const char *kind; /* "exchange" or "queue" */
    struct lev_bytes name, vhost;
};

/* printf("%s '%.*s' in vhost '%.*s'", LEV_ENTITY_FMT(e)) with LEV_ENTITY as the format. */
#define LEV_ENTITY "%s '%.*s' in vhost '%.*s'"
#define LEV_ENTITY_FMT(e) (e).kind, LEV_FMT((e).name), LEV_FMT((e).vhost)

/* 406 inequivalent arg, for a field that both sides always have. Returns -1. */
int lev_fail_inequivalent(const struct lev_entity *who, const char *arg, struct lev_bytes current,
                          struct lev_bytes received, struct lev_error *err);

/* 0 when both tables have the same value (or none) at arg, integers of any width by
 * number, strings by octets; else -1 with the
 * 406. */
int lev_check_same_arg(const struct lev_entity *who, const char *arg, struct lev_bytes current,
                       struct lev_bytes received, struct lev_error *err);

#endif
