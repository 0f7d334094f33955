/* Methods: decode, encode and policy rows, all made from methods.def. See method.h.
 *
 * For each row the preprocessor writes one decoder, one encoder and one size bound: its fields
 * become calls of get_<kind>, put_<kind> and room_<kind> below. The decoder's cursor only ever
 * compares with the octets left; after the first shortage it gives zeros and empty views, and the
 * caller finds `truncated` at the end. The encoder asks for the room of a whole frame first, then
 * writes freely. */
#include "amqp/method.h"

#include "amqp/table.h"
#include "base/err.h"
#include "base/utf8.h"

/* ---- Decoding: kinds ------------------------------------------------------------------------- */

struct cursor {
    const uint8_t *p;
    size_t left;
    bool truncated;
    bool check_utf8;
    uint8_t bits;       /* the octet bits come from */
    unsigned bits_left; /* bits of it not yet taken */
    int err;            /* first bad string or table */
};

/* The next n octets, or NULL when there are fewer. Ends a run of bits. */
static inline const uint8_t *take(struct cursor *c, size_t n)
{
    c->bits_left = 0;
    if (c->left < n) {
        c->truncated = true;
        c->left = 0;
        return NULL;
    }
    const uint8_t *p = c->p;
    c->p += n;
    c->left -= n;
    return p;
}

static inline uint8_t get_octet(struct cursor *c)
{
    const uint8_t *p = take(c, 1);
    return p ? *p : 0;
}

static inline uint16_t get_shortint(struct cursor *c)
{
    const uint8_t *p = take(c, 2);
    return p ? lev_get16(p) : 0;
}

static inline uint32_t get_longint(struct cursor *c)
{
    const uint8_t *p = take(c, 4);
    return p ? lev_get32(p) : 0;
}

static inline uint64_t get_longlong(struct cursor *c)
{
    const uint8_t *p = take(c, 8);
    return p ? lev_get64(p) : 0;
}

static inline bool get_bit(struct cursor *c)
{
    if (c->bits_left == 0) {
        c->bits = get_octet(c);
        c->bits_left = 8;
    }
    bool v = c->bits & 1;
    c->bits >>= 1;
    c->bits_left--;
    return v;
}

static inline struct lev_bytes get_counted(struct cursor *c, size_t n)
{
    const uint8_t *p = take(c, n);
    return p ? lev_bytes(p, n) : LEV_EMPTY;
}

static inline struct lev_bytes get_shortstr(struct cursor *c)
{
    struct lev_bytes v = get_counted(c, get_octet(c));
    if (c->check_utf8 && c->err == 0 && !lev_utf8_valid(v))
        c->err = LEV_EUTF8;
    return v;
}

static inline struct lev_bytes get_longstr(struct cursor *c)
{
    return get_counted(c, get_longint(c));
}

static inline struct lev_bytes get_table(struct cursor *c)
{
    struct lev_bytes v = get_longstr(c);
    if (c->err == 0)
        c->err = lev_table_validate(v);
    return v;
}

/* ---- Decoding: methods ----------------------------------------------------------------------- */

#define LEV_FIELD(kind, name) v->name = get_##kind(c);
#define LEV_METHOD(ID, id, class_id, method_id, name, flags, fields)                               \
    static void decode_##id(struct cursor *c, struct lev_##id *v)                                  \
    {                                                                                              \
        (void)c;                                                                                   \
        (void)v;                                                                                   \
        fields                                                                                     \
    }
#include "amqp/methods.def"

#define KEY(class_id, method_id) ((uint32_t)(class_id) << 16 | (method_id))

