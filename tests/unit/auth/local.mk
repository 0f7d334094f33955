# Unit tests of src/auth.
check_PROGRAMS += test_auth test_auth_usage
TESTS += test_auth test_auth_usage
test_auth_SOURCES = tests/unit/auth/test_auth.c tests/unit/auth/fake_meta.c \
	tests/unit/auth/fake_meta.h
test_auth_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
test_auth_LDADD = libauth.a libamqp.a libbase.a $(CRYPTO_LIBS) $(PCRE2_LIBS) $(CHECK_LIBS)
test_auth_usage_SOURCES = tests/unit/auth/test_usage.c
test_auth_usage_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
test_auth_usage_LDADD = libauth.a libbase.a $(CHECK_LIBS)
