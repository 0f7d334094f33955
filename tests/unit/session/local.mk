# Unit tests of src/session.
SESSION_TESTS = test_session_large
test_session_large_SOURCES = tests/unit/session/test_large.c
test_session_large_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/tests $(CHECK_CFLAGS)
test_session_large_LDADD = libsession.a libamqp.a libbase.a libsupport.a $(CHECK_LIBS)

# The session over transports that are made up.
SESSION_TESTS += test_session_repeat
test_session_repeat_SOURCES = tests/unit/session/test_repeat.c \
	tests/unit/session/wire.c tests/unit/session/wire.h \
	tests/unit/auth/fake_meta.c tests/unit/auth/fake_meta.h
test_session_repeat_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/tests $(CHECK_CFLAGS)
test_session_repeat_LDADD = libsession.a libauth.a libstore.a libbroker.a libamqp.a libbase.a \
	libsupport.a $(LEV_LIBS) $(CHECK_LIBS)
test_session_repeat_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=realloc

check_PROGRAMS += $(SESSION_TESTS)
TESTS += $(SESSION_TESTS)
