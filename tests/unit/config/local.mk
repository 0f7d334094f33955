# Unit tests of src/config.
check_PROGRAMS += test_config
TESTS += test_config
test_config_SOURCES = tests/unit/config/test_config.c
test_config_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
test_config_LDADD = libconfig.a libbase.a $(CHECK_LIBS)
