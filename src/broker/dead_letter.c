/* Dead lettering. See dead_letter.h; what the message looks like afterwards is in death.c. */
#include "broker/dead_letter.h"

#include "base/log.h"
#include "base/mem.h"
#include "broker/death.h"
#include "broker/queue.h"
#include "broker/vhost_int.h"

/* Deaths of the third generation and later that one run routes; of those put off, how many each
 * later run. */
enum { DEEP_MAX = 8192, PUT_OFF_MAX = 1024 };

/* No message is held back longer than this. */
static const uint64_t DELAY_MAX_MS = UINT64_C(315360000000);

bool lev_dead_letter_keeps(const struct lev_queue *q)
{
    const struct lev_queue_settings *s = q->top->settings;
    return s->at_least_once && s->has_dlx && s->type == LEV_QUEUE_QUORUM &&
           s->overflow == LEV_REJECT_PUBLISH;
}

/* --- roots --- */

/* For one more death that d brings about; NULL: there is nothing to wait for it. */
static struct lev_dead_root *root_of(struct lev_dead *d)
{
    if (!d || d->kept)
        return NULL;
    if (!d->root && d->placed) {
        d->root = lev_xcalloc(1, sizeof(*d->root));
        d->root->refs = 1;
        d->root->level = lev_queue_ref(d->level);
        d->root->e = d->p.e;
        lev_msg_ref(d->root->e.msg);
    }
    if (d->root)
        d->root->refs++;
    return d->root;
}

static void settle(struct lev_queue *level, const struct lev_entry *e)
{
    lev_queue_sub_unacked(level, 1);
    level->vhost->open->firm = true; /* as in push: it may have been put off */
    lev_queue_moved(level, e);
}

static void free_root(struct lev_dead_root *r)
{
    lev_msg_unref(&r->e.msg);
    lev_queue_unref(&r->level);
    free(r);
}

static void root_unref(struct lev_dead_root *r)
{
    if (!r || --r->refs)
        return;
    settle(r->level, &r->e);
    free_root(r);
}

/* --- dying --- */

static void push(const struct lev_dead *d)
{
    struct lev_vhost *v = d->level->vhost;
    v->open->firm = true; /* it leaves its queue, but only for another */
    if (v->n_dead == v->cap_dead) {
        v->cap_dead = v->cap_dead ? v->cap_dead * 2 : 64;
        v->dead = lev_xrealloc(v->dead, v->cap_dead * sizeof(*v->dead));
    }
    v->dead[v->n_dead] = *d;
    lev_queue_ref(v->dead[v->n_dead++].level);
}

/* Until it is settled, no read may take it for a ready one. */
static void push_placed(struct lev_queue *level, const struct lev_parked *p, bool kept)
{
    lev_queue_add_unacked(level);
    push(&(struct lev_dead){.p = *p, .level = level, .placed = true, .kept = kept});
}

void lev_dead_letter_msg(struct lev_queue *q, struct lev_msg *msg, enum lev_death reason)
{
    if (!q->top->settings->has_dlx || q->deleted)
        return;
    push(&(struct lev_dead){.p = {.e.msg = lev_msg_ref(msg), .reason = (uint8_t)reason},
                            .level = q,
                            .root = root_of(q->vhost->dying)});
}

void lev_dead_letter(struct lev_queue *q, const struct lev_entry *e, enum lev_death reason)
{
    const struct lev_parked p = {.e = *e, .size = e->msg->body_len, .reason = (uint8_t)reason};
    if (q->deleted || !q->top->settings->has_dlx) {
        lev_queue_settled(q, e);
        return;
    }
    lev_msg_ref(e->msg);
    push_placed(q, &p, lev_dead_letter_keeps(q));
}

void lev_dead_letter_again(struct lev_queue *q, const struct lev_parked *p)
{
    push_placed(q, p, true);
}

/* --- retrying --- */

/* How long a message with this many returns is held back. */
static uint64_t delay_of(const struct lev_queue_settings *s, unsigned returns, bool failed)
{
    enum lev_retry_type skipped = failed ? LEV_RETRY_RETURNED : LEV_RETRY_FAILED;
    if (s->retry_type == LEV_RETRY_DISABLED || s->retry_type == skipped)
        return 0;
    uint64_t longest = s->retry_max_ms < DELAY_MAX_MS ? s->retry_max_ms : DELAY_MAX_MS;
    return s->retry_min_ms > longest / returns ? longest : s->retry_min_ms * returns;
}

