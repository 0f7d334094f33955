/* The types of all methods, made by the preprocessor from methods.def: enum lev_method_id, one
 * struct a method, and struct lev_method that holds any of them. Include method.h, not this file.
 */
#ifndef LEV_AMQP_METHOD_TYPES_H
#define LEV_AMQP_METHOD_TYPES_H

#include "base/bytes.h"

/* LEV_M_CONNECTION_START ... LEV_M_TX_ROLLBACK_OK, in the order of methods.def. */
enum lev_method_id {
#define LEV_FIELD(kind, name)
#define LEV_METHOD(ID, id, class_id, method_id, name, flags, fields) LEV_M_##ID,
#include "amqp/methods.def"
    LEV_M_COUNT, /* how many there are; as an id: none of them */
};

/* Field kinds in C. Strings and tables are views; a table is its raw bytes without the length. */
typedef uint8_t lev_field_octet;
typedef uint16_t lev_field_shortint;
typedef uint32_t lev_field_longint;
typedef uint64_t lev_field_longlong;
typedef bool lev_field_bit;
typedef struct lev_bytes lev_field_shortstr;
typedef struct lev_bytes lev_field_longstr;
typedef struct lev_bytes lev_field_table;

/* struct lev_connection_start {uint8_t version_major; ...}; ... Empty for a method without fields.
 */
#define LEV_FIELD(kind, name) lev_field_##kind name;
#define LEV_METHOD(ID, id, class_id, method_id, name, flags, fields)                               \
    struct lev_##id {                                                                              \
        fields                                                                                     \
    };
#include "amqp/methods.def"

/* Any method: id says which member of u is live. */
struct lev_method {
    enum lev_method_id id;
    union {
#define LEV_FIELD(kind, name)
#define LEV_METHOD(ID, id, class_id, method_id, name, flags, fields) struct lev_##id id;
#include "amqp/methods.def"
    } u;
};

#endif
