/* Output: from outbox items to octets on the socket.
 *
 * Items are encoded into the loop's scratch buffer, about 256 KiB at a time, and written in one
 * call; only what the socket did not take is kept per connection. So an idle connection holds no
 * buffer, hundreds of small deliveries share a write, and a slow peer holds at most one scratch of
 * encoded octets. Large bodies are not copied: see large.h. Loop thread, without the lock. */
#include "base/mem.h"
#include "broker/consumer.h"
#include "session/large.h"
#include "session/loop.h"

enum {
    /* deliveries stop at LEV_OUT_HIGH; what goes on growing are answers to what the peer sends */
    OUT_STOP = 8 << 20,
    /* what a content takes on the wire beyond its octets, when its body is not large: frames of
     * 4 KiB at least, and the shortstrs of the method, at most */
    CONTENT_ROOM = 2048,
    SCRATCH_KEEP = 4 * LEV_SCRATCH, /* headers of many MiB may have made it larger */
};

/* --- raw --- */

/* Octets the socket took, remembering that it wants more. False when the transport is broken. */
static size_t write_now(struct lev_conn *c, const uint8_t *p, size_t n)
{
    size_t done = 0;
    while (done < n && !c->gone) {
        struct iovec iov = {.iov_base = (void *)(uintptr_t)(p + done), .iov_len = n - done};
        ssize_t k = lev_transport_write(c->transport, &iov, 1);
        if (k < 0) {
            c->gone = true;
            return n;
        }
        if (k == 0)
            break;
        done += (size_t)k;
    }
    c->bytes_out += done;
    return done;
}

static void ask_writable(struct lev_conn *c)
{
    if (!c->want_write && !c->gone) {
        c->want_write = true;
        lev_transport_want_write(c->transport);
    }
}

void lev_conn_send_raw(struct lev_conn *c, const void *p, size_t n)
{
    size_t done = c->out.len ? 0 : write_now(c, p, n);
    if (done < n) {
        lev_buf_put(&c->out, (const uint8_t *)p + done, n - done);
        ask_writable(c);
    }
}

void lev_conn_send(struct lev_conn *c, uint16_t channel, const struct lev_method *m)
{
    struct lev_buf b;
    lev_buf_init(&b);
    lev_method_encode(&b, channel, m);
    if (b.failed) {
        lev_buf_deinit(&b);
        return;
    }
    if (c->joined) {
        lev_client_push_bytes(&c->client, b.ptr, b.len);
        return;
    }
    lev_conn_send_raw(c, b.ptr, b.len);
    lev_buf_deinit(&b);
}

/* --- encoding --- */

static uint8_t *put_str(uint8_t *p, struct lev_bytes s)
{
    *p++ = (uint8_t)s.len;
    lev_copy(p, s.ptr, s.len);
    return p + s.len;
}

/* Begins a method frame; the size is filled in by end_frame. */
static uint8_t *begin_method(uint8_t *p, uint16_t channel, uint16_t class_id, uint16_t method_id)
{
    lev_frame_put_header(p, LEV_FRAME_METHOD, channel, 0);
    lev_put16(p + 7, class_id);
    lev_put16(p + 9, method_id);
    return p + 11;
}

static uint8_t *end_frame(uint8_t *frame, uint8_t *p)
{
    lev_put32(frame + 3, (uint32_t)(p - frame - 7));
    *p++ = LEV_FRAME_END;
    return p;
}

void lev_output_consumer_prefix(struct lev_consumer *k)
{
    k->prefix = lev_xmalloc(12 + k->tag.len);
    uint8_t *p = begin_method(k->prefix, k->chan->number, 60, 60);
    k->prefix_len = (uint32_t)(put_str(p, k->tag) - k->prefix);
}

