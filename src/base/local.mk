# The base room: bytes, buffers, lists, maps, clock, log.
noinst_LIBRARIES += libbase.a
libbase_a_SOURCES = \
	src/base/buf.c src/base/buf.h \
	src/base/bytes.c src/base/bytes.h \
	src/base/clock.c src/base/clock.h \
	src/base/err.c src/base/err.h \
	src/base/hash.c src/base/hash.h \
	src/base/huge.c src/base/huge.h \
	src/base/list.h \
	src/base/lock.c src/base/lock.h \
	src/base/log.c src/base/log.h \
	src/base/map.c src/base/map.h \
	src/base/mem.c src/base/mem.h \
	src/base/pool.c src/base/pool.h \
	src/base/spread.c src/base/spread.h \
	src/base/text.c src/base/text.h \
	src/base/utf8.c src/base/utf8.h
