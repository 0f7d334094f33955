/* definitions.json: what is refused with which words, and what an import leaves in meta.db and in a
 * vhost. */
#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "amqp/table.h"
#include "auth/password.h"
#include "base/clock.h"
#include "broker/admin.h"
#include "broker/vhost_int.h"
#include "definitions/definitions.h"
#include "store/meta.h"
#include "store/store_mem.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))

static char dir[64], err[LEV_DEFINITIONS_ERR_MAX], seen[8192];
static struct lev_meta *meta;
static struct lev_store *store;
static struct lev_vhost *vhost;

static void setup(void)
{
    char e[LEV_META_ERR_MAX];
    strcpy(dir, "/tmp/leveret-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    ck_assert_msg(lev_meta_open(dir, &meta, e) == 0, "%s", e);
    store = lev_store_mem_new();
    vhost = lev_vhost_new(LEV_LIT("/"), store, lev_clock_wall_ms);
    lev_store_mem_start(store, &lev_vhost_store_client, vhost);
    err[0] = 0;
}

static void teardown(void)
{
    char command[128];
    lev_vhost_free(&vhost);
    lev_store_mem_free(&store);
    lev_meta_close(&meta);
    snprintf(command, sizeof(command), "rm -rf %s", dir);
    ck_assert_int_eq(system(command), 0);
}

static struct lev_definitions *parsed(const char *json)
{
    struct lev_definitions *d;
    ck_assert_msg(lev_definitions_parse("d.json", lev_bytes_str(json), &d, err) == 0, "%s", err);
    return d;
}

static void import(const char *json)
{
    struct lev_definitions *d = parsed(json);
    ck_assert_msg(lev_definitions_import_meta(d, meta, err) == 0, "%s", err);
    ck_assert_msg(lev_definitions_import_vhost(d, vhost, err) == 0, "%s", err);
    lev_definitions_free(&d);
}

/* ---- What is refused before anything happens ---- */

static const struct {
    const char *json, *error;
} refused[] = {
    {"", "d.json:1:0: '[' or '{' expected near end of file"},
    {"[]", "d.json: definitions are not a JSON object"},
    {"{\"queues\": {}}", "d.json: 'queues' is not an array"},
    {"{\"queues\": [1]}", "d.json: queues[0]: is not an object"},
    {"{\"queues\": [{\"name\":\"q\"}]}",
     "d.json: queues[0] ('q'): 'vhost' is missing; definitions of a single virtual host cannot be "
     "loaded at start"},
    {"{\"queues\": [{\"vhost\":\"/\"}]}", "d.json: queues[0]: 'name' is missing"},
    {"{\"queues\": [{\"vhost\":\"/\",\"name\":5}]}", "d.json: queues[0]: 'name' is not a string"},
    {"{\"queues\": [{\"vhost\":\"/\",\"name\":\"\"}]}", "d.json: queues[0] (''): 'name' is empty"},
    {"{\"queues\": [{\"vhost\":\"/\",\"name\":\"q\",\"durable\":1}]}",
     "d.json: queues[0] ('q'): 'durable' is not a boolean"},
    {"{\"queues\": [{\"vhost\":\"/\",\"name\":\"q\",\"arguments\":{\"a\":null}}]}",
     "d.json: queues[0] ('q'): 'arguments': null is not a value"},
    {"{\"queues\": [{\"vhost\":\"/\",\"name\":\"q\",\"arguments\":{\"a\":[{\"b\":null}]}}]}",
     "d.json: queues[0] ('q'): 'arguments': null is not a value"},
    {"{\"queues\": [{\"vhost\":\"/\",\"name\":\"q\",\"arguments\":[1]}]}",
     "d.json: queues[0] ('q'): 'arguments' is not an object"},
    {"{\"exchanges\": [{\"vhost\":\"/\",\"name\":\"x\"}]}",
     "d.json: exchanges[0] ('x'): 'type' is missing"},
    {"{\"bindings\": [{\"vhost\":\"/\",\"source\":\"x\",\"destination\":\"q\","
     "\"destination_type\":\"topic\"}]}",
     "d.json: bindings[0]: 'destination_type' is neither \"queue\" nor \"exchange\""},
    {"{\"users\": [{\"name\":\"u\",\"password\":\"p\",\"password_hash\":\"h\"}]}",
     "d.json: users[0] ('u'): both_password_and_password_hash_are_provided"},
    {"{\"users\": [{\"name\":\"u\",\"password_hash\":\"h\",\"hashing_algorithm\":\"rot13\"}]}",
     "d.json: users[0] ('u'): hashing algorithm 'rot13' is not known"},
    {"{\"users\": [{\"name\":\"u\",\"tags\":5}]}",
     "d.json: users[0] ('u'): 'tags' is neither an array nor a string"},
    {"{\"users\": [{\"name\":\"u\",\"tags\":[5]}]}",
     "d.json: users[0] ('u'): a tag is not a string"},
    {"{\"permissions\": [{\"user\":\"u\",\"vhost\":\"/\",\"configure\":\"(\",\"write\":\"\","
     "\"read\":\"\"}]}",
     "d.json: permissions[0]: 'configure' is not a regular expression"},
    {"{\"permissions\": [{\"user\":\"u\",\"vhost\":\"/\",\"configure\":\"\",\"write\":\"\"}]}",
     "d.json: permissions[0]: 'read' is missing"},
    {"{\"policies\": [{\"vhost\":\"/\",\"name\":\"p\",\"pattern\":\"\"}]}",
     "d.json: policies[0] ('p'): 'definition' is missing"},
    {"{\"policies\": [{\"vhost\":\"/\",\"name\":\"p\",\"pattern\":\"\",\"definition\":{}}]}",
     "d.json: policies[0] ('p'): no policy provided"},
    {"{\"policies\": "
     "[{\"vhost\":\"/\",\"name\":\"p\",\"pattern\":\"\",\"definition\":{\"foo\":5}}]}",
     "d.json: policies[0] ('p'): [{<<\"foo\">>,5}] are not recognised policy settings"},
    {"{\"policies\": "
     "[{\"vhost\":\"/\",\"name\":\"p\",\"pattern\":\"(\",\"definition\":{\"expires\":5}}"
     "]}",
     "d.json: policies[0] ('p'): pattern should be regular expression but is invalid: {\"missing "
     "closing parenthesis\",1}"},
    {"{\"policies\": "
     "[{\"vhost\":\"/\",\"name\":\"p\",\"pattern\":\"\",\"definition\":{\"expires\":5},"
     "\"priority\":\"1\"}]}",
     "d.json: policies[0] ('p'): 'priority' is not a number"},
    {"{\"parameters\": [{\"component\":\"operator_policy\",\"vhost\":\"/\",\"name\":\"p\","
     "\"value\":{\"pattern\":\"\",\"definition\":{\"dead-letter-exchange\":\"x\"}}}]}",
     "d.json: parameters[0] ('p'): [{<<\"dead-letter-exchange\">>,<<\"x\">>}] are not recognised "
     "policy settings"},
    {"{\"parameters\": [{\"component\":\"c\",\"vhost\":\"/\",\"name\":\"p\"}]}",
     "d.json: parameters[0] ('p'): 'value' is missing"},
    {"{\"global_parameters\": [{\"value\":\"p\"}]}",
     "d.json: global_parameters[0]: 'name' is missing"},
};

START_TEST(test_refused)
{
    struct lev_definitions *d;
    ck_assert_int_eq(lev_definitions_parse("d.json", lev_bytes_str(refused[_i].json), &d, err), -1);
    ck_assert_str_eq(err, refused[_i].error);
    ck_assert_ptr_null(d);
}
END_TEST

START_TEST(test_nested)
{
    struct lev_definitions *d;
    char json[2048] = "{\"queues\":[{\"vhost\":\"/\",\"name\":\"q\",\"arguments\":{\"a\":";
    for (int i = 0; i < 100; i++)
        strcat(json, "[");
    for (int i = 0; i < 100; i++)
        strcat(json, "]");
    strcat(json, "}}]}");
    ck_assert_int_eq(lev_definitions_parse("d.json", lev_bytes_str(json), &d, err), -1);
    ck_assert_str_eq(err, "d.json: queues[0] ('q'): 'arguments': nested too deeply");
}
END_TEST

START_TEST(test_long_names)
{
    struct lev_definitions *d;
    char json[1024], name[257];
    memset(name, 'n', 256);
    name[256] = 0;
    snprintf(json, sizeof(json), "{\"queues\":[{\"vhost\":\"/\",\"name\":\"%s\"}]}", name);
    ck_assert_int_eq(lev_definitions_parse("d.json", lev_bytes_str(json), &d, err), -1);
    ck_assert_ptr_nonnull(strstr(err, "'name' is longer than 255 octets"));
    snprintf(json, sizeof(json),
             "{\"queues\":[{\"vhost\":\"/\",\"name\":\"q\",\"arguments\":{\"%s\":1}}]}", name);
    ck_assert_int_eq(lev_definitions_parse("d.json", lev_bytes_str(json), &d, err), -1);
    ck_assert_ptr_nonnull(strstr(err, "a key is longer than 255 octets"));
}
END_TEST

/* ---- What meta.db holds afterwards ---- */

static void note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void note(const char *fmt, ...)
{
    size_t n = strlen(seen);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(seen + n, sizeof(seen) - n, fmt, ap);
    va_end(ap);
}

static void on_user(void *ctx, const struct lev_meta_user *u)
{
    (void)ctx;
    note("user %.*s %.*s %.*s [%.*s]\n", LEV_FMT(u->name), LEV_FMT(u->password_hash),
         LEV_FMT(u->hashing_algorithm), LEV_FMT(u->tags));
}

static void on_vhost(void *ctx, const struct lev_meta_vhost *v)
{
    (void)ctx;
    note("vhost %.*s '%.*s' [%.*s] %.*s\n", LEV_FMT(v->name), LEV_FMT(v->description),
         LEV_FMT(v->tags), LEV_FMT(v->default_queue_type));
}

static void on_permission(void *ctx, const struct lev_meta_permission *p)
{
    (void)ctx;
    note("permission %.*s@%.*s %.*s %.*s %.*s\n", LEV_FMT(p->user), LEV_FMT(p->vhost),
         LEV_FMT(p->configure), LEV_FMT(p->write), LEV_FMT(p->read));
}

static void on_topic(void *ctx, const struct lev_meta_topic_permission *p)
{
    (void)ctx;
    note("topic %.*s@%.*s/%.*s %.*s %.*s\n", LEV_FMT(p->user), LEV_FMT(p->vhost),
         LEV_FMT(p->exchange), LEV_FMT(p->write), LEV_FMT(p->read));
}

static void on_policy(void *ctx, const struct lev_meta_policy *p)
{
    (void)ctx;
    note("%spolicy %.*s/%.*s '%.*s' %.*s %.*s %lld\n", p->of_operator ? "operator " : "",
         LEV_FMT(p->vhost), LEV_FMT(p->name), LEV_FMT(p->pattern), LEV_FMT(p->apply_to),
         LEV_FMT(p->definition), (long long)p->priority);
}

static void on_parameter(void *ctx, const struct lev_meta_parameter *p)
{
    (void)ctx;
    note("parameter '%.*s' '%.*s' %.*s=%.*s\n", LEV_FMT(p->vhost), LEV_FMT(p->component),
         LEV_FMT(p->name), LEV_FMT(p->value));
}

static const char *in_meta(void)
{
    seen[0] = 0;
    ck_assert_int_eq(lev_meta_each_user(meta, on_user, NULL), 0);
    ck_assert_int_eq(lev_meta_each_vhost(meta, on_vhost, NULL), 0);
    ck_assert_int_eq(lev_meta_each_permission(meta, on_permission, NULL), 0);
    ck_assert_int_eq(lev_meta_each_topic_permission(meta, on_topic, NULL), 0);
    ck_assert_int_eq(lev_meta_each_policy(meta, on_policy, NULL), 0);
    ck_assert_int_eq(lev_meta_each_parameter(meta, on_parameter, NULL), 0);
    return seen;
}

#define DEFAULT_VHOST "vhost / 'Default virtual host' [] \n"

static const char whole[] =
    "{\"rabbit_version\":\"3.10.8\",\"unknown\":{},\"users\":["
    "{\"name\":\"al\",\"password_hash\":\"hash\",\"hashing_algorithm\":"
    "\"rabbit_password_hashing_sha512\",\"tags\":[\"administrator\",\"x\"],\"limits\":{}},"
    "{\"name\":\"bo\",\"password_hash\":\"\",\"tags\":\"a,b\",\"limits\":{\"max-channels\":5}},"
    "{\"name\":\"cy\"}],"
    "\"vhosts\":[{\"name\":\"/"
    "\"},{\"name\":\"v\",\"limits\":[],\"metadata\":{\"description\":\"d\","
    "\"tags\":[\"t\"],\"default_queue_type\":\"undefined\"}},{\"name\":\"w\",\"description\":\"e\","
    "\"tags\":[\"u\"],\"default_queue_type\":\"quorum\",\"limits\":{\"max-queues\":1}}],"
    "\"permissions\":[{\"user\":\"al\",\"vhost\":\"v\",\"configure\":\".*\",\"write\":\"^w\","
    "\"read\":\"\"}],"
    "\"topic_permissions\":[{\"user\":\"al\",\"vhost\":\"v\",\"exchange\":\"amq.topic\","
    "\"write\":\"a\",\"read\":\"b\"}],"
    "\"global_parameters\":[{\"name\":\"cluster_name\",\"value\":\"rabbit@x\"}],"
    "\"parameters\":[{\"component\":\"shovel\",\"vhost\":\"v\",\"name\":\"s\",\"value\":{\"a\":[1]}"
    "},"
    "{\"component\":\"operator_policy\",\"vhost\":\"/"
    "\",\"name\":\"op\",\"value\":{\"pattern\":\"q\","
    "\"definition\":{\"max-length\":7},\"priority\":3,\"apply-to\":\"queues\"}}],"
    "\"policies\":[{\"vhost\":\"/\",\"name\":\"p\",\"pattern\":\"^q\",\"definition\":"
    "{\"message-ttl\":60000,\"max-length\":9},\"priority\":-1,\"apply-to\":\"classic_queues\"},"
    "{\"vhost\":\"v\",\"name\":\"ha\",\"pattern\":\"\",\"definition\":{\"ha-mode\":\"all\"}}]}";

static const char whole_in_meta[] =
    "user al hash rabbit_password_hashing_sha512 [administrator,x]\n"
    "user bo  rabbit_password_hashing_sha256 [a,b]\n"
    "user cy  rabbit_password_hashing_sha256 []\n"
    "vhost / '' [] \n"
    "vhost v 'd' [t] \n"
    "vhost w 'e' [u] quorum\n"
    "permission al@v .* ^w \n"
    "topic al@v/amq.topic a b\n"
    "policy //p '^q' classic_queues {\"message-ttl\":60000,\"max-length\":9} -1\n"
    "operator policy //op 'q' queues {\"max-length\":7} 3\n"
    "policy v/ha '' all {\"ha-mode\":\"all\"} 0\n"
    "parameter '' '' cluster_name=\"rabbit@x\"\n"
    "parameter '' 'user-limits' bo={\"max-channels\":5}\n"
    "parameter 'v' 'shovel' s={\"a\":[1]}\n"
    "parameter 'w' 'vhost-limits' limits={\"max-queues\":1}\n";

START_TEST(test_meta)
{
    ck_assert_str_eq(in_meta(), DEFAULT_VHOST);
    import(whole);
    ck_assert_str_eq(in_meta(), whole_in_meta);
    import(whole);
    ck_assert_str_eq(in_meta(), whole_in_meta);
    import(
        "{\"users\":[{\"name\":\"cy\",\"password_hash\":\"new\"}]}"); /* only adds and replaces */
    ck_assert_ptr_nonnull(strstr(in_meta(), "user bo "));
    ck_assert_ptr_nonnull(strstr(in_meta(), "user cy new "));
}
END_TEST

START_TEST(test_mark_and_empty)
{
    import("{}");
    import("\xef\xbb\xbf{\"users\":[]}");
    ck_assert_str_eq(in_meta(), DEFAULT_VHOST);
}
END_TEST

static const struct {
    const char *json, *error;
} incomplete[] = {
    {"{\"users\":[{\"name\":\"u\"}],\"permissions\":[{\"user\":\"u\",\"vhost\":\"nix\","
     "\"configure\":\"\",\"write\":\"\",\"read\":\"\"}]}",
     "d.json: permissions[0]: there is no vhost 'nix'"},
    {"{\"permissions\":[{\"user\":\"nobody\",\"vhost\":\"/\",\"configure\":\"\",\"write\":\"\","
     "\"read\":\"\"}]}",
     "d.json: permissions[0]: there is no user 'nobody'"},
    {"{\"users\":[{\"name\":\"u\"}],\"policies\":[{\"vhost\":\"nix\",\"name\":\"p\",\"pattern\":"
     "\"\","
     "\"definition\":{\"expires\":1}}]}",
     "d.json: policies[0] ('p'): there is no vhost 'nix'"},
    {"{\"users\":[{\"name\":\"u\"}],\"queues\":[{\"vhost\":\"nix\",\"name\":\"q\"}]}",
     "d.json: queues[0] ('q'): there is no vhost 'nix'"},
};

/* Nothing is left of an import that fails. */
START_TEST(test_incomplete)
{
    struct lev_definitions *d = parsed(incomplete[_i].json);
    ck_assert_int_eq(lev_definitions_import_meta(d, meta, err), -1);
    ck_assert_str_eq(err, incomplete[_i].error);
    lev_definitions_free(&d);
    ck_assert_str_eq(in_meta(), DEFAULT_VHOST);
    import("{\"users\":[{\"name\":\"u\"}]}"); /* meta.db is as good as before */
}
END_TEST

static void check_password(void *ctx, const struct lev_meta_user *u)
{
    ck_assert(lev_password_verify(u->password_hash, u->hashing_algorithm, lev_bytes_str(ctx)));
    ck_assert(!lev_password_verify(u->password_hash, u->hashing_algorithm, LEV_LIT("wrong")));
}

START_TEST(test_password)
{
    char password[] = "secret";
    import("{\"users\":[{\"name\":\"u\",\"password\":\"secret\"}]}");
    ck_assert_int_eq(lev_meta_each_user(meta, check_password, password), 0);
}
END_TEST

START_TEST(test_old_hashes)
{
    import("{\"rabbit_version\":\"3.5.7\",\"users\":[{\"name\":\"u\",\"password_hash\":\"h\"}]}");
    ck_assert_ptr_nonnull(strstr(in_meta(), "user u h rabbit_password_hashing_md5 []"));
    import("{\"rabbit_version\":\"3.6.0\",\"users\":[{\"name\":\"u\",\"password_hash\":\"h\"}]}");
    ck_assert_ptr_nonnull(strstr(in_meta(), "user u h rabbit_password_hashing_sha256 []"));
}
END_TEST

/* ---- What a vhost holds afterwards ---- */

static const struct lev_queue *queue(const char *name)
{
    return lev_map_get(&vhost->queues, lev_bytes_str(name));
}

static bool bound(const char *source, bool to_queue, const char *destination, const char *key,
                  struct lev_bytes arguments)
{
    struct lev_binding_def d = {.to_queue = to_queue,
                                .source = lev_bytes_str(source),
                                .destination = lev_bytes_str(destination),
                                .routing_key = lev_bytes_str(key),
                                .arguments = arguments};
    return lev_binding_exists(lev_vhost_topology(vhost), &d);
}

static const char topology[] =
    "{\"exchanges\":["
    "{\"vhost\":\"/\",\"name\":\"\",\"type\":\"direct\"},"
    "{\"vhost\":\"/\",\"name\":\"amq.direct\",\"type\":\"topic\"},"
    "{\"vhost\":\"/\",\"name\":\"amq.mine\",\"type\":\"topic\"},"
    "{\"vhost\":\"/\",\"name\":\"x\",\"type\":\"topic\"},"
    "{\"vhost\":\"v\",\"name\":\"elsewhere\",\"type\":\"topic\"},"
    "{\"vhost\":\"/\",\"name\":\"y\",\"type\":\"headers\",\"durable\":false,\"auto_delete\":true,"
    "\"internal\":true,\"arguments\":{\"alternate-exchange\":\"x\"}}],"
    "\"vhosts\":[{\"name\":\"v\"}],"
    "\"queues\":["
    "{\"vhost\":\"/\",\"name\":\"q\",\"arguments\":{\"x-max-length\":5,\"s\":\"t\",\"b\":true,"
    "\"d\":1.5,\"a\":[1,\"x\"],\"f\":{\"g\":2}}},"
    "{\"vhost\":\"/\",\"name\":\"k\",\"type\":\"quorum\",\"arguments\":[]},"
    "{\"vhost\":\"/\",\"name\":\"c\",\"type\":\"classic\",\"durable\":false,\"auto_delete\":true},"
    "{\"vhost\":\"v\",\"name\":\"elsewhere\"},"
    "{\"vhost\":\"/\",\"name\":\"amq.gen-x\"}],"
    "\"bindings\":["
    "{\"vhost\":\"/\",\"source\":\"\",\"destination\":\"q\",\"destination_type\":\"queue\","
    "\"routing_key\":\"q\"},"
    "{\"vhost\":\"/\",\"source\":\"x\",\"destination\":\"q\",\"destination_type\":\"queue\","
    "\"routing_key\":\"a.#\",\"arguments\":{}},"
    "{\"vhost\":\"/\",\"source\":\"x\",\"destination\":\"y\",\"destination_type\":\"exchange\","
    "\"arguments\":{\"n\":1},\"properties_key\":\"~\"},"
    "{\"vhost\":\"/\",\"source\":\"x\",\"destination\":\"amq.gen-x\","
    "\"destination_type\":\"queue\"}]}";

START_TEST(test_topology)
{
    struct lev_topology *t = lev_vhost_topology(vhost);
    struct lev_buf n;
    import(topology);
    import(topology);
    const struct lev_exchange *x = lev_exchange_get(t, LEV_LIT("x"));
    const struct lev_exchange *y = lev_exchange_get(t, LEV_LIT("y"));
    ck_assert(x && y);
    ck_assert(lev_exchange_def_of(x)->durable && !lev_exchange_def_of(x)->auto_delete);
    ck_assert(!lev_exchange_def_of(y)->durable && lev_exchange_def_of(y)->auto_delete);
    ck_assert(lev_exchange_is_internal(y) && !lev_exchange_is_internal(x));
    ck_assert(lev_bytes_eq(lev_exchange_def_of(y)->type, LEV_LIT("headers")));
    ck_assert_ptr_null(lev_exchange_get(t, LEV_LIT("amq.mine")));
    ck_assert_ptr_null(lev_exchange_get(t, LEV_LIT("elsewhere")));
    ck_assert_uint_eq(vhost->queues.len, 3);
    ck_assert(queue("q")->dest.durable && !queue("q")->auto_delete);
    ck_assert(!queue("c")->dest.durable && queue("c")->auto_delete);
    ck_assert_int_eq(queue("k")->settings->type, LEV_QUEUE_QUORUM);
    lev_buf_init(&n);
    lev_table_put_long(&n, "n", 1);
    ck_assert(bound("x", true, "q", "a.#", LEV_EMPTY));
    ck_assert(bound("x", false, "y", "", lev_buf_view(&n)));
    ck_assert(!bound("x", false, "y", "", LEV_EMPTY));
    lev_buf_deinit(&n);
}
END_TEST

/* JSON has fewer types than AMQP: which ones are taken. */
START_TEST(test_argument_types)
{
    static const struct {
        const char *key;
        uint8_t type;
    } types[] = {{"x-max-length", 'l'}, {"s", 'S'}, {"b", 't'}, {"d", 'd'}, {"a", 'A'}, {"f", 'F'}};
    struct lev_value v, inner;
    import(topology);
    struct lev_bytes a = lev_queue_arguments(queue("q"));
    ck_assert_int_eq(lev_table_validate(a), 0);
    for (int i = 0; i < COUNT(types); i++) {
        ck_assert(lev_table_get(a, types[i].key, &v));
        ck_assert_int_eq(v.type, types[i].type);
    }
    ck_assert(lev_table_get(v.b, "g", &inner) && inner.type == 'l' && inner.i == 2);
    ck_assert_uint_eq(queue("q")->settings->max_length, 5);
}
END_TEST

START_TEST(test_stays_as_it_is)
{
    import("{\"queues\":[{\"vhost\":\"/\",\"name\":\"q\",\"arguments\":{\"x-expires\":1000}}],"
           "\"exchanges\":[{\"vhost\":\"/\",\"name\":\"x\",\"type\":\"fanout\"}]}");
    import(topology);
    ck_assert_uint_eq(queue("q")->settings->max_length, LEV_UNLIMITED);
    ck_assert_uint_eq(queue("q")->settings->expires_ms, 1000);
    const struct lev_exchange *x = lev_exchange_get(lev_vhost_topology(vhost), LEV_LIT("x"));
    ck_assert(lev_bytes_eq(lev_exchange_def_of(x)->type, LEV_LIT("fanout")));
}
END_TEST

static const struct {
    const char *json, *error;
} wrong_topology[] = {
    {"{\"exchanges\":[{\"vhost\":\"/\",\"name\":\"x\",\"type\":\"odd\"}]}",
     "d.json: exchanges[0] ('x'): unknown exchange type 'odd'"},
    {"{\"queues\":[{\"vhost\":\"/\",\"name\":\"q\",\"arguments\":{\"x-expires\":0}}]}",
     "d.json: queues[0] ('q'): invalid arg 'x-expires' for queue 'q' in vhost '/': {value_zero,0}"},
    {"{\"bindings\":[{\"vhost\":\"/\",\"source\":\"nix\",\"destination\":\"q\","
     "\"destination_type\":\"queue\"}]}",
     "d.json: bindings[0]: no exchange 'nix' in vhost '/'"},
    {"{\"bindings\":[{\"vhost\":\"/\",\"source\":\"amq.topic\",\"destination\":\"nix\","
     "\"destination_type\":\"queue\"}]}",
     "d.json: bindings[0]: no queue 'nix' in vhost '/'"},
};

START_TEST(test_wrong_topology)
{
    struct lev_definitions *d = parsed(wrong_topology[_i].json);
    ck_assert_int_eq(lev_definitions_import_vhost(d, vhost, err), -1);
    ck_assert_str_eq(err, wrong_topology[_i].error);
    lev_definitions_free(&d);
}
END_TEST

/* More than one slice, in the store as well. */
START_TEST(test_many)
{
    size_t cap = 200000;
    char *json = malloc(cap);
    ck_assert_ptr_nonnull(json);
    int n = snprintf(json, cap, "{\"queues\":[");
    for (int i = 0; i < 1000; i++)
        n += snprintf(json + n, cap - (size_t)n, "%s{\"vhost\":\"/\",\"name\":\"q%d\"}",
                      i ? "," : "", i);
    snprintf(json + n, cap - (size_t)n, "]}");
    import(json);
    free(json);
    ck_assert_uint_eq(vhost->queues.len, 1000);
    ck_assert(lev_store_mem_woken(store));
}
END_TEST

/* ---- Policies out of meta.db ---- */

START_TEST(test_policies)
{
    struct lev_policy_set *set;
    struct lev_meta_policy broken = {.vhost = LEV_LIT("/"),
                                     .name = LEV_LIT("broken"),
                                     .pattern = LEV_LIT(""),
                                     .apply_to = LEV_LIT("all"),
                                     .definition = LEV_LIT("{\"new-setting\":1}")};
    import(whole);
    ck_assert_int_eq(lev_meta_put_policy(meta, &broken), 0);
    broken.name = LEV_LIT("damaged");
    broken.definition = LEV_LIT("{");
    ck_assert_int_eq(lev_meta_put_policy(meta, &broken), 0);
    ck_assert_int_eq(lev_definitions_policies(meta, LEV_LIT("/"), &set, err), 0);
    ck_assert_uint_eq(lev_policy_set_count(set, LEV_USER_POLICY), 1);
    ck_assert_uint_eq(lev_policy_set_count(set, LEV_OPERATOR_POLICY), 1);
    lev_vhost_set_policies(vhost, set);
    import("{\"queues\":[{\"vhost\":\"/\",\"name\":\"q1\"},{\"vhost\":\"/\",\"name\":\"r\"}]}");
    ck_assert_uint_eq(queue("q1")->settings->message_ttl_ms, 60000);
    ck_assert_uint_eq(queue("q1")->settings->max_length, 7);
    ck_assert_uint_eq(queue("r")->settings->message_ttl_ms, LEV_UNLIMITED);
    ck_assert_int_eq(lev_definitions_policies(meta, LEV_LIT("w"), &set, err), 0);
    ck_assert_ptr_null(set);
}
END_TEST

/* ---- Files ---- */

static void write_file(const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    ck_assert_int_ge(fputs(text, f), 0);
    ck_assert_int_eq(fclose(f), 0);
}

START_TEST(test_files)
{
    char path[256], expected[512];
    struct lev_definitions *d;
    snprintf(path, sizeof(path), "%s/d", dir);
    ck_assert_int_eq(lev_definitions_read(path, &d, err), -1);
    snprintf(expected, sizeof(expected), "cannot read %s: No such file or directory", path);
    ck_assert_str_eq(err, expected);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    write_file("d/20.json", "{\"users\":[{\"name\":\"u\",\"password_hash\":\"second\"}]}");
    write_file("d/10.json", "{\"users\":[{\"name\":\"u\",\"password_hash\":\"first\"},"
                            "{\"name\":\"v\",\"password_hash\":\"first\"}]}");
    write_file("d/.hidden", "no JSON");
    ck_assert_msg(lev_definitions_read(path, &d, err) == 0, "%s", err);
    ck_assert_int_eq(lev_definitions_import_meta(d, meta, err), 0);
    lev_definitions_free(&d);
    ck_assert_ptr_nonnull(strstr(in_meta(), "user u second "));
    ck_assert_ptr_nonnull(strstr(in_meta(), "user v first "));
    snprintf(path, sizeof(path), "%s/d/10.json", dir);
    ck_assert_msg(lev_definitions_read(path, &d, err) == 0, "%s", err);
    lev_definitions_free(&d);
    write_file("d/10.json", "{\"users\":\n {}}");
    ck_assert_int_eq(lev_definitions_read(path, &d, err), -1);
    snprintf(expected, sizeof(expected), "%s: 'users' is not an array", path);
    ck_assert_str_eq(err, expected);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("definitions");
    TCase *tc = tcase_create("definitions");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, test_refused, 0, COUNT(refused));
    tcase_add_test(tc, test_nested);
    tcase_add_test(tc, test_long_names);
    tcase_add_test(tc, test_meta);
    tcase_add_test(tc, test_mark_and_empty);
    tcase_add_loop_test(tc, test_incomplete, 0, COUNT(incomplete));
    tcase_add_test(tc, test_password);
    tcase_add_test(tc, test_old_hashes);
    tcase_add_test(tc, test_topology);
    tcase_add_test(tc, test_argument_types);
    tcase_add_test(tc, test_stays_as_it_is);
    tcase_add_loop_test(tc, test_wrong_topology, 0, COUNT(wrong_topology));
    tcase_add_test(tc, test_many);
    tcase_add_test(tc, test_policies);
    tcase_add_test(tc, test_files);
    suite_add_tcase(s, tc);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