int lev_method_decode(struct lev_bytes payload, struct lev_method *m_r)
{
    m_r->id = LEV_M_COUNT;
    if (payload.len < 4)
        return LEV_EUNKNOWN;
    struct cursor c = {.p = payload.ptr + 4, .left = payload.len - 4};
    switch (lev_get32(payload.ptr)) {
#define LEV_FIELD(kind, name)
#define LEV_METHOD(ID, id_, class_id, method_id, name, flags, fields)                              \
    case KEY(class_id, method_id):                                                                 \
        m_r->id = LEV_M_##ID;                                                                      \
        c.check_utf8 = !((flags) & (LEV_MF_CONTENT | LEV_MF_HOT));                                 \
        decode_##id_(&c, &m_r->u.id_);                                                             \
        break;
#include "amqp/methods.def"
    default:
        return LEV_EUNKNOWN;
    }
    return c.truncated || c.left != 0 ? LEV_EPROTO : c.err;
}

/* ---- Encoding: kinds ------------------------------------------------------------------------- */

struct writer {
    uint8_t *p;
    unsigned bits; /* bits taken of the octet before p; 0: none open */
};

static inline size_t shortstr_len(struct lev_bytes v)
{
    return v.len < UINT8_MAX ? v.len : UINT8_MAX;
}

static inline size_t room_octet(uint8_t v)
{
    return sizeof(v);
}

static inline size_t room_shortint(uint16_t v)
{
    return sizeof(v);
}

static inline size_t room_longint(uint32_t v)
{
    return sizeof(v);
}

static inline size_t room_longlong(uint64_t v)
{
    return sizeof(v);
}

static inline size_t room_bit(bool v)
{
    return sizeof(v); /* an octet for each: a bound, not the size */
}

static inline size_t room_shortstr(struct lev_bytes v)
{
    return 1 + shortstr_len(v);
}

static inline size_t room_longstr(struct lev_bytes v)
{
    return 4 + v.len;
}

static inline size_t room_table(struct lev_bytes v)
{
    return 4 + v.len;
}

static inline void put_octet(struct writer *w, uint8_t v)
{
    *w->p++ = v;
    w->bits = 0;
}

static inline void put_shortint(struct writer *w, uint16_t v)
{
    lev_put16(w->p, v);
    w->p += 2;
    w->bits = 0;
}

static inline void put_longint(struct writer *w, uint32_t v)
{
    lev_put32(w->p, v);
    w->p += 4;
    w->bits = 0;
}

static inline void put_longlong(struct writer *w, uint64_t v)
{
    lev_put64(w->p, v);
    w->p += 8;
    w->bits = 0;
}

static inline void put_bit(struct writer *w, bool v)
{
    if (w->bits == 0)
        *w->p++ = 0;
    w->p[-1] = (uint8_t)(w->p[-1] | (unsigned)v << w->bits);
    w->bits = (w->bits + 1) & 7;
}

/* Not inline: where the compiler knows that n fits an octet it would copy by a string instruction,
 * several times slower than memcpy. */
static __attribute__((noinline)) void put_raw(struct writer *w, const uint8_t *p, size_t n)
{
    if (n)
        memcpy(w->p, p, n);
    w->p += n;
}

static inline void put_shortstr(struct writer *w, struct lev_bytes v)
{
    size_t n = shortstr_len(v);
    put_octet(w, (uint8_t)n);
    put_raw(w, v.ptr, n);
}

static inline void put_longstr(struct writer *w, struct lev_bytes v)
{
    put_longint(w, (uint32_t)v.len);
    put_raw(w, v.ptr, v.len);
}

static inline void put_table(struct writer *w, struct lev_bytes v)
{
    put_longstr(w, v);
}

/* ---- Encoding: methods ----------------------------------------------------------------------- */

#define LEV_FIELD(kind, name) +room_##kind(v->name)
#define LEV_METHOD(ID, id, class_id, method_id, name, flags, fields)                               \
    static size_t room_for_##id(const struct lev_##id *v)                                          \
    {                                                                                              \
        (void)v;                                                                                   \
        return 4 fields;                                                                           \
    }
#include "amqp/methods.def"

