/* Input: from octets to frames to commands. Without the vhost's lock; lev_run takes it for a run of
 * commands. Loop thread. Frame-level errors: rabbitmq-compat.md 1.10. */
#include <stdio.h>

#include "base/err.h"
#include "base/mem.h"
#include "broker/term.h"
#include "session/assembly.h"
#include "session/stream.h"
#include "session/whole.h"

enum {
    RUN_BYTES = 64 * 1024, /* input after which a run is applied */
    SHOWN_OCTETS = 16,
    SHOWN_ARGUMENTS = 120, /* more than a reply text holds */
    IN_KEEP = 1024,
    BASIC = 60 << 16, /* class and method, as they are on the wire */
    BASIC_PUBLISH = BASIC | 40,
    BASIC_ACK = BASIC | 80,
    BASIC_REJECT = BASIC | 90,
    BASIC_NACK = BASIC | 120,
    CONTENT_HEADER_MIN = 12, /* shorter ones RabbitMQ does not take for a header */
    KEPT_MAX = 16 << 20,     /* payload of a frame that is kept until it is whole, however large
                              * frame_max is: bodies are not (stream.h) */
};

/* --- failing the connection at its place in the order of commands --- */

static void fail(struct lev_conn *c, const struct lev_error *err, enum lev_method_id method)
{
    struct lev_error *error = lev_xmalloc(sizeof(*error));
    *error = *err;
    *lev_command_add(c) =
        (struct lev_command){.kind = LEV_CMD_FAIL, .method = (uint8_t)method, .u.error = error};
    lev_run(c, NULL, NULL);
}

static void fail_text(struct lev_conn *c, uint16_t code, enum lev_method_id method,
                      const char *text)
{
    struct lev_error err;
    lev_fail(&err, code, "%s", text);
    fail(c, &err, method);
}

/* <<1,2,3>> */
static void print_numbers(char *out, size_t cap, struct lev_bytes b)
{
    size_t n = (size_t)snprintf(out, cap, "<<");
    for (size_t i = 0; i < b.len; i++)
        n += (size_t)snprintf(out + n, cap - n, i ? ",%u" : "%u", b.ptr[i]);
    snprintf(out + n, cap - n, ">>");
}

/* "type 1, all octets = <<…>>" and what is wrong with the frame. */
static void fail_frame(struct lev_conn *c, uint16_t code, const struct lev_frame *f, bool show,
                       const char *what)
{
    struct lev_error err;
    char octets[160];
    bool cut = show && f->payload.len > SHOWN_OCTETS;
    struct lev_bytes shown = lev_bytes(f->payload.ptr, cut ? SHOWN_OCTETS : f->payload.len);
    struct lev_text t;
    lev_text_init(&t, octets, sizeof(octets));
    lev_term_put_binary(&t, show ? shown : LEV_EMPTY);
    lev_fail(&err, code, "type %u, %s octets = %s%s%s", f->type, cut ? "first 16" : "all", octets,
             *what ? ": " : "", what);
    fail(c, &err, LEV_M_COUNT);
}

/* --- methods --- */

static void fail_decode(struct lev_conn *c, struct lev_bytes payload, int rc,
                        const struct lev_method *m)
{
    struct lev_error err;
    char octets[SHOWN_ARGUMENTS * 4 + 8];
    if (rc == LEV_EUNKNOWN) {
        fail_text(c, LEV_COMMAND_INVALID, LEV_M_COUNT, "unimplemented method");
        return;
    }
    if (rc == LEV_EUTF8) {
        fail_text(c, LEV_FRAME_ERROR, LEV_M_COUNT, "Malformed UTF-8 in shortstr");
        return;
    }
    size_t n = payload.len - 4 < SHOWN_ARGUMENTS ? payload.len - 4 : SHOWN_ARGUMENTS;
    print_numbers(octets, sizeof(octets), lev_bytes(payload.ptr + 4, n));
    lev_fail(&err, LEV_FRAME_ERROR, "cannot decode %s", octets);
    fail(c, &err, m->id);
}

