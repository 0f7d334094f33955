/* A topology with queues that are nothing but destinations, and a journal of what it persists. */
#ifndef LEV_TESTS_BROKER_WORLD_H
#define LEV_TESTS_BROKER_WORLD_H

#include "broker/topology.h"

struct world {
    struct lev_topology *t;
    struct lev_map queues; /* struct lev_dest by name */
    char journal[4096];    /* "+x name type;" "-x name;" "+b source>destination key;" "-b ..."
                            "=queue body;" for what is delivered */
    int told;              /* calls of exchange_gone */
};

void world_init(struct world *w);
/* Takes the queues away, then expects that freeing finds no binding to them. */
void world_deinit(struct world *w);

/* A new queue, of type quorum if that is its name; world_queue_gone removes it as its owner would.
 */
struct lev_dest *world_queue(struct world *w, const char *name, bool durable);
void world_queue_gone(struct world *w, const char *name);

/* Expects the journal to be text, and empties it. */
void world_expect(struct world *w, const char *text);

/* Expects success. flags: d durable, a auto_delete, i internal. alternate: NULL for none. */
void world_exchange(struct world *w, const char *name, const char *type, const char *flags,
                    const char *alternate);
/* destination: "q:name" or "x:name". Expects success. arguments as in args.h. */
void world_bind(struct world *w, const char *source, const char *destination, const char *key,
                const char *arguments);
void world_unbind(struct world *w, const char *source, const char *destination, const char *key,
                  const char *arguments);
struct lev_binding_def world_binding(const char *source, const char *destination, const char *key,
                                     const char *arguments);

bool world_has(struct world *w, const char *exchange);

/* Routes by keys separated by "|" and expects the queues' names, sorted, separated by spaces. */
void world_route(struct world *w, const char *exchange, const char *keys, const char *headers,
                 const char *queues);

#endif
