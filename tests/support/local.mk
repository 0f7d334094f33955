# What tests share: the daemon under test, bytes against a guard page; and, for fuzz targets built
# without libFuzzer, a main that replays their corpus.
check_LIBRARIES += libsupport.a libfuzzmain.a
libsupport_a_SOURCES = \
	tests/support/daemon.c tests/support/daemon.h \
	tests/support/guard.c tests/support/guard.h
libfuzzmain_a_SOURCES = tests/support/fuzz_main.c
EXTRA_DIST += tests/support/daemon.sh
