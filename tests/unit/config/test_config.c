/* Tests of src/config: each source, what wins, and what is refused with which words. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "config/config.h"

/* ---- A world of its own: an environment, a file, and what was warned about ---- */

static struct {
    const char *const *env; /* name, value, ..., NULL */
    char path[64];
    char warnings[2048];
    char err[LEV_CONFIG_ERR_MAX];
    struct lev_config c;
    enum lev_config_action action;
} t;

static const char *env(void *ctx, const char *name)
{
    (void)ctx;
    for (const char *const *e = t.env; e && *e; e += 2)
        if (strcmp(e[0], name) == 0)
            return e[1];
    return NULL;
}

static void warn(void *ctx, const char *line)
{
    (void)ctx;
    size_t n = strlen(t.warnings);
    snprintf(t.warnings + n, sizeof(t.warnings) - n, "%s\n", line);
}

static void write_file(const char *text)
{
    FILE *f = fopen(t.path, "w");
    ck_assert_ptr_nonnull(f);
    ck_assert_int_ge(fputs(text, f), 0);
    ck_assert_int_eq(fclose(f), 0);
}

static void setup(void)
{
    memset(&t, 0, sizeof(t));
    strcpy(t.path, "/tmp/leveret-test-XXXXXX");
    int fd = mkstemp(t.path);
    ck_assert_int_ge(fd, 0);
    close(fd);
}

static void teardown(void)
{
    lev_config_deinit(&t.c);
    unlink(t.path);
}

/* Loads with up to six arguments, NULL after the last. */
static int load(const char *a, const char *b, const char *c, const char *d, const char *e,
                const char *f)
{
    const char *args[] = {"leveretd", a, b, c, d, e, f, NULL};
    char *argv[8] = {0};
    int argc = 0, rc;
    struct lev_config_world w = {env, warn, NULL};
    for (; args[argc]; argc++)
        ck_assert_ptr_nonnull(argv[argc] = strdup(args[argc]));
    lev_config_deinit(&t.c);
    rc = lev_config_load(&t.c, argc, argv, &w, &t.action, t.err);
    for (int i = 0; i < argc; i++)
        free(argv[i]);
    return rc;
}

/* Loads the text as a file; --data-dir given. */
static int load_text(const char *text)
{
    write_file(text);
    return load("--config", t.path, "--data-dir", "/d", NULL, NULL);
}

static void load_ok(const char *text)
{
    int rc = load_text(text);
    ck_assert_msg(rc == 0, "%s", t.err);
}

START_TEST(test_defaults)
{
    ck_assert_int_eq(load("--data-dir", "/d", NULL, NULL, NULL, NULL), 0);
    ck_assert_int_eq((int)t.action, LEV_CONFIG_RUN);
    ck_assert_str_eq(t.c.data_dir, "/d");
    ck_assert_uint_eq(t.c.n_listeners, 1);
    ck_assert_ptr_null(t.c.listeners[0].host);
    ck_assert_int_eq(t.c.listeners[0].port, 5672);
    ck_assert_int_eq(t.c.management_port, -1);
    ck_assert_int_eq(t.c.loops, 0);
    ck_assert(!t.c.no_busy_wait);
    ck_assert_int_eq(t.c.log_level, LEV_LOG_INFO);
    ck_assert_uint_eq(t.c.frame_max, 131072);
    ck_assert_uint_eq(t.c.channel_max, 2047);
    ck_assert_uint_eq(t.c.heartbeat_s, 60);
    ck_assert_uint_eq(t.c.handshake_ms, 10000);
    ck_assert_uint_eq(t.c.max_message_size, 134217728);
    ck_assert_str_eq(t.c.default_user, "guest");
    ck_assert_str_eq(t.c.default_password, "guest");
    ck_assert_str_eq(t.c.default_vhost, "/");
    ck_assert_ptr_null(t.c.cluster_name);
    ck_assert(!t.c.loopback_users_set);
}
END_TEST

