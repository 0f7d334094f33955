/* The producer loop. It cuts chunks of whole messages out of the template and writes them; a chunk
 * once begun is written to its end. What may be cut is bounded by the count, by the confirm window,
 * and with a rate by what is due: message k is due at start + k * interval however late the ones
 * before it were, and with --latency carries that time in its body. Thread: the worker's. */
#include "perf/producer.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "perf/clock.h"
#include "perf/confirm.h"
#include "perf/message.h"
#include "perf/topology.h"

#define TICK_NS (50 * LEV_PERF_MS_NS) /* how long a stop may go unnoticed */
#define FINISH_NS (2 * LEV_PERF_SECOND_NS)

struct producer {
    struct lev_perf_worker *worker;
    const struct lev_perf_options *options;
    struct lev_perf_template template;
    struct lev_perf_confirm confirm;
    uint64_t limit;  /* messages to publish in all */
    uint64_t issued; /* of them cut into chunks */
    size_t position; /* in the template: the next message to cut */
    const uint8_t *chunk;
    size_t chunk_left; /* bytes of the chunk not yet written */
    uint64_t chunk_messages;
    bool last_call; /* without confirms: a basic.qos follows the last message, to be answered after
                       it */
    uint64_t start_ns;
    double interval_ns; /* 0: no rate */
};

static int fail(struct producer *p, const char *why)
{
    snprintf(p->worker->conn.error, sizeof p->worker->conn.error, "%s", why);
    return -1;
}

static uint64_t due_ns(const struct producer *p, uint64_t message)
{
    return p->start_ns + (uint64_t)((double)message * p->interval_ns);
}

/* How many messages may be cut now. */
static uint64_t allowance(const struct producer *p, uint64_t now_ns)
{
    uint64_t n = p->template.count - p->position;

    if (p->limit - p->issued < n)
        n = p->limit - p->issued;
    if (p->options->confirm && lev_perf_confirm_room(&p->confirm) < n)
        n = lev_perf_confirm_room(&p->confirm);
    if (p->interval_ns > 0) {
        uint64_t due = now_ns < p->start_ns
                           ? 0
                           : (uint64_t)((double)(now_ns - p->start_ns) / p->interval_ns) + 1;
        uint64_t owed = due > p->issued ? due - p->issued : 0;

        if (owed < n)
            n = owed;
    }
    return n;
}

/* Writes into message i of the chunk being cut when it was due, and notes how late it is. */
static void stamp(struct producer *p, uint64_t i, uint64_t now_ns)
{
    uint64_t due = due_ns(p, p->issued + i);

    lev_perf_template_stamp(&p->template, p->position + i, due);
    if (lev_perf_run_measuring(p->worker->run))
        lev_perf_histogram_record(&p->worker->late, now_ns > due ? now_ns - due : 0);
}

/* With a rate a confirm is timed from when its message was due. */
static void await_confirms(struct producer *p, uint64_t n, uint64_t now_ns)
{
    if (p->interval_ns <= 0) {
        lev_perf_confirm_issue(&p->confirm, n, now_ns);
        return;
    }
    for (uint64_t i = 0; i < n; i++)
        lev_perf_confirm_issue(&p->confirm, 1, due_ns(p, p->issued + i));
}

static void cut_chunk(struct producer *p, uint64_t n, uint64_t now_ns)
{
    if (p->options->latency) {
        for (uint64_t i = 0; i < n; i++)
            stamp(p, i, now_ns);
    }
    if (p->options->confirm)
        await_confirms(p, n, now_ns);
    p->chunk = p->template.block.data + p->position * p->template.stride;
    p->chunk_left = n * p->template.stride;
    p->chunk_messages = n;
    p->issued += n;
    p->position = (p->position + n) % p->template.count;
}

/* Returns 1 when the chunk is written, 0 when the socket takes no more now, -1 on error. */
static int write_chunk(struct producer *p)
{
    while (p->chunk_left > 0) {
        int64_t put = lev_perf_connection_write(&p->worker->conn, p->chunk, p->chunk_left);

        if (put <= 0)
            return (int)put;
        p->chunk += put;
        p->chunk_left -= (size_t)put;
    }
    lev_perf_tally_add(&p->worker->tally.published, p->chunk_messages);
    lev_perf_tally_touch(&p->worker->tally, lev_perf_now_ns());
    return 1;
}

