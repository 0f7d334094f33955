/* A vhost over the store in memory with a clock that is a number, for what happens later: messages
 * held back, ids remembered. One thread; the store does nothing until late_run. */
#ifndef LEV_TESTS_BROKER_LATE_H
#define LEV_TESTS_BROKER_LATE_H

#include "broker/publish.h"
#include "broker/queue.h"
#include "broker/vhost_int.h"
#include "store/store_mem.h"

struct late {
    struct lev_store *store;
    struct lev_vhost *v;
    struct lev_client client;
    struct lev_chan ch;
    struct lev_delay_limits limits;    /* of every vhost started */
    int returned;                      /* basic.return so far */
    bool nacked;                       /* the last answer to a publish was basic.nack */
    struct lev_error err;              /* of the last call that failed */
    const char *apply_to, *definition; /* of the policy of every vhost started; NULL: none */
};

void late_init(struct late *l);
/* Expects that nothing is left of anything. */
void late_deinit(struct late *l);
/* Lets the store do all it can. */
void late_run(struct late *l);
/* The clock goes on, and what is due happens; the store runs before and after. */
void late_advance(struct late *l, uint64_t ms);
/* The clock goes on, what is due by then happens, and the store does nothing. */
void late_tick(struct late *l, uint64_t ms);
/* The process dies: what was committed comes back. */
void late_crash(struct late *l);

/* One policy for all names of that kind, from now on; NULL: none. definition as in args.h. */
void late_govern(struct late *l, const char *apply_to, const char *definition);

/* 0 or -1 with l->err. flags: d durable. arguments as in args.h. */
int late_exchange(struct late *l, const char *name, const char *type, const char *flags,
                  const char *arguments);
void late_delete_exchange(struct late *l, const char *name);
void late_queue(struct late *l, const char *name, const char *flags, const char *arguments);
void late_delete_queue(struct late *l, const char *name);
/* destination: "q:name" or "x:name". */
void late_bind(struct late *l, const char *source, const char *destination, const char *key);
/* A publish, one run. keys separated by "|"; flags: p persistent, m mandatory. True when it was
 * confirmed at once or after the store has run, as far as it could. */
bool late_publish(struct late *l, const char *exchange, const char *keys, const char *headers,
                  const char *body, const char *flags);
/* The same, but the store does not run. */
void late_publish_only(struct late *l, const char *exchange, const char *keys, const char *headers,
                       const char *body, const char *flags);
/* Publishes that are not answered yet. */
uint64_t late_unconfirmed(const struct late *l);

struct lev_queue *late_find(struct late *l, const char *queue);
uint64_t late_ready(struct late *l, const char *queue);
/* Takes all messages off a queue, settled, and expects their bodies, separated by spaces. */
#define late_expect(l, queue, text) late_expect_at(l, queue, text, __FILE__, __LINE__)
void late_expect_at(struct late *l, const char *queue, const char *text, const char *file,
                    int line);
/* Takes the first message and holds it; late_settle is its end. */
struct late_held {
    struct lev_queue *level;
    struct lev_entry e;
};
struct late_held late_take(struct late *l, const char *queue);
void late_settle(struct late *l, struct late_held *h);

#endif