START_TEST(test_file)
{
    load_ok("# a comment\n"
            "\n"
            "  handshake_timeout=5000   # another\n"
            "heartbeat = 30\r\n"
            "frame_max = 8192\n"
            "channel_max = 0\n"
            "max_message_size = 1000\n"
            "consumer_timeout = 60000\n"
            "default_user = app\n"
            "default_pass = 'a#b c'\n"
            "default_vhost = /prod\n"
            "cluster_name = hare@field\n"
            "log.console = true\n"
            "log.console.level = warning\n"
            "heartbeat = 31"); /* the last one wins; no newline at the end */
    ck_assert_uint_eq(t.c.handshake_ms, 5000);
    ck_assert_uint_eq(t.c.heartbeat_s, 31);
    ck_assert_uint_eq(t.c.frame_max, 8192);
    ck_assert_uint_eq(t.c.channel_max, 0);
    ck_assert_uint_eq(t.c.max_message_size, 1000);
    ck_assert_uint_eq(t.c.consumer_timeout_ms, 60000);
    ck_assert_str_eq(t.c.default_user, "app");
    ck_assert_str_eq(t.c.default_password, "a#b c");
    ck_assert_str_eq(t.c.default_vhost, "/prod");
    ck_assert_str_eq(t.c.cluster_name, "hare@field");
    ck_assert_int_eq(t.c.log_level, LEV_LOG_WARNING);
    ck_assert_str_eq(t.warnings, "");
}
END_TEST

static const struct {
    const char *value, *host;
    int port;
} addresses[] = {
    {"5673", NULL, 5673}, {"127.0.0.1:5674", "127.0.0.1", 5674},   {"[::1]:5675", "::1", 5675},
    {"0", NULL, 0},       {"[fe80::1%eth0]:1", "fe80::1%eth0", 1},
};

START_TEST(test_listener)
{
    char text[128];
    snprintf(text, sizeof(text), "listeners.tcp.default = %s\n", addresses[_i].value);
    load_ok(text);
    ck_assert_uint_eq(t.c.n_listeners, 1);
    ck_assert_int_eq(t.c.listeners[0].port, addresses[_i].port);
    if (addresses[_i].host)
        ck_assert_str_eq(t.c.listeners[0].host, addresses[_i].host);
    else
        ck_assert_ptr_null(t.c.listeners[0].host);
}
END_TEST

START_TEST(test_listeners)
{
    load_ok("listeners.tcp.1 = 127.0.0.1:1\nlisteners.tcp.2 = [::1]:2\nlisteners.tcp.1 = 3\n");
    ck_assert_uint_eq(t.c.n_listeners, 2);
    ck_assert_int_eq(t.c.listeners[0].port, 3);
    ck_assert_int_eq(t.c.listeners[1].port, 2);
    load_ok("listeners.tcp = none\n");
    ck_assert_uint_eq(t.c.n_listeners, 0);
    load_ok("listeners.tcp.x = 1\nlisteners.tcp = none\nlisteners.tcp.y = 2\n");
    ck_assert_uint_eq(t.c.n_listeners, 1);
    ck_assert_int_eq(t.c.listeners[0].port, 2);
}
END_TEST

START_TEST(test_loopback_users)
{
    load_ok("loopback_users.guest = false\n");
    ck_assert(t.c.loopback_users_set);
    ck_assert_ptr_null(t.c.loopback_users[0]);
    load_ok("loopback_users = none\n");
    ck_assert(t.c.loopback_users_set);
    ck_assert_ptr_null(t.c.loopback_users[0]);
    load_ok("loopback_users.a = true\nloopback_users.b = true\nloopback_users.c = true\n"
            "loopback_users.a = false\nloopback_users.b = true\n");
    ck_assert_uint_eq(t.c.n_loopback_users, 2);
    ck_assert_str_eq(t.c.loopback_users[0], "c");
    ck_assert_str_eq(t.c.loopback_users[1], "b");
    ck_assert_ptr_null(t.c.loopback_users[2]);
    load_ok("loopback_users.a = true\nloopback_users = none\n");
    ck_assert_uint_eq(t.c.n_loopback_users, 0);
}
END_TEST

START_TEST(test_not_implemented)
{
    char expected[1024];
    load_ok("vm_memory_high_watermark.relative = 0.4\n"
            "log.file.rotation.date = $D0\n"
            "log.console = false\n"
            "management.tcp.port = 15672\n");
    snprintf(expected, sizeof(expected),
             "%s:1: 'vm_memory_high_watermark.relative' is not implemented and has no effect\n"
             "%s:2: 'log.file.rotation.date' is not implemented and has no effect\n"
             "%s:3: 'log.console' is not implemented and has no effect\n"
             "%s:4: 'management.tcp.port' is not implemented and has no effect\n",
             t.path, t.path, t.path, t.path);
    ck_assert_str_eq(t.warnings, expected);
}
END_TEST

