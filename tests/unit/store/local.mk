# Unit tests of src/store.
STORE_TESTS = test_store_ivset test_store_mem test_store_meta test_store_sqlite test_store_damage \
	test_store_model test_store_faults test_store_late
check_PROGRAMS += $(STORE_TESTS) bench_store
TESTS += $(STORE_TESTS)
STORE_TEST_LIBS = libstore.a libbroker.a libamqp.a libbase.a $(CHECK_LIBS) $(SQLITE_LIBS)
STORE_TEST_FEED = tests/unit/store/feed.c tests/unit/store/feed.h
STORE_TEST_BED = tests/unit/store/bed.c tests/unit/store/bed.h $(STORE_TEST_FEED)

test_store_ivset_SOURCES = tests/unit/store/test_store_ivset.c
test_store_ivset_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_store_ivset_LDADD = $(STORE_TEST_LIBS)

test_store_mem_SOURCES = tests/unit/store/test_store_mem.c $(STORE_TEST_FEED)
test_store_mem_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_store_mem_LDADD = $(STORE_TEST_LIBS)

test_store_meta_SOURCES = tests/unit/store/test_store_meta.c $(STORE_TEST_FEED)
test_store_meta_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_store_meta_LDADD = $(STORE_TEST_LIBS)

test_store_sqlite_SOURCES = tests/unit/store/test_store_sqlite.c $(STORE_TEST_BED)
test_store_sqlite_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_store_sqlite_LDADD = $(STORE_TEST_LIBS)

test_store_damage_SOURCES = tests/unit/store/test_store_damage.c $(STORE_TEST_BED)
test_store_damage_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_store_damage_LDADD = $(STORE_TEST_LIBS)

test_store_model_SOURCES = tests/unit/store/test_store_model.c $(STORE_TEST_FEED)
test_store_model_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_store_model_LDADD = $(STORE_TEST_LIBS)

test_store_faults_SOURCES = tests/unit/store/test_store_faults.c $(STORE_TEST_FEED) \
	tests/unit/store/faultfs.c tests/unit/store/faultfs.h
test_store_faults_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_store_faults_LDADD = $(STORE_TEST_LIBS)

test_store_late_SOURCES = tests/unit/store/test_store_late.c $(STORE_TEST_FEED)
test_store_late_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
test_store_late_LDADD = $(STORE_TEST_LIBS)

# Not a test: measures; see its head.
bench_store_SOURCES = tests/unit/store/bench_store.c $(STORE_TEST_FEED)
bench_store_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
bench_store_LDADD = $(STORE_TEST_LIBS)
