# Unit tests of src/broker.
BROKER_TESTS =

BROKER_TEST_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
BROKER_TEST_LIBS = libbroker.a libamqp.a libbase.a $(PCRE2_LIBS) $(CHECK_LIBS)

BROKER_TESTS += test_broker_topology test_broker_topic test_broker_headers test_broker_route
BROKER_TEST_WORLD = \
	tests/unit/broker/args.c tests/unit/broker/args.h \
	tests/unit/broker/world.c tests/unit/broker/world.h
test_broker_topology_SOURCES = tests/unit/broker/test_topology.c $(BROKER_TEST_WORLD)
test_broker_topology_CPPFLAGS = $(BROKER_TEST_CPPFLAGS)
test_broker_topology_LDADD = $(BROKER_TEST_LIBS)
test_broker_topic_SOURCES = tests/unit/broker/test_topic.c
test_broker_topic_CPPFLAGS = $(BROKER_TEST_CPPFLAGS)
test_broker_topic_LDADD = $(BROKER_TEST_LIBS)
test_broker_headers_SOURCES = \
	tests/unit/broker/test_headers.c tests/unit/broker/args.c tests/unit/broker/args.h
test_broker_headers_CPPFLAGS = $(BROKER_TEST_CPPFLAGS)
test_broker_headers_LDADD = $(BROKER_TEST_LIBS)
test_broker_route_SOURCES = tests/unit/broker/test_route.c $(BROKER_TEST_WORLD)
test_broker_route_CPPFLAGS = $(BROKER_TEST_CPPFLAGS)
test_broker_route_LDADD = $(BROKER_TEST_LIBS)

BROKER_TESTS += test_broker_exchange_types
test_broker_exchange_types_SOURCES = tests/unit/broker/test_exchange_types.c $(BROKER_TEST_WORLD)
test_broker_exchange_types_CPPFLAGS = $(BROKER_TEST_CPPFLAGS)
test_broker_exchange_types_LDADD = $(BROKER_TEST_LIBS)
BROKER_TESTS += test_broker_policy
test_broker_policy_SOURCES = \
	tests/unit/broker/test_policy.c tests/unit/broker/args.c tests/unit/broker/args.h
test_broker_policy_CPPFLAGS = $(BROKER_TEST_CPPFLAGS)
test_broker_policy_LDADD = $(BROKER_TEST_LIBS)

check_PROGRAMS += $(BROKER_TESTS)
TESTS += $(BROKER_TESTS)

# The broker over the store in memory.
BROKER_STAGE = \
	tests/unit/broker/stage.c tests/unit/broker/stage.h \
	tests/unit/broker/args.c tests/unit/broker/args.h
BROKER_PLAY = tests/unit/broker/play.c tests/unit/broker/play.h
BROKER_STAGE_LIBS = libbroker.a libstore.a libbroker.a libamqp.a libbase.a $(PCRE2_LIBS) \
	$(CHECK_LIBS) -lpthread
BROKER_STAGE_TESTS = \
	test_broker_queue test_broker_window test_broker_confirm test_broker_tx test_broker_declare \
	test_broker_chan test_broker_model
test_broker_queue_SOURCES = tests/unit/broker/test_queue.c $(BROKER_STAGE)
test_broker_queue_CPPFLAGS = $(BROKER_TEST_CPPFLAGS)
test_broker_queue_LDADD = $(BROKER_STAGE_LIBS)
test_broker_window_SOURCES = tests/unit/broker/test_window.c $(BROKER_STAGE)
test_broker_window_CPPFLAGS = $(BROKER_TEST_CPPFLAGS)
test_broker_window_LDADD = $(BROKER_STAGE_LIBS)
BROKER_STAGE_TESTS += test_broker_patrol
test_broker_patrol_SOURCES = \
	tests/unit/broker/test_patrol.c $(BROKER_STAGE) \
	tests/unit/broker/args.c tests/unit/broker/args.h
test_broker_patrol_CPPFLAGS = $(BROKER_TEST_CPPFLAGS)
test_broker_patrol_LDADD = $(BROKER_STAGE_LIBS)
BROKER_STAGE_TESTS += test_broker_generations
test_broker_generations_SOURCES = \
	tests/unit/broker/test_generations.c $(BROKER_STAGE) \
	tests/unit/broker/args.c tests/unit/broker/args.h
test_broker_generations_CPPFLAGS = $(BROKER_TEST_CPPFLAGS)
test_broker_generations_LDADD = $(BROKER_STAGE_LIBS)
BROKER_STAGE_TESTS += test_broker_active
test_broker_active_SOURCES = \
	tests/unit/broker/test_active.c $(BROKER_STAGE) \
	tests/unit/broker/args.c tests/unit/broker/args.h
