/* What the protocol tests share. See proto.h. */
#include "proto.h"

#include <check.h>
#include <dirent.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/log.h"

size_t proto_scaled(size_t n)
{
    const char *s = getenv("LEVERET_TEST_SCALE");
    double scale = s ? atof(s) : 1;
    size_t k = (size_t)((double)n * scale);
    return k ? k : 1;
}

int64_t proto_now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st, (void)type, (void)at;
    return remove(path);
}

void proto_remove_tree(const char *dir)
{
    nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* --- a broker in this process --- */

void proto_config(struct lev_server_config *c, int loops)
{
    static const struct lev_server_listen local = {.host = "127.0.0.1"};
    const char *wanted = getenv("LEVERET_TEST_LOOPS");
    lev_server_config_init(c);
    c->listen = &local;
    c->loops = loops ? loops : wanted ? atoi(wanted) : 2;
}

void proto_start(struct proto_bed *b, const struct lev_server_config *c)
{
    struct lev_server_config config;
    char err[LEV_SERVER_ERR_MAX] = "";
    if (c)
        config = *c;
    else
        proto_config(&config, 0);
    lev_log_set_level(LEV_LOG_NONE);
    snprintf(b->dir, sizeof(b->dir), "/tmp/leveret-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(b->dir));
    config.data_dir = b->dir;
    b->server = lev_server_new(&config);
    int rc = lev_server_start(b->server, err);
    ck_assert_msg(rc == 0, "%s", err);
    b->port = lev_server_port(b->server);
}

/* Waits until no connection and what belongs to one is left. */
static void wait_alone(const struct proto_bed *b, struct lev_server_stats *st)
{
    int64_t end = proto_now_ms() + PEER_WAIT_MS;
    lev_server_stats(b->server, st);
    while (st->connections + st->channels + st->consumers + st->messages_unacked > 0 &&
           proto_now_ms() < end) {
        nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
        lev_server_stats(b->server, st);
    }
    ck_assert_uint_eq(st->connections, 0);
    ck_assert_uint_eq(st->channels, 0);
    ck_assert_uint_eq(st->consumers, 0);
    ck_assert_uint_eq(st->messages_unacked, 0);
}

void proto_wait_alone(const struct proto_bed *b)
{
    struct lev_server_stats st;
    wait_alone(b, &st);
}

void proto_end(struct proto_bed *b)
{
    proto_wait_alone(b);
    lev_server_free(&b->server);
    proto_remove_tree(b->dir);
}

void proto_stop(struct proto_bed *b)
{
    struct lev_server_stats st;
    wait_alone(b, &st);
    ck_assert_uint_eq(st.queues, 0);
    ck_assert_uint_eq(st.messages_ready, 0);
    proto_end(b);
}

/* --- a process, from /proc --- */

static size_t status_mib(pid_t pid, const char *field)
{
    char path[64], line[256];
    size_t kib = 0, n = strlen(field);
    snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    FILE *f = fopen(path, "r");
    ck_assert_ptr_nonnull(f);
    while (fgets(line, sizeof(line), f))
        if (strncmp(line, field, n) == 0)
            kib = (size_t)strtoul(line + n, NULL, 10);
    fclose(f);
    return kib / 1024;
}

size_t proto_rss_mib(pid_t pid)
{
    return status_mib(pid, "VmRSS:");
}

size_t proto_peak_mib(pid_t pid)
{
    return status_mib(pid, "VmHWM:");
}

int proto_fds(pid_t pid)
{
    char path[64];
    int n = 0;
    snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
    DIR *d = opendir(path);
    ck_assert_ptr_nonnull(d);
    for (const struct dirent *e; (e = readdir(d)) != NULL;)
        n += e->d_name[0] != '.';
    closedir(d);
    return n;
}