static const struct {
    const char *text;
    int line;
    const char *what;
} errors[] = {
    {"heartbeat = 1\nheartbeet = 60\n", 2, "unknown key 'heartbeet'"},
    {"listeners = 5672\n", 1, "unknown key 'listeners'"},
    {"listeners.tcp.a.b = 5672\n", 1, "unknown key 'listeners.tcp.a.b'"},
    {"listeners.tcp. = 5672\n", 1, "unknown key 'listeners.tcp.'"},
    {"mqtt = 1\n", 1, "unknown key 'mqtt'"},
    {"heartbeat\n", 1, "not of the form 'key = value'"},
    {"= 5\n", 1, "not of the form 'key = value'"},
    {"heart beat = 5\n", 1, "not of the form 'key = value'"},
    {"[{rabbit, []}].\n", 1, "not of the form 'key = value'"},
    {"\n\nheartbeat =\n", 3, "a value is missing after '='"},
    {"heartbeat = # 5\n", 1, "a value is missing after '='"},
    {"default_pass = 'abc\n", 1, "the quote is not closed"},
    {"default_pass = 'abc' d\n", 1, "something follows the closing quote"},
    {"default_pass = encrypted:abc\n", 1, "default_pass: encrypted values are not supported"},
    {"default_user = ''\n", 1, "default_user: '' is not a name"},
    {"default_user = $(LEV_NO_SUCH)\n", 1, "the environment variable 'LEV_NO_SUCH' is not set"},
    {"default_user = $(X\n", 1, "$( is not closed"},
    {"heartbeat = -1\n", 1, "heartbeat: '-1' is not a number from 0 to 65535"},
    {"heartbeat = 65536\n", 1, "heartbeat: '65536' is not a number from 0 to 65535"},
    {"heartbeat = 6x\n", 1, "heartbeat: '6x' is not a number from 0 to 65535"},
    {"heartbeat = 99999999999999999999\n", 1,
     "heartbeat: '99999999999999999999' is not a number from 0 to 65535"},
    {"frame_max = 4095\n", 1, "frame_max: '4095' is not a number from 4096 to 4294967295"},
    {"handshake_timeout = 0\n", 1, "handshake_timeout: '0' is not a number from 1 to 4294967295"},
    {"max_message_size = 536870913\n", 1,
     "max_message_size: '536870913' is not a number from 1 to 536870912"},
    {"log.console.level = loud\n", 1, "log.console.level: 'loud' is not a log level"},
    {"load_definitions = ''\n", 1, "load_definitions: '' is not a name"},
    {"definitions.import_backend = magic\n", 1,
     "definitions.import_backend: 'magic' is not 'local_filesystem'"},
    {"log.console = maybe\n", 1, "log.console: 'maybe' is not true or false"},
    {"loopback_users.guest = no\n", 1, "loopback_users.guest: 'no' is not true or false"},
    {"loopback_users = guest\n", 1, "loopback_users: 'guest' is not 'none'"},
    {"listeners.tcp = 5672\n", 1, "listeners.tcp: '5672' is not 'none'"},
    {"listeners.tcp.a = ::1:5672\n", 1,
     "listeners.tcp.a: '::1:5672' is not a port or address:port"},
    {"listeners.tcp.a = :5672\n", 1, "listeners.tcp.a: ':5672' is not a port or address:port"},
    {"listeners.tcp.a = 65536\n", 1, "listeners.tcp.a: '65536' is not a port or address:port"},
    {"listeners.tcp.a = localhost:\n", 1,
     "listeners.tcp.a: 'localhost:' is not a port or address:port"},
};

START_TEST(test_error)
{
    char expected[512];
    ck_assert_int_eq(load_text(errors[_i].text), -1);
    snprintf(expected, sizeof(expected), "%s:%d: %s", t.path, errors[_i].line, errors[_i].what);
    ck_assert_str_eq(t.err, expected);
}
END_TEST

