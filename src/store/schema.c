/* The schema's SQL. See schema.h. */
#include "store/schema.h"

#define MESSAGE_COLUMNS                                                                            \
    "(id INTEGER PRIMARY KEY,"                                                                     \
    " flags INTEGER NOT NULL,"                                                                     \
    " expires INTEGER,"                                                                            \
    " expiration INTEGER,"                                                                         \
    " body_id INTEGER,"                                                                            \
    " exchange TEXT NOT NULL,"                                                                     \
    " routing_key TEXT NOT NULL,"                                                                  \
    " props BLOB NOT NULL,"                                                                        \
    " body BLOB);"

#define SPILL_TABLES                                                                               \
    "CREATE TABLE spill" MESSAGE_COLUMNS                                                           \
    "CREATE TABLE spill_garbage(id INTEGER PRIMARY KEY, hi INTEGER NOT NULL);"

#define MESSAGE_VIEW_COLUMNS                                                                       \
    " m.exchange, m.routing_key, m.flags & 1 AS persistent,"                                       \
    " m.flags >> 1 & 1 AS dead_lettered, m.expires, m.props,"                                      \
    " CASE WHEN m.body_id IS NULL THEN m.body"                                                     \
    " ELSE (SELECT data FROM body WHERE body.id = m.body_id) END AS body"

const char lev_schema[] =
    "CREATE TABLE message" MESSAGE_COLUMNS SPILL_TABLES
    "CREATE TABLE body(id INTEGER PRIMARY KEY, data BLOB NOT NULL);"
    "CREATE TABLE body_refs(id INTEGER PRIMARY KEY, refs INTEGER NOT NULL);"
    "CREATE TABLE queue("
    " queue_id INTEGER PRIMARY KEY,"
    " head INTEGER NOT NULL,"
    " next_pos INTEGER NOT NULL,"
    " delivered_to INTEGER NOT NULL,"
    " count INTEGER NOT NULL,"
    " bytes INTEGER NOT NULL,"
    " level INTEGER NOT NULL,"
    " durable INTEGER NOT NULL,"
    " auto_delete INTEGER NOT NULL,"
    " name TEXT NOT NULL,"
    " arguments BLOB NOT NULL);"
    "CREATE TABLE dead(id INTEGER PRIMARY KEY, hi INTEGER NOT NULL);"
    "CREATE TABLE failures(id INTEGER PRIMARY KEY, count INTEGER NOT NULL);"
    "CREATE TABLE garbage(queue_id INTEGER PRIMARY KEY, lo INTEGER NOT NULL, hi INTEGER NOT NULL);"
    "CREATE TABLE exchange("
    " name TEXT PRIMARY KEY,"
    " type TEXT NOT NULL,"
    " durable INTEGER NOT NULL,"
    " auto_delete INTEGER NOT NULL,"
    " internal INTEGER NOT NULL,"
    " arguments BLOB NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE binding("
    " source TEXT NOT NULL,"
    " to_queue INTEGER NOT NULL,"
    " destination TEXT NOT NULL,"
    " routing_key TEXT NOT NULL,"
    " arguments BLOB NOT NULL,"
    " PRIMARY KEY(source, to_queue, destination, routing_key, arguments)) WITHOUT ROWID;"
    "CREATE TABLE delayed("
    " due INTEGER NOT NULL,"
    " seq INTEGER NOT NULL,"
    " via TEXT NOT NULL,"
    " keys BLOB NOT NULL,"
    " flags INTEGER NOT NULL,"
    " expiration INTEGER,"
    " exchange TEXT NOT NULL,"
    " routing_key TEXT NOT NULL,"
    " props BLOB NOT NULL,"
    " body BLOB NOT NULL);"
    "CREATE UNIQUE INDEX delayed_order ON delayed(due, seq);"
    "CREATE TABLE delayed_exchange("
    " name TEXT PRIMARY KEY,"
    " count INTEGER NOT NULL,"
    " last_seq INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE dedup("
    " owner NOT NULL,"
    " id BLOB NOT NULL,"
    " place INTEGER NOT NULL,"
    " expires INTEGER NOT NULL,"
    " PRIMARY KEY(owner, id)) WITHOUT ROWID;"
    "CREATE VIEW queues AS"
    " SELECT q.name, q.queue_id, q.durable, q.auto_delete, sum(l.count) AS messages,"
    " sum(l.bytes) AS bytes, max(l.level) AS levels, q.head, q.next_pos, q.delivered_to,"
    " q.arguments FROM queue q JOIN queue l ON l.name = q.name WHERE q.level = 0"
    " GROUP BY q.queue_id;"
    "CREATE VIEW queue_messages AS"
    " SELECT q.name AS queue, m.id & 1099511627775 AS position,"
    " m.id & 1099511627775 < q.delivered_to AS redelivered,"
    " coalesce((SELECT f.count FROM failures f WHERE f.id = m.id), 0) AS failures,"
    " CASE WHEN q.level > 0 THEN q.level - 1 ELSE m.flags >> 8 & 255 END"
    " AS priority," MESSAGE_VIEW_COLUMNS " FROM queue q CROSS JOIN message m"
    " ON m.id BETWEEN (q.queue_id << 40) + q.head AND (q.queue_id << 40) + 1099511627775"
    " WHERE coalesce((SELECT hi FROM dead d WHERE d.id BETWEEN q.queue_id << 40 AND m.id"
    " ORDER BY d.id DESC LIMIT 1), 0) <= m.id & 1099511627775;"
    "CREATE VIEW queue_spilled AS"
    " SELECT m.id >> 40 AS queue_id, m.id & 1099511627775 AS position,"
    " m.flags >> 8 & 255 AS priority," MESSAGE_VIEW_COLUMNS " FROM spill m"
    " WHERE NOT EXISTS (SELECT 1 FROM spill_garbage g"
    " WHERE g.id BETWEEN m.id >> 40 << 40 AND m.id AND g.hi > m.id & 1099511627775);"
    "CREATE VIEW bindings AS"
    " SELECT source, CASE WHEN to_queue THEN 'queue' ELSE 'exchange' END AS destination_type,"
    " destination, routing_key, arguments FROM binding;";
