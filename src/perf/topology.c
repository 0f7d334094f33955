/* Topology. Queues are NAME, or NAME-0000, NAME-0001 and on. With a direct or topic exchange key k
 * is "bBBBB.m.qQQQQ", with Q = k % queues and B = k / queues; topic patterns put "*" or "#" in its
 * middle, alternately, so that each message matches exactly one binding. A fanout exchange needs
 * one key and copies to every queue. */
#include "perf/topology.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *format_name(const char *format, const char *stem, size_t a, size_t b)
{
    char text[300];

    snprintf(text, sizeof text, format, stem, a, b);
    return strdup(text);
}

static char *queue_name(const struct lev_perf_options *options, size_t i)
{
    return options->queues == 1 ? strdup(options->queue)
                                : format_name("%s-%04zu", options->queue, i, 0);
}

static char *key_name(const struct lev_perf_topology *t, size_t i)
{
    size_t queue = i % t->queue_count;

    if (!t->exchange_type)
        return strdup(t->queues[queue]);
    if (t->key_count == 1 || t->by_header)
        return strdup("m");
    return format_name("b%s%04zu.m.q%04zu", "", i / t->queue_count, queue);
}

static void choose_shape(struct lev_perf_topology *t, const struct lev_perf_options *options)
{
    bool fanout = options->exchange_type && strcmp(options->exchange_type, "fanout") == 0;

    t->exchange_type = options->exchange_type;
    t->exchange = options->exchange_type ? options->exchange : "";
    t->durable = options->durable;
    t->by_header = options->exchange_type && strcmp(options->exchange_type, "headers") == 0;
    t->queue_count = options->queues;
    t->per_queue = options->exchange_type && !fanout ? options->bindings : 1;
    t->key_count = fanout ? 1 : t->queue_count * t->per_queue;
    t->copies = fanout ? t->queue_count : 1;
}

int lev_perf_topology_init(struct lev_perf_topology *t, const struct lev_perf_options *options)
{
    memset(t, 0, sizeof *t);
    choose_shape(t, options);
    t->queues = calloc(t->queue_count, sizeof *t->queues);
    t->keys = calloc(t->key_count, sizeof *t->keys);
    if (!t->queues || !t->keys)
        return -1;
    for (size_t i = 0; i < t->queue_count; i++) {
        t->queues[i] = queue_name(options, i);
        if (!t->queues[i])
            return -1;
    }
    for (size_t i = 0; i < t->key_count; i++) {
        t->keys[i] = key_name(t, i);
        if (!t->keys[i])
            return -1;
    }
    return 0;
}

static void free_names(char **names, size_t count)
{
    for (size_t i = 0; names && i < count; i++)
        free(names[i]);
    free(names);
}

void lev_perf_topology_deinit(struct lev_perf_topology *t)
{
    free_names(t->queues, t->queue_count);
    free_names(t->keys, t->key_count);
    memset(t, 0, sizeof *t);
}

size_t lev_perf_topology_share(const struct lev_perf_topology *t, unsigned index, unsigned workers,
                               char **keys_r)
{
    size_t first = index % t->queue_count, count = 0;

    if (workers <= 1)
        first = 0;
    for (size_t i = 0; i < t->key_count; i++) {
        size_t queue = i % t->queue_count;

        if (workers <= 1 || (queue >= first && (queue - first) % workers == 0))
            keys_r[count++] = t->keys[i];
    }
    return count;
}

/* The pattern of binding `index` of a queue whose key for it is `key`: topic bindings get a
 * wildcard for the "m". */
static void binding_pattern(const struct lev_perf_topology *t, const char *key, size_t index,
                            char out[64])
{
    char *word;

    snprintf(out, 64, "%s", key);
    word = strstr(out, ".m.");
    if (strcmp(t->exchange_type, "topic") == 0 && word)
        word[1] = index % 2 ? '#' : '*';
}

static int bind_queue(const struct lev_perf_topology *t, size_t queue,
                      struct lev_perf_connection *conn)
{
    for (size_t i = 0; i < t->per_queue; i++) {
        size_t key = t->key_count == 1 ? 0 : i * t->queue_count + queue;
        char pattern[64];

        binding_pattern(t, t->keys[key], i, pattern);
        lev_perf_method_queue_bind(&conn->out, LEV_PERF_CHANNEL, t->queues[queue], t->exchange,
                                   pattern, t->by_header ? (int32_t)key : -1);
        if (lev_perf_connection_call(conn, LEV_PERF_QUEUE_BIND_OK, NULL) < 0)
            return -1;
    }
    return 0;
}

int lev_perf_topology_declare(const struct lev_perf_topology *t, struct lev_perf_connection *conn)
{
    if (t->exchange_type) {
        lev_perf_method_exchange_declare(&conn->out, LEV_PERF_CHANNEL, t->exchange,
                                         t->exchange_type, t->durable);
        if (lev_perf_connection_call(conn, LEV_PERF_EXCHANGE_DECLARE_OK, NULL) < 0)
            return -1;
    }
    for (size_t i = 0; i < t->queue_count; i++) {
        lev_perf_method_queue_declare(&conn->out, LEV_PERF_CHANNEL, t->queues[i], false,
                                      t->durable);
        if (lev_perf_connection_call(conn, LEV_PERF_QUEUE_DECLARE_OK, NULL) < 0)
            return -1;
        if (t->exchange_type && bind_queue(t, i, conn) < 0)
            return -1;
    }
    return 0;
}

int lev_perf_topology_delete(const struct lev_perf_topology *t, struct lev_perf_connection *conn)
{
    for (size_t i = 0; i < t->queue_count; i++) {
        lev_perf_method_queue_delete(&conn->out, LEV_PERF_CHANNEL, t->queues[i]);
        if (lev_perf_connection_call(conn, LEV_PERF_QUEUE_DELETE_OK, NULL) < 0)
            return -1;
    }
    if (!t->exchange_type)
        return 0;
    lev_perf_method_exchange_delete(&conn->out, LEV_PERF_CHANNEL, t->exchange);
    return lev_perf_connection_call(conn, LEV_PERF_EXCHANGE_DELETE_OK, NULL);
}

uint32_t lev_perf_declared_messages(struct lev_perf_cursor *args)
{
    size_t len;

    (void)lev_perf_take_shortstr(args, &len);
    return lev_perf_take_u32(args);
}

int lev_perf_topology_depth(const struct lev_perf_topology *t, struct lev_perf_connection *conn,
                            uint64_t *messages_r)
{
    struct lev_perf_cursor args;

    *messages_r = 0;
    for (size_t i = 0; i < t->queue_count; i++) {
        lev_perf_method_queue_declare(&conn->out, LEV_PERF_CHANNEL, t->queues[i], true, false);
        if (lev_perf_connection_call(conn, LEV_PERF_QUEUE_DECLARE_OK, &args) < 0)
            return -1;
        *messages_r += lev_perf_declared_messages(&args);
    }
    return 0;
}
