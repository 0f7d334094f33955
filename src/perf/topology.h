/* The queues, exchange and bindings a run needs, and the routing keys that reach them evenly. Built
 * from the options alone; declared and deleted over a connection of the caller. Constant while
 * workers run, and then shared by them. */
#ifndef LEV_PERF_TOPOLOGY_H
#define LEV_PERF_TOPOLOGY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "perf/connection.h"
#include "perf/options.h"

struct lev_perf_topology {
    const char *exchange;      /* "": the default exchange */
    const char *exchange_type; /* NULL with the default exchange */
    bool durable;
    char **queues;
    size_t queue_count;
    char **keys; /* of equal length; message i takes key i % key_count, which reaches queue i %
                    queue_count */
    size_t key_count;
    bool by_header;     /* a headers exchange: the key's index travels as header n */
    unsigned per_queue; /* bindings of each queue */
    uint64_t copies;    /* deliveries that one message causes */
};

/* Returns 0, or -1 when out of memory; ends with _deinit either way. */
int lev_perf_topology_init(struct lev_perf_topology *t, const struct lev_perf_options *options);
void lev_perf_topology_deinit(struct lev_perf_topology *t);

/* Fills keys_r, which has room for all, with those that reach worker index's share of the queues:
 * of `workers`, worker i has the queues i, i + workers and so on, and when there are fewer queues
 * than workers they share. The names stay the topology's. Returns how many. */
size_t lev_perf_topology_share(const struct lev_perf_topology *t, unsigned index, unsigned workers,
                               char **keys_r);

/* These return 0, or -1 with conn->error set. */
int lev_perf_topology_declare(const struct lev_perf_topology *t, struct lev_perf_connection *conn);
int lev_perf_topology_delete(const struct lev_perf_topology *t, struct lev_perf_connection *conn);
/* The messages ready in all the queues together, which must exist. */
int lev_perf_topology_depth(const struct lev_perf_topology *t, struct lev_perf_connection *conn,
                            uint64_t *messages_r);
/* The message count of a queue.declare-ok. */
uint32_t lev_perf_declared_messages(struct lev_perf_cursor *args);

#endif
