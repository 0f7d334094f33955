noinst_LIBRARIES += libamqp.a
libamqp_a_SOURCES =
