/* The queues of the model, and the policies that change them. See life.h. */
#include "life_int.h"

#define DEAD_TO(q) "x-dead-letter-exchange=S x-dead-letter-routing-key=S" q " "

// clang-format off
const struct life_spec life_specs[LIFE_QUEUES] = {
    /* a cycle of q0 and q2 */
    {.arguments = DEAD_TO("q2") "x-message-ttl=I50",
     .bound = true, .durable = true, .ttl = 50, .dead_to = 3},
    {.arguments = DEAD_TO("q6") "x-max-priority=I3 x-max-length=I6",
     .durable = true, .levels = 4, .max_length = 6, .dead_to = 7, .no_expiration = true},
    {.arguments = DEAD_TO("q0") "x-max-length-bytes=I300 x-message-ttl=I80",
     .durable = true, .max_bytes = 300, .ttl = 80, .dead_to = 1},
    {.arguments = DEAD_TO("q4") "x-queue-type=Squorum x-delivery-limit=I2",
     .bound = true, .routed = true, .durable = true, .quorum = true, .delivery_limit = 2, .dead_to = 5},
    {.arguments = "x-max-length=I5 x-single-active-consumer=t1",
     .max_length = 5, .single_active = true},
    {.arguments = DEAD_TO("q1") "x-max-length=I4 x-overflow=Sreject-publish",
     .bound = true, .routed = true, .durable = true, .max_length = 4, .reject = true,
     .no_expiration = true, .no_consumers = true, .dead_to = 2},
    {.arguments = "x-expires=I200", .durable = true, .unused = 200},
    {.arguments = DEAD_TO("q8") "x-max-length=I3 x-overflow=Sreject-publish-dlx "
                                "x-message-ttl=I30",
     .bound = true, .max_length = 3, .ttl = 30, .reject = true, .reject_dlx = true,
     .no_consumers = true, .dead_to = 9},
    {.arguments = "x-queue-type=Squorum x-delivery-limit=I-1 x-message-ttl=I400 "
                  "x-delayed-retry-type=Sall x-delayed-retry-min=I20 x-delayed-retry-max=I50",
     .durable = true, .quorum = true, .no_expiration = true, .ttl = 400, .retry_failed = true,
     .retry_returned = true, .retry_min = 20, .retry_max = 50},
    {.arguments = "x-max-priority=I9 x-message-ttl=I120 x-delayed-retry-type=Sfailed "
                  "x-delayed-retry-min=I30",
     .bound = true, .durable = true, .levels = 10, .no_expiration = true, .ttl = 120, .retry_failed = true,
     .retry_min = 30},
    {.arguments = "x-message-deduplication=t1 x-message-ttl=I90",
     .bound = true, .durable = true, .ttl = 90, .no_twins = true, .no_consumers = true},
    {.arguments = DEAD_TO("q12") "x-queue-type=Squorum x-delivery-limit=I1 x-message-ttl=I60 "
                  "x-max-length=I6 x-overflow=Sreject-publish "
                  "x-dead-letter-strategy=Sat-least-once",
     .bound = true, .durable = true, .quorum = true, .ttl = 60, .max_length = 6, .reject = true,
     .delivery_limit = 1, .no_consumers = true, .dead_to = 13, .keeps = true},
    {.arguments = "x-queue-type=Squorum x-delivery-limit=I-1 x-max-length=I4 "
                  "x-overflow=Sreject-publish",
     .durable = true, .quorum = true, .max_length = 4, .reject = true, .no_consumers = true},
    {.arguments = "x-max-length=I6", .durable = true, .max_length = 6, .no_expiration = true, .no_consumers = true},
};

const struct life_policy life_policies[LIFE_POLICIES] = {
    {0, "message-ttl=l20", {.ttl = 20}},
    {0, "message-ttl=l5", {.ttl = 5}},
    {1, "max-length=l2", {.max_length = 2}},
    {2, "message-ttl=l10 max-length-bytes=l1000", {.ttl = 10, .max_bytes = 1000}},
    {2, "max-length=l3", {.max_length = 3}},
    {3, "delivery-limit=l1", {.delivery_limit = 1}},
    {3, "message-ttl=l40", {.ttl = 40}},
    {4, "message-ttl=l40 max-length=l3", {.ttl = 40, .max_length = 3}},
    {6, "expires=l100 message-ttl=l60", {.unused = 100, .ttl = 60}},
    {6, "message-ttl=l30", {.ttl = 30}},
    {8, "delivery-limit=l2", {.delivery_limit = 2}},
    {12, "max-length=l2", {.max_length = 2}},
    {13, "overflow=Sreject-publish", {.reject = true}},
    {13, "delayed-retry-type=Sall delayed-retry-min=l15",
     {.retry_failed = true, .retry_returned = true, .retry_min = 15}},
    {13, "overflow=Sreject-publish dead-letter-exchange=S dead-letter-routing-key=Sq9",
     {.reject = true, .dead_to = 10}},
    {13, "overflow=Sreject-publish-dlx dead-letter-exchange=S dead-letter-routing-key=Sq9",
     {.reject = true, .reject_dlx = true, .dead_to = 10}},
    {13, "max-length=l2 dead-letter-exchange=S dead-letter-routing-key=Sq9",
     {.max_length = 2, .dead_to = 10}},
};
// clang-format on

/* 0: none. */
static uint64_t smaller(uint64_t a, uint64_t b)
{
    return life_limit(a) < life_limit(b) ? a : b;
}

/* The smaller of numbers; of the rest, what is declared before what the policy says. */
void life_govern(struct life *l, int queue, const struct life_policy *policy)
{
    struct life_queue *q = &l->q[queue];
    uint64_t unused = q->now.unused;
    q->policy = policy;
    q->now = life_specs[queue];
    if (policy) {
        const struct life_spec *p = &policy->set;
        q->now.ttl = smaller(q->now.ttl, p->ttl);
        q->now.unused = smaller(q->now.unused, p->unused);
        q->now.max_length = smaller(q->now.max_length, p->max_length);
        q->now.max_bytes = smaller(q->now.max_bytes, p->max_bytes);
        q->now.delivery_limit = (unsigned)smaller(q->now.delivery_limit, p->delivery_limit);
        q->now.dead_to = q->now.dead_to ? q->now.dead_to : p->dead_to;
        q->now.reject |= p->reject;
        q->now.reject_dlx |= p->reject_dlx;
        q->now.retry_failed |= p->retry_failed;
        q->now.retry_returned |= p->retry_returned;
        q->now.retry_min = q->now.retry_min ? q->now.retry_min : p->retry_min;
    }
    if (q->now.unused != unused)
        q->used_ms = life_now(l);
}