/* Until then; what expires meanwhile comes back to do so. */
static void hold(struct lev_queue *q, struct lev_entry *e, uint64_t delay_ms)
{
    struct lev_parked p = {
        .e = *e, .due_ms = lev_vhost_now(q->vhost) + delay_ms, .size = e->msg->body_len};
    if (e->expires_ms && e->expires_ms < p.due_ms)
        p.due_ms = e->expires_ms;
    e->msg = NULL;
    lev_park_put(q, LEV_PARK_RETRY, &p);
}

void lev_retry(struct lev_queue *q, struct lev_entry *e, bool failed)
{
    const struct lev_queue_settings *s = q->top->settings;
    bool counted = s->type == LEV_QUEUE_QUORUM || s->retry_type != LEV_RETRY_DISABLED;
    uint64_t delay_ms = 0;
    if (counted && !q->deleted) {
        if (e->count < UINT16_MAX)
            e->count++;
        if (e->count > s->delivery_limit) {
            lev_dead_letter(q, e, LEV_DEATH_DELIVERY_LIMIT);
            lev_msg_unref(&e->msg);
            return;
        }
        lev_queue_count_changed(q, e);
        delay_ms = delay_of(s, e->count, failed);
    }
    if (delay_ms)
        hold(q, e, delay_ms);
    else
        lev_queue_requeue(q, e);
}

/* --- routing --- */

static bool took(const struct lev_parked *p, const struct lev_queue *to)
{
    for (uint32_t i = 0; i < p->n_took; i++)
        if (p->took[i] == to)
            return true;
    return false;
}

static void note_taken(struct lev_parked *p, struct lev_queue *to)
{
    p->took = lev_xrealloc(p->took, (p->n_took + 1) * sizeof(struct lev_queue *));
    p->took[p->n_took++] = lev_queue_ref(to);
}

/* True when there are targets and none refused. */
static bool publish_dead(struct lev_exchange *x, struct lev_dead *d, struct lev_msg *msg,
                         const struct lev_bytes *keys, size_t n_keys)
{
    struct lev_vhost *v = d->level->vhost;
    size_t targets = 0, refused = 0;
    const struct lev_route *r = lev_vhost_route(v, x, msg, keys, n_keys, lev_msg_headers(msg));
    for (size_t i = 0; i < r->n; i++) {
        struct lev_queue *to = LEV_CONTAINER(r->dests[i], struct lev_queue, dest);
        if (d->p.reason != LEV_DEATH_REJECTED && lev_death_cycle(msg, to->dest.name))
            continue;
        targets++;
        if (took(&d->p, to))
            continue;
        if (lev_queue_publish(to, msg) == LEV_QUEUE_REJECTED)
            refused++;
        else if (d->kept)
            note_taken(&d->p, to);
    }
    return (targets > 0 || v->effects.held) && !refused;
}

/* The dead message as it goes on; NULL when memory is out. */
static struct lev_msg *dead_message(const struct lev_dead *d)
{
    const struct lev_queue *q = d->level->top;
    struct lev_death_info info = {.queue = q->dest.name,
                                  .reason = lev_death_word((enum lev_death)d->p.reason),
                                  .time_s = lev_vhost_now(q->vhost) / 1000,
                                  .exchange = q->settings->dlx,
                                  .key = lev_msg_key(d->p.e.msg),
                                  .new_key = q->settings->has_dlrk};
    if (info.new_key)
        info.key = q->settings->dlrk;
    struct lev_msg *msg = lev_death_message(d->p.e.msg, &info);
    if (!msg)
        lev_log_error("queue %.*s: out of memory dead-lettering a message", LEV_FMT(q->dest.name));
    return msg;
}

/* True when it is where it should be. */
static bool route_one(struct lev_dead *d)
{
    enum { FEW = 16 };
    struct lev_queue *q = d->level->top;
    struct lev_bytes few[FEW], *keys = few;
    struct lev_exchange *x = lev_exchange_get(q->vhost->topology, q->settings->dlx);
    struct lev_msg *msg = x && q->settings->has_dlx ? dead_message(d) : NULL;
    if (!msg)
        return false;
    size_t n = lev_death_keys(msg, NULL);
    if (n > FEW)
        keys = lev_xmalloc(n * sizeof(*keys));
    lev_death_keys(msg, keys);
    bool routed = publish_dead(x, d, msg, keys, n);
    if (keys != few)
        free(keys);
    lev_msg_unref(&msg);
    return routed;
}

