/* The tables of a vhost's database, vhost.db. Schema version LEV_SCHEMA_VERSION (PRAGMA
 * user_version).
 *
 * A message's place: id = queue_id << 40 | position. So one plain table holds all queues, each in
 * one stretch, appended to at its end.
 *
 *   queue         definition and counters of each durable queue. Every position below head is
 * settled; next_pos is the next to be given out; what is below delivered_to has been delivered at
 *                 least once; count and bytes are of the live rows in message.
 *   message       one row for each stored message. Rows that are dead (settled) stay for a while: a
 * row is live only if its queue exists, its position is not below head and in no range of dead.
 *                 flags: 1 persistent, bits 8 to 15 the priority. expires: wall clock, ms.
 * expiration: the message's own TTL, ms. props: flag word and property list as on the wire. body is
 * NULL when body_id says where it is. body          large bodies that several queues share;
 * body_refs counts the rows of message. dead          settled ranges [position of id, hi) above
 * head, of positions whose rows may still exist. garbage       deleted queues whose rows in [lo,
 * hi) are still to be removed. spill         transient messages that did not fit into memory. Means
 * nothing to the next process. spill_garbage ranges [position of id, hi) of spill to be removed.
 *   exchange, binding   durable definitions; arguments are field tables as on the wire.
 *
 * Views for people: queues, queue_messages, queue_spilled, bindings. */
#ifndef LEV_STORE_SCHEMA_H
#define LEV_STORE_SCHEMA_H

enum { LEV_SCHEMA_VERSION = 1, LEV_SCHEMA_APP_ID = 0x4c455651 };

extern const char lev_schema[];

#endif
