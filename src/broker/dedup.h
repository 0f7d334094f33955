/* Ids that exchanges and queues have seen, so that a message that comes twice is dropped.
 *
 * Who drops: an exchange of type x-message-deduplication; any exchange or queue with argument
 * x-message-deduplication=true, or a policy that says so (of exchanges, only one that is for
 * exchanges alone: others are meant for queues). The id is the value of header
 * x-deduplication-header, or of the header that argument x-deduplication-header names; messages
 * without it are never dropped. A policy can set all of these arguments, and counts more. One that
 * changes what an id is, or how long it is known, begins with no ids.
 *
 * What is remembered: the last x-cache-size ids, each for x-cache-ttl ms, or as long as the
 * message's own header x-cache-ttl says. Without a size, all for x-cache-ttl; with neither, an
 * exchange remembers the last 128. A queue with neither knows the ids of the messages it has: an id
 * is free again when its message has left, or when the queue is purged, which frees the ids of
 * unacknowledged messages, too (until_gone). So one of those that comes back may find another with
 * its id there; the id is then the other's.
 *
 * Ids of durable owners are stored in the batch of the message they came with, so they survive a
 * crash exactly when it does; and a dropped duplicate is confirmed only when its original is
 * durable. An owner that refuses a message, or an exchange that finds no queue for it, forgets the
 * id: the publisher will try again.
 *
 * Under the vhost's lock. */
#ifndef LEV_BROKER_DEDUP_H
#define LEV_BROKER_DEDUP_H

#include "base/buf.h"
#include "base/list.h"
#include "base/map.h"
#include "broker/message.h"
#include "broker/settings.h"
#include "broker/store.h"

struct lev_vhost;
struct lev_queue;
struct lev_entry;

struct lev_dedup_entry {
    struct lev_list node; /* in order of place */
    uint64_t place;       /* until_gone: level and position of the message */
    uint64_t expires_ms;  /* 0: never */
    uint64_t batch;       /* confirms of duplicates wait for it; 0: durable, or never to be */
    bool stored;
    uint32_t len;
    uint8_t id[];
};

struct lev_dedup {
    struct lev_map ids;    /* struct lev_dedup_entry */
    struct lev_list order; /* oldest first */
    uint64_t size, ttl_ms; /* 0: none */
    uint64_t next_place;
    size_t sweep_at;        /* when there are so many, those that have expired are dropped */
    char *header;           /* owned */
    struct lev_buf scratch; /* of the id looked for */
    bool until_gone;
    bool durable;              /* of the owner: */
    uint32_t queue_id;         /* 0: an exchange */
    struct lev_bytes exchange; /* borrowed */
};

/* Whose ids they are: a queue's, or an exchange's. */
struct lev_dedup_owner {
    bool durable;
    uint32_t queue_id;
    struct lev_bytes exchange; /* borrowed as long as the ids are there */
};

/* The owner's settings: makes, changes or ends *d. */
void lev_dedup_follow(struct lev_vhost *v, struct lev_dedup **d, const struct lev_dedup_settings *s,
                      const struct lev_dedup_owner *o);
/* Accepts a pointer to NULL. */
void lev_dedup_free(struct lev_dedup **d);

/* A positive integer, or one in a string; 0: anything else. */
uint64_t lev_dedup_number(struct lev_bytes table, const char *key);

/* Recovery: an id of d's owner comes back. */
void lev_dedup_restore(struct lev_dedup *d, const struct lev_dedup_def *def);
/* The same for an owner that does not want it any more: it is dropped from the store. */
void lev_dedup_unwanted(struct lev_vhost *v, const struct lev_dedup_def *def);

/* What the exchanges on a message's way did with it. */
struct lev_effects {
    uint64_t batch; /* that must be durable before the publish is confirmed; 0: none */
    bool held;      /* an exchange holds it back */
    struct lev_effect {
        struct lev_dedup *dedup;
        struct lev_dedup_entry *entry;
    } * ids; /* remembered */
    size_t n_ids, cap_ids;
};

/* Before a message is routed. */
void lev_effects_begin(struct lev_vhost *v);
/* It went nowhere, or was refused: forgets the ids. */
void lev_effects_undo(struct lev_vhost *v);

/* An exchange is about to route a message: true when it is a duplicate, else its id is remembered.
 */
bool lev_dedup_seen(struct lev_vhost *v, struct lev_dedup *d, struct lev_bytes headers);

/* A message is published to q (not a level), which has a window: true when it is a duplicate, with
 * the batch that a confirm waits for. */
bool lev_dedup_has(struct lev_queue *q, struct lev_msg *msg, uint64_t *batch_r);
/* The limits of q have let it pass: q remembers it, unless until_gone. Returns the batch as
 * lev_queue_publish does. */
uint64_t lev_dedup_passed(struct lev_queue *q, struct lev_msg *msg);
/* It is in a queue, or a level of it, that is until_gone; and it has left. */
void lev_dedup_entered(struct lev_queue *level, const struct lev_entry *e);
void lev_dedup_left(struct lev_queue *level, const struct lev_entry *e);
/* The queue was purged: an until_gone one forgets all ids, also those of messages that are out for
 * delivery. */
void lev_dedup_purged(struct lev_queue *q);

#endif
