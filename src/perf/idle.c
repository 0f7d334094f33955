/* Idle connections. Half the heartbeat interval is cut into slots, and each connection belongs to
 * one by its number, so that beats are spread evenly and need no list of times. Input is counted in
 * heartbeat frames, of eight bytes each: nothing else comes on a connection that does nothing. */
#include "perf/idle.h"

#include <errno.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "perf/clock.h"

#define SLOTS 64u
#define EVENTS 64

static int fail(struct lev_perf_connection *conn, struct lev_perf_connection **bad_r,
                const char *why)
{
    snprintf(conn->error, sizeof conn->error, "%s", why);
    *bad_r = conn;
    return -1;
}

int lev_perf_idle_init(struct lev_perf_idle *idle, struct lev_perf_connection *conns,
                       unsigned heartbeat_s)
{
    *idle = (struct lev_perf_idle){.conns = conns};
    idle->slot_ns = heartbeat_s * LEV_PERF_SECOND_NS / 2 / SLOTS;
    idle->next_ns = lev_perf_now_ns();
    idle->poll_fd = epoll_create1(EPOLL_CLOEXEC);
    return idle->poll_fd < 0 ? -1 : 0;
}

void lev_perf_idle_deinit(struct lev_perf_idle *idle)
{
    if (idle->poll_fd >= 0)
        close(idle->poll_fd);
    idle->poll_fd = -1;
}

int lev_perf_idle_add(struct lev_perf_idle *idle, struct lev_perf_connection **bad_r)
{
    struct lev_perf_connection *conn = &idle->conns[idle->count];
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = conn};

    lev_perf_connection_rest(conn);
    if (epoll_ctl(idle->poll_fd, EPOLL_CTL_ADD, conn->fd, &event) < 0)
        return fail(conn, bad_r, "cannot watch the socket");
    idle->count++;
    return 0;
}

int lev_perf_idle_beat(struct lev_perf_idle *idle, struct lev_perf_connection **bad_r)
{
    static const uint8_t heartbeat[8] = {LEV_PERF_FRAME_HEARTBEAT, 0, 0, 0, 0, 0, 0,
                                         LEV_PERF_FRAME_END};

    while (idle->slot_ns && idle->next_ns <= lev_perf_now_ns()) {
        for (uint64_t i = idle->slot; i < idle->count; i += SLOTS) {
            if (send(idle->conns[i].fd, heartbeat, sizeof heartbeat, MSG_DONTWAIT | MSG_NOSIGNAL) !=
                sizeof heartbeat)
                return fail(&idle->conns[i], bad_r, "the broker does not take heartbeats");
            idle->beats++;
        }
        idle->slot = (idle->slot + 1) % SLOTS;
        idle->next_ns += idle->slot_ns;
    }
    return 0;
}

static int take_in(struct lev_perf_idle *idle, struct lev_perf_connection *conn,
                   struct lev_perf_connection **bad_r)
{
    uint8_t dropped[1024];
    ssize_t got = recv(conn->fd, dropped, sizeof dropped, MSG_DONTWAIT);

    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
        return fail(conn, bad_r, "the broker closed an idle connection");
    if (got > 0)
        idle->beats_got += (uint64_t)got / LEV_PERF_FRAME_OVERHEAD;
    return 0;
}

int lev_perf_idle_hold(struct lev_perf_idle *idle, uint64_t until_ns,
                       struct lev_perf_connection **bad_r)
{
    struct epoll_event events[EVENTS];

    for (uint64_t now = lev_perf_now_ns(); now < until_ns; now = lev_perf_now_ns()) {
        uint64_t wake_ns = idle->slot_ns && idle->next_ns < until_ns ? idle->next_ns : until_ns;
        uint64_t wait_ns = wake_ns > now ? wake_ns - now : 0;
        int ready = epoll_wait(idle->poll_fd, events, EVENTS,
                               (int)((wait_ns + LEV_PERF_MS_NS - 1) / LEV_PERF_MS_NS));

        for (int i = 0; i < ready; i++) {
            if (take_in(idle, events[i].data.ptr, bad_r) < 0)
                return -1;
        }
        if (lev_perf_idle_beat(idle, bad_r) < 0)
            return -1;
    }
    return 0;
}
