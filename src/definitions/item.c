/* The objects of a definitions file: fields, defaults, checks. See definitions_int.h. */
#include <stdio.h>
#include <stdlib.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "amqp/table.h"
#include "auth/password.h"
#include "broker/policy.h"
#include "definitions/definitions_int.h"
#include "definitions/json.h"

enum { NAME_MAX_LEN = 255 };

/* ---- Fields ---- */

static json_t *field(const struct item *it, const char *key)
{
    return json_object_get(it->json, key);
}

/* Any length; otherwise: the value of a missing field, NULL when it may not be missing. */
static int text_in(struct item *it, const json_t *object, const char *key, const char *otherwise,
                   struct lev_bytes *out)
{
    const json_t *j = json_object_get(object, key);
    *out = lev_bytes_str(otherwise);
    if (!j && otherwise)
        return 0;
    if (!j)
        return lev_def_fail_(it, "'%s' is missing", key);
    if (!json_is_string(j))
        return lev_def_fail_(it, "'%s' is not a string", key);
    *out = lev_json_text(j);
    return 0;
}

static int text(struct item *it, const char *key, const char *otherwise, struct lev_bytes *out)
{
    return text_in(it, it->json, key, otherwise, out);
}

/* As AMQP has room for it. */
static int name(struct item *it, const char *key, const char *otherwise, struct lev_bytes *out)
{
    if (text(it, key, otherwise, out) < 0)
        return -1;
    return out->len <= NAME_MAX_LEN
               ? 0
               : lev_def_fail_(it, "'%s' is longer than %d octets", key, NAME_MAX_LEN);
}

/* A name that says something. */
static int real_name(struct item *it, const char *key, struct lev_bytes *out)
{
    if (name(it, key, NULL, out) < 0)
        return -1;
    return out->len > 0 ? 0 : lev_def_fail_(it, "'%s' is empty", key);
}

static int flag(struct item *it, const char *key, bool otherwise, bool *out)
{
    const json_t *j = field(it, key);
    *out = j ? json_is_true(j) : otherwise;
    return !j || json_is_boolean(j) ? 0 : lev_def_fail_(it, "'%s' is not a boolean", key);
}

static int whole_number(struct item *it, const json_t *object, const char *key, int64_t otherwise,
                        int64_t *out)
{
    const json_t *j = json_object_get(object, key);
    *out = j ? json_integer_value(j) : otherwise;
    return !j || json_is_integer(j) ? 0 : lev_def_fail_(it, "'%s' is not a number", key);
}

/* An object as a field table in it->table; an empty array will do for an empty object. */
static int table_in(struct item *it, const json_t *object, const char *key)
{
    const json_t *j = json_object_get(object, key);
    if (!j || (json_is_array(j) && json_array_size(j) == 0))
        return 0;
    if (!json_is_object(j))
        return lev_def_fail_(it, "'%s' is not an object", key);
    const char *wrong = lev_json_to_table(j, &it->table);
    return wrong ? lev_def_fail_(it, "'%s': %s", key, wrong) : 0;
}

static int arguments(struct item *it, struct lev_bytes *out)
{
    int rc = table_in(it, it->json, "arguments");
    *out = lev_buf_view(&it->table);
    return rc;
}

/* A value as JSON in it->text. */
static int dump(struct item *it, const json_t *j, struct lev_bytes *out)
{
    char *s = json_dumps(j, JSON_COMPACT | JSON_ENCODE_ANY);
    if (s)
        lev_buf_put_bytes(&it->text, lev_bytes_str(s));
    free(s);
    *out = lev_buf_view(&it->text);
    return s && !it->text.failed ? 0 : lev_def_fail_(it, "too large");
}

static int any_json(struct item *it, const char *key, struct lev_bytes *out)
{
    const json_t *j = field(it, key);
    return j ? dump(it, j, out) : lev_def_fail_(it, "'%s' is missing", key);
}

/* Tags, an array or a text with commas, as a text with commas in it->text. */
static int tags_of(struct item *it, const json_t *j, struct lev_bytes *out)
{
    if (json_is_string(j)) {
        *out = lev_json_text(j);
        return 0;
    }
    if (j && !json_is_array(j))
        return lev_def_fail_(it, "'tags' is neither an array nor a string");
    for (size_t i = 0; i < json_array_size(j); i++) {
        const json_t *tag = json_array_get(j, i);
        if (!json_is_string(tag))
            return lev_def_fail_(it, "a tag is not a string");
        if (i > 0)
            lev_buf_put8(&it->text, ',');
        lev_buf_put_bytes(&it->text, lev_json_text(tag));
    }
    *out = lev_buf_view(&it->text);
    return it->text.failed ? lev_def_fail_(it, "too large") : 0;
}

