/* Methods: every row of methods.def is tested through the same functions, which the preprocessor
 * makes from it: fill (random fields), equal, and count of strings and tables. */
#include "amqp/method.h"

#include "amqp/table.h"
#include "base/err.h"
#include "gen.h"

#include <check.h>
#include <stdio.h>

enum { ROUNDS = 20, INPUT_MAX = 1 << 20 };

static struct gen gen;
static struct guard_bytes guard;
static struct lev_buf out;

static void setup(void)
{
    static const uint8_t zeros[INPUT_MAX];
    gen_init(&gen, 1);
    guard = guard_bytes_new(zeros, INPUT_MAX);
    lev_buf_init(&out);
}

static void teardown(void)
{
    lev_buf_deinit(&out);
    guard_bytes_free(&guard);
    gen_deinit(&gen);
}

/* ---- From methods.def ------------------------------------------------------------------------ */

/* What fill puts into fields: random values, but the string or table numbered `bad` (from 0) gets
 * bad_value. With golden set: the values that golden.def tells. */
struct fill {
    int bad_string, bad_table;
    int strings, tables; /* counted on the way */
    struct lev_bytes bad_value;
    bool golden;
    unsigned n; /* number of the field, from 1 */
};

static uint8_t fill_octet(struct fill *f)
{
    return (uint8_t)(f->golden ? 0xA0 + f->n : gen_u64(&gen));
}

static uint16_t fill_shortint(struct fill *f)
{
    return (uint16_t)(f->golden ? 0x1200 + f->n : gen_u64(&gen));
}

static uint32_t fill_longint(struct fill *f)
{
    return (uint32_t)(f->golden ? 0x12345600 + f->n : gen_u64(&gen));
}

static uint64_t fill_longlong(struct fill *f)
{
    return f->golden ? 0x123456789ABCDE00u + f->n : gen_u64(&gen);
}

static bool fill_bit(struct fill *f)
{
    return f->golden ? f->n % 2 == 1 : gen_below(&gen, 2) == 1;
}

static struct lev_bytes golden_text(const char *format, unsigned n)
{
    char text[32];
    snprintf(text, sizeof(text), format, n);
    return gen_keep(&gen, lev_bytes_str(text));
}

static struct lev_bytes fill_shortstr(struct fill *f)
{
    if (f->golden)
        return golden_text("short%u", f->n);
    return f->strings++ == f->bad_string ? f->bad_value : gen_shortstr(&gen);
}

static struct lev_bytes fill_longstr(struct fill *f)
{
    return f->golden ? golden_text("long%u", f->n) : gen_longstr(&gen);
}

static struct lev_bytes fill_table(struct fill *f)
{
    if (!f->golden)
        return f->tables++ == f->bad_table ? f->bad_value : gen_table(&gen);
    struct lev_buf b;
    char key[32];
    snprintf(key, sizeof(key), "k%u", f->n);
    lev_buf_init(&b);
    lev_table_put_str(&b, key, LEV_LIT("v"));
    struct lev_bytes kept = gen_keep(&gen, lev_buf_view(&b));
    lev_buf_deinit(&b);
    return kept;
}

/* Fills *m with method id. */
static void fill_method(struct fill *f, int id, struct lev_method *m)
{
    memset(m, 0, sizeof(*m));
    m->id = (enum lev_method_id)id;
    switch (m->id) {
#define LEV_FIELD(kind, name) v->name = (f->n++, fill_##kind(f));
#define LEV_METHOD(ID, id_, class_id, method_id, name, flags, fields)                              \
    case LEV_M_##ID: {                                                                             \
        struct lev_##id_ *v = &m->u.id_;                                                           \
        (void)v;                                                                                   \
        fields                                                                                     \
    } break;
#include "amqp/methods.def"
    case LEV_M_COUNT:
        ck_abort();
    }
}