test_broker_active_CPPFLAGS = $(BROKER_TEST_CPPFLAGS)
test_broker_active_LDADD = $(BROKER_STAGE_LIBS)
BROKER_STAGE_TESTS += test_broker_admin
test_broker_admin_SOURCES = \
	tests/unit/broker/test_admin.c $(BROKER_STAGE)
test_broker_admin_CPPFLAGS = $(BROKER_TEST_CPPFLAGS)
test_broker_admin_LDADD = $(BROKER_STAGE_LIBS)
test_broker_confirm_SOURCES = tests/unit/broker/test_confirm.c $(BROKER_STAGE)
test_broker_confirm_CPPFLAGS = $(BROKER_TEST_CPPFLAGS)
test_broker_confirm_LDADD = $(BROKER_STAGE_LIBS)
test_broker_tx_SOURCES = tests/unit/broker/test_tx.c $(BROKER_STAGE)
test_broker_tx_CPPFLAGS = $(BROKER_TEST_CPPFLAGS)
test_broker_tx_LDADD = $(BROKER_STAGE_LIBS)
test_broker_declare_SOURCES = tests/unit/broker/test_declare.c $(BROKER_STAGE)
test_broker_declare_CPPFLAGS = $(BROKER_TEST_CPPFLAGS)
test_broker_declare_LDADD = $(BROKER_STAGE_LIBS)
test_broker_chan_SOURCES = tests/unit/broker/test_chan.c $(BROKER_STAGE)
test_broker_chan_CPPFLAGS = $(BROKER_TEST_CPPFLAGS)
test_broker_chan_LDADD = $(BROKER_STAGE_LIBS)
test_broker_model_SOURCES = \
	tests/unit/broker/test_model.c tests/unit/broker/model.c tests/unit/broker/model.h \
	$(BROKER_PLAY) $(BROKER_STAGE)
test_broker_model_CPPFLAGS = $(BROKER_TEST_CPPFLAGS)
test_broker_model_LDADD = $(BROKER_STAGE_LIBS)

BROKER_STAGE_TESTS += test_broker_park test_broker_limits test_broker_life
test_broker_limits_SOURCES = \
	tests/unit/broker/test_limits.c $(BROKER_STAGE)
test_broker_limits_CPPFLAGS = $(BROKER_TEST_CPPFLAGS)
test_broker_limits_LDADD = $(BROKER_STAGE_LIBS)
test_broker_park_SOURCES = \
	tests/unit/broker/test_park.c $(BROKER_STAGE)
test_broker_park_CPPFLAGS = $(BROKER_TEST_CPPFLAGS)
test_broker_park_LDADD = $(BROKER_STAGE_LIBS)

test_broker_life_SOURCES = \
	tests/unit/broker/test_life.c tests/unit/broker/life.c tests/unit/broker/life.h \
	tests/unit/broker/life_check.c tests/unit/broker/life_spec.c tests/unit/broker/life_int.h \
	$(BROKER_PLAY) $(BROKER_STAGE)
test_broker_life_CPPFLAGS = $(BROKER_TEST_CPPFLAGS)
test_broker_life_LDADD = $(BROKER_STAGE_LIBS)

check_PROGRAMS += $(BROKER_STAGE_TESTS)
TESTS += $(BROKER_STAGE_TESTS)

# What happens later.
BROKER_LATE = \
	tests/unit/broker/args.c tests/unit/broker/args.h \
	tests/unit/broker/late.c tests/unit/broker/late.h
BROKER_LATE_LIBS = libbroker.a libstore.a libbroker.a libamqp.a libbase.a $(PCRE2_LIBS) \
	$(CHECK_LIBS) -lpthread
BROKER_LATE_TESTS = test_broker_death test_broker_delay test_broker_dedup test_broker_dedup_policy
test_broker_dedup_policy_SOURCES = tests/unit/broker/test_dedup_policy.c $(BROKER_LATE)
test_broker_dedup_policy_CPPFLAGS = $(BROKER_TEST_CPPFLAGS)
test_broker_dedup_policy_LDADD = $(BROKER_LATE_LIBS)
test_broker_death_SOURCES = tests/unit/broker/test_death.c $(BROKER_LATE)
test_broker_death_CPPFLAGS = $(BROKER_TEST_CPPFLAGS)
test_broker_death_LDADD = $(BROKER_LATE_LIBS)
test_broker_delay_SOURCES = tests/unit/broker/test_delay.c $(BROKER_LATE)
test_broker_delay_CPPFLAGS = $(BROKER_TEST_CPPFLAGS)
test_broker_delay_LDADD = $(BROKER_LATE_LIBS)
test_broker_dedup_SOURCES = tests/unit/broker/test_dedup.c $(BROKER_LATE)
test_broker_dedup_CPPFLAGS = $(BROKER_TEST_CPPFLAGS)
test_broker_dedup_LDADD = $(BROKER_LATE_LIBS)

check_PROGRAMS += $(BROKER_LATE_TESTS)
TESTS += $(BROKER_LATE_TESTS)
