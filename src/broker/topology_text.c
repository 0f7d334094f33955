/* RabbitMQ's words for what a declare or bind did wrong. See topology_text.h. */
#include "broker/topology_text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* Text that is cut at the end of its memory. */
struct text {
    char *out;
    size_t cap, len;
};

static void put(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void put(struct text *t, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(t->out + t->len, t->cap - t->len, fmt, ap);
    va_end(ap);
    if (n > 0)
        t->len += (size_t)n < t->cap - t->len ? (size_t)n : t->cap - t->len - 1;
}

static bool full(const struct text *t)
{
    return t->len + 1 >= t->cap;
}

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

static void put_octets(struct text *t, struct lev_bytes b)
{
    bool quoted = b.len > 0 && printable(b);
    put(t, quoted ? "<<\"" : "<<");
    for (size_t i = 0; i < b.len && !full(t); i++) {
        const char *escape = quoted ? escape_of(b.ptr[i]) : NULL;
        if (escape)
            put(t, "%s", escape);
        else if (quoted)
            put(t, "%c", b.ptr[i]);
        else
            put(t, "%s%u", i ? "," : "", b.ptr[i]);
    }
    put(t, quoted ? "\">>" : ">>");
}

/* The shortest digits that read back as d, always with a point, as a plain number where that is not
 * longer. */
static void put_double(struct text *t, double d)
{
    char science[40], plain[400];
    int precision = 0;
    do
        snprintf(science, sizeof(science), "%.*e", precision, d);
    while (strtod(science, NULL) != d && ++precision < 17);
    const char *e = strchr(science, 'e');
    if (!e) {
        put(t, "%s", science);
        return;
    }
    int exponent = atoi(e + 1), decimals = precision - exponent;
    const char *point = precision == 0 ? ".0" : "";
    snprintf(plain, sizeof(plain), "%.*f", decimals > 1 ? decimals : 1, d);
    snprintf(science + (e - science), sizeof(science) - (size_t)(e - science), "%se%d", point,
             exponent);
    put(t, "%s", strlen(plain) <= strlen(science) ? plain : science);
}

static void put_term(struct text *t, const struct lev_value *v, int depth);

static void put_table(struct text *t, struct lev_bytes rest, int depth)
{
    struct lev_bytes key;
    struct lev_value v;
    put(t, "[");
    for (bool first = true; !full(t) && lev_table_next(&rest, &key, &v) > 0; first = false) {
        put(t, first ? "{" : ",{");
        put_octets(t, key);
        put(t, ",%s,", lev_value_type_name(v.type));
        put_term(t, &v, depth + 1);
        put(t, "}");
    }
    put(t, "]");
}

static void put_array(struct text *t, struct lev_bytes rest, int depth)
{
    struct lev_value v;
    put(t, "[");
    for (bool first = true; !full(t) && lev_array_next(&rest, &v) > 0; first = false) {
        put(t, "%s{%s,", first ? "" : ",", lev_value_type_name(v.type));
        put_term(t, &v, depth + 1);
        put(t, "}");
    }
    put(t, "]");
}

static void put_term(struct text *t, const struct lev_value *v, int depth)
{
    if (depth > LEV_TABLE_DEPTH_MAX)
        return;
    switch (v->type) {
    case 'S':
    case 'x':
        put_octets(t, v->b);
        break;
    case 'F':
        put_table(t, v->b, depth);
        break;
    case 'A':
        put_array(t, v->b, depth);
        break;
    case 't':
        put(t, v->i ? "true" : "false");
        break;
    case 'V':
        put(t, "undefined");
        break;
    case 'f':
    case 'd':
        put_double(t, v->d);
        break;
    case 'D':
        put(t, "{%u,%llu}", v->scale, (unsigned long long)v->i);
        break;
    case 'T':
        put(t, "%llu", (unsigned long long)v->i);
        break;
    default:
        put(t, "%lld", (long long)v->i);
    }
}

void lev_text_term(char *out, size_t cap, const struct lev_value *v)
{
    struct text t = {out, cap, 0};
    put_term(&t, v, 0);
}

int lev_fail_inequivalent(const struct lev_entity *who, const char *arg, struct lev_bytes current,
                          struct lev_bytes received, struct lev_error *err)
{
    return lev_fail(err, LEV_PRECONDITION_FAILED,
                    "inequivalent arg '%s' for " LEV_ENTITY
                    ": received '%.*s' but current is '%.*s'",
                    arg, LEV_ENTITY_FMT(*who), LEV_FMT(received), LEV_FMT(current));
}

/* A value as a text of inequivalence has it: octets as they are. */
static void plain_value(char *out, size_t cap, const struct lev_value *v)
{
    if (v->type == 'S' || v->type == 'x')
        snprintf(out, cap, "%.*s", LEV_FMT(v->b));
    else
        lev_text_term(out, cap, v);
}

static void value_or_none(char *out, size_t cap, const struct lev_value *v)
{
    char text[256];
    if (!v) {
        snprintf(out, cap, "none");
        return;
    }
    plain_value(text, sizeof(text), v);
    snprintf(out, cap, "the value '%s' of type '%s'", text, lev_value_type_name(v->type));
}

static bool is_octets(const struct lev_value *v)
{
    return v->type == 'S' || v->type == 'x';
}

static bool same_value(const struct lev_value *a, const struct lev_value *b)
{
    if (is_octets(a) && is_octets(b))
        return lev_bytes_eq(a->b, b->b);
    return lev_value_equal(a, b);
}

int lev_check_same_arg(const struct lev_entity *who, const char *arg, struct lev_bytes current,
                       struct lev_bytes received, struct lev_error *err)
{
    struct lev_value is, want;
    char is_text[320], want_text[320];
    bool has = lev_table_get(current, arg, &is);
    bool wants = lev_table_get(received, arg, &want);
    if (has == wants && (!has || same_value(&is, &want)))
        return 0;
    if (has && wants) {
        plain_value(is_text, sizeof(is_text), &is);
        plain_value(want_text, sizeof(want_text), &want);
        return lev_fail_inequivalent(who, arg, lev_bytes_str(is_text), lev_bytes_str(want_text),
                                     err);
    }
    value_or_none(is_text, sizeof(is_text), has ? &is : NULL);
    value_or_none(want_text, sizeof(want_text), wants ? &want : NULL);
    return lev_fail(err, LEV_PRECONDITION_FAILED,
                    "inequivalent arg '%s' for " LEV_ENTITY ": received %s but current is %s", arg,
                    LEV_ENTITY_FMT(*who), want_text, is_text);
}