/* basic.deliver up to its end; the caller saw to the room. */
static uint8_t *put_deliver(uint8_t *frame, const struct lev_out *o)
{
    const struct lev_consumer *k = o->consumer;
    lev_copy(frame, k->prefix, k->prefix_len);
    uint8_t *p = frame + k->prefix_len;
    lev_put64(p, o->tag);
    p[8] = (o->flags & LEV_OUTF_REDELIVERED) != 0;
    p = put_str(p + 9, lev_msg_exchange(o->u.msg));
    return end_frame(frame, put_str(p, lev_msg_key(o->u.msg)));
}

static uint8_t *put_get_ok(uint8_t *frame, const struct lev_out *o)
{
    uint8_t *p = begin_method(frame, o->channel, 60, 71);
    lev_put64(p, o->tag);
    p[8] = (o->flags & LEV_OUTF_REDELIVERED) != 0;
    p = put_str(p + 9, lev_msg_exchange(o->u.msg));
    p = put_str(p, lev_msg_key(o->u.msg));
    lev_put32(p, o->n);
    return end_frame(frame, p + 4);
}

static uint8_t *put_return(uint8_t *frame, const struct lev_out *o)
{
    uint8_t *p = begin_method(frame, o->channel, 60, 50);
    lev_put16(p, 312);
    p = put_str(p + 2, LEV_LIT("NO_ROUTE"));
    p = put_str(p, lev_msg_exchange(o->u.msg));
    return end_frame(frame, put_str(p, lev_msg_key(o->u.msg)));
}

static uint8_t *put_confirm(uint8_t *frame, const struct lev_out *o)
{
    bool nack = o->flags & LEV_OUTF_NACK;
    uint8_t *p = begin_method(frame, o->channel, 60, nack ? 120 : 80);
    lev_put64(p, o->tag);
    p[8] = (uint8_t)(((o->flags & LEV_OUTF_MULTIPLE) ? 1 : 0) | (nack ? 2 : 0));
    return end_frame(frame, p + 9);
}

static uint8_t *put_content_header(uint8_t *frame, uint16_t channel, const struct lev_msg *m)
{
    struct lev_bytes props = lev_msg_props(m);
    lev_frame_put_header(frame, LEV_FRAME_HEADER, channel, (uint32_t)(12 + props.len));
    lev_put32(frame + 7, 60u << 16); /* class and weight */
    lev_put64(frame + 11, m->body_len);
    lev_copy(frame + 19, props.ptr, props.len);
    frame[19 + props.len] = LEV_FRAME_END;
    return frame + 20 + props.len;
}

static uint8_t *put_body_frame(uint8_t *p, uint16_t channel, const uint8_t *body, size_t n)
{
    lev_frame_put_header(p, LEV_FRAME_BODY, channel, (uint32_t)n);
    lev_copy(p + 7, body, n);
    p[7 + n] = LEV_FRAME_END;
    return p + 8 + n;
}

/* Method and header. */
static inline uint8_t *put_content_start(uint8_t *p, const struct lev_out *o)
{
    if (o->kind == LEV_OUT_DELIVER)
        p = put_deliver(p, o);
    else if (o->kind == LEV_OUT_GET_OK)
        p = put_get_ok(p, o);
    else
        p = put_return(p, o);
    return put_content_header(p, o->channel, o->u.msg);
}

static bool is_large(const struct lev_msg *m)
{
    return m->body_len >= LEV_LARGE_BODY;
}

/* A content, but for its body where that is large. False when memory is out. */
static bool put_content(const struct lev_conn *c, struct lev_buf *b, const struct lev_out *o)
{
    const struct lev_msg *m = o->u.msg;
    size_t max = c->frame_max - LEV_FRAME_OVERHEAD, left = is_large(m) ? 0 : m->body_len;
    uint8_t *p = lev_buf_reserve(b, CONTENT_ROOM + m->props_len + left);
    if (!p)
        return false;
    p = put_content_start(p, o);
    const uint8_t *body = lev_msg_body(m).ptr;
    for (; left > max; left -= max, body += max)
        p = put_body_frame(p, o->channel, body, max);
    if (left)
        p = put_body_frame(p, o->channel, body, left);
    b->len = (size_t)(p - b->ptr);
    return true;
}

