/* Connections that only stay open: heartbeats go out on each in time, and what the broker sends is
 * read and dropped. One owner. */
#ifndef LEV_PERF_IDLE_H
#define LEV_PERF_IDLE_H

#include <stdint.h>

#include "perf/connection.h"

struct lev_perf_idle {
    int poll_fd;
    struct lev_perf_connection *conns;
    uint64_t count;     /* of them open, and at rest */
    uint64_t slot_ns;   /* 0: no heartbeats */
    uint64_t next_ns;   /* when the next slot is due */
    unsigned slot;      /* connections i with i % slots == slot are next */
    uint64_t beats;     /* heartbeats sent */
    uint64_t beats_got; /* frames that came in: on an idle connection, heartbeats */
};

/* Looks after connections of the caller's array `conns`, of which none is open yet. Returns 0, or
 * -1 (errno set); ends with _deinit either way. */
int lev_perf_idle_init(struct lev_perf_idle *idle, struct lev_perf_connection *conns,
                       unsigned heartbeat_s);
void lev_perf_idle_deinit(struct lev_perf_idle *idle);
/* Takes on conns[count], which the caller has opened. These three return 0, or -1 after setting the
 * error of the connection *bad_r. */
int lev_perf_idle_add(struct lev_perf_idle *idle, struct lev_perf_connection **bad_r);
/* Sends the heartbeats that are due. */
int lev_perf_idle_beat(struct lev_perf_idle *idle, struct lev_perf_connection **bad_r);
/* Sends heartbeats and takes in the broker's until until_ns. */
int lev_perf_idle_hold(struct lev_perf_idle *idle, uint64_t until_ns,
                       struct lev_perf_connection **bad_r);

#endif