#define same_octet(a, b) ((a) == (b))
#define same_shortint(a, b) ((a) == (b))
#define same_longint(a, b) ((a) == (b))
#define same_longlong(a, b) ((a) == (b))
#define same_bit(a, b) ((a) == (b))
#define same_shortstr(a, b) lev_bytes_eq(a, b)
#define same_longstr(a, b) lev_bytes_eq(a, b)
#define same_table(a, b) lev_bytes_eq(a, b)

static void check_same(const struct lev_method *a, const struct lev_method *b)
{
    ck_assert_int_eq(a->id, b->id);
    switch (a->id) {
#define LEV_FIELD(kind, field)                                                                     \
    ck_assert_msg(same_##kind(x->field, y->field), "%s: " #field, lev_method_info(a->id)->name);
#define LEV_METHOD(ID, id_, class_id, method_id, name, flags, fields)                              \
    case LEV_M_##ID: {                                                                             \
        const struct lev_##id_ *x = &a->u.id_, *y = &b->u.id_;                                     \
        (void)x;                                                                                   \
        (void)y;                                                                                   \
        fields                                                                                     \
    } break;
#include "amqp/methods.def"
    case LEV_M_COUNT:
        ck_abort();
    }
}

/* ---- Helpers --------------------------------------------------------------------------------- */

static struct fill random_fill(void)
{
    gen_reset(&gen);
    return (struct fill){.bad_string = -1, .bad_table = -1};
}

/* The payload of the one frame in out. */
static struct lev_bytes encode(const struct lev_method *m)
{
    struct lev_frame f;
    lev_buf_clear(&out);
    lev_method_encode(&out, 7, m);
    ck_assert(!out.failed);
    ck_assert_int_eq(lev_frame_decode(out.ptr, out.len, 0, &f), (long)out.len);
    ck_assert_int_eq(f.type, LEV_FRAME_METHOD);
    ck_assert_int_eq(f.channel, 7);
    return f.payload;
}

static int decode_guarded(struct lev_bytes payload, struct lev_method *m_r)
{
    return lev_method_decode(gen_at_guard(&guard, payload.ptr, payload.len), m_r);
}

/* ---- Every method ---------------------------------------------------------------------------- */

START_TEST(round_trip)
{
    for (int round = 0; round < ROUNDS; round++) {
        struct fill f = random_fill();
        struct lev_method sent, got;
        fill_method(&f, _i, &sent);
        ck_assert_int_eq(decode_guarded(encode(&sent), &got), 0);
        check_same(&sent, &got);
    }
}
END_TEST

START_TEST(truncation_is_an_error)
{
    for (int round = 0; round < ROUNDS; round++) {
        struct fill f = random_fill();
        struct lev_method m, got;
        fill_method(&f, _i, &m);
        struct lev_bytes payload = encode(&m);
        for (size_t n = 0; n < payload.len; n++) {
            int err = decode_guarded(lev_bytes(payload.ptr, n), &got);
            ck_assert_int_eq(err, n < 4 ? LEV_EUNKNOWN : LEV_EPROTO);
            ck_assert_int_eq(got.id, n < 4 ? LEV_M_COUNT : _i);
        }
    }
}
END_TEST

START_TEST(trailing_octets_are_an_error)
{
    struct fill f = random_fill();
    struct lev_method m, got;
    fill_method(&f, _i, &m);
    encode(&m);
    out.len--; /* the end octet makes room for more payload */
    for (uint8_t extra = 0; extra < 9; extra++) {
        lev_buf_put8(&out, extra);
        struct lev_bytes payload = lev_bytes(out.ptr + 7, out.len - 7);
        ck_assert_int_eq(decode_guarded(payload, &got), LEV_EPROTO);
        ck_assert_int_eq(got.id, _i);
    }
}
END_TEST

