# Unit tests of src/base.
BASE_TESTS = test_base_buf test_base_bytes test_base_hash test_base_huge test_base_list test_base_lock \
	test_base_map test_base_spread test_base_text test_base_utf8
check_PROGRAMS += $(BASE_TESTS)
TESTS += $(BASE_TESTS)

BASE_TEST_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/tests $(CHECK_CFLAGS)
BASE_TEST_LIBS = libbase.a libsupport.a $(CHECK_LIBS)

test_base_buf_SOURCES = tests/unit/base/test_buf.c
test_base_buf_CPPFLAGS = $(BASE_TEST_CPPFLAGS)
test_base_buf_LDADD = $(BASE_TEST_LIBS)
test_base_bytes_SOURCES = tests/unit/base/test_bytes.c
test_base_bytes_CPPFLAGS = $(BASE_TEST_CPPFLAGS)
test_base_bytes_LDADD = $(BASE_TEST_LIBS)
test_base_hash_SOURCES = tests/unit/base/test_hash.c
test_base_hash_CPPFLAGS = $(BASE_TEST_CPPFLAGS)
test_base_hash_LDADD = $(BASE_TEST_LIBS)
test_base_huge_SOURCES = tests/unit/base/test_huge.c
test_base_huge_CPPFLAGS = $(BASE_TEST_CPPFLAGS)
test_base_huge_LDADD = $(BASE_TEST_LIBS)
test_base_list_SOURCES = tests/unit/base/test_list.c
test_base_list_CPPFLAGS = $(BASE_TEST_CPPFLAGS)
test_base_list_LDADD = $(BASE_TEST_LIBS)
test_base_lock_SOURCES = tests/unit/base/test_lock.c
test_base_lock_CPPFLAGS = $(BASE_TEST_CPPFLAGS)
test_base_lock_LDADD = $(BASE_TEST_LIBS)
test_base_map_SOURCES = tests/unit/base/test_map.c
test_base_map_CPPFLAGS = $(BASE_TEST_CPPFLAGS)
test_base_map_LDADD = $(BASE_TEST_LIBS)
test_base_spread_SOURCES = tests/unit/base/test_spread.c
test_base_spread_CPPFLAGS = $(BASE_TEST_CPPFLAGS)
test_base_spread_LDADD = $(BASE_TEST_LIBS)
test_base_utf8_SOURCES = tests/unit/base/test_utf8.c
test_base_utf8_CPPFLAGS = $(BASE_TEST_CPPFLAGS)
test_base_utf8_LDADD = $(BASE_TEST_LIBS)
test_base_text_SOURCES = tests/unit/base/test_text.c
test_base_text_CPPFLAGS = $(BASE_TEST_CPPFLAGS)
test_base_text_LDADD = $(BASE_TEST_LIBS)
