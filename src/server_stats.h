/* What the rooms count, as include/leveret/server.h hands it out. */
#ifndef LEV_SERVER_STATS_H
#define LEV_SERVER_STATS_H

#include "leveret/server.h"

struct lev_vhost;
struct lev_store;

/* Any thread, while both live. Takes the vhost's lock for a moment. */
void lev_server_stats_of(struct lev_vhost *v, struct lev_store *store,
                         struct lev_server_vhost_stats *out);

#endif