START_TEST(frame_arrives_octet_by_octet)
{
    struct fill f = random_fill();
    struct lev_method sent, got;
    struct lev_frame frame;
    fill_method(&f, _i, &sent);
    encode(&sent);
    for (size_t n = 0; n < out.len; n++) {
        struct lev_bytes part = gen_at_guard(&guard, out.ptr, n);
        ck_assert_int_eq(lev_frame_decode(part.ptr, part.len, 0, &frame), LEV_FRAME_MORE);
    }
    struct lev_bytes all = gen_at_guard(&guard, out.ptr, out.len);
    ck_assert_int_eq(lev_frame_decode(all.ptr, all.len, 0, &frame), (long)out.len);
    ck_assert_int_eq(lev_method_decode(frame.payload, &got), 0);
    check_same(&sent, &got);
}
END_TEST

START_TEST(malformed_utf8_only_where_unchecked)
{
    unsigned unchecked =
        lev_method_info((enum lev_method_id)_i)->flags & (unsigned)(LEV_MF_CONTENT | LEV_MF_HOT);
    for (int bad = 0;; bad++) {
        struct fill f = random_fill();
        struct lev_method m, got;
        f.bad_string = bad;
        f.bad_value = LEV_LIT("ok\xC3\x28");
        fill_method(&f, _i, &m);
        if (bad >= f.strings)
            break;
        ck_assert_int_eq(decode_guarded(encode(&m), &got), unchecked ? 0 : LEV_EUTF8);
        ck_assert_int_eq(got.id, _i);
        lev_buf_put8(&out, 0); /* the end octet as payload, trailing: that is the worse fault */
        struct lev_bytes longer = lev_bytes(out.ptr + 7, out.len - 8);
        ck_assert_int_eq(decode_guarded(longer, &got), LEV_EPROTO);
    }
}
END_TEST

static void check_bad_table(int id, struct lev_bytes table, int expected)
{
    for (int bad = 0;; bad++) {
        struct fill f = random_fill();
        struct lev_method m, got;
        f.bad_table = bad;
        f.bad_value = table;
        fill_method(&f, id, &m);
        if (bad >= f.tables)
            break;
        ck_assert_int_eq(decode_guarded(encode(&m), &got), expected);
        ck_assert_int_eq(got.id, id);
    }
}

START_TEST(malformed_tables_are_errors)
{
    struct lev_buf deep;
    lev_buf_init(&deep);
    gen_nested(&deep, LEV_TABLE_DEPTH_MAX + 1, false);
    check_bad_table(_i, LEV_LIT("\x01kQ"), LEV_ETYPE);
    check_bad_table(_i, LEV_LIT("\x01kI\0\0"), LEV_EPROTO);
    check_bad_table(_i, lev_buf_view(&deep), LEV_EDEPTH);
    lev_buf_deinit(&deep);
}
END_TEST

START_TEST(any_damage_is_survived)
{
    for (int round = 0; round < ROUNDS * 20; round++) {
        struct fill f = random_fill();
        struct lev_method m, got;
        fill_method(&f, _i, &m);
        struct lev_bytes payload = encode(&m);
        for (size_t hits = gen_below(&gen, 4); hits > 0; hits--)
            out.ptr[7 + gen_below(&gen, payload.len)] = (uint8_t)gen_u64(&gen);
        if (decode_guarded(payload, &got) == 0) { /* what was taken can be said again */
            struct lev_method again;
            ck_assert_uint_eq(encode(&got).len, payload.len);
            ck_assert_int_eq(decode_guarded(lev_bytes(out.ptr + 7, out.len - 8), &again), 0);
            ck_assert_int_eq(again.id, got.id);
        }
    }
}
END_TEST

START_TEST(info_row)
{
    const struct lev_method_info *info = lev_method_info((enum lev_method_id)_i);
    struct lev_method got;
    uint8_t ids[4];
    lev_put16(ids, info->class_id);
    lev_put16(ids + 2, info->method_id);
    ck_assert_int_ne(decode_guarded(lev_bytes(ids, 4), &got), LEV_EUNKNOWN);
    ck_assert_int_eq(got.id, _i);
    ck_assert(info->flags & (LEV_MF_CLIENT | LEV_MF_SERVER));
    ck_assert_int_eq((info->flags & LEV_MF_CHANNEL0) != 0, info->class_id == 10);
    size_t n = strlen(info->name);
    bool reply = n > 3 && strcmp(info->name + n - 3, "-ok") == 0;
    ck_assert_msg(!reply || !(info->flags & LEV_MF_SYNC), "%s: a reply expects none", info->name);
}
END_TEST

