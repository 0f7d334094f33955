/* Field tables: every type, damage, nesting, look-ups, equality, builders. */
#include "amqp/table.h"

#include "base/err.h"
#include "gen.h"

#include <check.h>
#include <math.h>

enum { INPUT_MAX = 1 << 20 };
#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))

static struct gen gen;
static struct guard_bytes guard;
static struct lev_buf out;

static void setup(void)
{
    static const uint8_t zeros[INPUT_MAX];
    gen_init(&gen, 4);
    guard = guard_bytes_new(zeros, INPUT_MAX);
    lev_buf_init(&out);
}

static void teardown(void)
{
    lev_buf_deinit(&out);
    guard_bytes_free(&guard);
    gen_deinit(&gen);
}

static struct lev_bytes guarded(struct lev_bytes b)
{
    return gen_at_guard(&guard, b.ptr, b.len);
}

/* ---- Types ----------------------------------------------------------------------------------- */

#define L(s)                                                                                       \
    {                                                                                              \
        (const uint8_t *)(s), sizeof(s) - 1                                                        \
    }

static const struct type_case {
    struct lev_bytes wire; /* letter and content */
    struct lev_value value;
    const char *name;
    bool is_int;
} type_cases[] = {
    {L("S\0\0\0\2ab"), {.type = 'S', .b = L("ab")}, "longstr", false},
    {L("S\0\0\0\0"), {.type = 'S'}, "longstr", false},
    {L("I\xFF\xFF\xFF\xFE"), {.type = 'I', .i = -2}, "signedint", true},
    {L("I\x7F\xFF\xFF\xFF"), {.type = 'I', .i = INT32_MAX}, "signedint", true},
    {L("D\2\0\0\1\1"), {.type = 'D', .scale = 2, .i = 257}, "decimal", false},
    {L("D\xFF\xFF\xFF\xFF\xFF"), {.type = 'D', .scale = 255, .i = UINT32_MAX}, "decimal", false},
    {L("T\0\0\0\0\0\0\1\0"), {.type = 'T', .i = 256}, "timestamp", false},
    {L("T\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"), {.type = 'T', .i = -1}, "timestamp", false},
    {L("F\0\0\0\3\1kV"), {.type = 'F', .b = L("\1kV")}, "table", false},
    {L("A\0\0\0\2VV"), {.type = 'A', .b = L("VV")}, "array", false},
    {L("b\x80"), {.type = 'b', .i = -128}, "byte", true},
    {L("B\x80"), {.type = 'B', .i = 128}, "unsignedbyte", true},
    {L("s\x80\0"), {.type = 's', .i = -32768}, "short", true},
    {L("u\x80\0"), {.type = 'u', .i = 32768}, "unsignedshort", true},
    {L("i\xFF\xFF\xFF\xFE"), {.type = 'i', .i = 4294967294}, "unsignedint", true},
    {L("l\x80\0\0\0\0\0\0\0"), {.type = 'l', .i = INT64_MIN}, "long", true},
    {L("f\x3F\xC0\0\0"), {.type = 'f', .d = 1.5}, "float", false},
    {L("d\xC0\x04\0\0\0\0\0\0"), {.type = 'd', .d = -2.5}, "double", false},
    {L("t\1"), {.type = 't', .i = 1}, "bool", false},
    {L("t\0"), {.type = 't', .i = 0}, "bool", false},
    {L("x\0\0\0\2\0\xFF"), {.type = 'x', .b = L("\0\xFF")}, "binary", false},
    {L("V"), {.type = 'V'}, "void", false},
};

static void check_value(const struct lev_value *got, const struct lev_value *expected)
{
    ck_assert_int_eq(got->type, expected->type);
    ck_assert_int_eq(got->scale, expected->scale);
    ck_assert_int_eq(got->i, expected->i);
    ck_assert(memcmp(&got->d, &expected->d, sizeof(got->d)) == 0);
    ck_assert(lev_bytes_eq(got->b, expected->b));
}

