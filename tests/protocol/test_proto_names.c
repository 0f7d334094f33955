/* Names and values with odd octets, a NUL among them: the texts of refusals have them all, as
 * RabbitMQ's do. */
#include "talk.h"

static struct proto_bed bed;
static struct peer *p;

static void setup(void)
{
    proto_start(&bed, NULL);
    p = talk_connect(bed.port);
    talk_queue(p, "here", NULL);
}

static void teardown(void)
{
    peer_drop(&p);
    p = talk_connect(bed.port);
    peer_delete(p, 1, "here");
    peer_goodbye(&p);
    proto_stop(&bed);
}

#define L(s)                                                                                       \
    {                                                                                              \
        (const uint8_t *)(s), sizeof(s) - 1                                                        \
    }
#define DECLARE(name, bits, table) L("\0\x32\0\x0a\0\0" name bits "\0\0\0" table)
#define NULS "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"

static void expect_refusal(uint16_t channel, uint16_t code, struct lev_bytes text)
{
    const struct lev_method *m;
    peer_flush(p);
    if (channel) {
        m = peer_expect(p, 1, LEV_M_CHANNEL_CLOSE);
        ck_assert_uint_eq(m->u.channel_close.reply_code, code);
    } else {
        m = peer_expect(p, 0, LEV_M_CONNECTION_CLOSE);
        ck_assert_uint_eq(m->u.connection_close.reply_code, code);
    }
    struct lev_bytes is =
        channel ? m->u.channel_close.reply_text : m->u.connection_close.reply_text;
    ck_assert_msg(lev_bytes_eq(is, text), "%zu octets: %.*s", is.len, LEV_FMT(is));
}

static const struct {
    struct lev_bytes method; /* class, method, arguments */
    uint16_t channel, code;
    struct lev_bytes text;
} refused[] = {
    {DECLARE("\3a\0b", "\1", "\0"), 1, 404, L("NOT_FOUND - no queue 'a\0b' in vhost '/'")},
    {DECLARE("\7amq.a\0b", "\0", "\0"), 1, 403,
     L("ACCESS_REFUSED - queue name 'amq.a\0b' contains reserved prefix 'amq.*'")},
    {L("\0\x3c\0\x46\0\0\3a\0b\0"), 1, 404, L("NOT_FOUND - no queue 'a\0b' in vhost '/'")},
    {L("\0\x28\0\x0a\0\0\2x\0\6direct\1\0\0\0\0"), 1, 404,
     L("NOT_FOUND - no exchange 'x\0' in vhost '/'")},
    {L("\0\x28\0\x0a\0\0\3new\5di\0rx\0\0\0\0\0"), 1, 406,
     L("PRECONDITION_FAILED - unknown exchange type 'di\0rx'")},
    {L("\0\x28\0\x14\0\0\5amq.\0\0"), 1, 403,
     L("ACCESS_REFUSED - deletion of system exchange 'amq.\0' in vhost '/' not allowed")},
    {L("\0\x32\0\x14\0\0\4here\2x\0\2k\0\0\0\0\0\0"), 1, 404,
     L("NOT_FOUND - no exchange 'x\0' in vhost '/'")},
    {DECLARE("\4here", "\2", "\x20\x16x-dead-letter-exchangeS\0\0\0\4a\0bc"), 1, 406,
     L("PRECONDITION_FAILED - inequivalent arg 'x-dead-letter-exchange' for queue 'here' in vhost "
       "'/': received the value 'a\0bc' of type 'longstr' but current is none")},
    {DECLARE("\3new", "\2", "\x14\x0cx-queue-typeS\0\0\0\2a\0"), 1, 406,
     L("PRECONDITION_FAILED - invalid arg 'x-queue-type' for queue 'new' in vhost '/': "
       "[117,110,115,117,112,112,111,114,116,101,100,32,113,117,101,117,101,32,116,121,112,101,32,"
       "39,97,0,39]")},
    {DECLARE("\3new", "\2", "\x15\x0cx-queue-modeS\0\0\0\3a\"b"), 1, 406,
     L("PRECONDITION_FAILED - invalid arg 'x-queue-mode' for queue 'new' in vhost '/': "
       "\"unsupported queue mode 'a\\\"b'\"")},
    {DECLARE("\xe6" NULS NULS NULS NULS NULS NULS NULS "01234567890123456789", "\1", "\0"), 1, 404,
     L("NOT_FOUND - no queue '" NULS NULS NULS NULS NULS NULS NULS "01234567890123456789...")},
};

START_TEST(test_refused)
{
    peer_frame(p, LEV_FRAME_METHOD, 1, refused[_i].method.ptr, refused[_i].method.len);
    expect_refusal(refused[_i].channel, refused[_i].code, refused[_i].text);
}
END_TEST

static const struct {
    struct lev_bytes expiration, text;
} expirations[] = {
    {L("1\0002"), L("PRECONDITION_FAILED - invalid expiration '1\0002': {leftover_string,[0,50]}")},
    {L("\0"), L("PRECONDITION_FAILED - invalid expiration '\0': no_integer")},
    {L("12\"x"),
     L("PRECONDITION_FAILED - invalid expiration '12\"x': {leftover_string,\"\\\"x\"}")},
    {L("12\n"), L("PRECONDITION_FAILED - invalid expiration '12\n': {leftover_string,\"\\n\"}")},
    {L("12\xc3\xa9"),
     L("PRECONDITION_FAILED - invalid expiration '12\xc3\xa9': {leftover_string,\"\xc3\xa9\"}")},
    {L("12\x7f"), L("PRECONDITION_FAILED - invalid expiration '12\x7f': {leftover_string,[127]}")},
};

START_TEST(test_expiration)
{
    struct lev_method m = {.id = LEV_M_BASIC_PUBLISH};
    struct lev_bytes e = expirations[_i].expiration;
    uint8_t header[32] = {0, 60, [12] = 1, [14] = (uint8_t)e.len};
    m.u.basic_publish.routing_key = LEV_LIT("here");
    memcpy(header + 15, e.ptr, e.len);
    peer_method(p, 1, &m);
    peer_frame(p, LEV_FRAME_HEADER, 1, header, 15 + e.len);
    expect_refusal(1, 406, expirations[_i].text);
}
END_TEST

START_TEST(test_frame)
{
    peer_frame(p, 9, 1, "a\"b", 3);
    expect_refusal(0, 501,
                   LEV_LIT("FRAME_ERROR - type 9, all octets = <<\"a\\\"b\">>: unknown_frame"));
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("names");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, test_refused, 0, sizeof(refused) / sizeof(*refused));
    tcase_add_loop_test(tc, test_expiration, 0, sizeof(expirations) / sizeof(*expirations));
    tcase_add_test(tc, test_frame);
    return talk_main("proto_names", tc);
}
