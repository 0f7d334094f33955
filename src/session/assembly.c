/* Contents. See assembly.h.
 *
 * The body is collected straight into the message's allocation. Names of a publish whose header has
 * not come yet are views into the input until lev_assembly_keep copies them. */
#include "session/assembly.h"

#include <stdio.h>

#include "base/mem.h"
#include "session/content.h"

void lev_assembly_reset(struct lev_assembly *as)
{
    if (as->names_owned)
        lev_bytes_free(&as->names);
    lev_msg_unref(&as->msg);
    lev_publish_extra_free(&as->extra);
    *as = (struct lev_assembly){0};
}

void lev_assembly_begin(struct lev_channel *ch, const struct lev_publish_parts *p)
{
    struct lev_assembly *as = &ch->as;
    as->active = true;
    as->mandatory = p->mandatory;
    as->immediate = p->immediate;
    as->exchange = p->exchange;
    as->key = p->key;
}

void lev_assembly_keep(struct lev_assembly *as)
{
    if (!as->active || as->has_header || as->names_owned)
        return;
    uint8_t *p = lev_xmalloc(as->exchange.len + as->key.len + 1);
    as->names = lev_bytes(p, as->exchange.len + as->key.len);
    if (as->exchange.len)
        memcpy(p, as->exchange.ptr, as->exchange.len);
    if (as->key.len)
        memcpy(p + as->exchange.len, as->key.ptr, as->key.len);
    as->exchange.ptr = p;
    as->key.ptr = p + as->exchange.len;
    as->names_owned = true;
}

static void fail_channel(struct lev_channel *ch, uint16_t code, const char *text)
{
    struct lev_error *error = lev_xmalloc(sizeof(*error));
    lev_fail(error, code, "%s", text);
    *lev_command_add(ch->conn) = (struct lev_command){
        .kind = LEV_CMD_FAIL, .method = LEV_M_BASIC_PUBLISH, .ch = ch, .u.error = error};
}

static void complete(struct lev_channel *ch)
{
    struct lev_assembly *as = &ch->as;
    uint64_t max = ch->conn->sl->layer->config.max_message_size;
    char text[128];
    if (as->immediate) {
        fail_channel(ch, LEV_NOT_IMPLEMENTED, "immediate=true");
    } else if (!as->msg) {
        snprintf(text, sizeof(text), "message size %llu is larger than %s size %llu",
                 (unsigned long long)as->body_size, max == LEV_BODY_MAX ? "max" : "configured max",
                 (unsigned long long)max);
        fail_channel(ch, LEV_PRECONDITION_FAILED, text);
    } else {
        *lev_command_add(ch->conn) = (struct lev_command){.kind = LEV_CMD_PUBLISH,
                                                          .method = LEV_M_BASIC_PUBLISH,
                                                          .flag = as->mandatory,
                                                          .ch = ch,
                                                          .msg = as->msg,
                                                          .u.extra = as->extra};
        as->msg = NULL;
        as->extra = NULL;
    }
    if (as->names_owned)
        lev_bytes_free(&as->names);
    lev_msg_unref(&as->msg);
    as->active = as->has_header = as->names_owned = false;
}

static bool start_message(struct lev_channel *ch, struct lev_bytes props, struct lev_error *err)
{
    struct lev_assembly *as = &ch->as;
    bool fits = as->body_size <= ch->conn->sl->layer->config.max_message_size;
    as->msg = lev_content_message(ch, as->exchange, as->key, props,
                                  fits ? (uint32_t)as->body_size : 0, &as->extra);
    if (!as->msg) {
        lev_fail(err, LEV_INTERNAL_ERROR, "%s", "");
        return false;
    }
    if (!fits) {
        lev_msg_unref(&as->msg);
        lev_publish_extra_free(&as->extra);
    }
    return true;
}

bool lev_assembly_header(struct lev_channel *ch, struct lev_bytes payload, struct lev_error *err,
                         bool *bare)
{
    struct lev_assembly *as = &ch->as;
    struct lev_content_header h;
    *bare = false;
    if (lev_content_header_decode(payload, &h) < 0) {
        *bare = true;
        return lev_fail(err, LEV_INTERNAL_ERROR, "%s", "") == 0;
    }
    if (h.class_id != 60)
        return lev_fail(err, LEV_UNEXPECTED_FRAME,
                        "expected content header for class 60, got one for class %u instead",
                        h.class_id) == 0;
    if (h.weight != 0)
        return lev_fail(err, LEV_UNEXPECTED_FRAME,
                        "expected content header for class 60, "
                        "got non content header frame instead") == 0;
    if (h.body_size > LEV_BODY_MAX)
        return lev_fail(err, LEV_FRAME_ERROR,
                        "content body size %llu exceeds maximum allowed size %d",
                        (unsigned long long)h.body_size, LEV_BODY_MAX) == 0;
    as->has_header = true;
    as->body_size = h.body_size;
    as->got = 0;
    if (!start_message(ch, h.props, err)) {
        *bare = true;
        return false;
    }
    if (h.body_size == 0)
        complete(ch);
    return true;
}

bool lev_assembly_body(struct lev_channel *ch, struct lev_bytes payload, struct lev_error *err)
{
    struct lev_assembly *as = &ch->as;
    if (payload.len > as->body_size - as->got)
        return lev_fail(err, LEV_FRAME_ERROR,
                        "content body frame exceeds remaining content size") == 0;
    if (as->msg && payload.len)
        memcpy(lev_msg_body_mut(as->msg) + as->got, payload.ptr, payload.len);
    as->got += payload.len;
    lev_assembly_end_piece(ch);
    return true;
}

void lev_assembly_end_piece(struct lev_channel *ch)
{
    if (ch->as.got == ch->as.body_size)
        complete(ch);
}