START_TEST(value_in_array)
{
    const struct type_case *c = &type_cases[_i];
    struct lev_bytes rest = guarded(c->wire);
    struct lev_value v;
    ck_assert_int_eq(lev_array_next(&rest, &v), 1);
    check_value(&v, &c->value);
    ck_assert_uint_eq(rest.len, 0);
    ck_assert_int_eq(lev_array_next(&rest, &v), 0);
    lev_array_put_value(&out, &v);
    ck_assert(lev_bytes_eq(lev_buf_view(&out), c->wire));
}
END_TEST

START_TEST(value_in_table)
{
    const struct type_case *c = &type_cases[_i];
    struct lev_bytes key;
    struct lev_value v;
    lev_table_put_value(&out, LEV_LIT("key"), &c->value);
    struct lev_bytes rest = guarded(lev_buf_view(&out));
    ck_assert_int_eq(lev_table_validate(rest), 0);
    ck_assert_int_eq(lev_table_next(&rest, &key, &v), 1);
    ck_assert(lev_bytes_eq(key, LEV_LIT("key")));
    check_value(&v, &c->value);
    ck_assert_int_eq(lev_table_next(&rest, &key, &v), 0);
}
END_TEST

START_TEST(value_truncated)
{
    const struct type_case *c = &type_cases[_i];
    struct lev_bytes key;
    struct lev_value v;
    for (size_t n = 1; n < c->wire.len; n++) {
        struct lev_bytes rest = guarded(lev_bytes(c->wire.ptr, n));
        ck_assert_int_eq(lev_array_next(&rest, &v), LEV_EPROTO);
    }
    lev_table_put_value(&out, LEV_LIT("key"), &c->value);
    for (size_t n = 1; n < out.len; n++) {
        struct lev_bytes rest = guarded(lev_bytes(out.ptr, n));
        ck_assert_int_eq(lev_table_validate(rest), LEV_EPROTO);
        ck_assert_int_eq(lev_table_next(&rest, &key, &v), LEV_EPROTO);
    }
}
END_TEST

START_TEST(type_names)
{
    const struct type_case *c = &type_cases[_i];
    ck_assert_str_eq(lev_value_type_name(c->value.type), c->name);
    ck_assert_int_eq(lev_value_is_int(&c->value), c->is_int);
}
END_TEST

/* What is read another way than it would be written. */
START_TEST(aliases)
{
    struct lev_value v;
    struct lev_bytes rest = LEV_LIT("L\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFDt\x7F");
    ck_assert_int_eq(lev_array_next(&rest, &v), 1);
    check_value(&v, &(struct lev_value){.type = 'l', .i = -3});
    ck_assert_int_eq(lev_array_next(&rest, &v), 1);
    check_value(&v, &(struct lev_value){.type = 't', .i = 1});
    ck_assert_str_eq(lev_value_type_name('L'), "long");
}
END_TEST

START_TEST(unknown_types)
{
    static const char known[] = "SIDTFAbBsuilLfdtxV";
    for (int letter = 0; letter < 256; letter++) {
        uint8_t table[16] = {1, 'k', (uint8_t)letter};
        if (letter != 0 && strchr(known, letter))
            continue;
        ck_assert_int_eq(lev_table_validate(lev_bytes(table, sizeof(table))), LEV_ETYPE);
        ck_assert_int_eq(lev_table_validate(lev_bytes(table, 3)), LEV_ETYPE);
        ck_assert_str_eq(lev_value_type_name((uint8_t)letter), "unknown");
        struct lev_value v = {.type = (uint8_t)letter};
        ck_assert(!lev_value_is_int(&v));
    }
}
END_TEST

/* Lengths that would wrap a careless sum. */
START_TEST(huge_lengths)
{
    static const char letters[] = "SxFA";
    for (const char *l = letters; *l; l++) {
        uint8_t table[] = {0, (uint8_t)*l, 0xFF, 0xFF, 0xFF, 0xFF, 1, 2, 3};
        ck_assert_int_eq(lev_table_validate(guarded(lev_bytes(table, sizeof(table)))), LEV_EPROTO);
        table[5] = 0xF7;
        ck_assert_int_eq(lev_table_validate(guarded(lev_bytes(table, sizeof(table)))), LEV_EPROTO);
    }
    ck_assert_int_eq(lev_table_validate(guarded(LEV_LIT("\xFFk"))), LEV_EPROTO);
}
END_TEST

