/* One AMQP connection with one channel (number 1) over a non-blocking TCP socket. It opens and
 * closes itself, reads in large blocks and hands out frames as views, and answers what the broker
 * may send at any time: heartbeats, connection.blocked, and a close of the channel or the
 * connection, which becomes an error with the broker's reply text. One owner: the thread that
 * opened it. */
#ifndef LEV_PERF_CONNECTION_H
#define LEV_PERF_CONNECTION_H

#include <stdbool.h>
#include <stdint.h>

#include "perf/codec.h"
#include "perf/method.h"
#include "perf/uri.h"

#define LEV_PERF_CHANNEL 1
#define LEV_PERF_NEVER UINT64_MAX

struct lev_perf_connection {
    int fd; /* -1: not open */
    uint32_t payload_max;
    bool blocked;          /* the broker said so and has not taken it back */
    uint64_t blocked_seen; /* how often it said so */
    uint8_t *in;
    size_t in_start;
    size_t in_end;
    size_t in_cap;
    struct lev_perf_buf out; /* control frames not yet written, from out_start on */
    size_t out_start;
    char error[600]; /* what ended the connection, for the user */
};

/* Connects, logs in, opens the vhost and channel 1, without heartbeats. Returns 0, or -1 with
 * conn->error set; either way the caller ends with _close. */
int lev_perf_connection_open(struct lev_perf_connection *conn, const struct lev_perf_uri *uri,
                             const char *name);
/* The same with a heartbeat interval (0: none), which is the caller's to keep. */
int lev_perf_connection_open_beating(struct lev_perf_connection *conn,
                                     const struct lev_perf_uri *uri, const char *name,
                                     uint16_t heartbeat_s);
/* Drops what is queued for sending: the stream ended in the middle of a frame. */
void lev_perf_connection_silence(struct lev_perf_connection *conn);

/* Says goodbye when the connection is sound, waiting ten seconds at most for the answer (the broker
 * first takes in all that was sent), and releases everything; error stays readable. Safe on a
 * connection that never opened and on a closed one. */
void lev_perf_connection_close(struct lev_perf_connection *conn);

/* Reads what has arrived into the buffer. Returns the bytes read, 0 when nothing is there, -1 on
 * error. Views from _next end here. */
int lev_perf_connection_fill(struct lev_perf_connection *conn);
/* Writes what is owed, waits for input until a tick has passed, and reads it. Returns as _fill. */
int lev_perf_connection_turn(struct lev_perf_connection *conn);
/* Takes the next whole frame off the buffer. Returns 1, 0 when there is none, -1 on error or when
 * the broker closed. */
int lev_perf_connection_next(struct lev_perf_connection *conn, struct lev_perf_frame *frame_r);
/* Waits until the socket is ready for `events` (POLLIN, POLLOUT) or deadline_ns passes. Returns the
 * ready events (0: deadline), or -1 on error. */
int lev_perf_connection_wait(struct lev_perf_connection *conn, short events, uint64_t deadline_ns);
/* Writes as much of data as the socket takes now. Returns the bytes taken, or -1 on error. */
int64_t lev_perf_connection_write(struct lev_perf_connection *conn, const uint8_t *data,
                                  size_t len);
/* Writes as much of conn->out as the socket takes now. Returns 1 all gone, 0 some left, -1 error.
 */
int lev_perf_connection_flush(struct lev_perf_connection *conn);
/* Writes conn->out and waits for the method `expect`; other frames are dropped. *args_r (if not
 * NULL) is on the method's arguments. Returns 0, or -1 with conn->error set. */
int lev_perf_connection_call(struct lev_perf_connection *conn, enum lev_perf_method expect,
                             struct lev_perf_cursor *args_r);
/* Gives back the input buffer of a connection that will stay idle. Nothing but _close may follow.
 */
void lev_perf_connection_rest(struct lev_perf_connection *conn);

/* The method id of a method frame; 0 for any other frame or one too short. */
static inline uint32_t lev_perf_frame_method(const struct lev_perf_frame *frame)
{
    return frame->type == LEV_PERF_FRAME_METHOD && frame->size >= 4
               ? lev_perf_get_u32(frame->payload)
               : 0;
}

/* A cursor on the arguments of a method frame. */
static inline struct lev_perf_cursor lev_perf_frame_args(const struct lev_perf_frame *frame)
{
    return lev_perf_cursor_on(frame->payload + 4, frame->size - 4);
}

#endif
