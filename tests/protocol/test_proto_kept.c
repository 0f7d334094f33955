/* What a queue keeps to across a stop or a kill of the broker: priorities (also of a backlog on
 * disk), limits, TTLs, disuse; and policies that definitions bring to queues that were there. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "talk.h"

static struct talk_daemon broker;
static struct peer *p;

static void setup(void)
{
    talk_start(&broker, 0);
}

static void teardown(void)
{
    talk_end(&broker);
}

/* --- order --- */

enum { LEVELS = 4, BACKLOG = 40000 /* more than a queue keeps in memory */ };

static void publish_backlog(int n)
{
    char body[16];
    for (int i = 0; i < n; i++) {
        snprintf(body, sizeof(body), "%d", i);
        talk_send(p, &(struct talk_msg){.key = "q", .body = body, .priority = i % LEVELS});
    }
}

/* Confirms come in any grouping: the queue's count tells when all have. */
static void wait_confirmed(uint64_t n)
{
    uint64_t done = 0;
    while (done < n)
        done = peer_expect(p, 1, LEV_M_BASIC_ACK)->u.basic_ack.delivery_tag;
}

/* Highest level first, and in each the order of publishing. */
static void take_backlog(int n)
{
    struct talk_got g;
    peer_qos(p, 1, 200);
    talk_consume(p, "q");
    for (int level = LEVELS - 1; level >= 0; level--)
        for (int i = level; i < n; i += LEVELS) {
            talk_delivery(p, &g);
            ck_assert_int_eq(atoi(g.body), i);
            peer_ack(p, 1, g.tag, false);
            if (i % 100 < LEVELS)
                peer_flush(p);
        }
    peer_flush(p);
}

START_TEST(test_priorities)
{
    uint32_t n = (uint32_t)proto_scaled(BACKLOG) / LEVELS * LEVELS;
    p = talk_begin(&broker, _i);
    talk_queue(p, "q", "x-max-priority=I3");
    publish_backlog((int)n);
    wait_confirmed(n);
    ck_assert_uint_eq(talk_ready(p, "q"), n);
    talk_come_back(&broker, &p);
    ck_assert_uint_eq(talk_ready(p, "q"), n);
    take_backlog((int)n);
    ck_assert_uint_eq(talk_ready(p, "q"), 0);
    peer_goodbye(&p);
}
END_TEST

/* --- limits --- */

START_TEST(test_max_length)
{
    p = talk_begin(&broker, _i);
    talk_queue(p, "q", "x-max-length=I2");
    talk_put(p, "q", "1");
    talk_put(p, "q", "2");
    talk_put(p, "q", "3");
    talk_come_back(&broker, &p);
    ck_assert_uint_eq(talk_ready(p, "q"), 2);
    talk_put(p, "q", "4");
    talk_wait_ready(p, "q", 2); /* the head is read back before it goes */
    talk_take(p, "q", "3");
    talk_take(p, "q", "4");
    peer_goodbye(&p);
}
END_TEST

START_TEST(test_max_length_bytes)
{
    p = talk_begin(&broker, _i);
    talk_queue(p, "q", "x-max-length-bytes=I10");
    talk_put(p, "q", "aaaaa");
    talk_put(p, "q", "bbbbb");
    talk_come_back(&broker, &p);
    talk_put(p, "q", "c");
    talk_wait_ready(p, "q", 2);
    talk_take(p, "q", "bbbbb");
    talk_take(p, "q", "c");
    peer_goodbye(&p);
}
END_TEST

/* reject-publish still refuses, reject-publish-dlx still buries. */
START_TEST(test_reject_publish)
{
    struct talk_msg plain = {.key = "q", .body = "no"}, buried = {.key = "r", .body = "dead"};
    p = talk_begin(&broker, _i);
    talk_queue(p, "dead", NULL);
    talk_queue(p, "q", "x-max-length=I1 x-overflow=Sreject-publish");
    talk_queue(p, "r",
               "x-max-length=I1 x-overflow=Sreject-publish-dlx x-dead-letter-exchange=S "
               "x-dead-letter-routing-key=Sdead");
    talk_put(p, "q", "yes");
    talk_put(p, "r", "yes");
    ck_assert(!talk_publish(p, &plain));
    talk_come_back(&broker, &p);
    ck_assert(!talk_publish(p, &plain));
    ck_assert(!talk_publish(p, &buried));
    talk_wait_ready(p, "dead", 1);
    talk_take(p, "dead", "dead");
    talk_take(p, "q", "yes");
    talk_take(p, "r", "yes");
    talk_put(p, "q", "again");
    peer_goodbye(&p);
}
END_TEST

/* --- time --- */

/* The time of a message runs while the broker does not. */
START_TEST(test_ttl)
{
    struct talk_got g;
    p = talk_begin(&broker, _i);
    talk_queue(p, "dead", NULL);
    talk_queue(p, "q",
               "x-message-ttl=I1500 x-dead-letter-exchange=S "
               "x-dead-letter-routing-key=Sdead");
    int64_t since = proto_now_ms();
    ck_assert(talk_publish(p, &(struct talk_msg){.key = "q", .body = "own", .expiration = "500"}));
    talk_put(p, "q", "queue's");
    talk_come_back(&broker, &p);
    talk_wait_ready(p, "dead", 1);
    ck_assert_int_ge(proto_now_ms() - since, 500);
    ck_assert(talk_get(p, "dead", &g));
    ck_assert_str_eq(g.body, "own");
    ck_assert(lev_bytes_eq(talk_death(&g, 0, "original-expiration").b, LEV_LIT("500")));
    talk_wait_ready(p, "dead", 1);
    ck_assert_int_ge(proto_now_ms() - since, 1500);
    talk_take(p, "dead", "queue's");
    peer_goodbye(&p);
}
END_TEST