/* ---- Nesting --------------------------------------------------------------------------------- */

START_TEST(nesting_bound)
{
    static const struct {
        int depth, expected;
    } cases[] = {{1, 0},
                 {2, 0},
                 {LEV_TABLE_DEPTH_MAX, 0},
                 {LEV_TABLE_DEPTH_MAX + 1, LEV_EDEPTH},
                 {100000, LEV_EDEPTH}};
    for (int i = 0; i < COUNT(cases); i++) {
        for (int mixed = 0; mixed < 2; mixed++) {
            lev_buf_clear(&out);
            gen_nested(&out, cases[i].depth, mixed);
            ck_assert_int_eq(lev_table_validate(guarded(lev_buf_view(&out))), cases[i].expected);
        }
    }
}
END_TEST

START_TEST(error_in_the_depth)
{
    /* An array of a void and a table, which holds what follows. */
    ck_assert_int_eq(lev_table_validate(LEV_LIT("\0A\0\0\0\x0AVF\0\0\0\4"
                                                "\1kt\1")),
                     0);
    ck_assert_int_eq(lev_table_validate(LEV_LIT("\0A\0\0\0\x0AVF\0\0\0\4"
                                                "\1kQ\1")),
                     LEV_ETYPE);
    ck_assert_int_eq(lev_table_validate(LEV_LIT("\0A\0\0\0\x0AVF\0\0\0\4"
                                                "\4kt\1")),
                     LEV_EPROTO);
    ck_assert_int_eq(lev_table_validate(LEV_LIT("\0A\0\0\0\x09VF\0\0\0\3"
                                                "\1kt")),
                     LEV_EPROTO);
}
END_TEST

/* Unvalidated and far too deep: comparing must stop, not exhaust the stack. */
START_TEST(equality_is_bounded)
{
    struct lev_buf other;
    lev_buf_init(&other);
    for (int mixed = 0; mixed < 2; mixed++) {
        lev_buf_clear(&out);
        lev_buf_clear(&other);
        gen_nested(&out, 100000, mixed);
        gen_nested(&other, 100000, mixed);
        other.ptr[other.len - 5] ^= 'A' ^ 'F'; /* differs in the innermost only */
        ck_assert(!lev_table_same(lev_buf_view(&out), lev_buf_view(&other)));
    }
    lev_buf_deinit(&other);
}
END_TEST

/* ---- Look-ups -------------------------------------------------------------------------------- */

START_TEST(get_gives_first)
{
    struct lev_value v;
    lev_table_put_long(&out, "a", 1);
    lev_table_put_long(&out, "dup", 2);
    lev_table_put_str(&out, "dup", LEV_LIT("second"));
    lev_table_put_bool(&out, "", true);
    struct lev_bytes t = guarded(lev_buf_view(&out));
    ck_assert(lev_table_get(t, "dup", &v));
    check_value(&v, &(struct lev_value){.type = 'l', .i = 2});
    ck_assert(lev_table_get(t, "", &v));
    check_value(&v, &(struct lev_value){.type = 't', .i = 1});
    ck_assert(!lev_table_get(t, "du", &v));
    ck_assert(!lev_table_get(t, "dupe", &v));
    ck_assert(!lev_table_get(LEV_EMPTY, "a", &v));
}
END_TEST

START_TEST(duplicates_are_kept)
{
    struct lev_bytes key;
    struct lev_value v;
    for (int i = 0; i < 5; i++)
        lev_table_put_long(&out, "dup", i);
    struct lev_bytes rest = lev_buf_view(&out);
    for (int i = 0; i < 5; i++) {
        ck_assert_int_eq(lev_table_next(&rest, &key, &v), 1);
        ck_assert_int_eq(v.i, i);
    }
    ck_assert_int_eq(lev_table_next(&rest, &key, &v), 0);
}
END_TEST

