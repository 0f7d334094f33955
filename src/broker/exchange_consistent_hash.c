/* Exchange type x-consistent-hash: each message goes to one destination, messages with the same
 * subject to the same one. The subject is the routing key, or what the exchange's arguments say:
 * the value of a header (hash-header) or a property (hash-property).
 *
 * Weighted rendezvous hashing: for every destination, subject and destination together give a
 * number, which the weight (the binding key) stretches; the highest wins. So the choice depends on
 * nothing but names and weights, neither on the order of binding nor on the process, and a
 * destination that comes or goes moves only the subjects it wins or had won. Of several bindings to
 * one destination the oldest counts. Runs under the vhost's lock. */
#include <ctype.h>
#include <stdlib.h>

#include "amqp/props.h"
#include "amqp/table.h"
#include "base/hash.h"
#include "broker/binding.h"
#include "broker/exchange.h"
#include "broker/route.h"
#include "broker/term.h"

struct candidate {
    const struct lev_binding *binding; /* the oldest to its destination */
    uint64_t hash;                     /* of the destination */
    double weight;
};

struct hasher {
    bool by_header;
    struct lev_bytes header; /* view into the exchange's arguments */
    uint16_t property;       /* its flag, or 0 */
    struct candidate *v;
    size_t n, cap;
};

/* ---- Arguments
 * ----------------------------------------------------------------------------------- */

static uint16_t property_flag(struct lev_bytes name)
{
    if (lev_bytes_eq(name, LEV_LIT("correlation_id")))
        return LEV_PROP_CORRELATION_ID;
    if (lev_bytes_eq(name, LEV_LIT("message_id")))
        return LEV_PROP_MESSAGE_ID;
    return lev_bytes_eq(name, LEV_LIT("timestamp")) ? LEV_PROP_TIMESTAMP : 0;
}

static int check_string(const struct lev_value *v, const char *arg, struct lev_error *err)
{
    if (v->type == 'S')
        return 0;
    return lev_fail(err, LEV_PRECONDITION_FAILED, "invalid type '%s' for arg '%s'",
                    lev_value_type_name(v->type), arg);
}

static int hasher_validate(const struct lev_exchange_def *d, struct lev_error *err)
{
    struct lev_value header, property;
    bool by_header = lev_table_get(d->arguments, "hash-header", &header);
    bool by_property = lev_table_get(d->arguments, "hash-property", &property);
    if (by_header && check_string(&header, "hash-header", err) < 0)
        return -1;
    if (by_property && check_string(&property, "hash-property", err) < 0)
        return -1;
    if (by_header && by_property)
        return lev_fail(err, LEV_PRECONDITION_FAILED,
                        "hash-header and hash-property are mutually exclusive");
    if (by_property && !property_flag(property.b))
        return lev_fail(err, LEV_PRECONDITION_FAILED, "Unsupported property: %.*s",
                        LEV_FMT(property.b));
    return 0;
}

static void *hasher_new(const struct lev_exchange_def *d)
{
    struct hasher *h = lev_xcalloc(1, sizeof(*h));
    struct lev_value v;
    if (lev_table_get(d->arguments, "hash-header", &v) && v.type == 'S') {
        h->by_header = true;
        h->header = v.b;
    } else if (lev_table_get(d->arguments, "hash-property", &v) && v.type == 'S') {
        h->property = property_flag(v.b);
    }
    return h;
}

static void hasher_free(void *index)
{
    struct hasher *h = index;
    free(h->v);
    free(h);
}

/* ---- Bindings
 * ------------------------------------------------------------------------------------ */

/* The key as a number; 0 when it is not one, or not above 0. */
static double weight_of(struct lev_bytes key)
{
    char digits[UINT8_MAX + 1];
    if (key.len > 1 && key.ptr[0] == '+')
        key = lev_bytes(key.ptr + 1, key.len - 1);
    for (size_t i = 0; i < key.len; i++) {
        if (!isdigit(key.ptr[i]) || i + 1 >= sizeof(digits))
            return 0;
        digits[i] = (char)key.ptr[i];
    }
    digits[key.len] = '\0';
    return strtod(digits, NULL);
}

/* An integer as Erlang reads one: a sign or none, and digits. */
static bool is_integer(struct lev_bytes key)
{
    size_t i = key.len > 0 && (key.ptr[0] == '-' || key.ptr[0] == '+');
    if (i == key.len)
        return false;
    while (i < key.len && isdigit(key.ptr[i]))
        i++;
    return i == key.len;
}

static int hasher_check(struct lev_topology *t, const struct lev_binding_def *d,
                        const struct lev_dest *dest, struct lev_error *err)
{
    (void)t;
    (void)dest;
    char text[400];
    if (weight_of(d->routing_key) > 0)
        return 0;
    if (is_integer(d->routing_key))
        return lev_fail(err, LEV_PRECONDITION_FAILED, "The binding key must be greater than 0");
    lev_term_print(text, sizeof(text), &(struct lev_value){.type = 'S', .b = d->routing_key});
    return lev_fail(err, LEV_PRECONDITION_FAILED, "The binding key must be an integer: %s", text);
}