/* Asks with a mandatory message, which does not make a queue used. */
static bool exists(const char *queue)
{
    struct talk_msg m = {.key = queue, .mandatory = true};
    struct lev_frame f;
    struct lev_buf body;
    talk_send(p, &m);
    ck_assert(peer_read(p, &f));
    ck_assert_int_eq(lev_method_decode(f.payload, &p->m), 0);
    if (p->m.id == LEV_M_BASIC_ACK)
        return true;
    ck_assert_int_eq(p->m.id, LEV_M_BASIC_RETURN);
    lev_buf_init(&body);
    peer_take_content(p, 1, &body);
    lev_buf_deinit(&body);
    peer_expect(p, 1, LEV_M_BASIC_ACK);
    return false;
}

/* x-expires begins anew with the broker; what is in the queue is not dead-lettered. */
START_TEST(test_expires)
{
    p = talk_begin(&broker, _i);
    talk_queue(p, "dead", NULL);
    talk_queue(p, "q", "x-expires=I700 x-dead-letter-exchange=S x-dead-letter-routing-key=Sdead");
    talk_put(p, "q", "m");
    talk_come_back(&broker, &p);
    int64_t since = proto_now_ms();
    while (exists("q") && proto_now_ms() - since < PEER_WAIT_MS)
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    ck_assert(!exists("q"));
    ck_assert_uint_eq(talk_ready(p, "dead"), 0);
    talk_come_back(&broker, &p);
    ck_assert(!exists("q"));
    peer_goodbye(&p);
}
END_TEST

/* --- policies --- */

static const char definitions[] =
    "{\"vhosts\": [{\"name\": \"/\"}],"
    " \"users\": [{\"name\": \"guest\", \"password\": \"guest\", \"tags\": []}],"
    " \"permissions\": [{\"user\": \"guest\", \"vhost\": \"/\", \"configure\": \".*\","
    "                    \"write\": \".*\", \"read\": \".*\"}],"
    " \"policies\": [{\"vhost\": \"/\", \"name\": \"p\", \"pattern\": \"^q$\","
    "  \"apply-to\": \"queues\", \"definition\": {\"max-length\": 2,"
    "  \"dead-letter-exchange\": \"\", \"dead-letter-routing-key\": \"dead\"}},"
    " {\"vhost\": \"/\", \"name\": \"x\", \"pattern\": \"^x$\", \"apply-to\": \"exchanges\","
    "  \"definition\": {\"alternate-exchange\": \"amq.fanout\"}}],"
    " \"parameters\": [{\"vhost\": \"/\", \"component\": \"operator_policy\", \"name\": \"o\","
    "  \"value\": {\"pattern\": \"^t$\", \"apply-to\": \"queues\","
    "              \"definition\": {\"message-ttl\": 1}}}]}";

static void write_definitions(char path[128])
{
    snprintf(path, 128, "%s/definitions.json", broker.dir);
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(definitions, 1, sizeof(definitions) - 1, f), sizeof(definitions) - 1);
    ck_assert_int_eq(fclose(f), 0);
}

/* Queues and exchanges that were there before the policies, with messages; and the policies stay
 * without the file. */
START_TEST(test_policies)
{
    char path[128];
    p = talk_begin(&broker, _i);
    talk_queue(p, "dead", NULL);
    talk_queue(p, "lost", NULL);
    talk_queue(p, "q", NULL);
    talk_queue(p, "t", "x-message-ttl=I3600000");
    talk_exchange(p, "x", "direct", NULL);
    talk_bind(p, "lost", "amq.fanout", "");
    talk_put(p, "q", "1");
    talk_put(p, "q", "2");
    talk_put(p, "q", "3");
    talk_put(p, "t", "old");
    peer_drop(&p);
    write_definitions(path);
    talk_restart_with(&broker, "--load-definitions", path);
    p = talk_with(&broker);
    talk_wait_ready(p, "q", 2);
    talk_take(p, "t", "old"); /* its time was settled when it was published */
    talk_put(p, "t", "new");
    talk_wait_ready(p, "t", 0);
    talk_take(p, "dead", "1");
    ck_assert(talk_publish(p, &(struct talk_msg){.exchange = "x", .key = "none", .body = "a"}));
    talk_take(p, "lost", "a");
    talk_come_back(&broker, &p);
    talk_put(p, "q", "4");
    talk_take(p, "dead", "2");
    talk_take(p, "q", "3");
    talk_take(p, "q", "4");
    peer_goodbye(&p);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("kept");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, test_priorities, 0, TALK_ENDINGS);
    tcase_add_loop_test(tc, test_max_length, 0, TALK_ENDINGS);
    tcase_add_loop_test(tc, test_max_length_bytes, 0, TALK_ENDINGS);
    tcase_add_loop_test(tc, test_reject_publish, 0, TALK_ENDINGS);
    tcase_add_loop_test(tc, test_ttl, 0, TALK_ENDINGS);
    tcase_add_loop_test(tc, test_expires, 0, TALK_ENDINGS);
    tcase_add_loop_test(tc, test_policies, 0, TALK_ENDINGS);
    return talk_main("proto_kept", tc);
}
