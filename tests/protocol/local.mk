# Protocol tests: a real daemon on a real socket.
EXTRA_DIST += tests/protocol/daemon_test.sh

check_PROGRAMS += test_server
TESTS += test_server tests/protocol/daemon_test.sh
test_server_SOURCES = tests/protocol/test_server.c
test_server_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
test_server_LDADD = libleveret.a $(LEV_ROOMS) $(LEV_LIBS) $(CHECK_LIBS)
