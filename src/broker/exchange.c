/* One exchange, and the table of types. See exchange.h. Runs under the vhost's lock. */
#include "broker/exchange.h"

#include <ctype.h>
#include <stdio.h>

#include "amqp/table.h"
#include "broker/topology_text.h"

static const struct lev_exchange_type *const types[] = {
    &lev_exchange_direct,  &lev_exchange_fanout,          &lev_exchange_topic,
    &lev_exchange_headers, &lev_exchange_consistent_hash, &lev_exchange_modulus_hash,
    &lev_exchange_random,  &lev_exchange_local_random,    &lev_exchange_recent_history,
    &lev_exchange_delayed, &lev_exchange_deduplication,
};

const struct lev_exchange_type *lev_exchange_type_find(struct lev_bytes name)
{
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (lev_bytes_eq(types[i]->name, name))
            return types[i];
    return NULL;
}

static struct lev_bytes append(uint8_t **at, struct lev_bytes b)
{
    struct lev_bytes copy = lev_bytes(*at, b.len);
    if (b.len)
        memcpy(*at, b.ptr, b.len);
    *at += b.len;
    return copy;
}

static void find_alternate(struct lev_exchange *x)
{
    struct lev_value v;
    if (!lev_table_get(x->def.arguments, "alternate-exchange", &v) || v.type != 'S')
        return;
    x->has_alternate = true;
    x->alternate = v.b;
}

bool lev_exchange_is_deduplication(const struct lev_exchange *x)
{
    struct lev_value v;
    if (x->type != &lev_exchange_delayed)
        return x->type == &lev_exchange_deduplication;
    return lev_table_get(x->def.arguments, "x-delayed-type", &v) && v.type == 'S' &&
           lev_bytes_eq(v.b, lev_exchange_deduplication.name);
}

struct lev_exchange *lev_exchange_new(const struct lev_exchange_def *d,
                                      const struct lev_exchange_type *type)
{
    struct lev_exchange *x = lev_xmalloc(sizeof(*x) + d->name.len + d->arguments.len);
    *x = (struct lev_exchange){.type = type, .def = *d};
    uint8_t *at = x->bytes;
    x->def.type = type->name;
    x->def.name = append(&at, d->name);
    x->def.arguments = append(&at, d->arguments);
    lev_dest_init(&x->dest, false, d->durable, x->def.name);
    lev_list_init(&x->out);
    lev_list_init(&x->doomed_node);
    if (type->index_new)
        x->index = type->index_new(&x->def);
    find_alternate(x);
    return x;
}

bool lev_exchange_set_alternate(struct lev_exchange *x, const struct lev_bytes *alternate)
{
    if (x->has_alternate && !x->alternate_by_policy)
        return false;
    if (x->has_alternate == (alternate != NULL) &&
        (!alternate || lev_bytes_eq(x->alternate, *alternate)))
        return false;
    if (x->alternate_by_policy)
        lev_bytes_free(&x->alternate);
    x->has_alternate = x->alternate_by_policy = alternate != NULL;
    x->alternate = alternate ? lev_bytes_dup(*alternate) : LEV_EMPTY;
    return true;
}

void lev_exchange_free(struct lev_exchange **xp)
{
    struct lev_exchange *x = *xp;
    *xp = NULL;
    if (!x)
        return;
    if (x->type->index_free)
        x->type->index_free(x->index);
    lev_dedup_free(&x->dedup);
    if (x->alternate_by_policy)
        lev_bytes_free(&x->alternate);
    free(x);
}

/* A type's name as Erlang prints the atom: quoted when it is not a plain word. */
static struct lev_bytes type_text(char *out, size_t cap, struct lev_bytes name)
{
    bool plain = name.len > 0 && name.ptr[0] >= 'a' && name.ptr[0] <= 'z';
    for (size_t i = 0; i < name.len; i++)
        plain = plain && (isalnum(name.ptr[i]) || name.ptr[i] == '_' || name.ptr[i] == '@');
    snprintf(out, cap, plain ? "%.*s" : "'%.*s'", LEV_FMT(name));
    return lev_bytes_str(out);
}

static struct lev_bytes bool_text(bool v)
{
    return v ? LEV_LIT("true") : LEV_LIT("false");
}

int lev_exchange_equivalent(const struct lev_exchange *x, const struct lev_exchange_def *d,
                            struct lev_bytes vhost, struct lev_error *err)
{
    const struct lev_exchange_def *is = &x->def;
    struct lev_entity who = {"exchange", is->name, vhost};
    char is_type[64], want_type[64];
    const struct {
        const char *arg;
        struct lev_bytes current, received;
    } fields[] = {
        {"type", type_text(is_type, sizeof(is_type), is->type),
         type_text(want_type, sizeof(want_type), d->type)},
        {"durable", bool_text(is->durable), bool_text(d->durable)},
        {"auto_delete", bool_text(is->auto_delete), bool_text(d->auto_delete)},
        {"internal", bool_text(is->internal), bool_text(d->internal)},
    };
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
        if (!lev_bytes_eq(fields[i].current, fields[i].received))
            return lev_fail_inequivalent(&who, fields[i].arg, fields[i].current, fields[i].received,
                                         err);
    return lev_check_same_arg(&who, "alternate-exchange", is->arguments, d->arguments, err);
}

const struct lev_exchange_def *lev_exchange_def_of(const struct lev_exchange *x)
{
    return &x->def;
}

bool lev_exchange_is_internal(const struct lev_exchange *x)
{
    return x->def.internal;
}
