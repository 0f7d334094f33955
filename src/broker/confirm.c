/* Publisher confirms. See chan.h: runs of sequence numbers wait, in order, for the batch that
 * stores them; what is due leaves as one basic.ack, multiple where it covers more than one. Under
 * the vhost's lock.
 *
 * Early confirms. A publish whose operations were all taken back, because consumers acknowledged it
 * before its batch was to be written, is done with: it need not wait for the disk. Each channel
 * remembers the operations of its publishes in the open batch and in the sealed one, in order, and
 * how many of them from the first on are done with; that far it is confirmed. Not in a firm batch:
 * there a cancelled operation may stand for a promise that is yet to be written (the message died
 * and went elsewhere, its acknowledgement is part of a transaction), or definitions came before it.
 */
#include "base/mem.h"
#include "broker/chan.h"
#include "broker/vhost_int.h"

/* Fewer than so many confirms leave early only when nothing is left to wait for. */
enum { EARLY_MIN = 64 };
/* Channels looked at in one run that took something back. */
enum { EARLY_CHANNELS = 64 };
/* Ranges kept when there is nothing to remember. */
enum { EARLY_KEEP = 256 };
/* Publishes remembered of one batch; those after them wait for the disk. */
enum { EARLY_MAX = 1 << 16 };

int lev_confirm_select(struct lev_chan *ch, struct lev_error *err)
{
    if (ch->tx_mode)
        return lev_fail(err, LEV_PRECONDITION_FAILED, "cannot switch from tx to confirm mode");
    ch->confirm_mode = true;
    return 0;
}

static struct lev_confirm_run *run_at(const struct lev_chan *ch, size_t i)
{
    return &ch->runs[(ch->runs_first + i) & (ch->runs_cap - 1)];
}

static __attribute__((noinline)) void push_run(struct lev_chan *ch, struct lev_confirm_run r)
{
    if (ch->runs_len == ch->runs_cap) {
        size_t cap = ch->runs_cap ? ch->runs_cap * 2 : 4;
        struct lev_confirm_run *runs = lev_xmalloc(cap * sizeof(*runs));
        for (size_t i = 0; i < ch->runs_len; i++)
            runs[i] = *run_at(ch, i);
        free(ch->runs);
        ch->runs = runs;
        ch->runs_cap = cap;
        ch->runs_first = 0;
    }
    ch->runs_len++;
    *run_at(ch, ch->runs_len - 1) = r;
}

/* --- what the open batch has of the channel's publishes --- */

static void forget_ranges(struct lev_early *e)
{
    if (e->cap > EARLY_KEEP) {
        free(e->a);
        *e = (struct lev_early){0};
    }
    e->n = e->at = 0;
}

/* Begins to remember the open batch's, or begins anew when all remembered are done with. */
static __attribute__((noinline)) void begin_early(struct lev_chan *ch, uint64_t open)
{
    struct lev_early *e = &ch->early[0], older = *e;
    if (e->batch != open) {
        *e = ch->early[1];
        ch->early[1] = older;
        forget_ranges(e);
    }
    e->n = e->at = 0;
    e->base = ch->publish_seq - 1;
    e->batch = open;
}

static void remember(struct lev_chan *ch, uint64_t batch, size_t first_op)
{
    const struct lev_batch *open = ch->client->vhost->open;
    struct lev_early *e = &ch->early[0];
    bool mine = batch == open->id;
    if (e->batch == open->id && e->n == EARLY_MAX)
        return;
    if (e->batch != open->id || e->at == e->n)
        begin_early(ch, open->id);
    if (e->n == e->cap) {
        e->cap = e->cap ? e->cap * 2 : 16;
        e->a = lev_xrealloc(e->a, e->cap * sizeof(*e->a));
    }
    e->a[e->n++] =
        (struct lev_op_range){mine ? (uint32_t)first_op : 0, mine ? (uint32_t)open->n_ops : 0};
}

/* Nothing of it is still to be written. What was found so is not looked at again. */
static bool taken_back(const struct lev_batch *b, struct lev_op_range *r)
{
    while (r->from < r->to && b->ops[r->from].kind != LEV_OP_ENQUEUE)
        r->from++;
    return r->from == r->to;
}

/* The batch with this id, when it is not being written yet and may be confirmed early; or NULL. */
static const struct lev_batch *unwritten(const struct lev_vhost *v, uint64_t id)
{
    const struct lev_batch *b = id == v->open->id ? v->open : v->sealed;
    return b && b->id == id && !b->firm ? b : NULL;
}

/* How far the publishes of the channel's first run are done with. */
static uint64_t done_upto(struct lev_chan *ch)
{
    uint64_t id = run_at(ch, 0)->batch;
    const struct lev_batch *b = unwritten(ch->client->vhost, id);
    struct lev_early *e = ch->early[0].batch == id ? &ch->early[0] : &ch->early[1];
    if (!b || e->batch != id)
        return ch->confirmed;
    while (e->at < e->n && taken_back(b, &e->a[e->at]))
        e->at++;
    return e->base + e->at;
}