static void put_method(struct lev_buf *b, uint16_t channel, enum lev_method_id id)
{
    struct lev_method m = {.id = id};
    lev_method_encode(b, channel, &m);
}

static void put_cancel(struct lev_conn *c, struct lev_buf *b, const struct lev_out *o)
{
    struct lev_method m = {.id = LEV_M_BASIC_CANCEL};
    m.u.basic_cancel.consumer_tag = o->consumer->tag;
    m.u.basic_cancel.no_wait = true;
    if (c->cancel_notify)
        lev_method_encode(b, o->channel, &m);
}

static bool is_content(const struct lev_out *o)
{
    return o->kind == LEV_OUT_DELIVER || o->kind == LEV_OUT_GET_OK || o->kind == LEV_OUT_RETURN;
}

/* What is not a content. False when memory is out. */
static bool put_small(struct lev_conn *c, struct lev_buf *b, const struct lev_out *o)
{
    uint8_t *p;
    switch (o->kind) {
    case LEV_OUT_CONFIRM:
        p = lev_buf_reserve(b, 32);
        if (!p)
            return false;
        b->len += (size_t)(put_confirm(p, o) - p);
        return true;
    case LEV_OUT_CANCEL:
        put_cancel(c, b, o);
        return !b->failed;
    case LEV_OUT_GET_EMPTY:
        put_method(b, o->channel, LEV_M_BASIC_GET_EMPTY);
        return !b->failed;
    case LEV_OUT_COMMIT_OK:
        put_method(b, o->channel, LEV_M_TX_COMMIT_OK);
        return !b->failed;
    case LEV_OUT_BYTES:
        lev_buf_put(b, o->u.bytes, o->n);
        return !b->failed;
    default:
        return true;
    }
}

static size_t small_credit(const struct lev_out *o)
{
    switch (o->kind) {
    case LEV_OUT_CONFIRM:
    case LEV_OUT_GET_EMPTY:
    case LEV_OUT_COMMIT_OK:
        return LEV_OUT_SMALL;
    case LEV_OUT_CANCEL:
    case LEV_OUT_RETIRE:
        return LEV_OUT_CONSUMER;
    case LEV_OUT_BYTES:
        return o->n;
    default:
        return 0;
    }
}

static void finish_answer(struct lev_out *o, size_t credit, size_t *answers)
{
    *answers += credit;
    lev_out_release(o);
}

/* The item is encoded. Returns its credit: what lev_client_push was told it takes. */
static inline size_t finish_item(struct lev_out *o, size_t *answers)
{
    size_t credit =
        is_content(o) ? lev_msg_size(o->u.msg) + LEV_OUT_CONTENT_OVERHEAD : small_credit(o);
    if (o->kind == LEV_OUT_DELIVER)
        lev_msg_unref(&o->u.msg);
    else
        finish_answer(o, credit, answers);
    return credit;
}

static void forget_answers(struct lev_conn *c, size_t answers)
{
    if (answers)
        atomic_fetch_sub_explicit(&c->client.answer_bytes, answers, memory_order_relaxed);
}

/* Encodes items until the scratch is full or a large one comes; returns the credit of the finished
 * ones. */
static size_t encode(struct lev_conn *c, struct lev_buf *b)
{
    size_t credit = 0, answers = 0;
    struct lev_out *o = c->work.items + c->work_next, *end = c->work.items + c->work.n;
    for (; o < end && b->len < LEV_SCRATCH; o++) {
        if (is_content(o) ? is_large(o->u.msg) || !put_content(c, b, o) : !put_small(c, b, o))
            break;
        credit += finish_item(o, &answers);
    }
    c->work_next = (size_t)(o - c->work.items);
    forget_answers(c, answers);
    return credit;
}