/* False when it does not look right. */
static bool begin_publish(struct lev_conn *c, struct lev_channel *ch, struct lev_bytes payload)
{
    struct lev_publish_parts p;
    if (!lev_publish_split(payload, &p))
        return false;
    if (c->borrowed && c->borrowed != &ch->as)
        lev_assembly_keep(c->borrowed);
    lev_assembly_begin(ch, &p);
    c->borrowed = &ch->as;
    return true;
}

static void add_settle(struct lev_conn *c, struct lev_channel *ch, uint64_t tag, bool multiple,
                       enum lev_settle how, enum lev_method_id method)
{
    *lev_command_add(c) = (struct lev_command){.kind = LEV_CMD_SETTLE,
                                               .how = (uint8_t)how,
                                               .method = (uint8_t)method,
                                               .flag = multiple,
                                               .ch = ch,
                                               .u.tag = tag};
}

/* basic.ack, basic.nack or basic.reject: their arguments are a tag and an octet of bits. */
static bool settle(struct lev_conn *c, struct lev_channel *ch, struct lev_bytes payload)
{
    if (payload.len != 13)
        return false;
    uint64_t tag = lev_get64(payload.ptr + 4);
    bool bit0 = payload.ptr[12] & 1, bit1 = payload.ptr[12] & 2;
    switch (lev_get32(payload.ptr)) {
    case BASIC_ACK:
        add_settle(c, ch, tag, bit0, LEV_SETTLE_ACK, LEV_M_BASIC_ACK);
        return true;
    case BASIC_REJECT:
        add_settle(c, ch, tag, false, bit0 ? LEV_SETTLE_FAIL : LEV_SETTLE_REJECT,
                   LEV_M_BASIC_REJECT);
        return true;
    case BASIC_NACK:
        add_settle(c, ch, tag, bit0, bit1 ? LEV_SETTLE_REQUEUE : LEV_SETTLE_REJECT,
                   LEV_M_BASIC_NACK);
        return true;
    default:
        return false;
    }
}

/* What there is most of, when all of it is there: a publish with its content, or a settlement, to a
 * command. Returns the octets it takes; 0 when it is something else, or not as it should be. */
static size_t quick(struct lev_conn *c, const uint8_t *p, size_t n)
{
    struct lev_bytes in = lev_bytes(p, n), payload;
    if (n < LEV_FRAME_OVERHEAD + 4 || lev_get16(p + 7) != BASIC >> 16)
        return 0;
    struct lev_channel *ch = lev_conn_channel(c, lev_get16(p + 1));
    if (!ch || ch->closing || ch->as.active)
        return 0;
    if (lev_get32(p + 7) == BASIC_PUBLISH)
        return lev_whole_publish(ch, p, n);
    bool taken = lev_frame_take(&in, LEV_FRAME_METHOD, ch->number, c->frame_max, &payload) &&
                 settle(c, ch, payload);
    return taken ? n - in.len : 0;
}

static void channel_method(struct lev_conn *c, struct lev_channel *ch, struct lev_bytes payload)
{
    struct lev_method m = {.id = LEV_M_COUNT};
    if (!ch->closing && lev_get32(payload.ptr) == BASIC_PUBLISH && begin_publish(c, ch, payload))
        return;
    int rc = lev_method_decode(payload, &m);
    if (rc < 0) {
        if (!ch->closing)
            fail_decode(c, payload, rc, &m);
        return;
    }
    lev_run(c, ch, &m);
}

/* --- opening channels --- */

