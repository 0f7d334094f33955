/* Field tables and arrays with RabbitMQ's types (S I D T F A b B s u i l L f d t x V).
 * A table is handled as its raw bytes WITHOUT the 4-octet length; so is an array. Zero-copy.
 * Duplicate keys are kept; look-ups use the first. Any thread. */
#ifndef LEV_AMQP_TABLE_H
#define LEV_AMQP_TABLE_H

#include "base/buf.h"

/* Deepest nesting of tables and arrays that validate accepts. */
enum { LEV_TABLE_DEPTH_MAX = 64 };

struct lev_value {
    uint8_t type;       /* the wire's letter; 'L' is reported as 'l' */
    uint8_t scale;      /* D */
    int64_t i;          /* I b B s u i l t T (T as unsigned in i) and D's unscaled value */
    double d;           /* f d */
    struct lev_bytes b; /* S x: the bytes; F A: raw inner bytes without length */
};

/* Takes the next (key, value) off the front of *rest. 1 got one, 0 at the end, <0 LEV_EPROTO or
 * LEV_ETYPE. */
int lev_table_next(struct lev_bytes *rest, struct lev_bytes *key_r, struct lev_value *value_r);
/* The same for an array's values. */
int lev_array_next(struct lev_bytes *rest, struct lev_value *value_r);

/* 0 when the whole table is well formed and not nested deeper than LEV_TABLE_DEPTH_MAX, else
 * LEV_EPROTO, LEV_ETYPE or LEV_EDEPTH. No recursion deeper than the bound. */
int lev_table_validate(struct lev_bytes table);

/* First value at key. True when found. The table must have been validated (else may return false).
 */
bool lev_table_get(struct lev_bytes table, const char *key, struct lev_value *value_r);

/* True for RabbitMQ's integer types: b s I l B u i. */
bool lev_value_is_int(const struct lev_value *v);

/* RabbitMQ's word for a type, as its error texts have it: longstr, signedint, decimal, timestamp,
 * table, array, byte (b), unsignedbyte (B), short (s), unsignedshort (u), unsignedint (i), long
 * (l), float (f), double (d), bool (t), binary (x), void (V). Static string. */
const char *lev_value_type_name(uint8_t type);

/* Equality by value: integers of different widths compare by number (1 == 1), integer and float
 * never equal, S and x by bytes (S != x), tables as sets of pairs in any order (pairs of one key in
 * theirs: look-ups use the first), arrays in order. Malformed ones equal only their own octets. */
bool lev_value_equal(const struct lev_value *a, const struct lev_value *b);

/* Equality including the wire type, in any key order: binding identity (I 1 differs from l 1). */
bool lev_table_same(struct lev_bytes a, struct lev_bytes b);

/* Builders: append one pair to a table under construction (no length prefix). Keys <= 255 octets.
 */
void lev_table_put_str(struct lev_buf *out, const char *key, struct lev_bytes v);   /* S */
void lev_table_put_long(struct lev_buf *out, const char *key, int64_t v);           /* l */
void lev_table_put_bool(struct lev_buf *out, const char *key, bool v);              /* t */
void lev_table_put_timestamp(struct lev_buf *out, const char *key, uint64_t v);     /* T */
void lev_table_put_table(struct lev_buf *out, const char *key, struct lev_bytes t); /* F */
void lev_table_put_array(struct lev_buf *out, const char *key, struct lev_bytes a); /* A */
/* Append a pair exactly as given (any type). */
void lev_table_put_value(struct lev_buf *out, struct lev_bytes key, const struct lev_value *v);
/* Append one value to an array under construction. */
void lev_array_put_value(struct lev_buf *out, const struct lev_value *v);

#endif
