/* SASL responses: PLAIN and AMQPLAIN. Stateless; what a peer sends is only viewed, never kept. */
#include "auth/auth.h"

#include "amqp/table.h"

/* "\0user\0password"; neither holds a NUL. */
static bool parse_plain(struct lev_bytes r, struct lev_bytes *user_r, struct lev_bytes *password_r)
{
    if (r.len < 2 || r.ptr[0] != 0)
        return false;
    const uint8_t *user = r.ptr + 1;
    const uint8_t *end = r.ptr + r.len;
    const uint8_t *nul = memchr(user, 0, (size_t)(end - user));
    if (!nul || memchr(nul + 1, 0, (size_t)(end - nul - 1)))
        return false;
    *user_r = lev_bytes(user, (size_t)(nul - user));
    *password_r = lev_bytes(nul + 1, (size_t)(end - nul - 1));
    return true;
}

static bool string_at(struct lev_bytes table, const char *key, struct lev_bytes *out)
{
    struct lev_value v;
    if (!lev_table_get(table, key, &v) || (v.type != 'S' && v.type != 'x'))
        return false;
    *out = v.b;
    return true;
}

/* A table's inside with LOGIN and PASSWORD. */
static bool parse_amqplain(struct lev_bytes r, struct lev_bytes *user_r,
                           struct lev_bytes *password_r)
{
    return lev_table_validate(r) == 0 && string_at(r, "LOGIN", user_r) &&
           string_at(r, "PASSWORD", password_r);
}

enum lev_sasl lev_sasl_check(struct lev_auth *a, struct lev_bytes mechanism,
                             struct lev_bytes response, struct lev_bytes *user_r)
{
    struct lev_bytes password;
    bool parsed;
    if (lev_bytes_eq(mechanism, LEV_LIT("PLAIN")))
        parsed = parse_plain(response, user_r, &password);
    else if (lev_bytes_eq(mechanism, LEV_LIT("AMQPLAIN")))
        parsed = parse_amqplain(response, user_r, &password);
    else
        return LEV_SASL_UNKNOWN;
    if (!parsed)
        return LEV_SASL_MALFORMED;
    return lev_auth_password(a, *user_r, password) ? LEV_SASL_OK : LEV_SASL_REFUSED;
}
