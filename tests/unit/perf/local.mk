# Unit tests of src/perf.
check_PROGRAMS += test_perf
TESTS += test_perf
test_perf_SOURCES = \
	tests/unit/perf/test_perf.c tests/unit/perf/suites.h \
	tests/unit/perf/fake_broker.c tests/unit/perf/fake_broker.h \
	tests/unit/perf/test_confirm.c tests/unit/perf/test_decile.c \
	tests/unit/perf/test_histogram.c tests/unit/perf/test_message.c \
	tests/unit/perf/test_modes.c tests/unit/perf/test_options.c tests/unit/perf/test_topology.c
test_perf_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
test_perf_LDADD = libperf.a $(CHECK_LIBS)