static int regular_expression(struct item *it, const char *key, struct lev_bytes *out)
{
    int code;
    PCRE2_SIZE at;
    if (text(it, key, NULL, out) < 0)
        return -1;
    pcre2_code *re = pcre2_compile(out->ptr, out->len, 0, &code, &at, NULL);
    pcre2_code_free(re);
    return re ? 0 : lev_def_fail_(it, "'%s' is not a regular expression", key);
}

int lev_def_vhost_of_(struct item *it, struct lev_bytes *out)
{
    if (!field(it, "vhost"))
        return lev_def_fail_(it, "'vhost' is missing; definitions of a single virtual host cannot "
                                 "be loaded at start");
    return real_name(it, "vhost", out);
}

/* ---- Users, vhosts, permissions ---- */

static int hashing_algorithm(struct item *it, struct lev_bytes *out)
{
    static const char *const known[] = {"rabbit_password_hashing_sha256",
                                        "rabbit_password_hashing_sha512",
                                        "rabbit_password_hashing_md5"};
    const char *otherwise = it->doc->md5 ? known[2] : known[0];
    if (text(it, "hashing_algorithm", otherwise, out) < 0)
        return -1;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (lev_bytes_eq(*out, lev_bytes_str(known[i])))
            return 0;
    return lev_def_fail_(it, "hashing algorithm '%.*s' is not known", LEV_FMT(*out));
}

/* Hashes a password that is given as such. */
static int credentials(struct item *it, struct lev_meta_user *out)
{
    char hash[LEV_PASSWORD_HASH_MAX];
    struct lev_bytes password;
    if (field(it, "password") && field(it, "password_hash"))
        return lev_def_fail_(it, "both_password_and_password_hash_are_provided");
    if (!field(it, "password"))
        return text(it, "password_hash", "", &out->password_hash) < 0 ||
                       hashing_algorithm(it, &out->hashing_algorithm) < 0
                   ? -1
                   : 0;
    if (text(it, "password", NULL, &password) < 0)
        return -1;
    if (lev_password_hash(password, hash) < 0)
        return lev_def_fail_(it, "no random numbers or no SHA-256 to hash the password");
    lev_buf_put_bytes(&it->hash, lev_bytes_str(hash));
    out->password_hash = lev_buf_view(&it->hash);
    out->hashing_algorithm = LEV_LIT(LEV_PASSWORD_ALGORITHM);
    return it->hash.failed ? lev_def_fail_(it, "too large") : 0;
}

int lev_def_user_(struct item *it, struct lev_meta_user *out)
{
    *out = (struct lev_meta_user){0};
    if (real_name(it, "name", &out->name) < 0 || credentials(it, out) < 0)
        return -1;
    return tags_of(it, field(it, "tags"), &out->tags);
}

int lev_def_vhost_(struct item *it, struct lev_meta_vhost *out)
{
    const json_t *metadata = field(it, "metadata");
    const json_t *from = json_object_size(metadata) > 0 ? metadata : it->json;
    const json_t *tags = json_object_get(from, "tags");
    *out = (struct lev_meta_vhost){0};
    if (real_name(it, "name", &out->name) < 0 ||
        text_in(it, from, "description", "", &out->description) < 0 ||
        text_in(it, field(it, "default_queue_type") ? it->json : from, "default_queue_type", "",
                &out->default_queue_type) < 0)
        return -1;
    if (lev_bytes_eq(out->default_queue_type, LEV_LIT("undefined")))
        out->default_queue_type = LEV_EMPTY;
    return tags_of(it, tags ? tags : field(it, "tags"), &out->tags);
}

int lev_def_permission_(struct item *it, struct lev_meta_permission *out)
{
    return real_name(it, "user", &out->user) < 0 || lev_def_vhost_of_(it, &out->vhost) < 0 ||
                   regular_expression(it, "configure", &out->configure) < 0 ||
                   regular_expression(it, "write", &out->write) < 0 ||
                   regular_expression(it, "read", &out->read) < 0
               ? -1
               : 0;
}

int lev_def_topic_permission_(struct item *it, struct lev_meta_topic_permission *out)
{
    return real_name(it, "user", &out->user) < 0 || lev_def_vhost_of_(it, &out->vhost) < 0 ||
                   name(it, "exchange", NULL, &out->exchange) < 0 ||
                   regular_expression(it, "write", &out->write) < 0 ||
                   regular_expression(it, "read", &out->read) < 0
               ? -1
               : 0;
}

bool lev_def_limits_(struct item *it, const char *component, struct lev_meta_parameter *out)
{
    const json_t *limits = field(it, "limits");
    lev_buf_clear(&it->text);
    out->component = lev_bytes_str(component);
    return json_object_size(limits) > 0 && dump(it, limits, &out->value) == 0;
}

/* ---- Policies and parameters ---- */

