# Unit tests of src/amqp.
AMQP_TESTS = test_amqp_frame test_amqp_method test_amqp_props test_amqp_table
check_PROGRAMS += $(AMQP_TESTS)
TESTS += $(AMQP_TESTS)

AMQP_TEST_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/tests $(CHECK_CFLAGS)
AMQP_TEST_LIBS = libamqp.a libbase.a libsupport.a $(CHECK_LIBS)
AMQP_TEST_GEN = tests/unit/amqp/gen.c tests/unit/amqp/gen.h

test_amqp_frame_SOURCES = tests/unit/amqp/test_frame.c $(AMQP_TEST_GEN)
test_amqp_frame_CPPFLAGS = $(AMQP_TEST_CPPFLAGS)
test_amqp_frame_LDADD = $(AMQP_TEST_LIBS)
test_amqp_method_SOURCES = tests/unit/amqp/test_method.c tests/unit/amqp/golden.def $(AMQP_TEST_GEN)
test_amqp_method_CPPFLAGS = $(AMQP_TEST_CPPFLAGS)
test_amqp_method_LDADD = $(AMQP_TEST_LIBS)
test_amqp_props_SOURCES = tests/unit/amqp/test_props.c $(AMQP_TEST_GEN)
test_amqp_props_CPPFLAGS = $(AMQP_TEST_CPPFLAGS)
test_amqp_props_LDADD = $(AMQP_TEST_LIBS)
test_amqp_table_SOURCES = tests/unit/amqp/test_table.c $(AMQP_TEST_GEN)
test_amqp_table_CPPFLAGS = $(AMQP_TEST_CPPFLAGS)
test_amqp_table_LDADD = $(AMQP_TEST_LIBS)