/* The oldest binding from x to d but for one; or NULL. */
static struct lev_binding *oldest(const struct lev_exchange *x, struct lev_dest *d,
                                  const struct lev_binding *but)
{
    LEV_LIST_EACH(it, nx, &d->bindings)
    {
        struct lev_binding *b = LEV_LIST_ENTRY(it, struct lev_binding, dest_node);
        if (b->source == x && b != but)
            return b;
    }
    return NULL;
}

static void candidate_set(struct candidate *c, const struct lev_binding *b)
{
    c->binding = b;
    c->hash = lev_hash_fixed(b->dest->name, b->dest->is_queue);
    c->weight = weight_of(lev_binding_key(b));
}

static void hasher_add(struct lev_exchange *x, struct lev_binding *b)
{
    struct hasher *h = x->index;
    if (oldest(x, b->dest, b))
        return;
    if (h->n == h->cap) {
        h->cap = h->cap ? h->cap * 2 : 8;
        h->v = lev_xrealloc(h->v, h->cap * sizeof(*h->v));
    }
    candidate_set(&h->v[h->n++], b);
}

static void hasher_remove(struct lev_exchange *x, struct lev_binding *b)
{
    struct hasher *h = x->index;
    size_t i = 0;
    while (i < h->n && h->v[i].binding != b)
        i++;
    if (i == h->n)
        return;
    const struct lev_binding *heir = oldest(x, b->dest, b);
    if (heir)
        candidate_set(&h->v[i], heir);
    else
        h->v[i] = h->v[--h->n];
}

/* ---- Routing
 * ------------------------------------------------------------------------------------- */

/* Integers of all widths by number, everything else by type and octets. */
static uint64_t hash_value(const struct lev_value *v)
{
    bool number = lev_value_is_int(v);
    uint64_t h = lev_hash_fixed(v->b, number ? 'l' : v->type);
    if (v->type == 'f' || v->type == 'd')
        return lev_hash_fixed(lev_bytes(&v->d, sizeof(v->d)), h);
    if (number || v->type == 't' || v->type == 'T' || v->type == 'D')
        return lev_hash_fixed(lev_bytes(&v->i, sizeof(v->i)), h + v->scale);
    return h;
}

static uint64_t hash_header(const struct hasher *h, struct lev_bytes headers)
{
    struct lev_bytes key;
    struct lev_value v;
    while (lev_table_next(&headers, &key, &v) > 0)
        if (lev_bytes_eq(key, h->header))
            return hash_value(&v);
    return 0;
}

static uint64_t hash_property(const struct hasher *h, const struct lev_msg *msg)
{
    struct lev_props p;
    if (!msg || lev_props_decode(lev_msg_props(msg), &p) != 0 || !(p.flags & h->property))
        return 0;
    if (h->property == LEV_PROP_TIMESTAMP)
        return lev_hash_fixed(lev_bytes(&p.timestamp, sizeof(p.timestamp)), 1);
    return lev_hash_fixed(h->property == LEV_PROP_MESSAGE_ID ? p.message_id : p.correlation_id, 1);
}

static uint64_t hash_subject(const struct hasher *h, struct lev_walk *w)
{
    if (!h->by_header && !h->property)
        return w->n_keys > 0 ? lev_hash_fixed(w->keys[0], 1) : 0;
    w->uncached = true;
    return h->by_header ? hash_header(h, w->headers) : hash_property(h, w->msg);
}

/* -ln((x | 1) / 2^64), never 0. The mantissa's logarithm is the series of 2 atanh(y), y <= 1/3. */
static double minus_ln(uint64_t x)
{
    const double ln2 = 0.69314718055994530942;
    x |= 1;
    int top = 63 - __builtin_clzll(x);
    double m = (double)(x << (63 - top)) / 9223372036854775808.0; /* 1 <= m <= 2 */
    double y = (m - 1) / (m + 1), power = y, sum = 0;
    for (int k = 1; k < 24; k += 2, power *= y * y)
        sum += power / k;
    double ln = (63 - top + 1) * ln2 - 2 * sum;
    return ln > 1e-18 ? ln : 1e-18;
}

static void hasher_route(struct lev_exchange *x, struct lev_walk *w)
{
    const struct hasher *h = x->index;
    const struct candidate *best = NULL;
    double best_score = 0;
    uint64_t subject = hash_subject(h, w);
    for (size_t i = 0; i < h->n; i++) {
        const struct candidate *c = &h->v[i];
        uint64_t mixed = lev_hash_fixed(lev_bytes(&c->hash, sizeof(c->hash)), subject);
        double u = (double)mixed / 18446744073709551616.0;
        if (c->weight <= best_score * (1 - u))
            continue; /* -ln(u) is no less than 1 - u: it cannot win, spare the logarithm */
        double score = c->weight / minus_ln(mixed);
        if (score > best_score) {
            best = c;
            best_score = score;
        }
    }
    if (best)
        lev_walk_visit(w, best->binding);
}

const struct lev_exchange_type lev_exchange_consistent_hash = {
    .name = {(const uint8_t *)"x-consistent-hash", 17},
    .validate = hasher_validate,
    .check = hasher_check,
    .index_new = hasher_new,
    .index_free = hasher_free,
    .add = hasher_add,
    .remove = hasher_remove,
    .route = hasher_route,
};
