/* Content headers and the 14 properties, in all 2^14 combinations. */
#include "amqp/props.h"

#include "amqp/frame.h"
#include "amqp/table.h"
#include "base/err.h"
#include "gen.h"

#include <check.h>

enum { INPUT_MAX = 1 << 20 };

static struct gen gen;
static struct guard_bytes guard;
static struct lev_buf out;

static void setup(void)
{
    static const uint8_t zeros[INPUT_MAX];
    gen_init(&gen, 3);
    guard = guard_bytes_new(zeros, INPUT_MAX);
    lev_buf_init(&out);
}

static void teardown(void)
{
    lev_buf_deinit(&out);
    guard_bytes_free(&guard);
    gen_deinit(&gen);
}

static int decode(struct lev_bytes raw, struct lev_props *p_r)
{
    return lev_props_decode(gen_at_guard(&guard, raw.ptr, raw.len), p_r);
}

static struct lev_bytes encode(const struct lev_props *p)
{
    lev_buf_clear(&out);
    lev_props_encode(&out, p);
    ck_assert(!out.failed);
    return lev_buf_view(&out);
}

static const struct string_prop {
    uint16_t flag;
    size_t at;
} string_props[] = {
    {(uint16_t)LEV_PROP_CONTENT_TYPE, offsetof(struct lev_props, content_type)},
    {LEV_PROP_CONTENT_ENCODING, offsetof(struct lev_props, content_encoding)},
    {LEV_PROP_HEADERS, offsetof(struct lev_props, headers)},
    {LEV_PROP_CORRELATION_ID, offsetof(struct lev_props, correlation_id)},
    {LEV_PROP_REPLY_TO, offsetof(struct lev_props, reply_to)},
    {LEV_PROP_EXPIRATION, offsetof(struct lev_props, expiration)},
    {LEV_PROP_MESSAGE_ID, offsetof(struct lev_props, message_id)},
    {LEV_PROP_TYPE, offsetof(struct lev_props, type)},
    {LEV_PROP_USER_ID, offsetof(struct lev_props, user_id)},
    {LEV_PROP_APP_ID, offsetof(struct lev_props, app_id)},
    {LEV_PROP_CLUSTER_ID, offsetof(struct lev_props, cluster_id)},
};
enum { STRING_PROPS = sizeof(string_props) / sizeof(string_props[0]) };

static struct lev_bytes *string_of(struct lev_props *p, int i)
{
    return (struct lev_bytes *)(void *)((uint8_t *)p + string_props[i].at);
}

static struct lev_props random_props(uint16_t flags)
{
    struct lev_props p = {.flags = flags};
    gen_reset(&gen);
    if (flags & LEV_PROP_DELIVERY_MODE)
        p.delivery_mode = (uint8_t)gen_u64(&gen);
    if (flags & LEV_PROP_PRIORITY)
        p.priority = (uint8_t)gen_u64(&gen);
    if (flags & LEV_PROP_TIMESTAMP)
        p.timestamp = gen_u64(&gen);
    for (int i = 0; i < STRING_PROPS; i++)
        if (flags & string_props[i].flag)
            *string_of(&p, i) =
                string_props[i].flag == LEV_PROP_HEADERS ? gen_table(&gen) : gen_shortstr(&gen);
    return p;
}

static void check_same(struct lev_props *a, struct lev_props *b)
{
    ck_assert_uint_eq(a->flags, b->flags);
    ck_assert_uint_eq(a->delivery_mode, b->delivery_mode);
    ck_assert_uint_eq(a->priority, b->priority);
    ck_assert_uint_eq(a->timestamp, b->timestamp);
    for (int i = 0; i < STRING_PROPS; i++)
        ck_assert_msg(lev_bytes_eq(*string_of(a, i), *string_of(b, i)), "flags %04x, string %d",
                      a->flags, i);
}

/* ---- Properties ------------------------------------------------------------------------------ */

START_TEST(every_combination)
{
    for (unsigned mask = 0; mask < 1 << 14; mask++) {
        struct lev_props sent = random_props((uint16_t)(mask << 2)), got;
        memset(&got, 0xAA, sizeof(got));
        ck_assert_int_eq(decode(encode(&sent), &got), 0);
        check_same(&sent, &got);
    }
}
END_TEST

START_TEST(every_truncation_is_an_error)
{
    for (int round = 0; round < 200; round++) {
        struct lev_props sent = random_props((uint16_t)(gen_u64(&gen) & 0xFFFC)), got;
        struct lev_bytes raw = encode(&sent);
        for (size_t n = 0; n < raw.len; n++)
            ck_assert_int_eq(decode(lev_bytes(raw.ptr, n), &got), LEV_EPROTO);
    }
}
END_TEST

