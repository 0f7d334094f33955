# leveret-perf, the load generator. libperf.a is everything but main, for the unit tests; it needs no
# other room.
noinst_LIBRARIES += libperf.a
libperf_a_SOURCES = \
	src/perf/clock.h \
	src/perf/codec.c src/perf/codec.h \
	src/perf/confirm.c src/perf/confirm.h \
	src/perf/connection.c src/perf/connection.h \
	src/perf/consumer.c src/perf/consumer.h \
	src/perf/cost.c src/perf/cost.h \
	src/perf/decile.c src/perf/decile.h \
	src/perf/histogram.c src/perf/histogram.h \
	src/perf/idle.c src/perf/idle.h \
	src/perf/measure.c src/perf/measure.h \
	src/perf/message.c src/perf/message.h \
	src/perf/method.c src/perf/method.h \
	src/perf/mode_connections.c \
	src/perf/mode_declare.c \
	src/perf/mode_flow.c \
	src/perf/mode_rpc.c \
	src/perf/modes.h \
	src/perf/options.c src/perf/options.h \
	src/perf/procstat.c src/perf/procstat.h \
	src/perf/producer.c src/perf/producer.h \
	src/perf/report.c src/perf/report.h \
	src/perf/rpc.c src/perf/rpc.h \
	src/perf/run.c src/perf/run.h \
	src/perf/topology.c src/perf/topology.h \
	src/perf/uri.c src/perf/uri.h

bin_PROGRAMS += leveret-perf
leveret_perf_SOURCES = src/perf/main.c
leveret_perf_LDADD = libperf.a