static void open_channel(struct lev_conn *c, uint16_t number)
{
    struct lev_error err;
    uint64_t limit;
    if (c->n_channels >= c->channel_max) {
        lev_fail(&err, LEV_NOT_ALLOWED,
                 "number of channels opened (%zu) has reached the negotiated channel_max (%u)",
                 c->n_channels, c->channel_max);
        fail(c, &err, LEV_M_COUNT);
        return;
    }
    struct lev_channel *ch = lev_conn_add_channel(c, number, &limit);
    if (!ch) {
        lev_fail(&err, LEV_NOT_ALLOWED,
                 "number of channels opened for user '%.*s' has reached the maximum allowed user "
                 "limit of (%llu)",
                 LEV_FMT(c->user), (unsigned long long)limit);
        fail(c, &err, LEV_M_COUNT);
        return;
    }
    struct lev_method m = {.id = LEV_M_CHANNEL_OPEN};
    lev_run(c, ch, &m);
}

static void unopened(struct lev_conn *c, const struct lev_frame *f)
{
    struct lev_method m = {.id = LEV_M_COUNT};
    int rc = f->type == LEV_FRAME_METHOD ? lev_method_decode(f->payload, &m) : LEV_EINVAL;
    if (f->type == LEV_FRAME_METHOD && rc < 0)
        fail_decode(c, f->payload, rc, &m);
    else if (rc == 0 && m.id == LEV_M_CHANNEL_OPEN)
        open_channel(c, f->channel);
    else if (rc == 0)
        fail_text(c, LEV_CHANNEL_ERROR, m.id, "expected 'channel.open'");
    else
        fail_text(c, LEV_UNEXPECTED_FRAME, LEV_M_COUNT,
                  "expected method frame, got non method frame instead");
}

/* --- frames --- */

static void content_frame(struct lev_conn *c, struct lev_channel *ch, const struct lev_frame *f)
{
    struct lev_error err;
    bool bare = false, ok = true;
    if (ch->closing)
        return;
    if (!ch->as.active) {
        fail_text(c, LEV_UNEXPECTED_FRAME, LEV_M_COUNT,
                  "expected method frame, got non method frame instead");
        return;
    }
    if (ch->as.has_header && f->type != LEV_FRAME_BODY)
        ok = lev_fail(&err, LEV_UNEXPECTED_FRAME,
                      "expected content body, got non content body frame instead") == 0;
    else if (!ch->as.has_header && f->type != LEV_FRAME_HEADER)
        ok = lev_fail(&err, LEV_UNEXPECTED_FRAME,
                      "expected content header for class 60, "
                      "got non content header frame instead") == 0;
    else if (ch->as.has_header)
        ok = lev_assembly_body(ch, f->payload, &err);
    else if (f->payload.len < CONTENT_HEADER_MIN) {
        fail_frame(c, LEV_FRAME_ERROR, f, true, "unknown_frame");
        return;
    } else
        ok = lev_assembly_header(ch, f->payload, &err, &bare);
    if (!ok)
        fail(c, &err, bare ? LEV_M_COUNT : LEV_M_BASIC_PUBLISH);
}

static void channel_frame(struct lev_conn *c, const struct lev_frame *f)
{
    struct lev_channel *ch = lev_conn_channel(c, f->channel);
    if (f->type == LEV_FRAME_HEARTBEAT)
        fail_frame(c, LEV_UNEXPECTED_FRAME, f, true, "");
    else if (!ch)
        unopened(c, f);
    else if (f->type != LEV_FRAME_METHOD || (ch->as.active && !ch->closing))
        content_frame(c, ch, f);
    else
        channel_method(c, ch, f->payload);
}

static void connection_frame(struct lev_conn *c, const struct lev_frame *f)
{
    struct lev_method m = {.id = LEV_M_COUNT};
    if (f->type == LEV_FRAME_HEARTBEAT) {
        if (f->payload.len)
            fail_frame(c, LEV_FRAME_ERROR, f, true, "unknown_frame");
        return;
    }
    if (f->type != LEV_FRAME_METHOD) {
        fail_frame(c, LEV_UNEXPECTED_FRAME, f, true, "");
        return;
    }
    int rc = lev_method_decode(f->payload, &m);
    if (rc < 0)
        fail_decode(c, f->payload, rc, &m);
    else
        lev_run(c, NULL, &m);
}

