/* RPC workers. Both sides collect one content at a time: the routing data of its deliver method,
 * the reply-to property of its header, its body. Contents are small and few in flight, so they are
 * copied. Thread: the worker's. */
#include "perf/rpc.h"

#include <stdio.h>
#include <string.h>

#include "perf/clock.h"
#include "perf/message.h"
#include "perf/topology.h"

#define REPLY_QUEUE "amq.rabbitmq.reply-to"
#define FLAG_REPLY_TO (1u << 9)

/* The content being received. */
struct content {
    char reply_to[256];
    struct lev_perf_buf body;
    uint64_t body_left;
    bool header_seen;
};

struct rpc {
    struct lev_perf_worker *worker;
    struct content content;
    bool subscribed;
    bool answered;               /* client: the reply to `sequence` has come */
    uint64_t sequence;           /* client */
    uint64_t limit;              /* client: round trips to make */
    struct lev_perf_buf request; /* client: body of the next request */
};

static int fail(struct rpc *rpc, const char *why)
{
    snprintf(rpc->worker->conn.error, sizeof rpc->worker->conn.error, "%s", why);
    return -1;
}

/* Steps over the properties that precede reply-to (0-9-1 §4.2.6.1): the flags above its own, from
 * the top. */
static void skip_to_reply_to(struct lev_perf_cursor *c, unsigned flags)
{
    size_t len;

    for (unsigned bit = 1u << 15; bit > FLAG_REPLY_TO; bit >>= 1) {
        if (!(flags & bit))
            continue;
        if (bit == 1u << 13)
            lev_perf_skip_long(c);
        else if (bit == 1u << 12 || bit == 1u << 11)
            (void)lev_perf_take_u8(c);
        else
            (void)lev_perf_take_shortstr(c, &len);
    }
}

static int on_header(struct rpc *rpc, const struct lev_perf_frame *frame)
{
    struct lev_perf_cursor c = lev_perf_cursor_on(frame->payload, frame->size);
    struct content *content = &rpc->content;
    size_t len = 0;
    unsigned flags;

    (void)lev_perf_take_u32(&c);
    content->body_left = lev_perf_take_u64(&c);
    flags = lev_perf_take_u16(&c);
    content->reply_to[0] = '\0';
    if (flags & FLAG_REPLY_TO) {
        const uint8_t *text;

        skip_to_reply_to(&c, flags);
        text = lev_perf_take_shortstr(&c, &len);
        if (len)
            memcpy(content->reply_to, text, len);
        content->reply_to[len] = '\0';
    }
    content->header_seen = true;
    content->body.len = 0;
    return c.failed || content->body_left < 8 ? fail(rpc, "malformed or too small content header")
                                              : 0;
}

static void put_message(struct rpc *rpc, const char *key, const char *reply_to,
                        const struct lev_perf_buf *body)
{
    struct lev_perf_connection *conn = &rpc->worker->conn;
    struct lev_perf_message message = {
        .channel = LEV_PERF_CHANNEL,
        .exchange = "",
        .key = key,
        .reply_to = reply_to,
        .header = -1,
        .body = body->data,
        .body_len = body->len,
        .payload_max = conn->payload_max,
    };

    lev_perf_message_encode(&conn->out, &message);
}

/* A whole content has arrived: the server answers it, the client takes it as its answer. */
static int on_content(struct rpc *rpc)
{
    bool is_client = rpc->request.data != NULL;

    rpc->content.header_seen = false;
    if (!is_client && !rpc->content.reply_to[0])
        return fail(rpc, "a request came without reply-to");
    if (!is_client)
        put_message(rpc, rpc->content.reply_to, NULL, &rpc->content.body);
    else if (rpc->answered || lev_perf_get_u64(rpc->content.body.data) != rpc->sequence)
        return fail(rpc, "a reply came that answers no open request");
    rpc->answered = true;
    return 0;
}

