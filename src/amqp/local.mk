# The amqp room: frames, methods, field tables, properties. Pure; knows base.
noinst_LIBRARIES += libamqp.a
libamqp_a_SOURCES = \
	src/amqp/frame.h \
	src/amqp/method.c src/amqp/method.h src/amqp/method_types.h src/amqp/methods.def \
	src/amqp/props.c src/amqp/props.h \
	src/amqp/table.c src/amqp/table.h