START_TEST(trailing_octets_are_an_error)
{
    for (unsigned mask = 0; mask < 1 << 14; mask += 7) {
        struct lev_props sent = random_props((uint16_t)(mask << 2)), got;
        encode(&sent);
        lev_buf_put8(&out, (uint8_t)mask);
        ck_assert_int_eq(decode(lev_buf_view(&out), &got), LEV_EPROTO);
    }
}
END_TEST

/* Made by an independent client library. */
START_TEST(golden)
{
    static const struct lev_props all = {
        .flags = 0xFFFC,
        .content_type = LEV_LIT("text/plain"),
        .content_encoding = LEV_LIT("gzip"),
        .headers = LEV_LIT("\x01kS\0\0\0\x01v"),
        .delivery_mode = 2,
        .priority = 5,
        .correlation_id = LEV_LIT("corr"),
        .reply_to = LEV_LIT("reply"),
        .expiration = LEV_LIT("60000"),
        .message_id = LEV_LIT("msg"),
        .timestamp = 0x1122334455667788u,
        .type = LEV_LIT("type"),
        .user_id = LEV_LIT("guest"),
        .app_id = LEV_LIT("app"),
        .cluster_id = LEV_LIT("cluster"),
    };
    static const struct lev_props few = {
        .flags = LEV_PROP_DELIVERY_MODE | LEV_PROP_MESSAGE_ID,
        .delivery_mode = 2,
        .message_id = LEV_LIT("m"),
    };
    static const struct lev_props none = {0};
    ck_assert(lev_bytes_eq(encode(&all), LEV_LIT("\xFF\xFC"
                                                 "\x0Atext/plain"
                                                 "\x04gzip"
                                                 "\0\0\0\x08\x01kS\0\0\0\x01v"
                                                 "\x02"
                                                 "\x05"
                                                 "\x04"
                                                 "corr"
                                                 "\x05reply"
                                                 "\x05"
                                                 "60000"
                                                 "\x03msg"
                                                 "\x11\x22\x33\x44\x55\x66\x77\x88"
                                                 "\x04type"
                                                 "\x05guest"
                                                 "\x03"
                                                 "app"
                                                 "\x07"
                                                 "cluster")));
    ck_assert(lev_bytes_eq(encode(&few), LEV_LIT("\x10\x80\x02\x01m")));
    ck_assert(lev_bytes_eq(encode(&none), LEV_LIT("\0\0")));
}
END_TEST

START_TEST(invalid_flags)
{
    struct lev_props p;
    ck_assert_int_eq(decode(LEV_LIT("\0\1"), &p), LEV_EPROTO); /* another flag word */
    ck_assert_int_eq(decode(LEV_LIT("\0\1\0\0"), &p), LEV_EPROTO);
    ck_assert_int_eq(decode(LEV_LIT("\0\2"), &p), LEV_EPROTO);
    ck_assert_int_eq(decode(LEV_LIT("\x10\3\2"), &p), LEV_EPROTO);
    ck_assert_int_eq(decode(LEV_EMPTY, &p), LEV_EPROTO);
    struct lev_props flagged = {.flags = 3};
    ck_assert(lev_bytes_eq(encode(&flagged), LEV_LIT("\0\0")));
}
END_TEST

START_TEST(malformed_headers)
{
    struct lev_buf deep;
    struct lev_props p = {.flags = LEV_PROP_HEADERS, .headers = LEV_LIT("\1kQ")}, got;
    lev_buf_init(&deep);
    ck_assert_int_eq(decode(encode(&p), &got), LEV_ETYPE);
    p.headers = LEV_LIT("\1kl\0\0\0\0");
    ck_assert_int_eq(decode(encode(&p), &got), LEV_EPROTO);
    gen_nested(&deep, LEV_TABLE_DEPTH_MAX + 1, true);
    p.headers = lev_buf_view(&deep);
    ck_assert_int_eq(decode(encode(&p), &got), LEV_EDEPTH);
    ck_assert_int_eq(decode(LEV_LIT("\x20\0\xFF\xFF\xFF\xFF"), &got), LEV_EPROTO);
    lev_buf_deinit(&deep);
}
END_TEST

/* Property strings are opaque: RabbitMQ does not check them. */
START_TEST(any_octets_in_strings)
{
    struct lev_props p = {.flags = LEV_PROP_TYPE, .type = LEV_LIT("\xFF\0\xC3")}, got;
    ck_assert_int_eq(decode(encode(&p), &got), 0);
    ck_assert(lev_bytes_eq(got.type, p.type));
}
END_TEST