static bool known_frame(const struct lev_frame *f)
{
    if (f->type == LEV_FRAME_METHOD)
        return f->payload.len >= 4;
    return f->type == LEV_FRAME_HEADER || f->type == LEV_FRAME_BODY ||
           f->type == LEV_FRAME_HEARTBEAT;
}

static void running_frame(struct lev_conn *c, const struct lev_frame *f)
{
    if (!known_frame(f))
        fail_frame(c, LEV_FRAME_ERROR, f, true, "unknown_frame");
    else if (f->channel == 0)
        connection_frame(c, f);
    else
        channel_frame(c, f);
}

/* While closing only the other half of the handshake counts. */
static void closing_frame(struct lev_conn *c, const struct lev_frame *f)
{
    struct lev_method m;
    if (f->type != LEV_FRAME_METHOD || f->channel != 0 || lev_method_decode(f->payload, &m) < 0)
        return;
    if (c->joined)
        lev_run(c, NULL, &m);
    else
        lev_conn_method(c, &m);
}

/* A frame that cannot be; end: its last octet, when that is what is wrong. */
static void bad_frame(struct lev_conn *c, const struct lev_frame *f, long k, uint8_t end)
{
    char what[64];
    if (c->state != LEV_CONN_RUNNING) {
        if (c->state < LEV_CONN_CLOSING)
            lev_conn_drop_later(c);
        else
            lev_conn_hangup(c, false);
        return;
    }
    if (k == LEV_FRAME_TOO_LARGE)
        snprintf(what, sizeof(what), "{frame_too_large,%zu,%u}", f->payload.len,
                 (c->frame_max < KEPT_MAX ? c->frame_max : KEPT_MAX) - LEV_FRAME_OVERHEAD);
    else
        snprintf(what, sizeof(what), "{invalid_frame_end_marker,%u}", end);
    fail_frame(c, LEV_FRAME_ERROR, f, k == LEV_FRAME_BAD_END, what);
    lev_conn_drop_later(c);
}

void lev_input_bad_end(struct lev_conn *c, uint16_t channel, struct lev_bytes payload, uint8_t end)
{
    const struct lev_frame f = {.type = LEV_FRAME_BODY, .channel = channel, .payload = payload};
    bad_frame(c, &f, LEV_FRAME_BAD_END, end);
}

static void frame(struct lev_conn *c, const struct lev_frame *f)
{
    if (c->state == LEV_CONN_RUNNING)
        running_frame(c, f);
    else if (c->state == LEV_CONN_CLOSING)
        closing_frame(c, f);
    else
        lev_handshake_method(c, f);
}

/* Takes what the input begins with: a publish, a frame, or as much of a long body frame as there
 * is. Returns the octets used; 0 when there are too few. */
static size_t step(struct lev_conn *c, const uint8_t *p, size_t n)
{
    struct lev_frame f;
    if (c->state == LEV_CONN_RUNNING && !c->stream_left) {
        size_t taken = quick(c, p, n);
        if (taken)
            return taken;
    }
    if (c->state >= LEV_CONN_DROPPING)
        return n;
    if (c->stream_left)
        return lev_stream_input(c, p, n);
    if (c->state == LEV_CONN_HEADER)
        return lev_handshake_header(c, p, n);
    long k = lev_frame_decode(p, n, c->frame_max, &f);
    if (k == LEV_FRAME_MORE) {
        size_t head = lev_stream_begin(c, p, n);
        if (head || n < 7 || f.payload.len <= KEPT_MAX)
            return head;
        k = LEV_FRAME_TOO_LARGE;
    }
    if (k < 0) {
        bad_frame(c, &f, k, k == LEV_FRAME_BAD_END ? f.payload.ptr[f.payload.len] : 0);
        return n;
    }
    frame(c, &f);
    return (size_t)k;
}