/* The policy engine's own check, in a set of its own. */
static int check_policy(struct item *it, const struct lev_meta_policy *p)
{
    char what[LEV_POLICY_ERR_MAX];
    struct lev_policy_set *set = lev_policy_set_new();
    struct lev_policy_def d = {.name = p->name,
                               .pattern = p->pattern,
                               .apply_to = p->apply_to,
                               .definition = lev_buf_view(&it->table),
                               .priority = p->priority};
    int rc =
        lev_policy_set_put(set, p->of_operator ? LEV_OPERATOR_POLICY : LEV_USER_POLICY, &d, what);
    lev_policy_set_free(&set);
    return rc < 0 ? lev_def_fail_(it, "%s", what) : 0;
}

/* from: what has pattern, definition and so on. */
static int policy_from(struct item *it, const json_t *from, bool of_operator,
                       struct lev_meta_policy *out)
{
    *out = (struct lev_meta_policy){.of_operator = of_operator};
    const json_t *definition = json_object_get(from, "definition");
    if (real_name(it, "name", &out->name) < 0 || lev_def_vhost_of_(it, &out->vhost) < 0 ||
        text_in(it, from, "pattern", NULL, &out->pattern) < 0 ||
        text_in(it, from, "apply-to", "all", &out->apply_to) < 0 ||
        whole_number(it, from, "priority", 0, &out->priority) < 0)
        return -1;
    if (!definition)
        return lev_def_fail_(it, "'definition' is missing");
    if (table_in(it, from, "definition") < 0 || dump(it, definition, &out->definition) < 0)
        return -1;
    return check_policy(it, out);
}

int lev_def_policy_(struct item *it, struct lev_meta_policy *out)
{
    return policy_from(it, it->json, false, out);
}

int lev_def_parameter_(struct item *it, struct lev_meta_parameter *out, bool *is_policy_r,
                       struct lev_meta_policy *policy)
{
    *is_policy_r = false;
    if (real_name(it, "component", &out->component) < 0 || real_name(it, "name", &out->name) < 0 ||
        lev_def_vhost_of_(it, &out->vhost) < 0)
        return -1;
    *is_policy_r = lev_bytes_eq(out->component, LEV_LIT("operator_policy"));
    return *is_policy_r ? policy_from(it, field(it, "value"), true, policy)
                        : any_json(it, "value", &out->value);
}

int lev_def_global_parameter_(struct item *it, struct lev_meta_parameter *out)
{
    *out = (struct lev_meta_parameter){0};
    return real_name(it, "name", &out->name) < 0 ? -1 : any_json(it, "value", &out->value);
}

/* ---- Exchanges, queues, bindings ---- */

int lev_def_exchange_(struct item *it, struct lev_exchange_def *out)
{
    struct lev_bytes vhost;
    return lev_def_vhost_of_(it, &vhost) < 0 || name(it, "name", NULL, &out->name) < 0 ||
                   name(it, "type", NULL, &out->type) < 0 ||
                   flag(it, "durable", true, &out->durable) < 0 ||
                   flag(it, "auto_delete", false, &out->auto_delete) < 0 ||
                   flag(it, "internal", false, &out->internal) < 0 ||
                   arguments(it, &out->arguments) < 0
               ? -1
               : 0;
}

/* The type beside the arguments counts when they name none. */
static int add_queue_type(struct item *it, struct lev_bytes *arguments_r)
{
    struct lev_value v;
    struct lev_bytes type;
    if (text(it, "type", "", &type) < 0)
        return -1;
    if (type.len > 0 && !lev_bytes_eq(type, LEV_LIT("classic")) &&
        !lev_table_get(*arguments_r, "x-queue-type", &v))
        lev_table_put_str(&it->table, "x-queue-type", type);
    *arguments_r = lev_buf_view(&it->table);
    return it->table.failed ? lev_def_fail_(it, "too large") : 0;
}

int lev_def_queue_(struct item *it, struct lev_queue_declare_args *out)
{
    struct lev_bytes vhost;
    *out = (struct lev_queue_declare_args){0};
    return lev_def_vhost_of_(it, &vhost) < 0 || real_name(it, "name", &out->name) < 0 ||
                   flag(it, "durable", true, &out->durable) < 0 ||
                   flag(it, "auto_delete", false, &out->auto_delete) < 0 ||
                   arguments(it, &out->arguments) < 0 || add_queue_type(it, &out->arguments) < 0
               ? -1
               : 0;
}

int lev_def_binding_(struct item *it, struct lev_binding_def *out)
{
    struct lev_bytes vhost, to;
    if (lev_def_vhost_of_(it, &vhost) < 0 || name(it, "source", NULL, &out->source) < 0 ||
        real_name(it, "destination", &out->destination) < 0 ||
        text(it, "destination_type", NULL, &to) < 0 ||
        name(it, "routing_key", "", &out->routing_key) < 0 || arguments(it, &out->arguments) < 0)
        return -1;
    out->to_queue = lev_bytes_eq(to, LEV_LIT("queue"));
    if (!out->to_queue && !lev_bytes_eq(to, LEV_LIT("exchange")))
        return lev_def_fail_(it, "'destination_type' is neither \"queue\" nor \"exchange\"");
    return 0;
}