START_TEST(get_in_damaged_table)
{
    struct lev_value v;
    ck_assert(lev_table_get(LEV_LIT("\1at\1\1bQ"), "a", &v));
    ck_assert(!lev_table_get(LEV_LIT("\1at\1\1bQ\1ct\1"), "c", &v));
}
END_TEST

/* ---- Equality -------------------------------------------------------------------------------- */

#define V(letter, ...)                                                                             \
    {                                                                                              \
        .type = letter, __VA_ARGS__                                                                \
    }

static const struct equal_case {
    struct lev_value a, b;
    bool equal, same; /* by value; and with the wire type */
} equal_cases[] = {
    {V('I', .i = 1), V('I', .i = 1), true, true},
    {V('I', .i = 1), V('l', .i = 1), true, false},
    {V('b', .i = -1), V('l', .i = -1), true, false},
    {V('B', .i = 200), V('s', .i = 200), true, false},
    {V('u', .i = 9), V('i', .i = 9), true, false},
    {V('I', .i = 1), V('I', .i = 2), false, false},
    {V('i', .i = 4294967295), V('I', .i = -1), false, false},
    {V('I', .i = 1), V('d', .d = 1.0), false, false},
    {V('I', .i = 1), V('t', .i = 1), false, false},
    {V('l', .i = 1), V('T', .i = 1), false, false},
    {V('T', .i = 1), V('T', .i = 1), true, true},
    {V('T', .i = 1), V('T', .i = 2), false, false},
    {V('t', .i = 0), V('t', .i = 0), true, true},
    {V('t', .i = 0), V('t', .i = 1), false, false},
    {V('f', .d = 1.5), V('d', .d = 1.5), true, false},
    {V('d', .d = 1.5), V('d', .d = 1.25), false, false},
    {V('d', .d = 0.0), V('d', .d = -0.0), true, true},
    {V('d', .d = NAN), V('d', .d = NAN), true, true},
    {V('d', .d = NAN), V('d', .d = 1.0), false, false},
    {V('D', .scale = 2, .i = 100), V('D', .scale = 2, .i = 100), true, true},
    {V('D', .scale = 2, .i = 100), V('D', .scale = 1, .i = 100), false, false},
    {V('D', .scale = 0, .i = 1), V('I', .i = 1), false, false},
    {V('S', .b = L("ab")), V('S', .b = L("ab")), true, true},
    {V('S', .b = L("ab")), V('S', .b = L("aB")), false, false},
    {V('S', .b = L("ab")), V('S', .b = L("abc")), false, false},
    {V('S', .b = L("ab")), V('x', .b = L("ab")), false, false},
    {V('x', .b = L("\0a")), V('x', .b = L("\0a")), true, true},
    {V('x', .b = L("\0a")), V('x', .b = L("\0b")), false, false},
    {{.type = 'V'}, {.type = 'V'}, true, true},
    {{.type = 'V'}, V('t', .i = 0), false, false},
    {{.type = 'V'}, V('S', .b = L("")), false, false},
    {V('F', .b = L("")), V('F', .b = L("")), true, true},
    {V('F', .b = L("")), V('A', .b = L("")), false, false},
    {V('F', .b = L("\1at\1\1bV")), V('F', .b = L("\1bV\1at\1")), true, true},
    {V('F', .b = L("\1at\1\1bV")), V('F', .b = L("\1at\1")), false, false},
    {V('F', .b = L("\1at\1\1bV")), V('F', .b = L("\1at\1\1cV")), false, false},
    {V('F', .b = L("\1at\1\1bV")), V('F', .b = L("\1bV\1at\0")), false, false},
    {V('F', .b = L("\1at\1")), V('F', .b = L("\1at\7")), true, true},
    {V('F', .b = L("\1ab\1")), V('F', .b = L("\1aB\1")), true, false},
    {V('F', .b = L("\1as\0\1")), V('F', .b = L("\1au\0\1")), true, false},
    {V('F', .b = L("\1ab\1\1ab\2")), V('F', .b = L("\1ab\1\1ab\2\1ab\2")), false, false},
    {V('F', .b = L("\1ab\1\1ab\1\1ab\2")), V('F', .b = L("\1ab\1\1ab\2\1ab\2")), false, false},
    {V('F', .b = L("\1ab\1\1cV\1ab\2")), V('F', .b = L("\1ab\1\1ab\2\1cV")), true, true},
    {V('F', .b = L("\1ab\1\1ab\2")), V('F', .b = L("\1ab\2\1ab\1")), false, false},
    {V('F', .b = L("\1xF\0\0\0\6\1aV\1bV")), V('F', .b = L("\1xF\0\0\0\6\1bV\1aV")), true, true},
    {V('F', .b = L("\1xF\0\0\0\4\1ab\1")), V('F', .b = L("\1xF\0\0\0\4\1aB\1")), true, false},
    {V('A', .b = L("b\1b\2")), V('A', .b = L("b\1b\2")), true, true},
    {V('A', .b = L("b\1b\2")), V('A', .b = L("b\2b\1")), false, false},
    {V('A', .b = L("b\1b\2")), V('A', .b = L("b\1")), false, false},
    {V('A', .b = L("b\1")), V('A', .b = L("b\1b\2")), false, false},
    {V('A', .b = L("b\1")), V('A', .b = L("B\1")), true, false},
    {V('A', .b = L("b\1Q")), V('A', .b = L("B\1Q")), false, false},
    {V('F', .b = L("\1ab\1\1bQ")), V('F', .b = L("\1aB\1\1bQ")), false, false},
};

