# Unit tests of src/net.
check_PROGRAMS += test_net test_vigil
TESTS += test_net test_vigil
test_net_SOURCES = tests/unit/net/test_net.c tests/unit/net/server.c tests/unit/net/server.h
test_net_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
test_net_LDADD = libnet.a libbase.a $(UV_LIBS) $(CHECK_LIBS)

test_vigil_SOURCES = tests/unit/net/test_vigil.c
test_vigil_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
test_vigil_LDADD = libnet.a $(CHECK_LIBS)
