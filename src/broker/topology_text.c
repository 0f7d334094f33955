/* RabbitMQ's words for what a declare or bind did wrong. See topology_text.h. */
#include "broker/topology_text.h"

#include "broker/term.h"

int lev_fail_inequivalent(const struct lev_entity *who, const char *arg, struct lev_bytes current,
                          struct lev_bytes received, struct lev_error *err)
{
    return lev_fail(err, LEV_PRECONDITION_FAILED,
                    "inequivalent arg '%s' for " LEV_ENTITY
                    ": received '%.*s' but current is '%.*s'",
                    arg, LEV_ENTITY_FMT(*who), LEV_FMT(received), LEV_FMT(current));
}

/* A value as a text of inequivalence has it: octets as they are. */
static void put_plain(struct lev_text *t, const struct lev_value *v)
{
    if (v->type == 'S' || v->type == 'x')
        lev_text_put_bytes(t, v->b);
    else
        lev_term_put(t, v);
}

static void put_value_or_none(struct lev_text *t, const struct lev_value *v)
{
    if (!v) {
        lev_text_put(t, "none");
        return;
    }
    lev_text_put(t, "the value '");
    put_plain(t, v);
    lev_text_put(t, "' of type '%s'", lev_value_type_name(v->type));
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
    char is_room[320], want_room[320];
    struct lev_text is_text, want_text;
    bool has = lev_table_get(current, arg, &is);
    bool wants = lev_table_get(received, arg, &want);
    if (has == wants && (!has || same_value(&is, &want)))
        return 0;
    lev_text_init(&is_text, is_room, sizeof(is_room));
    lev_text_init(&want_text, want_room, sizeof(want_room));
    if (has && wants) {
        put_plain(&is_text, &is);
        put_plain(&want_text, &want);
        return lev_fail_inequivalent(who, arg, lev_text_view(&is_text), lev_text_view(&want_text),
                                     err);
    }
    put_value_or_none(&is_text, has ? &is : NULL);
    put_value_or_none(&want_text, wants ? &want : NULL);
    return lev_fail(err, LEV_PRECONDITION_FAILED,
                    "inequivalent arg '%s' for " LEV_ENTITY ": received %.*s but current is %.*s",
                    arg, LEV_ENTITY_FMT(*who), LEV_FMT(lev_text_view(&want_text)),
                    LEV_FMT(lev_text_view(&is_text)));
}