static bool same_in_table(const struct lev_value *a, const struct lev_value *b)
{
    struct lev_buf x, y;
    lev_buf_init(&x);
    lev_buf_init(&y);
    lev_table_put_value(&x, LEV_LIT("k"), a);
    lev_table_put_value(&y, LEV_LIT("k"), b);
    bool same = lev_table_same(lev_buf_view(&x), lev_buf_view(&y));
    lev_buf_deinit(&x);
    lev_buf_deinit(&y);
    return same;
}

START_TEST(equality)
{
    const struct equal_case *c = &equal_cases[_i];
    ck_assert_int_eq(lev_value_equal(&c->a, &c->b), c->equal);
    ck_assert_int_eq(lev_value_equal(&c->b, &c->a), c->equal);
    ck_assert_int_eq(same_in_table(&c->a, &c->b), c->same);
    ck_assert_int_eq(same_in_table(&c->b, &c->a), c->same);
}
END_TEST

/* More pairs than are compared on the stack, in two orders; then with one changed. */
START_TEST(many_pairs)
{
    struct lev_buf other;
    lev_buf_init(&other);
    for (uint8_t i = 0; i < 250; i++) {
        struct lev_value up = {.type = 'I', .i = i}, down = {.type = 'I', .i = 249 - i};
        uint8_t key_up = i, key_down = (uint8_t)(249 - i);
        lev_table_put_value(&out, lev_bytes(&key_up, 1), &up);
        lev_table_put_value(&other, lev_bytes(&key_down, 1), &down);
    }
    ck_assert(lev_table_same(lev_buf_view(&out), lev_buf_view(&other)));
    other.ptr[other.len - 1] ^= 1;
    ck_assert(!lev_table_same(lev_buf_view(&out), lev_buf_view(&other)));
    lev_buf_deinit(&other);
}
END_TEST

/* ---- Random tables --------------------------------------------------------------------------- */

/* Copies a table pair by pair. */
static void rebuild(struct lev_bytes table)
{
    struct lev_bytes key;
    struct lev_value v;
    lev_buf_clear(&out);
    while (lev_table_next(&table, &key, &v) > 0)
        lev_table_put_value(&out, key, &v);
}

