# Unit tests of src/definitions.
check_PROGRAMS += test_definitions
TESTS += test_definitions
test_definitions_SOURCES = tests/unit/definitions/test_definitions.c
test_definitions_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
test_definitions_LDADD = libdefinitions.a libauth.a libstore.a libbroker.a libamqp.a libbase.a \
	$(JANSSON_LIBS) $(CRYPTO_LIBS) $(SQLITE_LIBS) $(PCRE2_LIBS) $(CHECK_LIBS)
