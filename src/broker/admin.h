/* A vhost as its administrator sees it: queues declared without a client, policies. Each function
 * says whether it wants the vhost's lock held or takes it. */
#ifndef LEV_BROKER_ADMIN_H
#define LEV_BROKER_ADMIN_H

#include "broker/declare.h"
#include "broker/policy.h"
#include "broker/vhost.h"

/* Makes the queue when there is none of that name; one that is there stays as it is. Not for
 * exclusive or server-named queues. 0 or -1 with *err as queue.declare would give it. Lock held. */
int lev_vhost_declare_queue(struct lev_vhost *v, const struct lev_queue_declare_args *a,
                            struct lev_error *err);

/* Gives the vhost its policies (owned by it from now on; NULL: none) and has every queue and
 * exchange follow them: exchanges and what is declared from now on at once, the queues there are in
 * slices, between which others get the lock; all of them when it returns. Takes the lock. */
void lev_vhost_set_policies(struct lev_vhost *v, struct lev_policy_set *policies);

/* The vhost's policies, or NULL. Lock held. */
const struct lev_policy_set *lev_vhost_policies(const struct lev_vhost *v);

#endif