/* Parses what is whole, and long body frames as far as they go; returns the octets used. */
static size_t parse(struct lev_conn *c, const uint8_t *p, size_t n)
{
    struct lev_session_loop *sl = c->sl;
    size_t used = 0;
    while (used < n && !c->stopped && !c->gone) {
        size_t k = step(c, p + used, n - used);
        if (!k)
            break;
        used += k;
        sl->run_bytes += k;
        if (sl->run_bytes > RUN_BYTES && sl->n_cmds)
            lev_run(c, NULL, NULL);
    }
    if (c->borrowed)
        lev_assembly_keep(c->borrowed);
    c->borrowed = NULL;
    if (sl->n_cmds)
        lev_run(c, NULL, NULL);
    sl->run_bytes = 0;
    return used;
}

/* How many more octets complete the frame that `in` begins with (at least 1). */
static size_t missing(const struct lev_conn *c)
{
    const struct lev_buf *in = &c->in;
    if (c->state == LEV_CONN_HEADER)
        return in->len < 8 ? 8 - in->len : 1;
    if (in->len < 7)
        return 7 - in->len;
    size_t whole = (size_t)lev_get32(in->ptr + 3) + LEV_FRAME_OVERHEAD;
    return whole > in->len && whole <= (size_t)c->frame_max + LEV_FRAME_OVERHEAD ? whole - in->len
                                                                                 : 1;
}

static void keep(struct lev_conn *c, const uint8_t *data, size_t len)
{
    lev_buf_put(&c->in, data, len);
    if (c->in.failed)
        lev_conn_hangup(c, true);
    if (c->in.len == 0 && c->in.cap > IN_KEEP)
        lev_buf_deinit(&c->in);
}

/* Parses what was kept, completed with as much of data as that takes. */
static void parse_kept(struct lev_conn *c, const uint8_t **data, size_t *len)
{
    while (c->in.len && !c->stopped && !c->gone) {
        size_t k = parse(c, c->in.ptr, c->in.len);
        lev_buf_consume(&c->in, k);
        if (!*len || !c->in.len || c->stopped || c->gone)
            return;
        k = missing(c);
        k = k < *len ? k : *len;
        lev_buf_put(&c->in, *data, k);
        *data += k;
        *len -= k;
        if (c->in.failed)
            lev_conn_hangup(c, true);
    }
}

/* Parsing cannot go on: a get waits for the store, or our answers are not read. */
static bool waits(struct lev_conn *c)
{
    lev_vhost_lock(c->client.vhost);
    bool yes = c->client.suspended;
    lev_vhost_unlock(c->client.vhost);
    return yes || lev_output_is_long(c);
}

void lev_conn_input(struct lev_conn *c, const uint8_t *data, size_t len)
{
    c->parsing = true;
    for (;;) {
        parse_kept(c, &data, &len);
        if (!c->in.len && !c->stopped && !c->gone) {
            size_t k = parse(c, data, len);
            data += k;
            len -= k;
        }
        keep(c, data, len);
        len = 0;
        if (!c->stopped || c->gone || waits(c))
            break;
        c->stopped = false; /* what it waited for has come meanwhile */
    }
    if (c->stopped && !c->gone)
        lev_transport_pause(c->transport, true);
    c->parsing = false;
    if (c->throttled) /* what it waited for may have come while parsing */
        lev_conn_resume(c);
}

void lev_conn_resume(struct lev_conn *c)
{
    struct lev_vhost *v = c->client.vhost;
    if (c->parsing || c->gone)
        return;
    lev_vhost_lock(v);
    bool stopped = c->client.suspended || lev_output_is_long(c);
    bool held = lev_list_linked(&c->client.throttle_node);
    lev_vhost_unlock(v);
    if (c->throttled && !held) {
        c->throttled = false;
        if (!c->stopped)
            lev_transport_pause(c->transport, false);
    }
    if (c->stopped && !stopped) {
        c->stopped = false;
        if (!c->throttled)
            lev_transport_pause(c->transport, false);
        lev_conn_input(c, NULL, 0);
    }
}
