/* What the protocol tests share: a broker inside the test, whose counts must be zero in the end,
 * and a look at a process from outside. */
#ifndef LEV_TESTS_PROTO_H
#define LEV_TESTS_PROTO_H

#include <sys/types.h>

#include "leveret/server.h"
#include "support/peer.h"

/* Memory is only measured where it means something: sanitizers keep what was freed. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define PROTO_SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || defined(PROTO_SANITIZED)
enum { PROTO_MEMORY_COUNTS = 0 };
#else
enum { PROTO_MEMORY_COUNTS = 1 };
#endif

/* n times $LEVERET_TEST_SCALE (1 by default), at least 1. */
size_t proto_scaled(size_t n);
int64_t proto_now_ms(void);
void proto_remove_tree(const char *dir);

/* --- a broker in this process --- */
struct proto_bed {
    struct lev_server *server;
    char dir[64];
    int port;
};
/* loops 0: $LEVERET_TEST_LOOPS, or 2. */
void proto_config(struct lev_server_config *c, int loops);
/* c: NULL for proto_config's. c->data_dir is set to a temporary directory. */
void proto_start(struct proto_bed *b, const struct lev_server_config *c);
/* Waits until no connection, channel, consumer or unacknowledged message is left. */
void proto_wait_alone(const struct proto_bed *b);
/* The same, then ends the broker. */
void proto_end(struct proto_bed *b);
/* The same, and checks that no queue or message is left. */
void proto_stop(struct proto_bed *b);

/* --- a process, from /proc --- */
size_t proto_rss_mib(pid_t pid);
/* The largest it ever was. */
size_t proto_peak_mib(pid_t pid);
int proto_fds(pid_t pid);

#endif
