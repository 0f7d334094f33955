# Unit tests of src/session.
SESSION_TESTS = test_session_large
check_PROGRAMS += $(SESSION_TESTS)
TESTS += $(SESSION_TESTS)

test_session_large_SOURCES = tests/unit/session/test_large.c
test_session_large_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/tests $(CHECK_CFLAGS)
test_session_large_LDADD = libsession.a libamqp.a libbase.a libsupport.a $(CHECK_LIBS)