/* At-least-once: it is done with, or has to wait. */
static void end_kept(struct lev_dead *d, bool routed)
{
    struct lev_queue *q = d->level;
    if (q->deleted || routed || !lev_dead_letter_keeps(q)) {
        settle(q, &d->p.e);
        if (!q->deleted)
            lev_park_progress(q);
        return;
    }
    lev_queue_sub_unacked(q, 1);
    d->p.due_ms = lev_vhost_now(q->vhost) + LEV_PARK_DEAD_MS;
    lev_park_put(q, LEV_PARK_DEAD, &d->p);
    d->p = (struct lev_parked){0};
}

static void route_and_forget(struct lev_dead *d)
{
    struct lev_queue *q = d->level;
    if (d->placed && !d->kept && q->top->dedup)
        lev_dedup_left(q, &d->p.e); /* it may come back here */
    q->vhost->dying = d;
    bool routed = !(d->kept && q->deleted) && route_one(d);
    q->vhost->dying = NULL;
    if (d->kept)
        end_kept(d, routed);
    else if (d->placed && !d->root)
        settle(q, &d->p.e);
    root_unref(d->root);
    lev_parked_deinit(&d->p);
    lev_queue_unref(&d->level);
}

/* --- what deaths bring about: depth first, so that memory stays small and order is kept --- */

static void stack(struct lev_deaths *s, const struct lev_dead *d)
{
    if (s->n == s->cap) {
        s->cap = s->cap ? s->cap * 2 : 64;
        s->a = lev_xrealloc(s->a, s->cap * sizeof(*s->a));
    }
    s->a[s->n++] = *d;
}

/* Moves the deaths from `from` on to the stack, the first of them to its top. */
static void take_derived(struct lev_vhost *v, size_t from, struct lev_deaths *s)
{
    while (v->n_dead > from)
        stack(s, &v->dead[--v->n_dead]);
}

static void route_stack(struct lev_vhost *v, struct lev_deaths *s, size_t *left)
{
    for (; s->n && *left; --*left) {
        struct lev_dead d = s->a[--s->n];
        size_t before = v->n_dead;
        route_and_forget(&d);
        take_derived(v, before, s);
    }
}

/* Routes a death's children, all of them; their children in turn as far as the run may. */
static void route_children(struct lev_vhost *v, struct lev_deaths *children,
                           struct lev_deaths *deep)
{
    while (children->n) {
        struct lev_dead d = children->a[--children->n];
        size_t before = v->n_dead;
        route_and_forget(&d);
        take_derived(v, before, deep);
        route_stack(v, deep, &v->deaths_left);
        for (size_t i = 0; i < deep->n; i++)
            stack(&v->put_off, &deep->a[i]);
        deep->n = 0;
    }
}

void lev_dead_letters_begin(struct lev_vhost *v)
{
    v->deaths_left = DEEP_MAX;
}

void lev_dead_letters_route(struct lev_vhost *v)
{
    struct lev_deaths children = {0}, deep = {0};
    size_t n = v->n_dead;
    for (size_t i = 0; i < n; i++) {
        struct lev_dead d = v->dead[i]; /* the array may grow and move while it is routed */
        route_and_forget(&d);
        take_derived(v, n, &children);
        route_children(v, &children, &deep);
    }
    v->n_dead = 0;
    free(children.a);
    free(deep.a);
}

bool lev_dead_letters_go_on(struct lev_vhost *v)
{
    size_t left = PUT_OFF_MAX;
    route_stack(v, &v->put_off, &left);
    return v->put_off.n > 0;
}

static void drop(struct lev_dead *d, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (d[i].root && --d[i].root->refs == 0)
            free_root(d[i].root);
        lev_parked_deinit(&d[i].p);
        lev_queue_unref(&d[i].level);
    }
    free(d);
}

void lev_dead_letters_drop(struct lev_vhost *v)
{
    drop(v->dead, v->n_dead);
    drop(v->put_off.a, v->put_off.n);
    v->dead = NULL;
    v->n_dead = v->cap_dead = 0;
    v->put_off = (struct lev_deaths){0};
}