START_TEST(test_too_many)
{
    char text[4096] = "", line[64];
    for (int i = 0; i <= LEV_CONFIG_LISTENERS_MAX; i++) {
        snprintf(line, sizeof(line), "listeners.tcp.%d = %d\n", i, i + 1);
        strcat(text, line);
    }
    ck_assert_int_eq(load_text(text), -1);
    ck_assert_ptr_nonnull(strstr(t.err, ":17: listeners.tcp.16: more than 16 listeners"));
    text[0] = 0;
    for (int i = 0; i <= LEV_CONFIG_USERS_MAX; i++) {
        snprintf(line, sizeof(line), "loopback_users.u%d = true\n", i);
        strcat(text, line);
    }
    ck_assert_int_eq(load_text(text), -1);
    ck_assert_ptr_nonnull(strstr(t.err, ":33: loopback_users.u32: more than 32 users"));
}
END_TEST

START_TEST(test_nul_in_file)
{
    FILE *f = fopen(t.path, "w");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite("heartbeat = 1\0\n", 1, 15, f), 15);
    ck_assert_int_eq(fclose(f), 0);
    ck_assert_int_eq(load("--config", t.path, "--data-dir", "/d", NULL, NULL), -1);
    ck_assert_ptr_nonnull(strstr(t.err, ":1: not a line of text"));
}
END_TEST

START_TEST(test_missing_file)
{
    ck_assert_int_eq(load("--config", "/nonexistent/x.conf", NULL, NULL, NULL, NULL), -1);
    ck_assert_str_eq(t.err, "cannot read /nonexistent/x.conf: No such file or directory");
    ck_assert_int_eq(load("--config", "/", NULL, NULL, NULL, NULL), -1);
    ck_assert_str_eq(t.err, "cannot read /: Is a directory");
}
END_TEST

START_TEST(test_interpolation)
{
    static const char *const vars[] = {"WHO", "hare", "EMPTY", "", NULL};
    t.env = vars;
    load_ok("default_user = a$(WHO)b$(EMPTY)c\ndefault_pass = '$(WHO)#$'\n");
    ck_assert_str_eq(t.c.default_user, "aharebc");
    ck_assert_str_eq(t.c.default_password, "hare#$");
}
END_TEST

START_TEST(test_environment)
{
    static const char *const vars[] = {"RABBITMQ_NODE_PORT",
                                       "5700",
                                       "RABBITMQ_NODE_IP_ADDRESS",
                                       "127.0.0.1",
                                       "RABBITMQ_DEFAULT_USER",
                                       "eu",
                                       "RABBITMQ_DEFAULT_PASS",
                                       "ep",
                                       "RABBITMQ_DEFAULT_VHOST",
                                       "ev",
                                       "RABBITMQ_NODENAME",
                                       "rabbit@box",
                                       NULL};
    t.env = vars;
    load_ok("default_user = fu\ndefault_pass = fp\n");
    ck_assert_str_eq(t.c.default_user, "eu");
    ck_assert_str_eq(t.c.default_password, "ep");
    ck_assert_str_eq(t.c.default_vhost, "ev");
    ck_assert_str_eq(t.c.cluster_name, "rabbit@box");
    ck_assert_str_eq(t.c.listeners[0].host, "127.0.0.1");
    ck_assert_int_eq(t.c.listeners[0].port, 5700);
    load_ok("listeners.tcp.default = 5800\ncluster_name = c\n");
    ck_assert_uint_eq(t.c.n_listeners, 1);
    ck_assert_ptr_null(t.c.listeners[0].host);
    ck_assert_int_eq(t.c.listeners[0].port, 5800);
    ck_assert_str_eq(t.c.cluster_name, "c");
}
END_TEST

START_TEST(test_environment_error)
{
    static const char *const vars[] = {"RABBITMQ_NODE_PORT", "amqp", NULL};
    t.env = vars;
    ck_assert_int_eq(load("--data-dir", "/d", NULL, NULL, NULL, NULL), -1);
    ck_assert_str_eq(t.err, "RABBITMQ_NODE_PORT: 'amqp' is not a port number");
}
END_TEST

