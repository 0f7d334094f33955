/* Erlang terms in texts. See term.h. */
#include "broker/term.h"

#include <stdio.h>
#include <stdlib.h>

/* Erlang's printable Latin-1, with the controls that have an escape. */
static const char *escape_of(uint8_t c)
{
    static const char *const low[] = {"\\b", "\\t", "\\n", "\\v", "\\f", "\\r"};
    if (c >= 8 && c <= 13)
        return low[c - 8];
    if (c == 27)
        return "\\e";
    if (c == '"')
        return "\\\"";
    return c == '\\' ? "\\\\" : NULL;
}

static bool printable(struct lev_bytes b)
{
    for (size_t i = 0; i < b.len; i++) {
        uint8_t c = b.ptr[i];
        if (!escape_of(c) && (c < 32 || (c > 126 && c < 160)))
            return false;
    }
    return true;
}

/* How a kind of octets begins and ends, printable and in numbers. */
struct form {
    const char *open, *close, *open_numbers, *close_numbers;
};

static void put_octets(struct lev_text *t, struct lev_bytes b, const struct form *form)
{
    bool quoted = b.len > 0 && printable(b);
    lev_text_put(t, "%s", quoted ? form->open : form->open_numbers);
    for (size_t i = 0; i < b.len && !lev_text_full(t); i++) {
        const char *escape = quoted ? escape_of(b.ptr[i]) : NULL;
        if (escape)
            lev_text_put(t, "%s", escape);
        else if (quoted)
            lev_text_put(t, "%c", b.ptr[i]);
        else
            lev_text_put(t, "%s%u", i ? "," : "", b.ptr[i]);
    }
    lev_text_put(t, "%s", quoted ? form->close : form->close_numbers);
}

void lev_term_put_binary(struct lev_text *t, struct lev_bytes b)
{
    static const struct form form = {"<<\"", "\">>", "<<", ">>"};
    put_octets(t, b, &form);
}

void lev_term_put_string(struct lev_text *t, struct lev_bytes b)
{
    static const struct form form = {"\"", "\"", "[", "]"};
    put_octets(t, b, &form);
}

/* The shortest digits that read back as d, always with a point, as a plain number where that is not
 * longer. */
static void put_double(struct lev_text *t, double d)
{
    char science[40], plain[400];
    int precision = 0;
    do
        snprintf(science, sizeof(science), "%.*e", precision, d);
    while (strtod(science, NULL) != d && ++precision < 17);
    const char *e = strchr(science, 'e');
    if (!e) {
        lev_text_put(t, "%s", science);
        return;
    }
    int exponent = atoi(e + 1), decimals = precision - exponent;
    const char *point = precision == 0 ? ".0" : "";
    snprintf(plain, sizeof(plain), "%.*f", decimals > 1 ? decimals : 1, d);
    snprintf(science + (e - science), sizeof(science) - (size_t)(e - science), "%se%d", point,
             exponent);
    lev_text_put(t, "%s", strlen(plain) <= strlen(science) ? plain : science);
}

static void put_term(struct lev_text *t, const struct lev_value *v, int depth);

static void put_table(struct lev_text *t, struct lev_bytes rest, int depth)
{
    struct lev_bytes key;
    struct lev_value v;
    lev_text_put(t, "[");
    for (bool first = true; !lev_text_full(t) && lev_table_next(&rest, &key, &v) > 0;
         first = false) {
        lev_text_put(t, "%s", first ? "{" : ",{");
        lev_term_put_binary(t, key);
        lev_text_put(t, ",%s,", lev_value_type_name(v.type));
        put_term(t, &v, depth + 1);
        lev_text_put(t, "}");
    }
    lev_text_put(t, "]");
}

static void put_array(struct lev_text *t, struct lev_bytes rest, int depth)
{
    struct lev_value v;
    lev_text_put(t, "[");
    for (bool first = true; !lev_text_full(t) && lev_array_next(&rest, &v) > 0; first = false) {
        lev_text_put(t, "%s{%s,", first ? "" : ",", lev_value_type_name(v.type));
        put_term(t, &v, depth + 1);
        lev_text_put(t, "}");
    }
    lev_text_put(t, "]");
}

static void put_term(struct lev_text *t, const struct lev_value *v, int depth)
{
    if (depth > LEV_TABLE_DEPTH_MAX)
        return;
    switch (v->type) {
    case 'S':
    case 'x':
        lev_term_put_binary(t, v->b);
        break;
    case 'F':
        put_table(t, v->b, depth);
        break;
    case 'A':
        put_array(t, v->b, depth);
        break;
    case 't':
        lev_text_put(t, "%s", v->i ? "true" : "false");
        break;
    case 'V':
        lev_text_put(t, "undefined");
        break;
    case 'f':
    case 'd':
        put_double(t, v->d);
        break;
    case 'D':
        lev_text_put(t, "{%u,%llu}", v->scale, (unsigned long long)v->i);
        break;
    case 'T':
        lev_text_put(t, "%llu", (unsigned long long)v->i);
        break;
    default:
        lev_text_put(t, "%lld", (long long)v->i);
    }
}

void lev_term_put(struct lev_text *t, const struct lev_value *v)
{
    put_term(t, v, 0);
}

void lev_term_print(char *out, size_t cap, const struct lev_value *v)
{
    struct lev_text t;
    lev_text_init(&t, out, cap);
    lev_term_put(&t, v);
}
