# The broker room: exchanges, bindings, queues, messages.
noinst_LIBRARIES += libbroker.a
libbroker_a_SOURCES = \
	src/broker/error.c src/broker/error.h \
	src/broker/message.c src/broker/message.h \
	src/broker/store.c src/broker/store.h

# Exchanges, bindings, routing.
libbroker_a_SOURCES += \
	src/broker/binding.c src/broker/binding.h \
	src/broker/binding_array.c src/broker/binding_array.h \
	src/broker/exchange.c src/broker/exchange.h \
	src/broker/exchange_consistent_hash.c \
	src/broker/exchange_deduplication.c \
	src/broker/exchange_delayed.c \
	src/broker/exchange_direct.c \
	src/broker/exchange_fanout.c \
	src/broker/exchange_headers.c \
	src/broker/exchange_modulus_hash.c \
	src/broker/exchange_random.c \
	src/broker/exchange_recent_history.c \
	src/broker/exchange_topic.c \
	src/broker/headers.c src/broker/headers.h \
	src/broker/route.c src/broker/route.h \
	src/broker/route_cache.c src/broker/route_cache.h \
	src/broker/term.c src/broker/term.h \
	src/broker/topic.c src/broker/topic.h \
	src/broker/topology.c src/broker/topology.h src/broker/topology_int.h \
	src/broker/topology_text.c src/broker/topology_text.h

# Queues, consumers, channels, the vhost around them.
libbroker_a_SOURCES += \
	src/broker/active.c src/broker/active.h \
	src/broker/admin.c src/broker/admin.h \
	src/broker/batch.c \
	src/broker/chan.c src/broker/chan.h \
	src/broker/check.h \
	src/broker/client.c src/broker/client.h \
	src/broker/confirm.c \
	src/broker/consume.c src/broker/consume.h \
	src/broker/consumer.c src/broker/consumer.h \
	src/broker/dead_letter.c src/broker/dead_letter.h \
	src/broker/death.c src/broker/death.h \
	src/broker/declare.c src/broker/declare.h \
	src/broker/dedup.c src/broker/dedup.h \
	src/broker/delay.c src/broker/delay.h \
	src/broker/delay_header.c src/broker/delay_header.h \
	src/broker/entry.c src/broker/entry.h \
	src/broker/keys.c src/broker/keys.h \
	src/broker/late.c \
	src/broker/life.c \
	src/broker/limits.c src/broker/limits.h \
	src/broker/names.c src/broker/names.h \
	src/broker/pace.c src/broker/pace.h \
	src/broker/park.c src/broker/park.h \
	src/broker/patrol.c \
	src/broker/policy.c src/broker/policy.h \
	src/broker/policy_keys.c src/broker/policy_keys.h \
	src/broker/publish.c src/broker/publish.h \
	src/broker/queue.c src/broker/queue.h \
	src/broker/queue_args.c src/broker/queue_args.h \
	src/broker/reply.c \
	src/broker/settings.c src/broker/settings.h \
	src/broker/timer.c src/broker/timer.h \
	src/broker/tx.c \
	src/broker/vhost.c src/broker/vhost.h src/broker/vhost_int.h \
	src/broker/window.c
