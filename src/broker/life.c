/* A queue object's life: made with its priority levels, given settings, released. See queue.h.
 * Under the vhost's lock. */
#include "base/mem.h"
#include "broker/limits.h"
#include "broker/pace.h"
#include "broker/vhost_int.h"

/* A queue of zeroes but for its texts. */
static struct lev_queue *with_texts(struct lev_bytes name, struct lev_bytes arguments)
{
    struct lev_queue *q = lev_xcalloc(1, sizeof(*q) + name.len + arguments.len);
    if (name.len)
        memcpy(q->text, name.ptr, name.len);
    if (arguments.len)
        memcpy(q->text + name.len, arguments.ptr, arguments.len);
    q->arguments_len = (uint32_t)arguments.len;
    return q;
}

struct lev_queue *lev_queue_new(struct lev_vhost *v, const struct lev_queue_def *def)
{
    struct lev_queue *q = with_texts(def->name, def->arguments);
    q->level = (uint16_t)def->level;
    q->vhost = v;
    q->id = def->queue_id;
    q->refs = 1;
    q->auto_delete = def->auto_delete;
    q->next_pos = 1;
    q->top = q->self = q;
    q->levels = &q->self;
    q->n_levels = 1;
    lev_dest_init(&q->dest, true, def->durable, lev_bytes(q->text, def->name.len));
    lev_list_init(&q->owner_node);
    lev_list_init(&q->consumers);
    lev_list_init(&q->ready_list);
    lev_list_init(&q->kick_node);
    lev_list_init(&q->unread_node);
    lev_list_init(&q->getters);
    q->settings = lev_settings_ref(v->plain);
    return q;
}

static void release(struct lev_queue *q)
{
    lev_timer_clear(&q->vhost->timers, &q->expiry);
    lev_timer_clear(&q->vhost->timers, &q->disuse);
    lev_pace_release(q);
    lev_park_deinit(q);
    lev_entries_deinit(&q->front);
    lev_entries_deinit(&q->tail);
    lev_settings_unref(&q->settings);
    lev_dedup_free(&q->dedup);
    if (q->levels != &q->self)
        free(q->levels);
    free(q);
}

void lev_queue_unref(struct lev_queue **qp)
{
    lev_queue_unref_many(qp, 1);
}

void lev_queue_unref_many(struct lev_queue **qp, size_t n)
{
    struct lev_queue *q = *qp;
    *qp = NULL;
    if (!q || (q->refs -= (uint32_t)n) > 0)
        return;
    struct lev_queue *top = q->top != q ? q->top : NULL;
    release(q);
    lev_queue_unref(&top); /* a level holds its queue */
}

void lev_queue_make_levels(struct lev_queue *q)
{
    unsigned n = q->settings->max_priority + 1;
    q->levels = lev_xcalloc(n, sizeof(struct lev_queue *));
    q->n_levels = n;
    for (unsigned i = 0; i < n; i++) {
        struct lev_queue_def def = {.name = q->dest.name, .level = i + 1};
        q->levels[i] = lev_queue_new(q->vhost, &def);
        q->levels[i]->top = lev_queue_ref(q);
        q->levels[i]->limited = true;
    }
}

bool lev_queue_set_level(struct lev_queue *q, struct lev_queue *level)
{
    unsigned i = level->level - 1u;
    if (q->levels == &q->self || i >= q->n_levels || q->levels[i]->id)
        return false;
    lev_queue_unref(&q->levels[i]);
    level->top = lev_queue_ref(q);
    level->limited = true;
    q->levels[i] = level;
    return true;
}

bool lev_queue_has_limits(const struct lev_queue *q)
{
    const struct lev_queue_settings *s = q->settings;
    return s->message_ttl_ms != LEV_UNLIMITED || s->max_length != LEV_UNLIMITED ||
           s->max_length_bytes != LEV_UNLIMITED || s->prioritised || q->dedup;
}

void lev_queue_apply_settings(struct lev_queue *q, struct lev_queue_settings *resolved)
{
    const struct lev_queue_settings *old = q->settings;
    const struct lev_queue_settings *s = lev_settings_share(&q->vhost->settings, resolved);
    bool expires_anew = s->expires_ms != old->expires_ms;
    q->settings = s;
    lev_settings_unref(&old);
    lev_dedup_follow(q->vhost, &q->dedup, &s->dedup,
                     &(struct lev_dedup_owner){.durable = q->dest.durable, .queue_id = q->id});
    q->limited = lev_queue_has_limits(q);
    for (unsigned i = 0; i < q->n_levels; i++)
        q->levels[i]->limited = q->limited;
    if (expires_anew)
        lev_limits_used(q);
    lev_queue_kick(q);
}
