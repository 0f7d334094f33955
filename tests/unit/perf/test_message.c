/* The frame template: what a broker would read from it, byte for byte at the places that matter. */
#include "perf/message.h"

#include "perf/method.h"

#include "suites.h"

enum { PAYLOAD_MAX = 4088 };

static struct lev_perf_template t;
static uint8_t filler[10000];
static struct lev_perf_message message;
static char *keys[] = {"q-0000", "q-0001", "q-0002"};

static void setup(void)
{
    memset(filler, 'x', sizeof filler);
    message = (struct lev_perf_message){
        .channel = 1,
        .exchange = "ex",
        .header = -1,
        .body = filler,
        .body_len = 16,
        .payload_max = PAYLOAD_MAX,
    };
}

static void teardown(void)
{
    lev_perf_template_deinit(&t);
}

/* Takes the frame at *at, which must be whole and of the type. */
static struct lev_perf_frame take_frame(size_t *at, enum lev_perf_frame_type type)
{
    struct lev_perf_frame frame;
    int64_t used =
        lev_perf_frame_decode(t.block.data + *at, t.block.len - *at, PAYLOAD_MAX, &frame);

    ck_assert_int_gt(used, 0);
    ck_assert_uint_eq(frame.type, type);
    ck_assert_uint_eq(frame.channel, 1);
    *at += (size_t)used;
    return frame;
}

static void check_name(struct lev_perf_cursor *c, const char *wanted)
{
    size_t len;
    const uint8_t *text = lev_perf_take_shortstr(c, &len);

    ck_assert_uint_eq(len, strlen(wanted));
    ck_assert(len == 0 || memcmp(text, wanted, len) == 0);
}

static void check_publish(size_t *at, const char *key, uint8_t bits)
{
    struct lev_perf_frame frame = take_frame(at, LEV_PERF_FRAME_METHOD);
    struct lev_perf_cursor c = lev_perf_cursor_on(frame.payload, frame.size);

    ck_assert_uint_eq(lev_perf_take_u32(&c), LEV_PERF_BASIC_PUBLISH);
    ck_assert_uint_eq(lev_perf_take_u16(&c), 0);
    check_name(&c, "ex");
    check_name(&c, key);
    ck_assert_uint_eq(lev_perf_take_u8(&c), bits);
    ck_assert(!c.failed && c.p == c.end);
}

static struct lev_perf_cursor take_header(size_t *at, uint64_t body_len, uint16_t flags)
{
    struct lev_perf_frame frame = take_frame(at, LEV_PERF_FRAME_HEADER);
    struct lev_perf_cursor c = lev_perf_cursor_on(frame.payload, frame.size);

    ck_assert_uint_eq(lev_perf_take_u16(&c), 60);
    ck_assert_uint_eq(lev_perf_take_u16(&c), 0);
    ck_assert_uint_eq(lev_perf_take_u64(&c), body_len);
    ck_assert_uint_eq(lev_perf_take_u16(&c), flags);
    return c;
}

static const size_t body_sizes[] = {0, 1, 16, PAYLOAD_MAX, PAYLOAD_MAX + 1, 10000};

/* Every message of the block decodes, has the stride's length, its own key, and a body of whole
 * frames. */
START_TEST(every_message_decodes)
{
    size_t body_len = body_sizes[_i], at = 0;

    message.body_len = body_len;
    message.persistent = true;
    message.mandatory = true;
    ck_assert_int_eq(lev_perf_template_init(&t, &message, keys, 3), 0);
    ck_assert_uint_eq(t.count % 3, 0);
    ck_assert_uint_eq(t.block.len, t.count * t.stride);
    for (size_t i = 0; i < t.count; i++) {
        struct lev_perf_cursor c;

        ck_assert_uint_eq(at, i * t.stride);
        check_publish(&at, keys[i % 3], 1);
        c = take_header(&at, body_len, 1u << 12);
        ck_assert_uint_eq(lev_perf_take_u8(&c), 2);
        ck_assert(!c.failed && c.p == c.end);
        for (size_t left = body_len; left > 0;) {
            struct lev_perf_frame frame = take_frame(&at, LEV_PERF_FRAME_BODY);

            ck_assert_uint_eq(frame.size, left < PAYLOAD_MAX ? left : PAYLOAD_MAX);
            left -= frame.size;
        }
    }
    ck_assert_uint_eq(at, t.block.len);
}
END_TEST