static int on_body(struct rpc *rpc, const struct lev_perf_frame *frame)
{
    struct content *content = &rpc->content;

    if (!content->header_seen || frame->size > content->body_left)
        return fail(rpc, "unexpected or overlong content body");
    lev_perf_put_bytes(&content->body, frame->payload, frame->size);
    content->body_left -= frame->size;
    return content->body_left ? 0 : on_content(rpc);
}

static int on_frame(struct rpc *rpc, const struct lev_perf_frame *frame)
{
    if (frame->type == LEV_PERF_FRAME_BODY)
        return on_body(rpc, frame);
    if (frame->type == LEV_PERF_FRAME_HEADER)
        return on_header(rpc, frame);
    if (lev_perf_frame_method(frame) == LEV_PERF_BASIC_CONSUME_OK)
        rpc->subscribed = true;
    return 0;
}

static int turn(struct rpc *rpc)
{
    struct lev_perf_connection *conn = &rpc->worker->conn;
    struct lev_perf_frame frame;
    int rv = 0, got = lev_perf_connection_turn(conn);

    if (got <= 0)
        return got;
    while (rv == 0 && (got = lev_perf_connection_next(conn, &frame)) > 0)
        rv = on_frame(rpc, &frame);
    return got < 0 ? -1 : rv;
}

static int subscribe(struct rpc *rpc, const char *queue)
{
    lev_perf_method_consume(&rpc->worker->conn.out, LEV_PERF_CHANNEL, queue, true);
    while (!rpc->subscribed && !lev_perf_run_stopping(rpc->worker->run)) {
        if (turn(rpc) < 0)
            return -1;
    }
    return 0;
}

static int round_trip(struct rpc *rpc)
{
    struct lev_perf_worker *worker = rpc->worker;
    uint64_t sent_ns = lev_perf_now_ns(), wire = __builtin_bswap64(++rpc->sequence), now_ns;

    memcpy(rpc->request.data, &wire, sizeof wire);
    rpc->answered = false;
    put_message(rpc, worker->run->topology->queues[0], REPLY_QUEUE, &rpc->request);
    while (!rpc->answered) {
        if (turn(rpc) < 0)
            return -1;
        if (lev_perf_run_stopping(worker->run) && !rpc->answered)
            return 0;
    }
    now_ns = lev_perf_now_ns();
    if (lev_perf_run_measuring(worker->run))
        lev_perf_histogram_record(&worker->latency, now_ns - sent_ns);
    lev_perf_tally_add(&worker->tally.delivered, 1);
    lev_perf_tally_touch(&worker->tally, now_ns);
    return 0;
}

int lev_perf_rpc_client_body(struct lev_perf_worker *worker)
{
    const struct lev_perf_options *o = worker->run->options;
    struct rpc rpc = {.worker = worker};
    int rv;

    rpc.limit =
        o->count ? o->count / o->producers + (worker->index < o->count % o->producers) : UINT64_MAX;
    lev_perf_buf_reserve(&rpc.request, o->size);
    memset(rpc.request.data, 'x', o->size);
    rpc.request.len = o->size;
    rv = subscribe(&rpc, REPLY_QUEUE);
    if (rv == 0 && lev_perf_worker_ready(worker)) {
        while (rv == 0 && rpc.sequence < rpc.limit && !lev_perf_run_stopping(worker->run))
            rv = round_trip(&rpc);
    }
    lev_perf_buf_deinit(&rpc.request);
    lev_perf_buf_deinit(&rpc.content.body);
    return rv;
}

int lev_perf_rpc_server_body(struct lev_perf_worker *worker)
{
    struct rpc rpc = {.worker = worker};
    int rv = subscribe(&rpc, worker->run->topology->queues[0]);

    if (rv == 0 && lev_perf_worker_ready(worker)) {
        while (rv == 0 && !lev_perf_run_stopping(worker->run))
            rv = turn(&rpc);
    }
    lev_perf_buf_deinit(&rpc.content.body);
    return rv;
}
