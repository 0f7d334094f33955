# Protocol tests: a real daemon on a real socket.
EXTRA_DIST += tests/protocol/daemon_test.sh
EXTRA_DIST += tests/protocol/definitions_test.sh tests/protocol/definitions_client.py
EXTRA_DIST += tests/protocol/permissions_client.py tests/protocol/limits_client.py

check_PROGRAMS += test_server
TESTS += test_server tests/protocol/daemon_test.sh tests/protocol/definitions_test.sh
test_server_SOURCES = tests/protocol/test_server.c
test_server_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
test_server_LDADD = libleveret.a $(LEV_ROOMS) $(LEV_LIBS) $(CHECK_LIBS)

# A fake peer and what goes with it; then the programs that use them.
check_LIBRARIES += libproto.a
libproto_a_SOURCES = \
	tests/protocol/proto.c tests/protocol/proto.h \
	tests/protocol/talk.c tests/protocol/talk.h \
	tests/unit/broker/args.c tests/unit/broker/args.h \
	tests/support/peer.c tests/support/peer.h
libproto_a_CPPFLAGS = $(PROTO_CPPFLAGS)
PROTO_LIBS = libproto.a libsupport.a libleveret.a $(LEV_ROOMS) $(LEV_LIBS) $(CHECK_LIBS)
PROTO_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS) -I$(srcdir)/tests

PROTO_TESTS = test_proto_trickle test_proto_close test_proto_hostile test_proto_pressure \
	test_proto_deep test_proto_large test_proto_delayed test_proto_dedup test_proto_timeout \
	test_proto_held test_proto_kept test_proto_frames test_proto_paused test_proto_names
if HAVE_LIBRABBITMQ
PROTO_TESTS += test_proto_loops
endif
check_PROGRAMS += $(PROTO_TESTS)
TESTS += $(PROTO_TESTS)
test_proto_trickle_SOURCES = tests/protocol/test_proto_trickle.c
test_proto_trickle_CPPFLAGS = $(PROTO_CPPFLAGS)
test_proto_trickle_LDADD = $(PROTO_LIBS)
test_proto_close_SOURCES = tests/protocol/test_proto_close.c
test_proto_close_CPPFLAGS = $(PROTO_CPPFLAGS)
test_proto_close_LDADD = $(PROTO_LIBS)
test_proto_hostile_SOURCES = tests/protocol/test_proto_hostile.c
test_proto_hostile_CPPFLAGS = $(PROTO_CPPFLAGS)
test_proto_hostile_LDADD = $(PROTO_LIBS)
test_proto_pressure_SOURCES = tests/protocol/test_proto_pressure.c
test_proto_pressure_CPPFLAGS = $(PROTO_CPPFLAGS)
test_proto_pressure_LDADD = $(PROTO_LIBS)
test_proto_deep_SOURCES = tests/protocol/test_proto_deep.c
test_proto_deep_CPPFLAGS = $(PROTO_CPPFLAGS)
test_proto_deep_LDADD = $(PROTO_LIBS)
test_proto_large_SOURCES = tests/protocol/test_proto_large.c
test_proto_large_CPPFLAGS = $(PROTO_CPPFLAGS)
test_proto_large_LDADD = $(PROTO_LIBS)
test_proto_loops_SOURCES = tests/protocol/test_proto_loops.c
test_proto_loops_CPPFLAGS = $(PROTO_CPPFLAGS) $(RABBITMQ_CFLAGS)
test_proto_loops_LDADD = $(PROTO_LIBS) $(RABBITMQ_LIBS)
test_proto_delayed_SOURCES = tests/protocol/test_proto_delayed.c
test_proto_delayed_CPPFLAGS = $(PROTO_CPPFLAGS)
test_proto_delayed_LDADD = $(PROTO_LIBS)
test_proto_dedup_SOURCES = tests/protocol/test_proto_dedup.c
test_proto_dedup_CPPFLAGS = $(PROTO_CPPFLAGS)
test_proto_dedup_LDADD = $(PROTO_LIBS)
test_proto_timeout_SOURCES = tests/protocol/test_proto_timeout.c
test_proto_timeout_CPPFLAGS = $(PROTO_CPPFLAGS)
test_proto_timeout_LDADD = $(PROTO_LIBS)
test_proto_held_SOURCES = tests/protocol/test_proto_held.c
test_proto_held_CPPFLAGS = $(PROTO_CPPFLAGS)
test_proto_held_LDADD = $(PROTO_LIBS)
test_proto_kept_SOURCES = tests/protocol/test_proto_kept.c
test_proto_kept_CPPFLAGS = $(PROTO_CPPFLAGS)
test_proto_kept_LDADD = $(PROTO_LIBS)
test_proto_frames_SOURCES = tests/protocol/test_proto_frames.c
test_proto_frames_CPPFLAGS = $(PROTO_CPPFLAGS)
test_proto_frames_LDADD = $(PROTO_LIBS)
test_proto_paused_SOURCES = tests/protocol/test_proto_paused.c \
	tests/unit/store/faultfs.c tests/unit/store/faultfs.h
test_proto_paused_CPPFLAGS = $(PROTO_CPPFLAGS)
test_proto_paused_LDADD = $(PROTO_LIBS)
test_proto_names_SOURCES = tests/protocol/test_proto_names.c
test_proto_names_CPPFLAGS = $(PROTO_CPPFLAGS)
test_proto_names_LDADD = $(PROTO_LIBS)
