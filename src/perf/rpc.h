/* Request and reply over direct reply-to: clients that send one request at a time and wait for its
 * answer, servers that answer. */
#ifndef LEV_PERF_RPC_H
#define LEV_PERF_RPC_H

#include "perf/run.h"

/* Worker bodies (see run.h). Every request carries a sequence number that its reply must bring
 * back. */
int lev_perf_rpc_client_body(struct lev_perf_worker *worker);
int lev_perf_rpc_server_body(struct lev_perf_worker *worker);

#endif
