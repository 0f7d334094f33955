/* A publish that lies whole in the input. See whole.h.
 *
 * Most publishers repeat themselves: only the body is another one each time. So a channel remembers
 * the octets of a publish up to its body frame, and the message that they make. What begins with
 * the same octets, but for the body's size, is not looked into again. */
#include "session/whole.h"

#include "base/mem.h"
#include "session/assembly.h"
#include "session/content.h"

enum {
    BASIC_CONTENT = 60 << 16, /* class and weight */
    HEADER_SIZE = 4,          /* in a header's payload: the body's size, */
    HEADER_PROPS = 12,        /* and the properties, */
    HEADER_MIN = 14,          /* which take two octets at least */
    REPEAT_MAX = 512,         /* octets remembered at most */
    REPEAT_MISSES = 16,       /* so that those who never repeat themselves seldom pay for it */
};

struct lev_repeat {
    struct lev_msg *like; /* owned; its body is empty */
    uint32_t number;      /* lev_command.repeat */
    uint16_t len;         /* of head */
    uint16_t size_at;     /* where in it the body's size is */
    bool mandatory;
    uint8_t head[]; /* method frame and header frame */
};

void lev_repeat_free(struct lev_repeat **r)
{
    if (*r)
        lev_msg_unref(&(*r)->like);
    free(*r);
    *r = NULL;
}

/* Takes the body frame of a content whose size is at `size`, if there is to be one. */
static inline bool take_body(const struct lev_channel *ch, const uint8_t *size,
                             struct lev_bytes *in, struct lev_bytes *body_r)
{
    const struct lev_conn *c = ch->conn;
    uint64_t n = lev_get64(size);
    *body_r = LEV_EMPTY;
    return (!n || lev_frame_take(in, LEV_FRAME_BODY, ch->number, c->frame_max, body_r)) &&
           body_r->len == n && n <= c->sl->layer->config.max_message_size;
}

static inline void add(struct lev_channel *ch, struct lev_msg *m, struct lev_bytes body,
                       bool mandatory, uint32_t repeat)
{
    if (body.len)
        memcpy(lev_msg_body_mut(m), body.ptr, body.len);
    *lev_command_add(ch->conn) = (struct lev_command){.kind = LEV_CMD_PUBLISH,
                                                      .method = LEV_M_BASIC_PUBLISH,
                                                      .flag = mandatory,
                                                      .repeat = repeat,
                                                      .ch = ch,
                                                      .msg = m};
}

/* The body's size may be any. */
static inline bool begins_alike(struct lev_repeat *r, const uint8_t *p, size_t n)
{
    if (n < r->len)
        return false;
    memcpy(r->head + r->size_at, p + r->size_at, 8);
    return memcmp(r->head, p, r->len) == 0;
}

/* One that begins as the one remembered. Returns as lev_whole_publish. */
static size_t take_repeat(struct lev_channel *ch, const uint8_t *p, size_t n)
{
    const struct lev_repeat *r = ch->repeat;
    struct lev_bytes body, in = lev_bytes(p + r->len, n - r->len);
    if (!take_body(ch, p + r->size_at, &in, &body))
        return 0;
    struct lev_msg *m = lev_msg_with_body(r->like, (uint32_t)body.len);
    if (!m)
        return 0;
    add(ch, m, body, r->mandatory, r->number);
    return n - in.len;
}

/* From now on publishes like m, which began with head, are expected. Returns their number; 0 when
 * they are not. */
static uint32_t remember(struct lev_channel *ch, struct lev_bytes head, const uint8_t *size,
                         const struct lev_msg *m, bool mandatory)
{
    if (ch->misses++ % REPEAT_MISSES != 0 || head.len > REPEAT_MAX)
        return 0;
    struct lev_repeat *r = lev_xmalloc(sizeof(*r) + head.len);
    struct lev_msg *like = lev_msg_new(lev_msg_exchange(m), lev_msg_key(m), lev_msg_props(m), 0);
    if (!like) {
        free(r);
        return 0;
    }
    like->persistent = m->persistent;
    like->priority = m->priority;
    *r = (struct lev_repeat){.like = like,
                             .number = ch->misses,
                             .len = (uint16_t)head.len,
                             .size_at = (uint16_t)(size - head.ptr),
                             .mandatory = mandatory};
    memcpy(r->head, head.ptr, head.len);
    lev_repeat_free(&ch->repeat);
    ch->repeat = r;
    return r->number;
}

/* Any other. Returns as lev_whole_publish. */
static size_t take_other(struct lev_channel *ch, const uint8_t *p, size_t n)
{
    struct lev_publish_parts parts;
    struct lev_bytes in = lev_bytes(p, n), method, header, body;
    uint32_t max = ch->conn->frame_max;
    if (!lev_frame_take(&in, LEV_FRAME_METHOD, ch->number, max, &method) ||
        !lev_frame_take(&in, LEV_FRAME_HEADER, ch->number, max, &header) ||
        header.len < HEADER_MIN || lev_get32(header.ptr) != BASIC_CONTENT)
        return 0;
    size_t head = n - in.len;
    const uint8_t *size = header.ptr + HEADER_SIZE;
    struct lev_bytes props = lev_bytes(header.ptr + HEADER_PROPS, header.len - HEADER_PROPS);
    if (!take_body(ch, size, &in, &body) || !lev_content_is_memo(ch, props) ||
        !lev_publish_split(method, &parts) || parts.immediate)
        return 0;
    struct lev_msg *m = lev_msg_new(parts.exchange, parts.key, props, (uint32_t)body.len);
    if (!m)
        return 0;
    m->persistent = ch->memo_persistent;
    m->priority = ch->memo_priority;
    add(ch, m, body, parts.mandatory, remember(ch, lev_bytes(p, head), size, m, parts.mandatory));
    return n - in.len;
}

size_t lev_whole_publish(struct lev_channel *ch, const uint8_t *p, size_t n)
{
    return ch->repeat && begins_alike(ch->repeat, p, n) ? take_repeat(ch, p, n)
                                                        : take_other(ch, p, n);
}