START_TEST(small_messages_fill_a_block)
{
    ck_assert_int_eq(lev_perf_template_init(&t, &message, keys, 1), 0);
    ck_assert_uint_le(t.block.len, LEV_PERF_BLOCK_BYTES);
    ck_assert_uint_gt(t.block.len, LEV_PERF_BLOCK_BYTES - t.stride);
}
END_TEST

START_TEST(a_stamp_goes_to_its_own_body_only)
{
    size_t at = 0;

    ck_assert_int_eq(lev_perf_template_init(&t, &message, keys, 3), 0);
    lev_perf_template_stamp(&t, 1, 0x0102030405060708ull);
    for (size_t i = 0; i < 3; i++) {
        struct lev_perf_frame frame;

        check_publish(&at, keys[i], 0);
        take_header(&at, 16, 0);
        frame = take_frame(&at, LEV_PERF_FRAME_BODY);
        if (i == 1)
            ck_assert_uint_eq(lev_perf_get_u64(frame.payload), 0x0102030405060708ull);
        else
            ck_assert_mem_eq(frame.payload, filler, 8);
        ck_assert_mem_eq(frame.payload + 8, filler, 8);
    }
}
END_TEST

START_TEST(header_values_follow_the_keys)
{
    static char *same[] = {"m", "m", "m"};
    size_t at = 0;

    message.header = 0;
    ck_assert_int_eq(lev_perf_template_init(&t, &message, same, 3), 0);
    for (uint32_t i = 0; i < 6; i++) {
        struct lev_perf_cursor c;

        check_publish(&at, "m", 0);
        c = take_header(&at, 16, 1u << 13);
        ck_assert_uint_eq(lev_perf_take_u32(&c), 7);
        check_name(&c, "n");
        ck_assert_uint_eq(lev_perf_take_u8(&c), 'I');
        ck_assert_uint_eq(lev_perf_take_u32(&c), i % 3);
        ck_assert(!c.failed && c.p == c.end);
        take_frame(&at, LEV_PERF_FRAME_BODY);
    }
}
END_TEST

START_TEST(unreasonable_blocks_are_refused)
{
    static char *many[300000];

    for (size_t i = 0; i < 300000; i++)
        many[i] = "key";
    message.body_len = sizeof filler;
    ck_assert_int_eq(lev_perf_template_init(&t, &message, many, 300000), -1);
}
END_TEST

/* Every cut of a frame asks for more; a wrong end octet and a payload above the limit are refused.
 */
START_TEST(frames_are_checked)
{
    struct lev_perf_frame frame;
    size_t whole;

    ck_assert_int_eq(lev_perf_template_init(&t, &message, keys, 1), 0);
    whole = (size_t)lev_perf_frame_decode(t.block.data, t.block.len, PAYLOAD_MAX, &frame);
    for (size_t len = 0; len < whole; len++)
        ck_assert_int_eq(lev_perf_frame_decode(t.block.data, len, PAYLOAD_MAX, &frame), 0);
    ck_assert_int_eq(lev_perf_frame_decode(t.block.data, 7, (uint32_t)whole - 9, &frame), -1);
    t.block.data[whole - 1] = 0;
    ck_assert_int_eq(lev_perf_frame_decode(t.block.data, whole, PAYLOAD_MAX, &frame), -1);
}
END_TEST

START_TEST(a_cursor_fails_once_and_for_all)
{
    static const uint8_t bytes[] = {0, 1, 5, 'a', 'b'};
    struct lev_perf_cursor c = lev_perf_cursor_on(bytes, sizeof bytes);
    size_t len;

    ck_assert_uint_eq(lev_perf_take_u16(&c), 1);
    ck_assert_ptr_null(lev_perf_take_shortstr(&c, &len));
    ck_assert_uint_eq(len, 0);
    ck_assert(c.failed);
    ck_assert_uint_eq(lev_perf_take_u8(&c), 0);
}
END_TEST

Suite *message_suite(void)
{
    Suite *suite = suite_create("message");
    TCase *tcase = tcase_create("message");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, every_message_decodes, 0, sizeof body_sizes / sizeof *body_sizes);
    tcase_add_test(tcase, small_messages_fill_a_block);
    tcase_add_test(tcase, a_stamp_goes_to_its_own_body_only);
    tcase_add_test(tcase, header_values_follow_the_keys);
    tcase_add_test(tcase, unreasonable_blocks_are_refused);
    tcase_add_test(tcase, frames_are_checked);
    tcase_add_test(tcase, a_cursor_fails_once_and_for_all);
    suite_add_tcase(suite, tcase);
    return suite;
}