START_TEST(test_environment_file)
{
    char without[64];
    const char *vars[] = {"RABBITMQ_CONFIG_FILE", without, NULL};
    strcpy(without, t.path);
    strcat(t.path, ".conf");
    write_file("heartbeat = 7\n");
    unlink(without);
    t.env = vars;
    ck_assert_int_eq(load("--data-dir", "/d", NULL, NULL, NULL, NULL), 0);
    ck_assert_uint_eq(t.c.heartbeat_s, 7);
    strcat(without, ".conf");
    ck_assert_int_eq(load("--data-dir", "/d", NULL, NULL, NULL, NULL), 0);
    ck_assert_uint_eq(t.c.heartbeat_s, 7);
    strcat(without, ".no");
    ck_assert_int_eq(load("--data-dir", "/d", NULL, NULL, NULL, NULL), -1);
    ck_assert_ptr_nonnull(strstr(t.err, ".conf.no: No such file or directory"));
}
END_TEST

START_TEST(test_command_line_wins)
{
    static const char *const vars[] = {"RABBITMQ_NODE_PORT", "5700", NULL};
    t.env = vars;
    write_file("listeners.tcp.a = [::1]:1\nlisteners.tcp.b = 2\nlog.console.level = error\n");
    ck_assert_int_eq(load("--config", t.path, "--port=0", "--data-dir=/x", "--log-level=debug",
                          "--management-port=0"),
                     0);
    ck_assert_uint_eq(t.c.n_listeners, 1);
    ck_assert_ptr_null(t.c.listeners[0].host);
    ck_assert_int_eq(t.c.listeners[0].port, 0);
    ck_assert_int_eq(t.c.log_level, LEV_LOG_DEBUG);
    ck_assert_int_eq(t.c.management_port, 0);
    ck_assert_int_eq(load("--config", t.path, "--bind", "127.0.0.1", "--loops=3", "--data-dir=/x"),
                     0);
    ck_assert_str_eq(t.c.listeners[0].host, "127.0.0.1");
    ck_assert_int_eq(t.c.listeners[0].port, 5672);
    ck_assert_int_eq(t.c.loops, 3);
    ck_assert_int_eq(t.c.log_level, LEV_LOG_ERROR);
}
END_TEST

START_TEST(test_busy_wait)
{
    ck_assert_int_eq(load("--data-dir", "/d", "--busy-wait", "never", NULL, NULL), 0);
    ck_assert(t.c.no_busy_wait);
    ck_assert_int_eq(load("--data-dir", "/d", "--busy-wait", "auto", NULL, NULL), 0);
    ck_assert(!t.c.no_busy_wait);
}
END_TEST

START_TEST(test_definitions)
{
    ck_assert_int_eq(load("--data-dir", "/d", NULL, NULL, NULL, NULL), 0);
    ck_assert_ptr_null(t.c.definitions);
    load_ok("load_definitions = /etc/defs.json\n");
    ck_assert_str_eq(t.c.definitions, "/etc/defs.json");
    load_ok("definitions.import_backend = local_filesystem\ndefinitions.local.path = /etc/d\n");
    ck_assert_str_eq(t.c.definitions, "/etc/d");
    ck_assert_str_eq(t.warnings, "");
    ck_assert_int_eq(load("--config", t.path, "--data-dir=/d", "--load-definitions", "/mine", NULL),
                     0);
    ck_assert_str_eq(t.c.definitions, "/mine");
    load_ok("definitions.import_backend = https\ndefinitions.https.url = x\n");
    ck_assert_ptr_null(t.c.definitions);
    ck_assert_ptr_nonnull(strstr(t.warnings, "'definitions.import_backend' is not implemented"));
    ck_assert_ptr_nonnull(strstr(t.warnings, "'definitions.https.url' is not implemented"));
}
END_TEST

static const struct {
    const char *a, *b, *what;
} bad_options[] = {
    {"--frobnicate", NULL, "unknown option '--frobnicate'; see --help"},
    {"-p", NULL, "unknown option '-p'; see --help"},
    {"--port", NULL, "--port: a value is missing"},
    {"--port", "65536", "--port: '65536' is not a number from 0 to 65535"},
    {"--port", "x", "--port: 'x' is not a number from 0 to 65535"},
    {"--port=", NULL, "--port: '' is not a number from 0 to 65535"},
    {"--management-port", "-1", "--management-port: '-1' is not a number from 0 to 65535"},
    {"--loops", "0", "--loops: '0' is not a number from 1 to 1024"},
    {"--busy-wait", "off", "--busy-wait: 'off' is neither auto nor never"},
    {"--data-dir=", NULL, "--data-dir: a value is missing"},
    {"--load-definitions=", NULL, "--load-definitions: a value is missing"},
    {"--log-level", "loud", "--log-level: 'loud' is not a log level"},
    {"start", NULL, "unexpected argument 'start'; see --help"},
    {"--data-dir=/d", "now", "unexpected argument 'now'; see --help"},
};