static int on_settled(struct producer *p, const struct lev_perf_frame *frame,
                      _Atomic uint64_t *counter, uint64_t now_ns)
{
    struct lev_perf_cursor args = lev_perf_frame_args(frame);
    uint64_t tag = lev_perf_take_u64(&args);
    bool multiple = lev_perf_take_u8(&args) & 1;
    struct lev_perf_histogram *took =
        lev_perf_run_measuring(p->worker->run) ? &p->worker->confirm : NULL;
    int64_t settled;

    if (args.failed || !p->options->confirm)
        return fail(p, "unexpected or malformed confirm");
    settled = lev_perf_confirm_settle(&p->confirm, tag, multiple, now_ns, took);
    if (settled < 0)
        return fail(p, "the broker confirmed a message that was not outstanding");
    lev_perf_tally_add(counter, (uint64_t)settled);
    return 0;
}

/* Reads and handles what has arrived, without waiting. */
static int receive(struct producer *p)
{
    struct lev_perf_tally *tally = &p->worker->tally;
    struct lev_perf_frame frame;
    int got = lev_perf_connection_fill(&p->worker->conn), rv = 0;
    uint64_t now_ns;

    if (got <= 0)
        return got;
    now_ns = lev_perf_now_ns();
    while (rv == 0 && (got = lev_perf_connection_next(&p->worker->conn, &frame)) > 0) {
        uint32_t method = lev_perf_frame_method(&frame);

        if (method == LEV_PERF_BASIC_ACK)
            rv = on_settled(p, &frame, &tally->confirmed, now_ns);
        else if (method == LEV_PERF_BASIC_NACK)
            rv = on_settled(p, &frame, &tally->nacked, now_ns);
        else if (method == LEV_PERF_BASIC_RETURN)
            lev_perf_tally_add(&tally->returned, 1);
        else if (method == LEV_PERF_BASIC_QOS_OK)
            lev_perf_tally_add(&tally->finished, 1);
    }
    if (p->options->confirm && p->issued == p->limit && !p->chunk_left &&
        p->confirm.outstanding == 0)
        atomic_store_explicit(&tally->finished, 1, memory_order_relaxed);
    lev_perf_tally_touch(tally, now_ns);
    atomic_store_explicit(&tally->blocked, p->worker->conn.blocked_seen, memory_order_relaxed);
    return got < 0 ? -1 : rv;
}

/* Once the last message is written, asks for an answer that the broker gives after taking it in: a
 * confirm does that by itself, otherwise any synchronous method on the channel will. */
static void ask_last_answer(struct producer *p)
{
    if (p->options->confirm || p->last_call || p->issued < p->limit || p->chunk_left)
        return;
    p->last_call = true;
    lev_perf_method_qos(&p->worker->conn.out, LEV_PERF_CHANNEL, 0);
}

/* Waits for input, or for room to write when a chunk is under way, or until something is due. */
static int pause_and_receive(struct producer *p, uint64_t now_ns)
{
    uint64_t deadline_ns = now_ns + TICK_NS;
    int ready, flushed;

    ask_last_answer(p);
    flushed = p->chunk_left ? 0 : lev_perf_connection_flush(&p->worker->conn);
    if (flushed < 0)
        return -1;
    if (!p->chunk_left && p->interval_ns > 0 && p->issued < p->limit &&
        due_ns(p, p->issued) > now_ns && due_ns(p, p->issued) < deadline_ns)
        deadline_ns = due_ns(p, p->issued);
    if (p->options->spin && p->interval_ns > 0)
        deadline_ns = now_ns;
    ready = lev_perf_connection_wait(&p->worker->conn, (short)(flushed ? POLLIN : POLLIN | POLLOUT),
                                     deadline_ns);
    if (ready < 0)
        return -1;
    return ready & ~POLLOUT ? receive(p) : 0;
}

