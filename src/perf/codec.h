/* Bytes of AMQP 0-9-1 for the load generator: a growing output buffer, a sticky-error input cursor
 * and the frame envelope. It knows nothing of sockets. It is private to src/perf, so that the tool
 * measures the broker's codec and never shares a defect with it. Pure; any thread, one owner per
 * object.
 *
 * Output: memory exhaustion ends the program (this is a tool, and its buffers are sized by its own
 * options). Input: a read past the end sets `failed` and yields zeroes; the caller checks once, at
 * the end. */
#ifndef LEV_PERF_CODEC_H
#define LEV_PERF_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum lev_perf_frame_type {
    LEV_PERF_FRAME_METHOD = 1,
    LEV_PERF_FRAME_HEADER = 2,
    LEV_PERF_FRAME_BODY = 3,
    LEV_PERF_FRAME_HEARTBEAT = 8,
};

#define LEV_PERF_FRAME_END 0xCE
#define LEV_PERF_FRAME_OVERHEAD 8u

struct lev_perf_buf {
    uint8_t *data;
    size_t len;
    size_t cap;
};

struct lev_perf_cursor {
    const uint8_t *p;
    const uint8_t *end;
    bool failed;
};

/* A view into the input: valid until the input buffer is next filled. */
struct lev_perf_frame {
    uint8_t type;
    uint16_t channel;
    uint32_t size;
    const uint8_t *payload;
};

static inline uint16_t lev_perf_get_u16(const uint8_t *p)
{
    uint16_t v;

    memcpy(&v, p, sizeof v);
    return __builtin_bswap16(v);
}

static inline uint32_t lev_perf_get_u32(const uint8_t *p)
{
    uint32_t v;

    memcpy(&v, p, sizeof v);
    return __builtin_bswap32(v);
}

static inline uint64_t lev_perf_get_u64(const uint8_t *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof v);
    return __builtin_bswap64(v);
}

/* Makes room for `more` bytes after len. */
void lev_perf_buf_reserve(struct lev_perf_buf *buf, size_t more);
/* Frees the bytes; the buffer is empty and usable again. */
void lev_perf_buf_deinit(struct lev_perf_buf *buf);

void lev_perf_put_u8(struct lev_perf_buf *buf, uint8_t v);
void lev_perf_put_u16(struct lev_perf_buf *buf, uint16_t v);
void lev_perf_put_u32(struct lev_perf_buf *buf, uint32_t v);
void lev_perf_put_u64(struct lev_perf_buf *buf, uint64_t v);
void lev_perf_put_bytes(struct lev_perf_buf *buf, const void *data, size_t len);
/* A string of at most 255 bytes; longer ones are cut, options having refused them before. */
void lev_perf_put_shortstr(struct lev_perf_buf *buf, const char *s);
void lev_perf_put_longstr(struct lev_perf_buf *buf, const void *data, size_t len);

/* Opens something that starts with its own 32-bit length (a field table); give the mark to _end. */
size_t lev_perf_table_begin(struct lev_perf_buf *buf);
void lev_perf_table_end(struct lev_perf_buf *buf, size_t mark);
void lev_perf_table_bool(struct lev_perf_buf *buf, const char *name, bool v);
void lev_perf_table_str(struct lev_perf_buf *buf, const char *name, const char *v);
void lev_perf_table_i32(struct lev_perf_buf *buf, const char *name, int32_t v);

/* Opens a frame; give the mark to _end, which fills in the size and appends the end octet. */
size_t lev_perf_frame_begin(struct lev_perf_buf *buf, enum lev_perf_frame_type type,
                            uint16_t channel);
void lev_perf_frame_end(struct lev_perf_buf *buf, size_t mark);

struct lev_perf_cursor lev_perf_cursor_on(const uint8_t *data, size_t len);
uint8_t lev_perf_take_u8(struct lev_perf_cursor *c);
uint16_t lev_perf_take_u16(struct lev_perf_cursor *c);
uint32_t lev_perf_take_u32(struct lev_perf_cursor *c);
uint64_t lev_perf_take_u64(struct lev_perf_cursor *c);
/* A short string as a view; *len_r is 0 and the result not to be read when the cursor has failed.
 */
const uint8_t *lev_perf_take_shortstr(struct lev_perf_cursor *c, size_t *len_r);
/* Steps over a field table or a long string. */
void lev_perf_skip_long(struct lev_perf_cursor *c);

/* Finds the first whole frame of data. Returns the bytes it spans, 0 when more input is needed, -1
 * when the bytes are no frame or the payload is longer than payload_max. */
static inline int64_t lev_perf_frame_decode(const uint8_t *data, size_t len, uint32_t payload_max,
                                            struct lev_perf_frame *frame_r)
{
    uint32_t size;

    if (len < 7)
        return 0;
    size = lev_perf_get_u32(data + 3);
    if (size > payload_max)
        return -1;
    if (len < (size_t)size + LEV_PERF_FRAME_OVERHEAD)
        return 0;
    if (data[7 + (size_t)size] != LEV_PERF_FRAME_END)
        return -1;
    frame_r->type = data[0];
    frame_r->channel = lev_perf_get_u16(data + 1);
    frame_r->size = size;
    frame_r->payload = data + 7;
    return (int64_t)size + LEV_PERF_FRAME_OVERHEAD;
}

#endif