START_TEST(test_bad_option)
{
    ck_assert_int_eq(load(bad_options[_i].a, bad_options[_i].b, NULL, NULL, NULL, NULL), -1);
    ck_assert_str_eq(t.err, bad_options[_i].what);
}
END_TEST

START_TEST(test_help_and_version)
{
    ck_assert_int_eq(load("--help", "--port", "x", NULL, NULL, NULL), 0);
    ck_assert_int_eq((int)t.action, LEV_CONFIG_HELP);
    ck_assert_int_eq(load("--version", NULL, NULL, NULL, NULL, NULL), 0);
    ck_assert_int_eq((int)t.action, LEV_CONFIG_VERSION);
}
END_TEST

START_TEST(test_usage)
{
    static const char *const options[] = {
        "--config FILE",    "--data-dir DIR",         "--bind ADDR",
        "--port N",         "--management-port N",    "--loops N",
        "--busy-wait WHEN", "--log-level LEVEL",      "--version",
        "--help",           "--load-definitions FILE"};
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);
    ck_assert_ptr_nonnull(f);
    lev_config_usage(f);
    ck_assert_int_eq(fclose(f), 0);
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
        ck_assert_msg(strstr(text, options[i]) != NULL, "%s is not explained", options[i]);
    free(text);
}
END_TEST

START_TEST(test_data_dir)
{
    /* As root /var/lib is writable, and is the answer whatever the rest says. */
    bool system = access("/var/lib/leveret", W_OK) == 0 || access("/var/lib", W_OK) == 0;
    static const char *const both[] = {"HOME", "/home/x", "XDG_STATE_HOME", "/s", NULL};
    static const char *const home[] = {"HOME", "/home/x", "XDG_STATE_HOME", "", NULL};
    t.env = both;
    ck_assert_int_eq(load(NULL, NULL, NULL, NULL, NULL, NULL), 0);
    ck_assert_str_eq(t.c.data_dir, system ? "/var/lib/leveret" : "/s/leveret");
    t.env = home;
    ck_assert_int_eq(load(NULL, NULL, NULL, NULL, NULL, NULL), 0);
    ck_assert_str_eq(t.c.data_dir, system ? "/var/lib/leveret" : "/home/x/.local/state/leveret");
    t.env = NULL;
    ck_assert_int_eq(load(NULL, NULL, NULL, NULL, NULL, NULL), system ? 0 : -1);
}
END_TEST

#define COUNT(a) (sizeof(a) / sizeof(*(a)))

static Suite *config_suite(void)
{
    Suite *s = suite_create("config");
    TCase *c = tcase_create("config");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, test_defaults);
    tcase_add_test(c, test_file);
    tcase_add_loop_test(c, test_listener, 0, COUNT(addresses));
    tcase_add_test(c, test_listeners);
    tcase_add_test(c, test_loopback_users);
    tcase_add_test(c, test_not_implemented);
    tcase_add_loop_test(c, test_error, 0, COUNT(errors));
    tcase_add_test(c, test_too_many);
    tcase_add_test(c, test_nul_in_file);
    tcase_add_test(c, test_missing_file);
    tcase_add_test(c, test_interpolation);
    tcase_add_test(c, test_environment);
    tcase_add_test(c, test_environment_error);
    tcase_add_test(c, test_environment_file);
    tcase_add_test(c, test_command_line_wins);
    tcase_add_test(c, test_busy_wait);
    tcase_add_test(c, test_definitions);
    tcase_add_loop_test(c, test_bad_option, 0, COUNT(bad_options));
    tcase_add_test(c, test_help_and_version);
    tcase_add_test(c, test_usage);
    tcase_add_test(c, test_data_dir);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    SRunner *r = srunner_create(config_suite());
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