#define LEV_FIELD(kind, name) put_##kind(w, v->name);
#define LEV_METHOD(ID, id, class_id, method_id, name, flags, fields)                               \
    static void encode_##id(struct writer *w, const struct lev_##id *v)                            \
    {                                                                                              \
        (void)v;                                                                                   \
        put_longint(w, KEY(class_id, method_id));                                                  \
        fields                                                                                     \
    }
#include "amqp/methods.def"

static size_t room_for(const struct lev_method *m)
{
    switch (m->id) {
#define LEV_FIELD(kind, name)
#define LEV_METHOD(ID, id_, class_id, method_id, name, flags, fields)                              \
    case LEV_M_##ID:                                                                               \
        return room_for_##id_(&m->u.id_);
#include "amqp/methods.def"
    case LEV_M_COUNT:
        break;
    }
    return 0;
}

static void encode(struct writer *w, const struct lev_method *m)
{
    switch (m->id) {
#define LEV_FIELD(kind, name)
#define LEV_METHOD(ID, id_, class_id, method_id, name, flags, fields)                              \
    case LEV_M_##ID:                                                                               \
        encode_##id_(w, &m->u.id_);                                                                \
        break;
#include "amqp/methods.def"
    case LEV_M_COUNT:
        break;
    }
}

void lev_method_encode(struct lev_buf *out, uint16_t channel, const struct lev_method *m)
{
    uint8_t *frame = lev_buf_reserve(out, room_for(m) + LEV_FRAME_OVERHEAD);
    if (!frame)
        return;
    struct writer w = {.p = frame + 7};
    encode(&w, m);
    lev_frame_put_header(frame, LEV_FRAME_METHOD, channel, (uint32_t)(w.p - (frame + 7)));
    *w.p++ = LEV_FRAME_END;
    out->len += (size_t)(w.p - frame);
}

/* ---- Rows and reply codes -------------------------------------------------------------------- */

static const struct lev_method_info infos[LEV_M_COUNT] = {
#define LEV_FIELD(kind, name)
#define LEV_METHOD(ID, id, class_id, method_id, name, flags, fields)                               \
    [LEV_M_##ID] = {class_id, method_id, flags, name},
#include "amqp/methods.def"
};

const struct lev_method_info *lev_method_info(enum lev_method_id id)
{
    return &infos[id];
}

/* Reply codes with RabbitMQ's names. */
static const struct reply {
    uint16_t code;
    bool hard;
    const char *name;
} replies[] = {
    {200, false, "REPLY_SUCCESS"},    {311, false, "CONTENT_TOO_LARGE"},
    {312, false, "NO_ROUTE"},         {313, false, "NO_CONSUMERS"},
    {320, true, "CONNECTION_FORCED"}, {402, true, "INVALID_PATH"},
    {403, false, "ACCESS_REFUSED"},   {404, false, "NOT_FOUND"},
    {405, false, "RESOURCE_LOCKED"},  {406, false, "PRECONDITION_FAILED"},
    {501, true, "FRAME_ERROR"},       {502, true, "SYNTAX_ERROR"},
    {503, true, "COMMAND_INVALID"},   {504, true, "CHANNEL_ERROR"},
    {505, true, "UNEXPECTED_FRAME"},  {506, true, "RESOURCE_ERROR"},
    {530, true, "NOT_ALLOWED"},       {540, true, "NOT_IMPLEMENTED"},
    {541, true, "INTERNAL_ERROR"},
};

static const struct reply *find_reply(uint16_t code)
{
    for (size_t i = 0; i < sizeof(replies) / sizeof(replies[0]); i++)
        if (replies[i].code == code)
            return &replies[i];
    return NULL;
}

const char *lev_reply_name(uint16_t code)
{
    const struct reply *r = find_reply(code);
    return r ? r->name : NULL;
}

bool lev_reply_is_hard(uint16_t code)
{
    const struct reply *r = find_reply(code);
    return r && r->hard;
}
