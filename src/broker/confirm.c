/* Publisher confirms. See chan.h: runs of sequence numbers wait, in order, for the batch that
 * stores them; what is due leaves as one basic.ack, multiple where it covers more than one. Under
 * the vhost's lock. */
#include "base/mem.h"
#include "broker/chan.h"
#include "broker/vhost_int.h"

int lev_confirm_select(struct lev_chan *ch, struct lev_error *err)
{
    if (ch->tx_mode)
        return lev_fail(err, LEV_PRECONDITION_FAILED, "cannot switch from tx to confirm mode");
    ch->confirm_mode = true;
    return 0;
}

static struct lev_confirm_run *run_at(struct lev_chan *ch, size_t i)
{
    return &ch->runs[(ch->runs_first + i) & (ch->runs_cap - 1)];
}

static void push_run(struct lev_chan *ch, struct lev_confirm_run r)
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

void lev_confirm_add(struct lev_chan *ch, uint64_t batch, bool nack)
{
    uint64_t seq = ++ch->publish_seq;
    struct lev_confirm_run *last = ch->runs_len ? run_at(ch, ch->runs_len - 1) : NULL;
    /* what is due at once waits for what came before it, so it can join that run */
    if (last && last->nack == nack && (last->batch == batch || batch == 0))
        last->upto = seq;
    else
        push_run(ch, (struct lev_confirm_run){.batch = batch, .upto = seq, .nack = nack});
    if (!lev_list_linked(&ch->run_node))
        lev_list_push_back(&ch->client->vhost->confirm_run, &ch->run_node);
}

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

void lev_confirm_flush(struct lev_chan *ch, uint64_t durable)
{
    while (ch->runs_len && run_at(ch, 0)->batch <= durable) {
        struct lev_confirm_run r = *run_at(ch, 0);
        while (ch->runs_len && run_at(ch, 0)->batch <= durable && run_at(ch, 0)->nack == r.nack) {
            r.upto = run_at(ch, 0)->upto;
            ch->runs_first = (ch->runs_first + 1) & (ch->runs_cap - 1);
            ch->runs_len--;
        }
        send_confirm(ch, r.upto, r.nack);
    }
    struct lev_list *waiting = &ch->client->vhost->confirm_waiting;
    if (ch->runs_len && !lev_list_linked(&ch->wait_node))
        lev_list_push_back(waiting, &ch->wait_node);
    else if (!ch->runs_len && lev_list_linked(&ch->wait_node))
        lev_list_remove(&ch->wait_node);
}