/* ---- Golden octets --------------------------------------------------------------------------- */

static const struct golden {
    enum lev_method_id id;
    const char *hex;
} golden[] = {
#define GOLDEN(ID, hex) {LEV_M_##ID, hex},
#include "golden.def"
};
enum { GOLDEN_COUNT = sizeof(golden) / sizeof(golden[0]) };

START_TEST(golden_encoding)
{
    struct fill f = random_fill();
    struct lev_method m, got;
    char hex[1024] = "";
    f.golden = true;
    fill_method(&f, (int)golden[_i].id, &m);
    struct lev_bytes payload = encode(&m);
    ck_assert_uint_lt(payload.len * 2, sizeof(hex));
    for (size_t i = 0; i < payload.len; i++)
        snprintf(hex + 2 * i, 3, "%02x", payload.ptr[i]);
    ck_assert_str_eq(hex, golden[_i].hex);
    ck_assert_int_eq(lev_method_decode(payload, &got), 0);
    check_same(&m, &got);
}
END_TEST

START_TEST(golden_has_every_method)
{
    bool seen[LEV_M_COUNT] = {false};
    for (int i = 0; i < GOLDEN_COUNT; i++)
        seen[golden[i].id] = true;
    for (int id = 0; id < LEV_M_COUNT; id++)
        ck_assert_msg(seen[id], "%s", lev_method_info((enum lev_method_id)id)->name);
    ck_assert_int_eq(GOLDEN_COUNT, LEV_M_COUNT);
}
END_TEST

/* ---- The rest -------------------------------------------------------------------------------- */

/* Every pair of ids near those in use, against the rows. */
START_TEST(unknown_methods)
{
    int known = 0;
    for (uint16_t class_id = 0; class_id < 256; class_id++) {
        for (uint16_t method_id = 0; method_id < 256; method_id++) {
            struct lev_method m;
            uint8_t ids[4];
            lev_put16(ids, class_id);
            lev_put16(ids + 2, method_id);
            if (lev_method_decode(lev_bytes(ids, 4), &m) != LEV_EUNKNOWN) {
                known++;
                ck_assert_int_eq(lev_method_info(m.id)->class_id, class_id);
                ck_assert_int_eq(lev_method_info(m.id)->method_id, method_id);
            } else {
                ck_assert_int_eq(m.id, LEV_M_COUNT);
            }
        }
    }
    ck_assert_int_eq(known, LEV_M_COUNT);
}
END_TEST

START_TEST(padding_bits_are_ignored)
{
    struct lev_method m;
    ck_assert_int_eq(lev_method_decode(LEV_LIT("\0\x3C\0\x50\0\0\0\0\0\0\0\x09\xFE"), &m), 0);
    ck_assert(!m.u.basic_ack.multiple);
    ck_assert_uint_eq(m.u.basic_ack.delivery_tag, 9);
}
END_TEST

START_TEST(long_shortstr_is_cut)
{
    uint8_t text[300];
    struct lev_method m = {.id = LEV_M_CHANNEL_CLOSE}, got;
    memset(text, 'x', sizeof(text));
    m.u.channel_close.reply_text = lev_bytes(text, sizeof(text));
    m.u.channel_close.method_id = 40;
    ck_assert_int_eq(lev_method_decode(encode(&m), &got), 0);
    ck_assert_uint_eq(got.u.channel_close.reply_text.len, 255);
    ck_assert_uint_eq(got.u.channel_close.method_id, 40);
}
END_TEST

