/* Publishers that are not read because the disk fails: those that are reset or whose system is gone
 * are noticed, those that wait or only ended their stream are kept, and what they had sent is
 * worked off in order when the disk is well again. */
#include <linux/filter.h>
#include <sched.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "talk.h"
#include "unit/store/faultfs.h"

enum { SIZE = 64 << 10, STALL_MS = 300 };

static struct proto_bed bed;
static uint8_t body[SIZE];

static void setup(void)
{
    faultfs_register();
    ck_assert_int_eq(sqlite3_vfs_register(sqlite3_vfs_find("faultfs"), 1), SQLITE_OK);
    proto_start(&bed, NULL);
}

static void teardown(void)
{
    faultfs_heal();
    proto_end(&bed);
}

static uint64_t connections(void)
{
    struct lev_server_stats st;
    lev_server_stats(bed.server, &st);
    return st.connections;
}

static void wait_connections(uint64_t n)
{
    int64_t end = proto_now_ms() + PEER_WAIT_MS;
    while (connections() > n && proto_now_ms() < end)
        sched_yield();
    ck_assert_uint_eq(connections(), n);
}

static struct peer *connect_with(uint16_t heartbeat, const char *queue)
{
    struct peer_terms terms = peer_usual;
    struct peer *p = peer_open(bed.port);
    terms.heartbeat = heartbeat;
    peer_login(p, &terms);
    peer_channel(p, 1);
    peer_declare(p, 1, queue, true);
    return p;
}

/* Publishes numbered messages until it is held back; returns how many of them are sent. */
static uint32_t publish_until_held(struct peer *p, const char *queue)
{
    uint32_t n = 0;
    p->deaf = true;
    do {
        lev_put32(body, n++);
        peer_publish(p, 1, queue, 2, body, SIZE);
    } while (peer_push(p, STALL_MS));
    return n - 1;
}

static void take_numbered(struct peer *p, const char *queue, uint32_t n)
{
    struct lev_buf b;
    lev_buf_init(&b);
    peer_consume(p, 1, queue, true);
    for (uint32_t i = 0; i < n; i++) {
        peer_expect(p, 1, LEV_M_BASIC_DELIVER);
        lev_buf_clear(&b);
        ck_assert_uint_eq(peer_take_content(p, 1, &b), SIZE);
        ck_assert_uint_eq(lev_get32(b.ptr), i);
    }
    lev_buf_deinit(&b);
}

START_TEST(test_reset)
{
    struct peer *p = connect_with(0, "reset"), *stays = connect_with(0, "stays");
    faultfs_full_after(0);
    publish_until_held(stays, "stays");
    publish_until_held(p, "reset");
    peer_reset(&p);
    wait_connections(1);
    faultfs_heal();
    stays->deaf = false;
    peer_flush(stays);
    peer_goodbye(&stays);
}
END_TEST

START_TEST(test_end_of_stream)
{
    struct peer *p = connect_with(0, "ended"), *q;
    faultfs_full_after(0);
    uint32_t n = publish_until_held(p, "ended");
    shutdown(p->fd, SHUT_WR);
    ck_assert(!peer_sees_end(p, STALL_MS));
    faultfs_heal();
    q = connect_with(0, "ended");
    talk_wait_ready(q, "ended", n);
    ck_assert(peer_sees_end(p, PEER_WAIT_MS));
    peer_drop(&p);
    take_numbered(q, "ended", n);
    peer_goodbye(&q);
}
END_TEST

/* Nothing comes in at this socket any more, not even what would be acknowledged by itself. */
static void go_deaf(struct peer *p)
{
    struct sock_filter nothing = BPF_STMT(BPF_RET | BPF_K, 0);
    struct sock_fprog prog = {.len = 1, .filter = &nothing};
    ck_assert_int_eq(setsockopt(p->fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)), 0);
}

/* With a heartbeat of a second: who is alive is kept though he is not read. */
START_TEST(test_vanished)
{
    struct peer *gone = connect_with(1, "gone"), *alive = connect_with(1, "alive");
    faultfs_full_after(0);
    publish_until_held(alive, "alive");
    publish_until_held(gone, "gone");
    go_deaf(gone);
    wait_connections(1);
    alive->deaf = false;
    faultfs_heal();
    peer_flush(alive);
    peer_goodbye(&alive);
    peer_drop(&gone);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("paused");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 240);
    tcase_add_test(tc, test_reset);
    tcase_add_test(tc, test_end_of_stream);
    tcase_add_test(tc, test_vanished);
    return talk_main("proto_paused", tc);
}