START_TEST(random_tables)
{
    for (int round = 0; round < 3000; round++) {
        gen_reset(&gen);
        struct lev_bytes table = gen_table(&gen);
        ck_assert_int_eq(lev_table_validate(guarded(table)), 0);
        rebuild(guarded(table));
        ck_assert(lev_bytes_eq(lev_buf_view(&out), table));
        for (size_t n = 0; n < table.len; n += 1 + gen_below(&gen, 40)) {
            int err = lev_table_validate(guarded(lev_bytes(table.ptr, n)));
            ck_assert(err == 0 || err == LEV_EPROTO);
        }
    }
}
END_TEST

/* What validates can be walked and rebuilt; nothing reads past the end. */
START_TEST(any_damage_is_survived)
{
    for (int round = 0; round < 20000; round++) {
        gen_reset(&gen);
        struct lev_bytes table = gen_table(&gen), at = guarded(table);
        struct lev_value v;
        for (size_t hits = 1 + gen_below(&gen, 3); at.len && hits > 0; hits--)
            guard.ptr[guard.len - 1 - gen_below(&gen, at.len)] = (uint8_t)gen_u64(&gen);
        ck_assert(!lev_table_get(at, "no such key, surely", &v));
        if (lev_table_validate(at) == 0) {
            rebuild(at);
            ck_assert_uint_eq(out.len, at.len);
            ck_assert(lev_table_same(lev_buf_view(&out), at));
        }
    }
}
END_TEST

/* ---- Builders -------------------------------------------------------------------------------- */

START_TEST(builders)
{
    lev_table_put_str(&out, "s", LEV_LIT("v"));
    lev_table_put_long(&out, "l", -2);
    lev_table_put_bool(&out, "t", true);
    lev_table_put_timestamp(&out, "T", 7);
    lev_table_put_table(&out, "F", LEV_LIT("\1aV"));
    lev_table_put_array(&out, "A", LEV_LIT("V"));
    ck_assert(lev_bytes_eq(lev_buf_view(&out), LEV_LIT("\1sS\0\0\0\1v"
                                                       "\1ll\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFE"
                                                       "\1tt\1"
                                                       "\1TT\0\0\0\0\0\0\0\7"
                                                       "\1FF\0\0\0\3\1aV"
                                                       "\1AA\0\0\0\1V")));
    ck_assert_int_eq(lev_table_validate(lev_buf_view(&out)), 0);
}
END_TEST

START_TEST(long_keys_are_cut)
{
    char name[300] = "";
    struct lev_bytes key;
    struct lev_value v;
    memset(name, 'k', sizeof(name) - 1);
    lev_table_put_bool(&out, name, true);
    struct lev_bytes rest = guarded(lev_buf_view(&out));
    ck_assert_int_eq(lev_table_next(&rest, &key, &v), 1);
    ck_assert_uint_eq(key.len, 255);
    check_value(&v, &(struct lev_value){.type = 't', .i = 1});
    ck_assert_uint_eq(rest.len, 0);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("amqp_table");
    TCase *tc = tcase_create("table");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, value_in_array, 0, COUNT(type_cases));
    tcase_add_loop_test(tc, value_in_table, 0, COUNT(type_cases));
    tcase_add_loop_test(tc, value_truncated, 0, COUNT(type_cases));
    tcase_add_loop_test(tc, type_names, 0, COUNT(type_cases));
    tcase_add_test(tc, aliases);
    tcase_add_test(tc, unknown_types);
    tcase_add_test(tc, huge_lengths);
    tcase_add_test(tc, nesting_bound);
    tcase_add_test(tc, error_in_the_depth);
    tcase_add_test(tc, equality_is_bounded);
    tcase_add_test(tc, get_gives_first);
    tcase_add_test(tc, duplicates_are_kept);
    tcase_add_test(tc, get_in_damaged_table);
    tcase_add_loop_test(tc, equality, 0, COUNT(equal_cases));
    tcase_add_test(tc, many_pairs);
    tcase_add_test(tc, random_tables);
    tcase_add_test(tc, any_damage_is_survived);
    tcase_add_test(tc, builders);
    tcase_add_test(tc, long_keys_are_cut);
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