/* What is due at once waits for what came before it, so it can join that run. */
static bool joins_last(const struct lev_chan *ch, uint64_t batch, bool nack)
{
    const struct lev_confirm_run *last = run_at(ch, ch->runs_len - 1);
    return last->nack == nack && (last->batch == batch || batch == 0);
}

void lev_confirm_add(struct lev_chan *ch, uint64_t batch, bool nack, size_t first_op)
{
    ch->publish_seq++;
    if (!ch->runs_len || !joins_last(ch, batch, nack))
        push_run(ch, (struct lev_confirm_run){.batch = batch, .nack = nack});
    run_at(ch, ch->runs_len - 1)->upto = ch->publish_seq;
    remember(ch, batch, first_op);
    if (!lev_list_linked(&ch->run_node))
        lev_list_push_back(&ch->client->vhost->confirm_run, &ch->run_node);
}

/* --- sending --- */

static void send_confirm(struct lev_chan *ch, uint64_t upto, bool nack)
{
    struct lev_out *o = lev_client_push_answer(ch->client, LEV_OUT_SMALL);
    o->kind = LEV_OUT_CONFIRM;
    o->channel = ch->number;
    o->tag = upto;
    if (upto > ch->confirmed + 1)
        o->flags |= LEV_OUTF_MULTIPLE;
    if (nack)
        o->flags |= LEV_OUTF_NACK;
    ch->confirmed = upto;
}

static struct lev_confirm_run pop_run(struct lev_chan *ch)
{
    struct lev_confirm_run r = *run_at(ch, 0);
    ch->runs_first = (ch->runs_first + 1) & (ch->runs_cap - 1);
    ch->runs_len--;
    return r;
}

static void send_durable(struct lev_chan *ch, uint64_t durable)
{
    while (ch->runs_len && run_at(ch, 0)->batch <= durable) {
        struct lev_confirm_run r = pop_run(ch);
        while (ch->runs_len && run_at(ch, 0)->batch <= durable && run_at(ch, 0)->nack == r.nack)
            r.upto = pop_run(ch).upto;
        send_confirm(ch, r.upto, r.nack);
    }
}

/* True when a run was ended by it, so that what follows may be due. */
static bool send_early(struct lev_chan *ch)
{
    if (!ch->runs_len)
        return false;
    uint64_t upto = done_upto(ch), run = run_at(ch, 0)->upto;
    if (upto > run)
        upto = run;
    if (upto <= ch->confirmed || (upto < run && upto - ch->confirmed < EARLY_MIN))
        return false;
    send_confirm(ch, upto, false);
    if (upto == run)
        (void)pop_run(ch);
    return upto == run;
}

void lev_confirm_flush(struct lev_chan *ch, uint64_t durable)
{
    do
        send_durable(ch, durable);
    while (send_early(ch));
    if (!ch->runs_len) {
        forget_ranges(&ch->early[0]);
        forget_ranges(&ch->early[1]);
    }
    struct lev_list *waiting = &ch->client->vhost->confirm_waiting;
    if (ch->runs_len && !lev_list_linked(&ch->wait_node))
        lev_list_push_back(waiting, &ch->wait_node);
    else if (!ch->runs_len && lev_list_linked(&ch->wait_node))
        lev_list_remove(&ch->wait_node);
}

/* Something was taken back: some of those who wait may wait no longer. */
static void flush_waiting(struct lev_vhost *v)
{
    struct lev_list *last = v->confirm_waiting.prev;
    struct lev_list *it = &v->confirm_waiting;
    for (unsigned n = 0; n < EARLY_CHANNELS && it != last; n++) {
        it = v->confirm_waiting.next;
        struct lev_chan *ch = LEV_LIST_ENTRY(it, struct lev_chan, wait_node);
        lev_list_remove(it);
        lev_list_push_back(&v->confirm_waiting, it); /* the next run looks at the others */
        if (!ch->tx_mode)
            lev_confirm_flush(ch, v->durable);
    }
}

void lev_confirm_end_run(struct lev_vhost *v)
{
    while (!lev_list_empty(&v->confirm_run)) {
        struct lev_chan *ch = LEV_LIST_ENTRY(v->confirm_run.next, struct lev_chan, run_node);
        lev_list_remove(&ch->run_node);
        lev_confirm_flush(ch, v->durable);
    }
    uint64_t cancelled = atomic_load_explicit(&v->cancelled, memory_order_relaxed);
    if (cancelled != v->cancelled_seen)
        flush_waiting(v);
    v->cancelled_seen = cancelled;
}

void lev_confirm_deinit(struct lev_chan *ch)
{
    free(ch->runs);
    free(ch->early[0].a);
    free(ch->early[1].a);
    ch->runs = NULL;
    ch->early[0] = ch->early[1] = (struct lev_early){0};
}
