/* The consumer loop: read a large block, walk its frames in place, write the acknowledgements the
 * block earned in one go. Between two frames of a delivery the state is how much of its body is
 * still to come. Thread: the worker's. */
#include "perf/consumer.h"

#include <stdio.h>

#include "perf/clock.h"
#include "perf/topology.h"

struct consumer {
    struct lev_perf_worker *worker;
    unsigned ack_every; /* 0: automatic */
    bool timed;         /* bodies start with the time they were due */
    bool recording;
    unsigned subscribed; /* queues whose consume-ok has come */
    uint64_t now_ns;     /* when the block being walked was read */
    uint64_t tag;        /* of the newest delivery */
    unsigned unacked;
    uint64_t completed; /* deliveries of this block */
    bool in_content;    /* a deliver method was seen and its content is not complete */
    bool body_begun;
    bool header_seen;
    uint64_t body_left;
};

static int fail(struct consumer *c, const char *why)
{
    snprintf(c->worker->conn.error, sizeof c->worker->conn.error, "%s", why);
    return -1;
}

static void acknowledge(struct consumer *c)
{
    lev_perf_method_ack(&c->worker->conn.out, LEV_PERF_CHANNEL, c->tag, c->unacked > 1);
    c->unacked = 0;
}

static void complete(struct consumer *c)
{
    c->in_content = false;
    c->completed++;
    if (c->ack_every && ++c->unacked >= c->ack_every)
        acknowledge(c);
}

/* basic.deliver: consumer tag, delivery tag, and what does not matter here. */
static int on_deliver(struct consumer *c, const struct lev_perf_frame *frame)
{
    size_t tag_at = frame->size > 4 ? 5u + frame->payload[4] : SIZE_MAX;

    if (c->in_content || tag_at > frame->size || frame->size - tag_at < 8)
        return fail(c, "malformed or unexpected basic.deliver");
    c->tag = lev_perf_get_u64(frame->payload + tag_at);
    c->in_content = true;
    c->header_seen = false;
    return 0;
}

static int on_header(struct consumer *c, const struct lev_perf_frame *frame)
{
    if (!c->in_content || c->header_seen || frame->size < 14)
        return fail(c, "malformed or unexpected content header");
    c->body_left = lev_perf_get_u64(frame->payload + 4);
    c->header_seen = true;
    c->body_begun = false;
    if (c->body_left == 0)
        complete(c);
    return 0;
}

static int on_body(struct consumer *c, const struct lev_perf_frame *frame)
{
    if (!c->in_content || !c->header_seen || frame->size > c->body_left)
        return fail(c, "unexpected or overlong content body");
    if (c->timed && !c->body_begun && frame->size >= 8 && c->recording) {
        uint64_t due_ns = lev_perf_get_u64(frame->payload);

        lev_perf_histogram_record(&c->worker->latency, c->now_ns > due_ns ? c->now_ns - due_ns : 0);
    }
    c->body_begun = true;
    c->body_left -= frame->size;
    if (c->body_left == 0)
        complete(c);
    return 0;
}

static int on_frame(struct consumer *c, const struct lev_perf_frame *frame)
{
    if (frame->type == LEV_PERF_FRAME_BODY)
        return on_body(c, frame);
    if (frame->type == LEV_PERF_FRAME_HEADER)
        return on_header(c, frame);
    switch (lev_perf_frame_method(frame)) {
    case LEV_PERF_BASIC_DELIVER:
        return on_deliver(c, frame);
    case LEV_PERF_BASIC_CONSUME_OK:
        c->subscribed++;
        return 0;
    default:
        return fail(c, "unexpected method");
    }
}

/* Walks the frames that are whole and publishes what they amounted to. */
static int walk_block(struct consumer *c)
{
    struct lev_perf_frame frame;
    int got, rv = 0;

    c->completed = 0;
    c->now_ns = lev_perf_now_ns();
    c->recording = lev_perf_run_measuring(c->worker->run);
    while (rv == 0 && (got = lev_perf_connection_next(&c->worker->conn, &frame)) != 0)
        rv = got < 0 ? -1 : on_frame(c, &frame);
    if (c->completed) {
        lev_perf_tally_add(&c->worker->tally.delivered, c->completed);
        lev_perf_tally_touch(&c->worker->tally, c->now_ns);
    }
    return rv;
}

static int turn(struct consumer *c)
{
    int got = lev_perf_connection_turn(&c->worker->conn);

    return got > 0 ? walk_block(c) : got;
}

static int consume_until_stop(struct consumer *c)
{
    while (!lev_perf_run_stopping(c->worker->run)) {
        if (turn(c) < 0)
            return -1;
    }
    if (c->unacked)
        acknowledge(c);
    return 0; // the acknowledgement is written by the goodbye that follows
}

/* Consumer i of n takes the queues i, i + n and so on; with fewer queues than consumers they share.
 * Deliveries may arrive between the answers. */
static int subscribe(struct consumer *c)
{
    const struct lev_perf_options *options = c->worker->run->options;
    const struct lev_perf_topology *topology = c->worker->run->topology;
    struct lev_perf_connection *conn = &c->worker->conn;
    unsigned wanted = 0;

    lev_perf_method_qos(&conn->out, LEV_PERF_CHANNEL, (uint16_t)options->prefetch);
    if (lev_perf_connection_call(conn, LEV_PERF_BASIC_QOS_OK, NULL) < 0)
        return -1;
    for (size_t i = c->worker->index % topology->queue_count; i < topology->queue_count;
         i += options->consumers) {
        lev_perf_method_consume(&conn->out, LEV_PERF_CHANNEL, topology->queues[i],
                                c->ack_every == 0);
        wanted++;
    }
    while (c->subscribed < wanted && !lev_perf_run_stopping(c->worker->run)) {
        if (turn(c) < 0)
            return -1;
    }
    return 0;
}

static struct consumer make_consumer(struct lev_perf_worker *worker)
{
    const struct lev_perf_options *options = worker->run->options;

    return (struct consumer){
        .worker = worker, .ack_every = options->ack_every, .timed = options->latency};
}

int lev_perf_consumer_body(struct lev_perf_worker *worker)
{
    struct consumer c = make_consumer(worker);

    if (subscribe(&c) < 0)
        return -1;
    return lev_perf_worker_ready(worker) ? consume_until_stop(&c) : 0;
}

int lev_perf_drainer_body(struct lev_perf_worker *worker)
{
    struct consumer c = make_consumer(worker);

    if (!lev_perf_worker_ready(worker))
        return 0;
    return subscribe(&c) < 0 ? -1 : consume_until_stop(&c);
}
