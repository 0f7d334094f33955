/* Text in memory of a given size. See text.h. */
#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>

void lev_text_init(struct lev_text *t, char *out, size_t cap)
{
    *t = (struct lev_text){.out = out, .cap = cap};
    *out = 0;
}

void lev_text_put_bytes(struct lev_text *t, struct lev_bytes b)
{
    size_t room = t->cap - t->len - 1, n = b.len < room ? b.len : room;
    if (n)
        memcpy(t->out + t->len, b.ptr, n);
    t->len += n;
    t->out[t->len] = 0;
}

static void put_str(struct lev_text *t, const char *s)
{
    lev_text_put_bytes(t, lev_bytes_str(s));
}

static void put_unsigned(struct lev_text *t, unsigned long long n)
{
    char digits[24];
    snprintf(digits, sizeof(digits), "%llu", n);
    put_str(t, digits);
}

static void put_signed(struct lev_text *t, long long n)
{
    char digits[24];
    snprintf(digits, sizeof(digits), "%lld", n);
    put_str(t, digits);
}

/* The conversions, without their %. */
enum conversion {
    STR,
    OCTETS,
    CHAR,
    INT,
    UNSIGNED,
    SIZE,
    LONG,
    UNSIGNED_LONG,
    PERCENT,
    N_CONVERSIONS
};
static const char *const conversions[N_CONVERSIONS] = {"s",  ".*s", "c",   "d", "u",
                                                       "zu", "lld", "llu", "%"};

static enum conversion conversion_at(const char *fmt)
{
    int i = 0;
    while (i < N_CONVERSIONS && strncmp(fmt, conversions[i], strlen(conversions[i])) != 0)
        i++;
    if (i == N_CONVERSIONS)
        abort(); /* a mistake of ours: formats are constants */
    return (enum conversion)i;
}

/* va_list is handed on by address: what was taken from it stays taken. */
static void put_one(struct lev_text *t, enum conversion c, va_list *ap)
{
    char letter;
    switch (c) {
    case STR:
        put_str(t, va_arg(*ap, const char *));
        break;
    case OCTETS: {
        size_t n = (size_t)va_arg(*ap, int);
        lev_text_put_bytes(t, lev_bytes(va_arg(*ap, const char *), n));
        break;
    }
    case CHAR:
        letter = (char)va_arg(*ap, int);
        lev_text_put_bytes(t, lev_bytes(&letter, 1));
        break;
    case INT:
        put_signed(t, va_arg(*ap, int));
        break;
    case UNSIGNED:
        put_unsigned(t, va_arg(*ap, unsigned));
        break;
    case SIZE:
        put_unsigned(t, va_arg(*ap, size_t));
        break;
    case LONG:
        put_signed(t, va_arg(*ap, long long));
        break;
    case UNSIGNED_LONG:
        put_unsigned(t, va_arg(*ap, unsigned long long));
        break;
    default:
        put_str(t, "%");
        break;
    }
}

void lev_text_vput(struct lev_text *t, const char *fmt, va_list ap)
{
    va_list args;
    va_copy(args, ap);
    while (*fmt) {
        size_t n = strcspn(fmt, "%");
        lev_text_put_bytes(t, lev_bytes(fmt, n));
        fmt += n;
        if (*fmt) {
            enum conversion c = conversion_at(fmt + 1);
            put_one(t, c, &args);
            fmt += 1 + strlen(conversions[c]);
        }
    }
    va_end(args);
}

void lev_text_put(struct lev_text *t, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    lev_text_vput(t, fmt, ap);
    va_end(ap);
}