START_TEST(long_strings_are_cut)
{
    uint8_t text[300];
    memset(text, 'x', sizeof(text));
    struct lev_props got, p = {.flags = LEV_PROP_TYPE | LEV_PROP_APP_ID,
                               .type = lev_bytes(text, sizeof(text)),
                               .app_id = LEV_LIT("app")};
    ck_assert_int_eq(decode(encode(&p), &got), 0);
    ck_assert_uint_eq(got.type.len, 255);
    ck_assert(lev_bytes_eq(got.app_id, LEV_LIT("app")));
}
END_TEST

START_TEST(any_damage_is_survived)
{
    for (int round = 0; round < 20000; round++) {
        struct lev_props p = random_props((uint16_t)(gen_u64(&gen) & 0xFFFC)), got;
        struct lev_bytes raw = encode(&p);
        for (size_t hits = 1 + gen_below(&gen, 3); hits > 0; hits--)
            out.ptr[gen_below(&gen, raw.len)] = (uint8_t)gen_u64(&gen);
        struct lev_bytes kept = gen_keep(&gen, raw);
        if (decode(raw, &got) == 0)
            ck_assert(lev_bytes_eq(encode(&got), kept));
    }
}
END_TEST

/* ---- Content headers ------------------------------------------------------------------------- */

START_TEST(header_golden)
{
    lev_content_header_encode(&out, 0x0102, 0x1122334455667788u, LEV_LIT("\x10\0\2"));
    ck_assert(lev_bytes_eq(lev_buf_view(&out), LEV_LIT("\2\1\2\0\0\0\x0F"
                                                       "\0\x3C\0\0"
                                                       "\x11\x22\x33\x44\x55\x66\x77\x88"
                                                       "\x10\0\2\xCE")));
}
END_TEST

START_TEST(header_round_trip)
{
    struct lev_frame f;
    struct lev_content_header h;
    for (int round = 0; round < 500; round++) {
        struct lev_props p = random_props((uint16_t)(gen_u64(&gen) & 0xFFFC));
        struct lev_bytes raw = gen_keep(&gen, encode(&p));
        uint64_t size = gen_u64(&gen);
        lev_buf_clear(&out);
        lev_content_header_encode(&out, 5, size, raw);
        ck_assert_int_eq(lev_frame_decode(out.ptr, out.len, 0, &f), (long)out.len);
        ck_assert_int_eq(f.type, LEV_FRAME_HEADER);
        ck_assert_int_eq(f.channel, 5);
        ck_assert_int_eq(lev_content_header_decode(f.payload, &h), 0);
        ck_assert_uint_eq(h.class_id, 60);
        ck_assert_uint_eq(h.weight, 0);
        ck_assert_uint_eq(h.body_size, size);
        ck_assert(lev_bytes_eq(h.props, raw));
    }
}
END_TEST

START_TEST(header_fields)
{
    struct lev_content_header h;
    struct lev_bytes raw = LEV_LIT("\0\x32\0\7\0\0\0\0\0\0\0\x2A\x10\0");
    for (size_t n = 0; n < raw.len; n++) {
        struct lev_bytes part = gen_at_guard(&guard, raw.ptr, n);
        ck_assert_int_eq(lev_content_header_decode(part, &h), LEV_EPROTO);
    }
    struct lev_bytes whole = gen_at_guard(&guard, raw.ptr, raw.len);
    ck_assert_int_eq(lev_content_header_decode(whole, &h), 0);
    ck_assert_uint_eq(h.class_id, 50);
    ck_assert_uint_eq(h.weight, 7);
    ck_assert_uint_eq(h.body_size, 42);
    ck_assert(lev_bytes_eq(h.props, LEV_LIT("\x10\0")));
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("amqp_props");
    TCase *tc = tcase_create("props");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, every_combination);
    tcase_add_test(tc, every_truncation_is_an_error);
    tcase_add_test(tc, trailing_octets_are_an_error);
    tcase_add_test(tc, golden);
    tcase_add_test(tc, invalid_flags);
    tcase_add_test(tc, malformed_headers);
    tcase_add_test(tc, any_octets_in_strings);
    tcase_add_test(tc, long_strings_are_cut);
    tcase_add_test(tc, any_damage_is_survived);
    suite_add_tcase(s, tc);
    tc = tcase_create("header");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, header_golden);
    tcase_add_test(tc, header_round_trip);
    tcase_add_test(tc, header_fields);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    SRunner *sr = srunner_create(suite());
    srunner_run_all(sr, CK_NORMAL);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? 0 : 1;
}