START_TEST(encode_appends)
{
    struct lev_method m = {.id = LEV_M_TX_SELECT};
    struct lev_frame f;
    for (int i = 0; i < 100; i++)
        lev_method_encode(&out, (uint16_t)i, &m);
    for (size_t i = 0, at = 0; i < 100; i++) {
        long n = lev_frame_decode(out.ptr + at, out.len - at, 0, &f);
        ck_assert_int_eq(n, 12);
        ck_assert_uint_eq(f.channel, i);
        at += (size_t)n;
    }
    ck_assert_uint_eq(out.len, 1200);
}
END_TEST

START_TEST(encode_into_failed_buffer_adds_nothing)
{
    struct lev_method m = {.id = LEV_M_TX_SELECT};
    lev_method_encode(&out, 1, &m);
    size_t len = out.len;
    out.failed = true;
    lev_method_encode(&out, 1, &m);
    ck_assert_uint_eq(out.len, len);
    ck_assert(out.failed);
}
END_TEST

static const struct {
    uint16_t code;
    const char *name;
    bool hard;
} reply_cases[] = {
    {311, "CONTENT_TOO_LARGE", false},   {312, "NO_ROUTE", false},
    {313, "NO_CONSUMERS", false},        {320, "CONNECTION_FORCED", true},
    {402, "INVALID_PATH", true},         {403, "ACCESS_REFUSED", false},
    {404, "NOT_FOUND", false},           {405, "RESOURCE_LOCKED", false},
    {406, "PRECONDITION_FAILED", false}, {501, "FRAME_ERROR", true},
    {502, "SYNTAX_ERROR", true},         {503, "COMMAND_INVALID", true},
    {504, "CHANNEL_ERROR", true},        {505, "UNEXPECTED_FRAME", true},
    {506, "RESOURCE_ERROR", true},       {530, "NOT_ALLOWED", true},
    {540, "NOT_IMPLEMENTED", true},      {541, "INTERNAL_ERROR", true},
};

START_TEST(reply_codes)
{
    ck_assert_str_eq(lev_reply_name(reply_cases[_i].code), reply_cases[_i].name);
    ck_assert_int_eq(lev_reply_is_hard(reply_cases[_i].code), reply_cases[_i].hard);
}
END_TEST

START_TEST(unknown_reply_codes)
{
    ck_assert_ptr_null(lev_reply_name(0));
    ck_assert_ptr_null(lev_reply_name(999));
    ck_assert(!lev_reply_is_hard(999));
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("amqp_method");
    TCase *tc = tcase_create("every");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, round_trip, 0, LEV_M_COUNT);
    tcase_add_loop_test(tc, truncation_is_an_error, 0, LEV_M_COUNT);
    tcase_add_loop_test(tc, trailing_octets_are_an_error, 0, LEV_M_COUNT);
    tcase_add_loop_test(tc, frame_arrives_octet_by_octet, 0, LEV_M_COUNT);
    tcase_add_loop_test(tc, malformed_utf8_only_where_unchecked, 0, LEV_M_COUNT);
    tcase_add_loop_test(tc, malformed_tables_are_errors, 0, LEV_M_COUNT);
    tcase_add_loop_test(tc, any_damage_is_survived, 0, LEV_M_COUNT);
    tcase_add_loop_test(tc, info_row, 0, LEV_M_COUNT);
    suite_add_tcase(s, tc);
    tc = tcase_create("golden");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, golden_encoding, 0, GOLDEN_COUNT);
    tcase_add_test(tc, golden_has_every_method);
    suite_add_tcase(s, tc);
    tc = tcase_create("others");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, unknown_methods);
    tcase_add_test(tc, padding_bits_are_ignored);
    tcase_add_test(tc, long_shortstr_is_cut);
    tcase_add_test(tc, encode_appends);
    tcase_add_test(tc, encode_into_failed_buffer_adds_nothing);
    tcase_add_loop_test(tc, reply_codes, 0, (int)(sizeof(reply_cases) / sizeof(reply_cases[0])));
    tcase_add_test(tc, unknown_reply_codes);
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
