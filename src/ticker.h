/* One thread that calls lev_vhost_tick when a vhost has something due (expiry of messages and
 * queues, consumer timeouts). Any thread may call; no lock of a vhost is taken under the ticker's
 * own. */
#ifndef LEV_TICKER_H
#define LEV_TICKER_H

struct lev_ticker;
struct lev_vhost;

/* Starts the thread. NULL when that fails. */
struct lev_ticker *lev_ticker_new(void);
/* Has v ticked from now on. Before v has anything due. */
void lev_ticker_add(struct lev_ticker *t, struct lev_vhost *v);
/* Ends the thread; the vhosts are no longer ticked, but still alive. Accepts a pointer to NULL. */
void lev_ticker_free(struct lev_ticker **t);

#endif
