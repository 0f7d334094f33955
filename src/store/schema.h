/* The tables of a vhost's database, vhost.db. Schema version LEV_SCHEMA_VERSION (PRAGMA
 * user_version).
 *
 * A message's place: id = queue_id << 40 | position. So one plain table holds all queues, each in
 * one stretch, appended to at its end.
 *
 *   queue
 *     Definition and counters of each durable queue. Every position below head is settled; next_pos
 *     is the next to be given out; what is below delivered_to has been delivered at least once;
 *     count and bytes are of the live rows in message. level: 0, or n + 1 for the priority n of the
 *     queue of that name, which has a row of level 0: a priority queue is several queues, and the
 *     one of level 0 has no messages of its own.
 *   message
 *     One row for each stored message. Rows that are dead (settled) stay for a while: a row is live
 *     only if its queue exists, its position is not below head and in no range of dead. flags: 1
 *     persistent, 2 dead-lettered, bits 8 to 15 the priority, from bit 16 on how many octets of BCC
 *     keys (each behind an octet that says how long it is) stand at the end of props. expires: wall
 *     clock, ms. expiration: the message's own TTL, ms. props: flag word and property list as on
 *     the wire. body is NULL when body_id says where it is.
 *   body, body_refs
 *     Large bodies that several queues share; body_refs counts the rows of message.
 *   failures
 *     How often deliveries of a message failed; no row: never. Apart from message, because changing
 *     a row of that means writing its body again. Rows of dead messages go with them.
 *   dead
 *     Settled ranges [position of id, hi) above head, of positions whose rows may still exist.
 *   garbage
 *     Deleted queues whose rows in [lo, hi) are still to be removed.
 *   spill
 *     Transient messages that did not fit into memory. Means nothing to the next process.
 *   spill_garbage
 *     Ranges [position of id, hi) of spill to be removed.
 *   delayed
 *     Messages that an exchange (via) holds back until due (wall clock, ms); of one due time, in
 *     order of seq. keys: all routing keys, each behind an octet that says how long it is; empty:
 *     routing_key only. The other columns are as in message. A table by arrival and an index,
 *     because due times come in any order: bodies are then appended, and only the index is written
 *     all over.
 *   delayed_exchange
 *     How many rows of delayed each exchange has, and the greatest seq there may be; no row: none.
 *   dedup
 *     Ids that an owner has seen: a queue (queue_id, an integer) or an exchange (name, a text).
 *     id: the type's letter and the value's octets; place: the owner's order, or where in the queue
 *     the message is; expires: wall clock, ms, or 0.
 *   exchange, binding
 *     Durable definitions; arguments are field tables as on the wire.
 *
 * Views for people: queues (levels: how many a priority queue has, else 0), queue_messages (a
 * priority queue as one; position is within its priority), queue_spilled, bindings. */
#ifndef LEV_STORE_SCHEMA_H
#define LEV_STORE_SCHEMA_H

enum { LEV_SCHEMA_VERSION = 1, LEV_SCHEMA_APP_ID = 0x4c455651 };

extern const char lev_schema[];

#endif