/* The broker no longer reads and the run is over. A goodbye in the middle of a frame would be taken
 * for message bytes, so the connection is marked unsound and just dropped. */
static int give_up_chunk(struct producer *p)
{
    (void)fail(p, "the broker stopped reading");
    return 0;
}

static int publish_until_stop(struct producer *p)
{
    uint64_t finish_ns = 0;

    for (;;) {
        uint64_t now_ns = lev_perf_now_ns(), room;
        int rv;

        if (lev_perf_run_stopping(p->worker->run) && finish_ns == 0)
            finish_ns = now_ns + FINISH_NS;
        if (finish_ns && p->chunk_left && now_ns > finish_ns)
            return give_up_chunk(p);
        if (finish_ns && !p->chunk_left)
            return 0;
        room = p->chunk_left ? 0 : allowance(p, now_ns);
        if (room)
            cut_chunk(p, room, now_ns);
        rv = p->chunk_left ? write_chunk(p) : 0;
        if (rv > 0)
            rv = allowance(p, now_ns) ? receive(p) : 0;
        else if (rv == 0)
            rv = pause_and_receive(p, now_ns);
        if (rv < 0)
            return -1;
    }
}

/* This producer's part of the run's count. */
static uint64_t share(const struct lev_perf_options *options, unsigned index)
{
    if (!options->count)
        return UINT64_MAX;
    return options->count / options->producers + (index < options->count % options->producers);
}

static int build_template(struct producer *p)
{
    const struct lev_perf_topology *topology = p->worker->run->topology;
    struct lev_perf_message message = {
        .channel = LEV_PERF_CHANNEL,
        .exchange = topology->exchange,
        .mandatory = p->options->mandatory,
        .persistent = p->options->persistent,
        .header = topology->by_header ? 0 : -1,
        .body_len = p->options->size,
        .payload_max = p->worker->conn.payload_max,
    };
    struct lev_perf_buf body = {0};
    char **keys;
    size_t count;
    int rv;

    keys = malloc(topology->key_count * sizeof *keys);
    if (!keys)
        return fail(p, "out of memory");
    count = lev_perf_topology_share(topology, p->worker->index,
                                    p->options->split ? p->options->producers : 1, keys);
    lev_perf_buf_reserve(&body, p->options->size + 1);
    memset(body.data, 'x', p->options->size);
    message.body = body.data;
    rv = lev_perf_template_init(&p->template, &message, keys, count);
    lev_perf_buf_deinit(&body);
    free(keys);
    return rv < 0 ? fail(p, "messages times routing keys is too large to prepare") : 0;
}

static int prepare(struct producer *p)
{
    struct lev_perf_connection *conn = &p->worker->conn;

    if (build_template(p) < 0)
        return -1;
    if (!p->options->confirm)
        return 0;
    if (lev_perf_confirm_init(&p->confirm, p->options->confirm) < 0)
        return fail(p, "out of memory");
    lev_perf_method_confirm_select(&conn->out, LEV_PERF_CHANNEL);
    return lev_perf_connection_call(conn, LEV_PERF_CONFIRM_SELECT_OK, NULL);
}

int lev_perf_producer_body(struct lev_perf_worker *worker)
{
    const struct lev_perf_options *options = worker->run->options;
    struct producer p = {
        .worker = worker, .options = options, .limit = share(options, worker->index)};
    int rv = prepare(&p);

    if (rv == 0 && lev_perf_worker_ready(worker)) {
        p.interval_ns = options->rate > 0 ? (double)LEV_PERF_SECOND_NS / options->rate : 0;
        p.start_ns =
            worker->run->go_ns + (uint64_t)(p.interval_ns * worker->index / options->producers);
        rv = publish_until_stop(&p);
    }
    if (p.chunk_left) /* nothing may follow half a frame, not even the answer to a close */
        lev_perf_connection_silence(&worker->conn);
    lev_perf_template_deinit(&p.template);
    lev_perf_confirm_deinit(&p.confirm);
    return rv;
}