/* --- flushing --- */

bool lev_output_is_long(const struct lev_conn *c)
{
    return atomic_load_explicit(&c->client.answer_bytes, memory_order_relaxed) > OUT_STOP;
}

static void paid(struct lev_conn *c, size_t credit)
{
    if (!credit || !lev_client_wrote(&c->client, credit))
        return;
    struct lev_vhost *v = c->client.vhost;
    lev_vhost_lock(v);
    lev_client_unpark(&c->client);
    lev_vhost_end_run(v);
    lev_vhost_unlock(v);
}

/* What an earlier write left. True when nothing is left. */
static bool flush_rest(struct lev_conn *c)
{
    if (!c->out.len)
        return true;
    size_t done = write_now(c, c->out.ptr, c->out.len);
    lev_buf_consume(&c->out, done);
    if (c->out.len) {
        ask_writable(c);
        return false;
    }
    lev_buf_deinit(&c->out);
    size_t credit = c->out_credit;
    c->out_credit = 0;
    paid(c, credit);
    return true;
}

static void take_more(struct lev_conn *c)
{
    c->owed = false;
    c->work_next = 0;
    c->work.n = 0;
    lev_vhost_lock(c->client.vhost);
    lev_client_take(&c->client, &c->work);
    lev_vhost_unlock(c->client.vhost);
}

static struct lev_buf *empty_scratch(struct lev_session_loop *sl)
{
    if (sl->scratch.cap > SCRATCH_KEEP)
        lev_buf_deinit(&sl->scratch);
    lev_buf_clear(&sl->scratch);
    return &sl->scratch;
}

/* The next item, whose body is large, as far as the socket takes it. True when all of it is gone.
 */
static bool flush_large(struct lev_conn *c)
{
    struct lev_out *o = &c->work.items[c->work_next];
    struct lev_buf *b = empty_scratch(c->sl);
    size_t answers = 0;
    if (!put_content(c, b, o)) {
        lev_conn_hangup(c, true);
        return false;
    }
    struct lev_large l = {.start = lev_buf_view(b),
                          .body = lev_msg_body(o->u.msg),
                          .channel = o->channel,
                          .frame_body = c->frame_max - LEV_FRAME_OVERHEAD,
                          .sent = c->large_sent};
    ssize_t n = lev_large_write(&l, c->transport);
    c->gone |= n < 0;
    c->bytes_out += l.sent - c->large_sent;
    c->large_sent = l.sent;
    if (l.sent < lev_large_size(&l)) {
        ask_writable(c);
        return false;
    }
    c->large_sent = 0;
    c->work_next++;
    size_t credit = finish_item(o, &answers);
    forget_answers(c, answers);
    paid(c, credit);
    return true;
}

static bool flush_chunk(struct lev_conn *c)
{
    const struct lev_out *next = &c->work.items[c->work_next];
    if (is_content(next) && is_large(next->u.msg))
        return flush_large(c);
    struct lev_buf *b = empty_scratch(c->sl);
    size_t credit = encode(c, b);
    if (b->failed) { /* what is there may end within a frame, and nothing would come behind it */
        lev_conn_hangup(c, true);
        return false;
    }
    size_t done = write_now(c, b->ptr, b->len);
    if (done < b->len) {
        lev_buf_put(&c->out, b->ptr + done, b->len - done);
        c->out_credit += credit;
        ask_writable(c);
        if (c->out.failed)
            lev_conn_hangup(c, true);
        return false;
    }
    paid(c, credit);
    return true;
}

void lev_conn_flush(struct lev_conn *c)
{
    if (!flush_rest(c) || !c->joined)
        return;
    for (;;) {
        while (c->work_next < c->work.n && !c->gone)
            if (!flush_chunk(c))
                return;
        if (c->gone || !c->owed)
            return;
        take_more(c);
    }
}
